//! What proves a suspect: whom it hurt, spans to open at every hop, the trace to set beside; worked by hand on tiny traces.

use crate::builder::{EPOCH_NS, Given, client, frame, internal, server};
use suspect::analysis::{self, Analysis, Suspect};
use suspect::ingest::Ingested;
use suspect::rank::Channel;
use suspect::{report, window};

const SECOND_MS: i64 = 1_000;
/// The regression begins this long after the baseline.
const HOUR_MS: i64 = 3_600 * SECOND_MS;

/// The analysis of two windows of traces a second apart; trace ids count from 1 in the baseline and from 10,001 in the regression.
pub(crate) fn analyze(baseline: &[Vec<Given>], regression: &[Vec<Given>]) -> Analysis {
    let prepared = prepare(baseline, regression);
    let (windows, selection) = prepared.select(&options()).expect("windows");
    analysis::analyze(&prepared, &windows, &selection).expect("an analysis")
}

pub(crate) fn prepare(baseline: &[Vec<Given>], regression: &[Vec<Given>]) -> analysis::Prepared {
    let at = |window: i64, traces: &[Vec<Given>]| -> Vec<Given> {
        let trace = |(second, spans): (i64, &Vec<Given>)| -> Vec<Given> {
            let id = 1 + window * 10_000 + second;
            spans.iter().map(|span| span.clone().trace(id).later(window * HOUR_MS + second * SECOND_MS)).collect()
        };
        (0..).zip(traces).flat_map(trace).collect()
    };
    let spans = [at(0, baseline), at(1, regression)].concat();
    analysis::prepare(None, Ingested { frame: frame(&spans), sources: Vec::new() })
}

pub(crate) fn options() -> window::Options {
    let at = |ms: i64| (EPOCH_NS + ms * 1_000_000).to_string();
    window::Options {
        baseline: Some(format!("{}..{}", at(0), at(HOUR_MS))),
        regression: Some(format!("{}..{}", at(HOUR_MS), at(2 * HOUR_MS))),
    }
}

/// gateway calls catalog, which takes `own` ms; a millisecond each on the way there and back and in the gateway before and after.
pub(crate) fn page(entry: &str, own: i64) -> Vec<Given> {
    vec![
        server(1, 0, &format!("gateway {entry}"), 0..own + 4),
        client(2, 1, "gateway GET", 1..own + 3),
        server(3, 2, "catalog list", 2..own + 2),
    ]
}

/// gateway answers by itself.
fn alone(own: i64) -> Vec<Given> {
    vec![server(1, 0, "gateway health", 0..own)]
}

#[track_caller]
fn first(analysis: &Analysis) -> &Suspect {
    analysis.suspects.first().expect("a suspect")
}

#[track_caller]
fn assert_close(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 1e-9, "{actual} is not {expected}");
}

#[test]
fn requests_that_a_suspect_hurt_are_counted_by_entry_beyond_those_of_the_baseline() {
    // Baseline: 100 pages whose catalog takes 1 to 100 ms, so 95 % take at most 95.05 ms and 5 take more; 60 requests never pass it.
    let baseline: Vec<_> = (1..=100).map(|own| page("page", own)).chain((0..60).map(|_| alone(5))).collect();
    // Regression: 80 pages of 200 ms and 20 of 50 ms: 80 are unusual, 5 of 100 would have been anyway, so 75 were hurt.
    let slow = (0..100).map(|number| page("page", if number % 5 == 4 { 50 } else { 200 }));
    let analysis = analyze(&baseline, &slow.chain((0..60).map(|_| alone(5))).collect::<Vec<_>>());
    let suspect = first(&analysis);
    assert_eq!((suspect.service.as_str(), suspect.operation.as_deref()), ("catalog", Some("list")));
    assert_eq!(suspect.impact.entries.len(), 1, "{:?}", suspect.impact);
    let entry = &suspect.impact.entries[0];
    assert_eq!((entry.service.as_str(), entry.operation.as_str(), entry.is_background), ("gateway", "page", false));
    assert_close(entry.n_requests_of_entry, 100.0);
    assert_close(entry.n_requests, 100.0);
    assert_close(entry.n_requests_hurt, 75.0);
    assert_close(entry.n_requests_failed, 0.0);
    // 170 ms instead of 50.5 ms in every page.
    assert_close(entry.contribution_ms, 119.5);
    assert_close(entry.added_seconds, 11.95);
    assert_close(suspect.impact.n_requests_hurt, 75.0);
    assert_close(suspect.impact.added_seconds, 11.95);
    // 100 of 160 requests are pages.
    assert_close(suspect.contribution_ms, 119.5 * 100.0 / 160.0);
}

