//! OTLP's `KeyValue` and `AnyValue` in JSON.

use super::Sink;
use super::json::{Cursor, Kind, Step};
use super::values::{self, MAX_VALUE_DEPTH, Value};
use crate::span::AttributeValue;
use std::borrow::Cow;

/// Attributes of the span at hand, with keys and values as the batch has them.
pub(super) type Taken<'a> = Vec<(Cow<'a, str>, AttributeValue)>;

/// What comes between key and value of a scalar.
const MEMBERS: [&str; 4] = [
    "\",\"value\":{\"stringValue\":",
    "\",\"value\":{\"intValue\":",
    "\",\"value\":{\"boolValue\":",
    "\",\"value\":{\"doubleValue\":",
];
/// The members of `AnyValue` that these name.
const SCALARS: [&str; 4] = ["stringValue", "intValue", "boolValue", "doubleValue"];

/// Puts those of the attributes that come next which are wanted into `taken`, in place of what was there.
pub(super) fn take_wanted<'a>(cursor: &mut Cursor<'a>, sink: &mut Sink, taken: &mut Taken<'a>) -> Step<()> {
    taken.clear();
    if cursor.kind()? != Kind::Array {
        return attributes(cursor, &mut |key, cursor| take(key, cursor, sink, taken));
    }
    let Some(mut elements) = cursor.array()? else { return Ok(()) };
    while cursor.element(&mut elements)? {
        let start = *cursor;
        if let Some((key, member)) = sink.shapes.pass(cursor) {
            if sink.wants(key) {
                let value = scalar(SCALARS[member], cursor)?;
                if cursor.pass_all(b"}}") {
                    let value = value.map(|value| value.intern(&mut sink.batch));
                    taken.extend(value.map(|value| (Cow::Borrowed(key), value)));
                    continue;
                }
            } else {
                cursor.skip()?;
                if cursor.pass_all(b"}}") {
                    continue;
                }
            }
            *cursor = start;
        }
        key_value(cursor, &mut |key, cursor| {
            sink.shapes.learn(start.rest(), &key, &MEMBERS);
            take(key, cursor, sink, taken)
        })?;
    }
    Ok(())
}

fn take<'a>(key: Cow<'a, str>, cursor: &mut Cursor<'a>, sink: &mut Sink, taken: &mut Taken<'a>) -> Step<()> {
    if !sink.wants(&key) {
        return cursor.skip();
    }
    let value = any_value(cursor)?.map(|value| value.intern(&mut sink.batch));
    taken.extend(value.map(|value| (key, value)));
    Ok(())
}

/// Calls `take` with each key of the attribute list that comes next and a cursor before its value, which it passes over.
///
/// A plain object of keys and values is read as well.
pub(super) fn attributes<'a>(
    cursor: &mut Cursor<'a>,
    take: &mut dyn FnMut(Cow<'a, str>, &mut Cursor<'a>) -> Step<()>,
) -> Step<()> {
    if cursor.kind()? == Kind::Object {
        let Some(mut members) = cursor.object()? else { return Ok(()) };
        while let Some(key) = cursor.key(&mut members)? {
            take(key, cursor)?;
        }
        return Ok(());
    }
    let Some(mut elements) = cursor.array()? else { return Ok(()) };
    while cursor.element(&mut elements)? {
        key_value(cursor, take)?;
    }
    Ok(())
}

fn key_value<'a>(cursor: &mut Cursor<'a>, take: &mut dyn FnMut(Cow<'a, str>, &mut Cursor<'a>) -> Step<()>) -> Step<()> {
    let Some(mut members) = cursor.object()? else { return Ok(()) };
    let (mut name, mut waiting) = (None, None);
    while let Some(member) = cursor.key(&mut members)? {
        match (&*member, &name) {
            ("key", _) => name = cursor.text()?,
            ("value", Some(name)) => take(name.clone(), cursor)?,
            ("value", None) => {
                waiting = Some(*cursor);
                cursor.skip()?;
            }
            _ => cursor.skip()?,
        }
    }
    match (name, waiting) {
        (Some(name), Some(mut place)) => take(name, &mut place),
        _ => Ok(()),
    }
}

/// The `AnyValue` that comes next, or the plain value that stands in its place; `None` if it is empty.
pub(super) fn any_value<'a>(cursor: &mut Cursor<'a>) -> Step<Option<Value<'a>>> {
    value_at_depth(cursor, 0)
}

fn value_at_depth<'a>(cursor: &mut Cursor<'a>, depth: u32) -> Step<Option<Value<'a>>> {
    if depth > MAX_VALUE_DEPTH {
        return cursor.skip().map(|()| None);
    }
    match cursor.kind()? {
        Kind::String => return Ok(Some(Value::String(cursor.string()?))),
        Kind::Number => return Ok(Some(Value::number(cursor.word()?))),
        Kind::Bool => return Ok(Some(Value::Bool(cursor.word()? == "true"))),
        Kind::Null => return cursor.skip().map(|()| None),
        Kind::Array => return json_text(cursor, |cursor, out| write_list(cursor, out, depth)),
        Kind::Object => {}
    }
    let Some(mut members) = cursor.object()? else { return Ok(None) };
    let mut value = None;
    while let Some(key) = cursor.key(&mut members)? {
        let read = match &*key {
            "arrayValue" | "array_value" | "ArrayValue" => {
                json_text(cursor, |cursor, out| write_values(cursor, out, false, depth))?
            }
            "kvlistValue" | "kvlist_value" | "KvlistValue" => {
                json_text(cursor, |cursor, out| write_values(cursor, out, true, depth))?
            }
            // Go's own JSON of the protobuf structs.
            "Value" | "value" => value_at_depth(cursor, depth + 1)?,
            _ => scalar(&key, cursor)?,
        };
        value = value.or(read);
    }
    Ok(value)
}

