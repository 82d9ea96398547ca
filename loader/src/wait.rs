//! Waiting for what the loader needs, with growing pauses and one line in the log for each thing.

use crate::error::Error;
use std::time::Duration;
use symstream_shared::id::EngineName;
use symstream_shared::retry::Backoff;
use tokio_util::sync::CancellationToken;

const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Why something is not there.
pub(crate) enum Pending {
    /// It will come: what is waited for, and what was seen instead.
    Wait(&'static str, String),
    /// It will not come until a person acts.
    Never(Error),
}

/// Waits for one engine, until it is asked to stop.
pub(crate) struct Waiting<'a> {
    engine: &'a EngineName,
    shutdown: &'a CancellationToken,
}

impl<'a> Waiting<'a> {
    pub(crate) fn new(engine: &'a EngineName, shutdown: &'a CancellationToken) -> Self {
        Self { engine, shutdown }
    }

    /// Tries until it succeeds; `None` when it was asked to stop.
    ///
    /// # Errors
    /// [`Error`] from [`Pending::Never`].
    pub(crate) async fn until<T, F: Future<Output = Result<T, Pending>>>(
        &self,
        mut attempt: impl FnMut() -> F,
    ) -> Result<Option<T>, Error> {
        let mut backoff = Backoff::new(PAUSE, PAUSE_MAX);
        let mut told = None;
        loop {
            let outcome = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Ok(None),
                outcome = attempt() => outcome,
            };
            match outcome {
                Ok(found) => {
                    if let Some(what) = told {
                        tracing::info!(engine = %self.engine, "no longer waiting for {what}");
                    }
                    return Ok(Some(found));
                }
                Err(Pending::Never(err)) => return Err(err),
                Err(Pending::Wait(what, seen)) if told != Some(what) => {
                    tracing::info!(engine = %self.engine, reason = %seen, "the loader waits for {what}");
                    told = Some(what);
                }
                Err(Pending::Wait(what, seen)) => {
                    tracing::debug!(engine = %self.engine, reason = %seen, "the loader waits for {what}");
                }
            }
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Ok(None),
                () = tokio::time::sleep(backoff.next_pause()) => {}
            }
        }
    }
}
