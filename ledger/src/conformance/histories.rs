//! Random histories of several writers on several logs, step by step against a model that fits on a page.

use domain::LogId;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{Doubt, Doubts, Factory, Gate, all, fresh_lane, rows};
use crate::{Append, Head, Ledger, Writer};

const LOGS: usize = 3;
const WRITERS: usize = 6;

/// What a log should be.
#[derive(Default)]
struct Model {
    head: Head,
    events: Vec<String>,
}

impl Model {
    fn claim(&mut self, owner: &str) -> Head {
        self.head.fence += 1;
        owner.clone_into(&mut self.head.owner);
        self.head.clone()
    }

    /// Appends when fence and head fit.
    fn append(&mut self, writer: &Writer, events: &[String]) -> bool {
        let fits = (writer.fence, writer.head) == (self.head.fence, self.head.head);
        if fits {
            self.events.extend_from_slice(events);
            self.head.head += events.len() as u64;
        }
        fits
    }
}

/// Twenty histories of sixty steps; [`random_history`] runs one again by its seed.
pub async fn random_histories_agree_with_a_model(factory: &dyn Factory) {
    for seed in 0..20 {
        random_history(factory, seed, 60).await;
    }
}

/// One history: claims, appends by current, fenced and older writers, lost requests and answers, reads, and opening again. Segments hold 1 to 4 appends.
pub async fn random_history(factory: &dyn Factory, seed: u64, steps: usize) {
    let mut random = StdRng::seed_from_u64(seed);
    let limits = rows(random.random_range(1..5));
    let doubts = Doubts::default();
    let mut ledger = factory.open(limits, &doubts).await;
    let logs: Vec<LogId> = (0..LOGS).map(|_| fresh_lane(0)).collect();
    let mut models: Vec<Model> = logs.iter().map(|_| Model::default()).collect();
    let mut writers: Vec<Option<(usize, Writer)>> = vec![None; WRITERS];
    for step in 0..steps {
        let who = random.random_range(0..WRITERS);
        let at = format!("seed {seed}, step {step}, writer {who}");
        match (random.random_range(0..20), writers[who].take()) {
            (0..4, _) | (4..17, None) => {
                let on = random.random_range(0..LOGS);
                let claimed = ledger.claim(&logs[on], &format!("w{who}")).await.expect(&at);
                let expected = models[on].claim(&format!("w{who}"));
                let got = Head { fence: claimed.fence, head: claimed.head, owner: claimed.owner.clone() };
                assert_eq!(got, expected, "{at}");
                writers[who] = Some((on, claimed));
            }
            (4..17, Some((on, writer))) => {
                let next = step_append(&ledger, &doubts, &mut models[on], &writer, &mut random, &at).await;
                // One in four keeps the older copy, which must be refused from now on.
                let keeps = random.random_ratio(1, 4);
                writers[who] = Some((on, next.filter(|_| !keeps).unwrap_or(writer)));
            }
            (17..19, kept) => {
                writers[who] = kept;
                let on = random.random_range(0..LOGS);
                check(&ledger, &logs[on], &models[on], &mut random, &at).await;
            }
            (_, kept) => {
                writers[who] = kept;
                drop(ledger);
                ledger = factory.open(limits, &doubts).await;
            }
        }
    }
    for (log, model) in logs.iter().zip(&models) {
        assert_eq!(all(&ledger, log).await, model.events, "seed {seed}");
        assert_eq!(ledger.head(log).await.unwrap(), model.head, "seed {seed}");
    }
}

async fn step_append(
    ledger: &Ledger,
    doubts: &Doubts,
    model: &mut Model,
    writer: &Writer,
    random: &mut StdRng,
    at: &str,
) -> Option<Writer> {
    match random.random_range(0..6) {
        0 => doubts.next(&writer.log, Doubt::RequestLost, &Gate::opened()),
        1 => doubts.next(&writer.log, Doubt::AnswerLost, &Gate::opened()),
        _ => {}
    }
    let texts: Vec<String> = (0..random.random_range(1..4)).map(|n| format!("\"{at}, {n}\"")).collect();
    match ledger.append(writer, &texts).await.expect(at) {
        Append::Appended(next) => {
            assert!(model.append(writer, &texts), "{at}: should have been fenced");
            assert_eq!((next.fence, next.head), (model.head.fence, model.head.head), "{at}");
            Some(next)
        }
        Append::Fenced(head) => {
            assert!(!model.append(writer, &texts), "{at}: should have been appended");
            assert_eq!(head, model.head, "{at}");
            None
        }
    }
}

async fn check(ledger: &Ledger, log: &LogId, model: &Model, random: &mut StdRng, at: &str) {
    assert_eq!(ledger.head(log).await.expect(at), model.head, "{at}");
    let after = random.random_range(0..=model.events.len());
    let most = random.random_range(1..6);
    let page = ledger.read(log, after as u64, most).await.expect(at);
    let expected: Vec<_> = model.events.iter().skip(after).take(most).collect();
    assert_eq!(page.iter().map(|entry| &entry.event).collect::<Vec<_>>(), expected, "{at}");
}
