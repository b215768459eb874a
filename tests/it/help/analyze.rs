//! Help of `analyze`, which explains windows.

use crate::cli::run;

#[test]
#[allow(clippy::too_many_lines, reason = "the help text is as long as it is")]
fn help_of_analyze_explains_windows() {
    insta::assert_snapshot!(run(&["analyze", "--help"]), @r#"
    status 0
    --- stdout ---
    Finds what got slower or began to fail, and ranks the operations that caused it.

    Compares two stretches of time, two sets of data, or requests with two values of
    an attribute. With no window given, the onset of the worst change is looked for
    in the latency, failures and traffic of the entry operations and in the time,
    failures and calls of each service; the baseline is the stable stretch before
    it, the regression lasts until its end, and the report shows both over time.
    With only `--regression`, the baseline is the stable stretch before it.

    Most often:
      suspect analyze traces/    find the change, too
      suspect analyze traces/ --regression 14:05..14:20    against all before 14:05
      suspect analyze new/ --baseline-data old/    compare two sets of data

    Usage: suspect analyze [OPTIONS] <PATH>...

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
              When all was well [default: the stable stretch before the regression]

          --regression <START..END>
              What is to be explained [default: the data after the baseline; the
              worst change found]

          --baseline-data <PATH>...
              Data from when all was well, to compare the positional paths with

              Spans, or files of `suspect profile`. Takes all paths up to the next
              option or `--`, so give the positional paths first or after `--`.

          --baseline-where <ATTR=VALUE>
              The baseline is the traces in which some span has this value;
              repeatable, all must hold

              An attribute of a span or of its resource, or `service.name`, `name`,
              `kind` or `status`. A trace that is on both sides or on neither is set
              aside. Without `--regression-where` the regression is all other
              traces.

          --regression-where <ATTR=VALUE>
              The regression is the traces in which some span has this value; see
              `--baseline-where`

          --compare <ATTR>
              Compare the two values of an attribute: the one seen first is the
              baseline

          --read-all
              Read all of a file of `suspect convert` or `simulate`, not only what
              the two windows need

              With both windows given, parts of such a file, given alone, that hold
              nothing of either are counted, not read. Series over time then show
              what is near the windows, and what is learnt from all data, such as
              how far clocks of hosts are apart, is learnt from that.

    Narrow the question:
          --entry <SERVICE[:OPERATION]>
              Only requests that begin at this entry operation; `*` and `?` as in
              file names; repeatable, any may match

          --where <ATTR=VALUE>
              Only traces in which some span has this value; repeatable, all must
              hold

    Memory:
          --memory-limit <SIZE>
              Memory to take, such as 512MiB, 4GB or 50%; spans that do not fit go
              to `--temp-dir` [default: 70%]

              Percent are of what the machine, or the container, has. The result is
              the same with any limit. What is kept of each trace has to fit, some
              40 to 70 bytes a span.

          --temp-dir <DIR>
              Folder for spans that do not fit into memory [default: the system's]

    Evidence:
          --attributes <KEY,...>
              Attributes that may tell a suspect's calls apart, such as host,
              version or tenant [default: all with few values]

              Named attributes are read whatever they say; of the others, those that
              number every call or say how it ended are not.

          --no-attributes
              Do not look into attributes, which saves their memory

          --explain <SUSPECT>
              Instead of the report, the full account of one suspect, accused or not

              A service, `SERVICE: OPERATION`, an edge `CALLER -> CALLEE`, or a
              place in the ranking: every call path, the numbers of both windows,
              the arithmetic, and why it is accused or not.

    Owners:
          --owners <FILE>
              Who owns which service: TOML, a Backstage catalogue or a list like
              CODEOWNERS; repeatable

              TOML: `[[service]]` with `match` (a glob or a list of them, the first
              rule counts), `team`, `contact` and `runbook`, and `[[team]]` with
              `name`, `contact` and `runbook`. Which of the three a file is, its
              name says, else its content. Of several files the first that knows a
              service counts.

          --owner-attribute <KEY>
              Resource attribute that carries a service's team; repeatable, the
              first counts

              Without it `service.owner`, `service.team`, `team`, `owner`,
              `team.name` and `owner.team`. Where a file knows a service, the file
              counts.

    Changes:
          --changes <FILE>
              What somebody changed and when: JSON lines or CSV with time, service,
              kind, title and url; repeatable

              Deploys, flags, config changes, incidents. A change is credited only
              if what its service does moved after it, give or take the 5 s by which
              clocks may differ; versions that `service.version` shows to come are
              seen without a list, and one with the deploy that brought them.

    Reports:
          --html <FILE>
              Write the report as one self-contained HTML page to FILE

          --markdown <FILE>
              Write a section for a postmortem to FILE: Markdown for GitHub, GitLab,
              Confluence or Notion

          --json <FILE>
              Write everything as JSON to FILE; `suspect report` makes the other
              documents of it later, without the spans

          --parquet <DIR>
              Write tables for notebooks into DIR, one Parquet file each: suspects,
              decomposition, operations and more

          --trace-url <TEMPLATE>
              Link trace ids to your trace UI: an http(s) address with `{trace_id}`
              in it

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
      suspect analyze traces/ --html report.html
                                 a page to read and to pass on
      suspect analyze traces/ --explain cart
                                 why cart, or why not
      suspect analyze traces/ --compare service.version
                                 old against new, side by side
      suspect analyze traces/ --entry 'gateway:POST /checkout' --where tenant=acme
                                 requests of one kind and one tenant alone
      suspect analyze traces/ --baseline ..+10m --regression -10m..
                                 the first minutes of the data and the last
      suspect analyze traces/ --baseline 2024-05-01T13:00Z..2024-05-01T14:00Z \
          --regression 14:05..14:20
      suspect analyze new/ --baseline-data old/ --format json -o report.json

    Bounds of windows:
    A window is START..END, with the start in it and the end not. A trace belongs to
    the window in which its root starts. Each bound is one of:

      2024-05-01T14:05:00+02:00  RFC 3339; UTC if it names no zone
      14:05, 14:05:30.250        a clock time in UTC on the day of the data
      1714572300                 epoch seconds; also ms, us and ns, by magnitude
      +10m, -30m, +1h30m         after the data's start, before the data's end
                                 (d, h, m, s, ms, us, ns)
      nothing                    the data's start or end

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
    `suspect inspect` for windows worth trying, `suspect trace` for one of the
    traces that the report names, `suspect report` for other documents of a saved
    analysis, `suspect profile` for a baseline without its spans, `suspect gate` for
    builds.
    --- stderr ---
    "#);
}
