//! What carries a line from step to step: the observation is put together here, for the owner and for the simulator alike.

use domain::Millis;

use crate::conversion::Conversion;
use crate::fold::LineFold;
use crate::step::{Deal, Decision, Flow, Health, Observation, Settings, Stock, Tokens, ramped, step};

/// What the line's log does not say.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The owner's clock.
    pub now: Millis,
    /// The sale is open.
    pub open: bool,
    /// The highest number that may have been given to a visitor.
    pub issued: u64,
    /// The lanes' figures; `None`: Redis did not say lately.
    pub stock: Option<Stock>,
    /// How the stores do.
    pub health: Health,
    /// When the sale was last resumed after a pause, and in how many milliseconds it gets its whole pace back; `None`: never.
    pub resumed: Option<(Millis, u64)>,
    /// Everybody is to be called whom the stock can serve.
    pub let_through: bool,
}

/// What one owner remembers from step to step. All that must survive it is in the log; the rest is bounded by the exact
/// windows and measured again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pilot {
    tokens: Tokens,
    flow: Flow,
    conversion: Conversion,
    deal: Deal,
    /// How many units there were when all of them were taken; `None`: some were free ever since units were last added.
    all_taken: Option<u64>,
    /// The stock was seen before.
    looked: bool,
}

impl Pilot {
    /// Decides how far the frontier moves now.
    pub fn step(&mut self, fold: &mut LineFold, look: &Look, settings: &Settings) -> Decision {
        let now = look.now.not_before(fold.at());
        let unclaimed = fold.unclaimed(now);
        let pace = ramped(settings.pace_per_minute, look.resumed, now);
        let calls_room = fold.called().room(pace, now);
        let habits = fold.habits();
        if let Some(stock) = look.stock {
            self.conversion.look(now, stock, habits.passes_ended());
            self.see_taken(stock, fold.calls_returns());
        }
        let decision = step(
            &Observation {
                now,
                open: look.open,
                frontier: fold.frontier(),
                issued: look.issued,
                gaps: fold.gaps(),
                waiting: fold.waiting(look.issued),
                deal: self.deal,
                active: fold.active(),
                unclaimed,
                calls_room,
                tokens: self.tokens,
                flow: self.flow,
                freed: habits.places_freed(),
                stay_ms: habits.stay_ms(fold.pass_ttl_ms()),
                show_permille: habits.show_permille(),
                takes: self.conversion.takes(),
                stock: look.stock,
                // By the clock that the answers were timed with, also while it is behind the log.
                health_permille: look.health.permille(look.now),
                let_through: look.let_through,
            },
            &Settings { pace_per_minute: pace, ..*settings },
        );
        self.tokens = decision.tokens;
        self.flow = decision.flow;
        self.deal = decision.deal;
        decision
    }

    /// Once all units were taken, what becomes free has come back, until the operator adds units. An owner that begins in the
    /// middle of that goes on where the log says the one before was.
    fn see_taken(&mut self, stock: Stock, calls_returns: bool) {
        let units = stock.free + stock.held + stock.sold;
        if stock.free == 0 && units > 0 {
            self.all_taken = Some(units);
        } else if self.all_taken.is_some_and(|known| units > known) {
            self.all_taken = None;
        } else if !self.looked && calls_returns {
            self.all_taken = Some(units);
        }
        self.looked = true;
    }

    /// Whether those who are called now are called to units that came back.
    #[must_use]
    pub const fn calls_returns(&self) -> bool {
        self.all_taken.is_some()
    }
}

#[cfg(test)]
mod tests;
