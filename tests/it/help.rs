//! Help, manual pages and completions: they say all there is to say, in 80 columns, and are valid for those who read them.

mod analyze;
mod commands;

use crate::cli::run;
use crate::program::{Run, run_in, run_with};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use suspect::report::text::width;

const COMMANDS: [&str; 13] = [
    "analyze",
    "gate",
    "inspect",
    "convert",
    "profile",
    "trace",
    "graph",
    "report",
    "eval",
    "schema",
    "simulate",
    "completions",
    "man",
];

fn said(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    run_with(Path::new("."), arguments, environment).complete()
}

#[test]
fn every_help_fits_80_columns_and_has_the_parts_of_a_manual() {
    let listed = said(&["--help"], &[]);
    for command in COMMANDS {
        assert!(listed.lines().any(|line| line.starts_with(&format!("  {command} "))), "{command}");
        let long = said(&[command, "--help"], &[]);
        let short = said(&[command, "-h"], &[]);
        for line in long.lines().chain(short.lines()) {
            assert!(width(line) <= 80, "{} columns in {command}: {line}", width(line));
        }
        assert!(short.lines().count() < long.lines().count(), "{command}");
        assert!(short.contains(&format!("`suspect {command} --help`")), "{short}");
        let parts = ["Most often:\n", "Usage: ", "Examples:\n", "Exit status:\n", "See also:\n"];
        let places: Vec<Option<usize>> = parts.iter().map(|part| long.find(part)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{command}: {places:?}\n{long}");
        assert!(!short.contains("Examples:"), "{short}");
        let first = long.lines().next().expect("a line");
        assert!(first.starts_with(char::is_uppercase), "{first}");
        let paragraph: Vec<&str> = long.lines().take_while(|line| !line.is_empty()).collect();
        assert!(paragraph.join(" ").ends_with('.'), "{command}: {paragraph:?}");
    }
    for line in listed.lines().chain(said(&["-h"], &[]).lines()) {
        assert!(width(line) <= 80, "{line}");
    }
    for part in ["Environment:\n", "Files:\n", "See also:\n", "COLUMNS", "NO_COLOR", "GITHUB_STEP_SUMMARY"] {
        assert!(listed.contains(part), "{part}");
    }
}

#[test]
fn the_short_help_of_the_program_is_brief() {
    let lines = |text: &str| text.lines().count();
    assert!(2 * lines(&said(&["-h"], &[])) < lines(&said(&["--help"], &[])));
}

#[test]
fn help_is_laid_out_for_the_columns_there_are() {
    for (columns, most) in [("60", 60), ("100", 100), ("400", 100)] {
        let text = said(&["analyze", "--help"], &[("COLUMNS", columns)]);
        let widest = text.lines().map(width).max().unwrap_or(0);
        assert!(widest <= most && widest + 12 > most, "{widest} columns of {columns}\n{text}");
    }
}

/// Every page, by its file's name.
fn pages() -> Vec<(String, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    let run = run_in(folder.path(), &["man", "--dir", "made/man1"]);
    assert_eq!((run.status, run.stdout.as_str(), run.stderr.as_str()), (Some(0), "", ""));
    let mut pages: Vec<(String, String)> = fs::read_dir(folder.path().join("made/man1"))
        .expect("a folder")
        .map(|entry| {
            let path = entry.expect("a file").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(path).expect("UTF-8"))
        })
        .collect();
    pages.sort();
    pages
}

#[test]
fn all_manual_pages_are_written_the_programs_names_the_commands_and_each_is_what_man_command_prints() {
    let pages = pages();
    let mut names: Vec<String> = COMMANDS.iter().map(|command| format!("suspect-{command}.1")).collect();
    names.push("suspect.1".to_owned());
    names.sort();
    assert_eq!(pages.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), names);
    for (name, page) in &pages {
        let command = name.trim_end_matches(".1").strip_prefix("suspect-");
        let printed = match command {
            Some(command) => said(&["man", command], &[]),
            None => said(&["man"], &[("COLUMNS", "50")]),
        };
        assert_eq!(&printed, page, "{name}");
        if command.is_none() {
            for command in COMMANDS {
                assert!(page.contains(&format!("suspect\\-{command}(1)")), "{command}");
            }
        }
    }
}

