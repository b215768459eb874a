//! Spans as bytes and back, for files that only the process that wrote them reads.
//!
//! Numbers stand little end first, a list after its length. What was cut or changed is noticed, not repaired.

use super::{
    AttributeKey, AttributeScope, AttributeTable, Dictionary, SpanColumns, SpanFrame, SpanIdTexts, TraceIds, TraceKey,
};

/// What does not read back.
pub type Broken = &'static str;

/// A number of fixed size.
pub trait Plain: Copy {
    /// Appends it.
    fn put(self, out: &mut Vec<u8>);
    /// Its bytes.
    const SIZE: usize;
    /// From so many bytes.
    fn get(bytes: &[u8]) -> Self;
}

macro_rules! plain {
    ($($type:ty),+) => {$(
        impl Plain for $type {
            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            const SIZE: usize = size_of::<$type>();
            fn get(bytes: &[u8]) -> Self {
                let mut own = [0; size_of::<$type>()];
                own.copy_from_slice(bytes);
                Self::from_le_bytes(own)
            }
        }
    )+};
}
plain!(u8, u32, u64, i64, u128, f64);

/// Appends a list of numbers.
pub fn put_list<T: Plain>(list: &[T], out: &mut Vec<u8>) {
    (list.len() as u64).put(out);
    out.reserve(list.len() * T::SIZE);
    for &value in list {
        value.put(out);
    }
}

/// Appends a text.
pub fn put_text(text: &str, out: &mut Vec<u8>) {
    (text.len() as u64).put(out);
    out.extend_from_slice(text.as_bytes());
}

/// Takes bytes from the front.
#[derive(Debug)]
pub struct Bytes<'a>(
    /// What is left.
    pub &'a [u8],
);

impl<'a> Bytes<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Broken> {
        let (own, rest) = self.0.split_at_checked(n).ok_or("it ends early")?;
        self.0 = rest;
        Ok(own)
    }

    /// One number.
    ///
    /// # Errors
    /// If there are no more bytes, as for the others.
    pub fn number<T: Plain>(&mut self) -> Result<T, Broken> {
        self.take(T::SIZE).map(T::get)
    }

    /// A length; no more than there are bytes.
    ///
    /// # Errors
    /// If there are not so many bytes.
    pub fn len(&mut self) -> Result<usize, Broken> {
        let len = usize::try_from(self.number::<u64>()?).map_err(|_| "a length is too large")?;
        if len > self.0.len() { Err("a length is too large") } else { Ok(len) }
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A list of numbers.
    ///
    /// # Errors
    /// If it is cut.
    pub fn list<T: Plain>(&mut self) -> Result<Vec<T>, Broken> {
        let len = self.len()?;
        let own = self.take(len.checked_mul(T::SIZE).ok_or("a length is too large")?)?;
        Ok(own.chunks_exact(T::SIZE).map(T::get).collect())
    }

    /// A text.
    ///
    /// # Errors
    /// If it is cut, or no text.
    pub fn text(&mut self) -> Result<&'a str, Broken> {
        let len = self.len()?;
        std::str::from_utf8(self.take(len)?).map_err(|_| "a text is none")
    }
}

impl SpanColumns {
    fn write_to(&self, out: &mut Vec<u8>) {
        put_list(&self.trace, out);
        put_list(&self.span_id, out);
        put_list(&self.parent_span_id, out);
        put_list(&self.service, out);
        put_list(&self.operation, out);
        put_list(&self.kind, out);
        put_list(&self.status, out);
        put_list(&self.start_unix_ns, out);
        put_list(&self.duration_ns, out);
    }

    fn read(bytes: &mut Bytes) -> Result<Self, Broken> {
        Ok(Self {
            trace: bytes.list()?,
            span_id: bytes.list()?,
            parent_span_id: bytes.list()?,
            service: bytes.list()?,
            operation: bytes.list()?,
            kind: bytes.list()?,
            status: bytes.list()?,
            start_unix_ns: bytes.list()?,
            duration_ns: bytes.list()?,
        })
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        4 * (self.trace.capacity() + self.service.capacity() + self.operation.capacity())
            + 8 * (self.span_id.capacity() + self.parent_span_id.capacity())
            + 8 * (self.start_unix_ns.capacity() + self.duration_ns.capacity())
            + self.kind.capacity()
            + self.status.capacity()
    }
}

impl Dictionary {
    fn write_to(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        self.iter().for_each(|text| put_text(text, out));
    }

