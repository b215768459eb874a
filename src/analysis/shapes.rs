//! The ordinary trace to set beside a slow one: of the same entry and the same shape, and of a duration that is usual there.
//!
//! Two traces have one shape if they make the same calls: the same number on every call path. Baseline traces are grouped by entry and shape
//! once, so looking for the nearest one compares shapes, not traces.

use crate::compare::costs::{Calls, PathCalls};
use crate::compare::paths::CostTable;
use crate::normalize::Forest;
use std::hash::{BuildHasher, Hash, Hasher};

/// Shapes an entry that are compared with, the most frequent ones. Among 300 of them a nearer one that occurs once more hardly matters,
/// and a search then compares 300 short lists.
const MAX_SHAPES: usize = 300;

/// Traces of one entry that make the same calls, by the one of them whose duration is nearest the entry's median.
#[derive(Clone, Copy, Debug)]
struct Shape {
    trace: u32,
    n_traces: usize,
    off_median_ns: u64,
}

/// The shapes of one entry operation.
#[derive(Debug)]
struct Entry {
    operation: u32,
    shapes: Vec<Shape>,
}

/// Shapes of the baseline's traces.
#[derive(Debug)]
pub(super) struct Shapes(Vec<Entry>);

/// A trace of the baseline and how far it is from the one it stands beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nearest {
    pub(super) trace: u32,
    /// Calls that one of the two makes and the other does not.
    pub(super) n_calls_apart: u64,
}

fn entry_and_duration(forest: &Forest, trace: u32) -> Option<(u32, i64)> {
    let top = forest.first_top(trace as usize)?;
    Some((forest.operation[top], forest.end_ns[top] - forest.start_ns[top]))
}

fn shape_of(table: &CostTable, trace: u32) -> u64 {
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    for cost in table.costs_of(trace as usize).calls() {
        (cost.path, cost.n_calls).hash(&mut hasher);
    }
    hasher.finish()
}

impl Shapes {
    /// Groups the baseline's traces.
    pub(super) fn new(forest: &Forest, table: &CostTable, baseline: &[u32]) -> Self {
        let mut traces: Vec<(u32, i64, u32)> = baseline
            .iter()
            .filter_map(|&trace| entry_and_duration(forest, trace).map(|(entry, duration)| (entry, duration, trace)))
            .collect();
        traces.sort_unstable();
        let entries = traces.chunk_by(|left, right| left.0 == right.0).map(|own| {
            let median_ns = own[own.len() / 2].1;
            let mut shaped: Vec<(u64, u64, u32)> = own
                .iter()
                .map(|&(_, duration, trace)| (shape_of(table, trace), duration.abs_diff(median_ns), trace))
                .collect();
            shaped.sort_unstable();
            let mut shapes: Vec<Shape> = shaped
                .chunk_by(|left, right| left.0 == right.0)
                .map(|same| Shape { trace: same[0].2, n_traces: same.len(), off_median_ns: same[0].1 })
                .collect();
            shapes.sort_unstable_by_key(|shape| (std::cmp::Reverse(shape.n_traces), shape.off_median_ns, shape.trace));
            shapes.truncate(MAX_SHAPES);
            Entry { operation: own[0].0, shapes }
        });
        Self(entries.collect())
    }

    /// By entry operation the baseline's most frequent trace of those that `is_one` says so of.
    pub(super) fn usual(&self, is_one: impl Fn(u32) -> bool) -> Vec<(u32, u32)> {
        let of_entry = |entry: &Entry| {
            let shape = entry.shapes.iter().find(|shape| is_one(shape.trace))?;
            Some((entry.operation, shape.trace))
        };
        self.0.iter().filter_map(of_entry).collect()
    }

    /// The baseline trace nearest to `trace`: of its entry, with the fewest calls more or less, then nearest the median duration.
    ///
    /// `None` if the baseline holds no request of this entry.
    pub(super) fn nearest(&self, forest: &Forest, table: &CostTable, trace: u32) -> Option<Nearest> {
        let (operation, _) = entry_and_duration(forest, trace)?;
        let entry = self.0.binary_search_by_key(&operation, |entry| entry.operation).ok()?;
        let own = table.costs_of(trace as usize).calls();
        self.0[entry]
            .shapes
            .iter()
            .map(|shape| {
                (
                    n_calls_apart(own.clone(), table.costs_of(shape.trace as usize).calls()),
                    shape.off_median_ns,
                    shape.trace,
                )
            })
            .min()
            .map(|(n_calls_apart, _, trace)| Nearest { trace, n_calls_apart })
    }
}

/// The one of these traces by entry operation that has the entry of `trace`.
pub(super) fn beside(forest: &Forest, table: &CostTable, trace: u32, usual: &[(u32, u32)]) -> Option<Nearest> {
    let (operation, _) = entry_and_duration(forest, trace)?;
    let (_, beside) = usual[usual.binary_search_by_key(&operation, |&(entry, _)| entry).ok()?];
    let [own, other] = [trace, beside].map(|trace| table.costs_of(trace as usize).calls());
    Some(Nearest { trace: beside, n_calls_apart: n_calls_apart(own, other) })
}

/// Sum over call paths of the difference in calls; both lists are in order of paths.
fn n_calls_apart(left: Calls<'_>, right: Calls<'_>) -> u64 {
    let (mut left, mut right, mut apart) = (left.peekable(), right.peekable(), 0_u64);
    loop {
        let path = match (left.peek(), right.peek()) {
            (Some(one), Some(other)) => one.path.min(other.path),
            (Some(only), None) | (None, Some(only)) => only.path,
            (None, None) => return apart,
        };
        // The path that comes first is in one list only unless both have it.
        let n_calls = |row: Option<PathCalls>| row.map_or(0, |row| row.n_calls);
        let n_left = n_calls(left.next_if(|row| row.path == path));
        let n_right = n_calls(right.next_if(|row| row.path == path));
        apart += u64::from(n_left.abs_diff(n_right));
    }
}
