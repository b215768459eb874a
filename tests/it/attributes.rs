//! Which attribute values carry a suspect's contribution: planted carriers, worked by hand.

use crate::builder::{EPOCH_NS, Given, client, frame, server};
use crate::profile::assert_same_from_profile;
use crate::program::run_in;
use std::path::Path;
use suspect::analysis::{self, Analysis, Attributes, Carrier, Options, Suspect};
use suspect::drill::Of;
use suspect::drill::presence::Change;
use suspect::ingest::Ingested;
use suspect::report;
use suspect::span::{AttributeScope, AttributeSelection, MAX_DISTINCT, SpanBatch};
use suspect::window;

/// Traces a window, a second apart.
const N: i64 = 400;
const HOUR_MS: i64 = 3_600_000;

/// A number from 0 to 6 that goes with nothing else, the same for call `index` of both windows.
fn noise(index: i64) -> i64 {
    index * 31 % 7
}

/// A request of gateway that catalog answers in 10 to 16 ms and `extra` ms; a millisecond each around and on the way.
fn request(index: i64, extra: i64) -> [Given; 3] {
    let own = 10 + noise(index) + extra;
    [
        server(1, 0, "gateway page", 0..own + 4),
        client(2, 1, "gateway GET", 1..own + 3),
        server(3, 2, "catalog list", 2..own + 2),
    ]
}

/// The spans of [`N`] traces in each window; `trace` is told the call's number and whether it is in the regression.
fn spans(trace: impl Fn(i64, bool) -> Vec<Given>) -> Vec<Given> {
    let mut spans = Vec::new();
    for (window, is_regression) in [(0, false), (1, true)] {
        for index in 0..N {
            let at = window * HOUR_MS + index * 1_000;
            spans.extend(
                trace(index, is_regression).into_iter().map(|span| span.trace(window * N + index + 1).later(at)),
            );
        }
    }
    spans
}

#[track_caller]
fn analyze(spans: &[Given], attributes: Attributes) -> Analysis {
    let prepared = analysis::prepare(None, Ingested { frame: frame(spans), sources: Vec::new() });
    let at = |hours: i64| EPOCH_NS + hours * HOUR_MS * 1_000_000;
    let windows = window::Options {
        baseline: Some(format!("{}..{}", at(0), at(1))),
        regression: Some(format!("{}..{}", at(1), at(2))),
    };
    let (windows, selection) = prepared.select(&windows).expect("windows with traces");
    // And as well where the baseline is a profile.
    let part = |is_before: bool| {
        let own: Vec<Given> = spans.iter().filter(|span| (span.start_ms() < HOUR_MS) == is_before).cloned().collect();
        frame(&own)
    };
    assert_same_from_profile(part(true), part(false), attributes.clone());
    let options = Options { attributes, ..analysis::Options::default() };
    analysis::analyze_with(&prepared, &windows, &selection, &options).expect("an analysis")
}

fn first(analysis: &Analysis) -> &Suspect {
    analysis.suspects.first().expect("a suspect")
}

/// `key=value` of every carrier, with its second attribute.
fn names(suspect: &Suspect) -> Vec<String> {
    let name = |carrier: &Carrier| {
        let and = carrier.and.as_ref().map_or_else(String::new, |and| format!(" and {}={}", and.key, and.value));
        format!("{}={}{and}", carrier.key, carrier.value)
    };
    suspect.attributes.iter().map(name).collect()
}

#[track_caller]
fn assert_close(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 1e-9, "{actual} is not {expected}");
}

/// Gives catalog's span its host, one of five in turn.
fn on_host(mut spans: [Given; 3], index: i64) -> [Given; 3] {
    spans[2] = spans[2].clone().resource("host.name", &format!("catalog-{}", index % 5));
    spans
}

/// One host of five is 20 ms slower.
fn one_slow_host(index: i64, is_regression: bool) -> Vec<Given> {
    on_host(request(index, if is_regression && index % 5 == 3 { 20 } else { 0 }), index).to_vec()
}

