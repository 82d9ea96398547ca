//! Who may be registered: one-time secrets, and what `sym_registration_request` says.
//!
//! The command that opens a registration and the registrar that answers both write that table. Refuses to know how a
//! request comes in and what is decided about it.

mod changes;
mod removal;
mod request;
mod secret;

pub use changes::{Admission, admit, close_disabled, close_expired, note_opened};
pub use removal::{REMOVAL_STATE, is_removed, mark_removed, removed_state, unmark_removed};
pub use request::{Opening, Request, RequestStatus, close, find, open, register};
pub use secret::{hash, is_same, new_secret};