#[test]
fn an_entrys_parts_times_the_entrys_shares_sum_to_the_contribution_though_shares_change() {
    // catalog takes 10 ms more for both entries; 30 of 100 requests are to `page` before and 60 after, the others to `list`.
    let window = |pages: usize, own: i64| -> Vec<Vec<Given>> {
        let of = |number: usize| page(if number < pages { "page" } else { "list" }, own);
        (0..100).map(of).collect()
    };
    let analysis = analyze(&window(30, 10), &window(60, 20));
    let suspect = first(&analysis);
    let shares = |operation: &str| if operation == "page" { f64::midpoint(0.3, 0.6) } else { f64::midpoint(0.7, 0.4) };
    let parts: f64 = suspect.impact.entries.iter().map(|entry| entry.contribution_ms * shares(&entry.operation)).sum();
    assert_close(parts, suspect.contribution_ms);
    for entry in &suspect.impact.entries {
        assert_close(entry.contribution_ms, 10.0);
        // Every one of them takes 20 ms where none took more than 10.
        assert_close(entry.n_requests_hurt, entry.n_requests_of_entry);
    }
    for path in &suspect.paths {
        assert_close(path.contribution_ms_per_entry_request, 10.0);
    }
}

#[test]
fn a_failing_request_is_hurt_by_where_its_failure_began() {
    let failing = |own: i64| -> Vec<Given> { page("page", own).into_iter().map(Given::failed).collect() };
    // 2 of 100 fail before, 32 of 100 after; nothing is slower.
    let window = |n_failing: usize| -> Vec<Vec<Given>> {
        (0..100).map(|number| if number < n_failing { failing(10) } else { page("page", 10) }).collect()
    };
    let analysis = analyze(&window(2), &window(32));
    let suspect = first(&analysis);
    assert_eq!(suspect.service, "catalog");
    let entry = &suspect.impact.entries[0];
    assert_close(entry.n_requests_failed, 30.0);
    assert_close(entry.n_requests_hurt, 30.0);
}

#[test]
fn requests_that_failed_are_among_those_that_were_hurt() {
    let failing = |own: i64| -> Vec<Given> { page("page", own).into_iter().map(Given::failed).collect() };
    // Of 100 the 10 slowest take 30 ms before; after, 40 fail, and they fail early, so that none is slow.
    let baseline: Vec<_> =
        (0..100).map(|number| page("page", if number % 10 == 9 { 30 + number } else { 10 })).collect();
    let fast = (0..100).map(|number| if number % 5 < 2 { failing(1) } else { page("page", 10) });
    let analysis = analyze(&baseline, &fast.collect::<Vec<_>>());
    let impact = &first(&analysis).impact;
    assert_close(impact.n_requests_failed, 40.0);
    assert_close(impact.n_requests_hurt, 40.0);
    // Where 30 of the others are slow besides, they are hurt, too, but for the 5 of 100 that were as slow before.
    let slow = (0..100).map(|number| match number % 10 {
        0..4 => failing(1),
        4..7 => page("page", 500),
        _ => page("page", 10),
    });
    let analysis = analyze(&baseline, &slow.collect::<Vec<_>>());
    let impact = &first(&analysis).impact;
    assert_close(impact.n_requests_failed, 40.0);
    assert_close(impact.n_requests_hurt, 40.0 + 30.0 - 0.05 * 60.0);
}

