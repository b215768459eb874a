//! Three ways to look at the cost of a request, each summed and decomposed alike.
//!
//! The *mean* is what the change is split by, exactly; but a handful of requests that took seconds can hide a fault of 200 ms in
//! every call, and a fault in one call of fifty hides in the mean of all. So two more views are compared:
//!
//! - *typical*: what a trace spends on a call of a path counts at most as much as three of four calls of either window do.
//!   A few wild calls then weigh no more than slow ones, and a shift of all calls stands out from them.
//! - *tail*: only the slowest twentieth of each entry operation's requests counts, as their mean (expected shortfall), which
//!   unlike a 95th percentile is still a sum over paths. It is taken an entry at a time, so that an entry which becomes
//!   slow is not taken for a change of the tail's traffic.

use super::gather::{gather, groups};
use super::hidden::{self, HiddenSums};
use super::paths::{CostTable, PathCost};
use super::sums::Blocks;
use crate::normalize::Forest;
use rayon::prelude::*;

/// Calls above this quantile of their window count as if they stood at it. Lower hides faults that touch less than a quarter of the
/// calls of a path, which mean and tail still show; higher lets in the noise of the slowest quarter.
const TYPICAL: f64 = 0.75;
/// Share of an entry's requests that make its tail.
pub const TAIL_SHARE: f64 = 0.05;

/// Which view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// All costs as they are.
    Mean,
    /// Wild calls cut to the usual.
    Typical,
    /// The slowest requests of each entry.
    Tail,
}

/// Two windows as each view weighs them.
pub(super) struct Views<'a> {
    forest: &'a Forest,
    table: &'a CostTable,
    windows: [&'a [u32]; 2],
    caps: Caps,
    tail_weights: Vec<f64>,
}

impl<'a> Views<'a> {
    pub(super) fn new(forest: &'a Forest, table: &'a CostTable, windows: [&'a [u32]; 2]) -> Self {
        let caps = Caps::new(table, windows, &forest.weight);
        Self { forest, table, windows, caps, tail_weights: tail_weights(forest, windows) }
    }

    /// Weights of traces, and what costs are cut to.
    fn weights(&self, view: View) -> (&[f64], Option<&Caps>) {
        match view {
            View::Mean => (&self.forest.weight, None),
            View::Typical => (&self.forest.weight, Some(&self.caps)),
            View::Tail => (&self.tail_weights, None),
        }
    }

    /// Costs in blocks of traces.
    pub(super) fn blocks(&self, view: View, max_blocks: usize) -> [Blocks; 2] {
        let (weights, caps) = self.weights(view);
        self.windows.map(|traces| Blocks::new(self.table, traces, weights, caps, max_blocks))
    }

    /// Sums of the calls that nobody waited for.
    pub(super) fn hidden(&self, view: View) -> [HiddenSums; 2] {
        let (weights, caps) = self.weights(view);
        self.windows.map(|traces| hidden::sums(self.table, traces, weights, caps))
    }
}

/// Largest cost of a call that counts in full, a path: itself, before its answer, waiting.
#[derive(Clone, Debug)]
pub struct Caps(Vec<[f64; 3]>);

impl Caps {
    /// Caps from the calls of both windows; the larger window's quantile stands, so that neither is cut to the other.
    #[must_use]
    pub fn new(table: &CostTable, windows: [&[u32]; 2], weight: &[f64]) -> Self {
        let by_window = windows.map(|traces| Self::of_window(table, traces, weight));
        let larger = |(left, right): (&[f64; 3], &[f64; 3])| [0, 1, 2].map(|part: usize| left[part].max(right[part]));
        Self(by_window[0].iter().zip(&by_window[1]).map(larger).collect())
    }

