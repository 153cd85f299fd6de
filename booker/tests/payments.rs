//! What a provider is asked, what its answers mean, and which webhooks are believed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use booker::checkout::{Effect, Report};
use booker::payment::{Before, Call, Forged, Method, Provider as _, Request, Said, Seen, Stripe, sign, verify};
use domain::checkout::AbortReason;
use domain::limits::{
    MAX_PAYMENT_ANSWER_BYTES, MAX_WEBHOOK_BYTES, MAX_WEBHOOK_IDS, PROVIDER_KEY_MS, WEBHOOK_TOLERANCE_MS,
};
use domain::outcome::Outcome;
use domain::{Currency, HoldId, Millis, Money, Step, VisitorHash};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: Millis = Millis(1_800_000_000_000);
const SECRET: &str = "whsec_test";

fn stripe() -> Stripe {
    Stripe { key: "sk_test_1".to_owned(), webhook_secrets: vec![SECRET.to_owned()] }
}

fn id() -> HoldId {
    HoldId::derive(&"night".parse().unwrap(), 0, &VisitorHash([1; 16]), "k")
}

fn euro(minor: i64) -> Money {
    Money { minor, currency: Currency::parse("EUR").unwrap() }
}

fn pi() -> String {
    "pi_1".to_owned()
}

fn authorise() -> Call {
    Call::Authorise { id: id(), due: euro(12_900) }
}

fn capture() -> Call {
    Call::Capture { id: id(), payment: pi(), due: euro(12_900) }
}

fn void() -> Call {
    Call::Void { id: id(), payment: pi() }
}

fn look_up() -> Call {
    Call::LookUp { id: id(), payment: pi() }
}

fn refund() -> Call {
    Call::Refund { id: id(), n: 2, payment: pi(), money: euro(500) }
}

fn find(last: bool) -> Call {
    Call::FindRefund { id: id(), n: 2, payment: pi(), money: euro(500), last }
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(is, _)| *is == name).map(|(_, value)| value.as_str())
}

#[test]
fn requests_have_their_golden_form() {
    let id = id();
    let expected = [
        (
            authorise(),
            Method::Post,
            "/v1/payment_intents",
            format!(
                "amount=12900&currency=eur&capture_method=manual&automatic_payment_methods%5Benabled%5D=true&metadata%5Bbooking%5D={id}"
            ),
            Some(format!("{id}:authorise")),
        ),
        (look_up(), Method::Get, "/v1/payment_intents/pi_1", String::new(), None),
        (
            capture(),
            Method::Post,
            "/v1/payment_intents/pi_1/capture",
            "amount_to_capture=12900".to_owned(),
            Some(format!("{id}:capture")),
        ),
        (
            void(),
            Method::Post,
            "/v1/payment_intents/pi_1/cancel",
            "cancellation_reason=abandoned".to_owned(),
            Some(format!("{id}:void")),
        ),
        (
            refund(),
            Method::Post,
            "/v1/refunds",
            format!("payment_intent=pi_1&amount=500&metadata%5Bstep%5D=refund-2&metadata%5Bbooking%5D={id}"),
            Some(format!("{id}:refund-2")),
        ),
        (find(true), Method::Get, "/v1/refunds?payment_intent=pi_1&limit=100", String::new(), None),
    ];
    for (call, method, path, body, key) in expected {
        let request = stripe().request(&call, 0).unwrap();
        assert_eq!((request.method, request.path.as_str(), request.body.as_str()), (method, path, body.as_str()));
        assert_eq!(header(&request, "Idempotency-Key"), key.as_deref());
        assert_eq!(header(&request, "Authorization"), Some("Bearer sk_test_1"));
        assert_eq!(header(&request, "Stripe-Version"), Some("2024-06-20"));
        let shown = format!("{request:?} {:?}", stripe());
        assert!(!shown.contains("sk_test") && !shown.contains("whsec"), "{shown}");
    }
    let odd = Call::LookUp { id, payment: "../x?y=1".to_owned() };
    assert_eq!(stripe().request(&odd, 0).unwrap().path, "/v1/payment_intents/..%2Fx%3Fy%3D1");
    let nothing = Call::Authorise { id, due: euro(0) };
    assert_eq!(stripe().request(&nothing, 0), None);
}

