//! The table, code by code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::*;

fn not_executed(code: &str, cure: &Cure) {
    let judged = refusal(code, None);
    assert!(matches!(judged.error, CallError::NotExecuted { .. }), "{code}: {judged:?}");
    assert_eq!(judged.cure, *cure, "{code}");
}

#[test]
fn what_the_cluster_will_answer_soon_is_not_executed_and_waited_for() {
    for code in ["TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "LOADING", "READONLY"] {
        not_executed(code, &Cure::Wait);
    }
}

#[test]
fn what_an_operator_has_to_cure_is_not_executed_and_not_sent_again() {
    for code in ["CROSSSLOT", "OOM", "NOREPLICAS", "BUSY", "MISCONF", "NOAUTH", "NOPERM", "WRONGPASS"] {
        not_executed(code, &Cure::None);
    }
}

#[test]
fn an_unknown_script_is_sent_as_text_and_one_that_is_not_loaded_says_so() {
    not_executed("NOSCRIPT", &Cure::Text);
    assert_eq!(refusal("NOTLOADED", None), Judgement::last(CallError::NotLoaded));
}

#[test]
fn redirections_name_the_other_node() {
    let moved = refusal("MOVED", Some("3999 10.0.0.7:6381"));
    assert_eq!(moved.cure, Cure::Moved("10.0.0.7:6381".to_owned()));
    assert_eq!(moved.error, CallError::not_executed("MOVED 3999 10.0.0.7:6381"));
    assert_eq!(refusal("ASK", Some("3999 :6381")).cure, Cure::Ask(":6381".to_owned()));
    not_executed("MOVED", &Cure::Wait);
    not_executed("ASK", &Cure::Wait);
}

#[test]
fn an_error_out_of_a_script_is_broken_and_never_sent_again() {
    for code in ["ERR", "WRONGTYPE", "NOTBUSY", "UNKILLABLE", "SOMETHINGNEW"] {
        let judged = refusal(code, Some("words"));
        assert_eq!(judged, Judgement::last(CallError::broken(format!("{code} words"))));
    }
}

#[test]
fn every_row_of_the_table_is_tested_here() {
    let tests = include_str!("error_test.rs");
    for (code, ..) in TABLE {
        assert!(tests.contains(&format!("\"{code}\"")), "{code}");
    }
}

#[test]
fn the_client_gives_the_server_s_code_whatever_kind_it_has() {
    for (kind, code) in [
        (ServerErrorKind::Moved, "MOVED"),
        (ServerErrorKind::Ask, "ASK"),
        (ServerErrorKind::TryAgain, "TRYAGAIN"),
        (ServerErrorKind::ClusterDown, "CLUSTERDOWN"),
        (ServerErrorKind::MasterDown, "MASTERDOWN"),
        (ServerErrorKind::BusyLoading, "LOADING"),
        (ServerErrorKind::ReadOnly, "READONLY"),
        (ServerErrorKind::NoScript, "NOSCRIPT"),
        (ServerErrorKind::CrossSlot, "CROSSSLOT"),
    ] {
        let error = RedisError::from((ErrorKind::Server(kind), "words"));
        assert_eq!(error.code(), Some(code));
        assert!(matches!(judge(&error).error, CallError::NotExecuted { .. }), "{code}");
    }
}

#[test]
fn a_lost_connection_is_unknown_and_an_answer_nobody_can_read_is_broken() {
    for kind in [std::io::ErrorKind::BrokenPipe, std::io::ErrorKind::ConnectionReset, std::io::ErrorKind::TimedOut] {
        let judged = judge(&RedisError::from(std::io::Error::from(kind)));
        assert!(matches!(judged.error, CallError::Unknown { .. }), "{kind:?}");
        assert_eq!(judged.cure, Cure::None);
    }
    let unreadable = RedisError::from((ErrorKind::Parse, "no reply"));
    assert!(matches!(judge(&unreadable).error, CallError::Broken { .. }));
}
