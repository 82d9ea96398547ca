//! Applying what waits in the spool, and what becomes of a batch's lane.

use super::{Round, RoundError};
use crate::attempt::now_ms;
use crate::batch::{BatchKey, Content, LoadError};
use crate::lane::{Arrival, Hold, Lane};
use crate::patience::load_patiently;
use crate::spool::SpoolPart;
use std::time::Duration;
use symstream_shared::db::TxKind;
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::retry::Backoff;
use symstream_shared::wire::BatchResult;
use tokio::time::Instant;

/// A failed batch is tried again after a second, then after twice as long each time, up to five minutes.
const ATTEMPT_PAUSE: Duration = Duration::from_secs(1);
const ATTEMPT_PAUSE_MAX: Duration = Duration::from_secs(300);

impl Round<'_> {
    /// The lane is not where this round believes it to be.
    pub(super) async fn overtaken(&self, source: &NodeId) -> RoundError {
        let known = self.lanes.get(source).map(Lane::load);
        let now = async {
            let mut conn = self.context.database.conn().await?;
            self.loads.of(&mut conn, source).await
        };
        match now.await {
            Ok(now) if *self.channel != ChannelId::reload() && known != Some(now) => RoundError::Moved,
            _ => RoundError::Overtaken,
        }
    }

    /// Applies a batch that waited in the spool.
    pub(crate) async fn load_spooled(&mut self, source: NodeId, batch_id: i64) -> Result<(), RoundError> {
        let previous = self.lanes.get(&source).map_or(0, Lane::position);
        let batch = BatchKey {
            source,
            batch_id,
            previous,
        };
        self.served = Some(batch.source.clone());
        match load_patiently(&mut self.loader, &batch, &Content::Spool, None).await {
            Ok(result) => {
                if let Some(by_hand) = &result.failure {
                    tracing::warn!(node_id = %self.context.node, source = %batch.source, channel = %self.channel, batch_id, reason = %by_hand.message, "the held batch is passed over");
                } else if self
                    .lanes
                    .get(&batch.source)
                    .is_some_and(|lane| lane.hold().is_some())
                {
                    tracing::info!(node_id = %self.context.node, source = %batch.source, channel = %self.channel, batch_id, "the held batch is applied");
                }
                self.applied(&batch);
                self.tell(&batch.source, vec![result]).await
            }
            Err(LoadError::Failed(result)) => {
                if self.hold(&batch, &result, None).await? {
                    self.tell(&batch.source, vec![*result]).await?;
                }
                Ok(())
            }
            Err(LoadError::Incomplete) => {
                if let Some(lane) = self.lanes.get_mut(&batch.source) {
                    lane.incomplete(batch_id);
                }
                self.watch(&batch.source);
                tracing::warn!(node_id = %self.context.node, source = %batch.source, channel = %self.channel, batch_id, "a part of a batch is missing; the lane waits for it");
                self.intake.reopen();
                Ok(())
            }
            Err(LoadError::Passing(err)) => Err(err.into()),
            Err(LoadError::Overtaken) => Err(self.overtaken(&batch.source).await),
        }
    }

    pub(super) fn applied(&mut self, batch: &BatchKey) {
        if let Some(lane) = self.lanes.get_mut(&batch.source) {
            lane.applied(batch.batch_id);
        }
        self.holds.applied(&batch.source);
        self.watch(&batch.source);
        tracing::debug!(node_id = %self.context.node, source = %batch.source, channel = %self.channel, batch_id = batch.batch_id, "batch applied");
    }

    /// Holds the lane at a batch that failed. Returns whether the failure is another than the last time.
    pub(super) async fn hold(
        &mut self,
        batch: &BatchKey,
        result: &BatchResult,
        message: Option<(SpoolPart<'_>, Arrival)>,
    ) -> Result<bool, RoundError> {
        let before = self
            .lanes
            .get(&batch.source)
            .and_then(Lane::hold)
            .filter(|hold| hold.batch_id == batch.batch_id);
        let attempts = before.map_or(0, |hold| hold.attempts);
        let failure = result.failure.as_ref();
        let error = failure.map_or_else(String::new, |failure| failure.message.clone());
        let news = before.is_none_or(|hold| hold.message != error);
        let pause = Backoff::pause_after(ATTEMPT_PAUSE, ATTEMPT_PAUSE_MAX, attempts);
        let next_ms = now_ms() + i64::try_from(pause.as_millis()).unwrap_or(0);

        let mut tx = self.context.database.begin(TxKind::Write).await?;
        let at = (batch.previous, batch.batch_id);
        let held = self
            .ledger
            .hold(&mut tx, &batch.source, at, attempts + 1, next_ms)
            .await?;
        if !held {
            tx.rollback().await?;
            return Err(self.overtaken(&batch.source).await);
        }
        if news {
            self.ledger.record(&mut tx, &batch.source, result).await?;
        }
        if let Some((part, _)) = message {
            self.spool.put(&mut tx, part).await?;
        }
        tx.commit().await?;

        if news {
            tracing::error!(
                node_id = %self.context.node,
                source = %batch.source,
                channel = %self.channel,
                batch_id = batch.batch_id,
                row_number = failure.map(|failure| failure.row_number),
                sql_state = failure.map(|failure| failure.sql_state.as_str()),
                sql_code = failure.map(|failure| failure.sql_code),
                %error,
                "batch failed; its lane is held, the batch is tried again"
            );
        }
        if let Some(lane) = self.lanes.get_mut(&batch.source) {
            if let Some((_, arrival)) = message {
                lane.spooled(arrival);
            }
            let hold = Hold {
                batch_id: batch.batch_id,
                attempts: attempts + 1,
                next_attempt: Instant::now() + pause,
                message: error,
            };
            self.holds.held(&batch.source, &hold);
            lane.held(hold);
        }
        Ok(news)
    }
}
