//! Text that is read in pieces, side by side and with what was learnt before, means what it means alone.

use super::{OTLP, ingest_bytes, source, spans};
use std::fmt::Write as _;
use suspect::diagnostics::Place;
use suspect::ingest::Ingested;
use suspect::span::SpanFrame;

/// Every attribute of every span, with its type.
fn values(frame: &SpanFrame) -> Vec<String> {
    let of_column = |(key, column): (&suspect::span::AttributeKey, &suspect::span::AttributeColumn)| {
        let line = |(row, value)| {
            let kind = format!("{value:?}");
            let kind = kind.split('(').next().unwrap_or_default().to_owned();
            format!("{row} {key:?} {kind} {}", frame.attributes.text(value))
        };
        column.iter().map(line).collect::<Vec<_>>()
    };
    frame.attributes.sorted().into_iter().flat_map(of_column).collect()
}

#[track_caller]
pub(super) fn assert_same(left: &Ingested, right: &Ingested) {
    assert_eq!(spans(&left.frame), spans(&right.frame));
    assert_eq!(values(&left.frame), values(&right.frame));
}

/// The JSON with a blank after each colon, comma and bracket that is outside strings: no text before a value is as it was.
fn spaced(json: &str) -> String {
    let (mut out, mut is_string, mut is_escaped) = (String::new(), false, false);
    for character in json.chars() {
        out.push(character);
        match character {
            '"' if !is_escaped => is_string = !is_string,
            ':' | ',' | '{' | '[' if !is_string => out.push(' '),
            _ => {}
        }
        is_escaped = character == '\\' && !is_escaped;
    }
    out
}

const KEYS: [&str; 4] = ["a", "http.request.method", r#"k\"q"#, "ключ"];

#[test]
fn an_otlp_attribute_is_the_same_whatever_attributes_began_like_it() {
    let ends = [
        r#"{"stringValue":"x"}}"#,
        r#"{"stringValue":"y\"}}"}}"#,
        r#"{"stringValue":"x"},"more":{"key":"b"}}"#,
        r#"{"stringValue":"x","intValue":"3"}}"#,
        r#"{"stringValue":null}}"#,
        r#"{"stringValue":{"stringValue":"z"}}}"#,
        r#"{"stringValue":"x"},"key":"other"}"#,
        r#"{"intValue":"5"}}"#,
        r#"{"intValue":-6}}"#,
        r#"{"boolValue":true}}"#,
        r#"{"doubleValue":0.5}}"#,
        r#"{"bytesValue":"AAE="}}"#,
        r#"{"arrayValue":{"values":[{"stringValue":"a"},{"intValue":"1"}]}}}"#,
        "{}}",
        "null}",
        r#""plain"}"#,
    ];
    let mut list = Vec::new();
    for key in KEYS {
        // Every one after every other.
        for (first, second) in ends.iter().flat_map(|first| ends.iter().map(move |second| (first, second))) {
            for end in [first, second] {
                let id = list.len() + 1;
                list.push(format!(
                    r#"{{"traceId":"{id:032x}","spanId":"{id:016x}","startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712660000000007","attributes":[{{"key":"{key}","value":{end}]}}"#
                ));
            }
        }
    }
    let document = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, list.join(","));
    let read = ingest_bytes(&document);
    assert_eq!((read.frame.spans.len(), source(&read).n_skipped_records), (2048, 0));
    assert!(values(&read.frame).len() > 1500);
    assert_same(&read, &ingest_bytes(spaced(&document)));
}

