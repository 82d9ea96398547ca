//! The reading side of the three dialects, behind one name each.

use super::{mysql, postgres, sqlite};
use crate::cutter::CapturedId;
use crate::parameters::ParameterReceiver;
use futures_util::future::BoxFuture;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use symstream_shared::catalog::ColumnDef;
use symstream_shared::cell::Cell;
use symstream_shared::db::{Database, DatabaseKind, DbError, Param, Sql};
use symstream_shared::id::ChannelId;
use symstream_shared::logical::LogicalType;
use symstream_shared::schema::Tables;

/// Reads `sym_data`: which committed rows are new since the position of the reading before, and in which order
/// they have to be applied.
///
/// The reader loop calls [`Self::wait`], then [`Self::read`] in a snapshot transaction in which it also stores
/// the batches and the new position, then [`Self::stored`]. A reading whose transaction failed is made again from
/// the same position.
pub(crate) trait ChangeReader: Send {
    /// Returns when there may be something to read. May be dropped.
    fn wait(&mut self) -> BoxFuture<'_, Result<(), DbError>>;

    /// Hands over all rows behind `before` that are committed, those of each channel in apply order. Returns the
    /// new position; `None` when the old one stays.
    fn read<'a>(
        &'a mut self,
        tx: &'a mut dyn Sql,
        before: Option<&'a str>,
        each: &'a mut (dyn FnMut(CapturedId) + Send),
    ) -> BoxFuture<'a, Result<Option<String>, DbError>>;

    /// Tells which position is stored now.
    fn stored(&mut self, position: Option<&str>) -> Result<(), DbError>;
}

/// The highest `data_id` that was there when the agent's life began, once it is known: the readers of one life share
/// it, because one that begins anew after an error finds what was captured while the agent watched.
pub(crate) type Backlog = Arc<OnceLock<i64>>;

/// The reader for a database. `parameters` have the pauses of those without notifications.
pub(crate) fn change_reader(
    database: &Database,
    tables: &Tables,
    backlog: Backlog,
    parameters: ParameterReceiver,
) -> Box<dyn ChangeReader> {
    let (database, tables) = (database.clone(), tables.clone());
    match database.kind() {
        DatabaseKind::Postgres => Box::new(postgres::reader::Reader::new(database, tables)),
        DatabaseKind::Mysql => Box::new(mysql::reader::Reader::new(database, tables, parameters)),
        DatabaseKind::Sqlite => Box::new(sqlite::reader::Reader::new(database, tables, backlog, parameters)),
    }
}

/// Whether a row of `sym_data` is a request rather than a change, as 1 or 0.
pub(super) const IS_REQUEST: &str = "case when event_type in ('R', 'S') then 1 else 0 end";

/// A row of a reading; `is_request` as [`IS_REQUEST`] gave it.
pub(super) fn captured_id(
    data_id: i64,
    channel: String,
    transaction_last: i64,
    is_request: i64,
) -> Result<CapturedId, DbError> {
    let channel = ChannelId::new(channel).map_err(|err| DbError::unexpected(err.to_string()))?;
    Ok(CapturedId {
        data_id,
        channel,
        transaction_last,
        is_request: is_request != 0,
    })
}

/// Pauses of a reader that has to ask: short while something happens, growing while nothing does.
pub(super) struct IdlePoll {
    pause: Duration,
    parameters: ParameterReceiver,
}

/// The pause after activity.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

impl IdlePoll {
    /// Pauses of at most `capture.poll.interval.max`.
    pub(super) fn new(parameters: ParameterReceiver) -> Self {
        Self {
            pause: BUSY_PAUSE,
            parameters,
        }
    }

    pub(super) async fn pause(&mut self) {
        let most = self.parameters.borrow().capture_poll_interval_max;
        tokio::time::sleep(self.pause.min(most)).await;
        self.pause = (self.pause * 5 / 4).min(most.max(BUSY_PAUSE));
    }

    pub(super) fn found(&mut self, any: bool) {
        if any {
            self.pause = BUSY_PAUSE;
        }
    }
}

/// A row of the table aliased `row`, as its triggers would write it.
pub(crate) fn selected_row(kind: DatabaseKind, row: &str, columns: &[&ColumnDef]) -> String {
    match kind {
        DatabaseKind::Postgres => postgres::trigger::selected_row(row, columns),
        DatabaseKind::Mysql => mysql::trigger::selected_row(row, columns),
        DatabaseKind::Sqlite => sqlite::trigger::selected_row(row, columns),
    }
}

