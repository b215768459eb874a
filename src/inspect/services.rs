use super::ratio;
use crate::error::Error;
use crate::span::{SpanFrame, SpanStatus, schema};
use polars::prelude::{BooleanChunked, DataFrame, Expr, IntoLazy, NewChunkedArray, QuantileMethod, col, len, lit};
use schemars::JsonSchema;
use serde::Serialize;

/// What a service did.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ServiceDetail {
    /// The service.
    pub service: String,
    /// Its spans.
    pub n_spans: u64,
    /// Its distinct operations.
    pub n_operations: u64,
    /// Share of its spans with error status.
    pub error_ratio: f64,
    /// Median duration, milliseconds.
    pub p50_ms: f64,
    /// 95th percentile of the duration, milliseconds.
    pub p95_ms: f64,
}

const N_SPANS: &str = "n_spans";
const N_OPERATIONS: &str = "n_operations";
const N_ERRORS: &str = "n_errors";
const P50_NS: &str = "p50_ns";
const P95_NS: &str = "p95_ns";

/// Sums the spans that are not marked as duplicates by service, sorted by name.
pub(super) fn details(frame: &SpanFrame, is_duplicate: &[bool]) -> Result<Vec<ServiceDetail>, Error> {
    let distinct = BooleanChunked::from_iter_values("distinct".into(), is_duplicate.iter().map(|duplicate| !duplicate));
    let by_service = frame
        .to_polars()?
        .filter(&distinct)?
        .lazy()
        .group_by([col(schema::SERVICE)])
        .agg([
            len().alias(N_SPANS),
            col(schema::OPERATION).n_unique().alias(N_OPERATIONS),
            col(schema::STATUS_CODE).eq(lit(SpanStatus::Error as u8)).sum().alias(N_ERRORS),
            duration_quantile(0.5).alias(P50_NS),
            duration_quantile(0.95).alias(P95_NS),
        ])
        .collect()?;
    let mut details = rows(&by_service, frame)?;
    details.sort_unstable_by(|a, b| a.service.cmp(&b.service));
    Ok(details)
}

fn duration_quantile(share: f64) -> Expr {
    col(schema::DURATION_NANO).quantile(lit(share), QuantileMethod::Linear)
}

fn rows(by_service: &DataFrame, frame: &SpanFrame) -> Result<Vec<ServiceDetail>, Error> {
    let service = by_service.column(schema::SERVICE)?.u32()?;
    let n_spans = by_service.column(N_SPANS)?.u32()?;
    let n_operations = by_service.column(N_OPERATIONS)?.u32()?;
    let n_errors = by_service.column(N_ERRORS)?.u32()?;
    let (p50_ns, p95_ns) = (by_service.column(P50_NS)?.f64()?, by_service.column(P95_NS)?.f64()?);
    let detail = |row: usize| {
        let n_spans = u64::from(n_spans.get(row).unwrap_or(0));
        ServiceDetail {
            service: frame.names.get(service.get(row).unwrap_or(u32::MAX)).to_owned(),
            n_spans,
            n_operations: u64::from(n_operations.get(row).unwrap_or(0)),
            error_ratio: ratio(u64::from(n_errors.get(row).unwrap_or(0)), n_spans),
            p50_ms: p50_ns.get(row).unwrap_or(0.0) / 1e6,
            p95_ms: p95_ns.get(row).unwrap_or(0.0) / 1e6,
        }
    };
    Ok((0..by_service.height()).map(detail).collect())
}
