use super::{range_of, ratio};
use crate::span::{SpanFrame, SpanKind, SpanStatus};
use crate::window::{Data, Root, Window};
use rayon::slice::ParallelSliceMut;
use schemars::JsonSchema;
use serde::Serialize;

/// How complete the spans and their traces are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Quality {
    /// Spans whose parent is not among the spans of their trace.
    pub n_orphans: u64,
    /// Share of spans that are orphans.
    pub orphan_ratio: f64,
    /// Spans that name no kind.
    pub n_without_kind: u64,
    /// Share of spans that name no kind.
    pub without_kind_ratio: f64,
    /// Traces without a span that has no parent.
    pub n_traces_without_root: u64,
    /// Share of traces without a root.
    pub without_root_ratio: f64,
    /// Spans read more than once and set aside.
    pub n_duplicates: u64,
}

impl Quality {
    /// Measures a frame whose duplicates are known.
    pub(super) fn of(frame: &SpanFrame, is_duplicate: &[bool], roots: &Roots) -> Self {
        let n_duplicates = is_duplicate.iter().filter(|&&duplicate| duplicate).count() as u64;
        let n_spans = frame.spans.len() as u64 - n_duplicates;
        let unspecified = |&(&kind, &duplicate): &(&u8, &bool)| !duplicate && kind == SpanKind::Unspecified as u8;
        let n_without_kind = frame.spans.kind.iter().zip(is_duplicate).filter(unspecified).count() as u64;
        let n_orphans = orphans(frame, is_duplicate);
        Self {
            n_orphans,
            orphan_ratio: ratio(n_orphans, n_spans),
            n_without_kind,
            without_kind_ratio: ratio(n_without_kind, n_spans),
            n_traces_without_root: roots.n_without_root,
            without_root_ratio: ratio(roots.n_without_root, roots.by_trace.len() as u64),
            n_duplicates,
        }
    }
}

/// Marks each span that repeats an earlier one: same trace, span id, kind, service and operation.
///
/// Kind, service and operation count because the two halves of a Zipkin call share one span id. Costs a sort of row
/// numbers.
#[must_use]
pub fn duplicates(frame: &SpanFrame) -> Vec<bool> {
    let spans = &frame.spans;
    let identity = |row: u32| {
        let row = row as usize;
        (spans.trace[row], spans.span_id[row], spans.kind[row], spans.service[row], spans.operation[row])
    };
    let mut rows: Vec<u32> = (0..spans.len()).filter_map(|row| u32::try_from(row).ok()).collect();
    rows.par_sort_unstable_by_key(|&row| (identity(row), row));
    let mut is_duplicate = vec![false; spans.len()];
    for pair in rows.windows(2) {
        if identity(pair[0]) == identity(pair[1]) {
            is_duplicate[pair[1] as usize] = true;
        }
    }
    is_duplicate
}

/// Counts spans that name a parent which their trace does not hold, by merging sorted ids and sorted parents.
fn orphans(frame: &SpanFrame, is_duplicate: &[bool]) -> u64 {
    let spans = &frame.spans;
    let mut ids: Vec<(u32, u64)> = spans.trace.iter().copied().zip(spans.span_id.iter().copied()).collect();
    let mut parents: Vec<(u32, u64)> = (0..spans.len())
        .filter(|&row| spans.parent_span_id[row] != 0 && !is_duplicate[row])
        .map(|row| (spans.trace[row], spans.parent_span_id[row]))
        .collect();
    ids.par_sort_unstable();
    parents.par_sort_unstable();
    let mut ids = ids.into_iter().peekable();
    let missing = |parent: &&(u32, u64)| {
        while ids.next_if(|id| id < *parent).is_some() {}
        ids.peek() != Some(*parent)
    };
    parents.iter().filter(missing).count() as u64
}

/// The root of each trace, for choosing windows.
#[derive(Clone, Debug)]
pub struct Roots {
    range: Window,
    by_trace: Vec<Root>,
    entries: Vec<String>,
    n_without_root: u64,
}

impl Roots {
    /// Finds the roots: in each trace the earliest span without a parent, or the earliest span if all have one.
    #[must_use]
    pub fn of(frame: &SpanFrame) -> Self {
        let spans = &frame.spans;
        // A row a trace, by the order in which roots are preferred.
        let mut best: Vec<Option<usize>> = vec![None; frame.traces.len()];
        let preference =
            |row: usize| (spans.parent_span_id[row] != 0, spans.start_unix_ns[row], -spans.duration_ns[row]);
        for (row, &trace) in spans.trace.iter().enumerate() {
            if let Some(slot) = best.get_mut(trace as usize)
                && slot.is_none_or(|known| preference(row) < preference(known))
            {
                *slot = Some(row);
            }
        }
        let rows: Vec<usize> = best.into_iter().flatten().collect();
        let n_without_root = rows.iter().filter(|&&row| spans.parent_span_id[row] != 0).count() as u64;
        let name = |row: usize| (frame.names.get(spans.service[row]), frame.names.get(spans.operation[row]));
        let mut pairs: Vec<(u32, u32)> = rows.iter().map(|&row| (spans.service[row], spans.operation[row])).collect();
        pairs.sort_unstable();
        pairs.dedup();
        // Numbered by name, so that nothing depends on the order in which they were read.
        let mut names: Vec<(&str, &str)> =
            pairs.iter().map(|&(service, operation)| (frame.names.get(service), frame.names.get(operation))).collect();
        names.sort_unstable();
        names.dedup();
        let entry = |row: usize| names.binary_search(&name(row)).ok().and_then(|place| u32::try_from(place).ok());
        let root = |row: usize| Root {
            entry: entry(row).unwrap_or_default(),
            start_unix_ns: spans.start_unix_ns[row],
            duration_ns: spans.duration_ns[row],
            is_error: spans.status[row] == SpanStatus::Error as u8,
        };
        let entries = names.iter().map(|(service, operation)| format!("{service}: {operation}")).collect();
        Self { range: range_of(frame), by_trace: rows.iter().map(|&row| root(row)).collect(), entries, n_without_root }
    }

    /// The roots and the range of all spans, for [`crate::window::split`].
    #[must_use]
    pub fn data(&self) -> Data<'_> {
        Data { range: self.range, roots: &self.by_trace, weights: &[], entries: &self.entries, signals: &[] }
    }
}
