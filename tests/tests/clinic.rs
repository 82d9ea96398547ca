//! The clinic, from its own files, by the commands of the contract.

use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_tests::clinic::{Clinic, LOCALS};
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;
use symstream_tests::network::{PATIENCE, quiet};

/// `insert into connections`, whose `key` is a reserved word on one of the databases.
fn connect(database: &TestDatabase, patient: &str, key: &str, value: &str) -> String {
    let column = database.kind().quote("key");
    format!("insert into connections (patient_id, {column}, value) values ('{patient}', '{key}', '{value}')")
}

fn admit(patient: &str, locations: &[&str]) -> String {
    let link = |location: &&str| format!("insert into locations values ('{patient}', '{location}');");
    let links: String = locations.iter().map(link).collect();
    format!("{links} insert into patients values ('{patient}')")
}

/// Waits until every location has its part of the cloud's rows, and all batches are `OK`.
async fn settles(clinic: &Clinic) {
    eventually(PATIENCE, "every location to have its part", || {
        clinic.check_equal()
    })
    .await;
    quiet(&[&clinic.cloud, &clinic.locals[0], &clinic.locals[1]]).await;
    clinic.check_equal().await.expect("still equal when all is quiet");
}

async fn reaches(database: &TestDatabase, sql: &str, expected: &str) {
    eventually(PATIENCE, format!("{expected:?} from {sql}"), || async {
        let rows = database.rows(sql).await;
        if rows == [[expected]] {
            Ok(())
        } else {
            Err(format!("{rows:?}"))
        }
    })
    .await;
}

async fn count(database: &TestDatabase, table: &str, patient: &str) -> i64 {
    database
        .number(&format!(
            "select count(*) from {table} where patient_id = '{patient}'"
        ))
        .await
}

async fn day_at_the_clinic(cloud: DatabaseKind, locals: [DatabaseKind; 2]) {
    let clinic = Clinic::start(cloud, locals).await;
    let (cloud, first, second) = (
        &clinic.cloud.database,
        &clinic.locals[0].database,
        &clinic.locals[1].database,
    );
    // The lookup tables came with the initial load.
    assert_eq!(first.number("select count(*) from code_titles").await, 3);
    settles(&clinic).await;

    // A patient that is linked to one location appears there and not at the other; its connections follow.
    cloud
        .transaction(&format!(
            "{}; {}",
            admit("p1", &LOCALS[..1]),
            connect(cloud, "p1", "phone", "555 0100")
        ))
        .await;
    reaches(
        first,
        "select value from connections where patient_id = 'p1'",
        "555 0100",
    )
    .await;
    cloud.run(&connect(cloud, "p1", "e-mail", "p1@example.com")).await;
    reaches(
        first,
        "select count(*) from connections where patient_id = 'p1'",
        "2",
    )
    .await;

    // A change made at a location reaches the cloud, and nobody whom it does not concern.
    first
        .run("update connections set value = '555 0199' where patient_id = 'p1' and value = '555 0100'")
        .await;
    reaches(
        cloud,
        "select count(*) from connections where value = '555 0199'",
        "1",
    )
    .await;
    second
        .transaction(&format!(
            "{}; {}",
            admit("p2", &LOCALS[1..]),
            connect(second, "p2", "phone", "555 0200")
        ))
        .await;
    reaches(
        cloud,
        "select value from connections where patient_id = 'p2'",
        "555 0200",
    )
    .await;

    // What two locations share goes from the one over the cloud to the other.
    cloud
        .transaction(&format!(
            "{}; {}",
            admit("p3", &LOCALS),
            connect(cloud, "p3", "phone", "555 0300")
        ))
        .await;
    reaches(
        first,
        "select value from connections where patient_id = 'p3'",
        "555 0300",
    )
    .await;
    first
        .run("update connections set value = '555 0399' where patient_id = 'p3'")
        .await;
    reaches(
        second,
        "select value from connections where patient_id = 'p3'",
        "555 0399",
    )
    .await;

    // Codes reach everyone: inserted, updated, deleted.
    cloud
        .transaction(
            "insert into codes (code_id, sort_order) values ('B05', 3);
             insert into code_titles (code_id, language, title) values ('B05', 'en', 'Measles');
             update code_titles set title = 'Cold' where code_id = 'J00' and language = 'en';
             delete from code_titles where code_id = 'J45'; delete from codes where code_id = 'J45'",
        )
        .await;
    settles(&clinic).await;
    for local in [first, second] {
        let titles = local.rows("select title from code_titles order by title").await;
        assert_eq!(titles, [["Cold"], ["Measles"], ["Navaden prehlad"]]);
    }

    // Deletes go where the rows are, also with the link itself.
    first
        .run("delete from connections where patient_id = 'p1' and value = 'p1@example.com'")
        .await;
    reaches(
        cloud,
        "select count(*) from connections where patient_id = 'p1'",
        "1",
    )
    .await;
    cloud
        .transaction(
            "delete from connections where patient_id = 'p3'; delete from patients where patient_id = 'p3';
             delete from locations where patient_id = 'p3'",
        )
        .await;
    settles(&clinic).await;
    assert_eq!(cloud.number("select count(*) from patients").await, 2);
    for (table, patient) in [("patients", "p1"), ("connections", "p1"), ("locations", "p1")] {
        assert_eq!(
            count(first, table, patient).await,
            1,
            "{table} at the patient's location"
        );
        assert_eq!(
            count(second, table, patient).await,
            0,
            "{table} at the other location"
        );
    }
    for local in [first, second] {
        assert_eq!(count(local, "patients", "p3").await, 0);
    }
    let Clinic {
        cloud,
        locals,
        network: _running,
    } = clinic;
    for mut site in locals.into_iter().chain([cloud]) {
        // MariaDB's users are told what it can not do, and all of them that anybody may talk to this nats-server.
        let open = "nats asks for no login";
        assert!(site.log().contains(open), "{}", site.log());
        assert_eq!(
            site.complaints(&["TRUNCATE fires no trigger", open]),
            Vec::<String>::new()
        );
        site.stop().await;
    }
}

