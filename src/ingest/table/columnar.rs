//! Batches of a canonical Parquet file into spans, each column by its type and each text of a dictionary once.
//!
//! The same spans as row by row in [`super::rows`], with the same codes: rows are gone through in order, but what a
//! dictionary of the file repeats is looked up once a dictionary, and no value passes through a [`Cell`].

use super::cell::Cell;
use super::dialect::Field;
use super::roles::{AttributeRole, Mapping};
use super::rows::{self, Rows};
use super::unit::Unit;
use crate::ingest::{RawSpan, Sink};
use crate::span::{AttributeKey, AttributeSelection, AttributeTable, AttributeValue, SpanBatch, SpanKind, SpanStatus};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray, RecordBatch, StringArray};
use arrow_schema::DataType;

/// Not looked up yet.
const UNSEEN: u32 = u32::MAX;
/// Looked up, and there is no such thing.
const ABSENT: u32 = u32::MAX - 1;

/// What is known of the texts of each column's dictionary, from batch to batch.
#[derive(Debug, Default)]
pub(super) struct Memos(Vec<Memo>);

#[derive(Debug, Default)]
struct Memo {
    /// The dictionary. Held, so that its address is nobody else's.
    of: Option<StringArray>,
    /// What each of its texts means: a code, or [`UNSEEN`].
    codes: Vec<u32>,
}

impl Memo {
    fn open(&mut self, dictionary: &StringArray) {
        if self.of.as_ref().is_some_and(|of| is_same(of, dictionary)) {
            return;
        }
        self.codes.clear();
        self.codes.resize(dictionary.len(), UNSEEN);
        self.of = Some(dictionary.clone());
    }
}

/// Whether two arrays of texts are the same bytes in memory.
fn is_same(left: &StringArray, right: &StringArray) -> bool {
    left.len() == right.len()
        && std::ptr::eq(left.value_data(), right.value_data())
        && std::ptr::eq(left.offsets().as_ptr(), right.offsets().as_ptr())
}

/// A column of texts, plain or as keys of a dictionary.
#[derive(Clone, Copy)]
enum Texts<'a> {
    Plain(&'a StringArray),
    Keys(&'a PrimitiveArray<Int32Type>, &'a StringArray),
}

impl<'a> Texts<'a> {
    fn new(array: &'a ArrayRef) -> Option<Self> {
        if let Some(dictionary) = array.as_dictionary_opt::<Int32Type>() {
            let values = dictionary.values().as_string_opt()?;
            return (values.null_count() == 0).then_some(Self::Keys(dictionary.keys(), values));
        }
        array.as_string_opt().map(Self::Plain)
    }

    /// What `read` makes of the text in `row`, `None` being an absent one; a text of a dictionary is read once.
    fn code(self, row: usize, codes: &mut [u32], read: impl FnOnce(Option<&str>) -> u32) -> u32 {
        match self {
            Self::Plain(texts) => read(texts.is_valid(row).then(|| texts.value(row))),
            Self::Keys(keys, texts) if keys.is_valid(row) => {
                let key = usize::try_from(keys.value(row)).unwrap_or(usize::MAX);
                match codes.get_mut(key) {
                    Some(code) => {
                        if *code == UNSEEN {
                            *code = read(Some(texts.value(key)));
                        }
                        *code
                    }
                    None => read(None),
                }
            }
            Self::Keys(..) => read(None),
        }
    }
}

