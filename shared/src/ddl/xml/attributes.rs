//! The attributes of one element.

use crate::ddl::column_type::ColumnType;
use crate::ddl::model::{Column, ReferenceAction};
use quick_xml::XmlVersion;
use quick_xml::events::BytesStart;

/// An element's attributes. Their names are taken in any case, as SymmetricDS does.
pub(super) struct Attributes<'a> {
    element: &'a str,
    values: Vec<(String, String)>,
}

impl<'a> Attributes<'a> {
    pub(super) fn read(tag: &BytesStart<'_>, element: &'a str) -> Result<Self, String> {
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

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.values
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.clone())
    }

    /// An attribute by its name behind the namespace's prefix.
    pub(super) fn local(&self, name: &str) -> Option<&str> {
        self.values
            .iter()
            .find(|(key, _)| key.split_once(':').is_some_and(|(_, local)| local == name))
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn required(&self, name: &str) -> Result<String, String> {
        match self.text(name) {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(format!("<{}> has no {name}", self.element)),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, String> {
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

    pub(super) fn action(&self, names: &[&str]) -> Result<Option<ReferenceAction>, String> {
        match names.iter().find_map(|name| self.text(name)) {
            Some(word) => ReferenceAction::parse(&word),
            None => Ok(None),
        }
    }

    pub(super) fn column(&self) -> Result<Column, String> {
        let name = self.required("name")?;
        let size = self.text("size");
        let column_type = ColumnType::parse(&self.required("type")?, size.as_deref())
            .map_err(|why| format!("column {name}: {why}"))?;
        Ok(Column {
            column_type,
            required: self.flag("required")?,
            primary_key: self.flag("primaryKey")?,
            auto_increment: self.flag("autoIncrement")?,
            // Nothing means something to a text only: other tools write it where there is no default.
            default: self
                .text("default")
                .filter(|default| !default.is_empty() || column_type.is_text()),
            native: None,
            name,
        })
    }
}
