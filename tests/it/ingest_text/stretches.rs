//! Content that is longer than what is held of it means what it means as a whole.

use super::pieces::assert_same;
use super::{options, source};
use crate::program::{Run, run_in};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use suspect::diagnostics::{Place, SourceReport};
use suspect::ingest::{Ingested, Keeper, read_bytes, read_bytes_holding, read_with};
use suspect::span::{AttributeSelection, SpanBatch};

/// Sizes of what is held, of files of 200 kB and more: pieces are a sixteenth.
const HELD: [usize; 3] = [20_000, 50_000, 150_000];

/// A simulated system in every format of text and in protobuf.
static FILES: LazyLock<Vec<(&str, Vec<u8>)>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let names = ["a.otlp.jsonl", "a.csv", "a.clickhouse.jsonl", "a.jaeger.json", "a.zipkin.json"];
    let mut files: Vec<(&str, Vec<u8>)> =
        names.into_iter().map(|name| (name, simulated(folder.path(), name, 200, 1))).collect();
    let lines = files[0].1.clone();
    files.push(("otlp.json", document(&lines)));
    let rows = String::from_utf8(files[2].1.clone()).expect("text").trim_end().replace('\n', ",\n");
    files.push(("rows.json", format!("[\n{rows}\n]\n").into_bytes()));
    let result = format!("{{\"meta\":[{{\"name\":\"]\"}}],\n\"data\":\n[{rows}\n],\n\"rows\":[1,2]}}\n");
    files.push(("result.json", result.into_bytes()));
    // Messages after their lengths, and the same without.
    let framed: Vec<u8> = (2..20).flat_map(|seed| simulated(folder.path(), "b.otlp.pb", 20, seed)).collect();
    let (mut bare, mut rest) = (Vec::new(), framed.as_slice());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (message, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        bare.extend_from_slice(message);
        rest = after;
    }
    files.push(("framed.pb", framed));
    files.push(("bare.pb", bare));
    files
});

fn simulated(folder: &Path, name: &str, n_requests: u64, seed: u64) -> Vec<u8> {
    let [n_requests, seed] = [n_requests, seed].map(|number| number.to_string());
    let arguments = ["simulate", name, "--requests", &n_requests, "--services", "6", "--seed", &seed, "--force"];
    run_in(folder, &arguments).complete();
    fs::read(folder.join(name)).expect("a file")
}

