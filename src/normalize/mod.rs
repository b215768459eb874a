//! Records become requests: a [`SpanFrame`] in, a [`Forest`] of linked, repaired and named spans out.
//!
//! Step 0 of the analysis. Parents are found within each trace; spans whose parent is missing become roots of *fragments*;
//! client spans learn whom they call, from their child or from their attributes, and a peer that never reports spans becomes an *inferred
//! service*; clocks of different hosts are brought together where children fall outside their parents; children that
//! nobody waits for are *detached* from their parents. Everything done is counted in [`Repairs`].

mod attributes;
mod away;
mod join;
mod known;
mod link;
mod partition;
mod peer;
mod skew;
mod sort;
mod template;

pub use attributes::{failure_attributes, mark_failures, required_attributes};
pub use away::{Need, Stretch};
pub use join::{Joined, Request, Summed};
pub use link::NO_PARENT;
pub use partition::{Partitions, Place};
pub use skew::SkewedPair;
pub use sort::forest_of;

use crate::span::{SpanFrame, SpanKind};
use away::Away;
use known::{Draft, Known};
use link::{LinkCounts, Linked, Room, link};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;

/// More operation names than this in one service means that there are ids in them; the busiest service of
/// three public systems has 22, and a monolith may well have a few hundred routes.
pub const DISTINCT_NAMES: usize = 300;

/// A child may end this much after its parent, as a share of its own duration, and still count as waited for: instrumentation
/// closes spans in no strict order.
const LATE_SHARE: f64 = 0.05;
/// And at least by this much: timestamps are often rounded to a millisecond.
const LATE_NS: i64 = 1_000_000;

/// What a service is to the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name, or for an inferred service how its callers call it.
    pub name: String,
    /// Whether it is known from its callers' spans only: a database, cache, queue or third party.
    pub is_inferred: bool,
    /// Whether it keeps copies of what others know, by its product or by its name.
    pub is_cache: bool,
}

impl Service {
    /// A service of which no more is known.
    #[must_use]
    pub fn new(name: String, is_inferred: bool) -> Self {
        Self { is_cache: names_cache(&name), name, is_inferred }
    }

    /// Takes over what `other` spans say of the same service.
    pub fn join(&mut self, other: &Self) {
        // It reports spans if it does in either.
        self.is_inferred &= other.is_inferred;
        self.is_cache |= other.is_cache;
    }
}

/// Whether the name of a product or service is that of a cache.
fn names_cache(name: &str) -> bool {
    const PRODUCTS: [&str; 4] = ["cache", "redis", "valkey", "dragonfly"];
    // Asked for spans, too: no copy of the name.
    let holds = |word: &str| name.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()));
    PRODUCTS.into_iter().any(holds)
}

/// What a span does: the identity under which spans are compared between windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operation {
    /// Index of the service that the span belongs to.
    pub service: u32,
    /// Code of the span's (folded) name.
    pub name: u32,
    /// Kind, inferred where the source has none.
    pub kind: SpanKind,
    /// Index of the service that a client or producer span calls.
    pub peer: Option<u32>,
}

/// Facts of one span that are a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanFlags(u8);

impl SpanFlags {
    /// The span failed.
    pub const FAILED: Self = Self(1);
    /// Its parent is not in the data.
    pub const ORPHAN: Self = Self(2);
    /// Nobody waits for it: it is a request of its own, linked to its parent.
    pub const DETACHED: Self = Self(4);
    /// It has no duration of its own and was given its children's end.
    pub const OPEN: Self = Self(8);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Linked spans, grouped by trace; traces are ordered by start and id, spans within a trace by start.
#[derive(Debug, Default)]
pub struct Forest {
    /// Spans of trace `t` are `offsets[t]..offsets[t + 1]`.
    offsets: Vec<usize>,
    /// Trace index in the frame, a trace.
    pub trace: Vec<u32>,
    /// Start of its first root, nanoseconds since the Unix epoch, a trace.
    pub root_start_ns: Vec<i64>,
    /// How many requests it stands for under sampling, a trace; 1 without sampling.
    pub weight: Vec<f64>,
    /// Row in the frame, a span.
    pub row: Vec<u32>,
    /// Position of the parent within the trace, or [`NO_PARENT`], a span.
    pub parent: Vec<u32>,
    /// Index in `operations`, a span.
    pub operation: Vec<u32>,
    /// Start after skew correction, nanoseconds since the Unix epoch, a span.
    pub start_ns: Vec<i64>,
    /// End after skew correction, a span; not before its start.
    pub end_ns: Vec<i64>,
    /// Flags, a span.
    pub flags: Vec<SpanFlags>,
    /// Distinct operations.
    pub operations: Arc<Vec<Operation>>,
    /// Services, those that report spans first.
    pub services: Arc<Vec<Service>>,
    kinds: Vec<SpanKind>,
    names: Arc<Vec<String>>,
    /// For a trace of which only the tops of its requests are here, how many spans it has; empty if all traces have theirs.
    summed: Vec<Option<u64>>,
    /// Where the spans are, if not here.
    away: Option<Away>,
}

impl Forest {
    /// The name with code `code`, of an operation or a service.
    #[must_use]
    pub fn name(&self, code: u32) -> &str {
        self.names.get(code as usize).map_or("", String::as_str)
    }

