//! What is kept in NATS for nodes that were removed, or that start a new life with another database.
//!
//! `remove-node` leaves a note in `sym_state`; as long as it is there, this clears up again from time to time: a batch
//! that was captured by an older configuration may still be routed to the node, for as long as the stream of captured
//! batches keeps it, and nobody would ever take it.

use super::{Registrar, in_time};
use crate::error::Error;
use std::time::Duration;
use symstream_nats::BusError;
use symstream_shared::db::{DbError, Sql, Tx};
use symstream_shared::id::NodeId;
use symstream_shared::registration::{REMOVAL_STATE, removed_state};
use symstream_shared::retry::Disposition;
use tokio_util::sync::CancellationToken;

/// How often the notes are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How long clearing up for one node may take.
const CLEAR_WITHIN: Duration = Duration::from_secs(60);
/// When it is done once more for the first time, and how often after that.
const AGAIN_FIRST_MS: i64 = 60_000;
const AGAIN_MS: i64 = 3_600_000;
/// For how long: a day more than captured batches are kept.
const KEEP_MS: i64 = 8 * 24 * 3_600_000;

/// For how long others leave a note alone whose node is being cleared up for.
const LEASE_MS: i64 = 90_000;

const BUSY: &str = "busy";

/// A note: when clearing up is due, since when it is done, and whether somebody is at it. Texts that are no note are due
/// at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Note {
    due_ms: i64,
    first_ms: i64,
    is_busy: bool,
}

impl Note {
    fn read(text: &str) -> Self {
        let number = |part: Option<&str>| part.and_then(|part| part.parse().ok()).unwrap_or(0);
        let mut parts = text.split(' ');
        Self {
            due_ms: number(parts.next()),
            first_ms: number(parts.next()),
            is_busy: parts.next() == Some(BUSY),
        }
    }

    fn text(self) -> String {
        let busy = if self.is_busy {
            format!(" {BUSY}")
        } else {
            String::new()
        };
        format!("{} {}{busy}", self.due_ms, self.first_ms)
    }

    /// What it says while somebody clears up from `now_ms` on.
    fn begun(self, now_ms: i64) -> Self {
        Self {
            due_ms: now_ms + LEASE_MS,
            is_busy: true,
            ..self
        }
    }

    /// What it says after it was done at `now_ms`; `None` when nothing is left to do.
    fn done(self, now_ms: i64) -> Option<Self> {
        if self.first_ms == 0 {
            return Some(Self {
                due_ms: now_ms + AGAIN_FIRST_MS,
                first_ms: now_ms,
                is_busy: false,
            });
        }
        (now_ms - self.first_ms < KEEP_MS).then_some(Self {
            due_ms: now_ms + AGAIN_MS,
            is_busy: false,
            ..self
        })
    }
}

