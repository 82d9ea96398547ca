//! What happens beside the writes: the operator switches nodes and channels off and on, services end, tables are
//! reloaded.

use super::history::{Disturbance, Phase, Reload};
use super::oracle::Missed;
use super::plan::Plan;
use super::table::FAMILIES;
use symstream_tests::eventually::eventually;
use symstream_tests::network::{Network, PATIENCE, Site};

impl Disturbance {
    /// The statements that begin it and end it, where it is an edit of the configuration.
    fn edits(&self, plan: &Plan) -> Option<(String, String)> {
        let control = |node: usize, channel: &str, column: &str| {
            let id = &plan.nodes[node].id;
            let row = format!("node_id = '{id}' and channel_id = '{channel}'");
            let set = |flag: i32| format!("update sym_node_channel_ctl set {column} = {flag} where {row}");
            let begin = format!(
                "insert into sym_node_channel_ctl (node_id, channel_id) select '{id}', channel_id from sym_channel \
                 where channel_id = '{channel}' and not exists (select 1 from sym_node_channel_ctl where {row});\n{}",
                set(1)
            );
            Some((begin, set(0)))
        };
        match self {
            Self::Suspend { node, channel } => control(*node, channel, "suspend_enabled"),
            Self::Ignore { node, channel } => control(*node, channel, "ignore_enabled"),
            Self::Close { channel } => {
                let set = |flag: i32| {
                    format!("update sym_channel set enabled = {flag} where channel_id = '{channel}'")
                };
                Some((set(0), set(1)))
            }
            Self::Disable { node } => {
                let id = &plan.nodes[*node].id;
                let set =
                    |flag: i32| format!("update sym_node set sync_enabled = {flag} where node_id = '{id}'");
                Some((set(0), set(1)))
            }
            Self::Restart { .. } | Self::Kill { .. } | Self::Reload(_) => None,
        }
    }

    /// Whether what is written meanwhile is not for the node: it has to be over before this ends.
    fn missed(&self, steps: (i64, i64)) -> Option<Missed> {
        match self {
            Self::Ignore { node, channel } => Some(Missed {
                node: *node,
                channel: Some(channel.clone()),
                steps,
            }),
            Self::Disable { node } => Some(Missed {
                node: *node,
                channel: None,
                steps,
            }),
            _ => None,
        }
    }
}

/// Puts the rules of a phase in the place of those before, and waits until every node captures by them.
pub async fn change_rules(plan: &Plan, network: &Network, sites: &[Site]) {
    edit(sites, std::iter::once(plan.change_sql())).await;
    for site in sites {
        eventually(PATIENCE, format!("the triggers of {}", site.id()), || async {
            let found = network.symadmin(site, &["sync-triggers", "--dry-run"]).await;
            if found
                .stderr
                .contains(" 0 triggers would be built, 0 would be removed")
            {
                Ok(())
            } else {
                Err(found.stderr)
            }
        })
        .await;
    }
}

/// Begins what has to be in force before the first write; returns what nodes will miss.
pub async fn begin(plan: &Plan, phase: &Phase, sites: &[Site]) -> Vec<Missed> {
    let edits = phase.disturbances.iter().filter_map(|one| one.edits(plan));
    edit(sites, edits.map(|(begin, _)| begin)).await;
    let disturbances = phase.disturbances.iter();
    disturbances.filter_map(|one| one.missed(phase.steps)).collect()
}

/// What happens while the nodes write.
pub async fn meanwhile(plan: &Plan, phase: &Phase, network: &Network, sites: &mut [Site]) {
    for disturbance in &phase.disturbances {
        match disturbance {
            Disturbance::Restart { node } => {
                sites[*node].stop().await;
                network.run(&mut sites[*node]);
            }
            Disturbance::Kill { node } => {
                for mut process in sites[*node].processes.drain(..) {
                    process.kill();
                }
                network.run(&mut sites[*node]);
            }
            Disturbance::Reload(reload) => reload_table(plan, reload, network, sites).await,
            _ => {}
        }
    }
}

/// Ends what only made changes wait.
pub async fn let_go(plan: &Plan, phase: &Phase, sites: &[Site]) {
    let waits = phase
        .disturbances
        .iter()
        .filter(|one| one.missed(phase.steps).is_none());
    edit(sites, waits.filter_map(|one| one.edits(plan)).map(|(_, end)| end)).await;
}

/// Ends what made nodes miss changes, when all is quiet.
pub async fn end(plan: &Plan, phase: &Phase, sites: &[Site]) {
    let misses = phase
        .disturbances
        .iter()
        .filter(|one| one.missed(phase.steps).is_some());
    edit(
        sites,
        misses.filter_map(|one| one.edits(plan)).map(|(_, end)| end),
    )
    .await;
}

/// Reloads a table from a node at rest, whose rows of this moment come to the other one.
pub async fn reload(plan: &Plan, reload: &Reload, network: &Network, sites: &[Site]) {
    let (from, to) = (&sites[reload.from], &plan.nodes[reload.to].id);
    for table in reloaded(plan, reload) {
        let journal = plan.tables[table].reloaded(reload.step, to, plan.nodes[reload.from].kind);
        from.database.run(&journal).await;
    }
    reload_table(plan, reload, network, sites).await;
}

async fn reload_table(plan: &Plan, reload: &Reload, network: &Network, sites: &[Site]) {
    let mut args = vec!["reload-table", plan.nodes[reload.to].id.as_str()];
    for table in reloaded(plan, reload) {
        args.push(&plan.tables[table].name);
    }
    network.symadmin(&sites[reload.from], &args).await.ok();
}

/// The table, and that of the families before it where its rows refer to them.
fn reloaded(plan: &Plan, reload: &Reload) -> Vec<usize> {
    let families = plan.tables.iter().position(|table| table.name == FAMILIES);
    let parent = families.filter(|_| plan.tables[reload.table].has_parent);
    parent.into_iter().chain([reload.table]).collect()
}

/// Edits the configuration at the registration server, and waits until every node goes by it.
async fn edit(sites: &[Site], statements: impl Iterator<Item = String>) {
    let statements: Vec<String> = statements.collect();
    if statements.is_empty() {
        return;
    }
    let server = &sites[0].database;
    let version = async || {
        let sql = "select state_value from sym_state where state_key = 'config_version'";
        let rows = server.try_rows(sql).await.map_err(|err| err.to_string())?;
        rows[0][0].parse::<i64>().map_err(|err| err.to_string())
    };
    let before = version().await.expect("the version of the configuration");
    server.transaction(&statements.join(";\n")).await;
    let now = eventually(PATIENCE, "a new version of the configuration", || async {
        version().await.and_then(|now| {
            if now > before {
                Ok(now)
            } else {
                Err("it is the same".to_owned())
            }
        })
    })
    .await;
    for site in sites {
        eventually(PATIENCE, format!("version {now} at {}", site.id()), || async {
            if in_force(site) >= now {
                Ok(())
            } else {
                Err("it is not in force")
            }
        })
        .await;
    }
}

/// The newest version of the configuration that a node goes by, as it says itself.
fn in_force(site: &Site) -> i64 {
    let log = site.log();
    let versions = log
        .lines()
        .filter_map(|line| line.split_once("configuration in force version="));
    versions
        .filter_map(|(_, version)| version.trim().parse().ok())
        .max()
        .unwrap_or(0)
}
