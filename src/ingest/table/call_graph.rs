//! Call graphs as Alibaba published them in 2021 and 2022: a row is one side of a remote call.
//!
//! A call is named by its trace and its `rpcid`, a path of numbers such as `0.1.3`, whose prefix `0.1` is the call
//! that it was made from. Caller and callee may both have recorded it. One span is built of each call:
//!
//! | `rpctype` | span |
//! |---|---|
//! | `db`, `mc` | CLIENT, of the caller `um`, with `peer.service` = `dm`: the database records nothing itself |
//! | `mq` | CONSUMER, of the receiver `dm` |
//! | anything else (`rpc`, `http`, ...) | SERVER, of the callee `dm` |
//!
//! Its operation is `interface`, its duration the callee's own if that row is there (2021 marks it by a negative
//! `rt`), else the caller's. The parent of a call without a recorded prefix call of one number is none: traces start
//! at `0` or at `0.1`. Unknown names (`(?)`, `NAN`, empty) are empty.

use super::attribute_text;
use super::cell::Cell;
use super::dialect::Field;
use super::ids;
use super::roles::{AttributeRole, Mapping};
use super::rows::Built;
use super::unit::{self, Unit};
use crate::diagnostics::Place;
use crate::ingest::{RawSpan, Sink};
use crate::span::{
    AttributeKey, AttributeScope, AttributeSelection, AttributeValue, SpanId, SpanIdTexts, SpanKind, SpanStatus,
};
use hashbrown::HashMap;

/// Calls of a file, in order of first appearance.
#[derive(Debug)]
pub(super) struct CallGraph<'m> {
    mapping: &'m Mapping,
    sink: Sink<'m>,
    calls: Vec<Call<'m>>,
    index: HashMap<(Option<u32>, Option<SpanId>), usize, foldhash::fast::FixedState>,
}

#[derive(Debug)]
struct Call<'m> {
    raw: RawSpan,
    /// Whether the parent is a path of one number, of which a trace need not have a row.
    parent_may_lack: bool,
    /// Whether the callee's own row was seen.
    callee_side: bool,
    /// The callee, for calls that become spans of their caller.
    peer: Option<u32>,
    attributes: Vec<(&'m AttributeKey, AttributeValue)>,
}

impl<'m> CallGraph<'m> {
    pub(super) fn new(mapping: &'m Mapping, attributes: &'m AttributeSelection) -> Self {
        Self { mapping, sink: Sink::new(attributes), calls: Vec::new(), index: HashMap::default() }
    }

    /// Counts a row that could not be read.
    pub(super) fn skip(&mut self, place: Place, reason: impl Into<String>) {
        self.sink.skip(place, reason);
    }

    /// Notes that the last row is cut off.
    pub(super) fn truncated(&mut self) {
        self.sink.report.truncated = true;
    }

