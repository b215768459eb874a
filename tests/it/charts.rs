//! What the charts of a report are drawn from: requests over time, spread of durations, traces span by span; worked by hand.

use crate::builder::{EPOCH_NS, Given, MS, server};
use crate::evidence::{analyze, page};
use suspect::analysis::{Analysis, SeriesOf, TraceView};

/// Forty requests of 10 + 4 ms, then forty of 90 + 4 ms an hour later, a second apart.
fn slower() -> Analysis {
    let window = |own: i64| (0..40).map(|number| page("GET /", own + number % 3)).collect::<Vec<_>>();
    analyze(&window(10), &window(90))
}

#[test]
fn requests_over_time_are_counted_once_and_their_quantiles_are_those_of_their_bucket() {
    let analysis = slower();
    let [series] = analysis.time.as_slice() else { panic!("{:?}", analysis.time) };
    assert_eq!(series.of, SeriesOf::All);
    assert!((series.n_requests.iter().sum::<f64>() - 80.0).abs() < 1e-9);
    // 3,639 s in at most 12 buckets.
    assert_eq!(series.width_ns, 600_000 * MS);
    assert_eq!(series.start_unix_ns % series.width_ns, 0);
    assert_eq!(series.start_unix_ns, EPOCH_NS - EPOCH_NS % series.width_ns);
    let bucket_of = |second: i64| {
        let after_start_ns = EPOCH_NS + second * 1_000 * MS - series.start_unix_ns;
        usize::try_from(after_start_ns / series.width_ns).expect("not before the start")
    };
    let (before, after) = (bucket_of(0), bucket_of(3_600));
    assert_eq!(series.p50_ms[before], Some(15.0));
    assert_eq!(series.p99_ms[before], Some(16.0));
    assert_eq!(series.p50_ms[after], Some(95.0));
    assert_eq!(series.error_ratio[after], Some(0.0));
    for bucket in 0..series.n_requests.len() {
        let is_empty = series.n_requests[bucket] == 0.0;
        assert_eq!(series.p95_ms[bucket].is_none(), is_empty);
        assert_eq!(series.error_ratio[bucket].is_none(), is_empty);
    }
}

#[test]
fn durations_fall_into_the_bin_whose_bounds_hold_them() {
    let analysis = slower();
    let entry = analysis.distributions.iter().find(|own| own.is_entry).expect("an entry");
    assert_eq!(entry.operation.operation, "GET /");
    assert!((entry.baseline.iter().sum::<f64>() - 40.0).abs() < 1e-9);
    assert!((entry.regression.iter().sum::<f64>() - 40.0).abs() < 1e-9);
    // 14, 15, 16 ms before, 94, 95, 96 ms after.
    for (bin, bounds) in entry.bounds_ms.windows(2).enumerate() {
        assert!(bounds[0] < bounds[1]);
        assert!(entry.baseline[bin] == 0.0 || bounds[0] < 16.1);
        assert!(entry.regression[bin] == 0.0 || bounds[1] > 93.9);
    }
    assert!((entry.bounds_ms[0] - 14.0).abs() < 1e-9);
    assert!((entry.bounds_ms.last().expect("bounds") - 96.0).abs() < 1e-9);
    let own = analysis.distributions.iter().find(|own| own.operation.service == "catalog").expect("the suspect");
    assert!(!own.is_entry);
    assert!((own.regression.iter().sum::<f64>() - 40.0).abs() < 1e-9);
}

fn blamed_ms(view: &TraceView) -> f64 {
    view.spans.iter().flat_map(|span| &span.blamed_ms).map(|[start, end]| end - start).sum()
}

#[test]
fn a_slow_trace_stands_beside_an_ordinary_one_with_the_suspects_stretches_marked() {
    let analysis = slower();
    assert_eq!(analysis.suspects[0].service, "catalog");
    let pair = analysis.traces.first().expect("a pair");
    assert_eq!(pair.suspect, 1);
    let baseline = pair.baseline.as_ref().expect("an ordinary trace");
    for view in [&pair.regression, baseline] {
        let spans: Vec<(&str, u32)> = view.spans.iter().map(|span| (span.service.as_str(), span.depth)).collect();
        assert_eq!(spans, [("gateway", 0), ("gateway", 1), ("catalog", 2)]);
        // Every millisecond is somebody's, and the catalog's are the suspect's.
        assert!((blamed_ms(view) - view.duration_ms).abs() < 1e-9);
        assert!(view.spans[0].suspect_ms.is_empty() && view.spans[1].suspect_ms.is_empty());
        assert_eq!(view.spans[2].suspect_ms, [[2.0, view.duration_ms - 2.0]]);
        assert!((view.suspect_ms - (view.duration_ms - 4.0)).abs() < 1e-9);
    }
    let paths = |view: &TraceView| view.spans.iter().map(|span| span.path).collect::<Vec<_>>();
    assert_eq!(paths(&pair.regression), paths(baseline), "aligned by call path");
    let exemplar = &analysis.suspects[0].exemplars[0];
    assert_eq!(pair.regression.trace_id, exemplar.trace_id);
    assert!((pair.regression.suspect_ms - exemplar.suspect_ms).abs() < 1e-9);
}

