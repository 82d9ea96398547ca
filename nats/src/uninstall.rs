//! Removing everything that NATS keeps for all nodes.

use crate::bus::Bus;
use crate::error::BusError;

impl Bus {
    /// Deletes the streams with their consumers and everything in them, and returns the names of those that were there.
    /// Safe to repeat.
    ///
    /// # Errors
    /// [`BusError`] when JetStream refuses or can not be reached.
    pub async fn delete_streams(&self) -> Result<Vec<String>, BusError> {
        let subjects = &self.subjects;
        let mut deleted = Vec::new();
        for name in [
            subjects.capture_stream(),
            subjects.node_stream(),
            subjects.group_stream(),
            subjects.lanes_stream(),
            subjects.routed_stream(),
            subjects.status_stream(),
            subjects.configuration_stream(),
        ] {
            if self.stream_if_there(&name).await?.is_some() {
                let done = self.jetstream.delete_stream(&name).await;
                done.map_err(|err| BusError::refused(format!("deleting stream {name}"), err))?;
                deleted.push(name);
            }
        }
        Ok(deleted)
    }
}
