#![allow(clippy::unwrap_used, clippy::panic)]
use domain::LineEvent;
use tokio::sync::oneshot::{self, Receiver};

use super::super::desk::{Hall, Watch};
use super::*;

type Answered<T> = Receiver<Result<T, LineError>>;

/// A desk with numbers 1 to 500 to give out, all of them called; 1 and 2 have used their pass.
fn desk() -> Desk {
    let mut fold = LineFold::new(5_000);
    let first =
        LineEvent { numbers_to: 3, frontier: 3, granted: vec![1, 2], pass_ttl_ms: Some(10), ..LineEvent::default() };
    fold.apply(1, &first).unwrap();
    let then = LineEvent { numbers_to: 3, frontier: 3, ended: vec![1, 2], ..LineEvent::default() };
    fold.apply(2, &then).unwrap();
    let mut desk =
        Desk::new(fold, 3, Hall::new("night".parse().unwrap(), crate::draw::Seed([1; 32])), Watch::default());
    desk.numbers.logged(500);
    desk
}

fn join(places: &mut Places, who: u8) -> Answered<Joined> {
    pay(places, who, Fee::Free)
}

fn pay(places: &mut Places, who: u8, fee: Fee) -> Answered<Joined> {
    let (answer, answered) = oneshot::channel();
    places.join(Join { visitor: VisitorHash([who; 16]), replace: None, tries: 0, fee, answer });
    answered
}

fn claim(places: &mut Places, number: u64) -> Answered<Claim> {
    let (answer, answered) = oneshot::channel();
    places.present(Present { visitor: VisitorHash([1; 16]), number, replace: None, tries: 0, why: For::Claim(answer) });
    answered
}

fn known(number: u64) -> lua::line::Joined {
    lua::line::Joined { number, existed: true }
}

#[test]
fn a_group_takes_what_has_piled_up_as_far_as_a_call_may_go() {
    let (mut places, mut desk) = (Places::default(), desk());
    let answers: Vec<_> = (0..200).map(|who| join(&mut places, who)).collect();
    let (group, call) = places.join_group(7, &mut desk.numbers).unwrap();
    assert_eq!((group.len(), call.epoch, call.first_number, call.visitors.len()), (MAX_GROUP, 7, 4, MAX_GROUP));
    desk.numbers.used(128);
    assert_eq!(places.join_group(7, &mut desk.numbers).unwrap().0.len(), 200 - MAX_GROUP);
    desk.numbers.used(0);
    assert!(places.join_group(7, &mut desk.numbers).is_none() && answers.len() == 200);
}

#[test]
fn what_a_call_said_decides_whether_its_numbers_are_offered_again() {
    let unknown = CallError::Unknown { why: "lost".into() };
    let broken = CallError::Broken { why: "bug".into() };
    let refused = CallError::NotExecuted { why: "busy".into() };
    for (reply, error, next, first) in [
        (Ok(JoinReply::WrongEpoch { epoch: 9 }), LineError::NotLoaded, Next::Load, 4),
        (Err(CallError::NotLoaded), LineError::NotLoaded, Next::Load, 4),
        (Err(refused), LineError::Unavailable, Next::Go, 4),
        (Err(unknown), LineError::Unknown, Next::Go, 6),
        (Err(broken), LineError::Unknown, Next::Load, 6),
    ] {
        let (mut places, mut desk) = (Places::default(), desk());
        let (mut a, _b) = (join(&mut places, 1), join(&mut places, 2));
        let (group, _) = places.join_group(7, &mut desk.numbers).unwrap();
        assert_eq!(places.joined(&mut desk, group, reply.clone(), Millis(0)), next, "{reply:?}");
        assert_eq!(a.try_recv(), Ok(Err(error)), "{reply:?}");
        assert_eq!(desk.numbers.offer(1).0, first, "{reply:?}");
    }
}

