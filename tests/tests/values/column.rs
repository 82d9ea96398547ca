//! The columns: their types on each dialect, generated values, and how a database is asked what it holds.

use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use symstream_shared::cell::Cell;
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};

/// What a column's values mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    Int(i64, i64),
    Unsigned,
    Bool,
    Float32,
    Float64,
    Decimal,
    Text,
    Padded,
    Bytes,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Json,
    Uuid,
    Enum,
    Bits,
}

/// A column: its name, its type on PostgreSQL, MariaDB and SQLite, what it means.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub name: &'static str,
    types: [&'static str; 3],
    pub meaning: Meaning,
}

const fn column(name: &'static str, types: [&'static str; 3], meaning: Meaning) -> Column {
    Column { name, types, meaning }
}

/// All common column types; some names need quoting.
pub const COLUMNS: [Column; 21] = [
    column(
        "small",
        ["smallint", "smallint", "smallint"],
        Meaning::Int(i16::MIN as i64, i16::MAX as i64),
    ),
    column(
        "medium",
        ["integer", "int", "integer"],
        Meaning::Int(i32::MIN as i64, i32::MAX as i64),
    ),
    column(
        "big",
        ["bigint", "bigint", "bigint"],
        Meaning::Int(i64::MIN, i64::MAX),
    ),
    column("year", ["smallint", "year", "smallint"], Meaning::Int(1901, 2155)),
    column(
        "Unsigned big",
        ["numeric(20)", "bigint unsigned", "bigint"],
        Meaning::Unsigned,
    ),
    column("flag", ["boolean", "boolean", "boolean"], Meaning::Bool),
    column("single", ["real", "float", "real"], Meaning::Float32),
    column(
        "double",
        ["double precision", "double", "double"],
        Meaning::Float64,
    ),
    column(
        "exact",
        ["numeric(14,4)", "decimal(14,4)", "numeric(14,4)"],
        Meaning::Decimal,
    ),
    column(
        "short",
        ["varchar(60)", "varchar(60)", "varchar(60)"],
        Meaning::Text,
    ),
    column("long text", ["text", "longtext", "text"], Meaning::Text),
    column("padded", ["char(8)", "char(8)", "char(8)"], Meaning::Padded),
    column("bytes", ["bytea", "longblob", "blob"], Meaning::Bytes),
    column("day", ["date", "date", "date"], Meaning::Date),
    column("select", ["time", "time(6)", "time"], Meaning::Time),
    column(
        "moment",
        ["timestamp", "datetime(6)", "timestamp"],
        Meaning::Timestamp,
    ),
    column(
        "instant",
        ["timestamptz", "timestamp(6) null", "timestamp"],
        Meaning::TimestampTz,
    ),
    column("json", ["json", "json", "json"], Meaning::Json),
    column("uuid", ["uuid", "uuid", "uuid"], Meaning::Uuid),
    column(
        "colour",
        ["varchar(20)", "enum('red','green','light blue')", "varchar(20)"],
        Meaning::Enum,
    ),
    column("bits", ["bit(8)", "bit(8)", "text"], Meaning::Bits),
];

impl Column {
    /// The column's definition.
    pub fn definition(&self, kind: DatabaseKind) -> String {
        let index = match kind {
            Postgres => 0,
            Mysql => 1,
            Sqlite => 2,
        };
        format!("{} {}", kind.quote(self.name), self.types[index])
    }

