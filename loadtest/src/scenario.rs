//! What visitors do and when they come: a load is made of scenarios, a scenario of transactions.
//!
//! The same types are written in Rust and read from TOML ([`Load::from_toml`]); those of [`Load::shipped`] are such files.

mod read;
mod shipped;
mod words;

use std::time::Duration;

pub use words::{Chance, Pause, Rate};

use crate::args::Journey;
use crate::arrivals::Shape;
use crate::threshold::Threshold;

/// One thing that a visitor does. What it needs must have been done before by the same scenario.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Reads the line's document.
    Poll,
    /// Becomes a new visitor and gets a ticket.
    Join,
    /// Asks for the own place.
    Place,
    /// Polls, as often as the server says, until the ticket is called.
    Wait,
    /// Exchanges the ticket for a pass; waits where the server says so.
    Enter,
    /// Gives the pass back.
    Leave,
    /// Holds units under a new key.
    Hold,
    /// Confirms the hold until it is decided.
    Confirm,
    /// Releases the hold.
    Release,
    /// Reads the own bookings.
    Bookings,
    /// Abuse: asks with an altered visitor. Must be refused.
    ForgeVisitor,
    /// Abuse: asks for a pass with an altered ticket. Must be refused.
    ForgeTicket,
    /// Abuse: holds with an altered pass. Must be refused.
    ForgePass,
    /// Abuse: asks for a pass before the ticket is called. One that is given is judged like any other.
    JumpLine,
    /// Abuse: asks for another quantity under the hold's key. Must be refused.
    ReuseKey,
    /// Abuse: confirms the hold twice at once, under two keys. Must be one booking.
    ConfirmTwice,
    /// Abuse: holds on and on, two at once, until refused; then releases. Must end at the sale's limit.
    DodgeLimit,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 17] = [
        Self::Poll,
        Self::Join,
        Self::Place,
        Self::Wait,
        Self::Enter,
        Self::Leave,
        Self::Hold,
        Self::Confirm,
        Self::Release,
        Self::Bookings,
        Self::ForgeVisitor,
        Self::ForgeTicket,
        Self::ForgePass,
        Self::JumpLine,
        Self::ReuseKey,
        Self::ConfirmTwice,
        Self::DodgeLimit,
    ];

    /// The name in a file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Join => "join",
            Self::Place => "place",
            Self::Wait => "wait",
            Self::Enter => "enter",
            Self::Leave => "leave",
            Self::Hold => "hold",
            Self::Confirm => "confirm",
            Self::Release => "release",
            Self::Bookings => "bookings",
            Self::ForgeVisitor => "forge-visitor",
            Self::ForgeTicket => "forge-ticket",
            Self::ForgePass => "forge-pass",
            Self::JumpLine => "jump-line",
            Self::ReuseKey => "reuse-key",
            Self::ConfirmTwice => "confirm-twice",
            Self::DodgeLimit => "dodge-limit",
        }
    }

    /// What must have been done before in the same scenario, any of these; empty: nothing.
    const fn after(self) -> &'static [Self] {
        match self {
            Self::Place | Self::Wait | Self::Enter | Self::ForgeTicket | Self::JumpLine => &[Self::Join],
            Self::Leave | Self::ForgePass => &[Self::Enter, Self::JumpLine],
            Self::Confirm | Self::Release | Self::ReuseKey | Self::ConfirmTwice => &[Self::Hold],
            _ => &[],
        }
    }

    /// Whether there must be a waiting room.
    const fn needs_room(self) -> bool {
        matches!(self, Self::Join) || matches!(self.after(), [Self::Join | Self::Enter, ..])
    }

    /// Whether a visitor's token is sent along.
    pub(crate) const fn needs_visitor(self) -> bool {
        !matches!(self, Self::Poll | Self::Join)
    }
}

/// A step of a scenario.
#[derive(Clone, PartialEq, Debug)]
pub struct Transaction {
    /// What is done.
    pub action: Action,
    /// How long the visitor thinks before.
    pub think: Pause,
    /// Whoever does not do it goes away, and leaves behind what is held: a no-show, an abandoned hold.
    pub chance: Chance,
    /// How often in a row.
    pub times: u32,
}

impl Transaction {
    /// Done once, at once, by everybody.
    #[must_use]
    pub const fn new(action: Action) -> Self {
        Self { action, think: Pause::NONE, chance: Chance::SURE, times: 1 }
    }

    /// After thinking for between `from` and `to`.
    #[must_use]
    pub const fn thinking(mut self, from: Duration, to: Duration) -> Self {
        self.think = Pause { from, to };
        self
    }

    /// By this share of the visitors, from 0 to 1.
    #[must_use]
    pub const fn by(mut self, share: f64) -> Self {
        self.chance = Chance(share);
        self
    }

    /// So often in a row.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }
}

/// How visitors come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Model {
    /// At their own times, whether or not earlier ones have arrived.
    Open,
    /// So many at once; each comes again when it is done.
    Closed,
}

/// What one kind of visitors does.
#[derive(Clone, PartialEq, Debug)]
pub struct Scenario {
    /// Its name in the report.
    pub name: String,
    /// How often it is chosen, against the weights of the others.
    pub weight: u32,
    /// The model whose visitors do this; absent: both.
    pub model: Option<Model>,
    /// Step by step; a refusal ends it.
    pub transactions: Vec<Transaction>,
}

