//! What a node gets of a captured part: its rows, and the messages that carry them.

use crate::decide::Routed;
use crate::put_out::Reader;
use std::collections::HashMap;
use symstream_nats::{BODY_BYTES_MAX, PartHeader};
use symstream_shared::wire::{
    Fragment, FragmentBytes, GroupMessage, LanePart, Message, Part, Rows, TableInfo, WireError,
};

/// One message for a lane.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) header: PartHeader,
    pub(crate) body: Vec<u8>,
}

/// The physical parts, as capture numbered them, that one logical part of the source took: as many messages a
/// node's share of it may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbers {
    /// The number of the last of them.
    pub(crate) last: u32,
    /// How many there are.
    pub(crate) count: u32,
}

impl Numbers {
    /// The numbers where each of capture's stands for `spread` of the lane's.
    pub(crate) fn spread_by(self, spread: u32) -> Self {
        Self {
            last: self.last.saturating_mul(spread),
            count: self.count.saturating_mul(spread),
        }
    }

    /// By how much the numbers have to be spread where a change goes to several of a node's tables, each with a copy of
    /// its values. `bytes` is what the source's messages took.
    pub(crate) fn spread_for(self, bytes: usize, copies: usize) -> u32 {
        if copies <= 1 {
            return 1;
        }
        let room = BODY_BYTES_MAX.saturating_mul(self.count as usize);
        let needed = bytes.saturating_mul(copies).div_ceil(room);
        u32::try_from(needed).unwrap_or(u32::MAX).max(1)
    }
}

/// The rows that a node gets, with the tables that they use.
pub(crate) fn rows_for(part: &Part, tables: &[TableInfo], routed: &[Routed]) -> Rows {
    let mut rows = Rows::default();
    let mut used: HashMap<usize, u16> = HashMap::new();
    for row in routed {
        let table = *used.entry(row.table).or_insert_with(|| {
            rows.tables.push(tables[row.table].clone());
            // `decide` refuses parts with more tables than this can count.
            u16::try_from(rows.tables.len() - 1).unwrap_or(u16::MAX)
        });
        let mut change = part.rows.changes[row.change].clone();
        change.table = table;
        rows.changes.push(change);
    }
    rows
}

/// The messages that carry a lane's part. `header` is that of the last of them.
///
/// # Errors
/// [`WireError`]; does not happen with what was decoded before.
pub(crate) fn messages(
    part: LanePart,
    header: &PartHeader,
    numbers: Numbers,
    reader: &Reader<'_>,
) -> Result<Vec<Outgoing>, WireError> {
    let message = Message::Lane(part);
    let whole = message.encode()?;
    let count = piece_count(&whole, numbers);
    pieces(message, whole, count, header, reader)
}

/// The same for a batch's last part, which lists the numbers of all messages that this node gets: those in
/// `part.parts`, and its own.
///
/// # Errors
/// As [`messages`].
pub(crate) fn last_messages(
    part: LanePart,
    header: &PartHeader,
    numbers: Numbers,
    reader: &Reader<'_>,
) -> Result<Vec<Outgoing>, WireError> {
    let earlier = part.parts.len();
    let mut message = Message::Lane(part);
    let mut count = 1;
    loop {
        if let Message::Lane(part) = &mut message {
            part.parts.truncate(earlier);
            part.parts.extend(numbers.last + 1 - count..=numbers.last);
        }
        let whole = message.encode()?;
        // The list is part of what is cut into pieces: more pieces make it longer.
        let needed = piece_count(&whole, numbers).max(count);
        if needed == count {
            return pieces(message, whole, count, header, reader);
        }
        count = needed;
    }
}

/// How many pieces an encoded part takes. Where there are fewer numbers than pieces of the usual size, which
/// only compression's whims can bring about, the pieces are a little larger.
fn piece_count(whole: &[u8], numbers: Numbers) -> u32 {
    u32::try_from(whole.len().div_ceil(BODY_BYTES_MAX))
        .unwrap_or(u32::MAX)
        .clamp(1, numbers.count)
}

/// The messages that carry `message`, which is encoded as `whole`, in `count` pieces.
fn pieces(
    message: Message,
    whole: Vec<u8>,
    count: u32,
    header: &PartHeader,
    reader: &Reader<'_>,
) -> Result<Vec<Outgoing>, WireError> {
    if count == 1 {
        let body = match reader {
            Reader::Node(..) => whole,
            Reader::Group(..) => addressed(message, reader).encode()?,
        };
        return Ok(vec![Outgoing {
            header: header.clone(),
            body,
        }]);
    }
    drop(message);
    let length = whole.len().div_ceil(count as usize);
    whole
        .chunks(length)
        .zip(1..=count)
        .map(|(piece, number)| {
            let fragment = Fragment {
                number,
                count,
                bytes: FragmentBytes(piece.to_vec()),
            };
            Ok(Outgoing {
                header: PartHeader {
                    part: header.part + number - count,
                    rows: if number == count { header.rows } else { 0 },
                    ..header.clone()
                },
                body: addressed(Message::Fragment(fragment), reader).encode()?,
            })
        })
        .collect()
}

/// A message as its reader gets it: each of a group's says by itself whom it is for.
fn addressed(message: Message, reader: &Reader<'_>) -> Message {
    match reader {
        Reader::Node(..) => message,
        Reader::Group(group, audience) => Message::Group(GroupMessage {
            group: (*group).clone(),
            audience: (*audience).clone(),
            content: Box::new(message),
        }),
    }
}
