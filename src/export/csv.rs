use super::{Value, all_attributes};
use crate::simulate::Span;
use crate::span::{SpanStatus, schema};
use std::io::Write;

/// Resource attributes that a simulated span may have.
pub(super) const RESOURCE: [&str; 3] = ["host.name", "service.instance.id", "service.version"];
/// Span attributes that a simulated span may have.
pub(super) const ATTRIBUTES: [&str; 9] = [
    "server.address",
    "db.system.name",
    "messaging.system",
    "messaging.destination.name",
    "messaging.operation.type",
    "http.request.method",
    "http.route",
    "http.response.status_code",
    schema::TRACESTATE,
];

/// The line of column names.
pub(super) fn head() -> String {
    let resource = RESOURCE.map(|key| format!("{}{key}", schema::RESOURCE_PREFIX));
    let names: Vec<&str> =
        schema::INTRINSIC.into_iter().chain(resource.iter().map(String::as_str)).chain(ATTRIBUTES).collect();
    names.join(",") + "\n"
}

/// A line a span.
pub(super) fn encode(spans: &mut [Span<'_>], out: &mut Vec<u8>) {
    for span in spans {
        // Writing to a `Vec` cannot fail, here and below.
        _ = write!(out, "{:032x},{:016x},", span.trace_id, span.span_id);
        if span.parent_span_id != 0 {
            _ = write!(out, "{:016x}", span.parent_span_id);
        }
        for text in [span.service, span.operation] {
            out.push(b',');
            cell(out, text);
        }
        let status = if span.failed { SpanStatus::Error } else { SpanStatus::Unset };
        _ = write!(out, ",{},{},{},{}", span.kind.as_str(), span.start_unix_ns, span.duration_ns, status.as_str());
        for key in RESOURCE {
            out.push(b',');
            if let Some((_, value)) = span.resource.iter().find(|(known, _)| *known == key) {
                cell(out, value);
            }
        }
        for key in ATTRIBUTES {
            out.push(b',');
            match all_attributes(span).find(|(known, _)| *known == key) {
                Some((_, Value::Text(value))) => cell(out, value),
                Some((_, Value::Int(value))) => _ = write!(out, "{value}"),
                None => {}
            }
        }
        out.push(b'\n');
    }
}

fn cell(out: &mut Vec<u8>, text: &str) {
    if !text.contains(['"', ',', '\n', '\r']) {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}
