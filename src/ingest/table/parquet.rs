//! Parquet tables: only the columns that spans need are decoded, row groups in parallel, a few thousand rows at a time; of canonical files
//! only the row groups that hold something of the windows asked for.
//!
//! The `parquet` crate reads them rather than polars: it streams a row group page by page, so that memory does not
//! grow with the row groups of the writer, and it answers a damaged file with an error, where polars 0.55 panics on
//! another thread or aborts the process.

use super::arrow::{self, Cells};
use super::builder::{self, Builder};
use super::columnar::Memos;
use super::dialect;
use super::input::Input;
use super::pruned::Pruned;
use super::roles::{self, ColumnInfo, Mapping};
use super::rows::Built;
use super::{settle, tempo};
use crate::diagnostics::Place;
use crate::error::Error;
use crate::ingest::{
    Kept, Options,
    source::{Part, Source},
};
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use ::parquet::basic::Encoding;
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use ::parquet::file::statistics::Statistics;
use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Fields, Schema};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Rows decoded at a time: enough to spread the cost of a call, few enough to stay in the cache.
const BATCH_ROWS: usize = 8192;

/// Reads a Parquet table or Tempo block; a part a row group.
pub(super) fn read(source: &Source, options: &Options, kept: Kept) -> Result<Vec<Part>, Error> {
    let damaged = |error: &ParquetError| super::damaged(&source.name, "a Parquet file", &error.to_string());
    let input = Input::new(source);
    let metadata =
        ArrowReaderMetadata::load(&input.open()?, ArrowReaderOptions::new()).map_err(|error| damaged(&error))?;
    if tempo::recognise(metadata.schema()) {
        source.need(std::iter::once(0..u64::MAX))?;
        return tempo::read(source, options, &input, &metadata, kept);
    }
    let schema = metadata.schema();
    let columns: Vec<ColumnInfo> = schema
        .fields()
        .iter()
        .map(|field| ColumnInfo { name: field.name().clone(), unit: arrow::unit_of(field.data_type()) })
        .collect();
    let mut mapping = roles::find(&columns, options, &source.name)?;
    let columns = mapping.columns();
    mapping.project(&columns);
    for &column in &columns {
        let field = schema.field(column);
        if !arrow::readable(field.data_type()) {
            mapping.notes.push(format!("column `{}` of type {} is not read", field.name(), field.data_type()));
        }
    }
    let mask = ProjectionMask::roots(metadata.parquet_schema(), columns.iter().copied());
    let is_canonical = mapping.canonical();
    let reader = |group: usize, rows: usize| -> Result<ParquetRecordBatchReader, Error> {
        source.need(chunks(metadata.metadata().row_group(group), &mask))?;
        let metadata = if is_canonical { with_dictionaries(&metadata, group) } else { metadata.clone() };
        ParquetRecordBatchReaderBuilder::new_with_metadata(input.open()?, metadata)
            .with_row_groups(vec![group])
            .with_projection(mask.clone())
            .with_batch_size(rows)
            .build()
            .map_err(|error| damaged(&error))
    };
    let broken = |error: arrow_schema::ArrowError| super::damaged(&source.name, "a Parquet file", &error.to_string());

    let groups = metadata.metadata().row_groups();
    let pruned = Pruned::of(metadata.metadata(), is_canonical, kept);
    // The first group with rows speaks for the units of all.
    if let Some(group) = pruned.groups.iter().copied().find(|&group| groups[group].num_rows() > 0)
        && let Some(batch) = reader(group, settle::SAMPLE_ROWS)?.next()
    {
        settle_from(&mut mapping, &batch.map_err(broken)?);
    }
    let mut first_row = 0_u64;
    let starts: Vec<u64> = groups
        .iter()
        .map(|group| {
            let start = first_row;
            first_row += u64::try_from(group.num_rows()).unwrap_or(0);
            start
        })
        .collect();
    let fill = |builder: &mut Builder<'_>, group: usize| -> Result<(), Error> {
        let mut row_number = starts[group];
        let mut memos = Memos::default();
        for batch in reader(group, BATCH_ROWS)? {
            let batch = batch.map_err(broken)?;
            if builder.push_batch(&batch, &mut memos) {
                row_number += batch.num_rows() as u64;
                continue;
            }
            each_row(&batch, &mut row_number, |place, cells, row| {
                builder.push(place, |column| cells[column].cell(row));
            });
        }
        Ok(())
    };
    let built: Vec<Built> = if builder::divisible(&mapping) {
        let build = |group| -> Result<Built, Error> {
            let mut builder = Builder::new(&mapping, options);
            fill(&mut builder, group)?;
            let mut built = builder.finish();
            kept.offer(group, &mut built.batch);
            Ok(built)
        };
        pruned.groups.par_iter().copied().map(build).collect::<Result<_, _>>()?
    } else {
        let mut builder = Builder::new(&mapping, options);
        pruned.groups.iter().try_for_each(|&group| fill(&mut builder, group))?;
        vec![builder.finish()]
    };
    let mut parts = super::finish("Parquet", &mapping, built);
    if let Some((_, report)) = parts.first_mut() {
        pruned.count(report);
    }
    Ok(parts)
}

