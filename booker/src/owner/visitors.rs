//! Holds, releases, looks and leaves: groups of calls to Redis, answered from its replies or, for what the log has decided,
//! from the fold.

use std::collections::VecDeque;

use domain::limits::{MAX_CALLS_IN_FLIGHT, MAX_GROUP, MAX_HOLDS_PER_PASS, MAX_HOLDS_WITHOUT_PASS};
use domain::{Admission, HoldId, HoldState, VisitorHash};
use lua::CallError;
use lua::lane::{HoldGroup, HoldReplies, HoldReply, Look, ReleaseReply, ReleaseRequest};
use tokio::time::Instant;

use super::{LaneOwner, What, clock, lane_error};
use crate::answer::{Booking, HoldAnswer, HoldRequest, LaneError, LookAnswer, ReleaseAnswer};
use crate::fold::{Decided, LaneFold};
use crate::lane::Reply;
use crate::view;

/// A hold that waits, and how often it was sent without learning its outcome.
pub(super) struct HoldWait {
    pub(super) request: HoldRequest,
    pub(super) reply: Reply<Result<HoldAnswer, LaneError>>,
    pub(super) unknown: bool,
    /// When its lane first had too few units, where other lanes may have them.
    pub(super) dry: Option<Instant>,
}

pub(super) struct ReleaseWait {
    request: ReleaseRequest,
    reply: Reply<Result<ReleaseAnswer, LaneError>>,
}

pub(super) struct LookWait {
    id: HoldId,
    visitor: VisitorHash,
    reply: Reply<Result<LookAnswer, LaneError>>,
}

pub(super) struct LeaveWait {
    visitor: VisitorHash,
    pass: u64,
    reply: Reply<Result<(), LaneError>>,
}

/// Requests of one kind: those that wait, and how many calls of the kind are under way. The next call takes what has piled up.
struct Queue<T> {
    waiting: VecDeque<T>,
    calls: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), calls: 0 }
    }
}

impl<T> Queue<T> {
    /// The next group, when there is one and a call is free for it.
    fn next_group(&mut self) -> Option<Vec<T>> {
        if self.waiting.is_empty() || self.calls >= MAX_CALLS_IN_FLIGHT {
            return None;
        }
        self.calls += 1;
        let most = self.waiting.len().min(MAX_GROUP);
        Some(self.waiting.drain(..most).collect())
    }
}

#[derive(Default)]
pub(super) struct Visitors {
    holds: Queue<HoldWait>,
    releases: Queue<ReleaseWait>,
    looks: Queue<LookWait>,
    leaves: Queue<LeaveWait>,
}

impl Visitors {
    pub(super) fn waiting(&self) -> usize {
        self.holds.waiting.len() + self.releases.waiting.len() + self.looks.waiting.len() + self.leaves.waiting.len()
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.holds.calls + self.releases.calls + self.looks.calls + self.leaves.calls == 0
    }
}

impl LaneOwner {
    fn decided(&self, id: &HoldId) -> Option<&Decided> {
        self.fold().and_then(|fold| fold.decided(id))
    }

    pub(super) fn reply_hold(
        &self,
        reply: Reply<Result<HoldAnswer, LaneError>>,
        answer: Result<HoldAnswer, LaneError>,
    ) {
        self.metrics.hold(&answer);
        let _ = reply.send(answer);
    }

    pub(super) fn accept_hold(&mut self, request: HoldRequest, reply: Reply<Result<HoldAnswer, LaneError>>) {
        let answer = self
            .decided(&request.id)
            .map(|decided| view::hold_answer(&self.context.log, request.id, request.fingerprint(), decided, clock()));
        match answer {
            Some(answer) => self.reply_hold(reply, Ok(answer)),
            None => self.visitors.holds.waiting.push_back(HoldWait { request, reply, unknown: false, dry: None }),
        }
    }