#[test]
fn what_a_state_guards_has_a_key_for_each_try_and_what_only_a_key_guards_has_one() {
    let key = |call: &Call, before| {
        let request = stripe().request(call, before).unwrap();
        header(&request, "Idempotency-Key").map(str::to_owned)
    };
    for call in [authorise(), refund()] {
        assert_eq!(key(&call, 0), key(&call, 3), "{call:?}");
    }
    for call in [capture(), void()] {
        assert_ne!(key(&call, 0), key(&call, 3), "{call:?}");
    }
    let effect = Effect::Refund { n: 2, payment: "pi_1".into(), money: euro(500), asked: NOW };
    let call = |before, later| Call::of(id(), &effect, before, NOW.plus(later)).unwrap();
    assert_eq!((call(0, 0), call(1, 0), call(2, 0)), (refund(), find(false), refund()));
    assert_eq!((call(0, PROVIDER_KEY_MS), call(2, PROVIDER_KEY_MS)), (find(true), find(true)), "never made twice");
    assert_eq!(Call::of(id(), &Effect::Cancel, 0, NOW), None);
    let known = Effect::Authorise { due: euro(12_900), payment: Some("pi_1".into()) };
    assert_eq!(Call::of(id(), &known, 0, NOW), Some(look_up()));
    assert_eq!(Call::of(id(), &Effect::Authorise { due: euro(12_900), payment: None }, 0, NOW), Some(authorise()));
}

fn intent(status: &str) -> Value {
    json!({
        "id": "pi_1", "object": "payment_intent", "status": status, "amount": 12_900, "currency": "eur",
        "amount_capturable": if status == "requires_capture" { 12_900 } else { 0 },
        "amount_received": if status == "succeeded" { 12_900 } else { 0 },
        "client_secret": "pi_1_secret", "metadata": { "booking": id() }, "more": [1, { "of": "it" }],
    })
}

fn refund_of(status: &str) -> Value {
    let metadata = json!({ "booking": id(), "step": "refund-2" });
    json!({ "id": "re_1", "status": status, "amount": 500, "currency": "eur", "payment_intent": "pi_1", "metadata": metadata })
}

fn read(call: &Call, status: u16, body: &Value) -> Said {
    stripe().read(call, status, body.to_string().as_bytes())
}

fn opened() -> Report {
    Report::Opened { payment: pi() }
}

fn authorised() -> Report {
    Report::Authorised { payment: pi(), amount: euro(12_900) }
}

fn is_refused(said: &Said, of: Step) -> bool {
    matches!(said, Said::Ended(Report::Refused { step, why: AbortReason::Declined, .. }) if *step == of)
}

#[test]
fn a_payments_state_says_what_became_of_a_call() {
    for call in [authorise(), look_up()] {
        for status in ["requires_payment_method", "requires_confirmation", "requires_action", "processing"] {
            let waiting = Said::Waiting { report: Some(opened()), client_secret: Some("pi_1_secret".to_owned()) };
            assert_eq!(read(&call, 200, &intent(status)), waiting, "{status}");
        }
        assert_eq!(read(&call, 200, &intent("requires_capture")), Said::Ended(authorised()));
        assert_eq!(read(&call, 200, &intent("succeeded")), Said::Ended(Report::Done(Step::Capture)));
        assert!(is_refused(&read(&call, 200, &intent("canceled")), Step::Authorise));
    }
    let done = |step| Said::Ended(Report::Done(step));
    assert_eq!(read(&capture(), 200, &intent("succeeded")), done(Step::Capture));
    assert!(is_refused(&read(&capture(), 200, &intent("canceled")), Step::Capture));
    assert_eq!(read(&void(), 200, &intent("canceled")), done(Step::Void));
    assert!(is_refused(&read(&void(), 200, &intent("succeeded")), Step::Void));
    assert_eq!(read(&refund(), 200, &refund_of("succeeded")), done(Step::Refund(2)));
    assert!(is_refused(&read(&refund(), 200, &refund_of("failed")), Step::Refund(2)));
    let pending = read(&refund(), 200, &refund_of("pending"));
    assert_eq!(pending, Said::Waiting { report: None, client_secret: None });
    let said = [pending, done(Step::Void), read(&void(), 200, &intent("succeeded")), read(&void(), 500, &json!({}))];
    let outcomes = said.map(|said| said.outcome());
    assert_eq!(outcomes, [Outcome::Unknown, Outcome::Applied, Outcome::Refused, Outcome::Unknown]);
}

