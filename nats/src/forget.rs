//! Removing everything that NATS keeps for a node.

use crate::bus::Bus;
use crate::error::BusError;
use crate::subject::Subjects;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::Stream;
use futures_util::TryStreamExt;
use symstream_shared::id::NodeId;

impl Bus {
    /// Removes what waits for a node, where its lanes end, what its recorder would hear, and its consumers. What the node
    /// itself captured stays until it is routed. Safe to repeat, and to interrupt.
    ///
    /// # Errors
    /// [`BusError`] when JetStream refuses or can not be reached.
    pub async fn forget_node(&self, node: &NodeId) -> Result<(), BusError> {
        let subjects = &self.subjects;
        // The consumers first: a loader that still runs takes nothing from now on.
        for stream in [
            subjects.node_stream(),
            subjects.group_stream(),
            subjects.routed_stream(),
            subjects.status_stream(),
        ] {
            if let Some(stream) = self.stream_if_there(&stream).await? {
                self.delete_consumers(&stream, node).await?;
            }
        }
        if self.stream_if_there(&subjects.lanes_stream()).await?.is_some() {
            self.forget_member(node).await?;
        }
        let mut kept = vec![
            (subjects.lanes_stream(), subjects.tails_to(node)),
            (subjects.routed_stream(), subjects.routed_source(node)),
            (subjects.status_stream(), subjects.status_source(node)),
        ];
        kept.extend(
            subjects
                .all_lanes_to(node)
                .map(|lanes| (subjects.node_stream(), lanes)),
        );
        for (name, filter) in kept {
            if let Some(stream) = self.stream_if_there(&name).await? {
                let purged = stream.purge().filter(filter).await;
                purged.map_err(|err| BusError::refused(format!("purging {name}"), err))?;
            }
        }
        Ok(())
    }

    pub(crate) async fn stream_if_there(&self, name: &str) -> Result<Option<Stream>, BusError> {
        match self.jetstream.get_stream(name).await {
            Ok(stream) => Ok(Some(stream)),
            Err(err) => match err.kind() {
                GetStreamErrorKind::JetStream(code) if code.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                    Ok(None)
                }
                _ => Err(self.unreachable(err)),
            },
        }
    }

    async fn delete_consumers(&self, stream: &Stream, node: &NodeId) -> Result<(), BusError> {
        let names: Vec<String> = stream
            .consumer_names()
            .try_filter(|name| std::future::ready(Subjects::is_consumer_of(name, node)))
            .try_collect()
            .await
            .map_err(|err| self.unreachable(err))?;
        for name in names {
            // Another registrar may have been quicker.
            if let Err(err) = stream.delete_consumer(&name).await
                && stream.get_consumer::<pull::Config>(&name).await.is_ok()
            {
                return Err(BusError::refused(format!("deleting consumer {name}"), err));
            }
        }
        Ok(())
    }
}
