//! Every value arrives as it was, between any two databases: generated values, the databases as judges.

mod column;
mod special;

use column::{COLUMNS, Column, Value};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_shared::db::Param;
use symstream_tests::configuration::Configuration;
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;
use symstream_tests::network::{Network, PATIENCE};
use symstream_tests::pair::{Pair, SOURCE, TARGET};

/// Rows inserted; each is updated afterwards, and some are deleted.
const ROWS: usize = 120;

type GeneratedRow = Vec<Option<Value>>;

/// Generates rows; `SYM_TEST_SEED` repeats those of a test that failed.
struct Generator {
    runner: TestRunner,
    between: [DatabaseKind; 2],
}

impl Generator {
    fn new(between: [DatabaseKind; 2]) -> Self {
        let seed = std::env::var("SYM_TEST_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let seed: u64 = seed.unwrap_or_else(rand::random);
        eprintln!("SYM_TEST_SEED={seed}");
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Self {
            runner: TestRunner::new_with_rng(Config::default(), rng),
            between,
        }
    }

    fn row(&mut self) -> GeneratedRow {
        let value = |column: &Column| {
            let tree = column.values(self.between).new_tree(&mut self.runner);
            tree.expect("generate a value").current()
        };
        COLUMNS.iter().map(value).collect()
    }
}

fn literal(value: Option<&Value>, kind: DatabaseKind) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.literal(kind))
}

fn create(kind: DatabaseKind) -> String {
    let columns: Vec<String> = COLUMNS.iter().map(|column| column.definition(kind)).collect();
    format!(
        "create table {} (id integer primary key, {})",
        kind.quote("All types"),
        columns.join(", ")
    )
}

fn insert(id: usize, row: &GeneratedRow, kind: DatabaseKind) -> String {
    let values: Vec<String> = row.iter().map(|value| literal(value.as_ref(), kind)).collect();
    format!(
        "insert into {} values ({id}, {})",
        kind.quote("All types"),
        values.join(", ")
    )
}

fn update(id: usize, row: &GeneratedRow, kind: DatabaseKind) -> String {
    let sets: Vec<String> = COLUMNS
        .iter()
        .zip(row)
        .map(|(column, value)| format!("{} = {}", kind.quote(column.name), literal(value.as_ref(), kind)))
        .collect();
    format!(
        "update {} set {} where id = {id}",
        kind.quote("All types"),
        sets.join(", ")
    )
}

/// What a database holds, by row and column.
async fn answers(database: &TestDatabase) -> Result<Vec<(i64, Vec<String>)>, String> {
    let kind = database.kind();
    let questions: Vec<String> = COLUMNS.iter().map(|column| column.question(kind)).collect();
    let sql = format!(
        "select id, {} from {} order by id",
        questions.join(", "),
        kind.quote("All types")
    );
    let rows = database
        .database()
        .query(&sql, &[])
        .await
        .map_err(|err| err.to_string())?;
    rows.iter()
        .map(|row| {
            let answers = COLUMNS
                .iter()
                .zip(&row.0[1..])
                .map(|(column, cell)| column.normal(cell))
                .collect();
            Ok((row.int(0).map_err(|err| err.to_string())?, answers))
        })
        .collect()
}

/// Waits until both databases give the same answers.
async fn arrive(pair: &Pair) -> usize {
    eventually(PATIENCE, "the same values at both ends", || async {
        let (source, target) = (
            answers(&pair.source.database).await?,
            answers(&pair.target.database).await?,
        );
        check_same(&source, &target)?;
        Ok::<_, String>(source.len())
    })
    .await
}

async fn values_arrive(source: DatabaseKind, target: DatabaseKind) {
    let configuration = Configuration::default()
        .link(SOURCE, TARGET)
        .table("All types", "main");
    let (source_ddl, target_ddl) = (create(source), create(target));
    let pair = Pair::start_with(
        (source, &source_ddl),
        (target, &target_ddl),
        &configuration,
        &["All types"],
    )
    .await;
    let mut generator = Generator::new([source, target]);
    let inserts: Vec<String> = (1..=ROWS)
        .map(|id| insert(id, &generator.row(), source))
        .collect();
    for some in inserts.chunks(ROWS / 3) {
        pair.source.database.transaction(&some.join(";\n")).await;
    }
    assert_eq!(arrive(&pair).await, ROWS);

    let updates: Vec<String> = (1..=ROWS)
        .map(|id| update(id, &generator.row(), source))
        .collect();
    let table = source.quote("All types");
    pair.source.database.transaction(&updates.join(";\n")).await;
    pair.source
        .database
        .run(&format!("delete from {table} where id % 10 = 0"))
        .await;
    assert_eq!(arrive(&pair).await, ROWS - ROWS / 10);
    pair.quiet().await;
}

