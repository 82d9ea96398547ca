//! Publishing batches: for each channel one task, one batch after the other.
//!
//! The order of things, and what a crash between them leaves:
//! 1. the last message on the channel's subject says where to go on. If it is the last part of its batch, the
//!    next batch is the first unreported one behind it;
//! 2. if it is an earlier part, a crash came between two parts. Nobody acts upon them without the last one, and
//!    encoded again the batch might fall into other parts (a lookup may answer differently now), so it and all
//!    behind it get new numbers and it is published whole;
//! 3. if there is none, or an older one than before, the stream has lost messages: publishing begins at the first
//!    unreported batch again;
//! 4. it waits until the newest configuration was asked for over the connection that is there now: what was captured
//!    while NATS was away is routed by the rules that hold when it is back;
//! 5. a batch is encoded in one snapshot transaction, completely, because each message names how many there are;
//!    then published, one message in flight, fenced by the subject's last sequence. From its first part on nothing but the end
//!    of the process keeps it from being published to its last one.

mod quiet;
mod sending;
mod weights;

pub(crate) use sending::Sending;

use self::quiet::Newer;
use self::weights::Weight;
use crate::answers::Asker;
use crate::batch_rows::{BatchRows, Piece};
use crate::batch_store::{self, StoredBatch};
use crate::data_runs::DataRuns;
use crate::decode::HistCache;
use crate::error::Error;
use crate::load::{self, Reservations};
use crate::part_encoder::{BatchInfo, PartEncoder};
use crate::recorder;
use crate::restored;
use crate::source::{ConfigReceiver, Source};
use crate::spool::Spool;
use crate::state;
use crate::supervision::until_done;
use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use symstream_nats::{BatchType, Bus, CapturedPublisher, PartHeader};
use symstream_shared::db::TxKind;
use symstream_shared::id::ChannelId;
use symstream_shared::model::Config;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Batches that are looked up at once.
const BATCHES_AHEAD: i64 = 64;
/// How often the tables are asked although the reader announced nothing.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long a reload waits for a moment in which all changes of its channel are in front of it.
const QUIET_WITHIN: Duration = Duration::from_secs(30);
/// How long the reader has to cut what a reload's snapshot found.
const UNCUT_FOR: Duration = Duration::from_secs(1);
/// How often it is seen whether a channel that is switched off was switched on.
const SWITCHED_OFF_FOR: Duration = Duration::from_secs(1);

