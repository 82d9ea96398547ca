//! A node's database for tests of this crate's inside, and a way to NATS that can be closed.

mod gate;

pub(crate) use gate::Gate;

use crate::source::Source;
use std::sync::Arc;
use symstream_shared::db::{ConnectOptions, DatabaseKind};
use symstream_shared::engine::{Engine, NatsOptions, Settings};
use symstream_shared::id::{EngineName, ExternalId, GroupId, NodeId};
use symstream_shared::parameter::Parameters;
use symstream_shared::schema::{self, Tables};
use symstream_tests::database::TestDatabase;
use symstream_tests::folder::Folder;
use symstream_tests::server::{MariaDb, PostgresServer};
use tokio::sync::watch;

/// Keeps the database's server, or its folder.
enum Keep {
    Postgres(#[expect(dead_code, reason = "stops when it is dropped")] PostgresServer),
    Mysql(#[expect(dead_code, reason = "stops when it is dropped")] MariaDb),
    Sqlite(#[expect(dead_code, reason = "is removed when it is dropped")] Folder),
}

/// A node of the group `here` whose `sym_` tables are there, and a channel `main`.
pub(crate) struct TestNode {
    pub(crate) source: Source,
    pub(crate) db: TestDatabase,
    /// What `source` sees as its parameters.
    pub(crate) parameters: watch::Sender<Arc<Parameters>>,
    _keep: Keep,
}

impl TestNode {
    pub(crate) async fn start(kind: DatabaseKind) -> Self {
        let (keep, db) = match kind {
            DatabaseKind::Postgres => {
                let server = PostgresServer::start().await;
                let db = server.create_database("node").await;
                (Keep::Postgres(server), db)
            }
            DatabaseKind::Mysql => {
                let server = MariaDb::start().await;
                let db = server.create_database("node").await;
                (Keep::Mysql(server), db)
            }
            DatabaseKind::Sqlite => {
                let folder = Folder::new();
                let db = TestDatabase::sqlite(&folder, "node");
                (Keep::Sqlite(folder), db)
            }
        };
        let tables = Tables::default();
        schema::create(db.database(), &tables).await.expect("sym_ tables");
        db.run(
            "insert into sym_node_group (node_group_id) values ('here'), ('there');
             insert into sym_node_group_link (source_node_group_id, target_node_group_id) values ('here', 'there');
             insert into sym_channel (channel_id, max_batch_size) values ('main', 3)",
        )
        .await;
        let engine = Engine {
            name: EngineName::new("engine").expect("name"),
            group: GroupId::new("here").expect("id"),
            external_id: ExternalId::new("000").expect("id"),
            db: ConnectOptions {
                url: db.url().to_owned().into(),
                user: None,
                password: None,
                init_sql: None,
            },
            registration_url: None,
            registration_secret: Default::default(),
            nats: NatsOptions::default(),
            table_prefix: "sym".to_owned(),
            settings: Settings::default(),
        };
        let parameters = watch::Sender::new(Arc::new(Parameters::of(&engine)));
        let source = Source {
            engine: Arc::new(engine),
            database: db.database().clone(),
            tables,
            node: NodeId::new("000").expect("id"),
            parameters: parameters.subscribe(),
        };
        Self {
            source,
            db,
            parameters,
            _keep: keep,
        }
    }
}
