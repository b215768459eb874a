//! A look at spans before any analysis: what was read, from where, of what quality.
//!
//! [`summarize`] takes what `ingest` returns and gives the document that `suspect inspect` shows. It counts distinct
//! usable spans: those that `ingest` kept, without [`duplicates`]. So spans read = spans counted + spans set aside.

mod quality;
mod services;
mod timeline;

pub use quality::{Quality, Roots, duplicates};
pub use services::ServiceDetail;
pub use timeline::Timeline;

use crate::diagnostics::{SetAside, SetAsideReason, SourceReport};
use crate::error::Error;
use crate::ingest::Ingested;
use crate::span::SpanStatus;
use crate::time::format_window;
use crate::window::{self, AutomaticRule, Window};
use schemars::JsonSchema;
use serde::Serialize;

/// Version of the JSON form of [`Inspection`]; rises when a key changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// What `suspect inspect` shows. Lists are sorted by name or time, so the same input gives the same bytes.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Inspection {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Names of the formats found.
    pub formats: Vec<String>,
    /// Spans read, those set aside included.
    pub n_spans_read: u64,
    /// Distinct usable spans; all that follows is about these.
    pub n_spans: u64,
    /// Spans set aside, by reason.
    pub set_aside: SetAside,
    /// Traces with a usable span.
    pub n_traces: u64,
    /// Names of the services.
    pub services: Vec<String>,
    /// Distinct pairs of service and operation.
    pub n_operations: u64,
    /// First span's start, nanoseconds since the Unix epoch; absent without spans.
    pub start_unix_ns: Option<i64>,
    /// Last span's end; absent without spans.
    pub end_unix_ns: Option<i64>,
    /// Share of spans with error status.
    pub error_ratio: f64,
    /// How complete the spans are.
    pub quality: Quality,
    /// Spans by the time they start; absent without spans.
    pub timeline: Option<Timeline>,
    /// Windows to give to `suspect analyze`, the best first.
    pub windows: Vec<Suggestion>,
    /// A detail a service, by name.
    pub service_details: Vec<ServiceDetail>,
    /// A report a file, in the order read.
    pub sources: Vec<SourceReport>,
}

/// A pair of windows worth trying.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Suggestion {
    /// Value for `--baseline`.
    pub baseline: String,
    /// Value for `--regression`.
    pub regression: String,
    /// Where the regression begins, nanoseconds since the Unix epoch.
    pub split_unix_ns: i64,
    /// Why there.
    #[serde(flatten)]
    pub rule: AutomaticRule,
}

/// Counts and measures what was read.
///
/// Costs a few sorts of the spans; polars does the sums by service.
pub fn summarize(ingested: &Ingested) -> Result<Inspection, Error> {
    let spans = &ingested.frame.spans;
    let is_duplicate = duplicates(&ingested.frame);
    let mut set_aside = SetAside::default();
    for source in &ingested.sources {
        set_aside.absorb(&source.set_aside);
    }
    let n_spans_read = spans.len() as u64 + set_aside.total();
    let n_duplicates = is_duplicate.iter().filter(|&&duplicate| duplicate).count() as u64;
    set_aside.add(SetAsideReason::Duplicate, n_duplicates);

    let roots = Roots::of(&ingested.frame);
    let data = roots.data();
    let n_spans = spans.len() as u64 - n_duplicates;
    let errors = spans
        .status
        .iter()
        .zip(&is_duplicate)
        .filter(|&(&status, duplicate)| status == SpanStatus::Error as u8 && !duplicate);
    let ends =
        spans.start_unix_ns.iter().zip(&spans.duration_ns).map(|(start, duration)| start.saturating_add(*duration));
    let service_details = services::details(&ingested.frame, &is_duplicate)?;
    let mut formats: Vec<String> =
        ingested.sources.iter().map(|source| source.format.clone()).filter(|format| !format.is_empty()).collect();
    formats.sort_unstable();
    formats.dedup();
    Ok(Inspection {
        schema_version: SCHEMA_VERSION,
        formats,
        n_spans_read,
        n_spans,
        set_aside,
        n_traces: data.roots.len() as u64,
        services: service_details.iter().map(|detail| detail.service.clone()).collect(),
        n_operations: service_details.iter().map(|detail| detail.n_operations).sum(),
        start_unix_ns: spans.start_unix_ns.iter().min().copied(),
        end_unix_ns: ends.max(),
        error_ratio: ratio(errors.count() as u64, n_spans),
        quality: Quality::of(&ingested.frame, &is_duplicate, &roots),
        timeline: Timeline::of(&spans.start_unix_ns, &is_duplicate),
        windows: suggestions(data),
        service_details,
        sources: ingested.sources.clone(),
    })
}

fn suggestions(data: window::Data) -> Vec<Suggestion> {
    let text = |window: Window| format_window(window, data.range);
    let suggestion = |candidate: window::Candidate| Suggestion {
        baseline: text(candidate.baseline),
        regression: text(candidate.regression),
        split_unix_ns: candidate.regression.start_unix_ns,
        rule: candidate.rule,
    };
    window::candidates(data).into_iter().map(suggestion).collect()
}

/// `part` of `whole`, 0 of nothing.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The data's range as a window; empty at the epoch without spans.
fn range_of(frame: &crate::span::SpanFrame) -> Window {
    let spans = frame.spans.start_unix_ns.iter().copied().zip(frame.spans.duration_ns.iter().copied());
    Window::covering(spans).unwrap_or(Window { start_unix_ns: 0, end_unix_ns: 0 })
}
