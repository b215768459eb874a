//! Of a canonical file only what windows and question need is read, and the answer is the same.

use crate::outputs::names_in;
use crate::program::{Run, run_in};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use suspect::canonical;
use suspect::ingest::{self, Keeper, Options};
use suspect::span::{AttributeSelection, SpanBatch, SpanFrame};
use suspect::time::TimeRange;

/// Seconds since 1970 at which the first request starts; one follows each second.
const FIRST_S: i64 = 1_700_000_000;
const N_REQUESTS: i64 = 400;
/// A third of a minute's spans.
const GROUP_SPANS: usize = 100;
/// From the 101st request to the 200th, and from the 301st on.
const WINDOWS: [&str; 4] =
    ["--baseline", "1700000100..1700000200", "--regression", "2023-11-14T22:18:20Z..2023-11-14T22:20:00Z"];

/// Zipkin spans: requests of three spans, the last hundred slow in `stock`; `more` spans besides.
fn write_requests(folder: &Path, more: Vec<Value>) -> PathBuf {
    let mut spans = more;
    for request in 0..N_REQUESTS {
        let slow_us = if request < 300 { 0 } else { 40_000 };
        let took_us = 60_000 + request % 7 * 1_000 + slow_us;
        let ids = [3 * request + 1, 3 * request + 2, 3 * request + 3];
        spans.push(span(request + 1, ids[0], 0, "shop", FIRST_S * 1_000_000 + request * 1_000_000, took_us));
        spans.push(span(
            request + 1,
            ids[1],
            ids[0],
            "stock",
            FIRST_S * 1_000_000 + request * 1_000_000 + 5_000,
            30_000 + slow_us,
        ));
        spans.push(span(
            request + 1,
            ids[2],
            ids[1],
            "disk",
            FIRST_S * 1_000_000 + request * 1_000_000 + 6_000,
            10_000,
        ));
    }
    let json = folder.join("spans.json");
    fs::write(&json, Value::Array(spans).to_string()).expect("written");
    let options = Options { attributes: AttributeSelection::All, columns: Vec::new() };
    let read = ingest::read(&[json], &options, &|_, _| ()).expect("read");
    let path = folder.join("spans.parquet");
    canonical::write_in_groups(&read.frame, &path, false, GROUP_SPANS).expect("written");
    path
}

fn span(trace: i64, id: i64, parent: i64, service: &str, start_us: i64, took_us: i64) -> Value {
    let mut span = json!({
        "traceId": format!("{trace:032x}"), "id": format!("{id:016x}"), "kind": "SERVER", "name": "get",
        "timestamp": start_us, "duration": took_us, "localEndpoint": {"serviceName": service},
        "tags": {"host": format!("host-{}", id % 3), "shard": format!("{}", id % 2)},
    });
    if parent != 0 {
        span["parentId"] = format!("{parent:016x}").into();
    }
    span
}

fn analyze(folder: &Path, more: &[&str]) -> Run {
    run_in(folder, &[&["analyze", "spans.parquet", "--format", "json"], more].concat())
}

fn analyze_windows(folder: &Path, more: &[&str]) -> Run {
    analyze(folder, &[WINDOWS.as_slice(), more].concat())
}

/// What a document says of causes, without what it says of the reading and of other times.
fn findings(run: &Run) -> Value {
    let mut document = run.json();
    document["windows"]["timeline"].take();
    document["time"].take();
    for key in ["n_traces", "sources", "repairs"] {
        document["diagnostics"][key].take();
    }
    document
}

fn counts(run: &Run) -> (u64, u64, u64) {
    let diagnostics = &run.json()["diagnostics"];
    let of = |value: &Value| value.as_u64().unwrap_or(0);
    let set_aside = diagnostics["set_aside"].as_object().expect("counts");
    assert!(set_aside.keys().all(|reason| reason == "outside_windows"), "{set_aside:?}");
    (
        of(&diagnostics["n_spans_read"]),
        of(&diagnostics["n_spans_analysed"]),
        of(&diagnostics["set_aside"]["outside_windows"]),
    )
}

fn was_pruned(run: &Run) -> bool {
    let notes = run.json()["diagnostics"]["sources"][0]["notes"].to_string();
    assert_eq!(notes.contains("row groups"), run.stderr.contains("--read-all"), "{}", run.stderr);
    notes.contains("row groups")
}

