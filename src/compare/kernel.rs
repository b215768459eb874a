//! The walk of traces into a cost table: what each spends on each path, and where its failures began.

use super::limits::Limits;
use super::paths::{CostTable, Failure, FailureKind, NO_EXCEPTION, NO_PATH, Path, PathCost, Scope};
use crate::blame::{BlameKind, BlameSink, Walker};
use crate::normalize::{Forest, SpanFlags};
use hashbrown::HashMap;
use std::cmp::Reverse;

/// Walks the traces of one task.
pub(super) struct Kernel<'a> {
    forest: &'a Forest,
    walker: Walker,
    pub(super) table: CostTable,
    limits: &'a Limits,
    scope: Scope,
    /// Costs of the current trace.
    costs: TraceCosts,
    /// Its calls that nobody waited for.
    hidden: Vec<(u32, usize)>,
    /// Its visits that failed.
    failing: Vec<(u32, usize)>,
    /// Whether such a call is walked.
    is_hidden: bool,
    /// Such calls of one of so many traces are walked.
    each_hidden: u32,
}

/// Costs of one trace.
#[derive(Default)]
struct TraceCosts {
    list: Vec<PathCost>,
    /// Place in these of each path met in it.
    rows: HashMap<u32, usize, foldhash::fast::FixedState>,
}

impl TraceCosts {
    fn of(&mut self, path: u32) -> &mut PathCost {
        let list = &mut self.list;
        let row = *self.rows.entry(path).or_insert_with(|| {
            list.push(PathCost { path, ..PathCost::default() });
            list.len() - 1
        });
        &mut list[row]
    }

    /// The costs, which are then no longer here.
    fn take(&mut self) -> std::vec::Drain<'_, PathCost> {
        self.rows.clear();
        self.list.drain(..)
    }
}

impl<'a> Kernel<'a> {
    pub(super) fn new(forest: &'a Forest, limits: &'a Limits, each_hidden: u32) -> Self {
        Self {
            forest,
            walker: Walker::default(),
            table: CostTable::default(),
            limits,
            scope: Scope::Request,
            costs: TraceCosts::default(),
            hidden: Vec::new(),
            failing: Vec::new(),
            is_hidden: false,
            each_hidden,
        }
    }

    /// Walks a trace, which the forest knows as `local`.
    pub(super) fn trace(&mut self, trace: u32, local: usize) {
        let spans = self.forest.spans_of(local);
        let mut walker = std::mem::take(&mut self.walker);
        walker.load(self.forest, local);
        for top in spans.clone().filter(|&span| self.forest.is_top(span)) {
            self.scope = if self.forest.is_root(top) { Scope::Request } else { Scope::Background };
            walker.walk(self.forest, spans.start, top, self);
            self.failing_visits(&walker, trace, spans.start);
            self.failure(&walker, trace, spans.start, top);
        }
        self.table.costs.push(self.costs.take());
        let mut hidden = std::mem::take(&mut self.hidden);
        if trace.is_multiple_of(self.each_hidden) {
            self.is_hidden = true;
            for &call in &hidden {
                self.scope = self.table.paths.list[call.0 as usize].scope;
                walker.walk_hidden(self.forest, spans.start, call, self);
            }
            self.is_hidden = false;
        }
        hidden.clear();
        self.hidden = hidden;
        let each = self.each_hidden;
        self.table.hidden.push(self.costs.take().map(|cost| cost.times(each)));
        self.walker = walker;
    }

    fn path(&mut self, parent: Option<u32>, span: usize, is_retry: bool) -> u32 {
        let operation = self.forest.operation[span];
        self.table.paths.intern(Path { parent: parent.unwrap_or(NO_PATH), operation, is_retry, scope: self.scope })
    }

    fn add_call(&mut self, path: u32, span: usize) {
        let duration = self.forest.end_ns[span] - self.forest.start_ns[span];
        let cost = self.costs.of(path);
        cost.n_calls += 1;
        // Only absurd timestamps reach the end of the range.
        cost.call_ns = cost.call_ns.saturating_add(duration);
    }

    /// Notes the visits that failed, and what they called.
    fn failing_visits(&mut self, walker: &Walker, trace: u32, first: usize) {
        let mut failing = std::mem::take(&mut self.failing);
        for (path, span) in failing.drain(..) {
            self.table.failing_visits.push((trace, path));
            for &child in walker.children(span - first) {
                let called = self.path(Some(path), first + child as usize, walker.is_retry(child as usize));
                self.table.failing_calls.push((trace, called));
            }
        }
        self.failing = failing;
    }

    /// Descends from a failing top through failing children to where the failure began.
    fn failure(&mut self, walker: &Walker, trace: u32, first: usize, top: usize) {
        let forest = self.forest;
        let failed = |span: usize| forest.flags[span].has(SpanFlags::FAILED);
        let path = self.path(None, top, false);
        if failed(top) {
            let failure = self.descend(walker, first, (top, path), |table, path| table.propagated.push((trace, path)));
            self.table.failures.push((trace, failure));
            return;
        }
        let mut stack = vec![(top, path)];
        while let Some((span, path)) = stack.pop() {
            for &child in walker.children(span - first) {
                let below = first + child as usize;
                let child_path = self.path(Some(path), below, walker.is_retry(child as usize));
                if failed(below) {
                    self.table.swallowed.push((trace, child_path));
                    let failure = self.descend(walker, first, (below, child_path), |_, _| ());
                    self.table.survived.push((trace, failure));
                } else {
                    stack.push((below, child_path));
                }
            }
        }
    }

