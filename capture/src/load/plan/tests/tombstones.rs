//! Rows that a target may have and the snapshot has not.

use super::world::World;
use crate::data_runs::DataRuns;
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};

/// A world whose `sym_data` rows are in batches as its tests say.
async fn world(kind: DatabaseKind, tables: &str, names: &[&str]) -> World {
    let world = World::start(kind).await;
    world.run(tables).await;
    world
        .run(
            "insert into sym_node (node_id, node_group_id, external_id) values ('1', 'there', '1'), ('2', 'there', '2'), \
             ('other', 'there', 'x')",
        )
        .await;
    for name in names {
        world
            .run(&format!(
                "insert into sym_trigger (trigger_id, source_table_name, source_node_group_id, target_node_group_id, \
                 channel_id, target_table_name) values ('{name}', '{name}', 'here', 'there', 'main', 'their_{name}')"
            ))
            .await;
    }
    world.sync_triggers().await;
    world
}

const ITEM: &str = "create table item (shop varchar(20) not null, id integer not null, note varchar(20), \
                    primary key (shop, id));
                    insert into item values ('a', 1, 'x'), ('a', 2, 'x'), ('b', 1, 'x'), ('b', 2, 'x'), ('b ''\" ü', 3, 'x')";

#[tokio::test]
async fn deleted_rows_and_old_keys_that_are_not_there_again_are_deleted() {
    for kind in [Postgres, Mysql, Sqlite] {
        let world = world(kind, ITEM, &["item"]).await;
        world
            .run(
                "delete from item where shop = 'a'; insert into item values ('a', 2, 'again');
                 update item set id = 9 where shop = 'b' and id = 2; update item set note = 'y' where id = 1;
                 delete from item where id = 3; insert into item values ('new', 1, 'x'); delete from item where shop = 'new';
                 update item set id = 8 where id = 9; update item set id = 9 where id = 8",
            )
            .await;
        let all = world.captured().await;
        let mut found = world.tombstones(&["1"], &all).await;
        found.sort_unstable();
        assert_eq!(
            found,
            [
                "their_item a 1",
                "their_item b '\" ü 3",
                "their_item b 2",
                "their_item b 8",
                "their_item new 1"
            ],
            "{kind}"
        );
    }
}

#[tokio::test]
async fn what_is_ok_at_the_target_needs_none() {
    for kind in [Postgres, Mysql, Sqlite] {
        let world = world(kind, ITEM, &["item"]).await;
        // GIVEN deletes that are: OK at 1, on the way to 1, OK at 1 and not at 2, not routed, not cut, for another node
        for (id, key) in [
            ("ok", "'a', 11"),
            ("sent", "'a', 12"),
            ("two", "'a', 13"),
            ("unrouted", "'a', 14"),
            ("uncut", "'a', 15"),
            ("other", "'a', 16"),
        ] {
            world
                .run(&format!(
                    "insert into item values ({key}, '{id}'); delete from item where note = '{id}'"
                ))
                .await;
        }
        let ids = world.captured().await;
        let ids: Vec<i64> = ids.ids().collect();
        assert_eq!(ids.len(), 12);
        for (batch, routed) in [(1, 1), (2, 1), (3, 1), (4, 0), (6, 1)] {
            let (first, last) = (ids[batch * 2 - 2], ids[batch * 2 - 1]);
            world
                .run(&format!(
                    "insert into sym_capture_batch (batch_id, channel_id, data_ranges, routed) \
                     values ({batch}, 'main', '{first}-{last}', {routed})"
                ))
                .await;
        }
        world
            .run(
                "insert into sym_outgoing_batch (batch_id, node_id, status) values (1, '1', 'OK'), (2, '1', 'SE'), (2, '2', 'OK'), \
                 (3, '1', 'OK'), (3, '2', 'ER'), (6, 'other', 'NE'), (6, '1', 'OK')",
            )
            .await;
        let mut uncut = DataRuns::default();
        uncut.push_run(ids[8], ids[9]);
        let sorted = |mut found: Vec<String>| {
            found.sort_unstable();
            found
        };
        let of_one = sorted(world.tombstones(&["1"], &uncut).await);
        assert_eq!(
            of_one,
            ["their_item a 12", "their_item a 14", "their_item a 15"],
            "{kind}"
        );
        let of_both = sorted(world.tombstones(&["1", "2"], &uncut).await);
        assert_eq!(
            of_both,
            [
                "their_item a 12",
                "their_item a 13",
                "their_item a 14",
                "their_item a 15"
            ],
            "{kind}"
        );
    }
}

