//! A SQL script for one kind of database.

use super::ExportError;
use super::output::{Output, RowTable};
use crate::field::literal;
use std::io::Write;
use symstream_shared::catalog::ColumnDef;
use symstream_shared::db::DatabaseKind;
use symstream_shared::ddl::{self, Dialect, Field, Table};
use symstream_shared::logical::LogicalType;

/// The most rows of one `insert`.
const ROWS_MAX: usize = 250;
/// The length at which an `insert` ends.
const BYTES_MAX: usize = 64 * 1024;

pub(super) struct Sql {
    source: DatabaseKind,
    dialect: &'static dyn Dialect,
    /// What comes behind the rows: indexes and references are made faster then, and tables may refer to each other.
    after: Vec<String>,
    /// The statement that is open.
    insert: String,
    insert_rows: usize,
}

impl Sql {
    pub(super) fn new(source: DatabaseKind, target: DatabaseKind) -> Self {
        Self {
            source,
            dialect: ddl::dialect(target),
            after: Vec::new(),
            insert: String::new(),
            insert_rows: 0,
        }
    }

    /// What a column's values mean where they go.
    fn logical(&self, table: &Table, column: &ColumnDef) -> LogicalType {
        let described = table.columns.iter().find(|one| one.name == column.name);
        match described {
            Some(described) if self.source != self.dialect.kind() => described.column_type.logical(),
            _ => column.logical,
        }
    }

    fn begin_insert(&self, table: &RowTable<'_>) -> String {
        let kind = self.dialect.kind();
        let names: Vec<_> = table
            .columns
            .iter()
            .map(|column| kind.quote(&column.name))
            .collect();
        let always = self.source == kind && table.columns.iter().any(|column| column.identity_always);
        format!(
            "insert into {} ({}){} values\n",
            kind.quote(&table.table.name),
            names.join(", "),
            if always { " overriding system value" } else { "" }
        )
    }

    fn end_insert(&mut self, out: &mut (dyn Write + Send)) -> Result<(), ExportError> {
        if self.insert_rows > 0 {
            out.write_all(self.insert.as_bytes())?;
            out.write_all(b";\n")?;
            self.insert.clear();
            self.insert_rows = 0;
        }
        Ok(())
    }
}

impl Output for Sql {
    fn begin(
        &mut self,
        out: &mut (dyn Write + Send),
        tables: &[Table],
        warnings: &mut Vec<String>,
    ) -> Result<(), ExportError> {
        writeln!(out, "-- For {}, as one transaction.", self.dialect.kind())?;
        let (before, _) = self.dialect.around_rows();
        write_statement(out, before)?;
        let statements = ddl::statements(self.dialect.kind(), tables)?;
        warnings.extend(statements.warnings);
        for (_, statement) in &statements.tables {
            write_statement(out, statement)?;
        }
        self.after = statements
            .after
            .into_iter()
            .map(|(_, statement)| statement)
            .collect();
        Ok(())
    }

    fn begin_rows(&mut self, _out: &mut (dyn Write + Send), table: &RowTable<'_>) -> Result<(), ExportError> {
        let described = &table.table.columns;
        for column in described.iter().filter(|column| column.auto_increment) {
            let statement = self
                .dialect
                .continue_numbering(None, &table.table.name, &column.name);
            self.after.splice(0..0, statement);
        }
        Ok(())
    }

    fn row(
        &mut self,
        out: &mut (dyn Write + Send),
        table: &RowTable<'_>,
        fields: Vec<Field>,
    ) -> Result<(), ExportError> {
        let mut literals = Vec::with_capacity(fields.len());
        for (field, column) in fields.iter().zip(&table.columns) {
            literals.push(match &field.text {
                None => "null".to_owned(),
                Some(text) => literal(self.dialect, self.logical(table.table, column), text, field.form)
                    .map_err(|why| ExportError::Value {
                        table: table.table.name.clone(),
                        column: column.name.clone(),
                        why,
                    })?,
            });
        }
        if self.insert_rows == 0 {
            self.insert = self.begin_insert(table);
        } else {
            self.insert.push_str(",\n");
        }
        self.insert.push('(');
        self.insert.push_str(&literals.join(", "));
        self.insert.push(')');
        self.insert_rows += 1;
        if self.insert_rows >= ROWS_MAX || self.insert.len() >= BYTES_MAX {
            self.end_insert(out)?;
        }
        Ok(())
    }

    fn end_rows(&mut self, out: &mut (dyn Write + Send), _table: &RowTable<'_>) -> Result<(), ExportError> {
        self.end_insert(out)
    }

    fn end(&mut self, out: &mut (dyn Write + Send)) -> Result<(), ExportError> {
        for statement in &self.after {
            write_statement(out, statement)?;
        }
        let (_, after) = self.dialect.around_rows();
        write_statement(out, after)
    }
}

fn write_statement(out: &mut (dyn Write + Send), statement: &str) -> Result<(), ExportError> {
    if !statement.is_empty() {
        writeln!(out, "{statement};")?;
    }
    Ok(())
}
