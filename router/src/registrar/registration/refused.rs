//! Requests that were refused: counted in `sym_registration_request`, and logged once each.

use super::records::sync_url;
use super::verdict::Refusal;
use crate::registrar::{Registrar, in_time};
use std::collections::HashSet;
use symstream_shared::db::{DbError, Sql, TxKind};
use symstream_shared::registration::{self, RequestStatus};
use symstream_shared::wire::RegistrationRequest;

/// How many nodes that nobody opened a registration for are listed. Whoever reaches NATS can ask under any name.
pub(super) const STRANGERS_MAX: i64 = 1000;
/// Refusals remembered so that each is logged once, however often a node asks.
const REMEMBERED_MAX: usize = 1000;

/// What was said of refused requests, so that it is said once.
#[derive(Default)]
pub(super) struct Told {
    refused: HashSet<String>,
    is_full: bool,
}

impl Registrar {
    /// Counts a refused request, and says it in the log when it is a new one.
    pub(super) async fn note_refusal(
        &self,
        request: &RegistrationRequest,
        refusal: &Refusal,
        told: &mut Told,
    ) {
        let (group, external_id) = (&request.group, &request.external_id);
        if told.refused.len() >= REMEMBERED_MAX {
            told.refused.clear();
        }
        let reason = &refusal.noted;
        if told.refused.insert(format!("{group}/{external_id}: {reason}")) {
            tracing::warn!(node_group = %group, external_id = %external_id, reason, "refused a registration");
        }
        match in_time(self.count_refusal(request, reason)).await {
            Ok(true) => {}
            Ok(false) if told.is_full => {}
            Ok(false) => {
                told.is_full = true;
                tracing::warn!(
                    "{STRANGERS_MAX} nodes that no registration is open for have asked; further ones are refused without \
                     being listed, until rows with status RQ are deleted from {}",
                    self.tables.name("registration_request")
                );
            }
            Err(err) => {
                tracing::warn!(node_group = %group, external_id = %external_id, error = %err, "a refused registration is not counted");
            }
        }
    }

    /// Whether it could be written, or need not be: no row is made for yet another stranger when there are too many.
    async fn count_refusal(&self, request: &RegistrationRequest, reason: &str) -> Result<bool, DbError> {
        let (group, external_id) = (&request.group, &request.external_id);
        let table = self.tables.name("registration_request");
        let mut tx = self.database.begin(TxKind::Write).await?;
        let found = registration::find(&mut tx, &self.tables, group, external_id).await?;
        match &found {
            // MySQL has room for one spelling only.
            Some(row) if !row.is_exact => return Ok(true),
            Some(_) => {}
            None => {
                let count = format!("select count(*) from {table} where status = ?");
                let asked = RequestStatus::Asked.as_str();
                let strangers = tx.query_opt(&count, &[asked.into()]).await?;
                if strangers.map_or(Ok(0), |row| row.int(0))? >= STRANGERS_MAX {
                    return Ok(false);
                }
                let now = tx.kind().now();
                let insert = format!(
                    "insert into {table} (node_group_id, external_id, status, create_time) values (?, ?, ?, {now}){}",
                    tx.kind().or_ignore(&["node_group_id", "external_id"])
                );
                let values = [group.as_str().into(), external_id.as_str().into(), asked.into()];
                tx.execute(&insert, &values).await?;
            }
        }
        let update = format!(
            "update {table} set attempt_count = attempt_count + 1, error_message = ?, sync_url = ?, \
             last_updated_by = 'registrar', last_updated_time = {} where node_group_id = ? and external_id = ?",
            tx.kind().now()
        );
        let values = [
            reason.into(),
            sync_url(request).into(),
            group.as_str().into(),
            external_id.as_str().into(),
        ];
        tx.execute(&update, &values).await?;
        tx.commit().await?;
        Ok(true)
    }
}
