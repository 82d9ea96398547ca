//! What is the same for all nodes of a group: stored once, and every node's lane stays whole.

use crate::world::{PATIENCE, Running, World, channel, next_report, node, part};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use symstream_nats::{Deliveries, Delivery};
use symstream_shared::cell::Cell;
use symstream_shared::model::LinkAction;
use symstream_shared::wire::{Assembler, GroupMessage, LanePart, Message, Part, Request};
use symstream_tests::stored::Stored;

const NODES: [&str; 3] = ["a", "b", "c"];
/// A third node of the group, which gets what is for all from two nodes on.
const GROUP: &str = "
    insert into sym_node (node_id, node_group_id, external_id, sync_enabled) values ('c', 'local', 'c', 1);
    insert into sym_node_security (node_id, password, registration_time) values ('c', 'x', '2026-01-01 00:00:00');
    insert into sym_parameter (external_id, node_group_id, param_key, param_value) values
        ('ALL', 'local', 'group.broadcast.nodes.min', '2');";

async fn world() -> (World, Running, i64) {
    let (world, router) = World::with_router().await;
    let version = edit(&world, GROUP).await;
    (world, router, version)
}

/// Changes the configuration; returns the version that has the change.
async fn edit(world: &World, sql: &str) -> i64 {
    let before = world.version().await;
    world.database.transaction(sql).await;
    world
        .version_with(|configuration| configuration.version > before)
        .await
}

async fn publish(world: &World, parts: Vec<Part>) {
    let (batch_id, version) = (parts[0].batch_id, parts[0].configuration_version);
    let bodies = parts
        .into_iter()
        .map(|part| (Message::Captured(part).encode().expect("encode"), 0))
        .collect();
    world.publish("c0", batch_id, version, bodies).await;
}

fn statement(batch_id: i64, version: i64, target: &str) -> Part {
    Part {
        targets: vec![node(target)],
        request: Some(Request::Statement {
            data_id: 40 + batch_id,
            sql: "delete from sale".to_owned(),
        }),
        ..part("c0", batch_id, version, &[])
    }
}

/// What a loader makes of the messages of both its consumers: each batch with its predecessor and its rows, taken in the
/// order of the chain.
struct Follower {
    node: &'static str,
    of_group: Deliveries,
    of_node: Deliveries,
    joined: bool,
    position: i64,
    /// By the batch before: the batch, and its parts so far.
    waiting: HashMap<i64, (i64, BTreeMap<u32, Message>, u32)>,
    batches: Vec<(i64, Vec<i64>)>,
}

impl Follower {
    fn new(world: &World, id: &'static str) -> Self {
        Self {
            node: id,
            of_group: world.bus.group_deliveries(&node(id), &channel("c0")),
            of_node: world
                .bus
                .lane_deliveries(&node(id), &channel("c0"), LinkAction::Push),
            joined: false,
            position: 0,
            waiting: HashMap::new(),
            batches: Vec::new(),
        }
    }

    /// Takes messages until the node has this batch.
    async fn reach(&mut self, batch_id: i64) -> Vec<(i64, Vec<i64>)> {
        while self.position < batch_id {
            let delivery = tokio::time::timeout(PATIENCE, async {
                tokio::select! {
                    delivery = self.of_group.next() => delivery,
                    delivery = self.of_node.next() => delivery,
                }
            });
            let Ok(delivery) = delivery.await else {
                let waiting: Vec<_> = self.waiting.iter().map(|(before, of)| (before, of.0)).collect();
                panic!("{} ends at {} with {waiting:?}", self.node, self.position)
            };
            delivery.ack().await.expect("acknowledge");
            self.take(&delivery);
            while self.apply() {}
        }
        std::mem::take(&mut self.batches)
    }

