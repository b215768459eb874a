//! The program as its users meet it: exit status, standard output and standard error together.

use std::process::{Command, Stdio};

/// Runs `suspect` in an empty folder and shows how it ended and what it said.
pub(crate) struct Program {
    folder: tempfile::TempDir,
}

impl Program {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_suspect"));
        command.args(arguments).current_dir(&self.folder).env_clear().stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("the program starts");
        let status = output.status.code().map_or("killed".to_owned(), |code| code.to_string());
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        crate::schema::assert_outputs_fit(self.folder.path(), arguments, &stdout);
        // clap indents the empty lines of its help; blanks that nobody sees are not worth a snapshot's trouble.
        let stdout: Vec<&str> = stdout.split('\n').map(str::trim_end).collect();
        format!("status {status}\n--- stdout ---\n{}--- stderr ---\n{stderr}", stdout.join("\n"))
    }
}

pub(crate) fn run(arguments: &[&str]) -> String {
    Program::new().run(arguments)
}

#[test]
fn a_missing_path_is_a_usage_error() {
    insta::assert_snapshot!(run(&["inspect"]), @r#"
    status 2
    --- stdout ---
    --- stderr ---
    error: the following required arguments were not provided:
      <PATH>...

    Usage: suspect inspect <PATH>...

    For more information, try '--help'.
    "#);
}

#[test]
fn an_unknown_flag_is_a_usage_error() {
    insta::assert_snapshot!(run(&["inspect", "spans.json", "--basline"]), @r#"
    status 2
    --- stdout ---
    --- stderr ---
    error: unexpected argument '--basline' found

      tip: to pass '--basline' as a value, use '-- --basline'

    Usage: suspect inspect <PATH>...

    For more information, try '--help'.
    "#);
}

#[test]
fn a_column_choice_that_names_no_column_is_a_usage_error() {
    insta::assert_snapshot!(run(&["inspect", "spans.csv", "--columns", "trace_id=,start=ts:ms"]), @r#"
    status 2
    --- stdout ---
    --- stderr ---
    error: invalid value 'trace_id=' for '--columns <FIELD=COLUMN[:UNIT],...>': expected a field before and a column after the `=`

    For more information, try '--help'.
    "#);
}

#[test]
fn the_manual_of_an_unknown_command_is_a_usage_error() {
    insta::assert_snapshot!(run(&["man", "frobnicate"]), @r#"
    status 2
    --- stdout ---
    --- stderr ---
    error: there is no command `frobnicate`

    hint: `suspect --help` lists the commands
    "#);
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

/// Two traces of a shop that calls a bank, which asks a database.
const SHOP: &str = r#"{"resourceSpans":[
{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"spans":[
{"traceId":"000000000000000000000000000000a1","spanId":"0000000000000001","name":"POST /orders","kind":2,"startTimeUnixNano":"1714572000000000000","endTimeUnixNano":"1714572000100000000"},
{"traceId":"000000000000000000000000000000a1","spanId":"0000000000000002","parentSpanId":"0000000000000001","name":"POST","kind":3,"startTimeUnixNano":"1714572000010000000","endTimeUnixNano":"1714572000060000000"},
{"traceId":"000000000000000000000000000000b2","spanId":"0000000000000001","name":"GET /","kind":2,"startTimeUnixNano":"1714572060000000000","endTimeUnixNano":"1714572060005000000"}]}]},
{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"bank"}}]},"scopeSpans":[{"spans":[
{"traceId":"000000000000000000000000000000a1","spanId":"0000000000000003","parentSpanId":"0000000000000002","name":"POST /charges","kind":2,"startTimeUnixNano":"1714572000015000000","endTimeUnixNano":"1714572000055000000"},
{"traceId":"000000000000000000000000000000a1","spanId":"0000000000000004","parentSpanId":"0000000000000003","name":"SELECT","kind":3,"startTimeUnixNano":"1714572000020000000","endTimeUnixNano":"1714572000050000000","attributes":[{"key":"db.system.name","value":{"stringValue":"mysql"}}],"status":{"code":2}}]}]}]}"#;

fn shop() -> Program {
    let program = Program::new();
    std::fs::write(program.folder.path().join("shop.json"), SHOP).expect("a file");
    program
}

