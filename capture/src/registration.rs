//! How a node gets its identity.
//!
//! The password is random and stored before it is sent for the first time: with it a lost answer can be asked for
//! again, by nobody else. The answer (identity, own node, password, configuration) is written in one transaction.

use crate::error::Error;
use crate::state;
use symstream_nats::Bus;
use symstream_shared::db::{Database, Param, Sql, TxKind};
use symstream_shared::engine::Engine;
use symstream_shared::id::NodeId;
use symstream_shared::model::adopt_configuration;
use symstream_shared::schema::{Tables, version_query};
use symstream_shared::wire::{RegistrationReply, RegistrationRequest};

/// Asks the registration server once.
///
/// # Errors
/// [`Error::Refused`] with the server's reason; the caller asks again from time to time, because an operator may
/// open the registration meanwhile.
pub(crate) async fn register(
    engine: &Engine,
    database: &Database,
    tables: &Tables,
    bus: &Bus,
) -> Result<NodeId, Error> {
    let password = password(database, tables).await?;
    let version = database.query_opt(version_query(database.kind()), &[]).await?;
    let version = version.map(|row| row.text(0)).transpose()?.unwrap_or_default();
    let request = RegistrationRequest {
        secret: None,
        via: None,
        group: engine.group.clone(),
        external_id: engine.external_id.clone(),
        password,
        database_type: database.kind().product_of(&version).to_owned(),
        database_version: version,
        symmetric_version: env!("CARGO_PKG_VERSION").to_owned(),
        sync_url: engine.sync_url(),
    };
    match bus.register(engine.server(), &request).await? {
        RegistrationReply::Redirected { node, .. } => {
            Err(Error::Refused(format!("node {node} registers it")))
        }
        RegistrationReply::Refused { reason } => Err(Error::Refused(reason)),
        RegistrationReply::Granted {
            node,
            password,
            server_node,
            configuration,
        } => {
            let mut tx = database.begin(TxKind::Write).await?;
            let kind = tx.kind();
            let identity = format!(
                "insert into {} (node_id) values (?)",
                tables.name("node_identity")
            );
            tx.execute(&identity, &[node.as_str().into()]).await?;
            adopt_configuration(&mut tx, tables, &configuration).await?;
            let security = format!(
                "insert into {} (node_id, password, registration_enabled, registration_time, initial_load_enabled, \
                 created_at_node_id) values (?, ?, 0, {}, 0, ?){}",
                tables.name("node_security"),
                kind.now(),
                kind.or_update(
                    &["node_id"],
                    &["password", "registration_enabled", "registration_time"]
                ),
            );
            let params: [Param; 3] = [node.as_str().into(), password.into(), server_node.as_str().into()];
            tx.execute(&security, &params).await?;
            tx.commit().await?;
            tracing::info!(node_id = %node, server = %engine.server(), "registered");
            Ok(node)
        }
    }
}

/// The password that the node asks with, made when it asks for the first time.
async fn password(database: &Database, tables: &Tables) -> Result<String, Error> {
    let mut conn = database.conn().await?;
    if let Some(password) = state::get(&mut conn, tables, state::REGISTRATION_PASSWORD).await? {
        return Ok(password);
    }
    let password = uuid::Uuid::new_v4().simple().to_string();
    state::replace(&mut conn, tables, state::REGISTRATION_PASSWORD, None, &password).await?;
    Ok(password)
}
