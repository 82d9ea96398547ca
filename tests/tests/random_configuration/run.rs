//! Running a plan and its history on real databases and the real binaries.

use super::disturb;
use super::history::{Connection, Disturbance, History, Piece, Transaction};
use super::judge::{compare, content};
use super::oracle::{Era, Missed, Oracle};
use super::plan::Plan;
use super::write::Write;
use std::fmt::Write as _;
use symstream_shared::db::{DatabaseKind, DbError, Sql};
use symstream_shared::retry::Disposition;
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;
use symstream_tests::network::{Network, PATIENCE, Site, installed, quiet};
use symstream_tests::pair::loaded;

/// How often a transaction is tried that other writers make impossible.
const ATTEMPTS: usize = 50;

/// Warnings that say nothing of what went wrong: of the servers, of what is not there yet in the first seconds, of what
/// is tried again because several write at once, of what the test does itself.
const EXPECTED: [&str; 6] = [
    "nats asks for no login",
    "TRUNCATE fires no trigger",
    "waits error=",
    "waiting for",
    "the configuration can not be read now; trying again",
    "the node is enabled again",
];

/// Runs everything and judges.
///
/// # Panics
/// When a node does not hold what it has to hold, or anything takes too long.
pub async fn run(seed: u64, plans: &[Plan], history: &History) {
    let plan = &plans[0];
    let mut network = Network::start().await;
    let report = network.folder.join(format!("seed-{seed}.txt"));
    std::fs::write(&report, describe(seed, plans, history)).expect("write the configuration and the history");
    eprintln!(
        "SYM_TEST_SEED={seed}; configuration and history: {}",
        report.display()
    );
    eprintln!("{}", plan.summary());
    let mut sites = start(&mut network, plan, history, group_nodes_min(seed)).await;
    let databases: Vec<TestDatabase> = sites.iter().map(|site| site.database.clone()).collect();
    ready(&network, plan, &sites).await;
    let mut missed: Vec<Missed> = Vec::new();
    let mut eras: Vec<Era<'_>> = Vec::new();
    for (plan, phase) in plans.iter().zip(&history.phases) {
        let has_changed = plan.habits.changes && !eras.is_empty();
        let since = eras.last().map_or(0, |era| era.steps.1 + 1);
        eras.push(Era {
            plan,
            steps: (since, phase.last),
        });
        if has_changed {
            disturb::change_rules(plan, &network, &sites).await;
        }
        missed.extend(disturb::begin(plan, phase, &sites).await);
        let writers: Vec<_> = phase
            .connections
            .iter()
            .map(|connection| {
                let scripts = scripts(plan, connection);
                tokio::spawn(write(databases[connection.node].clone(), scripts))
            })
            .collect();
        disturb::meanwhile(plan, phase, &network, &mut sites).await;
        for writer in writers {
            writer.await.expect("a writer");
        }
        disturb::let_go(plan, phase, &sites).await;
        settle(&sites).await;
        disturb::end(plan, phase, &sites).await;
        for reload in &phase.reloads {
            disturb::reload(plan, reload, &network, &sites).await;
        }
        settle(&sites).await;
        let rows = judge(&eras, &databases, &missed).await.unwrap_or_else(|found| {
            panic!("SYM_TEST_SEED={seed}, {}:\n{found}", report.display());
        });
        eprintln!("{rows} rows are as they have to be");
    }
    let mut disturbances = history.phases.iter().flat_map(|phase| &phase.disturbances);
    let is_rough = disturbances.any(|one| matches!(one, Disturbance::Kill { .. }));
    for site in &mut sites {
        let complaints = if is_rough {
            Vec::new()
        } else {
            site.complaints(&EXPECTED)
        };
        assert!(
            complaints.is_empty(),
            "SYM_TEST_SEED={seed}, {}: {complaints:#?}",
            site.id()
        );
        site.stop().await;
    }
}

