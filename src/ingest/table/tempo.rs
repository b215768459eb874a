//! Grafana Tempo blocks, `data.parquet` of the formats vParquet3, 4 and 5: a row is a trace, its spans nested in it.
//!
//! `rs[]` are the trace's resources, `ss[]` the scopes of one, `Spans[]` the spans of one. The formats differ in how
//! attribute values lie ([`super::tempo_attributes`]) and in the wrapping of lists, which the Arrow reader hides. Only
//! the leaves that spans need are decoded, a few hundred traces at a time, row groups in parallel.

use super::arrow::Cells;
use super::cell::Cell;
use super::ids;
use super::input::Input;
use super::rows::Built;
use super::tempo_attributes::{AttributeCells, Dedicated, RESOURCE_COLUMNS, SPAN_COLUMNS, named};
use crate::error::Error;
use crate::ingest::source::{Part, Source};
use crate::ingest::{Kept, Options, RawSpan, Sink};
use crate::span::{AttributeScope, AttributeSelection, SpanKind, SpanStatus, schema};
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use ::parquet::schema::types::SchemaDescriptor;
use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema};
use rayon::prelude::*;

/// Traces decoded at a time; a trace may have thousands of spans.
const BATCH_TRACES: usize = 256;

/// Whether a Parquet schema is that of a Tempo block.
pub(super) fn recognise(schema: &Schema) -> bool {
    let is_list = |name| schema.field_with_name(name).is_ok_and(|field| matches!(field.data_type(), DataType::List(_)));
    is_list("rs") && schema.field_with_name("TraceID").is_ok()
}

/// Reads a block; a part a row group.
pub(super) fn read(
    source: &Source,
    options: &Options,
    input: &Input,
    metadata: &ArrowReaderMetadata,
    kept: Kept,
) -> Result<Vec<Part>, Error> {
    let any = !matches!(&options.attributes, AttributeSelection::Keys(keys) if keys.is_empty());
    let dedicated = if any { Dedicated::beside(source) } else { Dedicated::default() };
    let mask = projection(metadata.parquet_schema(), any);
    let damaged = |reason: String| super::damaged(&source.name, "a Tempo block", &reason);
    let read_group = |group: usize| -> Result<Built, Error> {
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(input.open()?, metadata.clone())
            .with_row_groups(vec![group])
            .with_projection(mask.clone())
            .with_batch_size(BATCH_TRACES)
            .build()
            .map_err(|error| damaged(error.to_string()))?;
        let mut sink = Sink::new(&options.attributes);
        for batch in reader {
            let batch = batch.map_err(|error| damaged(error.to_string()))?;
            read_batch(&batch, &dedicated, &mut sink)
                .ok_or_else(|| damaged("it lacks the columns of resources and spans".to_owned()))?;
        }
        kept.offer(group, &mut sink.batch);
        Ok(Built { batch: sink.batch, report: sink.report, n_annotations: 0 })
    };
    let built: Vec<Built> =
        (0..metadata.metadata().num_row_groups()).into_par_iter().map(read_group).collect::<Result<_, _>>()?;
    let notes: Vec<String> = dedicated.note.into_iter().collect();
    Ok(super::parts(version(metadata.parquet_schema()), &notes, built))
}

/// The leaves to decode: those of spans, and with `attributes` theirs.
fn projection(schema: &SchemaDescriptor, attributes: bool) -> ProjectionMask {
    const PLAIN: [&str; 9] = [
        "TraceID",
        "rs.Resource.ServiceName",
        "rs.ss.Spans.SpanID",
        "rs.ss.Spans.ParentSpanID",
        "rs.ss.Spans.Name",
        "rs.ss.Spans.Kind",
        "rs.ss.Spans.StartTimeUnixNano",
        "rs.ss.Spans.DurationNano",
        "rs.ss.Spans.StatusCode",
    ];
    const ATTRIBUTES: [&str; 8] = [
        "rs.Resource.*",
        "rs.ss.Scope.Name",
        "rs.ss.Scope.Version",
        "rs.ss.Spans.TraceState",
        "rs.ss.Spans.StatusMessage",
        "rs.ss.Spans.Attrs.*",
        "rs.ss.Spans.DedicatedAttributes.*",
        "rs.ss.Spans.Http*",
    ];
    let wanted = |path: &[String]| {
        // `list` and `element` are how some versions wrap what repeats.
        let path: Vec<&str> =
            path.iter().map(String::as_str).filter(|part| !["list", "element"].contains(part)).collect();
        let path = path.join(".");
        PLAIN.contains(&path.as_str())
            || attributes && ATTRIBUTES.iter().any(|pattern| super::dialect::fits(pattern, &path))
    };
    let leaves = schema.columns().iter().enumerate().filter(|(_, column)| wanted(column.path().parts()));
    ProjectionMask::leaves(schema, leaves.map(|(leaf, _)| leaf))
}

/// The format's name, told by what its schema has of attributes.
fn version(schema: &SchemaDescriptor) -> &'static str {
    let has = |wanted: &[&str]| {
        schema.columns().iter().any(|column| {
            let parts = column.path().parts();
            wanted.iter().all(|part| parts.iter().any(|known| known == part))
        })
    };
    match (has(&["Attrs", "ValueArray"]), has(&["rs", "list"])) {
        (true, _) => "Tempo block, vParquet3",
        (false, true) => "Tempo block, vParquet4",
        (false, false) => "Tempo block, vParquet5",
    }
}

