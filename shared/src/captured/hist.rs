//! The trigger histories that captured rows name.

use super::altered::{difference, is_lost, lost_fields, of_shape};
use super::{DecodeError, decode_field, decode_row, value};
use crate::catalog::ColumnDef;
use crate::cell::Cell;
use crate::csv::{self, Field};
use crate::db::{DatabaseKind, DbError, Param, Row, Sql};
use crate::logical::LogicalType;
use crate::model::Config;
use crate::schema::Tables;
use crate::wire::{ColumnInfo, TableInfo};
use std::collections::HashMap;
use std::sync::Arc;

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
    /// the table as it was then. Rebuilding the triggers writes one; try again after it.
    #[error("table {table} was altered and its triggers are not rebuilt yet")]
    Altered {
        /// The table.
        table: String,
    },
    /// A column of the primary key was dropped or renamed, and the row was captured before its triggers were rebuilt:
    /// it can not be told any more which row it was.
    #[error(
        "rows of table {table} were captured without a column of their key, which was dropped or renamed; correct \
         them in sym_data (trigger_hist_id {hist_id})"
    )]
    KeyLost {
        /// What the rows name as their history.
        hist_id: i64,
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
    /// Where the text holds other fields than the columns that travel.
    written: Option<Written>,
    /// The places of captured columns whose texts end in blanks that are padding.
    padded: Vec<usize>,
}

/// What a row's text holds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    columns: Vec<ColumnInfo>,
    /// The fields that are taken, in the order of the columns that travel.
    taken: Vec<usize>,
    /// What stands in all the others, where it is always the same.
    others: Option<&'static str>,
}

impl Layout {
    /// Decodes `row_data` or `old_data` into cells in the order of the table's columns.
    ///
    /// # Errors
    /// [`DecodeError`] when the text does not fit the history.
    pub fn decode(&self, text: &str) -> Result<Vec<Cell>, DecodeError> {
        let mut cells = match &self.written {
            None => decode_row(&self.table.columns, self.kind, text)?,
            Some(written) => written.decode(self.kind, text)?,
        };
        for place in &self.padded {
            if let Cell::Text(text) = &mut cells[*place] {
                text.truncate(text.trim_end_matches(' ').len());
            }
        }
        Ok(cells)
    }
}

impl Written {
    fn decode(&self, kind: DatabaseKind, text: &str) -> Result<Vec<Cell>, DecodeError> {
        let mut fields = csv::decode(text)?;
        if fields.len() != self.columns.len() {
            return Err(DecodeError::FieldCount {
                found: fields.len(),
                wanted: self.columns.len(),
            });
        }
        if let Some(lost) = self.others {
            let fits = |(place, field): (usize, &Field)| is_lost(field, lost) != self.taken.contains(&place);
            if !fields.iter().enumerate().all(fits) {
                return Err(DecodeError::Lost);
            }
        }
        let cell = |place: &usize| {
            let field = std::mem::replace(&mut fields[*place], Field::Null);
            decode_field(&self.columns[*place], kind, field)
        };
        self.taken.iter().map(cell).collect()
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

/// The name in `column_types` of a text whose blanks at the end are padding. They are no part of the value: the
/// database does not compare them and drops them when it makes a text of it, a target's own column pads again, and a
/// rule that looks at the value (a lookup's key, a column that holds an external id) means what stands before them.
const PADDED_TEXT: &str = "char";

/// What `sym_trigger_hist.column_types` says of a column.
pub fn column_type(kind: DatabaseKind, column: &ColumnDef) -> &'static str {
    if value::is_padded(kind, column) {
        PADDED_TEXT
    } else {
        column.logical.as_str()
    }
}

/// A row of `sym_trigger_hist`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HistRow {
    pub hist_id: i64,
    /// The triggers that share the history's rows; never empty.
    pub trigger_ids: Vec<String>,
    pub source_schema: Option<String>,
    pub source_table: String,
    /// Whether it is in force no more: if it was to be replaced, it is.
    pub is_ended: bool,
    pub columns: Vec<String>,
    pub key: Vec<String>,
    /// The types of all the table's columns, and their names.
    pub types: Vec<String>,
    pub all: Vec<String>,
}

