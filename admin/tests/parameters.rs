use crate::dialects::{Server, servers};
use crate::site::Site;
use serde_json::{Value, json};
use symstream_shared::parameter::CATALOGUE;

const ROWS: &str = "
    insert into sym_parameter (external_id, node_group_id, param_key, param_value) values
        ('ALL', 'ALL', 'purge.retention', '7d'), ('ALL', 'cloud', 'purge.retention', '48h'),
        ('1', 'ALL', 'purge.retention', '3600'), ('2', 'ALL', 'purge.retention', '1d'),
        ('ALL', 'local', 'purge.interval', '1h'),
        ('ALL', 'cloud', 'heartbeat.interval', '2m'),
        ('1', 'cloud', 'pull.interval', '1h'),
        ('ALL', 'ALL', 'sync.triggers.time', '3:30'),
        ('ALL', 'ALL', 'purge.retentoin', '1d'),
        ('ALL', 'cloud', 'db.password', 'hidden'),
        ('2', 'ALL', 'unknown.of.others', 'x');
";

fn list(site: &Site) -> Value {
    let args = ["list-parameters", "--json", "--set", "schema.version=9"];
    let environment = [("SYM_PULL_INTERVAL", "300"), ("SYM_SCHEMA_VERSION", "8")];
    site.run_in(env!("CARGO_BIN_EXE_symadmin"), &args, b"", &environment)
        .ok()
        .json()
}

fn value<'a>(list: &'a Value, name: &str) -> &'a Value {
    let rows = list.as_array().expect("an array");
    let mut found = rows.iter().filter(|row| row["parameter"] == name);
    let row = found.next().unwrap_or_else(|| panic!("{name} is missing"));
    assert!(found.next().is_none(), "{name} is listed twice");
    row
}

#[tokio::test(flavor = "multi_thread")]
async fn each_parameter_is_listed_with_where_its_value_comes_from() {
    let servers = servers().await;
    for Server { site, database } in &servers.all {
        database.run(ROWS).await;
        site.server_file(
            database.url(),
            "heartbeat.interval = \"1m\"\npurge.interval = 30\npull.interval = \"10s\"",
        );
        let list = list(site);
        for (name, expected, from) in [
            ("capture.poll.interval.max", json!("100ms"), "default"),
            ("capture.transaction.max.rows", json!("0"), "default"),
            ("heartbeat.interval", json!("2m"), "sym_parameter group cloud"),
            ("pull.interval", json!("5m"), "environment"),
            ("purge.interval", json!("30s"), "engine file"),
            ("purge.retention", json!("1h"), "sym_parameter external id 1"),
            ("schema.version", json!("9"), "command line"),
            ("sync.triggers.time", json!("03:30"), "sym_parameter ALL"),
        ] {
            let row = value(&list, name);
            assert_eq!((&row["value"], &row["from"]), (&expected, &json!(from)), "{name}");
            assert_eq!(row["problem"], Value::Null, "{name}");
            assert!(row["unit"].is_string() && row["description"].is_string(), "{row}");
        }
        assert_eq!(value(&list, "purge.retention")["default"], "5d");
        // AND rows that nobody knows, without what may be a secret
        let unknown = value(&list, "purge.retentoin");
        assert_eq!(
            unknown["problem"],
            "unknown, has no effect; did you mean purge.retention?"
        );
        assert_eq!(
            (&unknown["value"], &unknown["from"]),
            (&json!("1d"), &json!("sym_parameter ALL"))
        );
        assert_eq!(value(&list, "db.password")["problem"], "unknown, has no effect");
        assert!(!list.to_string().contains("hidden"), "{list}");
        assert_eq!(list.as_array().map(Vec::len), Some(CATALOGUE.len() + 2), "{list}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_value_is_refused_by_name() {
    let servers = servers().await;
    let Server { site, database } = &servers.all[2];
    let expected = "purge.retention: expected a time from 0 to 3650d such as 90s, 10m, 12h, 7d (a bare number counts s), \
                    not \"soon\"";
    for program in ["symadmin", "sym"] {
        let error = match program {
            "symadmin" => site.symadmin(&["list-parameters", "--set", "purge.retention=soon"]),
            _ => site.sym(&["--check-config", "--set", "purge.retention=soon"]),
        };
        let error = error.error(2);
        assert!(error.contains(expected), "{error}");
    }
    let error = site.sym(&["--check-config", "--set", "purge.retention"]).error(2);
    assert!(error.contains("expected KEY=VALUE"), "{error}");
    site.server_file(database.url(), "purge.retention = \"soon\"");
    let error = site.sym(&["--check-config"]).error(2);
    assert!(
        error.contains(expected) && error.contains("cloud-1.toml"),
        "{error}"
    );
    // In the table it is shown, and what was in force before stays.
    site.server_file(database.url(), "");
    database
        .run("insert into sym_parameter values ('ALL', 'ALL', 'purge.retention', 'soon')")
        .await;
    let list = list(site);
    assert_eq!(value(&list, "purge.retention")["problem"], expected);
}
