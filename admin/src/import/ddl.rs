//! The SQL that makes tables.

use super::dialect::{AutoIncrement, Dialect};
use super::model::{Column, ColumnType, ForeignKey, Index, Table};

/// Statements that make tables, in the order in which they have to run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statements {
    /// One for each table, in its place.
    pub tables: Vec<String>,
    /// What can only be made when all tables are there, with the table it belongs to.
    pub after: Vec<(String, String)>,
}

/// The statements for `tables`.
///
/// # Errors
/// What the database has no equivalent for, with the table's and the column's names.
pub(super) fn create(dialect: &dyn Dialect, tables: &[&Table], all: &[Table]) -> Result<Statements, String> {
    let mut statements = Statements {
        tables: Vec::new(),
        after: Vec::new(),
    };
    for table in tables {
        statements.tables.push(create_table(dialect, table, all)?);
        if !dialect.inline_indexes() {
            let indexes = table.indexes.iter().filter(|index| !index.unique);
            let indexes = indexes.map(|index| (table.name.clone(), create_index(dialect, table, index)));
            statements.after.extend(indexes);
        }
        if !dialect.inline_foreign_keys() {
            let name = dialect.kind().quote(&table.name);
            let keys = table.foreign_keys.iter();
            let keys = keys.map(|key| format!("alter table {name} add {}", foreign_key(dialect, key)));
            statements
                .after
                .extend(keys.map(|statement| (table.name.clone(), statement)));
        }
    }
    Ok(statements)
}

fn create_table(dialect: &dyn Dialect, table: &Table, all: &[Table]) -> Result<String, String> {
    let mut parts = Vec::new();
    let mut key_is_defined = false;
    for column in &table.columns {
        let (definition, is_key) =
            column_definition(dialect, table, column, is_in_key(table, column, all))
                .map_err(|why| format!("column {} of table {}: {why}", column.name, table.name))?;
        parts.push(definition);
        key_is_defined |= is_key;
    }
    let key: Vec<_> = table.primary_key().map(|column| column.name.as_str()).collect();
    if !key.is_empty() && !key_is_defined {
        parts.push(format!("primary key ({})", names(dialect, key)));
    }
    for index in table.indexes.iter().filter(|index| index.unique) {
        let name = index.name.as_ref().map_or(String::new(), |name| {
            format!("constraint {} ", quote(dialect, name))
        });
        parts.push(format!(
            "{name}unique ({})",
            names(dialect, index.columns.iter().map(String::as_str))
        ));
    }
    if dialect.inline_indexes() {
        let indexes = table.indexes.iter().filter(|index| !index.unique);
        parts.extend(indexes.map(|index| {
            format!(
                "index {} ({})",
                quote(dialect, &index_name(table, index)),
                index_columns(dialect, table, index)
            )
        }));
    }
    if dialect.inline_foreign_keys() {
        parts.extend(table.foreign_keys.iter().map(|key| foreign_key(dialect, key)));
    }
    let name = quote(dialect, &table.name);
    Ok(format!(
        "create table {name} (\n  {}\n){}",
        parts.join(",\n  "),
        dialect.table_options()
    ))
}

/// The column's definition, and whether it makes the column the primary key.
fn column_definition(
    dialect: &dyn Dialect,
    table: &Table,
    column: &Column,
    in_key: bool,
) -> Result<(String, bool), String> {
    let name = quote(dialect, &column.name);
    let mut suffix = "";
    if column.auto_increment {
        match dialect.auto_increment(table)? {
            AutoIncrement::Definition(definition) => return Ok((format!("{name}{definition}"), true)),
            AutoIncrement::Suffix(text) => suffix = text,
        }
    }
    let type_name = dialect.type_name(column.column_type, in_key)?;
    let default = match &column.default {
        Some(default) => format!(
            " default {}",
            default_value(dialect, column.column_type, default)?
        ),
        None => String::new(),
    };
    let not_null = if column.required || column.primary_key {
        " not null"
    } else {
        ""
    };
    Ok((format!("{name} {type_name}{default}{not_null}{suffix}"), false))
}

