//! Splits text and framed protobuf into records and reads them in parallel, in order.
//!
//! JSON comes as lines, each a document, or as documents that span lines. Lines are cut into chunks that are read in
//! parallel, and a broken line costs only itself. A document is read from its start; where it breaks, what stood before
//! is kept, and reading resumes at the next line that begins a document.

use super::json::{Cursor, Kind, Malformed, Step};
use super::sniff::JsonFlavour;
use super::source::Part;
use super::wire::{Field, Fields};
use super::{Kept, Options, Sink, divide, jaeger, otlp_json, otlp_proto, zipkin};
use crate::diagnostics::Place;
use rayon::prelude::*;

/// Bytes that one task reads at most and at least: small enough to balance a few files over all cores, large enough that a
/// chunk's own dictionaries are worth their merge.
const CHUNK_BYTES: [usize; 2] = [8 << 20, 1 << 18];

/// Bytes that one task reads of a file of `n_bytes`; the same whatever the number of threads, as what is kept of an attribute of
/// very many values depends on it.
fn chunk_bytes(n_bytes: usize) -> usize {
    let [most, least] = CHUNK_BYTES;
    (n_bytes / 16).clamp(least, most)
}

/// Arrays in arrays that are flattened; Zipkin's API nests two.
const MAX_ARRAYS: u32 = 4;

/// How to tell the place of a record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Locator {
    /// Every record of this text stands here.
    Fixed(Place),
    /// The text is the file from this byte on, a record stands where it begins.
    From(usize),
}

impl Locator {
    /// Place of the record at byte `at` of the text.
    pub(super) fn place(self, at: usize) -> Place {
        match self {
            Self::Fixed(place) => place,
            Self::From(begin) => Place::Offset((begin + at) as u64),
        }
    }
}

/// Reads JSON text of one flavour; `done` is told the bytes read, part by part.
pub(super) fn read_json(
    bytes: &[u8],
    flavour: JsonFlavour,
    lines: bool,
    options: &Options,
    done: &(dyn Fn(usize) + Sync),
    kept: Kept,
) -> Vec<Part> {
    if !lines {
        return read_divided(bytes, flavour, options, done).unwrap_or_else(|| {
            let part = read_documents(bytes, flavour, options);
            done(bytes.len());
            vec![part]
        });
    }
    let chunks = split_lines(bytes);
    let last = chunks.len().saturating_sub(1);
    let read = |(index, chunk): (usize, &&[u8])| {
        let mut part = read_lines(chunk, index == last, flavour, options);
        kept.offer(index, &mut part.0);
        done(chunk.len());
        part
    };
    let mut parts: Vec<Part> = chunks.par_iter().enumerate().map(read).collect();
    let (mut n_counted, mut n_lines) = (0, 0);
    for (index, (_, report)) in parts.iter_mut().enumerate() {
        // Lines are counted only if one of them is told of.
        if report.skipped_records.is_empty() {
            continue;
        }
        let before = chunks[n_counted..index].iter();
        n_lines += before.map(|chunk| memchr::memchr_iter(b'\n', chunk).count() as u64).sum::<u64>();
        n_counted = index;
        for record in &mut report.skipped_records {
            if let Place::Line(line) = &mut record.place {
                *line += n_lines;
            }
        }
    }
    parts
}

/// Reads the pieces of one long document in parallel; `None` if it is short or has to be read as a whole.
fn read_divided(
    bytes: &[u8],
    flavour: JsonFlavour,
    options: &Options,
    done: &(dyn Fn(usize) + Sync),
) -> Option<Vec<Part>> {
    let piece_bytes = chunk_bytes(bytes.len());
    if bytes.len() < 2 * piece_bytes {
        return None;
    }
    let (is_list, is_idle): (divide::KeyTest, divide::KeyTest) = match flavour {
        JsonFlavour::Otlp => (otlp_json::is_list, otlp_json::is_idle),
        JsonFlavour::Jaeger => (jaeger::is_list, jaeger::is_idle),
        JsonFlavour::Zipkin => (|_| false, |_| false),
    };
    let is_bare = Cursor::new(bytes, 0).kind().ok()? == Kind::Array;
    let divided = divide::divide(bytes, piece_bytes, is_list, is_idle)?;
    let read = |index: usize| {
        let mut sink = Sink::new(&options.attributes);
        let locator = Locator::From(divided.pieces[index].start);
        let is_whole = divided.each_element(bytes, index, is_idle, |cursor| {
            let kind = cursor.kind()?;
            if is_bare {
                return read_value(cursor, flavour, &mut sink, locator, 1);
            }
            match (kind, flavour) {
                (Kind::Object, JsonFlavour::Jaeger) => jaeger::read_listed(cursor, &mut sink, locator),
                (Kind::Object, _) => otlp_json::read_listed(cursor, &mut sink, locator),
                (found, _) => skip_strange(cursor, found, &mut sink, locator),
            }
        });
        done(divided.pieces[index].len());
        is_whole.then_some((sink.batch, sink.report))
    };
    (0..divided.pieces.len()).into_par_iter().map(read).collect()
}

