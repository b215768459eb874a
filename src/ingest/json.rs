//! A pull parser for JSON in memory: the caller walks objects and arrays and takes or skips each value.
//!
//! It borrows strings without escapes, copies nothing that is skipped, recurses nowhere (so that no nesting overflows
//! the stack) and knows the byte where it stands, which lets a reader come back to a value once it knows the rest.
//! It is lenient: skipped values are checked for balanced brackets and closed strings only, invalid UTF-8 and lone
//! surrogates become U+FFFD.

use super::sniff::BOM;
use std::borrow::Cow;
use std::ops::Range;

/// A position in JSON text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    /// The same if it is known to be UTF-8, else nothing.
    text: &'a str,
    at: usize,
}

/// What the text at some byte is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// Byte in the text given to the cursor.
    pub(super) at: usize,
    /// What JSON needs there.
    pub(super) expected: &'static str,
    /// Whether the text ended.
    pub(super) cut_off: bool,
}

impl Malformed {
    /// What is wrong with a line, of which the text given to the cursor begins after so many bytes.
    pub(super) fn describe(self, n_before: usize) -> String {
        format!("broken JSON in column {}: expected {}", n_before + self.at + 1, self.expected)
    }
}

/// Result of a step of a [`Cursor`].
pub(super) type Step<T> = Result<T, Malformed>;

/// The type of the value that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
}

impl Kind {
    /// The type with its article, for messages.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::String => "a string",
            Self::Number => "a number",
            Self::Bool => "a truth value",
            Self::Null => "null",
        }
    }
}

/// Bytes of a string that are looked at eight by eight; most strings are keys and ids, which end before a vector search has begun.
const NEAR: usize = 40;

/// Where the first quote, backslash or line break is.
fn first_special(text: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // The high bit of each byte that is zero, and of none before the first such.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    let near = &text[..text.len().min(NEAR)];
    let (words, tail) = near.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let of = |byte: u8| zeros(word ^ (ONES * u64::from(byte)));
        let found = of(b'"') | of(b'\\') | of(b'\n');
        if found != 0 {
            return Some(8 * place + found.trailing_zeros() as usize / 8);
        }
    }
    let rest = 8 * words.len();
    if near.len() < NEAR {
        return tail.iter().position(|byte| matches!(byte, b'"' | b'\\' | b'\n')).map(|offset| rest + offset);
    }
    memchr::memchr3(b'"', b'\\', b'\n', &text[rest..]).map(|offset| rest + offset)
}

/// Progress through the members of an object or the elements of an array.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Items {
    begun: bool,
}

impl Items {
    /// After a member or an element.
    pub(super) const BEGUN: Self = Self { begun: true };
}

