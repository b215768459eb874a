//! When what a service adds to requests moved, which a change of it is held against.

use super::changes::GRACE_NS;
use super::evidence::{Evidence, Stake};
use super::{Analysis, Prepared, wording};
use crate::compare::paths::NO_PATH;
use crate::rank::{Channel, Verdict};
use std::collections::BTreeMap;

/// A step is told from noise where cutting the series at it saves this many noise variances in squares: some three and a half standard
/// errors.
const MIN_GAIN: f64 = 12.0;
/// Moments that save at most this many noise variances less than the best one may be the true one as well.
const NEARLY: f64 = 8.0;
/// A second step is at least this part of the largest one.
const MIN_PART: f64 = 0.2;
/// Time on a service above this quantile of its entry's requests counts as if it stood there: a few wild requests are no step.
const CAP: f64 = 0.95;

/// What became of a service over time.
pub(super) enum Move {
    /// The data hold no span of it and nobody calls it.
    Unknown,
    /// It is not accused; what it adds, in words.
    Innocent(String),
    /// The data have no common axis of time.
    NoAxis,
    /// It is accused, but there is no one moment at which it moved.
    Unclear,
    /// It moved, each time between two moments; the largest step is the first.
    At { steps: Vec<[i64; 2]>, what: Moved },
}

/// What of a service moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// The time that requests spend on it.
    Time,
    /// The requests that fail by it.
    Failures,
    /// The requests in which it leaves out calls.
    MissingCalls,
}

pub(super) fn moved(analysis: &Analysis, prepared: &Prepared, evidence: Evidence<'_>, service: &str) -> Move {
    let forest = evidence.forest;
    let Some(index) = forest.services.iter().position(|known| known.name == service) else { return Move::Unknown };
    let ranked = analysis.services.iter().find(|ranked| ranked.service == service && ranked.is_significant);
    let Some(ranked) = ranked.filter(|_| analysis.verdict == Verdict::Regression) else {
        return Move::Innocent(innocent(analysis, evidence, index));
    };
    if prepared.has_sides() {
        return Move::NoAxis;
    }
    let what = match ranked.findings.iter().find(|finding| finding.is_significant).map(|finding| finding.channel) {
        Some(Channel::Errors) => Moved::Failures,
        Some(Channel::MissingCalls) => Moved::MissingCalls,
        Some(Channel::Latency | Channel::TypicalLatency | Channel::TailLatency) | None => Moved::Time,
    };
    let blamed = &evidence.comparison.attribution.blamed;
    let subjects: Vec<u32> =
        (0_u32..).zip(blamed).filter(|&(_, &own)| own as usize == index).map(|(subject, _)| subject).collect();
    let windows = &analysis.windows;
    // What comes after the regression is a recovery, which is no rise.
    let range = windows.baseline.start_unix_ns..windows.regression.end_unix_ns;
    let traces: Vec<u32> = prepared
        .traces(true)
        .into_iter()
        .filter(|&trace| range.contains(&forest.root_start_ns[trace as usize]))
        .collect();
    let series = series(&traces, evidence, &subjects, what);
    let Some(largest) = step(&series) else { return Move::Unclear };
    let parts = [&series[..largest.cuts[0]], &series[largest.cuts[1]..]];
    let is_large = |part: &Step| part.rise >= MIN_PART * largest.rise && part.gain >= 2.0 * MIN_GAIN;
    let others = parts.into_iter().filter_map(step).filter(is_large).map(|part| part.between);
    Move::At { steps: std::iter::once(largest.between).chain(others).collect(), what }
}

/// Why a service is not accused: what it adds, and what that lacks.
fn innocent(analysis: &Analysis, evidence: Evidence<'_>, index: usize) -> String {
    let own = evidence.comparison.services[index];
    let name = &evidence.forest.services[index].name;
    let ms = |ns: f64| wording::signed_ms(ns / super::build::NS_PER_MS);
    let [low, high] = own.interval();
    let floor_ms = analysis.degradation.floor_ms;
    let ranked = analysis.services.iter().find(|ranked| &ranked.service == name);
    let finding = ranked.and_then(|ranked| ranked.findings.iter().find(|finding| finding.channel == Channel::Latency));
    let lacks = if low <= 0.0 && high >= 0.0 {
        "which does not stand out from chance".to_owned()
    } else if own.value <= 0.0 {
        "which makes nothing slower".to_owned()
    } else if own.value / super::build::NS_PER_MS < floor_ms {
        format!("which is too little to accuse a service of: that begins at {}", wording::ms(floor_ms))
    } else if analysis.degradation.adjusted_interval_ms[1] < -floor_ms {
        "while requests became faster on the whole".to_owned()
    } else {
        let q = finding.map_or_else(String::new, |finding| format!(" (false discovery rate {:.2})", finding.q));
        format!("which is not certain enough to accuse one of all the services that were looked at{q}")
    };
    format!("what {name} adds to a request moved by {} ({} to {}), {lacks}", ms(own.value), ms(low), ms(high))
}

