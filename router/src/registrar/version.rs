//! The configuration's version: it grows by one whenever the tables say something new.

use symstream_shared::db::{DbError, Sql};
use symstream_shared::model::{self, Config, ModelError};
use symstream_shared::retry::Disposition;
use symstream_shared::schema::Tables;
use symstream_shared::wire::{Configuration, ConfigurationTable};

const VERSION: &str = "config_version";
const FINGERPRINT: &str = "config_hash";

/// The configuration as the tables have it now.
pub(crate) struct Current {
    /// With the version that it has, or would have.
    pub(crate) configuration: Configuration,
    /// The same, typed.
    pub(crate) config: Config,
    /// Whether the version is still to be stored.
    pub(crate) is_new: bool,
    /// Tells configurations apart.
    fingerprint: String,
}

/// The version in force: the last that was stored, whatever the tables say now.
///
/// # Errors
/// [`DbError`] as the database says.
pub(crate) async fn in_force(sql: &mut dyn Sql, tables: &Tables) -> Result<i64, DbError> {
    Ok(model::state_number(sql, tables, VERSION).await?.unwrap_or(0))
}

/// Reads the tables and tells whether they say something new. In a transaction that reads one snapshot, or an
/// edit that commits meanwhile would be half seen.
///
/// # Errors
/// [`ModelError`] when what they say can not be used: the version before stays in force then.
pub(crate) async fn read(sql: &mut dyn Sql, tables: &Tables) -> Result<Current, ModelError> {
    let stored = model::state(sql, tables, FINGERPRINT).await?;
    let version = in_force(sql, tables).await?;
    let rows = model::read_configuration(sql, tables).await?;
    let fingerprint = fingerprint(&rows);
    let is_new = stored.as_ref() != Some(&fingerprint);
    let configuration = Configuration {
        version: version + i64::from(is_new),
        tables: rows,
    };
    let config = Config::from_wire(&configuration)?;
    Ok(Current {
        configuration,
        config,
        is_new,
        fingerprint,
    })
}

/// Stores what [`read`] found new, in the snapshot transaction in which it was read.
///
/// # Errors
/// [`DbError`]; to be tried again in a new transaction when another router stored a version meanwhile.
pub(crate) async fn store(tx: &mut dyn Sql, tables: &Tables, current: &Current) -> Result<(), DbError> {
    if !current.is_new {
        return Ok(());
    }
    let state = tables.name("state");
    let kind = tx.kind();
    let insert = format!(
        "insert into {state} (state_key, state_value) values (?, '0'){}",
        kind.or_ignore(&["state_key"])
    );
    tx.execute(&insert, &[VERSION.into()]).await?;
    // The row's lock and its old value keep two routers from giving one version to two configurations.
    let update = format!("update {state} set state_value = ? where state_key = ? and state_value = ?");
    let version = current.configuration.version;
    let before = (version - 1).to_string();
    if tx
        .execute(
            &update,
            &[version.to_string().into(), VERSION.into(), before.into()],
        )
        .await?
        == 0
    {
        let message = "another router stored a version of the configuration meanwhile";
        return Err(DbError {
            disposition: Disposition::Retry,
            ..DbError::unexpected(message)
        });
    }
    model::set_state(tx, tables, FINGERPRINT, current.fingerprint.as_str()).await
}

/// What a node says of its software and its database travels with the next version, but makes none: an upgrade of all
/// nodes would else be a version for each of them.
fn makes_no_version(table: &str, column: &str) -> bool {
    table == "node" && ["symmetric_version", "database_type", "database_version"].contains(&column)
}

/// FNV-1a over 128 bits: no secret, but two configurations that differ must not look the same.
fn fingerprint(tables: &[ConfigurationTable]) -> String {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    let mut add = |text: Option<&str>| {
        // No text has the byte 0xff, so neighbours can not run into each other.
        let end: &[u8] = if text.is_some() { &[0xff] } else { &[0xff, 0xfe] };
        for byte in text.unwrap_or_default().bytes().chain(end.iter().copied()) {
            hash = (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b);
        }
    };
    for table in tables {
        add(Some(&table.name));
        table.columns.iter().for_each(|column| add(Some(column)));
        for row in &table.rows {
            add(None);
            for (value, column) in row.iter().zip(&table.columns) {
                if !makes_no_version(&table.name, column) {
                    add(value.as_deref());
                }
            }
        }
    }
    format!("{hash:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&[Option<&str>]]) -> Vec<ConfigurationTable> {
        vec![ConfigurationTable {
            name: "channel".to_owned(),
            columns: vec!["channel_id".to_owned(), "description".to_owned()],
            rows: rows
                .iter()
                .map(|row| row.iter().map(|value| value.map(str::to_owned)).collect())
                .collect(),
        }]
    }

    #[test]
    fn what_a_node_runs_on_makes_no_difference() {
        let node = |schema: &str, version: &str| {
            let columns = [
                "node_id",
                "schema_version",
                "symmetric_version",
                "database_version",
            ];
            let row = ["a", schema, version, version].map(|value| Some(value.to_owned()));
            vec![ConfigurationTable {
                name: "node".to_owned(),
                columns: columns.map(str::to_owned).into(),
                rows: vec![row.into()],
            }]
        };
        assert_eq!(fingerprint(&node("1", "0.1")), fingerprint(&node("1", "0.2")));
        assert_ne!(fingerprint(&node("1", "0.1")), fingerprint(&node("2", "0.1")));
    }

    #[test]
    fn every_difference_changes_the_fingerprint() {
        let variants = [
            table(&[]),
            table(&[&[Some("a"), Some("b")]]),
            table(&[&[Some("ab"), Some("")]]),
            table(&[&[Some("ab"), None]]),
            table(&[&[None, Some("ab")]]),
            table(&[&[Some("a")], &[Some("b")]]),
        ];
        for (index, one) in variants.iter().enumerate() {
            assert_eq!(fingerprint(one), fingerprint(&one.clone()));
            for other in &variants[index + 1..] {
                assert_ne!(fingerprint(one), fingerprint(other), "{one:?} {other:?}");
            }
        }
    }
}
