//! The terminal form of [`Inspection`].

use super::WIDTH;
use super::text::{
    BOLD, CAUTION, CODE, DIM, count, counted, escape, fit, left, paint, percent, right, sparkline, total, wrap,
};
use crate::inspect::{Inspection, ServiceDetail, Timeline};
use crate::time::{format_ns, format_rfc3339};
use std::fmt::Write;

/// Services shown before the rest is counted: a screenful.
const MAX_SERVICES: usize = 30;
/// Width of the captions at the left, blanks included.
const CAPTION: usize = 12;

/// Renders the inspection in at most [`WIDTH`] columns.
#[must_use]
pub fn render(inspection: &Inspection) -> String {
    let mut text = facts(inspection);
    if inspection.n_spans > 0 {
        text += &services(inspection);
        text += &quality(inspection);
        text += &windows(inspection);
    }
    text
}

fn facts(inspection: &Inspection) -> String {
    let mut text = String::new();
    let n_bytes = total(inspection.sources.iter().map(|source| source.n_bytes));
    let n_files = counted(inspection.sources.len() as u64, "file");
    row(&mut text, "input", &format!("{n_files}, {}", bytes(n_bytes)));
    let formats =
        if inspection.formats.is_empty() { "none recognised".to_owned() } else { inspection.formats.join(", ") };
    row(&mut text, "formats", &formats);
    let n_set_aside = inspection.set_aside.total();
    let spans = match n_set_aside {
        0 => count(inspection.n_spans),
        _ => format!(
            "{} of {} read; {} set aside",
            count(inspection.n_spans),
            count(inspection.n_spans_read),
            count(n_set_aside)
        ),
    };
    row(&mut text, "spans", &spans);
    if inspection.n_spans == 0 {
        return text;
    }
    row(&mut text, "traces", &count(inspection.n_traces));
    let n_services = counted(inspection.services.len() as u64, "service");
    row(&mut text, "services", &format!("{n_services}, {}", counted(inspection.n_operations, "operation")));
    row(&mut text, "errors", &format!("{} of spans", percent(inspection.error_ratio)));
    if let (Some(start), Some(end)) = (inspection.start_unix_ns, inspection.end_unix_ns) {
        let length = format_ns(end.saturating_sub(start));
        row(&mut text, "time", &format!("{}..{}, {length}", format_rfc3339(start), format_rfc3339(end)));
    }
    if let Some(timeline) = &inspection.timeline {
        row(&mut text, "spans/min", &timeline_line(timeline));
    }
    text
}

/// The sparkline with its scale: one character a step.
fn timeline_line(timeline: &Timeline) -> String {
    let largest = match timeline.per_minute().into_iter().max() {
        None | Some(0) => "less than 1".to_owned(),
        Some(rate) => format!("at most {}", count(rate)),
    };
    // Steps are round, so what stands behind the point is nothing.
    let step = format_ns(timeline.step_ns).replace(".00 ", " ").replace(".0 ", " ");
    format!("{} {largest}, steps of {step}", sparkline(&timeline.n_spans))
}

fn services(inspection: &Inspection) -> String {
    const COLUMNS: [(&str, usize); 5] = [("spans", 12), ("operations", 12), ("errors", 9), ("p50", 11), ("p95", 11)];
    let name_width = WIDTH - COLUMNS.iter().map(|(_, width)| width).sum::<usize>();
    let mut details: Vec<&ServiceDetail> = inspection.service_details.iter().collect();
    details.sort_unstable_by(|a, b| b.n_spans.cmp(&a.n_spans).then_with(|| a.service.cmp(&b.service)));
    let captions: String = COLUMNS.iter().map(|&(caption, width)| right(caption, width)).collect();
    let mut text = format!("\n{}{}\n", paint(BOLD, &left("service", name_width)), paint(DIM, &captions));
    for detail in details.iter().take(MAX_SERVICES) {
        let name = if detail.service.is_empty() { "(no name)" } else { &detail.service };
        let cells = [
            count(detail.n_spans),
            count(detail.n_operations),
            percent(detail.error_ratio),
            format_ns(from_ms(detail.p50_ms)),
            format_ns(from_ms(detail.p95_ms)),
        ];
        text += &left(name, name_width);
        text.extend(cells.iter().zip(COLUMNS).map(|(cell, (_, width))| right(cell, width)));
        text.push('\n');
    }
    if let Some(n_more @ 1..) = details.len().checked_sub(MAX_SERVICES) {
        _ = writeln!(text, "and {} more", count(n_more as u64));
    }
    text
}

fn quality(inspection: &Inspection) -> String {
    let quality = &inspection.quality;
    let mut text = format!("\n{}\n", paint(BOLD, "data quality"));
    let mut line = |n: u64, ratio: f64, what: &str| {
        if n > 0 {
            let line = format!("{}{}  {what}", right(&count(n), CAPTION), right(&percent(ratio), 9));
            _ = writeln!(text, "{}", paint(CAUTION, &line));
        }
    };
    line(quality.n_orphans, quality.orphan_ratio, "of spans name a parent that is not in the data");
    line(quality.n_traces_without_root, quality.without_root_ratio, "of traces have no root span");
    line(quality.n_without_kind, quality.without_kind_ratio, "of spans name no kind; it is inferred from the calls");
    for (reason, &n_spans) in &inspection.set_aside.0 {
        let ratio = n_spans as f64 / inspection.n_spans_read as f64;
        line(n_spans, ratio, &format!("of spans read set aside: spans {}", reason.describe()));
    }
    if text.lines().count() == 2 {
        text += "  nothing to object to\n";
    }
    text
}

fn windows(inspection: &Inspection) -> String {
    let mut text = format!("\n{}\n", paint(BOLD, "windows worth trying"));
    for suggestion in &inspection.windows {
        let flags = format!("--baseline {} --regression {}", suggestion.baseline, suggestion.regression);
        _ = writeln!(text, "  {}\n      {}", paint(CODE, &flags), paint(DIM, suggestion.rule.describe()));
    }
    if inspection.windows.is_empty() {
        let why = if inspection.n_traces == 1 { "there is one trace" } else { "all traces start at one moment" };
        _ = writeln!(text, "  none, as {why}");
    }
    text
}

/// A caption and a value, which continues below itself if it is long.
fn row(text: &mut String, caption: &str, value: &str) {
    for (index, line) in wrap(&escape(value), WIDTH - CAPTION).iter().enumerate() {
        let caption = if index == 0 { caption } else { "" };
        _ = writeln!(text, "{}{}", paint(BOLD, &left(caption, CAPTION)), fit(line, WIDTH - CAPTION));
    }
}

fn bytes(n_bytes: u64) -> String {
    let (unit, name) = match n_bytes {
        ..1_000 => return counted(n_bytes, "byte"),
        1_000..1_000_000 => (1e3, "kB"),
        1_000_000..1_000_000_000 => (1e6, "MB"),
        _ => (1e9, "GB"),
    };
    format!("{:.1} {name}", n_bytes as f64 / unit)
}

#[expect(clippy::cast_possible_truncation, reason = "a duration in milliseconds came from 64-bit nanoseconds")]
fn from_ms(duration_ms: f64) -> i64 {
    (duration_ms * 1e6).round() as i64
}
