//! Emptying a table before it is loaded.

use super::sparing::{database, unknown};
use super::{Applier, ApplyError, savepoint};
use crate::own_changes::OwnChanges;
use crate::target::{Target, TargetError};
use symstream_shared::db::{DbError, Param, Sql};
use symstream_shared::wire::ClearTable;

impl Applier<'_> {
    /// Deletes a table's rows, but for those that this node has changed itself and the load does not know. A table that
    /// is not here holds none.
    ///
    /// # Errors
    /// [`ApplyError`]; the transaction has to be rolled back then.
    pub(crate) async fn clear(
        &mut self,
        sql: &mut dyn Sql,
        table: &ClearTable,
        own: &mut OwnChanges<'_>,
    ) -> Result<(), ApplyError> {
        let schema = table.schema.as_deref();
        let found = self
            .cache
            .whole_table(sql, self.dialect, schema, &table.table)
            .await;
        let target = match found {
            Ok(Some(target)) => target,
            Ok(None) => return Ok(()),
            Err(TargetError::Database(err)) => return Err(database(err)),
            Err(other) => return Err(refused(&table.table, &other.to_string(), None)),
        };
        self.origin.set(sql, &[]).await.map_err(database)?;
        let mut spared = Vec::new();
        loop {
            savepoint::LOAD.set(sql).await.map_err(database)?;
            self.clear_but(sql, &target, &spared).await?;
            let newer = self.own_keys(sql, &target, own).await?;
            if newer.len() == spared.len() {
                return savepoint::LOAD.release(sql).await.map_err(database);
            }
            savepoint::LOAD.take_back(sql, None).await.map_err(database)?;
            self.origin.set_again(sql).await.map_err(database)?;
            spared = newer;
        }
    }

    async fn clear_but(
        &mut self,
        sql: &mut dyn Sql,
        target: &Target,
        spared: &[Vec<Param>],
    ) -> Result<(), ApplyError> {
        if spared.len() * 2 * target.key.len() > sql.kind().capabilities().bind_params_max {
            let why = format!(
                "{} of its rows were changed here and are not known to the load's source; load it anew once they are",
                spared.len()
            );
            return Err(refused(&target.name, &why, None));
        }
        let statement = self.dialect.clear(target, spared);
        match sql.execute(&statement.sql, &statement.params).await {
            Ok(_) => Ok(()),
            Err(err) => Err(refused(&target.name, &err.message.clone(), Some(err))),
        }
    }

    /// The keys of the table's rows that this node has changed itself, each once.
    async fn own_keys(
        &mut self,
        sql: &mut dyn Sql,
        target: &Target,
        own: &mut OwnChanges<'_>,
    ) -> Result<Vec<Vec<Param>>, ApplyError> {
        let is_wanted = |name: &str| name == target.sql_name;
        let rows = own.rows(sql, self.cache, &is_wanted).await.map_err(unknown)?;
        let mut keys: Vec<Vec<Param>> = Vec::new();
        let mut known = std::collections::HashSet::new();
        for row in rows {
            if let Some(key) = row.key(self.dialect, target)
                && known.insert(key)
            {
                keys.extend(row.key_params(self.dialect, target));
            }
        }
        Ok(keys)
    }
}

fn refused(table: &str, why: &str, database: Option<DbError>) -> ApplyError {
    ApplyError {
        row_number: 0,
        data_id: 0,
        message: format!("table {table} is not cleared: {why}"),
        database,
    }
}
