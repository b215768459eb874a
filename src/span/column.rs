//! The values of one attribute, in as few bytes as their kind and spread allow.

use super::AttributeValue;
use super::bytes::{Broken, Bytes, Plain, put_list};
use std::ops::Range;

/// The values of one attribute; rows ascend, a row appears at most once.
///
/// An attribute of all spans costs four bytes a span if it is a text and eight if it is an integer; one that some spans lack, four more a
/// span that has it; one of mixed kinds or of doubles, sixteen.
#[derive(Clone, Debug, Default)]
pub struct AttributeColumn {
    /// The rows before the first gap.
    dense: Range<u32>,
    /// The rows after it.
    rest: Vec<u32>,
    values: Values,
}

#[derive(Clone, Debug)]
enum Values {
    /// Codes of texts.
    Texts(Vec<u32>),
    Ints(Vec<i64>),
    Any(Vec<AttributeValue>),
}

impl Default for Values {
    fn default() -> Self {
        Self::Texts(Vec::new())
    }
}

impl Values {
    fn into_any(self) -> Vec<AttributeValue> {
        match self {
            Self::Texts(codes) => codes.into_iter().map(AttributeValue::String).collect(),
            Self::Ints(values) => values.into_iter().map(AttributeValue::Int).collect(),
            Self::Any(values) => values,
        }
    }
}

impl AttributeColumn {
    /// Number of spans that have the attribute.
    #[must_use]
    pub fn len(&self) -> usize {
        self.dense.len() + self.rest.len()
    }

    /// Whether no span has it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The span row at position `at`.
    #[must_use]
    pub fn row(&self, at: usize) -> Option<u32> {
        let n_dense = self.dense.len();
        if at < n_dense {
            // No more than the range holds.
            return self.dense.start.checked_add(u32::try_from(at).ok()?);
        }
        self.rest.get(at - n_dense).copied()
    }

    /// The value at position `at`.
    #[must_use]
    pub fn value(&self, at: usize) -> Option<AttributeValue> {
        match &self.values {
            Values::Texts(codes) => codes.get(at).map(|&code| AttributeValue::String(code)),
            Values::Ints(values) => values.get(at).map(|&value| AttributeValue::Int(value)),
            Values::Any(values) => values.get(at).copied(),
        }
    }