/// Overwrites the pages of one column in a row group.
fn damage(path: &Path, group: usize, column: &str) {
    let reader = SerializedFileReader::new(File::open(path).expect("there")).expect("Parquet");
    let group = reader.metadata().row_group(group);
    let chunk = group.columns().iter().find(|chunk| chunk.column_path().string() == column).expect("a column");
    let (start, length) = chunk.byte_range();
    let mut file = File::options().write(true).open(path).expect("there");
    file.seek(SeekFrom::Start(start)).expect("a file");
    file.write_all(&vec![0xA5; usize::try_from(length).expect("small")]).expect("written");
}

fn n_groups(path: &Path) -> usize {
    SerializedFileReader::new(File::open(path).expect("there")).expect("Parquet").metadata().num_row_groups()
}

#[test]
fn row_groups_outside_both_windows_are_not_read_and_the_answer_is_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = write_requests(folder.path(), Vec::new());
    assert_eq!(n_groups(&path), 12);
    let whole = analyze_windows(folder.path(), &["--read-all"]);
    assert!(!was_pruned(&whole));
    let pruned = analyze_windows(folder.path(), &[]);
    assert_eq!((whole.status, pruned.status), (Some(0), Some(0)));
    assert!(was_pruned(&pruned), "{}", pruned.stderr);
    assert_eq!(findings(&pruned), findings(&whole));
    assert_eq!(pruned.json()["suspects"][0]["service"], "stock");
    // 400 requests of three spans, of which two hundred are in the windows.
    assert_eq!(counts(&pruned), (1_200, 600, 600));
    assert_eq!(counts(&whole), (1_200, 600, 600));
    // Rows 0 to 299 and 600 to 899 belong to no window: three groups, and three.
    assert!(pruned.stderr.contains("6 of 12 row groups"), "{}", pruned.stderr);

    let relative = ["--baseline", "+100s..+200s", "--regression", "22:18:20.."];
    let again = analyze(folder.path(), &relative);
    assert!(was_pruned(&again));
    let whole = analyze(folder.path(), &[relative.as_slice(), &["--read-all"]].concat());
    assert_eq!(findings(&again), findings(&whole));
    assert_eq!(again.json()["windows"]["regression"], whole.json()["windows"]["regression"]);
}

#[test]
fn what_lies_between_the_windows_is_read_where_changes_are_held_against_it() {
    let folder = tempfile::tempdir().expect("a folder");
    write_requests(folder.path(), Vec::new());
    let change = |time: &str, title: &str| json!({"time": time, "service": "stock", "kind": "deploy", "title": title});
    // The one came five seconds before calls became slow, the other in the middle of a quiet time, a minute after.
    let changes =
        format!("{}\n{}\n", change("2023-11-14T22:18:15Z", "before"), change("2023-11-14T22:19:20Z", "after"));
    fs::write(folder.path().join("changes.jsonl"), changes).expect("written");
    let asked = ["--changes", "changes.jsonl"];
    let whole = analyze_windows(folder.path(), &[&asked[..], &["--read-all"]].concat());
    let pruned = analyze_windows(folder.path(), &asked);
    assert!(pruned.stderr.contains("3 of 12 row groups"), "{}", pruned.stderr);
    assert_eq!(findings(&pruned), findings(&whole));
    let document = pruned.json();
    let credits: Vec<&Value> =
        document["changes"].as_array().expect("changes").iter().map(|change| &change["credit"]).collect();
    assert_eq!(credits, ["credited", "not_supported"]);
}

#[test]
fn a_part_that_holds_nothing_of_the_windows_is_not_even_decoded() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = write_requests(folder.path(), Vec::new());
    let expected = findings(&analyze_windows(folder.path(), &[]));
    for column in ["trace_id", "start_time_unix_nano", "service", "host"] {
        damage(&path, 0, column);
        damage(&path, 7, column);
    }
    let run = analyze_windows(folder.path(), &[]);
    assert_eq!((run.status, findings(&run)), (Some(0), expected), "{}", run.stderr);
    let whole = analyze_windows(folder.path(), &["--read-all"]);
    assert_eq!(whole.status, Some(2), "{}", whole.stderr);
    damage(&path, 4, "trace_id");
    let run = analyze_windows(folder.path(), &[]);
    assert_eq!(run.status, Some(2));
    assert!(run.stderr.contains("spans.parquet` could not be read"), "{}", run.stderr);
}

