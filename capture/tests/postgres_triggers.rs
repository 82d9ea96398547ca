//! What PostgreSQL's triggers have to take care of.

use crate::source::Source;
use symstream_shared::db::Sql;
use symstream_tests::server::{PostgresOptions, PostgresServer};

async fn postgres(server: &PostgresServer, name: &str) -> Source {
    Source::new(server.create_database(name).await).await
}

#[tokio::test]
async fn statements_are_captured_as_what_they_do_to_rows() {
    let server = PostgresServer::start().await;
    let source = postgres(&server, "statements").await;
    source
        .db
        .run("create table item (id int primary key, name text)")
        .await;
    source.trigger("items", "item", "").await;
    assert_eq!(source.sync().await, ["items:N"]);
    assert_eq!(source.sync().await, [""; 0]);

    source.db.run("insert into item values (1, 'a'), (2, null)").await;
    assert_eq!(source.take_texts().await, ["I 1|a <-", "I 2|∅ <-"]);
    source.db.run("update item set id = id + 10").await;
    assert_eq!(source.take_texts().await, ["U 11|a <- 1|a", "U 12|∅ <- 2|∅"]);
    source
        .db
        .run(
            "insert into item values (11, 'b'), (3, 'c') on conflict (id) do update set name = excluded.name",
        )
        .await;
    assert_eq!(source.take_texts().await, ["U 11|b <- 11|a", "I 3|c <-"]);
    source.db.run("update item set name = name where id = 3").await;
    assert_eq!(source.take_texts().await, ["U 3|c <- 3|c"]);
    source.db.run("delete from item where id = 3").await;
    assert_eq!(source.take_texts().await, ["D  <- 3|c"]);
    source.db.run("truncate item").await;
    assert_eq!(source.take_texts().await, ["D  <- 12|∅", "D  <- 11|b"]);
}

#[tokio::test]
async fn an_altered_table_keeps_capturing_and_its_rows_keep_their_columns() {
    let server = PostgresServer::start().await;
    let source = postgres(&server, "altered").await;
    source
        .db
        .run("create table item (id int primary key, a text, big text, b text)")
        .await;
    source.trigger("items", "item", "").await;
    source
        .trigger("small", "item", "excluded_column_names = 'BIG'")
        .await;
    source.sync().await;
    source
        .db
        .run("insert into item values (1, 'a', 'big', 'b')")
        .await;
    assert_eq!(source.take_texts().await, ["I 1|a|big|b <-", "I 1|a|b <-"]);

    // One connection, so that it has planned its statements before, and rows before the next synchronisation.
    let mut conn = source.db.database().conn().await.expect("connection");
    for statement in [
        "update item set b = 'before'",
        "alter table item drop column a",
        "alter table item add column c int default 7",
        "update item set b = 'between'",
        "insert into item values (2, 'large', 'x', 8)",
        "delete from item where id = 2",
    ] {
        Sql::execute_script(&mut conn, statement).await.expect(statement);
    }
    let same = source
        .db
        .rows("select distinct trigger_hist_id from sym_data where row_data like '%before%'")
        .await;
    assert_eq!(same.len(), 2);
    assert_eq!(source.sync().await, ["items:S", "small:S"]);
    let captured = source.captured().await;
    assert_eq!(captured[0].columns, ["id", "a", "big", "b"]);
    assert_eq!(captured[2].columns, ["id", "big", "b", "c"]);
    assert_eq!(captured[3].columns, ["id", "b", "c"]);
    assert_eq!(
        source.take_texts().await,
        [
            "U 1|a|big|before <- 1|a|big|b",
            "U 1|a|before <- 1|a|b",
            "U 1|big|between|7 <- 1|big|before|7",
            "U 1|between|7 <- 1|before|7",
            "I 2|large|x|8 <-",
            "I 2|x|8 <-",
            "D  <- 2|large|x|8",
            "D  <- 2|x|8",
        ]
    );
    source
        .db
        .run("alter table item rename column id to ident; update item set b = 'renamed'")
        .await;
    assert_eq!(source.sync().await, ["items:S", "small:S"]);
    assert_eq!(source.captured().await[0].columns, ["ident", "big", "b", "c"]);
    assert_eq!(
        source.take_texts().await,
        [
            "U 1|big|renamed|7 <- 1|big|between|7",
            "U 1|renamed|7 <- 1|between|7"
        ]
    );
    source.db.run("update item set ident = 5").await;
    assert_eq!(source.take().await[0].key_text.as_deref(), Some("1"));
}