#[test]
fn one_slow_host_of_five_carries_all_of_it_with_a_fifth_of_the_calls() {
    // 20 ms on a fifth of the calls: 4 ms a request, all of them on catalog-3; even spread would give it a fifth.
    let analysis = analyze(&spans(one_slow_host), Attributes::All);
    let suspect = first(&analysis);
    assert_eq!((suspect.service.as_str(), names(suspect)), ("catalog", vec!["host.name=catalog-3".to_owned()]));
    assert_close(suspect.contribution_ms, 4.0);
    let carrier = &suspect.attributes[0];
    assert_eq!((carrier.of, carrier.is_resource, carrier.n_calls), (Of::Suspect, true, [80, 80]));
    assert_close(carrier.contribution_ms, 4.0);
    assert_close(carrier.share, 1.0);
    assert_close(carrier.share_of_calls.baseline, 0.2);
    assert_close(carrier.share_of_calls.regression, 0.2);
    assert_close(carrier.lift, 5.0);
    assert!(carrier.q.is_some_and(|q| q < 1e-6), "{carrier:?}");
    assert!(carrier.share_interval[0] > 0.9 && carrier.share_interval[1] < 1.1, "{carrier:?}");
    assert!(!carrier.only_in_regression && analysis.new_values.is_empty());
    let text = anstream::adapter::strip_str(&report::analysis::text(&analysis, report::WIDTH)).to_string();
    assert!(text.contains("where    100 % of it with host.name=catalog-3: 20 % of its calls, lift 5.0"), "{text}");
}

#[test]
fn a_value_that_takes_back_what_another_adds_leaves_the_other_more_than_all() {
    // catalog-3 +20 ms, catalog-1 -5 ms: 3 ms a request, of which catalog-3 has 4.
    let slow = |index: i64, is_regression: bool| {
        let extra = match (is_regression, index % 5) {
            (true, 3) => 20,
            (true, 1) => -5,
            _ => 0,
        };
        on_host(request(index, extra), index).to_vec()
    };
    let analysis = analyze(&spans(slow), Attributes::All);
    let carrier = &first(&analysis).attributes[0];
    assert_eq!(carrier.value, "catalog-3");
    assert_close(carrier.share, 4.0 / 3.0);
}

#[test]
fn a_tenant_on_the_entry_span_is_found_from_the_service_that_it_slows_down() {
    let slow = |index: i64, is_regression: bool| {
        let tenant = if index % 10 < 3 {
            "acme"
        } else if index % 3 == 0 {
            "umbrella"
        } else {
            "hooli"
        };
        let mut spans = request(index, if is_regression && tenant == "acme" { 30 } else { 0 });
        spans[0] = spans[0].clone().attribute("tenant", tenant);
        spans.to_vec()
    };
    let analysis = analyze(&spans(slow), Attributes::All);
    let suspect = first(&analysis);
    assert_eq!((suspect.service.as_str(), names(suspect)), ("catalog", vec!["tenant=acme".to_owned()]));
    assert_eq!(suspect.attributes[0].of, Of::Entry);
    assert_close(suspect.attributes[0].contribution_ms, 9.0);
}

#[test]
fn an_attribute_that_says_what_the_call_path_says_is_no_carrier() {
    // Pages that are put take longer; the caller's address tells the two paths apart and nothing within either.
    let spans = spans(|index, is_regression| {
        let is_put = index % 3 == 0;
        let [page, get, list] = request(index, if is_regression && is_put { 20 } else { 0 });
        let call = if is_put { get.named("gateway", "PUT") } else { get };
        let address = if is_put { "catalog-put" } else { "catalog-get" };
        vec![page, call.attribute("server.address", address), list]
    });
    let analysis = analyze(&spans, Attributes::All);
    assert_eq!(first(&analysis).service, "catalog");
    assert_eq!(names(first(&analysis)), Vec::<String>::new());
}

