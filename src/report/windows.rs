//! How the windows were chosen: requests, latency and errors over time, the windows beneath, and the onsets found.

use super::analysis::CAPTION;
use super::page::{Label, Page};
use super::text::{DIM, count_of, drawn_in, left, paint, percent, sparkline, stretch, width};
use crate::analysis::{Window, Windows};
use crate::time::{format_ms, format_ns, format_rfc3339};
use crate::window::{MovedSignal, Onset, SignalKind, Timeline};

/// What a column is marked with: baseline, regression, both.
const BASELINE: char = 'b';
const REGRESSION: char = 'R';
const BOTH: char = '*';
/// Onsets shown.
const N_ONSETS: usize = 3;
/// Series shown of an onset.
const N_SIGNALS: usize = 3;

pub(super) fn write(page: &mut Page, windows: &Windows) {
    if !windows.only.is_empty() {
        page.labelled(0, &Label::dim("Only", CAPTION), &windows.only.join(" and "));
    }
    if let Some(timeline) = &windows.timeline {
        sparklines(page, timeline, windows);
    }
    for onset in shown(&windows.onsets) {
        write_onset(page, onset);
    }
    if let Some(n_more @ 1..) = windows.onsets.len().checked_sub(N_ONSETS) {
        page.labelled(0, &Label::dim("", CAPTION), &format!("and {n_more} more, see the JSON"));
    }
}

/// The one analysed and the most severe of the others, by time.
fn shown(onsets: &[Onset]) -> Vec<&Onset> {
    let mut shown: Vec<&Onset> = onsets.iter().collect();
    shown
        .sort_by(|left, right| right.is_analysed.cmp(&left.is_analysed).then(right.severity.total_cmp(&left.severity)));
    shown.truncate(N_ONSETS);
    shown.sort_by_key(|onset| onset.start_unix_ns);
    shown
}

fn sparklines(page: &mut Page, timeline: &Timeline, windows: &Windows) {
    let largest = |values: &[Option<f64>]| values.iter().flatten().copied().fold(0.0, f64::max);
    // Heights relative to the largest, in steps that no rounding shows.
    let heights = |values: &[Option<f64>]| -> Vec<u64> {
        let largest = largest(values);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1,000,000")]
        let height = |value: f64| if largest > 0.0 { (value / largest * 1e6).clamp(0.0, 1e6) as u64 } else { 0 };
        values.iter().map(|value| value.map_or(0, height)).collect()
    };
    let requests: Vec<Option<f64>> = timeline.n_requests.iter().copied().map(Some).collect();
    let bucket = format_ns(timeline.width_ns).replace(".00 ", " ").replace(".0 ", " ");
    let rows = [
        ("Over time", heights(&timeline.latency_ms), format!("<= {} ms", format_ms(largest(&timeline.latency_ms)))),
        ("  errors", heights(&timeline.error_ratio), format!("<= {}", percent(largest(&timeline.error_ratio)))),
        ("  requests", heights(&requests), format!("<= {} in {bucket}", count_of(largest(&requests)))),
    ];
    let of_scale = rows.iter().map(|(_, _, scale)| width(scale)).max().unwrap_or(0) + 1;
    // On a narrow page the scale stands beside the caption, and the drawing below them.
    let indent = if page.is_narrow() { 2 } else { CAPTION };
    let room = page.width() - indent - if page.is_narrow() { 0 } else { of_scale.min(page.width() / 3) };
    let columns = drawn_in(room, timeline.n_requests.len());
    for (caption, values, scale) in rows {
        let line = sparkline(&stretch(&values, columns));
        if page.is_narrow() {
            page.labelled(0, &Label::dim(caption.trim(), CAPTION), &scale);
            page.line(&format!("{:indent$}{line}", ""));
        } else {
            page.pieces(0, &Label::dim(caption, CAPTION), &[line, scale]);
        }
    }
    if page.is_narrow() {
        page.labelled(0, &Label::dim("windows", CAPTION), "");
    }
    let marks = marks(columns, timeline, windows);
    let caption = if page.is_narrow() { String::new() } else { paint(DIM, &left("  windows", CAPTION)) };
    let blanks = if page.is_narrow() { indent } else { 0 };
    page.line(&format!("{:blanks$}{caption}{marks}", ""));
}

