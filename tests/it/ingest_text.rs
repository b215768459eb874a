//! Text and protobuf exports: what is read from tiny inputs of each format.

mod faults;
mod oracle;
mod pieces;
mod stretches;

use std::fs;
use std::path::{Path, PathBuf};
use suspect::diagnostics::{Place, SetAsideReason, SourceReport};
use suspect::ingest::{Ingested, Options, read};
use suspect::span::{AttributeKey, AttributeScope, AttributeSelection, SpanFrame};

const OTLP: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}},{"key":"host.cpus","value":{"intValue":"8"}}]},"scopeSpans":[{"scope":{"name":"lib","version":"1.2"},"spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","parentSpanId":"","traceState":"a=1","name":"GET /","kind":2,"startTimeUnixNano":"1544712660000000000","endTimeUnixNano":1544712661000000000,"attributes":[{"key":"n","value":{"intValue":7}},{"key":"ok","value":{"boolValue":true}},{"key":"x","value":{"doubleValue":0.5}},{"key":"list","value":{"arrayValue":{"values":[{"stringValue":"a"},{"intValue":"1"},{"kvlistValue":{"values":[{"key":"k","value":{}}]}}]}}},{"key":"raw","value":{"bytesValue":"AAE="}}],"events":[{"name":"exception","attributes":[{"key":"exception.type","value":{"stringValue":"Timeout"}}]}],"status":{"code":2,"message":"late"}}]}]}]}"#;
const JAEGER: &str = r#"{"data":[{"traceID":"1a","spans":[{"traceID":"1a","spanID":"2b","operationName":"op","references":[{"refType":"FOLLOWS_FROM","traceID":"1a","spanID":"3"},{"refType":"CHILD_OF","traceID":"ff","spanID":"4"},{"refType":"CHILD_OF","traceID":"001a","spanID":"5"}],"startTime":1000,"duration":20.5,"tags":[{"key":"span.kind","type":"string","value":"client"},{"key":"error","type":"bool","value":true},{"key":"n","type":"int64","value":"7"}],"logs":[{"timestamp":1,"fields":[{"key":"event","type":"string","value":"error"},{"key":"message","type":"string","value":"late"}]}],"processID":"p1"}],"processes":{"p1":{"serviceName":"cart","tags":[{"key":"host","type":"string","value":"h1"}]}}}],"total":0,"limit":0,"offset":0,"errors":null}"#;
const ZIPKIN: &str = r#"[[{"traceId":"1a","id":"2b","parentId":"1a","kind":"SERVER","name":"get","timestamp":1000,"duration":20,"shared":true,"localEndpoint":{"serviceName":"cart"},"remoteEndpoint":{"ipv4":"10.0.0.1"},"tags":{"error":"","http.status_code":"500"}}],[{"traceId":"1a","id":"3c","kind":"PRODUCER","timestamp":1001},{"traceId":"1a","id":"4d","timestamp":1001},{"traceId":"1a","id":"5e","annotations":[{"timestamp":7,"value":"cr"},{"timestamp":5,"value":"cs"}]}]]"#;

fn options(attributes: AttributeSelection) -> Options {
    Options { attributes, columns: Vec::new() }
}

fn ingest(paths: &[PathBuf]) -> Ingested {
    read(paths, &options(AttributeSelection::All), &|_, _| {}).expect("some path exists")
}

/// Reads one file that holds `content`.
fn ingest_bytes(content: impl AsRef<[u8]>) -> Ingested {
    let folder = tempfile::tempdir().expect("a temporary folder");
    ingest(&[write(folder.path(), "export", content)])
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    fs::write(&path, content).expect("a file");
    path
}

/// A span a line: trace, span, parent, service, operation, kind, status, start and duration.
fn spans(frame: &SpanFrame) -> Vec<String> {
    let SpanFrame { spans, names, traces, .. } = frame;
    let line = |row: usize| {
        let (service, operation) = (names.get(spans.service[row]), names.get(spans.operation[row]));
        format!(
            "{} {:x} {:x} {service} {operation:?} {} {} {} {}",
            traces.text(spans.trace[row]),
            spans.span_id[row],
            spans.parent_span_id[row],
            spans.kind[row],
            spans.status[row],
            spans.start_unix_ns[row],
            spans.duration_ns[row]
        )
    };
    (0..spans.len()).map(line).collect()
}

