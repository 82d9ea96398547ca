//! Routers' and loaders' reports, as the source takes them.

use crate::delivery::Delivery;
use crate::error::BusError;
use crate::subject::token;
use symstream_shared::wire::{Message, RoutedReport, StatusReport};

/// A report on a source's batches.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// A router's: who gets which rows.
    Routed(RoutedReport),
    /// A loader's: what became of batches.
    Status(StatusReport),
}

impl Delivery {
    /// The report in the message. What its sender may publish stands in the subject, so the report has to be of that kind
    /// and name the same nodes and channel: no node says what became of another's batches.
    ///
    /// # Errors
    /// [`BusError::Malformed`] when it can not be read, is no report, or is another's.
    pub fn report(&self) -> Result<Report, BusError> {
        let malformed = |message: String| BusError::Malformed {
            subject: self.subject().to_owned(),
            message,
        };
        let message = Message::decode(self.body()).map_err(|err| malformed(err.to_string()))?;
        let report = match message {
            Message::Routed(report) => Report::Routed(report),
            Message::Status(report) => Report::Status(report),
            _ => return Err(malformed("it is no report".to_owned())),
        };
        if report.belongs_on(self.subject()) {
            Ok(report)
        } else {
            Err(malformed("it is the report of another".to_owned()))
        }
    }
}

impl Report {
    fn belongs_on(&self, subject: &str) -> bool {
        let (kind, ids) = match self {
            Self::Routed(report) => ("routed", vec![report.source.as_str(), report.channel.as_str()]),
            Self::Status(report) => (
                "status",
                vec![
                    report.source.as_str(),
                    report.target.as_str(),
                    report.channel.as_str(),
                ],
            ),
        };
        let tokens = std::iter::once(kind.to_owned()).chain(ids.into_iter().map(token));
        subject
            .split_once('.')
            .is_some_and(|(_, behind_prefix)| behind_prefix.split('.').eq(tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use symstream_shared::id::{ChannelId, NodeId};

    #[test]
    fn a_report_is_its_senders() {
        let node = |id: &str| NodeId::new(id).expect("id");
        let channel = ChannelId::new("c").expect("id");
        let status = Report::Status(StatusReport {
            contact: None,
            source: node("s.1"),
            target: node("t"),
            channel: channel.clone(),
            results: Vec::new(),
        });
        let routed = Report::Routed(RoutedReport {
            groups: Vec::new(),
            source: node("s.1"),
            channel,
            batch_id: 1,
            created_ms: 0,
            started_ms: 0,
            sent_ms: 0,
            hostname: String::new(),
            targets: Vec::new(),
            unrouted: Vec::new(),
            last: true,
        });
        assert!(status.belongs_on("sym.status.s=2E1.t.c"));
        assert!(routed.belongs_on("sym.routed.s=2E1.c"));
        for subject in [
            "sym.status.s=2E1.other.c",
            "sym.status.other.t.c",
            "sym.status.s=2E1.t.other",
            "sym.routed.s=2E1.c",
            "status.s=2E1.t.c",
            "",
        ] {
            assert!(!status.belongs_on(subject), "{subject}");
        }
        // A loader may publish statuses only.
        for subject in ["sym.status.s=2E1.t.c", "sym.status.s=2E1.c", "sym.routed.other.c"] {
            assert!(!routed.belongs_on(subject), "{subject}");
        }
    }
}