#[tokio::test]
async fn row_triggers_survive_alterations_too() {
    let server = PostgresServer::start().await;
    let source = postgres(&server, "rows_altered").await;
    source
        .db
        .run(
            "create table item (id int primary key, a text, b text); \
             create function nothing() returns trigger language plpgsql as 'begin return null; end'; \
             create trigger other after insert or update or delete on item for each row execute function nothing()",
        )
        .await;
    source.trigger("items", "item", "").await;
    source
        .trigger("small", "item", "excluded_column_names = 'a'")
        .await;
    source.sync().await;
    let mut conn = source.db.database().conn().await.expect("connection");
    for statement in [
        "insert into item values (1, 'a', 'b')",
        "update item set id = 2",
        "alter table item drop column b",
        "insert into item values (3, 'c')",
        "alter table item rename column id to ident",
        "update item set ident = 4 where ident = 3",
        "alter table item alter column ident type text",
        "delete from item where ident = '4'",
    ] {
        Sql::execute_script(&mut conn, statement)
            .await
            .unwrap_or_else(|err| panic!("{statement}: {err}"));
    }
    drop(conn);
    source.db.run("delete from sym_data where data_id > 4").await;
    assert_eq!(source.sync().await, ["items:S", "small:S"]);
    assert_eq!(
        source.take_texts().await,
        ["I 1|a|b <-", "I 1|b <-", "U 2|a|b <- 1|a|b", "U 2|b <- 1|b"]
    );
    source.db.run("insert into item values ('x', 'y')").await;
    assert_eq!(source.take_texts().await, ["I x|y <-", "I x <-"]);
}

#[tokio::test]
async fn what_other_triggers_write_is_captured_after_what_made_them_fire() {
    let server = PostgresServer::start().await;
    let source = postgres(&server, "trigger_order").await;
    source
        .db
        .run(
            "create table parent (id int primary key, n int); \
             create table child (id int references parent on update cascade on delete cascade); \
             create table plain (id int primary key); \
             create table plain_child (id int references plain on update cascade on delete cascade); \
             create function child() returns trigger language plpgsql as $$ begin \
             if tg_op = 'INSERT' then insert into child values (new.id); update parent set n = 1 where id = new.id; \
             elsif tg_op = 'DELETE' and old.n = 9 then insert into parent values (3, 10); end if; \
             return null; end $$; \
             create trigger aaa after insert or delete on parent for each row execute function child()",
        )
        .await;
    for table in ["parent", "child", "plain", "plain_child"] {
        source.trigger(table, table, "").await;
    }
    source.sync().await;
    source.db.run("insert into parent values (1, 0)").await;
    assert_eq!(source.take_texts().await, ["I 1|0 <-", "I 1 <-", "U 1|1 <- 1|0"]);
    source.db.run("update parent set id = 2").await;
    assert_eq!(source.take_texts().await, ["U 2|1 <- 1|1", "U 2 <- 1"]);
    source
        .db
        .run("update parent set n = 9; delete from sym_data; delete from parent")
        .await;
    assert_eq!(
        source.take_texts().await,
        ["D  <- 2|9", "I 3|10 <-", "I 3 <-", "U 3|1 <- 3|10", "D  <- 2"]
    );
    source
        .db
        .run("insert into plain values (1); insert into plain_child values (1); delete from sym_data")
        .await;
    source.db.run("update plain set id = 2").await;
    source.db.run("delete from plain").await;
    let tables = source
        .db
        .rows("select table_name, event_type from sym_data order by data_id")
        .await;
    assert_eq!(
        tables,
        [
            ["plain", "U"],
            ["plain_child", "U"],
            ["plain", "D"],
            ["plain_child", "D"]
        ]
    );
}

#[tokio::test]
async fn a_table_in_parts_is_captured_whichever_part_is_written() {
    let server = PostgresServer::start().await;
    let source = postgres(&server, "parts").await;
    source
        .db
        .run(
            "create table item (id int, name text, primary key (id)) partition by range (id); \
             create table item_a partition of item for values from (0) to (10); \
             create table item_b (name text, id int not null); \
             alter table item attach partition item_b for values from (10) to (20)",
        )
        .await;
    source.trigger("items", "item", "").await;
    source.sync().await;
    source
        .db
        .run("insert into item values (1, 'a'), (11, 'b'); insert into item_b values ('c', 12)")
        .await;
    assert_eq!(source.take_texts().await, ["I 1|a <-", "I 11|b <-", "I 12|c <-"]);
    source.db.run("update item set name = 'x' where id > 10").await;
    assert_eq!(source.take_texts().await, ["U 11|x <- 11|b", "U 12|x <- 12|c"]);
    source.db.run("truncate item").await;
    assert_eq!(
        source.take_texts().await,
        ["D  <- 1|a", "D  <- 11|x", "D  <- 12|x"]
    );
}