/// An attribute a line, with the number of spans that carry it and its first value.
fn attributes(frame: &SpanFrame) -> Vec<String> {
    let line = |(AttributeKey { scope, key }, column): (&AttributeKey, &suspect::span::AttributeColumn)| {
        let kind = match column.value(0).expect("a value") {
            suspect::span::AttributeValue::String(_) => "string",
            suspect::span::AttributeValue::Int(_) => "int",
            suspect::span::AttributeValue::Double(_) => "double",
            suspect::span::AttributeValue::Bool(_) => "bool",
            suspect::span::AttributeValue::Json(_) => "json",
        };
        let scope = if *scope == AttributeScope::Resource { "resource " } else { "" };
        format!("{scope}{key} = {kind} {} x{}", frame.attributes.text(column.value(0).expect("a value")), column.len())
    };
    frame.attributes.sorted().into_iter().map(line).collect()
}

fn source(ingested: &Ingested) -> &SourceReport {
    &ingested.sources[0]
}

#[test]
fn otlp_json_is_read_with_typed_attributes() {
    let read = ingest_bytes(OTLP);
    assert_eq!(
        spans(&read.frame),
        ["5b8efff798038103d269b633813fc60c eee19b7ec3c1b174 0 cart \"GET /\" 2 2 1544712660000000000 1000000000"]
    );
    assert_eq!(
        attributes(&read.frame),
        [
            "resource host.cpus = int 8 x1",
            "resource service.name = string cart x1",
            "exception.type = string Timeout x1",
            "list = json [\"a\",1,{\"k\":null}] x1",
            "n = int 7 x1",
            "ok = bool true x1",
            "otel.scope.name = string lib x1",
            "otel.scope.version = string 1.2 x1",
            "otel.status_description = string late x1",
            "raw = string AAE= x1",
            "w3c.tracestate = string a=1 x1",
            "x = double 0.5 x1",
        ]
    );
    assert_eq!(source(&read).format, "OTLP JSON");
}

#[test]
fn only_selected_attributes_are_kept() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write(folder.path(), "a", OTLP);
    let keys = AttributeSelection::Keys(vec!["host.cpus".into(), "n".into()]);
    let read = read(&[path], &options(keys), &|_, _| {}).expect("the file exists");
    assert_eq!(attributes(&read.frame), ["resource host.cpus = int 8 x1", "n = int 7 x1"]);
}

#[test]
fn otlp_json_may_put_the_resource_last_and_use_any_spelling() {
    let old = r#"{"batches":[{"instrumentationLibrarySpans":[{"spans":[{"trace_id":"W47/95gDgQPSabYzgT/GDA==","span_id":"7uGbfsPBsXQ=","parent_span_id":"0000000000000000","name":"a\u00e9\ud83d\ude00\n","kind":"SPAN_KIND_CLIENT","start_time_unix_nano":5,"end_time_unix_nano":"7","status":{"code":"STATUS_CODE_ERROR"}}]}],"resource":{"attributes":[{"value":{"stringValue":"cart"},"key":"service.name"}]}}]}"#;
    let bytes = r#"{"trace":{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1],"spanId":[0,0,0,0,0,0,0,2],"parentSpanId":null,"name":"b","startTimeUnixNano":"5","endTimeUnixNano":"5"}]}]}]}}"#;
    let read = ingest_bytes(format!("{old}\r\n\r\n[{{\"result\":{bytes}}}]{bytes}"));
    assert_eq!(
        spans(&read.frame),
        [
            "5b8efff798038103d269b633813fc60c eee19b7ec3c1b174 0 cart \"aé😀\\n\" 3 2 5 2",
            "00000000000000000000000000000001 2 0 unknown_service \"b\" 0 0 5 0",
            "00000000000000000000000000000001 2 0 unknown_service \"b\" 0 0 5 0",
        ]
    );
}

