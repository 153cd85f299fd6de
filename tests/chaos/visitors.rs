//! Visitors: they repeat what was lost under the same key, at any ingress, as the contract says, and remember what they are told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::history::{History, Purchase, Told};
use crate::http::{Answer, Client, Lost};
use crate::plan::Dice;

/// Longest a visitor insists on a certain answer: longer than any recovery may take.
const INSIST: Duration = Duration::from_secs(60);
/// How long a visitor waits for one answer before asking at another door.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(50);
/// Between one visitor and the next at the same keyboard: the machine has to serve what is tested, not who tests it.
const THINK: Duration = Duration::from_millis(40);

/// Answers after which the same request is sent again; no fault excuses any other.
const TRY_AGAIN: [u16; 4] = [202, 409, 429, 503];

/// The call as reports name it.
fn call_of(method: &str, path: &str) -> &'static str {
    match (method, path.rsplit('/').next().unwrap_or_default()) {
        ("POST", "visitors") => "visit",
        ("POST", "tickets") => "join",
        ("POST", "passes") => "claim",
        ("POST", "holds") => "hold",
        ("POST", "confirm") => "confirm",
        ("POST", "cancel") => "cancel",
        ("DELETE", "pass") => "leave",
        ("DELETE", _) => "release",
        _ => "other",
    }
}

/// Where the world is, for those who only visit it.
#[derive(Clone)]
pub(crate) struct Place {
    /// Ways in.
    pub(crate) doors: Vec<SocketAddr>,
}

/// One visitor's browser.
pub(crate) struct Visitor<'a> {
    pub(crate) history: &'a History,
    place: &'a Place,
    http: Client,
    door: usize,
    pub(crate) token: String,
    pub(crate) ticket: String,
    pub(crate) pass: String,
}

impl<'a> Visitor<'a> {
    pub(crate) fn known(history: &'a History, place: &'a Place, token: &str) -> Self {
        let mut http = Client::default();
        http.patience = Some(PATIENCE);
        Self {
            history,
            place,
            http,
            door: token.len(),
            token: token.to_owned(),
            ticket: String::new(),
            pass: String::new(),
        }
    }

    /// A visitor who has introduced himself, at this door first; None when that was impossible.
    pub(crate) fn arrive(history: &'a History, place: &'a Place, door: u64) -> Option<Self> {
        let mut visitor = Self::known(history, place, "");
        visitor.door = usize::try_from(door % 1_000).unwrap();
        let answer = visitor.insist("POST", "/v1/visitors", "", None, |answer| answer.status == 201)?;
        visitor.token = answer.text("visitor");
        Some(visitor)
    }

    fn once(&mut self, method: &str, path: &str, key: &str, body: Option<&str>) -> Result<Answer, Lost> {
        let base = format!("http://{}", self.place.doors[self.door % self.place.doors.len()]);
        let mut headers = vec![];
        for (name, value) in [
            ("holdfast-visitor", &*self.token),
            ("holdfast-ticket", &*self.ticket),
            ("holdfast-pass", &*self.pass),
            ("idempotency-key", key),
        ] {
            if !value.is_empty() {
                headers.push((name, value));
            }
        }
        self.http.call(&base, method, path, &headers, body)
    }

