//! Writes simulated spans in the formats that `ingest` reads, without ever holding more than a few batches.
//!
//! Spans are gathered in batches of whole traces, a few batches are encoded in parallel, and their bytes are written in
//! order: the same bytes at any number of threads. Where the bytes go, and whether they are compressed on the way, is
//! the caller's [`Output`]'s business.

mod clickhouse;
mod csv;
mod jaeger;
mod json;
mod otlp_json;
mod otlp_proto;
mod output;
mod parquet;
mod zipkin;

pub use output::{Compression, Output};

use crate::error::Error;
use crate::simulate::{Sink, Span};
use rayon::prelude::*;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Spans a batch, about as many as a collector sends at once.
const BATCH_SPANS: usize = 8192;
/// Batches that are encoded at a time.
const N_BATCHES: usize = 8;

/// A format to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The canonical Parquet file; each row group is sorted by start.
    Parquet,
    /// OTLP, a JSON document a line, as the collector's file exporter writes it.
    OtlpJson,
    /// OTLP in protobuf, each message after its length in four bytes, as the same exporter writes it.
    OtlpProto,
    /// Jaeger's JSON; times in microseconds.
    Jaeger,
    /// Zipkin's JSON, version 2; times in microseconds.
    Zipkin,
    /// CSV with the columns of the canonical file.
    Csv,
    /// Rows of `ClickHouse`'s `otel_traces`, a JSON object a line.
    ClickHouse,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 7] =
        [Self::Parquet, Self::OtlpJson, Self::OtlpProto, Self::Jaeger, Self::Zipkin, Self::Csv, Self::ClickHouse];

    /// Usual ending of its files.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::OtlpJson => "otlp.jsonl",
            Self::OtlpProto => "otlp.pb",
            Self::Jaeger => "jaeger.json",
            Self::Zipkin => "zipkin.json",
            Self::Csv => "csv",
            Self::ClickHouse => "clickhouse.jsonl",
        }
    }

    fn head(self) -> String {
        match self {
            Self::Jaeger => "{\"data\":[\n".to_owned(),
            Self::Zipkin => "[\n".to_owned(),
            Self::Csv => csv::head(),
            Self::Parquet | Self::OtlpJson | Self::OtlpProto | Self::ClickHouse => String::new(),
        }
    }

    /// What stands between two batches.
    fn comma(self) -> &'static str {
        if matches!(self, Self::Jaeger | Self::Zipkin) { ",\n" } else { "" }
    }

    fn tail(self) -> &'static str {
        match self {
            Self::Jaeger => "\n]}\n",
            Self::Zipkin => "\n]\n",
            Self::Parquet | Self::OtlpJson | Self::OtlpProto | Self::Csv | Self::ClickHouse => "",
        }
    }

    fn encode(self, spans: &mut [Span<'_>]) -> Vec<u8> {
        let mut out = Vec::with_capacity(spans.len() * 512);
        match self {
            Self::OtlpJson => otlp_json::encode(spans, &mut out),
            Self::OtlpProto => otlp_proto::encode(spans, &mut out),
            Self::Jaeger => jaeger::encode(spans, &mut out),
            Self::Zipkin => zipkin::encode(spans, &mut out),
            Self::Csv => csv::encode(spans, &mut out),
            Self::ClickHouse => clickhouse::encode(spans, &mut out),
            // Written by row groups, not by batches.
            Self::Parquet => {}
        }
        out
    }
}

/// Writes spans of one format; [`Writer::finish`] or the file is not whole.
#[expect(missing_debug_implementations, reason = "neither has the Parquet writer one")]
pub struct Writer<'m> {
    path: PathBuf,
    body: Body<'m>,
}

enum Body<'m> {
    Table(Box<parquet::Table<'m>>),
    Text(Box<Text<'m>>),
}

struct Text<'m> {
    format: Format,
    out: Output,
    batches: Vec<Vec<Span<'m>>>,
    n_written: u64,
}

impl Writer<'_> {
    /// Begins; `path` is named in errors.
    pub fn new(format: Format, mut out: Output, path: &Path) -> Result<Self, Error> {
        let path = path.to_path_buf();
        let body = if format == Format::Parquet {
            Body::Table(Box::new(parquet::Table::new(out).map_err(|error| Error::of_writing(&path, error))?))
        } else {
            out.write_all(format.head().as_bytes()).map_err(|source| failed(&path, source))?;
            Body::Text(Box::new(Text { format, out, batches: vec![Vec::new()], n_written: 0 }))
        };
        Ok(Self { path, body })
    }

    /// Writes what is left, and the end.
    pub fn finish(self) -> Result<(), Error> {
        let path = self.path;
        match self.body {
            Body::Table(table) => table.finish().map_err(|error| Error::of_writing(&path, error)),
            Body::Text(mut text) => text
                .flush()
                .and_then(|()| text.out.write_all(text.format.tail().as_bytes()))
                .and_then(|()| text.out.finish())
                .map_err(|source| failed(&path, source)),
        }
    }
}

impl<'m> Sink<'m> for Writer<'m> {
    fn trace(&mut self, spans: &[Span<'m>]) -> Result<(), Error> {
        match &mut self.body {
            Body::Table(table) => table.push(spans).map_err(|error| Error::of_writing(&self.path, error)),
            Body::Text(text) => text.push(spans).map_err(|source| failed(&self.path, source)),
        }
    }
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::Io { action: "write", path: path.to_owned(), source }
}

impl<'m> Text<'m> {
    fn push(&mut self, spans: &[Span<'m>]) -> io::Result<()> {
        if self.batches.last().is_none_or(|batch| batch.len() >= BATCH_SPANS) {
            if self.batches.len() >= N_BATCHES {
                self.flush()?;
            }
            self.batches.push(Vec::with_capacity(BATCH_SPANS));
        }
        if let Some(batch) = self.batches.last_mut() {
            batch.extend_from_slice(spans);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let format = self.format;
        let batches = self.batches.par_iter_mut().filter(|batch| !batch.is_empty());
        let encoded: Vec<Vec<u8>> = batches.map(|batch| format.encode(batch)).collect();
        self.batches.clear();
        for bytes in encoded {
            if self.n_written > 0 {
                self.out.write_all(format.comma().as_bytes())?;
            }
            self.out.write_all(&bytes)?;
            self.n_written += 1;
        }
        Ok(())
    }
}

/// A value of an attribute.
enum Value<'m> {
    Text(&'m str),
    Int(i64),
}

/// Attributes of the span itself, `tracestate` not among them.
fn attributes<'m>(span: &Span<'m>) -> impl Iterator<Item = (&'static str, Value<'m>)> + use<'m> {
    let status = span.http_status.map(|status| ("http.response.status_code", Value::Int(status)));
    span.attributes.iter().map(|(key, value)| (*key, Value::Text(value.as_str()))).chain(status)
}

/// The same with `tracestate`, for formats that have no place of its own for it.
fn all_attributes<'m>(span: &Span<'m>) -> impl Iterator<Item = (&'static str, Value<'m>)> + use<'m> {
    attributes(span).chain(span.tracestate.map(|state| (crate::span::schema::TRACESTATE, Value::Text(state))))
}

/// Whole microseconds, as Jaeger and Zipkin have them.
fn microseconds(span: &Span<'_>) -> (i64, i64) {
    let start_us = span.start_unix_ns.div_euclid(1000);
    (start_us, (span.start_unix_ns + span.duration_ns).div_euclid(1000) - start_us)
}
