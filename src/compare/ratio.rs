//! How certain a change of a ratio of two counts is, where what one trace does hangs together.
//!
//! The ratio estimator of survey sampling (Cochran, *Sampling Techniques*, 3rd ed., section 6.3): with `c` counted and `v` possible in
//! trace `i`, `R = sum c / sum v` and `var R = n / (n - 1) sum (c_i - R v_i)^2 / (sum v)^2` over `n` traces.

use super::Estimate;
use statrs::distribution::{ContinuousCDF, DiscreteCDF, Hypergeometric, StudentsT};
use statrs::function::factorial::ln_binomial;

/// Sums over the traces of one window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ratio {
    /// Traces in which it could be.
    pub n_traces: u64,
    /// Traces in which it was.
    pub n_with: u64,
    /// Weighted counts: what was counted, and what could have been.
    pub counted: f64,
    /// See `counted`.
    pub possible: f64,
    squares: f64,
    products: f64,
    possible_squares: f64,
}

impl Ratio {
    /// Adds a trace that stands for `weight`.
    pub fn add(&mut self, counted: f64, possible: f64, weight: f64) {
        self.n_traces += u64::from(possible > 0.0);
        self.n_with += u64::from(counted > 0.0);
        let (counted, possible) = (weight * counted, weight * possible);
        self.counted += counted;
        self.possible += possible;
        self.squares += counted * counted;
        self.products += counted * possible;
        self.possible_squares += possible * possible;
    }

    /// Counts so many in a trace that was added before with none.
    pub fn count(&mut self, counted: f64, possible: f64, weight: f64) {
        self.n_with += u64::from(counted > 0.0);
        let (counted, possible) = (weight * counted, weight * possible);
        self.counted += counted;
        self.squares += counted * counted;
        self.products += counted * possible;
    }

    /// The ratio; 0 where nothing was possible.
    #[must_use]
    pub fn value(&self) -> f64 {
        if self.possible > 0.0 { self.counted / self.possible } else { 0.0 }
    }

    /// Its variance; 0 for fewer than two traces.
    #[must_use]
    pub fn variance(&self) -> f64 {
        if self.n_traces < 2 || self.possible <= 0.0 {
            return 0.0;
        }
        let (ratio, n) = (self.value(), self.n_traces as f64);
        let residuals = self.squares - 2.0 * ratio * self.products + ratio * ratio * self.possible_squares;
        n / (n - 1.0) * residuals.max(0.0) / (self.possible * self.possible)
    }
}

/// Change of a ratio between two windows and the chance of one as large where nothing changed.
#[must_use]
pub fn change([baseline, regression]: [Ratio; 2]) -> (Estimate, f64) {
    let error = (baseline.variance() + regression.variance()).sqrt();
    let change = Estimate::new(regression.value() - baseline.value(), error);
    let counts = [baseline, regression].map(|ratio| Presence { n_traces: ratio.n_traces, n_with: ratio.n_with });
    (change, p_value(change, counts))
}

/// In how many traces of a window something could be, and was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Traces in which it could be.
    pub n_traces: u64,
    /// Traces in which it was.
    pub n_with: u64,
}

/// Two-sided p-value of a change.
///
/// Where one window has none at all, Fisher's exact test on the traces that do; else Student's t with as many degrees of freedom as
/// there are traces to learn the spread from. No test can tell few traces apart better than by the number of ways to deal them to
/// two windows.
#[must_use]
pub fn p_value(change: Estimate, counts: [Presence; 2]) -> f64 {
    let [before, after] = counts;
    if change.value == 0.0 || before.n_traces == 0 || after.n_traces == 0 {
        return 1.0;
    }
    if before.n_with.min(after.n_with) == 0 {
        return fisher(counts);
    }
    let n_deals = ln_binomial(before.n_traces + after.n_traces, after.n_traces);
    let least = (2.0 * (-n_deals).exp()).min(1.0);
    let freedom = (before.n_with + after.n_with).saturating_sub(2).max(1) as f64;
    let z = change.z().abs();
    let p = StudentsT::new(0.0, 1.0, freedom).map_or(1.0, |student| 2.0 * student.sf(z));
    p.clamp(least, 1.0)
}

/// Fisher's exact test: twice the smaller tail of the traces of the regression that have it.
fn fisher([before, after]: [Presence; 2]) -> f64 {
    let n_with = before.n_with + after.n_with;
    let Ok(null) = Hypergeometric::new(before.n_traces + after.n_traces, n_with, after.n_traces) else { return 1.0 };
    let upper = if after.n_with == 0 { 1.0 } else { null.sf(after.n_with - 1) };
    let lower = null.cdf(after.n_with);
    (2.0 * upper.min(lower)).min(1.0)
}
