//! `sym_registration_request`: one row for each group and external id that asked, or may register.

use crate::db::{DbError, Param, Sql, time_ms};
use crate::id::{ExternalId, GroupId, NodeId};
use crate::schema::Tables;

const HOUR_MS: i64 = 3_600_000;

/// What a row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestStatus {
    /// It asked, and no registration is open for it.
    Asked,
    /// It may register, once.
    Open,
    /// It is registered.
    Registered,
    /// Its registration was closed: by itself, by hand, or because the node was removed.
    Closed,
}

impl RequestStatus {
    /// As `status` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "RQ",
            Self::Open => "OP",
            Self::Registered => "OK",
            Self::Closed => "RJ",
        }
    }

    fn of(text: &str) -> Option<Self> {
        [Self::Asked, Self::Open, Self::Registered, Self::Closed]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `status`
    pub status: RequestStatus,
    /// `secret_hash`: of the secret that was made last; of a registered node, the one that it used.
    pub secret_hash: Option<String>,
    /// Whether `expire_time` is over, by the database's clock.
    pub is_expired: bool,
    /// Whether the row is of exactly this group and external id: MySQL finds other spellings too, and has no room for
    /// two of them.
    pub is_exact: bool,
}

/// The row of a group and external id; `None` where there is none.
///
/// # Errors
/// [`DbError`] as the database says.
pub async fn find(
    sql: &mut dyn Sql,
    tables: &Tables,
    group: &GroupId,
    external_id: &ExternalId,
) -> Result<Option<Request>, DbError> {
    let table = tables.name("registration_request");
    let query = format!(
        "select status, secret_hash, case when expire_time <= {} then 1 else 0 end, node_group_id, external_id \
         from {table} where node_group_id = ? and external_id = ?",
        sql.kind().now()
    );
    let Some(row) = sql.query_opt(&query, &key(group, external_id)).await? else {
        return Ok(None);
    };
    let status = row.text(0)?;
    let status = RequestStatus::of(&status)
        .ok_or_else(|| DbError::unexpected(format!("{table}: status {status:?} is none")))?;
    Ok(Some(Request {
        status,
        secret_hash: row.opt_text(1)?,
        is_expired: row.int(2)? != 0,
        is_exact: row.text(3)? == group.as_str() && row.text(4)? == external_id.as_str(),
    }))
}

/// A registration that is opened.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// Of which group the node is.
    pub group: &'a GroupId,
    /// Its external id.
    pub external_id: &'a ExternalId,
    /// Its id.
    pub node: &'a NodeId,
    /// The hash of the secret that it has to show; `None` where the registration was opened by plain SQL.
    pub secret_hash: Option<&'a str>,
    /// After how many hours it closes by itself; 0: never.
    pub hours: u64,
    /// Who opens it.
    pub by: &'a str,
}

/// Notes that a registration is open: the secret made before is worth nothing from now on, and attempts count anew. The
/// caller sets `registration_enabled` in the same transaction.
///
/// # Errors
/// [`DbError`] as the database says.
pub async fn open(tx: &mut dyn Sql, tables: &Tables, opening: &Opening<'_>) -> Result<(), DbError> {
    let kind = tx.kind();
    let expires = expires(tx, opening.hours).await?;
    let now = kind.now();
    let statement = format!(
        "insert into {} (node_group_id, external_id, status, attempt_count, registered_node_id, secret_hash, \
         expire_time, error_message, last_updated_by, create_time, last_updated_time) \
         values (?, ?, ?, 0, ?, ?, ?, null, ?, {now}, {now}){}",
        tables.name("registration_request"),
        kind.or_update(
            &["node_group_id", "external_id"],
            &[
                "status",
                "attempt_count",
                "registered_node_id",
                "secret_hash",
                "expire_time",
                "error_message",
                "last_updated_by",
                "last_updated_time",
            ]
        )
    );
    let params = [
        opening.group.as_str().into(),
        opening.external_id.as_str().into(),
        RequestStatus::Open.as_str().into(),
        opening.node.as_str().into(),
        opening.secret_hash.into(),
        expires,
        opening.by.into(),
    ];
    tx.execute(&statement, &params).await.map(drop)
}

/// Notes that the node is registered. The hash stays, so that the secret is known when somebody uses it again.
///
/// # Errors
/// [`DbError`] as the database says.
pub async fn register(
    tx: &mut dyn Sql,
    tables: &Tables,
    group: &GroupId,
    external_id: &ExternalId,
    node: &NodeId,
    sync_url: &str,
) -> Result<(), DbError> {
    let kind = tx.kind();
    let now = kind.now();
    let statement = format!(
        "insert into {} (node_group_id, external_id, status, registered_node_id, sync_url, error_message, \
         expire_time, last_updated_by, create_time, last_updated_time) \
         values (?, ?, ?, ?, ?, null, null, 'registrar', {now}, {now}){}",
        tables.name("registration_request"),
        kind.or_update(
            &["node_group_id", "external_id"],
            &[
                "status",
                "registered_node_id",
                "sync_url",
                "error_message",
                "expire_time",
                "last_updated_by",
                "last_updated_time",
            ]
        )
    );
    let params = [
        group.as_str().into(),
        external_id.as_str().into(),
        RequestStatus::Registered.as_str().into(),
        node.as_str().into(),
        sync_url.into(),
    ];
    tx.execute(&statement, &params).await.map(drop)
}

/// Notes that a registration is closed, and why. Its secret is worth nothing any more.
///
/// # Errors
/// [`DbError`] as the database says.
pub async fn close(
    tx: &mut dyn Sql,
    tables: &Tables,
    group: &str,
    external_id: &str,
    why: &str,
    by: &str,
) -> Result<(), DbError> {
    let kind = tx.kind();
    let now = kind.now();
    let statement = format!(
        "insert into {} (node_group_id, external_id, status, error_message, secret_hash, expire_time, last_updated_by, \
         create_time, last_updated_time) values (?, ?, ?, ?, null, null, ?, {now}, {now}){}",
        tables.name("registration_request"),
        kind.or_update(
            &["node_group_id", "external_id"],
            &[
                "status",
                "error_message",
                "secret_hash",
                "expire_time",
                "last_updated_by",
                "last_updated_time",
            ]
        )
    );
    let params = [
        group.into(),
        external_id.into(),
        RequestStatus::Closed.as_str().into(),
        why.into(),
        by.into(),
    ];
    tx.execute(&statement, &params).await.map(drop)
}

/// When a registration that is opened now closes by itself.
pub(super) async fn expires(sql: &mut dyn Sql, hours: u64) -> Result<Param, DbError> {
    if hours == 0 {
        return Ok(Param::Null);
    }
    let hours = i64::try_from(hours).unwrap_or(i64::MAX / HOUR_MS);
    Ok(Param::Time(
        now_ms(sql).await?.saturating_add(hours.saturating_mul(HOUR_MS)),
    ))
}

/// The database's clock, which all who write the table share.
async fn now_ms(sql: &mut dyn Sql) -> Result<i64, DbError> {
    let kind = sql.kind();
    let query = format!("select {}", kind.time_as_text(kind.now()));
    let text = match sql.query_opt(&query, &[]).await? {
        Some(row) => row.text(0)?,
        None => String::new(),
    };
    time_ms(&text).ok_or_else(|| DbError::unexpected(format!("the database's clock says {text:?}")))
}

fn key(group: &GroupId, external_id: &ExternalId) -> [Param; 2] {
    [group.as_str().into(), external_id.as_str().into()]
}
