//! OTLP in protobuf: walks `TracesData` or `ExportTraceServiceRequest`, which are the same on the wire, field by field
//! without copying.
//!
//! Every message below the top is length-delimited, so that a broken span is skipped and its siblings are read.

use super::values::{self, MAX_VALUE_DEPTH, SharedAttributes, Value, Wanted};
use super::wire::{Broken, Field, Fields};
use super::{RawSpan, Sink};
use crate::diagnostics::Place;
use crate::span::{AttributeScope, SpanKind, SpanStatus, schema};
use std::borrow::Cow;

/// Field of `TracesData` that holds a `ResourceSpans`.
pub(super) const RESOURCE_SPANS: u64 = 1;
/// Field of `ResourceSpans` that held spans before OTLP 0.15.
pub(super) const INSTRUMENTATION_LIBRARY_SPANS: u64 = 1000;

/// Reads the `TracesData` in `bytes`, which stand at byte `at` of the file.
pub(super) fn read_message(bytes: &[u8], at: u64, sink: &mut Sink) {
    let mut fields = Fields::new(bytes, at);
    loop {
        match fields.next() {
            Ok(Some((RESOURCE_SPANS, Field::Bytes(bytes, at)))) => read_resource_spans(bytes, at, false, sink),
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(broken) => return skip(sink, broken, "message"),
        }
    }
}

/// Reads one `ResourceSpans`; `cut_off` tells that the file ends within it.
pub(super) fn read_resource_spans(bytes: &[u8], at: u64, cut_off: bool, sink: &mut Sink) {
    let wanted = Wanted::new(sink.attributes);
    let service = sink.batch.names.intern(values::UNKNOWN_SERVICE);
    let (resource, scope, attributes) = Default::default();
    let mut reader = Reader { sink, wanted, cut_off, service, resource, scope, attributes };
    // Writers put the resource first, but need not.
    reader.each_field(bytes, at, ("resource", true), |reader, number, bytes, at| match number {
        1 => reader.resource(bytes, at),
        _ => Ok(()),
    });
    reader.each_field(bytes, at, ("scope", false), |reader, number, bytes, at| {
        if matches!(number, 2 | INSTRUMENTATION_LIBRARY_SPANS) {
            reader.scope_spans(bytes, at);
        }
        Ok(())
    });
}

fn skip(sink: &mut Sink, broken: Broken, what: &str) {
    let Broken { at, expected } = broken;
    sink.skip(Place::Offset(at), format!("broken protobuf in a {what}: expected {expected}"));
}

struct Reader<'s, 'o, 'a> {
    sink: &'s mut Sink<'o>,
    wanted: Wanted,
    /// Whether the file ends within the message at hand.
    cut_off: bool,
    service: u32,
    resource: SharedAttributes,
    scope: SharedAttributes,
    /// Bytes and places of the attributes of the span at hand.
    attributes: Vec<(&'a [u8], u64)>,
}

