//! `TracesData` by hand: a message is its fields, a field its number, its wire type and its value.

use super::{Value, attributes};
use crate::simulate::Span;

/// One message after its length in four bytes, the highest first; spans grouped by resource.
pub(super) fn encode(spans: &mut [Span<'_>], out: &mut Vec<u8>) {
    spans.sort_by_key(|span| span.host);
    let (mut message, mut resource_spans, mut scope_spans, mut one) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for group in spans.chunk_by(|left, right| left.host == right.host) {
        resource_spans.clear();
        scope_spans.clear();
        let first = &group[0];
        let mut resource = Vec::new();
        attribute(&mut resource, 1, "service.name", &Value::Text(first.service));
        for (key, value) in first.resource {
            attribute(&mut resource, 1, key, &Value::Text(value));
        }
        bytes(&mut resource_spans, 1, &resource);
        for span in group {
            one.clear();
            encode_span(&mut one, span);
            bytes(&mut scope_spans, 2, &one);
        }
        bytes(&mut resource_spans, 2, &scope_spans);
        bytes(&mut message, 1, &resource_spans);
    }
    out.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&message);
}

fn encode_span(out: &mut Vec<u8>, span: &Span<'_>) {
    bytes(out, 1, &span.trace_id.to_be_bytes());
    bytes(out, 2, &span.span_id.to_be_bytes());
    if let Some(state) = span.tracestate {
        bytes(out, 3, state.as_bytes());
    }
    if span.parent_span_id != 0 {
        bytes(out, 4, &span.parent_span_id.to_be_bytes());
    }
    bytes(out, 5, span.operation.as_bytes());
    number(out, 6, span.kind as u64);
    fixed(out, 7, span.start_unix_ns);
    fixed(out, 8, span.start_unix_ns + span.duration_ns);
    for (key, value) in attributes(span) {
        attribute(out, 9, key, &value);
    }
    if span.failed {
        // Status { code: ERROR }
        bytes(out, 15, &[3 << 3, 2]);
    }
}

fn attribute(out: &mut Vec<u8>, field: u64, key: &str, value: &Value<'_>) {
    let mut pair = Vec::with_capacity(64);
    let mut any = Vec::with_capacity(32);
    match value {
        Value::Text(text) => bytes(&mut any, 1, text.as_bytes()),
        Value::Int(value) => number(&mut any, 3, value.cast_unsigned()),
    }
    bytes(&mut pair, 1, key.as_bytes());
    bytes(&mut pair, 2, &any);
    bytes(out, field, &pair);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "below 128")]
    out.push(value as u8);
}

fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn fixed(out: &mut Vec<u8>, field: u64, value: i64) {
    varint(out, field << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}
