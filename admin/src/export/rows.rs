//! Reading a table's rows for an output.

use super::output::{Output, RowTable};
use super::tables::Described;
use super::{ExportError, values};
use crate::field::field;
use std::io::Write;
use symstream_shared::catalog::ColumnDef;
use symstream_shared::db::{DatabaseKind, Row, Sql, Tx};
use tokio::sync::mpsc;

/// What is read ahead at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks that wait while rows are written.
const CHUNKS_AHEAD: usize = 2;

/// Writes all rows of a table, in the order of its key, and returns how many there were. Computed columns are left out:
/// nobody may write them.
pub(super) async fn write(
    tx: &mut Tx,
    described: &Described,
    output: &mut dyn Output,
    out: &mut (dyn Write + Send),
) -> Result<u64, ExportError> {
    let kind = tx.kind();
    let columns: Vec<&ColumnDef> = described
        .found
        .columns
        .iter()
        .filter(|column| !column.generated)
        .collect();
    let select = select(kind, described, &columns);
    let table = RowTable {
        table: &described.table,
        columns,
    };
    output.begin_rows(out, &table)?;
    let (chunks_tx, mut chunks_rx) = mpsc::channel::<Vec<Row>>(CHUNKS_AHEAD);
    let reading = tx.query_into(&select, &[], CHUNK_BYTES, chunks_tx);
    let writing = async {
        let mut count = 0;
        while let Some(chunk) = chunks_rx.recv().await {
            for row in chunk {
                let cells = row.0.into_iter().zip(&table.columns);
                let fields = cells
                    .map(|(cell, column)| field(column, &values::canonical(kind, column, cell)))
                    .collect();
                output.row(out, &table, fields)?;
                count += 1;
            }
        }
        // Nobody takes rows any more once this has failed: the reading ends, too.
        drop(chunks_rx);
        Ok::<u64, ExportError>(count)
    };
    let (read, written) = tokio::join!(reading, writing);
    let count = written?;
    read?;
    output.end_rows(out, &table)?;
    Ok(count)
}

fn select(kind: DatabaseKind, described: &Described, columns: &[&ColumnDef]) -> String {
    let expressions: Vec<_> = columns
        .iter()
        .map(|column| values::expression(kind, column))
        .collect();
    let found = &described.found;
    // Of the table, not of the result, whose columns are texts.
    let key: Vec<_> = found
        .primary_key
        .iter()
        .map(|name| format!("t.{}", kind.quote(name)))
        .collect();
    let order = match key.as_slice() {
        [] => String::new(),
        key => format!(" order by {}", key.join(", ")),
    };
    format!(
        "select {} from {} t{order}",
        expressions.join(", "),
        kind.quote_table(found.schema.as_deref(), &found.name)
    )
}
