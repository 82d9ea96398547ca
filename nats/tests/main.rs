//! The bus against a real nats-server.

use std::time::Duration;
use symstream_nats::{
    BatchType, Bus, BusError, Hold, LaneConsumer, LaneId, PARTITION_COUNT, PartHeader, Tail,
};
use symstream_shared::db::ConnectOptions;
use symstream_shared::engine::{Engine, NatsOptions, Settings};
use symstream_shared::id::{ChannelId, EngineName, ExternalId, GroupId, NodeId};
use symstream_shared::model::LinkAction;
use symstream_shared::wire::{Configuration, Heartbeat, RegistrationReply, RegistrationRequest};
use symstream_tests::server::NatsServer;

const PATIENCE: Duration = Duration::from_secs(20);

struct Fixture {
    server: NatsServer,
    bus: Bus,
}

async fn fixture() -> Fixture {
    let server = NatsServer::start().await;
    let engine = Engine {
        name: EngineName::new("e").expect("name"),
        group: GroupId::new("g").expect("id"),
        external_id: ExternalId::new("x").expect("id"),
        db: ConnectOptions {
            url: String::from("sqlite://unused").into(),
            user: None,
            password: None,
            init_sql: None,
        },
        registration_url: None,
        nats: NatsOptions {
            urls: vec![server.url()],
            ..NatsOptions::default()
        },
        table_prefix: "sym".into(),
        settings: Settings::default(),
    };
    let bus = Bus::connect(&engine, "test").await.expect("connect");
    bus.ensure_streams().await.expect("streams");
    Fixture { server, bus }
}

fn source() -> NodeId {
    NodeId::new("source.1").expect("id")
}

fn target() -> NodeId {
    NodeId::new("target").expect("id")
}

fn channel() -> ChannelId {
    ChannelId::new("sale").expect("id")
}

fn lane(action: LinkAction, max_ack_pending: u64) -> LaneConsumer {
    LaneConsumer {
        channel: channel(),
        action,
        max_ack_pending,
    }
}

fn header(batch_id: i64, part: u32, part_last: u32) -> PartHeader {
    PartHeader {
        source: source(),
        target: Some(target()),
        channel: channel(),
        batch_id,
        previous_batch_id: Some(batch_id - 1),
        batch_type: BatchType::Event,
        rows: 1,
        part,
        part_last,
        configuration_version: 1,
        time_ms: 0,
    }
}

/// The batches on all partitions, acknowledged as they come, until `count` have come.
async fn captured(bus: &Bus, count: usize) -> Vec<i64> {
    let mut tasks = tokio::task::JoinSet::new();
    let (batch_tx, mut batch_rx) = tokio::sync::mpsc::channel(16);
    for partition in 0..PARTITION_COUNT {
        let mut deliveries = bus.partition(partition);
        let batch_tx = batch_tx.clone();
        tasks.spawn(async move {
            loop {
                let delivery = deliveries.next().await;
                let batch_id = delivery.header().expect("header").batch_id;
                delivery.ack().await.expect("ack");
                batch_tx.send(batch_id).await.expect("receiver");
            }
        });
    }
    let mut batches = Vec::new();
    while batches.len() < count {
        batches.push(
            tokio::time::timeout(PATIENCE, batch_rx.recv())
                .await
                .expect("in time")
                .expect("sender"),
        );
    }
    batches
}

