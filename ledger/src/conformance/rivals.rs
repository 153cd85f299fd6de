//! Several writers at once, doubts on the way, and a comparison of what each was told with what the log says.

use std::collections::BTreeMap;

use domain::LogId;
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{Doubt, Doubts, Factory, Gate, all, fresh_log, rows};
use crate::{Append, Applied, Ledger};

/// Appends each rival tries.
const ROUNDS: u32 = 40;

/// What a rival was told of one of its appends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    /// Its events are numbers from here.
    Appended(u64),
    Fenced,
    Unknown,
}

/// Every acknowledged append stands where its writer was told, no refused one stands anywhere, an unknown one stands once or nowhere, and nothing else is there.
pub async fn rivals_lose_nothing_that_was_acknowledged_and_write_nothing_they_were_refused(factory: &dyn Factory) {
    let doubts = Doubts::default();
    let ledger = factory.open(rows(5), &doubts).await;
    let log = fresh_log();
    let told = join_all((0..3).map(|rival| run(&ledger, &doubts, &log, rival))).await;
    let log = all(&ledger, &log).await;
    let mut positions: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (text, seq) in log.iter().zip(1..) {
        positions.entry(text).or_default().push(seq);
    }
    let mut appended = 0;
    for (text, told) in told.into_iter().flatten() {
        let found = positions.remove(text.as_str()).unwrap_or_default();
        match told {
            Told::Appended(seq) => {
                assert_eq!(found, [seq], "{text} was acknowledged");
                appended += 1;
            }
            Told::Fenced => assert!(found.is_empty(), "{text} was refused and is at {found:?}"),
            Told::Unknown => assert!(found.len() <= 1, "{text} is there more than once: {found:?}"),
        }
    }
    assert!(positions.is_empty(), "nobody was told of {positions:?}");
    assert!(appended >= 20, "only {appended} events were acknowledged: nothing was tried");
}

async fn run(ledger: &Ledger, doubts: &Doubts, log: &LogId, rival: u64) -> Vec<(String, Told)> {
    let mut random = StdRng::seed_from_u64(rival);
    let mut told = Vec::new();
    let mut writer = ledger.claim(log, &format!("rival-{rival}")).await.unwrap();
    for round in 0..ROUNDS {
        let size = random.random_range(1..4);
        let texts: Vec<String> = (0..size).map(|n| format!("\"{rival}/{round}/{n}\"")).collect();
        match random.random_range(0..10) {
            0..2 => doubts.next(log, Doubt::AnswerLost, &Gate::opened()),
            2 => doubts.next(log, Doubt::RequestLost, &Gate::opened()),
            3 => doubts.next(log, Doubt::RequestLate, &Gate::opened()),
            _ => {}
        }
        let outcome = ledger.append(&writer, &texts).await;
        let first = writer.head + 1;
        let mut fenced = true;
        let each: Vec<Told> = match outcome {
            Ok(Append::Appended(next)) => {
                assert_eq!(next.head, writer.head + size);
                (writer, fenced) = (next, false);
                (first..first + size).map(Told::Appended).collect()
            }
            Ok(Append::Fenced(_)) => vec![Told::Fenced; texts.len()],
            Err(error) if error.applied() == Applied::Unknown => vec![Told::Unknown; texts.len()],
            Err(error) => panic!("{error}"),
        };
        told.extend(texts.into_iter().zip(each));
        // Sometimes goes on with a writer that it knows to be fenced.
        if fenced && random.random_bool(0.7) {
            writer = ledger.claim(log, &format!("rival-{rival}")).await.unwrap();
        }
        tokio::task::yield_now().await;
    }
    told
}
