//! What a hold costs, reckoned once and carried with it: whatever happens to the sale's document, what was quoted is owed.
//!
//! Per line: units at the discounted price as long as there are any, the others at the regular one; less what coupons take
//! off; the tax in it or on top of it, rounded half up. Totals are sums of lines, so `net + tax = total` and the lines' totals
//! add up to the whole, always.

use serde::{Deserialize, Serialize};

use crate::country::{Country, CountryRefused};
use crate::coupon::{self, CouponRefused, Goods, Owned};
use crate::id::{HoldId, ItemId};
use crate::lines::Lines;
use crate::money::{Currency, Money};
use crate::price::{Percent, Price, Tax};
use crate::sale::{SaleDoc, lane_share};
use crate::time::Millis;

/// A price that is fixed. All amounts are minor units of `currency`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Quote {
    /// The currency of all of it.
    pub currency: Currency,
    /// When it was fixed.
    pub at: Millis,
    /// Where the visitor lives, as far as that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// Prices have the tax in them.
    #[serde(default)]
    pub tax_included: bool,
    /// In order of the items' names.
    pub lines: Vec<QuoteLine>,
    /// Coupons that were used, by the bookings that gave them, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coupons: Vec<HoldId>,
    /// Of all lines, without tax.
    pub net: i64,
    /// Of all lines.
    pub tax: i64,
    /// What is owed: `net + tax`.
    pub total: i64,
}

/// One line of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct QuoteLine {
    /// What.
    pub item: ItemId,
    /// How many.
    pub units: u32,
    /// How many of them at the discounted price.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reduced_units: u32,
    /// What a unit costs without a discount.
    pub unit: i64,
    /// What a discounted one costs.
    pub reduced_unit: i64,
    /// All units at their prices.
    pub goods: i64,
    /// What coupons take off that.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub off: i64,
    /// The rate of tax.
    #[serde(default, skip_serializing_if = "no_percent")]
    pub rate: Percent,
    /// The tax.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tax: i64,
    /// What the line comes to, with tax.
    pub total: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks
