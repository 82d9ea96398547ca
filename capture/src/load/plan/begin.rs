//! How a load begins at its targets.

use super::Planned;
use crate::error::Error;
use crate::source::Source;
use symstream_shared::db::{DbError, Param, Sql};
use symstream_shared::ddl::{self, DdlError, ExportTable};
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::model::{Config, Node};
use symstream_shared::wire::{ClearTable, LoadBegin, Seen};

/// What the parameters of a load's target ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::load) struct Options {
    /// `initial.load.create.first`
    pub create: bool,
    /// `initial.load.delete.first`
    pub clear: bool,
}

impl Options {
    /// What is set for `node`.
    pub(in crate::load) fn of(config: &Config, node: &Node) -> Self {
        // A value that is not valid is no part of a configuration.
        config.parameters_of(node).map_or_else(
            |_| Self::default(),
            |parameters| Self {
                create: parameters.initial_load_create_first,
                clear: parameters.initial_load_delete_first,
            },
        )
    }
}

/// The beginning of a load of `tables`, which are in load order.
pub(in crate::load) async fn begin(
    sql: &mut dyn Sql,
    source: &Source,
    nodes: &[&Node],
    options: Options,
    tables: &[Planned],
) -> Result<LoadBegin, Error> {
    let create = match options.create {
        true => Some(definitions(sql, tables).await?),
        false => None,
    };
    Ok(LoadBegin {
        create,
        clear: if options.clear {
            to_clear(tables)
        } else {
            Vec::new()
        },
        seen: seen(sql, source, nodes).await?,
    })
}

/// The tables as the target is to have them.
async fn definitions(sql: &mut dyn Sql, tables: &[Planned]) -> Result<String, Error> {
    let mut wanted: Vec<ExportTable> = Vec::new();
    for planned in tables {
        let target = &planned.layout.table;
        let table = ExportTable {
            schema: planned.name.schema.clone(),
            table: planned.name.name.clone(),
            as_schema: target.target_schema.clone(),
            as_table: target.target_table.clone(),
        };
        if !wanted.contains(&table) {
            wanted.push(table);
        }
    }
    ddl::export(sql, &wanted).await.map_err(|err| {
        Error::Database(match err {
            DdlError::Database(err) => err,
            err => DbError::unexpected(format!("initial.load.create.first: {err}")),
        })
    })
}

/// Children first.
fn to_clear(tables: &[Planned]) -> Vec<ClearTable> {
    let mut clear: Vec<ClearTable> = Vec::new();
    for planned in tables.iter().rev() {
        let target = &planned.layout.table;
        let table = ClearTable {
            schema: target.target_schema.clone(),
            table: target.target_table.clone(),
        };
        if !clear.contains(&table) {
            clear.push(table);
        }
    }
    clear
}

/// What the snapshot has of the targets' own changes.
async fn seen(sql: &mut dyn Sql, source: &Source, nodes: &[&Node]) -> Result<Vec<Seen>, Error> {
    let table = source.tables.name("incoming_lane");
    let statement = format!(
        "select source_node_id, channel_id, batch_id from {table} where source_node_id in ({}) \
         order by source_node_id, channel_id",
        vec!["?"; nodes.len()].join(", ")
    );
    let params: Vec<Param> = nodes.iter().map(|node| node.node_id.as_str().into()).collect();
    let damaged = |err: &dyn std::fmt::Display| Error::Damaged {
        table: table.clone(),
        why: err.to_string(),
    };
    let rows = sql.query(&statement, &params).await?;
    rows.iter()
        .map(|row| {
            Ok(Seen {
                node: NodeId::new(row.text(0)?).map_err(|err| damaged(&err))?,
                channel: ChannelId::new(row.text(1)?).map_err(|err| damaged(&err))?,
                batch_id: row.int(2)?,
            })
        })
        .collect()
}
