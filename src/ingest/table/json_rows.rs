//! Rows of JSON: an object a line, as `ClickHouse`'s `JSONEachRow`, or an array of objects.
//!
//! Lines are parsed in parallel into values that borrow from the text. The columns are the keys of the first rows and
//! of rows spread over what is held of the file; a key that turns up elsewhere becomes an attribute.

use super::builder::{self, Builder};
use super::cell::Cell;
use super::json_value::JsonValue;
use super::roles::{self, ColumnInfo, Mapping};
use super::settle;
use crate::diagnostics::Place;
use crate::error::Error;
use crate::ingest::json::{Cursor, Kind};
use crate::ingest::records::{each_lines, each_of_lines};
use crate::ingest::sniff::BOM;
use crate::ingest::source::{Part, Source};
use crate::ingest::stretch::{Cut, Piece, Pieces};
use crate::ingest::{Kept, Options};
use hashbrown::HashMap;
use std::borrow::Cow;
use std::ops::Range;

/// What a file of lines is called.
const LINES: &str = "JSON lines";
/// What a file that is an array is called.
const ARRAY: &str = "JSON array";
/// Rows over what is held of the file whose keys are looked at besides the first.
const SPREAD_ROWS: usize = 400;

type Object<'a> = Vec<(Cow<'a, str>, JsonValue<'a>)>;

/// Reads rows of JSON; `done` is told the bytes read, piece by piece.
pub(super) fn read(
    source: &mut Source,
    options: &Options,
    done: &(dyn Fn(usize) + Sync),
    kept: Kept,
) -> Result<Vec<Part>, Error> {
    let mut list = List::of(&source.bytes);
    if list.is_none() && !is_lines(&source.bytes) {
        source.read_all();
        list = List::of(&source.bytes);
    }
    let mapping = understand(&rows(&source.bytes, list), source, options)?;
    let table = Table::new(&mapping);
    let read = |rows: &[Raw<'_>]| {
        let mut builder = Builder::new(&mapping, options);
        for row in rows {
            table.push(&mut builder, row);
        }
        builder.finish()
    };
    let read_piece = |piece: Piece| {
        let rows = match list.filter(|_| piece.at == 0) {
            Some(list) => list.rows(piece.bytes, piece.is_last),
            None if list.is_some() => elements(piece.bytes, 1, piece.is_last),
            None => lines(piece.bytes, piece.is_last),
        };
        let mut built = read(&rows);
        kept.offer(piece.index, &mut built.batch);
        done(piece.bytes.len());
        built
    };
    let mut left = None;
    let mut built = if !builder::divisible(&mapping) {
        source.read_all();
        vec![read(&rows(&source.bytes, list))]
    } else if let Some(list) = list {
        let cut = list.cuts(source.pieces(), &mut left);
        each_of_lines(source, kept, cut, read_piece, |built| &mut built.report)
    } else {
        each_lines(source, kept, read_piece, |built| &mut built.report)
    };
    if let (Some(byte), Some(last)) = (left, built.last_mut()) {
        last.report.skip(Place::Offset(byte), "text after the end of the array, which is left out");
    }
    Ok(super::finish(list.map_or(LINES, |list| list.name), &mapping, built))
}

/// What the columns of these rows are.
fn understand(rows: &[Raw<'_>], source: &Source, options: &Options) -> Result<Mapping, Error> {
    const EXPECTED: &str = "JSON objects, one a line or in an array";
    let Some(first) = rows.first() else { return Err(super::damaged(&source.name, EXPECTED, "there are none")) };
    let sample = sample(rows);
    let columns = columns(&sample);
    if columns.is_empty() {
        let line = first.line;
        let reason = match parse(first) {
            Err(reason) => format!("line {line}: {reason}"),
            Ok(_) => format!("line {line} holds no object with keys"),
        };
        return Err(super::damaged(&source.name, EXPECTED, &reason));
    }
    let mut mapping = roles::find(&columns, options, &source.name)?;
    let table = Table::new(&mapping);
    let slots: Vec<Vec<Option<usize>>> = sample.iter().map(|row| table.slots(row)).collect();
    settle::settle(&mut mapping, sample.len(), |row, column| value(&sample[row], &slots[row], column));
    Ok(mapping)
}

/// The text of a row.
#[derive(Clone, Copy)]
struct Raw<'a> {
    text: &'a [u8],
    line: u64,
    /// Whether the file ends with it, without a line end or closing bracket.
    last: bool,
}

