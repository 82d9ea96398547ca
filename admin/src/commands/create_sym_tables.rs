//! `symadmin create-sym-tables`

use crate::engine_args::EngineContext;
use crate::failure::Failure;
use symstream_shared::schema;

pub(super) async fn run(context: &EngineContext) -> Result<(), Failure> {
    let statements = schema::create(&context.database, &context.tables).await?;
    if statements.is_empty() {
        eprintln!(
            "the {} tables of engine {} are up to date",
            context.tables, context.engine.name
        );
    } else {
        eprintln!(
            "created or changed the {} tables of engine {} ({} statements)",
            context.tables,
            context.engine.name,
            statements.len()
        );
    }
    Ok(())
}
