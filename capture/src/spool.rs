//! The encoded messages of one batch, between their encoding and their publishing.
//!
//! They are all made before the first is sent, because each names how many there are. A large batch waits in a
//! temporary file, not in memory.

use crate::error::Error;
use std::fs::File;
use std::io::{Read, Seek, Write};

/// What a batch may take in memory; the rest goes to the file.
const MEMORY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The messages of one batch, in order.
pub(crate) struct Spool {
    parts: Vec<Stored>,
    bytes: usize,
    in_memory_bytes: usize,
    file: Option<File>,
    memory_bytes_max: usize,
}

struct Stored {
    rows: u64,
    body: Body,
}

enum Body {
    Memory(Vec<u8>),
    File(usize),
}

impl Spool {
    /// An empty spool.
    pub(crate) fn new() -> Self {
        Self::with_memory(MEMORY_BYTES_MAX)
    }

    fn with_memory(memory_bytes_max: usize) -> Self {
        Self {
            parts: Vec::new(),
            bytes: 0,
            in_memory_bytes: 0,
            file: None,
            memory_bytes_max,
        }
    }

    /// Adds a message with which `rows` rows are complete.
    ///
    /// # Errors
    /// [`Error::Spool`] when the temporary file can not be written.
    pub(crate) fn push(&mut self, body: Vec<u8>, rows: u64) -> Result<(), Error> {
        self.bytes += body.len();
        let body = if self.file.is_none() && self.in_memory_bytes + body.len() <= self.memory_bytes_max {
            self.in_memory_bytes += body.len();
            Body::Memory(body)
        } else {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(tempfile::tempfile().map_err(Error::Spool)?),
            };
            // The page cache takes half a megabyte at a time: not worth a thread.
            file.write_all(&body).map_err(Error::Spool)?;
            Body::File(body.len())
        };
        self.parts.push(Stored { rows, body });
        Ok(())
    }

    /// What the messages take (`sym_capture_batch.byte_count`).
    pub(crate) fn byte_count(&self) -> i64 {
        i64::try_from(self.bytes).unwrap_or(i64::MAX)
    }

    /// How many messages there are.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.parts.len()).unwrap_or(u32::MAX)
    }

    /// Takes the messages out again, in order.
    ///
    /// # Errors
    /// [`Error::Spool`] when the temporary file can not be read.
    pub(crate) fn into_parts(
        mut self,
    ) -> Result<impl Iterator<Item = Result<(u64, Vec<u8>), Error>> + Send, Error> {
        if let Some(file) = &mut self.file {
            file.rewind().map_err(Error::Spool)?;
        }
        let mut file = self.file;
        Ok(self.parts.into_iter().map(move |part| {
            let body = match (part.body, &mut file) {
                (Body::Memory(body), _) => body,
                (Body::File(length), Some(file)) => {
                    let mut body = vec![0; length];
                    file.read_exact(&mut body).map_err(Error::Spool)?;
                    body
                }
                (Body::File(_), None) => return Err(Error::Spool(std::io::ErrorKind::NotFound.into())),
            };
            Ok((part.rows, body))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_in_order_from_memory_and_file() {
        let mut spool = Spool::with_memory(10);
        let bodies: Vec<Vec<u8>> = vec![vec![1; 6], vec![2; 6], vec![3; 2], vec![4; 6]];
        for (rows, body) in (0..).zip(&bodies) {
            spool.push(body.clone(), rows).expect("stored");
        }
        assert_eq!(spool.count(), 4);
        let parts: Vec<_> = spool
            .into_parts()
            .expect("rewound")
            .map(|part| part.expect("read"))
            .collect();
        assert_eq!(parts, (0..).zip(bodies).collect::<Vec<(u64, _)>>());
    }
}
