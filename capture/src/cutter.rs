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

/// Takes the rows of one reading, those of each channel in apply order, and closes a batch at the first end of a
/// transaction at which it has reached its channel's `max_batch_size`.
pub(crate) struct Cutter {
    sizes: HashMap<ChannelId, u64>,
    cuts: Vec<Cut>,
    open: BTreeMap<ChannelId, Open>,
}

#[derive(Default)]
struct Open {
    runs: DataRuns,
    count: u64,
    /// The highest last row of all transactions that the batch has a row of: none is cut once it is reached.
    transactions_last: i64,
}

impl Cutter {
    /// A cutter with each channel's `max_batch_size`.
    pub(crate) fn new(sizes: HashMap<ChannelId, u64>) -> Self {
        Self {
            sizes,
            cuts: Vec::new(),
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
        let mut open = self.open.remove(&row.channel).unwrap_or_default();
        open.runs.push(row.data_id);
        open.count += 1;
        open.transactions_last = open.transactions_last.max(row.transaction_last);
        if open.count >= size && open.transactions_last <= row.data_id {
            self.cuts.push(Cut {
                channel: row.channel,
                runs: open.runs,
                count: open.count,
            });
        } else {
            self.open.insert(row.channel, open);
        }
    }

    /// The batches; those of a channel in order.
    pub(crate) fn finish(mut self) -> Vec<Cut> {
        let rest = self.open.into_iter();
        self.cuts.extend(rest.map(|(channel, open)| Cut {
            channel,
            runs: open.runs,
            count: open.count,
        }));
        self.cuts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(size: u64, rows: &[(&str, i64, i64)]) -> Vec<(String, String)> {
        let channel = |name: &str| ChannelId::new(name).expect("id");
        let mut cutter = Cutter::new(HashMap::from([(channel("a"), size), (channel("b"), size)]));
        for &(name, data_id, transaction_last) in rows {
            cutter.push(CapturedId {
                data_id,
                channel: channel(name),
                transaction_last,
            });
        }
        cutter
            .finish()
            .into_iter()
            .map(|cut| (cut.channel.to_string(), cut.runs.to_string()))
            .collect()
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
