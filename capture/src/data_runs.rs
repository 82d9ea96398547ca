//! Which rows of `sym_data` a batch holds, in the order in which they are applied.

use std::fmt;
use std::str::FromStr;
use symstream_shared::db::Param;

/// How many runs one statement asks for: few different texts, so that the database keeps their plans.
const RUN_COUNTS: [usize; 3] = [1, 8, RUNS_MAX];
/// The most runs that one statement asks for.
pub(crate) const RUNS_MAX: usize = 64;

/// Runs of `data_id`s in apply order: within a run ids ascend without gaps, from one run to the next they may
/// go back (a transaction that ended later may have begun earlier). The text is `5-7,9,1-4`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DataRuns(Vec<(i64, i64)>);

impl DataRuns {
    /// Adds one id at the end.
    pub(crate) fn push(&mut self, data_id: i64) {
        match self.0.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(data_id) => *last = data_id,
            _ => self.0.push((data_id, data_id)),
        }
    }

    /// Adds `first..=last` at the end; nothing when it is empty.
    pub(crate) fn push_run(&mut self, first: i64, last: i64) {
        if first > last {
            return;
        }
        match self.0.last_mut() {
            Some((_, before)) if before.checked_add(1) == Some(first) => *before = last,
            _ => self.0.push((first, last)),
        }
    }

    /// The ids that are not in `others`. Both have to ascend.
    pub(crate) fn without(&self, others: &Self) -> Self {
        let mut rest = Self::default();
        for &(first, last) in &self.0 {
            let mut from = first;
            for &(other_first, other_last) in &others.0 {
                if other_last < from || other_first > last {
                    continue;
                }
                rest.push_run(from, other_first - 1);
                from = other_last + 1;
            }
            rest.push_run(from, last);
        }
        rest
    }

    /// The runs, first and last id of each.
    pub(crate) fn as_slice(&self) -> &[(i64, i64)] {
        &self.0
    }

    /// The lowest id; `None` without any.
    pub(crate) fn lowest(&self) -> Option<i64> {
        self.0.iter().map(|(first, _)| *first).min()
    }

    /// How many ids there are.
    pub(crate) fn len(&self) -> i64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Adds all ids of `others` at the end.
    pub(crate) fn append(&mut self, others: &Self) {
        for &(first, last) in &others.0 {
            self.push_run(first, last);
        }
    }

    /// The first ids, at most `ids_max` in at most `runs_max` runs, and the others.
    pub(crate) fn split_first(self, ids_max: i64, runs_max: usize) -> (Self, Self) {
        let mut first = Self::default();
        let mut rest = Self::default();
        let mut left = ids_max;
        for (from, to) in self.0 {
            if left == 0 || first.0.len() == runs_max {
                rest.0.push((from, to));
                continue;
            }
            let until = to.min(from + left - 1);
            first.0.push((from, until));
            left -= until - from + 1;
            if until < to {
                rest.0.push((until + 1, to));
            }
        }
        (first, rest)
    }

    /// The same ids in the same order, in pieces of at most `ids_max` ids and `runs_max` runs.
    pub(crate) fn pieces(&self, ids_max: i64, runs_max: usize) -> Vec<Self> {
        let mut pieces = Vec::new();
        let mut piece = Self::default();
        let mut ids = 0;
        for &(first, last) in &self.0 {
            let mut from = first;
            while from <= last {
                if ids == ids_max || piece.0.len() == runs_max {
                    pieces.push(std::mem::take(&mut piece));
                    ids = 0;
                }
                let to = last.min(from + (ids_max - ids) - 1);
                piece.0.push((from, to));
                ids += to - from + 1;
                from = to + 1;
            }
        }
        if !piece.0.is_empty() {
            pieces.push(piece);
        }
        pieces
    }

    /// `column` in any of the runs, with its parameters: padded with empty runs to one of the [`RUN_COUNTS`].
    pub(crate) fn condition(&self, column: &str) -> (String, Vec<Param>) {
        let count = RUN_COUNTS
            .into_iter()
            .find(|count| *count >= self.0.len())
            .unwrap_or(self.0.len());
        let condition = vec![format!("{column} between ? and ?"); count].join(" or ");
        let empty = std::iter::repeat(&(1, 0));
        let runs = self.0.iter().chain(empty).take(count);
        (
            condition,
            runs.flat_map(|&(first, last)| [Param::Int(first), Param::Int(last)])
                .collect(),
        )
    }

    /// Every id, in apply order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = i64> + '_ {
        self.0.iter().flat_map(|&(first, last)| first..=last)
    }
}

