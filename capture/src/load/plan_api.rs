//! What a load reads, as its extraction sees it: who is loaded together, and the steps in which rows come.

use super::plan::{self, LoadTable, Options, Tombstones};
use super::rows::{self, ChangeTaker};
use crate::data_runs::DataRuns;
use crate::decode::HistCache;
use crate::error::Error;
use crate::source::Source;
use std::collections::HashSet;
use symstream_shared::db::Tx;
use symstream_shared::id::GroupId;
use symstream_shared::model::{Config, Node};
use symstream_shared::wire::{LoadBegin, Operation};

/// The nodes of one load. They get the same batches, so all of them have the same [`signature`].
pub(super) struct LoadTargets<'a> {
    /// The load.
    pub load_id: i64,
    /// Never empty.
    pub nodes: Vec<&'a Node>,
    /// Whether the targets' tables are cleared whatever their parameters say.
    pub clear_first: bool,
    /// The rows of `sym_data` that the snapshot shows and no batch in it has: those that were cut when it was taken.
    pub uncut: DataRuns,
}

/// What one load sends.
pub(super) struct LoadPlan {
    /// How it begins at its targets.
    pub begin: LoadBegin,
    /// Its rows, in the order in which they are applied.
    pub steps: Vec<Step>,
    /// How many rows the statistics say there are.
    pub row_estimate: i64,
}

impl LoadPlan {
    /// How many tables its rows are of.
    pub(super) fn table_count(&self) -> i64 {
        let tables: HashSet<&str> = self.steps.iter().map(Step::table).collect();
        i64::try_from(tables.len()).unwrap_or(i64::MAX)
    }
}

/// One reading within the load's snapshot.
pub(super) struct Step {
    /// What it reads.
    pub reading: Reading,
    /// Steps next to each other with the same number go into one batch, however large it becomes: their rows refer to
    /// each other.
    pub circle: Option<u32>,
}

/// What a step reads.
pub(super) enum Reading {
    /// Rows of a table, as inserts, or as updates of rows that the load has sent before.
    Rows(LoadTable, Operation),
    /// Deletes of rows that the targets may have and the snapshot has not; before them updates that part such rows from
    /// each other.
    Tombstones(Tombstones),
}

impl Step {
    /// The table at the source, for `sym_load.current_table`.
    pub(super) fn table(&self) -> &str {
        match &self.reading {
            Reading::Rows(table, _) => &table.layout.table.source_table,
            Reading::Tombstones(tombstones) => tombstones.table(),
        }
    }

    /// Hands the step's changes to `taker`, one after the other, and never holds more than some chunks of rows.
    pub(super) async fn read(&self, snapshot: &mut Tx, taker: &mut impl ChangeTaker) -> Result<(), Error> {
        match &self.reading {
            Reading::Rows(table, operation) => rows::read(snapshot, table, 0, *operation, taker).await,
            Reading::Tombstones(tombstones) => tombstones.read(snapshot, taker).await,
        }
    }
}

/// What `node`'s load depends on: nodes with the same one can be loaded together. Pure, because it is asked for before
/// there is a snapshot.
pub(super) fn signature(config: &Config, group: &GroupId, node: &Node) -> String {
    plan::signature(config, group, node)
}

/// What the load sends, as `snapshot` shows it. Everything is read there, also what is asked about the configuration's
/// tables; nothing else is read until the steps are.
pub(super) async fn plan(
    snapshot: &mut Tx,
    source: &Source,
    config: &Config,
    targets: &LoadTargets<'_>,
) -> Result<LoadPlan, Error> {
    let Some(node) = targets.nodes.first() else {
        return Err(Error::Task(format!("load {} is for nobody", targets.load_id)));
    };
    let arranged = plan::tables(snapshot, source, config, node, &mut HistCache::new()).await?;
    let tables = &arranged.tables;
    let mut options = Options::of(config, node);
    options.clear |= targets.clear_first;
    let begin = plan::begin(snapshot, source, &targets.nodes, options, tables).await?;
    let row_estimate = plan::estimate(snapshot, tables).await?;
    // Tables that are cleared have nothing too many.
    let tombstones = match options.clear {
        true => Vec::new(),
        false => plan::tombstones(snapshot, source, config, &targets.nodes, &targets.uncut, tables).await?,
    };
    let rows = arranged.into_rows().map(|step| Step {
        reading: Reading::Rows(step.table, step.operation),
        circle: step.circle,
    });
    let tombstones = tombstones.into_iter().map(|tombstones| Step {
        circle: tombstones.circle,
        reading: Reading::Tombstones(tombstones),
    });
    Ok(LoadPlan {
        begin,
        steps: rows.chain(tombstones).collect(),
        row_estimate,
    })
}
