//! The node's sign of life in its own `sym_node`.

use crate::error::Error;
use crate::source::Source;
use std::convert::Infallible;
use std::time::Duration;
use symstream_shared::schema::version_query;

const HEARTBEAT_EVERY: Duration = Duration::from_secs(600);

/// Writes `heartbeat_time` and what the node knows of itself, now and every ten minutes.
pub(crate) async fn run(source: Source) -> Result<Infallible, Error> {
    let kind = source.database.kind();
    let statement = format!(
        "update {} set heartbeat_time = {}, timezone_offset = '+00:00', sync_url = ?, database_type = ?, \
         database_version = ?, symmetric_version = ? where node_id = ?",
        source.tables.name("node"),
        kind.now()
    );
    loop {
        let version = source.database.query_opt(version_query(kind), &[]).await?;
        let version: String = version.map(|row| row.text(0)).transpose()?.unwrap_or_default();
        let params = [
            source.engine.sync_url().into(),
            kind.product().into(),
            version.chars().take(50).collect::<String>().into(),
            env!("CARGO_PKG_VERSION").into(),
            source.node.as_str().into(),
        ];
        source.database.execute(&statement, &params).await?;
        tokio::time::sleep(HEARTBEAT_EVERY).await;
    }
}
