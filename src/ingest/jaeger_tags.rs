//! Jaeger's tags, as a list of typed keys and values or, in Elasticsearch, as an object.

use super::json::{Cursor, Kind, Step};
use super::values::Value;
use crate::span::{SpanKind, SpanStatus, schema};
use std::borrow::Cow;

/// Tags that stand somewhere in the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tags<'a>(Cursor<'a>);

/// A tag's value with its declared type.
pub(super) struct Tag<'a> {
    value: Cursor<'a>,
    declared: Option<Cow<'a, str>>,
}

impl<'a> Tags<'a> {
    /// The tags that come next.
    pub(super) fn new(cursor: Cursor<'a>) -> Self {
        Self(cursor)
    }

    /// Calls `take` with each key and tag.
    pub(super) fn each(&self, mut take: impl FnMut(Cow<'a, str>, Tag<'a>) -> Step<()>) -> Step<()> {
        let mut cursor = self.0;
        if cursor.kind()? == Kind::Object {
            let Some(mut members) = cursor.object()? else { return Ok(()) };
            while let Some(key) = cursor.key(&mut members)? {
                let tag = Tag { value: cursor, declared: None };
                // Jaeger writes dots as `@`, for Elasticsearch would nest them.
                let key = if key.contains('@') { Cow::Owned(key.replace('@', ".")) } else { key };
                take(key, tag)?;
                cursor.skip()?;
            }
            return Ok(());
        }
        let Some(mut elements) = cursor.array()? else { return Ok(()) };
        while cursor.element(&mut elements)? {
            let Some(mut members) = cursor.object()? else { continue };
            let (mut name, mut declared, mut value) = (None, None, None);
            while let Some(key) = cursor.key(&mut members)? {
                match &*key {
                    "key" => name = cursor.text()?,
                    "type" => declared = cursor.text()?,
                    "value" => {
                        value = Some(cursor);
                        cursor.skip()?;
                    }
                    _ => cursor.skip()?,
                }
            }
            if let (Some(name), Some(value)) = (name, value) {
                take(name, Tag { value, declared })?;
            }
        }
        Ok(())
    }
}

impl<'a> Tag<'a> {
    /// The value as text; `None` for lists and objects.
    pub(super) fn text(&self) -> Step<Option<Cow<'a, str>>> {
        let mut cursor = self.value;
        cursor.text()
    }

    /// The value with its declared type, or the type that it has in JSON; `None` for null.
    pub(super) fn value(&self) -> Step<Option<Value<'a>>> {
        let mut cursor = self.value;
        let found = cursor.kind()?;
        if matches!(found, Kind::Object | Kind::Array) {
            return super::otlp_value::any_value(&mut cursor);
        }
        let Some(text) = cursor.text()? else { return Ok(None) };
        let declared = self.declared.as_deref().unwrap_or(match found {
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
        Ok(Some(typed.unwrap_or(Value::String(text))))
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
    pub(super) fn exception(&self) -> Step<Exception<'a>> {
        let mut cursor = self.0;
        let Some(mut elements) = cursor.array()? else { return Ok(Exception::default()) };
        while cursor.element(&mut elements)? {
            let Some(mut members) = cursor.object()? else { continue };
            let mut found = None;
            while let Some(key) = cursor.key(&mut members)? {
                if key == "fields" {
                    found = Self::event(Tags::new(cursor))?;
                }
                cursor.skip()?;
            }
            if let Some(exception) = found {
                return Ok(exception);
            }
        }
        Ok(Exception::default())
    }

    fn event(fields: Tags<'a>) -> Step<Option<Exception<'a>>> {
        let (mut is_exception, mut exception) = (false, Exception::default());
        let mut plain_message = Cow::Borrowed("");
        fields.each(|key, tag| {
            let text = tag.text()?.unwrap_or_default();
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
