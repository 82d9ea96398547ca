//! What the tables hold before anybody writes.

use super::POOL;
use crate::database::TestDatabase;

/// Rows of one statement.
const PIECE: usize = 200;

/// How many rows each table gets.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Of `plain`.
    pub plain: u32,
    /// Of `parent`, `tree`, `team` and `person`; `child` has three times as many.
    pub families: u32,
}

/// Fills a pool's tables.
///
/// # Panics
/// When the database refuses.
pub async fn fill(database: &TestDatabase, pool: u32, sizes: Sizes) {
    let first = pool * POOL;
    let ids = || first..first + sizes.families;
    insert(
        database,
        "plain",
        (0..sizes.plain).map(|n| format!("'{pool}-{n}', {n}, 'first'")),
    )
    .await;
    insert(database, "parent", ids().map(|id| format!("{id}, 'parent {id}'"))).await;
    let child = |n: u32| format!("{}, {}, {n}", first + n, first + n / 3);
    insert(database, "child", (0..3 * sizes.families).map(child)).await;
    // The boss of a row has a higher id as often as a lower one.
    insert(
        database,
        "tree",
        ids().map(|id| format!("{id}, null, 'tree {id}'")),
    )
    .await;
    insert(
        database,
        "team",
        ids().map(|id| format!("{id}, null, 'team {id}'")),
    )
    .await;
    insert(
        database,
        "person",
        ids().map(|id| format!("{id}, {id}, 'person {id}'")),
    )
    .await;
    if sizes.families > 0 {
        let other = format!("{first} + (id * 7 + 3) % {}", sizes.families);
        let own = format!("id between {first} and {}", first + sizes.families - 1);
        database
            .transaction(&format!(
                "update tree set boss = {other} where {own} and id % 4 > 0;\n\
                 update team set head = {other} where {own}"
            ))
            .await;
    }
}

async fn insert(database: &TestDatabase, table: &str, rows: impl Iterator<Item = String>) {
    let rows: Vec<String> = rows.map(|row| format!("({row})")).collect();
    for piece in rows.chunks(PIECE) {
        database
            .run(&format!("insert into {table} values {}", piece.join(",")))
            .await;
    }
}
