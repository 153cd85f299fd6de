//! The outer form of prices and coupons.

use serde_json::{Map, Value, json};

use super::read::put;
use crate::country::Country;
use crate::coupon::{Coupon, Off};
use crate::id::{ItemId, SaleId};
use crate::limits::{MAX_COUNTRY_PRICES, MAX_ITEMS, MAX_UNITS};
use crate::money::{Currency, Money};
use crate::price::{CountryPrice, Cut, Discount, Percent, Price};
use crate::table::Reader;

/// Characters of an amount: more than 64 bits of minor units have.
const AMOUNT_CHARS: usize = 24;

/// One currency per sale, so that a hold of several lines has one sum.
pub(super) fn read_price(t: &mut Reader<'_>, first: &mut Option<Currency>) -> Option<Price> {
    t.table("price", |t| {
        let code = t.text("currency", 3);
        let code = t.need("currency", code);
        let amount = t.text("amount", AMOUNT_CHARS);
        let amount = t.need("amount", amount);
        let tax = t.parsed("tax_percent");
        let currency = code.and_then(|code| currency(t, &code));
        let regular = amount.as_deref().zip(currency);
        if let Some(currency) = currency
            && *first.get_or_insert(currency) != currency
        {
            t.wrong("currency", currency, "must be the same for all items of a sale");
        }
        let regular = regular.and_then(|(amount, currency)| parse(t, "amount", amount, currency, 0));
        // Read in any case, so that their mistakes come up; without a currency no amount of theirs can be judged.
        let discount = t.table("discount", |t| read_discount(t, currency));
        let by_country = read_by_country(t, currency);
        Some(Price { regular: regular?, discount, by_country, tax })
    })
}

fn currency(t: &mut Reader<'_>, code: &str) -> Option<Currency> {
    Currency::parse(code).map_err(|error| t.wrong("currency", code, error.0)).ok()
}

fn parse(t: &mut Reader<'_>, key: &str, text: &str, currency: Currency, least: i64) -> Option<Money> {
    match Money::parse(text, currency) {
        Ok(money) if money.minor >= least => return Some(money),
        Ok(_) if least == 0 => t.wrong(key, text, "must not be negative"),
        Ok(_) => t.wrong(key, text, "must be more than nothing"),
        Err(error) => t.wrong(key, text, error.0),
    }
    None
}

fn read_discount(t: &mut Reader<'_>, currency: Option<Currency>) -> Option<Discount> {
    let amount = t.text("amount", AMOUNT_CHARS);
    let part: Option<Percent> = t.parsed("percent");
    let (until, first) = (t.time("until"), t.number("first", 1..=MAX_UNITS));
    if t.has("amount") == t.has("percent") {
        t.wrong("amount", "", "needs either amount, the lower price, or percent, the part that is taken off");
        return None;
    }
    let cut = match (amount.zip(currency), part) {
        (Some((amount, currency)), _) => Cut::To(parse(t, "amount", &amount, currency, 0)?.minor),
        (None, Some(part)) => Cut::By(part),
        (None, None) => return None,
    };
    Some(Discount { cut, until, first })
}

fn read_by_country(t: &mut Reader<'_>, currency: Option<Currency>) -> Vec<CountryPrice> {
    let mut seen: Vec<Country> = Vec::new();
    let prices = t.tables("by_country", MAX_COUNTRY_PRICES, |t| {
        let countries: Option<Vec<Country>> = t.list("countries", MAX_COUNTRY_PRICES);
        let countries = t.need("countries", countries);
        let amount = t.text("amount", AMOUNT_CHARS);
        let amount = t.need("amount", amount);
        let mut countries = countries?;
        countries.sort_unstable();
        if countries.is_empty() {
            t.wrong("countries", "[]", "must name a country");
        }
        for country in &countries {
            if seen.contains(country) {
                t.wrong("countries", country, "must have one price only");
            }
            seen.push(*country);
        }
        let minor = parse(t, "amount", &amount?, currency?, 0)?.minor;
        Some(CountryPrice { countries, minor })
    });
    prices.unwrap_or_default()
}

