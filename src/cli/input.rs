use crate::ingest::{ColumnChoice, Options};
use crate::span::AttributeSelection;
use std::path::PathBuf;

/// Where spans come from.
#[derive(Debug, clap::Args)]
pub struct InputArgs {
    /// Files, folders (read to the bottom), quoted globs, or `-` for standard input
    ///
    /// The format of each file is recognised by its content, gzip and zstd are seen through. Addresses `s3://`, `gs://`,
    /// `az://` and `http(s)://` work like paths. Use `--` before a path that begins with a dash.
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would become the help text")]
    pub columns: ColumnArgs,
}

/// How to read tables of unknown shape.
#[derive(Debug, clap::Args)]
pub struct ColumnArgs {
    /// Columns of a table (CSV, Parquet, Arrow) that hold span fields, if they are not recognised
    ///
    /// Such as `trace_id=tid,start=ts:ms,duration=took:us`. Times and durations take a unit: s, ms, us or ns.
    #[arg(long, value_name = "FIELD=COLUMN[:UNIT],...", value_delimiter = ',', value_parser = parse_column, help_heading = "Input", hide_short_help = true)]
    pub columns: Vec<ColumnChoice>,
}

impl InputArgs {
    /// Options for `ingest` that keep these attributes.
    #[must_use]
    pub fn options(&self, attributes: AttributeSelection) -> Options {
        Options { attributes, columns: self.columns.columns.clone() }
    }
}

const UNITS: [&str; 4] = ["s", "ms", "us", "ns"];

fn parse_column(text: &str) -> Result<ColumnChoice, String> {
    let (field, column) = text.split_once('=').ok_or("expected `FIELD=COLUMN` or `FIELD=COLUMN:UNIT`")?;
    let (column, unit) = match column.rsplit_once(':') {
        Some((column, unit)) if UNITS.contains(&unit) => (column, Some(unit.to_owned())),
        // A colon may be part of a column's name.
        _ => (column, None),
    };
    if field.is_empty() || column.is_empty() {
        return Err("expected a field before and a column after the `=`".to_owned());
    }
    Ok(ColumnChoice { field: field.to_owned(), column: column.to_owned(), unit })
}
