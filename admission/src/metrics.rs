//! Names, labels and words of this crate's metrics.

use domain::metric::{Kind, Metric};

use crate::line::{LineError, NotYet};
use crate::sales::ACTS;
use crate::step::Binding;

const fn counter(
    name: &'static str,
    unit: &'static str,
    labels: &'static [(&'static str, &'static [&'static str])],
    help: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Counter, unit, labels, help }
}

/// Acts recorded.
pub const SALE_ACTS: Metric =
    counter("holdfast_sale_acts_total", "acts", &[("act", ACTS)], "Acts of operators recorded in sales' logs.");

/// Every metric of this crate.
pub const ALL: &[Metric] = &[SALE_ACTS];

/// Counts an act.
pub(crate) fn act(act: &'static str) {
    metrics::counter!(SALE_ACTS.name, "act" => act).increment(1);
}
