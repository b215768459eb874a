use super::json::{object, text};
use super::{Value, all_attributes, microseconds};
use crate::simulate::Span;
use crate::span::SpanKind;
use std::io::Write;

/// Spans with commas between them; what a resource says stands among the tags.
pub(super) fn encode(spans: &mut [Span<'_>], out: &mut Vec<u8>) {
    for (index, span) in spans.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b",\n");
        }
        // Writing to a `Vec` cannot fail, here and below.
        _ = write!(out, "{{\"traceId\":\"{:032x}\",\"id\":\"{:016x}\"", span.trace_id, span.span_id);
        if span.parent_span_id != 0 {
            _ = write!(out, ",\"parentId\":\"{:016x}\"", span.parent_span_id);
        }
        if !matches!(span.kind, SpanKind::Internal | SpanKind::Unspecified) {
            _ = write!(out, ",\"kind\":\"{}\"", span.kind.as_str());
        }
        out.extend_from_slice(b",\"name\":");
        text(out, span.operation);
        let (start_us, duration_us) = microseconds(span);
        _ = write!(out, ",\"timestamp\":{start_us},\"duration\":{duration_us},\"localEndpoint\":{{\"serviceName\":");
        text(out, span.service);
        out.extend_from_slice(b"},\"tags\":");
        let resource = span.resource.iter().map(|(key, value)| (*key, Value::Text(value.as_str())));
        let error = span.failed.then_some(("error", Value::Text("true")));
        object(out, resource.chain(all_attributes(span)).chain(error));
        out.push(b'}');
    }
}
