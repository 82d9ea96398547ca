//! All loops of a node that is no registration server, with NATS behind a gate.

use crate::configuration::own_configuration;
use crate::loops;
use crate::source::Source;
use crate::sync_triggers::sync_triggers;
use crate::testing::{Gate, TestNode};
use std::sync::Arc;
use std::time::Duration;
use symstream_nats::{Bus, PARTITION_COUNT};
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_shared::engine::{Engine, ServerUrl};
use symstream_shared::id::EngineName;
use symstream_shared::model::{adopt_configuration, read_configuration};
use symstream_shared::wire::{Configuration, Message, Part};
use symstream_tests::eventually::eventually;
use symstream_tests::server::NatsServer;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(30);

/// A node with a table `item` that `sym_trigger` names, its way to NATS, and somebody at NATS.
struct Fixture {
    node: TestNode,
    source: Source,
    gate: Gate,
    /// Not through the gate.
    bus: Bus,
    parts_rx: mpsc::Receiver<Part>,
    _tasks: JoinSet<()>,
    _server: NatsServer,
}

impl Fixture {
    async fn start(kind: DatabaseKind) -> Self {
        let server = NatsServer::start().await;
        let gate = Gate::start(&server.url()).await;
        let node = TestNode::start(kind).await;
        node.db
            .run(
                "create table item (id integer primary key, name varchar(20));
                 insert into sym_node (node_id, node_group_id, external_id) values ('000', 'here', '000');
                 insert into sym_trigger (trigger_id, source_table_name, source_node_group_id, target_node_group_id, \
                 channel_id) values ('item', 'item', 'here', 'there', 'main')",
            )
            .await;
        let engine = |url: String| {
            let mut engine = Engine::clone(&node.source.engine);
            engine.nats.urls = vec![url.clone()];
            engine.registration_url = Some(ServerUrl {
                nats: url,
                engine: Self::server(),
            });
            engine
        };
        let bus = Bus::connect(&engine(server.url()), "test").await.expect("nats");
        bus.ensure_streams().await.expect("streams");
        let source = Source {
            engine: Arc::new(engine(gate.url())),
            ..node.source.clone()
        };
        let (parts_tx, parts_rx) = mpsc::channel(16);
        let mut tasks = JoinSet::new();
        for partition in 0..PARTITION_COUNT {
            tasks.spawn(take_parts(bus.clone(), partition, parts_tx.clone()));
        }
        Self {
            node,
            source,
            gate,
            bus,
            parts_rx,
            _tasks: tasks,
            _server: server,
        }
    }

    fn server() -> EngineName {
        EngineName::new("server").expect("name")
    }

    /// The same, where the node is the registration server's, whose registrar has brought out a version.
    async fn start_server(kind: DatabaseKind) -> Self {
        let mut f = Self::start(kind).await;
        let mut engine = Engine::clone(&f.source.engine);
        engine.name = Self::server();
        engine.registration_url = None;
        f.source.engine = Arc::new(engine);
        f.publish(&f.configuration(1).await).await;
        f.node
            .db
            .run("insert into sym_state (state_key, state_value) values ('config_version', '1')")
            .await;
        f
    }

    async fn becomes(&self, question: &str, expected: i64) {
        eventually(PATIENCE, question, || async {
            let number = self.node.db.number(question).await;
            if number == expected { Ok(()) } else { Err(number) }
        })
        .await;
    }

    /// The node's own tables as a version.
    async fn configuration(&self, version: i64) -> Configuration {
        let mut conn = self.source.database.conn().await.expect("connection");
        let tables = read_configuration(&mut conn, &self.source.tables)
            .await
            .expect("read");
        Configuration { version, tables }
    }

    async fn publish(&self, configuration: &Configuration) {
        self.bus
            .publish_configuration(&Self::server(), configuration)
            .await
            .expect("published");
    }

    /// The node has adopted the version, as if from a server that is away since.
    async fn adopt(&self, version: i64) {
        let configuration = self.configuration(version).await;
        let mut tx = self.node.db.begin().await.expect("transaction");
        adopt_configuration(&mut tx, &self.source.tables, &configuration)
            .await
            .expect("adopted");
        tx.commit().await.expect("commit");
    }

