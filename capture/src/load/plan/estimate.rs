//! How much a load is, as far as the database knows without counting.

use super::{Planned, TableName};
use crate::dialect::reading::row_estimate;
use crate::error::Error;
use std::collections::HashMap;
use symstream_shared::db::Sql;

/// The rows of all tables, each as often as it is read. Conditions are not reckoned with, so it is rather too many.
pub(in crate::load) async fn estimate(sql: &mut dyn Sql, tables: &[Planned]) -> Result<i64, Error> {
    let mut known: HashMap<&TableName, i64> = HashMap::new();
    let mut rows = 0;
    for planned in tables {
        let count = match known.get(&planned.name) {
            Some(count) => *count,
            None => {
                let (statement, params) =
                    row_estimate(sql.kind(), planned.name.schema.as_deref(), &planned.name.name);
                let row = sql.query_opt(&statement, &params).await?;
                row.map_or(Ok(0), |row| row.int(0))?.max(0)
            }
        };
        known.insert(&planned.name, count);
        rows += count;
    }
    Ok(rows)
}
