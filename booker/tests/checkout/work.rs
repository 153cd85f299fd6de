use booker::checkout::{
    Answer, CheckoutFold, Confirming, Entering, Heard, HoldOf, Input, LaneWord, Todo, Work, confirm, enter, release,
};
use domain::checkout::Entry;
use domain::limits::{
    CHECKOUT_POLL_MS, CHECKOUT_RETRY_MS, CHECKOUT_STUCK_MS, CHECKOUT_TRIES, CHECKOUT_TRY_MS, MAX_CHECKOUT_STEPS,
};
use domain::{CheckoutEvent, HoldId, HoldState, Millis, Step, VisitorHash};

use crate::log::{Log, NOW, UNTIL, authorised, done, hold, one_line, ops};

#[test]
fn a_hold_enters_paying_once_and_is_taken_again_where_there_are_units() {
    let hold = |state, deadline| Some(HoldOf { state, deadline: Millis(deadline) });
    let paying = |until| Entering::Paying { until: Millis(until) };
    assert_eq!(enter(hold(HoldState::Held, 20), NOW, 100), paying(110));
    assert_eq!(enter(hold(HoldState::Held, 500), NOW, 100), paying(500), "never shortened");
    assert_eq!(enter(hold(HoldState::Paying, 20), NOW, 100), paying(20), "extended once");
    for gone in [None, hold(HoldState::Held, 10), hold(HoldState::Paying, 10), hold(HoldState::Released, 99)] {
        assert_eq!(enter(gone, NOW, 100), Entering::Gone, "{gone:?}");
    }
    assert_eq!(enter(hold(HoldState::Confirming, 0), NOW, 100), Entering::Confirming);
    assert_eq!(enter(hold(HoldState::Sold, 0), NOW, 100), Entering::Decided(HoldState::Sold));
    for state in HoldState::ALL {
        let expected = match state {
            HoldState::Held | HoldState::Paying => [Confirming::Held; 2],
            HoldState::Confirming => [Confirming::Already; 2],
            HoldState::Released => [Confirming::Retaken, Confirming::Empty],
            decided => [Confirming::Decided(decided); 2],
        };
        assert_eq!([true, false].map(|free| confirm(hold(state, 0), free)), expected, "{state}");
        assert_eq!(release(hold(state, 0)), matches!(state, HoldState::Held | HoldState::Paying));
    }
    assert_eq!([true, false].map(|free| confirm(None, free)), [Confirming::Retaken, Confirming::Empty]);
}

fn run_of(todo: &[Todo]) -> Vec<Step> {
    let step = |todo: &Todo| if let Todo::Run(_, effect, _) = todo { Some(effect.step()) } else { None };
    todo.iter().filter_map(step).collect()
}

#[test]
fn a_step_is_tried_again_after_growing_pauses_and_given_up_after_tries_and_time() {
    let mut log = Log::default();
    log.begin(&one_line());
    log.all(&[done(Step::Reserve), Input::Leave, done(Step::Return)]);
    let (mut work, mut now) = (Work::of(&log.fold, NOW), NOW);
    let mut times = vec![];
    let gave_up = loop {
        match &work.next(&log.fold, now)[..] {
            [Todo::Run(_, effect, before)] => {
                assert_eq!((effect.step(), work.under_way()), (Step::Authorise, 1));
                assert_eq!(*before as usize, times.len());
                assert_eq!(work.next(&log.fold, now), [], "nothing is tried twice at once");
                times.push(now);
                work.heard(hold(1), Step::Authorise, Heard::Unknown, now);
            }
            [Todo::Decide(_, Input::GiveUp { step: Step::Authorise, said })] => break said.clone(),
            // It looks when the try would have been over, too.
            [] => {}
            other => panic!("{other:?} at {now:?}"),
        }
        now = work.wakes().unwrap();
    };
    let pauses: Vec<u64> = times.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    let (first, most) = CHECKOUT_RETRY_MS;
    assert_eq!(pauses[..4], [first, 2 * first, 4 * first, 8 * first]);
    assert!(pauses.iter().all(|pause| *pause <= most) && times.len() >= CHECKOUT_TRIES as usize);
    assert!(now.since(NOW) >= CHECKOUT_STUCK_MS && now.since(NOW) < CHECKOUT_STUCK_MS + 2 * most, "{now:?}");
    let give_up = Input::GiveUp { step: Step::Authorise, said: gave_up };
    assert_eq!(log.tell(1, &give_up, now), Answer::Taken);
    work.moved(hold(1), now);
    assert_eq!((work.next(&log.fold, now), work.wakes(), work.under_way()), (vec![], None, 0));
    assert_eq!(log.tell(1, &Input::Retry { step: Step::Authorise, actor: ops() }, now), Answer::Taken);
    work.moved(hold(1), now);
    assert_eq!(run_of(&work.next(&log.fold, now)), [Step::Authorise]);
}

