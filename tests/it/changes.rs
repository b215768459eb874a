//! Changes that somebody wrote down are credited only where what their service does moved after them.

use crate::builder::{EPOCH_NS, Given, MS, frame, server};
use crate::evidence::{options, page, prepare};
use crate::program::run_in;
use std::path::Path;
use suspect::analysis::{self, Analysis, ChangeEvent, Credit};
use suspect::ingest::Ingested;
use suspect::window;

const SECOND_NS: i64 = 1_000 * MS;
/// Of the regression, see `evidence::prepare`.
const HOUR_NS: i64 = 3_600 * SECOND_NS;

/// Sixty requests, a second apart, and sixty an hour later; the catalog takes `own(second)` ms of the latter.
fn analyzed(own: impl Fn(i64) -> i64, events: &[ChangeEvent]) -> Analysis {
    let traces = |own: &dyn Fn(i64) -> i64| -> Vec<Vec<Given>> {
        (0..60).map(|second| page("GET /", own(second) + second % 3)).collect()
    };
    let prepared = prepare(&traces(&|_| 10), &traces(&own));
    let (windows, selection) = prepared.select(&options()).expect("windows");
    let options = analysis::Options { changes: events.to_vec(), ..analysis::Options::default() };
    analysis::analyze_with(&prepared, &windows, &selection, &options).expect("an analysis")
}

fn deploy(service: &str, at_second: i64) -> ChangeEvent {
    ChangeEvent {
        time_unix_ns: EPOCH_NS + HOUR_NS + at_second * SECOND_NS,
        service: Some(service.to_owned()),
        kind: "deploy".to_owned(),
        title: format!("{service} at {at_second}"),
        url: None,
        source: "deploys.csv".to_owned(),
    }
}

fn credits(analysis: &Analysis) -> Vec<(String, Credit)> {
    analysis.changes.iter().map(|change| (change.title.clone(), change.credit)).collect()
}

#[test]
fn only_the_change_of_the_culprit_before_its_step_is_credited_and_the_others_are_told_why_not() {
    // The catalog becomes slow with the request of second 20 of the second hour.
    let events = [
        deploy("catalog", 19),
        deploy("catalog", 40),
        deploy("catalog", -3_000),
        deploy("gateway", 19),
        deploy("nobody", 19),
        ChangeEvent { service: None, ..deploy("flag", 18) },
    ];
    let analysis = analyzed(|second| if second < 20 { 10 } else { 90 }, &events);
    let expected = [
        ("catalog at -3000", Credit::NotSupported),
        ("flag at 18", Credit::Unknown),
        ("catalog at 19", Credit::Credited),
        ("gateway at 19", Credit::NotSupported),
        ("nobody at 19", Credit::Unknown),
        ("catalog at 40", Credit::NotSupported),
    ];
    assert_eq!(
        credits(&analysis),
        expected.map(|(title, credit)| (title.to_owned(), credit)),
        "{:#?}",
        analysis.changes
    );
    let reason = |title: &str| &analysis.changes.iter().find(|change| change.title == title).expect("listed").reason;
    assert!(reason("catalog at 19").starts_with("catalog adds +"), "{}", reason("catalog at 19"));
    assert!(reason("catalog at 40").starts_with("it came 19.9 s too late"), "{}", reason("catalog at 40"));
    assert!(reason("catalog at -3000").starts_with("nothing moved for 50"), "{}", reason("catalog at -3000"));
    assert!(reason("gateway at 19").contains("does not stand out from chance"), "{}", reason("gateway at 19"));
}

#[test]
fn two_changes_that_fit_alike_are_both_candidates() {
    let events = [deploy("catalog", 18), ChangeEvent { kind: "flag".to_owned(), ..deploy("catalog", 19) }];
    let analysis = analyzed(|second| if second < 20 { 10 } else { 90 }, &events);
    assert!(analysis.changes.iter().all(|change| change.credit == Credit::Credited), "{:#?}", analysis.changes);
    let reason = &analysis.changes[0].reason;
    assert!(reason.ends_with("1 other change of it fits as well"), "{reason}");
    let events = [17, 18, 19].map(|second| deploy("catalog", second));
    let analysis = analyzed(|second| if second < 20 { 10 } else { 90 }, &events);
    let reason = &analysis.changes[2].reason;
    assert!(reason.ends_with("2 other changes of it fit as well"), "{reason}");
}

