//! Batches of nodes that were removed.
//!
//! A batch is decided by the version of the configuration that it names, and a node that was removed can go on naming one of
//! before. So the source has to be registered in the newest version, too; else its batches are for nobody, also those of
//! before its removal that were not routed yet. A node that is disabled, or registers again with its database, stays
//! registered, and what it sent in between is routed.
//!
//! This is the one thing in which a batch that is routed again after a crash may come out otherwise than the first time: its
//! source may have been removed in between, when some lanes have messages of it and no tail names it. That stays right.
//! A lane that has the whole batch applies it like those before the removal; one that has some of its parts, or
//! nothing, never applies it, for a batch is applied whole; and nothing comes behind it, because every later batch of
//! the source is for nobody, too. Should the same database be registered again, its next batch in a lane that had applied
//! the half-written one names the batch before that: the lane waits as for any batch that is lost, and asks for an initial
//! load. It never goes on over the gap.

use crate::decide::Decision;
use crate::error::RouteError;
use crate::outputs::Outputs;
use crate::part_reader::PartReader;
use crate::route::{BatchRouter, now_ms};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use symstream_nats::CapturedMessage;
use symstream_shared::id::NodeId;

/// Sources remembered, so that each is told of once.
const SOURCES_MAX: usize = 1000;

/// The removed nodes whose batches came, each told of once.
#[derive(Default)]
pub(crate) struct RemovedSources {
    told: Mutex<HashSet<NodeId>>,
}

impl RemovedSources {
    /// Whether nothing was said of this source yet.
    fn is_news(&self, source: &NodeId) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= SOURCES_MAX {
            told.clear();
        }
        told.insert(source.clone())
    }
}

impl BatchRouter {
    /// Whether a batch's source was removed. One that the version lacks by which its batch is decided is not meant: that is
    /// an error, for a newer version may have it.
    ///
    /// # Errors
    /// [`RouteError`] as for reading a configuration.
    pub(crate) async fn is_of_removed(
        &self,
        last: &CapturedMessage,
        version: Option<i64>,
    ) -> Result<bool, RouteError> {
        let source = &last.header.source;
        let version = version.unwrap_or(last.header.configuration_version);
        let named = self.configurations.get(version).await?;
        if !named.nodes.contains_key(source) {
            return Ok(false);
        }
        let newest = self.configurations.newest(&named).await?;
        if newest.registered.contains(source) {
            return Ok(false);
        }
        // It may have been registered again just now.
        let newest = self.configurations.newest_now(&named).await?;
        Ok(!newest.registered.contains(source))
    }

    /// Reports a batch as for nobody.
    ///
    /// # Errors
    /// [`RouteError`] when its parts can not be read or the report is not stored.
    pub(crate) async fn pass_over(&self, last: &CapturedMessage, started_ms: i64) -> Result<(), RouteError> {
        let header = &last.header;
        if self.removed.is_news(&header.source) {
            tracing::warn!(
                node_id = %header.source, channel = %header.channel, batch_id = header.batch_id,
                "the node was removed; what it goes on sending is for nobody"
            );
        }
        let mut reader = PartReader::new(&self.bus, last);
        while let Some(numbered) = reader.next().await? {
            let decision = Decision::for_nobody(&numbered.part);
            let reporter = self.reporter(&numbered, started_ms);
            self.report(&reporter.on_part(&numbered, &decision, &Outputs::default(), now_ms()))
                .await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_told_of_once() {
        let removed = RemovedSources::default();
        let node = |id: &str| NodeId::new(id).expect("id");
        assert!(removed.is_news(&node("a")));
        assert!(removed.is_news(&node("b")));
        assert!(!removed.is_news(&node("a")));
    }
}
