//! Cuts one long JSON document at the elements of its list, so that cores read it side by side.
//!
//! Most exports are lines, but Jaeger's, Zipkin's and `jq`'s are one document of any size. Nobody goes through it to find where
//! elements begin: cuts are guessed, at text that looks as the first element begins. The guess proves itself. Elements that
//! follow each other from the list's start to exactly the first cut show that it is one, and so on to the end of the document. If a
//! piece is not so, or the document is broken or of another shape than the plain one, the document is read from its start
//! to its end, which knows what to say about it.

use super::json::{Cursor, Items, Kind, Step};
use std::ops::Range;

/// What a key of an object is.
pub(super) type KeyTest = fn(&str) -> bool;

/// Keys of the first element that others are recognised by.
const N_KEYS: usize = 3;

/// A document that is one list, bare or in an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Divided {
    /// Bytes of the pieces. Each but the last has elements with a comma after each; the last goes on to the end of the document.
    pub(super) pieces: Vec<Range<usize>>,
    /// Whether the list is not in an object.
    is_bare: bool,
}

/// Where to cut the document; `None` if it does not begin as one list, bare or in an object under a key that `is_list` and comes after
/// others that are all `is_idle`.
pub(super) fn divide(bytes: &[u8], piece_bytes: usize, is_list: KeyTest, is_idle: KeyTest) -> Option<Divided> {
    let mut cursor = Cursor::new(bytes, 0);
    let is_bare = cursor.kind().ok()? == Kind::Array;
    if !is_bare {
        let mut members = cursor.object().ok()??;
        loop {
            let key = cursor.key(&mut members).ok()??;
            if is_list(&key) {
                break;
            }
            if !is_idle(&key) {
                return None;
            }
            cursor.skip().ok()?;
        }
    }
    let mut elements = cursor.array().ok()??;
    let mut begin = cursor.position();
    let mut pieces = Vec::new();
    if cursor.element(&mut elements).ok()? {
        let pattern = Pattern::of(bytes, cursor)?;
        let finder = memchr::memmem::Finder::new(pattern.start);
        let next = |from: usize| {
            let mut places = finder.find_iter(bytes.get(from..)?).map(|offset| from + offset);
            places.find(|&at| pattern.fits(bytes, at))
        };
        while let Some(cut) = next(begin + piece_bytes) {
            pieces.push(begin..cut);
            begin = cut;
        }
    }
    pieces.push(begin..bytes.len());
    Some(Divided { pieces, is_bare })
}

/// How the first element of a list begins.
struct Pattern<'a> {
    kind: Kind,
    /// To the colon after its first key.
    start: &'a [u8],
    keys: Vec<(Box<str>, Kind)>,
}

impl<'a> Pattern<'a> {
    /// Of the element, an object or a list of objects, that comes next.
    fn of(bytes: &'a [u8], mut cursor: Cursor<'a>) -> Option<Self> {
        let begin = cursor.position();
        let kind = cursor.kind().ok()?;
        let keys = first_keys(cursor)?;
        let colon = memchr::memchr(b':', &bytes[begin..])?;
        Some(Self { kind, start: &bytes[begin..=begin + colon], keys })
    }

    /// Whether an element of this kind may begin at byte `at`: another that is closed in the same way comes before it.
    fn fits(&self, bytes: &[u8], at: usize) -> bool {
        let close = if self.kind == Kind::Object { b"}" } else { b"]" };
        let before = bytes[..at].trim_ascii_end().strip_suffix(b",");
        before.is_some_and(|before| before.trim_ascii_end().ends_with(close))
            && first_keys(Cursor::new(bytes, at)).is_some_and(|keys| keys == self.keys)
    }
}

/// The first keys of the object, or of the first object in the list, that comes next, and what they hold; a list or an object in
/// it is the last.
fn first_keys(mut cursor: Cursor) -> Option<Vec<(Box<str>, Kind)>> {
    if cursor.kind().ok()? == Kind::Array {
        let mut elements = cursor.array().ok()??;
        cursor.element(&mut elements).ok()?;
    }
    if cursor.kind().ok()? != Kind::Object {
        return None;
    }
    let mut members = cursor.object().ok()??;
    let mut keys = Vec::new();
    while let Some(key) = cursor.key(&mut members).ok()? {
        let kind = cursor.kind().ok()?;
        keys.push((key.into(), kind));
        if matches!(kind, Kind::Object | Kind::Array) || keys.len() == N_KEYS {
            break;
        }
        cursor.skip().ok()?;
    }
    Some(keys)
}

impl Divided {
    /// Reads each element of piece `index`; false if there is anything but elements with commas between and, after the last piece, the
    /// end of a document of which no other key tells anything.
    pub(super) fn each_element<'a>(
        &self,
        bytes: &'a [u8],
        index: usize,
        is_idle: KeyTest,
        mut read: impl FnMut(&mut Cursor<'a>) -> Step<()>,
    ) -> bool {
        let Range { start, end } = self.pieces[index].clone();
        let mut cursor = Cursor::of_all(&bytes[start..end]);
        let is_last = index + 1 == self.pieces.len();
        loop {
            if cursor.is_past_blanks_at_end() {
                return !is_last;
            }
            if is_last && cursor.kind().is_err() {
                return self.is_end(cursor, is_idle).unwrap_or(false);
            }
            if read(&mut cursor).is_err() || cursor.is_past_blanks_at_end() {
                return false;
            }
            if !cursor.pass(b',') {
                return is_last && self.is_end(cursor, is_idle).unwrap_or(false);
            }
        }
    }

