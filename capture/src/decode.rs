//! What captured text means. The loader has to know it, too.

pub use symstream_shared::captured::{DecodeError, HistCache, HistError, Layout};
