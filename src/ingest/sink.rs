use super::seen::Seen;
use super::shapes::Shapes;
use crate::diagnostics::{Place, SetAsideReason, SourceReport};
use crate::span::{AttributeSelection, Span, SpanBatch, SpanId, SpanKind, SpanStatus};
use hashbrown::HashMap;

/// A span as a parser finds it, before it is known to be complete; codes come from the sink's batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawSpan {
    /// Trace, `None` if the record names none.
    pub trace: Option<u32>,
    /// Span id, `None` if the record has none.
    pub span_id: Option<SpanId>,
    /// Parent's span id.
    pub parent_span_id: Option<SpanId>,
    /// Service name's code.
    pub service: u32,
    /// Span name's code.
    pub operation: u32,
    /// Kind.
    pub kind: SpanKind,
    /// Status.
    pub status: SpanStatus,
    /// Start, nanoseconds since the Unix epoch; `None` if absent or unreadable.
    pub start_unix_ns: Option<i128>,
    /// Duration, nanoseconds; `None` if absent or unreadable. A parser that reads an end subtracts.
    pub duration_ns: Option<i128>,
}

/// Where a parser puts what it reads from one file or one part of it.
#[derive(Debug)]
pub struct Sink<'a> {
    /// Complete spans.
    pub batch: SpanBatch,
    /// What was set aside or skipped.
    pub report: SourceReport,
    /// Attributes to keep.
    pub attributes: &'a AttributeSelection,
    /// Whether these keys are among them.
    verdicts: HashMap<Box<str>, bool, foldhash::fast::FixedState>,
    /// How attributes begin in the text at hand.
    pub(super) shapes: Shapes,
    /// Attributes of spans in protobuf.
    pub(super) seen: Seen,
}

/// Keys that are judged once; of more than so many each is judged anew.
const MAX_VERDICTS: usize = 4096;

impl<'a> Sink<'a> {
    /// An empty sink.
    #[must_use]
    pub fn new(attributes: &'a AttributeSelection) -> Self {
        let verdicts = HashMap::default();
        let (batch, report) = (SpanBatch::default(), SourceReport::default());
        Self { batch, report, attributes, verdicts, shapes: Shapes::default(), seen: Seen::default() }
    }

    /// Counts the span and stores it if it is complete; returns its row, to which attributes may then be given.
    pub fn push(&mut self, raw: RawSpan) -> Option<u32> {
        self.report.n_spans += 1;
        match check(&raw) {
            Ok(span) => Some(self.batch.push(span)),
            Err(reason) => {
                self.report.set_aside.add(reason, 1);
                None
            }
        }
    }

    /// Whether attributes with this key are to be kept, by what is known of its values so far.
    pub fn wants(&mut self, key: &str) -> bool {
        let is_chosen = match (self.attributes, self.verdicts.get(key)) {
            (AttributeSelection::All, _) => true,
            (_, Some(&verdict)) => verdict,
            (selection, None) => {
                let verdict = selection.wants(key);
                if self.verdicts.len() < MAX_VERDICTS {
                    self.verdicts.insert(key.into(), verdict);
                }
                verdict
            }
        };
        is_chosen && !self.batch.attributes.is_closed(self.attributes, key)
    }

    /// Whether of no key more values came than are kept of it.
    pub(super) fn is_open(&self) -> bool {
        !self.batch.attributes.has_any_closed()
    }

    /// Counts a record that could not be read.
    pub fn skip(&mut self, place: Place, reason: impl Into<String>) {
        self.report.skip(place, reason);
    }
}

fn check(raw: &RawSpan) -> Result<Span, SetAsideReason> {
    let trace = raw.trace.ok_or(SetAsideReason::MissingTraceId)?;
    let span_id = raw.span_id.ok_or(SetAsideReason::MissingSpanId)?;
    let start = raw.start_unix_ns.ok_or(SetAsideReason::MissingStart)?;
    let duration = raw.duration_ns.ok_or(SetAsideReason::MissingDuration)?;
    if duration < 0 {
        return Err(SetAsideReason::NegativeDuration);
    }
    let end = start.checked_add(duration).ok_or(SetAsideReason::TimeOutOfRange)?;
    i64::try_from(end).map_err(|_| SetAsideReason::TimeOutOfRange)?;
    Ok(Span {
        trace,
        span_id,
        parent_span_id: raw.parent_span_id,
        service: raw.service,
        operation: raw.operation,
        kind: raw.kind,
        status: raw.status,
        start_unix_ns: i64::try_from(start).map_err(|_| SetAsideReason::TimeOutOfRange)?,
        duration_ns: i64::try_from(duration).map_err(|_| SetAsideReason::TimeOutOfRange)?,
    })
}
