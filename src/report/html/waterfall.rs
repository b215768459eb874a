//! Where the change went: from the baseline's figure to the regression's, one bar a contribution.
//!
//! Each chart is a table whose cells hold the bars, so that names wrap, a screen reader reads it, and a phone shows it.
//! A bar is a button: pointing at it or reaching it with the keyboard shows its arithmetic.

use super::names::shorten;
use super::numbers::{interval, signed_percent};
use super::svg::at;
use super::waterfall_rows::{Step, Way, ways};
use super::{Page, scrolled};
use crate::report::text::count;
use maud::{Markup, html};

/// Steps with a bar of their own; the rest is one bar, and all stand in the table below.
const MAX_STEPS: usize = 12;
/// Steps in the table of all.
const MAX_ROWS: usize = 300;
/// Bars begin at zero unless the change is smaller than this part of the largest total.
const MIN_PART: f64 = 0.2;
/// A step is told as a share of the change only where the change is at least this share of the largest step.
const MIN_NET: f64 = 0.1;

pub(super) fn section(page: &Page<'_>) -> Markup {
    let ways = ways(page);
    html! {
        p.lead {
            "From the baseline to the regression, one bar a contribution, the largest first; together they are the whole change. "
            span.on-screen { "Point at a bar, or reach it with the Tab key, for its arithmetic." }
        }
        div.tabs data-label="Where the change went" {
            @for way in &ways {
                div.tab id={ "way-" (way.id) } {
                    h3 { (way.title) }
                    (chart(way))
                }
            }
        }
    }
}

/// A step, or several that are too small for a bar each.
struct Bar<'a> {
    step: Option<&'a Step>,
    n_steps: usize,
    start: f64,
    value: f64,
}

fn bars(way: &Way) -> Vec<Bar<'_>> {
    // The last step is the residual, and stays last.
    let Some((residual, steps)) = way.steps.split_last() else { return Vec::new() };
    let n_shown = if steps.len() <= MAX_STEPS + 1 { steps.len() } else { MAX_STEPS };
    let (shown, rest) = steps.split_at(n_shown);
    let mut parts: Vec<(Option<&Step>, usize, f64)> = shown.iter().map(|step| (Some(step), 1, step.value)).collect();
    if !rest.is_empty() {
        parts.push((None, rest.len(), rest.iter().map(|step| step.value).sum()));
    }
    parts.push((Some(residual), 1, residual.value));
    let mut total = way.baseline;
    let bar = |(step, n_steps, value)| {
        let start = total;
        total += value;
        Bar { step, n_steps, start, value }
    };
    parts.into_iter().map(bar).collect()
}

/// The stretch of values that the bars are drawn in.
struct Domain {
    low: f64,
    high: f64,
}

impl Domain {
    fn of(way: &Way, bars: &[Bar<'_>]) -> Self {
        let totals = bars.iter().flat_map(|bar| [bar.start, bar.start + bar.value]);
        let totals: Vec<f64> = totals.chain([way.baseline, way.regression]).filter(|value| value.is_finite()).collect();
        let (low, high) = totals
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
        let span = (high - low).max(f64::MIN_POSITIVE);
        let low = if span >= MIN_PART * high.abs() { low.min(0.0) } else { low - 0.1 * span };
        Self { low, high: high + 0.02 * (high - low) }
    }

    fn place(&self, value: f64) -> f64 {
        let span = self.high - self.low;
        if span > 0.0 { ((value - self.low) / span).clamp(0.0, 1.0) } else { 0.0 }
    }
}

fn chart(way: &Way) -> Markup {
    let bars = bars(way);
    let domain = Domain::of(way, &bars);
    let change = way.regression - way.baseline;
    let largest = way.steps.iter().map(|step| step.value.abs()).fold(0.0, f64::max);
    let has_share = way.is_certain && change != 0.0 && change.abs() >= MIN_NET * largest;
    if change == 0.0 && largest == 0.0 {
        return html! { p { "Nothing moved: " (way.value(way.baseline)) " in both windows." } };
    }
    let total = |name: &'static str, class: &str, value: f64| {
        html! {
            tr.total {
                th scope="row" { (name) }
                td.bar-cell { (total_bar(&domain, class, value)) }
                td.number { strong { (way.value(value)) } }
                td.number.wide {}
                td.number.wide {}
            }
        }
    };
    html! {
        table.waterfall {
            caption.sr { (way.title) ": from the baseline to the regression, in " (way.unit) }
            thead {
                tr {
                    th scope="col" { "Contribution" }
                    td { @if domain.low > 0.0 { span.muted { "from " (way.value(domain.low)) } } }
                    th.number scope="col" { (way.unit) }
                    th.number.wide scope="col" { "95 % interval" }
                    @if has_share { th.number.wide scope="col" { (way.whole) } } @else { td.wide {} }
                }
            }
            tbody {
                (total("Baseline", "baseline", way.baseline))
                @for (index, bar) in bars.iter().enumerate() {
                    (row(way, &domain, bar, index, has_share.then_some(change)))
                }
                (total("Regression", "regression", way.regression))
            }
        }
        @if domain.low > 0.0 {
            p.muted.note { "Bars begin at " (way.value(domain.low)) ", not at zero: the change is small beside the whole." }
        }
        @if bars.iter().any(|bar| bar.n_steps > 1) { (all(way, has_share.then_some(change))) }
    }
}

