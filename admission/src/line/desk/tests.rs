#![allow(clippy::unwrap_used, clippy::panic)]
use domain::Room as Waiting;
use tokio::sync::oneshot::Receiver;

use super::*;
use crate::draw::Seed;
use crate::step::Settings;

const NOW: Millis = Millis(1_000_000);

pub(super) fn rules(pace: u32, cap: u32) -> Rules {
    let room = Waiting {
        pace_per_minute: pace,
        active_passes: cap,
        pass_ttl_ms: 10_000,
        claim_grace_ms: 5_000,
        public_value: None,
        proof_of_work: None,
        standby: None,
        classes: Vec::new(),
    };
    let settings = Settings::of(&room, Some(4));
    Rules { phase: Phase::Open, over: false, room, settings, resumed: None, joining: true, let_through: false }
}

fn hall() -> Hall {
    Hall::new("night".parse().unwrap(), Seed([1; 32]))
}

/// A desk whose log called the first `called` of 500 numbers.
fn desk(called: u64) -> Desk {
    let mut fold = LineFold::new(5_000);
    let entry =
        LineEvent { at: NOW, numbers_to: 500, frontier: called, pass_ttl_ms: Some(10_000), ..LineEvent::default() };
    fold.apply(1, &entry).unwrap();
    Desk::new(fold, 500, hall(), Watch::default())
}

fn claim(desk: &mut Desk, number: u64) -> Receiver<Result<Claim, LineError>> {
    let (answer, answered) = oneshot::channel();
    desk.claim(number, answer);
    answered
}

fn leave(desk: &mut Desk, number: u64) -> Receiver<Result<(), LineError>> {
    let (answer, answered) = oneshot::channel();
    desk.leave(number, answer);
    answered
}

fn granted(answer: &mut Receiver<Result<Claim, LineError>>) -> bool {
    matches!(answer.try_recv(), Ok(Ok(Claim::Granted { .. })))
}

fn write(desk: &mut Desk, rules: &Rules, at: Millis) -> LineEvent {
    let draft = desk.draft(rules, Calls::from(0), false, at).unwrap();
    desk.check(&draft).unwrap();
    let event = draft.event.clone();
    desk.appended(draft).unwrap();
    event
}

#[test]
fn nothing_to_say_is_no_entry() {
    let mut desk = desk(10);
    assert!(desk.draft(&rules(600, 10), Calls::from(10), false, NOW).is_none());
    desk.ended(3);
    assert!(desk.draft(&rules(600, 10), Calls::from(0), false, NOW).is_none(), "the end of a pass that does not live");
}

#[test]
fn the_lowest_numbers_get_in_first_and_the_others_are_told_what_stands_in_the_way() {
    let mut desk = desk(100);
    let mut answers: Vec<_> = (1..=30).rev().map(|number| (number, claim(&mut desk, number))).collect();
    assert_eq!(desk.waiting(), 30);
    let draft = desk.draft(&rules(600, 1_000), Calls::from(0), false, NOW).unwrap();
    assert_eq!(draft.event.granted, (1..=10).collect::<Vec<_>>(), "ten a second");
    for (number, answer) in &mut answers {
        let said = answer.try_recv();
        if *number > 10 {
            let full = Ok(Ok(Claim::NotYet { retry_after_ms: RETRY_CAP_MS, why: NotYet::MeterFull }));
            assert_eq!(said, full, "{number}");
        } else {
            assert!(said.is_err(), "{number} is not answered before the log has it");
        }
    }
    desk.appended(draft).unwrap();
    assert!(answers.iter_mut().filter(|(number, _)| *number <= 10).all(|(_, answer)| granted(answer)));
    assert_eq!(desk.waiting(), 0);
}

#[test]
fn the_retry_that_is_advised_is_when_the_meter_has_room() {
    let mut desk = desk(100);
    let mut first = claim(&mut desk, 1);
    write(&mut desk, &rules(60, 100), NOW);
    assert!(granted(&mut first));
    let mut second = claim(&mut desk, 2);
    assert!(desk.draft(&rules(60, 100), Calls::from(0), false, NOW.plus(300)).is_none());
    let advised = Claim::NotYet { retry_after_ms: 700, why: NotYet::MeterFull };
    assert_eq!(second.try_recv(), Ok(Ok(advised)));
    let mut again = claim(&mut desk, 2);
    write(&mut desk, &rules(60, 100), NOW.plus(1_000));
    assert!(granted(&mut again));
}

