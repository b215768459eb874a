//! Rows of cells into spans: ids, names, times, kind, status and attributes, whatever the file was.

use super::attribute_text;
use super::cell::{Cell, List, Object};
use super::dialect::{self, Field, Shape};
use super::ids::{integer, parent_span_id, span_id, trace_id};
use super::overflow;
use super::roles::{AttributeRole, Mapping, Role};
use super::unit::{self, Unit};
use crate::diagnostics::{Place, SourceReport};
use crate::ingest::{RawSpan, Sink};
use crate::span::{
    AttributeKey, AttributeScope, AttributeSelection, Dictionary, SpanBatch, SpanKind, SpanStatus, schema,
};

/// Spans of a stretch of rows.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) batch: SpanBatch,
    pub(super) report: SourceReport,
    /// Rows left out because they are events or links, not spans.
    pub(super) n_annotations: u64,
}

/// Turns rows into spans, one part of a table at a time.
#[derive(Debug)]
pub(super) struct Rows<'m> {
    pub(super) mapping: &'m Mapping,
    pub(super) sink: Sink<'m>,
    /// Codes of the last service and operation: neighbouring rows often share them.
    last: [u32; 2],
    n_annotations: u64,
}

impl<'m> Rows<'m> {
    pub(super) fn new(mapping: &'m Mapping, attributes: &'m AttributeSelection) -> Self {
        debug_assert_eq!(mapping.dialect.shape, Shape::Spans, "call graphs have a reader of their own");
        Self { mapping, sink: Sink::new(attributes), last: [0; 2], n_annotations: 0 }
    }

    /// Counts a row that could not be read.
    pub(super) fn skip(&mut self, place: Place, reason: impl Into<String>) {
        self.sink.skip(place, reason);
    }

    /// Notes that the last row is cut off.
    pub(super) fn truncated(&mut self) {
        self.sink.report.truncated = true;
    }

    pub(super) fn finish(self) -> Built {
        Built { batch: self.sink.batch, report: self.sink.report, n_annotations: self.n_annotations }
    }

    /// Gives span row `row` the value of a column that the mapping does not know.
    pub(super) fn late_column(&mut self, row: u32, name: &str, cell: Cell<'_>) {
        let dialect = self.mapping.dialect;
        if dialect.skipped.iter().any(|pattern| dialect::fits(pattern, name)) {
            return;
        }
        let key = AttributeKey::from_column_name(name.strip_prefix(dialect.prefix).unwrap_or(name));
        if self.sink.wants(&key.key) {
            self.store(row, key.scope, &key.key, cell);
        }
    }

