//! The states of a batch, and the one place that says which may follow which.

use std::fmt;
use std::str::FromStr;

/// The status of an outgoing batch (seed 002, 3.2.4) or of an incoming one (3.2.6, 3.2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BatchStatus {
    /// `NE`: cut and routed; the source's recorder sets it. The router publishes it.
    New,
    /// `SE`: stored in the target's lane; the source's recorder sets it. The target's loader has it next.
    Sent,
    /// `OK`: committed at the target, or ignored by an operator. The end.
    Ok,
    /// `ER`: the target refused it; its loader tries again with growing pauses.
    Error,
    /// `SK`: the loader had it already. Only in `sym_incoming_batch_hist`.
    Skipped,
}

/// What happened to an outgoing batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchEvent {
    /// The router stored it in the target's lane.
    Published,
    /// The target committed it.
    Applied,
    /// The target refused it.
    Failed,
    /// An operator, or an ignored channel, ended it without applying it.
    Ignored,
}

/// A transition that no order of events can bring about.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a batch that is {from} can not become {event:?}")]
pub struct IllegalTransition {
    /// The status before.
    pub from: BatchStatus,
    /// The event that does not fit it.
    pub event: BatchEvent,
}

impl BatchStatus {
    /// The status after `event`; facts that are already known leave it as it is.
    ///
    /// # Errors
    /// [`IllegalTransition`] for a status that an outgoing batch never has (`SK`).
    pub fn on(self, event: BatchEvent) -> Result<Self, IllegalTransition> {
        use {BatchEvent as E, BatchStatus as S};
        match (self, event) {
            (S::New, E::Published) => Ok(S::Sent),
            // An answer can overtake the report that the batch was published: they come by different streams.
            (S::New | S::Sent | S::Error, E::Applied | E::Ignored) => Ok(S::Ok),
            (S::New | S::Sent | S::Error, E::Failed) => Ok(S::Error),
            (S::Sent | S::Error | S::Ok, E::Published) | (S::Ok, E::Applied | E::Failed | E::Ignored) => {
                Ok(self)
            }
            (S::Skipped, _) => Err(IllegalTransition { from: self, event }),
        }
    }

    /// The two letters that stand in the tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "NE",
            Self::Sent => "SE",
            Self::Ok => "OK",
            Self::Error => "ER",
            Self::Skipped => "SK",
        }
    }
}

impl fmt::Display for BatchStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no status.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no batch status (NE, SE, OK, ER, SK)")]
pub struct UnknownStatus(String);

impl FromStr for BatchStatus {
    type Err = UnknownStatus;
    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        [Self::New, Self::Sent, Self::Ok, Self::Error, Self::Skipped]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [BatchStatus; 5] = [
        BatchStatus::New,
        BatchStatus::Sent,
        BatchStatus::Ok,
        BatchStatus::Error,
        BatchStatus::Skipped,
    ];
    const EVENTS: [BatchEvent; 4] = [
        BatchEvent::Published,
        BatchEvent::Applied,
        BatchEvent::Failed,
        BatchEvent::Ignored,
    ];

    #[test]
    fn ok_is_the_end_and_only_skipped_has_no_transitions() {
        for from in ALL {
            for event in EVENTS {
                match (from, from.on(event)) {
                    (BatchStatus::Ok, to) => assert_eq!(to, Ok(BatchStatus::Ok)),
                    (BatchStatus::Skipped, to) => assert_eq!(to, Err(IllegalTransition { from, event })),
                    (_, to) => assert!(to.is_ok(), "{from} {event:?}"),
                }
                // Every fact may be told twice.
                if let Ok(to) = from.on(event) {
                    assert_eq!(to.on(event), Ok(to));
                }
            }
        }
    }

    #[test]
    fn every_status_is_stored_and_read_back() {
        for status in ALL {
            assert_eq!(status.as_str().parse::<BatchStatus>().expect("known"), status);
        }
        assert!("XX".parse::<BatchStatus>().is_err());
    }
}