/// A query for all foreign keys, column by column: the key, schema, table and column that refer, and those referred to
/// (no column: the primary key's).
pub(crate) fn foreign_keys_query(kind: DatabaseKind) -> &'static str {
    match kind {
        DatabaseKind::Postgres => postgres::foreign_keys::QUERY,
        DatabaseKind::Mysql => mysql::foreign_keys::QUERY,
        DatabaseKind::Sqlite => sqlite::foreign_keys::QUERY,
    }
}

/// `rows` as a derived table `r` with the columns `i` (the row's number from 1), `c0`, `c1`…
pub(crate) fn row_set(kind: DatabaseKind, rows: &[Vec<Cell>], width: usize) -> (String, Vec<Param>) {
    match kind {
        DatabaseKind::Postgres => postgres::row_set::row_set(rows, width),
        DatabaseKind::Mysql => mysql::row_set::row_set(rows, width),
        DatabaseKind::Sqlite => sqlite::row_set::row_set(rows, width),
    }
}

/// A column of `r` as a value that compares with a table's column as the column's own values do.
pub(crate) async fn typed(
    sql: &mut dyn Sql,
    table: (Option<&str>, &str),
    column: &str,
    logical: LogicalType,
    expression: &str,
) -> Result<String, DbError> {
    match sql.kind() {
        DatabaseKind::Postgres => postgres::row_set::typed(sql, table, column, logical, expression).await,
        DatabaseKind::Mysql => mysql::row_set::typed(sql, table, column, logical, expression).await,
        DatabaseKind::Sqlite => sqlite::row_set::typed(sql, table, column, logical, expression).await,
    }
}

/// Whether values of two columns of this type are compared as what they are, rather than as text.
pub(crate) fn compares_typed(kind: DatabaseKind, logical: LogicalType) -> bool {
    match kind {
        DatabaseKind::Postgres => postgres::row_set::compares_typed(logical),
        DatabaseKind::Mysql => mysql::row_set::compares_typed(logical),
        DatabaseKind::Sqlite => sqlite::row_set::compares_typed(logical),
    }
}

/// Any column as text, to compare with `r`'s columns.
pub(crate) fn comparable_text(kind: DatabaseKind, expression: &str) -> String {
    match kind {
        DatabaseKind::Postgres => postgres::row_set::comparable_text(expression),
        DatabaseKind::Mysql => mysql::row_set::comparable_text(expression),
        DatabaseKind::Sqlite => sqlite::row_set::comparable_text(expression),
    }
}

/// A table's column, of which `value` is the name, as a column of `r` would have it.
pub(crate) fn captured(kind: DatabaseKind, column: &ColumnDef, value: &str) -> String {
    match kind {
        DatabaseKind::Postgres => postgres::row_set::captured(column, value),
        DatabaseKind::Mysql => mysql::row_set::captured(column, value),
        DatabaseKind::Sqlite => sqlite::row_set::captured(column, value),
    }
}

/// Any expression as text that equals nothing but the same text.
pub(crate) fn exact_text(kind: DatabaseKind, expression: &str) -> String {
    match kind {
        DatabaseKind::Postgres => postgres::row_set::exact_text(expression),
        DatabaseKind::Mysql => mysql::row_set::exact_text(expression),
        DatabaseKind::Sqlite => sqlite::row_set::exact_text(expression),
    }
}

/// Whether a table's column has the value `asked` of a column of `r`: `own` is the column, as it stands and
/// [`captured`]. By the column's own comparison, so by its index, where it has one that is exact; `None` where nothing is.
/// `is_binary`: the value in `r` stands for binary data.
pub(crate) async fn key_equals(
    sql: &mut dyn Sql,
    table: (Option<&str>, &str),
    column: &ColumnDef,
    own: (&str, &str),
    asked: &str,
    is_binary: bool,
) -> Result<Option<String>, DbError> {
    Ok(match sql.kind() {
        DatabaseKind::Postgres => postgres::row_set::key_equals(sql, table, column, own, asked).await?,
        DatabaseKind::Mysql => mysql::row_set::key_equals(sql, table, column, own, asked).await?,
        DatabaseKind::Sqlite => Some(sqlite::row_set::key_equals(own.0, asked, is_binary)),
    })
}

/// A query for about how many rows a table has.
pub(crate) fn row_estimate(kind: DatabaseKind, schema: Option<&str>, table: &str) -> (String, Vec<Param>) {
    match kind {
        DatabaseKind::Postgres => postgres::statistics::row_estimate(schema, table),
        DatabaseKind::Mysql => mysql::statistics::row_estimate(schema, table),
        DatabaseKind::Sqlite => sqlite::statistics::row_estimate(schema, table),
    }
}
