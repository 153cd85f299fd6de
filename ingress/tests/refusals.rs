//! Every token, shown in every way it should not be: refused with the right problem, and counted by its reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::visitor::Visitor;
use common::{ROOM, World, eventually, key};
use domain::fault::Life;
use domain::token::{Keyring, ProofTerms};
use domain::{Millis, SaleId, VisitorHash, VisitorId};
use ingress::Settings;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

const WORK: &str = r#"
id = "work"
opens_at = "2020-01-01T00:00:00Z"
admission = { pace_per_minute = 6000, active_passes = 3, proof_of_work = { least = 1000, most = 1000 } }
[[items]]
id = "floor"
units = 100
"#;
const DAY_MS: u64 = 24 * 3_600_000;

fn count(figures: &PrometheusHandle, check: &str, reason: &str) -> u64 {
    let line = format!("holdfast_ingress_refusals_total{{check=\"{check}\",reason=\"{reason}\"}} ");
    let text = figures.render();
    let value = text.lines().find_map(|found| found.strip_prefix(&line));
    value.unwrap_or_else(|| panic!("{line} is not in\n{text}")).parse().unwrap()
}

/// Who signs, for whom, in which sale, and what time it is.
struct Signer {
    ours: Keyring,
    old: Keyring,
    visitor: VisitorId,
    room: SaleId,
    work: SaleId,
    now: u64,
}

type Sign = fn(&Keyring, &SaleId, &VisitorHash, u64, Millis) -> String;

/// A pass that was given out when it was signed.
fn sign_pass(ring: &Keyring, sale: &SaleId, visitor: &VisitorHash, number: u64, expires: Millis) -> String {
    ring.sign_pass(sale, visitor, number, Life { given: Millis(0), expires })
}

impl Signer {
    fn hash(&self) -> VisitorHash {
        VisitorHash::derive(&[7; 32], &self.visitor)
    }

    /// One token of a place, in each way that it should not be shown: why it is refused, and its text.
    fn wrongly(&self, sign: Sign, other: Sign, lives: u64) -> Vec<(&'static str, String)> {
        let (hash, stranger, later) = (self.hash(), VisitorHash([9; 16]), Millis(self.now + lives));
        let good = sign(&self.ours, &self.room, &hash, 1, later);
        vec![
            ("malformed", String::new()),
            ("malformed", good[..good.len() - 4].to_owned()),
            ("malformed", format!("{good}AAAA")),
            ("bad_signature", altered(&good, good.len() / 2)),
            ("bad_signature", altered(&good, good.len() - 6)),
            ("unknown_key", sign(&self.old, &self.room, &hash, 1, later)),
            ("wrong_kind", other(&self.ours, &self.room, &hash, 1, later)),
            ("wrong_sale", sign(&self.ours, &self.work, &hash, 1, later)),
            ("wrong_visitor", sign(&self.ours, &self.room, &stranger, 1, later)),
            ("future", sign(&self.ours, &self.room, &hash, 1, Millis(u64::MAX / 2))),
        ]
    }
}

/// Another letter at this place.
fn altered(text: &str, at: usize) -> String {
    let letter = if &text[at..=at] == "A" { "B" } else { "A" };
    format!("{}{letter}{}", &text[..at], &text[at + 1..])
}

async fn world() -> (World, PrometheusHandle, Visitor, Signer) {
    let figures = PrometheusBuilder::new().install_recorder().unwrap();
    let world = World::with(&[ROOM, WORK], Settings { visitors_per_minute: 3, ..Settings::default() }).await;
    let visitor = Visitor::new(&world).await;
    let ours = Keyring::new(vec![key(1)]).unwrap();
    let signer = Signer {
        visitor: ours.verify_visitor(&visitor.token, Millis(0)).unwrap().visitor,
        old: Keyring::new(vec![key(9)]).unwrap(),
        room: "room".parse().unwrap(),
        work: "work".parse().unwrap(),
        now: common::now().0,
        ours,
    };
    (world, figures, visitor, signer)
}

/// One test, because what is counted is counted once per process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_token_shown_wrongly_is_refused_and_counted() {
    let (world, figures, visitor, signer) = world().await;
    visitors(&world, &figures, &signer).await;
    tickets(&world, &figures, &visitor, &signer).await;
    passes(&world, &figures, &visitor, &signer).await;
    marks(&world, &figures, &visitor, &signer).await;
    proofs(&world, &figures, &visitor, &signer).await;

    moves(&world, &figures, &signer).await;

    // The bound per address, by reason.
    let before = count(&figures, "address", "too_many");
    for _ in 0..3 {
        world.ask("POST", "/v1/visitors", &[], b"").await;
    }
    assert!(count(&figures, "address", "too_many") > before);
    assert_eq!(count(&figures, "address", "table_full"), 0);
}

