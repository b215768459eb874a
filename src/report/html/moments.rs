//! Windows, onsets and changes on the axis of a time chart, and the onsets in words.

use super::Page;
use super::names::shorten;
use super::numbers::{amount, arrow, clock, moment, ms, percent};
use super::svg::{at, xy};
use crate::analysis::{Analysis, ChangeAccount, Credit, Pair, SeriesOf};
use crate::report::windows::chance;
use crate::time::format_ns;
use crate::window::{MovedSignal, SignalKind};
use maud::{Markup, html};

/// Onsets in words.
const MAX_ONSETS: usize = 5;
/// Series of an onset in words.
const MAX_SIGNALS: usize = 6;
/// Changes marked.
pub(super) const MAX_CHANGES: usize = 60;

/// Changes closer than this share of the width share a mark with all their numbers: on a phone it is as wide as a mark.
const APART: f64 = 0.05;
/// Lines closer than this share of the width are one.
const MERGED: f64 = 0.01;

/// The time that a chart covers.
#[derive(Clone, Copy)]
pub(super) struct Axis {
    pub(super) start_unix_ns: i64,
    pub(super) end_unix_ns: i64,
}

impl Axis {
    /// Where a moment is, as a share of the width.
    pub(super) fn place(self, unix_ns: i64) -> f64 {
        let span = self.end_unix_ns as f64 - self.start_unix_ns as f64;
        if span > 0.0 { (unix_ns as f64 - self.start_unix_ns as f64) / span } else { 0.0 }
    }

    fn holds(self, unix_ns: i64) -> bool {
        (self.start_unix_ns..=self.end_unix_ns).contains(&unix_ns)
    }
}

/// The windows as bands behind the curves.
pub(super) fn bands(analysis: &Analysis, of: SeriesOf, axis: Axis, top: f64, bottom: f64) -> Markup {
    let windows = &analysis.windows;
    let shown = [
        ("baseline", &windows.baseline, SeriesOf::Baseline),
        ("regression", &windows.regression, SeriesOf::Regression),
    ];
    html! {
        @for (name, window, own) in shown {
            @if of == SeriesOf::All || of == own {
                @let from = axis.place(window.start_unix_ns).clamp(0.0, 1.0);
                @let until = axis.place(window.end_unix_ns).clamp(0.0, 1.0);
                rect class={ "band " (name) } x=(at(from)) width=(at((until - from).max(0.002))) y=(xy(top)) height=(xy(bottom - top)) {}
                text class={ "window " (name) } x=(at(from)) dx="4" y=(xy(top + 14.0)) {
                    @if until - from > 0.14 { (name) } @else { (&name[..1].to_uppercase()) }
                }
            }
        }
    }
}

/// Onsets and changes as marks before the curves.
pub(super) fn marks(page: &Page<'_>, of: SeriesOf, axis: Axis, top: f64, bottom: f64) -> Markup {
    let analysis = page.analysis;
    let changes =
        analysis.changes.iter().enumerate().take(MAX_CHANGES).filter(|(_, change)| axis.holds(change.time_unix_ns));
    let mut groups: Vec<Vec<(usize, &ChangeAccount)>> = Vec::new();
    for (index, change) in changes {
        let is_near = |first: &ChangeAccount| axis.place(change.time_unix_ns) - axis.place(first.time_unix_ns) < APART;
        match groups.last_mut() {
            Some(group) if is_near(group[0].1) => group.push((index, change)),
            _ => groups.push(vec![(index, change)]),
        }
    }
    html! {
        @if of != SeriesOf::Baseline {
            @for onset in analysis.windows.onsets.iter().filter(|onset| axis.holds(onset.start_unix_ns)) {
                @let x = at(axis.place(onset.start_unix_ns));
                line class=(if onset.is_analysed { "onset" } else { "onset other" }) x1=(x) x2=(x) y1=(xy(top - 6.0)) y2=(xy(bottom)) {
                    title { "Onset " (moment(onset.start_unix_ns)) }
                }
            }
        }
        @for change in lines(&groups, axis) {
            @let x = at(axis.place(change.time_unix_ns));
            line class=(class(change.credit)) x1=(x) x2=(x) y1=(xy(top - 8.0)) y2=(xy(bottom)) {}
        }
        @for group in &groups { (mark(group, axis, top)) }
    }
}

