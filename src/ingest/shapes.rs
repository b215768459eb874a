//! Beginnings of attributes as they were met before, byte by byte: what was read once need not be read again.
//!
//! Attributes are most of an export's bytes, and up to their values the same few texts again and again. A text that is equal to one
//! that was read means the same, so it is compared and passed over.

use super::json::Cursor;

/// Places for beginnings; of two that want the same place the later has it.
const N_PLACES: usize = 256;
/// Bytes at the start of each, which tell nothing.
const COMMON: &[u8] = b"{\"key\":\"";

/// Attributes' beginnings, up to their values.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    places: Vec<Shape>,
}

#[derive(Clone, Debug, Default)]
struct Shape {
    text: Box<[u8]>,
    key_len: usize,
    member: usize,
}

impl Shapes {
    /// Passes over a beginning that is known; its key, and the number of what came between key and value.
    pub(super) fn pass<'a>(&self, cursor: &mut Cursor<'a>) -> Option<(&'a str, usize)> {
        let rest = cursor.rest();
        let shape = self.places.get(place_of(rest)?)?;
        if shape.text.is_empty() || !rest.starts_with(&shape.text) {
            return None;
        }
        let begin = cursor.position() + COMMON.len();
        let key = cursor.slice(begin..begin + shape.key_len)?;
        cursor.advance_by(shape.text.len());
        Some((key, shape.member))
    }

    /// Learns how an attribute of this `key` begins, of which `rest` is the text, if it has its key first, no blanks, and between key and value
    /// one of these.
    pub(super) fn learn(&mut self, rest: &[u8], key: &str, members: &[&str]) {
        let after = || rest.strip_prefix(COMMON)?.strip_prefix(key.as_bytes());
        let Some((after, place)) = after().zip(place_of(rest)) else { return };
        let Some(member) = members.iter().position(|member| after.starts_with(member.as_bytes())) else { return };
        self.places.resize(N_PLACES, Shape::default());
        let n_bytes = COMMON.len() + key.len() + members[member].len();
        self.places[place] = Shape { text: rest[..n_bytes].into(), key_len: key.len(), member };
    }
}

/// The place of what begins so: by sixteen bytes from its key on, of which the later ones tell keys with a common prefix apart.
fn place_of(rest: &[u8]) -> Option<usize> {
    let (words, _) = rest.get(COMMON.len()..COMMON.len() + 16)?.as_chunks::<8>();
    let [first, second] = [words[0], words[1]].map(u64::from_le_bytes);
    let mixed = (first ^ second.rotate_left(29)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    Some((mixed >> 56) as usize)
}