#[test]
fn a_change_dated_a_little_after_the_step_is_credited_to_clocks_that_differ_and_that_is_said() {
    let analysis = analyzed(|second| if second < 20 { 10 } else { 90 }, &[deploy("catalog", 23)]);
    let [change] = analysis.changes.as_slice() else { panic!("{:#?}", analysis.changes) };
    assert_eq!(change.credit, Credit::Credited);
    // The request of second 20 ends within 96 ms of its start.
    assert!(
        change.reason.ends_with("; it is dated 2.90 s after that, within the 5.00 s by which clocks may differ"),
        "{}",
        change.reason
    );
}

#[test]
fn a_change_that_stands_out_but_is_too_small_is_told_so() {
    // The catalog becomes slow; the gateway takes 0.1 ms more in each request, beyond doubt but below the floor.
    let traces = |catalog: i64, gateway: i64| -> Vec<Vec<Given>> {
        let longer = |span: Given, position: usize| if position == 0 { span.lasting_longer_us(gateway) } else { span };
        let request = |second: i64| page("GET /", catalog + second % 3).into_iter().enumerate();
        (0..60).map(|second| request(second).map(|(position, span)| longer(span, position)).collect()).collect()
    };
    let prepared = prepare(&traces(10, 0), &traces(90, 100));
    let (windows, selection) = prepared.select(&options()).expect("windows");
    let options = analysis::Options { changes: vec![deploy("gateway", 1)], ..analysis::Options::default() };
    let analysis = analysis::analyze_with(&prepared, &windows, &selection, &options).expect("an analysis");
    let reason = &analysis.changes[0].reason;
    assert!(reason.starts_with("what gateway adds to a request moved by +0.100 ms (+0."), "{reason}");
    assert!(reason.contains("which is too little to accuse a service of: that begins at 0.7"), "{reason}");
}

#[test]
fn changes_far_outside_the_data_are_counted_and_not_listed() {
    // Both windows are an hour long.
    let far = [-30 * 24 * 3_600, -3_600 - 16 * 60, 3_600 + 16 * 60, 400 * 24 * 3_600];
    let mut events: Vec<ChangeEvent> = far.map(|second| deploy("catalog", second)).to_vec();
    let near = [-3_600 - 14 * 60, -1_800, 19, 3_600 + 14 * 60];
    events.extend(near.map(|second| deploy("catalog", second)));
    let analysis = analyzed(|second| if second < 20 { 10 } else { 90 }, &events);
    assert_eq!(analysis.changes.len(), near.len(), "{:#?}", analysis.changes);
    assert_eq!(analysis.n_changes_outside, 4);
    assert_eq!(analysis.told_changes_outside().as_deref(), Some("4 changes lie more than 15 minutes outside the data"));
}

#[test]
fn nothing_is_credited_where_nothing_got_worse() {
    let analysis = analyzed(|_| 10, &[deploy("catalog", 19), deploy("gateway", -5)]);
    assert!(analysis.changes.iter().all(|change| change.credit == Credit::NotSupported), "{:#?}", analysis.changes);
}

#[test]
fn an_incident_is_never_credited_and_takes_no_credit_from_a_deploy() {
    let kinds =
        ["Alerts", "incident.opened", "incident_started", "Incident start", "alerting", "alarm", "pagerduty", "page"];
    let alerts = kinds.map(|kind| ChangeEvent { kind: kind.to_owned(), ..deploy("catalog", 19) });
    let analysis = analyzed(|second| if second < 20 { 10 } else { 90 }, &alerts);
    assert!(analysis.changes.iter().all(|change| change.credit == Credit::NotSupported), "{:#?}", analysis.changes);
    let alert = ChangeEvent { kind: "Incident".to_owned(), ..deploy("catalog", 20) };
    let analysis = analyzed(|second| if second < 20 { 10 } else { 90 }, &[deploy("catalog", 18), alert]);
    let told: Vec<(&str, Credit)> =
        analysis.changes.iter().map(|change| (change.kind.as_str(), change.credit)).collect();
    assert_eq!(told, [("deploy", Credit::Credited), ("Incident", Credit::NotSupported)], "{:#?}", analysis.changes);
    assert_eq!(analysis.changes[1].reason, "what is listed as Incident tells of trouble and brings none");
    assert!(!analysis.changes[0].reason.contains("other change"), "{}", analysis.changes[0].reason);
}

