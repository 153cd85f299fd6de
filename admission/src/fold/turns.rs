//! Turns: people who were called and have not claimed yet. Each is kept for a while, then passes on.

use std::collections::VecDeque;

use domain::Millis;

/// Numbers called by one entry.
#[derive(Clone, Copy, Debug)]
struct Call {
    first: u64,
    last: u64,
    at: Millis,
    /// Milliseconds these turns are kept; `None`: as long as the sale keeps every turn.
    keep_ms: Option<u64>,
    people: u64,
    unclaimed: u64,
}

/// Turns of a group that have passed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Matured {
    /// When.
    pub(super) at: Millis,
    /// People who were called.
    pub(super) called: u64,
    /// Of those, how many came before.
    pub(super) came: u64,
}

/// Turns within their time, oldest first: those that the sale keeps for its grace, and those to units that came back, which
/// are shorter and pass on before others that are older.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    kept: VecDeque<Call>,
    short: VecDeque<Call>,
    unclaimed: u64,
}

impl Turns {
    /// The numbers after `before` up to `last` are called, `people` of them with somebody behind.
    pub(super) fn call(&mut self, before: u64, last: u64, at: Millis, people: u64, keep_ms: Option<u64>) {
        self.unclaimed += people;
        let calls = if keep_ms.is_some() { &mut self.short } else { &mut self.kept };
        calls.push_back(Call { first: before + 1, last, at, keep_ms, people, unclaimed: people });
    }

    /// Somebody claimed. A late visitor's turn has passed on, and nobody's is used up by it.
    pub(super) fn claimed(&mut self, number: u64) {
        for calls in [&mut self.kept, &mut self.short] {
            let at = calls.partition_point(|call| call.last < number);
            if let Some(call) = calls.get_mut(at).filter(|call| call.first <= number) {
                if call.unclaimed > 0 {
                    call.unclaimed -= 1;
                    self.unclaimed -= 1;
                }
                return;
            }
        }
    }

    /// The next group whose time is over; its turns pass on. `grace_ms`: how long the sale keeps a turn.
    pub(super) fn pass_on(&mut self, now: Millis, grace_ms: u64) -> Option<Matured> {
        for calls in [&mut self.kept, &mut self.short] {
            let Some(call) = calls.front() else { continue };
            let keep_ms = call.keep_ms.unwrap_or(grace_ms);
            if now.since(call.at) >= keep_ms {
                let matured =
                    Matured { at: call.at.plus(keep_ms), called: call.people, came: call.people - call.unclaimed };
                self.unclaimed -= call.unclaimed;
                calls.pop_front();
                return Some(matured);
            }
        }
        None
    }

    /// The first number whose turn has not passed on; `frontier` is the last one called.
    pub(super) fn open_from(&self, frontier: u64) -> u64 {
        let first = |calls: &VecDeque<Call>| calls.front().map_or(frontier + 1, |call| call.first);
        first(&self.kept).min(first(&self.short))
    }

    /// People who have been called and have not come, as of the last [`Turns::pass_on`].
    pub(super) const fn unclaimed(&self) -> u64 {
        self.unclaimed
    }

    /// Bytes of memory it takes.
    pub(super) fn bytes(&self) -> usize {
        (self.kept.capacity() + self.short.capacity()) * size_of::<Call>()
    }
}
