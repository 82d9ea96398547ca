//! Initial loads: how far they are.

use crate::engine_args::EngineContext;
use crate::failure::Failure;
use crate::listing::Listing;
use symstream_shared::db::{Param, time_ms};
use time::OffsetDateTime;

/// Loads that ended are shown for so long.
const ENDED_FOR_MS: i64 = 3_600_000;

/// One load of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Load {
    pub load_id: i64,
    pub node: String,
    /// As in `sym_load`.
    pub status: String,
    pub reason: Option<String>,
    pub tables: i64,
    pub tables_sent: i64,
    pub table: Option<String>,
    pub row_estimate: i64,
    pub rows_sent: i64,
    pub rows_loaded: i64,
    pub begun: Option<String>,
    /// What its source does now, measured since it began; `None` before a second is over.
    pub rows_per_second: Option<i64>,
    pub seconds_left: Option<i64>,
    pub message: Option<String>,
}

/// The newest load of each node that has not ended, or ended within the last hour.
pub(super) async fn loads(context: &EngineContext, now: OffsetDateTime) -> Result<Vec<Load>, Failure> {
    let kind = context.database.kind();
    let table = context.tables.name("load");
    let now_ms = i64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX);
    let query = format!(
        "select l.load_id, l.node_id, l.status, l.reason, l.table_count, l.tables_sent, l.current_table, l.row_estimate, \
         l.rows_sent, l.rows_loaded, {}, {}, l.message from {table} l \
         where l.load_id = (select max(m.load_id) from {table} m where m.node_id = l.node_id) \
         and (l.status in ('RQ', 'NE', 'SE', 'AB') or l.end_time >= ?) order by l.node_id",
        kind.time_as_text("l.create_time"),
        kind.time_as_text("coalesce(l.end_time, l.sent_time)"),
    );
    let rows = context
        .database
        .query(&query, &[Param::Time(now_ms - ENDED_FOR_MS)])
        .await?;
    rows.iter()
        .map(|row| {
            let begun = row.opt_text(10)?;
            let until_ms = row.opt_text(11)?.as_deref().and_then(time_ms).unwrap_or(now_ms);
            let took_ms = begun.as_deref().and_then(time_ms).map(|begun| until_ms - begun);
            let mut load = Load {
                load_id: row.int(0)?,
                node: row.text(1)?,
                status: row.opt_text(2)?.unwrap_or_default(),
                reason: row.opt_text(3)?,
                tables: row.int(4)?,
                tables_sent: row.int(5)?,
                table: row.opt_text(6)?,
                row_estimate: row.int(7)?,
                rows_sent: row.int(8)?,
                rows_loaded: row.int(9)?,
                begun,
                rows_per_second: None,
                seconds_left: None,
                message: row.opt_text(12)?,
            };
            load.measure(took_ms.unwrap_or(0));
            Ok(load)
        })
        .collect()
}

impl Load {
    /// How many rows there will be: the estimate may be too low.
    pub(super) fn rows(&self) -> i64 {
        if self.is_read() {
            self.rows_sent
        } else {
            self.row_estimate.max(self.rows_sent)
        }
    }

    /// Whether its source has read and published all of it.
    fn is_read(&self) -> bool {
        matches!(self.status.as_str(), "SE" | "OK")
    }

    fn measure(&mut self, took_ms: i64) {
        if took_ms < 1000 || !matches!(self.status.as_str(), "NE" | "SE" | "OK") {
            return;
        }
        let rate = self.rows_sent.saturating_mul(1000) / took_ms;
        self.rows_per_second = Some(rate);
        if self.status == "NE" && rate > 0 {
            self.seconds_left = Some((self.rows() - self.rows_sent) / rate);
        }
    }

    /// In words.
    pub(super) fn state(&self) -> &'static str {
        match self.status.as_str() {
            "RQ" => "asked for",
            "NE" => "being sent",
            "SE" => "sent, being loaded",
            "OK" => "complete",
            "CA" => "cancelled",
            "AB" => "interrupted, begins anew",
            _ => "unknown",
        }
    }
}

/// For people and programs.
pub(super) fn listing(loads: &[Load]) -> Listing {
    let mut listing = Listing::new(&[
        "node",
        "load",
        "status",
        "state",
        "tables_sent",
        "tables",
        "table",
        "rows_sent",
        "rows",
        "rows_loaded",
        "rows_per_second",
        "seconds_left",
        "begun",
        "reason",
        "message",
    ]);
    for load in loads {
        listing.push(vec![
            load.node.as_str().into(),
            load.load_id.into(),
            load.status.as_str().into(),
            load.state().into(),
            load.tables_sent.into(),
            load.tables.into(),
            load.table.as_deref().into(),
            load.rows_sent.into(),
            load.rows().into(),
            load.rows_loaded.into(),
            load.rows_per_second.into(),
            load.seconds_left.into(),
            load.begun.as_deref().into(),
            load.reason.as_deref().into(),
            load.message.as_deref().into(),
        ]);
    }
    listing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(status: &str, took_ms: i64) -> Load {
        let mut load = Load {
            load_id: 1,
            node: "2".to_owned(),
            status: status.to_owned(),
            reason: None,
            tables: 3,
            tables_sent: 1,
            table: None,
            row_estimate: 1000,
            rows_sent: 400,
            rows_loaded: 0,
            begun: None,
            rows_per_second: None,
            seconds_left: None,
            message: None,
        };
        load.measure(took_ms);
        load
    }

    #[test]
    fn time_left_is_told_while_rows_are_sent_and_there_is_something_to_measure() {
        let running = load("NE", 4000);
        assert_eq!(
            (running.rows_per_second, running.seconds_left),
            (Some(100), Some(6))
        );
        assert_eq!(load("NE", 900).rows_per_second, None);
        let sent = load("SE", 4000);
        assert_eq!((sent.rows(), sent.seconds_left), (400, None));
        assert_eq!(load("RQ", 4000).rows_per_second, None);
    }
}
