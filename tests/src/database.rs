//! One database of a test: its URL for an engine file, and SQL for what the test does and asks itself.

use crate::folder::Folder;
use symstream_shared::cell::Cell;
use symstream_shared::db::{ConnectOptions, Database, DatabaseKind, DbError, Param, Sql, Tx, TxKind};

/// A database of its own. Clones share its connections.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    url: String,
    database: Database,
}

impl TestDatabase {
    /// Opens the database at `url`.
    ///
    /// # Panics
    /// When the URL is wrong.
    pub fn open(url: impl Into<String>) -> Self {
        let url = url.into();
        let options = ConnectOptions {
            url: url.clone().into(),
            user: None,
            password: None,
            init_sql: None,
        };
        Self {
            database: Database::new(&options).expect("URL of a test's database"),
            url,
        }
    }

    /// A SQLite file in `folder`.
    pub fn sqlite(folder: &Folder, name: &str) -> Self {
        Self::open(format!(
            "sqlite://{}",
            folder.join(format!("{name}.db")).display()
        ))
    }

    /// The URL for `db.url`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its kind.
    pub fn kind(&self) -> DatabaseKind {
        self.database.kind()
    }

    /// The pool itself.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Runs statements, each in a transaction of its own.
    ///
    /// # Errors
    /// What the database says.
    pub async fn try_run(&self, sql: &str) -> Result<(), DbError> {
        self.database.conn().await?.execute_script(sql).await
    }

    /// The same for statements that have to succeed.
    ///
    /// # Panics
    /// When the database refuses.
    pub async fn run(&self, sql: &str) {
        self.try_run(sql)
            .await
            .unwrap_or_else(|err| panic!("{}: {err}\n{sql}", self.database.address()));
    }

    /// Runs statements in one transaction.
    ///
    /// # Errors
    /// What the database says; nothing has happened then, unless the connection was lost in the commit.
    pub async fn try_transaction(&self, sql: &str) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        tx.execute_script(sql).await?;
        tx.commit().await
    }

    /// The same for statements that have to succeed.
    ///
    /// # Panics
    /// When the database refuses.
    pub async fn transaction(&self, sql: &str) {
        self.try_transaction(sql)
            .await
            .unwrap_or_else(|err| panic!("{}: {err}\n{sql}", self.database.address()));
    }

    /// A transaction that stays open until the test ends it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn begin(&self) -> Result<Tx, DbError> {
        self.database.begin(TxKind::Write).await
    }

    /// The rows of a query, each value as text; null as `∅`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn try_rows(&self, sql: &str) -> Result<Vec<Vec<String>>, DbError> {
        self.try_rows_with(sql, &[]).await
    }

    /// The same with parameters.
    ///
    /// # Errors
    /// What the database says.
    pub async fn try_rows_with(&self, sql: &str, params: &[Param]) -> Result<Vec<Vec<String>>, DbError> {
        let rows = self.database.query(sql, params).await?;
        Ok(rows.iter().map(|row| row.0.iter().map(text).collect()).collect())
    }

    /// The rows of a query that has to succeed.
    ///
    /// # Panics
    /// When the database refuses.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        self.try_rows(sql)
            .await
            .unwrap_or_else(|err| panic!("{}: {err}\n{sql}", self.database.address()))
    }

    /// The only number that a query gives.
    ///
    /// # Panics
    /// When it gives something else.
    pub async fn number(&self, sql: &str) -> i64 {
        let row = self.database.query_opt(sql, &[]).await;
        let row = row.unwrap_or_else(|err| panic!("{}: {err}\n{sql}", self.database.address()));
        row.and_then(|row| row.int(0).ok())
            .unwrap_or_else(|| panic!("no number: {sql}"))
    }

    /// Closes all its connections.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

fn text(cell: &Cell) -> String {
    cell.to_text().unwrap_or_else(|| "∅".to_owned())
}
