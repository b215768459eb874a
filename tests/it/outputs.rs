//! The files of one run: all of them are new or all are old, whatever goes wrong, and none takes the place of another.

use crate::evidence::page;
use crate::program::{Run, run_in};
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

/// What stands in files from before.
pub(crate) const OLD: &str = "old";

/// The program, without environment.
pub(crate) fn suspect(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_suspect"));
    command.env_clear().current_dir(folder);
    command
}

/// Unfinished files in `folder`, as their names tell.
pub(crate) fn n_scratch(folder: &Path) -> usize {
    names_in(folder).iter().filter(|name| name.starts_with(".suspect-")).count()
}

/// Files and folders in `folder`, sorted; none if it is not there.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

/// Zipkin spans of 80 requests in `spans.json`; the second half is slower.
pub(crate) fn write_spans(folder: &Path) {
    let requests = (0..80).map(|number| (number, page("GET /", if number < 40 { 10 } else { 60 } + number % 3)));
    let spans = requests.flat_map(|(number, page)| {
        page.into_iter().map(move |span| span.trace(1_000 + number).later(number * 1_000).zipkin())
    });
    fs::write(folder.join("spans.json"), Value::Array(spans.collect()).to_string()).expect("written");
}

const FILES: [&str; 3] = ["a.html", "a.md", "a.json"];

pub(crate) fn output_flags() -> [&'static str; 8] {
    ["--html", FILES[0], "--markdown", FILES[1], "--json", FILES[2], "--parquet", "new/tables"]
}

pub(crate) fn write_old(folder: &Path) {
    for name in FILES {
        fs::write(folder.join(name), OLD).expect("written");
    }
}

pub(crate) fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo runs").success());
}

fn prepared() -> tempfile::TempDir {
    folder_of_spans(true)
}

/// A new folder with spans and, if `is_old`, the files of an earlier run.
pub(crate) fn folder_of_spans(is_old: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write_spans(folder.path());
    if is_old {
        write_old(folder.path());
    }
    folder
}

fn analyze(folder: &Path, more: &[&str]) -> Run {
    run_in(folder, &[&["analyze", "spans.json", "--quiet"], more].concat())
}

#[track_caller]
fn assert_old(folder: &Path) {
    assert_eq!(names_in(folder), ["a.html", "a.json", "a.md", "spans.json"]);
    for name in FILES {
        assert_eq!(fs::read_to_string(folder.join(name)).expect("still there"), OLD, "{name}");
    }
}

#[test]
fn a_run_that_goes_well_replaces_all_files_and_leaves_no_others() {
    let folder = prepared();
    analyze(folder.path(), &output_flags()).complete();
    assert_eq!(names_in(folder.path()), ["a.html", "a.json", "a.md", "new", "spans.json"]);
    assert_eq!(names_in(&folder.path().join("new/tables")).len(), 11);
    for name in FILES {
        assert_ne!(fs::read_to_string(folder.path().join(name)).expect("there"), OLD, "{name}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_folder_that_takes_no_file_or_a_full_device_leaves_all_files_as_they_were() {
    let folder = prepared();
    let flags = output_flags();
    let refused = analyze(folder.path(), &[&flags[..], &["-o", "/proc/report.txt"]].concat());
    assert_eq!(refused.status, Some(2));
    assert!(refused.stderr.contains("error: cannot write `/proc/report.txt`: "), "{}", refused.stderr);
    assert_old(folder.path());
    let full = analyze(folder.path(), &[&flags[..], &["-o", "/dev/full"]].concat());
    assert_eq!(full.status, Some(2));
    assert!(full.stderr.contains("cannot write `/dev/full`: No space left on device"), "{}", full.stderr);
    assert!(full.stderr.contains("hint: make room, or write elsewhere"), "{}", full.stderr);
    assert_old(folder.path());
    let stdout = fs::File::options().write(true).open("/dev/full").expect("a device");
    let status = suspect(folder.path())
        .args([&["analyze", "spans.json", "--quiet"], &flags[..]].concat())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .output()
        .expect("it runs");
    assert_eq!(status.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&status.stderr).contains("cannot write `standard output`: No space left"));
    assert_old(folder.path());
}

/// Runs the program where no file may be larger than 4 or, in some shells, 8 KiB.
fn limited(folder: &Path, arguments: &[&str]) -> Run {
    let output = Command::new("sh")
        .args(["-c", "ulimit -f 8; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_suspect")])
        .args(arguments)
        .env_clear()
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    Run::of(output)
}

