//! What rules are about: the units of an analysis with their changes.

use super::policy::{Measure, Of};
use crate::analysis::{Analysis, Edge, Entry, Exemplar, Owner, TeamShare};
use crate::topology::Status;

/// Something that a rule can be about.
pub(super) struct Unit<'a> {
    /// As people write it.
    pub(super) name: String,
    pub(super) service: Option<&'a str>,
    pub(super) operation: Option<&'a str>,
    pub(super) edge: Option<&'a Edge>,
    pub(super) owner: Option<&'a Owner>,
    /// Traces to open.
    pub(super) traces: Vec<&'a str>,
    changes: Vec<(Measure, Change)>,
}

/// What became of a measure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) baseline: f64,
    /// For the worse where it is more than zero.
    pub(super) by: f64,
    pub(super) interval: [f64; 2],
    /// What the change is told in percent of.
    pub(super) base: f64,
    /// Chance, two-sided, of a change as large where there is none.
    pub(super) p: f64,
}

impl Unit<'_> {
    pub(super) fn change(&self, measure: Measure) -> Option<Change> {
        self.changes.iter().find(|(known, _)| *known == measure).map(|&(_, change)| change)
    }
}

/// All units of a kind.
pub(super) fn units(analysis: &Analysis, of: Of) -> Vec<Unit<'_>> {
    match of {
        Of::All => vec![all(analysis)],
        Of::Entry => entries(analysis),
        Of::Team => teams(analysis),
        Of::Service => accounts(analysis, |operation, edge| operation.is_none() && edge.is_none()),
        Of::Operation => accounts(analysis, |operation, edge| operation.is_some() || edge.is_some()),
        Of::Edge => {
            let mut edges = accounts(analysis, |_, edge| edge.is_some());
            edges.extend(new_edges(analysis));
            edges
        }
    }
}

fn bare(name: String) -> Unit<'static> {
    Unit { name, service: None, operation: None, edge: None, owner: None, traces: Vec::new(), changes: Vec::new() }
}

fn all(analysis: &Analysis) -> Unit<'_> {
    let whole = &analysis.degradation;
    let latency = |base: f64, change: f64, interval, p| Change { baseline: base, by: change, interval, base, p };
    let suspect = analysis.suspects.first();
    Unit {
        traces: suspect.map_or(Vec::new(), |suspect| ids(&suspect.exemplars)),
        changes: vec![
            (
                Measure::Mean,
                latency(
                    whole.mean_ms.baseline,
                    whole.adjusted_change_ms,
                    whole.adjusted_interval_ms,
                    whole.between_runs.mean,
                ),
            ),
            (
                Measure::Typical,
                latency(
                    analysis.typical.baseline_mean_ms,
                    whole.typical_change_ms,
                    whole.typical_interval_ms,
                    whole.between_runs.typical,
                ),
            ),
            (
                Measure::Tail,
                latency(analysis.tail.baseline_mean_ms, whole.tail_change_ms, whole.tail_interval_ms, whole.p.tail),
            ),
            (
                Measure::Errors,
                points(
                    whole.error_ratio.baseline,
                    whole.error_ratio_change,
                    whole.error_ratio_interval,
                    whole.p.errors,
                ),
            ),
        ],
        ..bare("requests".to_owned())
    }
}

fn points(baseline: f64, change: f64, interval: [f64; 2], p: f64) -> Change {
    let percent = |ratio: f64| 100.0 * ratio;
    let (baseline, change) = (percent(baseline), percent(change));
    Change { baseline, by: change, interval: interval.map(percent), base: baseline, p }
}

fn ids(exemplars: &[Exemplar]) -> Vec<&str> {
    exemplars.iter().map(|exemplar| exemplar.trace_id.as_str()).collect()
}

fn entries(analysis: &Analysis) -> Vec<Unit<'_>> {
    let in_both = |entry: &&Entry| entry.n_requests.baseline > 0.0 && entry.n_requests.regression > 0.0;
    analysis.entries.iter().filter(in_both).map(entry).collect()
}

fn entry(entry: &Entry) -> Unit<'_> {
    let Entry { service, operation, mean_ms, error_ratio, .. } = entry;
    let change = Change {
        baseline: mean_ms.baseline,
        by: entry.change_ms,
        interval: entry.change_interval_ms,
        base: mean_ms.baseline,
        p: entry.p.mean,
    };
    let errors = points(
        error_ratio.baseline,
        error_ratio.regression - error_ratio.baseline,
        entry.error_ratio_interval,
        entry.p.errors,
    );
    Unit {
        service: Some(service),
        operation: Some(operation),
        changes: vec![(Measure::Mean, change), (Measure::Errors, errors)],
        ..bare(format!("{service}: {operation}"))
    }
}

fn teams(analysis: &Analysis) -> Vec<Unit<'_>> {
    let unit = |team: &TeamShare| {
        let name = team.team.clone()?;
        let own = analysis.operations.iter().filter(|account| {
            account.operation.is_none() && account.edge.is_none() && team.services.contains(&account.service)
        });
        let base = own.map(|account| account.own_ms.baseline).sum();
        let contribution = &team.contribution;
        let mean = Change {
            baseline: base,
            by: contribution.ms,
            interval: contribution.interval_ms,
            base,
            p: p_of(contribution.ms, contribution.interval_ms),
        };
        let errors = points(
            0.0,
            contribution.error_ratio,
            contribution.error_ratio_interval,
            p_of(contribution.error_ratio, contribution.error_ratio_interval),
        );
        Some(Unit { changes: vec![(Measure::Mean, mean), (Measure::Errors, errors)], ..bare(name) })
    };
    analysis.teams.iter().filter_map(unit).collect()
}

