//! Calls by group and window, measured.

use crate::packed::{folded, n_bytes, put, take, unfolded};
use crate::stats::weighted_quantile;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Calls of one edge or node in one window. Ratios and latencies are of requests, so a sampled call counts as often as
/// its trace's weight says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallStats {
    /// Calls in the data.
    pub n_calls: u64,
    /// How many calls these stand for under sampling; equal to `n_calls` without sampling.
    pub weighted_calls: f64,
    /// Failed calls in the data.
    pub n_errors: u64,
    /// Share of calls that failed.
    pub error_ratio: f64,
    /// Mean latency, milliseconds.
    pub mean_ms: f64,
    /// Median latency, milliseconds.
    pub p50_ms: f64,
    /// 95th percentile of the latency, milliseconds.
    pub p95_ms: f64,
    /// 99th percentile of the latency, milliseconds.
    pub p99_ms: f64,
}

/// Spans of one service or operation in one window, and the calls that it answered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeStats {
    /// Its spans; 0 for an inferred service.
    pub n_spans: u64,
    /// Calls that it answered: spans that a caller elsewhere waits for or that begin a request. All spans of an operation.
    #[serde(flatten)]
    pub calls: CallStats,
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// 0 for the first window, 1 for the second.
    pub(super) window: u32,
    pub(super) duration_ns: i64,
    pub(super) failed: bool,
    /// How many calls it stands for.
    pub(super) weight: f64,
}

/// Calls by group and window.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// By twice the group, and one more in the second window.
    groups: Vec<Packed>,
}

/// Calls of one group in one window.
#[derive(Debug, Default)]
struct Packed {
    /// Of each call the length of its duration in bytes, and 16 if it failed; then the duration.
    bytes: Vec<u8>,
    n_calls: usize,
    /// Empty while every call stands for itself alone.
    weight: Vec<f64>,
}

/// In the first byte of a call: it failed.
const FAILED: u8 = 16;

impl Calls {
    pub(super) fn push(&mut self, group: u32, call: Call) {
        let group = 2 * group as usize + call.window as usize;
        if self.groups.len() <= group {
            self.groups.resize_with(group + 1, Packed::default);
        }
        self.groups[group].push(call);
    }

    /// Figures of each of `n_groups` groups in each window; `None` where there was no call.
    pub(super) fn by_group(mut self, n_groups: usize) -> Vec<[Option<CallStats>; 2]> {
        self.groups.resize_with(2 * n_groups, Packed::default);
        let is_sampled = self.groups.iter().any(|group| !group.weight.is_empty());
        let figures: Vec<Option<CallStats>> =
            self.groups.into_par_iter().map(|group| group.figures(is_sampled)).collect();
        figures.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect()
    }
}

impl Packed {
    fn push(&mut self, call: Call) {
        #[expect(clippy::float_cmp, reason = "without sampling weights are set to 1, not computed")]
        let is_sampled = call.weight != 1.0;
        if is_sampled && self.weight.is_empty() {
            self.weight.resize(self.n_calls, 1.0);
        }
        if is_sampled || !self.weight.is_empty() {
            self.weight.push(call.weight);
        }
        let duration = folded(call.duration_ns);
        let length = n_bytes(duration);
        self.bytes.push(length | if call.failed { FAILED } else { 0 });
        put(duration, length, &mut self.bytes);
        self.n_calls += 1;
    }

    /// Duration of each call, and whether it failed.
    fn calls(&self) -> impl Iterator<Item = (i64, bool)> + '_ {
        let mut left = self.bytes.as_slice();
        (0..self.n_calls).map(move |_| {
            let head = u8::try_from(take(1, &mut left)).unwrap_or_default();
            (unfolded(take(head & !FAILED, &mut left)), head & FAILED != 0)
        })
    }

    /// As all others are, if `are_sampled`.
    fn figures(self, are_sampled: bool) -> Option<CallStats> {
        if are_sampled {
            let weights = self.weight.iter().copied().chain(std::iter::repeat(1.0));
            let calls = self.calls().zip(weights).map(|((duration_ns, failed), weight)| (duration_ns, weight, failed));
            return sampled(&mut calls.collect::<Vec<_>>());
        }
        let mut n_errors = 0;
        let durations = self.calls().map(|(duration_ns, failed)| {
            n_errors += u64::from(failed);
            duration_ns
        });
        plain(&mut durations.collect::<Vec<_>>(), n_errors)
    }
}

/// Figures of a histogram of calls by duration, bits of the weight, and failure; none of no call.
pub(super) fn figures_of(calls: &BTreeMap<(i64, u64, bool), u64>) -> Option<CallStats> {
    let mut list = Vec::new();
    for (&(duration_ns, weight, failed), &count) in calls {
        let call = (duration_ns, f64::from_bits(weight), failed);
        list.extend(std::iter::repeat_n(call, usize::try_from(count).unwrap_or(usize::MAX)));
    }
    #[expect(clippy::float_cmp, reason = "without sampling weights are set to 1, not computed")]
    let is_sampled = list.iter().any(|&(_, weight, _)| weight != 1.0);
    if is_sampled {
        return sampled(&mut list);
    }
    let n_errors = list.iter().filter(|&&(.., failed)| failed).count() as u64;
    let mut durations_ns: Vec<i64> = list.into_iter().map(|(duration_ns, ..)| duration_ns).collect();
    plain(&mut durations_ns, n_errors)
}

