//! Why nothing found would not mean that nothing is there.

use super::policy::{Level, Measure, Of, Policy};
use super::{Finding, units};
use crate::analysis::{Analysis, Pair};
use crate::rank::MIN_REQUESTS;

/// More requests fail than by chance alone, once in a hundred, where one looks at them alone; to fail a build takes more.
const HARDLY_CHANCE: f64 = 0.01;

pub(super) fn doubts(analysis: &Analysis, policy: &Policy, findings: &[Finding], is_partial: bool) -> Vec<String> {
    let mut doubts = Vec::new();
    if is_partial {
        doubts.push("some of the input could not be read".to_owned());
    }
    let windows = &analysis.windows;
    for (name, window) in [("baseline", &windows.baseline), ("candidate", &windows.regression)] {
        // How many others a sampled request stands for makes it no more than one.
        if (window.n_traces as f64) < MIN_REQUESTS {
            doubts.push(format!("the {name} holds {} requests, fewer than {MIN_REQUESTS}", window.n_traces));
        }
    }
    let (n_shared, n_traces) = (analysis.diagnostics.n_traces_on_both_sides, windows.regression.n_traces);
    if n_shared > 0 && 2 * n_shared >= n_traces.min(windows.baseline.n_traces) {
        doubts.push(format!(
            "{n_shared} of the candidate's {n_traces} traces are in the baseline's data, too: most is compared with itself"
        ));
    }
    let known = |share: fn(&Pair) -> f64| {
        let both = analysis
            .entries
            .iter()
            .filter(|entry| entry.n_requests.baseline > 0.0 && entry.n_requests.regression > 0.0);
        both.map(|entry| share(&entry.share)).sum::<f64>()
    };
    for (name, other, known) in [
        ("baseline", "candidate", known(|share| share.baseline)),
        ("candidate", "baseline", known(|share| share.regression)),
    ] {
        let percent = 100.0 * (1.0 - known);
        if percent > policy.must_see_percent {
            doubts.push(format!(
                "{percent:.0} % of the {name}'s requests are to entries that the {other} has none of, so nothing is known of them"
            ));
        }
    }
    let whole = &analysis.degradation;
    let all = (whole.mean_ms.baseline, whole.adjusted_interval_ms);
    // Where fewer fail, only requests that succeed tell whether anything got slower.
    let (base, [low, high]) =
        whole.without_failures.map_or(all, |without| (without.mean_ms.baseline, without.adjusted_interval_ms));
    // What is certainly slower is seen, however uncertain by how much.
    if base > 0.0 && low <= 0.0 && high > policy.must_see_percent / 100.0 * base {
        doubts.push(format!(
            "a slowdown of all requests by {} % cannot be ruled out: the 95 % interval of the change reaches {:+.1} %",
            policy.must_see_percent,
            100.0 * high / base
        ));
    }
    doubts.extend(failures(analysis, policy, findings));
    doubts
}

/// Why more requests may fail than the policy's limit of all requests, though no such finding is sure enough.
fn failures(analysis: &Analysis, policy: &Policy, findings: &[Finding]) -> Option<String> {
    let is_own = |of: Of, measure: Measure| of == Of::All && measure == Measure::Errors;
    let mut rules = policy.rules.iter().filter(|rule| rule.level == Level::Fail);
    let rule = rules.find(|rule| is_own(rule.of, rule.measure))?;
    if findings.iter().any(|finding| is_own(finding.of, finding.measure)) {
        return None;
    }
    let change = units::units(analysis, rule).first()?.change(Measure::Errors)?;
    let [low, high] = change.interval.map(|points| format!("{points:+.1}"));
    let limit = rule.more_than.max(rule.more_than_percent / 100.0 * change.base);
    if change.by > limit && change.p_of_worse() <= HARDLY_CHANCE {
        return Some(format!(
            "{:+.1} points of all requests fail (95 % interval {low} to {high}), hardly by chance, yet not surely enough for so many tests",
            change.by
        ));
    }
    let must_see = policy.must_see_points.max(limit);
    (change.interval[1] > must_see).then(|| {
        format!("a rise of failing requests by {must_see} points cannot be ruled out: the 95 % interval of the change reaches {high} points")
    })
}
