//! When did it start? Series of requests and services in, the changes for the worse that they agree on out.
//!
//! All series are searched together for the stretch of time that differs most from the rest ([`super::scan`]); the
//! series that changed at about the same time place it together, first by bucket, then by single request; what lies
//! before, within and after it is searched again. A straight line over time is drift and no onset, and a change too
//! small to matter is none, however certain.

use super::Data;
use super::scan::{self, Best, MIN_BUCKETS, Series, Significance};
use super::signal::{Requests, SignalKind, Subject};
use crate::stats;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Chance that quiet data show a change anywhere.
const SIGNIFICANCE: f64 = 0.01;
/// The same of each search within what another change left, of which there are several.
const SIGNIFICANCE_WITHIN: f64 = 0.001;
/// Least share of a series' variance that a change explains; of less, it is not what the series is about. On fault-free
/// systems chance, autocorrelation and bursts reached 0.30, of 97 labelled faults the clearest series all reach 0.4.
const MIN_EXPLAINED: f64 = 1.0 / 3.0;
/// Least change of the time of a request that matters, as a share of its mean: what a verdict asks for. Half of it found
/// two faults more of 83, and one of 16 fault-free systems guilty.
const FLOOR_TIME: f64 = 0.02;
/// Least change that matters of the share of requests that fail.
const FLOOR_ERRORS: f64 = 0.005;
/// Least change that matters of the share of requests that call a service, or that are to an entry operation.
const FLOOR_SHARE: f64 = 0.05;
/// Severity is one half where the time of a request rose by this share, or where so many more requests lack a call.
const TIME_E0: f64 = 0.1;
/// Severity is one half where this share of requests more fail.
const ERRORS_E0: f64 = 0.02;
/// What a change of the number of calls counts: if it hurts, it is seen in time or errors as well, and sessions of users
/// change it where nothing is wrong.
const CALLS_WEIGHT: f64 = 0.3;
/// What a change of the traffic counts: it is an incident only if an entry operation fell silent, and hardly one then.
const TRAFFIC_WEIGHT: f64 = 0.05;
/// Series that place a change, at most: more say the same again.
const MAX_PLACING: usize = 6;
/// Searches within searches: an incident within what is left of another.
const MAX_DEPTH: u32 = 3;

/// A change for the worse: when, how large, how sure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Onset {
    /// First moment of the change, nanoseconds since the Unix epoch.
    pub start_unix_ns: i64,
    /// When it was over; absent if it lasts to the data's end.
    pub end_unix_ns: Option<i64>,
    /// Nine of ten resamples put the start after this moment.
    pub earliest_unix_ns: i64,
    /// Nine of ten resamples put the start before this moment.
    pub latest_unix_ns: i64,
    /// Share of resamples that put the start within `tolerance_ns` of `start_unix_ns`.
    pub confidence: f64,
    /// See `confidence`.
    pub tolerance_ns: i64,
    /// Chance that quiet data show as much in any series.
    pub p_value: f64,
    /// How much is at stake: latency and errors count 0 to 1 each and reach one half at a tenth of the mean latency and at
    /// two points of errors; calls count up to 0.3 and traffic up to 0.05, and reach half of that at a tenth.
    pub severity: f64,
    /// Whether the data begin before it; otherwise they begin within it, and only what follows can be compared with it.
    pub has_before: bool,
    /// Whether these windows are about it.
    pub is_analysed: bool,
    /// What changed, the surest first.
    pub signals: Vec<MovedSignal>,
}

/// A series that changed at an onset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MovedSignal {
    /// What it is about.
    pub kind: SignalKind,
    /// Service or entry operation; empty for all requests.
    pub name: String,
    /// Mean before: milliseconds that a request takes or waits, share of requests, calls a request. Of the requests that
    /// have a value at all, with wild values cut, for the traffic mix of all the data.
    pub before: f64,
    /// The same during the change.
    pub during: f64,
    /// What is at stake: change of the mean time as a share of it, of the share of failing requests, of calls or of
    /// the traffic as a share.
    pub at_stake: f64,
    /// Chance that quiet data show as much in any series.
    pub p_value: f64,
}

