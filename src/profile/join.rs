//! A profile, set beside the spans of a regression.

use super::{About, Grounds, Profile};
use crate::compare::limits::Limits;
use crate::compare::paths::{CostTable, Failure, NO_PATH, Path};
use crate::drill::kept::Beside;
use crate::drill::presence;
use crate::normalize::{Forest, Joined, Request, Summed};
use crate::span::{SpanFrame, SpanStatus};
use crate::topology::sums::Sums;
use crate::window::Window;

/// What a profile tells beyond the traces of the forest, in the forest's numbers.
#[derive(Debug)]
pub struct Baseline {
    /// What each of its traces spends where; the forest's other traces are empty.
    pub table: CostTable,
    /// Its dependency graph.
    pub graph: Sums,
    /// Its values of what says where code runs.
    pub values: presence::Kept,
    /// Its calls with their attributes, if it keeps any.
    pub calls: Option<Beside>,
    /// What its calls between services rest on.
    pub grounds: Grounds,
    /// The window that it stands for.
    pub window: Window,
    /// Where it comes from.
    pub about: About,
    /// Traces it was made of, and those in its sample.
    pub n_traces: [u64; 2],
    /// Spans of traces outside the sample.
    pub n_spans_left_out: u64,
    /// What sampling adds to the uncertainty of the mean latency, relative.
    pub sampling_error: f64,
}

/// Adds the traces of `profile` to `forest`, which holds the spans of `frame`; in the frame returned they come first.
#[must_use]
pub fn join(mut profile: Profile, regression: SpanFrame, forest: &mut Forest) -> (SpanFrame, Baseline) {
    let mut frame = SpanFrame::default();
    let summed = summed(&profile, &mut frame);
    let first_trace = u32::try_from(frame.traces.len()).unwrap_or(u32::MAX);
    let first_row = u32::try_from(frame.spans.len()).unwrap_or(u32::MAX);
    for trace in &mut forest.trace {
        *trace += first_trace;
    }
    for row in &mut forest.row {
        // Of a trace whose spans lie in a folder there are none.
        *row = row.saturating_add(first_row);
    }
    frame.append_apart(regression);
    let joined = forest.join(&summed, |trace| frame.traces.key(trace));
    let baseline = Baseline {
        table: table(&profile.table, forest, &joined),
        graph: profile.graph.renumbered(&joined.services, &joined.operations),
        values: profile.values.renumbered(&joined.services),
        calls: profile.calls.take().map(|calls| calls.beside(forest, &joined)),
        grounds: profile
            .grounds
            .iter()
            .map(|(&(from, to), &calls)| ((joined.services[from as usize], joined.services[to as usize]), calls))
            .collect(),
        window: profile.window(),
        n_traces: [profile.n_traces(), profile.traces.len() as u64],
        n_spans_left_out: profile.n_spans_left_out,
        // Of one trace alone nothing bounds it.
        sampling_error: profile.sampling_error().unwrap_or(f64::INFINITY),
        about: profile.about,
    };
    (frame, baseline)
}

/// The traces with their requests, which become rows of `frame`.
fn summed(profile: &Profile, frame: &mut SpanFrame) -> Summed {
    let scale = profile.scale();
    let names: Vec<u32> = profile.names.iter().map(|name| frame.names.intern(name)).collect();
    let services: Vec<u32> = profile.services.iter().map(|service| frame.names.intern(&service.name)).collect();
    let mut result = Summed {
        names: profile.names.clone(),
        services: profile.services.clone(),
        operations: profile.operations.clone(),
        offsets: profile.offsets.clone(),
        ..Summed::default()
    };
    frame.traces = profile.ids.clone();
    for (index, trace) in (0_u32..).zip(&profile.traces) {
        let weight = trace.weight * scale;
        result.traces.push((index, profile.ids.key(index), trace.start_ns, weight, trace.n_spans));
        for request in profile.requests_of(index as usize) {
            let row = u32::try_from(frame.spans.len()).unwrap_or(u32::MAX);
            let operation = profile.operations[request.operation as usize];
            let spans = &mut frame.spans;
            spans.trace.push(index);
            spans.span_id.push(0);
            spans.parent_span_id.push(0);
            spans.service.push(services[operation.service as usize]);
            spans.operation.push(names[operation.name as usize]);
            spans.kind.push(operation.kind as u8);
            spans.status.push(if request.has_failed { SpanStatus::Error } else { SpanStatus::Unset } as u8);
            spans.start_unix_ns.push(request.start_ns);
            spans.duration_ns.push(request.duration_ns);
            result.requests.push(Request {
                operation: request.operation,
                start_ns: request.start_ns,
                duration_ns: request.duration_ns,
                has_failed: request.has_failed,
                is_root: request.is_root,
                row,
            });
        }
    }
    result
}

/// The profile's table in the numbers of the forest, with its traces.
fn table(profile: &CostTable, forest: &Forest, joined: &Joined) -> CostTable {
    let operation = |index: u32| joined.operations[index as usize];
    let trace = |index: u32| joined.traces[index as usize];
    let mut table = CostTable::default();
    let mut paths: Vec<u32> = Vec::with_capacity(profile.paths.len());
    for path in &profile.paths.list {
        let parent = if path.parent == NO_PATH { NO_PATH } else { paths[path.parent as usize] };
        paths.push(table.paths.intern(Path { parent, operation: operation(path.operation), ..*path }));
    }
    let path = |index: u32| paths[index as usize];
    // Traces keep their order, so the rows do.
    for (index, &trace) in joined.traces.iter().enumerate() {
        table.fill(trace as usize);
        table.push_from(profile, index, path);
    }
    table.fill(forest.n_traces());
    let failure = |&(own, failure): &(u32, Failure)| {
        let operation = operation(failure.operation);
        (trace(own), Failure { path: path(failure.path), operation, ..failure })
    };
    table.failures = profile.failures.iter().map(failure).collect();
    table.survived = profile.survived.iter().map(failure).collect();
    for (list, own) in table.places_mut().into_iter().zip(profile.places()) {
        *list = own.iter().map(|&(own, at)| (trace(own), path(at))).collect();
    }
    table.limits = Limits::default();
    table.limits.absorb(profile.limits.bands().iter().map(|(&index, &band)| (operation(index), band)));
    table.kept = profile.kept.clone();
    for (own, calls) in &mut table.kept.clients {
        (*own, calls.operation) = (trace(*own), operation(calls.operation));
    }
    table.kept.starts = profile
        .kept
        .starts
        .iter()
        .map(|(&(parent, child), &sums)| ((operation(parent), operation(child)), sums))
        .collect();
    table
}
