//! The page for the time when nothing of ours answers: one file that a CDN shows in place of an error.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::html::{Html, html};
use super::words::LANGUAGES;

const STYLE: &str = ":root{color-scheme:light dark}body{font:1.0625rem/1.55 system-ui,sans-serif;max-inline-size:38rem;\
    margin:3rem auto;padding-inline:1rem}h1{font-size:1.75rem;line-height:1.25}";
/// Asks, with jitter, for something that only the server itself answers; then loads the page again. Cookies are not touched.
const SCRIPT: &str = "(()=>{const d=document,k=(navigator.languages||[]).map(t=>t.toLowerCase()),w=k.flatMap(t=>[t,t.split('-')[0]])\
    .find(t=>d.getElementById(t));if(w)for(const s of d.querySelectorAll('section'))s.hidden=s.id!==w;let n=0;\
    const again=()=>setTimeout(async()=>{try{const r=await fetch('/v1/sales',{cache:'no-store'});\
    if(r.ok&&(r.headers.get('content-type')||'').startsWith('application/json'))return location.reload()}catch{}n+=1;again()},\
    5000*Math.min(1+n,6)*(.5+Math.random()));again()})()";

/// A page in every language that needs nothing else: it tries again by itself, with jitter, and keeps every cookie, so that
/// whoever waits keeps the place.
#[must_use]
pub fn waiting_page() -> String {
    let mut out = Html::default();
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    html!(out, "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content=\"width=device-width,initial-scale=1\">"
        "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; connect-src 'self'; img-src data:; style-src 'sha256-"
        (hash(STYLE)) "'; script-src 'sha256-" (hash(SCRIPT)) "'\"><meta name=robots content=noindex>"
        "<noscript><meta http-equiv=refresh content=30></noscript><link rel=icon href=\"data:,\">");
    let title = LANGUAGES.first().map_or("", |words| words.say("waiting_room_away"));
    html!(out, "<title>" (title) "</title><style>");
    out.raw(STYLE);
    html!(out, "</style></head>\n<body><main>");
    for words in LANGUAGES.iter() {
        html!(out, "\n<section id=\"" (words.tag) "\" lang=\"" (words.tag) "\" dir=\"" (words.say("dir")) "\"><h1>"
            (words.say("waiting_room_away")) "</h1><p>" (words.say("waiting_room_away_hint")) "</p></section>");
    }
    html!(out, "\n</main><script>");
    out.raw(SCRIPT);
    html!(out, "</script></body></html>\n");
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_small_file_in_every_language_that_touches_no_cookie() {
        let page = waiting_page();
        assert!(page.len() < 5_000, "{}", page.len());
        for words in LANGUAGES.iter() {
            assert!(page.contains(words.say("waiting_room_away")), "{}", words.tag);
        }
        for other in ["cookie=", "document.cookie", "localStorage", "http://", "https://", "src="] {
            assert!(!page.contains(other), "{other}");
        }
        assert!(page.contains("Math.random()"), "everybody comes back at another moment");
    }
}
