use super::{AttributeTable, Dictionary, Span, SpanBatch, SpanIdTexts, TraceIds, schema};
use polars::prelude::{Column, DataFrame, NamedFrom, PolarsResult, Series};

/// The intrinsic fields of spans, a vector a field, all of one length.
#[derive(Clone, Debug, Default)]
pub struct SpanColumns {
    /// Trace index.
    pub trace: Vec<u32>,
    /// Span id.
    pub span_id: Vec<u64>,
    /// Parent span id, 0 for roots.
    pub parent_span_id: Vec<u64>,
    /// Service code.
    pub service: Vec<u32>,
    /// Operation code.
    pub operation: Vec<u32>,
    /// [`super::SpanKind`] as its OTLP number.
    pub kind: Vec<u8>,
    /// [`super::SpanStatus`] as its OTLP number.
    pub status: Vec<u8>,
    /// Start, nanoseconds since the Unix epoch.
    pub start_unix_ns: Vec<i64>,
    /// Duration, nanoseconds.
    pub duration_ns: Vec<i64>,
}

impl SpanColumns {
    /// Number of spans.
    #[must_use]
    pub fn len(&self) -> usize {
        self.trace.len()
    }

    /// Whether there is no span.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trace.is_empty()
    }

    pub(super) fn push(&mut self, span: Span) {
        self.trace.push(span.trace);
        self.span_id.push(span.span_id.get());
        self.parent_span_id.push(span.parent_span_id.map_or(0, super::SpanId::get));
        self.service.push(span.service);
        self.operation.push(span.operation);
        self.kind.push(span.kind as u8);
        self.status.push(span.status as u8);
        self.start_unix_ns.push(span.start_unix_ns);
        self.duration_ns.push(span.duration_ns);
    }
}

/// Spans of all sources: one row a span, in the order read, names and ids as codes.
#[derive(Clone, Debug, Default)]
pub struct SpanFrame {
    /// Intrinsic fields.
    pub spans: SpanColumns,
    /// Services and operations.
    pub names: Dictionary,
    /// Trace ids.
    pub traces: TraceIds,
    /// Span ids that are not plain hex.
    pub span_ids: SpanIdTexts,
    /// Attributes; rows are rows of `spans`.
    pub attributes: AttributeTable,
}

impl From<SpanFrame> for SpanBatch {
    fn from(frame: SpanFrame) -> Self {
        let SpanFrame { spans, names, traces, span_ids, attributes } = frame;
        Self { spans, names, traces, span_ids, attributes }
    }
}

impl SpanFrame {
    /// Merges batches in their order; codes are re-mapped to shared dictionaries.
    ///
    /// Each batch is freed as soon as it is merged, so the peak is the result plus one batch.
    #[must_use]
    pub fn from_batches(batches: impl IntoIterator<Item = SpanBatch>) -> Self {
        let mut frame = Self::default();
        for batch in batches {
            frame.absorb(batch, false);
        }
        frame
    }

    /// Appends the spans of another data set; a trace id that both have names two traces.
    pub fn append_apart(&mut self, other: Self) {
        self.absorb(other.into(), true);
    }

    /// Adds spans whose names get the codes that they have here; a trace id that is here names the same trace.
    pub fn append(&mut self, other: Self) {
        self.extend(other.into(), false);
    }

    fn absorb(&mut self, batch: SpanBatch, apart: bool) {
        if self.spans.is_empty() && self.names.is_empty() && self.traces.is_empty() {
            let SpanBatch { spans, names, traces, span_ids, attributes } = batch;
            *self = Self { spans, names, traces, span_ids, attributes };
        } else {
            self.extend(batch, apart);
        }
    }

    fn extend(&mut self, batch: SpanBatch, apart: bool) {
        let first_row = u32::try_from(self.spans.len()).unwrap_or(u32::MAX);
        let SpanBatch { spans, names, traces, span_ids, attributes } = batch;
        let names = self.names.absorb(&names);
        let traces = if apart { self.traces.append_apart(&traces) } else { self.traces.absorb(&traces) };
        self.span_ids.absorb(span_ids);
        let (own, table) = (&mut self.spans, &mut self.attributes);
        let intrinsic = || {
            own.trace.extend(spans.trace.iter().map(|&code| traces[code as usize]));
            own.service.extend(spans.service.iter().map(|&code| names[code as usize]));
            own.operation.extend(spans.operation.iter().map(|&code| names[code as usize]));
            own.span_id.extend_from_slice(&spans.span_id);
            own.parent_span_id.extend_from_slice(&spans.parent_span_id);
            own.kind.extend_from_slice(&spans.kind);
            own.status.extend_from_slice(&spans.status);
            own.start_unix_ns.extend_from_slice(&spans.start_unix_ns);
            own.duration_ns.extend_from_slice(&spans.duration_ns);
        };
        rayon::join(|| table.absorb(attributes, first_row), intrinsic);
    }

    /// The intrinsic fields as a polars frame of codes, for group-bys; columns as in [`schema`].
    ///
    /// # Errors
    /// Only if polars refuses the columns, which all have one length.
    pub fn to_polars(&self) -> PolarsResult<DataFrame> {
        let spans = &self.spans;
        DataFrame::new(
            spans.len(),
            vec![
                Column::from(Series::new(schema::TRACE.into(), &spans.trace)),
                Column::from(Series::new(schema::SERVICE.into(), &spans.service)),
                Column::from(Series::new(schema::OPERATION.into(), &spans.operation)),
                Column::from(Series::new(schema::KIND.into(), &spans.kind)),
                Column::from(Series::new(schema::STATUS_CODE.into(), &spans.status)),
                Column::from(Series::new(schema::START_TIME_UNIX_NANO.into(), &spans.start_unix_ns)),
                Column::from(Series::new(schema::DURATION_NANO.into(), &spans.duration_ns)),
            ],
        )
    }
}
