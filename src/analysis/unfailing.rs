//! Requests that a failure ends early are short: where fewer fail than before, requests take longer, and nothing got slower.
//!
//! So where that may be all, requests that do not fail are compared by themselves, too, and what takes longer must do so there as well. It may be all
//! where fewer fail than chance explains, and requests take no longer than these, which were shorter, let expect: not where failures became slower
//! themselves, nor where few requests succeeded before.

use super::between;
use super::build::{NS_PER_MS, Request, interval_ms, pair};
use super::document::WithoutFailures;
use super::operations::Measured;
use crate::compare::attribute::{Attribution, Subject};
use crate::compare::paths::CostTable;
use crate::compare::{Comparison, Estimate, Selection, compare};
use crate::normalize::Forest;
use crate::rank::{Channel, MIN_REQUESTS, Ranking, Verdict, rank};
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// Requests that do not fail, compared.
pub(super) struct Unfailing {
    comparison: Comparison,
    verdict: Verdict,
    /// Services that got slower among them.
    slower: Vec<u32>,
    /// Of each subject, with the service that is blamed.
    places: HashMap<(Subject, u32), usize>,
    /// Of each trace.
    has_failure: Vec<bool>,
}

impl Unfailing {
    /// The comparison, if fewer requests fail and that may be why they take longer, where `whole` compares them all.
    pub(super) fn new(forest: &Forest, table: &CostTable, selection: &Selection, whole: &Comparison) -> Option<Self> {
        if table.failures.is_empty() {
            return None;
        }
        let mut has_failure = vec![false; forest.n_traces()];
        for &(trace, _) in &table.failures {
            has_failure[trace as usize] = true;
        }
        let requests = |traces: &Vec<u32>| -> Vec<Request> {
            let request = |&trace: &u32| {
                let top = forest.first_top(trace as usize)?;
                Some(Request {
                    trace,
                    entry: forest.operation[top],
                    duration_ns: forest.end_ns[top].saturating_sub(forest.start_ns[top]),
                    weight: forest.weight[trace as usize],
                    has_failed: has_failure[trace as usize],
                })
            };
            traces.iter().filter_map(request).collect()
        };
        let windows = [&selection.baseline, &selection.regression].map(requests);
        let windows = windows.each_ref().map(Vec::as_slice);
        if between::failures(windows).interval()[1] >= 0.0 || !explains(windows, whole.adjusted_ns) {
            return None;
        }
        let without =
            |traces: &Vec<u32>| traces.iter().copied().filter(|&trace| !has_failure[trace as usize]).collect();
        let selection =
            Selection { baseline: without(&selection.baseline), regression: without(&selection.regression) };
        let comparison = compare(forest, table, &selection);
        let ranking = rank(forest, table, &comparison);
        let slower = ranking.services.iter().filter(|ranked| {
            ranked.findings.iter().any(|finding| finding.is_significant && is_of_time(finding.channel))
        });
        let Attribution { subjects, blamed, .. } = &comparison.attribution;
        let subjects = subjects.iter().copied().zip(blamed.iter().copied());
        Some(Self {
            verdict: ranking.verdict,
            slower: slower.map(|ranked| ranked.service).collect(),
            places: subjects.zip(0..).collect(),
            comparison,
            has_failure,
        })
    }

    /// Takes back what only fewer failures made longer.
    pub(super) fn correct(&self, forest: &Forest, ranking: &mut Ranking) {
        let otherwise = match self.verdict {
            Verdict::Inconclusive => Verdict::Inconclusive,
            Verdict::Regression | Verdict::TrafficMix | Verdict::NoSignificantChange => Verdict::NoSignificantChange,
        };
        let is_kept = |service: u32, channel: Channel| {
            // What requests that succeed do not call is no matter of theirs.
            let has_calls = self.comparison.services[service as usize].error > 0.0;
            !is_of_time(channel) || self.slower.contains(&service) || !has_calls
        };
        ranking.retain(forest, is_kept, otherwise);
    }

