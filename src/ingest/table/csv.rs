//! CSV and its kin: a header line, then a row a line, fields apart by commas, semicolons, tabs or bars.
//!
//! Rows are split one after the other, for a quoted field may hold line ends; meanwhile those before are understood in parallel.

use super::attribute_text::escape;
use super::builder::{self, Builder};
use super::cell::Cell;
use super::roles::{self, ColumnInfo};
use super::settle;
use crate::diagnostics::Place;
use crate::error::Error;
use crate::ingest::source::{Part, Source};
use crate::ingest::stretch::{Rest, STRETCH_PIECES};
use crate::ingest::{Kept, Options};
use ::csv::{ByteRecord, Position, Reader, ReaderBuilder};
use rayon::prelude::*;
use std::io::{self, Read};

/// Rows split at a time: some 20 MB of text.
const HELD_ROWS: usize = 65_536;
/// Bytes that a row has room for from the start, at most.
const MAX_ROOM: usize = 512;
/// Rows understood by one task.
const TASK_ROWS: usize = 8_192;

/// Reads a CSV file; `done` is told the bytes read, stretch by stretch.
pub(super) fn read(
    source: &mut Source,
    options: &Options,
    done: &(dyn Fn(usize) + Sync),
    kept: Kept,
) -> Result<Vec<Part>, Error> {
    let name = source.name.clone();
    let damaged = |reason: &str| super::damaged(&name, "a CSV file with a header line", reason);
    let failed = |error: ::csv::Error| damaged(&error.to_string());
    let mut table = Table::new(source);
    let Some(header) = table.next().map_err(failed)? else { return Err(damaged("it is empty")) };
    let columns: Vec<ColumnInfo> =
        header.fields.iter().map(|name| ColumnInfo::untyped(String::from_utf8_lossy(name).trim())).collect();
    let mut mapping = roles::find(&columns, options, &name)?;
    mapping.untyped = true;
    table.n_fields = columns.len();
    table.escaped = !table.quoting && mapping.dialect.name.starts_with("ClickHouse");

    let mut held = table.take(HELD_ROWS).map_err(failed)?;
    let whole: Vec<&Row> = held.iter().filter(|row| row.fields.len() == table.n_fields).collect();
    settle::settle(&mut mapping, whole.len(), |row, column| whole[row].cell(column));

    let mut built = Vec::new();
    if builder::divisible(&mapping) {
        let mut told = 0;
        while !held.is_empty() && !kept.has_failed() {
            let n_built = built.len();
            let understand = |(task, rows): (usize, &[Row])| {
                let mut builder = Builder::new(&mapping, options);
                for row in rows {
                    row.push(&mut builder, columns.len());
                }
                let mut built = builder.finish();
                kept.offer(n_built + task, &mut built.batch);
                built
            };
            let read = table.reader.position().byte();
            let understand_held = || held.par_chunks(TASK_ROWS).enumerate().map(understand).collect::<Vec<_>>();
            let (next, parts) = rayon::join(|| table.take(HELD_ROWS), understand_held);
            done(usize::try_from(read - told).unwrap_or(0));
            told = read;
            built.extend(parts);
            held = next.map_err(failed)?;
        }
    } else {
        let mut builder = Builder::new(&mapping, options);
        while !held.is_empty() {
            for row in &held {
                row.push(&mut builder, columns.len());
            }
            held = table.take(HELD_ROWS).map_err(failed)?;
        }
        built.push(builder.finish());
    }
    Ok(super::finish("CSV", &mapping, built))
}

/// The text of a file, of which what is not split yet is held.
struct Feed<'a> {
    held: Vec<u8>,
    /// Room for what is held next.
    spare: Vec<u8>,
    /// Bytes of the text before those held.
    begin: u64,
    /// Bytes held that were handed out.
    at: usize,
    /// Byte of the text where the row begins that is being split.
    needed: u64,
    rest: Option<&'a mut Rest>,
    stretch_bytes: usize,
}

impl Feed<'_> {
    /// What is held from a byte of the text on.
    fn from(&self, byte: u64) -> &[u8] {
        let index = usize::try_from(byte.saturating_sub(self.begin)).unwrap_or(usize::MAX);
        self.held.get(index..).unwrap_or_default()
    }

    /// Fetches more; false if that was all.
    fn fetch(&mut self) -> bool {
        let n_dropped = self.held.len() - self.from(self.needed).len();
        let Some(rest) = self.rest.as_mut().filter(|rest| !rest.is_end()) else { return false };
        let left = &self.held[n_dropped..];
        self.spare.clear();
        self.spare.extend_from_slice(left);
        rest.fill(&mut self.spare, self.stretch_bytes.max(left.len()));
        self.begin += n_dropped as u64;
        self.at -= n_dropped;
        std::mem::swap(&mut self.held, &mut self.spare);
        if self.spare.capacity() > 2 * self.stretch_bytes {
            self.spare = Vec::new();
        }
        true
    }
}

impl Read for Feed<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.held.len() {
            if !self.fetch() {
                return Ok(0);
            }
        }
        let n_bytes = (&self.held[self.at..]).read(out)?;
        self.at += n_bytes;
        Ok(n_bytes)
    }
}

/// Splits a file into rows.
struct Table<'a> {
    reader: Reader<Feed<'a>>,
    n_fields: usize,
    quoting: bool,
    /// Whether fields are escaped by backslashes.
    escaped: bool,
    /// Bytes of the longest row so far, that a row need not grow.
    n_bytes: usize,
}

