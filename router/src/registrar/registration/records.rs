//! What the registration server's tables say of a node that asks, and what is written when it is admitted.

use super::verdict::Candidate;
use crate::registrar::Registrar;
use symstream_shared::db::{DbError, Param, Sql, Tx};
use symstream_shared::id::{GroupId, NodeId};
use symstream_shared::registration::{self, Admission};
use symstream_shared::retry::Disposition;
use symstream_shared::wire::RegistrationRequest;

/// The width of `sync_url`.
const SYNC_URL_CHARS_MAX: usize = 2000;
/// The widths of what a node says of its software.
const VERSION_CHARS_MAX: usize = 50;
const DATABASE_VERSION_CHARS_MAX: usize = 255;

/// As much of a text as its column takes: what a node says of itself is no reason to refuse it.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}

/// `sync_url`, as far as its column takes it.
pub(super) fn sync_url(request: &RegistrationRequest) -> String {
    cut(&request.sync_url, SYNC_URL_CHARS_MAX)
}

impl Registrar {
    pub(super) async fn candidates(
        &self,
        tx: &mut Tx,
        request: &RegistrationRequest,
    ) -> Result<Vec<Candidate>, DbError> {
        let select = format!(
            "select n.node_id, s.password, s.registration_enabled, \
             case when s.registration_time is null then 0 else 1 end, n.node_group_id, n.external_id \
             from {} n join {} s on s.node_id = n.node_id \
             where n.node_group_id = ? and n.external_id = ? order by n.node_id",
            self.tables.name("node"),
            self.tables.name("node_security")
        );
        let key: [Param; 2] = [request.group.as_str().into(), request.external_id.as_str().into()];
        let rows = tx.query(&select, &key).await?;
        let mut candidates = Vec::new();
        for row in rows {
            // MySQL takes texts that differ in upper and lower case for the same.
            if row.text(4)? != request.group.as_str() || row.text(5)? != request.external_id.as_str() {
                continue;
            }
            candidates.push(Candidate {
                node: NodeId::new(row.text(0)?).map_err(|err| DbError::unexpected(err.to_string()))?,
                password: row.text(1)?,
                is_open: row.int(2)? != 0,
                is_registered: row.int(3)? != 0,
            });
        }
        Ok(candidates)
    }

    pub(super) async fn is_group_known(&self, tx: &mut Tx, group: &GroupId) -> Result<bool, DbError> {
        let query = format!(
            "select node_group_id from {} where node_group_id = ?",
            self.tables.name("node_group")
        );
        let rows = tx.query(&query, &[group.as_str().into()]).await?;
        for row in rows {
            if row.text(0)? == group.as_str() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes the rows of a node that registers without having been expected; its id is its external id. `None` where
    /// another node has that id.
    pub(super) async fn create(
        &self,
        tx: &mut Tx,
        request: &RegistrationRequest,
    ) -> Result<Option<NodeId>, DbError> {
        let id = request.external_id.as_str();
        let taken = format!("select 1 from {} where node_id = ?", self.tables.name("node"));
        if tx.query_opt(&taken, &[id.into()]).await?.is_some() {
            return Ok(None);
        }
        let node = NodeId::new(id).map_err(|err| DbError::unexpected(err.to_string()))?;
        let insert = format!(
            "insert into {} (node_id, node_group_id, external_id, sync_enabled) values (?, ?, ?, 0)",
            self.tables.name("node")
        );
        tx.execute(&insert, &[id.into(), request.group.as_str().into(), id.into()])
            .await?;
        let kind = tx.kind();
        let security = format!(
            "insert into {} (node_id, password, registration_enabled) values (?, '', 1){}",
            self.tables.name("node_security"),
            kind.or_update(&["node_id"], &["password", "registration_enabled"])
        );
        tx.execute(&security, &[id.into()]).await?;
        Ok(Some(node))
    }

    /// Registers a node whose registration is open, as one that `registered_by` let in. `judged_hash` is the secret's hash
    /// that the request was judged by.
    pub(super) async fn admit(
        &self,
        tx: &mut Tx,
        node: &NodeId,
        registered_by: &NodeId,
        request: &RegistrationRequest,
        judged_hash: Option<&str>,
    ) -> Result<(), DbError> {
        let id = || Param::from(node.as_str());
        let by = || Param::from(registered_by.as_str());
        let (group, external_id) = (&request.group, &request.external_id);
        let admission = Admission {
            group,
            external_id,
            node,
            password: &request.password,
            by: registered_by,
            judged_hash,
        };
        if !registration::admit(tx, &self.tables, &admission).await? {
            let message = "the open registration was used, closed or opened anew meanwhile";
            return Err(DbError {
                disposition: Disposition::Retry,
                ..DbError::unexpected(message)
            });
        }
        let update = format!(
            "update {} set sync_enabled = 1, sync_url = ?, database_type = ?, database_version = ?, \
             symmetric_version = ?, created_at_node_id = ? where node_id = ?",
            self.tables.name("node")
        );
        let sync_url = sync_url(request);
        let values = [
            sync_url.as_str().into(),
            cut(&request.database_type, VERSION_CHARS_MAX).into(),
            cut(&request.database_version, DATABASE_VERSION_CHARS_MAX).into(),
            cut(&request.symmetric_version, VERSION_CHARS_MAX).into(),
            by(),
            id(),
        ];
        tx.execute(&update, &values).await?;
        // Another spelling's row is not this node's (MySQL).
        let row = registration::find(tx, &self.tables, group, external_id).await?;
        if row.is_some_and(|row| !row.is_exact) {
            return Ok(());
        }
        registration::register(tx, &self.tables, group, external_id, node, &sync_url).await
    }
}
