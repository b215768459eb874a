//! Root-cause analysis of latency and error regressions from exported tracing spans.

pub mod canonical;
pub mod diagnostics;
pub mod error;
pub mod ingest;
pub mod span;
pub mod time;
