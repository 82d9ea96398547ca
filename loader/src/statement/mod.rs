//! `S` events: a statement of the registration server's operator, run at this node.
//!
//! It runs where the batch is recorded, in one transaction. Some statements end that by themselves (MySQL commits
//! before and after most DDL); what was done then can not be taken back. So that a crash or an error behind it is
//! never met by running it again, the lane carries a note (`sym_incoming_lane.statement_batch_id`): the batch's id
//! from before its statement until the batch is done, negative from the statement's own transaction on, by which
//! what it committed is told from what it rolled back.
//!
//! An operator's 0 in its place passes over the statement that holds the lane: it is recorded as done, and not run.
//!
//! It has a connection of its own, which is closed afterwards: it may change the session in any way.

mod error;

pub(crate) use error::StatementError;

use crate::apply::Origin;
use crate::attempt::{Ended, Measured};
use crate::batch::BatchKey;
use crate::dialect::Dialect;
use crate::ledger::Ledger;
use crate::spool::Spool;
use error::Reason;
use symstream_shared::batch_status::BatchStatus;
use symstream_shared::db::{Database, DbError, DetachedConn, Sql, TxKind};
use symstream_shared::retry::Disposition;
use symstream_shared::schema::Tables;
use symstream_shared::wire::{BatchFailure, BatchResult};

// As scripts: MySQL prepares none of them.
const BEGIN: &str = "begin";
const SAVEPOINT: &str = "savepoint symstream_statement";
const RELEASE: &str = "release savepoint symstream_statement";
const TAKE_BACK: &str = "rollback to savepoint symstream_statement";
const COMMIT: &str = "commit";
const ROLLBACK: &str = "rollback";

/// What has become of the transaction in which a statement ran.
enum Transaction {
    Open,
    Committed,
    RolledBack,
}

/// A batch that is a statement.
pub(crate) struct StatementBatch<'a> {
    pub database: &'a Database,
    pub tables: &'a Tables,
    pub dialect: &'static dyn Dialect,
    pub ledger: &'a Ledger,
    pub spool: &'a Spool,
    pub batch: &'a BatchKey,
    pub measured: &'a Measured,
    pub hostname: &'a str,
}

