use crate::site::Site;
use std::path::{Path, PathBuf};
use symstream_shared::engine::EngineFolder;
use symstream_shared::id::GroupId;
use symstream_shared::schema::Tables;
use symstream_shared::{db::Database, model};

const CLOUD: &str = "cloud-f7e41e48-ec79-4c78-9db6-37c0c4f78326";
const LOCAL: &str = "2d04b22e-1cc3-46b4-96dd-2bee5bad9ffa";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/clinic")
}

/// The commands of seed 000, in its order, as far as nothing has to run for them.
fn set_up() -> Site {
    let site = Site::new();
    site.copy(&folder());
    let engines = folder().join("engines");
    let dir = engines.to_str().expect("UTF-8");
    let schema = [
        "--engine",
        CLOUD,
        "--engines-dir",
        dir,
        "--format",
        "XML",
        "--alter-case",
        "schema.xml",
    ];
    site.dbimport(&schema).ok();
    site.symadmin(&["--engine", CLOUD, "--engines-dir", dir, "create-sym-tables"])
        .ok();
    site.dbimport(&["--engine", CLOUD, "--engines-dir", dir, "initial.sql"])
        .ok();
    site.symadmin(&[
        "open-registration",
        "--engine",
        CLOUD,
        "--engines-dir",
        dir,
        "local",
        LOCAL,
    ])
    .ok();
    site.symadmin(&["reload-node", "--engine", CLOUD, LOCAL, "--engines-dir", dir])
        .ok();
    site
}

#[test]
fn its_engine_files_are_valid_and_belong_together() {
    let engines = EngineFolder::new(Some(folder().join("engines")), Vec::new())
        .engines(&[])
        .expect("valid");
    let (servers, others): (Vec<_>, Vec<_>) =
        engines.iter().partition(|engine| engine.is_registration_server());
    let [server] = servers.as_slice() else {
        panic!("one registration server: {engines:?}")
    };
    assert_eq!(server.name.as_str(), CLOUD);
    assert_eq!(others.len(), 2);
    for local in others {
        assert_eq!(local.server(), &server.name);
        assert_eq!(local.name.as_str(), format!("local-{}", local.external_id));
    }
}

#[test]
fn its_commands_leave_an_open_registration_and_a_requested_load() {
    let site = set_up();
    assert_eq!(
        site.query(
            "cloud.db",
            "select n.node_group_id, n.sync_enabled, s.registration_enabled, s.initial_load_enabled \
             from sym_node n join sym_node_security s on s.node_id = n.node_id order by 1"
        ),
        [["cloud", "1", "0", "0"], ["local", "0", "1", "1"]]
    );
    assert_eq!(
        site.query("cloud.db", "select count(*) from code_titles"),
        [["3"]]
    );
}

#[test]
fn its_rules_are_understood_and_go_where_the_contract_says() {
    let site = set_up();
    let url = format!("sqlite://{}", site.path("cloud.db").display());
    let options = symstream_shared::db::ConnectOptions {
        url: secrecy::SecretString::from(url),
        user: None,
        password: None,
        init_sql: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    let config = runtime.block_on(async {
        let database = Database::new(&options).expect("database");
        let mut conn = database.conn().await.expect("connection");
        model::local_configuration(&mut conn, &Tables::default())
            .await
            .expect("configuration")
    });
    let tables_of = |group: &str, target: &str| {
        let group = GroupId::new(group).expect("id");
        let mut tables: Vec<String> = config
            .triggers_at(&group)
            .into_iter()
            .filter(|trigger| {
                let rules = config.rules_for(&trigger.trigger_id, &group);
                rules.iter().any(|rule| rule.target_group.as_str() == target)
            })
            .map(|trigger| trigger.source_table.clone())
            .collect();
        tables.sort();
        tables
    };
    assert_eq!(
        tables_of("cloud", "local"),
        ["code_titles", "codes", "connections", "locations", "patients"]
    );
    assert_eq!(
        tables_of("local", "cloud"),
        ["connections", "locations", "patients"]
    );
}
