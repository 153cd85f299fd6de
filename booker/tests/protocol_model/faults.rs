//! Everything that can happen next.

use std::sync::Arc;

use domain::fault::{KnownFaults, Life};
use domain::{HoldState, Millis};
use lua::lane::{HoldGroup, HoldRequest, LaneState, PassRef, ReleaseRequest};
use lua::model::LaneModel;

use crate::world::{IDS, NAMES, NOW, World};

/// A step's name and what it was done with.
pub(crate) type Label = (&'static str, u8, u8);

fn small(n: usize) -> u8 {
    u8::try_from(n).unwrap()
}

impl World {
    /// Every world that can follow, with what was done.
    pub(crate) fn next(&self) -> Vec<(Label, Self)> {
        let mut out = vec![];
        self.visitors(&mut out);
        self.redis_faults(&mut out);
        self.ledger(&mut out);
        for n in 0..2 {
            match &self.owners[n] {
                Some(_) => self.owner(n, &mut out),
                None if self.left.claim > 0 => self.then(&mut out, ("claim", small(n), 0), |world| {
                    world.left.claim -= 1;
                    world.claim(n);
                }),
                None => {}
            }
        }
        out
    }

    fn then(&self, out: &mut Vec<(Label, Self)>, label: Label, step: impl FnOnce(&mut Self)) {
        let mut world = self.clone();
        step(&mut world);
        world.forget_refused();
        out.push((label, world));
    }

    fn visitors(&self, out: &mut Vec<(Label, Self)>) {
        let loaded = matches!(self.redis.state, LaneState::Loaded { .. });
        for h in 0..IDS {
            if self.left.hold[h] > 0 && loaded {
                let most = if self.rules.other_content && h == 0 { 2 } else { 1 };
                for units in 1..=most {
                    self.then(out, ("hold", small(h), units), |world| {
                        world.left.hold[h] -= 1;
                        world.hold(h, u32::from(units));
                    });
                }
            }
            if self.left.confirm[h] > 0 {
                for by in 0..3 {
                    let somebody = (by < 2).then_some(by);
                    if by < 2 && self.owners[by].is_none() {
                        continue;
                    }
                    self.then(out, ("confirm", small(h), small(by)), |world| {
                        world.left.confirm[h] -= 1;
                        world.confirm(h, somebody);
                    });
                }
            }
            let state = self.redis.holds.get(&self.id(h)).map(|record| record.state);
            if self.left.expire > 0 && loaded && state == Some(HoldState::Held) {
                self.then(out, ("expire", small(h), 0), |world| {
                    world.left.expire -= 1;
                    world.expire(h);
                });
            }
            if self.left.purge > 0 && state.is_some_and(|s| s.is_decided() || s == HoldState::Released) {
                self.then(out, ("record removed", small(h), 0), |world| {
                    world.left.purge -= 1;
                    let id = world.id(h);
                    let redis = world.redis_mut();
                    redis.holds.remove(&id);
                    redis.due.remove(&id);
                });
            }
            for by in 0..2 {
                if self.left.cancel > 0 && self.seen[h].booked && self.owners[by].is_some() {
                    self.then(out, ("cancel", small(h), small(by)), |world| {
                        world.left.cancel -= 1;
                        world.cancel(h, by);
                    });
                }
            }
        }
    }

    pub(crate) fn hold(&mut self, h: usize, units: u32) {
        let (lines, fp) = Self::lines(units);
        let pass =
            self.pass(h).map(|number| PassRef { number, life: Life { given: Millis(0), expires: Millis(u64::MAX) } });
        let request = HoldRequest { id: self.id(h), visitor: self.visitor(h), fp, lines, pass };
        let faults = Arc::new(KnownFaults::none());
        let group = HoldGroup { ttl_ms: 1_000, limit: self.rules.limit, most: 20, faults, requests: vec![request] };
        let _ = self.redis_mut().hold(&group, NOW);
    }

    /// The deadline has passed for this one: what the reaper does is what a release does.
    pub(crate) fn expire(&mut self, h: usize) {
        let request = ReleaseRequest { id: self.id(h), visitor: self.visitor(h) };
        let _ = self.redis_mut().release(&[request]);
    }

    /// The ticker: intents that were lost are put back.
    pub(crate) fn tick(&mut self) {
        let _ = self.redis_mut().reap(Millis(0), &KnownFaults::none());
    }

    fn redis_faults(&self, out: &mut Vec<(Label, Self)>) {
        let there = self.redis.state != LaneState::Empty;
        if self.left.rollback > 0 {
            if there && self.copy.as_ref().is_none_or(|(copy, _)| *copy != self.redis) {
                self.then(out, ("~copy", 0, 0), |world| world.copy = Some((world.redis.clone(), world.edited)));
            }
            if let Some((copy, edited)) = &self.copy
                && *copy != self.redis
            {
                self.then(out, ("!rollback", 0, 0), |world| {
                    world.left.rollback -= 1;
                    (world.redis, world.edited) = (copy.clone(), *edited);
                    if world.left.rollback == 0 {
                        world.copy = None;
                    }
                });
            }
        }
        if self.left.loss > 0 && there {
            self.then(out, ("!loss", 0, 0), |world| {
                world.left.loss -= 1;
                world.redis = Arc::new(LaneModel::default());
                world.edited = false;
            });
        }
        if self.left.edit > 0 && matches!(self.redis.state, LaneState::Loaded { .. }) {
            self.then(out, ("!free+1", 0, 0), |world| {
                world.left.edit -= 1;
                world.edited = true;
                if let Some(stock) = world.redis_mut().items.get_mut(&NAMES.item) {
                    stock.free += 1;
                }
            });
        }
        if self.left.drop > 0 && !self.redis.confirming.is_empty() {
            self.then(out, ("!intent lost", 0, 0), |world| {
                world.left.drop -= 1;
                world.redis_mut().confirming.pop_first();
            });
        }
        if self.late.is_some() {
            self.then(out, ("late settle", 0, 0), Self::late_settle);
        }
    }

    fn ledger(&self, out: &mut Vec<(Label, Self)>) {
        for k in 0..self.net.len() {
            self.then(out, ("append arrives", small(k), 0), |world| world.deliver(k));
        }
        if self.left.publish > 0 {
            self.then(out, ("stock published", 0, 0), |world| {
                world.left.publish -= 1;
                world.published += 1;
            });
        }
    }

    fn owner(&self, n: usize, out: &mut Vec<(Label, Self)>) {
        let Some(owner) = &self.owners[n] else { return };
        let by = small(n);
        if owner.append.is_some() {
            self.then(out, ("learns", by, 0), |world| {
                world.learn(n);
            });
            if self.left.give_up > 0 {
                self.then(out, ("gives up an append", by, 0), |world| {
                    world.left.give_up -= 1;
                    world.give_up(n);
                });
            }
        } else {
            self.then(out, ("forms a group", by, 0), |world| world.form(n));
        }
        if owner.settle.is_some() {
            self.then(out, ("settles", by, 0), |world| world.finish_settle(n));
        } else {
            self.then(out, ("plans a settle", by, 0), |world| world.plan_settle(n));
        }
        if owner.load.is_some() {
            self.then(out, ("loads", by, 0), |world| world.finish_load(n));
        } else {
            self.then(out, ("plans a load", by, 0), |world| world.plan_load(n));
        }
        self.owner_watches(n, out);
        if self.left.crash > 0 {
            self.then(out, ("!crash", by, 0), |world| {
                world.left.crash -= 1;
                world.lose_owner(n);
            });
        }
        if self.left.unload > 0 && self.may_unload(n) {
            self.then(out, ("unloads", by, 0), |world| {
                world.left.unload -= 1;
                world.unload(n);
            });
        }
        for act in 1..=self.published {
            if self.left.pull > 0 {
                self.then(out, ("pulls stock", by, small(usize::try_from(act).unwrap())), |world| {
                    world.left.pull -= 1;
                    world.pull(n, act, world.left.pull);
                });
            }
        }
    }

    fn owner_watches(&self, n: usize, out: &mut Vec<(Label, Self)>) {
        let Some(owner) = &self.owners[n] else { return };
        let (by, stale) = (small(n), self.rules.stale_looks);
        if self.rules.heartbeat {
            match (stale, &owner.look) {
                (false, _) => self.then(out, ("looks", by, 0), |world| world.look(n)),
                (true, None) => self.then(out, ("begins a look", by, 0), |world| world.begin_look(n)),
                (true, Some(_)) => self.then(out, ("ends a look", by, 0), |world| world.finish_look(n)),
            }
        }
        if self.rules.reread {
            match (stale, &owner.reread) {
                (false, _) => self.then(out, ("rereads", by, 0), |world| {
                    world.begin_reread(n);
                    world.finish_reread(n);
                }),
                (true, None) => self.then(out, ("begins a reread", by, 0), |world| world.begin_reread(n)),
                (true, Some(_)) => self.then(out, ("ends a reread", by, 0), |world| world.finish_reread(n)),
            }
        }
        if self.edited {
            self.then(out, ("mends", by, 0), |world| world.mend(n));
        }
    }
}
