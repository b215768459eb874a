//! Ids, numbers and attribute helpers that the text and protobuf parsers share.

use super::Sink;
use super::json::{Cursor, Kind, Step};
use crate::span::{AttributeScope, AttributeSelection, AttributeValue, SpanBatch, SpanId, TraceIds, hex, schema};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use std::borrow::Cow;
use std::fmt::Write as _;

/// Service of spans whose source names none, as OpenTelemetry's SDKs call it.
pub(super) const UNKNOWN_SERVICE: &str = "unknown_service";

/// Largest depth of lists in lists that an attribute's JSON text shows; what is deeper is written as `null`.
pub(super) const MAX_VALUE_DEPTH: u32 = 32;

/// Trace id in hex, base64 (16 bytes: 24 characters, the last two `=`) or any other text.
pub(super) fn trace_id(traces: &mut TraceIds, text: &str) -> Option<u32> {
    match base64_bytes::<16>(text, 24, "==") {
        Some(bytes) => traces.intern_bytes(&bytes),
        None => traces.intern(text),
    }
}

/// Span id in hex, base64 (8 bytes: 12 characters, the last `=`) or any other text.
pub(super) fn span_id(batch: &mut SpanBatch, text: &str) -> Option<SpanId> {
    match base64_bytes::<8>(text, 12, "=") {
        Some(bytes) => SpanId::new(u64::from_be_bytes(bytes)),
        None => batch.span_ids.intern(text),
    }
}

/// An id in JSON.
#[derive(Clone, Debug)]
pub(super) enum Id<'a> {
    /// Of 16 hex digits.
    Half(u64),
    /// Of 32.
    Whole(u128),
    /// In any other form.
    Text(Cow<'a, str>),
}

impl<'a> Id<'a> {
    /// The string that comes next, of a trace.
    pub(super) fn of_trace(cursor: &mut Cursor<'a>) -> Step<Self> {
        cursor.fixed::<32, _>(|digits| hex(digits)).map_or_else(|| Self::of_span(cursor), |id| Ok(Self::Whole(id)))
    }

    /// The string that comes next, of a span, of which 32 digits are kept as they are written.
    pub(super) fn of_span(cursor: &mut Cursor<'a>) -> Step<Self> {
        let half = cursor.fixed::<16, _>(|digits| hex(digits).and_then(|id| u64::try_from(id).ok()));
        half.map_or_else(|| cursor.string().map(Self::Text), |id| Ok(Self::Half(id)))
    }

    /// The string that comes next, or what else may stand for it; `None` for null, objects and arrays.
    pub(super) fn of_any(cursor: &mut Cursor<'a>, is_trace: bool) -> Step<Option<Self>> {
        match (cursor.kind()?, is_trace) {
            (Kind::String, true) => Self::of_trace(cursor).map(Some),
            (Kind::String, false) => Self::of_span(cursor).map(Some),
            _ => Ok(cursor.text()?.map(Self::Text)),
        }
    }

    /// Whether two ids are equal but for leading zeros and case.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let value = |id: &Self| match id {
            Self::Half(id) => Some((*id).into()),
            Self::Whole(id) => Some(*id),
            Self::Text(text) => hex(text.as_bytes()),
        };
        match (self, other) {
            (Self::Text(left), Self::Text(right)) => {
                left.trim_start_matches('0').eq_ignore_ascii_case(right.trim_start_matches('0'))
            }
            _ => value(self) == value(other),
        }
    }

    /// The trace with this id.
    pub(super) fn trace(&self, batch: &mut SpanBatch) -> Option<u32> {
        match self {
            Self::Half(id) => batch.traces.intern_hex((*id).into(), 16),
            Self::Whole(id) => batch.traces.intern_hex(*id, 32),
            Self::Text(text) => trace_id(&mut batch.traces, text),
        }
    }

    /// The span id that this is.
    pub(super) fn span(&self, batch: &mut SpanBatch) -> Option<SpanId> {
        match self {
            Self::Half(id) => SpanId::new(*id),
            Self::Whole(id) => span_id(batch, &format!("{id:032x}")),
            Self::Text(text) => span_id(batch, text),
        }
    }
}

/// Span id as bytes: 8 of them, or fewer to be left-padded; more are kept as hex text.
pub(super) fn span_id_bytes(batch: &mut SpanBatch, bytes: &[u8]) -> Option<SpanId> {
    if bytes.len() <= 8 {
        return SpanId::new(bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)));
    }
    let mut text = String::with_capacity(2 * bytes.len());
    for &byte in bytes {
        text.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')));
    }
    batch.span_ids.intern(&text)
}

fn base64_bytes<const N: usize>(text: &str, length: usize, padding: &str) -> Option<[u8; N]> {
    if text.len() != length || !text.ends_with(padding) {
        return None;
    }
    // `decode_slice` wants room for the estimate, which is the padded length.
    let mut room = [0; 24];
    let n_bytes = STANDARD.decode_slice(text, &mut room).or_else(|_| URL_SAFE.decode_slice(text, &mut room)).ok()?;
    room[..n_bytes].try_into().ok()
}

