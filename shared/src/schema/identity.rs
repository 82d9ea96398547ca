use super::Tables;
use crate::db::{Database, DbError};
use crate::engine::Engine;
use crate::id::NodeId;
pub async fn ensure_identity(
    _database: &Database,
    _tables: &Tables,
    _engine: &Engine,
) -> Result<NodeId, DbError> {
    unimplemented!()
}
