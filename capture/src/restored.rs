//! A database that was restored: from a backup, from a dump into another server, or upgraded with `pg_upgrade`.
//!
//! Noticed by batch ids that were published and that the database has not given out yet, and on PostgreSQL by another
//! system identifier or a position of the reader that lies in the future. Reading does not wait for NATS, so what was given
//! out when the agent started is noted before the first reading, and stays noted until NATS was asked, over restarts, too:
//! batches that are cut meanwhile have the numbers of others that were published. Then a new epoch begins by itself, in one
//! transaction:
//! 1. batch ids go on above everything that anybody was sent, so that no batch is taken for one that was applied already;
//! 2. what no router has reported on gets such a number, and is published, perhaps for the second time; but for statements
//!    (`S`), which go to nobody: they may have run;
//! 3. where transaction ids mean nothing any more, what no batch holds is cut, and reading goes on behind it ([`uncut`]);
//! 4. loads that were on their way begin anew;
//! 5. every source is asked to load the node anew ([`RestoredNote`]): its lanes went back, too.
//!
//! A crash in between leaves all of it to be noticed again.

mod uncut;

use crate::batch_store;
use crate::data_runs::DataRuns;
use crate::error::Error;
use crate::load;
use crate::recorder;
use crate::source::Source;
use crate::state;
use std::collections::{BTreeMap, BTreeSet};
use symstream_nats::Bus;
use symstream_shared::db::{DatabaseKind, Sql, TxKind};
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::restored::RestoredNote;
use symstream_shared::schema::Tables;

/// The PostgreSQL server that the position belongs to.
const SYSTEM_IDENTIFIER: &str = "system_identifier";

/// Looks whether the database is the one that its positions were stored by.
pub(crate) async fn check_database(source: &Source) -> Result<(), Error> {
    if source.database.kind() != DatabaseKind::Postgres {
        return Ok(());
    }
    let tables = &source.tables;
    let mut conn = source.database.conn().await?;
    let server = uncut::system_identifier(&mut conn).await?;
    let known = state::get(&mut conn, tables, SYSTEM_IDENTIFIER).await?;
    let position = state::get(&mut conn, tables, state::CAPTURE_POSITION).await?;
    let mut noticed = Vec::new();
    match &known {
        Some(known) if *known != server => {
            noticed.push(format!(
                "the server's system identifier is {server} and was {known}"
            ));
        }
        Some(_) => {}
        None => set_server(&mut conn, tables, &server).await?,
    }
    if let Some(position) = position
        && uncut::is_in_future(&mut conn, &position).await?
    {
        noticed.push(format!("reading was at {position}, which lies in the future"));
    }
    drop(conn);
    if noticed.is_empty() {
        return Ok(());
    }
    new_epoch(source, &noticed.join("; "), 0, Some(&server)).await
}

