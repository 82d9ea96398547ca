//! The `sym_` tables and the configuration in them, on the three dialects.

use symstream_shared::db::{Sql, TxKind};
use symstream_shared::engine::{Engine, NatsOptions, Settings};
use symstream_shared::id::{EngineName, ExternalId, GroupId, NodeId};
use symstream_shared::model;
use symstream_shared::schema::{self, Tables};
use symstream_shared::wire::Configuration;
use symstream_tests::database::TestDatabase;
use symstream_tests::folder::Folder;
use symstream_tests::server::{MariaDb, PostgresServer};

/// One database of each kind, with the tables.
struct Databases {
    all: Vec<TestDatabase>,
    _servers: (PostgresServer, MariaDb, Folder),
}

async fn databases() -> Databases {
    let (postgres, mariadb, folder) = (
        PostgresServer::start().await,
        MariaDb::start().await,
        Folder::new(),
    );
    let all = vec![
        postgres.create_database("one").await,
        mariadb.create_database("one").await,
        TestDatabase::sqlite(&folder, "one"),
    ];
    for database in &all {
        schema::create(database.database(), &Tables::default())
            .await
            .expect("create");
    }
    Databases {
        all,
        _servers: (postgres, mariadb, folder),
    }
}

#[tokio::test]
async fn an_older_version_of_the_tables_is_brought_up_to_date_by_many_at_once() {
    let databases = databases().await;
    for database in &databases.all {
        // GIVEN an older version, with rows
        database
            .run(
                "insert into sym_trigger_router (trigger_id, router_id) values ('t', 'r');
                 insert into sym_outgoing_batch (batch_id, node_id) values (1, 'n');
                 alter table sym_trigger_router drop column create_time;
                 alter table sym_outgoing_batch drop column batch_type;
                 alter table sym_data drop column old_data;
                 drop table sym_state;",
            )
            .await;

        // WHEN several processes create the tables
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let database = database.database().clone();
                tokio::spawn(async move { schema::create(&database, &Tables::default()).await })
            })
            .collect();

        // THEN one of them does it, and nothing is lost
        let mut statements = Vec::new();
        for task in tasks {
            statements.push(task.await.expect("task").expect("create").len());
        }
        assert_eq!(
            statements.iter().filter(|count| **count > 0).count(),
            1,
            "{statements:?}"
        );
        let kept = database
            .rows(
                "select b.batch_type, r.trigger_id from sym_outgoing_batch b, sym_trigger_router r
                 where r.create_time is not null",
            )
            .await;
        assert_eq!(kept, [["EV", "t"]], "{}", database.kind());
        database
            .run("insert into sym_data (table_name, trigger_hist_id, old_data) values ('t', 1, 'x')")
            .await;

        schema::drop_all(database.database(), &Tables::default())
            .await
            .expect("drop");
        assert!(
            !schema::create(database.database(), &Tables::default())
                .await
                .expect("create")
                .is_empty()
        );
    }
}

const CONFIGURATION: &str = "
    insert into sym_node_group (node_group_id) values ('cloud');
    insert into sym_node_group (node_group_id, description) values ('local', 'Häuser \"a\", ''b''');
    insert into sym_node_group_link (source_node_group_id, target_node_group_id) values ('cloud', 'local');
    insert into sym_node_group_link (source_node_group_id, target_node_group_id, data_event_action) values ('local', 'cloud', 'P');
    insert into sym_node (node_id, node_group_id, external_id, sync_enabled) values ('c', 'cloud', 'c', 1);
    insert into sym_node (node_id, node_group_id, external_id) values ('l', 'local', 'l');
    insert into sym_node_security (node_id, password, registration_time) values ('c', 'secret-c', '2026-01-31 12:00:00.123456');
    insert into sym_node_security (node_id, password, registration_enabled) values ('l', 'secret-l', 1);
    insert into sym_channel (channel_id, max_batch_size) values ('clinic', 500);
    insert into sym_trigger (trigger_id, source_table_name, channel_id) values (1, 'patients', 'clinic');
    insert into sym_trigger (trigger_id, source_table_name, channel_id, source_node_group_id, target_node_group_id, inactive_time)
      values ('codes', 'codes', 'clinic', 'cloud', 'local', '2026-02-01 00:00:00');
    insert into sym_router (router_id, source_node_group_id, target_node_group_id, router_type, router_expression)
      values ('select_local', 'cloud', 'local', 'lookuptable',
              'LOOKUP_TABLE=locations KEY_COLUMN=patient_id LOOKUP_KEY_COLUMN=patient_id EXTERNAL_ID_COLUMN=location_id');
    insert into sym_trigger_router (trigger_id, router_id) values ('1', 'select_local');
    insert into sym_parameter (external_id, node_group_id, param_key, param_value) values ('ALL', 'ALL', 'a.b', 'c');