/// The changes that have a line of their own: each but those that would merge with the one before.
fn lines<'a>(groups: &[Vec<(usize, &'a ChangeAccount)>], axis: Axis) -> Vec<&'a ChangeAccount> {
    let mut lines: Vec<&ChangeAccount> = Vec::new();
    for &(_, change) in groups.iter().flatten() {
        let is_apart =
            |last: &&ChangeAccount| axis.place(change.time_unix_ns) - axis.place(last.time_unix_ns) >= MERGED;
        if lines.last().is_none_or(is_apart) {
            lines.push(change);
        }
    }
    lines
}

fn class(credit: Credit) -> &'static str {
    match credit {
        Credit::Credited => "change credited",
        Credit::NotSupported | Credit::Unknown => "change",
    }
}

/// One mark for changes that are near each other, the numbers of the first and the last in it.
fn mark(group: &[(usize, &ChangeAccount)], axis: Axis, top: f64) -> Markup {
    let ([(first, change), ..], [.., (last, _)]) = (group, group) else { return html! {} };
    let label = if first == last { (first + 1).to_string() } else { format!("{}–{}", first + 1, last + 1) };
    // Half of what the label is longer than two digits.
    let half = 4.5 * label.chars().count().saturating_sub(2) as f64;
    let credit = group.iter().map(|(_, change)| change.credit).find(|credit| *credit == Credit::Credited);
    let outline = format!("M{} 1h{}l7 7-7 7h-{}l-7-7z", xy(-half), xy(2.0 * half), xy(2.0 * half));
    html! {
        svg.mark x=(at(axis.place(change.time_unix_ns))) y="0" width="1" height=(xy(top)) {
            path class=(class(credit.unwrap_or(change.credit))) d=(outline) {}
            text.change-number x="0" y="11.5" text-anchor="middle" { (label) }
            title {
                @for (index, change) in group {
                    @if index > first { "\n" }
                    (index + 1) ": " (shorten(&change.kind, 30)) " at " (clock(change.time_unix_ns))
                }
            }
        }
    }
}

/// The onsets in words, the one analysed first.
pub(super) fn onsets(page: &Page<'_>) -> Markup {
    let mut onsets: Vec<_> = page.analysis.windows.onsets.iter().collect();
    onsets.sort_by_key(|onset| (!onset.is_analysed, onset.start_unix_ns));
    let n_more = onsets.len().saturating_sub(MAX_ONSETS);
    html! {
        @if !onsets.is_empty() {
            h3 { "When it began" }
            ol.plain.onsets {
                @for onset in onsets.iter().take(MAX_ONSETS) {
                    li {
                        strong { (moment(onset.start_unix_ns)) }
                        @if let Some(end_unix_ns) = onset.end_unix_ns {
                            " for " (format_ns(end_unix_ns.saturating_sub(onset.start_unix_ns)))
                        } @else { " to the end of the data" }
                        @if onset.is_analysed { " " span.tag { "compared here" } }
                        span.muted {
                            @if onset.has_before {
                                " " (percent(onset.confidence)) " of resamples within ±" (format_ns(onset.tolerance_ns)) ","
                            } @else { " from before the data begin," }
                            " " (chance(onset))
                        }
                        ul.plain {
                            @for signal in onset.signals.iter().take(MAX_SIGNALS) { li { (moved(page, signal)) } }
                        }
                        @if onset.signals.len() > MAX_SIGNALS {
                            span.muted { (onset.signals.len() - MAX_SIGNALS) " more series moved" }
                        }
                    }
                }
            }
            @if n_more > 0 { p.muted { (n_more) " more onsets are in the JSON." } }
        }
    }
}

fn moved(page: &Page<'_>, signal: &MovedSignal) -> Markup {
    let pair = Pair { baseline: signal.before, regression: signal.during };
    let requests = html! {
        @if signal.name.is_empty() { "all requests" } @else { "requests to " (page.names.name(&signal.name)) }
    };
    let name = html! { @if signal.name.is_empty() { "all requests" } @else { (page.names.name(&signal.name)) } };
    match signal.kind {
        SignalKind::Latency => html! { (requests) " take " (arrow(pair, ms)) " ms" },
        SignalKind::SelfTime => html! { (name) " holds a request up " (arrow(pair, ms)) " ms" },
        SignalKind::Errors => html! { (requests) " fail " (arrow(pair, percent)) },
        SignalKind::Failures => html! { (name) " fails in " (arrow(pair, percent)) " of its requests" },
        SignalKind::Calls => html! { (name) " has " (arrow(pair, amount)) " spans a request" },
        SignalKind::Traffic => html! { (name) " is " (arrow(pair, percent)) " of the traffic" },
    }
}
