//! The commands of `symadmin`, one in each module.

mod approve_registration;
mod batch_rows;
mod cancel_reload;
mod channel_control;
mod create_sym_tables;
mod decode;
mod list_batches;
mod list_engines;
mod list_nodes;
mod list_parameters;
mod list_registrations;
mod node;
mod open_registration;
mod reload_node;
mod reload_table;
mod remove_node;
mod request;
mod send_sql;
mod show_batch;
mod status;
mod sync_triggers;
mod uninstall;

use crate::engine_args::EngineArgs;
use crate::failure::Failure;
use channel_control::Action;
use clap::Subcommand;
use std::io::Read;
use symstream_shared::db::{DbError, Row};

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Creates the sym_ tables, or brings those of an older version up to date
    #[command(after_help = "Example:\n  symadmin --engine cloud-1 create-sym-tables")]
    CreateSymTables,
    /// Removes SymStream's triggers and the sym_ tables with everything in them
    #[command(after_help = "Example:\n  symadmin --engine local-1 uninstall --streams --yes")]
    Uninstall(uninstall::Args),
    /// Installs, rebuilds and drops triggers, so that they are as sym_trigger says
    #[command(after_help = "Example:\n  symadmin --engine cloud-1 sync-triggers --dry-run")]
    SyncTriggers(sync_triggers::Args),
    /// Lets a node register, once, and prints the one-time secret that it may have to show
    #[command(
        long_about = "Lets a node register, once, and prints the one-time secret that it has to show (registration.secret) \
                      where NATS asks for logins or registration.secret.required is set. Opening again makes a new \
                      secret; the one before is worth nothing then. A registered node stays so until another database \
                      registers in its place. The registration closes by itself after registration.open.hours.",
        after_help = "Example:\n  symadmin --engine cloud-1 open-registration local 2 --secret-file local-2.secret"
    )]
    OpenRegistration(open_registration::Args),
    /// Lists who asked to be registered, who may, and who is
    #[command(after_help = "Example:\n  symadmin --engine cloud-1 list-registrations")]
    ListRegistrations(ListArgs),
    /// Lets a node register that has asked for it; prints its one-time secret like open-registration
    #[command(after_help = "Example:\n  symadmin --engine cloud-1 approve-registration local 2")]
    ApproveRegistration(open_registration::Args),
    /// Ends a node's part: nobody sends it anything any more, and what is kept for it goes
    #[command(
        long_about = "Ends a node's part: it may not take part any more, nobody sends it anything, and what waits for it in \
                      NATS is removed by the router. Records of its batches stay. It can be registered again under the \
                      same external id.",
        after_help = "Example:\n  symadmin --engine cloud-1 remove-node 2 --yes"
    )]
    RemoveNode(remove_node::Args),
    /// Sends nodes all rows that belong to them, as soon as they are registered
    #[command(
        long_about = "Sends nodes all rows that belong to them, as soon as they are registered. Nodes that are asked for \
                      together are loaded together: what is the same for them is read once.",
        after_help = "Example:\n  symadmin --engine cloud-1 reload-node 2\n  symadmin --engine cloud-1 reload-node --group local"
    )]
    ReloadNode(reload_node::Args),
    /// Ends the loads of nodes: they go on with what they have got of them
    #[command(after_help = "Example:\n  symadmin --engine cloud-1 cancel-reload 2")]
    CancelReload(cancel_reload::Args),
    /// Sends a node a table again, or some of its rows, in order with the table's changes
    #[command(
        after_help = "Example:\n  symadmin --engine cloud-1 reload-table 2 patients --where \"t.ward = 'B'\""
    )]
    ReloadTable(reload_table::Args),
    /// Runs a statement at a node, in order with the changes of a channel; at the registration server only
    #[command(
        after_help = "Example:\n  symadmin --engine cloud-1 send-sql 2 \"create index by_ward on patients (ward)\""
    )]
    SendSql(send_sql::Args),
    /// Holds a node's channel back: its batches wait, in order
    #[command(after_help = "Example:\n  symadmin --engine cloud-1 suspend 2 clinic")]
    Suspend(channel_control::Args),
    /// Ends suspend and ignore
    #[command(after_help = "Example:\n  symadmin --engine cloud-1 resume 2 clinic")]
    Resume(channel_control::Args),
    /// Marks a node's batches of a channel OK without sending them
    #[command(after_help = "Example:\n  symadmin --engine cloud-1 ignore 2 clinic")]
    Ignore(channel_control::Args),
    /// Lists the parameters: their values at the engine's node, and where these come from
    #[command(
        long_about = "Lists the parameters: their values at the engine's node, and where these come from. The \
                      environment and --set are those of this command: a running service may have others.",
        after_help = "Example:\n  symadmin --engine cloud-1 list-parameters --json"
    )]
    ListParameters(ListArgs),
    /// Lists the nodes that the engine's database knows
    #[command(after_help = "Example:\n  symadmin --engine cloud-1 list-nodes --json")]
    ListNodes(ListArgs),
    /// Lists the engines of the engines folder
    #[command(after_help = "Example:\n  symadmin --engines-dir /etc/symstream/engines list-engines")]
    ListEngines(ListArgs),
    /// Lists batches, the newest first
    #[command(after_help = "Example:\n  symadmin --engine cloud-1 list-batches --status ER")]
    ListBatches(list_batches::Args),
    /// Shows a batch: its history, its errors and its rows
    #[command(after_help = "Example:\n  symadmin --engine cloud-1 show-batch 42 --node 2")]
    ShowBatch(show_batch::Args),
    /// Shows, for each node and channel, what waits, what is on the way and what failed
    #[command(
        after_help = "Example:\n  symadmin --engine cloud-1 status\n  symadmin --engine cloud-1 status --watch"
    )]
    Status(status::Args),
    /// Reads one message's bytes on stdin and prints it as JSON
    #[command(after_help = "Example:\n  nats sub 'sym.>' --translate 'symadmin decode'")]
    Decode,
}

