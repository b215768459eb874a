//! One ranking of services over all channels, and the verdict.
//!
//! A channel's severity `e / (e + e0)` grows with how much of the mean latency, or of all requests, is at stake; a service's score
//! in it is its share of what got worse. A part that resampling cannot tell from noise counts little.

use crate::compare::attribute::{Cause, tops};
use crate::compare::paths::{CostTable, NO_PATH};
use crate::compare::{Comparison, Estimate};
use crate::normalize::Forest;
use crate::stats;
use serde::{Deserialize, Serialize};

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Mean latency rose.
    Latency,
    /// More requests fail.
    Errors,
    /// Calls are no longer made: requests return early, faster and emptier.
    MissingCalls,
}

/// The answer in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Something got worse, and it is known what.
    Regression,
    /// The mean moved because other requests were made.
    TrafficMix,
    /// A change worth the name can be ruled out.
    NoSignificantChange,
    /// The data cannot tell.
    Inconclusive,
}

impl Verdict {
    /// The verdict as JSON spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::TrafficMix => "traffic_mix",
            Self::NoSignificantChange => "no_significant_change",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// Smallest change of the mean latency worth reporting, as a share of the baseline mean.
pub const FLOOR_SHARE: f64 = 0.02;
/// Smallest change of the failing share worth reporting.
pub const FLOOR_ERRORS: f64 = 0.005;
/// Largest false discovery rate at which a part counts as significant.
pub const MAX_Q: f64 = 0.01;
/// Fewer requests than this in a window show only the largest of changes.
pub const MIN_REQUESTS: f64 = 30.0;
/// Severity is one half where the mean latency rose by this share.
const LATENCY_E0: f64 = 0.1;
/// Severity is one half where this share of requests more fail.
const ERRORS_E0: f64 = 0.02;
/// What a part counts that is not significant.
const DOUBT: f64 = 0.1;

/// What one service did in one channel.
#[derive(Clone, Copy, Debug)]
pub struct Finding {
    /// Channel.
    pub channel: Channel,
    /// Change: nanoseconds per request, or share of requests.
    pub change: Estimate,
    /// False discovery rate at which it would be reported.
    pub q: f64,
    /// Whether it is both large and certain enough to report.
    pub is_significant: bool,
    /// Part of the service's score.
    pub score: f64,
}

/// A service's place in the ranking.
#[derive(Clone, Debug)]
pub struct RankedService {
    /// Index of the service.
    pub service: u32,
    /// Sum over channels, between 0 and the number of channels.
    pub score: f64,
    /// Share of bootstrap replicates in which it comes first.
    pub stability: f64,
    /// Channels in which it got worse, the weightiest first.
    pub findings: Vec<Finding>,
}

/// The ranking and what it amounts to.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// The answer.
    pub verdict: Verdict,
    /// Services with a positive score, best first; ties by name.
    pub services: Vec<RankedService>,
    /// Smallest latency change worth reporting, nanoseconds.
    pub floor_ns: f64,
    /// For each subject the time saved by calls that it now leaves out, nanoseconds per request.
    pub missing: Vec<Estimate>,
}

