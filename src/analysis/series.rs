//! Latency, errors and traffic over time, for the time chart.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
