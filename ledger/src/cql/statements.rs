//! The statements, prepared once per store, and how their answers are read.

use std::sync::Arc;

use scylla::client::session::Session;
use scylla::errors::{ExecutionError, PrepareError};
use scylla::response::query_result::{QueryResult, QueryRowsResult};
use scylla::response::{PagingState, PagingStateResponse};
use scylla::serialize::row::SerializeRow;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, SerialConsistency};
use scylla::value::{CqlValue, Row};
use tokio::try_join;

use super::failure::failure;
use super::ring::Ring;
use super::settings::Settings;
use crate::Error;

/// Everything this store says.
pub(super) struct Statements {
    /// A segment's state, linearizable.
    pub(super) state: PreparedStatement,
    /// Makes a segment where there is none.
    pub(super) seed: PreparedStatement,
    pub(super) claim: PreparedStatement,
    /// The two halves of an append.
    advance: PreparedStatement,
    row: PreparedStatement,
    /// Whose append begins at a number, linearizable.
    author: PreparedStatement,
    /// Where the append that holds a number begins.
    pub(super) start: PreparedStatement,
    pub(super) rows: PreparedStatement,
    /// The same, linearizable: for when the plain one finds a gap.
    pub(super) rows_serial: PreparedStatement,
    pub(super) enter: PreparedStatement,
    pub(super) list: PreparedStatement,
    /// A conditional statement that is never applied: whether conditions can be decided now.
    pub(super) probe: PreparedStatement,
}

/// Conditions: decided in the data centre, applied by a quorum there, and never said to be harmless to repeat.
fn conditional(mut statement: PreparedStatement) -> PreparedStatement {
    statement.set_consistency(Consistency::LocalQuorum);
    statement.set_serial_consistency(Some(SerialConsistency::LocalSerial));
    statement.set_is_idempotent(false);
    statement
}

fn serial(mut statement: PreparedStatement) -> PreparedStatement {
    statement.set_consistency(Consistency::LocalSerial);
    statement
}

impl Statements {
    pub(super) async fn prepare(session: &Session, settings: &Settings) -> Result<Self, PrepareError> {
        let keyspace = &settings.keyspace;
        let segments = format!("{keyspace}.segments");
        let prepare = |text: String| async move { session.prepare(text).await };
        let (state, seed, claim, advance, row, author) = try_join!(
            prepare(format!(
                "SELECT fence, owner, claim_id, head, sealed, row_count, byte_count FROM {segments}
                 WHERE log = ? AND segment = ? LIMIT 1"
            )),
            prepare(format!(
                "INSERT INTO {segments} (log, segment, fence, owner, head, sealed, row_count, byte_count)
                 VALUES (?, ?, ?, ?, ?, false, 0, 0) IF NOT EXISTS"
            )),
            prepare(format!(
                "UPDATE {segments} SET fence = ?, owner = ?, claim_id = ? WHERE log = ? AND segment = ?
                 IF fence = ? AND sealed = false"
            )),
            prepare(format!(
                "UPDATE {segments} SET head = ?, sealed = ?, row_count = ?, byte_count = ? WHERE log = ? AND segment = ?
                 IF fence = ? AND head = ? AND sealed = false"
            )),
            prepare(format!(
                "INSERT INTO {segments} (log, segment, first_seq, event_count, append_id, events) VALUES (?, ?, ?, ?, ?, ?)"
            )),
            prepare(format!("SELECT append_id FROM {segments} WHERE log = ? AND segment = ? AND first_seq = ?")),
        )?;
        let (start, rows, enter, list, probe) = try_join!(
            prepare(format!(
                "SELECT first_seq FROM {segments} WHERE log = ? AND segment = ? AND first_seq <= ?
                 ORDER BY first_seq DESC LIMIT 1"
            )),
            prepare(format!(
                "SELECT first_seq, event_count, events FROM {segments}
                 WHERE log = ? AND segment = ? AND first_seq >= ? AND first_seq <= ?"
            )),
            prepare(format!("INSERT INTO {keyspace}.logs (shard, log) VALUES (?, ?)")),
            prepare(format!("SELECT log FROM {keyspace}.logs WHERE shard = ? AND log >= ? AND log < ?")),
            prepare(format!("UPDATE {segments} SET fence = 0 WHERE log = '' AND segment = 0 IF fence = -1")),
        )?;
        Ok(Self {
            state: serial(state),
            seed: conditional(seed),
            claim: conditional(claim),
            advance: conditional(advance),
            row: conditional(row),
            author: serial(author),
            start,
            rows_serial: serial(rows.clone()),
            rows,
            enter,
            list,
            probe: conditional(probe),
        })
    }
}

