//! Requests, latency and errors over the whole data, as the choice of windows saw them.

use super::Data;
use super::signal::{Requests, SignalKind, Source, Subject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Series over equal buckets of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timeline {
    /// Start of the first bucket, nanoseconds since the Unix epoch.
    pub start_unix_ns: i64,
    /// Length of a bucket, nanoseconds.
    pub width_ns: i64,
    /// Requests by sampling weight that start in each bucket. Strays outside the middle 98 % count in the first and last.
    pub n_requests: Vec<f64>,
    /// Typical latency in each bucket, milliseconds: a geometric mean for the traffic mix of all the data; absent in a
    /// bucket without a request.
    pub latency_ms: Vec<Option<f64>>,
    /// Share of the requests of each bucket that fail; absent in a bucket without a request.
    pub error_ratio: Vec<Option<f64>>,
}

impl Timeline {
    /// `None` if all requests start at one moment.
    #[must_use]
    pub fn of(data: Data) -> Option<Self> {
        let requests = Requests::new(data)?;
        let n_buckets = requests.grid.n_buckets;
        let mut n_requests = vec![0.0; n_buckets];
        let (mut logs, mut failures) = (vec![0.0; n_buckets], vec![0.0; n_buckets]);
        let subject = Subject { kind: SignalKind::Latency, source: Source::Roots, entry: None, name: String::new() };
        let (mut log, mut relative, mut all) = (0.0, 0.0, 0.0);
        for observation in requests.observe(&subject) {
            let bucket = requests.buckets[requests.bucket(observation.place)];
            let weight = requests.weight(observation.place);
            n_requests[bucket] += weight;
            logs[bucket] += weight * observation.relative;
            failures[bucket] += if requests.root(observation.place as usize).is_error { weight } else { 0.0 };
            log += weight * observation.value.max(1.0).ln();
            relative += weight * observation.relative;
            all += weight;
        }
        let typical_ms = ((log - relative) / if all > 0.0 { all } else { 1.0 }).exp() / 1e6;
        let mean = |sums: &[f64], value: fn(f64, f64) -> f64| {
            let each = sums.iter().zip(&n_requests);
            each.map(|(&sum, &n)| (n > 0.0).then(|| value(sum / n, typical_ms))).collect()
        };
        Some(Self {
            start_unix_ns: requests.grid.start_of(0),
            width_ns: requests.grid.width_ns(),
            latency_ms: mean(&logs, |log, typical_ms| typical_ms * log.exp()),
            error_ratio: mean(&failures, |share, _| share),
            n_requests,
        })
    }
}
