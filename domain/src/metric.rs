//! How a crate describes its metrics, so that `docs/metrics.md` is written from the code.

/// What kind of metric it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size.
    Histogram,
}

impl Kind {
    /// The name as Prometheus writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric: `holdfast_<area>_<noun>_<unit|total>`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metric {
    /// The whole name.
    pub name: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// What one unit of its value is: `seconds`, `events`, `visitors`.
    pub unit: &'static str,
    /// Labels and all values each can take; an empty list of values for one that is named by the operator (`sale`, `lane`).
    pub labels: &'static [(&'static str, &'static [&'static str])],
    /// What it tells, in one sentence.
    pub help: &'static str,
}
