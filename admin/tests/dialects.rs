//! A registration server on each dialect.

use crate::site::Site;
use symstream_tests::database::TestDatabase;
use symstream_tests::folder::Folder;
use symstream_tests::server::{MariaDb, PostgresServer};

/// A registration server with its `sym_` tables, and commands for it.
pub struct Server {
    pub site: Site,
    pub database: TestDatabase,
}

/// One on each dialect.
pub struct Servers {
    pub all: Vec<Server>,
    _guards: (PostgresServer, MariaDb, Folder),
}

/// Node `1` is the server's own; nodes `7` (external id `seven`) and `8` of group `local` are registered, `9` is not.
const CONFIGURATION: &str = "
    insert into sym_node_group (node_group_id) values ('cloud'), ('local');
    insert into sym_node_group_link (source_node_group_id, target_node_group_id) values ('cloud', 'local');
    insert into sym_channel (channel_id, processing_order) values ('c', 20), ('a', 30), ('b', 20);
    insert into sym_node (node_id, node_group_id, external_id, sync_enabled, created_at_node_id) values
        ('1', 'cloud', '1', 1, '1'), ('7', 'local', 'seven', 1, '1'), ('8', 'local', '8', 0, '1'),
        ('9', 'local', '9', 0, '1');
    insert into sym_node_security (node_id, password, registration_time) values
        ('1', 'x', '2026-01-01 00:00:00'), ('7', 'x', '2026-01-01 00:00:00'), ('8', 'x', '2026-01-01 00:00:00'),
        ('9', 'x', null);
    insert into sym_node_identity (node_id) values ('1');
";

pub async fn servers() -> Servers {
    let (postgres, mariadb, folder) = (
        PostgresServer::start().await,
        MariaDb::start().await,
        Folder::new(),
    );
    let databases = [
        postgres.create_database("cloud").await,
        mariadb.create_database("cloud").await,
        TestDatabase::sqlite(&folder, "cloud"),
    ];
    let mut all = Vec::new();
    for database in databases {
        let site = Site::on(database.url());
        site.symadmin(&["create-sym-tables"]).ok();
        database.run(CONFIGURATION).await;
        all.push(Server { site, database });
    }
    Servers {
        all,
        _guards: (postgres, mariadb, folder),
    }
}
