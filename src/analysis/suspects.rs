//! The ranking in the document's words: services, and the operations and edges that make up their part.

use super::build::{NS_PER_MS, interval_ms, names, operation, percent, ratio};
use super::document::{Contribution, Finding, Pair, RankedService, StructureChange, Suspect};
use super::evidence::Evidence;
use super::hops::propagation;
use super::impact::impact;
use super::overturn::{self, Grounds};
use super::traces::{self, Shown, TracePair};
use super::versions::Carry;
use super::{attributes, network, structure, wording};
use crate::compare::Estimate;
use crate::compare::edges::Whose;
use crate::compare::views::tail_weights;
use crate::rank::{self, Channel, Ranking, Verdict};
use rayon::prelude::*;

/// Suspects listed: beyond lies what nobody reads.
const MAX_SUSPECTS: usize = 50;
/// A suspect has at least this share of its service's contribution.
pub(super) const MIN_SHARE: f64 = 0.05;

/// Below a picosecond it is rounding.
const LEAST_NS: f64 = 1e-3;
/// The same of shares of failing requests.
const LEAST_RATIO: f64 = 1e-9;

/// What is added to requests, without work in the background.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Front {
    /// Nanoseconds a request.
    pub(super) ns: f64,
    /// Share of requests that fail.
    pub(super) error_ratio: f64,
}

impl std::ops::Add for Front {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { ns: self.ns + other.ns, error_ratio: self.error_ratio + other.error_ratio }
    }
}

impl std::iter::Sum for Front {
    fn sum<I: Iterator<Item = Self>>(fronts: I) -> Self {
        fronts.fold(Self::default(), |sum, front| sum + front)
    }
}

/// What subjects add to requests: each of them, and all of a service.
pub(super) fn fronts(evidence: Evidence<'_>) -> [Vec<Front>; 2] {
    let comparison = evidence.comparison;
    let attribution = &comparison.attribution;
    let failures = comparison.front_failures(evidence.table);
    let mut subjects: Vec<Front> = failures.into_iter().map(|error_ratio| Front { ns: 0.0, error_ratio }).collect();
    for (key, row) in attribution.rows.iter().zip(&comparison.rows) {
        subjects[key.subject as usize].ns += row.value;
    }
    let mut services = vec![Front::default(); evidence.forest.services.len()];
    for (&service, &own) in attribution.blamed.iter().zip(&subjects) {
        services[service as usize] = services[service as usize] + own;
    }
    [subjects, services]
}

/// A contribution by these estimates, of which `front` is to requests.
pub(super) fn contribution(
    evidence: Evidence<'_>,
    latency: Estimate,
    failures: Estimate,
    front: Front,
) -> Contribution {
    let comparison = evidence.comparison;
    let behind = |value: f64, front: f64, least: f64| {
        let behind = value - front;
        if comparison.background_rate > 0.0 && behind.abs() > least { behind } else { 0.0 }
    };
    Contribution {
        ms: latency.value / NS_PER_MS,
        background_ms: behind(latency.value, front.ns, LEAST_NS) / NS_PER_MS,
        background_error_ratio: behind(failures.value, front.error_ratio, LEAST_RATIO),
        percent: percent(latency.value, comparison.adjusted_ns.value),
        interval_ms: interval_ms(latency),
        error_ratio: failures.value,
        error_ratio_interval: failures.interval(),
    }
}

pub(super) fn findings(service: &rank::RankedService) -> Vec<Finding> {
    let finding = |finding: &rank::Finding| {
        let scale = if finding.channel == Channel::Errors { 1.0 } else { NS_PER_MS };
        Finding {
            channel: finding.channel,
            change: finding.change.value / scale,
            interval: finding.change.interval().map(|bound| bound / scale),
            q: finding.q,
            is_significant: finding.is_significant,
            score: finding.score,
        }
    };
    service.findings.iter().map(finding).collect()
}

pub(super) fn services(ranking: &Ranking, suspects: &[Suspect], evidence: Evidence<'_>) -> Vec<RankedService> {
    if ranking.verdict == Verdict::TrafficMix {
        return Vec::new();
    }
    let comparison = evidence.comparison;
    let [_, fronts] = fronts(evidence);
    (1..)
        .zip(&ranking.services)
        .map(|(rank, ranked)| {
            let index = ranked.service as usize;
            let service = &evidence.forest.services[index];
            let (latency, failures) = (comparison.services[index], comparison.service_failures[index]);
            let contribution = contribution(evidence, latency, failures, fronts[index]);
            let own = suspects.iter().filter(|suspect| suspect.service == service.name);
            RankedService {
                rank,
                service: service.name.clone(),
                is_inferred: service.is_inferred,
                owner: None,
                score: ranked.score,
                is_significant: ranked.findings.iter().any(|finding| finding.is_significant),
                stability: ranked.stability,
                contribution,
                contribution_ms: contribution.ms,
                kind: own.clone().next().map_or_else(
                    || wording::channel(ranked.findings.first().map(|finding| finding.channel)).to_owned(),
                    |suspect| suspect.kind.clone(),
                ),
                findings: findings(ranked),
                operations: own.map(wording::subject).collect(),
            }
        })
        .collect()
}