/// Values of the two statements of an append: what the segment becomes and under which condition, and the row.
pub(super) struct Parts<'a> {
    pub(super) log: &'a str,
    pub(super) segment: i32,
    /// The condition.
    pub(super) fence: i64,
    /// The condition, and the number before the row's first event.
    pub(super) before: i64,
    pub(super) seals: bool,
    /// In the segment, this append included.
    pub(super) rows: i64,
    /// In the segment, this append included.
    pub(super) bytes: i64,
    pub(super) count: i64,
    pub(super) id: &'a [u8],
    pub(super) events: &'a str,
}

/// A session and what is said on it. Every call is one statement, sent once, with a deadline of its own.
pub(super) struct Talk {
    pub(super) session: Session,
    pub(super) statements: Statements,
    pub(super) ring: Arc<Ring>,
}

impl Talk {
    /// Sends a statement to the node whose turn it is.
    pub(super) async fn send(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<QueryResult, Error> {
        let turn = self.ring.turn();
        let mut statement = statement.clone();
        statement.set_load_balancing_policy(Some(turn.clone()));
        self.session.execute_unpaged(&statement, values).await.map_err(|error| {
            turn.ended(&error);
            failure(&error)
        })
    }

    /// Sends a statement that reads rows, a page of them.
    pub(super) async fn page(
        &self,
        statement: &PreparedStatement,
        rows: i32,
        values: impl SerializeRow,
        from: PagingState,
    ) -> Result<(QueryRowsResult, PagingStateResponse), Error> {
        let turn = self.ring.turn();
        let mut statement = statement.clone();
        statement.set_load_balancing_policy(Some(turn.clone()));
        statement.set_page_size(rows);
        let (answer, next) =
            self.session.execute_single_page(&statement, values, from).await.map_err(|error: ExecutionError| {
                turn.ended(&error);
                failure(&error)
            })?;
        Ok((answer.into_rows_result().map_err(|error| odd(&error))?, next))
    }

    /// Sends a statement that reads.
    pub(super) async fn ask(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<QueryRowsResult, Error> {
        self.send(statement, values).await?.into_rows_result().map_err(|error| odd(&error))
    }

    /// Sends a conditional statement; true when it was applied.
    pub(super) async fn decide(&self, statement: &PreparedStatement, values: impl SerializeRow) -> Result<bool, Error> {
        applied(self.send(statement, values).await?)
    }

    /// Sends the two statements of an append as one conditional batch; true when it was applied.
    pub(super) async fn append(&self, parts: &Parts<'_>) -> Result<bool, Error> {
        let turn = self.ring.turn();
        let mut batch = Batch::new(BatchType::Unlogged);
        batch.append_statement(self.statements.advance.clone());
        batch.append_statement(self.statements.row.clone());
        // A batch inherits nothing from its statements.
        batch.set_is_idempotent(false);
        batch.set_consistency(Consistency::LocalQuorum);
        batch.set_serial_consistency(Some(SerialConsistency::LocalSerial));
        batch.set_load_balancing_policy(Some(turn.clone()));
        let Parts { log, segment, fence, before, seals, rows, bytes, count, id, events } = *parts;
        let advance = (before + count, seals, rows, bytes, log, segment, fence, before);
        let row = (log, segment, before + 1, count, id, events);
        let answer = self.session.batch(&batch, (advance, row)).await.map_err(|error| {
            turn.ended(&error);
            failure(&error)
        })?;
        applied(answer)
    }

    /// The id of the append that begins at this number, by a linearizable read: a plain one that shows nothing proves nothing.
    pub(super) async fn author(&self, log: &str, segment: i32, first: i64) -> Result<Option<Vec<u8>>, Error> {
        let rows = self.ask(&self.statements.author, (log, segment, first)).await?;
        let found = rows.maybe_first_row::<(Option<Vec<u8>>,)>().map_err(|error| odd(&error))?;
        Ok(found.and_then(|(id,)| id))
    }
}

/// Whether a conditional statement was applied. By name: databases differ in what else they answer, and in how many rows (one, or one per statement of a batch,
/// all of which then say the same).
fn applied(answer: QueryResult) -> Result<bool, Error> {
    let rows = answer.into_rows_result().map_err(|error| odd(&error))?;
    let column = rows.column_specs().get_by_name("[applied]").map(|(index, _)| index);
    let first = rows.maybe_first_row::<Row>().map_err(|error| odd(&error))?;
    match column.zip(first).and_then(|(column, row)| row.columns.into_iter().nth(column)) {
        Some(Some(CqlValue::Boolean(applied))) => Ok(applied),
        _ => Err(Error::unknown("a conditional statement was answered without [applied]")),
    }
}

/// An answer of a shape that the schema rules out.
pub(super) fn odd(error: &impl ToString) -> Error {
    Error::unknown(format!("an answer is not understood: {}", super::failure::one_line(error)))
}
