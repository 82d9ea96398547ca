//! What MySQL's and MariaDB's catalogs say beyond columns and types.

use super::default::{Default, Quoting};
use super::{Details, TypeReading, decimal, length};
use crate::catalog::{ColumnDef, TableDef};
use crate::db::{DbError, Param, Sql};
use crate::ddl::column_type::ColumnType;
use crate::ddl::model::{ForeignKey, Index, ReferenceAction};

/// The parameters of each statement are the database and twice the table: `information_schema` compares names without
/// regard to case.
const DEFAULTS: &str = "select column_name, column_default, extra from information_schema.columns \
     where table_schema = ? and table_name = ? and binary table_name = binary ?";

const FOREIGN_KEYS: &str = "select k.constraint_name, k.referenced_table_schema, k.referenced_table_name, \
     r.delete_rule, r.update_rule, k.column_name, k.referenced_column_name \
     from information_schema.key_column_usage k join information_schema.referential_constraints r \
     on r.constraint_schema = k.constraint_schema and r.constraint_name = k.constraint_name \
     and r.table_name = k.table_name \
     where k.table_schema = ? and k.table_name = ? and binary k.table_name = binary ? \
     and k.referenced_table_name is not null order by k.constraint_name, k.ordinal_position";

const INDEXES: &str = "select index_name, non_unique, index_type, column_name, sub_part \
     from information_schema.statistics where table_schema = ? and table_name = ? \
     and binary table_name = binary ? and index_name <> 'PRIMARY' order by index_name, seq_in_index";

/// MariaDB's checks of a column that say that it is JSON are part of its type.
const CHECKS: &str = "select t.constraint_name, c.check_clause from information_schema.table_constraints t \
     join information_schema.check_constraints c on c.constraint_schema = t.constraint_schema \
     and c.constraint_name = t.constraint_name \
     where t.table_schema = ? and t.table_name = ? and binary t.table_name = binary ? \
     and t.constraint_type = 'CHECK' order by t.constraint_name";

pub(super) async fn details(sql: &mut dyn Sql, table: &TableDef) -> Result<Details, DbError> {
    let schema = table.schema.clone().unwrap_or_default();
    let place = [
        Param::Text(schema),
        table.name.as_str().into(),
        table.name.as_str().into(),
    ];
    let version = sql.query_opt("select version()", &[]).await?;
    let version = version.map(|row| row.text(0)).transpose()?.unwrap_or_default();
    let is_mariadb = version.contains("MariaDB");
    let mut details = Details::default();
    for row in sql.query(DEFAULTS, &place).await? {
        let (name, extra) = (row.text(0)?, row.text(2)?.to_lowercase());
        if extra.contains("on update") {
            details
                .lost
                .push(format!("column {name} no longer takes the time of each update"));
        }
        if let Some(text) = row
            .opt_text(1)?
            .filter(|_| !extra.contains("generated") || extra.contains("default_generated"))
        {
            let is_expression = is_mariadb || extra.contains("default_generated");
            details.defaults.insert(name, default(&text, is_expression));
        }
    }
    let numbered = table.columns.iter().filter(|column| column.auto_increment);
    details.auto_increment = numbered.map(|column| column.name.clone()).collect();
    foreign_keys(sql, table, &place, &mut details).await?;
    indexes(sql, table, &place, &mut details).await?;
    for row in sql.query(CHECKS, &place).await? {
        let clause = row.text(1)?;
        if !clause.to_lowercase().replace('`', "").starts_with("json_valid(") {
            details
                .lost
                .push(format!("the check {} is left out", row.text(0)?));
        }
    }
    Ok(details)
}

/// MariaDB writes an expression, MySQL the bare value unless it says that it is an expression.
fn default(text: &str, is_expression: bool) -> Default {
    if !is_expression {
        return Default::Value(text.to_owned());
    }
    // MySQL 8 keeps the character set and escapes the quotes of a text in an expression.
    let text = text.strip_prefix("_utf8mb4").unwrap_or(text);
    Default::parse(&text.replace("\\'", "'"), Quoting::Backslash)
}

async fn foreign_keys(
    sql: &mut dyn Sql,
    table: &TableDef,
    place: &[Param],
    details: &mut Details,
) -> Result<(), DbError> {
    for row in sql.query(FOREIGN_KEYS, place).await? {
        let name = row.text(0)?;
        if details
            .foreign_keys
            .last()
            .is_none_or(|key| key.name.as_ref() != Some(&name))
        {
            let schema = row.text(1)?;
            details.foreign_keys.push(ForeignKey {
                name: Some(name),
                foreign_schema: Some(schema).filter(|schema| table.schema.as_ref() != Some(schema)),
                foreign_table: row.text(2)?,
                references: Vec::new(),
                on_delete: action(&row.text(3)?),
                on_update: action(&row.text(4)?),
            });
        }
        if let Some(key) = details.foreign_keys.last_mut() {
            key.references.push((row.text(5)?, row.text(6)?));
        }
    }
    Ok(())
}

/// InnoDB knows no difference between `restrict` and `no action`, and MariaDB tells the one for the other.
fn action(rule: &str) -> Option<ReferenceAction> {
    match rule.to_ascii_uppercase().as_str() {
        "CASCADE" => Some(ReferenceAction::Cascade),
        "SET NULL" => Some(ReferenceAction::SetNull),
        "SET DEFAULT" => Some(ReferenceAction::SetDefault),
        _ => None,
    }
}

