//! The JSON columns: attributes that fit no column, an object a span.
//!
//! Lists and maps stand in the object as they are. JSON has no place for two kinds of value, which are wrapped in an
//! object of one key: a double that is not finite or would not be read back to the bit ([`schema::JSON_DOUBLE`]), and
//! a JSON value whose text is not a list or map in good order ([`schema::JSON_TEXT`]).

use super::arrays::Group;
use super::plan::{ColumnType, Overflow};
use crate::span::{AttributeScope, AttributeTable, AttributeValue, schema};
use arrow_array::{ArrayRef, StringArray};
use serde::Deserialize as _;
use std::fmt::Write as _;
use std::sync::Arc;

/// The objects of a row group, null where a span has no such attribute.
pub(super) fn array(group: &Group<'_>, scope: AttributeScope, overflow: &[Overflow<'_>]) -> ArrayRef {
    let mut objects: Vec<Option<String>> = vec![None; group.len()];
    let table = &group.frame().attributes;
    for attribute in overflow.iter().filter(|attribute| attribute.key.scope == scope) {
        let key = serde_json::Value::from(attribute.key.key.as_str()).to_string();
        group.each(attribute.values, |place, value| {
            if attribute.column.is_some() && ColumnType::of(value) == attribute.column {
                return;
            }
            let object = objects[place].get_or_insert_default();
            object.push(if object.is_empty() { '{' } else { ',' });
            // Writing to a `String` cannot fail.
            _ = write!(object, "{key}:{}", json(table, value));
        });
    }
    for object in objects.iter_mut().flatten() {
        object.push('}');
    }
    Arc::new(StringArray::from_iter(objects))
}

fn json(table: &AttributeTable, value: AttributeValue) -> String {
    match value {
        AttributeValue::String(code) => serde_json::Value::from(table.values.get(code)).to_string(),
        AttributeValue::Int(value) => value.to_string(),
        AttributeValue::Bool(value) => value.to_string(),
        AttributeValue::Double(value) => {
            let text = serde_json::Value::from(value).to_string();
            let read = serde_json::from_str::<f64>(&text).map(f64::to_bits);
            if text.contains(['.', 'e', 'E']) && read.is_ok_and(|bits| bits == value.to_bits()) {
                text
            } else {
                wrapped(schema::JSON_DOUBLE, &value.to_string())
            }
        }
        AttributeValue::Json(code) => {
            let text = table.values.get(code);
            if is_plain(text) { text.to_owned() } else { wrapped(schema::JSON_TEXT, text) }
        }
    }
}

/// Whether a JSON text can stand in an object as it is: a list or map that is not like a wrapped value.
fn is_plain(text: &str) -> bool {
    text.starts_with(['[', '{'])
        && text.ends_with([']', '}'])
        && !text.contains(schema::JSON_TEXT)
        && !text.contains(schema::JSON_DOUBLE)
        && {
            let mut json = serde_json::Deserializer::from_str(text);
            serde::de::IgnoredAny::deserialize(&mut json).is_ok() && json.end().is_ok()
        }
}

fn wrapped(kind: &str, text: &str) -> String {
    format!("{{\"{kind}\":{}}}", serde_json::Value::from(text))
}
