//! Fills the document from the stages' results.

use super::document::{
    Analysis, ChancesBetweenRuns, Decomposition, DecompositionRow, Degradation, Edge, EndToEndChances, Entry,
    Operation, Pair, RowCause, SCHEMA_VERSION, Window, Windows,
};
use super::evidence::Evidence;
use super::unfailing::Unfailing;
use super::{
    Narrowed, Prepared, attributes, between, comings, diagnostics, distributions, errors, missing, network, operations,
    series, single, structure, suspects, unfailing, versions, wording,
};
use crate::compare::attribute::{Subject, tops};
use crate::compare::decompose::Effects;
use crate::compare::paths::Scope;
use crate::compare::sums::Sums;
use crate::compare::{Comparison, Estimate, ViewChange};
use crate::drill::presence::{Present, presence};
use crate::normalize::SpanFlags;
use crate::rank::Ranking;
use crate::stats::weighted_quantile;
use crate::time::format_rfc3339;
use crate::topology::GraphDocument;
use crate::window;

pub(super) const NS_PER_MS: f64 = 1e6;

/// The document but for owners and changes, and what was found of versions, which are changes.
pub(super) fn document(
    prepared: &Prepared,
    windows: &window::Windows,
    ranking: &Ranking,
    evidence: Evidence<'_>,
    graph: GraphDocument,
    keys: Option<&[String]>,
) -> (Analysis, versions::Found) {
    let forest = evidence.forest;
    let carried = keys.filter(|_| evidence.kept.is_none_or(|kept| kept.calls.is_some()));
    let suspected = || {
        let structure = structure::changes(evidence);
        let (suspects, traces, carry) = suspects::suspects(ranking, evidence, &structure, carried);
        let distributions = distributions::distributions(evidence, &suspects);
        (structure, suspects, traces, distributions, carry)
    };
    // What asks for no suspect.
    let told = || (operations::accounts(evidence), errors::errors(evidence), series::series(prepared, evidence));
    let counted = || {
        let present = keys.map_or_else(Present::default, |_| presence(evidence.drill_input()));
        let requests = both_requests(evidence);
        let degradation = degradation(ranking, evidence, &requests);
        let single = single::warnings(prepared, evidence, &degradation, &requests);
        let entries = entries(evidence, &degradation, requests);
        (present, degradation, single, entries, diagnostics(prepared, evidence.selection))
    };
    let parts = forest.both(suspected, || forest.both(told, counted));
    let ((structure, mut suspects, traces, distributions, carry), (told, counted)) = parts;
    let (mut operations, errors, time) = told;
    let n_operations_left_out = operations::shorten(&mut operations, &mut suspects);
    let (present, degradation, single, entries, diagnostics) = counted;
    let mut analysis = Analysis {
        schema_version: SCHEMA_VERSION,
        verdict: ranking.verdict,
        summary: String::new(),
        confidence: 0.0,
        windows: windows_document(windows, &prepared.narrowed, evidence),
        time,
        degradation,
        decomposition: decomposition(evidence, &View::mean(evidence.comparison)),
        typical: decomposition(evidence, &View::of(&evidence.comparison.typical)),
        tail: decomposition(evidence, &View::of(&evidence.comparison.tail)),
        network: network::accounts(evidence, network::has_risen),
        entries,
        services: suspects::services(ranking, &suspects, evidence),
        suspects,
        operations,
        n_operations_left_out,
        teams: Vec::new(),
        changes: Vec::new(),
        n_changes_outside: 0,
        distributions,
        traces,
        new_values: attributes::value_changes(evidence, &present.values),
        errors,
        structure,
        graph,
        diagnostics,
    };
    analysis.confidence = analysis.services.first().map_or(0.0, |service| service.stability);
    // Those that the headline hangs on come first.
    let doubts = comings::doubt(&mut analysis, prepared.has_sides());
    analysis.diagnostics.warnings.clone_from(&doubts);
    analysis.diagnostics.warnings.extend(single);
    analysis.diagnostics.warnings.extend(wording::warnings(&analysis));
    analysis.diagnostics.warnings.extend(prepared.profile_warnings(keys));
    analysis.summary = wording::summary(&analysis, &doubts);
    (analysis, versions::Found { rollouts: present.rollouts, carry })
}

