//! The registration server's own first rows: nobody else can register it.

use super::dialect::version_query;
use super::tables::Tables;
use crate::db::{Database, DbError, Param, Sql, Tx, TxKind};
use crate::engine::Engine;
use crate::id::NodeId;
use crate::model;

/// Makes the registration server's engine a registered node: its `sym_node_identity`, `sym_node`,
/// `sym_node_security` and `sym_node_group` where they are missing. Rows that the user wrote stay. Returns the
/// node's id: its external id, unless the user gave it another identity.
///
/// # Errors
/// [`DbError`] as the database says; nothing is changed then.
pub async fn ensure_identity(
    database: &Database,
    tables: &Tables,
    engine: &Engine,
) -> Result<NodeId, DbError> {
    let mut tx = database.begin(TxKind::Write).await?;
    let node = match model::identity(&mut tx, tables).await? {
        Some(node) => node,
        None => NodeId::new(engine.external_id.as_str()).map_err(|err| DbError::fatal(err.to_string()))?,
    };
    let id = || Param::from(node.as_str());
    let group = || Param::from(engine.group.as_str());
    let version = tx
        .query_opt(version_query(tx.kind()), &[])
        .await?
        .map(|row| row.text(0))
        .transpose()?
        .unwrap_or_default();
    let kind = tx.kind();
    let now = kind.now();

    insert_missing(
        &mut tx,
        &tables.name("node_group"),
        &["node_group_id"],
        "?",
        &[group()],
    )
    .await?;
    insert_missing(
        &mut tx,
        &tables.name("node"),
        &[
            "node_id",
            "node_group_id",
            "external_id",
            "sync_enabled",
            "sync_url",
            "created_at_node_id",
            "database_type",
            "database_version",
            "symmetric_version",
        ],
        "?, ?, ?, 1, ?, ?, ?, ?, ?",
        &[
            id(),
            group(),
            engine.external_id.as_str().into(),
            engine.sync_url().into(),
            id(),
            kind.product_of(&version).into(),
            version.into(),
            env!("CARGO_PKG_VERSION").into(),
        ],
    )
    .await?;
    insert_missing(
        &mut tx,
        &tables.name("node_security"),
        &["node_id", "password", "registration_time", "created_at_node_id"],
        &format!("?, ?, {now}, ?"),
        &[id(), uuid::Uuid::new_v4().to_string().into(), id()],
    )
    .await?;
    let registered = format!(
        "update {} set registration_time = {now} where node_id = ? and registration_time is null",
        tables.name("node_security")
    );
    tx.execute(&registered, &[id()]).await?;
    insert_missing(&mut tx, &tables.name("node_identity"), &["node_id"], "?", &[id()]).await?;
    tx.commit().await?;
    Ok(node)
}

/// Inserts a row unless there is one with the same key, which is the first of `columns`.
async fn insert_missing(
    tx: &mut Tx,
    table: &str,
    columns: &[&str],
    values: &str,
    params: &[Param],
) -> Result<u64, DbError> {
    let end = tx.kind().or_ignore(&columns[..1]);
    tx.execute(
        &format!(
            "insert into {table} ({}) values ({values}){end}",
            columns.join(", ")
        ),
        params,
    )
    .await
}