#[tokio::test]
async fn captured_batches_are_stored_once_and_in_order_though_the_server_is_killed() {
    let Fixture { mut server, bus } = fixture().await;
    let mut publisher = bus.captured(&source(), &channel());
    let (progress_tx, mut progress_rx) = tokio::sync::watch::channel(0);
    let publishing = tokio::spawn(async move {
        for batch_id in 1..=400 {
            publisher
                .publish(&header(batch_id, 1, 1), vec![0; 1000])
                .await
                .expect("publish");
            progress_tx.send_replace(batch_id);
        }
        publisher
    });
    for batch_id in [100, 250] {
        progress_rx
            .wait_for(|published| *published >= batch_id)
            .await
            .expect("publisher");
        server.kill();
        server.start_again().await;
    }
    let mut publisher = publishing.await.expect("publisher");
    assert_eq!(
        publisher.last().await.expect("last").map(|last| last.batch_id),
        Some(400)
    );
    assert_eq!(captured(&bus, 400).await, (1..=400).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_publisher_that_repeats_after_a_crash_adds_nothing_and_an_older_one_is_fenced() {
    let Fixture { server: _server, bus } = fixture().await;
    let mut first = bus.captured(&source(), &channel());
    assert_eq!(first.last().await.expect("last"), None);
    first.publish(&header(1, 1, 1), vec![1]).await.expect("publish");
    let mut second = bus.captured(&source(), &channel());
    second
        .publish(&header(1, 1, 1), vec![1])
        .await
        .expect("the same again is done");
    second.publish(&header(2, 1, 2), vec![2]).await.expect("publish");
    second.publish(&header(2, 2, 2), vec![3]).await.expect("publish");
    let fenced = first
        .publish(&header(2, 1, 1), vec![9])
        .await
        .expect_err("something newer is there");
    assert!(matches!(fenced, BusError::Fenced { .. }), "{fenced}");
    assert_eq!(captured(&bus, 3).await, [1, 2, 2]);
}

#[tokio::test]
async fn a_part_of_another_attempt_at_the_same_batch_is_not_taken_for_ones_own() {
    let Fixture { server: _server, bus } = fixture().await;
    let mut first = bus.captured(&source(), &channel());
    first.publish(&header(1, 1, 2), vec![1]).await.expect("publish");
    let mut second = bus.captured(&source(), &channel());
    let again = PartHeader {
        time_ms: 1,
        ..header(1, 1, 3)
    };
    let fenced = second.publish(&again, vec![2]).await.expect_err("other rows");
    assert!(matches!(fenced, BusError::Fenced { .. }), "{fenced}");
}

#[tokio::test]
async fn sources_whose_ids_differ_in_no_ascii_letter_are_told_apart() {
    let Fixture { server: _server, bus } = fixture().await;
    for id in ["é", "è"] {
        let source = NodeId::new(id).expect("id");
        let mut publisher = bus.captured(&source, &channel());
        let header = PartHeader {
            source: source.clone(),
            ..header(1, 1, 1)
        };
        tokio::time::timeout(PATIENCE, publisher.publish(&header, vec![1]))
            .await
            .expect("in time")
            .expect("publish");
        let stored = bus.captured_next(&source, &channel(), 1).await.expect("stream");
        assert_eq!(stored.map(|stored| stored.header.source), Some(source));
    }
}

#[tokio::test]
async fn a_message_that_the_server_never_takes_is_given_back() {
    let Fixture { server: _server, bus } = fixture().await;
    let refused = tokio::time::timeout(
        PATIENCE,
        bus.publish_lane(&header(1, 1, 1), vec![0; 2_000_000], LinkAction::Push),
    )
    .await
    .expect("no endless attempts")
    .expect_err("too large");
    assert!(matches!(refused, BusError::Malformed { .. }), "{refused}");
    assert!(refused.to_string().contains("max_payload"), "{refused}");
}

#[tokio::test]
async fn the_capture_stream_is_the_same_after_a_restart_and_another_one_when_made_again() {
    let Fixture { mut server, bus } = fixture().await;
    let first = bus.capture_stream().await.expect("stream");
    server.kill();
    server.start_again().await;
    let again = symstream_tests::eventually::eventually(PATIENCE, "the stream", || async {
        bus.capture_stream().await.map_err(|err| err.to_string())
    })
    .await;
    assert_eq!(again, first);
    bus.ensure_streams().await.expect("an update");
    assert_eq!(bus.capture_stream().await.expect("stream").id, first.id);
    let client = async_nats::connect(server.url()).await.expect("connect");
    async_nats::jetstream::new(client)
        .delete_stream("SYM_CAPTURE")
        .await
        .expect("delete");
    bus.ensure_streams().await.expect("streams");
    assert_ne!(bus.capture_stream().await.expect("stream").id, first.id);
}

#[tokio::test]
async fn a_publisher_notices_that_the_stream_lost_what_it_stored() {
    let Fixture { server, bus } = fixture().await;
    let mut publisher = bus.captured(&source(), &channel());
    for batch_id in 1..=3 {
        publisher
            .publish(&header(batch_id, 1, 1), vec![1])
            .await
            .expect("publish");
    }
    let client = async_nats::connect(server.url()).await.expect("connect");
    let stream = async_nats::jetstream::new(client)
        .get_stream("SYM_CAPTURE")
        .await
        .expect("stream");
    stream.purge().await.expect("purge");

    let lost = publisher
        .publish(&header(4, 1, 1), vec![1])
        .await
        .expect_err("three are gone");

    assert!(matches!(lost, BusError::Lost { .. }), "{lost}");
    assert_eq!(publisher.last().await.expect("last"), None);
    publisher
        .publish(&header(1, 1, 1), vec![1])
        .await
        .expect("published again");
}

#[tokio::test]
async fn captured_messages_can_be_read_again_in_order() {
    let Fixture { server: _server, bus } = fixture().await;
    let mut publisher = bus.captured(&source(), &channel());
    for (batch_id, part, last) in [(1, 1, 1), (2, 1, 2), (2, 2, 2)] {
        publisher
            .publish(&header(batch_id, part, last), vec![])
            .await
            .expect("publish");
    }
    let mut read = Vec::new();
    let mut from = 0;
    while let Some(message) = bus
        .captured_next(&source(), &channel(), from)
        .await
        .expect("stream")
    {
        read.push((message.header.batch_id, message.header.part));
        from = message.sequence + 1;
    }
    assert_eq!(read, [(1, 1), (2, 1), (2, 2)]);
}

#[tokio::test]
async fn a_mark_is_written_over_the_version_that_was_read_only() {
    let Fixture { server: _server, bus } = fixture().await;
    assert!(bus.holds().await.expect("marks").is_empty());
    let none = bus.hold(&source(), &channel()).await.expect("mark");
    assert!(!none.is_active());
    let mark = Hold {
        from: 5,
        through: 7,
        configuration_version: Some(3),
        stream: 11,
        ..none.clone()
    };
    let revision = bus.set_hold(&mark).await.expect("first");
    let late = bus.set_hold(&Hold { through: 9, ..none }).await;
    assert!(matches!(late, Err(BusError::Fenced { .. })), "{late:?}");
    let stored = Hold { revision, ..mark };
    assert_eq!(bus.hold(&source(), &channel()).await.expect("mark"), stored);
    assert_eq!(bus.holds().await.expect("marks"), std::slice::from_ref(&stored));

    let done = Hold {
        from: 8,
        configuration_version: None,
        ..stored
    };
    bus.set_hold(&done).await.expect("done");
    assert!(bus.holds().await.expect("marks").is_empty());
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_in_order() {
    let Fixture { server: _server, bus } = fixture().await;
    bus.ensure_node(&target(), &[lane(LinkAction::Push, 60)])
        .await
        .expect("consumers");
    bus.ensure_node(&target(), &[lane(LinkAction::Push, 60)])
        .await
        .expect("again");
    for batch_id in 1..=5 {
        bus.publish_lane(&header(batch_id, 1, 1), vec![0], LinkAction::Push)
            .await
            .expect("publish");
    }
    let mut deliveries = bus.lane_deliveries(&target(), &channel(), LinkAction::Push);
    let first = deliveries.next_within(PATIENCE).await.expect("first");
    first.ack().await.expect("ack");
    for _ in 2..=4 {
        deliveries.next_within(PATIENCE).await.expect("more");
    }
    deliveries.reopen();
    for batch_id in 2..=5 {
        let delivery = deliveries.next_within(PATIENCE).await.expect("again");
        assert_eq!(delivery.header().expect("header").batch_id, batch_id);
        delivery.ack().await.expect("ack");
    }
}

#[tokio::test]
async fn deliveries_go_on_at_once_when_the_server_is_back() {
    let Fixture { mut server, bus } = fixture().await;
    bus.ensure_node(&target(), &[lane(LinkAction::Push, 60)])
        .await
        .expect("consumers");
    let mut deliveries = bus.lane_deliveries(&target(), &channel(), LinkAction::Push);
    let mut idle = bus.routed_deliveries(&target());
    for (batch_id, down) in [(1, 0), (2, 4000), (3, 12_000)] {
        bus.publish_lane(&header(batch_id, 1, 1), vec![0], LinkAction::Push)
            .await
            .expect("publish");
        let delivery = deliveries.next_within(PATIENCE).await.expect("a batch");
        delivery.ack().await.expect("ack");
        assert!(idle.next_within(Duration::from_millis(100)).await.is_none());
        server.kill();
        let away = Duration::from_millis(down);
        let waiting = async { tokio::join!(deliveries.next_within(away), idle.next_within(away)) };
        waiting.await;
        server.start_again().await;
        let is_back = std::time::Instant::now();
        let report = symstream_shared::wire::RoutedReport {
            source: target(),
            channel: channel(),
            batch_id,
            created_ms: 0,
            started_ms: 0,
            sent_ms: 0,
            hostname: String::new(),
            targets: Vec::new(),
            unrouted: Vec::new(),
            last: true,
        };
        let told = async {
            bus.report(&report).await.expect("report");
        };
        let (delivery, ()) = tokio::join!(idle.next_within(PATIENCE), told);
        delivery.expect("a report").ack().await.expect("ack");
        let pause = is_back.elapsed();
        assert!(pause < Duration::from_secs(2), "{pause:?} after {away:?}");
    }
}

#[tokio::test]
async fn a_consumer_that_is_made_later_is_waited_for() {
    let Fixture { server: _server, bus } = fixture().await;
    let mut deliveries = bus.lane_deliveries(&target(), &channel(), LinkAction::Push);
    assert!(deliveries.next_within(Duration::from_millis(300)).await.is_none());
    bus.ensure_node(&target(), &[lane(LinkAction::Push, 60)])
        .await
        .expect("consumers");
    bus.publish_lane(&header(1, 1, 1), vec![0], LinkAction::Push)
        .await
        .expect("publish");
    assert!(deliveries.next_within(PATIENCE).await.is_some());
}

#[tokio::test]
async fn a_tail_is_written_by_one_router_only() {
    let Fixture { server: _server, bus } = fixture().await;
    let lane = LaneId {
        source: source(),
        target: target(),
        channel: channel(),
    };
    let none = bus.tail(&lane).await.expect("tail");
    assert_eq!(none, Tail::default());
    let revision = bus
        .set_tail(
            &lane,
            Tail {
                batch_id: 7,
                previous_batch_id: 0,
                ..none
            },
        )
        .await
        .expect("write");
    let late = bus
        .set_tail(
            &lane,
            Tail {
                batch_id: 7,
                previous_batch_id: 0,
                ..none
            },
        )
        .await;
    assert!(matches!(late, Err(BusError::Fenced { .. })), "{late:?}");
    let tail = bus.tail(&lane).await.expect("tail");
    assert_eq!(
        tail,
        Tail {
            batch_id: 7,
            previous_batch_id: 0,
            revision
        }
    );
}

#[tokio::test]
async fn configurations_are_kept_by_version_and_the_latest_is_found() {
    let Fixture { server: _server, bus } = fixture().await;
    let server = EngineName::new("cloud-1").expect("name");
    assert_eq!(bus.latest_configuration(&server).await.expect("none"), None);
    let mut changes = bus.configuration_changes(&server).await.expect("subscribe");
    bus.flush().await.expect("flush");
    for version in 1..=3 {
        bus.publish_configuration(
            &server,
            &Configuration {
                version,
                tables: vec![],
            },
        )
        .await
        .expect("publish");
        tokio::time::timeout(PATIENCE, changes.next())
            .await
            .expect("in time")
            .expect("notified");
    }
    let latest = bus
        .latest_configuration(&server)
        .await
        .expect("latest")
        .expect("some");
    assert_eq!(latest.version, 3);
    let second = bus
        .configuration(&server, 2)
        .await
        .expect("second")
        .expect("some");
    assert_eq!(second.version, 2);
    assert_eq!(bus.configuration(&server, 9).await.expect("none"), None);
}

#[tokio::test]
async fn a_registration_is_answered_or_nobody_is_there() {
    let Fixture { server: _server, bus } = fixture().await;
    let server = EngineName::new("cloud-1").expect("name");
    let request = RegistrationRequest {
        group: GroupId::new("local").expect("id"),
        external_id: ExternalId::new("x").expect("id"),
        password: "p".into(),
        database_type: "SQLite".into(),
        database_version: "3".into(),
        symmetric_version: "0".into(),
        sync_url: "nats://x/y".into(),
    };
    let nobody = bus.register(&server, &request).await;
    assert!(matches!(nobody, Err(BusError::Unreachable { .. })), "{nobody:?}");
    let mut calls = bus.registrations(&server).await.expect("serve");
    bus.flush().await.expect("flush");
    tokio::spawn(async move {
        let call = calls.next().await.expect("request");
        call.respond(RegistrationReply::Refused {
            reason: call.request.group.to_string(),
        })
        .await
        .expect("answer");
    });
    let reply = bus.register(&server, &request).await.expect("answer");
    assert_eq!(
        reply,
        RegistrationReply::Refused {
            reason: "local".into()
        }
    );
}

#[tokio::test]
async fn batches_that_wait_to_be_asked_for_and_pushed_ones_do_not_meet() {
    let Fixture { server: _server, bus } = fixture().await;
    let (push, wait) = (LinkAction::Push, LinkAction::WaitForPull);
    bus.ensure_node(&target(), &[lane(push, 60), lane(wait, 60)])
        .await
        .expect("consumers");
    for (batch_id, action) in [(1, push), (2, wait), (3, wait), (4, push), (5, wait)] {
        bus.publish_lane(&header(batch_id, 1, 1), vec![0], action)
            .await
            .expect("publish");
    }
    for (action, batches) in [(push, vec![1, 4]), (wait, vec![2, 3, 5])] {
        let mut deliveries = bus.lane_deliveries(&target(), &channel(), action);
        assert_eq!(
            deliveries.waiting().await.expect("consumer"),
            batches.len() as u64
        );
        for (batch_id, behind) in batches.iter().zip((0..batches.len() as u64).rev()) {
            let delivery = deliveries.next_within(PATIENCE).await.expect("a batch");
            assert_eq!(delivery.header().expect("header").batch_id, *batch_id);
            assert_eq!(delivery.pending, behind);
            delivery.ack().await.expect("ack");
        }
        assert!(deliveries.next_within(Duration::from_millis(200)).await.is_none());
        assert_eq!(deliveries.waiting().await.expect("consumer"), 0);
    }
}

#[tokio::test]
async fn a_closed_consumer_takes_nothing_until_it_is_asked_again() {
    let Fixture { server: _server, bus } = fixture().await;
    let wait = LinkAction::WaitForPull;
    let mut deliveries = bus.lane_deliveries(&target(), &channel(), wait);
    let missing = deliveries.waiting().await.expect_err("no consumer");
    assert!(matches!(missing, BusError::Missing(_)), "{missing}");
    bus.ensure_node(&target(), &[lane(wait, 60)])
        .await
        .expect("consumers");
    for batch_id in 1..=3 {
        bus.publish_lane(&header(batch_id, 1, 1), vec![0], wait)
            .await
            .expect("publish");
    }
    let first = deliveries.next_within(PATIENCE).await.expect("first");
    first.ack().await.expect("ack");
    deliveries.close();
    bus.publish_lane(&header(4, 1, 1), vec![0], wait)
        .await
        .expect("publish");
    assert_eq!(deliveries.waiting().await.expect("consumer"), 3);
    for batch_id in 2..=4 {
        let delivery = deliveries.next_within(PATIENCE).await.expect("again");
        assert_eq!(delivery.header().expect("header").batch_id, batch_id);
        delivery.ack().await.expect("ack");
    }
}

#[tokio::test]
async fn how_many_batches_a_loader_may_hold_is_as_was_said_last() {
    let Fixture { server: _server, bus } = fixture().await;
    let push = LinkAction::Push;
    for batch_id in 1..=5 {
        bus.publish_lane(&header(batch_id, 1, 1), vec![0], push)
            .await
            .expect("publish");
    }
    // 0 is no number of batches to send; one is.
    for (max_batch_to_send, held) in [(3, 3), (1, 1), (0, 1), (4, 4)] {
        bus.ensure_node(&target(), &[lane(push, max_batch_to_send)])
            .await
            .expect("consumers");
        let mut deliveries = bus.lane_deliveries(&target(), &channel(), push);
        for _ in 0..held {
            deliveries.next_within(PATIENCE).await.expect("a batch");
        }
        let more = deliveries.next_within(Duration::from_millis(300)).await;
        assert!(more.is_none(), "more than {held} at {max_batch_to_send}");
    }
}

#[tokio::test]
async fn a_heartbeat_is_answered_once_it_is_recorded() {
    let Fixture { server: _server, bus } = fixture().await;
    let server = EngineName::new("cloud-1").expect("name");
    let heartbeat = Heartbeat {
        node: source(),
        time_ms: 1_732_237_261_007,
        timezone_offset: "+01:00".into(),
        sync_url: "nats://x/y".into(),
        schema_version: None,
        symmetric_version: "0".into(),
        database_type: "SQLite".into(),
        database_version: "3".into(),
    };
    let nobody = bus.heartbeat(&server, &heartbeat).await;
    assert!(matches!(nobody, Err(BusError::Unreachable { .. })), "{nobody:?}");
    let mut calls = bus.heartbeats(&server).await.expect("serve");
    bus.flush().await.expect("flush");
    let recorder = tokio::spawn(async move {
        let call = calls.next().await.expect("a heartbeat");
        call.recorded().await.expect("answer");
        call.heartbeat
    });
    bus.heartbeat(&server, &heartbeat).await.expect("recorded");
    assert_eq!(recorder.await.expect("recorder"), heartbeat);
}

#[tokio::test]
async fn every_new_connection_is_told() {
    let Fixture { mut server, bus } = fixture().await;
    let mut connections = bus.connections();
    let first = *connections
        .wait_for(|connections| *connections > 0)
        .await
        .expect("the bus");
    assert_eq!(first, 1);
    server.kill();
    server.start_again().await;
    tokio::time::timeout(PATIENCE, connections.wait_for(|connections| *connections > first))
        .await
        .expect("in time")
        .expect("the bus");
}
