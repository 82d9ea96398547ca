//! The life of initial loads, from the request to the end.
//!
//! The steps, each durable before the next, and what a crash between them leaves:
//! 1. an operator, or the node's own need, sets `initial_load_enabled`. Nothing happens before the node is registered;
//! 2. the request is announced: a row `RQ` in `sym_load` under a batch id of its own. Batches above it name it from then
//!    on, and wait at the node. A crash before it: the request is seen again;
//! 3. the reader takes the snapshot ([`super::opening`]) and commits, in one transaction: what the snapshot holds and no
//!    batch has, cut into batches; the position behind it; the load's number above them; its row (`NE`, the request
//!    becomes `AB`), its first batch, unpublished; the need goes. A crash before it leaves the request; after it, a load
//!    that nobody takes care of: the snapshot is gone with the process. It becomes `AB` ([`book::interrupted`]), and
//!    another one begins;
//! 4. its batches: the row in `sym_capture_batch` with what it takes, then its messages. A crash: as before. The router
//!    acts on whole batches only; the node passes over what it has of a load that another one follows;
//! 5. the last batch (`End`), then `SE`. A crash between them: the load is made again, though the node has all of it;
//! 6. routers and the node's loader do their part, without us. The subject emptied before the routers have all of it:
//!    `AB`, and another one. Batches below the load's number that get a new one (they were published in part when the
//!    agent was killed): the same, in the transaction that gives them the number;
//! 7. all of it is `OK`: the load is `OK`, `initial_load_enabled` is 0, and what the node had not applied of the batches
//!    below the load's number is `OK`, in one transaction.
//!
//! A load that is not wanted any more: its last batch (`Cancelled`) is published, then `CA`. A crash between them: it is
//! published again, which changes nothing.

use super::book::{self, LoadStatus, Unfinished};
use super::cancel::{self, Cancelling};
use super::extract;
use super::finish;
use super::opening::{self, Opening};
use super::plan_api;
use super::requests::{self, Request};
use super::sender::Sender;
use crate::error::Error;
use crate::source::{ConfigReceiver, Source};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use symstream_nats::Bus;
use symstream_shared::db::TxKind;
use symstream_shared::id::NodeId;
use symstream_shared::model::Config;
use symstream_shared::retry::{Backoff, Disposition};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How often requests and loads are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Loads that are read at the same time.
const LOADS_MAX: usize = 4;
/// How long a load waits for statements (`S`) that are on their way to its node.
const STATEMENTS_WITHIN: Duration = Duration::from_secs(10);
/// How often it is seen whether the subject still holds what is not routed.
const SUBJECT_EVERY: Duration = Duration::from_secs(10);
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Serves requests for ever.
pub(crate) async fn run(
    source: Source,
    bus: Bus,
    config: ConfigReceiver,
    openings: mpsc::Sender<Opening>,
) -> Result<Infallible, Error> {
    let mut life = Life {
        sender: Arc::new(Sender::new(source.clone(), bus.clone())),
        source,
        bus,
        config,
        openings,
        tasks: JoinSet::new(),
        busy: HashSet::new(),
        troubles: HashMap::new(),
        ready_since: HashMap::new(),
        subject_seen: None,
        complaint: None,
    };
    loop {
        match life.look().await {
            Ok(()) => life.complaint = None,
            Err(err) if err.disposition() == Disposition::Fatal => return Err(err),
            // Loads that are being read go on.
            Err(err) => life.complain(&err),
        }
        let next = tokio::time::sleep(LOOK_EVERY);
        tokio::pin!(next);
        loop {
            tokio::select! {
                Some(ended) = life.tasks.join_next() => match ended {
                    Ok(ended) => life.ended(ended),
                    Err(err) => return Err(Error::Task(err.to_string())),
                },
                () = &mut next => break,
            }
        }
    }
}

struct Life {
    source: Source,
    bus: Bus,
    config: ConfigReceiver,
    openings: mpsc::Sender<Opening>,
    sender: Arc<Sender>,
    tasks: JoinSet<Ended>,
    /// Nodes whose load is being read, or cancelled.
    busy: HashSet<NodeId>,
    /// Nodes whose last attempts failed: why, and when there is another one.
    troubles: HashMap<NodeId, Trouble>,
    /// Nodes that are about to be loaded, and since when.
    ready_since: HashMap<NodeId, Instant>,
    /// When it was seen last whether anything stands on the loads' subject.
    subject_seen: Option<Instant>,
    complaint: Option<String>,
}

