//! Visitors who buy while things die, and what they were told: the history that everything is judged by.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

use crate::http::{Answer, Client, Lost};

/// Longest a visitor insists on a certain answer: longer than any recovery may take.
const INSIST: Duration = Duration::from_secs(60);

/// What one confirm came to, as its visitor was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    Booked { log: String, seq: u64 },
    Gone,
}

#[derive(Clone, Debug)]
pub(crate) struct Purchase {
    pub(crate) hold: String,
    pub(crate) visitor: String,
    pub(crate) told: Told,
}

/// Shared by all buyers of one run.
pub(crate) struct Run {
    pub(crate) sale: &'static str,
    pub(crate) item: &'static str,
    pub(crate) public: RwLock<String>,
    pub(crate) stop: AtomicBool,
    pub(crate) purchases: Mutex<Vec<Purchase>>,
    pub(crate) lies: Mutex<Vec<String>>,
    keys: AtomicU64,
}

impl Run {
    pub(crate) fn new(sale: &'static str, item: &'static str, public: String) -> Self {
        Self {
            sale,
            item,
            public: RwLock::new(public),
            stop: AtomicBool::new(false),
            purchases: Mutex::default(),
            lies: Mutex::default(),
            keys: AtomicU64::new(1),
        }
    }

    fn lie(&self, what: String) {
        self.lies.lock().unwrap().push(what);
    }

    /// Bookings that were acknowledged so far.
    pub(crate) fn booked(&self) -> Vec<Purchase> {
        let all = self.purchases.lock().unwrap();
        all.iter().filter(|purchase| matches!(purchase.told, Told::Booked { .. })).cloned().collect()
    }
}

/// One visitor's browser: repeats what was lost under the same key, as the contract says.
pub(crate) struct Buyer<'a> {
    pub(crate) run: &'a Run,
    http: Client,
    pub(crate) visitor: String,
}

impl<'a> Buyer<'a> {
    /// A visitor who has introduced himself; None when the run ended first.
    pub(crate) fn arrive(run: &'a Run) -> Option<Self> {
        let mut buyer = Self { run, http: Client::default(), visitor: String::new() };
        let answer = buyer.insist("POST", "/v1/visitors", "", None, |answer| answer.status == 201)?;
        buyer.visitor = answer.text("visitor");
        Some(buyer)
    }

    fn once(&mut self, method: &str, path: &str, key: &str, body: Option<&str>) -> Result<Answer, Lost> {
        let base = self.run.public.read().unwrap().clone();
        let mut headers = vec![];
        if !self.visitor.is_empty() {
            headers.push(("holdfast-visitor", self.visitor.as_str()));
        }
        if !key.is_empty() {
            headers.push(("idempotency-key", key));
        }
        self.http.call(&base, method, path, &headers, body)
    }