/// Value of the `AnyValue` member `key`, which comes next; `None` if it is no scalar.
fn scalar<'a>(key: &str, cursor: &mut Cursor<'a>) -> Step<Option<Value<'a>>> {
    Ok(match key {
        "stringValue" | "string_value" | "StringValue" | "bytesValue" | "bytes_value" | "BytesValue" => {
            cursor.text()?.map(Value::String)
        }
        "boolValue" | "bool_value" | "BoolValue" => cursor.text()?.map(|text| Value::Bool(text == "true")),
        "intValue" | "int_value" | "IntValue" => cursor.text()?.map(integer),
        "doubleValue" | "double_value" | "DoubleValue" => cursor.text()?.map(double),
        _ => {
            cursor.skip()?;
            None
        }
    })
}

fn integer(text: Cow<str>) -> Value {
    match values::scaled(&text, 1).map(i64::try_from) {
        Some(Ok(value)) => Value::Int(value),
        _ => Value::String(text),
    }
}

fn double(text: Cow<str>) -> Value {
    match text.trim().parse() {
        Ok(value) => Value::Double(value),
        Err(_) => Value::String(text),
    }
}

fn json_text<'a>(
    cursor: &mut Cursor<'a>,
    write: impl FnOnce(&mut Cursor<'a>, &mut String) -> Step<()>,
) -> Step<Option<Value<'a>>> {
    let mut out = String::new();
    write(cursor, &mut out)?;
    Ok(Some(Value::Json(out)))
}

/// Writes the `{"values":[…]}` that comes next, of an array or of a key-value list; a bare list will do.
fn write_values(cursor: &mut Cursor, out: &mut String, keyed: bool, depth: u32) -> Step<()> {
    let list = |cursor: &mut Cursor, out: &mut String| {
        if keyed { write_object(cursor, out, depth) } else { write_list(cursor, out, depth) }
    };
    if cursor.kind()? == Kind::Array {
        return list(cursor, out);
    }
    let Some(mut members) = cursor.object()? else {
        write_null(out);
        return Ok(());
    };
    let mut written = false;
    while let Some(key) = cursor.key(&mut members)? {
        if key == "values" && !written && cursor.kind()? == Kind::Array {
            list(cursor, out)?;
            written = true;
        } else {
            cursor.skip()?;
        }
    }
    if !written {
        out.push_str(if keyed { "{}" } else { "[]" });
    }
    Ok(())
}

fn write_null(out: &mut String) {
    out.push_str("null");
}

fn write_list(cursor: &mut Cursor, out: &mut String, depth: u32) -> Step<()> {
    let mut elements = cursor.array()?.unwrap_or_default();
    out.push('[');
    let mut first = true;
    while cursor.element(&mut elements)? {
        separate(out, &mut first);
        write_value(cursor, out, depth + 1)?;
    }
    out.push(']');
    Ok(())
}

fn write_object(cursor: &mut Cursor, out: &mut String, depth: u32) -> Step<()> {
    out.push('{');
    let mut first = true;
    attributes(cursor, &mut |key, cursor| {
        separate(out, &mut first);
        values::write_json_string(out, &key);
        out.push(':');
        write_value(cursor, out, depth + 1)
    })?;
    out.push('}');
    Ok(())
}

fn separate(out: &mut String, first: &mut bool) {
    if !std::mem::take(first) {
        out.push(',');
    }
}

/// Writes the `AnyValue` that comes next as plain JSON.
fn write_value(cursor: &mut Cursor, out: &mut String, depth: u32) -> Step<()> {
    if depth > MAX_VALUE_DEPTH {
        cursor.skip()?;
        write_null(out);
        return Ok(());
    }
    match cursor.kind()? {
        Kind::Array => return write_list(cursor, out, depth),
        Kind::Object => {}
        _ => {
            let plain = value_at_depth(cursor, depth)?;
            write_or_null(plain, out);
            return Ok(());
        }
    }
    let Some(mut members) = cursor.object()? else { return Ok(()) };
    let mut written = false;
    while let Some(key) = cursor.key(&mut members)? {
        match &*key {
            _ if written => cursor.skip()?,
            "arrayValue" | "array_value" | "ArrayValue" => write_values(cursor, out, false, depth)?,
            "kvlistValue" | "kvlist_value" | "KvlistValue" => write_values(cursor, out, true, depth)?,
            "Value" | "value" => write_value(cursor, out, depth + 1)?,
            _ => {
                if let Some(value) = scalar(&key, cursor)? {
                    value.write_json(out);
                    written = true;
                }
                continue;
            }
        }
        written = true;
    }
    if !written {
        write_null(out);
    }
    Ok(())
}

fn write_or_null(value: Option<Value>, out: &mut String) {
    match value {
        Some(value) => value.write_json(out),
        None => write_null(out),
    }
}