/// The rows of a file, not yet parsed.
fn rows(bytes: &[u8], list: Option<List>) -> Vec<Raw<'_>> {
    list.map_or_else(|| lines(bytes, true), |list| list.rows(bytes, true))
}

/// A file that is one array of rows, or an object with such an array.
#[derive(Clone, Copy)]
struct List {
    /// Byte of the file after the opening bracket.
    begin: usize,
    /// What such a file is called.
    name: &'static str,
}

impl List {
    /// Of the file that begins so; an object's array is called `data`, as in a result that `ClickHouse`'s `FORMAT JSON` writes.
    fn of(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes, 0);
        let name = match cursor.kind().ok()? {
            Kind::Array => ARRAY,
            Kind::Object if !is_lines(bytes) => {
                let mut members = cursor.object().ok()??;
                while cursor.key(&mut members).ok()?? != "data" {
                    cursor.skip().ok()?;
                }
                "JSON result"
            }
            _ => return None,
        };
        cursor.array().ok()??;
        Some(Self { begin: cursor.position(), name })
    }

    /// The rows of the file, or of its beginning.
    fn rows(self, bytes: &[u8], is_last: bool) -> Vec<Raw<'_>> {
        let (before, inside) = bytes.split_at(self.begin.min(bytes.len()));
        elements(inside, 1 + count_lines(before), is_last)
    }

    /// Cuts after the first row that ends beyond so many bytes, and for the last time where the array ends; `left` is told the byte where more
    /// text comes after an array that is the whole file.
    fn cuts(self, pieces: Pieces, left: &mut Option<u64>) -> impl FnMut(&[u8], u64, bool) -> Cut {
        let mut is_closed = false;
        move |rest, at, is_all| {
            if is_closed {
                let n_blanks = rest.len() - rest.trim_ascii_start().len();
                if self.name == ARRAY && n_blanks < rest.len() {
                    *left = Some(at + n_blanks as u64);
                } else if self.name == ARRAY && !is_all {
                    return Cut::More;
                }
                return Cut::Stop;
            }
            let mut next = if at == 0 { self.begin } else { 0 };
            loop {
                let (_, end, after) = element(rest, next);
                match end {
                    End::Comma if after < pieces.bytes_at(at) => next = after,
                    End::Comma => return Cut::After(after),
                    End::Bracket => {
                        is_closed = true;
                        return Cut::After(after);
                    }
                    End::Nothing if is_all => return Cut::After(rest.len()),
                    End::Nothing => return Cut::More,
                }
            }
        }
    }
}

/// Whether the first line is an object by itself, and no result's beginning.
fn is_lines(bytes: &[u8]) -> bool {
    let body = bytes.trim_ascii_start();
    let first = body.split(|&byte| byte == b'\n').next().unwrap_or_default();
    first.starts_with(b"{")
        && !first.starts_with(b"{\"meta\"")
        && serde_json::from_slice::<serde::de::IgnoredAny>(first).is_ok()
}

/// The rows of a piece of text, with which the file ends if `is_last`.
fn lines(bytes: &[u8], is_last: bool) -> Vec<Raw<'_>> {
    let mut rows = Vec::new();
    let mut start = 0;
    for (index, end) in memchr::memchr_iter(b'\n', bytes).chain([bytes.len()]).enumerate() {
        let text = bytes[start..end].trim_ascii();
        let text = text.strip_prefix(BOM).unwrap_or(text);
        if !text.is_empty() {
            rows.push(Raw { text, line: index as u64 + 1, last: is_last && end == bytes.len() });
        }
        start = end + 1;
    }
    rows
}

/// What comes after an element of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Comma,
    Bracket,
    /// The text ends.
    Nothing,
}

/// The next element of an array from byte `from` on, without the blanks around it, what comes after it, and the byte after that: brackets are
/// matched, strings stepped over.
fn element(bytes: &[u8], from: usize) -> (Range<usize>, End, usize) {
    let n_blanks = |bytes: &[u8]| bytes.len() - bytes.trim_ascii_start().len();
    let start = from + n_blanks(&bytes[from..]);
    let ends = |at: usize, end: End| (start..start + bytes[start..at].trim_ascii_end().len(), end, at + 1);
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at += 1;
                while let Some(offset) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
                    at += offset;
                    if bytes[at] == b'"' {
                        break;
                    }
                    at += 2;
                }
                // A string that does not end goes to the end of the text.
                if bytes.get(at) != Some(&b'"') {
                    break;
                }
            }
            b',' if depth == 0 => return ends(at, End::Comma),
            b']' if depth == 0 => return ends(at, End::Bracket),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    ends(bytes.len(), End::Nothing)
}

