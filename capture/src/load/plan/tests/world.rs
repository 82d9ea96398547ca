//! A source with what is loaded from it.

use crate::answers::Asker;
use crate::configuration::own_configuration;
use crate::data_runs::DataRuns;
use crate::decode::HistCache;
use crate::error::Error;
use crate::load::plan;
use crate::load::plan_api::{self, LoadPlan, LoadTargets, Reading};
use crate::load::rows::ChangeTaker;
use crate::sync_triggers::sync_triggers;
use crate::testing::TestNode;
use std::sync::Arc;
use symstream_shared::cell::Cell;
use symstream_shared::db::{DatabaseKind, Sql, Tx, TxKind};
use symstream_shared::id::NodeId;
use symstream_shared::model::{BoundExpression, Config, RuleKind};
use symstream_shared::wire::{Change, LoadBegin, Operation, Rows, RuleAnswers, TableInfo};

pub(super) struct World {
    pub node: TestNode,
}

impl World {
    pub async fn start(kind: DatabaseKind) -> Self {
        Self {
            node: TestNode::start(kind).await,
        }
    }

    pub async fn run(&self, script: &str) {
        self.node.db.run(script).await;
    }

    pub async fn sync_triggers(&self) {
        let source = &self.node.source;
        let config = self.config().await;
        let report = sync_triggers(
            &source.database,
            &source.tables,
            &config,
            &source.engine.group,
            false,
        )
        .await
        .expect("triggers");
        assert_eq!(report.problems, vec![]);
    }

    pub async fn config(&self) -> Config {
        own_configuration(&self.node.source).await.expect("configuration")
    }

    pub async fn signatures<const N: usize>(&self, nodes: [&str; N]) -> [String; N] {
        let config = self.config().await;
        nodes.map(|id| {
            let node = &config.nodes[&NodeId::new(id).expect("id")];
            plan::signature(&config, &self.node.source.engine.group, node)
        })
    }

    /// The load's changes, each with its table, and the circle that its step is in.
    pub async fn changes(&self, node: &str) -> Vec<(TableInfo, Change, Option<u32>)> {
        let source = &self.node.source;
        let config = self.config().await;
        let node = &config.nodes[&NodeId::new(node).expect("id")];
        let mut snapshot = source.database.begin(TxKind::ReadOnly).await.expect("snapshot");
        let arranged = plan::tables(&mut snapshot, source, &config, node, &mut HistCache::new())
            .await
            .expect("plan");
        let mut changes = Vec::new();
        for step in arranged.into_rows() {
            let rows = snapshot.query(&step.table.select, &[]).await;
            for row in rows.unwrap_or_else(|err| panic!("{}: {err}", step.table.select)) {
                let change = step.table.change(&row, 0, step.operation).expect("row");
                changes.extend(change.map(|(table, change)| (TableInfo::clone(table), change, step.circle)));
            }
        }
        changes
    }

    /// Every row of `sym_data`.
    pub async fn captured(&self) -> DataRuns {
        let mut conn = self.node.source.database.conn().await.expect("connection");
        let rows = conn
            .query("select data_id from sym_data order by data_id", &[])
            .await;
        let mut runs = DataRuns::default();
        for row in rows.expect("rows") {
            runs.push(row.int(0).expect("id"));
        }
        runs
    }

    /// The whole plan of a load of `nodes`.
    async fn plan(&self, snapshot: &mut Tx, nodes: &[&str], uncut: &DataRuns, clear_first: bool) -> LoadPlan {
        let config = self.config().await;
        let node = |id: &&str| &config.nodes[&NodeId::new(*id).expect("id")];
        let targets = LoadTargets {
            load_id: 1,
            nodes: nodes.iter().map(node).collect(),
            clear_first,
            uncut: uncut.clone(),
        };
        let planned = plan_api::plan(snapshot, &self.node.source, &config, &targets).await;
        planned.expect("plan")
    }

