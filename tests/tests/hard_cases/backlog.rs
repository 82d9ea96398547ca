//! Nodes that are away, disabled or held for longer than a limit allows: cases 24 and 36.

use super::looking::reaches;
use std::time::{Duration, Instant};
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_tests::compare::{Part, check_equal};
use symstream_tests::configuration::Configuration;
use symstream_tests::eventually::eventually;
use symstream_tests::network::{Network, PATIENCE, Site, installed};
use symstream_tests::pair::loaded;

const GROUPS: [&str; 3] = ["source", "away", "other"];
/// How long a change may take to a node that has nothing to do with the one that is marked.
const PROMPT: Duration = Duration::from_secs(10);

const ITEM: Part<'_> = Part {
    table: "item",
    columns: &["id", "name"],
    condition: "",
};

/// A source and two nodes that are loaded; the first of them sends its changes back.
struct Scene {
    source: Site,
    away: Site,
    other: Site,
    network: Network,
}

impl Scene {
    async fn start(kinds: [DatabaseKind; 3], parameters: &[(&str, &str)]) -> Self {
        let mut network = Network::start().await;
        let mut source = network.server(GROUPS[0], "000", kinds[0]).await;
        let mut away = network.node(&source, GROUPS[1], "001", kinds[1]).await;
        let mut other = network.node(&source, GROUPS[2], "002", kinds[2]).await;
        for site in [&source, &away, &other] {
            site.database
                .run("create table item (id integer primary key, name varchar(50))")
                .await;
        }
        source
            .database
            .run("insert into item values (1, 'one'), (2, 'two'), (3, 'three')")
            .await;
        let configuration = Configuration::default()
            .link(GROUPS[0], GROUPS[1])
            .link(GROUPS[0], GROUPS[2])
            .link(GROUPS[1], GROUPS[0])
            .table("item", "main");
        let configuration = parameters.iter().fold(configuration, |all, (name, value)| {
            all.and(&format!(
                "insert into sym_parameter (external_id, node_group_id, param_key, param_value) \
                 values ('ALL', 'ALL', '{name}', '{value}')"
            ))
        });
        network.configure(&source, &configuration.sql()).await;
        for site in [&away, &other] {
            network.admit(&source, site).await;
            network.symadmin(&source, &["reload-node", site.id()]).await.ok();
        }
        for site in [&mut source, &mut away, &mut other] {
            network.run(site);
        }
        for site in [&source, &away] {
            installed(site, &["item"]).await;
        }
        for site in [&away, &other] {
            loaded(&source, site.id()).await;
        }
        Self {
            source,
            away,
            other,
            network,
        }
    }

    /// Writes rows at the source one by one, each a batch of its own, and waits for each at the other node. The longest
    /// wait.
    async fn write(&self, ids: std::ops::RangeInclusive<i64>) -> Duration {
        let mut longest = Duration::ZERO;
        for id in ids {
            let began = Instant::now();
            self.source
                .database
                .run(&format!("insert into item values ({id}, 'row {id}')"))
                .await;
            let arrived = format!("select count(*) from item where id = {id}");
            reaches(&self.other.database, &arrived, 1).await;
            longest = longest.max(began.elapsed());
        }
        longest
    }

    /// Waits until a node is marked and what waits for it is gone.
    async fn marked(&self, node: &str) {
        let sql = format!("select count(*) from sym_reload_need where node_id = '{node}' and freed = 1");
        reaches(&self.source.database, &sql, 1).await;
    }

    /// Waits until a node that was marked is loaded and has what the source has.
    async fn ends_equal(&self, site: &Site) {
        loaded(&self.source, site.id()).await;
        eventually(PATIENCE, format!("node {} to be equal", site.id()), || async {
            check_equal(&self.source.database, &site.database, ITEM)
                .await
                .map(drop)
        })
        .await;
        let need = "select count(*) from sym_reload_need";
        assert_eq!(self.source.database.number(need).await, 0);
    }
}

