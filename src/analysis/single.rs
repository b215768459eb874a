//! Single requests that a mean hangs on: what a window's mean would be without its largest one, and work that takes longer than the
//! data reach.

use super::build::{NS_PER_MS, Request, operation};
use super::evidence::Evidence;
use super::{Degradation, Prepared, wording};
use crate::rank::MIN_REQUESTS;
use crate::time::format_ns;

/// A request is told of where leaving it out would move the mean by more than this share of the mean, or of the mean's change.
const MAX_PART: f64 = 1.0 / 3.0;

/// Warnings of both.
pub(super) fn warnings(
    prepared: &Prepared,
    evidence: Evidence<'_>,
    degradation: &Degradation,
    [baseline, regression]: &[Vec<Request>; 2],
) -> Vec<String> {
    let forest = evidence.forest;
    let all: Vec<u32> = (0..u32::try_from(forest.n_traces()).unwrap_or(u32::MAX)).collect();
    let selection = evidence.selection;
    let windows = [("baseline", baseline, &selection.baseline), ("regression", regression, &selection.regression)];
    let mut warnings: Vec<String> =
        windows.iter().filter_map(|(window, requests, _)| carries(evidence, degradation, window, requests)).collect();
    for (window, _, traces) in windows {
        let reach_ns = reach_ns(evidence, if prepared.has_sides() { traces } else { &all });
        warnings.extend(longer(evidence, window, traces, reach_ns));
    }
    warnings
}

/// From the start of the first of the traces to that of the last.
fn reach_ns(evidence: Evidence<'_>, traces: &[u32]) -> i64 {
    let starts = traces.iter().map(|&trace| evidence.forest.root_start_ns[trace as usize]);
    let (first, last) = starts.fold((i64::MAX, i64::MIN), |(low, high), at| (low.min(at), high.max(at)));
    last.saturating_sub(first)
}

/// Says so if requests, or work that nobody waits for, take longer than all the data.
fn longer(evidence: Evidence<'_>, window: &str, traces: &[u32], reach_ns: i64) -> Option<String> {
    let forest = evidence.forest;
    if (traces.len() as f64) < MIN_REQUESTS {
        return None;
    }
    let tops = traces.iter().flat_map(|&trace| {
        let tops = forest.spans_of(trace as usize).filter(|&span| forest.is_top(span));
        tops.map(move |span| (forest.end_ns[span].saturating_sub(forest.start_ns[span]), trace, forest.operation[span]))
    });
    let longer: Vec<(i64, u32, u32)> = tops.filter(|&(duration_ns, ..)| duration_ns > reach_ns).collect();
    let &(duration_ns, trace, entry) = longer.iter().reduce(|most, next| if next.0 > most.0 { next } else { most })?;
    let (reach, took, name) = (format_ns(reach_ns), format_ns(duration_ns), name(evidence, entry, trace));
    let from = "from the first request of the data to the last";
    Some(match longer.len() {
        1 => format!("{name} in the {window} takes {took}, longer than the {reach} {from}: its duration may be wrong"),
        n => format!(
            "{n} requests of the {window} take longer than the {reach} {from}, the longest, {name}, {took}: their durations may be wrong"
        ),
    })
}

/// Says so if the mean of a window hangs on one request.
fn carries(evidence: Evidence<'_>, degradation: &Degradation, window: &str, requests: &[Request]) -> Option<String> {
    let time_ns = |request: &Request| request.weight * request.duration_ns as f64;
    let weight: f64 = requests.iter().map(|request| request.weight).sum();
    let sum_ns: f64 = requests.iter().map(time_ns).sum();
    let largest = requests.iter().reduce(|most, next| if time_ns(next) > time_ns(most) { next } else { most })?;
    let rest = weight - largest.weight;
    if (requests.len() as f64) < MIN_REQUESTS || rest <= 0.0 {
        return None;
    }
    let (mean_ms, rest_ms) = (sum_ns / weight / NS_PER_MS, (sum_ns - time_ns(largest)) / rest / NS_PER_MS);
    let (part_ms, change_ms) = (mean_ms - rest_ms, degradation.change_ms.abs());
    let of_change = change_ms >= degradation.floor_ms && part_ms > MAX_PART * change_ms;
    (part_ms > MAX_PART * mean_ms || of_change).then(|| {
        format!(
            "a single request moves the mean: without {}, which took {}, that of the {window} would be {} instead of {}; what typical requests take says more",
            name(evidence, largest.entry, largest.trace),
            format_ns(largest.duration_ns),
            wording::ms(rest_ms),
            wording::ms(mean_ms)
        )
    })
}

/// What begins with operation `entry` in a trace.
fn name(evidence: Evidence<'_>, entry: u32, trace: u32) -> String {
    let entry = operation(evidence, entry);
    format!("`{}: {}` of trace {}", entry.service, entry.operation, evidence.trace_id(trace))
}