/// Bytes as the text of an attribute.
pub(super) fn base64_text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Bytes as text, what is no UTF-8 as U+FFFD. Looks for the fault only where there is one, which is much faster.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// A decimal number times `scale`, exact for plain decimals, by way of `f64` with an exponent; `None` for other text.
pub(super) fn scaled(text: &str, scale: i128) -> Option<i128> {
    let text = text.trim();
    // Nearly all are plain numbers of few digits: nanoseconds since 1970 have 19.
    if text.len() <= 19
        && let Some(value) = small(text.as_bytes())
    {
        return i128::from(value).checked_mul(scale);
    }
    if let Ok(value) = text.parse::<i128>() {
        return value.checked_mul(scale);
    }
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let exact = digits.split_once('.').and_then(|(whole, fraction)| {
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        // Digits beyond 1e-18 of the unit are far below a nanosecond.
        let fraction = &fraction[..fraction.len().min(18)];
        let unit = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
        let part = fraction.parse::<i128>().ok()?.checked_mul(scale)?;
        whole.parse::<i128>().ok()?.checked_mul(scale)?.checked_add((part + unit / 2) / unit)
    });
    if let Some(value) = exact {
        return Some(if negative { -value } else { value });
    }
    #[expect(clippy::cast_possible_truncation, reason = "the bound is checked")]
    text.parse::<f64>()
        .ok()
        .map(|value| value * scale as f64)
        .filter(|value| value.abs() < 1e37)
        .map(|value| value as i128)
}

/// The number that up to 19 digits, which fit 64 bits, stand for.
pub(super) fn small(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then_some(value * 10 + u64::from(digit))
    })
}

/// Which of the things beyond plain attributes the selection asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Any attribute at all; if not, attributes are passed over unread.
    pub(super) any: bool,
    pub(super) scope: bool,
    pub(super) exceptions: bool,
}

impl Wanted {
    pub(super) fn new(selection: &AttributeSelection) -> Self {
        Self {
            any: wants_any(selection),
            scope: selection.wants(schema::SCOPE_NAME) || selection.wants(schema::SCOPE_VERSION),
            exceptions: [EXCEPTION_TYPE, EXCEPTION_MESSAGE, EXCEPTION_ESCAPED].iter().any(|key| selection.wants(key)),
        }
    }
}

/// Whether the selection asks for any attribute at all.
pub(super) fn wants_any(selection: &AttributeSelection) -> bool {
    !matches!(selection, AttributeSelection::Keys(keys) if keys.is_empty())
}

/// Attribute of exception events and failed spans.
pub(super) const EXCEPTION_TYPE: &str = "exception.type";
/// Attribute of exception events and failed spans.
pub(super) const EXCEPTION_MESSAGE: &str = "exception.message";
/// Attribute of exception events that left the span's scope.
pub(super) const EXCEPTION_ESCAPED: &str = "exception.escaped";

/// Attributes shared by many spans: decoded once, given to each span's row.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedAttributes(Vec<(u32, AttributeValue)>);

impl SharedAttributes {
    pub(super) fn add(&mut self, batch: &mut SpanBatch, scope: AttributeScope, key: &str, value: AttributeValue) {
        self.0.push((batch.attributes.column_index(scope, key), value));
    }

    pub(super) fn give_to(&self, batch: &mut SpanBatch, row: u32) {
        for &(column, value) in &self.0 {
            batch.attributes.push(column, row, value);
        }
    }
}

/// Gives a span a string attribute if the selection wants it and the value is not empty.
pub(super) fn give_text(sink: &mut Sink, row: u32, key: &str, value: &str) {
    if !value.is_empty() && sink.wants(key) {
        sink.batch.string_attribute(row, AttributeScope::Span, key, value);
    }
}

/// Appends `text` as a JSON string.
pub(super) fn write_json_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                out.push_str("\\u00");
                let code = u32::from(control);
                out.extend([code >> 4, code & 15].map(|digit| char::from_digit(digit, 16).unwrap_or('0')));
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
}

/// Appends a double as JSON, which has no word for infinities and NaN: they become strings, as protobuf writes them.
pub(super) fn write_json_double(out: &mut String, value: f64) {
    if value.is_finite() {
        _ = write!(out, "{value:?}");
    } else {
        write_json_string(
            out,
            if value.is_nan() {
                "NaN"
            } else if value > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            },
        );
    }
}

/// An attribute's value as a parser reads it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    String(Cow<'a, str>),
    Int(i64),
    Double(f64),
    Bool(bool),
    Json(String),
}

impl Value<'_> {
    /// The value with its text interned in the batch.
    pub(super) fn intern(&self, batch: &mut SpanBatch) -> AttributeValue {
        match self {
            Self::String(text) => AttributeValue::String(batch.attributes.values.intern(text)),
            Self::Json(text) => AttributeValue::Json(batch.attributes.values.intern(text)),
            Self::Int(value) => AttributeValue::Int(*value),
            Self::Double(value) => AttributeValue::Double(*value),
            Self::Bool(value) => AttributeValue::Bool(*value),
        }
    }

    /// The number as written: an integer if it is one that fits, else a double, else the text itself.
    pub(super) fn number(text: &str) -> Value<'_> {
        match (text.parse(), text.parse()) {
            (Ok(value), _) => Value::Int(value),
            (_, Ok(value)) => Value::Double(value),
            _ => Value::String(Cow::Borrowed(text)),
        }
    }

    /// Appends the value as plain JSON.
    pub(super) fn write_json(&self, out: &mut String) {
        match self {
            Self::String(text) => write_json_string(out, text),
            Self::Json(text) => out.push_str(text),
            Self::Int(value) => out.push_str(&value.to_string()),
            Self::Double(value) => write_json_double(out, *value),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        }
    }
}