/// Notes which batch ids the database had given out before the agent reads anything, where that was not compared with what
/// was published since an earlier start.
pub(crate) async fn note_given_out(source: &Source) -> Result<(), Error> {
    let tables = &source.tables;
    let mut tx = source.database.begin(TxKind::Write).await?;
    if state::get(&mut tx, tables, state::UNCHECKED_FROM)
        .await?
        .is_none()
    {
        let given_out = state::number(&mut tx, tables, state::BATCH_ID).await?.to_string();
        state::replace(&mut tx, tables, state::UNCHECKED_FROM, None, &given_out).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// What is to be compared with what was published: what was noted, else what is given out now.
async fn unchecked_from(sql: &mut dyn Sql, tables: &Tables) -> Result<i64, Error> {
    match state::get(sql, tables, state::UNCHECKED_FROM).await? {
        Some(_) => state::number(sql, tables, state::UNCHECKED_FROM).await,
        None => state::number(sql, tables, state::BATCH_ID).await,
    }
}

/// Forgets what was noted at the start. Before anything is published: else the agent's own batches would be taken for those
/// of a database before it.
async fn forget_unchecked(sql: &mut dyn Sql, tables: &Tables) -> Result<(), Error> {
    let statement = format!("delete from {} where state_key = ?", tables.name("state"));
    sql.execute(&statement, &[state::UNCHECKED_FROM.into()]).await?;
    Ok(())
}

/// Looks whether anybody was sent a batch that the database knows nothing of.
pub(crate) async fn check_published(source: &Source, bus: &Bus) -> Result<(), Error> {
    let tables = &source.tables;
    let mut conn = source.database.conn().await?;
    let statement = format!(
        "select channel_id from {} union select channel_id from {}",
        tables.name("channel"),
        tables.name("capture_batch")
    );
    let mut channels = BTreeSet::from([ChannelId::reload()]);
    for row in conn.query(&statement, &[]).await? {
        channels.extend(ChannelId::new(row.text(0)?).ok());
    }
    drop(conn);
    let channels: Vec<ChannelId> = channels.into_iter().collect();
    let highest = bus.highest_batch(&source.node, &channels).await?;
    // Where nothing is noted, what is published meanwhile has a number that was given out before it is looked here.
    let mut conn = source.database.conn().await?;
    let given_out = unchecked_from(&mut conn, tables).await?;
    if highest <= given_out {
        return forget_unchecked(&mut conn, tables).await;
    }
    drop(conn);
    let noticed =
        format!("batch {highest} was published, and the database had given out {given_out} at most");
    new_epoch(source, &noticed, highest, None).await
}

/// Begins it. `published` is the highest batch id that anybody was sent; `server` is the server that the reader's
/// position belongs to from now on, where it has to be set anew: then nobody knows yet what was published.
async fn new_epoch(
    source: &Source,
    noticed: &str,
    published: i64,
    server: Option<&str>,
) -> Result<(), Error> {
    let tables = &source.tables;
    let mut tx = source.database.begin(TxKind::Snapshot).await?;
    let above = published.max(highest_of_own(&mut tx, tables).await?);
    let before = state::get(&mut tx, tables, state::BATCH_ID).await?;
    state::replace(
        &mut tx,
        tables,
        state::BATCH_ID,
        before.as_deref(),
        &above.to_string(),
    )
    .await?;
    let mut statements = give_up_statements(&mut tx, tables).await?;
    let renumbered = renumber(&mut tx, tables).await?;
    let mut cut = 0;
    if let Some(server) = server {
        cut = uncut::cut(&mut tx, tables).await?;
        statements.extend(give_up_statements(&mut tx, tables).await?);
        set_server(&mut tx, tables, server).await?;
    } else {
        forget_unchecked(&mut tx, tables).await?;
    }
    load::interrupt_above(&mut tx, tables, 0, "its source's database was restored").await?;
    let note = RestoredNote {
        reason: format!("its database was restored: {noticed}"),
        sources: sources(&mut tx, tables, &source.node).await?,
    };
    note.write(&mut tx, tables).await?;
    tx.commit().await?;
    for (batch_id, runs) in statements {
        tracing::warn!(
            node_id = %source.node, batch_id, data_ids = %runs,
            "the database was restored: a statement (S) that was not confirmed may have run, so it is not sent again; send it \
             again if it is still wanted"
        );
    }
    let asked: Vec<&str> = note.sources.keys().map(NodeId::as_str).collect();
    tracing::warn!(
        node_id = %source.node, noticed, batch_id = above, published_again = renumbered, rows_cut = cut,
        sources = asked.join(", "),
        "the database was restored: batches go on above all that were published, what was not confirmed is published \
         again, and the node's sources are asked to load it anew. Rows that were captured after the backup are lost \
         here; nodes that have them keep them unless they are loaded from this one (symadmin reload-node)"
    );
    Ok(())
}

/// The highest batch id in the node's own tables.
async fn highest_of_own(tx: &mut dyn Sql, tables: &Tables) -> Result<i64, Error> {
    let mut highest = state::number(tx, tables, state::BATCH_ID).await?;
    for (table, column) in [
        ("capture_batch", "batch_id"),
        ("outgoing_batch", "batch_id"),
        ("load", "load_id"),
    ] {
        let statement = format!("select max({column}) from {}", tables.name(table));
        let row = tx.query_opt(&statement, &[]).await?;
        let of_table = row.map(|row| row.opt_int(0)).transpose()?.flatten();
        highest = highest.max(of_table.unwrap_or(0));
    }
    Ok(highest)
}

/// Ends the batches with statements (`S`) that no router has reported on: nobody knows whether they have run, and to run one
/// twice may do harm. They stay under their numbers, for a report that comes yet. Which they were.
async fn give_up_statements(tx: &mut dyn Sql, tables: &Tables) -> Result<Vec<(i64, DataRuns)>, Error> {
    let statement = format!(
        "select data_id from {} where event_type = 'S' order by data_id",
        tables.name("data")
    );
    let rows = tx.query(&statement, &[]).await?;
    let statements: Vec<i64> = rows.iter().map(|row| row.int(0)).collect::<Result<_, _>>()?;
    if statements.is_empty() {
        return Ok(Vec::new());
    }
    let table = tables.name("capture_batch");
    let statement = format!(
        "select batch_id, data_ranges from {table} where routed = 0 and batch_type = 'EV' order by batch_id"
    );
    let mut given_up = Vec::new();
    for row in tx.query(&statement, &[]).await? {
        let runs: DataRuns = row
            .opt_text(1)?
            .unwrap_or_default()
            .parse()
            .map_err(|err| Error::Damaged {
                table: table.clone(),
                why: format!("{err}"),
            })?;
        let has_statement = runs.as_slice().iter().any(|(first, last)| {
            let at = statements.partition_point(|id| id < first);
            statements.get(at).is_some_and(|id| id <= last)
        });
        if has_statement {
            given_up.push((row.int(0)?, runs));
        }
    }
    for (batch_id, runs) in &given_up {
        recorder::record_for_nobody(tx, tables, *batch_id, runs).await?;
    }
    Ok(given_up)
}

/// Gives every batch of changes that no router has reported on a new number, in the same order. What a router or a target
/// has said of it already goes with it.
async fn renumber(tx: &mut dyn Sql, tables: &Tables) -> Result<usize, Error> {
    let statement = format!(
        "select batch_id from {} where routed = 0 and batch_type = 'EV' order by batch_id",
        tables.name("capture_batch")
    );
    let rows = tx.query(&statement, &[]).await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let first = batch_store::allocate(tx, tables, i64::try_from(rows.len()).unwrap_or(i64::MAX)).await?;
    for (row, batch_id) in rows.iter().zip(first..) {
        for table in [
            "capture_batch",
            "data_event",
            "outgoing_batch",
            "outgoing_batch_hist",
        ] {
            let statement = format!(
                "update {} set batch_id = ? where batch_id = ?",
                tables.name(table)
            );
            tx.execute(&statement, &[batch_id.into(), row.int(0)?.into()])
                .await?;
        }
    }
    Ok(rows.len())
}

/// The nodes that send this one something, each with the newest load from it.
async fn sources(tx: &mut dyn Sql, tables: &Tables, node: &NodeId) -> Result<BTreeMap<NodeId, i64>, Error> {
    let load = tables.name("incoming_load");
    let statement = format!(
        "select s.node_id, (select l.load_id from {load} l where l.source_node_id = s.node_id) from \
         (select source_node_id as node_id from {lane} union select source_node_id from {load} \
         union select created_at_node_id from {table} where node_id = ?) s where s.node_id is not null and s.node_id <> ?",
        lane = tables.name("incoming_lane"),
        table = tables.name("node"),
    );
    let rows = tx
        .query(&statement, &[node.as_str().into(), node.as_str().into()])
        .await?;
    rows.iter()
        .map(|row| {
            let source = NodeId::new(row.text(0)?).map_err(|err| Error::Damaged {
                table: tables.name("incoming_lane"),
                why: err.to_string(),
            })?;
            Ok((source, row.opt_int(1)?.unwrap_or(0)))
        })
        .collect()
}

async fn set_server(sql: &mut dyn Sql, tables: &Tables, server: &str) -> Result<(), Error> {
    let statement = format!(
        "insert into {} (state_key, state_value) values (?, ?){}",
        tables.name("state"),
        sql.kind().or_update(&["state_key"], &["state_value"])
    );
    sql.execute(&statement, &[SYSTEM_IDENTIFIER.into(), server.into()])
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