/// The structure of a page by hand, where nothing else checks it: only macros of man(7), each section once and in order,
/// what is shown as it is begun and ended.
#[test]
fn manual_pages_are_sound_roff() {
    for (name, page) in pages() {
        let mut sections = Vec::new();
        let mut depth = 0;
        for line in page.lines() {
            assert!(!line.starts_with('\''), "{name}: {line}");
            let Some(request) = line.strip_prefix('.') else { continue };
            let (request, arguments) = request.split_once(' ').unwrap_or((request, ""));
            match request {
                "SH" => sections.push(arguments.trim_matches('"').to_owned()),
                "nf" | "RS" => depth += 1,
                "fi" | "RE" => depth -= 1,
                "TH" | "TP" | "PP" | "IP" | "br" | "ie" | "el" => {}
                _ => panic!("{name}: `.{request}` is no macro that is used here"),
            }
            assert!((0..=2).contains(&depth), "{name}: {line}");
        }
        assert_eq!(depth, 0, "{name}");
        let begin = ["NAME", "SYNOPSIS", "DESCRIPTION"];
        assert_eq!(sections[..3], begin, "{name}");
        for section in ["EXAMPLES", "EXIT STATUS", "SEE ALSO"] {
            assert_eq!(sections.iter().filter(|own| *own == section).count(), 1, "{name} {section}: {sections:?}");
        }
        assert!(page.starts_with(".ie") || page.starts_with(".TH"), "{name}");
        let title = name.trim_end_matches(".1").replace('-', "\\-");
        assert!(page.contains(&format!("\n{title} \\- ")), "{name} says what it is in a line");
    }
}

/// What a program says of a page, if it is there.
fn checked_by(program: &str, arguments: &[&str], page: &str) -> Option<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(page.as_bytes()).ok()?;
    Some(String::from_utf8_lossy(&child.wait_with_output().ok()?.stderr).into_owned())
}

#[test]
fn groff_has_no_warning_about_any_page() {
    for (name, page) in pages() {
        if let Some(said) = checked_by("groff", &["-man", "-Tutf8", "-ww", "-rCHECKSTYLE=1"], &page) {
            assert_eq!(said, "", "{name}");
        }
    }
}

#[test]
fn bash_reads_the_completions_and_completes_commands_options_and_values() {
    let script = said(&["completions", "bash"], &[]);
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let text = said(&["completions", shell], &[]);
        assert!(COMMANDS.iter().all(|command| text.contains(command)) && text.contains("baseline-data"), "{shell}");
    }
    let Some(said) = checked_by("bash", &["-n"], &script) else { return };
    assert_eq!(said, "");
    for (words, expected) in [
        (&["suspect", "ana"][..], &["analyze"][..]),
        (&["suspect", "g"], &["gate", "graph"]),
        (&["suspect", "analyze", "--reg"], &["--regression", "--regression-where"]),
        (&["suspect", "analyze", "--color", "n"], &["never"]),
        (&["suspect", "completions", "z"], &["zsh"]),
    ] {
        let [.., before, current] = words else { panic!("two words at least") };
        let ask = format!(
            "{script}\nCOMP_WORDS=({}); COMP_CWORD={}; _suspect suspect '{current}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.join(" "),
            words.len() - 1,
        );
        let output = Command::new("bash").args(["--norc", "-c", &ask]).output().expect("bash");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut found: Vec<&str> = text.lines().collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{words:?} {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_folder_of_pages_that_cannot_be_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("file"), "x").expect("a file");
    let Run { status, stderr, .. } = run_in(folder.path(), &["man", "--dir", "file"]);
    assert_eq!(status, Some(2));
    assert!(stderr.contains("`--dir file` is no folder"), "{stderr}");
    assert_eq!(run_in(folder.path(), &["man", "analyze", "--dir", "pages"]).status, Some(2));
}

