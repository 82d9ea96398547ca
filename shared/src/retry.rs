//! What is done about an error, and how long to wait before the next attempt.

use std::time::Duration;

/// The one answer to an error that reaches a service loop (`spec/hard-cases.md`, 23 and 27).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// A deadlock, a lost connection, a restart: the same again works without anybody's help.
    Retry,
    /// A constraint, a type, a missing table: it fails until somebody acts, but only this lane waits.
    Hold,
    /// Configuration or credentials are wrong: the service says so and waits for a person.
    Fatal,
}

/// Growing pauses: doubled from `first` to `most`, each shortened by up to a quarter so that many waiters do
/// not come back together.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    attempt: u32,
}

impl Backoff {
    /// Pauses from `first` to `most`.
    pub fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            attempt: 0,
        }
    }

    /// The pause before the next attempt.
    pub fn next_pause(&mut self) -> Duration {
        let pause = Self::pause_after(self.first, self.most, self.attempt);
        self.attempt = self.attempt.saturating_add(1);
        pause
    }

    /// How often [`Self::next_pause`] was called since the start or the last [`Self::reset`].
    pub fn attempts(&self) -> u32 {
        self.attempt
    }

    /// After a success: the next failure waits the shortest pause again.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }

    /// The pause after `attempt` failures (0: the first), where the count is kept elsewhere.
    pub fn pause_after(first: Duration, most: Duration, attempt: u32) -> Duration {
        let full = first
            .saturating_mul(1_u32.checked_shl(attempt.min(20)).unwrap_or(u32::MAX))
            .min(most);
        // The clock's nanoseconds spread the waiters well enough; this is no secret.
        let spread = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.subsec_nanos() % 1000);
        full - full / 4 * spread / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_limit_and_start_over() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for full in [100, 200, 400, 800, 1000, 1000] {
            let pause = backoff.next_pause();
            assert!(pause <= Duration::from_millis(full), "{pause:?} of {full}");
            assert!(
                pause >= Duration::from_millis(full * 3 / 4),
                "{pause:?} of {full}"
            );
        }
        backoff.reset();
        assert!(backoff.next_pause() <= Duration::from_millis(100));
    }
}