async fn away_too_long(kinds: [DatabaseKind; 3]) {
    let mut scene = Scene::start(kinds, &[("backlog.batches.max", "5")]).await;
    // GIVEN a node that is away, and whose application goes on
    scene.away.stop().await;
    scene
        .away
        .database
        .run("insert into item values (500, 'its own'); update item set name = 'by itself' where id = 2")
        .await;
    let before = scene.write(10..=13).await;
    assert_eq!(
        scene
            .source
            .database
            .number("select count(*) from sym_reload_need")
            .await,
        0,
        "four batches are within the limit"
    );
    // WHEN more waits for it than is allowed
    let during = scene.write(14..=19).await;
    scene
        .source
        .database
        .run("delete from item where id in (3, 12)")
        .await;
    scene.marked("001").await;
    // THEN it is told, what waits stays what it is, and nothing more is for it
    let complaints = scene.source.complaints(&[]);
    let told = |line: &&String| line.contains("needs a reload") && line.contains("001");
    assert_eq!(complaints.iter().filter(told).count(), 1, "{complaints:?}");
    let status = scene.network.symadmin(&scene.source, &["status"]).await.ok();
    assert!(status.contains("backlog.batches.max 5"), "{status}");
    let nodes = scene.network.symadmin(&scene.source, &["list-nodes"]).await.ok();
    assert!(nodes.contains("backlog.batches.max 5"), "{nodes}");
    let open = "select count(*) from sym_outgoing_batch where node_id = '001' and status in ('NE', 'SE')";
    let waits = scene.source.database.number(open).await;
    assert!(waits > 5, "{waits}");
    let after = scene.write(20..=25).await;
    assert_eq!(scene.source.database.number(open).await, waits);
    for (when, took) in [("before", before), ("while", during), ("after", after)] {
        assert!(took < PROMPT, "{took:?} {when} the node was marked");
    }
    // WHEN it is back THEN what it had to send is there first, and it is loaded
    scene.network.run(&mut scene.away);
    scene.ends_equal(&scene.away).await;
    for (id, name) in [(500, "its own"), (2, "by itself")] {
        let own = format!("select count(*) from item where id = {id} and name = '{name}'");
        for site in [&scene.source, &scene.away] {
            assert_eq!(site.database.number(&own).await, 1, "{own} at {}", site.id());
        }
    }
    let gone = "select count(*) from item where id in (3, 12)";
    assert_eq!(scene.away.database.number(gone).await, 0);
    // AND takes part again
    scene.write(30..=31).await;
    scene.ends_equal(&scene.away).await;
}

#[tokio::test]
async fn a_node_over_its_limit_is_loaded_when_it_is_back_postgres() {
    away_too_long([Postgres, Sqlite, Mysql]).await;
}

#[tokio::test]
async fn a_node_over_its_limit_is_loaded_when_it_is_back_mariadb() {
    away_too_long([Mysql, Postgres, Sqlite]).await;
}

#[tokio::test]
async fn a_node_over_its_limit_is_loaded_when_it_is_back_sqlite() {
    away_too_long([Sqlite, Mysql, Postgres]).await;
}

#[tokio::test]
async fn captured_data_of_a_disabled_node_and_of_a_held_lane_is_kept_up_to_the_limit() {
    let parameters = [
        ("backlog.age.max", "25s"),
        ("purge.retention", "1s"),
        ("purge.interval", "1s"),
    ];
    let scene = Scene::start([Postgres, Sqlite, Mysql], &parameters).await;
    let switch = async |enabled: i64| {
        let sql = format!("update sym_node set sync_enabled = {enabled} where node_id = '001'");
        scene.source.database.run(&sql).await;
    };
    // GIVEN two nodes that refuse a row, one of which is disabled then
    for site in [&scene.away, &scene.other] {
        site.database
            .run("create unique index names on item (name)")
            .await;
    }
    scene
        .source
        .database
        .run("insert into item values (40, 'one')")
        .await;
    let held = "select count(*) from sym_outgoing_batch where status = 'ER'";
    reaches(&scene.source.database, held, 2).await;
    switch(0).await;
    let kept = "select count(*) from sym_data where data_id in \
                (select data_id from sym_data_event where node_id = '001')";
    assert!(scene.source.database.number(kept).await > 0, "it is kept");
    // WHEN the limit is passed THEN the one that is there is loaded as soon as it takes the row
    let begun = "select count(distinct node_id) from sym_load where node_id = '002' and clear_first = 1";
    reaches(&scene.source.database, begun, 1).await;
    scene.other.database.run(&drop_index(&scene.other)).await;
    eventually(PATIENCE, "the node to be equal", || async {
        check_equal(&scene.source.database, &scene.other.database, ITEM)
            .await
            .map(drop)
    })
    .await;
    // AND the purge does not wait for the other one
    scene.marked("001").await;
    reaches(&scene.source.database, kept, 0).await;
    // WHEN that is enabled THEN it is loaded, too
    scene.away.database.run(&drop_index(&scene.away)).await;
    switch(1).await;
    eventually(PATIENCE, "the node to be equal", || async {
        check_equal(&scene.source.database, &scene.away.database, ITEM)
            .await
            .map(drop)
    })
    .await;
    scene.ends_equal(&scene.away).await;
}

fn drop_index(site: &Site) -> String {
    match site.database.kind() {
        Mysql => "drop index names on item".to_owned(),
        Postgres | Sqlite => "drop index names".to_owned(),
    }
}