#[test]
fn a_broken_span_costs_no_sibling() {
    let span = |field: &str| {
        format!(r#"{{"traceId":"1","spanId":"2","name":"n","startTimeUnixNano":1,"endTimeUnixNano":2,{field}}}"#)
    };
    let fields = [
        r#""kind":{}"#,
        r#""traceId":7"#,
        r#""spanId":["x"]"#,
        r#""name":[]"#,
        r#""kind":"odd""#,
        r#""endTimeUnixNano":"x""#,
        r#""startTimeUnixNano":0"#,
        r#""startTimeUnixNano":3"#,
        r#""spanId":"0""#,
        r#""traceId":null"#,
        r#""attributes":7,"events":{},"status":[]"#,
    ];
    let all: Vec<_> = fields.iter().map(|field| span(field)).collect();
    let document = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[7,{}]}}]}}]}}"#, all.join(","));
    let read = ingest_bytes(document);
    let report = source(&read);
    assert_eq!(report.n_skipped_records, 5);
    let reasons: Vec<_> = report.skipped_records.iter().map(|record| record.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "found a number, expected an object",
            "span's `kind`: found an object, expected a name or a number",
            "span's `traceId`: found a number, expected hex digits in a string",
            "span's `spanId`: found a string, expected a byte from 0 to 255",
            "span's `name`: found an array, expected a string",
        ]
    );
    let aside: Vec<_> = report.set_aside.0.iter().map(|(&reason, &n)| (reason, n)).collect();
    assert_eq!(
        aside,
        [
            (SetAsideReason::MissingTraceId, 1),
            (SetAsideReason::MissingSpanId, 1),
            (SetAsideReason::MissingStart, 1),
            (SetAsideReason::MissingDuration, 1),
            (SetAsideReason::NegativeDuration, 1),
        ]
    );
    assert_eq!(report.n_spans, 7);
    assert_eq!(read.frame.spans.len(), 2);
}

#[test]
fn a_broken_line_is_skipped_and_named() {
    let read =
        ingest_bytes(format!("{{\"resourceSpans\":[}}\n{OTLP}\n\nnonsense\n{OTLP}\n{{\"other\":1}}\n{}", &OTLP[..99]));
    let report = source(&read);
    assert_eq!(report.format, "OTLP JSON lines");
    assert_eq!(read.frame.spans.len(), 2);
    let places: Vec<_> = report.skipped_records.iter().map(|record| record.place).collect();
    assert_eq!(places, [Place::Line(1), Place::Line(4), Place::Line(6)]);
    assert!(report.truncated);
    assert_eq!(report.error, None);
}

#[test]
fn line_numbers_hold_across_parallel_chunks() {
    let padding = " ".repeat(300_000);
    let mut text = String::new();
    for _ in 0..100 {
        text.push_str(OTLP);
        text.push_str(&padding);
        text.push('\n');
    }
    text.push_str("{\"broken\"\n");
    text.push_str(OTLP);
    let read = ingest_bytes(text);
    assert_eq!(read.frame.spans.len(), 101);
    assert_eq!(source(&read).skipped_records[0].place, Place::Line(101));
}

#[test]
fn a_broken_document_keeps_the_spans_before_the_break() {
    let pretty = OTLP.replace("[{\"key\"", "[\n{\"key\"");
    let read = ingest_bytes(format!("{pretty}\n\n{{\"resourceSpans\": 7 8}}"));
    assert_eq!(read.frame.spans.len(), 1);
    let error = source(&read).error.as_deref().unwrap_or_default();
    assert!(error.starts_with("broken JSON in line 7, column 21: expected `,` or `}`"), "{error}");
}

