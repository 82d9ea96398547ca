//! Waiting for what databases and logs say.

use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;
use symstream_tests::network::{PATIENCE, Site};

/// Waits until a query gives this number.
///
/// # Panics
/// When that takes too long.
pub async fn reaches(database: &TestDatabase, sql: &str, number: i64) {
    becomes(database, sql, &number.to_string()).await;
}

/// Waits until a query gives one value, and this one.
///
/// # Panics
/// When that takes too long.
pub async fn becomes(database: &TestDatabase, sql: &str, expected: &str) {
    eventually(
        PATIENCE,
        format!("{expected} from {sql} on {}", database.kind()),
        || async {
            let rows = database.try_rows(sql).await.map_err(|err| err.to_string())?;
            if rows == [[expected]] {
                Ok(())
            } else {
                Err(format!("{rows:?}"))
            }
        },
    )
    .await;
}

/// Waits until a site's log has a line with all these texts.
///
/// # Panics
/// When that takes too long.
pub async fn logs(site: &Site, texts: &[&str]) {
    eventually(
        PATIENCE,
        format!("{texts:?} in the log of {}", site.engine.name),
        || async {
            let is_it = |line: &str| texts.iter().all(|text| line.contains(text));
            site.log()
                .lines()
                .any(is_it)
                .then_some(())
                .ok_or("it is not there")
        },
    )
    .await;
}