    fn read(bytes: &mut Bytes) -> Result<Self, Broken> {
        let mut result = Self::default();
        for _ in 0..bytes.len()? {
            result.intern(bytes.text()?);
        }
        Ok(result)
    }
}

impl TraceIds {
    fn write_to(&self, out: &mut Vec<u8>) {
        put_list(&self.keys.iter().map(|key| key.0).collect::<Vec<_>>(), out);
        put_list(&self.widths, out);
        let mut texts: Vec<(&u32, &Box<str>)> = self.texts.iter().collect();
        texts.sort_unstable();
        (texts.len() as u64).put(out);
        for (&trace, text) in texts {
            trace.put(out);
            put_text(text, out);
        }
    }

    fn read(bytes: &mut Bytes) -> Result<Self, Broken> {
        let mut result =
            Self { keys: bytes.list()?.into_iter().map(TraceKey).collect(), widths: bytes.list()?, ..Self::default() };
        for _ in 0..bytes.len()? {
            let trace = bytes.number()?;
            result.texts.insert(trace, bytes.text()?.into());
        }
        Ok(result)
    }

    /// Bytes on the heap, but for texts.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        17 * self.keys.capacity() + 33 * self.index.capacity()
    }
}

impl SpanIdTexts {
    fn write_to(&self, out: &mut Vec<u8>) {
        let mut texts: Vec<(&u64, &Box<str>)> = self.texts.iter().collect();
        texts.sort_unstable();
        (texts.len() as u64).put(out);
        for (&id, text) in texts {
            id.put(out);
            put_text(text, out);
        }
    }

    fn read(bytes: &mut Bytes) -> Result<Self, Broken> {
        let mut result = Self::default();
        for _ in 0..bytes.len()? {
            let id = bytes.number()?;
            result.texts.insert(id, bytes.text()?.into());
        }
        Ok(result)
    }
}

impl AttributeTable {
    fn write_to(&self, out: &mut Vec<u8>) {
        (self.keys.len() as u64).put(out);
        for (key, column) in self.keys.iter().zip(&self.columns) {
            (key.scope as u8).put(out);
            put_text(&key.key, out);
            column.write_to(out);
        }
        self.values.write_to(out);
    }

    fn read(bytes: &mut Bytes) -> Result<Self, Broken> {
        let mut result = Self::default();
        for _ in 0..bytes.len()? {
            let scope = if bytes.number::<u8>()? == AttributeScope::Span as u8 {
                AttributeScope::Span
            } else {
                AttributeScope::Resource
            };
            let column = result.column_index(scope, bytes.text()?) as usize;
            result.columns[column] = super::AttributeColumn::read(bytes)?;
        }
        result.values = Dictionary::read(bytes)?;
        Ok(result)
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        self.columns.iter().map(super::AttributeColumn::n_bytes).sum::<usize>() + self.values.n_bytes()
    }

    /// Each key with a count that its values have at least: whether there are too many is known by it.
    #[must_use]
    pub fn distinct(&self) -> Vec<(AttributeKey, u32)> {
        self.keys.iter().cloned().zip(self.distinct.iter().map(|rise| rise.count)).collect()
    }

    /// Takes over keys, and counts from [`AttributeTable::distinct`] of all the data that these are a part of.
    pub fn set_distinct(&mut self, distinct: &[(AttributeKey, u32)]) {
        for (key, count) in distinct {
            let column = self.column_index(key.scope, &key.key) as usize;
            self.distinct[column].count = *count;
        }
        self.has_any_many = self.distinct.iter().any(|rise| rise.count > super::MAX_DISTINCT);
    }
}

impl SpanFrame {
    /// Appends the frame.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        self.spans.write_to(out);
        self.names.write_to(out);
        self.traces.write_to(out);
        self.span_ids.write_to(out);
        self.attributes.write_to(out);
    }

    /// A frame that was written, but for counts of distinct values, and with ids that cannot be looked up.
    ///
    /// # Errors
    /// If the bytes are not those that were written.
    pub fn read(bytes: &mut Bytes) -> Result<Self, Broken> {
        Ok(Self {
            spans: SpanColumns::read(bytes)?,
            names: Dictionary::read(bytes)?,
            traces: TraceIds::read(bytes)?,
            span_ids: SpanIdTexts::read(bytes)?,
            attributes: AttributeTable::read(bytes)?,
        })
    }

    /// Bytes on the heap, about.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        self.spans.n_bytes() + self.names.n_bytes() + self.traces.n_bytes() + self.attributes.n_bytes()
    }
}
