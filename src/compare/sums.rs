//! Costs summed over traces, and over blocks of traces for resampling.

use super::paths::{CostTable, FailureKind};
use super::views::Caps;
use rayon::prelude::*;

/// Weighted sums a path over some traces of one window. Vectors are indexed by path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    /// Calls from visits of the parent.
    pub n_calls: Vec<f64>,
    /// Calls on the blamed path.
    pub n_visits: Vec<f64>,
    /// Nanoseconds blamed on the spans themselves, or on the gaps of client spans after their answers.
    pub self_ns: Vec<f64>,
    /// Nanoseconds of the gaps of client spans before their answers begin.
    pub before_ns: Vec<f64>,
    /// Nanoseconds blamed on peers without spans and on waiting before retries.
    pub wait_ns: Vec<f64>,
    /// Nanoseconds of all calls.
    pub call_ns: Vec<f64>,
    /// Failing requests that began to fail here, by [`FailureKind`].
    pub n_failures: [Vec<f64>; FailureKind::ALL.len()],
}

impl Sums {
    /// Zeros for `n_paths` paths.
    #[must_use]
    pub fn zeros(n_paths: usize) -> Self {
        let zeros = || vec![0.0; n_paths];
        Self {
            n_calls: zeros(),
            n_visits: zeros(),
            self_ns: zeros(),
            before_ns: zeros(),
            wait_ns: zeros(),
            call_ns: zeros(),
            n_failures: std::array::from_fn(|_| zeros()),
        }
    }
}

/// One path's sums in one block of traces.
#[derive(Clone, Copy, Debug, Default)]
struct BlockCost {
    path: u32,
    n_calls: f64,
    n_visits: f64,
    self_ns: f64,
    before_ns: f64,
    wait_ns: f64,
    call_ns: f64,
    n_failures: [f64; FailureKind::ALL.len()],
}

/// Traces of one window in blocks of consecutive starts, which is what gets resampled.
///
/// A block is one trace while there are at most [`MAX_BLOCKS`] of them. Above, blocks of several traces give the same variance and also
/// carry what neighbours in time have in common.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    offsets: Vec<usize>,
    costs: Vec<BlockCost>,
}

/// A bootstrap over 1,000 blocks knows a standard error to about 1/sqrt(2 * 1000) = 2 %, finer blocks cost time and memory only.
pub const MAX_BLOCKS: usize = 1_000;

impl Blocks {
    /// Sums the costs of `traces`, given in order of start, into blocks, each at most as large as `caps` lets it.
    #[must_use]
    pub fn new(table: &CostTable, traces: &[u32], weight: &[f64], caps: Option<&Caps>, max_blocks: usize) -> Self {
        let n_blocks = traces.len().min(max_blocks);
        let bound = |block: usize| block * traces.len() / n_blocks.max(1);
        let blocks: Vec<Vec<BlockCost>> = (0..n_blocks)
            .into_par_iter()
            .map(|block| block_costs(table, &traces[bound(block)..bound(block + 1)], weight, caps))
            .collect();
        let mut result = Self { offsets: vec![0], costs: Vec::new() };
        for costs in blocks {
            result.costs.extend(costs);
            result.offsets.push(result.costs.len());
        }
        result
    }

    /// Number of blocks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there is no block.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The paths that block `block` visits or calls.
    pub fn paths_of(&self, block: usize) -> impl Iterator<Item = u32> {
        self.costs[self.offsets[block]..self.offsets[block + 1]].iter().map(|cost| cost.path)
    }

    /// Sums over all blocks, block `b` counted `multiplicity(b)` times.
    pub fn sum(&self, n_paths: usize, multiplicity: impl Fn(usize) -> f64) -> Sums {
        let mut sums = Sums::zeros(n_paths);
        for block in 0..self.len() {
            let times = multiplicity(block);
            if times == 0.0 {
                continue;
            }
            for cost in &self.costs[self.offsets[block]..self.offsets[block + 1]] {
                let path = cost.path as usize;
                sums.n_calls[path] += times * cost.n_calls;
                sums.n_visits[path] += times * cost.n_visits;
                sums.self_ns[path] += times * cost.self_ns;
                sums.before_ns[path] += times * cost.before_ns;
                sums.wait_ns[path] += times * cost.wait_ns;
                sums.call_ns[path] += times * cost.call_ns;
                for (sum, count) in sums.n_failures.iter_mut().zip(cost.n_failures) {
                    sum[path] += times * count;
                }
            }
        }
        sums
    }
}

fn block_costs(table: &CostTable, traces: &[u32], weight: &[f64], caps: Option<&Caps>) -> Vec<BlockCost> {
    let mut costs: Vec<BlockCost> = Vec::new();
    for &trace in traces {
        let weight = weight[trace as usize];
        if weight == 0.0 {
            continue;
        }
        costs.extend(table.costs_of(trace as usize).iter().map(|cost| {
            let plain = || [cost.self_ns, cost.before_ns, cost.wait_ns].map(|ns| ns as f64);
            let [self_ns, before_ns, wait_ns] = caps.map_or_else(plain, |caps| caps.apply(cost));
            BlockCost {
                path: cost.path,
                n_calls: weight * f64::from(cost.n_calls),
                n_visits: weight * f64::from(cost.n_visits),
                self_ns: weight * self_ns,
                before_ns: weight * before_ns,
                wait_ns: weight * wait_ns,
                call_ns: weight * cost.call_ns as f64,
                n_failures: Default::default(),
            }
        }));
        let first = table.failures.partition_point(|&(known, _)| known < trace);
        costs.extend(table.failures[first..].iter().take_while(|&&(known, _)| known == trace).map(|&(_, failure)| {
            let mut n_failures = <[f64; FailureKind::ALL.len()]>::default();
            n_failures[failure.kind as usize] = weight;
            BlockCost { path: failure.path, n_failures, ..BlockCost::default() }
        }));
    }
    // Stable, so that sums are taken in the order of traces.
    costs.sort_by_key(|cost| cost.path);
    costs.dedup_by(|next, kept| {
        let same = next.path == kept.path;
        if same {
            kept.n_calls += next.n_calls;
            kept.n_visits += next.n_visits;
            kept.self_ns += next.self_ns;
            kept.before_ns += next.before_ns;
            kept.wait_ns += next.wait_ns;
            kept.call_ns += next.call_ns;
            for (sum, count) in kept.n_failures.iter_mut().zip(next.n_failures) {
                *sum += count;
            }
        }
        same
    });
    costs
}
