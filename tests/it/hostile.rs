//! Input that is broken, absurd or meant to harm, given to the program as a user would give it.

use crate::builder::{self, EPOCH_NS, Given, client, frame, internal, server};
use crate::program::{Run, assert_readable, run_in};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use suspect::analysis;
use suspect::canonical;
use suspect::ingest::{self, Ingested};
use suspect::normalize::required_attributes;
use suspect::report;
use suspect::span::{AttributeSelection, SpanFrame};
use suspect::window;
use tempfile::TempDir;

/// Traces of each window; they start a second apart.
const N_TRACES: i64 = 40;
const SECOND_MS: i64 = 1_000;

/// Requests of three spans; catalog takes 5 ms in the first 40 traces and 25 ms in the others.
fn shop() -> Vec<Given> {
    (0..2 * N_TRACES)
        .flat_map(|index| {
            let own = if index < N_TRACES { 5 } else { 25 } + index % 3;
            let spans = [
                server(1, 0, "gateway page", 0..own + 6),
                client(2, 1, "gateway GET", 1..own + 5),
                server(3, 2, "catalog list", 2..own + 4),
            ];
            spans.map(|span| span.trace(index + 1).later(index * SECOND_MS))
        })
        .collect()
}

/// A span as OTLP JSON has it.
fn otlp_span(trace: u64, id: u64, parent: u64, name: &str, kind: u8, time_ns: [i64; 2]) -> Value {
    json!({
        "traceId": format!("{trace:032x}"),
        "spanId": format!("{id:016x}"),
        "parentSpanId": if parent == 0 { String::new() } else { format!("{parent:016x}") },
        "name": name,
        "kind": kind,
        "startTimeUnixNano": time_ns[0].to_string(),
        "endTimeUnixNano": time_ns[1].to_string(),
    })
}

fn otlp(service: &str, spans: &[Value]) -> Value {
    let name = json!({"key": "service.name", "value": {"stringValue": service}});
    json!({"resourceSpans": [{"resource": {"attributes": [name]}, "scopeSpans": [{"spans": spans}]}]})
}

/// The shop as OTLP JSON lines, a trace a line.
fn shop_lines() -> String {
    let mut text = String::new();
    for index in 0..2 * N_TRACES {
        let start = EPOCH_NS + index * SECOND_MS * builder::MS;
        let own = (if index < N_TRACES { 5 } else { 25 } + index % 3) * builder::MS;
        let trace = u64::try_from(index).expect("not negative") + 1;
        let at = |from: i64, to: i64| [start + from * builder::MS, start + own + to * builder::MS];
        let gateway = [otlp_span(trace, 1, 0, "page", 2, at(0, 6)), otlp_span(trace, 2, 1, "GET", 3, at(1, 5))];
        let catalog = [otlp_span(trace, 3, 2, "list", 2, at(2, 4))];
        let both = [otlp("gateway", &gateway), otlp("catalog", &catalog)];
        let resources: Vec<&Value> = both.iter().map(|half| &half["resourceSpans"][0]).collect();
        writeln!(text, "{}", json!({"resourceSpans": resources})).expect("memory");
    }
    text
}

fn shop_parquet() -> Vec<u8> {
    parquet(&frame(&shop()))
}

fn parquet(frame: &SpanFrame) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spans.parquet");
    canonical::write(frame, &path, false).expect("a file");
    fs::read(path).expect("a file")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// The shop in every shape that a fault may hit, by file name.
