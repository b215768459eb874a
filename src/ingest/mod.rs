//! Exports in, [`SpanFrame`] out: finds the files, sees through compression, recognises each format by its content
//! and reads it, in parallel, into [`SpanBatch`]es.
//!
//! A parser turns bytes into spans through a [`Sink`], which checks ids and times and counts what it sets aside. It
//! never fails on a record: it skips it and says where. Only a file that cannot be read at all is an error, and it
//! ends that file, not the run.

mod sink;
mod source;
mod table;

pub use sink::{RawSpan, Sink};

use crate::diagnostics::SourceReport;
use crate::span::{AttributeSelection, SpanFrame};
use std::path::PathBuf;

/// What to read and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Attributes to keep.
    pub attributes: AttributeSelection,
    /// The user's `--columns`, `field=COLUMN[:unit]` each; applies to tables of unknown shape.
    pub columns: Vec<ColumnChoice>,
}

/// One `--columns` item: which column of a table holds a span field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnChoice {
    /// Span field, such as `trace_id` or `duration`.
    pub field: String,
    /// Column of the table.
    pub column: String,
    /// Unit of a time or duration: `s`, `ms`, `us` or `ns`.
    pub unit: Option<String>,
}

/// Spans read and how the reading went.
#[derive(Debug)]
pub struct Ingested {
    /// All spans, in the order of paths and of records in them.
    pub frame: SpanFrame,
    /// A report a file, in the same order.
    pub sources: Vec<SourceReport>,
}

/// Paths as the user gives them: files, folders, globs, `-`.
pub type PathArgument = PathBuf;

/// STAND-IN for the driver, for tests of the table readers alone: dispatches on the extension.
pub fn read(
    paths: &[PathBuf],
    options: &Options,
    _progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Ingested, crate::error::Error> {
    use crate::error::Error;
    let mut batches = Vec::new();
    let mut sources = Vec::new();
    for path in paths {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let columnar = matches!(extension, "parquet" | "arrow");
        let io = |source| Error::Io { action: "read", path: path.clone(), source };
        let source = source::Source {
            name: path.display().to_string(),
            path: columnar.then(|| path.clone()),
            bytes: if columnar { Vec::new() } else { std::fs::read(path).map_err(io)? },
        };
        let parts = match extension {
            "csv" | "tsv" => table::read_csv(&source, options),
            "json" | "jsonl" => table::read_json_rows(&source, options),
            "arrow" | "arrows" => table::read_arrow_ipc(&source, options),
            _ => table::read_parquet(&source, options),
        };
        let mut report = SourceReport { path: source.name.clone(), ..SourceReport::default() };
        match parts {
            Ok(parts) => {
                for (batch, part) in parts {
                    report.format.clone_from(&part.format);
                    report.absorb(part);
                    batches.push(batch);
                }
            }
            Err(error) => report.error = Some(error.to_string()),
        }
        sources.push(report);
    }
    Ok(Ingested { frame: SpanFrame::from_batches(batches), sources })
}
