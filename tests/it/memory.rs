//! Spans that do not fit into memory give the same bytes as those that do, and leave nothing behind.

use crate::outputs::{n_scratch, names_in, suspect};
use crate::program::run_with;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use suspect::cli::{Collected, Collector};
use suspect::error::Error;
use suspect::ingest::Options;
use suspect::scratch::{Folder, Pile};
use suspect::span::AttributeSelection;

/// So little that even a few hundred spans go to the folder, in many partitions.
const TINY: &str = "400KB";

/// The spans of a recorded incident that comes with the repository.
fn incident(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/incidents").join(name).join("spans");
    folder.to_string_lossy().into_owned()
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    suspect(folder).args(arguments).output().expect("it runs")
}

/// Every output of an analysis: standard output, and all files by name.
fn outputs(arguments: &[&str], memory: &[&str]) -> Vec<(String, Vec<u8>)> {
    let folder = tempfile::tempdir().expect("a folder");
    let temp = tempfile::tempdir().expect("a folder");
    let files = ["--html", "a.html", "--markdown", "a.md", "--json", "a.json", "--parquet", "tables", "--temp-dir"];
    let mut all: Vec<&str> = arguments.to_vec();
    let place = temp.path().to_string_lossy().into_owned();
    all.extend(files);
    all.push(&place);
    all.extend(memory);
    let output = run(folder.path(), &all);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{arguments:?} {memory:?}: {error}");
    assert_eq!(names_in(temp.path()), Vec::<String>::new(), "nothing is left of {arguments:?}");
    let mut result = vec![("stdout".to_owned(), output.stdout), ("stderr".to_owned(), error.into_bytes())];
    for entry in walkdir::WalkDir::new(folder.path()).sort_by_file_name() {
        let path = entry.expect("it can be listed").into_path();
        if path.is_file() {
            result.push((
                path.strip_prefix(folder.path()).expect("below").display().to_string(),
                fs::read(&path).expect("read"),
            ));
        }
    }
    result
}

fn assert_same(arguments: &[&str]) {
    let whole = outputs(arguments, &["--memory-limit", "8GB"]);
    let parted = outputs(arguments, &["--memory-limit", TINY]);
    assert!(whole.len() > 10, "all outputs are there");
    for ((name, left), (other, right)) in whole.iter().zip(&parted) {
        assert_eq!(name, other);
        if left != right {
            let at =
                left.iter().zip(right).position(|(left, right)| left != right).unwrap_or(left.len().min(right.len()));
            let around = |bytes: &[u8]| {
                String::from_utf8_lossy(&bytes[at.saturating_sub(200)..bytes.len().min(at + 100)]).into_owned()
            };
            panic!("{arguments:?}: {name} differs at {at}:\n{}\n---\n{}", around(left), around(right));
        }
    }
    assert_eq!(whole.len(), parted.len());
}

#[test]
fn recorded_incidents_give_the_same_bytes_in_every_output_with_any_limit() {
    // The others differ from these in what is wrong, not in what the data hold.
    for name in ["slow-release", "n-plus-one", "error"] {
        assert_same(&["analyze", &incident(name)]);
    }
}

#[test]
fn two_data_sets_give_the_same_bytes_with_any_limit() {
    let [before, after] = ["fault-free", "error"].map(incident);
    // All traces of the second are in both.
    assert_same(&["analyze", &after, "--baseline-data", &before, &after]);
}

#[test]
fn questions_about_a_part_give_the_same_bytes_with_any_limit() {
    let spans = incident("error");
    let keys = ["--where", "kind=SERVER", "--attributes", "service.version,host.name"];
    assert_same(&[&["analyze", &spans, "--regression-where", "status=ERROR"], keys.as_slice()].concat());
}

#[test]
fn a_profile_beside_spans_gives_the_same_bytes_with_any_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let profile = folder.path().join("baseline.suspect").to_string_lossy().into_owned();
    let output = run(folder.path(), &["profile", &incident("fault-free"), "-o", &profile]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_same(&["analyze", &incident("error"), "--baseline-data", &profile]);
}