/// A column of an attribute.
enum Values<'a> {
    Texts(Texts<'a>),
    Ints(&'a PrimitiveArray<Int64Type>),
    Doubles(&'a PrimitiveArray<Float64Type>),
    Bools(&'a BooleanArray),
}

impl<'a> Values<'a> {
    fn new(array: &'a ArrayRef) -> Option<Self> {
        Some(match array.data_type() {
            DataType::Int64 => Self::Ints(array.as_primitive_opt()?),
            DataType::Float64 => Self::Doubles(array.as_primitive_opt()?),
            DataType::Boolean => Self::Bools(array.as_boolean_opt()?),
            _ => Self::Texts(Texts::new(array)?),
        })
    }
}

/// An attribute with its column.
struct Attribute<'a> {
    key: &'a AttributeKey,
    column: usize,
    values: Values<'a>,
    /// Its column in the table of attributes, once it has one.
    index: Option<u32>,
    /// Whether it is given up when it turns out to have very many texts.
    may_close: bool,
    is_closed: bool,
}

/// The columns of one batch.
struct Columns<'a> {
    trace: (usize, Texts<'a>),
    span: (usize, Texts<'a>),
    parent: Option<(usize, Texts<'a>)>,
    service: (usize, Texts<'a>),
    operation: (usize, Texts<'a>),
    kind: Option<(usize, Texts<'a>)>,
    status: Option<(usize, Texts<'a>)>,
    start: &'a PrimitiveArray<Int64Type>,
    duration: &'a PrimitiveArray<Int64Type>,
    attributes: Vec<Attribute<'a>>,
}

impl<'a> Columns<'a> {
    /// `None` if a column is not of the type that a canonical file gives it, or a row tells more than its columns say.
    fn open(mapping: &'a Mapping, sink: &Sink, batch: &'a RecordBatch) -> Option<Self> {
        if !mapping.canonical() || mapping.annotation.is_some() || mapping.service_map.is_some() {
            return None;
        }
        let column = |field| mapping.role(field).map(|role| (role.column, batch.column(role.column)));
        let texts = |field| column(field).and_then(|(index, array)| Some((index, Texts::new(array)?)));
        let optional = |field| if column(field).is_some() { texts(field).map(Some) } else { Some(None) };
        let nanoseconds = |field| {
            let role = mapping.role(field).filter(|role| role.unit == Some(Unit::Nanos))?;
            batch.column(role.column).as_primitive_opt::<Int64Type>()
        };
        let status = optional(Field::Status)?;
        // A number of HTTP's is an attribute besides.
        let is_plain = |(_, texts): (usize, Texts)| match texts {
            Texts::Plain(_) => false,
            Texts::Keys(_, texts) => {
                texts.iter().flatten().all(|text| rows::status(Cell::Str(text), mapping.is_error_column).1.is_none())
            }
        };
        if !status.is_none_or(is_plain) || mapping.role(Field::End).is_some() {
            return None;
        }
        Some(Self {
            trace: texts(Field::TraceId)?,
            span: texts(Field::SpanId)?,
            parent: optional(Field::ParentSpanId)?,
            service: texts(Field::Service)?,
            operation: texts(Field::Operation)?,
            kind: optional(Field::Kind)?,
            status,
            start: nanoseconds(Field::Start)?,
            duration: nanoseconds(Field::Duration)?,
            attributes: attributes(mapping, sink, batch)?,
        })
    }

    /// Forgets what is known of other dictionaries than these.
    fn open_memos(&self, memos: &mut Memos) {
        let texts = [Some(self.trace), Some(self.span), self.parent, Some(self.service), Some(self.operation)];
        let texts = texts.into_iter().chain([self.kind, self.status]).flatten();
        let of_attributes = self.attributes.iter().filter_map(|attribute| match attribute.values {
            Values::Texts(texts) => Some((attribute.column, texts)),
            _ => None,
        });
        for (column, texts) in texts.chain(of_attributes) {
            if memos.0.len() <= column {
                memos.0.resize_with(column + 1, Memo::default);
            }
            if let Texts::Keys(_, dictionary) = texts {
                memos.0[column].open(dictionary);
            }
        }
    }
}

fn attributes<'a>(mapping: &'a Mapping, sink: &Sink, batch: &'a RecordBatch) -> Option<Vec<Attribute<'a>>> {
    let mut attributes: Vec<Attribute> = Vec::with_capacity(mapping.attributes.len());
    for (column, role) in &mapping.attributes {
        let array = batch.column(*column);
        let AttributeRole::One(key) = role else {
            if array.null_count() < array.len() {
                return None;
            }
            continue;
        };
        // Of two columns for one attribute the first that has a value counts, row by row.
        if attributes.iter().any(|known| known.key == key) {
            return None;
        }
        let selection = sink.attributes;
        attributes.push(Attribute {
            key,
            column: *column,
            values: Values::new(array)?,
            index: None,
            may_close: matches!(selection, AttributeSelection::Telling(_)) && !selection.names(&key.key),
            is_closed: sink.batch.attributes.is_closed(selection, &key.key),
        });
    }
    Some(attributes)
}

/// Adds all rows of `batch`; false if they have to be added one by one.
pub(super) fn push(rows: &mut Rows<'_>, batch: &RecordBatch, memos: &mut Memos) -> bool {
    let Some(mut columns) = Columns::open(rows.mapping, &rows.sink, batch) else { return false };
    columns.open_memos(memos);
    for row in 0..batch.num_rows() {
        let raw = columns.span(row, rows, memos);
        if let Some(span) = rows.sink.push(raw) {
            for attribute in &mut columns.attributes {
                attribute.give(row, span, &mut rows.sink.batch.attributes, memos);
            }
        }
    }
    true
}

impl Columns<'_> {
    fn span(&self, row: usize, rows: &mut Rows<'_>, memos: &mut Memos) -> RawSpan {
        let memos = &mut memos.0;
        let time = |times: &PrimitiveArray<Int64Type>| times.is_valid(row).then(|| i128::from(times.value(row)));
        let status = self.status.map_or(0, |(column, texts)| {
            texts.code(row, &mut memos[column].codes, |text| {
                text.map_or(SpanStatus::Unset, |text| rows::status(Cell::Str(text), rows.mapping.is_error_column).0)
                    as u32
            })
        });
        let mut name = |slot, (column, texts): (usize, Texts)| {
            texts.code(row, &mut memos[column].codes, |text| rows.name(slot, text.map_or(Cell::Null, Cell::Str)))
        };
        let (service, operation) = (name(0, self.service), name(1, self.operation));
        let SpanBatch { traces, span_ids, .. } = &mut rows.sink.batch;
        let (column, texts) = self.trace;
        let trace = texts
            .code(row, &mut memos[column].codes, |text| text.and_then(|text| traces.intern(text)).unwrap_or(ABSENT));
        let mut id = |texts: Texts| match texts {
            Texts::Plain(texts) if texts.is_valid(row) => span_ids.intern(texts.value(row)),
            Texts::Plain(_) => None,
            Texts::Keys(keys, texts) => {
                let key = keys.is_valid(row).then(|| usize::try_from(keys.value(row)).ok()).flatten();
                key.filter(|&key| key < texts.len()).and_then(|key| span_ids.intern(texts.value(key)))
            }
        };
        let (span_id, parent_span_id) = (id(self.span.1), self.parent.and_then(|(_, texts)| id(texts)));
        let kind = self.kind.map_or(0, |(column, texts)| {
            texts.code(row, &mut memos[column].codes, |text| {
                text.map_or(SpanKind::Unspecified, |text| SpanKind::parse(text.trim())) as u32
            })
        });
        RawSpan {
            trace: (trace != ABSENT).then_some(trace),
            span_id,
            parent_span_id,
            service,
            operation,
            kind: SpanKind::from_code(kind.into()),
            status: SpanStatus::from_code(status.into()),
            start_unix_ns: time(self.start),
            duration_ns: time(self.duration),
        }
    }
}

impl Attribute<'_> {
    /// Gives the span of row `span` what row `row` of the batch says.
    fn give(&mut self, row: usize, span: u32, table: &mut AttributeTable, memos: &mut Memos) {
        if self.is_closed {
            return;
        }
        let value = match self.values {
            Values::Ints(values) => values.is_valid(row).then(|| AttributeValue::Int(values.value(row))),
            Values::Doubles(values) => values.is_valid(row).then(|| AttributeValue::Double(values.value(row))),
            Values::Bools(values) => values.is_valid(row).then(|| AttributeValue::Bool(values.value(row))),
            Values::Texts(texts) => {
                let code = texts.code(row, &mut memos.0[self.column].codes, |text| {
                    text.map_or(ABSENT, |text| table.values.intern(text))
                });
                (code != ABSENT).then_some(AttributeValue::String(code))
            }
        };
        let Some(value) = value else { return };
        let index = *self.index.get_or_insert_with(|| table.column_index(self.key.scope, &self.key.key));
        table.push(index, span, value);
        self.is_closed = self.may_close && table.is_full(index);
    }
}
