//! Reading `sym_data` on PostgreSQL: snapshots, as PgQ does.
//!
//! The position is the snapshot of the previous reading. New are the rows whose transaction that snapshot did
//! not see: begun after it (`xact_id >= xmax`) or open in it (`xip`). So nothing is skipped because it committed
//! late, and nobody waits for an open transaction.

use crate::cutter::CapturedId;
use crate::dialect::reading::{ChangeReader, IS_REQUEST, captured_id};
use futures_util::future::BoxFuture;
use std::time::Duration;
use symstream_shared::db::{Database, DbError, Listener, Param, Sql};
use symstream_shared::retry::Disposition;
use symstream_shared::schema::Tables;

/// Notifications can be lost with a connection: so often the reader looks for itself.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(crate) struct Reader {
    database: Database,
    tables: Tables,
    listener: Option<Listener>,
    /// Something may have been committed before the listener began.
    look_now: bool,
}

impl Reader {
    pub(crate) fn new(database: Database, tables: Tables) -> Self {
        Self {
            database,
            tables,
            listener: None,
            look_now: true,
        }
    }

    async fn listen(&mut self) -> Result<(), DbError> {
        let name = self.tables.name("data");
        self.listener = self.database.listen(&name).await?;
        self.look_now = true;
        Ok(())
    }
}

impl ChangeReader for Reader {
    fn wait(&mut self) -> BoxFuture<'_, Result<(), DbError>> {
        Box::pin(async move {
            if self.listener.is_none() {
                self.listen().await?;
            }
            if std::mem::take(&mut self.look_now) {
                return Ok(());
            }
            let Some(listener) = &mut self.listener else {
                return Ok(());
            };
            match tokio::time::timeout(LOOK_EVERY, listener.notified()).await {
                Ok(Err(err)) => {
                    self.listener = None;
                    Err(err)
                }
                Ok(Ok(())) | Err(_) => Ok(()),
            }
        })
    }

    fn read<'a>(
        &'a mut self,
        tx: &'a mut dyn Sql,
        before: Option<&'a str>,
        each: &'a mut (dyn FnMut(CapturedId) + Send),
    ) -> BoxFuture<'a, Result<Option<String>, DbError>> {
        Box::pin(async move {
            let question = format!(
                "select cast(pg_current_snapshot() as text), \
                 case when exists (select 1 from {} where tx_id_expression is not null) then 1 else 0 end",
                self.tables.name("trigger")
            );
            let now = tx.query(&question, &[]).await?;
            let now = now.first().ok_or_else(|| DbError::unexpected("no snapshot"))?;
            let (now, has_expressions) = (now.text(0)?, now.int(1)? != 0);
            let previous = before.map(Snapshot::parse).transpose()?;
            let current = Snapshot::parse(&now)?;
            if previous
                .as_ref()
                .is_some_and(|previous| previous.xmax > current.xmax)
            {
                // Reading begins anew, and a new epoch with it (`crate::restored`).
                return Err(DbError {
                    disposition: Disposition::Retry,
                    ..DbError::unexpected("the database's transaction ids went backwards: it was restored")
                });
            }
            let (condition, params) = match &previous {
                None => ("true", Vec::new()),
                Some(previous) => (
                    "xact_id >= cast(cast(? as text) as xid8) or xact_id = any(cast(cast(? as text) as xid8[]))",
                    vec![
                        Param::Text(previous.xmax.to_string()),
                        Param::Text(format!("{{{}}}", previous.open)),
                    ],
                ),
            };
            let statement = statement(&self.tables.name("data"), condition, has_expressions);
            let mut any = false;
            tx.query_each(&statement, &params, &mut |row| {
                any = true;
                each(captured_id(row.int(0)?, row.text(1)?, row.int(2)?, row.int(3)?)?);
                Ok(())
            })
            .await?;
            // A window without rows stays: the next one begins at the same place and costs no more.
            Ok(any.then_some(now))
        })
    }

    /// What to look at stands in the tables: every reading asks for it.
    fn stored(&mut self, _position: Option<&str>) -> Result<(), DbError> {
        Ok(())
    }
}

/// New rows, transaction by transaction in the order of their last rows. What an expression of the user's calls one
/// transaction is cut behind the last real one of it; without expressions `transaction_id` says the same as `xact_id`,
/// and the second sorting is spared.
fn statement(data: &str, condition: &str, has_expressions: bool) -> String {
    let new = format!(
        "select data_id, channel_id, transaction_id, \
         max(data_id) over (partition by channel_id, xact_id) as transaction_last, {IS_REQUEST} as is_request \
         from {data} where {condition}"
    );
    let last = if has_expressions {
        "case when transaction_id is null then transaction_last \
         else max(transaction_last) over (partition by channel_id, transaction_id) end"
    } else {
        "transaction_last"
    };
    format!(
        "select data_id, channel_id, {last}, is_request from ({new}) as new order by new.transaction_last, data_id"
    )
}

/// `xmin:xmax:xip_list`, as `pg_snapshot` prints it.
struct Snapshot {
    /// The first transaction id that was not given out yet.
    xmax: u64,
    /// The transactions that were open, separated by commas.
    open: String,
}

impl Snapshot {
    fn parse(text: &str) -> Result<Self, DbError> {
        let mut parts = text.split(':');
        let (xmin, xmax, open) = (parts.next(), parts.next(), parts.next());
        match (xmin, xmax.map(str::parse), open) {
            (Some(_), Some(Ok(xmax)), Some(open))
                if parts.next().is_none() && open.chars().all(|c| c.is_ascii_digit() || c == ',') =>
            {
                Ok(Self {
                    xmax,
                    open: open.to_owned(),
                })
            }
            _ => Err(DbError::unexpected(format!("position {text:?} is no snapshot"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_tells_what_it_did_not_see() {
        let snapshot = Snapshot::parse("10:20:10,14,15").expect("snapshot");
        assert_eq!((snapshot.xmax, snapshot.open.as_str()), (20, "10,14,15"));
        assert_eq!(Snapshot::parse("10:10:").expect("snapshot").open, "");
        assert!(Snapshot::parse("10:20").is_err());
        assert!(Snapshot::parse("10:20:1;drop").is_err());
    }
}
