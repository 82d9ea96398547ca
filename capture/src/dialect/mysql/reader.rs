//! Reading `sym_data` on MySQL and MariaDB: `data_id` order, with the ids remembered that were missing.
//!
//! The position is the highest id read and the gaps below it. An id is reserved before its row and its lock
//! exist, so an empty locking read proves nothing. A gap is given up only when every transaction has ended that
//! was open after it was seen ([`Settling`]), and a reading that began after that does not find it either.

use super::gaps::{Position, Walk};
use super::settling::Settling;
use crate::cutter::CapturedId;
use crate::dialect::reading::{ChangeReader, IS_REQUEST, IdlePoll, captured_id};
use crate::parameters::ParameterReceiver;
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use symstream_shared::db::{Database, DbError, Param, Sql};
use symstream_shared::schema::Tables;

/// Gaps that one statement asks for.
const GAPS_MAX: usize = 500;

pub(crate) struct Reader {
    database: Database,
    tables: Tables,
    idle: IdlePoll,
    /// As it is stored; `None` before the first reading.
    position: Option<Position>,
    settling: Settling,
}

impl Reader {
    /// Looks, one query by key, every `capture.poll.interval.max` at the least.
    pub(crate) fn new(database: Database, tables: Tables, parameters: ParameterReceiver) -> Self {
        Self {
            database,
            tables,
            idle: IdlePoll::new(parameters),
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
        let mut conn = self.database.conn().await?;
        // What is new is behind the highest id more often than in a gap.
        for (condition, params) in conditions(position).iter().rev() {
            let statement = format!(
                "select exists(select 1 from {} where {condition})",
                self.tables.name("data")
            );
            let found = conn.query_opt(&statement, params).await?;
            if found.map(|row| row.int(0)).transpose()? == Some(1) {
                return Ok(true);
            }
        }
        Ok(false)
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
            let conditions = conditions(&before);
            let table = self.tables.name("data");
            let mut transactions = Transactions::default();
            let mut found = Vec::with_capacity(conditions.len());
            for condition in &conditions {
                found.push(transactions.add(tx, &table, condition).await?);
            }
            let mut walk = Walk::new(&before);
            // Ascending: the gaps, then what is behind them.
            for ((condition, params), any) in conditions.iter().zip(found) {
                if !any {
                    continue;
                }
                let statement = format!(
                    "select data_id, channel_id, connection_id, transaction_id, {IS_REQUEST} from {table} where {condition} \
                     order by data_id"
                );
                tx.query_each(&statement, params, &mut |row| {
                    let data_id = row.int(0)?;
                    walk.found(data_id);
                    let channel = row.text(1)?;
                    let last = transactions.last(&channel, row.opt_int(2)?, row.opt_text(3)?);
                    each(captured_id(
                        data_id,
                        channel,
                        last.unwrap_or(data_id),
                        row.int(4)?,
                    )?);
                    Ok(())
                })
                .await?;
            }
            self.idle.found(!transactions.0.is_empty());
            let after = walk.finish(&self.settling.take_settled());
            Ok((after != before).then(|| after.to_string()))
        })
    }

    fn stored(&mut self, position: Option<&str>) -> Result<(), DbError> {
        self.position = Some(position.map_or_else(|| Ok(Position::default()), Position::parse)?);
        Ok(())
    }
}

/// What rows of a channel have in common that may be one transaction as far as anybody can tell.
#[derive(PartialEq, Eq, Hash)]
enum Common {
    Connection(Option<i64>),
    /// What an expression of the user's says.
    Expression(String),
}

/// For each channel, the last row in a reading of those that have something in common.
#[derive(Default)]
struct Transactions(HashMap<String, HashMap<Common, i64>>);

