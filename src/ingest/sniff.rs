//! Recognises a format by content, never by name.

use super::json::{Cursor, Kind, Step};
use super::otlp_proto::{INSTRUMENTATION_LIBRARY_SPANS, RESOURCE_SPANS};
use super::wire::{Field, Fields};

/// A file of [`suspect profile`](crate::cli): recognised only to say so.
const PROFILE: &[u8] = b"SUSPECTP";
/// First bytes of a zstd frame.
pub(super) const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// First bytes of a gzip member.
pub(super) const GZIP: [u8; 2] = [0x1F, 0x8B];
/// First bytes of a Parquet file.
pub(super) const PARQUET: &[u8] = b"PAR1";
/// First bytes of an Arrow IPC file.
pub(super) const ARROW_FILE: &[u8] = b"ARROW1";
/// First bytes of an Arrow IPC stream: the marker before its schema message.
pub(super) const ARROW_STREAM: &[u8] = &[0xFF, 0xFF, 0xFF, 0xFF];

/// What editors write before UTF-8 text.
pub(super) const BOM: &[u8] = b"\xEF\xBB\xBF";
/// The same before UTF-16 text.
const BOMS_OF_UTF_16: [[u8; 2]; 2] = [[0xFF, 0xFE], [0xFE, 0xFF]];

/// A format of span exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// JSON documents, and whether each has a line of its own.
    Json(JsonFlavour, bool),
    /// Flat JSON objects, one a span.
    JsonRows,
    /// OTLP protobuf without framing.
    BareProto,
    /// OTLP messages after their lengths.
    Framed,
    Parquet,
    ArrowIpc,
    Csv,
}

/// What the documents of a JSON file hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JsonFlavour {
    Otlp,
    Jaeger,
    Zipkin,
}

impl Format {
    /// The format's name for reports.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Json(JsonFlavour::Otlp, false) => "OTLP JSON",
            Self::Json(JsonFlavour::Otlp, true) => "OTLP JSON lines",
            Self::Json(JsonFlavour::Jaeger, false) => "Jaeger JSON",
            Self::Json(JsonFlavour::Jaeger, true) => "Jaeger JSON lines",
            Self::Json(JsonFlavour::Zipkin, false) => "Zipkin JSON",
            Self::Json(JsonFlavour::Zipkin, true) => "Zipkin JSON lines",
            Self::JsonRows => "JSON rows",
            Self::BareProto => "OTLP protobuf",
            Self::Framed => "OTLP protobuf, length-prefixed",
            Self::Parquet => "Parquet",
            Self::ArrowIpc => "Arrow IPC",
            Self::Csv => "CSV",
        }
    }
}

/// The format of decompressed content, or what was found instead.
pub(super) fn recognise(bytes: &[u8]) -> Result<Format, String> {
    if bytes.starts_with(PROFILE) {
        return Err("a profile, which holds no spans (`analyze --baseline-data` takes it)".to_owned());
    }
    if bytes.starts_with(PARQUET) {
        return Ok(Format::Parquet);
    }
    if bytes.starts_with(ARROW_FILE) || (bytes.starts_with(ARROW_STREAM) && bytes.len() > 8) {
        return Ok(Format::ArrowIpc);
    }
    if BOMS_OF_UTF_16.iter().any(|bom| bytes.starts_with(bom)) {
        return Err("UTF-16 text, which `iconv -f UTF-16 -t UTF-8` converts".to_owned());
    }
    if is_bare_proto(bytes) {
        return Ok(Format::BareProto);
    }
    if is_framed(bytes) {
        return Ok(Format::Framed);
    }
    match first_text_byte(bytes) {
        None => Err("blanks only".to_owned()),
        Some(b'{' | b'[') => json(bytes),
        Some(_) => text(bytes),
    }
}

fn first_text_byte(bytes: &[u8]) -> Option<u8> {
    bytes.iter().copied().find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x1E))
}