impl Scenario {
    /// Of weight 1, for both models, without a step.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), weight: 1, model: None, transactions: Vec::new() }
    }

    /// With this weight.
    #[must_use]
    pub const fn weighing(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// And then this.
    #[must_use]
    pub fn then(mut self, transaction: Transaction) -> Self {
        self.transactions.push(transaction);
        self
    }

    pub(crate) fn does(&self, action: Action) -> bool {
        self.transactions.iter().any(|step| step.action == action)
    }

    /// What is wrong with the order of its steps, as (index, what).
    pub(crate) fn disorder(&self) -> Option<(usize, String)> {
        for (n, step) in self.transactions.iter().enumerate() {
            let before = self.transactions.get(..n).unwrap_or_default();
            let needed = step.action.after();
            if !needed.is_empty() && !before.iter().any(|done| needed.contains(&done.action)) {
                let needed: Vec<_> = needed.iter().map(|action| action.as_str()).collect();
                return Some((n, format!("needs {} before it", needed.join(" or "))));
            }
        }
        None
    }

    /// Whether it is made for a sale with a waiting room (true), without one (false), or for both.
    pub(crate) fn room(&self) -> Option<bool> {
        if self.transactions.iter().any(|step| step.action.needs_room()) {
            return Some(true);
        }
        let holds = self.does(Action::Hold) || self.does(Action::DodgeLimit);
        holds.then_some(false)
    }
}

/// Visitors who come at their own times.
#[derive(Clone, PartialEq, Debug)]
pub struct Open {
    /// When.
    pub shape: Shape,
    /// How many may be on their way at once; who comes then waits, and the waiting counts.
    pub most: u32,
}

/// Everything about a run that is not about the server.
#[derive(Clone, PartialEq, Debug)]
pub struct Load {
    /// Its name in the report.
    pub name: String,
    /// A sentence about it.
    pub about: String,
    /// The sale; absent: whatever the caller says.
    pub sale: Option<String>,
    /// What visitors do.
    pub scenarios: Vec<Scenario>,
    /// Visitors who come at their own times.
    pub open: Option<Open>,
    /// Visitors who come again and again, at once.
    pub closed: Option<u32>,
    /// See [`crate::Args::duration`].
    pub duration: Option<Duration>,
    /// See [`crate::Args::finish_within`].
    pub finish_within: Option<Duration>,
    /// See [`crate::Args::warm_up`].
    pub warm_up: Option<Duration>,
    /// See [`crate::Args::quantity`].
    pub quantity: Option<u32>,
    /// See [`crate::Args::per_visitor`].
    pub per_visitor: Option<u32>,
    /// Share of requests whose answer is thrown away with its connection, so that they are sent again.
    pub lose_answers: Chance,
    /// What must come out.
    pub thresholds: Vec<Threshold>,
}

impl Load {
    /// One scenario, whose visitors come again and again.
    #[must_use]
    pub fn closed(scenario: Scenario, visitors: u32) -> Self {
        Self {
            name: scenario.name.clone(),
            about: String::new(),
            sale: None,
            scenarios: vec![scenario],
            open: None,
            closed: Some(visitors),
            duration: None,
            finish_within: None,
            warm_up: None,
            quantity: None,
            per_visitor: None,
            lose_answers: Chance::NEVER,
            thresholds: Vec::new(),
        }
    }

    /// A journey of the command line.
    #[must_use]
    pub fn of(journey: Journey, visitors: u32, rate: Option<f64>) -> Self {
        let steps: &[Action] = match journey {
            Journey::Book => &[Action::Hold, Action::Confirm],
            Journey::Line => &[Action::Join, Action::Wait, Action::Enter, Action::Hold, Action::Confirm],
            Journey::Join => &[Action::Join],
            Journey::Poll => &[Action::Poll],
            Journey::Hold => &[Action::Hold, Action::Release],
        };
        let scenario = Scenario::named(journey.as_str());
        let load = Self::closed(steps.iter().fold(scenario, |s, action| s.then(Transaction::new(*action))), visitors);
        match rate {
            Some(rate) => {
                let open = Open { shape: Shape::steady(rate), most: visitors };
                Self { open: Some(open), closed: None, ..load }
            }
            None => load,
        }
    }

    /// Whether it is made for a sale with a waiting room (true), without one (false), or for any.
    #[must_use]
    pub fn room(&self) -> Option<bool> {
        let rooms = || self.scenarios.iter().filter(|scenario| scenario.weight > 0).filter_map(Scenario::room);
        rooms().max()
    }

    /// The scenarios for visitors of a model.
    pub(crate) fn for_model(&self, model: Model) -> impl Iterator<Item = &Scenario> {
        self.scenarios.iter().filter(move |scenario| scenario.model.is_none_or(|only| only == model))
    }

    /// Whether any visitor books.
    pub(crate) fn books(&self) -> bool {
        self.scenarios.iter().any(|scenario| scenario.does(Action::Confirm) || scenario.does(Action::ConfirmTwice))
    }
}
