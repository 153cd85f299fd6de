//! Who comes to a simulated sale, and what they will do. Every choice is made before the sale begins, from the seed alone,
//! so each policy meets the same people.

use domain::Millis;

/// What visitors are like. Times are means of exponential distributions unless it says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Model {
    /// People who come.
    pub visitors: u32,
    /// Of 1,000, those who are there when the sale opens.
    pub early_permille: u32,
    /// Milliseconds after the opening in which the others come.
    pub wave_ms: u64,
    /// Milliseconds somebody is willing to stand in line.
    pub patience_ms: u64,
    /// Of 1,000 people called, those who do not come although their patience has not run out.
    pub no_show_permille: u32,
    /// Milliseconds from being called to claiming.
    pub react_ms: u64,
    /// Milliseconds from the pass to the hold, and again from the hold to the confirm.
    pub think_ms: u64,
    /// Of 1,000 people inside, those who want a unit.
    pub want_permille: u32,
    /// Of 1,000 holds, those that are left to run out.
    pub lapse_permille: u32,
    /// Everything above is drawn from this.
    pub seed: u64,
}

/// One visitor's plans.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Visitor {
    /// When the visitor joins, from the opening on.
    pub joins: Millis,
    /// Gives up when not called until then.
    pub patient_until: Millis,
    /// Never comes when called.
    pub no_show: bool,
    /// Milliseconds from being called to claiming.
    pub react_ms: u64,
    /// Milliseconds from the pass to the hold, or to leaving.
    pub look_ms: u64,
    /// Milliseconds from the hold to the confirm.
    pub pay_ms: u64,
    /// Wants a unit.
    pub wants: bool,
    /// Lets the hold run out.
    pub lapses: bool,
}

/// SplitMix64: a stream per seed, the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    fn permille(&mut self, permille: u32) -> bool {
        self.next() % 1_000 < u64::from(permille)
    }

    /// Exponentially distributed with this mean.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a model")]
    fn exponential(&mut self, mean: u64) -> u64 {
        let uniform = ((self.next() >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
        (-uniform.ln() * mean as f64) as u64
    }
}

impl Model {
    /// Everybody, in order of arrival: the visitor at index `n` gets number `n + 1`.
    #[must_use]
    pub fn visitors(&self) -> Vec<Visitor> {
        let mut visitors: Vec<Visitor> = (0..self.visitors).map(|n| self.visitor(n)).collect();
        visitors.sort_by_key(|visitor| visitor.joins);
        visitors
    }

    fn visitor(&self, n: u32) -> Visitor {
        let mut random = Random(self.seed ^ (u64::from(n) << 32 | 0x5EED));
        let joins = if random.permille(self.early_permille) { 0 } else { random.exponential(self.wave_ms) };
        Visitor {
            joins: Millis(joins),
            patient_until: Millis(joins.saturating_add(random.exponential(self.patience_ms))),
            no_show: random.permille(self.no_show_permille),
            react_ms: random.exponential(self.react_ms),
            look_ms: random.exponential(self.think_ms),
            pay_ms: random.exponential(self.think_ms),
            wants: random.permille(self.want_permille),
            lapses: random.permille(self.lapse_permille),
        }
    }
}
