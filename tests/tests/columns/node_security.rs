//! `sym_node_security` and `sym_node_identity`: who takes part.

use super::deployment::{NEAR, NOTHING, becomes};
use super::given::Given;
use symstream_tests::eventually::eventually;
use symstream_tests::network::PATIENCE;

/// A node waits until its registration is open; then it is registered once, and gets what is captured from then on.
/// Rows that were there before come when its initial load is asked for.
pub async fn registration_and_initial_load(mut given: Given) {
    given.at_hub("create table s_guest (id integer primary key)");
    given.at_hub("insert into s_guest values (1)");
    given.trigger("s_guest", &[("target_node_group_id", "guest")]);
    let at = given.running().await;
    let hub = &at.hub.database;
    let guest = at.guest("guest", "visitor");
    guest
        .database
        .run("create table s_guest (id integer primary key)")
        .await;

    let mut process = at.network.engines.sym(&guest.engine);
    eventually(PATIENCE, "the refusal", || async {
        let log = process.log();
        log.contains("no registration is open").then_some(()).ok_or(log)
    })
    .await;
    assert_eq!(
        guest.database.rows("select node_id from sym_node_identity").await,
        NOTHING
    );

    at.write(
        "insert into sym_node (node_id, node_group_id, external_id) values ('n-visitor', 'guest', 'visitor'); \
         insert into sym_node_security (node_id, password, registration_enabled) values ('n-visitor', '', 1)",
    )
    .await;
    let identity = "select node_id from sym_node_identity";
    becomes(&guest.database, identity, [["n-visitor"]]).await;
    let security = "select registration_enabled, case when registration_time is null then 0 else 1 end, \
                    initial_load_enabled, case when initial_load_time is null then 0 else 1 end \
                    from sym_node_security where node_id = 'n-visitor'";
    assert_eq!(hub.rows(security).await, [["0", "1", "0", "0"]]);
    becomes(
        hub,
        "select sync_enabled from sym_node where node_id = 'n-visitor'",
        [["1"]],
    )
    .await;
    // Nodes know who is registered.
    becomes(
        &at.near.database,
        "select registration_enabled, case when registration_time is null then 0 else 1 end, \
         initial_load_enabled from sym_node_security where node_id = 'n-visitor'",
        [["0", "1", "0"]],
    )
    .await;

    at.write("insert into s_guest values (2)").await;
    becomes(&guest.database, "select id from s_guest", [["2"]]).await;
    at.write("update sym_node_security set initial_load_enabled = 1 where node_id = 'n-visitor'")
        .await;
    becomes(
        &guest.database,
        "select id from s_guest order by id",
        [["1"], ["2"]],
    )
    .await;
    becomes(hub, security, [["0", "1", "0", "1"]]).await;
    let loads = "select distinct batch_type, status from sym_outgoing_batch where node_id = 'n-visitor' \
                 order by batch_type";
    becomes(hub, loads, [["EV", "OK"], ["IL", "OK"]]).await;
    process.kill();
}

/// The password proves that a registered node asks again; another database can not take its place.
pub async fn password(given: Given) {
    let at = given.running().await;
    let sql = "select password from sym_node_security where node_id = 'n-near'";
    let own = at.near.database.rows(sql).await.concat().concat();
    assert!(own.len() >= 20, "{} characters", own.len());
    assert_eq!(at.hub.database.rows(sql).await.concat(), [own]);
    assert_eq!(at.far.database.rows(sql).await, [[""]]);

    let mut impostor = at.guest("site", "impostor");
    impostor.engine = impostor.engine.with("external.id", "near");
    at.network.engines.write(&impostor.engine);
    let mut process = at.network.engines.sym(&impostor.engine);
    eventually(PATIENCE, "the refusal", || async {
        let log = process.log();
        log.contains("registered already").then_some(()).ok_or(log)
    })
    .await;
    assert_eq!(
        impostor
            .database
            .rows("select node_id from sym_node_identity")
            .await,
        NOTHING
    );
    process.kill();
}

/// Each database says whose it is.
pub async fn node_identity(given: Given) {
    let at = given.running().await;
    for (site, node) in [(&at.hub, "hub"), (&at.near, NEAR), (&at.far, "n-far")] {
        let identity = site.database.rows("select node_id from sym_node_identity").await;
        assert_eq!(identity, [[node]]);
    }
}
