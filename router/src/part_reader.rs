//! The parts of a captured batch, read again from the stream one by one.

use crate::error::RouteError;
use crate::lane_output::Numbers;
use symstream_nats::{Bus, CapturedMessage};
use symstream_shared::wire::{Assembler, Message, Part};

/// Reads the logical parts of one batch in order. Holds one of them at a time.
pub(crate) struct PartReader<'a> {
    bus: &'a Bus,
    last: &'a CapturedMessage,
    assembler: Assembler,
    /// The sequence after the part read last.
    next_sequence: u64,
    /// The number of the part read last.
    read: u32,
    /// The number of the last part of the logical part before.
    given: u32,
    /// The bytes read since.
    bytes: usize,
}

/// A logical part with the numbers of the messages that it came in.
pub(crate) struct NumberedPart {
    pub(crate) part: Part,
    pub(crate) numbers: Numbers,
    /// What these messages' bodies took.
    pub(crate) bytes: usize,
    pub(crate) is_last: bool,
}

impl<'a> PartReader<'a> {
    /// A reader for the batch whose last message is `last`.
    pub(crate) fn new(bus: &'a Bus, last: &'a CapturedMessage) -> Self {
        Self {
            bus,
            last,
            assembler: Assembler::default(),
            next_sequence: 0,
            read: 0,
            given: 0,
            bytes: 0,
        }
    }

    /// The next logical part; `None` after the last.
    ///
    /// # Errors
    /// [`RouteError`] when a part is missing, not readable, or not of this batch.
    pub(crate) async fn next(&mut self) -> Result<Option<NumberedPart>, RouteError> {
        let part_last = self.last.header.part_last;
        while self.read < part_last {
            let body = self.read_message().await?;
            self.bytes += body.len();
            let part = self.read;
            let wire = |source| RouteError::Wire { part, source };
            let wrong = |why: &str| RouteError::Part {
                part,
                why: why.to_owned(),
            };
            let message = Message::decode(&body).map_err(wire)?;
            let Some(message) = self.assembler.push(message).map_err(wire)? else {
                continue;
            };
            let Message::Captured(captured) = message else {
                return Err(wrong("it is no captured part"));
            };
            let header = &self.last.header;
            if captured.source != header.source
                || captured.channel != header.channel
                || captured.batch_id != header.batch_id
            {
                return Err(wrong("its body is of another batch than its headers say"));
            }
            let numbers = Numbers {
                last: part,
                count: part - self.given,
            };
            self.given = part;
            return Ok(Some(NumberedPart {
                part: captured,
                numbers,
                bytes: std::mem::take(&mut self.bytes),
                is_last: part == part_last,
            }));
        }
        if self.given < part_last {
            return Err(RouteError::Part {
                part: part_last,
                why: "the batch ends within a part".to_owned(),
            });
        }
        Ok(None)
    }

    async fn read_message(&mut self) -> Result<bytes::Bytes, RouteError> {
        let wanted = self.read + 1;
        if wanted == self.last.header.part_last {
            self.read = wanted;
            return Ok(self.last.body.clone());
        }
        let message = if wanted == 1 {
            self.first().await?
        } else {
            self.at(self.next_sequence).await?
        };
        let (header, last) = (&message.header, &self.last.header);
        if (header.batch_id, header.part, header.part_last) != (last.batch_id, wanted, last.part_last) {
            return Err(RouteError::PartGone(wanted));
        }
        self.next_sequence = message.sequence + 1;
        self.read = wanted;
        Ok(message.body)
    }

    /// Finds the batch's first part. Batches and parts ascend on their subject, so it is found by halving; the
    /// first look is where it is when nothing of other subjects came between.
    async fn first(&self) -> Result<CapturedMessage, RouteError> {
        let (mut low, mut high) = (1, self.last.sequence);
        let mut probe = self
            .last
            .sequence
            .saturating_sub(u64::from(self.last.header.part_last) - 1)
            .max(1);
        while low <= high {
            let message = self.at(probe).await?;
            if message.header.batch_id < self.last.header.batch_id {
                low = message.sequence + 1;
            } else if message.header.batch_id > self.last.header.batch_id {
                break;
            } else if message.header.part == 1 {
                return Ok(message);
            } else {
                high = probe - 1;
            }
            probe = low + high.saturating_sub(low) / 2;
        }
        Err(RouteError::PartGone(1))
    }

    async fn at(&self, sequence: u64) -> Result<CapturedMessage, RouteError> {
        let header = &self.last.header;
        self.bus
            .captured_next(&header.source, &header.channel, sequence)
            .await?
            .ok_or(RouteError::PartGone(self.read + 1))
    }
}
