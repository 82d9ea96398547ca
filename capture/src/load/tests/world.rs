//! A source whose table `item` goes to the nodes `001` and `002`, and what they were sent.

use crate::dialect::reading::Backlog;
use crate::load;
use crate::publisher;
use crate::reader;
use crate::source::{KnownConfig, Source};
use crate::sync_triggers::sync_triggers;
use crate::testing::{Gate, TestNode};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use symstream_nats::{Bus, Deliveries, PARTITION_COUNT};
use symstream_shared::db::DatabaseKind;
use symstream_shared::engine::Engine;
use symstream_shared::model::local_configuration;
use symstream_shared::wire::{LoadStep, Message, Operation, Part};
use symstream_tests::eventually::eventually;
use symstream_tests::server::NatsServer;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What `item` holds: `n` by `id`.
pub(super) type Items = BTreeMap<i64, i64>;

pub(super) struct World {
    pub node: TestNode,
    pub source: Source,
    pub gate: Gate,
    /// All parts that were published, in the order in which they came.
    pub parts: Arc<Mutex<Vec<Part>>>,
    /// Whether the nodes say that they have applied what they get of loads.
    pub applies: Arc<AtomicBool>,
    bus: Bus,
    config: watch::Sender<KnownConfig>,
    _taking: JoinSet<()>,
    _server: NatsServer,
}

impl World {
    pub(super) async fn start(kind: DatabaseKind) -> Self {
        let server = NatsServer::start().await;
        let node = TestNode::start(kind).await;
        node.db
            .run(
                "create table item (id integer primary key, n integer not null);
                 update sym_channel set max_batch_size = 1000;
                 insert into sym_trigger (trigger_id, source_table_name, source_node_group_id, target_node_group_id, \
                 channel_id) values ('item', 'item', 'here', 'there', 'main');
                 insert into sym_node (node_id, node_group_id, external_id, sync_enabled) values \
                 ('000', 'here', '000', 1), ('001', 'there', '001', 1), ('002', 'there', '002', 1);
                 insert into sym_node_security (node_id, password, registration_time) values \
                 ('001', 'p', '2026-01-01 00:00:00'), ('002', 'p', '2026-01-01 00:00:00')",
            )
            .await;
        let mut source = node.source.clone();
        let mut engine = Engine::clone(&source.engine);
        let gate = Gate::start(&server.url()).await;
        engine.nats.urls = vec![gate.url()];
        source.engine = Arc::new(engine);
        let mut conn = source.database.conn().await.expect("connection");
        let config = local_configuration(&mut conn, &source.tables)
            .await
            .expect("configuration");
        drop(conn);
        let group = &source.engine.group;
        sync_triggers(&source.database, &source.tables, &config, group, false)
            .await
            .expect("triggers");
        let bus = Bus::connect(&source.engine, "test").await.expect("nats");
        bus.ensure_streams().await.expect("streams");
        let known = KnownConfig {
            config: Some(Arc::new(config)),
            asked_over: bus.connection(),
        };
        // The routers' way is another one than the source's.
        let mut engine = Engine::clone(&source.engine);
        engine.nats.urls = vec![server.url()];
        let routers = Bus::connect(&engine, "routers").await.expect("nats");
        let parts = Arc::<Mutex<Vec<Part>>>::default();
        let applies = Arc::new(AtomicBool::new(true));
        let mut taking = JoinSet::new();
        for partition in 0..PARTITION_COUNT {
            let taker = Taker {
                deliveries: routers.partition(partition),
                parts: Arc::clone(&parts),
                applies: Arc::clone(&applies),
                source: source.clone(),
            };
            taking.spawn(taker.take());
        }
        Self {
            node,
            source,
            gate,
            parts,
            applies,
            bus,
            config: watch::Sender::new(known),
            _taking: taking,
            _server: server,
        }
    }