    pub(super) fn accept_release(
        &mut self,
        id: HoldId,
        visitor: VisitorHash,
        reply: Reply<Result<ReleaseAnswer, LaneError>>,
    ) {
        let answer = match self.decided(&id) {
            Some(decided) if decided.visitor != visitor => ReleaseAnswer::Foreign,
            Some(decided) => ReleaseAnswer::TooLate(decided.state),
            None => {
                let request = ReleaseRequest { id, visitor };
                return self.visitors.releases.waiting.push_back(ReleaseWait { request, reply });
            }
        };
        let _ = reply.send(Ok(answer));
    }

    pub(super) fn accept_look(
        &mut self,
        id: HoldId,
        visitor: VisitorHash,
        reply: Reply<Result<LookAnswer, LaneError>>,
    ) {
        let answer = match self.decided(&id) {
            Some(decided) if decided.visitor != visitor => LookAnswer::Foreign,
            // What a refused hold had claimed stands in its record only.
            Some(decided) if decided.state == HoldState::Refused && !self.is_unloaded() => {
                return self.visitors.looks.waiting.push_back(LookWait { id, visitor, reply });
            }
            Some(decided) => LookAnswer::Hold(view::of_decided(&self.context.log, id, decided, clock())),
            None if self.is_unloaded() => unknown(id, &visitor),
            None => return self.visitors.looks.waiting.push_back(LookWait { id, visitor, reply }),
        };
        let _ = reply.send(Ok(answer));
    }

    pub(super) fn accept_leave(&mut self, visitor: VisitorHash, pass: u64, reply: Reply<Result<(), LaneError>>) {
        self.visitors.leaves.waiting.push_back(LeaveWait { visitor, pass, reply });
    }

    pub(super) fn bookings(&self, visitor: &VisitorHash) -> Vec<Booking> {
        let of = |fold: &LaneFold| {
            let ids = fold.visitor(visitor).map_or(&[][..], |sum| sum.bookings.as_slice());
            let booking = |id: &HoldId| view::booking(&self.context.log, *id, fold.decided(id)?);
            ids.iter().filter_map(booking).collect()
        };
        self.fold().map(of).unwrap_or_default()
    }

    pub(super) fn booking(&self, id: HoldId, visitor: &VisitorHash) -> Option<Booking> {
        let decided = self.decided(&id).filter(|decided| decided.visitor == *visitor)?;
        view::booking(&self.context.log, id, decided)
    }

    /// Starts as many calls as may be under way.
    pub(super) fn pump_visitors(&mut self) {
        while let Some(group) = self.visitors.holds.next_group() {
            self.start_holds(group);
        }
        while let Some(group) = self.visitors.releases.next_group() {
            let context = self.context.clone();
            self.start(async move {
                let requests: Vec<_> = group.iter().map(|wait| wait.request).collect();
                let result = lua::lane::release(&context.redis, &context.keys, &requests).await;
                What::Releases(group, result)
            });
        }
        while let Some(group) = self.visitors.looks.next_group() {
            let context = self.context.clone();
            self.start(async move {
                let ids: Vec<_> = group.iter().map(|wait| wait.id).collect();
                let result = lua::lane::look(&context.redis, &context.keys, &ids, &[]).await;
                What::Looks(group, result)
            });
        }
        while let Some(group) = self.visitors.leaves.next_group() {
            let context = self.context.clone();
            self.start(async move {
                let passes: Vec<_> = group.iter().map(|wait| (wait.visitor, wait.pass)).collect();
                let result = lua::lane::leave(&context.redis, &context.keys, &passes).await;
                What::Leaves(group, result)
            });
        }
    }

