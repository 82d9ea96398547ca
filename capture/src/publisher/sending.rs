//! A batch on its way to the stream, one message after the other.

use crate::error::Error;
use crate::source::now_ms;
use crate::spool::Spool;
use symstream_nats::{CapturedPublisher, PartHeader};

/// A message with the number of rows that are complete with it.
type Part = Result<(u64, Vec<u8>), Error>;

/// The messages of one batch that are still to be published.
pub(crate) struct Sending {
    batch: PartHeader,
    parts: Box<dyn Iterator<Item = Part> + Send>,
    byte_count: i64,
    /// The part that was stored last.
    part: u32,
    part_last: u32,
}

impl Sending {
    /// All messages of `batch`, whose header lacks only what differs between them.
    ///
    /// # Errors
    /// [`Error::Spool`] when the temporary file can not be read.
    pub(crate) fn new(batch: PartHeader, spool: Spool) -> Result<Self, Error> {
        Ok(Self {
            part_last: spool.count(),
            byte_count: spool.byte_count(),
            parts: Box::new(spool.into_parts()?),
            part: 0,
            batch,
        })
    }

    pub(crate) fn batch_id(&self) -> i64 {
        self.batch.batch_id
    }

    /// What all messages of the batch take.
    pub(crate) fn byte_count(&self) -> i64 {
        self.byte_count
    }

    /// Publishes the next message; `false` when all are stored.
    ///
    /// # Errors
    /// Those of [`CapturedPublisher::publish`].
    pub(crate) async fn publish_next(&mut self, publisher: &mut CapturedPublisher) -> Result<bool, Error> {
        let Some(message) = self.parts.next() else {
            tracing::debug!(
                channel = %self.batch.channel, batch_id = self.batch.batch_id, part_count = self.part_last,
                "batch published"
            );
            return Ok(false);
        };
        let (rows, body) = message?;
        let header = PartHeader {
            rows,
            part: self.part + 1,
            part_last: self.part_last,
            time_ms: now_ms(),
            ..self.batch.clone()
        };
        publisher.publish(&header, body).await?;
        self.part += 1;
        Ok(true)
    }
}
