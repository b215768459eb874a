use super::json::text;
use super::{Value, attributes};
use crate::simulate::Span;
use std::io::Write;

/// One document in one line, spans grouped by resource.
pub(super) fn encode(spans: &mut [Span<'_>], out: &mut Vec<u8>) {
    spans.sort_by_key(|span| span.host);
    out.extend_from_slice(b"{\"resourceSpans\":[");
    for (index, group) in spans.chunk_by(|left, right| left.host == right.host).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let first = &group[0];
        out.extend_from_slice(b"{\"resource\":{\"attributes\":");
        let resource = first.resource.iter().map(|(key, value)| (*key, Value::Text(value)));
        list(out, [("service.name", Value::Text(first.service))].into_iter().chain(resource));
        out.extend_from_slice(b"},\"scopeSpans\":[{\"scope\":{},\"spans\":[");
        for (index, span) in group.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            one(out, span);
        }
        out.extend_from_slice(b"]}]}");
    }
    out.extend_from_slice(b"]}\n");
}

fn one(out: &mut Vec<u8>, span: &Span<'_>) {
    // Writing to a `Vec` cannot fail, here and below.
    _ = write!(out, "{{\"traceId\":\"{:032x}\",\"spanId\":\"{:016x}\"", span.trace_id, span.span_id);
    if span.parent_span_id != 0 {
        _ = write!(out, ",\"parentSpanId\":\"{:016x}\"", span.parent_span_id);
    }
    if let Some(state) = span.tracestate {
        out.extend_from_slice(b",\"traceState\":");
        text(out, state);
    }
    out.extend_from_slice(b",\"name\":");
    text(out, span.operation);
    let end_unix_ns = span.start_unix_ns + span.duration_ns;
    _ = write!(
        out,
        ",\"kind\":{},\"startTimeUnixNano\":\"{}\",\"endTimeUnixNano\":\"{end_unix_ns}\",\"attributes\":",
        span.kind as u8, span.start_unix_ns
    );
    list(out, attributes(span));
    out.extend_from_slice(if span.failed { b",\"status\":{\"code\":2}}" } else { b",\"status\":{}}" });
}

fn list<'a>(out: &mut Vec<u8>, attributes: impl Iterator<Item = (&'static str, Value<'a>)>) {
    out.push(b'[');
    for (index, (key, value)) in attributes.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"key\":");
        text(out, key);
        match value {
            Value::Text(value) => {
                out.extend_from_slice(b",\"value\":{\"stringValue\":");
                text(out, value);
                out.extend_from_slice(b"}}");
            }
            Value::Int(value) => _ = write!(out, ",\"value\":{{\"intValue\":\"{value}\"}}}}"),
        }
    }
    out.push(b']');
}
