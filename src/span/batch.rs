use super::{
    AttributeScope, AttributeTable, AttributeValue, Dictionary, SpanColumns, SpanId, SpanIdTexts, SpanKind, SpanStatus,
    TraceIds,
};

/// One span's intrinsic fields; ids, service and operation are codes of the batch that it is pushed to.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Trace, from [`SpanBatch::traces`].
    pub trace: u32,
    /// Span id, from [`SpanBatch::span_ids`].
    pub span_id: SpanId,
    /// Parent's span id, `None` for a root.
    pub parent_span_id: Option<SpanId>,
    /// `service.name`, from [`SpanBatch::names`].
    pub service: u32,
    /// Span name, from [`SpanBatch::names`].
    pub operation: u32,
    /// Kind.
    pub kind: SpanKind,
    /// Status.
    pub status: SpanStatus,
    /// Start, nanoseconds since the Unix epoch.
    pub start_unix_ns: i64,
    /// Duration, nanoseconds, not negative; `start_unix_ns + duration_ns` fits in `i64`.
    pub duration_ns: i64,
}

/// Spans read by one parser on one thread, with its own dictionaries.
#[derive(Clone, Debug, Default)]
pub struct SpanBatch {
    /// Intrinsic fields.
    pub spans: SpanColumns,
    /// Services and operations.
    pub names: Dictionary,
    /// Trace ids.
    pub traces: TraceIds,
    /// Span ids that are not plain hex.
    pub span_ids: SpanIdTexts,
    /// Attributes.
    pub attributes: AttributeTable,
}

impl SpanBatch {
    /// Appends a span and returns its row, to which attributes may then be given.
    pub fn push(&mut self, span: Span) -> u32 {
        let row = u32::try_from(self.spans.len()).unwrap_or(u32::MAX);
        self.spans.push(span);
        row
    }

    /// Gives a string attribute to span row `row`, the latest.
    pub fn string_attribute(&mut self, row: u32, scope: AttributeScope, key: &str, value: &str) {
        let code = self.attributes.values.intern(value);
        self.attribute(row, scope, key, AttributeValue::String(code));
    }

    /// Gives an attribute to span row `row`, the latest. The first value of a key stands.
    pub fn attribute(&mut self, row: u32, scope: AttributeScope, key: &str, value: AttributeValue) {
        let column = self.attributes.column_index(scope, key);
        self.attributes.push(column, row, value);
    }
}
