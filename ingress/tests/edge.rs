//! What stands between the socket and the handlers: cookies, origins, addresses, traces, caches.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::visitor::{Visitor, text};
use common::{BOX, Client, ROOM, Reply, World, eventually, key};
use domain::token::Keyring;
use ingress::Settings;

/// `name=value` of a cookie that was set, to be sent back.
fn cookie(reply: &Reply, name: &str) -> String {
    let all = reply.all("set-cookie");
    let line =
        all.iter().find(|line| line.starts_with(&format!("{name}="))).unwrap_or_else(|| panic!("{name}: {all:?}"));
    line.split(';').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_goes_all_the_way_on_cookies() {
    let world = World::with(&[ROOM], Settings::default()).await;
    let page = [("origin", "http://test.example")];
    let joined = world.ask("POST", "/v1/sales/room/tickets", &page, b"").await;
    assert_eq!(joined.status, 201, "{}", joined.text());
    for line in joined.all("set-cookie") {
        assert!(line.contains("HttpOnly") && line.contains("SameSite=Lax") && !line.contains("Secure"), "{line}");
    }
    let mut jar = format!("{}; {}", cookie(&joined, "hf_visitor"), cookie(&joined, "hf_ticket"));
    let again = world.ask("POST", "/v1/sales/room/tickets", &[("cookie", &jar), page[0]], b"").await;
    assert_eq!((again.status, &again.json()["number"]), (200, &1.into()));
    let path = "/v1/sales/room/passes";
    eventually("called", || async { world.ask("POST", path, &[("cookie", &jar)], b"").await.status < 300 }).await;
    let entered = world.ask("POST", path, &[("cookie", &jar), page[0]], b"").await;
    jar = format!("{jar}; {}", cookie(&entered, "hf_pass"));
    let body = br#"{"lines":[{"item":"floor","quantity":1}]}"#;
    let headers = [("cookie", jar.as_str()), ("idempotency-key", "k"), ("content-type", "application/json"), page[0]];
    let held = world.ask("POST", "/v1/sales/room/holds", &headers, body).await;
    assert_eq!(held.status, 201, "{}", held.text());
    let confirm = format!("/v1/holds/{}/confirm", text(&held.json()["hold_id"]));
    assert_eq!(world.ask("POST", &confirm, &headers, b"{}").await.status, 201);
    let left = world.ask("DELETE", "/v1/sales/room/pass", &headers[..1], b"").await;
    assert_eq!((left.status, cookie(&left, "hf_pass")), (204, "hf_pass=".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_page_can_neither_act_with_a_cookie_nor_replace_it() {
    let settings = Settings { allowed_origins: vec!["https://shop.example".into()], ..Settings::default() };
    let world = World::with(&[ROOM], settings).await;
    let jar = cookie(&world.ask("POST", "/v1/sales/room/tickets", &[], b"").await, "hf_visitor");
    let cookies = ("cookie", jar.as_str());
    for origin in ["https://evil.example", "null", "http://test.example.evil.example"] {
        for path in ["/v1/sales/room/tickets", "/v1/sales/room/passes"] {
            let reply = world.ask("POST", path, &[cookies, ("origin", origin)], b"").await;
            assert_eq!(reply.refused(), (403, "forbidden".into()), "{origin} {path}");
            assert!(reply.header("access-control-allow-origin").is_none());
        }
        for path in ["/v1/visitors", "/v1/sales/room/tickets"] {
            let reply = world.ask("POST", path, &[("origin", origin)], b"").await;
            assert_eq!((reply.refused(), reply.all("set-cookie").len()), ((403, "forbidden".into()), 0));
        }
    }
    let allowed =
        world.ask("POST", "/v1/sales/room/tickets", &[cookies, ("origin", "https://shop.example")], b"").await;
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://shop.example"));
    assert_eq!(allowed.header("access-control-allow-credentials"), Some("true"));
    let token = jar.strip_prefix("hf_visitor=").unwrap();
    let app = [("holdfast-visitor", token), ("origin", "https://evil.example")];
    assert_eq!(world.ask("POST", "/v1/sales/room/tickets", &app, b"").await.status, 200, "a header is nobody's cookie");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn preflights_are_answered_for_allowed_origins_only() {
    let settings = Settings { allowed_origins: vec!["https://shop.example".into()], ..Settings::default() };
    let world = World::with(&[BOX], settings).await;
    let ask = async |origin| {
        let headers = [("origin", origin), ("access-control-request-method", "POST")];
        world.ask("OPTIONS", "/v1/sales/box/holds", &headers, b"").await
    };
    let allowed = ask("https://shop.example").await;
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header("access-control-allow-methods"), Some("POST, OPTIONS"));
    assert!(allowed.header("access-control-allow-headers").unwrap().contains("idempotency-key"));
    assert_eq!(allowed.header("vary"), Some("origin"));
    let refused = ask("https://evil.example").await;
    assert!(refused.header("access-control-allow-methods").is_none());
    assert_eq!(refused.header("vary"), Some("origin"), "a cache must not mix them up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visitors_are_limited_per_address_and_told_so() {
    let settings =
        Settings { visitors_per_minute: 3, trusted_proxies: vec!["127.0.0.1".parse().unwrap()], ..Settings::default() };
    let world = World::with(&[ROOM], settings).await;
    for left in ["2", "1"] {
        let made = world.ask("POST", "/v1/visitors", &[], b"").await;
        assert_eq!(made.status, 201);
        assert!(made.header("ratelimit").unwrap().contains(&format!("r={left};")), "{made:?}");
        assert_eq!(made.header("ratelimit-policy"), Some("\"visitors\";q=3;w=60"));
    }
    assert_eq!(
        world.ask("POST", "/v1/sales/room/tickets", &[], b"").await.status,
        201,
        "a join without a visitor counts"
    );
    for path in ["/v1/visitors", "/v1/sales/room/tickets"] {
        let refused = world.ask("POST", path, &[], b"").await;
        assert_eq!(refused.refused(), (429, "too-many-requests".into()));
        assert!(refused.header("ratelimit").unwrap().contains("r=0;"));
        let other = world.ask("POST", path, &[("x-forwarded-for", "192.0.2.1")], b"").await;
        assert_eq!(other.status, 201, "the client behind the proxy has its own");
        assert!(other.all("set-cookie").iter().all(|line| line.contains("Secure")), "not from this machine: {other:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_are_named_and_cached_and_not_sent_twice() {
    let world = World::with(&[BOX, ROOM], Settings::default()).await;
    for path in ["/v1/sales", "/v1/sales/box", "/v1/sales/box/line", "/v1/sales/room/line", "/openapi.json"] {
        let full = world.ask("GET", path, &[], b"").await;
        assert_eq!((full.status, full.header("cache-control")), (200, Some("public, max-age=1")));
        let etag = full.header("etag").unwrap().to_owned();
        let same = world.ask("GET", path, &[("if-none-match", &etag)], b"").await;
        assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, Some(etag.as_str())), "{path}");
        let head = world.ask("HEAD", path, &[], b"").await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), full.header("content-length"));
        assert_eq!(head.header("etag"), Some(etag.as_str()));
    }
    let visitor = Visitor::new(&world).await;
    assert_eq!(visitor.get(&world, "/v1/bookings").await.header("cache-control"), Some("no-store"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_go_on_and_problems_name_them() {
    let world = World::bare(Settings::default()).await;
    let theirs = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let reply = world.ask("GET", "/v1/sales/nope", &[("traceparent", theirs)], b"").await;
    let ours = reply.header("traceparent").unwrap();
    assert!(ours.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && ours != theirs);
    assert_eq!(reply.json()["instance"], "/v1/sales/nope#4bf92f3577b34da6a3ce929d0e0e4736");
    let begun = world.ask("GET", "/", &[], b"").await;
    assert_eq!(begun.header("traceparent").unwrap().len(), 55);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_signs_and_the_old_one_still_verifies() {
    let world = World::with(&[BOX], Settings::default()).await;
    let old = Visitor::new(&world).await;
    world.app.set_keyring(Keyring::new(vec![key(2), key(1)]).unwrap());
    let new = Visitor::new(&world).await;
    for visitor in [&old, &new] {
        assert_eq!(visitor.get(&world, "/v1/bookings").await.status, 200);
    }
    world.app.set_keyring(Keyring::new(vec![key(2)]).unwrap());
    assert_eq!(old.get(&world, "/v1/bookings").await.status, 401);
    assert_eq!(new.get(&world, "/v1/bookings").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_there_is_no_room_catalogue_status_holds_and_confirms_stop_in_this_order() {
    let world = World::with(&[BOX], Settings { in_flight: 8, ..Settings::default() }).await;
    let visitor = Visitor::new(&world).await;
    let id = text(&visitor.hold(&world, "box", "k", &[("floor", 1)]).await.json()["hold_id"]);
    let (hold, confirm) = (format!("/v1/holds/{id}"), format!("/v1/holds/{id}/confirm"));
    let mut under_way = Vec::new();
    // A request whose body is awaited is under way.
    let occupy = async |under_way: &mut Vec<Client>, most: usize, path: &str| {
        while under_way.len() < most {
            let mut client = Client::to(world.public).await;
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: x\r\nholdfast-visitor: {}\r\nidempotency-key: k\r\n\
                 content-length: 2\r\nexpect: 100-continue\r\n\r\n",
                visitor.token
            );
            client.write(head.as_bytes()).await;
            assert_eq!(client.reply().await.unwrap().status, 100, "its body is awaited");
            under_way.push(client);
        }
    };
    let overloaded = (503, "overloaded".to_owned());
    occupy(&mut under_way, 2, "/v1/visitors").await;
    assert_eq!(world.ask("GET", "/v1/sales", &[], b"").await.refused(), overloaded);
    assert_eq!(visitor.get(&world, &hold).await.status, 200);
    occupy(&mut under_way, 4, "/v1/visitors").await;
    assert_eq!(visitor.get(&world, &hold).await.refused(), overloaded);
    assert_eq!(visitor.hold(&world, "box", "k2", &[("floor", 1)]).await.status, 201);
    occupy(&mut under_way, 7, "/v1/visitors").await;
    assert_eq!(visitor.hold(&world, "box", "k3", &[("floor", 1)]).await.refused(), overloaded);
    assert_eq!(visitor.confirm(&world, &id).await.status, 201);
    occupy(&mut under_way, 8, &confirm).await;
    let refused = visitor.post(&world, &confirm, "k", b"").await;
    assert_eq!((refused.refused(), refused.header("retry-after")), (overloaded, Some("1")));
    assert_eq!(world.ask("GET", "/v1/sales/box/line", &[], b"").await.status, 200, "costs no more than a refusal");
    for client in &mut under_way {
        client.write(b"{}").await;
        assert_eq!(client.reply().await.unwrap().status, 201);
    }
    assert_eq!(world.ask("GET", "/v1/sales", &[], b"").await.status, 200, "and all is well again");
}
