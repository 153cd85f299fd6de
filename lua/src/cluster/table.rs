//! Which master has which slot: read from what the nodes say, without I/O.
//!
//! Every node knows about every slot what it was told last. Per slot the claim with the highest config epoch counts, the
//! owner's own word before hearsay: a master that was frozen while the others elected another claims with an older epoch.

use std::collections::BTreeMap;

use domain::limits::MAX_REDIS_NODES;

use crate::access::Address;
use crate::key::SLOTS;

/// A slot that nobody claims.
const NOBODY: u16 = u16::MAX;

/// A node of the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Member {
    pub(crate) address: Address,
    pub(crate) master: bool,
    /// It answered when it was asked last, and no other one says that it failed.
    pub(crate) up: bool,
    failed: bool,
}

/// A master with slots.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Owner {
    address: Address,
    epoch: u64,
}

/// Who has which slot, and all nodes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Table {
    slots: Box<[u16]>,
    owners: Vec<Owner>,
    pub(crate) members: Vec<Member>,
}

/// What one node answered to CLUSTER NODES.
pub(crate) struct Answer {
    /// As it was asked.
    pub(crate) from: Address,
    pub(crate) text: String,
}

/// One line of an answer.
struct Line<'a> {
    address: Address,
    myself: bool,
    master: bool,
    failed: bool,
    epoch: u64,
    slots: Vec<&'a str>,
}

/// `id host:port@bus,name flags master ping pong epoch link slot slot-slot [slot->-id] ...`
fn line<'a>(text: &'a str, from: &Address) -> Option<Line<'a>> {
    let mut words = text.split(' ').skip(1);
    let (place, flags) = (words.next()?, words.next()?);
    let epoch = words.nth(3)?.parse().ok()?;
    let slots = words.skip(1).filter(|word| !word.starts_with('[')).collect();
    let place = place.split(['@', ',']).next()?;
    let has = |flag| flags.split(',').any(|word| word == flag);
    if has("noaddr") || has("handshake") {
        return None;
    }
    let (host, port) = place.rsplit_once(':')?;
    // A node that nobody has met yet does not know its own address.
    let host = if host.is_empty() { from.host.clone() } else { host.to_owned() };
    let address = Address { host, port: port.parse().ok().filter(|port| *port != 0)? };
    Some(Line { address, myself: has("myself"), master: has("master"), failed: has("fail"), epoch, slots })
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last < SLOTS).then_some(first..=last)
}

impl Table {
    /// Nobody has been asked.
    pub(crate) fn empty() -> Self {
        Self { slots: vec![NOBODY; usize::from(SLOTS)].into(), owners: vec![], members: vec![] }
    }

    /// What the answers say together. When less than half of the nodes answered, what was known before counts as one more
    /// answer: a minority that was cut off must not take slots back.
    pub(crate) fn learn(&self, answers: &[Answer]) -> Self {
        let mut next = Self::empty();
        let mut sure = vec![false; usize::from(SLOTS)];
        for answer in answers {
            for line in answer.text.lines().filter_map(|text| line(text, &answer.from)) {
                next.note(&line);
                if !line.master || line.slots.is_empty() {
                    continue;
                }
                let owner = next.owner_number(&line.address, line.epoch);
                for slot in line.slots.iter().filter_map(|text| range(text)).flatten() {
                    next.claim(slot, owner, line.myself, &mut sure);
                }
            }
        }
        if answers.len() * 2 < self.members.len() {
            for slot in 0..SLOTS {
                let known = self.slots.get(usize::from(slot)).and_then(|owner| self.owners.get(usize::from(*owner)));
                if let Some(known) = known {
                    let owner = next.owner_number(&known.address, known.epoch);
                    next.claim(slot, owner, false, &mut sure);
                }
            }
            for member in &self.members {
                if !next.members.iter().any(|known| known.address == member.address) {
                    next.members.push(Member { up: false, ..member.clone() });
                }
            }
        }
        next.tidy();
        next
    }

