//! PostgreSQL: rows travel as one array of texts a column, which the server itself reads into the columns'
//! types. One statement text serves any number of rows.

use super::{Dialect, KeyedRow, Statement, Writing, all_but, key_columns, names, nulling};
use crate::target::{Target, TargetColumn};
use crate::values::{self, Unfit};
use std::borrow::Cow;
use symstream_shared::catalog::{ColumnDef, TableDef};
use symstream_shared::cell::Cell;
use symstream_shared::db::{DatabaseKind, Param};
use symstream_shared::logical::LogicalType;
use symstream_shared::schema::Tables;

pub(super) struct Postgres;

impl Dialect for Postgres {
    fn writing(&self) -> Writing {
        Writing {
            failure_ends_transaction: true,
            one_text_for_all: true,
            insert_rows_max: 5_000,
            update_rows_max: 5_000,
            delete_rows_max: 5_000,
        }
    }

    fn param(&self, column: &TargetColumn, cell: &Cell) -> Result<Param, Unfit> {
        let def = &column.def;
        match values::fit(column.source, cell, def)? {
            Cell::Null => Ok(Param::Null),
            Cell::Bytes(bytes) => Ok(Param::Bytes(bytes)),
            Cell::Int(number) => Ok(Param::Text(number.to_string())),
            Cell::Real(number) => Ok(Param::Text(values::float_text(number))),
            Cell::Text(text) => text_param(def, text),
        }
    }

    fn insert(&self, table: &Target, columns: &[usize], rows: &[Vec<Param>]) -> Statement {
        let values: Vec<&TargetColumn> = columns.iter().map(|&index| &table.columns[index]).collect();
        let overriding = if values.iter().any(|column| column.def.identity_always) {
            " overriding system value"
        } else {
            ""
        };
        let select: Vec<String> = values
            .iter()
            .enumerate()
            .map(|(place, column)| cast(&format!("v.c{place}"), &column.def))
            .collect();
        Statement {
            sql: format!(
                "insert into {} ({}){overriding} select {} from {} order by v.n",
                table.sql_name,
                names(table, columns),
                select.join(", "),
                unnest(&values),
            ),
            params: arrays(&values, rows.iter().map(Vec::as_slice)),
        }
    }

    fn update(&self, table: &Target, set: &[usize], rows: &[KeyedRow]) -> Statement {
        if let [row] = rows {
            let list: Vec<String> = set
                .iter()
                .map(|&index| {
                    let column = &table.columns[index];
                    format!("{} = {}", column.sql_name, cast("?", &column.def))
                })
                .collect();
            return Statement {
                sql: format!(
                    "update {} as t set {} where {}",
                    table.sql_name,
                    list.join(", "),
                    one(table, &row.key)
                ),
                params: row.values.iter().chain(&row.key).cloned().collect(),
            };
        }
        let columns: Vec<&TargetColumn> = set
            .iter()
            .chain(&table.key)
            .map(|&index| &table.columns[index])
            .collect();
        let list: Vec<String> = set
            .iter()
            .enumerate()
            .map(|(place, &index)| {
                let column = &table.columns[index];
                format!(
                    "{} = {}",
                    column.sql_name,
                    cast(&format!("v.c{place}"), &column.def)
                )
            })
            .collect();
        let joined: Vec<Vec<Param>> = rows
            .iter()
            .map(|row| row.values.iter().chain(&row.key).cloned().collect())
            .collect();
        Statement {
            sql: format!(
                "update {} as t set {} from {} where {}",
                table.sql_name,
                list.join(", "),
                unnest(&columns),
                same_key(table, set.len()),
            ),
            params: arrays(&columns, joined.iter().map(Vec::as_slice)),
        }
    }

    fn existing(&self, table: &Target, keys: &[Vec<Param>]) -> Option<Statement> {
        let columns: Vec<&TargetColumn> = table.key.iter().map(|&index| &table.columns[index]).collect();
        columns
            .iter()
            .all(|column| has_equality(column))
            .then(|| Statement {
                sql: format!(
                    "select v.n - 1 from {} where exists (select 1 from {} as t where {})",
                    unnest(&columns),
                    table.sql_name,
                    same_key(table, 0),
                ),
                params: arrays(&columns, keys.iter().map(Vec::as_slice)),
            })
    }

