//! What rules are about: the units of an analysis with their changes.

use super::policy::{Measure, Of, Rule};
use crate::analysis::{
    Analysis, DecompositionRow, Edge, Entry, Exemplar, OperationAccount, Owner, RowCause, Suspect, TeamShare,
};
use crate::compare::attribute::Cause;
use crate::stats::two_sided_p;
use crate::topology::Status;
use statrs::distribution::{ContinuousCDF, Normal};
use std::collections::BTreeMap;

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
    /// Whether most of its failures are of work that no request waits for.
    pub(super) fails_in_background: bool,
    /// Whether most of what it adds is such work.
    pub(super) is_in_background: bool,
    /// What it does otherwise than before if it adds most of its time so, and not by taking longer itself.
    pub(super) how: Option<&'static str>,
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

/// All units that a rule may be about.
pub(super) fn units<'a>(analysis: &'a Analysis, rule: &Rule) -> Vec<Unit<'a>> {
    match rule.of {
        _ if rule.measure == Measure::NewDependency => new_edges(analysis),
        Of::All => vec![all(analysis)],
        Of::Entry => entries(analysis),
        Of::Team => teams(analysis),
        Of::Service => accounts(analysis, |account| account.operation.is_none() && account.edge.is_none()),
        Of::Operation => {
            let mut units = accounts(analysis, |account| account.operation.is_some());
            units.extend(edges(analysis));
            units
        }
        Of::Edge => edges(analysis),
    }
}

fn bare(name: String) -> Unit<'static> {
    Unit {
        name,
        service: None,
        operation: None,
        edge: None,
        owner: None,
        traces: Vec::new(),
        fails_in_background: false,
        is_in_background: false,
        how: None,
        changes: Vec::new(),
    }
}

fn all(analysis: &Analysis) -> Unit<'_> {
    let whole = &analysis.degradation;
    let latency = |base: f64, change: f64, interval, p| Change { baseline: base, by: change, interval, base, p };
    Unit {
        traces: shown(analysis, |_| true).unwrap_or_default(),
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
                    whole.adjusted_error_ratio_change,
                    whole.adjusted_error_ratio_interval,
                    whole.between_runs.errors,
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
    analysis.entries.iter().filter(in_both).map(|own| entry(own, owner(analysis, &own.service))).collect()
}

fn entry<'a>(entry: &'a Entry, owner: Option<&'a Owner>) -> Unit<'a> {
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
        owner,
        changes: vec![(Measure::Mean, change), (Measure::Errors, errors)],
        ..bare(format!("{}: {}", told(service), told(operation)))
    }
}

fn teams(analysis: &Analysis) -> Vec<Unit<'_>> {
    let unit = |team: &TeamShare| {
        let name = team.team.clone()?;
        let services: Vec<&OperationAccount> = analysis
            .operations
            .iter()
            .filter(|account| is_service(account) && team.services.contains(&account.service))
            .collect();
        let base = services.iter().map(|account| account.own_ms.baseline).sum();
        let contribution = &team.contribution;
        let own = p_of(contribution.ms, contribution.interval_ms);
        // Any of its services that stands apart tells of the team, so each has its part of the error.
        let apart = services.iter().filter_map(|account| account.p.mean_apart).min_by(f64::total_cmp);
        let mean = Change {
            baseline: base,
            by: contribution.ms,
            interval: contribution.interval_ms,
            base,
            // That one of them stands apart does not make what they add together any surer.
            p: beyond(
                own,
                apart.map(|apart| (apart * services.len() as f64).min(1.0).max(own)),
                analysis.degradation.between_runs.mean,
            ),
        };
        let tail_base = analysis.tail.baseline_mean_ms;
        let tail = Change {
            baseline: tail_base,
            by: team.tail_ms,
            interval: team.tail_interval_ms,
            base: tail_base,
            p: p_of(team.tail_ms, team.tail_interval_ms),
        };
        let errors = points(
            team.services.iter().map(|service| failing_before(analysis, service, None)).sum(),
            contribution.error_ratio,
            contribution.error_ratio_interval,
            p_of(contribution.error_ratio, contribution.error_ratio_interval),
        );
        let measures = [(Measure::Mean, mean), (Measure::Tail, tail), (Measure::Errors, errors)];
        let calls = services.iter().map(|account| calls(account)).reduce(Change::beside);
        Some(Unit {
            owner: team.services.iter().find_map(|service| owner(analysis, service)),
            traces: team
                .services
                .iter()
                .find_map(|service| shown(analysis, |suspect| suspect.service == *service))
                .unwrap_or_default(),
            changes: measures.into_iter().chain(calls.into_iter().flat_map(both_ways)).collect(),
            ..bare(name)
        })
    };
    analysis.teams.iter().filter_map(unit).collect()
}

