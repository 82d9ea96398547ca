//! Initial loads while everybody goes on writing.

mod coming_back;
mod disturbed;
mod options;
mod scene;
mod under_writes;
