//! Cuts one long JSON document at the elements of its list, so that cores read it side by side.
//!
//! Most exports are lines, but Jaeger's, Zipkin's and `jq`'s are one document of any size. A first pass finds where
//! elements begin and reads nothing; then each piece is read as if it stood alone. A piece that is broken, or a document
//! of another shape than the plain one, is no piece at all: then the document is read from its start to its end, which
//! knows what to say about it.

use super::json::{Cursor, Kind, Step};
use std::ops::Range;

/// What a key of an object is.
pub(super) type KeyTest = fn(&str) -> bool;

/// Bytes of the pieces, each of which ends before an element or the end of the list; `None` if the document is not one
/// list, bare or in an object under a key that `is_list`. The object's other keys must all be ones that `is_idle`.
pub(super) fn divide(
    bytes: &[u8],
    piece_bytes: usize,
    is_list: KeyTest,
    is_idle: KeyTest,
) -> Option<Vec<Range<usize>>> {
    let mut cursor = Cursor::new(bytes, 0);
    let pieces = document(&mut cursor, piece_bytes, is_list, is_idle).ok().flatten()?;
    cursor.at_end().then_some(pieces)
}

fn document(
    cursor: &mut Cursor,
    piece_bytes: usize,
    is_list: KeyTest,
    is_idle: KeyTest,
) -> Step<Option<Vec<Range<usize>>>> {
    if cursor.kind()? == Kind::Array {
        return list(cursor, piece_bytes).map(Some);
    }
    let Some(mut members) = cursor.object()? else { return Ok(None) };
    let mut pieces = None;
    while let Some(key) = cursor.key(&mut members)? {
        if is_list(&key) && pieces.is_none() && cursor.kind()? == Kind::Array {
            pieces = Some(list(cursor, piece_bytes)?);
        } else if is_idle(&key) {
            cursor.skip()?;
        } else {
            return Ok(None);
        }
    }
    Ok(pieces)
}

/// Pieces of the array that comes next.
fn list(cursor: &mut Cursor, piece_bytes: usize) -> Step<Vec<Range<usize>>> {
    let mut pieces = Vec::new();
    let Some(mut elements) = cursor.array()? else { return Ok(pieces) };
    let mut begin = cursor.position();
    let mut end = begin;
    while cursor.element(&mut elements)? {
        let at = cursor.position();
        if at - begin >= piece_bytes && end > begin {
            pieces.push(begin..at);
            begin = at;
        }
        cursor.skip()?;
        end = cursor.position();
    }
    pieces.push(begin..end);
    Ok(pieces)
}

/// Reads each element of a piece; false if there is anything but elements with commas between.
pub(super) fn each_element<'a>(
    bytes: &'a [u8],
    piece: Range<usize>,
    mut read: impl FnMut(&mut Cursor<'a>) -> Step<()>,
) -> bool {
    let mut cursor = Cursor::new(&bytes[..piece.end], piece.start);
    let mut is_first = true;
    while !cursor.is_past_blanks_at_end() {
        if !std::mem::take(&mut is_first) {
            if !cursor.comma() {
                return false;
            }
            if cursor.is_past_blanks_at_end() {
                break;
            }
        }
        if read(&mut cursor).is_err() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{divide, each_element};

    fn pieces(text: &str, piece_bytes: usize) -> Option<Vec<&str>> {
        let pieces = divide(text.as_bytes(), piece_bytes, |key| key == "data", |key| key == "total")?;
        Some(pieces.into_iter().map(|piece| &text[piece]).collect())
    }

    fn elements(text: &str) -> Option<Vec<String>> {
        let mut found = Vec::new();
        let is_whole = each_element(text.as_bytes(), 0..text.len(), |cursor| {
            let start = cursor.position();
            cursor.skip()?;
            found.push(text[start..cursor.position()].trim().to_owned());
            Ok(())
        });
        is_whole.then_some(found)
    }

    #[test]
    fn a_list_is_cut_before_elements_and_nothing_is_lost() {
        let list = r#" [ {"a":"],["} , [1,2],"x" ,{"b":{}} ] "#;
        assert_eq!(pieces(list, 1), Some(vec![r#" {"a":"],["} , "#, "[1,2],", r#""x" ,"#, r#"{"b":{}}"#]));
        assert_eq!(pieces(list, 1000), Some(vec![r#" {"a":"],["} , [1,2],"x" ,{"b":{}}"#]));
        let object = r#"{"total":1,"data":[{},{}],"total":{"data":[]}}"#;
        assert_eq!(pieces(object, 1), Some(vec!["{},", "{}"]));
        assert_eq!(pieces("[]", 1), Some(vec![""]));
    }

    #[test]
    fn what_is_not_one_plain_list_is_not_cut() {
        for text in [
            "",
            "{}",
            "7",
            "[{}",
            "[{}] [{}]",
            r#"{"data":[{}],"data":[{}]}"#,
            r#"{"other":1,"data":[{}]}"#,
            r#"{"data":{}}"#,
        ] {
            assert_eq!(pieces(text, 1), None, "{text}");
        }
    }

    #[test]
    fn a_piece_has_elements_with_commas_between_and_perhaps_one_after() {
        let expected = Some(vec!["{}".to_owned(), "[1]".to_owned()]);
        assert_eq!(elements(" {} , [1] "), expected);
        assert_eq!(elements("{},[1],"), expected);
        assert_eq!(elements(""), Some(Vec::new()));
        for text in ["{} [1]", "{},,[1]", ",{}", "{", "{},[1]]"] {
            assert_eq!(elements(text), None, "{text}");
        }
    }
}
