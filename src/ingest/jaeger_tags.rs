//! Jaeger's tags, as a list of typed keys and values or, in Elasticsearch, as an object.

use super::json::{Cursor, Kind, Step};
use super::shapes::Shapes;
use super::values::Value;
use crate::span::{SpanKind, SpanStatus, schema};
use std::borrow::Cow;

/// A tag's value with its declared type.
#[derive(Debug)]
pub(super) struct Tag<'a> {
    kind: Kind,
    /// Of a scalar.
    text: Option<Cow<'a, str>>,
    place: Cursor<'a>,
    declared: Option<Cow<'a, str>>,
}

/// What comes between key and value of a scalar.
const MEMBERS: [&str; 4] = [
    "\",\"type\":\"string\",\"value\":",
    "\",\"type\":\"int64\",\"value\":",
    "\",\"type\":\"bool\",\"value\":",
    "\",\"type\":\"float64\",\"value\":",
];
/// The types that these declare.
const TYPES: [&str; 4] = ["string", "int64", "bool", "float64"];

/// Calls `take` with each key and value of the tags that come next.
pub(super) fn each_tag<'a>(
    cursor: &mut Cursor<'a>,
    shapes: &mut Shapes,
    mut take: impl FnMut(Cow<'a, str>, Tag<'a>) -> Step<()>,
) -> Step<()> {
    if cursor.kind()? == Kind::Object {
        let Some(mut members) = cursor.object()? else { return Ok(()) };
        while let Some(key) = cursor.key(&mut members)? {
            // Jaeger writes dots as `@`, for Elasticsearch would nest them.
            let key = if key.contains('@') { Cow::Owned(key.replace('@', ".")) } else { key };
            take(key, Tag::read(cursor)?)?;
        }
        return Ok(());
    }
    let Some(mut elements) = cursor.array()? else { return Ok(()) };
    while cursor.element(&mut elements)? {
        let start = *cursor;
        if let Some((key, member)) = shapes.pass(cursor) {
            let tag = Tag { declared: Some(Cow::Borrowed(TYPES[member])), ..Tag::read(cursor)? };
            if cursor.pass(b'}') {
                take(Cow::Borrowed(key), tag)?;
                continue;
            }
            *cursor = start;
        }
        let Some(mut members) = cursor.object()? else { continue };
        let (mut name, mut declared, mut value) = (None, None, None);
        while let Some(key) = cursor.key(&mut members)? {
            match &*key {
                "key" => name = cursor.text()?,
                "type" => declared = cursor.text()?,
                "value" => value = Some(Tag::read(cursor)?),
                _ => cursor.skip()?,
            }
        }
        if let (Some(name), Some(value)) = (name, value) {
            shapes.learn(start.rest(), &name, &MEMBERS);
            take(name, Tag { declared, ..value })?;
        }
    }
    Ok(())
}

impl<'a> Tag<'a> {
    /// The value that comes next, of no declared type.
    fn read(cursor: &mut Cursor<'a>) -> Step<Self> {
        let (kind, place) = (cursor.kind()?, *cursor);
        Ok(Self { kind, text: cursor.text()?, place, declared: None })
    }

    /// The value as text; `None` for lists and objects.
    pub(super) fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The value with its declared type, or the type that it has in JSON; `None` for null.
    pub(super) fn value(&self) -> Step<Option<Value<'a>>> {
        if matches!(self.kind, Kind::Object | Kind::Array) {
            let mut cursor = self.place;
            return super::otlp_value::any_value(&mut cursor);
        }
        let Some(text) = &self.text else { return Ok(None) };
        let declared = self.declared.as_deref().unwrap_or(match self.kind {
            Kind::Bool => "bool",
            Kind::Number => "number",
            _ => "string",
        });
        let typed = match declared {
            "bool" => text.parse().ok().map(Value::Bool),
            "int64" => text.parse().ok().map(Value::Int),
            "float64" => text.parse().ok().map(Value::Double),
            "number" => match (text.parse(), text.parse()) {
                (Ok(value), _) => Some(Value::Int(value)),
                (_, Ok(value)) => Some(Value::Double(value)),
                _ => None,
            },
            _ => None,
        };
        Ok(Some(typed.unwrap_or_else(|| Value::String(text.clone()))))
    }
}

