//! One ranking of services over all channels, and the verdict.
//!
//! A channel's severity `e / (e + e0)` grows with how much of the mean latency, or of all requests, is at stake; a service's score
//! in it is its share of what got worse. A value counts for what chance leaves of it ([`crate::compare`] says how far chance reaches), and a
//! part that cannot be told from noise counts a tenth. A service is accused as a whole, or by single operations and edges that stand out by
//! themselves, so that noise elsewhere in it does not hide them.

mod floors;

use crate::compare::attribute::Cause;
use crate::compare::decompose::Effects;
use crate::compare::paths::{CostTable, NO_PATH, Path};
use crate::compare::sums::Sums;
use crate::compare::{Comparison, Estimate, ViewChange};
use crate::normalize::Forest;
use crate::stats;
use floors::Floors;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a finding is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Mean latency rose.
    #[default]
    Latency,
    /// Typical calls take longer, wild ones aside.
    TypicalLatency,
    /// The slowest requests of their entry take longer.
    TailLatency,
    /// More requests fail.
    Errors,
    /// Calls are no longer made: requests return early, faster and emptier.
    MissingCalls,
}

/// The answer in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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
/// Largest false discovery rate at which a part counts as significant. On 338 pairs of windows cut out of one and the same behaviour of three
/// public systems, 4 % were called a regression.
pub const MAX_Q: f64 = 0.05;
/// Fewer requests than this in a window show only the largest of changes.
pub const MIN_REQUESTS: f64 = 30.0;
/// Severity is one half where the mean latency rose by this share.
const LATENCY_E0: f64 = 0.1;
/// Severity is one half where this share of requests more fail.
const ERRORS_E0: f64 = 0.02;
/// What other views of the latency count where the mean tells who got slower.
const OTHER_VIEWS: f64 = 0.7;
/// What a part counts that is not significant.
pub(crate) const DOUBT: f64 = 0.1;
/// What failures count that no request fails by.
const UNSEEN: f64 = 0.1;

/// What one service did in one channel.
#[derive(Clone, Copy, Debug)]
pub struct Finding {
    /// Channel.
    pub channel: Channel,
    /// Change: nanoseconds per request, or share of requests.
    pub change: Estimate,
    /// False discovery rate at which it would be reported.
    pub q: f64,
    /// Smallest change worth reporting.
    pub floor: f64,
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
    /// Sum over latency, errors and missing calls, each between 0 and 1.
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
    /// Services with a positive score: those with a significant finding first, each by score; ties by name.
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
    let floor_ns = floor_ns(mean_ns);
    let missing = missing_calls_of(table, comparison);
    let channels = channels(forest, table, comparison, &missing);
    let weighed = weigh(&channels, &comparison.attribution.blamed);
    let mut services: Vec<RankedService> = (0_u32..)
        .zip(forest.services.iter())
        .map(|(service, _)| RankedService { service, score: 0.0, stability: 0.0, findings: Vec::new() })
        .collect();
    let trust = trust(&channels, &weighed);
    for ((channel, weighed), &trust) in channels.iter().zip(&weighed).zip(&trust) {
        let scores = scores(channel, weighed.0.iter().map(|part| part.counted), trust);
        for (((service, part), score), &floor) in
            services.iter_mut().zip(&weighed.0).zip(scores).zip(&channel.floors.services)
        {
            if part.change.value > 0.0 {
                service.findings.push(Finding {
                    channel: channel.channel,
                    change: part.change,
                    q: part.q,
                    floor,
                    is_significant: part.is_significant,
                    score,
                });
            }
        }
    }
    let firsts = firsts(forest, &channels, &weighed, &trust);
    for service in &mut services {
        service.score = total(service.findings.iter().map(|finding| (finding.channel, finding.score)));
        service.stability = firsts[service.service as usize];
        service.findings.sort_by(|left, right| right.score.total_cmp(&left.score));
    }
    services.retain(|service| service.score > 0.0);
    sort(forest, &mut services);
    let verdict = verdict(comparison, &services, floor_ns);
    Ranking { verdict, services, floor_ns, missing }
}

impl RankedService {
    fn is_accused(&self) -> bool {
        self.findings.iter().any(|finding| finding.is_significant)
    }
}