/// A default, which the format writes without quotes, as SQL.
fn default_value(dialect: &dyn Dialect, column_type: ColumnType, text: &str) -> Result<String, String> {
    if column_type == ColumnType::Boolean {
        return boolean(text)
            .map(|value| dialect.boolean(value).to_owned())
            .ok_or_else(|| format!("the default {text:?} is neither true nor false"));
    }
    if column_type.is_number() {
        return match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(text.trim().to_owned()),
            _ => Err(format!("the default {text:?} is no number")),
        };
    }
    let is_time = matches!(
        column_type,
        ColumnType::Date | ColumnType::Time | ColumnType::Timestamp
    );
    let word = text.trim().trim_end_matches("()").to_ascii_lowercase();
    if is_time
        && matches!(
            word.as_str(),
            "current_timestamp" | "current_date" | "current_time" | "now"
        )
    {
        return Ok(dialect.default_now(column_type).to_owned());
    }
    let literal = match column_type {
        ColumnType::Binary(_) | ColumnType::LongBinary => dialect.bytes(text.as_bytes()),
        _ => dialect.kind().literal(text),
    };
    Ok(dialect.default_literal(column_type, literal))
}

/// Reads a boolean as the format and its exporters write it.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "t" => Some(true),
        "0" | "false" | "f" => Some(false),
        _ => None,
    }
}

/// Whether a key, a unique index or a foreign key of any table uses the column: the types at both ends of a
/// reference have to be the same.
fn is_in_key(table: &Table, column: &Column, all: &[Table]) -> bool {
    let name = &column.name;
    column.primary_key
        || table
            .indexes
            .iter()
            .any(|index| index.unique && index.columns.contains(name))
        || table
            .foreign_keys
            .iter()
            .any(|key| key.references.iter().any(|(local, _)| local == name))
        || all.iter().flat_map(|other| &other.foreign_keys).any(|key| {
            key.foreign_table == table.name && key.references.iter().any(|(_, foreign)| foreign == name)
        })
}

fn foreign_key(dialect: &dyn Dialect, key: &ForeignKey) -> String {
    let name = key.name.as_ref().map_or(String::new(), |name| {
        format!("constraint {} ", quote(dialect, name))
    });
    let local = names(dialect, key.references.iter().map(|(local, _)| local.as_str()));
    let foreign = names(
        dialect,
        key.references.iter().map(|(_, foreign)| foreign.as_str()),
    );
    let action = |when: &str, action: Option<super::model::ReferenceAction>| {
        action.map_or(String::new(), |action| format!(" on {when} {}", action.sql()))
    };
    format!(
        "{name}foreign key ({local}) references {} ({foreign}){}{}",
        quote(dialect, &key.foreign_table),
        action("delete", key.on_delete),
        action("update", key.on_update),
    )
}

fn create_index(dialect: &dyn Dialect, table: &Table, index: &Index) -> String {
    format!(
        "create index {} on {} ({})",
        quote(dialect, &index_name(table, index)),
        quote(dialect, &table.name),
        index_columns(dialect, table, index)
    )
}

fn index_columns(dialect: &dyn Dialect, table: &Table, index: &Index) -> String {
    let columns = index.columns.iter().filter_map(|name| table.column(name));
    columns
        .map(|column| dialect.index_column(column))
        .collect::<Vec<_>>()
        .join(", ")
}

fn index_name(table: &Table, index: &Index) -> String {
    index
        .name
        .clone()
        .unwrap_or_else(|| format!("{}_{}_idx", table.name, index.columns.join("_")))
}

fn quote(dialect: &dyn Dialect, name: &str) -> String {
    dialect.kind().quote(name)
}

