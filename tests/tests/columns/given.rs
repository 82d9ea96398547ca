//! What a claim wants to be there.

use super::deployment::{Deployment, SITE};
use std::sync::Arc;
use symstream_shared::db::DatabaseKind;
use symstream_tests::network::installed;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

/// The value null among those of a row.
pub const NULL: &str = "\0";

/// Statements for the databases before anything runs.
#[derive(Debug)]
pub struct Wanted {
    /// The hub's dialect.
    pub kind: DatabaseKind,
    /// At the hub.
    pub at_hub: Vec<String>,
    /// At both sites.
    pub at_sites: Vec<String>,
    /// At the near site only.
    pub at_near: Vec<String>,
    /// The hub's configuration.
    pub configuration: Vec<String>,
    /// The tables that the hub captures.
    pub captured: Vec<String>,
}

impl Wanted {
    /// Nothing yet.
    pub fn new(kind: DatabaseKind) -> Self {
        Self {
            kind,
            at_hub: Vec::new(),
            at_sites: Vec::new(),
            at_near: Vec::new(),
            configuration: Vec::new(),
            captured: Vec::new(),
        }
    }

    /// Adds another claim's statements.
    pub fn add(&mut self, other: Self) {
        self.at_hub.extend(other.at_hub);
        self.at_sites.extend(other.at_sites);
        self.at_near.extend(other.at_near);
        self.configuration.extend(other.configuration);
        self.captured.extend(other.captured);
    }

    /// A table at every node.
    pub fn table(&mut self, name: &str, columns: &str) {
        self.at_hub(&format!("create table {name} ({columns})"));
        self.at_sites(&format!("create table {name} ({columns})"));
    }

    /// A statement at the hub, before anything is captured.
    pub fn at_hub(&mut self, sql: &str) {
        self.at_hub.push(sql.to_owned());
    }

    /// A statement at both sites.
    pub fn at_sites(&mut self, sql: &str) {
        self.at_sites.push(sql.to_owned());
    }

    /// A statement at the near site, in its dialect.
    pub fn at_near(&mut self, sql: &str) {
        self.at_near.push(sql.to_owned());
    }

    /// A row of `sym_channel`.
    pub fn channel(&mut self, channel: &str, columns: &[(&str, &str)]) {
        self.row("channel", &[("channel_id", channel)], columns);
    }

    /// A row of `sym_trigger`: all changes of the table go from the hub to the sites on the channel `main`, but for
    /// what `columns` say. Its id is the table's name.
    pub fn trigger(&mut self, table: &str, columns: &[(&str, &str)]) {
        let defaults = [
            ("trigger_id", table),
            ("source_table_name", table),
            ("source_node_group_id", "hub"),
            ("target_node_group_id", SITE),
            ("channel_id", "main"),
        ];
        self.row("trigger", &defaults, columns);
        let value = |name| {
            let all = columns.iter().chain(&defaults);
            all.filter(|(column, _)| *column == name)
                .map(|(_, value)| *value)
                .next()
        };
        let is_captured = [Some("hub"), Some(NULL)].contains(&value("source_node_group_id"));
        if is_captured && value("inactive_time").is_none() {
            self.captured.push(table.to_owned());
        }
    }

    /// A row of `sym_router`: all from the hub to the sites, but for what `columns` say.
    pub fn router(&mut self, router: &str, columns: &[(&str, &str)]) {
        let defaults = [
            ("router_id", router),
            ("source_node_group_id", "hub"),
            ("target_node_group_id", SITE),
        ];
        self.row("router", &defaults, columns);
    }

    /// A row of `sym_trigger_router`.
    pub fn trigger_router(&mut self, trigger: &str, router: &str, columns: &[(&str, &str)]) {
        let key = [("trigger_id", trigger), ("router_id", router)];
        self.row("trigger_router", &key, columns);
    }

    /// A row of `sym_parameter`.
    pub fn parameter(&mut self, external_id: &str, group: &str, name: &str, value: &str) {
        let row = [
            ("external_id", external_id),
            ("node_group_id", group),
            ("param_key", name),
            ("param_value", value),
        ];
        self.row("parameter", &row, &[]);
    }

    /// A row of `sym_node_channel_ctl` with one of its flags.
    pub fn control(&mut self, node: &str, channel: &str, flag: &str) {
        let key = [("node_id", node), ("channel_id", channel)];
        self.row("node_channel_ctl", &key, &[(flag, "1")]);
    }

    /// A row of one of the configuration tables: `columns`, and the `defaults` that they do not name.
    pub fn row(&mut self, table: &str, defaults: &[(&str, &str)], columns: &[(&str, &str)]) {
        let defaults = defaults
            .iter()
            .filter(|(name, _)| !columns.iter().any(|(given, _)| given == name));
        let (names, values): (Vec<&str>, Vec<String>) = defaults
            .chain(columns)
            .map(|(name, value)| (*name, self.literal(value)))
            .unzip();
        self.configuration.push(format!(
            "insert into sym_{table} ({}) values ({})",
            names.join(", "),
            values.join(", ")
        ));
    }

    fn literal(&self, value: &str) -> String {
        if value == NULL {
            "null".to_owned()
        } else {
            self.kind.literal(value)
        }
    }
}

/// A claim's turn: what it wants, and then the deployment that has it.
#[derive(Debug)]
pub struct Given {
    wanted: Wanted,
    wants: mpsc::Sender<Wanted>,
    running: watch::Receiver<Option<Arc<Deployment>>>,
    turns: Arc<Semaphore>,
}

/// A deployment in which it is a claim's turn.
#[derive(Debug)]
pub struct Running {
    deployment: Arc<Deployment>,
    _turn: OwnedSemaphorePermit,
}

impl std::ops::Deref for Running {
    type Target = Deployment;

    fn deref(&self) -> &Deployment {
        &self.deployment
    }
}

impl std::ops::Deref for Given {
    type Target = Wanted;

    fn deref(&self) -> &Wanted {
        &self.wanted
    }
}

impl std::ops::DerefMut for Given {
    fn deref_mut(&mut self) -> &mut Wanted {
        &mut self.wanted
    }
}

impl Given {
    /// Nothing is wanted yet.
    pub fn new(
        kind: DatabaseKind,
        wants: mpsc::Sender<Wanted>,
        running: watch::Receiver<Option<Arc<Deployment>>>,
        turns: Arc<Semaphore>,
    ) -> Self {
        Self {
            wanted: Wanted::new(kind),
            wants,
            running,
            turns,
        }
    }

    /// The deployment, once it has what all claims want and captures this one's tables.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn running(self) -> Running {
        let Self {
            wanted,
            wants,
            mut running,
            turns,
        } = self;
        let captured = wanted.captured.clone();
        wants.send(wanted).await.expect("the test goes on");
        let deployment = running.wait_for(Option::is_some).await;
        let deployment = deployment.expect("the deployment came up").clone();
        let deployment = deployment.expect("waited for it");
        let turn = turns.acquire_owned().await.expect("never closed");
        let captured: Vec<&str> = captured.iter().map(String::as_str).collect();
        installed(&deployment.hub, &captured).await;
        Running {
            deployment,
            _turn: turn,
        }
    }
}