impl<'a> Cursor<'a> {
    /// Stands at byte `at` of `bytes`.
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, text: "", at }
    }

    /// Stands at the start of `text`, whose strings need no look at their bytes.
    pub(super) fn of_text(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), text, at: 0 }
    }

    /// Stands at the start of `bytes`, all of which are looked at at once to see if they are UTF-8: that is faster than one by one.
    pub(super) fn of_all(bytes: &'a [u8]) -> Self {
        Self { bytes, text: simdutf8::basic::from_utf8(bytes).unwrap_or_default(), at: 0 }
    }

    /// What comes next.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// A part of the text, if it is known to be one.
    pub(super) fn slice(&self, range: Range<usize>) -> Option<&'a str> {
        self.text.get(range)
    }

    /// Passes over so many bytes.
    pub(super) fn advance_by(&mut self, n_bytes: usize) {
        self.at += n_bytes;
    }

    /// Passes over this text, if it comes next.
    pub(super) fn pass_all(&mut self, text: &[u8]) -> bool {
        let is_next = self.rest().starts_with(text);
        if is_next {
            self.at += text.len();
        }
        is_next
    }

    /// Passes over a string of `N` bytes, none of them special, that `read` can read; whatever else comes next stays there.
    pub(super) fn fixed<const N: usize, T>(&mut self, read: impl FnOnce(&[u8; N]) -> Option<T>) -> Option<T> {
        let (inside, after) = self.rest().strip_prefix(b"\"")?.split_first_chunk::<N>()?;
        let value = read(inside).filter(|_| after.first() == Some(&b'"'))?;
        self.at += N + 2;
        Some(value)
    }

    /// Byte where the cursor stands.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Passes over blanks, and over commas and record separators between top-level values; true at the end of text.
    pub(super) fn at_end(&mut self) -> bool {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | 0x1E | 0) => self.at += 1,
                // Where files were joined.
                Some(0xEF) if self.bytes[self.at..].starts_with(BOM) => self.at += BOM.len(),
                byte => return byte.is_none(),
            }
        }
    }

    /// Passes over blanks; true at the end of text.
    pub(super) fn is_past_blanks_at_end(&mut self) -> bool {
        self.blanks();
        self.at >= self.bytes.len()
    }

    /// Passes over the byte, if it comes next.
    pub(super) fn pass(&mut self, byte: u8) -> bool {
        let is_next = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn malformed<T>(&self, expected: &'static str) -> Step<T> {
        Err(Malformed { at: self.at, expected, cut_off: self.at >= self.bytes.len() })
    }

    /// Type of the next value.
    pub(super) fn kind(&mut self) -> Step<Kind> {
        self.blanks();
        match self.bytes.get(self.at) {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            _ => self.malformed("a JSON value"),
        }
    }

    /// Enters the object that comes next; any other value is skipped.
    pub(super) fn object(&mut self) -> Step<Option<Items>> {
        self.enter(Kind::Object)
    }

    /// Enters the array that comes next; any other value is skipped.
    pub(super) fn array(&mut self) -> Step<Option<Items>> {
        self.enter(Kind::Array)
    }

    fn enter(&mut self, kind: Kind) -> Step<Option<Items>> {
        if self.kind()? == kind {
            self.at += 1;
            return Ok(Some(Items::default()));
        }
        self.skip()?;
        Ok(None)
    }

    /// Key of the object's next member, whose value comes next; `None` once the object has ended.
    pub(super) fn key(&mut self, items: &mut Items) -> Step<Option<Cow<'a, str>>> {
        if !self.advance(items, b'}', "`,` or `}`")? {
            return Ok(None);
        }
        if self.bytes.get(self.at) != Some(&b'"') {
            return self.malformed("a key in quotes");
        }
        let key = self.string()?;
        self.blanks();
        if self.bytes.get(self.at) != Some(&b':') {
            return self.malformed("`:`");
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Whether the array has a next element, which comes next.
    pub(super) fn element(&mut self, items: &mut Items) -> Step<bool> {
        self.advance(items, b']', "`,` or `]`")
    }

    fn advance(&mut self, items: &mut Items, close: u8, expected: &'static str) -> Step<bool> {
        self.blanks();
        if self.bytes.get(self.at) == Some(&close) {
            self.at += 1;
            return Ok(false);
        }
        if items.begun {
            if self.bytes.get(self.at) != Some(&b',') {
                return self.malformed(expected);
            }
            self.at += 1;
            self.blanks();
            // A comma before the closing bracket is forgiven.
            if self.bytes.get(self.at) == Some(&close) {
                self.at += 1;
                return Ok(false);
            }
        }
        items.begun = true;
        Ok(true)
    }

    /// The string that comes next; text of a number or word; `None` for null, objects and arrays, which are skipped.
    pub(super) fn text(&mut self) -> Step<Option<Cow<'a, str>>> {
        match self.kind()? {
            Kind::String => self.string().map(Some),
            Kind::Number | Kind::Bool => self.word().map(|word| Some(Cow::Borrowed(word))),
            Kind::Null | Kind::Object | Kind::Array => self.skip().map(|()| None),
        }
    }

    /// The string that comes next, decoded.
    pub(super) fn string(&mut self) -> Step<Cow<'a, str>> {
        self.blanks();
        if self.bytes.get(self.at) != Some(&b'"') {
            return self.malformed("a string");
        }
        let start = self.at + 1;
        let escaped = self.pass_string()?;
        let inside = start..self.at - 1;
        if escaped {
            return Ok(Cow::Owned(unescape(&self.bytes[inside])));
        }
        Ok(self.text.get(inside.clone()).map_or_else(|| super::values::text(&self.bytes[inside]), Cow::Borrowed))
    }

    /// The number or word that comes next, as written.
    pub(super) fn word(&mut self) -> Step<&'a str> {
        self.blanks();
        let start = self.at;
        while let Some(b'+' | b'-' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') = self.bytes.get(self.at) {
            self.at += 1;
        }
        match std::str::from_utf8(&self.bytes[start..self.at]) {
            Ok(word) if !word.is_empty() => Ok(word),
            _ => self.malformed("a JSON value"),
        }
    }

    /// Passes over the value that comes next, however deep it is.
    pub(super) fn skip(&mut self) -> Step<()> {
        self.blanks();
        let mut depth = 0_usize;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.pass_string()?;
                }
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b',' | b':' | b' ' | b'\t' | b'\n' | b'\r') if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                _ => {
                    self.word()?;
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// Passes over the string whose opening quote is here; whether it holds an escape.
    fn pass_string(&mut self) -> Step<bool> {
        let mut escaped = false;
        self.at += 1;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            if let Some(offset) = first_special(rest) {
                self.at += offset;
                match self.bytes[self.at] {
                    b'"' => {
                        self.at += 1;
                        return Ok(escaped);
                    }
                    b'\\' => {
                        escaped = true;
                        self.at += 2;
                    }
                    // JSON writes a line break as `\n`; a raw one means that the closing quote is missing.
                    _ => return self.malformed("`\"` before the end of the line"),
                }
            } else {
                self.at = self.bytes.len();
                return self.malformed("`\"`");
            }
        }
    }
}