/// Writes a price as [`read_price`] reads it.
pub(super) fn price_value(price: &Price) -> Value {
    let currency = price.regular.currency;
    let amount = |minor: i64| json!(Money { minor, currency }.amount_text());
    let mut value = Map::new();
    value.insert("amount".to_owned(), amount(price.regular.minor));
    value.insert("currency".to_owned(), json!(currency));
    put(&mut value, "tax_percent", price.tax.map(|tax| json!(tax)));
    let discount = price.discount.as_ref().map(|discount| {
        let mut value = Map::new();
        match discount.cut {
            Cut::To(minor) => put(&mut value, "amount", Some(amount(minor))),
            Cut::By(part) => put(&mut value, "percent", Some(json!(part))),
        }
        put(&mut value, "until", discount.until.map(|at| json!(at.to_string())));
        put(&mut value, "first", discount.first.map(|units| json!(units)));
        Value::Object(value)
    });
    put(&mut value, "discount", discount);
    let of = |own: &CountryPrice| json!({ "countries": own.countries, "amount": amount(own.minor) });
    let by_country = (!price.by_country.is_empty()).then(|| price.by_country.iter().map(of).collect());
    put(&mut value, "by_country", by_country);
    Value::Object(value)
}

/// What an item that is a coupon is worth.
pub(super) fn read_coupon(t: &mut Reader<'_>) -> Option<Coupon> {
    t.table("coupon", |t| {
        let (from, until) = (t.time("from"), t.time("until"));
        if let (Some(from), Some(until)) = (from, until)
            && until <= from
        {
            t.wrong("until", until, format!("must be later than from ({from})"));
        }
        let sale: Option<SaleId> = t.parsed("sale");
        let items: Option<Vec<ItemId>> = t.list("items", MAX_ITEMS);
        let combines = t.flag("combines").unwrap_or(false);
        let part: Option<Percent> = t.parsed("percent");
        let (amount, minimum) = (t.text("amount", AMOUNT_CHARS), t.text("minimum", AMOUNT_CHARS));
        let code = t.text("currency", 3);
        let code = if t.has("amount") || t.has("minimum") { t.need("currency", code) } else { code };
        if t.has("amount") == t.has("percent") {
            t.wrong("amount", "", "needs either amount or percent, what the coupon takes off");
            return None;
        }
        let currency = code.and_then(|code| currency(t, &code));
        let mut money =
            |key, text: Option<String>| text.zip(currency).and_then(|(text, of)| parse(t, key, &text, of, 1));
        let (amount, minimum) = (money("amount", amount), money("minimum", minimum));
        let off = amount.map(Off::Amount).or(part.map(Off::Part))?;
        Some(Coupon { off, sale, items: items.unwrap_or_default(), minimum, from, until, combines })
    })
}

/// Writes a coupon as [`read_coupon`] reads it.
pub(super) fn coupon_value(coupon: &Coupon) -> Value {
    let mut value = Map::new();
    let currency = match coupon.off {
        Off::Part(part) => {
            put(&mut value, "percent", Some(json!(part)));
            None
        }
        Off::Amount(money) => {
            put(&mut value, "amount", Some(json!(money.amount_text())));
            Some(money.currency)
        }
    };
    put(&mut value, "minimum", coupon.minimum.map(|money| json!(money.amount_text())));
    put(&mut value, "currency", currency.or(coupon.minimum.map(|money| money.currency)).map(|code| json!(code)));
    put(&mut value, "sale", coupon.sale.as_ref().map(|sale| json!(sale)));
    put(&mut value, "items", (!coupon.items.is_empty()).then(|| json!(coupon.items)));
    put(&mut value, "from", coupon.from.map(|at| json!(at.to_string())));
    put(&mut value, "until", coupon.until.map(|at| json!(at.to_string())));
    put(&mut value, "combines", coupon.combines.then_some(json!(true)));
    Value::Object(value)
}
