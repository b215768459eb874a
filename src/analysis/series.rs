//! Latency, errors and traffic over time, for the time chart.

use super::Prepared;
use super::build::{Durations, Request, ratio, requests};
use super::evidence::Evidence;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Buckets of a chart: more are thinner than a line on a page.
const MAX_BUCKETS: i64 = 80;
/// Buckets hold so many requests on average at least, so that their quantiles are not all the same request's.
const REQUESTS_PER_BUCKET: usize = 10;
/// And there are at least so many, so that a chart shows when.
const MIN_BUCKETS: i64 = 12;
/// Data are shown this far around the windows, in lengths of the stretch from the first window's start to the last one's end.
const AROUND: i64 = 1;
/// Lengths that a clock shows: of these, and these times powers of ten below a second.
const NICE_S: [i64; 16] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200];
const NS_PER_S: i64 = 1_000_000_000;

/// Requests over equal buckets of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimeSeries {
    /// Which data: `all`, or `baseline` and `regression` where they are data sets of their own.
    pub of: SeriesOf,
    /// Start of the first bucket, nanoseconds since the Unix epoch.
    pub start_unix_ns: i64,
    /// Length of a bucket, nanoseconds.
    pub width_ns: i64,
    /// Requests by sampling weight that start in each bucket.
    pub n_requests: Vec<f64>,
    /// Median latency, milliseconds; absent in a bucket without a request, as the others.
    pub p50_ms: Vec<Option<f64>>,
    /// 95th percentile of latency.
    pub p95_ms: Vec<Option<f64>>,
    /// 99th percentile of latency.
    pub p99_ms: Vec<Option<f64>>,
    /// Share of requests that fail.
    pub error_ratio: Vec<Option<f64>>,
}

/// Which data a series is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeriesOf {
    /// All that was read.
    All,
    /// The baseline's own data.
    Baseline,
    /// The regression's own data.
    Regression,
}

/// Requests over time: of all the data around the windows, or of each window's own data.
pub(super) fn series(prepared: &Prepared, evidence: Evidence<'_>) -> Vec<TimeSeries> {
    let one = |of: SeriesOf, second: bool, windows: &[&[u32]]| {
        let start_ns = |trace: u32| evidence.forest.root_start_ns[trace as usize];
        let shown = || windows.iter().copied().flatten().map(|&trace| start_ns(trace));
        let (first, last) = (shown().min()?, shown().max()?);
        let around = last.saturating_sub(first).saturating_mul(AROUND);
        let near = first.saturating_sub(around)..=last.saturating_add(around);
        let traces: Vec<u32> =
            prepared.traces(second).into_iter().filter(|&trace| near.contains(&start_ns(trace))).collect();
        of_requests(of, &requests(evidence, &traces), start_ns)
    };
    let selection = evidence.selection;
    let all = if prepared.has_sides() {
        vec![
            one(SeriesOf::Baseline, false, &[&selection.baseline]),
            one(SeriesOf::Regression, true, &[&selection.regression]),
        ]
    } else {
        vec![one(SeriesOf::All, true, &[&selection.baseline, &selection.regression])]
    };
    all.into_iter().flatten().collect()
}

/// Buckets of a length that a clock shows; none without requests.
fn of_requests(of: SeriesOf, requests: &[Request], start_ns: impl Fn(u32) -> i64) -> Option<TimeSeries> {
    let mut placed: Vec<(i64, &Request)> = requests.iter().map(|request| (start_ns(request.trace), request)).collect();
    let (first, last) = (placed.iter().map(|&(at, _)| at).min()?, placed.iter().map(|&(at, _)| at).max()?);
    let n_wanted = i64::try_from(requests.len() / REQUESTS_PER_BUCKET).unwrap_or(MAX_BUCKETS);
    let width_ns = width_ns(last.saturating_sub(first), n_wanted.clamp(MIN_BUCKETS, MAX_BUCKETS));
    let start_unix_ns = first.saturating_sub(first.rem_euclid(width_ns));
    // Moments may be farther apart than 64 bits hold.
    let after_ns = |at: i64| i128::from(at) - i128::from(start_unix_ns);
    let bucket = |at: i64| usize::try_from(after_ns(at) / i128::from(width_ns)).unwrap_or(0);
    // Stable, so that sums are taken in the order of traces.
    placed.sort_by_key(|&(at, _)| bucket(at));
    let n_buckets = bucket(last) + 1;
    let mut series = TimeSeries {
        of,
        start_unix_ns,
        width_ns,
        n_requests: vec![0.0; n_buckets],
        p50_ms: vec![None; n_buckets],
        p95_ms: vec![None; n_buckets],
        p99_ms: vec![None; n_buckets],
        error_ratio: vec![None; n_buckets],
    };
    for own in placed.chunk_by(|left, right| bucket(left.0) == bucket(right.0)) {
        let at = bucket(own[0].0);
        let durations = Durations::new(own.iter().map(|&(_, request)| request));
        let weight: f64 = own.iter().map(|(_, request)| request.weight).sum();
        let failed: f64 = own.iter().filter(|(_, request)| request.has_failed).map(|(_, request)| request.weight).sum();
        series.n_requests[at] = weight;
        series.p50_ms[at] = durations.quantile_ms(0.5);
        series.p95_ms[at] = durations.quantile_ms(0.95);
        series.p99_ms[at] = durations.quantile_ms(0.99);
        series.error_ratio[at] = Some(ratio(failed, weight));
    }
    Some(series)
}

/// The shortest nice length of which at most `n_buckets` cover the range.
fn width_ns(range_ns: i64, n_buckets: i64) -> i64 {
    let least_ns = (range_ns / n_buckets).max(1);
    let below_s = (0..9).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_i64.pow(power)));
    let seconds = NICE_S.map(|s| s * NS_PER_S);
    let nice = below_s.chain(seconds).find(|&width| width >= least_ns);
    // Beyond that in days.
    let day_ns = 86_400 * NS_PER_S;
    nice.unwrap_or_else(|| (least_ns / day_ns + 1).saturating_mul(day_ns))
}

#[cfg(test)]
mod tests {
    use super::{NS_PER_S, width_ns};

    #[test]
    fn buckets_have_lengths_that_a_clock_shows_and_are_few_enough() {
        assert_eq!(width_ns(0, 80), 1);
        assert_eq!(width_ns(79, 80), 1);
        assert_eq!(width_ns(7 * NS_PER_S, 80), NS_PER_S / 10);
        assert_eq!(width_ns(600 * NS_PER_S, 80), 10 * NS_PER_S);
        assert_eq!(width_ns(86_400 * NS_PER_S, 80), 1_800 * NS_PER_S);
        assert_eq!(width_ns(i64::MAX, 80), 1_335 * 86_400 * NS_PER_S);
    }
}