    /// Whether the list ends here and after it the document.
    fn is_end(&self, mut cursor: Cursor, is_idle: KeyTest) -> Step<bool> {
        if !cursor.pass(b']') {
            return Ok(false);
        }
        if !self.is_bare {
            let mut members = Items::BEGUN;
            while let Some(key) = cursor.key(&mut members)? {
                if !is_idle(&key) {
                    return Ok(false);
                }
                cursor.skip()?;
            }
        }
        Ok(cursor.at_end())
    }
}

#[cfg(test)]
mod tests {
    use super::{Divided, divide};

    fn is_idle(key: &str) -> bool {
        key == "total"
    }

    fn cut(text: &str, piece_bytes: usize) -> Option<Divided> {
        divide(text.as_bytes(), piece_bytes, |key| key == "data", is_idle)
    }

    fn pieces(text: &str, piece_bytes: usize) -> Option<Vec<&str>> {
        Some(cut(text, piece_bytes)?.pieces.into_iter().map(|piece| &text[piece]).collect())
    }

    /// The elements read piece by piece, `None` if it is not cut or a piece is none.
    fn elements(text: &str, piece_bytes: usize) -> Option<Vec<String>> {
        let divided = cut(text, piece_bytes)?;
        let mut found = Vec::new();
        let is_whole = (0..divided.pieces.len()).all(|index| {
            divided.each_element(text.as_bytes(), index, is_idle, |cursor| {
                cursor.kind()?;
                let start = cursor.position();
                cursor.skip()?;
                let begin = divided.pieces[index].start;
                found.push(text[begin + start..begin + cursor.position()].to_owned());
                Ok(())
            })
        });
        is_whole.then_some(found)
    }

    #[test]
    fn a_list_is_cut_where_elements_begin_and_nothing_is_lost() {
        let list =
            r#" [ {"a":"},{","b":[]} , {"a":"x","b":[{"a":"y","b":[]},{"a":7}]},{"a":"z","b":[1]} , {"c":1}, 7] "#;
        let expected = vec![
            r#" {"a":"},{","b":[]} , "#,
            r#"{"a":"x","b":[{"a":"y","b":[]},{"a":7}]},"#,
            r#"{"a":"z","b":[1]} , {"c":1}, 7] "#,
        ];
        assert_eq!(pieces(list, 1), Some(expected));
        assert_eq!(pieces(list, 30).map(|pieces| pieces.len()), Some(2), "as long as asked for");
        let each = [
            r#"{"a":"},{","b":[]}"#,
            r#"{"a":"x","b":[{"a":"y","b":[]},{"a":7}]}"#,
            r#"{"a":"z","b":[1]}"#,
            r#"{"c":1}"#,
            "7",
        ];
        for piece_bytes in [1, 30, 1000] {
            assert_eq!(elements(list, piece_bytes), Some(each.map(str::to_owned).to_vec()), "{piece_bytes}");
        }
        assert_eq!(elements("[]", 1), Some(Vec::new()));
    }

    #[test]
    fn lists_of_lists_are_cut_too() {
        let list = r#"[[{"a":1},{"a":2}], [{"a":3}],[],[{"a":4}]]"#;
        assert_eq!(pieces(list, 1), Some(vec![r#"[{"a":1},{"a":2}], "#, r#"[{"a":3}],[],"#, r#"[{"a":4}]]"#]));
        assert_eq!(elements(list, 1).map(|each| each.len()), Some(4));
    }

    #[test]
    fn a_list_in_an_object_is_read_if_the_other_keys_tell_nothing() {
        let object = r#"{"total":1,"data":[{"a":1},{"a":2}],"total":{"data":[]}} "#;
        assert_eq!(pieces(object, 1), Some(vec![r#"{"a":1},"#, r#"{"a":2}],"total":{"data":[]}} "#]));
        assert_eq!(elements(object, 1).map(|each| each.len()), Some(2));
        let trailing_comma = r#"{"data":[{"a":1},{"a":2}, ] , }"#;
        assert_eq!(elements(trailing_comma, 1).map(|each| each.len()), Some(2));
    }

    #[test]
    fn a_wrong_guess_and_a_document_that_is_not_one_plain_list_are_noticed() {
        for text in [
            "",
            "{}",
            "7",
            "[{}",
            r#"[{"a":1},[{"a":1},{"a":1}]]"#,
            r#"[{"a":1},{"b":"},{","c":{"a":1},"d":[0,{"a":1}]}"#,
            r#"[{"a":1},{"a":2}] [{"a":3}]"#,
            r#"[{"a":1} {"a":2},{"a":3}]"#,
            r#"[{"a":1},,{"a":2}]"#,
            r#"[{"a":1},{"a":2}"#,
            r#"[{"a":1},{"a":2},"#,
            r#"[{"a":1},{"a":2}]]"#,
            r#"[{"a":1},{"a":2}}"#,
            r#"{"data":[{"a":1}],"data":[{"a":2}]}"#,
            r#"{"data":[{"a":1}],"other":[]}"#,
            r#"{"other":1,"data":[{"a":1}]}"#,
            r#"{"data":{}}"#,
        ] {
            assert_eq!(elements(text, 1), None, "{text}");
        }
    }
}