/// A change by bucket.
struct Change {
    within: Range<usize>,
    stretch: Range<usize>,
    joint: scan::Joint,
    /// Significant series with their p-value, the surest first.
    moved: Vec<(usize, f64)>,
}

/// All series of the data.
pub(super) struct Detector<'a> {
    requests: Requests<'a>,
    subjects: Vec<Subject>,
    series: Vec<Series>,
    /// Sums a bucket of each series' [`super::signal::Observation::excess`].
    excess: Vec<Vec<f64>>,
    /// Requests a bucket.
    n_requests: Vec<f64>,
    /// Sums of durations a bucket, wild ones cut.
    duration_ns: Vec<f64>,
}

impl<'a> Detector<'a> {
    /// `None` if all requests start at one moment.
    pub(super) fn new(data: Data<'a>) -> Option<Self> {
        let requests = Requests::new(data)?;
        let subjects = Subject::all(data);
        let n_buckets = requests.buckets.len();
        let mut n_requests = vec![0.0; n_buckets];
        let mut duration_ns = vec![0.0; n_buckets];
        for place in 0..requests.len() {
            let bucket = requests.bucket(u32::try_from(place).unwrap_or(u32::MAX));
            n_requests[bucket] += 1.0;
            duration_ns[bucket] += (requests.root(place).duration_ns as f64).min(10.0 * requests.typical_ns);
        }
        let (series, excess) = subjects
            .par_iter()
            .map(|subject| {
                let mut series = Series {
                    values: vec![0.0; n_buckets],
                    weights: vec![0.0; n_buckets],
                    is_two_sided: subject.kind.is_two_sided(),
                };
                let mut excess = vec![0.0; n_buckets];
                for observation in requests.observe(subject) {
                    let bucket = requests.bucket(observation.place);
                    series.values[bucket] += observation.relative;
                    series.weights[bucket] += 1.0;
                    excess[bucket] += observation.excess;
                }
                for (value, weight) in series.values.iter_mut().zip(&series.weights) {
                    *value /= weight.max(1.0);
                }
                (series, excess)
            })
            .unzip();
        Some(Self { requests, subjects, series, excess, n_requests, duration_ns })
    }