    /// Values that both databases can hold.
    pub fn values(&self, between: [DatabaseKind; 2]) -> BoxedStrategy<Option<Value>> {
        let sqlite = between.contains(&Sqlite);
        let values: BoxedStrategy<Value> = match self.meaning {
            Meaning::Int(low, high) => prop_oneof![Just(low), Just(high), low..=high]
                .prop_map(|number| Value::Bare(number.to_string()))
                .boxed(),
            // SQLite's integers are signed.
            Meaning::Unsigned => prop_oneof![Just(0), Just(u64::MAX), any::<u64>()]
                .prop_map(move |number| if sqlite { number >> 1 } else { number })
                .prop_map(|number| Value::Bare(number.to_string()))
                .boxed(),
            Meaning::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
            // SQLite has doubles only: one that no single is equal to would be refused.
            Meaning::Float32 if between[0] == Sqlite => any::<i32>()
                .prop_map(|number| Value::Bare((f64::from(number >> 10) / 8.0).to_string()))
                .boxed(),
            Meaning::Float32 => (proptest::num::f32::NORMAL | proptest::num::f32::ZERO)
                .prop_map(|number| Value::Bare(format!("{:e}", number + 0.0)))
                .boxed(),
            Meaning::Float64 => (proptest::num::f64::NORMAL | proptest::num::f64::ZERO)
                .prop_map(|number| Value::Bare(format!("{:e}", number + 0.0)))
                .boxed(),
            Meaning::Decimal => (-99_999_999_999_999_i64..=99_999_999_999_999)
                .prop_map(|number| {
                    let sign = if number < 0 { "-" } else { "" };
                    let number = number.unsigned_abs();
                    Value::Bare(format!("{sign}{}.{:04}", number / 10_000, number % 10_000))
                })
                .boxed(),
            Meaning::Text => text().boxed(),
            Meaning::Padded => "[a-zA-Zäß0-9'\\\\]{1,8}".prop_map(Value::Text).boxed(),
            Meaning::Bytes => proptest::collection::vec(any::<u8>(), 0..40)
                .prop_map(Value::Bytes)
                .boxed(),
            Meaning::Date => date().prop_map(Value::Text).boxed(),
            Meaning::Time => time().prop_map(Value::Text).boxed(),
            Meaning::Timestamp => (date(), time())
                .prop_map(|(date, time)| Value::Text(format!("{date} {time}")))
                .boxed(),
            // MariaDB's timestamps lie between 1970 and 2038.
            Meaning::TimestampTz => (1971..=2037, 1..=12, 1..=28, time())
                .prop_map(|(year, month, day, time)| {
                    Value::Instant(format!("{year:04}-{month:02}-{day:02} {time}"))
                })
                .boxed(),
            Meaning::Json => prop_oneof![
                Just("{}"),
                Just("[1, 2.50, -3e10]"),
                Just("{\"b\": \"ü \\\" \\\\ \\n\",  \"a\": [true, null]}"),
                Just("\"text\"")
            ]
            .prop_map(|json| Value::Text(json.to_owned()))
            .boxed(),
            Meaning::Uuid => "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
                .prop_map(Value::Text)
                .boxed(),
            Meaning::Enum => prop_oneof![Just("red"), Just("green"), Just("light blue")]
                .prop_map(|label| Value::Text(label.to_owned()))
                .boxed(),
            Meaning::Bits => any::<u8>()
                .prop_map(|bits| Value::Bits(format!("{bits:08b}")))
                .boxed(),
        };
        proptest::option::weighted(0.85, values).boxed()
    }

    /// What to select to learn exactly what a database holds.
    pub fn question(&self, kind: DatabaseKind) -> String {
        let name = kind.quote(self.name);
        match (self.meaning, kind) {
            (Meaning::Float32 | Meaning::Float64, Postgres) => format!("{name}::float8"),
            (Meaning::Float32 | Meaning::Float64, Mysql) => format!("cast({name} as double)"),
            (Meaning::Float32 | Meaning::Float64 | Meaning::Bytes, _) => name,
            (Meaning::Bool, Postgres) => format!("{name}::int"),
            (Meaning::TimestampTz, Postgres) => format!("({name} at time zone 'UTC')::text"),
            (Meaning::Bits, Mysql) => format!("lpad(bin({name} + 0), 8, '0')"),
            _ => kind.as_text(&name),
        }
    }

