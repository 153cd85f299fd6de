//! The page as a browser without a script meets it: links, forms, cookies and redirects.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;

use common::visitor::Visitor;
use common::{BOX, Client, LATER, ROOM, Reply, World, eventually};
use ingress::Settings;

/// Name and path of a cookie lead to its value.
#[derive(Clone, Default)]
struct Browser {
    jar: BTreeMap<(String, String), String>,
    language: &'static str,
}

impl Browser {
    /// One request with the cookies of its path; keeps those of the answer.
    async fn send(&mut self, world: &World, method: &str, path: &str, more: &[(&str, &str)], body: &str) -> Reply {
        let at = path.split('?').next().unwrap();
        let sent = self.jar.iter().filter(|((_, of), _)| of == "/" || at == of || at.starts_with(&format!("{of}/")));
        let cookies: Vec<String> = sent.map(|((name, _), value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = vec![("cookie", cookies.as_str()), ("accept-language", self.language)];
        headers.extend(more);
        if method == "POST" {
            headers.push(("content-type", "application/x-www-form-urlencoded"));
        }
        let reply = world.ask(method, path, &headers, body.as_bytes()).await;
        for line in reply.all("set-cookie") {
            let (pair, rest) = line.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            let path = rest.split("Path=").nth(1).unwrap().split(';').next().unwrap();
            let key = (name.to_owned(), path.to_owned());
            match rest.contains("Max-Age=0;") {
                true => self.jar.remove(&key),
                false => self.jar.insert(key, value.to_owned()),
            };
        }
        reply
    }

    async fn open(&mut self, world: &World, path: &str) -> String {
        let reply = self.send(world, "GET", path, &[], "").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.text().to_owned()
    }

    /// Sends the form of this act as it stands on the page, with these values filled in, and follows the redirect.
    async fn submit(&mut self, world: &World, page: &str, act: &str, fill: &[(&str, &str)]) -> String {
        let (action, mut fields) = form(page, act);
        fields.extend(fill.iter().map(|(name, value)| format!("{name}={value}")));
        let reply = self.send(world, "POST", &action, &[], &fields.join("&")).await;
        assert_eq!((reply.status, reply.header("cache-control")), (303, Some("no-store")), "{}", reply.text());
        self.open(world, reply.header("location").unwrap()).await
    }

    /// Opens the page again until it shows this face.
    async fn until(&mut self, world: &World, path: &str, face: &str) -> String {
        let seen = tokio::sync::Mutex::new((self.clone(), String::new()));
        eventually(face, || async {
            let mut seen = seen.lock().await;
            let (browser, page) = &mut *seen;
            *page = browser.open(world, path).await;
            view(page) == face
        })
        .await;
        let (browser, page) = seen.into_inner();
        *self = browser;
        page
    }

    /// Joins and enters, up to the form for choosing.
    async fn inside(&mut self, world: &World, path: &str) -> String {
        let page = self.open(world, path).await;
        if view(&page) == "join" {
            self.submit(world, &page, "join", &[]).await;
        }
        let page = self.until(world, path, "called").await;
        self.submit(world, &page, "enter", &[]).await
    }

    async fn bookings(&mut self, world: &World) -> Vec<serde_json::Value> {
        let reply = self.send(world, "GET", "/v1/bookings", &[], "").await;
        reply.json()["bookings"].as_array().unwrap().clone()
    }
}

/// Address and hidden fields of a form.
#[track_caller]
fn form(page: &str, act: &str) -> (String, Vec<String>) {
    let forms = page.split("<form method=post action=\"").skip(1).map(|rest| rest.split_once('"').unwrap());
    let (action, rest) = forms
        .into_iter()
        .find(|(action, _)| action.ends_with(&format!("/{act}")))
        .unwrap_or_else(|| panic!("no form {act}: {page}"));
    let inside = rest.split("</form>").next().unwrap();
    let hidden = inside.split("type=hidden name=").skip(1).map(|field| {
        let name = field.split(' ').next().unwrap().trim_matches('"');
        format!("{name}={}", field.split("value=\"").nth(1).unwrap().split('"').next().unwrap())
    });
    (action.to_owned(), hidden.collect())
}

#[track_caller]
fn view(page: &str) -> &str {
    page.split("data-view=\"").nth(1).unwrap_or_else(|| panic!("{page}")).split('"').next().unwrap()
}

/// What the page says about what was done last.
fn note(page: &str) -> &str {
    page.split("id=note>").nth(1).map_or("", |rest| rest.split('<').next().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_without_a_script_buys_and_no_form_counts_twice() {
    let world = World::with(&[ROOM], Settings::default()).await;
    let mut person = Browser::default();
    assert!(person.open(&world, "/").await.contains("<a href=\"/sales/room\">"));
    let page = person.open(&world, "/sales/room").await;
    assert_eq!(view(&page), "join");
    let joined = person.submit(&world, &page, "join", &[]).await;
    assert!(["waiting", "called"].contains(&view(&joined)), "{joined}");
    assert!(joined.contains("<noscript><meta http-equiv=refresh content=\""), "{joined}");

    let called = person.until(&world, "/sales/room", "called").await;
    let choosing = person.submit(&world, &called, "enter", &[]).await;
    assert_eq!(view(&choosing), "choose");
    assert!(!choosing.contains("http-equiv=refresh"), "nobody's choice is reloaded away");
    let mut second_tab = person.clone();

    let held = person.submit(&world, &choosing, "hold", &[("q.floor", "2")]).await;
    assert_eq!((view(&held), note(&held)), ("holding", ""), "{held}");
    assert!(held.contains("<dd>2 ×</dd>"), "{held}");
    let twice = person.submit(&world, &choosing, "hold", &[("q.floor", "2")]).await;
    assert_eq!(form(&twice, "confirm"), form(&held, "confirm"), "the same form is the same hold");
    let theirs = second_tab.submit(&world, &choosing, "hold", &[("q.floor", "2")]).await;
    assert_eq!(form(&theirs, "confirm"), form(&held, "confirm"), "also from a tab that knows nothing of it");
    assert_eq!(view(&person.open(&world, "/sales/room").await), "holding", "and after a refresh");

    let booked = person.submit(&world, &held, "confirm", &[]).await;
    assert_eq!(view(&booked), "booked", "{booked}");
    let again = second_tab.submit(&world, &theirs, "confirm", &[]).await;
    assert_eq!(view(&again), "booked");
    let bookings = person.bookings(&world).await;
    assert_eq!(bookings.len(), 1, "{bookings:?}");
    assert_eq!(bookings[0]["lines"], serde_json::json!([{"item": "floor", "quantity": 2}]));
    assert!(booked.contains(bookings[0]["booking_id"].as_str().unwrap()));

    let anew = person.submit(&world, &booked, "again", &[]).await;
    assert_eq!(view(&anew), "join");
    let next = person.submit(&world, &anew, "join", &[]).await;
    assert!(["waiting", "called"].contains(&view(&next)), "with a new number: {next}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_tab_with_a_form_of_its_own_is_shown_what_is_held() {
    let world = World::with(&[ROOM], Settings::default()).await;
    let mut person = Browser::default();
    let one = person.inside(&world, "/sales/room").await;
    let two = person.open(&world, "/sales/room").await;
    assert_ne!(form(&one, "hold"), form(&two, "hold"), "every form has a key of its own");
    let held = person.submit(&world, &one, "hold", &[("q.floor", "1")]).await;
    let shown = person.submit(&world, &two, "hold", &[("q.floor", "3")]).await;
    assert_eq!(form(&shown, "confirm"), form(&held, "confirm"));
    let given_back = person.submit(&world, &shown, "release", &[]).await;
    assert_eq!(view(&given_back), "choose");
    let left = person.submit(&world, &given_back, "leave", &[]).await;
    assert_eq!(view(&left), "join");
    assert!(note(&left).starts_with("You have left"), "{left}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_waiting_room_one_chooses_at_once_and_refusals_are_told_in_words() {
    let world = World::with(&[BOX], Settings::default()).await;
    let mut person = Browser::default();
    let page = person.open(&world, "/sales/box").await;
    assert_eq!(view(&page), "choose");
    assert!(page.contains("12.50 EUR") && page.contains("At most 4 per person."), "{page}");
    for nothing in [&[][..], &[("q.floor", "0")], &[("q.floor", "-1")], &[("q.floor", "two")]] {
        let refused = person.submit(&world, &page, "hold", nothing).await;
        assert_eq!((view(&refused), note(&refused)), ("choose", "Please choose how many."), "{nothing:?}");
    }
    let refused = person.submit(&world, &page, "hold", &[("q.floor", "5")]).await;
    assert!(note(&refused).starts_with("That is more than one person may have"), "{refused}");
    let held = person.submit(&world, &refused, "hold", &[("q.floor", "1"), ("q.balcony", "2")]).await;
    assert_eq!(view(&held), "holding");
    assert!(held.contains("<dt><bdi>Total</bdi></dt><dd>12.50 EUR</dd>"), "{held}");
    assert_eq!(view(&person.submit(&world, &held, "confirm", &[]).await), "booked");
    assert_eq!(person.bookings(&world).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_while_as_many_are_inside_as_may_be_keeps_the_place() {
    let world = World::with(&[ROOM], Settings::default()).await;
    for _ in 0..3 {
        let mut visitor = Visitor::new(&world).await;
        visitor.join(&world, "room").await;
        eventually("entered", || async { visitor.clone().claim(&world, "room").await.status < 300 }).await;
    }
    let mut fourth = Browser::default();
    let page = fourth.open(&world, "/sales/room").await;
    let page = fourth.submit(&world, &page, "join", &[]).await;
    assert_eq!(view(&page), "waiting");
    assert!(page.contains("data-watch=\"ticket\"") && page.contains("id=ahead"), "{page}");
    let early = fourth.send(&world, "POST", "/sales/room/enter", &[], "").await;
    let told = early.header("location").unwrap();
    assert!(told.starts_with("/sales/room?said=not-your-turn&in="), "{told}");
    let page = fourth.open(&world, told).await;
    assert!(note(&page).contains("Your place is kept"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_operator_does_is_told_in_words() {
    let world = World::with(&[ROOM], Settings::default()).await;
    let act = async |method: &str, act: &str, body: &str| {
        let json = [("content-type", "application/json")];
        let done = world.operate(method, &format!("/admin/v1/sales/room/{act}"), &json, body.as_bytes()).await;
        assert_eq!(done.status, 200, "{}", done.text());
    };
    let (mut person, mut late) = (Browser::default(), Browser { language: "ko", ..Browser::default() });
    act("POST", "pause", r#"{"message": "We <b>check</b> the stage."}"#).await;
    let page = person.until(&world, "/sales/room", "paused").await;
    assert!(page.contains("We &lt;b&gt;check&lt;/b&gt; the stage."), "{page}");
    let joined = person.submit(&world, &page, "join", &[]).await;
    assert!(view(&joined) == "paused" && !joined.contains("/join\""), "one joins during a pause, once: {joined}");
    act("POST", "pause", "{}").await;
    // An act is in force everywhere within a step: until then the words of before are shown.
    let without_words = async |mut late: Browser| {
        let page = late.until(&world, "/sales/room", "paused").await;
        !page.contains("<p class=card>") && page.contains("유지됩니다")
    };
    eventually("no words but the page's own", || without_words(late.clone())).await;
    act("POST", "resume", r#"{"ramp_ms": 0}"#).await;
    person.until(&world, "/sales/room", "called").await;

    act("PUT", "joining", r#"{"open": false}"#).await;
    let page = late.until(&world, "/sales/room", "not_joining").await;
    assert!(!page.contains("<form") && page.contains("http-equiv=refresh"), "{page}");
    assert_eq!(view(&person.open(&world, "/sales/room").await), "called");
    act("POST", "close", "{}").await;
    person.until(&world, "/sales/room", "closed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_that_ended_leads_back_to_joining() {
    let world = World::with(&[ROOM], Settings::default()).await;
    let mut person = Browser::default();
    let choosing = person.inside(&world, "/sales/room").await;
    let mut elsewhere = person.clone();
    assert_eq!(elsewhere.send(&world, "DELETE", "/v1/sales/room/pass", &[], "").await.status, 204);
    let page = person.submit(&world, &choosing, "hold", &[("q.floor", "1")]).await;
    assert_eq!(view(&page), "join");
    assert!(note(&page).starts_with("Your time inside is over"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_page_can_submit_no_form() {
    let world = World::with(&[ROOM, BOX], Settings::default()).await;
    let mut person = Browser::default();
    person.inside(&world, "/sales/room").await;
    let foreign: [&[(&str, &str)]; 3] =
        [&[("origin", "https://evil.example")], &[("origin", "null")], &[("sec-fetch-site", "cross-site")]];
    for headers in foreign {
        for act in [
            "room/join",
            "room/enter",
            "room/leave",
            "room/hold",
            "room/confirm",
            "room/release",
            "room/again",
            "box/hold",
        ] {
            let reply = person.send(&world, "POST", &format!("/sales/{act}"), headers, "q.floor=1&key=k").await;
            assert_eq!(
                (reply.refused(), reply.header("set-cookie")),
                ((403, "forbidden".into()), None),
                "{act} {headers:?}"
            );
        }
    }
    let own: &[(&str, &str)] = &[("origin", "http://test.example"), ("sec-fetch-site", "same-origin")];
    assert_eq!(person.send(&world, "POST", "/sales/room/leave", own, "").await.status, 303);
    let wrong = world.ask("POST", "/sales/box/hold", &[("content-type", "text/plain")], b"q.floor=1").await;
    assert_eq!(wrong.refused(), (415, "wrong-content-type".into()));
    assert_eq!(person.send(&world, "POST", "/sales/none/join", own, "").await.refused(), (404, "not-found".into()));
}

const HOSTILE: &str = r#"
id = "hostile"
title = "</title><script>alert(1)</script><b title=\"'&"
opens_at = "2020-01-01T00:00:00Z"
admission = "none"
[[items]]
id = "bad"
title = "\"><img src=x onerror=alert(2)>{item}"
units = 5
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobodys_words_become_markup() {
    let world = World::with(&[HOSTILE], Settings::default()).await;
    let mut person = Browser::default();
    let mut pages = vec![person.open(&world, "/").await, person.open(&world, "/sales/hostile").await];
    for query in
        ["said=%3Cscript%3E", "said=%22%3E%3Cb%3E&in=%22%3E", "key=%22%3E%3Cb%3E", "lang=%22%3E%3Cb%3E", "joined"]
    {
        pages.push(person.open(&world, &format!("/sales/hostile?{query}")).await);
    }
    let held = person.submit(&world, &pages[1], "hold", &[("q.bad", "1")]).await;
    let booked = person.submit(&world, &held, "confirm", &[]).await;
    assert_eq!((view(&held), view(&booked)), ("holding", "booked"));
    pages.extend([held, booked]);
    for page in &pages {
        assert!(
            page.contains("&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;b title=&quot;&#39;&amp;"),
            "{page}"
        );
        for bad in ["<img", "<b ", "<b>", "<script>", "onerror=alert(2)>"] {
            assert!(!page.contains(bad), "{bad}: {page}");
        }
        assert_eq!(page.matches("<script").count(), 1, "{page}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_together_is_small_and_nothing_is_inline_or_foreign() {
    let world = World::with(&[ROOM], Settings::default()).await;
    for language in ["en", "ko"] {
        let mut person = Browser { language, ..Browser::default() };
        let mut pages = vec![person.open(&world, "/sales/room").await];
        pages.push(person.submit(&world, &pages[0], "join", &[]).await);
        pages.push(person.inside(&world, "/sales/room").await);
        pages.push(person.submit(&world, &pages[2], "hold", &[("q.floor", "1")]).await);
        pages.push(person.submit(&world, &pages[3], "confirm", &[]).await);
        let mut files = 0;
        for file in ["/page/style.css", "/page/script.js"] {
            let from = pages[0].find(file).unwrap();
            let address = pages[0][from..].split('"').next().unwrap();
            let reply = world.ask("GET", address, &[], b"").await;
            assert_eq!((reply.status, reply.header("cache-control").unwrap().contains("immutable")), (200, true));
            files += reply.body.len();
            let tag = reply.header("etag").unwrap();
            assert_eq!(world.ask("GET", address, &[("if-none-match", tag)], b"").await.status, 304);
            let other = world.ask("GET", &format!("{file}?v=0"), &[], b"").await;
            assert_eq!(
                other.header("cache-control"),
                Some("no-cache"),
                "another version is not kept under this address"
            );
        }
        let largest = pages.iter().map(String::len).max().unwrap();
        assert!(largest + files < 30_000, "{largest} bytes of page and {files} of style and script");
        for page in &pages {
            assert!(page.contains(&format!("<html lang=\"{language}\" dir=\"ltr\">")), "{page}");
            for inline in ["<style", " style=", " onclick", " onload", "javascript:", "http://", "https://", "//"] {
                let rest = page.replace("<!doctype html>", "");
                assert!(!rest.contains(inline), "{inline}: {page}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_says_what_browsers_may_do_with_it_and_speaks_the_visitors_language() {
    let world = World::with(&[LATER], Settings::default()).await;
    let mut person = Browser { language: "ko-KR,ko;q=0.9,en;q=0.5", ..Browser::default() };
    let reply = person.send(&world, "GET", "/sales/later", &[], "").await;
    let policy = reply.header("content-security-policy").unwrap();
    for part in
        ["default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for (name, value) in [
        ("content-language", "ko"),
        ("cache-control", "no-store"),
        ("vary", "accept-language, cookie"),
        ("referrer-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    let page = reply.text();
    assert!(page.contains("아직 오픈 전입니다") && page.contains("datetime=\"2126-01-01T00:00:00.000Z\""), "{page}");
    assert!(person.open(&world, "/sales/later?lang=en").await.contains("Not open yet"));
    assert!(person.open(&world, "/sales/later").await.contains("Not open yet"), "the choice is remembered");
    assert!(Browser::default().open(&world, "/").await.contains("not open yet"));

    let page = person.open(&world, "/sales/later").await;
    let lobby = person.submit(&world, &page, "join", &[]).await;
    assert_eq!((view(&lobby), note(&lobby)), ("lobby", ""), "{lobby}");
    assert!(lobby.contains("You are in the lobby") && lobby.contains("data-watch=\"ticket\""), "{lobby}");

    let none = person.send(&world, "GET", "/sales/none", &[], "").await;
    assert_eq!(none.status, 404);
    assert!(none.text().contains("There is no such sale"), "{}", none.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_refuses_cookies_is_told_so() {
    let world = World::with(&[ROOM], Settings::default()).await;
    let page = Browser::default().open(&world, "/sales/room").await;
    let (action, _) = form(&page, "join");
    let reply = Browser::default().send(&world, "POST", &action, &[], "").await;
    let told = Browser::default().open(&world, reply.header("location").unwrap()).await;
    assert_eq!(view(&told), "join");
    assert!(note(&told).contains("Allow cookies"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_there_is_no_room_people_get_a_page_that_tries_again() {
    let world = World::bare_unasked(Settings { in_flight: 1, ..Settings::default() }).await;
    let reply = Client::to(world.public).await.get("/sales/any", &[("accept-language", "ko")]).await;
    assert_eq!((reply.status, reply.header("content-language")), (503, Some("ko")));
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((5..=10).contains(&seconds));
    assert!(reply.text().contains(&format!("http-equiv=refresh content=\"{seconds}\"")), "{}", reply.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_joining_costs_work_the_form_carries_it_and_a_browser_without_a_script_is_told() {
    let work = ROOM.replace("active_passes = 3", "active_passes = 3, proof_of_work = { least = 1000, most = 1000 }");
    let world = World::with(&[work.as_str()], Settings::default()).await;
    let mut person = Browser::default();
    let page = person.open(&world, "/sales/room").await;
    let from = page.find("/page/proof.js").unwrap();
    let address = page[from..].split('"').next().unwrap();
    let worker = world.ask("GET", address, &[], b"").await;
    assert_eq!((worker.status, worker.header("content-type")), (200, Some("text/javascript; charset=utf-8")));
    assert!(page.contains("<noscript><p class=note>Joining this sale needs JavaScript"), "{page}");
    let policy = person.send(&world, "GET", "/sales/room", &[], "").await;
    assert!(policy.header("content-security-policy").unwrap().contains("worker-src 'self'"));

    let refused = person.submit(&world, &page, "join", &[]).await;
    assert_eq!(view(&refused), "join");
    assert!(note(&refused).contains("needs JavaScript"), "{refused}");

    // What the script does: a visitor came with the refusal, so there is a challenge.
    let reply = person.send(&world, "GET", "/v1/sales/room/challenge", &[], "").await;
    let challenge: domain::Challenge = serde_json::from_slice(&reply.body).unwrap();
    let proof = challenge.solved_by(challenge.solve().unwrap()).replace('+', "%2B").replace('/', "%2F");
    let joined = person.submit(&world, &page, "join", &[("altcha", &proof)]).await;
    assert!(matches!(view(&joined), "waiting" | "called"), "{joined}");

    // A place that is used up is followed by another one, which is paid for anew.
    let inside = person.inside(&world, "/sales/room").await;
    let left = person.submit(&world, &inside, "leave", &[]).await;
    let again = person.submit(&world, &left, "join", &[("altcha", &proof)]).await;
    assert!(note(&again).contains("needs JavaScript"), "a solution buys one place: {again}");
    let reply = person.send(&world, "GET", "/v1/sales/room/challenge", &[], "").await;
    let challenge: domain::Challenge = serde_json::from_slice(&reply.body).unwrap();
    let proof = challenge.solved_by(challenge.solve().unwrap()).replace('+', "%2B").replace('/', "%2F");
    let joined = person.submit(&world, &again, "join", &[("altcha", &proof)]).await;
    assert!(matches!(view(&joined), "waiting" | "called"), "{joined}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_moves_a_place_from_one_browser_to_another() {
    // Nobody gets in: one inside is enough, and the others wait.
    let narrow = ROOM.replace("active_passes = 3", "active_passes = 1");
    let world = World::with(&[narrow.as_str()], Settings::default()).await;
    let (mut first, mut phone, mut laptop) = (Browser::default(), Browser::default(), Browser::default());
    first.inside(&world, "/sales/room").await;
    let page = phone.open(&world, "/sales/room").await;
    phone.submit(&world, &page, "join", &[]).await;
    let waiting = phone.until(&world, "/sales/room", "waiting").await;
    let shown = phone.submit(&world, &waiting, "offer", &[]).await;
    let code = shown.split("<b class=big>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let page = laptop.open(&world, "/sales/room").await;
    let wrong = laptop.submit(&world, &page, "take", &[("code", "nonsense")]).await;
    assert!(note(&wrong).contains("not right"), "{wrong}");
    let moved = laptop.submit(&world, &wrong, "take", &[("code", &code)]).await;
    assert_eq!(view(&moved), "waiting", "{moved}");
    let page = Browser::default().open(&world, "/sales/room").await;
    let late = Browser::default().submit(&world, &page, "take", &[("code", &code)]).await;
    assert!(note(&late).contains("used already"), "{late}");

    let inside = first.open(&world, "/sales/room").await;
    first.submit(&world, &inside, "leave", &[]).await;
    let called = phone.until(&world, "/sales/room", "called").await;
    let told = phone.submit(&world, &called, "enter", &[]).await;
    assert_eq!((view(&told), note(&told)), ("join", "Your place is on another device now."), "{told}");
    laptop.inside(&world, "/sales/room").await;
}