#[test]
fn a_file_that_there_is_no_room_for_is_an_error_that_names_it_and_the_old_files_stay() {
    let folder = prepared();
    let flags = output_flags();
    let incident = concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/incidents/fault-free");
    for (arguments, named) in [
        ([&["analyze", "spans.json", "--quiet"], &flags[..]].concat(), "new/tables/summary.parquet"),
        ([&["analyze", "spans.json", "--quiet"], &flags[..6]].concat(), "a.json"),
        (vec!["convert", incident, "-o", "spans.parquet", "--force", "--quiet"], "spans.parquet"),
        (vec!["simulate", "a.otlp.jsonl", "--requests", "500"], "a.otlp.jsonl"),
        (vec!["simulate", "a.parquet", "--requests", "500"], "a.parquet"),
        (vec!["analyze", "spans.json", "--quiet", "--format", "json", "-o", "a.json"], "a.json"),
    ] {
        let run = limited(folder.path(), &arguments);
        assert_eq!(run.status, Some(2), "{arguments:?} {run:?}");
        let expected = format!("error: cannot write `{named}`: File too large");
        assert!(
            run.stderr.contains(&expected) && run.stderr.contains("hint: make room"),
            "{arguments:?} {}",
            run.stderr
        );
        assert_old(folder.path());
    }
}

#[test]
fn a_name_that_cannot_be_given_takes_those_given_before_back() {
    for is_old in [true, false] {
        let folder = folder_of_spans(is_old);
        pipe(&folder.path().join("pipe"));
        let mut child = suspect(folder.path())
            .args([
                "analyze",
                "spans.json",
                "--quiet",
                "--json",
                "b.json",
                "--html",
                "a.html",
                "--markdown",
                "a.md",
                "-o",
                "pipe",
            ])
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        // The run waits for a reader of the pipe before it gives the names.
        while n_scratch(folder.path()) < 3 && child.try_wait().expect("a child").is_none() {
            std::thread::yield_now();
        }
        fs::remove_file(folder.path().join("a.md")).is_ok().then_some(()).or((!is_old).then_some(())).expect("removed");
        fs::create_dir_all(folder.path().join("a.md/in the way")).expect("a folder");
        fs::read(folder.path().join("pipe")).expect("read");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(2));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("error: cannot write `a.md`: Is a directory"), "{stderr}");
        if is_old {
            assert_eq!(names_in(folder.path()), ["a.html", "a.json", "a.md", "pipe", "spans.json"]);
            assert_eq!(fs::read_to_string(folder.path().join("a.html")).expect("still there"), OLD);
        } else {
            assert_eq!(names_in(folder.path()), ["a.md", "pipe", "spans.json"]);
        }
    }
}

