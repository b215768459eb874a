//! The program as its users meet it: exit status, standard output and standard error together.

use std::process::{Command, Stdio};

/// Runs `suspect` in an empty folder and shows how it ended and what it said.
struct Program {
    folder: tempfile::TempDir,
}

impl Program {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_suspect"));
        command.args(arguments).current_dir(&self.folder).env_clear().stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("the program starts");
        let status = output.status.code().map_or("killed".to_owned(), |code| code.to_string());
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        format!("status {status}\n--- stdout ---\n{stdout}--- stderr ---\n{stderr}")
    }
}

fn run(arguments: &[&str]) -> String {
    Program::new().run(arguments)
}

#[test]
fn without_arguments_the_short_help_is_shown() {
    insta::assert_snapshot!(run(&[]), @"");
}

#[test]
fn help_tells_what_the_program_is_for_and_how_to_begin() {
    insta::assert_snapshot!(run(&["--help"]), @"");
}

#[test]
fn help_of_analyze_explains_windows() {
    insta::assert_snapshot!(run(&["analyze", "--help"]), @"");
}

#[test]
fn help_of_inspect_is_complete() {
    insta::assert_snapshot!(run(&["inspect", "--help"]), @"");
}

#[test]
fn help_of_convert_is_complete() {
    insta::assert_snapshot!(run(&["convert", "--help"]), @"");
}

#[test]
fn help_of_trace_is_complete() {
    insta::assert_snapshot!(run(&["trace", "--help"]), @"");
}

#[test]
fn help_of_graph_is_complete() {
    insta::assert_snapshot!(run(&["graph", "--help"]), @"");
}

#[test]
fn help_of_completions_is_complete() {
    insta::assert_snapshot!(run(&["completions", "--help"]), @"");
}

#[test]
fn help_of_man_is_complete() {
    insta::assert_snapshot!(run(&["man", "--help"]), @"");
}

#[test]
fn a_missing_path_is_a_usage_error() {
    insta::assert_snapshot!(run(&["inspect"]), @"");
}

#[test]
fn an_unknown_flag_is_a_usage_error() {
    insta::assert_snapshot!(run(&["inspect", "spans.json", "--basline"]), @"");
}

#[test]
fn a_column_choice_that_names_no_column_is_a_usage_error() {
    insta::assert_snapshot!(run(&["inspect", "spans.csv", "--columns", "trace_id=,start=ts:ms"]), @"");
}

#[test]
fn the_manual_of_an_unknown_command_is_a_usage_error() {
    insta::assert_snapshot!(run(&["man", "frobnicate"]), @"");
}

#[test]
fn control_characters_in_arguments_do_not_reach_the_terminal() {
    let text = run(&["man", "\u{1b}[31mred"]);
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(text.contains("\\u{1b}[31mred"), "{text}");
}

#[test]
fn colour_is_written_only_when_asked_for() {
    assert!(!run(&["man", "x"]).contains('\u{1b}'));
    assert!(run(&["--color", "always", "man", "x"]).contains("\u{1b}["));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    for arguments in [&["completions", "bash"][..], &["man"], &["--help"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let status = Program::new().command(arguments).stdout(writer).stderr(Stdio::null()).status();
        assert_eq!(status.expect("the program starts").code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn completions_and_manual_pages_name_the_program() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(run(&["completions", shell]).contains("suspect"), "{shell}");
    }
    let page = run(&["man", "analyze"]);
    assert!(page.contains(".TH suspect-analyze 1"), "{page}");
}

#[test]
fn a_limit_on_threads_reaches_the_same_end() {
    assert_eq!(run(&["--threads", "1", "man"]), run(&["man"]));
    assert!(run(&["--threads", "0", "man"]).starts_with("status 2"));
}