#[test]
fn attributes_that_nobody_asked_about_are_not_decoded() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = write_requests(folder.path(), Vec::new());
    let expected = findings(&analyze_windows(folder.path(), &["--attributes", "shard"]));
    for group in 0..n_groups(&path) {
        damage(&path, group, "host");
    }
    let run = analyze_windows(folder.path(), &["--attributes", "shard"]);
    assert_eq!((run.status, findings(&run)), (Some(0), expected), "{}", run.stderr);
    assert_eq!(analyze_windows(folder.path(), &["--attributes", "host"]).status, Some(2));
}

#[test]
fn traces_stay_whole_however_far_their_spans_lie_from_their_roots() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |s: i64| (FIRST_S + s) * 1_000_000 + 500_000;
    // A root in the baseline, with calls long before and after it; and a root between the windows, with calls in both.
    let more = vec![
        span(9_001, 9_001, 0, "batch", at(150), 200_000_000),
        span(9_001, 9_002, 9_001, "batch", at(10), 1_000),
        span(9_001, 9_003, 9_001, "batch", at(260), 1_000),
        span(9_002, 9_004, 0, "batch", at(250), 1_000),
        span(9_002, 9_005, 9_004, "batch", at(120), 1_000),
        span(9_002, 9_006, 9_004, "batch", at(390), 1_000),
    ];
    write_requests(folder.path(), more);
    let whole = analyze_windows(folder.path(), &["--read-all"]);
    let pruned = analyze_windows(folder.path(), &[]);
    assert!(was_pruned(&pruned));
    assert_eq!(findings(&pruned), findings(&whole));
    assert_eq!(counts(&pruned), (1_206, 603, 603));
    assert_eq!(pruned.json()["diagnostics"]["repairs"]["n_orphans"], 0);
}

#[test]
fn what_was_left_out_is_the_same_with_little_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    write_requests(folder.path(), Vec::new());
    fs::create_dir(folder.path().join("temp")).expect("made");
    let much = analyze_windows(folder.path(), &[]);
    let little = analyze_windows(folder.path(), &["--memory-limit", "50KB", "--temp-dir", "temp"]);
    assert!(was_pruned(&little));
    assert_eq!(little.stdout, much.stdout);
    assert_eq!(names_in(&folder.path().join("temp")), Vec::<String>::new());
}

#[test]
fn what_is_wrong_with_windows_or_question_is_told_as_of_all_the_data() {
    let folder = tempfile::tempdir().expect("a folder");
    write_requests(folder.path(), Vec::new());
    for wrong in [
        &["--baseline", "1600000000..1600000100", "--regression", "1700000300..1700000400"][..],
        &["--baseline", "1700000100..1700000200", "--regression", "1700000150..1700000400"],
        &["--baseline", "1700000100..1700000200", "--regression", "1700000300..1700000400", "--entry", "nobody"],
        &["--baseline", "+100s..+200s", "--regression", "+300s..", "--where", "host=nobody"],
    ] {
        let run = analyze(folder.path(), wrong);
        let whole = analyze(folder.path(), &[wrong, &["--read-all"]].concat());
        assert_eq!(run.status, Some(2), "{wrong:?}");
        let error = |run: &Run| run.stderr[run.stderr.find("error:").expect("an error")..].to_owned();
        assert_eq!(error(&run), error(&whole));
    }
}

#[test]
fn a_file_that_another_program_made_of_ours_or_that_is_read_beside_others_is_read_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = write_requests(folder.path(), Vec::new());
    // Spans of one trace may be in both.
    fs::create_dir(folder.path().join("two")).expect("made");
    for name in ["a.parquet", "b.parquet"] {
        fs::copy(&path, folder.path().join("two").join(name)).expect("copied");
    }
    let run = run_in(folder.path(), &[&["analyze", "two", "--format", "json"], WINDOWS.as_slice()].concat());
    assert!(!was_pruned(&run));
    assert_eq!(run.status, Some(0));

    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).expect("there")).expect("Parquet");
    let kept: Vec<KeyValue> = reader.metadata().file_metadata().key_value_metadata().expect("metadata").clone();
    assert!(kept.iter().any(|entry| entry.key == "suspect.time_index"));
    let expected = findings(&analyze_windows(folder.path(), &["--read-all"]));
    for (maker, group_spans) in [("somebody else", GROUP_SPANS), ("suspect version 0", GROUP_SPANS - 1)] {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).expect("there")).expect("Parquet");
        let properties = WriterProperties::builder()
            .set_created_by(maker.to_owned())
            .set_max_row_group_row_count(Some(group_spans))
            .set_key_value_metadata(Some(kept.clone()))
            .build();
        let schema = reader.schema().clone();
        let copy = tempfile::tempdir().expect("a folder");
        let file = File::create(copy.path().join("spans.parquet")).expect("created");
        let mut writer = ArrowWriter::try_new(file, schema, Some(properties)).expect("a writer");
        for batch in reader.build().expect("a reader") {
            writer.write(&batch.expect("rows")).expect("written");
        }
        writer.close().expect("written");
        let run = analyze_windows(copy.path(), &[]);
        assert!(!was_pruned(&run), "{maker}");
        assert_eq!(findings(&run), expected, "{maker}");
    }
}