    /// Duration of a typical request.
    pub(super) fn typical_ns(&self) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "a median of 64-bit durations fits")]
        let typical_ns = self.requests.typical_ns as i64;
        typical_ns
    }

    /// All changes for the worse, by time.
    pub(super) fn onsets(&self) -> Vec<Onset> {
        let mut changes = Vec::new();
        self.search(0..self.requests.buckets.len(), 0, &mut changes);
        let mut onsets: Vec<Onset> = changes.iter().map(|change| self.describe(change)).collect();
        onsets.sort_by_key(|onset| (onset.start_unix_ns, onset.end_unix_ns));
        onsets
    }

    fn search(&self, within: Range<usize>, depth: u32, changes: &mut Vec<Change>) {
        if depth == MAX_DEPTH || within.len() < 2 * MIN_BUCKETS {
            return;
        }
        let significance = if depth == 0 { SIGNIFICANCE } else { SIGNIFICANCE_WITHIN };
        let Some(change) = self.change(&within, significance) else { return };
        let Range { start, end } = change.stretch;
        changes.push(change);
        self.search(within.start..start, depth + 1, changes);
        self.search(start..end, depth + 1, changes);
        self.search(end..within.end, depth + 1, changes);
    }

    /// The surest change that matters within these buckets.
    fn change(&self, within: &Range<usize>, significance: f64) -> Option<Change> {
        let best: Vec<Best> = self.series.par_iter().map(|series| series.best(within)).collect();
        let mut moved: Vec<usize> = (0..self.series.len())
            .filter(|&index| {
                let Best { stretch, explained } = &best[index];
                *explained >= MIN_EXPLAINED
                    && self.matters(index, within, stretch)
                    && !self.series[index].is_drift(within, stretch)
            })
            .collect();
        // What chance does takes long to find out.
        if moved.is_empty() {
            return None;
        }
        let n_failing = self.subjects.iter().filter(|subject| subject.kind.is_failing()).count();
        moved.retain(|&index| {
            let p_value = self.p_of_failures(index, within, &best[index].stretch) * n_failing as f64;
            !self.subjects[index].kind.is_failing() || p_value <= significance
        });
        if moved.is_empty() {
            return None;
        }
        let Significance { excess, p_value } = scan::significance(&self.series, within, &best, &moved);
        moved.retain(|&index| p_value[index] <= significance);
        // What gets better where other things get worse is no onset, however clear.
        let has_before = |index: usize| best[index].stretch.start > within.start;
        moved.sort_by(|&left, &right| {
            let order = has_before(right).cmp(&has_before(left));
            order.then(excess[right].total_cmp(&excess[left])).then(left.cmp(&right))
        });
        let lead = best[*moved.first()?].stretch.clone();
        let tolerance = tolerance(within.len()).max(MIN_BUCKETS);
        moved.retain(|&index| best[index].stretch.start.abs_diff(lead.start) <= tolerance);
        let placing: Vec<&Series> = moved.iter().take(MAX_PLACING).map(|&index| &self.series[index]).collect();
        let joint = scan::joint(&placing, within, &lead);
        Some(Change {
            within: within.clone(),
            stretch: joint.stretch.clone(),
            joint,
            moved: moved.into_iter().map(|index| (index, p_value[index])).collect(),
        })
    }

    /// The chance that as many failures fall into any stretch as long. Shuffles of buckets do not tell it: where failures are few, those of a stretch are
    /// taken out before, and nothing is left of them.
    fn p_of_failures(&self, index: usize, within: &Range<usize>, stretch: &Range<usize>) -> f64 {
        let mut sums = [[0.0; 2]; 2];
        for observation in self.requests.observe(&self.subjects[index]) {
            let bucket = self.requests.bucket(observation.place);
            for (sums, range) in sums.iter_mut().zip([within, stretch]) {
                if range.contains(&bucket) {
                    sums[0] += 1.0;
                    sums[1] += observation.value;
                }
            }
        }
        let [[n_all, all], [n_inside, inside]] = sums;
        stats::scan_p(inside, all, n_inside / f64::max(n_all, 1.0))
    }

    /// The buckets that a stretch is compared with: those before it, or those after it if the data begin with it.
    fn reference(within: &Range<usize>, stretch: &Range<usize>) -> Range<usize> {
        if stretch.start > within.start { within.start..stretch.start } else { stretch.end..within.end }
    }

    fn matters(&self, index: usize, within: &Range<usize>, stretch: &Range<usize>) -> bool {
        let at_stake = self.at_stake(index, &Self::reference(within, stretch), stretch);
        match self.subjects[index].kind {
            SignalKind::Latency | SignalKind::SelfTime => at_stake >= FLOOR_TIME,
            SignalKind::Errors | SignalKind::Failures => at_stake >= FLOOR_ERRORS,
            SignalKind::Calls | SignalKind::Traffic => at_stake.abs() >= FLOOR_SHARE,
        }
    }

    /// See [`MovedSignal::at_stake`].
    fn at_stake(&self, index: usize, before: &Range<usize>, during: &Range<usize>) -> f64 {
        let sum = |values: &[f64], buckets: &Range<usize>| values[buckets.clone()].iter().sum::<f64>();
        let per_request =
            |values: &[f64], buckets: &Range<usize>| sum(values, buckets) / sum(&self.n_requests, buckets).max(1.0);
        let change = per_request(&self.excess[index], during) - per_request(&self.excess[index], before);
        match self.subjects[index].kind {
            SignalKind::Latency | SignalKind::SelfTime => change / per_request(&self.duration_ns, before).max(1.0),
            SignalKind::Errors | SignalKind::Failures | SignalKind::Traffic => change,
            SignalKind::Calls => change / self.calls_where_called(index),
        }
    }

    /// Calls of a request that calls the service at all; at least one.
    fn calls_where_called(&self, index: usize) -> f64 {
        let called = self.requests.observe(&self.subjects[index]).filter(|observation| observation.value > 0.0);
        let (n_calls, n) = called.fold((0.0, 0.0), |(calls, n), observation| (calls + observation.value, n + 1.0));
        if n > 0.0 { n_calls / n } else { 1.0 }
    }

    fn describe(&self, change: &Change) -> Onset {
        let Change { within, stretch, joint, moved } = change;
        let before = Self::reference(within, stretch);
        let placing: Vec<usize> = moved.iter().take(MAX_PLACING).map(|&(index, _)| index).collect();
        let has_before = stretch.start > within.start || within.start > 0;
        let start_unix_ns = if stretch.start > within.start {
            self.place(&placing, stretch.start, &before, stretch)
        } else {
            self.requests.grid.start_of(self.requests.buckets[stretch.start])
        };
        let end_unix_ns = match stretch.end {
            end if end < within.end => Some(self.place(&placing, end, stretch, &(end..within.end))),
            // The search ended there, the change perhaps not.
            _ if moved.first().is_some_and(|&(index, _)| self.goes_on(index, &before, stretch)) => None,
            end => self.requests.buckets.get(end).map(|&bucket| self.requests.grid.start_of(bucket)),
        };
        let width_ns = self.requests.grid.width_ns();
        let n_tolerated = tolerance(within.len());
        let at = |share: usize| {
            let firsts = &joint.firsts;
            firsts.get(firsts.len() * share / 10).copied().unwrap_or(stretch.start)
        };
        let moments = |buckets: usize| width_ns.saturating_mul(i64::try_from(buckets).unwrap_or(i64::MAX));
        let n_near = joint.firsts.iter().filter(|first| first.abs_diff(stretch.start) <= n_tolerated).count();
        let signals: Vec<MovedSignal> =
            moved.iter().map(|&(index, p_value)| self.moved(index, &before, stretch, p_value)).collect();
        Onset {
            start_unix_ns,
            end_unix_ns,
            earliest_unix_ns: start_unix_ns.saturating_sub(moments(stretch.start.saturating_sub(at(1)))),
            latest_unix_ns: start_unix_ns.saturating_add(moments(at(9).saturating_sub(stretch.start))),
            confidence: n_near as f64 / joint.firsts.len().max(1) as f64,
            tolerance_ns: moments(n_tolerated),
            p_value: moved.iter().map(|&(_, p_value)| p_value).fold(1.0, f64::min),
            severity: severity(&signals),
            has_before,
            is_analysed: false,
            signals,
        }
    }

    /// Whether what follows `stretch` is more like it than like what is before it.
    fn goes_on(&self, index: usize, before: &Range<usize>, stretch: &Range<usize>) -> bool {
        let series = &self.series[index];
        let rest = stretch.end..series.values.len();
        if series.weights[rest.clone()].iter().sum::<f64>() <= 0.0 {
            return true;
        }
        let [before, during, after] = [before, stretch, &rest].map(|buckets| series.mean(buckets.clone()));
        (after - during).abs() < (after - before).abs()
    }

    fn moved(&self, index: usize, before: &Range<usize>, during: &Range<usize>, p_value: f64) -> MovedSignal {
        let (subject, series) = (&self.subjects[index], &self.series[index]);
        let weight = |buckets: &Range<usize>| series.weights[buckets.clone()].iter().sum::<f64>().max(1.0);
        let excess = |buckets: &Range<usize>| self.excess[index][buckets.clone()].iter().sum::<f64>() / weight(buckets);
        // The usual values of the mix of all the data, and what these buckets add.
        let (sum, n) =
            self.requests.observe(subject).fold((0.0, 0.0), |(sum, n), observation| (sum + observation.usual, n + 1.0));
        let usual = sum / f64::max(n, 1.0);
        let unit = if matches!(subject.kind, SignalKind::Latency | SignalKind::SelfTime) { 1e6 } else { 1.0 };
        let value = |buckets: &Range<usize>| (usual + excess(buckets)).max(0.0) / unit;
        MovedSignal {
            kind: subject.kind,
            name: subject.name.clone(),
            before: value(before),
            during: value(during),
            at_stake: self.at_stake(index, before, during),
            p_value,
        }
    }

    /// The moment near the start of bucket `bucket` that best parts the requests of `before` from those of `after`.
    ///
    /// The likelihood of normal values of known means: each request says by how much it is nearer to the one mean.
    fn place(&self, placing: &[usize], bucket: usize, before: &Range<usize>, after: &Range<usize>) -> i64 {
        const REACH: usize = 2;
        let near = bucket.saturating_sub(REACH).max(before.start)..(bucket + REACH).min(after.end);
        let place_of = |bucket: usize| {
            let next = self.requests.buckets.get(bucket);
            next.map_or(self.requests.len(), |&bucket| self.requests.n_before(self.requests.grid.start_of(bucket)))
        };
        let places = place_of(near.start)..place_of(near.end);
        let votes_of = |&index: &usize| {
            let mut votes = vec![0.0; places.len()];
            let series = &self.series[index];
            let (old, new) = (series.mean(before.clone()), series.mean(after.clone()));
            let both = before.start..after.end;
            let (mut variance, mut n, mut nearby) = (0.0, 0.0, Vec::new());
            for observation in self.requests.observe(&self.subjects[index]) {
                let value = observation.relative;
                if places.contains(&(observation.place as usize)) {
                    nearby.push((observation.place as usize - places.start, value));
                }
                let own = self.requests.bucket(observation.place);
                if both.contains(&own) {
                    let mean = if before.contains(&own) { old } else { new };
                    variance += (value - mean).powi(2);
                    n += 1.0;
                }
            }
            let variance = (variance / f64::max(n, 1.0)).max(1e-6);
            for (place, value) in nearby {
                votes[place] = ((value - old).powi(2) - (value - new).powi(2)) / variance;
            }
            votes
        };
        let of_each: Vec<Vec<f64>> = placing.par_iter().map(votes_of).collect();
        let votes: Vec<f64> = (0..places.len()).map(|place| of_each.iter().map(|votes| votes[place]).sum()).collect();
        let (mut sum, mut least, mut first) = (0.0, f64::INFINITY, places.start);
        for (place, vote) in places.clone().zip(&votes) {
            if sum < least {
                (least, first) = (sum, place);
            }
            sum += vote;
        }
        if sum < least {
            first = places.end;
        }
        if first == 0 || first >= self.requests.len() {
            return self.requests.grid.start_of(self.requests.buckets[bucket.min(self.requests.buckets.len() - 1)]);
        }
        round_moment(self.requests.start_ns(first - 1), self.requests.start_ns(first))
    }
}