async fn indexes(
    sql: &mut dyn Sql,
    table: &TableDef,
    place: &[Param],
    details: &mut Details,
) -> Result<(), DbError> {
    let mut left_out: Option<String> = None;
    for row in sql.query(INDEXES, place).await? {
        let name = row.text(0)?;
        if left_out.as_ref() == Some(&name) {
            continue;
        }
        let (unique, column) = (row.int(1)? == 0, row.opt_text(3)?);
        let is_prefix = row.opt_int(4)?.is_some();
        // An index of a text without a length can be of its beginning only; a unique one says more than it seems to.
        let is_long = column
            .as_ref()
            .and_then(|column| table.column(column))
            .is_some_and(|column| {
                matches!(
                    column_type(column).0,
                    ColumnType::LongText | ColumnType::LongBinary
                )
            });
        let reason = if column.is_none() {
            Some("is of an expression")
        } else if row.text(2)? != "BTREE" {
            Some("is no B-tree")
        } else if is_prefix && (unique || !is_long) {
            Some("is of the beginning of a column")
        } else {
            None
        };
        if let Some(reason) = reason {
            details.indexes.retain(|index| index.name.as_ref() != Some(&name));
            details
                .lost
                .push(format!("the index {name} is left out, because it {reason}"));
            left_out = Some(name);
            continue;
        }
        if details
            .indexes
            .last()
            .is_none_or(|index| index.name.as_ref() != Some(&name))
        {
            details.indexes.push(Index {
                name: Some(name),
                unique,
                columns: Vec::new(),
            });
        }
        if let Some(index) = details.indexes.last_mut() {
            index.columns.extend(column);
        }
    }
    // The index that InnoDB made for a reference comes with the reference.
    let keys = &details.foreign_keys;
    details.indexes.retain(|index| {
        let made_for = |key: &ForeignKey| {
            key.name == index.name && key.references.iter().map(|(own, _)| own).eq(&index.columns)
        };
        index.unique || !keys.iter().any(made_for)
    });
    Ok(())
}

/// Types that are what our own statements write for a type of the format have no words of their own.
pub(super) fn column_type(column: &ColumnDef) -> TypeReading {
    use crate::logical::LogicalType;
    let own = |sql: &str| Some(sql.to_owned());
    let declared = column.sql_type.as_str();
    if column.logical == LogicalType::Json {
        return (ColumnType::LongText, own("json"));
    }
    let plain = |column_type| match column.unsigned {
        false => (column_type, None),
        true => (column_type, own(declared)),
    };
    match column.type_name.as_str() {
        // The declaration that a boolean gets, here and from most tools.
        "tinyint" if declared == "tinyint(1)" => (ColumnType::Boolean, None),
        "tinyint" if !column.unsigned => (ColumnType::Tinyint, None),
        "tinyint" => (ColumnType::Smallint, own(declared)),
        "smallint" if !column.unsigned => (ColumnType::Smallint, None),
        "smallint" | "mediumint" => (ColumnType::Integer, own(declared)),
        "int" if !column.unsigned => (ColumnType::Integer, None),
        "int" => (ColumnType::Bigint, own(declared)),
        "bigint" if !column.unsigned => (ColumnType::Bigint, None),
        "bigint" => (ColumnType::Decimal(Some((20, 0))), own(declared)),
        "year" => (ColumnType::Smallint, own(declared)),
        "decimal" => plain(ColumnType::Decimal(decimal(column))),
        "float" => plain(ColumnType::Real),
        "double" => plain(ColumnType::Double),
        "char" => match length(column.length) {
            Some(length) => (ColumnType::Char(length), None),
            None => (ColumnType::Varchar(1), own(declared)),
        },
        "varchar" => match length(column.length) {
            Some(length) => (ColumnType::Varchar(length), None),
            None => (ColumnType::Varchar(1), own(declared)),
        },
        "enum" => (
            length(column.length).map_or(ColumnType::LongText, ColumnType::Varchar),
            own(declared),
        ),
        "longtext" => (ColumnType::LongText, None),
        "binary" => (
            length(column.length).map_or(ColumnType::LongBinary, ColumnType::Binary),
            own(declared),
        ),
        "varbinary" => (
            length(column.length).map_or(ColumnType::LongBinary, ColumnType::Binary),
            None,
        ),
        "longblob" => (ColumnType::LongBinary, None),
        "date" => (ColumnType::Date, None),
        "time" if declared == "time(6)" => (ColumnType::Time, None),
        "time" => (ColumnType::Time, own(declared)),
        "datetime" if declared == "datetime(6)" => (ColumnType::Timestamp, None),
        "datetime" | "timestamp" => (ColumnType::Timestamp, own(declared)),
        "bit" => (
            length(column.length).map_or(ColumnType::LongText, ColumnType::Varchar),
            own(declared),
        ),
        "uuid" => (ColumnType::Char(36), own(declared)),
        _ if column.logical == LogicalType::Bytes => (ColumnType::LongBinary, own(declared)),
        _ => (ColumnType::LongText, own(declared)),
    }
}
