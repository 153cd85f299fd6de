#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use domain::LogId;
use tempfile::TempDir;

use super::{Call, Fault, Faulty, Gate};
use crate::{Append, Applied, Error, Ledger, Writer};

struct Setup {
    _folder: TempDir,
    faulty: Faulty,
    ledger: Ledger,
    log: LogId,
    writer: Writer,
}

async fn setup() -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let faulty = Faulty::new(&Ledger::sqlite(&folder.path().join("ledger.db")).unwrap());
    let ledger = faulty.ledger();
    let log = LogId::lane(&"test".parse().unwrap(), 0);
    let writer = ledger.claim(&log, "me").await.unwrap();
    Setup { _folder: folder, faulty, ledger, log, writer }
}

impl Setup {
    async fn append(&self, event: &str) -> Result<Append, Error> {
        self.ledger.append(&self.writer, &[event.to_owned()]).await
    }

    async fn head(&self) -> u64 {
        self.ledger.head(&self.log).await.unwrap().head
    }
}

#[tokio::test]
async fn without_a_plan_it_is_the_store_it_wraps() {
    let test = setup().await;
    assert!(matches!(test.append("1").await.unwrap(), Append::Appended(_)));
    assert_eq!(test.ledger.read(&test.log, 0, 10).await.unwrap().len(), 1);
    assert_eq!(test.ledger.list("lane/").await.unwrap(), std::slice::from_ref(&test.log));
    assert_eq!((test.faulty.calls(Call::Claim), test.faulty.calls(Call::Append)), (1, 1));
    assert!(test.ledger.check().is_ok() && test.ledger.bytes().is_some());
}

#[tokio::test]
async fn refusals_change_nothing_and_are_used_up_in_order() {
    let test = setup().await;
    let full = Error::Full { path: "elsewhere".into() };
    test.faulty.next(Call::Append, Fault::Refuse);
    test.faulty.next(Call::Append, Fault::Fail(full.clone()));
    assert_eq!(test.append("1").await.unwrap_err().applied(), Applied::No);
    assert_eq!(test.append("1").await.unwrap_err(), full);
    assert_eq!(test.head().await, 0);
    assert!(matches!(test.append("1").await.unwrap(), Append::Appended(_)));
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_the_event_is_there() {
    let test = setup().await;
    test.faulty.next(Call::Append, Fault::LoseAnswer);
    assert_eq!(test.append("1").await.unwrap_err().applied(), Applied::Unknown);
    assert_eq!(test.head().await, 1);
    assert!(matches!(test.append("1").await.unwrap(), Append::Fenced(_)));
}

#[tokio::test]
async fn a_plan_for_one_log_leaves_the_others_alone() {
    let test = setup().await;
    let other = LogId::lane(&"test".parse().unwrap(), 1);
    test.faulty.next_on(&other, Call::Head, Fault::Refuse);
    test.ledger.head(&test.log).await.unwrap();
    test.ledger.head(&other).await.unwrap_err();
    test.ledger.head(&other).await.unwrap();
}

#[tokio::test]
async fn a_lasting_fault_ends_when_it_is_healed() {
    let test = setup().await;
    test.faulty.always(Call::Read, Fault::Refuse);
    for _ in 0..3 {
        test.ledger.read(&test.log, 0, 1).await.unwrap_err();
    }
    test.faulty.heal();
    test.ledger.read(&test.log, 0, 1).await.unwrap();
}

#[tokio::test]
async fn gates_hold_a_call_before_it_happens_or_its_answer_after() {
    let test = setup().await;
    let (before, after) = (Gate::closed(), Gate::closed());
    test.faulty.next(Call::Append, Fault::HoldBefore(before.clone()));
    let (outcome, ()) = tokio::join!(test.append("1"), async {
        before.arrived(1).await;
        assert_eq!(test.head().await, 0);
        before.open();
    });
    let Append::Appended(writer) = outcome.unwrap() else { panic!("fenced") };
    test.faulty.next(Call::Append, Fault::HoldAnswer(after.clone()));
    let event = ["2".to_owned()];
    let (outcome, ()) = tokio::join!(test.ledger.append(&writer, &event), async {
        after.arrived(1).await;
        assert_eq!(test.head().await, 2);
        after.open();
    });
    assert!(matches!(outcome.unwrap(), Append::Appended(_)));
}

#[tokio::test]
async fn a_late_append_happens_behind_its_callers_back_unless_somebody_was_faster() {
    for faster in [false, true] {
        let test = setup().await;
        let gate = Gate::closed();
        test.faulty.next(Call::Append, Fault::Late(gate.clone()));
        assert_eq!(test.append("\"late\"").await.unwrap_err().applied(), Applied::Unknown);
        assert_eq!(test.head().await, 0);
        if faster {
            assert!(matches!(test.append("\"faster\"").await.unwrap(), Append::Appended(_)));
        }
        gate.open();
        gate.arrived(1).await;
        let deadline = Instant::now() + Duration::from_secs(20);
        while test.head().await == 0 {
            assert!(Instant::now() < deadline, "the late append never happened");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let entries = test.ledger.read(&test.log, 0, 10).await.unwrap();
        let expected = if faster { "\"faster\"" } else { "\"late\"" };
        assert_eq!(entries.iter().map(|entry| entry.event.as_str()).collect::<Vec<_>>(), [expected]);
    }
}

#[tokio::test]
async fn a_delayed_call_is_carried_out() {
    let test = setup().await;
    test.faulty.next(Call::Claim, Fault::Delay(Duration::from_millis(5)));
    assert_eq!(test.ledger.claim(&test.log, "again").await.unwrap().fence, test.writer.fence + 1);
}