impl From<&[(i64, i64)]> for DataRuns {
    fn from(runs: &[(i64, i64)]) -> Self {
        Self(runs.to_vec())
    }
}

impl fmt::Display for DataRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            if first == last {
                write!(f, "{first}")?;
            } else {
                write!(f, "{first}-{last}")?;
            }
        }
        Ok(())
    }
}

/// A text that is no list of runs.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no run of data ids")]
pub(crate) struct InvalidRun(String);

impl FromStr for DataRuns {
    type Err = InvalidRun;

    fn from_str(text: &str) -> Result<Self, InvalidRun> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        text.split(',')
            .map(|run| {
                let (first, last) = run.split_once('-').unwrap_or((run, run));
                match (first.parse::<i64>(), last.parse::<i64>()) {
                    (Ok(first), Ok(last)) if 0 <= first && first <= last => Ok((first, last)),
                    _ => Err(InvalidRun(run.to_owned())),
                }
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(ids: &[i64]) -> DataRuns {
        let mut runs = DataRuns::default();
        for id in ids {
            runs.push(*id);
        }
        runs
    }

    #[test]
    fn apply_order_is_kept_in_the_text_and_back() {
        let order = [5, 6, 7, 9, 1, 2, 3, 4];
        let runs = runs(&order);
        assert_eq!(runs.to_string(), "5-7,9,1-4");
        assert_eq!(runs.to_string().parse(), Ok(runs.clone()));
        assert_eq!(runs.ids().collect::<Vec<_>>(), order);
        assert_eq!(runs.lowest(), Some(1));
        assert!("7-5".parse::<DataRuns>().is_err());
        assert!("1,,2".parse::<DataRuns>().is_err());
    }

    #[test]
    fn a_condition_is_padded_with_runs_that_hold_nothing() {
        let (condition, params) = runs(&[5, 6, 7, 9]).condition("d");
        assert_eq!(condition.matches("d between ? and ?").count(), 8);
        assert_eq!(params.len(), 16);
        assert_eq!(params[..6], [5, 7, 9, 9, 1, 0].map(Param::Int));
    }

    #[test]
    fn the_first_ids_are_split_off_within_both_limits() {
        let mut all = runs(&[5, 6, 7, 9, 1]);
        all.append(&runs(&[2, 3, 20]));
        assert_eq!((all.to_string().as_str(), all.len()), ("5-7,9,1-3,20", 8));
        let split = |ids_max, runs_max| {
            let (first, rest) = all.clone().split_first(ids_max, runs_max);
            (first.to_string(), rest.to_string())
        };
        assert_eq!(split(2, 9), ("5-6".to_owned(), "7,9,1-3,20".to_owned()));
        assert_eq!(split(5, 9), ("5-7,9,1".to_owned(), "2-3,20".to_owned()));
        assert_eq!(split(9, 2), ("5-7,9".to_owned(), "1-3,20".to_owned()));
        assert_eq!(split(9, 9), (all.to_string(), String::new()));
    }

    #[test]
    fn pieces_have_the_same_ids_in_the_same_order_within_both_limits() {
        let order: Vec<i64> = (10..35).chain([50, 52, 54, 56]).chain(1..4).collect();
        let pieces = runs(&order).pieces(10, 3);
        assert!(
            pieces
                .iter()
                .all(|piece| piece.ids().count() <= 10 && piece.0.len() <= 3)
        );
        assert_eq!(pieces.iter().flat_map(DataRuns::ids).collect::<Vec<_>>(), order);
    }
}
