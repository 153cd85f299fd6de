//! Many durations in little memory.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Durations in microseconds, three digits exact, up to an hour.
#[derive(Clone)]
pub(crate) struct Timing(Option<Histogram<u64>>);

/// Milliseconds.
#[derive(Clone, Copy, PartialEq, Debug, Default, serde::Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

const LONGEST_US: u64 = 3_600_000_000;

impl Timing {
    pub(crate) fn new() -> Self {
        // Fails only for bounds that make no sense; these are constant and tested.
        Self(Histogram::new_with_bounds(1, LONGEST_US, 3).ok())
    }

    pub(crate) fn record(&mut self, span: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(u64::try_from(span.as_micros()).unwrap_or(LONGEST_US).clamp(1, LONGEST_US));
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        if let (Some(histogram), Some(other)) = (&mut self.0, &other.0) {
            // Both have the same bounds, so it fits.
            let _ = histogram.add(other);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// What was recorded, as (microseconds, how often).
    pub(crate) fn pairs(&self) -> Vec<(u64, u64)> {
        let recorded = self.0.iter().flat_map(Histogram::iter_recorded);
        recorded.map(|value| (value.value_iterated_to(), value.count_at_value())).collect()
    }

    /// The same from [`Timing::pairs`], to within a thousandth.
    pub(crate) fn of_pairs(pairs: &[(u64, u64)]) -> Self {
        let mut timing = Self::new();
        if let Some(histogram) = &mut timing.0 {
            for (us, count) in pairs {
                histogram.saturating_record_n((*us).clamp(1, LONGEST_US), *count);
            }
        }
        timing
    }

    /// Milliseconds below which this share of all durations lies; none of nothing.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        #[allow(clippy::cast_precision_loss, reason = "an hour of microseconds is exact")]
        Some(histogram.value_at_quantile(share).min(histogram.max()) as f64 / 1e3)
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let Some(histogram) = &self.0 else { return Percentiles::default() };
        #[allow(clippy::cast_precision_loss, reason = "an hour of microseconds is exact")]
        let ms = |us: u64| us as f64 / 1e3;
        let at = |quantile| ms(histogram.value_at_quantile(quantile).min(histogram.max()));
        Percentiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: ms(histogram.max()) }
    }
}
