//! The invariants, judged over the evidence. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::event::WITHDRAWN;
use domain::state::HoldState;
use domain::{ItemId, LogId, SaleId, VisitorHash};
use serde_json::{Map, Value, json};

use super::report::{Check, Report};
use super::truth::{LaneTruth, Outcome, Units};
use super::{Evidence, Lane, LaneSeen};

/// The report over everything that was read.
pub(super) fn judge(sale: &SaleId, evidence: &Evidence, running: bool) -> Report {
    let checks = vec![
        no_oversell(evidence),
        conservation(evidence),
        confirmed_is_durable(evidence),
        one_outcome(evidence),
        nothing_orphaned(evidence, running),
    ];
    let mut left_out: Vec<String> = Vec::new();
    for lane in &evidence.lanes {
        let number = lane.truth.lane;
        match &lane.seen {
            Err(why) => {
                left_out.push(format!("lane {number}: {why}: I2 was not checked, I3 and I5 only from the ledger"))
            }
            Ok(seen) => left_out.extend(seen.uncounted.iter().map(|why| format!("lane {number}: {why} (I5)"))),
        }
    }
    if !running && left_out.is_empty() {
        left_out.push("no program runs on these stores: confirms under way were not waited for (I5)".to_owned());
    }
    Report::new(sale.to_string(), (admission::clock::system())(), checks, left_out)
}

fn lanes(evidence: &Evidence) -> impl Iterator<Item = &LaneTruth> {
    evidence.lanes.iter().map(|lane| &lane.truth)
}

fn seen(evidence: &Evidence) -> impl Iterator<Item = (&LaneTruth, &LaneSeen)> {
    evidence.lanes.iter().filter_map(|lane| Some((&lane.truth, lane.seen.as_ref().ok()?)))
}

/// I1: at no event were more units booked than allocated, and lanes were allocated no more than the operator gave.
fn no_oversell(evidence: &Evidence) -> Check {
    let mut findings: Vec<String> = lanes(evidence).flat_map(|lane| lane.oversold.iter().cloned()).collect();
    let given = evidence.sale.given();
    let mut sums: BTreeMap<ItemId, Units> = given.keys().map(|item| (item.clone(), Units::default())).collect();
    let mut taken: BTreeMap<(u64, ItemId), u64> = BTreeMap::new();
    for lane in lanes(evidence) {
        for (item, units) in &lane.items {
            let sum = sums.entry(item.clone()).or_default();
            sum.allocated += units.allocated;
            sum.sold += units.sold;
        }
        for (act, lines) in &lane.taken {
            for (item, units) in lines {
                *taken.entry((*act, item.clone())).or_default() += units;
            }
        }
    }
    for ((act, item), units) in taken {
        let gave = evidence.sale.acts.get(&act).and_then(|lines| lines.get(&item)).copied().unwrap_or(0);
        if units > gave {
            findings.push(format!("act {act} gave {gave} units of {item}, lanes took {units}"));
        }
    }
    let (moved, mut lost) = transfers(evidence);
    findings.append(&mut lost);
    let (withdrawn, mut odd) = withdrawals(evidence);
    findings.append(&mut odd);
    let mut check = Check::new("I1", "no unit is sold twice", findings);
    if let Some(moved) = moved {
        check = check.figure("between_lanes", moved);
    }
    if withdrawn > 0 {
        check = check.figure("withdrawn", withdrawn);
    }
    for (item, sum) in sums {
        let gave = given.get(&item).copied().unwrap_or(0);
        let left = sum.allocated.saturating_sub(sum.sold);
        check = check.figure(
            item.as_str(),
            json!({ "given": gave, "allocated": sum.allocated, "sold": sum.sold, "left": left }),
        );
    }
    check
}

/// Units that moved between lanes: each came in at most once, where it was sent and as it was sent. What has left and not come
/// in is on its way. The lanes' logs were read one after the other, so one that came in may have left behind the part that was
/// read, which is no finding as long as somebody still writes. `None`: nothing ever moved.
fn transfers(evidence: &Evidence) -> (Option<Value>, Vec<String>) {
    let (mut findings, mut sent, mut arrived) = (Vec::new(), 0, 0);
    let (mut units, mut received) = (0u64, 0u64);
    let by_log: HashMap<LogId, &LaneTruth> = lanes(evidence).map(|lane| (lane.log(), lane)).collect();
    for lane in lanes(evidence) {
        let sent_on = || lane.given.iter().filter(|(_, given)| given.to != WITHDRAWN);
        sent += sent_on().count();
        for (seq, given) in sent_on().filter(|(_, given)| given.to >= evidence.sale.lanes) {
            findings.push(format!(
                "{}:{seq} gave {} units to a lane that there is not",
                lane.log(),
                given.lines.units()
            ));
        }
        units += sent_on().map(|(_, given)| given.lines.units()).sum::<u64>();
        for ((log, seq), lines) in &lane.received {
            arrived += 1;
            received += lines.units();
            let from = by_log.get(log).filter(|from| from.head >= *seq);
            let given = from.map(|from| from.given.get(seq));
            if given.is_some_and(|given| given.is_none_or(|given| given.to != lane.lane || given.lines != *lines))
                || !by_log.contains_key(log)
            {
                findings.push(format!("lane {}: the units of {log}:{seq} were not sent to it", lane.lane));
            }
        }
    }
    if sent + arrived == 0 {
        return (None, findings);
    }
    let figures = json!({ "sent": sent, "arrived": arrived, "units_on_their_way": units.saturating_sub(received) });
    (Some(figures), findings)
}

