use crate::dialects::{Server, servers};

/// Two tables: `item`, which two triggers capture in the same way and one in another; `shelf` with a load order before it.
const TRIGGERS: &str = "
    create table item (id integer primary key, name varchar(20));
    create table shelf (id integer primary key);
    create table loose (id integer primary key);
    insert into sym_trigger (trigger_id, source_table_name, source_node_group_id, target_node_group_id, channel_id,
                             initial_load_order, excluded_column_names) values
        ('item', 'item', 'cloud', 'local', 'c', 5, null), ('item.too', 'item', 'cloud', 'local', 'c', 5, null),
        ('item.ids', 'item', 'cloud', 'local', 'a', 5, 'name'), ('shelf', 'shelf', 'cloud', 'local', 'c', 2, null),
        ('loose', 'loose', 'cloud', 'cloud', 'c', 1, null);
";

const EVENTS: &str =
    "select d.event_type, d.channel_id, d.table_name, d.row_data, d.pk_data, h.trigger_id, d.source_node_id
     from sym_data d left join sym_trigger_hist h on h.trigger_hist_id = d.trigger_hist_id
     order by d.data_id";

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_takes_its_place_in_a_channel() {
    let servers = servers().await;
    for Server { site, database } in &servers.all {
        // Initial loads have no place for it, whatever their order is.
        database
            .run("insert into sym_channel (channel_id, processing_order) values ('reload', -5)")
            .await;
        let said = site
            .symadmin(&["send-sql", "seven", "update t set a = 'x, \"y\"'"])
            .ok()
            .stderr;
        assert!(said.contains("in channel b"), "{said}");
        site.symadmin(&["send-sql", "7", "select 1", "--channel", "a"])
            .ok();
        assert_eq!(
            database.rows(EVENTS).await,
            [
                ["S", "b", "", "\"update t set a = 'x, \"\"y\"\"'\"", "7", "∅", "∅"],
                ["S", "a", "", "\"select 1\"", "7", "∅", "∅"],
            ]
        );
        assert_eq!(
            database
                .number("select count(*) from sym_data where trigger_hist_id = 0 and create_time is not null")
                .await,
            2
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_for_a_node_that_would_not_get_it() {
    let servers = servers().await;
    for Server { site, database } in &servers.all {
        database.run(TRIGGERS).await;
        site.symadmin(&["sync-triggers"]).ok();
        let refused = |args: &[&str], status: i32, why: &str| {
            let error = site.symadmin(args).error(status);
            assert!(error.contains(why), "{error} instead of {why}");
        };
        for (node, why) in [
            ("1", "node 1 would get nothing: it is engine cloud-1's own"),
            ("8", "node 8 would get nothing: it is disabled"),
            ("9", "node 9 would get nothing: it is not registered yet"),
            ("77", "node 77 is not in sym_node"),
        ] {
            refused(&["send-sql", node, "select 1"], 1, why);
            refused(&["reload-table", node, "item"], 1, why);
        }
        refused(&["send-sql", "7", " "], 2, "the SQL is empty");
        refused(
            &["reload-table", "7", "item", "--where", " "],
            2,
            "the condition is empty",
        );
        refused(&["reload-table", "7"], 2, "TABLE");
        database
            .run("insert into sym_channel (channel_id, processing_order) values ('reload', -5)")
            .await;
        refused(
            &["send-sql", "7", "select 1", "--channel", "reload"],
            1,
            "channel reload is for initial loads only",
        );
        refused(
            &["send-sql", "7", "select 1", "--channel", "z"],
            1,
            "there is no channel z; there are a, b, c",
        );
        // One table that is not there: nothing is asked for at all.
        refused(
            &["reload-table", "7", "item", "orders"],
            1,
            "no trigger of engine cloud-1 captures a table orders; it captures item, loose, shelf",
        );
        refused(
            &["reload-table", "7", "loose"],
            1,
            "no rule of table loose is for nodes of group local",
        );
        site.symadmin(&["ignore", "7", "c"]).ok();
        refused(
            &["reload-table", "7", "item"],
            1,
            "channel c is ignored for node 7",
        );
        database.run("delete from sym_node_group_link").await;
        refused(
            &["send-sql", "7", "select 1"],
            1,
            "sym_node_group_link has no link from group cloud to group local",
        );
        assert_eq!(database.number("select count(*) from sym_data").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_asked_for_once_for_each_way_in_which_it_is_captured() {
    let servers = servers().await;
    for Server { site, database } in &servers.all {
        database.run(TRIGGERS).await;
        site.symadmin(&["sync-triggers"]).ok();
        let said = site
            .symadmin(&[
                "reload-table",
                "seven",
                "ITEM",
                "shelf",
                "item",
                "--where",
                "t.id > 1 and 'a,b' <> ''",
            ])
            .ok()
            .stderr;
        assert!(
            said.contains("will be sent to node 7 again, in its place in channel a, c"),
            "{said}"
        );
        let condition = "\"t.id > 1 and 'a,b' <> ''\"";
        assert_eq!(
            database.rows(EVENTS).await,
            [
                ["R", "c", "shelf", condition, "7", "shelf", "∅"],
                ["R", "c", "item", condition, "7", "item", "∅"],
                ["R", "a", "item", condition, "7", "item.ids", "∅"],
            ],
            "{}",
            database.kind()
        );
        site.symadmin(&["reload-table", "7", "shelf"]).ok();
        let last = database.rows(EVENTS).await.pop();
        assert_eq!(last.expect("a row"), ["R", "c", "shelf", "∅", "7", "shelf", "∅"]);
    }
}
