//! The agent between a real NATS and a real database.

use crate::node::{CREATE_ITEM, insert, item, part, rows, source};
use std::time::Duration;
use symstream_loader::{Agent, BatchKey, Error};
use symstream_nats::{BatchType, Bus, Deliveries, LaneConsumer, PartHeader};
use symstream_shared::db::ConnectOptions;
use symstream_shared::engine::{Engine, NatsOptions, Settings};
use symstream_shared::id::{ChannelId, EngineName, ExternalId, GroupId, NodeId};
use symstream_shared::model::LinkAction;
use symstream_shared::schema::{self, Tables};
use symstream_shared::wire::{LanePart, Message};
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;
use symstream_tests::folder::Folder;
use symstream_tests::server::NatsServer;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(30);

struct Fixture {
    engine: Engine,
    bus: Bus,
    db: TestDatabase,
    statuses: Deliveries,
    _nats: NatsServer,
    _folder: Folder,
}

struct Running {
    task: JoinHandle<Result<(), Error>>,
    shutdown: CancellationToken,
}

impl Running {
    fn start(engine: &Engine) -> Self {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(Agent::new(engine.clone()).run(shutdown.clone()));
        Self { task, shutdown }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("no panic").expect("asked to stop");
    }
}

impl Fixture {
    async fn new() -> Self {
        let nats = NatsServer::start().await;
        let folder = Folder::new();
        let db = TestDatabase::sqlite(&folder, "shop");
        let engine = Engine {
            name: EngineName::new("shop").expect("name"),
            group: GroupId::new("shop").expect("id"),
            external_id: ExternalId::new("7").expect("id"),
            db: ConnectOptions {
                url: db.url().to_owned().into(),
                user: None,
                password: None,
                init_sql: None,
            },
            registration_url: None,
            nats: NatsOptions {
                urls: vec![nats.url()],
                ..NatsOptions::default()
            },
            table_prefix: "sym".into(),
            settings: Settings::default(),
        };
        let bus = Bus::connect(&engine, "test").await.expect("connect");
        bus.ensure_streams().await.expect("streams");
        let lanes =
            [ChannelId::new("default").expect("id"), ChannelId::reload()].map(|channel| LaneConsumer {
                channel,
                action: LinkAction::Push,
                max_ack_pending: 60,
            });
        for node in [node("shop"), source(), node("depot")] {
            bus.ensure_node(&node, &lanes).await.expect("consumers");
        }
        let statuses = bus.status_deliveries(&source());
        Self {
            engine,
            bus,
            db,
            statuses,
            _nats: nats,
            _folder: folder,
        }
    }

    /// What the capture agent leaves behind when the node is registered.
    async fn register(&self) {
        schema::create(self.db.database(), &Tables::default())
            .await
            .expect("sym_ tables");
        self.db.run(CREATE_ITEM).await;
        self.db
            .run("insert into sym_channel (channel_id) values ('default')")
            .await;
        self.db
            .run("insert into sym_node_identity (node_id) values ('shop')")
            .await;
    }

    async fn publish(&self, part: &LanePart) {
        let header = PartHeader {
            source: part.source.clone(),
            target: Some(part.target.clone()),
            channel: part.channel.clone(),
            batch_id: part.batch_id,
            previous_batch_id: Some(part.previous_batch_id),
            batch_type: BatchType::Event,
            rows: 1,
            part: part.part,
            part_last: part.part_last,
            configuration_version: 1,
            time_ms: 0,
        };
        let body = Message::Lane(part.clone()).encode().expect("encode");
        self.bus
            .publish_lane(&header, body, LinkAction::Push)
            .await
            .expect("published");
    }

    /// `<batch> <status>` of everything told to the source next.
    async fn status(&mut self) -> Vec<String> {
        let delivery = self.statuses.next_within(PATIENCE).await.expect("a status");
        delivery.ack().await.expect("acknowledged");
        let Ok(Message::Status(report)) = Message::decode(delivery.body()) else {
            panic!("no status")
        };
        report
            .results
            .iter()
            .map(|result| format!("{} {}", result.batch_id, result.status))
            .collect()
    }

    async fn has(&self, want: &[&str]) {
        eventually(PATIENCE, format!("{want:?}"), || async {
            let rows = self.db.try_rows("select id from item order by id").await;
            let ids: Vec<String> = rows
                .map_err(|err| err.to_string())?
                .into_iter()
                .flatten()
                .collect();
            if ids == want {
                Ok(())
            } else {
                Err(format!("{ids:?}"))
            }
        })
        .await;
    }
}

fn node(id: &str) -> NodeId {
    NodeId::new(id).expect("id")
}

/// A batch of one row, whose id and name are given.
fn batch(from: &str, batch_id: i64, previous: i64, row: &[&str]) -> LanePart {
    let key = BatchKey {
        source: node(from),
        batch_id,
        previous,
    };
    part(&key, 1, 1, rows(item(), vec![insert(row)]))
}

