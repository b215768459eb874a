//! The program with files: good, broken, missing.

use std::fs;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Two minutes of a trace every two seconds, as OTLP JSON; slower in the second minute.
fn shop() -> String {
    let mut spans = Vec::new();
    for index in 0..60_u64 {
        let start = 1_714_572_000_000_000_000 + index * 2_000_000_000;
        let end = start + if index < 30 { 20_000_000 } else { 45_000_000 } + index % 7 * 100_000;
        spans.push(format!(
            r#"{{"traceId":"{:032x}","spanId":"{:016x}","name":"GET /cart","kind":2,"startTimeUnixNano":"{start}","endTimeUnixNano":"{end}"}}"#,
            index + 1,
            index + 1,
        ));
    }
    let resource = r#"{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]}"#;
    format!(r#"{{"resourceSpans":[{{"resource":{resource},"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(","))
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("a file is written");
    }
    folder
}

/// Runs `suspect` there and shows how it ended and what it said.
fn run(folder: &TempDir, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_suspect"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let status = output.status.code().map_or("killed".to_owned(), |code| code.to_string());
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("status {status}\n--- stdout ---\n{stdout}--- stderr ---\n{stderr}")
}

#[test]
fn inspect_shows_what_is_there_and_where_it_changes() {
    let folder = folder(&[("shop.json", &shop())]);
    insta::assert_snapshot!(run(&folder, &["inspect", "shop.json"]), @r#"
    status 0
    --- stdout ---
    input       1 file, 11.2 kB
    formats     OTLP JSON
    spans       60
    traces      60
    services    1 service, 1 operation
    errors      0 % of spans
    time        2024-05-01T14:00:00Z .. 2024-05-01T14:01:58.0453Z, 118 s
    spans/min   ██▆▆██▆▆██▆▆██▆▆██▆▆██▆▆██▆▆██▆▆██▆▆██▆▆██▆▆██▆▆ at most 36, steps of 5 s

    service  spans  operations  errors      p50      p95
    shop        60           1     0 %  32.8 ms  45.6 ms

    data quality
      nothing to object to

    windows worth trying
      --baseline ..14:01:00 --regression 14:01:00..
          split where requests become slower
      --baseline ..14:00:59 --regression 14:00:59..
          split in the middle
    --- stderr ---
    "#);
}

#[test]
fn a_broken_file_beside_a_good_one_is_a_warning_and_status_1() {
    let folder = folder(&[("shop.json", &shop()), ("broken.json", "no spans at all")]);
    let text = run(&folder, &["inspect", "shop.json", "broken.json"]);
    assert!(text.starts_with("status 1\n"), "{text}");
    assert!(text.contains("warning: `broken.json` could not be read: "), "{text}");
    let quiet = run(&folder, &["--quiet", "inspect", "shop.json", "broken.json"]);
    assert!(quiet.starts_with("status 1\n") && quiet.ends_with("--- stderr ---\n"), "{quiet}");
}

#[test]
fn a_missing_file_is_status_2() {
    insta::assert_snapshot!(run(&folder(&[]), &["inspect", "missing.json"]), @r#"
    status 2
    --- stdout ---
    --- stderr ---
    error: cannot read `missing.json`: No such file or directory (os error 2)
    "#);
}

#[test]
fn input_without_spans_is_shown_and_is_status_2() {
    let text = run(&folder(&[("a.json", r#"{"resourceSpans":[]}"#)]), &["inspect", "a.json"]);
    assert!(text.starts_with("status 2\n"), "{text}");
    assert!(text.contains("error: no spans found in `a.json`"), "{text}");
}

#[test]
fn an_output_file_holds_what_standard_output_would_and_nothing_is_left_beside_it() {
    let folder = folder(&[("shop.json", &shop())]);
    let arguments = ["inspect", "shop.json", "--format", "json"];
    let shown = run(&folder, &arguments);
    let silent = run(&folder, &[&arguments[..], &["-o", "report.json"]].concat());
    assert_eq!(silent, "status 0\n--- stdout ---\n--- stderr ---\n");
    let written = fs::read_to_string(folder.path().join("report.json")).expect("the report");
    assert_eq!(shown, format!("status 0\n--- stdout ---\n{written}--- stderr ---\n"));
    assert_eq!(fs::read_dir(&folder).expect("the folder").count(), 2);
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let folder = folder(&[("shop.json", &shop()), ("again.json", &shop())]);
    let with = |threads| run(&folder, &["inspect", ".", "--format", "json", "--threads", threads]);
    assert_eq!(with("1"), with("2"));
}

#[test]
fn a_window_outside_the_data_is_an_error_with_the_real_range_and_a_suggestion() {
    let folder = folder(&[("shop.json", &shop())]);
    insta::assert_snapshot!(run(&folder, &["analyze", "shop.json", "--regression", "15:00..15:10"]), @r#"
    status 2
    --- stdout ---
    --- stderr ---
    error: no trace starts in the regression window 2024-05-01T15:00:00Z..2024-05-01T15:10:00Z

    hint: traces start from 2024-05-01T14:00:00Z to 2024-05-01T14:01:58Z; try `--baseline ..14:01:00 --regression 14:01:00..`
    "#);
}

#[test]
fn overlapping_windows_are_an_error_with_windows_that_do_not_overlap() {
    let folder = folder(&[("shop.json", &shop())]);
    let arguments = ["analyze", "shop.json", "--baseline", "..+90s", "--regression", "-1m.."];
    insta::assert_snapshot!(run(&folder, &arguments), @r#"
    status 2
    --- stdout ---
    --- stderr ---
    error: the windows overlap: baseline 2024-05-01T14:00:00Z..2024-05-01T14:01:30Z, regression 2024-05-01T14:00:58.0453Z..2024-05-01T14:01:58.0453Z

    hint: end the baseline where the regression starts: `--baseline 14:00:00..14:00:58.0453`
    "#);
}

#[test]
fn an_unknown_trace_is_an_error() {
    let folder = folder(&[("shop.json", &shop())]);
    insta::assert_snapshot!(run(&folder, &["trace", "beef", "shop.json"]), @r#"
    status 2
    --- stdout ---
    --- stderr ---
    error: there is no trace `beef` in the input

    hint: the input holds 60 traces; the first is `00000000000000000000000000000001`
    "#);
}

#[test]
fn many_broken_files_are_a_few_warnings_and_a_count() {
    let names: Vec<String> = (0..8).map(|index| format!("broken{index}\u{1b}[31m.json")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "no spans at all")).collect();
    let folder = folder(&files);
    let arguments: Vec<&str> = ["inspect"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let text = run(&folder, &arguments);
    assert_eq!(text.matches("\\u{1b}[31m.json` could not be read").count(), 5, "{text}");
    assert!(text.contains("warning: 3 more files could not be read\n"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}