/// The chance that goes with a symmetric 95 % interval of a normal estimate.
fn p_of(value: f64, interval: [f64; 2]) -> f64 {
    const REACH: f64 = 1.959_963_984_540_054;
    let error = (interval[1] - interval[0]) / (2.0 * REACH);
    if error > 0.0 { two_sided_p(value / error) } else { 1.0 }
}

impl Change {
    /// The chance, one-sided, of a change as much for the worse.
    pub(super) fn p_of_worse(&self) -> f64 {
        if self.by > 0.0 { self.p / 2.0 } else { 1.0 - self.p / 2.0 }
    }

    /// Without a part of it; the error stays that of the whole.
    pub(super) fn without(self, part: f64) -> Self {
        let by = self.by - part;
        let z = -Normal::standard().inverse_cdf(self.p.max(1e-300) / 2.0);
        let p = if by > 0.0 && self.by > 0.0 { two_sided_p(z * by / self.by) } else { 1.0 };
        Self { by, interval: self.interval.map(|end| end - part), p, ..self }
    }

    /// Of this and another together, which may move together: their errors add up.
    fn beside(self, other: Self) -> Self {
        let by = self.by + other.by;
        let interval = [0, 1].map(|end| self.interval[end] + other.interval[end]);
        Self {
            baseline: self.baseline + other.baseline,
            by,
            interval,
            base: self.base + other.base,
            p: p_of(by, interval),
        }
    }
}

fn is_service(account: &OperationAccount) -> bool {
    account.operation.is_none() && account.edge.is_none()
}

/// Whom to call for a service.
pub(super) fn owner<'a>(analysis: &'a Analysis, service: &str) -> Option<&'a Owner> {
    analysis.services.iter().find(|ranked| ranked.service == service)?.owner.as_ref()
}

/// Traces of the first suspect of a kind.
fn shown(analysis: &Analysis, is_of_kind: impl Fn(&Suspect) -> bool) -> Option<Vec<&str>> {
    analysis.suspects.iter().find(|suspect| is_of_kind(suspect)).map(|suspect| ids(&suspect.exemplars))
}

fn calls(account: &OperationAccount) -> Change {
    let baseline = account.calls_per_request.baseline;
    Change {
        baseline,
        by: account.calls_per_request_change,
        interval: account.calls_per_request_interval,
        base: baseline,
        p: account.p.calls,
    }
}

/// That there are more calls, and that there are fewer.
fn both_ways(calls: Change) -> [(Measure, Change); 2] {
    let [low, high] = calls.interval;
    // At other traffic than the baseline's there may be more to lose than there was.
    let base = calls.base.max(-calls.by);
    [(Measure::Calls, calls), (Measure::FewerCalls, Change { by: -calls.by, interval: [-high, -low], base, ..calls })]
}

/// The accounts of a kind, each by itself.
fn accounts(analysis: &Analysis, is_of_kind: fn(&OperationAccount) -> bool) -> Vec<Unit<'_>> {
    analysis.operations.iter().filter(|account| is_of_kind(account)).map(|own| account(analysis, own)).collect()
}

/// The edges. What either end may be blamed for has an account with each: together they are the edge.
fn edges(analysis: &Analysis) -> Vec<Unit<'_>> {
    let mut units: Vec<Unit<'_>> = Vec::new();
    let mut places = BTreeMap::new();
    for unit in accounts(analysis, |account| account.edge.is_some()) {
        let place = *places.entry(unit.name.clone()).or_insert(units.len());
        let Some(known) = units.get_mut(place) else {
            units.push(unit);
            continue;
        };
        for (measure, other) in unit.changes {
            match known.changes.iter_mut().find(|(own, _)| *own == measure) {
                // Both count the same calls.
                Some(_) if matches!(measure, Measure::Calls | Measure::FewerCalls) => {}
                Some((_, own)) => {
                    if measure == Measure::Mean && other.by.abs() > own.by.abs() {
                        (known.service, known.owner) = (unit.service, unit.owner);
                        known.traces.clone_from(&unit.traces);
                    }
                    let both = own.beside(other);
                    // The larger part was judged beside what all others did.
                    let [larger, smaller] = if own.by.abs() >= other.by.abs() { [*own, other] } else { [other, *own] };
                    // What clocks that drift move from one end to the other takes from it, and says nothing of the edge.
                    let is_against = larger.by * smaller.by < 0.0;
                    let p = if is_against { larger.without(-smaller.by).p } else { larger.p };
                    let base = if measure == Measure::Tail { own.base } else { own.base + other.base };
                    *own = Change { baseline: base, base, p, ..both };
                }
                None => known.changes.push((measure, other)),
            }
        }
    }
    units
}

