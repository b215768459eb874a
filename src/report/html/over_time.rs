//! The windows on a chart of latency, failures and traffic over time, with onsets and changes marked.
//!
//! One chart for data that both windows were chosen in, or one for each data set side by side on the same scales. The
//! curves of one chart share an axis of time; a slider beneath reads them at a moment, a table holds all figures.

use super::moments;
use super::numbers::{amount, clock, day, moment, ms, percent, round};
use super::svg::{INNER, at, line, stretched, ticks, xy};
use super::{Page, data, scrolled};
use crate::analysis::{Analysis, SeriesOf, TimeSeries, Window};
use crate::report::text::{count, counted};
use crate::time::format_ns;
use maud::{Markup, html};

/// Buckets in the table of figures: all that a chart can show apart.
const MAX_ROWS: usize = 400;
/// Height of the lane of marks, and of the three drawings with the gaps for their captions.
const LANE: f64 = 18.0;
const CAPTION: f64 = 24.0;
/// Room for the names of the windows above the first caption.
const NAMES: f64 = 18.0;
const HEIGHTS: [f64; 3] = [150.0, 56.0, 56.0];
const AXIS: f64 = 22.0;
/// A peak this many times over the highest 95th percentile is cut, or it would flatten the rest.
const MAX_PEAK: f64 = 2.5;

/// A stretch with fewer requests than this, and than half of what is usual in its window, says too little of how many fail and how long they
/// take.
const FEW: f64 = 10.0;

/// Scales that all charts share.
struct Scales {
    latency_ms: f64,
    is_cut: bool,
    error_ratio: f64,
    per_bucket: f64,
}

pub(super) fn section(page: &Page<'_>) -> Option<Markup> {
    let analysis = page.analysis;
    let (figures, is_typical) = series(analysis)?;
    let drawn: Vec<TimeSeries> = figures.iter().map(|series| without_few(series, analysis)).collect();
    let scales = scales(&drawn);
    let has_few = drawn.iter().flat_map(few).any(|is_few| is_few);
    let latency = if is_typical { "typical latency" } else { "p50, p95 and p99 of the latency" };
    Some(html! {
        p.lead {
            "Entry requests in equal stretches of time: " (latency) ", the share that fails, and how many there are. "
            (page.names.sentence(&sentence_case(&analysis.windows.description))) "."
        }
        (legend(is_typical, analysis))
        div class=(if figures.len() > 1 { "charts two" } else { "charts" }) {
            @for (index, series) in figures.iter().zip(&drawn).enumerate() { (chart(page, index, series, &scales, is_typical)) }
        }
        @if has_few {
            p.muted { "A hollow bar is a stretch with too few requests for its latency and its share of failures to be drawn: the lines pass it by, the figures have them." }
        }
        @if scales.is_cut { p.muted { "Peaks above the chart are cut; the figures have them in full." } }
        (windows(analysis))
        (moments::onsets(page))
    })
}

