//! What becomes of a request: a pure function of the account, the request and the time.

use super::{Account, CouponUse, Entry, Key, Lot, sum};
use crate::event::Actor;
use crate::id::HoldId;
use crate::limits::{MAX_POINT_IDS, MAX_POINTS, POINTS_REMEMBER_MS, POINTS_RETURNED_MS};
use crate::time::Millis;

/// What somebody wants of a visitor's points.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// More points, paid for or given.
    Charge {
        /// Says which.
        id: String,
        /// What comes.
        lot: Lot,
    },
    /// A checkout is to use points and coupons: all of it or nothing.
    Use {
        /// Its booking.
        booking: HoldId,
        /// How many points.
        points: u64,
        /// Which coupons.
        coupons: Vec<CouponUse>,
    },
    /// What a checkout used is to come back, and what it earned to go.
    Return {
        /// Its booking.
        booking: HoldId,
        /// 0: all of it, and the use is undone for ever, also when it was not seen yet; else the number of a refund.
        part: u32,
        /// Points that come back; with part 0 it is all of them, whatever this says.
        points: u64,
        /// The coupons come back as well.
        coupons: bool,
        /// Earned points to be taken back.
        take: u64,
        /// Points come back with the end they had, or this one if it is later: an operator's refund after a cancelled event
        /// is not to return what ends the same day.
        at_least: Option<Millis>,
    },
    /// A booking stands.
    Earn {
        /// The booking.
        booking: HoldId,
        /// What it earned.
        lot: Lot,
    },
    /// An operator mends a balance.
    Correct {
        /// The operator's Idempotency-Key.
        id: String,
        /// Added, or taken when negative.
        points: i64,
        /// Who and why.
        actor: Actor,
    },
}

/// Why nothing changes. In this order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Refused {
    /// Another amount was asked for under the same id.
    #[error("the id was used for another amount")]
    KeyReused,
    /// It was asked for so long ago that nobody remembers whether it was done.
    #[error("the request is too old")]
    TooOld,
    /// So many entries are remembered that another one has to wait.
    #[error("there are too many entries of this visitor")]
    Busy,
    /// More than [`MAX_POINTS`] at once.
    #[error("more points than {MAX_POINTS}")]
    TooMany,
    /// The use was undone before it came.
    #[error("the use was undone")]
    Undone,
    /// Another checkout uses the coupon, or the same one names it twice.
    #[error("coupon {0} is used")]
    CouponUsed(HoldId),
    /// There are not so many points.
    #[error("there are {0} points")]
    NotEnough(u64),
    /// More was to come back than was used.
    #[error("more points than were used")]
    TooMuch,
}

impl Request {
    fn key(&self) -> Key {
        match self {
            Self::Charge { id, .. } => Key::Charge(id.clone()),
            Self::Use { booking, .. } => Key::Use(*booking),
            Self::Return { booking, part, .. } => Key::Return(*booking, *part),
            Self::Earn { booking, .. } => Key::Earn(*booking),
            Self::Correct { id, .. } => Key::Correct(id.clone()),
        }
    }

    /// What it changes by its own words; absent where the account decides.
    fn amount(&self) -> Option<i128> {
        match self {
            Self::Charge { lot, .. } | Self::Earn { lot, .. } => Some(i128::from(lot.points)),
            Self::Use { points, .. } => Some(i128::from(*points)),
            Self::Return { part: 0, .. } => None,
            Self::Return { points, take, .. } => Some(i128::from(*points) - i128::from(*take)),
            Self::Correct { points, .. } => Some(i128::from(*points)),
        }
    }

    fn largest(&self) -> u64 {
        match self {
            Self::Charge { lot, .. } | Self::Earn { lot, .. } => lot.points,
            Self::Use { points, .. } => *points,
            Self::Return { points, take, .. } => (*points).max(*take),
            Self::Correct { points, .. } => points.unsigned_abs(),
        }
    }
}