/// Where the columns of a row group lie in the file.
fn chunks<'a>(group: &'a RowGroupMetaData, mask: &'a ProjectionMask) -> impl Iterator<Item = Range<u64>> + 'a {
    let wanted = group.columns().iter().enumerate().filter(|&(leaf, _)| mask.leaf_included(leaf));
    wanted.map(|(_, chunk)| {
        let (start, n_bytes) = chunk.byte_range();
        start..start.saturating_add(n_bytes)
    })
}

/// Metadata by which the texts of a row group come as keys of their dictionaries, where all of a column is written so.
fn with_dictionaries(metadata: &ArrowReaderMetadata, group: usize) -> ArrowReaderMetadata {
    let chunks = metadata.metadata().row_group(group).columns();
    let descriptor = metadata.parquet_schema();
    let is_text =
        |field: &Field| matches!(field.data_type(), DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
    // Rows without a text have no key, and a batch of nothing else costs its reader more than texts would.
    let is_dense = |chunk: &ColumnChunkMetaData| {
        let n_null = chunk.statistics().and_then(Statistics::null_count_opt).unwrap_or(0);
        n_null.saturating_mul(2) <= u64::try_from(chunk.num_values()).unwrap_or(0)
    };
    let is_coded = |root: usize| {
        let mut own = chunks.iter().enumerate().filter(|&(leaf, _)| descriptor.get_column_root_idx(leaf) == root);
        own.all(|(_, chunk)| {
            chunk.dictionary_page_offset().is_some()
                && is_dense(chunk)
                && chunk.page_encoding_stats_mask().is_some_and(|mask| {
                    mask.is_only(Encoding::RLE_DICTIONARY) || mask.is_only(Encoding::PLAIN_DICTIONARY)
                })
        })
    };
    let fields = metadata.schema().fields().iter().enumerate().map(|(root, field)| {
        if !is_text(field) {
            return Arc::clone(field);
        }
        let texts = if is_coded(root) {
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
        } else if *field.data_type() == DataType::Utf8View {
            DataType::Utf8
        } else {
            return Arc::clone(field);
        };
        Arc::new(field.as_ref().clone().with_data_type(texts))
    });
    let schema = Schema::new_with_metadata(fields.collect::<Fields>(), metadata.schema().metadata().clone());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options).unwrap_or_else(|_| metadata.clone())
}

/// Calls `visit` with the place, the columns and the index of each row of a batch whose first is `row_number`.
pub(super) fn each_row(batch: &RecordBatch, row_number: &mut u64, mut visit: impl FnMut(Place, &[Cells<'_>], usize)) {
    let cells: Vec<Cells<'_>> = batch.columns().iter().map(Cells::new).collect();
    for row in 0..batch.num_rows() {
        *row_number += 1;
        visit(Place::Row(*row_number), &cells, row);
    }
}

/// Settles open units by the rows of a batch that holds the mapping's columns.
pub(super) fn settle_from(mapping: &mut Mapping, batch: &RecordBatch) {
    let cells: Vec<Cells<'_>> = batch.columns().iter().map(Cells::new).collect();
    settle::settle(mapping, batch.num_rows(), |row, column| cells[column].cell(row));
    let ids = [dialect::Field::TraceId, dialect::Field::SpanId].into_iter().filter_map(|field| mapping.role(field));
    if ids.into_iter().any(|role| batch.column(role.column).data_type().is_integer()) {
        mapping.notes.push("ids are integers here; they are shown in hexadecimal".to_owned());
    }
}
