use domain::event::Event as _;
use domain::limits::{MAX_POINT_IDS, MAX_POINT_LOTS, MAX_POINTS, POINTS_REMEMBER_MS, POINTS_RETURNED_MS};
use domain::points::{Account, BadPoints, CouponUse, Entry, Group, Lot, PointsEvent, PointsFold, Refused, Request};
use domain::{Actor, HoldId, Millis, VisitorHash};
use proptest::prelude::*;

const ME: VisitorHash = VisitorHash([1; 16]);

fn booking(n: u8) -> HoldId {
    HoldId::derive(&"night".parse().unwrap(), 0, &VisitorHash([n; 16]), "k")
}

fn lot(points: u64, until: Option<u64>) -> Lot {
    Lot { points, until: until.map(Millis) }
}

fn charge(id: &str, points: u64, until: Option<u64>) -> Request {
    Request::Charge { id: id.to_owned(), lot: lot(points, until) }
}

fn uses(n: u8, points: u64) -> Request {
    Request::Use { booking: booking(n), points, coupons: vec![] }
}

fn undo(n: u8) -> Request {
    Request::Return { booking: booking(n), part: 0, points: 0, coupons: true, take: 0, at_least: None }
}

fn refund(n: u8, part: u32, points: u64, take: u64) -> Request {
    Request::Return { booking: booking(n), part, points, coupons: true, take, at_least: None }
}

fn earn(n: u8, points: u64) -> Request {
    Request::Earn { booking: booking(n), lot: lot(points, None) }
}

fn correct(id: &str, points: i64) -> Request {
    Request::Correct { id: id.to_owned(), points, actor: Actor { by: "ops".to_owned(), why: "mend".to_owned() } }
}

/// A log with its fold: every request is a group of its own.
#[derive(Default)]
struct Log {
    fold: PointsFold,
    events: Vec<PointsEvent>,
}

impl Log {
    fn ask(&mut self, request: &Request, at: u64) -> Result<bool, Refused> {
        self.ask_since(request, at, at)
    }

    fn ask_since(&mut self, request: &Request, asked: u64, at: u64) -> Result<bool, Refused> {
        let mut group = Group::default();
        let done = group.ask(&self.fold, ME, request, Millis(asked), Millis(at))?;
        self.append(&group);
        Ok(done)
    }

    fn append(&mut self, group: &Group) {
        for event in group.events() {
            let text = event.encode().unwrap();
            assert_eq!(&PointsEvent::decode(&text).unwrap(), event);
            self.fold.apply(self.fold.head() + 1, event).unwrap();
            self.events.push(event.clone());
        }
    }

    fn expire(&mut self, at: u64) -> bool {
        let mut group = Group::default();
        let done = group.expire(&self.fold, ME, Millis(at));
        self.append(&group);
        done
    }

    fn account(&self) -> Account {
        self.fold.account(&ME).cloned().unwrap_or_default()
    }

    fn balance(&self, at: u64) -> u64 {
        self.account().balance(Millis(at))
    }
}

