//! A node's part in what its group gets as a whole.
//!
//! Every node of the group sees every message of the group's lanes. Each becomes, for this node, either nothing
//! (acknowledged and passed over), or a message of its lane like any other: its predecessor is the group's, or where it
//! takes part from this batch on, the one that the message names for it.
//!
//! | a crash after | leaves | and then |
//! |---|---|---|
//! | `group_batch_id` is set | a batch that names the node as joined, not in its spool and not applied | it was not acknowledged, comes again and says the same |
//! | `group_batch_id` is taken back | a batch that names the node as excluded | the same |
//! | the batch is in the spool, or applied | its acknowledgement is missing | it comes again, and the lane knows it |
//!
//! A node whose database is older than what it took part in (it was restored) finds by the time of its registration that
//! a batch is for it: its lane waits at the hole then, where passing over would lose rows.

use crate::channel::Context;
use crate::ledger::Ledger;
use crate::round::RoundError;
use std::borrow::Cow;
use std::collections::HashMap;
use symstream_nats::{Delivery, PartHeader};
use symstream_shared::db::{DbError, Param, Sql, time_ms};
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::wire::{Audience, Message, Rows};

/// The part of one node in its group's lanes of one channel.
pub(crate) struct GroupLanes<'a> {
    context: &'a Context,
    channel: &'a ChannelId,
    /// The sources in whose lanes it takes part, each with the batch from which on.
    joined: HashMap<NodeId, i64>,
    /// When it was registered, by the registration server's clock.
    registered_ms: Option<i64>,
}

/// What a group's batch is for one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    /// The next one behind this batch. `joins`: the node takes part from now on.
    Taken { previous: i64, joins: bool },
    /// Not for it. `leaves`: nor what follows, until a batch says otherwise.
    Nothing { leaves: bool },
}

impl<'a> GroupLanes<'a> {
    /// What the database says of it.
    pub(crate) async fn open(
        sql: &mut dyn Sql,
        context: &'a Context,
        channel: &'a ChannelId,
    ) -> Result<Self, DbError> {
        let lanes = format!(
            "select source_node_id, group_batch_id from {} where channel_id = ? and group_batch_id is not null",
            context.tables.name("incoming_lane")
        );
        let mut joined = HashMap::new();
        for row in sql.query(&lanes, &[channel.as_str().into()]).await? {
            let source = NodeId::new(row.text(0)?).map_err(|err| DbError::unexpected(err.to_string()))?;
            joined.insert(source, row.int(1)?);
        }
        let registration = format!(
            "select {} from {} where node_id = ?",
            sql.kind().time_as_text("registration_time"),
            context.tables.name("node_security")
        );
        let own = sql
            .query_opt(&registration, &[context.node.as_str().into()])
            .await?;
        let registered = own.map(|row| row.opt_text(0)).transpose()?.flatten();
        Ok(Self {
            context,
            channel,
            joined,
            registered_ms: registered.as_deref().and_then(time_ms),
        })
    }

    /// Makes of a message what it is for the node. `None`: nothing, and that is done with.
    pub(crate) async fn share(&mut self, delivery: Delivery) -> Result<Option<Delivery>, RoundError> {
        let Ok(header) = delivery.header() else {
            return Ok(Some(delivery));
        };
        if header.group.is_none() {
            return Ok(Some(delivery));
        }
        let Ok(Message::Group(message)) = Message::decode(delivery.body()) else {
            // It stays unacknowledged. What follows names it as its predecessor, and waits.
            tracing::error!(node_id = %self.context.node, channel = %self.channel, source = %header.source, batch_id = header.batch_id, "a message for the group is not understood");
            return Ok(None);
        };
        let audience = message.audience;
        match self.share_of(&audience, &header) {
            Share::Nothing { leaves } => {
                if leaves {
                    self.leave(&header.source).await?;
                }
                if let Err(err) = delivery.ack().await {
                    tracing::debug!(channel = %self.channel, error = %err, "acknowledgement is not confirmed");
                }
                Ok(None)
            }
            Share::Taken { previous, joins } => {
                if joins {
                    self.join(&header).await?;
                }
                let load_id = after_load(&audience, &self.context.node);
                Ok(Some(delivery.with_header(PartHeader {
                    target: Some(self.context.node.clone()),
                    previous_batch_id: Some(previous),
                    load_id,
                    ..header
                })))
            }
        }
    }

    fn share_of(&self, audience: &Audience, header: &PartHeader) -> Share {
        share(
            audience,
            &self.context.node,
            (header.batch_id, header.previous_batch_id.unwrap_or(0)),
            self.joined.get(&header.source).copied(),
            self.registered_ms,
        )
    }

