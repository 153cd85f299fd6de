//! The logs, folded for the audit alone: nothing is refused here, everything odd is noted.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::event::{Event, WITHDRAWN};
use domain::{Act, HoldId, ItemId, LaneEvent, LineEvent, Lines, LogId, SaleEvent, SaleId, VisitorHash, id::sale_tag};
use ledger::Ledger;

use crate::failure::Failure;
use crate::stores::ledger_failure;

/// Reads what follows `after` and hands each event to `visit`; text that is no event of this kind is noted.
async fn each<E: Event>(
    ledger: &Ledger,
    log: &LogId,
    after: u64,
    odd: &mut Vec<String>,
    mut visit: impl FnMut(u64, E) + Send,
) -> Result<u64, Failure> {
    let mut last = after;
    let reading = ledger.read_all(log, after, |entry| {
        if entry.seq != last + 1 {
            odd.push(format!("{log}: event {} follows event {last}", entry.seq));
        }
        last = entry.seq;
        match E::decode(&entry.event) {
            Ok(event) => visit(entry.seq, event),
            Err(error) => odd.push(format!("{log}:{}: {error}", entry.seq)),
        }
    });
    reading.await.map_err(ledger_failure)?;
    Ok(last)
}

/// The sale's log.
pub(super) struct SaleTruth {
    pub(super) lanes: u16,
    pub(super) room: bool,
    /// Units each act gave out, by its seq.
    pub(super) acts: BTreeMap<u64, BTreeMap<ItemId, u64>>,
    /// Units each withdrawal was for, and how many are recorded to have left, by its seq.
    pub(super) withdrawals: BTreeMap<u64, (ItemId, u64, Option<u64>)>,
    /// The largest limit per visitor there ever was; `None`: there was a time without.
    pub(super) limit: Option<u32>,
    pub(super) events: u64,
    pub(super) odd: Vec<String>,
}

impl SaleTruth {
    pub(super) async fn read(ledger: &Ledger, sale: &SaleId) -> Result<Self, Failure> {
        let mut truth = Self {
            lanes: 0,
            room: false,
            acts: BTreeMap::new(),
            withdrawals: BTreeMap::new(),
            limit: Some(0),
            events: 0,
            odd: Vec::new(),
        };
        let mut odd = Vec::new();
        let log = LogId::sale(sale);
        truth.events = each(ledger, &log, 0, &mut odd, |seq, event: SaleEvent| {
            let stock = event.act.stock();
            if !stock.is_empty() {
                truth.acts.insert(seq, stock);
            }
            match event.act {
                Act::Define { doc, .. } => {
                    truth.lanes = doc.lanes;
                    truth.room = doc.room().is_some();
                    truth.limit = truth.limit.zip(doc.units_per_visitor).map(|(known, new)| known.max(new));
                }
                Act::Withdraw { item, units, .. } => drop(truth.withdrawals.insert(seq, (item, units, None))),
                Act::Withdrawn { of, units } => {
                    if let Some(open) = truth.withdrawals.get_mut(&of) {
                        open.2 = Some(units);
                    }
                }
                _ => {}
            }
        })
        .await?;
        truth.odd = odd;
        if truth.events == 0 {
            return Err(Failure::new(
                format!("sale {sale}"),
                "the ledger has none of this name",
                "holdfast log list sale/ shows all",
            ));
        }
        Ok(truth)
    }

    /// Acts as this reading has them, outcomes of withdrawals only as far as an earlier one had them: the lanes were read after that.
    pub(super) fn with_outcomes_of(mut self, before: &Self) -> Self {
        for (act, (_, _, recorded)) in &mut self.withdrawals {
            *recorded = before.withdrawals.get(act).and_then(|known| known.2);
        }
        self
    }

    /// Units of an item that all acts gave out.
    pub(super) fn given(&self) -> BTreeMap<ItemId, u64> {
        let mut all = BTreeMap::new();
        for (item, units) in self.acts.values().flatten() {
            *all.entry(item.clone()).or_insert(0) += units;
        }
        all
    }
}

/// The line's log.
#[derive(Default)]
pub(super) struct LineTruth {
    pub(super) granted: HashSet<u64>,
    pub(super) events: u64,
    pub(super) odd: Vec<String>,
}

impl LineTruth {
    pub(super) async fn read(ledger: &Ledger, sale: &SaleId) -> Result<Self, Failure> {
        let (mut granted, mut odd) = (HashSet::new(), Vec::new());
        let events =
            each(ledger, &LogId::line(sale), 0, &mut odd, |_, event: LineEvent| granted.extend(event.granted)).await?;
        Ok(Self { granted, events, odd })
    }
}

/// How an id ended, after each of its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Booked {
        visitor: VisitorHash,
        lines: Lines,
    },
    Refused,
    Cancelled,
    /// Not a visitor's: its units went to another lane.
    Given,
}

