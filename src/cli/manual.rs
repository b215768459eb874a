//! What help and manual pages say beside the arguments, command by command.

use super::{analyze, convert, eval, gate, generate, graph, inspect, profile, report, schema, simulate, trace};
use std::fmt::Write as _;

/// The manual of the program or of a command.
pub(super) struct Manual {
    /// The commonest invocations, which stand before the options.
    pub(super) first: &'static str,
    pub(super) chapters: &'static [Chapter],
}

/// Heading and text of what stands behind the options.
///
/// Lines that begin with two blanks are shown as they are, the others are prose; an empty line ends a paragraph. No line
/// is longer than 80 columns, which a test holds.
pub(super) type Chapter = (&'static str, &'static str);

pub(super) const EXIT_STATUS: Chapter = (
    "Exit status",
    "  0    all went well
  1    there is a result, but some file or record could not be read (see the
       warnings)
  2    no result: the arguments or the input cannot be used, or the result
       cannot be written
  130  interrupted: no output file is half-written",
);

/// Of commands that read spans and write text.
pub(super) const ENVIRONMENT: Chapter = (
    "Environment",
    "  COLUMNS    columns of text on standard output, unless --width says otherwise
  NO_COLOR   if set, no colour, unless --color says otherwise
  AWS_*, GOOGLE_*, AZURE_*
             how to reach s3://, gs:// and az:// addresses, as their own tools
             read them: AWS_PROFILE, GOOGLE_APPLICATION_CREDENTIALS,
             AZURE_STORAGE_ACCOUNT_NAME and so on",
);

/// Of commands that write text alone.
pub(super) const TERMINAL: Chapter = (
    "Environment",
    "  COLUMNS    columns of text on standard output, unless --width says otherwise
  NO_COLOR   if set, no colour, unless --color says otherwise",
);

const PROGRAM: Manual = Manual {
    first: "  suspect inspect traces/    what is there, and windows worth trying
  suspect analyze traces/    find when it began and what caused it
  suspect gate new/ --baseline-data old/    fail a build on a regression",
    chapters: &[
        (
            "Examples",
            "  suspect analyze traces/ --regression 14:05..14:20
                             explain these minutes by those before
  suspect analyze new.json --baseline-data old.json
                             compare two sets of data
  suspect analyze traces/ --html report.html
                             a page to read and to pass on
  suspect convert traces/ -o spans.parquet
                             one file, fast to read again
  suspect simulate try/ --fault slower && suspect analyze try/spans.parquet
                             try it without an incident",
        ),
        (
            "Exit status",
            "  0    all went well; of `gate`: passed
  1    there is a result, but some file or record could not be read (see the
       warnings); of `gate`: failed
  2    no result: the arguments or the input cannot be used, or the result
       cannot be written
  3    of `gate`: inconclusive
  130  interrupted: no output file is half-written",
        ),
        (
            "Environment",
            "  COLUMNS    columns of text on standard output, unless --width says otherwise
  NO_COLOR   if set, no colour, unless --color says otherwise
  AWS_*, GOOGLE_*, AZURE_*
             how to reach s3://, gs:// and az:// addresses, as their own tools
             read them: AWS_PROFILE, GOOGLE_APPLICATION_CREDENTIALS,
             AZURE_STORAGE_ACCOUNT_NAME and so on
  GITHUB_ACTIONS, GITHUB_STEP_SUMMARY
             set by GitHub: `gate` shows its verdict at the run",
        ),
        (
            "Files",
            "Spans are recognised by their content, packed with gzip or zstd or not: OTLP
JSON and protobuf, Jaeger, Zipkin, Tempo, and tables (CSV, Parquet, Arrow, JSON
rows) of ClickHouse, SigNoz, Honeycomb and others.

  ~/.aws/config, ~/.aws/credentials
             profiles for s3:// addresses
  CODEOWNERS, catalog-info.yaml, owners.toml
             who owns which service: `suspect analyze --owners FILE`
  gate.toml  what is not allowed: `suspect gate --policy FILE`",
        ),
        (
            "See also",
            "`suspect COMMAND --help` and `suspect man COMMAND` explain a command, `suspect
man --dir DIR` writes all manual pages, `suspect completions SHELL` completes
commands and options in your shell.",
        ),
    ],
};

/// The manual of a command, or of the program itself for any other name.
pub(super) fn of(command: &str) -> &'static Manual {
    match command {
        "analyze" => &analyze::MANUAL,
        "gate" => &gate::MANUAL,
        "inspect" => &inspect::MANUAL,
        "convert" => &convert::MANUAL,
        "profile" => &profile::MANUAL,
        "trace" => &trace::MANUAL,
        "graph" => &graph::MANUAL,
        "report" => &report::MANUAL,
        "eval" => &eval::MANUAL,
        "schema" => &schema::MANUAL,
        "simulate" => &simulate::MANUAL,
        "completions" => &generate::COMPLETIONS,
        "man" => &generate::MAN,
        _ => &PROGRAM,
    }
}

/// Description, commonest invocations, usage, arguments, and what stands behind them.
const TEMPLATE: &str = "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

/// The command line with its help.
pub(super) fn with_help(command: clap::Command) -> clap::Command {
    let short = format!(
        "{}\n{}\n\n`suspect COMMAND -h` lists the options of a command, `suspect COMMAND --help` explains them.",
        heading("Most often"),
        PROGRAM.first
    );
    let command = helped(command, &PROGRAM, short);
    command.mut_subcommands(|sub| {
        let name = sub.get_name().to_owned();
        let short = format!("`suspect {name} --help` explains every option, with examples and exit status.");
        helped(sub, of(&name), short)
    })
}

fn helped(command: clap::Command, manual: &Manual, short: String) -> clap::Command {
    let mut long = String::new();
    for (index, (title, text)) in manual.chapters.iter().enumerate() {
        // Writing to a `String` cannot fail.
        _ = write!(long, "{}{}\n{text}", if index == 0 { "" } else { "\n\n" }, heading(title));
    }
    command
        .help_template(TEMPLATE)
        .before_long_help(format!("{}\n{}", heading("Most often"), manual.first))
        .after_help(short)
        .after_long_help(long)
}

/// A heading in the style of the others.
fn heading(title: &str) -> String {
    let style = clap::builder::Styles::styled();
    let style = style.get_header();
    format!("{style}{title}:{style:#}")
}
