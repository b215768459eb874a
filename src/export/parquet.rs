//! The canonical file in row groups: each is sorted by start and encoded a column at a time, columns in parallel.

use super::csv::{ATTRIBUTES, RESOURCE};
use super::{Output, Value, all_attributes};
use crate::simulate::Span;
use crate::span::{GroupTimes, SpanStatus, TimeIndex, schema};
use crate::time::TimeRange;
use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;
use std::fmt::Write as _;
use std::sync::Arc;

/// As `canonical` has it, for the same reasons.
const GROUP_SPANS: usize = 1 << 17;
const HTTP_STATUS: &str = "http.response.status_code";

/// A canonical file that is being written.
pub(super) struct Table<'m> {
    writer: SerializedFileWriter<Output>,
    factory: ArrowRowGroupWriterFactory,
    schema: Arc<Schema>,
    spans: Vec<Span<'m>>,
    /// Of the groups written.
    times: Vec<GroupTimes>,
    /// Of the spans written.
    range: Option<TimeRange>,
}

impl<'m> Table<'m> {
    pub(super) fn new(out: Output) -> Result<Self, ParquetError> {
        let schema = Arc::new(Schema::new(fields()));
        let descriptor = ArrowSchemaConverter::new().convert(&schema)?;
        let writer = SerializedFileWriter::new(out, descriptor.root_schema_ptr(), Arc::new(properties()?))?;
        let factory = ArrowRowGroupWriterFactory::new(&writer, Arc::clone(&schema));
        Ok(Self { writer, factory, schema, spans: Vec::new(), times: Vec::new(), range: None })
    }

    /// Adds a whole trace.
    pub(super) fn push(&mut self, spans: &[Span<'m>]) -> Result<(), ParquetError> {
        self.spans.extend_from_slice(spans);
        if self.spans.len() >= GROUP_SPANS { self.group() } else { Ok(()) }
    }

    fn group(&mut self) -> Result<(), ParquetError> {
        if self.spans.is_empty() {
            return Ok(());
        }
        self.spans.par_sort_unstable_by_key(|span| (span.start_unix_ns, span.trace_id, span.span_id));
        let spans = &self.spans;
        let chunks: Vec<ArrowColumnChunk> = self
            .factory
            .create_column_writers(self.times.len())?
            .into_par_iter()
            .zip(self.schema.fields().par_iter())
            .map(|(mut column, field)| {
                for leaf in compute_leaves(field, &array(field.name(), spans))? {
                    column.write(&leaf)?;
                }
                column.close()
            })
            .collect::<Result<_, ParquetError>>()?;
        let mut row_group = self.writer.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut row_group)?;
        }
        row_group.close()?;
        self.tell_times();
        self.spans.clear();
        Ok(())
    }

    /// Notes the times of the group, whose spans are sorted and of traces that are in no other.
    fn tell_times(&mut self) {
        let times = self.spans.iter().map(|span| (span.start_unix_ns, span.duration_ns));
        let (Some(range), Some(first), Some(last)) =
            (TimeRange::covering(times), self.spans.first(), self.spans.last())
        else {
            return;
        };
        self.times.push(GroupTimes {
            n_spans: self.spans.len() as u64,
            first_start_unix_ns: first.start_unix_ns,
            last_start_unix_ns: last.start_unix_ns,
        });
        let all = self.range.get_or_insert(range);
        all.start_unix_ns = all.start_unix_ns.min(range.start_unix_ns);
        all.end_unix_ns = all.end_unix_ns.max(range.end_unix_ns);
    }

    pub(super) fn finish(mut self) -> Result<(), ParquetError> {
        self.group()?;
        if let Some(range) = self.range {
            let index = TimeIndex { range, groups: self.times };
            let text = serde_json::to_string(&index).map_err(|error| ParquetError::External(Box::new(error)))?;
            self.writer.append_key_value_metadata(KeyValue::new(schema::TIME_INDEX_KEY.to_owned(), text));
        }
        let out = self.writer.into_inner()?;
        Ok(out.finish()?)
    }
}

