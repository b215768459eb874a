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
        let mut sums = Self::default();
        sums.clear(n_paths);
        sums
    }

    fn clear(&mut self, n_paths: usize) {
        let Self { n_calls, n_visits, self_ns, before_ns, wait_ns, call_ns, n_failures } = self;
        for sums in [n_calls, n_visits, self_ns, before_ns, wait_ns, call_ns].into_iter().chain(n_failures) {
            refill(sums, n_paths, 0.0);
        }
    }
}

/// Makes all of a vector the same, in the memory that it has.
pub(crate) fn refill<T: Copy>(vector: &mut Vec<T>, n_items: usize, value: T) {
    vector.clear();
    vector.resize(n_items, value);
}

/// A path's sums side by side, for paths come in any order: memory to make [`Sums`] in.
pub type Side = Vec<[f64; 6]>;

/// One path's sums in one block of traces: calls, visits, and nanoseconds of spans themselves, before answers, of waits and of calls.
type BlockCost = (u32, [f64; 6]);
/// One path's failing requests in one block of traces.
type BlockFailures = (u32, [f64; FailureKind::ALL.len()]);

/// Something by block: that of block `b` is `list[ends[b]..ends[b + 1]]`.
#[derive(Clone, Debug)]
struct ByBlock<T> {
    ends: Vec<usize>,
    list: Vec<T>,
}

impl<T> Default for ByBlock<T> {
    fn default() -> Self {
        Self { ends: vec![0], list: Vec::new() }
    }
}

impl<T> ByBlock<T> {
    fn push(&mut self, block: Vec<T>) {
        self.list.extend(block);
        self.ends.push(self.list.len());
    }

    fn of(&self, block: usize) -> &[T] {
        &self.list[self.ends[block]..self.ends[block + 1]]
    }
}

/// Traces of one window in blocks of consecutive starts, which is what gets resampled.
///
/// A block is one trace while there are at most [`MAX_BLOCKS`] of them. Above, blocks of several traces give the same variance and also
/// carry what neighbours in time have in common.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    n_traces: usize,
    costs: ByBlock<BlockCost>,
    failures: ByBlock<BlockFailures>,
}

/// A bootstrap over 1,000 blocks knows a standard error to about 1/sqrt(2 * 1000) = 2 %, finer blocks cost time and memory only.
pub const MAX_BLOCKS: usize = 1_000;

impl Blocks {
    /// Sums the costs of `traces`, given in order of start, into blocks, each at most as large as `caps` lets it.
    #[must_use]
    pub fn new(table: &CostTable, traces: &[u32], weight: &[f64], caps: Option<&Caps>, max_blocks: usize) -> Self {
        let n_blocks = traces.len().min(max_blocks);
        let bound = |block: usize| block * traces.len() / n_blocks.max(1);
        let n_paths = table.paths.len();
        let blocks: Vec<(Vec<BlockCost>, Vec<BlockFailures>)> = (0..n_blocks)
            .into_par_iter()
            .map_init(
                || vec![NO_ROW; n_paths],
                |rows, block| block_costs(table, &traces[bound(block)..bound(block + 1)], weight, caps, rows),
            )
            .collect();
        let mut result = Self { n_traces: traces.len(), ..Self::default() };
        for (costs, failures) in blocks {
            result.costs.push(costs);
            result.failures.push(failures);
        }
        result
    }