#[test]
fn a_place_that_ends_with_an_entry_is_given_on_with_the_same_entry() {
    let mut desk = desk(100);
    let mut first = claim(&mut desk, 1);
    write(&mut desk, &rules(6_000, 1), NOW);
    assert!(granted(&mut first));
    let mut second = claim(&mut desk, 2);
    assert!(desk.draft(&rules(6_000, 1), Calls::from(0), false, NOW).is_none());
    assert_eq!(second.try_recv(), Ok(Ok(Claim::NotYet { retry_after_ms: RETRY_CAP_MS, why: NotYet::CapFull })));
    let (mut left, mut third) = (leave(&mut desk, 1), claim(&mut desk, 3));
    let event = write(&mut desk, &rules(6_000, 1), NOW);
    assert_eq!((event.ended, event.granted), (vec![1], vec![3]));
    assert!(left.try_recv().unwrap().is_ok() && granted(&mut third));
}

#[test]
fn an_overdue_pass_is_ended_without_being_asked() {
    let mut desk = desk(100);
    let _answer = claim(&mut desk, 7);
    write(&mut desk, &rules(6_000, 1), NOW);
    assert!(desk.draft(&rules(6_000, 1), Calls::from(0), false, NOW.plus(10_999)).is_none());
    assert_eq!(write(&mut desk, &rules(6_000, 1), NOW.plus(11_000)).ended, [7]);
}

#[test]
fn an_entry_that_is_not_appended_grants_nothing_and_forgets_no_end() {
    for (why, error) in [
        (NotAppended::No, LineError::Unavailable),
        (NotAppended::Unknown, LineError::Unknown),
        (NotAppended::Fenced, LineError::NoOwner),
    ] {
        let mut desk = desk(100);
        let _first = claim(&mut desk, 1);
        write(&mut desk, &rules(6_000, 5), NOW);
        let (mut left, mut second) = (leave(&mut desk, 1), claim(&mut desk, 2));
        let draft = desk.draft(&rules(6_000, 5), Calls::from(50), true, NOW).unwrap();
        desk.not_appended(draft, why);
        assert_eq!(second.try_recv(), Ok(Err(error)));
        assert_eq!(left.try_recv(), Ok(Err(error)));
        assert_eq!((desk.fold.active(), desk.fold.frontier(), desk.numbers.left()), (1, 100, 0));
        assert_eq!(write(&mut desk, &rules(6_000, 5), NOW).ended, [1], "the end is written again");
    }
}

#[test]
fn the_first_entry_of_an_owner_carries_the_gap_and_later_ones_do_not() {
    let mut fold = LineFold::new(5_000);
    let entry = LineEvent { at: NOW, numbers_to: 500, frontier: 10, ..LineEvent::default() };
    fold.apply(1, &entry).unwrap();
    let mut desk = Desk::new(fold.clone(), 42, hall(), Watch::default());
    let first = write(&mut desk, &rules(600, 5), NOW);
    assert_eq!((first.gap, first.pass_ttl_ms, first.numbers_to), (Some((43, 500)), Some(10_000), 500));
    let draft = desk.draft(&rules(600, 5), Calls::from(0), true, NOW).unwrap();
    assert_eq!((draft.event.gap, draft.event.pass_ttl_ms, draft.event.numbers_to), (None, None, 10_500));
    desk.appended(draft).unwrap();
    assert_eq!(desk.numbers.offer(1), (501, 1));
    let next = Desk::new(desk.fold, 501, hall(), Watch::default());
    assert_eq!(next.gap, Some((502, 10_500)), "the next owner's gap begins behind what was given out");
}

#[test]
fn who_is_called_to_a_unit_that_came_back_has_a_short_turn_where_the_sale_has_a_standby() {
    let standby = Some(domain::Standby { claim_ms: 2_000, places: 10 });
    let mut with = rules(6_000, 1_000);
    with.room.standby = standby;
    for (rules, turn_ms) in [(with, Some(2_000)), (rules(6_000, 1_000), None)] {
        let mut desk = desk(10);
        let look = |desk: &mut Desk, free| {
            let stock = Stock { free, held: 5 - free, sold: 0 };
            desk.step(&rules, Some(stock), Health::good(NOW), NOW)
        };
        look(&mut desk, 0);
        let draft = desk.draft(&rules, Calls::from(10), true, NOW).unwrap();
        assert_eq!(draft.event.turn_ms, None, "nobody is called");
        desk.appended(draft).unwrap();
        look(&mut desk, 1);
        let draft = desk.draft(&rules, Calls::from(11), false, NOW).unwrap();
        assert_eq!(draft.event.turn_ms, turn_ms);
        let returns = u64::from(turn_ms.is_some());
        let written = desk.appended(draft).unwrap();
        assert_eq!((written.granted, written.returns, written.classes), (0, returns, [0; 9]));
    }
}

