//! The loader follows what the node's own tables say, without a restart.

use crate::fixture::{Fixture, PATIENCE, Running, batch, consumer, in_channel, node};
use crate::node::{KINDS, insert, item, part, rows, source};
use std::time::{Duration, Instant};
use symstream_loader::BatchKey;
use symstream_nats::LaneConsumer;
use symstream_shared::db::{DatabaseKind, Sql};
use symstream_shared::engine::ServerUrl;
use symstream_shared::id::{ChannelId, EngineName};
use symstream_shared::model::LinkAction;
use symstream_shared::wire::Configuration;
use symstream_tests::eventually::eventually;

/// Within this time a change of the tables takes effect, on a machine with other work too.
const EFFECT: Duration = Duration::from_secs(3);

impl Fixture {
    /// How many messages of the channel were not acknowledged.
    async fn unacknowledged(&self, channel: &str, action: LinkAction) -> u64 {
        let channel = ChannelId::new(channel).expect("id");
        let deliveries = self.bus.lane_deliveries(&node("shop"), &channel, action);
        deliveries.waiting().await.expect("a count")
    }

    /// Batches of `cloud` of one row each, whose id is the batch's.
    async fn publish_each(&self, action: LinkAction, batches: &[(i64, i64)]) {
        for &(batch_id, previous) in batches {
            let id = batch_id.to_string();
            self.publish_by(action, &batch("cloud", batch_id, previous, &[&id, "x"]))
                .await;
        }
    }

    /// The batches of `cloud` in the order in which they were committed.
    async fn applied(&self) -> Vec<String> {
        let question = "select batch_id from sym_incoming_batch_hist where node_id = 'cloud' and status = 'OK' \
                        order by end_time, batch_id";
        self.db.rows(question).await.concat()
    }
}

async fn a_pause_holds_back(kind: DatabaseKind, pause: &str, resume: &str) {
    // GIVEN a loader with a batch in its spool that lacks its predecessor
    let fixture = Fixture::of(kind, &["default"]).await;
    fixture.register().await;
    let agent = Running::start(&fixture.engine);
    fixture.publish_each(LinkAction::Push, &[(1, 0), (3, 2)]).await;
    fixture.has(&["1"]).await;
    eventually(PATIENCE, "spooled", || async {
        let count = fixture.db.number("select count(*) from sym_incoming_spool").await;
        if count == 1 { Ok(()) } else { Err(count) }
    })
    .await;

    // WHEN its channel is paused THEN what comes waits
    fixture.db.run(pause).await;
    tokio::time::sleep(EFFECT).await;
    fixture
        .publish_each(LinkAction::Push, &[(2, 1), (4, 3), (5, 4)])
        .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(fixture.applied().await, ["1"], "{kind}: {pause}");
    assert_eq!(
        fixture.unacknowledged("default", LinkAction::Push).await,
        3,
        "{kind}: {pause}"
    );

    // and goes on in its order, soon after
    fixture.db.run(resume).await;
    let resumed = Instant::now();
    fixture.has(&["1", "2", "3", "4", "5"]).await;
    assert!(resumed.elapsed() < EFFECT, "{:?}", resumed.elapsed());
    assert_eq!(
        fixture.applied().await,
        ["1", "2", "3", "4", "5"],
        "{kind}: {pause}"
    );
    agent.stop().await;
}

#[tokio::test]
async fn a_suspended_channel_waits_without_loss_and_goes_on_in_order() {
    for kind in KINDS {
        a_pause_holds_back(
            kind,
            "insert into sym_node_channel_ctl (node_id, channel_id, suspend_enabled) values \
             ('shop', 'default', 2), ('depot', 'default', 1)",
            "update sym_node_channel_ctl set suspend_enabled = 0 where node_id = 'shop'",
        )
        .await;
    }
}

#[tokio::test]
async fn a_disabled_channel_waits_without_loss_and_goes_on_in_order() {
    for kind in KINDS {
        a_pause_holds_back(
            kind,
            "update sym_channel set enabled = 0",
            "update sym_channel set enabled = 1",
        )
        .await;
    }
}

#[tokio::test]
async fn a_disabled_node_takes_nothing_until_it_is_enabled() {
    for kind in KINDS {
        a_pause_holds_back(
            kind,
            "update sym_node set sync_enabled = 0 where node_id = 'shop'",
            "update sym_node set sync_enabled = 1 where node_id = 'shop'",
        )
        .await;
    }
}

