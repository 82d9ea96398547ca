//! What each format does with tables and rows.

use super::ExportError;
use std::io::Write;
use symstream_shared::catalog::ColumnDef;
use symstream_shared::ddl::{Field, Table};

/// A table whose rows are written.
pub(super) struct RowTable<'a> {
    /// The table.
    pub table: &'a Table,
    /// The columns of its rows, in the rows' order.
    pub columns: Vec<&'a ColumnDef>,
}

/// A format. The calls come in the order of the methods, those for rows again for each table.
pub(super) trait Output: Send {
    /// The beginning, with the structure of the tables that are given.
    fn begin(
        &mut self,
        out: &mut (dyn Write + Send),
        tables: &[Table],
        warnings: &mut Vec<String>,
    ) -> Result<(), ExportError>;

    /// Before a table's first row, also where it has none.
    fn begin_rows(&mut self, out: &mut (dyn Write + Send), table: &RowTable<'_>) -> Result<(), ExportError>;

    /// One row: a field for each column.
    fn row(
        &mut self,
        out: &mut (dyn Write + Send),
        table: &RowTable<'_>,
        fields: Vec<Field>,
    ) -> Result<(), ExportError>;

    /// Behind a table's last row.
    fn end_rows(&mut self, out: &mut (dyn Write + Send), table: &RowTable<'_>) -> Result<(), ExportError>;

    /// The end.
    fn end(&mut self, out: &mut (dyn Write + Send)) -> Result<(), ExportError>;
}
