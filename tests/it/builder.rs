//! Tiny traces, written in the test that is about them.

use std::collections::BTreeMap;
use std::ops::Range;
use suspect::analysis::{self, Analysis};
use suspect::ingest::Ingested;
use suspect::normalize::{self, Forest, Repairs};
use suspect::span::{AttributeScope, AttributeValue, Span, SpanBatch, SpanFrame, SpanId, SpanKind, SpanStatus};
use suspect::window;

/// Times in tests count from here: 2023-11-14T22:13:20Z.
pub(crate) const EPOCH_NS: i64 = 1_700_000_000 * 1_000_000_000;
/// Nanoseconds of a millisecond.
pub(crate) const MS: i64 = 1_000_000;

/// A span as a test gives it.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    trace: String,
    id: u64,
    parent: u64,
    service: String,
    operation: String,
    kind: SpanKind,
    failed: bool,
    /// Nanoseconds since [`EPOCH_NS`].
    time: Range<i64>,
    attributes: Vec<(AttributeScope, &'static str, String)>,
    numbers: Vec<(&'static str, i64)>,
}

/// A span of trace `1`; parent 0 is none, `name` is service and operation, `time` is milliseconds after [`EPOCH_NS`].
pub(crate) fn span(kind: SpanKind, id: u64, parent: u64, name: &str, time: Range<i64>) -> Given {
    let (service, operation) = name.split_once(' ').unwrap_or((name, ""));
    Given {
        trace: "1".to_owned(),
        id,
        parent,
        service: service.to_owned(),
        operation: operation.to_owned(),
        kind,
        failed: false,
        time: time.start * MS..time.end * MS,
        attributes: Vec::new(),
        numbers: Vec::new(),
    }
}

pub(crate) fn server(id: u64, parent: u64, name: &str, time: Range<i64>) -> Given {
    span(SpanKind::Server, id, parent, name, time)
}

pub(crate) fn client(id: u64, parent: u64, name: &str, time: Range<i64>) -> Given {
    span(SpanKind::Client, id, parent, name, time)
}

pub(crate) fn internal(id: u64, parent: u64, name: &str, time: Range<i64>) -> Given {
    span(SpanKind::Internal, id, parent, name, time)
}

impl Given {
    pub(crate) fn trace(mut self, trace: i64) -> Self {
        self.trace = trace.to_string();
        self
    }

    /// The trace's number, if it has one.
    pub(crate) fn number_of_trace(&self) -> i64 {
        self.trace.parse().unwrap_or(0)
    }

    /// Milliseconds after [`EPOCH_NS`].
    pub(crate) fn start_ms(&self) -> i64 {
        self.time.start / MS
    }

    pub(crate) fn failed(mut self) -> Self {
        self.failed = true;
        self
    }

    /// Moves the span by milliseconds.
    pub(crate) fn later(mut self, by_ms: i64) -> Self {
        self.time = self.time.start + by_ms * MS..self.time.end + by_ms * MS;
        self
    }

    pub(crate) fn attribute(mut self, key: &'static str, value: &str) -> Self {
        self.attributes.push((AttributeScope::Span, key, value.to_owned()));
        self
    }

    /// Makes the span end later by microseconds.
    pub(crate) fn lasting_longer_us(mut self, by_us: i64) -> Self {
        self.time.end += by_us * 1_000;
        self
    }

    /// Makes all times `by` times as long, counted from [`EPOCH_NS`].
    pub(crate) fn scaled(mut self, by: i64) -> Self {
        self.time = self.time.start * by..self.time.end * by;
        self
    }

    /// Gives the span's service another name.
    pub(crate) fn renamed(mut self, name: impl Fn(&str) -> String) -> Self {
        self.service = name(&self.service);
        self
    }

    /// Gives the span any service and operation, blanks and all.
    pub(crate) fn named(mut self, service: &str, operation: &str) -> Self {
        service.clone_into(&mut self.service);
        operation.clone_into(&mut self.operation);
        self
    }

    /// The span as a record of a Zipkin export; attributes that are numbers are left out.
    pub(crate) fn zipkin(&self) -> serde_json::Value {
        let mut tags: BTreeMap<&str, &str> =
            self.attributes.iter().map(|(_, key, value)| (*key, value.as_str())).collect();
        if self.failed {
            tags.insert("error", "true");
        }
        let mut record = serde_json::json!({
            "traceId": self.trace,
            "id": format!("{:x}", self.id),
            "name": self.operation,
            "timestamp": (EPOCH_NS + self.time.start) / 1_000,
            "duration": (self.time.end - self.time.start) / 1_000,
            "localEndpoint": { "serviceName": self.service },
            "tags": tags,
        });
        if self.parent != 0 {
            record["parentId"] = format!("{:x}", self.parent).into();
        }
        match self.kind {
            SpanKind::Server => record["kind"] = "SERVER".into(),
            SpanKind::Client => record["kind"] = "CLIENT".into(),
            _ => {}
        }
        record
    }

    /// Gives the span an attribute that is a number.
    pub(crate) fn number(mut self, key: &'static str, value: i64) -> Self {
        self.numbers.push((key, value));
        self
    }

    pub(crate) fn resource(mut self, key: &'static str, value: &str) -> Self {
        self.attributes.push((AttributeScope::Resource, key, value.to_owned()));
        self
    }
}

/// The spans as `ingest` would give them.
pub(crate) fn frame(spans: &[Given]) -> SpanFrame {
    let mut batch = SpanBatch::default();
    for given in spans {
        let span = Span {
            trace: batch.traces.intern(&given.trace).expect("a trace id"),
            span_id: SpanId::new(given.id).expect("a span id"),
            parent_span_id: SpanId::new(given.parent),
            service: batch.names.intern(&given.service),
            operation: batch.names.intern(&given.operation),
            kind: given.kind,
            status: if given.failed { SpanStatus::Error } else { SpanStatus::Unset },
            start_unix_ns: EPOCH_NS + given.time.start,
            duration_ns: given.time.end - given.time.start,
        };
        let row = batch.push(span);
        for (scope, key, value) in &given.attributes {
            batch.string_attribute(row, *scope, key, value);
        }
        for &(key, value) in &given.numbers {
            batch.attribute(row, AttributeScope::Span, key, AttributeValue::Int(value));
        }
    }
    SpanFrame::from_batches([batch])
}

/// The spans linked and repaired.
pub(crate) fn forest(spans: &[Given]) -> (SpanFrame, Forest, Repairs) {
    let mut frame = frame(spans);
    let (forest, repairs) = normalize::forest(&mut frame);
    (frame, forest, repairs)
}

/// The analysis of two windows: the traces of the regression begin an hour after those of the baseline, a second apart.
pub(crate) fn analysed(baseline: &[Vec<Given>], regression: &[Vec<Given>]) -> Analysis {
    const HOUR_MS: i64 = 3_600_000;
    let mut spans = Vec::new();
    for (window, traces) in (0..).zip([baseline, regression]) {
        for (number, trace) in (0..).zip(traces) {
            let by_ms = window * HOUR_MS + number * 1_000;
            spans.extend(trace.iter().map(|span| span.clone().trace(1 + window * 1_000 + number).later(by_ms)));
        }
    }
    let prepared = analysis::prepare(None, Ingested { frame: frame(&spans), sources: Vec::new() });
    let minutes = |minutes: i64| EPOCH_NS + minutes * 60_000 * MS;
    let options = window::Options {
        baseline: Some(format!("{}..{}", minutes(-1), minutes(30))),
        regression: Some(format!("{}..{}", minutes(59), minutes(90))),
    };
    let (windows, selection) = prepared.select(&options).expect("windows with traces");
    analysis::analyze(&prepared, &windows, &selection).expect("an analysis")
}
