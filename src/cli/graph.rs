//! `suspect graph`: which service calls which.

use super::{Context, Exit, InputArgs, OutputArgs, epilogue};
use crate::error::Error;
use crate::span::AttributeSelection;

const EXAMPLES: &str = "\
Examples:
  suspect graph traces/
  suspect graph traces/ --format json | jq '.edges[]'";

/// Shows which service calls which, how often, how fast and with how many failures.
#[derive(Debug, clap::Args)]
#[command(after_help = epilogue(EXAMPLES))]
pub struct Args {
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub input: InputArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub output: OutputArgs,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Error> {
    let options = args.input.options(AttributeSelection::Keys(Vec::new()));
    let (_ingested, _exit) = context.read_some(&args.input.paths, &options)?;
    Err(Error::Usage {
        message: "`suspect graph` is not yet wired".to_owned(),
        hint: "use `suspect inspect`".to_owned(),
    })
}