pub(super) fn suspects(
    ranking: &Ranking,
    evidence: Evidence<'_>,
    structure: &[StructureChange],
    keys: Option<&[String]>,
) -> (Vec<Suspect>, Vec<TracePair>, Carry) {
    if ranking.verdict != Verdict::Regression {
        return (Vec::new(), Vec::new(), Carry::new());
    }
    let comparison = evidence.comparison;
    let mut scored: Vec<(f64, u32, Channel)> = Vec::new();
    for service in &ranking.services {
        for finding in service.findings.iter().filter(|finding| finding.is_significant) {
            let value = |subject: usize| {
                let estimate = match finding.channel {
                    Channel::Latency => comparison.subjects[subject],
                    Channel::TypicalLatency => comparison.typical.subjects[subject],
                    Channel::TailLatency => comparison.tail.subjects[subject],
                    Channel::Errors => comparison.failures[subject],
                    Channel::MissingCalls => ranking.missing[subject],
                };
                // However much it is: what chance may have done comes behind what is certain.
                estimate.value * if estimate.p() <= rank::MAX_Q { 1.0 } else { rank::DOUBT }
            };
            let blamed = &comparison.attribution.blamed;
            let own: Vec<usize> = (0..blamed.len()).filter(|&subject| blamed[subject] == service.service).collect();
            let total: f64 = own.iter().map(|&subject| value(subject).max(0.0)).sum();
            for subject in own {
                let share = ratio(value(subject).max(0.0), total);
                if share >= MIN_SHARE {
                    scored.push((finding.score * share, u32::try_from(subject).unwrap_or(u32::MAX), finding.channel));
                }
            }
        }
    }
    // A subject found in several channels is one suspect, told by the channel that weighs most; failures come before the slowness
    // that they bring unless they weigh much less.
    let weight =
        |&(score, _, channel): &(f64, u32, Channel)| if channel == Channel::Errors { 2.0 * score } else { score };
    scored.sort_by(|left, right| left.1.cmp(&right.1).then(weight(right).total_cmp(&weight(left))));
    scored.dedup_by(|next, kept| {
        let same = next.1 == kept.1;
        kept.0 += if same { next.0 } else { 0.0 };
        same
    });
    let drills = attributes::drill(evidence, &scored, keys);
    let [fronts, _] = fronts(evidence);
    let grounds = Grounds::new(evidence);
    let windows = [&evidence.selection.baseline, &evidence.selection.regression].map(Vec::as_slice);
    let is_of_tail = |&(_, _, channel): &(f64, u32, Channel)| channel == Channel::TailLatency;
    let tail = if scored.iter().any(is_of_tail) { tail_weights(evidence.forest, windows) } else { Vec::new() };
    let mut suspects: Vec<(Suspect, Shown)> = scored
        .into_par_iter()
        .map(|(score, subject, channel)| {
            let (attributes, attribute_search) = attributes::carriers(&drills, subject, channel);
            let found = (&grounds, structure, tail.as_slice());
            let front = fronts[subject as usize];
            let (suspect, shown) = suspect(ranking, evidence, found, (score, front), subject, channel);
            (Suspect { attributes, attribute_search, ..suspect }, shown)
        })
        .collect();
    suspects.sort_by(|(left, _), (right, _)| {
        let key = |suspect: &Suspect| (suspect.service.clone(), suspect.operation.clone(), suspect.edge.clone());
        right.score.total_cmp(&left.score).then_with(|| key(left).cmp(&key(right)))
    });
    // The service that is accused first is accused for what it did itself.
    let first = ranking.services.first().map(|first| evidence.forest.services[first.service as usize].name.as_str());
    if let Some(place) = suspects.iter().position(|(suspect, _)| Some(suspect.service.as_str()) == first) {
        suspects[..=place].rotate_right(1);
    }
    suspects.truncate(MAX_SUSPECTS);
    failures_before_retries(&mut suspects);
    for (rank, (suspect, _)) in (1..).zip(&mut suspects) {
        suspect.rank = rank;
    }
    let (suspects, shown): (Vec<Suspect>, Vec<Shown>) = suspects.into_iter().unzip();
    let pairs = traces::pairs(evidence, &shown);
    (suspects, pairs, attributes::versions(evidence, &drills))
}