/// Units that operators withdrew: each lane gave for a withdrawal that the sale's log has, once, and no more than it was for; what
/// is recorded to have left has left.
fn withdrawals(evidence: &Evidence) -> (u64, Vec<String>) {
    let (mut findings, mut left) = (Vec::new(), BTreeMap::<u64, u64>::new());
    for lane in lanes(evidence) {
        let known: HashMap<_, _> = evidence.sale.withdrawals.keys().map(|act| (lane.withdrawal(*act), *act)).collect();
        for (seq, given) in lane.given.iter().filter(|(_, given)| given.to == WITHDRAWN) {
            match known.get(&given.id) {
                Some(act) => *left.entry(*act).or_default() += given.lines.units(),
                None => findings.push(format!("{}:{seq} gave units up that nobody withdrew", lane.log())),
            }
        }
    }
    for (act, (item, asked, recorded)) in &evidence.sale.withdrawals {
        let units = left.get(act).copied().unwrap_or(0);
        if units > *asked || recorded.is_some_and(|recorded| recorded != units) {
            findings.push(format!(
                "withdrawal {act} was for {asked} units of {item}: lanes gave {units}, recorded are {recorded:?}"
            ));
        }
    }
    (left.values().sum(), findings)
}

/// Events that gave units to another lane, as `log:seq`, which that lane's log does not have.
pub(super) fn on_their_way(lanes: &[Lane]) -> Vec<String> {
    let mut places = Vec::new();
    for from in lanes.iter().map(|lane| &lane.truth) {
        for (seq, given) in from.given.iter().filter(|(_, given)| given.to != WITHDRAWN) {
            let to = lanes.iter().map(|lane| &lane.truth).find(|lane| lane.lane == given.to);
            if to.is_none_or(|to| !to.received.contains_key(&(from.log(), *seq))) {
                places.push(format!("{}:{seq}", from.log()));
            }
        }
    }
    places
}

/// I2: in every lane free + live = allocated - sold, as of the event that Redis has settled.
fn conservation(evidence: &Evidence) -> Check {
    let mut findings = Vec::new();
    let (mut free, mut live) = (0, 0);
    let mut lanes = Map::new();
    for (truth, seen) in seen(evidence) {
        let stock = &seen.stock;
        let unsold = truth.unsold_at(stock.settled);
        let shown: BTreeMap<&ItemId, _> = stock.items.iter().map(|(item, stock)| (item, stock)).collect();
        let items: BTreeSet<&ItemId> = unsold.keys().chain(shown.keys().copied()).collect();
        for item in items {
            let wanted = unsold.get(item).copied().unwrap_or(0);
            let (has_free, has_live) = shown.get(item).map_or((0, 0), |stock| (stock.free, stock.live));
            free += has_free;
            live += has_live;
            if has_free + has_live != wanted || has_live < 0 {
                findings.push(format!(
                    "lane {} as of event {}: {item} has free {has_free} + live {has_live}, but allocated - sold is {wanted}",
                    truth.lane, stock.settled
                ));
            }
        }
        lanes.insert(truth.lane.to_string(), Value::from(stock.settled));
    }
    let checked = lanes.len();
    Check::new("I2", "free + held + paying + confirming = allocated - sold", findings)
        .figure("lanes", checked)
        .figure("free", free)
        .figure("live", live)
        .figure("settled", Value::Object(lanes))
}

