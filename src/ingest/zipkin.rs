//! Zipkin's JSON, version 2: a list of spans, or a list of traces that are lists of spans.
//!
//! A `shared` span is the server's half of a call and has the id of the client's half; both are kept as they are.

use super::json::{Cursor, Kind, Step};
use super::records::Locator;
use super::values::{self, Id, Value};
use super::{RawSpan, Sink};
use crate::span::{AttributeScope, SpanKind, SpanStatus};
use std::borrow::Cow;

/// Zipkin counts microseconds.
const NS_PER_US: i128 = 1000;

/// Reads the span, an object, that comes next.
pub(super) fn read_span(cursor: &mut Cursor, sink: &mut Sink, locator: Locator) -> Step<()> {
    let start = cursor.position();
    let fields = Fields::read(cursor)?;
    if let Some((field, found, expected)) = fields.wrong {
        let reason = format!("span's `{field}`: found {}, expected {expected}", found.describe());
        sink.skip(locator.place(start), reason);
        return Ok(());
    }
    let times = fields.annotations.map(Annotations::read).transpose()?.unwrap_or_default();
    let kind = if fields.kind == SpanKind::Unspecified { times.kind() } else { fields.kind };
    let batch = &mut sink.batch;
    let service = match &fields.local.service {
        Some(name) if !name.is_empty() => batch.names.intern(name),
        _ => batch.names.intern(values::UNKNOWN_SERVICE),
    };
    // A span that does not say how long it took - one-way messages, spans that nobody finished - is kept for its children's
    // sake: `normalize` lets it last as long as they do.
    let unknown = 0;
    let raw = RawSpan {
        trace: fields.trace_id.and_then(|id| id.trace(batch)),
        span_id: fields.span_id.and_then(|id| id.span(batch)),
        parent_span_id: fields.parent_span_id.and_then(|id| id.span(batch)),
        service,
        operation: batch.names.intern(&fields.name),
        kind,
        status: if fields.tags.iter().any(|(key, _)| key == "error") { SpanStatus::Error } else { SpanStatus::Unset },
        start_unix_ns: fields.start_ns.filter(|&start| start != 0).or(times.earliest),
        duration_ns: fields.duration_ns.or_else(|| times.duration()).or(Some(unknown)),
    };
    let Some(row) = sink.push(raw) else { return Ok(()) };
    if !values::wants_any(sink.attributes) {
        return Ok(());
    }
    for (key, text) in fields.tags {
        if let Some(text) = text
            && sink.wants(&key)
        {
            let value = Value::String(text).intern(&mut sink.batch);
            sink.batch.attribute(row, AttributeScope::Span, &key, value);
        }
    }
    match (fields.remote.service, fields.remote.address) {
        (Some(name), _) if !name.is_empty() => values::give_text(sink, row, "peer.service", &name),
        (_, Some(address)) => values::give_text(sink, row, "network.peer.address", &address),
        _ => {}
    }
    Ok(())
}

/// A span's members; what is costly stays where it is, as a cursor.
#[derive(Default)]
struct Fields<'a> {
    trace_id: Option<Id<'a>>,
    span_id: Option<Id<'a>>,
    parent_span_id: Option<Id<'a>>,
    name: Cow<'a, str>,
    kind: SpanKind,
    start_ns: Option<i128>,
    duration_ns: Option<i128>,
    local: Endpoint<'a>,
    remote: Endpoint<'a>,
    annotations: Option<Cursor<'a>>,
    /// Keys and values, `None` for what is no scalar.
    tags: Vec<(Cow<'a, str>, Option<Cow<'a, str>>)>,
    /// Field, type found and type expected of the first member that cannot be what it should be.
    wrong: Option<(&'static str, Kind, &'static str)>,
}

