//! Errors of databases, classified once for everybody.

use super::kind::DatabaseKind;
use crate::retry::Disposition;

/// What a database, or the way to it, said no with.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct DbError {
    /// The message, without the statement's values.
    pub message: String,
    /// The SQL state; empty where the database has none.
    pub sql_state: String,
    /// The vendor's code; 0 where it has none.
    pub sql_code: i64,
    /// What to do about it.
    pub disposition: Disposition,
    /// Whether the connection is gone, rather than the statement refused.
    pub connection_lost: bool,
}

impl DbError {
    /// A result that is not what our own SQL asked for, or a value that our own tables should not hold.
    pub fn unexpected(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            sql_state: String::new(),
            sql_code: 0,
            disposition: Disposition::Hold,
            connection_lost: false,
        }
    }

    /// Wrong settings: credentials, an address, a privilege that is missing.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self {
            disposition: Disposition::Fatal,
            ..Self::unexpected(message)
        }
    }

    /// The same error with where it happened in front.
    #[must_use]
    pub fn context(mut self, what: impl std::fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Whether a unique or primary key constraint was violated.
    pub fn is_unique_violation(&self, kind: DatabaseKind) -> bool {
        match kind {
            DatabaseKind::Postgres => self.sql_state == "23505",
            DatabaseKind::Mysql => self.sql_code == 1062,
            DatabaseKind::Sqlite => matches!(self.sql_code, 1555 | 2067),
        }
    }

    /// Whether a row could not go because another one refers to it.
    pub fn is_reference_violation(&self, kind: DatabaseKind) -> bool {
        match kind {
            DatabaseKind::Postgres => matches!(self.sql_state.as_str(), "23503" | "23001"),
            DatabaseKind::Mysql => self.sql_code == 1451,
            DatabaseKind::Sqlite => matches!(self.sql_code, 787 | 1811),
        }
    }

    pub(super) fn from_sqlx(kind: DatabaseKind, err: sqlx::Error) -> Self {
        match err {
            sqlx::Error::Database(database) => Self::from_database(kind, database.as_ref()),
            sqlx::Error::Io(err) => Self::lost(format!("connection to the database lost: {err}")),
            sqlx::Error::PoolTimedOut => Self::lost("no database connection became free in time".to_owned()),
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                Self::lost("the database connection was closed".to_owned())
            }
            // The connection's transaction is not what the driver believes it to be; the pool closes it.
            sqlx::Error::InvalidSavePointStatement | sqlx::Error::BeginFailed => {
                Self::lost("the database connection is in an unknown state".to_owned())
            }
            sqlx::Error::Protocol(err) => {
                Self::lost(format!("the database's answer is not understood: {err}"))
            }
            sqlx::Error::Tls(err) => Self::fatal(format!("TLS to the database: {err}")),
            sqlx::Error::Configuration(err) => Self::fatal(format!("database address: {err}")),
            err => Self::unexpected(err.to_string()),
        }
    }

    fn lost(message: String) -> Self {
        Self {
            disposition: Disposition::Retry,
            connection_lost: true,
            ..Self::unexpected(message)
        }
    }

    fn from_database(kind: DatabaseKind, err: &dyn sqlx::error::DatabaseError) -> Self {
        let state = err.code().map(|code| code.into_owned()).unwrap_or_default();
        let (sql_state, sql_code) = match kind {
            DatabaseKind::Postgres => (state, 0),
            DatabaseKind::Mysql => {
                let number = err
                    .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
                    .map_or(0, |mysql| i64::from(mysql.number()));
                (state, number)
            }
            DatabaseKind::Sqlite => (String::new(), state.parse().unwrap_or(0)),
        };
        let (disposition, connection_lost) = classify(kind, &sql_state, sql_code);
        Self {
            message: err.message().to_owned(),
            sql_state,
            sql_code,
            disposition,
            connection_lost,
        }
    }
}

/// The vendors' codes that do not mean "hold this lane". Everything unknown is held, never retried at once.
fn classify(kind: DatabaseKind, state: &str, code: i64) -> (Disposition, bool) {
    match kind {
        // https://www.postgresql.org/docs/current/errcodes-appendix.html
        DatabaseKind::Postgres => match state {
            "40001" | "40P01" | "55P03" | "53300" => (Disposition::Retry, false),
            "57P01" | "57P02" | "57P03" | "57P05" => (Disposition::Retry, true),
            "3D000" => (Disposition::Fatal, false),
            _ if state.starts_with("08") => (Disposition::Retry, true),
            _ if state.starts_with("28") => (Disposition::Fatal, false),
            _ => (Disposition::Hold, false),
        },
        // https://mariadb.com/docs/server/reference/error-codes/mariadb-error-code-reference
        DatabaseKind::Mysql => match code {
            // Lock wait timeout, deadlock, lock table full, error at commit, deadlock of a distributed transaction:
            // all of them may have rolled the whole transaction back, so nothing may be written behind them.
            1205 | 1213 | 1206 | 1180 | 1614 => (Disposition::Retry, false),
            // Too many connections, record changed since last read (MariaDB 1020).
            1040 | 1020 => (Disposition::Retry, false),
            // Server shutdown, normal shutdown, forced close, connection killed.
            1053 | 1077 | 1079 | 1080 | 1317 | 1927 => (Disposition::Retry, true),
            1044 | 1045 | 1049 | 1698 => (Disposition::Fatal, false),
            _ => (Disposition::Hold, false),
        },
        // https://www.sqlite.org/rescode.html; extended codes have the primary one in their low byte.
        DatabaseKind::Sqlite => match code & 0xff {
            5 | 6 => (Disposition::Retry, false),
            14 | 26 => (Disposition::Fatal, false),
            _ => (Disposition::Hold, false),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_rolled_the_transaction_back_ends_the_attempt() {
        for code in [1205, 1213, 1206, 1180, 1614] {
            assert_eq!(
                classify(DatabaseKind::Mysql, "HY000", code),
                (Disposition::Retry, false),
                "{code}"
            );
        }
        for kind in [DatabaseKind::Postgres, DatabaseKind::Mysql, DatabaseKind::Sqlite] {
            let err = DbError::from_sqlx(kind, sqlx::Error::InvalidSavePointStatement);
            assert!(err.connection_lost);
            assert_eq!(err.disposition, Disposition::Retry);
        }
    }

    #[test]
    fn an_unknown_code_is_held() {
        for kind in [DatabaseKind::Postgres, DatabaseKind::Mysql, DatabaseKind::Sqlite] {
            assert_eq!(classify(kind, "XX999", 1), (Disposition::Hold, false));
        }
    }
}
