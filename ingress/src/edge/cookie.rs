//! The cookies of browsers: visitor, ticket, pass, the mark of a booking, and the number of a ticket that is used up.

use domain::SaleId;
use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};

/// Carries the visitor, for every sale.
pub(crate) const VISITOR: &str = "hf_visitor";
/// Carries the ticket, for one sale.
pub(crate) const TICKET: &str = "hf_ticket";
/// Carries the pass, for one sale.
pub(crate) const PASS: &str = "hf_pass";

/// Carries the mark of a booking, for one sale.
pub(crate) const BOOKED: &str = "hf_booked";

/// Carries the number of the ticket that the page forgot because it was used up: what is paid for next is the place after it. Nobody
/// has to believe it, for a number that is not the last one buys nothing.
pub(crate) const LAST: &str = "hf_last";

/// The value of the first cookie of this name.
pub(crate) fn get<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key.trim() == name).then(|| value.trim().trim_matches('"'))
    })
}

/// A cookie to set. `sale`: sent back only under that sale's path, so that places in several lines do not collide.
pub(crate) fn set(name: &str, value: &str, sale: Option<&SaleId>, lives_ms: u64, secure: bool) -> Option<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    let path = sale.map_or_else(|| "/".to_owned(), |sale| format!("/v1/sales/{sale}"));
    let text = format!("{name}={value}; Path={path}; Max-Age={}; HttpOnly; SameSite=Lax{secure}", lives_ms / 1_000);
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others_and_over_several_lines() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "a=1; hf_visitor=abc".parse().unwrap());
        headers.append(COOKIE, "hf_ticket=\"def\"; hf_visitor_=x".parse().unwrap());
        assert_eq!(get(&headers, VISITOR), Some("abc"));
        assert_eq!(get(&headers, TICKET), Some("def"));
        assert_eq!(get(&headers, PASS), None);
    }

    #[test]
    fn a_cookie_is_hidden_from_scripts_and_other_sites() {
        let sale = "demo".parse().unwrap();
        let cookie = set(TICKET, "t", Some(&sale), 61_000, true).unwrap();
        assert_eq!(cookie, "hf_ticket=t; Path=/v1/sales/demo; Max-Age=61; HttpOnly; SameSite=Lax; Secure");
        let local = set(VISITOR, "v", None, 1_000, false).unwrap();
        assert_eq!(local, "hf_visitor=v; Path=/; Max-Age=1; HttpOnly; SameSite=Lax");
    }
}
