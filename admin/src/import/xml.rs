//! Reads the DdlUtils/Torque database format, with the data rows of SymmetricDS and mysqldump.
//!
//! Tables and rows are handed out one by one, in the order of the file, so a file may be larger than memory.

use super::lines::LineCounter;
use super::model::{Column, ColumnType, ForeignKey, Index, ReferenceAction, Table};
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use std::io::BufRead;

/// What the file has next.
#[derive(Debug, PartialEq, Eq)]
pub enum Item {
    /// `<table>`
    Table(Table),
    /// `<row>` of a `<table_data>`
    Row(DataRow),
}

/// A row to insert.
#[derive(Debug, PartialEq, Eq)]
pub struct DataRow {
    /// The table's name.
    pub table: String,
    /// The columns that the row names, with their values.
    pub fields: Vec<Field>,
    /// The line on which it begins.
    pub line: usize,
}

/// One column's value.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// The column.
    pub name: String,
    /// The text as it stands in the file; `None` for null.
    pub text: Option<String>,
    /// mysqldump's `xsi:type="xs:hexBinary"`; binary data is base64 without it.
    pub hexadecimal: bool,
}

/// What is wrong with the file, and where.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {why}")]
pub struct XmlError {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

/// The reader.
pub struct DatabaseReader<R: BufRead> {
    xml: Reader<LineCounter<R>>,
    lower_case: bool,
    /// The elements that are open, outermost first.
    open: Vec<String>,
    /// How many of the innermost open elements are passed over.
    ignored: usize,
    table: Table,
    data_table: String,
    row: DataRow,
    field: Option<Field>,
}

impl<R: BufRead> DatabaseReader<R> {
    /// Reads `input`; with `lower_case`, all names of tables and columns come in lower case.
    pub fn new(input: R, lower_case: bool) -> Self {
        Self {
            xml: Reader::from_reader(LineCounter::new(input)),
            lower_case,
            open: Vec::new(),
            ignored: 0,
            table: Table::default(),
            data_table: String::new(),
            row: DataRow {
                table: String::new(),
                fields: Vec::new(),
                line: 0,
            },
            field: None,
        }
    }

    /// The next table or row; `None` at the end of the file.
    ///
    /// # Errors
    /// [`XmlError`] when the file can not be read, is no XML, or has an element in a place where it means
    /// nothing.
    pub fn next(&mut self) -> Result<Option<Item>, XmlError> {
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            let line = self.xml.get_ref().line();
            let event = self.xml.read_event_into(&mut buffer);
            let line_after = self.xml.get_ref().line();
            let at = |why: String| XmlError { line, why };
            let at_end = |why: String| XmlError {
                line: line_after,
                why,
            };
            let done = match event.map_err(|err| at_end(err.to_string()))? {
                Event::Start(tag) => {
                    let name = self.enter(&tag, line).map_err(at)?;
                    self.open.push(name);
                    None
                }
                Event::Empty(tag) => {
                    let name = self.enter(&tag, line).map_err(at)?;
                    self.leave(&name).map_err(at)?
                }
                Event::End(_) => match self.open.pop() {
                    Some(name) => self.leave(&name).map_err(at)?,
                    None => None,
                },
                Event::Text(text) => self.text(&text.xml10_content()).map(|()| None).map_err(at)?,
                Event::CData(text) => self.text(&text.xml10_content()).map(|()| None).map_err(at)?,
                Event::GeneralRef(entity) => {
                    let text = match entity.resolve_char_ref().map_err(|err| at(err.to_string()))? {
                        Some(c) => c.to_string(),
                        None => quick_xml::escape::resolve_predefined_entity(&entity)
                            .ok_or_else(|| at(format!("the entity &{}; is not known", &*entity)))?
                            .to_owned(),
                    };
                    self.text(&text).map(|()| None).map_err(at)?
                }
                Event::Eof => match self.open.last() {
                    Some(name) => return Err(at_end(format!("the file ends inside of <{name}>"))),
                    None => return Ok(None),
                },
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => None,
            };
            if done.is_some() {
                return Ok(done);
            }
        }
    }

