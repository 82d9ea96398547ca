//! Keeping a loop alive.

use crate::error::Error;
use std::time::{Duration, Instant};
use symstream_shared::retry::{Backoff, Disposition};
use tokio_util::sync::CancellationToken;

const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A loop that ran this long before it failed starts its pauses anew. Above the 30 s for which a connection that does
/// not come is waited for.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);
/// What works again at the third attempt, within half a second, is not worth a line.
const SILENT_ATTEMPTS: u32 = 2;
/// The same complaint is repeated this often.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(300);

/// Runs `attempt` until it succeeds, again and again with growing pauses; says what it waits for when it fails, and
/// from time to time while it goes on failing the same way. `None` when asked to stop.
///
/// # Errors
/// [`Error`] that only a person can do something about.
pub(crate) async fn until_done<T, F>(
    what: &str,
    shutdown: &CancellationToken,
    mut attempt: impl FnMut() -> F,
) -> Result<Option<T>, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_MAX);
    let mut complaint = Complaint::default();
    loop {
        let started = Instant::now();
        let result = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(None),
            result = attempt() => result,
        };
        let err = match result {
            Ok(done) => {
                complaint.over(what);
                return Ok(Some(done));
            }
            Err(err) if err.disposition() == Disposition::Fatal => return Err(err),
            Err(err) => err,
        };
        let ran = started.elapsed();
        if ran >= HEALTHY_AFTER {
            backoff.reset();
            complaint = Complaint::default();
        }
        if backoff.attempts() >= SILENT_ATTEMPTS || ran >= PAUSE_MAX || err.disposition() == Disposition::Hold
        {
            complaint.say(what, &err);
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(backoff.next_pause()) => {}
        }
    }
}

/// What was said last, so that the log has one line for one trouble.
#[derive(Default)]
struct Complaint {
    last: Option<(String, Instant)>,
}

impl Complaint {
    fn say(&mut self, what: &str, err: &Error) {
        let text = err.to_string();
        let news = self
            .last
            .as_ref()
            .is_none_or(|(last, at)| *last != text || at.elapsed() >= SAY_AGAIN_AFTER);
        if !news {
            return;
        }
        match err.disposition() {
            Disposition::Hold => {
                tracing::error!(error = %text, "{what} is held; trying again with growing pauses")
            }
            Disposition::Retry | Disposition::Fatal => tracing::warn!(error = %text, "{what} waits"),
        }
        self.last = Some((text, Instant::now()));
    }

    fn over(&mut self, what: &str) {
        if self.last.take().is_some() {
            tracing::info!("{what} goes on");
        }
    }
}
