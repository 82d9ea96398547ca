//! References between rows that come in any order.

use super::ImportError;
use symstream_shared::db::Sql;
use symstream_shared::ddl::{self, ForeignKey, Table};

/// Looks for rows that refer to nothing: for databases that look only now, or not by themselves.
///
/// # Errors
/// The first such row.
pub(super) async fn check(sql: &mut dyn Sql, table: &str) -> Result<(), ImportError> {
    let Some(described) = ddl::read(sql, None, table).await? else {
        return Ok(());
    };
    for key in &described.table.foreign_keys {
        let query = orphan(sql, &described.table, key);
        let failed = |why: String| ImportError::Table {
            table: table.to_owned(),
            why,
        };
        let found = sql
            .query_opt(&query, &[])
            .await
            .map_err(|err| failed(err.to_string()))?;
        if let Some(row) = found {
            let values: Vec<_> = row
                .0
                .iter()
                .map(|cell| cell.to_text().unwrap_or_default())
                .collect();
            let columns: Vec<_> = key.references.iter().map(|(own, _)| own.as_str()).collect();
            return Err(failed(format!(
                "a row has {} in {}, and table {} has no such row",
                values.join(", "),
                columns.join(", "),
                key.foreign_table
            )));
        }
    }
    Ok(())
}

fn orphan(sql: &dyn Sql, table: &Table, key: &ForeignKey) -> String {
    let kind = sql.kind();
    let own: Vec<_> = key
        .references
        .iter()
        .map(|(own, _)| format!("c.{}", kind.quote(own)))
        .collect();
    let texts: Vec<_> = own.iter().map(|column| kind.as_text(column)).collect();
    let not_null: Vec<_> = own.iter().map(|column| format!("{column} is not null")).collect();
    let same: Vec<_> = key
        .references
        .iter()
        .zip(&own)
        .map(|((_, other), own)| format!("p.{} = {own}", kind.quote(other)))
        .collect();
    format!(
        "select {} from {} c where {} and not exists (select 1 from {} p where {}) limit 1",
        texts.join(", "),
        kind.quote(&table.name),
        not_null.join(" and "),
        kind.quote_table(key.foreign_schema.as_deref(), &key.foreign_table),
        same.join(" and ")
    )
}
