//! Tables that are altered while they are written: cases 7 and 8, and 34 for a column that the target lacks.

use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use symstream_shared::db::DatabaseKind;
use symstream_tests::compare::{Part, become_equal};
use symstream_tests::configuration::Configuration;
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;
use symstream_tests::network::{PATIENCE, Site};
use symstream_tests::ring::{GROUPS, NODES, ROUND, Ring};

/// How soon an `alter table` has to be noticed.
const SECONDS: Duration = Duration::from_secs(15);

/// How long the application pauses between rows.
const PACE: Duration = Duration::from_millis(5);

/// Each site alters a table of its own.
fn ddl(_: DatabaseKind) -> String {
    NODES
        .map(|node| {
            format!("create table item_{node} (id integer primary key, a varchar(50), b varchar(50));")
        })
        .concat()
}

fn configuration() -> Configuration {
    let channel = "insert into sym_channel (channel_id) values ('main')";
    ROUND.iter().fold(Configuration::default().and(channel), |all, &(from, to)| {
        let (node, from, to) = (NODES[from], GROUPS[from], GROUPS[to]);
        all.and(&format!(
            "insert into sym_trigger (trigger_id, source_table_name, source_node_group_id, target_node_group_id, \
             channel_id, create_time, last_updated_time) values ('item_{node}', 'item_{node}', '{from}', '{to}', \
             'main', current_timestamp, current_timestamp)"
        ))
    })
}

/// An application that writes all the time, whatever happens to the table, and whose statements never fail.
struct Application {
    stop: Arc<AtomicBool>,
    next: Arc<AtomicI64>,
    task: tokio::task::JoinHandle<()>,
}

impl Application {
    fn start(database: TestDatabase, table: String) -> Self {
        let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(1)));
        let (stopped, ids) = (stop.clone(), next.clone());
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                let id = ids.fetch_add(1, Ordering::Relaxed);
                let mut sql = format!(
                    "insert into {table} (id) values ({id}); update {table} set b = 'b{id}' where id = {id};"
                );
                if id % 3 == 0 {
                    sql.push_str(&format!("delete from {table} where id = {id}"));
                }
                database.run(&sql).await;
                tokio::time::sleep(PACE).await;
            }
        });
        Self { stop, next, task }
    }

    /// Waits until it has written some more rows.
    async fn writes_on(&self) {
        let until = self.next.load(Ordering::Relaxed) + 5;
        eventually(PATIENCE, "the application to go on", || async {
            if self.task.is_finished() || self.next.load(Ordering::Relaxed) >= until {
                Ok(())
            } else {
                Err("it waits")
            }
        })
        .await;
        assert!(!self.task.is_finished(), "a statement of the application failed");
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("the application");
    }
}

/// A table that is captured at `source` and written at `target`.
struct Way<'a> {
    server: &'a Site,
    source: &'a Site,
    target: &'a Site,
    table: String,
}

