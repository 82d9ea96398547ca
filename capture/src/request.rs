//! Publishing an `S` or `R` event: an operator's request to one node, a batch of its own.
//!
//! A request that can not be carried out as it is written (no node, no SQL, an unknown table, a condition that the
//! database refuses) must neither stop its channel nor be forgotten quietly: the log names it, and it is published for
//! nobody, so that its `sym_data_event` says `-1`. The operator makes a new one.

use crate::answers::Asker;
use crate::batch_rows::CapturedRequest;
use crate::decode::HistCache;
use crate::error::Error;
use crate::load::{Reload, ReloadError};
use crate::part_encoder::{BatchInfo, PartEncoder};
use crate::source::{Source, now_ms};
use crate::spool::Spool;
use std::time::Duration;
use symstream_shared::csv;
use symstream_shared::db::Tx;
use symstream_shared::id::NodeId;
use symstream_shared::model::Config;
use symstream_shared::wire::Request;

/// How long a request waits for the triggers of its table, which follow the configuration within seconds.
const TRIGGERS_WITHIN: Duration = Duration::from_secs(60);
/// No node has this id: rows for nobody have it in `sym_data_event`.
const NOBODY: &str = "-1";

impl CapturedRequest {
    /// The batch's messages. `info` is what its parts say of it, but for the target and the request.
    pub(crate) async fn encode(
        self,
        source: &Source,
        config: &Config,
        info: BatchInfo,
        snapshot: &mut Tx,
    ) -> Result<Spool, Error> {
        let encoded = if self.event == "S" {
            self.statement(source, config, &info, snapshot).await
        } else {
            self.reload(source, config, &info, snapshot).await
        };
        let waits_until = info.created_ms + i64::try_from(TRIGGERS_WITHIN.as_millis()).unwrap_or(0);
        let why = match encoded {
            Ok(spool) => return Ok(spool),
            Err(ReloadError::Impossible(why)) => why,
            Err(ReloadError::Failed(err @ Error::NotCaptured { .. })) if now_ms() > waits_until => {
                err.to_string()
            }
            Err(ReloadError::Failed(err)) => return Err(err),
        };
        tracing::error!(
            node_id = %source.node, data_id = self.data_id, event_type = %self.event, table = %self.table,
            channel = %info.channel,
            "request can not be carried out and goes to nobody: {why}; make a new one"
        );
        let nobody = NodeId::new(NOBODY).map_err(|err| Error::Task(err.to_string()))?;
        let nothing = Request::Reload {
            data_id: self.data_id,
        };
        without_rows(source, config, for_node(&info, nobody, nothing), snapshot).await
    }

    async fn statement(
        &self,
        source: &Source,
        config: &Config,
        info: &BatchInfo,
        snapshot: &mut Tx,
    ) -> Result<Spool, ReloadError> {
        let node = self.target()?;
        let sql = only_field("row_data", self.row_data.as_deref())?;
        let request = Request::Statement {
            data_id: self.data_id,
            sql,
        };
        Ok(without_rows(source, config, for_node(info, node, request), snapshot).await?)
    }

    async fn reload(
        &self,
        source: &Source,
        config: &Config,
        info: &BatchInfo,
        snapshot: &mut Tx,
    ) -> Result<Spool, ReloadError> {
        let target = self.target()?;
        let condition = match self.row_data.as_deref() {
            None | Some("") => None,
            text => Some(only_field("row_data", text)?),
        };
        let request = Request::Reload {
            data_id: self.data_id,
        };
        let info = for_node(info, target.clone(), request);
        // A node that is not known gets nothing, which the router says.
        let Some(node) = config.nodes.get(&target) else {
            return Ok(without_rows(source, config, info, snapshot).await?);
        };
        let reload = Reload {
            data_id: self.data_id,
            node,
            table: &self.table,
            hist_id: self.hist_id,
            condition: condition.as_deref(),
        };
        reload.encode(source, config, info, snapshot).await
    }

    fn target(&self) -> Result<NodeId, ReloadError> {
        let id = only_field("pk_data", self.pk_data.as_deref())?;
        NodeId::new(id).map_err(|err| ReloadError::Impossible(format!("pk_data: {err}")))
    }
}

fn for_node(info: &BatchInfo, target: NodeId, request: Request) -> BatchInfo {
    BatchInfo {
        targets: vec![target],
        request: Some(request),
        ..info.clone()
    }
}

/// The text of a column whose CSV has one field, and something in it.
fn only_field(column: &str, text: Option<&str>) -> Result<String, ReloadError> {
    let fields = csv::decode_names(text.unwrap_or_default());
    let impossible = |why: String| ReloadError::Impossible(format!("{column}: {why}"));
    let mut fields = fields.map_err(|err| impossible(err.to_string()))?;
    match (fields.pop(), fields.is_empty()) {
        (Some(field), true) if !field.trim().is_empty() => Ok(field),
        _ => Err(impossible(
            "it has to have one CSV field that is not empty".to_owned(),
        )),
    }
}

async fn without_rows(
    source: &Source,
    config: &Config,
    info: BatchInfo,
    snapshot: &mut Tx,
) -> Result<Spool, Error> {
    let mut asker = Asker {
        tables: &source.tables,
        config,
        group: &source.engine.group,
        target_group: None,
        since: None,
        history: &mut HistCache::new(),
    };
    PartEncoder::new(info).finish(snapshot, &mut asker).await
}

#[cfg(test)]
mod tests;
