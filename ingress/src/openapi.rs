//! The description of the API, made from the handlers; problems from the one table.

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use crate::call::Call;
use crate::problem::Name;
use crate::rendered::Rendered;
use crate::reply::Response;
use crate::{admin, page, schema, visitor};

#[derive(OpenApi)]
#[openapi(
    info(title = "Holdfast", description = "A queue-fronted booking appliance: join the line, enter, hold, confirm."),
    paths(
        page::home, page::sale, page::style, page::script, page::worker,
        page::join, page::enter, page::leave, page::offer, page::take, page::hold, page::release, page::confirm, page::again,
        visitor::pages::problems, visitor::pages::problem, visitor_description,
        visitor::catalogue::list, visitor::catalogue::show, visitor::line::get,
        visitor::tickets::visitor, visitor::tickets::join, visitor::tickets::get, visitor::events::get, visitor::proof::get,
        visitor::moving::offer, visitor::moving::take,
        visitor::draw::get, visitor::draw::receipt, visitor::draw::leaves, visitor::pages::draw,
        visitor::passes::claim, visitor::passes::leave,
        visitor::holds::post, visitor::holds::get, visitor::holds::delete,
        visitor::bookings::confirm, visitor::bookings::list, visitor::bookings::get, visitor::bookings::cancel,
    ),
    components(schemas(schema::Problem, schema::Mistake, schema::Challenge)),
    tags(
        (name = "sales", description = "What is on sale"),
        (name = "line", description = "The waiting room"),
        (name = "booking", description = "Holds and bookings"),
        (name = "pages", description = "For people"),
    )
)]
struct Visitors;

#[derive(OpenApi)]
#[openapi(
    info(title = "Holdfast, for operators", description = "The second listener: sales, proofs, health and figures."),
    paths(
        admin::health::live, admin::health::ready, admin::health::metrics, admin_description, admin::problem,
        admin::sales::list, admin::sales::get, admin::sales::put,
        admin::acts::open, admin::hand::pause, admin::hand::resume, admin::acts::close, admin::hand::pace,
        admin::hand::cap, admin::hand::joining, admin::hand::let_through, admin::stock::change, admin::codes::make, admin::acts::audit, admin::acts::events,
    ),
    components(schemas(schema::Problem, schema::Mistake, schema::Challenge)),
    tags((name = "operator", description = "Needs an operator's key"), (name = "health", description = "For machines"))
)]
struct Operators;

static FOR_VISITORS: LazyLock<Rendered> = LazyLock::new(|| rendered(&visitors()));
static FOR_OPERATORS: LazyLock<Rendered> = LazyLock::new(|| rendered(&operators()));

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "pages", operation_id = "describe",
    responses((status = 200, description = "OpenAPI 3.1", body = Object), (status = 304, description = "It has not changed")))]
pub(crate) fn visitor_description(call: &Call) -> Response {
    FOR_VISITORS.answer(call)
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "health", operation_id = "adminDescribe",
    responses((status = 200, description = "OpenAPI 3.1", body = Object), (status = 304, description = "It has not changed")))]
pub(crate) fn admin_description(call: &Call) -> Response {
    FOR_OPERATORS.answer(call)
}

fn rendered(document: &Value) -> Rendered {
    let text = document.to_string();
    Rendered::new(Bytes::from(text.clone()), text.as_bytes())
}

/// The public listener's description.
pub(crate) fn visitors() -> Value {
    complete(serde_json::to_value(Visitors::openapi()).unwrap_or_default())
}

/// The admin listener's description.
pub(crate) fn operators() -> Value {
    complete(serde_json::to_value(Operators::openapi()).unwrap_or_default())
}

/// What a form of the page is refused with before it is the API's call; everything later is told on the page.
const OF_FORMS: &[Name] =
    &[Name::NotFound, Name::Forbidden, Name::BadRequest, Name::TooSlow, Name::TooLarge, Name::WrongContentType];

/// What an operator's act on a sale may be refused with.
const OF_ACTS: &[Name] = {
    use Name::*;
    &[Unauthenticated, BadRequest, TooSlow, TooLarge, WrongContentType, NotFound, SaleClosed, Unavailable]
};