/// A row, and whether it is whole.
struct Row {
    fields: ByteRecord,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    /// The file ends within the row.
    Cut,
    /// A quote in it is never closed, so that it holds the rest of the file.
    Unclosed,
}

impl<'a> Table<'a> {
    /// Of the content of `source`, which it takes.
    fn new(source: &'a mut Source) -> Self {
        let stretch_bytes = STRETCH_PIECES * source.pieces().bytes_at(u64::MAX);
        let mut held = std::mem::take(&mut source.bytes);
        if held.starts_with(b"\xef\xbb\xbf") {
            held.drain(..3);
        }
        let header = held.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let delimiter = delimiter(header);
        // Tab-separated files quote nothing unless their header says otherwise: they escape by backslashes.
        let quoting = delimiter != b'\t' || header.contains(&b'"');
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(delimiter).quoting(quoting);
        let feed =
            Feed { held, spare: Vec::new(), begin: 0, at: 0, needed: 0, rest: source.rest.as_mut(), stretch_bytes };
        Self { reader: builder.from_reader(feed), n_fields: 0, quoting, escaped: false, n_bytes: 0 }
    }

    fn take(&mut self, n_rows: usize) -> Result<Vec<Row>, ::csv::Error> {
        let mut rows = Vec::new();
        while rows.len() < n_rows
            && let Some(row) = self.next()?
        {
            rows.push(row);
        }
        Ok(rows)
    }

    fn next(&mut self) -> Result<Option<Row>, ::csv::Error> {
        let mut fields = ByteRecord::with_capacity(self.n_bytes.min(MAX_ROOM), self.n_fields);
        self.reader.get_mut().needed = self.reader.position().byte();
        if !self.reader.read_byte_record(&mut fields)? {
            return Ok(None);
        }
        self.n_bytes = self.n_bytes.max(fields.as_slice().len());
        let end = self.end(&fields);
        if self.escaped && fields.as_slice().contains(&b'\\') {
            let position = fields.position().cloned();
            fields = fields.iter().map(unescaped).collect();
            fields.set_position(position);
        }
        Ok(Some(Row { fields, end }))
    }

    /// How a row just read ends: only the last of a file can be anything but whole.
    fn end(&mut self, fields: &ByteRecord) -> End {
        let after = self.reader.position().byte();
        let feed = self.reader.get_mut();
        while feed.from(after).trim_ascii_start().is_empty() {
            if !feed.fetch() {
                return self.end_of_last(fields);
            }
        }
        End::Whole
    }

    fn end_of_last(&self, fields: &ByteRecord) -> End {
        let row = fields.position().map(|start| self.reader.get_ref().from(start.byte())).unwrap_or_default();
        let unclosed = self.quoting && memchr::memchr_iter(b'"', row).count() % 2 == 1;
        let line_ended = row.ends_with(b"\n");
        let one_line = !row.trim_ascii().contains(&b'\n');
        match (unclosed, line_ended) {
            (true, false) if one_line => End::Cut,
            (true, _) => End::Unclosed,
            (false, false) if fields.len() < self.n_fields => End::Cut,
            (false, _) => End::Whole,
        }
    }
}

impl Row {
    fn push(&self, builder: &mut Builder<'_>, n_fields: usize) {
        let place = Place::Line(self.fields.position().map_or(0, Position::line));
        let found = self.fields.len();
        match self.end {
            End::Cut => builder.truncated(),
            End::Unclosed => builder.skip(place, "a quote is never closed, so the rest of the file was skipped"),
            End::Whole if found == n_fields => _ = builder.push(place, |column| self.cell(column)),
            End::Whole => {
                let fields = if found == 1 { "field" } else { "fields" };
                let many_lines = self.fields.iter().any(|field| field.contains(&b'\n'));
                let hint = if many_lines { "; a quote in it may lack its partner" } else { "" };
                builder.skip(place, format!("{found} {fields}, expected {n_fields}{hint}"));
            }
        }
    }

    fn cell(&self, column: usize) -> Cell<'_> {
        let field = self.fields.get(column).unwrap_or_default();
        std::str::from_utf8(field).map_or(Cell::Bytes(field), Cell::Str)
    }
}

/// The delimiter that a header line uses most, outside quotes.
fn delimiter(header: &[u8]) -> u8 {
    let mut counts = [(b',', 0), (b'\t', 0), (b';', 0), (b'|', 0)];
    let mut quoted = false;
    for &byte in header {
        if byte == b'"' {
            quoted = !quoted;
        } else if !quoted && let Some((_, count)) = counts.iter_mut().find(|(delimiter, _)| *delimiter == byte) {
            *count += 1;
        }
    }
    // The first of equals, so that a header of one column is CSV.
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |&(delimiter, _)| delimiter)
}

/// A tab-separated field without its backslashes; maps and arrays keep theirs, which quote within them, and `\N` is empty.
fn unescaped(field: &[u8]) -> Vec<u8> {
    if field == b"\\N" {
        return Vec::new();
    }
    if matches!(field.first(), Some(b'{' | b'[')) || !field.contains(&b'\\') {
        return field.to_vec();
    }
    let mut out = Vec::with_capacity(field.len());
    let mut bytes = field.iter();
    while let Some(&byte) = bytes.next() {
        match (byte, bytes.as_slice().first()) {
            (b'\\', Some(&letter)) => {
                bytes.next();
                match escape(letter).and_then(|letter| u8::try_from(letter).ok()) {
                    Some(letter) => out.push(letter),
                    None => out.extend([b'\\', letter]),
                }
            }
            (byte, _) => out.push(byte),
        }
    }
    out
}
