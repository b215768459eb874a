//! Jaeger's JSON: answers of its API and exports of its UI, and the spans that it stores in Elasticsearch.
//!
//! An API answer is `{"data":[{"traceID":…,"spans":[…],"processes":{…}}]}`; traces without the envelope are read as
//! well. A stored span carries its `process`, may keep its tags in an object, and comes bare, in `{"_source":…}` or in
//! the `hits` of a search. Kind and status travel as tags.

use super::jaeger_tags::{Facts, Logs, Tag, each_tag};
use super::json::{Cursor, Kind, Step};
use super::records::Locator;
use super::values::{self, Id, SharedAttributes, Wanted};
use super::{RawSpan, Sink};
use crate::span::{AttributeScope, SpanStatus};
use hashbrown::HashMap;
use std::borrow::Cow;

/// Jaeger counts microseconds.
const NS_PER_US: i128 = 1000;

/// Envelopes inside envelopes that are followed: `hits` holds `hits` that hold `_source`.
const MAX_ENVELOPES: u32 = 6;

/// Reads the API answer, trace or stored span, an object, that comes next.
pub(super) fn read_document(cursor: &mut Cursor, sink: &mut Sink, locator: Locator) -> Step<()> {
    Reader::new(sink, locator, false).envelope(cursor, 0)
}

/// Reads the trace or stored span, an object in an answer's `data`, that comes next. If it is broken, the spans in the sink are of no use.
pub(super) fn read_listed(cursor: &mut Cursor, sink: &mut Sink, locator: Locator) -> Step<()> {
    Reader::new(sink, locator, true).envelope(cursor, 1)
}

/// Whether an answer's `key` holds its list of traces.
pub(super) fn is_list(key: &str) -> bool {
    key == "data"
}

/// Whether an answer's `key` tells nothing of spans.
pub(super) fn is_idle(key: &str) -> bool {
    !matches!(key, "data" | "hits" | "_source" | "spans" | "spanID" | "operationName")
}

struct Reader<'s, 'o, 'a> {
    sink: &'s mut Sink<'o>,
    locator: Locator,
    wanted: Wanted,
    /// Whether spans of a trace that breaks later may be in the sink.
    is_rash: bool,
    /// Rows whose process comes later, and its id.
    waiting: Vec<(u32, Cow<'a, str>)>,
    /// Tags of the span at hand.
    tags: Vec<(Cow<'a, str>, Tag<'a>)>,
    /// References of the span at hand.
    references: Vec<Reference<'a>>,
}

/// What a span says of another: how it is related, its trace and its id.
#[derive(Default)]
struct Reference<'a> {
    kind: Option<Cow<'a, str>>,
    trace: Option<Id<'a>>,
    span: Option<Id<'a>>,
}

/// The process that spans refer to.
#[derive(Clone, Default)]
struct Process {
    service: u32,
    attributes: SharedAttributes,
}

type Processes<'a> = HashMap<Cow<'a, str>, Process, foldhash::fast::FixedState>;

impl<'s, 'o, 'a> Reader<'s, 'o, 'a> {
    fn new(sink: &'s mut Sink<'o>, locator: Locator, is_rash: bool) -> Self {
        let wanted = Wanted::new(sink.attributes);
        let (waiting, tags, references) = Default::default();
        Self { sink, locator, wanted, is_rash, waiting, tags, references }
    }

    fn envelope(&mut self, cursor: &mut Cursor<'a>, depth: u32) -> Step<()> {
        let start = *cursor;
        let Some(mut members) = cursor.object()? else { return Ok(()) };
        let mut strange = None;
        let mut found = false;
        while let Some(key) = cursor.key(&mut members)? {
            match &*key {
                "data" | "hits" | "_source" if depth < MAX_ENVELOPES => {
                    found = true;
                    self.envelopes(cursor, depth + 1)?;
                }
                "spans" => {
                    *cursor = start;
                    return self.trace(cursor);
                }
                "spanID" | "operationName" => {
                    *cursor = start;
                    return self.span(cursor, None);
                }
                _ => {
                    strange.get_or_insert(key);
                    cursor.skip()?;
                }
            }
        }
        if let (false, Some(key)) = (found, strange) {
            let place = self.locator.place(start.position());
            self.sink.skip(place, format!("found an object with `{key}`, expected a trace with `spans` or a span"));
        }
        Ok(())
    }

    fn envelopes(&mut self, cursor: &mut Cursor<'a>, depth: u32) -> Step<()> {
        match cursor.kind()? {
            Kind::Object => self.envelope(cursor, depth),
            Kind::Array => self.each(cursor, &mut |reader, cursor| reader.envelope(cursor, depth)),
            _ => cursor.skip(),
        }
    }

