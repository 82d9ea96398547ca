use super::*;
use crate::engine::{EngineFolder, Layer};
use tempfile::TempDir;

fn engine(file: &str) -> Engine {
    let dir = TempDir::new().expect("folder");
    let text = format!("group.id = \"local\"\nexternal.id = \"7\"\ndb.url = \"sqlite://node.db\"\n{file}\n");
    std::fs::write(dir.path().join("local-7.toml"), text).expect("write");
    EngineFolder::new(Some(dir.path().to_owned()), Vec::new())
        .engine("local-7")
        .expect("valid")
}

fn rows(rows: &[(&str, &str, &str)]) -> Vec<ParameterRow> {
    let row = |(external_id, group, value): &(&str, &str, &str)| ParameterRow {
        external_id: (*external_id).to_owned(),
        group: (*group).to_owned(),
        name: "heartbeat.interval".to_owned(),
        value: (*value).to_owned(),
    };
    rows.iter().map(row).collect()
}

/// The value of `heartbeat.interval` and where it comes from.
fn heartbeat(engine: &Engine, given: &[(&str, &str, &str)]) -> (String, String) {
    let values = effective(engine, &rows(given));
    let found = values
        .iter()
        .find(|value| value.parameter.name == "heartbeat.interval")
        .expect("in the catalogue");
    (found.value.clone(), found.origin.to_string())
}

#[test]
fn the_defaults_are_those_of_the_catalogue() {
    let parameters = Parameters::of(&engine(""));
    assert_eq!(
        parameters,
        Parameters {
            capture_poll_interval_max: Duration::from_millis(100),
            capture_transaction_max_rows: None,
            heartbeat_interval: Duration::from_secs(600),
            pull_interval: Duration::ZERO,
            purge_retention: Duration::from_secs(5 * 24 * 3600),
            purge_interval: Duration::from_secs(600),
            sync_triggers_minute: 0,
            schema_version: None,
            auto_registration: false,
            registration_open_hours: 24,
            registration_secret_required: false,
            initial_load_create_first: false,
            initial_load_delete_first: false,
            backlog_age_max: Some(Duration::from_secs(30 * 24 * 3600)),
            backlog_batches_max: None,
            backlog_bytes_max: None,
            group_broadcast_nodes_min: 10,
        }
    );
}

#[test]
fn the_catalogue_is_in_order_and_each_name_there_once() {
    assert!(CATALOGUE.windows(2).all(|pair| pair[0].name < pair[1].name));
}

#[test]
fn the_most_specific_row_holds_and_others_nodes_rows_do_not() {
    let engine = engine("heartbeat.interval = \"1m\"");
    let none = [
        ("8", "ALL", "2s"),
        ("ALL", "other", "3s"),
        ("7", "other", "4s"),
        ("all", "ALL", "5s"),
    ];
    assert_eq!(heartbeat(&engine, &none), ("1m".into(), "engine file".into()));
    let steps = [
        (("ALL", "ALL", "6s"), "sym_parameter ALL"),
        (("ALL", "local", "7s"), "sym_parameter group local"),
        (("7", "ALL", "8s"), "sym_parameter external id 7"),
        (("7", "local", "9s"), "sym_parameter external id 7"),
    ];
    let mut given = none.to_vec();
    for (row, origin) in steps {
        // In front, so that the order of rows is not what decides.
        given.insert(0, row);
        assert_eq!(heartbeat(&engine, &given), (row.2.into(), origin.into()));
    }
}

#[test]
fn environment_and_command_line_go_before_the_table() {
    let mut engine = engine("");
    let parameter = Parameter::named("heartbeat.interval").expect("known");
    let given = [("7", "local", "9s")];
    let layers = [
        (Layer::Environment, "20s", "environment"),
        (Layer::CommandLine, "30s", "command line"),
    ];
    for (layer, value, origin) in layers {
        engine.settings.set(layer, parameter, value).expect("valid");
        assert_eq!(heartbeat(&engine, &given), (value.into(), origin.into()));
        assert_eq!(
            Parameters::of(&engine).heartbeat_interval.as_secs().to_string() + "s",
            value
        );
    }
    assert!(
        engine
            .settings
            .set(Layer::CommandLine, parameter, "never")
            .is_err()
    );
}

#[test]
fn a_blank_value_stands_for_the_default() {
    let engine = engine("heartbeat.interval = \"1m\"");
    assert_eq!(
        heartbeat(&engine, &[("7", "ALL", " ")]).1,
        "sym_parameter external id 7"
    );
    let values = effective(&engine, &rows(&[("7", "ALL", " ")]));
    let parameters = Parameters::from_effective(&values).expect("valid");
    assert_eq!(parameters.heartbeat_interval.as_secs(), 600);
}

#[test]
fn values_are_read_in_every_form_that_they_may_have() {
    let cases = [
        ("capture.poll.interval.max", "20", "20ms"),
        ("capture.poll.interval.max", "2s", "2s"),
        ("heartbeat.interval", "90", "90s"),
        ("heartbeat.interval", " 60 s ", "1m"),
        ("pull.interval", "12h", "12h"),
        ("pull.interval", "0", "0"),
        ("pull.interval", "1500ms", "1500ms"),
        ("purge.retention", "168h", "7d"),
        ("capture.transaction.max.rows", "5000", "5000"),
        ("sync.triggers.time", "3:05", "03:05"),
        ("sync.triggers.time", "", "00:00"),
        ("schema.version", "2.1 beta", "2.1 beta"),
    ];
    for (name, value, canonical) in cases {
        let parameter = Parameter::named(name).expect("known");
        assert_eq!(
            parameter.canonical(value).as_deref(),
            Ok(canonical),
            "{name} {value:?}"
        );
    }
}

#[test]
fn a_wrong_value_is_refused_with_parameter_value_and_range() {
    let long = "v".repeat(51);
    let cases = [
        (
            "capture.poll.interval.max",
            "9ms",
            "expected a time from 10ms to 1m",
        ),
        (
            "capture.poll.interval.max",
            "61s",
            "expected a time from 10ms to 1m",
        ),
        ("heartbeat.interval", "-1", "expected a time from 1s to 1d"),
        ("heartbeat.interval", "1w", "expected a time"),
        ("heartbeat.interval", "s", "expected a time"),
        ("heartbeat.interval", "1.5m", "expected a time"),
        (
            "purge.retention",
            "99999999999999999999d",
            "expected a time from 0 to 3650d",
        ),
        (
            "purge.retention",
            "18446744073709551615d",
            "expected a time from 0 to 3650d",
        ),
        (
            "capture.transaction.max.rows",
            "-1",
            "expected a whole number from 0 to 1000000000",
        ),
        (
            "capture.transaction.max.rows",
            "1000000001",
            "expected a whole number",
        ),
        (
            "sync.triggers.time",
            "24:00",
            "expected a time of day from 00:00 to 23:59",
        ),
        ("sync.triggers.time", "+1:00", "expected a time of day"),
        ("sync.triggers.time", "0300", "expected a time of day"),
        (
            "schema.version",
            long.as_str(),
            "expected text of at most 50 characters",
        ),
    ];
    for (name, value, expected) in cases {
        let parameter = Parameter::named(name).expect("known");
        let message = parameter.check(value).expect_err(value).to_string();
        assert!(message.starts_with(&format!("{name}: {expected}")), "{message}");
        assert!(message.ends_with(&format!("not {value:?}")), "{message}");
    }
}
