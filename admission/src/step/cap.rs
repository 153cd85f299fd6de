//! The cap on passes alive. The owner's decision on each claim is the hard gate; here it bounds who is called.

use domain::limits::MIN_SHOW_PERMILLE;

/// Places neither taken nor promised.
pub(super) fn cap_term(active_passes: u32, taken: u64) -> u64 {
    u64::from(active_passes).saturating_sub(taken)
}

/// Places that people who were called within the grace period are expected to take. Who does not come leaves a place empty
/// for as long as the turn is kept, so more are called than there are places: `unclaimed` times the measured part of those
/// who come, never taken for less than [`MIN_SHOW_PERMILLE`]. If more come than expected, the gate lets them wait.
#[must_use]
pub fn promised(unclaimed: u64, show_permille: u64) -> u64 {
    unclaimed.saturating_mul(clamped(show_permille)).div_ceil(1_000)
}

/// The part of those called who come, of 1,000, as far as it is believed.
#[must_use]
pub(super) fn clamped(show_permille: u64) -> u64 {
    show_permille.clamp(MIN_SHOW_PERMILLE, 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_promised_as_far_as_people_come() {
        assert_eq!(promised(100, 1_000), 100);
        assert_eq!(promised(100, 800), 80);
        assert_eq!(promised(1, 800), 1, "a single turn is a place");
        assert_eq!(promised(0, 800), 0);
    }

    #[test]
    fn what_is_believed_is_clamped() {
        assert_eq!(promised(1_000, 0), MIN_SHOW_PERMILLE);
        assert_eq!(promised(1_000, 5_000), 1_000);
    }

    #[test]
    fn the_cap_never_goes_below_zero() {
        assert_eq!((cap_term(10, 4), cap_term(10, 10), cap_term(10, 99)), (6, 0, 0));
    }
}
