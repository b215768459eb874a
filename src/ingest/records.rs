//! Splits text and framed protobuf into records and reads them in parallel, in order.
//!
//! JSON comes as lines, each a document, or as documents that span lines. Lines are cut into pieces that are read in
//! parallel, and a broken line costs only itself. A document is read from its start; where it breaks, what stood before
//! is kept, and reading resumes at the next line that begins a document.

use super::json::{Cursor, Items, Kind, Malformed, Step};
use super::sniff::{BOM, Format, JsonFlavour};
use super::source::{Part, Source};
use super::stretch::{Cut, Piece, after_line};
use super::wire::{Field, Fields};
use super::{Kept, Options, Sink, divide, jaeger, otlp_json, otlp_proto, zipkin};
use crate::diagnostics::{Place, SourceReport};
use crate::span::SpanBatch;
use rayon::prelude::*;

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

/// Reads JSON documents that have a line each; `done` is told the bytes read, piece by piece.
pub(super) fn read_lines(
    source: &mut Source,
    flavour: JsonFlavour,
    options: &Options,
    done: &(dyn Fn(usize) + Sync),
    kept: Kept,
) -> Vec<Part> {
    let read = |piece: Piece, sink: &mut Sink| read_piece(piece, flavour, sink);
    each_lines(source, kept, |piece| part_of(piece, options, (done, kept), read), |part| &mut part.1)
}

/// Reads a piece and offers its spans.
fn part_of(
    piece: Piece,
    options: &Options,
    (done, kept): (&(dyn Fn(usize) + Sync), Kept),
    read: impl Fn(Piece, &mut Sink),
) -> Part {
    let mut sink = Sink::new(&options.attributes);
    read(piece, &mut sink);
    kept.offer(piece.index, &mut sink.batch);
    done(piece.bytes.len());
    (sink.batch, sink.report)
}

/// Reads lines piece by piece; `read` counts lines from the piece's first, and what its `report` tells gets the file's numbers.
pub(super) fn each_lines<T: Send>(
    source: &mut Source,
    kept: Kept,
    read: impl Fn(Piece) -> T + Sync,
    report: impl Fn(&mut T) -> &mut SourceReport,
) -> Vec<T> {
    let pieces = source.pieces();
    each_of_lines(source, kept, |rest, at, is_all| after_line(rest, is_all, pieces.bytes_at(at)), read, report)
}

/// The same for pieces that are `cut` otherwise, within lines perhaps.
pub(super) fn each_of_lines<T: Send>(
    source: &mut Source,
    kept: Kept,
    cut: impl FnMut(&[u8], u64, bool) -> Cut,
    read: impl Fn(Piece) -> T + Sync,
    report: impl Fn(&mut T) -> &mut SourceReport,
) -> Vec<T> {
    let counted =
        source.each_piece(kept, cut, |piece| (read(piece), memchr::memchr_iter(b'\n', piece.bytes).count() as u64));
    let mut n_before = 0;
    let placed = counted.into_iter().map(|(mut part, n_lines)| {
        move_lines(report(&mut part), n_before);
        n_before += n_lines;
        part
    });
    placed.collect()
}

/// Places of a report with so many lines more before them.
fn move_lines(report: &mut SourceReport, n_before: u64) {
    for record in &mut report.skipped_records {
        if let Place::Line(line) = &mut record.place {
            *line += n_before;
        }
    }
}

/// Reads JSON documents that span lines; `done` is told the bytes read, piece by piece.
///
/// One long document is read in pieces, a stretch of them at a time; where a stretch does not prove to be elements of its list, or if there is no
/// such list, what is left is held as a whole, unless it turns out to be lines, of which the first is longer than what is held.
pub(super) fn read_documents(
    source: &mut Source,
    flavour: JsonFlavour,
    options: &Options,
    done: &(dyn Fn(usize) + Sync),
    kept: Kept,
) -> Vec<Part> {
    let is_short = source.is_all() && source.bytes.len() < 2 * source.pieces().bytes_at(0);
    let (is_list, is_idle): (divide::KeyTest, divide::KeyTest) = match flavour {
        JsonFlavour::Otlp => (otlp_json::is_list, otlp_json::is_idle),
        JsonFlavour::Jaeger => (jaeger::is_list, jaeger::is_idle),
        JsonFlavour::Zipkin => (|_| false, |_| false),
    };
    let mut parts = Vec::new();
    let mut opening = Vec::new();
    let mut n_read = 0;
    let may_be_lines = !source.is_all() && (source.is_one_line() || next_line(&source.bytes).is_some());
    if !is_short && let Some(divided) = divide::divide(&source.bytes, is_list, is_idle) {
        opening.extend_from_slice(&source.bytes[..divided.begin]);
        let told = (done, kept);
        let Some(begin) = read_divided(source, &divided, (flavour, is_idle), may_be_lines, options, told, &mut parts)
        else {
            return parts;
        };
        n_read = begin;
    }
    if n_read == 0 {
        opening.clear();
    }
    let begin = usize::try_from(n_read).unwrap_or(usize::MAX).saturating_sub(opening.len());
    if may_be_lines {
        source.hold_line();
        if let Some(n_line) = next_line(&source.bytes) {
            read_rest_of_lines(source, flavour, options, (done, kept), (&opening, begin, n_line), &mut parts);
            return parts;
        }
    }
    source.read_all();
    let n_left = source.bytes.len();
    // As if the list went on after its opening.
    source.bytes.splice(..0, opening.iter().copied());
    parts.push(read_whole(&source.bytes, begin, flavour, options));
    done(n_left);
    parts
}

