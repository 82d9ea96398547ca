//! The cases of `spec/hard-cases.md` that no other scenario shows, with the real binaries, on every dialect as
//! source and as target: three nodes in a ring.

mod alterations;
mod backlog;
mod concurrency;
mod failing_rules;
mod forwarding;
mod groups;
mod keeping;
mod looking;
mod names;
mod refusing;
mod registration;
mod restored;
mod rules;
mod server_away;
mod statements;
mod statements_at_nodes;
