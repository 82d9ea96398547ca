//! What a node tells its sources of itself: how much of its own changes they have not applied, and whether it has to be
//! loaded anew.
//!
//! Said after each start and connection, when it changes, and else with growing pauses: a source that is away finds all
//! of it when it is back.

mod own;

use crate::channel::Context;
use own::Own;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use symstream_shared::db::DbError;
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::restored::RestoredNote;
use symstream_shared::wire::{Contact, StatusReport};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often it is looked, and while the node has something to send.
const LOOK: Duration = Duration::from_secs(10);
const LOOK_WHILE_SENDING: Duration = Duration::from_secs(2);
/// The first pause after which the same is said again, and the longest.
const AGAIN: Duration = Duration::from_secs(10);
const AGAIN_MAX: Duration = Duration::from_secs(300);
/// The longest while something is wrong with a lane: its source may find that the node needs a reload.
const AGAIN_IN_TROUBLE: Duration = Duration::from_secs(20);

/// What a source was told last.
struct Told {
    is_sending: bool,
    reload_wanted: Option<String>,
    at: Instant,
    pause: Duration,
}

/// Tells until `stop`.
pub(crate) async fn run(context: Context, stop: CancellationToken) {
    let mut connections = context.bus.connections();
    let mut policy = context.policy.clone();
    let mut told: HashMap<NodeId, Told> = HashMap::new();
    loop {
        connections.borrow_and_update();
        let takes_part = takes_part(&context);
        let mut pause = LOOK;
        if takes_part {
            match tell(&context, &mut told).await {
                Ok(is_sending) if is_sending => pause = LOOK_WHILE_SENDING,
                Ok(_) => {}
                Err(err) => {
                    tracing::debug!(node_id = %context.node, error = %err, "sources are not told of this node now");
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = connections.changed() => match changed {
                Ok(()) => told.clear(),
                Err(_) => return,
            },
            ended = changes(&mut policy, takes_part) => if ended { return } else { told.clear() },
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// A disabled node is not loaded, so it does not say that it is there.
fn takes_part(context: &Context) -> bool {
    let policy = context.policy.borrow();
    policy.settled && policy.node_enabled
}

/// Waits until the node takes part, or does not any more; whether the loader ends instead.
async fn changes(policy: &mut tokio::sync::watch::Receiver<crate::policy::Policy>, takes_part: bool) -> bool {
    policy
        .wait_for(|now| (now.settled && now.node_enabled) != takes_part)
        .await
        .is_err()
}

/// Tells every source that something is new for, or that has heard nothing for long. Whether any of them lacks something
/// of this node.
async fn tell(context: &Context, told: &mut HashMap<NodeId, Told>) -> Result<bool, DbError> {
    let mut conn = context.database.conn().await?;
    let own = Own::read(&mut conn, &context.tables, &context.node).await?;
    let note = RestoredNote::read(&mut conn, &context.tables).await?;
    drop(conn);
    let missing = context.lasting.all();
    let mut any = false;
    for (source, of) in &own.sources {
        let lacks = missing.iter().find(|((from, channel), batch_id)| {
            from == source && of.positions.get(channel).copied().unwrap_or(0) < **batch_id
        });
        let lacks = lacks.map(|((_, channel), batch_id)| {
            format!("batch {batch_id} of channel {channel}, or one before it, is missing in its lane")
        });
        let restored = note.as_ref().and_then(|note| note.wants(source, of.load_id));
        let contact = Contact {
            unsent: own.unrouted + of.unsent,
            reload_wanted: restored.map(str::to_owned).or(lacks),
        };
        let most = match of.held || contact.reload_wanted.is_some() {
            true => AGAIN_IN_TROUBLE,
            false => AGAIN_MAX,
        };
        let is_sending = contact.unsent > 0;
        any |= is_sending;
        let before = told.get(source);
        let same = before.filter(|before| {
            before.is_sending == is_sending && before.reload_wanted == contact.reload_wanted
        });
        if same.is_some_and(|before| before.at.elapsed() < before.pause.min(most)) {
            continue;
        }
        let now = Told {
            is_sending,
            reload_wanted: contact.reload_wanted.clone(),
            at: Instant::now(),
            pause: same.map_or(AGAIN, |before| (before.pause * 2).min(AGAIN_MAX)),
        };
        told.insert(source.clone(), now);
        let report = StatusReport {
            source: source.clone(),
            target: context.node.clone(),
            // In one order with what becomes of loads.
            channel: ChannelId::reload(),
            results: Vec::new(),
            contact: Some(contact),
        };
        // The loader stops.
        if context.statuses.send(report).await.is_err() {
            return Ok(any);
        }
    }
    let sources: BTreeSet<&NodeId> = own.sources.keys().collect();
    told.retain(|source, _| sources.contains(source));
    Ok(any)
}
