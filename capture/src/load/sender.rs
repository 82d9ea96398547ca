//! Publishing the batches of all loads on the one subject that they share, one whole batch after the other.

use crate::error::Error;
use crate::publisher::Sending;
use crate::source::Source;
use crate::spool::Spool;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use symstream_nats::{BatchType, Bus, BusError, CapturedPublisher, PartHeader};
use symstream_shared::id::ChannelId;
use tokio::sync::Mutex;

/// How often a server or stream that is away is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The subject's publisher.
pub(super) struct Sender {
    source: Source,
    bus: Bus,
    publisher: Mutex<Option<CapturedPublisher>>,
    /// What was stored on the subject was found to be gone, and nobody has asked for that yet.
    lost: AtomicBool,
}

/// What the headers of a load's batch say of it.
pub(super) struct Envelope {
    pub load_id: i64,
    pub batch_id: i64,
    pub configuration_version: i64,
}

impl Sender {
    /// Publishes nothing yet.
    pub(super) fn new(source: Source, bus: Bus) -> Self {
        Self {
            source,
            bus,
            publisher: Mutex::new(None),
            lost: AtomicBool::new(false),
        }
    }

    /// Publishes one batch, however long NATS is away.
    ///
    /// # Errors
    /// [`Error::Bus`] when somebody else publishes on the subject, or what was stored there is gone: the load has to begin
    /// anew.
    pub(super) async fn publish(&self, envelope: &Envelope, spool: Spool) -> Result<(), Error> {
        let header = PartHeader {
            source: self.source.node.clone(),
            target: None,
            channel: ChannelId::reload(),
            batch_id: envelope.batch_id,
            previous_batch_id: None,
            batch_type: BatchType::InitialLoad,
            rows: 0,
            part: 0,
            part_last: 0,
            configuration_version: envelope.configuration_version,
            time_ms: 0,
            load_id: Some(envelope.load_id),
            group: None,
        };
        let mut sending = Sending::new(header, spool)?;
        let mut held = self.publisher.lock().await;
        // Taken out: where the publishing fails or is dropped, only the subject tells where to go on.
        let mut publisher = match held.take() {
            Some(publisher) => publisher,
            None => self.resume().await?,
        };
        loop {
            match sending.publish_next(&mut publisher).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(err) => {
                    if matches!(err, Error::Bus(BusError::Lost { .. })) {
                        self.lost.store(true, Ordering::Relaxed);
                    }
                    return Err(err);
                }
            }
        }
        *held = Some(publisher);
        Ok(())
    }

    /// Whether messages were lost from the subject since this was asked last.
    pub(super) fn has_lost(&self) -> bool {
        self.lost.swap(false, Ordering::Relaxed)
    }

    /// Whether anything stands on the subject; also where nobody can tell now.
    pub(super) async fn holds_any(&self) -> bool {
        let mut publisher = self.bus.captured(&self.source.node, &ChannelId::reload());
        !matches!(publisher.last().await, Ok(None))
    }

    /// A publisher behind what stands on the subject, where nothing of an earlier one can come any more.
    async fn resume(&self) -> Result<CapturedPublisher, Error> {
        loop {
            let mut publisher = self.bus.captured(&self.source.node, &ChannelId::reload());
            match publisher.last_for_good().await {
                Ok(_) => return Ok(publisher),
                Err(BusError::Unreachable { .. } | BusError::Missing(_)) => {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Err(err) => return Err(err.into()),
            }
        }
    }
}
