use hashbrown::HashMap;
use std::fmt::Write as _;
use std::hash::BuildHasher;

/// A trace id as 128 bits: the value of a hex id, or a hash of any other text.
///
/// Shorter hex ids are left-padded with zeros, so a 64-bit id equals its padded 128-bit form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceKey(pub u128);

/// A span id as 64 bits, never zero: the value of a hex id, or a hash of any other text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(pub std::num::NonZeroU64);

impl SpanId {
    /// The id with this value; `None` for zero, which OpenTelemetry calls invalid and exporters write for "no parent".
    #[must_use]
    pub fn new(value: u64) -> Option<Self> {
        std::num::NonZeroU64::new(value).map(Self)
    }

    /// The id as an integer.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

/// The trace ids of a frame by dense index, with the text the user knows them by.
#[derive(Clone, Debug, Default)]
pub struct TraceIds {
    pub(super) keys: Vec<TraceKey>,
    /// Hex digits to print, 16 or 32; 0 where `texts` holds the id.
    pub(super) widths: Vec<u8>,
    pub(super) index: HashMap<u128, u32, foldhash::fast::FixedState>,
    pub(super) texts: HashMap<u32, Box<str>, foldhash::fast::FixedState>,
    pub(super) last: Option<(TraceKey, u32)>,
}

impl TraceIds {
    /// Index of the trace written as `text` (surrounding blanks ignored); `None` if it is empty or all zeros.
    ///
    /// Hex ids of up to 32 digits in either case are read as numbers; anything else is kept as it is written.
    pub fn intern(&mut self, text: &str) -> Option<u32> {
        let text = text.trim();
        match hex(text.as_bytes()) {
            Some(0) => None,
            Some(value) => Some(self.insert(TraceKey(value), if text.len() <= 16 { 16 } else { 32 })),
            None if text.is_empty() => None,
            None => {
                let key = TraceKey(hash_text(text));
                let trace = self.insert(key, 0);
                self.texts.entry(trace).or_insert_with(|| text.into());
                Some(trace)
            }
        }
    }

    /// Index of the trace with these 16 bytes; `None` if it has no bytes or they are all zero. Other lengths are read as big-endian numbers.
    pub fn intern_bytes(&mut self, bytes: &[u8]) -> Option<u32> {
        let significant = &bytes[bytes.len().saturating_sub(16)..];
        let value = significant.iter().fold(0_u128, |value, &byte| value << 8 | u128::from(byte));
        (value != 0).then(|| self.insert(TraceKey(value), if bytes.len() <= 8 { 16 } else { 32 }))
    }

    /// Index of the trace whose id has this value and so many hex digits, 16 or 32; `None` if it is zero.
    pub(crate) fn intern_hex(&mut self, value: u128, width: u8) -> Option<u32> {
        (value != 0).then(|| self.insert(TraceKey(value), width))
    }

    fn insert(&mut self, key: TraceKey, width: u8) -> u32 {
        if let Some((last, trace)) = self.last
            && last == key
        {
            return trace;
        }
        let fresh = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        let trace = *self.index.entry(key.0).or_insert(fresh);
        if trace == fresh {
            self.keys.push(key);
            self.widths.push(width);
        } else if let Some(known) = self.widths.get_mut(trace as usize) {
            *known = (*known).max(width);
        }
        self.last = Some((key, trace));
        trace
    }

    /// The id of trace `trace` as 128 bits.
    #[must_use]
    pub fn key(&self, trace: u32) -> TraceKey {
        self.keys[trace as usize]
    }