    fn overwrite(&self, table: &Target, set: &[usize], rows: &[KeyedRow]) -> Option<Statement> {
        Some(self.update(table, set, rows))
    }

    fn delete(&self, table: &Target, keys: &[Vec<Param>]) -> Statement {
        if let [key] = keys {
            return Statement {
                sql: format!("delete from {} as t where {}", table.sql_name, one(table, key)),
                params: key.clone(),
            };
        }
        let columns: Vec<&TargetColumn> = table.key.iter().map(|&index| &table.columns[index]).collect();
        Statement {
            sql: format!(
                "delete from {} as t using {} where {}",
                table.sql_name,
                unnest(&columns),
                same_key(table, 0),
            ),
            params: arrays(&columns, keys.iter().map(Vec::as_slice)),
        }
    }

    fn clear(&self, table: &Target, spared: &[Vec<Param>]) -> Statement {
        let conditions: Vec<String> = spared.iter().map(|key| matches(table, key)).collect();
        Statement {
            sql: all_but(&format!("delete from {} as t", table.sql_name), &conditions),
            params: spared.iter().flatten().cloned().collect(),
        }
    }

    fn clear_childless(&self, _table: &Target, _spared: &[Vec<Param>]) -> Option<Statement> {
        None
    }

    fn nullable_references(&self, _schema: Option<&str>, _table: &str) -> Option<Statement> {
        None
    }

    fn drop_references(&self, table: &Target, columns: &[String], spared: &[Vec<Param>]) -> Statement {
        let conditions: Vec<String> = spared.iter().map(|key| matches(table, key)).collect();
        let beginning = nulling(
            DatabaseKind::Postgres,
            &format!("{} as t", table.sql_name),
            columns,
        );
        Statement {
            sql: all_but(&beginning, &conditions),
            params: spared.iter().flatten().cloned().collect(),
        }
    }

    fn exists(&self, table: &Target, key: &[Param]) -> Statement {
        Statement {
            sql: format!(
                "select 1 from {} as t where {} limit 1",
                table.sql_name,
                matches(table, key)
            ),
            params: key.to_vec(),
        }
    }

    fn alike(&self, _table: &Target, _key: &[Param]) -> Option<Statement> {
        None
    }

    fn engine_without_transactions(&self, _table: &TableDef) -> Option<Statement> {
        // Every table of PostgreSQL takes part in transactions.
        None
    }

    fn conflict_clauses(&self, _table: &TableDef) -> Option<Statement> {
        None
    }

    fn upsert_hindrances(&self, _table: &TableDef) -> Option<Statement> {
        None
    }

    fn origin_on(&self, _tables: &Tables, origin: &str) -> Statement {
        Statement {
            sql: "select set_config('symstream.source_node', ?, true)".to_owned(),
            params: vec![origin.into()],
        }
    }

    fn origin_off(&self, _tables: &Tables) -> Option<Statement> {
        // The setting belongs to the transaction.
        None
    }
}

fn text_param(def: &ColumnDef, text: String) -> Result<Param, Unfit> {
    if text.contains('\0') {
        return Err(Unfit::new(
            "a text with a NUL character",
            "can not be stored by PostgreSQL",
        ));
    }
    match def.logical {
        LogicalType::Date | LogicalType::Timestamp | LogicalType::TimestampTz
            if values::has_zero_date(&text) =>
        {
            Err(Unfit::new(
                "a date with a zero year, month or day",
                "can not be stored by PostgreSQL",
            ))
        }
        LogicalType::Time | LogicalType::TimeTz if !values::is_within_a_day(&text) => Err(Unfit::new(
            "a time below 0 or above 24 hours",
            "can not be stored by PostgreSQL",
        )),
        // `bit(n)` takes exactly n bits; leading zeros do not change the number.
        LogicalType::Bits if def.type_name == "bit" => {
            let length = def
                .length
                .and_then(|length| usize::try_from(length).ok())
                .unwrap_or(1);
            let digits = text.trim_start_matches('0');
            Ok(Param::Text(format!("{digits:0>length$}")))
        }
        _ => Ok(Param::Text(text)),
    }
}

