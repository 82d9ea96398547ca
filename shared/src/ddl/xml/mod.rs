//! Reads the DdlUtils/Torque database format, with the data rows of SymmetricDS and mysqldump.
//!
//! Tables and rows are handed out one by one, in the order of the file, so a file may be larger than memory.

mod attributes;
mod lines;
mod writer;

use super::model::{ForeignKey, Index, Table};
use super::native::NativeType;
use attributes::Attributes;
use lines::LineCounter;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use std::io::BufRead;
pub use writer::{document_end, document_start, escape, is_xml_text, table as write_table};

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
    /// How the text is meant.
    pub form: FieldForm,
}

/// How a field's text is meant: the attribute `xsi:type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldForm {
    /// As the column wants it; base64 for binary data.
    Plain,
    /// `xs:hexBinary`, as mysqldump writes binary data.
    Hexadecimal,
    /// `xs:base64Binary`: the bytes of a text with characters that XML has not.
    EncodedText,
    /// `xs:string`: a text, whatever the column. For SQLite's columns, which hold anything.
    Text,
    /// `xs:integer`, in the same way.
    Integer,
    /// `xs:double`, in the same way.
    Double,
}

impl FieldForm {
    const NAMES: [(Self, &str); 5] = [
        (Self::Hexadecimal, "hexBinary"),
        (Self::EncodedText, "base64Binary"),
        (Self::Text, "string"),
        (Self::Integer, "integer"),
        (Self::Double, "double"),
    ];

    /// The attribute's value; `None` where there is none.
    pub fn xsi_type(self) -> Option<String> {
        let known = Self::NAMES.iter().find(|(form, _)| *form == self);
        known.map(|(_, name)| format!("xs:{name}"))
    }

    fn of_xsi_type(value: &str) -> Self {
        let local = value.rsplit(':').next().unwrap_or(value);
        let known = Self::NAMES.iter().find(|(_, name)| *name == local);
        known.map_or(Self::Plain, |(form, _)| *form)
    }
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
    pub fn next_item(&mut self) -> Result<Option<Item>, XmlError> {
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
        // What other tools say of other platforms, and what mysqldump says of a table, adds nothing here.
        if self.ignored > 0 || name.starts_with("platform-") || name == "table_structure" {
            self.ignored += 1;
            if self.ignored == 1 && name == "platform-column" {
                self.native_type(&Attributes::read(tag, &name)?);
            }
            return Ok(name);
        }
        let attributes = Attributes::read(tag, &name)?;
        match (self.open.last().map(String::as_str), name.as_str()) {
            (None, "database" | "mysqldump") | (Some("mysqldump"), "database") => {}
            (Some("database"), "table") => {
                self.table = Table {
                    schema: attributes.text("schema"),
                    name: attributes.required("name")?,
                    ..Table::default()
                };
            }
            (Some("table"), "column") => self.table.columns.push(attributes.column()?),
            (Some("table"), "foreign-key") => self.table.foreign_keys.push(ForeignKey {
                name: attributes.text("name"),
                foreign_schema: attributes.text("foreignSchema"),
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
                let form = attributes
                    .local("type")
                    .map_or(FieldForm::Plain, FieldForm::of_xsi_type);
                let null = attributes
                    .local("nil")
                    .is_some_and(|nil| nil == "true" || nil == "1");
                let text = (!null).then(String::new);
                self.field = Some(Field {
                    name: self.name(attributes.required("name")?),
                    text,
                    form,
                });
            }
            (None, name) => return Err(format!("<{name}> stands where <database> is expected")),
            (Some(parent), name) => return Err(format!("<{name}> has no meaning inside of <{parent}>")),
        }
        Ok(name)
    }

    /// Our own exports say the type in the source's words there.
    fn native_type(&mut self, attributes: &Attributes<'_>) {
        if let (Some("column"), Some(column)) = (
            self.open.last().map(String::as_str),
            self.table.columns.last_mut(),
        ) && let (Some(name), Some(sql)) = (attributes.text("name"), attributes.text("definition"))
        {
            column.native = NativeType::of_platform(&name, &sql);
        }
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

#[cfg(test)]
mod tests;
