//! One sale under one policy: ticks of 100 ms, and what visitors do between them.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use domain::Millis;
use domain::limits::{MAX_APPEND_EVENTS, PASS_SKEW_MS, STEP_MS};

use super::figures::{Figures, Outcome, Second};
use super::policy::{Gate, Policy};
use super::visitors::Visitor;
use crate::fold::BadLine;
use crate::pilot::Look;
use crate::step::{Health, Settings, Stock};

/// Milliseconds after which somebody who found the gate full tries again.
const AGAIN_MS: u64 = 1_000;
/// Milliseconds until somebody stops a sale that has sold out.
const NOTICED_MS: u64 = 60_000;
/// A virtual clock never shows zero: that is no time.
const OPENING: Millis = Millis(1_000_000);

/// What is sold and how people are let in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sale {
    /// Units; one item.
    pub units: u64,
    /// The operator's settings.
    pub settings: Settings,
    /// Milliseconds a pass lives.
    pub pass_ttl_ms: u64,
    /// Milliseconds a turn is kept.
    pub claim_grace_ms: u64,
    /// Milliseconds a hold lives.
    pub hold_ttl_ms: u64,
    /// From when to when, milliseconds after the opening, no store answers.
    pub faults: Vec<(u64, u64)>,
    /// The simulation ends so many milliseconds after the opening, if nothing ends it before.
    pub most_ms: u64,
}

/// What happens to a visitor next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Next {
    Claims,
    Chooses,
    Confirms,
    HoldEnds,
    PassEnds,
}

/// Where a visitor is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Waiting,
    Called,
    /// Has a pass and looks around.
    Choosing,
    /// Has a pass and a hold.
    Holding,
    /// Never came, left, or the pass is over; a hold may still be confirmed.
    Gone,
}

struct World<'a> {
    sale: &'a Sale,
    visitors: &'a [Visitor],
    gate: Gate,
    stock: Stock,
    stage: Vec<Stage>,
    events: BinaryHeap<Reverse<(Millis, Next, usize)>>,
    /// Claims that wait for the next tick.
    claims: BTreeSet<u64>,
    ended: Vec<u64>,
    joined: usize,
    frontier: u64,
    sold_out: Option<Millis>,
    /// Inside without a hold, and wanting one.
    choosing: u64,
    figures: Figures,
}

/// Plays the sale to its end under a policy. The visitor at index `n` has number `n + 1`; arrivals must rise.
///
/// # Errors
/// [`BadLine`]: the step wrote an entry that the fold refuses, which is a mistake of this crate.
pub fn run(policy: Policy, sale: &Sale, visitors: &[Visitor]) -> Result<Outcome, BadLine> {
    let gate = Gate::new(policy, sale.settings, sale.pass_ttl_ms, sale.claim_grace_ms, OPENING);
    let mut world = World {
        sale,
        visitors,
        gate,
        stock: Stock { free: sale.units, ..Stock::default() },
        stage: vec![Stage::Waiting; visitors.len()],
        events: BinaryHeap::new(),
        claims: BTreeSet::new(),
        ended: Vec::new(),
        joined: 0,
        frontier: 0,
        sold_out: None,
        choosing: 0,
        figures: Figures::new(visitors.len()),
    };
    let mut now = OPENING;
    while now.since(OPENING) < sale.most_ms && !world.over(now) {
        world.tick(now)?;
        now = now.plus(STEP_MS);
    }
    let end = world.sold_out.unwrap_or(now);
    Ok(world.figures.finish(policy, sale, end.since(OPENING)))
}

