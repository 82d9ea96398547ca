//! Changes of open registrations that somebody else may change at the same moment.
//!
//! Each says in its condition what it was decided by, because a snapshot alone does not help on MySQL: there a write
//! sees, and overwrites, what was committed after the snapshot. `false` means that the rows say something else by now,
//! and whoever decided has to look again.

use super::request::{Opening, RequestStatus, expires};
use crate::db::{DbError, Param, Sql};
use crate::id::{ExternalId, GroupId, NodeId};
use crate::schema::Tables;

/// The use of an open registration by a node that is admitted.
#[derive(Debug, Clone, Copy)]
pub struct Admission<'a> {
    /// Of which group the node is.
    pub group: &'a GroupId,
    /// Its external id.
    pub external_id: &'a ExternalId,
    /// Its id.
    pub node: &'a NodeId,
    /// The password that it made.
    pub password: &'a str,
    /// Who lets it in.
    pub by: &'a NodeId,
    /// `secret_hash` as it was when the request was judged; `None` where there was none.
    pub judged_hash: Option<&'a str>,
}

/// Uses up an open registration, unless it is used, closed, or opened with another secret meanwhile.
///
/// # Errors
/// [`DbError`] as the database says.
pub async fn admit(tx: &mut dyn Sql, tables: &Tables, admission: &Admission<'_>) -> Result<bool, DbError> {
    let mut update = format!(
        "update {} set registration_enabled = 0, registration_time = {}, password = ?, \
         created_at_node_id = ? where node_id = ? and registration_enabled <> 0",
        tables.name("node_security"),
        tx.kind().now()
    );
    let mut params: Vec<Param> = vec![
        admission.password.into(),
        admission.by.as_str().into(),
        admission.node.as_str().into(),
    ];
    if let Some(hash) = admission.judged_hash {
        update.push_str(&format!(
            " and exists (select 1 from {} where node_group_id = ? and external_id = ? and secret_hash = ?)",
            tables.name("registration_request")
        ));
        params.extend([
            admission.group.as_str().into(),
            admission.external_id.as_str().into(),
            hash.into(),
        ]);
    }
    Ok(tx.execute(&update, &params).await? > 0)
}

/// Notes a registration that was opened by plain SQL, unless it is noted as open, or closed, meanwhile. A row that is
/// made before it is found out is the caller's to roll back.
///
/// # Errors
/// [`DbError`] as the database says.
pub async fn note_opened(tx: &mut dyn Sql, tables: &Tables, opening: &Opening<'_>) -> Result<bool, DbError> {
    let kind = tx.kind();
    let (table, now) = (tables.name("registration_request"), kind.now());
    let (group, external_id) = (opening.group.as_str(), opening.external_id.as_str());
    // First some row that is not open, so that one condition fits both: a row that was there and one that was not.
    let insert = format!(
        "insert into {table} (node_group_id, external_id, status, create_time) values (?, ?, ?, {now}){}",
        kind.or_ignore(&["node_group_id", "external_id"])
    );
    let asked = RequestStatus::Asked.as_str();
    tx.execute(&insert, &[group.into(), external_id.into(), asked.into()])
        .await?;
    let expires = expires(tx, opening.hours).await?;
    let update = format!(
        "update {table} set status = ?, attempt_count = 0, registered_node_id = ?, secret_hash = ?, expire_time = ?, \
         error_message = null, last_updated_by = ?, last_updated_time = {now} \
         where node_group_id = ? and external_id = ? and status <> ? \
         and exists (select 1 from {} where node_id = ? and registration_enabled <> 0)",
        tables.name("node_security")
    );
    let open = RequestStatus::Open.as_str();
    let params = [
        open.into(),
        opening.node.as_str().into(),
        opening.secret_hash.into(),
        expires,
        opening.by.into(),
        group.into(),
        external_id.into(),
        open.into(),
        opening.node.as_str().into(),
    ];
    Ok(tx.execute(&update, &params).await? > 0)
}

/// Closes a registration that has been open for too long, unless it is closed or opened anew meanwhile.
///
/// # Errors
/// [`DbError`] as the database says.
pub async fn close_expired(
    tx: &mut dyn Sql,
    tables: &Tables,
    group: &str,
    external_id: &str,
    why: &str,
    by: &str,
) -> Result<bool, DbError> {
    let expired = format!("status = ? and expire_time <= {}", tx.kind().now());
    let disable = format!(
        "update {} set registration_enabled = 0 where registration_enabled <> 0 \
         and node_id in (select node_id from {} where node_group_id = ? and external_id = ?) \
         and exists (select 1 from {} where node_group_id = ? and external_id = ? and {expired})",
        tables.name("node_security"),
        tables.name("node"),
        tables.name("registration_request")
    );
    let open = RequestStatus::Open.as_str();
    // In the order in which all others write these two tables.
    let params = [
        group.into(),
        external_id.into(),
        group.into(),
        external_id.into(),
        open.into(),
    ];
    tx.execute(&disable, &params).await?;
    let closing = closing(tables, tx, &expired);
    let params = [
        RequestStatus::Closed.as_str().into(),
        why.into(),
        by.into(),
        group.into(),
        external_id.into(),
        open.into(),
    ];
    Ok(tx.execute(&closing, &params).await? > 0)
}

/// Closes a registration that is not enabled for any node, unless it is closed or opened anew meanwhile.
///
/// # Errors
/// [`DbError`] as the database says.
pub async fn close_disabled(
    tx: &mut dyn Sql,
    tables: &Tables,
    group: &str,
    external_id: &str,
    why: &str,
    by: &str,
) -> Result<bool, DbError> {
    let enabled = format!(
        "select 1 from {} n join {} s on s.node_id = n.node_id \
         where n.node_group_id = ? and n.external_id = ? and s.registration_enabled <> 0",
        tables.name("node"),
        tables.name("node_security")
    );
    let closing = closing(tables, tx, &format!("status = ? and not exists ({enabled})"));
    let params = [
        RequestStatus::Closed.as_str().into(),
        why.into(),
        by.into(),
        group.into(),
        external_id.into(),
        RequestStatus::Open.as_str().into(),
        group.into(),
        external_id.into(),
    ];
    Ok(tx.execute(&closing, &params).await? > 0)
}

fn closing(tables: &Tables, tx: &dyn Sql, condition: &str) -> String {
    format!(
        "update {} set status = ?, error_message = ?, secret_hash = null, expire_time = null, last_updated_by = ?, \
         last_updated_time = {} where node_group_id = ? and external_id = ? and {condition}",
        tables.name("registration_request"),
        tx.kind().now()
    )
}
