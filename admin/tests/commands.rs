use crate::site::{CLOUD, Site};
use symstream_shared::wire::{Message, RoutedReport};

fn with_tables() -> Site {
    let site = Site::new();
    site.symadmin(&["--engine", CLOUD, "create-sym-tables"]).ok();
    site.write(
        "groups.sql",
        "insert into sym_node_group (node_group_id) values ('local'); \
         insert into sym_node_group (node_group_id) values ('branch');",
    );
    site.dbimport(&["--engine", CLOUD, "groups.sql"]).ok();
    site
}

#[test]
fn tables_are_created_once_and_the_engine_stands_before_or_after_the_command() {
    let site = Site::new();
    let first = site.symadmin(&["--engine", CLOUD, "create-sym-tables"]).ok();
    assert!(first.stderr.contains("created"), "{first:?}");
    let again = site.symadmin(&["create-sym-tables", "--engine", CLOUD]).ok();
    assert!(again.stderr.contains("up to date"), "{again:?}");
    // The only engine of the folder needs no name.
    site.symadmin(&["create-sym-tables"]).ok();
}

#[test]
fn a_registration_is_opened_with_a_password_that_stays() {
    let site = with_tables();
    let security = "select registration_enabled, password, created_at_node_id from sym_node_security \
                    where node_id = '7'";
    site.symadmin(&["open-registration", "local", "7"]).ok();
    let opened = site.query("cloud.db", security);
    assert_eq!((opened[0][0].as_str(), opened[0][2].as_str()), ("1", "1"));
    assert_eq!(opened[0][1].len(), 36);
    site.symadmin(&["open-registration", "local", "7"]).ok();
    assert_eq!(site.query("cloud.db", security), opened);
    assert_eq!(
        site.query(
            "cloud.db",
            "select node_group_id, external_id, sync_enabled from sym_node where node_id = '7'"
        ),
        [["local", "7", "0"]]
    );
}

#[test]
fn a_registration_is_refused_where_it_makes_no_sense() {
    let site = with_tables();
    let error = site.symadmin(&["open-registration", "lokal", "7"]).error(1);
    assert!(
        error.contains("group lokal is not in sym_node_group: it has branch, local"),
        "{error}"
    );
    site.symadmin(&["open-registration", "local", "7"]).ok();
    let error = site.symadmin(&["open-registration", "branch", "7"]).error(1);
    assert!(
        error.contains("node 7 is there already, in group local"),
        "{error}"
    );
    site.engine(
        "local-7",
        "local",
        "7",
        "registration.url = \"nats://127.0.0.1:4222/cloud-1\"",
    );
    let error = site
        .symadmin(&["--engine", "local-7", "open-registration", "local", "8"])
        .error(1);
    assert!(error.contains("engine local-7 registers at cloud-1"), "{error}");
    let error = site.symadmin(&["open-registration", "local", "8"]).error(2);
    assert!(
        error.contains("has several engines; name one with --engine: cloud-1, local-7"),
        "{error}"
    );
}

#[test]
fn a_reload_is_asked_for_by_node_id_or_external_id() {
    let site = with_tables();
    site.symadmin(&["open-registration", "local", "7"]).ok();
    site.write(
        "other.sql",
        "update sym_node set external_id = 'seven' where node_id = '7'",
    );
    site.dbimport(&["other.sql"]).ok();
    let requested = "select initial_load_enabled from sym_node_security where node_id = '7'";
    assert_eq!(site.query("cloud.db", requested), [["0"]]);
    site.symadmin(&["reload-node", "seven"]).ok();
    assert_eq!(site.query("cloud.db", requested), [["1"]]);
    let error = site.symadmin(&["reload-node", "8"]).error(1);
    assert!(
        error.contains("node 8 is not in sym_node of engine cloud-1"),
        "{error}"
    );
    let error = site.symadmin(&["reload-node", "1"]).error(1);
    assert!(error.contains("node 1 is engine cloud-1's own"), "{error}");
}

#[test]
fn nodes_and_engines_are_listed_as_json() {
    let site = with_tables();
    site.symadmin(&["open-registration", "local", "7"]).ok();
    let nodes = site.symadmin(&["list-nodes", "--json"]).ok().json();
    assert_eq!(nodes[0]["registration"], "own node");
    assert_eq!(
        (&nodes[1]["node_id"], &nodes[1]["registration"]),
        (&"7".into(), &"open".into())
    );
    let engines = site.symadmin(&["list-engines", "--json"]).ok().json();
    assert_eq!(engines[0]["engine"], CLOUD);
    assert_eq!(engines[0]["registered_by"], "itself");
}