    fn enter(&mut self, tag: &BytesStart<'_>, line: usize) -> Result<String, String> {
        let name = tag.name().as_ref().to_owned();
        // What other platforms call a column, and what mysqldump says of a table, adds nothing here.
        if self.ignored > 0 || name.starts_with("platform-") || name == "table_structure" {
            self.ignored += 1;
            return Ok(name);
        }
        let attributes = Attributes::read(tag, &name)?;
        match (self.open.last().map(String::as_str), name.as_str()) {
            (None, "database" | "mysqldump") | (Some("mysqldump"), "database") => {}
            (Some("database"), "table") => {
                self.table = Table {
                    name: attributes.required("name")?,
                    ..Table::default()
                };
            }
            (Some("table"), "column") => self.table.columns.push(attributes.column()?),
            (Some("table"), "foreign-key") => self.table.foreign_keys.push(ForeignKey {
                name: attributes.text("name"),
                foreign_table: attributes.required("foreignTable")?,
                references: Vec::new(),
                on_delete: attributes.action(&["onDelete", "foreignOnDelete"])?,
                on_update: attributes.action(&["onUpdate", "foreignOnUpdate"])?,
            }),
            (Some("foreign-key"), "reference") => {
                let reference = (attributes.required("local")?, attributes.required("foreign")?);
                self.table
                    .foreign_keys
                    .last_mut()
                    .ok_or("no foreign key")?
                    .references
                    .push(reference);
            }
            (Some("table"), kind @ ("index" | "unique")) => {
                let (name, unique) = (attributes.text("name"), kind == "unique");
                self.table.indexes.push(Index {
                    name,
                    unique,
                    columns: Vec::new(),
                });
            }
            (Some("index"), "index-column") | (Some("unique"), "unique-column") => {
                let column = attributes.required("name")?;
                self.table
                    .indexes
                    .last_mut()
                    .ok_or("no index")?
                    .columns
                    .push(column);
            }
            (Some("database"), "table_data") => {
                self.data_table = self.name(attributes.required("name")?);
            }
            (Some("table_data"), "row") => {
                self.row = DataRow {
                    table: self.data_table.clone(),
                    fields: Vec::new(),
                    line,
                };
            }
            (Some("row"), "field") => {
                let hexadecimal = attributes
                    .local("type")
                    .is_some_and(|kind| kind.ends_with("hexBinary"));
                let null = attributes
                    .local("nil")
                    .is_some_and(|nil| nil == "true" || nil == "1");
                let text = (!null).then(String::new);
                self.field = Some(Field {
                    name: self.name(attributes.required("name")?),
                    text,
                    hexadecimal,
                });
            }
            (None, name) => return Err(format!("<{name}> stands where <database> is expected")),
            (Some(parent), name) => return Err(format!("<{name}> has no meaning inside of <{parent}>")),
        }
        Ok(name)
    }

