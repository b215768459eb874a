//! How the windows were chosen: requests, latency and errors over time, the windows beneath, and the onsets found.

use super::WIDTH;
use super::text::{DIM, count, escape, fit, left, paint, percent, sparkline, wrap};
use crate::analysis::{Window, Windows};
use crate::time::{format_ms, format_ns, format_rfc3339};
use crate::window::{MovedSignal, Onset, SignalKind, Timeline};

/// Width of the captions at the left, blanks included.
const CAPTION: usize = 12;
/// Onsets shown.
const N_ONSETS: usize = 3;
/// Series shown of an onset.
const N_SIGNALS: usize = 3;

/// Lines of at most [`WIDTH`] columns.
pub(super) fn lines(windows: &Windows) -> Vec<String> {
    let mut only = Vec::new();
    for (index, line) in wrap(&escape(&windows.only.join(" and ")), WIDTH - CAPTION).iter().enumerate() {
        if !line.is_empty() {
            let name = if index == 0 { "Only" } else { "" };
            only.push(format!("{}{}", paint(DIM, &left(name, CAPTION)), fit(line, WIDTH - CAPTION)));
        }
    }
    let mut lines = windows.timeline.as_ref().map_or_else(Vec::new, |timeline| sparklines(timeline, windows));
    lines.splice(0..0, only);
    for onset in shown(&windows.onsets) {
        onset_lines(&mut lines, onset);
    }
    if let Some(n_more @ 1..) = windows.onsets.len().checked_sub(N_ONSETS) {
        lines.push(format!("{:CAPTION$}and {n_more} more, see the JSON", ""));
    }
    lines
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

fn sparklines(timeline: &Timeline, windows: &Windows) -> Vec<String> {
    let caption = |text: &str| paint(DIM, &left(text, CAPTION));
    let row = |name: &str, line: &str, scale: &str| {
        let room = WIDTH - CAPTION;
        format!("{}{}", caption(name), fit(&format!("{line} {scale}"), room).trim_end())
    };
    let largest = |values: &[Option<f64>]| values.iter().flatten().copied().fold(0.0, f64::max);
    // Heights relative to the largest, in steps that no rounding shows.
    let heights = |values: &[Option<f64>]| -> Vec<u64> {
        let largest = largest(values);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1,000,000")]
        let height = |value: f64| if largest > 0.0 { (value / largest * 1e6).clamp(0.0, 1e6) as u64 } else { 0 };
        values.iter().map(|value| value.map_or(0, height)).collect()
    };
    let mut lines = vec![
        row(
            "Over time",
            &sparkline(&heights(&timeline.latency_ms)),
            &format!("<= {} ms", format_ms(largest(&timeline.latency_ms))),
        ),
        row(
            "  errors",
            &sparkline(&heights(&timeline.error_ratio)),
            &format!("<= {}", percent(largest(&timeline.error_ratio))),
        ),
    ];
    let most = timeline.n_requests.iter().copied().max().unwrap_or(0);
    let width = format_ns(timeline.width_ns).replace(".00 ", " ").replace(".0 ", " ");
    let scale = format!("<= {} in {width}", count(most));
    lines.push(row("  requests", &sparkline(&timeline.n_requests), &scale));
    let mut marks = vec![' '; timeline.n_requests.len()];
    mark(&mut marks, timeline, &windows.baseline, 'b');
    mark(&mut marks, timeline, &windows.regression, 'R');
    let marks: String = marks.into_iter().collect();
    lines.push(format!("{}{}", caption("  windows"), marks.trim_end()));
    lines
}

/// Marks the buckets of which the window holds the middle.
fn mark(marks: &mut [char], timeline: &Timeline, window: &Window, sign: char) {
    let half = i128::from(timeline.width_ns) / 2;
    let mut middle = i128::from(timeline.start_unix_ns) + half;
    for mark in marks {
        if i128::from(window.start_unix_ns) <= middle && middle < i128::from(window.end_unix_ns) {
            *mark = sign;
        }
        middle += i128::from(timeline.width_ns);
    }
}

fn onset_lines(lines: &mut Vec<String>, onset: &Onset) {
    let until = onset.end_unix_ns.map_or_else(
        || "to the data's end".to_owned(),
        |end_unix_ns| format!("for {}", format_ns(end_unix_ns.saturating_sub(onset.start_unix_ns))),
    );
    let sure = if onset.has_before {
        format!(", {} of resamples within ±{}", percent(onset.confidence), format_ns(onset.tolerance_ns))
    } else {
        ", from before the data begin".to_owned()
    };
    let p = if onset.p_value < 0.0001 { "p < 0.0001".to_owned() } else { format!("p = {:.4}", onset.p_value) };
    let name = if onset.is_analysed { "Onset" } else { "Also at" };
    let head = format!("{}  {until}, {p}{sure}", format_rfc3339(onset.start_unix_ns));
    for (index, line) in wrap(&head, WIDTH - CAPTION).iter().enumerate() {
        let caption = if index == 0 { name } else { "" };
        lines.push(format!("{}{}", paint(DIM, &left(caption, CAPTION)), fit(line, WIDTH - CAPTION)));
    }
    let mut parts: Vec<String> = onset.signals.iter().take(N_SIGNALS).map(signal).collect();
    if let Some(n_more @ 1..) = onset.signals.len().checked_sub(N_SIGNALS) {
        parts.push(format!("{n_more} more"));
    }
    for line in wrap(&escape(&parts.join("; ")), WIDTH - CAPTION) {
        lines.push(format!("{:CAPTION$}{}", "", fit(&line, WIDTH - CAPTION)));
    }
}

/// A series that changed, in a clause.
fn signal(signal: &MovedSignal) -> String {
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
