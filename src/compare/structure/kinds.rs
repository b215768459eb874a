//! What a changed rate means: the kinds of change, what they cost, and which of several is the clue.

use super::super::ratio::{self, Ratio};
use super::rates::{Family, Rate, Rates};
use super::{Change, Input, Kind};
use crate::compare::Estimate;
use crate::compare::attribute::{Cause, Subject};
use crate::compare::kept;
use crate::compare::paths::NO_PATH;
use crate::normalize::Need;
use crate::stats;
use std::collections::BTreeMap;

/// Calls a visit from which a loop is worth a name of its own, and how much more than before they must be.
const N_PLUS_ONE: f64 = 5.0;
const GROWTH: f64 = 2.0;
/// Share of a loop's calls that are waited for one by one; side by side, only the longest of them is.
const SEQUENTIAL: f64 = 0.8;
/// A visit that takes less than this share of what it took ended early.
const FASTER: f64 = 0.95;
/// Changes looked at further, the dearest: each takes passes over all paths, and nobody reads so many.
const MAX_SETTLED: usize = 300;
/// Time that is lost by waiting in turn is worth a word from this share of the mean latency on.
const WORTH: f64 = 0.01;
/// A callee whose callers fail by this share of their calls more, repeat this share more, or wait this much longer, is missed.
const SUFFERS: f64 = 0.05;
const WAITS: f64 = 1.5;

/// A change that may be listed.
pub(super) struct Candidate {
    pub(super) change: Change,
    pub(super) p: f64,
    /// The rate that it is drawn from.
    pub(super) rate: Option<usize>,
}

/// Everything that was tested.
pub(super) fn candidates(input: Input<'_>, rates: &Rates) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = (rates.list.iter().enumerate())
        .map(|(index, rate)| Candidate {
            change: of_rate(input, rate),
            p: ratio::p_value(rate.change, rate.presence),
            rate: Some(index),
        })
        .collect();
    candidates.extend(lost_parallelism(input));
    candidates.extend(timeouts(input));
    candidates
}

fn of_rate(input: Input<'_>, rate: &Rate) -> Change {
    let forest = input.forest;
    let (service, operation, kind) = match rate.key.family {
        Family::CallsTo(service) => (service, None, Kind::Silent),
        Family::Visits(operation) => {
            let caller = forest.operations[operation as usize].service;
            let callee = rate.key.callee.map(|callee| forest.operations[callee as usize]);
            if rate.key.is_retry {
                (callee.and_then(|callee| callee.peer).unwrap_or(caller), Some(operation), Kind::RetryStorm)
            } else {
                (caller, Some(operation), calls_kind(input, rate))
            }
        }
    };
    let contribution = |&path: &u32| {
        let [.., wait, calls, _] = input.effects_of(path as usize);
        calls + if rate.key.is_retry { wait } else { 0.0 }
    };
    // The time in calls to a service takes a pass over the paths: `settle` knows of which it is needed.
    let contribution_ns = match rate.key.family {
        Family::CallsTo(_) => 0.0,
        Family::Visits(_) => rate.paths.iter().map(contribution).sum(),
    };
    Change {
        kind,
        service,
        operation,
        callee: rate.key.callee,
        n_others: 0,
        per_visit: rate.per_visit,
        change: rate.change,
        q: 1.0,
        contribution_ns,
        requests_affected: 0.0,
        share_affected: 0.0,
        limit_ns: None,
    }
}

fn calls_kind(input: Input<'_>, rate: &Rate) -> Kind {
    let [before, after] = rate.presence;
    match (before.n_with, after.n_with, rate.change.value > 0.0) {
        (0, _, true) => Kind::NewCall,
        (_, 0, false) => Kind::GoneCall,
        (_, _, false) => Kind::FewerCalls,
        (_, _, true) => {
            // Of the requests that make the call at all.
            let calls = [0, 1].map(|window: usize| {
                let presence = rate.presence[window];
                rate.per_visit[window] * presence.n_traces as f64 / presence.n_with.max(1) as f64
            });
            let sums = &input.comparison.regression;
            let sum = |values: &[f64]| rate.paths.iter().map(|&path| values[path as usize]).sum::<f64>();
            let is_sequential = sum(&sums.n_visits) >= SEQUENTIAL * sum(&sums.n_calls);
            let is_loop = calls[1] >= N_PLUS_ONE && calls[1] >= GROWTH * calls[0].max(1.0) && is_sequential;
            if is_loop { Kind::NPlusOne } else { Kind::MoreCalls }
        }
    }
}