#[test]
fn profiles_are_the_same_bytes_with_any_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let temp = tempfile::tempdir().expect("a folder");
    let place = temp.path().to_string_lossy().into_owned();
    let spans = incident("error");
    let window = ["--window", "..+100s", "--where", "kind=SERVER"];
    let narrow = ["--max-cells", "3000", "--attributes", "service.version,host.name"];
    for more in [&[] as &[&str], &window, &narrow, &["--no-attributes", "--max-cells", "1"]] {
        let of_limit = |limit: &str| {
            let run_with =
                [&["profile", &spans, "--temp-dir", &place, "--memory-limit", limit, "-o", limit], more].concat();
            let output = run(folder.path(), &run_with);
            assert!(output.status.success(), "{run_with:?}: {}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(names_in(temp.path()), Vec::<String>::new(), "nothing is left of {run_with:?}");
            (fs::read(folder.path().join(limit)).expect("a profile"), output.stderr)
        };
        assert!(of_limit("8GB") == of_limit(TINY), "{more:?}");
    }
}

/// Zipkin spans: requests of two spans each, and one trace with as many spans as all of these.
fn with_a_giant(n_requests: u64) -> String {
    let mut spans = Vec::new();
    let mut span = |trace: u64, id: u64, parent: u64, service: &str, name: &str, start_us: u64, took_us: u64| {
        let parent = if parent == 0 { String::new() } else { format!("\"parentId\":\"{parent:016x}\",") };
        spans.push(format!(
            "{{\"traceId\":\"{trace:032x}\",\"id\":\"{id:016x}\",{parent}\"kind\":\"SERVER\",\"name\":\"{name}\",\
             \"timestamp\":{},\"duration\":{took_us},\"localEndpoint\":{{\"serviceName\":\"{service}\"}},\
             \"tags\":{{\"host.name\":\"host-{}\",\"size\":\"{}\"}}}}",
            1_700_000_000_000_000 + start_us,
            id % 3,
            id * 7 % 101
        ));
    };
    for request in 0..n_requests {
        let slow = if request * 2 < n_requests { 0 } else { 40_000 };
        // Two requests begin at one moment.
        let start = request / 2 * 200_000;
        span(request + 1, 2 * request + 1, 0, "shop", "get", start, 60_000 + slow + request % 7 * 1_000);
        span(request + 1, 2 * request + 2, 2 * request + 1, "stock", "find", start + 5_000, 30_000 + slow);
    }
    let giant = n_requests + 1;
    let first = 10 * n_requests;
    span(giant, first, 0, "shop", "batch", 0, 200_000 * n_requests);
    for child in 1..2 * n_requests {
        span(giant, first + child, first + (child - 1) / 3, "stock", "find", child * 90_000, 1_000 + child % 50 * 100);
    }
    format!("[{}]", spans.join(",\n"))
}

#[test]
fn a_trace_that_is_half_the_file_and_requests_of_one_moment_give_the_same_bytes_with_any_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spans.json");
    fs::write(&path, with_a_giant(600)).expect("written");
    assert_same(&["analyze", &path.to_string_lossy()]);
}

fn collector(folder: &Path, quota: u64) -> Collector {
    Collector::new(100_000, folder.to_owned(), Some(quota))
}

#[test]
fn a_folder_without_room_is_told_of_with_what_is_needed_and_nothing_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = [PathBuf::from(incident("error"))];
    let options = Options { attributes: AttributeSelection::All, columns: Vec::new() };
    for quota in [0, 1_000, 20_000] {
        let collector = collector(folder.path(), quota);
        let error = collector.read(1, &paths, &options, false).map(drop).and_then(|()| collector.finish().map(drop));
        match error {
            Err(Error::NoRoom { path, .. }) => assert_eq!(path, fs::canonicalize(folder.path()).expect("there")),
            other => panic!("{quota}: {other:?}"),
        }
        assert_eq!(names_in(folder.path()), Vec::<String>::new());
    }
    let error = Error::NoRoom { path: "/tmp".into(), needed: Some(3 << 30), free: 1 << 20 };
    assert_eq!(
        error.to_string(),
        "not enough room in `/tmp` for spans that do not fit into memory: about 3.0 GiB are needed, 1.0 MiB are free"
    );
    assert!(error.hint().expect("a hint").contains("--temp-dir"));
}