/// What tags say about a span beyond its attributes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    pub(super) kind: SpanKind,
    pub(super) status_code: SpanStatus,
    pub(super) error: bool,
}

impl Facts {
    /// Whether a tag says something about a span beyond its attributes.
    pub(super) fn are_told_by(key: &str) -> bool {
        matches!(key, "span.kind" | "otel.status_code" | "error")
    }

    /// Takes note of a tag.
    pub(super) fn note(&mut self, key: &str, text: Option<&str>) {
        match (key, text) {
            ("span.kind", Some(text)) => self.kind = SpanKind::parse(text),
            ("otel.status_code", Some(text)) => self.status_code = SpanStatus::parse(text),
            ("error", Some(text)) => self.error |= text.eq_ignore_ascii_case("true"),
            _ => {}
        }
    }

    /// Attribute key of a tag, `None` if kind and status say all that it says.
    pub(super) fn attribute<'k>(key: &'k str, text: Option<&str>) -> Option<&'k str> {
        match key {
            "span.kind" => text.is_none_or(|text| SpanKind::parse(text) == SpanKind::Unspecified).then_some(key),
            "otel.status_code" => None,
            "error" => {
                let plain = |text: &str| ["true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word));
                (!text.is_some_and(plain)).then_some(key)
            }
            "otel.library.name" => Some(schema::SCOPE_NAME),
            "otel.library.version" => Some(schema::SCOPE_VERSION),
            _ => Some(key),
        }
    }
}

/// A span's logs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Logs<'a>(Cursor<'a>);

/// Type and message of an exception and whether it escaped; empty where they are not told.
#[derive(Debug, Default)]
pub(super) struct Exception<'a> {
    pub(super) kind: Cow<'a, str>,
    pub(super) message: Cow<'a, str>,
    pub(super) escaped: Cow<'a, str>,
}

impl<'a> Logs<'a> {
    /// The logs that come next.
    pub(super) fn new(cursor: Cursor<'a>) -> Self {
        Self(cursor)
    }

    /// The first exception that is logged, in OpenTelemetry's words or in `OpenTracing`'s.
    pub(super) fn exception(&self, shapes: &mut Shapes) -> Step<Exception<'a>> {
        let mut cursor = self.0;
        let Some(mut elements) = cursor.array()? else { return Ok(Exception::default()) };
        while cursor.element(&mut elements)? {
            let Some(mut members) = cursor.object()? else { continue };
            let mut found = None;
            while let Some(key) = cursor.key(&mut members)? {
                if key == "fields" {
                    found = Self::event(&mut cursor, shapes)?;
                } else {
                    cursor.skip()?;
                }
            }
            if let Some(exception) = found {
                return Ok(exception);
            }
        }
        Ok(Exception::default())
    }

    fn event(cursor: &mut Cursor<'a>, shapes: &mut Shapes) -> Step<Option<Exception<'a>>> {
        let (mut is_exception, mut exception) = (false, Exception::default());
        let mut plain_message = Cow::Borrowed("");
        each_tag(cursor, shapes, |key, tag| {
            let text = tag.text.unwrap_or_default();
            match &*key {
                "event" => is_exception |= matches!(&*text, "error" | "exception"),
                super::values::EXCEPTION_TYPE | "error.kind" => exception.kind = text,
                super::values::EXCEPTION_MESSAGE => exception.message = text,
                super::values::EXCEPTION_ESCAPED => exception.escaped = text,
                "error.object" | "message" if plain_message.is_empty() => plain_message = text,
                _ => {}
            }
            Ok(())
        })?;
        if exception.message.is_empty() {
            exception.message = plain_message;
        }
        Ok(is_exception.then_some(exception))
    }
}
