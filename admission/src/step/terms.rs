//! The terms of a step side by side, and which of them binds.

use serde::{Deserialize, Serialize};

/// The terms of a step, in people.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Terms {
    /// What the pace allows at this moment.
    pub pace: u64,
    /// What Little's law lets flow in at this moment.
    pub flow: u64,
    /// Places that are not taken and not promised.
    pub cap: u64,
    /// The same, of the cap that the stores can bear.
    pub health: u64,
    /// People whom the stock can still serve.
    pub stock: u64,
    /// People who wait.
    pub line: u64,
}

/// What holds the frontier.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binding {
    /// The sale is not open.
    #[default]
    Closed,
    /// Nobody waits any more.
    Line,
    /// Free units and expected returns serve no more people than are called.
    Stock,
    /// Redis, the ledger or the payment provider is slow or fails.
    Health,
    /// As many passes are alive or promised as may be.
    Cap,
    /// What flows in for those who leave.
    Flow,
    /// The pace.
    Pace,
    /// What is left in stock is not known. Also: an owner of a later version says something that this one does not know.
    #[serde(other)]
    Unknown,
}

impl Binding {
    /// Every value, for the gauges.
    pub const ALL: [Self; 8] =
        [Self::Closed, Self::Line, Self::Stock, Self::Unknown, Self::Health, Self::Cap, Self::Flow, Self::Pace];

    /// The name in metrics and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Line => "line",
            Self::Stock => "stock",
            Self::Unknown => "unknown",
            Self::Health => "health",
            Self::Cap => "cap",
            Self::Flow => "flow",
            Self::Pace => "pace",
        }
    }
}

impl Terms {
    /// People who may be called: the smallest term, those who wait left aside.
    #[must_use]
    pub fn room(&self) -> u64 {
        self.pace.min(self.flow).min(self.cap).min(self.health).min(self.stock)
    }

    /// The same while everybody is let through: pace, flow and cap call no fewer. Stock and ill stores do: nobody is called to
    /// an empty shelf. The meter and the cap bound the passes as always.
    pub(super) const fn let_through(self, health_permille: u64) -> Self {
        let all = self.line;
        let health = if health_permille >= 1_000 { all } else { self.health };
        Self { pace: all, flow: all, cap: all, health, ..self }
    }

    /// The term that binds: the smallest; among equals the one nearest to the cause.
    pub(super) fn binding(&self, open: bool, stock_unknown: bool) -> Binding {
        let least = self.room().min(self.line);
        if !open {
            Binding::Closed
        } else if self.line == least {
            Binding::Line
        } else if stock_unknown {
            Binding::Unknown
        } else if self.stock == least {
            Binding::Stock
        } else if self.health == least && self.health < self.cap {
            Binding::Health
        } else if self.cap == least {
            Binding::Cap
        } else if self.pace == least {
            Binding::Pace
        } else {
            Binding::Flow
        }
    }
}
