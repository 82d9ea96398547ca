//! The router's reports: which nodes get which rows.

use crate::decide::{Decision, ranges};
use std::collections::HashMap;
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::wire::{DataRange, Part, RoutedReport, TargetRows};

/// Ranges in one report: keeps it below half a megabyte even when nothing of it can be compressed.
const RANGES_MAX: usize = 20_000;

/// What all reports on one batch have in common.
pub(crate) struct Reporter {
    pub(crate) source: NodeId,
    pub(crate) channel: ChannelId,
    pub(crate) batch_id: i64,
    pub(crate) created_ms: i64,
    pub(crate) started_ms: i64,
    pub(crate) hostname: String,
}

impl Reporter {
    /// The reports on the rows of one part. An initial load's rows have no `data_id`, so there are none.
    pub(crate) fn on_part(&self, part: &Part, decision: &Decision, sent_ms: i64) -> Vec<RoutedReport> {
        let ids = |changes: &mut dyn Iterator<Item = usize>| {
            ranges(changes.map(|index| part.rows.changes[index].data_id).filter(|id| *id > 0))
        };
        let mut reports = Vec::new();
        let mut report = self.report(sent_ms, false);
        let mut count = 0;
        let mut add = |node: Option<&NodeId>, ranges: Vec<DataRange>| {
            for ranges in ranges.chunks(RANGES_MAX) {
                if count > 0 && count + ranges.len() > RANGES_MAX {
                    reports.push(std::mem::replace(&mut report, self.report(sent_ms, false)));
                    count = 0;
                }
                count += ranges.len();
                match node {
                    Some(node) => report.targets.push(TargetRows {
                        node: node.clone(),
                        ranges: ranges.to_vec(),
                        change_count: 0,
                    }),
                    None => report.unrouted.extend(ranges),
                }
            }
        };
        for (node, routed) in &decision.targets {
            add(Some(node), ids(&mut routed.iter().map(|row| row.change)));
        }
        add(None, ids(&mut decision.unrouted.iter().copied()));
        if count > 0 {
            reports.push(report);
        }
        reports
    }

    /// The batch's last report: the nodes with the number of their changes. `rows` is the report on the last
    /// part's rows where there is exactly one; it goes out as the same message.
    pub(crate) fn last(
        &self,
        rows: Option<RoutedReport>,
        counts: &[(NodeId, u64)],
        sent_ms: i64,
    ) -> RoutedReport {
        let rows = rows.unwrap_or_else(|| self.report(sent_ms, true));
        let mut ranges: HashMap<NodeId, Vec<DataRange>> =
            rows.targets.into_iter().map(|target| (target.node, target.ranges)).collect();
        let targets = counts
            .iter()
            .map(|(node, change_count)| TargetRows {
                node: node.clone(),
                ranges: ranges.remove(node).unwrap_or_default(),
                change_count: *change_count,
            })
            .collect();
        RoutedReport { targets, unrouted: rows.unrouted, ..self.report(sent_ms, true) }
    }

    fn report(&self, sent_ms: i64, last: bool) -> RoutedReport {
        RoutedReport {
            source: self.source.clone(),
            channel: self.channel.clone(),
            batch_id: self.batch_id,
            created_ms: self.created_ms,
            started_ms: self.started_ms,
            sent_ms,
            hostname: self.hostname.clone(),
            targets: Vec::new(),
            unrouted: Vec::new(),
            last,
        }
    }
}
