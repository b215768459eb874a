//! `suspect report`: an analysis that was saved as JSON, shown again.

use super::output::{Format, Outputs};
use super::places::Places;
use super::{Context, Exit, OutputArgs, ReportsArgs, epilogue};
use crate::analysis::{Analysis, SCHEMA_VERSION};
use crate::error::Error;
use crate::report;
use std::io::Read;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  suspect analyze traces/ --json analysis.json             in the night
  suspect report analysis.json                             the text again
  suspect report analysis.json --html report.html --markdown postmortem.md
  suspect report analysis.json --parquet tables/           for a notebook";

/// Shows a saved analysis again, as text, page, Markdown or tables, without the spans.
///
/// Takes what `suspect analyze --json FILE` wrote and gives byte for byte what `analyze` would have given.
#[derive(Debug, clap::Args)]
#[command(after_help = epilogue(EXAMPLES))]
pub struct Args {
    /// The JSON of an analysis, or `-` for standard input
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
    let analysis = read(args)?;
    let mut outputs = Outputs::default();
    args.reports.prepare(&analysis, &mut outputs)?;
    let text = match args.output.format {
        Format::Terminal => report::analysis::text(&analysis),
        Format::Json => report::json(&analysis),
    };
    context.write_with(outputs, &text, &args.output)?;
    Ok(Exit::Complete)
}

fn read(args: &Args) -> Result<Analysis, Error> {
    let path = &args.file;
    let failed = |source| Error::Io { action: "read", path: path.clone(), source };
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin().lock().read_to_string(&mut text).map_err(failed)?;
    } else {
        text = std::fs::read_to_string(path).map_err(failed)?;
    }
    let wrong = |reason: String| Error::Format { path: path.clone(), reason };
    // The version first: what another version means by its keys is unknown.
    let version = serde_json::from_str::<serde_json::Value>(&text)
        .map_err(|error| wrong(format!("not the JSON of an analysis: {error}")))?
        .get("schema_version")
        .and_then(serde_json::Value::as_u64);
    match version {
        Some(version) if version == u64::from(SCHEMA_VERSION) => {}
        Some(version) => {
            return Err(wrong(format!(
                "it has `schema_version` {version}; this version of suspect reads {SCHEMA_VERSION}"
            )));
        }
        None => {
            return Err(wrong(
                "it has no `schema_version`; expected what `suspect analyze --json FILE` writes".to_owned(),
            ));
        }
    }
    serde_json::from_str(&text)
        .map_err(|error| wrong(format!("not the JSON of an analysis, but maybe of another command: {error}")))
}