    async fn join(&mut self, header: &PartHeader) -> Result<(), RoundError> {
        let (source, batch_id) = (&header.source, header.batch_id);
        if self.joined.get(source).is_some_and(|joined| *joined >= batch_id) {
            return Ok(());
        }
        let mut conn = self.context.database.conn().await?;
        Ledger::new(&self.context.tables, self.channel)
            .add_lane(&mut conn, source)
            .await?;
        self.set(&mut conn, source, Some(batch_id)).await?;
        self.joined.insert(source.clone(), batch_id);
        tracing::info!(node_id = %self.context.node, channel = %self.channel, source = %source, batch_id, "takes part in what the group gets");
        Ok(())
    }

    async fn leave(&mut self, source: &NodeId) -> Result<(), RoundError> {
        let mut conn = self.context.database.conn().await?;
        self.set(&mut conn, source, None).await?;
        self.joined.remove(source);
        Ok(())
    }

    async fn set(&self, sql: &mut dyn Sql, source: &NodeId, batch_id: Option<i64>) -> Result<(), DbError> {
        let statement = format!(
            "update {} set group_batch_id = ? where source_node_id = ? and channel_id = ?",
            self.context.tables.name("incoming_lane")
        );
        let params: [Param; 3] = [
            batch_id.into(),
            source.as_str().into(),
            self.channel.as_str().into(),
        ];
        sql.execute(&statement, &params).await.map(drop)
    }
}

/// What a group's batch with this predecessor is for a node. `joined` is the batch from which on it takes part.
fn share(
    audience: &Audience,
    node: &NodeId,
    (batch_id, previous): (i64, i64),
    joined: Option<i64>,
    registered_ms: Option<i64>,
) -> Share {
    if let Some((_, previous)) = audience.joined.iter().find(|(joined, _)| joined == node) {
        return Share::Taken {
            previous: *previous,
            joins: true,
        };
    }
    if audience.excluded.contains(node) {
        return Share::Nothing {
            leaves: joined.is_some_and(|joined| joined < batch_id),
        };
    }
    // The configuration by which the batch was routed knows the node, and names whom it is not for. All that get the
    // first one of a lane join by it.
    let is_for_it =
        previous > 0 && registered_ms.is_some_and(|registered| registered <= audience.registered_until_ms);
    if is_for_it || joined.is_some_and(|joined| joined < batch_id) {
        Share::Taken {
            previous,
            joins: false,
        }
    } else {
        Share::Nothing { leaves: false }
    }
}

/// The newest load that has to be complete at the node before it applies the batch.
fn after_load(audience: &Audience, node: &NodeId) -> Option<i64> {
    let loads = audience.loading.iter();
    loads
        .filter(|loading| loading.nodes.contains(node))
        .map(|loading| loading.load_id)
        .max()
}

/// The rows of a group's batch that are for the node: those that have not been at it.
pub(crate) fn rows_for<'a>(rows: &'a Rows, node: &NodeId) -> Cow<'a, Rows> {
    if rows.changes.iter().all(|change| !change.path.contains(node)) {
        return Cow::Borrowed(rows);
    }
    let changes = rows.changes.iter();
    Cow::Owned(Rows {
        tables: rows.tables.clone(),
        changes: changes
            .filter(|change| !change.path.contains(node))
            .cloned()
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str) -> NodeId {
        NodeId::new(id).expect("id")
    }

    fn audience() -> Audience {
        Audience {
            joined: vec![(node("new"), 4)],
            excluded: vec![node("off")],
            loading: Vec::new(),
            registered_until_ms: 1000,
        }
    }

    fn of(id: &str, joined: Option<i64>, registered_ms: i64) -> Share {
        share(&audience(), &node(id), (9, 7), joined, Some(registered_ms))
    }

    #[test]
    fn a_batch_is_for_those_that_take_part() {
        let taken = |previous, joins| Share::Taken { previous, joins };
        let nothing = |leaves| Share::Nothing { leaves };
        assert_eq!(of("new", None, 900), taken(4, true));
        assert_eq!(of("new", Some(3), 900), taken(4, true));
        assert_eq!(of("member", Some(3), 2000), taken(7, false));
        assert_eq!(of("off", Some(3), 900), nothing(true));
        // An old message that comes again takes nothing back.
        assert_eq!(of("off", Some(12), 900), nothing(false));
        assert_eq!(of("member", Some(12), 2000), nothing(false));
        // One that was registered later sees what was there before.
        assert_eq!(of("later", None, 2000), nothing(false));
        // One whose database forgot that it takes part.
        assert_eq!(of("restored", None, 900), taken(7, false));
    }

    #[test]
    fn the_first_batch_of_a_lane_is_for_those_that_it_names() {
        let first = share(&audience(), &node("other"), (9, 0), None, Some(900));
        assert_eq!(first, Share::Nothing { leaves: false });
    }
}