/// A second capture, or a cancel of what was cancelled, fails; the error carries the payment, and it has what was asked for.
#[test]
fn a_call_that_fails_because_it_was_done_is_done() {
    let error = |state: &str| json!({ "error": { "type": "invalid_request_error", "code": "payment_intent_unexpected_state", "message": "no", "payment_intent": intent(state) } });
    assert_eq!(read(&capture(), 400, &error("succeeded")), Said::Ended(Report::Done(Step::Capture)));
    assert_eq!(read(&void(), 400, &error("canceled")), Said::Ended(Report::Done(Step::Void)));
    assert!(is_refused(&read(&capture(), 400, &error("canceled")), Step::Capture));
    let plain = |kind: &str| json!({ "error": { "type": kind, "code": "amount_too_small", "message": "no" } });
    for (status, kind) in [(400, "invalid_request_error"), (402, "card_error")] {
        assert!(is_refused(&read(&authorise(), status, &plain(kind)), Step::Authorise));
        assert_eq!(read(&look_up(), status, &plain(kind)).outcome(), Outcome::Unknown, "asking refuses nothing");
    }
}

#[test]
fn what_is_not_certain_is_unknown() {
    let error = json!({ "error": { "type": "idempotency_error", "message": "other parameters" } });
    for call in [authorise(), look_up(), capture(), void(), refund(), find(false), find(true)] {
        for status in [0, 199, 201, 302, 401, 403, 404, 409, 429, 500, 502, 503, 504] {
            assert_eq!(read(&call, status, &intent("succeeded")).outcome(), Outcome::Unknown, "{call:?} {status}");
        }
        assert_eq!(read(&call, 400, &error).outcome(), Outcome::Unknown, "{call:?}");
        for body in [json!({}), json!([]), json!({ "id": 7 }), intent("something new")] {
            assert_eq!(read(&call, 200, &body).outcome(), Outcome::Unknown, "{call:?} {body}");
        }
        let huge = vec![b' '; MAX_PAYMENT_ANSWER_BYTES + 1];
        assert_eq!(stripe().read(&call, 200, &huge).outcome(), Outcome::Unknown);
    }
    let mut other = intent("canceled");
    other["metadata"]["booking"] = json!(HoldId::derive(&"other".parse().unwrap(), 0, &VisitorHash([1; 16]), "k"));
    assert_eq!(read(&void(), 200, &other).outcome(), Outcome::Unknown, "another booking's payment");
    let mut less = intent("succeeded");
    less["amount_received"] = json!(12_800);
    assert_eq!(read(&capture(), 200, &less).outcome(), Outcome::Unknown, "another amount");
    let mut more = refund_of("succeeded");
    more["amount"] = json!(501);
    assert_eq!(read(&refund(), 200, &more).outcome(), Outcome::Unknown, "another refund");
    let mut dollars = intent("requires_capture");
    dollars["currency"] = json!("usd");
    let Said::Ended(Report::Authorised { amount, .. }) = read(&look_up(), 200, &dollars) else { panic!() };
    assert_eq!(amount.to_string(), "129.00 USD", "which the checkout refuses");
}