fn sentence_case(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// What there is to draw, and whether its latency is a typical one in place of quantiles.
fn series(analysis: &Analysis) -> Option<(Vec<TimeSeries>, bool)> {
    let is_whole = |series: &&TimeSeries| series.width_ns > 0 && !series.n_requests.is_empty();
    let given: Vec<TimeSeries> = analysis.time.iter().filter(is_whole).cloned().collect();
    if !given.is_empty() {
        return Some((given, false));
    }
    let timeline = analysis.windows.timeline.as_ref().filter(|timeline| timeline.width_ns > 0)?;
    let none = vec![None; timeline.n_requests.len()];
    let series = TimeSeries {
        of: SeriesOf::All,
        start_unix_ns: timeline.start_unix_ns,
        width_ns: timeline.width_ns,
        n_requests: timeline.n_requests.clone(),
        p50_ms: timeline.latency_ms.clone(),
        p95_ms: none.clone(),
        p99_ms: none,
        error_ratio: timeline.error_ratio.clone(),
    };
    Some((vec![series], true))
}

/// Requests that a trace stands for on average.
fn requests_per_trace(analysis: &Analysis) -> f64 {
    let windows = [&analysis.windows.baseline, &analysis.windows.regression];
    let n_traces: f64 = windows.iter().map(|window| window.n_traces as f64).sum();
    let n_requests: f64 = windows.iter().map(|window| window.n_requests).sum();
    (n_requests / n_traces.max(1.0)).max(1.0)
}

/// The series with gaps where requests are too few to draw what they say.
fn without_few(series: &TimeSeries, analysis: &Analysis) -> TimeSeries {
    let windows = [&analysis.windows.baseline, &analysis.windows.regression];
    // The window that most of a stretch is in, or what lies around both.
    let window = |index: usize| {
        let start = bucket_start(series, index);
        let end = start.saturating_add(series.width_ns);
        let shared =
            |window: &Window| end.min(window.end_unix_ns).saturating_sub(start.max(window.start_unix_ns)).max(0);
        match windows.map(shared) {
            [0, 0] => windows.len(),
            [baseline, regression] => usize::from(regression > baseline),
        }
    };
    let mut counts = [const { Vec::new() }; 3];
    for (index, &n_requests) in series.n_requests.iter().enumerate().filter(|&(_, &n_requests)| n_requests > 0.0) {
        counts[window(index)].push(n_requests);
    }
    let least = counts.map(|mut counts: Vec<f64>| {
        counts.sort_unstable_by(f64::total_cmp);
        let usual = counts.get(counts.len() / 2).copied().unwrap_or(0.0);
        (FEW * requests_per_trace(analysis)).min(usual / 2.0)
    });
    let mut drawn = series.clone();
    for values in [&mut drawn.p50_ms, &mut drawn.p95_ms, &mut drawn.p99_ms, &mut drawn.error_ratio] {
        for (index, value) in values.iter_mut().enumerate() {
            if series.n_requests[index] < least[window(index)] {
                *value = None;
            }
        }
    }
    drawn
}

/// Which stretches have requests of which nothing is drawn.
fn few(drawn: &TimeSeries) -> Vec<bool> {
    let is_drawn = |index: usize| drawn.error_ratio.get(index).is_none_or(Option::is_some);
    drawn.n_requests.iter().enumerate().map(|(index, &n_requests)| n_requests > 0.0 && !is_drawn(index)).collect()
}

fn scales(series: &[TimeSeries]) -> Scales {
    let largest = |values: fn(&TimeSeries) -> &Vec<Option<f64>>| {
        series.iter().flat_map(values).flatten().copied().filter(|value| value.is_finite()).fold(0.0, f64::max)
    };
    let (p50, p95, p99) = (largest(|own| &own.p50_ms), largest(|own| &own.p95_ms), largest(|own| &own.p99_ms));
    let limit = if p95 > 0.0 { MAX_PEAK * p95 } else { f64::INFINITY };
    let latency_ms = p99.min(limit).max(p95).max(p50);
    Scales {
        latency_ms,
        is_cut: p99 > latency_ms,
        error_ratio: largest(|own| &own.error_ratio),
        per_bucket: series.iter().flat_map(|own| &own.n_requests).copied().fold(0.0, f64::max),
    }
}

fn legend(is_typical: bool, analysis: &Analysis) -> Markup {
    let key = |class: &str, name: &str| {
        html! {
            li {
                svg.key aria-hidden="true" width="26" height="12" { line class={ "curve " (class) } x1="1" x2="25" y1="6" y2="6" {} }
                (name)
            }
        }
    };
    let band = |class: &str, name: &str| {
        html! { li { svg.key aria-hidden="true" width="26" height="12" { rect class={ "band " (class) } width="26" height="12" {} } (name) } }
    };
    html! {
        ul.legend aria-label="Legend" {
            @if is_typical { (key("p50", "typical")) } @else {
                (key("p99", "p99")) (key("p95", "p95")) (key("p50", "p50"))
            }
            (band("baseline", "baseline")) (band("regression", "regression"))
            @if !analysis.windows.onsets.is_empty() { (key("onset", "onset")) }
            @if !analysis.changes.is_empty() {
                li { svg.key aria-hidden="true" width="14" height="12" { path.change d="M7 1l5 5-5 5-5-5z" {} } "change" }
            }
        }
    }
}

fn chart(
    page: &Page<'_>,
    index: usize,
    (series, drawn): (&TimeSeries, &TimeSeries),
    scales: &Scales,
    is_typical: bool,
) -> Markup {
    let name = match series.of {
        SeriesOf::All => "All data",
        SeriesOf::Baseline => "Baseline data",
        SeriesOf::Regression => "Regression data",
    };
    let n_buckets = series.n_requests.len();
    let end_unix_ns = series
        .start_unix_ns
        .saturating_add(series.width_ns.saturating_mul(i64::try_from(n_buckets).unwrap_or(i64::MAX)));
    let axis = moments::Axis { start_unix_ns: series.start_unix_ns, end_unix_ns };
    let total: f64 = LANE + NAMES + AXIS + HEIGHTS.iter().sum::<f64>() + 3.0 * CAPTION;
    let first = LANE + NAMES + CAPTION;
    let second = first + HEIGHTS[0] + CAPTION;
    let tops = [first, second, second + HEIGHTS[1] + CAPTION];
    let width = format_ns(series.width_ns).replace(".00 ", " ").replace(".0 ", " ");
    let latencies = ticks(scales.latency_ms);
    let latency_unit = if is_typical { "Typical latency, ms" } else { "Latency, ms" };
    let drawings = [
        (latency_unit.to_owned(), latencies, round as fn(f64) -> String),
        ("Failing".to_owned(), ticks(scales.error_ratio.max(0.001)), percent),
        (format!("Requests in {width}"), ticks(scales.per_bucket), amount),
    ];
    let table = format!("figures-{index}");
    html! {
        figure.timechart {
            figcaption { (name) span.muted { ", " (moment(axis.start_unix_ns)) " to " (moment(axis.end_unix_ns)) } }
            div.plot {
                svg.time width="100%" height=(xy(total)) role="img" aria-label=(description(page.analysis, series)) {
                    (moments::bands(page.analysis, series.of, axis, LANE, total - AXIS))
                    @for ((caption, ticks, show), (top, height)) in drawings.iter().zip(tops.iter().zip(HEIGHTS)) {
                        (grid(caption, ticks, *show, *top, height))
                    }
                    (curves(drawn, &drawings.each_ref().map(|drawing| drawing.1.last().copied().unwrap_or(1.0)), tops))
                    (moments::marks(page, series.of, axis, LANE, total - AXIS))
                    (axis_labels(axis, total))
                    line.cursor x1="0" x2="0" y1=(xy(LANE)) y2=(xy(total - AXIS)) {}
                }
            }
            div.reader {
                label for={ "moment-" (index) } { "Read at" }
                input id={ "moment-" (index) } type="range" min="0" max=(n_buckets.saturating_sub(1)) value="0"
                    autocomplete="off" data-readings={ "readings-" (index) };
                output for={ "moment-" (index) } aria-hidden="true" { "move to read a moment" }
            }
            (data(&format!("readings-{index}"), &readings(series, is_typical)))
            details.figures-of {
                summary { "Figures of " (counted(n_buckets as u64, "stretch").replace("stretchs", "stretches")) " of " (width) }
                (scrolled(&format!("Figures over time, {name}"), &figures(&table, series, is_typical)))
            }
        }
    }
}

fn description(analysis: &Analysis, series: &TimeSeries) -> String {
    let windows = &analysis.windows;
    let degradation = &analysis.degradation;
    format!(
        "Latency, failures and requests over {} from {}. Baseline {} to {}, regression {} to {}. \
         Median {} then {} ms, p95 {} then {} ms, p99 {} then {} ms, failing {} then {}.",
        format_ns(series.width_ns.saturating_mul(i64::try_from(series.n_requests.len()).unwrap_or(i64::MAX))),
        moment(series.start_unix_ns),
        clock(windows.baseline.start_unix_ns),
        clock(windows.baseline.end_unix_ns),
        clock(windows.regression.start_unix_ns),
        clock(windows.regression.end_unix_ns),
        ms(degradation.p50_ms.baseline),
        ms(degradation.p50_ms.regression),
        ms(degradation.p95_ms.baseline),
        ms(degradation.p95_ms.regression),
        ms(degradation.p99_ms.baseline),
        ms(degradation.p99_ms.regression),
        percent(degradation.error_ratio.baseline),
        percent(degradation.error_ratio.regression),
    )
}

fn grid(caption: &str, ticks: &[f64], show: fn(f64) -> String, top: f64, height: f64) -> Markup {
    let largest = ticks.last().copied().unwrap_or(1.0);
    let y = |value: f64| top + height * (1.0 - value / largest);
    // The highest label carries the caption; on low drawings there is room for no other.
    let is_low = height < 80.0;
    html! {
        text.caption x="0" y=(xy(top - 8.0)) { (caption) }
        @for (index, tick) in ticks.iter().enumerate() {
            @let is_end = index == 0 || index + 1 == ticks.len();
            @if is_end || !is_low {
                line class=(if index == 0 { "axis" } else { "grid" }) x1="0" x2="100%" y1=(xy(y(*tick))) y2=(xy(y(*tick))) {}
                text.tick x="100%" y=(xy(y(*tick) - 3.0)) text-anchor="end" { (show(*tick)) }
            }
        }
    }
}

fn curves(series: &TimeSeries, largest: &[f64; 3], tops: [f64; 3]) -> Markup {
    let width = INNER / series.n_requests.len().max(1) as f64;
    let few = few(series);
    let curve = |values: &[Option<f64>], largest: f64, height: f64| {
        // Only stretches without any request break a line.
        let points = values.iter().enumerate().filter(|&(index, _)| !few[index]).map(|(index, value)| {
            let value = (*value)?;
            Some((width * (index as f64 + 0.5), height * (1.0 - value / largest)))
        });
        line(points, width)
    };
    let [latency, errors, traffic] = HEIGHTS;
    let places = (0..).map(|index| width * f64::from(index));
    let heights = series.n_requests.iter().map(|n_requests| traffic * n_requests / largest[2]);
    let bars = places.zip(heights).zip(few.iter().copied());
    html! {
        (stretched(tops[0], latency, &html! {
            path.curve.p99 d=(curve(&series.p99_ms, largest[0], latency)) {}
            path.curve.p95 d=(curve(&series.p95_ms, largest[0], latency)) {}
            path.curve.p50 d=(curve(&series.p50_ms, largest[0], latency)) {}
        }))
        (stretched(tops[1], errors, &html! { path.curve.errors d=(curve(&series.error_ratio, largest[1], errors)) {} }))
        (stretched(tops[2], traffic, &html! {
            @for ((x, height), is_few) in bars {
                // So high that it can be seen to be hollow.
                @let height = if is_few { height.max(3.0) } else { height };
                rect class=(if is_few { "traffic few" } else { "traffic" }) x=(xy(x)) y=(xy(traffic - height)) width=(xy(width * 0.86)) height=(xy(height)) {}
            }
        }))
    }
}

/// Lengths between labels, seconds.
const STEPS_S: [i64; 17] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400];
/// Labels at most.
const MAX_LABELS: i64 = 7;

