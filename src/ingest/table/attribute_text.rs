//! Attributes written as text: JSON objects, `ClickHouse` maps, and plain numbers in CSV.

use super::cell::Cell;
use super::json_value::JsonValue;
use super::rows;
use std::borrow::Cow;

/// Calls `visit` with each attribute in `text`, a JSON object or list of keys and values or a `ClickHouse` map.
pub(super) fn each_entry(text: &str, visit: &mut dyn FnMut(&str, Cell<'_>)) {
    let text = text.trim();
    if let Some(entries) = clickhouse_map(text) {
        for (key, value) in &entries {
            visit(key, Cell::Str(value));
        }
        return;
    }
    match serde_json::from_str::<JsonValue<'_>>(text) {
        Ok(value) => match value.cell() {
            Cell::Object(object) => rows::each_of(object, "", visit),
            Cell::List(list) => rows::pairs(list, visit),
            _ => {}
        },
        // An unreadable map is kept whole, under a key that says so.
        Err(_) if !text.is_empty() => visit("unparsed", Cell::Str(text)),
        Err(_) => {}
    }
}

/// The value of a text of an untyped table: a number or truth value if that prints as the same text again.
pub(super) fn typed(text: &str) -> Cell<'_> {
    match text {
        "true" => return Cell::Bool(true),
        "false" => return Cell::Bool(false),
        _ if !text.as_bytes()[text.len() - 1].is_ascii_digit() => return Cell::Str(text),
        _ => {}
    }
    if let Ok(value) = text.parse::<i64>()
        && value.to_string() == text
    {
        return Cell::Int(value);
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value.to_string() == text => Cell::Double(value),
        _ => Cell::Str(text),
    }
}

type Entries<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The entries of a map as `ClickHouse` prints it: `{'key':'value'}`, quotes and backslashes escaped by a backslash.
fn clickhouse_map(text: &str) -> Option<Entries<'_>> {
    let mut rest = text.strip_prefix('{')?.trim_start();
    let mut entries = Vec::new();
    if rest == "}" && text.len() > 2 {
        return Some(entries);
    }
    while rest.starts_with('\'') {
        let key;
        (key, rest) = quoted(rest)?;
        rest = rest.trim_start().strip_prefix(':')?.trim_start();
        let value;
        (value, rest) = if rest.starts_with('\'') {
            quoted(rest)?
        } else {
            let end = rest.find([',', '}'])?;
            (Cow::Borrowed(rest[..end].trim_end()), &rest[end..])
        };
        entries.push((key, value));
        rest = rest.trim_start();
        match rest.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None => return (rest == "}").then_some(entries),
        }
    }
    None
}

/// The string that `text` begins with, in single quotes, and what follows it.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let inner = text.strip_prefix('\'')?;
    let mut owned: Option<String> = None;
    let mut copied = 0;
    let mut bytes = inner.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\'' if inner[at + 1..].starts_with('\'') => {
                // A doubled quote, as SQL escapes it.
                owned.get_or_insert_default().push_str(&inner[copied..=at]);
                copied = at + 2;
                bytes.next();
            }
            b'\'' => {
                let tail = &inner[copied..at];
                let value = match owned {
                    Some(owned) => Cow::Owned(owned + tail),
                    None => Cow::Borrowed(tail),
                };
                return Some((value, &inner[at + 1..]));
            }
            b'\\' => {
                let (_, escaped) = bytes.next()?;
                let owned = owned.get_or_insert_default();
                owned.push_str(&inner[copied..at]);
                copied = at + 2;
                match escape(escaped) {
                    Some(letter) => owned.push(letter),
                    // Any other character stands for itself, whatever its length in bytes.
                    None => copied = at + 1,
                }
            }
            _ => {}
        }
    }
    None
}

/// The character that a backslash and `letter` stand for.
pub(super) fn escape(letter: u8) -> Option<char> {
    Some(match letter {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'0' => '\0',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'\\' => '\\',
        b'\'' => '\'',
        b'"' => '"',
        b'/' => '/',
        _ => return None,
    })
}
