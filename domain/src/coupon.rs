//! What a coupon takes off, under which conditions, and with which others.
//!
//! Parts are taken of what a line costs before any coupon, so the order in which coupons are named changes nothing; amounts
//! come after parts and are spread over the lines by what is left of them. A line never costs less than nothing.

use serde::{Deserialize, Serialize};

use crate::id::{HoldId, ItemId, SaleId};
use crate::limits::MAX_COUPONS;
use crate::money::{Currency, Money};
use crate::price::Percent;
use crate::time::Millis;

/// What a coupon of a campaign is worth. It stands with the item that sells the coupons.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Coupon {
    /// What it takes off.
    pub off: Off,
    /// The sale it can be used in; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale: Option<SaleId>,
    /// The items it takes something off; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ItemId>,
    /// What these items have to cost together, before any coupon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Money>,
    /// From this moment on; absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Millis>,
    /// Up to this moment; absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
    /// It can be used together with others that say so too.
    #[serde(default)]
    pub combines: bool,
}

/// What a coupon takes off.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Off {
    /// A part of each line.
    Part(Percent),
    /// An amount of all lines together.
    Amount(Money),
}

/// A coupon that a visitor has and wants to use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owned {
    /// Booking by which the visitor got it.
    pub id: HoldId,
    /// The campaign's name: sale and item.
    pub campaign: (SaleId, ItemId),
    /// What it is worth.
    pub coupon: Coupon,
}

/// A line that coupons may take something off: its item and what it costs, in minor units.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Goods {
    /// The item.
    pub item: ItemId,
    /// What it costs before any coupon.
    pub minor: i64,
}

/// Why a coupon cannot be used. In this order.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CouponRefused {
    /// More than [`MAX_COUPONS`].
    #[error("more than {MAX_COUPONS} coupons")]
    TooMany,
    /// The same coupon, or another one of the same campaign, was named before.
    #[error("coupon {0} is of a campaign that another one is of")]
    Twice(HoldId),
    /// It can be used alone only.
    #[error("coupon {0} cannot be used with others")]
    Alone(HoldId),
    /// Its time has not come.
    #[error("coupon {0} cannot be used before {1}")]
    TooEarly(HoldId, Millis),
    /// Its time is over.
    #[error("coupon {0} could be used until {1}")]
    TooLate(HoldId, Millis),
    /// It is for something else than what is bought here.
    #[error("coupon {0} is for none of these items")]
    OtherItem(HoldId),
    /// It takes off, or asks for, an amount of another currency.
    #[error("coupon {0} is in {1}")]
    Currency(HoldId, Currency),
    /// What it is for costs too little.
    #[error("coupon {0} needs items for {1}")]
    Minimum(HoldId, Money),
}

impl Coupon {
    fn is_for(&self, item: &ItemId) -> bool {
        self.items.is_empty() || self.items.contains(item)
    }

    /// The currency it speaks of; a part without a minimum speaks of none.
    fn currency(&self) -> Option<Currency> {
        let off = match self.off {
            Off::Part(_) => None,
            Off::Amount(money) => Some(money.currency),
        };
        off.or(self.minimum.map(|money| money.currency))
    }
}

