//! How latencies are spread in both windows, for the entries and the suspects.

use super::build::{NS_PER_MS, both_requests, operation};
use super::evidence::Evidence;
use super::rows::{BASELINE, REGRESSION};
use super::{Operation, Suspect};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Entries shown, the busiest of both windows.
const MAX_ENTRIES: usize = 8;
/// Suspects shown.
const MAX_SUSPECTS: usize = 10;
/// Bins: enough for the shape, few enough that each holds something.
const N_BINS: usize = 48;
/// Shorter durations count as this long, in nanoseconds: a logarithm knows no zero, and clocks no less.
const SHORTEST_NS: f64 = 1_000.0;

/// A histogram of durations in both windows, over the same bins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// Whose.
    pub operation: Operation,
    /// Whether it is an entry operation, whose durations are those of requests; else durations are of calls, the mean of
    /// those that one trace makes on one call path.
    pub is_entry: bool,
    /// Bounds of the bins, milliseconds, equally spaced by logarithm: one more than there are bins.
    pub bounds_ms: Vec<f64>,
    /// Weight of the baseline's durations in each bin.
    pub baseline: Vec<f64>,
    /// Weight of the regression's durations in each bin.
    pub regression: Vec<f64>,
}

/// Durations in nanoseconds and their weights, a window.
type Windows = [Vec<(f64, f64)>; 2];

/// Distributions of the busiest entries, then of the first suspects that are operations.
pub(super) fn distributions(evidence: Evidence<'_>, suspects: &[Suspect]) -> Vec<Distribution> {
    let mut windows = both_requests(evidence);
    for requests in &mut windows {
        // Stable, so that sums are taken in the order of traces.
        requests.sort_by_key(|request| request.entry);
    }
    let mut busiest: Vec<(f64, Operation, Windows)> = Vec::new();
    let mut codes: Vec<u32> = windows.iter().flatten().map(|request| request.entry).collect();
    codes.sort_unstable();
    codes.dedup();
    for entry in codes {
        let own = windows.each_ref().map(|requests| {
            let first = requests.partition_point(|request| request.entry < entry);
            let own = requests[first..].iter().take_while(|request| request.entry == entry);
            own.map(|request| (request.duration_ns as f64, request.weight)).collect::<Vec<_>>()
        });
        busiest.push((own.iter().flatten().map(|&(_, weight)| weight).sum(), operation(evidence, entry), own));
    }
    busiest.sort_by(|left, right| right.0.total_cmp(&left.0).then_with(|| left.1.cmp(&right.1)));
    busiest.truncate(MAX_ENTRIES);
    let entries = busiest.into_iter().filter_map(|(_, operation, own)| of(operation, true, &own));
    let suspects = suspects.iter().take(MAX_SUSPECTS).filter_map(|suspect| {
        let name = Operation { service: suspect.service.clone(), operation: suspect.operation.clone()? };
        let own = calls(evidence, &name);
        of(name, false, &own)
    });
    entries.chain(suspects).collect()
}

/// Durations of the calls of an operation, whatever its kind, with their weights.
fn calls(evidence: Evidence<'_>, name: &Operation) -> Windows {
    let forest = evidence.forest;
    let is_own: Vec<bool> = forest
        .operations
        .iter()
        .map(|own| {
            forest.services[own.service as usize].name == name.service && forest.operation_name(*own) == name.operation
        })
        .collect();
    let paths = (0_u32..).zip(&evidence.table.paths.list).filter(|(_, path)| is_own[path.operation as usize]);
    let paths: Vec<u32> = paths.map(|(index, _)| index).collect();
    [BASELINE, REGRESSION].map(|window| {
        let rows = paths.iter().flat_map(|&path| evidence.rows.of(window, path));
        rows.filter_map(|row| {
            let cost = row.cost(evidence.table);
            let n_calls = f64::from(cost.n_calls);
            let weight = evidence.forest.weight[row.trace as usize] * n_calls;
            (cost.n_calls > 0).then(|| (cost.call_ns as f64 / n_calls, weight))
        })
        .collect()
    })
}

/// A histogram; none of nothing.
fn of(operation: Operation, is_entry: bool, windows: &Windows) -> Option<Distribution> {
    let all = || windows.iter().flatten().map(|&(duration_ns, _)| duration_ns.max(SHORTEST_NS));
    let (least, most) = (all().reduce(f64::min)?, all().reduce(f64::max)?);
    // Half a bin of room where all durations are equal.
    let (low, high) = if most > least { (least.ln(), most.ln()) } else { (least.ln() - 0.5, least.ln() + 0.5) };
    let bound_ns = |bin: usize| (low + (high - low) * bin as f64 / N_BINS as f64).exp();
    let inner_ns: Vec<f64> = (1..N_BINS).map(bound_ns).collect();
    let [baseline, regression] = windows.each_ref().map(|durations| {
        let mut bins = vec![0.0; N_BINS];
        for &(duration_ns, weight) in durations {
            bins[inner_ns.partition_point(|&bound| bound <= duration_ns)] += weight;
        }
        bins
    });
    let bounds_ms = (0..=N_BINS).map(|bin| bound_ns(bin) / NS_PER_MS).collect();
    Some(Distribution { operation, is_entry, bounds_ms, baseline, regression })
}