    fn start_holds(&mut self, mut group: Vec<HoldWait>) {
        // Nobody waits for these any more, and nothing was done for them.
        group.retain(|wait| !wait.reply.is_closed());
        if group.is_empty() {
            self.visitors.holds.calls -= 1;
            return;
        }
        let (context, doc) = (self.context.clone(), self.context.doc());
        let most = match doc.admission {
            Admission::None => MAX_HOLDS_WITHOUT_PASS,
            Admission::Room(_) => MAX_HOLDS_PER_PASS,
        };
        self.start(async move {
            let requests = group.iter().map(|wait| lua::lane::HoldRequest {
                id: wait.request.id,
                visitor: wait.request.visitor,
                fp: wait.request.fingerprint(),
                lines: wait.request.lines.clone(),
                pass: wait.request.pass,
            });
            let holds = HoldGroup {
                ttl_ms: doc.hold.ttl_ms,
                limit: doc.units_per_visitor,
                most,
                faults: context.faults(),
                requests: requests.collect(),
            };
            let result = lua::lane::hold(&context.redis, &context.keys, &holds).await;
            What::Holds(group, result)
        });
    }

    pub(super) fn on_holds(&mut self, waiting: Vec<HoldWait>, result: Result<HoldReplies, CallError>) {
        self.visitors.holds.calls -= 1;
        match result {
            Ok(HoldReplies { now, replies }) => {
                let doc = self.context.doc();
                for (wait, reply) in waiting.into_iter().zip(replies) {
                    let on_sale = wait.request.lines.iter().all(|(item, _)| doc.item(item).is_some());
                    let answer = match self.hold_answer(&wait.request, reply, now) {
                        // The sale has the item, and its stock is on the way into the lane.
                        Ok(HoldAnswer::NoSuchItem) if on_sale => Err(LaneError::NotLoaded),
                        answer => answer,
                    };
                    self.finish_hold(wait, answer);
                }
            }
            Err(error) => {
                let error = lane_error(&error);
                self.look_soon(error);
                for wait in waiting.into_iter().rev() {
                    // The same id again, as a new call, finds out whether the first one held it. Once: the visitor waits.
                    if error == LaneError::Unknown && !wait.unknown {
                        self.visitors.holds.waiting.push_front(HoldWait { unknown: true, ..wait });
                    } else {
                        self.reply_hold(wait.reply, Err(error));
                    }
                }
            }
        }
    }

    fn hold_answer(
        &self,
        request: &HoldRequest,
        reply: HoldReply,
        now: domain::Millis,
    ) -> Result<HoldAnswer, LaneError> {
        let (log, faults) = (&self.context.log, self.context.faults());
        let view = |record, replayed| HoldAnswer::Hold {
            hold: view::of_record(log, request.id, record, &faults.faults, now),
            replayed,
        };
        Ok(match reply {
            HoldReply::Held(record) => view(&record, false),
            HoldReply::Exists(record) => match self.decided(&request.id) {
                Some(decided) => view::hold_answer(log, request.id, request.fingerprint(), decided, now),
                None => match record.why {
                    Some(why) if record.state == domain::HoldState::Refused => HoldAnswer::Gone(why),
                    _ => view(&record, true),
                },
            },
            HoldReply::KeyReused => HoldAnswer::KeyReused,
            HoldReply::NoSuchItem => HoldAnswer::NoSuchItem,
            HoldReply::PassDone => HoldAnswer::PassDone,
            HoldReply::PassExpired => HoldAnswer::PassExpired,
            // Whoever asks again soon finds out: the line's owner says what there was.
            HoldReply::Unsure => return Err(LaneError::NotLoaded),
            HoldReply::TooManyHolds => HoldAnswer::TooManyHolds,
            HoldReply::Limit => HoldAnswer::Limit,
            HoldReply::SoldOut => HoldAnswer::SoldOut,
            HoldReply::AllHeld => HoldAnswer::AllHeld,
        })
    }