#[test]
fn two_attributes_together_are_named_where_each_alone_has_twice_the_calls() {
    // Slow where version 2 runs in region eu: a quarter of the calls. Each alone has half of them and all of the change.
    let slow = |index: i64, is_regression: bool| {
        let (version, region) = (if index % 2 == 0 { "1" } else { "2" }, if index / 2 % 2 == 0 { "eu" } else { "us" });
        let mut spans = request(index, if is_regression && (version, region) == ("2", "eu") { 40 } else { 0 });
        spans[2] = spans[2].clone().resource("service.version", version).resource("cloud.region", region);
        spans.to_vec()
    };
    let analysis = analyze(&spans(slow), Attributes::All);
    let suspect = first(&analysis);
    assert_eq!(names(suspect), ["service.version=2 and cloud.region=eu"]);
    let carrier = &suspect.attributes[0];
    assert_close(carrier.share, 1.0);
    assert_close(carrier.share_of_calls.regression, 0.25);
    assert_close(carrier.lift, 4.0);
}

#[test]
fn two_slow_hosts_are_two_carriers_and_the_region_that_holds_one_of_them_is_none() {
    // catalog-3 and catalog-1 have half of it each; region b is catalog-3 and catalog-4.
    let slow = |index: i64, is_regression: bool| {
        let mut spans =
            on_host(request(index, if is_regression && [1, 3].contains(&(index % 5)) { 20 } else { 0 }), index);
        spans[2] = spans[2].clone().resource("cloud.region", if index % 5 < 3 { "a" } else { "b" });
        spans.to_vec()
    };
    let analysis = analyze(&spans(slow), Attributes::All);
    let suspect = first(&analysis);
    assert_eq!(names(suspect), ["host.name=catalog-1", "host.name=catalog-3"]);
    assert_close(suspect.attributes[1].share, 0.5);
}

#[test]
fn attributes_that_mean_the_same_calls_are_shown_as_one() {
    let slow = |index: i64, is_regression: bool| {
        let mut spans = one_slow_host(index, is_regression);
        let pod = format!("pod-{}", (index % 5 + 2) % 5);
        spans[2] =
            spans[2].clone().resource("k8s.pod.name", &pod).resource("a.pod.ip", &format!("10.0.0.{}", index % 5));
        spans
    };
    let analysis = analyze(&spans(slow), Attributes::All);
    let suspect = first(&analysis);
    assert_eq!(names(suspect), ["host.name=catalog-3"]);
    let also: Vec<_> = suspect.attributes[0].also.iter().map(|also| (also.key.as_str(), also.value.as_str())).collect();
    assert_eq!(also, [("k8s.pod.name", "pod-0"), ("a.pod.ip", "10.0.0.3")]);
}

#[test]
fn identifiers_numbers_of_threads_and_outcomes_are_not_tried() {
    let slow = |index: i64, is_regression: bool| {
        let mut spans = one_slow_host(index, is_regression);
        spans[2] = spans[2]
            .clone()
            .attribute("request.id", &format!("{}-{index}", u8::from(is_regression)))
            .attribute("thread.id", if index % 5 == 3 { "1" } else { "2" })
            .attribute("http.response.status_code", if index % 5 == 3 { "201" } else { "200" });
        spans
    };
    let analysis = analyze(&spans(slow), Attributes::All);
    let suspect = first(&analysis);
    assert_eq!(names(suspect), ["host.name=catalog-3"]);
    assert!(suspect.attributes[0].also.is_empty());
    let search = suspect.attribute_search.expect("a search");
    assert_eq!((search.n_keys, search.n_values), (1, 5));
}

