//! Tables that refer to each other, and to themselves.

use super::world::World;
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};

/// A world with these statements, and all of `tables` for node `1`, in the order given.
async fn world(kind: DatabaseKind, statements: &str, tables: &[&str]) -> World {
    let world = World::start(kind).await;
    world.run(statements).await;
    world
        .run("insert into sym_node (node_id, node_group_id, external_id) values ('1', 'there', '1')")
        .await;
    for table in tables {
        world
            .run(&format!(
                "insert into sym_trigger (trigger_id, source_table_name, source_node_group_id, target_node_group_id, \
                 channel_id) values ('{table}', '{table}', 'here', 'there', 'main')"
            ))
            .await;
    }
    world.sync_triggers().await;
    world
}

/// The foreign key that closes a circle: SQLite has it with its column, the others when both tables are there.
fn last_key(kind: DatabaseKind, child: &str, column: &str, parent: &str) -> (String, String) {
    match kind {
        Sqlite => (format!(" references {parent} (id)"), "select 1".to_owned()),
        Postgres | Mysql => (
            String::new(),
            format!("alter table {child} add foreign key ({column}) references {parent} (id)"),
        ),
    }
}

#[tokio::test]
async fn tables_that_refer_to_each_other_are_closed_by_updates() {
    for kind in [Postgres, Mysql, Sqlite] {
        let (inline, afterwards) = last_key(kind, "a", "b_id", "b");
        let world = world(
            kind,
            &format!(
                "create table a (id integer primary key, b_id integer{inline}, note varchar(9));
             create table b (id integer primary key, a_id integer not null, foreign key (a_id) references a (id));
             {afterwards};
             insert into a values (1, null, 'x'), (2, null, 'y'); insert into b values (5, 2), (6, 1);
             update a set b_id = 6 where id = 2"
            ),
            &["a", "b"],
        )
        .await;
        assert_eq!(
            world.loaded_in_steps("1").await,
            ["a 1 - x", "a 2 y", "b 5 2", "b 6 1", "U a 2 6"],
            "{kind}"
        );
        let changes = world.changes("1").await;
        let (table, update, _) = changes.last().expect("update");
        // THEN only what was left out is written
        let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["id", "b_id"]);
        assert!(!table.column_level && update.old == update.new);
    }
}

#[tokio::test]
async fn a_circle_of_three_tables_opens_at_one_place() {
    for kind in [Postgres, Mysql, Sqlite] {
        let (inline, afterwards) = last_key(kind, "c", "a_id", "a");
        let world = world(
            kind,
            &format!(
                "create table c (id integer primary key, a_id integer{inline});
             create table b (id integer primary key, c_id integer not null, foreign key (c_id) references c (id));
             create table a (id integer primary key, b_id integer not null, foreign key (b_id) references b (id));
             {afterwards};
             create table child (id integer primary key, a_id integer, foreign key (a_id) references a (id));
             insert into c values (1, null), (2, null); insert into b values (3, 2); insert into a values (4, 3);
             update c set a_id = 4 where id = 1; insert into child values (7, 4)"
            ),
            &["child", "a", "b", "c"],
        )
        .await;
        assert_eq!(
            world.loaded_in_steps("1").await,
            ["c 1", "c 2 -", "b 3 2", "a 4 3", "child 7 4", "U c 1 4"],
            "{kind}"
        );
    }
}

#[tokio::test]
async fn a_circle_that_can_not_be_opened_goes_in_one_batch() {
    for kind in [Postgres, Mysql, Sqlite] {
        let deferred = if kind == Postgres {
            " deferrable initially deferred"
        } else {
            ""
        };
        let world = world(
            kind,
            &format!(
                "create table other (id integer primary key); create table a (id integer primary key, b_id integer not null);
                 create table b (id integer primary key, a_id integer not null);
                 insert into other values (1); insert into a values (1, 2); insert into b values (2, 1)
                 {}",
                match kind {
                    Postgres => format!(
                        "; alter table a add foreign key (b_id) references b (id){deferred};
                         alter table b add foreign key (a_id) references a (id){deferred}"
                    ),
                    Mysql => "; alter table a add foreign key (b_id) references b (id);
                              alter table b add foreign key (a_id) references a (id)"
                        .to_owned(),
                    Sqlite => "; pragma foreign_keys = off; drop table a; drop table b;
                               create table a (id integer primary key, b_id integer not null references B);
                               create table b (id integer primary key, a_id integer not null references a (ID));
                               insert into a values (1, 2); insert into b values (2, 1); pragma foreign_keys = on"
                        .to_owned(),
                }
            ),
            &["a", "b", "other"],
        )
        .await;
        assert_eq!(
            world.loaded("1").await,
            ["other 1", "a 1 2 (1)", "b 2 1 (1)"],
            "{kind}"
        );
    }
}

#[tokio::test]
async fn a_table_that_refers_to_itself_gets_its_values_later() {
    for kind in [Postgres, Mysql, Sqlite] {
        let world = world(
            kind,
            "create table part (shop integer not null, id integer not null, whole integer, name varchar(9), \
             primary key (shop, id), foreign key (shop, whole) references part (shop, id));
             insert into part values (1, 2, null, 'root'); insert into part values (1, 1, 2, 'leaf')",
            &["part"],
        )
        .await;
        assert_eq!(
            world.loaded_in_steps("1").await,
            ["part 1 1 leaf", "part 1 2 - root", "U part 1 1 2"],
            "{kind}"
        );
    }
}