#[test]
fn a_trace_is_shown_as_a_tree() {
    insta::assert_snapshot!(shop().run(&["trace", "A1", "shop.json"]), @r#"
    status 0
    --- stdout ---
    trace       000000000000000000000000000000a1
    start       2024-05-01T14:00:00Z
    duration    100 ms
    spans       4 of 2 services

    service: operation              duration       self  0                                        100 ms
    shop: POST /orders                100 ms    50.0 ms  █████───────────────────────███████████████████
      shop: POST                     50.0 ms    10.0 ms      ▒▒▒▒─────────────────▒▒▒▒
        bank: POST /charges          40.0 ms    10.0 ms         ███─────────────███
          bank: SELECT      ERROR    30.0 ms    30.0 ms           ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒

    where the time went                        time  share
    shop: POST /orders                      50.0 ms   50 %  ██████
    bank: SELECT (the callee left no span)  30.0 ms   30 %  ███▋
    bank: POST /charges                     10.0 ms   10 %  █▎
    shop: POST (on the way)                 10.0 ms   10 %  █▎
    all                                      100 ms  100 %  ████████████
    --- stderr ---
    "#);
}

#[test]
fn a_trace_that_is_not_there_is_an_error_that_names_one_that_is() {
    insta::assert_snapshot!(shop().run(&["trace", "c3", "shop.json"]), @r#"
    status 2
    --- stdout ---
    --- stderr ---
    error: there is no trace `c3` in the input

    hint: the input holds 2 traces; the first is `000000000000000000000000000000a1`
    "#);
}

#[test]
fn a_trace_as_json_sums_to_its_duration() {
    let text = shop().run(&["trace", "a1", "shop.json", "--format", "json"]);
    let json =
        text.split_once("--- stdout ---\n").and_then(|(_, rest)| rest.rsplit_once("--- stderr ---")).expect("JSON");
    let document: serde_json::Value = serde_json::from_str(json.0).expect("JSON");
    let moment = |segment: &serde_json::Value, key: &str| segment[key].as_i64().expect("nanoseconds");
    let segments = document["segments"].as_array().expect("segments");
    let sum: i64 =
        segments.iter().map(|segment| moment(segment, "end_unix_ns") - moment(segment, "start_unix_ns")).sum();
    assert_eq!((sum, document["duration_ns"].as_i64()), (100_000_000, Some(100_000_000)));
    let kinds: Vec<&str> = segments.iter().filter_map(|segment| segment["kind"].as_str()).collect();
    assert_eq!(kinds, ["own", "gap", "own", "peer", "own", "gap", "own"]);
}

#[test]
fn a_graph_is_drawn_for_graphviz_and_for_mermaid() {
    insta::assert_snapshot!(shop().run(&["graph", "shop.json"]), @r#"
    status 0
    --- stdout ---
    digraph suspect {
      rankdir=LR;
      node [shape=box, fontname="sans-serif"];
      edge [fontname="sans-serif", fontsize=10];
      n0 [label="bank"];
      n1 [label="mysql", shape=cylinder];
      n2 [label="shop"];
      n0 -> n1 [label="1 call\nerrors 100 %\np95 30.0 ms"];
      n2 -> n0 [label="1 call\np95 50.0 ms"];
    }
    --- stderr ---
    "#);
    insta::assert_snapshot!(
        shop().run(&["graph", "shop.json", "--format", "mermaid", "--level", "operation"]),
        @r#"
    status 0
    --- stdout ---
    flowchart LR
      subgraph s0["bank"]
        n0["POST /charges #40;server#41;"]
        n1["SELECT #40;client#41;"]
      end
      n2[("mysql")]
      subgraph s2["shop"]
        n3["GET / #40;server#41;"]
        n4["POST #40;client#41;"]
        n5["POST /orders #40;server#41;"]
      end
      n0 -->|"1 call<br/>errors 100 #37;<br/>p95 30.0 ms"| n1
      n1 -->|"1 call<br/>errors 100 #37;<br/>p95 30.0 ms"| n2
      n4 -->|"1 call<br/>p95 40.0 ms"| n0
      n5 -->|"1 call<br/>p95 50.0 ms"| n4
    --- stderr ---
    "#
    );
}

#[test]
fn a_graph_of_two_windows_marks_what_is_gone() {
    let arguments = ["graph", "shop.json", "-q", "--format", "mermaid", "--regression", "14:01..", "-o", "graph.mmd"];
    let program = shop();
    assert_eq!(program.run(&arguments), "status 0\n--- stdout ---\n--- stderr ---\n");
    let drawing = std::fs::read_to_string(program.folder.path().join("graph.mmd")).expect("a file");
    insta::assert_snapshot!(drawing, @r#"
    flowchart LR
      n0["bank<br/>gone"]
      n1[("mysql<br/>gone")]
      n2["shop"]
      n0 -.->|"gone<br/>1 call<br/>errors 100 #37;<br/>p95 30.0 ms"| n1
      n2 -.->|"gone<br/>1 call<br/>p95 50.0 ms"| n0
    "#);
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
