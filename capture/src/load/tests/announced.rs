//! A node that wants a load and registers while its source publishes.

use crate::load::{Reservations, reserve};
use crate::testing::TestNode;
use symstream_shared::db::DatabaseKind::{Mysql, Postgres, Sqlite};
use symstream_shared::id::NodeId;
use symstream_shared::wire::Loading;

#[tokio::test]
async fn a_load_is_announced_before_anything_is_encoded_for_its_node() {
    for kind in [Postgres, Mysql, Sqlite] {
        let node = TestNode::start(kind).await;
        // GIVEN nodes that are registered, wanted or not; one that is not; and one that needs a load and is away
        node.db
            .run(
                "insert into sym_node_security (node_id, password, initial_load_enabled, registration_time) values \
                 ('001', 'p', 1, '2026-01-01 00:00:00'), ('002', 'p', 0, '2026-01-01 00:00:00'), ('003', 'p', 1, null), \
                 ('004', 'p', 1, '2026-01-01 00:00:00');
                 insert into sym_reload_need (node_id, reason) values ('004', 'x')",
            )
            .await;
        // WHEN channels publish batches at the same time, which have lower numbers
        let encode = async |batch_id: i64| -> Reservations {
            let (tx, reservations) = reserve(&node.source, batch_id).await.expect("reserved");
            tx.rollback().await.expect("end");
            reservations
        };
        let (one, two) = tokio::join!(encode(0), encode(-1));
        // THEN there is one request, which both name
        let requests = node
            .db
            .rows("select load_id, node_id from sym_load where status = 'RQ'")
            .await;
        assert_eq!(requests.len(), 1, "{kind}");
        let expected = Reservations {
            loading: vec![Loading {
                load_id: requests[0][0].parse().expect("a number"),
                nodes: vec![NodeId::new("001").expect("id")],
            }],
            absent: vec![NodeId::new("004").expect("id")],
        };
        assert_eq!((&one, &two), (&expected, &expected), "{kind}");
        // AND none is left when it is over
        node.db
            .run("update sym_load set status = 'CA'; update sym_node_security set initial_load_enabled = 0")
            .await;
        assert_eq!(encode(0).await.loading, [], "{kind}");
    }
}
