//! From spans to a profile.

use super::dictionaries::{bound, settle};
use super::{About, Profile, Request, Trace, hash};
use crate::compare::kept::{self, ClientCalls, Kept, Starts};
use crate::compare::paths::{CostTable, Failure, NO_EXCEPTION, NO_SPAN};
use crate::drill::{kept as calls, presence};
use crate::normalize::{Forest, NO_PARENT, Need, SpanFlags};
use crate::span::{AttributeScope, SpanFrame, SpanKind, schema};
use crate::topology::sums::Sums;
use crate::window::Window;
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// Characters kept of an exception's type and of its message.
const MAX_TEXT: usize = 300;

/// Calls between two services and on what they rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnCalls {
    /// Their number.
    pub count: u64,
    /// The callee was moved against its caller because their clocks disagreed.
    pub n_moved: u64,
    /// By how much at most, nanoseconds.
    pub moved_ns: i64,
    /// The client span's kind was inferred.
    pub n_inferred: u64,
}

impl OnCalls {
    /// Adds other calls between the two.
    pub fn absorb(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.n_moved = self.n_moved.saturating_add(other.n_moved);
        self.moved_ns = self.moved_ns.max(other.moved_ns);
        self.n_inferred = self.n_inferred.saturating_add(other.n_inferred);
    }
}

/// By caller and callee, indices of services.
pub type Grounds = BTreeMap<(u32, u32), OnCalls>;

/// Adds the calls in `traces` to `grounds`, in one pass over their spans.
pub fn add_grounds(frame: &SpanFrame, forest: &Forest, traces: &[u32], grounds: &mut Grounds) {
    forest.each_stretch(traces, Need::All, |stretch, traces| {
        for &trace in traces {
            add_trace(stretch.frame(frame), stretch.forest, stretch.local(trace), grounds);
        }
    });
}

fn add_trace(frame: &SpanFrame, forest: &Forest, trace: usize, grounds: &mut Grounds) {
    let shift = |span: usize| forest.start_ns[span] - frame.spans.start_unix_ns[forest.row[span] as usize];
    {
        let spans = forest.spans_of(trace);
        for span in spans.clone() {
            let operation = forest.operations[forest.operation[span] as usize];
            if let Some(peer) = operation.peer {
                let own = grounds.entry((operation.service, peer)).or_default();
                own.count += 1;
                let declared = frame.spans.kind[forest.row[span] as usize];
                own.n_inferred += u64::from(declared == SpanKind::Unspecified as u8);
            }
            if forest.parent[span] == NO_PARENT {
                continue;
            }
            let caller = spans.start + forest.parent[span] as usize;
            let from = forest.operations[forest.operation[caller] as usize];
            if let Some(peer) = from.peer.filter(|_| shift(span) != shift(caller)) {
                let own = grounds.entry((from.service, peer)).or_default();
                own.n_moved += 1;
                own.moved_ns = own.moved_ns.max(shift(span).saturating_sub(shift(caller)).saturating_abs());
            }
        }
    }
}

/// What a profile is made of, and how large it may get.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The traces, ascending.
    pub traces: &'a [u32],
    /// What they stand for.
    pub window: Window,
    /// The attributes by which calls are told apart: those named, all that can if none are; none of them if this is.
    pub attributes: Option<&'a [String]>,
    /// Cells above which the profile is of a sample of the traces.
    pub max_cells: usize,
}

