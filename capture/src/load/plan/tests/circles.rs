//! Tables that refer to each other, and to themselves.

use super::world::World;
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
