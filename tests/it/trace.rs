//! One trace: whose time each instant is.

use crate::builder::{EPOCH_NS, Given, MS, client, forest, internal, server, span};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use suspect::normalize::Repairs;
use suspect::report;
use suspect::span::SpanKind;
use suspect::time::format_ns;
use suspect::trace::{RequestKind, Segment, TraceDocument, document};
use unicode_width::UnicodeWidthStr;

fn trace(spans: &[Given]) -> (TraceDocument, Repairs) {
    let (frame, forest, repairs) = forest(spans);
    let document = document(&frame, &forest, 0);
    for request in &document.requests {
        assert_covers(&request.segments, request.start_unix_ns, request.duration_ns);
    }
    assert_covers(&document.segments, document.start_unix_ns, document.duration_ns);
    (document, repairs)
}

/// Segments follow each other without gap or overlap from the start to the end.
fn assert_covers(segments: &[Segment], start_ns: i64, duration_ns: i64) {
    let mut now = start_ns;
    for segment in segments {
        assert_eq!(segment.start_unix_ns, now, "{segments:?}");
        assert!(segment.end_unix_ns > now, "{segments:?}");
        now = segment.end_unix_ns;
    }
    assert_eq!(now, start_ns + duration_ns, "{segments:?}");
}

/// `operation start..end kind` in milliseconds.
fn lines(segments: &[Segment]) -> Vec<String> {
    let line = |segment: &Segment| {
        let [start, end] = [segment.start_unix_ns, segment.end_unix_ns].map(|moment| (moment - EPOCH_NS) / MS);
        format!("{} {start}..{end} {:?}", segment.operation, segment.kind).to_lowercase()
    };
    segments.iter().map(line).collect()
}

fn kinds(document: &TraceDocument) -> Vec<RequestKind> {
    document.requests.iter().map(|request| request.kind).collect()
}

#[test]
fn of_overlapping_siblings_the_last_to_end_is_blamed_and_the_earlier_only_if_most_of_it_lies_before() {
    // The drawing at the head of src/blame.rs.
    let (document, _) = trace(&[
        server(1, 0, "shop r", 0..45),
        internal(2, 1, "shop a", 3..13),
        internal(3, 1, "shop b", 7..23),
        internal(4, 1, "shop a", 19..32),
    ]);
    let expected = ["r 0..7 own", "b 7..19 own", "a 19..32 own", "r 32..45 own"];
    assert_eq!(lines(&document.segments), expected);
    let own: Vec<i64> = document.spans.iter().map(|span| span.self_ns / MS).collect();
    assert_eq!(own, [20, 0, 12, 13]);
}

#[test]
fn a_child_that_outlives_its_parent_is_a_request_of_its_own() {
    let (document, repairs) = trace(&[server(1, 0, "shop order", 0..10), internal(2, 1, "shop mail", 5..50)]);
    assert_eq!(repairs.n_detached, 1);
    assert_eq!(lines(&document.segments), ["order 0..10 own"]);
    assert_eq!(kinds(&document), [RequestKind::Request, RequestKind::Detached]);
    assert_eq!(lines(&document.requests[1].segments), ["mail 5..50 own"]);
    assert!(document.spans[1].is_detached);
    assert_eq!(document.spans[1].depth, 1);
}

#[test]
fn a_consumer_is_a_request_of_its_own_even_within_its_producer() {
    let (document, _) = trace(&[
        server(1, 0, "shop order", 0..20),
        span(SpanKind::Producer, 2, 1, "shop publish", 2..12),
        span(SpanKind::Consumer, 3, 2, "mail process", 4..8),
    ]);
    assert_eq!(lines(&document.segments), ["order 0..2 own", "publish 2..12 gap", "order 12..20 own"]);
    assert_eq!(kinds(&document), [RequestKind::Request, RequestKind::Detached]);
}

#[test]
fn a_callee_that_outlives_its_client_is_blamed_up_to_the_timeout() {
    let (document, repairs) = trace(&[
        server(1, 0, "shop order", 0..12),
        client(2, 1, "shop POST", 0..10).failed(),
        server(3, 2, "bank charge", 1..50),
    ]);
    assert_eq!(repairs.n_detached, 0);
    assert_eq!(lines(&document.segments), ["post 0..1 gap", "charge 1..10 own", "order 10..12 own"]);
    assert_eq!(document.spans[2].duration_ns, 49 * MS);
    assert_eq!(document.spans[2].self_ns, 9 * MS);
}

