//! What one unit costs, and how amounts are rounded.
//!
//! One rule for all of Holdfast: amounts are whole minor units, a part of one is rounded half up, and what is rounded is a
//! line, never a sum. Sums are added from rounded lines, so every total adds up to what is shown above it. Reckoning goes
//! through 128 bits; what does not fit 64 at the end is refused.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::country::Country;
use crate::id::BadId;
use crate::money::{Currency, Money};
use crate::time::Millis;

/// A part of something, in thousandths of a percent: `19` is 19 %, `8.875` is what New York asks. 0 to 100 %.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Percent(u32);

/// The whole of it.
const WHOLE: u32 = 100_000;

impl Percent {
    /// So many thousandths of a percent; `None` beyond a hundred percent.
    #[must_use]
    pub const fn thousandths(n: u32) -> Option<Self> {
        if n <= WHOLE { Some(Self(n)) } else { None }
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// This part of an amount, rounded half up. Never more than the amount. Negative amounts count as nothing.
    #[must_use]
    pub fn of(self, minor: i64) -> i64 {
        half_up(i128::from(minor) * i128::from(self.0), i128::from(WHOLE))
    }

    /// How much of an amount was added to the rest of it at this rate, rounded half up: the tax inside a price.
    #[must_use]
    pub fn inside(self, minor: i64) -> i64 {
        half_up(i128::from(minor) * i128::from(self.0), i128::from(WHOLE) + i128::from(self.0))
    }
}

/// `numerator / denominator` rounded half up; 0 for negative ones. The quotients here are parts of a 64-bit amount and fit.
pub(crate) fn half_up(numerator: i128, denominator: i128) -> i64 {
    let doubled = numerator.max(0) * 2 + denominator;
    i64::try_from(doubled / (denominator.max(1) * 2)).unwrap_or(i64::MAX)
}

impl FromStr for Percent {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = BadId("a percentage from 0 to 100 with at most three decimals, such as 19 or 8.875");
        let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str, most| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole, 3) || !digits(rest, 3) || (whole.len() > 1 && whole.starts_with('0')) {
            return Err(bad);
        }
        let number = |part: &str| part.parse::<u32>().map_err(|_| bad.clone());
        let places = u32::try_from(3 - rest.len()).unwrap_or(0);
        Self::thousandths(number(whole)? * 1_000 + number(rest)? * 10_u32.pow(places)).ok_or(bad)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000, self.0 % 1_000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        f.write_str(format!("{whole}.{rest:03}").trim_end_matches('0'))
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a unit costs. In the log it is the amount of [`Money`] with what else there is beside it, so that a price of an older
/// log reads as a regular one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Price {
    /// Where nothing else applies.
    pub regular: Money,
    /// While it lasts.
    pub discount: Option<Discount>,
    /// Other prices for other countries, in minor units of the same currency.
    pub by_country: Vec<CountryPrice>,
    /// The item's own rate of tax; absent: the sale's.
    pub tax: Option<Percent>,
}

/// The regular one: `129.00 EUR`.
impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.regular.fmt(f)
    }
}

/// A lower price for the first or the early.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Discount {
    /// How much lower.
    pub cut: Cut,
    /// Up to this moment; absent: whenever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
    /// For so many units of the item; absent: for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
}

/// How a discount is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// To this many minor units.
    To(i64),
    /// By this part of the price that the visitor's country has.
    By(Percent),
}

/// The price of some countries.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CountryPrice {
    /// For who lives here.
    pub countries: Vec<Country>,
    /// Minor units.
    pub minor: i64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    amount: String,
    currency: Currency,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    discount: Option<Discount>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    by_country: Vec<CountryPrice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tax: Option<Percent>,
}

impl TryFrom<Stored> for Price {
    type Error = crate::money::BadMoney;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let regular = Money::parse(&stored.amount, stored.currency)?;
        Ok(Self { regular, discount: stored.discount, by_country: stored.by_country, tax: stored.tax })
    }
}

impl From<Price> for Stored {
    fn from(price: Price) -> Self {
        let Price { regular, discount, by_country, tax } = price;
        Self { amount: regular.amount_text(), currency: regular.currency, discount, by_country, tax }
    }
}

impl Price {
    /// A regular price and nothing else.
    #[must_use]
    pub const fn regular(regular: Money) -> Self {
        Self { regular, discount: None, by_country: Vec::new(), tax: None }
    }

    /// Minor units that a unit costs where somebody lives, without any discount. Who lives nobody knows where pays the
    /// regular price.
    #[must_use]
    pub fn unit(&self, country: Option<Country>) -> i64 {
        let own =
            self.by_country.iter().find(|price| country.is_some_and(|country| price.countries.contains(&country)));
        own.map_or(self.regular.minor, |price| price.minor)
    }

    /// Minor units that a unit costs there with the discount. A discount makes nothing dearer: a country's price that is
    /// lower stays.
    #[must_use]
    pub fn reduced_unit(&self, country: Option<Country>) -> i64 {
        let unit = self.unit(country);
        match self.discount.as_ref().map(|discount| discount.cut) {
            None => unit,
            Some(Cut::To(minor)) => minor.min(unit),
            Some(Cut::By(part)) => unit - part.of(unit),
        }
    }
}

impl Discount {
    /// Units that still have it at this moment, when `given` have it already and `first` of them are this lane's share.
    #[must_use]
    pub fn left(&self, at: Millis, given: u64, share: impl Fn(u64) -> u64) -> u64 {
        if self.until.is_some_and(|until| at >= until) {
            return 0;
        }
        self.first.map_or(u64::MAX, |first| share(first).saturating_sub(given))
    }
}

/// The tax of a sale.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tax {
    /// Its rate, where an item has none of its own.
    pub percent: Percent,
    /// Prices have it in them; otherwise it is added to them.
    pub included: bool,
}