    /// Runs the agent's loops until what it gives back is dropped.
    async fn run(&self) -> JoinSet<Result<(), crate::Error>> {
        let source = &self.source;
        let config = own_configuration(source).await.expect("configuration");
        sync_triggers(
            &source.database,
            &source.tables,
            &config,
            &source.engine.group,
            false,
        )
        .await
        .expect("triggers");
        let parameters = watch::Sender::new(Arc::clone(&source.parameters.borrow()));
        loops::start(source.clone(), parameters, &CancellationToken::new())
    }

    async fn insert(&self, id: i64) {
        self.node
            .db
            .run(&format!("insert into item values ({id}, 'x')"))
            .await;
        eventually(PATIENCE, "the change to be cut", || async {
            let count = self
                .node
                .db
                .number("select count(*) from sym_capture_batch")
                .await;
            if count >= id {
                Ok(())
            } else {
                Err(count.to_string())
            }
        })
        .await;
    }

    /// The next captured batch.
    async fn part(&mut self) -> Part {
        let part = tokio::time::timeout(PATIENCE, self.parts_rx.recv()).await;
        part.expect("a batch in time").expect("sender")
    }

    /// The version that it names.
    async fn version(&mut self) -> i64 {
        self.part().await.configuration_version
    }
}

async fn take_parts(bus: Bus, partition: u32, parts_tx: mpsc::Sender<Part>) {
    let mut deliveries = bus.partition(partition);
    loop {
        let delivery = deliveries.next().await;
        delivery.ack().await.expect("ack");
        let Ok(Message::Captured(part)) = Message::decode(delivery.body()) else {
            panic!("no captured part");
        };
        if parts_tx.send(part).await.is_err() {
            return;
        }
    }
}

async fn captured_while_away(kind: DatabaseKind) {
    let mut f = Fixture::start(kind).await;
    f.publish(&f.configuration(1).await).await;
    let _running = f.run().await;
    f.insert(1).await;
    assert_eq!(f.version().await, 1, "{kind}");
    for version in 2..=4 {
        // GIVEN NATS is away for the node, which captures
        f.gate.close();
        f.insert(version).await;
        // WHEN the rules change, and NATS comes back THEN what was captured is routed by the new ones
        f.publish(&f.configuration(version).await).await;
        f.gate.open();
        assert_eq!(f.version().await, version, "{kind}");
    }
}

#[tokio::test]
async fn what_is_captured_while_nats_is_away_is_routed_by_the_rules_of_its_return() {
    for kind in [Postgres, Mysql, Sqlite] {
        captured_while_away(kind).await;
    }
}

#[tokio::test]
async fn a_node_goes_on_with_its_own_configuration_when_nats_has_none() {
    let mut f = Fixture::start(Sqlite).await;
    f.adopt(7).await;
    let _running = f.run().await;
    f.insert(1).await;
    assert_eq!(f.version().await, 7);
}

#[tokio::test]
async fn a_node_goes_on_with_its_own_configuration_when_the_newest_is_not_valid() {
    let mut f = Fixture::start(Sqlite).await;
    f.publish(&f.configuration(1).await).await;
    let _running = f.run().await;
    f.insert(1).await;
    assert_eq!(f.version().await, 1);
    let mut wrong = f.configuration(2).await;
    let channels = wrong.tables.iter_mut().find(|table| table.name == "channel");
    channels.expect("channels").rows.clear();
    // GIVEN it asks anew, and is told of that one
    f.gate.close();
    f.insert(2).await;
    f.publish(&wrong).await;
    f.gate.open();
    assert_eq!(f.version().await, 1);
    let channels = "select count(*) from sym_channel";
    assert_eq!(f.node.db.number(channels).await, 1);
}

/// The configuration without the trigger, or with an inactive one.
fn without_trigger(mut configuration: Configuration, is_deleted: bool) -> Configuration {
    let triggers = configuration
        .tables
        .iter_mut()
        .find(|table| table.name == "trigger");
    let triggers = triggers.expect("triggers");
    let inactive = triggers
        .columns
        .iter()
        .position(|column| column == "inactive_time");
    if is_deleted {
        triggers.rows.clear();
    } else {
        triggers.rows[0][inactive.expect("the column")] = Some("2020-01-01 00:00:00.000".to_owned());
    }
    configuration
}