    fn take(&mut self, delivery: &Delivery) {
        let header = delivery.header().expect("headers");
        let mut previous = header.previous_batch_id.expect("a predecessor");
        let mut message = Message::decode(delivery.body()).expect("message");
        if let Message::Group(GroupMessage {
            audience, content, ..
        }) = message
        {
            let own = node(self.node);
            if let Some((_, before)) = audience.joined.iter().find(|(joined, _)| *joined == own) {
                (self.joined, previous) = (true, *before);
            } else if audience.excluded.contains(&own) {
                self.joined = false;
            }
            if !self.joined {
                return;
            }
            message = *content;
        }
        if header.batch_id > self.position {
            let (batch_id, parts, last) =
                self.waiting
                    .entry(previous)
                    .or_insert((header.batch_id, BTreeMap::new(), header.part_last));
            assert_eq!(
                (*batch_id, *last),
                (header.batch_id, header.part_last),
                "{} behind {previous}",
                self.node
            );
            parts.insert(header.part, message);
        }
    }

    fn apply(&mut self) -> bool {
        let Some((batch_id, parts, last)) = self.waiting.get(&self.position) else {
            return false;
        };
        if !parts.contains_key(last) {
            return false;
        }
        let mut assembler = Assembler::default();
        let mut whole: Vec<LanePart> = Vec::new();
        for message in parts.values() {
            if let Some(Message::Lane(part)) = assembler.push(message.clone()).expect("in order") {
                whole.push(part);
            }
        }
        let listed = &whole.last().expect("the last part").parts;
        assert!(parts.keys().eq(listed), "{} lists all of {batch_id}", self.node);
        let changes = whole.iter().flat_map(|part| &part.rows.changes);
        let ids = changes.filter(|change| !change.path.contains(&node(self.node)));
        self.batches
            .push((*batch_id, ids.map(|change| change.data_id).collect()));
        self.position = *batch_id;
        true
    }
}

async fn followers(world: &World) -> Vec<Follower> {
    NODES.iter().map(|id| Follower::new(world, id)).collect()
}

