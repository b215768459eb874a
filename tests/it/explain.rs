//! The account of one suspect: its arithmetic, its standing, its names, what would overturn it; worked by hand on tiny traces.

use crate::builder::{Given, client, forest, server};
use crate::evidence::{analyze, options, page, prepare};
use crate::program::{assert_readable, run_in};
use suspect::analysis::{self, Explanation, Factor, Suspect};
use suspect::compare::paths::{Scope, cost_table};
use suspect::compare::{Selection, compare};
use suspect::error::Error;
use suspect::{canonical, report};

fn explain(baseline: &[Vec<Given>], regression: &[Vec<Given>], suspect: &str) -> Result<Explanation, Error> {
    let prepared = prepare(baseline, regression);
    let (windows, selection) = prepared.select(&options())?;
    analysis::explain(&prepared, &windows, &selection, &analysis::Options::default(), suspect)
}

#[track_caller]
fn assert_close(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 1e-9, "{actual} is not {expected}");
}

/// `n` traces, each made from its number.
fn many(n: i64, trace: impl Fn(i64) -> Vec<Given>) -> Vec<Vec<Given>> {
    (0..n).map(trace).collect()
}

/// gateway calls catalog `n_calls` times one after the other; each call takes `own` ms there and 2 ms on the way.
fn calls(n_calls: i64, own: i64) -> Vec<Given> {
    let mut spans = vec![server(1, 0, "gateway page", 0..n_calls * (own + 2) + 2)];
    for call in 0..n_calls {
        let (start, id) = (1 + call * (own + 2), 2 + 2 * u64::try_from(call).expect("few"));
        spans.push(client(id, 1, "gateway GET", start..start + own + 2));
        spans.push(server(id + 1, id, "catalog list", start + 1..start + own + 1));
    }
    spans
}

/// catalog and stock answer the gateway; stock asks postgresql, which leaves no span.
fn shop(catalog: i64, stock: i64, query: i64) -> Vec<Given> {
    let second = catalog + 4;
    vec![
        server(1, 0, "gateway page", 0..catalog + stock + query + 9),
        client(2, 1, "gateway GET", 1..catalog + 3),
        server(3, 2, "catalog list", 2..catalog + 2),
        client(4, 1, "gateway POST", second..second + stock + query + 4),
        server(5, 4, "stock count", second + 1..second + stock + query + 3),
        client(6, 5, "stock SELECT", second + 2..second + query + 2).attribute("db.system", "postgresql"),
    ]
}

/// Both windows noisy, so that every effect has an error.
fn shops() -> [Vec<Vec<Given>>; 2] {
    [many(80, |n| shop(5 + n % 3, 6, 4 + n % 2)), many(80, |n| shop(5 + (n + 1) % 3, 6, 24 + n % 5))]
}

#[test]
fn the_factors_of_every_path_multiply_to_its_effects() {
    let mut spans = Vec::new();
    let windows = [many(30, |n| calls(1 + n % 3, 5 + n % 7)), many(40, |n| calls(1 + n % 5, 9 + n % 4))];
    for (window, traces) in (0..).zip(&windows) {
        for (second, trace) in (0..).zip(traces) {
            let at = window * 1_000 + second;
            spans.extend(trace.iter().map(|span| span.clone().trace(1 + at).later(at * 1_000)));
        }
    }
    // One call that two windows have in common runs beside another, so that q changes as well.
    spans.extend(
        [server(1, 0, "gateway page", 0..20), client(2, 1, "gateway GET", 1..15), client(4, 1, "gateway GET", 1..19)]
            .map(|span| span.trace(5_000).later(100_000)),
    );
    let (_, forest, _) = forest(&spans);
    let table = cost_table(&forest);
    let all: Vec<u32> = (0..71).collect();
    let selection = Selection { baseline: all[..30].to_vec(), regression: all[30..].to_vec() };
    let comparison = compare(&forest, &table, &selection);
    let factors = comparison.factors(&table, Scope::Request);
    let mut largest = [0.0_f64; 5];
    for (path, factors) in factors.iter().enumerate() {
        for ((product, effect), largest) in
            factors.effects().into_iter().zip(comparison.effects.of(path)).zip(&mut largest)
        {
            assert!((product - effect).abs() < 1e-3, "path {path}: {product} ns is not {effect} ns");
            *largest = largest.max(effect.abs());
        }
    }
    // All but waiting are really there.
    assert!(largest[0] > 0.0 && largest[3] > 0.0 && largest[4] > 0.0, "{largest:?}");
}