fn windows_document(windows: &window::Windows, narrowed: &Narrowed, evidence: Evidence<'_>) -> Windows {
    let Comparison { baseline, regression, scope, .. } = evidence.comparison;
    let [missing_before, missing_after] = missing::ratios(evidence);
    let one = |window: &window::Window, traces: &[u32], sums: &Sums, missing_ratio: f64| Window {
        start: format_rfc3339(window.start_unix_ns),
        end: format_rfc3339(window.end_unix_ns),
        start_unix_ns: window.start_unix_ns,
        end_unix_ns: window.end_unix_ns,
        n_traces: traces.len() as u64,
        n_spans: traces.iter().map(|&trace| evidence.forest.n_spans_of(trace as usize)).sum(),
        n_requests: tops(&evidence.table.paths, sums, *scope),
        missing_ratio,
    };
    Windows {
        baseline: one(&windows.baseline, &evidence.selection.baseline, baseline, missing_before),
        regression: one(&windows.regression, &evidence.selection.regression, regression, missing_after),
        choice: windows.choice,
        description: narrowed.description.clone().unwrap_or_else(|| windows.choice.describe()),
        only: narrowed.only.clone(),
        onsets: windows.onsets.clone(),
        timeline: windows.timeline.clone(),
        warnings: windows
            .warnings
            .iter()
            .map(window::WindowWarning::describe)
            .chain(narrowed.warnings.iter().cloned())
            .collect(),
    }
}

/// `part` as percent of `whole`; 0 where there is no whole.
pub(super) fn percent(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { 100.0 * part / whole }
}

pub(super) fn interval_ms(estimate: Estimate) -> [f64; 2] {
    estimate.interval().map(|bound| bound / NS_PER_MS)
}

/// A request: its duration, weight and whether it failed.
#[derive(Clone, Copy)]
pub(super) struct Request {
    pub(super) trace: u32,
    pub(super) entry: u32,
    pub(super) duration_ns: i64,
    pub(super) weight: f64,
    pub(super) has_failed: bool,
}

/// The requests of one window: roots, or the tops of fragments where that is all there is.
pub(super) fn requests(evidence: Evidence<'_>, traces: &[u32]) -> Vec<Request> {
    let forest = evidence.forest;
    let mut requests = Vec::with_capacity(traces.len());
    for &trace in traces {
        let is_request = |span: &usize| match evidence.comparison.scope {
            Scope::Request => forest.is_root(*span),
            Scope::Background => forest.is_top(*span),
        };
        requests.extend(forest.spans_of(trace as usize).filter(is_request).map(|span| Request {
            trace,
            entry: forest.operation[span],
            duration_ns: forest.end_ns[span] - forest.start_ns[span],
            weight: forest.weight[trace as usize],
            has_failed: forest.flags[span].has(SpanFlags::FAILED),
        }));
    }
    requests
}

pub(super) fn both_requests(evidence: Evidence<'_>) -> [Vec<Request>; 2] {
    [&evidence.selection.baseline, &evidence.selection.regression].map(|traces| requests(evidence, traces))
}

pub(super) fn pair([baseline, regression]: [f64; 2]) -> Pair {
    Pair { baseline, regression }
}

/// Durations of requests in milliseconds, ascending, each with how many requests it and all before it stand for.
pub(super) struct Durations {
    sorted_ms: Vec<f64>,
    cumulative: Vec<f64>,
}

impl Durations {
    pub(super) fn new<'a>(requests: impl Iterator<Item = &'a Request>) -> Self {
        let mut sorted: Vec<(i64, f64)> = requests.map(|request| (request.duration_ns, request.weight)).collect();
        sorted.sort_unstable_by(|left, right| left.0.cmp(&right.0).then(left.1.total_cmp(&right.1)));
        let mut count = 0.0;
        let add = |&(_, weight): &(i64, f64)| {
            count += weight;
            count
        };
        let cumulative = sorted.iter().map(add).collect();
        Self { sorted_ms: sorted.into_iter().map(|(ns, _)| ns as f64 / NS_PER_MS).collect(), cumulative }
    }

    /// A quantile by sampling weight; `None` if there are none.
    pub(super) fn quantile_ms(&self, q: f64) -> Option<f64> {
        weighted_quantile(&self.sorted_ms, &self.cumulative, q)
    }
}

pub(super) fn ratio(over: f64, under: f64) -> f64 {
    // The sum of nothing is a negative zero.
    if under > 0.0 { over / under + 0.0 } else { 0.0 }
}

