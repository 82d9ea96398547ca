//! In which order tables are loaded.

/// A table as the order sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TableName {
    /// Its schema; `None` on SQLite.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
}

/// A table in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    /// Which of the tables.
    pub index: usize,
    /// Tables next to each other with the same number refer to each other in a way that nothing can open.
    pub circle: Option<u32>,
}

/// That one table refers to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// The table that refers.
    pub child: TableName,
    /// The one referred to.
    pub parent: TableName,
    /// Whether the columns that refer can come later than the row.
    pub can_come_later: bool,
}

/// The `tables` (each with its `initial_load_order`), in the order of that number; where it is the same, tables that others
/// refer to go first. In a circle those go first whose references can come later.
pub(super) fn order(tables: &[(TableName, i64)], references: &[Reference]) -> Vec<Placed> {
    let mut rest: Vec<usize> = (0..tables.len()).collect();
    rest.sort_by_key(|index| tables[*index].1);
    let mut placed = Vec::with_capacity(rest.len());
    let mut circles = 0;
    for same_number in rest.chunk_by(|one, next| tables[*one].1 == tables[*next].1) {
        let names: Vec<&TableName> = same_number.iter().map(|index| &tables[*index].0).collect();
        let all = Graph::new(&names, references.iter());
        let fixed = Graph::new(&names, references.iter().filter(|to| !to.can_come_later));
        for component in all.components(&(0..names.len()).collect::<Vec<_>>()) {
            for together in fixed.components(&component) {
                let is_circle = together.len() > 1;
                circles += u32::from(is_circle);
                placed.extend(together.into_iter().map(|at| Placed {
                    index: same_number[at],
                    circle: is_circle.then_some(circles),
                }));
            }
        }
    }
    placed
}

/// Which tables refer to which others, by their places in a list.
struct Graph {
    parents: Vec<Vec<usize>>,
}

impl Graph {
    fn new<'a>(names: &[&TableName], references: impl Iterator<Item = &'a Reference> + Clone) -> Self {
        let parents_of = |child: &TableName| {
            let parents = references
                .clone()
                .filter(|reference| reference.child == *child && reference.parent != *child);
            let mut places: Vec<usize> = parents
                .flat_map(|reference| {
                    let all = names.iter().enumerate();
                    all.filter(|(_, name)| ***name == reference.parent)
                        .map(|(place, _)| place)
                })
                .collect();
            places.sort_unstable();
            places.dedup();
            places
        };
        Self {
            parents: names.iter().map(|name| parents_of(name)).collect(),
        }
    }

    fn refers_into(&self, child: usize, among: &[usize]) -> bool {
        self.parents[child].iter().any(|parent| among.contains(parent))
    }

    /// Those of `among` in which each refers to all others, over however many; the ones that are referred to first, and
    /// what is free in the order given.
    fn components(&self, among: &[usize]) -> Vec<Vec<usize>> {
        let mut rest = among.to_vec();
        let mut components = Vec::new();
        while !rest.is_empty() {
            let free = rest.iter().position(|table| !self.refers_into(*table, &rest));
            let component = match free {
                Some(at) => vec![rest[at]],
                // What is reached from fewest reaches nothing but its own circle.
                None => rest
                    .iter()
                    .map(|table| self.reached(*table, &rest))
                    .min_by_key(Vec::len)
                    .unwrap_or_default(),
            };
            rest.retain(|table| !component.contains(table));
            components.push(component);
        }
        components
    }

    /// What is reached from a table within `among`, in the order of `among`. It is part of that where it is in a circle.
    fn reached(&self, from: usize, among: &[usize]) -> Vec<usize> {
        let mut reached = Vec::new();
        let mut open = vec![from];
        while let Some(table) = open.pop() {
            for parent in &self.parents[table] {
                if among.contains(parent) && !reached.contains(parent) {
                    reached.push(*parent);
                    open.push(*parent);
                }
            }
        }
        let mut in_order = among.to_vec();
        in_order.retain(|table| reached.contains(table));
        in_order
    }
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

    fn reference(child: &str, parent: &str) -> Reference {
        Reference {
            child: table(child.trim_end_matches('?')),
            parent: table(parent),
            can_come_later: child.ends_with('?'),
        }
    }

    /// The tables in order, those of a circle in one text. A reference whose child has a `?` behind it can come later.
    fn ordered(tables: &[(&str, i64)], references: &[(&str, &str)]) -> Vec<String> {
        let tables: Vec<_> = tables.iter().map(|(name, order)| (table(name), *order)).collect();
        let references: Vec<_> = references
            .iter()
            .map(|(child, parent)| reference(child, parent))
            .collect();
        order(&tables, &references)
            .chunk_by(|one, next| one.circle.is_some() && one.circle == next.circle)
            .map(|together| {
                let names = together.iter().map(|placed| tables[placed.index].0.name.as_str());
                names.collect::<Vec<_>>().join("+")
            })
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
            ["c", "a+b"]
        );
        // What refers to a circle comes behind it, and what it refers to before it.
        assert_eq!(
            ordered(
                &[("z", 1), ("a", 1), ("b", 1), ("c", 1), ("y", 1)],
                &[("a", "b"), ("b", "c"), ("c", "a"), ("z", "b"), ("c", "y")]
            ),
            ["y", "a+b+c", "z"]
        );
        // A circle over different numbers is none: they say what goes first.
        assert_eq!(
            ordered(&[("a", 1), ("b", 2)], &[("a", "b"), ("b", "a")]),
            ["a", "b"]
        );
    }

    #[test]
    fn a_circle_opens_where_a_reference_can_come_later() {
        assert_eq!(
            ordered(&[("a", 1), ("b", 1)], &[("a", "b"), ("b?", "a")]),
            ["b", "a"]
        );
        assert_eq!(
            ordered(
                &[("a", 1), ("b", 1), ("c", 1)],
                &[("a", "b"), ("b", "c"), ("c?", "a")]
            ),
            ["c", "b", "a"]
        );
        // Only what is in the circle is moved.
        assert_eq!(
            ordered(
                &[("d", 1), ("a", 1), ("b", 1)],
                &[("d?", "a"), ("a?", "b"), ("b?", "a")]
            ),
            ["a", "b", "d"]
        );
        // A smaller circle that stays closed within a larger one.
        assert_eq!(
            ordered(
                &[("a", 1), ("b", 1), ("c", 1)],
                &[("a", "b"), ("b", "a"), ("b?", "c"), ("c", "a")]
            ),
            ["a+b", "c"]
        );
    }
}