#[test]
fn batches_and_their_errors_are_shown() {
    let site = with_tables();
    site.write(
        "batches.sql",
        "insert into sym_outgoing_batch (batch_id, node_id, channel_id, status, create_time) values \
           (5, '7', 'c', 'OK', '2026-01-01 00:00:00'), (6, '7', 'c', 'ER', '2026-01-01 00:00:01'), \
           (7, '8', 'd', 'SE', '2026-01-01 00:00:02'); \
         insert into sym_outgoing_batch_hist (batch_id, node_id, status, end_time, data_event_count, failed_data_id, \
           sql_state, sql_code, sql_message) values (6, '7', 'NE', '2026-01-01 00:00:01', 2, null, null, null, null), \
           (6, '7', 'ER', '2026-01-01 00:00:02', null, 41, '23503', 19, 'no such parent'); \
         insert into sym_data (data_id, table_name, event_type, row_data, trigger_hist_id, channel_id, create_time) \
           values (41, 't', 'I', '1,\"a\"', 1, 'c', '2026-01-01'), (42, 't', 'I', '2', 1, 'c', '2026-01-01'); \
         insert into sym_data_event (data_id, node_id, channel_id, batch_id) values (41, '7', 'c', 6);",
    );
    site.dbimport(&["batches.sql"]).ok();
    let failed = site
        .symadmin(&["list-batches", "--status", "er", "--json"])
        .ok()
        .json();
    assert_eq!(failed.as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&failed[0]["batch_id"], &failed[0]["rows"]),
        (&6.into(), &2.into())
    );
    assert_eq!(failed[0]["error"], "no such parent");
    let all = site.symadmin(&["list-batches", "--node", "7"]).ok().stdout;
    assert!(
        all.lines().count() == 3 && all.find("6").expect("6") < all.find("5").expect("5"),
        "{all}"
    );
    let shown = site.symadmin(&["show-batch", "6", "--json"]).ok().json();
    assert_eq!(shown["outgoing_history"][1]["sql_state"], "23503");
    assert_eq!(shown["outgoing_history"][1]["failed_at"], 41);
    assert_eq!(shown["rows"][0]["row_data"], "1,\"a\"");
    assert!(
        site.symadmin(&["show-batch", "6"])
            .ok()
            .stdout
            .contains("no such parent")
    );
    let error = site.symadmin(&["show-batch", "9"]).error(1);
    assert!(error.contains("engine cloud-1 has no batch 9"), "{error}");
    let status = site.symadmin(&["status", "--json"]).ok().json();
    assert_eq!(status["captured"][0]["rows"], 1);
    let lane = &status["outgoing"][0];
    assert_eq!(
        (&lane["to_node"], &lane["ok"], &lane["error"]),
        (&"7".into(), &1.into(), &1.into())
    );
    assert_eq!(
        (&lane["failed_batch"], &lane["message"]),
        (&6.into(), &"no such parent".into())
    );
    assert!(lane["lag_seconds"].as_i64().expect("a number") > 0);
}

#[test]
fn triggers_are_shown_installed_and_removed_again() {
    let site = with_tables();
    site.write(
        "trigger.sql",
        "create table item (id integer primary key, name text); \
         insert into sym_node_group_link (source_node_group_id, target_node_group_id) values ('cloud', 'local'); \
         insert into sym_channel (channel_id) values ('c'); \
         insert into sym_trigger (trigger_id, source_table_name, source_node_group_id, target_node_group_id, channel_id) \
           values ('item', 'item', 'cloud', 'local', 'c');",
    );
    site.dbimport(&["trigger.sql"]).ok();
    let count = || {
        site.query(
            "cloud.db",
            "select count(*) from sqlite_schema where type = 'trigger'",
        )[0][0]
            .clone()
    };
    let shown = site.symadmin(&["sync-triggers", "--dry-run"]).ok();
    assert!(
        shown.stdout.to_lowercase().contains("create trigger"),
        "{shown:?}"
    );
    assert_eq!(count(), "0");
    site.symadmin(&["sync-triggers"]).ok();
    assert_ne!(count(), "0");
    site.query(
        "cloud.db",
        "update sym_trigger set sync_on_delete = 0, last_updated_by = 'me', last_updated_time = '2026-02-01 08:00:00'",
    );
    let changed = site.symadmin(&["sync-triggers", "--dry-run"]).ok().stdout;
    let why = "-- trigger item, table item: the configuration, or the table's other triggers, have changed (C), \
               last updated by me at 2026-02-01 08:00:00";
    assert!(changed.starts_with(why), "{changed}");
    let error = site.symadmin(&["uninstall"]).error(2);
    assert!(error.contains("--yes"), "{error}");
    site.symadmin(&["uninstall", "--yes"]).ok();
    assert_eq!(count(), "0");
    assert_eq!(
        site.query(
            "cloud.db",
            "select count(*) from sqlite_schema where name like 'sym%'"
        ),
        [["0"]]
    );
    site.query("cloud.db", "insert into item values (1, 'a')");
}