impl Ranking {
    /// Takes back significant findings that are not kept; where none is left of a regression, the verdict is another one.
    pub fn retain(&mut self, forest: &Forest, is_kept: impl Fn(u32, Channel) -> bool, otherwise: Verdict) {
        for service in &mut self.services {
            for finding in &mut service.findings {
                finding.is_significant &= is_kept(service.service, finding.channel);
            }
        }
        sort(forest, &mut self.services);
        if self.verdict == Verdict::Regression && !self.services.iter().any(RankedService::is_accused) {
            self.verdict = otherwise;
        }
    }
}

/// Those with a significant finding first, each by score; ties by name.
fn sort(forest: &Forest, services: &mut [RankedService]) {
    services.sort_by(|left, right| {
        let name = |ranked: &RankedService| &forest.services[ranked.service as usize].name;
        (right.is_accused().cmp(&left.is_accused()))
            .then(right.score.total_cmp(&left.score))
            .then_with(|| name(left).cmp(name(right)))
    });
}

const N_CHANNELS: usize = 5;

/// A service's score of its scores by channel: their sum, in which the three views of the latency count once, by the largest. They tell of one
/// thing and together would outvote failures.
fn total(scores: impl Iterator<Item = (Channel, f64)>) -> f64 {
    let (mut latency, mut others) = (0.0_f64, 0.0);
    for (channel, score) in scores {
        match channel {
            Channel::Latency | Channel::TypicalLatency | Channel::TailLatency => latency = latency.max(score),
            Channel::Errors | Channel::MissingCalls => others += score,
        }
    }
    latency + others
}

/// What is compared, a channel at a time.
fn channels<'a>(
    forest: &Forest,
    table: &CostTable,
    comparison: &'a Comparison,
    missing: &[Estimate],
) -> Vec<ChannelInput<'a>> {
    let (n_services, n_subjects) = (forest.services.len(), comparison.subjects.len());
    let latency = |channel,
                   effects: &Effects,
                   sums: [&Sums; 2],
                   values: &[Estimate],
                   subjects,
                   adjusted: Estimate,
                   replicates| {
        let scale = effects.baseline_mean_ns.max(1.0);
        let of = (&table.paths, comparison.scope);
        ChannelInput {
            channel,
            scale,
            e0: LATENCY_E0,
            floors: Floors::new(of, &comparison.attribution, n_services, sums, scale),
            // Where requests got faster on the whole, a part that got slower is no regression: work has moved, or what was
            // fast about it was left out.
            is_outweighed: adjusted.interval()[1] < -floor_ns(scale),
            values: values.to_vec(),
            subjects,
            replicates,
            shares: Vec::new(),
        }
    };
    let view = |channel, view: &'a ViewChange| {
        let (subjects, replicates) = (view.subjects.as_slice(), view.service_replicates.as_slice());
        latency(channel, &view.effects, view.sums.each_ref(), &view.services, subjects, view.adjusted_ns, replicates)
    };
    let mean = latency(
        Channel::Latency,
        &comparison.effects,
        [&comparison.baseline, &comparison.regression],
        &comparison.services,
        comparison.subjects.as_slice(),
        comparison.adjusted_ns,
        comparison.service_replicates.as_slice(),
    );
    let floor = floor_ns(mean.scale);
    let missing_calls = ChannelInput {
        channel: Channel::MissingCalls,
        scale: mean.scale,
        e0: LATENCY_E0,
        floors: Floors::all(floor, n_services, 0),
        is_outweighed: false,
        values: missing_calls(forest, comparison, missing, floor),
        subjects: &[],
        replicates: &[],
        shares: Vec::new(),
    };
    let errors = ChannelInput {
        channel: Channel::Errors,
        scale: 1.0,
        e0: ERRORS_E0,
        floors: Floors::all(FLOOR_ERRORS, n_services, n_subjects),
        is_outweighed: false,
        values: comparison.service_failures.clone(),
        subjects: &comparison.failures,
        replicates: &comparison.service_failure_replicates,
        shares: seen(table, comparison),
    };
    let (typical, tail) =
        (view(Channel::TypicalLatency, &comparison.typical), view(Channel::TailLatency, &comparison.tail));
    vec![mean, typical, tail, errors, missing_calls]
}

