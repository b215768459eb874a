//! Every operation and edge in both windows, suspect or not: the table that a gate tests and a notebook reads.

use super::{Edge, Pair};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An operation or edge with its change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OperationAccount {
    /// Service blamed.
    pub service: String,
    /// Operation, if it is one.
    pub operation: Option<String>,
    /// Edge, if it is one.
    pub edge: Option<Edge>,
    /// Time blamed on it, milliseconds per request.
    pub own_ms: Pair,
    /// Mean time blamed on it per call.
    pub per_call_ms: Pair,
    /// Calls per request.
    pub calls_per_request: Pair,
    /// Interval of the change of `calls_per_request`.
    pub calls_per_request_interval: [f64; 2],
    /// What it adds to the mean, and to failures.
    pub contribution: super::Contribution,
    /// What it adds to typical requests, milliseconds.
    pub typical_ms: f64,
    /// Interval of `typical_ms`.
    pub typical_interval_ms: [f64; 2],
    /// What it adds to the slowest 5 % of each entry's requests, milliseconds.
    pub tail_ms: f64,
    /// Interval of `tail_ms`.
    pub tail_interval_ms: [f64; 2],
}
