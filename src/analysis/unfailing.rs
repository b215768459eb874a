//! Requests that a failure ends early are short: where fewer fail than before, requests take longer, and nothing got slower.
//!
//! So where fewer traces have a failure, those without any are compared by themselves, too, and what takes longer must do so there as well.

use super::between;
use super::build::{NS_PER_MS, Request, interval_ms, pair};
use super::document::WithoutFailures;
use super::operations::Measured;
use crate::compare::attribute::{Attribution, Subject};
use crate::compare::paths::CostTable;
use crate::compare::{Comparison, Estimate, Selection, compare};
use crate::normalize::Forest;
use crate::rank::{Channel, Ranking, Verdict, rank};
use hashbrown::HashMap;

/// Traces without a failure, compared.
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
    /// The comparison, if fewer traces have a failure than chance explains.
    pub(super) fn new(forest: &Forest, table: &CostTable, selection: &Selection) -> Option<Self> {
        let mut has_failure = vec![false; forest.n_traces()];
        for &(trace, _) in table.failures.iter().chain(&table.survived) {
            has_failure[trace as usize] = true;
        }
        let requests = |traces: &Vec<u32>| -> Vec<Request> {
            let request = |&trace: &u32| Request {
                trace,
                entry: forest.first_top(trace as usize).map_or(0, |top| forest.operation[top]),
                duration_ns: 0,
                weight: forest.weight[trace as usize],
                has_failed: has_failure[trace as usize],
            };
            traces.iter().map(request).collect()
        };
        let [before, after] = [&selection.baseline, &selection.regression].map(requests);
        if between::failures([&before, &after]).interval()[1] >= 0.0 {
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
        ranking.retain(forest, |service, channel| !is_of_time(channel) || self.slower.contains(&service), otherwise);
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

    /// Requests of traces without a failure.
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

/// Chance of a change as large, which must also be one among traces without a failure.
pub(super) fn p(all: Estimate, own: Option<Estimate>) -> f64 {
    if all.value <= 0.0 {
        return all.p();
    }
    all.p().max(own.filter(|own| own.value > 0.0).map_or(1.0, Estimate::p))
}

fn is_of_time(channel: Channel) -> bool {
    match channel {
        Channel::Latency | Channel::TypicalLatency | Channel::TailLatency => true,
        Channel::Errors | Channel::MissingCalls => false,
    }
}
