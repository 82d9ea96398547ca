//! Captured batches that every target has.

use super::{Figures, Pace};
use crate::data_runs::{DataRuns, RUNS_MAX};
use crate::error::Error;
use crate::source::Source;
use std::collections::BTreeSet;
use std::time::Instant;
use symstream_shared::db::{Param, Sql, TxKind};
use symstream_shared::model::{Config, RuleKind};

/// Batches that are looked at with one query, and the most that one transaction removes.
const BATCHES_MAX: usize = 200;

/// Rows that one query looks through.
const IDS_MAX: i64 = 100_000;

/// A batch that may be removed.
struct Candidate {
    batch_id: i64,
    runs: DataRuns,
    /// Whether it is `OK` everywhere, or only where it still counts.
    is_ok_everywhere: bool,
}

/// Removes them, oldest first.
pub(super) async fn purge(
    source: &Source,
    config: &Config,
    before_ms: i64,
    pace: &mut Pace,
    figures: &mut Figures,
) -> Result<(), Error> {
    let lookup_tables = lookup_tables(config);
    let mut after = 0;
    loop {
        let (candidates, next) = window(source, before_ms, after, &lookup_tables).await?;
        let mut group = Group::default();
        for candidate in candidates {
            figures.batches += 1;
            figures.batches_not_ok += u64::from(!candidate.is_ok_everywhere);
            group.add(candidate);
            if group.rows >= pace.rows() {
                figures.rows += std::mem::take(&mut group).remove(source, pace).await?;
            }
        }
        figures.rows += group.remove(source, pace).await?;
        match next {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
}

/// The batches behind `after` that may be removed, and where to go on; `None` at the first that is not old. Batch ids
/// are given out in the order of time, so nothing behind it is old, or it is next time.
async fn window(
    source: &Source,
    before_ms: i64,
    after: i64,
    lookup_tables: &[String],
) -> Result<(Vec<Candidate>, Option<i64>), Error> {
    let batch = source.tables.name("capture_batch");
    let not_ok = format!(
        "exists (select 1 from {} o where o.batch_id = b.batch_id and (o.status is null or o.status <> 'OK')",
        source.tables.name("outgoing_batch")
    );
    // A node that needs a reload is loaded anew: nothing waits for it any more.
    let (node, need) = (source.tables.name("node"), source.tables.name("reload_need"));
    let statement = format!(
        "select b.batch_id, b.data_ranges, case when b.create_time >= ? then 1 else 0 end, \
         case when b.routed = 0 or {not_ok} and exists (select 1 from {node} n where n.node_id = o.node_id) \
         and not exists (select 1 from {need} m where m.node_id = o.node_id)) then 1 else 0 end, case when {not_ok}) then 1 else 0 end, \
         case when b.batch_id > (select min(u.batch_id) from {batch} u where u.routed = 0 and u.batch_type = 'EV') \
         then 1 else 0 end \
         from {batch} b where b.batch_id > ? order by b.batch_id limit {BATCHES_MAX}"
    );
    let mut conn = source.database.conn().await?;
    let rows = conn
        .query(&statement, &[Param::Time(before_ms), after.into()])
        .await?;
    let mut candidates = Vec::new();
    let mut next = None;
    for row in &rows {
        if row.int(2)? != 0 {
            return Ok((candidates, None));
        }
        next = Some(row.int(0)?);
        if row.int(3)? != 0 {
            continue;
        }
        let candidate = Candidate {
            batch_id: row.int(0)?,
            runs: runs(row.opt_text(1)?, &batch)?,
            is_ok_everywhere: row.int(4)? == 0,
        };
        let is_behind_unrouted = row.int(5)? != 0;
        if !is_behind_unrouted || !has_links(source, &mut conn, &candidate.runs, lookup_tables).await? {
            candidates.push(candidate);
        }
    }
    Ok((candidates, next.filter(|_| rows.len() == BATCHES_MAX)))
}

fn runs(text: Option<String>, table: &str) -> Result<DataRuns, Error> {
    let runs = text.unwrap_or_default().parse();
    runs.map_err(|err| Error::Damaged {
        table: table.to_owned(),
        why: format!("{err}"),
    })
}

/// The tables that rules look up who gets a row, in lower case.
fn lookup_tables(config: &Config) -> Vec<String> {
    let tables = config.routers.values().filter_map(|router| match &router.kind {
        RuleKind::Lookup(lookup) => Some(lookup.lookup_table.to_lowercase()),
        _ => None,
    });
    tables.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Whether any of the rows is a link that was changed or deleted: a batch before it that is not routed yet may have to
/// know it ([`crate::links`]).
async fn has_links(
    source: &Source,
    sql: &mut dyn Sql,
    runs: &DataRuns,
    lookup_tables: &[String],
) -> Result<bool, Error> {
    if lookup_tables.is_empty() {
        return Ok(false);
    }
    let marks = vec!["?"; lookup_tables.len()].join(", ");
    for piece in runs.pieces(IDS_MAX, RUNS_MAX) {
        let (condition, mut params) = piece.condition("data_id");
        let statement = format!(
            "select 1 from {} where ({condition}) and event_type in ('U', 'D') and lower(table_name) in ({marks}) limit 1",
            source.tables.name("data")
        );
        params.extend(lookup_tables.iter().map(|table| Param::from(table.as_str())));
        if sql.query_opt(&statement, &params).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Batches that are removed together.
#[derive(Default)]
struct Group {
    batch_ids: Vec<i64>,
    runs: DataRuns,
    rows: i64,
}

impl Group {
    fn add(&mut self, candidate: Candidate) {
        self.batch_ids.push(candidate.batch_id);
        self.rows += candidate.runs.len();
        self.runs.append(&candidate.runs);
    }

    /// Removes the rows, then the batches: a purge that was interrupted finds them again. How many rows there were.
    async fn remove(self, source: &Source, pace: &mut Pace) -> Result<u64, Error> {
        if self.batch_ids.is_empty() {
            return Ok(0);
        }
        let tables = &source.tables;
        let mut rows = 0;
        let mut left = self.runs;
        loop {
            let began = Instant::now();
            let (piece, rest) = left.split_first(pace.rows(), RUNS_MAX);
            left = rest;
            let is_last = left.as_slice().is_empty();
            let mut tx = source.database.begin(TxKind::Write).await?;
            if !piece.as_slice().is_empty() {
                let (condition, params) = piece.condition("data_id");
                let delete = |table: &str| format!("delete from {} where {condition}", tables.name(table));
                tx.execute(&delete("data_event"), &params).await?;
                rows += tx.execute(&delete("data"), &params).await?;
            }
            if is_last {
                let ids: Vec<Param> = self.batch_ids.iter().map(|id| Param::Int(*id)).collect();
                let marks = vec!["?"; ids.len()].join(", ");
                for table in ["outgoing_batch_hist", "outgoing_batch", "capture_batch"] {
                    let delete = format!("delete from {} where batch_id in ({marks})", tables.name(table));
                    tx.execute(&delete, &ids).await?;
                }
            }
            tx.commit().await?;
            pace.pause(began).await;
            if is_last {
                return Ok(rows);
            }
        }
    }
}
