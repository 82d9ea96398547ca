//! Histories of triggers that no captured row can name any more.

use super::Figures;
use crate::error::Error;
use crate::source::Source;
use std::time::Duration;
use symstream_shared::db::{Param, time_ms};

/// Clocks of the application's sessions may be in other time zones than ours.
const CLOCKS_APART: Duration = Duration::from_secs(24 * 3600);

/// Removes those that ended before the retention, and before all captured rows that are left were written: a row names a
/// history that was in force when it was written, or is read with one that came into force soon after.
pub(super) async fn purge(source: &Source, before_ms: i64, figures: &mut Figures) -> Result<(), Error> {
    let history = source.tables.name("trigger_hist");
    let statement = format!(
        "select {} from {} where create_time is not null order by data_id limit 1",
        source.database.kind().time_as_text("create_time"),
        source.tables.name("data")
    );
    let oldest = source.database.query_opt(&statement, &[]).await?;
    let oldest_ms = oldest
        .map(|row| row.text(0))
        .transpose()?
        .and_then(|text| time_ms(&text));
    let apart_ms = i64::try_from(CLOCKS_APART.as_millis()).unwrap_or(0);
    let before_ms = oldest_ms.map_or(before_ms, |oldest_ms| before_ms.min(oldest_ms - apart_ms));
    // The highest id stays, so that none is given out twice.
    let statement = format!("select max(trigger_hist_id) from {history}");
    let highest = source.database.query_opt(&statement, &[]).await?;
    let Some(highest) = highest.map(|row| row.opt_int(0)).transpose()?.flatten() else {
        return Ok(());
    };
    let statement = format!(
        "delete from {history} where inactive_time is not null and inactive_time < ? and trigger_hist_id < ?"
    );
    let params = [Param::Time(before_ms), highest.into()];
    figures.trigger_histories += source.database.execute(&statement, &params).await?;
    Ok(())
}
