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
        crate::schema::assert_outputs_fit(self.folder.path(), arguments, &stdout);
        // clap indents the empty lines of its help; blanks that nobody sees are not worth a snapshot's trouble.
        let stdout: Vec<&str> = stdout.split('\n').map(str::trim_end).collect();
        format!("status {status}\n--- stdout ---\n{}--- stderr ---\n{stderr}", stdout.join("\n"))
    }
}

fn run(arguments: &[&str]) -> String {
    Program::new().run(arguments)
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
      analyze      Finds what got slower or began to fail, and ranks the operations that caused it
      gate         Fails a build on a regression: compares a candidate's spans with a baseline's and
                   judges the change by a policy
      inspect      Shows what the input holds and which windows are worth trying
      convert      Writes spans of any format into one Parquet file
      profile      Saves what the comparison needs of a baseline in a small file
      trace        Shows one trace as a tree on a time scale, and where its time went
      graph        Shows which service calls which, how often, how fast and with how many failures
      report       Shows a saved analysis again, as text, page, Markdown or tables, without the spans
      eval         Measures how often the analysis is right on labelled incidents
      schema       Prints the JSON Schema (2020-12) of a document that suspect writes
      simulate     Simulates a system of services with faults, and writes its spans and what each fault
                   truly adds
      completions  Prints a completion script for a shell
      man          Prints the manual page of `suspect` or of one command

    Options:
      -h, --help     Print help (see more with '--help')
      -V, --version  Print version

    Everywhere:
          --threads <N>      Use at most N threads; the result is the same with any number [default: all
                             cores]
          --color <WHEN>     When to use colour; `auto` obeys `NO_COLOR` [default: auto] [possible
                             values: auto, always, never]
      -q, --quiet            Say nothing but errors: no progress, no warnings
          --width <COLUMNS>  Lay text out for a terminal of so many columns [default: `COLUMNS`, else
                             the terminal's own, else 100]

    Examples:
      suspect inspect traces/                              what is there, and windows worth trying
      suspect analyze traces/                              find when it began and what caused it
      suspect analyze traces/ --regression 14:05..14:20    explain these minutes by those before
      suspect analyze new.json --baseline-data old.json    compare two sets of data
      suspect convert traces/ -o spans.parquet             one file, fast to read again

    Exit status:
      0    all went well
      1    there is a result, but some file or record could not be read (see the warnings)
      2    no result: the arguments or the input cannot be used, or the result cannot be written
      130  interrupted: no output file is half-written
    "#);
}

#[test]
fn help_tells_what_the_program_is_for_and_how_to_begin() {
    insta::assert_snapshot!(run(&["--help"]), @r#"
    status 0
    --- stdout ---
    Finds the root cause of latency and error regressions in exported tracing spans.

    Reads spans as OpenTelemetry, Jaeger, Zipkin, Tempo and others export them, compares a time when all
    was well with a time when it was not, and ranks the operations that brought the change, with the
    evidence for each.

    Usage: suspect [OPTIONS] <COMMAND>

    Commands:
      analyze      Finds what got slower or began to fail, and ranks the operations that caused it
      gate         Fails a build on a regression: compares a candidate's spans with a baseline's and
                   judges the change by a policy
      inspect      Shows what the input holds and which windows are worth trying
      convert      Writes spans of any format into one Parquet file
      profile      Saves what the comparison needs of a baseline in a small file
      trace        Shows one trace as a tree on a time scale, and where its time went
      graph        Shows which service calls which, how often, how fast and with how many failures
      report       Shows a saved analysis again, as text, page, Markdown or tables, without the spans
      eval         Measures how often the analysis is right on labelled incidents
      schema       Prints the JSON Schema (2020-12) of a document that suspect writes
      simulate     Simulates a system of services with faults, and writes its spans and what each fault
                   truly adds
      completions  Prints a completion script for a shell
      man          Prints the manual page of `suspect` or of one command

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Everywhere:
          --threads <N>
              Use at most N threads; the result is the same with any number [default: all cores]

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
              Lay text out for a terminal of so many columns [default: `COLUMNS`, else the terminal's
              own, else 100]

    Examples:
      suspect inspect traces/                              what is there, and windows worth trying
      suspect analyze traces/                              find when it began and what caused it
      suspect analyze traces/ --regression 14:05..14:20    explain these minutes by those before
      suspect analyze new.json --baseline-data old.json    compare two sets of data
      suspect convert traces/ -o spans.parquet             one file, fast to read again

    Exit status:
      0    all went well
      1    there is a result, but some file or record could not be read (see the warnings)
      2    no result: the arguments or the input cannot be used, or the result cannot be written
      130  interrupted: no output file is half-written
    --- stderr ---
    "#);
}

#[test]
#[allow(clippy::too_many_lines, reason = "the help text is as long as it is")]
fn help_of_analyze_explains_windows() {
    insta::assert_snapshot!(run(&["analyze", "--help"]), @r#"
    status 0
    --- stdout ---
    Finds what got slower or began to fail, and ranks the operations that caused it.

    Compares two stretches of time, two sets of data, or requests with two values of an attribute. With
    no window given, the onset of the worst change is looked for in the latency, failures and traffic of
    the entry operations and in the time, failures and calls of each service; the baseline is the stable
    stretch before it, the regression lasts until its end, and the report shows both over time. With
    only `--regression`, the baseline is the stable stretch before it.

    Usage: suspect analyze [OPTIONS] <PATH>...

    Arguments:
      <PATH>...
              Files, folders (read to the bottom), quoted globs, or `-` for standard input

              The format of each file is recognised by its content, gzip and zstd are seen through.
              Addresses `s3://`, `gs://`, `az://` and `http(s)://` work like paths. Use `--` before a
              path that begins with a dash.

    Options:
          --columns <FIELD=COLUMN[:UNIT],...>
              Columns of a table (CSV, Parquet, Arrow) that hold span fields, if they are not recognised

              Such as `trace_id=tid,start=ts:ms,duration=took:us`. Times and durations take a unit: s,
              ms, us or ns.

          --attributes <KEY,...>
              Attributes that may tell a suspect's calls apart, such as host, version or tenant
              [default: all with few values]

              Named attributes are read whatever they say; of the others, those that number every call
              or say how it ended are not.

          --no-attributes
              Do not look into attributes, which saves their memory

          --explain <SUSPECT>
              Instead of the report, the full account of one suspect, accused or not

              A service, `SERVICE: OPERATION`, an edge `CALLER -> CALLEE`, or a place in the ranking:
              every call path, the numbers of both windows, the arithmetic, and why it is accused or
              not.

          --format <FORMAT>
              Text for people or JSON for programs

              Possible values:
              - terminal: Text for people, as wide as the terminal or `--width`
              - json:     One JSON document with a `schema_version`

              [default: terminal]

      -o, --output <FILE>
              Write to FILE, whole or not at all, instead of to standard output

      -h, --help
              Print help (see a summary with '-h')

    Windows:
          --baseline <START..END>
              When all was well [default: the stable stretch before the regression]

          --regression <START..END>
              What is to be explained [default: the data after the baseline; the worst change found]

          --baseline-data <PATH>...
              Data from when all was well, to compare the positional paths with

              Spans, or files of `suspect profile`. Takes all paths up to the next option or `--`, so
              give the positional paths first or after `--`.

          --baseline-where <ATTR=VALUE>
              The baseline is the traces in which some span has this value; repeatable, all must hold

              An attribute of a span or of its resource, or `service.name`, `name`, `kind` or `status`.
              A trace that is on both sides or on neither is set aside. Without `--regression-where` the
              regression is all other traces.

          --regression-where <ATTR=VALUE>
              The regression is the traces in which some span has this value; see `--baseline-where`

          --compare <ATTR>
              Compare the two values of an attribute: the one seen first is the baseline

    Narrow the question:
          --entry <SERVICE[:OPERATION]>
              Only requests that begin at this entry operation; `*` and `?` as in file names;
              repeatable, any may match

          --where <ATTR=VALUE>
              Only traces in which some span has this value; repeatable, all must hold

    Owners:
          --owners <FILE>
              Who owns which service: TOML, a Backstage catalogue or a list like CODEOWNERS; repeatable

              TOML: `[[service]]` with `match` (a glob or a list of them, the first rule counts),
              `team`, `contact` and `runbook`, and `[[team]]` with `name`, `contact` and `runbook`.
              Which of the three a file is, its name says, else its content. Of several files the first
              that knows a service counts.

          --owner-attribute <KEY>
              Resource attribute that carries a service's team; repeatable, the first counts

              Without it `service.owner`, `service.team`, `team`, `owner`, `team.name` and `owner.team`.
              Where a file knows a service, the file counts.

    Changes:
          --changes <FILE>
              What somebody changed and when: JSON lines or CSV with time, service, kind, title and url;
              repeatable

              Deploys, flags, config changes, incidents. A change is credited only if what its service
              does moved after it; new values of `service.version` are seen without a list.

    Reports:
          --html <FILE>
              Write the report as one self-contained HTML page to FILE

          --markdown <FILE>
              Write a section for a postmortem to FILE: Markdown for GitHub, GitLab, Confluence or
              Notion

          --json <FILE>
              Write everything as JSON to FILE; `suspect report` makes the other documents of it later,
              without the spans

          --parquet <DIR>
              Write tables for notebooks into DIR, one Parquet file each: suspects, decomposition,
              operations and more

          --trace-url <TEMPLATE>
              Link trace ids to your trace UI: an http(s) address with `{trace_id}` in it

    Everywhere:
          --threads <N>
              Use at most N threads; the result is the same with any number [default: all cores]

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
              Lay text out for a terminal of so many columns [default: `COLUMNS`, else the terminal's
              own, else 100]

    Examples:
      suspect analyze traces/                                            find the change, too
      suspect analyze traces/ --regression 14:05..14:20                  against all before 14:05
      suspect analyze traces/ --baseline ..+10m --regression -10m..      its first and last minutes
      suspect analyze traces/ --baseline 2024-05-01T13:00Z..2024-05-01T14:00Z --regression 14:05..14:20
      suspect analyze new/ --baseline-data old/ --format json -o report.json
      suspect analyze traces/ --html report.html                         a page to read and to pass on
      suspect analyze traces/ --explain cart                             why cart, or why not
      suspect analyze traces/ --compare service.version                  old against new, side by side
      suspect analyze traces/ --entry 'gateway:POST /checkout' --where tenant=acme

    A window is START..END, with the start in it and the end not. A trace belongs to the window in which
    its root starts. Each bound is one of:
      2024-05-01T14:05:00+02:00   RFC 3339; UTC if it names no zone
      14:05, 14:05:30.250         a clock time in UTC on the day of the data
      1714572300                  epoch seconds; also ms, us and ns, by magnitude
      +10m, -30m, +1h30m          after the data's start, before the data's end (d, h, m, s, ms, us, ns)
      nothing                     the data's start or end

    Exit status:
      0    all went well
      1    there is a result, but some file or record could not be read (see the warnings)
      2    no result: the arguments or the input cannot be used, or the result cannot be written
      130  interrupted: no output file is half-written
    --- stderr ---
    "#);
}

#[test]
fn help_of_inspect_is_complete() {
    insta::assert_snapshot!(run(&["inspect", "--help"]), @r#"
    status 0
    --- stdout ---
    Shows what the input holds and which windows are worth trying.

    Formats, services, time range, error share and data quality. Reads everything and analyses nothing.
    Start here, and take the windows for `suspect analyze` from its last lines.

    Usage: suspect inspect [OPTIONS] <PATH>...

    Arguments:
      <PATH>...
              Files, folders (read to the bottom), quoted globs, or `-` for standard input

              The format of each file is recognised by its content, gzip and zstd are seen through.
              Addresses `s3://`, `gs://`, `az://` and `http(s)://` work like paths. Use `--` before a
              path that begins with a dash.

    Options:
          --columns <FIELD=COLUMN[:UNIT],...>
              Columns of a table (CSV, Parquet, Arrow) that hold span fields, if they are not recognised

              Such as `trace_id=tid,start=ts:ms,duration=took:us`. Times and durations take a unit: s,
              ms, us or ns.

          --format <FORMAT>
              Text for people or JSON for programs

              Possible values:
              - terminal: Text for people, as wide as the terminal or `--width`
              - json:     One JSON document with a `schema_version`

              [default: terminal]

      -o, --output <FILE>
              Write to FILE, whole or not at all, instead of to standard output

      -h, --help
              Print help (see a summary with '-h')

    Everywhere:
          --threads <N>
              Use at most N threads; the result is the same with any number [default: all cores]

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
              Lay text out for a terminal of so many columns [default: `COLUMNS`, else the terminal's
              own, else 100]

    Examples:
      suspect inspect traces/
      suspect inspect 'exports/*.json.gz' --format json -o inspection.json
      zcat spans.json.gz | suspect inspect -

    Exit status:
      0    all went well
      1    there is a result, but some file or record could not be read (see the warnings)
      2    no result: the arguments or the input cannot be used, or the result cannot be written
      130  interrupted: no output file is half-written
    --- stderr ---
    "#);
}

#[test]
fn help_of_convert_is_complete() {
    insta::assert_snapshot!(run(&["convert", "--help"]), @r#"
    status 0
    --- stdout ---
    Writes spans of any format into one Parquet file.

    `suspect` and SQL engines read it fast. It has one row a span, ids and names as text, times as
    64-bit nanoseconds since 1970 and a column an attribute, sorted by start.

    Usage: suspect convert [OPTIONS] --output <FILE> <PATH>...

    Arguments:
      <PATH>...
              Files, folders (read to the bottom), quoted globs, or `-` for standard input

              The format of each file is recognised by its content, gzip and zstd are seen through.
              Addresses `s3://`, `gs://`, `az://` and `http(s)://` work like paths. Use `--` before a
              path that begins with a dash.

    Options:
          --columns <FIELD=COLUMN[:UNIT],...>
              Columns of a table (CSV, Parquet, Arrow) that hold span fields, if they are not recognised

              Such as `trace_id=tid,start=ts:ms,duration=took:us`. Times and durations take a unit: s,
              ms, us or ns.

      -o, --output <FILE>
              The Parquet file to write

      -f, --force
              Replace FILE if it exists

      -h, --help
              Print help (see a summary with '-h')

    Everywhere:
          --threads <N>
              Use at most N threads; the result is the same with any number [default: all cores]

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
              Lay text out for a terminal of so many columns [default: `COLUMNS`, else the terminal's
              own, else 100]

    Examples:
      suspect convert traces/ -o spans.parquet
      suspect convert 'logs/*.json.gz' more.csv -o spans.parquet --force

    Exit status:
      0    all went well
      1    there is a result, but some file or record could not be read (see the warnings)
      2    no result: the arguments or the input cannot be used, or the result cannot be written
      130  interrupted: no output file is half-written
    --- stderr ---
    "#);
}

#[test]
fn help_of_trace_is_complete() {
    insta::assert_snapshot!(run(&["trace", "--help"]), @r#"
    status 0
    --- stdout ---
    Shows one trace as a tree on a time scale, and where its time went.

    Each instant of a request belongs to one span, so the spans' own times sum to the request's
    duration. Shorten a span that has time of its own, and the request ends sooner.

    Usage: suspect trace [OPTIONS] <TRACE_ID> <PATH>...

    Arguments:
      <TRACE_ID>
              The trace's id, in any case, with or without leading zeros

      <PATH>...
              Files, folders (read to the bottom), quoted globs, or `-` for standard input

              The format of each file is recognised by its content, gzip and zstd are seen through.
              Addresses `s3://`, `gs://`, `az://` and `http(s)://` work like paths. Use `--` before a
              path that begins with a dash.

    Options:
          --columns <FIELD=COLUMN[:UNIT],...>
              Columns of a table (CSV, Parquet, Arrow) that hold span fields, if they are not recognised

              Such as `trace_id=tid,start=ts:ms,duration=took:us`. Times and durations take a unit: s,
              ms, us or ns.

          --format <FORMAT>
              Text for people or JSON for programs

              Possible values:
              - terminal: Text for people, as wide as the terminal or `--width`
              - json:     One JSON document with a `schema_version`

              [default: terminal]

      -o, --output <FILE>
              Write to FILE, whole or not at all, instead of to standard output

      -h, --help
              Print help (see a summary with '-h')

    Everywhere:
          --threads <N>
              Use at most N threads; the result is the same with any number [default: all cores]

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
              Lay text out for a terminal of so many columns [default: `COLUMNS`, else the terminal's
              own, else 100]

    Examples:
      suspect trace 4bf92f3577b34da6a3ce929d0e0e4736 traces/
      suspect trace 4bf92f3577b34da6a3ce929d0e0e4736 traces/ --format json

    Exit status:
      0    all went well
      1    there is a result, but some file or record could not be read (see the warnings)
      2    no result: the arguments or the input cannot be used, or the result cannot be written
      130  interrupted: no output file is half-written
    --- stderr ---
    "#);
}

#[test]
fn help_of_graph_is_complete() {
    insta::assert_snapshot!(run(&["graph", "--help"]), @r#"
    status 0
    --- stdout ---
    Shows which service calls which, how often, how fast and with how many failures.

    A call counts once, as its caller saw it. Databases, queues and third parties that left no spans are
    found in their callers' spans and drawn as cylinders. With a window given, figures before and after
    stand side by side.

    Usage: suspect graph [OPTIONS] <PATH>...

    Arguments:
      <PATH>...
              Files, folders (read to the bottom), quoted globs, or `-` for standard input

              The format of each file is recognised by its content, gzip and zstd are seen through.
              Addresses `s3://`, `gs://`, `az://` and `http(s)://` work like paths. Use `--` before a
              path that begins with a dash.

    Options:
          --columns <FIELD=COLUMN[:UNIT],...>
              Columns of a table (CSV, Parquet, Arrow) that hold span fields, if they are not recognised

              Such as `trace_id=tid,start=ts:ms,duration=took:us`. Times and durations take a unit: s,
              ms, us or ns.

          --level <LEVEL>
              What a node stands for; the JSON has both

              Possible values:
              - service:   A service
              - operation: An operation, drawn within its service

              [default: service]

          --format <FORMAT>
              Drawing, table or data

              Possible values:
              - dot:      The DOT language of Graphviz
              - terminal: A table for people, as wide as the terminal or `--width`
              - mermaid:  A flowchart for Markdown
              - json:     One JSON document with a `schema_version`

              [default: dot]

      -o, --output <FILE>
              Write to FILE, whole or not at all, instead of to standard output

      -h, --help
              Print help (see a summary with '-h')

    Windows:
          --baseline <START..END>
              When all was well [default: the data before the regression]

          --regression <START..END>
              What is compared with it [default: the data after the baseline]

    Everywhere:
          --threads <N>
              Use at most N threads; the result is the same with any number [default: all cores]

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
              Lay text out for a terminal of so many columns [default: `COLUMNS`, else the terminal's
              own, else 100]

    Examples:
      suspect graph traces/ | dot -Tsvg -o graph.svg
      suspect graph traces/ --format terminal
      suspect graph traces/ --format mermaid
      suspect graph traces/ --regression 14:05..14:20          marks what is new and what is gone
      suspect graph traces/ --format json | jq '.service_edges[]'

    Exit status:
      0    all went well
      1    there is a result, but some file or record could not be read (see the warnings)
      2    no result: the arguments or the input cannot be used, or the result cannot be written
      130  interrupted: no output file is half-written
    --- stderr ---
    "#);
}

#[test]
fn help_of_completions_is_complete() {
    insta::assert_snapshot!(run(&["completions", "--help"]), @r#"
    status 0
    --- stdout ---
    Prints a completion script for a shell

    Usage: suspect completions [OPTIONS] <SHELL>

    Arguments:
      <SHELL>
              The shell

              [possible values: bash, elvish, fish, powershell, zsh]

    Options:
      -h, --help
              Print help (see a summary with '-h')

    Everywhere:
          --threads <N>
              Use at most N threads; the result is the same with any number [default: all cores]

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
              Lay text out for a terminal of so many columns [default: `COLUMNS`, else the terminal's
              own, else 100]

    Examples:
      suspect completions bash > ~/.local/share/bash-completion/completions/suspect
      suspect completions zsh > ~/.zfunc/_suspect
      suspect completions fish > ~/.config/fish/completions/suspect.fish

    Exit status:
      0    all went well
      1    there is a result, but some file or record could not be read (see the warnings)
      2    no result: the arguments or the input cannot be used, or the result cannot be written
      130  interrupted: no output file is half-written
    --- stderr ---
    "#);
}

#[test]
fn help_of_man_is_complete() {
    insta::assert_snapshot!(run(&["man", "--help"]), @r#"
    status 0
    --- stdout ---
    Prints the manual page of `suspect` or of one command

    Usage: suspect man [OPTIONS] [COMMAND]

    Arguments:
      [COMMAND]
              The command; without it, the page of `suspect` itself

    Options:
      -h, --help
              Print help (see a summary with '-h')

    Everywhere:
          --threads <N>
              Use at most N threads; the result is the same with any number [default: all cores]

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
              Lay text out for a terminal of so many columns [default: `COLUMNS`, else the terminal's
              own, else 100]

    Examples:
      suspect man | man -l -
      suspect man analyze > ~/.local/share/man/man1/suspect-analyze.1

    Exit status:
      0    all went well
      1    there is a result, but some file or record could not be read (see the warnings)
      2    no result: the arguments or the input cannot be used, or the result cannot be written
      130  interrupted: no output file is half-written
    --- stderr ---
    "#);
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