async fn start(network: &mut Network, plan: &Plan, history: &History, group_nodes_min: u64) -> Vec<Site> {
    let mut sites: Vec<Site> = Vec::new();
    for node in &plan.nodes {
        let site = match sites.first() {
            None => network.server(&node.group, &node.id, node.kind).await,
            Some(server) => network.node(server, &node.group, &node.id, node.kind).await,
        };
        for table in &plan.tables {
            site.database.run(&table.ddl(node.kind)).await;
        }
        sites.push(site);
    }
    network.configure(&sites[0], &plan.sql()).await;
    let group_nodes_min = format!(
        "insert into sym_parameter (external_id, node_group_id, param_key, param_value) \
         values ('ALL', 'ALL', 'group.broadcast.nodes.min', '{group_nodes_min}')"
    );
    sites[0].database.run(&group_nodes_min).await;
    for transaction in &history.before {
        let script = script(plan, plan.nodes[0].kind, transaction);
        sites[0].database.transaction(&script.sql).await;
    }
    for table in &plan.tables {
        sites[0]
            .database
            .run(&table.begin_journal(plan.nodes[0].kind))
            .await;
    }
    for site in &sites[1..] {
        network.admit(&sites[0], site).await;
    }
    // Asked for before the nodes have ever started, unless they pass on what they are loaded with.
    if !passes_loads_on(plan) {
        ask_for_loads(network, plan, &sites).await;
    }
    for site in &mut sites {
        network.run(site);
    }
    sites
}

/// From how many nodes on a group gets what is the same for all in messages of its own: by odd seeds as soon as it can.
fn group_nodes_min(seed: u64) -> u64 {
    match seed % 4 {
        1 => 1,
        3 => 2,
        _ => 10,
    }
}

/// Whether the registration server sends rows to the node's group.
fn is_loaded(plan: &Plan, site: &Site) -> bool {
    let mut links = plan.group_links.iter();
    links.any(|link| link.source == plan.nodes[0].group && link.target == site.group())
}

async fn ask_for_loads(network: &Network, plan: &Plan, sites: &[Site]) {
    for site in sites[1..].iter().filter(|site| is_loaded(plan, site)) {
        network
            .symadmin(&sites[0], &["reload-node", site.id()])
            .await
            .ok();
    }
}

/// Whether a node that is loaded sends on what it gets.
fn passes_loads_on(plan: &Plan) -> bool {
    let server = &plan.nodes[0].group;
    plan.flows()
        .iter()
        .any(|flow| flow.trigger.incoming && flow.source != server && flow.target != server)
}

/// Waits until every node captures by the whole configuration, knows all nodes, and is loaded.
async fn ready(network: &Network, plan: &Plan, sites: &[Site]) {
    for site in sites {
        let mut tables: Vec<&str> = Vec::new();
        for flow in plan.flows() {
            if flow.source == site.group() {
                tables.push(&plan.tables[flow.trigger.table].name);
            }
        }
        installed(site, &tables).await;
        eventually(PATIENCE, format!("{} to know all nodes", site.id()), || async {
            let sql = "select count(*) from sym_node_security where registration_time is not null";
            let known = site.database.try_rows(sql).await.map_err(|err| err.to_string())?;
            if known == [[sites.len().to_string()]] {
                Ok(())
            } else {
                Err(format!("{known:?}"))
            }
        })
        .await;
    }
    if passes_loads_on(plan) {
        ask_for_loads(network, plan, sites).await;
    }
    for site in sites[1..].iter().filter(|site| is_loaded(plan, site)) {
        loaded(&sites[0], site.id()).await;
    }
    settle(sites).await;
}

/// Waits until nothing is on its way: what one node passes on may be with a node that was looked at before.
async fn settle(sites: &[Site]) {
    let all: Vec<&Site> = sites.iter().collect();
    for _ in 0..=sites.len() {
        quiet(&all).await;
    }
}

