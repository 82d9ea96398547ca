//! Where in a file a reader is.

use std::io::{BufRead, Read, Result};

/// A reader that counts the lines that were taken out of it.
pub(super) struct LineCounter<R> {
    inner: R,
    newlines: usize,
}

impl<R: BufRead> LineCounter<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, newlines: 0 }
    }

    /// The line that the next byte is on, from 1.
    pub(super) fn line(&self) -> usize {
        self.newlines + 1
    }
}

impl<R: BufRead> Read for LineCounter<R> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let count = self.inner.read(into)?;
        self.newlines += newlines(&into[..count]);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for LineCounter<R> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // What is consumed lies in the buffer already, so this reads nothing and can not fail.
        if let Ok(buffer) = self.inner.fill_buf() {
            self.newlines += newlines(&buffer[..amount.min(buffer.len())]);
        }
        self.inner.consume(amount);
    }
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}
