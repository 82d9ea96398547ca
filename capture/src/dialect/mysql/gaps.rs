//! The ids that were missing below the highest one read.

use crate::data_runs::DataRuns;
use std::fmt;
use symstream_shared::db::DbError;

/// How far a reader in `data_id` order is. The text is `120` or `120 5-7,9`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// The highest id read.
    pub last: i64,
    /// The ids below it that were not there and may still come, ascending.
    pub gaps: DataRuns,
}

impl Position {
    pub(super) fn parse(text: &str) -> Result<Self, DbError> {
        let (last, gaps) = text.split_once(' ').unwrap_or((text, ""));
        match (last.parse(), gaps.parse()) {
            (Ok(last), Ok(gaps)) => Ok(Self { last, gaps }),
            _ => Err(DbError::unexpected(format!(
                "position {text:?} is not like 120 5-7,9"
            ))),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.last)?;
        if !self.gaps.as_slice().is_empty() {
            write!(f, " {}", self.gaps)?;
        }
        Ok(())
    }
}

/// Follows the ids that a reading found, ascending, and notes those that are missing.
pub(super) struct Walk {
    /// Where ids were looked for, ascending; the last one has no end.
    wanted: Vec<(i64, i64)>,
    at: usize,
    /// The next id that is neither found nor noted.
    next: i64,
    last: i64,
    gaps: DataRuns,
}

impl Walk {
    /// A walk through a reading that began at `before`.
    pub(super) fn new(before: &Position) -> Self {
        let mut wanted = before.gaps.as_slice().to_vec();
        wanted.push((before.last + 1, i64::MAX));
        Self {
            next: wanted[0].0,
            wanted,
            at: 0,
            last: before.last,
            gaps: DataRuns::default(),
        }
    }

    /// The next id that was found.
    pub(super) fn found(&mut self, data_id: i64) {
        while self.wanted[self.at].1 < data_id {
            self.gaps.push_run(self.next, self.wanted[self.at].1);
            self.at += 1;
            self.next = self.wanted[self.at].0;
        }
        self.gaps.push_run(self.next, data_id - 1);
        self.next = data_id + 1;
        self.last = self.last.max(data_id);
    }

    /// The position after the reading. `settled` are ids that no open transaction can bring any more.
    pub(super) fn finish(mut self, settled: &DataRuns) -> Position {
        while self.at + 1 < self.wanted.len() {
            self.gaps.push_run(self.next, self.wanted[self.at].1);
            self.at += 1;
            self.next = self.wanted[self.at].0;
        }
        Position {
            last: self.last,
            gaps: self.gaps.without(settled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(before: &str, found: &[i64], settled: &str) -> String {
        let mut walk = Walk::new(&Position::parse(before).expect("position"));
        for id in found {
            walk.found(*id);
        }
        walk.finish(&settled.parse().expect("runs")).to_string()
    }

    #[test]
    fn missing_ids_are_remembered_until_they_come() {
        assert_eq!(after("0", &[1, 2, 3], ""), "3");
        assert_eq!(after("3", &[5, 6, 9], ""), "9 4,7-8");
        assert_eq!(after("9 4,7-8", &[], ""), "9 4,7-8");
        assert_eq!(after("9 4,7-8", &[8, 10], ""), "10 4,7");
        assert_eq!(after("9 4,7-8", &[4, 7, 8], ""), "9");
        assert_eq!(after("9 4,7-8", &[12], ""), "12 4,7-8,10-11");
    }

    #[test]
    fn only_settled_ids_are_given_up() {
        assert_eq!(after("9 4,7-8", &[], "4,7"), "9 8");
        assert_eq!(after("9 4,7-8", &[7, 11], "4,7-8"), "11 10");
        assert_eq!(after("20 5-15", &[], "1-7,9,14-30"), "20 8,10-13");
    }

    #[test]
    fn a_position_survives_its_text() {
        for text in ["0", "120 5-7,9"] {
            assert_eq!(Position::parse(text).expect("position").to_string(), text);
        }
        assert!(Position::parse("x").is_err());
    }
}