fn degradation(ranking: &Ranking, evidence: Evidence<'_>, requests: &[Vec<Request>; 2]) -> Degradation {
    let comparison = evidence.comparison;
    let durations = requests.each_ref().map(|requests| Durations::new(requests.iter()));
    let at = |q: f64| pair(durations.each_ref().map(|durations| durations.quantile_ms(q).unwrap_or(0.0)));
    let error_ratio = requests.each_ref().map(|requests| {
        let failed = requests.iter().map(|request| if request.has_failed { request.weight } else { 0.0 }).sum();
        ratio(failed, requests.iter().map(|request| request.weight).sum())
    });
    let failures = between::failures(requests.each_ref().map(Vec::as_slice));
    let effects = &comparison.effects;
    let p = |of: fn(&Comparison) -> Estimate| match evidence.unfailing {
        Some(own) => unfailing::p(of(comparison), Some(of(own.comparison()))),
        None => of(comparison).p(),
    };
    Degradation {
        of: match comparison.scope {
            Scope::Request => "requests".to_owned(),
            Scope::Background => "fragments".to_owned(),
        },
        mean_ms: pair([effects.baseline_mean_ns, effects.regression_mean_ns].map(|mean| mean / NS_PER_MS)),
        p50_ms: at(0.5),
        p95_ms: at(0.95),
        p99_ms: at(0.99),
        change_ms: comparison.change_ns.value / NS_PER_MS,
        change_percent: percent(comparison.change_ns.value, effects.baseline_mean_ns),
        interval_ms: interval_ms(comparison.change_ns),
        adjusted_change_ms: comparison.adjusted_ns.value / NS_PER_MS,
        adjusted_interval_ms: interval_ms(comparison.adjusted_ns),
        typical_change_ms: comparison.typical.adjusted_ns.value / NS_PER_MS,
        typical_interval_ms: interval_ms(comparison.typical.adjusted_ns),
        tail_change_ms: comparison.tail.adjusted_ns.value / NS_PER_MS,
        tail_interval_ms: interval_ms(comparison.tail.adjusted_ns),
        p: EndToEndChances {
            mean: p(|of| of.adjusted_ns),
            typical: p(|of| of.typical.adjusted_ns),
            tail: p(|of| of.tail.adjusted_ns),
            errors: comparison.failure_change.p(),
        },
        between_runs: ChancesBetweenRuns {
            mean: p(|of| of.between_runs),
            typical: p(|of| of.typical.between_runs),
            errors: failures.p(),
        },
        floor_ms: ranking.floor_ns / NS_PER_MS,
        error_ratio: pair(error_ratio),
        error_ratio_change: comparison.failure_change.value,
        error_ratio_interval: failures_interval(comparison.failure_change, failures.interval()),
        error_ratio_mix: comparison.failure_mix.value,
        adjusted_error_ratio_change: failures.value,
        adjusted_error_ratio_interval: failures.interval(),
        without_failures: evidence.unfailing.map(Unfailing::document),
    }
}

/// The interval of the change of the failing share; where resamples cannot differ, as without failures, that of so many requests.
fn failures_interval(change: Estimate, between: [f64; 2]) -> [f64; 2] {
    let [low, high] = change.interval();
    if low < high { [low, high] } else { between }
}

/// A subject in the document's words: service blamed, operation or edge.
pub(super) fn names(evidence: Evidence<'_>, subject: u32) -> (String, Option<String>, Option<Edge>) {
    let service = |index: u32| evidence.forest.services[index as usize].name.clone();
    let attribution = &evidence.comparison.attribution;
    let blamed = service(attribution.blamed[subject as usize]);
    match attribution.subjects[subject as usize] {
        Subject::Operation(_, name) => (blamed, Some(evidence.forest.name(name).to_owned()), None),
        Subject::Edge(caller, callee) => {
            (blamed, None, Some(Edge { caller: service(caller), callee: service(callee) }))
        }
    }
}

pub(super) fn operation(evidence: Evidence<'_>, operation: u32) -> Operation {
    let operation = evidence.forest.operations[operation as usize];
    Operation {
        service: evidence.forest.services[operation.service as usize].name.clone(),
        operation: evidence.forest.operation_name(operation).to_owned(),
    }
}

/// One view of the latency, compared.
struct View<'a> {
    effects: &'a Effects,
    rows: &'a [Estimate],
    mix_ns: Estimate,
}

impl<'a> View<'a> {
    fn mean(comparison: &'a Comparison) -> Self {
        Self { effects: &comparison.effects, rows: &comparison.rows, mix_ns: comparison.mix_ns }
    }

    fn of(view: &'a ViewChange) -> Self {
        Self { effects: &view.effects, rows: &view.rows, mix_ns: view.mix_ns }
    }
}