fn shapes() -> Vec<(&'static str, Vec<u8>)> {
    let lines = shop_lines();
    let array = lines.lines().collect::<Vec<_>>().join(",");
    let jaeger = json!({"data": (0..2 * N_TRACES).map(|index| {
        let start_us = (EPOCH_NS / 1_000) + index * 1_000_000;
        let took_us = if index < N_TRACES { 5_000 } else { 25_000 };
        json!({
            "traceID": format!("{:032x}", index + 1),
            "spans": [{
                "traceID": format!("{:032x}", index + 1), "spanID": "00000000000000a1", "operationName": "page",
                "startTime": start_us, "duration": took_us, "processID": "p1", "references": [],
                "tags": [{"key": "span.kind", "type": "string", "value": "server"}],
            }],
            "processes": {"p1": {"serviceName": "shop", "tags": []}},
        })
    }).collect::<Vec<_>>()});
    let zipkin: Vec<Value> = (0..2 * N_TRACES)
        .map(|index| {
            json!({
                "traceId": format!("{:032x}", index + 1), "id": "00000000000000a1", "name": "page", "kind": "SERVER",
                "timestamp": (EPOCH_NS / 1_000) + index * 1_000_000,
                "duration": if index < N_TRACES { 5_000 } else { 25_000 },
                "localEndpoint": {"serviceName": "shop"},
            })
        })
        .collect();
    let mut csv =
        String::from("trace_id,span_id,parent_span_id,service,operation,start_time_unix_nano,duration_nano\n");
    for index in 0..2 * N_TRACES {
        let (start, took) = (EPOCH_NS + index * 1_000_000_000, if index < N_TRACES { 5_000_000 } else { 25_000_000 });
        writeln!(csv, "{:032x},00000000000000a1,,shop,page,{start},{took}", index + 1).expect("memory");
    }
    vec![
        ("lines.jsonl", lines.clone().into_bytes()),
        ("array.json", format!("[{array}]").into_bytes()),
        ("lines.jsonl.gz", gzip(lines.as_bytes())),
        ("lines.jsonl.zst", zstd::encode_all(lines.as_bytes(), 1).expect("memory")),
        ("jaeger.json", jaeger.to_string().into_bytes()),
        ("zipkin.json", Value::from(zipkin).to_string().into_bytes()),
        ("table.csv", csv.into_bytes()),
        ("spans.parquet", shop_parquet()),
    ]
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).expect("a file");
    }
    folder
}

fn analyze(folder: &TempDir, more: &[&str]) -> Run {
    run_in(folder.path(), &[&["analyze", "--format", "json", "."], more].concat())
}

/// The invariants of every document.
#[track_caller]
fn assert_sound(document: &Value) {
    let diagnostics = &document["diagnostics"];
    let set_aside: u64 = diagnostics["set_aside"].as_object().expect("a map").values().filter_map(Value::as_u64).sum();
    let n_analysed = diagnostics["n_spans_analysed"].as_u64().expect("a number");
    assert_eq!(diagnostics["n_spans_read"].as_u64(), Some(n_analysed + set_aside), "{diagnostics}");
    let residual = document["decomposition"]["residual_ms"].as_f64().expect("a number");
    let mean = |window: &str| document["degradation"]["mean_ms"][window].as_f64().expect("a number").abs();
    let size = mean("baseline").max(mean("regression"));
    assert!(residual.abs() <= 1e-6_f64.max(size * 1e-9), "residual {residual} ms");
}

/// Ends with one of the three statuses and says why.
#[track_caller]
fn assert_handled(run: &Run, what: &str) {
    match run.status {
        Some(0) => assert_sound(&run.json()),
        Some(1) => {
            assert!(run.stderr.contains("warning: "), "{what}: {run:?}");
            assert_sound(&run.json());
        }
        Some(2) => {
            assert!(run.stdout.is_empty() && run.stderr.contains("error: "), "{what}: {run:?}");
        }
        _ => panic!("{what}: {run:?}"),
    }
}

#[test]
fn every_shape_is_read_whole_when_it_is_whole() {
    for (name, bytes) in shapes() {
        let run = analyze(&folder(&[(name, &bytes)]), &[]);
        assert_eq!(run.status, Some(0), "{name}: {}", run.stderr);
        let document = run.json();
        assert_sound(&document);
        assert_eq!(document["verdict"], "regression", "{name}");
        let culprit = if document["diagnostics"]["n_spans_read"] == 80 { "shop" } else { "catalog" };
        assert_eq!(document["services"][0]["service"], culprit, "{name}");
    }
}

