use crate::dialects::{Server, servers};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn channels_of_a_node_are_suspended_ignored_and_resumed() {
    let servers = servers().await;
    for Server { site, database } in &servers.all {
        let control = || async {
            database
                .rows(
                    "select node_id, channel_id, suspend_enabled, ignore_enabled from sym_node_channel_ctl \
                     order by node_id, channel_id",
                )
                .await
        };
        let said = site.symadmin(&["suspend", "seven", "c"]).ok().stderr;
        assert!(said.contains("suspended for node 7"), "{said}");
        assert_eq!(control().await, [["7", "c", "1", "0"]]);
        site.symadmin(&["ignore", "7", "c"]).ok();
        site.symadmin(&["suspend", "8", "reload"]).ok();
        assert_eq!(control().await, [["7", "c", "1", "1"], ["8", "reload", "1", "0"]]);
        let said = site.symadmin(&["resume", "7", "c"]).ok().stderr;
        assert!(said.contains("was not sent: symadmin reload-table"), "{said}");
        assert_eq!(control().await, [["7", "c", "0", "0"], ["8", "reload", "1", "0"]]);

        let error = site.symadmin(&["suspend", "7", "d"]).error(1);
        assert!(
            error.contains("channel d is not in sym_channel; there are a, b, c, reload"),
            "{error}"
        );
        let error = site.symadmin(&["suspend", "77", "c"]).error(1);
        assert!(
            error.contains("node 77 is not in sym_node of engine cloud-1"),
            "{error}"
        );
        site.symadmin(&["suspend", "7"]).error(2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_the_registration_server_is_refused_elsewhere() {
    let servers = servers().await;
    let Server { site, database } = &servers.all[2];
    let registered = format!(
        "group.id = \"local\"\nexternal.id = \"7\"\ndb.url = \"{}\"\nregistration.url = \"nats://h:4222/cloud-1\"\n",
        database.url()
    );
    site.write("engines/local-7.toml", &registered);
    for command in [
        &["suspend", "7", "c"][..],
        &["resume", "7", "c"],
        &["ignore", "7", "c"],
        &["send-sql", "7", "select 1"],
    ] {
        let mut args = vec!["--engine", "local-7"];
        args.extend(command);
        let error = site.symadmin(&args).error(1);
        let expected = format!(
            "{} works at the registration server only: engine local-7 registers at cloud-1; use --engine cloud-1",
            command[0]
        );
        assert!(error.contains(&expected), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_back_and_what_nodes_say_of_themselves_is_shown() {
    let servers = servers().await;
    for Server { site, database } in &servers.all {
        let held = || site.symadmin(&["status", "--json"]).ok().json()["held_back"].clone();
        let states = |held: &serde_json::Value| -> Vec<serde_json::Value> {
            let rows = held.as_array().expect("an array").iter();
            rows.map(|row| json!([row["node"], row["channel"], row["state"]]))
                .collect()
        };
        // Node 9 is not registered: it is not disabled, it is not there yet.
        assert_eq!(states(&held()), [json!(["8", null, "disabled"])]);
        site.symadmin(&["suspend", "7", "c"]).ok();
        site.symadmin(&["ignore", "7", "a"]).ok();
        database
            .run("update sym_channel set enabled = 0 where channel_id = 'b'")
            .await;
        assert_eq!(
            states(&held()),
            [
                json!(["8", null, "disabled"]),
                json!([null, "b", "switched off"]),
                json!(["7", "c", "suspended"]),
                json!(["7", "a", "ignored"]),
            ]
        );
        let text = site.symadmin(&["status"]).ok().stdout;
        assert!(text.starts_with("held back by the configuration:\n"), "{text}");

        database
            .run(
                "update sym_node set heartbeat_time = '2026-01-31 12:00:00', timezone_offset = '+01:00', \
                 database_type = 'SQLite', database_version = '3.40', symmetric_version = '0.1.0', \
                 schema_version = '2' where node_id = '7'",
            )
            .await;
        let nodes = site.symadmin(&["list-nodes", "--json"]).ok().json();
        let node = &nodes[1];
        assert_eq!(
            (&node["node_id"], &node["sync_enabled"]),
            (&json!("7"), &json!(true))
        );
        assert!(
            node["heartbeat_time"]
                .as_str()
                .expect("text")
                .starts_with("2026-01-31 12:00:00")
        );
        for (column, value) in [
            ("timezone_offset", "+01:00"),
            ("database_type", "SQLite"),
            ("database_version", "3.40"),
            ("symmetric_version", "0.1.0"),
            ("schema_version", "2"),
            ("created_at_node_id", "1"),
            ("registration", "registered"),
        ] {
            assert_eq!(node[column], value, "{column}");
        }
        assert_eq!(nodes[0]["registration"], "own node");
    }
}
