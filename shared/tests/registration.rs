//! Open registrations that somebody changes between a look and the write that follows it.

use symstream_shared::db::{DbError, Sql, Tx, TxKind};
use symstream_shared::id::{ExternalId, GroupId, NodeId};
use symstream_shared::registration::{self, Admission, Opening};
use symstream_shared::retry::Disposition;
use symstream_shared::schema::{self, Tables};
use symstream_tests::database::TestDatabase;
use symstream_tests::server::{MariaDb, PostgresServer};

struct Ids {
    group: GroupId,
    external_id: ExternalId,
    node: NodeId,
}

impl Ids {
    fn new() -> Self {
        Self {
            group: GroupId::new("local").expect("id"),
            external_id: ExternalId::new("7").expect("id"),
            node: NodeId::new("n7").expect("id"),
        }
    }

    fn opening<'a>(&'a self, secret_hash: Option<&'a str>) -> Opening<'a> {
        Opening {
            group: &self.group,
            external_id: &self.external_id,
            node: &self.node,
            secret_hash,
            hours: 1,
            by: "test",
        }
    }
}

/// A transaction that has looked at the tables.
async fn looked(db: &TestDatabase, ids: &Ids, tables: &Tables) -> Tx {
    let mut tx = db.database().begin(TxKind::Snapshot).await.expect("begin");
    registration::find(&mut tx, tables, &ids.group, &ids.external_id)
        .await
        .expect("look");
    tx
}

/// As `open-registration` does it, in the meantime.
async fn open_anew(db: &TestDatabase, ids: &Ids, tables: &Tables) {
    let mut tx = db.database().begin(TxKind::Write).await.expect("begin");
    registration::open(&mut tx, tables, &ids.opening(Some("new")))
        .await
        .expect("open");
    let enable = "update sym_node_security set registration_enabled = 1 where node_id = 'n7'";
    tx.execute(enable, &[]).await.expect("enable");
    tx.commit().await.expect("commit");
}

/// PostgreSQL refuses what others changed since the snapshot; MySQL has to see it in the condition.
fn assert_looks_again(what: &str, result: Result<bool, DbError>) {
    match result {
        Ok(is_done) => assert!(!is_done, "{what}"),
        Err(err) => assert_eq!(err.disposition, Disposition::Retry, "{what}: {err}"),
    }
}

async fn an_opening_outlives_older_looks(db: TestDatabase) {
    let tables = Tables::new("sym").expect("prefix");
    schema::create(db.database(), &tables).await.expect("tables");
    let ids = Ids::new();
    db.run("insert into sym_node (node_id, node_group_id, external_id) values ('n7', 'local', '7')")
        .await;
    let states = [
        // (registration_enabled, status, hash, expired, what is tried)
        ("1", "'OP', 'old', '2020-01-01 00:00:00'", "expired"),
        ("0", "'OP', 'old', null", "disabled"),
        ("1", "'OK', 'old', null", "by sql"),
        ("1", "'OP', 'old', null", "admit"),
    ];
    for (enabled, request, what) in states {
        db.run(&format!(
            "delete from sym_node_security; delete from sym_registration_request;
             insert into sym_node_security (node_id, password, registration_enabled) values ('n7', 'pw', {enabled});
             insert into sym_registration_request (node_group_id, external_id, status, secret_hash, expire_time)
             values ('local', '7', {request})"
        ))
        .await;
        for is_opened_anew in [true, false] {
            let mut tx = looked(&db, &ids, &tables).await;
            if is_opened_anew {
                open_anew(&db, &ids, &tables).await;
            }
            let (server, admission);
            let result = match what {
                "expired" => registration::close_expired(&mut tx, &tables, "local", "7", "why", "test").await,
                "disabled" => {
                    registration::close_disabled(&mut tx, &tables, "local", "7", "why", "test").await
                }
                "by sql" => registration::note_opened(&mut tx, &tables, &ids.opening(None)).await,
                _ => {
                    server = NodeId::new("cloud").expect("id");
                    admission = Admission {
                        group: &ids.group,
                        external_id: &ids.external_id,
                        node: &ids.node,
                        password: "another",
                        by: &server,
                        judged_hash: Some("old"),
                    };
                    registration::admit(&mut tx, &tables, &admission).await
                }
            };
            if is_opened_anew {
                assert_looks_again(what, result);
                drop(tx.rollback().await);
                let now = "select r.status, r.secret_hash, s.registration_enabled, s.password \
                           from sym_registration_request r cross join sym_node_security s";
                assert_eq!(db.rows(now).await, [["OP", "new", "1", "pw"]], "{what}");
                // What was seen is so again.
                let (status, rest) = request.split_once(", ").expect("two");
                let (hash, expires) = rest.split_once(", ").expect("two");
                db.run(&format!(
                    "update sym_registration_request set status = {status}, secret_hash = {hash}, expire_time = {expires};
                     update sym_node_security set registration_enabled = {enabled}"
                ))
                .await;
            } else {
                assert!(result.expect(what), "{what}");
                tx.commit().await.expect("commit");
            }
        }
    }
    db.close().await;
}

#[tokio::test]
async fn an_opening_outlives_older_looks_mariadb() {
    let server = MariaDb::start().await;
    an_opening_outlives_older_looks(server.create_database("cloud").await).await;
}

#[tokio::test]
async fn an_opening_outlives_older_looks_postgres() {
    let mut server = PostgresServer::start().await;
    an_opening_outlives_older_looks(server.create_database("cloud").await).await;
    server.stop().await;
}