/// Minor units that these coupons take off each line, in the lines' order.
///
/// # Errors
/// The first coupon that cannot be used, in order of the campaigns' names.
pub fn off(
    sale: &SaleId,
    goods: &[Goods],
    currency: Currency,
    coupons: &[Owned],
    at: Millis,
) -> Result<Vec<i64>, CouponRefused> {
    if coupons.len() > MAX_COUPONS {
        return Err(CouponRefused::TooMany);
    }
    let mut sorted: Vec<&Owned> = coupons.iter().collect();
    sorted.sort_by(|a, b| (&a.campaign, a.id).cmp(&(&b.campaign, b.id)));
    combine(&sorted)?;
    for owned in &sorted {
        usable(sale, goods, currency, owned, at)?;
    }
    let mut left: Vec<i64> = goods.iter().map(|line| line.minor.max(0)).collect();
    for owned in &sorted {
        if let Off::Part(part) = owned.coupon.off {
            for (left, line) in left.iter_mut().zip(goods).filter(|(_, line)| owned.coupon.is_for(&line.item)) {
                *left -= part.of(line.minor).min(*left);
            }
        }
    }
    for owned in &sorted {
        if let Off::Amount(money) = owned.coupon.off {
            let of: Vec<i64> = left
                .iter()
                .zip(goods)
                .map(|(left, line)| if owned.coupon.is_for(&line.item) { *left } else { 0 })
                .collect();
            for (left, off) in left.iter_mut().zip(spread(money.minor, &of)) {
                *left -= off;
            }
        }
    }
    Ok(goods.iter().zip(left).map(|(line, left)| line.minor.max(0) - left).collect())
}

/// Who may stand beside whom.
fn combine(sorted: &[&Owned]) -> Result<(), CouponRefused> {
    let again = sorted.windows(2).find_map(|pair| match pair {
        [a, b] if a.campaign == b.campaign || a.id == b.id => Some(b.id),
        _ => None,
    });
    if let Some(id) = again {
        return Err(CouponRefused::Twice(id));
    }
    match sorted.iter().find(|owned| sorted.len() > 1 && !owned.coupon.combines) {
        Some(owned) => Err(CouponRefused::Alone(owned.id)),
        None => Ok(()),
    }
}

fn usable(sale: &SaleId, goods: &[Goods], currency: Currency, owned: &Owned, at: Millis) -> Result<(), CouponRefused> {
    let (id, coupon) = (owned.id, &owned.coupon);
    if let Some(from) = coupon.from.filter(|from| at < *from) {
        return Err(CouponRefused::TooEarly(id, from));
    }
    if let Some(until) = coupon.until.filter(|until| at >= *until) {
        return Err(CouponRefused::TooLate(id, until));
    }
    let mine = || goods.iter().filter(|line| coupon.is_for(&line.item));
    if coupon.sale.as_ref().is_some_and(|only| only != sale) || mine().next().is_none() {
        return Err(CouponRefused::OtherItem(id));
    }
    if let Some(other) = coupon.currency().filter(|other| *other != currency) {
        return Err(CouponRefused::Currency(id, other));
    }
    let sum: i128 = mine().map(|line| i128::from(line.minor)).sum();
    match coupon.minimum.filter(|minimum| sum < i128::from(minimum.minor)) {
        Some(minimum) => Err(CouponRefused::Minimum(id, minimum)),
        None => Ok(()),
    }
}

/// Deals an amount over shares of the sizes `of`, at most their sum: each gets its part rounded down, and what is left over
/// goes one by one to those that lost most by it, the first of equals first. None gets more than its size.
#[must_use]
pub fn spread(amount: i64, of: &[i64]) -> Vec<i64> {
    let sum: i128 = of.iter().map(|size| i128::from((*size).max(0))).sum();
    let amount = i128::from(amount.max(0)).min(sum);
    if sum == 0 {
        return vec![0; of.len()];
    }
    let exact = |size: &i64| i128::from((*size).max(0)) * amount;
    let mut dealt: Vec<i64> = of.iter().map(|size| i64::try_from(exact(size) / sum).unwrap_or(*size)).collect();
    let over = amount - dealt.iter().map(|part| i128::from(*part)).sum::<i128>();
    let mut order: Vec<usize> = (0..of.len()).collect();
    order.sort_by_key(|n| std::cmp::Reverse(of.get(*n).map_or(0, |size| exact(size) % sum)));
    for n in order.into_iter().take(usize::try_from(over).unwrap_or(0)) {
        if let Some(part) = dealt.get_mut(n) {
            *part += 1;
        }
    }
    dealt
}
