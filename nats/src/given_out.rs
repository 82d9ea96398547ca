//! Which batch ids of a source the streams know.

use crate::bus::Bus;
use crate::error::BusError;
use symstream_shared::id::{ChannelId, NodeId};

impl Bus {
    /// The highest batch id of a source that anybody was sent: in front of the routers on these channels, or in any lane.
    /// 0 where there is none. A lane's tail stays for ever, so this tells also of batches that left the streams long ago.
    ///
    /// # Errors
    /// [`BusError::Unreachable`], [`BusError::Missing`] (no streams yet), [`BusError::Malformed`].
    pub async fn highest_batch(&self, source: &NodeId, channels: &[ChannelId]) -> Result<i64, BusError> {
        let mut highest = 0;
        for channel in channels {
            let published = self.captured(source, channel).last().await?;
            highest = highest.max(published.map_or(0, |part| part.batch_id));
        }
        let (stream, subject) = (self.subjects.lanes_stream(), self.subjects.tails_of(source));
        let mut from = 1;
        // One message for each lane.
        while let Some(tail) = self.next_stored(stream.clone(), &subject, from).await? {
            let batch_id = tail.headers.get("Sym-Batch").map(|value| value.as_str().parse());
            match batch_id {
                Some(Ok(batch_id)) => highest = highest.max(batch_id),
                _ => {
                    return Err(BusError::Malformed {
                        subject: tail.subject.to_string(),
                        message: "header Sym-Batch is missing or no number".to_owned(),
                    });
                }
            }
            from = tail.sequence + 1;
        }
        Ok(highest)
    }
}