    /// Adds the row that `cell` gives by column; returns the row of its span.
    pub(super) fn push<'a>(&mut self, place: Place, cell: impl Fn(usize) -> Cell<'a>) -> Option<u32> {
        let mapping = self.mapping;
        if mapping.annotation.is_some_and(|column| cell(column).text().is_some_and(|kind| !kind.is_empty())) {
            self.n_annotations += 1;
            return None;
        }
        let field = |field| mapping.role(field).map_or(Cell::Null, |role| cell(role.column));
        let (start_unix_ns, duration_ns) = match times(mapping, &cell) {
            Ok(times) => times,
            Err((role, found)) => {
                let name = &mapping.names[role.column];
                let expected = match (unit::number(found), role.unit) {
                    (Some(_), Some(unit)) => format!("a time in {} that fits 64-bit nanoseconds", unit.as_str()),
                    _ if unit::epoch_ns(found, None).is_some() => "a time that fits 64-bit nanoseconds".to_owned(),
                    _ => "a number or a timestamp".to_owned(),
                };
                self.sink.skip(place, format!("column `{name}` is `{}`, expected {expected}", found.show()));
                return None;
            }
        };
        let (status, http_status) = status(field(Field::Status), mapping.is_error_column);
        let service = self.service(field(Field::Service), &cell);
        let operation = self.name(1, field(Field::Operation));
        let batch = &mut self.sink.batch;
        let raw = RawSpan {
            trace: trace_id(&mut batch.traces, field(Field::TraceId)),
            span_id: span_id(&mut batch.span_ids, field(Field::SpanId)),
            parent_span_id: if mapping.canonical() {
                span_id(&mut batch.span_ids, field(Field::ParentSpanId))
            } else {
                parent_span_id(&mut batch.span_ids, field(Field::ParentSpanId))
            },
            service,
            operation,
            kind: kind(field(Field::Kind)),
            status,
            start_unix_ns,
            duration_ns,
        };
        let row = self.sink.push(raw)?;
        for (column, role) in &mapping.attributes {
            self.attribute(row, role, cell(*column));
        }
        if let Some(code) = http_status {
            self.extra(row, "http.status_code", Cell::Int(code));
        }
        if let Cell::Object(object) = field(Field::Status) {
            self.extra(row, schema::STATUS_DESCRIPTION, object.get("message"));
        }
        Some(row)
    }

    fn service<'a>(&mut self, cell: Cell<'a>, row: impl Fn(usize) -> Cell<'a>) -> u32 {
        let mut cell = cell;
        if let Some(map) = self.mapping.service_map {
            let code = &mut None;
            each_entry(row(map), &mut |key, value| {
                if ["service.name", "attributes.service.name"].contains(&key) {
                    *code = Some(intern(&mut self.sink.batch.names, value));
                }
            });
            return code.unwrap_or_else(|| self.sink.batch.names.intern(""));
        }
        if self.mapping.dialect.pod_service
            && let Cell::Str(pod) = cell
        {
            cell = Cell::Str(workload(pod));
        }
        self.name(0, cell)
    }

    /// Code of a service (slot 0) or operation (slot 1).
    pub(super) fn name(&mut self, slot: usize, cell: Cell<'_>) -> u32 {
        let names = &mut self.sink.batch.names;
        if let Cell::Str(text) = cell
            && !text.is_empty()
            && names.get(self.last[slot]) == text
        {
            return self.last[slot];
        }
        self.last[slot] = intern(names, cell);
        self.last[slot]
    }

    fn attribute(&mut self, row: u32, role: &AttributeRole, cell: Cell<'_>) {
        match role {
            AttributeRole::One(key) => {
                if self.sink.batch.attributes.is_closed(self.sink.attributes, &key.key) {
                    return;
                }
                let cell = match cell {
                    // Text of a writer that marks no text as such, unless it is no text.
                    Cell::Bytes(bytes) => std::str::from_utf8(bytes).map_or(cell, Cell::Str),
                    typed => typed,
                };
                let cell = match cell {
                    Cell::Str("") if self.mapping.untyped => Cell::Null,
                    Cell::Str(text) if self.mapping.untyped => attribute_text::typed(text),
                    typed => typed,
                };
                // An empty text in a column of the exporter's own says that there is none.
                if matches!(cell, Cell::Str("")) && self.mapping.dialect.renamed.iter().any(|(.., to)| *to == key.key) {
                    return;
                }
                self.store(row, key.scope, &key.key, cell);
            }
            AttributeRole::Overflow(scope) => {
                overflow::each_entry(cell, &mut |key, value| {
                    if self.sink.wants(key) {
                        self.store(row, *scope, key, value);
                    }
                });
            }
            AttributeRole::Map(scope) => each_entry(cell, &mut |key, value| {
                let key = match scope {
                    AttributeScope::Resource => key.strip_prefix("attributes.").unwrap_or(key),
                    AttributeScope::Span => key,
                };
                if self.sink.wants(key) {
                    self.store(row, *scope, key, value);
                }
            }),
        }
    }

    fn extra(&mut self, row: u32, key: &str, cell: Cell<'_>) {
        if self.sink.wants(key) {
            self.store(row, AttributeScope::Span, key, cell);
        }
    }

    fn store(&mut self, row: u32, scope: AttributeScope, key: &str, cell: Cell<'_>) {
        let batch = &mut self.sink.batch;
        if let Some(value) = cell.attribute(&mut batch.attributes) {
            batch.attribute(row, scope, key, value);
        }
    }
}

/// Calls `visit` for each attribute of a map, list of keys and values, or text of either; nested ones with dotted keys.
fn each_entry(cell: Cell<'_>, visit: &mut dyn FnMut(&str, Cell<'_>)) {
    match cell {
        Cell::Object(object) => each_of(object, "", visit),
        Cell::List(list) => pairs(list, visit),
        Cell::Bytes(bytes) => {
            if let Ok(text) = std::str::from_utf8(bytes) {
                each_entry(Cell::Str(text), visit);
            }
        }
        Cell::Str(text) => attribute_text::each_entry(text, visit),
        _ => {}
    }
}

/// [`each_entry`] of an object below the keys `prefix`.
pub(super) fn each_of(object: Object<'_>, prefix: &str, visit: &mut dyn FnMut(&str, Cell<'_>)) {
    object.each(|key, value| {
        let joined;
        let key = if prefix.is_empty() {
            key
        } else {
            joined = format!("{prefix}.{key}");
            &joined
        };
        match value {
            Cell::Object(nested) => each_of(nested, key, visit),
            value => visit(key, value),
        }
    });
}

/// A list of `{key, value}`, as Jaeger writes tags.
pub(super) fn pairs(list: List<'_>, visit: &mut dyn FnMut(&str, Cell<'_>)) {
    for index in 0..list.len() {
        if let Cell::Object(pair) = list.get(index)
            && let Cell::Str(key) = pair.get("key")
        {
            visit(key, pair.get("value"));
        }
    }
}

type Times = (Option<i128>, Option<i128>);