    /// The loops of the agent that loads need, until they are dropped.
    pub(super) fn live(&self) -> JoinSet<()> {
        let (openings_tx, openings) = load::channel();
        let cut = Arc::new(watch::Sender::new(0));
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let (source, cut) = (self.source.clone(), Arc::clone(&cut));
            async move {
                let ended = reader::run(source, Backlog::default(), cut, openings).await;
                panic!("reading: {ended:?}");
            }
        });
        tasks.spawn({
            let (source, bus, config) = (self.source.clone(), self.bus.clone(), self.config.subscribe());
            async move {
                let ended =
                    publisher::run(source, bus, config, cut.subscribe(), CancellationToken::new()).await;
                panic!("publishing: {ended:?}");
            }
        });
        tasks.spawn({
            let (source, bus, config) = (self.source.clone(), self.bus.clone(), self.config.subscribe());
            async move {
                let ended = load::run(source, bus, config, openings_tx).await;
                panic!("loads: {ended:?}");
            }
        });
        tasks
    }

    /// Lets the source reach NATS again, and ask for the newest configuration there.
    pub(super) async fn open(&self) {
        let mut connections = self.bus.connections();
        self.gate.open();
        while self.bus.connection().is_none() || self.bus.connection() == self.config.borrow().asked_over {
            let changed = tokio::time::timeout(PATIENCE, connections.changed()).await;
            changed.expect("a connection").expect("the bus");
        }
        let asked_over = self.bus.connection();
        self.config.send_modify(|known| known.asked_over = asked_over);
    }

    pub(super) async fn request(&self, enabled: i64, nodes: &str) {
        let sql = format!(
            "update sym_node_security set initial_load_enabled = {enabled} where node_id in ({nodes})"
        );
        self.node.db.run(&sql).await;
    }

    /// The loads of a node, oldest first: number and status.
    pub(super) async fn loads(&self, node: &str) -> Vec<(i64, String)> {
        let sql = format!("select load_id, status from sym_load where node_id = '{node}' order by load_id");
        let rows = self.node.db.rows(&sql).await;
        rows.iter()
            .map(|row| (row[0].parse().expect("a number"), row[1].clone()))
            .collect()
    }

    /// Waits until the newest load of a node has this status; its number.
    pub(super) async fn until(&self, node: &str, status: &str) -> i64 {
        eventually(PATIENCE, format!("a load of {node} that is {status}"), || async {
            match self.loads(node).await.last() {
                Some((load_id, found)) if found == status => Ok(*load_id),
                found => Err(format!("{found:?}")),
            }
        })
        .await
    }

    pub(super) fn steps(&self, load_id: i64) -> Vec<Part> {
        let parts = self.parts.lock().expect("parts");
        let is_of_it = |part: &&Part| part.load.as_ref().is_some_and(|load| load.load_id == load_id);
        parts.iter().filter(is_of_it).cloned().collect()
    }

    /// All parts of a load that is published whole.
    pub(super) async fn all_of(&self, load_id: i64) -> Vec<Part> {
        eventually(PATIENCE, format!("the end of load {load_id}"), || async {
            let steps = self.steps(load_id);
            match steps.last().map(name) {
                Some("end") => Ok(steps),
                last => Err(format!("{last:?}")),
            }
        })
        .await
    }

    /// What a node has after the load alone.
    pub(super) fn loaded(&self, load_id: i64) -> Items {
        let mut items = Items::new();
        for part in self.steps(load_id) {
            apply(&part, &mut items);
        }
        items
    }

    /// Applies the batches of changes whose number `is_meant`, in their order.
    pub(super) fn apply(&self, items: &mut Items, is_meant: impl Fn(i64) -> bool) {
        let mut parts = self.changes();
        parts.sort_by_key(|part| part.batch_id);
        for part in parts.iter().filter(|part| is_meant(part.batch_id)) {
            apply(part, items);
        }
    }

    /// The parts that are not of loads.
    pub(super) fn changes(&self) -> Vec<Part> {
        let parts = self.parts.lock().expect("parts");
        parts.iter().filter(|part| part.load.is_none()).cloned().collect()
    }

    /// What the source has, once all that was captured has been published.
    pub(super) async fn settled(&self) -> Items {
        eventually(PATIENCE, "everything to be published", || async {
            let captured = self.node.db.number("select count(*) from sym_data").await;
            let published: usize = self.changes().iter().map(|part| part.rows.changes.len()).sum();
            if i64::try_from(published) == Ok(captured) {
                Ok(())
            } else {
                Err(format!("{published} of {captured} changes"))
            }
        })
        .await;
        let rows = self.node.db.rows("select id, n from item").await;
        rows.iter()
            .map(|row| (row[0].parse().expect("id"), row[1].parse().expect("n")))
            .collect()
    }
}

fn apply(part: &Part, items: &mut Items) {
    let number = |cells: &[symstream_shared::cell::Cell], column: usize| -> i64 {
        let text = cells[column].to_text();
        text.and_then(|text| text.parse().ok()).expect("a number")
    };
    for change in &part.rows.changes {
        let key = change.old.as_ref().or(change.new.as_ref()).expect("a row");
        let key = number(key, 0);
        match (change.operation, &change.new) {
            (Operation::Delete, _) => drop(items.remove(&key)),
            (_, Some(new)) => {
                items.remove(&key);
                items.insert(number(new, 0), number(new, 1));
            }
            (_, None) => panic!("no new row"),
        }
    }
}

struct Taker {
    deliveries: Deliveries,
    parts: Arc<Mutex<Vec<Part>>>,
    applies: Arc<AtomicBool>,
    source: Source,
}

impl Taker {
    async fn take(mut self) {
        loop {
            let delivery = self.deliveries.next().await;
            let header = delivery.header().expect("header");
            let Ok(Message::Captured(part)) = Message::decode(delivery.body()) else {
                panic!("no part");
            };
            delivery.ack().await.expect("ack");
            let is_last = header.part == header.part_last;
            self.parts.lock().expect("parts").push(part.clone());
            if is_last {
                self.route(&part).await;
            }
        }
    }

    /// What is recorded when the batch was routed, and applied.
    async fn route(&self, part: &Part) {
        let mut sql = String::new();
        let status = if self.applies.load(Ordering::Relaxed) {
            "OK"
        } else {
            "SE"
        };
        for node in part.targets.iter().filter(|_| part.load.is_some()) {
            sql.push_str(&format!(
                "insert into sym_outgoing_batch (batch_id, node_id, channel_id, batch_type, status) \
                 values ({}, '{node}', 'reload', 'IL', '{status}'); ",
                part.batch_id
            ));
        }
        sql.push_str(&format!(
            "update sym_capture_batch set routed = 1 where batch_id = {}",
            part.batch_id
        ));
        let mut conn = self.source.database.conn().await.expect("connection");
        use symstream_shared::db::Sql;
        conn.execute_script(&sql).await.expect("recorded");
    }
}

/// The step's name.
pub(super) fn name(part: &Part) -> &'static str {
    match part.load.as_ref().map(|load| &load.step) {
        Some(LoadStep::Begin(_)) => "begin",
        Some(LoadStep::Early) => "early",
        Some(LoadStep::Rows) => "rows",
        Some(LoadStep::End) => "end",
        Some(LoadStep::Cancelled) => "cancelled",
        None => "changes",
    }
}