    fn of_window(table: &CostTable, traces: &[u32], weight: &[f64]) -> Vec<[f64; 3]> {
        let n_visited = table.n_visited(traces, false);
        let mut caps = Vec::with_capacity(n_visited.len());
        for group in groups::<([f64; 3], f64)>(&n_visited) {
            let count = |trace: u32, count: &mut dyn FnMut(usize)| {
                for calls in table.costs_of(trace as usize).calls().filter(|calls| calls.n_visits > 0) {
                    if group.contains(&(calls.path as usize)) {
                        count(calls.path as usize - group.start);
                    }
                }
            };
            let values = gather(traces, group.len(), count, |_, trace, give| {
                for cost in table.costs_of(trace as usize).filter(|cost| cost.n_visits > 0) {
                    if group.contains(&(cost.path as usize)) {
                        let of_call = parts(&cost).map(|ns| ns / f64::from(cost.n_visits));
                        give(cost.path as usize - group.start, (of_call, weight[trace as usize]));
                    }
                }
            });
            caps.par_extend((0..group.len()).into_par_iter().map(|path| {
                #[expect(clippy::float_cmp, reason = "without sampling weights are set to 1, not computed")]
                let is_sampled = values.of(path).any(|(_, weight)| weight != 1.0);
                [0, 1, 2].map(|part: usize| {
                    let column = values.of(path).map(|(values, weight)| (values[part], weight));
                    // Most paths have one part only.
                    if column.clone().all(|(value, _)| value == 0.0) {
                        0.0
                    } else if is_sampled {
                        upper(&mut column.collect::<Vec<_>>())
                    } else {
                        upper_plain(&mut column.map(|(value, _)| value).collect::<Vec<_>>())
                    }
                })
            }));
        }
        caps
    }

    /// The costs of a row that count: itself, before its answer, waiting.
    #[must_use]
    pub fn apply(&self, cost: &PathCost) -> [f64; 3] {
        let caps = self.0[cost.path as usize];
        let values = parts(cost);
        [0, 1, 2].map(|part: usize| values[part].min(caps[part] * f64::from(cost.n_visits)))
    }
}

/// The smallest value that at least [`TYPICAL`] of all weight does not exceed; 0 of none.
fn upper(values: &mut [(f64, f64)]) -> f64 {
    values.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
    let all: f64 = values.iter().map(|(_, weight)| weight).sum();
    let mut below = 0.0;
    let reaches = |&&(_, weight): &&(f64, f64)| {
        below += weight;
        // Rounding must not let equal weights miss the mark by a hair.
        below >= TYPICAL * all * (1.0 - 1e-12)
    };
    values.iter().find(reaches).or(values.last()).map_or(0.0, |&(value, _)| value)
}

/// [`upper`] of values of weight 1: found, not sorted for.
fn upper_plain(values: &mut [f64]) -> f64 {
    let mark = TYPICAL * values.len() as f64 * (1.0 - 1e-12);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the number of values")]
    let place = (mark.ceil() as usize).clamp(1, values.len()) - 1;
    *values.select_nth_unstable_by(place, f64::total_cmp).1
}

fn parts(cost: &PathCost) -> [f64; 3] {
    [cost.self_ns as f64, cost.before_ns as f64, cost.wait_ns as f64]
}

/// For each trace its weight in the tail of its entry: zero outside, and summing to the weight of all the entry's requests.
///
/// Where the boundary falls within a request, the request counts in part. Traces without a root have no latency and no tail.
#[must_use]
pub fn tail_weights(forest: &Forest, windows: [&[u32]; 2]) -> Vec<f64> {
    let mut weights = vec![0.0; forest.n_traces()];
    for traces in windows {
        let mut requests: Vec<(u32, i64, u32)> = traces
            .iter()
            .filter_map(|&trace| {
                let top = forest.first_top(trace as usize).filter(|&top| forest.is_root(top))?;
                let duration_ns = forest.end_ns[top].saturating_sub(forest.start_ns[top]);
                Some((forest.operation[top], duration_ns, trace))
            })
            .collect();
        requests.sort_unstable_by_key(|&(entry, duration_ns, trace)| (entry, std::cmp::Reverse(duration_ns), trace));
        for requests in requests.chunk_by(|left, right| left.0 == right.0) {
            let all: f64 = requests.iter().map(|&(.., trace)| forest.weight[trace as usize]).sum();
            let mut room = TAIL_SHARE * all;
            for &(.., trace) in requests {
                let taken = forest.weight[trace as usize].min(room);
                weights[trace as usize] = taken / TAIL_SHARE;
                room -= taken;
                if room <= 0.0 {
                    break;
                }
            }
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::{upper, upper_plain};

    #[test]
    fn the_usual_most_of_equal_weights_is_that_of_weights() {
        for n in 1..=200_u64 {
            let values: Vec<f64> = (0..n).map(|value| (crate::stats::random(5, n, value) % 40) as f64).collect();
            let mut weighted: Vec<(f64, f64)> = values.iter().map(|&value| (value, 1.0)).collect();
            assert_eq!(upper_plain(&mut values.clone()).to_bits(), upper(&mut weighted).to_bits(), "{values:?}");
        }
    }
}
