//! The loop that keeps the parameters as the tables say.

use crate::error::Error;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use symstream_shared::db::Database;
use symstream_shared::engine::Engine;
use symstream_shared::parameter::Parameters;
use symstream_shared::schema::Tables;
use tokio::sync::watch;

/// How long a change of `sym_parameter` may take to be noticed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The values in force. Whoever uses one looks again each time.
pub(crate) type ParameterReceiver = watch::Receiver<Arc<Parameters>>;

/// Reads them again and again. `changes` gets a new value only when one is different.
pub(crate) async fn run(
    database: Database,
    tables: Tables,
    engine: Arc<Engine>,
    changes: Arc<watch::Sender<Arc<Parameters>>>,
) -> Result<Infallible, Error> {
    loop {
        let now = read(&database, &tables, &engine).await?;
        changes.send_if_modified(|known| {
            let differs = **known != now;
            if differs {
                *known = Arc::new(now);
            }
            differs
        });
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits until an interval is over that began at `since`, however it changes meanwhile. May be dropped.
pub(crate) async fn wait_until_over(
    parameters: &mut ParameterReceiver,
    since: Instant,
    interval: impl Fn(&Parameters) -> Duration,
) {
    loop {
        let whole = interval(&parameters.borrow_and_update());
        let rest = whole.saturating_sub(since.elapsed());
        tokio::select! {
            () = tokio::time::sleep(rest) => return,
            changed = parameters.changed() => if changed.is_err() {
                // The agent stops; the interval stays as it is.
                return tokio::time::sleep(rest).await;
            },
        }
    }
}

/// The values in force now.
pub(crate) async fn read(database: &Database, tables: &Tables, engine: &Engine) -> Result<Parameters, Error> {
    let mut conn = database.conn().await?;
    Ok(Parameters::read(&mut conn, tables, engine).await?)
}
