use hashbrown::HashTable;
use std::hash::BuildHasher;

/// Strings by code: each distinct string is stored once and named by a dense `u32` in order of first appearance.
///
/// Lookup costs one hash of the string; codes are deterministic for a given insertion order.
#[derive(Clone, Debug, Default)]
pub struct Dictionary {
    text: String,
    /// End of string `i` in `text`; it begins where `i - 1` ends.
    ends: Vec<usize>,
    table: HashTable<u32>,
    hasher: foldhash::fast::FixedState,
}

impl Dictionary {
    /// Code of `string`, added if it is new.
    pub fn intern(&mut self, string: &str) -> u32 {
        let hash = self.hasher.hash_one(string);
        let (text, ends, hasher) = (&self.text, &self.ends, &self.hasher);
        let entry = self.table.entry(
            hash,
            |&code| slice(text, ends, code) == string,
            |&code| hasher.hash_one(slice(text, ends, code)),
        );
        match entry {
            hashbrown::hash_table::Entry::Occupied(found) => *found.get(),
            hashbrown::hash_table::Entry::Vacant(free) => {
                let code = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
                free.insert(code);
                self.text.push_str(string);
                self.ends.push(self.text.len());
                code
            }
        }
    }

    /// Code of `string` if it was ever interned.
    #[must_use]
    pub fn code(&self, string: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(string);
        self.table.find(hash, |&code| self.get(code) == string).copied()
    }

    /// The string with this code; the empty string for a code that was never given out.
    #[must_use]
    pub fn get(&self, code: u32) -> &str {
        slice(&self.text, &self.ends, code)
    }

    /// Number of distinct strings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether nothing was interned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes on the heap, about.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        self.text.capacity() + 14 * self.ends.capacity()
    }

    /// All strings in code order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|index| self.get(u32::try_from(index).unwrap_or(u32::MAX)))
    }

    /// Interns every string of `other`; entry `i` of the result is the code here of `other`'s code `i`.
    pub fn absorb(&mut self, other: &Self) -> Vec<u32> {
        other.iter().map(|string| self.intern(string)).collect()
    }
}

fn slice<'a>(text: &'a str, ends: &[usize], code: u32) -> &'a str {
    let index = code as usize;
    let Some(&end) = ends.get(index) else { return "" };
    let start = if index == 0 { 0 } else { ends[index - 1] };
    &text[start..end]
}