    /// Repeats the same request, at one door after the other, until the answer is `certain`; None when the time for it is over.
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
            let answer = self.once(method, path, key, body);
            self.history.answered(call_of(method, path), answer.as_ref().map_or(0, |answer| answer.status));
            match answer {
                Ok(answer) if certain(&answer) => return Some(answer),
                Ok(answer) if !TRY_AGAIN.contains(&answer.status) => {
                    self.history.lie(format!("{method} {path} was answered {} {}", answer.status, answer.body));
                    return None;
                }
                Ok(answer) => last = format!("{} {}", answer.status, answer.body),
                Err(Lost) => "answer lost".clone_into(&mut last),
            }
            self.door += 1;
            if self.door.is_multiple_of(self.place.doors.len()) {
                std::thread::park_timeout(AGAIN);
            }
        }
        self.history.lie(format!("{method} {path} was never certain within {INSIST:?}: {last}"));
        None
    }

    /// Holds `units`; the hold's id, or the problem it was refused with.
    pub(crate) fn hold(&mut self, sale: &str, units: u32) -> Option<Result<String, String>> {
        let key = self.history.key();
        let held = self.hold_under(&key, sale, units)?;
        // Some ask again: the same key is the same hold.
        if let Ok(first) = &held
            && key.ends_with('7')
        {
            let again = self.hold_under(&key, sale, units)?;
            if again.as_ref().is_ok_and(|again| again != first) {
                self.history.lie(format!("{key} was {first}, then {again:?}"));
            }
        }
        Some(held)
    }

    fn hold_under(&mut self, key: &str, sale: &str, units: u32) -> Option<Result<String, String>> {
        let path = format!("/v1/sales/{sale}/holds");
        let body = format!(r#"{{"lines":[{{"item":"seat","quantity":{units}}}]}}"#);
        let answer = self.insist("POST", &path, key, Some(&body), |a| matches!(a.status, 201 | 200 | 409 | 410))?;
        Some(if answer.status < 300 { Ok(answer.text("hold_id")) } else { Err(answer.problem().to_owned()) })
    }

    /// Confirms until the answer is final, then asks once more at another door: the answer must stay what it was (R1).
    pub(crate) fn confirm(&mut self, sale: &'static str, hold: &str) -> Option<Told> {
        let told = self.confirm_once(hold)?;
        self.door += 1;
        let again = self.confirm_once(hold)?;
        if again != told {
            self.history.lie(format!("I4: confirm of {hold} was {told:?}, then {again:?}"));
        }
        let purchase =
            Purchase { sale, hold: hold.to_owned(), visitor: self.token.clone(), told: told.clone(), cancelled: false };
        self.history.bought(purchase);
        Some(told)
    }

    pub(crate) fn confirm_once(&mut self, hold: &str) -> Option<Told> {
        let path = format!("/v1/holds/{hold}/confirm");
        let key = format!("confirm-{hold}");
        let answer = self.insist("POST", &path, &key, Some("{}"), |a| matches!(a.status, 201 | 410))?;
        Some(if answer.status == 201 {
            Told::Booked { log: answer.text("log"), seq: answer.body["seq"].as_u64().unwrap_or_default() }
        } else {
            Told::Gone
        })
    }

    /// Gives a hold back that was never confirmed.
    pub(crate) fn release(&mut self, sale: &'static str, hold: &str) {
        let path = format!("/v1/holds/{hold}");
        if self.insist("DELETE", &path, "", None, |a| a.status == 204).is_some() {
            self.history.released.lock().unwrap().push((sale, hold.to_owned()));
        }
    }

    /// Cancels what was booked; noted in the history once it is acknowledged.
    pub(crate) fn cancel(&mut self, hold: &str) {
        let path = format!("/v1/bookings/{hold}/cancel");
        if self.insist("POST", &path, &format!("cancel-{hold}"), Some("{}"), |a| a.status == 200).is_some() {
            let mut purchases = self.history.purchases.lock().unwrap();
            if let Some(purchase) = purchases.iter_mut().rev().find(|purchase| purchase.hold == hold) {
                purchase.cancelled = true;
            }
        }
    }

    /// The place in line and then the pass; None when the pass has ended or it is time to give up.
    pub(crate) fn enter(&mut self, sale: &str, give_up: impl Fn() -> bool) -> Option<()> {
        let path = format!("/v1/sales/{sale}/tickets");
        let joined = self.insist("POST", &path, "", None, |a| matches!(a.status, 200 | 201))?;
        let number = joined.body["number"].as_u64().unwrap_or_default();
        self.ticket = joined.text("ticket");
        let other = self.history.numbers.lock().unwrap().insert(number, self.token.clone());
        if other.is_some_and(|other| other != self.token) {
            self.history.lie(format!("I6: two visitors have the number {number}"));
        }
        let path = format!("/v1/sales/{sale}/passes");
        loop {
            let answer = self.insist("POST", &path, "", None, |a| matches!(a.status, 200 | 201 | 409 | 410))?;
            match answer.status {
                409 if give_up() || self.is_sold_out(sale) => return None,
                409 => std::thread::park_timeout(AGAIN),
                410 => return None,
                _ => {
                    self.pass = answer.text("pass");
                    return Some(());
                }
            }
        }
    }

    /// Whether the line's document says that nothing is left and nothing can come back.
    fn is_sold_out(&mut self, sale: &str) -> bool {
        let line = self.once("GET", &format!("/v1/sales/{sale}/line"), "", None);
        let items = line.ok().and_then(|line| line.body["items"].as_array().cloned()).unwrap_or_default();
        !items.is_empty() && items.iter().all(|item| item["stock"] == "sold_out")
    }

    /// Gives the pass back.
    pub(crate) fn leave(&mut self, sale: &str) {
        let path = format!("/v1/sales/{sale}/pass");
        drop(self.insist("DELETE", &path, "", None, |a| matches!(a.status, 204 | 403 | 410)));
        self.pass.clear();
    }
}

/// Buys in a sale without a waiting room until told to stop: some release, some forget, some cancel, most book.
pub(crate) fn shop(history: &History, place: &Place, sale: &'static str, seed: u64) {
    let mut dice = Dice::new(seed);
    while history.next_visitor(THINK) {
        let Some(mut visitor) = Visitor::arrive(history, place, seed) else { return };
        let units = 1 + u32::try_from(dice.below(3)).unwrap();
        match visitor.hold(sale, units) {
            Some(Ok(hold)) => match dice.below(20) {
                0 | 1 => visitor.release(sale, &hold),
                2 | 3 => {}
                4 => twins(&mut visitor, sale, &hold),
                5 => {
                    if let Some(Told::Booked { .. }) = visitor.confirm(sale, &hold) {
                        visitor.cancel(&hold);
                    }
                }
                _ => drop(visitor.confirm(sale, &hold)),
            },
            Some(Err(problem)) if ["sold-out", "all-held"].contains(&problem.as_str()) => {
                std::thread::park_timeout(2 * AGAIN);
            }
            Some(Err(problem)) => history.lie(format!("a hold of {units} in {sale} was refused with {problem:?}")),
            None => return,
        }
    }
}

