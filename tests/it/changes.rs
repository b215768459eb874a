//! Changes that somebody wrote down are credited only where what their service does moved after them.

use crate::builder::{EPOCH_NS, Given, MS};
use crate::evidence::{options, page, prepare};
use std::path::Path;
use suspect::analysis::{self, Analysis, ChangeEvent, ChangeList, Credit};

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
    assert!(reason("catalog at 40").starts_with("it came 20.0 s too late"), "{}", reason("catalog at 40"));
    assert!(reason("catalog at -3000").starts_with("nothing moved for 50"), "{}", reason("catalog at -3000"));
    assert!(reason("gateway at 19").contains("does not stand out from chance"), "{}", reason("gateway at 19"));
}

#[test]
fn two_changes_that_fit_alike_are_both_candidates() {
    let events = [deploy("catalog", 18), ChangeEvent { kind: "flag".to_owned(), ..deploy("catalog", 19) }];
    let analysis = analyzed(|second| if second < 20 { 10 } else { 90 }, &events);
    assert!(analysis.changes.iter().all(|change| change.credit == Credit::Credited), "{:#?}", analysis.changes);
    assert!(analysis.changes[0].reason.ends_with("2 changes of it fit as well"), "{}", analysis.changes[0].reason);
}

#[test]
fn nothing_is_credited_where_nothing_got_worse() {
    let analysis = analyzed(|_| 10, &[deploy("catalog", 19), deploy("gateway", -5)]);
    assert!(analysis.changes.iter().all(|change| change.credit == Credit::NotSupported), "{:#?}", analysis.changes);
}

#[test]
fn lists_are_read_as_json_lines_and_csv_and_their_faults_are_told_by_file_and_line() {
    let mut list = ChangeList::default();
    let json = "{\"time\":\"2023-11-14T22:13:20Z\",\"service\":\"cart\",\"kind\":\"deploy\",\"title\":\"v2\",\"url\":\"https://x\",\"more\":[1]}\n\n\
        {\"timestamp\":1700000000000,\"name\":\"flag on\"}\n{\"time\":\"+10m\"}\n{\"service\":\"a\"}\n{broken\n";
    list.add(Path::new("a.jsonl"), json);
    let csv = "When,Component,Type,Summary,Link\n2023-11-14 22:13:20,cart,config,\"pool, smaller\",\n14:05,x,y,z,\n1700000000,cart,,,\n";
    list.add(Path::new("b.csv"), csv);
    let told: Vec<(i64, Option<&str>, &str, &str)> = list
        .events
        .iter()
        .map(|event| (event.time_unix_ns, event.service.as_deref(), event.kind.as_str(), event.title.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (EPOCH_NS, Some("cart"), "deploy", "v2"),
            (EPOCH_NS, None, "change", "flag on"),
            (EPOCH_NS, Some("cart"), "config", "pool, smaller"),
            (EPOCH_NS, Some("cart"), "change", ""),
        ]
    );
    assert_eq!(list.events[0].url.as_deref(), Some("https://x"));
    assert_eq!(list.n_skipped, 4);
    assert!(list.faults[0].starts_with("`a.jsonl`: line 4 is no change: its time `+10m` is none"), "{:?}", list.faults);
    assert!(list.faults[1].starts_with("`a.jsonl`: line 5 is no change: it has no `time`"), "{:?}", list.faults);
    assert!(list.faults[3].starts_with("`b.csv`: line 3 is no change: its time `14:05` is none"), "{:?}", list.faults);
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
