//! Rows of JSON: lines, arrays, results, and broken rows.

use super::{File, attributes, lines, refusal, spans_of};
use suspect::diagnostics::Place;

const ROW: &str = r#"{"Timestamp":"2024-01-02 03:04:05.123456789","TraceId":"ab","SpanId":"1","ParentSpanId":"","TraceState":"","SpanName":"GET \/x","SpanKind":"Server","ServiceName":"front","ResourceAttributes":{"service.name":"front"},"ScopeName":"","SpanAttributes":{"url.path":"\/a"},"Duration":DURATION,"StatusCode":"Ok","StatusMessage":"","Events.Name":["e"]}"#;

fn row(duration: &str) -> String {
    ROW.replace("DURATION", duration)
}

#[test]
fn clickhouse_rows_are_read_with_integers_quoted_or_not() {
    for duration in ["1017", "\"1017\""] {
        let read = spans_of("otel.jsonl", row(duration));
        assert_eq!(lines(&read.frame), ["ab/1<- front GET /x SERVER OK 1704164645123456789+1017"]);
        assert_eq!(attributes(&read.frame, 0), ["resource.service.name=\"front\"", "url.path=\"/a\""]);
    }
}

#[test]
fn json_typed_attributes_of_clickhouse_become_dotted_keys() {
    let nested = row("1").replace(r#"{"url.path":"\/a"}"#, r#"{"url":{"path":"\/a","n":{"i":1}},"list":[1,"a"]}"#);
    let read = spans_of("otel.jsonl", nested);
    assert_eq!(
        attributes(&read.frame, 0),
        ["resource.service.name=\"front\"", "list=[1,\"a\"]", "url.n.i=1", "url.path=\"/a\""]
    );
}

#[test]
fn an_array_and_a_result_are_read_like_lines() {
    let (one, two) = (row("1"), row("2"));
    let array = format!("[\n{one},\n{two}\n]\n");
    let result = format!("{{\n\"meta\":[{{\"name\":\"Timestamp\"}}],\n\"data\":{array},\n\"rows\":2}}");
    for content in [array, result, format!("{one}\n\n{two}")] {
        assert_eq!(spans_of("otel.json", content).frame.spans.duration_ns, [1, 2]);
    }
}

#[test]
fn broken_lines_are_skipped_with_their_number() {
    let content = format!("{}\n{{\"Timestamp\":oops}}\n[1,2]\n{}\n", row("1"), row("\"soon\""));
    let read = File::new("otel.jsonl", content).read();
    assert_eq!(read.frame.spans.len(), 1);
    let skipped = &read.sources[0].skipped_records;
    let places: Vec<_> = skipped.iter().map(|skip| skip.place).collect();
    assert_eq!(places, [Place::Line(2), Place::Line(3), Place::Line(4)]);
    assert!(skipped[0].reason.starts_with("not JSON: "), "{skipped:?}");
    assert_eq!(skipped[1].reason, "`[1,2]`, expected a JSON object");
    assert_eq!(skipped[2].reason, "column `Duration` is `soon`, expected a number or a timestamp");
}

#[test]
fn a_last_line_or_array_that_is_cut_off_is_a_warning() {
    let (one, two) = (row("1"), row("2"));
    let result = format!("{{\"meta\":[],\n\"data\":[{one},{}", &two[..60]);
    for content in [format!("{one}\n{}", &two[..60]), format!("[{one},{}", &two[..60]), format!("[{one},"), result] {
        let read = File::new("otel.json", content).read();
        let report = &read.sources[0];
        assert_eq!((read.frame.spans.len(), report.truncated, report.n_skipped_records), (1, true, 0));
    }
}

#[test]
fn what_comes_after_an_array_is_told_of_and_after_a_result_s_array_is_part_of_it() {
    let (one, two) = (row("1"), row("2"));
    let array = format!("[{one}]");
    for (more, n_skipped) in [("", 0), (" \n\n", 0), ("\n[{}]\n", 1), ("]", 1)] {
        let read = File::new("otel.json", format!("{array}{more}")).read();
        let report = &read.sources[0];
        assert_eq!((read.frame.spans.len(), report.n_skipped_records), (1, n_skipped), "{more:?} {report:?}");
        if n_skipped > 0 {
            let at = array.len() + more.len() - more.trim_start().len();
            assert_eq!(report.skipped_records[0].place, Place::Offset(at as u64));
        }
    }
    let result = format!("{{\"meta\":[],\"data\":[{one},{two}],\"rows\":2,\"statistics\":{{\"elapsed\":0.1}}}}\n");
    let report = &spans_of("otel.json", result).sources[0];
    assert_eq!((report.n_spans, report.n_skipped_records), (2, 0));
}

#[test]
fn keys_that_turn_up_late_are_kept() {
    let mut content: String = (0..3_000).map(|_| row("1") + "\n").collect();
    content += &row("2").replace("\"Events.Name\"", "\"tenant\":7,\"Events.Name\"");
    let read = spans_of("otel.jsonl", content);
    assert_eq!(attributes(&read.frame, 3_000), ["resource.service.name=\"front\"", "tenant=7", "url.path=\"/a\""]);
}

#[test]
fn attributes_may_be_nested_objects_of_any_table() {
    let read = spans_of(
        "any.jsonl",
        r#"{"trace_id":"ab","span_id":1,"operation":"o","start_ns":5,"duration_ns":7,"resource":{"service.name":"s"},"attributes":{"a":{"b":1.5}},"tags":[{"key":"k","value":true}],"extra":"x"}"#,
    );
    assert_eq!(lines(&read.frame), ["ab/1<- s o UNSPECIFIED UNSET 5+7"]);
    assert_eq!(attributes(&read.frame, 0), ["resource.service.name=\"s\"", "a.b=1.5", "extra=\"x\"", "k=true"]);
}

#[test]
fn json_without_objects_is_an_error() {
    assert!(refusal("any.jsonl", "[1, 2]").contains("expected spans"));
    assert!(refusal("any.jsonl", "{}\n").contains("expected spans"));
}
