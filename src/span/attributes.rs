use super::{AttributeColumn, AttributeSelection, Dictionary, MAX_DISTINCT, schema};
use hashbrown::HashMap;
use std::borrow::Cow;

/// Whether an attribute describes the resource (process, host, pod) or the span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttributeScope {
    /// Resource attribute, the same for all spans of a process.
    Resource,
    /// Span attribute.
    Span,
}

/// A typed attribute value; texts are codes of [`AttributeTable::values`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AttributeValue {
    /// A string.
    String(u32),
    /// A 64-bit integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// A truth value.
    Bool(bool),
    /// A list or map, as JSON text.
    Json(u32),
}

/// Scope and key of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeKey {
    /// Resource or span.
    pub scope: AttributeScope,
    /// Key as the source has it, such as `http.request.method`.
    pub key: String,
}

impl AttributeKey {
    /// Name of the attribute's column in the canonical file.
    #[must_use]
    pub fn column_name(&self) -> String {
        let key = &self.key;
        let taken = key.starts_with(schema::RESOURCE_PREFIX)
            || key.starts_with(schema::ATTRIBUTES_PREFIX)
            || schema::INTRINSIC.contains(&key.as_str())
            || [schema::RESOURCE_JSON, schema::ATTRIBUTES_JSON].contains(&key.as_str());
        match self.scope {
            AttributeScope::Resource => format!("{}{key}", schema::RESOURCE_PREFIX),
            AttributeScope::Span if taken => format!("{}{key}", schema::ATTRIBUTES_PREFIX),
            AttributeScope::Span => key.clone(),
        }
    }

    /// The attribute that a canonical file keeps in column `name`.
    #[must_use]
    pub fn from_column_name(name: &str) -> Self {
        let (scope, key) =
            match (name.strip_prefix(schema::RESOURCE_PREFIX), name.strip_prefix(schema::ATTRIBUTES_PREFIX)) {
                (Some(key), _) => (AttributeScope::Resource, key),
                (None, Some(key)) => (AttributeScope::Span, key),
                (None, None) => (AttributeScope::Span, name),
            };
        Self { scope, key: key.to_owned() }
    }
}

/// A count of codes that are higher than all before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rise {
    /// One more than the highest code so far.
    above: u32,
    pub(super) count: u32,
}

/// All attributes kept, a sparse column a key.
#[derive(Clone, Debug, Default)]
pub struct AttributeTable {
    pub(super) keys: Vec<AttributeKey>,
    pub(super) columns: Vec<AttributeColumn>,
    /// At least so many distinct texts are in each column: how often a text came with a higher code than any before.
    pub(super) distinct: Vec<Rise>,
    /// Whether any has more than [`MAX_DISTINCT`].
    pub(super) has_any_many: bool,
    /// Column by key, resource scope first.
    index: [HashMap<Box<str>, u32, foldhash::fast::FixedState>; 2],
    /// Texts of string and JSON values.
    pub values: Dictionary,
}

impl AttributeTable {
    /// Index of the column for `key`, added if it is new; pass it to [`AttributeTable::push`].
    pub fn column_index(&mut self, scope: AttributeScope, key: &str) -> u32 {
        let index = &mut self.index[scope as usize];
        if let Some(&column) = index.get(key) {
            return column;
        }
        let column = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        index.insert(key.into(), column);
        self.keys.push(AttributeKey { scope, key: key.to_owned() });
        self.columns.push(AttributeColumn::default());
        self.distinct.push(Rise::default());
        column
    }

    /// Whether `selection` wants more values of `key`, by what is known of those so far.
    #[must_use]
    pub fn wants(&self, selection: &AttributeSelection, key: &str) -> bool {
        selection.wants(key) && !self.is_closed(selection, key)
    }

    /// Whether a key that `selection` wants has too many values to go on with.
    #[must_use]
    pub fn is_closed(&self, selection: &AttributeSelection, key: &str) -> bool {
        let closes = self.has_any_many && matches!(selection, AttributeSelection::Telling(_));
        closes && self.has_many(key) && !selection.names(key)
    }

    /// Whether any key is known to have more than [`MAX_DISTINCT`] texts.
    pub(crate) fn has_any_closed(&self) -> bool {
        self.has_any_many
    }

    /// Whether a key is known to have more than [`MAX_DISTINCT`] texts.
    #[must_use]
    pub fn has_many(&self, key: &str) -> bool {
        let count = |index: &HashMap<Box<str>, u32, foldhash::fast::FixedState>| {
            index.get(key).map_or(0, |&column| self.distinct[column as usize].count)
        };
        self.index.iter().map(count).any(|count| count > MAX_DISTINCT)
    }

    /// Whether the column with index `column` is known to have more than [`MAX_DISTINCT`] texts.
    #[must_use]
    pub fn is_full(&self, column: u32) -> bool {
        self.distinct[column as usize].count > MAX_DISTINCT
    }

    /// Gives span row `row` the value; `row` is at least every row pushed before. The first value of a row stands.
    pub fn push(&mut self, column: u32, row: u32, value: AttributeValue) {
        if let AttributeValue::String(code) = value {
            let distinct = &mut self.distinct[column as usize];
            distinct.count += u32::from(code >= distinct.above);
            distinct.above = distinct.above.max(code.saturating_add(1));
            self.has_any_many |= distinct.count > MAX_DISTINCT;
        }
        self.columns[column as usize].push(row, value);
    }

    /// The column of an attribute, if any span has it.
    #[must_use]
    pub fn get(&self, scope: AttributeScope, key: &str) -> Option<&AttributeColumn> {
        self.index[scope as usize].get(key).map(|&column| &self.columns[column as usize])
    }

    /// All attributes, ordered by scope and key.
    #[must_use]
    pub fn sorted(&self) -> Vec<(&AttributeKey, &AttributeColumn)> {
        let mut all: Vec<_> = self.keys.iter().zip(&self.columns).collect();
        all.sort_unstable_by_key(|&(key, _)| key);
        all
    }

    /// A value as text, for grouping and display.
    #[must_use]
    pub fn text(&self, value: AttributeValue) -> Cow<'_, str> {
        match value {
            AttributeValue::String(code) | AttributeValue::Json(code) => Cow::Borrowed(self.values.get(code)),
            AttributeValue::Int(value) => Cow::Owned(value.to_string()),
            AttributeValue::Double(value) => Cow::Owned(value.to_string()),
            AttributeValue::Bool(value) => Cow::Borrowed(if value { "true" } else { "false" }),
        }
    }

    /// Appends the attributes of a batch whose first span has row `first_row` here.
    pub(super) fn absorb(&mut self, other: Self, first_row: u32) {
        let codes = self.values.absorb(&other.values);
        self.has_any_many |= other.has_any_many;
        for ((key, column), distinct) in other.keys.into_iter().zip(other.columns).zip(other.distinct) {
            let index = self.column_index(key.scope, &key.key) as usize;
            // A bound from below: the texts of both may be the same.
            self.distinct[index].count = self.distinct[index].count.max(distinct.count);
            self.columns[index].append(column, first_row, &codes);
        }
    }
}