#[test]
fn a_broken_element_of_a_list_with_a_line_for_each_costs_only_itself() {
    let zipkin =
        |id: usize| format!(r#"{{"traceId":"1a","id":"{id}","kind":"SERVER","timestamp":1000,"duration":20}}"#);
    let jaeger = |id: usize| {
        let span = format!(
            r#"{{"traceID":"1a","spanID":"{id}","operationName":"o","startTime":1,"duration":2,"processID":"p"}}"#
        );
        format!(r#"{{"traceID":"1a","spans":[{span}],"processes":{{"p":{{"serviceName":"s"}}}}}}"#)
    };
    for broken in [3, 5] {
        for (open, element, close) in [
            ("[\n", &zipkin as &dyn Fn(usize) -> String, "\n]\n"),
            ("{\"data\":[\n", &jaeger, "\n],\"total\":0,\"errors\":null}\n"),
            ("{\"data\":[\n", &jaeger, "\n]}"),
        ] {
            let elements: Vec<String> = (1..=5)
                .map(|id| if id == broken { element(id).replacen("\":", "\"", 1) } else { element(id) })
                .collect();
            let read = ingest_bytes(format!("{open}{}{close}", elements.join(",\n")));
            let report = source(&read);
            assert_eq!((read.frame.spans.len(), report.n_skipped_records), (4, 1), "{report:?}");
            assert_eq!((&report.error, report.truncated), (&None, false));
            let reason = &report.skipped_records[0].reason;
            assert!(reason.starts_with(&format!("broken JSON in line {}, column ", broken + 1)), "{reason}");
        }
    }
}

#[test]
fn jaeger_json_is_read_with_references_and_process() {
    let read = ingest_bytes(JAEGER);
    assert_eq!(spans(&read.frame), ["000000000000001a 2b 5 cart \"op\" 3 2 1000000 20500"]);
    assert_eq!(
        attributes(&read.frame),
        ["resource host = string h1 x1", "exception.message = string late x1", "n = int 7 x1"]
    );
    assert_eq!(source(&read).format, "Jaeger JSON");
}

#[test]
fn jaeger_spans_stored_in_elasticsearch_are_read() {
    let stored = r#"{"traceID":"1a","spanID":"2b","parentSpanID":"3","operationName":"op","references":[],"startTime":1000,"startTimeMillis":1,"duration":20,"tags":[{"key":"x","type":"float64","value":"1.5"}],"tag":{"span@kind":"server","http@status_code":200,"error":"true"},"process":{"serviceName":"cart","tags":[]}}"#;
    let wrapped = format!("{{\"_index\":\"jaeger-span\",\"_source\":{stored}}}");
    let expected = "000000000000001a 2b 3 cart \"op\" 2 2 1000000 20000";
    for text in [
        format!("{stored}\n{stored}\n"),
        format!("{wrapped}\n{wrapped}\n"),
        format!("{{\"took\":1,\"hits\":{{\"total\":2,\"hits\":[{wrapped},{wrapped}]}}}}"),
    ] {
        let read = ingest_bytes(text);
        assert_eq!(spans(&read.frame), [expected, expected]);
        assert_eq!(attributes(&read.frame), ["http.status_code = int 200 x2", "x = double 1.5 x2"]);
        assert_eq!(source(&read).n_skipped_records, 0);
    }
}

#[test]
fn zipkin_json_is_read_with_shared_and_incomplete_spans() {
    let read = ingest_bytes(ZIPKIN);
    assert_eq!(
        spans(&read.frame),
        [
            "000000000000001a 2b 1a cart \"get\" 2 2 1000000 20000",
            "000000000000001a 3c 0 unknown_service \"\" 4 0 1001000 0",
            "000000000000001a 4d 0 unknown_service \"\" 0 0 1001000 0",
            "000000000000001a 5e 0 unknown_service \"\" 3 0 5000 2000",
        ]
    );
    assert_eq!(
        attributes(&read.frame),
        ["error = string  x1", "http.status_code = string 500 x1", "network.peer.address = string 10.0.0.1 x1"]
    );
    assert_eq!(source(&read).set_aside.total(), 0);
}

#[test]
fn compression_and_framing_are_seen_through() {
    let message = oracle::sample_message();
    let plain = spans(&ingest_bytes(&message).frame);
    assert_eq!(plain.len(), 3);
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).expect("compressed");
    let frame = |message: &[u8]| {
        let length = u32::try_from(message.len()).expect("a short message");
        [&length.to_be_bytes()[..], message].concat()
    };
    let framed = frame(&message);
    for (content, format) in [
        (framed.clone(), "OTLP protobuf, length-prefixed"),
        ([frame(b""), framed.clone()].concat(), "OTLP protobuf, length-prefixed"),
        (frame(&zstd(&message)), "OTLP protobuf, length-prefixed"),
        (zstd(&framed), "OTLP protobuf, length-prefixed"),
        (gzip(&message), "OTLP protobuf"),
        (zstd(&message), "OTLP protobuf"),
    ] {
        let read = ingest_bytes(&content);
        assert_eq!(spans(&read.frame), plain, "{format}");
        assert_eq!(source(&read).format, format);
    }
    let twice = [gzip(OTLP.as_bytes()), gzip(b"\n"), gzip(OTLP.as_bytes())].concat();
    let read = ingest_bytes(twice);
    assert_eq!((read.frame.spans.len(), source(&read).compression.as_str()), (2, "gzip"));
    let read = ingest_bytes([frame(&zstd(OTLP.as_bytes())), frame(&zstd(OTLP.as_bytes()))].concat());
    assert_eq!(read.frame.spans.len(), 2);
    let read = ingest_bytes([zstd(format!("{OTLP}\n").as_bytes()), zstd(OTLP.as_bytes())].concat());
    assert_eq!((read.frame.spans.len(), source(&read).compression.as_str()), (2, "zstd"));
}

#[test]
fn zeros_after_a_gzip_member_are_padding() {
    for n_zeros in [1, 9, 10, 512, 600_000] {
        let padded = [gzip(OTLP.as_bytes()), vec![0; n_zeros]].concat();
        let read = ingest_bytes(&padded);
        assert_eq!(read.frame.spans.len(), 1, "{n_zeros}");
        let report = source(&read);
        assert!(!report.truncated && report.error.is_none() && report.notes.is_empty(), "{n_zeros}: {report:?}");
    }
    let between = [gzip(OTLP.as_bytes()), vec![0; 100], gzip(b"\n"), gzip(OTLP.as_bytes())].concat();
    assert_eq!(ingest_bytes(between).frame.spans.len(), 2);
    let followed = [gzip(OTLP.as_bytes()), vec![0; 100], b"something else".to_vec()].concat();
    let read = ingest_bytes(followed);
    assert!(source(&read).error.is_some(), "{:?}", source(&read));
}

#[test]
fn a_byte_order_mark_before_a_later_line_is_a_blank() {
    let mark = "\u{feff}";
    let row = |id: u32| {
        format!(
            r#"{{"trace_id":"{id}","span_id":"{id}","name":"a","service":"s","start_time_unix_nano":1,"duration_ns":1}}"#
        )
    };
    let documents = format!("{mark}{OTLP}\n{mark}{OTLP}\r\n{mark}\n{OTLP}\n{mark}");
    let pretty = format!("{mark}{0}\n{mark}{0}", OTLP.replace("\"resourceSpans\":[", "\n\"resourceSpans\":\n["));
    let rows = format!("{}\n{mark}{}\n", row(1), row(2));
    for (text, n_spans) in [(documents, 3), (pretty, 2), (rows, 2)] {
        let read = ingest_bytes(&text);
        let report = source(&read);
        assert_eq!((read.frame.spans.len(), report.n_skipped_records), (n_spans, 0), "{text}: {report:?}");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("compressed")
}

#[test]
fn a_folder_of_everything_is_read_in_order_and_other_files_are_noted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path();
    write(root, "b/zipkin.txt", ZIPKIN);
    write(root, "b/case.json", r#"{"culprit":"cart"}"#);
    write(root, "a.json", OTLP);
    write(root, "README.md", "# Read me, please\n\nText.\n");
    write(root, "main.py", "import a, b, c\nprint(a)\n");
    write(root, "empty.json", "");
    write(root, "c.jsonl", r#"{"resourceMetrics":[]}"#);
    write(root, ".hidden.json", OTLP);
    write(root, "d.json", JAEGER);
    let read = ingest(&[root.to_owned(), root.join("a.json")]);
    let told: Vec<_> = read
        .sources
        .iter()
        .map(|report| {
            assert_eq!(report.error, None);
            let name = Path::new(&report.path).strip_prefix(root).expect("in the folder").display().to_string();
            format!("{name}: {}{}", report.format, report.notes.join(";"))
        })
        .collect();
    assert_eq!(
        told,
        [
            "README.md: not spans: text",
            "a.json: OTLP JSON",
            "b/case.json: not spans: JSON with `culprit`",
            "b/zipkin.txt: Zipkin JSON",
            "c.jsonl: not spans: OTLP metrics",
            "d.json: Jaeger JSON",
            "empty.json: empty",
            "main.py: not spans: text",
        ]
    );
    assert_eq!(read.frame.spans.len(), 6);
    let named = ingest(&[root.join("b/case.json"), root.join("missing.json")]);
    let errors: Vec<_> = named.sources.iter().filter_map(|report| report.error.as_deref()).collect();
    assert!(errors[0].starts_with("found JSON with `culprit`, expected spans as OTLP JSON"), "{errors:?}");
    assert!(errors[1].starts_with("cannot read: "), "{errors:?}");
}

#[test]
fn globs_match_files_and_folders() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["x/1.json", "x/2.json", "y/1.json", "z.json"] {
        write(folder.path(), name, OTLP);
    }
    let count = |pattern: &str| ingest(&[folder.path().join(pattern)]).sources.len();
    assert_eq!([count("*/1.json"), count("**/*.json"), count("*.json"), count("[xy]")], [2, 4, 1, 3]);
    let error = read(&[folder.path().join("*.csv")], &options(AttributeSelection::All), &|_, _| {});
    assert!(error.is_err_and(|error| error.to_string().contains("*.csv")));
}

#[test]
fn standard_input_is_read_like_a_file() {
    const INSIDE: &str = "SUSPECT_TEST_READS_STDIN";
    if std::env::var_os(INSIDE).is_some() {
        let read = ingest(&["-".into()]);
        assert_eq!((read.frame.spans.len(), source(&read).path.as_str()), (1, "-"));
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let input = fs::File::open(write(folder.path(), "in", gzip(OTLP.as_bytes()))).expect("the file");
    let status = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "ingest_text::standard_input_is_read_like_a_file"])
        .env(INSIDE, "1")
        .stdin(input)
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.is_ok_and(|status| status.success()));
}