#[test]
fn every_hop_has_the_numbers_of_both_windows_and_spans_to_open() {
    let baseline: Vec<_> = (0..60).map(|_| page("page", 10)).collect();
    let regression: Vec<_> = (0..60).map(|number| page("page", 40 + number)).collect();
    let analysis = analyze(&baseline, &regression);
    let path = &first(&analysis).paths[0];
    let names: Vec<&str> = path.hops.iter().map(|hop| hop.operation.as_str()).collect();
    assert_eq!(names, ["page", "GET", "list"]);
    // On average 40 + 29.5 ms of catalog, 2 more on the way, 2 more in the gateway.
    for (hop, around) in path.hops.iter().zip([4.0, 2.0, 0.0]) {
        assert_close(hop.duration_ms.baseline, 10.0 + around);
        assert_close(hop.duration_ms.regression, 69.5 + around);
        assert_close(hop.calls_per_request.baseline, 1.0);
        // 60 / 20 = 3 extremes are left out: 96, 95 and 94 ms, the traces of the 57th, 56th and 55th second.
        let spans: Vec<(&str, f64)> =
            hop.exemplars.iter().map(|span| (span.trace_id.as_str(), span.duration_ms - around)).collect();
        assert_eq!(spans.len(), 3, "{spans:?}");
        for ((trace, duration_ms), second) in spans.iter().zip([56, 55, 54]) {
            assert_eq!(trace.trim_start_matches('0'), (10_001 + second).to_string(), "{spans:?}");
            assert_close(*duration_ms, 40.0 + f64::from(second));
        }
    }
    let ids: Vec<&str> = path.hops.iter().map(|hop| hop.exemplars[0].span_id.as_str()).collect();
    assert_eq!(ids, ["0000000000000001", "0000000000000002", "0000000000000003"]);
}

#[test]
fn the_trace_beside_an_exemplar_makes_the_same_calls_and_has_an_ordinary_duration() {
    let twice = |own: i64| -> Vec<Given> {
        vec![
            server(1, 0, "gateway page", 0..2 * own + 8),
            client(2, 1, "gateway GET", 1..own + 3),
            server(3, 2, "catalog list", 2..own + 2),
            client(4, 1, "gateway GET", own + 5..2 * own + 7),
            server(5, 4, "catalog list", own + 6..2 * own + 6),
        ]
    };
    // 31 pages with one call, which are the rule, and three with two calls: of 26, 36 and 46 ms. The median of all lies below them.
    let mut baseline: Vec<_> = (0..31).map(|_| page("page", 8)).collect();
    baseline.extend([twice(19), twice(9), twice(14)]);
    let regression: Vec<_> = (0..40).map(|_| twice(60)).collect();
    let analysis = analyze(&baseline, &regression);
    let suspect = analysis.suspects.iter().find(|suspect| suspect.service == "catalog").expect("catalog");
    for exemplar in &suspect.exemplars {
        let beside = exemplar.beside.as_ref().expect("a trace of the baseline");
        assert_eq!(beside.n_calls_apart, 0);
        assert_close(beside.duration_ms, 26.0);
        // The 33rd of the baseline.
        assert_eq!(beside.trace_id.trim_start_matches('0'), "33");
    }
    assert_eq!(suspect.baseline_trace_ids.len(), 1);
}

#[test]
fn without_a_trace_of_the_same_shape_the_one_with_the_fewest_other_calls_stands_beside() {
    let calls = |n_calls: i64, own: i64| -> Vec<Given> {
        let mut spans = vec![server(1, 0, "gateway page", 0..n_calls * (own + 2) + 2)];
        for call in 0..n_calls {
            let (start, id) = (1 + call * (own + 2), 2 + 2 * u64::try_from(call).expect("few"));
            spans.push(client(id, 1, "gateway GET", start..start + own + 2));
            spans.push(server(id + 1, id, "catalog list", start + 1..start + own + 1));
        }
        spans
    };
    // One call as a rule, four calls twice.
    let mut baseline: Vec<_> = (0..38).map(|_| calls(1, 5)).collect();
    baseline.extend([calls(4, 5), calls(4, 5)]);
    // Seven calls: three client and three server spans more than four, six and six more than one.
    let analysis = analyze(&baseline, &(0..40).map(|_| calls(7, 5)).collect::<Vec<_>>());
    let exemplar = &first(&analysis).exemplars[0];
    let beside = exemplar.beside.as_ref().expect("a trace of the baseline");
    assert_eq!(beside.n_calls_apart, 6);
    assert_close(beside.duration_ms, 30.0);
}

