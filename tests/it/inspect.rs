//! The inspection of spans built by hand.

use suspect::diagnostics::{SetAsideReason, SourceReport};
use suspect::ingest::Ingested;
use suspect::inspect::{Inspection, duplicates, summarize};
use suspect::report;
use suspect::span::{Span, SpanBatch, SpanFrame, SpanId, SpanKind, SpanStatus};

const S: i64 = 1_000_000_000;
/// 2024-05-01T14:00:00Z
const TWO_PM: i64 = 1_714_572_000 * S;

/// A span in words; starts count from two o'clock.
struct Line {
    trace: &'static str,
    id: u64,
    parent: u64,
    service: &'static str,
    operation: &'static str,
    kind: SpanKind,
    start_s: i64,
    duration_ms: i64,
    failed: bool,
}

impl Default for Line {
    fn default() -> Self {
        let (trace, service, operation) = ("aa", "shop", "GET /");
        let kind = SpanKind::Server;
        Self { trace, id: 1, parent: 0, service, operation, kind, start_s: 0, duration_ms: 10, failed: false }
    }
}

fn frame(lines: &[Line]) -> SpanFrame {
    let mut batch = SpanBatch::default();
    for line in lines {
        let span = Span {
            trace: batch.traces.intern(line.trace).expect("a trace id"),
            span_id: SpanId::new(line.id).expect("a span id"),
            parent_span_id: SpanId::new(line.parent),
            service: batch.names.intern(line.service),
            operation: batch.names.intern(line.operation),
            kind: line.kind,
            status: if line.failed { SpanStatus::Error } else { SpanStatus::Unset },
            start_unix_ns: TWO_PM + line.start_s * S,
            duration_ns: line.duration_ms * 1_000_000,
        };
        batch.push(span);
    }
    SpanFrame::from_batches([batch])
}

fn inspection(lines: &[Line], source: SourceReport) -> Inspection {
    summarize(&Ingested { frame: frame(lines), sources: vec![source] }).expect("an inspection")
}

/// Two traces; the second lacks its root; one span is there twice; one Zipkin id has two halves.
fn shop() -> Vec<Line> {
    vec![
        Line::default(),
        Line { id: 2, parent: 1, service: "cart", operation: "add", duration_ms: 4, ..Line::default() },
        Line { id: 2, parent: 1, operation: "add", kind: SpanKind::Client, duration_ms: 5, ..Line::default() },
        Line { id: 2, parent: 1, service: "cart", operation: "add", duration_ms: 4, ..Line::default() },
        Line {
            trace: "bb",
            id: 7,
            parent: 6,
            service: "\u{1b}[31mcart",
            kind: SpanKind::Unspecified,
            start_s: 90,
            failed: true,
            ..Line::default()
        },
    ]
}

fn shop_source() -> SourceReport {
    let mut source = SourceReport {
        path: "shop.json".to_owned(),
        format: "OTLP JSON".to_owned(),
        n_bytes: 1_234,
        n_spans: 7,
        ..SourceReport::default()
    };
    source.set_aside.add(SetAsideReason::MissingStart, 2);
    source
}

#[test]
fn a_span_read_twice_is_a_duplicate_and_the_other_half_of_a_call_is_not() {
    assert_eq!(duplicates(&frame(&shop())), [false, false, false, true, false]);
}

#[test]
fn spans_read_are_spans_counted_and_spans_set_aside() {
    let inspection = inspection(&shop(), shop_source());
    assert_eq!((inspection.n_spans_read, inspection.n_spans), (7, 4));
    assert_eq!(inspection.set_aside.total(), 3);
    assert_eq!(inspection.set_aside.0[&SetAsideReason::Duplicate], 1);
    assert_eq!((inspection.n_traces, inspection.n_operations), (2, 4));
    assert_eq!(inspection.start_unix_ns, Some(TWO_PM));
    assert_eq!(inspection.end_unix_ns, Some(TWO_PM + 90 * S + S / 100));
    assert!((inspection.error_ratio - 0.25).abs() < 1e-12);
    assert_eq!(inspection.services, ["\u{1b}[31mcart", "cart", "shop"]);
}

#[test]
fn quality_counts_orphans_missing_kinds_and_missing_roots() {
    let quality = inspection(&shop(), shop_source()).quality;
    assert_eq!((quality.n_orphans, quality.n_without_kind, quality.n_traces_without_root), (1, 1, 1));
    assert!((quality.without_root_ratio - 0.5).abs() < 1e-12);
}

