//! How much of a booking goes back: dealt from what is left of its lines, so that all refunds together are exactly what was paid.

use domain::{Actor, ItemId, Lines, Millis, Percent, Refund};

use super::state::{Checkout, Phase};

/// A refund that somebody asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Key of the request: the same key refunds once.
    pub key: String,
    /// Units of lines; absent: all that is left, which cancels the booking.
    pub lines: Option<Lines>,
    /// The part of the money that is kept.
    pub fee: Percent,
    /// Points that come back live until then at least.
    pub points_until: Option<Millis>,
    /// Who and why.
    pub actor: Actor,
}

/// Why nothing goes back. In this order.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// There is no booking.
    #[error("there is no booking to refund")]
    NotBooked,
    /// It was cancelled, or is being cancelled.
    #[error("the booking is cancelled")]
    Cancelled,
    /// The money has not come yet. Ask again.
    #[error("the money of the booking has not come yet")]
    NotPaid,
    /// There were as many refunds as there may be.
    #[error("there were {} refunds of this booking", domain::limits::MAX_REFUNDS)]
    TooMany,
    /// The booking does not have so many units of it left.
    #[error("the booking has {left} units of {item}")]
    Units {
        /// What.
        item: ItemId,
        /// How many can still be given back.
        left: u64,
    },
    /// No unit was named.
    #[error("no units to refund")]
    Nothing,
}

/// What `more` of `units` units have of `total`, when `done` of them went before: rounded so that all of them have all of it.
fn share(total: i128, units: u32, done: u64, more: u64) -> i128 {
    let up_to = |n: u64| total * i128::from(n) / i128::from(units.max(1));
    up_to(done.saturating_add(more)) - up_to(done)
}

/// The refund that is asked for.
///
/// # Errors
/// Why nothing goes back.
pub fn refund(checkout: &Checkout, ask: &Ask) -> Result<Refund, Refused> {
    may(checkout)?;
    let left = |item: &ItemId| {
        let part = checkout.plan.parts.iter().find(|part| part.item == *item);
        part.map_or(0, |part| u64::from(part.units).saturating_sub(checkout.given_back(item)))
    };
    let all =
        || checkout.plan.parts.iter().map(|part| (part.item.clone(), u32::try_from(left(&part.item)).unwrap_or(0)));
    let asked = ask.lines.clone().unwrap_or_else(|| all().filter(|(_, units)| *units > 0).collect());
    if let Some((item, _)) = asked.iter().find(|(item, units)| u64::from(*units) > left(item)) {
        return Err(Refused::Units { item: item.clone(), left: left(item) });
    }
    if asked.units() == 0 {
        return Err(Refused::Nothing);
    }
    let (mut gross, mut fee, mut points, mut take) = (0_i64, 0_i64, 0_u64, 0_u64);
    for (item, more) in asked.iter() {
        let Some(part) = checkout.plan.parts.iter().find(|part| part.item == *item) else { continue };
        let of = |total: i128| share(total, part.units, checkout.given_back(item), u64::from(more));
        let money = i64::try_from(of(i128::from(part.charged))).unwrap_or(0);
        (gross, fee) = (gross + money, fee + ask.fee.of(money));
        points += u64::try_from(of(i128::from(part.points))).unwrap_or(0);
        take += u64::try_from(of(i128::from(part.earned))).unwrap_or(0);
    }
    let units: u64 = checkout.plan.parts.iter().map(|part| left(&part.item)).sum();
    Ok(Refund {
        key: ask.key.clone(),
        cancel: asked.units() == units,
        lines: asked,
        money: gross - fee,
        fee,
        points,
        take,
        points_until: ask.points_until,
        actor: ask.actor.clone(),
    })
}

fn may(checkout: &Checkout) -> Result<(), Refused> {
    if checkout.phase != Phase::Booked {
        return Err(Refused::NotBooked);
    }
    if checkout.lost || checkout.refunds.iter().any(|refund| refund.refund.cancel) {
        return Err(Refused::Cancelled);
    }
    if !checkout.is_paid() {
        return Err(Refused::NotPaid);
    }
    if checkout.refunds.len() >= domain::limits::MAX_REFUNDS {
        return Err(Refused::TooMany);
    }
    Ok(())
}