/// A task that is over.
struct Ended {
    nodes: Vec<NodeId>,
    result: Result<(), Error>,
}

struct Trouble {
    why: String,
    pauses: Backoff,
    until: Instant,
}

impl Life {
    async fn look(&mut self) -> Result<(), Error> {
        self.settle().await?;
        book::end_of_removed(&self.source).await?;
        finish::end_passed_over(&self.source).await?;
        let tables = &self.source.tables;
        let mut conn = self.source.database.conn().await?;
        let requested = requests::requested(&mut conn, tables, &self.source.node).await?;
        let needing = requests::needing(&mut conn, tables).await?;
        let unannounced = requests::unannounced(&mut conn, tables, &self.source.node).await?;
        let known = book::unfinished(&mut conn, tables).await?;
        drop(conn);
        if !unannounced.is_empty() {
            book::announce(&self.source).await?;
        }
        let config = self.config.borrow().current(&self.bus);
        let Some(config) = config else {
            return Ok(());
        };
        let mut is_gone = self.sender.has_lost();
        if self
            .subject_seen
            .is_none_or(|seen| seen.elapsed() >= SUBJECT_EVERY)
        {
            // Before anything else is published there.
            is_gone |= !self.sender.holds_any().await;
            self.subject_seen = Some(Instant::now());
        }
        let mut waiting = Vec::new();
        for mut load in known {
            let is_needing = needing.iter().any(|node| node == load.node.as_str());
            load.clear_first |= is_needing;
            match requested.get(&load.node) {
                _ if self.busy.contains(&load.node) => self.note(&load).await?,
                None if is_needing => {}
                None => self.cancel(load, &config),
                Some(_) if load.status == LoadStatus::Sent => {
                    self.finish_if_applied(&load, is_gone).await?;
                }
                Some(Request::Ready) => waiting.push(load),
                Some(Request::Unheard) => {}
            }
        }
        self.begin(&config, waiting).await
    }

    /// Loads that nobody takes care of: their tasks failed, or were another process's.
    async fn settle(&self) -> Result<(), Error> {
        let mut conn = self.source.database.conn().await?;
        let begun = book::unfinished(&mut conn, &self.source.tables).await?;
        drop(conn);
        let begun = begun
            .into_iter()
            .filter(|load| load.status == LoadStatus::Begun && !self.busy.contains(&load.node));
        let loads: BTreeMap<i64, NodeId> = begun.map(|load| (load.load_id, load.node)).collect();
        for (load_id, node) in loads {
            let why = self
                .troubles
                .get(&node)
                .map_or("the agent was started anew", |trouble| trouble.why.as_str());
            let mut tx = self.source.database.begin(TxKind::Write).await?;
            book::interrupted(&mut tx, &self.source.tables, load_id, why).await?;
            tx.commit().await?;
            tracing::warn!(node_id = %node, load_id, error = %why, "initial load was interrupted; another one follows");
        }
        Ok(())
    }

    /// Rows that the node has, while more are read.
    async fn note(&self, load: &Unfinished) -> Result<(), Error> {
        if load.status == LoadStatus::Begun {
            let mut conn = self.source.database.conn().await?;
            let applied = finish::applied(&mut conn, &self.source, load).await?;
            drop(conn);
            if applied.rows > load.rows_loaded {
                finish::note_rows(&self.source, load, applied.rows).await?;
            }
        }
        Ok(())
    }

    async fn finish_if_applied(&mut self, load: &Unfinished, is_gone: bool) -> Result<(), Error> {
        let source = &self.source;
        let mut conn = source.database.conn().await?;
        let applied = finish::applied(&mut conn, source, load).await?;
        drop(conn);
        if applied.passed > 0 {
            let why = "a router did not know the node";
            book::interrupted_for(source, load, why).await?;
            tracing::warn!(node_id = %load.node, load_id = load.load_id, "initial load begins anew: {why}");
            self.put_off(load.node.clone(), why);
        } else if applied.open == 0 {
            finish::finish(source, load, applied.rows).await?;
        } else if is_gone && finish::is_kept_by_nats(source, load).await? {
            let why = "what was published of it is gone";
            let mut tx = source.database.begin(TxKind::Write).await?;
            book::interrupted(&mut tx, &source.tables, load.load_id, why).await?;
            tx.commit().await?;
            tracing::warn!(node_id = %load.node, load_id = load.load_id, "initial load begins anew: {why}");
        } else if applied.rows > load.rows_loaded {
            finish::note_rows(source, load, applied.rows).await?;
        }
        Ok(())
    }

