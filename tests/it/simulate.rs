//! Simulated systems: laws, queues and faults against theory, and files that say the same in every format.

use crate::program::run_in;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use suspect::error::Error;
use suspect::ingest::{self, Ingested};
use suspect::simulate::generate::{self, Options};
use suspect::simulate::law::{Law, Part};
use suspect::simulate::random::mix;
use suspect::simulate::{self, Model, Outcome, Scenario, Sink, Span};
use suspect::span::{AttributeSelection, SpanId, SpanKind};

/// Spans of one run, owned.
#[derive(Default)]
struct Kept {
    spans: Vec<Own>,
    n_traces: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Own {
    trace: u128,
    id: u64,
    parent: u64,
    service: String,
    operation: String,
    kind: SpanKind,
    start: i64,
    duration: i64,
    failed: bool,
}

impl<'m> Sink<'m> for Kept {
    fn trace(&mut self, spans: &[Span<'m>]) -> Result<(), Error> {
        self.n_traces += 1;
        self.spans.extend(spans.iter().map(|span| Own {
            trace: span.trace_id,
            id: span.span_id,
            parent: span.parent_span_id,
            service: span.service.to_owned(),
            operation: span.operation.to_owned(),
            kind: span.kind,
            start: span.start_unix_ns,
            duration: span.duration_ns,
            failed: span.failed,
        }));
        Ok(())
    }
}

#[track_caller]
fn simulated(text: &str) -> (Kept, Outcome) {
    let scenario = Scenario::parse(text).unwrap_or_else(|problem| panic!("{}", problem.describe(text)));
    let model = Model::new(&scenario).unwrap_or_else(|problem| panic!("{}", problem.describe(text)));
    let mut kept = Kept::default();
    let outcome = simulate::run(&model, &mut kept, &|_, _| ()).expect("nothing fails");
    (kept, outcome)
}

/// A front that calls a back, each with 1 ms of its own and half a millisecond each way; more keys of each.
pub(crate) fn pair(top: &str, call: &str, back: &str, rest: &str) -> String {
    format!(
        "requests_per_s = 50\nduration_s = 400\n{top}\n\
         [[service]]\nname = \"front\"\n[[service.operation]]\nname = \"ask\"\nentry_weight = 1\n\
         work = {{ law = \"constant\", ms = 1.0 }}\n\
         [[service.operation.call]]\nservice = \"back\"\noperation = \"answer\"\n\
         network = {{ law = \"constant\", ms = 0.5 }}\n{call}\n\
         [[service]]\nname = \"back\"\n{back}\n[[service.operation]]\nname = \"answer\"\n\
         work = {{ law = \"constant\", ms = 1.0 }}\n{rest}"
    )
}

fn mean_ms(spans: &[Own], wanted: impl Fn(&Own) -> bool) -> f64 {
    let own: Vec<f64> = spans.iter().filter(|span| wanted(span)).map(|span| span.duration as f64 / 1e6).collect();
    own.iter().sum::<f64>() / own.len() as f64
}

#[test]
fn laws_have_the_means_and_quantiles_of_theory() {
    let laws = [
        // Median of an exponential law: mean times ln 2.
        (Law::Exponential { mean_ms: 5.0 }, 5.0 * 2.0_f64.ln()),
        (Law::log_normal(4.0, 0.5), 4.0),
        // scipy.stats.gamma(3, scale=2).ppf(0.5)
        (Law::Gamma { shape: 3.0, mean_ms: 6.0 }, 5.348_120_627_447_1),
        // least / (1 - 1/2)^(1/exponent)
        (Law::Pareto { least_ms: 2.0, exponent: 4.0 }, 2.0 * 2.0_f64.powf(0.25)),
        (Law::Constant { ms: 3.0 }, 3.0),
    ];
    for (law, median) in laws {
        let sampler = law.sampler().expect("a law");
        let n = 200_000;
        let mut draws: Vec<f64> = (0..n).map(|index| sampler.draw_ms(mix(7, index))).collect();
        draws.sort_unstable_by(f64::total_cmp);
        let mean = draws.iter().sum::<f64>() / n as f64;
        assert!((mean / law.mean_ms() - 1.0).abs() < 0.01, "{law:?}: mean {mean}, {} in theory", law.mean_ms());
        let middle = draws[draws.len() / 2];
        assert!((middle / median - 1.0).abs() < 0.01, "{law:?}: median {middle}, {median} in theory");
    }
    let parts = [(0.75, 1.0), (0.25, 9.0)].map(|(weight, ms)| Part { weight, law: Law::Constant { ms } });
    let mixture = Law::Mixture { parts: parts.to_vec() };
    assert!((mixture.mean_ms() - 3.0).abs() < 1e-12);
    let sampler = mixture.sampler().expect("a law");
    let n_long = (0..100_000).filter(|&index| sampler.draw_ms(mix(8, index)) > 5.0).count();
    assert!((24_500..25_500).contains(&n_long), "{n_long}");
    assert!(Law::Exponential { mean_ms: f64::NAN }.sampler().is_err());
}

/// Probability of waiting, by Erlang: `a` the load, `c` the servers.
fn erlang_c(load: f64, servers: u32) -> f64 {
    let term = |k: u32| (1..=k).fold(1.0, |product, i| product * load / f64::from(i));
    let last = term(servers) * f64::from(servers) / (f64::from(servers) - load);
    last / ((0..servers).map(term).sum::<f64>() + last)
}

#[test]
fn a_pool_of_workers_makes_calls_wait_as_long_as_erlangs_formula_says() {
    // 300 a second of 10 ms each on 4 workers: a load of 3.
    let text = "requests_per_s = 300\nduration_s = 600\n[[service]]\nname = \"only\"\nworkers = 4\nwaits_in_span = true\n\
                [[service.operation]]\nname = \"work\"\nentry_weight = 1\nwork = { law = \"exponential\", mean_ms = 10.0 }";
    let (kept, outcome) = simulated(text);
    let waiting_ms = erlang_c(3.0, 4) * 10.0 / (4.0 - 3.0);
    let mean = mean_ms(&kept.spans, |_| true);
    assert!((mean / (10.0 + waiting_ms) - 1.0).abs() < 0.03, "{mean} ms, {} in theory", 10.0 + waiting_ms);
    let n = outcome.n_requests as f64;
    assert!((n / 180_000.0 - 1.0).abs() < 0.01, "a Poisson process of 180,000: {n}");
}

#[test]
fn a_pool_of_connections_shows_in_the_gap_before_the_callee() {
    // 50 ms of holding a connection, 10 connections, 150 a second: a load of 7.8 with the ways.
    let text = pair("requests_per_s_unused = 0", "", "", "")
        .replace("requests_per_s_unused = 0\n", "")
        .replace("requests_per_s = 50", "requests_per_s = 150")
        .replace(
            "network = { law = \"constant\", ms = 0.5 }",
            "network = { law = \"constant\", ms = 0.0 }\nconnections = 10",
        )
        .replace(
            "name = \"answer\"\nwork = { law = \"constant\", ms = 1.0 }",
            "name = \"answer\"\nwork = { law = \"exponential\", mean_ms = 50.0 }",
        );
    let (kept, _) = simulated(&text);
    let client = mean_ms(&kept.spans, |span| span.kind == SpanKind::Client);
    let server = mean_ms(&kept.spans, |span| span.service == "back");
    let waiting_ms = erlang_c(7.5, 10) * 50.0 / (10.0 - 7.5);
    let gap = client - server;
    assert!((gap / waiting_ms - 1.0).abs() < 0.1, "{gap} ms, {waiting_ms} in theory");
}

#[test]
fn every_request_ends_and_every_span_has_its_parent() {
    let (kept, outcome) = simulated(&pair("", "", "", ""));
    assert_eq!(kept.n_traces as u64, outcome.n_requests);
    assert_eq!(kept.spans.len() as u64, 3 * outcome.n_requests);
    assert_eq!(outcome.n_spans, 3 * outcome.n_requests);
    let by_id: BTreeMap<u64, &Own> = kept.spans.iter().map(|span| (span.id, span)).collect();
    assert_eq!(by_id.len(), kept.spans.len(), "span ids are distinct");
    for span in kept.spans.iter().filter(|span| span.parent != 0) {
        let parent = by_id[&span.parent];
        assert_eq!(parent.trace, span.trace);
        assert!(parent.start <= span.start && span.start + span.duration <= parent.start + parent.duration);
    }
    // 1 ms in front, half a millisecond each way, 1 ms in back.
    assert!(kept.spans.iter().filter(|span| span.parent == 0).all(|span| span.duration == 3_000_000));
}

#[track_caller]
fn effect(text: &str, ms: f64, error_ratio: f64) -> Outcome {
    let (_, outcome) = simulated(text);
    let added = outcome.truth.causes[0].added;
    let tolerance = 4.0 * added.standard_error_ms + 1e-6;
    assert!((added.ms - ms).abs() <= tolerance, "{} ms (error {}), {ms} expected", added.ms, added.standard_error_ms);
    let tolerance = 4.0 * added.standard_error_ratio + 1e-9;
    assert!((added.error_ratio - error_ratio).abs() <= tolerance, "{} fail, {error_ratio} expected", added.error_ratio);
    outcome
}

pub(crate) fn fault(text: &str) -> String {
    format!("[[fault]]\nservice = \"back\"\n{text}\n")
}

#[test]
fn each_fault_adds_what_it_says() {
    let plain = |fault_text: &str| pair("", "", "", &fault(fault_text));
    effect(&plain("kind = \"slower\"\nadd_ms = 20.0"), 20.0, 0.0);
    effect(&plain("kind = \"slower\"\nfactor = 3.0"), 2.0, 0.0);
    // One host of four.
    effect(&pair("", "", "hosts = 4", &fault("kind = \"slow_host\"\nhost = 2\nadd_ms = 20.0")), 5.0, 0.0);
    effect(&plain("kind = \"network_delay\"\nadd_ms = 3.0"), 6.0, 0.0);
    // Two ways, a tenth of each loses a packet.
    effect(&plain("kind = \"network_loss\"\nratio = 0.1\nadd_ms = 50.0"), 10.0, 0.0);
    effect(&plain("kind = \"n_plus_one\"\ncount = 5"), 4.0 * 2.0, 0.0);
    effect(&plain("kind = \"timeout\"\nratio = 0.1\nadd_ms = 100.0"), 10.0, 0.0);
    // A fifth fails; front then leaves out its second half millisecond no more than before: it ends after it.
    effect(&plain("kind = \"error\"\nratio = 0.2"), 0.0, 0.2);
    // It gives up after 30 ms instead of waiting for 102.
    let timeout = pair("", "timeout_ms = 30.0", "", &fault("kind = \"timeout\"\nratio = 0.1\nadd_ms = 100.0"));
    effect(&timeout, 0.1 * 28.0, 0.1);
    // Half fail, and again, and again: 3 more tries of 2 ms, and an eighth... a sixteenth fails in the end.
    let storm = pair("", "", "", &fault("kind = \"retry_storm\"\nratio = 0.5\ncount = 3"));
    effect(&storm, 2.0 * (0.5 + 0.25 + 0.125), 0.0625);
    let early = pair("", "", "", "[[fault]]\nkind = \"early_return\"\nservice = \"front\"\nratio = 0.5");
    // Half of the requests leave out 2 ms of waiting and half of their own millisecond.
    effect(&early, -0.5 * 2.5, 0.0);
}

#[test]
fn parallel_calls_cold_caches_and_another_mix_add_what_they_say() {
    let second = "[[service.operation.call]]\nservice = \"back\"\noperation = \"answer\"\nstep = 5\n\
                  network = { law = \"constant\", ms = 0.5 }\n";
    let parallel =
        pair("", &format!("step = 5\n{second}"), "", "[[fault]]\nkind = \"lost_parallelism\"\nservice = \"front\"");
    effect(&parallel, 2.0, 0.0);

    let cached = pair(
        "",
        "hit_ratio = 0.9\non_miss = { service = \"store\", operation = \"read\" }",
        "role = \"cache\"\nsystem = \"redis\"",
        "[[service]]\nname = \"store\"\nrole = \"database\"\n[[service.operation]]\nname = \"read\"\n\
         work = { law = \"constant\", ms = 9.0 }\n[[fault]]\nkind = \"cold_cache\"\nservice = \"back\"\nratio = 0.5",
    );
    // Misses go from 0.1 to 0.55, each 9 ms and two ways.
    effect(&cached, 0.45 * 10.0, 0.0);

    let mix = pair(
        "",
        "",
        "",
        "[[service.operation]]\nname = \"other\"\nentry_weight = 1\nwork = { law = \"constant\", ms = 13.0 }\n\
         [[fault]]\nkind = \"traffic_mix\"\nservice = \"back\"\noperation = \"other\"\nfactor = 3.0",
    );
    // Its share goes from 1/2 to 3/4, and it takes 10 ms more than the other entry.
    let outcome = effect(&mix, 2.5, 0.0);
    assert!(outcome.truth.services.is_empty(), "nobody is at fault");
}

#[test]
fn parts_of_several_faults_sum_to_the_whole_and_none_is_nothing() {
    let faults = fault("kind = \"slower\"\nadd_ms = 10.0")
        + &fault("kind = \"n_plus_one\"\ncount = 3")
        + &fault("kind = \"error\"\nratio = 0.1");
    let (_, outcome) = simulated(&pair("", "retries = 1", "", &faults));
    let truth = &outcome.truth;
    let sum: f64 = truth.causes.iter().map(|cause| cause.added.ms).sum();
    assert!((sum - (truth.mean_ms - truth.mean_ms_without_faults)).abs() < 1e-9, "{truth:?}");
    // A slower call made three times: of 2 * 10 ms more than both alone, each has half.
    assert!(truth.causes[0].added.ms > 18.0 && truth.causes[1].added.ms > 12.0, "{truth:?}");
    let by_service: f64 = truth.services.iter().map(|service| service.added.ms).sum();
    assert!((sum - by_service).abs() < 1e-9);

    let many: String = (0..5).map(|_| fault("kind = \"slower\"\nadd_ms = 2.0")).collect();
    let (_, outcome) = simulated(&pair("", "", "", &many));
    let truth = &outcome.truth;
    let sum: f64 = truth.causes.iter().map(|cause| cause.added.ms).sum();
    assert!((sum + truth.interaction_ms - (truth.mean_ms - truth.mean_ms_without_faults)).abs() < 1e-9, "{truth:?}");
    // Five times 2 ms, but for the request under way at the onset.
    assert!((sum - 10.0).abs() < 0.01, "{truth:?}");

    let (_, outcome) = simulated(&pair("", "", "", ""));
    assert!(outcome.truth.causes.is_empty());
    assert!((outcome.truth.mean_ms - outcome.truth.mean_ms_without_faults).abs() < 1e-12);
}

#[test]
fn a_fault_leaves_no_trace_before_its_onset_and_after_its_end() {
    let text = fault("kind = \"slower\"\nadd_ms = 20.0\nonset = 0.25\nend = 0.5");
    let (quiet, _) = simulated(&pair("", "", "", ""));
    let (faulty, outcome) = simulated(&pair("", "", "", &text));
    let [from, to] = outcome.regression;
    let outside = |kept: &Kept| {
        let mut spans: Vec<Own> = kept
            .spans
            .iter()
            .filter(|span| span.start < from - 100_000_000 || span.start > to + 100_000_000)
            .cloned()
            .collect();
        spans.sort_by_key(|span| (span.start, span.id));
        spans
    };
    assert_eq!(outside(&quiet), outside(&faulty));
    assert_ne!(quiet.spans, faulty.spans);
}

#[test]
fn what_consumes_messages_is_called_by_nobody_so_that_its_spans_are_of_one_kind() {
    let folder = tempfile::tempdir().expect("a folder");
    let example = run_in(folder.path(), &["simulate", "--example"]).complete();
    let called = example
        .replace("service = \"pricing\"\noperation = \"quote\"", "service = \"mailer\"\noperation = \"send receipt\"");
    let problem = Scenario::parse(&called).and_then(|scenario| Model::new(&scenario).map(drop)).expect_err("two uses");
    let told = problem.describe(&called);
    assert!(told.contains("line 83, `name`: consumes messages, so that nothing may call it"), "{told}");
    // Systems by seed keep to that, and some have consumers.
    let systems = (0..40).map(|seed| {
        let options = Options { seed, services: 8, depth: 4, fan_out: 3, faults: Vec::new() };
        generate::scenario(&options)
    });
    let consumers = systems.map(|system| {
        Model::new(&system).expect("a system that can be");
        let calls = system.services.iter().flat_map(|service| &service.operations).flat_map(|own| &own.calls);
        calls.filter(|call| call.consumer.is_some()).count()
    });
    assert!(consumers.sum::<usize>() > 3);
}

#[test]
fn the_example_is_a_scenario_with_every_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let example = run_in(folder.path(), &["simulate", "--example"]).complete();
    let (kept, outcome) = simulated(&example);
    assert!((outcome.truth.causes[0].added.ms - 25.0).abs() < 3.0, "{:?}", outcome.truth);
    assert!(kept.spans.iter().any(|span| span.kind == SpanKind::Consumer && span.service == "mailer"));
    assert!(kept.spans.iter().all(|span| span.service != "cart-db"), "a database reports no spans");
}

fn read(path: &Path) -> Ingested {
    let options = ingest::Options { attributes: AttributeSelection::All, columns: Vec::new() };
    ingest::read(&[path.to_owned()], &options, &|_, _| ()).expect("spans")
}

/// Every span with its attributes as text, in order of their ids; times in microseconds, kinds of attributes forgotten.
fn told(path: &Path) -> Vec<String> {
    let ingested = read(path);
    for source in &ingested.sources {
        assert!(source.error.is_none() && source.n_skipped_records == 0 && !source.truncated, "{source:?}");
    }
    let frame = &ingested.frame;
    let mut attributes: Vec<BTreeMap<String, String>> = vec![BTreeMap::new(); frame.spans.len()];
    for (key, column) in frame.attributes.sorted() {
        // The service and a failure the formats say in their own words.
        if ["service.name", "error", "otel.status_code", "span.kind"].contains(&key.key.as_str()) {
            continue;
        }
        for (row, value) in column.iter() {
            attributes[row as usize].insert(key.key.clone(), frame.attributes.text(value).into_owned());
        }
    }
    let spans = &frame.spans;
    let id = |id: u64| SpanId::new(id).map(|id| frame.span_ids.text(id));
    let mut lines: Vec<String> = (0..spans.len())
        .map(|row| {
            let start_us = spans.start_unix_ns[row].div_euclid(1000);
            let end_us = (spans.start_unix_ns[row] + spans.duration_ns[row]).div_euclid(1000);
            format!(
                "{} {:?} {:?} {:?} {:?} kind {} failed {} {start_us} {} {:?}",
                frame.traces.text(spans.trace[row]),
                id(spans.span_id[row]),
                id(spans.parent_span_id[row]),
                frame.names.get(spans.service[row]),
                frame.names.get(spans.operation[row]),
                spans.kind[row],
                spans.status[row] == 2,
                end_us - start_us,
                attributes[row]
            )
        })
        .collect();
    lines.sort_unstable();
    lines
}

const HOSTILE: &str = r#"requests_per_s = 20
duration_s = 30
sampled_ratio = 0.5
[[service]]
name = "a,b\"c\"\n<script>\u001b[31m"
versions = ["1|2", "`3`"]
hosts = 2
[[service.operation]]
name = "GET /x?y={z}&\\\u2028\u202e"
entry_weight = 1
error_ratio = 0.2
work = { law = "constant", ms = 1.5 }
[[service.operation.call]]
service = "'; DROP TABLE"
operation = "line\r\nbreak"
[[service.operation.call]]
service = "queue \"q\""
operation = "publish"
consumer = { service = "'; DROP TABLE", operation = "taken" }
[[service]]
name = "'; DROP TABLE"
[[service.operation]]
name = "line\r\nbreak"
work = { law = "constant", ms = 1.5 }
[[service.operation]]
name = "taken"
work = { law = "constant", ms = 1.5 }
[[service]]
name = "queue \"q\""
role = "queue"
system = "kafka"
[[service.operation]]
name = "publish"
work = { law = "constant", ms = 0.25 }
"#;

#[test]
fn every_format_tells_the_same_spans_whatever_they_are_called() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("shop.toml"), HOSTILE).expect("a file");
    let names = [
        "a.parquet",
        "a.otlp.jsonl",
        "a.otlp.pb",
        "a.csv",
        "a.clickhouse.jsonl",
        "a.jaeger.json",
        "a.zipkin.json",
        "a.otlp.jsonl.zst",
        "a.otlp.pb.gz",
    ];
    let mut first = Vec::new();
    for name in names {
        run_in(folder.path(), &["simulate", name, "--scenario", "shop.toml"]).complete();
        let spans = told(&folder.path().join(name));
        if first.is_empty() {
            assert!(spans.len() > 1000 && spans.iter().any(|span| span.contains("failed true")), "{}", spans.len());
            first.clone_from(&spans);
        }
        assert_eq!(spans.len(), first.len(), "{name}");
        for (got, expected) in spans.iter().zip(&first) {
            assert_eq!(got, expected, "{name}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_at_any_number_of_threads() {
    let folder = tempfile::tempdir().expect("a folder");
    for format in ["parquet", "otlp.jsonl", "otlp.pb.zst"] {
        let bytes = |name: &str, more: &[&str]| {
            let file = format!("{name}.{format}");
            let mut arguments = vec!["simulate", &file, "--fault", "slower,error", "--requests", "1500"];
            arguments.extend(more);
            run_in(folder.path(), &arguments).complete();
            let read = |name: &str| fs::read(folder.path().join(name)).expect("a file");
            (read(&file), read(&format!("{file}.case.json")))
        };
        let one = bytes("one", &["--threads", "1"]);
        assert!(one.0.len() > 10_000);
        assert_eq!(one, bytes("two", &["--threads", "3"]), "{format}");
        assert_ne!(one.0, bytes("other", &["--seed", "2"]).0, "{format}");
    }
}

#[test]
fn lost_spans_are_counted_by_inspect_and_skewed_clocks_are_set_right() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = pair("clock_skew_ms = 400.0\nlost_ratio = 0.05", "", "hosts = 3", "");
    fs::write(folder.path().join("shop.toml"), text).expect("a file");
    run_in(folder.path(), &["simulate", "a.parquet", "--scenario", "shop.toml", "--requests", "2000"]).complete();
    let quality = run_in(folder.path(), &["inspect", "a.parquet", "--format", "json"]).json();
    let (_, outcome) = simulated(&pair("lost_ratio = 0.05\nlost_services = [\"back\"]", "", "", ""));
    assert!(outcome.n_lost > outcome.n_requests, "every span of back and some of front");
    assert!(quality["quality"]["n_orphans"].as_u64().is_some_and(|n_orphans| n_orphans > 50), "{quality}");
    let (_, repairs) = suspect::normalize::forest(&mut read(&folder.path().join("a.parquet")).frame);
    let n_ahead =
        repairs.skew.iter().filter(|pair| pair.offset_ns.abs() > 10_000_000 && pair.n_corrected > 100).count();
    assert!(n_ahead > 0, "{:?}", repairs.skew);
}

#[test]
fn sampled_requests_stand_for_all() {
    let (kept, outcome) = simulated(&pair("sampled_ratio = 0.25", "", "", ""));
    let share = kept.n_traces as f64 / outcome.n_requests as f64;
    assert!((share - 0.25).abs() < 0.015, "{share}");
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("shop.toml"), pair("sampled_ratio = 0.25", "", "", "")).expect("a file");
    run_in(folder.path(), &["simulate", "a.parquet", "--scenario", "shop.toml"]).complete();
    assert!(told(&folder.path().join("a.parquet")).iter().all(|span| span.contains("ot=th:c")));
}

