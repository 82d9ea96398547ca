//! Counts how often rows are written, with triggers of the application's own: a change that is applied twice leaves
//! the same rows behind, but not the same firings.

use crate::database::TestDatabase;
use symstream_shared::db::DatabaseKind;

const EVENTS: [(&str, &str); 3] = [("insert", "new"), ("update", "new"), ("delete", "old")];

/// Makes the table `firings` and triggers on `table` that write each row event into it: what happened, the row's
/// key, the value of `value`.
///
/// # Panics
/// When the database refuses.
pub async fn watch(database: &TestDatabase, table: &str, key: &str, value: &str) {
    for statement in statements(database.kind(), table, key, value) {
        database.run(&statement).await;
    }
}

/// The firings of one table, one list of events for each key, in their order.
///
/// # Errors
/// What the database says.
pub async fn firings(database: &TestDatabase, table: &str) -> Result<Vec<(String, Vec<String>)>, String> {
    let sql =
        format!("select row_key, event, row_value from firings where table_name = '{table}' order by id");
    let mut by_key: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
    for row in database.try_rows(&sql).await.map_err(|err| err.to_string())? {
        by_key
            .entry(row[0].clone())
            .or_default()
            .push(format!("{} {}", row[1], row[2]));
    }
    Ok(by_key.into_iter().collect())
}

fn statements(kind: DatabaseKind, table: &str, key: &str, value: &str) -> Vec<String> {
    let columns = "table_name, event, row_key, row_value";
    let insert = |event: &str, row: &str| {
        format!("insert into firings ({columns}) values ('{table}', '{event}', {row}.{key}, {row}.{value})")
    };
    let id = match kind {
        DatabaseKind::Postgres => "bigserial primary key",
        DatabaseKind::Mysql => "bigint auto_increment primary key",
        DatabaseKind::Sqlite => "integer primary key autoincrement",
    };
    let mut all = vec![format!(
        "create table if not exists firings (id {id}, table_name varchar(50), event varchar(10), \
         row_key varchar(100), row_value varchar(200))"
    )];
    for (event, row) in EVENTS {
        let name = format!("watch_{table}_{event}");
        match kind {
            DatabaseKind::Postgres => {
                let body = insert(event, row);
                all.push(format!(
                    "create function {name}() returns trigger language plpgsql as \
                     $$ begin {body}; return null; end $$"
                ));
                all.push(format!(
                    "create trigger {name} after {event} on {table} for each row execute function {name}()"
                ));
            }
            DatabaseKind::Mysql => all.push(format!(
                "create trigger {name} after {event} on {table} for each row {}",
                insert(event, row)
            )),
            DatabaseKind::Sqlite => all.push(format!(
                "create trigger {name} after {event} on {table} for each row begin {}; end",
                insert(event, row)
            )),
        }
    }
    all
}
