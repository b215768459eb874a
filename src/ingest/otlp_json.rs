//! OTLP in JSON, as the collector writes it and as Tempo, Jaeger and Grafana return it.
//!
//! Ids may be hex or base64, enums numbers or names, 64-bit numbers strings or numbers, keys camel or snake case; the
//! `batches`, `trace` and `result` envelopes and the old `instrumentationLibrarySpans` are seen through. A span with a
//! field of the wrong type is skipped, its siblings are not. What comes after the spans that need it (a resource, a
//! scope) is looked for first, by coming back to the spans.

use super::json::{Cursor, Kind, Step};
use super::otlp_value::{Taken, any_value, attributes, take_wanted};
use super::records::Locator;
use super::values::{self, Id, SharedAttributes, Value, Wanted};
use super::{RawSpan, Sink};
use crate::span::{AttributeScope, SpanKind, SpanStatus, schema};
use std::borrow::Cow;
use std::fmt::Write as _;

/// Envelopes inside envelopes that are followed: `{"result":{"resourceSpans":…}}` needs two.
const MAX_ENVELOPES: u32 = 4;

/// Reads the document, an object, that comes next.
pub(super) fn read_document(cursor: &mut Cursor, sink: &mut Sink, locator: Locator) -> Step<()> {
    Reader::new(sink, locator).envelope(cursor, 0)
}

/// Reads the `ResourceSpans`, an object in the document's list, that comes next.
pub(super) fn read_listed(cursor: &mut Cursor, sink: &mut Sink, locator: Locator) -> Step<()> {
    Reader::new(sink, locator).resource_spans(cursor)
}

/// Whether a document's `key` holds its list of `ResourceSpans`.
pub(super) fn is_list(key: &str) -> bool {
    matches!(key, "resourceSpans" | "resource_spans" | "batches")
}

/// Whether a document's `key` tells nothing of spans.
pub(super) fn is_idle(key: &str) -> bool {
    let is_envelope = matches!(key, "trace" | "traces" | "result");
    let is_scope =
        matches!(key, "scopeSpans" | "scope_spans" | "instrumentationLibrarySpans" | "instrumentation_library_spans");
    !is_list(key) && !is_envelope && !is_scope
}

struct Reader<'s, 'o, 'a> {
    sink: &'s mut Sink<'o>,
    locator: Locator,
    wanted: Wanted,
    /// Service of the resource at hand.
    service: u32,
    /// Attributes of the resource at hand.
    resource: SharedAttributes,
    /// Name and version of the scope at hand.
    scope: SharedAttributes,
    /// Attributes of the span at hand.
    taken: Taken<'a>,
}

impl<'s, 'o, 'a> Reader<'s, 'o, 'a> {
    fn new(sink: &'s mut Sink<'o>, locator: Locator) -> Self {
        let wanted = Wanted::new(sink.attributes);
        let (resource, scope, taken) = Default::default();
        Self { sink, locator, wanted, service: 0, resource, scope, taken }
    }

    fn envelope(&mut self, cursor: &mut Cursor<'a>, depth: u32) -> Step<()> {
        let start = *cursor;
        let Some(mut members) = cursor.object()? else { return Ok(()) };
        let mut strange = None;
        let mut found = false;
        while let Some(key) = cursor.key(&mut members)? {
            match &*key {
                key if is_list(key) => {
                    found = true;
                    self.each(cursor, Self::resource_spans)?;
                }
                "trace" | "traces" | "result" if depth < MAX_ENVELOPES => {
                    found = true;
                    self.envelopes(cursor, depth + 1)?;
                }
                "scopeSpans" | "scope_spans" | "instrumentationLibrarySpans" | "instrumentation_library_spans" => {
                    // A bare `ResourceSpans`.
                    *cursor = start;
                    return self.resource_spans(cursor);
                }
                _ => {
                    strange.get_or_insert(key);
                    cursor.skip()?;
                }
            }
        }
        if let (false, Some(key), 0) = (found, strange, depth) {
            if matches!(&*key, "resourceLogs" | "resource_logs" | "resourceMetrics" | "resource_metrics") {
                self.sink.report.n_other_signals += 1;
                return Ok(());
            }
            let place = self.locator.place(start.position());
            self.sink.skip(place, format!("found an object with `{key}`, expected `resourceSpans`"));
        }
        Ok(())
    }

