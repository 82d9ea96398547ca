//! What the tables say of changes and batches that go through: `sym_data`, `sym_data_event`, and batches and their
//! histories at both ends.

use super::claims::{End, NULL, Since, histories, one_row};
use symstream_shared::db::{DatabaseKind, Sql};
use symstream_tests::configuration::Configuration;
use symstream_tests::eventually::eventually;
use symstream_tests::network::{PATIENCE, Site};
use symstream_tests::ring::Ring;

/// How long each row of `slow` takes at a target, at least.
const SLOW_MS: i64 = 200;
const MANY: i64 = 3000;

fn ddl(kind: DatabaseKind) -> String {
    let slow = match kind {
        DatabaseKind::Postgres => {
            "create function slowly() returns trigger language plpgsql as $$ begin
                perform pg_sleep(0.25); return new; end $$;
             create trigger slowly before insert on slow for each row execute function slowly()"
        }
        DatabaseKind::Mysql => {
            "create trigger slowly before insert on slow for each row set new.name = if(sleep(0.25) = 0, new.name, '')"
        }
        // It has no function that sleeps.
        DatabaseKind::Sqlite => {
            "create trigger slowly before insert on slow begin
                select (with recursive n (i) as (select 1 union all select i + 1 from n where i < 3000000)
                        select max(i) from n); end"
        }
    };
    format!(
        "create table item (id integer primary key, name varchar(50));
         create table many (id integer primary key, name varchar(50), amount integer, note varchar(200));
         create table lonely (id integer primary key, name varchar(50));
         create table slow (id integer primary key, name varchar(50));
         {slow}"
    )
}

/// The application's session is in another zone than any other.
fn zone(kind: DatabaseKind) -> &'static str {
    match kind {
        DatabaseKind::Postgres => "set time zone 'Asia/Kolkata'",
        DatabaseKind::Mysql => "set time_zone = '+05:30'",
        DatabaseKind::Sqlite => "select 1",
    }
}

async fn in_another_zone(site: &Site, sql: &str) {
    let mut conn = site.database.database().conn().await.expect("connection");
    let kind = site.database.kind();
    for statement in [zone(kind), "begin", sql, "commit"] {
        conn.execute_script(statement)
            .await
            .unwrap_or_else(|err| panic!("{statement}: {err}"));
    }
    let back = match kind {
        DatabaseKind::Postgres => "set time zone 'UTC'",
        DatabaseKind::Mysql => "set time_zone = '+00:00'",
        DatabaseKind::Sqlite => "select 1",
    };
    conn.execute_script(back).await.expect("the zone of before");
}

/// One transaction with an insert, an update of the key, and a delete.
async fn changes_and_their_batch(source: &Site, target: &Site) {
    let since = Since::now();
    let sql = "insert into item values (1, 'a'); update item set id = 2, name = 'b' where id = 1; \
               delete from item where id = 2";
    in_another_zone(source, sql).await;
    quiet_at(source, "item", 3).await;
    let database = &source.database;
    let rows = database
        .rows(&format!(
            "select d.event_type, d.table_name, d.row_data, d.pk_data, d.old_data, d.channel_id, d.source_node_id, \
             h.source_table_name, h.column_names, {}, d.transaction_id, e.node_id, e.channel_id, e.batched, \
             e.transaction_id, e.batch_id from sym_data d join sym_data_event e on e.data_id = d.data_id \
             join sym_trigger_hist h on h.trigger_hist_id = d.trigger_hist_id \
             where d.table_name = 'item' order by d.data_id",
            database.kind().time_as_text("d.create_time")
        ))
        .await;
    // CSV: texts stand in quotes where the dialect has to.
    let said = |row: &Vec<String>| {
        row[..5]
            .iter()
            .map(|text| text.replace('"', ""))
            .collect::<Vec<_>>()
    };
    let said: Vec<Vec<String>> = rows.iter().map(said).collect();
    assert_eq!(
        said,
        [
            ["I", "item", "1,a", NULL, NULL],
            ["U", "item", "2,b", "1", "1,a"],
            ["D", "item", NULL, "2", "2,b"],
        ],
        "{}",
        source.id()
    );
    for row in &rows {
        assert_eq!(row[5..9], ["main", NULL, "item", "id,name"]);
        since.check("sym_data.create_time", &row[9]);
        // Only PostgreSQL says which transaction it is; elsewhere a tx_id_expression does.
        let is_known = source.database.kind() == DatabaseKind::Postgres;
        assert_eq!(row[10] != NULL, is_known, "transaction_id {}", row[10]);
        assert_eq!(row[10], rows[0][10]);
        assert_eq!(row[11..15], [target.id(), "main", "1", row[10].as_str()]);
        assert_eq!(row[15], rows[0][15], "one batch");
    }
    let batch = &rows[0][15];
    outgoing(source, target, batch, "EV", since).await;
    let [new, sent, ok] = outgoing_histories(source, target, batch, since).await;
    assert_eq!(new, ["3", NULL], "data_event_count is of the new batch");
    assert_eq!([sent, ok], [[NULL, NULL], [NULL, NULL]]);
    incoming(source, target, batch, since).await;
}