#[test]
fn a_file_cut_off_anywhere_gives_what_stands_before_or_an_error() {
    let mut statuses = [0; 3];
    for (name, bytes) in shapes() {
        for percent in [1, 36, 71, 98] {
            let cut = &bytes[..bytes.len() * percent / 100 + 7];
            let run = analyze(&folder(&[(name, cut)]), &[]);
            let what = format!("{name} at {percent} %");
            assert_handled(&run, &what);
            let status = usize::try_from(run.status.unwrap_or(2)).unwrap_or(2);
            statuses[status] += 1;
            assert!(status != 0 || name == "table.csv", "{what}: cut off, yet complete");
        }
    }
    assert!(statuses[1] > 0 && statuses[2] > 0, "{statuses:?}");
}

#[test]
fn lines_before_the_cut_are_all_read() {
    let text = shop_lines();
    let half = text.lines().take(60).map(str::len).sum::<usize>() + 60;
    let run = analyze(&folder(&[("shop.jsonl", &text.as_bytes()[..half + 20])]), &[]);
    assert_eq!(run.status, Some(1));
    let document = run.json();
    assert_eq!(document["diagnostics"]["n_spans_read"], 180);
    assert_eq!(document["verdict"], "regression");
    assert!(run.stderr.contains("`./shop.jsonl`") || run.stderr.contains("`shop.jsonl`"), "{}", run.stderr);
}