#[test]
fn the_wait_before_a_retry_is_charged_to_the_retry() {
    let call = |id, time| client(id, 1, "shop GET", time).attribute("peer.service", "bank");
    let (document, _) =
        trace(&[server(1, 0, "shop order", 0..100), call(2, 10..30).failed(), call(3, 50..80), call(4, 90..95)]);
    let expected = [
        "order 0..10 own",
        "get 10..30 peer",
        "get 30..50 backoff",
        "get 50..80 peer",
        "order 80..90 own",
        "get 90..95 peer",
        "order 95..100 own",
    ];
    assert_eq!(lines(&document.segments), expected);
    let retries: Vec<bool> = document.spans.iter().map(|span| span.is_retry).collect();
    assert_eq!(retries, [false, false, true, false]);
    // The wait belongs to the retry, though it is before the retry's start.
    assert_eq!(document.spans[2].self_ns, 50 * MS);
}

#[test]
fn a_call_without_an_answer_is_its_peers_time() {
    let query = client(2, 1, "shop SELECT", 5..15).attribute("db.system.name", "mysql").attribute("db.namespace", "x");
    let (document, _) = trace(&[server(1, 0, "shop order", 0..20), query]);
    assert_eq!(lines(&document.segments), ["order 0..5 own", "select 5..15 peer", "order 15..20 own"]);
    assert_eq!(document.spans[1].peer.as_deref(), Some("mysql:x"));
}

#[test]
fn a_span_whose_parent_is_missing_tops_a_fragment_and_the_root_stays_the_main_request() {
    let (document, repairs) = trace(&[
        server(7, 99, "bank charge", 0..90),
        internal(8, 7, "bank audit", 10..20),
        server(1, 0, "shop order", 30..50),
    ]);
    assert_eq!(repairs.n_orphans, 1);
    assert_eq!(kinds(&document), [RequestKind::Request, RequestKind::Fragment]);
    assert_eq!(lines(&document.segments), ["order 30..50 own"]);
    assert_eq!(lines(&document.requests[1].segments), ["charge 0..10 own", "audit 10..20 own", "charge 20..90 own"]);
    let order: Vec<&str> = document.spans.iter().map(|span| span.operation.as_str()).collect();
    assert_eq!(order, ["order", "charge", "audit"]);
    assert_eq!(document.spans[1].parent_span_id.as_deref(), Some("0000000000000063"));
}

#[test]
fn of_several_roots_the_longest_is_the_main_request() {
    let (document, _) =
        trace(&[server(1, 0, "shop a", 0..10), server(2, 0, "shop b", 20..50), server(3, 0, "shop c", 60..70)]);
    assert_eq!(lines(&document.segments), ["b 20..50 own"]);
    let requests: Vec<&str> = document.requests.iter().map(|request| request.operation.as_str()).collect();
    assert_eq!(requests, ["b", "a", "c"]);
}

#[test]
fn a_cycle_of_parents_is_cut_above_its_first_span() {
    let (document, repairs) = trace(&[
        internal(1, 3, "shop a", 0..30),
        internal(2, 1, "shop b", 5..20),
        internal(3, 2, "shop c", 10..15),
        internal(4, 4, "shop self", 40..41),
    ]);
    // A span that names itself as its parent is the shortest of cycles.
    assert_eq!(repairs.n_cycles, 2);
    assert_eq!(repairs.n_orphans, 0);
    assert_eq!(kinds(&document), [RequestKind::Fragment; 2]);
    assert_eq!(
        lines(&document.segments),
        ["a 0..5 own", "b 5..10 own", "c 10..15 own", "b 15..20 own", "a 20..30 own"]
    );
}

#[test]
fn a_span_read_twice_counts_once_with_its_longer_record() {
    let (document, repairs) =
        trace(&[server(1, 0, "shop a", 0..5), server(1, 0, "shop a", 0..10), internal(2, 1, "shop b", 2..4)]);
    assert_eq!(repairs.n_duplicates, 1);
    assert_eq!(document.n_spans, 2);
    assert_eq!(lines(&document.segments), ["a 0..2 own", "b 2..4 own", "a 4..10 own"]);
}

#[test]
fn a_server_that_shares_its_clients_id_is_below_it() {
    let (document, repairs) = trace(&[
        server(1, 0, "shop order", 0..20),
        client(2, 1, "shop get", 2..18),
        server(2, 1, "bank get", 4..16),
        internal(3, 2, "bank sum", 5..6),
    ]);
    assert_eq!(repairs.n_shared_ids, 1);
    let depths: Vec<(u32, &str)> = document.spans.iter().map(|span| (span.depth, span.service.as_str())).collect();
    assert_eq!(depths, [(0, "shop"), (1, "shop"), (2, "bank"), (3, "bank")]);
    let own: Vec<i64> = document.spans.iter().map(|span| span.self_ns / MS).collect();
    assert_eq!(own, [4, 4, 11, 1]);
}