fn decomposition(evidence: Evidence<'_>, view: &View<'_>) -> Decomposition {
    let comparison = evidence.comparison;
    let effects = view.effects;
    let change_ns = effects.regression_mean_ns - effects.baseline_mean_ns;
    let row = |estimate: Estimate, cause: RowCause| DecompositionRow {
        cause,
        service: None,
        operation: None,
        edge: None,
        callee: None,
        contribution_ms: estimate.value / NS_PER_MS,
        contribution_percent: percent(estimate.value, change_ns),
        interval_ms: interval_ms(estimate),
    };
    let mut rows: Vec<DecompositionRow> = comparison
        .attribution
        .rows
        .iter()
        .zip(view.rows)
        .filter(|(_, estimate)| estimate.value != 0.0)
        .map(|(key, &estimate)| {
            let (service, subject_operation, edge) = names(evidence, key.subject);
            DecompositionRow {
                service: Some(service),
                operation: subject_operation,
                edge,
                callee: key.callee.map(|callee| structure::asked(evidence, callee)),
                ..row(estimate, RowCause::Of(key.cause))
            }
        })
        .collect();
    if view.mix_ns.value != 0.0 {
        rows.push(row(view.mix_ns, RowCause::TrafficMix));
    }
    rows.sort_by(|left, right| {
        let key = |row: &DecompositionRow| {
            (row.service.clone(), row.operation.clone(), row.edge.clone(), row.cause, row.callee.clone())
        };
        right.contribution_ms.abs().total_cmp(&left.contribution_ms.abs()).then_with(|| key(left).cmp(&key(right)))
    });
    let change_ms = change_ns / NS_PER_MS;
    Decomposition {
        baseline_mean_ms: effects.baseline_mean_ns / NS_PER_MS,
        regression_mean_ms: effects.regression_mean_ns / NS_PER_MS,
        change_ms,
        residual_ms: change_ms - rows.iter().map(|row| row.contribution_ms).sum::<f64>(),
        rows,
    }
}

fn entries(evidence: Evidence<'_>, degradation: &Degradation, mut windows: [Vec<Request>; 2]) -> Vec<Entry> {
    for requests in &mut windows {
        // Stable, so that sums are taken in the order of traces.
        requests.sort_by_key(|request| request.entry);
    }
    let mut codes: Vec<u32> = windows.iter().flatten().map(|request| request.entry).collect();
    codes.sort_unstable();
    codes.dedup();
    let mut names: Vec<(Operation, u32)> = codes.into_iter().map(|entry| (operation(evidence, entry), entry)).collect();
    names.sort_unstable();
    let totals = windows.each_ref().map(|requests| requests.iter().map(|request| request.weight).sum::<f64>());
    let mut entries: Vec<Entry> = names
        .into_iter()
        .map(|(name, entry)| {
            let own = windows.each_ref().map(|requests| {
                let first = requests.partition_point(|request| request.entry < entry);
                &requests[first..first + requests[first..].partition_point(|request| request.entry == entry)]
            });
            let sum = |value: fn(&Request) -> f64| {
                own.map(|requests| requests.iter().map(|request| request.weight * value(request)).sum::<f64>())
            };
            let n_requests = sum(|_| 1.0);
            let [before, after] = sum(|request| request.duration_ns as f64 / NS_PER_MS);
            let [failed_before, failed_after] = sum(|request| f64::from(u8::from(request.has_failed)));
            let mean_ms = pair([ratio(before, n_requests[0]), ratio(after, n_requests[1])]);
            let change = between::means(own, |request| request.duration_ns as f64);
            let p = evidence.unfailing.map_or(change.p(), |of| {
                let own = own.map(|requests| of.requests(requests));
                let own = between::means(own.each_ref().map(Vec::as_slice), |request| request.duration_ns as f64);
                unfailing::p(change, Some(own))
            });
            let failures = between::failures(own);
            let is_in_both = n_requests.iter().all(|&n_requests| n_requests > 0.0);
            Entry {
                service: name.service,
                operation: name.operation,
                n_requests: pair(n_requests),
                share: pair([ratio(n_requests[0], totals[0]), ratio(n_requests[1], totals[1])]),
                mean_ms,
                p95_ms: pair(own.map(|requests| Durations::new(requests.iter()).quantile_ms(0.95).unwrap_or(0.0))),
                change_ms: if is_in_both { mean_ms.regression - mean_ms.baseline } else { 0.0 },
                change_interval_ms: if is_in_both { interval_ms(change) } else { [0.0; 2] },
                error_ratio: pair([ratio(failed_before, n_requests[0]), ratio(failed_after, n_requests[1])]),
                error_ratio_interval: if is_in_both { failures.interval() } else { [0.0; 2] },
                p: EndToEndChances { mean: p, typical: 1.0, tail: 1.0, errors: failures.p() },
            }
        })
        .collect();
    // One that is alone is the whole.
    if let ([entry], [true, true]) = (entries.as_mut_slice(), totals.map(|total| total > 0.0)) {
        entry.change_interval_ms = degradation.interval_ms;
        entry.error_ratio_interval = degradation.error_ratio_interval;
    }
    let weight = |entry: &Entry| (entry.change_ms * f64::midpoint(entry.share.baseline, entry.share.regression)).abs();
    entries.sort_by(|left, right| weight(right).total_cmp(&weight(left)));
    entries
}