/// The elements of an array after its opening bracket, or of a piece of it, with which the file ends if `is_last`.
fn elements(bytes: &[u8], first_line: u64, is_last: bool) -> Vec<Raw<'_>> {
    let mut rows = Vec::new();
    let (mut line, mut counted, mut next) = (first_line, 0, 0);
    loop {
        let (text, end, after) = element(bytes, next);
        line += count_lines(&bytes[counted..text.start]);
        counted = text.start;
        // Without a closing bracket the file was cut off here, within a row or between two.
        let last = is_last && end == End::Nothing;
        if last || !text.is_empty() {
            rows.push(Raw { text: &bytes[text], line, last });
        }
        if end != End::Comma {
            return rows;
        }
        next = after;
    }
}

fn parse<'a>(row: &Raw<'a>) -> Result<Object<'a>, String> {
    match serde_json::from_slice(row.text) {
        Ok(JsonValue::Object(object)) => Ok(object),
        Ok(other) => Err(format!("`{}`, expected a JSON object", other.cell().show())),
        Err(error) if error.is_eof() => Err("the JSON object ends too early".to_owned()),
        Err(error) => Err(format!("not JSON: {error}")),
    }
}

/// The first rows that parse, and some spread over the rest.
fn sample<'a>(rows: &[Raw<'a>]) -> Vec<Object<'a>> {
    let step = (rows.len() / SPREAD_ROWS).max(1);
    let first = rows.iter().take(settle::SAMPLE_ROWS);
    first.chain(rows.iter().skip(settle::SAMPLE_ROWS).step_by(step)).filter_map(|row| parse(row).ok()).collect()
}

/// The keys of the sample in order of first appearance.
fn columns(sample: &[Object<'_>]) -> Vec<ColumnInfo> {
    let mut columns: Vec<ColumnInfo> = Vec::new();
    let mut seen: hashbrown::HashSet<&str> = hashbrown::HashSet::new();
    for (key, _) in sample.iter().flatten() {
        if seen.insert(key) {
            columns.push(ColumnInfo::untyped(key.as_ref()));
        }
    }
    columns
}

/// Where each column's value stands in the objects of a file.
struct Table {
    names: Vec<String>,
    index: HashMap<String, usize, foldhash::fast::FixedState>,
}

impl Table {
    fn new(mapping: &Mapping) -> Self {
        let names = mapping.names.clone();
        let index = names.iter().enumerate().map(|(column, name)| (name.clone(), column)).collect();
        Self { names, index }
    }

    /// Entry of each column in a row; rows mostly have the same keys in the same order.
    fn slots(&self, row: &Object<'_>) -> Vec<Option<usize>> {
        let mut slots = vec![None; self.names.len()];
        for (entry, (key, _)) in row.iter().enumerate() {
            if let Some(column) = self.column(entry, key)
                && slots[column].is_none()
            {
                slots[column] = Some(entry);
            }
        }
        slots
    }

    fn column(&self, entry: usize, key: &str) -> Option<usize> {
        match self.names.get(entry) {
            Some(name) if name == key => Some(entry),
            _ => self.index.get(key).copied(),
        }
    }

    fn push(&self, builder: &mut Builder<'_>, raw: &Raw<'_>) {
        let place = Place::Line(raw.line);
        let row = match parse(raw) {
            Ok(row) => row,
            // Cut off where the file ends, within a record or between two.
            Err(_) if raw.last => return builder.truncated(),
            Err(reason) => return builder.skip(place, reason),
        };
        let slots = self.slots(&row);
        let Some(span) = builder.push(place, |column| value(&row, &slots, column)) else { return };
        for (entry, (key, value)) in row.iter().enumerate() {
            if self.column(entry, key).is_none() {
                builder.late_column(span, key, value.cell());
            }
        }
    }
}

fn value<'r>(row: &'r Object<'_>, slots: &[Option<usize>], column: usize) -> Cell<'r> {
    slots.get(column).copied().flatten().map_or(Cell::Null, |entry| row[entry].1.cell())
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
