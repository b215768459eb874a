//! Columns of numbers as bytes: variable length, small numbers short.

use crate::packed::{folded, unfolded};

/// What is wrong with the bytes.
pub(super) type Broken = &'static str;

const ENDS_EARLY: Broken = "it ends early";

/// Bytes being written.
#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn u64(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    /// A signed number, small in either direction.
    pub(super) fn i64(&mut self, value: i64) {
        self.u64(folded(value));
    }

    pub(super) fn i128(&mut self, value: i128) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn len(&mut self, n_items: usize) {
        self.u64(n_items as u64);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.len(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Numbers one after the other.
    pub(super) fn column(&mut self, values: impl Iterator<Item = u64>) {
        for value in values {
            self.u64(value);
        }
    }

    /// The same with signed ones.
    pub(super) fn signed(&mut self, values: impl Iterator<Item = i64>) {
        for value in values {
            self.i64(value);
        }
    }

    /// Differences between neighbours.
    pub(super) fn deltas(&mut self, values: impl Iterator<Item = i64>) {
        let mut last = 0_i64;
        for value in values {
            self.i64(value.wrapping_sub(last));
            last = value;
        }
    }
}

/// Bytes being read; nothing is allocated that the bytes left could not fill.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn u64(&mut self) -> Result<u64, Broken> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or(ENDS_EARLY)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number is too long")
    }

    pub(super) fn i64(&mut self) -> Result<i64, Broken> {
        Ok(unfolded(self.u64()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Broken> {
        u32::try_from(self.u64()?).map_err(|_| "a number is too large")
    }

    pub(super) fn i128(&mut self) -> Result<i128, Broken> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(ENDS_EARLY)?;
        self.0 = rest;
        Ok(i128::from_le_bytes(*bytes))
    }

    /// An index below `n_items`.
    pub(super) fn index(&mut self, n_items: usize) -> Result<u32, Broken> {
        let index = self.u32()?;
        if (index as usize) < n_items { Ok(index) } else { Err("an index is out of range") }
    }

    /// A number of items, each of at least a byte.
    pub(super) fn len(&mut self) -> Result<usize, Broken> {
        let n_items = usize::try_from(self.u64()?).map_err(|_| ENDS_EARLY)?;
        if n_items <= self.0.len() { Ok(n_items) } else { Err(ENDS_EARLY) }
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Broken> {
        let n_bytes = self.len()?;
        let (text, rest) = self.0.split_at(n_bytes);
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| "a text is not UTF-8")
    }

    /// A column of `n_items` items.
    pub(super) fn column<T>(
        &mut self,
        n_items: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, Broken>,
    ) -> Result<Vec<T>, Broken> {
        // Each item takes a byte at least.
        let mut column = Vec::with_capacity(n_items.min(self.0.len()));
        for _ in 0..n_items {
            column.push(item(self)?);
        }
        Ok(column)
    }

    pub(super) fn deltas(&mut self, n_items: usize) -> Result<Vec<i64>, Broken> {
        let mut last = 0_i64;
        self.column(n_items, |reader| {
            last = last.wrapping_add(reader.i64()?);
            Ok(last)
        })
    }
}
