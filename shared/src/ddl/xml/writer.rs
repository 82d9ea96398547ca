//! Writes the format.

use crate::ddl::model::{Column, ForeignKey, Index, ReferenceAction, Table};
use crate::ddl::native::NativeType;
use std::borrow::Cow;
use std::fmt::Write;

/// The beginning of a file. The name is that of SymmetricDS's exports.
pub fn document_start() -> &'static str {
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<database xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
     name=\"dataextractor\">\n"
}

/// The end of a file.
pub fn document_end() -> &'static str {
    "</database>\n"
}

/// A table's structure.
pub fn table(table: &Table) -> String {
    let mut xml = String::new();
    attributes(
        &mut xml,
        1,
        "table",
        &[("schema", table.schema.as_deref()), ("name", Some(&table.name))],
    );
    xml.push_str(">\n");
    table.columns.iter().for_each(|one| column(&mut xml, one));
    table
        .foreign_keys
        .iter()
        .for_each(|key| foreign_key(&mut xml, key));
    table.indexes.iter().for_each(|one| index(&mut xml, one));
    xml.push_str("  </table>\n");
    xml
}

fn column(xml: &mut String, column: &Column) {
    let size = column.column_type.size();
    let flag = |is: bool| is.then_some("true");
    let values = [
        ("name", Some(column.name.as_str())),
        ("primaryKey", flag(column.primary_key)),
        ("required", flag(column.required)),
        ("type", Some(column.column_type.name())),
        ("size", size.as_deref()),
        ("default", column.default.as_deref()),
        ("autoIncrement", flag(column.auto_increment)),
    ];
    attributes(xml, 2, "column", &values);
    let Some(native) = &column.native else {
        xml.push_str("/>\n");
        return;
    };
    xml.push_str(">\n");
    let values = [
        ("name", Some(NativeType::platform(native.kind()))),
        ("definition", Some(native.sql())),
    ];
    attributes(xml, 3, "platform-column", &values);
    xml.push_str("/>\n    </column>\n");
}

fn foreign_key(xml: &mut String, key: &ForeignKey) {
    let values = [
        ("name", key.name.as_deref()),
        ("foreignSchema", key.foreign_schema.as_deref()),
        ("foreignTable", Some(key.foreign_table.as_str())),
        ("onDelete", key.on_delete.map(ReferenceAction::word)),
        ("onUpdate", key.on_update.map(ReferenceAction::word)),
    ];
    attributes(xml, 2, "foreign-key", &values);
    xml.push_str(">\n");
    for (own, other) in &key.references {
        attributes(
            xml,
            3,
            "reference",
            &[("local", Some(own)), ("foreign", Some(other))],
        );
        xml.push_str("/>\n");
    }
    xml.push_str("    </foreign-key>\n");
}

fn index(xml: &mut String, index: &Index) {
    let (element, column) = match index.unique {
        true => ("unique", "unique-column"),
        false => ("index", "index-column"),
    };
    attributes(xml, 2, element, &[("name", index.name.as_deref())]);
    xml.push_str(">\n");
    for name in &index.columns {
        attributes(xml, 3, column, &[("name", Some(name))]);
        xml.push_str("/>\n");
    }
    // A String takes everything.
    let _infallible = writeln!(xml, "    </{element}>");
}

/// An element's beginning, without its end; attributes without a value are left out.
fn attributes(xml: &mut String, depth: usize, element: &str, values: &[(&str, Option<&str>)]) {
    xml.push_str(&"  ".repeat(depth));
    xml.push('<');
    xml.push_str(element);
    for (name, value) in values {
        if let Some(value) = value {
            let _infallible = write!(xml, " {name}=\"{}\"", escape(value, true));
        }
    }
}

/// A text inside of an element or, with `attribute`, in double quotes. White space in an attribute and carriage returns
/// anywhere would be read as something else, so they are written as numbers.
pub fn escape(text: &str, attribute: bool) -> Cow<'_, str> {
    let needs = |c: char| match c {
        '<' | '>' | '&' | '\r' => true,
        '"' | '\n' | '\t' => attribute,
        _ => false,
    };
    if !text.contains(needs) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' if attribute => escaped.push_str("&quot;"),
            c if needs(c) => {
                let _infallible = write!(escaped, "&#{};", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// Whether XML has every character of the text: it has no control characters but three.
/// <https://www.w3.org/TR/xml/#charsets>
pub fn is_xml_text(text: &str) -> bool {
    text.chars()
        .all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::DatabaseKind;
    use crate::ddl::column_type::ColumnType;
    use crate::ddl::xml::{DatabaseReader, Item};

    #[test]
    fn what_is_written_is_read_again() {
        let column = |name: &str, column_type, native| Column {
            name: name.to_owned(),
            column_type,
            native,
            required: false,
            primary_key: false,
            auto_increment: false,
            default: None,
        };
        let written = Table {
            schema: Some("s".into()),
            name: "a \"b\" <&>\t\n\r ü".into(),
            columns: vec![
                Column {
                    required: true,
                    primary_key: true,
                    auto_increment: true,
                    ..column("id", ColumnType::Bigint, None)
                },
                Column {
                    default: Some(" it's\r\n<".into()),
                    ..column("Text", ColumnType::Varchar(7), None)
                },
                Column {
                    default: Some(String::new()),
                    ..column("empty", ColumnType::LongText, None)
                },
                column("n", ColumnType::Decimal(Some((10, 2))), None),
                column(
                    "u",
                    ColumnType::Char(36),
                    NativeType::new(DatabaseKind::Postgres, "uuid"),
                ),
                column(
                    "any",
                    ColumnType::LongText,
                    NativeType::new(DatabaseKind::Sqlite, ""),
                ),
            ],
            foreign_keys: vec![ForeignKey {
                name: Some("fk".into()),
                foreign_schema: Some("o".into()),
                foreign_table: "other".into(),
                references: vec![("id".into(), "x".into()), ("n".into(), "y".into())],
                on_delete: Some(ReferenceAction::SetNull),
                on_update: Some(ReferenceAction::Cascade),
            }],
            indexes: vec![
                Index {
                    name: None,
                    unique: false,
                    columns: vec!["n".into(), "id".into()],
                },
                Index {
                    name: Some("u".into()),
                    unique: true,
                    columns: vec!["Text".into()],
                },
            ],
        };
        let xml = format!("{}{}{}", document_start(), table(&written), document_end());
        let mut reader = DatabaseReader::new(xml.as_bytes(), false);
        assert_eq!(
            reader.next_item().expect("valid"),
            Some(Item::Table(written)),
            "{xml}"
        );
        assert_eq!(reader.next_item().expect("valid"), None);
    }

    #[test]
    fn characters_that_xml_has_not_are_known() {
        assert!(is_xml_text("a\t\n\r ü 😀"));
        for text in ["\0", "\u{b}", "\u{1f}", "\u{ffff}"] {
            assert!(!is_xml_text(text), "{text:?}");
        }
    }
}
