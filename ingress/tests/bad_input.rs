//! Whatever is wrong with a request gets the right problem and status, and changes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::visitor::{Visitor, text};
use common::{BOX, Client, LATER, ROOM, World, eventually, key};
use domain::fault::Life;
use domain::token::Keyring;
use domain::{Millis, VisitorHash, VisitorId};
use ingress::Settings;

const GOOD: &[u8] = br#"{"lines":[{"item":"floor","quantity":1}]}"#;
/// In 2033: within what a ticket may be good for.
const FAR: Millis = Millis(2_000_000_000_000);

/// A pass or ticket signed by hand: sale, number, expiry.
fn signed(visitor: &Visitor, keyring: &Keyring, make: impl Fn(&Keyring, &VisitorHash) -> String) -> String {
    let known = Keyring::new(vec![key(1)]).unwrap().verify_visitor(&visitor.token, Millis(0)).unwrap();
    make(keyring, &VisitorHash::derive(&[7; 32], &known.visitor))
}

/// The life of a pass given long ago.
const fn until(expires: Millis) -> Life {
    Life { given: Millis(0), expires }
}

async fn inside(world: &World) -> Visitor {
    let mut visitor = Visitor::new(world).await;
    visitor.join(world, "room").await;
    eventually("entered", || async { visitor.clone().claim(world, "room").await.status < 300 }).await;
    visitor.claim(world, "room").await;
    visitor
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_come_in_their_order_sale_visitor_key_body_open_pass() {
    let world = World::with(&[ROOM, LATER], Settings::default()).await;
    let nobody = Visitor::default();
    let somebody = Visitor::new(&world).await;
    let bad = b"{\"lines\":[]}";
    let refused = async |visitor: &Visitor, sale: &str, key: &str, body: &[u8]| {
        visitor.post(&world, &format!("/v1/sales/{sale}/holds"), key, body).await.refused()
    };
    assert_eq!(refused(&nobody, "nope", "", bad).await, (404, "not-found".into()));
    assert_eq!(refused(&nobody, "later", "", bad).await, (401, "unauthenticated".into()));
    assert_eq!(refused(&somebody, "later", "", bad).await, (400, "key-missing".into()));
    assert_eq!(refused(&somebody, "later", "k", bad).await, (400, "bad-request".into()));
    assert_eq!(refused(&somebody, "later", "k", GOOD).await, (409, "sale-not-open".into()));
    assert_eq!(refused(&somebody, "room", "k", GOOD).await, (403, "forbidden".into()));
    let left = inside(&world).await;
    left.delete(&world, "/v1/sales/room/pass").await;
    assert_eq!(refused(&left, "room", "k", GOOD).await, (410, "pass-expired".into()));
    let good = inside(&world).await;
    assert_eq!(good.post(&world, "/v1/sales/room/holds", "k", GOOD).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_not_an_order_is_refused_and_says_where() {
    let world = World::with(&[BOX], Settings::default()).await;
    let visitor = Visitor::new(&world).await;
    let line = |item: &str, quantity: &str| format!("{{\"lines\":[{{\"item\":\"{item}\",\"quantity\":{quantity}}}]}}");
    let twice = r#"{"lines":[{"item":"floor","quantity":1},{"item":"floor","quantity":1}]}"#;
    let many = format!("{{\"lines\":[{}]}}", vec![r#"{"item":"floor","quantity":1}"#; 21].join(","));
    let cases: Vec<(String, u16, &str, &str)> = vec![
        (line("floor", "0"), 400, "bad-request", "lines[0].quantity"),
        (line("floor", "-1"), 400, "bad-request", "1 to 1000"),
        (line("floor", "1001"), 400, "bad-request", "lines[0].quantity"),
        (line("floor", "18446744073709551616"), 400, "bad-request", "lines[0].quantity"),
        (line("floor", "1.5"), 400, "bad-request", "whole number"),
        (line("floor", "\"1\""), 400, "bad-request", "whole number"),
        (line("nothing", "1"), 404, "not-found", "nothing"),
        (line("NOT A NAME", "1"), 404, "not-found", "NOT A NAME"),
        (twice.into(), 400, "bad-request", "lines[1].item"),
        (many, 400, "bad-request", "21 lines"),
        (r#"{"lines":[]}"#.into(), 400, "bad-request", "1 to 20"),
        (r#"{"lines":[{"item":"floor","quantity":1}],"coupon":"x"}"#.into(), 400, "bad-request", "coupon"),
        (r#"{"lines":[{"item":"floor","quantity":1,"price":0}]}"#.into(), 400, "bad-request", "price"),
        ("{}".into(), 400, "bad-request", "lines"),
        ("[]".into(), 400, "bad-request", "line 1"),
        (r#"{"lines":[["floor",1]]}"#.into(), 400, "bad-request", "expected an object"),
        (r#"{"lines":["floor"]}"#.into(), 400, "bad-request", "expected an object"),
        ("{\"lines\":[\n{]".into(), 400, "bad-request", "line 2, column 2"),
        ("\u{fffd}".into(), 400, "bad-request", "line 1"),
    ];
    for (body, status, problem, says) in cases {
        let reply = visitor.post(&world, "/v1/sales/box/holds", "k", body.as_bytes()).await;
        assert_eq!(reply.refused(), (status, problem.into()), "{body}");
        assert!(reply.json()["detail"].as_str().unwrap().contains(says), "{body}: {}", reply.text());
        assert!(!reply.text().contains("struct"), "our types are nobody's business: {}", reply.text());
    }
    let several = r#"{"lines":[{"item":"floor","quantity":0},{"item":"balcony","quantity":-2}]}"#;
    let reply = visitor.post(&world, "/v1/sales/box/holds", "k", several.as_bytes()).await;
    assert_eq!(reply.json()["errors"].as_array().unwrap().len(), 2, "all mistakes are told together");
    let untouched = visitor.hold(&world, "box", "k", &[("floor", 4)]).await;
    assert_eq!((untouched.status, untouched.header("idempotency-replayed")), (201, None), "nothing was changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_another_type_or_size_are_refused_without_reading_them_to_the_end() {
    let world = World::with(&[BOX], Settings::default()).await;
    let visitor = Visitor::new(&world).await;
    let path = "/v1/sales/box/holds";
    let headers = [("holdfast-visitor", visitor.token.as_str()), ("idempotency-key", "k")];
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
        let mut all = headers.to_vec();
        all.push(("content-type", kind));
        let reply = world.ask("POST", path, &all, GOOD).await;
        assert_eq!(reply.refused(), (415, "wrong-content-type".into()), "{kind}");
    }
    for kind in ["application/json; charset=utf-8", "Application/JSON"] {
        let mut all = headers.to_vec();
        all.extend([("content-type", kind), ("content-encoding", "identity")]);
        assert_eq!(world.ask("POST", path, &all, GOOD).await.status, 201, "{kind}");
    }
    let mut packed = headers.to_vec();
    packed.push(("content-encoding", "gzip"));
    assert_eq!(world.ask("POST", path, &packed, GOOD).await.refused(), (415, "wrong-content-type".into()));
    let mut twice = headers.to_vec();
    twice.extend([("content-type", "application/json"), ("content-type", "text/plain")]);
    assert_eq!(world.ask("POST", path, &twice, GOOD).await.refused(), (400, "bad-request".into()));
    for path in ["/v1/visitors", "/v1/sales/box/holds"] {
        assert_eq!(world.ask("POST", path, &headers, b"[]").await.refused(), (400, "bad-request".into()), "{path}");
    }

    let huge = vec![b' '; 1 << 20];
    let reply = world.ask("POST", path, &headers, &huge).await;
    assert_eq!(reply.refused(), (413, "too-large".into()));
    assert_eq!(reply.header("connection"), Some("close"));

    let mut chunked = Client::to(world.public).await;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nholdfast-visitor: {}\r\nidempotency-key: k\r\ntransfer-encoding: chunked\r\n\r\n",
        visitor.token
    );
    chunked.write(head.as_bytes()).await;
    let chunk = format!("{:x}\r\n{}\r\n", 10_000, " ".repeat(10_000));
    chunked.write(format!("{chunk}{chunk}").as_bytes()).await;
    assert_eq!(chunked.reply().await.unwrap().refused(), (413, "too-large".into()), "an unannounced size is counted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_needed_short_and_sent_once() {
    let world = World::with(&[BOX], Settings::default()).await;
    let visitor = Visitor::new(&world).await;
    let held = visitor.hold(&world, "box", &"k".repeat(128), &[("floor", 1)]).await;
    assert_eq!(held.status, 201, "128 characters are a key");
    let id = text(&held.json()["hold_id"]);
    let paths =
        ["/v1/sales/box/holds".to_owned(), format!("/v1/holds/{id}/confirm"), format!("/v1/bookings/{id}/cancel")];
    for path in &paths {
        let body = if path.ends_with("holds") { GOOD } else { b"{}" };
        assert_eq!(visitor.post(&world, path, "", body).await.refused(), (400, "key-missing".into()), "{path}");
        for bad in [&"k".repeat(129), "with space", "d\u{fc}"] {
            assert_eq!(
                visitor.post(&world, path, bad, body).await.refused(),
                (400, "bad-request".into()),
                "{path} {bad}"
            );
        }
        let twice = [("holdfast-visitor", visitor.token.as_str()), ("idempotency-key", "a"), ("idempotency-key", "b")];
        assert_eq!(world.ask("POST", path, &twice, body).await.refused(), (400, "bad-request".into()));
        let empty = [("holdfast-visitor", visitor.token.as_str()), ("idempotency-key", "")];
        assert_eq!(world.ask("POST", path, &empty, body).await.refused(), (400, "key-missing".into()));
    }
    assert_eq!(visitor.get(&world, &format!("/v1/holds/{id}")).await.json()["state"], "held", "nothing was changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_sent_twice_is_refused_instead_of_choosing_one() {
    let world = World::with(&[BOX, ROOM], Settings::default()).await;
    let (one, two) = (inside(&world).await, inside(&world).await);
    let ask = async |method: &str, path: &str, twice: &str, tokens: [&str; 2], rest: &[(&str, &str)]| {
        let mut headers = rest.to_vec();
        headers.extend(tokens.map(|token| (twice, token)));
        world.ask(method, path, &headers, b"").await.refused()
    };
    let refused = (400, "bad-request".to_owned());
    let visitors = [one.token.as_str(), two.token.as_str()];
    assert_eq!(ask("GET", "/v1/bookings", "holdfast-visitor", visitors, &[]).await, refused);
    assert_eq!(ask("POST", "/v1/sales/room/tickets", "holdfast-visitor", visitors, &[]).await, refused);
    let mine = [("holdfast-visitor", one.token.as_str())];
    let tickets = [one.ticket.as_str(), two.ticket.as_str()];
    assert_eq!(ask("GET", "/v1/sales/room/ticket", "holdfast-ticket", tickets, &mine).await, refused);
    assert_eq!(ask("POST", "/v1/sales/room/tickets", "holdfast-ticket", tickets, &mine).await, refused);
    let passes = [one.pass.as_str(), two.pass.as_str()];
    assert_eq!(ask("DELETE", "/v1/sales/room/pass", "holdfast-pass", passes, &mine).await, refused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visitors_that_are_missing_altered_expired_or_of_another_house_are_unauthenticated() {
    let world = World::with(&[BOX, ROOM], Settings::default()).await;
    let visitor = Visitor::new(&world).await;
    let ours = Keyring::new(vec![key(1)]).unwrap();
    let theirs = Keyring::new(vec![key(2)]).unwrap();
    let mut altered = visitor.token.clone();
    altered.replace_range(12..13, if &altered[12..13] == "A" { "B" } else { "A" });
    let ticket = signed(&visitor, &ours, |ring, hash| ring.sign_ticket(&"room".parse().unwrap(), hash, 1, FAR));
    let cases = [
        ("missing", String::new()),
        ("altered", altered),
        ("expired", ours.sign_visitor(&VisitorId([1; 16]), Millis(1))),
        ("unknown key", theirs.sign_visitor(&VisitorId([1; 16]), FAR)),
        ("a ticket", ticket),
        ("nonsense", "%%%".into()),
        ("long nonsense", "A".repeat(5_000)),
    ];
    for (what, token) in cases {
        let somebody = Visitor { token, ..Visitor::default() };
        for path in ["/v1/bookings", "/v1/sales/room/ticket"] {
            let reply = somebody.get(&world, path).await;
            assert_eq!(reply.refused(), (401, "unauthenticated".into()), "{what} {path}");
            assert_eq!(reply.header("www-authenticate"), Some("Holdfast-Visitor"));
        }
        let hold = somebody.hold(&world, "box", "k", &[("floor", 1)]).await;
        assert_eq!(hold.refused(), (401, "unauthenticated".into()), "{what}");
        if !somebody.token.is_empty() {
            let joined = somebody.clone().join(&world, "room").await;
            assert_eq!(joined.refused(), (401, "unauthenticated".into()), "{what}: a header that is wrong is told");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tickets_that_are_missing_altered_foreign_or_expired_do_not_enter() {
    let world = World::with(&[ROOM, LATER], Settings::default()).await;
    let (ours, theirs) = (Keyring::new(vec![key(1)]).unwrap(), Keyring::new(vec![key(2)]).unwrap());
    let mut visitor = Visitor::new(&world).await;
    let mut other = Visitor::new(&world).await;
    visitor.join(&world, "room").await;
    other.join(&world, "room").await;
    let (room, later) = ("room".parse().unwrap(), "later".parse().unwrap());
    let mut altered = visitor.ticket.clone();
    altered.replace_range(40..41, if &altered[40..41] == "A" { "B" } else { "A" });
    let cases = [
        ("missing", String::new()),
        ("altered", altered),
        ("another visitor's", other.ticket.clone()),
        ("another sale's", signed(&visitor, &ours, |ring, hash| ring.sign_ticket(&later, hash, 1, FAR))),
        ("expired", signed(&visitor, &ours, |ring, hash| ring.sign_ticket(&room, hash, 1, Millis(1)))),
        ("unknown key", signed(&visitor, &theirs, |ring, hash| ring.sign_ticket(&room, hash, 1, FAR))),
        ("a pass", signed(&visitor, &ours, |ring, hash| ring.sign_pass(&room, hash, 1, until(FAR)))),
        ("the visitor", visitor.token.clone()),
    ];
    for (what, ticket) in cases {
        let mut somebody = Visitor { ticket, ..visitor.clone() };
        let status = somebody.get(&world, "/v1/sales/room/ticket").await;
        assert_eq!(status.refused(), (403, "forbidden".into()), "{what}");
        assert_eq!(somebody.claim(&world, "room").await.refused(), (403, "forbidden".into()), "{what}");
        if what == "expired" {
            assert_eq!(
                somebody.join(&world, "room").await.status,
                200,
                "joining gives a new ticket for an expired one"
            );
        } else if !somebody.ticket.is_empty() {
            assert_eq!(somebody.join(&world, "room").await.refused(), (403, "forbidden".into()), "{what}");
        }
    }
    let forged = signed(&visitor, &ours, |ring, hash| ring.sign_ticket(&room, hash, 900, FAR));
    let mut ahead = Visitor { ticket: forged, ..visitor.clone() };
    let claimed = ahead.claim(&world, "room").await;
    assert!(matches!(claimed.status, 201 | 200 | 409), "a number nobody was given brings nobody in earlier");
    assert_eq!(visitor.join(&world, "room").await.json()["number"], 1, "the place is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_that_are_missing_altered_or_foreign_do_not_hold() {
    let world = World::with(&[ROOM, LATER], Settings::default()).await;
    let (ours, theirs) = (Keyring::new(vec![key(1)]).unwrap(), Keyring::new(vec![key(2)]).unwrap());
    let (visitor, other) = (inside(&world).await, inside(&world).await);
    let (room, later) = ("room".parse().unwrap(), "later".parse().unwrap());
    let mut altered = visitor.pass.clone();
    altered.replace_range(60..61, if &altered[60..61] == "A" { "B" } else { "A" });
    let cases = [
        ("missing", String::new()),
        ("altered", altered),
        ("another visitor's", other.pass.clone()),
        ("another sale's", signed(&visitor, &ours, |ring, hash| ring.sign_pass(&later, hash, 1, until(FAR)))),
        ("unknown key", signed(&visitor, &theirs, |ring, hash| ring.sign_pass(&room, hash, 1, until(FAR)))),
        ("the ticket", visitor.ticket.clone()),
    ];
    for (what, pass) in cases {
        let somebody = Visitor { pass, ..visitor.clone() };
        let refused = somebody.hold(&world, "room", "k", &[("floor", 1)]).await;
        assert_eq!(refused.refused(), (403, "forbidden".into()), "{what}");
        assert_eq!(somebody.delete(&world, "/v1/sales/room/pass").await.refused(), (403, "forbidden".into()), "{what}");
    }
    let expired = signed(&visitor, &ours, |ring, hash| ring.sign_pass(&room, hash, 1, until(Millis(1))));
    let late = Visitor { pass: expired, ..visitor.clone() };
    assert_eq!(
        late.get(&world, "/v1/sales/room/ticket").await.json()["state"],
        "released",
        "expired, and nothing booked"
    );
    for (number, state) in [(1, "done"), (2, "inside")] {
        let booked = signed(&visitor, &ours, |ring, hash| ring.sign_booked(&room, hash, number, FAR));
        let marked = Visitor { booked, ..visitor.clone() };
        assert_eq!(
            marked.get(&world, "/v1/sales/room/ticket").await.json()["state"],
            state,
            "the mark of its own ticket"
        );
    }
    assert_eq!(late.hold(&world, "room", "k", &[("floor", 1)]).await.refused(), (410, "pass-expired".into()));
    assert_eq!(visitor.hold(&world, "room", "k", &[("floor", 1)]).await.status, 201, "nothing was changed");
    let replay = late.hold(&world, "room", "k", &[("floor", 1)]).await;
    assert_eq!(
        (replay.status, replay.header("idempotency-replayed")),
        (201, Some("true")),
        "a repeat is answered whenever it comes"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_and_methods_that_do_not_exist_are_told_apart() {
    let world = World::with(&[BOX], Settings::default()).await;
    let visitor = Visitor::new(&world).await;
    for path in [
        "/nothing",
        "/v1",
        "/v1/",
        "/v1/sales/",
        "/v1/sales/box/",
        "/v1/sales/box/nothing",
        "//",
        "/v1/sales/nope/line",
    ] {
        let reply = world.ask("GET", path, &[], b"").await;
        assert_eq!(reply.refused(), (404, "not-found".into()), "{path}");
    }
    for id in ["x", "00000000-0000-8000-8000-000000000000", "BOX", "%2e%2e"] {
        for path in [format!("/v1/holds/{id}"), format!("/v1/bookings/{id}")] {
            assert_eq!(visitor.get(&world, &path).await.refused(), (404, "not-found".into()), "{path}");
        }
    }
    for (method, path, allow) in [
        ("POST", "/v1/sales", "GET, HEAD, OPTIONS"),
        ("GET", "/v1/visitors", "POST, OPTIONS"),
        ("PUT", "/v1/holds/x", "GET, DELETE, HEAD, OPTIONS"),
        ("PATCH", "/v1/sales/box/line", "GET, HEAD, OPTIONS"),
    ] {
        let reply = world.ask(method, path, &[], b"").await;
        assert_eq!(reply.refused(), (405, "method-not-allowed".into()), "{method} {path}");
        assert_eq!(reply.header("allow"), Some(allow));
        let options = world.ask("OPTIONS", path, &[], b"").await;
        assert_eq!((options.status, options.header("allow")), (204, Some(allow)));
    }
    let whole = Client::to(world.public).await.send("OPTIONS", "*", &[], b"").await;
    assert_eq!((whole.status, whole.header("allow")), (204, Some("GET, HEAD, POST, PUT, DELETE, OPTIONS")));
    let waiting = visitor.clone().join(&world, "box").await;
    assert_eq!(waiting.refused(), (404, "not-found".into()), "a sale without a waiting room has no tickets");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_problem_has_its_page() {
    let world = World::bare(Settings::default()).await;
    let list = world.ask("GET", "/problems", &[], b"").await;
    let names: Vec<&str> =
        list.text().split("href='/problems/").skip(1).map(|rest| rest.split('\'').next().unwrap()).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let page = world.ask("GET", &format!("/problems/{name}"), &[], b"").await;
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        assert!(page.text().contains(name) && page.body.len() < 30_000);
    }
    assert_eq!(world.ask("GET", "/problems/nothing", &[], b"").await.refused(), (404, "not-found".into()));
}
