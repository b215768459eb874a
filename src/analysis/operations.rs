//! Every service, operation and edge in both windows, suspect or not: the table that a gate tests and a notebook reads.

use super::build::{NS_PER_MS, interval_ms, names, pair, ratio};
use super::evidence::Evidence;
use super::suspects::{contribution, fronts};
use super::unfailing;
use super::{Edge, Pair, Suspect};
use crate::compare::attribute::{Subject, tops};
use crate::compare::paths::{NO_PATH, Path, Scope};
use crate::compare::shift::Shift;
use crate::compare::sums::Sums;
use crate::compare::{Comparison, Estimate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rows kept, those with the largest part: more than anybody watches, and 4 MB of JSON.
const MAX_OPERATIONS: usize = 5_000;

/// A service as a whole, or an operation or edge, with its change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OperationAccount {
    /// Service blamed.
    pub service: String,
    /// Operation, if it is one; a service as a whole has neither operation nor edge.
    pub operation: Option<String>,
    /// Edge, if it is one.
    pub edge: Option<Edge>,
    /// Time blamed on it, milliseconds per request.
    pub own_ms: Pair,
    /// Mean time blamed on it per call that a request waits for; of a service per such call from outside it.
    pub per_call_ms: Pair,
    /// Calls per request, whether or not a request waits for them; of a service those from outside it.
    pub calls_per_request: Pair,
    /// Change of `calls_per_request` at unchanged traffic: as if both windows had the same share of requests to each entry operation that both
    /// have, namely the mean of the two.
    #[serde(default)]
    pub calls_per_request_change: f64,
    /// Interval of `calls_per_request_change`; its variance is that between traces.
    pub calls_per_request_interval: [f64; 2],
    /// What it adds to the mean, and to failures.
    pub contribution: super::Contribution,
    /// What it adds to typical requests, milliseconds.
    pub typical_ms: f64,
    /// Interval of `typical_ms`.
    pub typical_interval_ms: [f64; 2],
    /// By how much its usual call takes longer; absent of those with little time or few calls.
    pub usual_call: Option<UsualCall>,
    /// What it adds to the slowest 5 % of each entry's requests, milliseconds.
    pub tail_ms: f64,
    /// Interval of `tail_ms`.
    pub tail_interval_ms: [f64; 2],
    /// Failures that begin with it in work in the background, a request.
    #[serde(default)]
    pub background_failures: Pair,
    /// Chance of changes as large as these where there is none.
    pub p: Chances,
}

/// By how much a call takes longer in the operation itself, whatever a few wild calls do: the shift of all its calls' times, also of those
/// that no request waited for because others ran as long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UsualCall {
    /// Change in percent of what it took.
    pub change_percent: f64,
    /// Interval of `change_percent`.
    pub interval_percent: [f64; 2],
    /// Chance, two-sided, of a change as large where there is none.
    pub p: f64,
    /// Chance of as much beyond what all operations, or services, have in common, as on a busier machine; 1 where there is no more, absent
    /// where that cannot be told.
    pub p_apart: Option<f64>,
}

impl UsualCall {
    fn new(shift: Shift, p: f64, p_apart: Option<f64>) -> Self {
        let percent = |share: f64| 100.0 * share;
        Self {
            change_percent: percent(shift.share.value),
            interval_percent: shift.share.interval().map(percent),
            p,
            p_apart,
        }
    }
}

/// What became of a unit of a comparison.
#[derive(Clone, Copy)]
pub(super) struct Measured {
    mean: Estimate,
    failures: Estimate,
    typical: Estimate,
    tail: Estimate,
    apart: Option<Estimate>,
    shift: Option<Shift>,
}

impl Measured {
    /// Of a subject, or else of a service.
    pub(super) fn new(comparison: &Comparison, subject: Option<usize>, service: usize) -> Self {
        fn one<T: Copy>(subject: Option<usize>, service: usize, subjects: &[T], services: &[T]) -> T {
            subject.map_or_else(|| services[service], |subject| subjects[subject])
        }
        let Comparison { typical, tail, apart, shifts, .. } = comparison;
        Self {
            mean: one(subject, service, &comparison.subjects, &comparison.services),
            failures: one(subject, service, &comparison.failures, &comparison.service_failures),
            typical: one(subject, service, &typical.subjects, &typical.services),
            tail: one(subject, service, &tail.subjects, &tail.services),
            apart: one(subject, service, &apart.subjects, &apart.services),
            shift: one(subject, service, &shifts.subjects, &shifts.services),
        }
    }
}

