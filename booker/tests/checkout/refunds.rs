use booker::checkout::{Answer, Ask, Input, LaneWord, Refused, refund};
use domain::checkout::Part;
use domain::limits::MAX_REFUNDS;
use domain::{Percent, Step};
use proptest::prelude::*;

use crate::log::{Log, NOW, ask, authorised, done, item, one_line, plan};

#[test]
fn a_cancellation_gives_everything_back_only_when_the_lane_has_it() {
    let mut log = Log::paid(&one_line());
    log.all(&[Input::Refund(ask("r", None))]);
    assert_eq!(log.steps(), [Step::Cancel]);
    assert_eq!(log.tell(1, &Input::Refund(ask("r", None)), NOW), Answer::Known);
    assert_eq!(log.tell(1, &Input::Refund(ask("r", Some(&[("a", 1)]))), NOW), Answer::KeyReused);
    assert_eq!(log.tell(1, &Input::Refund(ask("s", None)), NOW), Answer::Refund(Refused::Cancelled));
    assert_eq!(log.tell(1, &done(Step::Refund(1)), NOW), Answer::Known, "nothing moves before");
    log.all(&[Input::Lane(LaneWord::Cancelled { booked: 7, seq: 8 })]);
    assert_eq!(log.steps(), [Step::Refund(1), Step::Points(1)]);
    log.all(&[done(Step::Points(1)), done(Step::Refund(1))]);
    assert!(log.checkout().is_over());
    // Cancelled without asking here: what is left goes back by itself.
    let mut elsewhere = Log::paid(&one_line());
    elsewhere.all(&[Input::Refund(ask("one", Some(&[("a", 1)]))), done(Step::Refund(1)), done(Step::Points(1))]);
    elsewhere.all(&[Input::Lane(LaneWord::Cancelled { booked: 7, seq: 8 })]);
    assert_eq!((elsewhere.checkout().refunded(), elsewhere.steps()), (1_000, vec![Step::Refund(2), Step::Points(2)]));
}

/// They would be owed for a moment, and a visitor would see it.
#[test]
fn points_are_taken_back_only_after_they_were_given() {
    let mut log = Log::default();
    log.begin(&one_line());
    log.all(&[done(Step::Reserve), authorised(1_000), Input::Lane(LaneWord::Booked { seq: 7 }), done(Step::Capture)]);
    log.all(&[Input::Refund(ask("r", Some(&[("a", 1)])))]);
    assert_eq!(log.steps(), [Step::Earn, Step::Refund(1)], "the money does not wait for it");
    log.all(&[done(Step::Earn)]);
    assert_eq!(log.steps(), [Step::Refund(1), Step::Points(1)]);
}

/// In this order.
#[test]
fn a_refund_is_refused_with_the_first_reason_that_applies() {
    let mut log = Log::default();
    log.begin(&one_line());
    let nothing = ask("r", Some(&[("a", 0)]));
    assert_eq!(refund(log.checkout(), &nothing), Err(Refused::NotBooked));
    log.all(&[done(Step::Reserve), authorised(1_000), Input::Lane(LaneWord::Booked { seq: 7 })]);
    assert_eq!(refund(log.checkout(), &nothing), Err(Refused::NotPaid));
    log.all(&[done(Step::Capture)]);
    assert_eq!(refund(log.checkout(), &nothing), Err(Refused::Nothing));
    let units = |item: &str, left| Err(Refused::Units { item: item.parse().unwrap(), left });
    assert_eq!(refund(log.checkout(), &ask("r", Some(&[("a", 3)]))), units("a", 2));
    assert_eq!(refund(log.checkout(), &ask("r", Some(&[("z", 1)]))), units("z", 0));
    let many = plan(vec![Part::new(item("a"), 1_000, 1_000)]);
    let mut often = Log::paid(&many);
    for n in 0..MAX_REFUNDS {
        often.all(&[Input::Refund(ask(&n.to_string(), Some(&[("a", 1)])))]);
    }
    assert_eq!(refund(often.checkout(), &ask("more", None)), Err(Refused::TooMany));
}

proptest! {
    #[test]
    fn all_refunds_together_are_what_was_paid_however_it_is_cut(
        lines in prop::collection::vec((1_u32..30, 0_i64..1_000_000, 0_u64..1_000, 0_u64..100), 1..5),
        cuts in prop::collection::vec((0_usize..5, 1_u32..20), 0..20), fee in 0_u32..=100_000,
    ) {
        let parts = lines.iter().enumerate().map(|(n, (units, charged, points, earned))| Part {
            points: *points,
            earned: *earned,
            ..Part::new(item(&format!("i{n}")), *units, *charged)
        });
        let plan = plan(parts.collect());
        let mut log = Log::paid(&plan);
        for (n, (line, units)) in cuts.iter().enumerate() {
            let name = format!("i{line}");
            let lines: &[(&str, u32)] = &[(&name, *units)];
            let answer = log.tell(1, &Input::Refund(Ask { fee: Percent::thousandths(fee).unwrap(), ..ask(&n.to_string(), Some(lines)) }), NOW);
            prop_assert!(matches!(answer, Answer::Taken | Answer::Refund(Refused::Units { .. } | Refused::Cancelled)), "{:?}", answer);
        }
        let last = log.tell(1, &Input::Refund(ask("rest", None)), NOW);
        prop_assert!(matches!(last, Answer::Taken | Answer::Refund(Refused::Cancelled)), "{:?}", last);
        let sum = |of: fn(&domain::Refund) -> i64| log.checkout().refunds().iter().map(|refund| of(&refund.refund)).sum::<i64>();
        prop_assert_eq!(sum(|refund| refund.money + refund.fee), plan.due().minor);
        prop_assert_eq!(sum(|refund| refund.points.cast_signed()).unsigned_abs(), plan.points());
        prop_assert_eq!(sum(|refund| refund.take.cast_signed()).unsigned_abs(), plan.earned());
        prop_assert_eq!(log.checkout().refunds().iter().filter(|refund| refund.refund.cancel).count(), 1);
        prop_assert!(log.checkout().refunds().iter().all(|refund| refund.refund.money >= 0 && refund.refund.fee >= 0));
    }
}