/// The finaliser of splitmix64: bits that look random, the same on every run.
fn mix(seed: u64) -> u64 {
    let key = (seed.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let key = (key ^ (key >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ (key >> 31)
}

/// Reads and analyses in this process, where a panic fails the test; `None` if there is no result.
fn analyze_here(path: &Path) -> Option<(Value, String)> {
    let options = ingest::Options { attributes: AttributeSelection::Keys(required_attributes()), columns: Vec::new() };
    let ingested = ingest::read(&[path.to_path_buf()], &options, &|_, _| ()).ok()?;
    let prepared = analysis::prepare(None, ingested);
    let (windows, selection) = prepared.select(&window::Options::default()).ok()?;
    let analysis = analysis::analyze(&prepared, &windows, &selection).expect("an analysis");
    let text = anstream::adapter::strip_str(&report::analysis::text(&analysis, report::WIDTH)).to_string();
    Some((serde_json::to_value(&analysis).expect("JSON"), text))
}

#[test]
fn flipped_bits_never_break_an_invariant() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut n_results = 0;
    for (name, bytes) in shapes() {
        let path = folder.path().join(name);
        for seed in 0..12_u64 {
            let mut flipped = bytes.clone();
            // One flip to a dozen.
            for flip in 0..=seed {
                let random = mix(seed * 1_000 + flip);
                let bit = usize::try_from(random % (flipped.len() as u64 * 8)).expect("within the file");
                flipped[bit / 8] ^= 1 << (bit % 8);
            }
            fs::write(&path, flipped).expect("a file");
            if let Some((document, text)) = analyze_here(&path) {
                n_results += 1;
                assert_sound(&document);
                assert_readable(&text);
            }
        }
    }
    assert!(n_results > 20, "most flips leave something to analyse: {n_results}");
}

#[test]
fn an_empty_file_is_no_data_and_beside_data_no_harm() {
    let run = analyze(&folder(&[("empty.json", b"")]), &[]);
    assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""));
    assert!(run.stderr.contains("no spans found"), "{}", run.stderr);
    let run = analyze(&folder(&[("empty.json", b""), ("shop.jsonl", shop_lines().as_bytes())]), &[]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert_eq!(run.json()["diagnostics"]["n_spans_read"], 240);
}

#[test]
fn a_file_that_cannot_be_read_beside_good_ones_is_status_1_and_alone_it_is_status_2() {
    let shop = shop_lines();
    let junk = b"\x00\x01\x02 this is no span".as_slice();
    let folder = folder(&[("shop.jsonl", shop.as_bytes()), ("junk.bin", junk)]);
    let with = |paths: &[&str]| run_in(folder.path(), &[&["analyze", "--format", "json"], paths].concat());
    assert_eq!(with(&["shop.jsonl"]).status, Some(0));
    let both = with(&["shop.jsonl", "junk.bin"]);
    assert_eq!(both.status, Some(1));
    assert!(both.stderr.contains("`junk.bin` could not be read"), "{}", both.stderr);
    assert_eq!(both.json()["verdict"], "regression");
    assert_eq!(with(&["junk.bin"]).status, Some(2));
    assert_eq!(with(&["nothing-here.json"]).status, Some(2));
    assert_eq!(with(&["shop.jsonl", "--regression", "yesterday"]).status, Some(2));
    assert_eq!(with(&["shop.jsonl", "--no-such-option"]).status, Some(2));
}

/// The JSON document of spans that are written as Parquet beside nothing else.
#[track_caller]
fn document(spans: &[Given]) -> Value {
    let run = analyze(&folder(&[("spans.parquet", &parquet(&frame(spans)))]), &[]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let document = run.json();
    assert_sound(&document);
    document
}

#[test]
fn parents_in_a_circle_are_cut_once_and_all_their_spans_analysed() {
    let mut spans = shop();
    for (trace, start) in [(901, 1_500), (902, 60_500)] {
        // 11 <- 13 <- 12 <- 11, and 14 is its own parent.
        let circle = [
            internal(11, 13, "loop a", 0..30),
            internal(12, 11, "loop b", 1..29),
            internal(13, 12, "loop c", 2..28),
            internal(14, 14, "loop self", 3..4),
        ];
        spans.extend(circle.map(|span| span.trace(trace).later(start)));
    }
    let document = document(&spans);
    assert_eq!(document["diagnostics"]["n_spans_analysed"], 248);
    // A span that is its own parent names one that is in the data.
    assert_eq!(document["diagnostics"]["repairs"]["n_cycles"], 4);
    assert_eq!(document["diagnostics"]["repairs"]["n_orphans"], 0);
    assert_eq!(document["diagnostics"]["repairs"]["n_rootless_traces"], 2);
    assert_eq!(document["services"][0]["service"], "catalog");
}

#[test]
fn one_id_for_two_spans_keeps_both_and_two_records_of_one_span_keep_the_longer() {
    let mut spans = shop();
    spans.push(server(3, 2, "pricing quote", 2..5).trace(1));
    // The record of an export that was cut short.
    spans.push(server(3, 2, "catalog list", 2..3).trace(2));
    let document = document(&spans);
    let diagnostics = &document["diagnostics"];
    assert_eq!(diagnostics["n_spans_read"], 242);
    assert_eq!(diagnostics["n_spans_analysed"], 241);
    assert_eq!(diagnostics["set_aside"], json!({"duplicate": 1}));
    assert_eq!(diagnostics["repairs"]["n_conflicting_ids"], 1);
    // catalog still takes 8 ms in the trace whose short record came last.
    let (_, forest, _) = builder::forest(&spans);
    let durations = |trace: usize| forest.spans_of(trace).map(|span| forest.end_ns[span] - forest.start_ns[span]);
    assert_eq!(durations(1).min(), Some(8 * builder::MS));
}

#[test]
fn spans_that_end_before_they_start_are_set_aside_and_those_without_length_are_not() {
    let mut lines = shop_lines();
    let at = |trace: i64| EPOCH_NS + (trace - 1) * SECOND_MS * builder::MS;
    let backwards = otlp_span(1, 77, 1, "backwards", 1, [at(1) + 9, at(1) + 2]);
    let instant = otlp_span(2, 78, 1, "instant", 1, [at(2) + 9, at(2) + 9]);
    writeln!(lines, "{}", otlp("gateway", &[backwards, instant])).expect("memory");
    let run = analyze(&folder(&[("shop.jsonl", lines.as_bytes())]), &[]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("1 that end before they start"), "{}", run.stderr);
    let document = run.json();
    assert_eq!(document["diagnostics"]["set_aside"], json!({"negative_duration": 1}));
    assert_eq!(document["diagnostics"]["n_spans_analysed"], 241);
}

#[test]
fn times_at_the_ends_of_what_64_bits_hold_are_analysed_or_set_aside() {
    let mut lines = shop_lines();
    let last = i64::MAX;
    let spans = [
        otlp_span(9_001, 1, 0, "for ever", 2, [1, last]),
        otlp_span(9_001, 2, 1, "step", 1, [2, last - 1]),
        otlp_span(9_001, 3, 1, "step", 1, [3, last - 2]),
        otlp_span(9_001, 4, 1, "step", 1, [4, last]),
        otlp_span(9_001, 5, 0, "for ever", 2, [1, last]),
        otlp_span(9_002, 1, 0, "at the end", 2, [last - 1, last]),
        otlp_span(9_002, 2, 1, "ask", 3, [last - 1, last]),
        otlp_span(9_002, 3, 2, "answer", 2, [last, last]),
        otlp_span(9_003, 1, 0, "at the start", 2, [1, 2]),
    ];
    writeln!(lines, "{}", otlp("gateway", &spans)).expect("memory");
    let beyond = json!({
        "traceId": format!("{:032x}", 9_004), "spanId": "0000000000000001", "name": "beyond", "kind": 2,
        "startTimeUnixNano": "18446744073709551615", "endTimeUnixNano": "18446744073709551615",
    });
    writeln!(lines, "{}", otlp("gateway", &[beyond])).expect("memory");
    let folder = folder(&[("shop.jsonl", lines.as_bytes())]);
    assert_handled(&analyze(&folder, &[]), "no windows");
    let at = |second: i64| EPOCH_NS + second * 1_000_000_000;
    let [baseline, regression] = [format!("{}..{}", at(0), at(40)), format!("{}..{}", at(40), at(90))];
    let run = analyze(&folder, &["--baseline", &baseline, "--regression", &regression]);
    let document = run.json();
    assert_sound(&document);
    assert_eq!(document["services"][0]["service"], "catalog");
    assert_eq!(document["diagnostics"]["set_aside"], json!({"outside_windows": 9, "time_out_of_range": 1}));
}

/// The shop with one more trace in its second half.
fn shop_with(trace: impl IntoIterator<Item = Given>) -> Vec<Given> {
    let mut spans = shop();
    spans.extend(trace.into_iter().map(|span| span.trace(700).later(70 * SECOND_MS + 500)));
    spans
}

#[test]
fn a_chain_of_a_hundred_thousand_spans_does_not_exhaust_the_stack() {
    let link = |id: u64| internal(id, id - 1, if id.is_multiple_of(2) { "deep even" } else { "deep odd" }, 0..20);
    let document = document(&shop_with((1..=100_000).map(link)));
    assert_eq!(document["diagnostics"]["n_spans_analysed"], 100_240);
    assert_eq!(document["services"][0]["service"], "catalog");
}

#[test]
fn a_hundred_thousand_children_of_one_span_are_analysed() {
    let child = |id: u64| {
        let start = i64::try_from(id).expect("small") % 50;
        client(id, 1, "star GET", start..start + 1).attribute("peer.service", "leaf")
    };
    let children = (2..=100_000).map(child);
    let document = document(&shop_with(std::iter::once(server(1, 0, "star page", 0..60)).chain(children)));
    assert_eq!(document["diagnostics"]["n_spans_analysed"], 100_240);
    assert_eq!(document["services"][0]["service"], "catalog");
}

#[test]
fn hostile_names_reach_json_unchanged_and_the_terminal_harmless() {
    let long = "x".repeat(10_000);
    let names = [
        "</script><script>alert(1)</script>",
        "quotes \" ' ` and \\ backslash",
        "bell \u{7} escape \u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7} nul \u{0} tab \t line \n return \r",
        "right to left \u{202e}gnp.exe\u{202c} zero\u{200b}width \u{2066}isolate\u{2069} \u{feff}",
        "wide 支払い サービス 👍👍👍 e\u{301}\u{301}\u{301} \u{9b}31m",
        long.as_str(),
        "",
    ];
    for name in names {
        let mut lines = String::new();
        for index in 0..80_u64 {
            let start = EPOCH_NS + i64::try_from(index).expect("small") * 1_000_000_000;
            let end = start + if index < 40 { 5_000_000 } else { 25_000_000 + i64::from(index % 3 == 0) };
            let mut caller = otlp_span(index + 1, 1, 0, name, 2, [start, end]);
            let mut query = otlp_span(index + 1, 2, 1, name, 3, [start, end - 1_000_000]);
            query["attributes"] = json!([{"key": "peer.service", "value": {"stringValue": format!("peer {name}")}}]);
            if index > 70 {
                caller["status"] = json!({"code": 2, "message": name});
            }
            writeln!(lines, "{}", otlp(&format!("service {name}"), &[caller, query])).expect("memory");
        }
        let folder = folder(&[("shop.jsonl", lines.as_bytes())]);
        let run = analyze(&folder, &[]);
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        let document = run.json();
        assert_sound(&document);
        assert_eq!(document["verdict"], "regression", "{name:?}");
        assert_eq!(document["entries"][0]["operation"], name);
        assert_eq!(document["services"][0]["service"], format!("peer {name}"));
        // Nothing but line ends and spaces below the printable characters, as JSON asks.
        assert!(!run.stdout.chars().any(|c| c.is_ascii_control() && c != '\n'));
        let shown = run_in(folder.path(), &["analyze", "shop.jsonl", "--color", "never"]).complete();
        assert_readable(&shown);
        let shown = run_in(folder.path(), &["trace", "1", "shop.jsonl", "--color", "never"]);
        assert!(shown.stdout.lines().all(|line| line == report::text::escape(line)), "{}", shown.stdout);
    }
}

#[test]
fn windows_beside_the_data_are_refused_with_the_time_that_the_data_cover() {
    let folder = folder(&[("shop.jsonl", shop_lines().as_bytes())]);
    let run = analyze(&folder, &["--baseline", "2020-01-01..2020-01-02", "--regression", "2020-01-03..2020-01-04"]);
    assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""));
    assert!(run.stderr.contains("no trace starts in the baseline window 2020-01-01T00:00:00Z"), "{}", run.stderr);
    assert!(run.stderr.contains("from 2023-11-14T22:13:20Z to 2023-11-14T22:14:39Z"), "{}", run.stderr);
    assert!(run.stderr.contains("--baseline ..22:1"), "{}", run.stderr);
}

