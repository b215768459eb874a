//! Writes spans as the canonical Parquet file that [`schema`] documents; `ingest` reads it back exactly.
//!
//! Spans are sorted by start, so that a reader of a time window skips all other row groups by their statistics, or by the [`TimeIndex`] if
//! traces must stay whole. A row
//! group is built a column at a time, columns in parallel, from a permutation of the rows: scratch memory is a few
//! columns of one row group, whatever the number of spans.
//!
//! The file appears under its name whole or not at all: it is written beside it, synced, and renamed.

mod arrays;
mod overflow;
mod plan;

use crate::error::Error;
use crate::scratch::{self, ScratchFile};
use crate::span::{SpanFrame, SpanId, TimeIndex, schema};
use arrays::Group;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use plan::Plan;
use rayon::prelude::*;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

/// Spans a row group: readers prune by time and share out work in these, and the writer holds one of them encoded.
///
/// Some 6 MB of a ten-column file: large enough that dictionaries and zstd work, small enough that ten minutes of an
/// hour's file are ten minutes of reading. `DuckDB` chose 122,880 for the same reasons.
const GROUP_SPANS: usize = 1 << 17;

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Spans.
    pub n_spans: u64,
    /// Bytes on disk.
    pub n_bytes: u64,
    /// Attributes with a column of their own.
    pub n_attribute_columns: usize,
    /// Attributes of which some or all values are in the two JSON columns.
    pub n_overflow_attributes: usize,
}

/// Writes all spans and attributes of `frame` to `path`, sorted by start, trace id and span id.
///
/// # Errors
/// As [`check_place`]; [`Error::Io`] and [`Error::Parquet`] if it cannot be
/// written, in which case nothing is left behind and an older file is untouched.
pub fn write(frame: &SpanFrame, path: &Path, force: bool) -> Result<Written, Error> {
    write_in_groups(frame, path, force, GROUP_SPANS)
}

/// Refuses a place that [`write()`] would refuse, before the spans are read.
///
/// # Errors
/// [`Error::Usage`] if `path` is a folder, device, pipe or socket, or a file that may not be replaced.
pub fn check_place(path: &Path, force: bool) -> Result<(), Error> {
    if path.is_dir() {
        return Err(Error::Usage {
            message: format!("`{}` is a folder", path.display()),
            hint: "name a file, such as `spans.parquet`".to_owned(),
        });
    }
    if let Some(what) = scratch::special(path) {
        return Err(Error::of_special(path, what));
    }
    if !force && path.exists() { Err(exists(path)) } else { Ok(()) }
}

/// [`write()`] with so many spans a row group.
///
/// # Errors
/// As [`write()`].
pub fn write_in_groups(frame: &SpanFrame, path: &Path, force: bool, group_spans: usize) -> Result<Written, Error> {
    check_place(path, force)?;
    let io = |source| Error::Io { action: "write", path: path.to_path_buf(), source };
    let mut scratch = ScratchFile::new(path).map_err(io)?;
    let file = scratch.as_file_mut();
    let plan = Plan::new(frame);
    write_table(frame, &plan, group_spans.max(1), BufWriter::new(&mut *file))
        .map_err(|error| Error::of_writing(path, error))?;
    file.sync_all().map_err(io)?;
    let n_bytes = file.metadata().map_err(io)?.len();
    scratch.place(force).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(path),
        _ => io(error),
    })?;
    // The rename itself outlives a power cut only once the folder is synced, where a folder can be.
    #[cfg(unix)]
    if let Some(Ok(folder)) = scratch::real_path(path).parent().map(std::fs::File::open) {
        _ = folder.sync_all();
    }
    Ok(Written {
        n_spans: frame.spans.len() as u64,
        n_bytes,
        n_attribute_columns: plan.n_attribute_columns(),
        n_overflow_attributes: plan.overflow.len(),
    })
}

fn exists(path: &Path) -> Error {
    Error::Usage { message: format!("`{}` exists", path.display()), hint: "`--force` overwrites it".to_owned() }
}

