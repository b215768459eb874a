use super::json::{object, text};
use super::{Value, attributes};
use crate::simulate::Span;
use std::io::Write;

/// A row of `otel_traces` a line.
pub(super) fn encode(spans: &mut [Span<'_>], out: &mut Vec<u8>) {
    for span in spans {
        let (seconds, rest) =
            (span.start_unix_ns.div_euclid(1_000_000_000), span.start_unix_ns.rem_euclid(1_000_000_000));
        // Writing to a `Vec` cannot fail, here and below.
        _ = write!(
            out,
            "{{\"Timestamp\":\"{seconds}.{rest:09}\",\"TraceId\":\"{:032x}\",\"SpanId\":\"{:016x}\",\"ParentSpanId\":\"",
            span.trace_id, span.span_id
        );
        if span.parent_span_id != 0 {
            _ = write!(out, "{:016x}", span.parent_span_id);
        }
        out.extend_from_slice(b"\",\"TraceState\":");
        text(out, span.tracestate.unwrap_or(""));
        out.extend_from_slice(b",\"SpanName\":");
        text(out, span.operation);
        let kind = span.kind.as_str();
        _ = write!(out, ",\"SpanKind\":\"{}{}\",\"ServiceName\":", &kind[..1], kind[1..].to_lowercase());
        text(out, span.service);
        out.extend_from_slice(b",\"ResourceAttributes\":");
        object(out, span.resource.iter().map(|(key, value)| (*key, Value::Text(value.as_str()))));
        out.extend_from_slice(b",\"SpanAttributes\":");
        object(out, attributes(span));
        let status = if span.failed { "Error" } else { "Unset" };
        _ = writeln!(out, ",\"Duration\":{},\"StatusCode\":\"{status}\",\"StatusMessage\":\"\"}}", span.duration_ns);
    }
}
