//! What a node whose database was restored remembers until it was loaded anew.
//!
//! Its capture agent notices it (ids that went backwards, another server) and writes the note; its loader tells the
//! sources that the note names, each until a load from it has begun since.

use crate::csv;
use crate::db::{DbError, Sql};
use crate::id::NodeId;
use crate::schema::Tables;
use std::collections::BTreeMap;

/// The key in `sym_state`.
const KEY: &str = "restored";

/// The note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredNote {
    /// What was noticed, for people.
    pub reason: String,
    /// The sources that have to load the node anew, each with the newest load from it when that was noticed; 0: none.
    pub sources: BTreeMap<NodeId, i64>,
}

impl RestoredNote {
    /// Why this source has to load the node, if it does not have since. `load_id` is the newest load from it.
    pub fn wants(&self, source: &NodeId, load_id: i64) -> Option<&str> {
        let before = self.sources.get(source)?;
        (*before == load_id).then_some(&*self.reason)
    }

    /// The note; `None` for a database that was never restored.
    ///
    /// # Errors
    /// [`DbError`] as the database says, or when the note is not readable.
    pub async fn read(sql: &mut dyn Sql, tables: &Tables) -> Result<Option<Self>, DbError> {
        let statement = format!(
            "select state_value from {} where state_key = ?",
            tables.name("state")
        );
        let row = sql.query_opt(&statement, &[KEY.into()]).await?;
        let text = row.map(|row| row.opt_text(0)).transpose()?.flatten();
        text.map(|text| {
            Self::parse(&text)
                .ok_or_else(|| DbError::unexpected(format!("state {KEY} is not readable: {text}")))
        })
        .transpose()
    }

    /// Replaces the note.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub async fn write(&self, sql: &mut dyn Sql, tables: &Tables) -> Result<(), DbError> {
        let statement = format!(
            "insert into {} (state_key, state_value) values (?, ?){}",
            tables.name("state"),
            sql.kind().or_update(&["state_key"], &["state_value"])
        );
        sql.execute(&statement, &[KEY.into(), self.text().into()])
            .await
            .map(drop)
    }

    fn text(&self) -> String {
        let loads = self.sources.values().map(i64::to_string).collect::<Vec<_>>();
        let pairs = self.sources.keys().zip(&loads);
        let fields = pairs.flat_map(|(node, load)| [Some(node.as_str()), Some(load.as_str())]);
        csv::encode(std::iter::once(Some(self.reason.as_str())).chain(fields))
    }

    fn parse(text: &str) -> Option<Self> {
        let fields: Option<Vec<String>> = csv::decode(text)
            .ok()?
            .into_iter()
            .map(csv::Field::into_text)
            .collect();
        let fields = fields?;
        let (reason, pairs) = fields.split_first()?;
        let sources = pairs
            .chunks(2)
            .map(|pair| {
                Some((
                    NodeId::new(pair.first()?.as_str()).ok()?,
                    pair.get(1)?.parse().ok()?,
                ))
            })
            .collect::<Option<_>>()?;
        Some(Self {
            reason: reason.clone(),
            sources,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written_and_wants_a_load_once() {
        let node = |id: &str| NodeId::new(id).expect("id");
        let note = RestoredNote {
            reason: "batch 7, and \"more\"".to_owned(),
            sources: [(node("a,b"), 0), (node("c"), 12)].into(),
        };
        assert_eq!(RestoredNote::parse(&note.text()), Some(note.clone()));
        assert_eq!(note.wants(&node("c"), 12), Some(note.reason.as_str()));
        assert_eq!(note.wants(&node("c"), 13), None);
        assert_eq!(note.wants(&node("d"), 0), None);
        assert_eq!(RestoredNote::parse("r,a"), None);
    }
}
