//! Commands about registrations and nodes' ends.

use crate::site::{CLOUD, Site};
use std::os::unix::fs::PermissionsExt;
use symstream_shared::registration::hash;

fn site() -> Site {
    let site = Site::new();
    site.symadmin(&["--engine", CLOUD, "create-sym-tables"]).ok();
    run(
        &site,
        "insert into sym_node_group (node_group_id) values ('local')",
    );
    site
}

fn run(site: &Site, sql: &str) {
    site.write("some.sql", sql);
    site.dbimport(&["some.sql"]).ok();
}

const ROW: &str = "select status, secret_hash, registered_node_id, last_updated_by, attempt_count \
                   from sym_registration_request where external_id = '7'";

#[test]
fn a_registration_is_opened_with_a_secret_that_is_stored_nowhere() {
    let site = site();
    let opened = site.symadmin(&["open-registration", "local", "7"]).ok();
    let first = opened.stdout.trim().to_owned();
    assert_eq!(opened.stdout, format!("{first}\n"));
    assert!(first.len() >= 32 && !opened.stderr.contains(&first), "{opened:?}");
    assert_eq!(
        site.query("cloud.db", ROW),
        [["OP", hash(&first).as_str(), "7", "symadmin", "0"]]
    );
    // Opening again makes a new one, and attempts count anew.
    run(&site, "update sym_registration_request set attempt_count = 9");
    let file = site.path("secret");
    let path = file.to_str().expect("path");
    let again = site
        .symadmin(&["open-registration", "local", "7", "--secret-file", path])
        .ok();
    assert_eq!(again.stdout, "");
    let second = std::fs::read_to_string(&file).expect("file").trim().to_owned();
    assert_ne!(first, second);
    let mode = std::fs::metadata(&file).expect("file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = hash(&second);
    let stored = [["OP", second.as_str(), "7", "symadmin", "0"]];
    assert_eq!(site.query("cloud.db", ROW), stored);
    // A file that is there is not overwritten, and then nothing is opened.
    let error = site
        .symadmin(&["open-registration", "local", "7", "--secret-file", path])
        .error(1);
    assert!(error.contains("nothing was opened"), "{error}");
    assert_eq!(site.query("cloud.db", ROW), stored);
}

#[test]
fn a_registration_is_open_for_as_long_as_the_parameter_says() {
    let site = site();
    site.symadmin(&["open-registration", "local", "7"]).ok();
    let hours = "select round((julianday(expire_time) - julianday('now')) * 24), \
                 create_time is not null, last_updated_time >= create_time \
                 from sym_registration_request where external_id = ";
    assert_eq!(
        site.query("cloud.db", &format!("{hours} '7'")),
        [["24", "1", "1"]]
    );
    let set = ["--set", "registration.open.hours=2"];
    site.symadmin(&[&["open-registration", "local", "8"][..], &set].concat())
        .ok();
    assert_eq!(site.query("cloud.db", &format!("{hours} '8'"))[0][0], "2");
    let never = ["--set", "registration.open.hours=0"];
    site.symadmin(&[&["open-registration", "local", "8"][..], &never].concat())
        .ok();
    let open =
        "select count(*) from sym_registration_request where external_id = '8' and expire_time is null";
    assert_eq!(site.query("cloud.db", open), [["1"]]);
}

#[test]
fn registrations_are_listed() {
    let site = site();
    site.symadmin(&["open-registration", "local", "7"]).ok();
    run(
        &site,
        "insert into sym_registration_request (node_group_id, external_id, status, attempt_count, error_message, \
         sync_url) values ('local', '8', 'RQ', 3, 'no registration is open', 'nats://h/local-8')",
    );
    let listed = site.symadmin(&["list-registrations", "--json"]).ok().json();
    assert_eq!(
        (
            &listed[0]["external_id"],
            &listed[0]["status"],
            &listed[0]["node_id"]
        ),
        (&"7".into(), &"open".into(), &"7".into())
    );
    let asked = &listed[1];
    assert_eq!(
        (
            &asked["status"],
            &asked["attempts"],
            &asked["message"],
            &asked["sync_url"]
        ),
        (
            &"asked".into(),
            &3.into(),
            &"no registration is open".into(),
            &"nats://h/local-8".into()
        )
    );
    // What asked can be approved, and nothing else.
    let error = site.symadmin(&["approve-registration", "local", "9"]).error(1);
    assert!(error.contains("has not asked"), "{error}");
    let approved = site.symadmin(&["approve-registration", "local", "8"]).ok();
    let stored = "select status, secret_hash from sym_registration_request where external_id = '8'";
    let expected = hash(approved.stdout.trim());
    assert_eq!(site.query("cloud.db", stored), [["OP", expected.as_str()]]);
}

#[test]
fn a_removed_node_is_gone_but_for_its_history() {
    let site = site();
    site.symadmin(&["open-registration", "local", "7"]).ok();
    run(
        &site,
        "update sym_node_security set registration_time = '2026-01-01', registration_enabled = 0 where node_id = '7';
         insert into sym_node_channel_ctl (node_id, channel_id, suspend_enabled) values ('7', 'c', 1);
         insert into sym_reload_need (node_id, reason) values ('7', 'away');
         insert into sym_load (load_id, node_id, status) values (1, '7', 'OK'), (2, '7', 'SE');
         insert into sym_outgoing_batch (batch_id, node_id, channel_id, status) values (5, '7', 'c', 'SE');
         insert into sym_registration_redirect (registrant_external_id, registration_node_id) values ('9', '7')",
    );
    let error = site.symadmin(&["remove-node", "7"]).error(2);
    assert!(error.contains("--yes"), "{error}");
    let error = site.symadmin(&["remove-node", "1", "--yes"]).error(1);
    assert!(error.contains("registration server itself"), "{error}");
    let removed = site.symadmin(&["remove-node", "7", "--yes"]).ok();
    assert!(
        removed.stderr.contains("still sends 1 nodes to it"),
        "{removed:?}"
    );
    for table in [
        "sym_node",
        "sym_node_security",
        "sym_node_channel_ctl",
        "sym_reload_need",
    ] {
        let left = format!("select count(*) from {table} where node_id = '7'");
        assert_eq!(site.query("cloud.db", &left), [["0"]], "{table}");
    }
    let kept = "select status from sym_load order by load_id";
    assert_eq!(site.query("cloud.db", kept), [["OK"], ["CA"]]);
    assert_eq!(
        site.query("cloud.db", "select status from sym_outgoing_batch"),
        [["SE"]]
    );
    let row = site.query("cloud.db", ROW).remove(0);
    assert_eq!((row[0].as_str(), row[2].as_str()), ("RJ", "7"));
    let note = "select count(*) from sym_state where state_key = 'removed_node:7'";
    assert_eq!(site.query("cloud.db", note), [["1"]]);
    let error = site.symadmin(&["remove-node", "7", "--yes"]).error(1);
    assert!(error.contains("is not in sym_node"), "{error}");
    // It can come back.
    site.symadmin(&["open-registration", "local", "7"]).ok();
    assert_eq!(site.query("cloud.db", ROW)[0][0], "OP");
}
