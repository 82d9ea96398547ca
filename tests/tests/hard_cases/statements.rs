//! What an application's statements do to rows is what arrives: cases 4, 5, 6, 8a and 9.

use super::looking::logs;
use futures_util::future::join_all;
use symstream_shared::db::{DatabaseKind, Sql};
use symstream_tests::compare::{Part, become_equal};
use symstream_tests::configuration::Configuration;
use symstream_tests::firings::{firings, watch};
use symstream_tests::network::Site;
use symstream_tests::ring::Ring;

const TABLES: [(&str, &[&str]); 7] = [
    ("item", &["id", "name", "code"]),
    ("pair", &["a", "b", "note"]),
    ("keyless", &["a", "b"]),
    ("watched", &["id", "name"]),
    ("parent", &["id", "place"]),
    ("child", &["id", "parent_id"]),
    ("selfish", &["id", "place", "name"]),
];

fn ddl(kind: DatabaseKind) -> String {
    let tables = "
        create table item (id integer primary key, name varchar(50), code varchar(20) unique);
        create table pair (a integer not null, b integer not null, note varchar(50), primary key (b, a));
        create table keyless (a integer, b varchar(50));
        create table watched (id integer primary key, name varchar(50));
        create table parent (id integer primary key, place varchar(10));
        create table child (id integer primary key, parent_id integer not null,
            foreign key (parent_id) references parent (id) on delete cascade);
        create table selfish (id integer primary key, place varchar(10), name varchar(50));";
    format!("{tables}\n{}", applications_triggers(kind))
}

/// Triggers of the application: a child for each parent, a row that changes itself. They are for rows that are made
/// here, so that a target can not hide with its own what the source captured in the wrong order.
fn applications_triggers(kind: DatabaseKind) -> &'static str {
    match kind {
        DatabaseKind::Postgres => {
            "create function make_child() returns trigger language plpgsql as $$ begin
                insert into child values (new.id * 10, new.id); return null; end $$;
             create trigger make_child after insert on parent for each row when (new.place = 'p')
                execute function make_child();
             create function shout() returns trigger language plpgsql as $$ begin
                update selfish set name = upper(name) where id = new.id; return null; end $$;
             create trigger shout after insert on selfish for each row when (new.place = 'p') execute function shout()"
        }
        // A trigger of MariaDB may not write the table that fired it, but what is inserted.
        DatabaseKind::Mysql => {
            "create trigger make_child after insert on parent for each row
                insert into child select new.id * 10, new.id from (select 1) one where new.place = 'm';
             create trigger shout before insert on selfish for each row
                set new.name = if(new.place = 'm', upper(new.name), new.name)"
        }
        DatabaseKind::Sqlite => {
            "create trigger make_child after insert on parent when new.place = 's' begin
                insert into child values (new.id * 10, new.id); end;
             create trigger shout after insert on selfish when new.place = 's' begin
                update selfish set name = upper(name) where id = new.id; end"
        }
    }
}

/// A statement that inserts a row, or updates the one that is there.
fn upsert(kind: DatabaseKind) -> &'static str {
    match kind {
        DatabaseKind::Postgres | DatabaseKind::Sqlite => {
            "insert into item values (3, 'upsert', null), (1, 'upsert', 'x')
             on conflict (id) do update set name = excluded.name"
        }
        DatabaseKind::Mysql => {
            "insert into item values (3, 'upsert', null), (1, 'upsert', 'x')
             on duplicate key update name = values(name)"
        }
    }
}

struct Way<'a> {
    source: &'a Site,
    target: &'a Site,
}