impl<'a> Reader<'_, '_, 'a> {
    /// Calls `read` with each length-delimited field and counts what is broken.
    ///
    /// A message is passed over twice, first for what its spans share; only the second pass counts a break between
    /// fields, so that it is counted once.
    fn each_field(
        &mut self,
        bytes: &'a [u8],
        at: u64,
        (what, first_pass): (&str, bool),
        mut read: impl FnMut(&mut Self, u64, &'a [u8], u64) -> Result<(), Broken>,
    ) {
        let mut fields = if self.cut_off { Fields::open_ended(bytes, at) } else { Fields::new(bytes, at) };
        loop {
            let result = match fields.next() {
                Ok(None) => return,
                Ok(Some((number, Field::Bytes(bytes, at)))) => read(self, number, bytes, at),
                Ok(Some(_)) => Ok(()),
                Err(broken) => {
                    if !self.cut_off && !first_pass {
                        skip(self.sink, broken, what);
                    }
                    return;
                }
            };
            if let Err(broken) = result
                && !(self.cut_off && fields.cut_off)
            {
                skip(self.sink, broken, what);
            }
        }
    }

    fn resource(&mut self, bytes: &[u8], at: u64) -> Result<(), Broken> {
        each_attribute(bytes, at, 1, |key, value| {
            let wants = self.sink.wants(key);
            if !wants && key != "service.name" {
                return Ok(());
            }
            let Some(value) = any_value(value, 0)? else { return Ok(()) };
            if let ("service.name", Value::String(name)) = (key, &value)
                && !name.is_empty()
            {
                self.service = self.sink.batch.names.intern(name);
            }
            if wants {
                let value = value.intern(&mut self.sink.batch);
                self.resource.add(&mut self.sink.batch, AttributeScope::Resource, key, value);
            }
            Ok(())
        })
    }

    fn scope_spans(&mut self, bytes: &'a [u8], at: u64) {
        self.scope = SharedAttributes::default();
        if self.wanted.scope {
            self.each_field(bytes, at, ("scope", true), |reader, number, bytes, at| match number {
                1 => reader.scope(bytes, at),
                _ => Ok(()),
            });
        }
        self.each_field(bytes, at, ("span", false), |reader, number, bytes, at| match number {
            2 => reader.span(bytes, at),
            _ => Ok(()),
        });
    }

    fn scope(&mut self, bytes: &[u8], at: u64) -> Result<(), Broken> {
        let mut fields = Fields::new(bytes, at);
        while let Some(field) = fields.next()? {
            let (key, text) = match field {
                (1, Field::Bytes(text, _)) => (schema::SCOPE_NAME, text),
                (2, Field::Bytes(text, _)) => (schema::SCOPE_VERSION, text),
                _ => continue,
            };
            if !text.is_empty() && self.sink.wants(key) {
                let value = Value::String(values::text(text)).intern(&mut self.sink.batch);
                self.scope.add(&mut self.sink.batch, AttributeScope::Span, key, value);
            }
        }
        Ok(())
    }

    fn span(&mut self, bytes: &'a [u8], at: u64) -> Result<(), Broken> {
        self.attributes.clear();
        let span = SpanFields::read(bytes, at, &mut self.attributes)?;
        let batch = &mut self.sink.batch;
        let start_ns = (span.start_ns != 0).then_some(i128::from(span.start_ns));
        let end_ns = (span.end_ns != 0).then_some(i128::from(span.end_ns));
        let raw = RawSpan {
            trace: batch.traces.intern_bytes(span.trace_id),
            span_id: values::span_id_bytes(batch, span.span_id),
            parent_span_id: values::span_id_bytes(batch, span.parent_span_id),
            service: self.service,
            operation: batch.names.intern(&values::text(span.name)),
            kind: SpanKind::from_code(span.kind),
            status: SpanStatus::from_code(span.status),
            start_unix_ns: start_ns,
            duration_ns: end_ns.and_then(|end| end.checked_sub(start_ns?)),
        };
        let Some(row) = self.sink.push(raw) else { return Ok(()) };
        if !self.wanted.any {
            return Ok(());
        }
        self.resource.give_to(&mut self.sink.batch, row);
        for index in 0..self.attributes.len() {
            let (bytes, at) = self.attributes[index];
            self.give_seen(row, bytes, at)?;
        }
        self.scope.give_to(&mut self.sink.batch, row);
        if self.wanted.exceptions && span.has_events {
            self.events(bytes, at, row)?;
        }
        values::give_text(self.sink, row, schema::TRACESTATE, &values::text(span.tracestate));
        values::give_text(self.sink, row, schema::STATUS_DESCRIPTION, &values::text(span.message));
        Ok(())
    }

    /// Gives the span one of its attributes, whose meaning is known if the same bytes came before.
    fn give_seen(&mut self, row: u32, bytes: &[u8], at: u64) -> Result<(), Broken> {
        let is_open = self.sink.is_open();
        let meaning = match self.sink.seen.get(bytes) {
            Some(meaning) if is_open => meaning,
            _ => {
                let (key, value) = key_value(bytes, at)?;
                let value = if self.sink.wants(&key) { any_value(value, 0)? } else { None };
                let meaning = value.map(|value| {
                    let value = value.intern(&mut self.sink.batch);
                    (self.sink.batch.attributes.column_index(AttributeScope::Span, &key), value)
                });
                if is_open {
                    self.sink.seen.put(bytes, meaning);
                }
                meaning
            }
        };
        if let Some((column, value)) = meaning {
            self.sink.batch.attributes.push(column, row, value);
        }
        Ok(())
    }

    fn give(&mut self, row: u32, key: &str, value: Fields) -> Result<(), Broken> {
        if self.sink.wants(key)
            && let Some(value) = any_value(value, 0)?
        {
            let value = value.intern(&mut self.sink.batch);
            self.sink.batch.attribute(row, AttributeScope::Span, key, value);
        }
        Ok(())
    }

    /// Gives the span the type and message of its first exception event, and whether it escaped.
    fn events(&mut self, bytes: &[u8], at: u64, row: u32) -> Result<(), Broken> {
        let mut fields = Fields::new(bytes, at);
        while let Some(field) = fields.next()? {
            let (11, Field::Bytes(event, at)) = field else { continue };
            let mut members = Fields::new(event, at);
            let mut exception = false;
            while let Some(member) = members.next()? {
                if let (2, Field::Bytes(name, _)) = member {
                    exception = name == b"exception";
                }
            }
            if exception {
                each_attribute(event, at, 3, |key, value| match key {
                    values::EXCEPTION_TYPE | values::EXCEPTION_MESSAGE | values::EXCEPTION_ESCAPED => {
                        self.give(row, key, value)
                    }
                    _ => Ok(()),
                })?;
            }
        }
        Ok(())
    }
}

/// The scalar fields of a `Span`.
#[derive(Default)]
struct SpanFields<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    parent_span_id: &'a [u8],
    name: &'a [u8],
    tracestate: &'a [u8],
    message: &'a [u8],
    kind: u64,
    status: u64,
    start_ns: u64,
    end_ns: u64,
    has_events: bool,
}