/// Buckets by which an onset may be off and still count as found where it is: a thirtieth of the data.
fn tolerance(n_buckets: usize) -> usize {
    (n_buckets / 30).max(1)
}

/// The roundest moment after `after` and not after `until`.
fn round_moment(after: i64, until: i64) -> i64 {
    const UNITS: [i64; 7] = [60_000_000_000, 10_000_000_000, 1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 1_000];
    let rounded = |unit: i64| until.checked_sub(until.rem_euclid(unit)).filter(|&moment| moment > after);
    UNITS.iter().find_map(|&unit| rounded(unit)).unwrap_or(until)
}

/// The sum over latency, errors, calls and traffic of what is at stake in the worst series of each.
fn severity(signals: &[MovedSignal]) -> f64 {
    let worst = |kinds: [SignalKind; 2], e0: f64| {
        let at_stake = signals
            .iter()
            .filter(|signal| kinds.contains(&signal.kind))
            .map(|signal| signal.at_stake.abs())
            .fold(0.0, f64::max);
        at_stake / (at_stake + e0)
    };
    worst([SignalKind::Latency, SignalKind::SelfTime], TIME_E0)
        + worst([SignalKind::Errors, SignalKind::Failures], ERRORS_E0)
        + CALLS_WEIGHT * worst([SignalKind::Calls; 2], TIME_E0)
        + TRAFFIC_WEIGHT * worst([SignalKind::Traffic; 2], TIME_E0)
}