async fn trigger_ends(kind: DatabaseKind, is_deleted: bool) {
    let mut f = Fixture::start(kind).await;
    f.publish(&f.configuration(1).await).await;
    let _running = f.run().await;
    f.insert(1).await;
    assert_eq!(f.version().await, 1, "{kind}");
    // GIVEN a change that waits
    f.gate.close();
    f.insert(2).await;
    // WHEN its trigger is made inactive, or deleted, THEN routers get the change as it was captured
    let after = without_trigger(f.configuration(2).await, is_deleted);
    f.publish(&after).await;
    f.gate.open();
    let part = f.part().await;
    assert_eq!(part.configuration_version, 2, "{kind}");
    assert_eq!(part.rows.changes.len(), 1, "{kind}");
    assert_eq!(part.rows.tables[0].trigger_ids, ["item"], "{kind}");
    let row = part.rows.changes[0].new.as_ref().expect("the new row");
    assert_eq!(row[0].to_text().as_deref(), Some("2"), "{kind}");
    // AND nothing more is captured
    eventually(PATIENCE, "the history to be inactive", || async {
        let active = "select count(*) from sym_trigger_hist where inactive_time is null";
        let count = f.node.db.number(active).await;
        if count == 0 {
            Ok(())
        } else {
            Err(count.to_string())
        }
    })
    .await;
    f.node.db.run("insert into item values (3, 'x')").await;
    assert_eq!(
        f.node.db.number("select count(*) from sym_data").await,
        2,
        "{kind}"
    );
}

#[tokio::test]
async fn what_an_inactive_trigger_captured_still_goes_out() {
    for kind in [Postgres, Mysql, Sqlite] {
        trigger_ends(kind, false).await;
    }
}

#[tokio::test]
async fn what_a_deleted_trigger_captured_goes_out_for_routers_to_decide() {
    for kind in [Postgres, Mysql, Sqlite] {
        trigger_ends(kind, true).await;
    }
}

async fn server_goes_on(kind: DatabaseKind) {
    let mut f = Fixture::start_server(kind).await;
    f.node.parameters.send_modify(|parameters| {
        Arc::make_mut(parameters).purge_interval = Duration::from_millis(200);
    });
    f.node
        .db
        .run(
            "insert into sym_parameter (external_id, node_group_id, param_key, param_value) \
             values ('ALL', 'ALL', 'purge.retention', '0')",
        )
        .await;
    let _running = f.run().await;
    f.insert(1).await;
    assert_eq!(f.version().await, 1, "{kind}");
    // GIVEN somebody saves what is not valid, and with it what would be
    f.node
        .db
        .run(
            "insert into sym_router (router_id, source_node_group_id, target_node_group_id, router_type, \
             router_expression) values ('wrong', 'here', 'there', 'column', 'nonsense'); \
             update sym_trigger set sync_on_insert = 0, excluded_column_names = 'name'",
        )
        .await;
    assert!(own_configuration(&f.source).await.is_err(), "{kind}");
    // WHEN a table is altered meanwhile
    f.node
        .db
        .run("alter table item add column more varchar(20)")
        .await;
    // THEN its triggers follow, by the version in force
    f.becomes("select count(*) from sym_trigger_hist", 2).await;
    f.node.db.run("insert into item values (2, 'x', 'y')").await;
    let part = f.part().await;
    assert_eq!(part.configuration_version, 1, "{kind}");
    assert_eq!(part.rows.tables[0].columns.len(), 3, "{kind}");
    // AND what everybody has is purged
    f.node.db.run("update sym_capture_batch set routed = 1").await;
    f.becomes("select count(*) from sym_data", 0).await;
}

#[tokio::test]
async fn the_registration_servers_node_goes_on_with_the_version_in_force() {
    for kind in [Postgres, Mysql, Sqlite] {
        server_goes_on(kind).await;
    }
}
