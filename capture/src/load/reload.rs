//! Sending a table, or some of its rows, to one node again (`R` events).

use super::plan::{self, LoadTable};
use super::rows::{self, InsertTaker};
use crate::answers::Asker;
use crate::decode::HistCache;
use crate::error::Error;
use crate::part_encoder::{BatchInfo, PartEncoder};
use crate::source::Source;
use crate::spool::Spool;
use symstream_shared::catalog;
use symstream_shared::db::{Sql, Tx, TxKind};
use symstream_shared::model::{Config, Node, Trigger};
use symstream_shared::retry::Disposition;
use symstream_shared::wire::Change;

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
        let table = plan::reload(
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
        if let Some(table) = table {
            rows::read(snapshot, &table, self.data_id, &mut sending)
                .await
                .map_err(refused_statement)?;
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
            "select trigger_id, source_table_name from {} where trigger_hist_id = ?",
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
        let Some(trigger) = config.triggers.get(&trigger_id).filter(|trigger| trigger.active) else {
            return impossible(format!("trigger {trigger_id} is not active"));
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

/// A statement that the database refuses is wrong: the event's condition is, or an `initial_load_select`.
fn refused_statement(err: Error) -> ReloadError {
    match err {
        Error::Database(err) if err.disposition == Disposition::Hold => ReloadError::Impossible(format!(
            "the condition, or an initial_load_select of the table, can not be used: {}",
            err.message
        )),
        err => ReloadError::Failed(err),
    }
}

struct Sending<'a> {
    encoder: PartEncoder,
    questions: Tx,
    asker: Asker<'a>,
}

impl InsertTaker for Sending<'_> {
    async fn take(&mut self, table: &LoadTable, insert: Change) -> Result<(), Error> {
        self.encoder
            .push(&mut self.questions, &mut self.asker, &table.layout.table, insert)
            .await
    }
}
