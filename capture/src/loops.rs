//! The loops of a capture agent, each kept alive by itself.

use crate::configuration::{self, Outlets};
use crate::dialect::reading::Backlog;
use crate::error::Error;
use crate::heartbeat::LastHeartbeat;
use crate::load::Opening;
use crate::local_time;
use crate::source::Source;
use crate::supervision::until_done;
use crate::triggers::Keeper;
use crate::{backlog, heartbeat, load, parameters, publisher, purge, reader, recorder, restored, triggers};
use std::convert::Infallible;
use std::sync::Arc;
use symstream_nats::Bus;
use symstream_shared::parameter::Parameters;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Starts all loops. Those that need the database only run whatever else is away: changes go on being captured and
/// cut. A task ends when `life` does, or with an error that only a person can do something about.
pub(crate) fn start(
    source: Source,
    parameters: watch::Sender<Arc<Parameters>>,
    life: &CancellationToken,
) -> JoinSet<Result<(), Error>> {
    let cut = Arc::new(watch::Sender::new(0));
    let outlets = Arc::new(Outlets {
        config: watch::Sender::default(),
        changed: watch::Sender::new(0),
    });
    let last_heartbeat = Arc::<LastHeartbeat>::default();
    let (openings_tx, openings) = load::channel();
    let mut tasks = JoinSet::new();
    let mut spawn = |what: &str, run: Box<dyn Fn() -> LoopFuture + Send>| {
        let (what, life) = (format!("{what} of node {}", source.node), life.clone());
        tasks.spawn(async move { until_done(&what, &life, run).await.map(drop) });
    };
    spawn("capture", {
        let (source, cut) = (source.clone(), Arc::clone(&cut));
        // Of the agent's life, not of an attempt.
        let backlog = Backlog::default();
        Box::new(move || {
            let (source, backlog) = (source.clone(), Arc::clone(&backlog));
            let (cut, openings) = (Arc::clone(&cut), Arc::clone(&openings));
            Box::pin(async move {
                restored::check_database(&source).await?;
                reader::run(source, backlog, cut, openings).await
            })
        })
    });
    spawn("reading of parameters", {
        let (source, changes) = (source.clone(), Arc::new(parameters));
        Box::new(move || {
            Box::pin(parameters::run(
                source.database.clone(),
                source.tables.clone(),
                Arc::clone(&source.engine),
                Arc::clone(&changes),
            ))
        })
    });
    spawn("trigger synchronisation", {
        let (source, outlets) = (source.clone(), Arc::clone(&outlets));
        let keeper = Arc::new(Mutex::new(Keeper::new(local_time::now())));
        Box::new(move || {
            Box::pin(triggers::run(
                source.clone(),
                Arc::clone(&keeper),
                outlets.config.subscribe(),
                outlets.changed.subscribe(),
            ))
        })
    });
    spawn("purge", {
        let (source, outlets) = (source.clone(), Arc::clone(&outlets));
        Box::new(move || Box::pin(purge::run(source.clone(), outlets.config.subscribe())))
    });
    spawn("watching of backlogs", {
        let (source, outlets) = (source.clone(), Arc::clone(&outlets));
        Box::new(move || Box::pin(backlog::run(source.clone(), outlets.config.subscribe())))
    });
    spawn("heartbeat", {
        let (source, last) = (source.clone(), Arc::clone(&last_heartbeat));
        Box::new(move || Box::pin(heartbeat::run(source.clone(), Arc::clone(&last))))
    });
    tasks.spawn(with_bus(
        source.clone(),
        cut,
        outlets,
        last_heartbeat,
        openings_tx,
        life.clone(),
    ));
    tasks
}

type LoopFuture = std::pin::Pin<Box<dyn Future<Output = Result<Infallible, Error>> + Send>>;

/// The loops that need NATS, once it is there.
async fn with_bus(
    source: Source,
    cut: Arc<watch::Sender<u64>>,
    outlets: Arc<Outlets>,
    last_heartbeat: Arc<LastHeartbeat>,
    openings: mpsc::Sender<Opening>,
    life: CancellationToken,
) -> Result<(), Error> {
    let name = |what: &str| format!("{what} of node {}", source.node);
    let connect = name("connection to nats");
    let connected = until_done(&connect, &life, || async {
        Bus::connect(&source.engine, "capture").await.map_err(Error::from)
    });
    let Some(bus) = connected.await? else {
        return Ok(());
    };
    // Before anything is published or recorded under numbers that others know as something else.
    let checking = name("looking whether the database was restored");
    let checked = until_done(&checking, &life, || restored::check_published(&source, &bus));
    if checked.await?.is_none() {
        return Ok(());
    }
    let (configuration, publishing, recording, loading, telling, freeing) = (
        name("configuration"),
        name("publishing"),
        name("recording"),
        name("initial loads"),
        name("telling of heartbeats"),
        name("freeing of lanes"),
    );
    tokio::try_join!(
        until_done(&configuration, &life, || {
            configuration::run(source.clone(), bus.clone(), Arc::clone(&outlets))
        }),
        until_done(&publishing, &life, || {
            publisher::run(
                source.clone(),
                bus.clone(),
                outlets.config.subscribe(),
                cut.subscribe(),
                life.clone(),
            )
        }),
        until_done(&recording, &life, || recorder::run(source.clone(), bus.clone())),
        until_done(&loading, &life, || load::run(
            source.clone(),
            bus.clone(),
            outlets.config.subscribe(),
            openings.clone()
        )),
        until_done(&telling, &life, || heartbeat::tell(
            source.clone(),
            bus.clone(),
            Arc::clone(&last_heartbeat)
        )),
        until_done(&freeing, &life, || backlog::free(source.clone(), bus.clone())),
    )?;
    Ok(())
}
