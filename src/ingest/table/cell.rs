//! One field of one row, borrowed from an Arrow array, a CSV record or a JSON object.
//!
//! Every table reader hands its rows to [`super::rows`] as cells, so that ids, times, kinds and attributes are
//! understood in one place whatever the file is. A cell is `Copy` and owns nothing: asking for one costs a branch.

use super::arrow::Cells;
use super::json_value::JsonValue;
use crate::span::{AttributeTable, AttributeValue};
use std::borrow::Cow;
use std::fmt::Write as _;

/// A value as the table has it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'a> {
    /// Absent.
    Null,
    /// Text.
    Str(&'a str),
    /// JSON, as text.
    Json(&'a str),
    /// Bytes: an id, or text of a writer that marks no text.
    Bytes(&'a [u8]),
    /// An integer of up to 64 bits with sign.
    Int(i64),
    /// An unsigned integer.
    UInt(u64),
    /// A double.
    Double(f64),
    /// A truth value.
    Bool(bool),
    /// Named values.
    Object(Object<'a>),
    /// Values.
    List(List<'a>),
}

/// Named values: a row of a map or struct column, or a JSON object.
#[derive(Clone, Copy, Debug)]
pub(super) enum Object<'a> {
    /// Entries `start..end` of a map column.
    Map { keys: &'a Cells<'a>, values: &'a Cells<'a>, start: usize, end: usize },
    /// Row `row` of a struct column.
    Struct { fields: &'a [(&'a str, Cells<'a>)], row: usize },
    /// A JSON object.
    Json(&'a [(Cow<'a, str>, JsonValue<'a>)]),
}

/// Values in order: a row of a list column, or a JSON array.
#[derive(Clone, Copy, Debug)]
pub(super) enum List<'a> {
    /// Elements `start..end` of the column's values.
    Rows { values: &'a Cells<'a>, start: usize, end: usize },
    /// A JSON array.
    Json(&'a [JsonValue<'a>]),
}

impl<'a> Object<'a> {
    /// Calls `visit` with each key and value in the order of the source.
    pub(super) fn each(self, mut visit: impl FnMut(&'a str, Cell<'a>)) {
        match self {
            Self::Map { keys, values, start, end } => {
                for entry in start..end {
                    let key = match keys.cell(entry) {
                        Cell::Str(key) => key,
                        Cell::Bytes(key) => std::str::from_utf8(key).unwrap_or_default(),
                        _ => continue,
                    };
                    visit(key, values.cell(entry));
                }
            }
            Self::Struct { fields, row } => fields.iter().for_each(|(name, cells)| visit(name, cells.cell(row))),
            Self::Json(entries) => entries.iter().for_each(|(key, value)| visit(key, value.cell())),
        }
    }

    /// The value of `key`, [`Cell::Null`] if there is none.
    pub(super) fn get(self, key: &str) -> Cell<'a> {
        let mut found = Cell::Null;
        self.each(|name, value| {
            if name == key && matches!(found, Cell::Null) {
                found = value;
            }
        });
        found
    }
}

impl<'a> List<'a> {
    /// Number of elements.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Rows { start, end, .. } => end.saturating_sub(start),
            Self::Json(values) => values.len(),
        }
    }

    /// Element `index`, [`Cell::Null`] beyond the end.
    pub(super) fn get(self, index: usize) -> Cell<'a> {
        match self {
            Self::Rows { values, start, end } if start + index < end => values.cell(start + index),
            Self::Json(values) => values.get(index).map_or(Cell::Null, JsonValue::cell),
            Self::Rows { .. } => Cell::Null,
        }
    }
}

impl<'a> Cell<'a> {
    /// Whether there is no value.
    pub(super) fn is_null(self) -> bool {
        matches!(self, Self::Null)
    }

    /// The value as text; `None` for an absent value and for lists and maps.
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Str(text) => Some(Cow::Borrowed(text)),
            Self::Bytes(bytes) => Some(String::from_utf8_lossy(bytes)),
            Self::Int(value) => Some(Cow::Owned(value.to_string())),
            Self::UInt(value) => Some(Cow::Owned(value.to_string())),
            Self::Double(value) => Some(Cow::Owned(value.to_string())),
            Self::Bool(value) => Some(Cow::Borrowed(if value { "true" } else { "false" })),
            Self::Null | Self::Json(_) | Self::Object(_) | Self::List(_) => None,
        }
    }

    /// The value as an attribute of `table`; `None` if it is absent.
    pub(super) fn attribute(self, table: &mut AttributeTable) -> Option<AttributeValue> {
        Some(match self {
            Self::Null => return None,
            Self::Str(text) => AttributeValue::String(table.values.intern(text)),
            Self::Bytes(bytes) => AttributeValue::String(table.values.intern(&String::from_utf8_lossy(bytes))),
            Self::Int(value) => AttributeValue::Int(value),
            Self::UInt(value) => match i64::try_from(value) {
                Ok(value) => AttributeValue::Int(value),
                Err(_) => AttributeValue::String(table.values.intern(&value.to_string())),
            },
            Self::Double(value) => AttributeValue::Double(value),
            Self::Bool(value) => AttributeValue::Bool(value),
            Self::Json(text) => AttributeValue::Json(table.values.intern(text)),
            Self::Object(_) | Self::List(_) => AttributeValue::Json(table.values.intern(&self.json())),
        })
    }

    /// The value as JSON text.
    pub(super) fn json(self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    fn write_json(self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Json(text) => out.push_str(text),
            Self::Bool(value) => out.push_str(if value { "true" } else { "false" }),
            // Writing to a `String` cannot fail.
            Self::Int(value) => _ = write!(out, "{value}"),
            Self::UInt(value) => _ = write!(out, "{value}"),
            Self::Double(value) => out.push_str(&serde_json::Value::from(value).to_string()),
            Self::Str(text) => write_json_string(text, out),
            Self::Bytes(bytes) => write_json_string(&String::from_utf8_lossy(bytes), out),
            Self::List(list) => {
                out.push('[');
                for index in 0..list.len() {
                    if index > 0 {
                        out.push(',');
                    }
                    list.get(index).write_json(out);
                }
                out.push(']');
            }
            Self::Object(object) => {
                out.push('{');
                let mut first = true;
                object.each(|key, value| {
                    if !std::mem::take(&mut first) {
                        out.push(',');
                    }
                    write_json_string(key, out);
                    out.push(':');
                    value.write_json(out);
                });
                out.push('}');
            }
        }
    }

    /// The value in a few characters, for a message about it.
    pub(super) fn show(self) -> String {
        let text = match self {
            Self::Object(_) | Self::List(_) | Self::Json(_) | Self::Null => self.json(),
            plain => plain.text().unwrap_or_default().into_owned(),
        };
        match text.char_indices().nth(40) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }
}

fn write_json_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}