impl StatementBatch<'_> {
    /// Runs the statement, or passes over it, and records the batch. When it returns `Ok`, both are committed.
    ///
    /// # Errors
    /// [`Ended`]; where the statement may have left something behind, it is not run again.
    pub(crate) async fn run(&self, statement: &str) -> Result<BatchResult, Ended> {
        let mut conn = self.database.conn().await?.detach();
        let BatchKey { source, batch_id, .. } = self.batch;
        if self.ledger.is_passed_over(&mut conn, source, *batch_id).await? {
            return self.pass_over().await;
        }
        if let Some(refusal) = self.refusal(&mut conn).await? {
            return Err(self.ended(refusal));
        }
        if self.note(&mut conn).await?.is_some() {
            return Err(self.ended(Reason::Begun));
        }
        let transactional = conn.kind().capabilities().transactional_ddl;
        if !transactional {
            self.write_note(&mut conn, self.batch.batch_id).await?;
        }
        conn.execute_script(BEGIN).await?;
        self.write_note(&mut conn, -self.batch.batch_id).await?;
        let mut origin = Origin::new(self.dialect, self.tables, &self.batch.source);
        origin.set(&mut conn, &[]).await?;
        conn.execute_script(SAVEPOINT).await?;
        let outcome = conn.execute_script(statement).await;
        if let Err(err) = outcome {
            return Err(if err.connection_lost {
                Ended::Database(err)
            } else {
                self.failed(conn, err).await?
            });
        }
        if is_done(&mut conn, RELEASE).await? {
            origin.clear(&mut conn).await?;
            let result = self.record(&mut conn, None).await?;
            conn.execute_script(COMMIT).await?;
            return Ok(result);
        }
        if transactional {
            return Err(self.ended_transaction(conn).await?);
        }
        // What it may have begun behind its last commit is its own.
        conn.execute_script(COMMIT).await?;
        drop(conn);
        self.record_alone(None).await
    }

    async fn pass_over(&self) -> Result<BatchResult, Ended> {
        let by_hand = BatchFailure {
            row_number: 0,
            data_id: 0,
            sql_state: String::new(),
            sql_code: 0,
            message: "the statement was not run: it was passed over by hand".to_owned(),
        };
        self.record_alone(Some(by_hand)).await
    }

    async fn record_alone(&self, by_hand: Option<BatchFailure>) -> Result<BatchResult, Ended> {
        let mut tx = self.database.begin(TxKind::Write).await?;
        let result = self.record(&mut tx, by_hand).await?;
        tx.commit().await?;
        Ok(result)
    }

    /// Leaves behind what the failed statement can not take back, and nothing else.
    async fn failed(&self, mut conn: DetachedConn, err: DbError) -> Result<Ended, DbError> {
        let passing = err.disposition == Disposition::Retry;
        let left_nothing = match self.transaction(&mut conn).await? {
            Transaction::Open => true,
            // By the database, unless the statement did that itself and went on.
            Transaction::RolledBack => passing || conn.kind().capabilities().transactional_ddl,
            Transaction::Committed => false,
        };
        if !left_nothing {
            self.take_origin_back(conn).await?;
            return Ok(self.ended(Reason::FailedInPart(err)));
        }
        let BatchKey { source, batch_id, .. } = self.batch;
        self.ledger.clear_statement(&mut conn, source, *batch_id).await?;
        Ok(if passing {
            Ended::Database(err)
        } else {
            self.ended(Reason::Failed(err))
        })
    }

    /// The statement committed what it has no business to commit.
    async fn ended_transaction(&self, conn: DetachedConn) -> Result<Ended, DbError> {
        self.take_origin_back(conn).await?;
        let mut conn = self.database.conn().await?;
        match self.write_note(&mut conn, -self.batch.batch_id).await {
            Err(ended) => Ok(ended),
            Ok(()) => Ok(self.ended(Reason::EndedTransaction)),
        }
    }

    /// The switch may have been committed too, where it is a row; nothing that the application writes would be captured.
    async fn take_origin_back(&self, conn: DetachedConn) -> Result<(), DbError> {
        // A transaction that the statement began itself ends with its connection.
        drop(conn);
        if let Some(off) = self.dialect.origin_off(self.tables) {
            self.database.execute(&off.sql, &off.params).await?;
        }
        Ok(())
    }

    /// Finds out what the failed statement did to its transaction, and ends it where it is open.
    async fn transaction(&self, conn: &mut DetachedConn) -> Result<Transaction, DbError> {
        if is_done(conn, TAKE_BACK).await? {
            conn.execute_script(ROLLBACK).await?;
            return Ok(Transaction::Open);
        }
        // By its own note: only the statement's own commit made that visible for good.
        Ok(match self.note(conn).await? {
            Some(note) if note < 0 => Transaction::Committed,
            _ => Transaction::RolledBack,
        })
    }

    fn ended(&self, reason: Reason) -> Ended {
        let pass_over = self
            .ledger
            .how_to_pass_over(self.database.kind(), &self.batch.source);
        Ended::Statement(StatementError::new(reason, pass_over))
    }

    /// What is noted of this batch's statement.
    async fn note(&self, sql: &mut dyn Sql) -> Result<Option<i64>, DbError> {
        let note = self.ledger.statement(sql, &self.batch.source).await?;
        Ok(note.filter(|note| note.abs() == self.batch.batch_id))
    }

    async fn write_note(&self, sql: &mut dyn Sql, note: i64) -> Result<(), Ended> {
        let BatchKey { source, previous, .. } = self.batch;
        if self.ledger.note_statement(sql, source, *previous, note).await? {
            Ok(())
        } else {
            Err(Ended::Overtaken)
        }
    }

    async fn record(&self, sql: &mut dyn Sql, by_hand: Option<BatchFailure>) -> Result<BatchResult, Ended> {
        let BatchKey {
            source,
            batch_id,
            previous,
        } = self.batch;
        let result = self
            .measured
            .result(self.batch, self.hostname, BatchStatus::Ok, by_hand);
        if !self.ledger.applied(sql, source, *previous, &result).await? {
            return Err(Ended::Overtaken);
        }
        self.spool.remove_through(sql, source, *batch_id).await?;
        Ok(result)
    }

    /// Why the statement may not be run, unless its source is the node that runs the registration server, and a link
    /// leads from that node's group into this one's.
    async fn refusal(&self, sql: &mut dyn Sql) -> Result<Option<Reason>, DbError> {
        let node = self.tables.name("node");
        let question = format!(
            "select own.created_at_node_id, l.source_node_group_id from {node} own \
             join {} me on me.node_id = own.node_id \
             left join {node} server on server.node_id = own.created_at_node_id \
             left join {} l on l.source_node_group_id = server.node_group_id \
             and l.target_node_group_id = own.node_group_id",
            self.tables.name("node_identity"),
            self.tables.name("node_group_link"),
        );
        let source = self.batch.source.as_str();
        let (server, link) = match sql.query_opt(&question, &[]).await? {
            Some(row) => (row.opt_text(0)?, row.opt_text(1)?),
            None => (None, None),
        };
        Ok(match server {
            None => Some(Reason::ServerUnknown {
                source_node: source.to_owned(),
                node_table: node,
            }),
            // Compared here: MySQL takes other spellings for the same.
            Some(server) if server == source && link.is_some() => None,
            Some(_) => Some(Reason::NotAllowed(source.to_owned())),
        })
    }
}

/// Whether the savepoint is still there, so that this could be done with it.
async fn is_done(conn: &mut DetachedConn, with_savepoint: &str) -> Result<bool, DbError> {
    match conn.execute_script(with_savepoint).await {
        Ok(()) => Ok(true),
        Err(err) if err.connection_lost => Err(err),
        Err(_) => Ok(false),
    }
}