/// Round moments of the clock; of less than a few seconds and more than a few days, equal parts.
fn label_times(axis: moments::Axis) -> Vec<i64> {
    const NS_PER_S: i64 = 1_000_000_000;
    let span = axis.end_unix_ns.saturating_sub(axis.start_unix_ns).max(0);
    let step = STEPS_S.into_iter().map(|step| step * NS_PER_S).find(|step| span / step < MAX_LABELS);
    let Some(step) = step.filter(|step| span / step >= 2) else {
        return (0..=4).map(|part| axis.start_unix_ns.saturating_add(span / 4 * part)).collect();
    };
    let before = axis.start_unix_ns.saturating_sub(axis.start_unix_ns.rem_euclid(step));
    let times = (0..=MAX_LABELS + 1).map(|index| before.saturating_add(step * index));
    times.filter(|time| (axis.start_unix_ns..=axis.end_unix_ns).contains(time)).collect()
}

fn axis_labels(axis: moments::Axis, total: f64) -> Markup {
    let has_days = day(axis.start_unix_ns) != day(axis.end_unix_ns);
    html! {
        @for (index, time) in label_times(axis).into_iter().enumerate() {
            @let place = axis.place(time);
            @let anchor = if place < 0.04 { "start" } else if place > 0.96 { "end" } else { "middle" };
            @let label = if has_days { format!("{} {}", &day(time)[5..], clock(time)) } else { clock(time) };
            line.axis x1=(at(place)) x2=(at(place)) y1=(xy(total - AXIS)) y2=(xy(total - AXIS + 4.0)) {}
            text class=(if index % 2 == 1 { "tick minor" } else { "tick" }) x=(at(place)) y=(xy(total - 4.0))
                text-anchor=(anchor) { (label) }
        }
    }
}

