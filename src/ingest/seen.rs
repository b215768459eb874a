//! Attributes that were read before, byte by byte: most are the same few again and again.

use crate::span::AttributeValue;
use std::hash::BuildHasher as _;

/// Bytes of the longest that is kept.
const MAX_BYTES: usize = 96;
/// Places for attributes; of two that want the same place the later has it.
const N_PLACES: usize = 1024;

/// What attributes' bytes stand for in a batch: a column and a value, or nothing that is wanted.
#[derive(Debug, Default)]
pub(super) struct Seen {
    places: Vec<Place>,
    hasher: foldhash::fast::FixedState,
}

/// Column and value of an attribute that is wanted.
pub(super) type Meaning = Option<(u32, AttributeValue)>;

#[derive(Clone, Debug)]
struct Place {
    bytes: [u8; MAX_BYTES],
    n_bytes: usize,
    meaning: Meaning,
}

impl Seen {
    fn place_of(&self, bytes: &[u8]) -> usize {
        // The modulus is far below what a `usize` holds.
        usize::try_from(self.hasher.hash_one(bytes) % N_PLACES as u64).unwrap_or(0)
    }

    /// What these bytes stand for, if they were seen.
    pub(super) fn get(&self, bytes: &[u8]) -> Option<Meaning> {
        if bytes.len() > MAX_BYTES || self.places.is_empty() {
            return None;
        }
        let place = &self.places[self.place_of(bytes)];
        (place.bytes[..place.n_bytes] == *bytes && !bytes.is_empty()).then_some(place.meaning)
    }

    /// Keeps what these bytes stand for, if they are few.
    pub(super) fn put(&mut self, bytes: &[u8], meaning: Meaning) {
        if bytes.len() > MAX_BYTES {
            return;
        }
        if self.places.is_empty() {
            self.places = vec![Place { bytes: [0; MAX_BYTES], n_bytes: 0, meaning: None }; N_PLACES];
        }
        let at = self.place_of(bytes);
        let place = &mut self.places[at];
        place.bytes[..bytes.len()].copy_from_slice(bytes);
        (place.n_bytes, place.meaning) = (bytes.len(), meaning);
    }
}
