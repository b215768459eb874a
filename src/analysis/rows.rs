//! Cost rows by call path: what a suspect costs each request is summed without looking at paths that are not its own.
//!
//! Every suspect asks for its requests, its exemplars, its influence. Going through all traces for each of them would cost traces times
//! suspects; sorting the rows by path makes it the rows of the suspect's own paths.

use crate::compare::Selection;
use crate::compare::gather::{Gathered, gather};
use crate::compare::paths::{CostTable, NO_PATH, PathCost};

/// A path in a trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) trace: u32,
    path: u32,
}

/// Traces of both windows by path, and the entry of every path.
#[derive(Debug)]
pub(super) struct PathRows {
    windows: [Gathered<u32>; 2],
    entries: Vec<u32>,
}

/// The baseline's place in pairs.
pub(super) const BASELINE: usize = 0;
/// The regression's place in pairs.
pub(super) const REGRESSION: usize = 1;

impl PathRows {
    /// Sorts the rows of the two windows' traces by path.
    pub(super) fn new(table: &CostTable, selection: &Selection) -> Self {
        let mut entries = Vec::with_capacity(table.paths.len());
        for (own, path) in (0_u32..).zip(&table.paths.list) {
            entries.push(if path.parent == NO_PATH { own } else { entries[path.parent as usize] });
        }
        let windows = [&selection.baseline, &selection.regression].map(|traces| {
            let paths = |trace: u32| table.costs_of(trace as usize).calls().map(|calls| calls.path as usize);
            let count = |trace: u32, count: &mut dyn FnMut(usize)| paths(trace).for_each(count);
            gather(traces, table.paths.len(), count, |_, trace, give| paths(trace).for_each(|path| give(path, trace)))
        });
        Self { windows, entries }
    }

    /// Rows of a path in a window, in order of traces.
    pub(super) fn of(&self, window: usize, path: u32) -> impl Iterator<Item = Row> + Clone + '_ {
        self.windows[window].of(path as usize).map(move |trace| Row { trace, path })
    }

    /// The path of the top of the requests that a path lies in.
    pub(super) fn entry(&self, path: u32) -> u32 {
        self.entries[path as usize]
    }
}

impl Row {
    /// What the trace spends on the path.
    pub(super) fn cost(self, table: &CostTable) -> PathCost {
        table.costs_of(self.trace as usize).find(|cost| cost.path == self.path).unwrap_or_default()
    }
}
