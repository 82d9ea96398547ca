//! Rules that fail: case 17.

use super::looking::{becomes, logs, reaches};
use symstream_shared::db::DatabaseKind;
use symstream_tests::configuration::Configuration;
use symstream_tests::eventually::eventually;
use symstream_tests::network::{PATIENCE, Site};
use symstream_tests::ring::{GROUPS, ROUND, Ring};

const TABLES: [&str; 3] = ["by_column", "by_sql", "by_lookup"];

fn ddl(_: DatabaseKind) -> String {
    let tables =
        TABLES.map(|table| format!("create table {table} (id integer primary key, place varchar(20));"));
    format!(
        "{} create table fine (id integer primary key, place varchar(20));
         create table places (place varchar(20), node varchar(20), primary key (place, node));",
        tables.concat()
    )
}

/// What each table's rule is, how it is broken, and what the error says.
fn rule(table: &str) -> (&'static str, &'static str, &'static str, &'static str) {
    match table {
        "by_column" => ("column", "PLACE=:EXTERNAL_ID", "PLAICE=:EXTERNAL_ID", "PLAICE"),
        "by_sql" => (
            "subselect",
            "c.external_id in (select node from places where place = :PLACE)",
            "c.external_id in (select node from plaices where place = :PLACE)",
            "plaices",
        ),
        _ => (
            "lookuptable",
            "LOOKUP_TABLE=places\nKEY_COLUMN=PLACE\nLOOKUP_KEY_COLUMN=place\nEXTERNAL_ID_COLUMN=node",
            "LOOKUP_TABLE=plaices\nKEY_COLUMN=PLACE\nLOOKUP_KEY_COLUMN=place\nEXTERNAL_ID_COLUMN=node",
            "plaices",
        ),
    }
}

/// Each table on a channel of its own, with a rule that works.
fn configuration() -> Configuration {
    let mut all = Configuration::default().table("fine", "fine");
    for table in TABLES {
        let (kind, works, _, _) = rule(table);
        all = all.and(&format!("insert into sym_channel (channel_id) values ('{table}')")).and(&format!(
            "insert into sym_trigger (trigger_id, source_table_name, channel_id, create_time, last_updated_time) \
             values ('{table}', '{table}', '{table}', current_timestamp, current_timestamp)"
        ));
        for (from, to) in ROUND.map(|(from, to)| (GROUPS[from], GROUPS[to])) {
            all = all
                .and(&format!(
                    "insert into sym_router (router_id, source_node_group_id, target_node_group_id, router_type, \
                     router_expression) values ('{table}_{from}', '{from}', '{to}', '{kind}', '{works}')"
                ))
                .and(&format!(
                    "insert into sym_trigger_router (trigger_id, router_id) values ('{table}', '{table}_{from}')"
                ));
        }
    }
    all
}

/// The version of the configuration that every site has once its router publishes nothing newer.
async fn in_force(ring: &Ring, sql: &str) {
    let version = "select cast(state_value as char(20)) from sym_state where state_key = 'config_version'";
    let version = |site: &Site| {
        let database = site.database.clone();
        async move {
            database.rows(version).await[0][0]
                .trim()
                .parse::<i64>()
                .expect("a version")
        }
    };
    let before = version(ring.server()).await;
    ring.server().database.transaction(sql).await;
    for site in &ring.sites {
        eventually(
            PATIENCE,
            format!("the new configuration at {}", site.id()),
            || async {
                let now = version(site).await;
                if now > before {
                    Ok(())
                } else {
                    Err(format!("it has {now}"))
                }
            },
        )
        .await;
    }
}

async fn edit(ring: &Ring, pick: impl Fn(&str) -> &'static str) {
    let sql: String = TABLES
        .iter()
        .map(|table| {
            let text = pick(table).replace('\'', "''");
            format!("update sym_router set router_expression = '{text}' where router_id like '{table}%';")
        })
        .collect();
    in_force(ring, &sql).await;
}