impl HistRow {
    /// The one row that meets `condition`.
    pub(super) async fn read(
        sql: &mut dyn Sql,
        tables: &Tables,
        condition: &str,
        params: &[Param],
    ) -> Result<Option<Self>, HistError> {
        let select = format!(
            "select trigger_hist_id, trigger_id, source_schema_name, source_table_name, column_names, \
             pk_column_names, column_types, table_columns, trigger_ids, \
             case when inactive_time is null then 0 else 1 end from {} where {condition}",
            tables.name("trigger_hist")
        );
        let row = sql.query_opt(&select, params).await?;
        row.map(|row| Self::of(&row)).transpose()
    }

    fn of(row: &Row) -> Result<Self, HistError> {
        let hist_id = row.int(0)?;
        let names = |index: usize| -> Result<Vec<String>, HistError> {
            csv::decode_names(&row.opt_text(index)?.unwrap_or_default()).map_err(|err| {
                HistError::Unreadable {
                    hist_id,
                    why: err.to_string(),
                }
            })
        };
        let mut trigger_ids = names(8)?;
        // A history from before several triggers could share one.
        if trigger_ids.is_empty() {
            trigger_ids.push(row.text(1)?);
        }
        Ok(Self {
            hist_id,
            trigger_ids,
            source_schema: row.opt_text(2)?,
            source_table: row.text(3)?,
            is_ended: row.int(9)? != 0,
            columns: names(4)?,
            key: names(5)?,
            types: names(6)?,
            all: names(7)?,
        })
    }
}

async fn read(
    sql: &mut dyn Sql,
    tables: &Tables,
    config: &Config,
    hist_id: i64,
) -> Result<Layout, HistError> {
    let kind = sql.kind();
    let (known_id, code) = difference(hist_id).map_or((hist_id, None), |(id, code)| (id, Some(code)));
    let by_id = "trigger_hist_id = ?";
    let known = HistRow::read(sql, tables, by_id, &[known_id.into()]).await?;
    let known = known.ok_or(HistError::Missing(known_id))?;
    match (code, value::lost_field(kind)) {
        (None, _) => layout(&known, kind, config, &Text::Captured),
        (Some(shape), None) => {
            let row = of_shape(sql, tables, known, hist_id, shape).await?;
            layout(&row, kind, config, &Text::WholeTable)
        }
        (Some(code), Some(sign)) => {
            let lost = lost_fields(sql, tables, hist_id, code, sign).await?;
            if lost.len() != known.columns.len() {
                return Err(HistError::Unreadable {
                    hist_id,
                    why: "its rows have another number of fields".to_owned(),
                });
            }
            layout(&known, kind, config, &Text::Without { hist_id, lost, sign })
        }
    }
}

/// What the text of a row holds.
enum Text {
    /// The captured columns.
    Captured,
    /// All columns of the table.
    WholeTable,
    /// The captured columns, of which some were gone, and this sign for each of them.
    Without {
        hist_id: i64,
        lost: Vec<bool>,
        sign: &'static str,
    },
}