/// What a service's failures count: those of work in the background, of which there may be many a request, count a tenth of its failing share.
fn seen(table: &CostTable, comparison: &Comparison) -> Vec<f64> {
    let attribution = &comparison.attribution;
    let mut fronts = vec![0.0; comparison.service_failures.len()];
    for (&service, front) in attribution.blamed.iter().zip(comparison.front_failures(table)) {
        fronts[service as usize] += front;
    }
    let share = |(front, failures): (f64, &Estimate)| {
        let behind = failures.value - front;
        if behind <= 0.0 || failures.value <= 0.0 {
            return 1.0;
        }
        let counted = front + UNSEEN * behind / comparison.background_rate.max(1.0);
        (counted / failures.value).clamp(0.0, 1.0)
    };
    fronts.into_iter().zip(&comparison.service_failures).map(share).collect()
}

/// Weighs all channels, with one false discovery rate over all services and channels, and one over all operations and edges.
fn weigh(channels: &[ChannelInput<'_>], blamed: &[u32]) -> Vec<Weighed> {
    let q_of = |values: for<'a> fn(&'a ChannelInput<'_>) -> &'a [Estimate]| {
        let p: Vec<f64> = channels.iter().flat_map(|channel| values(channel).iter().map(|value| value.p())).collect();
        stats::false_discovery_rates(&p)
    };
    let (service_q, subject_q) = (q_of(|channel| &channel.values), q_of(|channel| channel.subjects));
    let (mut service_q, mut subject_q) = (service_q.as_slice(), subject_q.as_slice());
    channels
        .iter()
        .map(|channel| {
            let (services, later_services) = service_q.split_at(channel.values.len());
            let (subjects, later_subjects) = subject_q.split_at(channel.subjects.len());
            (service_q, subject_q) = (later_services, later_subjects);
            Weighed::new(channel, blamed, services, subjects)
        })
        .collect()
}

/// Smallest change of a mean latency worth reporting: one millisecond is worth a word unless the requests themselves take little longer.
#[must_use]
pub fn floor_ns(mean_ns: f64) -> f64 {
    (FLOOR_SHARE * mean_ns).max((0.05 * mean_ns).min(1e6))
}

struct ChannelInput<'a> {
    channel: Channel,
    /// What a change is measured against.
    scale: f64,
    e0: f64,
    /// Smallest changes worth reporting.
    floors: Floors,
    /// Whether the channel as a whole got better, so that nothing in it is a regression.
    is_outweighed: bool,
    /// A value a service.
    values: Vec<Estimate>,
    /// A value a subject, where single ones can stand out.
    subjects: &'a [Estimate],
    /// The values in each bootstrap replicate, if they were resampled.
    replicates: &'a [Vec<f64>],
    /// What a service's value counts in its score, if not all.
    shares: Vec<f64>,
}

/// How much each service counts in a channel.
struct Weighed(Vec<Part>);

/// One service in one channel.
#[derive(Clone, Copy)]
struct Part {
    change: Estimate,
    q: f64,
    is_significant: bool,
    /// What counts of the change.
    counted: f64,
    /// What counts of each unit that a replicate of the service's value lies above the value.
    slope: f64,
}

impl Weighed {
    /// Weighs each service as a whole and, if that is more, by those of its operations and edges that stand out by themselves:
    /// a part that got slower beyond doubt is not hidden by the noise of the others, unless the service as a whole certainly got no slower.
    fn new(channel: &ChannelInput<'_>, blamed: &[u32], service_q: &[f64], subject_q: &[f64]) -> Self {
        let stands_out = |change: Estimate, q: f64, floor: f64| {
            !channel.is_outweighed && q <= MAX_Q && change.value >= floor && change.value > 0.0
        };
        let mut parts: Vec<Part> = channel
            .values
            .iter()
            .zip(service_q)
            .zip(&channel.floors.services)
            .map(|((&change, &q), &floor)| {
                let is_significant = stands_out(change, q, floor);
                let weight = shrinkage(change.z()) * if is_significant { 1.0 } else { DOUBT };
                Part { change, q, is_significant, counted: weight * change.value.max(0.0), slope: weight }
            })
            .collect();
        let mut own: Vec<Option<Part>> = vec![None; parts.len()];
        let subjects = channel.subjects.iter().zip(subject_q).zip(&channel.floors.subjects);
        for (&service, ((&change, &q), &floor)) in blamed.iter().zip(subjects) {
            if stands_out(change, q, floor) {
                let counted = shrinkage(change.z()) * change.value;
                let sum = own[service as usize].get_or_insert(Part {
                    change: Estimate::default(),
                    q: 1.0,
                    is_significant: true,
                    counted: 0.0,
                    slope: 0.0,
                });
                sum.change = Estimate {
                    value: sum.change.value + change.value,
                    error: sum.change.error.hypot(change.error),
                    null_error: sum.change.null_error.hypot(change.null_error),
                    freedom: sum.change.freedom.min(change.freedom),
                };
                sum.q = sum.q.min(q);
                sum.counted += counted;
            }
        }
        for ((part, own), &floor) in parts.iter_mut().zip(own).zip(&channel.floors.services) {
            if let Some(mut own) = own
                && own.counted > part.counted
                && part.change.interval()[1] >= floor
            {
                own.slope = if part.change.error > 0.0 { (own.change.error / part.change.error).min(1.0) } else { 1.0 };
                *part = own;
            }
        }
        for (part, share) in parts.iter_mut().zip(&channel.shares) {
            part.counted *= share;
            part.slope *= share;
        }
        Self(parts)
    }
}