#[test]
fn a_change_that_is_spread_evenly_is_carried_by_no_value_and_the_report_says_so() {
    // All calls are 20 ms slower; host catalog-3 has always been 30 ms slower than the others, and still is.
    let slow = |index: i64, is_regression: bool| {
        let extra = if is_regression { 20 } else { 0 } + if index % 5 == 3 { 30 } else { 0 };
        on_host(request(index, extra), index).to_vec()
    };
    let analysis = analyze(&spans(slow), Attributes::All);
    let suspect = first(&analysis);
    assert!(suspect.attributes.is_empty(), "{:?}", suspect.attributes);
    let text = anstream::adapter::strip_str(&report::analysis::text(&analysis, report::WIDTH)).to_string();
    assert!(
        text.contains("everywhere alike: no value with enough calls (5 values of 1 attribute) tells them apart"),
        "{text}"
    );
}

#[test]
fn traffic_that_moves_to_a_slow_host_is_carried_by_it() {
    // catalog-3 has always taken 30 ms more; it now gets 3 of 5 calls instead of 1: 2/5 * 30 = 12 ms a request.
    let slow = |index: i64, is_regression: bool| {
        let host = if is_regression && index % 5 < 2 { 3 } else { index % 5 };
        on_host(request(index, if host == 3 { 30 } else { 0 }), host).to_vec()
    };
    let analysis = analyze(&spans(slow), Attributes::All);
    let carrier = &first(&analysis).attributes[0];
    assert_eq!(carrier.value, "catalog-3");
    assert!(carrier.share > 0.5 && carrier.share_of_calls.regression > carrier.share_of_calls.baseline, "{carrier:?}");
}

#[test]
fn failures_are_told_apart_by_version() {
    // A third of the calls go to version 2, which fails half of them in the regression: a sixth of the requests.
    let failing = |index: i64, is_regression: bool| {
        let version = if index % 3 == 0 { "2" } else { "1" };
        let mut spans = request(index, 0);
        spans[2] = spans[2].clone().resource("service.version", version);
        let fails = is_regression && index % 6 == 0;
        spans.into_iter().map(|span| if fails { span.failed() } else { span }).collect()
    };
    let analysis = analyze(&spans(failing), Attributes::All);
    let suspect = first(&analysis);
    assert_eq!((suspect.service.as_str(), suspect.kind.as_str()), ("catalog", "errors"));
    assert_eq!(names(suspect), ["service.version=2"]);
    let carrier = &suspect.attributes[0];
    assert_close(carrier.share, 1.0);
    assert_close(carrier.contribution_error_ratio, suspect.contribution.error_ratio);
    assert_close(carrier.contribution_ms, 0.0);
}

#[test]
fn a_slow_way_to_one_instance_is_told_by_the_instance_that_answers() {
    // Calls to catalog-3 spend 20 ms more on their way back: time of the edge, not of catalog's spans.
    let slow = |index: i64, is_regression: bool| {
        let mut spans = on_host(request(index, if is_regression && index % 5 == 3 { 20 } else { 0 }), index);
        let own = 10 + noise(index);
        spans[2] = server(3, 2, "catalog list", 2..own + 2).resource("host.name", &format!("catalog-{}", index % 5));
        spans.to_vec()
    };
    let analysis = analyze(&spans(slow), Attributes::All);
    let suspect = first(&analysis);
    assert!(suspect.edge.is_some(), "{suspect:?}");
    assert_eq!(names(suspect), ["host.name=catalog-3"]);
    assert_eq!(suspect.attributes[0].of, Of::Callee);
}

#[test]
fn a_value_with_few_calls_is_not_judged_however_slow_it_is() {
    // Ten calls on a host of their own, one of them 300 ms slower: less than support asks for.
    let slow = |index: i64, is_regression: bool| {
        let host = if index % 40 == 0 { 9 } else { index % 5 };
        let extra = if is_regression { 20 } else { 0 } + if is_regression && index == 40 { 300 } else { 0 };
        on_host(request(index, extra), host).to_vec()
    };
    let analysis = analyze(&spans(slow), Attributes::All);
    assert!(first(&analysis).attributes.is_empty(), "{:?}", first(&analysis).attributes);
}