    /// Adds one side of a call.
    pub(super) fn push<'a>(&mut self, place: Place, cell: impl Fn(usize) -> Cell<'a>) {
        let field = |field| self.mapping.role(field).map_or(Cell::Null, |role| cell(role.column));
        let start = field(Field::Start);
        let start_unix_ns = unit::epoch_ns(start, Some(Unit::Millis));
        let rt = field(Field::Duration);
        let duration_ns = unit::duration_ns(rt, Unit::Millis);
        for (value, read, name) in [(start, start_unix_ns, "timestamp"), (rt, duration_ns, "rt")] {
            let absent = value.is_null() || matches!(value, Cell::Str(text) if text.trim().is_empty());
            if read.is_none() && !absent {
                self.sink.skip(place, format!("column `{name}` is `{}`, expected a number", value.show()));
                return;
            }
        }
        let batch = &mut self.sink.batch;
        let path = field(Field::SpanId).text().unwrap_or_default();
        let path = path.trim();
        let trace = ids::trace_id(&mut batch.traces, field(Field::TraceId));
        let span_id = call_id(&mut batch.span_ids, path);
        let parent = path.rsplit_once('.').map(|(parent, _)| parent);
        let parent_span_id = parent.and_then(|parent| call_id(&mut batch.span_ids, parent));
        let um = batch.names.intern(known_name(field(Field::ParentSpanId)));
        let dm = batch.names.intern(known_name(field(Field::Service)));
        let operation = batch.names.intern(field(Field::Operation).text().unwrap_or_default().trim());
        let rpc_type = field(Field::Kind).text().unwrap_or_default();
        let (kind, service, peer) = match rpc_type.trim() {
            "db" | "mc" => (SpanKind::Client, um, Some(dm)),
            "mq" => (SpanKind::Consumer, dm, None),
            _ => (SpanKind::Server, dm, None),
        };
        let callee_side = duration_ns.is_some_and(|duration| duration < 0);
        let raw = RawSpan {
            trace,
            span_id,
            parent_span_id,
            service,
            operation,
            kind,
            status: SpanStatus::Unset,
            start_unix_ns,
            duration_ns: duration_ns.map(i128::abs),
        };
        let mut attributes = Vec::new();
        for (column, role) in &self.mapping.attributes {
            let AttributeRole::One(key) = role else { continue };
            let value = match cell(*column) {
                Cell::Str("") => Cell::Null,
                Cell::Str(text) if self.mapping.untyped => attribute_text::typed(text),
                value => value,
            };
            attributes.extend(value.attribute(&mut batch.attributes).map(|value| (key, value)));
        }
        let side = Call {
            raw,
            parent_may_lack: parent.is_some_and(|parent| !parent.contains('.')),
            callee_side,
            peer,
            attributes,
        };
        let known = self.index.entry((trace, span_id)).or_insert(self.calls.len());
        match self.calls.get_mut(*known) {
            None => self.calls.push(side),
            Some(known) => known.merge(&side, self.sink.batch.names.code("")),
        }
    }

    pub(super) fn finish(mut self) -> Built {
        for call in &self.calls {
            let mut raw = call.raw;
            if call.parent_may_lack && !self.index.contains_key(&(raw.trace, raw.parent_span_id)) {
                raw.parent_span_id = None;
            }
            let Some(row) = self.sink.push(raw) else { continue };
            for (key, value) in &call.attributes {
                self.sink.batch.attribute(row, key.scope, &key.key, *value);
            }
            if let Some(peer) = call.peer
                && self.sink.wants("peer.service")
            {
                let batch = &mut self.sink.batch;
                let name = batch.names.get(peer);
                if !name.is_empty() {
                    let code = batch.attributes.values.intern(name);
                    let value = AttributeValue::String(code);
                    batch.attribute(row, AttributeScope::Span, "peer.service", value);
                }
            }
        }
        Built { batch: self.sink.batch, report: self.sink.report, n_annotations: 0 }
    }
}

impl Call<'_> {
    /// Takes the other side of the same call in: the callee's times win, known names win over unknown ones.
    fn merge(&mut self, other: &Self, unknown: Option<u32>) {
        if other.callee_side && !self.callee_side {
            self.raw.start_unix_ns = other.raw.start_unix_ns.or(self.raw.start_unix_ns);
            self.raw.duration_ns = other.raw.duration_ns.or(self.raw.duration_ns);
            self.callee_side = true;
        }
        for (mine, theirs) in
            [(&mut self.raw.service, other.raw.service), (&mut self.raw.operation, other.raw.operation)]
        {
            if Some(*mine) == unknown {
                *mine = theirs;
            }
        }
    }
}

/// The id of the call at `path`. Paths without a dot would be read as numbers, `0` among them, which is no id.
fn call_id(ids: &mut SpanIdTexts, path: &str) -> Option<SpanId> {
    if path.is_empty() || path.contains('.') { ids.intern(path) } else { ids.intern(&format!("rpc {path}")) }
}

fn known_name(cell: Cell<'_>) -> &str {
    match cell {
        Cell::Str(text) if !["(?)", "NAN", "nan"].contains(&text.trim()) => text.trim(),
        _ => "",
    }
}
