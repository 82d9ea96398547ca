//! Sending a table, or some of its rows, to one node again (`R` events).

use super::plan;
use super::rows::{self, ChangeTaker};
use crate::answers::Asker;
use crate::decode::HistCache;
use crate::error::Error;
use crate::part_encoder::{BatchInfo, PartEncoder};
use crate::source::Source;
use crate::spool::Spool;
use std::sync::Arc;
use symstream_shared::catalog;
use symstream_shared::csv;
use symstream_shared::db::{DatabaseKind, DbError, Sql, Tx, TxKind};
use symstream_shared::model::{Config, Node, Trigger};
use symstream_shared::wire::{Change, TableInfo};

/// What is to be sent again.
pub(crate) struct Reload<'a> {
    /// The event's `data_id`, which all rows have.
    pub data_id: i64,
    /// The node that gets it.
    pub node: &'a Node,
    /// The table, as the event names it.
    pub table: &'a str,
    /// Any history of the trigger that captures it.
    pub hist_id: i64,
    /// Which of its rows (the table is aliased `t`); all of them where there is none.
    pub condition: Option<&'a str>,
}

/// Why it can not be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    /// It never will: what is asked for is not there.
    #[error("{0}")]
    Impossible(String),
    /// Not now.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl Reload<'_> {
    /// The batch's messages: what the table holds in `snapshot`, as far as the rules let it through to the node. Holds
    /// a part and some chunks of rows, never the table.
    pub(crate) async fn encode(
        &self,
        source: &Source,
        config: &Config,
        info: BatchInfo,
        snapshot: &mut Tx,
    ) -> Result<Spool, ReloadError> {
        let mut history = HistCache::new();
        let trigger = self.trigger(source, config, snapshot).await?;
        let condition = self.condition.map(str::trim).filter(|text| !text.is_empty());
        let planned = plan::reload(
            snapshot,
            source,
            config,
            self.node,
            trigger,
            condition,
            &mut history,
        )
        .await?;
        let mut asked = HistCache::new();
        let mut sending = Sending {
            encoder: PartEncoder::new(info),
            // Rules are asked while the rows stream through the other connection.
            questions: source
                .database
                .begin(TxKind::ReadOnly)
                .await
                .map_err(Error::from)?,
            asker: Asker {
                tables: &source.tables,
                config,
                group: &source.engine.group,
                target_group: Some(&self.node.group),
                since: None,
                history: &mut asked,
            },
        };
        let kind = snapshot.kind();
        for (table, operation) in &planned {
            rows::read(snapshot, table, self.data_id, *operation, &mut sending)
                .await
                .map_err(|err| refused_statement(kind, err))?;
        }
        let spool = sending
            .encoder
            .finish(&mut sending.questions, &mut sending.asker)
            .await?;
        sending.questions.rollback().await.map_err(Error::from)?;
        Ok(spool)
    }

    /// The trigger that captures the table, by the history that the event names.
    async fn trigger<'a>(
        &self,
        source: &Source,
        config: &'a Config,
        sql: &mut dyn Sql,
    ) -> Result<&'a Trigger, ReloadError> {
        let impossible = |why: String| Err(ReloadError::Impossible(why));
        let statement = format!(
            "select trigger_id, source_table_name, trigger_ids from {} where trigger_hist_id = ?",
            source.tables.name("trigger_hist")
        );
        let hist = sql
            .query_opt(&statement, &[self.hist_id.into()])
            .await
            .map_err(Error::from)?;
        let Some(hist) = hist else {
            return impossible(format!("there is no trigger history {}", self.hist_id));
        };
        let named = hist.text(1).map_err(Error::from)?;
        if named != self.table {
            return impossible(format!(
                "trigger history {} is one of table {named}, not {}",
                self.hist_id, self.table
            ));
        }
        let trigger_id = hist.text(0).map_err(Error::from)?;
        let sharing = hist.opt_text(2).map_err(Error::from)?.unwrap_or_default();
        // Those that share the captured rows are as good as the one whose history it is.
        let sharing = csv::decode_names(&sharing).unwrap_or_default();
        let trigger = std::iter::once(&trigger_id)
            .chain(&sharing)
            .filter_map(|id| config.triggers.get(id))
            .find(|trigger| trigger.active && trigger.source_table == self.table);
        let Some(trigger) = trigger else {
            return impossible(format!(
                "trigger {trigger_id} is not active, nor is another that captures the same"
            ));
        };
        let schema = trigger.source_schema.as_deref();
        let table = catalog::read_table(sql, schema, &trigger.source_table)
            .await
            .map_err(Error::from)?;
        if table.is_none() {
            return impossible(format!("there is no table {}", trigger.source_table));
        }
        Ok(trigger)
    }
}

/// A statement that the database can not understand, or not for the values it finds, is wrong for ever: the event's
/// condition is, or an `initial_load_select`. Everything else passes.
fn refused_statement(kind: DatabaseKind, err: Error) -> ReloadError {
    match err {
        Error::Database(err) if is_wrong(kind, &err) => ReloadError::Impossible(format!(
            "the condition, or an initial_load_select of the table, can not be used: {}",
            err.message
        )),
        err => ReloadError::Failed(err),
    }
}

fn is_wrong(kind: DatabaseKind, err: &DbError) -> bool {
    match kind {
        // Cardinality, data, and syntax or names.
        DatabaseKind::Postgres | DatabaseKind::Mysql => {
            ["21", "22", "42"].iter().any(|class| err.sql_state.starts_with(class))
            // Mixed collations, and values or arguments that are none, have the general state.
            || kind == DatabaseKind::Mysql && matches!(err.sql_code, 1210 | 1267 | 1270 | 1271 | 1525)
        }
        // SQLITE_ERROR and SQLITE_MISMATCH.
        DatabaseKind::Sqlite => matches!(err.sql_code & 0xff, 1 | 20),
    }
}

struct Sending<'a> {
    encoder: PartEncoder,
    questions: Tx,
    asker: Asker<'a>,
}

impl ChangeTaker for Sending<'_> {
    async fn take(&mut self, table: &Arc<TableInfo>, insert: Change) -> Result<(), Error> {
        self.encoder
            .push(&mut self.questions, &mut self.asker, table, insert)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(sql_state: &str, sql_code: i64) -> DbError {
        DbError {
            sql_state: sql_state.to_owned(),
            sql_code,
            ..DbError::unexpected("x")
        }
    }

    #[test]
    fn only_what_can_not_be_understood_is_given_up() {
        for (kind, state, code, wrong) in [
            (DatabaseKind::Postgres, "42703", 0, true),
            (DatabaseKind::Postgres, "22012", 0, true),
            (DatabaseKind::Postgres, "57014", 0, false),
            (DatabaseKind::Postgres, "53100", 0, false),
            (DatabaseKind::Postgres, "53200", 0, false),
            (DatabaseKind::Mysql, "42S22", 1054, true),
            (DatabaseKind::Mysql, "42000", 1064, true),
            (DatabaseKind::Mysql, "HY000", 1412, false),
            (DatabaseKind::Mysql, "70100", 1969, false),
            (DatabaseKind::Sqlite, "", 1, true),
            (DatabaseKind::Sqlite, "", 10, false),
            (DatabaseKind::Sqlite, "", 13, false),
            (DatabaseKind::Sqlite, "", 266, false),
        ] {
            assert_eq!(
                is_wrong(kind, &error(state, code)),
                wrong,
                "{kind} {state} {code}"
            );
        }
    }
}