fn unescape(inside: &[u8]) -> String {
    let mut out = Vec::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(offset) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..offset]);
        let code = rest.get(offset + 1).copied().unwrap_or(b'\\');
        rest = rest.get(offset + 2..).unwrap_or_default();
        let plain = match code {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            b'u' => {
                let (character, after) = unicode_escape(rest);
                rest = after;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            other => other,
        };
        out.push(plain);
    }
    out.extend_from_slice(rest);
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The character whose four hex digits (and perhaps a low surrogate's escape) begin `rest`, and what follows.
fn unicode_escape(rest: &[u8]) -> (char, &[u8]) {
    let Some(high) = four_hex(rest) else { return (char::REPLACEMENT_CHARACTER, rest) };
    let after = &rest[4..];
    if let Some(character) = char::from_u32(high) {
        return (character, after);
    }
    let low = after.strip_prefix(b"\\u").and_then(four_hex).filter(|low| (0xDC00..0xE000).contains(low));
    match low {
        Some(low) if high < 0xDC00 => {
            let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
            (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), &after[6..])
        }
        _ => (char::REPLACEMENT_CHARACTER, after),
    }
}

fn four_hex(digits: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(digits.get(..4)?).ok()?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::{NEAR, first_special};

    #[test]
    fn the_first_special_byte_is_found_at_any_place_among_any_others() {
        for length in 0..3 * NEAR {
            // Bytes next to those looked for, and with their high bits.
            let plain: Vec<u8> = (0..length).map(|place| b"!#[]\x0b\x09\xa2\xdc\x8a\x00\xff"[place % 11]).collect();
            assert_eq!(first_special(&plain), None, "{length}");
            for place in 0..length {
                for byte in [b'"', b'\\', b'\n'] {
                    let mut text = plain.clone();
                    text[place] = byte;
                    if let Some(after) = text.get_mut(place + 2) {
                        *after = b'"';
                    }
                    assert_eq!(first_special(&text), Some(place), "{length} {place}");
                }
            }
        }
    }
}