fn fields() -> Vec<Field> {
    let intrinsic = schema::INTRINSIC.into_iter().map(|name| match name {
        schema::START_TIME_UNIX_NANO | schema::DURATION_NANO => Field::new(name, DataType::Int64, false),
        name => Field::new(name, DataType::Utf8, name == schema::PARENT_SPAN_ID),
    });
    let resource =
        RESOURCE.into_iter().map(|key| Field::new(format!("{}{key}", schema::RESOURCE_PREFIX), DataType::Utf8, true));
    let attributes = ATTRIBUTES
        .into_iter()
        .map(|key| Field::new(key, if key == HTTP_STATUS { DataType::Int64 } else { DataType::Utf8 }, true));
    intrinsic.chain(resource).chain(attributes).collect()
}

fn properties() -> Result<WriterProperties, ParquetError> {
    let path = |name: &str| ColumnPath::new(vec![name.to_owned()]);
    let sorting = [schema::START_TIME_UNIX_NANO, schema::TRACE_ID, schema::SPAN_ID].map(|name| {
        let place = schema::INTRINSIC.iter().position(|known| *known == name).unwrap_or(0);
        SortingColumn { column_idx: i32::try_from(place).unwrap_or(0), descending: false, nulls_first: false }
    });
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_statistics_enabled(path(schema::START_TIME_UNIX_NANO), EnabledStatistics::Page)
        .set_max_row_group_row_count(None)
        .set_sorting_columns(Some(sorting.to_vec()))
        .set_key_value_metadata(Some(vec![KeyValue::new(schema::VERSION_KEY.to_owned(), schema::VERSION.to_owned())]))
        .set_created_by(concat!("suspect version ", env!("CARGO_PKG_VERSION")).to_owned());
    for name in [schema::SPAN_ID, schema::PARENT_SPAN_ID, schema::START_TIME_UNIX_NANO, schema::DURATION_NANO] {
        properties = properties.set_column_dictionary_enabled(path(name), false);
    }
    Ok(properties.build())
}

fn array(name: &str, spans: &[Span<'_>]) -> ArrayRef {
    match name {
        schema::TRACE_ID => ids(spans, |span, text| _ = write!(text, "{:032x}", span.trace_id)),
        schema::SPAN_ID => ids(spans, |span, text| _ = write!(text, "{:016x}", span.span_id)),
        schema::PARENT_SPAN_ID => ids(spans, |span, text| {
            if span.parent_span_id != 0 {
                _ = write!(text, "{:016x}", span.parent_span_id);
            }
        }),
        schema::SERVICE => texts(spans, |span| Some(span.service)),
        schema::OPERATION => texts(spans, |span| Some(span.operation)),
        schema::KIND => texts(spans, |span| Some(span.kind.as_str())),
        schema::STATUS_CODE => {
            texts(spans, |span| Some(if span.failed { SpanStatus::Error } else { SpanStatus::Unset }.as_str()))
        }
        schema::START_TIME_UNIX_NANO => {
            Arc::new(Int64Array::from_iter_values(spans.iter().map(|span| span.start_unix_ns)))
        }
        schema::DURATION_NANO => Arc::new(Int64Array::from_iter_values(spans.iter().map(|span| span.duration_ns))),
        HTTP_STATUS => Arc::new(spans.iter().map(|span| span.http_status).collect::<Int64Array>()),
        name => match name.strip_prefix(schema::RESOURCE_PREFIX) {
            Some(key) => texts(spans, |span| {
                span.resource.iter().find(|(known, _)| *known == key).map(|(_, value)| value.as_str())
            }),
            None => texts(spans, |span| {
                all_attributes(span).find_map(|(known, value)| match value {
                    Value::Text(value) if known == name => Some(value),
                    _ => None,
                })
            }),
        },
    }
}

/// Ids as text, null where nothing is written.
fn ids(spans: &[Span<'_>], write: impl Fn(&Span<'_>, &mut String)) -> ArrayRef {
    let mut builder = StringBuilder::with_capacity(spans.len(), spans.len() * 32);
    let mut text = String::with_capacity(32);
    for span in spans {
        text.clear();
        write(span, &mut text);
        if text.is_empty() { builder.append_null() } else { builder.append_value(&text) }
    }
    Arc::new(builder.finish())
}

fn texts<'m>(spans: &[Span<'m>], text: impl Fn(&Span<'m>) -> Option<&'m str>) -> ArrayRef {
    let mut builder = StringBuilder::with_capacity(spans.len(), spans.len() * 16);
    for span in spans {
        builder.append_option(text(span));
    }
    Arc::new(builder.finish())
}
