//! A target that refuses a row, so that its lane is held.

use super::looking::reaches;
use symstream_shared::db::DatabaseKind;
use symstream_tests::network::Site;

/// The lowest key of the rows that a site writes into `item`: the one before it in the ring has sent it others.
pub fn first_of(site: &Site) -> i64 {
    match site.database.kind() {
        DatabaseKind::Postgres => 1000,
        DatabaseKind::Mysql => 2000,
        DatabaseKind::Sqlite => 3000,
    }
}

/// Has the target refuse the first row that the source now writes into `item`, and waits until it did.
///
/// # Panics
/// When that takes too long.
pub async fn hold(source: &Site, target: &Site) {
    let bad = format!("'bad at {}'", target.id());
    // Others may have such a row. SQLite adds no constraint to a table that is there.
    let forbid = match target.database.kind() {
        DatabaseKind::Sqlite => format!(
            "create trigger no_bad_names before insert on item when new.name = {bad} \
             begin select raise(abort, 'no_bad_names'); end"
        ),
        DatabaseKind::Postgres | DatabaseKind::Mysql => {
            format!("alter table item add constraint no_bad_names check (name <> {bad})")
        }
    };
    target.database.run(&forbid).await;
    let insert = format!("insert into item values ({}, {bad})", first_of(source));
    source.database.run(&insert).await;
    let refused = "select count(*) from sym_incoming_batch where status = 'ER'";
    reaches(&target.database, refused, 1).await;
}

/// Has the target take what it refused.
///
/// # Panics
/// When the database refuses.
pub async fn release(target: &Site) {
    let allow = match target.database.kind() {
        DatabaseKind::Sqlite => "drop trigger no_bad_names",
        DatabaseKind::Postgres | DatabaseKind::Mysql => "alter table item drop constraint no_bad_names",
    };
    target.database.run(allow).await;
}
