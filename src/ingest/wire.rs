//! Protobuf's wire format, walked in place.

/// The fields of one message, in the order written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    /// Bytes before `rest` in the file.
    at: u64,
    /// Whether a field that runs past the end is handed out as far as it goes.
    open_ended: bool,
    /// Whether that happened.
    pub(super) cut_off: bool,
}

/// A field's value by wire type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    /// A string, bytes or a message, and the offset in the file of its first byte.
    Bytes(&'a [u8], u64),
}

/// Where a message is not protobuf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// Byte in the file.
    pub(super) at: u64,
    /// What protobuf needs there.
    pub(super) expected: &'static str,
}

impl<'a> Fields<'a> {
    /// Fields of the message `bytes`, which stands at byte `at` of the file.
    pub(super) fn new(bytes: &'a [u8], at: u64) -> Self {
        Self { rest: bytes, at, open_ended: false, cut_off: false }
    }

    /// As [`Fields::new`], for a message that may be cut off: a last field that runs past the end is handed out as
    /// far as it goes.
    pub(super) fn open_ended(bytes: &'a [u8], at: u64) -> Self {
        Self { rest: bytes, at, open_ended: true, cut_off: false }
    }

    /// Offset in the file of the next field.
    pub(super) fn position(&self) -> u64 {
        self.at
    }

    /// The next field's number and value.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Field<'a>)>, Broken> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                let at = self.at;
                Field::Bytes(self.take(length)?, at)
            }
            5 => Field::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return self.broken("a wire type of 0, 1, 2 or 5"),
        };
        if tag >> 3 == 0 {
            return self.broken("a field number above 0");
        }
        Ok(Some((tag >> 3, value)))
    }

    fn broken<T>(&self, expected: &'static str) -> Result<T, Broken> {
        Err(Broken { at: self.at, expected })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Broken> {
        let length = if length <= self.rest.len() {
            length
        } else if self.open_ended {
            self.cut_off = true;
            self.rest.len()
        } else {
            return self.broken("a field that ends within its message");
        };
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        self.at += length as u64;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let Some((taken, rest)) = self.rest.split_first_chunk() else { return self.broken("a fixed-size number") };
        self.rest = rest;
        self.at += N as u64;
        Ok(*taken)
    }

    fn varint(&mut self) -> Result<u64, Broken> {
        let mut value = 0;
        for (index, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7F) << (7 * index);
            if byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                self.at += index as u64 + 1;
                return Ok(value);
            }
        }
        self.broken("a varint")
    }
}