/// Place of a service in the ranking, from 1.
fn place_of(ranking: &Ranking, service: u32) -> u32 {
    (1..).zip(&ranking.services).find(|(_, ranked)| ranked.service == service).map_or(0, |(place, _)| place)
}

/// Retries are what failures bring: where both accuse a service, the failures take the place of the retries.
fn failures_before_retries(suspects: &mut [(Suspect, Shown)]) {
    let is_retry = |suspect: &Suspect| ["retries", "retry storm"].contains(&suspect.kind.as_str());
    let is_failure = |suspect: &Suspect| ["errors", "silent", "timeouts"].contains(&suspect.kind.as_str());
    for first in 0..suspects.len() {
        let service = suspects[first].0.service.clone();
        let failures = suspects[first..].iter().position(|(other, _)| other.service == service && is_failure(other));
        if let Some(failures) = failures.filter(|_| is_retry(&suspects[first].0)) {
            suspects.swap(first, first + failures);
        }
    }
}

fn suspect(
    ranking: &Ranking,
    evidence: Evidence<'_>,
    (grounds, structure, tail): (&Grounds, &[StructureChange], &[f64]),
    (score, front): (f64, Front),
    subject: u32,
    channel: Channel,
) -> (Suspect, Shown) {
    let comparison = evidence.comparison;
    let (service, subject_operation, edge) = names(evidence, subject);
    let parts = evidence.parts_in(&[subject], channel);
    let stake = evidence.stake(&parts);
    let is_looked_at = |trace: u32| channel != Channel::TailLatency || tail[trace as usize] > 0.0;
    let per_call_ms = evidence.per_call(&parts, Channel::Latency);
    // What speaks against it is told of its part of the mean.
    let of_mean = (channel == Channel::TailLatency).then(|| evidence.parts(&[subject]));
    let against = of_mean.as_ref().unwrap_or(&parts);
    let shown = evidence.shown(subject, (&parts, &stake), channel, &is_looked_at);
    let (exemplars, baseline_trace_ids) = evidence.exemplars(&shown);
    let (latency, failures) = (comparison.subjects[subject as usize], comparison.failures[subject as usize]);
    let contribution = contribution(evidence, latency, failures, front);
    let main = match channel {
        Channel::MissingCalls => evidence.missing_call(subject),
        _ => evidence.main_cause(subject, channel),
    };
    let cause = main.map(|(cause, change_ns, callee)| wording::Main {
        cause,
        change_ms: change_ns / NS_PER_MS,
        asker: callee.map(|callee| operation(evidence, callee).service),
        callee: callee.map(|callee| structure::asked(evidence, callee)),
        is_new: evidence.is_new(&parts),
    });
    let mut suspect = Suspect {
        rank: 0,
        service_rank: place_of(ranking, comparison.attribution.blamed[subject as usize]),
        service,
        operation: subject_operation,
        edge,
        owner: None,
        score,
        channel,
        contribution,
        contribution_ms: contribution.ms,
        kind: wording::kind(channel, cause.as_ref()).to_owned(),
        reason: String::new(),
        per_call_ms,
        calls_per_request: Pair::default(),
        paths: propagation(evidence, &parts, (channel == Channel::Errors).then_some(subject), &is_looked_at),
        exemplars,
        baseline_trace_ids,
        attributes: Vec::new(),
        attribute_search: None,
        impact: impact(evidence, &[subject], &parts, &stake, channel),
        overturned_by: overturn::Finding {
            evidence,
            ranking,
            grounds,
            subject,
            parts: against,
            stake: &stake,
            channel,
            background_ns: comparison.subjects[subject as usize].value - front.ns,
        }
        .overturned_by(),
    };
    suspect.reason = wording::reason(&suspect, channel, evidence.per_call(&parts, channel), cause.as_ref());
    if suspect.kind == "network"
        && let Some(gap) = network::main_gap(evidence, subject)
    {
        if gap.whose == Whose::Link {
            "slow link".clone_into(&mut suspect.kind);
        }
        suspect.reason += &wording::whose(&gap, suspect.edge.as_ref());
    }
    let failures = super::errors::main_kind(evidence, subject);
    super::structure::refine(&mut suspect, structure, channel, cause.as_ref(), failures);
    let pairs = shown.iter().map(|&(trace, _, nearest)| (trace, nearest.map(|nearest| nearest.trace))).collect();
    (suspect, Shown { pairs, stake })
}
