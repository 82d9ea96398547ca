//! Reading `sym_data` on MySQL and MariaDB: `data_id` order, with the ids remembered that were missing.
//!
//! The position is the highest id read and the gaps below it. An id is reserved before its row and its lock
//! exist, so an empty locking read proves nothing. A gap is given up only when every transaction has ended that
//! was open after it was seen ([`Settling`]), and a reading that began after that does not find it either.

use super::gaps::{Position, Walk};
use super::settling::Settling;
use crate::cutter::CapturedId;
use crate::dialect::reading::{ChangeReader, IdlePoll, captured_id};
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::time::Duration;
use symstream_shared::db::{Database, DbError, Param, Sql};
use symstream_shared::schema::Tables;

/// A look is one query by key.
const LOOK_EVERY_MAX: Duration = Duration::from_millis(200);

pub(crate) struct Reader {
    database: Database,
    tables: Tables,
    idle: IdlePoll,
    /// As it is stored; `None` before the first reading.
    position: Option<Position>,
    settling: Settling,
}

impl Reader {
    pub(crate) fn new(database: Database, tables: Tables) -> Self {
        Self {
            database,
            tables,
            idle: IdlePoll::new(LOOK_EVERY_MAX),
            position: None,
            settling: Settling::default(),
        }
    }

    async fn look(&mut self) -> Result<bool, DbError> {
        let Some(position) = &self.position else {
            // Fails here, with a clear message, rather than when the first gap has to be settled.
            Settling::open_transactions(&self.database).await?;
            return Ok(true);
        };
        if self.settling.advance(&self.database, &position.gaps).await? {
            return Ok(true);
        }
        let (condition, params) = condition(position);
        let statement = format!(
            "select exists(select 1 from {} where {condition})",
            self.tables.name("data")
        );
        let found = self.database.query_opt(&statement, &params).await?;
        Ok(found.map(|row| row.int(0)).transpose()? == Some(1))
    }
}

impl ChangeReader for Reader {
    fn wait(&mut self) -> BoxFuture<'_, Result<(), DbError>> {
        Box::pin(async move {
            while !self.look().await? {
                self.idle.pause().await;
            }
            Ok(())
        })
    }

    fn read<'a>(
        &'a mut self,
        tx: &'a mut dyn Sql,
        before: Option<&'a str>,
        each: &'a mut (dyn FnMut(CapturedId) + Send),
    ) -> BoxFuture<'a, Result<Option<String>, DbError>> {
        Box::pin(async move {
            let before = before.map_or_else(|| Ok(Position::default()), Position::parse)?;
            let (condition, params) = condition(&before);
            let table = self.tables.name("data");
            let transactions = transactions(tx, &table, &condition, &params).await?;
            let statement = format!(
                "select data_id, channel_id, connection_id, transaction_id from {table} where {condition} \
                 order by data_id"
            );
            let mut walk = Walk::new(&before);
            tx.query_each(&statement, &params, &mut |row| {
                let data_id = row.int(0)?;
                walk.found(data_id);
                let key = (row.text(1)?, row.opt_int(2)?, row.opt_text(3)?);
                let transaction_last = transactions.get(&key).copied().unwrap_or(data_id);
                each(captured_id(data_id, key.0, transaction_last)?);
                Ok(())
            })
            .await?;
            self.idle.found(!transactions.is_empty());
            let after = walk.finish(&self.settling.take_settled());
            Ok((after != before).then(|| after.to_string()))
        })
    }

    fn stored(&mut self, position: Option<&str>) -> Result<(), DbError> {
        self.position = Some(position.map_or_else(|| Ok(Position::default()), Position::parse)?);
        Ok(())
    }
}

/// Channel, connection, and what an expression of the user's says: rows that have all of it in common may be one
/// transaction as far as anybody can tell.
type Transaction = (String, Option<i64>, Option<String>);

/// The last row of each transaction in a reading. A window function would say it with each row, but MariaDB 10.11
/// takes minutes for some thousand rows.
async fn transactions(
    tx: &mut dyn Sql,
    table: &str,
    condition: &str,
    params: &[Param],
) -> Result<HashMap<Transaction, i64>, DbError> {
    let statement = format!(
        "select channel_id, connection_id, transaction_id, max(data_id) from {table} where {condition} \
         group by channel_id, connection_id, transaction_id"
    );
    let mut transactions = HashMap::new();
    tx.query_each(&statement, params, &mut |row| {
        transactions.insert((row.text(0)?, row.opt_int(1)?, row.opt_text(2)?), row.int(3)?);
        Ok(())
    })
    .await?;
    Ok(transactions)
}

/// What a reading has to look at: behind the highest id, and in the gaps.
fn condition(position: &Position) -> (String, Vec<Param>) {
    let mut condition = "data_id > ?".to_owned();
    let mut params = vec![Param::Int(position.last)];
    for &(first, last) in position.gaps.as_slice() {
        condition.push_str(" or data_id between ? and ?");
        params.extend([Param::Int(first), Param::Int(last)]);
    }
    (condition, params)
}
