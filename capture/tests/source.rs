//! A database with `sym_` tables, whose triggers a test synchronises and whose captured rows it reads.

use symstream_capture::decode::HistCache;
use symstream_capture::sync_triggers::{SyncReport, sync_triggers};
use symstream_shared::cell::Cell;
use symstream_shared::db::{DatabaseKind, DbError, Sql};
use symstream_shared::id::GroupId;
use symstream_shared::model::{Config, local_configuration};
use symstream_shared::schema::{self, Tables};
use symstream_tests::database::TestDatabase;
use symstream_tests::folder::Folder;
use symstream_tests::server::{MariaDb, PostgresServer};

/// A server of one kind; SQLite has a folder instead.
pub enum Server {
    Postgres(PostgresServer),
    Mysql(MariaDb),
    Sqlite(Folder),
}

impl Server {
    pub async fn start(kind: DatabaseKind) -> Self {
        match kind {
            DatabaseKind::Postgres => Self::Postgres(PostgresServer::start().await),
            DatabaseKind::Mysql => Self::Mysql(MariaDb::start().await),
            DatabaseKind::Sqlite => Self::Sqlite(Folder::new()),
        }
    }

    pub async fn create_database(&self, name: &str) -> TestDatabase {
        match self {
            Self::Postgres(server) => server.create_database(name).await,
            Self::Mysql(server) => server.create_database(name).await,
            Self::Sqlite(folder) => TestDatabase::sqlite(folder, name),
        }
    }
}

/// Runs `test` on a database of each kind.
pub async fn on_each(name: &str, test: impl AsyncFn(&Source)) {
    for kind in [DatabaseKind::Postgres, DatabaseKind::Mysql, DatabaseKind::Sqlite] {
        let server = Server::start(kind).await;
        test(&Source::new(server.create_database(name).await).await).await;
    }
}

/// A select that gives the names of all triggers.
pub fn names_of_triggers(kind: DatabaseKind) -> &'static str {
    match kind {
        DatabaseKind::Postgres => "select tgname::text from pg_trigger where not tgisinternal order by 1",
        DatabaseKind::Mysql => {
            "select trigger_name from information_schema.triggers where trigger_schema = database() order by 1"
        }
        DatabaseKind::Sqlite => "select name from sqlite_master where type = 'trigger' order by 1",
    }
}

/// The database and its configuration.
pub struct Source {
    pub db: TestDatabase,
    pub tables: Tables,
}

/// One captured row, decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Captured {
    pub event: String,
    pub hist_id: i64,
    pub trigger_ids: Vec<String>,
    pub columns: Vec<String>,
    pub new: Option<Vec<Cell>>,
    pub old: Option<Vec<Cell>>,
    pub key_text: Option<String>,
    pub origin: Option<String>,
}

impl Source {
    /// Creates the `sym_` tables.
    pub async fn new(db: TestDatabase) -> Self {
        let tables = Tables::default();
        schema::create(db.database(), &tables).await.expect("sym_ tables");
        db.run("insert into sym_node_group (node_group_id) values ('here'), ('there')")
            .await;
        db.run("insert into sym_node_group_link (source_node_group_id, target_node_group_id) values ('here', 'there')")
            .await;
        db.run("insert into sym_channel (channel_id) values ('default')")
            .await;
        Self { db, tables }
    }

    /// Adds a row to `sym_trigger`; `more` is `column = value, …` to set on it.
    pub async fn trigger(&self, id: &str, table: &str, more: &str) {
        let kind = self.db.kind();
        self.db
            .run(&format!(
                "insert into sym_trigger (trigger_id, source_table_name, source_node_group_id, target_node_group_id, \
                 channel_id, create_time, last_updated_time) values ('{id}', {}, 'here', 'there', 'default', {now}, {now})",
                kind.literal(table),
                now = kind.now()
            ))
            .await;
        if !more.is_empty() {
            self.db
                .run(&format!(
                    "update sym_trigger set {more} where trigger_id = '{id}'"
                ))
                .await;
        }
    }

    pub async fn config(&self) -> Config {
        let mut conn = self.db.database().conn().await.expect("connection");
        local_configuration(&mut conn, &self.tables)
            .await
            .expect("configuration")
    }

    pub async fn try_sync(&self) -> Result<SyncReport, DbError> {
        let group = GroupId::new("here").expect("group");
        sync_triggers(
            self.db.database(),
            &self.tables,
            &self.config().await,
            &group,
            false,
        )
        .await
    }

    /// Synchronises; everything has to be captured after it. Returns `trigger:reason` of what was built.
    pub async fn sync(&self) -> Vec<String> {
        let report = self.try_sync().await.expect("triggers");
        assert_eq!(report.problems, vec![], "nothing may be left out");
        report
            .built
            .iter()
            .map(|built| format!("{}:{}", built.trigger_id, built.reason))
            .collect()
    }

    /// Runs statements on one connection, which has planned them before the table is altered.
    pub async fn on_one_connection(&self, statements: &[&str]) {
        let mut conn = self.db.database().conn().await.expect("connection");
        for statement in statements {
            Sql::execute_script(&mut conn, statement)
                .await
                .unwrap_or_else(|err| panic!("{statement}: {err}"));
        }
    }

    /// What was captured, in the order of `data_id`; forgets it.
    pub async fn take(&self) -> Vec<Captured> {
        let captured = self.captured().await;
        self.db.run("delete from sym_data").await;
        captured
    }

    pub async fn captured(&self) -> Vec<Captured> {
        let config = self.config().await;
        let mut conn = self.db.database().conn().await.expect("connection");
        let select = "select event_type, trigger_hist_id, row_data, old_data, pk_data, source_node_id from sym_data \
                      order by data_id";
        let rows = self.db.database().query(select, &[]).await.expect("sym_data");
        let mut cache = HistCache::new();
        let mut captured = Vec::new();
        for row in rows {
            let hist_id = row.int(1).expect("history");
            let layout = cache
                .layout(&mut conn, &self.tables, &config, hist_id)
                .await
                .expect("history");
            let cells = |index: usize| {
                let text = row.opt_text(index).expect("text");
                text.map(|text| layout.decode(&text).unwrap_or_else(|err| panic!("{err}: {text}")))
            };
            captured.push(Captured {
                event: row.text(0).expect("event"),
                hist_id,
                trigger_ids: layout.table.trigger_ids.clone(),
                columns: layout
                    .table
                    .columns
                    .iter()
                    .map(|column| column.name.clone())
                    .collect(),
                new: cells(2),
                old: cells(3),
                key_text: row.opt_text(4).expect("key"),
                origin: row.opt_text(5).expect("origin"),
            });
        }
        captured
    }

    /// What was captured, as `event new <- old`, values in text; forgets it.
    pub async fn take_texts(&self) -> Vec<String> {
        let text = |cells: Option<Vec<Cell>>| {
            cells.map_or_else(String::new, |cells| {
                let texts: Vec<String> = cells
                    .iter()
                    .map(|cell| cell.to_text().unwrap_or_else(|| "∅".to_owned()))
                    .collect();
                texts.join("|")
            })
        };
        let take = self.take().await.into_iter();
        take.map(|row| {
            format!("{} {} <- {}", row.event, text(row.new), text(row.old))
                .trim()
                .to_owned()
        })
        .collect()
    }
}