/// A line a bucket for the slider.
fn readings(series: &TimeSeries, is_typical: bool) -> Vec<String> {
    let show = |value: Option<f64>, show: fn(f64) -> String| value.map_or_else(|| "–".to_owned(), show);
    let reading = |index: usize| {
        let time = bucket_start(series, index);
        let latency = if is_typical {
            format!("typical {} ms", show(series.p50_ms[index], ms))
        } else {
            let at = |values: &[Option<f64>]| show(values.get(index).copied().flatten(), ms);
            format!("p50 {}, p95 {}, p99 {} ms", at(&series.p50_ms), at(&series.p95_ms), at(&series.p99_ms))
        };
        let failing = show(series.error_ratio.get(index).copied().flatten(), percent);
        format!("{}: {latency}; {failing} fail; {} requests", clock(time), amount(series.n_requests[index]))
    };
    (0..series.n_requests.len()).map(reading).collect()
}

fn bucket_start(series: &TimeSeries, index: usize) -> i64 {
    series.start_unix_ns.saturating_add(series.width_ns.saturating_mul(i64::try_from(index).unwrap_or(i64::MAX)))
}

fn figures(id: &str, series: &TimeSeries, is_typical: bool) -> Markup {
    let cell = |values: &[Option<f64>], index: usize, show: fn(f64) -> String| {
        values.get(index).copied().flatten().map_or_else(|| "–".to_owned(), show)
    };
    html! {
        table.data id=(id) {
            caption.sr { "Latency in ms, failures and requests over time" }
            thead {
                tr {
                    th scope="col" { "From" }
                    th.number scope="col" { @if is_typical { "Typical" } @else { "p50" } }
                    @if !is_typical { th.number scope="col" { "p95" } th.number scope="col" { "p99" } }
                    th.number scope="col" { "Failing" }
                    th.number scope="col" { "Requests" }
                }
            }
            tbody {
                @for index in 0..series.n_requests.len().min(MAX_ROWS) {
                    tr {
                        th scope="row" { (clock(bucket_start(series, index))) }
                        td.number { (cell(&series.p50_ms, index, ms)) }
                        @if !is_typical {
                            td.number { (cell(&series.p95_ms, index, ms)) }
                            td.number { (cell(&series.p99_ms, index, ms)) }
                        }
                        td.number { (cell(&series.error_ratio, index, percent)) }
                        td.number { (amount(series.n_requests[index])) }
                    }
                }
            }
        }
    }
}

fn windows(analysis: &Analysis) -> Markup {
    let row = |class: &str, name: &str, window: &Window| {
        html! {
            tr {
                th scope="row" { span class={ "swatch " (class) } aria-hidden="true" {} (name) }
                td { (moment(window.start_unix_ns)) }
                td { (moment(window.end_unix_ns)) }
                td.number { (format_ns(window.end_unix_ns.saturating_sub(window.start_unix_ns))) }
                td.number { (count(window.n_traces)) }
                td.number { (count(window.n_spans)) }
            }
        }
    };
    let table = html! {
        table.data {
            caption.sr { "The windows compared" }
            thead {
                tr {
                    th scope="col" { "Window" } th scope="col" { "From" } th scope="col" { "Until" }
                    th.number scope="col" { "Length" } th.number scope="col" { "Traces" } th.number scope="col" { "Spans" }
                }
            }
            tbody {
                (row("baseline", "Baseline", &analysis.windows.baseline))
                (row("regression", "Regression", &analysis.windows.regression))
            }
        }
    };
    scrolled("The windows compared", &table)
}