/// Clears up for removed nodes until asked to stop.
///
/// # Errors
/// [`Error::Database`] when the database refuses the login.
pub(super) async fn run(registrar: Registrar, shutdown: CancellationToken) -> Result<(), Error> {
    let mut told = String::new();
    loop {
        match in_time(registrar.removals()).await {
            Err(err) if err.disposition == Disposition::Fatal => return Err(err.into()),
            Err(err) => tracing::debug!(error = %err, "removed nodes can not be looked up now"),
            Ok(removals) => {
                for (state, text) in removals {
                    match registrar.clear_if_due(&state, &text).await {
                        Ok(()) => told.clear(),
                        Err(why) if why != told => {
                            tracing::warn!(
                                error = why,
                                "what is kept in nats for removed nodes can not be removed now; trying again"
                            );
                            told = why;
                        }
                        Err(_) => {}
                    }
                }
            }
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl Registrar {
    async fn removals(&self) -> Result<Vec<(String, String)>, DbError> {
        // No range of keys: in which order texts stand is a matter of the database's locale.
        let query = format!(
            "select state_key, state_value from {} where substr(state_key, 1, {}) = ?",
            self.tables.name("state"),
            REMOVAL_STATE.len()
        );
        let rows = self.database.query(&query, &[REMOVAL_STATE.into()]).await?;
        let note = |row: &symstream_shared::db::Row| Ok((row.text(0)?, row.opt_text(1)?.unwrap_or_default()));
        rows.iter().map(note).collect()
    }

    async fn clear_if_due(&self, state: &str, text: &str) -> Result<(), String> {
        let Some(Ok(node)) = state.strip_prefix(REMOVAL_STATE).map(NodeId::new) else {
            return Ok(());
        };
        let note = Note::read(text);
        let failed = |err: DbError| err.to_string();
        if note.due_ms > now_ms() || self.is_registered(&node).await.map_err(failed)? {
            return Ok(());
        }
        let begun = note.begun(now_ms()).text();
        if !self
            .replace_note(state, text, Some(&begun))
            .await
            .map_err(failed)?
        {
            return Ok(());
        }
        self.clear(&node).await.map_err(|err| err.to_string())?;
        if note.first_ms == 0 {
            tracing::info!(node_id = %node, "removed what was kept in nats for a node that was removed");
        }
        let after = note.done(now_ms()).map(Note::text);
        let replaced = self.replace_note(state, &begun, after.as_deref()).await;
        replaced.map(drop).map_err(failed)
    }

    /// Whether the note was replaced: not where somebody else did it meanwhile, or the node was registered again.
    async fn replace_note(&self, state: &str, before: &str, after: Option<&str>) -> Result<bool, DbError> {
        let table = self.tables.name("state");
        let replaced = match after {
            Some(after) => {
                let update =
                    format!("update {table} set state_value = ? where state_key = ? and state_value = ?");
                let values = [after.into(), state.into(), before.into()];
                in_time(self.database.execute(&update, &values)).await?
            }
            None => {
                let delete = format!("delete from {table} where state_key = ? and state_value = ?");
                let values = [state.into(), before.into()];
                in_time(self.database.execute(&delete, &values)).await?
            }
        };
        Ok(replaced > 0)
    }

    async fn is_registered(&self, node: &NodeId) -> Result<bool, DbError> {
        let query = format!(
            "select 1 from {} where node_id = ? and registration_time is not null",
            self.tables.name("node_security")
        );
        let rows = self.database.query(&query, &[node.as_str().into()]).await?;
        Ok(!rows.is_empty())
    }

    async fn clear(&self, node: &NodeId) -> Result<(), BusError> {
        match tokio::time::timeout(CLEAR_WITHIN, self.bus.forget_node(node)).await {
            Ok(cleared) => cleared,
            Err(_) => Err(BusError::Missing(format!(
                "an answer to removing the consumers of node {node}"
            ))),
        }
    }

    /// Removes what waits for a node of its earlier life, before it is registered for the new one.
    pub(super) async fn clear_for_new_life(&self, node: &NodeId) -> Result<(), BusError> {
        self.clear(node).await
    }

    /// The note that the node was removed, while something may still be to do for that.
    ///
    /// # Errors
    /// [`DbError`]; to be tried again while somebody clears up for the node.
    pub(super) async fn removal_note(&self, tx: &mut Tx, node: &NodeId) -> Result<Option<String>, DbError> {
        let query = format!(
            "select state_value from {} where state_key = ?",
            self.tables.name("state")
        );
        let noted = tx
            .query_opt(&query, &[removed_state(node.as_str()).into()])
            .await?;
        let Some(text) = noted.map(|row| row.opt_text(0)).transpose()? else {
            return Ok(None);
        };
        let text = text.unwrap_or_default();
        let note = Note::read(&text);
        if note.is_busy && note.due_ms > now_ms() {
            return Err(busy(node));
        }
        Ok(Some(text))
    }

    /// From now on what is in NATS for the node is of its new life.
    ///
    /// # Errors
    /// [`DbError`]; to be tried again where somebody began to clear up for the node meanwhile.
    pub(super) async fn forget_removal(&self, tx: &mut Tx, node: &NodeId, note: &str) -> Result<(), DbError> {
        let delete = format!(
            "delete from {} where state_key = ? and state_value = ?",
            self.tables.name("state")
        );
        let key = removed_state(node.as_str());
        match tx.execute(&delete, &[key.into(), note.into()]).await? {
            0 => Err(busy(node)),
            _ => Ok(()),
        }
    }
}

fn busy(node: &NodeId) -> DbError {
    DbError {
        disposition: Disposition::Retry,
        ..DbError::unexpected(format!("what was kept for node {node} is just being removed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clearing_up_is_repeated_for_as_long_as_something_may_come() {
        // As `remove-node` writes it.
        let first = Note::read("0 0").done(1000).expect("once more");
        assert_eq!(first.text(), format!("{} 1000", 1000 + AGAIN_FIRST_MS));
        let busy = Note::read(&first.begun(2000).text());
        assert!(busy.is_busy && busy.due_ms == 2000 + LEASE_MS);
        let second = busy.done(3000).expect("once more");
        assert_eq!(second.text(), format!("{} 1000", 3000 + AGAIN_MS));
        assert_eq!(second.done(1000 + KEEP_MS), None);
    }
}