#[test]
fn without_arguments_the_short_help_is_shown() {
    insta::assert_snapshot!(run(&[]), @r#"
    status 2
    --- stdout ---
    --- stderr ---
    Finds the root cause of latency and error regressions in exported tracing spans

    Usage: suspect [OPTIONS] <COMMAND>

    Commands:
      analyze      Finds what got slower or began to fail, and ranks the operations
                   that caused it
      gate         Fails a build on a regression: compares a candidate's spans with
                   a baseline's and judges the change by a policy
      inspect      Shows what the input holds and which windows are worth trying
      convert      Writes spans of any format into one Parquet file
      profile      Saves what the comparison needs of a baseline in a small file
      trace        Shows one trace as a tree on a time scale, and where its time
                   went
      graph        Shows which service calls which, how often, how fast and with how
                   many failures
      report       Shows a saved analysis again, as text, page, Markdown or tables,
                   without the spans
      eval         Measures how often the analysis is right on labelled incidents
      schema       Prints the JSON Schema (2020-12) of a document that suspect
                   writes
      simulate     Simulates a system of services with faults, and writes its spans
                   and what each fault truly adds
      completions  Prints a completion script for a shell
      man          Prints the manual page of `suspect` or of one command, or writes
                   all of them

    Options:
      -h, --help     Print help (see more with '--help')
      -V, --version  Print version

    Everywhere:
      -q, --quiet  Say nothing but errors: no progress, no warnings

    Most often:
      suspect inspect traces/    what is there, and windows worth trying
      suspect analyze traces/    find when it began and what caused it
      suspect gate new/ --baseline-data old/    fail a build on a regression

    `suspect COMMAND -h` lists the options of a command, `suspect COMMAND --help`
    explains them.
    "#);
}

#[test]
#[allow(clippy::too_many_lines, reason = "the help text is as long as it is")]
fn help_tells_what_the_program_is_for_and_how_to_begin() {
    insta::assert_snapshot!(run(&["--help"]), @r#"
    status 0
    --- stdout ---
    Finds the root cause of latency and error regressions in exported tracing spans.

    Reads spans as OpenTelemetry, Jaeger, Zipkin, Tempo and others export them,
    compares a time when all was well with a time when it was not, and ranks the
    operations that brought the change, with the evidence for each.

    Most often:
      suspect inspect traces/    what is there, and windows worth trying
      suspect analyze traces/    find when it began and what caused it
      suspect gate new/ --baseline-data old/    fail a build on a regression

    Usage: suspect [OPTIONS] <COMMAND>

    Commands:
      analyze      Finds what got slower or began to fail, and ranks the operations
                   that caused it
      gate         Fails a build on a regression: compares a candidate's spans with
                   a baseline's and judges the change by a policy
      inspect      Shows what the input holds and which windows are worth trying
      convert      Writes spans of any format into one Parquet file
      profile      Saves what the comparison needs of a baseline in a small file
      trace        Shows one trace as a tree on a time scale, and where its time
                   went
      graph        Shows which service calls which, how often, how fast and with how
                   many failures
      report       Shows a saved analysis again, as text, page, Markdown or tables,
                   without the spans
      eval         Measures how often the analysis is right on labelled incidents
      schema       Prints the JSON Schema (2020-12) of a document that suspect
                   writes
      simulate     Simulates a system of services with faults, and writes its spans
                   and what each fault truly adds
      completions  Prints a completion script for a shell
      man          Prints the manual page of `suspect` or of one command, or writes
                   all of them

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Everywhere:
          --threads <N>
              Use at most N threads; the result is the same with any number
              [default: all cores]

          --color <WHEN>
              When to use colour; `auto` obeys `NO_COLOR`

              Possible values:
              - auto:   On a terminal
              - always: Even in files and pipes
              - never:  Not at all

              [default: auto]

      -q, --quiet
              Say nothing but errors: no progress, no warnings

          --width <COLUMNS>
              Lay text out for a terminal of so many columns, 40 or more [default:
              COLUMNS, else the terminal's own, else 100]

    Examples:
      suspect analyze traces/ --regression 14:05..14:20
                                 explain these minutes by those before
      suspect analyze new.json --baseline-data old.json
                                 compare two sets of data
      suspect analyze traces/ --html report.html
                                 a page to read and to pass on
      suspect convert traces/ -o spans.parquet
                                 one file, fast to read again
      suspect simulate try/ --fault slower && suspect analyze try/spans.parquet
                                 try it without an incident

    Exit status:
      0    all went well; of `gate`: passed
      1    there is a result, but some file or record could not be read (see the
           warnings); of `gate`: failed
      2    no result: the arguments or the input cannot be used, or the result
           cannot be written
      3    of `gate`: inconclusive
      130  interrupted: no output file is half-written

    Environment:
      COLUMNS    columns of text on standard output, unless --width says otherwise
      NO_COLOR   if set, no colour, unless --color says otherwise
      AWS_*, GOOGLE_*, AZURE_*
                 how to reach s3://, gs:// and az:// addresses, as their own tools
                 read them: AWS_PROFILE, GOOGLE_APPLICATION_CREDENTIALS,
                 AZURE_STORAGE_ACCOUNT_NAME and so on
      GITHUB_ACTIONS, GITHUB_STEP_SUMMARY
                 set by GitHub: `gate` shows its verdict at the run

    Files:
    Spans are recognised by their content, packed with gzip or zstd or not: OTLP
    JSON and protobuf, Jaeger, Zipkin, Tempo, and tables (CSV, Parquet, Arrow, JSON
    rows) of ClickHouse, SigNoz, Honeycomb and others.

      ~/.aws/config, ~/.aws/credentials
                 profiles for s3:// addresses
      CODEOWNERS, catalog-info.yaml, owners.toml
                 who owns which service: `suspect analyze --owners FILE`
      gate.toml  what is not allowed: `suspect gate --policy FILE`

    See also:
    `suspect COMMAND --help` and `suspect man COMMAND` explain a command, `suspect
    man --dir DIR` writes all manual pages, `suspect completions SHELL` completes
    commands and options in your shell.
    --- stderr ---
    "#);
}
