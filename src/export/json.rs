//! Pieces of JSON.

use super::Value;
use std::io::Write;

/// A string with quotes and escapes.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    // Writing to a `Vec` cannot fail.
    _ = serde_json::to_writer(out, text);
}

/// A value as a string.
pub(super) fn value_text(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Text(value) => text(out, value),
        Value::Int(value) => _ = write!(out, "\"{value}\""),
    }
}

/// An object of strings.
pub(super) fn object<'a>(out: &mut Vec<u8>, members: impl Iterator<Item = (&'static str, Value<'a>)>) {
    out.push(b'{');
    for (index, (key, value)) in members.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        text(out, key);
        out.push(b':');
        value_text(out, &value);
    }
    out.push(b'}');
}
