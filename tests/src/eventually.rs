//! The only polling helper.

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until `condition` gives a value. `Err` says what is missing so far.
///
/// # Panics
/// When `timeout` is over, with `what` was waited for and what was missing at the last look.
pub async fn eventually<T, E, F, Fut>(timeout: Duration, what: impl Display, mut condition: F) -> T
where
    E: Display,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    match within(timeout, &mut condition).await {
        Ok(value) => value,
        Err(missing) => panic!("waited {timeout:?} for {what}; at the end: {missing}"),
    }
}

/// The same without the panic.
///
/// # Errors
/// What was missing at the last look.
pub async fn within<T, E, F, Fut>(timeout: Duration, mut condition: F) -> Result<T, E>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let start = Instant::now();
    loop {
        let result = condition().await;
        if result.is_ok() || start.elapsed() >= timeout {
            return result;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