#[test]
fn an_inspection_reads_well_on_a_terminal_and_obeys_no_name() {
    let text = report::inspect::render(&inspection(&shop(), shop_source()), report::WIDTH);
    let plain = anstream::adapter::strip_str(&text).to_string();
    assert!(plain.lines().all(|line| line.chars().count() <= report::WIDTH), "{plain}");
    insta::assert_snapshot!(plain, @r#"
    input       1 file, 1.2 kB
    formats     OTLP JSON
    spans       4 of 7 read; 3 set aside
    traces      2
    services    3 services, 4 operations
    errors      25 % of spans
    time        2024-05-01T14:00:00Z .. 2024-05-01T14:01:30.01Z, 90.0 s
    spans/min   █············································▃ at most 90, steps of 2 s

    service         spans  operations  errors      p50      p95
    shop                2           2     0 %  7.50 ms  9.75 ms
    \u{1b}[31mcart      1           1   100 %  10.0 ms  10.0 ms
    cart                1           1     0 %  4.00 ms  4.00 ms

    data quality
              1     25 %  of spans name a parent that is not in the data
              1     50 %  of traces have no root span
              1     25 %  of spans name no kind; it is inferred from the calls
              2     29 %  of spans read set aside: spans without a start time
              1     14 %  of spans read set aside: spans read more than once

    windows worth trying
      --baseline ..14:00:45 --regression 14:00:45..
          split in the middle
    "#);
}

#[test]
fn an_inspection_is_a_document_with_keys_in_a_fixed_order() {
    let text = report::json(&inspection(&shop()[..2], SourceReport::default()));
    insta::assert_snapshot!(text, @r#"
    {
      "schema_version": 1,
      "formats": [],
      "n_spans_read": 2,
      "n_spans": 2,
      "set_aside": {},
      "n_traces": 1,
      "services": [
        "cart",
        "shop"
      ],
      "n_operations": 2,
      "start_unix_ns": 1714572000000000000,
      "end_unix_ns": 1714572000010000000,
      "error_ratio": 0.0,
      "quality": {
        "n_orphans": 0,
        "orphan_ratio": 0.0,
        "n_without_kind": 0,
        "without_kind_ratio": 0.0,
        "n_traces_without_root": 0,
        "without_root_ratio": 0.0,
        "n_duplicates": 0
      },
      "timeline": {
        "start_unix_ns": 1714572000000000000,
        "step_ns": 1000000,
        "n_spans": [
          2
        ]
      },
      "windows": [],
      "service_details": [
        {
          "service": "cart",
          "n_spans": 1,
          "n_operations": 1,
          "error_ratio": 0.0,
          "p50_ms": 4.0,
          "p95_ms": 4.0
        },
        {
          "service": "shop",
          "n_spans": 1,
          "n_operations": 1,
          "error_ratio": 0.0,
          "p50_ms": 10.0,
          "p95_ms": 10.0
        }
      ],
      "sources": [
        {
          "path": "",
          "format": "",
          "compression": "",
          "n_bytes": 0,
          "n_spans": 0,
          "set_aside": {},
          "n_skipped_records": 0,
          "skipped_records": [],
          "truncated": false,
          "error": null,
          "notes": []
        }
      ]
    }
    "#);
}

#[test]
fn an_inspection_of_nothing_says_so() {
    let nothing = inspection(&[], SourceReport::default());
    assert_eq!((nothing.n_spans, nothing.n_traces, nothing.start_unix_ns), (0, 0, None));
    let text = report::inspect::render(&nothing, report::WIDTH);
    assert!(text.contains("none recognised"), "{text}");
}

#[test]
fn the_order_of_rows_changes_nothing() {
    let mut reversed = shop();
    reversed.reverse();
    let (forward, backward) = (inspection(&shop(), shop_source()), inspection(&reversed, shop_source()));
    assert_eq!(report::json(&forward), report::json(&backward));
}

#[test]
fn extreme_times_do_not_overflow() {
    let mut extreme = frame(&shop());
    extreme.spans.start_unix_ns[0] = i64::MIN;
    extreme.spans.start_unix_ns[1] = i64::MAX - 1;
    let inspection = summarize(&Ingested { frame: extreme, sources: Vec::new() }).expect("an inspection");
    let timeline = inspection.timeline.as_ref().expect("a timeline");
    assert_eq!(timeline.n_spans.iter().sum::<u64>(), 4);
    assert!(timeline.n_spans.len() <= 60);
    assert!(!report::inspect::render(&inspection, report::WIDTH).is_empty());
}

#[test]
fn a_rate_below_one_a_minute_still_draws_a_line_of_one_row() {
    let far_apart = [Line::default(), Line { trace: "bb", start_s: 3_469 * 86_400, ..Line::default() }];
    let text = report::inspect::render(&inspection(&far_apart, SourceReport::default()), report::WIDTH);
    let plain = anstream::adapter::strip_str(&text).to_string();
    let row = plain.lines().find(|line| line.starts_with("spans/min")).expect("the row");
    assert!(row.contains('█') && row.contains("less than 1, steps of "), "{row}");
    assert!(plain.lines().all(|line| line.chars().count() <= report::WIDTH), "{plain}");
}

#[test]
fn a_span_that_failed_by_its_http_status_alone_is_an_error_as_the_analysis_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let row = |id: u32, kind: &str, code: u32| format!("a{id},{id},shop,op,{kind},2023-11-14 22:13:20,5,{code}\n");
    let rows = [row(1, "SERVER", 500), row(2, "SERVER", 404), row(3, "CLIENT", 404), row(4, "SERVER", 200)];
    let header = "trace_id,span_id,service,name,kind,start,duration_ms,http.response.status_code\n";
    std::fs::write(folder.path().join("spans.csv"), header.to_owned() + &rows.concat()).expect("a file");
    let arguments = ["inspect", "spans.csv", "--quiet", "--format", "json"];
    let inspection = crate::program::run_in(folder.path(), &arguments).json();
    assert_eq!((inspection["error_ratio"].as_f64(), inspection["n_spans"].as_u64()), (Some(0.5), Some(4)));
}
