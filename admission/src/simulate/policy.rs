//! Who decides: Holdfast's own step over its own fold, or what one would write in an afternoon.

use std::collections::BTreeMap;

use domain::{LineEvent, Millis};

use crate::fold::{BadLine, LineFold};
use crate::pilot::{Look, Pilot};
use crate::step::{Binding, Settings};

/// A way to let people in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Policy {
    /// The step of this crate.
    Holdfast,
    /// So many per minute, whatever happens.
    FixedRate,
    /// The next one whenever fewer than the cap are inside or called. Who does not come keeps a place for a pass' life.
    PlainCap,
}

impl Policy {
    /// Every policy, in the order of the tables.
    pub const ALL: [Self; 3] = [Self::Holdfast, Self::FixedRate, Self::PlainCap];

    /// The name in tables and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Holdfast => "holdfast",
            Self::FixedRate => "fixed_rate",
            Self::PlainCap => "plain_cap",
        }
    }
}

/// A policy at work.
pub(super) enum Gate {
    Holdfast(Box<Own>),
    Plain(Plain),
}

/// The owner of a line without its stores: the log is kept in memory.
pub(super) struct Own {
    fold: LineFold,
    pilot: Pilot,
    settings: Settings,
    pass_ttl_ms: u64,
}

/// A counter and a rule.
pub(super) struct Plain {
    /// Calls per minute; `None`: as many as have room.
    rate: Option<u64>,
    cap: u64,
    pass_ttl_ms: u64,
    frontier: u64,
    /// Called and not come, by when their place is given up.
    called: BTreeMap<u64, Millis>,
    active: u64,
    from: Millis,
}

impl Gate {
    pub(super) fn new(policy: Policy, settings: Settings, pass_ttl_ms: u64, grace_ms: u64, from: Millis) -> Self {
        let plain = |rate| {
            let cap = u64::from(settings.active_passes);
            Self::Plain(Plain { rate, cap, pass_ttl_ms, frontier: 0, called: BTreeMap::new(), active: 0, from })
        };
        match policy {
            Policy::Holdfast => {
                let (fold, pilot) = (LineFold::new(grace_ms), Pilot::default());
                Self::Holdfast(Box::new(Own { fold, pilot, settings, pass_ttl_ms }))
            }
            Policy::FixedRate => plain(Some(settings.pace_per_minute.into())),
            Policy::PlainCap => plain(None),
        }
    }

    /// One tick: moves the frontier, ends passes and decides claims, in the order of the owner's entries. Returns the
    /// frontier, how many of the claims (in rising order) got a pass, and what holds the line.
    pub(super) fn tick(
        &mut self,
        look: &Look,
        claims: &[u64],
        ended: Vec<u64>,
    ) -> Result<(u64, usize, Binding), BadLine> {
        match self {
            Self::Holdfast(own) => own.tick(look, claims, ended),
            Self::Plain(plain) => Ok(plain.tick(look, claims, &ended)),
        }
    }

    pub(super) fn active(&self) -> u64 {
        match self {
            Self::Holdfast(own) => own.fold.active(),
            Self::Plain(plain) => plain.active,
        }
    }
}

impl Own {
    fn tick(&mut self, look: &Look, claims: &[u64], ended: Vec<u64>) -> Result<(u64, usize, Binding), BadLine> {
        let decision = self.pilot.step(&mut self.fold, look, &self.settings);
        let Settings { pace_per_minute, active_passes, .. } = self.settings;
        let room = self.fold.room(pace_per_minute, active_passes, ended.len() as u64, look.now);
        let most = usize::try_from(room.meter.min(room.places)).unwrap_or(usize::MAX);
        let granted = claims.get(..most).unwrap_or(claims);
        let event = LineEvent {
            at: look.now,
            numbers_to: look.issued,
            frontier: decision.frontier,
            granted: granted.to_vec(),
            ended,
            gap: None,
            pass_ttl_ms: (self.fold.pass_ttl_ms() == 0).then_some(self.pass_ttl_ms),
            turn_ms: None,
            redeemed: Vec::new(),
            classes: Vec::new(),
            lobby: None,
            moved: Vec::new(),
            fault: None,
        };
        self.fold.apply(self.fold.seq() + 1, &event)?;
        Ok((decision.frontier, granted.len(), decision.binding))
    }
}

impl Plain {
    fn tick(&mut self, look: &Look, claims: &[u64], ended: &[u64]) -> (u64, usize, Binding) {
        self.active = self.active.saturating_sub(ended.len() as u64);
        self.called.retain(|_, until| look.now < *until);
        for number in claims {
            self.called.remove(number);
        }
        self.active += claims.len() as u64;
        let to = match self.rate {
            Some(rate) => rate * look.now.since(self.from) / 60_000,
            None => self.frontier + self.cap.saturating_sub(self.active).saturating_sub(self.called.len() as u64),
        };
        let before = self.frontier;
        self.frontier = to.min(look.issued).max(before);
        self.called.extend((before + 1..=self.frontier).map(|number| (number, look.now.plus(self.pass_ttl_ms))));
        let binding = if self.frontier == look.issued { Binding::Line } else { Binding::Pace };
        (self.frontier, claims.len(), binding)
    }
}
