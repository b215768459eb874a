//! Cost rows by call path: what a suspect costs each request is summed without looking at paths that are not its own.
//!
//! Every suspect asks for its requests, its exemplars, its influence. Going through all traces for each of them would cost traces times
//! suspects; one counting sort of the rows by path makes it the rows of the suspect's own paths.

use crate::compare::Selection;
use crate::compare::paths::{CostTable, NO_PATH, PathCost};

/// A cost row and the trace that it belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) trace: u32,
    index: usize,
}

/// Rows of one window: those of path `p` are `rows[starts[p]..starts[p + 1]]`, in order of traces.
#[derive(Debug, Default)]
struct Window {
    starts: Vec<usize>,
    rows: Vec<Row>,
}

/// Rows of both windows by path, and the entry of every path.
#[derive(Debug)]
pub(super) struct PathRows {
    windows: [Window; 2],
    entries: Vec<u32>,
}

/// The baseline's place in pairs.
pub(super) const BASELINE: usize = 0;
/// The regression's place in pairs.
pub(super) const REGRESSION: usize = 1;

impl Window {
    fn new(table: &CostTable, traces: &[u32]) -> Self {
        let mut starts = vec![0_usize; table.paths.len() + 1];
        for &trace in traces {
            for cost in table.costs_of(trace as usize) {
                starts[cost.path as usize + 1] += 1;
            }
        }
        for path in 0..table.paths.len() {
            starts[path + 1] += starts[path];
        }
        let mut next = starts.clone();
        let mut rows = vec![Row { trace: 0, index: 0 }; starts.last().copied().unwrap_or(0)];
        for &trace in traces {
            let first = table.offsets[trace as usize];
            for (position, cost) in table.costs_of(trace as usize).iter().enumerate() {
                let place = &mut next[cost.path as usize];
                rows[*place] = Row { trace, index: first + position };
                *place += 1;
            }
        }
        Self { starts, rows }
    }
}

impl PathRows {
    /// Sorts the rows of the two windows' traces by path.
    pub(super) fn new(table: &CostTable, selection: &Selection) -> Self {
        let mut entries = Vec::with_capacity(table.paths.len());
        for (own, path) in (0_u32..).zip(&table.paths.list) {
            entries.push(if path.parent == NO_PATH { own } else { entries[path.parent as usize] });
        }
        let windows = [&selection.baseline, &selection.regression].map(|traces| Window::new(table, traces));
        Self { windows, entries }
    }

    /// Rows of a path in a window, in order of traces.
    pub(super) fn of(&self, window: usize, path: u32) -> &[Row] {
        let window = &self.windows[window];
        &window.rows[window.starts[path as usize]..window.starts[path as usize + 1]]
    }

    /// The path of the top of the requests that a path lies in.
    pub(super) fn entry(&self, path: u32) -> u32 {
        self.entries[path as usize]
    }
}

impl Row {
    /// What the trace spends on the path.
    pub(super) fn cost(self, table: &CostTable) -> &PathCost {
        &table.costs[self.index]
    }
}
