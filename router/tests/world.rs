//! A nats-server, a registration server's tables, routers, and what stands in the lanes afterwards.

use std::collections::BTreeMap;
use std::time::Duration;
use symstream_nats::{BatchType, Bus, Deliveries, PartHeader};
use symstream_router::Service;
use symstream_shared::cell::Cell;
use symstream_shared::engine::{Engine, EngineFolder};
use symstream_shared::id::{ChannelId, EngineName, GroupId, NodeId};
use symstream_shared::logical::LogicalType;
use symstream_shared::model::LinkAction;
use symstream_shared::schema::{self, Tables};
use symstream_shared::wire::{
    Assembler, Change, ColumnInfo, LanePart, Message, Operation, Part, RoutedReport, Rows, TableInfo,
};
use symstream_tests::database::TestDatabase;
use symstream_tests::engine::{EngineFile, Engines};
use symstream_tests::eventually::eventually;
use symstream_tests::folder::Folder;
use symstream_tests::server::NatsServer;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const PATIENCE: Duration = Duration::from_secs(30);

/// The nodes `cloud` (group `cloud`, the registration server), `a` and `b` (group `local`), all registered;
/// channels `c0` to `c9`; trigger `sale` with router `down`: everything from cloud to local.
pub struct World {
    pub nats: NatsServer,
    pub database: TestDatabase,
    pub bus: Bus,
    pub engine: Engine,
    /// Removed last.
    _folder: Folder,
}

/// A router in this process.
pub struct Running {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), symstream_router::Error>>,
}

impl Running {
    /// Ends it as a crash would: at whatever it was waiting for.
    pub async fn crash(self) {
        self.task.abort();
        drop(self.task.await);
    }

    /// Asks it to stop.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("no panic").expect("asked to stop");
    }
}

/// What a node got in one lane: each batch once, in the order in which its last part first stood there.
#[derive(Debug, Default, PartialEq)]
pub struct Received {
    /// (batch, the batch before it, the `data_id`s in their order)
    pub batches: Vec<(i64, i64, Vec<i64>)>,
    /// How many messages came again.
    pub repeated: usize,
}

pub fn node(id: &str) -> NodeId {
    NodeId::new(id).expect("id")
}

pub fn channel(id: &str) -> ChannelId {
    ChannelId::new(id).expect("id")
}

impl World {
    /// Makes the world; no router runs yet.
    pub async fn new() -> Self {
        let folder = Folder::new();
        let database = TestDatabase::sqlite(&folder, "cloud");
        Self::on(database, folder).await
    }

    /// The same with the registration server's tables in this database.
    pub async fn on(database: TestDatabase, folder: Folder) -> Self {
        let nats = NatsServer::start().await;
        let file = EngineFile::new("cloud", "cloud", database.url(), &nats.url());
        let engines = Engines::new(&folder);
        engines.write(&file);
        let engine = EngineFolder::new(Some(engines.path().to_owned()), Vec::new())
            .engine(&file.name)
            .expect("engine file");
        let tables = Tables::default();
        schema::create(database.database(), &tables)
            .await
            .expect("tables");
        schema::ensure_identity(database.database(), &tables, &engine)
            .await
            .expect("identity");
        database.run(CONFIGURATION).await;
        let bus = Bus::connect(&engine, "test").await.expect("nats");
        Self {
            nats,
            database,
            bus,
            engine,
            _folder: folder,
        }
    }

    /// The same with a router that runs and has published the configuration.
    pub async fn with_router() -> (Self, Running) {
        let world = Self::new().await;
        let router = world.start();
        world.version_with(|_| true).await;
        (world, router)
    }

    pub fn start(&self) -> Running {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(Service::new(self.engine.clone()).run(shutdown.clone()));
        Running { shutdown, task }
    }

    pub fn server(&self) -> &EngineName {
        self.engine.server()
    }

    /// Waits until NATS has a configuration that is like this and returns its version.
    pub async fn version_with(&self, is_it: impl Fn(&symstream_shared::wire::Configuration) -> bool) -> i64 {
        eventually(PATIENCE, "the configuration", || async {
            match self.bus.latest_configuration(self.server()).await {
                Ok(Some(configuration)) if is_it(&configuration) => Ok(configuration.version),
                Ok(Some(configuration)) => Err(format!("version {}", configuration.version)),
                Ok(None) => Err("none".to_owned()),
                Err(err) => Err(err.to_string()),
            }
        })
        .await
    }

