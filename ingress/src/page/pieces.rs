//! Small parts of pages: figures, times, forms.

use super::html::{Html, html};
use super::told::{Price, Wait};
use super::words::Words;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// A number with the language's separator of thousands.
pub(super) fn count(words: &Words, n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push_str(words.say("thousands"));
        }
        out.push(digit);
    }
    out
}

/// The expected wait, rounded so that it is never shorter than what is known. The script says the same.
pub(super) fn wait(words: &Words, wait: Option<&Wait>) -> String {
    let Some(Wait { p50, p90 }) = wait else { return words.say("wait_unknown").to_owned() };
    if *p90 <= MINUTE_MS {
        return words.say("wait_minute").to_owned();
    }
    let hours = *p90 > 2 * HOUR_MS;
    let unit = if hours { HOUR_MS } else { MINUTE_MS };
    let low = (p50 / unit).max(1);
    let (low, high) = (count(words, low), count(words, p90.div_ceil(unit).max(low + 1)));
    words.fill(if hours { "wait_hours" } else { "wait_minutes" }, &[("low", &low), ("high", &high)])
}

/// An amount.
pub(super) fn money(price: &Price) -> String {
    format!("{} {}", price.amount, price.currency)
}

/// A moment. Without the script in UTC, for the server does not know where its visitor is.
pub(super) fn time(out: &mut Html, at: &str) {
    let plain = at.get(..16).map_or_else(|| at.to_owned(), |minute| format!("{} UTC", minute.replace('T', " ")));
    html!(out, "<time data-at datetime=\"" (at) "\">" (plain) "</time>");
}

/// What is left of a time; the script counts it down.
pub(super) fn clock(out: &mut Html, ms: u64) {
    let seconds = ms.div_ceil(1_000);
    let text = format!("{}:{:02}", seconds / 60, seconds % 60);
    html!(out, "<span class=clock role=timer data-ends=\"" (ms) "\">" (text) "</span>");
}

/// A form with one button. Its hidden fields make it safe to send twice.
pub(super) fn form(
    out: &mut Html,
    sale: &str,
    act: &'static str,
    hidden: &[(&'static str, &str)],
    label: &str,
    second: bool,
) {
    html!(out, "<form method=post action=\"/sales/" (sale) "/" (act) "\">");
    for (name, value) in hidden {
        html!(out, "<input type=hidden name=\"" (name) "\" value=\"" (value) "\">");
    }
    html!(out, "<button id=\"" (act) "\"");
    if second {
        html!(out, " class=second");
    }
    html!(out, ">" (label) "</button></form>");
}

/// Rows of what and how many, with a sum below.
pub(super) fn card(out: &mut Html, rows: Vec<(String, String)>, total: Option<(String, String)>) {
    html!(out, "<dl class=card>");
    for (what, how_many) in rows.into_iter().chain(total) {
        html!(out, "<dt><bdi>" (what) "</bdi></dt><dd>" (how_many) "</dd>");
    }
    html!(out, "</dl>");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::words::of_tag;
    use super::*;

    #[test]
    fn waits_are_told_in_minutes_then_hours_and_never_too_short() {
        let words = of_tag("en").unwrap();
        let told = |p50, p90| wait(words, Some(&Wait { p50, p90 }));
        assert_eq!(told(0, 60_000), "about a minute");
        assert_eq!(told(10_000, 61_000), "1 to 2 minutes");
        assert_eq!(told(180_000, 180_000), "3 to 4 minutes");
        assert_eq!(told(3_600_000, 7_200_000), "60 to 120 minutes");
        assert_eq!(told(3_600_000, 7_200_001), "1 to 3 hours");
        assert_eq!(wait(words, None), words.say("wait_unknown"));
    }

    #[test]
    fn figures_are_readable() {
        let words = of_tag("en").unwrap();
        assert_eq!(["7", "1,234", "1,000,000"].map(str::to_owned), [7, 1_234, 1_000_000].map(|n| count(words, n)));
        let mut out = Html::default();
        clock(&mut out, 299_001);
        time(&mut out, "2027-06-01T01:00:00Z");
        let html = out.finish();
        assert!(html.contains(">5:00<") && html.contains(">2027-06-01 01:00 UTC<"), "{html}");
    }
}
