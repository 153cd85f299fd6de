//! Moving a place to another device: a short code, shown as text, that is typed in over there. It can be used once, over all
//! processes: the line's owner keeps it, and what it did stands in the log.

use admission::LineError;
use domain::Millis;
use domain::limits::HTTP_BODY_BYTES;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::identity::{self, Place};
use super::{catalogue, outcome, tickets};
use crate::app::SaleHandle;
use crate::call::Call;
use crate::metrics::{Check, Reason};
use crate::problem::{Name, Problem};
use crate::reply::{self, Response};

/// Characters of a code, five bits each: too many to be guessed while it is good.
const CHARS: usize = 10;
/// Letters and digits that are not taken for each other, whoever writes them down.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A code that moves a place.
#[derive(Serialize, ToSchema)]
#[schema(as = MoveCode)]
pub(crate) struct CodeBody {
    /// What to type in on the other device; capitals and hyphens do not matter.
    #[schema(example = "K7QFM-3MWD9")]
    code: String,
    /// When it is no longer good.
    #[schema(value_type = String, format = DateTime)]
    expires_at: String,
    /// Milliseconds until then.
    expires_in_ms: u64,
}

/// The code that somebody typed in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MoveHere)]
pub(crate) struct ShownCode {
    /// As the other device shows it.
    code: String,
}

/// Get a code that moves one's place to another device.
///
/// It is good for ten minutes and once. Asking again gives another one, and the one before is good for nothing. The place stays where it
/// is until the code is used. Only a place that still waits, or is called, can be moved.
#[utoipa::path(
    post, path = "/v1/sales/{sale}/ticket/code", tag = "line", operation_id = "offerPlace",
    params(
        ("sale" = String, Path, description = "The sale's id"),
        ("Holdfast-Visitor" = Option<String>, Header, description = "Or cookie hf_visitor"),
        ("Holdfast-Ticket" = Option<String>, Header, description = "Or cookie hf_ticket"),
    ),
    responses((status = 201, description = "The code", body = CodeBody))
)]
pub(crate) async fn offer(mut call: Call) -> Result<Response, Problem> {
    let sale = catalogue::sale(&call)?;
    let visitor = identity::visitor(&call)?;
    call.no_body(HTTP_BODY_BYTES).await?;
    let (now, hash) = (call.now(), sale.hash(&visitor));
    outcome::open(sale.phase(now), &sale.fold.doc, now)?;
    let line = sale.line.as_ref().ok_or_else(no_room)?;
    let Place::Number(number) = identity::place(&call, &sale, &hash)? else { return Err(outcome::drawing()) };
    identity::may_join(&call, visitor)?;
    let code = rand::random::<u64>() >> (64 - 5 * CHARS);
    let expires = line.offer(hash, number, code).await.map_err(|error| refused(&call, &sale, error, now))?;
    let body = CodeBody { code: written(code), expires_at: expires.to_string(), expires_in_ms: expires.since(now) };
    Ok(reply::json(StatusCode::CREATED, &body))
}

/// Take a place over from another device.
///
/// The place is this visitor's from now on, with a ticket of its own; the other device's ticket is good for nothing any more. The same
/// visitor may ask again; for everybody else the code is used up. Who has a place already keeps the better one. Costs no work.
#[utoipa::path(
    post, path = "/v1/sales/{sale}/ticket/move", tag = "line", operation_id = "takePlace",
    params(
        ("sale" = String, Path, description = "The sale's id"),
        ("Holdfast-Visitor" = Option<String>, Header, description = "Or cookie hf_visitor; made when absent"),
    ),
    request_body = ShownCode,
    responses((status = 200, description = "The place", body = tickets::JoinedBody))
)]
pub(crate) async fn take(mut call: Call) -> Result<Response, Problem> {
    let sale = catalogue::sale(&call)?;
    let (visitor, made) = identity::visitor_or_new(&call)?;
    let shown: ShownCode = call.json(HTTP_BODY_BYTES).await?;
    let (now, hash) = (call.now(), sale.hash(&visitor));
    outcome::open(sale.phase(now), &sale.fold.doc, now)?;
    let line = sale.line.as_ref().ok_or_else(no_room)?;
    let code = read(&shown.code).ok_or_else(|| {
        call.app.refusals.count(Check::MoveCode, Reason::Malformed);
        crate::problem::bad(
            "code",
            &shown.code,
            format!("must be {CHARS} letters and digits, as the other device shows them"),
        )
    })?;
    identity::may_join(&call, visitor)?;
    let number = line.move_to(hash, code).await.map_err(|error| {
        let problem = refused(&call, &sale, error, now);
        match &made {
            Some(made) => made.refused(&call, problem),
            None => problem,
        }
    })?;
    Ok(tickets::of_place(&call, &sale, (visitor, made), number))
}

fn refused(call: &Call, sale: &SaleHandle, error: LineError, now: Millis) -> Problem {
    match error {
        LineError::NoMove => call.app.refusals.count(Check::MoveCode, Reason::Spent),
        LineError::Moved => call.app.refusals.count(Check::Ticket, Reason::Moved),
        _ => {}
    }
    outcome::line(error, &sale.fold, now)
}

fn no_room() -> Problem {
    Problem::new(Name::NotFound, "This sale has no waiting room: there is no place to move.")
}

/// In two groups, so that it can be read out.
fn written(code: u64) -> String {
    let letter = |at: usize| ALPHABET.get(usize::try_from(code >> (5 * at) & 31).unwrap_or(0)).copied().unwrap_or(b'0');
    let (first, second) = (CHARS / 2..CHARS, 0..CHARS / 2);
    let group = |range: std::ops::Range<usize>| range.rev().map(|at| char::from(letter(at))).collect::<String>();
    format!("{}-{}", group(first), group(second))
}

/// However somebody types it: small letters, spaces, and letters for the digits they look like.
fn read(text: &str) -> Option<u64> {
    let mut code = 0;
    let mut count = 0;
    for c in text.chars().filter(|c| !matches!(c, '-' | ' ')) {
        let c = match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            c => c,
        };
        let value = ALPHABET.iter().position(|known| char::from(*known) == c)?;
        code = code << 5 | value as u64;
        count += 1;
        if count > CHARS {
            return None;
        }
    }
    (count == CHARS).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        for code in [0, 1, 31, 0x3_ffff_ffff_ffff, 0x1_2345_6789_abcd] {
            let text = written(code);
            assert_eq!((text.len(), read(&text)), (CHARS + 1, Some(code)), "{text}");
            assert_eq!(read(&text.to_lowercase().replace('-', " ")), Some(code));
            assert_eq!(read(&text.replace('0', "o").replace('1', "l")), Some(code));
        }
        for wrong in ["", "K7QFM-3MWD", "K7QFM-3MWD99", "K7QFM-3MWDU", "K7QFM-3MWD\u{e4}", "----------"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
