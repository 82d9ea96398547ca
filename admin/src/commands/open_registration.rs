//! `symadmin open-registration`

use super::node::require_server;
use crate::engine_args::EngineContext;
use crate::failure::Failure;
use crate::listing::print_text;
use secrecy::{ExposeSecret, SecretString};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use symstream_shared::db::{Param, Sql, Tx, TxKind};
use symstream_shared::id::{ExternalId, GroupId, InvalidId, NodeId};
use symstream_shared::parameter::Parameters;
use symstream_shared::registration::{self, Opening};
use symstream_shared::schema;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node's group, as sym_node_group has it
    #[arg(value_name = "GROUP")]
    pub(super) group: String,
    /// The node's external id: external.id of its engine file
    #[arg(value_name = "EXTERNAL_ID")]
    pub(super) external_id: String,
    /// Write the one-time secret into this file, which must not exist yet, instead of to stdout
    #[arg(long, value_name = "FILE")]
    pub(super) secret_file: Option<PathBuf>,
}

pub(super) async fn run(context: &EngineContext, args: &Args) -> Result<(), Failure> {
    require_server(context, "open-registration")?;
    let usage = |err: InvalidId| Failure::Usage(err.to_string());
    let group = GroupId::new(&args.group).map_err(usage)?;
    let external_id = ExternalId::new(&args.external_id).map_err(usage)?;
    context.require_tables().await?;
    // The group first: a mistyped one must not leave the server's own rows behind.
    check_group(context, &group).await?;
    let server = schema::ensure_identity(&context.database, &context.tables, &context.engine).await?;
    let mut tx = context.database.begin(TxKind::Write).await?;
    let (node, is_new) = match find(&mut tx, context, &group, &external_id).await? {
        Some(node) if node == server => {
            return Err(Failure::Failed(format!(
                "node {node} is the registration server itself"
            )));
        }
        Some(node) => (node, false),
        None => (
            insert_node(&mut tx, context, &group, &external_id, &server).await?,
            true,
        ),
    };
    open_security(&mut tx, context, &node, &server).await?;
    let secret = registration::new_secret();
    let hours = note(&mut tx, context, &group, &external_id, &node, &secret).await?;
    match &args.secret_file {
        Some(path) => {
            write_secret(path, &secret)?;
            if let Err(err) = tx.commit().await {
                // What stands there opens nothing.
                drop(std::fs::remove_file(path));
                return Err(err.into());
            }
        }
        None => {
            tx.commit().await?;
            print_text(&format!("{}\n", secret.expose_secret()));
        }
    }
    let again = if is_new { "" } else { "again " };
    let until = match hours {
        0 => String::new(),
        hours => format!(" for {hours} hours"),
    };
    let place = args
        .secret_file
        .as_ref()
        .map_or("the line on stdout".to_owned(), |path| path.display().to_string());
    eprintln!(
        "registration is {again}open for {external_id} of group {group} (node {node}){until}; its one-time secret \
         (registration.secret) is {place}"
    );
    Ok(())
}

/// Notes the opening with its secret's hash; returns after how many hours it closes.
async fn note(
    tx: &mut Tx,
    context: &EngineContext,
    group: &GroupId,
    external_id: &ExternalId,
    node: &NodeId,
    secret: &SecretString,
) -> Result<u64, Failure> {
    let found = registration::find(tx, &context.tables, group, external_id).await?;
    if found.is_some_and(|row| !row.is_exact) {
        return Err(Failure::Failed(format!(
            "{} has a row for {external_id} of group {group} in another spelling, and this database takes both for the \
             same; delete it, or name the node otherwise",
            context.tables.name("registration_request")
        )));
    }
    let parameters = Parameters::read(tx, &context.tables, &context.engine).await?;
    let hash = registration::hash(secret.expose_secret());
    let opening = Opening {
        group,
        external_id,
        node,
        secret_hash: Some(&hash),
        hours: parameters.registration_open_hours,
        by: "symadmin",
    };
    registration::open(tx, &context.tables, &opening).await?;
    Ok(parameters.registration_open_hours)
}

