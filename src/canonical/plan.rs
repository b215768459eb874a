//! Which columns the file has: the intrinsic ones, and one for each attribute that is worth one.

use crate::span::{AttributeColumn, AttributeKey, AttributeScope, AttributeValue, SpanFrame, schema};
use arrow_schema::{DataType, Field, Schema};
use hashbrown::HashSet;

/// Attributes with a column of their own, the most frequent first; the rest go to the JSON columns.
///
/// Readers open every column's metadata in every row group: with a thousand columns that is some 100 kB a row group.
const MAX_ATTRIBUTE_COLUMNS: usize = 1000;

/// Type of an attribute's column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnType {
    String,
    Int,
    Double,
    Bool,
}

impl ColumnType {
    const ALL: [Self; 4] = [Self::String, Self::Int, Self::Double, Self::Bool];

    /// The type of a value, `None` for JSON.
    pub(super) fn of(value: AttributeValue) -> Option<Self> {
        match value {
            AttributeValue::String(_) => Some(Self::String),
            AttributeValue::Int(_) => Some(Self::Int),
            AttributeValue::Double(_) => Some(Self::Double),
            AttributeValue::Bool(_) => Some(Self::Bool),
            AttributeValue::Json(_) => None,
        }
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'f> {
    TraceId,
    SpanId,
    ParentSpanId,
    Service,
    Operation,
    Kind,
    Start,
    Duration,
    Status,
    Attribute(&'f AttributeColumn, ColumnType),
    Json(AttributeScope),
}

/// A column of the file.
#[derive(Debug)]
pub(super) struct PlannedColumn<'f> {
    pub(super) name: String,
    pub(super) source: Source<'f>,
}

/// An attribute with values that fit no column of its type.
#[derive(Debug)]
pub(super) struct Overflow<'f> {
    pub(super) key: &'f AttributeKey,
    pub(super) values: &'f AttributeColumn,
    /// Type of its column, whose values are not repeated here; `None` if it has no column.
    pub(super) column: Option<ColumnType>,
}

/// All columns, in file order.
#[derive(Debug)]
pub(super) struct Plan<'f> {
    pub(super) columns: Vec<PlannedColumn<'f>>,
    pub(super) overflow: Vec<Overflow<'f>>,
}

impl<'f> Plan<'f> {
    pub(super) fn new(frame: &'f SpanFrame) -> Self {
        let intrinsic = [
            Source::TraceId,
            Source::SpanId,
            Source::ParentSpanId,
            Source::Service,
            Source::Operation,
            Source::Kind,
            Source::Start,
            Source::Duration,
            Source::Status,
        ];
        let mut columns: Vec<_> = schema::INTRINSIC
            .iter()
            .zip(intrinsic)
            .map(|(name, source)| PlannedColumn { name: (*name).to_owned(), source })
            .collect();
        let attributes = frame.attributes.sorted();
        let types = column_types(&attributes);
        let mut overflow = Vec::new();
        for (&(key, values), column) in attributes.iter().zip(types) {
            let fitting = values.iter().filter(|&(_, value)| ColumnType::of(value) == column).count();
            if column.is_none() || fitting < values.len() {
                overflow.push(Overflow { key, values, column });
            }
            if let Some(column) = column {
                columns.push(PlannedColumn { name: key.column_name(), source: Source::Attribute(values, column) });
            }
        }
        overflow.retain(|overflow: &Overflow<'_>| !overflow.values.is_empty());
        for (scope, name) in
            [(AttributeScope::Resource, schema::RESOURCE_JSON), (AttributeScope::Span, schema::ATTRIBUTES_JSON)]
        {
            if overflow.iter().any(|overflow| overflow.key.scope == scope) {
                columns.push(PlannedColumn { name: name.to_owned(), source: Source::Json(scope) });
            }
        }
        Self { columns, overflow }
    }

    pub(super) fn n_attribute_columns(&self) -> usize {
        self.columns.iter().filter(|column| matches!(column.source, Source::Attribute(..))).count()
    }

    pub(super) fn arrow_schema(&self) -> Schema {
        let fields: Vec<Field> = self
            .columns
            .iter()
            .map(|column| {
                let (data_type, nullable) = match column.source {
                    Source::Start | Source::Duration => (DataType::Int64, false),
                    Source::ParentSpanId | Source::Json(_) | Source::Attribute(_, ColumnType::String) => {
                        (DataType::Utf8, true)
                    }
                    Source::Attribute(_, ColumnType::Int) => (DataType::Int64, true),
                    Source::Attribute(_, ColumnType::Double) => (DataType::Float64, true),
                    Source::Attribute(_, ColumnType::Bool) => (DataType::Boolean, true),
                    _ => (DataType::Utf8, false),
                };
                Field::new(&column.name, data_type, nullable)
            })
            .collect();
        Schema::new(fields)
    }
}

impl PlannedColumn<'_> {
    /// Whether a dictionary of its values pays.
    pub(super) fn repeats(&self) -> bool {
        // Two zeros and all NaNs would be one entry of a dictionary of doubles.
        !matches!(
            self.source,
            Source::SpanId
                | Source::ParentSpanId
                | Source::Start
                | Source::Duration
                | Source::Attribute(_, ColumnType::Double)
        )
    }
}

/// The type of each attribute's column, its commonest; `None` where it gets no column.
fn column_types(attributes: &[(&AttributeKey, &AttributeColumn)]) -> Vec<Option<ColumnType>> {
    let counted: Vec<Option<(ColumnType, usize)>> = attributes
        .iter()
        .map(|(_, column)| {
            let mut counts = ColumnType::ALL.map(|column_type| (column_type, 0_usize));
            for column_type in column.iter().filter_map(|(_, value)| ColumnType::of(value)) {
                counts[column_type as usize].1 += 1;
            }
            // The first of equals, for the sake of the same file from the same spans.
            counts.into_iter().rev().max_by_key(|&(_, count)| count).filter(|&(_, count)| count > 0)
        })
        .collect();
    let mut by_frequency: Vec<usize> = (0..attributes.len()).filter(|&index| counted[index].is_some()).collect();
    by_frequency.sort_by_key(|&index| std::cmp::Reverse(counted[index].map_or(0, |(_, count)| count)));

    // Names that differ only in case are one name to `Spark` and `DuckDB`.
    let mut taken: HashSet<String> = schema::INTRINSIC.iter().map(|name| (*name).to_owned()).collect();
    taken.extend([schema::RESOURCE_JSON, schema::ATTRIBUTES_JSON].map(str::to_owned));
    let mut types = vec![None; attributes.len()];
    let mut n_columns = 0;
    for index in by_frequency {
        let name = attributes[index].0.column_name();
        let plain = !name.is_empty() && !name.chars().any(char::is_control);
        if n_columns < MAX_ATTRIBUTE_COLUMNS && plain && taken.insert(name.to_lowercase()) {
            types[index] = counted[index].map(|(column_type, _)| column_type);
            n_columns += 1;
        }
    }
    types
}