/// Change of the time that requests spend in calls to a service, nanoseconds per request.
fn time_in_calls(input: Input<'_>, service: u32) -> f64 {
    let paths = &input.table.paths.list;
    let mut is_below = vec![false; paths.len()];
    let mut sum = 0.0;
    for (index, path) in paths.iter().enumerate() {
        let inherits = is_below.get(path.parent as usize).is_some_and(|&below| below);
        let calls = input.forest.operations[path.operation as usize].peer == Some(service);
        is_below[index] = inherits || calls;
        let effects = input.effects_of(index);
        sum += match (inherits, calls) {
            (true, _) => effects.iter().sum(),
            (false, true) => effects[..3].iter().sum(),
            (false, false) => 0.0,
        };
    }
    sum
}

/// Callers whose calls ran side by side and now run one after the other.
///
/// The calls' time that others hid must have shrunk: where one of two parallel calls only got faster, the other comes to light, too.
fn lost_parallelism(input: Input<'_>) -> Vec<Candidate> {
    let attribution = &input.comparison.attribution;
    let floor_ns = WORTH * input.comparison.effects.baseline_mean_ns;
    let lost: Vec<(Subject, Estimate)> = (attribution.rows.iter().zip(&input.comparison.rows))
        .filter(|(key, row)| key.cause == Cause::LostParallelism && row.value > floor_ns)
        .map(|(key, &row)| (attribution.subjects[key.subject as usize], row))
        .collect();
    if lost.is_empty() {
        return Vec::new();
    }
    let paths = &input.table.paths.list;
    let inclusive = input.sums().map(|sums| {
        let own = |path: usize| sums.self_ns[path] + sums.before_ns[path] + sums.wait_ns[path];
        let mut inclusive: Vec<f64> = (0..paths.len()).map(own).collect();
        for (index, path) in paths.iter().enumerate().rev().filter(|(_, path)| path.parent != NO_PATH) {
            inclusive[path.parent as usize] += inclusive[index];
        }
        inclusive
    });
    // Time of the calls from each caller, and what of it was waited for.
    let mut times = BTreeMap::<Subject, (u32, [[f64; 2]; 2])>::new();
    for (index, path) in paths.iter().enumerate().filter(|(_, path)| path.parent != NO_PATH) {
        let operation = paths[path.parent as usize].operation;
        let caller = input.forest.operations[operation as usize];
        let (_, sums) =
            times.entry(Subject::Operation(caller.service, caller.name)).or_insert((operation, [[0.0; 2]; 2]));
        for (window, known) in input.sums().into_iter().enumerate() {
            sums[window][0] += known.call_ns[index];
            sums[window][1] += inclusive[window][index];
        }
    }
    let candidate = |(subject, row): (Subject, Estimate)| {
        let &(operation, times) = times.get(&subject)?;
        let hidden = times.map(|[all, waited]| if all > 0.0 { (1.0 - waited / all).max(0.0) } else { 0.0 });
        let (Subject::Operation(service, _) | Subject::Edge(_, service)) = subject;
        if hidden[1] >= hidden[0] {
            return None;
        }
        let n_visiting = visiting(input, subject);
        let requests_affected = n_visiting * (1.0 - hidden[1] / hidden[0]);
        let change = Change {
            kind: Kind::LostParallelism,
            service,
            operation: Some(operation),
            callee: None,
            n_others: 0,
            per_visit: hidden,
            change: Estimate::new(hidden[1] - hidden[0], 0.0),
            q: 1.0,
            contribution_ns: row.value,
            requests_affected,
            share_affected: requests_affected / input.n_requests().max(f64::MIN_POSITIVE),
            limit_ns: None,
        };
        // Its sign is known from the time that it costs.
        let error = (change.change.value / row.z()).abs();
        let change = Change { change: Estimate { error, null_error: error, ..change.change }, ..change };
        Some(Candidate { change, p: stats::two_sided_p(row.z()), rate: None })
    };
    lost.into_iter().filter_map(candidate).collect()
}

/// Weighted traces of the regression that visit an operation.
fn visiting(input: Input<'_>, subject: Subject) -> f64 {
    let is_subject = |path: u32| {
        let operation = input.forest.operations[input.table.paths.list[path as usize].operation as usize];
        Subject::Operation(operation.service, operation.name) == subject
    };
    let visits = |trace: &&u32| {
        input.table.costs_of(**trace as usize).calls().any(|cost| cost.n_visits > 0 && is_subject(cost.path))
    };
    input.selection.regression.iter().filter(visits).map(|&trace| input.forest.weight[trace as usize]).sum()
}

/// What a client operation's calls do a window.
#[derive(Clone, Copy, Default)]
struct GivenUp {
    calls: Ratio,
    time_ns: f64,
    n_requests: f64,
    n_traces: f64,
}

