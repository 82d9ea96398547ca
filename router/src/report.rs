//! The router's reports: which nodes get which rows.

use crate::decide::{Decision, ranges};
use crate::outputs::Outputs;
use crate::part_reader::NumberedPart;
use std::collections::HashMap;
use symstream_shared::id::{ChannelId, GroupId, NodeId};
use symstream_shared::wire::{DataRange, GroupRows, Part, Request, RoutedReport, TargetRows};

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
    /// The reports on one part: on its rows, and with the batch's last part the one that ends the batch, with
    /// the number of changes that each node got in all. An initial load's rows have no `data_id`; those of a request
    /// all have the request's, which is for nobody when no part of its batch was for anybody.
    pub(crate) fn on_part(
        &self,
        numbered: &NumberedPart,
        decision: &Decision,
        outputs: &Outputs,
        sent_ms: i64,
    ) -> Vec<RoutedReport> {
        let mut reports = self.on_rows(&numbered.part, decision, outputs, sent_ms);
        if numbered.is_last {
            let rows = if reports.len() == 1 { reports.pop() } else { None };
            let mut last = self.last(rows, outputs, sent_ms);
            if last.targets.is_empty() && last.groups.is_empty() {
                last.unrouted.extend(numbered.part.request.iter().map(range_of));
            }
            reports.push(last);
        }
        reports
    }

    fn on_rows(
        &self,
        part: &Part,
        decision: &Decision,
        outputs: &Outputs,
        sent_ms: i64,
    ) -> Vec<RoutedReport> {
        let ids = |changes: &mut dyn Iterator<Item = usize>| match &part.request {
            Some(request) => vec![range_of(request)],
            None => ranges(
                changes
                    .map(|index| part.rows.changes[index].data_id)
                    .filter(|id| *id > 0),
            ),
        };
        let mut pages = Pages {
            reporter: self,
            sent_ms,
            full: Vec::new(),
            open: self.report(sent_ms, false),
            count: 0,
        };
        for (node, target) in &decision.targets {
            let ranges = ids(&mut target.rows.iter().map(|row| row.change));
            pages.add(Whose::Node(node, target.ignored), &ranges);
        }
        for (group, rows) in &decision.groups {
            let ranges = ids(&mut rows.iter().map(|row| row.change));
            pages.add(Whose::Group(group, &nodes_of(outputs, group)), &ranges);
        }
        if part.request.is_none() {
            pages.add(Whose::Nobody, &ids(&mut decision.unrouted.iter().copied()));
        }
        pages.close()
    }

    /// The batch's last report. `rows` is the report on the last part's rows where it is the only one: both go
    /// out as one message.
    fn last(&self, rows: Option<RoutedReport>, outputs: &Outputs, sent_ms: i64) -> RoutedReport {
        let rows = rows.unwrap_or_else(|| self.report(sent_ms, true));
        let mut ranges: HashMap<NodeId, Vec<DataRange>> = rows
            .targets
            .into_iter()
            .map(|target| (target.node, target.ranges))
            .collect();
        let targets = outputs
            .counts()
            .into_iter()
            .map(|count| TargetRows {
                ranges: ranges.remove(&count.node).unwrap_or_default(),
                node: count.node,
                change_count: count.change_count,
                ignored: count.ignored,
            })
            .collect();
        let mut of_groups: HashMap<GroupId, Vec<DataRange>> = rows
            .groups
            .into_iter()
            .map(|group| (group.group, group.ranges))
            .collect();
        let groups = outputs
            .groups
            .iter()
            .map(|(group, lane)| GroupRows {
                group: group.clone(),
                nodes: nodes_of(outputs, group),
                ranges: of_groups.remove(group).unwrap_or_default(),
                change_count: lane.written.change_count,
            })
            .collect();
        RoutedReport {
            targets,
            groups,
            unrouted: rows.unrouted,
            ..self.report(sent_ms, true)
        }
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
            groups: Vec::new(),
        }
    }
}

fn range_of(request: &Request) -> DataRange {
    (request.data_id(), request.data_id())
}

/// The group's nodes that the batch is for.
fn nodes_of(outputs: &Outputs, group: &GroupId) -> Vec<NodeId> {
    let lane = outputs.groups.get(group);
    lane.map_or_else(Vec::new, |lane| lane.recipients.keys().cloned().collect())
}

/// Who gets rows.
enum Whose<'a> {
    /// A node, with whether it is ignored.
    Node(&'a NodeId, bool),
    /// A group, with its nodes.
    Group(&'a GroupId, &'a [NodeId]),
    Nobody,
}

/// Reports on one part's rows, each within the limit.
struct Pages<'a> {
    reporter: &'a Reporter,
    sent_ms: i64,
    full: Vec<RoutedReport>,
    open: RoutedReport,
    /// The ranges in `open`.
    count: usize,
}

impl Pages<'_> {
    fn add(&mut self, whose: Whose<'_>, ranges: &[DataRange]) {
        for ranges in ranges.chunks(RANGES_MAX) {
            if self.count > 0 && self.count + ranges.len() > RANGES_MAX {
                let next = self.reporter.report(self.sent_ms, false);
                self.full.push(std::mem::replace(&mut self.open, next));
                self.count = 0;
            }
            self.count += ranges.len();
            match whose {
                Whose::Node(node, ignored) => self.open.targets.push(TargetRows {
                    node: node.clone(),
                    ranges: ranges.to_vec(),
                    change_count: 0,
                    ignored,
                }),
                Whose::Group(group, nodes) => self.open.groups.push(GroupRows {
                    group: group.clone(),
                    nodes: nodes.to_vec(),
                    ranges: ranges.to_vec(),
                    change_count: 0,
                }),
                Whose::Nobody => self.open.unrouted.extend(ranges),
            }
        }
    }

    fn close(mut self) -> Vec<RoutedReport> {
        if self.count > 0 {
            self.full.push(self.open);
        }
        self.full
    }
}
