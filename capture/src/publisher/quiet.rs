//! Whether the snapshot of an `R` event is what the lane brings in front of it.
//!
//! A table that is read again is newer than the changes before it as soon as somebody writes: its rows may refer to
//! others that only a later batch brings, or be overtaken by older versions of themselves. So the table is read in a
//! snapshot in which all changes of the channel were cut, and none of them waits behind the event.

use super::BATCHES_AHEAD;
use crate::batch_store;
use crate::data_runs::DataRuns;
use crate::dialect::reading::{Backlog, change_reader};
use crate::error::Error;
use crate::source::Source;
use crate::state;
use symstream_shared::db::{Sql, Tx};
use symstream_shared::id::ChannelId;

/// What a snapshot holds that the batches in front of an event do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Newer {
    Nothing,
    /// Changes in batches behind the event.
    Cut,
    /// Changes that are in no batch yet.
    Uncut,
}

/// What `snapshot` holds behind the event's batch.
pub(super) async fn newer(
    snapshot: &mut Tx,
    source: &Source,
    channel: &ChannelId,
    batch_id: i64,
) -> Result<Newer, Error> {
    if has_changes_behind(snapshot, source, channel, batch_id).await? {
        return Ok(Newer::Cut);
    }
    let position = state::get(snapshot, &source.tables, state::CAPTURE_POSITION).await?;
    // A reader of its own: what it learns must not count for the one that cuts.
    let mut reader = change_reader(
        &source.database,
        &source.tables,
        Backlog::default(),
        source.parameters.clone(),
    );
    let mut uncut = false;
    reader
        .read(snapshot, position.as_deref(), &mut |row| {
            uncut |= row.channel == *channel && !row.is_request;
        })
        .await?;
    Ok(if uncut { Newer::Uncut } else { Newer::Nothing })
}

/// Other requests do not count: the table does not depend on them, and two would let each other pass for ever.
async fn has_changes_behind(
    snapshot: &mut Tx,
    source: &Source,
    channel: &ChannelId,
    batch_id: i64,
) -> Result<bool, Error> {
    let tables = &source.tables;
    let behind = batch_store::next(snapshot, tables, channel, batch_id, BATCHES_AHEAD).await?;
    let mut single = DataRuns::default();
    for batch in &behind {
        let mut ids = batch.runs.ids();
        match (ids.next(), ids.next()) {
            (Some(data_id), None) => single.push(data_id),
            _ => return Ok(true),
        }
    }
    if behind.is_empty() {
        return Ok(false);
    }
    let (condition, params) = single.condition("data_id");
    let statement = format!(
        "select 1 from {} where ({condition}) and event_type not in ('R', 'S') limit 1",
        tables.name("data")
    );
    Ok(snapshot.query_opt(&statement, &params).await?.is_some())
}
