//! What spans would tell beyond the cost table, kept of traces whose spans were not.
//!
//! A profile (see [`crate::profile`]) holds the cost table of its traces and no span. Three questions of the comparison look at spans
//! nevertheless: which calls of clients were given up, how long after their parent calls begin, and which exception a failure names.
//! What they need is here, in the numbering of the table's forest.

use super::limits::Limits;
use crate::normalize::{Forest, NO_PARENT, SpanFlags};
use crate::span::SpanKind;
use std::collections::BTreeMap;

/// Calls of one client operation in one trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientCalls {
    /// Index of the operation.
    pub operation: u32,
    /// Its calls.
    pub n_calls: u32,
    /// Those that were given up at a time limit, or while their callee went on.
    pub n_given_up: u32,
    /// The time of these, nanoseconds.
    pub given_up_ns: i64,
}

/// How long after a parent's start its calls begin, by the operations of both: sum in nanoseconds and number.
pub type Starts = BTreeMap<(u32, u32), (i128, i64)>;

/// What is kept beside the rows of the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    /// Calls of clients that know their peer, with their trace, in order of traces and operations.
    pub clients: Vec<(u32, ClientCalls)>,
    /// How long after their parents calls begin.
    pub starts: Starts,
    /// Type and message of exceptions.
    pub exceptions: Vec<(String, String)>,
}

impl Kept {
    /// Calls of clients in trace `trace`, in order of operations.
    pub fn clients_of(&self, trace: u32) -> impl Iterator<Item = ClientCalls> {
        let first = self.clients.partition_point(|&(known, _)| known < trace);
        self.clients[first..].iter().take_while(move |&&(known, _)| known == trace).map(|&(_, calls)| calls)
    }
}

/// Calls of clients in the spans of trace `trace`, added up by operation in `result`; `ends` is room to work in.
pub fn client_calls(
    forest: &Forest,
    limits: &Limits,
    trace: usize,
    ends: &mut Vec<i64>,
    result: &mut Vec<ClientCalls>,
) {
    let spans = forest.spans_of(trace);
    result.clear();
    ends.clear();
    ends.resize(spans.len(), i64::MIN);
    for span in spans.clone().filter(|&span| forest.parent[span] != NO_PARENT) {
        let end = &mut ends[forest.parent[span] as usize];
        *end = (*end).max(forest.end_ns[span]);
    }
    for span in spans.clone().filter(|&span| forest.kind(span) == SpanKind::Client) {
        let operation = forest.operation[span];
        if forest.operations[operation as usize].peer.is_none() {
            continue;
        }
        let took_ns = forest.end_ns[span] - forest.start_ns[span];
        let has_failed = forest.flags[span].has(SpanFlags::FAILED);
        // An answer that ends a little late is a matter of clocks.
        let is_cut = ends[span - spans.start].saturating_sub(forest.end_ns[span]) > took_ns / 20;
        // A stream may end after its first bytes: with no failure and no limit that is no timeout.
        let is_at_limit = limits.is_at(operation, took_ns);
        let is_given_up = (is_cut && has_failed) || (is_at_limit && (is_cut || has_failed));
        let (n_given_up, given_up_ns) = if is_given_up { (1, took_ns) } else { (0, 0) };
        result.push(ClientCalls { operation, n_calls: 1, n_given_up, given_up_ns });
    }
    result.sort_unstable();
    result.dedup_by(|next, kept| {
        let is_same = next.operation == kept.operation;
        if is_same {
            kept.n_calls += 1;
            kept.n_given_up += next.n_given_up;
            kept.given_up_ns = kept.given_up_ns.saturating_add(next.given_up_ns);
        }
        is_same
    });
}

/// Adds to `sums` how long after their parents the calls of trace `trace` begin, for the pairs of operations that `add` names.
pub fn add_starts(forest: &Forest, trace: usize, mut add: impl FnMut((u32, u32), i128)) {
    let spans = forest.spans_of(trace);
    for span in spans.clone().filter(|&span| forest.parent[span] != NO_PARENT) {
        let parent = spans.start + forest.parent[span] as usize;
        let after_ns = i128::from(forest.start_ns[span]) - i128::from(forest.start_ns[parent]);
        add((forest.operation[parent], forest.operation[span]), after_ns);
    }
}