/// Chances of changes as large as those found where there is none, two-sided and each by itself: not corrected for their number. Where fewer
/// requests fail than before, and that may be why they take longer, chances of more time are the larger of these and those among requests that succeed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Chances {
    /// Of what is added to the mean.
    pub mean: f64,
    /// Of what is added to the mean beyond what all operations, or services, have in common, as on a busier machine; 1 where there is no
    /// more, absent where that cannot be told.
    pub mean_apart: Option<f64>,
    /// Of what is added to typical requests.
    pub typical: f64,
    /// Of what is added to the slowest requests.
    pub tail: f64,
    /// Of the change of the share of requests that fail.
    pub errors: f64,
    /// Of the change of calls per request.
    pub calls: f64,
}

/// Tells suspects what is told of their calls, then leaves out the accounts with the smallest parts; their number.
pub(super) fn shorten(accounts: &mut Vec<OperationAccount>, suspects: &mut [Suspect]) -> u64 {
    for suspect in suspects {
        let is_own = |account: &&OperationAccount| {
            (&account.service, &account.operation, &account.edge)
                == (&suspect.service, &suspect.operation, &suspect.edge)
        };
        let calls = accounts.iter().find(is_own).map(|account| account.calls_per_request);
        suspect.calls_per_request = calls.unwrap_or_default();
    }
    let n_left_out = accounts.len().saturating_sub(MAX_OPERATIONS) as u64;
    accounts.truncate(MAX_OPERATIONS);
    n_left_out
}

/// The accounts, those with the largest part first.
pub(super) fn accounts(evidence: Evidence<'_>) -> Vec<OperationAccount> {
    let comparison = evidence.comparison;
    let attribution = &comparison.attribution;
    let (n_subjects, n_services) = (attribution.subjects.len(), evidence.forest.services.len());
    let sums = [&comparison.baseline, &comparison.regression];
    let times = sums.map(|sums| attribution.own_times(sums, n_services).concat());
    let visits = sums.map(|sums| attribution.own_calls(&evidence.table.paths, sums, n_services).concat());
    let n_requests = sums.map(|sums| tops(&evidence.table.paths, sums, comparison.scope));
    let calls = Calls::new(evidence, n_requests);
    let fronts = fronts(evidence).concat();
    let behind = sums.map(|sums| background_failures(evidence, sums).concat());
    let account = |unit: usize| {
        let (service, operation, edge) = match unit.checked_sub(n_subjects) {
            None => names(evidence, u32::try_from(unit).unwrap_or(u32::MAX)),
            Some(service) => (evidence.forest.services[service].name.clone(), None, None),
        };
        let (subject, service_index) = match unit.checked_sub(n_subjects) {
            None => (Some(unit), attribution.blamed[unit]),
            Some(service) => (None, u32::try_from(service).unwrap_or(u32::MAX)),
        };
        let all = Measured::new(comparison, subject, service_index as usize);
        let Measured { mean, failures, typical, tail, apart, shift } = all;
        let key = subject.map(|subject| attribution.subjects[subject]);
        let own = evidence.unfailing.map(|unfailing| unfailing.measured(key, service_index));
        let p = |of: fn(Measured) -> Option<Estimate>| {
            let all = of(all)?;
            Some(own.map_or_else(|| all.p(), |own| unfailing::p(all, own.and_then(of))))
        };
        // What is less than all have in common is no more.
        let p_apart = |apart: Option<Estimate>, p: Option<f64>| {
            apart.zip(p).map(|(apart, p)| if apart.value > 0.0 { p } else { 1.0 })
        };
        let p_of_one = |of: fn(Measured) -> Option<Estimate>| p(of).unwrap_or(1.0);
        let [before_ns, after_ns] = [0, 1].map(|window: usize| times[window][unit]);
        let (calls_per_request, calls) = calls.of(unit);
        let per = |ns: f64, count: f64| ratio(ns / NS_PER_MS, count);
        OperationAccount {
            service,
            operation,
            edge,
            own_ms: pair([per(before_ns, n_requests[0]), per(after_ns, n_requests[1])]),
            per_call_ms: pair([per(before_ns, visits[0][unit]), per(after_ns, visits[1][unit])]),
            calls_per_request,
            calls_per_request_change: calls.value,
            calls_per_request_interval: calls.interval(),
            contribution: contribution(evidence, mean, failures, fronts[unit]),
            typical_ms: typical.value / NS_PER_MS,
            typical_interval_ms: interval_ms(typical),
            usual_call: shift.map(|shift| {
                let p_apart = p_apart(shift.apart, p(|of| of.shift?.apart));
                UsualCall::new(shift, p_of_one(|of| Some(of.shift?.share)), p_apart)
            }),
            tail_ms: tail.value / NS_PER_MS,
            tail_interval_ms: interval_ms(tail),
            background_failures: pair([0, 1].map(|window: usize| ratio(behind[window][unit], n_requests[window]))),
            p: Chances {
                mean: p_of_one(|of| Some(of.mean)),
                mean_apart: p_apart(apart, p(|of| of.apart)),
                typical: p_of_one(|of| Some(of.typical)),
                tail: p_of_one(|of| Some(of.tail)),
                errors: failures.p(),
                calls: calls.p(),
            },
        }
    };
    let mut accounts: Vec<OperationAccount> = (0..n_subjects + n_services).map(account).collect();
    accounts.sort_by(|left, right| {
        let size = |account: &OperationAccount| account.contribution.ms.abs();
        let key =
            |account: &OperationAccount| (account.service.clone(), account.operation.clone(), account.edge.clone());
        size(right).total_cmp(&size(left)).then_with(|| key(left).cmp(&key(right)))
    });
    accounts
}

