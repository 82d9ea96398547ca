//! `sym_registration_redirect`: nodes that another node registers.

use super::verdict::Refusal;
use crate::registrar::Registrar;
use symstream_shared::db::{DbError, Sql, Tx};
use symstream_shared::id::NodeId;
use symstream_shared::wire::{RegistrationReply, RegistrationRequest};

/// Where a request belongs.
#[derive(Debug)]
pub(super) enum Way {
    /// This server decides; the node counts as registered by that one.
    Here(NodeId),
    /// Another node has to pass it on.
    To(RegistrationReply),
    /// It came a way that it may not come.
    Refused(Refusal),
}

impl Registrar {
    /// Where a request belongs. `server` is this server's node.
    pub(super) async fn way(
        &self,
        tx: &mut Tx,
        request: &RegistrationRequest,
        server: &NodeId,
    ) -> Result<Way, DbError> {
        let external_id = &request.external_id;
        let destination = self.destination(tx, request).await?.filter(|node| node != server);
        let via = request.via.as_ref().filter(|via| *via != server);
        match (destination, via) {
            (None, None) => Ok(Way::Here(server.clone())),
            (Some(node), Some(via)) if node == *via => match self.address(tx, &node).await? {
                Some(_) => Ok(Way::Here(node)),
                None => Ok(Way::Refused(unknown(&node, request))),
            },
            (Some(node), None) => match self.address(tx, &node).await? {
                Some(sync_url) => Ok(Way::To(RegistrationReply::Redirected { node, sync_url })),
                None => Ok(Way::Refused(unknown(&node, request))),
            },
            (_, Some(via)) => Ok(Way::Refused(Refusal::plain(format!(
                "node {external_id} asked by way of node {via}, to which {} does not send it",
                self.tables.name("registration_redirect")
            )))),
        }
    }

    async fn destination(
        &self,
        tx: &mut Tx,
        request: &RegistrationRequest,
    ) -> Result<Option<NodeId>, DbError> {
        let table = self.tables.name("registration_redirect");
        let query = format!(
            "select registration_node_id, registrant_external_id from {table} where registrant_external_id = ?"
        );
        for row in tx.query(&query, &[request.external_id.as_str().into()]).await? {
            // MySQL takes texts that differ in upper and lower case for the same.
            if row.text(1)? == request.external_id.as_str() {
                return NodeId::new(row.text(0)?)
                    .map(Some)
                    .map_err(|err| DbError::unexpected(format!("{table}: {err}")));
            }
        }
        Ok(None)
    }

    /// The address of a registered node that takes part.
    async fn address(&self, tx: &mut Tx, node: &NodeId) -> Result<Option<String>, DbError> {
        let query = format!(
            "select n.sync_url from {} n join {} s on s.node_id = n.node_id \
             where n.node_id = ? and n.sync_enabled = 1 and s.registration_time is not null",
            self.tables.name("node"),
            self.tables.name("node_security")
        );
        let row = tx.query_opt(&query, &[node.as_str().into()]).await?;
        let url = row.map_or(Ok(None), |row| row.opt_text(0))?;
        Ok(url.filter(|url| !url.is_empty()))
    }
}

fn unknown(node: &NodeId, request: &RegistrationRequest) -> Refusal {
    Refusal::plain(format!(
        "node {} is registered by node {node} (sym_registration_redirect), which is not registered itself, or disabled",
        request.external_id
    ))
}