fn row(way: &Way, domain: &Domain, bar: &Bar<'_>, index: usize, change: Option<f64>) -> Markup {
    let id = format!("arithmetic-{}-{index}", way.id);
    let smaller = format!("{} smaller contributions", bar.n_steps);
    let label = bar.step.map_or(smaller.clone(), |step| shorten(&step.label, 72));
    html! {
        tr.step {
            th scope="row" {
                @if let Some(step) = bar.step { (step.name) " " span.cause { (step.cause) } } @else { span.muted { (smaller) } }
            }
            td.bar-cell {
                button.bar type="button" aria-label={ "Arithmetic of " (label) } aria-describedby=(id) {
                    (step_bar(domain, bar))
                }
                span.arithmetic role="tooltip" id=(id) { (arithmetic(way, bar, change)) }
            }
            td.number { (way.change(bar.value)) }
            td.number.wide { @if let Some(bounds) = bar.step.and_then(|step| step.interval) { (interval(bounds, way.show_signed)) } }
            td.number.wide { (share(bar.value, change).unwrap_or_default()) }
        }
    }
}

/// A step as a share of the change, if it goes the same way.
fn share(value: f64, change: Option<f64>) -> Option<String> {
    change.map(|change| 100.0 * value / change).filter(|&percent| percent > 0.0).map(signed_percent)
}

fn arithmetic(way: &Way, bar: &Bar<'_>, change: Option<f64>) -> Markup {
    let operator = if bar.value < 0.0 { " − " } else { " + " };
    html! {
        span.sum {
            (way.value(bar.start)) (operator) (way.value(bar.value.abs())) " = " (way.value(bar.start + bar.value))
        }
        @if let Some(bounds) = bar.step.and_then(|step| step.interval) {
            span { "95 % interval " (interval(bounds, way.show_signed)) " " (way.unit) "." }
        }
        @if let Some((change, share)) = change.zip(share(bar.value, change)) {
            span { (share) " " (way.whole) ", " (way.change(change)) " " (way.unit) "." }
        }
        @if let Some(note) = bar.step.and_then(|step| step.note.as_ref()) { span { (note) } }
    }
}

fn total_bar(domain: &Domain, class: &str, value: f64) -> Markup {
    let end = domain.place(value);
    html! {
        svg.bars width="100%" height="22" aria-hidden="true" {
            rect class={ "total " (class) } x="0" y="4" width=(at(end)) height="14" {}
            line.link x1=(at(end)) x2=(at(end)) y1="11" y2="22" {}
        }
    }
}

fn step_bar(domain: &Domain, bar: &Bar<'_>) -> Markup {
    let (from, until) = (domain.place(bar.start), domain.place(bar.start + bar.value));
    let class = if bar.value < 0.0 { "better" } else { "worse" };
    html! {
        svg.bars width="100%" height="22" aria-hidden="true" {
            line.link x1=(at(from)) x2=(at(from)) y1="0" y2="11" {}
            // Anything that is not nothing shows.
            rect class=(class) x=(at(from.min(until))) y="4" width=(at((until - from).abs().max(0.002))) height="14" {}
            line.link x1=(at(until)) x2=(at(until)) y1="11" y2="22" {}
        }
    }
}

/// Every step in figures.
fn all(way: &Way, change: Option<f64>) -> Markup {
    let n_more = way.steps.len().saturating_sub(MAX_ROWS);
    let table = html! {
        table.data {
            caption.sr { "All contributions to the change: " (way.title) }
            thead {
                tr {
                    th scope="col" { "Contribution" } th scope="col" { "How" } th.number scope="col" { (way.unit) }
                    th.number scope="col" { "95 % interval" }
                    @if change.is_some() { th.number scope="col" { (way.whole) } } @else { td {} }
                }
            }
            tbody {
                @for step in way.steps.iter().take(MAX_ROWS) {
                    tr {
                        th scope="row" { (step.name) }
                        td { (step.cause) }
                        td.number { (way.change(step.value)) }
                        td.number { @if let Some(bounds) = step.interval { (interval(bounds, way.show_signed)) } }
                        td.number { (share(step.value, change).unwrap_or_default()) }
                    }
                }
            }
        }
    };
    html! {
        details.figures-of {
            summary { "All " (count(way.steps.len() as u64)) " contributions" }
            (scrolled(&format!("All contributions: {}", way.title), &table))
            @if n_more > 0 { p.muted { (n_more) " more are in the JSON." } }
        }
    }
}