async fn visitors(world: &World, figures: &PrometheusHandle, signer: &Signer) {
    let (who, soon) = (signer.visitor, Millis(signer.now + DAY_MS));
    let good = signer.ours.sign_visitor(&who, soon);
    for (reason, token) in [
        ("malformed", good[..good.len() - 4].to_owned()),
        ("bad_signature", altered(&good, 12)),
        ("unknown_key", signer.old.sign_visitor(&who, soon)),
        ("wrong_kind", signer.ours.sign_ticket(&signer.room, &signer.hash(), 1, soon)),
        ("expired", signer.ours.sign_visitor(&who, Millis(signer.now - 1))),
        ("future", signer.ours.sign_visitor(&who, Millis(signer.now + 32 * DAY_MS))),
    ] {
        let before = count(figures, "visitor", reason);
        let reply = Visitor { token, ..Visitor::default() }.get(world, "/v1/bookings").await;
        assert_eq!(reply.refused(), (401, "unauthenticated".into()), "{reason}");
        assert_eq!(count(figures, "visitor", reason), before + 1, "{reason}");
    }
}

async fn tickets(world: &World, figures: &PrometheusHandle, visitor: &Visitor, signer: &Signer) {
    let mut ways = signer.wrongly(Keyring::sign_ticket, sign_pass, DAY_MS);
    ways.extend(signer.wrongly(Keyring::sign_receipt, Keyring::sign_booked, DAY_MS));
    ways.push(("expired", signer.ours.sign_ticket(&signer.room, &signer.hash(), 1, Millis(signer.now - 1))));
    ways.push(("wrong_kind", visitor.token.clone()));
    for (reason, ticket) in ways.into_iter().filter(|(_, ticket)| !ticket.is_empty()) {
        let before = count(figures, "ticket", reason);
        let reply = Visitor { ticket, ..visitor.clone() }.claim(world, "room").await;
        assert_eq!(reply.refused(), (403, "forbidden".into()), "{reason}");
        assert_eq!(count(figures, "ticket", reason), before + 1, "{reason}");
    }
    // A ticket for a number that nobody was given yet is signed well, and not called.
    let ticket = signer.ours.sign_ticket(&signer.room, &signer.hash(), 4_000_000, Millis(signer.now + DAY_MS));
    let reply = Visitor { ticket, ..visitor.clone() }.claim(world, "room").await;
    assert_eq!(reply.refused(), (409, "not-your-turn".into()));
}

async fn passes(world: &World, figures: &PrometheusHandle, visitor: &Visitor, signer: &Signer) {
    for (reason, pass) in signer.wrongly(sign_pass, Keyring::sign_ticket, 60_000) {
        if pass.is_empty() {
            continue;
        }
        let before = count(figures, "pass", reason);
        let reply = Visitor { pass, ..visitor.clone() }.hold(world, "room", "k", &[("floor", 1)]).await;
        assert_eq!(reply.refused(), (403, "forbidden".into()), "{reason}");
        assert_eq!(count(figures, "pass", reason), before + 1, "{reason}");
    }
    // A replay of one's own pass after it has ended, and of a ticket that was used.
    let mut mine = visitor.clone();
    assert!(mine.join(world, "room").await.status < 300);
    eventually("entered", || async { mine.clone().claim(world, "room").await.status < 300 }).await;
    mine.claim(world, "room").await;
    assert_eq!(mine.delete(world, "/v1/sales/room/pass").await.status, 204);
    let held = mine.hold(world, "room", "again", &[("floor", 1)]).await;
    assert_eq!(held.refused(), (410, "pass-expired".into()));
    assert_eq!(mine.claim(world, "room").await.refused(), (410, "pass-expired".into()));
}

/// A mark proves a booking; one that is no good proves nothing, and says so in the figures.
async fn marks(world: &World, figures: &PrometheusHandle, visitor: &Visitor, signer: &Signer) {
    let ticket = signer.ours.sign_ticket(&signer.room, &signer.hash(), 1, Millis(signer.now + DAY_MS));
    for (reason, booked) in signer.wrongly(Keyring::sign_booked, sign_pass, DAY_MS) {
        if booked.is_empty() {
            continue;
        }
        let before = count(figures, "mark", reason);
        let reply = Visitor { booked, ticket: ticket.clone(), ..visitor.clone() };
        let reply = reply.get(world, "/v1/sales/room/ticket").await;
        assert_eq!(reply.status, 200, "{reason}: {}", reply.text());
        assert_ne!(reply.json()["state"], "done", "{reason}");
        assert_eq!(count(figures, "mark", reason), before + 1, "{reason}");
    }
}