    /// The version in force.
    pub async fn version(&self) -> i64 {
        self.version_with(|_| true).await
    }

    /// Publishes a batch of cloud's in one part for each list of `data_id`s.
    pub async fn capture(&self, channel_id: &str, batch_id: i64, version: i64, parts: &[&[i64]]) {
        let bodies: Vec<(Vec<u8>, u64)> = parts
            .iter()
            .map(|ids| {
                let part = part(channel_id, batch_id, version, ids);
                (
                    Message::Captured(part).encode().expect("encode"),
                    ids.len() as u64,
                )
            })
            .collect();
        self.publish(channel_id, batch_id, version, bodies).await;
    }

    /// Publishes bodies as the parts of a batch of cloud's.
    pub async fn publish(&self, channel_id: &str, batch_id: i64, version: i64, bodies: Vec<(Vec<u8>, u64)>) {
        let mut publisher = self.bus.captured(&node("cloud"), &channel(channel_id));
        let part_last = u32::try_from(bodies.len()).expect("few parts");
        for ((body, rows), part) in bodies.into_iter().zip(1..) {
            let header = PartHeader {
                source: node("cloud"),
                target: None,
                channel: channel(channel_id),
                batch_id,
                previous_batch_id: None,
                batch_type: BatchType::Event,
                rows,
                part,
                part_last,
                configuration_version: version,
                time_ms: 0,
                load_id: None,
                group: None,
            };
            publisher.publish(&header, body).await.expect("publish");
        }
    }

    /// Waits for `batch_count` batches in a lane from cloud, checking the chain and that parts are whole.
    pub async fn receive(&self, target: &str, channel_id: &str, batch_count: usize) -> Received {
        self.receive_by(LinkAction::Push, target, channel_id, batch_count)
            .await
    }

    /// The same of what came by links of this kind.
    pub async fn receive_by(
        &self,
        action: LinkAction,
        target: &str,
        channel_id: &str,
        batch_count: usize,
    ) -> Received {
        let mut deliveries = self
            .bus
            .lane_deliveries(&node(target), &channel(channel_id), action);
        let mut received = Received::default();
        let mut parts: BTreeMap<(i64, u32), Message> = BTreeMap::new();
        while received.batches.len() < batch_count {
            let Some(delivery) = deliveries.next_within(PATIENCE).await else {
                panic!("lane {target}/{channel_id} ends after {:?}", received.batches)
            };
            let header = delivery.header().expect("headers");
            let message = Message::decode(delivery.body()).expect("message");
            delivery.ack().await.expect("acknowledge");
            if received
                .batches
                .iter()
                .any(|(batch_id, ..)| *batch_id == header.batch_id)
            {
                received.repeated += 1;
                continue;
            }
            if parts.insert((header.batch_id, header.part), message).is_some() {
                received.repeated += 1;
            }
            if header.part == header.part_last {
                let (previous, ids) = assemble(&parts, header.batch_id, header.part_last);
                assert_eq!(header.previous_batch_id, Some(previous));
                let expected = received.batches.last().map_or(0, |(batch_id, ..)| *batch_id);
                assert_eq!(
                    previous, expected,
                    "chain of lane {target}/{channel_id} at {}",
                    header.batch_id
                );
                received.batches.push((header.batch_id, previous, ids));
                parts.clear();
            }
        }
        received
    }

    /// Whether nothing more stands in a lane.
    pub async fn is_quiet(&self, target: &str, channel_id: &str) -> bool {
        let mut deliveries = self
            .bus
            .lane_deliveries(&node(target), &channel(channel_id), LinkAction::Push);
        deliveries.next_within(Duration::from_millis(500)).await.is_none()
    }

    /// The reports on cloud's batches, from the first that was not acknowledged.
    pub fn reports(&self) -> Deliveries {
        self.bus.routed_deliveries(&node("cloud"))
    }
}