fn layout(hist: &HistRow, kind: DatabaseKind, config: &Config, text: &Text) -> Result<Layout, HistError> {
    let unreadable = |why: &str| HistError::Unreadable {
        hist_id: hist.hist_id,
        why: why.to_owned(),
    };
    let all =
        typed(&hist.all, &hist.types).ok_or_else(|| unreadable("column_types do not fit table_columns"))?;
    let place = |name: &String| all.iter().position(|column| column.name == *name);
    let captured = hist
        .columns
        .iter()
        .map(place)
        .collect::<Option<Vec<usize>>>()
        .ok_or_else(|| unreadable("column_names has a name that is not in table_columns"))?;
    let place_in_key = |name: &String| hist.columns.iter().position(|column| column == name);
    let mut key = hist
        .key
        .iter()
        .map(place_in_key)
        .collect::<Option<Vec<usize>>>()
        .ok_or_else(|| unreadable("pk_column_names has a name that is not in column_names"))?;
    // The places in the captured row of what travels.
    let mut taken: Vec<usize> = (0..captured.len()).collect();
    let written = match text {
        Text::Captured => None,
        Text::WholeTable => Some(Written {
            columns: all.clone(),
            taken: captured.clone(),
            others: None,
        }),
        Text::Without { hist_id, lost, sign } => {
            let has_no_key = key.len() == captured.len();
            taken.retain(|place| !lost[*place]);
            if !has_no_key && key.iter().any(|place| lost[*place]) {
                return Err(HistError::KeyLost {
                    hist_id: *hist_id,
                    table: hist.source_table.clone(),
                });
            }
            key.retain(|place| !lost[*place]);
            Some(Written {
                columns: captured.iter().map(|place| all[*place].clone()).collect(),
                taken: taken.clone(),
                others: Some(*sign),
            })
        }
    };
    let is_padded = |place: &usize| hist.types[captured[taken[*place]]] == PADDED_TEXT;
    let padded = (0..taken.len()).filter(is_padded).collect();
    let key = key
        .iter()
        .map(|place| u16::try_from(taken.iter().position(|taken| taken == place)?).ok())
        .collect::<Option<Vec<u16>>>()
        .ok_or_else(|| unreadable("it has too many columns"))?;
    let trigger = config.triggers.get(&hist.trigger_ids[0]);
    let table = TableInfo {
        hist_id: hist.hist_id,
        trigger_ids: hist.trigger_ids.clone(),
        source_schema: hist.source_schema.clone(),
        source_table: hist.source_table.clone(),
        target_schema: trigger.and_then(|trigger| trigger.target_schema.clone()),
        target_table: trigger
            .and_then(|trigger| trigger.target_table.clone())
            .unwrap_or_else(|| hist.source_table.clone()),
        columns: taken.iter().map(|place| all[captured[*place]].clone()).collect(),
        key,
        column_level: trigger.is_some_and(|trigger| trigger.column_level),
    };
    Ok(Layout {
        table: Arc::new(table),
        kind,
        written,
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
    use crate::cell::Cell::{Int, Null, Text};

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
            Null,
            Int(0),
        ])
    }

    fn layout_of(row: &Row, text: &super::Text) -> Result<Layout, HistError> {
        layout(
            &HistRow::of(row)?,
            DatabaseKind::Postgres,
            &Config::default(),
            text,
        )
    }

    #[test]
    fn a_row_of_another_shape_gives_the_captured_columns_of_the_whole_table() {
        let captured = layout_of(&row("on,id", "id"), &super::Text::Captured).expect("layout");
        assert_eq!(captured.table.key, vec![1]);
        assert_eq!(
            captured.decode("t,5").expect("row"),
            vec![Text("1".into()), Text("5".into())]
        );
        assert!(matches!(
            captured.decode("5,x,t"),
            Err(DecodeError::FieldCount { found: 3, wanted: 2 })
        ));
        let whole = layout_of(&row("on,id", "id"), &super::Text::WholeTable).expect("layout");
        assert_eq!(
            whole.decode("5,x,t").expect("row"),
            vec![Text("1".into()), Text("5".into())]
        );
    }

    #[test]
    fn padding_is_no_part_of_a_value() {
        let mut row = row("on,\"a,b\"", "on");
        row.0[6] = Text("int,char,text".into());
        for (holds, text) in [
            (super::Text::Captured, "o ,ab  "),
            (super::Text::WholeTable, "1,ab  ,o "),
        ] {
            let layout = layout_of(&row, &holds).expect("layout");
            assert_eq!(layout.table.columns[1].logical, LogicalType::Text);
            assert_eq!(
                layout.decode(text).expect("row"),
                [Text("o ".into()), Text("ab".into())]
            );
        }
    }

    #[test]
    fn a_history_that_contradicts_itself_is_an_error() {
        for (columns, key) in [("id,gone", "id"), ("on", "id")] {
            let result = layout_of(&row(columns, key), &super::Text::Captured);
            assert!(
                matches!(result, Err(HistError::Unreadable { hist_id: 7, .. })),
                "{columns}"
            );
        }
    }
}
