//! MySQL and MariaDB: inserts and deletes of many rows in one statement; updates one by one, because there is
//! no other way that does not also insert.

use super::key_text::KeyText;
use super::{Dialect, KeyedRow, Statement, Writing, key_columns, names, nulling};
use crate::target::{Target, TargetColumn};
use crate::values::{self, Unfit};
use symstream_shared::catalog::{ColumnDef, TableDef};
use symstream_shared::cell::Cell;
use symstream_shared::db::{DatabaseKind, Param};
use symstream_shared::logical::LogicalType;
use symstream_shared::schema::Tables;

pub(super) struct Mysql;

impl Dialect for Mysql {
    fn writing(&self) -> Writing {
        Writing {
            failure_ends_transaction: false,
            one_text_for_all: false,
            insert_rows_max: 512,
            update_rows_max: 1,
            delete_rows_max: 256,
        }
    }

    fn param(&self, column: &TargetColumn, cell: &Cell) -> Result<Param, Unfit> {
        let def = &column.def;
        match values::fit(column.source, cell, def)? {
            Cell::Null => Ok(Param::Null),
            Cell::Bytes(bytes) => bytes_param(def, bytes),
            Cell::Int(number) => Ok(Param::Int(number)),
            Cell::Real(number) => Ok(Param::Real(number)),
            Cell::Text(text) => text_param(def, text),
        }
    }

    fn insert(&self, table: &Target, columns: &[usize], rows: &[Vec<Param>]) -> Statement {
        let values: Vec<String> = rows
            .iter()
            .map(|row| {
                let holes: Vec<&str> = columns
                    .iter()
                    .zip(row)
                    .map(|(&index, param)| hole(&table.columns[index].def, param))
                    .collect();
                format!("({})", holes.join(", "))
            })
            .collect();
        Statement {
            sql: format!(
                "insert into {} ({}) values {}",
                table.sql_name,
                names(table, columns),
                values.join(", "),
            ),
            params: rows.iter().flatten().cloned().collect(),
        }
    }

    fn update(&self, table: &Target, set: &[usize], rows: &[KeyedRow]) -> Statement {
        let row = &rows[0];
        let list: Vec<String> = set
            .iter()
            .zip(&row.values)
            .map(|(&index, param)| {
                let column = &table.columns[index];
                format!("{} = {}", column.sql_name, hole(&column.def, param))
            })
            .collect();
        Statement {
            sql: format!(
                "update {} set {} where {}",
                table.sql_name,
                list.join(", "),
                self.one(table, &row.key)
            ),
            params: row
                .values
                .iter()
                .cloned()
                .chain(self.key_params(table, &row.key))
                .collect(),
        }
    }

    fn existing(&self, table: &Target, keys: &[Vec<Param>]) -> Option<Statement> {
        Some(self.find_keys(table, keys))
    }

    fn overwrite(&self, table: &Target, set: &[usize], rows: &[KeyedRow]) -> Option<Statement> {
        if !table.upserts {
            return None;
        }
        let columns = [set, &table.key].concat();
        let values: Vec<Vec<Param>> = rows
            .iter()
            .map(|row| [row.values.as_slice(), &row.key].concat())
            .collect();
        let insert = self.insert(table, &columns, &values);
        let list: Vec<String> = set
            .iter()
            .map(|&index| {
                let name = &table.columns[index].sql_name;
                format!("{name} = values({name})")
            })
            .collect();
        Some(Statement {
            sql: format!("{} on duplicate key update {}", insert.sql, list.join(", ")),
            ..insert
        })
    }

    fn delete(&self, table: &Target, keys: &[Vec<Param>]) -> Statement {
        self.delete_by_keys(table, keys)
    }

    fn clear(&self, table: &Target, spared: &[Vec<Param>]) -> Statement {
        self.clear_but_keys(table, spared)
    }

    fn clear_childless(&self, table: &Target, spared: &[Vec<Param>]) -> Option<Statement> {
        let all = self.clear_but_keys(table, spared);
        // Row by row, and children often have the higher keys.
        let order: Vec<String> = key_columns(table)
            .map(|(_, column)| format!("{} desc", column.sql_name))
            .collect();
        Some(Statement {
            sql: format!(
                "{} order by {}",
                all.sql.replacen("delete from", "delete ignore from", 1),
                order.join(", ")
            ),
            ..all
        })
    }

