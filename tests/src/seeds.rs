//! Seeds of random tests: `SYM_TEST_SEED=…` replays one, `SYM_TEST_SEEDS=n` runs n random ones.

use std::future::Future;

/// Runs `test` with the seeds that the environment asks for, else with `default` random ones, one after the other.
///
/// # Panics
/// When one fails, with all that failed.
pub async fn run_seeds<F, Fut>(default: u64, test: F)
where
    F: Fn(u64) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    if let Some(seed) = number("SYM_TEST_SEED") {
        return test(seed).await;
    }
    let mut failed = Vec::new();
    for _ in 0..number("SYM_TEST_SEEDS").unwrap_or(default) {
        let seed = rand::random::<u64>() % 1_000_000;
        // A panic ends its own seed only.
        if tokio::spawn(test(seed)).await.is_err() {
            failed.push(format!("SYM_TEST_SEED={seed}"));
        }
    }
    assert!(failed.is_empty(), "failed: {}", failed.join(" "));
}

/// A number in an environment variable.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}
