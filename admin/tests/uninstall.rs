//! What an engine leaves behind.

use crate::exchange::{KINDS, Place, Servers};
use crate::site::CLOUD;
use symstream_shared::db::DatabaseKind;
use symstream_shared::engine::EngineFolder;
use symstream_tests::server::NatsServer;

const APPLICATION: &str = "create table item (id int primary key, name varchar(20)); \
     create table \"Order\" (id int primary key, item_id int references item (id))";

/// Everything that a database's catalog lists: relations, functions, triggers, types, routines, events.
async fn catalog(place: &Place) -> Vec<Vec<String>> {
    let queries: &[&str] = match place.database.kind() {
        DatabaseKind::Postgres => &[
            "select relkind::text, oid::regclass::text from pg_class where relnamespace in \
             (select oid from pg_namespace where nspname not like 'pg\\_%' and nspname <> 'information_schema') \
             order by 1, 2",
            "select 'function', oid::regprocedure::text from pg_proc where pronamespace in \
             (select oid from pg_namespace where nspname not like 'pg\\_%' and nspname <> 'information_schema') \
             order by 2",
            "select 'trigger', tgrelid::regclass::text, tgname::text from pg_trigger where not tgisinternal order by 2, 3",
            "select 'type', typname::text from pg_type t join pg_namespace n on n.oid = t.typnamespace \
             where nspname not like 'pg\\_%' and nspname <> 'information_schema' order by 2",
            "select 'schema', nspname::text from pg_namespace where nspname not like 'pg\\_t%' order by 2",
            "select 'setting', array_to_string(setconfig, ',') from pg_db_role_setting order by 2",
            "select 'extension', extname::text from pg_extension order by 2",
            "select 'event trigger', evtname::text from pg_event_trigger order by 2",
        ],
        DatabaseKind::Mysql => &[
            "select 'table', table_name from information_schema.tables where table_schema = database() order by 2",
            "select 'routine', routine_name from information_schema.routines where routine_schema = database() order by 2",
            "select 'trigger', trigger_name from information_schema.triggers where trigger_schema = database() order by 2",
            "select 'event', event_name from information_schema.events where event_schema = database() order by 2",
        ],
        DatabaseKind::Sqlite => &[
            "select type, name, tbl_name from sqlite_master where name <> 'sqlite_sequence' order by 1, 2",
            "pragma user_version",
            "pragma application_id",
        ],
    };
    let mut all = Vec::new();
    for query in queries {
        all.extend(place.database.rows(query).await);
    }
    all
}

/// A configuration under which both tables are captured.
async fn capture_both(place: &Place, prefix: &str) {
    let kind = place.database.kind();
    let statements = format!(
        "insert into {prefix}_node_group (node_group_id) values ('cloud'), ('local'); \
         insert into {prefix}_node_group_link (source_node_group_id, target_node_group_id) values ('cloud', 'local'); \
         insert into {prefix}_channel (channel_id) values ('c'); \
         insert into {prefix}_router (router_id, source_node_group_id, target_node_group_id, router_type) values \
         ('r', 'cloud', 'local', 'default'); \
         insert into {prefix}_trigger (trigger_id, source_table_name, channel_id) values ('i', 'item', 'c'), ('o', 'Order', 'c'); \
         insert into {prefix}_trigger_router (trigger_id, router_id) values ('i', 'r'), ('o', 'r')"
    );
    place.database.run(&statements).await;
    let set = format!("sync.table.prefix={prefix}");
    place.site.symadmin(&["--set", &set, "sync-triggers"]).ok();
    place
        .database
        .run("delete from item; insert into item (id, name) values (1, 'a')")
        .await;
    place
        .database
        .run(&format!(
            "alter table item add {} int",
            kind.quote(&format!("more_{prefix}"))
        ))
        .await;
    place
        .database
        .run("update item set name = 'b' where id = 1")
        .await;
    place.site.symadmin(&["--set", &set, "sync-triggers"]).ok();
}

#[tokio::test]
async fn a_database_is_as_it_was_before_and_another_engine_in_it_goes_on() {
    let servers = Servers::start().await;
    for kind in KINDS {
        let place = servers.place(kind).await;
        let order = kind.quote("Order");
        place
            .database
            .run(&APPLICATION.replace("\"Order\"", &order))
            .await;
        let before = catalog(&place).await;
        for prefix in ["sym", "other"] {
            let set = format!("sync.table.prefix={prefix}");
            place.site.symadmin(&["--set", &set, "create-sym-tables"]).ok();
        }
        capture_both(&place, "other").await;
        let with_other = catalog(&place).await;
        capture_both(&place, "sym").await;
        assert_ne!(catalog(&place).await, with_other, "{kind}: triggers were made");

        place.site.symadmin(&["uninstall", "--yes"]).ok();
        let left = catalog(&place).await;
        let mine: Vec<_> = left
            .iter()
            .filter(|row| row.iter().any(|name| name.contains("sym")))
            .collect();
        assert!(mine.is_empty(), "{kind}: {mine:?}");
        // The other engine's are all there, and capture.
        let captured = || place.database.number("select count(*) from other_data");
        let count = captured().await;
        place
            .database
            .run("insert into item (id, name) values (2, 'x')")
            .await;
        assert_eq!(captured().await, count + 1, "{kind}");

        place
            .site
            .symadmin(&["--set", "sync.table.prefix=other", "uninstall", "--yes"])
            .ok();
        assert_eq!(catalog(&place).await, before, "{kind}");
        place.database.run("update item set name = 'y'").await;
        place.database.run("delete from item").await;
    }
}

#[tokio::test]
async fn with_streams_nats_keeps_nothing() {
    let servers = Servers::start().await;
    let nats = NatsServer::start().await;
    let place = servers.place(DatabaseKind::Sqlite).await;
    let line = format!("nats.url = \"{}\"", nats.url());
    place.site.server_file(place.database.url(), &line);
    place.site.symadmin(&["create-sym-tables"]).ok();
    let engine = EngineFolder::new(Some(place.site.path("engines")), Vec::new())
        .engine(CLOUD)
        .expect("engine");
    let bus = symstream_nats::Bus::connect(&engine, "test")
        .await
        .expect("connect");
    assert_eq!(bus.ensure_streams().await.expect("streams").len(), 7);
    let done = place.site.symadmin(&["uninstall", "--streams", "--yes"]).ok();
    assert!(done.stderr.contains("deleted 7 streams"), "{done:?}");
    assert!(bus.delete_streams().await.expect("none").is_empty());
}

#[tokio::test]
async fn without_nats_nothing_is_removed_with_streams() {
    let servers = Servers::start().await;
    let place = servers.place(DatabaseKind::Sqlite).await;
    let line = "nats.url = \"nats://127.0.0.1:9\"";
    place.site.server_file(place.database.url(), line);
    place.site.symadmin(&["create-sym-tables"]).ok();
    let error = place.site.symadmin(&["uninstall", "--streams", "--yes"]).error(1);
    assert!(
        error.contains("--streams: nats at nats://127.0.0.1:9") && error.ends_with("nothing was removed"),
        "{error}"
    );
    assert_eq!(
        place.database.number("select count(*) from sym_node_group").await,
        0
    );
}
