//! The clinic as it is shipped.

use crate::{database, file};
use symstream_shared::db::{Sql, TxKind};
use symstream_shared::engine::EngineFolder;
use symstream_shared::id::GroupId;
use symstream_shared::model;
use symstream_shared::schema::{self, Tables};
use tempfile::TempDir;

#[test]
fn its_engine_files_are_valid() {
    let engines = EngineFolder::new(Some(file("deploy/examples/clinic/engines")), Vec::new())
        .engines(&[])
        .expect("valid");
    let servers: Vec<_> = engines
        .iter()
        .filter(|engine| engine.is_registration_server())
        .collect();
    assert_eq!(servers.len(), 1);
    assert_eq!(servers[0].group.as_str(), "cloud");
    for engine in &engines {
        assert_eq!(engine.server(), &servers[0].name, "{}", engine.name);
    }
}

#[tokio::test]
async fn its_rules_are_valid() {
    let dir = TempDir::new().expect("folder");
    let database = database(&dir);
    let tables = Tables::default();
    schema::create(&database, &tables).await.expect("create");
    let rules = std::fs::read_to_string(file("deploy/examples/clinic/initial.sql")).expect("read");
    let mut tx = database.begin(TxKind::Write).await.expect("begin");
    tx.execute_script(&rules).await.expect("run");

    let config = model::local_configuration(&mut tx, &tables).await.expect("valid");

    let flows = |group: &str| {
        let group = GroupId::new(group).expect("group");
        let triggers = config.triggers_at(&group);
        let rules = triggers.iter().flat_map(|trigger| {
            config
                .rules_for(&trigger.trigger_id, &group)
                .into_iter()
                .map(|rule| {
                    let asks = if rule.kind.asks_database() { "some" } else { "all" };
                    format!("{} to {} {}", trigger.source_table, asks, rule.target_group)
                })
        });
        let mut rules: Vec<String> = rules.collect();
        rules.sort();
        rules
    };
    assert_eq!(
        flows("cloud"),
        [
            "code_titles to all local",
            "codes to all local",
            "connections to some local",
            "locations to some local",
            "patients to some local",
        ]
    );
    assert_eq!(
        flows("local"),
        [
            "connections to all cloud",
            "locations to all cloud",
            "patients to all cloud"
        ]
    );
}
