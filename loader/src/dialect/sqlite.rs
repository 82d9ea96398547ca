//! SQLite: a value has a type of its own, and the column's affinity may change it on the way in. A value that
//! would be changed is refused here.

use super::key_text::KeyText;
use super::{Dialect, KeyedRow, Statement, Writing, key_columns, names, nulling};
use crate::target::{Target, TargetColumn};
use crate::values::{self, Number, Unfit};
use symstream_shared::catalog::TableDef;
use symstream_shared::cell::Cell;
use symstream_shared::db::{DatabaseKind, Param};
use symstream_shared::logical::LogicalType;
use symstream_shared::schema::Tables;

pub(super) struct Sqlite;

impl Dialect for Sqlite {
    fn writing(&self) -> Writing {
        Writing {
            // By `raise(rollback)`, `on conflict rollback`, a full disk.
            failure_ends_transaction: true,
            one_text_for_all: false,
            insert_rows_max: 128,
            // A statement costs no round trip here.
            update_rows_max: 1,
            delete_rows_max: 128,
        }
    }

    fn param(&self, column: &TargetColumn, cell: &Cell) -> Result<Param, Unfit> {
        let affinity = Affinity::of(&column.def.sql_type);
        match cell {
            Cell::Null => Ok(Param::Null),
            // No affinity touches binary data.
            Cell::Bytes(bytes) => Ok(Param::Bytes(bytes.clone())),
            Cell::Int(number) => affinity.integer(*number),
            Cell::Real(number) => affinity.real(*number),
            Cell::Text(text) => affinity.text(column.source, text),
        }
    }

    fn insert(&self, table: &Target, columns: &[usize], rows: &[Vec<Param>]) -> Statement {
        let row = format!("({})", vec!["?"; columns.len()].join(", "));
        Statement {
            sql: format!(
                "insert{} into {} ({}) values {}",
                or_abort(table),
                table.sql_name,
                names(table, columns),
                vec![row; rows.len()].join(", "),
            ),
            params: rows.iter().flatten().cloned().collect(),
        }
    }

    fn update(&self, table: &Target, set: &[usize], rows: &[KeyedRow]) -> Statement {
        let row = &rows[0];
        let list: Vec<String> = set
            .iter()
            .map(|&index| format!("{} = ?", table.columns[index].sql_name))
            .collect();
        Statement {
            sql: format!(
                "update{} {} set {} where {}",
                or_abort(table),
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
        let width = set.len() + table.key.len();
        let names: Vec<String> = (0..width).map(|place| format!("c{place}")).collect();
        let row = format!("({})", vec!["?"; width].join(", "));
        let list: Vec<String> = set
            .iter()
            .zip(&names)
            .map(|(&index, name)| format!("{} = v.{name}", table.columns[index].sql_name))
            .collect();
        let same: Vec<String> = key_columns(table)
            .zip(&names[set.len()..])
            .map(|((_, column), name)| {
                let column = &column.sql_name;
                format!("t.{column} = v.{name} and t.{column} = v.{name} collate binary")
            })
            .collect();
        Some(Statement {
            sql: format!(
                "with v ({}) as (values {}) update{} {} as t set {} from v where {}",
                names.join(", "),
                vec![row; rows.len()].join(", "),
                or_abort(table),
                table.sql_name,
                list.join(", "),
                same.join(" and "),
            ),
            params: rows
                .iter()
                .flat_map(|row| row.values.iter().chain(&row.key))
                .cloned()
                .collect(),
        })
    }

    fn delete(&self, table: &Target, keys: &[Vec<Param>]) -> Statement {
        self.delete_by_keys(table, keys)
    }

    fn clear(&self, table: &Target, spared: &[Vec<Param>]) -> Statement {
        self.clear_but_keys(table, spared)
    }

    fn clear_childless(&self, _table: &Target, _spared: &[Vec<Param>]) -> Option<Statement> {
        None
    }

    fn nullable_references(&self, _schema: Option<&str>, _table: &str) -> Option<Statement> {
        None
    }

    fn drop_references(&self, table: &Target, columns: &[String], spared: &[Vec<Param>]) -> Statement {
        let beginning = nulling(DatabaseKind::Sqlite, &table.sql_name, columns);
        self.all_but_keys(&beginning, table, spared)
    }

    fn exists(&self, table: &Target, key: &[Param]) -> Statement {
        self.find_by_key(table, key)
    }

    fn alike(&self, table: &Target, key: &[Param]) -> Option<Statement> {
        self.find_alike(table, key)
    }

    fn engine_without_transactions(&self, _table: &TableDef) -> Option<Statement> {
        // Every table of SQLite takes part in transactions.
        None
    }

    fn conflict_clauses(&self, table: &TableDef) -> Option<Statement> {
        let master = DatabaseKind::Sqlite.quote_table(table.schema.as_deref(), "sqlite_master");
        Some(Statement {
            sql: format!(
                "select 1 from {master} where type = 'table' and name = ? and sql like '%conflict%'"
            ),
            params: vec![table.name.as_str().into()],
        })
    }

    fn upsert_hindrances(&self, _table: &TableDef) -> Option<Statement> {
        None
    }

    fn origin_on(&self, tables: &Tables, origin: &str) -> Statement {
        // A row, because triggers see neither temporary tables nor session variables; nobody else sees it
        // before the transaction that takes it back has ended.
        Statement {
            sql: format!(
                "insert into {} (state_key, state_value) values ('loading', ?) \
                 on conflict (state_key) do update set state_value = excluded.state_value",
                tables.name("state")
            ),
            params: vec![origin.into()],
        }
    }

    fn origin_off(&self, tables: &Tables) -> Option<Statement> {
        Some(Statement {
            sql: format!("delete from {} where state_key = 'loading'", tables.name("state")),
            params: Vec::new(),
        })
    }
}

impl KeyText for Sqlite {
    fn condition(&self, table: &Target, column: &TargetColumn, param: &Param) -> String {
        let name = &column.sql_name;
        match param {
            Param::Null => format!("{name} is ?"),
            // Rows without a key are the same only if every character is.
            _ if table.whole_row => format!("{name} = ? collate binary"),
            _ => format!("{name} = ?"),
        }
    }

    /// To an index with the column's collation `a` may be `A`: a second condition tells them apart.
    fn exactly(&self, table: &Target, column: &TargetColumn, param: &Param) -> Option<String> {
        (!table.whole_row && matches!(param, Param::Text(_)))
            .then(|| format!("{} = ? collate binary", column.sql_name))
    }

    fn one(&self, table: &Target, key: &[Param]) -> String {
        if !table.whole_row {
            return self.matches(table, key);
        }
        format!(
            "rowid = (select rowid from {} where {} limit 1)",
            table.sql_name,
            self.matches(table, key)
        )
    }
}

/// Keeps `on conflict ignore` and `replace` of a constraint from dropping this row or another one. Not used where
/// there is none, because it would rule over `insert or ignore` in the table's triggers too.
fn or_abort(table: &Target) -> &'static str {
    if table.conflict_clauses { " or abort" } else { "" }
}

/// What a column does to values that are stored in it (https://www.sqlite.org/datatype3.html, 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Affinity {
    Text,
    /// Integer and numeric differ in casts only.
    Numeric,
    Real,
    Blob,
}

