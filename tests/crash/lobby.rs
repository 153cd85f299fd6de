//! A lobby that must survive: receipts, and the order that follows from them, checked by `holdfast draw verify`.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::http::{Answer, Client};
use crate::line::insist;
use crate::rig::Rig;
use crate::wait::within;

const WAITING: usize = 40;

fn sale(id: &str) -> String {
    format!(
        "id = \"{id}\"\nadmission = {{ pace_per_minute = 6000, active_passes = 100 }}\n\n[[items]]\nid = \"seat\"\nunits = 1000\n"
    )
}

struct Early {
    visitor: String,
    receipt: String,
    index: u64,
}

impl Early {
    fn come(rig: &Rig, http: &mut Client, sale: &str) -> Self {
        let visitor = insist(rig, http, "POST", "/v1/visitors", &[], &[201]).text("visitor");
        let answer = join(rig, http, sale, &[("holdfast-visitor", &visitor)]);
        assert_eq!(answer.body["state"], "lobby", "{}", answer.body);
        Self { receipt: answer.text("ticket"), index: answer.body["index"].as_u64().unwrap(), visitor }
    }

    /// Asks again, with the receipt or without.
    fn again(&self, rig: &Rig, http: &mut Client, sale: &str, with_receipt: bool) -> Answer {
        let who = [("holdfast-visitor", self.visitor.as_str()), ("holdfast-ticket", self.receipt.as_str())];
        join(rig, http, sale, &who[..if with_receipt { 2 } else { 1 }])
    }

    /// The number, once it is drawn.
    fn number(&self, rig: &Rig, http: &mut Client, sale: &str) -> u64 {
        for _ in 0..600 {
            if let Some(number) = self.again(rig, http, sale, true).body["number"].as_u64() {
                return number;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        panic!("the lobby of {sale} is never drawn");
    }
}

fn join(rig: &Rig, http: &mut Client, sale: &str, who: &[(&str, &str)]) -> Answer {
    insist(rig, http, "POST", &format!("/v1/sales/{sale}/tickets"), who, &[200, 201])
}

/// Comes, kills, asks again, opens, kills within the draw, asks again. `after` is how long the opening has been done by then.
pub(crate) fn survives(rig: &mut Rig, id: &str, after: Duration) {
    rig.offer(&sale(id));
    let mut http = Client::default();
    let mut early: Vec<Early> = (0..WAITING).map(|_| Early::come(rig, &mut http, id)).collect();
    rig.kill_redis();
    rig.kill();
    rig.go_on();
    early.extend((0..5).map(|_| Early::come(rig, &mut http, id)));
    for (n, early) in early.iter().enumerate() {
        assert_eq!((early.index, n), (n as u64, n), "a receipt was lost or given twice");
        let again = early.again(rig, &mut http, id, n % 2 == 0);
        assert_eq!((again.status, again.body["index"].as_u64()), (200, Some(early.index)));
    }
    let commitment = published(rig, &mut http, id).text("commitment");
    rig.open(id);
    std::thread::park_timeout(after);
    rig.kill();
    rig.go_on();
    let numbers: Vec<u64> = early.iter().map(|early| early.number(rig, &mut http, id)).collect();
    let all: BTreeSet<u64> = numbers.iter().copied().collect();
    assert!(all.into_iter().eq(1..=early.len() as u64), "{numbers:?}");
    rig.redis(&["FLUSHALL"]);
    for (early, number) in early.iter().zip(&numbers) {
        assert_eq!(early.number(rig, &mut http, id), *number, "the place went with Redis");
    }
    check(rig, &mut http, id, &early[7], &commitment, numbers[7]);
}

fn published(rig: &Rig, http: &mut Client, sale: &str) -> Answer {
    insist(rig, http, "GET", &format!("/v1/sales/{sale}/draw"), &[], &[200])
}

/// As a visitor does it: two files and the program.
fn check(rig: &Rig, http: &mut Client, sale: &str, early: &Early, commitment: &str, number: u64) {
    // A place may be told a moment before what is published of the draw is read back.
    let mut draw = None;
    let seen = || {
        draw = Some(published(rig, http, sale)).filter(|shown| shown.body["seed"].is_string());
        draw.is_some()
    };
    assert!(within(Duration::from_secs(10), seen), "the draw of {sale} is never published");
    let draw = draw.unwrap();
    let who = [("holdfast-visitor", early.visitor.as_str())];
    let receipt = insist(rig, http, "GET", &format!("/v1/sales/{sale}/draw/receipt"), &who, &[200]);
    let file = |name: &str, answer: &Answer| {
        let path = rig.dir.path().join(name);
        std::fs::write(&path, answer.body.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (draw, receipt) = (file("draw.json", &draw), file("receipt.json", &receipt));
    let words = ["draw", "verify", draw.as_str(), receipt.as_str(), "--commitment", commitment];
    let (code, out, err) = rig.cli(&words);
    assert!(code == 0 && out.starts_with(&format!("place {number} of ")), "{code}: {out}{err}");
}