#[tokio::test]
async fn what_waits_for_pull_is_taken_at_once_or_every_pull_interval() {
    // GIVEN links of both kinds
    let fixture = Fixture::of(DatabaseKind::Sqlite, &["default"]).await;
    fixture.register().await;
    fixture
        .bus
        .ensure_node(&node("shop"), &[consumer("default", LinkAction::WaitForPull)])
        .await
        .expect("consumer");
    fixture
        .db
        .run("update sym_node_group_link set data_event_action = 'W' where source_node_group_id = 'cloud'")
        .await;
    let agent = Running::start(&fixture.engine);

    // THEN one that waits for pull is as fast as one that pushes
    for batch_id in 1..=3 {
        fixture
            .publish_each(LinkAction::WaitForPull, &[(batch_id, batch_id - 1)])
            .await;
        let published = Instant::now();
        let count = format!("select count(*) from item where id = {batch_id}");
        eventually(PATIENCE, "applied", || async {
            let count = fixture.db.number(&count).await;
            if count == 1 { Ok(()) } else { Err(count) }
        })
        .await;
        // The first may find the loader starting.
        assert!(batch_id == 1 || published.elapsed() < Duration::from_secs(1));
    }

    // WHEN the node's operator sets an interval
    fixture
        .db
        .run("insert into sym_parameter (external_id, node_group_id, param_key, param_value) values ('ALL', 'ALL', 'pull.interval', '6s')")
        .await;
    tokio::time::sleep(EFFECT).await;
    let published = Instant::now();
    fixture
        .publish_each(LinkAction::WaitForPull, &[(4, 3), (5, 4), (6, 5)])
        .await;
    fixture.publish(&batch("depot", 1, 0, &["100", "pushed"])).await;

    // THEN what is pushed comes at once, and the rest when it is time, all of it
    fixture.has(&["1", "2", "3", "100"]).await;
    assert!(published.elapsed() < Duration::from_secs(2));
    fixture.has(&["1", "2", "3", "4", "5", "6", "100"]).await;
    let first = published.elapsed();
    assert!(first < Duration::from_secs(8), "{first:?}");
    // and again after an interval, not before
    fixture.publish_each(LinkAction::WaitForPull, &[(7, 6)]).await;
    fixture.has(&["1", "2", "3", "4", "5", "6", "7", "100"]).await;
    let second = published.elapsed() - first;
    assert!(
        second > Duration::from_secs(4) && second < Duration::from_secs(8),
        "{second:?}"
    );
    agent.stop().await;
}

#[tokio::test]
async fn a_link_that_was_changed_keeps_its_order() {
    // GIVEN batches that came while the link waited for pull, then pushed, then waited again
    let fixture = Fixture::of(DatabaseKind::Sqlite, &["default"]).await;
    fixture.register().await;
    fixture
        .bus
        .ensure_node(&node("shop"), &[consumer("default", LinkAction::WaitForPull)])
        .await
        .expect("consumer");
    for batch_id in 1..=30 {
        let action = if (11..=20).contains(&batch_id) {
            LinkAction::Push
        } else {
            LinkAction::WaitForPull
        };
        fixture.publish_each(action, &[(batch_id, batch_id - 1)]).await;
    }
    // WHEN the link pushes now, so that no link needs the other consumer
    let agent = Running::start(&fixture.engine);
    let all: Vec<String> = (1..=30).map(|id| id.to_string()).collect();
    eventually(PATIENCE, "all", || async {
        let applied = fixture.applied().await;
        if applied.len() == 30 {
            Ok(())
        } else {
            Err(applied.join(" "))
        }
    })
    .await;
    let by_lane = fixture
        .db
        .rows("select batch_id from sym_incoming_lane where source_node_id = 'cloud'")
        .await;
    assert_eq!(by_lane.concat(), ["30"]);
    assert_eq!(
        fixture.db.rows("select id from item order by id").await.concat(),
        all
    );
    agent.stop().await;
}

