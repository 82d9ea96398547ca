use crate::db::{DbError, Sql};
use crate::schema::Tables;
use crate::wire::Configuration;
/// Doc
pub async fn adopt_configuration(
    _tx: &mut dyn Sql,
    _tables: &Tables,
    _configuration: &Configuration,
) -> Result<(), DbError> {
    unimplemented!()
}
