//! The owner's part in the lobby: receipts that wait for the log, the closing, the draw. No I/O, no clock.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use domain::limits::{MAX_LOBBY, MAX_RECEIPTS};
use domain::{LobbyEvent, SaleId, VisitorHash};

use super::super::handle::Came;
use super::super::rules::Rules;
use super::{Answer, LineError, say};
use crate::draw::{Places, Seed};
use crate::fold::LineFold;
use crate::lobby::Order;

/// A visitor on the way into the log, and who waits for the receipt: one, or several tabs.
pub(crate) type Coming = (VisitorHash, Vec<Answer<Came>>);

/// The lobby as its owner keeps it.
#[derive(Debug)]
pub(crate) struct Hall {
    sale: SaleId,
    seed: Seed,
    coming: Vec<Coming>,
    /// Where a visitor stands in `coming`.
    by_visitor: HashMap<VisitorHash, usize>,
    /// The order, computed and not yet logged, with the public value it follows from.
    ready: Option<(Option<String>, Arc<Places>)>,
}

/// What an entry says of the lobby, and what it brings with it.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) event: LobbyEvent,
    pub(crate) coming: Vec<Coming>,
    places: Option<Arc<Places>>,
}

impl Hall {
    pub(crate) fn new(sale: SaleId, seed: Seed) -> Self {
        Self { sale, seed, coming: Vec::new(), by_visitor: HashMap::new(), ready: None }
    }

    /// Whether the log's commitment is of another seed: then this process has other keys than the one before, and must not draw.
    pub(crate) fn has_other_keys(&self, fold: &LineFold) -> bool {
        fold.lobby().commitment().is_some_and(|commitment| *commitment != self.seed.commitment())
    }

    /// Whether receipts wait for the log: they came before the opening, and the lobby closes behind them.
    pub(crate) fn is_waited_for(&self) -> bool {
        !self.coming.is_empty()
    }

    /// A visitor comes before the opening. Answered from the log, or by the next entry. Returns whether an answer is owed.
    pub(crate) fn come(&mut self, fold: &LineFold, visitor: VisitorHash, answer: Answer<Came>) -> bool {
        if let Some(index) = fold.lobby().index_of(&visitor) {
            say(answer, Ok(Came { index, new: false }));
        } else if !fold.lobby().is_open(fold.numbers_to()) {
            say(answer, Err(LineError::NotOpen));
        } else if self.has_other_keys(fold) {
            say(answer, Err(LineError::Unavailable));
        } else if fold.lobby().count() + self.coming.len() as u64 >= u64::from(MAX_LOBBY) {
            say(answer, Err(LineError::Busy));
        } else {
            self.add(visitor, answer);
            return true;
        }
        false
    }

    fn add(&mut self, visitor: VisitorHash, answer: Answer<Came>) {
        match self.by_visitor.entry(visitor) {
            Entry::Occupied(at) => {
                if let Some((_, answers)) = self.coming.get_mut(*at.get()) {
                    answers.push(answer);
                }
            }
            Entry::Vacant(at) => {
                at.insert(self.coming.len());
                self.coming.push((visitor, vec![answer]));
            }
        }
    }

    /// What the next entry says of the lobby: those who came go first, also when the sale opens meanwhile; then it closes, then
    /// it is drawn. `owed` loses the answers that the fold gives by itself.
    pub(crate) fn step(&mut self, fold: &mut LineFold, rules: &Rules, owed: &mut usize) -> Option<Step> {
        if self.is_waited_for() {
            let coming = self.take(fold, owed);
            if !coming.is_empty() {
                let commitment = fold.lobby().commitment().is_none().then(|| self.seed.commitment());
                let receipts = coming.iter().map(|(visitor, _)| *visitor).collect();
                return Some(Step { event: LobbyEvent::Came { commitment, receipts }, coming, places: None });
            }
        }
        let count = fold.lobby().count();
        if !rules.is_on() || count == 0 || self.has_other_keys(fold) {
            return None;
        }
        if fold.lobby().closed().is_none() {
            let root = fold.lobby_mut().root(&self.sale);
            return Some(Step { event: LobbyEvent::Closed { count, root }, coming: Vec::new(), places: None });
        }
        if fold.lobby().drawn().is_some() {
            return None;
        }
        let (public_value, places) = self.ready.clone()?;
        let event = LobbyEvent::Drawn { seed: domain::Digest(self.seed.0), public_value };
        Some(Step { event, coming: Vec::new(), places: Some(places) })
    }

    /// Those who came, as many as an entry takes. An append before may have brought in one of them: the fold answers.
    fn take(&mut self, fold: &LineFold, owed: &mut usize) -> Vec<Coming> {
        let count = self.coming.len().min(MAX_RECEIPTS);
        let mut coming: Vec<Coming> = self.coming.drain(..count).collect();
        self.by_visitor.clear();
        self.by_visitor.extend(self.coming.iter().enumerate().map(|(at, (visitor, _))| (*visitor, at)));
        *owed -= coming.iter().map(|(_, answers)| answers.len()).sum::<usize>();
        coming.retain_mut(|(visitor, answers)| match fold.lobby().index_of(visitor) {
            Some(index) => {
                answers.drain(..).for_each(|answer| say(answer, Ok(Came { index, new: false })));
                false
            }
            None => true,
        });
        coming
    }

    /// The log has the entry: answers those who came, and lets the order count.
    pub(crate) fn appended(&mut self, fold: &mut LineFold, step: Step) {
        for (visitor, answers) in step.coming {
            let index = fold.lobby().index_of(&visitor);
            for (n, answer) in answers.into_iter().enumerate() {
                say(answer, index.map(|index| Came { index, new: n == 0 }).ok_or(LineError::Unavailable));
            }
        }
        // Hashed as they come, so that closing does not take long.
        fold.lobby_mut().root(&self.sale);
        if let Some(places) = step.places {
            fold.lobby_mut().set_places(places);
            self.ready = None;
        }
    }

    /// The draw that has to be computed now, if any: it takes too long for the owner's own thread.
    pub(crate) fn to_draw(&self, fold: &LineFold, rules: &Rules) -> Option<Order> {
        let lobby = fold.lobby();
        if !rules.is_on() || lobby.drawn().is_some() || self.ready.is_some() || self.has_other_keys(fold) {
            return None;
        }
        let public_value = match &rules.room.public_value {
            None => None,
            // Named, and not there yet: the draw waits.
            Some(public) => Some(public.value.clone()?),
        };
        lobby.order(self.seed, public_value)
    }

    /// The draw that [`Hall::to_draw`] asked for.
    pub(crate) fn drawn(&mut self, order: Order, places: Places) {
        self.ready = Some((order.public_value, Arc::new(places)));
    }

    /// Answers everybody who waits.
    pub(crate) fn close(&mut self, error: LineError) {
        self.by_visitor.clear();
        self.coming.drain(..).flat_map(|(_, answers)| answers).for_each(|answer| say(answer, Err(error)));
    }
}
