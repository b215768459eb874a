use super::json::{text, value_text};
use super::{Value, all_attributes, microseconds};
use crate::simulate::Span;
use crate::span::SpanKind;
use std::io::Write;

/// Trace objects with commas between them.
pub(super) fn encode(spans: &mut [Span<'_>], out: &mut Vec<u8>) {
    for (index, trace) in spans.chunk_by(|left, right| left.trace_id == right.trace_id).enumerate() {
        if index > 0 {
            out.extend_from_slice(b",\n");
        }
        // Writing to a `Vec` cannot fail, here and below.
        _ = write!(out, "{{\"traceID\":\"{:032x}\",\"spans\":[", trace[0].trace_id);
        for (index, span) in trace.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            one(out, span);
        }
        out.extend_from_slice(b"],\"processes\":{");
        let mut hosts: Vec<&Span<'_>> = trace.iter().collect();
        hosts.sort_by_key(|span| span.host);
        hosts.dedup_by_key(|span| span.host);
        for (index, span) in hosts.into_iter().enumerate() {
            _ = write!(out, "{}\"p{}\":{{\"serviceName\":", if index > 0 { "," } else { "" }, span.host);
            text(out, span.service);
            out.extend_from_slice(b",\"tags\":");
            tags(out, span.resource.iter().map(|(key, value)| (*key, Value::Text(value))));
            out.push(b'}');
        }
        out.extend_from_slice(b"}}");
    }
}

fn one(out: &mut Vec<u8>, span: &Span<'_>) {
    _ = write!(out, "{{\"traceID\":\"{:032x}\",\"spanID\":\"{:016x}\",\"operationName\":", span.trace_id, span.span_id);
    text(out, span.operation);
    out.extend_from_slice(b",\"references\":[");
    if span.parent_span_id != 0 {
        _ = write!(
            out,
            "{{\"refType\":\"CHILD_OF\",\"traceID\":\"{:032x}\",\"spanID\":\"{:016x}\"}}",
            span.trace_id, span.parent_span_id
        );
    }
    let (start_us, duration_us) = microseconds(span);
    _ = write!(out, "],\"startTime\":{start_us},\"duration\":{duration_us},\"processID\":\"p{}\",\"tags\":", span.host);
    let kind = match span.kind {
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        SpanKind::Internal | SpanKind::Unspecified => "internal",
    };
    let status = span.failed.then_some(("otel.status_code", Value::Text("ERROR")));
    tags(out, [("span.kind", Value::Text(kind))].into_iter().chain(status).chain(all_attributes(span)));
    out.push(b'}');
}

fn tags<'a>(out: &mut Vec<u8>, tags: impl Iterator<Item = (&'static str, Value<'a>)>) {
    out.push(b'[');
    for (index, (key, value)) in tags.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"key\":");
        text(out, key);
        if let Value::Int(value) = value {
            _ = write!(out, ",\"type\":\"int64\",\"value\":{value}}}");
        } else {
            out.extend_from_slice(b",\"type\":\"string\",\"value\":");
            value_text(out, &value);
            out.push(b'}');
        }
    }
    out.push(b']');
}
