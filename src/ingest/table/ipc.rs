//! Arrow IPC, as `Feather`, pandas, polars and `ClickHouse` write it: the file format and the stream.
//!
//! Batches are decoded one after the other, with only the columns that spans need.

use super::arrow;
use super::builder::Builder;
use super::parquet::{each_row, settle_from};
use super::roles::{self, ColumnInfo, Mapping};
use crate::error::Error;
use crate::ingest::Options;
use crate::ingest::source::{Part, Source};
use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, Schema};
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};

/// The first bytes of the file format; a stream begins with a message.
const FILE_MAGIC: &[u8] = b"ARROW1";

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
    let damaged = |error: ArrowError| super::damaged(source, "an Arrow IPC file or stream", &error.to_string());
    let failed = |error: std::io::Error| super::damaged(source, "an Arrow IPC file or stream", &error.to_string());
    let mut magic = Vec::new();
    input.by_ref().take(FILE_MAGIC.len() as u64).read_to_end(&mut magic).map_err(failed)?;
    input.rewind().map_err(failed)?;
    if magic == FILE_MAGIC {
        let reader = FileReader::try_new(&mut input, None).map_err(damaged)?;
        let (mapping, kept) = mapping(&reader.schema(), options, &source.name)?;
        drop(reader);
        let reader = FileReader::try_new(input, Some(kept)).map_err(damaged)?;
        read_batches(reader, mapping, source, options)
    } else {
        let reader = StreamReader::try_new(&mut input, None).map_err(damaged)?;
        let (mapping, kept) = mapping(&reader.schema(), options, &source.name)?;
        drop(reader);
        input.rewind().map_err(failed)?;
        let reader = StreamReader::try_new(input, Some(kept)).map_err(damaged)?;
        read_batches(reader, mapping, source, options)
    }
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
    source: &Source,
    options: &Options,
) -> Result<Vec<Part>, Error> {
    let mut batches = batches.peekable();
    // The first batch with rows speaks for the units of all.
    while batches.next_if(|batch| matches!(batch, Ok(batch) if batch.num_rows() == 0)).is_some() {}
    if let Some(Ok(first)) = batches.peek() {
        settle_from(&mut mapping, first);
    }
    let mut builder = Builder::new(&mapping, options);
    let mut row_number = 0;
    for batch in batches {
        match batch {
            Ok(batch) => each_row(&batch, &mut row_number, |place, cells, row| {
                builder.push(place, |column| cells[column].cell(row));
            }),
            // A stream that is still being written ends anywhere; what came before is whole.
            Err(ArrowError::IoError(_, error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                builder.truncated();
                break;
            }
            Err(error) => return Err(super::damaged(source, "an Arrow IPC file or stream", &error.to_string())),
        }
    }
    let built = vec![builder.finish()];
    Ok(super::finish("Arrow IPC", &mapping, built))
}