#[test]
fn products_sum_to_the_paths_the_paths_to_the_causes_and_the_causes_to_the_contribution() {
    let windows = [many(60, |n| calls(1 + n % 3, 5 + n % 7)), many(60, |n| calls(2 + n % 3, 9 + n % 4))];
    for suspect in ["catalog", "gateway", "catalog: list", "gateway -> catalog"] {
        let account = explain(&windows[0], &windows[1], suspect).expect("an account");
        let contribution = account.contribution.ms;
        for path in &account.paths {
            let terms: f64 = path.terms.iter().map(|term| term.contribution_ms).sum();
            assert_close(terms, path.contribution_ms);
            for term in &path.terms {
                let change = term.values.regression - term.values.baseline;
                assert_close(term.visits * change * term.worth_ms * term.rate * term.part, term.contribution_ms);
            }
        }
        assert_close(account.paths.iter().map(|path| path.contribution_ms).sum(), contribution);
        assert_close(account.causes.iter().map(|cause| cause.contribution_ms).sum(), contribution);
    }
}

#[test]
fn the_arithmetic_shows_the_numbers_of_both_windows() {
    // One call of 6 ms before, three of 6 ms after; a call is worth 6 + 2 ms.
    let account = explain(&many(40, |_| calls(1, 6)), &many(40, |_| calls(3, 6)), "gateway").expect("an account");
    let path = &account.paths[0];
    assert_eq!(path.terms.len(), 1);
    let term = &path.terms[0];
    assert_eq!(term.factor, Factor::Calls);
    assert_close(term.visits, 1.0);
    assert_close(term.values.baseline, 1.0);
    assert_close(term.values.regression, 3.0);
    assert_close(term.worth_ms, 8.0);
    assert_close(term.contribution_ms, 16.0);
    let step = &path.steps[1];
    assert_eq!((step.service.as_str(), step.peer.as_deref()), ("gateway", Some("catalog")));
    // W: mean kappa 2 times mean q 1.
    assert_close(step.visits_per_request, 2.0);
    assert_close(path.n_calls.baseline, 40.0);
    assert_close(path.n_calls.regression, 120.0);
    assert_close(path.duration_ms.regression, 8.0);
    assert_close(path.self_ms.regression, 1.0);
    assert_close(path.before_ms.regression, 1.0);
    assert_close(path.inclusive_ms.regression, 8.0);
    let text = report::explain::text(&account, report::WIDTH);
    assert!(text.contains("1 visits above x (3 - 1) calls x 8 ms = 16 ms"), "{text}");
}

#[test]
fn a_suspect_can_be_named_in_every_way() {
    let [baseline, regression] = shops();
    let about = |suspect: &str| {
        let about = explain(&baseline, &regression, suspect).expect(suspect).about;
        let edge = about.edge.map(|edge| format!("{} -> {}", edge.caller, edge.callee));
        (about.service, about.operation, edge)
    };
    let service = |name: &str| (name.to_owned(), None, None);
    let operation = |name: &str, operation: &str| (name.to_owned(), Some(operation.to_owned()), None);
    let edge = ("stock".to_owned(), None, Some("gateway -> stock".to_owned()));
    assert_eq!(about("catalog"), service("catalog"));
    assert_eq!(about(" Catalog "), service("catalog"));
    assert_eq!(about("catalog:list"), operation("catalog", "list"));
    assert_eq!(about("catalog: list"), operation("catalog", "list"));
    assert_eq!(about("CATALOG: LIST"), operation("catalog", "list"));
    assert_eq!(about("list"), operation("catalog", "list"));
    assert_eq!(about("gateway -> stock"), edge);
    assert_eq!(about("gateway->stock"), edge);
    // A client span's own time is the way to whom it calls.
    assert_eq!(about("gateway: POST"), edge);
    // The database got slower.
    assert_eq!(about("1"), service("postgresql"));
    assert_eq!(about("postgresql: SELECT"), operation("postgresql", "SELECT"));
}