#[test]
fn progress_ends_at_the_total() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), "a", OTLP);
    write(folder.path(), "b", gzip(JAEGER.as_bytes()));
    write(folder.path(), "c", "text");
    let last = std::sync::Mutex::new((0, 0));
    let progress = |done, total| {
        let mut last = last.lock().expect("not poisoned");
        *last = (*last).max((done, total));
    };
    read(&[folder.path().to_owned()], &options(AttributeSelection::All), &progress).expect("the folder exists");
    let (done, total) = *last.lock().expect("not poisoned");
    assert_eq!(done, total);
}

#[test]
fn traces_are_read_whatever_logs_and_metrics_come_before_them() {
    let logs = r#"{"resourceLogs":[{"scopeLogs":[]}]}"#;
    let metrics = r#"{"resourceMetrics":[{"scopeMetrics":[]}]}"#;
    let lines = format!("{}{metrics}\n{OTLP}\n", format!("{logs}\n").repeat(100));
    let read = ingest_bytes(lines);
    assert_eq!((read.frame.spans.len(), source(&read).n_skipped_records), (1, 0), "{:?}", source(&read));
    assert_eq!(source(&read).notes, ["documents of logs or metrics, which hold no spans: 101"]);
    let array = ingest_bytes(format!("[{logs},{OTLP}]"));
    assert_eq!(array.frame.spans.len(), 1, "{:?}", source(&array));
    let document = OTLP.replacen('{', r#"{"resourceLogs":[{"scopeLogs":[]}],"#, 1);
    let one = ingest_bytes(document);
    assert_eq!((one.frame.spans.len(), source(&one).n_skipped_records), (1, 0), "{:?}", source(&one));
    let alone = ingest_bytes(format!("{logs}\n{logs}\n"));
    assert!(format!("{:?}", source(&alone)).contains("OTLP logs"), "{:?}", source(&alone));
}

#[test]
fn the_first_version_of_zipkin_is_refused_with_what_would_be_right() {
    let first = r#"[{"traceId":"1a","id":"2b","name":"get","annotations":[{"timestamp":1000,"value":"sr","endpoint":{"serviceName":"cart"}}]}]"#;
    let binary = r#"[[{"traceId":"1a","id":"2b","name":"get","annotations":[],"binaryAnnotations":[]}]]"#;
    for text in [first, binary] {
        let read = ingest_bytes(text);
        let told = format!("{:?}", source(&read));
        assert!(told.contains("Zipkin version 1 JSON; version 2 is read, as `/api/v2/traces` gives it"), "{told}");
        assert!(read.frame.spans.is_empty());
    }
    assert_eq!(ingest_bytes(ZIPKIN).frame.spans.len(), 4);
}
