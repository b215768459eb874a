//! Where failures begin, what passes them on and what survives them, on traces worked by hand; each rule with an innocent twin.

use crate::builder::{Given, analysed, client, internal, server, span};
use suspect::analysis::{Analysis, ErrorKind, ErrorPart};
use suspect::rank::Verdict;
use suspect::span::SpanKind;

fn all(trace: &[Given]) -> Vec<Vec<Given>> {
    vec![trace.to_vec(); 20]
}

fn change(baseline: &[Given], regression: &[Given]) -> Analysis {
    analysed(&all(baseline), &all(regression))
}

/// `service operation kind before -> after` of every part.
fn lines(parts: &[ErrorPart]) -> Vec<String> {
    let line = |part: &ErrorPart| {
        let kind = part.kind.map_or_else(String::new, |kind| format!(" {kind:?}"));
        let per_request = part.per_request;
        let name = format!("{} {}{kind}", part.service, part.operation);
        format!("{name} {:.2} -> {:.2}", per_request.baseline, per_request.regression)
    };
    parts.iter().map(line).collect()
}

fn origins(analysis: &Analysis) -> Vec<String> {
    lines(&analysis.errors.originates)
}

/// The page asks the catalog, which asks its database.
fn page() -> Vec<Given> {
    vec![
        server(1, 0, "shop page", 0..20),
        client(2, 1, "shop GET", 1..19),
        server(3, 2, "catalog list", 2..18),
        client(4, 3, "catalog SELECT", 3..17).attribute("db.system.name", "mysql"),
    ]
}

/// The same with the spans at `positions` changed.
fn with(positions: &[usize], change: impl Fn(Given) -> Given) -> Vec<Given> {
    let mut spans = page();
    for &position in positions {
        spans[position] = change(spans[position].clone());
    }
    spans
}

#[test]
fn a_failure_is_told_of_its_origin_and_of_all_that_passed_it_on() {
    let analysis = change(&page(), &with(&[0, 1, 2, 3], Given::failed));
    // A database that never reports spans fails; there is no span of it to miss.
    assert_eq!(origins(&analysis), ["mysql SELECT Fails 0.00 -> 1.00"]);
    assert_eq!(
        lines(&analysis.errors.propagates),
        ["catalog list 0.00 -> 1.00", "shop GET 0.00 -> 1.00", "shop page 0.00 -> 1.00"]
    );
    assert!(analysis.errors.swallowed.is_empty());
    let survived = change(&page(), &with(&[2, 3], Given::failed));
    assert!(survived.errors.originates.is_empty());
    assert_eq!(lines(&survived.errors.swallowed), ["catalog list 0.00 -> 1.00"]);
    let told = "catalog: list fails 1.00 times a request, 0.000 before, which requests survive: trouble that their figures hide";
    let warnings = &survived.diagnostics.warnings;
    assert!(warnings.iter().any(|warning| warning == told), "{warnings:?}");
}

#[test]
fn failures_in_the_background_are_failures_and_no_requests_and_outweigh_no_slow_request() {
    // Each order lets three messages be sent, which nobody waits for; two of three begin to fail.
    let order = |own: i64, n_failing: u64| -> Vec<Given> {
        let mut spans = vec![server(1, 0, "shop order", 0..own + 4), client(2, 1, "shop POST", 1..own + 3)];
        spans.push(server(3, 2, "api order", 2..own + 2));
        for number in 0..3_u64 {
            let asked = span(SpanKind::Producer, 10 + number, 1, "shop publish", own + 3..own + 4);
            let taken = span(SpanKind::Consumer, 20 + number, 10 + number, "mailer send", own + 20..own + 22);
            spans.extend([asked, if number < n_failing { taken.failed() } else { taken }]);
        }
        spans
    };
    let window = |own: i64, n_failing: u64| -> Vec<Vec<Given>> {
        (0..60).map(|number| order(own + number % 3, n_failing)).collect()
    };
    let failing = analysed(&window(40, 0), &window(40, 2));
    assert_eq!(failing.degradation.error_ratio.regression.to_bits(), 0.0_f64.to_bits());
    let told = "mailer fails in the background, which no request waits for: +2.00 failures a request because of send";
    assert!(failing.summary.starts_with(told), "{}", failing.summary);
    let own = &failing.suspects[0].contribution;
    assert!((own.background_error_ratio - 2.0).abs() < 1e-9 && own.front_error_ratio().abs() < 1e-9, "{own:?}");
    let both = analysed(&window(40, 0), &window(60, 2));
    let ranked: Vec<&str> = both.services.iter().map(|service| service.service.as_str()).collect();
    assert_eq!(ranked[..2], ["api", "mailer"], "{}", both.summary);
}

