#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use domain::fault::Life;
use domain::{HoldId, HoldState, Lines, LogId, Millis, RefuseReason, SaleId, VisitorHash};
use tokio::sync::oneshot;

use super::*;
use crate::answer::{
    Booking, CancelAnswer, ConfirmAnswer, GiveAnswer, GiveRequest, HoldAnswer, HoldRequest, HoldView, LookAnswer,
    PassRef,
};
use crate::lane::Confirm;

fn sale() -> SaleId {
    "gig".parse().unwrap()
}

fn visitor() -> VisitorHash {
    VisitorHash([7; 16])
}

fn id() -> HoldId {
    HoldId::derive(&sale(), 0, &visitor(), "k")
}

fn lines() -> Lines {
    [("a".parse().unwrap(), 2)].into_iter().collect()
}

fn hold() -> HoldRequest {
    let pass = Some(PassRef { number: 9, life: Life { given: Millis(70), expires: Millis(77) } });
    HoldRequest { id: id(), visitor: visitor(), lines: lines(), pass }
}

fn booking() -> Booking {
    Booking {
        id: id(),
        visitor: visitor(),
        lines: Arc::new(lines()),
        log: LogId::lane(&sale(), 0),
        seq: 3,
        at: Millis(5),
        pass: Some(9),
        cancelled: Some((4, Millis(6))),
    }
}

fn forwarded<T>(command: impl FnOnce(oneshot::Sender<T>) -> Command) -> (Forwarded, oneshot::Receiver<T>) {
    let (reply, answer) = oneshot::channel();
    let (ask, sink) = wire::split(command(reply));
    (Forwarded { ask, sink }, answer)
}

fn text(answers: Vec<Answer>) -> Vec<u8> {
    serde_json::to_vec(&Answers { v: VERSION, answers }).unwrap()
}

#[test]
fn every_answer_is_read_back_as_it_was_written() {
    let view = HoldView {
        id: id(),
        state: HoldState::Cancelled,
        lines: lines(),
        deadline: Some(Millis(1)),
        now: Millis(2),
        booking: Some(booking()),
        why: Some(RefuseReason::PassUsed),
    };
    let all = || {
        vec![
            Answer::Hold(Ok(HoldAnswer::Hold { hold: view.clone(), replayed: true })),
            Answer::Hold(Ok(HoldAnswer::Gone(RefuseReason::Gone))),
            Answer::Hold(Err(LaneError::NotLoaded)),
            Answer::Confirm(Ok(ConfirmAnswer::Booked { booking: booking(), replayed: true })),
            Answer::Confirm(Ok(ConfirmAnswer::Confirming)),
            Answer::Cancel(Ok(CancelAnswer::Cancelled { booking: booking(), replayed: false })),
            Answer::Look(Ok(LookAnswer::Hold(view.clone()))),
            Answer::Bookings(Ok(vec![booking()])),
            Answer::Booking(Ok(None)),
            Answer::Leave(Ok(())),
            Answer::Give(Ok(GiveAnswer::Given { seq: 7 })),
            Answer::Give(Ok(GiveAnswer::Nothing)),
            Answer::Given(Ok(vec![7, 9])),
        ]
    };
    assert_eq!(read::<Answers>(&text(all())).unwrap().answers, all());
}

#[tokio::test]
async fn a_group_reaches_the_owner_and_each_of_it_gets_its_own_answer() {
    let (lane, mut asking) = owned();
    let owner = tokio::spawn(async move {
        while let Some(Asked { command, from }) = asking.recv().await {
            assert_eq!(from, crate::lane::From::Elsewhere);
            match command {
                Command::Hold(request, reply) => {
                    assert_eq!(request, hold());
                    drop(reply.send(Ok(HoldAnswer::AllHeld)));
                }
                Command::Confirm(confirm, reply) => {
                    assert_eq!(confirm, Confirm { id: id(), visitor: visitor(), pass: Some(9) });
                    drop(reply.send(Ok(ConfirmAnswer::Booked { booking: booking(), replayed: true })));
                }
                Command::Look(_, _, reply) => drop(reply.send(Err(LaneError::NoOwner))),
                _ => panic!("nobody asked that"),
            }
        }
    });
    let (one, held) = forwarded(|reply| Command::Hold(hold(), reply));
    let confirm = Confirm { id: id(), visitor: visitor(), pass: Some(9) };
    let (two, confirmed) = forwarded(|reply| Command::Confirm(confirm, reply));
    let (three, looked) = forwarded(|reply| Command::Look(id(), visitor(), reply));
    let group = vec![one, two, three];
    let answer = serve(&lane, &encode(&group, Duration::from_secs(1))).await.unwrap();
    let again = answered(group, &answer).unwrap();
    assert_eq!(held.await.unwrap(), Ok(HoldAnswer::AllHeld));
    assert_eq!(confirmed.await.unwrap(), Ok(ConfirmAnswer::Booked { booking: booking(), replayed: true }));
    assert_eq!(again.len(), 1, "what is not this process' goes to another one");
    again.into_iter().for_each(Forwarded::no_owner);
    assert_eq!(looked.await.unwrap(), Err(LaneError::NoOwner));
    drop(lane);
    owner.await.unwrap();
}