fn write_table(
    frame: &SpanFrame,
    plan: &Plan<'_>,
    group_spans: usize,
    file: impl Write + Send,
) -> Result<(), ParquetError> {
    let arrow_schema = Arc::new(plan.arrow_schema());
    let descriptor = ArrowSchemaConverter::new().convert(&arrow_schema)?;
    let mut writer = SerializedFileWriter::new(file, descriptor.root_schema_ptr(), Arc::new(properties(plan)?))?;
    let factory = ArrowRowGroupWriterFactory::new(&writer, Arc::clone(&arrow_schema));
    let order = order(frame);
    if let Some(index) = TimeIndex::new(frame, order.chunks(group_spans)) {
        let text = serde_json::to_string(&index).map_err(|error| ParquetError::External(Box::new(error)))?;
        writer.append_key_value_metadata(KeyValue::new(schema::TIME_INDEX_KEY.to_owned(), text));
    }
    for (index, rows) in order.chunks(group_spans).enumerate() {
        let group = Group::new(frame, plan, rows);
        let chunks: Vec<ArrowColumnChunk> = factory
            .create_column_writers(index)?
            .into_par_iter()
            .zip(arrow_schema.fields().par_iter())
            .zip(plan.columns.par_iter())
            .map(|((mut column, field), planned)| {
                for leaf in compute_leaves(field, &group.array(&planned.source))? {
                    column.write(&leaf)?;
                }
                column.close()
            })
            .collect::<Result<_, ParquetError>>()?;
        let mut row_group = writer.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut row_group)?;
        }
        row_group.close()?;
    }
    writer.finish()?;
    writer.inner_mut().flush()?;
    Ok(())
}

fn properties(plan: &Plan<'_>) -> Result<WriterProperties, ParquetError> {
    let position = |name: &str| {
        let column = plan.columns.iter().position(|column| column.name == name).unwrap_or(0);
        SortingColumn { column_idx: i32::try_from(column).unwrap_or(0), descending: false, nulls_first: false }
    };
    let path = |name: &str| ColumnPath::new(vec![name.to_owned()]);
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        // Pages of the column that windows select by can be skipped as well.
        .set_column_statistics_enabled(path(schema::START_TIME_UNIX_NANO), EnabledStatistics::Page)
        .set_max_row_group_row_count(None)
        .set_sorting_columns(Some(
            [schema::START_TIME_UNIX_NANO, schema::TRACE_ID, schema::SPAN_ID].map(position).to_vec(),
        ))
        .set_key_value_metadata(Some(vec![
            KeyValue::new(schema::VERSION_KEY.to_owned(), schema::VERSION.to_owned()),
            KeyValue::new("suspect.producer".to_owned(), concat!("suspect ", env!("CARGO_PKG_VERSION")).to_owned()),
        ]))
        .set_created_by(format!("{} {}", schema::CREATED_BY, env!("CARGO_PKG_VERSION")));
    // Columns that hardly repeat a value would only fill a dictionary to abandon it.
    for column in &plan.columns {
        if !column.repeats() {
            properties = properties.set_column_dictionary_enabled(path(&column.name), false);
        }
    }
    Ok(properties.build())
}

/// Rows by start, then by the texts of trace id and span id.
fn order(frame: &SpanFrame) -> Vec<u32> {
    let spans = &frame.spans;
    let start = |row: u32| spans.start_unix_ns[row as usize];
    let mut order: Vec<u32> = (0..u32::try_from(spans.len()).unwrap_or(u32::MAX)).collect();
    order.par_sort_by_key(|&row| start(row));
    for ties in order.chunk_by_mut(|&left, &right| start(left) == start(right)) {
        if ties.len() > 1 {
            ties.sort_by_cached_key(|&row| {
                let id = SpanId::new(spans.span_id[row as usize]).map(|id| frame.span_ids.text(id));
                (frame.traces.text(spans.trace[row as usize]), id)
            });
        }
    }
    order
}