/// Where the second line begins, if the first ends outside any list and object and a document follows.
fn next_line(bytes: &[u8]) -> Option<usize> {
    let end = memchr::memchr(b'\n', bytes)?;
    let is_inside = matches!(bytes[..end].trim_ascii_end().last(), Some(b',' | b'[' | b'{' | b':'));
    let next = bytes[end..].trim_ascii_start();
    let is_document = matches!(next.strip_prefix(BOM).unwrap_or(next).first(), Some(b'{' | b'['));
    (is_document && !is_inside).then_some(end + 1)
}

/// Reads lines of which the first has been read as one long document up to what is held: with `opening` before them, the first `n_line` bytes
/// that are held are a document whose first byte is byte `begin` of the file.
fn read_rest_of_lines(
    source: &mut Source,
    flavour: JsonFlavour,
    options: &Options,
    (done, kept): (&(dyn Fn(usize) + Sync), Kept),
    (opening, begin, n_line): (&[u8], usize, usize),
    parts: &mut Vec<Part>,
) {
    let mut sink = Sink::new(&options.attributes);
    Format::Json(flavour, true).describe().clone_into(&mut sink.report.format);
    let mut n_before = 0;
    if !opening.is_empty() {
        let line = [opening, &source.bytes[..n_line]].concat();
        let place = Place::Line(1);
        if let Err(malformed) = read_values(Cursor::of_all(&line), flavour, &mut sink, Locator::Fixed(place)) {
            sink.skip(place, malformed.describe(begin));
        }
        source.bytes.drain(..n_line);
        done(n_line);
        n_before = 1;
    }
    parts.push((sink.batch, sink.report));
    let n_parts = parts.len();
    let read = |piece: Piece| {
        let piece = Piece { index: piece.index + n_parts, ..piece };
        part_of(piece, options, (done, kept), |piece, sink| read_piece(piece, flavour, sink))
    };
    parts.extend(each_lines(source, kept, read, |part| &mut part.1));
    for (_, report) in &mut parts[n_parts..] {
        move_lines(report, n_before);
    }
}

/// Reads the elements of one long document in pieces; where a stretch of them is none, gives the bytes before it.
///
/// Where it may be the first of many lines, no element is looked for beyond its end.
fn read_divided(
    source: &mut Source,
    divided: &divide::Divided,
    (flavour, is_idle): (JsonFlavour, divide::KeyTest),
    may_be_lines: bool,
    options: &Options,
    (done, kept): (&(dyn Fn(usize) + Sync), Kept),
    parts: &mut Vec<Part>,
) -> Option<u64> {
    let pieces = source.pieces();
    let opening = |at: u64| if at == 0 { divided.begin } else { 0 };
    let cut = |rest: &[u8], at: u64, is_all: bool| match divided.cut(rest, opening(at) + pieces.bytes_at(at)) {
        Some(n_bytes) => Cut::After(n_bytes),
        None if is_all => Cut::After(rest.len()),
        None => next_line(rest).filter(|_| may_be_lines).map_or(Cut::More, Cut::After),
    };
    let read = |piece: Piece| {
        let mut sink = Sink::new(&options.attributes);
        let begin = opening(piece.at);
        let locator = Locator::From(usize::try_from(piece.at).unwrap_or(usize::MAX).saturating_add(begin));
        let is_whole = divided.each_element(&piece.bytes[begin..], piece.is_last, is_idle, |cursor| {
            let kind = cursor.kind()?;
            if divided.is_bare {
                return read_value(cursor, flavour, &mut sink, locator, 1);
            }
            match (kind, flavour) {
                (Kind::Object, JsonFlavour::Jaeger) => jaeger::read_listed(cursor, &mut sink, locator),
                (Kind::Object, _) => otlp_json::read_listed(cursor, &mut sink, locator),
                (found, _) => skip_strange(cursor, found, &mut sink, locator),
            }
        });
        done(piece.bytes.len());
        is_whole.then_some((piece.index, (sink.batch, sink.report)))
    };
    let take = |pieces: Vec<Option<(usize, Part)>>| {
        let Some(mut pieces) = pieces.into_iter().collect::<Option<Vec<_>>>() else { return false };
        pieces.par_iter_mut().for_each(|(index, (batch, _))| kept.offer(*index, batch));
        parts.extend(pieces.into_iter().map(|(_, part)| part));
        true
    };
    source.each_stretch(kept, cut, read, take)
}