/// Publishes for ever: a task for each channel that has something to publish. `cut` changes when the reader has
/// cut batches. Dropped between two messages it leaves nothing that the next start does not resume.
pub(crate) async fn run(
    source: Source,
    bus: Bus,
    config: ConfigReceiver,
    mut cut: watch::Receiver<u64>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let mut channels = HashSet::new();
    let mut seen = 0;
    let mut tasks = JoinSet::new();
    let (weights, weighed) = weights::channel();
    tasks.spawn({
        let (source, shutdown) = (source.clone(), shutdown.clone());
        async move {
            let name = format!("counting of bytes of node {}", source.node);
            until_done::<Infallible, _>(&name, &shutdown, || weights::record(&source, &weighed))
                .await
                .map(drop)
        }
    });
    loop {
        cut.borrow_and_update();
        let mut conn = source.database.conn().await?;
        let waiting = batch_store::channels_to_publish(&mut conn, &source.tables, seen).await?;
        drop(conn);
        for (channel, last) in waiting {
            seen = seen.max(last);
            if channel.is_reload() {
                give_up_reserved(&source).await?;
                continue;
            }
            if channels.insert(channel.clone()) {
                let (source, bus, config) = (source.clone(), bus.clone(), config.clone());
                let (cut, shutdown) = (cut.clone(), shutdown.clone());
                let weights = weights.clone();
                tasks.spawn(async move {
                    let name = format!("publishing of channel {channel} of node {}", source.node);
                    until_done::<Infallible, _>(&name, &shutdown, || {
                        publish_channel(
                            &source,
                            &bus,
                            &channel,
                            config.clone(),
                            cut.clone(),
                            weights.clone(),
                        )
                    })
                    .await
                    .map(drop)
                });
            }
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            Some(ended) = tasks.join_next() => {
                // Only a fatal error or the shutdown ends a channel.
                return ended.unwrap_or_else(|err| Err(Error::Task(err.to_string())));
            }
            changed = cut.changed() => if changed.is_err() { return Ok(()) },
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Ends what somebody wrote into `sym_data` by hand for the channel of initial loads, whose subject and batches are the
/// loads': two publishers there would fence each other off.
async fn give_up_reserved(source: &Source) -> Result<(), Error> {
    let channel = ChannelId::reload();
    loop {
        let mut tx = source.database.begin(TxKind::Write).await?;
        let batches = batch_store::next(&mut tx, &source.tables, &channel, 0, BATCHES_AHEAD).await?;
        for batch in &batches {
            recorder::record_for_nobody(&mut tx, &source.tables, batch.batch_id, &batch.runs).await?;
        }
        tx.commit().await?;
        for batch in &batches {
            tracing::error!(
                node_id = %source.node, %channel, batch_id = batch.batch_id, data_ids = %batch.runs,
                "rows of sym_data name the channel of initial loads, which is reserved: they go to nobody; write them \
                 again with a channel of your own"
            );
        }
        if batches.is_empty() {
            return Ok(());
        }
    }
}

async fn publish_channel(
    source: &Source,
    bus: &Bus,
    channel: &ChannelId,
    config: ConfigReceiver,
    cut: watch::Receiver<u64>,
    weights: mpsc::Sender<Weight>,
) -> Result<Infallible, Error> {
    let mut connections = bus.connections();
    loop {
        connections.borrow_and_update();
        let mut publisher = bus.captured(&source.node, channel);
        let last = match resume(source, channel, &mut publisher).await {
            Err(Error::Restored(why)) => {
                restored::check_published(source, bus).await?;
                return Err(Error::Restored(why));
            }
            resumed => resumed?,
        };
        let mut publishing = Publishing {
            source,
            bus,
            config: config.clone(),
            cut: cut.clone(),
            weights: weights.clone(),
            publisher,
            encoder: Encoder {
                source,
                channel,
                history: HistCache::new(),
                version: None,
            },
            last,
            waiting: VecDeque::new(),
            early: None,
        };
        loop {
            let begun = tokio::select! {
                biased;
                begun = publishing.begin() => begun?,
                // The batch in hand was encoded over the connection before: there may be newer rules for it.
                changed = connections.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => std::future::pending().await,
                },
            };
            publishing.finish(begun).await?;
        }
    }
}

/// One channel's publishing, from where its subject said.
struct Publishing<'a> {
    source: &'a Source,
    bus: &'a Bus,
    config: ConfigReceiver,
    cut: watch::Receiver<u64>,
    weights: mpsc::Sender<Weight>,
    publisher: CapturedPublisher,
    encoder: Encoder<'a>,
    /// The last batch that was published whole.
    last: i64,
    /// Those behind it that were looked up.
    waiting: VecDeque<StoredBatch>,
    /// The reload that waits for its channel to be quiet, and since when.
    early: Option<(DataRuns, Instant)>,
}

impl Publishing<'_> {
    /// Stores the first part of the next batch, once there is one. Dropped, it leaves a message that may still be
    /// stored: only [`resume`] tells where to go on.
    async fn begin(&mut self) -> Result<Sending, Error> {
        let channel = self.encoder.channel;
        let (batch, config, spool) = loop {
            let batch = self.next().await?;
            let config = enabled(&mut self.config, self.bus, channel, batch.configuration_version).await;
            self.cut.borrow_and_update();
            match self
                .encoder
                .encode(&config, &batch, self.is_patient_with(&batch))
                .await?
            {
                Encoded::Whole(spool) => break (batch, config, spool),
                Encoded::Early(newer) => self.put_off(batch, newer).await?,
            }
        };
        let header = PartHeader {
            source: self.source.node.clone(),
            target: None,
            channel: channel.clone(),
            batch_id: batch.batch_id,
            previous_batch_id: None,
            batch_type: BatchType::Event,
            rows: 0,
            part: 0,
            part_last: 0,
            configuration_version: config.version,
            time_ms: 0,
            load_id: None,
            group: None,
        };
        let mut sending = Sending::new(header, spool)?;
        sending.publish_next(&mut self.publisher).await?;
        Ok(sending)
    }

    /// Publishes the rest of a batch. A part of it is stored, so neither its rows nor its configuration can change any
    /// more, and a connection that is lost is only waited for. Were it given up here, a part that waits in the client
    /// could complete it while its rows are published anew under another number.
    async fn finish(&mut self, mut sending: Sending) -> Result<(), Error> {
        while sending.publish_next(&mut self.publisher).await? {}
        self.last = sending.batch_id();
        let weight = Weight {
            batch_id: sending.batch_id(),
            byte_count: sending.byte_count(),
        };
        // Its receiver goes with the agent only.
        self.weights.send(weight).await.ok();
        Ok(())
    }

    /// Whether a reload may still wait for its channel to be quiet.
    fn is_patient_with(&self, batch: &StoredBatch) -> bool {
        match &self.early {
            Some((runs, since)) if *runs == batch.runs => since.elapsed() < QUIET_WITHIN,
            _ => true,
        }
    }

    /// Lets a reload wait for changes that are in its snapshot and not in front of it.
    async fn put_off(&mut self, batch: StoredBatch, newer: Newer) -> Result<(), Error> {
        if self.early.as_ref().is_none_or(|(runs, _)| *runs != batch.runs) {
            self.early = Some((batch.runs.clone(), Instant::now()));
        }
        if newer == Newer::Uncut {
            // What was cut meanwhile stands behind the batch, which is seen when it is looked at again.
            self.waiting.push_front(batch);
            if let Ok(Err(_)) = tokio::time::timeout(UNCUT_FOR, self.cut.changed()).await {
                std::future::pending::<()>().await;
            }
            return Ok(());
        }
        let tables = &self.source.tables;
        let mut tx = self.source.database.begin(TxKind::Write).await?;
        let moved = batch_store::move_behind(&mut tx, tables, batch.batch_id).await?;
        tx.commit().await?;
        tracing::debug!(
            channel = %self.encoder.channel, batch_id = batch.batch_id, moved, "reload goes behind what was captured meanwhile"
        );
        self.waiting.clear();
        Ok(())
    }

    async fn next(&mut self) -> Result<StoredBatch, Error> {
        loop {
            if let Some(batch) = self.waiting.pop_front() {
                return Ok(batch);
            }
            self.cut.borrow_and_update();
            let (tables, channel) = (&self.source.tables, self.encoder.channel);
            let mut conn = self.source.database.conn().await?;
            self.waiting = batch_store::next(&mut conn, tables, channel, self.last, BATCHES_AHEAD)
                .await?
                .into();
            drop(conn);
            if self.waiting.is_empty() {
                let waited = tokio::time::timeout(LOOK_EVERY, self.cut.changed()).await;
                if let Ok(Err(_)) = waited {
                    // The reader is gone: the agent stops.
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}

/// The last batch of the channel that was published whole; 0 for none.
async fn resume(
    source: &Source,
    channel: &ChannelId,
    publisher: &mut CapturedPublisher,
) -> Result<i64, Error> {
    // What a process or a connection before this one sent may still come: a number is given up only when it can not.
    let Some(published) = publisher.last_for_good().await? else {
        return Ok(0);
    };
    let tables = &source.tables;
    let mut tx = source.database.begin(TxKind::Write).await?;
    let given_out = state::number(&mut tx, tables, state::BATCH_ID).await?;
    if published.batch_id > given_out {
        return Err(Error::Restored(format!(
            "batch {} of channel {channel} was published, but the database has given out batches up to {given_out} \
             only: it was restored from a backup or a dump",
            published.batch_id
        )));
    }
    if published.part == published.part_last {
        tx.rollback().await?;
        return Ok(published.batch_id);
    }
    batch_store::renumber(&mut tx, tables, channel, published.batch_id).await?;
    let why = format!("batches of channel {channel} that it holds got numbers above its own");
    load::interrupt_above(&mut tx, tables, published.batch_id, &why).await?;
    tx.commit().await?;
    tracing::info!(%channel, batch_id = published.batch_id, "batch was published in part; it is published anew");
    Ok(published.batch_id)
}

/// The configuration, once the newest is known, it is not older than `version` and has the channel switched on. A batch
/// that was cut under a newer one may hold rows for a node that an older one does not know.
async fn enabled(config: &mut ConfigReceiver, bus: &Bus, channel: &ChannelId, version: i64) -> Arc<Config> {
    loop {
        let known = config.borrow_and_update().current(bus);
        if let Some(known) = known
            && known.version >= version
            && known.channels.get(channel).is_none_or(|channel| channel.enabled)
        {
            return known;
        }
        // A sender that is gone means that the agent stops.
        if let Ok(Err(_)) = tokio::time::timeout(SWITCHED_OFF_FOR, config.changed()).await {
            std::future::pending::<()>().await;
        }
    }
}

enum Encoded {
    Whole(Spool),
    /// A reload whose snapshot holds changes that are not in front of it.
    Early(Newer),
}

struct Encoder<'a> {
    source: &'a Source,
    channel: &'a ChannelId,
    history: HistCache,
    /// The configuration that the histories were read with.
    version: Option<i64>,
}

impl Encoder<'_> {
    /// The batch's messages. A reload that `is_patient` comes only in a snapshot that holds nothing newer than what stands
    /// in front of it.
    async fn encode(
        &mut self,
        config: &Config,
        batch: &StoredBatch,
        is_patient: bool,
    ) -> Result<Encoded, Error> {
        if self.version.replace(config.version) != Some(config.version) {
            self.history = HistCache::new();
        }
        let source = self.source;
        let (mut tx, Reservations { loading, absent }) = load::reserve(source, batch.batch_id).await?;
        let info = BatchInfo {
            source: source.node.clone(),
            source_group: source.engine.group.clone(),
            channel: self.channel.clone(),
            batch_id: batch.batch_id,
            configuration_version: config.version,
            created_ms: batch.created_ms,
            targets: Vec::new(),
            load: None,
            request: None,
            absent,
            loading,
        };
        let mut rows = BatchRows::new(&source.tables, config, &batch.runs);
        let mut encoder = PartEncoder::new(info.clone());
        // The rows and the answers about them use the histories in turn, so each has its own.
        let mut asked = HistCache::new();
        let mut asker = Asker {
            tables: &source.tables,
            config,
            group: &source.engine.group,
            target_group: None,
            since: batch.runs.lowest(),
            history: &mut asked,
        };
        let spool = loop {
            match rows.next(&mut tx, &mut self.history).await? {
                Piece::Changes(changes) => {
                    for captured in changes {
                        encoder
                            .push(&mut tx, &mut asker, &captured.layout.table, captured.change)
                            .await?;
                    }
                }
                Piece::Request(request) => {
                    if request.is_reload() {
                        let newer = quiet::newer(&mut tx, source, self.channel, batch.batch_id).await?;
                        if newer != Newer::Nothing && is_patient {
                            tx.rollback().await?;
                            return Ok(Encoded::Early(newer));
                        }
                        if newer != Newer::Nothing {
                            tracing::warn!(
                                node_id = %source.node, channel = %self.channel, batch_id = batch.batch_id,
                                "channel was never quiet for {} s: a table is sent again with changes that follow it, \
                                 so its target may refuse rows whose parents come later",
                                QUIET_WITHIN.as_secs()
                            );
                        }
                    }
                    break request.encode(source, config, info, &mut tx).await?;
                }
                Piece::End => break encoder.finish(&mut tx, &mut asker).await?,
            }
        };
        tx.rollback().await?;
        Ok(Encoded::Whole(spool))
    }
}

#[cfg(test)]
mod tests;