#[test]
fn two_results_in_one_file_or_one_over_an_input_are_refused_before_any_work() {
    let folder = prepared();
    let path = folder.path();
    std::os::unix::fs::symlink("spans.json", path.join("link")).expect("a link");
    std::os::unix::fs::symlink("later.json", path.join("nowhere")).expect("a link");
    std::os::unix::fs::symlink(".", path.join("here")).expect("a link");
    fs::create_dir(path.join("folder")).expect("a folder");
    fs::write(path.join("owners.toml"), "").expect("written");
    let absolute = path.join("a.json").to_str().expect("text").to_owned();
    let before = names_in(path);
    let cases: [(&[&str], &str); 17] = [
        (&["--html", "x", "--json", "x"], "`--json x` and `--html x` are one file"),
        (&["--html", "x", "--json", "./x"], "are one file"),
        (&["--html", "x", "--json", "here/folder/../x"], "are one file"),
        (&["--html", "a.json", "--json", &absolute], "are one file"),
        (&["--markdown", "nowhere", "--json", "later.json"], "are one file"),
        (&["--json", "x", "-o", "here/here/x"], "`--output here/here/x` and `--json x` are one file"),
        (&["--json", "t", "--parquet", "t"], "are one file"),
        (&["--json", "t/time.parquet", "--parquet", "./t"], "are one file"),
        (&["--json", "link"], "`--json link` is one of the inputs"),
        (&["--html", "here/spans.json"], "is one of the inputs"),
        (&["-o", "spans.json"], "`--output spans.json` is one of the inputs"),
        (&["--owners", "owners.toml", "--html", "owners.toml"], "is one of the inputs"),
        (&["--changes", "owners.toml", "--html", "here/owners.toml"], "is one of the inputs"),
        (&["--html", "folder"], "`--html folder` is a folder"),
        (&["--html", "none/x"], "cannot write `none/x`: No such file or directory"),
        (&["--html", "spans.json/x"], "cannot write `spans.json/x`: not a directory"),
        (&["--baseline-data", "a.md", "--html", "a.md"], "is one of the inputs"),
    ];
    for (arguments, expected) in cases {
        // There are no spans, which would be the error if any work was done.
        let run =
            run_in(path, &[&["analyze", "spans.json", "--quiet", "--compare", "no.such.key"], arguments].concat());
        assert_eq!(run.status, Some(2), "{arguments:?} {run:?}");
        assert!(run.stderr.contains(expected), "{arguments:?} {}", run.stderr);
        assert_eq!(names_in(path), before, "{arguments:?}");
    }
    let others: [(&[&str], &str); 8] = [
        (&["gate", "spans.json", "--junit", "x", "--sarif", "./x"], "`--junit x` and `--sarif ./x` are one file"),
        (&["gate", "spans.json", "--policy", "owners.toml", "--markdown", "owners.toml"], "is one of the inputs"),
        (&["report", "a.json", "--markdown", "./a.json"], "is one of the inputs"),
        (&["profile", "spans.json", "-o", "link"], "is one of the inputs"),
        (&["convert", "spans.json", "-o", "here/spans.json", "--force"], "is one of the inputs"),
        (&["convert", ".", "-o", "spans.json", "--force"], "`--output spans.json` is one of the inputs"),
        (&["simulate", "t.parquet", "--scenario", "t.parquet.case.json", "--force"], "cannot read"),
        (&["graph", "*.json", "-o", "a.json"], "`--output a.json` is one of the inputs"),
    ];
    for (arguments, expected) in others {
        let run = run_in(path, arguments);
        assert_eq!(run.status, Some(2), "{arguments:?} {run:?}");
        assert!(run.stderr.contains(expected), "{arguments:?} {}", run.stderr);
        assert_eq!(names_in(path), before, "{arguments:?}");
    }
    assert_eq!(fs::read_to_string(path.join("a.json")).expect("still there"), OLD);
}

