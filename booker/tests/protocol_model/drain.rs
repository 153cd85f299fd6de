//! A fair schedule without faults, from any state: it must come to rest with everything in order (I5).

use std::collections::HashSet;

use domain::HoldState;
use lua::lane::LaneState;

use crate::world::{IDS, NAMES, World};

/// Rounds within which everything must have come to rest.
const ROUNDS: usize = 60;

impl World {
    /// Drains a copy of this world. `rested` are worlds from which this is known to end well.
    ///
    /// # Errors
    /// What does not hold on the way or at the end.
    pub(crate) fn drain(&self, rested: &mut HashSet<u64>) -> Result<(), String> {
        let (mut world, mut path) = (self.clone(), vec![]);
        for _ in 0..ROUNDS {
            let print = world.fingerprint();
            if rested.contains(&print) {
                rested.extend(path);
                return Ok(());
            }
            path.push(print);
            world.round();
            world.check().map_err(|error| format!("{error} [while draining]"))?;
            if world.fingerprint() == print {
                world.at_rest()?;
                rested.extend(path);
                return Ok(());
            }
        }
        Err("I5: no rest after sixty fair rounds".into())
    }

    /// Everybody does once what they do all the time.
    fn round(&mut self) {
        if self.owners.iter().all(Option::is_none) {
            self.claim(0);
        }
        self.late_settle();
        while !self.net.is_empty() {
            self.deliver(0);
            self.forget_refused();
        }
        for n in 0..2 {
            self.learn(n);
            self.finish_settle(n);
            self.finish_load(n);
            self.finish_look(n);
            self.finish_reread(n);
            if self.rules.heartbeat {
                self.look(n);
            }
            for _ in 0..8 {
                self.plan_load(n);
                self.finish_load(n);
            }
            self.plan_settle(n);
            self.finish_settle(n);
            if self.rules.reread {
                self.begin_reread(n);
                self.finish_reread(n);
            }
            if self.edited {
                self.mend(n);
            }
            for act in 1..=self.published {
                if self.rules.stock_origin {
                    self.pull(n, act, 0);
                }
            }
            if self.owners[n].as_ref().is_some_and(|owner| owner.append.is_none()) {
                self.form(n);
            }
        }
        self.tick();
        for h in 0..IDS {
            self.expire(h);
            self.ask_again(h);
        }
    }

    /// Visitors without a final answer ask the owner with the highest fence again.
    fn ask_again(&mut self, h: usize) {
        let fence = |n: usize| self.owners[n].as_ref().map(|owner| owner.committer.fence());
        let by = if fence(0) >= fence(1) { 0 } else { 1 };
        let seen = self.seen[h];
        let confirming = self.redis.holds.get(&self.id(h)).is_some_and(|record| record.state == HoldState::Confirming);
        if seen.asked && !seen.booked && !seen.gone && !seen.reused && !confirming {
            self.confirm(h, Some(by));
        }
        if seen.cancel_asked && !seen.cancelled {
            self.cancel(h, by);
        }
    }

    fn at_rest(&self) -> Result<(), String> {
        let fold = self.fold(self.log.len())?;
        for n in 0..IDS {
            let (id, seen) = (self.id(n), self.seen[n]);
            let ledger = fold.decided(&id).map(|decided| decided.state);
            let answered = seen.booked || seen.gone || seen.reused || ledger == Some(HoldState::Cancelled);
            if seen.asked && !answered {
                return Err(format!("I5: hold {n} never gets a final answer"));
            }
            if seen.cancel_asked && !seen.cancelled {
                return Err(format!("I5: the cancel of hold {n} is never answered"));
            }
        }
        let unloaded = self.owners.iter().flatten().any(|owner| owner.committer.is_unloaded());
        let LaneState::Loaded { settled, .. } = self.redis.state else {
            return if unloaded { Ok(()) } else { Err("I5: the lane is never loaded again".into()) };
        };
        if unloaded {
            // Somebody's copy came back after the end of the sale. Nobody serves from it.
            return Ok(());
        }
        if settled != self.log.len() as u64 {
            return Err(format!("I5: settled seq {settled} stays behind {}", self.log.len()));
        }
        if !self.redis.confirming.is_empty() {
            return Err("I5: intents are left in the set".into());
        }
        for n in 0..IDS {
            let record = self.redis.holds.get(&self.id(n)).map(|record| record.state);
            let ledger = fold.decided(&self.id(n)).map(|decided| decided.state);
            match (record, ledger) {
                (Some(HoldState::Held | HoldState::Paying | HoldState::Confirming), _) => {
                    return Err(format!("I5: hold {n} is {record:?} for ever"));
                }
                (Some(HoldState::Released), Some(_)) | (Some(_) | None, None) | (None, Some(_)) => {}
                (Some(redis), Some(ledger)) if redis != ledger => {
                    return Err(format!("I5: hold {n} is {redis:?} in Redis and {ledger:?} in the ledger"));
                }
                _ => {}
            }
        }
        let sum = fold.item(&NAMES.item);
        let stock = self.redis.items.get(&NAMES.item).copied().unwrap_or_default();
        if stock.live != 0 || stock.free != i64::try_from(sum.left()).unwrap() {
            return Err(format!("I5: free {} and live {} at rest, {} units left", stock.free, stock.live, sum.left()));
        }
        for (visitor, sum) in fold.visitors() {
            let counts = self.redis.visitors.get(visitor).copied().unwrap_or_default();
            if counts.units != sum.units {
                return Err(format!("I5: a visitor has {} units in Redis, {} in the ledger", counts.units, sum.units));
            }
        }
        Ok(())
    }
}
