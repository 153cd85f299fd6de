//! What production refuses: each of these has lost somebody money.

pub(crate) mod redis;

use domain::SaleDoc;
use domain::table::Mistake;
use ledger::cql::{self, Finding, Settings, Severity};

use crate::config::{Config, LedgerAt, Mode};
use crate::data::Layout;
use crate::failure::Failure;
use crate::keys::Keys;

/// Refuses keys somebody made up.
pub(crate) fn check_keys(config: &Config, keys: &Keys) -> Result<(), Failure> {
    let weak = keys.weak();
    if config.mode == Mode::Dev || weak.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(
        format!("keys file {}", config.keys().display()),
        format!("made up by hand or copied from an example: {}", weak.join(", ")),
        "make random ones with holdfast keys create",
    ))
}

/// Refuses to begin an empty ledger where sales were: their bookings would be forgotten, and everything sold once more.
pub(crate) fn check_not_lost(config: &Config, keys: &Keys, layout: &Layout) -> Result<(), Failure> {
    let LedgerAt::File(path) = config.ledger() else { return Ok(()) };
    let there = std::fs::metadata(&path).is_ok_and(|meta| !meta.is_file() || meta.len() > 0);
    let had_sales = layout.has_sold() || !keys.visitor.is_empty();
    if there || !had_sales {
        return Ok(());
    }
    Err(Failure::new(
        format!("ledger {}", path.display()),
        "gone or empty, though this directory knows of sales that were in it",
        "put it back from a backup, or begin anew in another directory with --data DIR",
    ))
}

/// Refuses a CQL cluster on which conditions do not hold, or which can lose what it acknowledged.
pub(crate) async fn check_ledger(config: &Config, settings: &Settings) -> Result<(), Failure> {
    if config.mode == Mode::Dev {
        return Ok(());
    }
    let findings = cql::examine(settings, true).await.map_err(|error| Failure::new("ledger", error, ""))?;
    match findings.into_iter().find(|finding| finding.severity == Severity::Error) {
        Some(Finding { what, why, fix, .. }) => Err(Failure::usage(format!("ledger: {what}"), why, fix)),
        None => Ok(()),
    }
}

/// Refuses sales that would give away what they ask money for, and those whose conditions nobody would keep: there is no checkout yet.
///
/// # Errors
/// The first price or condition, why not, and what to do.
pub(crate) fn may_sell(mode: Mode, doc: &SaleDoc) -> Result<(), Mistake> {
    if let Some(key) = condition(doc) {
        return Err(Mistake::new(key, "", "must be left out: it holds at checkout, and there is none yet"));
    }
    let priced = doc.items.iter().enumerate().find_map(|(n, item)| Some((n, item.price.as_ref()?)));
    match priced {
        Some((n, price)) if mode == Mode::Production => Err(Mistake::new(
            format!("items[{n}].price"),
            price,
            "must be left out in production: there is no checkout yet that would take the money (mode = \"dev\" gives it away)",
        )),
        _ => Ok(()),
    }
}

/// The first key of what only a checkout can keep.
fn condition(doc: &SaleDoc) -> Option<String> {
    let terms = &doc.terms;
    let said = [
        ("countries", !terms.countries.is_everybody()),
        ("tax", terms.tax.is_some()),
        ("points", terms.points.is_some()),
        ("cancellation", terms.cancellation.is_some()),
    ];
    let of_sale = said.into_iter().find(|(_, said)| *said).map(|(key, _)| key.to_owned());
    let coupon = || doc.items.iter().position(|item| item.coupon.is_some()).map(|n| format!("items[{n}].coupon"));
    of_sale.or_else(coupon)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refused(mode: Mode, more: &str) -> Option<String> {
        let text = format!("id = \"s\"\nadmission = \"none\"\n{more}");
        may_sell(mode, &SaleDoc::from_toml(&text).unwrap()).err().map(|mistake| mistake.to_string())
    }

    #[test]
    fn what_only_a_checkout_keeps_is_refused_until_there_is_one() {
        let plain = "[[items]]\nid = \"seat\"\nunits = 1\n";
        let priced = format!("{plain}price = {{ amount = \"1.00\", currency = \"EUR\" }}\n");
        assert_eq!(refused(Mode::Production, plain), None);
        assert_eq!(refused(Mode::Dev, &priced), None);
        assert!(refused(Mode::Production, &priced).unwrap().contains("items[0].price"));
        let countries = format!("countries = {{ sale = {{ deny = [\"FR\"] }} }}\n{priced}");
        let tax = format!("tax = {{ percent = \"19\", included = true }}\n{priced}");
        let coupon = format!("{plain}coupon = {{ percent = \"10\", sale = \"night\" }}\n");
        for (text, key) in [(countries, "countries"), (tax, "tax"), (coupon, "items[0].coupon")] {
            assert!(refused(Mode::Dev, &text).unwrap().contains(key), "{text}");
        }
    }
}
