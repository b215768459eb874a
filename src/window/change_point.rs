//! The split when no window is given: Pettitt's rank test over equal stretches of time.
//!
//! Each stretch gives the median duration and the error share of the roots that start in it. For each candidate split
//! the stretches before and after are compared pair by pair, and the split with the most pairs that got worse wins:
//! ranks are deaf to a few wild stretches and need no scale. Only changes for the worse count, since the later part is
//! taken as the regression. The rule knows one change; an incident that is over before the data end is found by its
//! beginning, with its recovery in the regression.
//!
//! A. N. Pettitt, "A non-parametric approach to the change-point problem", Applied Statistics 28 (1979), 126-135.

use super::Root;
use serde::{Deserialize, Serialize};

/// Least share of the traces on either side of an automatic split.
pub const MIN_SHARE: f64 = 0.2;

/// Most stretches of time: enough to place a change within two percent of the data.
const MAX_STRETCHES: usize = 60;
/// Traces a stretch on average, at least: the fewest of which the median is not just one of the extremes. More would
/// leave a minute's worth of traces with too few stretches for any rank test.
const TRACES_PER_STRETCH: usize = 3;
/// A split stands out if chance alone does as well in one of a hundred quiet data sets. Latency and errors are each
/// held to it, so up to two in a hundred pass; drift and bursts, which the test takes for change, come on top.
const SIGNIFICANCE: f64 = 0.01;

/// How an automatic split was found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum AutomaticRule {
    /// The typical duration of root spans rises there.
    LatencyRises {
        /// Chance that quiet data show as much; Pettitt's approximation, one-sided.
        p_value: f64,
    },
    /// The share of failed root spans rises there.
    ErrorsRise {
        /// Chance that quiet data show as much; Pettitt's approximation, one-sided.
        p_value: f64,
    },
    /// The middle of the data, as nothing stands out or for comparison with what does.
    Halves,
}

impl AutomaticRule {
    /// The rule in a clause.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::LatencyRises { .. } => "split where root spans become slower".to_owned(),
            Self::ErrorsRise { .. } => "split where root spans begin to fail more often".to_owned(),
            Self::Halves => "split in the middle".to_owned(),
        }
    }
}

/// Moments to split at and why, the best first: where a change stands out, and the middle.
///
/// Empty if all traces start at one moment.
#[must_use]
pub fn candidates(roots: &[Root]) -> Vec<(i64, AutomaticRule)> {
    let mut candidates: Vec<_> = change_point(roots).into_iter().collect();
    if candidates.first().is_some_and(|&(_, rule)| rule != AutomaticRule::Halves) {
        let mut roots = roots.to_vec();
        roots.sort_unstable_by_key(|root| root.start_unix_ns);
        candidates.push((middle(&roots), AutomaticRule::Halves));
    }
    candidates
}

/// Where to split and why; `None` if all traces start at one moment. Both sides hold at least one trace.
///
/// Costs a sort of the roots.
pub(super) fn change_point(roots: &[Root]) -> Option<(i64, AutomaticRule)> {
    let mut roots = roots.to_vec();
    roots.sort_unstable_by_key(|root| (root.start_unix_ns, root.duration_ns, root.is_error));
    let (first, last) = (roots.first()?.start_unix_ns, roots.last()?.start_unix_ns);
    if first == last {
        return None;
    }
    let stretches = stretches(&roots);
    let medians: Vec<f64> = stretches.iter().map(|stretch| stretch.median_ns).collect();
    let shares: Vec<f64> = stretches.iter().map(|stretch| stretch.error_ratio).collect();
    let latency = pettitt(&stretches, &medians, roots.len());
    let errors = pettitt(&stretches, &shares, roots.len());
    let best = match (latency, errors) {
        (Some(latency), Some(errors)) if latency.p_value < errors.p_value => Some((latency, true)),
        (_, Some(errors)) => Some((errors, false)),
        (latency, None) => latency.map(|latency| (latency, true)),
    };
    match best {
        Some((Candidate { split_unix_ns, p_value }, is_latency)) if p_value < SIGNIFICANCE => {
            let rule = if is_latency {
                AutomaticRule::LatencyRises { p_value }
            } else {
                AutomaticRule::ErrorsRise { p_value }
            };
            Some((split_unix_ns, rule))
        }
        _ => Some((middle(&roots), AutomaticRule::Halves)),
    }
}

/// The roots that start in one stretch of time.
struct Stretch {
    start_unix_ns: i64,
    /// Roots before this stretch.
    n_before: usize,
    median_ns: f64,
    error_ratio: f64,
}

