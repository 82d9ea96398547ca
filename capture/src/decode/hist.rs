//! The trigger histories that captured rows name.

use super::{DecodeError, decode_row};
use crate::dialect::capturing;
use std::collections::HashMap;
use std::sync::Arc;
use symstream_shared::catalog::ColumnDef;
use symstream_shared::cell::Cell;
use symstream_shared::csv;
use symstream_shared::db::{DatabaseKind, DbError, Row, Sql};
use symstream_shared::logical::LogicalType;
use symstream_shared::model::Config;
use symstream_shared::schema::Tables;
use symstream_shared::wire::{ColumnInfo, TableInfo};

/// Why a captured row's history is not known.
#[derive(Debug, thiserror::Error)]
pub enum HistError {
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// No row of `sym_trigger_hist` has this id.
    #[error("trigger history {0} of a captured row is missing in sym_trigger_hist")]
    Missing(i64),
    /// The row was captured after the table was altered and before its triggers were rebuilt, and no history knows
    /// the table as it was then. [`crate::sync_triggers::sync_triggers`] writes one; try again after it.
    #[error("table {table} was altered and its triggers are not rebuilt yet")]
    Altered {
        /// The table.
        table: String,
    },
    /// The history's own texts can not be read.
    #[error("trigger history {hist_id} can not be read: {why}")]
    Unreadable {
        /// The history.
        hist_id: i64,
        /// What is wrong with it.
        why: String,
    },
}

/// How the rows of one history are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The table as it travels with the rows.
    pub table: Arc<TableInfo>,
    kind: DatabaseKind,
    /// Where the text holds the whole table instead of the captured columns only: what it holds, and the places of
    /// the captured ones in it.
    whole: Option<(Vec<ColumnInfo>, Vec<usize>)>,
    /// The places of captured columns whose texts end in blanks that are padding.
    padded: Vec<usize>,
}

impl Layout {
    /// Decodes `row_data` or `old_data` into cells in the order of the table's columns.
    ///
    /// # Errors
    /// [`DecodeError`] when the text does not fit the history.
    pub fn decode(&self, text: &str) -> Result<Vec<Cell>, DecodeError> {
        let mut cells = match &self.whole {
            None => decode_row(&self.table.columns, self.kind, text)?,
            Some((columns, places)) => {
                let mut cells = decode_row(columns, self.kind, text)?;
                let take = |place: &usize| std::mem::replace(&mut cells[*place], Cell::Null);
                places.iter().map(take).collect()
            }
        };
        for place in &self.padded {
            if let Cell::Text(text) = &mut cells[*place] {
                text.truncate(text.trim_end_matches(' ').len());
            }
        }
        Ok(cells)
    }
}

/// Histories that were read, by what captured rows name. Valid for one configuration: target names and column level
/// come from it.
#[derive(Debug, Default)]
pub struct HistCache {
    layouts: HashMap<i64, Arc<Layout>>,
}

impl HistCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// The layout of rows with this `sym_data.trigger_hist_id`.
    ///
    /// # Errors
    /// [`HistError`]; [`HistError::Altered`] goes away with the next trigger synchronisation.
    pub async fn layout(
        &mut self,
        sql: &mut dyn Sql,
        tables: &Tables,
        config: &Config,
        hist_id: i64,
    ) -> Result<Arc<Layout>, HistError> {
        if let Some(layout) = self.layouts.get(&hist_id) {
            return Ok(Arc::clone(layout));
        }
        let layout = Arc::new(read(sql, tables, config, hist_id).await?);
        self.layouts.insert(hist_id, Arc::clone(&layout));
        Ok(layout)
    }
}

/// What a trigger writes into `sym_data.trigger_hist_id` while its table has another shape than its history knows:
/// both, in one negative number.
pub(crate) fn altered_hist_id(hist_id: i64, shape: i64) -> i64 {
    -(hist_id * SHAPES + shape)
}

/// Shapes are below this.
const SHAPES: i64 = 1 << 31;

/// The name in `column_types` of a text whose blanks at the end are padding. They are no part of the value: the
/// database does not compare them and drops them when it makes a text of it, a target's own column pads again, and a
/// rule that looks at the value (a lookup's key, a column that holds an external id) means what stands before them.
const PADDED_TEXT: &str = "char";

/// What `sym_trigger_hist.column_types` says of a column.
pub(crate) fn column_type(kind: DatabaseKind, column: &ColumnDef) -> &'static str {
    if capturing::is_padded(kind, column) {
        PADDED_TEXT
    } else {
        column.logical.as_str()
    }
}

async fn read(
    sql: &mut dyn Sql,
    tables: &Tables,
    config: &Config,
    hist_id: i64,
) -> Result<Layout, HistError> {
    let select = format!(
        "select trigger_hist_id, trigger_id, source_schema_name, source_table_name, column_names, pk_column_names, \
         column_types, table_columns from {}",
        tables.name("trigger_hist")
    );
    let by_id = format!("{select} where trigger_hist_id = ?");
    let known_id = if hist_id < 0 { -hist_id / SHAPES } else { hist_id };
    let mut row = sql
        .query_opt(&by_id, &[known_id.into()])
        .await?
        .ok_or(HistError::Missing(known_id))?;
    if hist_id < 0 {
        // The newest one: what a trigger captures of one shape only changes with the configuration.
        let by_shape = format!(
            "{select} where trigger_id = ? and source_table_name = ? and table_shape = ? \
             order by trigger_hist_id desc limit 1"
        );
        let params = [
            row.text(1)?.into(),
            row.text(3)?.into(),
            (-hist_id % SHAPES).into(),
        ];
        let altered = sql.query_opt(&by_shape, &params).await?;
        row = altered.ok_or(HistError::Altered { table: row.text(3)? })?;
    }
    layout(&row, sql.kind(), config, hist_id < 0)
}

