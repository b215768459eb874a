//! How latencies are spread in both windows, for entries and suspects: the density, and how many are done by when.

use super::names::shorten;
use super::numbers::{amount, ms, percent, round};
use super::svg::{INNER, at, line, steps, stretched, xy};
use super::{Page, scrolled};
use crate::analysis::Distribution;
use maud::{Markup, html};

/// Heights of the two drawings, their captions and the axis.
const DENSITY: f64 = 74.0;
const CUMULATIVE: f64 = 56.0;
const CAPTION: f64 = 18.0;
const AXIS: f64 = 18.0;
/// Units of the axis, in milliseconds: the largest of which there are ten.
const UNITS: [(f64, &str); 4] = [(1.0, "ms"), (1e3, "s"), (6e4, "min"), (3.6e6, "h")];

pub(super) fn section(page: &Page<'_>) -> Option<Markup> {
    let is_whole = |own: &&Distribution| {
        let n_bins = own.bounds_ms.len().saturating_sub(1);
        n_bins > 0 && own.baseline.len() == n_bins && own.regression.len() == n_bins && own.bounds_ms[0] > 0.0
    };
    let shown: Vec<&Distribution> = page.analysis.distributions.iter().filter(is_whole).collect();
    if shown.is_empty() {
        return None;
    }
    let group = |is_entry: bool| shown.iter().filter(|own| own.is_entry == is_entry).copied().collect::<Vec<_>>();
    Some(html! {
        p.lead {
            "Share of requests or calls by latency, on a logarithmic axis: above how dense they lie, below how many are done by then."
        }
        ul.legend aria-label="Legend" {
            li { svg.key aria-hidden="true" width="26" height="12" { rect.density.baseline width="26" height="12" {} } "baseline" }
            li { svg.key aria-hidden="true" width="26" height="12" { rect.density.regression width="26" height="12" {} } "regression" }
        }
        @for (title, shown) in [("Entry operations", group(true)), ("Calls of suspects", group(false))] {
            @if !shown.is_empty() {
                h3 { (title) }
                div.spreads { @for own in shown { (chart(page, own)) } }
            }
        }
    })
}

fn shares(weights: &[f64]) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| if total > 0.0 { weight / total } else { 0.0 }).collect()
}

/// The share done by the end of each bin.
fn cumulative(shares: &[f64]) -> Vec<f64> {
    let add = |sum: &mut f64, share: &f64| {
        *sum += share;
        Some(*sum)
    };
    shares.iter().scan(0.0, add).collect()
}

/// Upper bound of the bin that holds a quantile.
fn quantile(own: &Distribution, cumulative: &[f64], q: f64) -> Option<f64> {
    let bin = cumulative.iter().position(|&share| share >= q)?;
    own.bounds_ms.get(bin + 1).copied()
}

fn chart(page: &Page<'_>, own: &Distribution) -> Markup {
    let windows = [shares(&own.baseline), shares(&own.regression)];
    let done = windows.each_ref().map(|shares| cumulative(shares));
    let largest = windows.iter().flatten().copied().fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let [before, after] =
        windows.each_ref().map(|shares| shares.iter().map(|share| share / largest).collect::<Vec<_>>());
    let n_bins = own.baseline.len();
    let curve = |done: &[f64]| {
        let step = INNER / n_bins as f64;
        let points = std::iter::once(0.0).chain(done.iter().copied()).enumerate();
        line(points.map(|(index, share)| Some((step * index as f64, CUMULATIVE * (1.0 - share.min(1.0))))), step)
    };
    let top = CAPTION + DENSITY + CAPTION;
    let total = top + CUMULATIVE + AXIS;
    let median = done.each_ref().map(|done| quantile(own, done, 0.5).map_or_else(|| "–".to_owned(), ms));
    let label = format!("Median up to {} ms in the baseline, {} ms in the regression", median[0], median[1]);
    html! {
        figure.spread {
            figcaption {
                (page.names.operation(&own.operation.service, &own.operation.operation))
                div.muted { "median ≤ " (median[0]) " → " (median[1]) " ms; " (amount(own.baseline.iter().sum())) " and " (amount(own.regression.iter().sum())) @if own.is_entry { " requests" } @else { " calls" } }
            }
            svg.time width="100%" height=(xy(total)) role="img" aria-label=(label) {
                text.caption x="0" y=(xy(CAPTION - 6.0)) { "density" }
                text.tick x="100%" y=(xy(CAPTION - 6.0)) text-anchor="end" { "peak " (percent(largest)) }
                (stretched(CAPTION, DENSITY, &html! {
                    path.density.baseline d=(steps(&before, DENSITY)) {}
                    path.density.regression d=(steps(&after, DENSITY)) {}
                }))
                line.axis x1="0" x2="100%" y1=(xy(CAPTION + DENSITY)) y2=(xy(CAPTION + DENSITY)) {}
                text.caption x="0" y=(xy(top - 5.0)) { "done by then" }
                @for share in [0.5, 0.95] {
                    @let y = top + CUMULATIVE * (1.0 - share);
                    line.grid x1="0" x2="100%" y1=(xy(y)) y2=(xy(y)) {}
                    text.tick x="100%" y=(xy(y - 2.0)) text-anchor="end" { (percent(share)) }
                }
                (stretched(top, CUMULATIVE, &html! {
                    path.done.baseline d=(curve(&done[0])) {}
                    path.done.regression d=(curve(&done[1])) {}
                }))
                line.axis x1="0" x2="100%" y1=(xy(top + CUMULATIVE)) y2=(xy(top + CUMULATIVE)) {}
                (axis(&own.bounds_ms, total))
            }
            details.figures-of { summary { "Figures" } (table(own, &done)) }
        }
    }
}

