//! Classes as the line's log tells them: who redeemed which code, up to where each class is called.
//!
//! The log itself gives out the numbers of classes, one with each redemption. So Redis knows nothing of them, losing it costs nobody of a
//! class anything, and there are no gaps. What a code was used for is decided here and nowhere else.

use std::collections::{HashMap, HashSet};

use domain::code::CodeHash;
use domain::limits::{MAX_CLASSES, MAX_REDEEMED, MAX_REDEEMED_ENTRY};
use domain::number::{Class, class_of, number, place_in};
use domain::{ClassCall, Redeemed, VisitorHash};

use super::bits::Bits;
use super::turns::Turns;

/// Why an entry cannot follow in these classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadClass {
    /// There is no such class, or too many at once.
    #[error("a class that no sale has, or more redemptions than an entry takes")]
    Unknown,
    /// A code was used more often than it may be.
    #[error("a code is used once more than it may be")]
    UsedUp,
    /// A visitor got a second place by code.
    #[error("a visitor gets a second place in a class")]
    Twice,
    /// Its frontier went back, or beyond those who are in it.
    #[error("a class is called back, or beyond its last place")]
    Called,
}

/// One class.
#[derive(Clone, Debug, Default)]
pub(super) struct Track {
    /// Places given out.
    pub(super) issued: u64,
    /// Places up to here may enter.
    pub(super) frontier: u64,
    /// Places that were ever granted.
    pub(super) used: Bits,
    pub(super) turns: Turns,
}

/// All classes.
///
/// Memory: some 60 bytes per redemption for the visitor and as many for a code that one visitor used.
#[derive(Clone, Debug, Default)]
pub struct Classes {
    /// By class, without everybody.
    tracks: Vec<Track>,
    /// Whole numbers by visitor.
    members: HashMap<VisitorHash, u64>,
    uses: HashMap<CodeHash, u32>,
}

impl Classes {
    /// Whether an entry may say this: first the redemptions, then the calls.
    pub(super) fn check(&self, redeemed: &[Redeemed], calls: &[ClassCall]) -> Result<(), BadClass> {
        let mut new: HashMap<CodeHash, u32> = HashMap::new();
        let (mut visitors, mut more) = (HashSet::new(), [0_u64; MAX_CLASSES + 1]);
        let all = self.members.len() + redeemed.len();
        if redeemed.len() > MAX_REDEEMED_ENTRY || all > MAX_REDEEMED {
            return Err(BadClass::Unknown);
        }
        for one in redeemed {
            let count = more.get_mut(usize::from(one.class)).filter(|_| one.class > 0).ok_or(BadClass::Unknown)?;
            *count += 1;
            if self.members.contains_key(&one.visitor) || !visitors.insert(one.visitor) {
                return Err(BadClass::Twice);
            }
            let before = new.entry(one.code).or_insert_with(|| self.uses_of(&one.code));
            if *before >= one.uses {
                return Err(BadClass::UsedUp);
            }
            *before += 1;
        }
        let rising = calls.windows(2).all(|pair| pair[0].class < pair[1].class);
        for call in calls {
            let more =
                more.get(usize::from(call.class)).filter(|_| rising && call.class > 0).ok_or(BadClass::Unknown)?;
            let (issued, frontier) = (self.issued(call.class) + more, self.frontier(call.class));
            if call.frontier < frontier || call.frontier > issued {
                return Err(BadClass::Called);
            }
        }
        Ok(())
    }

    /// Folds redemptions that were checked.
    pub(super) fn redeem(&mut self, redeemed: &[Redeemed]) {
        for one in redeemed {
            let track = self.track_mut(one.class);
            track.issued += 1;
            let number = number(one.class, track.issued);
            self.members.insert(one.visitor, number);
            *self.uses.entry(one.code).or_default() += 1;
        }
    }

    /// The class, made when it is first spoken of. One that no sale has was refused before.
    pub(super) fn track_mut(&mut self, class: Class) -> &mut Track {
        let at = usize::from(class.max(1)).min(MAX_CLASSES) - 1;
        if self.tracks.len() <= at {
            self.tracks.resize_with(at + 1, Track::default);
        }
        &mut self.tracks[at]
    }

    pub(super) fn track(&self, class: Class) -> Option<&Track> {
        usize::from(class).checked_sub(1).and_then(|at| self.tracks.get(at))
    }

    pub(super) fn tracks_mut(&mut self) -> impl Iterator<Item = &mut Track> {
        self.tracks.iter_mut()
    }

    /// Whether a number of a class was ever granted.
    pub(super) fn used(&self, number: u64) -> bool {
        self.track(class_of(number)).is_some_and(|track| track.used.contains(place_in(number)))
    }

    /// How many classes somebody has a place in, up to the last such.
    #[must_use]
    pub fn count(&self) -> usize {
        self.tracks.len()
    }

    /// Places given out in a class.
    #[must_use]
    pub fn issued(&self, class: Class) -> u64 {
        self.track(class).map_or(0, |track| track.issued)
    }

    /// Up to which place a class is called.
    #[must_use]
    pub fn frontier(&self, class: Class) -> u64 {
        self.track(class).map_or(0, |track| track.frontier)
    }

    /// People of a class who wait.
    #[must_use]
    pub fn waiting(&self, class: Class) -> u64 {
        self.track(class).map_or(0, |track| track.issued - track.frontier)
    }

    /// The number that this visitor got by a code.
    #[must_use]
    pub fn number_of(&self, visitor: &VisitorHash) -> Option<u64> {
        self.members.get(visitor).copied()
    }

    /// How many visitors have used this code.
    #[must_use]
    pub fn uses_of(&self, code: &CodeHash) -> u32 {
        self.uses.get(code).copied().unwrap_or(0)
    }

    /// Redemptions there ever were.
    #[must_use]
    pub fn redeemed(&self) -> usize {
        self.members.len()
    }

    /// Bytes of memory it takes, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let tracks: usize = self.tracks.iter().map(|track| track.used.bytes() + track.turns.bytes()).sum();
        tracks
            + self.members.capacity() * (size_of::<(VisitorHash, u64)>() + 1)
            + self.uses.capacity() * (size_of::<(CodeHash, u32)>() + 1)
    }
}