#[tokio::test]
async fn the_pairs_of_a_big_update_are_found_fast_and_right() {
    let server = PostgresServer::start().await;
    let source = postgres(&server, "pairs").await;
    source
        .db
        .run("create table item (id int primary key, n int)")
        .await;
    source.trigger("items", "item", "").await;
    source.sync().await;
    let mut conn = source.db.database().conn().await.expect("connection");
    for statement in [
        "insert into item select i, i from generate_series(1, 50000) i",
        "update item set n = 0 where id = 1",
        "delete from sym_data",
        "update item set id = -id, n = -id",
    ] {
        Sql::execute_script(&mut conn, statement).await.expect(statement);
    }
    let wrong = "select count(*) from sym_data where row_data <> '-' || pk_data || ',-' || pk_data \
                 or old_data not like pk_data || ',%'";
    assert_eq!(source.db.number(wrong).await, 0);
    assert_eq!(source.db.number("select count(*) from sym_data").await, 50000);
}

#[tokio::test]
async fn an_application_without_rights_on_sym_tables_is_captured() {
    let server = PostgresServer::start().await;
    let source = postgres(&server, "rights").await;
    source
        .db
        .run("create table item (id int primary key); create role app; grant all on item to app")
        .await;
    source.trigger("items", "item", "").await;
    source.sync().await;
    source
        .db
        .run("set role app; insert into item values (1); reset role")
        .await;
    assert_eq!(source.take_texts().await, ["I 1 <-"]);
    source.db.run("drop owned by app; drop role app").await;
}

#[tokio::test]
async fn a_transaction_that_is_prepared_is_captured() {
    let server = PostgresServer::start_with(PostgresOptions {
        settings: vec!["max_prepared_transactions=5".to_owned()],
        ..PostgresOptions::default()
    })
    .await;
    let source = postgres(&server, "prepared").await;
    source
        .db
        .run("create table item (id int primary key); create table child () inherits (item)")
        .await;
    source.trigger("items", "item", "").await;
    source.trigger("children", "child", "").await;
    source.db.run("create table other (id int primary key)").await;
    source.trigger("others", "other", "").await;
    source.sync().await;
    source
        .db
        .run(
            "begin; insert into item values (1); insert into other values (1); truncate other; \
             prepare transaction 'both'",
        )
        .await;
    assert_eq!(source.take_texts().await, [""; 0]);
    source.db.run("commit prepared 'both'").await;
    assert_eq!(source.take_texts().await, ["I 1 <-", "I 1 <-", "D  <- 1"]);
}

#[tokio::test]
async fn padding_is_no_part_of_a_value() {
    let server = PostgresServer::start().await;
    let source = postgres(&server, "padding").await;
    source
        .db
        .run("create table item (id char(8) primary key, plain varchar(8))")
        .await;
    source.trigger("items", "item", "").await;
    source.sync().await;
    source.db.run("insert into item values ('P1', 'P1  ')").await;
    source.db.run("update item set id = 'P2'").await;
    source.db.run("delete from item").await;
    assert_eq!(
        source.take_texts().await,
        ["I P1|P1   <-", "U P2|P1   <- P1|P1", "D  <- P2|P1"]
    );
}

#[tokio::test]
async fn a_row_trigger_asks_for_the_shape_once() {
    let server = PostgresServer::start().await;
    let source = Source::new(server.create_database("once").await).await;
    source
        .db
        .run("create table tree (id int primary key, parent int references tree)")
        .await;
    source.trigger("all", "tree", "").await;
    source
        .trigger(
            "some",
            "tree",
            "excluded_column_names = 'parent', sync_on_incoming_batch = 1",
        )
        .await;
    source.sync().await;
    let asked = source
        .db
        .rows(
            "select distinct regexp_count(prosrc, 'shape :=') from pg_trigger join pg_proc p on p.oid = tgfoid \
             where tgrelid = 'tree'::regclass and tgtype & 1 = 1 and not tgisinternal",
        )
        .await;
    assert_eq!(asked, [["1"]]);
}
