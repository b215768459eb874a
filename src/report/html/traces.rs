//! A slow request beside the baseline's request most like it, span by span on one scale of time.
//!
//! A row is a call path: what both requests do stands side by side, what only one does has an empty half. A thin bar is
//! the span, a full one the time that the request waited for the span itself, a dashed one what it waited before the span began, an
//! outlined one what of either is the suspect's.

use super::align::align;
use super::names::shorten;
use super::numbers::{ms, round};
use super::svg::{at, ticks};
use super::{Page, suspects};
use crate::analysis::{SpanView, TracePair, TraceView};
use maud::{Markup, html};

/// Suspects of which a pair is opened on paper.
const MAX_PRINTED: u32 = 3;
/// A call on which less of the scale is blamed can be folded away, if there are several.
const MINOR: f64 = 0.01;
const MIN_FOLDED: usize = 4;
/// Deeper spans are not indented further.
const MAX_INDENT: u32 = 12;
/// What a digit takes of the scale where the chart is narrowest.
const DIGIT: f64 = 0.04;
/// Spans that end after the requests make the scale at most this much longer.
const MAX_OVERHANG: f64 = 1.5;

pub(super) fn section(page: &Page<'_>) -> Option<Markup> {
    let pairs = &page.analysis.traces;
    if pairs.is_empty() {
        return None;
    }
    Some(html! {
        p.lead {
            "A slow request of the regression beside an ordinary one of the baseline, on one scale of time, aligned by call path. "
            "Thin: the span. Full: the request waited for the span itself. Dashed: it waited before the span began, as before a retry. "
            "In colour: of either, what is the suspect's."
        }
        @if page.options.trace_url.is_some() { p.muted.on-screen { "A trace's id opens it in your trace UI." } }
        @for (index, pair) in pairs.iter().enumerate() {
            @let is_first = index == 0 || pairs[index - 1].suspect != pair.suspect;
            @let id = if is_first { format!("traces-{}", pair.suspect) } else { format!("traces-{}-{index}", pair.suspect) };
            (shown(page, pair, index, &id, is_first && pair.suspect <= MAX_PRINTED))
        }
    })
}

fn shown(page: &Page<'_>, pair: &TracePair, index: usize, id: &str, is_printed: bool) -> Markup {
    let suspect = page.analysis.suspects.iter().find(|suspect| suspect.rank == pair.suspect);
    let number = suspect.map_or(pair.suspect, |suspect| suspect.service_rank);
    let name = suspect.map_or_else(|| "service".to_owned(), |suspect| shorten(&suspects::label(suspect), 64));
    let scale_ms = scale_ms(pair);
    let shown = shown_rows(pair, scale_ms);
    let n_minor = shown.iter().filter(|row| row.is_minor).count();
    html! {
        details class=(if is_printed { "pair printed" } else { "pair" }) id=(id) open[index == 0] {
            summary {
                span.rank { (number) } " " bdi { (name) } ": " (ms(pair.regression.duration_ms)) " ms"
                @if let Some(baseline) = &pair.baseline { span.muted { " beside " (ms(baseline.duration_ms)) " ms" } }
            }
            div.scroll role="region" tabindex="0" aria-label={ "Spans of slow request " (index + 1) ", suspect " (number) } {
                table.trace {
                    caption.sr { "Spans by call path; durations in ms, of them the time that the request waited for the span itself, and how long it waited before the span" }
                    thead {
                        tr {
                            th scope="col" { "Call path" }
                            @if let Some(baseline) = &pair.baseline { (head(page, "Baseline", baseline, scale_ms)) }
                            (head(page, "Regression", &pair.regression, scale_ms))
                        }
                    }
                    tbody { (rows(page, pair, &shown, scale_ms)) }
                }
            }
            @if n_minor >= MIN_FOLDED {
                button.fold type="button" hidden { "Show " (n_minor) " more calls, which hold the request up for less than 1 % each" }
            }
            @for (name, view) in [("baseline", pair.baseline.as_ref()), ("regression", Some(&pair.regression))] {
                @if let Some(view) = view.filter(|view| view.n_spans_left_out > 0) {
                    p.muted { (view.n_spans_left_out) " spans of the " (name) "'s request, on which least time is blamed, are left out." }
                }
            }
        }
    }
}

