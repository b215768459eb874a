//! Call paths and what each trace spends on them, which the per-trace kernel (`kernel.rs`) finds out.

use super::costs::{Costs, Rows};
use super::kept::Kept;
use super::kernel::Kernel;
use super::limits::Limits;
use crate::blame::Walker;
use crate::normalize::{Forest, Need};
use hashbrown::HashMap;
use rayon::prelude::*;
use std::sync::Arc;

/// No parent: the path of the top of a request.
pub const NO_PATH: u32 = u32::MAX;

/// What kind of request a path belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// A request from its root: its duration is latency that somebody outside felt.
    Request,
    /// A fragment whose parent is missing, or detached work: it counts for its own operations only.
    Background,
}

/// A call path: an operation, reached from a parent path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// Path of the caller, or [`NO_PATH`]; smaller than the path's own index.
    pub parent: u32,
    /// Index in [`Forest::operations`].
    pub operation: u32,
    /// Whether it repeats a failed try.
    pub is_retry: bool,
    /// Kind of request.
    pub scope: Scope,
}

/// All call paths seen; parents come before children.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    /// The paths by index.
    pub list: Vec<Path>,
    index: HashMap<Path, u32, foldhash::fast::FixedState>,
}

impl Paths {
    /// Index of a path, added if it is new.
    pub fn intern(&mut self, path: Path) -> u32 {
        let fresh = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        let index = *self.index.entry(path).or_insert(fresh);
        if index == fresh {
            self.list.push(path);
        }
        index
    }

    /// Index of a path, if any trace takes it.
    #[must_use]
    pub fn find(&self, path: &Path) -> Option<u32> {
        self.index.get(path).copied()
    }

    /// Number of paths.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is no path.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The path and all above it, from the top of the request down.
    #[must_use]
    pub fn from_top(&self, path: u32) -> Vec<u32> {
        let mut chain: Vec<u32> = std::iter::successors(Some(path), |&path| {
            Some(self.list[path as usize].parent).filter(|&parent| parent != NO_PATH)
        })
        .collect();
        chain.reverse();
        chain
    }
}

/// What one trace spends on one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathCost {
    /// Path index.
    pub path: u32,
    /// Calls of it from visits of its parent.
    pub n_calls: u32,
    /// Calls that are on the blamed path.
    pub n_visits: u32,
    /// Blamed on the span itself; for a client span the gap after its answer.
    pub self_ns: i64,
    /// For a client span the gap before its answer begins.
    pub before_ns: i64,
    /// Blamed on its peer, which left no span, or on waiting before a retry.
    pub wait_ns: i64,
    /// Durations of all calls.
    pub call_ns: i64,
}

impl PathCost {
    /// The cost of so many like it.
    pub(super) fn times(self, n: u32) -> Self {
        let ns = |ns: i64| ns.saturating_mul(i64::from(n));
        Self {
            path: self.path,
            n_calls: self.n_calls.saturating_mul(n),
            n_visits: self.n_visits.saturating_mul(n),
            self_ns: ns(self.self_ns),
            before_ns: ns(self.before_ns),
            wait_ns: ns(self.wait_ns),
            call_ns: ns(self.call_ns),
        }
    }
}

/// Where a failing request began to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Path of the last failing span, or of what that one waited for in vain.
    pub path: u32,
    /// How.
    pub kind: FailureKind,
    /// The last failing span, by its position in the trace, or [`NO_SPAN`] if only a profile tells of it.
    pub span: u32,
    /// Its operation, an index in [`Forest::operations`].
    pub operation: u32,
    /// What a profile says of its exception, an index in [`Kept::exceptions`], or [`NO_EXCEPTION`].
    pub exception: u32,
}

/// The span was not kept.
pub const NO_SPAN: u32 = u32::MAX;
/// The span itself tells of an exception, or nothing does.
pub const NO_EXCEPTION: u32 = u32::MAX;

/// How a failure began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// The span failed by itself.
    Own,
    /// A call failed that left no span of its callee.
    Unanswered,
    /// Time ran out: the callee went on, or the span ended at a time limit.
    TimedOut,
}

impl FailureKind {
    /// All kinds, in the order of their indices.
    pub const ALL: [Self; 3] = [Self::Own, Self::Unanswered, Self::TimedOut];
}

/// Traces that are asked for hidden calls, about: no median needs more, and their rows are kept.
pub const MANY_TRACES: usize = 1 << 20;

/// The path in the table of each path of each piece of its rows, and of those of hidden calls.
pub type Codes = [Vec<Arc<Vec<u32>>>; 2];