#[test]
fn work_that_always_fails_and_takes_about_as_long_is_no_time_limit() {
    // 24 to 27 ms: half of all durations are a little more than some round number.
    let window = |n: i64, spread: i64| -> Vec<Vec<Given>> {
        (0..n)
            .map(|number| vec![server(1, 0, "shop buy", 0..25).lasting_longer_us(spread * (number % 18)).failed()])
            .collect()
    };
    let kinds = |spread: i64| -> Vec<Option<ErrorKind>> {
        let analysis = analysed(&window(36, spread), &window(12, spread));
        analysis.errors.originates.iter().map(|part| part.kind).collect()
    };
    assert_eq!(kinds(130), [Some(ErrorKind::Fails)]);
    // Calls that all end within half a millisecond after 25 ms are given up then.
    assert_eq!(kinds(20), [Some(ErrorKind::Timeout)]);
}

#[test]
fn a_part_has_the_interval_of_its_share_of_requests() {
    let half = [vec![page(); 10], vec![with(&[0], Given::failed); 10]].concat();
    let analysis = analysed(&all(&page()), &half);
    let part = &analysis.errors.originates[0];
    assert_eq!(origins(&analysis), ["shop page Fails 0.00 -> 0.50"]);
    assert!((part.change - 0.5).abs() < 1e-12 && (part.n_failures.regression - 10.0).abs() < 1e-12);
    // 20 / 19 * 20 * .25 / 20**2 = .0131579, its root .1147079
    let [low, high] = part.interval;
    assert!((high - low - 2.0 * 1.959_964 * 0.114_707_9).abs() < 1e-5, "{low}..{high}");
    // scipy.stats.hypergeom.sf(9, 40, 10, 20) * 2
    assert!((part.q / 0.000_435_915 - 1.0).abs() < 1e-4, "{}", part.q);
    assert_eq!((part.entries[0].operation.as_str(), part.entries[0].per_request.regression), ("page", 0.5));
}

#[test]
fn failures_are_counted_for_each_entry_operation() {
    let other = || vec![server(1, 0, "shop basket", 0..5)];
    let before = [all(&page()), all(&other())].concat();
    let after = [all(&with(&[0], Given::failed)), all(&other())].concat();
    let analysis = analysed(&before, &after);
    let part = &analysis.errors.originates[0];
    assert!((part.per_request.regression - 0.5).abs() < 1e-12);
    assert_eq!(part.entries.len(), 1);
    assert!((part.entries[0].per_request.regression - 1.0).abs() < 1e-12);
}

#[test]
fn requests_to_an_entry_that_always_failed_are_traffic_mix_when_there_are_more_of_them() {
    let broken = || vec![server(1, 0, "shop export", 0..5).failed()];
    let mix = |n_broken: usize| [vec![page(); 40 - n_broken], vec![broken(); n_broken]].concat();
    let analysis = analysed(&mix(4), &mix(20));
    assert!((analysis.degradation.error_ratio_change - 0.4).abs() < 1e-9);
    assert!((analysis.degradation.error_ratio_mix - 0.4).abs() < 1e-9);
    assert!(analysis.suspects.is_empty(), "{:?}", analysis.suspects);
}

#[test]
fn a_status_of_4xx_fails_the_client_that_asked_and_not_the_server_that_said_so() {
    let code = |code: &'static str| move |span: Given| span.attribute("http.response.status_code", code);
    // The page fails because what it asked for is not there: its own call is where it began.
    let mut asked_wrongly = with(&[1, 2], code("404"));
    asked_wrongly[0] = asked_wrongly[0].clone().failed();
    let analysis = change(&page(), &asked_wrongly);
    assert_eq!(origins(&analysis), ["shop GET Fails 0.00 -> 1.00"]);
    assert_eq!(analysis.services[0].service, "shop");
    // A server's 404 alone is an answer.
    assert!(change(&page(), &with(&[0], code("404"))).errors.originates.is_empty());
    assert_eq!(origins(&change(&page(), &with(&[0], code("500")))), ["shop page Fails 0.00 -> 1.00"]);
    // What both windows hold is background.
    let both = change(&asked_wrongly, &asked_wrongly);
    assert!(both.errors.originates[0].change.abs() < 1e-12 && both.suspects.is_empty());
    assert_ne!(both.verdict, Verdict::Regression);
}

#[test]
fn an_exception_that_escaped_fails_its_span_and_one_that_was_recorded_does_not() {
    let raised = |escaped: &'static str| {
        move |span: Given| span.attribute("exception.type", "KeyError").attribute("exception.escaped", escaped)
    };
    let analysis = change(&page(), &with(&[0], raised("true")));
    assert_eq!(origins(&analysis), ["shop page Fails 0.00 -> 1.00"]);
    assert!(change(&page(), &with(&[0], raised("false"))).errors.originates.is_empty());
}