/// The time that both halves of the chart cover.
fn scale_ms(pair: &TracePair) -> f64 {
    let views = || [pair.baseline.as_ref(), Some(&pair.regression)].into_iter().flatten();
    let longest = views().map(|view| view.duration_ms).fold(0.0, f64::max);
    let ends = views().flat_map(|view| &view.spans).map(|span| span.start_ms + span.duration_ms);
    let last = ends.filter(|end| end.is_finite()).fold(0.0, f64::max);
    last.clamp(longest, MAX_OVERHANG * longest).max(1e-6)
}

fn head(page: &Page<'_>, window: &str, view: &TraceView, scale_ms: f64) -> Markup {
    html! {
        th.half scope="col" {
            (window) " " span.trace-id { (page.trace_id(&view.trace_id)) }
            svg.bars width="100%" height="16" aria-hidden="true" {
                @for Mark { place, label } in marks(scale_ms) {
                    line.grid x1=(at(place)) x2=(at(place)) y1="10" y2="16" {}
                    @match label {
                        Some((number, true)) => { text.tick x=(at(place)) dx="2" y="11" { (number) } }
                        Some((number, false)) => { text.tick x=(at(place)) dx="-2" y="11" text-anchor="end" { (number) } }
                        None => {}
                    }
                }
            }
        }
        th.number scope="col" { "own of all, ms" }
    }
}

/// A line of the scale.
struct Mark {
    /// As a share of the width.
    place: f64,
    /// Its number if there is room for it, and whether that is after the line: else it stands before.
    label: Option<(String, bool)>,
}

fn marks(scale_ms: f64) -> Vec<Mark> {
    let mut used = 0.0;
    let mark = |tick: f64| {
        let (place, number) = (tick / scale_ms, round(tick));
        let width = DIGIT * (number.chars().count() + 1) as f64;
        let is_after = place + width <= 1.0;
        let start = if is_after { place } else { place - width };
        let has_room = start >= used;
        used = if has_room { start + width } else { used };
        Mark { place, label: has_room.then_some((number, is_after)) }
    };
    ticks(scale_ms).into_iter().filter(|tick| *tick <= scale_ms * 0.95).map(mark).collect()
}

/// A row of the chart.
struct Shown<'a> {
    before: Option<&'a SpanView>,
    after: Option<&'a SpanView>,
    /// Whether it can be folded: little time is blamed on it and on all below it.
    is_minor: bool,
}

impl<'a> Shown<'a> {
    fn either(&self) -> Option<&'a SpanView> {
        self.after.or(self.before)
    }
}

/// The rows of a pair, from the first call down.
fn shown_rows(pair: &TracePair, scale_ms: f64) -> Vec<Shown<'_>> {
    let baseline = pair.baseline.as_ref();
    let is_major = |span: &SpanView| {
        let own: f64 = span.blamed_ms.iter().map(|[from, until]| until - from).sum();
        own >= MINOR * scale_ms || !span.suspect_ms.is_empty() || span.is_error || span.depth == 0
    };
    let mut rows: Vec<Shown<'_>> = align(baseline, &pair.regression)
        .into_iter()
        .map(|row| {
            let before = row.baseline.and_then(|index| baseline?.spans.get(index));
            let after = row.regression.and_then(|index| pair.regression.spans.get(index));
            let is_minor = ![before, after].into_iter().flatten().any(is_major);
            Shown { before, after, is_minor }
        })
        .collect();
    // What stands above a row that is shown is shown, too: from below, the last depth that needs its parent.
    let mut wanted = 0;
    for row in rows.iter_mut().rev() {
        let depth = row.either().map_or(0, |span| span.depth);
        if !row.is_minor || depth < wanted {
            row.is_minor = false;
            wanted = depth;
        }
    }
    rows
}

