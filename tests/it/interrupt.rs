//! An interrupted run ends at once, says so by its status, and leaves no half-written file.

use crate::outputs::{OLD, folder_of_spans, n_scratch, names_in, output_flags, pipe, suspect, write_spans};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(status.expect("kill runs").success());
}

/// Whether the tests were started to ignore a signal, as in a shell's background: the program then ignores it, too.
fn is_ignored(number: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (number - 1) & 1 == 1)
}

/// Waits until `is_so`, or until the run ends by itself.
fn wait_until(child: &mut Child, is_so: impl Fn() -> bool) {
    while !is_so() && child.try_wait().expect("a child").is_none() {
        std::thread::yield_now();
    }
}

/// A run that waits for the rest of its input: it has read more than a pipe holds, so its handler is in place.
fn waiting(command: &mut Command) -> (Child, std::process::ChildStdin) {
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(&vec![b'\n'; 1 << 20]).expect("read");
    (child, stdin)
}

#[test]
fn a_run_that_waits_for_its_input_ends_with_130_on_each_signal_and_the_old_output_stays() {
    for (name, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        if is_ignored(number) {
            continue;
        }
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("report.json"), OLD).expect("written");
        let arguments = ["analyze", "-", "--format", "json", "--output", "report.json"];
        let (mut child, _stdin) = waiting(suspect(folder.path()).args(arguments));
        signal(&child, name);
        assert_eq!(child.wait().expect("it ends").code(), Some(130), "{name}");
        assert_eq!(fs::read_to_string(folder.path().join("report.json")).expect("still there"), OLD);
        assert_eq!(names_in(folder.path()), ["report.json"]);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_that_was_started_to_ignore_the_loss_of_its_terminal_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" inspect -", env!("CARGO_BIN_EXE_suspect")]).current_dir(folder.path());
    let (mut child, stdin) = waiting(shell.stdout(Stdio::null()));
    signal(&child, "HUP");
    drop(stdin);
    assert_eq!(child.wait().expect("it ends").code(), Some(2), "it has read what holds no spans");
}

#[test]
fn a_run_that_has_prepared_all_its_files_leaves_none_of_them_and_no_folder() {
    for is_old in [true, false] {
        let folder = folder_of_spans(is_old);
        pipe(&folder.path().join("pipe"));
        let before = names_in(folder.path());
        // Nobody reads the pipe, so the run stands still when all else is prepared.
        let arguments = [&["analyze", "spans.json", "--quiet"], output_flags().as_slice(), &["-o", "pipe"]].concat();
        let mut child = suspect(folder.path()).args(arguments).stdout(Stdio::null()).spawn().expect("it starts");
        let is_prepared = || n_scratch(folder.path()) == 3 && n_scratch(&folder.path().join("new/tables")) == 11;
        wait_until(&mut child, is_prepared);
        signal(&child, "TERM");
        assert_eq!(child.wait().expect("it ends").code(), Some(130));
        assert_eq!(names_in(folder.path()), before);
    }
}

#[test]
fn spans_that_are_being_written_are_gone_or_whole() {
    for arguments in [
        &["simulate", "made/deep", "--spans", "100000000"][..],
        &["simulate", "made.otlp.jsonl.gz", "--spans", "100000000"][..],
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = suspect(folder.path()).args(arguments).stdout(Stdio::null()).spawn().expect("it starts");
        let is_writing = || {
            let deep = folder.path().join("made/deep");
            n_scratch(folder.path()) + n_scratch(&deep) > 0
        };
        wait_until(&mut child, is_writing);
        signal(&child, "TERM");
        assert_eq!(child.wait().expect("it ends").code(), Some(130), "{arguments:?}");
        assert_eq!(names_in(folder.path()), Vec::<String>::new(), "{arguments:?}");
    }
}

/// A run over spans that go to the folder `temp`, with more arguments.
fn with_little_memory(folder: &Path, more: &[&str]) -> Command {
    fs::create_dir(folder.join("temp")).expect("made");
    let mut command = suspect(folder);
    let spans = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/incidents/error/spans");
    command.arg("analyze").arg(spans).args(["--quiet", "--memory-limit", "400KB", "--temp-dir", "temp"]);
    command.args(output_flags()).args(more).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Files in the folder of spans that do not fit into memory.
fn n_piles(folder: &Path) -> usize {
    let temp = folder.join("temp");
    names_in(&temp).iter().map(|name| names_in(&temp.join(name)).len()).sum()
}

#[track_caller]
fn assert_ended_without_trace(mut child: Child, signal_name: &str, folder: &Path) {
    assert!(child.try_wait().expect("a child").is_none(), "it still runs");
    assert_eq!(names_in(&folder.join("temp")).len(), 1, "it has a folder for its spans");
    signal(&child, signal_name);
    assert_eq!(child.wait().expect("it ends").code(), Some(130), "{signal_name}");
    assert_eq!(names_in(&folder.join("temp")), Vec::<String>::new(), "{signal_name}");
    assert_eq!(n_scratch(folder), 0);
    assert!(!folder.join("new").exists());
    for name in ["a.html", "a.md", "a.json"] {
        assert_eq!(fs::read_to_string(folder.join(name)).expect("still there"), OLD, "{name}");
    }
}

#[test]
fn a_run_whose_spans_are_in_the_temporary_folder_leaves_neither_folder_nor_output() {
    for (name, number) in [("INT", 2), ("TERM", 15)] {
        if is_ignored(number) {
            continue;
        }
        // While it still reads: standard input stays open.
        let folder = folder_of_spans(true);
        let mut child = with_little_memory(folder.path(), &["-"]).stdin(Stdio::piped()).spawn().expect("it starts");
        // Beside the lock there are partitions with spans in them.
        wait_until(&mut child, || n_piles(folder.path()) > 2);
        assert_ended_without_trace(child, name, folder.path());
        // When all is analysed and its files are prepared: nobody reads the last of them.
        let folder = folder_of_spans(true);
        pipe(&folder.path().join("pipe"));
        let mut child = with_little_memory(folder.path(), &["-o", "pipe"]).spawn().expect("it starts");
        wait_until(&mut child, || n_scratch(folder.path()) == 3 && n_scratch(&folder.path().join("new/tables")) == 11);
        assert_ended_without_trace(child, name, folder.path());
    }
}

#[test]
fn a_file_whose_name_is_near_is_there_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    write_spans(folder.path());
    let arguments = ["convert", "spans.json", "--quiet", "-o", "spans.parquet"];
    let mut child = suspect(folder.path()).args(arguments).spawn().expect("it starts");
    wait_until(&mut child, || names_in(folder.path()).len() > 1);
    // It may have ended in this moment; then there is nobody to signal.
    if child.try_wait().expect("a child").is_none() {
        signal(&child, "TERM");
    }
    let names = names_in(folder.path());
    match child.wait().expect("it ends").code() {
        Some(0) => assert_eq!(names_in(folder.path()), ["spans.json", "spans.parquet"]),
        Some(130) => {
            let names = names_in(folder.path());
            assert!(names == ["spans.json"] || names == ["spans.json", "spans.parquet"], "{names:?}");
        }
        status => panic!("{status:?} with {names:?}"),
    }
    if folder.path().join("spans.parquet").exists() {
        let again = suspect(folder.path()).args(["inspect", "spans.parquet", "--quiet"]).stdout(Stdio::null()).status();
        assert!(again.expect("it runs").success());
    }
}