#[test]
fn a_known_number_whose_pass_has_ended_gives_way_to_a_new_one() {
    let (mut places, mut desk) = (Places::default(), desk());
    let mut answer = join(&mut places, 1);
    let (group, _) = places.join_group(7, &mut desk.numbers).unwrap();
    let reply = JoinReply::Joined { used: 0, numbers: vec![known(2)] };
    places.joined(&mut desk, group, Ok(reply), Millis(0));
    assert!(answer.try_recv().is_err(), "asked again");
    let (group, call) = places.join_group(7, &mut desk.numbers).unwrap();
    assert_eq!((call.visitors[0].replace, call.first_number), (Some(2), 4));
    let reply = JoinReply::Joined { used: 1, numbers: vec![lua::line::Joined { number: 4, existed: false }] };
    places.joined(&mut desk, group, Ok(reply), Millis(0));
    assert_eq!(answer.try_recv(), Ok(Ok(Joined { number: 4, new: true })));
}

#[test]
fn a_fee_buys_the_number_behind_the_one_it_names_and_no_other() {
    for (fee, buys) in [(Fee::After(2), true), (Fee::After(1), false), (Fee::After(0), false), (Fee::Unpaid, false)] {
        let (mut places, mut desk) = (Places::default(), desk());
        let mut answer = pay(&mut places, 1, fee);
        let (group, _) = places.join_group(7, &mut desk.numbers).unwrap();
        places.joined(&mut desk, group, Ok(JoinReply::Joined { used: 0, numbers: vec![known(2)] }), Millis(0));
        match buys {
            true => {
                assert_eq!(places.join_group(7, &mut desk.numbers).unwrap().1.visitors[0].replace, Some(2));
                desk.numbers.used(0);
            }
            false => assert_eq!(answer.try_recv(), Ok(Err(LineError::Unpaid(2))), "{fee:?}"),
        }
        // What there is needs no fee.
        let mut again = pay(&mut places, 2, fee);
        let (group, _) = places.join_group(7, &mut desk.numbers).unwrap();
        places.joined(&mut desk, group, Ok(JoinReply::Joined { used: 0, numbers: vec![known(3)] }), Millis(0));
        assert_eq!(again.try_recv(), Ok(Ok(Joined { number: 3, new: false })), "{fee:?}");
    }
}

#[test]
fn a_redis_that_never_lets_go_of_a_used_number_is_asked_a_bounded_number_of_times() {
    let (mut places, mut desk) = (Places::default(), desk());
    let (mut joined, mut claimed) = (join(&mut places, 1), claim(&mut places, 3));
    for _ in 0..=MAX_TRIES {
        let (group, _) = places.join_group(7, &mut desk.numbers).unwrap();
        places.joined(&mut desk, group, Ok(JoinReply::Joined { used: 0, numbers: vec![known(1)] }), Millis(0));
        let (group, _) = places.present_group(&desk.fold).unwrap();
        places.presented(&mut desk, group, Ok(Ok(vec![Some(2)])));
    }
    assert_eq!(joined.try_recv(), Ok(Err(LineError::Unavailable)));
    assert_eq!(claimed.try_recv(), Ok(Err(LineError::Unavailable)));
    assert_eq!(places.waiting(), 0);
}

#[test]
fn a_presented_ticket_is_the_place_gives_way_or_takes_over() {
    let (mut places, mut desk) = (Places::default(), desk());
    let (mut place, mut gives_way, mut takes_over) =
        (claim(&mut places, 3), claim(&mut places, 9), claim(&mut places, 3));
    let (group, calls) = places.present_group(&desk.fold).unwrap();
    assert!(calls.iter().all(|call| !call.used && call.replace.is_none()));
    assert_eq!(places.presented(&mut desk, group, Ok(Ok(vec![Some(3), Some(5), Some(1)]))), Next::Go);
    assert!(place.try_recv().is_err() && desk.waiting() == 1, "it waits for the next entry");
    assert_eq!(gives_way.try_recv(), Ok(Ok(Claim::Superseded(5))));
    assert!(takes_over.try_recv().is_err());
    assert_eq!(places.present_group(&desk.fold).unwrap().1[0].replace, Some(1), "a used number gives way");
}

#[test]
fn a_line_that_is_not_loaded_turns_tickets_away_and_is_loaded() {
    for reply in [Ok(Err(4)), Err(CallError::NotLoaded)] {
        let (mut places, mut desk) = (Places::default(), desk());
        let mut answer = claim(&mut places, 3);
        let (group, _) = places.present_group(&desk.fold).unwrap();
        assert_eq!(places.presented(&mut desk, group, reply), Next::Load);
        assert_eq!(answer.try_recv(), Ok(Err(LineError::NotLoaded)));
    }
}
