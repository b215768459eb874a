//! `suspect trace`: one trace as a waterfall with its critical path.

use super::{Context, Exit, InputArgs, OutputArgs, epilogue};
use crate::error::Error;
use crate::span::AttributeSelection;

const EXAMPLES: &str = "\
Examples:
  suspect trace 4bf92f3577b34da6a3ce929d0e0e4736 traces/
  suspect trace 4bf92f3577b34da6a3ce929d0e0e4736 traces/ --format json";

/// Shows one trace as a waterfall with its critical path.
///
/// The critical path is what made the trace take as long as it did: shorten a span on it, and the trace ends sooner.
#[derive(Debug, clap::Args)]
#[command(after_help = epilogue(EXAMPLES))]
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
    let options = args.input.options(AttributeSelection::All);
    let (ingested, _exit) = context.read_some(&args.input.paths, &options)?;
    let Some(_trace) = ingested.frame.traces.find(&args.trace_id) else {
        return Err(Error::NotFound {
            message: format!("there is no trace `{}` in the input", args.trace_id),
            hint: format!("the first of its traces is `{}`", ingested.frame.traces.text(0)),
        });
    };
    Err(Error::Usage {
        message: "`suspect trace` is not yet wired".to_owned(),
        hint: "use `suspect inspect`".to_owned(),
    })
}