#[test]
fn windows_that_overlap_are_refused() {
    let folder = folder(&[("shop.jsonl", shop_lines().as_bytes())]);
    let run = analyze(&folder, &["--baseline", "..+50s", "--regression", "+40s.."]);
    assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""));
    assert!(run.stderr.contains("error: the windows overlap"), "{}", run.stderr);
}

#[test]
fn windows_with_few_traces_are_doubted_on_both_channels() {
    let folder = folder(&[("shop.jsonl", shop_lines().as_bytes())]);
    let run = analyze(&folder, &["--baseline", "..+5s", "--regression", "+40s..+43s"]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    for (window, n_traces) in [("baseline", 5), ("regression", 3)] {
        let warning = format!("the {window} window holds only {n_traces} traces");
        assert!(run.stderr.contains(&format!("warning: {warning}")), "{}", run.stderr);
        let warnings = run.json()["windows"]["warnings"].clone();
        assert!(warnings.to_string().contains(&warning), "{warnings}");
    }
    let quiet = analyze(&folder, &["--baseline", "..+5s", "--regression", "+40s..+43s", "--quiet"]);
    assert_eq!((quiet.status, quiet.stderr.as_str()), (Some(0), ""));
}

#[test]
fn windows_in_the_wrong_order_are_compared_as_given_and_doubted() {
    let folder = folder(&[("shop.jsonl", shop_lines().as_bytes())]);
    let run = analyze(&folder, &["--baseline", "+40s..", "--regression", "..+40s"]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("the regression window ends before the baseline begins"), "{}", run.stderr);
    let document = run.json();
    assert!(document["decomposition"]["change_ms"].as_f64().expect("a number") < -15.0);
    assert_ne!(document["verdict"], "regression");
}

#[test]
fn spans_of_no_service_and_no_operation_are_analysed() {
    let nameless: Vec<Given> = (0..2 * N_TRACES)
        .map(|index| {
            server(1, 0, "", 0..if index < N_TRACES { 5 } else { 9 }).trace(index + 1).later(index * SECOND_MS)
        })
        .collect();
    let prepared = analysis::prepare(None, Ingested { frame: frame(&nameless), sources: Vec::new() });
    let (windows, selection) = prepared.select(&window::Options::default()).expect("windows");
    let analysis = analysis::analyze(&prepared, &windows, &selection).expect("an analysis");
    assert_eq!(analysis.services.len(), 1);
    assert_readable(&anstream::adapter::strip_str(&report::analysis::text(&analysis, report::WIDTH)).to_string());
}