#[test]
fn a_trace_of_many_spans_keeps_those_with_most_time_and_all_above_them() {
    use crate::builder::{client, server};
    // The gateway asks 200 times; the last call is the slow one.
    let request = |slow_ms: i64| {
        let mut spans = vec![server(1, 0, "gateway GET /", 0..600 + slow_ms)];
        for call in 0..200_i64 {
            let (start, took) = (call * 3, if call == 199 { slow_ms } else { 2 });
            let id = 2 + 2 * u64::try_from(call).expect("small");
            spans.push(client(id, 1, "gateway GET", start..start + took));
            spans.push(server(
                id + 1,
                id,
                if call == 199 { "catalog last" } else { "catalog list" },
                start..start + took,
            ));
        }
        spans
    };
    let window = |slow_ms: i64| (0..40).map(|number| request(slow_ms + number % 3)).collect::<Vec<_>>();
    let analysis = analyze(&window(5), &window(200));
    let view = &analysis.traces.first().expect("a pair").regression;
    assert!(view.spans.len() <= 120, "{}", view.spans.len());
    assert_eq!(view.spans.len() as u64 + view.n_spans_left_out, 401);
    assert_eq!(view.spans[0].depth, 0);
    assert!(view.spans.iter().any(|span| span.operation == "last" && !span.suspect_ms.is_empty()));
    for (before, span) in view.spans.iter().zip(&view.spans[1..]) {
        assert!(span.depth <= before.depth + 1, "a span without what is above it");
    }
}

/// The marks of the windows beneath the curves of the terminal's report.
fn strip(analysis: &Analysis) -> String {
    let text = suspect::report::analysis::text(analysis, suspect::report::WIDTH);
    let text = anstream::adapter::strip_str(&text).to_string();
    let line = text.lines().find_map(|line| line.strip_prefix("  windows"));
    line.unwrap_or_else(|| panic!("no windows in {text}")).trim().to_owned()
}

#[test]
fn a_window_is_marked_however_short_it_is_and_never_as_the_other() {
    // One request a side.
    let marks = strip(&analyze(&[page("GET /", 10)], &[page("GET /", 20)]));
    assert!(marks.starts_with('b') && marks.ends_with('R'), "{marks}");
    assert!(marks.rfind('b') < marks.find('R'), "{marks}");
    // Windows that lie between the middles of columns, or outside all of them, have the column that is nearest.
    let mut analysis = slower();
    let shorten = |window: &mut suspect::analysis::Window, start_unix_ns: i64| {
        window.start_unix_ns = start_unix_ns;
        window.end_unix_ns = start_unix_ns + 2;
    };
    let start_ns = analysis.windows.timeline.as_ref().expect("a timeline").start_unix_ns;
    shorten(&mut analysis.windows.baseline, start_ns + 1);
    let marks = strip(&analysis);
    assert!(marks.starts_with('b') && marks.ends_with('R'), "{marks}");
    shorten(&mut analysis.windows.regression, i64::MAX - 2);
    let marks = strip(&analysis);
    assert!(
        marks.starts_with('b') && marks.ends_with('R') && !marks[1..marks.len() - 1].contains(['b', 'R']),
        "{marks}"
    );
    // Both in one column.
    shorten(&mut analysis.windows.regression, start_ns + 5);
    assert_eq!(strip(&analysis), "*  * is both");
}

#[test]
fn percentiles_and_counts_are_of_the_requests_that_traces_stand_for() {
    // 20 traces of 14 ms that stand for themselves and 10 of 104 ms that stand for 10 each, with two requests each: 240 requests.
    let sampled = |own: i64, rate: &str| -> Vec<Given> {
        let second = server(4, 0, "gateway GET /", 0..own + 4);
        page("GET /", own).into_iter().chain([second]).map(|span| span.attribute("sample_rate", rate)).collect()
    };
    let window: Vec<_> = (0..30).map(|n| if n % 3 == 0 { sampled(100, "10") } else { sampled(10, "1") }).collect();
    let analysis = analyze(&window, &window);
    let whole = &analysis.degradation;
    for (quantile, expected) in [(whole.p50_ms, 104.0), (whole.p95_ms, 104.0), (whole.p99_ms, 104.0)] {
        assert_eq!((quantile.baseline, quantile.regression), (expected, expected));
    }
    assert!((analysis.entries[0].p95_ms.regression - 104.0).abs() < 1e-9);
    assert!(
        analysis.time.iter().flat_map(|series| &series.p50_ms).flatten().all(|&p50_ms| (p50_ms - 104.0).abs() < 1e-9)
    );
    for window in [&analysis.windows.baseline, &analysis.windows.regression] {
        assert_eq!((window.n_traces, window.n_requests), (30, 240.0));
    }
    // One request of a trace stands for it in the choice of windows.
    let timeline = analysis.windows.timeline.as_ref().expect("a timeline");
    assert!((timeline.n_requests.iter().sum::<f64>() - 240.0).abs() < 1e-9);
}

#[test]
fn durations_of_hours_are_told_in_hours_on_their_axis() {
    let window = |own: i64| (0..40).map(|number| page("GET /", own + number)).collect::<Vec<_>>();
    let analysis = analyze(&window(20_000_000), &window(40_000_000));
    let html = page_of(&analysis);
    assert!(html.contains(">h</text>") && !html.contains(">ms</text>"));
    assert!(page_of(&slower()).contains(">ms</text>"));
}

fn page_of(analysis: &Analysis) -> String {
    suspect::report::html::page(analysis, &suspect::report::html::Options::default())
}
