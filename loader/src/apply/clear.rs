//! Emptying a table before it is loaded.

use super::{Applier, ApplyError};
use symstream_shared::db::Sql;
use symstream_shared::wire::ClearTable;

impl Applier<'_> {
    /// Deletes a table's rows. A table that is not here holds none.
    ///
    /// # Errors
    /// [`ApplyError`]; the transaction has to be rolled back then.
    pub(crate) async fn clear(&mut self, sql: &mut dyn Sql, table: &ClearTable) -> Result<(), ApplyError> {
        let name = match &table.schema {
            Some(schema) => format!("{schema}.{}", table.table),
            None => table.table.clone(),
        };
        let failed = |err: symstream_shared::db::DbError| ApplyError {
            row_number: 0,
            data_id: 0,
            message: format!("table {name} is not cleared: {}", err.message),
            database: Some(err),
        };
        let found = symstream_shared::catalog::read_table(sql, table.schema.as_deref(), &table.table)
            .await
            .map_err(failed)?;
        let Some(def) = found else { return Ok(()) };
        self.origin.set(sql, &[]).await.map_err(failed)?;
        let statement = format!(
            "delete from {}",
            sql.kind().quote_table(def.schema.as_deref(), &def.name)
        );
        sql.execute(&statement, &[]).await.map_err(failed)?;
        Ok(())
    }
}