/// Passes over a value that is no object where one has to be, and counts it.
fn skip_strange(cursor: &mut Cursor, found: Kind, sink: &mut Sink, locator: Locator) -> Step<()> {
    let place = locator.place(cursor.position());
    sink.skip(place, format!("found {}, expected an object", found.describe()));
    cursor.skip()
}

/// Chunks of about [`chunk_bytes`] that end after a line break.
fn split_lines(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut chunks = Vec::new();
    let chunk_bytes = chunk_bytes(rest.len());
    while !rest.is_empty() {
        let tail = rest.get(chunk_bytes..).unwrap_or_default();
        let end = memchr::memchr(b'\n', tail).map_or(rest.len(), |offset| chunk_bytes + offset + 1);
        let (chunk, after) = rest.split_at(end);
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

/// Reads a document a line; lines are counted from the chunk's first.
fn read_lines(chunk: &[u8], is_last: bool, flavour: JsonFlavour, options: &Options) -> Part {
    let mut sink = Sink::new(&options.attributes);
    let chunk = Cursor::of_all(chunk);
    let mut rest = chunk.rest();
    let mut number = 1;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest);
        let (line, after) = end.map_or((rest, &[][..]), |end| (&rest[..end], &rest[end + 1..]));
        let place = Place::Line(number);
        let begin = chunk.rest().len() - rest.len();
        let text = chunk.slice(begin..begin + line.len());
        let cursor = text.map_or_else(|| Cursor::new(line, 0), Cursor::of_text);
        if let Err(malformed) = read_values(cursor, flavour, &mut sink, Locator::Fixed(place)) {
            if malformed.cut_off && is_last && end.is_none() {
                sink.report.truncated = true;
            } else {
                let (column, expected) = (malformed.at + 1, malformed.expected);
                sink.skip(place, format!("broken JSON in column {column}: expected {expected}"));
            }
        }
        rest = after;
        number += 1;
    }
    (sink.batch, sink.report)
}

/// Reads the values on one line or in one message.
fn read_values(mut cursor: Cursor, flavour: JsonFlavour, sink: &mut Sink, locator: Locator) -> Step<()> {
    while !cursor.at_end() {
        read_value(&mut cursor, flavour, sink, locator, 0)?;
    }
    Ok(())
}

fn read_value(cursor: &mut Cursor, flavour: JsonFlavour, sink: &mut Sink, locator: Locator, depth: u32) -> Step<()> {
    match cursor.kind()? {
        Kind::Object => match flavour {
            JsonFlavour::Otlp => otlp_json::read_document(cursor, sink, locator),
            JsonFlavour::Jaeger => jaeger::read_document(cursor, sink, locator),
            JsonFlavour::Zipkin => zipkin::read_span(cursor, sink, locator),
        },
        Kind::Array if depth < MAX_ARRAYS => {
            let Some(mut elements) = cursor.array()? else { return Ok(()) };
            while cursor.element(&mut elements)? {
                read_value(cursor, flavour, sink, locator, depth + 1)?;
            }
            Ok(())
        }
        found => skip_strange(cursor, found, sink, locator),
    }
}

fn read_documents(bytes: &[u8], flavour: JsonFlavour, options: &Options) -> Part {
    let mut sink = Sink::new(&options.attributes);
    let mut cursor = Cursor::of_all(bytes);
    while !cursor.at_end() {
        let Err(malformed) = read_value(&mut cursor, flavour, &mut sink, Locator::From(0), 0) else { continue };
        if malformed.cut_off {
            sink.report.truncated = true;
            break;
        }
        let reason = describe(bytes, malformed);
        let next = next_document(bytes, malformed.at);
        sink.skip(Place::Offset(malformed.at as u64), reason.clone());
        let Some(next) = next else {
            sink.report.error = Some(format!("{reason}; the spans before are kept"));
            break;
        };
        cursor = Cursor::new(bytes, next);
    }
    (sink.batch, sink.report)
}

/// Where the next line begins with an object after byte `at`.
fn next_document(bytes: &[u8], at: usize) -> Option<usize> {
    memchr::memmem::find(bytes.get(at..)?, b"\n{").map(|offset| at + offset + 1)
}

fn describe(bytes: &[u8], malformed: Malformed) -> String {
    let before = &bytes[..malformed.at.min(bytes.len())];
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |end| end + 1) + 1;
    format!("broken JSON in line {line}, column {column}: expected {}", malformed.expected)
}

