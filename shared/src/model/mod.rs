//! The configuration, typed: what the `sym_` configuration tables say.
//!
//! Owns reading it from tables and from the wire, its checks, and the rules that follow from it. Refuses to know
//! tables of the application, and which of a group's nodes may get anything.

mod adopt;
mod broadcast;
mod config;
mod entity;
mod error;
mod expression;
mod fields;
mod read;
mod rule;
mod state;
mod travel;

pub use adopt::adopt_configuration;
pub use config::Config;
pub use entity::{Channel, LinkAction, Node, NodeChannelCtl, NodeGroupLink, Router, Trigger, TriggerRouter};
pub use error::ModelError;
pub use expression::{
    BindError, BoundExpression, ColumnExpression, ColumnRef, CompareWith, Comparison, ExpressionError,
    LookupRule, NodeAttribute, Operator, Selected, Subselect, SubselectPiece,
};
pub use read::{identity, local_configuration, read_configuration};
pub use rule::{Rule, RuleKind};
pub use state::{set_state, state, state_number};

#[cfg(test)]
mod tests;