#[test]
fn a_jaeger_tag_is_the_same_whatever_tags_began_like_it() {
    let ends = [
        r#""type":"string","value":"x"}"#,
        r#""type":"string","value":"y\"}"}"#,
        r#""type":"string","value":7}"#,
        r#""type":"string","value":"x","type":"bool"}"#,
        r#""type":"string","value":null}"#,
        r#""type":"string","value":[1,{"a":2}]}"#,
        r#""type":"int64","value":200}"#,
        r#""type":"int64","value":"200"}"#,
        r#""type":"bool","value":false}"#,
        r#""type":"float64","value":0.5}"#,
        r#""type":"binary","value":"AAE="}"#,
        r#""value":"x"}"#,
        r#""value":3,"type":"int64"}"#,
    ];
    let mut list = Vec::new();
    for key in KEYS {
        for (first, second) in ends.iter().flat_map(|first| ends.iter().map(move |second| (first, second))) {
            for end in [first, second] {
                let id = list.len() + 1;
                list.push(format!(
                    r#"{{"traceID":"1a","spanID":"{id:x}","startTime":1000,"duration":2,"tags":[{{"key":"{key}",{end}]}}"#
                ));
            }
        }
    }
    let document = format!(r#"{{"data":[{{"traceID":"1a","spans":[{}]}}]}}"#, list.join(","));
    let read = ingest_bytes(&document);
    assert_eq!((read.frame.spans.len(), source(&read).n_skipped_records), (1352, 0));
    assert!(values(&read.frame).len() > 1000);
    assert_same(&read, &ingest_bytes(spaced(&document)));
}

/// Traces as Jaeger writes them, most small and one large, with what looks like a trace in names; one has no process for a span, one none.
fn jaeger_traces() -> Vec<String> {
    let trace = |trace: usize| {
        let n_spans = if trace == 300 { 1500 } else { 1 + trace % 4 };
        let span = |span: usize| {
            let process = if trace % 50 == 7 { "missing" } else { ["p1", "p2"][span % 2] };
            format!(
                r#"{{"traceID":"{trace:032x}","spanID":"{:016x}","operationName":"}},{{\"traceID\":\"{trace}","references":[{{"refType":"CHILD_OF","traceID":"{trace:032x}","spanID":"{:016x}"}}],"startTime":1700000000000{:03},"duration":{span},"tags":[{{"key":"span.kind","type":"string","value":"server"}},{{"key":"n","type":"int64","value":{span}}}],"processID":"{process}"}}"#,
                span + 1,
                span,
                trace % 1000
            )
        };
        let processes = r#","processes":{"p1":{"serviceName":"cart","tags":[{"key":"host","type":"string","value":"h1"}]},"p2":{"serviceName":"shop"}}"#;
        let spans: Vec<String> = (0..n_spans).map(span).collect();
        let (spans, after) = (spans.join(","), if trace % 50 == 9 { "" } else { processes });
        format!(r#"{{"traceID":"{trace:032x}","spans":[{spans}]{after}}}"#)
    };
    (1..1200).map(trace).collect()
}

#[test]
fn a_long_jaeger_document_is_as_its_traces_one_by_one() {
    let traces = jaeger_traces();
    let one_by_one = ingest_bytes(traces.iter().fold(String::new(), |mut text, trace| {
        _ = writeln!(text, r#"{{"data":[{trace}]}}"#);
        text
    }));
    assert_eq!(source(&one_by_one).format, "Jaeger JSON lines");
    assert_eq!(one_by_one.frame.spans.len(), 4498);
    let joined = traces.join(",\n");
    assert!(joined.len() > 1_000_000, "it is read in pieces");
    for document in [
        format!(r#"{{"total":0,"data":[{joined}],"errors":null}}"#),
        format!("{{\"data\":[\n{joined}\n]}}\n"),
        format!("[{joined}]"),
        spaced(&format!(r#"{{"data":[{joined}]}}"#)),
    ] {
        let read = ingest_bytes(document);
        assert_eq!((source(&read).format.as_str(), source(&read).n_skipped_records), ("Jaeger JSON", 0));
        assert_same(&read, &one_by_one);
    }
}

#[test]
fn of_a_long_jaeger_document_that_ends_early_whole_traces_are_kept_and_no_others() {
    let traces = jaeger_traces();
    let before = traces[..1000].join(",");
    let cut = &traces[1000][..traces[1000].len() - 100];
    let read = ingest_bytes(format!(r#"{{"data":[{before},{cut}"#));
    assert!(source(&read).truncated);
    assert_same(&read, &ingest_bytes(format!(r#"{{"data":[{before}]}}"#)));
}

#[test]
fn long_zipkin_and_otlp_documents_are_as_their_parts_and_say_where_faults_are() {
    let zipkin: Vec<String> = (1..9000)
        .map(|id| {
            format!(
                r#"{{"traceId":"{:016x}","id":"{id:016x}","name":"}},{{\"traceId\":","timestamp":170000000000{id:04},"duration":{id},"localEndpoint":{{"serviceName":"s{}"}},"tags":{{"error":"","n":"{id}"}}}}"#,
                1 + id / 3,
                id % 5
            )
        })
        .collect();
    let lines = ingest_bytes(zipkin.join("\n"));
    assert_eq!((lines.frame.spans.len(), source(&lines).format.as_str()), (8999, "Zipkin JSON lines"));
    let list = format!("[{}]", zipkin.join(", "));
    assert!(list.len() > 1_000_000, "it is read in pieces");
    assert_same(&ingest_bytes(&list), &lines);
    let nested: Vec<String> = zipkin.chunks(7).map(|trace| format!("[{}]", trace.join(","))).collect();
    assert_same(&ingest_bytes(format!("[{}]", nested.join(","))), &lines);

    let strange = format!("[{},7,{}]", zipkin[..8000].join(","), zipkin[8000..].join(","));
    let read = ingest_bytes(&strange);
    assert_same(&read, &lines);
    let place = strange.find(",7,").expect("it is there") + 1;
    let told: Vec<Place> = source(&read).skipped_records.iter().map(|record| record.place).collect();
    assert_eq!(told, [Place::Offset(place as u64)]);

    let resource = OTLP.strip_prefix(r#"{"resourceSpans":["#).and_then(|text| text.strip_suffix("]}")).expect("a list");
    let many = vec![resource; 1000];
    let whole = ingest_bytes(format!(r#"{{"resourceSpans":[{}]}}"#, many.join(",")));
    assert_eq!(source(&whole).format, "OTLP JSON");
    assert_same(&whole, &ingest_bytes(format!("{OTLP}\n").repeat(1000)));
}

#[test]
fn broken_lines_anywhere_in_a_long_file_are_told_by_their_numbers() {
    let mut lines = vec![OTLP; 2000];
    let broken = [1, 2, 700, 1500, 2000];
    for number in broken {
        lines[number - 1] = r#"{"resourceSpans":]"#;
    }
    let read = ingest_bytes(lines.join("\n"));
    let told: Vec<Place> = source(&read).skipped_records.iter().map(|record| record.place).collect();
    assert_eq!(told, broken.map(|line| Place::Line(line as u64)));
    assert_eq!(read.frame.spans.len(), 1995);
}

#[test]
fn names_that_are_no_utf_8_are_read_as_before_among_others_that_are() {
    let name = OTLP.find("GET /").expect("a name");
    let mut wrong = OTLP.as_bytes().to_vec();
    wrong[name] = 0xFF;
    let read = ingest_bytes([OTLP.as_bytes(), &wrong, OTLP.replace("GET", "ключ").as_bytes()].join(&b'\n'));
    let names: Vec<&str> = read.frame.spans.operation.iter().map(|&code| read.frame.names.get(code)).collect();
    assert_eq!(names, ["GET /", "\u{FFFD}ET /", "ключ /"]);
}