#[test]
fn a_change_long_before_what_it_is_credited_for_says_how_long() {
    let analysis = analyzed(|second| if second < 20 { 10 } else { 90 }, &[deploy("catalog", -500)]);
    let [change] = analysis.changes.as_slice() else { panic!("{:#?}", analysis.changes) };
    assert_eq!(change.credit, Credit::Credited);
    assert!(change.reason.ends_with(", 8 min 39 s after it"), "{}", change.reason);
}

#[test]
fn a_new_version_is_not_credited_where_calls_of_the_old_one_beside_it_became_as_slow() {
    let version = |second: i64| if second >= 60 && second % 2 == 0 { "1.1" } else { "1.0" };
    let analysis = released(version, |second| if second >= 60 { 90 } else { 10 });
    assert!(analysis.suspects[0].attributes.is_empty(), "{:?}", analysis.suspects[0].attributes);
    let [change] = analysis.changes.as_slice() else { panic!("{:#?}", analysis.changes) };
    assert_eq!((change.title.as_str(), change.credit), ("1.1", Credit::NotSupported));
    let told = "49 % of the traces of catalog have it while older ones run too, and what catalog adds is not theirs";
    assert!(change.reason.starts_with(told), "{}", change.reason);
    // Where it carries the part it is credited, and where it is all there is.
    let canary = released(version, |second| if version(second) == "1.1" { 90 } else { 10 });
    assert_eq!(canary.changes[0].credit, Credit::Credited, "{:#?}", canary.changes);
    let whole =
        released(|second| if second >= 60 { "1.1" } else { "1.0" }, |second| if second >= 60 { 90 } else { 10 });
    assert_eq!(whole.changes[0].credit, Credit::Credited, "{:#?}", whole.changes);
    // Spans tell both when a version came and when calls became slow: 4 s after it, clocks explain nothing.
    let late = released(|second| if second >= 64 { "1.1" } else { "1.0" }, |second| if second >= 60 { 90 } else { 10 });
    assert_eq!(late.changes[0].credit, Credit::NotSupported, "{:#?}", late.changes);
}

#[test]
fn a_new_version_is_not_credited_where_the_calls_of_the_old_one_became_slow() {
    let is_new = |second: i64| second >= 60 && second % 2 == 0;
    let version = |second: i64| if is_new(second) { "1.1" } else { "1.0" };
    let analysis = released(version, |second| if second >= 60 && !is_new(second) { 90 } else { 10 });
    assert_eq!(analysis.suspects[0].attributes[0].value, "1.0", "{:?}", analysis.suspects[0].attributes);
    let [change] = analysis.changes.as_slice() else { panic!("{:#?}", analysis.changes) };
    assert_eq!((change.title.as_str(), change.credit), ("1.1", Credit::NotSupported));
    assert_eq!(change.reason, "the calls of catalog that carry it have service.version=1.0");
}

#[test]
fn what_got_better_is_told_as_such_and_is_no_rollback() {
    // The first third is slow, then a new version is not.
    let is_slow = |second: i64| second < 100;
    let request = |second: i64| {
        let version = if is_slow(second) { "1.0" } else { "1.1" };
        let own = if is_slow(second) { 90 } else { 10 };
        let versioned = |(position, span): (usize, Given)| {
            let span = span.trace(1 + second).later(second * 1_000);
            if position == 2 { span.resource("service.version", version) } else { span }
        };
        page("GET /", own + second % 3).into_iter().enumerate().map(versioned).collect::<Vec<Given>>()
    };
    let spans: Vec<Given> = (0..300).flat_map(request).collect();
    let prepared = analysis::prepare(None, Ingested { frame: frame(&spans), sources: Vec::new() });
    let (windows, selection) = prepared.select(&window::Options::default()).expect("windows");
    let analysis = analysis::analyze(&prepared, &windows, &selection).expect("an analysis");
    let told =
        "Until 2023-11-14T22:15:00Z it was worse than since, be it an incident that ended or an improvement: catalog";
    assert!(analysis.summary.starts_with(told), "{}", analysis.summary);
    let titles: Vec<&str> = analysis.changes.iter().map(|change| change.title.as_str()).collect();
    assert_eq!(titles, ["1.0 -> 1.1"]);
}