/// What every trace spends on every path.
#[derive(Debug, Default)]
pub struct CostTable {
    /// All paths of all traces.
    pub paths: Paths,
    /// The rows; a trace has a path at most once, and its rows are in order of paths.
    pub costs: Costs,
    /// Such rows of the calls that no request waited for, because others ran as long, and of all calls below them: each visited, over all of
    /// its own time. They add up to nothing, and tell how long calls take. Of more than [`MANY_TRACES`] only some have such rows, that count
    /// for as many as they stand for.
    pub hidden: Costs,
    /// Origins of failing requests, with their trace, in trace order.
    pub failures: Vec<(u32, Failure)>,
    /// Time limits of callers.
    pub limits: Limits,
    /// Failures that a later success made good or that the request survived: (trace, path).
    pub swallowed: Vec<(u32, u32)>,
    /// Where each of these began.
    pub survived: Vec<(u32, Failure)>,
    /// Failing spans that passed a failure on: (trace, path).
    pub propagated: Vec<(u32, u32)>,
    /// Failing visits: (trace, path).
    pub failing_visits: Vec<(u32, u32)>,
    /// Calls that these made: (trace, path).
    pub failing_calls: Vec<(u32, u32)>,
    /// What only spans would tell beyond this, of traces whose spans were not kept.
    pub kept: Kept,
}

impl CostTable {
    /// What of failures is a list of traces and paths.
    #[must_use]
    pub fn places(&self) -> [&Vec<(u32, u32)>; 4] {
        [&self.swallowed, &self.propagated, &self.failing_visits, &self.failing_calls]
    }

    /// The same, to change.
    pub fn places_mut(&mut self) -> [&mut Vec<(u32, u32)>; 4] {
        [&mut self.swallowed, &mut self.propagated, &mut self.failing_visits, &mut self.failing_calls]
    }

    /// Rows of trace `trace`.
    #[must_use]
    pub fn costs_of(&self, trace: usize) -> Rows<'_> {
        self.costs.of(trace)
    }

    /// How many rows there are of trace `trace`, those of hidden calls counted.
    #[must_use]
    pub fn n_rows_of(&self, trace: usize) -> usize {
        self.costs.of(trace).calls().count() + self.hidden.of(trace).calls().count()
    }

    /// How many rows of these traces there are that visit each path, those of hidden calls counted if `with_hidden`.
    #[must_use]
    pub fn n_visited(&self, traces: &[u32], with_hidden: bool) -> Vec<usize> {
        let count = |mut n_visited: Vec<usize>, &trace: &u32| {
            let hidden = with_hidden.then(|| self.hidden.of(trace as usize).calls());
            let calls = self.costs_of(trace as usize).calls().chain(hidden.into_iter().flatten());
            for calls in calls.filter(|calls| calls.n_visits > 0) {
                n_visited[calls.path as usize] += 1;
            }
            n_visited
        };
        let n_paths = self.paths.len();
        let add = |mut left: Vec<usize>, right: Vec<usize>| {
            left.iter_mut().zip(right).for_each(|(left, right)| *left += right);
            left
        };
        let chunk = traces.len().div_ceil(rayon::current_num_threads()).max(1);
        let parts = traces.par_chunks(chunk).map(|traces| traces.iter().fold(vec![0; n_paths], count));
        parts.reduce(|| vec![0; n_paths], add)
    }

    /// [`each_path`] on the paths of the table.
    pub fn paths_of_spans(&self, forest: &Forest, walker: &Walker, trace: usize, visit: impl FnMut(usize, u32, usize)) {
        each_path(forest, walker, trace, |path| self.paths.find(&path), visit);
    }
}

/// Calls `visit` with the position of each span of trace `trace`, which `walker` has loaded, its call path by the number that `find` knows
/// it by, and the position of the top of its request; callers before callees. Spans on no known path are left out with all below them.
pub fn each_path(
    forest: &Forest,
    walker: &Walker,
    trace: usize,
    mut find: impl FnMut(Path) -> Option<u32>,
    mut visit: impl FnMut(usize, u32, usize),
) {
    let first = forest.spans_of(trace).start;
    let mut stack = Vec::new();
    for top in forest.spans_of(trace).filter(|&span| forest.is_top(span)) {
        let scope = if forest.is_root(top) { Scope::Request } else { Scope::Background };
        stack.push((top - first, NO_PATH));
        while let Some((position, parent)) = stack.pop() {
            let operation = forest.operation[first + position];
            let is_retry = parent != NO_PATH && walker.is_retry(position);
            if let Some(path) = find(Path { parent, operation, is_retry, scope }) {
                visit(position, path, top - first);
                stack.extend(walker.children(position).iter().map(|&child| (child as usize, path)));
            }
        }
    }
}

/// Walks every trace of `forest`, in parallel; the result does not depend on the number of threads.
#[must_use]
pub fn cost_table(forest: &Forest) -> CostTable {
    cost_table_with(forest, None)
}