#[test]
fn what_a_killed_run_left_is_removed_at_the_next_start_and_what_a_running_one_has_is_not() {
    let temp = tempfile::tempdir().expect("a folder");
    let leftover = temp.path().join(".suspect-spans-killed");
    fs::create_dir(&leftover).expect("made");
    fs::write(leftover.join("lock"), "").expect("written");
    fs::write(leftover.join("partition-0"), "spans").expect("written");
    let foreign = temp.path().join("partition-0");
    fs::write(&foreign, "not ours").expect("written");
    let running = Arc::new(Folder::new(temp.path(), None).expect("a folder"));
    let pile = Pile::new(&running, "partition-0").expect("a pile");
    pile.append(b"spans").expect("room");
    let folder = tempfile::tempdir().expect("a folder");
    let place = temp.path().to_string_lossy().into_owned();
    let output = run(folder.path(), &["analyze", &incident("error"), "--temp-dir", &place, "--format", "json"]);
    assert!(output.status.success());
    assert!(!leftover.exists() && foreign.exists());
    assert_eq!(pile.read(0, 5).expect("still there"), b"spans");
    let path = running.path().to_owned();
    drop((pile, running));
    assert!(!path.exists());
    assert_eq!(names_in(temp.path()), ["partition-0"]);
}

#[test]
fn a_limit_that_is_none_and_a_folder_that_is_not_there_are_refused_with_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let spans = incident("error");
    let output = run(folder.path(), &["analyze", &spans, "--memory-limit", "much"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("such as `512MiB` or `4GB`"));
    let output = run(folder.path(), &["analyze", &spans, "--memory-limit", TINY, "--temp-dir", "nowhere"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nowhere"));
    assert_eq!(n_scratch(folder.path()), 0);
}

#[test]
fn more_call_paths_than_a_limit_has_room_for_are_told_of_though_the_spans_are_few() {
    let folder = tempfile::tempdir().expect("a folder");
    let letter = |number: u32, place: u32| char::from_u32(u32::from('a') + number / 26_u32.pow(place) % 26);
    let rows = (0..30_000_u32).map(|request| {
        let name: String = (0..4).filter_map(|place| letter(request, place)).collect();
        format!(
            "{0:032x},{0:016x},shop,get {name},2024-05-01T14:{1:02}:{2:02}Z,5",
            request + 1,
            request / 1_000,
            request % 60
        )
    });
    let text = format!("trace_id,span_id,service,name,start,duration_ms\n{}\n", rows.collect::<Vec<_>>().join("\n"));
    fs::write(folder.path().join("spans.csv"), text).expect("written");
    let output = run(folder.path(), &["analyze", "spans.csv", "--memory-limit", "100MB"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("the analysis needs about") && error.contains("30000 call paths"), "{error}");
    let output = run(folder.path(), &["profile", "spans.csv", "--memory-limit", "100MB", "-o", "little.suspect"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && error.contains("lower `--max-cells`"), "{error}");
    assert!(!folder.path().join("little.suspect").exists());
    assert!(run(folder.path(), &["analyze", "spans.csv", "--memory-limit", "1GB"]).status.success());
}

/// Spans as CSV: requests of 20 calls of one kind each, that begin at so many operations.
fn requests(n_requests: u32, n_operations: u32) -> String {
    let mut text = "trace_id,span_id,parent_span_id,service,name,start,duration_ms\n".to_owned();
    let letter = |number: u32, place: u32| char::from_u32(u32::from('a') + number / 26_u32.pow(place) % 26);
    for request in 0..n_requests {
        let name: String = (0..4).filter_map(|place| letter(request % n_operations, place)).collect();
        let start = format!("2024-05-01T{:02}:{:02}:{:02}", 10 + request / 3_600, request / 60 % 60, request % 60);
        let slow = if request * 2 < n_requests { 0 } else { 20 };
        let took = 60 + slow + request % 7;
        _ = writeln!(text, "{:032x},1,,shop,get {name},{start}Z,{took}", request + 1);
        for call in 1..20 {
            _ = writeln!(text, "{:032x},{:x},1,stock,find,{start}.{:03}Z,2", request + 1, call + 1, call * 3);
        }
    }
    text
}

#[test]
fn spans_whose_analysis_would_not_fit_go_to_the_folder_though_they_fit_themselves() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spans.csv");
    fs::write(&path, requests(14_000, 1)).expect("written");
    let options = Options { attributes: AttributeSelection::Keys(Vec::new()), columns: Vec::new() };
    for (limit, is_away) in [(128 << 20, true), (160 << 20, false)] {
        let collector = Collector::new(limit, folder.path().to_owned(), None);
        collector.read(1, std::slice::from_ref(&path), &options, false).expect("spans");
        let collected = collector.finish().expect("room");
        assert_eq!(matches!(collected, Collected::Partitions(..)), is_away, "{limit}");
    }
}

#[test]
fn what_does_not_fit_with_its_call_paths_is_read_again_without_its_spans() {
    let folder = tempfile::tempdir().expect("a folder");
    let spans = requests(8_500, 4_000) + "broken\n";
    fs::write(folder.path().join("spans.csv"), &spans).expect("written");
    let of_limit = |limit: &str| {
        let arguments = ["analyze", "spans.csv", "--memory-limit", limit];
        let run = run_with(folder.path(), &arguments, &[("SUSPECT_TIMINGS", "1")]);
        let (timings, told): (Vec<_>, Vec<_>) = run.stderr.lines().partition(|line| line.starts_with("timing "));
        let n_read = timings.iter().filter(|line| line.starts_with("timing read ")).count();
        (n_read, (run.status, run.stdout, told.join("\n")))
    };
    let (n_read, whole) = of_limit("8GB");
    assert_eq!((n_read, whole.0), (1, Some(1)), "{}", whole.2);
    // What there is to say of the files is said once.
    assert_eq!(of_limit("128MiB"), (2, whole));
}

#[test]
fn the_time_that_each_stage_took_is_told_when_it_is_asked_for_and_only_then() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spans, other) = (incident("slow-release"), incident("fault-free"));
    let against = [spans.as_str(), "--baseline-data", other.as_str()];
    for (input, limit) in [(&[spans.as_str()][..], "8GB"), (&[spans.as_str()][..], TINY), (&against[..], "8GB")] {
        let arguments = [&["analyze"], input, &["--memory-limit", limit, "--quiet"]].concat();
        let silent = run_with(folder.path(), &arguments, &[("SUSPECT_TIMINGS", "")]);
        assert_eq!(silent.stderr, "", "{input:?} {limit}");
        let told = run_with(folder.path(), &arguments, &[("SUSPECT_TIMINGS", "1")]);
        assert_eq!(told.stdout, silent.stdout);
        let stages: Vec<(&str, f64)> = told
            .stderr
            .lines()
            .map(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                let ["timing", stage, seconds] = words[..] else { panic!("{line}") };
                (stage, seconds.parse().expect("seconds"))
            })
            .collect();
        let names: Vec<&str> = stages.iter().map(|&(stage, _)| stage).collect();
        assert_eq!(names, ["read", "link", "windows", "costs", "compare"], "{input:?} {limit}");
        assert!(stages[0].1 > 0.0, "reading takes time: {stages:?}");
    }
}