#[test]
fn a_table_that_is_missing_is_named() {
    let site = with_tables();
    site.write(
        "trigger.sql",
        "insert into sym_node_group_link (source_node_group_id, target_node_group_id) values ('cloud', 'local'); \
         insert into sym_channel (channel_id) values ('c'); \
         insert into sym_trigger (trigger_id, source_table_name, source_node_group_id, target_node_group_id, channel_id) \
           values ('ghost', 'ghosts', 'cloud', 'local', 'c');",
    );
    site.dbimport(&["trigger.sql"]).ok();
    let ended = site.symadmin(&["sync-triggers"]);
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("trigger ghost, table ghosts: there is no such table"),
        "{ended:?}"
    );
}

#[test]
fn a_message_is_decoded_and_garbage_is_not() {
    let site = Site::new();
    let report = RoutedReport {
        groups: Vec::new(),
        source: "s".parse().expect("id"),
        channel: "c".parse().expect("id"),
        batch_id: 9,
        created_ms: 1,
        started_ms: 2,
        sent_ms: 3,
        hostname: "h".into(),
        targets: vec![],
        unrouted: vec![(1, 5)],
        last: true,
    };
    let body = Message::Routed(report).encode().expect("encode");
    let json = site
        .run(env!("CARGO_BIN_EXE_symadmin"), &["decode"], &body)
        .ok()
        .json();
    assert_eq!(json["Routed"]["batch_id"], 9);
    assert_eq!(json["Routed"]["unrouted"][0][1], 5);
    let error = site
        .run(env!("CARGO_BIN_EXE_symadmin"), &["decode"], b"garbage")
        .error(1);
    assert!(error.contains("not compressed with zstd"), "{error}");
}

#[test]
fn a_wrong_command_line_is_told_in_one_line_with_status_2() {
    let site = Site::new();
    for args in [
        &["lst-nodes"][..],
        &["open-registration", "local"],
        &["list-batches", "--status", "XX"],
        &["show-batch", "seven"],
        &["--engine", "nope", "list-nodes"],
    ] {
        site.symadmin(args).error(2);
    }
    site.dbimport(&["--format", "CSV", "x"]).error(2);
    site.dbimport(&["--alter-case", "x.sql"]).error(2);
    site.sym(&["--roles", "cook"]).error(2);
    site.sym(&["--engine", "nope"]).error(2);
    let error = site
        .symadmin(&["--engines-dir", "nowhere", "list-engines"])
        .error(2);
    assert!(error.contains("nowhere"), "{error}");
}

#[test]
fn every_command_has_help_with_an_example() {
    let site = Site::new();
    let commands = [
        "create-sym-tables",
        "uninstall",
        "sync-triggers",
        "open-registration",
        "list-registrations",
        "approve-registration",
        "remove-node",
        "reload-node",
        "cancel-reload",
        "reload-table",
        "send-sql",
        "suspend",
        "resume",
        "ignore",
        "list-parameters",
        "list-nodes",
        "list-engines",
        "list-batches",
        "show-batch",
        "status",
        "decode",
    ];
    for command in commands {
        let help = site.symadmin(&[command, "--help"]).ok().stdout;
        assert!(help.contains("Example:\n"), "{command}: {help}");
    }
    for help in [site.sym(&["--help"]), site.dbimport(&["--help"])] {
        assert!(help.ok().stdout.contains("Examples:\n"));
    }
}

#[test]
fn engine_files_are_checked_without_running_anything() {
    let site = Site::new();
    let checked = site.sym(&["--check-config"]).ok();
    assert!(
        checked.stderr.contains("engine cloud-1 of group cloud"),
        "{checked:?}"
    );
    site.engine("bad", "cloud", "2", "db.ulr = \"x\"");
    let error = site.sym(&["--check-config"]).error(2);
    assert!(error.contains("db.ulr"), "{error}");
}

#[test]
fn a_database_that_is_not_there_is_told_at_once() {
    let site = Site::new();
    site.write(
        "engines/down.toml",
        "group.id = \"cloud\"\nexternal.id = \"2\"\ndb.url = \"postgres://nobody@127.0.0.1:9/none\"\n",
    );
    let error = site.symadmin(&["--engine", "down", "list-nodes"]).error(1);
    assert!(error.contains("PostgreSQL at 127.0.0.1:9: "), "{error}");
    assert!(error.contains("refused"), "{error}");
}