impl<'a> Fields<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Step<Self> {
        let mut fields = Self::default();
        let Some(mut members) = cursor.object()? else { return Ok(fields) };
        while let Some(key) = cursor.key(&mut members)? {
            match &*key {
                "traceId" => fields.trace_id = fields.id(cursor, "traceId")?,
                "id" => fields.span_id = fields.id(cursor, "id")?,
                "parentId" => fields.parent_span_id = fields.id(cursor, "parentId")?,
                "name" => fields.name = fields.scalar(cursor, "name", "a string")?.unwrap_or_default(),
                "kind" => {
                    let kind = fields.scalar(cursor, "kind", "a name")?;
                    fields.kind = kind.map_or(SpanKind::Unspecified, |kind| SpanKind::parse(&kind));
                }
                "timestamp" => fields.start_ns = fields.microseconds(cursor, "timestamp")?,
                "duration" => fields.duration_ns = fields.microseconds(cursor, "duration")?,
                "localEndpoint" => fields.local = Endpoint::read(cursor)?,
                "remoteEndpoint" => fields.remote = Endpoint::read(cursor)?,
                "annotations" => {
                    fields.annotations = Some(*cursor);
                    cursor.skip()?;
                }
                "tags" => {
                    fields.tags.clear();
                    let Some(mut members) = cursor.object()? else { continue };
                    while let Some(key) = cursor.key(&mut members)? {
                        fields.tags.push((key, cursor.text()?));
                    }
                }
                _ => cursor.skip()?,
            }
        }
        Ok(fields)
    }

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

    fn id(&mut self, cursor: &mut Cursor<'a>, field: &'static str) -> Step<Option<Id<'a>>> {
        let found = cursor.kind()?;
        if !matches!(found, Kind::String | Kind::Null) {
            self.wrong.get_or_insert((field, found, "hex digits in a string"));
        }
        Id::of_any(cursor, field == "traceId")
    }

    fn microseconds(&mut self, cursor: &mut Cursor<'a>, field: &'static str) -> Step<Option<i128>> {
        let text = self.scalar(cursor, field, "microseconds")?;
        Ok(text.and_then(|text| values::scaled(&text, NS_PER_US)))
    }
}

#[derive(Default)]
struct Endpoint<'a> {
    service: Option<Cow<'a, str>>,
    address: Option<Cow<'a, str>>,
}

impl<'a> Endpoint<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Step<Self> {
        let mut endpoint = Self::default();
        let Some(mut members) = cursor.object()? else { return Ok(endpoint) };
        while let Some(key) = cursor.key(&mut members)? {
            match &*key {
                "serviceName" => endpoint.service = cursor.text()?,
                "ipv4" => endpoint.address = cursor.text()?,
                "ipv6" => endpoint.address = cursor.text()?.or(endpoint.address),
                _ => cursor.skip()?,
            }
        }
        Ok(endpoint)
    }
}

/// Times of a span's annotations, nanoseconds since the Unix epoch.
#[derive(Default)]
struct Annotations {
    earliest: Option<i128>,
    client: [Option<i128>; 2],
    server: [Option<i128>; 2],
}

impl Annotations {
    fn read(mut cursor: Cursor) -> Step<Self> {
        let mut times = Self::default();
        let Some(mut elements) = cursor.array()? else { return Ok(times) };
        while cursor.element(&mut elements)? {
            let Some(mut members) = cursor.object()? else { continue };
            let (mut time, mut value) = (None, None);
            while let Some(key) = cursor.key(&mut members)? {
                match &*key {
                    "timestamp" => time = cursor.text()?.and_then(|text| values::scaled(&text, NS_PER_US)),
                    "value" => value = cursor.text()?,
                    _ => cursor.skip()?,
                }
            }
            times.earliest = [times.earliest, time].into_iter().flatten().min();
            match value.as_deref() {
                Some("cs") => times.client[0] = time,
                Some("cr") => times.client[1] = time,
                Some("sr") => times.server[0] = time,
                Some("ss") => times.server[1] = time,
                _ => {}
            }
        }
        Ok(times)
    }

    fn kind(&self) -> SpanKind {
        let any = |half: [Option<i128>; 2]| half.iter().any(Option::is_some);
        match (any(self.client), any(self.server)) {
            (true, _) => SpanKind::Client,
            (_, true) => SpanKind::Server,
            _ => SpanKind::Unspecified,
        }
    }

    fn duration(&self) -> Option<i128> {
        [self.client, self.server].into_iter().find_map(|[start, end]| end?.checked_sub(start?))
    }
}