#[test]
fn the_commonest_exception_of_an_origin_is_told() {
    let raised = |kind: &'static str, message: &'static str| {
        let failing =
            move |span: Given| span.failed().attribute("exception.type", kind).attribute("exception.message", message);
        with(&[0], failing)
    };
    let after = [
        vec![raised("TokenExpired", "token a"); 6],
        vec![raised("TokenExpired", "token b"); 7],
        vec![raised("IOError", "pipe"); 7],
    ];
    let analysis = analysed(&all(&page()), &after.concat());
    let seen = analysis.errors.originates[0].exception.clone().expect("an exception");
    assert_eq!((seen.exception.as_deref(), seen.message.as_deref()), (Some("TokenExpired"), Some("token b")));
    assert!((seen.n_failures.regression - 13.0).abs() < 1e-12);
    // Without an event the status message stands in.
    let described = |span: Given| span.failed().attribute("otel.status_description", "disk full");
    let analysis = change(&page(), &with(&[0], described));
    let seen = analysis.errors.originates[0].exception.clone().expect("a message");
    assert_eq!((seen.exception, seen.message.as_deref()), (None, Some("disk full")));
}

/// The page's call to the catalog, of which the catalog left no span.
fn unanswered() -> Vec<Given> {
    vec![server(1, 0, "shop page", 0..20), client(2, 1, "shop GET", 1..19).attribute("peer.service", "catalog")]
}

#[test]
fn a_failing_call_of_which_a_reporting_service_left_no_span_is_that_services() {
    let failing: Vec<Given> = unanswered().into_iter().map(Given::failed).collect();
    let analysis = change(&page(), &failing);
    assert_eq!(origins(&analysis), ["catalog GET LeftNoSpan 0.00 -> 1.00"]);
    assert_eq!(analysis.errors.originates[0].kind, Some(ErrorKind::LeftNoSpan));
}

#[test]
fn failing_calls_without_a_span_are_shared_as_the_answered_ones_tell() {
    // Three of four answered calls fail in the database; of the unanswered ones nobody saw where, and as many fail.
    let failing: Vec<Given> = unanswered().into_iter().map(Given::failed).collect();
    let answered = with(&[0, 1, 2, 3], Given::failed);
    let after = [vec![answered; 15], vec![page(); 5], vec![failing; 15], vec![unanswered(); 5]].concat();
    let before = [vec![page(); 20], vec![unanswered(); 20]].concat();
    let analysis = analysed(&before, &after);
    assert_eq!(origins(&analysis), ["mysql SELECT Fails 0.00 -> 0.75"]);
    assert_eq!(analysis.services[0].service, "mysql");
}

#[test]
fn latency_of_calls_without_a_span_is_shared_as_the_answered_ones_tell() {
    // The database takes 100 ms more; every second call of the catalog left no span.
    let slow = |spans: Vec<Given>| -> Vec<Given> {
        let names = ["page", "GET", "list", "SELECT"];
        let times = [0..120_i64, 1..119, 2..118, 3..117];
        let longer = |(position, _): (usize, Given)| {
            let name = ["shop", "shop", "catalog", "catalog"][position];
            let full = format!("{name} {}", names[position]);
            let id = position as u64 + 1;
            let time = times[position].clone();
            match position {
                0 | 2 => server(id, id - 1, &full, time),
                1 => client(id, id - 1, &full, time).attribute("peer.service", "catalog"),
                _ => client(id, id - 1, &full, time).attribute("db.system.name", "mysql"),
            }
        };
        spans.into_iter().enumerate().map(longer).collect()
    };
    let before = [all(&page()), all(&unanswered())].concat();
    let analysis = analysed(&before, &[all(&slow(page())), all(&slow(unanswered()))].concat());
    assert_eq!(analysis.services[0].service, "mysql");
    assert!((analysis.services[0].contribution_ms - 100.0).abs() < 1e-6, "{:?}", analysis.services[0]);
    // Where only the calls without a span got slower, the catalog is all that can be named.
    let analysis = analysed(&before, &[all(&page()), all(&slow(unanswered()))].concat());
    assert_eq!(analysis.services[0].service, "catalog");
}

#[test]
fn a_request_that_ran_out_of_time_is_blamed_on_whom_it_waited_for() {
    // The caller gives up after 1 s; the catalog is still waiting for its database, which takes 3 s.
    let late = || {
        vec![
            server(1, 0, "shop page", 0..1_010).failed(),
            client(2, 1, "shop GET", 5..1_005).failed(),
            server(3, 2, "catalog list", 10..3_100),
            client(4, 3, "catalog SELECT", 20..3_050).attribute("db.system.name", "mysql"),
        ]
    };
    let analysis = change(&page(), &late());
    assert_eq!(origins(&analysis), ["mysql SELECT Timeout 0.00 -> 1.00"]);
    assert_eq!(analysis.errors.originates[0].limit_ms, Some(1_000.0));
    assert_eq!(analysis.services[0].service, "mysql");
    // A catalog that works for so long itself is late itself.
    let busy = || {
        let mut spans = late();
        spans[3] = internal(4, 3, "catalog sort", 20..30);
        spans
    };
    assert_eq!(origins(&change(&page(), &busy())), ["catalog list Timeout 0.00 -> 1.00"]);
}
