//! What answers mean to the visitor who asked.

use std::fmt;
use std::time::Duration;

use domain::HoldId;

use crate::answer::{Fields, Problem};
use crate::http::Reply;
use crate::trip::Said;

/// How a hold was answered.
pub(crate) struct HoldAnswer {
    /// The hold, when there is one.
    pub(crate) id: Option<HoldId>,
    /// How long it lives.
    pub(crate) lives: Option<Duration>,
    /// Why there is none.
    pub(crate) problem: Problem,
}

/// How a confirm was answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Confirmed {
    /// 201.
    Booked { id: HoldId, at: Option<(u16, u64)> },
    /// 410.
    Gone,
    /// Another final answer, such as 404.
    Otherwise(u16),
}

impl fmt::Display for Confirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Booked { id, at: Some((lane, seq)) } => write!(f, "booked as {id} (lane {lane}, event {seq})"),
            Self::Booked { id, at: None } => write!(f, "booked as {id}"),
            Self::Gone => write!(f, "gone"),
            Self::Otherwise(status) => write!(f, "{status}"),
        }
    }
}

/// Reads the answer of `POST holds`.
pub(crate) fn read_hold(reply: &Reply<'_>, fields: &Fields<'_>) -> Said<HoldAnswer> {
    let lives = fields.expires_in_ms.map(Duration::from_millis);
    match (reply.status, fields.hold_id.map(str::parse)) {
        (200 | 201, Some(Ok(id))) => Said::Yes(HoldAnswer { id: Some(id), lives, problem: fields.problem() }),
        (400..=499, _) => Said::No(HoldAnswer { id: None, lives: None, problem: fields.problem() }),
        _ => Said::Strange,
    }
}

/// Reads the answer of `POST confirm`.
pub(crate) fn read_confirm(reply: &Reply<'_>, fields: &Fields<'_>) -> Said<Confirmed> {
    match (reply.status, fields.booking_id.map(str::parse)) {
        (200 | 201, Some(Ok(id))) => Said::Yes(Confirmed::Booked { id, at: fields.lane().zip(fields.seq) }),
        (410, _) if fields.problem().name() == "hold-gone" => Said::No(Confirmed::Gone),
        (400..=499, _) => Said::No(Confirmed::Otherwise(reply.status)),
        _ => Said::Strange,
    }
}

/// Reads the answer of a DELETE: whether it was done.
pub(crate) fn read_end(reply: &Reply<'_>, _: &Fields<'_>) -> Said<bool> {
    match reply.status {
        204 => Said::Yes(true),
        400..=499 => Said::No(false),
        _ => Said::Strange,
    }
}

/// Reads the answer of a GET of something of one's own: whether it was shown.
pub(crate) fn read_shown(reply: &Reply<'_>, _: &Fields<'_>) -> Said<bool> {
    match reply.status {
        200 => Said::Yes(true),
        400..=499 => Said::No(false),
        _ => Said::Strange,
    }
}

/// Reads the answer to what must be refused: its status.
pub(crate) fn read_refusal(reply: &Reply<'_>, _: &Fields<'_>) -> Said<u16> {
    match reply.status {
        200..=299 => Said::Yes(reply.status),
        400..=499 => Said::No(reply.status),
        _ => Said::Strange,
    }
}
