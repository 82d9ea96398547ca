//! Which rows of `sym_data` may have no events yet: those that capture has not read, and those of batches that are not
//! routed.

use symstream_shared::db::{DatabaseKind, DbError, Param, Sql};
use symstream_shared::schema::Tables;

/// Runs of ids that one statement asks for.
const RUNS_MAX: usize = 200;

/// How far the node's own capture is.
#[derive(Debug)]
pub(super) struct Uncut {
    /// As its reader stores it; `None` before the first reading.
    position: Option<String>,
    /// The `data_id`s of batches that are not routed, first and last.
    unrouted: Vec<(i64, i64)>,
}

impl Uncut {
    /// Asks for the position first: what is read meanwhile is in a batch then.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(super) async fn read(sql: &mut dyn Sql, tables: &Tables) -> Result<Self, DbError> {
        let question = format!(
            "select state_value from {} where state_key = 'capture_position'",
            tables.name("state")
        );
        let row = sql.query_opt(&question, &[]).await?;
        let position = row.map_or(Ok(None), |row| row.opt_text(0))?;
        let question = format!(
            "select data_ranges from {} where routed = 0",
            tables.name("capture_batch")
        );
        let mut unrouted = Vec::new();
        for row in sql.query(&question, &[]).await? {
            for run in row
                .opt_text(0)?
                .unwrap_or_default()
                .split(',')
                .filter(|run| !run.is_empty())
            {
                unrouted.push(parse_run(run)?);
            }
        }
        Ok(Self { position, unrouted })
    }

    /// Conditions that these rows meet, each for a statement of its own. Others may meet them, too.
    ///
    /// # Errors
    /// [`DbError`] where the position is none.
    pub(super) fn conditions(
        &self,
        kind: DatabaseKind,
        data: &str,
    ) -> Result<Vec<(String, Vec<Param>)>, DbError> {
        let mut conditions = vec![match &self.position {
            Some(position) => unread(kind, data, position)?,
            None => ("1 = 1".to_owned(), Vec::new()),
        }];
        let runs = self.unrouted.chunks(RUNS_MAX).map(|runs| {
            let each = vec![format!("{data}.data_id between ? and ?"); runs.len()];
            let params = runs.iter().flat_map(|&(first, last)| [first.into(), last.into()]);
            (each.join(" or "), params.collect())
        });
        conditions.extend(runs);
        Ok(conditions)
    }
}

fn parse_run(run: &str) -> Result<(i64, i64), DbError> {
    let (first, last) = run.split_once('-').unwrap_or((run, run));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) => Ok((first, last)),
        _ => Err(DbError::unexpected(format!("data_ranges has {run:?}"))),
    }
}

/// What capture has not read: the transactions that its last snapshot did not see (PostgreSQL), the ids behind the last
/// one and those that were missing before it (MySQL), the ids behind the last one (SQLite).
fn unread(kind: DatabaseKind, data: &str, position: &str) -> Result<(String, Vec<Param>), DbError> {
    let wrong = || DbError::unexpected(format!("capture_position is {position:?}"));
    let number = |text: &str| text.parse::<i64>().map_err(|_| wrong());
    match kind {
        DatabaseKind::Postgres => {
            let [_, next, open] = position.split(':').collect::<Vec<_>>()[..] else {
                return Err(wrong());
            };
            number(next)?;
            let is_list = open.chars().all(|c| c.is_ascii_digit() || c == ',');
            let condition = format!(
                "{data}.xact_id >= cast(cast(? as text) as xid8) \
                 or {data}.xact_id = any(cast(cast(? as text) as xid8[]))"
            );
            let params = vec![next.into(), format!("{{{open}}}").into()];
            is_list.then_some((condition, params)).ok_or_else(wrong)
        }
        DatabaseKind::Mysql => {
            let (last, gaps) = position.split_once(' ').unwrap_or((position, ""));
            let first_gap = gaps.split([',', '-']).next().filter(|gap| !gap.is_empty());
            let from = first_gap.map_or_else(|| number(last).map(|last| last + 1), number)?;
            Ok((format!("{data}.data_id >= ?"), vec![from.into()]))
        }
        DatabaseKind::Sqlite => Ok((format!("{data}.data_id > ?"), vec![number(position)?.into()])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_read_stands_behind_the_position() {
        let of = |kind, position| unread(kind, "d", position).map(|(_, params)| params).ok();
        assert_eq!(
            of(DatabaseKind::Postgres, "10:20:12,14"),
            Some(vec!["20".into(), "{12,14}".into()])
        );
        assert_eq!(
            of(DatabaseKind::Postgres, "10:20:"),
            Some(vec!["20".into(), "{}".into()])
        );
        assert_eq!(of(DatabaseKind::Mysql, "120"), Some(vec![121.into()]));
        assert_eq!(of(DatabaseKind::Mysql, "120 5-7,9"), Some(vec![5.into()]));
        assert_eq!(of(DatabaseKind::Sqlite, "120"), Some(vec![120.into()]));
        for wrong in ["", "x", "1:2", "1:2:x"] {
            for kind in [DatabaseKind::Postgres, DatabaseKind::Mysql, DatabaseKind::Sqlite] {
                assert_eq!(of(kind, wrong), None, "{kind} {wrong}");
            }
        }
    }
}