#[test]
fn a_call_that_is_made_anyway_is_not_what_hurts() {
    // `page` takes the catalog's answer as it comes, in both windows; `list` makes two calls instead of one.
    let list = |n_calls: i64| -> Vec<Given> {
        let mut spans = vec![server(1, 0, "gateway list", 0..n_calls * 30 + 2)];
        for call in 0..n_calls {
            let (start, id) = (1 + call * 30, 2 + 2 * u64::try_from(call).expect("few"));
            spans.push(client(id, 1, "gateway GET", start..start + 30));
            spans.push(server(id + 1, id, "catalog list", start + 1..start + 29));
        }
        spans
    };
    let window = |n_calls: i64| -> Vec<Vec<Given>> {
        (0..80).map(|number| if number % 2 == 0 { page("page", 28) } else { list(n_calls) }).collect()
    };
    let analysis = analyze(&window(1), &window(2));
    let suspect = first(&analysis);
    assert_eq!((suspect.service.as_str(), suspect.kind.as_str()), ("gateway", "more calls"));
    let hurt: Vec<(&str, f64)> =
        suspect.impact.entries.iter().map(|entry| (entry.operation.as_str(), entry.n_requests_hurt)).collect();
    assert_eq!(hurt, [("list", 40.0)]);
}

#[test]
fn the_document_with_its_evidence_survives_a_round_trip() {
    let baseline: Vec<_> = (0..40).map(|_| page("page", 10)).collect();
    let regression: Vec<_> = (0..40).map(|_| page("page", 30)).collect();
    let analysis = analyze(&baseline, &regression);
    let again: Analysis = serde_json::from_str(&suspect::report::json(&analysis)).expect("a document");
    assert_eq!(
        suspect::report::analysis::text(&again, suspect::report::WIDTH),
        suspect::report::analysis::text(&analysis, suspect::report::WIDTH)
    );
}

#[test]
fn what_no_request_waits_for_is_told_apart_from_what_is_added_to_requests() {
    // Each page of 10 and then 20 ms in catalog has beside it a call to catalog whose caller is missing, of 10 and then 40 ms.
    let window = |own: i64, beside: i64| -> Vec<Vec<Given>> {
        let both = || [page("page", own), vec![server(9, 99, "catalog list", 0..beside)]].concat();
        (0..100).map(|_| both()).collect()
    };
    let analysis = analyze(&window(10, 10), &window(20, 40));
    assert_close(analysis.degradation.change_ms, 10.0);
    let service = analysis.services.first().expect("a service");
    assert_eq!(service.service, "catalog");
    assert_close(service.contribution.ms, 40.0);
    assert_close(service.contribution.background_ms, 30.0);
    let said = "catalog adds 10.0 ms, and 30.0 ms of work in the background, to a request on average";
    assert!(analysis.summary.starts_with(said), "{}", analysis.summary);
    // All that is accused of the requests themselves is theirs.
    let analysis = analyze(&window(10, 10), &window(20, 10));
    assert_close(analysis.services[0].contribution.background_ms, 0.0);
    assert!(!analysis.summary.contains("background"), "{}", analysis.summary);
}

#[test]
fn a_single_request_that_the_mean_hangs_on_is_named_and_so_is_one_longer_than_the_data() {
    let usual = || (0..40).map(|number| page("page", 20 + number % 5));
    let told = |odd_ms: i64| {
        let regression = usual().chain([page("page", odd_ms)]).collect::<Vec<_>>();
        analyze(&usual().collect::<Vec<_>>(), &regression)
    };
    assert!(told(24).diagnostics.warnings.is_empty(), "{:?}", told(24).diagnostics.warnings);
    // 40 requests of 26 ms and one of ten hours: the mean is 878 s with it.
    let analysis = told(10 * HOUR_MS - 4);
    let [mean, longer] = analysis.diagnostics.warnings.as_slice() else {
        panic!("{:?}", analysis.diagnostics.warnings)
    };
    let name = "`gateway: page` of trace ";
    assert!(mean.starts_with(&format!("a single request moves the mean: without {name}")), "{mean}");
    assert!(mean.contains(", which took 10 h, that of the regression would be 26.0 ms instead of 878074 ms"), "{mean}");
    assert!(longer.starts_with(name), "{longer}");
    assert!(longer.contains("in the regression takes 10 h, longer than the 1 h from the first request"), "{longer}");
    let text = suspect::report::markdown::markdown(&analysis, &suspect::report::markdown::Options { trace_url: None });
    assert!(
        text.contains("- Limits: a single request moves the mean") && !text.contains("Nothing in the data"),
        "{text}"
    );
}