/// The next report.
pub async fn next_report(reports: &mut Deliveries) -> RoutedReport {
    let delivery = reports.next_within(PATIENCE).await.expect("a report");
    delivery.ack().await.expect("acknowledge");
    match Message::decode(delivery.body()).expect("message") {
        Message::Routed(report) => report,
        other => panic!("{other:?}"),
    }
}

/// The batch that these messages carry: the batch before it, and its rows' `data_id`s.
fn assemble(parts: &BTreeMap<(i64, u32), Message>, batch_id: i64, part_last: u32) -> (i64, Vec<i64>) {
    let mut assembler = Assembler::default();
    let mut whole: Vec<LanePart> = Vec::new();
    for (_, message) in parts.range((batch_id, 0)..=(batch_id, part_last)) {
        if let Some(Message::Lane(part)) = assembler.push(message.clone()).expect("fragments in order") {
            whole.push(part);
        }
    }
    let last = whole.last().expect("the last part");
    assert_eq!((last.part, last.part_last), (part_last, part_last));
    let numbers: Vec<u32> = parts
        .range((batch_id, 0)..=(batch_id, part_last))
        .map(|((_, part), _)| *part)
        .collect();
    assert_eq!(last.parts, numbers, "the last part lists all");
    let ids: Vec<i64> = whole
        .iter()
        .flat_map(|part| &part.rows.changes)
        .map(|change| change.data_id)
        .collect();
    assert_eq!(last.change_count, ids.len() as u64);
    (last.previous_batch_id, ids)
}

/// A part of inserts into `sale(id, place)`; the place is `a` for even ids and `b` for odd ones.
pub fn part(channel_id: &str, batch_id: i64, version: i64, ids: &[i64]) -> Part {
    let column = |name: &str| ColumnInfo {
        name: name.to_owned(),
        logical: LogicalType::Text,
    };
    let changes = ids
        .iter()
        .map(|id| Change {
            data_id: *id,
            table: 0,
            operation: Operation::Insert,
            new: Some(vec![
                Cell::Text(id.to_string()),
                Cell::Text(if id % 2 == 0 { "a" } else { "b" }.to_owned()),
            ]),
            old: None,
            path: Vec::new(),
        })
        .collect();
    Part {
        absent: Vec::new(),
        loading: Vec::new(),
        source: node("cloud"),
        source_group: GroupId::new("cloud").expect("id"),
        channel: channel(channel_id),
        batch_id,
        configuration_version: version,
        created_ms: 0,
        targets: Vec::new(),
        rows: Rows {
            tables: vec![TableInfo {
                hist_id: 1,
                trigger_ids: vec!["sale".to_owned()],
                source_schema: None,
                source_table: "sale".to_owned(),
                target_schema: None,
                target_table: "sale".to_owned(),
                columns: vec![column("id"), column("place")],
                key: vec![0],
                column_level: false,
            }],
            changes,
        },
        answers: Vec::new(),
        load: None,
        request: None,
    }
}

const CONFIGURATION: &str = "
    insert into sym_node_group (node_group_id) values ('local');
    insert into sym_node_group_link (source_node_group_id, target_node_group_id, data_event_action) values
        ('cloud', 'local', 'P');
    insert into sym_channel (channel_id) values
        ('c0'), ('c1'), ('c2'), ('c3'), ('c4'), ('c5'), ('c6'), ('c7'), ('c8'), ('c9');
    insert into sym_node (node_id, node_group_id, external_id, sync_enabled) values
        ('a', 'local', 'a', 1), ('b', 'local', 'b', 1);
    insert into sym_node_security (node_id, password, registration_time) values
        ('a', 'x', '2026-01-01 00:00:00'), ('b', 'x', '2026-01-01 00:00:00');
    insert into sym_trigger (trigger_id, source_table_name, channel_id, create_time, last_updated_time) values
        ('sale', 'sale', 'c0', '2026-01-01 00:00:00', '2026-01-01 00:00:00');
    insert into sym_router (router_id, source_node_group_id, target_node_group_id) values
        ('down', 'cloud', 'local');
    insert into sym_trigger_router (trigger_id, router_id) values ('sale', 'down');
";