/// Start and duration in nanoseconds, `None` where absent; an error holds the value that is no time, or none that fits.
fn times<'a>(mapping: &Mapping, cell: &impl Fn(usize) -> Cell<'a>) -> Result<Times, (Role, Cell<'a>)> {
    let read = |field, parse: &dyn Fn(Cell<'a>, Option<Unit>) -> Option<i128>| {
        let Some(role) = mapping.role(field) else { return Ok(None) };
        match cell(role.column) {
            Cell::Null => Ok(None),
            Cell::Str(text) if text.trim().is_empty() => Ok(None),
            value => parse(value, role.unit).map(Some).ok_or((role, value)),
        }
    };
    let epoch = |value, unit| unit::epoch_ns(value, unit).filter(|&epoch_ns| i64::try_from(epoch_ns).is_ok());
    let start = read(Field::Start, &epoch)?;
    let duration = read(Field::Duration, &|value, unit| unit::duration_ns(value, unit.unwrap_or(Unit::Nanos)))?;
    let duration = match (duration, start) {
        (None, Some(start)) => read(Field::End, &epoch)?.map(|end| end - start),
        (duration, _) => duration,
    };
    Ok((start, duration))
}

fn intern(names: &mut Dictionary, cell: Cell<'_>) -> u32 {
    match cell {
        Cell::Str(text) => names.intern(text),
        other => names.intern(&other.text().unwrap_or_default()),
    }
}

fn kind(cell: Cell<'_>) -> SpanKind {
    match cell {
        Cell::Str(text) => SpanKind::parse(text.trim()),
        Cell::Bytes(bytes) => SpanKind::parse(std::str::from_utf8(bytes).unwrap_or_default()),
        other => integer(other).map_or(SpanKind::Unspecified, SpanKind::from_code),
    }
}

/// A status, and the HTTP status code if that is what the column holds; a column named after errors has its own way to say it.
pub(super) fn status(cell: Cell<'_>, is_error_column: bool) -> (SpanStatus, Option<i64>) {
    if is_error_column { error(cell) } else { coded(cell) }
}

/// Words for no error, in a column named after errors.
const NO_ERROR: [&str; 12] = ["", "-", "f", "false", "n", "nan", "nil", "no", "none", "null", "success", "unset"];

/// The status by a column named after errors: whether there is one, in any spelling, or what it says.
fn error(cell: Cell<'_>) -> (SpanStatus, Option<i64>) {
    let failed = |failed: bool| (if failed { SpanStatus::Error } else { SpanStatus::Unset }, None);
    match cell {
        Cell::Str(text) => {
            let text = text.trim();
            if let Some(number) = text.parse::<f64>().ok().filter(|number| !number.is_nan()) {
                return error(Cell::Double(number));
            }
            match SpanStatus::parse(text) {
                SpanStatus::Unset => failed(!NO_ERROR.iter().any(|word| text.eq_ignore_ascii_case(word))),
                known => (known, None),
            }
        }
        Cell::Bytes(bytes) => std::str::from_utf8(bytes).map_or(failed(true), |text| error(Cell::Str(text))),
        Cell::Null | Cell::Bool(_) | Cell::Object(_) => coded(cell),
        number => match coded(number) {
            (status, Some(code)) => (status, Some(code)),
            _ => failed(integer(number) != Some(0)),
        },
    }
}

fn coded(cell: Cell<'_>) -> (SpanStatus, Option<i64>) {
    match cell {
        Cell::Str(text) => {
            let text = text.trim();
            if let Ok(number) = text.parse::<f64>() {
                return coded(Cell::Double(number));
            }
            let failed = ["true", "failed", "failure"].iter().any(|word| text.eq_ignore_ascii_case(word));
            (if failed { SpanStatus::Error } else { SpanStatus::parse(text) }, None)
        }
        Cell::Bytes(bytes) => {
            std::str::from_utf8(bytes).map_or((SpanStatus::Unset, None), |text| coded(Cell::Str(text)))
        }
        Cell::Bool(failed) => (if failed { SpanStatus::Error } else { SpanStatus::Unset }, None),
        Cell::Object(object) => match object.get("code") {
            Cell::Null => status_of_scalar(object.get("status_code")),
            code => status_of_scalar(code),
        },
        other => status_of_scalar(other),
    }
}

fn status_of_scalar(cell: Cell<'_>) -> (SpanStatus, Option<i64>) {
    match cell {
        Cell::Str(text) => (SpanStatus::parse(text), None),
        other => match integer(other).and_then(|code| i64::try_from(code).ok()) {
            Some(code @ 100..) => (if code >= 500 { SpanStatus::Error } else { SpanStatus::Unset }, Some(code)),
            Some(code) => (SpanStatus::from_code(code.unsigned_abs()), None),
            None => (SpanStatus::Unset, None),
        },
    }
}

/// The workload that a Kubernetes pod belongs to: `cart-6d4cf56db6-x8k2p` is a pod of `cart`, `mysql-0` of `mysql`.
fn workload(pod: &str) -> &str {
    // Kubernetes draws its suffixes from these letters, which spell no words.
    let drawn = |part: &str| part.bytes().all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte));
    let Some((rest, last)) = pod.rsplit_once('-') else { return pod };
    if !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()) && last.len() < 4 {
        return rest;
    }
    if last.len() != 5 || !drawn(last) {
        return pod;
    }
    match rest.rsplit_once('-') {
        Some((name, hash)) if (6..=10).contains(&hash.len()) && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            name
        }
        Some((name, hash)) if (6..=10).contains(&hash.len()) && drawn(hash) => name,
        _ => rest,
    }
}
