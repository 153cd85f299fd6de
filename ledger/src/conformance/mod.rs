//! What every store must pass, and the tools to make it hard.
//!
//! Each fact is an async function over a [`Factory`]; [`conformance_suite!`](crate::conformance_suite) makes a test of each. Facts use logs with names of their own, so
//! that they can share one database. A store shows what it does under doubt by sending each try of an append through [`Doubts`].

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed fact panics, as tests do")]
#![allow(clippy::missing_panics_doc, reason = "every fact panics when it does not hold")]

mod crash;
mod doubt;
mod doubts;
mod fencing;
mod gate;
mod histories;
mod lock;
mod reading;
mod rivals;
mod sealing;
mod sizes;

use domain::{LogId, SaleId};
use futures_util::future::BoxFuture;

pub use crash::*;
pub use doubt::*;
pub use doubts::{Doubt, Doubts};
pub use fencing::*;
pub use gate::Gate;
pub use histories::*;
pub use lock::WriteLock;
pub use reading::*;
pub use rivals::*;
pub use sealing::*;
pub use sizes::*;

use crate::{Append, Entry, Head, Ledger, Limits, Writer};

/// Opens the store that is tested.
pub trait Factory: Send + Sync {
    /// The store over the factory's data, which is the same at each call: a second call, after the first ledger was dropped, opens again what that
    /// one left. Every try of an append goes through `doubts`.
    fn open<'a>(&'a self, limits: Limits, doubts: &'a Doubts) -> BoxFuture<'a, Ledger>;
}

/// Makes a test of each fact: `conformance_suite!(make_factory())`, where the expression is evaluated once per test and is a [`Factory`], or an `Option` of one:
/// `None` where what the store needs is not there, which whoever makes the factory has to tell.
#[macro_export]
macro_rules! conformance_suite {
    ($factory:expr) => {
        $crate::conformance_suite!(
            $factory;
            a_log_that_nobody_claimed_is_empty
            a_claim_raises_the_fence_and_names_the_owner
            an_older_writer_is_refused_for_ever
            an_older_copy_of_a_writer_is_refused
            of_concurrent_claims_exactly_the_highest_fence_wins
            of_two_appends_under_one_head_exactly_one_wins
            a_fenced_log_does_not_hold_up_the_others
            a_claim_without_a_proper_owner_is_refused
            a_lost_request_is_sent_again
            a_lost_answer_is_success_and_not_doubled
            answers_lost_again_and_again_are_still_one_append
            a_late_request_changes_nothing
            a_lost_request_overtaken_by_another_writer_is_fenced
            a_lost_answer_is_success_even_after_another_writer_went_on
            a_lost_answer_of_a_sealing_append_is_success_even_after_another_writer_went_on
            a_lost_request_of_a_sealing_append_overtaken_by_a_claim_is_fenced
            events_come_back_as_they_were_and_in_order
            pages_meet_without_gap_at_every_size
            a_page_is_bounded_in_bytes_and_misses_nothing
            what_was_acknowledged_is_seen_by_every_later_read
            reading_while_appending_sees_a_growing_prefix
            logs_are_listed_by_prefix
            segments_are_sealed_before_their_limit_and_numbers_go_on
            a_claim_after_sealing_goes_on_in_the_next_segment
            a_writer_that_sealed_goes_on_under_its_fence
            a_writer_that_sealed_is_refused_after_a_claim
            a_fence_never_repeats_across_segments
            a_sealed_log_reads_the_same_after_opening_again
            too_large_appends_are_refused_before_anything_is_written
            an_append_at_the_limits_is_taken
            an_append_without_events_or_with_a_line_break_is_refused
            acknowledged_events_outlive_the_store
            an_append_whose_answer_never_came_is_there_once_or_not_at_all
            rivals_lose_nothing_that_was_acknowledged_and_write_nothing_they_were_refused
            random_histories_agree_with_a_model
        );
    };
    ($factory:expr; $($fact:ident)*) => {
        $(
            #[tokio::test]
            async fn $fact() {
                let factory = $factory;
                if let Some(factory) = $crate::conformance::Offer::offer(&factory) {
                    $crate::conformance::$fact(factory).await;
                }
            }
        )*
    };
}

/// A factory, or the lack of one.
pub trait Offer {
    /// The factory, where there is one.
    fn offer(&self) -> Option<&dyn Factory>;
}

impl<F: Factory> Offer for F {
    fn offer(&self) -> Option<&dyn Factory> {
        Some(self)
    }
}

impl<F: Factory> Offer for Option<F> {
    fn offer(&self) -> Option<&dyn Factory> {
        self.as_ref().map(|factory| factory as &dyn Factory)
    }
}

/// A log that no other fact uses.
fn fresh_log() -> LogId {
    fresh_lane(0)
}

/// A lane of a sale that no other fact uses.
fn fresh_lane(lane: u16) -> LogId {
    LogId::lane(&fresh_sale(), lane)
}

fn fresh_sale() -> SaleId {
    format!("c{:016x}", rand::random::<u64>()).parse().expect("a sale's name")
}

/// Limits that seal after this many appends.
fn rows(segment_rows: u64) -> Limits {
    Limits { segment_rows, ..Limits::default() }
}

fn events(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

async fn plain(factory: &dyn Factory) -> Ledger {
    factory.open(Limits::default(), &Doubts::default()).await
}

/// Appends, and must succeed.
async fn append(ledger: &Ledger, writer: &Writer, texts: &[&str]) -> Writer {
    appended(ledger.append(writer, &events(texts)).await.expect("the store answers"))
}

fn appended(outcome: Append) -> Writer {
    match outcome {
        Append::Appended(writer) => writer,
        Append::Fenced(head) => panic!("should have been appended, was fenced: {head:?}"),
    }
}

fn fenced(outcome: Append) -> Head {
    match outcome {
        Append::Fenced(head) => head,
        Append::Appended(writer) => panic!("should have been fenced, was appended: {writer:?}"),
    }
}

/// The whole log as texts; numbers must go from 1 without gap.
async fn all(ledger: &Ledger, log: &LogId) -> Vec<String> {
    let mut entries: Vec<Entry> = Vec::new();
    let last = ledger.read_all(log, 0, |entry| entries.push(entry)).await.expect("the store answers");
    assert!(entries.iter().map(|entry| entry.seq).eq(1..=entries.len() as u64), "numbers from 1 without gap");
    assert_eq!(last, entries.len() as u64);
    assert_eq!(ledger.head(log).await.expect("the store answers").head, last, "the head is the last event's number");
    entries.into_iter().map(|entry| entry.event).collect()
}
