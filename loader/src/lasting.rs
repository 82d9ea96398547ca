//! Holes that nothing fills any more, as all channels of a node know them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use symstream_shared::id::{ChannelId, NodeId};

/// The batches that lanes miss although the stream has nothing more for them, by source and channel.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastingHoles(Arc<Mutex<BTreeMap<(NodeId, ChannelId), i64>>>);

impl LastingHoles {
    /// What a channel's lanes miss now.
    pub(crate) fn set(&self, channel: &ChannelId, missing: impl IntoIterator<Item = (NodeId, i64)>) {
        let mut holes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        holes.retain(|(_, of), _| of != channel);
        for (source, batch_id) in missing {
            holes.insert((source, channel.clone()), batch_id);
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> BTreeMap<(NodeId, ChannelId), i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