#[test]
fn simulated_cases_are_read_by_eval_with_their_truth() {
    let folder = tempfile::tempdir().expect("a folder");
    run_in(folder.path(), &["simulate", "cases", "--cases", "3", "--requests", "800", "--services", "5"]).complete();
    let report = run_in(folder.path(), &["eval", "cases", "--format", "json"]).json();
    let cases = report["cases"].as_array().expect("a list");
    assert_eq!(cases.len(), 3);
    let kinds: Vec<&str> = cases.iter().filter_map(|case| case["fault_type"].as_str()).collect();
    assert_eq!(kinds, ["none", "slow_host", "slower"]);
    let slower = &cases[2]["contributions"][0];
    let (truth, stated) =
        (slower["true_ms"].as_f64().expect("a number"), slower["stated_ms"].as_f64().expect("a number"));
    assert!(truth > 0.5 && (stated / truth - 1.0).abs() < 0.5, "{slower}");
    assert_eq!(report["overall"]["contributions"]["n_services"], 2);
    let text = run_in(folder.path(), &["eval", "cases"]).complete();
    assert!(text.contains("Stated contribution against the truth"), "{text}");
}

#[test]
fn what_exists_is_replaced_only_by_force_and_an_unwritable_place_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = ["simulate", "out", "--requests", "50"];
    run_in(folder.path(), &arguments).complete();
    let again = run_in(folder.path(), &arguments);
    assert_eq!(again.status, Some(2));
    assert!(again.stderr.contains("exists") && again.stderr.contains("--force"), "{}", again.stderr);
    run_in(folder.path(), &[&arguments[..], &["--force"]].concat()).complete();
    let names: Vec<_> = fs::read_dir(folder.path().join("out")).expect("a folder").flatten().collect();
    assert_eq!(names.len(), 2, "{names:?}");
    fs::write(folder.path().join("file"), "").expect("a file");
    assert_eq!(run_in(folder.path(), &["simulate", "file/out"]).status, Some(2));
}

#[test]
fn a_name_that_ends_as_no_format_is_refused_and_one_without_an_ending_is_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |name: &str| run_in(folder.path(), &["simulate", name, "--requests", "5"]);
    for name in ["x.json", "x.otlp.json", "x.txt", "x.json.gz", "x.gz"] {
        let run = run(name);
        assert_eq!(run.status, Some(2), "{name}");
        assert!(run.stderr.contains(&format!("`{name}` ends as no format does that is written")), "{}", run.stderr);
        assert!(run.stderr.contains("`.otlp.jsonl`, `.otlp.pb`, `.jaeger.json`"), "{}", run.stderr);
        assert!(!folder.path().join(name).exists(), "{name}");
    }
    for name in ["plain", "run-1.2", "dotted.json/"] {
        run(name).complete();
        assert!(folder.path().join(name).join("spans.parquet").is_file(), "{name}");
    }
    run("x.jaeger.json").complete();
    // A format that is given says it for any name.
    run_in(folder.path(), &["simulate", "y.json", "--format", "otlp-json", "--requests", "5"]).complete();
    assert!(folder.path().join("y.json").is_file());
}