/// Arguments of a command that lists.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs a command.
///
/// # Errors
/// [`Failure`], which the process ends with.
pub async fn run(engine: &EngineArgs, command: Command) -> Result<(), Failure> {
    match command {
        Command::Decode => {
            let mut bytes = Vec::new();
            std::io::stdin()
                .lock()
                .read_to_end(&mut bytes)
                .map_err(|err| Failure::Failed(format!("stdin can not be read: {err}")))?;
            decode::run(&bytes)
        }
        Command::ListEngines(args) => list_engines::run(&engine.folder(), args.json),
        Command::CreateSymTables => create_sym_tables::run(&engine.open().await?).await,
        Command::Uninstall(args) => uninstall::run(&engine.open().await?, &args).await,
        Command::SyncTriggers(args) => sync_triggers::run(&engine.open().await?, &args).await,
        Command::OpenRegistration(args) => open_registration::run(&engine.open().await?, &args).await,
        Command::ListRegistrations(args) => list_registrations::run(&engine.open().await?, args.json).await,
        Command::ApproveRegistration(args) => approve_registration::run(&engine.open().await?, &args).await,
        Command::RemoveNode(args) => remove_node::run(&engine.open().await?, &args).await,
        Command::ReloadNode(args) => reload_node::run(&engine.open().await?, &args).await,
        Command::CancelReload(args) => cancel_reload::run(&engine.open().await?, &args).await,
        Command::ReloadTable(args) => reload_table::run(&engine.open().await?, &args).await,
        Command::SendSql(args) => send_sql::run(&engine.open().await?, &args).await,
        Command::Suspend(args) => channel_control::run(&engine.open().await?, &args, Action::Suspend).await,
        Command::Resume(args) => channel_control::run(&engine.open().await?, &args, Action::Resume).await,
        Command::Ignore(args) => channel_control::run(&engine.open().await?, &args, Action::Ignore).await,
        Command::ListParameters(args) => list_parameters::run(&engine.open().await?, args.json).await,
        Command::ListNodes(args) => list_nodes::run(&engine.open().await?, args.json).await,
        Command::ListBatches(args) => list_batches::run(&engine.open().await?, &args).await,
        Command::ShowBatch(args) => show_batch::run(&engine.open().await?, &args).await,
        Command::Status(args) => status::run(&engine.open().await?, &args).await,
    }
}

/// A result's column as a value to list.
fn text(row: &Row, index: usize) -> Result<serde_json::Value, DbError> {
    Ok(row.opt_text(index)?.into())
}

/// The same for a number.
fn int(row: &Row, index: usize) -> Result<serde_json::Value, DbError> {
    Ok(row.opt_int(index)?.into())
}

/// The same for an integer that means yes or no.
fn flag(row: &Row, index: usize) -> Result<serde_json::Value, DbError> {
    Ok(row.opt_int(index)?.map(|value| value != 0).into())
}