    /// The deletes that the load sends, each with the target's table and the key.
    pub async fn tombstones(&self, nodes: &[&str], uncut: &DataRuns) -> Vec<String> {
        let mut snapshot = self
            .node
            .source
            .database
            .begin(TxKind::ReadOnly)
            .await
            .expect("snapshot");
        let plan = self.plan(&mut snapshot, nodes, uncut, false).await;
        let mut deletes = Deletes(Vec::new());
        for step in &plan.steps {
            step.read(&mut snapshot, &mut deletes).await.expect("step");
        }
        deletes.0
    }

    /// The load's changes for rows that the snapshot has not: letter, table, key with what becomes null, and circle.
    pub async fn removals(&self, node: &str) -> Vec<String> {
        let uncut = self.captured().await;
        let database = &self.node.source.database;
        let mut snapshot = database.begin(TxKind::ReadOnly).await.expect("snapshot");
        let plan = self.plan(&mut snapshot, &[node], &uncut, false).await;
        let mut removals = Vec::new();
        for step in &plan.steps {
            if let Reading::Tombstones(tombstones) = &step.reading {
                let mut taken = Removals(Vec::new());
                tombstones.read(&mut snapshot, &mut taken).await.expect("step");
                let circle = step.circle.map(|circle| format!(" ({circle})"));
                let circle = circle.unwrap_or_default();
                taken.0.sort_unstable();
                removals.extend(taken.0.iter().map(|text| format!("{text}{circle}")));
            }
        }
        removals
    }

    /// How the load of one node begins, and how many rows it is said to have.
    pub async fn begin(&self, node: &str, clear_first: bool) -> (LoadBegin, i64) {
        let mut snapshot = self
            .node
            .source
            .database
            .begin(TxKind::ReadOnly)
            .await
            .expect("snapshot");
        let plan = self
            .plan(&mut snapshot, &[node], &DataRuns::default(), clear_first)
            .await;
        (plan.begin, plan.row_estimate)
    }

    /// Why there is no plan.
    pub async fn plan_error(&self, node: &str) -> String {
        let source = &self.node.source;
        let config = self.config().await;
        let node = &config.nodes[&NodeId::new(node).expect("id")];
        let mut snapshot = source.database.begin(TxKind::ReadOnly).await.expect("snapshot");
        let planned = plan::tables(&mut snapshot, source, &config, node, &mut HistCache::new()).await;
        planned.err().expect("no plan").to_string()
    }

    /// Each change as the target's table and the row's values, a letter before it where it is no insert; the number of its
    /// circle behind it.
    pub async fn loaded(&self, node: &str) -> Vec<String> {
        let changes = self.changes(node).await;
        let texts = changes.iter().map(|(table, change, circle)| {
            let letter = match change.operation {
                Operation::Insert => String::new(),
                other => format!("{} ", other.as_str()),
            };
            let circle = circle.map(|circle| format!(" ({circle})")).unwrap_or_default();
            let row = change.new.as_deref().map(values).unwrap_or_default();
            format!("{letter}{} {row}{circle}", table.target_table)
        });
        texts.collect()
    }

    /// The same, the rows of each table sorted.
    pub async fn loaded_in_steps(&self, node: &str) -> Vec<String> {
        let mut loaded = self.loaded(node).await;
        let step = |text: &String| text.split(|c: char| c.is_ascii_digit()).next().map(str::to_owned);
        loaded
            .chunk_by_mut(|one, next| step(one) == step(next))
            .for_each(<[String]>::sort_unstable);
        loaded
    }

    /// The same, sorted: a database gives rows in any order.
    pub async fn loaded_sorted(&self, node: &str) -> Vec<String> {
        let mut loaded = self.loaded(node).await;
        loaded.sort_unstable();
        loaded
    }

    /// The first columns of all rows that are loaded, in order.
    pub async fn loaded_ids(&self, node: &str) -> Vec<String> {
        let mut ids: Vec<String> = self
            .changes(node)
            .await
            .iter()
            .map(|(_, change, _)| first(change))
            .collect();
        ids.sort_unstable();
        ids
    }