    /// Rows and their values, rows ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, AttributeValue)> {
        let rows = self.dense.clone().chain(self.rest.iter().copied());
        (0..self.len()).zip(rows).filter_map(|(at, row)| Some((row, self.value(at)?)))
    }

    /// The first position in `range` whose row is not below `row`; the end of the range if there is none.
    #[must_use]
    pub fn position_from(&self, range: Range<usize>, row: u32) -> usize {
        let (mut low, mut high) = (range.start, range.end.max(range.start));
        while low < high {
            let middle = low.midpoint(high);
            if self.row(middle).is_some_and(|known| known < row) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Appends the values of a column whose rows begin at `first_row` here, above all that are here; `codes` are the codes here of its
    /// texts.
    pub(super) fn append(&mut self, other: Self, first_row: u32, codes: &[u32]) {
        if other.is_empty() {
            return;
        }
        let dense = first_row.saturating_add(other.dense.start)..first_row.saturating_add(other.dense.end);
        if self.is_empty() {
            self.dense = dense;
        } else if self.rest.is_empty() && self.dense.end == dense.start {
            self.dense.end = dense.end;
        } else {
            self.rest.extend(dense);
        }
        self.rest.extend(other.rest.iter().map(|row| first_row.saturating_add(*row)));
        let here = |value: AttributeValue| match value {
            AttributeValue::String(code) => AttributeValue::String(codes[code as usize]),
            AttributeValue::Json(code) => AttributeValue::Json(codes[code as usize]),
            plain => plain,
        };
        match (&mut self.values, other.values) {
            (Values::Texts(own), Values::Texts(more)) => own.extend(more.iter().map(|&code| codes[code as usize])),
            (Values::Ints(own), Values::Ints(more)) => own.extend(more),
            (Values::Any(own), more) => own.extend(more.into_any().into_iter().map(here)),
            (Values::Texts(own), Values::Ints(more)) if own.is_empty() => self.values = Values::Ints(more),
            (own, more) => {
                let mut any = std::mem::take(own).into_any();
                any.extend(more.into_any().into_iter().map(here));
                self.values = if any.is_empty() { Values::default() } else { Values::Any(any) };
            }
        }
    }

    /// Bytes on the heap.
    pub(super) fn n_bytes(&self) -> usize {
        let values = match &self.values {
            Values::Texts(codes) => 4 * codes.capacity(),
            Values::Ints(values) => 8 * values.capacity(),
            Values::Any(values) => 16 * values.capacity(),
        };
        4 * self.rest.capacity() + values
    }

    /// Appends the column.
    pub(super) fn write_to(&self, out: &mut Vec<u8>) {
        self.dense.start.put(out);
        self.dense.end.put(out);
        put_list(&self.rest, out);
        match &self.values {
            Values::Texts(codes) => {
                0_u8.put(out);
                put_list(codes, out);
            }
            Values::Ints(values) => {
                1_u8.put(out);
                put_list(values, out);
            }
            Values::Any(values) => {
                2_u8.put(out);
                (values.len() as u64).put(out);
                for &value in values {
                    let (kind, bits): (u8, u64) = match value {
                        AttributeValue::String(code) => (0, u64::from(code)),
                        AttributeValue::Int(value) => (1, value.cast_unsigned()),
                        AttributeValue::Double(value) => (2, value.to_bits()),
                        AttributeValue::Bool(value) => (3, u64::from(value)),
                        AttributeValue::Json(code) => (4, u64::from(code)),
                    };
                    kind.put(out);
                    bits.put(out);
                }
            }
        }
    }

    /// A column that was written.
    pub(super) fn read(bytes: &mut Bytes) -> Result<Self, Broken> {
        let dense = bytes.number()?..bytes.number()?;
        let rest: Vec<u32> = bytes.list()?;
        let values = match bytes.number::<u8>()? {
            0 => Values::Texts(bytes.list()?),
            1 => Values::Ints(bytes.list()?),
            _ => {
                let n_values = bytes.len()?;
                let value = |bytes: &mut Bytes| -> Result<AttributeValue, Broken> {
                    let (kind, bits) = (bytes.number::<u8>()?, bytes.number::<u64>()?);
                    let code = u32::try_from(bits).unwrap_or(u32::MAX);
                    Ok(match kind {
                        0 => AttributeValue::String(code),
                        1 => AttributeValue::Int(bits.cast_signed()),
                        2 => AttributeValue::Double(f64::from_bits(bits)),
                        3 => AttributeValue::Bool(bits != 0),
                        _ => AttributeValue::Json(code),
                    })
                };
                Values::Any((0..n_values).map(|_| value(bytes)).collect::<Result<_, _>>()?)
            }
        };
        let column = Self { dense, rest, values };
        let n_values = match &column.values {
            Values::Texts(codes) => codes.len(),
            Values::Ints(values) => values.len(),
            Values::Any(values) => values.len(),
        };
        if n_values == column.len() { Ok(column) } else { Err("a column has not as many values as rows") }
    }

    /// Appends a value; a row that is not above the last one keeps what it has.
    pub(super) fn push(&mut self, row: u32, value: AttributeValue) {
        let last =
            self.rest.last().copied().or_else(|| if self.dense.is_empty() { None } else { Some(self.dense.end - 1) });
        if last.is_some_and(|last| last >= row) {
            return;
        }
        match last {
            None => self.dense = row..row.saturating_add(1),
            Some(_) if self.rest.is_empty() && self.dense.end == row => self.dense.end = row.saturating_add(1),
            Some(_) => self.rest.push(row),
        }
        match (&mut self.values, value) {
            (Values::Texts(codes), AttributeValue::String(code)) => codes.push(code),
            (Values::Ints(values), AttributeValue::Int(value)) => values.push(value),
            (Values::Any(values), value) => values.push(value),
            (Values::Texts(codes), AttributeValue::Int(value)) if codes.is_empty() => {
                self.values = Values::Ints(vec![value]);
            }
            (_, value) => {
                let mut values: Vec<AttributeValue> = (0..self.len() - 1).filter_map(|at| self.value(at)).collect();
                values.push(value);
                self.values = Values::Any(values);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AttributeColumn, AttributeValue};

    #[test]
    fn a_column_appended_is_as_if_its_values_were_pushed_one_by_one() {
        let text = |row: u32| (row, AttributeValue::String(row % 3));
        let int = |row: u32| (row, AttributeValue::Int(i64::from(row)));
        let json = |row: u32| (row, AttributeValue::Json(1));
        let parts: [Vec<(u32, AttributeValue)>; 8] = [
            Vec::new(),
            (0..5).map(text).collect(),
            (0..5).map(int).collect(),
            (1..4).map(text).collect(),
            [0, 1, 4].map(int).to_vec(),
            vec![text(0), int(1), json(4)],
            vec![int(2), text(3)],
            vec![json(0), json(2)],
        ];
        let codes = [7, 1, 0];
        let filled = |values: &[(u32, AttributeValue)], first_row: u32, coded: bool, column: &mut AttributeColumn| {
            for &(row, value) in values {
                let value = match value {
                    AttributeValue::String(code) if coded => AttributeValue::String(codes[code as usize]),
                    AttributeValue::Json(code) if coded => AttributeValue::Json(codes[code as usize]),
                    other => other,
                };
                column.push(first_row + row, value);
            }
        };
        for [first, second, third] in (0..512).map(|n| [n / 64, n / 8 % 8, n % 8].map(|part: usize| &parts[part])) {
            let (mut appended, mut pushed) = (AttributeColumn::default(), AttributeColumn::default());
            filled(first, 0, false, &mut appended);
            filled(first, 0, false, &mut pushed);
            for (first_row, part) in [(5, second), (10, third)] {
                let mut other = AttributeColumn::default();
                filled(part, 0, false, &mut other);
                appended.append(other, first_row, &codes);
                filled(part, first_row, true, &mut pushed);
            }
            // Their insides, too.
            assert_eq!(format!("{appended:?}"), format!("{pushed:?}"), "{first:?} {second:?} {third:?}");
        }
    }

    #[test]
    fn rows_and_values_come_back_as_they_went_in_whatever_their_kinds_and_gaps() {
        let given = [
            (3, AttributeValue::Int(-1)),
            (4, AttributeValue::Int(i64::MAX)),
            (7, AttributeValue::String(2)),
            (8, AttributeValue::Double(0.5)),
            (20, AttributeValue::Bool(true)),
            (u32::MAX - 1, AttributeValue::Json(9)),
        ];
        for n in 0..=given.len() {
            let mut column = AttributeColumn::default();
            for &(row, value) in &given[..n] {
                column.push(row, value);
                // The first value of a row stands.
                column.push(row, AttributeValue::String(77));
            }
            assert_eq!(column.iter().collect::<Vec<_>>(), given[..n]);
            assert_eq!((column.len(), column.is_empty()), (n, n == 0));
            for (at, &(row, _)) in given[..n].iter().enumerate() {
                assert_eq!(column.position_from(0..n, row), at);
                assert_eq!(column.position_from(0..n, row + 1), at + 1);
            }
        }
    }
}
