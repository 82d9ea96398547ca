//! Cutting what a reading found into batches.

use crate::data_runs::DataRuns;
use std::collections::{BTreeMap, HashMap};
use symstream_shared::id::ChannelId;

/// How large a batch of a channel is that the configuration does not know (the column's own default).
pub(crate) const BATCH_SIZE_DEFAULT: u64 = 1000;

/// One row of `sym_data`, as far as cutting needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CapturedId {
    /// `data_id`
    pub data_id: i64,
    /// `channel_id`
    pub channel: ChannelId,
    /// The highest `data_id` of the row's transaction in this reading and channel. Where a dialect can not tell
    /// transactions apart, of everything that may be one transaction.
    pub transaction_last: i64,
    /// Whether it is an `S` or `R` event, no change of a row.
    pub is_request: bool,
}

/// What becomes one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Its channel.
    pub channel: ChannelId,
    /// Its rows, in apply order.
    pub runs: DataRuns,
    /// How many they are.
    pub count: u64,
}

/// What was cut of one reading.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    /// The batches; those of a channel in order.
    pub batches: Vec<Cut>,
    /// The transactions that came into several batches because of their size: channel and rows.
    pub large_transactions: Vec<(ChannelId, u64)>,
}

/// Takes the rows of one reading, those of each channel in apply order, and closes a batch at the first end of a
/// transaction at which it has reached its channel's `max_batch_size`.
///
/// Only `capture.transaction.max.rows` cuts a transaction. A request is a batch of its own where it was written, because
/// what comes behind it may depend on it; where transactions are open there, behind the last of them. On MariaDB all rows
/// that a reading finds of one connection count as one transaction.
pub(crate) struct Cutter {
    sizes: HashMap<ChannelId, u64>,
    transaction_rows_max: Option<u64>,
    cuts: Cuts,
    open: BTreeMap<ChannelId, Open>,
}

#[derive(Default)]
struct Open {
    runs: DataRuns,
    count: u64,
    /// The highest last row of all transactions that the batch has a row of: none is cut once it is reached.
    transactions_last: i64,
    /// Rows since no transaction was cut the last time, also of batches that were closed in between.
    transaction_rows: u64,
    /// Requests that wait for the end of the transactions they stand in.
    requests: Vec<i64>,
}

impl Cutter {
    /// A cutter with each channel's `max_batch_size`, and `capture.transaction.max.rows`.
    pub(crate) fn new(sizes: HashMap<ChannelId, u64>, transaction_rows_max: Option<u64>) -> Self {
        Self {
            sizes,
            transaction_rows_max,
            cuts: Cuts::default(),
            open: BTreeMap::new(),
        }
    }

    /// Takes the next row.
    pub(crate) fn push(&mut self, row: CapturedId) {
        let size = self
            .sizes
            .get(&row.channel)
            .copied()
            .unwrap_or(BATCH_SIZE_DEFAULT);
        let open = self.open.entry(row.channel.clone()).or_default();
        let batches = &mut self.cuts.batches;
        if row.is_request {
            open.requests.push(row.data_id);
            // Inside a transaction it waits.
            if open.transaction_rows == 0 {
                open.close_before_requests(&row.channel, batches);
            }
            return;
        }
        let rows_max = self.transaction_rows_max.unwrap_or(u64::MAX).max(1);
        if open.transaction_rows > 0 && open.transaction_rows.is_multiple_of(rows_max) {
            batches.extend(open.close(&row.channel));
        }
        open.runs.push(row.data_id);
        open.count += 1;
        open.transaction_rows += 1;
        open.transactions_last = open.transactions_last.max(row.transaction_last);
        if open.transactions_last > row.data_id {
            return;
        }
        let rows = std::mem::take(&mut open.transaction_rows);
        if !open.requests.is_empty() {
            open.close_before_requests(&row.channel, batches);
        } else if open.count >= size {
            batches.extend(open.close(&row.channel));
        }
        if rows > rows_max {
            self.cuts.large_transactions.push((row.channel, rows));
        }
    }

    /// What was cut.
    pub(crate) fn finish(mut self) -> Cuts {
        for (channel, mut open) in self.open {
            open.close_before_requests(&channel, &mut self.cuts.batches);
        }
        self.cuts
    }
}

impl Open {
    /// The batch, if it has rows; another one goes on behind it.
    fn close(&mut self, channel: &ChannelId) -> Option<Cut> {
        if self.count == 0 {
            return None;
        }
        Some(Cut {
            channel: channel.clone(),
            runs: std::mem::take(&mut self.runs),
            count: std::mem::take(&mut self.count),
        })
    }

