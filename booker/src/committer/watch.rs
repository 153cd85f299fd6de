//! What a look at Redis and at the log comes to (R9).

use ledger::Head;
use lua::lane::LaneState;

use super::Committer;
use super::settle::View;

/// What was known when a look began. An answer that is older than what is known by now says nothing new.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Asked {
    head: u64,
    appends: u64,
    appending: bool,
    looks: u64,
    settling: bool,
}

/// What to do after a look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Go on.
    Fine,
    /// The log has another writer: stop, ask for the lease, claim anew. Never resume.
    StepDown,
    /// The log has less than it had: stop the lane, page somebody.
    LedgerLostData,
}

impl Committer {
    /// To be called before a look; Redis is read before the log.
    #[must_use]
    pub const fn ask(&self) -> Asked {
        Asked {
            head: self.fold.head(),
            appends: self.appends,
            appending: self.is_appending(),
            looks: self.settler.looks,
            settling: self.settler.is_settling(),
        }
    }

    /// Hashes what a look that began with `asked` will come to: the counters only as far as they have moved since.
    #[doc(hidden)]
    pub fn hash_asked(&self, asked: &Asked, hasher: &mut impl std::hash::Hasher) {
        use std::hash::Hash as _;
        let moved = (asked.appends == self.appends, asked.looks == self.settler.looks);
        (asked.head, asked.appending, asked.settling, moved).hash(hasher);
    }

    /// Takes in a look: what Redis has (`None`: it did not answer), then what the log is at.
    pub fn observe(&mut self, asked: Asked, redis: Option<LaneState>, log: Option<&Head>) -> Verdict {
        if let Some(log) = log {
            let verdict = self.judge_log(asked, log);
            if verdict != Verdict::Fine {
                return verdict;
            }
            // The log was read after Redis, which learns of events and fences only from it.
            let ahead = match redis {
                Some(LaneState::Loaded { epoch, settled }) => epoch > log.fence || settled > log.head,
                Some(LaneState::Loading { epoch, head, .. }) => epoch > log.fence || head > log.head,
                Some(LaneState::Empty) | None => false,
            };
            if ahead {
                return Verdict::LedgerLostData;
            }
        }
        if let Some(state) = redis {
            self.take_in(asked, state);
        }
        Verdict::Fine
    }

    fn judge_log(&self, asked: Asked, log: &Head) -> Verdict {
        if log.fence > self.fence {
            return Verdict::StepDown;
        }
        if log.fence < self.fence || log.head < asked.head {
            return Verdict::LedgerLostData;
        }
        let untouched = !asked.appending && !self.is_appending() && asked.appends == self.appends;
        if untouched && log.head != self.fold.head() {
            // Somebody else believes in this fence (an ambiguous claim), or an append that was given up arrived after all.
            return Verdict::StepDown;
        }
        Verdict::Fine
    }

    /// Redis loaded by an earlier owner is as good as by this one: what it has settled is a prefix of the log, and its holds
    /// live on. Only what is empty or was never finished is loaded anew.
    fn take_in(&mut self, asked: Asked, state: LaneState) {
        if asked.settling || asked.looks != self.settler.looks || self.settler.view == View::Unloaded {
            return;
        }
        let head = self.fold.head();
        match state {
            // A load that waits for its own answer knows better.
            LaneState::Empty | LaneState::Loading { .. } if matches!(self.settler.view, View::Loading(_)) => {}
            LaneState::Loading { epoch, head: of, chunks }
                if epoch == self.fence && of == head && !self.is_appending() =>
            {
                self.resume_load(chunks);
            }
            LaneState::Empty | LaneState::Loading { .. } => self.settler.see(View::Empty),
            LaneState::Loaded { settled, .. } if settled <= head => {
                self.settler.see(View::Loaded(settled));
                if settled == head {
                    self.settler.sums_from(&self.fold);
                }
            }
            // Ahead of this fold but not of the log: another writer. The next look at a quiet log says so.
            LaneState::Loaded { .. } => self.settler.see(View::Unknown),
        }
    }
}