/// Client operations more of whose calls are given up at a time limit, or while their callee goes on.
fn timeouts(input: Input<'_>) -> Vec<Candidate> {
    let forest = input.forest;
    let mut by_operation = BTreeMap::<u32, [GivenUp; 2]>::new();
    let (mut own, mut ends) = (Vec::new(), Vec::new());
    for (window, traces) in input.traces().into_iter().enumerate() {
        let mut add = |trace: u32, own: &[kept::ClientCalls]| {
            let weight = forest.weight[trace as usize];
            for calls in own {
                let known = &mut by_operation.entry(calls.operation).or_default()[window];
                known.calls.add(f64::from(calls.n_given_up), f64::from(calls.n_calls), weight);
                known.time_ns += weight * calls.given_up_ns as f64;
                known.n_traces += weight;
                known.n_requests += if calls.n_given_up > 0 { weight } else { 0.0 };
            }
        };
        // A window has spans, or a profile tells of it.
        for &trace in traces.iter().filter(|&&trace| forest.is_summed(trace as usize)) {
            own.clear();
            own.extend(input.table.kept.clients_of(trace));
            add(trace, &own);
        }
        forest.each_stretch(traces, Need::Links, |stretch, traces| {
            for &trace in traces {
                let local = stretch.local(trace);
                kept::client_calls(stretch.forest, &input.table.limits, local, &mut ends, &mut own);
                add(trace, &own);
            }
        });
    }
    let n_requests =
        input.sums().map(|sums| crate::compare::attribute::tops(&input.table.paths, sums, input.comparison.scope));
    let candidate = |(operation, windows): (u32, [GivenUp; 2])| {
        let (change, p) = ratio::change(windows.map(|window| window.calls));
        let share = windows.map(|window| window.n_requests / window.n_traces.max(f64::MIN_POSITIVE));
        let requests_affected = (share[1] - share[0]).max(0.0) * windows[1].n_traces;
        let per_request = [0, 1].map(|window: usize| windows[window].time_ns / n_requests[window].max(1.0));
        let known = forest.operations[operation as usize];
        Candidate {
            change: Change {
                kind: Kind::Timeouts,
                service: known.peer.unwrap_or(known.service),
                operation: None,
                callee: Some(operation),
                n_others: 0,
                per_visit: windows.map(|window| window.calls.value()),
                change,
                q: 1.0,
                contribution_ns: per_request[1] - per_request[0],
                requests_affected,
                share_affected: requests_affected / input.n_requests().max(f64::MIN_POSITIVE),
                limit_ns: input.table.limits.of(operation),
            },
            p,
            rate: None,
        }
    };
    // Operations are numbered as they were read: the order of the tests does not matter to their rates of false discovery.
    let found = by_operation.into_iter().filter(|(_, windows)| windows.iter().any(|window| window.calls.n_with > 0));
    found.map(candidate).filter(|candidate| candidate.change.change.value > 0.0).collect()
}

/// Decides the kinds that need more than their own rate, prices requests, and drops what is no change for the worse.
pub(super) fn settle(input: Input<'_>, rates: &Rates, found: Vec<Candidate>) -> Vec<Change> {
    let mut found = found;
    // Silence has no price yet, and there are few services.
    found.sort_by(|left, right| {
        let is_priced = |candidate: &Candidate| candidate.change.kind != Kind::Silent;
        let cost = |candidate: &Candidate| candidate.change.contribution_ns.abs();
        is_priced(left).cmp(&is_priced(right)).then(cost(right).total_cmp(&cost(left))).then(left.rate.cmp(&right.rate))
    });
    found.truncate(MAX_SETTLED);
    let chosen: Vec<usize> = found.iter().filter_map(|candidate| candidate.rate).collect();
    let mut affected = rates.affected(input, &chosen).into_iter();
    let mut changes = Vec::new();
    let mut missing = BTreeMap::<u32, Vec<Change>>::new();
    for Candidate { mut change, rate, .. } in found {
        if rate.is_some() {
            change.requests_affected = affected.next().unwrap_or(0.0);
            change.share_affected = change.requests_affected / input.n_requests().max(f64::MIN_POSITIVE);
        }
        if change.kind == Kind::Silent {
            change.contribution_ns = time_in_calls(input, change.service);
        }
        match change.kind {
            Kind::Silent if change.change.value >= 0.0 => continue,
            Kind::RetryStorm if change.change.value <= 0.0 => continue,
            Kind::Silent if !suffers(input, change.service) => change.kind = Kind::Unobserved,
            Kind::GoneCall | Kind::FewerCalls if is_missing(change.per_visit) => {
                if let Some(operation) = change.operation.filter(|&operation| is_faster(input, operation)) {
                    missing.entry(operation).or_default().push(change);
                    continue;
                }
            }
            _ => {}
        }
        changes.push(change);
    }
    let starts = starts(input, &missing);
    for (operation, mut calls) in missing {
        // The first call that is missing tells where the parent ended; the others follow from it.
        let start = |change: &Change| {
            let name = change.callee.map(|callee| input.forest.sort_key(input.forest.operations[callee as usize]));
            (change.callee.and_then(|callee| starts.get(&(operation, callee))).copied().unwrap_or(i64::MAX), name)
        };
        calls.sort_by(|left, right| start(left).cmp(&start(right)));
        let n_others = u32::try_from(calls.len() - 1).unwrap_or(u32::MAX);
        let contribution_ns = calls.iter().map(|change| change.contribution_ns).sum();
        if let Some(first) = calls.into_iter().next() {
            changes.push(Change { kind: Kind::EarlyReturn, n_others, contribution_ns, ..first });
        }
    }
    changes
}

