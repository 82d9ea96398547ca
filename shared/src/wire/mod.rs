//! What travels in the bodies of NATS messages.
//!
//! Every body is one [`Message`] in MessagePack (fields by position), compressed with zstd. The encoding's
//! version stands in the header `Sym-Encoding`; these types are a promise to older and newer processes, so a
//! field is only ever added at the end, with a default. Messages of older processes wait in streams and in
//! `sym_incoming_spool`; `older` reads what they wrote in another form.

mod batch;
mod configuration;
mod control;
mod group;
mod load;
mod older;
mod report;

pub use batch::{
    Change, ColumnInfo, LanePart, Operation, Part, Request, Rows, RuleAnswers, RuleId, TableInfo,
};
pub use configuration::{Configuration, ConfigurationTable};
pub use control::{FreeLanes, Heartbeat, RegistrationReply, RegistrationRequest};
pub use group::{Audience, GroupMessage, GroupTail, GroupTails};
pub use load::{ClearTable, LoadBegin, LoadPart, LoadStep, Loading, Seen};
pub use report::{
    BatchFailure, BatchResult, Contact, DataRange, GroupRows, RoutedReport, StatusReport, TargetRows,
};

use serde::{Deserialize, Serialize};

/// The value of the header `Sym-Encoding`.
pub const ENCODING: &str = "msgpack+zstd;v=1";

/// The most that a body may be once it is decompressed: 1 GiB, the largest value PostgreSQL can hold.
const DECOMPRESSED_BYTES_MAX: usize = 1 << 30;

/// Any body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// A part of a batch as captured (`sym.capture.…`).
    Captured(Part),
    /// A part of a batch for one node (`sym.node.…`).
    Lane(LanePart),
    /// A piece of an encoded message that is larger than one NATS message may be.
    Fragment(Fragment),
    /// Which nodes get which rows (`sym.routed.…`).
    Routed(RoutedReport),
    /// What became of batches (`sym.status.…`).
    Status(StatusReport),
    /// The configuration (`sym.ctl.<server>.config.…`).
    Configuration(Configuration),
    /// A node asks to be registered (`sym.ctl.<server>.register`).
    Register(RegistrationRequest),
    /// The answer to it.
    Registered(RegistrationReply),
    /// A node's sign of life (`sym.ctl.<server>.heartbeat.<node>`).
    Heartbeat(Heartbeat),
    /// The answer to it: it is recorded.
    HeartbeatRecorded,
    /// A part of a batch for the nodes of a group (`sym.group.…`).
    Group(GroupMessage),
    /// A source asks to free what waits for a node that needs a reload (`sym.ctl.<server>.free.<source>`).
    FreeLanes(FreeLanes),
    /// The answer to it: it is freed.
    LanesFreed,
    /// The answer to it where it does not say before what: the sequence that the next message will have.
    LanesEnd(u64),
    /// Where groups' lanes end (`sym.tail.…`).
    GroupTails(GroupTails),
}

/// One of `count` consecutive pieces of an encoded [`Message`]; put together in order they are its body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fragment {
    /// From 1.
    pub number: u32,
    /// How many there are.
    pub count: u32,
    /// The piece.
    pub bytes: FragmentBytes,
}

/// Bytes that MessagePack writes as `bin`.
#[derive(Clone, PartialEq)]
pub struct FragmentBytes(pub Vec<u8>);

impl std::fmt::Debug for FragmentBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for FragmentBytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for FragmentBytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = FragmentBytes;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bin")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<FragmentBytes, E> {
                Ok(FragmentBytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Why a body is not readable.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The bytes are no zstd frame, or a damaged one.
    #[error("the body is not compressed with zstd, or damaged")]
    Decompress(#[source] std::io::Error),
    /// The bytes are no message that this version knows.
    #[error("the body is no SymStream message of version 1")]
    Decode(#[source] rmp_serde::decode::Error),
    /// A value can not be written.
    #[error("the message can not be encoded")]
    Encode(#[source] rmp_serde::encode::Error),
    /// Compression failed.
    #[error("the message can not be compressed")]
    Compress(#[source] std::io::Error),
    /// Fragments do not belong together.
    #[error("fragment {number} of {count} follows {before} fragments")]
    FragmentOrder {
        /// The fragment's number.
        number: u32,
        /// How many it says there are.
        count: u32,
        /// How many were there before it.
        before: usize,
    },
}

impl Message {
    /// The body's bytes.
    ///
    /// # Errors
    /// [`WireError::Encode`], [`WireError::Compress`]; neither happens with values built in memory.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let plain = rmp_serde::to_vec(self).map_err(WireError::Encode)?;
        zstd::bulk::compress(&plain, 1).map_err(WireError::Compress)
    }

    /// What a group's message carries; any other is its own content.
    pub fn into_content(self) -> Self {
        match self {
            Self::Group(message) => *message.content,
            other => other,
        }
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`WireError`] when the bytes are not what [`Self::encode`] writes; never panics.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        use std::io::Read;
        let mut plain = Vec::new();
        zstd::stream::read::Decoder::new(bytes)
            .and_then(|decoder| {
                decoder
                    .take(DECOMPRESSED_BYTES_MAX as u64)
                    .read_to_end(&mut plain)
            })
            .map_err(WireError::Decompress)?;
        rmp_serde::from_slice(&plain).map_err(WireError::Decode)
    }

    /// The bodies that carry this message in pieces of at most about `bytes_max`: itself, or fragments.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_within(&self, bytes_max: usize) -> Result<Vec<Vec<u8>>, WireError> {
        let whole = self.encode()?;
        if whole.len() <= bytes_max {
            return Ok(vec![whole]);
        }
        let count = u32::try_from(whole.len().div_ceil(bytes_max)).unwrap_or(u32::MAX);
        whole
            .chunks(bytes_max)
            .zip(1..)
            .map(|(piece, number)| {
                Message::Fragment(Fragment {
                    number,
                    count,
                    bytes: FragmentBytes(piece.to_vec()),
                })
                .encode()
            })
            .collect()
    }
}

/// Puts fragments together again.
#[derive(Debug, Default)]
pub struct Assembler {
    whole: Vec<u8>,
    seen: usize,
}

impl Assembler {
    /// Takes the next message of a sequence; gives it back when it is whole, or when it was the last fragment
    /// of one.
    ///
    /// # Errors
    /// [`WireError::FragmentOrder`] when a fragment is missing or comes twice, [`WireError`] when what was put
    /// together is not readable.
    pub fn push(&mut self, message: Message) -> Result<Option<Message>, WireError> {
        let Message::Fragment(Fragment { number, count, bytes }) = message else {
            if self.seen > 0 {
                return Err(WireError::FragmentOrder {
                    number: 0,
                    count: 0,
                    before: self.seen,
                });
            }
            return Ok(Some(message));
        };
        if number as usize != self.seen + 1 {
            return Err(WireError::FragmentOrder {
                number,
                count,
                before: self.seen,
            });
        }
        self.whole.extend_from_slice(&bytes.0);
        self.seen += 1;
        if number < count {
            return Ok(None);
        }
        let whole = std::mem::take(&mut self.whole);
        self.seen = 0;
        Message::decode(&whole).map(Some)
    }
}

#[cfg(test)]
mod tests;