/// [`cost_table`] where a profile has the costs of the traces whose spans were not kept: a table in the operations of `forest` and
/// with all its traces, those that have spans being empty.
#[must_use]
pub fn cost_table_with(forest: &Forest, profile: Option<&CostTable>) -> CostTable {
    let each_hidden = u32::try_from(forest.n_traces().div_ceil(MANY_TRACES)).unwrap_or(u32::MAX).max(1);
    cost_table_asking(forest, profile, each_hidden)
}

/// The same, where one of so many traces is asked for hidden calls.
fn cost_table_asking(forest: &Forest, profile: Option<&CostTable>, each_hidden: u32) -> CostTable {
    let mut limits = Limits::learn(forest);
    if let Some(profile) = profile {
        limits.absorb(profile.limits.bands().iter().map(|(&operation, &band)| (operation, band)));
    }
    let mut table = CostTable::default();
    let mut codes = Codes::default();
    forest.each_stretch_of_all(Need::Links, |stretch, traces| {
        let chunk = traces.len().div_ceil(rayon::current_num_threads() * 4).max(64);
        let parts: Vec<CostTable> = traces
            .par_chunks(chunk)
            .map(|traces| {
                let mut part = Kernel::new(stretch.forest, &limits, each_hidden);
                for &trace in traces {
                    // Traces without spans may lie between.
                    part.table.fill((trace - traces[0]) as usize);
                    part.trace(trace, stretch.local(trace));
                }
                part.table
            })
            .collect();
        for (part, traces) in parts.into_iter().zip(traces.chunks(chunk)) {
            table.absorb(part, traces[0], &mut codes);
        }
    });
    table.fill(forest.n_traces());
    table.limits = limits;
    if let Some(profile) = profile {
        table.interleave(profile, &mut codes);
    }
    table.sort_paths(&codes, |operation| forest.sort_key(forest.operations[operation as usize]));
    table
}

impl CostTable {
    /// Adds the rows of traces from `first` on, which come after all so far; their paths keep their numbers, which `codes` gets told.
    fn absorb(&mut self, part: Self, first: u32, codes: &mut Codes) {
        let code = self.intern_all(&part.paths);
        let failure =
            |&(trace, failure): &(u32, Failure)| (trace, Failure { path: code[failure.path as usize], ..failure });
        self.failures.extend(part.failures.iter().map(failure));
        self.survived.extend(part.survived.iter().map(failure));
        let with_code = |&(trace, path): &(u32, u32)| (trace, code[path as usize]);
        for (list, part) in self.places_mut().into_iter().zip(part.places()) {
            list.extend(part.iter().map(with_code));
        }
        self.fill(first as usize);
        self.costs.append(part.costs);
        self.hidden.append(part.hidden);
        let code = Arc::new(code);
        for (codes, costs) in codes.iter_mut().zip([&self.costs, &self.hidden]) {
            codes.resize(costs.n_pieces(), code.clone());
        }
    }

    /// Traces below `n_traces` that are not here yet have no rows.
    pub fn fill(&mut self, n_traces: usize) {
        self.costs.fill(n_traces);
        self.hidden.fill(n_traces);
    }

    /// Adds the rows that trace `trace` of `others` has as those of the next trace, their paths renamed by `path`.
    pub fn push_from(&mut self, others: &Self, trace: usize, path: impl Fn(u32) -> u32) {
        let renamed = |cost: PathCost| PathCost { path: path(cost.path), ..cost };
        self.costs.push(others.costs.of(trace).map(renamed));
        self.hidden.push(others.hidden.of(trace).map(renamed));
    }

    /// Adds the rows of the traces that are empty here.
    fn interleave(&mut self, profile: &Self, codes: &mut Codes) {
        let code = self.intern_all(&profile.paths);
        let lists = [(&mut self.costs, &profile.costs), (&mut self.hidden, &profile.hidden)];
        for ((costs, others), codes) in lists.into_iter().zip(std::mem::take(codes)) {
            let own = std::mem::take(costs).recoded(|piece, path| codes[piece][path as usize]);
            for trace in 0..own.n_traces() {
                let kept = others.of(trace).map(|cost| PathCost { path: code[cost.path as usize], ..cost });
                costs.push(own.of(trace).chain(kept));
            }
        }
        let failure =
            |&(trace, failure): &(u32, Failure)| (trace, Failure { path: code[failure.path as usize], ..failure });
        for (list, own) in [(&mut self.failures, &profile.failures), (&mut self.survived, &profile.survived)] {
            list.extend(own.iter().map(failure));
            list.sort_by_key(|&(trace, _)| trace);
        }
        let with_code = |&(trace, path): &(u32, u32)| (trace, code[path as usize]);
        for (list, own) in self.places_mut().into_iter().zip(profile.places()) {
            list.extend(own.iter().map(with_code));
            list.sort_by_key(|&(trace, _)| trace);
        }
        self.kept = profile.kept.clone();
    }