    /// Number of blocks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.costs.ends.len() - 1
    }

    /// Traces in them.
    #[must_use]
    pub fn n_traces(&self) -> usize {
        self.n_traces
    }

    /// Whether there is no block.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The paths that block `block` visits or calls.
    pub fn paths_of(&self, block: usize) -> impl Iterator<Item = u32> {
        self.costs.of(block).iter().map(|&(path, _)| path)
    }

    /// Sums over all blocks, block `b` counted `multiplicity(b)` times.
    pub fn sum(&self, n_paths: usize, multiplicity: impl Fn(usize) -> f64) -> Sums {
        let mut sums = Sums::default();
        self.sum_in(&mut sums, &mut Side::default(), n_paths, multiplicity);
        sums
    }

    /// The same in memory that is there.
    pub fn sum_in(&self, result: &mut Sums, side: &mut Side, n_paths: usize, multiplicity: impl Fn(usize) -> f64) {
        result.clear(n_paths);
        refill(side, n_paths, [0.0; 6]);
        for block in 0..self.len() {
            let times = multiplicity(block);
            if times == 0.0 {
                continue;
            }
            for &(path, costs) in self.costs.of(block) {
                // All are read before any is written, so that they can be added several at a time.
                let sums = &mut side[path as usize];
                let old = *sums;
                *sums = std::array::from_fn(|place| old[place] + times * costs[place]);
            }
            for (path, counts) in self.failures.of(block) {
                for (sum, count) in result.n_failures.iter_mut().zip(counts) {
                    sum[*path as usize] += times * count;
                }
            }
        }
        let Sums { n_calls, n_visits, self_ns, before_ns, wait_ns, call_ns, .. } = result;
        for (place, result) in [n_calls, n_visits, self_ns, before_ns, wait_ns, call_ns].into_iter().enumerate() {
            for (sum, side) in result.iter_mut().zip(&*side) {
                *sum = side[place];
            }
        }
    }
}

/// A path that the block has not met.
const NO_ROW: u32 = u32::MAX;

/// Costs of a block by path, and failures of those paths that have any; `rows` is [`NO_ROW`] for each path, before and after.
fn block_costs(
    table: &CostTable,
    traces: &[u32],
    weight: &[f64],
    caps: Option<&Caps>,
    rows: &mut [u32],
) -> (Vec<BlockCost>, Vec<BlockFailures>) {
    let mut costs: Vec<BlockCost> = Vec::new();
    let mut failures: Vec<BlockFailures> = Vec::new();
    let row_of = |path: u32, costs: &mut Vec<BlockCost>, rows: &mut [u32]| {
        let row = &mut rows[path as usize];
        if *row == NO_ROW {
            *row = u32::try_from(costs.len()).unwrap_or(NO_ROW);
            costs.push((path, [0.0; 6]));
        }
        *row as usize
    };
    // Sums are taken in the order of traces.
    for &trace in traces {
        let weight = weight[trace as usize];
        if weight == 0.0 {
            continue;
        }
        for cost in table.costs_of(trace as usize) {
            let plain = || [cost.self_ns, cost.before_ns, cost.wait_ns].map(|ns| ns as f64);
            let [self_ns, before_ns, wait_ns] = caps.map_or_else(plain, |caps| caps.apply(&cost));
            let (n_calls, n_visits) = (f64::from(cost.n_calls), f64::from(cost.n_visits));
            let row = row_of(cost.path, &mut costs, rows);
            let own = [n_calls, n_visits, self_ns, before_ns, wait_ns, cost.call_ns as f64];
            for (sum, own) in costs[row].1.iter_mut().zip(own) {
                *sum += weight * own;
            }
        }
        let first = table.failures.partition_point(|&(known, _)| known < trace);
        for &(_, failure) in table.failures[first..].iter().take_while(|&&(known, _)| known == trace) {
            row_of(failure.path, &mut costs, rows);
            let mut counts = <[f64; FailureKind::ALL.len()]>::default();
            counts[failure.kind as usize] = weight;
            failures.push((failure.path, counts));
        }
    }
    for &(path, _) in &costs {
        rows[path as usize] = NO_ROW;
    }
    costs.sort_unstable_by_key(|&(path, _)| path);
    // Stable, for the order of traces.
    failures.sort_by_key(|&(path, _)| path);
    failures.dedup_by(|next, kept| {
        let is_same = next.0 == kept.0;
        if is_same {
            for (sum, count) in kept.1.iter_mut().zip(next.1) {
                *sum += count;
            }
        }
        is_same
    });
    (costs, failures)
}
