//! A hold's record, as one text in the hash of holds.

use domain::fault::Life;
use domain::state::HoldState;
use domain::{Fingerprint, ItemId, Lines, Millis, RefuseReason, VisitorHash};

use crate::error::CallError;

/// Written where a request's content is not known: a refused hold after a load, a confirm of a hold that Redis lost.
/// Such a record never makes a repeated hold `KeyReused`.
pub const NO_FINGERPRINT: Fingerprint = Fingerprint([0; 8]);

/// Everything Redis knows about one hold.
///
/// In Redis: state (1 letter), visitor (16 bytes), fingerprint (8 bytes), deadline (13 digits), then
/// `pass;seq;at;why;lines` as text, lines as `item=units,item=units`. State, visitor and deadline stand at fixed places so
/// that a script changes a state without taking the record apart.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Record {
    /// Where it stands.
    pub state: HoldState,
    /// Whose it is.
    pub visitor: VisitorHash,
    /// Redis' clock at which a held or paying one ends unless faults extend it, at which a released one was to end; zero in every
    /// other state.
    pub deadline: Millis,
    /// What the request asked for, or [`NO_FINGERPRINT`].
    pub fp: Fingerprint,
    /// Pass it was made with.
    pub pass: Option<u64>,
    /// Units it claims or has booked; what it had claimed, once released, refused or cancelled. None: nothing is known.
    pub lines: Lines,
    /// Event that decided it; 0 while undecided.
    pub seq: u64,
    /// Time of that event by its writer's clock; while undecided, when it was held by Redis' clock, zero where nobody knows.
    pub at: Millis,
    /// Why it was refused.
    pub why: Option<RefuseReason>,
}

/// Where the text after the deadline begins.
const REST: usize = 1 + 16 + 8 + 13;
/// The largest deadline that has 13 digits (year 2286).
pub(crate) const MAX_DEADLINE: u64 = 9_999_999_999_999;

/// The letter of a state in a record.
pub(crate) const fn letter(state: HoldState) -> u8 {
    match state {
        HoldState::Held => b'h',
        HoldState::Paying => b'p',
        HoldState::Confirming => b'c',
        HoldState::Sold => b's',
        HoldState::Refused => b'r',
        HoldState::Released => b'e',
        HoldState::Cancelled => b'x',
    }
}

fn state_of(letter_read: u8) -> Option<HoldState> {
    HoldState::ALL.into_iter().find(|state| letter(*state) == letter_read)
}

const WHY: [RefuseReason; 4] = [RefuseReason::Gone, RefuseReason::SoldOut, RefuseReason::Limit, RefuseReason::PassUsed];

/// `item=units,item=units` in order of the items' ids.
pub(crate) fn lines_text(lines: &Lines) -> String {
    let mut text = String::new();
    for (item, units) in lines.iter() {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(item.as_str());
        text.push('=');
        text.push_str(&units.to_string());
    }
    text
}

fn read_lines(text: &str) -> Option<Lines> {
    let mut lines = Lines::none();
    for line in text.split(',').filter(|line| !line.is_empty()) {
        let (item, units) = line.split_once('=')?;
        let item: ItemId = item.parse().ok()?;
        if !lines.add(item, units.parse().ok()?) {
            return None;
        }
    }
    Some(lines)
}

/// A number, zero for nothing.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() { Some(0) } else { text.parse().ok() }
}

impl Record {
    /// Its life as it was given, while it is held or paying. Of a record that does not say since when it is held no fault counts
    /// that was over before its deadline.
    #[must_use]
    pub fn life(&self) -> Option<Life> {
        let lives = matches!(self.state, HoldState::Held | HoldState::Paying);
        let given = if self.at == Millis(0) { self.deadline } else { self.at };
        lives.then_some(Life { given, expires: self.deadline })
    }

    /// `seq;at;why` of the event that decided it; while undecided `;at;` with the time since when it is held, or `;;`.
    pub(crate) fn decision_text(&self) -> String {
        match (self.seq, self.at.0) {
            (0, 0) => return ";;".to_owned(),
            (0, held) => return format!(";{held};"),
            _ => {}
        }
        format!("{};{};{}", self.seq, self.at.0, self.why.map_or("", RefuseReason::as_str))
    }

    /// Reads a record as the scripts write it.
    ///
    /// # Errors
    /// [`CallError::Broken`] when it is not readable.
    pub fn decode(bytes: &[u8]) -> Result<Self, CallError> {
        Self::read(bytes).ok_or_else(|| CallError::broken("a hold's record that is not readable"))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(REST)?;
        let mut fields = std::str::from_utf8(rest).ok()?.splitn(5, ';');
        let mut next = || fields.next();
        let (pass, seq, at, why, lines) = (next()?, next()?, next()?, next()?, next()?);
        Some(Self {
            state: state_of(*head.first()?)?,
            visitor: VisitorHash(head.get(1..17)?.try_into().ok()?),
            fp: Fingerprint(head.get(17..25)?.try_into().ok()?),
            deadline: Millis(std::str::from_utf8(head.get(25..38)?).ok()?.parse().ok()?),
            pass: if pass.is_empty() { None } else { Some(pass.parse().ok()?) },
            seq: number(seq)?,
            at: Millis(number(at)?),
            why: if why.is_empty() { None } else { Some(WHY.into_iter().find(|reason| reason.as_str() == why)?) },
            lines: read_lines(lines)?,
        })
    }

    /// Writes a record as the scripts write it.
    #[cfg(feature = "model")]
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![letter(self.state)];
        bytes.extend_from_slice(&self.visitor.0);
        bytes.extend_from_slice(&self.fp.0);
        let pass = self.pass.map_or(String::new(), |pass| pass.to_string());
        let rest = format!("{:013}{pass};{};{}", self.deadline.0, self.decision_text(), lines_text(&self.lines));
        bytes.extend_from_slice(rest.as_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn record() -> Record {
        Record {
            state: HoldState::Refused,
            visitor: VisitorHash(*b";;;;;;;;\0\xff456789"),
            deadline: Millis(0),
            fp: Fingerprint(*b"=,;\0abcd"),
            pass: Some(17),
            lines: [("standing".parse().unwrap(), 2), ("vip".parse().unwrap(), 1)].into_iter().collect(),
            seq: 9,
            at: Millis(1_730_000_000_000),
            why: Some(RefuseReason::SoldOut),
        }
    }

    #[test]
    fn a_record_reads_back_whatever_bytes_its_visitor_has() {
        let decided = record();
        let held = Record {
            state: HoldState::Held,
            deadline: Millis(1_730_000_000_000),
            pass: None,
            seq: 0,
            at: Millis(1_729_999_700_000),
            why: None,
            ..record()
        };
        let empty = Record { lines: Lines::none(), fp: NO_FINGERPRINT, ..record() };
        let held_before_that_was_written = Record { at: Millis(0), ..held.clone() };
        for record in [decided, held, held_before_that_was_written, empty] {
            assert_eq!(Record::decode(&record.encode()).unwrap(), record);
        }
    }

    #[test]
    fn a_damaged_record_is_an_error() {
        let good = record().encode();
        for cut in 0..REST + 20 {
            assert!(Record::decode(&good[..cut]).is_err(), "{cut}");
        }
        let mut wrong_state = good;
        wrong_state[0] = b'?';
        assert!(Record::decode(&wrong_state).is_err());
    }

    #[test]
    fn every_state_has_its_own_letter() {
        let letters: std::collections::BTreeSet<u8> = HoldState::ALL.into_iter().map(letter).collect();
        assert_eq!(letters.len(), HoldState::ALL.len());
    }
}