fn names<'a>(dialect: &dyn Dialect, names: impl IntoIterator<Item = &'a str>) -> String {
    names
        .into_iter()
        .map(|name| quote(dialect, name))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::dialect;
    use super::super::xml::{DatabaseReader, Item};
    use super::*;
    use symstream_shared::db::DatabaseKind;

    const SHOP: &str = r#"<database>
        <table name="item">
          <column name="id" type="INTEGER" primaryKey="true" required="true" autoIncrement="true"/>
          <column name="name" type="LONGVARCHAR" required="true"/>
          <column name="code" type="CLOB"/>
          <column name="price" type="DECIMAL" size="10,2" default="0"/>
          <column name="sold" type="BIT" default="false"/>
          <column name="seen" type="TIMESTAMP" default="CURRENT_TIMESTAMP"/>
          <column name="note" type="VARCHAR" size="20" default="it's"/>
          <column name="image" type="BLOB"/>
          <foreign-key name="fk" foreignTable="item" onDelete="setnull">
            <reference local="code" foreign="name"/></foreign-key>
          <unique name="u"><unique-column name="name"/></unique>
          <index><index-column name="note"/><index-column name="image"/></index>
        </table></database>"#;

    fn sql(kind: DatabaseKind, xml: &str) -> Result<Statements, String> {
        let mut reader = DatabaseReader::new(xml.as_bytes(), false);
        let mut tables = Vec::new();
        while let Some(Item::Table(table)) = reader.next().expect("valid") {
            tables.push(table);
        }
        create(dialect::of(kind), &tables.iter().collect::<Vec<_>>(), &tables)
    }

    fn texts(after: &[(String, String)]) -> Vec<&str> {
        after.iter().map(|(_, statement)| statement.as_str()).collect()
    }

    #[test]
    fn postgres_adds_references_when_all_tables_are_there() {
        let statements = sql(DatabaseKind::Postgres, SHOP).expect("possible");
        assert_eq!(
            statements.tables[0],
            r#"create table "item" (
  "id" integer not null generated by default as identity,
  "name" text not null,
  "code" text,
  "price" numeric(10,2) default 0,
  "sold" boolean default false,
  "seen" timestamp default localtimestamp,
  "note" varchar(20) default 'it''s',
  "image" bytea,
  primary key ("id"),
  constraint "u" unique ("name")
)"#
        );
        assert_eq!(
            texts(&statements.after),
            [
                r#"create index "item_note_image_idx" on "item" ("note", "image")"#,
                r#"alter table "item" add constraint "fk" foreign key ("code") references "item" ("name") on delete set null"#,
            ]
        );
    }

    #[test]
    fn mysql_makes_a_table_whole_and_gives_key_texts_a_length() {
        let statements = sql(DatabaseKind::Mysql, SHOP).expect("possible");
        assert_eq!(
            statements.tables[0],
            "create table `item` (
  `id` int not null auto_increment,
  `name` varchar(255) not null,
  `code` varchar(255),
  `price` decimal(10,2) default 0,
  `sold` tinyint(1) default 0,
  `seen` datetime(6) default current_timestamp(6),
  `note` varchar(20) default 'it''s',
  `image` longblob,
  primary key (`id`),
  constraint `u` unique (`name`),
  index `item_note_image_idx` (`note`, `image`(255)),
  constraint `fk` foreign key (`code`) references `item` (`name`) on delete set null
) engine=InnoDB default character set utf8mb4 collate utf8mb4_bin"
        );
        assert!(statements.after.is_empty());
    }

    #[test]
    fn sqlite_keeps_references_in_the_table() {
        let statements = sql(DatabaseKind::Sqlite, SHOP).expect("possible");
        assert_eq!(
            statements.tables[0],
            r#"create table "item" (
  "id" integer primary key autoincrement,
  "name" text not null,
  "code" text,
  "price" decimal(10,2) default 0,
  "sold" boolean default 0,
  "seen" timestamp default current_timestamp,
  "note" varchar(20) default 'it''s',
  "image" blob,
  constraint "u" unique ("name"),
  constraint "fk" foreign key ("code") references "item" ("name") on delete set null
)"#
        );
        assert_eq!(
            texts(&statements.after),
            [r#"create index "item_note_image_idx" on "item" ("note", "image")"#]
        );
    }

    #[test]
    fn what_a_database_can_not_do_is_said_with_its_place() {
        let number = "<database><table name='t'><column name='c' type='NUMERIC'/></table></database>";
        let why = sql(DatabaseKind::Mysql, number).expect_err("no equivalent");
        assert!(
            why.starts_with("column c of table t: MySQL has no DECIMAL without a size"),
            "{why}"
        );
        assert!(sql(DatabaseKind::Postgres, number).is_ok());
        let numbering = "<database><table name='t'><column name='c' type='INTEGER' autoIncrement='true'/>\
                         </table></database>";
        assert!(sql(DatabaseKind::Sqlite, numbering).is_err());
        let default =
            "<database><table name='t'><column name='c' type='INTEGER' default='x'/></table></database>";
        assert!(sql(DatabaseKind::Postgres, default).is_err());
    }
}
