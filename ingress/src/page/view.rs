//! The page of a sale: one `main` element per face.

use domain::{HoldId, Millis};
use serde_json::{Map, Value};

use super::assets::PROOF;
use super::html::{Html, html};
use super::layout::Page;
use super::pieces::{card, clock, count, form, money, time, wait};
use super::state::View;
use super::told::{Hold, Item, Told};
use super::words::Words;

/// How soon the script, or a reload, looks again on faces that no document has a figure for, milliseconds.
const SOON_MS: u64 = 2_000;
const HOLDING_MS: u64 = 20_000;
const TURN_MS: u64 = 15_000;

/// Everything a page of a sale is made from.
pub(super) struct Shown<'a> {
    pub(super) words: &'static Words,
    pub(super) told: &'a Told,
    pub(super) view: View,
    /// Key of what is said about the last thing the visitor did.
    pub(super) said: Option<String>,
    /// The key of the next hold: a form that is sent twice holds once.
    pub(super) key: String,
    /// The code that moves the place to another device, once one was asked for.
    pub(super) code: Option<String>,
    /// When the turn may be claimed again, milliseconds.
    pub(super) again_ms: u64,
    /// People ahead, at most, of whom the server tells by itself.
    pub(super) near: u64,
    /// Spreads reloads: any random number.
    pub(super) jitter: u32,
    /// This process' clock.
    pub(super) now: Millis,
}