/// Keeps what is read of two windows.
struct Kept(Mutex<BTreeMap<(u32, u32), SpanBatch>>, Vec<TimeRange>);

impl Keeper for Kept {
    fn keep(&self, place: (u32, u32), batch: &mut SpanBatch) {
        self.0.lock().expect("no panic").insert(place, std::mem::take(batch));
    }

    fn forget(&self, _: u32) {}

    fn has_failed(&self) -> bool {
        false
    }

    fn windows(&self, _: TimeRange) -> Option<Vec<TimeRange>> {
        Some(self.1.clone())
    }
}

/// Start, trace and id of each span, sorted.
fn spans_of(frame: &SpanFrame) -> Vec<(i64, String, u64)> {
    let spans = &frame.spans;
    let mut all: Vec<_> = (0..spans.len())
        .map(|row| (spans.start_unix_ns[row], frame.traces.text(spans.trace[row]), spans.span_id[row]))
        .collect();
    all.sort();
    all
}

#[test]
fn of_random_traces_all_that_may_start_in_a_window_are_there_whole_and_no_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut n_pruned = 0;
    for seed in 0..40 {
        let frame = crate::fuzz::random_frame(seed, 60);
        let path = folder.path().join("random.parquet");
        canonical::write_in_groups(&frame, &path, true, 1 + usize::try_from(seed).expect("small") % 9)
            .expect("written");
        let origin = 1_700_000_000_000_000_000;
        let window = |from: i64, to: i64| TimeRange { start_unix_ns: origin + from, end_unix_ns: origin + to };
        let step = i64::try_from(seed).expect("small") * 700_000;
        let windows = vec![window(step, step + 4_000_000), window(step + 20_000_000, step + 20_000_001)];

        let mut covers: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        let all = spans_of(&frame);
        for (start, trace, _) in &all {
            let cover = covers.entry(trace.clone()).or_insert((*start, *start));
            *cover = (cover.0.min(*start), cover.1.max(*start));
        }
        let is_in = |trace: &String| {
            windows.iter().any(|window| covers[trace].0 < window.end_unix_ns && covers[trace].1 >= window.start_unix_ns)
        };
        let expected: Vec<_> = all.iter().filter(|(_, trace, _)| is_in(trace)).cloned().collect();

        let kept = Kept(Mutex::default(), windows.clone());
        let options = Options { attributes: AttributeSelection::All, columns: Vec::new() };
        let read = ingest::read_with(&[path], &options, &|_, _| (), Some(&kept)).expect("read");
        let batches = kept.0.into_inner().expect("no panic").into_values();
        let found = SpanFrame::from_batches(batches);
        let report = &read.sources[0];
        assert_eq!(report.n_spans, all.len() as u64);
        assert_eq!(report.n_spans - report.set_aside.total(), found.spans.len() as u64);
        n_pruned += report.set_aside.total();
        assert_eq!(spans_of(&found.that_may_start_in(&windows)), expected, "seed {seed}");
    }
    assert!(n_pruned > 1_000, "{n_pruned} spans were not read");
}

#[test]
fn a_simulated_file_is_pruned_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments =
        ["simulate", "spans.parquet", "--spans", "280000", "--services", "3", "--fault", "slower", "--seed", "5"];
    run_in(folder.path(), &arguments).complete();
    assert_eq!(n_groups(&folder.path().join("spans.parquet")), 3);
    // All near its end.
    let windows = ["--baseline", "-500s..-250s", "--regression", "-250s.."];
    let pruned = analyze(folder.path(), &windows);
    assert!(was_pruned(&pruned) && pruned.stderr.contains("of 3 row groups"), "{}", pruned.stderr);
    let whole = analyze(folder.path(), &[windows.as_slice(), &["--read-all"]].concat());
    assert_eq!(counts(&pruned), counts(&whole));
    assert_eq!(findings(&pruned), findings(&whole));
}
