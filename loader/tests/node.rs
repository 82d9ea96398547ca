//! A target database with its `sym_` tables, and batches made by hand.

use symstream_loader::{BatchKey, BatchLoader, Content, LoadError};
use symstream_shared::cell::Cell;
use symstream_shared::db::DatabaseKind;
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::logical::LogicalType;
use symstream_shared::schema::{self, Tables};
use symstream_shared::wire::{BatchResult, Change, ColumnInfo, LanePart, Operation, Rows, TableInfo};
use symstream_tests::database::TestDatabase;
use symstream_tests::folder::Folder;
use symstream_tests::server::{MariaDb, PostgresServer};

/// What a node's database lives on; dropped behind it.
pub enum Host {
    Postgres(#[allow(dead_code)] PostgresServer),
    Mariadb(#[allow(dead_code)] MariaDb),
    Folder(#[allow(dead_code)] Folder),
}

impl Host {
    /// An empty database of a server of its own.
    pub async fn start(kind: DatabaseKind) -> (Self, TestDatabase) {
        match kind {
            DatabaseKind::Postgres => {
                let server = PostgresServer::start().await;
                let db = server.create_database("target").await;
                (Self::Postgres(server), db)
            }
            DatabaseKind::Mysql => {
                let server = MariaDb::start().await;
                let db = server.create_database("target").await;
                (Self::Mariadb(server), db)
            }
            DatabaseKind::Sqlite => {
                let folder = Folder::new();
                let db = TestDatabase::sqlite(&folder, "target");
                (Self::Folder(folder), db)
            }
        }
    }
}

pub struct Node {
    pub db: TestDatabase,
    pub loader: BatchLoader,
    pub position: i64,
    _host: Host,
}

pub const KINDS: [DatabaseKind; 3] = [DatabaseKind::Postgres, DatabaseKind::Mysql, DatabaseKind::Sqlite];

impl Node {
    pub async fn start(kind: DatabaseKind) -> Self {
        let (host, db) = Host::start(kind).await;
        let tables = Tables::default();
        schema::create(db.database(), &tables).await.expect("sym_ tables");
        db.run("insert into sym_incoming_lane (source_node_id, channel_id, batch_id, attempt_count) values ('cloud', 'default', 0, 0)").await;
        let channel = ChannelId::new("default").expect("id");
        Self {
            loader: BatchLoader::new(db.database().clone(), tables, &channel, "here".into()),
            db,
            position: 0,
            _host: host,
        }
    }

    /// Loads the next batch of the lane.
    pub async fn load(&mut self, rows: Rows) -> Result<BatchResult, LoadError> {
        let key = self.next_key();
        let part = part(&key, 1, 1, rows);
        let result = self.loader.load(&key, &Content::Message(&part, 0)).await;
        if result.is_ok() {
            self.position = key.batch_id;
        }
        result
    }

    pub fn next_key(&self) -> BatchKey {
        BatchKey {
            source: source(),
            batch_id: self.position + 2,
            previous: self.position,
        }
    }

    pub async fn rows(&self, sql: &str) -> Vec<String> {
        self.db
            .rows(sql)
            .await
            .into_iter()
            .map(|row| row.join("|"))
            .collect()
    }
}

pub fn source() -> NodeId {
    NodeId::new("cloud").expect("id")
}

pub fn part(key: &BatchKey, number: u32, last: u32, rows: Rows) -> LanePart {
    LanePart {
        load: None,
        after_load: None,
        broadcast: false,
        source: key.source.clone(),
        target: NodeId::new("shop").expect("id"),
        channel: ChannelId::new("default").expect("id"),
        batch_id: key.batch_id,
        previous_batch_id: key.previous,
        part: number,
        part_last: last,
        parts: if number == last {
            (1..=last).collect()
        } else {
            vec![]
        },
        change_count: 0,
        rows,
        statement: None,
    }
}

pub fn table(name: &str, columns: &[(&str, LogicalType)], key: &[u16]) -> TableInfo {
    TableInfo {
        hist_id: 1,
        trigger_ids: vec![name.into()],
        source_schema: None,
        source_table: name.into(),
        target_schema: None,
        target_table: name.into(),
        columns: columns
            .iter()
            .map(|&(name, logical)| ColumnInfo {
                name: name.into(),
                logical,
            })
            .collect(),
        key: key.to_vec(),
        column_level: false,
    }
}

/// A batch that is a statement.
pub fn statement(key: &BatchKey, sql: &str) -> LanePart {
    LanePart {
        statement: Some(sql.to_owned()),
        ..part(key, 1, 1, Rows::default())
    }
}

/// `item(id, name)` with the key `id`.
pub fn item() -> TableInfo {
    table(
        "item",
        &[("id", LogicalType::Int), ("name", LogicalType::Text)],
        &[0],
    )
}

pub const CREATE_ITEM: &str = "create table item (id int primary key, name varchar(10) not null)";

pub fn cells(values: &[&str]) -> Vec<Cell> {
    values
        .iter()
        .map(|value| {
            if *value == "∅" {
                Cell::Null
            } else {
                Cell::Text((*value).into())
            }
        })
        .collect()
}

fn change(operation: Operation, old: Option<Vec<Cell>>, new: Option<Vec<Cell>>) -> Change {
    Change {
        data_id: 0,
        table: 0,
        operation,
        new,
        old,
        path: Vec::new(),
    }
}

pub fn insert(new: &[&str]) -> Change {
    change(Operation::Insert, None, Some(cells(new)))
}

pub fn update(old: &[&str], new: &[&str]) -> Change {
    change(Operation::Update, Some(cells(old)), Some(cells(new)))
}

pub fn delete(old: &[&str]) -> Change {
    change(Operation::Delete, Some(cells(old)), None)
}

/// Changes of one table, numbered from 101.
pub fn rows(table: TableInfo, changes: Vec<Change>) -> Rows {
    Rows {
        tables: vec![table],
        changes: changes
            .into_iter()
            .zip(101..)
            .map(|(change, data_id)| Change { data_id, ..change })
            .collect(),
    }
}
