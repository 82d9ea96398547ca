//! In which order tables are loaded.

use std::collections::HashSet;

/// A table as the order sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TableName {
    /// Its schema; `None` on SQLite.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
}

/// The indexes of `tables` (each with its `initial_load_order`), in the order of that number; where it is the same,
/// tables that others refer to go first. Tables that refer to each other in a circle go in the order given.
pub(super) fn order(tables: &[(TableName, i64)], references: &HashSet<(TableName, TableName)>) -> Vec<usize> {
    let mut rest: Vec<usize> = (0..tables.len()).collect();
    rest.sort_by_key(|index| tables[*index].1);
    let mut ordered = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let lowest = tables[rest[0]].1;
        let waits = |index: usize| {
            rest.iter().any(|other| {
                *other != index
                    && tables[*other].1 == lowest
                    && tables[*other].0 != tables[index].0
                    && references.contains(&(tables[index].0.clone(), tables[*other].0.clone()))
            })
        };
        let free = rest
            .iter()
            .position(|index| tables[*index].1 == lowest && !waits(*index))
            .unwrap_or(0);
        ordered.push(rest.remove(free));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> TableName {
        TableName {
            schema: None,
            name: name.to_owned(),
        }
    }

    fn ordered(tables: &[(&str, i64)], references: &[(&str, &str)]) -> Vec<String> {
        let tables: Vec<_> = tables.iter().map(|(name, order)| (table(name), *order)).collect();
        let references = references
            .iter()
            .map(|(child, parent)| (table(child), table(parent)))
            .collect();
        order(&tables, &references)
            .into_iter()
            .map(|index| tables[index].0.name.clone())
            .collect()
    }

    #[test]
    fn parents_go_before_children_within_the_same_number() {
        assert_eq!(
            ordered(
                &[("child", 1), ("parent", 1), ("first", 0)],
                &[("child", "parent")]
            ),
            ["first", "parent", "child"]
        );
        assert_eq!(
            ordered(&[("a", 1), ("b", 1), ("c", 1)], &[("a", "b"), ("b", "c")]),
            ["c", "b", "a"]
        );
        // The number is the user's word.
        assert_eq!(
            ordered(&[("child", 1), ("parent", 2)], &[("child", "parent")]),
            ["child", "parent"]
        );
    }

    #[test]
    fn circles_end() {
        assert_eq!(
            ordered(
                &[("a", 1), ("b", 1), ("c", 1)],
                &[("a", "b"), ("b", "a"), ("a", "a"), ("c", "c")]
            ),
            ["c", "a", "b"]
        );
    }
}