/// Ranks the services of a comparison.
#[must_use]
pub fn rank(forest: &Forest, table: &CostTable, comparison: &Comparison) -> Ranking {
    let mean_ns = comparison.effects.baseline_mean_ns.max(1.0);
    // One millisecond is worth a word unless the requests themselves take little longer.
    let floor_ns = (FLOOR_SHARE * mean_ns).max((0.05 * mean_ns).min(1e6));
    let missing = missing_calls_of(table, comparison);
    let channels = [
        ChannelInput {
            channel: Channel::Latency,
            scale: mean_ns,
            e0: LATENCY_E0,
            floor: floor_ns,
            values: comparison.services.clone(),
        },
        ChannelInput {
            channel: Channel::Errors,
            scale: 1.0,
            e0: ERRORS_E0,
            floor: FLOOR_ERRORS,
            values: comparison.service_failures.clone(),
        },
        ChannelInput {
            channel: Channel::MissingCalls,
            scale: mean_ns,
            e0: LATENCY_E0,
            floor: floor_ns,
            values: missing_calls(forest, comparison, &missing, floor_ns),
        },
    ];
    let p: Vec<f64> = channels
        .iter()
        .flat_map(|channel| channel.values.iter().map(|estimate| stats::two_sided_p(estimate.z())))
        .collect();
    let q = stats::false_discovery_rates(&p);

    let mut services: Vec<RankedService> = (0_u32..)
        .zip(&forest.services)
        .map(|(service, _)| RankedService { service, score: 0.0, stability: 0.0, findings: Vec::new() })
        .collect();
    for (channel, q) in channels.iter().zip(q.chunks(forest.services.len().max(1))) {
        // Where requests got faster on the whole, a part that got slower is no regression: work has moved, or what was
        // fast about it was left out.
        let is_outweighed = channel.channel == Channel::Latency && comparison.adjusted_ns.interval()[1] < -floor_ns;
        let is_significant = |index: usize| {
            let change = channel.values[index];
            !is_outweighed && q[index] <= MAX_Q && change.value >= channel.floor
        };
        let counted =
            |index: usize| channel.values[index].value.max(0.0) * if is_significant(index) { 1.0 } else { DOUBT };
        let total: f64 = (0..channel.values.len()).map(counted).sum();
        let extent = total / channel.scale;
        for (index, service) in services.iter_mut().enumerate() {
            if channel.values[index].value > 0.0 && total > 0.0 {
                let score = extent / (extent + channel.e0) * counted(index) / total;
                service.score += score;
                let is_significant = is_significant(index);
                service.findings.push(Finding {
                    channel: channel.channel,
                    change: channel.values[index],
                    q: q[index],
                    is_significant,
                    score,
                });
            }
        }
    }
    let firsts = firsts(forest, comparison, mean_ns);
    for service in &mut services {
        service.stability = firsts[service.service as usize];
        service.findings.sort_by(|left, right| right.score.total_cmp(&left.score));
    }
    services.retain(|service| service.score > 0.0);
    services.sort_by(|left, right| {
        let name = |ranked: &RankedService| &forest.services[ranked.service as usize].name;
        right.score.total_cmp(&left.score).then_with(|| name(left).cmp(name(right)))
    });
    let verdict = verdict(table, comparison, &services, floor_ns);
    Ranking { verdict, services, floor_ns, missing }
}

struct ChannelInput {
    channel: Channel,
    /// What a change is measured against.
    scale: f64,
    e0: f64,
    floor: f64,
    values: Vec<Estimate>,
}

/// For each service the time saved by calls it no longer makes.
///
/// Early returns make requests faster and emptier. Where requests got slower, calls are missing because of what made them so.
fn missing_calls(forest: &Forest, comparison: &Comparison, missing: &[Estimate], floor_ns: f64) -> Vec<Estimate> {
    let mut services = vec![Estimate::default(); forest.services.len()];
    if comparison.adjusted_ns.value > floor_ns {
        return services;
    }
    for (&blamed, subject) in comparison.attribution.blamed.iter().zip(missing) {
        let sum = &mut services[blamed as usize];
        // Subjects of one service move together at worst.
        *sum = Estimate { value: sum.value + subject.value, error: sum.error + subject.error };
    }
    services
}