impl Affinity {
    fn of(declared: &str) -> Self {
        let declared = declared.to_ascii_uppercase();
        let has = |part: &str| declared.contains(part);
        if has("INT") {
            Self::Numeric
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Self::Text
        } else if has("BLOB") || declared.is_empty() {
            Self::Blob
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Self::Real
        } else {
            Self::Numeric
        }
    }

    fn integer(self, number: i64) -> Result<Param, Unfit> {
        match self {
            Self::Text => Ok(Param::Text(number.to_string())),
            Self::Numeric | Self::Blob => Ok(Param::Int(number)),
            Self::Real => values::double_from_text(&number.to_string())
                .map(Param::Real)
                .ok_or_else(|| {
                    Unfit::new(
                        "an integer",
                        "has more digits than a floating-point number of eight bytes",
                    )
                }),
        }
    }

    fn real(self, number: f64) -> Result<Param, Unfit> {
        if number.is_nan() {
            return Err(Unfit::new(
                "NaN",
                "can not be stored by SQLite, which makes it null",
            ));
        }
        match self {
            // SQLite itself would write 15 digits.
            Self::Text => Ok(Param::Text(values::float_text(number))),
            _ => Ok(Param::Real(number)),
        }
    }

    /// A text, or a typed value of another database in its canonical text.
    fn text(self, source: LogicalType, text: &str) -> Result<Param, Unfit> {
        if self == Self::Text {
            return Ok(Param::Text(text.to_owned()));
        }
        match source {
            LogicalType::Float64 | LogicalType::Float32 => match text.parse() {
                Ok(number) => self.real(number),
                Err(_) => self.as_it_is(text),
            },
            LogicalType::Bool | LogicalType::Int => match text.parse() {
                Ok(number) => self.integer(number),
                Err(_) => self.decimal(text),
            },
            LogicalType::Bits if self != Self::Blob => match i64::from_str_radix(text, 2) {
                Ok(number) => self.integer(number),
                Err(_) => Err(Unfit::new(
                    "a bit string",
                    "has no 63 bits or less, as SQLite's integers",
                )),
            },
            LogicalType::Decimal if self != Self::Blob => self.decimal(text),
            _ => self.as_it_is(text),
        }
    }

    fn decimal(self, text: &str) -> Result<Param, Unfit> {
        let Some(number) = Number::parse(text) else {
            return self.as_it_is(text);
        };
        if self == Self::Blob {
            return Ok(Param::Text(text.to_owned()));
        }
        if self == Self::Numeric
            && number.is_whole()
            && let Ok(integer) = number.plain().parse()
        {
            return Ok(Param::Int(integer));
        }
        values::double_from_text(text).map(Param::Real).ok_or_else(|| {
            Unfit::new(
                "a number",
                "has more digits than SQLite keeps in a column that is not declared TEXT or BLOB",
            )
        })
    }

    /// A text that stays one. A column of numbers would make a number of a text that looks like one.
    fn as_it_is(self, text: &str) -> Result<Param, Unfit> {
        let changed = match Number::parse(text.trim()) {
            Some(number) if self != Self::Blob => {
                number.plain() != text
                    || text.parse::<i64>().is_err() && values::double_from_text(text).is_none()
            }
            _ => false,
        };
        if changed {
            return Err(Unfit::new(
                "a text that looks like a number",
                "would be changed by a column that is not declared TEXT or BLOB",
            ));
        }
        Ok(Param::Text(text.to_owned()))
    }
}