/// Figures of calls that stand for themselves alone. Their order does not matter; the sum is exact.
fn plain(durations_ns: &mut [i64], n_errors: u64) -> Option<CallStats> {
    let last = durations_ns.len().checked_sub(1)?;
    let n_calls = durations_ns.len() as f64;
    let sum: i128 = durations_ns.iter().map(|&duration_ns| i128::from(duration_ns)).sum();
    // From the highest down, each found among those below the one before.
    let (mut below, mut upper) = (durations_ns.len(), None);
    let mut quantile_ms = |q: f64| {
        let position = q * (n_calls - 1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative and at most `last`")]
        let place = (position.floor() as usize).min(last);
        let (_, &mut at, above) = durations_ns[..below].select_nth_unstable(place);
        let next = above.iter().copied().min().or(upper).unwrap_or(at);
        (below, upper) = (place + 1, Some(next));
        (at as f64 + position.fract() * (next as f64 - at as f64)) / 1e6
    };
    let (p99_ms, p95_ms, p50_ms) = (quantile_ms(0.99), quantile_ms(0.95), quantile_ms(0.5));
    Some(CallStats {
        n_calls: durations_ns.len() as u64,
        weighted_calls: n_calls,
        n_errors,
        error_ratio: n_errors as f64 / n_calls,
        mean_ms: sum as f64 / n_calls / 1e6,
        p50_ms,
        p95_ms,
        p99_ms,
    })
}

/// Figures of calls that stand for many: (nanoseconds, weight, failed).
fn sampled(calls: &mut [(i64, f64, bool)]) -> Option<CallStats> {
    if calls.is_empty() {
        return None;
    }
    // Over all fields, so that sums do not depend on the order in which the calls were read.
    calls.sort_unstable_by(|left, right| {
        left.0.cmp(&right.0).then(left.1.total_cmp(&right.1)).then(left.2.cmp(&right.2))
    });
    let values: Vec<f64> = calls.iter().map(|&(duration_ns, ..)| duration_ns as f64).collect();
    let mut total = 0.0;
    let cumulative: Vec<f64> = calls
        .iter()
        .map(|&(_, weight, _)| {
            total += weight;
            total
        })
        .collect();
    let failed = || calls.iter().filter(|&&(.., failed)| failed);
    // An empty sum of floats is -0.
    let failed_weight: f64 = 0.0 + failed().map(|&(_, weight, _)| weight).sum::<f64>();
    let sum: f64 = calls.iter().zip(&values).map(|(&(_, weight, _), value)| weight * value).sum();
    let quantile_ms = |q| weighted_quantile(&values, &cumulative, q).unwrap_or(0.0) / 1e6;
    Some(CallStats {
        n_calls: calls.len() as u64,
        weighted_calls: total,
        n_errors: failed().count() as u64,
        error_ratio: failed_weight / total,
        mean_ms: sum / total / 1e6,
        p50_ms: quantile_ms(0.5),
        p95_ms: quantile_ms(0.95),
        p99_ms: quantile_ms(0.99),
    })
}

#[cfg(test)]
mod tests {
    use super::{Call, Calls, plain, sampled};

    #[test]
    fn figures_of_calls_that_stand_for_one_are_those_of_weights_of_one() {
        for n in 1..=250_u64 {
            let durations_ns: Vec<i64> =
                (0..n).map(|call| (crate::stats::random(3, n, call) % 90).cast_signed()).collect();
            let mut calls: Vec<(i64, f64, bool)> = durations_ns.iter().map(|&ns| (ns, 1.0, ns % 7 == 0)).collect();
            let n_errors = calls.iter().filter(|&&(.., failed)| failed).count() as u64;
            assert_eq!(plain(&mut durations_ns.clone(), n_errors), sampled(&mut calls), "{durations_ns:?}");
        }
        assert_eq!((plain(&mut [], 0), sampled(&mut [])), (None, None));
    }

    #[test]
    fn calls_are_told_apart_by_group_and_window_and_a_late_weight_counts_from_its_call_on() {
        let call = |window, duration_ns, weight| Call { window, duration_ns, failed: duration_ns == 4_000_000, weight };
        let mut calls = Calls::default();
        calls.push(2, call(0, 2_000_000, 1.0));
        calls.push(0, call(1, 8_000_000, 1.0));
        calls.push(2, call(0, 4_000_000, 3.0));
        let figures = calls.by_group(3);
        assert_eq!((figures[0][0], figures[1], figures[2][1]), (None, [None; 2], None));
        let [other, own] = [figures[0][1], figures[2][0]].map(|figures| figures.expect("calls"));
        assert_eq!((other.n_calls, other.mean_ms, other.n_errors), (1, 8.0, 0));
        // One call of 2 ms and three of 4 ms, which failed.
        assert_eq!((own.n_calls, own.weighted_calls, own.mean_ms, own.error_ratio), (2, 4.0, 3.5, 0.75));
    }
}
