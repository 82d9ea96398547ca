//! Applying a batch's parts.

use super::BatchKey;
use crate::apply::Applier;
use crate::attempt::{Ended, Measured};
use crate::group;
use crate::initial_load::{LoadSteps, Stepped};
use std::borrow::Cow;
use symstream_shared::db::{DbError, Tx};
use symstream_shared::id::NodeId;
use symstream_shared::wire::{Assembler, LanePart, Message, WireError};

/// What a batch asks for outside of its transaction.
pub(super) enum Aside {
    /// It is this statement.
    Statement(String),
    /// It needs these tables first.
    Create(String),
}

/// Applies one part; gives back what has to be done instead.
pub(super) async fn apply_part(
    tx: &mut Tx,
    applier: &mut Applier<'_>,
    steps: &mut LoadSteps<'_>,
    part: &LanePart,
    node: Option<&NodeId>,
    measured: &mut Measured,
) -> Result<Option<Aside>, Ended> {
    if let Some(statement) = &part.statement {
        return Ok(Some(Aside::Statement(statement.clone())));
    }
    let Some(load) = &part.load else {
        let rows = match node.filter(|_| part.broadcast) {
            Some(node) => group::rows_for(&part.rows, node),
            None => Cow::Borrowed(&part.rows),
        };
        applier.apply(tx, &rows).await.map_err(Ended::Apply)?;
        return Ok(None);
    };
    match steps.write(tx, applier, load, part).await? {
        Stepped::Done => {}
        Stepped::Moved => measured.moved = true,
        Stepped::Create(xml) => return Ok(Some(Aside::Create(xml))),
    }
    Ok(None)
}

/// Applies the parts of a batch out of the spool, holding one logical part in memory at a time.
pub(super) async fn apply_spooled(
    tx: &mut Tx,
    applier: &mut Applier<'_>,
    steps: &mut LoadSteps<'_>,
    batch: &BatchKey,
    node: Option<&NodeId>,
    measured: &mut Measured,
) -> Result<Option<Aside>, Ended> {
    let spool = steps.spool;
    let mut aside = None;
    let mut assembler = Assembler::default();
    let mut seen = Vec::new();
    let mut listed = Vec::new();
    let mut after = 0;
    while let Some(spooled) = spool.next(tx, &batch.source, batch.batch_id, after).await? {
        after = spooled.part;
        seen.push(spooled.part);
        measured.sent_ms = spooled.sent_ms;
        let message = Message::decode(&spooled.body)
            .map_err(Ended::Wire)?
            .into_content();
        match assembler.push(message) {
            Ok(None) => {}
            Ok(Some(Message::Lane(part))) => {
                if part.part == part.part_last {
                    listed.clone_from(&part.parts);
                }
                aside = apply_part(tx, applier, steps, &part, node, measured).await?;
            }
            Ok(Some(_)) => {
                return Err(Ended::Database(DbError::unexpected(
                    "a message of this batch is none of a batch",
                )));
            }
            // Fragments follow each other in the spool unless one is missing.
            Err(WireError::FragmentOrder { .. }) => return Err(Ended::Incomplete),
            Err(err) => return Err(Ended::Wire(err)),
        }
    }
    // Nothing at all: another loader has applied it, or somebody emptied the spool.
    if !seen.is_empty() && seen == listed {
        Ok(aside)
    } else {
        Err(Ended::Incomplete)
    }
}