    fn nullable_references(&self, schema: Option<&str>, table: &str) -> Option<Statement> {
        Some(Statement {
            sql: "select distinct k.column_name from information_schema.key_column_usage k \
                  join information_schema.columns c on c.table_schema = k.table_schema \
                  and c.table_name = k.table_name and c.column_name = k.column_name \
                  where k.table_schema = coalesce(?, database()) and k.table_name = ? \
                  and k.referenced_table_name is not null and c.is_nullable = 'YES'"
                .to_owned(),
            params: vec![schema.map(str::to_owned).into(), table.into()],
        })
    }

    fn drop_references(&self, table: &Target, columns: &[String], spared: &[Vec<Param>]) -> Statement {
        let beginning = nulling(DatabaseKind::Mysql, &table.sql_name, columns);
        self.all_but_keys(&beginning, table, spared)
    }

    fn exists(&self, table: &Target, key: &[Param]) -> Statement {
        self.find_by_key(table, key)
    }

    fn alike(&self, table: &Target, key: &[Param]) -> Option<Statement> {
        self.find_alike(table, key)
    }

    fn engine_without_transactions(&self, table: &TableDef) -> Option<Statement> {
        Some(Statement {
            sql: "select t.engine from information_schema.tables t \
                  join information_schema.engines e on e.engine = t.engine \
                  where t.table_schema = coalesce(?, database()) and t.table_name = ? \
                  and coalesce(e.transactions, 'NO') <> 'YES'"
                .to_owned(),
            params: vec![table.schema.clone().into(), table.name.as_str().into()],
        })
    }

    fn conflict_clauses(&self, _table: &TableDef) -> Option<Statement> {
        None
    }

    fn upsert_hindrances(&self, table: &TableDef) -> Option<Statement> {
        let place = [table.schema.clone().into(), table.name.as_str().into()];
        Some(Statement {
            sql: "select 1 from information_schema.statistics where table_schema = coalesce(?, database()) \
                  and table_name = ? and non_unique = 0 and index_name <> 'PRIMARY' \
                  union select 1 from information_schema.triggers where event_object_schema = coalesce(?, database()) \
                  and event_object_table = ? and event_manipulation = 'INSERT' and action_timing = 'BEFORE'"
                .to_owned(),
            params: [place.clone(), place].concat(),
        })
    }

    fn origin_on(&self, _tables: &Tables, origin: &str) -> Statement {
        Statement {
            sql: "set @symstream_source_node = ?".to_owned(),
            params: vec![origin.into()],
        }
    }

    fn origin_off(&self, _tables: &Tables) -> Option<Statement> {
        // The variable belongs to the session, which goes back to the pool.
        Some(Statement {
            sql: "set @symstream_source_node = null".to_owned(),
            params: Vec::new(),
        })
    }
}

impl KeyText for Mysql {
    fn condition(&self, table: &Target, column: &TargetColumn, param: &Param) -> String {
        let name = &column.sql_name;
        let def = &column.def;
        match (def.logical, param) {
            (_, Param::Null) => format!("{name} <=> ?"),
            // A decimal would be compared with a text as two floating-point numbers.
            (LogicalType::Decimal, _) => format!(
                "{name} = cast(? as decimal({}, {}))",
                def.precision.unwrap_or(65),
                def.scale.unwrap_or(0)
            ),
            (LogicalType::Json, _) if def.type_name == "json" => format!("{name} = cast(? as json)"),
            // Rows without a key are the same only if every character is, whatever the collation says.
            (LogicalType::Text | LogicalType::Json, _) if table.whole_row => {
                format!("convert({name} using utf8mb4) collate utf8mb4_bin = ?")
            }
            _ => format!("{name} = {}", hole(def, param)),
        }
    }

    /// To an index `a` may be `A` or, without its trailing blank, `a `: a second condition tells them apart.
    fn exactly(&self, table: &Target, column: &TargetColumn, param: &Param) -> Option<String> {
        let name = &column.sql_name;
        match (column.def.logical, param) {
            _ if table.whole_row => None,
            // Blanks at the end of a `char` are padding.
            (LogicalType::Text, Param::Text(_)) if column.def.type_name == "char" => {
                Some(format!("convert({name} using utf8mb4) collate utf8mb4_bin = ?"))
            }
            (LogicalType::Text, Param::Text(_)) => Some(format!(
                "cast(convert({name} using utf8mb4) as binary) = cast(? as binary)"
            )),
            _ => None,
        }
    }