/// The chance that goes with a symmetric 95 % interval of a normal estimate.
fn p_of(value: f64, interval: [f64; 2]) -> f64 {
    const REACH: f64 = 1.959_963_984_540_054;
    let error = (interval[1] - interval[0]) / (2.0 * REACH);
    if error > 0.0 { crate::stats::two_sided_p(value / error) } else { 1.0 }
}

/// Accounts that are of a kind, told by operation and edge.
fn accounts(analysis: &Analysis, is_of_kind: fn(Option<&str>, Option<&Edge>) -> bool) -> Vec<Unit<'_>> {
    let tail_ms = analysis.tail.baseline_mean_ms;
    let mut units = Vec::new();
    for account in &analysis.operations {
        let (operation, edge) = (account.operation.as_deref(), account.edge.as_ref());
        if !is_of_kind(operation, edge) {
            continue;
        }
        let service = account.service.as_str();
        let suspect = analysis.suspects.iter().find(|suspect| {
            suspect.service == service
                && (operation.is_none() && edge.is_none()
                    || suspect.operation.as_deref() == operation && suspect.edge.as_ref() == edge)
        });
        let ranked = analysis.services.iter().find(|ranked| ranked.service == service);
        let (own_ms, calls) = (account.own_ms.baseline, account.calls_per_request);
        let latency = |by, interval, base, p| Change { baseline: base, by, interval, base, p };
        let (contribution, p, whole) = (&account.contribution, &account.p, &analysis.degradation.between_runs);
        let usual = account.usual_call.map(|call| {
            let ms = |percent: f64| percent / 100.0 * own_ms;
            let p = beyond(call.p, call.p_apart, whole.typical);
            (Measure::Typical, latency(ms(call.change_percent), call.interval_percent.map(ms), own_ms, p))
        });
        units.push(Unit {
            service: Some(service),
            operation,
            edge,
            owner: ranked.and_then(|ranked| ranked.owner.as_ref()),
            traces: suspect.map_or(Vec::new(), |suspect| ids(&suspect.exemplars)),
            changes: [
                (
                    Measure::Mean,
                    latency(
                        contribution.ms,
                        contribution.interval_ms,
                        own_ms,
                        beyond(p.mean, p.mean_apart, whole.mean),
                    ),
                ),
                (Measure::Tail, latency(account.tail_ms, account.tail_interval_ms, tail_ms, account.p.tail)),
                (
                    Measure::Errors,
                    points(
                        failing_before(analysis, service, operation),
                        contribution.error_ratio,
                        contribution.error_ratio_interval,
                        account.p.errors,
                    ),
                ),
                (
                    Measure::Calls,
                    Change {
                        baseline: calls.baseline,
                        by: calls.regression - calls.baseline,
                        interval: account.calls_per_request_interval,
                        base: calls.baseline,
                        p: account.p.calls,
                    },
                ),
            ]
            .into_iter()
            .chain(usual)
            .collect(),
            ..bare(match (operation, edge) {
                (Some(operation), _) => format!("{service}: {operation}"),
                (None, Some(edge)) => format!("{} -> {}", edge.caller, edge.callee),
                (None, None) => service.to_owned(),
            })
        });
    }
    units
}

/// The chance that nothing became worse here, where `own` is that of the change by itself, `apart` that of what it is beyond all
/// others, and `whole` that of all requests.
///
/// A change by itself counts only if all requests changed beyond chance: the machine may have made every operation as much longer. Either is
/// enough, so each is given its part of the error.
fn beyond(own: f64, apart: Option<f64>, whole: f64) -> f64 {
    apart.map_or(own, |apart| (apart / APART).min(own.max(whole) / (1.0 - APART)).min(1.0))
}

/// Part of the error given to what is beyond all others: a build that makes everything slower is told by all requests, which have a rule of
/// their own.
const APART: f64 = 0.9;

/// Share of the baseline's requests that began to fail there.
fn failing_before(analysis: &Analysis, service: &str, operation: Option<&str>) -> f64 {
    let own = analysis
        .errors
        .originates
        .iter()
        .filter(|part| part.service == service && operation.is_none_or(|operation| part.operation == operation));
    own.map(|part| part.per_request.baseline).sum()
}

/// Edges that only the candidate has, with the chance that the baseline merely happened to miss them.
fn new_edges(analysis: &Analysis) -> Vec<Unit<'_>> {
    let windows = &analysis.windows;
    let (before, after) = (windows.baseline.n_requests, windows.regression.n_requests);
    let edges = analysis.graph.service_edges.iter().filter(|edge| edge.change.status() == Some(Status::New));
    edges
        .map(|edge| {
            let n_calls = edge.change.latest().map_or(0.0, |calls| calls.n_calls as f64);
            let per_request = if after > 0.0 { n_calls / after } else { 0.0 };
            // Each of the calls would have fallen into the candidate by its share of the requests.
            let p = (after / (before + after)).powf(n_calls).clamp(0.0, 1.0);
            let change =
                Change { baseline: 0.0, by: per_request, interval: [per_request; 2], base: 0.0, p: (2.0 * p).min(1.0) };
            Unit {
                service: Some(&edge.caller),
                changes: vec![(Measure::NewDependency, change)],
                ..bare(format!("{} -> {}", edge.caller, edge.callee))
            }
        })
        .collect()
}
