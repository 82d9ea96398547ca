//! Random configurations and histories of writes, judged by plain SQL.
