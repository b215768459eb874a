//! Parquet tables: only the columns that spans need are decoded, row groups in parallel, a few thousand rows at a time.
//!
//! The `parquet` crate reads them rather than polars: it streams a row group page by page, so that memory does not
//! grow with the row groups of the writer, and it answers a damaged file with an error, where polars 0.55 panics on
//! another thread or aborts the process.

use super::arrow::{self, Cells};
use super::builder::{self, Builder};
use super::dialect::Field;
use super::input::Input;
use super::roles::{self, ColumnInfo, Mapping};
use super::rows::Built;
use super::{settle, tempo};
use crate::diagnostics::Place;
use crate::error::Error;
use crate::ingest::{
    Options,
    source::{Part, Source},
};
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use ::parquet::errors::ParquetError;
use arrow_array::RecordBatch;
use rayon::prelude::*;

/// Rows decoded at a time: enough to spread the cost of a call, few enough to stay in the cache.
const BATCH_ROWS: usize = 8192;

/// Reads a Parquet table or Tempo block; a part a row group.
pub(super) fn read(source: &Source, options: &Options) -> Result<Vec<Part>, Error> {
    let damaged = |error: &ParquetError| super::damaged(source, "a Parquet file", &error.to_string());
    let input = Input::new(source);
    let metadata =
        ArrowReaderMetadata::load(&input.open()?, ArrowReaderOptions::new()).map_err(|error| damaged(&error))?;
    if tempo::recognise(metadata.schema()) {
        return tempo::read(source, options, &input, &metadata);
    }
    let schema = metadata.schema();
    let columns: Vec<ColumnInfo> = schema
        .fields()
        .iter()
        .map(|field| ColumnInfo { name: field.name().clone(), unit: arrow::unit_of(field.data_type()) })
        .collect();
    let mut mapping = roles::find(&columns, options, &source.name)?;
    let kept = mapping.columns();
    mapping.project(&kept);
    for &column in &kept {
        let field = schema.field(column);
        if !arrow::readable(field.data_type()) {
            mapping.notes.push(format!("column `{}` of type {} is not read", field.name(), field.data_type()));
        }
    }
    let mask = ProjectionMask::roots(metadata.parquet_schema(), kept.iter().copied());
    let reader = |group: usize, rows: usize| -> Result<ParquetRecordBatchReader, Error> {
        ParquetRecordBatchReaderBuilder::new_with_metadata(input.open()?, metadata.clone())
            .with_row_groups(vec![group])
            .with_projection(mask.clone())
            .with_batch_size(rows)
            .build()
            .map_err(|error| damaged(&error))
    };
    let broken = |error: arrow_schema::ArrowError| super::damaged(source, "a Parquet file", &error.to_string());

    let groups = metadata.metadata().row_groups();
    // The first group with rows speaks for the units of all.
    if let Some(group) = groups.iter().position(|group| group.num_rows() > 0)
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
        for batch in reader(group, BATCH_ROWS)? {
            each_row(&batch.map_err(broken)?, &mut row_number, |place, cells, row| {
                builder.push(place, |column| cells[column].cell(row));
            });
        }
        Ok(())
    };
    let built: Vec<Built> = if builder::divisible(&mapping) {
        let build = |group| {
            let mut builder = Builder::new(&mapping, options);
            fill(&mut builder, group).map(|()| builder.finish())
        };
        (0..groups.len()).into_par_iter().map(build).collect::<Result<_, _>>()?
    } else {
        let mut builder = Builder::new(&mapping, options);
        (0..groups.len()).try_for_each(|group| fill(&mut builder, group))?;
        vec![builder.finish()]
    };
    Ok(super::finish("Parquet", &mapping, built))
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
    let ids = [Field::TraceId, Field::SpanId].into_iter().filter_map(|field| mapping.role(field));
    if ids.into_iter().any(|role| batch.column(role.column).data_type().is_integer()) {
        mapping.notes.push("ids are integers here; they are shown in hexadecimal".to_owned());
    }
}
