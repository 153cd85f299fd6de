use super::*;
use domain::Act;

#[test]
fn every_outcome_and_binding_has_its_label() {
    let errors = [
        LineError::Busy,
        LineError::NoOwner,
        LineError::NotLoaded,
        LineError::Unavailable,
        LineError::Unknown,
        LineError::NotOpen,
        LineError::Drawing,
        LineError::Paused,
        LineError::NotJoining,
        LineError::CodeUsed,
        LineError::ClassFull,
        LineError::Closed,
        LineError::Moved,
    ];
    for error in errors {
        assert!(JOINS.contains(&error.as_str()) && CLAIMS.contains(&error.as_str()), "{error:?}");
    }
    assert!(JOINS.contains(&LineError::Unpaid(7).as_str()), "a claim is never answered so");
    for why in [NotYet::NotCalled, NotYet::MeterFull, NotYet::CapFull] {
        assert!(CLAIMS.contains(&why.as_str()));
    }
    assert!(Told::ALL.iter().map(|told| told.as_str()).eq(WAITS.iter().copied()));
    assert!(Binding::ALL.iter().map(|binding| binding.as_str()).eq(BINDINGS.iter().copied()));
    let acts = [
        Act::Open,
        Act::Pause { message: String::new() },
        Act::Resume { ramp_ms: 0 },
        Act::Pace { per_minute: 1 },
        Act::Cap { active_passes: 1 },
        Act::Withdrawn { of: 1, units: 1 },
        Act::Joining { open: true },
        Act::LetThrough { on: true },
        Act::Close,
    ];
    assert!(acts.iter().all(|act| ACTS.contains(&act.name())));
}

#[test]
fn names_follow_the_house() {
    for metric in ALL {
        assert!(
            metric.name.starts_with("holdfast_line_") || metric.name.starts_with("holdfast_sale_"),
            "{}",
            metric.name
        );
        assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
        assert!(metric.help.ends_with('.'), "{}", metric.name);
    }
}
