use super::Tables;
use crate::db::{Database, DbError};
pub async fn create(_database: &Database, _tables: &Tables) -> Result<(), DbError> {
    unimplemented!()
}
pub async fn drop_all(_database: &Database, _tables: &Tables) -> Result<(), DbError> {
    unimplemented!()
}