#[test]
fn work_that_is_left_out_moves_when_it_is_left_out() {
    // The gateway no longer asks the catalog from second 20 of the second hour on, and answers by itself.
    let early = |second: i64| if second < 20 { page("GET /", 60) } else { vec![server(1, 0, "gateway GET /", 0..4)] };
    let before: Vec<Vec<Given>> = (0..60).map(|second| page("GET /", 60 + second % 3)).collect();
    let prepared = prepare(&before, &(0..60).map(early).collect::<Vec<_>>());
    let (windows, selection) = prepared.select(&options()).expect("windows");
    let options = analysis::Options { changes: vec![deploy("gateway", 19)], ..analysis::Options::default() };
    let analysis = analysis::analyze_with(&prepared, &windows, &selection, &options).expect("an analysis");
    assert_eq!(credits(&analysis), [("gateway at 19".to_owned(), Credit::Credited)], "{:#?}", analysis.changes);
    let reason = &analysis.changes[0].reason;
    assert!(
        reason.starts_with("gateway leaves out calls, and the share of requests that lack its calls rose"),
        "{reason}"
    );
}

#[test]
fn a_new_version_is_a_change_without_any_list() {
    let traces = |version: &'static str, own: i64| -> Vec<Vec<Given>> {
        let versioned =
            |span: Given, position: usize| if position == 2 { span.resource("service.version", version) } else { span };
        let request = |second: i64| page("GET /", own + second % 3).into_iter().enumerate();
        (0..60).map(|second| request(second).map(|(position, span)| versioned(span, position)).collect()).collect()
    };
    let prepared = prepare(&traces("1.0", 10), &traces("1.1", 90));
    let (windows, selection) = prepared.select(&options()).expect("windows");
    let analysis = analysis::analyze(&prepared, &windows, &selection).expect("an analysis");
    let [change] = analysis.changes.as_slice() else { panic!("{:#?}", analysis.changes) };
    assert_eq!((change.kind.as_str(), change.title.as_str()), ("version", "1.0 -> 1.1"));
    assert_eq!((change.credit, change.source.as_str()), (Credit::Credited, "service.version"), "{}", change.reason);
}

/// Requests of two minutes, a second apart, one minute in each window; the catalog has `version(second)` and takes `own(second)` ms.
fn released(version: impl Fn(i64) -> &'static str, own: impl Fn(i64) -> i64) -> Analysis {
    released_as(version, own, &analysis::Options::default())
}

/// The same, each other second on another host.
fn released_as(
    version: impl Fn(i64) -> &'static str,
    own: impl Fn(i64) -> i64,
    options: &analysis::Options,
) -> Analysis {
    let request = |second: i64| {
        let host = if second % 2 == 0 { "even" } else { "odd" };
        let versioned = |(position, span): (usize, Given)| {
            let span = span.trace(1 + second).later(second * 1_000);
            if position == 2 {
                span.resource("service.version", version(second)).resource("host.name", host)
            } else {
                span
            }
        };
        page("GET /", own(second) + second % 3).into_iter().enumerate().map(versioned).collect::<Vec<Given>>()
    };
    let spans: Vec<Given> = (0..120).flat_map(request).collect();
    let prepared = analysis::prepare(None, Ingested { frame: frame(&spans), sources: Vec::new() });
    let at = |second: i64| EPOCH_NS + second * SECOND_NS;
    let given = window::Options {
        baseline: Some(format!("{}..{}", at(0), at(60))),
        regression: Some(format!("{}..{}", at(60), at(120))),
    };
    let (windows, selection) = prepared.select(&given).expect("windows");
    analysis::analyze_with(&prepared, &windows, &selection, options).expect("an analysis")
}

#[test]
fn a_version_that_comes_in_the_last_moments_of_the_baseline_is_a_change_too() {
    let analysis =
        released(|second| if second < 58 { "1.0" } else { "1.1" }, |second| if second < 58 { 10 } else { 90 });
    let [change] = analysis.changes.as_slice() else { panic!("{:#?}", analysis.changes) };
    assert_eq!((change.title.as_str(), change.credit), ("1.0 -> 1.1", Credit::Credited), "{}", change.reason);
    assert_eq!(change.time_unix_ns, EPOCH_NS + 58 * SECOND_NS + 2 * MS);
}