/// Units that left for another lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) id: HoldId,
    pub(super) to: u16,
    pub(super) lines: Lines,
}

/// The event that `log:seq` names.
fn event_of(from: &str) -> Option<(LogId, u64)> {
    let (log, seq) = from.rsplit_once(':')?;
    Some((log.parse().ok()?, seq.parse().ok()?))
}

/// Units of one item in one lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Units {
    pub(super) allocated: u64,
    pub(super) sold: u64,
}

/// One lane's log.
pub(super) struct LaneTruth {
    sale: SaleId,
    pub(super) lane: u16,
    pub(super) head: u64,
    pub(super) items: BTreeMap<ItemId, Units>,
    /// What each event changed of allocated minus sold.
    changes: Vec<(u64, ItemId, i64)>,
    /// Every event of an id: seq and what it made of it.
    ids: HashMap<HoldId, Vec<(u64, Outcome)>>,
    /// Units taken from each act of the sale.
    pub(super) taken: BTreeMap<u64, BTreeMap<ItemId, u64>>,
    /// What was given to other lanes, by the event's seq.
    pub(super) given: BTreeMap<u64, Given>,
    /// What other lanes' events gave to this one.
    pub(super) received: BTreeMap<(LogId, u64), Lines>,
    pub(super) visitors: HashMap<VisitorHash, u64>,
    /// The most units a visitor ever had at once.
    pub(super) most_units: u64,
    pub(super) passes: HashMap<u64, HoldId>,
    pub(super) odd: Vec<String>,
    pub(super) oversold: Vec<String>,
    pub(super) twice: Vec<String>,
    pub(super) refused: u64,
    pub(super) cancelled: u64,
    pub(super) booked: u64,
}

impl LaneTruth {
    pub(super) fn new(sale: SaleId, lane: u16) -> Self {
        Self {
            sale,
            lane,
            head: 0,
            items: BTreeMap::new(),
            changes: Vec::new(),
            ids: HashMap::new(),
            taken: BTreeMap::new(),
            given: BTreeMap::new(),
            received: BTreeMap::new(),
            visitors: HashMap::new(),
            most_units: 0,
            passes: HashMap::new(),
            odd: Vec::new(),
            oversold: Vec::new(),
            twice: Vec::new(),
            refused: 0,
            cancelled: 0,
            booked: 0,
        }
    }

    /// Reads what is new in the log.
    pub(super) async fn read(&mut self, ledger: &Ledger) -> Result<(), Failure> {
        let log = LogId::lane(&self.sale, self.lane);
        let mut odd = Vec::new();
        let head = self.head;
        self.head = each(ledger, &log, head, &mut odd, |seq, event: LaneEvent| self.apply(seq, event)).await?;
        self.odd.append(&mut odd);
        Ok(())
    }

    pub(super) fn apply(&mut self, seq: u64, event: LaneEvent) {
        match event {
            LaneEvent::Booked { id, visitor, lines, pass, .. } => self.book(seq, id, visitor, lines, pass),
            LaneEvent::Refused { id, .. } => {
                self.refused += 1;
                self.outcome(seq, id, Outcome::Refused);
            }
            LaneEvent::Cancelled { id, .. } => self.cancel(seq, id),
            LaneEvent::Stock { from, lines, .. } => self.take(seq, &from, lines),
            LaneEvent::TransferOut { id, to, lines, .. } => self.give(seq, id, to, lines),
            LaneEvent::TransferIn { from, lines, .. } => self.receive(seq, &from, lines),
        }
    }

    fn book(&mut self, seq: u64, id: HoldId, visitor: VisitorHash, lines: Lines, pass: Option<u64>) {
        self.booked += 1;
        if id.sale_tag() != sale_tag(&self.sale) || id.lane() != self.lane {
            self.twice.push(format!("{}: {id} does not belong to this lane", self.place(seq)));
        }
        for (item, units) in lines.iter() {
            let place = self.place(seq);
            let sum = self.items.entry(item.clone()).or_default();
            sum.sold += u64::from(units);
            if sum.sold > sum.allocated {
                self.oversold.push(format!("{place}: {} of {} units of {item} are sold", sum.sold, sum.allocated));
            }
            self.changes.push((seq, item.clone(), -i64::from(units)));
        }
        let has = self.visitors.entry(visitor).or_default();
        *has += lines.units();
        self.most_units = self.most_units.max(*has);
        if let Some(pass) = pass
            && let Some(other) = self.passes.insert(pass, id)
        {
            self.twice.push(format!("{}: pass {pass} booked {other} and {id}", self.place(seq)));
        }
        self.outcome(seq, id, Outcome::Booked { visitor, lines });
    }