/// Lines of OTLP JSON as one document.
fn document(lines: &[u8]) -> Vec<u8> {
    let lines = std::str::from_utf8(lines).expect("text");
    let resources = lines.lines().map(|line| {
        line.strip_prefix(r#"{"resourceSpans":["#).and_then(|line| line.strip_suffix("]}")).expect("an export")
    });
    format!(r#"{{"resourceSpans":[{}]}}"#, resources.collect::<Vec<_>>().join(",\n")).into_bytes()
}

fn held(name: &str, bytes: &[u8], held_bytes: usize) -> Ingested {
    read_bytes_holding(name, bytes.to_vec(), &options(AttributeSelection::All), held_bytes).expect("a report")
}

fn whole(name: &str, bytes: &[u8]) -> Ingested {
    read_bytes(name, bytes.to_vec(), &options(AttributeSelection::All)).expect("a report")
}

#[track_caller]
fn assert_same_report(left: &SourceReport, right: &SourceReport) {
    let told = |report: &SourceReport| {
        let SourceReport { format, n_bytes, n_spans, n_skipped_records, truncated, error, skipped_records, .. } =
            report;
        // How far lines are counted in a document depends on what is held of it.
        let places: Vec<Place> = skipped_records.iter().map(|record| record.place).collect();
        format!("{format} {n_bytes} {n_spans} {n_skipped_records} {truncated} {} {places:?}", error.is_some())
    };
    assert_eq!(told(left), told(right));
}

#[test]
fn any_format_is_the_same_however_little_of_it_is_held() {
    for (name, bytes) in FILES.iter() {
        let whole = whole(name, bytes);
        assert!(whole.frame.spans.len() > 500 && source(&whole).error.is_none(), "{name}: {:?}", source(&whole));
        for held_bytes in HELD {
            let held = held(name, bytes, held_bytes);
            assert_same(&held, &whole);
            assert_same_report(source(&held), source(&whole));
        }
    }
}

#[test]
fn what_is_inflated_is_held_a_stretch_at_a_time_too() {
    for (name, bytes) in FILES.iter() {
        let whole = whole(name, bytes);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).expect("memory");
        let gzip = gzip.finish().expect("memory");
        for packed in [&gzip, &zstd::encode_all(bytes.as_slice(), 1).expect("memory")] {
            assert_same(&held(name, packed, 20_000), &whole);
            // A stream that ends early gives what came before.
            let cut = held(name, &packed[..packed.len() / 2], 20_000);
            let n_spans = cut.frame.spans.len();
            assert!(source(&cut).truncated && n_spans < whole.frame.spans.len(), "{name}: {:?}", source(&cut));
            assert!(n_spans > 50, "{name}: {n_spans} {:?}", source(&cut));
        }
    }
}

/// Documents of one line each, every one longer than most of what is held; the first and the last are of one element.
fn long_lines() -> Vec<u8> {
    let mut parts = vec![Vec::new(); 8];
    for line in FILES[0].1.split_inclusive(|&byte| byte == b'\n') {
        let document: serde_json::Value = serde_json::from_slice(line).expect("a document");
        for resource in document["resourceSpans"].as_array().expect("a list") {
            let spans = resource["scopeSpans"][0]["spans"].as_array().expect("a list");
            for (part, spans) in parts.iter_mut().zip(spans.chunks(spans.len().div_ceil(8))) {
                let resource = resource["resource"].clone();
                part.push(serde_json::json!({"resource": resource, "scopeSpans": [{"spans": spans}]}));
            }
        }
    }
    let alone = [&parts[0], &parts[1]].map(|part| vec![part[0].clone()]);
    let [first, last] = alone;
    let documents = std::iter::once(first).chain(parts).chain([last]);
    let lines = documents.map(|resources| serde_json::json!({"resourceSpans": resources}).to_string().into_bytes());
    lines.collect::<Vec<_>>().join(&b'\n')
}

#[test]
fn lines_longer_than_what_is_held_are_lines_all_the_same() {
    let lines = long_lines();
    let first = memchr::memchr(b'\n', &lines).expect("a line");
    let mut broken = lines.clone();
    broken.splice(first - 9..first, *b"}{}");
    let mut second_broken = lines[first + 1..].to_vec();
    second_broken.splice(30_000..30_007, *b"\"\"x}]{[");
    for bytes in [&lines, &lines[first + 1..], &broken, &second_broken, &lines[..lines.len() - 9]] {
        let whole = whole("a.jsonl", bytes);
        assert!(source(&whole).format == "OTLP JSON lines" && whole.frame.spans.len() > 500, "{:?}", source(&whole));
        for held_bytes in [1_000, 5_000, 20_000, 50_000, 150_000] {
            let held = held("a.jsonl", bytes, held_bytes);
            assert_same(&held, &whole);
            assert_same_report(source(&held), source(&whole));
        }
    }
}

/// Takes what is read of files of which little is held, and knows the most that came at once.
#[derive(Default)]
struct Little {
    n_most: AtomicUsize,
    n_all: AtomicUsize,
}

impl Keeper for Little {
    fn keep(&self, _: (u32, u32), batch: &mut SpanBatch) {
        let n_spans = std::mem::take(batch).spans.len();
        self.n_most.fetch_max(n_spans, Ordering::Relaxed);
        self.n_all.fetch_add(n_spans, Ordering::Relaxed);
    }

    fn forget(&self, _: u32) {}

    fn has_failed(&self) -> bool {
        false
    }

    fn held_bytes(&self) -> usize {
        4_000
    }
}

#[test]
fn of_lines_longer_than_what_is_held_only_one_is_held_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = long_lines();
    let n_lines = lines.split(|&byte| byte == b'\n').count();
    assert!(lines.len() / n_lines > 10_000);
    for (name, skipped) in [("one.jsonl", 0), ("many.jsonl", 1)] {
        let bytes = lines.splitn(skipped + 1, |&byte| byte == b'\n').last().expect("lines");
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("a file");
        let little = Little::default();
        read_with(&[path], &options(AttributeSelection::All), &|_, _| (), Some(&little)).expect("spans");
        let (n_most, n_all) = (little.n_most.into_inner(), little.n_all.into_inner());
        assert_eq!(n_all, whole(name, bytes).frame.spans.len());
        assert!(n_most < n_all / 3, "{name}: {n_most} of {n_all}");
    }
}

