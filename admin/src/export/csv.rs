//! CSV: a line with the columns' names, then one for each row.

use super::ExportError;
use super::output::{Output, RowTable};
use std::io::Write;
use symstream_shared::csv;
use symstream_shared::ddl::{Field, FieldForm, Table};

pub(super) struct Csv;

impl Output for Csv {
    fn begin(
        &mut self,
        _out: &mut (dyn Write + Send),
        _tables: &[Table],
        _warnings: &mut Vec<String>,
    ) -> Result<(), ExportError> {
        Ok(())
    }

    fn begin_rows(&mut self, out: &mut (dyn Write + Send), table: &RowTable<'_>) -> Result<(), ExportError> {
        let names = table.columns.iter().map(|column| column.name.as_str());
        writeln!(out, "{}", csv::encode_names(names))?;
        Ok(())
    }

    fn row(
        &mut self,
        out: &mut (dyn Write + Send),
        table: &RowTable<'_>,
        fields: Vec<Field>,
    ) -> Result<(), ExportError> {
        if let Some(field) = fields.iter().find(|field| field.form != FieldForm::Plain) {
            return Err(ExportError::Value {
                table: table.table.name.clone(),
                column: field.name.clone(),
                why: "a value is not of the column's type, and CSV can not say so; --format XML or SQL can"
                    .to_owned(),
            });
        }
        let record = csv::encode(fields.iter().map(|field| field.text.as_deref()));
        writeln!(out, "{record}")?;
        Ok(())
    }

    fn end_rows(&mut self, _out: &mut (dyn Write + Send), _table: &RowTable<'_>) -> Result<(), ExportError> {
        Ok(())
    }

    fn end(&mut self, _out: &mut (dyn Write + Send)) -> Result<(), ExportError> {
        Ok(())
    }
}