    fn note(&mut self, line: &Line<'_>) {
        let new = || Member { address: line.address.clone(), master: line.master, up: false, failed: false };
        let known = self.members.iter().position(|member| member.address == line.address);
        if known.is_none() && self.members.len() < MAX_REDIS_NODES {
            self.members.push(new());
        }
        let place = known.unwrap_or(self.members.len() - 1);
        let Some(member) = self.members.get_mut(place).filter(|member| member.address == line.address) else { return };
        member.failed |= line.failed;
        if line.myself {
            (member.up, member.master) = (true, line.master);
        }
    }

    fn owner_number(&mut self, address: &Address, epoch: u64) -> u16 {
        let found = self.owners.iter().position(|owner| owner.address == *address && owner.epoch == epoch);
        let number = found.unwrap_or_else(|| {
            self.owners.push(Owner { address: address.clone(), epoch });
            self.owners.len() - 1
        });
        u16::try_from(number).unwrap_or(NOBODY)
    }

    fn claim(&mut self, slot: u16, owner: u16, own_word: bool, sure: &mut [bool]) {
        let epoch = |owner: u16| self.owners.get(usize::from(owner)).map(|owner| owner.epoch);
        let slot = usize::from(slot);
        let (Some(holder), Some(sure)) = (self.slots.get(slot).copied(), sure.get_mut(slot)) else { return };
        let (new, old) = (epoch(owner), epoch(holder));
        if new > old || (new == old && own_word && !*sure) {
            *sure = own_word;
            if let Some(holder) = self.slots.get_mut(slot) {
                *holder = owner;
            }
        }
    }

    /// Drops owners that lost all slots and sorts the rest, so that equal knowledge makes an equal table.
    fn tidy(&mut self) {
        self.members.sort_by(|one, other| one.address.cmp(&other.address));
        for member in &mut self.members {
            member.up &= !member.failed;
        }
        let mut kept: BTreeMap<Address, (u16, u64)> = BTreeMap::new();
        for owner in self.slots.iter().filter_map(|owner| self.owners.get(usize::from(*owner))) {
            let entry = kept.entry(owner.address.clone()).or_insert((0, owner.epoch));
            entry.1 = entry.1.max(owner.epoch);
        }
        for (place, number) in kept.values_mut().zip(0..) {
            place.0 = number;
        }
        for slot in &mut self.slots {
            let owner = self.owners.get(usize::from(*slot)).and_then(|owner| kept.get(&owner.address));
            *slot = owner.map_or(NOBODY, |(number, _)| *number);
        }
        self.owners = kept.into_iter().map(|(address, (_, epoch))| Owner { address, epoch }).collect();
    }

    /// The number of a slot's owner among [`Table::owners`].
    pub(crate) fn owner(&self, slot: u16) -> Option<usize> {
        let owner = self.slots.get(usize::from(slot)).copied().filter(|owner| *owner != NOBODY)?;
        Some(usize::from(owner))
    }

    /// Masters that have slots.
    pub(crate) fn owners(&self) -> impl Iterator<Item = &Address> {
        self.owners.iter().map(|owner| &owner.address)
    }

    pub(crate) fn is_up(&self, address: &Address) -> bool {
        self.members.iter().any(|member| member.up && member.address == *address)
    }

    /// Slots that nobody claims: how many, and the first one.
    pub(crate) fn unassigned(&self) -> (u16, Option<u16>) {
        self.count(|owner| owner.is_none())
    }

    /// Slots that nobody claims, or whose owner is down: how many, and the first one.
    pub(crate) fn unserved(&self) -> (u16, Option<u16>) {
        let up: Vec<bool> = self.owners().map(|address| self.is_up(address)).collect();
        self.count(|owner| !owner.and_then(|owner| up.get(owner)).copied().unwrap_or(false))
    }

    fn count(&self, counts: impl Fn(Option<usize>) -> bool) -> (u16, Option<u16>) {
        let mut found = (0..SLOTS).filter(|slot| counts(self.owner(*slot)));
        let first = found.next();
        (u16::from(first.is_some()) + found.fold(0, |sum, _| sum + 1), first)
    }
}

#[cfg(test)]
#[path = "table_test.rs"]
mod tests;