#[test]
fn a_refund_is_looked_for_before_it_is_made_again() {
    let list = |all: &[Value]| json!({ "object": "list", "data": all, "has_more": false });
    let mut other = refund_of("succeeded");
    other["metadata"]["step"] = json!("refund-1");
    let both = list(&[other.clone(), refund_of("succeeded")]);
    assert_eq!(read(&find(false), 200, &both), Said::Ended(Report::Done(Step::Refund(2))));
    let none = list(&[other]);
    assert_eq!(read(&find(false), 200, &none).outcome(), Outcome::Unknown);
    assert!(is_refused(&read(&find(true), 200, &none), Step::Refund(2)), "an operator has to look");
    let mut more = none;
    more["has_more"] = json!(true);
    assert_eq!(read(&find(true), 200, &more).outcome(), Outcome::Unknown);
}

fn event(kind: &str, object: &Value) -> Vec<u8> {
    json!({ "id": "evt_1", "type": kind, "data": { "object": object } }).to_string().into_bytes()
}

#[test]
fn a_webhook_says_what_its_object_says() {
    let told = |kind: &str, object: &Value| {
        let body = event(kind, object);
        let notice = stripe().notice(&sign(SECRET, &body, NOW), &body, NOW).unwrap();
        assert_eq!(notice.event, "evt_1");
        (notice.id, notice.report)
    };
    let ours = |report| (Some(id()), Some(report));
    assert_eq!(told("payment_intent.amount_capturable_updated", &intent("requires_capture")), ours(authorised()));
    assert_eq!(told("payment_intent.payment_failed", &intent("requires_payment_method")), ours(opened()));
    assert_eq!(told("payment_intent.succeeded", &intent("succeeded")), ours(Report::Done(Step::Capture)));
    let (_, cancelled) = told("payment_intent.canceled", &intent("canceled"));
    assert!(is_refused(&Said::Ended(cancelled.unwrap()), Step::Authorise));
    assert_eq!(told("refund.updated", &refund_of("succeeded")), ours(Report::Done(Step::Refund(2))));
    assert_eq!(told("refund.created", &refund_of("pending")), (Some(id()), None));
    assert_eq!(told("customer.created", &json!({ "id": "cus_1" })), (None, None));
    let mut foreign = intent("requires_capture");
    foreign["metadata"] = json!({});
    assert_eq!(told("payment_intent.created", &foreign), (None, None), "somebody else's of the same account");
}

/// In this order.
#[test]
fn a_webhook_that_is_huge_unsigned_forged_or_late_is_not_believed() {
    let body = event("payment_intent.succeeded", &intent("succeeded"));
    let right = sign(SECRET, &body, NOW);
    let notice = |header: &str, body: &[u8], now| stripe().notice(header, body, now).unwrap_err();
    assert_eq!(notice("", &vec![b'x'; MAX_WEBHOOK_BYTES + 1], NOW), Forged::Huge);
    let v1 = right.split_once(',').unwrap().1;
    for header in
        ["", "t=1", v1, "t=1,v0=00", "t=,v1=00", "t=x,v1=00", "t=1;v1=00", &format!("t=1,t=2,{v1}"), "t=1,v1=zz"]
    {
        assert_eq!(notice(header, &body, NOW), Forged::Unsigned, "{header}");
    }
    let mut altered = body.clone();
    altered[10] ^= 1;
    assert_eq!(notice(&right, &altered, NOW), Forged::Signature);
    assert_eq!(notice(&sign("whsec_other", &body, NOW), &body, NOW), Forged::Signature);
    let later = right.replace("t=1800000000", "t=1800000001");
    assert_eq!(notice(&later, &body, NOW), Forged::Signature, "the time is signed too");
    for apart in [WEBHOOK_TOLERANCE_MS + 1_000, 1 << 50] {
        assert_eq!(notice(&right, &body, NOW.plus(apart)), Forged::Time);
        assert_eq!(notice(&sign(SECRET, &body, NOW.plus(apart)), &body, NOW), Forged::Time);
    }
    assert!(stripe().notice(&right, &body, NOW.plus(WEBHOOK_TOLERANCE_MS)).is_ok());
    let nonsense = b"{}";
    assert_eq!(notice(&sign(SECRET, nonsense, NOW), nonsense, NOW), Forged::Unreadable);
    let empty = Stripe { webhook_secrets: vec![String::new()], ..stripe() };
    assert_eq!(empty.notice(&sign("", &body, NOW), &body, NOW), Err(Forged::Signature), "no secret is no secret");
}

