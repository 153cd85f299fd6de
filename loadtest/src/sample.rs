//! Visitors whose answers are asked for once more at the end: what was decided must still be so (I3, R1), and what had no
//! outcome must get one (I8).

use std::time::{Duration, Instant};

use domain::HoldId;
use rand::RngExt as _;
use rand::rngs::SmallRng;

use crate::limits::{MAX_OPEN, MAX_REPEATS, MAX_SAMPLES, RECHECK_EACH};
use crate::oracle::{Booked, Finding};
use crate::request::{Bearer, Key};
use crate::stats::Kind;
use crate::travel::{Confirmed, read_confirm, read_hold};
use crate::trip::{Said, Shared};

/// How a confirm ended as far as its visitor knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// 201, at this lane and seq.
    Booked(Option<(u16, u64)>),
    /// 410.
    Gone,
    /// No answer in time.
    Unknown,
}

/// One confirm of a visitor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kept {
    pub(crate) id: HoldId,
    pub(crate) key: Key,
    pub(crate) ended: Ended,
}

/// A visitor and all its confirms.
#[derive(Clone, Default, Debug)]
pub(crate) struct Sample {
    pub(crate) visitor: String,
    pub(crate) kept: Vec<Kept>,
}

/// An even choice of all visitors, and those with something undecided.
#[derive(Default)]
pub(crate) struct Samples {
    chosen: Vec<Sample>,
    open: Vec<Sample>,
    seen: u64,
    /// Visitors with something undecided that did not fit.
    pub(crate) left_out: u64,
}

impl Samples {
    /// Takes a visitor that is done. Every visitor has the same chance to be among the chosen (reservoir sampling).
    pub(crate) fn take(&mut self, sample: Sample, rng: &mut SmallRng) {
        if sample.kept.is_empty() {
            return;
        }
        if sample.kept.iter().any(|kept| kept.ended == Ended::Unknown) {
            if self.open.len() < MAX_OPEN {
                self.open.push(sample)
            } else {
                self.left_out += 1
            }
            return;
        }
        self.seen += 1;
        if self.chosen.len() < MAX_SAMPLES {
            self.chosen.push(sample);
        } else if let Ok(place) = usize::try_from(rng.random_range(0..self.seen))
            && let Some(chosen) = self.chosen.get_mut(place)
        {
            *chosen = sample;
        }
    }
}

/// How many visitors and confirms were looked at once more.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Rechecked {
    pub(crate) visitors: u64,
    pub(crate) confirms: u64,
    /// Confirms that had no outcome when the run ended, and got one now.
    pub(crate) decided_late: u64,
    /// Visitors that could not be looked at: the server does not answer any more, or time was over.
    pub(crate) not_checked: u64,
}

impl Rechecked {
    pub(crate) fn add(&mut self, other: Self) {
        self.visitors += other.visitors;
        self.confirms += other.confirms;
        self.decided_late += other.decided_late;
        self.not_checked += other.not_checked;
    }
}

/// Asks once more, until `until` at the latest.
pub(crate) async fn recheck(shared: &Shared, until: Instant) -> Rechecked {
    let samples = std::mem::take(&mut *shared.samples.borrow_mut());
    let mut done = Rechecked { not_checked: samples.left_out, ..Rechecked::default() };
    for sample in samples.open.into_iter().chain(samples.chosen) {
        if Instant::now() >= until || !recheck_one(shared, &sample, until, &mut done).await {
            done.not_checked += 1;
        }
    }
    done
}

async fn recheck_one(shared: &Shared, sample: &Sample, until: Instant, done: &mut Rechecked) -> bool {
    let bearer = Bearer { visitor: sample.visitor.clone(), ..Bearer::default() };
    let unknown = sample.kept.iter().filter(|kept| kept.ended == Ended::Unknown);
    let decided = sample.kept.iter().filter(|kept| kept.ended != Ended::Unknown).take(MAX_REPEATS);
    let mut booked: Vec<HoldId> = Vec::new();
    for kept in &sample.kept {
        booked.extend(matches!(kept.ended, Ended::Booked(_)).then_some(kept.id));
    }
    for kept in unknown.chain(decided) {
        let Some(after) = confirm_again(shared, &bearer, kept, until).await else {
            // A server that is gone decides nothing; one that still answers should have.
            let answers = all_listed(shared, &bearer, &booked, until + shared.plan.call_within).await;
            if answers && kept.ended == Ended::Unknown {
                shared.history.borrow_mut().find(Finding::Undecided(kept.id));
            }
            return false;
        };
        done.confirms += 1;
        done.decided_late += u64::from(kept.ended == Ended::Unknown);
        if let Some(id) = compare(shared, kept, &after) {
            booked.push(id);
        }
        if !hold_again(shared, &bearer, kept, until).await {
            return false;
        }
    }
    done.visitors += 1;
    all_listed(shared, &bearer, &booked, until).await
}