#[tokio::test]
async fn lower_channels_go_first_and_the_others_one_batch_a_second() {
    for kind in KINDS {
        // GIVEN many batches of two channels
        let fixture = Fixture::of(kind, &["default", "bulk"]).await;
        fixture.register().await;
        fixture
            .db
            .run("insert into sym_channel (channel_id, processing_order) values ('bulk', 7)")
            .await;
        const COUNT: i64 = 150;
        for number in 1..=COUNT {
            let (low, high) = (number.to_string(), (1000 + number).to_string());
            let previous = if number == 1 { 0 } else { 999 + number };
            fixture
                .publish(&in_channel(
                    "bulk",
                    batch("cloud", 1000 + number, previous, &[&high, "b"]),
                ))
                .await;
            fixture
                .publish(&batch("cloud", number, number - 1, &[&low, "a"]))
                .await;
        }
        // WHEN they are loaded
        let began = Instant::now();
        let agent = Running::start(&fixture.engine);
        eventually(PATIENCE, "both", || async {
            let applied = fixture.applied().await.len();
            if applied == 300 { Ok(()) } else { Err(applied) }
        })
        .await;
        // THEN those of order 1 come first, but for one batch a second
        let applied = fixture.applied().await;
        let last_low = applied.iter().rposition(|id| id.len() < 4).expect("some");
        let before = applied[..last_low].iter().filter(|id| id.len() == 4).count();
        let seconds = usize::try_from(began.elapsed().as_secs()).expect("small");
        assert!(
            before <= seconds + 1,
            "{kind}: {before} of order 7 before the last of order 1 in {seconds} s"
        );
        agent.stop().await;
    }
}

#[tokio::test]
async fn what_waits_for_its_turn_comes_once_and_what_is_known_waits_for_none() {
    // GIVEN a channel that is at work on a batch for as long as somebody else likes
    let fixture = Fixture::of(DatabaseKind::Postgres, &["default", "bulk"]).await;
    fixture.register().await;
    fixture
        .db
        .run("insert into sym_channel (channel_id, processing_order) values ('bulk', 7)")
        .await;
    let bulk =
        |id: i64, previous: i64| in_channel("bulk", batch("cloud", id, previous, &[&id.to_string(), "b"]));
    let agent = Running::start(&fixture.engine);
    fixture.publish(&bulk(1001, 0)).await;
    fixture.has(&["1001"]).await;
    let mut other = fixture.db.begin().await.expect("a transaction");
    let taken = other.execute("insert into item values (1, 'theirs')", &[]).await;
    taken.expect("not there yet");
    fixture.publish_each(LinkAction::Push, &[(1, 0)]).await;
    eventually(PATIENCE, "at work", || async {
        let working = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
        let count = fixture.db.number(working).await;
        if count == 1 { Ok(()) } else { Err(count) }
    })
    .await;

    // WHEN known batches come again behind it THEN a new one has to wait for one turn only
    for _ in 0..20 {
        fixture.publish(&bulk(1001, 0)).await;
    }
    let published = Instant::now();
    fixture.publish(&bulk(1002, 1001)).await;
    fixture.has(&["1001", "1002"]).await;
    assert!(
        published.elapsed() < Duration::from_secs(5),
        "{:?}",
        published.elapsed()
    );

    // WHEN the last of many waits longer than the server does THEN none is sent again
    let known = "select count(*) from sym_incoming_batch_hist where status = 'SK'";
    let before = fixture.db.number(known).await;
    for id in 1003..=1036 {
        fixture.publish(&bulk(id, id - 1)).await;
    }
    let last = "select count(*) from item where id = 1036";
    eventually(2 * PATIENCE, "the last", || async {
        let count = fixture.db.number(last).await;
        if count == 1 { Ok(()) } else { Err(count) }
    })
    .await;
    assert_eq!(fixture.db.number(known).await, before);
    other.rollback().await.expect("unlocked");
    eventually(PATIENCE, "the first", || async {
        let count = fixture.db.number("select count(*) from item where id = 1").await;
        if count == 1 { Ok(()) } else { Err(count) }
    })
    .await;
    agent.stop().await;
}