    fn one(&self, table: &Target, key: &[Param]) -> String {
        let limit = if table.whole_row { " limit 1" } else { "" };
        format!("{}{limit}", self.matches(table, key))
    }
}

fn bytes_param(def: &ColumnDef, bytes: Vec<u8>) -> Result<Param, Unfit> {
    let length = def.length.and_then(|length| usize::try_from(length).ok());
    if def.type_name == "binary" && length.is_some_and(|length| length != bytes.len()) {
        return Err(Unfit::new(
            "binary data",
            format!(
                "has not the column's length of {} bytes, to which MySQL would pad it",
                length.unwrap_or(0)
            ),
        ));
    }
    Ok(Param::Bytes(bytes))
}

fn text_param(def: &ColumnDef, text: String) -> Result<Param, Unfit> {
    match def.logical {
        LogicalType::Int => Ok(integer(text)),
        LogicalType::Bits => match u64::from_str_radix(&text, 2) {
            Ok(number) => Ok(integer(number.to_string())),
            Err(_) if text.is_empty() => Ok(Param::Int(0)),
            Err(_) => Err(Unfit::new("a bit string", "is longer than 64 bits")),
        },
        LogicalType::Enum if is_number_of_a_label(def, &text) => Err(Unfit::new(
            "a number",
            "is none of the column's labels; MySQL would take it for a label's place",
        )),
        LogicalType::Decimal if text.ends_with(['N', 'y']) => Err(not_a_number()),
        LogicalType::Float64 => double(def, &text, text.parse().ok()),
        // As a double of the same value: MySQL would read the text as a double and compare that with the column.
        LogicalType::Float32 => double(def, &text, text.parse::<f32>().ok().map(f64::from)),
        LogicalType::Date | LogicalType::Timestamp | LogicalType::TimestampTz => moment(text),
        _ => Ok(Param::Text(text)),
    }
}

/// Whether MySQL would read the text as the place of a label of an `enum`, or as the bits of a `set`.
fn is_number_of_a_label(def: &ColumnDef, text: &str) -> bool {
    let number = text.trim();
    let digits = number.trim_start_matches(['+', '-']);
    let is_label = ["(", ","]
        .iter()
        .any(|before| def.sql_type.contains(&format!("{before}'{number}'")));
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) && !is_label
}

fn not_a_number() -> Unfit {
    Unfit::new("NaN or infinity", "can not be stored by MySQL")
}

/// As a number where 64 bits with a sign are enough; [`hole`] makes a number of a longer one.
fn integer(text: String) -> Param {
    text.parse().map_or(Param::Text(text), Param::Int)
}

fn double(def: &ColumnDef, text: &str, number: Option<f64>) -> Result<Param, Unfit> {
    let number = number
        .filter(|number| number.is_finite())
        .ok_or_else(not_a_number)?;
    let fraction = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    if def
        .scale
        .is_some_and(|scale| text.contains('e') || usize::try_from(scale).is_ok_and(|scale| fraction > scale))
        && !text.ends_with(".0")
    {
        return Err(Unfit::new(
            "a number",
            "has more digits behind the point than the column, which would round it",
        ));
    }
    Ok(Param::Real(number))
}

fn moment(text: String) -> Result<Param, Unfit> {
    if text.ends_with("infinity") {
        return Err(Unfit::new("an infinite date", "can not be stored by MySQL"));
    }
    if text.ends_with(" BC") || text.find('-').is_some_and(|year| year > 4) {
        return Err(Unfit::new(
            "a date before year 1 or after year 9999",
            "can not be stored by MySQL",
        ));
    }
    // The session's time zone is UTC.
    match text.strip_suffix("+00") {
        Some(text) => Ok(Param::Text(text.to_owned())),
        None if text.contains('+') || text.matches('-').count() > 2 => Err(Unfit::new(
            "a time with a time zone",
            "can be stored by MySQL in UTC only",
        )),
        None => Ok(Param::Text(text)),
    }
}

/// A parameter's place in a statement.
fn hole(def: &ColumnDef, param: &Param) -> &'static str {
    match (def.logical, param) {
        (LogicalType::Int | LogicalType::Bits, Param::Text(_)) => "cast(? as unsigned)",
        _ => "?",
    }
}