#[test]
fn an_unknown_suspect_is_an_error_that_names_the_ones_most_like_it() {
    let [baseline, regression] = shops();
    let error = explain(&baseline, &regression, "catalogue").expect_err("no such service");
    assert!(matches!(error, Error::NotFound { .. }));
    let hint = error.hint().expect("a hint");
    assert!(hint.starts_with("the names most like it are `catalog`"), "{hint}");
    let error = explain(&baseline, &regression, "99").expect_err("no such place");
    assert!(error.hint().expect("a hint").contains("places go from 1 to"), "{error:?}");
    for text in ["", " ", ":", "->", "0", "a -> ", "\u{1b}[31m", &"x".repeat(10_000)] {
        assert!(matches!(explain(&baseline, &regression, text), Err(Error::NotFound { .. })), "{text:?}");
    }
}

#[test]
fn a_service_that_is_not_accused_is_told_why_not() {
    let [baseline, regression] = shops();
    let account = explain(&baseline, &regression, "catalog").expect("an account");
    assert!(!account.is_accused && account.suspects.is_empty());
    assert!(account.summary.contains("it is not accused"), "{}", account.summary);
    let latency = account.standing.iter().find(|sentence| sentence.starts_with("mean latency")).expect("a channel");
    assert!(
        latency.contains("less than the") || latency.contains("no worse") || latency.contains("chance"),
        "{latency}"
    );
    assert!(account.channels.iter().all(|channel| !channel.is_significant));

    let accused = explain(&baseline, &regression, "postgresql").expect("an account");
    assert!(accused.is_accused && accused.about.is_inferred);
    assert_eq!(accused.service_rank, Some(1));
    assert!(accused.summary.contains("it is suspect 1"), "{}", accused.summary);
    let latency = accused.standing.iter().find(|sentence| sentence.starts_with("mean latency")).expect("a channel");
    assert!(latency.contains("worth reporting and than chance"), "{latency}");
}

#[test]
fn an_edges_gap_is_shown_with_to_whom_it_was_given_and_why() {
    // Each call of catalog waits 30 ms before it begins; stock's calls do not.
    let late = |n: i64, wait: i64| -> Vec<Given> {
        let second = wait + 5 + n % 2;
        vec![
            server(1, 0, "gateway page", 0..second + 8),
            client(2, 1, "gateway GET", 1..second - 1),
            server(3, 2, "catalog list", 1 + wait..second - 1),
            client(4, 1, "gateway POST", second..second + 7),
            server(5, 4, "stock count", second + 1..second + 6),
        ]
    };
    let account =
        explain(&many(60, |n| late(n, 1)), &many(60, |n| late(n, 31)), "gateway -> catalog").expect("an account");
    assert_eq!(account.edges.len(), 1);
    let edge = &account.edges[0];
    assert_close(edge.n_visits.baseline, 60.0);
    assert_close(edge.before_ms.baseline, 1.0);
    assert_close(edge.before_ms.regression, 31.0);
    let before = edge.blamed.iter().find(|part| part.part == "before").expect("it rose");
    assert_close(before.change_ms, 30.0);
    assert_eq!(before.service, "catalog");
    // catalog's only edge rose by 30 ms; of the gateway's two edges one did.
    assert_close(before.callee_worth_ms, 30.0);
    assert_close(before.caller_worth_ms, 15.0);
    assert!(before.reason.contains("the edges of catalog that rose explain it better"), "{}", before.reason);
    let all = explain(&many(60, |n| late(n, 1)), &many(60, |n| late(n, 31)), "gateway").expect("an account");
    assert_eq!(all.edges.len(), 2);
}

#[test]
fn an_account_is_readable_and_survives_a_round_trip() {
    let [baseline, regression] = shops();
    for suspect in ["postgresql", "gateway", "gateway -> stock", "stock: count"] {
        let account = explain(&baseline, &regression, suspect).expect("an account");
        assert_readable(&anstream::adapter::strip_str(&report::explain::text(&account, report::WIDTH)).to_string());
        let json = report::json(&account);
        let again: Explanation = serde_json::from_str(&json).expect("a document");
        assert_eq!(report::explain::text(&again, report::WIDTH), report::explain::text(&account, report::WIDTH));
    }
}