/// Two tabs confirm at the same time at different doors.
fn twins(visitor: &mut Visitor<'_>, sale: &'static str, hold: &str) {
    let mut other = Visitor::known(visitor.history, visitor.place, &visitor.token);
    other.door = visitor.door + 1;
    let (mine, theirs) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| other.confirm_once(hold));
        (visitor.confirm(sale, hold), theirs.join().unwrap())
    });
    if let (Some(mine), Some(theirs)) = (mine, theirs)
        && mine != theirs
    {
        visitor.history.lie(format!("I4: twins confirmed {hold} and heard {mine:?} and {theirs:?}"));
    }
}

/// Tries to have more than the limit of four units, in a sale that is nearly always sold out.
pub(crate) fn grab(history: &History, place: &Place, sale: &'static str, seed: u64) {
    let mut dice = Dice::new(seed);
    while history.next_visitor(THINK) {
        let Some(mut visitor) = Visitor::arrive(history, place, seed) else { return };
        let losses = history.losses.load(Ordering::SeqCst);
        let Some(first) = visitor.hold(sale, 3) else { return };
        let begun = Instant::now();
        let Some(second) = visitor.hold(sale, 2) else { return };
        if let (Ok(first), Ok(second)) = (&first, &second)
            && begun.elapsed() < Duration::from_secs(1)
            // Odd while something is going on that may take holds away.
            && losses.is_multiple_of(2)
            && history.losses.load(Ordering::SeqCst) == losses
        {
            history.lie(format!("one visitor got the holds {first} and {second} of five units, the limit is four"));
        }
        for hold in [first, second].into_iter().flatten() {
            match (visitor.confirm(sale, &hold), dice.below(3)) {
                (Some(Told::Booked { .. }), 0) => visitor.cancel(&hold),
                (None, _) => return,
                _ => {}
            }
        }
        std::thread::park_timeout(AGAIN);
    }
}

/// Stands in line, enters, books or leaves or forgets.
pub(crate) fn queue(history: &History, place: &Place, sale: &'static str, seed: u64) {
    let mut dice = Dice::new(seed);
    while history.next_visitor(THINK) {
        let Some(mut visitor) = Visitor::arrive(history, place, seed) else { return };
        if visitor.enter(sale, || history.stopped()).is_none() {
            std::thread::park_timeout(AGAIN);
            continue;
        }
        match dice.below(10) {
            0 => continue,
            1 => {
                visitor.leave(sale);
                continue;
            }
            _ => {}
        }
        match visitor.hold(sale, 1 + u32::try_from(dice.below(2)).unwrap()) {
            Some(Ok(hold)) => drop(visitor.confirm(sale, &hold)),
            Some(Err(problem)) if ["sold-out", "all-held", "pass-expired"].contains(&problem.as_str()) => {}
            Some(Err(problem)) => history.lie(format!("a hold with a pass in {sale} was refused with {problem:?}")),
            None => return,
        }
    }
}

/// Buys everything that is left in big pieces. What was held and forgotten comes back after its deadline, so it is waited for.
pub(crate) fn buy_the_rest(history: &History, place: &Place, sale: &'static str, most: u32, patience: Duration) {
    let end = Instant::now() + patience;
    let (mut piece, mut heard) = (most, BTreeMap::<(u32, String), u64>::new());
    while Instant::now() < end {
        let Some(mut visitor) = Visitor::arrive(history, place, 0) else { return };
        let Some(held) = visitor.hold(sale, piece) else { return };
        *heard.entry((piece, held.clone().err().unwrap_or_default())).or_default() += 1;
        match held {
            Ok(hold) => {
                drop(visitor.confirm(sale, &hold));
                piece = (2 * piece).min(most);
            }
            Err(problem) if problem == "sold-out" && piece == 1 => return,
            Err(_) if piece > 1 => piece = (piece / 4).max(1),
            Err(_) => std::thread::park_timeout(2 * AGAIN),
        }
    }
    history.lie(format!("{sale} was not sold out within {patience:?}; holds by units and answer: {heard:?}"));
}

/// The same through the line, until its document says that it is sold out.
pub(crate) fn queue_for_the_rest(history: &History, place: &Place, sale: &'static str, units: u32, patience: Duration) {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        let Some(mut visitor) = Visitor::arrive(history, place, 0) else { return };
        if visitor.is_sold_out(sale) {
            return;
        }
        if visitor.enter(sale, || Instant::now() > end).is_none() {
            continue;
        }
        let held = visitor.hold(sale, units);
        let held = match held {
            Some(Err(_)) if units > 1 => visitor.hold(sale, 1),
            held => held,
        };
        match held {
            Some(Ok(hold)) => drop(visitor.confirm(sale, &hold)),
            Some(Err(_)) => visitor.leave(sale),
            None => return,
        }
    }
    history.lie(format!("{sale} was not sold out within {patience:?}"));
}