#[test]
fn a_hundred_thousand_spans_of_one_id_take_no_square_time() {
    let name = |index: i64| format!("service-{} step-{}", index / 250, index % 250);
    let spans: Vec<Given> = (0..100_000).map(|index| client(1, 1, &name(index), index..index + 10)).collect();
    let (document, repairs) = trace(&spans);
    assert_eq!((document.n_spans, repairs.n_conflicting_ids), (100_000, 99_999));
    // The first is the second's child and the other way round, so that one of them is cut off.
    assert_eq!((document.requests.len(), repairs.n_cycles), (1, 1));
}

#[test]
fn clocks_that_disagree_are_brought_together() {
    // The bank's clock is 100 ms ahead; every call spends 2 ms on each way.
    let request = |trace: i64| {
        let spans = [
            server(1, 0, "shop order", 0..20).resource("host.name", "a"),
            client(2, 1, "shop POST", 5..15).resource("host.name", "a"),
            server(3, 2, "bank charge", 107..113).resource("host.name", "b"),
            internal(4, 3, "bank sign", 108..109).resource("host.name", "b"),
        ];
        spans.map(|span| span.trace(trace).later(1_000 * trace))
    };
    let (document, repairs) = trace(&(1..=5).flat_map(request).collect::<Vec<_>>());
    assert_eq!(repairs.skew.len(), 1);
    assert_eq!(repairs.skew[0].offset_ns, 100 * MS);
    let shifts: Vec<i64> = document.spans.iter().map(|span| span.clock_shift_ns / MS).collect();
    assert_eq!(shifts, [0, 0, -100, -100]);
    let own: Vec<i64> = document.spans.iter().map(|span| span.self_ns / MS).collect();
    assert_eq!(own, [10, 4, 5, 1]);
    assert!(report::trace::render(&document, report::WIDTH).contains("moved 100 ms earlier"));
}

#[test]
fn a_child_is_moved_into_its_parent_and_not_out_at_the_other_side() {
    // The bank's clock is usually 10 ms ahead, but in the trace shown by 1 ms.
    let request = |trace: i64| {
        let ahead = if trace == 1 { 1 } else { 10 };
        let spans = [
            server(1, 0, "shop order", 0..20).resource("host.name", "a"),
            client(2, 1, "shop POST", 5..15).resource("host.name", "a"),
            server(3, 2, "bank charge", 5..15).later(ahead).resource("host.name", "b"),
        ];
        spans.map(|span| span.trace(trace).later(1_000 * trace))
    };
    let (document, repairs) = trace(&(1..=5).flat_map(request).collect::<Vec<_>>());
    assert_eq!((repairs.skew[0].offset_ns, repairs.skew[0].n_corrected), (10 * MS, 5));
    let shifts: Vec<i64> = document.spans.iter().map(|span| span.clock_shift_ns / MS).collect();
    assert_eq!(shifts, [0, 0, -1]);
    assert_eq!(document.spans[2].self_ns, 10 * MS);
}

#[test]
fn a_span_without_a_kind_whose_only_child_is_elsewhere_is_the_calls_client_half() {
    let any = |id, parent, name, time| span(SpanKind::Unspecified, id, parent, name, time);
    let (document, repairs) = trace(&[
        any(1, 0, "shop order", 0..20),
        any(2, 1, "shop call", 2..18),
        any(3, 2, "bank charge", 4..16),
        any(4, 3, "bank sum", 5..6),
    ]);
    assert_eq!(repairs.n_inferred_kinds, 4);
    let kinds: Vec<SpanKind> = document.spans.iter().map(|span| span.kind).collect();
    assert_eq!(kinds, [SpanKind::Server, SpanKind::Client, SpanKind::Server, SpanKind::Internal]);
    assert_eq!(document.spans[1].peer.as_deref(), Some("bank"));
}

/// Every line fits, and not all of the spans are shown.
fn assert_readable(document: &TraceDocument) {
    let text = report::trace::render(document, report::WIDTH);
    let text = anstream::adapter::strip_str(&text).to_string();
    assert!(text.lines().all(|line| line.width() <= report::WIDTH), "{text}");
    assert!(text.lines().count() < 250, "{} lines", text.lines().count());
    assert!(text.contains("and 99,801 more spans"), "{text}");
    // What took longest is among them.
    let longest = document.spans.iter().map(|span| span.self_ns).max().expect("a span");
    assert!(text.contains(&format!(" {}  ", format_ns(longest))), "{text}");
}

#[test]
fn a_chain_of_a_hundred_thousand_spans_needs_no_stack() {
    let level = |(depth, start): (u64, i64)| internal(depth + 1, depth, "shop step", start..400_000 - start);
    let (document, _) = trace(&(0..=100_000).zip(0..).map(level).collect::<Vec<_>>());
    assert_eq!(document.segments.len(), 200_001);
    assert_eq!(document.spans.last().map(|span| span.depth), Some(100_000));
    assert_readable(&document);
}

