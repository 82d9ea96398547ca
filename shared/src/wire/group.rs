//! Batches for the nodes of a group, stored once.
//!
//! In a group's lane the chain of batches is the group's: each message names the batch before it. A node that takes part
//! from now on is named with the batch before in its own lane; the others of the group that are not meant are named too.

use super::Message;
use super::load::Loading;
use crate::id::{GroupId, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A message for the nodes of a group (`sym.group.…`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupMessage {
    /// The group.
    pub group: GroupId,
    /// Which of its nodes it is for.
    pub audience: Audience,
    /// What each of them gets: [`Message::Lane`], whose target is nobody (`*<group>`) and whose `previous_batch_id` is the
    /// group's, or a [`Message::Fragment`] of one.
    pub content: Box<Message>,
}

/// Which nodes of a group a batch is for. The same in all of its messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    /// Nodes that take part in the group's lane from this batch on, each with the batch before it in its own lane.
    pub joined: Vec<(NodeId, i64)>,
    /// Nodes of the group that it is not for: disabled, ignored, in need of a reload.
    pub excluded: Vec<NodeId>,
    /// Nodes that may not apply it before a load is complete.
    pub loading: Vec<Loading>,
    /// When the group's newest node was registered, in milliseconds since 1970, as far as the configuration knows that
    /// the batch was routed by: it is for every node that was registered until then and is not named in `excluded`.
    #[serde(default)]
    pub registered_until_ms: i64,
}

/// Where the groups' lanes of one source and channel end (`sym.tail.…`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupTails {
    /// Each group's.
    pub groups: BTreeMap<GroupId, GroupTail>,
}

/// Where a group's lane ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupTail {
    /// Its last batch.
    pub batch_id: i64,
    /// The batch before that.
    pub previous_batch_id: i64,
    /// The nodes whose last batch it is, too, each with the time of its registration.
    pub members: BTreeMap<NodeId, i64>,
    /// Those of them that took part from this batch on.
    pub joined: BTreeSet<NodeId>,
}