/// Failures that begin with each subject, and with each service, in work in the background.
fn background_failures(evidence: Evidence<'_>, sums: &Sums) -> [Vec<f64>; 2] {
    let attribution = &evidence.comparison.attribution;
    let mut subjects = vec![0.0; attribution.subjects.len()];
    let paths = evidence.table.paths.list.iter().enumerate();
    for (index, _) in paths.filter(|(_, path)| path.scope == Scope::Background) {
        for (failures, &subject) in sums.n_failures.iter().zip(&attribution.failure_subjects[index]) {
            subjects[subject as usize] += failures[index];
        }
    }
    let mut services = vec![0.0; evidence.forest.services.len()];
    for (&service, failures) in attribution.blamed.iter().zip(&subjects) {
        services[service as usize] += failures;
    }
    [subjects, services]
}

/// Calls per request of every subject, then of every service, in both windows: as they are and at the traffic that both share, with the
/// variance between traces.
struct Calls {
    windows: [WindowCalls; 2],
    freedom: f64,
}

/// Of each unit in one window.
struct WindowCalls {
    /// Calls per request.
    per_request: Vec<f64>,
    /// The same at shared traffic.
    at_shared: Vec<f64>,
    /// Variance of that ratio.
    variances: Vec<f64>,
}

impl Calls {
    /// One pass over the cost table for the sums, one for the variances of their ratios to requests.
    fn new(evidence: Evidence<'_>, n_requests: [f64; 2]) -> Self {
        let units_of_path = units_of_paths(evidence);
        let n_units = evidence.comparison.attribution.subjects.len() + evidence.forest.services.len();
        let shares = shared_traffic(evidence, n_requests);
        let of =
            |window: usize| of_window(evidence, window, n_requests[window], &shares[window], &units_of_path, n_units);
        let (before, after) = rayon::join(|| of(0), || of(1));
        let freedom = |window: usize| (evidence.traces(window).len() as f64 - 1.0).max(1.0);
        Self { windows: [before, after], freedom: freedom(0).min(freedom(1)) }
    }

    /// Calls per request in both windows, and the change at shared traffic.
    fn of(&self, unit: usize) -> (Pair, Estimate) {
        let [before, after] = self.windows.each_ref().map(|window| window.at_shared[unit]);
        // Sums of equal counts differ in the last digits.
        let value = if (after - before).abs() > 1e-9 * before.max(after) { after - before } else { 0.0 };
        let variance: f64 = self.windows.iter().map(|window| window.variances[unit]).sum();
        let estimate = Estimate { freedom: self.freedom, ..Estimate::new(value, variance.sqrt()) };
        (pair(self.windows.each_ref().map(|window| window.per_request[unit])), estimate)
    }
}

/// By how much a request of each window counts at shared traffic, by the path of its top: the mean of its entry's shares in both windows over
/// the share in its own, and nothing where an entry is in one window only.
fn shared_traffic(evidence: Evidence<'_>, n_requests: [f64; 2]) -> [Vec<f64>; 2] {
    let comparison = evidence.comparison;
    let sums = [&comparison.baseline, &comparison.regression];
    let factor = |window: usize| {
        let of_path = |(index, path): (usize, &Path)| {
            if path.parent != NO_PATH || path.scope != comparison.scope {
                return 0.0;
            }
            let shares = [0, 1].map(|window| ratio(sums[window].n_visits[index], n_requests[window]));
            if shares.contains(&0.0) { 0.0 } else { f64::midpoint(shares[0], shares[1]) / shares[window] }
        };
        evidence.table.paths.list.iter().enumerate().map(of_path).collect()
    };
    [factor(0), factor(1)]
}

