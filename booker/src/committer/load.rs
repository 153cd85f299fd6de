//! Loading an empty Redis from the fold, in guarded chunks (R9).

use domain::{HoldId, VisitorHash};

use super::Committer;
use super::settle::View;

/// A load under way. The fold stays as it is until it ends: every chunk describes the same head.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Load {
    head: u64,
    /// Everything to be written, in an order that only depends on the log: a load can be taken up where it was left.
    ids: Vec<HoldId>,
    visitors: Vec<VisitorHash>,
    stage: Stage,
    /// A step is under way.
    sent: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Stage {
    Begin,
    /// Chunks done so far.
    Chunks(u64),
}

/// The next call of a load. What it carries is read from the fold.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum LoadStep {
    /// Nothing to load, or a step is under way, or a group is being appended.
    Nothing,
    /// Clear the lane and begin.
    Begin {
        /// Head of the fold.
        head: u64,
    },
    /// Write the decided records of these ids and the sums of these visitors.
    Chunk {
        /// Head of the fold.
        head: u64,
        /// Chunks done before.
        n: u64,
        /// Decided ids.
        ids: Vec<HoldId>,
        /// Visitors with bookings.
        visitors: Vec<VisitorHash>,
    },
    /// Open the lane.
    End {
        /// Head of the fold.
        head: u64,
        /// Chunks done.
        n: u64,
    },
}

/// What became of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadAnswer {
    /// Done.
    Done,
    /// The lane is not as expected: look again.
    Refused,
    /// Not executed, or nobody knows: look again.
    Failed,
}

impl Load {
    fn items(&self) -> usize {
        self.ids.len() + self.visitors.len()
    }
}

/// The part of `all`, which begins at place `from` of the whole, that lies in `begin..end` of the whole.
fn part<T: Copy>(all: &[T], from: usize, begin: usize, end: usize) -> Vec<T> {
    let clip = |place: usize| place.saturating_sub(from).min(all.len());
    all.get(clip(begin)..clip(end)).unwrap_or_default().to_vec()
}

impl Committer {
    /// The next step of a load, when Redis is empty. Waits for the append under way: the fold must not move.
    pub fn next_load(&mut self) -> LoadStep {
        if self.flight.is_some() {
            return LoadStep::Nothing;
        }
        if self.settler.view == View::Empty {
            let load = self.load_from(Stage::Begin);
            self.settler.see(View::Loading(load));
        }
        let chunk = self.bounds.load_chunk.max(1);
        let View::Loading(load) = &mut self.settler.view else { return LoadStep::Nothing };
        if std::mem::replace(&mut load.sent, true) {
            return LoadStep::Nothing;
        }
        let head = load.head;
        match load.stage {
            Stage::Begin => LoadStep::Begin { head },
            Stage::Chunks(n) => {
                let begin = usize::try_from(n).unwrap_or(usize::MAX).saturating_mul(chunk);
                if begin >= load.items() {
                    return LoadStep::End { head, n };
                }
                let end = begin.saturating_add(chunk);
                let ids = part(&load.ids, 0, begin, end);
                let visitors = part(&load.visitors, load.ids.len(), begin, end);
                LoadStep::Chunk { head, n, ids, visitors }
            }
        }
    }

    /// What became of the step under way.
    pub fn load_answer(&mut self, step: &LoadStep, answer: LoadAnswer) {
        let View::Loading(load) = &mut self.settler.view else { return };
        load.sent = false;
        if answer != LoadAnswer::Done {
            self.settler.see(View::Unknown);
            return;
        }
        match step {
            LoadStep::Nothing => {}
            LoadStep::Begin { .. } => load.stage = Stage::Chunks(0),
            LoadStep::Chunk { n, .. } => load.stage = Stage::Chunks(n + 1),
            LoadStep::End { head, .. } => {
                let head = *head;
                self.settler.see(View::Loaded(head));
                self.settler.sums_from(&self.fold);
            }
        }
    }

    /// Goes on with a load of this committer that was interrupted after `chunks` chunks.
    pub(super) fn resume_load(&mut self, chunks: u64) {
        let load = self.load_from(Stage::Chunks(chunks));
        self.settler.see(View::Loading(load));
    }

    fn load_from(&self, stage: Stage) -> Load {
        let mut ids: Vec<HoldId> = self.fold.all_decided().map(|(id, _)| *id).collect();
        let counts = |sum: &crate::fold::VisitorSum| sum.units > 0 || sum.done.is_some();
        let mut visitors: Vec<VisitorHash> =
            self.fold.visitors().filter(|(_, sum)| counts(sum)).map(|(visitor, _)| *visitor).collect();
        ids.sort_unstable();
        visitors.sort_unstable();
        Load { head: self.fold.head(), ids, visitors, stage, sent: false }
    }
}
