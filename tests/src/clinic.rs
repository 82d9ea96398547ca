//! The clinic of `deploy/examples/clinic`: a cloud with all patients, two locations with their own.

use crate::compare::{Part, check_equal, content};
use crate::database::TestDatabase;
use crate::network::{Network, Site, installed};
use crate::pair::loaded;
use std::path::PathBuf;
use symstream_shared::db::DatabaseKind;

/// The cloud's external id.
pub const CLOUD: &str = "f7e41e48-ec79-4c78-9db6-37c0c4f78326";
/// The locations' external ids.
pub const LOCALS: [&str; 2] = [
    "2d04b22e-1cc3-46b4-96dd-2bee5bad9ffa",
    "9b1c6f0a-52de-4f0e-8c35-70a4b8a7e6d1",
];

/// Tables whose rows belong to a patient, and tables that every node has whole.
pub const PATIENT_TABLES: [(&str, &[&str]); 3] = [
    ("patients", &["patient_id"]),
    ("connections", &["patient_id", "key", "value"]),
    ("locations", &["patient_id", "location_id"]),
];
/// Tables that every node has whole.
pub const CODE_TABLES: [(&str, &[&str]); 2] = [
    ("codes", &["code_id", "kind", "sort_order", "active"]),
    ("code_titles", &["code_id", "language", "title", "note"]),
];

/// The folder of the example.
pub fn example_folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/examples/clinic"))
}

/// A clinic.
#[derive(Debug)]
pub struct Clinic {
    /// The cloud.
    pub cloud: Site,
    /// The locations, in the order of [`LOCALS`].
    pub locals: Vec<Site>,
    /// Servers and engines.
    pub network: Network,
}

impl Clinic {
    /// Databases and engine files; nothing is in the databases, nothing runs.
    ///
    /// # Panics
    /// When a server does not start.
    pub async fn new(cloud: DatabaseKind, locals: [DatabaseKind; 2]) -> Self {
        let mut network = Network::start().await;
        let cloud = network.server("cloud", CLOUD, cloud).await;
        let mut sites = Vec::new();
        for (id, kind) in LOCALS.into_iter().zip(locals) {
            sites.push(network.node(&cloud, "local", id, kind).await);
        }
        Self {
            cloud,
            locals: sites,
            network,
        }
    }

    /// The cloud's tables and rules, by the commands of the contract.
    ///
    /// # Panics
    /// When a command fails.
    pub async fn set_up_cloud(&self) {
        self.import_schema(&self.cloud).await;
        self.network
            .symadmin(&self.cloud, &["create-sym-tables"])
            .await
            .ok();
        let engine = self.cloud.engine.name.as_str();
        let engines = &self.network.engines;
        engines
            .command_in(
                &example_folder(),
                "dbimport",
                &["--engine", engine, "initial.sql"],
            )
            .await
            .ok();
    }

    /// Opens the registration of a location and asks for its initial load, before it has ever started.
    ///
    /// # Panics
    /// When a command fails.
    pub async fn let_in(&self, local: &Site) {
        let engine = self.cloud.engine.name.as_str();
        for args in [
            ["open-registration", "--engine", engine, "local", local.id()].as_slice(),
            &["reload-node", "--engine", engine, local.id()],
        ] {
            self.network.engines.command("symadmin", args).await.ok();
        }
    }

    /// Makes the clinic's tables in a node's database.
    ///
    /// # Panics
    /// When the command fails.
    pub async fn import_schema(&self, site: &Site) {
        let engine = site.engine.name.as_str();
        let args = [
            "--engine",
            engine,
            "--format",
            "XML",
            "--alter-case",
            "schema.xml",
        ];
        self.network
            .engines
            .command_in(&example_folder(), "dbimport", &args)
            .await
            .ok();
    }

    /// The whole clinic up and running, and loaded.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start(cloud: DatabaseKind, locals: [DatabaseKind; 2]) -> Self {
        let mut clinic = Self::new(cloud, locals).await;
        clinic.set_up_cloud().await;
        clinic.network.run(&mut clinic.cloud);
        for local in &clinic.locals {
            clinic.let_in(local).await;
            clinic.import_schema(local).await;
        }
        for local in &mut clinic.locals {
            clinic.network.run(local);
        }
        clinic.ready().await;
        clinic
    }

    /// Waits until all nodes capture and the locations are loaded.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn ready(&self) {
        installed(
            &self.cloud,
            &["patients", "connections", "locations", "codes", "code_titles"],
        )
        .await;
        for local in &self.locals {
            loaded(&self.cloud, local.id()).await;
            installed(local, &["patients", "connections", "locations"]).await;
        }
    }

    /// Whether every location has exactly its part of the cloud's rows.
    ///
    /// # Errors
    /// The first difference.
    pub async fn check_equal(&self) -> Result<usize, String> {
        let mut rows = 0;
        for local in &self.locals {
            rows += check_location(&self.cloud.database, local).await?;
        }
        Ok(rows)
    }
}

/// Whether a location has exactly its part of the cloud's rows; returns how many those are.
///
/// # Errors
/// The first difference.
pub async fn check_location(cloud: &TestDatabase, local: &Site) -> Result<usize, String> {
    let mut rows = 0;
    let linked = format!(
        "patient_id in (select patient_id from locations where location_id = '{}')",
        local.id()
    );
    for (table, columns) in PATIENT_TABLES {
        let expected = content(
            cloud,
            Part {
                table,
                columns,
                condition: &linked,
            },
        )
        .await?;
        let found = content(
            &local.database,
            Part {
                table,
                columns,
                condition: "",
            },
        )
        .await?;
        if expected != found {
            return Err(format!(
                "{table} of {}: {found:?} instead of {expected:?}",
                local.id()
            ));
        }
        rows += found.len();
    }
    for (table, columns) in CODE_TABLES {
        rows += check_equal(
            cloud,
            &local.database,
            Part {
                table,
                columns,
                condition: "",
            },
        )
        .await?;
    }
    Ok(rows)
}
