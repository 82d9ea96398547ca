//! Telling the tasks of a node's other channels that a load has begun or is over.

use std::collections::HashMap;
use std::sync::Arc;
use symstream_shared::id::NodeId;
use tokio::sync::watch;

/// How often each source's load has moved since the loader began.
type Counts = HashMap<NodeId, u64>;

/// What the channels of one node tell each other. Clones share it. Nothing depends on it but how soon a channel reads
/// the database again.
#[derive(Debug, Clone, Default)]
pub(crate) struct LoadNews {
    counts: Arc<watch::Sender<Counts>>,
}

impl LoadNews {
    /// What a load of `source` has changed in the database is committed.
    pub(crate) fn tell(&self, source: &NodeId) {
        self.counts
            .send_modify(|counts| *counts.entry(source.clone()).or_default() += 1);
    }

    /// Hears of everything that is told from now on.
    pub(crate) fn listen(&self) -> Listener {
        let mut counts = self.counts.subscribe();
        let heard = counts.borrow_and_update().clone();
        Listener { counts, heard }
    }
}

/// One channel's ear.
#[derive(Debug)]
pub(crate) struct Listener {
    counts: watch::Receiver<Counts>,
    heard: Counts,
}

impl Listener {
    /// Waits until there is something to read. May be dropped.
    pub(crate) async fn news(&mut self) {
        if self.counts.changed().await.is_err() {
            // The loader stops.
            std::future::pending::<()>().await;
        }
        self.counts.mark_changed();
    }

    /// The sources whose loads have moved since the last time.
    pub(crate) fn moved(&mut self) -> Vec<NodeId> {
        if !self.counts.has_changed().unwrap_or(false) {
            return Vec::new();
        }
        let now = self.counts.borrow_and_update().clone();
        let moved = now
            .iter()
            .filter(|(source, count)| self.heard.get(*source) != Some(count))
            .map(|(source, _)| source.clone())
            .collect();
        self.heard = now;
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_told_is_heard_once_by_everybody() {
        let source = NodeId::new("cloud").expect("id");
        let news = LoadNews::default();
        let mut ears = [news.listen(), news.listen()];
        news.tell(&source);
        for ear in &mut ears {
            ear.news().await;
            assert_eq!(ear.moved(), std::slice::from_ref(&source));
            assert_eq!(ear.moved(), []);
        }
        assert_eq!(news.listen().moved(), []);
    }
}