/// Writes the secret into a new file that nobody else can read.
fn write_secret(path: &Path, secret: &SecretString) -> Result<(), Failure> {
    let failed = |err: std::io::Error| {
        let hint = match err.kind() {
            std::io::ErrorKind::AlreadyExists => "; nothing was opened: name a new file, or remove this one",
            _ => "; nothing was opened",
        };
        Failure::Failed(format!("{} can not be written: {err}{hint}", path.display()))
    };
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(format!("{}\n", secret.expose_secret()).as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed)
}

async fn check_group(context: &EngineContext, group: &GroupId) -> Result<(), Failure> {
    let table = context.tables.name("node_group");
    let query = format!("select node_group_id from {table} order by node_group_id");
    let rows = context.database.query(&query, &[]).await?;
    let known = rows
        .iter()
        .map(|row| row.text(0))
        .collect::<Result<Vec<_>, _>>()?;
    if known.iter().any(|known| known == group.as_str()) {
        return Ok(());
    }
    let known = if known.is_empty() {
        "it has none yet".to_owned()
    } else {
        format!("it has {}", known.join(", "))
    };
    Err(Failure::Failed(format!(
        "group {group} is not in {table}: {known}"
    )))
}

/// The node that registration was opened for before.
async fn find(
    tx: &mut Tx,
    context: &EngineContext,
    group: &GroupId,
    external_id: &ExternalId,
) -> Result<Option<NodeId>, Failure> {
    let node_table = context.tables.name("node");
    let query = format!(
        "select node_id, node_group_id from {node_table} where external_id = ? or node_id = ? order by node_id"
    );
    let id = || Param::from(external_id.as_str());
    let mut other = None;
    for row in tx.query(&query, &[id(), id()]).await? {
        let (node, its_group) = (row.text(0)?, row.text(1)?);
        if its_group == group.as_str() {
            return NodeId::new(node)
                .map(Some)
                .map_err(|err| Failure::Failed(format!("table {node_table}: {err}")));
        }
        if node == external_id.as_str() {
            other = Some(its_group);
        }
    }
    match other {
        Some(its_group) => Err(Failure::Failed(format!(
            "node {external_id} is there already, in group {its_group}; a node has one group only"
        ))),
        None => Ok(None),
    }
}

async fn insert_node(
    tx: &mut Tx,
    context: &EngineContext,
    group: &GroupId,
    external_id: &ExternalId,
    server: &NodeId,
) -> Result<NodeId, Failure> {
    let node = NodeId::new(external_id.as_str()).map_err(|err| Failure::Usage(err.to_string()))?;
    let statement = format!(
        "insert into {} (node_id, node_group_id, external_id, sync_enabled, created_at_node_id) \
         values (?, ?, ?, 0, ?)",
        context.tables.name("node")
    );
    let params = [
        node.as_str().into(),
        group.as_str().into(),
        external_id.as_str().into(),
        server.as_str().into(),
    ];
    tx.execute(&statement, &params).await?;
    Ok(node)
}

/// Opens the registration. A node that is registered stays so, with its password, until it registers anew:
/// closing it here would lose the changes made in between.
async fn open_security(
    tx: &mut Tx,
    context: &EngineContext,
    node: &NodeId,
    server: &NodeId,
) -> Result<(), Failure> {
    let statement = format!(
        "insert into {} (node_id, password, registration_enabled, created_at_node_id) values (?, ?, 1, ?){}",
        context.tables.name("node_security"),
        tx.kind().or_update(&["node_id"], &["registration_enabled"])
    );
    let password = uuid::Uuid::new_v4().to_string();
    tx.execute(
        &statement,
        &[node.as_str().into(), password.into(), server.as_str().into()],
    )
    .await?;
    Ok(())
}