#[tokio::test]
async fn the_clinic_runs_with_its_cloud_on_postgres() {
    day_at_the_clinic(Postgres, [Mysql, Sqlite]).await;
}

#[tokio::test]
async fn the_clinic_runs_with_its_cloud_on_mariadb() {
    day_at_the_clinic(Mysql, [Sqlite, Postgres]).await;
}

#[tokio::test]
async fn the_clinic_runs_with_its_cloud_on_sqlite() {
    day_at_the_clinic(Sqlite, [Postgres, Mysql]).await;
}

#[tokio::test]
async fn a_location_that_starts_late_is_loaded_with_what_belongs_to_it() {
    // GIVEN a cloud with patients of both locations, and a reload that was asked for before the node ever started
    let mut clinic = Clinic::new(Sqlite, [Sqlite, Sqlite]).await;
    clinic.set_up_cloud().await;
    clinic.network.run(&mut clinic.cloud);
    let cloud = &clinic.cloud.database;
    for (patient, location) in [("p1", LOCALS[0]), ("p2", LOCALS[1])] {
        let sql = format!(
            "{}; {}",
            admit(patient, &[location]),
            connect(cloud, patient, "phone", "555")
        );
        cloud.transaction(&sql).await;
    }
    for local in &clinic.locals {
        clinic.let_in(local).await;
        clinic.import_schema(local).await;
    }
    // WHEN they start
    for local in &mut clinic.locals {
        clinic.network.run(local);
    }
    // THEN each has its own patient
    clinic.ready().await;
    settles(&clinic).await;
    assert_eq!(
        clinic.locals[0]
            .database
            .rows("select patient_id from patients")
            .await,
        [["p1"]]
    );
    assert_eq!(
        clinic.locals[1]
            .database
            .rows("select patient_id from patients")
            .await,
        [["p2"]]
    );
}

#[tokio::test]
async fn a_node_without_an_open_registration_is_kept_out() {
    let mut clinic = Clinic::new(Sqlite, [Sqlite, Sqlite]).await;
    clinic.set_up_cloud().await;
    clinic.network.run(&mut clinic.cloud);
    clinic.import_schema(&clinic.locals[0]).await;
    // WHEN it starts uninvited, THEN it says so and waits
    clinic.network.run(&mut clinic.locals[0]);
    let local = &clinic.locals[0];
    eventually(PATIENCE, "a word about the registration", || async {
        let log = local.log();
        let told = log
            .lines()
            .any(|line| line.contains("WARN") && line.contains("open-registration"));
        if told { Ok(()) } else { Err(log) }
    })
    .await;
    // WHEN it is let in, THEN it goes on by itself
    clinic.let_in(local).await;
    eventually(PATIENCE, "the node's identity", || async {
        let rows = local
            .database
            .try_rows("select node_id from sym_node_identity")
            .await;
        let rows = rows.map_err(|err| err.to_string())?;
        if rows == [[LOCALS[0]]] {
            Ok(())
        } else {
            Err("it has none".to_owned())
        }
    })
    .await;
    assert_eq!(
        clinic
            .cloud
            .database
            .number("select registration_enabled from sym_node_security where node_id like '2d04%'")
            .await,
        0
    );
}
