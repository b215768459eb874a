//! The spans of a trace as calls: on which path each is, what is blamed on it, and whether a failure began with it.
//!
//! They are found by the same rules as the costs of the trace; of a trace whose spans were not kept they are read from what was, see
//! [`super::kept`], in which one row may stand for several calls that are alike in all that can be asked of them.

use crate::blame::{BlameKind, BlameSink, Walker};
use crate::compare::paths::{CostTable, FailureKind, NO_PATH};
use crate::compare::sums::refill;
use crate::normalize::{Forest, SpanFlags};

/// The calls of one trace, by position in it.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) walker: Walker,
    /// The first span.
    pub(super) first: usize,
    /// Path in the table, or [`NO_PATH`].
    pub(super) path: Vec<u32>,
    /// Top of the request.
    pub(super) top: Vec<u32>,
    /// How many calls alike a position stands for.
    pub(super) count: Vec<u32>,
    /// Whether they are on the blamed path.
    pub(super) is_visited: Vec<bool>,
    /// Their own, before and waiting time in sum.
    pub(super) time_ns: Vec<[i64; 3]>,
    /// How many failures began with them: by kind.
    pub(super) n_failed: Vec<[u32; FailureKind::ALL.len()]>,
    /// Starts of the spans, by which a segment is known to begin with its span.
    start_ns: Vec<i64>,
}

impl Calls {
    /// Makes room for `n_spans` calls, of which nothing is known.
    pub(super) fn clear(&mut self, first: usize, n_spans: usize) {
        self.first = first;
        refill(&mut self.path, n_spans, NO_PATH);
        refill(&mut self.top, n_spans, 0);
        refill(&mut self.count, n_spans, 1);
        refill(&mut self.is_visited, n_spans, false);
        refill(&mut self.time_ns, n_spans, [0; 3]);
        refill(&mut self.n_failed, n_spans, [0; FailureKind::ALL.len()]);
    }

    /// Reads the calls of trace `trace`, which `forest` knows as `local`, from its spans.
    pub(super) fn load(&mut self, forest: &Forest, local: usize, table: &CostTable, trace: u32) {
        let spans = forest.spans_of(local);
        let n_spans = spans.len();
        self.clear(spans.start, n_spans);
        self.start_ns.clear();
        self.start_ns.extend_from_slice(&forest.start_ns[spans.clone()]);
        let mut walker = std::mem::take(&mut self.walker);
        walker.load(forest, local);
        table.paths_of_spans(forest, &walker, local, |position, path, top| {
            self.path[position] = path;
            self.top[position] = u32::try_from(top).unwrap_or(0);
        });
        for top in spans.clone().filter(|&span| forest.is_top(span)) {
            walker.walk(forest, self.first, top, self);
        }
        self.walker = walker;
        let begin = table.failures.partition_point(|&(known, _)| known < trace);
        for (_, failure) in table.failures[begin..].iter().take_while(|&&(known, _)| known == trace) {
            let failed = |position: usize| forest.flags[spans.start + position].has(SpanFlags::FAILED);
            let is_on_path = |position: &usize| self.path.get(*position) == Some(&failure.path);
            // The span that failed, or the one that it waited for in vain.
            let origin = Some(failure.span as usize).filter(is_on_path).or_else(|| {
                let key = |&position: &usize| (failed(position), forest.end_ns[spans.start + position], position);
                (0..n_spans).filter(is_on_path).max_by_key(key)
            });
            if let Some(origin) = origin {
                self.n_failed[origin][failure.kind as usize] = 1;
            }
        }
    }
}

impl BlameSink for Calls {
    type Node = ();

    fn call(&mut self, _parent: Option<()>, _span: usize, _is_retry: bool) {}

    fn visit(&mut self, _node: (), span: usize) {
        self.is_visited[span - self.first] = true;
    }

    fn blame(&mut self, _node: (), span: usize, kind: BlameKind, start_ns: i64, end_ns: i64) {
        let position = span - self.first;
        let time_ns = &mut self.time_ns[position][kind.part(start_ns == self.start_ns[position])];
        *time_ns = time_ns.saturating_add(end_ns - start_ns);
    }
}