";

const EDIT: &str = "
    delete from sym_trigger where trigger_id = 'codes';
    update sym_trigger set excluded_column_names = 'a, b', last_updated_by = 'me' where trigger_id = '1';
    update sym_node set heartbeat_time = '2026-03-01 00:00:00', sync_url = 'nats://h/c' where node_id = 'c';
    insert into sym_channel (channel_id) values ('other');
    delete from sym_node where node_id = 'l';
    delete from sym_node_security where node_id = 'l';
";

async fn configuration(database: &TestDatabase, version: i64) -> Configuration {
    let mut tx = database.database().begin(TxKind::ReadOnly).await.expect("begin");
    let tables = model::read_configuration(&mut tx, &Tables::default())
        .await
        .expect("read");
    Configuration { version, tables }
}

async fn adopt(database: &TestDatabase, configuration: &Configuration) {
    let mut tx = database.begin().await.expect("begin");
    model::adopt_configuration(&mut tx, &Tables::default(), configuration)
        .await
        .expect("adopt");
    tx.commit().await.expect("commit");
}

#[tokio::test]
async fn the_configuration_arrives_unchanged_between_any_two_dialects() {
    let databases = databases().await;
    for source in &databases.all {
        source.run(CONFIGURATION).await;
        let first = configuration(source, 1).await;
        source.run(EDIT).await;
        let second = configuration(source, 2).await;
        assert_ne!(first.tables, second.tables);
        for target in databases
            .all
            .iter()
            .filter(|target| target.kind() != source.kind())
        {
            let route = format!("{} to {}", source.kind(), target.kind());

            // WHEN a node that knows its identity and its password gets one version after the other
            target
                .run(
                    "insert into sym_node_identity (node_id) values ('l');
                     insert into sym_node_security (node_id, password, initial_load_enabled) values ('l', 'own', 1)",
                )
                .await;
            for version in [&first, &second] {
                adopt(target, version).await;

                // THEN it holds exactly this version, and its own password
                let mut expected = version.clone();
                if version.version == 2 {
                    // The row with the node's own password stays.
                    let security = |all: &Configuration| {
                        all.tables
                            .iter()
                            .position(|table| table.name == "node_security")
                            .expect("table")
                    };
                    let own = first.tables[security(&first)].rows[1].clone();
                    let at = security(&expected);
                    expected.tables[at].rows.push(own);
                }
                assert_eq!(configuration(target, version.version).await, expected, "{route}");
                let mut tx = target.begin().await.expect("begin");
                let local = model::local_configuration(&mut tx, &Tables::default())
                    .await
                    .expect("valid");
                assert_eq!(
                    local,
                    model::Config::from_wire(&expected).expect("valid"),
                    "{route}"
                );
                tx.rollback().await.expect("rollback");
                let passwords =
                    "select node_id, password, initial_load_enabled from sym_node_security order by node_id";
                assert_eq!(
                    target.rows(passwords).await,
                    [["c", "", "0"], ["l", "own", "1"]],
                    "{route}"
                );
            }
            clear(target).await;
        }
        clear(source).await;
    }
}