/// Waits until all changes of a table are in batches that are `OK` at the source.
async fn quiet_at(source: &Site, table: &str, count: i64) {
    eventually(
        PATIENCE,
        format!("{count} changes of {table} at {}", source.id()),
        || async {
            let sql = format!(
                "select count(*) from sym_data d join sym_data_event e on e.data_id = d.data_id \
             join sym_outgoing_batch b on b.batch_id = e.batch_id and b.node_id = e.node_id \
             where d.table_name = '{table}' and b.status = 'OK'"
            );
            let found = source.database.number(&sql).await;
            if found == count {
                Ok(())
            } else {
                Err(format!("{found}"))
            }
        },
    )
    .await;
}

async fn outgoing(source: &Site, target: &Site, batch: &str, batch_type: &str, since: Since) {
    let time = source.database.kind().time_as_text("create_time");
    let sql = format!(
        "select node_id, channel_id, batch_type, status, {time} from sym_outgoing_batch where batch_id = {batch}"
    );
    let row = one_row(&source.database, &sql).await;
    let channel = if batch_type == "IL" { "reload" } else { "main" };
    assert_eq!(
        row[..4],
        [target.id(), channel, batch_type, "OK"],
        "{}",
        source.id()
    );
    since.check("sym_outgoing_batch.create_time", &row[4]);
}

/// `data_event_count` and `failed_data_id` of `NE`, `SE`, `OK`; their measures are held to what they must be.
async fn outgoing_histories(source: &Site, target: &Site, batch: &str, since: Since) -> [[String; 2]; 3] {
    let all = histories(source, End::Outgoing, batch, target.id(), since).await;
    let statuses: Vec<&str> = all.iter().map(|history| history.status.as_str()).collect();
    assert_eq!(statuses, ["NE", "SE", "OK"], "{}", source.id());
    // A new batch has been read, a sent one was on the network, one that is done says what the target measured.
    let measured = [[false, false, true], [true, false, false], [true, true, true]];
    for (history, measured) in all.iter().zip(measured) {
        assert_eq!(history.error, [NULL; 3]);
        for (millis, is_measured) in history.millis.iter().zip(measured) {
            if is_measured {
                since.check_millis(&format!("a measure of {}", history.status), millis);
            } else {
                assert_eq!(millis, NULL, "{history:?}");
            }
        }
    }
    let mut all = all
        .into_iter()
        .map(|history| [history.data_event_count, history.failed]);
    std::array::from_fn(|_| all.next().expect("three histories"))
}

/// Holds the target's rows of a batch that was applied; gives its three measures.
async fn incoming(source: &Site, target: &Site, batch: &str, since: Since) -> [i64; 3] {
    let time = target.database.kind().time_as_text("create_time");
    let sql = format!(
        "select status, {time} from sym_incoming_batch where batch_id = {batch} and node_id = '{}'",
        source.id()
    );
    let row = one_row(&target.database, &sql).await;
    assert_eq!(row[0], "OK", "{}", target.id());
    since.check("sym_incoming_batch.create_time", &row[1]);
    let all = histories(target, End::Incoming, batch, source.id(), since).await;
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!((all[0].status.as_str(), all[0].failed.as_str()), ("OK", NULL));
    assert_eq!(all[0].error, [NULL; 3]);
    let names = ["network_millis", "filter_millis", "database_millis"];
    let mut measures = names
        .iter()
        .zip(&all[0].millis)
        .map(|(name, millis)| since.check_millis(name, millis));
    std::array::from_fn(|_| measures.next().expect("three measures"))
}