/// What each channel counts beside the others.
///
/// A slow callee fills its caller's pool, so that in the slowest requests the caller waits for itself. Where the mean tells who got slower, other
/// views of the latency may add to it, but not outvote it.
fn trust(channels: &[ChannelInput<'_>], weighed: &[Weighed]) -> Vec<f64> {
    let of_mean = channels.iter().zip(weighed).filter(|(channel, _)| channel.channel == Channel::Latency);
    let by_mean = of_mean.flat_map(|(_, weighed)| &weighed.0).any(|part| part.is_significant);
    let trust = |channel: &ChannelInput<'_>| match channel.channel {
        Channel::TypicalLatency | Channel::TailLatency if by_mean => OTHER_VIEWS,
        _ => 1.0,
    };
    channels.iter().map(trust).collect()
}

/// The services' parts of their scores: severity times share of what counts, times what the channel counts.
fn scores(channel: &ChannelInput<'_>, counted: impl Iterator<Item = f64>, trust: f64) -> Vec<f64> {
    let counted: Vec<f64> = counted.collect();
    let total: f64 = counted.iter().sum();
    if total <= 0.0 {
        return counted;
    }
    let extent = total / channel.scale;
    let severity = extent / (extent + channel.e0);
    counted.into_iter().map(|counted| trust * severity * counted / total).collect()
}

/// What is left of a value once chance has had its part: of a value `z` errors large, 1/z² of its square is noise to be expected
/// (the positive-part James-Stein estimate). A hundredth always stays, so that what is left of nothing still has an order.
fn shrinkage(z: f64) -> f64 {
    (1.0 - 1.0 / (z * z)).max(0.01)
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
        *sum = Estimate {
            value: sum.value + subject.value,
            error: sum.error + subject.error,
            null_error: sum.null_error + subject.null_error,
            freedom: sum.freedom.min(subject.freedom),
        };
    }
    services
}

