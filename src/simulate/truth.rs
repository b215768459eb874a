//! What each fault truly added, by running the same requests again without it.
//!
//! At the first onset the simulation is copied, once for each set of faults, and each copy runs on with only those: all draws
//! are by key, so that copies differ by the faults alone. With at most four faults a fault's part is its Shapley
//! value over all sets, and the parts sum to the whole; with more it is what goes away without it, and what the parts
//! leave of the whole is their interaction. Requests queue for the same pools, so that neighbours are alike: the standard
//! error is that of the means of 32 stretches of the window.

use super::engine::{Engine, Request};
use super::model::Model;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// With more faults than this the sets are too many: 16 runs.
pub(super) const MAX_SHAPLEY: usize = 4;
/// Stretches of the window, enough for a standard error of a standard error of an eighth.
pub(super) const N_BATCHES: usize = 32;

/// What the faults truly added to the requests of the regression window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Truth {
    /// Requests that start in the window, kept by the sampling or not.
    pub n_requests: u64,
    /// Their mean latency, milliseconds.
    pub mean_ms: f64,
    /// The same requests without any fault.
    pub mean_ms_without_faults: f64,
    /// What the causes leave of the difference of the two; 0 with at most four faults.
    pub interaction_ms: f64,
    /// Faults, in the scenario's order.
    pub causes: Vec<Cause>,
    /// The same by service at fault, ordered by name.
    pub services: Vec<ServiceTruth>,
}

/// What one fault truly added.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// Kind of fault.
    pub kind: String,
    /// Service at fault; absent for a traffic mix.
    pub service: Option<String>,
    /// Operation at fault, if it is about one.
    pub operation: Option<String>,
    /// What it did.
    #[serde(flatten)]
    pub added: Added,
}

/// What a service's faults truly added.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceTruth {
    /// The service.
    pub service: String,
    /// What its faults did.
    #[serde(flatten)]
    pub added: Added,
}

/// A true contribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Added {
    /// Milliseconds per request.
    pub ms: f64,
    /// Standard error of `ms`.
    pub standard_error_ms: f64,
    /// Share of requests that fail because of it.
    pub error_ratio: f64,
    /// Standard error of `error_ratio`.
    pub standard_error_ratio: f64,
}

/// Sums over the requests of a stretch of the window.
#[derive(Clone, Copy, Debug, Default)]
struct Batch {
    n: u64,
    ms: f64,
    failed: f64,
}

/// Sums over the window.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    start_ns: i64,
    end_ns: i64,
    batches: [Batch; N_BATCHES],
}

impl Sums {
    pub(super) fn new([start_ns, end_ns]: [i64; 2]) -> Self {
        Self { start_ns, end_ns, batches: [Batch::default(); N_BATCHES] }
    }

    pub(super) fn add(&mut self, request: &Request) {
        if !(self.start_ns..self.end_ns).contains(&request.start_ns) {
            return;
        }
        let (at, length) = (i128::from(request.start_ns - self.start_ns), i128::from(self.end_ns - self.start_ns));
        let place = usize::try_from(at * N_BATCHES as i128 / length).unwrap_or(0);
        let batch = &mut self.batches[place.min(N_BATCHES - 1)];
        batch.n += 1;
        batch.ms += request.duration_ns as f64 / 1e6;
        batch.failed += f64::from(u8::from(request.failed));
    }

    /// Means of latency and failures over one stretch or all; absent if no request is in it.
    fn means(&self, batch: Option<usize>) -> Option<[f64; 2]> {
        let own = batch.map_or(&self.batches[..], |batch| &self.batches[batch..=batch]);
        let sum = |part: fn(&Batch) -> f64| own.iter().map(part).sum::<f64>();
        let n = own.iter().map(|batch| batch.n).sum::<u64>() as f64;
        (n > 0.0).then(|| [sum(|batch| batch.ms) / n, sum(|batch| batch.failed) / n])
    }
}

/// Sets of faults, each bit one, that the window is run again with; and the set of all.
fn sets(n_faults: usize) -> (Vec<u32>, u32) {
    let full = if n_faults >= 32 { u32::MAX } else { (1_u32 << n_faults) - 1 };
    let sets = if n_faults <= MAX_SHAPLEY {
        (0..full).collect()
    } else {
        (0..n_faults).map(|fault| full & !(1 << fault)).chain([0]).collect()
    };
    (sets, full)
}

/// How often the window is run again.
pub(super) fn n_runs(model: &Model) -> usize {
    sets(model.faults.len()).0.len()
}

