//! Root-cause analysis of latency and error regressions from exported tracing spans.

pub mod diagnostics;
pub mod error;
pub mod ingest;
pub mod normalize;
pub mod span;
pub mod time;
