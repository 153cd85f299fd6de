//! Plans of faults: a pure function of a seed.

use std::fmt;
use std::time::Duration;

/// Numbers from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `most`.
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    fn among<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

/// A way between two parts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Between {
    /// Visitors and one process.
    Visitors,
    /// One process and Redis.
    Redis,
    /// All processes and Redis.
    AllRedis,
    /// The other processes and what one process owns.
    Others,
}

/// The kinds of faults.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// A way that delays each piece.
    Slow(Between),
    /// A way that closes every connection.
    Cut(Between),
    /// A way that moves no byte and closes nothing; what was under way arrives afterwards.
    Silent(Between),
    /// A way that carries requests and drops their answers.
    Deaf(Between),
    /// A way of few bytes a second.
    Narrow(Between),
    /// kill -9 of a process; it is started again.
    KillProcess,
    /// SIGSTOP of a process, SIGCONT later.
    PauseProcess,
    /// The same while an append is under way that gets through meanwhile.
    PauseInAppend,
    /// kill -9 of Redis; it is started on what its file has.
    KillRedis,
    /// SIGSTOP of Redis, SIGCONT later: it then carries out what lies in its sockets.
    PauseRedis,
    /// Redis comes back with an older copy of its file.
    ShortRedis,
    /// A replica that lags becomes the master.
    FailOver,
    /// FLUSHALL.
    Flush,
    /// FLUSHALL while a process is paused: another owner loads the lanes under a new epoch, then the old one wakes up.
    FlushAsleep,
    /// Somebody adds units to Redis by hand.
    Edit,
    /// The leases are given to somebody else while their owners live.
    StealLease,
    /// The ledger takes nothing.
    LedgerAway,
    /// The ledger takes something now and then.
    LedgerSlow,
    /// No file that a process writes can grow, its ledger's among them.
    ProcessDiskFull,
    /// No file that Redis writes can grow.
    RedisDiskFull,
    /// kill -9 of one of the ledger's nodes; it is started again.
    KillNode,
    /// SIGSTOP of one of the ledger's nodes, SIGCONT later.
    PauseNode,
}

impl Kind {
    /// Everything that can be done to processes on one Redis and the embedded ledger.
    pub(crate) const ALL: [Self; 35] = [
        Self::Slow(Between::Visitors),
        Self::Cut(Between::Visitors),
        Self::Silent(Between::Visitors),
        Self::Deaf(Between::Visitors),
        Self::Narrow(Between::Visitors),
        Self::Slow(Between::Redis),
        Self::Cut(Between::Redis),
        Self::Silent(Between::Redis),
        Self::Deaf(Between::Redis),
        Self::Narrow(Between::Redis),
        Self::Slow(Between::AllRedis),
        Self::Cut(Between::AllRedis),
        Self::Silent(Between::AllRedis),
        Self::Deaf(Between::AllRedis),
        Self::Narrow(Between::AllRedis),
        Self::Slow(Between::Others),
        Self::Cut(Between::Others),
        Self::Silent(Between::Others),
        Self::Deaf(Between::Others),
        Self::Narrow(Between::Others),
        Self::KillProcess,
        Self::PauseProcess,
        Self::PauseInAppend,
        Self::KillRedis,
        Self::PauseRedis,
        Self::ShortRedis,
        Self::FailOver,
        Self::Flush,
        Self::FlushAsleep,
        Self::Edit,
        Self::StealLease,
        Self::LedgerAway,
        Self::LedgerSlow,
        Self::ProcessDiskFull,
        Self::RedisDiskFull,
    ];

    /// What a sample on Apache Cassandra takes: faults of the ledger, and a committer that is taken for dead.
    pub(crate) const ON_CASSANDRA: [Self; 5] =
        [Self::KillNode, Self::PauseNode, Self::LedgerAway, Self::PauseInAppend, Self::PauseProcess];

    /// Milliseconds it may last, at least and at most. Zero: it is over when it is done.
    const fn lasts(self) -> (u64, u64) {
        match self {
            Self::Slow(_) | Self::Deaf(_) | Self::Narrow(_) | Self::Cut(_) => (300, 1_500),
            Self::Silent(_) => (300, 2_500),
            Self::KillProcess => (0, 1_500),
            Self::PauseProcess => (500, 10_000),
            Self::FlushAsleep => (2_000, 5_000),
            Self::PauseInAppend => (5_500, 7_000),
            Self::PauseRedis => (300, 6_000),
            Self::ShortRedis | Self::FailOver => (100, 900),
            Self::LedgerAway => (500, 5_000),
            Self::KillNode => (500, 3_000),
            Self::PauseNode => (1_000, 8_000),
            Self::LedgerSlow | Self::ProcessDiskFull | Self::RedisDiskFull => (500, 3_000),
            Self::KillRedis | Self::Flush | Self::Edit | Self::StealLease => (0, 1),
        }
    }

    /// Whether what visitors hold may be gone afterwards.
    pub(crate) const fn forgets(self) -> bool {
        matches!(self, Self::KillRedis | Self::ShortRedis | Self::FailOver | Self::Flush | Self::FlushAsleep)
    }
}

/// One fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    /// After service was seen.
    pub(crate) after: Duration,
    pub(crate) kind: Kind,
    pub(crate) lasts: Duration,
    /// Which of the processes, where it is one: modulo their number. [`OWNER`]: whoever owns the first lane then.
    pub(crate) whom: u64,
}

impl Step {
    /// Whether another process has to take over the first lane.
    pub(crate) fn ends_a_tenure(&self) -> bool {
        self.whom == OWNER && matches!(self.kind, Kind::PauseProcess | Kind::KillProcess | Kind::Silent(_))
    }
}

/// See [`Step::whom`].
pub(crate) const OWNER: u64 = u64::MAX;

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} for {:?}", self.kind, self.lasts)?;
        if self.whom == OWNER { f.write_str(" (the owner)") } else { write!(f, " (process {})", self.whom) }
    }
}

/// `faults` faults of these kinds. Every kind comes before any comes again, so that a short plan is no matter of luck.
pub(crate) fn plan(seed: u64, kinds: &[Kind], faults: usize) -> Vec<Step> {
    let mut dice = Dice::new(seed);
    let mut bag: Vec<Kind> = Vec::new();
    (0..faults)
        .map(|_| {
            if bag.is_empty() {
                bag = kinds.to_vec();
            }
            let at = usize::try_from(dice.below(bag.len() as u64)).unwrap();
            let kind = bag.swap_remove(at);
            let (least, most) = kind.lasts();
            // Short ones more often than long ones.
            let lasts = least + dice.below(most - least).min(dice.below(most - least));
            let after = dice.among(&[0, 0, 50, 200, 500]);
            let whom = dice.below(8);
            Step { after: Duration::from_millis(after), kind, lasts: Duration::from_millis(lasts), whom }
        })
        .collect()
}

#[test]
fn a_plan_is_a_pure_function_of_its_seed_and_leaves_no_kind_out() {
    assert_eq!(plan(7, &Kind::ALL, 100), plan(7, &Kind::ALL, 100));
    assert_ne!(plan(7, &Kind::ALL, 100), plan(8, &Kind::ALL, 100));
    for seed in 0..50 {
        let kinds: std::collections::BTreeSet<Kind> =
            plan(seed, &Kind::ALL, Kind::ALL.len()).iter().map(|step| step.kind).collect();
        assert_eq!(kinds.len(), Kind::ALL.len());
    }
}