/// I3: logs are whole, Redis is never ahead of them, and whatever Redis says is decided is an event.
fn confirmed_is_durable(evidence: &Evidence) -> Check {
    let mut findings: Vec<String> = evidence.sale.odd.iter().chain(&evidence.line.odd).cloned().collect();
    let mut events = evidence.sale.events + evidence.line.events;
    for lane in lanes(evidence) {
        findings.extend(lane.odd.iter().cloned());
        events += lane.head;
    }
    let mut compared = 0;
    for (truth, seen) in seen(evidence) {
        if seen.stock.settled > truth.head {
            findings.push(format!(
                "lane {}: Redis has settled event {}, the ledger ends at {}: it lost data",
                truth.lane, seen.stock.settled, truth.head
            ));
        }
        for (id, record) in &seen.records {
            let decided = match record.state {
                HoldState::Sold if record.visitor.as_lane().is_some() => |outcome: &Outcome| *outcome == Outcome::Given,
                HoldState::Sold => |outcome: &Outcome| matches!(outcome, Outcome::Booked { .. }),
                HoldState::Refused => |outcome: &Outcome| *outcome == Outcome::Refused,
                HoldState::Cancelled => |outcome: &Outcome| *outcome == Outcome::Cancelled,
                // Undecided again, after a loss: the ledger's word comes with the next confirm.
                HoldState::Held | HoldState::Paying | HoldState::Confirming | HoldState::Released => continue,
            };
            compared += 1;
            if !truth.outcome_at(id, record.seq).is_some_and(decided) {
                findings.push(format!(
                    "lane {}: Redis says {id} is {} by event {}, the ledger does not",
                    truth.lane,
                    record.state.as_str(),
                    record.seq
                ));
            }
        }
    }
    let booked: u64 = lanes(evidence).map(|lane| lane.booked).sum();
    Check::new("I3", "what was answered as booked is in the ledger", findings)
        .figure("events", events)
        .figure("bookings", booked)
        .figure("records_compared", compared)
}

/// I4: an id has one outcome, a pass one booking, a visitor no more than the limit.
fn one_outcome(evidence: &Evidence) -> Check {
    let mut findings: Vec<String> = lanes(evidence).flat_map(|lane| lane.twice.iter().cloned()).collect();
    let mut passes: HashMap<u64, u16> = HashMap::new();
    let mut homes: HashMap<VisitorHash, u16> = HashMap::new();
    let mut most = 0;
    for lane in lanes(evidence) {
        most = most.max(lane.most_units);
        for (pass, id) in &lane.passes {
            if !evidence.line.granted.contains(pass) {
                findings.push(format!("lane {}: {id} was booked with pass {pass}, which nobody was given", lane.lane));
            }
            if let Some(other) = passes.insert(*pass, lane.lane) {
                findings.push(format!("pass {pass} booked in lanes {other} and {}", lane.lane));
            }
        }
        for visitor in lane.visitors.keys() {
            if let Some(other) = homes.insert(*visitor, lane.lane) {
                findings.push(format!("visitor {visitor} booked in lanes {other} and {}", lane.lane));
            }
        }
        let without = lane.booked.saturating_sub(u64::try_from(lane.passes.len()).unwrap_or(u64::MAX));
        if evidence.sale.room && without > 0 && lane.twice.is_empty() {
            findings
                .push(format!("lane {}: {without} bookings without a pass in a sale with a waiting room", lane.lane));
        }
    }
    if let Some(limit) = evidence.sale.limit.map(u64::from).filter(|limit| most > *limit) {
        findings.push(format!("a visitor has {most} units, the limit is {limit}"));
    }
    let sum = |of: fn(&LaneTruth) -> u64| lanes(evidence).map(of).sum::<u64>();
    Check::new("I4", "one hold, one outcome; one pass, one booking", findings)
        .figure("booked", sum(|lane| lane.booked))
        .figure("refused", sum(|lane| lane.refused))
        .figure("cancelled", sum(|lane| lane.cancelled))
        .figure("passes_used", passes.len())
        .figure("most_units_of_a_visitor", most)
}

/// I5: what was under way when the audit began has been decided since.
fn nothing_orphaned(evidence: &Evidence, running: bool) -> Check {
    let mut findings = Vec::new();
    let (mut live, mut under_way) = (0, 0);
    for (truth, seen) in seen(evidence) {
        under_way += seen.under_way;
        live += seen.stock.items.iter().map(|(_, stock)| stock.live).sum::<i64>();
        for item in &seen.miscounted {
            findings.push(format!(
                "lane {}: {} has {} live units, holds claim {}",
                truth.lane, item.item, item.live, item.claimed
            ));
        }
        if running {
            findings.extend(
                seen.stuck.iter().map(|id| format!("lane {}: {id} waits for its outcome for too long", truth.lane)),
            );
        }
    }
    findings.extend(evidence.stranded.iter().map(|place| format!("the units of {place} left and never came in")));
    Check::new("I5", "every hold ends as a booking or as free stock", findings)
        .figure("units_in_holds", live)
        .figure("confirms_under_way", under_way)
}

#[cfg(test)]
mod tests;
