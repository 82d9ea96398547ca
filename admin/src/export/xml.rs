//! The DdlUtils/Torque database format, with the rows of SymmetricDS.

use super::ExportError;
use super::output::{Output, RowTable};
use crate::field::encoding;
use std::io::Write;
use symstream_shared::ddl::{self, Field, FieldForm, Table};

pub(super) struct Xml {
    /// Whether the table has no row yet: one without any has no element.
    is_empty: bool,
}

impl Xml {
    pub(super) fn new() -> Self {
        Self { is_empty: true }
    }
}

impl Output for Xml {
    fn begin(
        &mut self,
        out: &mut (dyn Write + Send),
        tables: &[Table],
        _warnings: &mut Vec<String>,
    ) -> Result<(), ExportError> {
        out.write_all(ddl::document_start().as_bytes())?;
        for table in tables {
            out.write_all(ddl::write_table(table).as_bytes())?;
        }
        Ok(())
    }

    fn begin_rows(
        &mut self,
        _out: &mut (dyn Write + Send),
        _table: &RowTable<'_>,
    ) -> Result<(), ExportError> {
        self.is_empty = true;
        Ok(())
    }

    fn row(
        &mut self,
        out: &mut (dyn Write + Send),
        table: &RowTable<'_>,
        fields: Vec<Field>,
    ) -> Result<(), ExportError> {
        if std::mem::take(&mut self.is_empty) {
            let name = ddl::escape(&table.table.name, true);
            writeln!(out, "  <table_data name=\"{name}\">")?;
        }
        out.write_all(b"    <row>")?;
        for field in fields {
            write_field(out, field)?;
        }
        out.write_all(b"</row>\n")?;
        Ok(())
    }

    fn end_rows(&mut self, out: &mut (dyn Write + Send), _table: &RowTable<'_>) -> Result<(), ExportError> {
        if !self.is_empty {
            out.write_all(b"  </table_data>\n")?;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut (dyn Write + Send)) -> Result<(), ExportError> {
        out.write_all(ddl::document_end().as_bytes())?;
        Ok(())
    }
}

fn write_field(out: &mut (dyn Write + Send), field: Field) -> Result<(), ExportError> {
    let name = ddl::escape(&field.name, true);
    let Some(text) = &field.text else {
        write!(out, "<field name=\"{name}\" xsi:nil=\"true\"/>")?;
        return Ok(());
    };
    let (form, text) = match ddl::is_xml_text(text) {
        true => (field.form, ddl::escape(text, false)),
        false => (
            FieldForm::EncodedText,
            encoding::to_base64(text.as_bytes()).into(),
        ),
    };
    match form.xsi_type() {
        Some(kind) => write!(out, "<field name=\"{name}\" xsi:type=\"{kind}\">{text}</field>")?,
        None => write!(out, "<field name=\"{name}\">{text}</field>")?,
    }
    Ok(())
}
