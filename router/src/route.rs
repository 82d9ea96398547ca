//! Routing one captured batch: out into the nodes' lanes, then the lanes' tails and the report.
//!
//! Every step may be repeated. After a crash anywhere the whole is done again by whoever gets the message
//! next: the decision comes out the same (but for nodes that are removed meanwhile, see [`crate::removed`]), loaders recognise what they have by its batch, and a lane whose tail
//! stands at this batch keeps the predecessor that it was given the first time.

use crate::broadcast::{Broadcast, Plan, Planner};
use crate::configuration_cache::{ConfigurationCache, KnownConfig};
use crate::decide::{Decision, LoadMisfit, decide};
use crate::error::RouteError;
use crate::forgotten::ForgottenTriggers;
use crate::lanes::Opening;
use crate::outputs::Outputs;
use crate::part_reader::{NumberedPart, PartReader};
use crate::removed::RemovedSources;
use crate::report::Reporter;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use symstream_nats::{Bus, CapturedMessage};
use symstream_shared::id::NodeId;
use symstream_shared::model::Config;
use symstream_shared::wire::{Part, RoutedReport};

/// Routes batches. Shared by all loops of a service; keeps nothing about a batch.
pub(crate) struct BatchRouter {
    pub(crate) bus: Bus,
    pub(crate) configurations: ConfigurationCache,
    pub(crate) hostname: String,
    pub(crate) forgotten: ForgottenTriggers,
    pub(crate) removed: RemovedSources,
}

impl BatchRouter {
    /// Routes the batch whose last message is `last`, by the configuration that it names unless another is given.
    /// When it returns, everything is stored but the acknowledgement. May be dropped at any point; it has to be
    /// called again then.
    ///
    /// # Errors
    /// [`RouteError`]. What can not be decided or read is found before anything is put out; nothing that was put
    /// out before another error needs to be taken back.
    pub(crate) async fn route(&self, last: &CapturedMessage, version: Option<i64>) -> Result<(), RouteError> {
        let started_ms = now_ms();
        if self.is_of_removed(last, version).await? {
            return self.pass_over(last, started_ms).await;
        }
        let mut plan = None;
        if last.header.part_last > 1 {
            plan = Some(self.check(last, version).await?);
        }
        let mut outputs = Outputs::default();
        let mut reader = PartReader::new(&self.bus, last);
        while let Some(mut numbered) = reader.next().await? {
            let config = self.configuration(&numbered.part, version).await?;
            // A batch of one message has one part only.
            let plan = plan.get_or_insert_with(|| plan_of(&numbered, &config));
            plan.settle(&mut numbered.part);
            let decision = self.decide(&numbered.part, &config, &plan.broadcast)?;
            plan.spread = plan.spread.max(spread_of(&numbered, &decision));
            if numbered.is_last {
                let unknown = plan.unknown.iter().chain(&decision.unknown);
                unknown.for_each(|(target, why)| warn_of_unknown(last, target, why));
            }
            let opening = Opening {
                last,
                config: &config,
                plan,
            };
            self.open_lanes(&opening, &decision, &mut outputs).await?;
            self.put_out(&numbered, &decision, last, &mut outputs).await?;
            let reports =
                self.reporter(&numbered, started_ms)
                    .on_part(&numbered, &decision, &outputs, now_ms());
            let tails = async {
                if numbered.is_last {
                    self.write_tails(last, &outputs).await?;
                }
                Ok(())
            };
            // What a report says is true once the rows are in the lanes. Until the tails name the batch too it is not
            // acknowledged, and done again with the same outcome.
            tokio::try_join!(tails, self.report(&reports))?;
        }
        log_routed(last, &outputs);
        Ok(())
    }

    /// Reads and decides all parts of a batch without putting anything out: a batch goes out whole or not at
    /// all. Returns what is the same for all of its parts.
    async fn check(&self, last: &CapturedMessage, version: Option<i64>) -> Result<Plan, RouteError> {
        let mut planner = Planner::new();
        let mut reader = PartReader::new(&self.bus, last);
        while let Some(mut numbered) = reader.next().await? {
            let config = self.configuration(&numbered.part, version).await?;
            let broadcast = planner.add(&numbered.part, &config);
            // Who is absent is settled by the last part; with all of them none of its lanes takes more room.
            numbered.part.absent.clear();
            let decision = self.decide(&numbered.part, &config, &broadcast)?;
            planner.spread_by(spread_of(&numbered, &decision));
            planner.leave_out(decision.unknown);
        }
        Ok(planner.finish())
    }

    /// The configuration that the part names, unless another is given.
    async fn configuration(&self, part: &Part, version: Option<i64>) -> Result<Arc<KnownConfig>, RouteError> {
        self.configurations
            .get(version.unwrap_or(part.configuration_version))
            .await
    }

    fn decide(&self, part: &Part, config: &Config, broadcast: &Broadcast) -> Result<Decision, RouteError> {
        let decision = decide(part, config, broadcast)?;
        self.forgotten.warn(part, config.version, &decision);
        Ok(decision)
    }

    pub(crate) async fn report(&self, reports: &[RoutedReport]) -> Result<(), RouteError> {
        for report in reports {
            self.bus.report(report).await?;
        }
        Ok(())
    }

    pub(crate) fn reporter(&self, numbered: &NumberedPart, started_ms: i64) -> Reporter {
        let part = &numbered.part;
        Reporter {
            source: part.source.clone(),
            channel: part.channel.clone(),
            batch_id: part.batch_id,
            created_ms: part.created_ms,
            started_ms,
            hostname: self.hostname.clone(),
        }
    }
}

fn plan_of(numbered: &NumberedPart, config: &KnownConfig) -> Plan {
    let mut planner = Planner::new();
    planner.add(&numbered.part, config);
    planner.finish()
}

fn spread_of(numbered: &NumberedPart, decision: &Decision) -> u32 {
    numbered.numbers.spread_for(numbered.bytes, decision.copies_max())
}

fn warn_of_unknown(last: &CapturedMessage, target: &NodeId, why: &LoadMisfit) {
    tracing::warn!(
        node_id = %last.header.source, batch_id = last.header.batch_id, target = %target, why = %why,
        "a batch of an initial load is not for this node"
    );
}

fn log_routed(last: &CapturedMessage, outputs: &Outputs) {
    let header = &last.header;
    tracing::debug!(
        node_id = %header.source, channel = %header.channel, batch_id = header.batch_id,
        targets = outputs.lane_count(), row_count = outputs.change_count(),
        "routed"
    );
}

/// Milliseconds since 1970 by this host's clock.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
