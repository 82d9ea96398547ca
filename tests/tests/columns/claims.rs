//! Claims that share a deployment.

use super::deployment::Deployment;
use super::given::{Given, Wanted};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;
use symstream_shared::db::DatabaseKind;
use tokio::sync::{Semaphore, mpsc, watch};

/// Claims that are looked at together: more would only wait for each other's processors.
const AT_ONCE: usize = 6;

/// A claim's name and what it does.
pub type Claim = (
    &'static str,
    fn(Given) -> Pin<Box<dyn Future<Output = ()> + Send>>,
);

/// The claims of these functions.
macro_rules! claims {
    ($($claim:path),* $(,)?) => {
        [$((stringify!($claim), |given| Box::pin($claim(given)))),*]
    };
}
pub(super) use claims;

/// Starts a deployment with everything that the claims want, and holds all of them to it.
///
/// # Panics
/// With the names of the claims that do not hold.
pub async fn hold<const N: usize>(kind: DatabaseKind, claims: [Claim; N]) {
    let (wants, mut wanted) = mpsc::channel(N);
    let (run, running) = watch::channel(None);
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let tasks = claims.map(|(name, claim)| {
        let given = Given::new(kind, wants.clone(), running.clone(), turns.clone());
        let task = tokio::spawn(async move {
            let started = Instant::now();
            claim(given).await;
            eprintln!("{name}: {:.1} s", started.elapsed().as_secs_f32());
        });
        (name, task)
    });
    drop(wants);
    let mut all = Wanted::new(kind);
    for _ in 0..N {
        // A claim that fails before it said what it wants is missing here, and reported below.
        let Some(wanted) = wanted.recv().await else { break };
        all.add(wanted);
    }
    let started = Instant::now();
    let deployment = Arc::new(Deployment::start(&all).await);
    eprintln!("deployment: {:.1} s", started.elapsed().as_secs_f32());
    run.send_replace(Some(deployment.clone()));
    let mut broken = Vec::new();
    for (name, task) in tasks {
        if task.await.is_err() {
            broken.push(name);
        }
    }
    assert!(broken.is_empty(), "{kind:?}: {}", broken.join(", "));
}