fn ids(batches: &[(i64, Vec<i64>)]) -> Vec<i64> {
    batches.iter().map(|(batch_id, _)| *batch_id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_for_all_of_a_group_is_stored_once() {
    let (world, router, version) = world().await;
    let before = Stored::look(&world.nats.url()).await;
    world.capture("c0", 1, version, &[&[11, 12]]).await;
    world.capture("c0", 2, version, &[&[13], &[14, 15], &[16]]).await;
    // A change that has been at b, and one that has been at all of them.
    let mut with_path = part("c0", 3, version, &[17, 18]);
    with_path.rows.changes[0].path = vec![node("b")];
    with_path.rows.changes[1].path = NODES.map(node).to_vec();
    publish(&world, vec![with_path]).await;
    for follower in &mut followers(&world).await {
        let own = if follower.node == "b" { vec![] } else { vec![17] };
        let expected = [(1, vec![11, 12]), (2, vec![13, 14, 15, 16]), (3, own)];
        assert_eq!(follower.reach(3).await, expected, "{}", follower.node);
    }
    let stored = Stored::look(&world.nats.url()).await.since(&before);
    assert_eq!((stored["SYM_GROUP"], stored["SYM_NODE_0"]), (5, 0));
    let mut reports = world.reports();
    let report = next_report(&mut reports).await;
    assert!(report.last && report.targets.is_empty() && report.unrouted.is_empty());
    let [group] = &report.groups[..] else {
        panic!("{report:?}")
    };
    assert_eq!(group.nodes, NODES.map(node));
    assert_eq!((&group.ranges[..], group.change_count), (&[(11, 12)][..], 2));
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_larger_than_a_message_goes_to_the_group_in_fragments() {
    let (world, router, version) = world().await;
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + (state >> 57) as u8 % 90)
    });
    let mut large = part("c0", 1, version, &[2]);
    let row = large.rows.changes[0].new.as_mut().expect("an insert");
    row[1] = Cell::Text(noise.take(2_000_000).collect());
    let bodies = Message::Captured(large)
        .encode_within(symstream_nats::BODY_BYTES_MAX)
        .expect("encode");
    let bodies = bodies.into_iter().map(|body| (body, 0)).collect();
    world.publish("c0", 1, version, bodies).await;
    world.capture("c0", 2, version, &[&[4]]).await;
    for follower in &mut followers(&world).await {
        assert_eq!(follower.reach(2).await, [(1, vec![2]), (2, vec![4])]);
    }
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_leave_and_join_and_the_lane_changes_its_kind_at_any_batch() {
    let (world, router, version) = world().await;
    let mut followers = followers(&world).await;
    let capture = async |batch_id: i64, version: i64| {
        world.capture("c0", batch_id, version, &[&[batch_id]]).await;
    };
    capture(1, version).await;
    // b is disabled, c ignores the channel: one node is too few; then there are two again, and all.
    let disabled = edit(&world, "update sym_node set sync_enabled = 0 where node_id = 'b'").await;
    capture(2, disabled).await;
    let ignored = edit(
        &world,
        "insert into sym_node_channel_ctl (node_id, channel_id, ignore_enabled) values ('c', 'c0', 1)",
    )
    .await;
    capture(3, ignored).await;
    let enabled = edit(&world, "update sym_node set sync_enabled = 1 where node_id = 'b'").await;
    capture(4, enabled).await;
    let all = edit(&world, "delete from sym_node_channel_ctl").await;
    capture(5, all).await;
    // A request for one of them, then for nobody else anything; an absent node.
    publish(&world, vec![statement(6, all, "a")]).await;
    capture(7, all).await;
    let without_c = Part {
        absent: vec![node("c")],
        ..part("c0", 8, all, &[8])
    };
    publish(&world, vec![without_c]).await;
    // The rule becomes another kind, and back again; the node is registered again.
    let by_column = edit(
        &world,
        "update sym_router set router_type = 'column', router_expression = 'place!=x' where router_id = 'down'",
    )
    .await;
    capture(9, by_column).await;
    let default = edit(&world, "update sym_router set router_type = 'default'").await;
    capture(10, default).await;
    let again = edit(
        &world,
        "update sym_node_security set registration_time = '2026-02-02 00:00:00' where node_id = 'a'",
    )
    .await;
    capture(11, again).await;
    // What was captured by an older version comes late.
    capture(12, disabled).await;
    capture(13, again).await;

    let expected: [&[i64]; 3] = [
        &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13],
        &[1, 4, 5, 7, 8, 9, 10, 11, 13],
        &[1, 2, 5, 7, 9, 10, 11, 12, 13],
    ];
    for (follower, expected) in followers.iter_mut().zip(expected) {
        assert_eq!(ids(&follower.reach(13).await), expected, "{}", follower.node);
    }
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routers_that_crash_anywhere_keep_the_lanes_of_a_group_whole() {
    let (world, router, version) = world().await;
    router.crash().await;
    let batches: i64 = 60;
    let absent = |batch_id: i64| NODES[usize::try_from(batch_id % 7).expect("small") % 3];
    let publishing = async {
        for batch_id in 1..=batches {
            let batch = match batch_id % 5 {
                0 => statement(batch_id, version, absent(batch_id)),
                // Now and then one is left out; where two are, each gets its own.
                1 | 2 => Part {
                    absent: NODES[..usize::try_from(batch_id % 3).expect("small")]
                        .iter()
                        .map(|id| node(id))
                        .collect(),
                    ..part("c0", batch_id, version, &[batch_id])
                },
                _ => part("c0", batch_id, version, &[batch_id]),
            };
            publish(&world, vec![batch]).await;
        }
        publish(&world, vec![part("c0", batches + 1, version, &[batches + 1])]).await;
    };
    let crash = async {
        for round in 0..25_u64 {
            let router = world.start();
            tokio::time::sleep(Duration::from_millis(60 + round * 37 % 90)).await;
            router.crash().await;
        }
    };
    tokio::join!(publishing, crash);
    let router = world.start();
    for (index, follower) in followers(&world).await.iter_mut().enumerate() {
        let is_for_it = |batch_id: &i64| match batch_id % 5 {
            _ if *batch_id > batches => true,
            0 => absent(*batch_id) == follower.node,
            1 | 2 => index >= usize::try_from(batch_id % 3).expect("small"),
            _ => true,
        };
        let expected: Vec<i64> = (1..=batches + 1).filter(is_for_it).collect();
        assert_eq!(
            ids(&follower.reach(batches + 1).await),
            expected,
            "{}",
            follower.node
        );
    }
    router.stop().await;
}
