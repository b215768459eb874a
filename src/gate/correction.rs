//! How sure a finding must be, given how many are looked for.
//!
//! Holm's weighted correction leaves free who gets how much of the error, as long as what is tested has no say in it. A change that is many
//! of its errors large is seen however little its test may err, and one that is a small part of an error is not seen whatever its test may
//! err; what is between gains. So the error of a rule goes to its tests where it lets most be seen: with importances `q_i`, and `d_i`
//! errors in the change that must be seen, the sum of `q_i P(seen)` is largest with borders `z_i = d_i / 2 + (c - ln q_i) / d_i`, where `c` makes the
//! chances above them sum to the error (Roeder & Wasserman, "Genome-wide significance levels and weighted hypothesis testing", Statistical Science
//! 24 (2009) 398). A part is given to all by importance alone: half alike, half by the root of how much of a request's
//! time each is about, since twice of it is not twice as grave.

use super::policy::{Level, Measure, Rule};
use super::{Change, Test};
use statrs::distribution::{ContinuousCDF, Normal};

/// A change must be seen that is so many times a rule's limit: one just above it is measured to be below half the time.
const SEEN: f64 = 2.0;
/// Part of a rule's error that goes by importance alone.
const EVEN: f64 = 0.2;
/// A change of fewer errors is hardly seen whatever its test may err.
const FEWEST_ERRORS: f64 = 2.5;
/// One of more is seen as well as one of so many.
const MOST_ERRORS: f64 = 12.0;

/// Holm's corrected chances over the tests of the rules of a level, each with its weight, where all together may err by `error`.
pub(super) fn correct(tests: &mut [Test<'_>], rules: &[Rule], level: Level, error: f64) {
    let mut order: Vec<usize> = (0..tests.len()).filter(|&test| rules[tests[test].rule].level == level).collect();
    let weights = weights(tests, &order, rules, error);
    let weight = |test: usize| weights[test];
    let ratio = |test: usize| tests[test].p / weight(test);
    order.sort_by(|&left, &right| ratio(left).total_cmp(&ratio(right)).then(left.cmp(&right)));
    let mut left: f64 = 1.0;
    let mut largest = 0.0_f64;
    for test in order {
        let weight = weight(test);
        largest = largest.max(tests[test].p / weight * left.max(weight)).min(1.0);
        tests[test].p_corrected = largest;
        left -= weight;
    }
}

/// Share of the error that is allowed to each test of `order`; 0 of others.
fn weights(tests: &[Test<'_>], order: &[usize], rules: &[Rule], error: f64) -> Vec<f64> {
    let of_rule: Vec<Vec<usize>> =
        (0..rules.len()).map(|rule| order.iter().copied().filter(|&test| tests[test].rule == rule).collect()).collect();
    let rule_weight = |rule: usize| if of_rule[rule].is_empty() { 0.0 } else { weight_of(rules[rule].measure) };
    let all: f64 = (0..rules.len()).map(rule_weight).sum();
    let mut weights = vec![0.0; tests.len()];
    for (rule, members) in of_rule.iter().enumerate().filter(|(_, members)| !members.is_empty()) {
        let part = rule_weight(rule) / all;
        let stake = |test: usize| tests[test].stake.sqrt();
        let stakes: f64 = members.iter().map(|&test| stake(test)).sum();
        let even = 1.0 / members.len() as f64;
        let importance = |&test: &usize| f64::midpoint(even, if stakes > 0.0 { stake(test) / stakes } else { even });
        let importances: Vec<f64> = members.iter().map(importance).collect();
        let sizes: Vec<f64> = members.iter().map(|&test| size(&tests[test].change, &rules[rule])).collect();
        for (&test, share) in members.iter().zip(shares(&importances, &sizes, part * error)) {
            weights[test] = part * share;
        }
    }
    weights
}

/// How many of its errors the change is that must be seen.
fn size(change: &Change, rule: &Rule) -> f64 {
    let limit = rule.more_than.max(rule.more_than_percent / 100.0 * change.base);
    // The interval is four errors wide.
    SEEN * limit / ((change.interval[1] - change.interval[0]) / 4.0)
}

/// Shares of `error` of tests with such importances, which sum to 1, and sizes of what they must see.
fn shares(importances: &[f64], sizes: &[f64], error: f64) -> Vec<f64> {
    let normal = Normal::standard();
    let chances = |level: f64| -> Vec<f64> {
        let of = |(importance, size): (&f64, &f64)| {
            if *size < FEWEST_ERRORS || size.is_nan() {
                return 0.0;
            }
            let size = size.min(MOST_ERRORS);
            normal.sf(size / 2.0 + (level - importance.ln()) / size)
        };
        importances.iter().zip(sizes).map(of).collect()
    };
    let (mut low, mut high) = (-100.0, 100.0);
    for _ in 0..64 {
        let half = f64::midpoint(low, high);
        if chances(half).iter().sum::<f64>() > error { low = half } else { high = half }
    }
    let chances = chances(low);
    let all: f64 = chances.iter().sum();
    let share = |(importance, chance): (&f64, f64)| {
        if all > 0.0 { EVEN * importance + (1.0 - EVEN) * chance / all } else { *importance }
    };
    importances.iter().zip(chances).map(share).collect()
}

/// How much of the error a rule is given. A weight gains most where a change is near the border of what can be seen: that is where usual calls
/// are looked at; what else is seen is far beyond it.
fn weight_of(measure: Measure) -> f64 {
    match measure {
        Measure::Typical => 16.0,
        Measure::Mean
        | Measure::Tail
        | Measure::Errors
        | Measure::Calls
        | Measure::FewerCalls
        | Measure::NewDependency => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::{EVEN, shares};
    use statrs::distribution::{ContinuousCDF, Normal};

    #[test]
    fn error_goes_where_it_lets_most_be_seen_and_none_is_left_without() {
        let (importances, sizes) = ([0.25; 4], [1.0, 3.0, 5.0, 12.0]);
        let found = shares(&importances, &sizes, 0.01);
        assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{found:?}");
        assert!(found[1] > found[2] && found[2] > found[3], "{found:?}");
        assert!((found[0] - 0.25 * EVEN).abs() < 1e-12 && found[3] > 0.25 * EVEN, "{found:?}");
        // Moving error from one to another lets no more be seen.
        let normal = Normal::standard();
        let seen = |chances: [f64; 2]| {
            let of = |(chance, size): (f64, f64)| normal.sf(-normal.inverse_cdf(chance) - size);
            chances.into_iter().zip([3.0, 5.0]).map(of).sum::<f64>()
        };
        let chances = [1, 2].map(|test| 0.01 * (found[test] - 0.25 * EVEN) / (1.0 - EVEN));
        for part in [-0.3, -0.05, 0.05, 0.3] {
            let moved = part * chances[1];
            assert!(seen([chances[0] - moved, chances[1] + moved]) < seen(chances), "{part} of {chances:?}");
        }
    }

    #[test]
    fn where_nothing_is_known_of_what_must_be_seen_error_goes_by_importance() {
        for size in [f64::NAN, 0.0, 2.0] {
            assert_eq!(shares(&[0.3, 0.7], &[size; 2], 0.01), [0.3, 0.7]);
        }
        let apart = shares(&[0.5, 0.5], &[0.0, f64::INFINITY], 0.01);
        assert!((apart[0] - 0.1).abs() < 1e-9 && (apart[1] - 0.9).abs() < 1e-9, "{apart:?}");
    }
}
