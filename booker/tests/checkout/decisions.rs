use booker::checkout::{Answer, Effect, Input, LaneWord, Phase, Refused, Report, effects};
use domain::checkout::{AbortReason, Entry, Part};
use domain::event::Event as _;
use domain::limits::MAX_STUCK_BYTES;
use domain::points::CouponUse;
use domain::{CheckoutEvent, Currency, Fingerprint, HoldState, Millis, Money, Plan, Step};

use crate::log::{Log, NOW, UNTIL, ask, authorised, done, euro, hold, item, one_line, ops, plan, refused};

/// What stands in logs for ever: these texts must stay readable.
#[test]
fn entries_have_their_golden_texts() {
    let mut log = Log::paid(&Plan { coupons: vec![CouponUse { id: hold(9), until: None }], ..one_line() });
    log.all(&[Input::Refund(ask("r", None)), Input::Lane(LaneWord::Cancelled { booked: 7, seq: 8 })]);
    let give_up = Input::GiveUp { step: Step::Refund(1), said: "no answer".to_owned() };
    log.all(&[give_up, Input::Retry { step: Step::Refund(1), actor: ops() }]);
    let (id, coupon) = (hold(1), hold(9));
    let texts: Vec<String> = log.entries.iter().map(|event| event.encode().unwrap()).collect();
    let of = |rest: &str| format!(r#"{{"v":1,"id":"{id}","at":10,{rest}}}"#);
    let me = "AQEBAQEBAQEBAQEBAQEBAQ";
    let expected = [
        of(&format!(
            r#""t":"begun","visitor":"{me}","fp":"0101010101010101","currency":"EUR","parts":[{{"item":"a","units":2,"charged":1000,"points":3,"earned":2}}],"coupons":[{{"id":"{coupon}"}}],"earn_ms":500,"until":1000"#
        )),
        of(r#""t":"reserved""#),
        of(r#""t":"authorised","payment":"pi_1""#),
        of(r#""t":"confirm_sent""#),
        of(r#""t":"decided","booked":true,"seq":7"#),
        of(r#""t":"captured""#),
        of(r#""t":"earned""#),
        of(
            r#""t":"refund_asked","n":1,"key":"r","lines":{"a":2},"money":1000,"points":3,"take":2,"cancel":true,"by":"ops","why":"asked""#,
        ),
        of(r#""t":"cancelled","seq":8"#),
        of(r#""t":"stuck","step":"refund-1","why":"no answer""#),
        of(r#""t":"retried","step":"refund-1","by":"ops","why":"asked""#),
    ];
    assert_eq!(texts, expected);
}

#[test]
fn the_usual_way_asks_for_one_thing_after_the_other() {
    let mut log = Log::default();
    assert_eq!(log.begin(&one_line()), Answer::Taken);
    assert_eq!(log.steps(), [Step::Reserve]);
    log.all(&[done(Step::Reserve)]);
    assert_eq!(effects(log.checkout()), [Effect::Authorise { due: euro(1_000), payment: None }]);
    log.all(&[Input::Heard(Report::Opened { payment: "pi_1".to_owned() })]);
    assert_eq!(effects(log.checkout()), [Effect::Authorise { due: euro(1_000), payment: Some("pi_1".into()) }]);
    log.all(&[authorised(1_000)]);
    assert_eq!((log.checkout().phase(), log.steps()), (Phase::Confirming, vec![Step::Confirm]));
    log.all(&[Input::Lane(LaneWord::Booked { seq: 7 })]);
    assert_eq!(effects(log.checkout()), [Effect::Capture { payment: "pi_1".into(), due: euro(1_000) }]);
    log.all(&[done(Step::Capture)]);
    let [Effect::Earn { lot, asked, .. }] = &effects(log.checkout())[..] else { panic!("{:?}", log.steps()) };
    assert_eq!((lot.points, lot.until, *asked), (2, Some(Millis(510)), NOW));
    log.all(&[done(Step::Earn)]);
    assert!(log.checkout().is_over() && log.fold.open().len() == 0);
    // Every answer once more, in any order: nothing changes.
    for input in [done(Step::Capture), done(Step::Reserve), authorised(1_000), done(Step::Earn), done(Step::Void)] {
        assert_eq!(log.tell(1, &input, NOW), Answer::Known, "{input:?}");
    }
}

#[test]
fn a_checkout_without_money_asks_no_provider() {
    let free = plan(vec![Part { points: 5, ..Part::new(item("a"), 1, 0) }]);
    let mut log = Log::default();
    log.begin(&free);
    log.all(&[done(Step::Reserve)]);
    assert_eq!((log.checkout().phase(), log.steps()), (Phase::Confirming, vec![Step::Confirm]));
    log.all(&[Input::Lane(LaneWord::Refused { seq: 7 })]);
    assert_eq!(log.steps(), [Step::Return]);
    log.all(&[done(Step::Return)]);
    assert!(log.checkout().is_over());
    let nothing = plan(vec![Part::new(item("a"), 1, 0)]);
    assert!(Log::paid(&nothing).checkout().is_over());
}

#[test]
fn the_same_request_is_known_and_another_one_is_refused() {
    let mut log = Log::default();
    let begin = |plan: Plan, lane| Input::Begin { plan: Box::new(plan), lane };
    assert_eq!(log.tell(1, &done(Step::Capture), NOW), Answer::NotFound);
    assert_eq!(log.tell(1, &begin(one_line(), Some(HoldState::Refused)), NOW), Answer::HoldGone);
    assert_eq!(log.tell(1, &begin(one_line(), None), UNTIL), Answer::BadPlan);
    for parts in [vec![], vec![Part::new(item("a"), 1, -1)], vec![Part::new(item("a"), 0, 1)]] {
        assert_eq!(log.tell(1, &begin(plan(parts), None), NOW), Answer::BadPlan);
    }
    assert_eq!(log.tell(1, &begin(one_line(), Some(HoldState::Held)), NOW), Answer::Taken);
    assert_eq!(log.tell(1, &begin(one_line(), None), UNTIL), Answer::Known);
    let other = Plan { fp: Fingerprint([2; 8]), ..one_line() };
    assert_eq!(log.tell(1, &begin(other, None), NOW), Answer::KeyReused);
}

#[test]
fn a_promise_of_another_amount_or_payment_books_nothing() {
    let reserved = || {
        let mut log = Log::default();
        log.begin(&one_line());
        log.all(&[done(Step::Reserve)]);
        log
    };
    let mut less = reserved();
    assert_eq!(less.tell(1, &authorised(999), NOW), Answer::Taken);
    assert_eq!((less.checkout().why(), less.checkout().payment()), (Some(AbortReason::Amount), Some("pi_1")));
    assert_eq!(less.steps(), [Step::Void, Step::Return]);
    let mut dollars = reserved();
    let amount = Money { minor: 1_000, currency: Currency::parse("USD").unwrap() };
    dollars.all(&[Input::Heard(Report::Authorised { payment: "pi_1".to_owned(), amount })]);
    assert_eq!(dollars.checkout().why(), Some(AbortReason::Amount));
    let mut other = reserved();
    other.all(&[Input::Heard(Report::Opened { payment: "pi_0".to_owned() })]);
    assert_eq!(other.tell(1, &authorised(1_000), NOW), Answer::Foreign);
    let endless = Input::Heard(Report::Opened { payment: "p".repeat(256) });
    assert_eq!(other.tell(1, &endless, NOW), Answer::Foreign);
    assert_eq!(other.checkout().phase(), Phase::Paying);
}

#[test]
fn a_promise_that_comes_after_the_end_is_let_go() {
    let mut log = Log::default();
    log.begin(&one_line());
    log.all(&[done(Step::Reserve)]);
    assert_eq!(log.tell(1, &Input::Clock, Millis(999)), Answer::Known);
    assert_eq!(log.tell(1, &Input::Clock, UNTIL), Answer::Taken);
    assert_eq!(log.checkout().why(), Some(AbortReason::TooLate));
    assert_eq!(log.steps(), [Step::Authorise, Step::Return], "no such payment is no answer");
    assert_eq!(log.tell(1, &done(Step::Void), NOW), Answer::Taken, "the provider has said so itself");
    let mut late = Log::default();
    late.begin(&one_line());
    late.all(&[done(Step::Reserve), Input::Leave, authorised(1_000)]);
    assert_eq!(late.steps(), [Step::Void, Step::Return]);
    late.all(&[done(Step::Void), done(Step::Return)]);
    assert!(late.checkout().is_over());
    assert_eq!(late.tell(1, &Input::Leave, NOW), Answer::NotNow);
}

#[test]
fn what_is_refused_is_undone_as_far_as_it_was_done() {
    let mut log = Log::default();
    log.begin(&one_line());
    log.all(&[refused(Step::Reserve, AbortReason::Points)]);
    assert_eq!((log.checkout().why(), log.steps()), (Some(AbortReason::Points), vec![Step::Return]));
    let mut declined = Log::default();
    declined.begin(&one_line());
    declined.all(&[done(Step::Reserve), refused(Step::Authorise, AbortReason::Declined)]);
    assert_eq!(declined.steps(), [Step::Return], "the provider has said that there is nothing to let go");
    let mut dead = Log::default();
    dead.begin(&one_line());
    dead.all(&[done(Step::Reserve), Input::Lane(LaneWord::Refused { seq: 3 })]);
    assert_eq!(dead.checkout().why(), Some(AbortReason::HoldGone), "the id is dead: nobody is asked to pay any more");
}

#[test]
fn only_the_lane_ends_what_was_sent_to_it() {
    let mut log = Log::default();
    log.begin(&one_line());
    assert_eq!(log.tell(1, &Input::Lane(LaneWord::Booked { seq: 7 }), NOW), Answer::Astray);
    log.all(&[done(Step::Reserve), authorised(1_000)]);
    for input in [Input::Leave, refused(Step::Reserve, AbortReason::HoldGone), Input::Clock] {
        assert_ne!(log.tell(1, &input, Millis(9_999)), Answer::Taken, "{input:?}");
    }
    for entry in [Entry::Aborted { why: AbortReason::Left }, Entry::Voided, Entry::Returned, Entry::Captured] {
        let event = CheckoutEvent { id: hold(1), at: NOW, entry };
        let refused = log.fold.apply(log.fold.head() + 1, &event);
        assert!(refused.is_err(), "nor does the log take it from anybody: {event:?}");
    }
    let stuck = Input::GiveUp { step: Step::Confirm, said: String::new() };
    log.all(&[stuck]);
    for done in [true, false] {
        let resolve = Input::Resolve { step: Step::Confirm, done, actor: ops() };
        assert_eq!(log.tell(1, &resolve, NOW), Answer::NotNow);
    }
    log.all(&[Input::Lane(LaneWord::Booked { seq: 7 })]);
    assert!(log.checkout().stuck().is_empty());
    assert_eq!(log.tell(1, &Input::Lane(LaneWord::Refused { seq: 8 }), NOW), Answer::Astray);
}

#[test]
fn a_booking_whose_money_never_comes_is_cancelled_by_an_operator() {
    let mut log = Log::default();
    log.begin(&one_line());
    log.all(&[done(Step::Reserve), authorised(1_000), Input::Lane(LaneWord::Booked { seq: 7 })]);
    log.all(&[refused(Step::Capture, AbortReason::Declined)]);
    assert_eq!((log.steps(), log.fold.dead_letters().count()), (vec![], 1));
    assert!(!log.checkout().is_over());
    assert_eq!(log.tell(1, &Input::Refund(ask("r", None)), NOW), Answer::Refund(Refused::NotPaid));
    log.all(&[Input::Resolve { step: Step::Capture, done: false, actor: ops() }]);
    assert_eq!((log.steps(), log.fold.dead_letters().count()), (vec![Step::Cancel], 0));
    log.all(&[Input::Lane(LaneWord::Cancelled { booked: 7, seq: 8 })]);
    assert_eq!(log.steps(), [Step::Void, Step::Return]);
    log.all(&[done(Step::Void), done(Step::Return)]);
    assert!(log.checkout().is_over());
}

#[test]
fn a_stuck_step_waits_and_the_others_go_on() {
    let mut log = Log::default();
    log.begin(&one_line());
    log.all(&[done(Step::Reserve), Input::Leave]);
    let long = "é".repeat(MAX_STUCK_BYTES);
    log.all(&[Input::GiveUp { step: Step::Authorise, said: long }]);
    assert!(log.checkout().stuck()[&Step::Authorise].len() <= MAX_STUCK_BYTES);
    assert_eq!(log.steps(), [Step::Return]);
    assert_eq!(log.tell(1, &Input::GiveUp { step: Step::Capture, said: String::new() }, NOW), Answer::Known);
    assert_eq!(log.tell(1, &Input::Retry { step: Step::Return, actor: ops() }, NOW), Answer::NotNow);
    log.all(&[Input::Retry { step: Step::Authorise, actor: ops() }]);
    assert_eq!(log.steps(), [Step::Authorise, Step::Return]);
}

#[test]
fn a_log_that_contradicts_itself_is_not_folded() {
    let mut log = Log::paid(&one_line());
    let mut push = |entry: Entry| {
        let event = CheckoutEvent { id: hold(1), at: NOW, entry };
        log.fold.apply(log.fold.head() + 1, &event)
    };
    let forged = |money, key: &str| Entry::RefundAsked {
        n: 1,
        refund: Box::new(domain::Refund {
            key: key.to_owned(),
            lines: [(item("a"), 1)].into_iter().collect(),
            money,
            fee: 0,
            points: 0,
            take: 0,
            cancel: false,
            points_until: None,
            actor: ops(),
        }),
    };
    for entry in [
        Entry::ConfirmSent,
        Entry::Captured,
        Entry::Voided,
        Entry::Aborted { why: AbortReason::Left },
        Entry::Decided { booked: false, seq: 9 },
        Entry::Refunded { n: 1 },
        forged(1_001, "too much"),
        forged(-1, "below nothing"),
        Entry::Begun { plan: Box::new(one_line()) },
    ] {
        assert!(push(entry.clone()).is_err(), "{entry:?}");
    }
    let gap = CheckoutEvent { id: hold(1), at: NOW, entry: Entry::Cancelled { seq: 9 } };
    assert_eq!(log.fold.apply(99, &gap).unwrap_err().to_string(), "event 8 was expected and 99 came");
}