#[test]
fn a_contribution_is_a_share_of_the_change_only_where_that_is_told_from_none_and_goes_the_same_way() {
    let window = |own: i64| (0..60).map(|number| page("page", own + number % 5)).collect::<Vec<_>>();
    let mut analysis = analyze(&window(20), &window(60));
    let own = first(&analysis).contribution;
    assert_close(own.percent, 100.0 * own.ms / analysis.degradation.adjusted_change_ms);
    assert_eq!(own.told_percent(&analysis.degradation), Some(own.percent));
    let other = analysis::Contribution { percent: -own.percent, ..own };
    assert_eq!(other.told_percent(&analysis.degradation), None);
    let behind = analysis::Contribution { background_ms: own.ms / 2.0, ..own };
    assert_eq!(behind.told_percent(&analysis.degradation), None);
    let shown = |analysis: &Analysis| {
        let options = suspect::report::html::Options { trace_url: None };
        let html = suspect::report::html::page(analysis, &options);
        let text = suspect::report::analysis::text(analysis, 100);
        (
            html.matches("+100 %").count(),
            text.lines().any(|line| line.starts_with("  change of the mean") && line.contains('%')),
            text.contains("% of the change of the mean)"),
        )
    };
    let (n_html, has_text, is_told) = shown(&analysis);
    assert!(n_html > 2 && has_text && is_told, "{n_html} {has_text} {is_told}");
    for interval in [&mut analysis.degradation.interval_ms, &mut analysis.degradation.adjusted_interval_ms] {
        *interval = [-1.0, 90.0];
    }
    analysis.degradation.typical_interval_ms = [-1.0, 90.0];
    analysis.degradation.tail_interval_ms = [-1.0, 90.0];
    assert_eq!(shown(&analysis), (0, false, false));
}

#[test]
fn a_call_and_its_answer_of_one_name_are_one_call_and_calls_that_nobody_waits_for_count() {
    // As gRPC names them. A second call runs behind the first and holds nobody up.
    let named = |own: i64| -> Vec<Given> {
        vec![
            server(1, 0, "gateway page", 0..own + 4),
            client(2, 1, "gateway list", 1..own + 3),
            server(3, 2, "catalog list", 2..own + 2),
            internal(4, 3, "catalog sort", 3..4),
            client(5, 1, "gateway list", 1..own),
            server(6, 5, "catalog list", 2..own - 1),
        ]
    };
    let window = |own: i64| (0..60).map(|number| named(own + number % 3)).collect::<Vec<_>>();
    let analysis = analyze(&window(10), &window(40));
    let suspect = first(&analysis);
    assert_eq!((suspect.service.as_str(), suspect.operation.as_deref()), ("catalog", Some("list")));
    // Of 11 ms on average one is spent in `sort`.
    assert_close(suspect.per_call_ms.baseline, 10.0);
    assert_close(suspect.per_call_ms.regression, 40.0);
    assert_close(suspect.calls_per_request.baseline, 2.0);
    assert_close(suspect.calls_per_request.regression, 2.0);
    let account = |operation: Option<&str>| {
        let is_own = |own: &&suspect::analysis::OperationAccount| {
            own.service == "catalog" && own.operation.as_deref() == operation && own.edge.is_none()
        };
        analysis.operations.iter().find(is_own).expect("an account")
    };
    assert_eq!(account(Some("list")).per_call_ms, suspect.per_call_ms);
    assert_eq!(account(Some("list")).calls_per_request, suspect.calls_per_request);
    // A call of the service from outside holds all of it: one more in `sort`, and two on the way.
    assert_close(account(None).per_call_ms.regression, 43.0);
    assert_close(account(None).calls_per_request.regression, 2.0);
    // The call leads to its answer: one way.
    assert_eq!(suspect.paths.len(), 1, "{:?}", suspect.paths);
    assert_close(suspect.paths[0].contribution_ms, 30.0);
}

