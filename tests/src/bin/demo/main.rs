//! `make demo`: the clinic on SQLite and a private nats-server, told step by step.

mod screen;
mod trace;

use screen::{command, heading, say, sql, step};
use std::time::Instant;
use symstream_shared::db::DatabaseKind::Sqlite;
use symstream_tests::clinic::{CODE_TABLES, Clinic, LOCALS, PATIENT_TABLES, check_location};
use symstream_tests::compare::{Part, content};
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;
use symstream_tests::network::{PATIENCE, Site, quiet};
use trace::{Trace, name};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let start = Instant::now();
    say("SymStream: one cloud database and two locations of a clinic, kept in step over NATS.");
    let mut clinic = Clinic::new(Sqlite, [Sqlite, Sqlite]).await;
    say(&format!(
        "Databases, logs and the NATS store are in {}.",
        clinic.network.folder.path().display()
    ));

    cloud_starts(&mut clinic).await;
    locations_join(&mut clinic).await;
    rows_travel(&clinic).await;
    location_goes_away(&mut clinic).await;
    everything_is_compared(&clinic).await;

    clinic.cloud.stop().await;
    for local in &mut clinic.locals {
        local.stop().await;
    }
    clinic.network.nats.stop().await;
    drop(clinic);
    say(&format!(
        "\nAll processes are stopped, the folder is removed. {:.0} s.",
        start.elapsed().as_secs_f64()
    ));
}

async fn cloud_starts(clinic: &mut Clinic) {
    heading("1. The cloud: tables, replication rules, and its process");
    let engine = clinic.cloud.engine.name.clone();
    command(&format!(
        "dbimport --engine {engine} --format XML --alter-case schema.xml"
    ));
    command(&format!("symadmin --engine {engine} create-sym-tables"));
    command(&format!("dbimport --engine {engine} initial.sql"));
    clinic.set_up_cloud().await;
    command(&format!("sym --engine {engine} &"));
    clinic.network.run(&mut clinic.cloud);
}

async fn locations_join(clinic: &mut Clinic) {
    heading("2. Two locations register, get the rules and their initial load");
    let engine = &clinic.cloud.engine.name;
    for local in &clinic.locals {
        command(&format!(
            "symadmin open-registration --engine {engine} local {}",
            local.id()
        ));
        command(&format!("symadmin reload-node --engine {engine} {}", local.id()));
        clinic.let_in(local).await;
        command(&format!(
            "dbimport --engine {} --format XML --alter-case schema.xml",
            local.engine.name
        ));
        clinic.import_schema(local).await;
        // The load brings the codes: what is there already would prove nothing.
        local
            .database
            .run("delete from code_titles; delete from codes")
            .await;
    }
    for local in &mut clinic.locals {
        command(&format!("sym --engine {} &", local.engine.name));
        clinic.network.run(local);
    }
    let start = Instant::now();
    clinic.ready().await;
    for local in &clinic.locals {
        let titles = local.database.number("select count(*) from code_titles").await;
        step(&format!(
            "{} is registered and has the {titles} code titles of the cloud",
            name(local.id())
        ));
    }
    step(&format!("that took {:.1} s", start.elapsed().as_secs_f64()));
}

/// Runs SQL at a site, waits until `there` holds, and shows what became of the changes.
async fn travel(site: &Site, statements: &str, receiver: &TestDatabase, there: &str) {
    let trace = Trace::begin(site).await;
    sql(name(site.id()), statements);
    site.database.transaction(statements).await;
    let start = Instant::now();
    eventually(PATIENCE, there, || async {
        if receiver.number(there).await > 0 {
            Ok(())
        } else {
            Err("no such row")
        }
    })
    .await;
    let elapsed = start.elapsed();
    trace.show_finished(site).await;
    step(&format!(
        "it was there {} ms after the commit",
        elapsed.as_millis()
    ));
}