#[test]
fn a_version_that_all_calls_have_is_pointed_out_as_new_and_not_tested() {
    let slow = |index: i64, is_regression: bool| {
        let mut spans = request(index, if is_regression { 20 } else { 0 });
        spans[2] = spans[2].clone().resource("service.version", if is_regression { "1.5.0" } else { "1.4.0" });
        spans.to_vec()
    };
    let analysis = analyze(&spans(slow), Attributes::All);
    let suspect = first(&analysis);
    assert_eq!(names(suspect), ["service.version=1.5.0"]);
    let carrier = &suspect.attributes[0];
    assert!(carrier.only_in_regression && carrier.q.is_none());
    assert_close(carrier.share, 1.0);
    assert_close(carrier.lift, 1.0);
    let [new, gone] = analysis.new_values.as_slice() else { panic!("{:?}", analysis.new_values) };
    assert_eq!((new.change, new.service.as_str(), new.value.as_str()), (Change::New, "catalog", "1.5.0"));
    assert_eq!((new.replaces.as_deref(), new.n_spans), (Some("1.4.0"), 400));
    assert_eq!(new.seen_unix_ns, EPOCH_NS + HOUR_MS * 1_000_000 + 2_000_000);
    assert_eq!((gone.change, gone.value.as_str()), (Change::Gone, "1.4.0"));
    let text = anstream::adapter::strip_str(&report::analysis::text(&analysis, report::WIDTH)).to_string();
    assert!(text.contains("where    all its calls have service.version=1.5.0, which none had before"), "{text}");
    assert!(text.contains("new   catalog: service.version=1.5.0 instead of 1.4.0"), "{text}");
}

#[test]
fn a_canary_that_is_slow_is_a_carrier_and_new() {
    // A tenth of the calls go to version 2, new, 50 ms slower; the old version is as before.
    let slow = |index: i64, is_regression: bool| {
        let is_canary = is_regression && index % 10 == 7;
        let mut spans = request(index, if is_canary { 50 } else { 0 });
        spans[2] = spans[2].clone().resource("service.version", if is_canary { "2" } else { "1" });
        spans.to_vec()
    };
    let analysis = analyze(&spans(slow), Attributes::All);
    let carrier = &first(&analysis).attributes[0];
    assert_eq!((carrier.value.as_str(), carrier.only_in_regression), ("2", true));
    // It has what its calls take beyond what calls took before; noise of its own tenth aside that is all.
    assert!((carrier.share - 1.0).abs() < 0.05 && carrier.lift > 9.0, "{carrier:?}");
    assert_eq!(analysis.new_values[0].value, "2");
}

#[test]
fn the_answer_depends_neither_on_the_order_of_rows_nor_on_the_number_of_threads() {
    let spans = spans(one_slow_host);
    let mut shuffled = spans.clone();
    shuffled.reverse();
    shuffled.rotate_left(777);
    let json = |spans: &[Given], n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().expect("a pool");
        pool.install(|| serde_json::to_string(&analyze(spans, Attributes::All)).expect("JSON"))
    };
    let expected = json(&spans, 1);
    assert_eq!(json(&shuffled, 1), expected);
    assert_eq!(json(&spans, 3), expected);
}

#[test]
fn attributes_are_looked_into_as_asked() {
    let slow = |index: i64, is_regression: bool| {
        let mut spans = one_slow_host(index, is_regression);
        spans[2] = spans[2].clone().attribute("rack", if index % 5 == 3 { "x" } else { "y" });
        spans
    };
    let spans = spans(slow);
    let named = analyze(&spans, Attributes::Keys(vec!["rack".to_owned()]));
    assert_eq!(names(first(&named)), ["rack=x"]);
    let none = analyze(&spans, Attributes::None);
    assert!(first(&none).attributes.is_empty() && first(&none).attribute_search.is_none());
}