/// Runs the window again without faults; `all` is what it was with them, and `progress` is told the share of runs that are done.
pub(super) fn truth(model: &Model, onset: &Engine<'_>, all: &Sums, progress: &(dyn Fn(f64) + Sync)) -> Truth {
    use rayon::prelude::*;
    let n_faults = model.faults.len();
    let is_shapley = n_faults <= MAX_SHAPLEY;
    let (sets, full) = sets(n_faults);
    let n_done = AtomicUsize::new(0);
    let mut sums: BTreeMap<u32, Sums> = sets
        .par_iter()
        .map(|&set| {
            let mut own = Sums::new([all.start_ns, all.end_ns]);
            onset.with_faults(set).run(None, &mut |request| own.add(request));
            progress((1 + n_done.fetch_add(1, Ordering::Relaxed)) as f64 / sets.len() as f64);
            (set, own)
        })
        .collect();
    sums.insert(full, all.clone());
    let added = |faults: &[usize]| {
        let part = |batch: Option<usize>| {
            let means: BTreeMap<u32, [f64; 2]> =
                sums.iter().map(|(&set, sums)| Some((set, sums.means(batch)?))).collect::<Option<_>>()?;
            let mut part = [0.0; 2];
            for &fault in faults {
                let own = if is_shapley { shapley(&means, fault, n_faults) } else { less_one(&means, fault, full) };
                part = [part[0] + own[0], part[1] + own[1]];
            }
            Some(part)
        };
        let batches: Vec<[f64; 2]> = (0..N_BATCHES).filter_map(|batch| part(Some(batch))).collect();
        let error = |at: usize| {
            let n = batches.len() as f64;
            let mean = batches.iter().map(|batch| batch[at]).sum::<f64>() / n;
            let squares: f64 = batches.iter().map(|batch| (batch[at] - mean).powi(2)).sum();
            if batches.len() < 2 { 0.0 } else { (squares / (n - 1.0) / n).sqrt() }
        };
        let [ms, error_ratio] = part(None).unwrap_or_default();
        Added { ms, standard_error_ms: error(0), error_ratio, standard_error_ratio: error(1) }
    };
    let mut by_service = BTreeMap::<&str, Vec<usize>>::new();
    for (index, fault) in model.faults.iter().enumerate() {
        if let Some(culprit) = &fault.culprit {
            by_service.entry(culprit).or_default().push(index);
        }
    }
    let causes: Vec<Cause> = model
        .faults
        .iter()
        .enumerate()
        .map(|(index, fault)| Cause {
            kind: fault.kind.as_str().to_owned(),
            service: fault.culprit.clone(),
            operation: fault.culprit_operation.clone(),
            added: added(&[index]),
        })
        .collect();
    let mean_ms = all.means(None).unwrap_or_default()[0];
    let mean_ms_without_faults = sums.get(&0).and_then(|sums| sums.means(None)).unwrap_or_default()[0];
    let explained: f64 = causes.iter().map(|cause| cause.added.ms).sum();
    Truth {
        n_requests: all.batches.iter().map(|batch| batch.n).sum(),
        mean_ms,
        mean_ms_without_faults,
        interaction_ms: if is_shapley { 0.0 } else { mean_ms - mean_ms_without_faults - explained },
        causes,
        services: by_service
            .into_iter()
            .map(|(service, faults)| ServiceTruth { service: service.to_owned(), added: added(&faults) })
            .collect(),
    }
}

fn difference(with: [f64; 2], without: [f64; 2]) -> [f64; 2] {
    [with[0] - without[0], with[1] - without[1]]
}

fn less_one(means: &BTreeMap<u32, [f64; 2]>, fault: usize, full: u32) -> [f64; 2] {
    difference(means[&full], means[&(full & !(1 << fault))])
}

/// Mean over all orders of the faults of what this one adds to those before it.
fn shapley(means: &BTreeMap<u32, [f64; 2]>, fault: usize, n_faults: usize) -> [f64; 2] {
    let factorial = |n: usize| (1..=n).product::<usize>() as f64;
    let mut value = [0.0; 2];
    for (&set, &without) in means.iter().filter(|&(&set, _)| set >> fault & 1 == 0) {
        let n_before = set.count_ones() as usize;
        let weight = factorial(n_before) * factorial(n_faults - n_before - 1) / factorial(n_faults);
        let added = difference(means[&(set | 1 << fault)], without);
        value = [value[0] + weight * added[0], value[1] + weight * added[1]];
    }
    value
}
