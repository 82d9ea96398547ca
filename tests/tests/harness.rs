//! What the scenarios rely on: servers keep their data when they are killed and started again.

use async_nats::jetstream;
use symstream_tests::database::TestDatabase;
use symstream_tests::folder::Folder;
use symstream_tests::server::{MariaDb, NatsServer, PostgresServer};

async fn leaves_a_row(database: &TestDatabase) {
    database
        .run("create table t (id int primary key, name varchar(10)); insert into t values (1, 'x')")
        .await;
}

async fn still_has_it(database: &TestDatabase) {
    assert_eq!(database.rows("select id, name from t").await, [["1", "x"]]);
}

#[tokio::test]
async fn postgres_keeps_its_data_over_kill_and_restart() {
    let mut server = PostgresServer::start().await;
    let database = server.create_database("one").await;
    leaves_a_row(&database).await;
    server.kill().await;
    server.start_again().await;
    still_has_it(&database).await;
    server.stop().await;
    server.start_again().await;
    still_has_it(&database).await;
}

#[tokio::test]
async fn mariadb_keeps_its_data_over_kill_and_restart() {
    let mut server = MariaDb::start().await;
    let database = server.create_database("one").await;
    leaves_a_row(&database).await;
    server.kill();
    server.start_again().await;
    still_has_it(&database).await;
    server.stop().await;
    server.start_again().await;
    still_has_it(&database).await;
}

#[tokio::test]
async fn sqlite_files_are_made() {
    let folder = Folder::new();
    leaves_a_row(&TestDatabase::sqlite(&folder, "one")).await;
    still_has_it(&TestDatabase::sqlite(&folder, "one")).await;
}

#[tokio::test]
async fn nats_keeps_its_streams_over_kill_and_restart() {
    let mut server = NatsServer::start().await;
    let connect = async |server: &NatsServer| {
        jetstream::new(
            async_nats::connect(server.url())
                .await
                .expect("connect to nats-server"),
        )
    };
    let jetstream = connect(&server).await;
    let config = jetstream::stream::Config {
        name: "T".into(),
        subjects: vec!["t".into()],
        ..Default::default()
    };
    jetstream.create_stream(config).await.expect("create a stream");
    jetstream
        .publish("t", "x".into())
        .await
        .expect("publish")
        .await
        .expect("acknowledge");
    server.kill();
    server.start_again().await;
    let mut stream = connect(&server).await.get_stream("T").await.expect("the stream");
    assert_eq!(stream.info().await.expect("its state").state.messages, 1);
}