/// Whether a visit leaves out a call that it made: fewer of several calls are none missing.
fn is_missing([before, after]: [f64; 2]) -> bool {
    before.min(1.0) - after.min(1.0) >= super::MIN_CHANGE * before.min(1.0)
}

/// Whether visits of an operation take less time than before, on the paths that both windows know.
fn is_faster(input: Input<'_>, operation: u32) -> bool {
    let paths = &input.table.paths.list;
    let means = input.sums().map(|sums| {
        let is_own = |path: usize| {
            paths[path].operation == operation && input.sums().iter().all(|sums| sums.n_visits[path] > 0.0)
        };
        let own: Vec<usize> = (0..paths.len()).filter(|&path| is_own(path)).collect();
        // Each path counts as much in both windows.
        let weight = |path: usize| input.sums().iter().map(|sums| sums.n_visits[path]).sum::<f64>();
        own.iter()
            .map(|&path| weight(path) * sums.call_ns[path] / sums.n_calls[path].max(f64::MIN_POSITIVE))
            .sum::<f64>()
    });
    means[1] < FASTER * means[0]
}

/// Whether the callers of a service fail, repeat their calls or wait longer than before.
fn suffers(input: Input<'_>, service: u32) -> bool {
    let (forest, paths) = (input.forest, &input.table.paths.list);
    let is_call = |path: usize| forest.operations[paths[path].operation as usize].peer == Some(service);
    let mut window_of = vec![None; forest.n_traces()];
    for (window, traces) in input.traces().into_iter().enumerate() {
        for &trace in traces {
            window_of[trace as usize] = Some(window);
        }
    }
    // Calls, those that failed, those that repeat others, their time.
    let mut totals = [[0.0; 4]; 2];
    for (window, sums) in input.sums().into_iter().enumerate() {
        for path in (0..paths.len()).filter(|&path| is_call(path)) {
            totals[window][0] += sums.n_calls[path];
            totals[window][1] += sums.n_failures.iter().map(|failures| failures[path]).sum::<f64>();
            totals[window][2] += if paths[path].is_retry { sums.n_calls[path] } else { 0.0 };
            totals[window][3] += sums.call_ns[path];
        }
    }
    for &(trace, path) in input.table.propagated.iter().chain(&input.table.swallowed) {
        if let (Some(window), true) = (window_of[trace as usize], is_call(path as usize)) {
            totals[window][1] += forest.weight[trace as usize];
        }
    }
    let [before, after] =
        totals.map(|[calls, failed, repeated, time]| [failed, repeated, time].map(|sum| sum / calls.max(1.0)));
    after[0] - before[0] >= SUFFERS || after[1] - before[1] >= SUFFERS || after[2] >= WAITS * before[2]
}

/// When calls begin after their parents do, on average in the baseline, nanoseconds.
fn starts(input: Input<'_>, missing: &BTreeMap<u32, Vec<Change>>) -> BTreeMap<(u32, u32), i64> {
    let forest = input.forest;
    let mut sums = BTreeMap::<(u32, u32), (i128, i128)>::new();
    for (&operation, calls) in missing {
        for callee in calls.iter().filter_map(|change| change.callee) {
            sums.insert((operation, callee), (0, 0));
        }
    }
    if sums.is_empty() {
        return BTreeMap::new();
    }
    forest.each_stretch(&input.selection.baseline, Need::Links, |stretch, traces| {
        for &trace in traces {
            kept::add_starts(stretch.forest, stretch.local(trace), |pair, after_ns| {
                if let Some((sum, count)) = sums.get_mut(&pair) {
                    *sum += after_ns;
                    *count += 1;
                }
            });
        }
    });
    for (pair, &(after_ns, n_calls)) in &input.table.kept.starts {
        if let Some((sum, count)) = sums.get_mut(pair) {
            *sum += after_ns;
            *count += i128::from(n_calls);
        }
    }
    let mean = |(key, (sum, count)): ((u32, u32), (i128, i128))| {
        Some((key, i64::try_from(sum.checked_div(count)?).unwrap_or(i64::MAX)))
    };
    sums.into_iter().filter_map(mean).collect()
}