    /// A database's answer without the ways in which the three write the same value differently.
    pub fn normal(&self, answer: &Cell) -> String {
        let text = match (self.meaning, answer) {
            (_, Cell::Null) => return "null".to_owned(),
            // The target may hold it as a double.
            #[allow(clippy::cast_possible_truncation)]
            (Meaning::Float32, Cell::Real(number)) => return format!("{:08x}", (*number as f32).to_bits()),
            (Meaning::Float64, Cell::Real(number)) => return format!("{:016x}", number.to_bits()),
            (_, cell) => format!(
                "{}{}",
                prefix(self.meaning, cell),
                cell.to_text().unwrap_or_default()
            ),
        };
        match self.meaning {
            Meaning::Decimal if text.contains('.') => {
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            Meaning::Padded => text.trim_end_matches(' ').to_owned(),
            Meaning::Time | Meaning::Timestamp | Meaning::TimestampTz => {
                let text = text.strip_suffix("+00").unwrap_or(&text);
                match text.split_once('.') {
                    Some((whole, fraction)) => format!("{whole}.{}", fraction.trim_end_matches('0'))
                        .trim_end_matches('.')
                        .to_owned(),
                    None => text.to_owned(),
                }
            }
            _ => text,
        }
    }
}

/// Bytes are not text of the same digits.
fn prefix(meaning: Meaning, cell: &Cell) -> &'static str {
    match (meaning, cell) {
        (Meaning::Bytes, Cell::Bytes(_)) => "0x",
        _ => "",
    }
}

/// A value to insert.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number, as SQL has it.
    Bare(String),
    Bool(bool),
    Text(String),
    Bytes(Vec<u8>),
    /// A moment in UTC.
    Instant(String),
    Bits(String),
}

impl Value {
    /// The value as SQL.
    pub fn literal(&self, kind: DatabaseKind) -> String {
        match self {
            Self::Bare(number) => number.clone(),
            Self::Bool(flag) if kind == Postgres => flag.to_string(),
            Self::Bool(flag) => u8::from(*flag).to_string(),
            Self::Text(text) => kind.literal(text),
            Self::Bytes(bytes) => {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                if kind == Postgres {
                    format!("'\\x{hex}'")
                } else {
                    format!("x'{hex}'")
                }
            }
            Self::Instant(text) if kind == Postgres => format!("'{text}+00'"),
            Self::Instant(text) => format!("'{text}'"),
            Self::Bits(bits) if kind == Sqlite => format!("'{bits}'"),
            Self::Bits(bits) => format!("b'{bits}'"),
        }
    }
}

/// Texts of all that is awkward in CSV, SQL and JSON, without the NUL that PostgreSQL has no place for.
fn text() -> impl Strategy<Value = Value> {
    let awkward = proptest::sample::select(
        "\"'\\,;\n\r\t \u{1}\u{8}\u{1b}\u{7f}\u{85}\u{a0}\u{2028}äŁ漢\u{301}\u{fffd}\u{1f980}\u{10ffff}%_?$:{}"
            .chars()
            .collect::<Vec<_>>(),
    );
    let any = any::<char>().prop_filter("PostgreSQL has no NUL", |c| *c != '\0');
    let chars = proptest::collection::vec(prop_oneof![awkward, any, proptest::char::range('a', 'z')], 0..60);
    let words = proptest::sample::select(vec![
        "", "NULL", "null", "\\N", "\"\"", "''", "0x00", "\\x00", " ", "NaN",
    ]);
    prop_oneof![
        4 => chars.prop_map(|chars| Value::Text(chars.into_iter().collect())),
        1 => words.prop_map(|word| Value::Text(word.to_owned()))
    ]
}

fn date() -> impl Strategy<Value = String> {
    (1000..=9999, 1..=12, 1..=28).prop_map(|(year, month, day)| format!("{year:04}-{month:02}-{day:02}"))
}

fn time() -> impl Strategy<Value = String> {
    let micros = prop_oneof![Just(0), Just(500_000), 0..=999_999];
    (0..=23, 0..=59, 0..=59, micros)
        .prop_map(|(hour, minute, second, micros)| format!("{hour:02}:{minute:02}:{second:02}.{micros:06}"))
}
