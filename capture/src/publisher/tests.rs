//! Publishing to a real NATS server, and what happens after a crash at each step.

mod reload;

use super::*;
use crate::batch_store::StoredBatch;
use crate::cutter::Cut;
use crate::source::{KnownConfig, now_ms};
use crate::sync_triggers::sync_triggers;
use crate::testing::{Gate, TestNode};
use symstream_nats::PARTITION_COUNT;
use symstream_shared::db::DatabaseKind::{self, Sqlite};
use symstream_shared::engine::Engine;
use symstream_shared::model::local_configuration;
use symstream_shared::wire::Message;
use symstream_tests::eventually::eventually;
use symstream_tests::server::NatsServer;
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(20);

/// A SQLite node whose table `item` is captured, and a NATS server.
struct Fixture {
    node: TestNode,
    source: Source,
    bus: Bus,
    config: watch::Sender<KnownConfig>,
    cut: Arc<watch::Sender<u64>>,
    server: NatsServer,
    /// What the node's own connection goes through.
    gate: Gate,
}

impl Fixture {
    async fn start() -> Self {
        Self::of(Sqlite).await
    }

    async fn of(kind: DatabaseKind) -> Self {
        let server = NatsServer::start().await;
        let node = TestNode::start(kind).await;
        node.db
            .run(
                "create table item (id integer primary key, name varchar(40));
                 insert into sym_trigger (trigger_id, source_table_name, source_node_group_id, target_node_group_id, \
                 channel_id) values ('item', 'item', 'here', 'there', 'main')",
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
        Self {
            node,
            source,
            bus,
            config: watch::Sender::new(known),
            cut: Arc::new(watch::Sender::new(0)),
            server,
            gate,
        }
    }

    /// What the configuration's loop does after a reconnect.
    async fn config_over_the_new_connection(&self) {
        let mut connections = self.bus.connections();
        let before = self.config.borrow().asked_over;
        let over = async {
            while self.bus.connection().is_none() || self.bus.connection() == before {
                connections.changed().await.expect("connections");
            }
        };
        tokio::time::timeout(PATIENCE, over).await.expect("a connection");
        let asked_over = self.bus.connection();
        self.config.send_modify(|known| known.asked_over = asked_over);
    }

    fn channel() -> ChannelId {
        ChannelId::new("main").expect("id")
    }

    /// Writes one row, which is cut as one batch.
    async fn batch(&self, id: i64) {
        self.batch_of(&format!("insert into item values ({id}, 'name {id}')"))
            .await;
    }

    /// Runs what writes one row, which is cut as one batch.
    async fn batch_of(&self, insert: &str) {
        self.node.db.run(insert).await;
        self.cut().await;
    }

    /// Cuts the last row as one batch.
    async fn cut(&self) {
        let data_id = self.node.db.number("select max(data_id) from sym_data").await;
        let mut runs = crate::data_runs::DataRuns::default();
        runs.push(data_id);
        let cut = Cut {
            channel: Self::channel(),
            runs,
            count: 1,
        };
        let mut tx = self.node.db.begin().await.expect("transaction");
        batch_store::store(&mut tx, &self.source.tables, &[cut], 0, now_ms())
            .await
            .expect("stored");
        tx.commit().await.expect("commit");
        self.cut.send_modify(|count| *count += 1);
    }

    /// Says that everything up to this row was cut.
    async fn reading_is_done(&self, data_id: i64) {
        self.node
            .db
            .run(&format!(
                "delete from sym_state where state_key = 'capture_position';
                 insert into sym_state (state_key, state_value) values ('capture_position', '{data_id}')"
            ))
            .await;
        self.cut.send_modify(|count| *count += 1);
    }

    /// Takes the configuration and the triggers as the tables say now.
    async fn read_configuration(&self) {
        let mut conn = self.source.database.conn().await.expect("connection");
        let config = local_configuration(&mut conn, &self.source.tables)
            .await
            .expect("configuration");
        drop(conn);
        let group = &self.source.engine.group;
        sync_triggers(&self.source.database, &self.source.tables, &config, group, false)
            .await
            .expect("triggers");
        self.config
            .send_modify(|known| known.config = Some(Arc::new(config)));
    }

    async fn batches(&self) -> Vec<StoredBatch> {
        let mut conn = self.source.database.conn().await.expect("connection");
        batch_store::next(&mut conn, &self.source.tables, &Self::channel(), 0, 100)
            .await
            .expect("batches")
    }

    /// Publishes until it is dropped, as the agent does.
    fn publish(&self) -> JoinSet<Result<(), Error>> {
        let mut tasks = JoinSet::new();
        tasks.spawn(run(
            self.source.clone(),
            self.bus.clone(),
            self.config.subscribe(),
            self.cut.subscribe(),
            CancellationToken::new(),
        ));
        tasks
    }

    /// A part of a batch, as an agent that was killed left it on the subject.
    async fn leave(&self, batch_id: i64, part: u32, part_last: u32) {
        let header = PartHeader {
            source: self.source.node.clone(),
            target: None,
            channel: Self::channel(),
            batch_id,
            previous_batch_id: None,
            batch_type: BatchType::Event,
            rows: 1,
            part,
            part_last,
            configuration_version: 1,
            time_ms: 1,
            load_id: None,
            group: None,
        };
        let mut publisher = self.bus.captured(&self.source.node, &Self::channel());
        publisher.publish(&header, vec![0]).await.expect("published");
    }

    /// A connection of its own to NATS.
    async fn other_bus(&self) -> Bus {
        let mut engine = Engine::clone(&self.source.engine);
        engine.nats.urls = vec![self.server.url()];
        Bus::connect(&engine, "test").await.expect("nats")
    }

    /// The messages as a router gets them: `batch part/last`, with the ids of the rows where they can be read.
    fn messages(&self) -> Messages {
        self.messages_over(&self.bus)
    }

    fn messages_over(&self, bus: &Bus) -> Messages {
        let (message_tx, message_rx) = mpsc::channel(16);
        let mut tasks = JoinSet::new();
        for partition in 0..PARTITION_COUNT {
            let mut deliveries = bus.partition(partition);
            let message_tx = message_tx.clone();
            tasks.spawn(async move {
                loop {
                    let delivery = deliveries.next().await;
                    let header = delivery.header().expect("header");
                    let rows = match Message::decode(delivery.body()) {
                        Ok(Message::Captured(part)) => part
                            .rows
                            .changes
                            .iter()
                            .map(|change| format!(" {}", change.data_id))
                            .collect(),
                        _ => String::new(),
                    };
                    let text = format!("{} {}/{}:{rows}", header.batch_id, header.part, header.part_last);
                    delivery.ack().await.expect("ack");
                    if message_tx.send(text).await.is_err() {
                        return;
                    }
                }
            });
        }
        Messages {
            message_rx,
            _tasks: tasks,
        }
    }
}

struct Messages {
    message_rx: mpsc::Receiver<String>,
    _tasks: JoinSet<()>,
}

impl Messages {
    async fn next(&mut self, count: usize) -> Vec<String> {
        let mut messages = Vec::new();
        while messages.len() < count {
            let next = tokio::time::timeout(PATIENCE, self.message_rx.recv()).await;
            messages.push(
                next.unwrap_or_else(|_| panic!("only {messages:?} came"))
                    .expect("sender"),
            );
        }
        messages
    }
}

#[tokio::test]
async fn batches_go_out_in_order_and_a_restart_goes_on_where_it_was() {
    let f = Fixture::start().await;
    let mut messages = f.messages();
    f.batch(1).await;
    f.batch(2).await;
    let publishing = f.publish();
    assert_eq!(messages.next(2).await, ["1 1/1: 1", "2 1/1: 2"]);
    drop(publishing);
    f.batch(3).await;
    let _publishing = f.publish();
    assert_eq!(messages.next(1).await, ["3 1/1: 3"]);
}

#[tokio::test]
async fn a_batch_that_was_published_in_part_goes_out_whole_under_a_new_number_before_what_follows() {
    let f = Fixture::start().await;
    let mut messages = f.messages();
    for id in 1..=3 {
        f.batch(id).await;
    }
    // GIVEN a crash between two parts of batch 2
    f.leave(1, 1, 1).await;
    f.leave(2, 1, 2).await;
    assert_eq!(messages.next(2).await, ["1 1/1:", "2 1/2:"]);
    let _publishing = f.publish();
    // The part comes once more, so that nothing that is on its way can stand behind it.
    assert_eq!(messages.next(3).await, ["2 1/2:", "4 1/1: 2", "5 1/1: 3"]);
    let numbers: Vec<i64> = f.batches().await.iter().map(|batch| batch.batch_id).collect();
    assert_eq!(numbers, [1, 4, 5]);
    // AND the numbers after it are new, too
    f.batch(4).await;
    assert_eq!(messages.next(1).await, ["6 1/1: 4"]);
}

#[tokio::test]
async fn a_connection_that_is_lost_between_two_parts_leaves_the_batch_as_it_is() {
    let f = Fixture::start().await;
    let other = f.other_bus().await;
    let mut messages = f.messages_over(&other);
    // GIVEN a batch of many parts, whose text can not be compressed
    f.batch_of("insert into item values (1, hex(randomblob(8000000)))")
        .await;
    f.batch(2).await;
    let _publishing = f.publish();
    let mut seen = messages.next(1).await;
    // WHEN the connection goes while it is published, and comes again
    f.gate.close();
    let count: usize = seen[0]
        .split_once('/')
        .and_then(|(_, rest)| rest.strip_suffix(':'))
        .and_then(|count| count.parse().ok())
        .expect("a number");
    assert!(count > 5, "{seen:?}");
    eventually(PATIENCE, "the connection to be gone", || async {
        f.bus
            .connection()
            .map_or(Ok(()), |_| Err("it is there".to_owned()))
    })
    .await;
    f.gate.open();
    f.config_over_the_new_connection().await;
    // THEN it goes on under its number, and nothing comes twice
    seen.extend(messages.next(count).await);
    let expected = (1..=count)
        .map(|part| format!("1 {part}/{count}:"))
        .chain(["2 1/1: 2".to_owned()]);
    assert_eq!(seen, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn what_the_stream_lost_is_published_again_in_order() {
    let f = Fixture::start().await;
    let mut messages = f.messages();
    f.batch(1).await;
    f.batch(2).await;
    let _publishing = f.publish();
    assert_eq!(messages.next(2).await, ["1 1/1: 1", "2 1/1: 2"]);
    // GIVEN a report for the first only, and a stream that was emptied
    f.node
        .db
        .run("update sym_capture_batch set routed = 1 where batch_id = 1")
        .await;
    let client = async_nats::connect(f.server.url()).await.expect("connect");
    let stream = async_nats::jetstream::new(client)
        .get_stream("SYM_CAPTURE")
        .await
        .expect("stream");
    stream.purge().await.expect("purge");
    f.batch(3).await;
    assert_eq!(messages.next(2).await, ["2 1/1: 2", "3 1/1: 3"]);
}

#[tokio::test]
async fn a_database_that_went_back_in_time_publishes_above_what_was_published() {
    let f = Fixture::start().await;
    let mut messages = f.messages();
    f.batch(1).await;
    f.leave(7, 1, 1).await;
    let _publishing = f.publish();
    assert_eq!(messages.next(2).await, ["7 1/1:", "8 1/1: 1"]);
}

#[tokio::test]
async fn what_names_the_channel_of_initial_loads_goes_to_nobody_and_leaves_loads_alone() {
    let f = Fixture::start().await;
    let mut messages = f.messages();
    // GIVEN a request in the reserved channel, and a batch of a load behind it
    f.node
        .db
        .run(
            "insert into sym_data (table_name, event_type, trigger_hist_id, channel_id, row_data, pk_data) \
             values ('', 'S', 0, 'reload', 'select 1', '001');
             insert into sym_capture_batch (batch_id, channel_id, batch_type, target_node_id, data_ranges, data_count, \
             configuration_version, routed) values (1, 'reload', 'EV', null, '1', 1, 0, 0), \
             (2, 'reload', 'IL', '001', '', 0, 0, 0);
             insert into sym_state (state_key, state_value) values ('batch_id', '2')",
        )
        .await;
    let _publishing = f.publish();
    // THEN it is over, and others go on
    let routed = || async {
        let rows = f
            .node
            .db
            .rows(
                "select b.batch_id, b.routed, e.node_id from sym_capture_batch b left join sym_data_event e \
                 on b.batch_type = 'EV' and e.data_id = 1 order by b.batch_id",
            )
            .await;
        format!("{rows:?}")
    };
    eventually(PATIENCE, "the request to be over", || async {
        let found = routed().await;
        if found == r#"[["1", "1", "-1"], ["2", "0", "∅"]]"# {
            Ok(())
        } else {
            Err(found)
        }
    })
    .await;
    f.batch(1).await;
    assert_eq!(messages.next(1).await, ["3 1/1: 2"]);
    // AND new numbers are for batches of changes only
    let mut tx = f.node.db.begin().await.expect("transaction");
    batch_store::renumber(&mut tx, &f.source.tables, &ChannelId::reload(), 1)
        .await
        .expect("numbers");
    tx.commit().await.expect("commit");
    assert_eq!(
        f.node
            .db
            .number("select batch_id from sym_capture_batch where batch_type = 'IL'")
            .await,
        2
    );
}

#[tokio::test]
async fn a_channel_that_is_switched_off_waits() {
    let f = Fixture::start().await;
    let mut messages = f.messages();
    f.node.db.run("update sym_channel set enabled = 0").await;
    let mut conn = f.source.database.conn().await.expect("connection");
    let off = local_configuration(&mut conn, &f.source.tables)
        .await
        .expect("configuration");
    let known = f.config.borrow().clone();
    let off = KnownConfig {
        config: Some(Arc::new(off)),
        ..known
    };
    let on = f.config.send_replace(off);
    f.batch(1).await;
    let _publishing = f.publish();
    assert!(
        tokio::time::timeout(Duration::from_secs(2), messages.message_rx.recv())
            .await
            .is_err()
    );
    f.config.send_replace(on);
    assert_eq!(messages.next(1).await, ["1 1/1: 1"]);
}