async fn rows_travel(clinic: &Clinic) {
    heading("3. Rows travel in all directions");
    let (cloud, first, second) = (&clinic.cloud, &clinic.locals[0], &clinic.locals[1]);
    let statements = format!(
        "insert into locations values ('ana', '{}');\n\
         insert into patients values ('ana');\n\
         insert into connections values ('ana', 'phone', '555 0100')",
        LOCALS[0]
    );
    say("A patient of location 1, in one transaction:");
    travel(
        cloud,
        &statements,
        &first.database,
        "select count(*) from connections where patient_id = 'ana'",
    )
    .await;

    say("Location 1 corrects it, the cloud gets it:");
    let statements = "update connections set value = '555 0199' where patient_id = 'ana'";
    travel(
        first,
        statements,
        &cloud.database,
        "select count(*) from connections where value = '555 0199'",
    )
    .await;

    say("A patient of both locations, admitted at location 2:");
    let statements = format!(
        "insert into locations values ('ben', '{}');\n\
         insert into locations values ('ben', '{}');\n\
         insert into patients values ('ben')",
        LOCALS[0], LOCALS[1]
    );
    travel(
        second,
        &statements,
        &cloud.database,
        "select count(*) from patients where patient_id = 'ben'",
    )
    .await;
    eventually(PATIENCE, "the patient at location 1", || async {
        let found = first
            .database
            .number("select count(*) from patients where patient_id = 'ben'")
            .await;
        if found == 1 {
            Ok(())
        } else {
            Err("it is not there")
        }
    })
    .await;
    step("the cloud passed it on to location 1, and not back to location 2");

    say("A code, for everyone:");
    let statements = "insert into codes (code_id, sort_order) values ('B05', 3);\n\
                      insert into code_titles (code_id, language, title) values ('B05', 'en', 'Measles')";
    travel(
        cloud,
        statements,
        &second.database,
        "select count(*) from code_titles where code_id = 'B05'",
    )
    .await;
}

async fn location_goes_away(clinic: &mut Clinic) {
    heading("4. Location 2 is cut off for a while; everybody goes on working");
    let process = clinic.locals[1].processes[0].id();
    command(&format!("kill -TERM {process}   # sym of {}", name(LOCALS[1])));
    clinic.locals[1].stop().await;

    let cloud_trace = Trace::begin(&clinic.cloud).await;
    let statements = format!(
        "update code_titles set title = 'Asthma (bronchial)' where code_id = 'J45';\n\
         insert into locations values ('cora', '{}');\n\
         insert into patients values ('cora');\n\
         delete from connections where patient_id = 'ana'",
        LOCALS[1]
    );
    sql("cloud", &statements);
    clinic.cloud.database.transaction(&statements).await;
    let local_trace = Trace::begin(&clinic.locals[1]).await;
    let statements = "insert into connections values ('ben', 'phone', '555 0200')";
    sql(name(LOCALS[1]), statements);
    clinic.locals[1].database.transaction(statements).await;

    cloud_trace.show_waiting(&clinic.cloud, LOCALS[1]).await;
    let waiting = local_trace.count(&clinic.locals[1]).await;
    step(&format!(
        "in location 2's own sym_data, {waiting} change waits for its process"
    ));

    say("It comes back:");
    command(&format!("sym --engine {} &", clinic.locals[1].engine.name));
    clinic.network.run(&mut clinic.locals[1]);
    let start = Instant::now();
    quiet(&[&clinic.locals[1], &clinic.cloud, &clinic.locals[0]]).await;
    cloud_trace.show_finished(&clinic.cloud).await;
    local_trace.show_finished(&clinic.locals[1]).await;
    step(&format!(
        "everything was delivered {:.1} s after its start",
        start.elapsed().as_secs_f64()
    ));
}

async fn everything_is_compared(clinic: &Clinic) {
    heading("5. Row by row: what each location has, and what the cloud says it should have");
    eventually(PATIENCE, "equal databases", || clinic.check_equal()).await;
    say("   table         cloud   location 1   location 2");
    for (table, columns) in PATIENT_TABLES.into_iter().chain(CODE_TABLES) {
        let mut line = format!("   {table:<12}");
        for (site, width) in [
            (&clinic.cloud, 7),
            (&clinic.locals[0], 13),
            (&clinic.locals[1], 13),
        ] {
            let rows = content(
                &site.database,
                Part {
                    table,
                    columns,
                    condition: "",
                },
            )
            .await;
            line.push_str(&format!("{:>width$}", rows.expect("read a table").len()));
        }
        say(&line);
    }
    for local in &clinic.locals {
        let rows = check_location(&clinic.cloud.database, local)
            .await
            .expect("compared above");
        step(&format!(
            "{}: all {rows} rows equal, and not one row of another location's patients",
            name(local.id())
        ));
    }
    for site in [&clinic.cloud, &clinic.locals[0], &clinic.locals[1]] {
        let sent = site
            .database
            .number("select count(*) from sym_outgoing_batch where status = 'OK'")
            .await;
        let open = site
            .database
            .number("select count(*) from sym_outgoing_batch where status <> 'OK'")
            .await;
        step(&format!(
            "{}: {sent} batches sent and OK, {open} open",
            name(site.id())
        ));
    }
}