/// The profile of the traces of `scope`.
#[must_use]
pub fn take(frame: &SpanFrame, forest: &Forest, table: &CostTable, scope: Scope<'_>, about: About) -> Profile {
    let Scope { traces, window, attributes, max_cells } = scope;
    // Nothing is copied of a trace that there is no room for.
    let hashes: Vec<u64> = traces.iter().map(|&trace| hash(frame.traces.key(forest.trace[trace as usize]))).collect();
    let cells = traces.iter().zip(&hashes).map(|(&trace, &hash)| (hash, table.n_rows_of(trace as usize).max(1)));
    let below = bound(cells.collect(), max_cells);
    let mut profile = Profile {
        names: Vec::new(),
        services: forest.services.to_vec(),
        operations: forest.operations.to_vec(),
        offsets: vec![0],
        graph: Sums::of(forest, traces),
        values: presence::Kept::of(frame, forest, traces),
        start_unix_ns: window.start_unix_ns,
        end_unix_ns: window.end_unix_ns,
        below,
        about,
        ..Profile::default()
    };
    // Names of operations in the order in which they are met.
    let mut codes = HashMap::<u32, u32, foldhash::fast::FixedState>::default();
    for operation in &mut profile.operations {
        let fresh = u32::try_from(profile.names.len()).unwrap_or(u32::MAX);
        let code = *codes.entry(operation.name).or_insert(fresh);
        if code == fresh {
            profile.names.push(forest.name(operation.name).to_owned());
        }
        operation.name = code;
    }
    add_grounds(frame, forest, traces, &mut profile.grounds);
    let mut sample = Vec::with_capacity(traces.len());
    for (&trace, hash) in traces.iter().zip(hashes) {
        *profile.weights.entry(forest.weight[trace as usize].to_bits()).or_default() += 1;
        if below == u64::MAX || hash < below {
            sample.push(trace);
            profile.ids.intern(&frame.traces.text(forest.trace[trace as usize]));
            profile.trace(forest, trace as usize);
        } else {
            profile.n_spans_left_out += forest.n_spans_of(trace as usize);
        }
    }
    profile.table = costs(frame, forest, table, &sample);
    profile.table.kept.starts = starts(forest, traces);
    profile.calls = attributes.map(|asked| calls::take(frame, forest, table, &sample, asked));
    settle(profile, max_cells)
}

impl Profile {
    fn trace(&mut self, forest: &Forest, trace: usize) {
        let (start_ns, weight) = (forest.root_start_ns[trace], forest.weight[trace]);
        self.traces.push(Trace { start_ns, weight, n_spans: forest.n_spans_of(trace) });
        let tops = forest.spans_of(trace).filter(|&span| forest.is_top(span));
        self.requests.extend(tops.map(|span| Request {
            operation: forest.operation[span],
            start_ns: forest.start_ns[span],
            duration_ns: forest.end_ns[span] - forest.start_ns[span],
            has_failed: forest.flags[span].has(SpanFlags::FAILED),
            is_root: forest.is_root(span),
        }));
        self.offsets.push(self.requests.len());
    }
}

/// The rows of `traces`, with what only spans tell.
fn costs(frame: &SpanFrame, forest: &Forest, table: &CostTable, traces: &[u32]) -> CostTable {
    let mut own = CostTable { paths: table.paths.clone(), limits: table.limits.clone(), ..CostTable::default() };
    let mut place = vec![None; forest.n_traces()];
    for (index, &trace) in (0_u32..).zip(traces) {
        place[trace as usize] = Some(index);
    }
    for &trace in traces {
        own.push_from(table, trace as usize, |path| path);
    }
    let mut exceptions = BTreeMap::<(String, String), u32>::new();
    each_exception(frame, forest, table, |at, exception| {
        let (trace, failure) = table.failures[at];
        let Some(trace) = place[trace as usize] else { return };
        let fresh = u32::try_from(exceptions.len()).unwrap_or(u32::MAX);
        let exception = exception
            .map(|(kind, message)| (cut(&kind), cut(&message)))
            .map_or(NO_EXCEPTION, |text| *exceptions.entry(text).or_insert(fresh));
        own.failures.push((trace, Failure { span: NO_SPAN, exception, ..failure }));
    });
    let mut texts = vec![<(String, String)>::default(); exceptions.len()];
    for (text, code) in exceptions {
        texts[code as usize] = text;
    }
    let without_span = |failure: Failure| Failure { span: NO_SPAN, exception: NO_EXCEPTION, ..failure };
    let placed = |&(trace, failure): &(u32, Failure)| Some((place[trace as usize]?, without_span(failure)));
    own.survived = table.survived.iter().filter_map(placed).collect();
    for (list, all) in own.places_mut().into_iter().zip(table.places()) {
        *list = all.iter().filter_map(|&(trace, path)| Some((place[trace as usize]?, path))).collect();
    }
    own.kept = Kept { clients: clients(forest, table, traces), exceptions: texts, ..Kept::default() };
    own
}