    /// Reads each object of the array that comes next; other elements are skipped and counted.
    fn each(
        &mut self,
        cursor: &mut Cursor<'a>,
        read: &mut dyn FnMut(&mut Self, &mut Cursor<'a>) -> Step<()>,
    ) -> Step<()> {
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

    fn trace(&mut self, cursor: &mut Cursor<'a>) -> Step<()> {
        let Some(mut members) = cursor.object()? else { return Ok(()) };
        let (mut spans, mut processes) = (Vec::new(), Processes::default());
        while let Some(key) = cursor.key(&mut members)? {
            match &*key {
                // Processes come after the spans that need them.
                "spans" if self.is_rash => self.spans(cursor, &Processes::default())?,
                "spans" => {
                    spans.push(*cursor);
                    cursor.skip()?;
                }
                "processes" => {
                    let Some(mut members) = cursor.object()? else { continue };
                    while let Some(id) = cursor.key(&mut members)? {
                        let process = self.process(cursor)?;
                        processes.insert(id, process);
                    }
                }
                _ => cursor.skip()?,
            }
        }
        spans.into_iter().try_for_each(|mut place| self.spans(&mut place, &processes))?;
        for (row, id) in self.waiting.drain(..) {
            if let Some(process) = processes.get(&id) {
                self.sink.batch.spans.service[row as usize] = process.service;
                process.attributes.give_to(&mut self.sink.batch, row);
            }
        }
        Ok(())
    }

    fn spans(&mut self, cursor: &mut Cursor<'a>, processes: &Processes) -> Step<()> {
        let kind = cursor.kind()?;
        if !matches!(kind, Kind::Array | Kind::Null) {
            let at = self.locator.place(cursor.position());
            self.sink.skip(at, format!("trace's `spans`: found {}, expected an array", kind.describe()));
        }
        self.each(cursor, &mut |reader, cursor| reader.span(cursor, Some(processes)))
    }

    fn process(&mut self, cursor: &mut Cursor<'a>) -> Step<Process> {
        let mut process = Process {
            service: self.sink.batch.names.intern(values::UNKNOWN_SERVICE),
            attributes: SharedAttributes::default(),
        };
        let Some(mut members) = cursor.object()? else { return Ok(process) };
        while let Some(key) = cursor.key(&mut members)? {
            match &*key {
                "serviceName" => {
                    if let Some(name) = cursor.text()?.filter(|name| !name.is_empty()) {
                        process.service = self.sink.batch.names.intern(&name);
                    }
                }
                "tags" | "tag" if self.wanted.any => {
                    let mut tags = Vec::new();
                    each_tag(cursor, &mut self.sink.shapes, |key, tag| {
                        tags.push((key, tag));
                        Ok(())
                    })?;
                    for (key, tag) in tags {
                        if self.sink.wants(&key)
                            && let Some(value) = tag.value()?
                        {
                            let value = value.intern(&mut self.sink.batch);
                            process.attributes.add(&mut self.sink.batch, AttributeScope::Resource, &key, value);
                        }
                    }
                }
                _ => cursor.skip()?,
            }
        }
        Ok(process)
    }

    fn span(&mut self, cursor: &mut Cursor<'a>, processes: Option<&Processes>) -> Step<()> {
        let start = cursor.position();
        let fields = self.fields(cursor)?;
        if let Some((field, found, expected)) = fields.wrong {
            let reason = format!("span's `{field}`: found {}, expected {expected}", found.describe());
            self.sink.skip(self.locator.place(start), reason);
            return Ok(());
        }
        let own = fields.process.map(|mut place| self.process(&mut place)).transpose()?;
        let shared = fields.process_id.as_ref().and_then(|id| processes?.get(id));
        let process = own.as_ref().or(shared);
        let mut facts = Facts::default();
        for (key, tag) in &self.tags {
            if Facts::are_told_by(key) {
                facts.note(key, tag.text());
            }
        }
        let batch = &mut self.sink.batch;
        let parent = fields.parent(&self.references);
        let raw = RawSpan {
            trace: fields.trace_id.as_ref().and_then(|id| id.trace(batch)),
            span_id: fields.span_id.as_ref().and_then(|id| id.span(batch)),
            parent_span_id: parent.and_then(|id| id.span(batch)),
            service: match process {
                Some(process) => process.service,
                None => batch.names.intern(values::UNKNOWN_SERVICE),
            },
            operation: batch.names.intern(&fields.operation),
            kind: facts.kind,
            status: if facts.error { SpanStatus::Error } else { facts.status_code },
            start_unix_ns: fields.start_ns.filter(|&start| start != 0),
            duration_ns: fields.duration_ns,
        };
        let Some(row) = self.sink.push(raw) else { return Ok(()) };
        if let (true, None, Some(id)) = (self.is_rash, process, fields.process_id) {
            self.waiting.push((row, id));
        }
        if !self.wanted.any {
            return Ok(());
        }
        if let Some(process) = process {
            process.attributes.give_to(&mut self.sink.batch, row);
        }
        for (key, tag) in &self.tags {
            let text = if Facts::are_told_by(key) { tag.text() } else { None };
            let Some(key) = Facts::attribute(key, text) else { continue };
            if self.sink.wants(key)
                && let Some(value) = tag.value()?
            {
                let value = value.intern(&mut self.sink.batch);
                self.sink.batch.attribute(row, AttributeScope::Span, key, value);
            }
        }
        if let (true, Some(place)) = (self.wanted.exceptions, fields.logs) {
            let exception = Logs::new(place).exception(&mut self.sink.shapes)?;
            values::give_text(self.sink, row, values::EXCEPTION_TYPE, &exception.kind);
            values::give_text(self.sink, row, values::EXCEPTION_MESSAGE, &exception.message);
            values::give_text(self.sink, row, values::EXCEPTION_ESCAPED, &exception.escaped);
        }
        Ok(())
    }

    /// The members of the span, an object, that comes next, and its tags and references.
    fn fields(&mut self, cursor: &mut Cursor<'a>) -> Step<Fields<'a>> {
        let mut fields = Fields::default();
        self.tags.clear();
        self.references.clear();
        let Some(mut members) = cursor.object()? else { return Ok(fields) };
        while let Some(key) = cursor.key(&mut members)? {
            match &*key {
                "traceID" => fields.trace_id = fields.id(cursor, "traceID")?,
                "spanID" => fields.span_id = fields.id(cursor, "spanID")?,
                "parentSpanID" => {
                    fields.parent_span_id = fields.id(cursor, "parentSpanID")?;
                }
                "operationName" => {
                    fields.operation = fields.scalar(cursor, "operationName", "a string")?.unwrap_or_default();
                }
                "processID" => fields.process_id = cursor.text()?,
                "startTime" => fields.start_ns = fields.microseconds(cursor, "startTime")?,
                "duration" => fields.duration_ns = fields.microseconds(cursor, "duration")?,
                "tags" | "tag" => {
                    let tags = &mut self.tags;
                    each_tag(cursor, &mut self.sink.shapes, |key, tag| {
                        tags.push((key, tag));
                        Ok(())
                    })?;
                }
                "references" => self.read_references(cursor)?,
                "logs" | "process" => {
                    let place = if key == "logs" { &mut fields.logs } else { &mut fields.process };
                    *place = (cursor.kind()? != Kind::Null).then_some(*cursor);
                    cursor.skip()?;
                }
                _ => cursor.skip()?,
            }
        }
        Ok(fields)
    }

    fn read_references(&mut self, cursor: &mut Cursor<'a>) -> Step<()> {
        self.references.clear();
        let Some(mut elements) = cursor.array()? else { return Ok(()) };
        while cursor.element(&mut elements)? {
            let Some(mut members) = cursor.object()? else { continue };
            let mut reference = Reference::default();
            while let Some(key) = cursor.key(&mut members)? {
                match &*key {
                    "refType" => reference.kind = cursor.text()?,
                    "traceID" => reference.trace = Id::of_any(cursor, true)?,
                    "spanID" => reference.span = Id::of_any(cursor, false)?,
                    _ => cursor.skip()?,
                }
            }
            self.references.push(reference);
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
    operation: Cow<'a, str>,
    process_id: Option<Cow<'a, str>>,
    start_ns: Option<i128>,
    duration_ns: Option<i128>,
    logs: Option<Cursor<'a>>,
    process: Option<Cursor<'a>>,
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

    fn id(&mut self, cursor: &mut Cursor<'a>, field: &'static str) -> Step<Option<Id<'a>>> {
        let found = cursor.kind()?;
        if !matches!(found, Kind::String | Kind::Null) {
            self.wrong.get_or_insert((field, found, "hex digits in a string"));
        }
        Id::of_any(cursor, field == "traceID")
    }

    fn microseconds(&mut self, cursor: &mut Cursor<'a>, field: &'static str) -> Step<Option<i128>> {
        let text = self.scalar(cursor, field, "microseconds")?;
        Ok(text.and_then(|text| values::scaled(&text, NS_PER_US)))
    }

    /// Id of the parent: the first `CHILD_OF` reference within the trace, else the first `FOLLOWS_FROM`, else the
    /// deprecated member.
    fn parent<'r>(&'r self, references: &'r [Reference<'a>]) -> Option<&'r Id<'a>> {
        let mut follows = None;
        for reference in references {
            let is_here = match (&reference.trace, &self.trace_id) {
                (Some(trace), Some(own)) => trace.is_same(own),
                (Some(_), None) => false,
                (None, _) => true,
            };
            match (is_here, reference.kind.as_deref()) {
                (true, Some("CHILD_OF") | None) if reference.span.is_some() => return reference.span.as_ref(),
                (true, Some("FOLLOWS_FROM")) => follows = follows.or(reference.span.as_ref()),
                _ => {}
            }
        }
        follows.or(self.parent_span_id.as_ref())
    }
}