/// Marks the columns of which a window holds the middle.
///
/// A window that holds none is marked all the same, in the column of its own middle: there in place of the other one if
/// that has further columns, else together with it.
fn marks(columns: usize, timeline: &Timeline, windows: &Windows) -> String {
    let span_ns = i128::from(timeline.width_ns) * timeline.n_requests.len() as i128;
    let place_ns = |unix_ns: i128| unix_ns - i128::from(timeline.start_unix_ns);
    let bounds = |window: &Window| [window.start_unix_ns, window.end_unix_ns].map(|at| place_ns(i128::from(at)));
    let both = [(BASELINE, bounds(&windows.baseline)), (REGRESSION, bounds(&windows.regression))];
    let mut marks = vec![' '; columns];
    if columns == 0 || span_ns <= 0 {
        return String::new();
    }
    for (column, mark) in (0..).zip(&mut marks) {
        let middle_ns = span_ns * (2 * column + 1) / (2 * columns as i128);
        if let Some((sign, _)) = both.iter().rev().find(|(_, [from, until])| (*from..*until).contains(&middle_ns)) {
            *mark = *sign;
        }
    }
    for (sign, [from, until]) in both {
        if !marks.contains(&sign) && !marks.contains(&BOTH) {
            let column = i128::midpoint(from, until) * columns as i128 / span_ns;
            let column = usize::try_from(column.max(0)).unwrap_or(0).min(columns - 1);
            let other = std::mem::replace(&mut marks[column], sign);
            if other != ' ' && !marks.contains(&other) {
                marks[column] = BOTH;
            }
        }
    }
    let legend = if marks.contains(&BOTH) { format!("  {BOTH} is both") } else { String::new() };
    format!("{}{legend}", marks.into_iter().collect::<String>().trim_end())
}

fn write_onset(page: &mut Page, onset: &Onset) {
    let until = onset.end_unix_ns.map_or_else(
        || "to the data's end".to_owned(),
        |end_unix_ns| format!("for {}", format_ns(end_unix_ns.saturating_sub(onset.start_unix_ns))),
    );
    let sure = if onset.has_before {
        format!(", {} of resamples within ±{}", percent(onset.confidence), format_ns(onset.tolerance_ns))
    } else {
        ", from before the data begin".to_owned()
    };
    let p = chance(onset);
    let name = if onset.is_analysed { "Onset" } else { "Also at" };
    let head = format!("{}  {until}, {p}{sure}", format_rfc3339(onset.start_unix_ns));
    page.labelled(0, &Label::dim(name, CAPTION), &head);
    let mut parts: Vec<String> = onset.signals.iter().take(N_SIGNALS).map(signal).collect();
    if let Some(n_more @ 1..) = onset.signals.len().checked_sub(N_SIGNALS) {
        parts.push(format!("{n_more} more"));
    }
    page.labelled(0, &Label::dim("", CAPTION), &parts.join("; "));
}

/// An onset's chance, no surer than shuffles can tell.
pub(super) fn chance(onset: &Onset) -> String {
    if onset.p_value < 0.0001 { "p < 0.0001".to_owned() } else { format!("p = {:.4}", onset.p_value) }
}

/// A series that changed, in a clause.
pub(super) fn signal(signal: &MovedSignal) -> String {
    let name = if signal.name.is_empty() { "all requests" } else { &signal.name };
    let requests = if signal.name.is_empty() { name.to_owned() } else { format!("requests to {name}") };
    let (before, during) = (signal.before, signal.during);
    let arrow = |value: fn(f64) -> String| format!("{} -> {}", value(before), value(during));
    match signal.kind {
        SignalKind::Latency => format!("{requests} take {} ms", arrow(format_ms)),
        SignalKind::SelfTime => format!("{name} holds a request up {} ms", arrow(format_ms)),
        SignalKind::Errors => format!("{requests} fail {}", arrow(percent)),
        SignalKind::Failures => format!("{name} fails in {} of its requests", arrow(percent)),
        SignalKind::Calls => format!("{name} has {} spans a request", arrow(|value| format!("{value:.2}"))),
        SignalKind::Traffic => format!("{name} is {} of the traffic", arrow(percent)),
    }
}
