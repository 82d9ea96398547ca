//! `sym_parameter`: for one node, for a group, for all.

use super::deployment::{Deployment, FILE_VERSION, becomes};
use super::given::Given;
use serde_json::Value;
use symstream_tests::network::Site;

/// Which value holds is seen in what each node says of itself.
const VERSIONS: &str = "select node_id, schema_version from sym_node where node_id in ('hub', 'n-near', 'n-far') \
                        order by node_id";

pub async fn the_most_specific_row_holds(mut given: Given) {
    given.parameter("ALL", "ALL", "heartbeat.interval", "1");
    given.parameter("ALL", "ALL", "schema.version", "of all");
    given.parameter("ALL", "site", "schema.version", "of the group");
    given.parameter("near", "ALL", "schema.version", "of near");
    // Of another group: not this node's.
    given.parameter("far", "hub", "schema.version", "of somebody else");
    let at = given.running().await;
    let hub = &at.hub.database;

    let of = |hub, far, near| [["hub", hub], ["n-far", far], ["n-near", near]];
    becomes(hub, VERSIONS, of("of all", "of the group", "of near")).await;

    for (site, value, from) in [
        (&at.hub, "of all", "sym_parameter ALL"),
        (&at.far, "of the group", "sym_parameter group site"),
        (&at.near, "of near", "sym_parameter external id near"),
    ] {
        assert_eq!(listed(&at, site, "schema.version").await, [value, from]);
    }

    // Changed while everything runs.
    at.write(
        "update sym_parameter set param_value = 'of both' where external_id = 'far' and param_key = 'schema.version'; \
         update sym_parameter set node_group_id = 'site' where external_id = 'far' and param_key = 'schema.version'; \
         delete from sym_parameter where external_id = 'near' and param_key = 'schema.version'",
    )
    .await;
    becomes(hub, VERSIONS, of("of all", "of both", "of the group")).await;
    at.write("delete from sym_parameter where param_key = 'schema.version'")
        .await;
    becomes(hub, VERSIONS, of(FILE_VERSION, FILE_VERSION, FILE_VERSION)).await;
    assert_eq!(
        listed(&at, &at.near, "schema.version").await,
        [FILE_VERSION, "engine file"]
    );
    assert_eq!(listed(&at, &at.near, "purge.retention").await, ["5d", "default"]);

    // Every node has the rows.
    let keys = "select external_id, node_group_id, param_key, param_value from sym_parameter where node_group_id = 'ALL'";
    becomes(
        &at.far.database,
        keys,
        [["ALL", "ALL", "heartbeat.interval", "1"]],
    )
    .await;
}

/// A parameter's value and where it comes from, as `symadmin list-parameters` has them.
async fn listed(at: &Deployment, site: &Site, name: &str) -> [String; 2] {
    let text = at
        .network
        .symadmin(site, &["list-parameters", "--json"])
        .await
        .ok();
    let all: Vec<Value> = serde_json::from_str(&text).expect("a list in JSON");
    let row = all
        .iter()
        .find(|row| row["parameter"] == name)
        .expect("it is listed");
    ["value", "from"].map(|column| row[column].as_str().expect("text").to_owned())
}
