//! `suspect convert`: spans of any format into one canonical Parquet file.

use super::manual::{self, Manual};
use super::places::Places;
use super::{Context, Exit, InputArgs};
use crate::canonical;
use crate::error::Error;
use crate::span::AttributeSelection;
use std::path::{Path, PathBuf};

pub(super) const MANUAL: Manual = Manual {
    first: "  suspect convert traces/ -o spans.parquet",
    chapters: &[
        ("Examples", "  suspect convert 'logs/*.json.gz' more.csv -o spans.parquet --force"),
        manual::EXIT_STATUS,
        manual::ENVIRONMENT,
        ("See also", "`suspect profile` saves a baseline without its spans."),
    ],
};

/// Writes spans of any format into one Parquet file.
///
/// `suspect` and SQL engines read it fast. It has one row a span, ids and names as text, times as 64-bit nanoseconds
/// since 1970 and a column an attribute, sorted by start.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub input: InputArgs,
    /// The Parquet file to write
    #[arg(short, long, value_name = "FILE", required = true, help_heading = "Output")]
    pub output: PathBuf,
    /// Replace FILE if it exists
    #[arg(short, long, help_heading = "Output")]
    pub force: bool,
}

/// What files of other formats, and packed ones, are named.
const OTHERS: [&str; 7] = ["csv", "json", "jsonl", "ndjson", "arrow", "gz", "zst"];

/// Whether a name says that a file is what this command does not write.
fn is_other(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    OTHERS.iter().any(|other| extension.eq_ignore_ascii_case(other))
}

/// Refuses a name that says something else of the file than that it is Parquet.
fn check_name(output: &Path) -> Result<(), Error> {
    if !is_other(output) {
        return Ok(());
    }
    let mut right = output.to_owned();
    while is_other(&right) {
        right.set_extension("");
    }
    if right.extension().is_none_or(|extension| extension != "parquet") {
        right.as_mut_os_string().push(".parquet");
    }
    Err(Error::Usage {
        message: format!(
            "`--output {}` has the name of another format, and what is written is Parquet",
            output.display()
        ),
        hint: format!("give it a name such as `{}`", right.display()),
    })
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Error> {
    // Without `--force` what is there is refused, and with a better reason.
    if args.force || !args.output.exists() || args.output.as_os_str() == "-" {
        Places::default().spans(&args.input.paths).file("--output", Some(&args.output)).check()?;
    }
    check_name(&args.output)?;
    canonical::check_place(&args.output, args.force)?;
    let options = args.input.options(AttributeSelection::All);
    let (ingested, exit) = context.read_some(&args.input.paths, &options)?;
    canonical::write(&ingested.frame, &args.output, args.force)?;
    Ok(exit)
}