fn account<'a>(analysis: &'a Analysis, account: &'a OperationAccount) -> Unit<'a> {
    let tail_ms = analysis.tail.baseline_mean_ms;
    let (operation, edge) = (account.operation.as_deref(), account.edge.as_ref());
    let service = account.service.as_str();
    let own_ms = account.own_ms.baseline;
    let latency = |by, interval, base, p| Change { baseline: base, by, interval, base, p };
    let (contribution, p, whole) = (&account.contribution, &account.p, &analysis.degradation.between_runs);
    let usual = account.usual_call.map(|call| {
        let ms = |percent: f64| percent / 100.0 * own_ms;
        let p = beyond(call.p, call.p_apart, whole.typical);
        (Measure::Typical, latency(ms(call.change_percent), call.interval_percent.map(ms), own_ms, p))
    });
    let traces = shown(analysis, |suspect| {
        suspect.service == service
            && (operation.is_none() && edge.is_none()
                || suspect.operation.as_deref() == operation && suspect.edge.as_ref() == edge)
    });
    let mean_p = beyond(p.mean, p.mean_apart, whole.mean);
    // Failures in the background are no points of requests, and failing requests no failures in the background.
    let (before, others) = if contribution.fails_in_background() {
        (account.background_failures.baseline, contribution.front_error_ratio())
    } else {
        (failing_before(analysis, service, operation), contribution.background_error_ratio)
    };
    let errors = points(before, contribution.error_ratio, contribution.error_ratio_interval, p.errors);
    let errors = if others == 0.0 { errors } else { errors.without(100.0 * others) };
    let changes = [
        (Measure::Mean, latency(contribution.ms, contribution.interval_ms, own_ms, mean_p)),
        (Measure::Tail, latency(account.tail_ms, account.tail_interval_ms, tail_ms, p.tail)),
        (Measure::Errors, errors),
    ];
    let changes = changes.into_iter().chain(both_ways(calls(account)));
    Unit {
        service: Some(service),
        operation,
        edge,
        owner: owner(analysis, service),
        traces: traces.unwrap_or_default(),
        fails_in_background: contribution.fails_in_background(),
        is_in_background: contribution.is_in_background(),
        how: how(analysis, account),
        changes: changes.chain(usual).collect(),
        ..bare(name(account))
    }
}

/// How an operation adds most of what it adds, where it takes no longer itself.
fn how(analysis: &Analysis, account: &OperationAccount) -> Option<&'static str> {
    let operation = account.operation.as_ref()?;
    let is_own = |row: &&DecompositionRow| {
        row.service.as_ref() == Some(&account.service) && row.operation.as_ref() == Some(operation)
    };
    let rows = analysis.decomposition.rows.iter().filter(is_own);
    let most = rows.max_by(|left, right| left.contribution_ms.total_cmp(&right.contribution_ms))?;
    match most.cause {
        RowCause::Of(Cause::Calls) => Some("by more calls"),
        RowCause::Of(Cause::Retry) => Some("by calls that are repeated"),
        RowCause::Of(Cause::Misses) => Some("by lookups that miss"),
        RowCause::Of(Cause::LostParallelism) => Some("by calls that run less side by side"),
        RowCause::Of(Cause::CriticalPath) => Some("by being waited for where it was not"),
        RowCause::Of(Cause::Failing) => Some("by what is called after it fails"),
        RowCause::Of(Cause::Slower | Cause::Peer | Cause::Network) | RowCause::TrafficMix => None,
    }
}

/// An account's name as a policy writes it.
pub(super) fn name(account: &OperationAccount) -> String {
    let service = told(&account.service);
    match (&account.operation, &account.edge) {
        (Some(operation), _) => format!("{service}: {}", told(operation)),
        (None, Some(edge)) => edge_name(&edge.caller, &edge.callee),
        (None, None) => service.to_owned(),
    }
}

/// The way between two services as a policy writes it.
pub(super) fn edge_name(caller: &str, callee: &str) -> String {
    format!("{} -> {}", told(caller), told(callee))
}

/// A name as it is told: one that is empty would be taken for a gap.
pub(super) fn told(name: &str) -> &str {
    if name.is_empty() { "(no name)" } else { name }
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
    let n_requests = windows.regression.n_requests;
    // How many requests a sampled one stands for says nothing of how many were seen.
    let (before, after) = (windows.baseline.n_traces as f64, windows.regression.n_traces as f64);
    let edges = analysis.graph.service_edges.iter().filter(|edge| edge.change.status() == Some(Status::New));
    edges
        .map(|edge| {
            let (n_calls, weighted) =
                edge.change.latest().map_or((0.0, 0.0), |calls| (calls.n_calls as f64, calls.weighted_calls));
            let per_request = if n_requests > 0.0 { weighted / n_requests } else { 0.0 };
            // Each of the calls would have fallen into the candidate by its share of the requests.
            let p = (after / (before + after)).powf(n_calls).clamp(0.0, 1.0);
            let change =
                Change { baseline: 0.0, by: per_request, interval: [per_request; 2], base: 0.0, p: (2.0 * p).min(1.0) };
            Unit {
                service: Some(&edge.caller),
                owner: owner(analysis, &edge.caller),
                changes: vec![(Measure::NewDependency, change)],
                ..bare(edge_name(&edge.caller, &edge.callee))
            }
        })
        .collect()
}
