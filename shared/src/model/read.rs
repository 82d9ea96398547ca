use super::{Config, ModelError};
use crate::db::{DbError, Sql};
use crate::id::NodeId;
use crate::schema::Tables;
use crate::wire::ConfigurationTable;
/// Doc
pub async fn read_configuration(
    _sql: &mut dyn Sql,
    _tables: &Tables,
) -> Result<Vec<ConfigurationTable>, DbError> {
    unimplemented!()
}
/// Doc
pub async fn local_configuration(_sql: &mut dyn Sql, _tables: &Tables) -> Result<Config, ModelError> {
    unimplemented!()
}
/// Doc
pub async fn identity(_sql: &mut dyn Sql, _tables: &Tables) -> Result<Option<NodeId>, DbError> {
    unimplemented!()
}
