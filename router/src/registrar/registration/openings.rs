//! Open registrations that were opened or closed by plain SQL, and those whose time is over.

use crate::error::Error;
use crate::registrar::{Registrar, in_time};
use std::time::Duration;
use symstream_shared::db::{DbError, Row, Sql, Tx, TxKind};
use symstream_shared::id::{ExternalId, GroupId, NodeId};
use symstream_shared::parameter::Parameters;
use symstream_shared::registration::{self, Opening, RequestStatus};
use symstream_shared::retry::Disposition;
use tokio_util::sync::CancellationToken;

/// How often the tables are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Keeps the tables of open registrations true until asked to stop.
///
/// # Errors
/// [`Error::Database`] when the database refuses the login.
pub(in crate::registrar) async fn run(
    registrar: Registrar,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let mut told = String::new();
    loop {
        match in_time(registrar.look_at_openings()).await {
            Ok(()) => told.clear(),
            Err(err) if err.disposition == Disposition::Fatal => return Err(err.into()),
            Err(err) => {
                let message = err.to_string();
                if message != told && err.disposition != Disposition::Retry {
                    tracing::warn!(error = %err, "open registrations can not be looked at now");
                    told = message;
                }
            }
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

impl Registrar {
    async fn look_at_openings(&self) -> Result<(), DbError> {
        self.note_opened().await?;
        self.close_those_over().await
    }

    /// Gives registrations that nobody noted the hours that they may stay open.
    async fn note_opened(&self) -> Result<(), DbError> {
        let open = RequestStatus::Open.as_str();
        let query = format!(
            "select n.node_id, n.node_group_id, n.external_id, r.node_group_id, r.external_id from {} s \
             join {} n on n.node_id = s.node_id \
             left join {} r on r.node_group_id = n.node_group_id and r.external_id = n.external_id \
             where s.registration_enabled <> 0 and (r.status is null or r.status <> ?)",
            self.tables.name("node_security"),
            self.tables.name("node"),
            self.tables.name("registration_request")
        );
        // A short look first, so that nothing is locked for nothing.
        if self.database.query(&query, &[open.into()]).await?.is_empty() {
            return Ok(());
        }
        let mut tx = self.database.begin(TxKind::Snapshot).await?;
        let hours = Parameters::read(&mut tx, &self.tables, &self.engine)
            .await?
            .registration_open_hours;
        for row in tx.query(&query, &[open.into()]).await? {
            let (group, external_id) = (row.text(1)?, row.text(2)?);
            let spelled = (row.opt_text(3)?, row.opt_text(4)?);
            // MySQL has room for one spelling only, and it is another's.
            if spelled.0.is_some() && spelled != (Some(group.clone()), Some(external_id.clone())) {
                continue;
            }
            self.note_one(&mut tx, &row.text(0)?, &group, &external_id, hours)
                .await?;
        }
        tx.commit().await
    }

    async fn note_one(
        &self,
        tx: &mut Tx,
        node: &str,
        group: &str,
        external_id: &str,
        hours: u64,
    ) -> Result<(), DbError> {
        let ids = (
            NodeId::new(node),
            GroupId::new(group),
            ExternalId::new(external_id),
        );
        let (Ok(node), Ok(group), Ok(external_id)) = ids else {
            // No node can ask under such a name.
            return Ok(());
        };
        let opening = Opening {
            group: &group,
            external_id: &external_id,
            node: &node,
            secret_hash: None,
            hours,
            by: "sql",
        };
        if registration::note_opened(tx, &self.tables, &opening).await? {
            return Ok(());
        }
        Err(DbError {
            disposition: Disposition::Retry,
            ..DbError::unexpected(format!("the registration of node {node} was changed meanwhile"))
        })
    }

    /// Closes what has been open for too long, and notes what was closed by SQL.
    async fn close_those_over(&self) -> Result<(), DbError> {
        let query = format!(
            "select r.node_group_id, r.external_id, case when r.expire_time <= {now} then 1 else 0 end from {} r \
             where r.status = ? and (r.expire_time <= {now} or not exists (select 1 from {} n join {} s \
             on s.node_id = n.node_id where n.node_group_id = r.node_group_id and n.external_id = r.external_id \
             and s.registration_enabled <> 0))",
            self.tables.name("registration_request"),
            self.tables.name("node"),
            self.tables.name("node_security"),
            now = self.database.kind().now()
        );
        let open = RequestStatus::Open.as_str();
        if self.database.query(&query, &[open.into()]).await?.is_empty() {
            return Ok(());
        }
        let mut tx = self.database.begin(TxKind::Snapshot).await?;
        let mut closed = Vec::new();
        for row in tx.query(&query, &[open.into()]).await? {
            closed.extend(self.close_one(&mut tx, &row).await?);
        }
        tx.commit().await?;
        for (external_id, why) in closed {
            tracing::info!(external_id, why, "an open registration is closed");
        }
        Ok(())
    }

    /// What was closed and why; `None` where it was opened anew meanwhile.
    async fn close_one(&self, tx: &mut Tx, row: &Row) -> Result<Option<(String, &'static str)>, DbError> {
        let (group, external_id) = (row.text(0)?, row.text(1)?);
        let (tables, by) = (&self.tables, "registrar");
        let (is_closed, why) = if row.int(2)? == 0 {
            let why = "closed by hand: registration_enabled is 0";
            (
                registration::close_disabled(tx, tables, &group, &external_id, why, by).await?,
                why,
            )
        } else {
            let why = "closed by itself: its time is over (registration.open.hours)";
            (
                registration::close_expired(tx, tables, &group, &external_id, why, by).await?,
                why,
            )
        };
        Ok(is_closed.then_some((external_id, why)))
    }
}