#[test]
fn the_file_of_standard_output_or_input_is_no_place_for_another_result() {
    let folder = prepared();
    let run = |arguments: &[&str], stdin: Stdio, stdout: Stdio| {
        let mut command = suspect(folder.path());
        let command = command.args(arguments).stdin(stdin).stdout(stdout).stderr(Stdio::piped());
        let output = command.output().expect("it runs");
        (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let stdout = fs::File::options().append(true).open(folder.path().join("a.json")).expect("a file");
    let (status, stderr) = run(&["analyze", "spans.json", "--json", "a.json"], Stdio::null(), stdout.into());
    assert_eq!(status, Some(2));
    assert!(stderr.contains("`--json a.json` is the file that standard output goes to"), "{stderr}");
    let stdin = fs::File::open(folder.path().join("spans.json")).expect("a file");
    let (status, stderr) = run(&["analyze", "-", "--json", "spans.json"], stdin.into(), Stdio::null());
    assert_eq!(status, Some(2));
    assert!(stderr.contains("`--json spans.json` is one of the inputs"), "{stderr}");
    assert_old(folder.path());
}

#[test]
fn results_of_an_earlier_run_in_the_folder_of_the_spans_are_replaced() {
    let folder = prepared();
    let arguments = [&["analyze", ".", "--quiet"], output_flags().as_slice()].concat();
    run_in(folder.path(), &arguments).complete();
    let first = fs::read(folder.path().join("a.md")).expect("there");
    run_in(folder.path(), &arguments).complete();
    assert!(fs::read(folder.path().join("a.md")).expect("there") == first);
}

#[test]
fn a_link_stays_a_link_and_a_device_or_a_pipe_is_written_to() {
    let folder = prepared();
    let path = folder.path();
    std::os::unix::fs::symlink("a.json", path.join("link")).expect("a link");
    std::os::unix::fs::symlink("later.json", path.join("nowhere")).expect("a link");
    pipe(&path.join("pipe"));
    let mut child = suspect(path)
        .args([
            "analyze",
            "spans.json",
            "--quiet",
            "--json",
            "link",
            "--markdown",
            "nowhere",
            "--html",
            "pipe",
            "-o",
            "/dev/null",
        ])
        .spawn()
        .expect("it starts");
    let mut html = String::new();
    fs::File::open(path.join("pipe")).expect("a pipe").read_to_string(&mut html).expect("text");
    assert!(child.wait().expect("it ends").success());
    assert!(html.starts_with("<!DOCTYPE html>") && html.trim_end().ends_with("</html>"));
    for (link, target) in [("link", "a.json"), ("nowhere", "later.json")] {
        assert!(path.join(link).is_symlink(), "{link}");
        assert_ne!(fs::read_to_string(path.join(target)).expect("there"), OLD);
    }
}

/// Spans of `spans.json` a line each, and a run that lists them, then waits for the first of its inputs, a pipe, while `change` is made.
fn changed_while_reading(change: impl Fn(&Path)) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    write_spans(path);
    run_in(path, &["convert", "spans.json", "-o", "table.parquet", "--quiet"]).complete();
    let spans: Vec<Value> = serde_json::from_slice(&fs::read(path.join("spans.json")).expect("spans")).expect("JSON");
    let lines: Vec<String> = spans.iter().map(Value::to_string).collect();
    fs::write(path.join("lines.json"), lines.join("\n") + "\n").expect("written");
    pipe(&path.join("first"));
    let child = suspect(path)
        // One thread reads the inputs in their order.
        .args(["inspect", "first", "lines.json", "table.parquet", "--threads", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // Opens when the run does, which is after the listing.
    let writer = fs::File::options().write(true).open(path.join("first")).expect("a pipe");
    change(path);
    drop(writer);
    let output = child.wait_with_output().expect("it ends");
    Run::of(output)
}

#[test]
fn a_file_that_changes_between_listing_and_reading_is_told_of() {
    let resize = |name: &'static str, factor: fn(u64) -> u64| {
        move |path: &Path| {
            let file = fs::File::options().write(true).open(path.join(name)).expect("a file");
            let n_bytes = file.metadata().expect("a size").len();
            file.set_len(factor(n_bytes)).expect("resized");
        }
    };
    let same = changed_while_reading(|_| ());
    assert_eq!(same.status, Some(0), "{}", same.stderr);
    for (run, expected) in [
        (
            changed_while_reading(resize("lines.json", |n| n / 2)),
            "`lines.json` could not be read whole: it became shorter, from ",
        ),
        (
            changed_while_reading(resize("lines.json", |_| 0)),
            "`lines.json` could not be read: it became shorter, from ",
        ),
        (changed_while_reading(resize("lines.json", |n| n + 9)), "`lines.json` could not be read whole: it grew from "),
        (
            changed_while_reading(resize("table.parquet", |n| n / 2)),
            "`table.parquet` could not be read: it became shorter",
        ),
        (changed_while_reading(resize("table.parquet", |n| n + 9)), "`table.parquet` could not be read: it grew from "),
        (
            changed_while_reading(|path| {
                fs::copy(path.join("table.parquet"), path.join("other")).expect("copied");
                fs::rename(path.join("other"), path.join("table.parquet")).expect("replaced");
            }),
            "`table.parquet` could not be read: it was replaced by another file while it was read; try again",
        ),
        (
            changed_while_reading(|path| fs::remove_file(path.join("table.parquet")).expect("removed")),
            "`table.parquet` could not be read: cannot read: No such file or directory",
        ),
    ] {
        assert_eq!(run.status, Some(1), "{run:?}");
        assert!(run.stderr.contains(expected), "{expected}: {}", run.stderr);
    }
    let replaced = changed_while_reading(|path| {
        fs::copy(path.join("lines.json"), path.join("other")).expect("copied");
        fs::rename(path.join("other"), path.join("lines.json")).expect("replaced");
    });
    assert_eq!(replaced.status, Some(1), "{}", replaced.stderr);
    let expected = "warning: `lines.json` could not be read whole: it was replaced by another file";
    assert!(replaced.stderr.contains(expected), "{}", replaced.stderr);
}

#[test]
#[cfg(unix)]
fn spans_take_the_place_of_no_pipe_nor_device() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let folder = prepared();
    let path = folder.path();
    pipe(&path.join("pipe.parquet"));
    symlink("pipe.parquet", path.join("link.parquet")).expect("a link");
    for name in ["pipe.parquet", "link.parquet"] {
        for arguments in [
            &["convert", "spans.json", "-f", "-o", name][..],
            &["convert", "spans.json", "-o", name],
            &["simulate", name, "-f", "--requests", "5"],
        ] {
            let run = run_in(path, arguments);
            assert_eq!(run.status, Some(2), "{}", run.stderr);
            let expected = format!("`{name}` is a pipe, and spans are written to a file of their own");
            assert!(run.stderr.contains(&expected), "{}", run.stderr);
            assert!(path.join(name).metadata().expect("it is there").file_type().is_fifo(), "{arguments:?}");
        }
    }
    let run = run_in(path, &["convert", "spans.json", "-f", "-o", "/dev/stdout"]);
    assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{}", run.stderr);
    assert!(run.stderr.contains("`/dev/stdout` is a pipe"), "{}", run.stderr);
}

#[test]
#[cfg(unix)]
fn what_is_no_file_in_a_folder_is_told_and_not_waited_for() {
    let folder = prepared();
    let spans = folder.path().join("spans");
    fs::create_dir(&spans).expect("a folder");
    fs::copy(folder.path().join("spans.json"), spans.join("spans.json")).expect("copied");
    pipe(&spans.join("pipe"));
    let run = run_in(folder.path(), &["inspect", "spans"]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let expected = "note: `spans/pipe`: a pipe in a folder is passed over; by its name it is read";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_cannot_be_read_is_named_and_the_others_are_read() {
    let folder = prepared();
    // Opens for its owner, and gives an error for every byte.
    let run = run_in(folder.path(), &["inspect", "/proc/self/mem", "spans.json"]);
    assert_eq!(run.status, Some(1));
    assert!(
        run.stderr.contains("`/proc/self/mem` could not be read: cannot read: Input/output error"),
        "{}",
        run.stderr
    );
    let alone = run_in(folder.path(), &["analyze", "/proc/self/mem", "--json", "a.json"]);
    assert_eq!(alone.status, Some(2));
    assert!(alone.stderr.contains("no spans found in `/proc/self/mem`"), "{}", alone.stderr);
    assert_old(folder.path());
}