#[test]
fn a_gap_that_the_log_has_is_not_written_again() {
    let mut fold = LineFold::new(5_000);
    let entry = LineEvent { at: NOW, numbers_to: 500, gap: Some((43, 500)), ..LineEvent::default() };
    fold.apply(1, &entry).unwrap();
    assert_eq!(Desk::new(fold, 42, hall(), Watch::default()).gap, None);
}

#[test]
fn what_the_fold_knows_is_answered_without_redis() {
    let mut desk = desk(100);
    let rules = rules(6_000, 50);
    let _answer = claim(&mut desk, 1);
    write(&mut desk, &rules, NOW);
    let expires = NOW.plus(10_000);
    let again = Claim::Granted { number: 1, given: NOW, expires, again: true };
    assert_eq!(desk.claim_now(1, &rules, NOW), Some(Ok(again)));
    assert_eq!(desk.claim_now(1, &rules, expires), Some(Ok(Claim::Ended)));
    assert_eq!(desk.claim_now(2, &rules, NOW), None, "its ticket has to be presented");
    let Some(Ok(Claim::NotYet { retry_after_ms, why: NotYet::NotCalled })) = desk.claim_now(200, &rules, NOW) else {
        panic!("it waits")
    };
    assert_eq!(retry_after_ms, 1_000, "a hundred are ahead or equal, a hundred come in a second");
    let closed = Rules { phase: Phase::Closed, ..rules.clone() };
    assert_eq!(desk.claim_now(2, &closed, NOW), Some(Err(LineError::Closed)));
    assert_eq!(desk.claim_now(1, &closed, NOW), Some(Ok(again)), "who is inside stays inside");
    assert_eq!(desk.claim_now(2, &Rules { phase: Phase::Scheduled, ..rules }, NOW), Some(Err(LineError::NotOpen)));
}

#[test]
fn a_closing_desk_answers_everybody_and_hands_on_the_ends() {
    let mut desk = desk(100);
    let (mut a, mut b) = (claim(&mut desk, 1), leave(&mut desk, 9));
    assert_eq!(desk.close(LineError::NoOwner), BTreeSet::from([9]));
    assert_eq!(a.try_recv(), Ok(Err(LineError::NoOwner)));
    assert_eq!(b.try_recv(), Ok(Err(LineError::NoOwner)));
    assert_eq!(desk.waiting(), 0);
}

#[test]
fn an_entry_is_bounded_and_the_rest_comes_with_the_next() {
    let mut fold = LineFold::new(5_000);
    let entry =
        LineEvent { at: NOW, numbers_to: 5_000, frontier: 5_000, pass_ttl_ms: Some(10_000), ..LineEvent::default() };
    fold.apply(1, &entry).unwrap();
    let mut desk = Desk::new(fold, 5_000, hall(), Watch::default());
    let _answers: Vec<_> = (1..=1_500).map(|number| claim(&mut desk, number)).collect();
    let rules = rules(600_000, 5_000);
    assert_eq!(write(&mut desk, &rules, NOW).granted.len(), MAX_ENTRY);
    assert_eq!(desk.waiting(), 1_500 - MAX_ENTRY);
    assert_eq!(write(&mut desk, &rules, NOW).granted.len(), 1_500 - MAX_ENTRY);
    let _left: Vec<_> = (1..=1_500).map(|number| leave(&mut desk, number)).collect();
    assert_eq!(write(&mut desk, &rules, NOW).ended.len(), MAX_ENTRY);
    assert_eq!(write(&mut desk, &rules, NOW).ended.len(), 1_500 - MAX_ENTRY);
    assert_eq!((desk.fold.active(), desk.waiting()), (0, 0));
}

fn come(desk: &mut Desk, who: u8) -> Receiver<Result<super::super::Came, LineError>> {
    let (answer, answered) = oneshot::channel();
    desk.come(VisitorHash([who; 16]), answer);
    answered
}