#[test]
fn a_key_with_very_many_values_is_not_kept_to_the_end() {
    let selection = AttributeSelection::Telling(vec!["needed".to_owned()]);
    let mut batch = SpanBatch::default();
    for row in 0..MAX_DISTINCT + 5 {
        for key in ["id", "needed"] {
            if batch.attributes.wants(&selection, key) {
                batch.string_attribute(row, AttributeScope::Span, key, &format!("{key}{row}"));
            }
        }
    }
    assert!(!batch.attributes.wants(&selection, "id") && batch.attributes.wants(&selection, "needed"));
    assert!(batch.attributes.wants(&selection, "other") && !batch.attributes.wants(&selection, "thread.id"));
}

#[test]
fn the_release_of_the_bundled_incident_is_pointed_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/incidents/slow-release");
    let windows = [
        "--baseline=1795461663825227573..1795461763825227573",
        "--regression=1795461774249266649..1795461874249266649",
    ];
    let document = run_in(&folder, &["analyze", "spans", "--format", "json", windows[0], windows[1]]).json();
    let new: Vec<_> =
        document["new_values"].as_array().expect("a list").iter().filter(|value| value["change"] == "new").collect();
    assert_eq!(new.len(), 1, "{new:?}");
    assert_eq!((new[0]["service"].as_str(), new[0]["value"].as_str()), (Some("cart"), Some("1.5.0")));
    assert_eq!(new[0]["replaces"].as_str(), Some("1.4.0"));
    assert!(new[0]["also"].as_array().expect("a list").contains(&serde_json::json!("host.name=cart-2")));
    assert!(new[0]["seen"].as_str().expect("a time").starts_with("2026-11-23T19:22:"), "{}", new[0]["seen"]);
    let carrier = &document["suspects"][0]["attributes"][0];
    assert_eq!((carrier["key"].as_str(), carrier["value"].as_str()), (Some("service.version"), Some("1.5.0")));
}

#[test]
fn calls_that_repeat_failed_ones_are_judged_among_those_that_they_repeat() {
    // payment's release fails half of its calls; checkout repeats them, which it never had to before.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/incidents/error");
    let windows = [
        "--baseline=1795460801621708696..1795460901621708696",
        "--regression=1795460912142391102..1795461012142391102",
    ];
    let document = run_in(&folder, &["analyze", "spans", "--format", "json", windows[0], windows[1]]).json();
    let suspect = &document["suspects"][0];
    let carrier = &suspect["attributes"][0];
    assert_eq!((suspect["service"].as_str(), carrier["value"].as_str()), (Some("payment"), Some("1.5.0")), "{suspect}");
    let (part, whole) = (&carrier["contribution_error_ratio"], &suspect["contribution"]["error_ratio"]);
    assert_close(part.as_f64().expect("a number"), whole.as_f64().expect("a number"));
}

/// A number below 97 that looks drawn.
fn drawn(seed: i64) -> i64 {
    seed.wrapping_mul(2_654_435_761).rem_euclid(1 << 32) / 65_536 % 97
}

#[test]
fn intervals_agree_with_a_bootstrap_over_blocks_of_traces() {
    // numpy, 40,000 Poisson replicates over blocks of two traces: share .584201, its standard error .04588.
    let slow = |index: i64, is_regression: bool| {
        let extra = match (is_regression, index % 5) {
            (true, 3) => 15 + drawn(7 * index + 3) / 5,
            (true, _) => 4,
            _ => 0,
        };
        let seed = if is_regression { index + 1000 } else { index };
        on_host(request(index, extra + drawn(seed) / 4), index).to_vec()
    };
    let analysis = analyze(&spans(slow), Attributes::All);
    let carrier = &first(&analysis).attributes[0];
    assert_eq!(carrier.value, "catalog-3");
    assert!((carrier.share - 0.584_200_857).abs() < 1e-6, "{carrier:?}");
    let error = (carrier.share_interval[1] - carrier.share_interval[0]) / 2.0 / 1.96;
    assert!((error / 0.04588 - 1.0).abs() < 0.05, "{error}");
}

