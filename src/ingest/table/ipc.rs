//! Arrow IPC, as `Feather`, pandas, polars and `ClickHouse` write it: the file format and the stream.
//!
//! A file that has lost its footer is read as the stream that most writers put before it, so that what it still holds is
//! not lost. Batches are decoded one after the other, with only the columns that spans need.

use super::arrow;
use super::builder::Builder;
use super::ipc_check::{self, FILE_MAGIC};
use super::parquet::{each_row, settle_from};
use super::roles::{self, ColumnInfo, Mapping};
use crate::error::Error;
use crate::ingest::Options;
use crate::ingest::source::{Part, Source};
use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, Schema};
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};

/// Most bytes that writers pad the magic to.
const MAX_HEAD: usize = 128;
const EXPECTED: &str = "an Arrow IPC file or stream";

/// Reads an Arrow file or stream.
pub(super) fn read(source: &Source, options: &Options) -> Result<Vec<Part>, Error> {
    match &source.path {
        None => read_from(Cursor::new(&source.bytes), source, options),
        Some(path) => {
            let file = File::open(path).map_err(|source| Error::Io { action: "read", path: path.clone(), source })?;
            read_from(BufReader::new(file), source, options)
        }
    }
}

fn read_from(mut input: impl Read + Seek, source: &Source, options: &Options) -> Result<Vec<Part>, Error> {
    let damaged = |reason: String| super::damaged(&source.name, EXPECTED, &reason);
    let failed = |error: std::io::Error| damaged(error.to_string());
    let broken = |error: ArrowError| damaged(error.to_string());
    let mut head = Vec::new();
    input.by_ref().take(MAX_HEAD as u64).read_to_end(&mut head).map_err(failed)?;
    if head.is_empty() {
        return Err(damaged("it is empty".to_owned()));
    }
    if head.starts_with(FILE_MAGIC) && ipc_check::file(&mut input).map_err(damaged)?.is_some() {
        let schema = FileReader::try_new(&mut input, None).map_err(broken)?.schema();
        let (mapping, kept) = mapping(&schema, options, &source.name)?;
        let batches = FileReader::try_new(input, Some(kept)).map_err(broken)?;
        return read_batches(batches, mapping, false, options).map_err(broken);
    }
    // A stream, or a file that has lost its footer: its messages are still there.
    let start = stream_start(&head);
    let extent = ipc_check::stream(&mut input, start).map_err(damaged)?;
    let length = extent.end.saturating_sub(start);
    input.seek(SeekFrom::Start(start)).map_err(failed)?;
    let schema = StreamReader::try_new(input.by_ref().take(length), None).map_err(broken)?.schema();
    let (mut mapping, kept) = mapping(&schema, options, &source.name)?;
    let truncated = extent.truncated || start > 0;
    if truncated {
        mapping.notes.push(format!("the file breaks off after byte {}", extent.end));
    }
    input.seek(SeekFrom::Start(start)).map_err(failed)?;
    let batches = StreamReader::try_new(input.take(length), Some(kept)).map_err(broken)?;
    read_batches(batches, mapping, truncated, options).map_err(broken)
}

/// Where the stream begins, which in a file stands between its magic, padded with zeros, and its footer.
fn stream_start(head: &[u8]) -> u64 {
    if !head.starts_with(FILE_MAGIC) {
        return 0;
    }
    let padded = head.chunks(8).skip(1).take_while(|word| word.iter().all(|&byte| byte == 0)).count();
    8 * (1 + padded as u64)
}

/// The mapping of the columns kept, and their indices in the file.
fn mapping(schema: &Schema, options: &Options, path: &str) -> Result<(Mapping, Vec<usize>), Error> {
    let columns: Vec<ColumnInfo> = schema
        .fields()
        .iter()
        .map(|field| ColumnInfo { name: field.name().clone(), unit: arrow::unit_of(field.data_type()) })
        .collect();
    let mut mapping = roles::find(&columns, options, path)?;
    let kept = mapping.columns();
    mapping.project(&kept);
    for field in kept.iter().map(|&column| schema.field(column)) {
        if !arrow::readable(field.data_type()) {
            mapping.notes.push(format!("column `{}` of type {} is not read", field.name(), field.data_type()));
        }
    }
    Ok((mapping, kept))
}

fn read_batches(
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    mut mapping: Mapping,
    truncated: bool,
    options: &Options,
) -> Result<Vec<Part>, ArrowError> {
    let mut batches = batches.peekable();
    // The first batch with rows speaks for the units of all.
    while batches.next_if(|batch| matches!(batch, Ok(batch) if batch.num_rows() == 0)).is_some() {}
    if let Some(Ok(first)) = batches.peek() {
        settle_from(&mut mapping, first);
    }
    let mut builder = Builder::new(&mapping, options);
    let mut row_number = 0;
    for batch in batches {
        each_row(&batch?, &mut row_number, |place, cells, row| {
            builder.push(place, |column| cells[column].cell(row));
        });
    }
    if truncated {
        builder.truncated();
    }
    let built = vec![builder.finish()];
    Ok(super::finish("Arrow IPC", &mapping, built))
}
