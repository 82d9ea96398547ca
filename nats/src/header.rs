//! Headers of batches: plain text, enough to follow a batch with the `nats` command alone.

use crate::error::BusError;
use async_nats::HeaderMap;
use std::str::FromStr;
use symstream_shared::id::{ChannelId, GroupId, NodeId};
use symstream_shared::wire::ENCODING;

/// What a batch holds (`sym_outgoing_batch.batch_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BatchType {
    /// `EV`: changes.
    Event,
    /// `IL`: rows of an initial load.
    InitialLoad,
}

impl BatchType {
    /// The two letters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Event => "EV",
            Self::InitialLoad => "IL",
        }
    }
}

/// The headers of one message of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHeader {
    /// `Sym-Source`
    pub source: NodeId,
    /// `Sym-Target`; `None` on captured batches.
    pub target: Option<NodeId>,
    /// `Sym-Channel`
    pub channel: ChannelId,
    /// `Sym-Batch`
    pub batch_id: i64,
    /// `Sym-Prev`: the batch before it in its lane, 0 for the first; `None` on captured batches.
    pub previous_batch_id: Option<i64>,
    /// `Sym-Type`
    pub batch_type: BatchType,
    /// `Sym-Rows`: how many rows this message brings to an end (those of a fragmented message stand on its
    /// last fragment).
    pub rows: u64,
    /// The first number of `Sym-Part`, from 1.
    pub part: u32,
    /// The second number of `Sym-Part`.
    pub part_last: u32,
    /// `Sym-Config`: the configuration's version used for routing.
    pub configuration_version: i64,
    /// `Sym-Time`: when the message was made, in milliseconds since 1970.
    pub time_ms: i64,
    /// `Sym-Load`: the initial load that the batch belongs to, or that has to be complete before it is applied. Never on
    /// captured batches of changes, nor on a group's, which are for many nodes.
    pub load_id: Option<i64>,
    /// `Sym-Group`: the group whose nodes it is for; `None` on captured batches and those for one node.
    pub group: Option<GroupId>,
}

impl PartHeader {
    pub(crate) fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        map.insert("Sym-Batch", self.batch_id.to_string());
        if let Some(previous) = self.previous_batch_id {
            map.insert("Sym-Prev", previous.to_string());
        }
        // Header values are ASCII; ids may be anything.
        map.insert("Sym-Source", crate::subject::token(self.source.as_str()));
        if let Some(target) = &self.target {
            map.insert("Sym-Target", crate::subject::token(target.as_str()));
        }
        map.insert("Sym-Channel", crate::subject::token(self.channel.as_str()));
        map.insert("Sym-Type", self.batch_type.as_str());
        map.insert("Sym-Rows", self.rows.to_string());
        map.insert("Sym-Part", format!("{}/{}", self.part, self.part_last));
        map.insert("Sym-Encoding", ENCODING);
        map.insert("Sym-Config", self.configuration_version.to_string());
        map.insert(
            "Sym-Time",
            symstream_shared::db::time_text(self.time_ms).replace(' ', "T") + "Z",
        );
        if let Some(load_id) = self.load_id {
            map.insert("Sym-Load", load_id.to_string());
        }
        if let Some(group) = &self.group {
            map.insert("Sym-Group", crate::subject::token(group.as_str()));
        }
        map
    }

    /// The headers of a captured message. What its sender may publish stands in the subject, so the headers have to name
    /// the same source and channel: no node sends as another.
    pub(crate) fn of_captured(subject: &str, map: Option<&HeaderMap>) -> Result<Self, BusError> {
        let header = Self::from_map(subject, map)?;
        let named = [header.source.as_str(), header.channel.as_str()].map(crate::subject::token);
        let mut subject_end = subject.rsplitn(3, '.').take(2);
        if named.iter().rev().all(|token| subject_end.next() == Some(token)) {
            return Ok(header);
        }
        Err(BusError::Malformed {
            subject: subject.to_owned(),
            message: format!(
                "its headers say that it is of source {} and channel {}",
                header.source, header.channel
            ),
        })
    }

    pub(crate) fn from_map(subject: &str, map: Option<&HeaderMap>) -> Result<Self, BusError> {
        let malformed = |message: String| BusError::Malformed {
            subject: subject.to_owned(),
            message,
        };
        let map = map.ok_or_else(|| malformed("it has no headers".to_owned()))?;
        let get = |name: &str| map.get(name).map(|value| value.as_str());
        let need = |name: &str| get(name).ok_or_else(|| malformed(format!("header {name} is missing")));
        let number = |name: &str| -> Result<i64, BusError> {
            need(name)?
                .parse()
                .map_err(|_| malformed(format!("header {name} is no number")))
        };
        let opt_number = |name: &str| get(name).map(|_| number(name)).transpose();
        let encoding = need("Sym-Encoding")?;
        if encoding != ENCODING {
            return Err(malformed(format!(
                "encoding {encoding:?} is not known to this version ({ENCODING})"
            )));
        }
        let (part, part_last) = need("Sym-Part")?
            .split_once('/')
            .and_then(|(part, last)| Some((u32::from_str(part).ok()?, u32::from_str(last).ok()?)))
            .filter(|(part, last)| (1..=*last).contains(part))
            .ok_or_else(|| malformed("header Sym-Part is not like 1/3".to_owned()))?;
        let id = |err: symstream_shared::id::InvalidId| malformed(err.to_string());
        Ok(Self {
            source: NodeId::new(untoken(need("Sym-Source")?)).map_err(id)?,
            target: get("Sym-Target")
                .map(|target| NodeId::new(untoken(target)))
                .transpose()
                .map_err(id)?,
            channel: ChannelId::new(untoken(need("Sym-Channel")?)).map_err(id)?,
            batch_id: number("Sym-Batch")?,
            previous_batch_id: opt_number("Sym-Prev")?,
            batch_type: match need("Sym-Type")? {
                "EV" => BatchType::Event,
                "IL" => BatchType::InitialLoad,
                other => return Err(malformed(format!("header Sym-Type {other:?} is not EV or IL"))),
            },
            rows: u64::try_from(number("Sym-Rows")?).unwrap_or(0),
            part,
            part_last,
            configuration_version: number("Sym-Config")?,
            time_ms: get("Sym-Time")
                .and_then(symstream_shared::db::time_ms)
                .unwrap_or(0),
            load_id: opt_number("Sym-Load")?,
            group: get("Sym-Group")
                .map(|group| GroupId::new(untoken(group)))
                .transpose()
                .map_err(id)?,
        })
    }
}

