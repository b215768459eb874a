//! `suspect report`: an analysis that was saved as JSON, shown again.

use super::manual::{self, Manual};
use super::output::{Format, Outputs};
use super::places::Places;
use super::{Context, Exit, OutputArgs, ReportsArgs, saved};
use crate::error::Error;
use crate::report;
use std::path::PathBuf;

pub(super) const MANUAL: Manual = Manual {
    first: "  suspect analyze traces/ --json analysis.json    in the night
  suspect report analysis.json    the text again",
    chapters: &[
        (
            "Examples",
            "  suspect report analysis.json --html report.html --markdown postmortem.md
  suspect report analysis.json --parquet tables/
                             for a notebook",
        ),
        manual::EXIT_STATUS,
        manual::TERMINAL,
        ("See also", "`suspect analyze` makes the analysis, `suspect schema` tells what is in it."),
    ],
};

/// Shows a saved analysis again, as text, page, Markdown or tables, without the spans.
///
/// Takes what `suspect analyze --json FILE` wrote and gives byte for byte what `analyze` would have given.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The JSON of an analysis, its address in object storage, or `-` for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub reports: ReportsArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub output: OutputArgs,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Error> {
    args.reports.check()?;
    args.reports.places(Places::default().inputs([&args.file]).result(&args.output)).check()?;
    let analysis = saved::read(&args.file)?;
    let mut outputs = Outputs::default();
    args.reports.prepare(&analysis, &mut outputs)?;
    let text = match args.output.format {
        Format::Terminal => report::analysis::text(&analysis, context.columns(&args.output)),
        Format::Json => report::json(&analysis),
    };
    context.write_with(outputs, &text, &args.output)?;
    Ok(Exit::Complete)
}