/// A place that was moved away, and codes that move nothing.
async fn moves(world: &World, figures: &PrometheusHandle, signer: &Signer) {
    let soon = Millis(signer.now + DAY_MS);
    let of = |who: u8| Visitor { token: signer.ours.sign_visitor(&VisitorId([who; 16]), soon), ..Visitor::default() };
    let (mut phone, laptop, late) = (of(21), of(22), of(23));
    assert_eq!(phone.join(world, "room").await.status, 201);
    let code = phone.post(world, "/v1/sales/room/ticket/code", "", b"").await.json()["code"].clone();
    let take = async |visitor: &Visitor, code: &serde_json::Value| {
        let body = serde_json::json!({ "code": code }).to_string();
        visitor.post(world, "/v1/sales/room/ticket/move", "", body.as_bytes()).await
    };
    assert_eq!(take(&laptop, &code).await.status, 200);
    for (visitor, shown, reason, refused) in [
        (&late, &code, "spent", (410, "code-gone".to_owned())),
        (&late, &"00000-00000".into(), "spent", (410, "code-gone".to_owned())),
        (&late, &"nonsense".into(), "malformed", (400, "bad-request".to_owned())),
    ] {
        let before = count(figures, "move_code", reason);
        assert_eq!(take(visitor, shown).await.refused(), refused);
        assert_eq!(count(figures, "move_code", reason), before + 1, "{reason}");
    }
    let before = count(figures, "ticket", "moved");
    assert_eq!(phone.claim(world, "room").await.refused(), (410, "ticket-moved".into()));
    assert_eq!(count(figures, "ticket", "moved"), before + 1);
}

async fn proofs(world: &World, figures: &PrometheusHandle, visitor: &Visitor, signer: &Signer) {
    let (hash, stranger) = (signer.hash(), VisitorHash([9; 16]));
    let solved = |ring: &Keyring, sale: &SaleId, who: &VisitorHash, expires: u64, number: u32| {
        let terms = ProofTerms { sale, visitor: who, after: 0, expires: Millis(expires) };
        ring.challenge(&terms, 1, 5, 10).solved_by(number)
    };
    let (ours, soon) = (&signer.ours, signer.now + 60_000);
    let good = solved(ours, &signer.work, &hash, soon, 5);
    for (reason, proof) in [
        ("missing", String::new()),
        ("malformed", good[..good.len() - 4].to_owned()),
        ("malformed", signer.ours.sign_ticket(&signer.work, &hash, 1, Millis(soon))),
        ("unknown_key", solved(&signer.old, &signer.work, &hash, soon, 5)),
        ("unsolved", solved(ours, &signer.work, &hash, soon, 6)),
        ("wrong_sale", solved(ours, &signer.room, &hash, soon, 5)),
        ("wrong_visitor", solved(ours, &signer.work, &stranger, soon, 5)),
        ("expired", solved(ours, &signer.work, &hash, signer.now - 1_000, 5)),
        ("future", solved(ours, &signer.work, &hash, signer.now + DAY_MS, 5)),
    ] {
        let before = count(figures, "proof", reason);
        let reply = Visitor { proof, ticket: String::new(), ..visitor.clone() }.join(world, "work").await;
        assert_eq!(reply.refused(), (403, "proof-needed".into()), "{reason}");
        assert_eq!(count(figures, "proof", reason), before + 1, "{reason}");
    }
    // A replay after the place it bought has been used.
    let mut mine = Visitor { proof: good, ticket: String::new(), ..visitor.clone() };
    assert_eq!(mine.join(world, "work").await.status, 201);
    eventually("entered", || async { mine.clone().claim(world, "work").await.status < 300 }).await;
    mine.claim(world, "work").await;
    assert_eq!(mine.delete(world, "/v1/sales/work/pass").await.status, 204);
    let before = count(figures, "proof", "spent");
    assert_eq!(mine.join(world, "work").await.refused(), (403, "proof-needed".into()));
    assert_eq!(count(figures, "proof", "spent"), before + 1);
    let text = figures.render();
    assert!(text.contains("holdfast_ingress_proofs_total 2"), "{text}");
}