#[test]
fn a_star_of_a_hundred_thousand_spans_takes_no_square_time() {
    let child = |(id, index): (u64, i64)| internal(id, 1, "shop item", 2 * index..2 * index + 1);
    let mut spans = vec![server(1, 0, "shop list", 0..200_000)];
    spans.extend((2..).zip(0..100_000).map(child));
    let (document, _) = trace(&spans);
    assert_eq!(document.segments.len(), 200_000);
    assert_eq!(document.spans[0].self_ns, 100_000 * MS);
    assert_readable(&document);
}

#[test]
fn the_report_shows_the_tree_on_one_scale_and_where_the_time_went() {
    let (document, _) = trace(&[
        server(1, 0, "shop POST /orders", 0..100).failed(),
        client(2, 1, "shop POST", 10..60).failed(),
        server(3, 2, "bank POST /charges\u{1b}[31m", 15..55).failed(),
        client(4, 3, "bank SELECT", 20..50).attribute("db.system.name", "mysql"),
        client(5, 1, "shop POST", 70..90),
        internal(6, 1, "shop send mail", 80..300),
        internal(9, 77, "shop lost", 40..50),
    ]);
    let text = anstream::adapter::strip_str(&report::trace::render(&document, report::WIDTH)).to_string();
    insta::assert_snapshot!(text, @r##"
    trace       0000000000000001
    start       2023-11-14T22:13:20Z
    duration    100 ms
    spans       7 of 2 services
    pieces      1 root, 1 fragment whose parent is missing, 1 that nobody waits for

    service: operation                        duration       self  0                              300 ms
    shop: POST /orders                ERROR     100 ms    20.0 ms  ██─────────██
      shop: POST                      ERROR    50.0 ms    10.0 ms   ▒────▒▒
        bank: POST /charges\u{1b}[31m ERROR    40.0 ms    10.0 ms   ██───█
          bank: SELECT                         30.0 ms    30.0 ms    ▒▒▒▒▒
      shop: POST                               20.0 ms    30.0 ms         ▒▒▒▒▒
        repeats a failed call
      shop: send mail                           220 ms     220 ms           ████████████████████████████
        nobody waits for it
    shop: lost                                 10.0 ms    10.0 ms      ███
      its parent 000000000000004d is missing

    where the time went                        time  share
    bank: SELECT (the callee left no span)  30.0 ms   30 %  ███▋
    shop: POST (the callee left no span)    20.0 ms   20 %  ██▍
    shop: POST /orders                      20.0 ms   20 %  ██▍
    bank: POST /charges\u{1b}[31m           10.0 ms   10 %  █▎
    shop: POST (on the way)                 10.0 ms   10 %  █▎
    shop: POST (before trying again)        10.0 ms   10 %  █▎
    all                                      100 ms  100 %  ████████████
    "##);
}

/// Spans with any times, kinds, failures and parents: missing ones, cycles and themselves included.
fn any_trace() -> impl Strategy<Value = Vec<Given>> {
    let one = (any::<u64>(), 0_i64..1_000, 0_i64..400, 0_usize..3, 0_u64..6, any::<bool>());
    proptest::collection::vec(one, 1..40).prop_map(|spans| {
        let n_ids = spans.len() as u64 + 3;
        let given =
            |(index, (parent, start, length, service, kind, failed)): (usize, (u64, i64, i64, usize, u64, bool))| {
                let name = ["shop a", "bank b", "shop c"][service];
                let given =
                    span(SpanKind::from_code(kind), index as u64 + 1, parent % n_ids, name, start..start + length);
                if failed { given.failed() } else { given }
            };
        spans.into_iter().enumerate().map(given).collect()
    })
}

proptest! {
    #[test]
    fn segments_of_any_request_tile_it(spans in any_trace()) {
        let (document, _) = trace(&spans);
        prop_assert_eq!(document.n_spans, spans.len() as u64);
        prop_assert_eq!(document.spans.len(), spans.len());
        // Nothing is lost: what the spans have of their own is what the requests last.
        let own: i64 = document.spans.iter().map(|span| span.self_ns).sum();
        let requests: i64 = document.requests.iter().map(|request| request.duration_ns).sum();
        prop_assert_eq!(own, requests);
    }

    #[test]
    fn the_order_of_rows_changes_nothing(spans in any_trace()) {
        let reversed: Vec<Given> = spans.iter().rev().cloned().collect();
        prop_assert_eq!(trace(&spans).0, trace(&reversed).0);
    }

    #[test]
    fn any_trace_fits_the_page(spans in any_trace()) {
        let text = anstream::adapter::strip_str(&report::trace::render(&trace(&spans).0, report::WIDTH)).to_string();
        prop_assert!(text.lines().all(|line| line.width() <= report::WIDTH));
    }
}