#[test]
fn attributes_that_have_nothing_to_do_with_it_are_no_carriers() {
    // All calls are slower, by times with a long tail; thirty attributes of six values go with nothing.
    const KEYS: [&str; 30] = [
        "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7",
        "b8", "b9", "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9",
    ];
    for round in 0..5 {
        let slow = |index: i64, is_regression: bool| {
            let seed = (round * 2 + i64::from(is_regression)) * 10_007 + index;
            let tail = if drawn(seed) == 0 { 400 } else { drawn(seed + 77) / 5 };
            let mut spans = request(index, tail + if is_regression { 15 } else { 0 });
            for (place, key) in (0..).zip(KEYS) {
                spans[2] = spans[2].clone().attribute(key, &(drawn(seed * 31 + place * 977) % 6).to_string());
            }
            spans.to_vec()
        };
        let analysis = analyze(&spans(slow), Attributes::All);
        let suspect = first(&analysis);
        assert!(suspect.attributes.is_empty(), "round {round}: {:?}", suspect.attributes);
        assert_eq!(suspect.attribute_search.map(|search| search.n_values), Some(180));
    }
}

#[test]
fn a_number_with_many_values_is_told_by_its_range_and_one_that_counts_on_with_time_not_at_all() {
    // Answers of more than 70 rows take 30 ms more. Numbers from 0 to 96: a quarter of the calls is above 72.
    let slow = |index: i64, is_regression: bool| {
        let rows = drawn(index);
        let mut spans = request(index, if is_regression && rows > 72 { 30 } else { 0 });
        let order = index + if is_regression { N } else { 0 };
        spans[2] = spans[2].clone().number("db.rows", rows).number("order.number", order);
        spans.to_vec()
    };
    let analysis = analyze(&spans(slow), Attributes::All);
    let suspect = first(&analysis);
    assert!(suspect.attributes.iter().all(|carrier| carrier.key == "db.rows"), "{:?}", names(suspect));
    assert!(suspect.attributes[0].value.starts_with("over 7"), "{:?}", names(suspect));
    assert_eq!(suspect.attribute_search.map(|search| search.n_keys), Some(1));
}

#[test]
fn a_call_with_its_answer_is_counted_once_and_so_is_one_that_nobody_waits_for() {
    // As gRPC names them; a second call, of the next host, runs behind the first.
    let analysis = analyze(
        &spans(|index, is_regression| {
            let own = 10 + noise(index);
            let slow = if is_regression && index % 5 == 3 { 20 } else { 0 };
            let host = |number: i64| format!("catalog-{}", number % 5);
            vec![
                server(1, 0, "gateway page", 0..own + slow + 4),
                client(2, 1, "gateway list", 1..own + slow + 3),
                server(3, 2, "catalog list", 2..own + slow + 2).resource("host.name", &host(index)),
                client(4, 1, "gateway list", 1..own),
                server(5, 4, "catalog list", 2..own - 1).resource("host.name", &host(index + 1)),
            ]
        }),
        Attributes::All,
    );
    let suspect = first(&analysis);
    assert_eq!((suspect.service.as_str(), names(suspect)), ("catalog", vec!["host.name=catalog-3".to_owned()]));
    let carrier = &suspect.attributes[0];
    // A fifth of 800 calls in each window.
    assert_eq!(carrier.n_calls, [160, 160]);
    assert_close(carrier.share_of_calls.baseline, 0.2);
    assert_close(carrier.share_of_calls.regression, 0.2);
    assert_close(carrier.share, 1.0);
    assert_close(carrier.lift, 5.0);
}
