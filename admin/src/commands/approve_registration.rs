//! `symadmin approve-registration`

use super::node::require_server;
use super::open_registration::{self, Args};
use crate::engine_args::EngineContext;
use crate::failure::Failure;

/// Opens the registration of a node that has asked: a mistyped name opens nothing.
pub(super) async fn run(context: &EngineContext, args: &Args) -> Result<(), Failure> {
    require_server(context, "approve-registration")?;
    context.require_tables().await?;
    let table = context.tables.name("registration_request");
    let query =
        format!("select node_group_id, external_id from {table} where node_group_id = ? and external_id = ?");
    let key = [args.group.as_str().into(), args.external_id.as_str().into()];
    let mut has_asked = false;
    for row in context.database.query(&query, &key).await? {
        has_asked |= row.text(0)? == args.group && row.text(1)? == args.external_id;
    }
    if !has_asked {
        let (group, external_id, engine) = (&args.group, &args.external_id, &context.engine.name);
        return Err(Failure::Failed(format!(
            "node {external_id} of group {group} has not asked to be registered (symadmin --engine {engine} \
             list-registrations); to let it in beforehand: symadmin --engine {engine} open-registration {group} {external_id}"
        )));
    }
    open_registration::run(context, args).await
}