    fn cancel(&mut self, load: Unfinished, config: &Config) {
        let (source, sender) = (self.source.clone(), Arc::clone(&self.sender));
        let cancelling = Cancelling {
            load_id: load.load_id,
            node: load.node.clone(),
            configuration_version: config.version,
        };
        self.busy.insert(load.node.clone());
        self.tasks.spawn(async move {
            Ended {
                result: cancel::cancel(&source, &sender, &cancelling).await,
                nodes: vec![load.node],
            }
        });
    }

    /// Begins loads, those of nodes that get the same as one.
    async fn begin(&mut self, config: &Arc<Config>, waiting: Vec<Unfinished>) -> Result<(), Error> {
        self.ready_since
            .retain(|node, _| waiting.iter().any(|load| load.node == *node));
        let mut loads: BTreeMap<(bool, String), Vec<NodeId>> = BTreeMap::new();
        for load in waiting {
            let trouble = self.troubles.get(&load.node);
            let Some(node) = config.nodes.get(&load.node) else {
                continue;
            };
            if trouble.is_some_and(|trouble| trouble.until > Instant::now())
                || !config.registered.contains(&load.node)
                || self.waits_for_statements(&load.node).await?
            {
                continue;
            }
            let signature = plan_api::signature(config, &self.source.engine.group, node);
            loads
                .entry((load.clear_first, signature))
                .or_default()
                .push(load.node);
        }
        for (_, nodes) in loads {
            if self.tasks.len() >= LOADS_MAX {
                break;
            }
            self.busy.extend(nodes.iter().cloned());
            tracing::info!(nodes = ?nodes, "initial load begins");
            let (source, sender, config) =
                (self.source.clone(), Arc::clone(&self.sender), Arc::clone(config));
            let openings = self.openings.clone();
            self.tasks.spawn(async move {
                Ended {
                    result: load(&source, &sender, &config, &openings, &nodes).await,
                    nodes,
                }
            });
        }
        Ok(())
    }

    /// The load would pass over statements that are on their way.
    async fn waits_for_statements(&mut self, node: &NodeId) -> Result<bool, Error> {
        let since = *self.ready_since.entry(node.clone()).or_insert_with(Instant::now);
        if since.elapsed() >= STATEMENTS_WITHIN {
            return Ok(false);
        }
        let mut conn = self.source.database.conn().await?;
        let open = requests::open_statements(&mut conn, &self.source.tables, node, i64::MAX).await?;
        Ok(!open.is_empty())
    }

    fn ended(&mut self, ended: Ended) {
        for node in &ended.nodes {
            self.busy.remove(node);
        }
        match ended.result {
            Ok(()) | Err(Error::LoadOver(_)) => {
                for node in &ended.nodes {
                    self.troubles.remove(node);
                }
            }
            Err(err) => {
                for node in ended.nodes {
                    self.put_off(node, &err.to_string());
                }
            }
        }
    }

    /// The node's next attempt comes after a pause.
    fn put_off(&mut self, node: NodeId, why: &str) {
        let trouble = self.troubles.entry(node).or_insert_with(|| Trouble {
            why: String::new(),
            pauses: Backoff::new(PAUSE_FIRST, PAUSE_MAX),
            until: Instant::now(),
        });
        trouble.why = why.to_owned();
        trouble.until = Instant::now() + trouble.pauses.next_pause();
    }

    fn complain(&mut self, err: &Error) {
        let text = err.to_string();
        if self.complaint.as_ref() != Some(&text) {
            tracing::warn!(node_id = %self.source.node, error = %text, "initial loads wait");
            self.complaint = Some(text);
        }
    }
}

/// One load from its snapshot to its last batch.
async fn load(
    source: &Source,
    sender: &Sender,
    config: &Config,
    openings: &mpsc::Sender<Opening>,
    nodes: &[NodeId],
) -> Result<(), Error> {
    let known = nodes.iter().filter_map(|node| config.nodes.get(node)).collect();
    let opened = opening::open(openings, nodes.to_vec(), config.version)
        .await
        .ok_or_else(|| Error::Task("the reader took no snapshot".to_owned()))?;
    extract::extract(source, sender, config, known, opened).await
}
