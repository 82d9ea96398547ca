//! The cases of `spec/hard-cases.md` that no other scenario shows, with the real binaries, on every dialect as
//! source and as target: three nodes in a ring.

mod concurrency;
mod forwarding;
mod names;
mod statements;