#[test]
fn a_version_that_grows_slowly_is_one_change_at_its_first_span_and_credited_only_if_its_service_moved() {
    let version = |second: i64| if second * 37 % 60 < second - 30 { "1.1" } else { "1.0" };
    let analysis = released(version, |_| 10);
    let [change] = analysis.changes.as_slice() else { panic!("{:#?}", analysis.changes) };
    assert_eq!(change.credit, Credit::NotSupported, "{}", change.reason);
    let first = (0..120).find(|&second| version(second) == "1.1").expect("a request of it");
    assert_eq!(change.time_unix_ns, EPOCH_NS + first * SECOND_NS + 2 * MS);
}

/// A deploy of the catalog in the data of [`released`].
fn listed(second: i64, title: &str) -> ChangeEvent {
    ChangeEvent { time_unix_ns: EPOCH_NS + second * SECOND_NS, title: title.to_owned(), ..deploy("catalog", 0) }
}

fn with(changes: &[ChangeEvent]) -> analysis::Options {
    analysis::Options { changes: changes.to_vec(), ..analysis::Options::default() }
}

fn told(analysis: &Analysis) -> Vec<(&str, Credit)> {
    analysis.changes.iter().map(|change| (change.title.as_str(), change.credit)).collect()
}

#[test]
fn a_listed_change_and_the_version_that_it_brings_are_one_and_share_the_credit() {
    let version = |second: i64| if second < 60 { "1.0" } else { "2.0" };
    let own = |second: i64| if second < 60 { 10 } else { 90 };
    // One that names the version; else the latest that may bring one, be the other a flag.
    let cases: [&[(i64, &str, &str, Credit)]; 3] = [
        &[(10, "deploy", "catalog v2.0 (fix)", Credit::Credited), (40, "deploy", "pool 2.0.1", Credit::NotSupported)],
        &[(10, "deploy", "a", Credit::NotSupported), (30, "release", "b", Credit::Credited)],
        &[(10, "deploy", "a", Credit::Credited), (30, "flag", "b", Credit::NotSupported)],
    ];
    for case in cases {
        let event = |&(second, kind, title, _): &(i64, &str, &str, Credit)| ChangeEvent {
            kind: kind.to_owned(),
            ..listed(second, title)
        };
        let analysis = released_as(version, own, &with(&case.iter().map(event).collect::<Vec<_>>()));
        let mut expected: Vec<(&str, Credit)> = case.iter().map(|&(.., title, credit)| (title, credit)).collect();
        expected.push(("1.0 -> 2.0", Credit::Credited));
        assert_eq!(told(&analysis), expected, "{:#?}", analysis.changes);
        assert!(
            !analysis.changes.iter().any(|change| change.reason.contains("fits as well")),
            "{:#?}",
            analysis.changes
        );
    }
    let analysis = released_as(version, own, &with(&[listed(10, "2.0")]));
    let reason = &analysis.changes[0].reason;
    assert!(reason.ends_with("; its version 1.0 -> 2.0 came 50.0 s later"), "{reason}");
}

#[test]
fn a_version_that_is_replaced_by_one_as_bad_is_credited_and_compared_with_none_that_came_later() {
    let version = |second: i64| match second {
        ..60 => "1.0",
        60..80 => "2.0",
        _ => "2.1",
    };
    let events = [listed(59, "catalog 2.0"), listed(79, "catalog 2.1")];
    let analysis = released_as(version, |second| if second < 60 { 10 } else { 90 }, &with(&events));
    let expected = [
        ("catalog 2.0", Credit::Credited),
        ("1.0 -> 2.0", Credit::Credited),
        ("catalog 2.1", Credit::NotSupported),
        ("2.0 -> 2.1", Credit::NotSupported),
    ];
    assert_eq!(told(&analysis), expected, "{:#?}", analysis.changes);
    assert!(analysis.changes[2].reason.starts_with("it came 18.9 s too late"), "{:#?}", analysis.changes);
}