/// As Stripe writes it down: HMAC-SHA256 over `time.body`, with the secret as it is.
#[test]
fn the_signature_is_the_providers_and_any_of_two_secrets_will_do() {
    let header = sign(SECRET, b"{\"id\":\"evt_1\"}", Millis(1_492_774_577_000));
    assert_eq!(header, "t=1492774577,v1=7656fc2882a7ca0a651666b36bf2f2f22ee204f54f608f227498a2419f2890b2");
    let both = vec!["whsec_new".to_owned(), "whsec_old".to_owned()];
    for secret in &both {
        assert_eq!(verify(&both, &sign(secret, b"x", NOW), b"x", NOW), Ok(()));
    }
    let two = format!("{},v1={},v0=junk", sign("whsec_old", b"x", NOW), "0".repeat(64));
    assert_eq!(verify(&both, &two, b"x", NOW), Ok(()));
}

#[test]
fn a_webhook_counts_once_and_is_forgotten_when_it_could_not_be_sent_again() {
    let mut seen = Seen::default();
    assert_eq!(seen.look("evt_1", NOW), Before::New);
    assert_eq!(seen.look("evt_1", NOW), Before::New, "not handled yet: it has to be taken when it comes again");
    seen.taken("evt_1", NOW);
    seen.taken("evt_1", NOW.plus(1));
    assert_eq!(seen.look("evt_1", NOW.plus(2 * WEBHOOK_TOLERANCE_MS)), Before::Taken);
    assert_eq!(seen.look("evt_2", NOW.plus(2 * WEBHOOK_TOLERANCE_MS + 2)), Before::New);
    assert!(seen.is_empty());
    for n in 0..MAX_WEBHOOK_IDS {
        seen.taken(&n.to_string(), NOW);
    }
    assert_eq!((seen.look("one more", NOW), seen.look("7", NOW)), (Before::Full, Before::Taken));
    assert_eq!((seen.look("one more", NOW.plus(2 * WEBHOOK_TOLERANCE_MS + 1)), seen.len()), (Before::New, 0));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_believe(body in prop::collection::vec(any::<u8>(), 0..200), header in ".{0,120}", status in 0_u16..600) {
        for call in [authorise(), look_up(), capture(), void(), refund(), find(true)] {
            let said = stripe().read(&call, status, &body);
            prop_assert!(said.outcome() == Outcome::Unknown, "{:?}", said);
        }
        prop_assert!(stripe().notice(&header, &body, NOW).is_err());
    }

    #[test]
    fn a_signature_holds_for_its_body_secret_and_time_only(
        body in prop::collection::vec(any::<u8>(), 1..100), at in 0_usize..100, bit in 0_u32..8, secret in "[a-z]{1,80}", other in "[a-z]{1,80}",
    ) {
        let header = sign(&secret, &body, NOW);
        prop_assert_eq!(verify(std::slice::from_ref(&secret), &header, &body, NOW), Ok(()));
        let mut altered = body.clone();
        let at = at % altered.len();
        altered[at] ^= 1 << bit;
        prop_assert_eq!(verify(std::slice::from_ref(&secret), &header, &altered, NOW), Err(Forged::Signature));
        if other != secret {
            prop_assert_eq!(verify(&[other], &header, &body, NOW), Err(Forged::Signature));
        }
    }
}
