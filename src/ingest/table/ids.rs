//! Ids as tables write them: hex text, bytes, integers, and the many spellings of "no parent".

use super::cell::Cell;
use crate::span::{SpanId, SpanIdTexts, TraceIds};

/// A trace id from text, from bytes or from an integer; bytes that are all hex digits are text of a writer without types.
pub(super) fn trace_id(traces: &mut TraceIds, cell: Cell<'_>) -> Option<u32> {
    match cell {
        Cell::Str(text) => traces.intern(text),
        Cell::Bytes(bytes) => match text_of_id(bytes) {
            Some(text) => traces.intern(text),
            None => traces.intern_bytes(bytes),
        },
        other => integer(other).and_then(|value| traces.intern_bytes(&value.to_be_bytes())),
    }
}

/// A span id, read as [`trace_id`] reads a trace's.
pub(super) fn span_id(ids: &mut SpanIdTexts, cell: Cell<'_>) -> Option<SpanId> {
    match cell {
        Cell::Str(text) => ids.intern(text),
        Cell::Bytes(bytes) => match (text_of_id(bytes), <[u8; 8]>::try_from(bytes)) {
            (Some(text), _) => ids.intern(text),
            (None, Ok(bytes)) => SpanId::new(u64::from_be_bytes(bytes)),
            (None, Err(_)) => ids.intern(&hex(bytes)),
        },
        other => integer(other).and_then(SpanId::new),
    }
}

/// A parent's id; the many spellings of "none" are `None`.
pub(super) fn parent_span_id(ids: &mut SpanIdTexts, cell: Cell<'_>) -> Option<SpanId> {
    if let Cell::Str(text) = cell {
        let text = text.trim();
        if ["root", "null", "none", "nan", "\\N", "-1"].iter().any(|none| text.eq_ignore_ascii_case(none)) {
            return None;
        }
    }
    span_id(ids, cell)
}

/// Ids of 16 bytes and more that are all hex digits, and shorter ones of another length than 8, are text.
fn text_of_id(bytes: &[u8]) -> Option<&str> {
    let texty = if bytes.len() >= 16 { bytes.iter().all(u8::is_ascii_hexdigit) } else { bytes.len() != 8 };
    let printable = bytes.iter().all(u8::is_ascii_graphic);
    let dashed = bytes.len() > 16 && printable;
    ((texty && printable) || dashed).then(|| std::str::from_utf8(bytes).ok()).flatten()
}

/// A whole number of up to 64 bits, negative ones by their bits.
pub(super) fn integer(cell: Cell<'_>) -> Option<u64> {
    match cell {
        Cell::Int(value) => Some(value.cast_unsigned()),
        Cell::UInt(value) => Some(value),
        // A column of integers with gaps, as pandas stores it.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be a whole number below 2^53"
        )]
        Cell::Double(value) if value.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&value) => {
            Some(value as u64)
        }
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a `String` cannot fail.
        _ = write!(text, "{byte:02x}");
        text
    })
}