impl<'a> SpanFields<'a> {
    /// The fields of a span; its attributes go into `attributes`.
    fn read(bytes: &'a [u8], at: u64, attributes: &mut Vec<(&'a [u8], u64)>) -> Result<Self, Broken> {
        let mut span = Self::default();
        let mut fields = Fields::new(bytes, at);
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (1, Field::Bytes(id, _)) => span.trace_id = id,
                (2, Field::Bytes(id, _)) => span.span_id = id,
                (3, Field::Bytes(text, _)) => span.tracestate = text,
                (4, Field::Bytes(id, _)) => span.parent_span_id = id,
                (5, Field::Bytes(text, _)) => span.name = text,
                (6, Field::Varint(kind)) => span.kind = kind,
                (7, Field::Fixed64(time)) => span.start_ns = time,
                (8, Field::Fixed64(time)) => span.end_ns = time,
                (9, Field::Bytes(attribute, at)) => attributes.push((attribute, at)),
                (11, Field::Bytes(..)) => span.has_events = true,
                (15, Field::Bytes(status, at)) => {
                    let mut members = Fields::new(status, at);
                    while let Some(member) = members.next()? {
                        match member {
                            (2, Field::Bytes(text, _)) => span.message = text,
                            (3, Field::Varint(code)) => span.status = code,
                            _ => {}
                        }
                    }
                }
                (1..=5 | 7 | 8 | 15, _) | (6, Field::Bytes(..)) => {
                    return Err(Broken { at: fields.position(), expected: "the span's fields with OTLP's wire types" });
                }
                _ => {}
            }
        }
        Ok(span)
    }
}

/// Calls `take` with key and value of each `KeyValue` in field `number` of the message.
fn each_attribute(
    bytes: &[u8],
    at: u64,
    number: u64,
    mut take: impl FnMut(&str, Fields) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let mut fields = Fields::new(bytes, at);
    while let Some((found, field)) = fields.next()? {
        let Field::Bytes(bytes, at) = field else { continue };
        if found == number {
            let (key, value) = key_value(bytes, at)?;
            take(&key, value)?;
        }
    }
    Ok(())
}

fn key_value(bytes: &[u8], at: u64) -> Result<(Cow<'_, str>, Fields<'_>), Broken> {
    let (mut key, mut value) = (Cow::Borrowed(""), Fields::new(&[], at));
    let mut fields = Fields::new(bytes, at);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Bytes(text, _)) => key = values::text(text),
            (2, Field::Bytes(bytes, at)) => value = Fields::new(bytes, at),
            _ => {}
        }
    }
    Ok((key, value))
}

/// The value of an `AnyValue`, `None` if it is empty.
fn any_value(mut fields: Fields<'_>, depth: u32) -> Result<Option<Value<'_>>, Broken> {
    let mut value = None;
    while let Some(field) = fields.next()? {
        value = Some(match field {
            (1, Field::Bytes(text, _)) => Value::String(values::text(text)),
            (2, Field::Varint(flag)) => Value::Bool(flag != 0),
            (3, Field::Varint(number)) => Value::Int(number.cast_signed()),
            (4, Field::Fixed64(bits)) => Value::Double(f64::from_bits(bits)),
            (5 | 6, Field::Bytes(..)) if depth >= MAX_VALUE_DEPTH => Value::Json("null".to_owned()),
            (5, Field::Bytes(bytes, at)) => Value::Json(list_text(bytes, at, depth)?),
            (6, Field::Bytes(bytes, at)) => Value::Json(object_text(bytes, at, depth)?),
            (7, Field::Bytes(bytes, _)) => Value::String(Cow::Owned(values::base64_text(bytes))),
            _ => continue,
        });
    }
    Ok(value)
}

fn list_text(bytes: &[u8], at: u64, depth: u32) -> Result<String, Broken> {
    let mut out = String::from("[");
    let mut fields = Fields::new(bytes, at);
    while let Some(field) = fields.next()? {
        let (1, Field::Bytes(bytes, at)) = field else { continue };
        if out.len() > 1 {
            out.push(',');
        }
        write_value(&mut out, any_value(Fields::new(bytes, at), depth + 1)?);
    }
    out.push(']');
    Ok(out)
}

fn object_text(bytes: &[u8], at: u64, depth: u32) -> Result<String, Broken> {
    let mut out = String::from("{");
    each_attribute(bytes, at, 1, |key, value| {
        if out.len() > 1 {
            out.push(',');
        }
        values::write_json_string(&mut out, key);
        out.push(':');
        write_value(&mut out, any_value(value, depth + 1)?);
        Ok(())
    })?;
    out.push('}');
    Ok(out)
}

fn write_value(out: &mut String, value: Option<Value>) {
    match value {
        Some(value) => value.write_json(out),
        None => out.push_str("null"),
    }
}