impl World<'_> {
    /// Sold out for a while, or everybody has gone and nobody will come.
    fn over(&self, now: Millis) -> bool {
        let sold_out = self.sold_out.is_some_and(|at| now.since(at) >= NOTICED_MS);
        let empty = self.joined == self.visitors.len() && self.events.is_empty() && self.claims.is_empty();
        sold_out || (empty && self.frontier >= self.visitors.len() as u64)
    }

    fn tick(&mut self, now: Millis) -> Result<(), BadLine> {
        while self.visitors.get(self.joined).is_some_and(|visitor| visitor.joins.0 <= now.since(OPENING)) {
            self.joined += 1;
        }
        let down = self.down(now);
        while let Some(Reverse((at, next, who))) = self.events.peek().copied() {
            if at > now {
                break;
            }
            self.events.pop();
            self.happens(at, next, who, down);
        }
        let claims: Vec<u64> = self.claims.iter().take(MAX_APPEND_EVENTS).copied().collect();
        let look = Look {
            now,
            open: true,
            issued: self.joined as u64,
            stock: (!down).then_some(self.stock),
            health: if down { Health::default() } else { Health::good(now) },
            resumed: None,
            let_through: false,
        };
        let (frontier, granted, binding) = self.gate.tick(&look, &claims, std::mem::take(&mut self.ended))?;
        self.call(frontier, now);
        for (n, number) in claims.into_iter().enumerate() {
            self.claims.remove(&number);
            let who = index(number);
            if n < granted {
                self.enter(who, now);
            } else {
                self.events.push(Reverse((now.plus(AGAIN_MS), Next::Claims, who)));
            }
        }
        self.note(now, binding);
        Ok(())
    }

    fn down(&self, now: Millis) -> bool {
        self.sale.faults.iter().any(|(from, to)| (*from..*to).contains(&now.since(OPENING)))
    }

    fn call(&mut self, frontier: u64, now: Millis) {
        for number in self.frontier + 1..=frontier {
            let who = index(number);
            let Some(visitor) = self.visitors.get(who) else { continue };
            let comes = !visitor.no_show && now.since(OPENING) < visitor.patient_until.0;
            self.figures.called(comes);
            self.set(who, if comes { Stage::Called } else { Stage::Gone });
            if comes {
                self.events.push(Reverse((now.plus(visitor.react_ms), Next::Claims, who)));
            }
        }
        self.frontier = frontier;
    }

    fn enter(&mut self, who: usize, now: Millis) {
        let Some(visitor) = self.visitors.get(who) else { return };
        self.set(who, Stage::Choosing);
        self.figures.entered(who, now.since(OPENING).saturating_sub(visitor.joins.0));
        self.choosing += u64::from(visitor.wants);
        self.events.push(Reverse((now.plus(visitor.look_ms), Next::Chooses, who)));
        self.events.push(Reverse((now.plus(self.sale.pass_ttl_ms + PASS_SKEW_MS), Next::PassEnds, who)));
    }

    /// What a visitor does at `at`. While no store answers nobody gets anywhere: everything is tried again a second later.
    fn happens(&mut self, at: Millis, next: Next, who: usize, down: bool) {
        let Some(visitor) = self.visitors.get(who).copied() else { return };
        let later = |next| Reverse((at.plus(AGAIN_MS), next, who));
        match next {
            Next::Claims if self.stage(who) == Stage::Called => {
                self.claims.insert(who as u64 + 1);
            }
            Next::Chooses | Next::Confirms if down => self.events.push(later(next)),
            Next::Chooses if self.stage(who) == Stage::Choosing => {
                self.choosing -= u64::from(visitor.wants);
                if visitor.wants && self.stock.free > 0 {
                    self.stock.free -= 1;
                    self.stock.held += 1;
                    self.set(who, Stage::Holding);
                    let ttl = self.sale.hold_ttl_ms;
                    let confirms = !visitor.lapses && visitor.pay_ms < ttl;
                    let (next, ms) = if confirms { (Next::Confirms, visitor.pay_ms) } else { (Next::HoldEnds, ttl) };
                    self.events.push(Reverse((at.plus(ms), next, who)));
                } else {
                    self.figures.left(visitor.wants);
                    self.end(who);
                }
            }
            Next::Confirms => {
                self.stock.held -= 1;
                self.stock.sold += 1;
                if self.stock.sold == self.sale.units {
                    self.sold_out = Some(at);
                }
                self.end(who);
            }
            Next::HoldEnds => {
                self.stock.held -= 1;
                self.stock.free += 1;
                self.end(who);
            }
            // A pass with a hold ends for its place; the hold can still be confirmed.
            Next::PassEnds => {
                self.choosing -= u64::from(self.stage(who) == Stage::Choosing && visitor.wants);
                self.end(who);
            }
            Next::Claims | Next::Chooses => {}
        }
    }

    /// The pass is over; its place is freed with the next entry.
    fn end(&mut self, who: usize) {
        if matches!(self.stage(who), Stage::Choosing | Stage::Holding) {
            self.set(who, Stage::Gone);
            self.ended.push(who as u64 + 1);
        }
    }

    fn note(&mut self, now: Millis, binding: crate::step::Binding) {
        let waiting = (self.joined as u64).saturating_sub(self.frontier);
        let second = Second {
            at_ms: now.since(OPENING),
            active: self.gate.active(),
            free: self.stock.free,
            sold: self.stock.sold,
            waiting,
            binding,
        };
        let wanted = self.stock.free.saturating_sub(self.choosing).min(waiting);
        self.figures.tick(second, wanted);
    }

    fn stage(&self, who: usize) -> Stage {
        self.stage.get(who).copied().unwrap_or(Stage::Gone)
    }

    fn set(&mut self, who: usize, stage: Stage) {
        if let Some(at) = self.stage.get_mut(who) {
            *at = stage;
        }
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX)
}