/// The lowest key of the rows that a site writes: the one before it has sent it others.
fn first_of(site: &Site) -> i64 {
    match site.database.kind() {
        DatabaseKind::Postgres => 100_000,
        DatabaseKind::Mysql => 200_000,
        DatabaseKind::Sqlite => 300_000,
    }
}

async fn batch_of(source: &Site, table: &str) -> String {
    let sql = format!(
        "select max(e.batch_id) from sym_data d join sym_data_event e on e.data_id = d.data_id where d.table_name = '{table}'"
    );
    one_row(&source.database, &sql).await.remove(0)
}

/// What takes time is what is measured, at the target and in what it tells the source.
async fn measures(source: &Site, target: &Site) {
    let since = Since::now();
    let first = first_of(source);
    let rows: Vec<String> = (first..first + MANY)
        .map(|id| format!("({id}, 'name {id}', {id}, '{}')", "x".repeat(150)))
        .collect();
    source
        .database
        .transaction(&format!("insert into many values {}", rows.join(", ")))
        .await;
    quiet_at(source, "many", MANY).await;
    let batch = batch_of(source, "many").await;
    let [_, filter, database] = incoming(source, target, &batch, since).await;
    assert!(
        filter > 0 && database > 0,
        "{}: {filter} and {database} ms for {MANY} rows",
        target.id()
    );
    let [new, _, _] = outgoing_histories(source, target, &batch, since).await;
    assert_eq!(new[0], MANY.to_string());

    let since = Since::now();
    source
        .database
        .run(&format!("insert into slow values ({first}, 'a')"))
        .await;
    quiet_at(source, "slow", 1).await;
    let batch = batch_of(source, "slow").await;
    let [_, filter, database] = incoming(source, target, &batch, since).await;
    assert!(
        database >= SLOW_MS && filter < SLOW_MS,
        "{}: {filter} and {database} ms",
        target.id()
    );
    let told = histories(source, End::Outgoing, &batch, target.id(), since).await;
    assert_eq!(
        told[2].millis[2],
        database.to_string(),
        "what the target measured"
    );
}

/// A row that no rule wants.
async fn nobody(source: &Site) {
    source.database.run("insert into lonely values (1, 'a')").await;
    let sql = "select e.node_id, e.channel_id, e.batch_id, e.batched from sym_data d \
               join sym_data_event e on e.data_id = d.data_id where d.table_name = 'lonely'";
    eventually(PATIENCE, "the row for nobody", || async {
        let rows = source.database.rows(sql).await;
        if rows == [["-1", "main", NULL, "0"]] {
            Ok(())
        } else {
            Err(format!("{rows:?}"))
        }
    })
    .await;
}

/// Batches of an initial load have another type, and no captured rows.
async fn initial_load(ring: &Ring, source: &Site, target: &Site) {
    let since = Since::now();
    source
        .database
        .run(&format!(
            "insert into item values ({}, 'loaded')",
            first_of(source)
        ))
        .await;
    ring.quiet().await;
    ring.network
        .symadmin(source, &["reload-node", target.id()])
        .await
        .ok();
    let sql =
        "select max(batch_id), count(*) from sym_outgoing_batch where batch_type = 'IL' and status = 'OK'";
    eventually(
        PATIENCE,
        format!("the initial load from {}", source.id()),
        || async {
            let rows = source.database.rows(sql).await;
            if rows[0][1] == "0" {
                Err("it has no batch")
            } else {
                Ok(())
            }
        },
    )
    .await;
    ring.quiet().await;
    let batch = one_row(&source.database, sql).await.remove(0);
    outgoing(source, target, &batch, "IL", since).await;
    outgoing_histories(source, target, &batch, since).await;
    incoming(source, target, &batch, since).await;
    let events = format!("select count(*) from sym_data_event where batch_id = {batch}");
    assert_eq!(source.database.number(&events).await, 0);
}

#[tokio::test]
async fn what_the_tables_say_of_batches_that_go_through() {
    let tables = ["item", "many", "lonely", "slow"];
    let configuration = tables
        .iter()
        .fold(Configuration::default(), |all, table| all.table(table, "main"))
        .max_batch_size(10_000)
        .and(
            "update sym_trigger set node_select = 'c.node_id = ''none''' where source_table_name = 'lonely'",
        );
    let ring = Ring::start(ddl, configuration).await;
    for (source, target) in ring.ways() {
        changes_and_their_batch(source, target).await;
        measures(source, target).await;
        nobody(source).await;
        initial_load(&ring, source, target).await;
    }
}