#[test]
fn names_from_the_data_cannot_drive_the_terminal() {
    let evil = |own: i64| -> Vec<Given> {
        let name = format!("ca\u{1b}[31mtalog\u{202e} {}", "l\u{7}ist".repeat(60));
        vec![
            server(1, 0, "gate\u{1b}]0;way page", 0..own + 4),
            client(2, 1, "gate\u{1b}]0;way GET", 1..own + 3),
            server(3, 2, &name, 2..own + 2),
        ]
    };
    let account = explain(&many(40, |n| evil(5 + n % 3)), &many(40, |n| evil(50 + n % 3)), "1").expect("an account");
    assert!(account.is_accused);
    assert_readable(&anstream::adapter::strip_str(&report::explain::text(&account, report::WIDTH)).to_string());
}

#[test]
fn the_program_explains_in_text_and_json_and_refuses_what_it_does_not_know() {
    let [baseline, regression] = shops();
    let folder = tempfile::tempdir().expect("a folder");
    canonical::write(&prepare(&baseline, &regression).frame, &folder.path().join("spans.parquet"), false)
        .expect("a file");
    let windows = options();
    let [before, after] = [windows.baseline.expect("given"), windows.regression.expect("given")];
    let run = |suspect: &str, format: &str| {
        let arguments = ["analyze", "spans.parquet", "--baseline", &before, "--regression", &after];
        run_in(folder.path(), &[&arguments[..], &["--explain", suspect, "--format", format]].concat())
    };
    let text = run("postgresql", "terminal").complete();
    assert_readable(&text);
    for wanted in ["postgresql (no spans of its own)", "Why it is accused", "The arithmetic", "The paths sum to"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let json = run("stock -> postgresql", "json").json();
    assert_eq!(json["schema_version"], analysis::EXPLANATION_SCHEMA_VERSION);
    assert_eq!(json["about"]["edge"]["callee"], "postgresql");
    assert!(json["paths"][0]["steps"][0]["share"]["baseline"].is_number());
    let refused = run("nobody", "terminal");
    assert_eq!(refused.status, Some(2));
    assert!(refused.stderr.contains("there is no service, operation or edge `nobody`"), "{}", refused.stderr);
    assert!(refused.stderr.contains("hint: the names most like it are"), "{}", refused.stderr);
}

/// What speaks against the first suspect of this service.
fn doubts(baseline: &[Vec<Given>], regression: &[Vec<Given>], service: &str) -> Vec<String> {
    let analysis = analyze(baseline, regression);
    let is_own = |suspect: &&Suspect| suspect.service == service;
    analysis.suspects.iter().find(is_own).expect("a suspect").overturned_by.clone()
}

#[test]
fn a_clear_finding_has_nothing_against_it() {
    let against = doubts(&many(200, |n| page("page", 10 + n % 5)), &many(200, |n| page("page", 40 + n % 5)), "catalog");
    assert!(against.is_empty(), "{against:?}");
}

#[test]
fn a_few_requests_that_carry_it_all_are_told() {
    // 18 of 600 requests take 3 s instead of 10 to 14 ms: 18 x 2,988 ms in all. The slowest 15, against the slowest 15 of the
    // baseline, are 15 x 2,986 ms of it, which is 83 %; 14 of them are 78 %.
    let slow = |n: i64| page("page", if n % 32 == 31 { 3_000 } else { 10 + n % 5 });
    let against = doubts(&many(600, |n| page("page", 10 + n % 5)), &many(600, slow), "catalog");
    let found = against.iter().find(|sentence| sentence.contains("make up most of it")).expect("few requests");
    assert!(found.starts_with("15 of 600 requests to gateway: page that pass it make up most of it"), "{found}");
    // A long tail that both windows have carries nothing: every request is 30 ms slower.
    let tail = |n: i64, more: i64| page("page", more + if n % 32 == 31 { 100 } else { 10 + n % 5 });
    let against = doubts(&many(600, |n| tail(n, 0)), &many(600, |n| tail(n, 30)), "catalog");
    assert!(against.iter().all(|sentence| !sentence.contains("make up most of it")), "{against:?}");
}

#[test]
fn calls_that_became_rarer_while_each_takes_longer_are_told() {
    // Four calls of 10 ms a request, then one of 500 ms in every fifth: 490 ms longer for the mean of 4 and 0.2 calls is 1,029 ms.
    let [before, after] = [many(100, |_| calls(4, 10)), many(100, |n| calls(i64::from(n % 5 == 0), 500))];
    let against = doubts(&before, &after, "catalog");
    let found = against.iter().find(|sentence| sentence.starts_with("calls of it became rarer")).expect("fewer calls");
    assert!(found.contains("(0.200 a request instead of 4.00)") && found.contains("+1029 ms"), "{found}");
    assert!(found.ends_with("requests now spend 100 ms on it, 40.0 ms before"), "{found}");
    // As many calls, or as fast ones, leave nothing to tell.
    let slower = doubts(&before, &many(100, |_| calls(4, 500)), "catalog");
    assert!(slower.iter().all(|sentence| !sentence.contains("rarer")), "{slower:?}");
}

#[test]
fn a_fault_that_came_and_went_and_a_baseline_that_is_not_steady_are_told() {
    let calm = many(200, |n| page("page", 10 + n % 5));
    // The third and fourth tenth of the regression.
    let passing = many(200, |n| page("page", if (40..80).contains(&n) { 60 } else { 10 + n % 5 }));
    let against = doubts(&calm, &passing, "catalog");
    let found = against.iter().find(|sentence| sentence.starts_with("it came and went")).expect("a stretch");
    assert!(found.contains("2 of 10 equal parts"), "{found}");
    assert!(against.iter().all(|sentence| !sentence.starts_with("the baseline is not steady")), "{against:?}");
    // One tenth of the baseline was as slow as all of the regression.
    let unsteady = many(200, |n| page("page", if (100..120).contains(&n) { 60 } else { 10 + n % 5 }));
    let against = doubts(&unsteady, &many(200, |n| page("page", 60 + n % 5)), "catalog");
    let found = against.iter().find(|sentence| sentence.starts_with("the baseline is not steady")).expect("a stretch");
    assert!(found.contains("2023-11-14T22:15:00Z"), "{found}");
}

#[test]
fn more_load_and_a_rise_that_a_slower_baseline_would_hide_are_told() {
    // Three requests a second instead of one; 52 instead of 47 ms.
    let baseline = many(100, |n| page("page", 46 + n % 3));
    let regression = many(100, |n| page("page", 51 + n % 3));
    let mut spans = Vec::new();
    for (second, trace) in (0..).zip(&baseline) {
        spans.extend(trace.iter().map(|span| span.clone().trace(1 + second).later(second * 1_000)));
    }
    for (third, trace) in (0..).zip(&regression) {
        spans.extend(trace.iter().map(|span| span.clone().trace(10_001 + third).later(3_600_000 + third * 333)));
    }
    let frame = crate::builder::frame(&spans);
    let prepared = analysis::prepare(None, suspect::ingest::Ingested { frame, sources: Vec::new() });
    let (windows, selection) = prepared.select(&options()).expect("windows");
    let analysis = analysis::analyze(&prepared, &windows, &selection).expect("an analysis");
    let against = &analysis.suspects[0].overturned_by;
    assert!(against.iter().any(|sentence| sentence.starts_with("requests come 3.0 times as often")), "{against:?}");
    assert!(against.iter().any(|sentence| sentence.contains("11 % more, would leave nothing of it")), "{against:?}");
    // At one a second in both windows nothing is said of load.
    let against = doubts(&baseline, &regression, "catalog");
    assert!(against.iter().all(|sentence| !sentence.starts_with("requests come")), "{against:?}");
}

#[test]
fn few_failures_are_told() {
    let failing = || -> Vec<Given> { page("page", 10).into_iter().map(Given::failed).collect() };
    let window = |n_failing: i64| many(60, |n| if n < n_failing { failing() } else { page("page", 10) });
    let against = doubts(&window(0), &window(9), "catalog");
    assert_eq!(against, ["it rests on 9 failing requests"]);
    assert!(doubts(&window(0), &window(20), "catalog").is_empty());
}

#[test]
fn a_peer_without_spans_that_one_service_calls_may_be_that_services_client() {
    let [baseline, regression] = shops();
    let against = doubts(&baseline, &regression, "postgresql");
    let wanted = "postgresql reports no spans and only stock calls it: a slow client or connection pool there would look the same";
    assert!(against.iter().any(|sentence| sentence == wanted), "{against:?}");
}