fn rows(page: &Page<'_>, pair: &TracePair, rows: &[Shown<'_>], scale_ms: f64) -> Markup {
    let has_both = pair.baseline.is_some();
    html! {
        @for row in rows {
            @if let Some(either) = row.either() {
                @let (before, after) = (row.before, row.after);
                @let is_suspect = [before, after].into_iter().flatten().any(|span| !span.suspect_ms.is_empty());
                tr class=(if is_suspect { "of-suspect" } else if row.is_minor { "minor" } else { "" }) {
                    th scope="row" class={ "depth-" (either.depth.min(MAX_INDENT)) } {
                        (page.names.operation(&either.service, &either.operation))
                        @if is_suspect { " " span.tag { "suspect" } }
                        @match (before, after) {
                            (None, Some(_)) if has_both => { " " span.tag { "only here" } }
                            (Some(_), None) => { " " span.tag { "only before" } }
                            _ => {}
                        }
                    }
                    @if has_both { (half("baseline", before, scale_ms)) }
                    (half("regression", after, scale_ms))
                }
            }
        }
    }
}

/// Stretches of time, milliseconds after the start of the trace.
type Stretches = Vec<[f64; 2]>;

/// What of the stretches lies within the span, and what before it.
fn own_and_waiting(span: &SpanView, stretches: &[[f64; 2]]) -> (Stretches, Stretches) {
    let (start, end) = (span.start_ms, span.start_ms + span.duration_ms);
    let within = |from: f64, until: f64| {
        let cut = stretches.iter().map(move |stretch| [stretch[0].max(from), stretch[1].min(until)]);
        cut.filter(|[from, until]| from < until).collect()
    };
    (within(start, end), within(f64::NEG_INFINITY, start))
}

fn sum_ms(stretches: &[[f64; 2]]) -> f64 {
    stretches.iter().map(|[from, until]| until - from).sum()
}

fn half(window: &str, span: Option<&SpanView>, scale_ms: f64) -> Markup {
    let Some(span) = span else {
        return html! { td.half {} td.number { span.narrow.muted { (window) } span.muted { "–" } } };
    };
    let stretch = |[from, until]: [f64; 2]| {
        let from = (from / scale_ms).clamp(0.0, 1.0);
        (at(from), at(((until / scale_ms).clamp(0.0, 1.0) - from).max(0.001)))
    };
    let (x, width) = stretch([span.start_ms, span.start_ms + span.duration_ms]);
    let (own, waiting) = own_and_waiting(span, &span.blamed_ms);
    let (own_of_suspect, waiting_of_suspect) = own_and_waiting(span, &span.suspect_ms);
    let bars = [
        ("waiting", waiting.as_slice(), 5, 8),
        ("waiting suspect", &waiting_of_suspect, 5, 8),
        ("blamed", &own, 4, 10),
        ("suspect", &own_of_suspect, 2, 14),
    ];
    let (own_ms, waiting_ms) = (sum_ms(&own), sum_ms(&waiting));
    html! {
        td.half {
            svg.bars width="100%" height="18" aria-hidden="true" {
                rect.span x=(x) width=(width) y="7" height="4" {}
                @for (class, stretches, y, height) in bars {
                    @for stretch_ms in stretches {
                        @let (x, width) = stretch(*stretch_ms);
                        rect class=(class) x=(x) width=(width) y=(y) height=(height) {}
                    }
                }
            }
        }
        td.number {
            span.narrow.muted { (window) }
            // Long numbers stand below each other.
            @if own_ms > 0.0 { span.muted.nowrap { (ms(own_ms)) " of" } " " }
            span.nowrap { (ms(span.duration_ms)) }
            @if waiting_ms > 0.0 { span.waited { (ms(waiting_ms)) " waiting before" } }
            @if span.is_error { " " span.tag.worse[window == "regression"] { "failed" } }
        }
    }
}