/// For each subject the time saved by calls that it used to make and now leaves out, nanoseconds per request.
///
/// Making fewer of several calls is no loss: a loop got shorter, or batches replaced it. So of a drop in the calls per visit
/// only what lies below one call counts. Nor is a call missing where another is made in its place: a gateway that routes other requests makes
/// other calls, but an early return makes none.
#[must_use]
pub fn missing_calls_of(table: &CostTable, comparison: &Comparison) -> Vec<Estimate> {
    let attribution = &comparison.attribution;
    let kappa = |index: usize, parent: u32| {
        [&comparison.baseline, &comparison.regression].map(|sums| sums.n_calls[index] / sums.n_visits[parent as usize])
    };
    // An answer that is missing is no missing call: it was called, and left no span.
    let is_call = |&(index, path): &(usize, &Path)| path.parent != NO_PATH && !attribution.is_answer[index];
    let called = || table.paths.list.iter().enumerate().filter(is_call);
    // For each path the chances of a call that a visit of it lost and won.
    let mut lost_and_won = vec![(0.0_f64, 0.0_f64); table.paths.len()];
    for (index, path) in called() {
        let [before, after] = kappa(index, path.parent).map(|kappa| kappa.min(1.0));
        let (lost, won) = &mut lost_and_won[path.parent as usize];
        *lost += (before - after).max(0.0);
        *won += (after - before).max(0.0);
    }
    // Effect of all fewer calls a row, and the part of it that is missing calls.
    let mut rows = vec![(0.0, 0.0); attribution.rows.len()];
    for (index, path) in called() {
        let kappa = kappa(index, path.parent);
        let effect = comparison.effects.calls_ns[index];
        if effect < 0.0 && kappa[0] > kappa[1] {
            let [.., calls_row, _] = attribution.targets[index];
            let row = &mut rows[calls_row as usize];
            row.0 += effect;
            let (lost, won) = lost_and_won[path.parent as usize];
            let unreplaced = if lost > 0.0 { (1.0 - won / lost).max(0.0) } else { 0.0 };
            row.1 += unreplaced * effect * (kappa[0].min(1.0) - kappa[1].min(1.0)) / (kappa[0] - kappa[1]);
        }
    }
    let mut missing = vec![Estimate::default(); attribution.subjects.len()];
    for ((key, row), (fewer, gone)) in attribution.rows.iter().zip(&comparison.rows).zip(rows) {
        if key.cause == Cause::Calls && row.value < 0.0 && fewer < 0.0 {
            let share = gone / fewer;
            let sum = &mut missing[key.subject as usize];
            *sum = Estimate {
                value: sum.value - share * row.value,
                error: sum.error + share * row.error,
                null_error: sum.null_error + share * row.null_error,
                freedom: sum.freedom.min(row.freedom),
            };
        }
    }
    missing
}

/// Share of replicates in which each service has the largest score, each value weighed as in the ranking; ties by name, and nobody is first
/// where nothing got worse.
fn firsts(forest: &Forest, channels: &[ChannelInput<'_>], weighed: &[Weighed], trust: &[f64]) -> Vec<f64> {
    let n_services = forest.services.len();
    let n_replicates = channels.iter().map(|channel| channel.replicates.len()).max().unwrap_or(0);
    let mut n_firsts = vec![0_u32; n_services];
    for replicate in 0..n_replicates {
        let mut parts = vec![[0.0; N_CHANNELS]; n_services];
        for (index, ((channel, weighed), &trust)) in channels.iter().zip(weighed).zip(trust).enumerate() {
            let values = channel.replicates.get(replicate);
            let counted = weighed.0.iter().enumerate().map(|(index, part)| {
                let above = values.map_or(0.0, |values| values[index] - channel.values[index].value);
                (part.counted + part.slope * above).max(0.0)
            });
            for (own, score) in parts.iter_mut().zip(scores(channel, counted, trust)) {
                own[index] = score;
            }
        }
        let of_service = |own: &[f64; N_CHANNELS]| total(channels.iter().map(|channel| channel.channel).zip(*own));
        let totals: Vec<f64> = parts.iter().map(of_service).collect();
        let name = |service: usize| &forest.services[service].name;
        let best = (0..n_services)
            .filter(|&service| totals[service] > 0.0)
            .max_by(|&left, &right| totals[left].total_cmp(&totals[right]).then_with(|| name(right).cmp(name(left))));
        if let Some(best) = best {
            n_firsts[best] += 1;
        }
    }
    n_firsts.into_iter().map(|n_firsts| f64::from(n_firsts) / n_replicates.max(1) as f64).collect()
}

fn verdict(comparison: &Comparison, services: &[RankedService], floor_ns: f64) -> Verdict {
    if services.iter().any(RankedService::is_accused) {
        return Verdict::Regression;
    }
    // However many more each of them stands for.
    if comparison.n_traces.iter().any(|&n_traces| (n_traces as f64) < MIN_REQUESTS) {
        return Verdict::Inconclusive;
    }
    let mix = comparison.mix_ns;
    let is_most = mix.value.abs() >= 0.5 * comparison.change_ns.value.abs();
    if mix.value.abs() >= floor_ns && mix.p() <= MAX_Q && is_most {
        return Verdict::TrafficMix;
    }
    // A rise of a tenth would be worth knowing of: unless it can be ruled out, nobody can say that nothing happened.
    let could_hide = comparison.adjusted_ns.interval()[1] > (0.1 * comparison.effects.baseline_mean_ns).max(floor_ns);
    if could_hide { Verdict::Inconclusive } else { Verdict::NoSignificantChange }
}
