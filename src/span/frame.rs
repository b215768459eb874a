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

    /// Empties the columns of which a forest of linked spans has its own: names, parents and durations.
    pub fn forget_linked(&mut self) {
        (self.service, self.operation) = (Vec::new(), Vec::new());
        (self.parent_span_id, self.duration_ns) = (Vec::new(), Vec::new());
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

/// The columns of batches, field by field.
#[derive(Default)]
struct Pieces {
    trace: Vec<Vec<u32>>,
    span_id: Vec<Vec<u64>>,
    parent_span_id: Vec<Vec<u64>>,
    service: Vec<Vec<u32>>,
    operation: Vec<Vec<u32>>,
    kind: Vec<Vec<u8>>,
    status: Vec<Vec<u8>>,
    start_unix_ns: Vec<Vec<i64>>,
    duration_ns: Vec<Vec<i64>>,
}

impl Pieces {
    fn push(&mut self, spans: SpanColumns) {
        self.trace.push(spans.trace);
        self.span_id.push(spans.span_id);
        self.parent_span_id.push(spans.parent_span_id);
        self.service.push(spans.service);
        self.operation.push(spans.operation);
        self.kind.push(spans.kind);
        self.status.push(spans.status);
        self.start_unix_ns.push(spans.start_unix_ns);
        self.duration_ns.push(spans.duration_ns);
    }
}

fn concatenated<T: Copy>(pieces: Vec<Vec<T>>) -> Vec<T> {
    let mut all = Vec::with_capacity(pieces.iter().map(Vec::len).sum());
    for piece in pieces {
        all.extend_from_slice(&piece);
    }
    all
}

/// The codes of each piece as its list of codes has them.
fn recoded(pieces: Vec<Vec<u32>>, lists: impl Iterator<Item = impl AsRef<[u32]>>) -> Vec<u32> {
    let mut all = Vec::with_capacity(pieces.iter().map(Vec::len).sum());
    for (piece, list) in pieces.into_iter().zip(lists) {
        all.extend(piece.iter().map(|&code| list.as_ref()[code as usize]));
    }
    all
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
    /// Fields are merged side by side; what a batch has of a field is freed when the field is merged.
    #[must_use]
    pub fn from_batches(batches: impl IntoIterator<Item = SpanBatch>) -> Self {
        let mut batches: Vec<SpanBatch> = batches.into_iter().collect();
        if batches.len() < 2 {
            let mut frame = Self::default();
            if let Some(only) = batches.pop() {
                frame.absorb(only, false);
            }
            return frame;
        }
        let (mut names, mut traces, mut span_ids) = Default::default();
        let (mut spans, mut attributes, mut own_names, mut own_traces) =
            (Pieces::default(), Vec::new(), Vec::new(), Vec::new());
        let mut first_row = 0_u32;
        for batch in batches {
            let n_spans = batch.spans.len();
            spans.push(batch.spans);
            own_names.push(Dictionary::absorb(&mut names, &batch.names));
            SpanIdTexts::absorb(&mut span_ids, batch.span_ids);
            own_traces.push(batch.traces);
            attributes.push((batch.attributes, first_row));
            first_row = first_row.saturating_add(u32::try_from(n_spans).unwrap_or(u32::MAX));
        }
        let trace = || recoded(spans.trace, own_traces.into_iter().map(|own| TraceIds::absorb(&mut traces, &own)));
        let merge_attributes = || {
            let mut attributes = attributes.into_iter();
            let mut all = attributes.next().map(|(first, _)| first).unwrap_or_default();
            for (own, first_row) in attributes {
                all.absorb(own, first_row);
            }
            all
        };
        let numbers = || SpanColumns {
            trace: Vec::new(),
            span_id: concatenated(spans.span_id),
            parent_span_id: concatenated(spans.parent_span_id),
            service: recoded(spans.service, own_names.iter()),
            operation: recoded(spans.operation, own_names.iter()),
            kind: concatenated(spans.kind),
            status: concatenated(spans.status),
            start_unix_ns: concatenated(spans.start_unix_ns),
            duration_ns: concatenated(spans.duration_ns),
        };
        let (trace, (attributes, numbers)) = rayon::join(trace, || rayon::join(merge_attributes, numbers));
        Self { spans: SpanColumns { trace, ..numbers }, names, traces, span_ids, attributes }
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
