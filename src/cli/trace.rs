//! `suspect trace`: one trace as a tree, and where its time went.

use super::manual::{self, Manual};
use super::places::Places;
use super::{Context, Exit, Format, InputArgs, OutputArgs};
use crate::error::Error;
use crate::report::text::counted;
use crate::span::AttributeSelection;
use crate::{normalize, report, trace};

pub(super) const MANUAL: Manual = Manual {
    first: "  suspect trace 4bf92f3577b34da6a3ce929d0e0e4736 traces/",
    chapters: &[
        ("Examples", "  suspect trace 4bf92f3577b34da6a3ce929d0e0e4736 traces/ --format json"),
        manual::EXIT_STATUS,
        manual::ENVIRONMENT,
        ("See also", "`suspect analyze` names traces that show what it found."),
    ],
};

/// Shows one trace as a tree on a time scale, and where its time went.
///
/// Each instant of a request belongs to one span, so the spans' own times sum to the request's duration. Shorten a
/// span that has time of its own, and the request ends sooner.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The trace's id, in any case, with or without leading zeros
    #[arg(value_name = "TRACE_ID")]
    pub trace_id: String,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub input: InputArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub output: OutputArgs,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Error> {
    Places::default().spans(&args.input.paths).result(&args.output).check()?;
    let options = args.input.options(AttributeSelection::Keys(normalize::required_attributes()));
    let (mut ingested, exit) = context.read_some(&args.input.paths, &options)?;
    let (forest, _) = normalize::forest(&mut ingested.frame);
    let traces = &ingested.frame.traces;
    let wanted = traces.find(&args.trace_id);
    let Some(trace) = forest.trace.iter().position(|&trace| Some(trace) == wanted) else {
        let first = forest.trace.first().map_or_else(String::new, |&trace| traces.text(trace));
        return Err(Error::NotFound {
            message: format!("there is no trace `{}` in the input", args.trace_id),
            hint: format!("the input holds {}; the first is `{first}`", counted(forest.n_traces() as u64, "trace")),
        });
    };
    let document = trace::document(&ingested.frame, &forest, trace);
    let text = match args.output.format {
        Format::Terminal => report::trace::render(&document, context.columns(&args.output)),
        Format::Json => report::json(&document),
    };
    context.write(&text, &args.output)?;
    Ok(exit)
}
