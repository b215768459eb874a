//! Arrow arrays as cells: one `match` on the type when a column is opened, none of Arrow's own dispatch per row.

use super::cell::{Cell, List, Object};
use super::unit::Unit;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, LargeBinaryArray,
    LargeStringArray, StringArray, StringViewArray,
};
use arrow_schema::{DataType, TimeUnit};
use std::borrow::Cow;
use std::ops::Range;

/// A column of one record batch, opened for reading by row.
#[derive(Clone, Debug)]
pub(super) struct Cells<'a> {
    array: &'a ArrayRef,
    nullable: bool,
    values: Values<'a>,
}

#[derive(Clone, Debug)]
enum Values<'a> {
    Null,
    Bool(&'a BooleanArray),
    Int(Cow<'a, [i64]>),
    UInt(&'a [u64]),
    Double(Cow<'a, [f64]>),
    /// 128-bit integers over a power of ten.
    Decimal(&'a [i128], i8),
    Str(&'a StringArray),
    LargeStr(&'a LargeStringArray),
    StrView(&'a StringViewArray),
    Bytes(&'a BinaryArray),
    LargeBytes(&'a LargeBinaryArray),
    BytesView(&'a BinaryViewArray),
    FixedBytes(&'a FixedSizeBinaryArray),
    Dictionary(Vec<usize>, Box<Cells<'a>>),
    /// `offsets[row]..offsets[row + 1]` are the row's elements.
    List(Cow<'a, [i64]>, Box<Cells<'a>>),
    Map(&'a [i32], Box<Cells<'a>>, Box<Cells<'a>>),
    Struct(Vec<(&'a str, Cells<'a>)>),
}

impl<'a> Cells<'a> {
    /// Opens `array`; a column of a type that [`readable`] refuses reads as absent values.
    pub(super) fn new(array: &'a ArrayRef) -> Self {
        Self { array, nullable: array.null_count() > 0, values: Values::new(array).unwrap_or(Values::Null) }
    }

    /// The value of row `row`.
    pub(super) fn cell(&self, row: usize) -> Cell<'_> {
        if self.nullable && self.array.is_null(row) {
            return Cell::Null;
        }
        match &self.values {
            Values::Null => Cell::Null,
            Values::Bool(values) => Cell::Bool(values.value(row)),
            Values::Int(values) => Cell::Int(values[row]),
            Values::UInt(values) => Cell::UInt(values[row]),
            Values::Double(values) => Cell::Double(values[row]),
            Values::Decimal(values, scale) => decimal(values[row], *scale),
            Values::Str(values) => Cell::Str(values.value(row)),
            Values::LargeStr(values) => Cell::Str(values.value(row)),
            Values::StrView(values) => Cell::Str(values.value(row)),
            Values::Bytes(values) => Cell::Bytes(values.value(row)),
            Values::LargeBytes(values) => Cell::Bytes(values.value(row)),
            Values::BytesView(values) => Cell::Bytes(values.value(row)),
            Values::FixedBytes(values) => Cell::Bytes(values.value(row)),
            Values::Dictionary(keys, values) => values.cell(keys[row]),
            Values::List(offsets, values) => {
                Cell::List(List::Rows { values, start: index(offsets[row]), end: index(offsets[row + 1]) })
            }
            Values::Map(offsets, keys, values) => Cell::Object(Object::Map {
                keys,
                values,
                start: index(i64::from(offsets[row])),
                end: index(i64::from(offsets[row + 1])),
            }),
            Values::Struct(fields) => Cell::Object(Object::Struct { fields, row }),
        }
    }

    /// The field `name` of a struct column.
    pub(super) fn field(&self, name: &str) -> Option<&Cells<'a>> {
        match &self.values {
            Values::Struct(fields) => fields.iter().find(|(known, _)| *known == name).map(|(_, cells)| cells),
            _ => None,
        }
    }

    /// The elements of a list column.
    pub(super) fn elements(&self) -> Option<&Cells<'a>> {
        match &self.values {
            Values::List(_, values) => Some(values),
            _ => None,
        }
    }

    /// Which of the elements are those of row `row` of a list column.
    pub(super) fn range(&self, row: usize) -> Range<usize> {
        match &self.values {
            Values::List(offsets, _) if !(self.nullable && self.array.is_null(row)) => {
                index(offsets[row])..index(offsets[row + 1])
            }
            _ => 0..0,
        }
    }
}

impl<'a> Values<'a> {
    fn new(array: &'a ArrayRef) -> Option<Self> {
        macro_rules! widened {
            ($($type:ty)|+ => $variant:ident) => {
                None$(.or_else(|| {
                    array.as_primitive_opt::<$type>().map(|array| array.values().iter().map(|&value| value.into()).collect())
                }))+.map(|values: Vec<_>| Values::$variant(Cow::Owned(values)))
            };
        }
        Some(match array.data_type() {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Bool(array.as_boolean_opt()?),
            DataType::Int64 => Self::Int(Cow::Borrowed(array.as_primitive_opt::<Int64Type>()?.values())),
            DataType::UInt64 => Self::UInt(array.as_primitive_opt::<UInt64Type>()?.values()),
            DataType::Float64 => Self::Double(Cow::Borrowed(array.as_primitive_opt::<Float64Type>()?.values())),
            DataType::Int8 | DataType::Int16 | DataType::Int32 => widened!(Int8Type | Int16Type | Int32Type => Int)?,
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => {
                widened!(UInt8Type | UInt16Type | UInt32Type => Int)?
            }
            DataType::Float16 | DataType::Float32 => widened!(Float16Type | Float32Type => Double)?,
            DataType::Timestamp(..) | DataType::Duration(_) | DataType::Date64 | DataType::Time64(_) => {
                Self::Int(Cow::Owned(temporal(array)?))
            }
            DataType::Decimal128(_, scale) => {
                Self::Decimal(array.as_primitive_opt::<arrow_array::types::Decimal128Type>()?.values(), *scale)
            }
            DataType::Utf8 => Self::Str(array.as_string_opt()?),
            DataType::LargeUtf8 => Self::LargeStr(array.as_string_opt()?),
            DataType::Utf8View => Self::StrView(array.as_string_view_opt()?),
            DataType::Binary => Self::Bytes(array.as_binary_opt()?),
            DataType::LargeBinary => Self::LargeBytes(array.as_binary_opt()?),
            DataType::BinaryView => Self::BytesView(array.as_binary_view_opt()?),
            DataType::FixedSizeBinary(_) => Self::FixedBytes(array.as_fixed_size_binary_opt()?),
            DataType::Dictionary(..) => {
                let dictionary = array.as_any_dictionary_opt()?;
                // An empty dictionary has only null keys, and `normalized_keys` refuses it.
                if dictionary.values().is_empty() {
                    return Some(Self::Null);
                }
                Self::Dictionary(dictionary.normalized_keys(), Box::new(Cells::new(dictionary.values())))
            }
            DataType::List(_) => {
                let list = array.as_list_opt::<i32>()?;
                let offsets = list.offsets().iter().map(|&offset| i64::from(offset)).collect();
                Self::List(Cow::Owned(offsets), Box::new(Cells::new(list.values())))
            }
            DataType::LargeList(_) => {
                let list = array.as_list_opt::<i64>()?;
                Self::List(Cow::Borrowed(list.offsets()), Box::new(Cells::new(list.values())))
            }
            DataType::Map(..) => {
                let map = array.as_map_opt()?;
                Self::Map(map.offsets(), Box::new(Cells::new(map.keys())), Box::new(Cells::new(map.values())))
            }
            DataType::Struct(fields) => {
                let columns = array.as_struct_opt()?.columns();
                Self::Struct(
                    fields
                        .iter()
                        .zip(columns)
                        .map(|(field, column)| (field.name().as_str(), Cells::new(column)))
                        .collect(),
                )
            }
            _ => return None,
        })
    }
}

/// Whether [`Cells`] reads columns of this type.
pub(super) fn readable(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => readable(values),
        DataType::List(field) | DataType::LargeList(field) | DataType::Map(field, _) => readable(field.data_type()),
        DataType::Struct(_)
        | DataType::Timestamp(..)
        | DataType::Duration(_)
        | DataType::Date64
        | DataType::Time64(_)
        | DataType::Decimal128(..)
        | DataType::Null
        | DataType::Boolean
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => true,
        plain => plain.is_integer() || plain.is_floating(),
    }
}

/// The unit that a temporal type carries.
pub(super) fn unit_of(data_type: &DataType) -> Option<Unit> {
    match data_type {
        DataType::Timestamp(unit, _) | DataType::Duration(unit) | DataType::Time64(unit) => Some(match unit {
            TimeUnit::Second => Unit::Seconds,
            TimeUnit::Millisecond => Unit::Millis,
            TimeUnit::Microsecond => Unit::Micros,
            TimeUnit::Nanosecond => Unit::Nanos,
        }),
        DataType::Date64 => Some(Unit::Millis),
        _ => None,
    }
}

/// The 64-bit integers under a temporal array.
fn temporal(array: &ArrayRef) -> Option<Vec<i64>> {
    let data = array.to_data();
    let values = data.buffers().first()?.typed_data::<i64>();
    Some(values.get(data.offset()..data.offset() + data.len())?.to_vec())
}

fn decimal<'a>(value: i128, scale: i8) -> Cell<'a> {
    if scale == 0 {
        if let Ok(value) = i64::try_from(value) {
            return Cell::Int(value);
        }
        if let Ok(value) = u64::try_from(value) {
            return Cell::UInt(value);
        }
    }
    Cell::Double(value as f64 / 10_f64.powi(i32::from(scale)))
}

fn index(offset: i64) -> usize {
    usize::try_from(offset).unwrap_or(0)
}