/// Whether the bytes are `TracesData` as far as the first `ResourceSpans` goes.
pub(super) fn is_bare_proto(bytes: &[u8]) -> bool {
    let mut fields = Fields::open_ended(bytes, 0);
    let first = match fields.next() {
        Ok(Some((RESOURCE_SPANS, Field::Bytes(first, at)))) if !first.is_empty() => (first, at),
        _ => return false,
    };
    let mut members = if fields.cut_off { Fields::open_ended(first.0, first.1) } else { Fields::new(first.0, first.1) };
    let mut n_members = 0;
    loop {
        match members.next() {
            Ok(Some((1..=3 | INSTRUMENTATION_LIBRARY_SPANS, Field::Bytes(..)))) => n_members += 1,
            Ok(None) => break,
            Err(_) if fields.cut_off && n_members > 0 => break,
            _ => return false,
        }
    }
    // Text that begins with a blank line can look like one short message, but not like two.
    n_members > 0 && !matches!(fields.next(), Ok(Some((2.., _))) | Err(_))
}

/// Whether the bytes are messages after their lengths; empty messages may come first.
fn is_framed(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        if length == 0 && !after.is_empty() {
            rest = after;
            continue;
        }
        let message = &after[..length.min(after.len())];
        // A last message that is cut off is still short of the largest that the collector sends.
        let plausible = length <= after.len() || length < 1 << 28;
        return plausible
            && (message.starts_with(&ZSTD)
                || is_bare_proto(message)
                || (message.starts_with(b"{") && length <= after.len()));
    }
    false
}

/// Whether each JSON document has a line of its own: the first line is one and there are more, or the first line is broken and one
/// of the next few is a document that is no part of a longer one and comes after none. No more than those lines is looked at.
fn is_lines(bytes: &[u8]) -> bool {
    let mut cursor = Cursor::new(bytes, 0);
    cursor.at_end();
    let text = &bytes[cursor.position()..];
    let Some(end) = memchr::memchr(b'\n', text) else { return false };
    let rest = text[end..].trim_ascii_start();
    if rest.is_empty() {
        return false;
    }
    let mut cursor = Cursor::new(&text[..end], 0);
    if cursor.skip().is_ok() {
        return !Cursor::new(text, cursor.position()).at_end();
    }
    let mut begin = text.len() - rest.len();
    let lines = rest.split_inclusive(|&byte| byte == b'\n').map(|line| {
        begin += line.len();
        (begin - line.len(), line)
    });
    let mut lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty()).peekable();
    for _ in 0..MAX_LINES {
        let Some((begin, line)) = lines.next() else { break };
        let mut cursor = Cursor::new(line, 0);
        let is_document = line.starts_with(b"{")
            && cursor.skip().is_ok()
            && line[cursor.position()..].trim_ascii().is_empty()
            && classify(&mut Cursor::new(line, 0), 0).is_some();
        if is_document && lines.peek().is_none_or(|(_, next)| next.starts_with(b"{")) {
            return Cursor::new(&text[..begin], 0).skip().is_err();
        }
    }
    false
}

/// Lines and elements that are looked at before giving up.
const MAX_LINES: usize = 64;

fn json(bytes: &[u8]) -> Result<Format, String> {
    let lines = is_lines(bytes);
    let found = if lines {
        let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        let found = lines.map(|line| {
            let mut cursor = Cursor::new(line, 0);
            cursor.at_end();
            classify(&mut cursor, 0)
        });
        // Logs are passed over, however many come first.
        let mut n_unknown = 0;
        let known = found.take_while(|found| {
            n_unknown += usize::from(found.is_none());
            n_unknown < MAX_LINES
        });
        Content::first(known.flatten())
    } else {
        let mut cursor = Cursor::new(bytes, 0);
        let mut has_ended = false;
        let documents = std::iter::from_fn(|| {
            if has_ended || cursor.at_end() {
                return None;
            }
            let found = classify(&mut cursor.clone(), 0);
            // What is known now may be the whole file, which is not gone through to find where it ends.
            let is_known = found.as_ref().is_some_and(|found| !matches!(found, Content::Beside(_)));
            has_ended = is_known || cursor.skip().is_err();
            Some(found)
        });
        Content::first(documents.take(MAX_LINES).flatten())
    };
    match found {
        Some(Content::Documents(flavour)) => Ok(Format::Json(flavour, lines)),
        Some(Content::Rows) => Ok(Format::JsonRows),
        Some(Content::Other(what) | Content::Beside(what)) => Err(what.to_owned()),
        None => Err(match first_key(bytes) {
            Some(key) => format!("JSON with `{key}`"),
            None => "JSON without objects".to_owned(),
        }),
    }
}