/// Reads the traces of a batch; `None` if columns are missing that every block has.
fn read_batch(batch: &RecordBatch, dedicated: &Dedicated, sink: &mut Sink<'_>) -> Option<()> {
    let trace_ids = Cells::new(batch.column_by_name("TraceID")?);
    let resources = Cells::new(batch.column_by_name("rs")?);
    let resource_rows = resources.elements()?;
    let scopes = resource_rows.field("ss")?;
    let scope_rows = scopes.elements()?;
    let spans = scope_rows.field("Spans")?;
    let level = Level {
        resource: Resource::new(resource_rows.field("Resource")?, dedicated),
        scope: scope_rows.field("Scope"),
        spans: Spans::new(spans.elements()?, dedicated),
    };
    for trace in 0..batch.num_rows() {
        let trace_code = ids::trace_id(&mut sink.batch.traces, trace_ids.cell(trace));
        for resource in resources.range(trace) {
            let service = level.resource.service(resource);
            let service = sink.batch.names.intern(service);
            for scope in scopes.range(resource) {
                for span in spans.range(scope) {
                    level.push(sink, trace_code, service, [resource, scope, span]);
                }
            }
        }
    }
    Some(())
}

/// The columns of resources, scopes and spans of a batch.
struct Level<'a> {
    resource: Resource<'a>,
    scope: Option<&'a Cells<'a>>,
    spans: Spans<'a>,
}

struct Resource<'a> {
    service: Option<&'a Cells<'a>>,
    attributes: AttributeCells<'a>,
}

impl<'a> Resource<'a> {
    fn new(cells: &'a Cells<'a>, dedicated: &'a Dedicated) -> Self {
        let attributes = AttributeCells::new(cells, &RESOURCE_COLUMNS, &dedicated.resource);
        Self { service: cells.field("ServiceName"), attributes }
    }

    fn service(&self, row: usize) -> &str {
        match named(self.service, row) {
            Cell::Str(name) => name,
            _ => "",
        }
    }
}

struct Spans<'a> {
    id: Option<&'a Cells<'a>>,
    parent: Option<&'a Cells<'a>>,
    name: Option<&'a Cells<'a>>,
    kind: Option<&'a Cells<'a>>,
    start: Option<&'a Cells<'a>>,
    duration: Option<&'a Cells<'a>>,
    status: Option<&'a Cells<'a>>,
    message: Option<&'a Cells<'a>>,
    tracestate: Option<&'a Cells<'a>>,
    attributes: AttributeCells<'a>,
}

impl<'a> Spans<'a> {
    fn new(cells: &'a Cells<'a>, dedicated: &'a Dedicated) -> Self {
        Self {
            id: cells.field("SpanID"),
            parent: cells.field("ParentSpanID"),
            name: cells.field("Name"),
            kind: cells.field("Kind"),
            start: cells.field("StartTimeUnixNano"),
            duration: cells.field("DurationNano"),
            status: cells.field("StatusCode"),
            message: cells.field("StatusMessage"),
            tracestate: cells.field("TraceState"),
            attributes: AttributeCells::new(cells, &SPAN_COLUMNS, &dedicated.span),
        }
    }
}

impl Level<'_> {
    /// Adds the span at row `span` of its column, with what its resource and scope say.
    fn push(&self, sink: &mut Sink<'_>, trace: Option<u32>, service: u32, [resource, scope, span]: [usize; 3]) {
        let spans = &self.spans;
        let batch = &mut sink.batch;
        let code = |cells| integer(named(cells, span)).and_then(|code| u64::try_from(code).ok()).unwrap_or(0);
        let raw = RawSpan {
            trace,
            span_id: ids::span_id(&mut batch.span_ids, named(spans.id, span)),
            parent_span_id: ids::span_id(&mut batch.span_ids, named(spans.parent, span)),
            service,
            operation: batch.names.intern(&named(spans.name, span).text().unwrap_or_default()),
            kind: SpanKind::from_code(code(spans.kind)),
            status: SpanStatus::from_code(code(spans.status)),
            start_unix_ns: integer(named(spans.start, span)),
            duration_ns: integer(named(spans.duration, span)),
        };
        let Some(row) = sink.push(raw) else { return };
        let selection = sink.attributes;
        let batch = &mut sink.batch;
        let mut give = |scope, key: &str, value: Cell<'_>| {
            if batch.attributes.wants(selection, key)
                && let Some(value) = value.attribute(&mut batch.attributes)
            {
                batch.attribute(row, scope, key, value);
            }
        };
        give(AttributeScope::Resource, "service.name", named(self.resource.service, resource));
        self.resource.attributes.each(resource, &mut |key, value| give(AttributeScope::Resource, key, value));
        spans.attributes.each(span, &mut |key, value| give(AttributeScope::Span, key, value));
        let scope_field = |name| self.scope.and_then(|scope| scope.field(name));
        for (key, cell) in [
            (schema::SCOPE_NAME, named(scope_field("Name"), scope)),
            (schema::SCOPE_VERSION, named(scope_field("Version"), scope)),
            (schema::STATUS_DESCRIPTION, named(spans.message, span)),
            (schema::TRACESTATE, named(spans.tracestate, span)),
        ] {
            if !matches!(cell, Cell::Str("")) {
                give(AttributeScope::Span, key, cell);
            }
        }
    }
}

fn integer(cell: Cell<'_>) -> Option<i128> {
    match cell {
        Cell::Int(value) => Some(value.into()),
        Cell::UInt(value) => Some(value.into()),
        _ => None,
    }
}