/// What each call may refuse with, by its operation id; every call may be refused as overloaded too.
const PROBLEMS: &[(&str, &[Name])] = {
    use Name::*;
    &[
        ("home", &[]),
        ("salePage", &[]),
        ("pageStyle", &[]),
        ("pageScript", &[]),
        ("pageWorker", &[]),
        ("pageJoin", OF_FORMS),
        ("pageEnter", OF_FORMS),
        ("pageLeave", OF_FORMS),
        ("pageOffer", OF_FORMS),
        ("pageTake", OF_FORMS),
        ("pageHold", OF_FORMS),
        ("pageRelease", OF_FORMS),
        ("pageConfirm", OF_FORMS),
        ("pageAgain", OF_FORMS),
        ("listProblems", &[]),
        ("getProblem", &[NotFound]),
        ("describe", &[]),
        ("listSales", &[]),
        ("getSale", &[NotFound]),
        ("getLine", &[NotFound]),
        ("drawPage", &[]),
        ("getDraw", &[NotFound]),
        ("followTicket", &[NotFound, Unauthenticated, Forbidden, BadRequest, SaleClosed, NotYourTurn]),
        ("getReceipt", &[NotFound, Unauthenticated, Forbidden, BadRequest, SaleClosed, Unavailable]),
        ("getLeaves", &[NotFound, BadRequest, Unavailable]),
        ("makeVisitor", &[BadRequest, Forbidden, TooSlow, TooLarge, WrongContentType, TooManyRequests]),
        (
            "joinLine",
            &[
                NotFound,
                Unauthenticated,
                Forbidden,
                BadRequest,
                TooSlow,
                TooLarge,
                WrongContentType,
                TooManyRequests,
                ProofNeeded,
                SaleNotOpen,
                JoiningStopped,
                SaleClosed,
                CodeInvalid,
                CodeUsed,
                ClassFull,
                Unavailable,
            ],
        ),
        (
            "offerPlace",
            &[
                NotFound,
                Unauthenticated,
                Forbidden,
                BadRequest,
                TooSlow,
                TooLarge,
                WrongContentType,
                TooManyRequests,
                SaleNotOpen,
                SaleClosed,
                NotYourTurn,
                TicketMoved,
                CodeGone,
                Unavailable,
            ],
        ),
        (
            "takePlace",
            &[
                NotFound,
                Unauthenticated,
                Forbidden,
                BadRequest,
                TooSlow,
                TooLarge,
                WrongContentType,
                TooManyRequests,
                SaleNotOpen,
                SaleClosed,
                CodeGone,
                Unavailable,
            ],
        ),
        ("getChallenge", &[NotFound, Unauthenticated, BadRequest, SaleClosed]),
        ("getTicket", &[NotFound, Unauthenticated, Forbidden, BadRequest, SaleClosed]),
        (
            "claimPass",
            &[
                NotFound,
                Unauthenticated,
                Forbidden,
                BadRequest,
                TooSlow,
                TooLarge,
                WrongContentType,
                SaleNotOpen,
                SalePaused,
                SaleClosed,
                NotYourTurn,
                PassExpired,
                TicketMoved,
                Unavailable,
            ],
        ),
        ("leave", &[NotFound, Unauthenticated, Forbidden, BadRequest, SaleNotOpen, SaleClosed, Unavailable]),
        (
            "hold",
            &[
                NotFound,
                Unauthenticated,
                Forbidden,
                KeyMissing,
                BadRequest,
                TooSlow,
                TooLarge,
                WrongContentType,
                SaleNotOpen,
                SalePaused,
                SaleClosed,
                PassExpired,
                KeyReused,
                HoldGone,
                SoldOut,
                AllHeld,
                LimitReached,
                Unavailable,
            ],
        ),
        ("getHold", &[NotFound, Unauthenticated, BadRequest, Unavailable]),
        ("releaseHold", &[NotFound, Unauthenticated, Forbidden, BadRequest, HoldDecided, Unavailable]),
        (
            "confirm",
            &[
                NotFound,
                Unauthenticated,
                Forbidden,
                KeyMissing,
                BadRequest,
                TooSlow,
                TooLarge,
                WrongContentType,
                HoldGone,
                KeyReused,
                TooManyRequests,
                Unavailable,
            ],
        ),
        ("listBookings", &[Unauthenticated, BadRequest, Unavailable]),
        ("getBooking", &[NotFound, Unauthenticated, BadRequest, Unavailable]),
        (
            "cancelBooking",
            &[
                NotFound,
                Unauthenticated,
                Forbidden,
                KeyMissing,
                BadRequest,
                TooSlow,
                TooLarge,
                WrongContentType,
                Unavailable,
            ],
        ),
        ("adminDescribe", &[]),
        ("adminGetProblem", &[NotFound]),
        ("live", &[]),
        ("ready", &[]),
        ("metrics", &[]),
        ("adminListSales", &[Unauthenticated]),
        ("adminGetSale", &[Unauthenticated, BadRequest, NotFound]),
        (
            "adminPutSale",
            &[
                Unauthenticated,
                BadRequest,
                TooSlow,
                TooLarge,
                WrongContentType,
                PreconditionFailed,
                SaleClosed,
                Unavailable,
            ],
        ),
        ("adminOpenSale", OF_ACTS),
        ("adminPauseSale", OF_ACTS),
        ("adminResumeSale", OF_ACTS),
        ("adminSetPace", OF_ACTS),
        ("adminSetCap", OF_ACTS),
        ("adminSetJoining", OF_ACTS),
        ("adminLetThrough", OF_ACTS),
        (
            "adminAddStock",
            &[
                Unauthenticated,
                KeyMissing,
                BadRequest,
                TooSlow,
                TooLarge,
                WrongContentType,
                NotFound,
                PreconditionFailed,
                KeyReused,
                TooFewFree,
                SaleClosed,
                Unavailable,
            ],
        ),
        ("adminCloseSale", &[Unauthenticated, BadRequest, TooSlow, TooLarge, WrongContentType, NotFound, Unavailable]),
        ("adminMakeCodes", &[Unauthenticated, BadRequest, TooSlow, TooLarge, WrongContentType, NotFound]),
        ("adminAudit", &[Unauthenticated, BadRequest, NotFound, Unavailable]),
        ("adminEvents", &[Unauthenticated, BadRequest, NotFound, Unavailable]),
    ]
};