    /// How the failure of a span began, which `passed` is told the paths above of.
    fn descend(
        &mut self,
        walker: &Walker,
        first: usize,
        (mut span, mut path): (usize, u32),
        mut passed: impl FnMut(&mut CostTable, u32),
    ) -> Failure {
        while let Some(child) = self.failing_child(walker, first, span) {
            passed(&mut self.table, path);
            span = first + child;
            path = self.path(Some(path), span, walker.is_retry(child));
        }
        self.origin(walker, first, span, path)
    }

    /// How the failure of `span`, none of whose children failed it, began.
    fn origin(&mut self, walker: &Walker, first: usize, span: usize, path: u32) -> Failure {
        let forest = self.forest;
        let row = u32::try_from(span - first).unwrap_or(u32::MAX);
        let operation = forest.operation[span];
        let answer = walker.children(span - first).first().map(|&child| first + child as usize);
        let calls = forest.operations[forest.operation[span] as usize].peer.is_some();
        // A callee that runs on after its caller gave up caused the timeout.
        let is_cut = calls && answer.is_some_and(|answer| forest.end_ns[answer] > forest.end_ns[span]);
        if is_cut || self.limits.is_at(forest.operation[span], forest.end_ns[span] - forest.start_ns[span]) {
            let path = self.waited_for(walker, first, span, path);
            return Failure { path, kind: FailureKind::TimedOut, span: row, operation, exception: NO_EXCEPTION };
        }
        let kind = if calls && answer.is_none() { FailureKind::Unanswered } else { FailureKind::Own };
        Failure { path, kind, span: row, operation, exception: NO_EXCEPTION }
    }

    /// What `span` spent its time on until it was given up: down through the calls that each took more than half of it.
    fn waited_for(&mut self, walker: &Walker, first: usize, span: usize, path: u32) -> u32 {
        let forest = self.forest;
        let (mut span, mut path) = (span, path);
        let (mut low, mut high) = (forest.start_ns[span], forest.end_ns[span]);
        // Operation, time and position of each child.
        let mut times: Vec<(u32, i64, u32)> = Vec::new();
        loop {
            times.clear();
            times.extend(walker.children(span - first).iter().map(|&child| {
                let below = first + child as usize;
                let time_ns = forest.end_ns[below].min(high).saturating_sub(forest.start_ns[below].max(low));
                (forest.operation[below], time_ns.max(0), child)
            }));
            times.sort_unstable();
            // The operation that took most, and the longest of its calls; ties by place.
            let most = times
                .chunk_by(|left, right| left.0 == right.0)
                .filter_map(|calls| {
                    let sum_ns = calls.iter().fold(0_i64, |sum, &(_, time_ns, _)| sum.saturating_add(time_ns));
                    let &(.., child) = calls.iter().max_by_key(|&&(_, time_ns, child)| (time_ns, Reverse(child)))?;
                    Some((sum_ns, Reverse(child)))
                })
                .max();
            let half_ns = high.saturating_sub(low) / 2;
            let Some((_, Reverse(child))) = most.filter(|&(sum_ns, _)| sum_ns > half_ns) else { return path };
            span = first + child as usize;
            path = self.path(Some(path), span, walker.is_retry(child as usize));
            (low, high) = (low.max(forest.start_ns[span]), high.min(forest.end_ns[span]));
        }
    }

    /// The failing child that ended last and that no later try made good: one that began after it had ended and succeeded. Where all were made
    /// good and the span failed all the same, they were no tries of one call but calls in a row, of which the last failing one counts.
    fn failing_child(&self, walker: &Walker, first: usize, span: usize) -> Option<usize> {
        let forest = self.forest;
        // The latest start of a call that succeeded, by operation.
        let mut succeeded = HashMap::<u32, i64, foldhash::fast::FixedState>::default();
        let mut made_good = None;
        for &child in walker.children(span - first) {
            let below = first + child as usize;
            let latest = succeeded.entry(forest.operation[below]).or_insert(i64::MIN);
            if !forest.flags[below].has(SpanFlags::FAILED) {
                *latest = (*latest).max(forest.start_ns[below]);
            } else if *latest < forest.end_ns[below] {
                return Some(child as usize);
            } else {
                made_good = made_good.or(Some(child as usize));
            }
        }
        made_good
    }
}

impl BlameSink for Kernel<'_> {
    type Node = u32;

    fn call(&mut self, parent: Option<u32>, span: usize, is_retry: bool) -> u32 {
        let path = self.path(parent, span, is_retry);
        if !self.is_hidden {
            self.add_call(path, span);
        }
        path
    }

    fn visit(&mut self, node: u32, span: usize) {
        // Of hidden calls each is visited, and the first is not called by the walk.
        if self.is_hidden {
            self.add_call(node, span);
        }
        if self.forest.flags[span].has(SpanFlags::FAILED) && !self.is_hidden {
            self.failing.push((node, span));
        }
        self.costs.of(node).n_visits += 1;
    }

    fn hide(&mut self, node: u32, span: usize) {
        self.hidden.push((node, span));
    }

    fn blame(&mut self, node: u32, span: usize, kind: BlameKind, start_ns: i64, end_ns: i64) {
        let begins = start_ns == self.forest.start_ns[span];
        let cost = self.costs.of(node);
        let sum_ns = match kind.part(begins) {
            0 => &mut cost.self_ns,
            1 => &mut cost.before_ns,
            _ => &mut cost.wait_ns,
        };
        *sum_ns = sum_ns.saturating_add(end_ns - start_ns);
    }
}