/// The first difference between two databases' answers.
fn check_same(source: &[(i64, Vec<String>)], target: &[(i64, Vec<String>)]) -> Result<(), String> {
    if source.len() != target.len() {
        return Err(format!("{} rows of {}", target.len(), source.len()));
    }
    for ((id, sent), (_, arrived)) in source.iter().zip(target) {
        for ((column, sent), arrived) in COLUMNS.iter().zip(sent).zip(arrived) {
            if sent != arrived {
                return Err(format!("row {id}, {}: {sent:?} became {arrived:?}", column.name));
            }
        }
    }
    Ok(())
}

/// Writes the doubles as such: SQLite reads a long decimal text as the next number but one.
async fn write_doubles(database: &TestDatabase, rows: &[GeneratedRow]) {
    let kind = database.kind();
    let sql = format!(
        "update {} set {} = ? where id = ?",
        kind.quote("All types"),
        kind.quote("double")
    );
    let place = COLUMNS
        .iter()
        .position(|column| column.name == "double")
        .expect("a column of doubles");
    for (id, row) in (0..).zip(rows) {
        if let Some(Value::Bare(number)) = &row[place] {
            let number = number.parse().expect("a generated number");
            let params = [Param::Real(number), Param::Int(id)];
            database
                .database()
                .execute(&sql, &params)
                .await
                .expect("write a double");
        }
    }
}

#[tokio::test]
async fn the_judges_agree_about_values_written_by_hand() {
    let mut network = Network::start().await;
    for (left, right) in [(Postgres, Mysql), (Mysql, Sqlite), (Sqlite, Postgres)] {
        let mut generator = Generator::new([left, right]);
        let rows: Vec<GeneratedRow> = (0..ROWS).map(|_| generator.row()).collect();
        let mut found = Vec::new();
        for kind in [left, right] {
            let database = network
                .database(kind, &format!("{left:?}_{right:?}_{kind:?}").to_lowercase())
                .await;
            database.run(&create(kind)).await;
            for (id, row) in rows.iter().enumerate() {
                database.run(&insert(id, row, kind)).await;
            }
            write_doubles(&database, &rows).await;
            found.push(answers(&database).await.expect("ask"));
        }
        check_same(&found[0], &found[1]).unwrap_or_else(|err| panic!("{left:?}, {right:?}: {err}"));
    }
}

#[tokio::test]
async fn values_arrive_from_postgres_at_postgres() {
    values_arrive(Postgres, Postgres).await;
}

#[tokio::test]
async fn values_arrive_from_postgres_at_mariadb() {
    values_arrive(Postgres, Mysql).await;
}

#[tokio::test]
async fn values_arrive_from_postgres_at_sqlite() {
    values_arrive(Postgres, Sqlite).await;
}

#[tokio::test]
async fn values_arrive_from_mariadb_at_postgres() {
    values_arrive(Mysql, Postgres).await;
}

#[tokio::test]
async fn values_arrive_from_mariadb_at_mariadb() {
    values_arrive(Mysql, Mysql).await;
}

#[tokio::test]
async fn values_arrive_from_mariadb_at_sqlite() {
    values_arrive(Mysql, Sqlite).await;
}

#[tokio::test]
async fn values_arrive_from_sqlite_at_postgres() {
    values_arrive(Sqlite, Postgres).await;
}

#[tokio::test]
async fn values_arrive_from_sqlite_at_mariadb() {
    values_arrive(Sqlite, Mysql).await;
}

#[tokio::test]
async fn values_arrive_from_sqlite_at_sqlite() {
    values_arrive(Sqlite, Sqlite).await;
}