#[test]
fn who_waits_for_the_log_at_the_opening_is_in_the_lobby_and_who_joins_during_the_draw_comes_behind() {
    let mut desk = Desk::new(LineFold::new(5_000), 0, hall(), Watch::default());
    let (mut early, mut tab) = (come(&mut desk, 1), come(&mut desk, 1));
    assert_eq!(desk.waiting(), 2);
    let open = rules(600, 10);
    let came = write(&mut desk, &open, NOW);
    assert!(matches!(&came.lobby, Some(LobbyEvent::Came { commitment: Some(_), receipts }) if receipts.len() == 1));
    assert_eq!((came.numbers_to, desk.waiting()), (0, 0), "no number before the lobby has closed");
    let index = |answer: &mut Receiver<Result<super::super::Came, LineError>>| {
        answer.try_recv().unwrap().map(|came| (came.index, came.new))
    };
    assert_eq!((index(&mut early), index(&mut tab)), (Ok((0, true)), Ok((0, false))));
    let closed = write(&mut desk, &open, NOW);
    assert!(matches!(closed.lobby, Some(LobbyEvent::Closed { count: 1, .. })) && closed.numbers_to == 1);
    assert_eq!(desk.drawn_number(&VisitorHash([1; 16])), Err(LineError::Drawing));
    let block = desk.draft(&open, Calls::from(0), true, NOW).unwrap();
    assert!(block.event.lobby.is_none() && block.event.numbers_to > 1, "joins go on while it is drawn");
    desk.appended(block).unwrap();
    assert_eq!(desk.numbers.offer(1), (2, 1));
    let order = desk.hall.to_draw(&desk.fold, &open).unwrap();
    let places = order.draw();
    desk.hall.drawn(order, places);
    assert!(desk.hall.to_draw(&desk.fold, &open).is_none(), "computed once");
    let drawn = desk.draft(&open, Calls::from(0), false, NOW).unwrap();
    assert!(matches!(drawn.event.lobby, Some(LobbyEvent::Drawn { .. })));
    assert_eq!(desk.drawn_number(&VisitorHash([1; 16])), Err(LineError::Drawing), "logged first");
    desk.appended(drawn).unwrap();
    assert_eq!(desk.drawn_number(&VisitorHash([1; 16])), Ok(Some(1)));
    let late = come(&mut desk, 2).try_recv();
    assert_eq!(late, Ok(Err(LineError::NotOpen)));
}

#[test]
fn a_lobby_stays_as_it_is_while_the_sale_is_scheduled() {
    let mut desk = Desk::new(LineFold::new(5_000), 0, hall(), Watch::default());
    let _answer = come(&mut desk, 1);
    let scheduled = Rules { phase: Phase::Scheduled, ..rules(600, 10) };
    write(&mut desk, &scheduled, NOW);
    assert!(desk.draft(&scheduled, Calls::from(0), false, NOW).is_none(), "it closes when the sale opens");
    let mut again = come(&mut desk, 1);
    assert!(again.try_recv().unwrap().is_ok_and(|came| !came.new), "from the fold, at once");
}

/// A class with 50 of 100 calls and as many places.
fn with_class(pace: u32, cap: u32) -> Rules {
    let mut rules = rules(pace, cap);
    rules.room.classes.push(domain::LineClass {
        id: "members".parse().unwrap(),
        title: None,
        share: 50,
        places: 3,
        codes: Vec::new(),
        uses: 1,
    });
    rules.settings = Settings::of(&rules.room, Some(4));
    rules
}

fn redeem(desk: &mut Desk, who: u8, code: u8, uses: u32) -> Receiver<Result<super::super::Joined, LineError>> {
    let (answer, answered) = oneshot::channel();
    let code = Code { code: domain::CodeHash([code; 16]), class: 1, uses };
    desk.redeem(VisitorHash([who; 16]), code, answer, NOW);
    answered
}

#[test]
fn a_code_is_decided_with_the_entry_and_answered_after_it() {
    let (mut desk, rules) = (desk(10), with_class(6_000, 100));
    let mut tabs = [redeem(&mut desk, 1, 1, 2), redeem(&mut desk, 1, 1, 2)];
    let mut others = [redeem(&mut desk, 2, 1, 2), redeem(&mut desk, 3, 1, 2), redeem(&mut desk, 4, 2, 1)];
    let mut last = redeem(&mut desk, 5, 3, 1);
    assert_eq!(desk.waiting(), 6);
    let draft = desk.draft(&rules, Calls::default(), false, NOW).unwrap();
    assert_eq!(draft.event.redeemed.iter().map(|one| one.visitor.0[0]).collect::<Vec<_>>(), [1, 2, 4]);
    assert_eq!(others[1].try_recv(), Ok(Err(LineError::CodeUsed)), "two may use it, and two do");
    assert_eq!(last.try_recv(), Ok(Err(LineError::ClassFull)), "three places");
    assert!(tabs[0].try_recv().is_err(), "nobody is answered before the log has it");
    desk.appended(draft).unwrap();
    let place = |place, new| Ok(Ok(super::super::Joined { number: number(1, place), new }));
    assert_eq!([tabs[0].try_recv(), tabs[1].try_recv()], [place(1, true), place(1, false)], "one person, two tabs");
    assert_eq!([others[0].try_recv(), others[2].try_recv()], [place(2, true), place(3, true)]);
    assert_eq!((redeem(&mut desk, 2, 9, 1).try_recv(), desk.waiting()), (place(2, false), 0));
}

