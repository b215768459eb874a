//! One trace as a tree, and who is to blame for each instant of it.
//!
//! Takes a [`Forest`] and the [`SpanFrame`] it was made of, and gives a [`TraceDocument`]: every span in tree order with the time
//! blamed on it, and for each request of the trace the segments of the [blame walk](crate::blame), which sum to its duration.
//! A trace has several requests if it has several roots, fragments whose parent is missing, or work that nobody waits for.

use crate::blame::{BlameKind, BlameSink, Walker};
use crate::normalize::{Forest, NO_PARENT, SpanFlags};
use crate::span::{SpanFrame, SpanId, SpanKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the JSON form of [`TraceDocument`]; rises when a key changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// One trace. Times are after the correction of clocks, so that children lie where they were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TraceDocument {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The trace's id as the source wrote it.
    pub trace_id: String,
    /// Start of the main request, nanoseconds since the Unix epoch.
    pub start_unix_ns: i64,
    /// Duration of the main request, nanoseconds: the sum of `segments`.
    pub duration_ns: i64,
    /// Distinct spans.
    pub n_spans: u64,
    /// Who is to blame for each instant of the main request, in order of time.
    pub segments: Vec<Segment>,
    /// The trace's requests: the main one, the longest root, first; then in tree order.
    pub requests: Vec<Request>,
    /// All spans, each below its parent, siblings by their start.
    pub spans: Vec<TraceSpan>,
}

/// Instants that belong to one span: `start_unix_ns..end_unix_ns`, never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Segment {
    /// The span.
    pub span_id: String,
    /// Its service.
    pub service: String,
    /// Its operation, ids folded.
    pub operation: String,
    /// First nanosecond, since the Unix epoch.
    pub start_unix_ns: i64,
    /// Nanosecond after the last.
    pub end_unix_ns: i64,
    /// Why they belong to it.
    pub kind: BlameKind,
}

/// What begins a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// A root: somebody outside waited for it.
    Request,
    /// A span whose parent is missing.
    Fragment,
    /// Work that its parent does not wait for.
    Detached,
}

/// A request within the trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// The span that it begins with.
    pub span_id: String,
    /// Its service.
    pub service: String,
    /// Its operation, ids folded.
    pub operation: String,
    /// What it is.
    pub kind: RequestKind,
    /// Start, nanoseconds since the Unix epoch.
    pub start_unix_ns: i64,
    /// Duration, nanoseconds: the sum of `segments`.
    pub duration_ns: i64,
    /// Who is to blame for each of its instants, in order of time.
    pub segments: Vec<Segment>,
}

/// One span.
#[expect(clippy::struct_excessive_bools, reason = "four independent facts, each a key of the document")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceSpan {
    /// Its id.
    pub span_id: String,
    /// The parent's id, as the source has it; `null` for a root.
    pub parent_span_id: Option<String>,
    /// Spans above it.
    pub depth: u32,
    /// Its service.
    pub service: String,
    /// Its operation, ids folded.
    pub operation: String,
    /// Its kind, inferred where the source has none.
    pub kind: SpanKind,
    /// The service that it calls, if it calls one.
    pub peer: Option<String>,
    /// Start, nanoseconds since the Unix epoch.
    pub start_unix_ns: i64,
    /// Duration, nanoseconds.
    pub duration_ns: i64,
    /// Sum of its segments, nanoseconds.
    pub self_ns: i64,
    /// Whether it failed.
    pub is_error: bool,
    /// Whether its parent is not in the data.
    pub is_orphan: bool,
    /// Whether its parent does not wait for it.
    pub is_detached: bool,
    /// Whether it repeats a failed call.
    pub is_retry: bool,
    /// How far it was moved because its host's clock disagreed, nanoseconds; later is positive.
    pub clock_shift_ns: i64,
}

/// Shows trace `trace` of `forest`, which was made of `frame`.
///
/// Cost: linear in the trace's spans but for a sort of siblings; deep traces need no stack.
#[must_use]
pub fn document(frame: &SpanFrame, forest: &Forest, trace: usize) -> TraceDocument {
    let names = Names { frame, forest };
    let mut walker = Walker::default();
    walker.load(forest, trace);
    let first = forest.spans_of(trace).start;
    let order = tree_order(forest, trace);

    let mut self_ns = vec![0_i64; order.len()];
    let mut requests: Vec<Request> = Vec::new();
    for &(span, _) in order.iter().filter(|&&(span, _)| forest.is_top(span)) {
        let mut blamed = Blamed::default();
        walker.walk(forest, first, span, &mut blamed);
        blamed.segments.sort_unstable_by_key(|&(_, _, start_ns, _)| start_ns);
        for &(span, _, start_ns, end_ns) in &blamed.segments {
            self_ns[span - first] += end_ns - start_ns;
        }
        requests.push(names.request(span, &blamed.segments));
    }
    // Stable, so that all but the main request stay in tree order.
    let is_main = |request: &Request| (request.kind, std::cmp::Reverse(request.duration_ns));
    if let Some(main) = (0..requests.len()).min_by_key(|&index| is_main(&requests[index])) {
        requests[..=main].rotate_right(1);
    }

    let span = |&(span, depth): &(usize, u32)| {
        let mut row = names.span(span);
        row.depth = depth;
        row.self_ns = self_ns[span - first];
        row.is_retry = walker.is_retry(span - first);
        row
    };
    let main = requests.first();
    TraceDocument {
        schema_version: SCHEMA_VERSION,
        trace_id: frame.traces.text(forest.trace[trace]),
        start_unix_ns: main.map_or(0, |request| request.start_unix_ns),
        duration_ns: main.map_or(0, |request| request.duration_ns),
        n_spans: order.len() as u64,
        segments: main.map_or(Vec::new(), |request| request.segments.clone()),
        spans: order.iter().map(span).collect(),
        requests,
    }
}