/// The id that [`crate::subject::token`] wrote.
pub(crate) fn untoken(token: &str) -> String {
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'=')
            .then(|| tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_as_they_went() {
        let header = PartHeader {
            source: NodeId::new("ü 1").expect("id"),
            target: Some(NodeId::new("t=x").expect("id")),
            channel: ChannelId::new("c").expect("id"),
            batch_id: 17,
            previous_batch_id: Some(0),
            batch_type: BatchType::InitialLoad,
            rows: 3,
            part: 2,
            part_last: 3,
            configuration_version: 4,
            time_ms: 1_732_237_261_007,
            load_id: Some(9),
            group: Some(GroupId::new("g.1").expect("id")),
        };
        assert_eq!(
            PartHeader::from_map("s", Some(&header.to_map())).expect("headers"),
            header
        );
    }

    #[test]
    fn a_captured_message_is_its_senders() {
        let header = PartHeader {
            source: NodeId::new("s.1").expect("id"),
            target: None,
            channel: ChannelId::new("c").expect("id"),
            batch_id: 17,
            previous_batch_id: None,
            batch_type: BatchType::Event,
            rows: 3,
            part: 1,
            part_last: 1,
            configuration_version: 4,
            time_ms: 0,
            load_id: None,
            group: None,
        };
        let map = header.to_map();
        for subject in ["sym.captured.7.s=2E1.c", "sym.capture.s=2E1.c"] {
            let read = PartHeader::of_captured(subject, Some(&map)).expect("its own");
            assert_eq!(read, header);
        }
        for subject in [
            "sym.captured.7.other.c",
            "sym.captured.7.s=2E1.other",
            "sym.captured.7.s.1.c",
            "sym.captured.7.xs=2E1.c",
            "c",
            "",
        ] {
            let err = PartHeader::of_captured(subject, Some(&map)).expect_err(subject);
            assert!(err.to_string().contains("of source s.1 and channel c"), "{err}");
        }
    }

    #[test]
    fn a_message_that_is_not_ours_is_named() {
        let err = PartHeader::from_map("sym.node.0.a.b.c", Some(&HeaderMap::new())).expect_err("no headers");
        assert_eq!(
            err.to_string(),
            "message on sym.node.0.a.b.c: header Sym-Encoding is missing"
        );
    }
}