    /// The first columns of the rows of `table` that a router sends to `node` as inserts.
    pub async fn routed(&self, table: &str, node: &str) -> Vec<String> {
        let source = &self.node.source;
        let config = self.config().await;
        let node = &config.nodes[&NodeId::new(node).expect("id")];
        let mut snapshot = source.database.begin(TxKind::ReadOnly).await.expect("snapshot");
        // Whoever captures the table for everybody has all of its rows.
        let rows = self.all_rows(table).await;
        let mut asked = HistCache::new();
        let mut asker = Asker {
            tables: &source.tables,
            config: &config,
            group: &source.engine.group,
            target_group: Some(&node.group),
            since: None,
            history: &mut asked,
        };
        let answers = asker.ask(&mut snapshot, &rows).await.expect("answers");
        let rules = config.rules_of(&rows.tables[0].trigger_ids, &source.engine.group);
        let is_sent = |index: usize, change: &Change| {
            rules
                .iter()
                .filter(|rule| rule.target_group == node.group)
                .any(|rule| {
                    let set = || {
                        let own: &RuleAnswers =
                            answers.iter().find(|own| own.rule == rule.id).expect("answers");
                        let number = own.changes.iter().find(|(change, _)| *change as usize == index);
                        own.sets[number.expect("answer").1 as usize].clone()
                    };
                    match &rule.kind {
                        RuleKind::Default => true,
                        RuleKind::Column(expression) => BoundExpression::new(expression, &rows.tables[0])
                            .expect("columns")
                            .selects(change, node),
                        RuleKind::Lookup(lookup) => set().iter().any(|id| {
                            id == node.external_id.as_str() || Some(id) == lookup.all_nodes_value.as_ref()
                        }),
                        RuleKind::Subselect(_) => set().iter().any(|id| id == node.node_id.as_str()),
                    }
                })
        };
        let sent = rows
            .changes
            .iter()
            .enumerate()
            .filter(|(index, change)| is_sent(*index, change));
        let mut ids: Vec<String> = sent.map(|(_, change)| first(change)).collect();
        ids.sort_unstable();
        ids
    }

    /// The rows of a table as inserts, through the rule of group `all`, which node `everything` is of.
    async fn all_rows(&self, table: &str) -> Rows {
        let mut rows = Rows::default();
        for (info, change, _) in self.changes("everything").await {
            if info.source_table == table {
                rows.tables = vec![info];
                rows.changes.push(change);
            }
        }
        rows
    }
}

/// The deletes of a load.
struct Deletes(Vec<String>);

impl ChangeTaker for Deletes {
    async fn take(&mut self, table: &Arc<TableInfo>, change: Change) -> Result<(), Error> {
        if change.operation == Operation::Delete {
            let key = change.old.as_deref().map(values).unwrap_or_default();
            self.0.push(format!("{} {key}", table.target_table));
        }
        Ok(())
    }
}

/// All of a step's changes.
struct Removals(Vec<String>);

impl ChangeTaker for Removals {
    async fn take(&mut self, table: &Arc<TableInfo>, change: Change) -> Result<(), Error> {
        assert!(change.new.is_none() || change.new == change.old && !table.column_level);
        let row = change.old.as_deref().map(values).unwrap_or_default();
        self.0.push(format!(
            "{} {} {row}",
            change.operation.as_str(),
            table.target_table
        ));
        Ok(())
    }
}

/// The first column's value.
fn first(change: &Change) -> String {
    let row = change.new.as_ref().expect("row");
    row[0].to_text().unwrap_or_default()
}

fn values(row: &[Cell]) -> String {
    let texts: Vec<String> = row
        .iter()
        .map(|cell| cell.to_text().unwrap_or_else(|| "-".to_owned()))
        .collect();
    texts.join(" ")
}
