//! Whether the order is random enough: seeds are fixed, so these tests give one answer for ever. A bound lies 4.5 standard
//! deviations above the mean of its statistic, which a fair draw passes 99.999 % of the time; each statistic is also
//! shown to notice a shuffle with a well-known mistake.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};

use super::order;

const DRAWS: u64 = 40_000;
const VISITORS: usize = 8;

/// Chi-square of counts that should all be equal.
fn chi_square(counts: &[u64]) -> f64 {
    let expected = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    counts.iter().map(|n| (*n as f64 - expected).powi(2) / expected).sum()
}

/// 4.5 standard deviations above the mean of a chi-square of so many degrees of freedom.
fn bound(freedom: usize) -> f64 {
    let freedom = freedom as f64;
    freedom + 4.5 * (2.0 * freedom).sqrt()
}

/// How often each visitor got each place.
fn by_place(draw: impl Fn(u64) -> Vec<u32>) -> f64 {
    let mut counts = vec![0; VISITORS * VISITORS];
    for key in 0..DRAWS {
        for (index, place) in draw(key).into_iter().enumerate() {
            counts[index * VISITORS + place as usize - 1] += 1;
        }
    }
    chi_square(&counts)
}

/// How often the two visitors `a` and `b` got each pair of places.
fn by_pair(draw: impl Fn(u64) -> Vec<u32>, a: usize, b: usize) -> f64 {
    let mut counts = vec![0; VISITORS * VISITORS];
    for key in 0..DRAWS {
        let places = draw(key);
        counts[(places[a] as usize - 1) * VISITORS + places[b] as usize - 1] += 1;
    }
    let apart = (0..counts.len()).filter(|n| n / VISITORS != n % VISITORS).map(|n| counts[n]);
    chi_square(&apart.collect::<Vec<_>>())
}

fn fair(key: u64) -> Vec<u32> {
    order(key, VISITORS as u64).as_slice().to_vec()
}

/// Exchanges every index with one out of all of them: the shuffle that everybody gets wrong once.
fn naive(key: u64) -> Vec<u32> {
    let mut words = ChaCha20Rng::seed_from_u64(key);
    let mut places: Vec<u32> = (1..=VISITORS as u32).collect();
    for i in 0..VISITORS {
        places.swap(i, words.next_u32() as usize % VISITORS);
    }
    places
}

/// Never leaves anybody in place: 0 <= j < i instead of 0 <= j <= i.
fn sattolo(key: u64) -> Vec<u32> {
    let mut words = ChaCha20Rng::seed_from_u64(key);
    let mut places: Vec<u32> = (1..=VISITORS as u32).collect();
    for i in (1..VISITORS).rev() {
        places.swap(i, words.next_u32() as usize % i);
    }
    places
}

#[test]
fn every_visitor_is_as_likely_at_every_place() {
    // Rows and columns each sum to the same, so 7 x 7 are free.
    let most = bound(49);
    assert!(by_place(fair) < most, "{} of {most}", by_place(fair));
    assert!(by_place(naive) > most && by_place(sattolo) > most, "the test would notice");
}

#[test]
fn every_pair_of_visitors_is_as_likely_at_every_pair_of_places() {
    let most = bound(55);
    for (a, b) in [(0, 1), (0, 7), (3, 4), (6, 7)] {
        let found = by_pair(fair, a, b);
        assert!(found < most, "visitors {a} and {b}: {found} of {most}");
    }
    assert!(by_pair(naive, 0, 1) > most && by_pair(sattolo, 0, 7) > most, "the test would notice");
}

#[test]
fn all_orders_of_five_are_as_likely() {
    let mut counts = std::collections::BTreeMap::<Vec<u32>, u64>::new();
    for key in 0..DRAWS {
        *counts.entry(order(key, 5).as_slice().to_vec()).or_default() += 1;
    }
    assert_eq!(counts.len(), 120);
    let found = chi_square(&counts.into_values().collect::<Vec<_>>());
    assert!(found < bound(119), "{found}");
}

#[test]
fn in_a_large_lobby_tenths_of_the_arrivals_are_spread_over_tenths_of_the_places() {
    const COUNT: u64 = 200_000;
    for key in 0..5 {
        let mut counts = [0; 100];
        for (index, place) in order(key, COUNT).as_slice().iter().enumerate() {
            counts[index * 10 / COUNT as usize * 10 + (*place as usize - 1) * 10 / COUNT as usize] += 1;
        }
        assert!(chi_square(&counts) < bound(81), "draw {key}: {}", chi_square(&counts));
    }
}

/// Spearman's rank correlation of index and place.
fn rank_correlation(places: &[u32]) -> f64 {
    let n = places.len() as f64;
    let apart: f64 =
        places.iter().enumerate().map(|(index, place)| (index as f64 + 1.0 - f64::from(*place)).powi(2)).sum();
    1.0 - 6.0 * apart / (n * (n * n - 1.0))
}

#[test]
fn a_place_says_nothing_about_when_its_visitor_came() {
    const COUNT: u64 = 100_000;
    // The standard deviation of the coefficient is 1 / sqrt(n - 1).
    let most = 4.5 / (COUNT as f64 - 1.0).sqrt();
    for key in 100..110 {
        let places = order(key, COUNT);
        let found = rank_correlation(places.as_slice());
        assert!(found.abs() < most, "draw {key}: {found} of {most}");
        // Neighbours in arrival are no neighbours in line: how often the later one of two comes first is a coin's toss.
        let inversions = places.as_slice().chunks_exact(2).filter(|pair| pair[0] > pair[1]).count() as f64;
        let tosses = COUNT as f64 / 2.0;
        assert!((inversions - tosses / 2.0).abs() < 4.5 * tosses.sqrt() / 2.0, "draw {key}: {inversions} of {tosses}");
    }
    // An order that let the first tenth in first would be noticed.
    let mut partly: Vec<u32> = order(1, COUNT).as_slice().to_vec();
    partly[..10_000].sort_unstable();
    assert!(
        rank_correlation(&{
            partly.sort_unstable_by_key(|place| place / 95_000);
            partly
        })
        .abs()
            > most
    );
}