    /// Name of an operation, ids folded.
    #[must_use]
    pub fn operation_name(&self, operation: Operation) -> &str {
        self.name(operation.name)
    }

    /// An order of operations that depends on names only, never on the order in which they were read.
    #[must_use]
    pub fn sort_key(&self, operation: Operation) -> (&str, &str, SpanKind, &str) {
        let service = |index: u32| self.services[index as usize].name.as_str();
        (service(operation.service), self.operation_name(operation), operation.kind, operation.peer.map_or("", service))
    }

    /// Number of traces.
    #[must_use]
    pub fn n_traces(&self) -> usize {
        self.trace.len()
    }

    /// Number of spans that are here: of a trace that only a profile tells of, or whose spans lie in a folder, only its tops.
    #[must_use]
    pub fn n_spans(&self) -> usize {
        self.row.len()
    }

    /// Whether only a profile tells of trace `trace`: then its spans are the tops of its requests.
    #[must_use]
    pub fn is_summed(&self, trace: usize) -> bool {
        match &self.away {
            Some(away) => away.places[trace] == u32::MAX,
            None => self.summed.get(trace).is_some_and(Option::is_some),
        }
    }

    /// Number of spans that trace `trace` was recorded with.
    #[must_use]
    pub fn n_spans_of(&self, trace: usize) -> u64 {
        self.summed.get(trace).copied().flatten().unwrap_or_else(|| self.spans_of(trace).len() as u64)
    }

    /// The spans of trace `trace` that are here: of a trace that only a profile tells of, or whose spans lie in a folder, the tops of its
    /// requests.
    #[must_use]
    pub fn spans_of(&self, trace: usize) -> Range<usize> {
        self.offsets[trace]..self.offsets[trace + 1]
    }

    /// Kind of span `span`, inferred where the source has none.
    #[must_use]
    pub fn kind(&self, span: usize) -> SpanKind {
        self.kinds[span]
    }

    /// The span with which trace `trace` begins: its first root, or the first top of a fragment if it has no root.
    #[must_use]
    pub fn first_top(&self, trace: usize) -> Option<usize> {
        let mut spans = self.spans_of(trace);
        spans.clone().find(|&span| self.is_root(span)).or_else(|| spans.find(|&span| self.is_top(span)))
    }

    /// Whether span `span` begins a request: a root, the top of a fragment, or detached work.
    #[must_use]
    pub fn is_top(&self, span: usize) -> bool {
        self.parent[span] == NO_PARENT || self.flags[span].has(SpanFlags::DETACHED)
    }

    /// Whether span `span` is a root: it has no parent and names none, so its duration is a request's latency.
    #[must_use]
    pub fn is_root(&self, span: usize) -> bool {
        self.parent[span] == NO_PARENT && !self.flags[span].has(SpanFlags::ORPHAN)
    }
}

/// What normalisation dropped, repaired or doubted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Repairs {
    /// Records dropped because the same span was read before.
    pub n_duplicates: u64,
    /// Server halves that share their client half's id, as Zipkin writes them.
    pub n_shared_ids: u64,
    /// Spans whose id another, different span of the trace also has.
    pub n_conflicting_ids: u64,
    /// Spans whose parent is not in the data.
    pub n_orphans: u64,
    /// Cycles of parents that were cut.
    pub n_cycles: u64,
    /// Traces without a root: fragments only.
    pub n_rootless_traces: u64,
    /// Spans that outlive their parent or consume a message: requests of their own.
    pub n_detached: u64,
    /// Spans without a duration of their own that were given their children's end.
    pub n_extended: u64,
    /// Spans without a kind, whose kind was inferred.
    pub n_inferred_kinds: u64,
    /// Services whose operation names were folded into templates.
    pub folded_services: Vec<String>,
    /// Of these, the services whose names a profile folded and the spans or profile beside it did not, or the other way round.
    #[serde(default)]
    pub folded_apart: Vec<String>,
    /// Host pairs whose clocks were brought together.
    pub skew: Vec<SkewedPair>,
    /// Traces that carry a sampling weight.
    pub n_weighted_traces: u64,
    /// Traces whose sampling weight is unknown while others carry one; they count once.
    pub n_unweighted_traces: u64,
}