    fn leave(&mut self, name: &str) -> Result<Option<Item>, String> {
        if self.ignored > 0 {
            self.ignored -= 1;
            return Ok(None);
        }
        match name {
            "table" => {
                let mut table = std::mem::take(&mut self.table);
                if self.lower_case {
                    table.lower_case();
                }
                table.check()?;
                Ok(Some(Item::Table(table)))
            }
            "field" => {
                self.row.fields.extend(self.field.take());
                Ok(None)
            }
            "row" => {
                let empty = DataRow {
                    table: String::new(),
                    fields: Vec::new(),
                    line: 0,
                };
                Ok(Some(Item::Row(std::mem::replace(&mut self.row, empty))))
            }
            _ => Ok(None),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        match &mut self.field {
            Some(Field {
                text: Some(value), ..
            }) => value.push_str(text),
            _ if self.ignored > 0 || text.trim().is_empty() => {}
            Some(field) => return Err(format!("the field {} is null and has a value", field.name)),
            None if self.open.is_empty() => return Err("the file is no XML".to_owned()),
            None => {
                return Err(format!(
                    "the text {:?} has no meaning here",
                    shortened(text.trim())
                ));
            }
        }
        Ok(())
    }

    fn name(&self, name: String) -> String {
        if self.lower_case {
            name.to_lowercase()
        } else {
            name
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(30).collect()
}

/// An element's attributes. Their names are taken in any case, as SymmetricDS does.
struct Attributes<'a> {
    element: &'a str,
    values: Vec<(String, String)>,
}

impl<'a> Attributes<'a> {
    fn read(tag: &BytesStart<'_>, element: &'a str) -> Result<Self, String> {
        let mut values = Vec::new();
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|err| format!("<{element}>: {err}"))?;
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|err| format!("<{element}>: {err}"))?;
            values.push((attribute.key.as_ref().to_owned(), value.into_owned()));
        }
        Ok(Self { element, values })
    }

    fn text(&self, name: &str) -> Option<String> {
        self.values
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.clone())
    }

    /// An attribute by its name behind the namespace's prefix.
    fn local(&self, name: &str) -> Option<&str> {
        self.values
            .iter()
            .find(|(key, _)| key.split_once(':').is_some_and(|(_, local)| local == name))
            .map(|(_, value)| value.as_str())
    }

    fn required(&self, name: &str) -> Result<String, String> {
        match self.text(name) {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(format!("<{}> has no {name}", self.element)),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, String> {
        match self.text(name) {
            None => Ok(false),
            Some(value) => match value.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" => Ok(true),
                "false" | "0" | "no" | "" => Ok(false),
                _ => Err(format!(
                    "{name}={value:?} of <{}> is neither true nor false",
                    self.element
                )),
            },
        }
    }

    fn action(&self, names: &[&str]) -> Result<Option<ReferenceAction>, String> {
        match names.iter().find_map(|name| self.text(name)) {
            Some(word) => ReferenceAction::parse(&word),
            None => Ok(None),
        }
    }

    fn column(&self) -> Result<Column, String> {
        let name = self.required("name")?;
        let size = self.text("size");
        let column_type = ColumnType::parse(&self.required("type")?, size.as_deref())
            .map_err(|why| format!("column {name}: {why}"))?;
        Ok(Column {
            column_type,
            required: self.flag("required")?,
            primary_key: self.flag("primaryKey")?,
            auto_increment: self.flag("autoIncrement")?,
            default: self.text("default").filter(|default| !default.is_empty()),
            name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(xml: &str) -> Result<Vec<Item>, XmlError> {
        let mut reader = DatabaseReader::new(xml.as_bytes(), true);
        let mut items = Vec::new();
        while let Some(item) = reader.next()? {
            items.push(item);
        }
        Ok(items)
    }

    fn why(xml: &str) -> String {
        items(xml).expect_err("wrong").to_string()
    }

    #[test]
    fn a_table_comes_with_its_columns_keys_and_indexes() {
        let xml = r#"<?xml version="1.0"?><!DOCTYPE database SYSTEM "http://db.apache.org/torque/dtd/database">
            <database name="d"><table name="Items" description="ignored">
              <column name="ID" type="INTEGER" primaryKey="true" required="true" autoIncrement="true"/>
              <column name="Name" type="VARCHAR" size="20" default="a &amp; b"><platform-column name="h2"/></column>
              <foreign-key name="FK" foreignTable="Names" onDelete="cascade">
                <reference local="Name" foreign="Name"/></foreign-key>
              <unique name="U"><unique-column name="Name"/></unique>
              <index><index-column name="Name"/><index-column name="ID"/></index>
            </table></database>"#;
        let items = items(xml);
        let Ok([Item::Table(table)]) = items.as_deref() else {
            panic!("one table: {items:?}")
        };
        assert_eq!(table.name, "items");
        assert!(table.columns[0].primary_key && table.columns[0].auto_increment && table.columns[0].required);
        assert_eq!(table.columns[1].default.as_deref(), Some("a & b"));
        assert_eq!(
            table.foreign_keys[0].references,
            [("name".to_owned(), "name".to_owned())]
        );
        assert_eq!(table.foreign_keys[0].on_delete, Some(ReferenceAction::Cascade));
        assert_eq!(
            table.indexes[0],
            Index {
                name: Some("u".into()),
                unique: true,
                columns: vec!["name".into()]
            }
        );
        assert_eq!(table.indexes[1].columns, ["name", "id"]);
    }

    #[test]
    fn rows_keep_their_text_and_tell_null_from_empty() {
        let xml = "<mysqldump><database name='d'><table_structure name='t'><x>y</x></table_structure>\n\
                   <table_data name='T'>\n<row><field name='A'> x &lt;\n&#252;<![CDATA[<]]></field><field name='b'/>\
                   <field name='c' xsi:nil='true'/><field name='d' xsi:type='xs:hexBinary'>00</field></row>\
                   </table_data></database></mysqldump>";
        let field = |name: &str, text: Option<&str>, hexadecimal| Field {
            name: name.to_owned(),
            text: text.map(str::to_owned),
            hexadecimal,
        };
        let fields = vec![
            field("a", Some(" x <\nü<"), false),
            field("b", Some(""), false),
            field("c", None, false),
            field("d", Some("00"), true),
        ];
        assert_eq!(
            items(xml),
            Ok(vec![Item::Row(DataRow {
                table: "t".into(),
                fields,
                line: 3
            })])
        );
    }

    #[test]
    fn an_error_says_what_and_on_which_line() {
        assert_eq!(
            why("<database>\n<tabel name='x'/>"),
            "line 2: <tabel> has no meaning inside of <database>"
        );
        assert_eq!(why("-- Some\nSQL;\n"), "line 1: the file is no XML");
        assert_eq!(
            why("<html/>"),
            "line 1: <html> stands where <database> is expected"
        );
        assert_eq!(
            why("<database>\n\n<table name='x'/></database>"),
            "line 3: table x has no columns"
        );
        assert_eq!(why("<database>\n"), "line 2: the file ends inside of <database>");
        assert!(why("<database></databse>").starts_with("line 1: "));
        assert!(
            why("<database><table name='t'><column name='c' type='VARCHA'/></table></database>")
                .starts_with("line 1: column c: type \"VARCHA\" is not known")
        );
        assert_eq!(
            why(
                "<database><table_data name='t'><row><field name='a'>&nbsp;</field></row></table_data></database>"
            ),
            "line 1: the entity &nbsp; is not known"
        );
    }
}