fn owned() -> (Lane, mpsc::Receiver<Asked>) {
    let (commands, asked) = mpsc::channel(8);
    let (_, seen) = watch::channel(LaneStatus::default());
    (Lane::new(sale(), 0, commands, seen), asked)
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_a_confirm_is_told_that_it_takes_longer() {
    let confirm = Confirm { id: id(), visitor: visitor(), pass: None };
    let asked = || {
        let (one, held) = forwarded(|reply| Command::Hold(hold(), reply));
        let (two, confirmed) = forwarded(|reply| Command::Confirm(confirm, reply));
        let (three, cancelled) = forwarded(|reply| Command::Cancel(id(), visitor(), reply));
        (vec![one, two, three], held, confirmed, cancelled)
    };
    let short = text(vec![Answer::Leave(Ok(()))]);
    let later = String::from_utf8(text(vec![])).unwrap().replace(&format!("\"v\":{VERSION}"), "\"v\":99").into_bytes();
    let mixed = text(vec![Answer::Leave(Ok(())), Answer::Leave(Ok(())), Answer::Leave(Ok(()))]);
    for (answer, readable) in [(b"{".to_vec(), false), (short, false), (later, false), (mixed, true)] {
        let (group, held, confirmed, cancelled) = asked();
        assert_eq!(answered(group, &answer).is_ok(), readable);
        assert_eq!(held.await.unwrap(), Err(LaneError::Unknown));
        assert_eq!(confirmed.await.unwrap(), Ok(ConfirmAnswer::Confirming));
        assert_eq!(cancelled.await.unwrap(), Ok(CancelAnswer::Cancelling));
    }
}

#[tokio::test]
async fn what_is_no_group_is_refused_and_nothing_is_asked() {
    let (lane, mut asked) = owned();
    let (one, _held) = forwarded(|reply| Command::Hold(hold(), reply));
    let good = String::from_utf8(encode(&[one], Duration::from_secs(1))).unwrap();
    let leave = "{\"leave\":[\"BwcHBwcHBwcHBwcHBwcHBw\",1]},".repeat(MAX_FORWARD_GROUP + 1);
    let long = format!("{{\"v\":{VERSION},\"within_ms\":1,\"asks\":[{}]}}", leave.trim_end_matches(','));
    for wrong in
        ["", "[]", &good.replace(&format!("\"v\":{VERSION}"), "\"v\":99"), &good.replace("hold", "fold"), &long]
    {
        assert!(serve(&lane, wrong.as_bytes()).await.is_err(), "{wrong}");
    }
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn a_lane_elsewhere_forwards_its_own_visitors_and_refuses_other_processes() {
    let (lane, mut asking) = elsewhere(sale(), 0);
    let asks = tokio::spawn({
        let lane = lane.clone();
        async move { lane.hold(hold()).await }
    });
    let forwarded = asking.next().await.unwrap();
    assert_eq!((forwarded.pace(), forwarded.is_gone()), (Pace::Quick, false));
    let other = lane.for_others();
    let refused = tokio::spawn(async move { other.hold(hold()).await });
    tokio::select! {
        _ = asking.next() => panic!("a request of another process was forwarded once more"),
        answer = refused => assert_eq!(answer.unwrap(), Err(LaneError::NoOwner)),
    }
    forwarded.unknown();
    assert_eq!(asks.await.unwrap(), Err(LaneError::Unknown));
}

#[tokio::test]
async fn a_lane_asks_one_of_another_process_for_units_and_hears_what_was_given() {
    let (lane, mut asking) = owned();
    let request = GiveRequest { id: id(), to: 1, wanted: lines(), urgent: true };
    let wanted = request.clone();
    let owner = tokio::spawn(async move {
        while let Some(Asked { command, .. }) = asking.recv().await {
            match command {
                Command::Give(asked, reply) => {
                    assert_eq!(asked, wanted);
                    assert!(reply.send(Ok(GiveAnswer::Given { seq: 7 })).is_ok());
                }
                Command::Given(to, after, reply) => {
                    assert_eq!((to, after), (1, 3));
                    drop(reply.send(Ok(vec![7])));
                }
                _ => panic!("nobody asked that"),
            }
        }
    });
    let (one, given) = forwarded(|reply| Command::Give(request, reply));
    let (two, all) = forwarded(|reply| Command::Given(1, 3, reply));
    assert_eq!((one.pace(), two.pace()), (Pace::Patient, Pace::Quick), "units are given by the ledger");
    let group = vec![one, two];
    let answer = serve(&lane, &encode(&group, Duration::from_secs(1))).await.unwrap();
    assert!(answered(group, &answer).unwrap().is_empty());
    assert_eq!((given.await.unwrap(), all.await.unwrap()), (Ok(GiveAnswer::Given { seq: 7 }), Ok(vec![7])));
    drop(lane);
    owner.await.unwrap();
}
