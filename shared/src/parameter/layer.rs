//! Which layer's value of a parameter holds.

use super::catalogue::{CATALOGUE, Parameter};
use crate::engine::{Engine, Layer};
use crate::id::{ExternalId, GroupId};
use std::fmt;

/// What stands for every external id and every group in `sym_parameter`.
const ALL: &str = "ALL";

/// Where a value comes from; a later one goes before an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody says otherwise.
    Default,
    /// The engine's file.
    EngineFile,
    /// A row of `sym_parameter` for all nodes.
    All,
    /// A row of `sym_parameter` for a group's nodes.
    Group(String),
    /// A row of `sym_parameter` for an external id.
    ExternalId(String),
    /// The process's environment.
    Environment,
    /// `--set` on the command line.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::EngineFile => f.write_str("engine file"),
            Self::All => f.write_str("sym_parameter ALL"),
            Self::Group(group) => write!(f, "sym_parameter group {group}"),
            Self::ExternalId(id) => write!(f, "sym_parameter external id {id}"),
            Self::Environment => f.write_str("environment"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// A node, as rows of `sym_parameter` name it.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    /// Its group.
    pub group: &'a GroupId,
    /// Its external id.
    pub external_id: &'a ExternalId,
}

impl<'a> Whose<'a> {
    /// The engine's node.
    pub fn of(engine: &'a Engine) -> Self {
        Self {
            group: &engine.group,
            external_id: &engine.external_id,
        }
    }
}

/// A row of `sym_parameter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterRow {
    /// `external_id`
    pub external_id: String,
    /// `node_group_id`
    pub group: String,
    /// `param_key`
    pub name: String,
    /// `param_value`
    pub value: String,
}

impl ParameterRow {
    /// Whom the row is for, if that is this node, and how specific it is. A row that names both an external
    /// id and a group is for that node only as long as it is of the group.
    pub fn origin(&self, whose: Whose<'_>) -> Option<(Origin, u8)> {
        let is_group = self.group == whose.group.as_str();
        if self.external_id == whose.external_id.as_str() {
            let origin = Origin::ExternalId(self.external_id.clone());
            return (is_group || self.group == ALL).then_some((origin, 2 + u8::from(is_group)));
        }
        match self.external_id == ALL {
            true if is_group => Some((Origin::Group(self.group.clone()), 1)),
            true if self.group == ALL => Some((Origin::All, 0)),
            _ => None,
        }
    }
}

/// A parameter with the value that holds, as it was written.
#[derive(Debug, Clone)]
pub struct Effective {
    /// The parameter.
    pub parameter: &'static Parameter,
    /// The value; blank: the default.
    pub value: String,
    /// The layer that has it.
    pub origin: Origin,
}

/// The value of each parameter that holds at the engine's node, in the order of the catalogue.
pub fn effective(engine: &Engine, rows: &[ParameterRow]) -> Vec<Effective> {
    let winner = |parameter: &'static Parameter| {
        let given = |layer, origin| Some((engine.settings.get(layer, parameter.name)?.to_owned(), origin));
        let (value, origin) = given(Layer::CommandLine, Origin::CommandLine)
            .or_else(|| given(Layer::Environment, Origin::Environment))
            .or_else(|| most_specific(Whose::of(engine), rows, parameter.name))
            .or_else(|| given(Layer::File, Origin::EngineFile))
            .unwrap_or_else(|| (parameter.default.to_owned(), Origin::Default));
        Effective {
            parameter,
            value,
            origin,
        }
    };
    CATALOGUE.iter().map(winner).collect()
}

/// The value of `sym_parameter` that holds at a node.
pub(super) fn most_specific(whose: Whose<'_>, rows: &[ParameterRow], name: &str) -> Option<(String, Origin)> {
    rows.iter()
        .filter(|row| row.name == name)
        .filter_map(|row| Some((row, row.origin(whose)?)))
        .max_by_key(|(_, (_, rank))| *rank)
        .map(|(row, (origin, _))| (row.value.clone(), origin))
}
