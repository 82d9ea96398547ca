//! Links as they stood: rows of a lookup table that were changed or deleted since a batch began.
//!
//! A batch is read some time after its transactions committed. A link that was deleted meanwhile, or in the same
//! transaction, is no longer in the lookup table, but it counted when the change was made. Where the lookup table
//! is captured itself, its former rows stand in `sym_data`.

use crate::decode::{HistCache, Layout};
use crate::error::Error;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use symstream_shared::db::{DbError, Param, Sql};
use symstream_shared::model::{Config, LookupRule};
use symstream_shared::schema::Tables;

/// The former rows of one lookup table.
pub(crate) struct FormerLinks<'a> {
    /// The names of the `sym_` tables.
    pub tables: &'a Tables,
    /// The configuration in force for the batch.
    pub config: &'a Config,
    /// The rule that looks up.
    pub lookup: &'a LookupRule,
    /// The lookup table's name as the database spells it.
    pub table_name: &'a str,
    /// The first row of `sym_data` that counts.
    pub since: i64,
}

/// Where a former row has what a lookup asks for.
struct Columns {
    layout: Arc<Layout>,
    key: usize,
    external_id: usize,
}

impl FormerLinks<'_> {
    /// Adds, for each of `keys` (text of the key, and its number in `found`), the external ids that the lookup
    /// table had for it. Former rows are read one by one; only the ids asked for are kept.
    pub(crate) async fn add(
        &self,
        sql: &mut dyn Sql,
        history: &mut HistCache,
        keys: &HashMap<String, usize>,
        found: &mut [BTreeSet<String>],
    ) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let data = self.tables.name("data");
        let condition = "data_id >= ? and event_type in ('U', 'D') and table_name = ?";
        let params = [Param::Int(self.since), Param::from(self.table_name)];
        let mut layouts = HashMap::new();
        // Mostly there are none, and the rows themselves are not touched.
        let statement = format!("select distinct trigger_hist_id from {data} where {condition}");
        for row in sql.query(&statement, &params).await? {
            let hist_id = row.int(0)?;
            let layout = history.layout(sql, self.tables, self.config, hist_id).await?;
            layouts.extend(self.columns(layout).map(|columns| (hist_id, columns)));
        }
        if layouts.is_empty() {
            return Ok(());
        }
        let statement = format!("select trigger_hist_id, old_data from {data} where {condition}");
        sql.query_each(&statement, &params, &mut |row| {
            let (Some(columns), Some(old)) = (layouts.get(&row.int(0)?), row.opt_text(1)?) else {
                return Ok(());
            };
            let cells = columns
                .layout
                .decode(&old)
                .map_err(|err| DbError::unexpected(format!("former row of {}: {err}", self.table_name)))?;
            let number = cells[columns.key]
                .to_text()
                .and_then(|key| keys.get(&key).copied());
            if let Some(set) = number.and_then(|number| found.get_mut(number)) {
                set.extend(cells[columns.external_id].to_text());
            }
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// `None` where the key or the external id was not captured.
    fn columns(&self, layout: Arc<Layout>) -> Option<Columns> {
        let place = |name: &str| {
            layout
                .table
                .columns
                .iter()
                .position(|column| column.name.to_lowercase() == name.to_lowercase())
        };
        let (key, external_id) = (
            place(&self.lookup.lookup_key_column)?,
            place(&self.lookup.external_id_column)?,
        );
        Some(Columns {
            layout,
            key,
            external_id,
        })
    }
}
