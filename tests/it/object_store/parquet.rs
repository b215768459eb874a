//! Of large Parquet objects only what is needed is fetched.

use super::{Answer, Request, Server, folder, inspected, ok, run, spans, status};
use crate::fuzz::Random;
use crate::program::run_in;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use suspect::canonical;
use suspect::span::{AttributeScope, Span, SpanBatch, SpanFrame, SpanId, SpanKind, SpanStatus};

/// A server with one Parquet object `b/spans.parquet`; how many bytes of it were asked for is counted, and `change` may answer first.
fn parquet_server(
    content: Vec<u8>,
    n_served: Arc<AtomicU64>,
    change: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
) -> Server {
    Server::new(move |request| {
        if !request.target.starts_with("/b/spans.parquet") {
            return status(404, "NoSuchKey");
        }
        if let Some(answer) = change(request) {
            return answer;
        }
        let Some(range) = request.headers.get("range") else {
            n_served.fetch_add(if request.method == "HEAD" { 0 } else { content.len() as u64 }, Ordering::Relaxed);
            return ok(content.clone());
        };
        let (first, last) = range.trim_start_matches("bytes=").split_once('-').expect("a range");
        let (first, last): (usize, usize) = (first.parse().expect("a number"), last.parse().expect("a number"));
        let part = &content[first..=last.min(content.len() - 1)];
        n_served.fetch_add(part.len() as u64, Ordering::Relaxed);
        let (_, mut headers, part) = ok(part);
        headers.push(format!("Content-Range: bytes {first}-{}/{}", first + part.len() - 1, content.len()));
        (206, headers, part)
    })
}

/// Spans of one service over 400 s, as a canonical file of more than 16 MiB: most of it is an attribute that does not shrink.
fn large_parquet() -> (tempfile::TempDir, Vec<u8>) {
    let mut batch = SpanBatch::default();
    let name = batch.names.intern("shop");
    let mut random = Random(1);
    for index in 0..24_000_u64 {
        let trace = batch.traces.intern(&format!("{:032x}", index + 1)).expect("an id");
        let row = batch.push(Span {
            trace,
            span_id: SpanId::new(index + 1).expect("not 0"),
            parent_span_id: None,
            service: name,
            operation: name,
            kind: SpanKind::Server,
            status: SpanStatus::Unset,
            start_unix_ns: 1_700_000_000_000_000_000 + i64::try_from(index).expect("small") * 16_666_667,
            duration_ns: if index < 18_000 { 20_000_000 } else { 90_000_000 },
        });
        let text = (0..128).map(|_| format!("{:016x}", random.next())).collect::<Vec<_>>().concat();
        batch.string_attribute(row, AttributeScope::Span, "payload", &text);
    }
    let frame = SpanFrame::from_batches([batch]);
    let folder = folder();
    let path = folder.path().join("spans.parquet");
    canonical::write_in_groups(&frame, &path, false, 2_000).expect("written");
    let content = fs::read(&path).expect("a file");
    assert!(content.len() > 17 << 20, "{} bytes", content.len());
    (folder, content)
}

/// Whether a request is for more of a Parquet object than its two ends.
fn is_late(request: &Request) -> bool {
    request.headers.contains_key("if-match") && request.headers["range"] != "bytes=0-15"
}

#[test]
fn of_a_large_parquet_object_only_what_is_needed_is_fetched() {
    let (folder, content) = large_parquet();
    let temporary = super::folder();
    let analyze =
        ["--baseline", "1700000200..1700000250", "--regression", "1700000300..1700000350", "--format", "json"];
    let here = run_in(folder.path(), &[&["analyze", "spans.parquet", "--attributes", "host"], &analyze[..]].concat());
    let ask = |attribute: &str, change: fn(&Request) -> Option<Answer>| {
        let n_served = Arc::new(AtomicU64::new(0));
        let server = parquet_server(content.clone(), Arc::clone(&n_served), change);
        let mut environment = server.s3();
        environment.push(("TMPDIR", temporary.path().to_str().expect("UTF-8").to_owned()));
        let arguments = [&["analyze", "s3://b/spans.parquet", "--attributes", attribute], &analyze[..]].concat();
        let run = run(&arguments, &environment);
        assert_eq!(fs::read_dir(&temporary).expect("the folder").count(), 0);
        (run, n_served.load(Ordering::Relaxed))
    };
    let (there, n_served) = ask("host", |_| None);
    assert_eq!(there.status, Some(0), "{}", there.stderr);
    assert_eq!(there.stdout.replace("s3://b/spans.parquet", "spans.parquet"), here.complete());
    // The last mebibyte, for the footer, and small columns of four of the twelve row groups.
    assert!(n_served < 2 << 20, "{n_served} of {} bytes", content.len());
    let (there, n_served) = ask("payload", |_| None);
    assert_eq!(there.status, Some(0), "{}", there.stderr);
    assert!((4 << 20..content.len() as u64 * 3 / 4).contains(&n_served), "{n_served} of {} bytes", content.len());

    // Another object by this name, and a server that refuses, both when the footer has been read.
    let replaced = |request: &Request| is_late(request).then(|| status(412, "PreconditionFailed"));
    let (there, _) = ask("host", replaced);
    assert_eq!(there.status, Some(2));
    assert!(there.stderr.contains("it was replaced while it was read"), "{}", there.stderr);
    let refused = |request: &Request| is_late(request).then(|| status(403, "AccessDenied"));
    let (there, _) = ask("host", refused);
    assert_eq!(there.status, Some(2));
    assert!(there.stderr.contains("access denied"), "{}", there.stderr);
}

#[test]
fn what_is_named_parquet_and_is_none_is_fetched_whole() {
    let text = [spans(1).into_bytes(), vec![b'\n'; 17 << 20]].concat();
    let server = parquet_server(text, Arc::default(), |_| None);
    let run = run(&["inspect", "s3://b/spans.parquet", "--format", "json"], &server.s3());
    assert_eq!(inspected(&run).1, 10, "{}", run.stderr);
}