/// Cuts sorted roots into equal stretches of time; stretches without a root are left out.
///
/// The middle 98 % of the starts set the length, so that one stray clock does not put all the rest into one stretch.
fn stretches(roots: &[Root]) -> Vec<Stretch> {
    let tail = roots.len() / 100;
    let start = i128::from(roots[tail].start_unix_ns);
    let end = i128::from(roots[roots.len() - 1 - tail].start_unix_ns) + 1;
    let wanted = (roots.len() / TRACES_PER_STRETCH).clamp(2, MAX_STRETCHES);
    let length = ((end - start) / i128::try_from(wanted).unwrap_or(1)).max(1);
    let length = round_length(length);
    let stretch_of = |root: &Root| (i128::from(root.start_unix_ns).clamp(start, end - 1)).div_euclid(length);
    let mut n_before = 0;
    roots
        .chunk_by(|a, b| stretch_of(a) == stretch_of(b))
        .map(|chunk| {
            let mut durations: Vec<i64> = chunk.iter().map(|root| root.duration_ns).collect();
            durations.sort_unstable();
            let n_errors = chunk.iter().filter(|root| root.is_error).count();
            let stretch = Stretch {
                // A multiple of the length, for a moment that people can read; never after its first root.
                start_unix_ns: i64::try_from(stretch_of(&chunk[0]) * length).unwrap_or(chunk[0].start_unix_ns),
                n_before,
                median_ns: durations[durations.len() / 2] as f64,
                error_ratio: n_errors as f64 / chunk.len() as f64,
            };
            n_before += chunk.len();
            stretch
        })
        .collect()
}

/// Whole seconds from ten seconds on, whole milliseconds from ten milliseconds on, rounded up.
fn round_length(length_ns: i128) -> i128 {
    let unit = match length_ns {
        10_000_000_000.. => 1_000_000_000,
        10_000_000.. => 1_000_000,
        _ => 1,
    };
    (length_ns + unit - 1) / unit * unit
}

/// A split with Pettitt's one-sided approximate significance.
struct Candidate {
    split_unix_ns: i64,
    p_value: f64,
}

/// The split that most pairs of stretches call a rise, among those that leave [`MIN_SHARE`] of the traces either side.
fn pettitt(stretches: &[Stretch], values: &[f64], n_roots: usize) -> Option<Candidate> {
    let n = values.len() as f64;
    let share_before = |stretch: &Stretch| stretch.n_before as f64 / n_roots as f64;
    let mut best: Option<(i64, &Stretch)> = None;
    for (split, stretch) in stretches.iter().enumerate().skip(1) {
        if !(MIN_SHARE..=1.0 - MIN_SHARE).contains(&share_before(stretch)) {
            continue;
        }
        let (before, after) = values.split_at(split);
        let rises: i64 = before.iter().map(|b| after.iter().map(|a| sign(a - b)).sum::<i64>()).sum();
        if best.is_none_or(|(most, _)| rises > most) {
            best = Some((rises, stretch));
        }
    }
    let (rises, stretch) = best?;
    let rises = rises.max(0) as f64;
    let p_value = (-6.0 * rises * rises / (n * n * n + n * n)).exp();
    Some(Candidate { split_unix_ns: stretch.start_unix_ns, p_value })
}

fn sign(difference: f64) -> i64 {
    i64::from(difference > 0.0) - i64::from(difference < 0.0)
}

/// The middle of the time in which sorted roots start; the middle trace's start if that leaves either side thin.
fn middle(roots: &[Root]) -> i64 {
    let (first, last) = (roots[0].start_unix_ns, roots[roots.len() - 1].start_unix_ns);
    // As round as it can be and still lie within a percent of the middle.
    let unit = match last.saturating_sub(first) {
        100_000_000_000.. => 1_000_000_000,
        100_000_000..100_000_000_000 => 1_000_000,
        100_000..100_000_000 => 1_000,
        _ => 1,
    };
    let by_time = i64::midpoint(first, last) + 1;
    let by_time = by_time.saturating_sub(by_time.rem_euclid(unit));
    let before = |split: i64| roots.partition_point(|root| root.start_unix_ns < split);
    let fewest = (roots.len() / 5).max(1);
    if (fewest..=roots.len() - fewest).contains(&before(by_time)) {
        return by_time;
    }
    let median = roots[roots.len() / 2].start_unix_ns;
    if median > first { median } else { roots[before(first + 1)].start_unix_ns }
}
