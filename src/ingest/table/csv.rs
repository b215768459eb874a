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
use crate::ingest::Options;
use crate::ingest::source::{Part, Source};
use ::csv::{ByteRecord, Position, Reader, ReaderBuilder};
use rayon::prelude::*;

/// Rows split at a time: some 20 MB of text.
const HELD_ROWS: usize = 65_536;
/// Bytes that a row has room for from the start, at most.
const MAX_ROOM: usize = 512;
/// Rows understood by one task.
const TASK_ROWS: usize = 8_192;

/// Reads a CSV file.
pub(super) fn read(source: &Source, options: &Options) -> Result<Vec<Part>, Error> {
    const EXPECTED: &str = "a CSV file with a header line";
    let failed = |error: ::csv::Error| super::damaged(source, EXPECTED, &error.to_string());
    let bytes = source.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&source.bytes);
    let mut table = Table::new(bytes);
    let Some(header) = table.next().map_err(failed)? else {
        return Err(super::damaged(source, EXPECTED, "it is empty"));
    };
    let columns: Vec<ColumnInfo> =
        header.fields.iter().map(|name| ColumnInfo::untyped(String::from_utf8_lossy(name).trim())).collect();
    let mut mapping = roles::find(&columns, options, &source.name)?;
    mapping.untyped = true;
    table.n_fields = columns.len();
    table.escaped = !table.quoting && mapping.dialect.name.starts_with("ClickHouse");

    let mut held = table.take(HELD_ROWS).map_err(failed)?;
    let whole: Vec<&Row> = held.iter().filter(|row| row.fields.len() == table.n_fields).collect();
    settle::settle(&mut mapping, whole.len(), |row, column| whole[row].cell(column));

    let mut built = Vec::new();
    if builder::divisible(&mapping) {
        let understand = |rows: &[Row]| {
            let mut builder = Builder::new(&mapping, options);
            for row in rows {
                row.push(&mut builder, columns.len());
            }
            builder.finish()
        };
        while !held.is_empty() {
            let understand_held = || held.par_chunks(TASK_ROWS).map(understand).collect::<Vec<_>>();
            let (next, parts) = rayon::join(|| table.take(HELD_ROWS), understand_held);
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

/// Splits a file into rows.
struct Table<'a> {
    bytes: &'a [u8],
    reader: Reader<&'a [u8]>,
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
    fn new(bytes: &'a [u8]) -> Self {
        let header = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let delimiter = delimiter(header);
        // Tab-separated files quote nothing unless their header says otherwise: they escape by backslashes.
        let quoting = delimiter != b'\t' || header.contains(&b'"');
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(delimiter).quoting(quoting);
        Self { bytes, reader: builder.from_reader(bytes), n_fields: 0, quoting, escaped: false, n_bytes: 0 }
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
    fn end(&self, fields: &ByteRecord) -> End {
        let offset = |position: &Position| usize::try_from(position.byte()).unwrap_or(usize::MAX);
        let rest = self.bytes.get(offset(self.reader.position())..).unwrap_or_default();
        if !rest.trim_ascii().is_empty() {
            return End::Whole;
        }
        let row = fields.position().and_then(|start| self.bytes.get(offset(start)..)).unwrap_or_default();
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