    fn cancel(&mut self, seq: u64, id: HoldId) {
        self.cancelled += 1;
        let last = self.ids.get(&id).and_then(|events| events.last()).map(|(_, outcome)| outcome.clone());
        if let Some(Outcome::Booked { visitor, lines }) = last {
            for (item, units) in lines.iter() {
                let sum = self.items.entry(item.clone()).or_default();
                sum.sold = sum.sold.saturating_sub(u64::from(units));
                self.changes.push((seq, item.clone(), i64::from(units)));
            }
            let has = self.visitors.entry(visitor).or_default();
            *has = has.saturating_sub(lines.units());
        }
        self.outcome(seq, id, Outcome::Cancelled);
    }

    fn take(&mut self, seq: u64, from: &str, lines: BTreeMap<ItemId, u64>) {
        let act = from
            .strip_prefix(LogId::sale(&self.sale).as_str())
            .and_then(|rest| rest.strip_prefix(':'))
            .and_then(|act| act.parse().ok());
        for (item, units) in &lines {
            self.items.entry(item.clone()).or_default().allocated += units;
            self.changes.push((seq, item.clone(), i64::try_from(*units).unwrap_or(i64::MAX)));
        }
        match act {
            None => {
                self.oversold.push(format!("{}: stock from {from:?}, which is no act of the sale", self.place(seq)))
            }
            Some(act) => {
                if self.taken.insert(act, lines).is_some() {
                    self.oversold.push(format!("{}: the stock of act {act} is taken twice", self.place(seq)));
                }
            }
        }
    }

    /// Units leave for another lane: never more than are unsold.
    fn give(&mut self, seq: u64, id: HoldId, to: u16, lines: Lines) {
        for (item, units) in lines.iter() {
            let place = self.place(seq);
            let sum = self.items.entry(item.clone()).or_default();
            let units = u64::from(units);
            if sum.allocated.saturating_sub(sum.sold) < units {
                self.oversold.push(format!("{place}: {units} units of {item} are given away, fewer are unsold"));
            }
            sum.allocated = sum.allocated.saturating_sub(units);
            self.changes.push((seq, item.clone(), -i64::try_from(units).unwrap_or(i64::MAX)));
        }
        self.given.insert(seq, Given { id, to, lines });
        self.outcome(seq, id, Outcome::Given);
    }

    fn receive(&mut self, seq: u64, from: &str, lines: Lines) {
        for (item, units) in lines.iter() {
            self.items.entry(item.clone()).or_default().allocated += u64::from(units);
            self.changes.push((seq, item.clone(), i64::from(units)));
        }
        match event_of(from) {
            None => {
                self.oversold.push(format!("{}: units from {from:?}, which is no event of a lane", self.place(seq)))
            }
            Some(event) => {
                if self.received.insert(event, lines).is_some() {
                    self.oversold.push(format!("{}: the units of {from} are received twice", self.place(seq)));
                }
            }
        }
    }

    /// Nothing follows the first outcome but a cancel of a booking (R1).
    fn outcome(&mut self, seq: u64, id: HoldId, outcome: Outcome) {
        let place = self.place(seq);
        let events = self.ids.entry(id).or_default();
        let may_follow = match events.last() {
            None => outcome != Outcome::Cancelled,
            Some((_, Outcome::Booked { .. })) => outcome == Outcome::Cancelled,
            Some(_) => false,
        };
        if !may_follow {
            self.twice.push(format!("{place}: {id} gets an outcome that may not follow the one it has"));
        }
        events.push((seq, outcome));
    }

    /// The id under which this lane gives for the withdrawal that stands as event `act` in the sale's log.
    pub(super) fn withdrawal(&self, act: u64) -> HoldId {
        HoldId::derive(&self.sale, self.lane, &VisitorHash::for_lane(WITHDRAWN), &act.to_string())
    }

    /// Its log.
    pub(super) fn log(&self) -> LogId {
        LogId::lane(&self.sale, self.lane)
    }

    fn place(&self, seq: u64) -> String {
        format!("{}:{seq}", self.log())
    }

    /// Ids that have an outcome.
    pub(super) fn decided(&self) -> impl Iterator<Item = HoldId> {
        self.ids.keys().copied()
    }

    /// What the event `seq` made of `id`; `None` when it is no event of it.
    pub(super) fn outcome_at(&self, id: &HoldId, seq: u64) -> Option<&Outcome> {
        self.ids.get(id)?.iter().find(|(at, _)| *at == seq).map(|(_, outcome)| outcome)
    }

    /// Allocated minus sold by item, as of an event.
    pub(super) fn unsold_at(&self, seq: u64) -> BTreeMap<ItemId, i64> {
        let mut unsold = BTreeMap::new();
        for (_, item, change) in self.changes.iter().filter(|(at, ..)| *at <= seq) {
            *unsold.entry(item.clone()).or_insert(0) += change;
        }
        unsold
    }
}