/// How long after their parents the calls of the traces begin.
fn starts(forest: &Forest, traces: &[u32]) -> Starts {
    let mut starts = Starts::default();
    forest.each_stretch(traces, Need::Links, |stretch, traces| {
        for &trace in traces {
            kept::add_starts(stretch.forest, stretch.local(trace), |pair, after_ns| {
                let (sum, count) = starts.entry(pair).or_default();
                *sum += after_ns;
                *count += 1;
            });
        }
    });
    starts
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

fn clients(forest: &Forest, table: &CostTable, traces: &[u32]) -> Vec<(u32, ClientCalls)> {
    let (mut ends, mut calls, mut result) = (Vec::new(), Vec::new(), Vec::new());
    let mut index = 0_u32;
    forest.each_stretch(traces, Need::Links, |stretch, traces| {
        for &trace in traces {
            kept::client_calls(stretch.forest, &table.limits, stretch.local(trace), &mut ends, &mut calls);
            result.extend(calls.iter().map(|&calls| (index, calls)));
            index += 1;
        }
    });
    result
}

/// Calls `see` with the place of each failure of `table`, in their order, and the type and message of its exception, if it tells of one.
pub fn each_exception(
    frame: &SpanFrame,
    forest: &Forest,
    table: &CostTable,
    mut see: impl FnMut(usize, Option<(String, String)>),
) {
    let mut next = 0;
    let mut until = |limit: Option<u32>, read: &mut dyn FnMut(&Failure) -> Option<(String, String)>| {
        while let Some((trace, failure)) =
            table.failures.get(next).filter(|(trace, _)| limit.is_none_or(|limit| *trace <= limit))
        {
            let kept = || table.kept.exceptions.get(failure.exception as usize).cloned();
            let own = if failure.span == NO_SPAN || limit != Some(*trace) { kept() } else { read(failure) };
            see(next, own);
            next += 1;
        }
    };
    let mut traces: Vec<u32> = table.failures.iter().map(|&(trace, _)| trace).collect();
    traces.dedup();
    forest.each_stretch(&traces, Need::All, |stretch, traces| {
        for &trace in traces {
            let first = stretch.forest.spans_of(stretch.local(trace)).start;
            let mut read = |failure: &Failure| {
                let row = stretch.forest.row.get(first + failure.span as usize)?;
                exception_of(stretch.frame(frame), *row)
            };
            until(Some(trace), &mut read);
        }
    });
    until(None, &mut |_| None);
}

/// Type and message of the exception that a span in row `row` tells of.
#[must_use]
pub fn exception_of(frame: &SpanFrame, row: u32) -> Option<(String, String)> {
    let attributes = &frame.attributes;
    let text = |keys: &[&str]| {
        keys.iter().find_map(|key| {
            let column = attributes.get(AttributeScope::Span, key)?;
            let at = column.position_from(0..column.len(), row);
            let value = column.value(at).filter(|_| column.row(at) == Some(row))?;
            Some(attributes.text(value).into_owned()).filter(|text| !text.trim().is_empty())
        })
    };
    let kind = text(&["exception.type", "error.type"]);
    let message = text(&["exception.message", schema::STATUS_DESCRIPTION]);
    (kind.is_some() || message.is_some()).then(|| (kind.unwrap_or_default(), message.unwrap_or_default()))
}