    /// The batch, and behind it each request that waited.
    fn close_before_requests(&mut self, channel: &ChannelId, batches: &mut Vec<Cut>) {
        batches.extend(self.close(channel));
        for data_id in self.requests.drain(..) {
            let mut runs = DataRuns::default();
            runs.push(data_id);
            batches.push(Cut {
                channel: channel.clone(),
                runs,
                count: 1,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cutter(size: u64, transaction_rows_max: Option<u64>) -> Cutter {
        let sizes = HashMap::from([(channel("a"), size), (channel("b"), size)]);
        Cutter::new(sizes, transaction_rows_max)
    }

    fn channel(name: &str) -> ChannelId {
        ChannelId::new(name).expect("id")
    }

    fn row(name: &str, data_id: i64, transaction_last: i64) -> CapturedId {
        CapturedId {
            data_id,
            channel: channel(name),
            transaction_last,
            is_request: false,
        }
    }

    fn request(data_id: i64, transaction_last: i64) -> CapturedId {
        CapturedId {
            is_request: true,
            ..row("a", data_id, transaction_last)
        }
    }

    fn texts(cuts: &Cuts) -> Vec<(String, String)> {
        let batches = cuts.batches.iter();
        batches
            .map(|cut| (cut.channel.to_string(), cut.runs.to_string()))
            .collect()
    }

    fn cut(size: u64, rows: &[(&str, i64, i64)]) -> Vec<(String, String)> {
        let mut cutter = cutter(size, None);
        for &(name, data_id, transaction_last) in rows {
            cutter.push(row(name, data_id, transaction_last));
        }
        texts(&cutter.finish())
    }

    fn batches(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected
            .iter()
            .map(|(channel, runs)| ((*channel).to_owned(), (*runs).to_owned()))
            .collect()
    }

    #[test]
    fn a_transaction_is_never_cut() {
        assert_eq!(
            cut(
                2,
                &[
                    ("a", 1, 5),
                    ("a", 2, 5),
                    ("a", 3, 5),
                    ("a", 4, 5),
                    ("a", 5, 5),
                    ("a", 6, 6)
                ]
            ),
            batches(&[("a", "1-5"), ("a", "6")])
        );
    }

    #[test]
    fn interleaved_transactions_in_the_order_of_their_ends() {
        // PostgreSQL hands over whole transactions one after the other.
        assert_eq!(
            cut(
                2,
                &[("a", 2, 3), ("a", 3, 3), ("a", 1, 4), ("a", 4, 4), ("a", 5, 5)]
            ),
            batches(&[("a", "2-3"), ("a", "1,4"), ("a", "5")])
        );
    }

    #[test]
    fn interleaved_transactions_in_the_order_of_their_rows() {
        // MariaDB hands over rows in the order of their ids: 1 and 4 are one transaction, 2 and 3 another.
        assert_eq!(
            cut(
                2,
                &[("a", 1, 4), ("a", 2, 3), ("a", 3, 3), ("a", 4, 4), ("a", 5, 5)]
            ),
            batches(&[("a", "1-4"), ("a", "5")])
        );
    }

    #[test]
    fn a_request_is_a_batch_of_its_own_where_it_stands() {
        let mut alone = cutter(10, None);
        for captured in [row("a", 1, 1), request(2, 2), request(3, 3), row("a", 4, 4)] {
            alone.push(captured);
        }
        assert_eq!(
            texts(&alone.finish()),
            batches(&[("a", "1"), ("a", "2"), ("a", "3"), ("a", "4")])
        );
        // Among the rows of a transaction, which it does not cut: 1, 3 and 5 are one, 4 is another.
        let mut between = cutter(1, None);
        for captured in [
            row("a", 1, 5),
            request(2, 2),
            row("a", 3, 5),
            row("a", 4, 4),
            row("a", 5, 5),
            row("a", 6, 6),
        ] {
            between.push(captured);
        }
        assert_eq!(
            texts(&between.finish()),
            batches(&[("a", "1,3-5"), ("a", "2"), ("a", "6")])
        );
    }

    #[test]
    fn only_a_transaction_of_more_rows_than_the_parameter_says_is_cut() {
        let mut whole = cutter(1, Some(3));
        for captured in [row("a", 1, 3), row("a", 2, 3), row("a", 3, 3), row("a", 4, 4)] {
            whole.push(captured);
        }
        let whole = whole.finish();
        assert_eq!(texts(&whole), batches(&[("a", "1-3"), ("a", "4")]));
        assert!(whole.large_transactions.is_empty());
        // Rows of smaller transactions in front of it do not count, nor do other channels.
        let mut large = cutter(10, Some(3));
        large.push(row("a", 1, 1));
        for data_id in 2..=8 {
            large.push(row("a", data_id, 8));
        }
        for data_id in 9..=11 {
            large.push(row("b", data_id, 11));
        }
        large.push(row("a", 12, 12));
        let large = large.finish();
        assert_eq!(
            texts(&large),
            batches(&[("a", "1-4"), ("a", "5-7"), ("a", "8,12"), ("b", "9-11")])
        );
        assert_eq!(large.large_transactions, [(channel("a"), 7)]);
    }

    #[test]
    fn channels_have_their_own_batches() {
        assert_eq!(
            cut(
                2,
                &[
                    ("a", 1, 1),
                    ("b", 2, 2),
                    ("b", 4, 4),
                    ("b", 5, 5),
                    ("a", 3, 3),
                    ("a", 6, 6)
                ]
            ),
            batches(&[("b", "2,4"), ("a", "1,3"), ("a", "6"), ("b", "5")])
        );
    }
}
