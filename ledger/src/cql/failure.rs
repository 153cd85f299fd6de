//! What the driver's errors mean for the ledger.

use scylla::errors::{
    ConnectionError, ConnectionPoolError, ConnectionSetupRequestError, ConnectionSetupRequestErrorKind, DbError,
    ExecutionError, MetadataError, NewSessionError, PrepareError, RequestAttemptError,
};

use super::settings::Settings;
use crate::Error;

/// A statement that failed. Certain not to have been applied is only what was never sent, or refused before it was looked at; everything else may have been,
/// or be applied later: also what the database calls unavailable or failed, because that may be the second round of one that was half accepted.
pub(super) fn failure(error: &ExecutionError) -> Error {
    let why = one_line(error);
    if is_certain(error) { Error::unavailable(why) } else { Error::unknown(why) }
}

fn is_certain(error: &ExecutionError) -> bool {
    match error {
        ExecutionError::EmptyPlan
        | ExecutionError::ConnectionPoolError(_)
        | ExecutionError::BadQuery(_)
        | ExecutionError::PrepareError(_) => true,
        ExecutionError::LastAttemptError(attempt) => matches!(
            attempt,
            RequestAttemptError::SerializationError(_)
                | RequestAttemptError::CqlRequestSerialization(_)
                | RequestAttemptError::UnableToAllocStreamId
                | RequestAttemptError::DbError(DbError::SyntaxError | DbError::Invalid | DbError::Unauthorized, _)
        ),
        _ => false,
    }
}

/// A read that failed decides nothing.
pub(super) fn of_read(error: Error) -> Error {
    match error {
        Error::Unavailable { why, .. } => Error::unavailable(why),
        other => other,
    }
}

/// A session that could not be opened.
pub(super) fn of_connecting(error: &NewSessionError, settings: &Settings) -> Error {
    if refuses_credentials(error) {
        return Error::Credentials { at: settings.at(), user: settings.user.clone() };
    }
    Error::Unreachable { at: settings.at(), why: one_line(error) }
}

fn refuses_credentials(error: &NewSessionError) -> bool {
    let NewSessionError::MetadataError(MetadataError::ConnectionPoolError(ConnectionPoolError::Broken {
        last_connection_error: ConnectionError::ConnectionSetupRequestError(ConnectionSetupRequestError { error, .. }),
        ..
    })) = error
    else {
        return false;
    };
    matches!(
        error,
        ConnectionSetupRequestErrorKind::DbError(DbError::AuthenticationError | DbError::Unauthorized, _)
            | ConnectionSetupRequestErrorKind::MissingAuthentication
    )
}

/// A statement that could not be prepared: most often its table is not there.
pub(super) fn of_preparing(error: &PrepareError, settings: &Settings) -> Error {
    match error {
        PrepareError::AllAttemptsFailed { first_attempt: RequestAttemptError::DbError(DbError::Invalid, _) } => {
            Error::NotMigrated {
                at: settings.at(),
                what: format!("no tables of the ledger in keyspace {}", settings.keyspace),
            }
        }
        PrepareError::AllAttemptsFailed { first_attempt: RequestAttemptError::DbError(DbError::Unauthorized, why) } => {
            Error::unavailable(format!(
                "{}: {why}: grant that user SELECT and MODIFY on keyspace {}",
                settings.at(),
                settings.keyspace
            ))
        }
        _ => Error::Unreachable { at: settings.at(), why: one_line(error) },
    }
}

pub(super) fn one_line(error: &impl ToString) -> String {
    error.to_string().replace('\n', " ")
}
