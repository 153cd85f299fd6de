//! The rows of the recovery table (docs/ARCHITECTURE.md), one after the other: what is done, and what visitors see of it.

use std::time::Duration;

use crate::history::Seen;
use crate::ledger::On;
use crate::plan::{Between, Kind, OWNER, Step};
use crate::run::TAKEN_OVER_IN;
use crate::{PROCESSES, number, program, run};

fn row(kind: Kind, lasts_ms: u64) -> Step {
    Step { after: Duration::ZERO, kind, lasts: Duration::from_millis(lasts_ms), whom: OWNER }
}

fn count(seen: &Seen, call: &str, status: u16) -> u64 {
    seen.answers.iter().filter(|((c, s), _)| *c == call && *s == status).map(|(_, n)| n).sum()
}

/// How long the ledger is away where no time is given. Longer than an append tries, so that its outcome is unknown.
const AWAY_MS: u64 = 8_000;

#[test]
fn visitors_see_of_each_recovery_what_the_table_says() {
    let rows = [
        row(Kind::KillProcess, 0),
        row(Kind::PauseProcess, 10_000),
        row(Kind::StealLease, 0),
        // It cannot renew its lease and goes on; another claims: two believe that the lane is theirs.
        row(Kind::Silent(Between::Redis), 4_000),
        row(Kind::FailOver, 800),
        row(Kind::ShortRedis, 800),
        row(Kind::Flush, 0),
        row(Kind::FlushAsleep, 3_000),
        row(Kind::Edit, 0),
        row(Kind::LedgerSlow, 3_000),
        row(Kind::LedgerAway, number("CHAOS_AWAY_MS").unwrap_or(AWAY_MS)),
    ];
    let outcome = run::run(program(), PROCESSES, On::File, None, &rows).unwrap();
    assert!(outcome.violations.is_empty(), "{}{:#?}", outcome.said, outcome.violations);
    for (row, seen) in rows.iter().zip(&outcome.seen) {
        eprintln!("{row}: nobody was told of a booking for {:.1?}; {:?}", seen.longest_without, seen.answers);
        let said = || format!("{}{row}: {seen:?}", outcome.said);
        match row.kind {
            // Another owner went on while it was away, and the old one was refused from then on.
            _ if row.ends_a_tenure() => {
                assert!(seen.after.fence > seen.before.fence, "{}", said());
                assert!(seen.longest_without < TAKEN_OVER_IN, "{}", said());
            }
            Kind::StealLease | Kind::Edit => assert!(seen.longest_without < TAKEN_OVER_IN, "{}", said()),
            Kind::FlushAsleep => assert!(seen.after.epoch > seen.before.fence, "{}", said()),
            // Confirms are taken and answered 202 until the ledger is back.
            Kind::LedgerAway => assert!(count(seen, "confirm", 202) > 0, "{}", said()),
            _ => {}
        }
        assert!(count(seen, "confirm", 201) > 0, "{}", said());
    }
}
