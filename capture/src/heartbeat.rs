//! The node's sign of life in its own `sym_node`.

use crate::error::Error;
use crate::parameters::wait_until_over;
use crate::source::Source;
use std::convert::Infallible;
use std::time::Instant;
use symstream_shared::schema::version_query;

/// Writes `heartbeat_time` and what the node knows of itself, now and every `heartbeat.interval`.
pub(crate) async fn run(source: Source) -> Result<Infallible, Error> {
    let kind = source.database.kind();
    let statement = format!(
        "update {} set heartbeat_time = {}, timezone_offset = '+00:00', sync_url = ?, database_type = ?, \
         database_version = ?, symmetric_version = ? where node_id = ?",
        source.tables.name("node"),
        kind.now()
    );
    let mut parameters = source.parameters.clone();
    loop {
        let began = Instant::now();
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
        wait_until_over(&mut parameters, began, |parameters| parameters.heartbeat_interval).await;
    }
}