#[test]
fn a_code_whose_entry_is_not_appended_is_not_used() {
    let (mut desk, rules) = (desk(10), with_class(6_000, 100));
    let mut first = redeem(&mut desk, 1, 1, 1);
    let draft = desk.draft(&rules, Calls::default(), false, NOW).unwrap();
    desk.not_appended(draft, NotAppended::No);
    assert_eq!(first.try_recv(), Ok(Err(LineError::Unavailable)));
    let mut second = redeem(&mut desk, 2, 1, 1);
    write(&mut desk, &rules, NOW);
    assert!(second.try_recv().unwrap().is_ok());
    let mut waits = redeem(&mut desk, 3, 2, 1);
    desk.close(LineError::NoOwner);
    assert_eq!(waits.try_recv(), Ok(Err(LineError::NoOwner)));
}

#[test]
fn where_more_claim_than_may_enter_the_classes_take_turns_and_in_each_the_lowest_is_first() {
    let (mut desk, rules) = (desk(10), with_class(6_000, 4));
    for who in 1..=3 {
        redeem(&mut desk, who, who, 1);
    }
    let mut calls = Calls::default();
    write(&mut desk, &rules, NOW);
    calls.classes[1] = 3;
    let draft = desk.draft(&rules, calls, false, NOW).unwrap();
    let written = desk.appended(draft).unwrap();
    assert_eq!((written.classes[1], written.bypasses), (3, true), "people without a class wait");
    let _answers: Vec<_> = [3, 2, 1].iter().map(|n| (claim(&mut desk, *n), claim(&mut desk, number(1, *n)))).collect();
    assert_eq!(write(&mut desk, &rules, NOW).granted, [1, 2, number(1, 1), number(1, 2)]);
}

#[test]
fn a_fault_is_recorded_when_it_is_over_and_nobody_is_sent_back_before() {
    let (mut desk, rules) = (desk(100), rules(6_000, 50));
    desk.watch.sound(NOW, &rules);
    let _first = claim(&mut desk, 1);
    write(&mut desk, &rules, NOW);
    // The pass would be over; what happened since nobody has seen.
    let after = NOW.plus(15_000);
    assert_eq!(desk.claim_now(1, &rules, after), Some(Err(LineError::Unavailable)), "503, and the place is kept");
    assert!(
        desk.draft(&rules, Calls::from(0), false, after).is_none_or(|draft| draft.event.ended.is_empty()),
        "nor is the place given away"
    );
    desk.watch.sound(after, &rules);
    let entry = write(&mut desk, &rules, after);
    assert_eq!((entry.fault, entry.ended), (Some((NOW, after)), vec![]));
    let given = Claim::Granted { number: 1, given: NOW, expires: NOW.plus(10_000), again: true };
    assert_eq!(desk.claim_now(1, &rules, after), Some(Ok(given)), "its life is what was given; the fault adds to it");
    let ends = NOW.plus(25_000);
    for ms in (after.0..=ends.0 + 2_000).step_by(100) {
        desk.watch.sound(Millis(ms), &rules);
    }
    assert_eq!(desk.claim_now(1, &rules, ends), Some(Ok(Claim::Ended)));
    assert_eq!(write(&mut desk, &rules, ends.plus(1_000)).ended, [1]);
}

#[test]
fn a_place_in_a_class_is_kept_while_a_fault_may_extend_its_pass() {
    let (mut desk, rules) = (desk(10), with_class(6_000, 100));
    desk.watch.sound(NOW, &rules);
    let _place = redeem(&mut desk, 1, 1, 1);
    write(&mut desk, &rules, NOW);
    let mut calls = Calls::default();
    calls.classes[1] = 1;
    let draft = desk.draft(&rules, calls, false, NOW).unwrap();
    desk.appended(draft).unwrap();
    let _pass = claim(&mut desk, number(1, 1));
    assert_eq!(write(&mut desk, &rules, NOW).granted, [number(1, 1)]);
    let (who, after) = (VisitorHash([1; 16]), NOW.plus(15_000));
    assert_eq!(desk.class_place(&who, None, after), Some(number(1, 1)), "nobody knows yet that it is over");
    for ms in (NOW.0..=after.0).step_by(100) {
        desk.watch.sound(Millis(ms), &rules);
    }
    assert_eq!(desk.class_place(&who, None, after), None);
}
