//! `suspect inspect`: what the input holds, before anything is analysed.

use super::manual::{self, Manual};
use super::places::Places;
use super::{Context, Exit, Format, InputArgs, OutputArgs, context};
use crate::error::Error;
use crate::span::AttributeSelection;
use crate::{inspect, normalize, report};

pub(super) const MANUAL: Manual = Manual {
    first: "  suspect inspect traces/
  zcat spans.json.gz | suspect inspect -",
    chapters: &[
        ("Examples", "  suspect inspect 'exports/*.json.gz' --format json -o inspection.json"),
        manual::EXIT_STATUS,
        manual::ENVIRONMENT,
        ("See also", "`suspect analyze` takes the windows; `suspect convert` makes one file of many."),
    ],
};

/// Shows what the input holds and which windows are worth trying.
///
/// Formats, services, time range, error share and data quality. Reads everything and analyses nothing. Start here, and take the windows for `suspect analyze` from its last lines.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub input: InputArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub output: OutputArgs,
}

/// Runs the command. An input without spans is shown too, and then is an error.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Error> {
    Places::default().spans(&args.input.paths).result(&args.output).check()?;
    let options = args.input.options(AttributeSelection::Keys(normalize::failure_attributes()));
    let (mut ingested, exit) = context.read(&args.input.paths, &options)?;
    normalize::mark_failures(&mut ingested.frame);
    let inspection = inspect::summarize(&ingested)?;
    let text = match args.output.format {
        Format::Terminal => report::inspect::render(&inspection, context.columns(&args.output)),
        Format::Json => report::json(&inspection),
    };
    context.write(&text, &args.output)?;
    if inspection.n_spans == 0 {
        return Err(Error::NotFound {
            message: context::no_spans(&args.input.paths).to_string(),
            hint: "the formats and problems of each file are listed above".to_owned(),
        });
    }
    Ok(exit)
}