/// Passes over a value that is no object where one has to be, and counts it.
fn skip_strange(cursor: &mut Cursor, found: Kind, sink: &mut Sink, locator: Locator) -> Step<()> {
    let place = locator.place(cursor.position());
    sink.skip(place, format!("found {}, expected an object", found.describe()));
    cursor.skip()
}

/// Reads a document a line; lines are counted from the piece's first.
fn read_piece(piece: Piece, flavour: JsonFlavour, sink: &mut Sink) {
    let chunk = Cursor::of_all(piece.bytes);
    let mut rest = chunk.rest();
    let mut number = 1;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest);
        let (line, after) = end.map_or((rest, &[][..]), |end| (&rest[..end], &rest[end + 1..]));
        let place = Place::Line(number);
        let begin = chunk.rest().len() - rest.len();
        let text = chunk.slice(begin..begin + line.len());
        let cursor = text.map_or_else(|| Cursor::new(line, 0), Cursor::of_text);
        if let Err(malformed) = read_values(cursor, flavour, sink, Locator::Fixed(place)) {
            if malformed.cut_off && piece.is_last && end.is_none() {
                sink.report.truncated = true;
            } else {
                sink.skip(place, malformed.describe(0));
            }
        }
        rest = after;
        number += 1;
    }
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

/// Reads text that begins at byte `begin` of the file.
fn read_whole(bytes: &[u8], begin: usize, flavour: JsonFlavour, options: &Options) -> Part {
    let mut sink = Sink::new(&options.attributes);
    let mut cursor = Cursor::of_all(bytes);
    let mut is_resumed = false;
    while !cursor.at_end() {
        // The end of a list of which an element was broken.
        if is_resumed && cursor.pass(b']') {
            pass_object_end(&mut cursor);
            continue;
        }
        let Err(malformed) = read_value(&mut cursor, flavour, &mut sink, Locator::From(begin), 0) else { continue };
        if malformed.cut_off {
            sink.report.truncated = true;
            break;
        }
        let reason = if begin == 0 {
            describe(bytes, malformed)
        } else {
            format!("broken JSON at byte {}: expected {}", begin + malformed.at, malformed.expected)
        };
        let next = next_document(bytes, malformed.at);
        sink.skip(Place::Offset((begin + malformed.at) as u64), reason.clone());
        let Some(next) = next else {
            sink.report.error = Some(format!("{reason}; the spans before are kept"));
            break;
        };
        cursor = Cursor::new(bytes, next);
        is_resumed = true;
    }
    (sink.batch, sink.report)
}

/// Where the next line begins with an object after byte `at`, or the very next one with the end of a list.
fn next_document(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let list_end = memchr::memchr(b'\n', rest).filter(|&end| rest[end..].starts_with(b"\n]"));
    list_end.or_else(|| memchr::memmem::find(rest, b"\n{")).map(|offset| at + offset + 1)
}

/// Passes over what is left of an object after a member, if that comes next.
fn pass_object_end(cursor: &mut Cursor) {
    let (mut after, mut members) = (*cursor, Items::BEGUN);
    while let Ok(member) = after.key(&mut members) {
        if member.is_none() {
            *cursor = after;
            return;
        }
        if after.skip().is_err() {
            return;
        }
    }
}

fn describe(bytes: &[u8], malformed: Malformed) -> String {
    let before = &bytes[..malformed.at.min(bytes.len())];
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |end| end + 1) + 1;
    format!("broken JSON in line {line}, column {column}: expected {}", malformed.expected)
}