async fn confirm_again(shared: &Shared, bearer: &Bearer, kept: &Kept, until: Instant) -> Option<Confirmed> {
    let write = |out: &mut Vec<u8>| shared.templates.confirm(out, bearer, kept.id, kept.key);
    // One that is never decided must not use up the time of all others.
    let patience = until.saturating_duration_since(Instant::now()).min(shared.plan.confirm_within.max(RECHECK_EACH));
    shared.ask(Kind::Confirm, Instant::now(), patience, write, read_confirm).await
}

/// What came now against what came before. The id, when it turns out only now that it is booked.
fn compare(shared: &Shared, kept: &Kept, after: &Confirmed) -> Option<HoldId> {
    let mut history = shared.history.borrow_mut();
    let changed = |before| Finding::Changed { id: kept.id, before, after: after.to_string() };
    match (kept.ended, after) {
        (Ended::Booked(at), Confirmed::Booked { id, at: now }) if *id == kept.id && at == *now => {}
        (Ended::Gone, Confirmed::Gone) => {}
        (Ended::Booked(_), _) => history.find(changed("booked")),
        (Ended::Gone, _) => history.find(changed("gone")),
        (Ended::Unknown, Confirmed::Booked { id, at }) => {
            history.book(Booked { id: *id, at: *at }, &shared.plan.item, u64::from(shared.plan.quantity));
            shared.stats.borrow_mut().arrived += 1;
            return Some(*id);
        }
        (Ended::Unknown, Confirmed::Gone) => history.gone(kept.id),
        (Ended::Unknown, Confirmed::Otherwise(_)) => history.find(Finding::Undecided(kept.id)),
    }
    None
}

/// The hold's own request once more: the same key must give the same id. Only without waiting room, where it needs no pass.
async fn hold_again(shared: &Shared, bearer: &Bearer, kept: &Kept, until: Instant) -> bool {
    if shared.plan.room {
        return true;
    }
    let write = |out: &mut Vec<u8>| shared.templates.hold(out, bearer, kept.key);
    let patience = until.saturating_duration_since(Instant::now());
    let Some(again) = shared.ask(Kind::Hold, Instant::now(), patience, write, read_hold).await else { return false };
    match again.id {
        Some(id) if id != kept.id => shared.history.borrow_mut().find(Finding::TwoIds(kept.id, id)),
        _ => {}
    }
    true
}

/// Whether the visitor's own list could be read; bookings that are missing in it are findings.
async fn all_listed(shared: &Shared, bearer: &Bearer, booked: &[HoldId], until: Instant) -> bool {
    let write = |out: &mut Vec<u8>| shared.templates.bookings(out, bearer);
    let patience = until.saturating_duration_since(Instant::now()).min(Duration::from_secs(10));
    let missing = shared.ask(Kind::Bookings, Instant::now(), patience, write, |reply, _| match reply.status {
        200 => Said::Yes(booked.iter().copied().filter(|id| !lists(reply.body, *id)).collect::<Vec<_>>()),
        _ => Said::Strange,
    });
    let Some(missing) = missing.await else { return false };
    for id in missing {
        shared.history.borrow_mut().find(Finding::Lost(id));
    }
    true
}

fn lists(body: &[u8], id: HoldId) -> bool {
    let text = id.to_string();
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rand::SeedableRng as _;

    use super::*;

    fn sample(n: u64, ended: Ended) -> Sample {
        let id: HoldId = "b328d900-3f85-83a6-be5b-88376bd5816b".parse().unwrap();
        Sample { visitor: n.to_string(), kept: vec![Kept { id, key: Key { run: 1, attempt: n }, ended }] }
    }

    #[test]
    fn samples_are_an_even_choice_and_bounded() {
        let (mut samples, mut rng) = (Samples::default(), SmallRng::seed_from_u64(1));
        for n in 0..10_000 {
            samples.take(sample(n, Ended::Gone), &mut rng);
        }
        let early = samples.chosen.iter().filter(|chosen| chosen.kept[0].key.attempt < 5_000).count();
        assert_eq!(samples.chosen.len(), MAX_SAMPLES);
        assert!((70..130).contains(&early), "{early}");
    }

    #[test]
    fn what_is_undecided_is_always_taken() {
        let (mut samples, mut rng) = (Samples::default(), SmallRng::seed_from_u64(1));
        for n in 0..1_000 {
            samples.take(sample(n, Ended::Unknown), &mut rng);
        }
        samples.take(Sample::default(), &mut rng);
        assert_eq!((samples.open.len(), samples.chosen.len(), samples.left_out), (1_000, 0, 0));
    }

    #[test]
    fn a_list_is_searched_for_the_id() {
        let id: HoldId = "b328d900-3f85-83a6-be5b-88376bd5816b".parse().unwrap();
        assert!(lists(format!("[{{\"booking_id\":\"{id}\"}}]").as_bytes(), id));
        assert!(!lists(b"[]", id));
    }
}
