//! `symadmin status`

mod held_back;
mod loads;
mod needs;
mod watch;

use crate::engine_args::EngineContext;
use crate::failure::Failure;
use crate::listing::{Listing, print_json, print_text};
use loads::Load;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use symstream_shared::batch_status::BatchStatus;
use time::{Duration, OffsetDateTime, PrimitiveDateTime, macros::format_description};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Look again each second: redrawn at a terminal, lines of what has changed elsewhere
    #[arg(long)]
    watch: bool,
    /// Print JSON; with --watch one line each second
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &EngineContext, args: &Args) -> Result<(), Failure> {
    context.require_tables().await?;
    if args.watch {
        return watch::run(context, args.json).await;
    }
    let status = Status::read(context).await?;
    if args.json {
        print_json(&status.json());
    } else {
        print_text(&status.text());
    }
    Ok(())
}

/// What the tables say now.
struct Status {
    held_back: Listing,
    needs: Listing,
    loads: Vec<Load>,
    captured: Listing,
    outgoing: Listing,
    incoming: Listing,
}

impl Status {
    async fn read(context: &EngineContext) -> Result<Self, Failure> {
        let now = OffsetDateTime::now_utc();
        Ok(Self {
            held_back: held_back::held_back(context).await?,
            needs: needs::needs(context).await?,
            loads: loads::loads(context, now).await?,
            captured: waiting(context, now).await?,
            outgoing: outgoing(context, now).await?,
            incoming: incoming(context).await?,
        })
    }

    fn json(&self) -> Value {
        json!({
            "held_back": self.held_back.json(),
            "needs_reload": self.needs.json(),
            "loads": loads::listing(&self.loads).json(),
            "captured": self.captured.json(),
            "outgoing": self.outgoing.json(),
            "incoming": self.incoming.json(),
        })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        // What an operator did or has to know comes first: it explains the rest. Where there is nothing, nothing is said.
        let loads = loads::listing(&self.loads);
        for (title, listing) in [
            ("held back by the configuration", &self.held_back),
            ("need a reload, and are sent nothing before", &self.needs),
            ("initial loads", &loads),
        ] {
            if !listing.is_empty() {
                text.push_str(&format!("{title}:\n{}\n", listing.text()));
            }
        }
        for (title, listing, nothing) in [
            (
                "captured, not routed yet",
                &self.captured,
                "everything captured is routed",
            ),
            (
                "on the way to other nodes",
                &self.outgoing,
                "no batches for other nodes yet",
            ),
            (
                "from other nodes",
                &self.incoming,
                "no batches from other nodes yet",
            ),
        ] {
            if listing.is_empty() {
                text.push_str(&format!("{nothing}\n\n"));
            } else {
                text.push_str(&format!("{title}:\n{}\n", listing.text()));
            }
        }
        text
    }
}

/// Changes that no router has answered for, by channel.
async fn waiting(context: &EngineContext, now: OffsetDateTime) -> Result<Listing, Failure> {
    let query = format!(
        "select d.channel_id, count(*), min({}) from {} d \
         where not exists (select 1 from {} e where e.data_id = d.data_id) \
         group by d.channel_id order by d.channel_id",
        context.database.kind().time_as_text("d.create_time"),
        context.tables.name("data"),
        context.tables.name("data_event"),
    );
    let mut listing = Listing::new(&["channel", "rows", "oldest", "lag_seconds"]);
    for row in context.database.query(&query, &[]).await? {
        let oldest = row.opt_text(2)?;
        let lag = oldest.as_deref().and_then(|oldest| age(oldest, now));
        listing.push(vec![
            row.text(0)?.into(),
            row.int(1)?.into(),
            oldest.into(),
            lag.into(),
        ]);
    }
    Ok(listing)
}

#[derive(Default)]
struct Lane {
    counts: BTreeMap<&'static str, i64>,
    oldest_open: Option<String>,
    error: Option<(i64, String)>,
}

