//! Claim and append as SQL, inside a transaction that the caller begins and commits.

use domain::LogId;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::append::{Batch, Tried};
use crate::store::Place;
use crate::{Head, Writer};

/// The last segment of a log. Only the last can be unsealed, so this is where a walk over all of them ends.
struct Last {
    segment: u32,
    sealed: bool,
    head: Head,
}

fn last(connection: &Connection, log: &LogId) -> rusqlite::Result<Option<Last>> {
    connection
        .prepare_cached(
            "SELECT segment, sealed, fence, head, owner FROM segments WHERE log = ?1 ORDER BY segment DESC LIMIT 1",
        )?
        .query_row([log.as_str()], |row| {
            Ok(Last {
                segment: row.get(0)?,
                sealed: row.get(1)?,
                head: Head { fence: row.get(2)?, head: row.get(3)?, owner: row.get(4)? },
            })
        })
        .optional()
}

/// Fence, head and owner; all zero and empty for a log that nobody claimed. A sealed last segment counts: its successor begins with the same.
pub(super) fn head(connection: &Connection, log: &LogId) -> rusqlite::Result<Head> {
    Ok(last(connection, log)?.map_or_else(Head::default, |last| last.head))
}

/// Raises the fence of the first unsealed segment, which is made when it is not there.
pub(super) fn claim(connection: &Connection, log: &LogId, owner: &str) -> rusqlite::Result<Writer> {
    let (segment, before) = match last(connection, log)? {
        Some(last) if last.sealed => {
            open_next(connection, log, last.segment)?;
            (last.segment + 1, last.head)
        }
        Some(last) => (last.segment, last.head),
        None => {
            connection
                .prepare_cached(
                    "INSERT INTO segments (log, segment, fence, owner, head, sealed) VALUES (?1, 0, 0, '', 0, 0)",
                )?
                .execute([log.as_str()])?;
            (0, Head::default())
        }
    };
    let raised = connection
        .prepare_cached(
            "UPDATE segments SET fence = ?3 + 1, owner = ?4
             WHERE log = ?1 AND segment = ?2 AND fence = ?3 AND sealed = 0",
        )?
        .execute(params![log.as_str(), segment, before.fence, owner])?;
    if raised != 1 {
        // Nobody else can have changed it inside this transaction.
        return Err(rusqlite::Error::StatementChangedRows(raised));
    }
    let (rows, bytes) = connection
        .prepare_cached(
            "SELECT count(*), coalesce(sum(octet_length(events)), 0) FROM appends WHERE log = ?1 AND segment = ?2",
        )?
        .query_row(params![log.as_str(), segment], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Writer {
        log: log.clone(),
        fence: before.fence + 1,
        owner: owner.to_owned(),
        head: before.head,
        place: Place { segment, rows, bytes },
    })
}

/// Makes the segment after a sealed one, with the sealed one's final fence and head, unless somebody else did: then that one counts,
/// with whatever fence has been claimed there since.
fn open_next(connection: &Connection, log: &LogId, sealed: u32) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO segments (log, segment, fence, owner, head, sealed)
             SELECT log, segment + 1, fence, owner, head, 0 FROM segments
             WHERE log = ?1 AND segment = ?2 AND sealed = 1
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![log.as_str(), sealed])?;
    Ok(())
}

/// One try of a batch under its condition.
pub(super) fn append(connection: &Connection, batch: &Batch) -> rusqlite::Result<Tried> {
    let place = batch.place;
    if let (0, Some(before)) = (place.rows, place.segment.checked_sub(1)) {
        open_next(connection, &batch.log, before)?;
    }
    let moved = connection
        .prepare_cached(
            "UPDATE segments SET head = ?4 + ?5, sealed = ?6
             WHERE log = ?1 AND segment = ?2 AND fence = ?3 AND head = ?4 AND sealed = 0",
        )?
        .execute(params![batch.log.as_str(), place.segment, batch.fence, batch.head, batch.events, batch.seals])?;
    if moved == 0 {
        return if mine(connection, batch)? {
            Ok(Tried::Applied)
        } else {
            Ok(Tried::Refused(head(connection, &batch.log)?))
        };
    }
    connection
        .prepare_cached(
            "INSERT INTO appends (log, segment, first_seq, count, append_id, events) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            batch.log.as_str(),
            place.segment,
            batch.head + 1,
            batch.events,
            batch.id.as_slice(),
            batch.text
        ])?;
    Ok(Tried::Applied)
}

/// Whether the row at the batch's first number is the batch itself, written by an earlier try (R4).
fn mine(connection: &Connection, batch: &Batch) -> rusqlite::Result<bool> {
    let found: Option<Vec<u8>> = connection
        .prepare_cached("SELECT append_id FROM appends WHERE log = ?1 AND segment = ?2 AND first_seq = ?3")?
        .query_row(params![batch.log.as_str(), batch.place.segment, batch.head + 1], |row| row.get(0))
        .optional()?;
    Ok(found.is_some_and(|id| id == batch.id))
}
