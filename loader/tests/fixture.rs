//! A node's loader between a real NATS and a real database, fed by hand.

use crate::node::{CREATE_ITEM, Host, insert, item, part, rows, source};
use std::time::Duration;
use symstream_loader::{Agent, BatchKey, Error};
use symstream_nats::{BatchType, Bus, Deliveries, LaneConsumer, PartHeader};
use symstream_shared::db::{ConnectOptions, DatabaseKind};
use symstream_shared::engine::{Engine, NatsOptions, Settings};
use symstream_shared::id::{ChannelId, EngineName, ExternalId, GroupId, NodeId};
use symstream_shared::model::LinkAction;
use symstream_shared::schema::{self, Tables};
use symstream_shared::wire::{LanePart, Message, StatusReport};
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;
use symstream_tests::server::NatsServer;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Fixture {
    pub engine: Engine,
    pub bus: Bus,
    pub db: TestDatabase,
    pub statuses: Deliveries,
    _nats: NatsServer,
    _host: Host,
}

pub struct Running {
    task: JoinHandle<Result<(), Error>>,
    shutdown: CancellationToken,
}

impl Running {
    pub fn start(engine: &Engine) -> Self {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(Agent::new(engine.clone()).run(shutdown.clone()));
        Self { task, shutdown }
    }

    /// As a crash ends it.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.is_err_and(|err| err.is_cancelled()));
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("no panic").expect("asked to stop");
    }
}

impl Fixture {
    /// On SQLite, with the channel `default`, not registered yet.
    pub async fn new() -> Self {
        Self::of(DatabaseKind::Sqlite, &["default"]).await
    }

    /// With consumers for these channels and for initial loads.
    pub async fn of(kind: DatabaseKind, channels: &[&str]) -> Self {
        let nats = NatsServer::start().await;
        let (host, db) = Host::start(kind).await;
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
            registration_secret: Default::default(),
            nats: NatsOptions {
                urls: vec![nats.url()],
                ..NatsOptions::default()
            },
            table_prefix: "sym".into(),
            settings: Settings::default(),
        };
        let bus = Bus::connect(&engine, "test").await.expect("connect");
        bus.ensure_streams().await.expect("streams");
        let lanes: Vec<LaneConsumer> = channels
            .iter()
            .chain(&["reload"])
            .map(|channel| consumer(channel, LinkAction::Push))
            .collect();
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
            _host: host,
        }
    }

    /// What the capture agent leaves behind when the node is registered.
    pub async fn register(&self) {
        schema::create(self.db.database(), &Tables::default())
            .await
            .expect("sym_ tables");
        self.db.run(CREATE_ITEM).await;
        for statement in [
            "insert into sym_channel (channel_id) values ('default')",
            "insert into sym_node_identity (node_id) values ('shop')",
            "insert into sym_node (node_id, node_group_id, external_id, sync_enabled, created_at_node_id) \
             values ('shop', 'shop', '7', 1, 'cloud'), ('cloud', 'cloud', 'cloud', 1, 'cloud'), \
             ('depot', 'depot', 'depot', 1, 'cloud')",
            "insert into sym_node_group_link (source_node_group_id, target_node_group_id, data_event_action) \
             values ('cloud', 'shop', 'P'), ('depot', 'shop', 'P')",
        ] {
            self.db.run(statement).await;
        }
    }

    /// Publishes a part as a router does that follows a link of kind `P`.
    pub async fn publish(&self, part: &LanePart) {
        self.publish_by(LinkAction::Push, part).await;
    }

    /// The same for a link of either kind.
    pub async fn publish_by(&self, action: LinkAction, part: &LanePart) {
        let header = PartHeader {
            source: part.source.clone(),
            target: Some(part.target.clone()),
            channel: part.channel.clone(),
            batch_id: part.batch_id,
            previous_batch_id: Some(part.previous_batch_id),
            batch_type: match part.load {
                Some(_) => BatchType::InitialLoad,
                None => BatchType::Event,
            },
            rows: 1,
            part: part.part,
            part_last: part.part_last,
            configuration_version: 1,
            time_ms: 0,
            load_id: part.load.as_ref().map(|load| load.load_id).or(part.after_load),
            group: None,
        };
        let body = Message::Lane(part.clone()).encode().expect("encode");
        self.bus
            .publish_lane(&header, body, action)
            .await
            .expect("published");
    }

    /// `<batch> <status>` of everything told to the source next.
    pub async fn status(&mut self) -> Vec<String> {
        loop {
            let report = self.report().await;
            if report.contact.is_none() || !report.results.is_empty() {
                let results = report.results.iter();
                return results
                    .map(|result| format!("{} {}", result.batch_id, result.status))
                    .collect();
            }
        }
    }

    /// The next report for `cloud`.
    pub async fn report(&mut self) -> StatusReport {
        let delivery = self.statuses.next_within(PATIENCE).await.expect("a status");
        delivery.ack().await.expect("acknowledged");
        match Message::decode(delivery.body()) {
            Ok(Message::Status(report)) => report,
            other => panic!("no status: {other:?}"),
        }
    }

    pub async fn has(&self, want: &[&str]) {
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

pub fn consumer(channel: &str, action: LinkAction) -> LaneConsumer {
    LaneConsumer {
        channel: ChannelId::new(channel).expect("id"),
        action,
        max_ack_pending: 60,
    }
}

pub fn node(id: &str) -> NodeId {
    NodeId::new(id).expect("id")
}

/// A batch of one row, whose id and name are given.
pub fn batch(from: &str, batch_id: i64, previous: i64, row: &[&str]) -> LanePart {
    let key = BatchKey {
        source: node(from),
        batch_id,
        previous,
    };
    part(&key, 1, 1, rows(item(), vec![insert(row)]))
}

/// The same in another channel.
pub fn in_channel(channel: &str, part: LanePart) -> LanePart {
    let channel = ChannelId::new(channel).expect("id");
    LanePart { channel, ..part }
}