/// Batches by node and channel. The lag is the age of the oldest that is not `OK`.
async fn outgoing(context: &EngineContext, now: OffsetDateTime) -> Result<Listing, Failure> {
    let mut lanes: BTreeMap<(String, String), Lane> = BTreeMap::new();
    let batch = context.tables.name("outgoing_batch");
    let query = format!(
        "select node_id, channel_id, status, count(*), min({}) from {batch} group by node_id, channel_id, status",
        context.database.kind().time_as_text("create_time"),
    );
    for row in context.database.query(&query, &[]).await? {
        let lane = lanes
            .entry((row.text(0)?, row.opt_text(1)?.unwrap_or_default()))
            .or_default();
        let status: BatchStatus = row
            .opt_text(2)?
            .unwrap_or_default()
            .parse()
            .map_err(|err| Failure::Failed(format!("table {batch}: {err}")))?;
        lane.counts.insert(status.as_str(), row.int(3)?);
        if status != BatchStatus::Ok {
            let oldest = [lane.oldest_open.take(), row.opt_text(4)?]
                .into_iter()
                .flatten()
                .min();
            lane.oldest_open = oldest;
        }
    }
    let errors = format!(
        "select b.node_id, b.channel_id, b.batch_id, h.sql_message from {batch} b join {} h \
         on h.batch_id = b.batch_id and h.node_id = b.node_id and h.status = 'ER' \
         where b.status = 'ER' order by b.batch_id desc, h.end_time",
        context.tables.name("outgoing_batch_hist"),
    );
    for row in context.database.query(&errors, &[]).await? {
        let lane = lanes
            .entry((row.text(0)?, row.opt_text(1)?.unwrap_or_default()))
            .or_default();
        // The last one wins: the newest message of the oldest batch, which holds up the others.
        lane.error = Some((row.int(2)?, row.opt_text(3)?.unwrap_or_default()));
    }
    let mut listing = Listing::new(&[
        "to_node",
        "channel",
        "new",
        "sent",
        "error",
        "ok",
        "oldest_open",
        "lag_seconds",
        "failed_batch",
        "message",
    ]);
    for ((node, channel), lane) in lanes {
        let count = |status: BatchStatus| Value::from(lane.counts.get(status.as_str()).copied().unwrap_or(0));
        let lag = lane.oldest_open.as_deref().and_then(|oldest| age(oldest, now));
        let (failed, message) = lane.error.unzip();
        listing.push(vec![
            node.into(),
            channel.into(),
            count(BatchStatus::New),
            count(BatchStatus::Sent),
            count(BatchStatus::Error),
            count(BatchStatus::Ok),
            lane.oldest_open.into(),
            lag.into(),
            failed.into(),
            message.into(),
        ]);
    }
    Ok(listing)
}

/// How far the loader is with each source and channel, and what it is held up by.
async fn incoming(context: &EngineContext) -> Result<Listing, Failure> {
    let kind = context.database.kind();
    let query = format!(
        "select l.source_node_id, l.channel_id, l.batch_id, {}, l.held_batch_id, l.attempt_count, {}, \
         (select h.sql_message from {} h where h.batch_id = l.held_batch_id and h.node_id = l.source_node_id \
         and h.status = 'ER' order by h.end_time desc limit 1) \
         from {} l order by l.source_node_id, l.channel_id",
        kind.time_as_text("l.update_time"),
        kind.time_as_text("l.next_attempt_time"),
        context.tables.name("incoming_batch_hist"),
        context.tables.name("incoming_lane"),
    );
    let mut listing = Listing::new(&[
        "from_node",
        "channel",
        "last_batch",
        "last_contact",
        "held_batch",
        "attempts",
        "next_attempt",
        "message",
    ]);
    for row in context.database.query(&query, &[]).await? {
        listing.push(vec![
            row.text(0)?.into(),
            row.text(1)?.into(),
            row.opt_int(2)?.into(),
            row.opt_text(3)?.into(),
            row.opt_int(4)?.into(),
            row.opt_int(5)?.into(),
            row.opt_text(6)?.into(),
            row.opt_text(7)?.into(),
        ]);
    }
    Ok(listing)
}

/// The seconds since a time as the tables' columns are read; `None` when it is not readable as one. Clocks may
/// differ, so it is never below 0.
fn age(time: &str, now: OffsetDateTime) -> Option<i64> {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let at = PrimitiveDateTime::parse(time.get(..19)?, format)
        .ok()?
        .assume_utc();
    Some((now - at).max(Duration::ZERO).whole_seconds())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn an_age_is_counted_from_utc_and_never_negative() {
        let now = datetime!(2026-11-22 02:00:10 UTC);
        assert_eq!(age("2026-11-22 02:00:00.123456", now), Some(10));
        assert_eq!(age("2026-11-22 02:00:11", now), Some(0));
        assert_eq!(age("yesterday", now), None);
    }
}
