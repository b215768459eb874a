//! Cuts one long JSON document at the elements of its list, so that cores read it side by side.
//!
//! Most exports are lines, but Jaeger's, Zipkin's and `jq`'s are one document of any size. Nobody goes through it to find where
//! elements begin: cuts are guessed, at text that looks as the first element begins. The guess proves itself. Elements that
//! follow each other from the list's start to exactly the first cut show that it is one, and so on to the end of the document. If a
//! piece is not so, or the document is broken or of another shape than the plain one, what is not proved is read from its start
//! to the document's end, which knows what to say about it.

use super::json::{Cursor, Items, Kind, Step};

/// What a key of an object is.
pub(super) type KeyTest = fn(&str) -> bool;

/// Keys of the first element that others are recognised by.
const N_KEYS: usize = 3;

/// A document that is one list, bare or in an object.
#[derive(Debug)]
pub(super) struct Divided {
    /// Byte of the document where the list's elements begin.
    pub(super) begin: usize,
    /// Whether the list is not in an object.
    pub(super) is_bare: bool,
    /// How an element begins, if there is one.
    pattern: Option<Pattern>,
}

/// How to divide the document; `None` if it does not begin as one list, bare or in an object under a key that `is_list` and comes after
/// others that are all `is_idle`.
pub(super) fn divide(bytes: &[u8], is_list: KeyTest, is_idle: KeyTest) -> Option<Divided> {
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
    let begin = cursor.position();
    let pattern = if cursor.element(&mut elements).ok()? { Some(Pattern::of(bytes, cursor)?) } else { None };
    Some(Divided { begin, is_bare, pattern })
}

/// How the first element of a list begins.
#[derive(Debug)]
struct Pattern {
    kind: Kind,
    /// To the colon after its first key.
    start: memchr::memmem::Finder<'static>,
    keys: Vec<(Box<str>, Kind)>,
}

impl Pattern {
    /// Of the element, an object or a list of objects, that comes next.
    fn of(bytes: &[u8], mut cursor: Cursor) -> Option<Self> {
        let begin = cursor.position();
        let kind = cursor.kind().ok()?;
        let keys = first_keys(cursor)?;
        let colon = memchr::memchr(b':', &bytes[begin..])?;
        let start = memchr::memmem::Finder::new(&bytes[begin..=begin + colon]).into_owned();
        Some(Self { kind, start, keys })
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
    /// The first byte from `from` on where an element may begin.
    pub(super) fn cut(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let pattern = self.pattern.as_ref()?;
        let mut places = pattern.start.find_iter(bytes.get(from..)?).map(|offset| from + offset);
        places.find(|&at| pattern.fits(bytes, at))
    }

    /// Reads each element of a piece, which begins where one may begin and goes to where the next may or, if it `is_last`, to the end of the
    /// document; false if there is anything but elements with a comma after each and, after the last piece, the
    /// end of a document of which no other key tells anything.
    pub(super) fn each_element<'a>(
        &self,
        piece: &'a [u8],
        is_last: bool,
        is_idle: KeyTest,
        mut read: impl FnMut(&mut Cursor<'a>) -> Step<()>,
    ) -> bool {
        let mut cursor = Cursor::of_all(piece);
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

    /// How to divide a text and into which pieces of at least so many bytes.
    fn cut(text: &str, piece_bytes: usize) -> Option<(Divided, Vec<&str>)> {
        let divided = divide(text.as_bytes(), |key| key == "data", is_idle)?;
        let (mut begin, mut pieces) = (divided.begin, Vec::new());
        while let Some(cut) = divided.cut(text.as_bytes(), begin + piece_bytes) {
            pieces.push(&text[begin..cut]);
            begin = cut;
        }
        pieces.push(&text[begin..]);
        Some((divided, pieces))
    }

    fn pieces(text: &str, piece_bytes: usize) -> Option<Vec<&str>> {
        Some(cut(text, piece_bytes)?.1)
    }

    /// The elements read piece by piece, `None` if it is not cut or a piece is none.
    fn elements(text: &str, piece_bytes: usize) -> Option<Vec<String>> {
        let (divided, pieces) = cut(text, piece_bytes)?;
        let mut found = Vec::new();
        let n_pieces = pieces.len();
        let is_whole = pieces.into_iter().enumerate().all(|(index, piece)| {
            divided.each_element(piece.as_bytes(), index + 1 == n_pieces, is_idle, |cursor| {
                cursor.kind()?;
                let start = cursor.position();
                cursor.skip()?;
                found.push(piece[start..cursor.position()].to_owned());
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
