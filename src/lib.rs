//! Root-cause analysis of latency and error regressions from exported tracing spans.

pub mod blame;
pub mod compare;
pub mod diagnostics;
pub mod error;
pub mod ingest;
pub mod normalize;
pub mod rank;
pub mod span;
pub mod stats;
pub mod time;