#[tokio::test]
async fn adopting_leaves_what_a_node_knows_of_itself() {
    let databases = databases().await;
    for database in &databases.all {
        // GIVEN a configuration in which everything of two nodes is old
        database
            .run(
                "insert into sym_node (node_id, node_group_id, external_id, sync_url, schema_version, \
                   symmetric_version, database_type, database_version) \
                   values ('c', 'cloud', 'c', 'old', 'old', 'old', 'old', 'old'), \
                          ('l', 'local', 'l', 'old', 'old', 'old', 'old', 'old')",
            )
            .await;
        let old = configuration(database, 1).await;
        // WHEN the one whose database it is adopts it, while it knows better
        database
            .run(
                "insert into sym_node_identity (node_id) values ('l'); \
                 update sym_node set sync_enabled = 1, sync_url = 'new', schema_version = 'new', \
                   symmetric_version = 'new', database_type = 'new', database_version = 'new', \
                   created_at_node_id = 'x', heartbeat_time = '2026-01-01 00:00:00', timezone_offset = '+01:00'",
            )
            .await;
        adopt(database, &old).await;
        // THEN its own versions stay in its own row, and the rest is as the server says
        let columns = "select node_id, sync_enabled, sync_url, schema_version, symmetric_version, database_type, \
                       database_version, created_at_node_id, timezone_offset from sym_node order by node_id";
        assert_eq!(
            database.rows(columns).await,
            [
                ["c", "0", "old", "old", "old", "old", "old", "∅", "+01:00"],
                ["l", "0", "new", "new", "new", "new", "new", "∅", "+01:00"]
            ],
            "{}",
            database.kind()
        );
        clear(database).await;
    }
}

async fn clear(database: &TestDatabase) {
    schema::drop_all(database.database(), &Tables::default())
        .await
        .expect("drop");
    schema::create(database.database(), &Tables::default())
        .await
        .expect("create");
}

#[tokio::test]
async fn the_registration_server_is_a_registered_node_from_its_first_start_on() {
    let databases = databases().await;
    for database in &databases.all {
        let engine = Engine {
            name: EngineName::new("cloud-c").expect("name"),
            group: GroupId::new("cloud").expect("group"),
            external_id: ExternalId::new("c").expect("id"),
            db: symstream_shared::db::ConnectOptions {
                url: database.url().to_owned().into(),
                user: None,
                password: None,
                init_sql: None,
            },
            registration_url: None,
            registration_secret: Default::default(),
            nats: NatsOptions {
                urls: vec!["nats://h:4222".to_owned()],
                user: None,
                password: None,
                creds: None,
                nkey: None,
                tls_ca: None,
                tls_cert: None,
                tls_key: None,
            },
            table_prefix: "sym".to_owned(),
            settings: Settings::default(),
        };
        let mut seen = Vec::new();
        for _ in 0..2 {
            let node = schema::ensure_identity(database.database(), &Tables::default(), &engine).await;
            assert_eq!(node.expect("identity"), NodeId::new("c").expect("id"));
            seen.push(
                database
                    .rows(
                        "select i.node_id, n.node_group_id, n.external_id, n.sync_enabled, n.sync_url, g.node_group_id,
                                s.password
                         from sym_node_identity i join sym_node n on n.node_id = i.node_id
                         join sym_node_group g on g.node_group_id = n.node_group_id
                         join sym_node_security s on s.node_id = i.node_id
                         where s.registration_time is not null",
                    )
                    .await,
            );
        }
        assert_eq!(seen[0], seen[1]);
        assert_eq!(
            seen[0][0][..6],
            ["c", "cloud", "c", "1", "nats://h:4222/cloud-c", "cloud"]
        );
        let mut conn = database.database().conn().await.expect("connection");
        let config = model::local_configuration(&mut conn, &Tables::default())
            .await
            .expect("valid");
        assert!(
            config.registered.contains(&NodeId::new("c").expect("id")),
            "{}",
            conn.kind()
        );
    }
}
