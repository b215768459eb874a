//! CSV: delimiters, quotes, `ClickHouse`'s maps, and broken rows.

use super::{File, attributes, lines, refusal, spans_of};
use suspect::diagnostics::Place;

const HEADER: &str = "trace_id,span_id,service,name,start,duration_ms";
const OTEL: &str = "\"Timestamp\",\"TraceId\",\"SpanId\",\"ParentSpanId\",\"TraceState\",\"SpanName\",\"SpanKind\",\
                    \"ServiceName\",\"ResourceAttributes\",\"SpanAttributes\",\"Duration\",\"StatusCode\",\"StatusMessage\"";

#[test]
fn clickhouse_csv_maps_keep_quotes_and_backslashes() {
    for (kind, status) in [("Client", "Error"), ("SPAN_KIND_CLIENT", "STATUS_CODE_ERROR")] {
        let row = format!(
            "\"2024-01-02 03:04:05.123456789\",\"ab\",\"1\",\"\",\"\",\"GET /\",\"{kind}\",\"front\",\
             \"{{'k8s.pod.name':'it\\'s \"\"a\"\" \\\\ pod, {{x}}\\n2'}}\",\"{{'n':'1','é':''}}\",1017,\"{status}\",\"no\""
        );
        let read = spans_of("otel.csv", format!("{OTEL}\n{row}\n"));
        assert_eq!(lines(&read.frame), ["ab/1<- front GET / CLIENT ERROR 1704164645123456789+1017"]);
        assert_eq!(
            attributes(&read.frame, 0),
            [
                "resource.k8s.pod.name=\"it's \\\"a\\\" \\\\ pod, {x}\\n2\"",
                "n=\"1\"",
                "otel.status_description=\"no\"",
                "é=\"\""
            ]
        );
    }
}

#[test]
fn clickhouse_tsv_is_unescaped() {
    let header = OTEL.replace('"', "").replace(',', "\t");
    let row = "2024-01-02 03:04:05.5\tab\t1\t\\N\t\tGET\\t/\\\\x\tServer\tfront\t{'a':'b\\'c'}\t{}\t9\tUnset\t";
    let read = spans_of("otel.tsv", format!("{header}\n{row}\n"));
    assert_eq!(lines(&read.frame), ["ab/1<- front GET\t/\\x SERVER UNSET 1704164645500000000+9"]);
    assert_eq!(attributes(&read.frame, 0), ["resource.a=\"b'c\""]);
}

#[test]
fn any_common_delimiter_is_seen_in_the_header() {
    for delimiter in [",", ";", "\t", "|"] {
        let row = ["ab", "1", "s", "o", "1700000000000000000", "1"].join(delimiter);
        let read = spans_of("any.csv", format!("\u{feff}{}\r\n{row}\r\n", HEADER.replace(',', delimiter)));
        assert_eq!(lines(&read.frame), ["ab/1<- s o UNSPECIFIED UNSET 1700000000000000000+1000000"]);
    }
}

#[test]
fn broken_rows_are_skipped_with_their_line() {
    let good = "o,1700000000000000000,1\n";
    let rows = format!(
        "ab,1,s,{good}ab,2,s,\"two\nlines\",1700000000000000000,1\nab,3,s\nab,4,s,o,yesterday,1\nab,5,s,{good}"
    );
    let read = File::new("any.csv", format!("{HEADER}\n{rows}")).read();
    assert_eq!(read.frame.spans.len(), 3);
    let report = &read.sources[0];
    let skipped: Vec<_> = report.skipped_records.iter().map(|skip| (skip.place, skip.reason.as_str())).collect();
    assert_eq!(
        skipped,
        [
            (Place::Line(5), "3 fields, expected 6"),
            (Place::Line(6), "column `start` is `yesterday`, expected a number or a timestamp"),
        ]
    );
    assert_eq!((report.n_skipped_records, report.truncated), (2, false));
}

#[test]
fn one_corrupt_time_changes_no_unit_and_is_told() {
    for corrupt in ["99999999999999999", "99999999999999999999"] {
        let starts = ["0", "1700000000.0", "1700000001.5", corrupt, "1700000002"];
        let rows: Vec<String> = starts.iter().zip(1..).map(|(start, id)| format!("ab,{id},s,o,{start},1\n")).collect();
        let read = File::new("any.csv", format!("{HEADER}\n{}", rows.concat())).read();
        let found: Vec<i64> = read.frame.spans.start_unix_ns.iter().map(|start| start / 1_000_000).collect();
        assert_eq!(found, [0, 1_700_000_000_000, 1_700_000_001_500, 1_700_000_002_000], "{corrupt}");
        let skipped = &read.sources[0].skipped_records;
        assert_eq!((skipped.len(), skipped[0].place), (1, Place::Line(5)));
        let reason = format!("column `start` is `{corrupt}`, expected a time in s that fits 64-bit nanoseconds");
        assert_eq!(skipped[0].reason, reason);
    }
}

#[test]
fn a_last_row_that_is_cut_off_is_a_warning() {
    for cut in ["ab,2,s", "ab,2,s,\"un", "ab,2,s,o,17000"] {
        let read = File::new("any.csv", format!("{HEADER}\nab,1,s,o,1700000000000000000,1\n{cut}")).read();
        let report = &read.sources[0];
        assert_eq!((read.frame.spans.len(), report.truncated, report.n_skipped_records), (1, true, 0), "{cut}");
    }
}

#[test]
fn a_quote_never_closed_is_said_and_not_silent() {
    let rows = "ab,1,s,o,1700000000000000000,1\nab,2,s,\"o,1700000000000000000,1\nab,3,s,o,1700000000000000000,1\n";
    let report = File::new("any.csv", format!("{HEADER}\n{rows}")).read().sources.remove(0);
    assert_eq!(report.n_spans, 1);
    assert_eq!(report.skipped_records[0].place, Place::Line(3));
    assert_eq!(report.skipped_records[0].reason, "a quote is never closed, so the rest of the file was skipped");
}

#[test]
fn spans_without_an_id_are_set_aside_and_counted() {
    let read = File::new("any.csv", format!("{HEADER}\n,1,s,o,1,1\nab,,s,o,1,1\nab,1,s,o,,1\nab,1,s,o,1,-1\n")).read();
    assert_eq!(read.frame.spans.len(), 0);
    assert_eq!((read.sources[0].n_spans, read.sources[0].set_aside.total()), (4, 4));
}

#[test]
fn numbers_and_truth_values_are_typed_only_if_they_print_alike() {
    let read = spans_of("any.csv", format!("{HEADER},i,d,z,b,e\nab,1,s,o,1,1,-7,0.25,007,true,\n"));
    assert_eq!(attributes(&read.frame, 0), ["b=true", "d=0.25", "i=-7", "z=\"007\""]);
}

#[test]
fn many_rows_are_read_in_order() {
    let rows = (1..=20_000).fold(format!("{HEADER}\n"), |rows, n| rows + &format!("ab,{n:x},s,o{},{n},1\n", n % 7));
    let read = spans_of("any.csv", rows);
    assert_eq!(read.frame.spans.len(), 20_000);
    assert!(read.frame.spans.span_id.is_sorted());
}

#[test]
fn a_header_alone_or_nothing_at_all_is_no_panic() {
    assert_eq!(spans_of("any.csv", format!("{HEADER}\n")).frame.spans.len(), 0);
    assert!(refusal("any.csv", "a,b,c\n1,2,3\n").contains("its columns are a, b, c"));
    assert!(refusal("any.csv", "just text\n").contains("found text, expected spans"));
}
