//! The SQL of the rules that ask the source's database: the same for captured changes, whose values come as a set of
//! rows, and for loads, whose values stand in the table.

use crate::dialect::reading::{comparable_text, compares_typed, typed};
use symstream_shared::catalog;
use symstream_shared::db::{DbError, Sql};
use symstream_shared::id::GroupId;
use symstream_shared::model::{ColumnRef, LookupRule, Subselect, SubselectPiece};
use symstream_shared::wire::{ColumnInfo, TableInfo};

/// A lookup, tied to its table.
pub(crate) struct LookupSql {
    /// The lookup table's name as the database spells it.
    pub table_name: String,
    /// The table, aliased `l`.
    pub from: String,
    /// Whether a row of `l` has the value that is looked up.
    pub condition: String,
    /// The column with the external ids, of any type.
    pub external_id: String,
}

/// The lookup of `value`, an expression that has the values of the column `key` as captured text.
pub(crate) async fn lookup(
    sql: &mut dyn Sql,
    lookup: &LookupRule,
    key: &ColumnInfo,
    value: &str,
) -> Result<LookupSql, DbError> {
    let kind = sql.kind();
    let schema = lookup.lookup_schema.as_deref();
    let table = catalog::read_table(sql, schema, &lookup.lookup_table)
        .await?
        .ok_or_else(|| DbError::unexpected(format!("lookup table {} does not exist", lookup.lookup_table)))?;
    let column = |name: &str| {
        table.column_ignoring_case(name).ok_or_else(|| {
            DbError::unexpected(format!(
                "lookup table {} has no column {name}",
                lookup.lookup_table
            ))
        })
    };
    let (lookup_key, external_id) = (
        column(&lookup.lookup_key_column)?,
        column(&lookup.external_id_column)?,
    );
    let lookup_key_name = format!("l.{}", kind.quote(&lookup_key.name));
    let condition = if key.logical == lookup_key.logical && compares_typed(kind, lookup_key.logical) {
        let name = (table.schema.as_deref(), table.name.as_str());
        format!(
            "{lookup_key_name} = {}",
            typed(sql, name, &lookup_key.name, lookup_key.logical, value).await?
        )
    } else {
        format!("{} = {value}", comparable_text(kind, &lookup_key_name))
    };
    Ok(LookupSql {
        from: format!("{} l", kind.quote_table(table.schema.as_deref(), &table.name)),
        condition,
        external_id: format!("l.{}", kind.quote(&external_id.name)),
        table_name: table.name,
    })
}

/// The condition over `c`, the table of nodes, for rows of `table`. `value` says how a column's captured text is
/// expressed, by its index.
pub(crate) async fn subselect(
    sql: &mut dyn Sql,
    subselect: &Subselect,
    target_group: &GroupId,
    table: &TableInfo,
    mut value: impl FnMut(usize, &ColumnRef) -> Result<String, DbError> + Send,
) -> Result<String, DbError> {
    let name = (table.source_schema.as_deref(), table.source_table.as_str());
    let mut condition = String::new();
    for piece in &subselect.pieces {
        match piece {
            SubselectPiece::Sql(text) => condition.push_str(text),
            SubselectPiece::TargetGroup => {
                condition.push_str(&sql.kind().literal(target_group.as_str()));
            }
            SubselectPiece::Column(reference) => {
                let (index, info) = column(table, &reference.name)?;
                let expression = value(index, reference)?;
                condition.push_str(&typed(sql, name, &info.name, info.logical, &expression).await?);
            }
        }
    }
    Ok(condition)
}

/// The captured column of that name, whatever its case.
pub(crate) fn column<'a>(table: &'a TableInfo, name: &str) -> Result<(usize, &'a ColumnInfo), DbError> {
    let columns = &table.columns;
    let exact = columns.iter().position(|column| column.name == name);
    exact
        .or_else(|| {
            columns
                .iter()
                .position(|column| column.name.to_lowercase() == name.to_lowercase())
        })
        .map(|index| (index, &columns[index]))
        .ok_or_else(|| DbError::unexpected(format!("table {} has no column {name}", table.source_table)))
}