fn layout(row: &Row, kind: DatabaseKind, config: &Config, is_whole: bool) -> Result<Layout, HistError> {
    let hist_id = row.int(0)?;
    let unreadable = |why: &str| HistError::Unreadable {
        hist_id,
        why: why.to_owned(),
    };
    let names = |index: usize| -> Result<Vec<String>, HistError> {
        csv::decode_names(&row.opt_text(index)?.unwrap_or_default())
            .map_err(|err| unreadable(&err.to_string()))
    };
    let types = names(6)?;
    let all = typed(&names(7)?, &types).ok_or_else(|| unreadable("column_types do not fit table_columns"))?;
    let mut columns = Vec::new();
    let mut places = Vec::new();
    let mut padded = Vec::new();
    for name in names(4)? {
        let place = all
            .iter()
            .position(|column| column.name == name)
            .ok_or_else(|| unreadable("column_names has a name that is not in table_columns"))?;
        if types[place] == PADDED_TEXT {
            padded.push(columns.len());
        }
        columns.push(all[place].clone());
        places.push(place);
    }
    let key = names(5)?
        .iter()
        .map(|name| {
            let place = columns.iter().position(|column| column.name == *name)?;
            u16::try_from(place).ok()
        })
        .collect::<Option<Vec<u16>>>()
        .ok_or_else(|| unreadable("pk_column_names has a name that is not in column_names"))?;
    let trigger_id = row.text(1)?;
    let source_table = row.text(3)?;
    let trigger = config.triggers.get(&trigger_id);
    let target_table = trigger.and_then(|trigger| trigger.target_table.clone());
    let table = TableInfo {
        hist_id,
        source_schema: row.opt_text(2)?,
        target_schema: trigger.and_then(|trigger| trigger.target_schema.clone()),
        target_table: target_table.unwrap_or_else(|| source_table.clone()),
        column_level: trigger.is_some_and(|trigger| trigger.column_level),
        trigger_ids: vec![trigger_id],
        source_table,
        columns,
        key,
    };
    let whole = is_whole.then_some((all, places));
    Ok(Layout {
        table: Arc::new(table),
        kind,
        whole,
        padded,
    })
}

fn typed(names: &[String], types: &[String]) -> Option<Vec<ColumnInfo>> {
    if names.len() != types.len() {
        return None;
    }
    names
        .iter()
        .zip(types)
        .map(|(name, column_type)| {
            let logical = match column_type.as_str() {
                PADDED_TEXT => LogicalType::Text,
                name => LogicalType::from_name(name)?,
            };
            Some(ColumnInfo {
                name: name.clone(),
                logical,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use symstream_shared::cell::Cell::{Int, Null, Text};

    fn row(columns: &str, key: &str) -> Row {
        let text = |text: &str| Text(text.to_owned());
        Row(vec![
            Int(7),
            text("items"),
            Null,
            text("item"),
            text(columns),
            text(key),
            text("int,text,bool"),
            text("id,\"a,b\",on"),
        ])
    }

    #[test]
    fn a_row_of_another_shape_gives_the_captured_columns_of_the_whole_table() {
        let config = Config::default();
        let captured = layout(&row("on,id", "id"), DatabaseKind::Postgres, &config, false).expect("layout");
        assert_eq!(captured.table.key, vec![1]);
        assert_eq!(
            captured.decode("t,5").expect("row"),
            vec![Text("1".into()), Text("5".into())]
        );
        assert!(matches!(
            captured.decode("5,x,t"),
            Err(DecodeError::FieldCount { found: 3, wanted: 2 })
        ));
        let whole = layout(&row("on,id", "id"), DatabaseKind::Postgres, &config, true).expect("layout");
        assert_eq!(
            whole.decode("5,x,t").expect("row"),
            vec![Text("1".into()), Text("5".into())]
        );
    }

    #[test]
    fn padding_is_no_part_of_a_value() {
        let config = Config::default();
        let mut row = row("on,\"a,b\"", "on");
        row.0[6] = Text("int,char,text".into());
        for (is_whole, text) in [(false, "o ,ab  "), (true, "1,ab  ,o ")] {
            let layout = layout(&row, DatabaseKind::Postgres, &config, is_whole).expect("layout");
            assert_eq!(layout.table.columns[1].logical, LogicalType::Text);
            assert_eq!(
                layout.decode(text).expect("row"),
                [Text("o ".into()), Text("ab".into())]
            );
        }
    }

    #[test]
    fn a_history_that_contradicts_itself_is_an_error() {
        let config = Config::default();
        for (columns, key) in [("id,gone", "id"), ("on", "id")] {
            let result = layout(&row(columns, key), DatabaseKind::Postgres, &config, false);
            assert!(
                matches!(result, Err(HistError::Unreadable { hist_id: 7, .. })),
                "{columns}"
            );
        }
    }
}