fn first_key(bytes: &[u8]) -> Option<String> {
    let mut cursor = Cursor::new(bytes, 0);
    cursor.at_end();
    let mut elements = cursor.array().ok().flatten();
    if let Some(elements) = &mut elements
        && !cursor.element(elements).ok()?
    {
        return None;
    }
    let mut cursor = if elements.is_some() { cursor } else { Cursor::new(bytes, 0) };
    cursor.at_end();
    let mut members = cursor.object().ok()??;
    cursor.key(&mut members).ok()?.map(|key| key.chars().take(64).collect())
}

enum Content {
    Documents(JsonFlavour),
    Rows,
    Other(&'static str),
    /// What is no span, but may stand beside spans in one file.
    Beside(&'static str),
}

impl Content {
    /// The first of what is found that may be all there is, else the first that stands beside it.
    fn first(found: impl Iterator<Item = Self>) -> Option<Self> {
        let mut beside = None;
        for found in found {
            match found {
                Self::Beside(_) => beside = beside.or(Some(found)),
                found => return Some(found),
            }
        }
        beside
    }
}

/// What the value that comes next holds; the cursor is left anywhere.
fn classify(cursor: &mut Cursor, depth: u32) -> Option<Content> {
    if depth > 5 {
        return None;
    }
    match cursor.kind().ok()? {
        Kind::Array => {
            let mut elements = cursor.array().ok()??;
            let elements = std::iter::from_fn(|| {
                if !cursor.element(&mut elements).ok()? {
                    return None;
                }
                let found = classify(&mut cursor.clone(), depth + 1);
                let is_known = found.as_ref().is_some_and(|found| !matches!(found, Content::Beside(_)));
                (is_known || cursor.skip().is_ok()).then_some(found)
            });
            Content::first(elements.take(MAX_LINES).flatten())
        }
        Kind::Object => {
            let mut keys = Keys::default();
            let found = keys.read(cursor, depth);
            found.ok().flatten().or_else(|| keys.content())
        }
        _ => None,
    }
}

/// Which telling keys an object has.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key seen or not")]
struct Keys {
    data: bool,
    errors: bool,
    jaeger_trace_id: bool,
    jaeger_span: bool,
    spans: bool,
    nested: bool,
    zipkin_trace_id: bool,
    id: bool,
    zipkin_v1: bool,
    zipkin_v2: bool,
    trace_id: bool,
    span_id: bool,
    /// OTLP that is no trace.
    beside: Option<&'static str>,
}

impl Keys {
    fn read(&mut self, cursor: &mut Cursor, depth: u32) -> Step<Option<Content>> {
        let Some(mut members) = cursor.object()? else { return Ok(None) };
        while let Some(key) = cursor.key(&mut members)? {
            match &*key {
                "resourceSpans"
                | "resource_spans"
                | "batches"
                | "scopeSpans"
                | "scope_spans"
                | "instrumentationLibrarySpans"
                | "instrumentation_library_spans" => {
                    return Ok(Some(Content::Documents(JsonFlavour::Otlp)));
                }
                "resourceLogs" | "resource_logs" => self.beside = Some("OTLP logs"),
                "resourceMetrics" | "resource_metrics" => self.beside = Some("OTLP metrics"),
                "localEndpoint" => self.zipkin_v2 = true,
                "binaryAnnotations" => self.zipkin_v1 = true,
                "annotations" => self.zipkin_v1 |= has_endpoint(*cursor).unwrap_or(false),
                "trace" | "traces" | "result" | "data" | "hits" | "_source" => {
                    self.data |= key == "data";
                    let mut inside = *cursor;
                    if matches!(cursor.kind()?, Kind::Object | Kind::Array)
                        && let Some(found) = classify(&mut inside, depth + 1)
                    {
                        return Ok(Some(found));
                    }
                }
                "spans" => self.spans = cursor.kind()? == Kind::Array,
                "references" | "process" | "tags" | "tag" | "logs" => {
                    self.nested |= matches!(cursor.kind()?, Kind::Array | Kind::Object);
                }
                "operationName" => self.jaeger_span = true,
                "id" => self.id = true,
                "errors" => self.errors = true,
                _ => {}
            }
            self.jaeger_trace_id |= key == "traceID";
            self.zipkin_trace_id |= key == "traceId";
            let plain: String = key.chars().filter(char::is_ascii_alphanumeric).take(24).collect();
            self.trace_id |= plain.to_ascii_lowercase().ends_with("traceid");
            self.span_id |=
                plain.to_ascii_lowercase().ends_with("spanid") && !plain.to_ascii_lowercase().contains("parent");
            cursor.skip()?;
        }
        Ok(None)
    }

    fn content(&self) -> Option<Content> {
        if self.jaeger_trace_id && (self.spans || (self.jaeger_span && self.nested)) {
            return Some(Content::Documents(JsonFlavour::Jaeger));
        }
        if self.zipkin_trace_id && self.id && !self.span_id && self.zipkin_v1 && !self.zipkin_v2 {
            return Some(Content::Other("Zipkin version 1 JSON; version 2 is read, as `/api/v2/traces` gives it"));
        }
        if self.zipkin_trace_id && self.id && !self.span_id {
            return Some(Content::Documents(JsonFlavour::Zipkin));
        }
        if self.trace_id && self.span_id {
            return Some(Content::Rows);
        }
        // An answer of Jaeger's API without traces.
        let is_answer = self.data && self.errors;
        is_answer.then_some(Content::Documents(JsonFlavour::Jaeger)).or(self.beside.map(Content::Beside))
    }
}

/// Whether annotations say whose they are, as only those of Zipkin's first version do.
fn has_endpoint(mut cursor: Cursor) -> Step<bool> {
    let Some(mut elements) = cursor.array()? else { return Ok(false) };
    if !cursor.element(&mut elements)? {
        return Ok(false);
    }
    let Some(mut members) = cursor.object()? else { return Ok(false) };
    while let Some(key) = cursor.key(&mut members)? {
        if key == "endpoint" {
            return Ok(true);
        }
        cursor.skip()?;
    }
    Ok(false)
}

/// CSV if the first line is a header that speaks of traces, or one that the next line has as many fields as.
///
/// A row may be broken, or go on in the next line inside quotes, so the header's word counts more.
fn text(bytes: &[u8]) -> Result<Format, String> {
    let mut lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let head = &bytes[..bytes.len().min(4096)];
    if head.contains(&0) || (std::str::from_utf8(head).is_err_and(|error| error.error_len().is_some())) {
        return Err("binary data".to_owned());
    }
    let header = lines.next().unwrap_or_default();
    let is_header = |delimiter: u8| {
        let fields = header.split(|&byte| byte == delimiter);
        let mut n_fields = 0;
        for field in fields {
            let field = field.trim_ascii();
            if field.is_empty() || field.len() > 100 {
                return false;
            }
            n_fields += 1;
        }
        let count = |line: &[u8]| memchr::memchr_iter(delimiter, line).count() + 1;
        let names_traces = header.windows(5).any(|part| part.eq_ignore_ascii_case(b"trace"));
        n_fields >= 3 && (names_traces || lines.clone().next().is_none_or(|line| count(line) >= n_fields))
    };
    if [b',', b'\t', b';', b'|'].into_iter().any(is_header) { Ok(Format::Csv) } else { Err("text".to_owned()) }
}
