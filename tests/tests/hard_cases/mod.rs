//! The cases of `spec/hard-cases.md` that no other scenario shows.