/// The entry that a request comes to at this moment; `None` when it was done before. `asked` is when whoever asks began to
/// ask: the same moment with every repeat.
///
/// # Errors
/// Why nothing changes.
pub fn decide(account: &Account, request: &Request, asked: Millis, now: Millis) -> Result<Option<Entry>, Refused> {
    let key = request.key();
    if let Some(known) = account.known(&key) {
        let same = request.amount().is_none_or(|amount| amount == known.amount);
        return if same { Ok(None) } else { Err(Refused::KeyReused) };
    }
    if now.since(asked) >= POINTS_REMEMBER_MS {
        return Err(Refused::TooOld);
    }
    // What ends a checkout has a place however many there are: each has one use at most, and that was counted.
    if account.remembered() >= MAX_POINT_IDS && !matches!(request, Request::Return { .. } | Request::Earn { .. }) {
        return Err(Refused::Busy);
    }
    if request.largest() > MAX_POINTS {
        return Err(Refused::TooMany);
    }
    enter(account, request, now).map(Some)
}

fn enter(account: &Account, request: &Request, now: Millis) -> Result<Entry, Refused> {
    Ok(match request.clone() {
        Request::Charge { id, lot } => Entry::Charged { id, lot },
        Request::Use { booking, points, coupons } => {
            if account.known(&Key::Return(booking, 0)).is_some() {
                return Err(Refused::Undone);
            }
            for (n, used) in coupons.iter().enumerate() {
                if account.coupon(used.id).is_some() || coupons.iter().take(n).any(|other| other.id == used.id) {
                    return Err(Refused::CouponUsed(used.id));
                }
            }
            let from = account.pick(now, points).ok_or_else(|| Refused::NotEnough(account.balance(now)))?;
            Entry::Used { booking, from, coupons }
        }
        Request::Return { booking, part: 0, .. } => undone(account, booking),
        Request::Return { booking, part, points, coupons, take, at_least } => {
            if account.known(&Key::Return(booking, 0)).is_some() {
                return Err(Refused::Undone);
            }
            let lots = if account.known(&Key::Use(booking)).is_some() {
                account.back(booking, points, at_least).ok_or(Refused::TooMuch)?
            } else {
                forgotten(points, at_least, now)
            };
            let coupons = if coupons { account.coupons_of(booking) } else { Vec::new() };
            let usable = |lot: &&Lot| lot.until.is_none_or(|until| until > now);
            let there = account.balance(now) + lots.iter().filter(usable).map(|lot| lot.points).sum::<u64>();
            let taken = take.min(there);
            Entry::Returned { booking, part, lots, coupons, taken, owed: take - taken }
        }
        Request::Earn { booking, lot } => {
            let paid = lot.points.min(account.owed());
            Entry::Earned { booking, lot: Lot { points: lot.points - paid, ..lot }, paid }
        }
        Request::Correct { id, points, actor } => {
            let balance = account.balance(now);
            if points < 0 && points.unsigned_abs() > balance {
                return Err(Refused::NotEnough(balance));
            }
            Entry::Corrected { id, points, actor }
        }
    })
}

/// A checkout that came to nothing. When its use was not seen yet, the entry alone keeps it from happening.
fn undone(account: &Account, booking: HoldId) -> Entry {
    let left = account.known(&Key::Use(booking)).map_or(0, |known| sum(&known.left));
    let lots = account.back(booking, left, None).unwrap_or_default();
    Entry::Returned { booking, part: 0, lots, coupons: account.coupons_of(booking), taken: 0, owed: 0 }
}

/// What comes back of a use that nobody remembers.
fn forgotten(points: u64, at_least: Option<Millis>, now: Millis) -> Vec<Lot> {
    let until = now.plus(POINTS_RETURNED_MS);
    let until = Some(at_least.map_or(until, |least| until.max(least)));
    if points == 0 { Vec::new() } else { vec![Lot { points, until }] }
}
