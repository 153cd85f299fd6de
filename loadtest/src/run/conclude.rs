//! The verdict over what was seen: with what the server says of itself.

use std::time::{Duration, Instant};

use domain::SaleId;

use super::{Gathered, block_on};
use crate::feed;
use crate::limits::STALE_SECONDS;
use crate::oracle::{Findings, Known, judge};
use crate::scout::{Failed, audit, frontier, scout};
use crate::stats::Kind;

/// Where the server is asked about itself.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// `HOST:PORT` for visitors.
    pub(crate) target: String,
    /// `HOST:PORT` for operators.
    pub(crate) admin: Option<String>,
    pub(crate) operator_key: Option<String>,
    pub(crate) sale: SaleId,
}

/// Everything a run came to.
pub(crate) struct Outcome {
    /// What was counted; its history has been judged and is empty.
    pub(crate) gathered: Gathered,
    pub(crate) findings: Findings,
    /// History entries that did not fit.
    pub(crate) left_out: u64,
    /// Why the event feed, or the rest of it, was not looked at.
    pub(crate) feed_left_out: Option<String>,
    /// What the server's own audit left out, or why there is none.
    pub(crate) audit_left_out: Vec<String>,
    /// Units confirmed, and how many there are, as far as that is known.
    pub(crate) units: (u64, Option<u64>),
    pub(crate) passes: u64,
    pub(crate) pace: Option<u64>,
}

/// Compares what visitors saw with what the server says, and judges.
pub(crate) fn conclude(mut gathered: Gathered, sources: &Sources) -> Result<Outcome, Failed> {
    let history = std::mem::take(&mut gathered.history);
    let item = gathered.head.item.clone();
    let after = block_on(scout(sources))?.unwrap_or_default();
    let units = after.units.get(&item).copied().max(gathered.units);
    let mut known = Known { wanted: Some((item.clone(), u64::from(gathered.head.quantity))), ..Known::default() };
    known.units.extend(units.map(|units| (item, units)));
    let last_pass = history.passes.iter().map(|pass| pass.number).max();
    known.last_frontier = block_on(last_frontier(sources, last_pass))?;
    let (booked, passes) = (history.units.values().sum(), history.passes.len() as u64);
    let (left_out, pace) = (history.left_out, history.pace);
    let feed_left_out = block_on(read_feed(sources, &mut known))?;
    let audit_left_out = match block_on(audit(sources))? {
        Ok((failed, left_out)) => {
            known.audit = failed;
            left_out
        }
        Err(error) => vec![error.to_string()],
    };
    let findings = judge(history, &known);
    let units = (booked, units);
    Ok(Outcome { gathered, findings, left_out, feed_left_out, audit_left_out, units, passes, pace })
}

/// Reads the event feed, where there is an operators' address; says what could not be read.
async fn read_feed(sources: &Sources, known: &mut Known) -> Option<String> {
    let Some(admin) = &sources.admin else {
        return Some("give --admin with the operator's key, or see holdfast audit".to_owned());
    };
    let (truth, left_out) = feed::read(admin, &sources.sale, sources.operator_key.as_deref()).await;
    known.feed = Some(truth);
    left_out
}

/// The frontier, once the line's document had time to show the last pass.
async fn last_frontier(sources: &Sources, last_pass: Option<u64>) -> Option<u64> {
    let number = last_pass?;
    let until = Instant::now() + Duration::from_secs(STALE_SECONDS as u64);
    loop {
        let shown = frontier(sources).await;
        if shown.is_none_or(|frontier| frontier >= number) || Instant::now() >= until {
            return shown;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

impl Outcome {
    /// Why a run in which no journey arrived has failed: nothing was answered as the contract says (a yes, or a refusal
    /// with a reason), or something was and it was of no use.
    pub(crate) fn nothing(&self) -> Failed {
        let stats = &self.gathered.stats;
        let tallies = Kind::ALL.into_iter().filter_map(|kind| stats.tally(kind));
        if tallies.map(|tally| tally.accepted.count() + tally.refused.count()).sum::<u64>() == 0 {
            return Failed::NothingWorked;
        }
        let head = &self.gathered.head;
        let what = if head.books { "booking".to_owned() } else { format!("journey of {}", head.journey) };
        if stats.turned_away > 0 {
            return Failed::Over(what, stats.turned_away);
        }
        Failed::NoneArrived(what, stats.begun, stats.cut_off)
    }
}
