//! What visitors do, from the first look to the booking and back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::visitor::{Visitor, text};
use common::{BOX, LATER, ROOM, World, eventually, key, now};
use domain::limits::TICKET_MOST_MS;
use domain::token::Keyring;
use domain::{Millis, VisitorHash};
use ingress::Settings;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_joins_enters_holds_books_looks_and_cancels() {
    let world = World::with(&[ROOM], Settings::default()).await;
    let mut visitor = Visitor::default();
    let joined = visitor.join(&world, "room").await;
    assert_eq!(joined.status, 201, "{}", joined.text());
    assert_eq!(joined.header("location"), Some("/v1/sales/room/ticket"));
    visitor.token = text(&joined.json()["visitor"]);
    assert_eq!(joined.json()["number"], 1);

    let again = visitor.join(&world, "room").await;
    assert_eq!((again.status, &again.json()["number"]), (200, &1.into()), "the same visitor, the same place");

    eventually("the ticket is called", || async {
        visitor.get(&world, "/v1/sales/room/ticket").await.json()["state"] == "called"
    })
    .await;
    let entered = visitor.claim(&world, "room").await;
    assert_eq!(
        (entered.status, entered.header("location")),
        (201, Some("/v1/sales/room/ticket")),
        "{}",
        entered.text()
    );
    assert!(entered.json()["expires_in_ms"].as_u64().unwrap() > 50_000);
    let pass = visitor.pass.clone();
    assert_eq!(visitor.claim(&world, "room").await.status, 200);
    assert_eq!(visitor.pass, pass, "one ticket has one pass");
    assert_eq!(visitor.get(&world, "/v1/sales/room/ticket").await.json()["state"], "inside");

    let held = visitor.hold(&world, "room", "k1", &[("floor", 2)]).await;
    assert_eq!(held.status, 201, "{}", held.text());
    let id = text(&held.json()["hold_id"]);
    assert_eq!(held.header("location"), Some(format!("/v1/holds/{id}").as_str()));
    assert_eq!(visitor.get(&world, &format!("/v1/holds/{id}")).await.json()["state"], "held");

    let booked = visitor.confirm(&world, &id).await;
    assert_eq!(booked.status, 201, "{}", booked.text());
    let booking = booked.json();
    assert_eq!((&booking["booking_id"], &booking["state"]), (&id.clone().into(), &"booked".into()));
    assert_eq!((&booking["sale"], &booking["log"]), (&"room".into(), &"lane/room/0".into()));
    assert_eq!(booking["lines"], serde_json::json!([{"item": "floor", "quantity": 2}]));

    assert_eq!(visitor.get(&world, "/v1/sales/room/ticket").await.json()["state"], "inside", "nothing else came along");
    visitor.booked = booked.header("holdfast-booked").unwrap().to_owned();
    let cookie = format!("hf_booked={}; Path=/v1/sales/room;", visitor.booked);
    assert!(booked.all("set-cookie").iter().any(|line| line.starts_with(&cookie)), "{booked:?}");
    assert_eq!(visitor.get(&world, "/v1/sales/room/ticket").await.json()["state"], "done");

    let hold = visitor.get(&world, &format!("/v1/holds/{id}")).await.json();
    assert_eq!((&hold["state"], &hold["booking_id"]), (&"sold".into(), &id.clone().into()));
    assert_eq!(visitor.get(&world, "/v1/bookings").await.json()["bookings"], serde_json::json!([booking]));
    assert_eq!(visitor.get(&world, &format!("/v1/bookings/{id}")).await.json(), booking);

    let cancelled = visitor.post(&world, &format!("/v1/bookings/{id}/cancel"), "x", b"").await;
    assert_eq!((cancelled.status, &cancelled.json()["state"]), (200, &"cancelled".into()));
    assert_eq!(cancelled.header("idempotency-replayed"), None);
    let twice = visitor.post(&world, &format!("/v1/bookings/{id}/cancel"), "x", b"{}").await;
    assert_eq!((twice.status, twice.header("idempotency-replayed")), (200, Some("true")));
    assert_eq!(
        visitor.post(&world, &format!("/v1/holds/{id}/confirm"), "c", b"").await.refused(),
        (410, "hold-gone".into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_or_books_makes_room_and_cannot_hold_any_more() {
    let world = World::with(&[ROOM], Settings::default()).await;
    let mut inside = Vec::new();
    for _ in 0..3 {
        let mut visitor = Visitor::new(&world).await;
        visitor.join(&world, "room").await;
        eventually("entered", || async { visitor.clone().claim(&world, "room").await.status < 300 }).await;
        visitor.claim(&world, "room").await;
        inside.push(visitor);
    }
    let mut fourth = Visitor::new(&world).await;
    assert_eq!(fourth.join(&world, "room").await.json()["number"], 4);
    let refused = fourth.claim(&world, "room").await;
    assert_eq!(refused.refused(), (409, "not-your-turn".into()));
    assert_eq!(refused.json()["retry_safe"], true);

    assert_eq!(inside[0].delete(&world, "/v1/sales/room/pass").await.status, 204);
    assert_eq!(inside[0].delete(&world, "/v1/sales/room/pass").await.status, 204, "also when repeated");
    eventually("the fourth enters", || async { fourth.clone().claim(&world, "room").await.status < 300 }).await;

    let late = inside[0].hold(&world, "room", "k", &[("floor", 1)]).await;
    assert_eq!(late.refused(), (410, "pass-expired".into()));
    assert_eq!(inside[0].clone().claim(&world, "room").await.refused(), (410, "pass-expired".into()));
    let rejoined = inside[0].join(&world, "room").await;
    assert_eq!((rejoined.status, &rejoined.json()["number"]), (201, &5.into()), "a new number after the pass ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_is_answered_from_the_record_and_says_so() {
    let world = World::with(&[BOX], Settings::default()).await;
    let visitor = Visitor::new(&world).await;
    let first = visitor.hold(&world, "box", "same", &[("floor", 1), ("balcony", 1)]).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, None), "{}", first.text());
    assert_eq!(first.json()["price"], serde_json::json!({"amount": "12.50", "currency": "EUR"}));
    let again = visitor.hold(&world, "box", "same", &[("balcony", 1), ("floor", 1)]).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")));
    assert_eq!(again.json()["hold_id"], first.json()["hold_id"]);
    let other = visitor.hold(&world, "box", "same", &[("floor", 2)]).await;
    assert_eq!(other.refused(), (422, "key-reused".into()));

    let id = text(&first.json()["hold_id"]);
    let booked = visitor.confirm(&world, &id).await;
    let repeated = visitor.confirm(&world, &id).await;
    assert_eq!((booked.status, repeated.status), (201, 201));
    assert_eq!(booked.header("idempotency-replayed"), None);
    assert_eq!(repeated.header("idempotency-replayed"), Some("true"));
    assert_eq!(repeated.json(), booked.json());
    let sold = visitor.hold(&world, "box", "same", &[("floor", 1), ("balcony", 1)]).await;
    assert_eq!((sold.status, &sold.json()["state"]), (201, &"sold".into()), "the record as it is now");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_twins_get_one_booking() {
    let world = World::with(&[BOX], Settings::default()).await;
    let visitor = Visitor::new(&world).await;
    let holds =
        futures_util::future::join_all((0..20).map(|_| visitor.hold(&world, "box", "twin", &[("floor", 1)]))).await;
    let id = text(&holds[0].json()["hold_id"]);
    assert!(holds.iter().all(|reply| reply.status == 201 && reply.json()["hold_id"] == id.as_str()));
    let replayed = holds.iter().filter(|reply| reply.header("idempotency-replayed").is_some()).count();
    assert_eq!(replayed, 19);
    let path = format!("/v1/holds/{id}/confirm");
    let confirms = futures_util::future::join_all((0..20).map(|_| visitor.post(&world, &path, "twin", b"{}"))).await;
    assert!(confirms.iter().all(|reply| matches!(reply.status, 201 | 202)));
    assert!(confirms.iter().any(|reply| reply.header("idempotency-replayed").is_none()), "one of them booked it");
    let bookings = visitor.get(&world, "/v1/bookings").await.json();
    assert_eq!(bookings["bookings"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_gone_held_or_too_much_is_refused_by_name_and_changes_nothing() {
    let world = World::with(&[BOX], Settings::default()).await;
    let (one, two, three) = (Visitor::new(&world).await, Visitor::new(&world).await, Visitor::new(&world).await);
    let first = one.hold(&world, "box", "a", &[("floor", 4)]).await;
    assert_eq!(first.status, 201);
    assert_eq!(one.hold(&world, "box", "b", &[("floor", 1)]).await.refused(), (409, "limit-reached".into()));
    let held = two.hold(&world, "box", "c", &[("floor", 2), ("balcony", 1)]).await;
    assert_eq!(held.refused(), (409, "all-held".into()), "all lines or none");
    assert!(held.header("retry-after").is_some());
    let id = text(&first.json()["hold_id"]);
    assert_eq!(one.confirm(&world, &id).await.status, 201);
    assert_eq!(
        two.hold(&world, "box", "c", &[("floor", 2)]).await.refused(),
        (409, "sold-out".into()),
        "the same key may be tried again"
    );
    assert_eq!(two.hold(&world, "box", "c", &[("floor", 1)]).await.status, 201);
    assert_eq!(three.hold(&world, "box", "d", &[("balcony", 4)]).await.status, 201);
    eventually("the line's document says so", || async {
        let line = three.get(&world, "/v1/sales/box/line").await.json();
        line["items"] == serde_json::json!([{"item": "floor", "stock": "held"}, {"item": "balcony", "stock": "plenty"}])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_released_hold_gives_its_units_back_and_a_booked_one_does_not() {
    let world = World::with(&[BOX], Settings::default()).await;
    let visitor = Visitor::new(&world).await;
    let id = text(&visitor.hold(&world, "box", "a", &[("floor", 4)]).await.json()["hold_id"]);
    let path = format!("/v1/holds/{id}");
    assert_eq!(visitor.delete(&world, &path).await.status, 204);
    assert_eq!(visitor.delete(&world, &path).await.status, 204);
    assert_eq!(visitor.get(&world, &path).await.json()["state"], "released");
    let anew = visitor.hold(&world, "box", "a", &[("floor", 4)]).await;
    assert_eq!((anew.status, &anew.json()["state"]), (201, &"held".into()), "the same key holds anew");
    assert_eq!(visitor.confirm(&world, &id).await.status, 201);
    assert_eq!(visitor.delete(&world, &path).await.refused(), (409, "hold-decided".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_nobody_knows_is_unknown_to_its_visitor_and_decided_when_confirmed() {
    let world = World::with(&[BOX], Settings::default()).await;
    let visitor = Visitor::new(&world).await;
    let id = text(&visitor.hold(&world, "box", "a", &[("floor", 1)]).await.json()["hold_id"]);
    let stranger = Visitor::new(&world).await;
    for path in [format!("/v1/holds/{id}"), format!("/v1/bookings/{id}")] {
        assert_eq!(stranger.get(&world, &path).await.refused(), (404, "not-found".into()));
    }
    assert_eq!(stranger.confirm(&world, &id).await.refused(), (404, "not-found".into()));

    world.redis.as_ref().unwrap().redis().raw(&[b"FLUSHALL"]).await.unwrap();
    eventually("the lane is loaded again", || async {
        visitor.get(&world, &format!("/v1/holds/{id}")).await.status == 200
    })
    .await;
    assert_eq!(visitor.get(&world, &format!("/v1/holds/{id}")).await.json()["state"], "unknown");
    assert_eq!(stranger.get(&world, &format!("/v1/holds/{id}")).await.refused(), (404, "not-found".into()));
    assert_eq!(visitor.confirm(&world, &id).await.refused(), (410, "hold-gone".into()));
    assert_eq!(
        visitor.hold(&world, "box", "a", &[("floor", 1)]).await.refused(),
        (410, "hold-gone".into()),
        "the key is used up"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_says_when_it_opens_and_lets_nobody_in_before_or_after() {
    let world = World::with(&[LATER, ROOM], Settings::default()).await;
    let mut visitor = Visitor::new(&world).await;
    let shown = visitor.get(&world, "/v1/sales/later").await.json();
    assert_eq!((&shown["state"], &shown["opens_at"]), (&"scheduled".into(), &"2126-01-01T00:00:00.000Z".into()));
    assert!(shown["opens_in_ms"].as_u64().unwrap() > 1_000_000_000);
    assert_eq!(visitor.join(&world, "later").await.json()["state"], "lobby", "the door is shut, the lobby is open");
    assert_eq!(visitor.claim(&world, "later").await.refused(), (409, "sale-not-open".into()));
    visitor.ticket.clear();
    let all = visitor.get(&world, "/v1/sales").await.json();
    let ids: Vec<&str> = all["sales"].as_array().unwrap().iter().map(|sale| sale["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["later", "room"]);

    visitor.join(&world, "room").await;
    world.operate("POST", "/admin/v1/sales/room/close", &[], b"").await;
    eventually("the sale is closed", || async {
        visitor.get(&world, "/v1/sales/room/line").await.json()["state"] == "closed"
    })
    .await;
    for refused in [visitor.join(&world, "room").await, visitor.hold(&world, "room", "k", &[("floor", 1)]).await] {
        assert_eq!(refused.refused(), (410, "sale-closed".into()));
    }
    assert_eq!(visitor.claim(&world, "room").await.refused(), (410, "sale-closed".into()));
    let without = Visitor { ticket: String::new(), ..visitor.clone() };
    for mut visitor in [visitor, without] {
        assert_eq!(visitor.get(&world, "/v1/sales/room/ticket").await.refused(), (410, "sale-closed".into()));
        assert_eq!(visitor.claim(&world, "room").await.refused(), (410, "sale-closed".into()));
    }
}

/// The answer to the first may have been lost: it must not be worth less than the record.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_hold_is_answered_from_its_record_without_a_pass_and_after_the_sale_has_closed() {
    let world = World::with(&[ROOM], Settings::default()).await;
    let mut visitor = Visitor::new(&world).await;
    visitor.join(&world, "room").await;
    eventually("entered", || async { visitor.clone().claim(&world, "room").await.status < 300 }).await;
    visitor.claim(&world, "room").await;
    let held = visitor.hold(&world, "room", "k", &[("floor", 1)]).await;
    let given_back = visitor.hold(&world, "room", "back", &[("floor", 1)]).await;
    let path = format!("/v1/holds/{}", text(&given_back.json()["hold_id"]));
    assert_eq!(visitor.delete(&world, &path).await.status, 204);

    let bare = Visitor { pass: String::new(), ..visitor.clone() };
    let repeats = async |state: &str, refused: (u16, String)| {
        for visitor in [&bare, &visitor] {
            let again = visitor.hold(&world, "room", "k", &[("floor", 1)]).await;
            assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")), "{}", again.text());
            assert_eq!((&again.json()["hold_id"], &again.json()["state"]), (&held.json()["hold_id"], &state.into()));
            let other = visitor.hold(&world, "room", "k", &[("floor", 2)]).await;
            assert_eq!(other.refused(), (422, "key-reused".into()));
        }
        for key in ["never", "back"] {
            assert_eq!(bare.hold(&world, "room", key, &[("floor", 1)]).await.refused(), refused, "{key}");
        }
    };
    repeats("held", (403, "forbidden".into())).await;
    world.operate("POST", "/admin/v1/sales/room/close", &[], b"").await;
    eventually("the sale is closed", || async {
        bare.get(&world, "/v1/sales/room/line").await.json()["state"] == "closed"
    })
    .await;
    repeats("held", (410, "sale-closed".into())).await;
    assert_eq!(visitor.confirm(&world, &text(&held.json()["hold_id"])).await.status, 201);
    repeats("sold", (410, "sale-closed".into())).await;
}

/// When the ticket of a sale that closes at this time ends.
async fn ends(closes: Millis) -> Millis {
    let closing = ROOM.replace("admission", &format!("closes_at = \"{closes}\"\nadmission"));
    let world = World::with(&[&closing], Settings::default()).await;
    let mut visitor = Visitor::new(&world).await;
    visitor.join(&world, "room").await;
    let ring = Keyring::new(vec![key(1)]).unwrap();
    let known = ring.verify_visitor(&visitor.token, Millis(0)).unwrap();
    let hash = VisitorHash::derive(&[7; 32], &known.visitor);
    ring.verify_ticket(&visitor.ticket, &"room".parse().unwrap(), &hash, Millis(0)).unwrap().expires
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_outlives_the_close_that_its_sale_had_when_it_was_signed() {
    let closes = Millis(now().0 / 1_000 * 1_000).plus(365 * 24 * 3_600_000);
    assert_eq!(ends(closes).await, closes.plus(30 * 24 * 3_600_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_ticket_is_good_for_more_than_ten_years() {
    let before = now();
    let ended = ends(Millis::parse_rfc3339("2126-01-01T00:00:00Z").unwrap()).await;
    assert!(ended >= before.plus(TICKET_MOST_MS) && ended <= now().plus(TICKET_MOST_MS), "{ended}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_is_away_requests_are_answered_unavailable_and_safe_to_repeat() {
    let mut world = World::with(&[BOX], Settings::default()).await;
    let visitor = Visitor::new(&world).await;
    let held = visitor.hold(&world, "box", "a", &[("floor", 1)]).await;
    let id = text(&held.json()["hold_id"]);
    world.redis.as_mut().unwrap().kill().unwrap();
    let refused = visitor.hold(&world, "box", "b", &[("floor", 1)]).await;
    assert_eq!(refused.refused(), (503, "unavailable".into()));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.json()["retry_safe"], true);
    assert_eq!(visitor.get(&world, "/v1/sales/box/line").await.status, 200, "what memory answers is answered");
    assert_eq!(visitor.get(&world, "/v1/bookings").await.status, 200, "bookings come from the ledger");
    world.redis.as_mut().unwrap().restart().unwrap();
    eventually("served again", || async { visitor.hold(&world, "box", "b", &[("floor", 1)]).await.status == 201 })
        .await;
    let confirmed = visitor.confirm(&world, &id).await;
    assert!(matches!(confirmed.status, 201 | 410), "{}", confirmed.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tickets_of_one_visitor_are_one_place_and_the_better_one_enters() {
    let world = World::with(&[ROOM], Settings::default()).await;
    let mut first = Visitor::new(&world).await;
    assert_eq!(first.join(&world, "room").await.json()["number"], 1);
    world.redis.as_ref().unwrap().redis().raw(&[b"FLUSHALL"]).await.unwrap();
    let forgot = Visitor { token: first.token.clone(), ..Visitor::default() };
    eventually("the line is loaded again", || async { forgot.clone().join(&world, "room").await.status < 300 }).await;
    let mut second = forgot.clone();
    assert_eq!(second.join(&world, "room").await.json()["number"], 2, "the store had forgotten the place");
    assert_eq!(first.join(&world, "room").await.json()["number"], 1, "presenting the ticket restores it");
    // Before its number is called, the worse ticket is told to wait like any other.
    eventually("both numbers are called", || async {
        second.clone().claim(&world, "room").await.header("set-cookie").is_some()
    })
    .await;
    let worse = second.claim(&world, "room").await;
    assert_eq!(worse.refused(), (409, "not-your-turn".into()), "{}", worse.text());
    assert!(worse.header("set-cookie").unwrap().starts_with("hf_ticket="), "the browser gets the better ticket");
    assert_eq!(second.join(&world, "room").await.json()["number"], 1, "and so does an app");
    assert_eq!(second.claim(&world, "room").await.status, 201);
    let pass = second.pass.clone();
    assert_eq!(first.claim(&world, "room").await.status, 200);
    assert_eq!(first.pass, pass, "one place, one pass");
}
