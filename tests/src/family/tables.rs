//! The tables.

use crate::compare::{Part, check_equal};
use crate::configuration::Configuration;
use crate::database::TestDatabase;
use crate::eventually::eventually;
use std::time::Duration;
use symstream_shared::db::DatabaseKind;

/// The tables and their columns, parents first.
pub const PARTS: [Part<'static>; 6] = [
    part("plain", &["k", "n", "note"]),
    part("parent", &["id", "name"]),
    part("child", &["id", "parent_id", "amount"]),
    part("tree", &["id", "boss", "name"]),
    part("team", &["id", "head", "name"]),
    part("person", &["id", "team_id", "name"]),
];
/// The channels: what refers to each other is on one.
pub const CHANNELS: [&str; 2] = ["plains", "families"];

const fn part(table: &'static str, columns: &'static [&'static str]) -> Part<'static> {
    Part {
        table,
        columns,
        condition: "",
    }
}

/// Makes them.
pub fn ddl(kind: DatabaseKind) -> String {
    let tables = "create table plain (k varchar(60) primary key, n integer not null, note varchar(200));\n\
         create table parent (id integer primary key, name varchar(60));\n\
         create table child (id integer primary key, parent_id integer not null, amount integer, \
           foreign key (parent_id) references parent (id));\n\
         create table tree (id integer primary key, boss integer, name varchar(60), \
           foreign key (boss) references tree (id));\n";
    // SQLite takes a reference to a table that comes later, and adds none to one that is there.
    let circle = if kind == DatabaseKind::Sqlite {
        "create table team (id integer primary key, head integer references person (id), name varchar(60));\n\
         create table person (id integer primary key, team_id integer references team (id), name varchar(60))"
    } else {
        "create table team (id integer primary key, head integer, name varchar(60));\n\
         create table person (id integer primary key, team_id integer, name varchar(60), \
           foreign key (team_id) references team (id));\n\
         alter table team add foreign key (head) references person (id)"
    };
    format!("{tables}{circle}")
}

/// All tables over the links that `configuration` has.
pub fn configuration(configuration: Configuration) -> Configuration {
    PARTS.iter().fold(configuration, |all, part| {
        let channel = if part.table == "plain" {
            CHANNELS[0]
        } else {
            CHANNELS[1]
        };
        all.table(part.table, channel)
    })
}

/// Whether two databases hold the same.
///
/// # Errors
/// The first difference.
pub async fn equal(a: &TestDatabase, b: &TestDatabase) -> Result<usize, String> {
    let mut rows = 0;
    for part in PARTS {
        rows += check_equal(a, b, part).await?;
    }
    Ok(rows)
}

/// Waits until two databases hold the same; returns how many rows that is.
///
/// # Panics
/// With the first difference when it takes too long.
pub async fn become_equal(a: &TestDatabase, b: &TestDatabase, patience: Duration) -> usize {
    eventually(
        patience,
        format!("{} to become equal to {}", b.url(), a.url()),
        || equal(a, b),
    )
    .await
}