    /// The id of trace `trace` as the source wrote it, in lower case.
    #[must_use]
    pub fn text(&self, trace: u32) -> String {
        match self.widths.get(trace as usize) {
            Some(16) => format!("{:016x}", self.keys[trace as usize].0),
            Some(32) => format!("{:032x}", self.keys[trace as usize].0),
            _ => self.texts.get(&trace).map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// Index of the trace that a user names by `text`, in any width or case.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<u32> {
        let text = text.trim();
        let key = hex(text.as_bytes()).unwrap_or_else(|| hash_text(text));
        self.index.get(&key).copied()
    }

    /// Number of traces.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no trace.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Adds every trace of `other` as a trace of its own, even where the id is known already; returns their indices.
    pub fn append_apart(&mut self, other: &Self) -> Vec<u32> {
        let first = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        for (trace, key) in (first..).zip(&other.keys) {
            self.index.entry(key.0).or_insert(trace);
        }
        self.keys.extend_from_slice(&other.keys);
        self.widths.extend_from_slice(&other.widths);
        self.texts.extend(other.texts.iter().map(|(&trace, text)| (first + trace, text.clone())));
        (first..first + u32::try_from(other.keys.len()).unwrap_or(u32::MAX)).collect()
    }

    /// Adds every trace of `other`; entry `i` of the result is the index here of `other`'s trace `i`.
    pub fn absorb(&mut self, other: &Self) -> Vec<u32> {
        let mut codes = Vec::with_capacity(other.len());
        for (position, (&key, &width)) in other.keys.iter().zip(&other.widths).enumerate() {
            let trace = self.insert(key, width);
            if let Some(text) = u32::try_from(position).ok().and_then(|position| other.texts.get(&position)) {
                self.texts.entry(trace).or_insert_with(|| text.clone());
            }
            codes.push(trace);
        }
        codes
    }
}

/// Texts of the span ids that are not 16 lower-case hex digits in the source.
#[derive(Clone, Debug, Default)]
pub struct SpanIdTexts {
    pub(super) texts: HashMap<u64, Box<str>, foldhash::fast::FixedState>,
}

impl SpanIdTexts {
    /// The id written as `text` (surrounding blanks ignored); `None` if it is empty or all zeros.
    ///
    /// Hex ids of up to 16 digits in either case are read as numbers; anything else is hashed and its text kept.
    pub fn intern(&mut self, text: &str) -> Option<SpanId> {
        // The form that nearly all are in.
        if let Ok(digits) = <&[u8; 16]>::try_from(text.as_bytes())
            && let Some(value) = half(digits)
        {
            return SpanId::new(value);
        }
        let text = text.trim();
        if text.len() <= 16
            && let Some(value) = hex(text.as_bytes())
        {
            return u64::try_from(value).ok().and_then(SpanId::new);
        }
        if text.is_empty() || text.bytes().all(|byte| byte == b'0') {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the low half of a good 128-bit hash is a good 64-bit hash"
        )]
        let id = SpanId::new((hash_text(text) as u64).max(1))?;
        self.texts.entry(id.get()).or_insert_with(|| text.into());
        Some(id)
    }

    /// The id as the source wrote it, in lower case where it is hex.
    #[must_use]
    pub fn text(&self, id: SpanId) -> String {
        let mut out = String::with_capacity(16);
        self.write(id, &mut out);
        out
    }

    /// Appends [`SpanIdTexts::text`] to `out`.
    pub fn write(&self, id: SpanId, out: &mut String) {
        match self.texts.get(&id.get()) {
            Some(text) => out.push_str(text),
            // Writing to a `String` cannot fail.
            None => _ = write!(out, "{:016x}", id.get()),
        }
    }

    /// Adds every text of `other`.
    pub fn absorb(&mut self, other: Self) {
        self.texts.extend(other.texts);
    }
}

/// Value of 1 to 32 hex digits in either case; `None` for anything else.
#[inline]
pub(crate) fn hex(digits: &[u8]) -> Option<u128> {
    if digits.is_empty() || digits.len() > 32 {
        return None;
    }
    let (high, low) = digits.split_at(digits.len().saturating_sub(16));
    Some(u128::from(half(high)?) << 64 | u128::from(half(low)?))
}

/// Value of up to 16 hex digits. All are looked at before any is judged, which most have no need of.
fn half(digits: &[u8]) -> Option<u64> {
    let fold = |digits: &[u8]| {
        digits.iter().fold((0_u64, 0_u8), |(value, seen), &digit| {
            let digit = HEX[digit as usize];
            (value << 4 | u64::from(digit & 15), seen | digit)
        })
    };
    // Of a length known in advance the loop is unrolled.
    let (value, seen) = <&[u8; 16]>::try_from(digits).map_or_else(|_| fold(digits), |digits| fold(digits));
    (seen < 16).then_some(value)
}

/// The value of each hex digit, 255 for every other byte.
const HEX: [u8; 256] = {
    let mut table = [255; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789abcdef"[value as usize] as usize] = value;
        table[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value += 1;
    }
    table
};

/// 128 bits from two independently seeded 64-bit hashes; the same on every run and machine word size.
fn hash_text(text: &str) -> u128 {
    let half = |seed| u128::from(foldhash::quality::FixedState::with_seed(seed).hash_one(text.as_bytes()));
    half(1) << 64 | half(2)
}