/// Powers of ten, or where that is one or none the ends.
fn axis(bounds_ms: &[f64], total: f64) -> Markup {
    let (Some(&low), Some(&high)) = (bounds_ms.first(), bounds_ms.last()) else { return html! {} };
    // Else there is no scale, and no power of ten within it.
    if low <= 0.0 || high <= low {
        return html! {};
    }
    let span = (high / low).ln();
    let place = |value: f64| if span > 0.0 { (value / low).ln() / span } else { 0.0 };
    let unit = UNITS.iter().rev().find(|(unit_ms, _)| high >= 10.0 * unit_ms).unwrap_or(&UNITS[0]);
    let (low, high) = (low / unit.0, high / unit.0);
    #[expect(clippy::cast_possible_truncation, reason = "a power of ten of a duration")]
    let (first, last) = (low.log10().ceil() as i32, high.log10().floor() as i32);
    let digits: &[f64] = if last - first >= 3 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let marks = (first - 1..=last).flat_map(|power| digits.iter().map(move |digit| digit * 10_f64.powi(power)));
    let marks: Vec<f64> = marks.filter(|mark| (0.04..=0.88).contains(&place(*mark))).take(24).collect();
    // Each needs some room for its text, the unit at the end its own.
    let n_digits = marks.iter().map(|mark| round(*mark).len()).max().unwrap_or(1);
    let every = marks.len().div_ceil((36 / (n_digits + 2)).clamp(1, 6)).max(1);
    html! {
        @for mark in marks.iter().step_by(every) {
            text.tick x=(at(place(*mark))) y=(xy(total - 5.0)) text-anchor="middle" { (round(*mark)) }
        }
        text.tick x="100%" y=(xy(total - 5.0)) text-anchor="end" { (unit.1) }
    }
}

fn table(own: &Distribution, done: &[Vec<f64>; 2]) -> Markup {
    let used = |index: &usize| own.baseline[*index] > 0.0 || own.regression[*index] > 0.0;
    let table = html! {
        table.data {
            caption.sr { "Durations by bin" }
            thead {
                tr {
                    th.number scope="col" { "Up to ms" } th.number scope="col" { "Baseline" } th.number scope="col" { "done" }
                    th.number scope="col" { "Regression" } th.number scope="col" { "done" }
                }
            }
            tbody {
                @for index in (0..own.baseline.len()).filter(used) {
                    tr {
                        th.number scope="row" { (ms(own.bounds_ms[index + 1])) }
                        td.number { (amount(own.baseline[index])) } td.number { (percent(done[0][index])) }
                        td.number { (amount(own.regression[index])) } td.number { (percent(done[1][index])) }
                    }
                }
            }
        }
    };
    // An entry that is a suspect has both.
    let what = if own.is_entry { "Requests" } else { "Calls" };
    let label = format!("{what} by duration, {}: {}", own.operation.service, own.operation.operation);
    scrolled(&shorten(&label, 90), &table)
}