impl Transactions {
    /// Adds the rows of a condition; whether there are any. A window function would say it with each row, but
    /// MariaDB 10.11 takes minutes for some thousand rows.
    async fn add(
        &mut self,
        tx: &mut dyn Sql,
        table: &str,
        (condition, params): &(String, Vec<Param>),
    ) -> Result<bool, DbError> {
        let statement = format!(
            "select channel_id, connection_id, transaction_id, max(data_id) from {table} where {condition} \
             group by channel_id, connection_id, transaction_id"
        );
        let mut any = false;
        tx.query_each(&statement, params, &mut |row| {
            any = true;
            let last = row.int(3)?;
            let channel = self.0.entry(row.text(0)?).or_default();
            for common in commons(row.opt_int(1)?, row.opt_text(2)?) {
                let known = channel.entry(common).or_insert(last);
                *known = last.max(*known);
            }
            Ok(())
        })
        .await?;
        Ok(any)
    }

    /// The last row of everything that may be the transaction of one.
    fn last(&self, channel: &str, connection: Option<i64>, expression: Option<String>) -> Option<i64> {
        let channel = self.0.get(channel)?;
        let lasts = commons(connection, expression).filter_map(|common| channel.get(&common).copied());
        lasts.max()
    }
}

fn commons(connection: Option<i64>, expression: Option<String>) -> impl Iterator<Item = Common> {
    [Common::Connection(connection)]
        .into_iter()
        .chain(expression.map(Common::Expression))
}

/// What a reading has to look at, ascending: the gaps, then what is behind the highest id. Several conditions, because
/// a statement has at most 65,535 parameters, and as many gaps as a long transaction leaves time for.
fn conditions(position: &Position) -> Vec<(String, Vec<Param>)> {
    let mut pieces = position.gaps.as_slice().chunks(GAPS_MAX).peekable();
    let mut conditions = Vec::new();
    while let Some(piece) = pieces.next() {
        let mut condition = vec!["data_id between ? and ?"; piece.len()].join(" or ");
        let mut params: Vec<Param> = piece
            .iter()
            .flat_map(|&(first, last)| [Param::Int(first), Param::Int(last)])
            .collect();
        // Mostly there are a few gaps, and one statement for everything.
        if pieces.peek().is_none() {
            condition.push_str(" or data_id > ?");
            params.push(Param::Int(position.last));
        }
        conditions.push((condition, params));
    }
    if conditions.is_empty() {
        conditions.push(("data_id > ?".to_owned(), vec![Param::Int(position.last)]));
    }
    conditions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;
    use symstream_shared::db::{DatabaseKind, TxKind};

    #[tokio::test]
    async fn more_gaps_than_a_statement_has_parameters_are_read() {
        let node = TestNode::start(DatabaseKind::Mysql).await;
        // GIVEN every second id of 100,000 missing
        let gaps: Vec<String> = (1..=50_000).map(|n| (2 * n).to_string()).collect();
        let before = format!("100001 {}", gaps.join(","));
        let insert = "insert into sym_data (data_id, table_name, event_type, trigger_hist_id, channel_id, \
                      connection_id) values";
        // WHEN some come late, and one behind them: 4, 60000 and 100002 are one transaction
        for (id, connection) in [(3, 9), (4, 7), (60_000, 7), (60_002, 8), (100_002, 7)] {
            node.db
                .run(&format!("{insert} ({id}, 't', 'I', 1, 'main', {connection})"))
                .await;
        }
        let mut reader = Reader::new(
            node.source.database.clone(),
            node.source.tables.clone(),
            node.source.parameters.clone(),
        );
        reader.stored(Some(&before)).expect("position");
        assert!(reader.look().await.expect("look"));
        // THEN they are read, and nothing else
        let mut tx = node
            .source
            .database
            .begin(TxKind::Snapshot)
            .await
            .expect("snapshot");
        let mut read = Vec::new();
        let after = reader
            .read(&mut tx, Some(&before), &mut |row| {
                read.push((row.data_id, row.transaction_last));
            })
            .await
            .expect("reading");
        assert_eq!(
            read,
            [
                (4, 100_002),
                (60_000, 100_002),
                (60_002, 60_002),
                (100_002, 100_002)
            ]
        );
        let rest: Vec<String> = gaps
            .into_iter()
            .filter(|gap| !["4", "60000", "60002"].contains(&gap.as_str()))
            .collect();
        assert_eq!(after, Some(format!("100002 {}", rest.join(","))));
    }
}