#[tokio::test]
async fn rules_that_send_no_deletes_leave_rows_where_they_are() {
    let world = world(Sqlite, ITEM, &["item"]).await;
    world
        .run("delete from item where shop = 'a'; update item set id = 9 where shop = 'b' and id = 2")
        .await;
    let all = world.captured().await;
    world.run("update sym_trigger set sync_on_delete = 0").await;
    assert_eq!(world.tombstones(&["1"], &all).await, ["their_item b 2"]);
    world
        .run("update sym_trigger set sync_on_delete = 1, sync_on_update = 0")
        .await;
    assert_eq!(
        world.tombstones(&["1"], &all).await,
        ["their_item a 1", "their_item a 2"]
    );
}

#[tokio::test]
async fn children_are_deleted_before_their_parents_and_many_rows_in_pieces() {
    for kind in [Postgres, Mysql, Sqlite] {
        let world = world(
            kind,
            "create table parent (id integer primary key); create table child (id integer primary key, parent integer, \
             foreign key (parent) references parent (id)); insert into parent values (1)",
            &["child", "parent"],
        )
        .await;
        let values: Vec<String> = (1..=2500).map(|id| format!("({id}, 1)")).collect();
        world
            .run(&format!("insert into child values {}", values.join(", ")))
            .await;
        world.run("delete from child where id <> 77; update child set id = 78; delete from child; delete from parent").await;
        let all = world.captured().await;
        let found = world.tombstones(&["1"], &all).await;
        assert_eq!(found.last().map(String::as_str), Some("their_parent 1"), "{kind}");
        let different: std::collections::HashSet<&String> = found.iter().collect();
        assert_eq!(different.len(), 2501, "{kind}");
    }
}

