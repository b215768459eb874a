//! The terminal form of [`Inspection`].

use super::grid::{Cell, Grid, Kind};
use super::page::{Label, Page};
use super::text::{BOLD, CAUTION, DIM, count, counted, drawn_in, percent, sparkline, stretch, total, width};
use crate::inspect::{Inspection, ServiceDetail, Timeline};
use crate::time::{format_ns, format_rfc3339};

/// Services shown before the rest is counted: a screenful.
const MAX_SERVICES: usize = 30;
/// Width of the captions at the left, blanks included.
const CAPTION: usize = 12;

/// The inspection for a terminal of so many columns, styled with ANSI sequences.
#[must_use]
pub fn render(inspection: &Inspection, columns: usize) -> String {
    let mut page = Page::new(columns);
    facts(&mut page, inspection);
    if inspection.n_spans > 0 {
        services(&mut page, inspection);
        quality(&mut page, inspection);
        windows(&mut page, inspection);
    }
    page.into_text()
}

fn facts(page: &mut Page, inspection: &Inspection) {
    let n_bytes = total(inspection.sources.iter().map(|source| source.n_bytes));
    let n_files = counted(inspection.sources.len() as u64, "file");
    row(page, "input", &format!("{n_files}, {}", bytes(n_bytes)));
    let formats =
        if inspection.formats.is_empty() { "none recognised".to_owned() } else { inspection.formats.join(", ") };
    row(page, "formats", &formats);
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
    row(page, "spans", &spans);
    if inspection.n_spans == 0 {
        return;
    }
    row(page, "traces", &count(inspection.n_traces));
    let n_services = counted(inspection.services.len() as u64, "service");
    row(page, "services", &format!("{n_services}, {}", counted(inspection.n_operations, "operation")));
    row(page, "errors", &format!("{} of spans", percent(inspection.error_ratio)));
    if let (Some(start), Some(end)) = (inspection.start_unix_ns, inspection.end_unix_ns) {
        let length = format_ns(end.saturating_sub(start));
        row(page, "time", &format!("{} .. {}, {length}", format_rfc3339(start), format_rfc3339(end)));
    }
    if let Some(timeline) = &inspection.timeline {
        spans_over_time(page, timeline);
    }
}

/// The sparkline with its scale: one character a step, or more where there is room.
fn spans_over_time(page: &mut Page, timeline: &Timeline) {
    let largest = match timeline.per_minute().into_iter().max() {
        None | Some(0) => "less than 1".to_owned(),
        Some(rate) => format!("at most {}", count(rate)),
    };
    // Steps are round, so what stands behind the point is nothing.
    let step = format_ns(timeline.step_ns).replace(".00 ", " ").replace(".0 ", " ");
    let scale = format!("{largest}, steps of {step}");
    let n_steps = timeline.n_spans.len();
    let beside = page.width().saturating_sub(CAPTION + 1 + width(&scale));
    if page.is_narrow() {
        row(page, "spans/min", &scale);
        page.line(&format!("  {}", sparkline(&stretch(&timeline.n_spans, drawn_in(page.width() - 2, n_steps)))));
    } else {
        let columns = drawn_in(beside.max(n_steps.min(page.width() - CAPTION)), n_steps);
        let line = sparkline(&stretch(&timeline.n_spans, columns));
        page.pieces(0, &Label::new(BOLD, "spans/min", CAPTION), &[line, scale]);
    }
}

fn services(page: &mut Page, inspection: &Inspection) {
    let mut details: Vec<&ServiceDetail> = inspection.service_details.iter().collect();
    details.sort_unstable_by(|a, b| b.n_spans.cmp(&a.n_spans).then_with(|| a.service.cmp(&b.service)));
    let mut grid = Grid::new(&[
        ("service", Kind::Name),
        ("spans", Kind::Number),
        ("operations", Kind::Number),
        ("errors", Kind::Number),
        ("p50", Kind::Number),
        ("p95", Kind::Number),
    ])
    .with_heading();
    for detail in details.iter().take(MAX_SERVICES) {
        let name = if detail.service.trim().is_empty() { "(no name)" } else { &detail.service };
        let cells = [
            name.to_owned(),
            count(detail.n_spans),
            count(detail.n_operations),
            percent(detail.error_ratio),
            format_ns(from_ms(detail.p50_ms)),
            format_ns(from_ms(detail.p95_ms)),
        ];
        grid.row(cells.map(Cell::Text).into());
    }
    page.blank();
    grid.write(page, 0);
    if let Some(n_more @ 1..) = details.len().checked_sub(MAX_SERVICES) {
        page.prose(0, &format!("and {} more", count(n_more as u64)));
    }
}

fn quality(page: &mut Page, inspection: &Inspection) {
    let quality = &inspection.quality;
    page.heading("data quality");
    let mut n_lines = 0;
    let mut line = |n: u64, ratio: f64, what: &str| {
        if n > 0 {
            n_lines += 1;
            let label = format!("{:>11}  {:>7}", count(n), percent(ratio));
            page.labelled(0, &Label::new(CAUTION, &label, 22), what);
        }
    };
    line(quality.n_orphans, quality.orphan_ratio, "of spans name a parent that is not in the data");
    line(quality.n_traces_without_root, quality.without_root_ratio, "of traces have no root span");
    line(quality.n_without_kind, quality.without_kind_ratio, "of spans name no kind; it is inferred from the calls");
    for (reason, &n_spans) in &inspection.set_aside.0 {
        let ratio = n_spans as f64 / inspection.n_spans_read as f64;
        line(n_spans, ratio, &format!("of spans read set aside: spans {}", reason.describe()));
    }
    if n_lines == 0 {
        page.prose(2, "nothing to object to");
    }
}

fn windows(page: &mut Page, inspection: &Inspection) {
    page.heading("windows worth trying");
    for suggestion in &inspection.windows {
        let flags = [("--baseline", &suggestion.baseline), ("--regression", &suggestion.regression)];
        page.command(2, &flags.map(|(flag, window)| format!("{flag} {window}")));
        page.painted(DIM, 6, suggestion.rule.describe());
    }
    if inspection.windows.is_empty() {
        let why = if inspection.n_traces == 1 { "there is one trace" } else { "all traces start at one moment" };
        page.prose(2, &format!("none, as {why}"));
    }
}

/// A caption and a value, which continues below itself if it is long.
fn row(page: &mut Page, caption: &str, value: &str) {
    page.labelled(0, &Label::new(BOLD, caption, CAPTION), value);
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