#[tokio::test]
async fn a_lower_channel_that_is_held_or_suspended_lets_the_others_go_on() {
    for suspended in [false, true] {
        // GIVEN a lower channel that has much, and can not take it
        let fixture = Fixture::of(DatabaseKind::Sqlite, &["default", "bulk"]).await;
        fixture.register().await;
        let trouble = if suspended {
            "insert into sym_node_channel_ctl (node_id, channel_id, suspend_enabled) values ('shop', 'default', 1)"
        } else {
            "insert into item values (-1, 'taken'); create unique index name_once on item (name) where id < 1000"
        };
        fixture.db.run(trouble).await;
        fixture
            .db
            .run("insert into sym_channel (channel_id, processing_order) values ('bulk', 7)")
            .await;
        fixture.publish(&batch("cloud", 1, 0, &["1", "taken"])).await;
        for id in 2..30 {
            fixture.publish_each(LinkAction::Push, &[(id, id - 1)]).await;
        }
        for id in 1001..=1040 {
            let previous = if id == 1001 { 0 } else { id - 1 };
            let bulk = batch("cloud", id, previous, &[&id.to_string(), "b"]);
            fixture.publish(&in_channel("bulk", bulk)).await;
        }
        // WHEN both are loaded THEN the other one goes on, far faster than one batch a second
        let began = Instant::now();
        let agent = Running::start(&fixture.engine);
        eventually(PATIENCE, "the other channel", || async {
            let applied = fixture.applied().await.len();
            if applied == 40 { Ok(()) } else { Err(applied) }
        })
        .await;
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        agent.stop().await;
    }
}

#[tokio::test]
async fn no_more_messages_are_in_hand_than_max_batch_to_send() {
    // GIVEN a consumer that allows two, and a batch of several parts
    let fixture = Fixture::of(DatabaseKind::Sqlite, &["default"]).await;
    fixture.register().await;
    let two = LaneConsumer {
        max_ack_pending: 2,
        ..consumer("default", LinkAction::Push)
    };
    fixture
        .bus
        .ensure_node(&node("shop"), &[two])
        .await
        .expect("consumer");
    let agent = Running::start(&fixture.engine);
    fixture.publish_each(LinkAction::Push, &[(1, 0)]).await;
    fixture.has(&["1"]).await;

    // WHEN nothing can be applied
    let lock = fixture.db.begin().await.expect("write lock");
    let key = BatchKey {
        source: source(),
        batch_id: 2,
        previous: 1,
    };
    for number in 1..=5 {
        let id = (10 + number).to_string();
        let changes = rows(item(), vec![insert(&[&id, "x"])]);
        fixture.publish(&part(&key, number, 5, changes)).await;
    }
    fixture.publish_each(LinkAction::Push, &[(3, 2)]).await;

    // THEN the server keeps the rest to itself
    let client = async_nats::connect(&fixture.engine.nats.urls[0])
        .await
        .expect("connect");
    let stream = async_nats::jetstream::new(client)
        .get_stream("SYM_NODE_0")
        .await
        .expect("stream");
    eventually(PATIENCE, "two in hand", || async {
        let info = stream.consumer_info("shop==default").await.expect("info");
        let counts = (info.num_ack_pending, info.num_pending);
        if counts == (2, 4) {
            Ok(())
        } else {
            Err(format!("{counts:?}"))
        }
    })
    .await;
    // and all of it arrives
    lock.rollback().await.expect("unlocked");
    fixture.has(&["1", "3", "11", "12", "13", "14", "15"]).await;
    agent.stop().await;
}

#[tokio::test]
async fn nothing_is_taken_by_a_configuration_that_is_not_the_newest() {
    // GIVEN a node that was away while it was disabled
    let mut fixture = Fixture::of(DatabaseKind::Sqlite, &["default"]).await;
    fixture.register().await;
    let server = EngineName::new("cloud").expect("name");
    fixture.engine.registration_url = Some(ServerUrl {
        nats: fixture.engine.nats.urls[0].clone(),
        engine: server.clone(),
    });
    let newest = Configuration {
        version: 5,
        tables: Vec::new(),
    };
    let published = fixture.bus.publish_configuration(&server, &newest).await;
    published.expect("published");
    fixture.publish_each(LinkAction::Push, &[(1, 0)]).await;

    // WHEN it runs THEN its batches wait for what its capture agent brings
    let agent = Running::start(&fixture.engine);
    tokio::time::sleep(EFFECT).await;
    assert!(fixture.applied().await.is_empty());
    fixture
        .db
        .transaction(
            "update sym_node set sync_enabled = 0 where node_id = 'shop'; \
             insert into sym_state (state_key, state_value) values ('config_version', '5')",
        )
        .await;
    tokio::time::sleep(EFFECT).await;
    assert!(fixture.applied().await.is_empty());
    fixture
        .db
        .run("update sym_node set sync_enabled = 1 where node_id = 'shop'")
        .await;
    fixture.has(&["1"]).await;
    agent.stop().await;
}
