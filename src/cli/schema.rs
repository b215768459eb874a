//! `suspect schema`: the JSON Schema of a document.

use super::manual::{self, Manual};
use super::{Exit, context};
use crate::error::Error;
use crate::report::{self, schema::Document};

pub(super) const MANUAL: Manual = Manual {
    first: "  suspect schema > analysis.schema.json",
    chapters: &[
        ("Examples", "  suspect schema gate"),
        manual::EXIT_STATUS,
        ("See also", "`suspect analyze --json FILE` and the other commands' `--format json`."),
    ],
};

/// Prints the JSON Schema (2020-12) of a document that suspect writes.
///
/// Readers should ignore keys that they do not know: new ones may come with any version. `schema_version` rises when a key changes
/// its meaning or goes away.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The document: what `analyze`, `--explain`, `gate`, `inspect`, `trace`, `graph` or `eval` give as JSON
    #[arg(value_name = "DOCUMENT", default_value = "analysis")]
    pub(super) document: Document,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Exit, Error> {
    context::write_plain(&report::json(&args.document.schema()), None)?;
    Ok(Exit::Complete)
}