impl Repairs {
    /// Adds the counts of other spans of the same data.
    fn add(&mut self, other: &Self) {
        self.n_duplicates += other.n_duplicates;
        self.n_shared_ids += other.n_shared_ids;
        self.n_conflicting_ids += other.n_conflicting_ids;
        self.n_orphans += other.n_orphans;
        self.n_cycles += other.n_cycles;
        self.n_rootless_traces += other.n_rootless_traces;
        self.n_detached += other.n_detached;
        self.n_extended += other.n_extended;
        self.n_inferred_kinds += other.n_inferred_kinds;
        self.n_weighted_traces += other.n_weighted_traces;
        self.n_unweighted_traces += other.n_unweighted_traces;
    }
}

/// Links and repairs the spans of `frame`.
///
/// Cost: a sort within each trace, in parallel, and a few passes over columns; the result holds 30 bytes a span.
#[must_use]
pub fn forest(frame: &mut SpanFrame) -> (Forest, Repairs) {
    forest_apart(frame, None)
}

/// [`forest`] of two recordings in one frame, the second of which begins at trace `first_of_second`: a host's clock in one says nothing
/// of its clock in the other.
#[must_use]
pub fn forest_apart(frame: &mut SpanFrame, first_of_second: Option<u32>) -> (Forest, Repairs) {
    let mut known = Known::default();
    let draft = Draft::new(frame, first_of_second, &mut known);
    known.learn(frame, &draft);
    if known.has_doubtful_clocks() {
        known.learn_clocks(&draft);
    }
    known.settle(frame);
    let mut forest = known.finish(frame, draft);
    let repairs = known.take_repairs();
    forest.number(known, frame);
    (forest, repairs)
}

/// Groups rows by trace, links each trace, and lays the traces out by start and id.
fn gather(frame: &SpanFrame, forest: &mut Forest, repairs: &mut Repairs) {
    let spans = &frame.spans;
    let (starts, rows) = rows_by_trace(&spans.trace, frame.traces.len());
    let traces: Vec<usize> = (0..frame.traces.len()).filter(|&trace| starts[trace] < starts[trace + 1]).collect();
    // One task a core and a bit: linking is even work, and each task concatenates its results once.
    let chunk = traces.len().div_ceil(rayon::current_num_threads() * 4).max(64);
    let parts: Vec<(Linked, Vec<usize>, LinkCounts)> = traces
        .par_chunks(chunk)
        .map(|traces| {
            let (mut linked, mut ends, mut counts) = (Linked::default(), Vec::new(), LinkCounts::default());
            let mut room = Room::default();
            for &trace in traces {
                link(spans, &rows[starts[trace]..starts[trace + 1]], &mut counts, &mut room, &mut linked);
                ends.push(linked.rows.len());
            }
            (linked, ends, counts)
        })
        .collect();

    // Where each trace lies: its part and the range within.
    let mut order = Vec::with_capacity(traces.len());
    for ((part, (linked, ends, counts)), traces) in parts.iter().enumerate().zip(traces.chunks(chunk)) {
        repairs.n_duplicates += counts.n_duplicates;
        repairs.n_shared_ids += counts.n_shared_ids;
        repairs.n_conflicting_ids += counts.n_conflicting_ids;
        repairs.n_orphans += counts.n_orphans;
        repairs.n_cycles += counts.n_cycles;
        let mut begin = 0;
        for (&end, &trace) in ends.iter().zip(traces) {
            let tops = || (begin..end).filter(|&span| linked.parents[span] == NO_PARENT);
            let first = tops().find(|&span| !linked.orphan[span]);
            repairs.n_rootless_traces += u64::from(first.is_none());
            let top = first.or_else(|| tops().next()).unwrap_or(begin);
            let start = spans.start_unix_ns[linked.rows[top] as usize];
            let trace = u32::try_from(trace).unwrap_or(u32::MAX);
            order.push((start, frame.traces.key(trace), trace, part, begin..end));
            begin = end;
        }
    }
    // Two recordings may have a trace of one id.
    order.sort_unstable_by_key(|&(start, key, trace, ..)| (start, key, trace));

    forest.offsets.push(0);
    for (start, _, trace, part, range) in order {
        let linked = &parts[part].0;
        forest.trace.push(trace);
        forest.root_start_ns.push(start);
        forest.row.extend_from_slice(&linked.rows[range.clone()]);
        forest.parent.extend_from_slice(&linked.parents[range.clone()]);
        forest.flags.extend(
            linked.orphan[range].iter().map(|&orphan| if orphan { SpanFlags::ORPHAN } else { SpanFlags::default() }),
        );
        forest.offsets.push(forest.row.len());
    }
    let start_ns = |&row: &u32| spans.start_unix_ns[row as usize];
    forest.start_ns = forest.row.par_iter().map(start_ns).collect();
    forest.end_ns = forest.row.par_iter().map(|row| start_ns(row) + spans.duration_ns[*row as usize]).collect();
}