/// The calls of one window, where a request with a top on a path counts by its `factors` at shared traffic.
fn of_window(
    evidence: Evidence<'_>,
    window: usize,
    n_requests: f64,
    factors: &[f64],
    units_of_path: &[Vec<u32>],
    n_units: usize,
) -> WindowCalls {
    let (forest, table) = (evidence.forest, evidence.table);
    let traces = evidence.traces(window);
    // Every span is either waited for, or hidden, or below one that is hidden.
    let calls = |trace: u32| {
        let trace = trace as usize;
        table.costs_of(trace).calls().chain(table.hidden.of(trace).calls()).filter(|calls| calls.n_visits > 0)
    };
    let is_request = |path: u32| {
        let path = table.paths.list[path as usize];
        path.parent == NO_PATH && path.scope == evidence.comparison.scope
    };
    // All of a trace counts as its first request does; work in the background alone as it is.
    let factor = |trace: u32| {
        let first = table.costs_of(trace as usize).calls().find(|calls| is_request(calls.path));
        first.map_or(1.0, |calls| factors[calls.path as usize])
    };
    let (mut per_request, mut at_shared) = (vec![0.0; n_units], vec![0.0; n_units]);
    let mut n_shared = 0.0;
    for &trace in traces {
        let (weight, factor) = (forest.weight[trace as usize], factor(trace));
        for calls in calls(trace) {
            let n_calls = weight * f64::from(calls.n_visits);
            n_shared += if is_request(calls.path) { factor * n_calls } else { 0.0 };
            for &unit in &units_of_path[calls.path as usize] {
                per_request[unit as usize] += n_calls;
                at_shared[unit as usize] += factor * n_calls;
            }
        }
    }
    for (calls, shared) in per_request.iter_mut().zip(&mut at_shared) {
        *calls = ratio(*calls, n_requests);
        *shared = ratio(*shared, n_shared);
    }
    // Residuals of a ratio: calls less what the trace's requests would have by the mean. Where a trace makes no call, that is all of it,
    // and summed for all units at once.
    let (mut own, mut touched) = (vec![0.0; n_units], Vec::new());
    let mut squares = vec![0.0; n_units];
    let mut requests_squared = 0.0;
    for &trace in traces {
        let mut requests = 0.0;
        for calls in calls(trace) {
            let n_calls = f64::from(calls.n_visits);
            requests += if is_request(calls.path) { n_calls } else { 0.0 };
            for &unit in &units_of_path[calls.path as usize] {
                if own[unit as usize] == 0.0 {
                    touched.push(unit);
                }
                own[unit as usize] += n_calls;
            }
        }
        let weight = forest.weight[trace as usize] * factor(trace);
        requests_squared += (weight * requests).powi(2);
        for unit in touched.drain(..) {
            let unit = unit as usize;
            let expected = at_shared[unit] * requests;
            let residual = std::mem::take(&mut own[unit]) - expected;
            squares[unit] += weight.powi(2) * (residual.powi(2) - expected.powi(2));
        }
    }
    let n = traces.len() as f64;
    let correction = if n > 1.0 { n / (n - 1.0) } else { 0.0 };
    let variance = |(squares, mean): (f64, &f64)| {
        let sum = (squares + mean.powi(2) * requests_squared).max(0.0);
        ratio(correction * sum, n_shared.powi(2))
    };
    let variances = squares.into_iter().zip(&at_shared).map(variance).collect();
    WindowCalls { per_request, at_shared, variances }
}

/// Of each path what its calls are calls of: its operation or that of a peer which left no span of that name, the edge to its peer, which
/// may be blamed on either end, and a service that is called from outside.
fn units_of_paths(evidence: Evidence<'_>) -> Vec<Vec<u32>> {
    let (forest, paths) = (evidence.forest, &evidence.table.paths.list);
    let subjects = &evidence.comparison.attribution.subjects;
    let mut by_subject: Vec<(Subject, u32)> = (0..).zip(subjects).map(|(own, key)| (*key, own)).collect();
    by_subject.sort_unstable();
    let mut answering: Vec<(u32, u32)> = forest.operations.iter().map(|own| (own.service, own.name)).collect();
    answering.sort_unstable();
    let of_service = |service: u32| u32::try_from(subjects.len()).unwrap_or(u32::MAX).saturating_add(service);
    let of_path = |path: &Path| {
        let operation = forest.operations[path.operation as usize];
        let inferred = operation.peer.filter(|&peer| forest.services[peer as usize].is_inferred);
        let keys = [
            Some(Subject::Operation(operation.service, operation.name)),
            operation
                .peer
                .filter(|&peer| answering.binary_search(&(peer, operation.name)).is_err())
                .map(|peer| Subject::Operation(peer, operation.name)),
            operation.peer.map(|peer| Subject::Edge(operation.service, peer)),
        ];
        let own = keys.into_iter().flatten().flat_map(|key| {
            let first = by_subject.partition_point(|&(known, _)| known < key);
            by_subject[first..].iter().take_while(move |&&(known, _)| known == key).map(|&(_, own)| own)
        });
        let caller = paths.get(path.parent as usize).map(|parent| forest.operations[parent.operation as usize].service);
        let entered = (caller != Some(operation.service)).then_some(operation.service);
        own.chain(entered.into_iter().chain(inferred).map(of_service)).collect()
    };
    paths.iter().map(of_path).collect()
}
