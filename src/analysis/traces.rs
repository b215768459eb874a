//! Exemplar traces span by span: a slow request beside the baseline's request most like it.

use crate::span::SpanKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A slow request and, if there is one, the baseline's request most like it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TracePair {
    /// Place of the suspect that the slow request shows.
    pub suspect: u32,
    /// A request of the regression.
    pub regression: TraceView,
    /// One of the baseline.
    pub baseline: Option<TraceView>,
}

/// One trace, as much of it as fits a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TraceView {
    /// Trace id as the source has it.
    pub trace_id: String,
    /// Start of its first request, nanoseconds since the Unix epoch.
    pub start_unix_ns: i64,
    /// How long its first request took.
    pub duration_ms: f64,
    /// How much of it is the suspect's.
    pub suspect_ms: f64,
    /// Spans that are left out: those on which least time is blamed.
    pub n_spans_left_out: u64,
    /// Spans in tree order, each below its parent, siblings by their start.
    pub spans: Vec<SpanView>,
}

/// One span of a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SpanView {
    /// Call path; spans of the two traces of a pair with the same number are alike.
    pub path: u32,
    /// Spans above it.
    pub depth: u32,
    /// Service.
    pub service: String,
    /// Operation.
    pub operation: String,
    /// Kind.
    pub kind: SpanKind,
    /// Whether it failed.
    pub is_error: bool,
    /// Start after that of the trace, milliseconds.
    pub start_ms: f64,
    /// Duration.
    pub duration_ms: f64,
    /// Stretches `[start, end]` of it that the request waited for it itself, milliseconds after the start of the trace.
    pub blamed_ms: Vec<[f64; 2]>,
    /// Those of them that are the suspect's.
    pub suspect_ms: Vec<[f64; 2]>,
}