/// Rows of each trace by counting sort: those of trace `t` are `rows[starts[t]..starts[t + 1]]`.
fn rows_by_trace(trace: &[u32], n_traces: usize) -> (Vec<usize>, Vec<u32>) {
    let mut starts = vec![0_usize; n_traces + 1];
    for &trace in trace {
        starts[trace as usize + 1] += 1;
    }
    for trace in 0..n_traces {
        starts[trace + 1] += starts[trace];
    }
    let mut next = starts.clone();
    let mut rows = vec![0_u32; trace.len()];
    for (row, &trace) in (0_u32..).zip(trace) {
        rows[next[trace as usize]] = row;
        next[trace as usize] += 1;
    }
    (starts, rows)
}

/// Lets a span of no duration last until its children end; returns how many were.
///
/// Exporters write such spans when they were never finished. One that hands a message over really takes no time.
fn extend(forest: &mut Forest, kinds: &[SpanKind]) -> u64 {
    let mut n_extended = 0;
    for trace in 0..forest.n_traces() {
        let spans = forest.spans_of(trace);
        // Children start after their parents, so from the back each child is final before its parent needs it.
        for child in spans.clone().rev().filter(|&child| forest.parent[child] != NO_PARENT) {
            let parent = spans.start + forest.parent[child] as usize;
            let is_handover = kinds[parent] == SpanKind::Producer || kinds[child] == SpanKind::Consumer;
            let is_open = forest.flags[parent].has(SpanFlags::OPEN) || forest.end_ns[parent] == forest.start_ns[parent];
            // A duration has to fit 64 bits, too, however far apart the moments are.
            let end_ns = forest.end_ns[child].min(forest.start_ns[parent].saturating_add(i64::MAX));
            if is_open && !is_handover && end_ns > forest.end_ns[parent] {
                n_extended += u64::from(!forest.flags[parent].has(SpanFlags::OPEN));
                forest.flags[parent].set(SpanFlags::OPEN);
                forest.end_ns[parent] = end_ns;
            }
        }
    }
    n_extended
}

/// Flags the children that nobody waits for.
///
/// A client span waits for what it calls however long that runs on, so a callee that outlives it ran into its timeout.
fn detach(forest: &mut Forest, kinds: &[SpanKind], repairs: &mut Repairs) {
    for trace in 0..forest.n_traces() {
        let spans = forest.spans_of(trace);
        for child in spans.clone() {
            if forest.parent[child] == NO_PARENT {
                continue;
            }
            let parent = spans.start + forest.parent[child] as usize;
            let (start, end, parent_end) = (forest.start_ns[child], forest.end_ns[child], forest.end_ns[parent]);
            #[expect(clippy::cast_possible_truncation, reason = "a share of a 64-bit duration fits")]
            let tolerance = LATE_NS.max(((end - start) as f64 * LATE_SHARE) as i64);
            let outlives = end.saturating_sub(parent_end) > tolerance && kinds[parent] != SpanKind::Client;
            if kinds[child] == SpanKind::Consumer || outlives {
                forest.flags[child].set(SpanFlags::DETACHED);
                repairs.n_detached += 1;
            }
        }
    }
}

/// A trace's weight is its first span's that carries one; `is_sampled` if any trace's does.
fn weigh(forest: &mut Forest, weight: &[f64], is_sampled: bool, repairs: &mut Repairs) {
    forest.weight = vec![1.0; forest.n_traces()];
    if !is_sampled {
        return;
    }
    for trace in 0..forest.n_traces() {
        let rows = forest.row[forest.spans_of(trace)].iter();
        let known = rows.filter_map(|&row| weight.get(row as usize).copied()).find(|&weight| weight > 0.0);
        match known {
            Some(known) => {
                forest.weight[trace] = known;
                repairs.n_weighted_traces += 1;
            }
            None => repairs.n_unweighted_traces += 1,
        }
    }
}
