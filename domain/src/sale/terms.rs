//! What holds for all items between visitor and sale, and its outer form.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Item;
use super::read::put;
use crate::country::{Admitted, Countries, Country};
use crate::limits::{MAX_COUNTRY_PRICES, MAX_POINTS_MS, MIN_TTL_MS};
use crate::money::{Currency, Money};
use crate::price::{Percent, Tax};
use crate::table::Reader;
use crate::time::{Millis, duration_text};

/// What holds for all items between visitor and sale.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Terms {
    /// Who may buy, and who may use what was bought.
    #[serde(default, skip_serializing_if = "Countries::is_everybody")]
    pub countries: Countries,
    /// Absent: no tax is shown, nothing is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<Tax>,
    /// Absent: points are neither taken nor earned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<PointsTerms>,
    /// Absent: a visitor cannot cancel what was paid for, an operator can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancellation: Option<Cancellation>,
}

/// What points are worth in a sale, and how they are earned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PointsTerms {
    /// Minor units that one point pays.
    pub worth: i64,
    /// The part of what was charged that comes back as points, rounded down to whole ones.
    #[serde(default)]
    pub earn: Percent,
    /// Milliseconds that earned points live; absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_ms: Option<u64>,
}

/// How a visitor may cancel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cancellation {
    /// Up to this moment; absent: as long as there is something to cancel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
    /// The part of each line that is kept.
    #[serde(default)]
    pub fee: Percent,
}

impl Terms {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads the keys of all terms. Points are worth money, so there has to be a priced item to say in which currency.
pub(super) fn read_terms(t: &mut Reader<'_>, items: &[Item]) -> Terms {
    let countries = t.table("countries", |t| {
        let sale = t.table("sale", read_admitted).unwrap_or_default();
        let usage = t.table("use", read_admitted).unwrap_or_default();
        Some(Countries { sale, usage })
    });
    let tax = t.table("tax", |t| {
        let percent: Option<Percent> = t.parsed("percent");
        let percent = t.need("percent", percent);
        let included = t.flag("included");
        let included = t.need("included", included);
        Some(Tax { percent: percent?, included: included? })
    });
    let currency = items.iter().find_map(|item| item.price.as_ref()).map(|price| price.regular.currency);
    let points = t.table("points", |t| read_points(t, currency));
    let cancellation = t.table("cancellation", |t| {
        let until = t.time("until");
        Some(Cancellation { until, fee: t.parsed("fee_percent").unwrap_or_default() })
    });
    Terms { countries: countries.unwrap_or_default(), tax, points, cancellation }
}

fn read_admitted(t: &mut Reader<'_>) -> Option<Admitted> {
    let mut list = |key| {
        let list: Option<Vec<Country>> = t.list(key, MAX_COUNTRY_PRICES);
        if list.as_ref().is_some_and(Vec::is_empty) {
            t.wrong(key, "[]", "must name a country; leave it out for all of them");
        }
        list.unwrap_or_default()
    };
    let (mut allow, mut deny) = (list("allow"), list("deny"));
    for list in [&mut allow, &mut deny] {
        list.sort_unstable();
        list.dedup();
    }
    if let Some(both) = deny.iter().find(|country| allow.contains(country)) {
        t.wrong("deny", both, "must not be in allow as well");
    }
    Some(Admitted { allow, deny })
}

fn read_points(t: &mut Reader<'_>, currency: Option<Currency>) -> Option<PointsTerms> {
    let worth = t.text("worth", 24);
    let worth = t.need("worth", worth);
    let earn = t.parsed("earn_percent").unwrap_or_default();
    let valid_ms = t.duration_ms("valid_for", MIN_TTL_MS..=MAX_POINTS_MS);
    let text = worth?;
    let Some(currency) = currency else {
        t.wrong("worth", &text, "needs an item with a price, to be worth something of its currency");
        return None;
    };
    match Money::parse(&text, currency) {
        Ok(money) if money.minor > 0 => Some(PointsTerms { worth: money.minor, earn, valid_ms }),
        Ok(_) => {
            t.wrong("worth", &text, "must be more than nothing");
            None
        }
        Err(error) => {
            t.wrong("worth", &text, error.0);
            None
        }
    }
}

/// Writes them as [`read_terms`] reads them.
pub(super) fn put_terms(doc: &mut Map<String, Value>, terms: &Terms, currency: Option<Currency>) {
    let countries = (!terms.countries.is_everybody()).then(|| json!(terms.countries));
    put(doc, "countries", countries);
    put(doc, "tax", terms.tax.map(|tax| json!({ "percent": tax.percent, "included": tax.included })));
    put(doc, "points", terms.points.zip(currency).map(points_value));
    put(doc, "cancellation", terms.cancellation.map(cancellation_value));
}

fn points_value((points, currency): (PointsTerms, Currency)) -> Value {
    let mut value = Map::new();
    let worth = Money { minor: points.worth, currency };
    value.insert("worth".to_owned(), json!(worth.amount_text()));
    value.insert("earn_percent".to_owned(), json!(points.earn));
    put(&mut value, "valid_for", points.valid_ms.map(|ms| json!(duration_text(ms))));
    Value::Object(value)
}

fn cancellation_value(rule: Cancellation) -> Value {
    let mut value = Map::new();
    put(&mut value, "until", rule.until.map(|at| json!(at.to_string())));
    value.insert("fee_percent".to_owned(), json!(rule.fee));
    Value::Object(value)
}