impl Shown<'_> {
    /// The page.
    pub(super) fn page(&self) -> Page {
        let (words, sale) = (self.words, &self.told.sale);
        let heading = words.say(self.view.heading());
        let mut out = Html::default();
        self.open_main(&mut out);
        html!(out, "<h1><bdi>" (sale.title) "</bdi></h1><h2 tabindex=-1>" (heading) "</h2>");
        if let Some(said) = &self.said {
            html!(out, "<p class=note id=note>" (words.say(said)) "</p>");
        }
        self.face(&mut out);
        let now = self.now.to_string();
        let clock = now.get(11..19).unwrap_or_default();
        html!(out, "<p class=soft>" (words.say("checked")) " <time id=checked datetime=\"" (now) "\">" (clock) " UTC</time></p></main>");
        let refresh = self.view.refreshes().then(|| self.poll_ms().div_ceil(1_000).max(1));
        Page { words, title: format!("{heading} · {}", sale.title), refresh, main: out }
    }

    /// What the script has to know.
    fn open_main(&self, out: &mut Html) {
        let (told, view) = (self.told, self.view);
        let ticket = told.ticket.as_ref().map_or("-", |ticket| ticket.state.as_str());
        html!(out, "<main data-view=\"" (view.as_str()) "\" data-sale=\"" (told.sale.id) "\" data-poll=\"" (self.poll_ms())
            "\" data-watch=\"" (view.watch(told.ticket.is_some()).as_str()) "\" data-sig=\"" (told.line.state)
            (if told.line.joining == Some(false) { "!" } else { "" }) " " (ticket) " " (told.line.message)
            "\" data-words=\"" (self.script_words()) "\"");
        if view.is_followed() {
            html!(out, " data-near=\"" (self.near) "\"");
        }
        html!(out, ">");
    }

    /// The words the script says by itself.
    fn script_words(&self) -> String {
        const SAID: [&str; 15] = [
            "proof_now",
            "say_minute",
            "say_ahead",
            "wait_minute",
            "wait_minutes",
            "wait_hours",
            "wait_unknown",
            "chance_good",
            "chance_fair",
            "chance_low",
            "chance_none",
            "stock_plenty",
            "stock_few",
            "stock_held",
            "stock_sold_out",
        ];
        let entry = |key: &&str| ((*key).to_owned(), Value::from(self.words.say(key)));
        Value::Object(SAID.iter().map(entry).collect::<Map<_, _>>()).to_string()
    }

    /// When to look again: what the documents say, spread by up to a fifth.
    fn poll_ms(&self) -> u64 {
        let told = self.told;
        let ms = match (self.view, &told.ticket) {
            (View::Busy | View::Confirming | View::Unknown, _) => SOON_MS,
            (View::Holding, _) => told.hold.as_ref().and_then(|hold| hold.expires_in_ms).unwrap_or(0).min(HOLDING_MS),
            (View::Called, _) => TURN_MS,
            (View::Waiting | View::Standby | View::Lobby, Some(ticket)) => ticket.poll_in_ms,
            (View::Scheduled, _) => told.line.poll_in_ms.min(told.sale.opens_in_ms.unwrap_or(u64::MAX)),
            _ => told.line.poll_in_ms,
        };
        let ms = ms.max(1_000);
        ms + ms / 5 * u64::from(self.jitter) / u64::from(u32::MAX)
    }

    fn face(&self, out: &mut Html) {
        match self.view {
            View::Busy => html!(out, "<div class=pulse></div><p>" (self.words.say("busy_hint")) "</p>"),
            View::Holding => self.holding(out),
            View::Confirming => {
                html!(out, "<div class=pulse></div><p>" (self.words.say("confirming_hint")) "</p>");
                self.lines(out);
            }
            View::Unknown => self.unknown(out),
            View::Booked => self.booked(out),
            View::Done => {
                html!(out, "<p>" (self.words.say("done_hint")) "</p>");
                self.button(out, "again", "again", true);
            }
            View::Closed => html!(out, "<p>" (self.words.say("closed_hint")) "</p>"),
            View::Scheduled => self.scheduled(out),
            View::Lobby => self.lobby(out),
            View::Paused => self.paused(out),
            View::SoldOut => html!(out, "<p>" (self.words.say("sold_out_hint")) "</p>"),
            View::NotJoining => {
                html!(out, "<p>" (self.words.say("not_joining_hint")) "</p>");
                self.stock(out);
            }
            View::Join => self.join(out),
            View::Waiting | View::Standby => self.waiting(out),
            View::Called => self.called(out),
            View::Choose => self.choose(out),
        }
    }

    /// A form that is one button; the key of its words is beside its act.
    fn button(&self, out: &mut Html, act: &'static str, label: &str, second: bool) {
        form(out, &self.told.sale.id, act, &[], self.words.say(label), second);
    }

    /// The form that joins. Where the sale asks for work, the script has it done before it sends the form; without a script nobody
    /// can join there, and is told so.
    fn join_form(&self, out: &mut Html, label: &str) {
        let (words, sale) = (self.words, &self.told.sale);
        if !sale.proof_of_work {
            return self.button(out, "join", label, false);
        }
        html!(out, "<form method=post action=\"/sales/" (sale.id) "/join\" data-proof=\"/page/proof.js?v=" (PROOF.version)
            "\"><input name=altcha type=hidden><button id=join>" (words.say(label)) "</button></form><p class=soft id=proof>"
            (words.say("proof_hint")) "</p><noscript><p class=note>" (words.say("said_proof-needed")) "</p></noscript>");
    }

    fn scheduled(&self, out: &mut Html) {
        let (words, sale) = (self.words, &self.told.sale);
        match &sale.opens_at {
            Some(at) => {
                html!(out, "<p class=big>" (words.say("opens")) " ");
                time(out, at);
                html!(out, "</p>");
            }
            None => html!(out, "<p>" (words.say("opens_unknown")) "</p>"),
        }
        html!(out, "<p>" (words.say("no_advantage")) "</p>");
        if self.told.line.joining == Some(false) {
            html!(out, "<p>" (words.say("not_joining_hint")) "</p>");
        } else if sale.draw_commitment.is_some() {
            html!(out, "<p>" (words.say("lobby_hint")) " <a href=\"/draw\">" (words.say("lobby_check")) "</a></p>");
            self.join_form(out, "lobby_join");
        }
        self.stock(out);
    }

    fn lobby(&self, out: &mut Html) {
        let words = self.words;
        html!(out, "<div class=pulse></div>");
        if let Some(at) = self.told.sale.opens_at.as_deref().filter(|_| self.told.sale.opens_in_ms.is_some()) {
            html!(out, "<p class=big>" (words.say("opens")) " ");
            time(out, at);
            html!(out, "</p>");
        }
        html!(out, "<p>" (words.say("lobby_hint")) "</p><p>" (words.say("no_advantage")) " <a href=\"/draw\">"
            (words.say("lobby_check")) "</a></p>");
    }

    fn paused(&self, out: &mut Html) {
        if let Some(words) = &self.told.pause_words {
            html!(out, "<p class=card><bdi>" (words) "</bdi></p>");
        }
        html!(out, "<p>" (self.words.say("paused_hint")) "</p>");
        if self.told.line.joining == Some(true) && self.told.ticket.is_none() {
            self.join_form(out, "join");
        }
    }

    fn join(&self, out: &mut Html) {
        html!(out, "<p>" (self.words.say("join_hint")) "</p>");
        if let Some(at) = &self.told.sale.closes_at {
            html!(out, "<p>" (self.words.say("closes")) " ");
            time(out, at);
            html!(out, "</p>");
        }
        self.join_form(out, "join");
        if !self.told.line.classes.is_empty() {
            html!(out, "<form method=post action=\"/sales/" (self.told.sale.id) "/join\"><p><label>" (self.words.say("code"))
                " <input id=access name=code required maxlength=80 autocomplete=off autocapitalize=characters></label></p><button class=second>"
                (self.words.say("join_code")) "</button></form>");
        }
        html!(out, "<details><summary>" (self.words.say("take_hint")) "</summary><form method=post action=\"/sales/"
            (self.told.sale.id) "/take\"><p><label for=code>" (self.words.say("take_code"))
            "</label> <input id=code name=code autocomplete=off maxlength=16 required></p><button id=take class=second>"
            (self.words.say("take")) "</button></form></details>");
        self.stock(out);
    }

    fn waiting(&self, out: &mut Html) {
        let (words, Some(ticket)) = (self.words, &self.told.ticket) else { return };
        let ahead = ticket.ahead.unwrap_or(0);
        html!(out, "<div class=pulse></div><dl class=card><dt>" (words.say("ahead")) "</dt><dd class=big id=ahead data-n=\""
            (ahead) "\">" (count(words, ahead)) "</dd><dt>" (words.say("wait")) "</dt><dd id=wait>"
            (wait(words, ticket.wait_ms.as_ref())) "</dd>");
        if let Some(number) = ticket.number {
            html!(out, "<dt>" (words.say("number")) "</dt><dd>" (count(words, number)) "</dd>");
        }
        let hint = match (self.view, self.told.line.state.as_str()) {
            (View::Standby, "sold_out") => "standby_sold_hint",
            (View::Standby, _) => "standby_hint",
            _ => "waiting_hint",
        };
        let chance = ticket.chance.as_ref().map(|chance| format!("chance_{chance}")).filter(|key| words.has(key));
        html!(out, "</dl><p id=chance>" (chance.as_deref().map_or("", |key| words.say(key))) "</p><p>" (words.say(hint)) "</p>");
        match &self.code {
            Some(code) => html!(out, "<p class=card>" (words.say("move_code")) " <b class=big>" (code) "</b></p>"),
            None => self.button(out, "offer", "move", true),
        }
        self.stock(out);
    }

    fn called(&self, out: &mut Html) {
        html!(out, "<p>" (self.words.say("called_hint")) "</p><form method=post action=\"/sales/" (self.told.sale.id)
            "/enter\" data-auto=\"" (self.again_ms) "\"><button id=enter>" (self.words.say("enter")) "</button></form>");
    }

    /// What is left, for those who cannot choose yet.
    fn stock(&self, out: &mut Html) {
        html!(out, "<ul class=card>");
        for item in &self.told.sale.items {
            html!(out, "<li class=row><bdi>" (item.title) "</bdi>");
            self.price_and_stock(out, item);
            html!(out, "</li>");
        }
        html!(out, "</ul>");
    }

    fn price_and_stock(&self, out: &mut Html, item: &Item) {
        let price = item.price.as_ref().map_or_else(|| self.words.say("free").to_owned(), money);
        html!(out, "<span class=soft>" (price) " · <span data-stock=\"" (item.id) "\">" (self.stock_of(&item.id)) "</span></span>");
    }

    fn stock_of(&self, item: &str) -> String {
        let stock = self.told.line.items.iter().find(|stock| stock.item == item);
        stock.map_or_else(String::new, |stock| self.words.say(&format!("stock_{}", stock.stock)).to_owned())
    }

    fn choose(&self, out: &mut Html) {
        let (words, told) = (self.words, self.told);
        if let Some(ms) = told.pass_ms.filter(|_| told.sale.waiting_room) {
            html!(out, "<p class=big>" (words.say("inside_left")) " ");
            clock(out, ms);
            html!(out, "</p>");
        }
        let most = told.sale.limits.units_per_visitor;
        if let Some(most) = most {
            html!(out, "<p>" (words.fill("limit", &[("n", &most)])) "</p>");
        }
        html!(out, "<form method=post action=\"/sales/" (told.sale.id) "/hold\"><input type=hidden name=key value=\""
            (self.key) "\"><ul class=card>");
        let most = most.unwrap_or(u32::MAX).min(told.sale.limits.quantity_per_line);
        let first = u32::from(told.sale.items.len() == 1);
        for item in &told.sale.items {
            let label = words.fill("quantity", &[("item", &item.title)]);
            html!(out, "<li class=row><span><label for=\"q." (item.id) "\"><bdi>" (item.title) "</bdi><span class=quiet> "
                (label) "</span></label><br>");
            self.price_and_stock(out, item);
            html!(out, "</span><input type=number inputmode=numeric id=\"q." (item.id) "\" name=\"q." (item.id)
                "\" min=0 max=\"" (most) "\" value=\"" (first) "\"");
            if told.line.items.iter().any(|stock| stock.item == item.id && stock.stock == "sold_out") {
                html!(out, " disabled");
            }
            html!(out, "></li>");
        }
        html!(out, "</ul><button id=hold>" (words.say("hold")) "</button></form>");
        if told.sale.waiting_room {
            self.button(out, "leave", "leave", true);
        }
    }

    fn holding(&self, out: &mut Html) {
        let (words, Some(hold)) = (self.words, &self.told.hold) else { return };
        if let Some(ms) = hold.expires_in_ms {
            html!(out, "<p class=big>" (words.say("holding_left")) " ");
            clock(out, ms);
            html!(out, "</p>");
        }
        self.lines(out);
        self.decide(out, hold, "confirm", "confirm", false);
        self.decide(out, hold, "release", "release", true);
    }

    fn unknown(&self, out: &mut Html) {
        let Some(hold) = &self.told.hold else { return };
        html!(out, "<p>" (self.words.say("unknown_hint")) "</p>");
        self.decide(out, hold, "confirm", "confirm", false);
        self.button(out, "again", "forget", true);
    }

    fn booked(&self, out: &mut Html) {
        let (words, Some(hold)) = (self.words, &self.told.hold) else { return };
        html!(out, "<dl class=card><dt>" (words.say("booking")) "</dt><dd id=booking>" (hold.hold_id) "</dd></dl>");
        self.lines(out);
        html!(out, "<p>" (words.say("booked_hint")) "</p>");
        self.button(out, "again", "again", true);
    }

    /// A form that decides about the hold it names.
    fn decide(&self, out: &mut Html, hold: &Hold, act: &'static str, label: &str, second: bool) {
        // An id of ours; anything else would be nobody's hold.
        let id = hold.hold_id.parse::<HoldId>().map(|id| id.to_string()).unwrap_or_default();
        form(out, &self.told.sale.id, act, &[("hold", &id)], self.words.say(label), second);
    }

    /// What is held or booked.
    fn lines(&self, out: &mut Html) {
        let Some(hold) = self.told.hold.as_ref().filter(|hold| !hold.lines.is_empty()) else { return };
        let title = |id: &str| {
            let item = self.told.sale.items.iter().find(|item| item.id == id);
            item.map_or_else(|| id.to_owned(), |item| item.title.clone())
        };
        let rows = hold.lines.iter().map(|line| (title(&line.item), format!("{} ×", line.quantity))).collect();
        let total = hold.price.as_ref().map(|price| (self.words.say("total").to_owned(), money(price)));
        card(out, rows, total);
    }
}
