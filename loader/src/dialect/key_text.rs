//! Statements that find rows by their keys with one parameter for each value (MySQL, SQLite).

use super::{Statement, all_but, key_columns};
use crate::target::{Target, TargetColumn};
use symstream_shared::db::Param;

/// How a database compares a key's columns, and what follows from it.
pub(super) trait KeyText {
    /// What the column's collation takes for this value.
    fn condition(&self, table: &Target, column: &TargetColumn, param: &Param) -> String;

    /// A second condition, with the same parameter, where the collation takes more for it than the value itself.
    fn exactly(&self, table: &Target, column: &TargetColumn, param: &Param) -> Option<String>;

    /// The rows with this key; one of them where the table has no key.
    fn one(&self, table: &Target, key: &[Param]) -> String;

    /// The rows with this key, to the byte.
    fn matches(&self, table: &Target, key: &[Param]) -> String {
        key_columns(table)
            .flat_map(|(place, column)| {
                let param = &key[place];
                let condition = self.condition(table, column, param);
                std::iter::once(condition).chain(self.exactly(table, column, param))
            })
            .collect::<Vec<_>>()
            .join(" and ")
    }

    /// The parameters of [`Self::matches`].
    fn key_params(&self, table: &Target, key: &[Param]) -> Vec<Param> {
        key_columns(table)
            .flat_map(|(place, column)| {
                let param = &key[place];
                let exactly = self.exactly(table, column, param).is_some();
                std::iter::repeat_n(param.clone(), 1 + usize::from(exactly))
            })
            .collect()
    }

    /// [`super::Dialect::delete`]
    fn delete_by_keys(&self, table: &Target, keys: &[Vec<Param>]) -> Statement {
        let conditions: Vec<String> = match keys {
            [key] => vec![self.one(table, key)],
            _ => keys
                .iter()
                .map(|key| format!("({})", self.matches(table, key)))
                .collect(),
        };
        Statement {
            sql: format!("delete from {} where {}", table.sql_name, conditions.join(" or ")),
            params: keys.iter().flat_map(|key| self.key_params(table, key)).collect(),
        }
    }

    /// [`super::Dialect::clear`]
    fn clear_but_keys(&self, table: &Target, spared: &[Vec<Param>]) -> Statement {
        self.all_but_keys(&format!("delete from {}", table.sql_name), table, spared)
    }

    /// A statement that begins so, for all rows but those with these keys.
    fn all_but_keys(&self, beginning: &str, table: &Target, spared: &[Vec<Param>]) -> Statement {
        let conditions: Vec<String> = spared.iter().map(|key| self.matches(table, key)).collect();
        Statement {
            sql: all_but(beginning, &conditions),
            params: spared
                .iter()
                .flat_map(|key| self.key_params(table, key))
                .collect(),
        }
    }

    /// [`super::Dialect::exists`]
    fn find_by_key(&self, table: &Target, key: &[Param]) -> Statement {
        Statement {
            sql: format!(
                "select 1 from {} where {} limit 1",
                table.sql_name,
                self.matches(table, key)
            ),
            params: self.key_params(table, key),
        }
    }

    /// [`super::Dialect::existing`]
    fn find_keys(&self, table: &Target, keys: &[Vec<Param>]) -> Statement {
        let each: Vec<String> = keys
            .iter()
            .enumerate()
            .map(|(place, key)| {
                format!(
                    "select {place} from {} where {}",
                    table.sql_name,
                    self.matches(table, key)
                )
            })
            .collect();
        Statement {
            sql: each.join(" union all "),
            params: keys.iter().flat_map(|key| self.key_params(table, key)).collect(),
        }
    }

    /// [`super::Dialect::alike`]
    fn find_alike(&self, table: &Target, key: &[Param]) -> Option<Statement> {
        let exact = self.key_params(table, key);
        let alike: Vec<String> = key_columns(table)
            .map(|(place, column)| self.condition(table, column, &key[place]))
            .collect();
        (exact.len() > key.len()).then(|| Statement {
            sql: format!(
                "select 1 from {} where {} and not ({}) limit 1",
                table.sql_name,
                alike.join(" and "),
                self.matches(table, key)
            ),
            params: key.iter().cloned().chain(exact).collect(),
        })
    }
}