fn is_zero<N: Default + PartialEq>(n: &N) -> bool {
    *n == N::default()
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks
const fn no_percent(percent: &Percent) -> bool {
    percent.is_zero()
}

/// Why there is no quote. In this order.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QuoteError {
    /// The visitor's country is kept out.
    #[error(transparent)]
    Country(#[from] CountryRefused),
    /// The sale does not have it.
    #[error("there is no item {0}")]
    UnknownItem(ItemId),
    /// A line asks for nothing.
    #[error("no units of {0}")]
    NoUnits(ItemId),
    /// A price is below nothing: the log holds a document that no reader would have let through.
    #[error("the price of {0} is negative")]
    Negative(ItemId),
    /// A price is not in the currency of the others.
    #[error("{0} is priced in {1}, others in another currency")]
    Currency(ItemId, Currency),
    /// A coupon cannot be used.
    #[error(transparent)]
    Coupon(#[from] CouponRefused),
    /// A line or the whole comes to more than can be reckoned with.
    #[error("the sum is too large")]
    TooLarge,
}

/// What is to be quoted.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// What is held.
    pub lines: &'a Lines,
    /// Where the visitor lives.
    pub country: Option<Country>,
    /// Coupons to be used.
    pub coupons: &'a [Owned],
    /// The lane that the hold is in: it gives its share of a discount for the first n.
    pub lane: u16,
    /// Units of each item that this lane quoted at the discounted price and that did not come back.
    pub reduced: &'a dyn Fn(&ItemId) -> u64,
    /// The hold's time.
    pub at: Millis,
}

impl SaleDoc {
    /// What these lines cost this visitor now; `None` when the sale asks no money for any of them.
    ///
    /// # Errors
    /// [`QuoteError`], the first that applies.
    pub fn quote(&self, ask: &Ask<'_>) -> Result<Option<Quote>, QuoteError> {
        self.terms.countries.check(ask.country)?;
        let mut lines = Vec::with_capacity(ask.lines.len());
        let mut currency = None;
        for (item, units) in ask.lines.iter() {
            let found = self.item(item).ok_or_else(|| QuoteError::UnknownItem(item.clone()))?;
            if units == 0 {
                return Err(QuoteError::NoUnits(item.clone()));
            }
            if let Some(price) = &found.price {
                let own = price.regular.currency;
                if *currency.get_or_insert(own) != own {
                    return Err(QuoteError::Currency(item.clone(), own));
                }
            }
            lines.push(self.line(item, units, found.price.as_ref(), ask)?);
        }
        let Some(currency) = currency else { return Ok(None) };
        let goods: Vec<Goods> = lines.iter().map(|line| Goods { item: line.item.clone(), minor: line.goods }).collect();
        let off = coupon::off(&self.id, &goods, currency, ask.coupons, ask.at)?;
        for (line, off) in lines.iter_mut().zip(off) {
            line.off = off;
            line.add_tax(self.terms.tax).ok_or(QuoteError::TooLarge)?;
        }
        let included = self.terms.tax.is_some_and(|tax| tax.included);
        let mut coupons: Vec<HoldId> = ask.coupons.iter().map(|owned| owned.id).collect();
        coupons.sort_unstable();
        Quote::sum(currency, ask.at, ask.country, included, lines, coupons).map(Some).ok_or(QuoteError::TooLarge)
    }

    fn line(&self, item: &ItemId, units: u32, price: Option<&Price>, ask: &Ask<'_>) -> Result<QuoteLine, QuoteError> {
        let mut line = QuoteLine::free(item.clone(), units);
        let Some(price) = price else { return Ok(line) };
        (line.unit, line.reduced_unit) = (price.unit(ask.country), price.reduced_unit(ask.country));
        if line.unit < 0 || line.reduced_unit < 0 {
            return Err(QuoteError::Negative(item.clone()));
        }
        if let Some(discount) = &price.discount {
            let share = |first| lane_share(first, ask.lane, self.lanes);
            let left = discount.left(ask.at, (ask.reduced)(item), share);
            line.reduced_units = u32::try_from(left).unwrap_or(u32::MAX).min(units);
        }
        line.rate = price.tax.or(self.terms.tax.map(|tax| tax.percent)).unwrap_or_default();
        let regular = line.unit.checked_mul(i64::from(units - line.reduced_units));
        let reduced = line.reduced_unit.checked_mul(i64::from(line.reduced_units));
        line.goods = regular.zip(reduced).and_then(|(a, b)| a.checked_add(b)).ok_or(QuoteError::TooLarge)?;
        Ok(line)
    }
}

impl QuoteLine {
    fn free(item: ItemId, units: u32) -> Self {
        Self {
            item,
            units,
            reduced_units: 0,
            unit: 0,
            reduced_unit: 0,
            goods: 0,
            off: 0,
            rate: Percent::default(),
            tax: 0,
            total: 0,
        }
    }

    /// `None` when it does not fit.
    fn add_tax(&mut self, tax: Option<Tax>) -> Option<()> {
        let left = self.goods.checked_sub(self.off)?;
        let Some(tax) = tax else {
            (self.rate, self.total) = (Percent::default(), left);
            return Some(());
        };
        if tax.included {
            (self.tax, self.total) = (self.rate.inside(left), left);
        } else {
            self.tax = self.rate.of(left);
            self.total = left.checked_add(self.tax)?;
        }
        Some(())
    }
}

impl Quote {
    fn sum(
        currency: Currency,
        at: Millis,
        country: Option<Country>,
        tax_included: bool,
        lines: Vec<QuoteLine>,
        coupons: Vec<HoldId>,
    ) -> Option<Self> {
        let (mut tax, mut total) = (0_i64, 0_i64);
        for line in &lines {
            tax = tax.checked_add(line.tax)?;
            total = total.checked_add(line.total)?;
        }
        Some(Self { currency, at, country, tax_included, lines, coupons, net: total - tax, tax, total })
    }

    /// What is owed.
    #[must_use]
    pub const fn money(&self) -> Money {
        Money { minor: self.total, currency: self.currency }
    }

    /// Whether it is what this module makes: nothing negative, lines that add up. Asked where a quote was carried by
    /// something that can be edited by hand.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let right = |line: &QuoteLine| {
            let regular = i128::from(line.unit) * i128::from(line.units.saturating_sub(line.reduced_units));
            let reduced = i128::from(line.reduced_unit) * i128::from(line.reduced_units);
            let on_top = if self.tax_included { 0 } else { i128::from(line.tax) };
            line.reduced_units <= line.units
                && line.unit >= 0
                && line.reduced_unit >= 0
                && (0..=line.goods).contains(&line.off)
                && (0..=line.total).contains(&line.tax)
                && i128::from(line.goods) == regular + reduced
                && i128::from(line.total) == i128::from(line.goods) - i128::from(line.off) + on_top
        };
        let sum = |of: fn(&QuoteLine) -> i64| self.lines.iter().map(|line| i128::from(of(line))).sum::<i128>();
        self.lines.iter().all(right)
            && sum(|line| line.total) == i128::from(self.total)
            && sum(|line| line.tax) == i128::from(self.tax)
            && i128::from(self.net) + i128::from(self.tax) == i128::from(self.total)
    }
}