/// Adds problems and who may call to what the handlers say.
fn complete(mut document: Value) -> Value {
    document["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    document["info"]["license"] = json!({"name": "Apache-2.0", "identifier": "Apache-2.0"});
    document["components"]["securitySchemes"] = json!({
        "operator": {"type": "http", "scheme": "bearer"},
        "visitor": {"type": "apiKey", "in": "header", "name": "Holdfast-Visitor"},
        "visitorCookie": {"type": "apiKey", "in": "cookie", "name": "hf_visitor"},
    });
    for (path, operations) in entries(document.get_mut("paths")) {
        for (_, operation) in entries(Some(operations)) {
            let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
            let may = PROBLEMS.iter().find(|(name, _)| *name == id).map_or(&[][..], |(_, names)| *names);
            if path.starts_with("/admin/v1") {
                operation["security"] = json!([{"operator": []}]);
            } else if may.contains(&Name::Unauthenticated) {
                operation["security"] = json!([{"visitor": []}, {"visitorCookie": []}]);
            }
            add(operation, may);
        }
    }
    document
}

fn add(operation: &mut Value, may: &[Name]) {
    let all = may.iter().chain(&[Name::Overloaded]);
    for kind in all.map(|name| name.kind()) {
        let status = kind.status.as_u16().to_string();
        let line = format!("`{}`: {}. {}", kind.name, kind.title, kind.meaning);
        let Some(responses) = operation["responses"].as_object_mut() else { continue };
        let response = responses.entry(status).or_insert_with(|| json!({"description": "", "content": {}}));
        let text = response["description"].as_str().unwrap_or_default();
        let text = if text.is_empty() { line } else { format!("{text}\n\n{line}") };
        response["description"] = json!(text);
        if matches!(kind.status.as_u16(), 429 | 503) {
            for (name, text) in [("Retry-After", "Seconds"), ("RateLimit", "What is left, and when there is more")] {
                response["headers"][name] = json!({"description": text, "schema": {"type": "string"}});
            }
        }
        response["content"]["application/problem+json"] = json!({"schema": {"$ref": "#/components/schemas/Problem"}});
    }
}

fn entries(object: Option<&mut Value>) -> impl Iterator<Item = (&String, &mut Value)> {
    object.and_then(Value::as_object_mut).into_iter().flat_map(Map::iter_mut)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::BTreeSet;

    use super::*;
    use crate::problem::KINDS;
    use crate::route::Route;

    fn described(document: &Value) -> BTreeSet<String> {
        let paths = document["paths"].as_object().unwrap();
        let operations = paths.iter().flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |m| (path, m)));
        operations.map(|(path, method)| format!("{} {path}", method.to_uppercase())).collect()
    }

    fn routed<Op>(table: &[Route<Op>]) -> BTreeSet<String> {
        table.iter().map(|route| route.label.to_owned()).collect()
    }

    #[test]
    fn every_route_is_described_and_every_operation_is_routed() {
        assert_eq!(described(&visitors()), routed(visitor::ROUTES));
        assert_eq!(described(&operators()), routed(admin::ROUTES));
    }

    #[test]
    fn every_operation_says_what_it_refuses_with() {
        let mut unused: BTreeSet<&str> = PROBLEMS.iter().map(|(id, _)| *id).collect();
        for document in [visitors(), operators()] {
            assert_eq!(document["openapi"], "3.1.0");
            for operations in document["paths"].as_object().unwrap().values() {
                for operation in operations.as_object().unwrap().values() {
                    let id = operation["operationId"].as_str().unwrap();
                    assert!(unused.remove(id), "{id} is not in PROBLEMS, or twice in the API");
                }
            }
        }
        assert_eq!(unused, BTreeSet::new(), "in PROBLEMS, but no operation");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        for document in [visitors(), operators()] {
            let text = document.to_string();
            for rest in text.split("\"$ref\":\"#").skip(1) {
                let pointer = rest.split('"').next().unwrap();
                assert!(document.pointer(pointer).is_some(), "{pointer}");
            }
        }
    }

    #[test]
    fn the_shape_of_a_problem_names_every_problem() {
        let names = visitors()["components"]["schemas"]["Problem"]["properties"]["type"].to_string();
        assert!(KINDS.iter().all(|kind| kind.status.is_client_error() || kind.status.is_server_error()));
        assert!(names.contains("/problems/"), "{names}");
    }
}