#[tokio::test]
async fn a_rule_that_fails_when_it_runs_holds_its_channel_and_says_which_it_is() {
    let ring = Ring::start(ddl, configuration()).await;
    for (source, target) in ring.ways() {
        source
            .database
            .run(&format!("insert into places values ('here', '{}')", target.id()))
            .await;
    }
    let place = |table: &str, target: &Site| match table {
        "by_column" => target.id().to_owned(),
        _ => "here".to_owned(),
    };
    // Each source has keys of its own, by their last digit.
    let ways = || ring.ways().into_iter().zip(1..);
    let write = async |round: i64| {
        for ((source, target), digit) in ways() {
            for table in TABLES {
                let sql = format!(
                    "insert into {table} values ({round}{digit}, '{}')",
                    place(table, target)
                );
                source.database.run(&sql).await;
            }
            let sql = format!("insert into fine values ({round}{digit}, 'x')");
            source.database.run(&sql).await;
        }
    };
    let arrived = async |table: &str, rows: i64| {
        for ((_, target), digit) in ways() {
            let sql = format!("select count(*) from {table} where id % 10 = {digit}");
            reaches(&target.database, &sql, rows).await;
        }
    };
    // GIVEN rules that work
    write(1).await;
    for table in TABLES {
        arrived(table, 1).await;
    }
    // WHEN they name a column or a table that is not there
    edit(&ring, |table| rule(table).2).await;
    write(2).await;
    // THEN the rows wait, for they are for somebody, and the log names the rule and what it lacks
    arrived("fine", 2).await;
    for (source, _) in ring.ways() {
        for table in TABLES {
            let name = format!("{table}_{}", source.group());
            // The source asks its database, the router compares columns.
            let asked = if table == "by_column" {
                ring.server()
            } else {
                source
            };
            logs(asked, &["ERROR", &name, rule(table).3]).await;
            let open =
                format!("select count(*) from sym_capture_batch where routed = 0 and channel_id = '{table}'");
            becomes(&source.database, &open, "1").await;
        }
        let nobody = "select count(*) from sym_data_event where node_id = '-1' and channel_id <> 'fine'";
        assert_eq!(source.database.number(nobody).await, 0, "{}", source.id());
    }
    write(3).await;
    // AND go on once the rules are put right
    edit(&ring, |table| rule(table).1).await;
    for table in TABLES {
        arrived(table, 3).await;
    }
    ring.quiet().await;
}

#[tokio::test]
async fn a_rule_that_is_not_understood_is_never_in_force() {
    let ring = Ring::start(ddl, configuration()).await;
    let [p, m, s] = &ring.sites;
    let bad = [
        ("by_column", "PLACE"),
        ("by_sql", "c.external_id = 'unclosed"),
        ("by_lookup", "LOOKUP_TABEL=places"),
    ];
    let goes_through = async |id: i64| {
        for (source, target, id) in [(p, m, 10 + id), (m, s, 20 + id), (s, p, 30 + id)] {
            let insert = format!("insert into by_column values ({id}, '{}')", target.id());
            source.database.run(&insert).await;
            let arrived = format!("select count(*) from by_column where id = {id}");
            reaches(&target.database, &arrived, 1).await;
        }
    };
    goes_through(0).await;
    for ((table, text), id) in bad.into_iter().zip(1..) {
        let save = |text: &str| {
            let text = text.replace('\'', "''");
            let sql = format!(
                "update sym_router set router_expression = '{text}' where router_id = '{table}_{}'",
                m.group()
            );
            async move { p.database.run(&sql).await }
        };
        // WHEN somebody saves it
        save(text).await;
        // THEN it is named, and all go on with the rules before it
        logs(p, &["ERROR", "not valid", &format!("{table}_{}", m.group())]).await;
        goes_through(id).await;
        save(rule(table).1).await;
        goes_through(id + 3).await;
    }
    ring.quiet().await;
}
