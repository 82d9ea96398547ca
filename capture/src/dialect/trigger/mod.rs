//! What a database has to be told so that it captures the changes of one table.
//!
//! The SQL is made by pure functions of a [`TriggerSpec`]; everything that has to be asked of the database for it
//! is in a [`Survey`]. However many `sym_trigger` rows a table has, an event costs one trigger of the database: rows
//! that capture the same share a [`Capture`], and each capture is one insert in the trigger.

mod capture;
mod event;
mod mark;
mod rendered;
mod spec;
mod survey;

pub(crate) use capture::Capture;
pub(crate) use event::Event;
pub(crate) use mark::{CaptureMark, Mark};
pub(crate) use rendered::RenderedTrigger;
pub(crate) use spec::{Names, TriggerSpec};
pub(crate) use survey::{ForeignTrigger, Installed, OtherTrigger, Survey};