/// Whether every table at every node is as it has to be.
///
/// # Errors
/// All differences.
pub async fn judge(eras: &[Era<'_>], databases: &[TestDatabase], missed: &[Missed]) -> Result<usize, String> {
    let plan = eras[0].plan;
    let oracle = Oracle::new(eras, databases, missed);
    let (mut rows, mut differences) = (0, String::new());
    for (number, node) in plan.nodes.iter().enumerate() {
        for (index, table) in plan.tables.iter().enumerate() {
            for copy in [false, true] {
                let expected = oracle.expected(number, index, copy).await?;
                let found = content(&databases[number], table, copy).await?;
                match compare(table.key.columns().len(), &expected, &found) {
                    Ok(count) => rows += count,
                    Err(difference) => {
                        let what = if copy { "copy of " } else { "" };
                        let (name, id, kind) = (&table.name, &node.id, node.kind);
                        let _ = writeln!(differences, "{what}{name} at {id} ({kind}):\n{difference}");
                    }
                }
            }
        }
    }
    if differences.is_empty() {
        Ok(rows)
    } else {
        Err(differences)
    }
}

pub struct Script {
    pub sql: String,
    commits: bool,
}

fn scripts(plan: &Plan, connection: &Connection) -> Vec<Script> {
    let kind = plan.nodes[connection.node].kind;
    let transactions = connection.transactions.iter();
    transactions
        .map(|transaction| script(plan, kind, transaction))
        .filter(|script| !script.sql.is_empty())
        .collect()
}

pub fn script(plan: &Plan, kind: DatabaseKind, transaction: &Transaction) -> Script {
    let mut statements = Vec::new();
    let sql = |writes: &[Write]| -> Vec<String> {
        let writes = writes.iter();
        writes.flat_map(|write| write.sql(&plan.tables, kind)).collect()
    };
    for piece in &transaction.pieces {
        match piece {
            Piece::Plain(writes) => statements.extend(sql(writes)),
            Piece::Savepoint { writes, released } => {
                statements.push("savepoint here".to_owned());
                statements.extend(sql(writes));
                if !released {
                    statements.push("rollback to savepoint here".to_owned());
                }
                statements.push("release savepoint here".to_owned());
            }
        }
    }
    Script {
        sql: statements.join(";\n"),
        commits: transaction.commits,
    }
}

async fn write(database: TestDatabase, scripts: Vec<Script>) {
    for script in scripts {
        let mut attempt = 1;
        while let Err(err) = execute(&database, &script).await {
            // The loader writes to the same tables.
            assert!(
                err.disposition == Disposition::Retry && attempt < ATTEMPTS,
                "{err}\n{}",
                script.sql
            );
            attempt += 1;
        }
    }
}

async fn execute(database: &TestDatabase, script: &Script) -> Result<(), DbError> {
    let mut tx = database.begin().await?;
    tx.execute_script(&script.sql).await?;
    if script.commits {
        tx.commit().await
    } else {
        tx.rollback().await
    }
}

fn describe(seed: u64, plans: &[Plan], history: &History) -> String {
    let plan = &plans[0];
    let mut text = format!("SYM_TEST_SEED={seed}\n\n{plan:#?}\n\n");
    for node in &plan.nodes {
        let tables: String = plan.tables.iter().map(|table| table.ddl(node.kind)).collect();
        let _ = writeln!(text, "-- tables of {} ({})\n{tables}", node.id, node.kind);
    }
    let _ = writeln!(text, "-- configuration\n{}", plan.sql());
    for (number, plan) in plans.iter().enumerate().filter(|_| plan.habits.changes) {
        let _ = writeln!(text, "-- rules of phase {number}\n{}", plan.change_sql());
    }
    let mut show = |title: String, node: usize, transactions: &[Transaction]| {
        let _ = writeln!(text, "-- {title}");
        for transaction in transactions {
            let script = script(plan, plan.nodes[node].kind, transaction);
            let end = if script.commits { "commit" } else { "rollback" };
            let _ = writeln!(text, "begin;\n{};\n{end};", script.sql);
        }
    };
    show("before".to_owned(), 0, &history.before);
    for (number, phase) in history.phases.iter().enumerate() {
        let (disturbances, reloads) = (&phase.disturbances, &phase.reloads);
        show(
            format!(
                "phase {number}, steps {:?}: {disturbances:?}, then {reloads:?}",
                phase.steps
            ),
            0,
            &[],
        );
        for connection in &phase.connections {
            let title = format!("phase {number} at {}", plan.nodes[connection.node].id);
            show(title, connection.node, &connection.transactions);
        }
    }
    text
}
