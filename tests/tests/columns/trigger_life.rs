//! `sym_trigger`: from when until when there are triggers, and what is recorded beside the rows.

use super::deployment::{Deployment, NOTHING, becomes};
use super::given::Given;
use super::trigger_names::triggers_on;
use symstream_tests::eventually::eventually;
use symstream_tests::network::{PATIENCE, installed};

/// The expression's value is recorded as the transaction.
pub async fn tx_id_expression(mut given: Given) {
    for table in ["t_order", "t_default"] {
        given.table(table, "id integer primary key, order_id varchar(20)");
    }
    given.trigger(
        "t_order",
        &[
            ("tx_id_expression", "new.order_id"),
            ("sync_on_update", "0"),
            ("sync_on_delete", "0"),
        ],
    );
    given.trigger("t_default", &[]);
    let at = given.running().await;

    at.write("insert into t_order values (1, 'A17'); insert into t_default values (1, 'A17')")
        .await;

    let recorded = |table| {
        format!(
            "select d.transaction_id, e.transaction_id from sym_data d join sym_data_event e \
             on e.data_id = d.data_id and e.node_id = 'n-near' where d.table_name = '{table}'"
        )
    };
    becomes(&at.hub.database, &recorded("t_order"), [["A17"; 2]]).await;
    becomes(&at.near.database, "select id from t_default", [["1"]]).await;
    let default = at.hub.database.rows(&recorded("t_default")).await.concat();
    assert_ne!(default[0], "A17");
}

/// An inactive trigger is not there, and comes back when it is active again.
pub async fn inactive_time(mut given: Given) {
    given.table("t_never", "id integer primary key");
    given.trigger("t_never", &[("inactive_time", "2020-01-01 00:00:00")]);
    given.table("t_retired", "id integer primary key");
    given.trigger("t_retired", &[]);
    let at = given.running().await;
    let hub = &at.hub.database;

    at.write("insert into t_retired values (1)").await;
    at.write("update sym_trigger set inactive_time = current_timestamp where trigger_id = 't_retired'")
        .await;
    becomes(hub, &triggers_on(hub.kind(), "t_retired"), NOTHING).await;
    let histories = "select case when inactive_time is null then 'active' else 'inactive' end, \
                     last_trigger_build_reason from sym_trigger_hist where trigger_id = 't_retired' \
                     order by trigger_hist_id";
    becomes(hub, histories, [["inactive", "N"]]).await;
    at.write("insert into t_retired values (2); insert into t_never values (1)")
        .await;

    at.write("update sym_trigger set inactive_time = null where trigger_id in ('t_retired', 't_never')")
        .await;
    becomes(hub, histories, [["inactive", "N"], ["active", "C"]]).await;
    installed(&at.hub, &["t_never"]).await;
    at.write("insert into t_retired values (3); insert into t_never values (2)")
        .await;
    becomes(
        &at.near.database,
        "select id from t_retired order by id",
        [["1"], ["3"]],
    )
    .await;
    becomes(&at.near.database, "select id from t_never", [["2"]]).await;
}

/// Columns that only say something to people, and those that have no effect yet: every node has them. Who changed a
/// trigger last is named when that has it rebuilt.
pub async fn words_for_people(mut given: Given) {
    let words = [
        ("create_time", "2021-03-04 05:06:07"),
        ("last_updated_by", "anna"),
        ("last_updated_time", "2022-03-04 05:06:07"),
    ];
    given.channel("described", &[("description", "What it carries: \"Łódź\", 'öl'")]);
    given.row(
        "node_group",
        &[],
        &[("node_group_id", "described"), ("description", "Who is in it")],
    );
    given.row(
        "registration_redirect",
        &[],
        &[
            ("registrant_external_id", "anybody"),
            ("registration_node_id", "hub"),
        ],
    );
    given.table("t_words", "id integer primary key");
    given.trigger("t_words", &words);
    given.router("t_words", &words);
    given.trigger_router("t_words", "t_words", &words);
    let at = given.running().await;

    for site in [&at.near, &at.far] {
        for table in ["trigger", "router", "trigger_router"] {
            let (key, kind) = (table.trim_start_matches("trigger_"), site.database.kind());
            let time = |column| format!("substr({}, 1, 19)", kind.time_as_text(column));
            let sql = format!(
                "select {}, last_updated_by, {} from sym_{table} where {key}_id = 't_words'",
                time("create_time"),
                time("last_updated_time")
            );
            becomes(&site.database, &sql, [words.map(|(_, value)| value)]).await;
        }
        let described = "select description from sym_channel where channel_id = 'described' union all \
                         select description from sym_node_group where node_group_id = 'described'";
        let texts = [["What it carries: \"Łódź\", 'öl'"], ["Who is in it"]];
        becomes(&site.database, described, texts).await;
        let redirects = "select registrant_external_id, registration_node_id from sym_registration_redirect";
        becomes(&site.database, redirects, [["anybody", "hub"]]).await;
    }

    at.write(
        "update sym_trigger set last_updated_by = 'bertha', last_updated_time = current_timestamp, \
         sync_on_update = 0 where trigger_id = 't_words'",
    )
    .await;
    let rebuilt = "select last_trigger_build_reason from sym_trigger_hist where trigger_id = 't_words' \
                   and inactive_time is null";
    becomes(&at.hub.database, rebuilt, [["C"]]).await;
    logged(&at, &["t_words", "bertha"]).await;
}

/// Waits until a line of the hub's log has all of these words.
async fn logged(at: &Deployment, words: &[&str]) {
    eventually(PATIENCE, format!("a line with {words:?}"), || async {
        let log = at.hub.log();
        let found = log
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word)));
        found.then_some(()).ok_or("no such line")
    })
    .await;
}