/// Spans of a trace with their depth: each below its parent, roots before fragments, siblings by start.
#[must_use]
pub fn tree_order(forest: &Forest, trace: usize) -> Vec<(usize, u32)> {
    let spans = forest.spans_of(trace);
    let first = spans.start;
    // Latest first, for a stack gives back the last.
    let mut by_parent: Vec<usize> = spans.clone().collect();
    by_parent.sort_unstable_by_key(|&span| {
        let is_orphan = forest.flags[span].has(SpanFlags::ORPHAN);
        std::cmp::Reverse((forest.parent[span], is_orphan, forest.start_ns[span], span))
    });
    let below = |position: u32| {
        let start = by_parent.partition_point(|&span| forest.parent[span] > position);
        by_parent[start..].iter().copied().take_while(move |&span| forest.parent[span] == position)
    };
    let mut stack: Vec<(usize, u32)> = below(NO_PARENT).map(|span| (span, 0)).collect();
    let mut order = Vec::with_capacity(spans.len());
    while let Some((span, depth)) = stack.pop() {
        order.push((span, depth));
        let position = u32::try_from(span - first).unwrap_or(NO_PARENT);
        stack.extend(below(position).map(|child| (child, depth + 1)));
    }
    order
}

/// Segments of one request: span, kind, start and end.
#[derive(Default)]
struct Blamed {
    segments: Vec<(usize, BlameKind, i64, i64)>,
}

impl BlameSink for Blamed {
    type Node = ();

    fn call(&mut self, _parent: Option<()>, _span: usize, _is_retry: bool) {}

    fn visit(&mut self, _node: (), _span: usize) {}

    fn blame(&mut self, _node: (), span: usize, kind: BlameKind, start_ns: i64, end_ns: i64) {
        self.segments.push((span, kind, start_ns, end_ns));
    }
}

/// Codes become names.
struct Names<'a> {
    frame: &'a SpanFrame,
    forest: &'a Forest,
}

impl Names<'_> {
    fn id(&self, id: u64) -> Option<String> {
        SpanId::new(id).map(|id| self.frame.span_ids.text(id))
    }

    fn span_id(&self, span: usize) -> String {
        self.id(self.frame.spans.span_id[self.forest.row[span] as usize]).unwrap_or_default()
    }

    /// Service and operation.
    fn names(&self, span: usize) -> [String; 2] {
        let operation = self.forest.operations[self.forest.operation[span] as usize];
        let service = &self.forest.services[operation.service as usize].name;
        [service.clone(), self.forest.operation_name(operation).to_owned()]
    }

    fn request(&self, top: usize, segments: &[(usize, BlameKind, i64, i64)]) -> Request {
        let forest = self.forest;
        let [service, operation] = self.names(top);
        let kind = if forest.is_root(top) {
            RequestKind::Request
        } else if forest.parent[top] == NO_PARENT {
            RequestKind::Fragment
        } else {
            RequestKind::Detached
        };
        let segment = |&(span, kind, start_unix_ns, end_unix_ns): &(usize, BlameKind, i64, i64)| {
            let [service, operation] = self.names(span);
            Segment { span_id: self.span_id(span), service, operation, start_unix_ns, end_unix_ns, kind }
        };
        Request {
            span_id: self.span_id(top),
            service,
            operation,
            kind,
            start_unix_ns: forest.start_ns[top],
            duration_ns: forest.end_ns[top] - forest.start_ns[top],
            segments: segments.iter().map(segment).collect(),
        }
    }

    /// The span's own facts; those that depend on others are left at zero.
    fn span(&self, span: usize) -> TraceSpan {
        let forest = self.forest;
        let row = forest.row[span] as usize;
        let [service, operation] = self.names(span);
        let peer = forest.operations[forest.operation[span] as usize].peer;
        TraceSpan {
            span_id: self.span_id(span),
            parent_span_id: self.id(self.frame.spans.parent_span_id[row]),
            depth: 0,
            service,
            operation,
            kind: forest.kind(span),
            peer: peer.map(|peer| forest.services[peer as usize].name.clone()),
            start_unix_ns: forest.start_ns[span],
            duration_ns: forest.end_ns[span] - forest.start_ns[span],
            self_ns: 0,
            is_error: forest.flags[span].has(SpanFlags::FAILED),
            is_orphan: forest.flags[span].has(SpanFlags::ORPHAN),
            is_detached: forest.flags[span].has(SpanFlags::DETACHED),
            is_retry: false,
            clock_shift_ns: forest.start_ns[span] - self.frame.spans.start_unix_ns[row],
        }
    }
}