    /// Answers, unless other lanes may have what this one has not.
    fn finish_hold(&mut self, wait: HoldWait, answer: Result<HoldAnswer, LaneError>) {
        let Some(neighbours) = &mut self.neighbours else { return self.reply_hold(wait.reply, answer) };
        match answer {
            Ok(HoldAnswer::SoldOut | HoldAnswer::AllHeld) => {
                // One that has waited long enough is not told more than is known.
                if let Some(wait) = self.park(wait, Instant::now()) {
                    self.reply_hold(wait.reply, Ok(HoldAnswer::AllHeld));
                }
                return;
            }
            Ok(HoldAnswer::Hold { replayed: false, .. }) => neighbours.held(&wait.request.lines),
            _ => {}
        }
        self.reply_hold(wait.reply, answer);
    }

    /// Tries holds again that have waited, before all others.
    pub(super) fn retry_holds(&mut self, waits: Vec<HoldWait>) {
        for wait in waits.into_iter().rev() {
            self.visitors.holds.waiting.push_front(wait);
        }
    }

    pub(super) fn on_releases(&mut self, waiting: Vec<ReleaseWait>, result: Result<Vec<ReleaseReply>, CallError>) {
        self.visitors.releases.calls -= 1;
        match result {
            Ok(replies) => {
                for (wait, reply) in waiting.into_iter().zip(replies) {
                    let mine = wait.request.id.may_belong_to(&wait.request.visitor);
                    let answer = match reply {
                        ReleaseReply::Released => ReleaseAnswer::Released,
                        ReleaseReply::Missing if mine => ReleaseAnswer::Released,
                        ReleaseReply::Missing | ReleaseReply::Foreign => ReleaseAnswer::Foreign,
                        ReleaseReply::Kept(record) => ReleaseAnswer::TooLate(record.state),
                    };
                    let _ = wait.reply.send(Ok(answer));
                }
            }
            Err(error) => {
                let error = lane_error(&error);
                self.look_soon(error);
                for wait in waiting {
                    let _ = wait.reply.send(Err(error));
                }
            }
        }
    }

    pub(super) fn on_looks(&mut self, waiting: Vec<LookWait>, result: Result<Look, CallError>) {
        self.visitors.looks.calls -= 1;
        match result {
            Ok(look) => {
                let faults = self.context.faults();
                for (wait, record) in waiting.into_iter().zip(look.records) {
                    let answer =
                        match (self.decided(&wait.id), record) {
                            (Some(decided), record) if decided.visitor == wait.visitor => {
                                let mut hold = view::of_decided(&self.context.log, wait.id, decided, look.now);
                                if let Some(record) = record.filter(|_| decided.state == HoldState::Refused) {
                                    hold.lines = record.lines;
                                }
                                LookAnswer::Hold(hold)
                            }
                            (None, Some(record)) if record.visitor == wait.visitor => LookAnswer::Hold(
                                view::of_record(&self.context.log, wait.id, &record, &faults.faults, look.now),
                            ),
                            (None, None) => unknown(wait.id, &wait.visitor),
                            (Some(_), _) | (None, Some(_)) => LookAnswer::Foreign,
                        };
                    let _ = wait.reply.send(Ok(answer));
                }
            }
            Err(error) => {
                let error = lane_error(&error);
                self.look_soon(error);
                for wait in waiting {
                    // What the log decided is known without the store.
                    let known = self.decided(&wait.id).filter(|decided| decided.visitor == wait.visitor);
                    let known = known.map(|decided| view::of_decided(&self.context.log, wait.id, decided, clock()));
                    let _ = wait.reply.send(known.map(LookAnswer::Hold).ok_or(error));
                }
            }
        }
    }

    pub(super) fn on_leaves(&mut self, waiting: Vec<LeaveWait>, result: &Result<(), CallError>) {
        self.visitors.leaves.calls -= 1;
        let answer = result.as_ref().copied().map_err(lane_error);
        if let Err(error) = answer {
            self.look_soon(error);
        }
        for wait in waiting {
            let _ = wait.reply.send(answer);
        }
    }
}

fn unknown(id: HoldId, visitor: &VisitorHash) -> LookAnswer {
    if id.may_belong_to(visitor) { LookAnswer::Unknown } else { LookAnswer::Foreign }
}