    /// The code here of each path of others in the same operations.
    fn intern_all(&mut self, paths: &Paths) -> Vec<u32> {
        let mut code: Vec<u32> = Vec::with_capacity(paths.len());
        for path in &paths.list {
            let parent = if path.parent == NO_PATH { NO_PATH } else { code[path.parent as usize] };
            code.push(self.paths.intern(Path { parent, ..*path }));
        }
        code
    }

    /// Renumbers the paths by depth and by `key` of their operation, so that no sum depends on the order in which they were met; `codes`
    /// are the paths of those of the pieces of the rows that go by numbers of their own.
    pub fn sort_paths<K: Ord>(&mut self, codes: &Codes, key: impl Fn(u32) -> K) {
        let n_paths = self.paths.len();
        let mut depth = vec![0_u32; n_paths];
        for path in 0..n_paths {
            let parent = self.paths.list[path].parent;
            depth[path] = if parent == NO_PATH { 0 } else { depth[parent as usize] + 1 };
        }
        let mut order: Vec<u32> = (0..u32::try_from(n_paths).unwrap_or(u32::MAX)).collect();
        order.sort_by_key(|&path| depth[path as usize]);
        // Within a depth by the parent's new number, then by the operation's own fields.
        let mut code = vec![NO_PATH; n_paths];
        let mut next = 0;
        let mut sorted = Paths::default();
        for level in order.chunk_by_mut(|&left, &right| depth[left as usize] == depth[right as usize]) {
            let new_parent = |path: &Path| if path.parent == NO_PATH { NO_PATH } else { code[path.parent as usize] };
            level.sort_by_cached_key(|&path| {
                let path = self.paths.list[path as usize];
                (new_parent(&path), path.scope, key(path.operation), path.is_retry)
            });
            let renamed: Vec<Path> = level
                .iter()
                .map(|&path| {
                    let path = self.paths.list[path as usize];
                    Path { parent: new_parent(&path), ..path }
                })
                .collect();
            for (&path, renamed) in level.iter().zip(renamed) {
                code[path as usize] = next;
                next += 1;
                sorted.intern(renamed);
            }
        }
        self.paths = sorted;
        for (costs, codes) in [&mut self.costs, &mut self.hidden].into_iter().zip(codes) {
            *costs = std::mem::take(costs).recoded(|piece, path| {
                let path = codes.get(piece).map_or(path, |own| own[path as usize]);
                code[path as usize]
            });
        }
        for (_, failure) in self.failures.iter_mut().chain(&mut self.survived) {
            failure.path = code[failure.path as usize];
        }
        for (_, path) in self.places_mut().into_iter().flatten() {
            *path = code[*path as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PathCost, cost_table_asking};
    use crate::normalize;
    use crate::span::{Span, SpanBatch, SpanFrame, SpanId, SpanKind, SpanStatus};

    #[test]
    fn hidden_calls_of_some_traces_stand_for_those_of_all() {
        let mut batch = SpanBatch::default();
        for trace in 0..7_u64 {
            // Two calls at once, the second of which ends first.
            for (id, operation, duration_ns) in [(1, "page", 100), (2, "long", 50), (3, "short", 20 + trace)] {
                let span = Span {
                    trace: batch.traces.intern(&format!("{:x}", trace + 1)).expect("a trace id"),
                    span_id: SpanId::new(id).expect("a span id"),
                    parent_span_id: if id == 1 { None } else { SpanId::new(1) },
                    service: batch.names.intern("shop"),
                    operation: batch.names.intern(operation),
                    kind: SpanKind::Internal,
                    status: SpanStatus::Unset,
                    start_unix_ns: 1_700_000_000_000_000_000 + 1_000 * trace.cast_signed(),
                    duration_ns: i64::try_from(duration_ns).expect("short"),
                };
                batch.push(span);
            }
        }
        let (forest, _) = normalize::forest(&mut SpanFrame::from_batches([batch]));
        let hidden = |each: u32| {
            let table = cost_table_asking(&forest, None, each);
            let row = |cost: PathCost| (cost.n_visits, cost.self_ns, cost.call_ns);
            (0..7).map(|trace| table.hidden.of(trace).map(row).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        assert_eq!(hidden(1), (20..27).map(|ns| vec![(1, ns, ns)]).collect::<Vec<_>>());
        let of_third = |trace: i64| if trace % 3 == 0 { vec![(3, 3 * (20 + trace), 3 * (20 + trace))] } else { vec![] };
        assert_eq!(hidden(3), (0..7).map(of_third).collect::<Vec<_>>());
    }
}