impl Way<'_> {
    fn kind(&self) -> DatabaseKind {
        self.source.database.kind()
    }

    /// Runs statements of their own transactions, and waits until the target has the same.
    async fn step(&self, sql: &str) {
        self.source.database.run(sql).await;
        self.same().await;
    }

    async fn same(&self) {
        for (table, columns) in TABLES {
            let part = Part {
                table,
                columns,
                condition: "",
            };
            become_equal(&self.source.database, &self.target.database, part).await;
        }
    }

    async fn keys_that_change(&self) {
        self.step(
            "insert into item values (1, 'a', 'x'), (2, 'b', 'y'); insert into watched values (1, 'a')",
        )
        .await;
        self.step("update item set id = 7 where id = 1; update item set id = 1 where id = 2")
            .await;
        self.step("update item set id = id + 10; update item set id = 1, name = 'moved' where id = 11")
            .await;
        self.step("insert into pair values (1, 2, 'x'), (2, 1, 'y'); update pair set a = 9 where a = 1")
            .await;
        self.step("update pair set a = 1, b = 1, note = 'both' where a = 2")
            .await;
        // Two rows change places within one transaction.
        let swap = "update item set id = 99 where id = 1; update item set id = 1 where id = 17;
                    update item set id = 17 where id = 99";
        self.source.database.transaction(swap).await;
        self.same().await;
        let names = self
            .target
            .database
            .rows("select id, name from item order by id")
            .await;
        assert_eq!(names, [["1", "a"], ["17", "moved"]]);
        // The target's row is that row still: nothing was deleted and nothing inserted.
        self.step("update watched set id = 5; update watched set id = 6, name = 'b'")
            .await;
        let fired = firings(&self.target.database, "watched").await.expect("firings");
        let fired: Vec<&str> = fired
            .iter()
            .flat_map(|(_, events)| events)
            .map(String::as_str)
            .collect();
        assert_eq!(fired, ["insert a", "update a", "update b"]);
    }

    async fn rows_without_a_key(&self) {
        let sql = "insert into keyless values (1, 'a'), (1, 'a'), (1, 'a'), (2, null), (null, null)";
        self.step(sql).await;
        self.step("update keyless set b = 'B' where a = 2; delete from keyless where a is null")
            .await;
        let kind = self.kind();
        let one = match kind {
            DatabaseKind::Postgres => {
                "delete from keyless where ctid = (select min(ctid) from keyless where a = 1)"
            }
            DatabaseKind::Mysql => "delete from keyless where a = 1 limit 1",
            DatabaseKind::Sqlite => {
                "delete from keyless where rowid = (select min(rowid) from keyless where a = 1)"
            }
        };
        self.step(one).await;
        assert_eq!(
            self.target
                .database
                .number("select count(*) from keyless where a = 1")
                .await,
            2
        );
        self.step("update keyless set b = 'twins' where a = 1").await;
        logs(self.source, &["WARN", "keyless", "no primary key"]).await;
    }

    async fn statements_with_more_than_one_effect(&self, folder: &symstream_tests::folder::Folder) {
        let kind = self.kind();
        self.step(upsert(kind)).await;
        match kind {
            DatabaseKind::Postgres => {
                let file = folder.join("copied.csv");
                std::fs::write(&file, "50,copied,k50\n51,\"with, comma\",\n").expect("write a file to copy");
                self.step(&format!("copy item from '{}' (format csv)", file.display()))
                    .await;
                self.step("truncate item, pair").await;
            }
            DatabaseKind::Mysql => {
                self.step("replace into item values (1, 'replaced', 'r'), (60, 'new', 'n')")
                    .await;
                // Another unique key: two rows go, one comes.
                self.step("replace into item values (1, 'both', 'n')").await;
                logs(self.source, &["WARN", "item", "TRUNCATE fires no trigger"]).await;
                logs(self.source, &["WARN", "child", "on delete cascade"]).await;
            }
            DatabaseKind::Sqlite => {
                self.step("insert or replace into item values (1, 'replaced', 'r'), (60, 'new', 'n')")
                    .await;
                let mut conn = self.source.database.database().conn().await.expect("connection");
                let sql = "pragma recursive_triggers = on; replace into item values (1, 'both', 'n')";
                conn.execute_script(sql).await.expect("replace");
                self.same().await;
                logs(self.source, &["WARN", "item", "recursive_triggers"]).await;
            }
        }
    }

    async fn what_is_rolled_back(&self) {
        let database = &self.source.database;
        let captured = "select coalesce(max(data_id), 0) from sym_data";
        let before = database.number(captured).await;
        let mut tx = database.begin().await.expect("begin");
        tx.execute_script("insert into watched values (70, 'never'); delete from item")
            .await
            .expect("write");
        tx.rollback().await.expect("roll back");
        self.source
            .database
            .transaction(
                "insert into watched values (71, 'stays'); savepoint one;
                 insert into watched values (72, 'never'); update watched set name = 'never';
                 rollback to savepoint one; insert into watched values (73, 'after');
                 savepoint two; insert into watched values (74, 'released'); release savepoint two",
            )
            .await;
        self.same().await;
        let kept = database
            .rows(&format!("select pk_data, row_data from sym_data where table_name = 'watched' and data_id > {before} order by data_id"))
            .await;
        let kept: Vec<bool> = ["71", "73", "74"]
            .iter()
            .zip(&kept)
            .map(|(id, row)| row[1].contains(id))
            .collect();
        assert_eq!(kept, [true; 3], "{:?}", self.kind());
        let never = database
            .number("select count(*) from sym_data where row_data like '%never%'")
            .await;
        assert_eq!(never, 0, "{:?}", self.kind());
    }

    async fn triggers_of_the_application(&self) {
        let place = self.source.id();
        self.step(&format!(
            "insert into parent values (1, '{place}'), (2, '{place}')"
        ))
        .await;
        assert_eq!(self.target.database.number("select count(*) from child").await, 2);
        self.step(&format!("insert into selfish values (1, '{place}', 'quiet')"))
            .await;
        assert_eq!(
            self.target.database.rows("select name from selfish").await,
            [["QUIET"]]
        );
    }

    async fn clear(&self) {
        let all: String = ["child", "parent", "item", "pair", "keyless", "watched", "selfish"]
            .iter()
            .map(|table| format!("delete from {table};"))
            .collect();
        self.step(&all).await;
        for site in [self.source, self.target] {
            site.database.run("delete from firings").await;
        }
    }
}

#[tokio::test]
async fn what_statements_do_to_rows_arrives() {
    let tables = TABLES.iter().fold(Configuration::default(), |all, (table, _)| {
        all.table(table, "main")
    });
    let ring = Ring::start(ddl, tables).await;
    join_all(
        ring.sites
            .iter()
            .map(|site| watch(&site.database, "watched", "id", "name")),
    )
    .await;
    for (source, target) in ring.ways() {
        let way = Way { source, target };
        way.keys_that_change().await;
        way.rows_without_a_key().await;
        way.statements_with_more_than_one_effect(&ring.network.folder)
            .await;
        way.what_is_rolled_back().await;
        way.triggers_of_the_application().await;
        way.clear().await;
    }
    ring.quiet().await;
}