#[test]
fn a_try_that_never_answers_is_unknown_and_a_customer_is_waited_for() {
    let mut log = Log::default();
    log.begin(&one_line());
    let mut work = Work::of(&log.fold, NOW);
    assert_eq!(run_of(&work.next(&log.fold, NOW)), [Step::Reserve]);
    let later = NOW.plus(CHECKOUT_TRY_MS);
    assert_eq!(work.wakes(), Some(UNTIL.min(later)));
    log.all(&[done(Step::Reserve)]);
    work.moved(hold(1), NOW);
    assert_eq!(run_of(&work.next(&log.fold, NOW)), [Step::Authorise]);
    work.heard(hold(1), Step::Authorise, Heard::Waiting, NOW);
    assert_eq!(work.next(&log.fold, Millis(999)), [], "the provider is not asked all the time");
    let todo = work.next(&log.fold, UNTIL);
    assert_eq!(todo, [Todo::Decide(hold(1), Input::Clock)]);
    assert!(work.wakes().unwrap() <= NOW.plus(CHECKOUT_POLL_MS.0));
    // What is not a step any more, and never answered, does not count for ever.
    let mut lost = Work::of(&log.fold, NOW);
    lost.next(&log.fold, NOW);
    log.all(&[authorised(1_000), Input::Lane(LaneWord::Booked { seq: 7 }), done(Step::Capture), done(Step::Earn)]);
    lost.look(hold(1), later);
    lost.next(&log.fold, later);
    assert_eq!(lost.under_way(), 0);
}

#[test]
fn so_many_steps_and_no_more_are_under_way_at_once() {
    let mut fold = CheckoutFold::default();
    let sale = "night".parse().unwrap();
    let ids: Vec<HoldId> =
        (0..2 * MAX_CHECKOUT_STEPS).map(|n| HoldId::derive(&sale, 0, &VisitorHash([1; 16]), &n.to_string())).collect();
    for (seq, id) in (1..).zip(&ids) {
        let entry = Entry::Begun { plan: Box::new(one_line()) };
        fold.apply(seq, &CheckoutEvent { id: *id, at: NOW, entry }).unwrap();
    }
    let mut work = Work::of(&fold, NOW);
    let first = work.next(&fold, NOW);
    assert_eq!((first.len(), work.under_way()), (MAX_CHECKOUT_STEPS, MAX_CHECKOUT_STEPS));
    assert_eq!(work.next(&fold, NOW), []);
    for todo in &first {
        let Todo::Run(id, effect, 0) = todo else { panic!("{todo:?}") };
        work.heard(*id, effect.step(), Heard::Answered, NOW);
    }
    let second = work.next(&fold, NOW);
    assert_eq!(second.len(), MAX_CHECKOUT_STEPS);
    assert!(second.iter().all(|todo| !first.contains(todo)), "everybody has a turn");
}

/// Groups are cut where an append is full.
#[test]
fn an_entry_that_follows_by_itself_is_made_up_for_when_it_was_cut_off() {
    let mut log = Log::default();
    log.begin(&one_line());
    log.all(&[done(Step::Reserve)]);
    let first = CheckoutEvent { id: hold(1), at: NOW, entry: Entry::Authorised { payment: "pi_1".to_owned() } };
    log.fold.apply(3, &first).unwrap();
    assert_eq!((log.steps(), log.checkout().is_over()), (vec![], false));
    let mut work = Work::of(&log.fold, NOW);
    assert_eq!(work.next(&log.fold, NOW), [Todo::Decide(hold(1), Input::Clock)]);
    log.tell(1, &Input::Clock, Millis(9_999));
    assert_eq!(log.steps(), [Step::Confirm], "paid is paid: the lane decides, however late it is");
}
