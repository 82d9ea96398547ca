//! Emptying tables before they are loaded.

use super::sparing::{database, unknown};
use super::{Applier, ApplyError, savepoint};
use crate::own_changes::OwnChanges;
use crate::target::{Target, TargetError};
use std::collections::HashSet;
use symstream_shared::db::{DatabaseKind, DbError, Param, Sql};
use symstream_shared::wire::ClearTable;

/// A table to be emptied.
struct Clearing {
    target: Target,
    /// Its schema and its name as they were asked for.
    schema: Option<String>,
    table: String,
    /// The keys of the rows that stay.
    spared: Vec<Vec<Param>>,
    /// Columns to be null before the rows go, where rows of a circle can not go together.
    references: Vec<String>,
}

impl Applier<'_> {
    /// Deletes the tables' rows, but for those that this node has changed itself and the load does not know. A table that
    /// is not here holds none. They come children first; those that refer to each other in a circle go together.
    ///
    /// # Errors
    /// [`ApplyError`]; the transaction has to be rolled back then.
    pub(crate) async fn clear(
        &mut self,
        sql: &mut dyn Sql,
        tables: &[ClearTable],
        own: &mut OwnChanges<'_>,
    ) -> Result<(), ApplyError> {
        let mut left = Vec::new();
        for table in tables {
            left.extend(self.clearing(sql, table).await?);
        }
        if !left.is_empty() {
            self.origin.set(sql, &[]).await.map_err(database)?;
        }
        let mut opened = false;
        while !left.is_empty() {
            let before = left.len();
            let mut referenced = Vec::new();
            let mut failure = None;
            for mut table in left {
                if let Some(err) = self.clear_table(sql, &mut table, own).await? {
                    failure.get_or_insert(refused(&table.target.name, &err.message.clone(), Some(err)));
                    referenced.push(table);
                }
            }
            match failure {
                Some(_) if referenced.len() == before && !opened => {
                    opened = true;
                    for table in &mut referenced {
                        table.references = self.references(sql, table).await?;
                    }
                    left = referenced;
                }
                Some(err) if referenced.len() == before => {
                    return self.clear_together(sql, &referenced, err).await;
                }
                _ => left = referenced,
            }
        }
        Ok(())
    }

    async fn references(&self, sql: &mut dyn Sql, table: &Clearing) -> Result<Vec<String>, ApplyError> {
        let schema = table.schema.as_deref();
        let Some(question) = self.dialect.nullable_references(schema, &table.table) else {
            return Ok(Vec::new());
        };
        let rows = sql
            .query(&question.sql, &question.params)
            .await
            .map_err(database)?;
        let names = rows.iter().map(|row| row.text(0)).collect::<Result<_, _>>();
        names.map_err(database)
    }

    async fn clearing(
        &mut self,
        sql: &mut dyn Sql,
        table: &ClearTable,
    ) -> Result<Option<Clearing>, ApplyError> {
        let schema = table.schema.as_deref();
        let found = self
            .cache
            .whole_table(sql, self.dialect, schema, &table.table)
            .await;
        match found {
            Ok(target) => Ok(target.map(|target| Clearing {
                target,
                schema: table.schema.clone(),
                table: table.table.clone(),
                spared: Vec::new(),
                references: Vec::new(),
            })),
            Err(TargetError::Database(err)) => Err(database(err)),
            Err(other) => Err(refused(&table.table, &other.to_string(), None)),
        }
    }

    /// Returns what keeps rows that others refer to.
    async fn clear_table(
        &mut self,
        sql: &mut dyn Sql,
        table: &mut Clearing,
        own: &mut OwnChanges<'_>,
    ) -> Result<Option<DbError>, ApplyError> {
        loop {
            savepoint::LOAD.set(sql).await.map_err(database)?;
            if !table.references.is_empty() {
                let Clearing {
                    target,
                    spared,
                    references,
                    ..
                } = &*table;
                let open = self.dialect.drop_references(target, references, spared);
                let opened = sql.execute(&open.sql, &open.params).await;
                opened.map_err(|err| refused(&target.name, &err.message.clone(), Some(err)))?;
            }
            let referenced = self.clear_but(sql, table).await?;
            let newer = self.own_keys(sql, &table.target, own).await?;
            if newer.len() == table.spared.len() {
                savepoint::LOAD.release(sql).await.map_err(database)?;
                return Ok(referenced);
            }
            savepoint::LOAD.take_back(sql, None).await.map_err(database)?;
            self.origin.set_again(sql).await.map_err(database)?;
            table.spared = newer;
        }
    }

    async fn clear_but(
        &mut self,
        sql: &mut dyn Sql,
        Clearing { target, spared, .. }: &Clearing,
    ) -> Result<Option<DbError>, ApplyError> {
        if spared.len() * 2 * target.key.len() > sql.kind().capabilities().bind_params_max {
            let why = format!(
                "{} of its rows were changed here and are not known to the load's source; load it anew once they are",
                spared.len()
            );
            return Err(refused(&target.name, &why, None));
        }
        let all = self.dialect.clear(target, spared);
        let childless = self.dialect.clear_childless(target, spared);
        loop {
            savepoint::RUN.set(sql).await.map_err(database)?;
            let err = match sql.execute(&all.sql, &all.params).await {
                Ok(_) => {
                    savepoint::RUN.release(sql).await.map_err(database)?;
                    return Ok(None);
                }
                Err(err) => err,
            };
            if !err.is_reference_violation(sql.kind()) {
                return Err(refused(&target.name, &err.message.clone(), Some(err)));
            }
            savepoint::RUN
                .take_back(sql, Some(&err))
                .await
                .map_err(database)?;
            let Some(childless) = &childless else {
                return Ok(Some(err));
            };
            let removed = sql.execute(&childless.sql, &childless.params).await;
            if removed.map_err(database)? == 0 {
                return Ok(Some(err));
            }
        }
    }

    /// Tables whose rows refer to each other.
    async fn clear_together(
        &mut self,
        sql: &mut dyn Sql,
        tables: &[Clearing],
        failure: ApplyError,
    ) -> Result<(), ApplyError> {
        let each = tables
            .iter()
            .map(|table| self.dialect.clear(&table.target, &table.spared));
        match sql.kind() {
            DatabaseKind::Postgres if tables.len() > 1 => {
                let mut names = Vec::new();
                let mut params = Vec::new();
                for (number, statement) in each.enumerate() {
                    names.push(format!("c{number} as ({})", statement.sql));
                    params.extend(statement.params);
                }
                let statement = format!("with {} select 1", names.join(", "));
                match sql.execute(&statement, &params).await {
                    Ok(_) => Ok(()),
                    Err(_) => Err(failure),
                }
            }
            DatabaseKind::Sqlite => {
                // Until the end of the transaction; a reference that leads nowhere then is an error.
                let later = sql.execute("pragma defer_foreign_keys = on", &[]).await;
                later.map_err(database)?;
                for statement in each {
                    sql.execute(&statement.sql, &statement.params)
                        .await
                        .map_err(database)?;
                }
                Ok(())
            }
            DatabaseKind::Postgres | DatabaseKind::Mysql => Err(failure),
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
        let mut known = HashSet::new();
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