/// For each subject the time saved by calls that it used to make and now leaves out, nanoseconds per request.
///
/// Making fewer of several calls is no loss: a loop got shorter, or batches replaced it. So of a drop in the calls per visit
/// only what lies below one call counts.
#[must_use]
pub fn missing_calls_of(table: &CostTable, comparison: &Comparison) -> Vec<Estimate> {
    let attribution = &comparison.attribution;
    // Effect of all fewer calls a row, and the part of it that is missing calls.
    let mut rows = vec![(0.0, 0.0); attribution.rows.len()];
    for (index, path) in table.paths.list.iter().enumerate() {
        // An answer that is missing is no missing call: it was called, and left no span.
        if path.parent == NO_PATH || attribution.is_answer[index] {
            continue;
        }
        let kappa = [&comparison.baseline, &comparison.regression]
            .map(|sums| sums.n_calls[index] / sums.n_visits[path.parent as usize]);
        let effect = comparison.effects.calls_ns[index];
        if effect < 0.0 && kappa[0] > kappa[1] {
            let [.., calls_row, _] = attribution.targets[index];
            let row = &mut rows[calls_row as usize];
            row.0 += effect;
            row.1 += effect * (kappa[0].min(1.0) - kappa[1].min(1.0)) / (kappa[0] - kappa[1]);
        }
    }
    let mut missing = vec![Estimate::default(); attribution.subjects.len()];
    for ((key, row), (fewer, gone)) in attribution.rows.iter().zip(&comparison.rows).zip(rows) {
        if key.cause == Cause::Calls && row.value < 0.0 && fewer < 0.0 {
            let share = gone / fewer;
            let sum = &mut missing[key.subject as usize];
            *sum = Estimate { value: sum.value - share * row.value, error: sum.error + share * row.error };
        }
    }
    missing
}

/// Share of replicates in which each service has the largest score, significance aside; ties by name, and nobody is first where nothing
/// got worse.
fn firsts(forest: &Forest, comparison: &Comparison, mean_ns: f64) -> Vec<f64> {
    let n_services = comparison.services.len();
    let mut n_firsts = vec![0_u32; n_services];
    let replicates = comparison.service_replicates.iter().zip(&comparison.service_failure_replicates);
    for (latency, failures) in replicates {
        let mut scores = vec![0.0; n_services];
        for (values, scale, e0) in [(latency, mean_ns, LATENCY_E0), (failures, 1.0, ERRORS_E0)] {
            let total: f64 = values.iter().map(|value| value.max(0.0)).sum();
            if total > 0.0 {
                let extent = total / scale;
                for (score, value) in scores.iter_mut().zip(values) {
                    *score += extent / (extent + e0) * value.max(0.0) / total;
                }
            }
        }
        let name = |service: usize| &forest.services[service].name;
        let best = (0..n_services)
            .filter(|&service| scores[service] > 0.0)
            .max_by(|&left, &right| scores[left].total_cmp(&scores[right]).then_with(|| name(right).cmp(name(left))));
        if let Some(best) = best {
            n_firsts[best] += 1;
        }
    }
    let n_replicates = comparison.service_replicates.len().max(1) as f64;
    n_firsts.into_iter().map(|n_firsts| f64::from(n_firsts) / n_replicates).collect()
}

fn verdict(table: &CostTable, comparison: &Comparison, services: &[RankedService], floor_ns: f64) -> Verdict {
    let n_requests =
        [&comparison.baseline, &comparison.regression].map(|sums| tops(&table.paths, sums, comparison.scope));
    let found = services.iter().flat_map(|service| &service.findings).any(|finding| finding.is_significant);
    if found {
        return Verdict::Regression;
    }
    if n_requests.iter().any(|&n_requests| n_requests < MIN_REQUESTS) {
        return Verdict::Inconclusive;
    }
    let mix = comparison.mix_ns;
    if mix.value.abs() >= floor_ns && stats::two_sided_p(mix.z()) <= MAX_Q {
        return Verdict::TrafficMix;
    }
    // A rise of a tenth would be worth knowing of: unless it can be ruled out, nobody can say that nothing happened.
    let could_hide = comparison.adjusted_ns.interval()[1] > (0.1 * comparison.effects.baseline_mean_ns).max(floor_ns);
    if could_hide { Verdict::Inconclusive } else { Verdict::NoSignificantChange }
}