/// The column's type without its length: a cast to `varchar(3)` would cut a text silently, the assignment that
/// follows the cast refuses one that is too long. `"bit"` and `"bpchar"` in quotes have no length, bare ones 1.
fn cast_type(def: &ColumnDef) -> Cow<'_, str> {
    let of_the_user = matches!(
        def.logical,
        LogicalType::Enum | LogicalType::Array | LogicalType::Other
    ) || def.type_name == "citext";
    if of_the_user && !def.sql_type.contains('(') {
        Cow::Borrowed(&def.sql_type)
    } else {
        Cow::Owned(DatabaseKind::Postgres.quote(&def.type_name))
    }
}

fn cast(expression: &str, def: &ColumnDef) -> String {
    if def.logical == LogicalType::Bytes {
        expression.to_owned()
    } else {
        format!("cast({expression} as {})", cast_type(def))
    }
}

/// `unnest(?, ?) with ordinality as v(c0, c1, n)`
fn unnest(columns: &[&TargetColumn]) -> String {
    let holes = vec!["?"; columns.len()].join(", ");
    let names: String = (0..columns.len()).map(|place| format!("c{place}, ")).collect();
    format!("unnest({holes}) with ordinality as v({names}n)")
}

fn arrays<'a>(columns: &[&TargetColumn], rows: impl Iterator<Item = &'a [Param]> + Clone) -> Vec<Param> {
    columns
        .iter()
        .enumerate()
        .map(|(place, column)| {
            let cells = rows.clone().map(|row| &row[place]);
            if column.def.logical == LogicalType::Bytes {
                Param::BytesArray(
                    cells
                        .map(|cell| match cell {
                            Param::Bytes(bytes) => Some(bytes.clone()),
                            _ => None,
                        })
                        .collect(),
                )
            } else {
                Param::TextArray(
                    cells
                        .map(|cell| match cell {
                            Param::Text(text) => Some(text.clone()),
                            _ => None,
                        })
                        .collect(),
                )
            }
        })
        .collect()
}

/// The key's columns equal the values that begin at `v.c<from>`.
fn same_key(table: &Target, from: usize) -> String {
    key_columns(table)
        .map(|(place, column)| {
            let value = cast(&format!("v.c{}", from + place), &column.def);
            format!("t.{} = {value}", column.sql_name)
        })
        .collect::<Vec<_>>()
        .join(" and ")
}

/// The condition for the one row that a change is about.
fn one(table: &Target, key: &[Param]) -> String {
    if !table.whole_row {
        return matches(table, key);
    }
    format!(
        "(t.tableoid, t.ctid) = (select t.tableoid, t.ctid from {} as t where {} limit 1)",
        table.sql_name,
        matches(table, key)
    )
}

fn matches(table: &Target, key: &[Param]) -> String {
    key_columns(table)
        .map(|(place, column)| {
            let name = &column.sql_name;
            match key[place] {
                // The parameter is written out as `null`, so the places of the others stay right.
                Param::Null => format!("t.{name} is not distinct from ?"),
                _ if has_equality(column) => format!("t.{name} = {}", cast("?", &column.def)),
                _ => format!(
                    "cast(t.{name} as text) = cast({} as text)",
                    cast("?", &column.def)
                ),
            }
        })
        .collect::<Vec<_>>()
        .join(" and ")
}

/// `json`, `xml`, `point` and others have no `=`; NaN, which equals itself here, does.
fn has_equality(column: &TargetColumn) -> bool {
    !matches!(
        column.def.logical,
        LogicalType::Json | LogicalType::Other | LogicalType::Array
    )
}