#[test]
fn a_version_that_is_new_on_one_host_is_named_and_credited_and_the_host_beside_it() {
    let is_new = |second: i64| second >= 60 && second % 2 == 1;
    // The host's calls vary less in the baseline than others, so that it alone tells a little more.
    let own = |second: i64| if is_new(second) { 90 } else { 10 + second % 2 };
    let analysis = released(|second| if is_new(second) { "2.0" } else { "1.0" }, own);
    let carrier = &analysis.suspects[0].attributes[0];
    assert_eq!((carrier.key.as_str(), carrier.value.as_str()), ("service.version", "2.0"), "{carrier:?}");
    assert!(carrier.also.iter().any(|also| also.key == "host.name" && also.value == "odd"), "{carrier:?}");
    assert_eq!(told(&analysis), [("2.0", Credit::Credited)], "{:#?}", analysis.changes);
}

#[test]
fn a_version_whose_calls_were_not_looked_at_is_not_said_to_take_as_long_as_others() {
    let is_new = |second: i64| second >= 60 && second % 2 == 0;
    let attributes = analysis::Attributes::new(&["host.name".to_owned()], false);
    let options = analysis::Options { attributes, ..analysis::Options::default() };
    let own = |second: i64| if second >= 60 { 90 } else { 10 };
    let analysis = released_as(|second| if is_new(second) { "2.0" } else { "1.0" }, own, &options);
    let [change] = analysis.changes.as_slice() else { panic!("{:#?}", analysis.changes) };
    assert_eq!(change.credit, Credit::Unknown, "{}", change.reason);
    assert!(
        change.reason.ends_with("whether what catalog adds is theirs was not looked into or cannot be told"),
        "{}",
        change.reason
    );
}

#[test]
fn a_version_that_comes_back_is_a_change_again() {
    let version = |second: i64| if (15..60).contains(&second) { "1.0" } else { "2.0" };
    let analysis = released(version, |second| if second < 60 { 10 } else { 90 });
    let expected = [("2.0 -> 1.0", Credit::NotSupported), ("1.0 -> 2.0", Credit::Credited)];
    assert_eq!(told(&analysis), expected, "{:#?}", analysis.changes);
    assert_eq!(analysis.changes[1].time_unix_ns, EPOCH_NS + 60 * SECOND_NS + 2 * MS);
    assert!(
        analysis.changes[0].reason.starts_with("what moved did so with another change of catalog 45.0 s later"),
        "{:#?}",
        analysis.changes
    );
}

#[test]
fn of_two_steps_each_is_held_against_the_changes_before_it() {
    let own = |second: i64| match second {
        ..30 => 10,
        30..90 => 40,
        _ => 100,
    };
    let events = [listed(29, "first"), listed(50, "none"), listed(89, "second")];
    let analysis = released_as(|_| "1.0", own, &with(&events));
    let expected = [("first", Credit::Credited), ("none", Credit::NotSupported), ("second", Credit::Credited)];
    assert_eq!(told(&analysis), expected, "{:#?}", analysis.changes);
    assert!(analysis.changes[0].reason.starts_with("a part of it: catalog adds"), "{:#?}", analysis.changes);
    assert!(analysis.changes[2].reason.starts_with("catalog adds"), "{:#?}", analysis.changes);
}

#[test]
fn versions_that_are_there_all_the_time_are_no_changes_however_rare() {
    for every in [2, 10, 40] {
        let version = |second: i64| if second % every == every / 2 { "1.1" } else { "1.0" };
        let analysis = released(version, |second| if second < 60 { 10 } else { 90 });
        assert!(analysis.changes.is_empty(), "{:#?}", analysis.changes);
    }
}

#[test]
fn the_release_that_caused_a_bundled_incident_is_credited_although_a_request_of_it_is_in_the_baseline() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/incidents/error");
    let document = run_in(&folder, &["analyze", "spans", "--format", "json"]).json();
    let change = &document["changes"][0];
    let texts = ["service", "title", "credit", "source"].map(|key| change[key].as_str().unwrap_or(""));
    assert_eq!(texts, ["payment", "1.4.0 -> 1.5.0", "credited", "service.version"], "{change}");
    assert!(change["time"].as_str().is_some_and(|time| time.starts_with("2026-11-23T19:08:24.892")), "{change}");
}