impl Way<'_> {
    /// `alter table …` at one end.
    async fn alter(&self, site: &Site, what: &str) {
        site.database
            .run(&format!("alter table {} {what}", self.table))
            .await;
    }

    /// Waits for the newest history of the table: its columns, and why it was made.
    async fn history(&self, columns: &str, reason: &str) {
        let what = format!("a history of {columns} at {}", self.source.id());
        let sql = "select column_names, last_trigger_build_reason from sym_trigger_hist where inactive_time is null";
        eventually(SECONDS, what, || async {
            let rows = self
                .source
                .database
                .try_rows(sql)
                .await
                .map_err(|err| err.to_string())?;
            if rows == [[columns, reason]] {
                Ok(())
            } else {
                Err(format!("{rows:?}"))
            }
        })
        .await;
    }

    /// Writes a row with a value in the column, and waits for it at the target.
    async fn goes_through(&self, id: u32, column: &str, value: &str) {
        self.write(id, column, value).await;
        self.arrives(id, column, value).await;
    }

    async fn write(&self, id: u32, column: &str, value: &str) {
        let sql = format!(
            "insert into {} (id, {column}) values ({id}, '{value}')",
            self.table
        );
        self.source.database.run(&sql).await;
    }

    async fn arrives(&self, id: u32, column: &str, value: &str) {
        let sql = format!(
            "select count(*) from {} where id = {id} and {column} = '{value}'",
            self.table
        );
        eventually(PATIENCE, format!("{value} at {}", self.target.id()), || async {
            let rows = self
                .target
                .database
                .try_rows(&sql)
                .await
                .map_err(|err| err.to_string())?;
            if rows == [["1"]] {
                Ok(())
            } else {
                Err("it is not there".to_owned())
            }
        })
        .await;
    }

    async fn added(&self, application: &Application) {
        self.alter(self.target, "add column c varchar(50)").await;
        self.alter(self.source, "add column c varchar(50) default 'from the start'")
            .await;
        application.writes_on().await;
        self.history("id,a,b,c", "S").await;
        self.goes_through(100_001, "c", "new").await;
    }

    /// The target does not know the new name. It gets that column beside the old one: a batch may have rows of before
    /// and after.
    async fn renamed(&self, application: &Application) {
        self.goes_through(100_002, "a", "before").await;
        self.alter(self.source, "rename column a to title").await;
        application.writes_on().await;
        self.history("id,title,b,c", "S").await;
        self.write(100_003, "title", "after").await;
        eventually(PATIENCE, "an error that names table and column", || async {
            let sql = "select h.sql_message from sym_incoming_batch b join sym_incoming_batch_hist h \
                       on h.batch_id = b.batch_id and h.node_id = b.node_id where b.status = 'ER' and h.status = 'ER'";
            let rows = self.target.database.try_rows(sql).await.map_err(|err| err.to_string())?;
            let is_it = |row: &Vec<String>| row[0].contains("title") && row[0].contains(&self.table);
            if rows.iter().any(is_it) { Ok(()) } else { Err(format!("{rows:?}")) }
        })
        .await;
        self.alter(self.target, "add column title varchar(50)").await;
        self.arrives(100_002, "a", "before").await;
        self.arrives(100_003, "title", "after").await;
        self.alter(self.target, "drop column a").await;
        // What was captured before it had the new name is not captured again.
        let sql = format!(
            "update {} set title = 'changed' where title is not null",
            self.table
        );
        self.source.database.run(&sql).await;
        self.arrives(100_002, "title", "changed").await;
    }

    /// First at the source. SQLite itself refuses to drop a column that a trigger names: there it is excluded before.
    async fn dropped(&self, application: &Application) {
        if self.source.database.kind() == DatabaseKind::Sqlite {
            let drop = format!("alter table {} drop column c", self.table);
            let err = self
                .source
                .database
                .try_run(&drop)
                .await
                .expect_err("SQLite drops it")
                .to_string();
            assert!(err.contains("new.c"), "{err}");
            self.exclude("'c'").await;
            self.history("id,title,b", "C").await;
            self.alter(self.source, "drop column c").await;
            self.exclude("null").await;
        } else {
            self.alter(self.source, "drop column c").await;
        }
        application.writes_on().await;
        self.history("id,title,b", "S").await;
        self.goes_through(100_004, "title", "dropped").await;
        self.alter(self.target, "drop column c").await;
    }

    async fn exclude(&self, columns: &str) {
        let sql = format!(
            "update sym_trigger set excluded_column_names = {columns} where trigger_id = '{}'",
            self.table
        );
        self.server.database.run(&sql).await;
    }

    /// SQLite's columns have no other type than their values.
    async fn widened(&self, application: &Application) {
        match self.source.database.kind() {
            DatabaseKind::Postgres => self.alter(self.source, "alter column title type text").await,
            DatabaseKind::Mysql => self.alter(self.source, "modify column title longtext").await,
            DatabaseKind::Sqlite => return,
        }
        application.writes_on().await;
        self.goes_through(100_005, "title", "wider").await;
    }
}

async fn altered_while_it_is_written(way: Way<'_>) {
    let application = Application::start(way.source.database.clone(), way.table.clone());
    application.writes_on().await;
    way.added(&application).await;
    way.renamed(&application).await;
    way.dropped(&application).await;
    way.widened(&application).await;
    application.writes_on().await;
    application.end().await;
    let part = Part {
        table: &way.table,
        columns: &["id", "title", "b"],
        condition: "",
    };
    assert!(become_equal(&way.source.database, &way.target.database, part).await > 20);
}

#[tokio::test]
async fn a_table_that_is_altered_while_it_is_written_loses_no_change() {
    let ring = Ring::start(ddl, configuration()).await;
    join_all(ring.ways().map(|(source, target)| {
        let (server, table) = (ring.server(), format!("item_{}", source.id()));
        altered_while_it_is_written(Way {
            server,
            source,
            target,
            table,
        })
    }))
    .await;
    ring.quiet().await;
}