    fn envelopes(&mut self, cursor: &mut Cursor<'a>, depth: u32) -> Step<()> {
        if cursor.kind()? != Kind::Array {
            return self.envelope(cursor, depth);
        }
        let Some(mut elements) = cursor.array()? else { return Ok(()) };
        while cursor.element(&mut elements)? {
            self.envelope(cursor, depth)?;
        }
        Ok(())
    }

    /// Reads each element of the array that comes next; what is no object is skipped and counted.
    fn each(&mut self, cursor: &mut Cursor<'a>, read: fn(&mut Self, &mut Cursor<'a>) -> Step<()>) -> Step<()> {
        let kind = cursor.kind()?;
        if !matches!(kind, Kind::Array | Kind::Null) {
            let place = self.locator.place(cursor.position());
            self.sink.skip(place, format!("found {}, expected an array", kind.describe()));
        }
        let Some(mut elements) = cursor.array()? else { return Ok(()) };
        while cursor.element(&mut elements)? {
            match cursor.kind()? {
                Kind::Object => read(self, cursor)?,
                kind => {
                    let place = self.locator.place(cursor.position());
                    self.sink.skip(place, format!("found {}, expected an object", kind.describe()));
                    cursor.skip()?;
                }
            }
        }
        Ok(())
    }

    fn resource_spans(&mut self, cursor: &mut Cursor<'a>) -> Step<()> {
        let Some(mut members) = cursor.object()? else { return Ok(()) };
        let mut seen_resource = false;
        let mut waiting = Vec::new();
        self.resource = SharedAttributes::default();
        self.service = self.sink.batch.names.intern(values::UNKNOWN_SERVICE);
        while let Some(key) = cursor.key(&mut members)? {
            match &*key {
                "resource" => {
                    self.read_resource(cursor)?;
                    seen_resource = true;
                }
                "scopeSpans" | "scope_spans" | "instrumentationLibrarySpans" | "instrumentation_library_spans" => {
                    if seen_resource {
                        self.each(cursor, Self::scope_spans)?;
                    } else {
                        waiting.push(*cursor);
                        cursor.skip()?;
                    }
                }
                _ => cursor.skip()?,
            }
        }
        waiting.into_iter().try_for_each(|mut place| self.each(&mut place, Self::scope_spans))
    }

    fn read_resource(&mut self, cursor: &mut Cursor<'a>) -> Step<()> {
        let Some(mut members) = cursor.object()? else { return Ok(()) };
        while let Some(key) = cursor.key(&mut members)? {
            if key != "attributes" {
                cursor.skip()?;
                continue;
            }
            attributes(cursor, &mut |key, cursor| {
                let wants = self.sink.wants(&key);
                if key != "service.name" && !wants {
                    return cursor.skip();
                }
                let Some(value) = any_value(cursor)? else { return Ok(()) };
                if let ("service.name", Value::String(name)) = (&*key, &value)
                    && !name.is_empty()
                {
                    self.service = self.sink.batch.names.intern(name);
                }
                if wants {
                    let value = value.intern(&mut self.sink.batch);
                    self.resource.add(&mut self.sink.batch, AttributeScope::Resource, &key, value);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn scope_spans(&mut self, cursor: &mut Cursor<'a>) -> Step<()> {
        let Some(mut members) = cursor.object()? else { return Ok(()) };
        let mut ready = !self.wanted.scope;
        let mut waiting = Vec::new();
        self.scope = SharedAttributes::default();
        while let Some(key) = cursor.key(&mut members)? {
            match &*key {
                "scope" | "instrumentationLibrary" | "instrumentation_library" if self.wanted.scope => {
                    self.read_scope(cursor)?;
                    ready = true;
                }
                "spans" if ready => self.each(cursor, Self::span)?,
                "spans" => {
                    waiting.push(*cursor);
                    cursor.skip()?;
                }
                _ => cursor.skip()?,
            }
        }
        waiting.into_iter().try_for_each(|mut place| self.each(&mut place, Self::span))
    }

    fn read_scope(&mut self, cursor: &mut Cursor<'a>) -> Step<()> {
        let Some(mut members) = cursor.object()? else { return Ok(()) };
        while let Some(key) = cursor.key(&mut members)? {
            let key = match &*key {
                "name" => schema::SCOPE_NAME,
                "version" => schema::SCOPE_VERSION,
                _ => {
                    cursor.skip()?;
                    continue;
                }
            };
            let text = cursor.text()?.unwrap_or_default();
            if !text.is_empty() && self.sink.wants(key) {
                let value = Value::String(text).intern(&mut self.sink.batch);
                self.scope.add(&mut self.sink.batch, AttributeScope::Span, key, value);
            }
        }
        Ok(())
    }

    fn span(&mut self, cursor: &mut Cursor<'a>) -> Step<()> {
        let start = cursor.position();
        let fields = self.fields(cursor)?;
        if let Some((field, found, expected)) = fields.wrong {
            let reason = format!("span's `{field}`: found {}, expected {expected}", found.describe());
            self.sink.skip(self.locator.place(start), reason);
            return Ok(());
        }
        let batch = &mut self.sink.batch;
        let start_ns = fields.start_ns.filter(|&start| start != 0);
        let end_ns = fields.end_ns.filter(|&end| end != 0);
        let raw = RawSpan {
            trace: fields.trace_id.and_then(|id| id.trace(batch)),
            span_id: fields.span_id.and_then(|id| id.span(batch)),
            parent_span_id: fields.parent_span_id.and_then(|id| id.span(batch)),
            service: self.service,
            operation: batch.names.intern(&fields.name),
            kind: fields.kind,
            status: fields.status,
            start_unix_ns: start_ns,
            duration_ns: end_ns.and_then(|end| end.checked_sub(start_ns?)),
        };
        let Some(row) = self.sink.push(raw) else { return Ok(()) };
        if !self.wanted.any {
            return Ok(());
        }
        self.resource.give_to(&mut self.sink.batch, row);
        for (key, value) in self.taken.drain(..) {
            self.sink.batch.attribute(row, AttributeScope::Span, &key, value);
        }
        self.scope.give_to(&mut self.sink.batch, row);
        if let (true, Some(mut place)) = (self.wanted.exceptions, fields.events) {
            self.events(&mut place, row)?;
        }
        values::give_text(self.sink, row, schema::TRACESTATE, &fields.tracestate);
        values::give_text(self.sink, row, schema::STATUS_DESCRIPTION, &fields.message);
        Ok(())
    }

    /// The members of the span, an object, that comes next; its attributes are taken.
    fn fields(&mut self, cursor: &mut Cursor<'a>) -> Step<Fields<'a>> {
        let mut fields = Fields::default();
        self.taken.clear();
        let Some(mut members) = cursor.object()? else { return Ok(fields) };
        while let Some(key) = cursor.key(&mut members)? {
            match &*key {
                "traceId" | "trace_id" | "traceID" => fields.trace_id = fields.id(cursor, "traceId")?,
                "spanId" | "span_id" | "spanID" => fields.span_id = fields.id(cursor, "spanId")?,
                "parentSpanId" | "parent_span_id" | "parentSpanID" => {
                    fields.parent_span_id = fields.id(cursor, "parentSpanId")?;
                }
                "name" => fields.name = fields.scalar(cursor, "name", "a string")?.unwrap_or_default(),
                "traceState" | "trace_state" => fields.tracestate = cursor.text()?.unwrap_or_default(),
                "kind" => {
                    let kind = fields.scalar(cursor, "kind", "a name or a number")?;
                    fields.kind = kind.map_or(SpanKind::Unspecified, |kind| SpanKind::parse(&kind));
                }
                "startTimeUnixNano" | "start_time_unix_nano" => {
                    fields.start_ns = fields.time(cursor, "startTimeUnixNano")?;
                }
                "endTimeUnixNano" | "end_time_unix_nano" => fields.end_ns = fields.time(cursor, "endTimeUnixNano")?,
                "status" => fields.read_status(cursor)?,
                "attributes" if self.wanted.any => take_wanted(cursor, self.sink, &mut self.taken)?,
                "events" => {
                    fields.events = Some(*cursor);
                    cursor.skip()?;
                }
                _ => cursor.skip()?,
            }
        }
        Ok(fields)
    }

    fn give(&mut self, row: u32, key: &str, cursor: &mut Cursor<'a>) -> Step<()> {
        if !self.sink.wants(key) {
            return cursor.skip();
        }
        if let Some(value) = any_value(cursor)? {
            let value = value.intern(&mut self.sink.batch);
            self.sink.batch.attribute(row, AttributeScope::Span, key, value);
        }
        Ok(())
    }

    /// Gives the span the type and message of its first exception event, and whether it escaped.
    fn events(&mut self, cursor: &mut Cursor<'a>, row: u32) -> Step<()> {
        let Some(mut elements) = cursor.array()? else { return Ok(()) };
        while cursor.element(&mut elements)? {
            let Some(mut members) = cursor.object()? else { continue };
            let (mut exception, mut place) = (false, None);
            while let Some(key) = cursor.key(&mut members)? {
                match &*key {
                    "name" => exception = cursor.text()?.is_some_and(|name| name == "exception"),
                    "attributes" => {
                        place = Some(*cursor);
                        cursor.skip()?;
                    }
                    _ => cursor.skip()?,
                }
            }
            if let (true, Some(mut place)) = (exception, place) {
                attributes(&mut place, &mut |key, cursor| match &*key {
                    values::EXCEPTION_TYPE | values::EXCEPTION_MESSAGE | values::EXCEPTION_ESCAPED => {
                        self.give(row, &key, cursor)
                    }
                    _ => cursor.skip(),
                })?;
            }
        }
        Ok(())
    }
}

/// A span's members; what is costly stays where it is, as a cursor.
#[derive(Default)]
struct Fields<'a> {
    trace_id: Option<Id<'a>>,
    span_id: Option<Id<'a>>,
    parent_span_id: Option<Id<'a>>,
    name: Cow<'a, str>,
    tracestate: Cow<'a, str>,
    message: Cow<'a, str>,
    kind: SpanKind,
    status: SpanStatus,
    start_ns: Option<i128>,
    end_ns: Option<i128>,
    events: Option<Cursor<'a>>,
    /// Field, type found and type expected of the first member that cannot be what it should be.
    wrong: Option<(&'static str, Kind, &'static str)>,
}

impl<'a> Fields<'a> {
    fn scalar(
        &mut self,
        cursor: &mut Cursor<'a>,
        field: &'static str,
        expected: &'static str,
    ) -> Step<Option<Cow<'a, str>>> {
        let found = cursor.kind()?;
        if matches!(found, Kind::Object | Kind::Array | Kind::Bool) {
            self.wrong.get_or_insert((field, found, expected));
        }
        cursor.text()
    }

    fn time(&mut self, cursor: &mut Cursor<'a>, field: &'static str) -> Step<Option<i128>> {
        // Of all times from 2001 to 2286.
        if let Some(time) = cursor.fixed::<19, _>(|digits| values::small(digits)) {
            return Ok(Some(time.into()));
        }
        let text = self.scalar(cursor, field, "nanoseconds since 1970")?;
        Ok(text.and_then(|text| values::scaled(&text, 1)))
    }

    /// An id; the byte array that some exporters write becomes hex.
    fn id(&mut self, cursor: &mut Cursor<'a>, field: &'static str) -> Step<Option<Id<'a>>> {
        match cursor.kind()? {
            Kind::String if field == "traceId" => return Id::of_trace(cursor).map(Some),
            Kind::String => return Id::of_span(cursor).map(Some),
            Kind::Null => {}
            Kind::Array => return self.id_bytes(cursor, field).map(|hex| Some(Id::Text(Cow::Owned(hex)))),
            found => {
                self.wrong.get_or_insert((field, found, "hex digits in a string"));
            }
        }
        cursor.skip().map(|()| None)
    }

    fn id_bytes(&mut self, cursor: &mut Cursor<'a>, field: &'static str) -> Step<String> {
        let mut hex = String::new();
        let Some(mut elements) = cursor.array()? else { return Ok(hex) };
        while cursor.element(&mut elements)? {
            let found = cursor.kind()?;
            let byte = cursor.text()?.and_then(|text| text.parse::<u8>().ok());
            match byte {
                Some(byte) if hex.len() < 32 => _ = write!(hex, "{byte:02x}"),
                _ => _ = self.wrong.get_or_insert((field, found, "a byte from 0 to 255")),
            }
        }
        Ok(hex)
    }

    fn read_status(&mut self, cursor: &mut Cursor<'a>) -> Step<()> {
        if matches!(cursor.kind()?, Kind::String | Kind::Number) {
            self.status = cursor.text()?.map_or(SpanStatus::Unset, |code| SpanStatus::parse(&code));
            return Ok(());
        }
        let Some(mut members) = cursor.object()? else { return Ok(()) };
        while let Some(key) = cursor.key(&mut members)? {
            match &*key {
                "code" => {
                    let code = self.scalar(cursor, "status.code", "a name or a number")?;
                    self.status = code.map_or(SpanStatus::Unset, |code| SpanStatus::parse(&code));
                }
                "message" => self.message = cursor.text()?.unwrap_or_default(),
                _ => cursor.skip()?,
            }
        }
        Ok(())
    }
}
