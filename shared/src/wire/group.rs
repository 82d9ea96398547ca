//! Batches for the nodes of a group, stored once.
//!
//! In a group's lane the chain of batches is the group's: each message names the batch before it. A node that takes part
//! from now on is named with the batch before in its own lane; the others of the group that are not meant are named too.

use super::Message;
use super::load::Loading;
use crate::id::{GroupId, NodeId};
use serde::{Deserialize, Serialize};

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
}