    pub(super) fn comparison(&self) -> &Comparison {
        &self.comparison
    }

    /// What became of a subject that is blamed on a service, or of the service; `None` if it has no call.
    pub(super) fn measured(&self, subject: Option<Subject>, service: u32) -> Option<Measured> {
        let place = match subject {
            Some(subject) => Some(*self.places.get(&(subject, service))?),
            None => None,
        };
        Some(Measured::new(&self.comparison, place, service as usize))
    }

    /// Those of the requests that succeed.
    pub(super) fn requests(&self, requests: &[Request]) -> Vec<Request> {
        requests.iter().filter(|request| !self.has_failure[request.trace as usize]).copied().collect()
    }

    pub(super) fn document(&self) -> WithoutFailures {
        let Comparison { n_traces, effects, adjusted_ns, .. } = &self.comparison;
        WithoutFailures {
            n_traces: pair(n_traces.map(|n_traces| n_traces as f64)),
            mean_ms: pair([effects.baseline_mean_ns, effects.regression_mean_ns].map(|mean| mean / NS_PER_MS)),
            adjusted_change_ms: adjusted_ns.value / NS_PER_MS,
            adjusted_interval_ms: interval_ms(*adjusted_ns),
        }
    }
}

/// Requests of one entry in one window: how many, with their time, of those that succeed and of those that fail.
#[derive(Clone, Copy, Default)]
struct Outcome {
    n: [f64; 2],
    ns: [f64; 2],
}

impl Outcome {
    fn n(&self) -> f64 {
        self.n[0] + self.n[1]
    }
}

/// Whether the requests that no longer fail let expect as much as all change by, as far as can be told from chance.
fn explains(windows: [&[Request]; 2], change: Estimate) -> bool {
    let mut entries: BTreeMap<u32, [Outcome; 2]> = BTreeMap::new();
    for (window, requests) in windows.into_iter().enumerate() {
        for request in requests {
            let outcome = &mut entries.entry(request.entry).or_default()[window];
            outcome.n[usize::from(request.has_failed)] += request.weight;
            outcome.ns[usize::from(request.has_failed)] += request.weight * request.duration_ns as f64;
        }
    }
    let n_requests = [0, 1].map(|window: usize| entries.values().map(|entry| entry[window].n()).sum::<f64>());
    let n_succeeding: f64 = windows[0].iter().map(|request| f64::from(u8::from(!request.has_failed))).sum();
    let explained_ns = |entry: &[Outcome; 2]| {
        if entry.iter().any(|outcome| outcome.n() == 0.0) {
            return 0.0;
        }
        let share = f64::midpoint(entry[0].n() / n_requests[0], entry[1].n() / n_requests[1]);
        let [before, after] = entry.map(|outcome| outcome.n[1] / outcome.n());
        // As long as failing, and succeeding, requests took before, or else take now.
        let [succeeding, failing] = [0, 1].map(|which: usize| {
            let took = entry.iter().find(|outcome| outcome.n[which] > 0.0);
            took.map_or(0.0, |outcome| outcome.ns[which] / outcome.n[which])
        });
        share * (before - after) * (succeeding - failing)
    };
    let explained: f64 = entries.values().map(explained_ns).sum();
    let rest = Estimate { value: change.value - explained, ..change };
    n_succeeding >= MIN_REQUESTS && explained > 0.0 && rest.interval()[0] <= 0.0
}

/// Chance of a change as large, which must also be one among requests that succeed, if they make such calls.
pub(super) fn p(all: Estimate, own: Option<Estimate>) -> f64 {
    match own {
        Some(own) if all.value > 0.0 && own.value > 0.0 => all.p().max(own.p()),
        Some(own) if all.value > 0.0 && own.error > 0.0 => 1.0,
        _ => all.p(),
    }
}

fn is_of_time(channel: Channel) -> bool {
    match channel {
        Channel::Latency | Channel::TypicalLatency | Channel::TailLatency => true,
        Channel::Errors | Channel::MissingCalls => false,
    }
}