#[test]
fn a_file_that_is_cut_off_or_broken_is_told_of_alike() {
    for (name, bytes) in FILES.iter() {
        let mut broken = bytes.clone();
        let middle = bytes.len() / 2;
        broken.splice(middle..middle + 7, *b"\xff\"{\n[\"x");
        for bytes in [&bytes[..bytes.len() * 2 / 3], &bytes[..bytes.len() - 1], &broken] {
            let whole = whole(name, bytes);
            for held_bytes in HELD {
                let held = held(name, bytes, held_bytes);
                assert_eq!(held.frame.spans.len(), whole.frame.spans.len(), "{name} {held_bytes}");
                assert_same_report(source(&held), source(&whole));
            }
        }
    }
}

#[test]
fn a_table_is_cut_at_no_line_end_inside_quotes() {
    let mut table = "traceId,spanId,parentSpanId,service,name,start_time,duration_ns\n".to_owned();
    for row in 1..500 {
        let name = format!("\"{}\"\"a,\n\n{row}\"", "x\n".repeat(row % 90));
        let start = 1_700_000_000_000_000_000_u64 + row as u64;
        writeln!(table, "{row:032x},{row:016x},,cart,{name},{start},{row}").expect("memory");
    }
    for end in ["", "\n\n  \n", "1,2,3", "1,2,\"3\n\n"] {
        let table = format!("\u{feff}{table}{end}");
        let whole = whole("a.csv", table.as_bytes());
        assert_eq!(whole.frame.spans.len(), 499, "{:?}", source(&whole));
        for held_bytes in HELD {
            let held = held("a.csv", table.as_bytes(), held_bytes);
            assert_same(&held, &whole);
            assert_same_report(source(&held), source(&whole));
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_of_any_length_is_read_in_the_memory_that_a_stretch_of_it_takes() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = fs::File::create(folder.path().join("long.jsonl.zst")).expect("a file");
    let mut file = zstd::stream::write::Encoder::new(file, 1).expect("an encoder");
    let line = FILES[0].1.split_inclusive(|&byte| byte == b'\n').next().expect("a line");
    let padding = format!("{{\"resourceSpans\":[],\"padding\":\"{}\"}}\n", "x".repeat(1 << 20));
    file.write_all(line).expect("room");
    for _ in 0..1_000 {
        file.write_all(padding.as_bytes()).expect("room");
    }
    file.write_all(line).expect("room");
    file.finish().expect("room");
    let output = Command::new("sh")
        .args(["-c", "ulimit -v 900000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_suspect")])
        .args(["inspect", "long.jsonl.zst", "--format", "json", "--quiet"])
        .current_dir(folder.path())
        .env_clear()
        .env("RAYON_NUM_THREADS", "2")
        .output()
        .expect("the program starts");
    let run = Run::of(output);
    let report: serde_json::Value = serde_json::from_str(&run.complete()).expect("JSON");
    let n_of_line = whole("line", line).frame.spans.len() as u64;
    assert_eq!(report["n_spans_read"], 2 * n_of_line, "{report}");
}