/// Spans of `TracesData` without framing, a part a run of `ResourceSpans`.
pub(super) fn read_bare_proto(
    source: &mut Source,
    options: &Options,
    done: &(dyn Fn(usize) + Sync),
    kept: Kept,
) -> Vec<Part> {
    let (pieces, mut outer) = (source.pieces(), SourceReport::default());
    let cut = |rest: &[u8], at: u64, is_all: bool| after_fields(rest, at, is_all, pieces.bytes_at(at), &mut outer);
    let read = |piece: Piece, sink: &mut Sink| {
        let mut fields = Fields::open_ended(piece.bytes, piece.at);
        while let Ok(Some(field)) = fields.next() {
            if let (otlp_proto::RESOURCE_SPANS, Field::Bytes(message, at)) = field {
                otlp_proto::read_resource_spans(message, at, fields.cut_off, sink);
            }
        }
    };
    let mut parts = source.each_piece(kept, cut, |piece| part_of(piece, options, (done, kept), read));
    parts.push((SpanBatch::default(), outer));
    parts
}

/// Bytes that a varint takes at most: that near to its end it cannot be told what is broken from what is not known yet.
const VARINT_BYTES: u64 = 10;

/// Cuts after the first field with which the messages have so many bytes; what is broken or cut off goes into the report.
fn after_fields(rest: &[u8], at: u64, is_all: bool, piece_bytes: usize, report: &mut SourceReport) -> Cut {
    let mut fields = Fields::open_ended(rest, at);
    let mut n_bytes = 0;
    loop {
        let n_good = usize::try_from(fields.position() - at).unwrap_or(rest.len());
        match fields.next() {
            Ok(_) if fields.cut_off && !is_all => return Cut::More,
            Ok(Some((otlp_proto::RESOURCE_SPANS, Field::Bytes(message, _)))) => {
                report.truncated |= fields.cut_off;
                n_bytes += message.len();
                if n_bytes >= piece_bytes {
                    return Cut::After(usize::try_from(fields.position() - at).unwrap_or(rest.len()));
                }
            }
            Ok(Some(_)) => report.truncated |= fields.cut_off,
            Ok(None) if is_all => return Cut::After(rest.len()),
            Ok(None) => return Cut::More,
            Err(broken) if !is_all && broken.at + VARINT_BYTES >= at + rest.len() as u64 => return Cut::More,
            Err(_) if n_good > 0 => return Cut::After(n_good),
            Err(broken) if is_all && broken.at >= at + rest.len() as u64 => {
                report.truncated = true;
                return Cut::Stop;
            }
            Err(broken) => {
                report.error = Some(format!(
                    "broken protobuf at byte {}: expected {}; the spans before are kept",
                    broken.at, broken.expected
                ));
                return Cut::Stop;
            }
        }
    }
}

/// Spans of the collector's file exporter: messages, each after its length in four bytes, big end first; a message may
/// be protobuf or JSON, and compressed by itself.
pub(super) fn read_framed(
    source: &mut Source,
    options: &Options,
    done: &(dyn Fn(usize) + Sync),
    kept: Kept,
) -> Vec<Part> {
    let (pieces, mut outer) = (source.pieces(), SourceReport::default());
    let cut = |rest: &[u8], at: u64, is_all: bool| after_frames(rest, is_all, pieces.bytes_at(at), &mut outer);
    let read = |piece: Piece, sink: &mut Sink| {
        let mut rest = piece.bytes;
        while let Some((message, after)) = first_frame(rest) {
            let at = piece.at + (piece.bytes.len() - after.len() - message.len()) as u64;
            read_frame(message, at, sink);
            rest = after;
        }
    };
    let mut parts = source.each_piece(kept, cut, |piece| part_of(piece, options, (done, kept), read));
    parts.push((SpanBatch::default(), outer));
    parts
}

/// The first message and what follows it.
fn first_frame(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = rest.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

/// Cuts after the first message with which there are so many bytes of them; one that is cut off goes into the report.
fn after_frames(all: &[u8], is_all: bool, piece_bytes: usize, report: &mut SourceReport) -> Cut {
    let (mut rest, mut n_bytes) = (all, 0);
    while let Some((message, after)) = first_frame(rest) {
        rest = after;
        n_bytes += message.len();
        if n_bytes >= piece_bytes {
            break;
        }
    }
    let n_whole = all.len() - rest.len();
    match n_whole {
        _ if n_bytes < piece_bytes && !is_all => Cut::More,
        0 => {
            report.truncated = true;
            Cut::Stop
        }
        n_whole => Cut::After(n_whole),
    }
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