#[tokio::test]
async fn keys_of_every_type_are_found_again() {
    for (kind, types) in [
        (
            Postgres,
            &[
                ("bigint", "9223372036854775807", "-1"),
                ("boolean", "true", "false"),
                ("numeric(20, 5)", "1.50000", "2.5"),
                ("real", "0.1", "0.3"),
                ("double precision", "0.1", "1e300"),
                ("char(5)", "'ab'", "'c'"),
                ("bytea", "'\\x00ff'", "'\\x01'"),
                ("timestamptz", "'2026-01-01 12:00:00.123456+02'", "'infinity'"),
                ("timestamp", "'2026-01-01 12:00:00'", "'2026-01-01 12:00:01'"),
                ("date", "'2026-01-01'", "'0044-03-15 BC'"),
                ("time", "'12:00:00'", "'13:00'"),
                (
                    "uuid",
                    "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
                    "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12'",
                ),
                ("interval", "'1 day 2 hours'", "'3 mons'"),
                ("integer[]", "'{1,2}'", "'{3}'"),
                ("bit(3)", "'101'", "'111'"),
            ][..],
        ),
        (
            Mysql,
            &[
                ("bigint", "9223372036854775807", "-1"),
                ("bigint unsigned", "18446744073709551615", "18446744073709551614"),
                ("int(7) unsigned zerofill", "42", "43"),
                ("decimal(20, 5)", "1.5", "2.5"),
                ("double", "0.1", "1e300"),
                (
                    "varchar(20) character set latin1 collate latin1_german1_ci",
                    "'ü'",
                    "'b'",
                ),
                ("varchar(20) collate utf8mb4_bin", "'🦀'", "'b'"),
                ("char(5)", "'ab'", "'c'"),
                ("binary(3)", "x'00ff'", "x'01'"),
                ("varbinary(9)", "x'00ff'", "x'01'"),
                (
                    "timestamp(3) default '2000-01-01'",
                    "'2026-01-01 12:00:00.123'",
                    "'2026-01-02'",
                ),
                ("datetime(6)", "'2026-01-01 12:00:00.123456'", "'2026-01-02'"),
                ("date", "'2026-01-01'", "'0000-00-00'"),
                ("time(2)", "'-12:00:00.25'", "'13:00'"),
                ("enum('x', 'y')", "'x'", "'y'"),
                ("bit(9)", "b'101'", "b'111'"),
                ("year", "2026", "1999"),
            ][..],
        ),
        (
            Sqlite,
            &[
                ("integer", "9223372036854775807", "-1"),
                ("varchar(20)", "'ab'", "'c'"),
                ("varchar(20) collate nocase", "'ab'", "'c'"),
                ("blob", "x'00ff'", "x'01'"),
                ("", "x'00ff'", "'00ff'"),
                ("", "5", "'5'"),
                ("real", "0.1", "1e300"),
                ("numeric", "1.5", "7"),
            ][..],
        ),
    ] {
        let world = World::start(kind).await;
        world
            .run("insert into sym_node (node_id, node_group_id, external_id) values ('1', 'there', '1')")
            .await;
        for (number, (sql_type, ..)) in types.iter().enumerate() {
            for (table, key) in [("keyed", ", primary key (k)"), ("bare", "")] {
                world
                    .run(&format!(
                        "create table {table}{number} (k {sql_type}, note varchar(9){key});
                         insert into sym_trigger (trigger_id, source_table_name, source_node_group_id, \
                         target_node_group_id, channel_id) values ('{table}{number}', '{table}{number}', 'here', 'there', 'main')"
                    ))
                    .await;
            }
        }
        world.sync_triggers().await;
        for (number, (_, stays, goes)) in types.iter().enumerate() {
            for table in [format!("keyed{number}"), format!("bare{number}")] {
                // GIVEN two rows that were deleted, of which one came back
                world
                    .run(&format!(
                        "insert into {table} values ({stays}, 'n'), ({goes}, null); delete from {table}; \
                         insert into {table} values ({stays}, 'n')"
                    ))
                    .await;
            }
        }
        let all = world.captured().await;
        let found = world.tombstones(&["1"], &all).await;
        // THEN the other one is deleted
        for (number, (sql_type, ..)) in types.iter().enumerate() {
            for table in [format!("keyed{number} "), format!("bare{number} ")] {
                let count = found.iter().filter(|text| text.starts_with(&table)).count();
                assert_eq!(count, 1, "{kind}: {table} {sql_type} of {found:?}");
            }
        }
    }
}

#[tokio::test]
async fn rows_that_the_present_key_does_not_tell_stay() {
    for kind in [Postgres, Mysql] {
        let world = world(
            kind,
            "create table item (a integer, b integer, primary key (a)); insert into item values (1, 1), (2, 2); \
             create table bare (a integer, b integer); insert into bare values (1, 1), (2, 2)",
            &["item", "bare"],
        )
        .await;
        world
            .run("delete from item where a = 1; delete from bare where a = 1")
            .await;
        let drop_key = match kind {
            Postgres => "drop constraint item_pkey",
            _ => "drop primary key",
        };
        world
            .run(&format!(
                "alter table item add c integer; alter table bare add c integer; alter table item {drop_key}"
            ))
            .await;
        world.sync_triggers().await;
        let all = world.captured().await;
        assert_eq!(
            world.tombstones(&["1"], &all).await,
            Vec::<String>::new(),
            "{kind}"
        );
    }
}
