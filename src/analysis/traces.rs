//! Exemplar traces span by span: a slow request beside the baseline's request most like it.

use super::build::NS_PER_MS;
use super::evidence::{Evidence, Stake};
use crate::blame::{BlameKind, BlameSink, Walker};
use crate::normalize::{Forest, NO_PARENT, SpanFlags, Stretch};
use crate::span::SpanKind;
use crate::trace::tree_order;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;

/// Pairs shown of the first suspects; of others none, their ids must do.
const N_PAIRS: [usize; 5] = [3, 2, 1, 1, 1];
/// Spans shown of a trace: two screens, and some 30 KB of JSON.
const MAX_SPANS: usize = 120;

/// A slow request and, if there is one, the baseline's request most like it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TracePair {
    /// Place of the suspect that the slow request shows.
    pub suspect: u32,
    /// A request of the regression.
    pub regression: TraceView,
    /// One of the baseline.
    pub baseline: Option<TraceView>,
}

/// One trace, as much of it as fits a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TraceView {
    /// Trace id as the source has it.
    pub trace_id: String,
    /// Start of its first request, nanoseconds since the Unix epoch.
    pub start_unix_ns: i64,
    /// How long its first request took.
    pub duration_ms: f64,
    /// How much of it is the suspect's.
    pub suspect_ms: f64,
    /// Spans that are left out: those on which least time is blamed.
    pub n_spans_left_out: u64,
    /// Spans in tree order, each below its parent, siblings by their start.
    pub spans: Vec<SpanView>,
}

/// One span of a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SpanView {
    /// Call path; spans of the two traces of a pair with the same number are alike.
    pub path: u32,
    /// Spans above it.
    pub depth: u32,
    /// Service.
    pub service: String,
    /// Operation.
    pub operation: String,
    /// Kind.
    pub kind: SpanKind,
    /// Whether it failed.
    pub is_error: bool,
    /// Start after that of the trace, milliseconds.
    pub start_ms: f64,
    /// Duration.
    pub duration_ms: f64,
    /// Stretches `[start, end]` that the request waited for it itself, milliseconds after the start of the trace; what of them is before
    /// its start is the pause before a retry.
    pub blamed_ms: Vec<[f64; 2]>,
    /// Those of them that are the suspect's.
    pub suspect_ms: Vec<[f64; 2]>,
}

/// What a suspect's traces are shown by.
pub(super) struct Shown {
    /// Traces of the regression, each with the baseline's trace to set beside it.
    pub(super) pairs: Vec<(u32, Option<u32>)>,
    /// What of them is the suspect's.
    pub(super) stake: Stake,
}

/// The exemplars of the first suspects, in order of rank, each trace of the regression once.
pub(super) fn pairs(evidence: Evidence<'_>, shown: &[Shown]) -> Vec<TracePair> {
    let mut known = Vec::new();
    let mut chosen = Vec::new();
    for ((suspect, shown), n_pairs) in (1_u32..).zip(shown).zip(N_PAIRS) {
        for &(trace, baseline) in shown.pairs.iter().take(n_pairs) {
            if !known.contains(&trace) {
                known.push(trace);
                chosen.push((suspect, &shown.stake, trace, baseline));
            }
        }
    }
    let pair = |(suspect, stake, trace, baseline): (u32, &Stake, u32, Option<u32>)| {
        Some(TracePair {
            suspect,
            regression: evidence.forest.with_stretch(trace, |stretch| view(evidence, stretch, stake, trace))?,
            // A profile keeps no spans to show.
            baseline: baseline
                .and_then(|trace| evidence.forest.with_stretch(trace, |stretch| view(evidence, stretch, stake, trace)))
                .filter(|view| !view.spans.is_empty()),
        })
    };
    chosen.into_par_iter().filter_map(pair).collect()
}

/// Segments of a trace: span, kind, start and end.
#[derive(Default)]
struct Segments(Vec<(usize, BlameKind, i64, i64)>);

impl BlameSink for Segments {
    type Node = ();

    fn call(&mut self, _parent: Option<()>, _span: usize, _is_retry: bool) {}

    fn visit(&mut self, _node: (), _span: usize) {}

    fn blame(&mut self, _node: (), span: usize, kind: BlameKind, start_ns: i64, end_ns: i64) {
        self.0.push((span, kind, start_ns, end_ns));
    }
}

/// What is shown of a span beside its own facts.
#[derive(Clone, Default)]
struct Blamed {
    path: Option<u32>,
    /// Stretches that are blamed on it, with whether they are the suspect's.
    segments: Vec<(i64, i64, bool)>,
}

