//! Reading a node's own tables.

use super::{Config, ModelError};
use crate::db::{DbError, Sql};
use crate::id::NodeId;
use crate::schema::Tables;
use crate::wire::ConfigurationTable;

/// Doc
pub async fn read_configuration(_sql: &mut dyn Sql, _tables: &Tables) -> Result<Vec<ConfigurationTable>, DbError> { unimplemented!() }
/// Doc
pub async fn local_configuration(_sql: &mut dyn Sql, _tables: &Tables) -> Result<Config, ModelError> { unimplemented!() }

/// Who the database's node is (`sym_node_identity`); `None` before it is registered.
///
/// # Errors
/// [`DbError`] as the database says.
pub async fn identity(sql: &mut dyn Sql, tables: &Tables) -> Result<Option<NodeId>, DbError> {
    let table = tables.name("node_identity");
    let Some(row) = sql.query_opt(&format!("select node_id from {table}"), &[]).await? else {
        return Ok(None);
    };
    NodeId::new(row.text(0)?).map(Some).map_err(|err| DbError::unexpected(format!("{table}: {err}")))
}
