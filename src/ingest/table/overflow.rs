//! Reads the JSON columns of the canonical file: an object of attributes whose lists and maps keep their very text.

use super::cell::Cell;
use super::json_value::{JsonKey, JsonValue};
use crate::span::schema;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Calls `visit` with each attribute of the object in `cell`; text that is no object gives none.
pub(super) fn each_entry(cell: Cell<'_>, visit: &mut dyn FnMut(&str, Cell<'_>)) {
    if let Cell::Str(text) = cell {
        let mut json = serde_json::Deserializer::from_str(text);
        // A damaged object gives what comes before the damage.
        _ = json.deserialize_map(ObjectVisitor { visit });
    }
}

struct ObjectVisitor<'v> {
    visit: &'v mut dyn FnMut(&str, Cell<'_>),
}

impl<'de> Visitor<'de> for ObjectVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((JsonKey(key), value)) = map.next_entry::<JsonKey<'de>, &RawValue>()? {
            let text = value.get();
            match serde_json::from_str::<JsonValue<'_>>(text) {
                Ok(JsonValue::Object(entries)) => match entries.as_slice() {
                    [(kind, JsonValue::Str(text))] if kind == schema::JSON_TEXT => (self.visit)(&key, Cell::Json(text)),
                    [(kind, JsonValue::Str(number))] if kind == schema::JSON_DOUBLE => {
                        (self.visit)(&key, number.parse().map_or(Cell::Str(number), Cell::Double));
                    }
                    _ => (self.visit)(&key, Cell::Json(text)),
                },
                // An error is nesting deeper than serde_json follows; the text is all that is wanted of it.
                Ok(JsonValue::List(_)) | Err(_) => (self.visit)(&key, Cell::Json(text)),
                Ok(value) => (self.visit)(&key, value.cell()),
            }
        }
        Ok(())
    }
}