#[test]
fn entries_have_their_golden_texts() {
    let mut log = Log::default();
    log.ask(&charge("c1", 100, Some(50)), 1).unwrap();
    log.ask(&uses(1, 30), 2).unwrap();
    log.ask(&correct("m", -5), 3).unwrap();
    let texts: Vec<String> = log.events.iter().map(|event| event.encode().unwrap()).collect();
    let me = "AQEBAQEBAQEBAQEBAQEBAQ";
    assert_eq!(
        texts[0],
        format!(r#"{{"v":1,"visitor":"{me}","at":1,"t":"charged","id":"c1","lot":{{"points":100,"until":50}}}}"#)
    );
    let id = booking(1);
    assert_eq!(
        texts[1],
        format!(r#"{{"v":1,"visitor":"{me}","at":2,"t":"used","booking":"{id}","from":[{{"points":30,"until":50}}]}}"#)
    );
    assert_eq!(
        texts[2],
        format!(r#"{{"v":1,"visitor":"{me}","at":3,"t":"corrected","id":"m","points":-5,"by":"ops","why":"mend"}}"#)
    );
}

#[test]
fn the_same_id_counts_once_and_another_amount_under_it_is_refused() {
    let mut log = Log::default();
    for request in [charge("c", 100, None), uses(1, 30), earn(1, 7), refund(1, 1, 10, 3), correct("m", -4)] {
        assert_eq!(log.ask(&request, 5), Ok(true), "{request:?}");
        let balance = log.balance(5);
        assert_eq!(log.ask(&request, 6), Ok(false), "{request:?}");
        assert_eq!(log.balance(6), balance);
    }
    assert_eq!(log.balance(6), 100 - 30 + 7 + 10 - 3 - 4);
    for request in [charge("c", 101, None), uses(1, 31), earn(1, 8), refund(1, 1, 11, 3), correct("m", 4)] {
        assert_eq!(log.ask(&request, 7), Err(Refused::KeyReused), "{request:?}");
    }
}

#[test]
fn points_that_end_soonest_go_first_and_ended_ones_not_at_all() {
    let mut log = Log::default();
    for (id, points, until) in [("a", 10, None), ("b", 10, Some(100)), ("c", 10, Some(50))] {
        log.ask(&charge(id, points, until), 1).unwrap();
    }
    log.ask(&uses(1, 15), 2).unwrap();
    assert_eq!(log.account().lots(), [lot(5, Some(100)), lot(10, None)]);
    assert_eq!(log.balance(100), 10, "what has ended is no balance, also before its entry");
    assert_eq!(log.ask(&uses(2, 11), 100), Err(Refused::NotEnough(10)));
    assert_eq!((log.expire(100), log.expire(101)), (true, false));
    // What comes back of a use has the end it had: some of it is over.
    assert_eq!(log.ask(&undo(1), 102), Ok(true));
    assert_eq!((log.balance(102), log.account().overdue(Millis(102))), (10, 15));
}

#[test]
fn nothing_goes_below_zero() {
    let mut log = Log::default();
    assert_eq!(log.ask(&uses(1, 1), 1), Err(Refused::NotEnough(0)));
    log.ask(&charge("c", 10, None), 1).unwrap();
    assert_eq!(log.ask(&correct("m", -11), 1), Err(Refused::NotEnough(10)));
    assert_eq!(log.ask(&charge("d", MAX_POINTS + 1, None), 1), Err(Refused::TooMany));
    assert_eq!(log.ask(&correct("n", i64::MIN), 1), Err(Refused::TooMany));
    let forged = Entry::Used { booking: booking(1), from: vec![lot(11, None)], coupons: vec![] };
    let event = PointsEvent { visitor: ME, at: Millis(2), entry: forged };
    assert_eq!(log.fold.apply(2, &event), Err(BadPoints::DoesNotFit(2)));
    assert_eq!(log.fold.apply(3, &event), Err(BadPoints::Gap { expected: 2, got: 3 }));
}

#[test]
fn fifty_checkouts_at_once_spend_points_and_a_coupon_once() {
    let mut log = Log::default();
    log.ask(&charge("c", 100, None), 1).unwrap();
    let (mut group, coupon) = (Group::default(), CouponUse { id: booking(99), until: None });
    let mut won = 0;
    for n in 1..=50 {
        let request = Request::Use { booking: booking(n), points: 60, coupons: vec![coupon] };
        match group.ask(&log.fold, ME, &request, Millis(2), Millis(2)) {
            Ok(true) => won += 1,
            other => assert_eq!(other, Err(Refused::CouponUsed(coupon.id))),
        }
    }
    log.append(&group);
    assert_eq!((won, log.balance(2), log.account().coupon(coupon.id)), (1, 40, Some(booking(1))));
    assert_eq!(log.ask(&uses(60, 41), 3), Err(Refused::NotEnough(40)));
    log.ask(&undo(1), 4).unwrap();
    assert_eq!((log.balance(4), log.account().coupon(coupon.id)), (100, None), "both are there again");
    let twice = Request::Use { booking: booking(70), points: 0, coupons: vec![coupon, coupon] };
    assert_eq!(log.ask(&twice, 5), Err(Refused::CouponUsed(coupon.id)));
}

#[test]
fn a_use_that_comes_after_its_undoing_is_refused() {
    let mut log = Log::default();
    log.ask(&charge("c", 100, None), 1).unwrap();
    assert_eq!((log.ask(&undo(1), 2), log.ask(&undo(1), 2)), (Ok(true), Ok(false)));
    assert_eq!(log.ask(&uses(1, 60), 3), Err(Refused::Undone));
    assert_eq!(log.ask(&refund(1, 1, 60, 0), 3), Err(Refused::Undone));
    assert_eq!(log.balance(3), 100);
}

#[test]
fn earned_points_that_are_spent_are_owed_and_what_is_earned_next_pays() {
    let mut log = Log::default();
    log.ask(&earn(1, 100), 1).unwrap();
    log.ask(&uses(2, 90), 2).unwrap();
    log.ask(&refund(1, 1, 0, 100), 3).unwrap();
    assert_eq!((log.balance(3), log.account().owed()), (0, 90));
    log.ask(&charge("paid", 50, None), 4).unwrap();
    assert_eq!((log.balance(4), log.account().owed()), (50, 90), "what was paid for is the visitor's");
    log.ask(&earn(3, 70), 5).unwrap();
    log.ask(&earn(4, 70), 6).unwrap();
    assert_eq!((log.balance(6), log.account().owed()), (100, 0));
    let text = log.events[5].encode().unwrap();
    assert!(text.contains(r#""paid":20"#), "{text}");
}

#[test]
fn refunds_give_back_what_was_used_once_and_never_more() {
    let mut log = Log::default();
    log.ask(&charge("a", 40, Some(1_000)), 1).unwrap();
    log.ask(&charge("b", 40, Some(2_000)), 1).unwrap();
    log.ask(&uses(1, 80), 2).unwrap();
    log.ask(&refund(1, 1, 50, 0), 3).unwrap();
    assert_eq!(log.account().lots(), [lot(10, Some(1_000)), lot(40, Some(2_000))], "what ends last comes first");
    assert_eq!(log.ask(&refund(1, 2, 31, 0), 4), Err(Refused::TooMuch));
    let late = Request::Return {
        booking: booking(1),
        part: 2,
        points: 30,
        coupons: true,
        take: 0,
        at_least: Some(Millis(9_000)),
    };
    log.ask(&late, 5_000).unwrap();
    assert_eq!(log.balance(8_999), 30, "an operator's refund is of use for a while");
    assert_eq!(log.ask(&refund(1, 3, 1, 0), 5_001), Err(Refused::TooMuch));
}

#[test]
fn memory_is_bounded_and_what_was_forgotten_is_not_done_again() {
    let mut log = Log::default();
    for n in 0..200_u64 {
        log.ask(&charge(&n.to_string(), 1, Some(1_000_000 + n * n)), 1).unwrap();
    }
    assert_eq!((log.account().lots().len(), log.balance(1)), (MAX_POINT_LOTS, 200));
    assert!(log.balance(1_000_000) >= 199, "merged to the later end, never to the visitor's loss");
    for n in 200..MAX_POINT_IDS {
        log.ask(&charge(&n.to_string(), 1, None), 1).unwrap();
    }
    assert_eq!(log.ask(&charge("one more", 1, None), 1), Err(Refused::Busy));
    let old = POINTS_REMEMBER_MS + 2;
    assert_eq!(log.ask_since(&charge("7", 1, None), 1, old), Err(Refused::TooOld));
    assert_eq!(log.ask(&charge("7", 1, None), old), Ok(true), "asked anew, it is another one");
    assert_eq!(log.account().remembered(), 1);
    // A use that was forgotten comes back as points with an end of their own.
    log.ask(&refund(1, 1, 5, 0), old).unwrap();
    assert!(log.account().lots().contains(&lot(5, Some(old + POINTS_RETURNED_MS))));
    log.fold.forget(Millis(3 * old));
    assert_eq!(log.fold.len(), 1, "who has points stays");
    let mut spent = Log::default();
    spent.ask(&charge("a", 1, None), 1).unwrap();
    spent.ask(&uses(1, 1), 2).unwrap();
    spent.fold.forget(Millis(old + 2));
    assert!(spent.fold.is_empty());
}

fn request() -> impl Strategy<Value = Request> {
    let amount = 0_u64..60;
    let until = prop::option::of(1_u64..200);
    prop_oneof![
        ("[a-e]", amount.clone(), until).prop_map(|(id, points, until)| charge(&id, points, until)),
        (1_u8..5, amount.clone(), prop::option::of(90_u8..93)).prop_map(|(n, points, coupon)| Request::Use {
            booking: booking(n),
            points,
            coupons: coupon.map(|n| CouponUse { id: booking(n), until: None }).into_iter().collect(),
        }),
        (1_u8..5).prop_map(undo),
        (1_u8..5, 1_u32..4, amount.clone(), amount.clone())
            .prop_map(|(n, part, points, take)| refund(n, part, points, take)),
        (1_u8..5, amount).prop_map(|(n, points)| earn(n, points)),
        ("[a-c]", -60_i64..60).prop_map(|(id, points)| correct(&id, points)),
    ]
}

/// What is used by each booking and did not come back.
fn out(events: &[PointsEvent]) -> i128 {
    let sum = |lots: &[Lot]| i128::from(domain::points::sum(lots));
    let change = |event: &PointsEvent| match &event.entry {
        Entry::Charged { lot, .. } => i128::from(lot.points),
        Entry::Earned { lot, .. } => i128::from(lot.points),
        Entry::Used { from, .. } => -sum(from),
        Entry::Returned { lots, taken, .. } => sum(lots) - i128::from(*taken),
        Entry::Expired { points } => -i128::from(*points),
        Entry::Corrected { points, .. } => i128::from(*points),
    };
    events.iter().map(change).sum()
}

proptest! {
    #[test]
    fn whatever_is_asked_in_whatever_order_the_balance_is_what_the_log_adds_up_to(
        requests in prop::collection::vec((request(), 1_u64..40, 1_usize..4, any::<bool>()), 1..40),
    ) {
        let (mut log, mut at, mut group) = (Log::default(), 1, Group::default());
        for (request, step, times, flush) in requests {
            at += step;
            for _ in 0..times {
                let _ = group.ask(&log.fold, ME, &request, Millis(at), Millis(at));
            }
            if flush {
                group.expire(&log.fold, ME, Millis(at));
                log.append(&group);
                group = Group::default();
            }
        }
        log.append(&group);
        let account = log.account();
        prop_assert_eq!(i128::from(domain::points::sum(account.lots())), out(&log.events));
        prop_assert!(account.balance(Millis(at)) + account.overdue(Millis(at)) == domain::points::sum(account.lots()));
        let mut keys: Vec<_> = log.events.iter().filter_map(|event| event.entry.key()).collect();
        let all = keys.len();
        keys.sort();
        keys.dedup();
        prop_assert_eq!(keys.len(), all, "every id stands in the log once");
        // The log alone says the same.
        let mut again = PointsFold::default();
        for (seq, event) in (1..).zip(&log.events) {
            again.apply(seq, event).unwrap();
        }
        prop_assert_eq!(again.account(&ME), log.fold.account(&ME));
    }
}
