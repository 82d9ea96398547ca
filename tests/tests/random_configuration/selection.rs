//! Which nodes a rule selects: as the expression that the product reads, and as plain SQL for the oracle. The two are
//! written side by side and share nothing.

use super::table::LINKS;
use symstream_shared::db::DatabaseKind;

/// The owner that stands for every node.
pub const EVERYBODY: &str = "every one";

/// How a rule selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// `default`
    All,
    /// `column`: the owner.
    Owner,
    /// `column`: everybody but the owner.
    NotOwner,
    /// `column`: the owner, or rows for everybody.
    OwnerOrEverybody,
    /// `column`: rows of one region.
    Region(i64),
    /// `column`: rows without an owner, or of which it is the owner.
    OwnerOrNone,
    /// `column`: a list of nodes.
    Tagged,
    /// `column`: the owner before the change; inserts are for nobody.
    FormerOwner,
    /// `lookuptable`
    Linked,
    /// `lookuptable` with `ALL_NODES_VALUE`
    LinkedOrEverybody,
    /// `subselect`, or `node_select`: the owner.
    SelectOwner,
    /// `subselect`, or `node_select`: not the owner, above a region.
    SelectOthers(i64),
    /// `subselect`, or `node_select`: by the table of links.
    SelectLinked,
}

/// Who asks about whom, in the oracle.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The journal's alias.
    pub alias: &'a str,
    /// The target node.
    pub node: &'a str,
    /// Bonds that are linked to the node where the rule was asked, when that is another node than the journal's.
    pub linked_elsewhere: Option<&'a Linked>,
}

/// Bonds that a node's links name: for the target, and for everybody.
#[derive(Debug, Clone, Default)]
pub struct Linked {
    /// For the target.
    pub node: Vec<String>,
    /// For everybody.
    pub everybody: Vec<String>,
}

impl Selection {
    /// `router_type` and `router_expression`.
    pub fn router(self) -> (&'static str, Option<String>) {
        let lookup =
            format!("LOOKUP_TABLE={LINKS} KEY_COLUMN=Bond LOOKUP_KEY_COLUMN=BOND EXTERNAL_ID_COLUMN=node");
        match self {
            Self::All => ("default", None),
            Self::Owner => ("column", Some("OWNER=:EXTERNAL_ID".to_owned())),
            Self::NotOwner => ("column", Some("owner != :NODE_ID".to_owned())),
            Self::OwnerOrEverybody => (
                "column",
                Some(format!("Owner = :EXTERNAL_ID or OWNER='{EVERYBODY}'")),
            ),
            Self::Region(region) => ("column", Some(format!("REGION={region}"))),
            Self::OwnerOrNone => ("column", Some("OWNER=NULL\nOWNER=:EXTERNAL_ID".to_owned())),
            Self::Tagged => ("column", Some("tags contains :EXTERNAL_ID".to_owned())),
            Self::FormerOwner => ("column", Some("OLD_OWNER = :EXTERNAL_ID".to_owned())),
            Self::Linked => ("lookuptable", Some(lookup)),
            Self::LinkedOrEverybody => (
                "lookuptable",
                Some(format!("{lookup} ALL_NODES_VALUE='{EVERYBODY}'")),
            ),
            Self::SelectOwner | Self::SelectOthers(_) | Self::SelectLinked => {
                ("subselect", self.node_select())
            }
        }
    }

    /// `node_select`, where it has that form.
    pub fn node_select(self) -> Option<String> {
        match self {
            Self::SelectOwner => Some("c.external_id = :OWNER".to_owned()),
            Self::SelectOthers(region) => {
                Some(format!("where c.external_id <> :Owner and :REGION > {region}"))
            }
            Self::SelectLinked => Some(format!(
                "c.external_id in (select l.node from {LINKS} l where l.bond = :BOND)"
            )),
            _ => None,
        }
    }

    /// Whether it asks the table of links.
    pub fn is_by_links(self) -> bool {
        matches!(self, Self::Linked | Self::LinkedOrEverybody | Self::SelectLinked)
    }

    /// The oracle: the condition on a journal row that the node is selected.
    pub fn condition(self, kind: DatabaseKind, asked: Asked<'_>) -> String {
        let (a, node) = (asked.alias, asked.node);
        let owner = format!("{a}.owner = '{node}'");
        match self {
            Self::All => "1 = 1".to_owned(),
            Self::Owner | Self::SelectOwner => owner,
            Self::NotOwner => format!("({a}.owner is null or {a}.owner <> '{node}')"),
            Self::OwnerOrEverybody => format!("{a}.owner in ('{node}', '{EVERYBODY}')"),
            Self::Region(region) => format!("{a}.region = {region}"),
            Self::OwnerOrNone => format!("({a}.owner is null or {owner})"),
            Self::Tagged => {
                let list = match kind {
                    DatabaseKind::Mysql => format!("concat(',', {a}.tags, ',')"),
                    DatabaseKind::Postgres | DatabaseKind::Sqlite => format!("',' || {a}.tags || ','"),
                };
                format!("{list} like '%,{node},%'")
            }
            Self::FormerOwner => format!("({a}.op in ('U', 'D') and {owner})"),
            Self::SelectOthers(region) => format!("({a}.owner <> '{node}' and {a}.region > {region})"),
            Self::Linked | Self::SelectLinked => linked(asked, false),
            Self::LinkedOrEverybody => linked(asked, true),
        }
    }
}

fn linked(asked: Asked<'_>, everybody: bool) -> String {
    let (a, node) = (asked.alias, asked.node);
    match asked.linked_elsewhere {
        None => {
            let nodes = if everybody {
                format!("'{node}', '{EVERYBODY}'")
            } else {
                format!("'{node}'")
            };
            format!("exists (select 1 from {LINKS} l where l.bond = {a}.bond and l.node in ({nodes}))")
        }
        Some(bonds) => {
            let mut list = bonds.node.clone();
            if everybody {
                list.extend_from_slice(&bonds.everybody);
            }
            if list.is_empty() {
                return "1 = 0".to_owned();
            }
            format!("{a}.bond in ({})", list.join(", "))
        }
    }
}