#[tokio::test]
async fn batches_are_applied_in_their_chain_whatever_the_order_they_come_in() {
    let mut fixture = Fixture::new().await;
    let agent = Running::start(&fixture.engine);
    fixture.publish(&batch("cloud", 5, 3, &["5", "e"])).await;
    fixture.publish(&batch("cloud", 3, 1, &["3", "c"])).await;
    // The node is registered while its loader waits.
    fixture.register().await;
    fixture.publish(&batch("depot", 1, 0, &["100", "depot"])).await;
    fixture.has(&["100"]).await;

    fixture.publish(&batch("cloud", 1, 0, &["1", "a"])).await;
    fixture.has(&["1", "3", "5", "100"]).await;
    for want in ["1 OK", "3 OK", "5 OK"] {
        assert_eq!(fixture.status().await, [want]);
    }

    // A message that comes again is known, and its status is told again.
    fixture.db.run("delete from item").await;
    fixture.publish(&batch("cloud", 3, 1, &["3", "c"])).await;
    assert_eq!(fixture.status().await, ["3 OK"]);
    fixture.has(&[]).await;
    assert_eq!(
        fixture
            .db
            .rows("select batch_id from sym_incoming_batch_hist where status = 'SK'")
            .await,
        [["3"]]
    );
    agent.stop().await;
}

#[tokio::test]
async fn a_failed_batch_holds_its_lane_alone_and_outlives_a_restart() {
    let mut fixture = Fixture::new().await;
    fixture.register().await;
    fixture
        .db
        .run("create unique index name_once on item (name)")
        .await;
    fixture.db.run("insert into item values (0, 'taken')").await;
    let agent = Running::start(&fixture.engine);
    fixture.publish(&batch("cloud", 1, 0, &["1", "taken"])).await;
    fixture.publish(&batch("cloud", 2, 1, &["2", "b"])).await;
    fixture.publish(&batch("depot", 1, 0, &["100", "depot"])).await;

    fixture.has(&["0", "100"]).await;
    assert_eq!(fixture.status().await, ["1 ER"]);
    eventually(PATIENCE, "both in the spool", || async {
        let count = fixture.db.number("select count(*) from sym_incoming_spool").await;
        if count == 2 { Ok(()) } else { Err(count) }
    })
    .await;
    agent.stop().await;
    assert_eq!(
        fixture
            .db
            .rows("select source_node_id, batch_id, held_batch_id from sym_incoming_lane order by 1")
            .await,
        [["cloud", "0", "1"], ["depot", "1", "∅"]]
    );

    let agent = Running::start(&fixture.engine);
    assert_eq!(fixture.status().await, ["1 ER"]);
    fixture.db.run("delete from item where id = 0").await;
    fixture.has(&["1", "2", "100"]).await;
    agent.stop().await;
    assert_eq!(
        fixture.db.number("select count(*) from sym_incoming_spool").await,
        0
    );
    assert_eq!(
        fixture
            .db
            .rows("select batch_id, status from sym_incoming_batch where node_id = 'cloud' order by 1")
            .await,
        [["1", "OK"], ["2", "OK"]]
    );
}

#[tokio::test]
async fn a_second_loader_waits_for_the_first() {
    let fixture = Fixture::new().await;
    fixture.register().await;
    let first = Running::start(&fixture.engine);
    fixture.publish(&batch("cloud", 1, 0, &["1", "a"])).await;
    fixture.has(&["1"]).await;
    let second = Running::start(&fixture.engine);
    first.stop().await;
    fixture.publish(&batch("cloud", 2, 1, &["2", "b"])).await;
    fixture.has(&["1", "2"]).await;
    second.stop().await;
}

/// A loader that has read its lanes; then another one, which was slow to stop, commits batch 1 of `cloud`.
async fn overtaken(fixture: &Fixture) -> Running {
    fixture.register().await;
    fixture
        .db
        .run("insert into sym_incoming_lane (source_node_id, channel_id, batch_id, attempt_count) values ('cloud', 'default', 0, 0)")
        .await;
    let agent = Running::start(&fixture.engine);
    fixture.publish(&batch("depot", 1, 0, &["100", "depot"])).await;
    fixture.has(&["100"]).await;
    fixture
        .db
        .run("update sym_incoming_lane set batch_id = 1 where source_node_id = 'cloud'")
        .await;
    agent
}

#[tokio::test]
async fn a_lane_that_another_loader_moved_is_read_again() {
    let fixture = Fixture::new().await;
    let agent = overtaken(&fixture).await;
    fixture.publish(&batch("cloud", 2, 1, &["2", "b"])).await;
    fixture.has(&["2", "100"]).await;
    agent.stop().await;
}

#[tokio::test]
async fn a_stale_loader_makes_no_error_of_a_batch_that_another_one_applied() {
    let mut fixture = Fixture::new().await;
    let agent = overtaken(&fixture).await;
    fixture
        .db
        .run("insert into sym_incoming_batch (batch_id, node_id, status) values (1, 'cloud', 'OK')")
        .await;
    fixture
        .db
        .run("insert into sym_incoming_batch_hist (batch_id, node_id, status) values (1, 'cloud', 'OK')")
        .await;
    // The loader would write it, and can not.
    fixture.publish(&batch("cloud", 1, 0, &["1", "∅"])).await;
    assert_eq!(fixture.status().await, ["1 OK"]);
    assert_eq!(
        fixture
            .db
            .rows("select status from sym_incoming_batch where node_id = 'cloud'")
            .await,
        [["OK"]]
    );
    assert_eq!(
        fixture.db.number("select count(*) from sym_incoming_spool").await,
        0
    );
    agent.stop().await;
}