    /// Repeats the same request until the answer is `certain`; None when the time for it is over.
    pub(crate) fn insist(
        &mut self,
        method: &str,
        path: &str,
        key: &str,
        body: Option<&str>,
        certain: impl Fn(&Answer) -> bool,
    ) -> Option<Answer> {
        let begun = Instant::now();
        let mut last = String::from("no answer");
        while begun.elapsed() < INSIST {
            match self.once(method, path, key, body) {
                Ok(answer) if certain(&answer) => return Some(answer),
                Ok(answer) => last = format!("{} {}", answer.status, answer.body),
                Err(Lost) => "answer lost".clone_into(&mut last),
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        self.run.lie(format!("{method} {path} was never certain: {last}"));
        None
    }

    /// Holds `units`; the hold's id, or the problem it was refused with.
    pub(crate) fn hold(&mut self, units: u32) -> Option<Result<String, String>> {
        let key = format!("key-{}", self.run.keys.fetch_add(1, Ordering::Relaxed));
        let path = format!("/v1/sales/{}/holds", self.run.sale);
        let body = format!(r#"{{"lines":[{{"item":"{}","quantity":{units}}}]}}"#, self.run.item);
        let answer = self.insist("POST", &path, &key, Some(&body), |a| matches!(a.status, 201 | 200 | 409 | 410))?;
        if answer.status < 300 { Some(Ok(answer.text("hold_id"))) } else { Some(Err(answer.problem().to_owned())) }
    }

    /// Confirms until the answer is final, then asks once more: the answer must stay what it was (R1).
    pub(crate) fn confirm(&mut self, hold: &str) -> Option<Told> {
        let told = self.confirm_once(hold)?;
        let again = self.confirm_once(hold)?;
        if again != told {
            self.run.lie(format!("confirm of {hold} was {told:?}, then {again:?}"));
        }
        let purchase = Purchase { hold: hold.to_owned(), visitor: self.visitor.clone(), told: told.clone() };
        self.run.purchases.lock().unwrap().push(purchase);
        Some(told)
    }

    fn confirm_once(&mut self, hold: &str) -> Option<Told> {
        let path = format!("/v1/holds/{hold}/confirm");
        let key = format!("confirm-{hold}");
        let answer = self.insist("POST", &path, &key, Some("{}"), |a| matches!(a.status, 201 | 410))?;
        Some(if answer.status == 201 {
            Told::Booked { log: answer.text("log"), seq: answer.body["seq"].as_u64().unwrap_or_default() }
        } else {
            Told::Gone
        })
    }
}

/// Buys until told to stop: of ten holds one is released, one forgotten, eight are confirmed.
pub(crate) fn shop(run: &Run, seed: u64) {
    let mut turn = seed;
    while !run.stop.load(Ordering::Relaxed) {
        let Some(mut buyer) = Buyer::arrive(run) else { return };
        let units = 1 + u32::try_from(turn % 3).unwrap();
        match buyer.hold(units) {
            Some(Ok(hold)) => match turn % 10 {
                0 => drop(buyer.insist("DELETE", &format!("/v1/holds/{hold}"), "", None, |a| a.status == 204)),
                1 => {}
                _ => drop(buyer.confirm(&hold)),
            },
            Some(Err(problem)) if ["sold-out", "all-held"].contains(&problem.as_str()) => {
                std::thread::park_timeout(Duration::from_millis(100));
            }
            Some(Err(problem)) => run.lie(format!("a hold of {units} was refused with {problem:?}")),
            None => return,
        }
        turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 1;
    }
}

/// Buys everything that is left in big pieces. What was held and forgotten comes back after its deadline, so it is waited for.
pub(crate) fn buy_the_rest(run: &Run, patience: Duration) {
    let end = Instant::now() + patience;
    let mut piece = 1_000;
    while Instant::now() < end {
        let Some(mut buyer) = Buyer::arrive(run) else { return };
        match buyer.hold(piece) {
            Some(Ok(hold)) => drop(buyer.confirm(&hold)),
            Some(Err(problem)) if problem == "sold-out" && piece == 1 => return,
            Some(Err(_)) if piece > 1 => piece /= 10,
            Some(Err(_)) => std::thread::park_timeout(Duration::from_millis(100)),
            None => return,
        }
    }
}

/// Judges the history against the lane's log and the visitors' own lists.
pub(crate) fn judge(run: &Run, events: &[serde_json::Value], units: u64) {
    let mut outcome: HashMap<&str, &str> = HashMap::new();
    let mut seq_of: HashMap<&str, u64> = HashMap::new();
    let mut sold = 0;
    for event in events {
        let (Some(id), Some(kind)) = (event["id"].as_str(), event["t"].as_str()) else { continue };
        assert!(outcome.insert(id, kind).is_none(), "I4: {id} has a second event: {event}");
        if kind == "booked" {
            seq_of.insert(id, event["seq"].as_u64().unwrap());
            sold += event["lines"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum::<u64>();
        }
    }
    assert!(sold <= units, "I1: {sold} units booked, {units} exist");
    assert_eq!(sold, units, "I5: everything was bought until sold out, yet {} units are nowhere", units - sold);
    let lies = run.lies.lock().unwrap();
    assert!(lies.is_empty(), "{} lies, first: {:#?}", lies.len(), &lies[..lies.len().min(5)]);
    for purchase in run.purchases.lock().unwrap().iter() {
        let event = outcome.get(purchase.hold.as_str()).copied();
        match &purchase.told {
            Told::Booked { seq, .. } => {
                assert_eq!(event, Some("booked"), "I3: {} was answered 201", purchase.hold);
                assert_eq!(seq_of[purchase.hold.as_str()], *seq, "{} was told another seq", purchase.hold);
            }
            Told::Gone => assert_ne!(event, Some("booked"), "I4: {} was answered 410", purchase.hold),
        }
    }
    own_lists_agree(run);
}

/// A sample of visitors finds the bookings in their own list.
fn own_lists_agree(run: &Run) {
    let booked = run.booked();
    for purchase in booked.iter().step_by(booked.len() / 50 + 1) {
        let mut buyer = Buyer { run, http: Client::default(), visitor: purchase.visitor.clone() };
        let list = buyer.insist("GET", "/v1/bookings", "", None, |a| a.status == 200).expect("bookings are answered");
        assert!(list.body.to_string().contains(&purchase.hold), "{} is not in {}", purchase.hold, list.body);
    }
}
