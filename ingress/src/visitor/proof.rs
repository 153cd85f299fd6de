//! Proof of work: what a new place in line costs where the sale asks for it. Checked in memory, before any store is touched.
//! The work raises what a thousand places cost; it does not prove that a person did it.

use admission::Fee;
use domain::limits::PROOF_TTL_MS;
use domain::token::ProofTerms;
use domain::{Challenge, ProofError, ProofOfWork, VisitorHash};
use http::StatusCode;

use super::{catalogue, identity, outcome};
use crate::app::SaleHandle;
use crate::call::Call;
use crate::edge::pressure::price;
use crate::metrics::{Check, Reason};
use crate::problem::{Name, Problem};
use crate::reply::{self, Response};
use crate::schema;

pub(crate) const PROOF_HEADER: &str = "holdfast-proof";

/// Get a challenge.
///
/// In the ALTCHA format, so that its widget and solvers take it: find the number up to `maxnumber` whose decimal digits behind
/// `salt` have the SHA-256 `challenge`, and send base64 of `{algorithm, challenge, number, salt, signature}` with POST tickets as
/// header `Holdfast-Proof`. It is good for five minutes, for this visitor, this sale and one place: the one after the ticket that
/// came along, or the first one. Asking for one changes nothing. 404 where the sale asks for no work.
#[utoipa::path(
    get, path = "/v1/sales/{sale}/challenge", tag = "line", operation_id = "getChallenge",
    params(
        ("sale" = String, Path, description = "The sale's id"),
        ("Holdfast-Visitor" = Option<String>, Header, description = "Or cookie hf_visitor"),
        ("Holdfast-Ticket" = Option<String>, Header, description = "Or cookie hf_ticket; the place it follows"),
    ),
    responses((status = 200, description = "The challenge", body = schema::Challenge))
)]
pub(crate) fn get(call: &Call) -> Result<Response, Problem> {
    let sale = catalogue::sale(call)?;
    let visitor = identity::visitor(call)?;
    outcome::not_over(&sale.fold, call.now())?;
    let free = || Problem::new(Name::NotFound, "This sale asks for no proof of work: POST tickets takes none.");
    let asked = asked(&sale).ok_or_else(free)?;
    let hash = sale.hash(&visitor);
    let after = identity::last_number(call, &sale, &hash);
    Ok(reply::json(StatusCode::OK, &challenge(call, &sale, &hash, (asked, after))))
}

/// The price of joining, where the sale has one.
fn asked(sale: &SaleHandle) -> Option<ProofOfWork> {
    sale.fold.doc.room()?.proof_of_work
}

fn challenge(call: &Call, sale: &SaleHandle, visitor: &VisitorHash, (asked, after): (ProofOfWork, u64)) -> Challenge {
    let most = price(asked, call.app.pressure(call.client().address));
    call.app.proofs.price.set(f64::from(most));
    let terms = ProofTerms { sale: sale.id(), visitor, after, expires: call.now().plus(PROOF_TTL_MS) };
    call.app.keyring.load().challenge(&terms, rand::random(), rand::random_range(0..=most), most)
}

/// What this join has paid. A visitor who shows a place of their own may have that one for nothing; for anything else the
/// proof has to be good.
pub(crate) fn fee(call: &Call, sale: &SaleHandle, visitor: &VisitorHash) -> Result<Fee, Problem> {
    if asked(sale).is_none() {
        return Ok(Fee::Free);
    }
    let mut values = call.headers().get_all(PROOF_HEADER).iter();
    let refused = |reason: Reason, detail| {
        call.app.refusals.count(Check::Proof, reason);
        Err(needed(call, sale, visitor, identity::last_number(call, sale, visitor), detail))
    };
    let Some(value) = values.next() else {
        if identity::has_place(call, sale, visitor) {
            return Ok(Fee::Unpaid);
        }
        return refused(Reason::Missing, "This sale asks for a proof of work, and none came.");
    };
    if values.next().is_some() {
        return Err(crate::problem::bad(PROOF_HEADER, "sent twice", "send it once"));
    }
    let text = value.to_str().unwrap_or_default();
    match call.app.keyring.load().verify_proof(text, sale.id(), visitor, call.now()) {
        Ok(proof) => {
            call.app.proofs.right.increment(1);
            call.app.paid();
            Ok(Fee::After(proof.after))
        }
        Err(error) => refused(error.into(), said(error)),
    }
}

/// The proof was good, and has bought a place already: the one after `after` has to be paid for anew.
pub(crate) fn spent(call: &Call, sale: &SaleHandle, visitor: &VisitorHash, after: u64) -> Problem {
    call.app.refusals.count(Check::Proof, Reason::Spent);
    let detail = "What was paid for is a place that has been used, or none came for a new place.";
    needed(call, sale, visitor, after, detail)
}

/// The refusal, with a challenge to be solved at once.
fn needed(call: &Call, sale: &SaleHandle, visitor: &VisitorHash, after: u64, detail: &'static str) -> Problem {
    let problem = outcome::refused(Name::ProofNeeded, detail);
    let Some(asked) = asked(sale) else { return problem };
    let challenge = challenge(call, sale, visitor, (asked, after));
    // Our own struct of texts and a number: writing it cannot fail.
    problem.with("challenge", serde_json::to_value(challenge).unwrap_or_default())
}

const fn said(error: ProofError) -> &'static str {
    match error {
        ProofError::Malformed => "The proof of work is none: base64 of the solver's JSON is expected.",
        ProofError::UnknownKey | ProofError::BadSignature => {
            "The proof of work is for a challenge that is not one of ours."
        }
        ProofError::Unsolved => "The proof of work does not have the number that was asked for.",
        ProofError::WrongSale => "The proof of work is for another sale.",
        ProofError::WrongVisitor => "The proof of work is another visitor's.",
        ProofError::Expired => "The proof of work has expired.",
        ProofError::Future => "The proof of work is for a challenge of the future.",
    }
}
