//! How latencies are spread in both windows, for the entries and the suspects.

use super::Operation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A histogram of durations in both windows, over the same bins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// Whose.
    pub operation: Operation,
    /// Whether it is an entry operation, whose durations are those of requests; else durations are of calls, the mean of
    /// those that one trace makes on one call path.
    pub is_entry: bool,
    /// Bounds of the bins, milliseconds, equally spaced by logarithm: one more than there are bins.
    pub bounds_ms: Vec<f64>,
    /// Weight of the baseline's durations in each bin.
    pub baseline: Vec<f64>,
    /// Weight of the regression's durations in each bin.
    pub regression: Vec<f64>,
}
