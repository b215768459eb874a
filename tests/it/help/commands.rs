//! Help of the commands but `analyze`.

use crate::cli::run;

#[test]
fn help_of_inspect_is_complete() {
    insta::assert_snapshot!(run(&["inspect", "--help"]), @r#"
    status 0
    --- stdout ---
    Shows what the input holds and which windows are worth trying.

    Formats, services, time range, error share and data quality. Reads everything
    and analyses nothing. Start here, and take the windows for `suspect analyze`
    from its last lines.

    Most often:
      suspect inspect traces/
      zcat spans.json.gz | suspect inspect -

    Usage: suspect inspect [OPTIONS] <PATH>...

    Arguments:
      <PATH>...
              Files, folders (read to the bottom), quoted globs, or `-` for standard
              input

              The format of each file is recognised by its content, gzip and zstd
              are seen through. Addresses `s3://`, `gs://`, `az://` and `http(s)://`
              work like paths. Use `--` before a path that begins with a dash.

    Options:
      -h, --help
              Print help (see a summary with '-h')

    Input:
          --columns <FIELD=COLUMN[:UNIT],...>
              Columns of a table (CSV, Parquet, Arrow) that hold span fields, if
              they are not recognised

              Such as `trace_id=tid,start=ts:ms,duration=took:us`. Times and
              durations take a unit: s, ms, us or ns.

    Output:
          --format <FORMAT>
              Text for people or JSON for programs

              Possible values:
              - terminal: Text for people, as wide as the terminal or `--width`
              - json:     One JSON document with a `schema_version`

              [default: terminal]

      -o, --output <FILE>
              Write to FILE, whole or not at all, instead of to standard output

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
      suspect inspect 'exports/*.json.gz' --format json -o inspection.json

    Exit status:
      0    all went well
      1    there is a result, but some file or record could not be read (see the
           warnings)
      2    no result: the arguments or the input cannot be used, or the result
           cannot be written
      130  interrupted: no output file is half-written

    Environment:
      COLUMNS    columns of text on standard output, unless --width says otherwise
      NO_COLOR   if set, no colour, unless --color says otherwise
      AWS_*, GOOGLE_*, AZURE_*
                 how to reach s3://, gs:// and az:// addresses, as their own tools
                 read them: AWS_PROFILE, GOOGLE_APPLICATION_CREDENTIALS,
                 AZURE_STORAGE_ACCOUNT_NAME and so on

    See also:
    `suspect analyze` takes the windows; `suspect convert` makes one file of many.
    --- stderr ---
    "#);
}

#[test]
fn help_of_convert_is_complete() {
    insta::assert_snapshot!(run(&["convert", "--help"]), @r#"
    status 0
    --- stdout ---
    Writes spans of any format into one Parquet file.

    `suspect` and SQL engines read it fast. It has one row a span, ids and names as
    text, times as 64-bit nanoseconds since 1970 and a column an attribute, sorted
    by start.

    Most often:
      suspect convert traces/ -o spans.parquet

    Usage: suspect convert [OPTIONS] --output <FILE> <PATH>...

    Arguments:
      <PATH>...
              Files, folders (read to the bottom), quoted globs, or `-` for standard
              input

              The format of each file is recognised by its content, gzip and zstd
              are seen through. Addresses `s3://`, `gs://`, `az://` and `http(s)://`
              work like paths. Use `--` before a path that begins with a dash.

    Options:
      -h, --help
              Print help (see a summary with '-h')

    Input:
          --columns <FIELD=COLUMN[:UNIT],...>
              Columns of a table (CSV, Parquet, Arrow) that hold span fields, if
              they are not recognised

              Such as `trace_id=tid,start=ts:ms,duration=took:us`. Times and
              durations take a unit: s, ms, us or ns.

    Output:
      -o, --output <FILE>
              The Parquet file to write

      -f, --force
              Replace FILE if it exists

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
      suspect convert 'logs/*.json.gz' more.csv -o spans.parquet --force

    Exit status:
      0    all went well
      1    there is a result, but some file or record could not be read (see the
           warnings)
      2    no result: the arguments or the input cannot be used, or the result
           cannot be written
      130  interrupted: no output file is half-written

    Environment:
      COLUMNS    columns of text on standard output, unless --width says otherwise
      NO_COLOR   if set, no colour, unless --color says otherwise
      AWS_*, GOOGLE_*, AZURE_*
                 how to reach s3://, gs:// and az:// addresses, as their own tools
                 read them: AWS_PROFILE, GOOGLE_APPLICATION_CREDENTIALS,
                 AZURE_STORAGE_ACCOUNT_NAME and so on

    See also:
    `suspect profile` saves a baseline without its spans.
    --- stderr ---
    "#);
}

#[test]
fn help_of_trace_is_complete() {
    insta::assert_snapshot!(run(&["trace", "--help"]), @r#"
    status 0
    --- stdout ---
    Shows one trace as a tree on a time scale, and where its time went.

    Each instant of a request belongs to one span, so the spans' own times sum to
    the request's duration. Shorten a span that has time of its own, and the request
    ends sooner.

    Most often:
      suspect trace 4bf92f3577b34da6a3ce929d0e0e4736 traces/

    Usage: suspect trace [OPTIONS] <TRACE_ID> <PATH>...

    Arguments:
      <TRACE_ID>
              The trace's id, in any case, with or without leading zeros

      <PATH>...
              Files, folders (read to the bottom), quoted globs, or `-` for standard
              input

              The format of each file is recognised by its content, gzip and zstd
              are seen through. Addresses `s3://`, `gs://`, `az://` and `http(s)://`
              work like paths. Use `--` before a path that begins with a dash.

    Options:
      -h, --help
              Print help (see a summary with '-h')

    Input:
          --columns <FIELD=COLUMN[:UNIT],...>
              Columns of a table (CSV, Parquet, Arrow) that hold span fields, if
              they are not recognised

              Such as `trace_id=tid,start=ts:ms,duration=took:us`. Times and
              durations take a unit: s, ms, us or ns.

    Output:
          --format <FORMAT>
              Text for people or JSON for programs

              Possible values:
              - terminal: Text for people, as wide as the terminal or `--width`
              - json:     One JSON document with a `schema_version`

              [default: terminal]

      -o, --output <FILE>
              Write to FILE, whole or not at all, instead of to standard output

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
      suspect trace 4bf92f3577b34da6a3ce929d0e0e4736 traces/ --format json

    Exit status:
      0    all went well
      1    there is a result, but some file or record could not be read (see the
           warnings)
      2    no result: the arguments or the input cannot be used, or the result
           cannot be written
      130  interrupted: no output file is half-written

    Environment:
      COLUMNS    columns of text on standard output, unless --width says otherwise
      NO_COLOR   if set, no colour, unless --color says otherwise
      AWS_*, GOOGLE_*, AZURE_*
                 how to reach s3://, gs:// and az:// addresses, as their own tools
                 read them: AWS_PROFILE, GOOGLE_APPLICATION_CREDENTIALS,
                 AZURE_STORAGE_ACCOUNT_NAME and so on

    See also:
    `suspect analyze` names traces that show what it found.
    --- stderr ---
    "#);
}

#[test]
fn help_of_graph_is_complete() {
    insta::assert_snapshot!(run(&["graph", "--help"]), @r#"
    status 0
    --- stdout ---
    Shows which service calls which, how often, how fast and with how many failures.

    A call counts once, as its caller saw it. Databases, queues and third parties
    that left no spans are found in their callers' spans and drawn as cylinders.
    With a window given, figures before and after stand side by side.

    Most often:
      suspect graph traces/ --format terminal
      suspect graph traces/ | dot -Tsvg -o graph.svg

    Usage: suspect graph [OPTIONS] <PATH>...

    Arguments:
      <PATH>...
              Files, folders (read to the bottom), quoted globs, or `-` for standard
              input

              The format of each file is recognised by its content, gzip and zstd
              are seen through. Addresses `s3://`, `gs://`, `az://` and `http(s)://`
              work like paths. Use `--` before a path that begins with a dash.

    Options:
      -h, --help
              Print help (see a summary with '-h')

    Input:
          --columns <FIELD=COLUMN[:UNIT],...>
              Columns of a table (CSV, Parquet, Arrow) that hold span fields, if
              they are not recognised

              Such as `trace_id=tid,start=ts:ms,duration=took:us`. Times and
              durations take a unit: s, ms, us or ns.

    Windows:
          --baseline <START..END>
              When all was well [default: the data before the regression]

          --regression <START..END>
              What is compared with it [default: the data after the baseline]

    Output:
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
      suspect graph traces/ --format mermaid
                                 for Markdown
      suspect graph traces/ --regression 14:05..14:20
                                 marks what is new and what is gone
      suspect graph traces/ --format json | jq '.service_edges[]'

    Exit status:
      0    all went well
      1    there is a result, but some file or record could not be read (see the
           warnings)
      2    no result: the arguments or the input cannot be used, or the result
           cannot be written
      130  interrupted: no output file is half-written

    Environment:
      COLUMNS    columns of text on standard output, unless --width says otherwise
      NO_COLOR   if set, no colour, unless --color says otherwise
      AWS_*, GOOGLE_*, AZURE_*
                 how to reach s3://, gs:// and az:// addresses, as their own tools
                 read them: AWS_PROFILE, GOOGLE_APPLICATION_CREDENTIALS,
                 AZURE_STORAGE_ACCOUNT_NAME and so on

    See also:
    `suspect analyze --help` for the bounds of windows, dot(1) for the drawing.
    --- stderr ---
    "#);
}

#[test]
fn help_of_completions_is_complete() {
    insta::assert_snapshot!(run(&["completions", "--help"]), @r#"
    status 0
    --- stdout ---
    Prints a completion script for a shell.

    It completes commands, options and their values.

    Most often:
      suspect completions bash > ~/.local/share/bash-completion/completions/suspect

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
      suspect completions zsh > ~/.zfunc/_suspect
                                 with `fpath+=~/.zfunc` before `compinit` in
                                 ~/.zshrc
      suspect completions fish > ~/.config/fish/completions/suspect.fish
      suspect completions powershell >> $PROFILE
      suspect completions elvish >> ~/.config/elvish/rc.elv

    Exit status:
      0    all went well
      1    there is a result, but some file or record could not be read (see the
           warnings)
      2    no result: the arguments or the input cannot be used, or the result
           cannot be written
      130  interrupted: no output file is half-written

    See also:
    `suspect man` for manual pages.
    --- stderr ---
    "#);
}

#[test]
fn help_of_man_is_complete() {
    insta::assert_snapshot!(run(&["man", "--help"]), @r#"
    status 0
    --- stdout ---
    Prints the manual page of `suspect` or of one command, or writes all of them.

    Pages are roff for man(1), with the options by topic, examples, exit status and
    environment.

    Most often:
      suspect man | man -l -
      suspect man --dir ~/.local/share/man/man1    then `man suspect-analyze`

    Usage: suspect man [OPTIONS] [COMMAND]

    Arguments:
      [COMMAND]
              The command; without it, the page of `suspect` itself

    Options:
          --dir <DIR>
              Write `suspect.1` and a page a command, such as `suspect-analyze.1`,
              into DIR

              The folder is made if it is not there, pages in it are replaced.

      -h, --help
              Print help (see a summary with '-h')

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
      suspect man analyze | man -l -

    Exit status:
      0    all went well
      1    there is a result, but some file or record could not be read (see the
           warnings)
      2    no result: the arguments or the input cannot be used, or the result
           cannot be written
      130  interrupted: no output file is half-written

    See also:
    `suspect COMMAND --help` says the same; `suspect completions` for your shell.
    --- stderr ---
    "#);
}
