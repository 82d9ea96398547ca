//! What the batches of a load do, in their transactions.

use super::{Load, LoadRecords};
use crate::apply::Applier;
use crate::attempt::Ended;
use crate::ledger::Ledger;
use crate::own_changes::OwnChanges;
use crate::spool::Spool;
use symstream_shared::captured::HistCache;
use symstream_shared::db::Sql;
use symstream_shared::ddl::{self, DdlError};
use symstream_shared::id::NodeId;
use symstream_shared::schema::Tables;
use symstream_shared::wire::{LanePart, LoadBegin, LoadPart, LoadStep};

/// The steps of one batch.
pub(crate) struct LoadSteps<'a> {
    pub ledger: &'a Ledger,
    pub spool: &'a Spool,
    pub records: &'a LoadRecords,
    pub source: &'a NodeId,
    pub tables: &'a Tables,
    /// What captured rows mean.
    pub history: &'a mut HistCache,
    /// The tables that the batch wants are there.
    pub created: bool,
}

/// What became of a part.
pub(crate) enum Stepped {
    /// It is written.
    Done,
    /// It is written, and the source's lanes are to be read again.
    Moved,
    /// Nothing yet: these tables have to be there first. Not every database creates them in a transaction.
    Create(String),
}

impl LoadSteps<'_> {
    /// Writes one part of a batch of a load. What belongs to a load that is over here, or that another one has taken the
    /// place of, is passed over: its rows are older than what came since.
    ///
    /// # Errors
    /// [`Ended`]; the transaction has to be rolled back then.
    pub(crate) async fn write(
        &mut self,
        sql: &mut dyn Sql,
        applier: &mut Applier<'_>,
        load: &LoadPart,
        part: &LanePart,
    ) -> Result<Stepped, Ended> {
        let LoadPart { load_id, step } = load;
        match step {
            LoadStep::Begin(LoadBegin {
                create: Some(xml), ..
            }) if !self.created => {
                self.check_names(xml)?;
                return Ok(Stepped::Create(xml.clone()));
            }
            LoadStep::Begin(begin) => self.begin(sql, applier, *load_id, begin, &part.target).await?,
            LoadStep::Rows | LoadStep::Early => {
                let now = self.records.of(sql, self.source).await?;
                if is_in_hand(now, *load_id) {
                    let seen = self.records.seen(sql, self.source).await?;
                    let mut own = OwnChanges::new(self.tables, self.source, seen, self.history);
                    let again = *step == LoadStep::Early;
                    let rows = applier.apply_sparing(sql, &part.rows, &mut own, again).await;
                    let rows = i64::try_from(rows.map_err(Ended::Apply)?).unwrap_or(i64::MAX);
                    self.records.count(sql, self.source, *load_id, rows).await?;
                }
                return Ok(Stepped::Done);
            }
            LoadStep::End => self.records.complete(sql, self.source, *load_id).await?,
            LoadStep::Cancelled => self.records.cancel(sql, self.source, *load_id).await?,
        }
        Ok(Stepped::Moved)
    }

    /// Tables with names like those of the node's own are not created.
    fn check_names(&self, xml: &str) -> Result<(), Ended> {
        let tables = ddl::described(xml).map_err(|err| Ended::Create(err.into()))?;
        match tables.into_iter().find(|table| self.tables.owns(&table.name)) {
            Some(table) => Err(Ended::Create(DdlError::Table {
                table: table.name,
                why: "it would be one of this node's own".to_owned(),
            })),
            None => Ok(()),
        }
    }

    /// The lanes jump first: a batch that another channel is writing meanwhile is either committed, and its rows are
    /// cleared, or finds its lane moved.
    async fn begin(
        &mut self,
        sql: &mut dyn Sql,
        applier: &mut Applier<'_>,
        load_id: i64,
        begin: &LoadBegin,
        target: &NodeId,
    ) -> Result<(), Ended> {
        self.ledger.jump(sql, self.source, load_id).await?;
        self.spool
            .remove_others_through(sql, self.source, load_id)
            .await?;
        self.spool.remove_through(sql, self.source, load_id).await?;
        let seen: Vec<(&str, i64)> = begin
            .seen
            .iter()
            .filter(|seen| seen.node == *target)
            .map(|seen| (seen.channel.as_str(), seen.batch_id))
            .collect();
        self.records.begin(sql, self.source, load_id, &seen).await?;
        let seen = seen
            .iter()
            .map(|&(channel, batch_id)| (channel.to_owned(), batch_id));
        let mut own = OwnChanges::new(self.tables, self.source, seen.collect(), self.history);
        applier
            .clear(sql, &begin.clear, &mut own)
            .await
            .map_err(Ended::Apply)
    }
}

fn is_in_hand(now: Load, load_id: i64) -> bool {
    now.load_id == load_id && !now.is_over
}