/// Spans of `TracesData` without framing, a part a chunk of `ResourceSpans`.
pub(super) fn read_bare_proto(bytes: &[u8], options: &Options, done: &(dyn Fn(usize) + Sync), kept: Kept) -> Vec<Part> {
    let mut outer = Sink::new(&options.attributes);
    let mut records = Vec::new();
    let mut fields = Fields::open_ended(bytes, 0);
    loop {
        match fields.next() {
            Ok(Some((otlp_proto::RESOURCE_SPANS, Field::Bytes(message, at)))) => {
                records.push((message, at, fields.cut_off));
            }
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(broken) if broken.at >= bytes.len() as u64 => {
                outer.report.truncated = true;
                break;
            }
            Err(broken) => {
                outer.report.error = Some(format!(
                    "broken protobuf at byte {}: expected {}; the spans before are kept",
                    broken.at, broken.expected
                ));
                break;
            }
        }
    }
    outer.report.truncated |= fields.cut_off;
    let mut parts = in_chunks(
        &records,
        |record| record.0.len(),
        options,
        (done, kept),
        |&(message, at, cut_off), sink| {
            otlp_proto::read_resource_spans(message, at, cut_off, sink);
        },
    );
    parts.push((outer.batch, outer.report));
    parts
}

/// Spans of the collector's file exporter: messages, each after its length in four bytes, big end first; a message may
/// be protobuf or JSON, and compressed by itself.
pub(super) fn read_framed(bytes: &[u8], options: &Options, done: &(dyn Fn(usize) + Sync), kept: Kept) -> Vec<Part> {
    let mut outer = Sink::new(&options.attributes);
    let mut records = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let frame = bytes[at..].split_first_chunk::<4>();
        let frame = frame.and_then(|(length, rest)| rest.get(..u32::from_be_bytes(*length) as usize));
        let Some(message) = frame else {
            outer.report.truncated = true;
            break;
        };
        records.push((message, at as u64 + 4));
        at += 4 + message.len();
    }
    let mut parts = in_chunks(
        &records,
        |record| record.0.len(),
        options,
        (done, kept),
        |&(message, at), sink| {
            read_frame(message, at, sink);
        },
    );
    parts.push((outer.batch, outer.report));
    parts
}

fn read_frame(message: &[u8], at: u64, sink: &mut Sink) {
    let place = Place::Offset(at);
    if !message.starts_with(&super::sniff::ZSTD) {
        return read_message(message, at, sink);
    }
    match zstd::stream::decode_all(message) {
        // Offsets inside are of no use to a reader of the file, so all problems are at the frame's.
        Ok(message) if is_json(&message) => read_message(&message, at, sink),
        Ok(message) => {
            let known = sink.report.skipped_records.len();
            otlp_proto::read_message(&message, 0, sink);
            for record in &mut sink.report.skipped_records[known..] {
                record.place = place;
            }
        }
        Err(error) => sink.skip(place, format!("broken zstd frame: {error}")),
    }
}

fn is_json(message: &[u8]) -> bool {
    matches!(message.trim_ascii_start().first(), Some(b'{' | b'[')) && !super::sniff::is_bare_proto(message)
}

fn read_message(message: &[u8], at: u64, sink: &mut Sink) {
    if !is_json(message) {
        return otlp_proto::read_message(message, at, sink);
    }
    let place = Place::Offset(at);
    if let Err(malformed) = read_values(Cursor::of_all(message), JsonFlavour::Otlp, sink, Locator::Fixed(place)) {
        sink.skip(place, format!("broken JSON {} bytes on: expected {}", malformed.at, malformed.expected));
    }
}

/// Reads records in parallel, a part a run of about [`chunk_bytes`], in order.
fn in_chunks<R: Sync>(
    records: &[R],
    n_bytes: impl Fn(&R) -> usize,
    options: &Options,
    (done, kept): (&(dyn Fn(usize) + Sync), Kept),
    read: impl Fn(&R, &mut Sink) + Sync,
) -> Vec<Part> {
    let mut chunks = Vec::new();
    let chunk_bytes = chunk_bytes(records.iter().map(&n_bytes).sum());
    let (mut begin, mut filled) = (0, 0);
    for (index, record) in records.iter().enumerate() {
        filled += n_bytes(record);
        if filled >= chunk_bytes || index + 1 == records.len() {
            chunks.push((&records[begin..=index], filled));
            (begin, filled) = (index + 1, 0);
        }
    }
    chunks
        .into_par_iter()
        .enumerate()
        .map(|(index, (chunk, n_bytes))| {
            let mut sink = Sink::new(&options.attributes);
            for record in chunk {
                read(record, &mut sink);
            }
            kept.offer(index, &mut sink.batch);
            done(n_bytes);
            (sink.batch, sink.report)
        })
        .collect()
}
