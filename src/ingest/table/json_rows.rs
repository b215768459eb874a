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
use crate::ingest::records::each_lines;
use crate::ingest::source::{Part, Source};
use crate::ingest::stretch::Piece;
use crate::ingest::{Kept, Options};
use hashbrown::HashMap;
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Bytes of an array that are parsed by one task.
const TASK_BYTES: usize = 4 << 20;
/// What a file of lines is called.
const LINES: &str = "JSON lines";
/// A mark that some writers begin text with.
const BOM: &[u8] = b"\xef\xbb\xbf";
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
    if source.bytes.starts_with(BOM) {
        source.bytes.drain(..BOM.len());
    }
    if !is_lines(&source.bytes) {
        source.read_all();
    }
    let (rows, framing) = split(&source.bytes);
    let mapping = understand(&rows, source, options)?;
    let table = Table::new(&mapping);
    let read = |rows: &[Raw<'_>]| {
        let mut builder = Builder::new(&mapping, options);
        for row in rows {
            table.push(&mut builder, row);
        }
        builder.finish()
    };
    let built = if !builder::divisible(&mapping) {
        source.read_all();
        vec![read(&split(&source.bytes).0)]
    } else if framing == LINES {
        let read_piece = |piece: Piece| {
            let mut built = read(&lines(piece.bytes, piece.is_last));
            kept.offer(piece.index, &mut built.batch);
            done(piece.bytes.len());
            built
        };
        each_lines(source, kept, read_piece, |built| &mut built.report)
    } else {
        // Rows of equal number, not of equal length, are close enough.
        let n_rows = (rows.len() / (source.bytes.len() / TASK_BYTES + 1)).max(1);
        rows.par_chunks(n_rows).map(read).collect()
    };
    Ok(super::finish(framing, &mapping, built))
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

/// The rows of a file, not yet parsed, and what such a file is called.
fn split(bytes: &[u8]) -> (Vec<Raw<'_>>, &'static str) {
    let body = bytes.trim_ascii_start();
    let line = 1 + count_lines(&bytes[..bytes.len() - body.len()]);
    match body.first() {
        Some(b'[') => (elements(&body[1..], line), "JSON array"),
        _ => match data_array(body) {
            Some(array) => {
                let before = array.as_ptr() as usize - body.as_ptr() as usize;
                (elements(&array[1..], line + count_lines(&body[..before])), "JSON result")
            }
            None => (lines(bytes, true), LINES),
        },
    }
}

/// The array `data` of a result that is one object, as `ClickHouse`'s `FORMAT JSON` writes it.
fn data_array(body: &[u8]) -> Option<&[u8]> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        data: &'a RawValue,
    }
    if is_lines(body) {
        return None;
    }
    let envelope: Envelope<'_> = serde_json::from_slice(body).ok()?;
    Some(envelope.data.get().as_bytes()).filter(|data| data.starts_with(b"["))
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
        if !text.is_empty() {
            rows.push(Raw { text, line: index as u64 + 1, last: is_last && end == bytes.len() });
        }
        start = end + 1;
    }
    rows
}

/// The elements of an array whose opening bracket has been read: brackets are matched, strings stepped over.
fn elements(bytes: &[u8], first_line: u64) -> Vec<Raw<'_>> {
    let mut rows = Vec::new();
    let mut line = first_line;
    let mut open: Option<(usize, u64)> = None;
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if in_string => at += 1,
            b'"' => {
                in_string = !in_string;
                open.get_or_insert((at, line));
            }
            b'\n' => line += 1,
            _ if in_string => {}
            b',' | b']' if depth == 0 => {
                if let Some((start, line)) = open.take() {
                    rows.push(Raw { text: bytes[start..at].trim_ascii(), line, last: false });
                }
                if byte == b']' {
                    return rows;
                }
            }
            b'{' | b'[' => {
                depth += 1;
                open.get_or_insert((at, line));
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            byte if !byte.is_ascii_whitespace() => _ = open.get_or_insert((at, line)),
            _ => {}
        }
        at += 1;
    }
    // The closing bracket is missing: the file was cut off here.
    let (start, line) = open.unwrap_or((bytes.len(), line));
    rows.push(Raw { text: bytes[start..].trim_ascii(), line, last: true });
    rows
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