#[tokio::test]
async fn rows_that_have_to_refer_to_others_of_their_table_go_parents_first() {
    for kind in [Postgres, Mysql, Sqlite] {
        let world = world(
            kind,
            "create table part (id integer primary key, code varchar(9) not null unique, whole varchar(9) not null, \
             sym_name varchar(9), foreign key (whole) references part (code));
             insert into part values (9, 'a', 'a', 'root'); insert into part values (5, 'b', 'a', 'x');
             insert into part values (3, 'c', 'b', 'x'); insert into part values (1, 'd', 'c', 'x');
             insert into part values (2, 'e', 'e', 'root'); insert into part values (4, 'f', 'e', 'y');
             insert into part values (7, 'g', 'g', 'g'); insert into part values (8, 'h', 'g', 'h');
             update part set whole = 'h' where code = 'g'",
            &["part"],
        )
        .await;
        let loaded = world.loaded("1").await;
        let place = |id: &str| {
            let row = format!("part {id} ");
            loaded
                .iter()
                .position(|text| text.starts_with(&row))
                .unwrap_or_else(|| panic!("{row} in {loaded:?}"))
        };
        // THEN each row stands behind the one that it refers to
        for (child, parent) in [("5", "9"), ("3", "5"), ("1", "3"), ("4", "2")] {
            assert!(place(child) > place(parent), "{kind}: {loaded:?}");
        }
        // AND rows that refer to each other are there, too, as the last ones
        assert_eq!(loaded.len(), 8, "{kind}: {loaded:?}");
        assert_eq!(place("7").min(place("8")), 6, "{kind}: {loaded:?}");
        // AND the same with a condition of the user's on unqualified names
        world
            .run("update sym_trigger set initial_load_select = 'sym_name = ''x'''")
            .await;
        assert_eq!(
            world.loaded("1").await,
            ["part 5 b a x", "part 3 c b x", "part 1 d c x"],
            "{kind}"
        );
    }
}

#[tokio::test]
async fn a_column_that_is_not_captured_holds_up_nothing() {
    let world = world(
        Sqlite,
        "create table a (id integer primary key, b_id integer not null references b);
         create table b (id integer primary key, a_id integer references a)",
        &["a", "b"],
    )
    .await;
    world
        .run(
            "pragma foreign_keys = off; insert into a values (1, 2); insert into b values (2, 1);
              update sym_trigger set excluded_column_names = 'b_id' where trigger_id = 'a'",
        )
        .await;
    world.sync_triggers().await;
    assert_eq!(world.loaded("1").await, ["a 1", "b 2 1"]);
}

#[tokio::test]
async fn deleted_rows_of_a_circle_are_parted_before_they_are_deleted() {
    for kind in [Postgres, Mysql, Sqlite] {
        let (inline, afterwards) = last_key(kind, "team", "head", "person");
        let world = world(
            kind,
            &format!(
                "create table team (id integer primary key, name varchar(9) not null, head integer{inline});
             create table person (id integer primary key, team_id integer, boss integer,
               foreign key (team_id) references team (id), foreign key (boss) references person (id));
             {afterwards}"
            ),
            &["team", "person"],
        )
        .await;
        world
            .run(
                "insert into team values (1, 'x', null), (72, 'y', null);
                 insert into person values (57, 1, null), (72, 72, 57);
                 update team set head = 72 where id = 72; update team set head = null where id = 72;
                 delete from person where id = 72; delete from team where id = 72; update person set id = 58 where id = 57",
            )
            .await;
        // THEN nothing refers to any of them when the first one goes
        let removals = world.removals("1").await;
        let (updates, deletes): (Vec<_>, Vec<_>) = removals.iter().partition(|text| text.starts_with("U "));
        assert_eq!(
            removals[..updates.len()],
            updates.iter().map(|text| (*text).clone()).collect::<Vec<_>>()
        );
        let mut deletes: Vec<&str> = deletes.iter().map(|text| text.as_str()).collect();
        deletes.sort_unstable();
        assert_eq!(deletes, ["D person 57", "D person 72", "D team 72"], "{kind}");
        assert!(
            updates.iter().any(|text| text.starts_with("U person 72 -")),
            "{updates:?}"
        );
    }
}

#[tokio::test]
async fn deleted_rows_that_can_not_be_parted_go_in_one_batch() {
    for kind in [Postgres, Mysql, Sqlite] {
        let world = world(
            kind,
            "create table part (id integer primary key, whole integer not null, foreign key (whole) references part (id))",
            &["part"],
        )
        .await;
        world
            .run(
                "insert into part values (1, 1), (2, 1), (3, 2);
                 delete from part where id = 3; delete from part where id = 2",
            )
            .await;
        assert_eq!(
            world.removals("1").await,
            ["D part 2 (1)", "D part 3 (1)"],
            "{kind}"
        );
    }
}