impl Blamed {
    fn time_ns(&self, of_suspect: bool) -> i64 {
        let own = self.segments.iter().filter(|&&(.., is_suspect)| is_suspect || !of_suspect);
        own.fold(0, |sum: i64, &(start_ns, end_ns, _)| sum.saturating_add(end_ns.saturating_sub(start_ns)))
    }
}

fn view(evidence: Evidence<'_>, stretch: &Stretch<'_>, stake: &Stake, trace: u32) -> TraceView {
    let (forest, local) = (stretch.forest, stretch.local(trace));
    let spans = forest.spans_of(local);
    let first = spans.start;
    let mut walker = Walker::default();
    walker.load(forest, local);
    let mut blamed = vec![Blamed::default(); spans.len()];
    evidence.table.paths_of_spans(forest, &walker, local, |position, path, _| {
        blamed[position].path = Some(path);
    });
    for top in spans.clone().filter(|&span| forest.is_top(span)) {
        let mut segments = Segments::default();
        walker.walk(forest, first, top, &mut segments);
        // The walk goes backwards.
        for (span, kind, start_ns, end_ns) in segments.0.into_iter().rev() {
            let own = &mut blamed[span - first];
            let begins = start_ns == forest.start_ns[span];
            let is_suspect = own.path.is_some_and(|path| stake.owns(path, kind.part(begins)));
            own.segments.push((start_ns, end_ns, is_suspect));
        }
    }
    let start_ns = forest.first_top(local).map_or(0, |top| forest.start_ns[top]);
    let after_start_ms = |at_ns: i64| at_ns.saturating_sub(start_ns) as f64 / NS_PER_MS;
    let is_kept = kept(forest, first, &blamed);
    let order = tree_order(forest, local);
    let suspect_ns = blamed.iter().fold(0, |sum: i64, own| sum.saturating_add(own.time_ns(true)));
    let span_view = |(span, depth): (usize, u32)| {
        let operation = forest.operations[forest.operation[span] as usize];
        let own = &blamed[span - first];
        let stretches = |of_suspect: bool| {
            let own = own.segments.iter().filter(|&&(.., is_suspect)| is_suspect || !of_suspect);
            own.map(|&(start_ns, end_ns, _)| [after_start_ms(start_ns), after_start_ms(end_ns)]).collect()
        };
        SpanView {
            path: own.path.unwrap_or(u32::MAX),
            depth,
            service: forest.services[operation.service as usize].name.clone(),
            operation: forest.operation_name(operation).to_owned(),
            kind: forest.kind(span),
            is_error: forest.flags[span].has(SpanFlags::FAILED),
            start_ms: after_start_ms(forest.start_ns[span]),
            duration_ms: (forest.end_ns[span] - forest.start_ns[span]) as f64 / NS_PER_MS,
            blamed_ms: stretches(false),
            suspect_ms: stretches(true),
        }
    };
    let shown: Vec<SpanView> = order.into_iter().filter(|&(span, _)| is_kept[span - first]).map(span_view).collect();
    TraceView {
        trace_id: evidence.trace_id(trace),
        start_unix_ns: start_ns,
        duration_ms: evidence.duration_ns(trace) as f64 / NS_PER_MS,
        suspect_ms: suspect_ns as f64 / NS_PER_MS,
        n_spans_left_out: (spans.len() - shown.len()) as u64,
        spans: shown,
    }
}

/// Which spans are shown: those with most time of the suspect's, then of their own, each with all above it.
fn kept(forest: &Forest, first: usize, blamed: &[Blamed]) -> Vec<bool> {
    if blamed.len() <= MAX_SPANS {
        return vec![true; blamed.len()];
    }
    let mut order: Vec<usize> = (0..blamed.len()).collect();
    order.sort_by_cached_key(|&position| {
        Reverse((blamed[position].time_ns(true), blamed[position].time_ns(false), Reverse(position)))
    });
    let mut is_kept = vec![false; blamed.len()];
    let mut room = MAX_SPANS;
    for position in order {
        let parent = |&position: &usize| {
            let parent = forest.parent[first + position];
            (parent != NO_PARENT).then_some(parent as usize)
        };
        let above: Vec<usize> = std::iter::successors(Some(position), parent)
            .take_while(|&position| !is_kept[position])
            .take(room + 1)
            .collect();
        if above.len() <= room {
            room -= above.len();
            for position in above {
                is_kept[position] = true;
            }
        }
        if room == 0 {
            break;
        }
    }
    is_kept
}