/// A request of an entry to which the service matters.
#[derive(Clone, Copy)]
struct Sample {
    start_ns: i64,
    end_ns: i64,
    /// What it spends on the service, or 1 if it fails by it or lacks its calls; in the end less the entry's mean.
    value: f64,
}

/// What each request of an entry to which the service matters spends on it; in order of start.
fn series(traces: &[u32], evidence: Evidence<'_>, subjects: &[u32], what: Moved) -> Vec<Sample> {
    let (forest, table) = (evidence.forest, evidence.table);
    let parts = evidence.parts(subjects);
    let stake: Stake = evidence.stake(&parts);
    let lost = if what == Moved::MissingCalls { parts.lost() } else { Vec::new() };
    let failing: Vec<u32> = evidence.failing(subjects).into_iter().map(|(trace, _)| trace).collect();
    let mut by_entry: BTreeMap<u32, Vec<Sample>> = BTreeMap::new();
    for &trace in traces {
        let costs = table.costs_of(trace as usize);
        let tops = costs.clone().map(|cost| cost.path).filter(|&path| {
            let path = table.paths.list[path as usize];
            path.parent == NO_PATH && path.scope == evidence.comparison.scope
        });
        let Some(entry) = tops.min() else { continue };
        let time_ns: f64 = costs
            .map(|cost| {
                let parts = [cost.self_ns, cost.before_ns, cost.wait_ns];
                (0..3).filter(|&part| stake.owns(cost.path, part)).map(|part| parts[part] as f64).sum::<f64>()
            })
            .sum();
        let share = |is_so: bool| f64::from(u8::from(is_so));
        let value = match what {
            Moved::Time => time_ns,
            Moved::Failures => share(failing.binary_search(&trace).is_ok()),
            Moved::MissingCalls => share(!evidence.makes(trace, &lost)),
        };
        let start_ns = forest.root_start_ns[trace as usize];
        let end_ns = forest.first_top(trace as usize).map_or(start_ns, |top| forest.end_ns[top]);
        by_entry.entry(entry).or_default().push(Sample { start_ns, end_ns, value });
    }
    let mut all = Vec::new();
    for (_, mut own) in by_entry {
        if own.iter().all(|sample| sample.value == 0.0) {
            continue;
        }
        if what == Moved::Time {
            let mut values: Vec<f64> = own.iter().map(|sample| sample.value).collect();
            values.sort_unstable_by(f64::total_cmp);
            let cap = crate::stats::quantile(&values, CAP).unwrap_or(f64::INFINITY);
            for sample in &mut own {
                sample.value = sample.value.min(cap);
            }
        }
        let mean = own.iter().map(|sample| sample.value).sum::<f64>() / own.len() as f64;
        all.extend(own.into_iter().map(|sample| Sample { value: sample.value - mean, ..sample }));
    }
    let at = |sample: &Sample| (sample.start_ns, sample.end_ns);
    all.sort_by(|left, right| at(left).cmp(&at(right)).then(left.value.total_cmp(&right.value)));
    all
}

/// A rise of a series.
struct Step {
    /// Between which moments it lies.
    between: [i64; 2],
    /// The first cut of the series that may be it, and the last.
    cuts: [usize; 2],
    /// Noise variances that it saves.
    gain: f64,
    /// By how much the mean rises.
    rise: f64,
}

/// Between which moments the series rose: the cut into two parts that leaves least variance, and all cuts that are nearly as good.
///
/// Least squares for one step (Hinkley, "Inference about the change-point in a sequence of random variables", Biometrika 57 (1970) 1).
fn step(series: &[Sample]) -> Option<Step> {
    const FEWEST: usize = 5;
    let n = series.len();
    if n < 2 * FEWEST {
        return None;
    }
    let total: f64 = series.iter().map(|sample| sample.value).sum();
    let squares: f64 = series.iter().map(|sample| sample.value * sample.value).sum();
    // Gain of a cut before element `k`, rises only.
    let mut gains = vec![f64::NEG_INFINITY; n];
    let mut left = 0.0;
    for k in 1..n {
        left += series[k - 1].value;
        let (before, after) = (left / k as f64, (total - left) / (n - k) as f64);
        if (FEWEST..=n - FEWEST).contains(&k) && after > before {
            gains[k] = left * before + (total - left) * after - total * total / n as f64;
        }
    }
    let best = gains.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let noise = ((squares - total * total / n as f64 - best) / (n as f64 - 2.0)).max(f64::MIN_POSITIVE);
    if best < MIN_GAIN * noise {
        return None;
    }
    let near = |k: &usize| gains[*k] >= best - NEARLY * noise;
    let first = (1..n).find(near)?;
    let last = (1..n).rev().find(near)?;
    // The last request before the cut began without the change, the first one after it ended with it; one without an end tells nothing.
    let after = series[last];
    let mean = |part: &[Sample]| part.iter().map(|sample| sample.value).sum::<f64>() / part.len() as f64;
    Some(Step {
        between: [series[first - 1].start_ns, after.end_ns.min(after.start_ns.saturating_add(GRACE_NS))],
        cuts: [first, last],
        gain: best / noise,
        rise: mean(&series[last..]) - mean(&series[..first]),
    })
}
