//! Tables of spans: Parquet, Arrow IPC, CSV and rows of JSON, whatever their columns are called.
//!
//! Each reader opens its file, lists the columns and asks [`roles::find`] which of them hold span fields; then only
//! those columns, and the attributes asked for, are decoded. Rows become spans in [`rows`] through borrowed
//! [`cell::Cell`]s, so that ids, times, kinds and statuses are understood alike in every format. Grafana Tempo's
//! blocks, which nest spans in traces, have a reader of their own in [`tempo`].
//!
//! A row that cannot be read is skipped and counted; a file that cannot is an error naming it.

mod arrow;
mod attribute_text;
mod builder;
mod call_graph;
mod cell;
mod columnar;
mod csv;
mod dialect;
mod ids;
mod input;
mod ipc;
mod ipc_check;
mod json_rows;
mod json_value;
mod overflow;
mod parquet;
mod pruned;
mod roles;
mod rows;
mod settle;
mod tempo;
mod tempo_attributes;
mod unit;

use super::source::{Part, Source};
use super::{Kept, Options};
use crate::error::Error;
use roles::Mapping;
use rows::Built;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Reads a Parquet table of spans, canonical or of any known or named columns, or a Tempo block; a part a row group.
pub(super) fn read_parquet(source: &mut Source, options: &Options, kept: Kept) -> Result<Vec<Part>, Error> {
    source.read_all();
    guarded(source, "a Parquet file", || parquet::read(source, options, kept))
}

/// Reads Arrow IPC, the file format (`ARROW1`) or the stream.
pub(super) fn read_arrow_ipc(source: &mut Source, options: &Options) -> Result<Vec<Part>, Error> {
    source.read_all();
    guarded(source, "an Arrow IPC file or stream", || ipc::read(source, options))
}

/// Reads CSV with a header line, of any of the delimiters `,`, `;`, `|` and tab.
pub(super) fn read_csv(
    source: &mut Source,
    options: &Options,
    done: &(dyn Fn(usize) + Sync),
    kept: Kept,
) -> Result<Vec<Part>, Error> {
    csv::read(source, options, done, kept)
}

/// Reads rows of JSON, one a line or in an array.
pub(super) fn read_json_rows(
    source: &mut Source,
    options: &Options,
    done: &(dyn Fn(usize) + Sync),
    kept: Kept,
) -> Result<Vec<Part>, Error> {
    json_rows::read(source, options, done, kept)
}

/// Readers of binary formats at work.
static N_GUARDED: AtomicUsize = AtomicUsize::new(0);

/// Keeps the panics that [`guarded`] catches from standard error: their file's error says it better.
///
/// A panic of this crate's own code, whose places are relative paths, is always shown.
pub(super) fn hush_caught_panics() {
    let shown = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_own = panic.location().is_none_or(|place| Path::new(place.file()).is_relative());
        if is_own || N_GUARDED.load(Ordering::Relaxed) == 0 {
            shown(panic);
        }
    }));
}

/// Runs a reader of a binary format.
///
/// The format libraries are not written against damaged files throughout: a flipped bit in a page may trip an
/// assertion in one of them. Such a panic ends the file, not the run. Nothing is shared that it could leave half done.
fn guarded<T>(source: &Source, expected: &str, read: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    N_GUARDED.fetch_add(1, Ordering::Relaxed);
    let result = catch_unwind(AssertUnwindSafe(read));
    N_GUARDED.fetch_sub(1, Ordering::Relaxed);
    result.unwrap_or_else(|panic| {
        let reason = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("its reader gave up");
        Err(damaged(&source.name, expected, reason))
    })
}

/// The error for a file that is not what it seemed.
fn damaged(name: &str, expected: &str, reason: &str) -> Error {
    Error::Format { path: PathBuf::from(name), reason: format!("expected {expected}; {reason}") }
}

/// The parts of a table in `container`, with what was assumed about its columns.
fn finish(container: &str, mapping: &Mapping, built: Vec<Built>) -> Vec<Part> {
    match mapping.dialect.name {
        "" => parts(container, &mapping.notes, built),
        dialect => parts(&format!("{container}, {dialect}"), &mapping.notes, built),
    }
}

/// Parts with the format named and what holds for the whole file noted in the first.
fn parts(format: &str, notes: &[String], built: Vec<Built>) -> Vec<Part> {
    let n_annotations: u64 = built.iter().map(|built| built.n_annotations).sum();
    let mut parts: Vec<Part> = built.into_iter().map(|built| (built.batch, built.report)).collect();
    if parts.is_empty() {
        parts.push(Part::default());
    }
    for (_, report) in &mut parts {
        format.clone_into(&mut report.format);
    }
    if let Some((_, report)) = parts.first_mut() {
        report.notes.extend(notes.iter().cloned());
        if n_annotations > 0 {
            report.notes.push(format!("{n_annotations} rows are span events or links, not spans, and are left out"));
        }
    }
    parts
}