#[test]
fn who_is_accused_for_the_slowest_requests_is_shown_by_these() {
    // All pages become 50 ms faster but for each 25th, which takes a second longer: 8 of the 10 slowest.
    let baseline: Vec<_> = (0..200).map(|number| page("page", 60 + number % 3)).collect();
    let slow = |number: i64| if number % 25 == 24 { 1_060 } else { 10 };
    let regression: Vec<_> = (0..200).map(|number| page("page", slow(number) + number % 3)).collect();
    let analysis = analyze(&baseline, &regression);
    let suspect = first(&analysis);
    assert_eq!((suspect.service.as_str(), suspect.channel), ("catalog", Channel::TailLatency));
    assert!(suspect.contribution.ms < 0.0, "{:?}", suspect.contribution);
    let traces: Vec<f64> = suspect.exemplars.iter().map(|exemplar| exemplar.suspect_ms).collect();
    assert!(traces.len() == 3 && traces.iter().all(|&ms| ms >= 1_060.0), "{traces:?}");
    let spans = &suspect.paths[0].hops.last().expect("a hop").exemplars;
    assert!(spans.iter().all(|span| span.duration_ms >= 1_060.0), "{spans:?}");
    // 8 of 10 take 1,000 ms more and 2 take 50 less, give or take 2: what is told of it is told of the slowest.
    let [path, entry] = [suspect.paths[0].contribution_ms, suspect.impact.entries[0].contribution_ms];
    assert!((path - 790.0).abs() < 3.0 && (entry - 790.0).abs() < 3.0, "{path} {entry}");
    assert!((suspect.impact.added_seconds - 7.9).abs() < 0.03, "{}", suspect.impact.added_seconds);
    let text = report::analysis::text(&analysis, report::WIDTH);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("on average of all +789 ms in the slowest 5 %") && !text.contains("None of"), "{text}");
    assert!(text.contains("+7.89 s in all to the slowest 5 %"), "{text}");
    let html = report::html::page(&analysis, &report::html::Options::default());
    assert!(html.contains("the slowest 5 % of requests: +7") && html.contains(" in the slowest 5 %"), "{html}");
}

#[test]
fn a_request_that_returns_early_stands_beside_one_that_makes_the_calls() {
    let early = || vec![server(1, 0, "gateway page", 0..2)];
    let whole = |number: i64| page("page", 40 + number % 3);
    let baseline: Vec<_> = (0..60).map(whole).collect();
    let regression: Vec<_> = (0..60).map(|number| if number % 2 == 0 { early() } else { whole(number) }).collect();
    let analysis = analyze(&baseline, &regression);
    let suspect = first(&analysis);
    assert_eq!((suspect.service.as_str(), suspect.channel), ("gateway", Channel::MissingCalls));
    for exemplar in &suspect.exemplars {
        let beside = exemplar.beside.as_ref().expect("a trace of the baseline");
        assert_close(exemplar.duration_ms, 2.0);
        assert_eq!(beside.n_calls_apart, 2);
        assert_close(beside.duration_ms, 45.0);
    }
    // Every one that lacks the calls is hurt, though none takes less time in the gateway than a whole one does.
    assert_close(suspect.impact.n_requests_hurt, 30.0);
}

#[test]
fn ways_to_a_suspect_end_there_though_it_hides_what_others_do() {
    // a, side by side with b, becomes the longer one: what b no longer adds is counted to a, and says nothing of the way to it.
    let both = |a: i64| -> Vec<Given> {
        vec![
            server(1, 0, "gateway page", 0..a.max(30) + 2),
            client(2, 1, "gateway first", 1..a + 1),
            server(3, 2, "a get", 1..a + 1),
            client(4, 1, "gateway second", 1..31),
            server(5, 4, "b get", 1..31),
        ]
    };
    let window = |a: i64| (0..60).map(|number| both(a + number % 3)).collect::<Vec<_>>();
    let analysis = analyze(&window(20), &window(70));
    let suspect = first(&analysis);
    assert_eq!(suspect.service, "a");
    for path in analysis.suspects.iter().filter(|suspect| suspect.service == "a").flat_map(|suspect| &suspect.paths) {
        let last = path.hops.last().expect("a hop");
        assert!(last.service == "a" || last.operation == "first", "{:?}", path.hops);
    }
}
