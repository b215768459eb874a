//! A seeded discrete-event simulation of a system of services: spans of any number whose causes are known.
//!
//! A [`Scenario`] (read from a file or [`generate`]d) becomes a [`Model`], and [`run`] gives the spans of each request to a
//! [`Sink`] as soon as the request is over, then the [`Truth`]: what each fault added, in milliseconds a request, found by
//! running the same requests without it. Nothing here reads a file or a clock.
//!
//! Services have hosts with workers, calls go through pools of connections, and both have queues, so that waiting is as
//! real as in a system under load. Every draw is by key (see [`random`]): the same scenario gives the same spans.

mod engine;
pub mod generate;
pub mod law;
mod model;
pub mod random;
pub mod scenario;
mod truth;

pub use model::Model;
pub use scenario::{FaultKind, Problem, Scenario};
pub use truth::{Added, Cause, ServiceTruth, Truth};

use crate::error::Error;
use crate::span::SpanKind;
use engine::{Engine, Record};
use truth::Sums;

/// A span as an exporter would write it.
#[derive(Clone, Copy, Debug)]
pub struct Span<'m> {
    /// Trace id, never 0.
    pub trace_id: u128,
    /// Span id, never 0.
    pub span_id: u64,
    /// Parent's span id; 0 for roots.
    pub parent_span_id: u64,
    /// `service.name`.
    pub service: &'m str,
    /// Number of the host, which has one resource.
    pub host: u32,
    /// Attributes of the resource, `service.name` not among them.
    pub resource: &'m [(&'static str, String)],
    /// Span name.
    pub operation: &'m str,
    /// Span kind.
    pub kind: SpanKind,
    /// Start by the host's clock, nanoseconds since the Unix epoch.
    pub start_unix_ns: i64,
    /// Duration, nanoseconds.
    pub duration_ns: i64,
    /// Whether its status is an error.
    pub failed: bool,
    /// Text attributes.
    pub attributes: &'m [(&'static str, String)],
    /// `http.response.status_code`, of operations that are HTTP requests.
    pub http_status: Option<i64>,
    /// W3C `tracestate`, if the trace was sampled.
    pub tracestate: Option<&'m str>,
}

/// Takes spans.
pub trait Sink<'m> {
    /// Takes the spans of one trace, in the order in which they ended.
    fn trace(&mut self, spans: &[Span<'m>]) -> Result<(), Error>;
}

/// What was simulated.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Requests, kept by the sampling or not.
    pub n_requests: u64,
    /// Spans that the sink was given.
    pub n_spans: u64,
    /// Spans lost on their way to it.
    pub n_lost: u64,
    /// When all was well: start and end, nanoseconds since the Unix epoch.
    pub baseline: [i64; 2],
    /// When faults were on, the first to the last; without a fault the second half.
    pub regression: [i64; 2],
    /// What the faults added.
    pub truth: Truth,
}

/// Pieces in which the time is run, to report progress and to stop for a full disk.
const N_PIECES: i64 = 1000;

/// Simulates the whole scenario; `progress` is told spans so far and about how many there will be.
///
/// # Errors
/// Those of the sink.
pub fn run<'m>(
    model: &'m Model,
    sink: &mut dyn Sink<'m>,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Outcome, Error> {
    let [onset_ns, end_ns] = model.regression_ns();
    let mut sums = Sums::new([onset_ns, end_ns]);
    let (mut n_requests, mut n_spans, mut n_lost, mut failure) = (0, 0, 0, None);
    // What the truth takes after it: the window again without each set of faults.
    let of_truth = (1.0 - onset_ns as f64 / model.duration_ns.max(1) as f64) * truth::n_runs(model) as f64;
    let mut n_all = 0;
    let mut spans = Vec::new();
    let mut snapshot = None;
    let mut engine = Engine::new(model);
    let pieces = (1..=N_PIECES).map(|piece| model::share(model.duration_ns, piece as f64 / N_PIECES as f64));
    let mut stops: Vec<Option<i64>> = pieces.chain([onset_ns]).map(Some).collect();
    stops.sort_unstable();
    stops.push(None);
    for stop in stops {
        engine.run(stop, &mut |request| {
            n_requests += 1;
            sums.add(request);
            let kept = request.spans.iter().filter(|record| !engine::is_lost(model, record));
            spans.clear();
            spans.extend(kept.map(|record| span(model, request.trace_id, record)));
            n_lost += (request.spans.len() - spans.len()) as u64;
            n_spans += spans.len() as u64;
            if failure.is_none() && !spans.is_empty() {
                failure = sink.trace(&spans).err();
            }
        });
        if let Some(failure) = failure.take() {
            return Err(failure);
        }
        if stop == Some(onset_ns) && snapshot.is_none() {
            snapshot = Some(engine.clone());
        }
        if let Some(stop_ns) = stop.filter(|&stop_ns| stop_ns > 0) {
            let share = stop_ns as f64 / model.duration_ns as f64;
            n_all = guess(n_spans as f64 / share * (1.0 + of_truth));
            progress(n_spans, n_all);
        }
    }
    let unix = |ns: i64| model.start_unix_ns + ns;
    Ok(Outcome {
        n_requests,
        n_spans,
        n_lost,
        baseline: [unix(0), unix(onset_ns)],
        regression: [unix(onset_ns), unix(end_ns)],
        truth: truth::truth(model, &snapshot.unwrap_or_else(|| Engine::new(model)), &sums, &|share| {
            progress(n_spans + guess(n_all.saturating_sub(n_spans) as f64 * share), n_all);
        }),
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a guess for people")]
fn guess(n_spans: f64) -> u64 {
    n_spans as u64
}

/// Spans a request, from the first `n_requests`: what to expect of more.
#[must_use]
pub fn spans_per_request(model: &Model, n_requests: u64) -> f64 {
    let (mut n_ended, mut n_spans) = (0_u64, 0_u64);
    let mut engine = Engine::new(model);
    let mut until_ns = 0;
    while n_ended < n_requests && until_ns < model.duration_ns {
        until_ns += model::share(model.duration_ns, 1e-3).max(1_000_000_000);
        engine.run(Some(until_ns), &mut |request| {
            n_ended += 1;
            n_spans += request.spans.iter().filter(|record| !engine::is_lost(model, record)).count() as u64;
        });
    }
    n_spans as f64 / n_ended.max(1) as f64
}

impl Model {
    /// From the first onset to the last end; the second half without faults. Nanoseconds since the start.
    fn regression_ns(&self) -> [i64; 2] {
        let onset = self.faults.iter().map(|fault| fault.start_ns).min();
        let end = self.faults.iter().map(|fault| fault.end_ns).max();
        [onset.unwrap_or(self.duration_ns / 2), end.unwrap_or(self.duration_ns)]
    }

    /// Services at fault, ordered by name; none of a traffic mix.
    #[must_use]
    pub fn culprits(&self) -> Vec<String> {
        let mut culprits: Vec<String> = self.faults.iter().filter_map(|fault| fault.culprit.clone()).collect();
        culprits.sort();
        culprits.dedup();
        culprits
    }

    /// Operations at fault, where each fault is about one; else none.
    #[must_use]
    pub fn culprit_operations(&self) -> Vec<String> {
        let named: Option<Vec<String>> = self.faults.iter().map(|fault| fault.culprit_operation.clone()).collect();
        let mut named = named.unwrap_or_default();
        named.sort();
        named.dedup();
        named
    }

    /// Kind of fault; `several` or `none`.
    #[must_use]
    pub fn fault_type(&self) -> String {
        let kinds: Vec<&str> = self.faults.iter().map(|fault| fault.kind.as_str()).collect();
        match &kinds[..] {
            [] => "none".to_owned(),
            [kind] => (*kind).to_owned(),
            _ => "several".to_owned(),
        }
    }
}

fn span<'m>(model: &'m Model, trace_id: u128, record: &Record) -> Span<'m> {
    let host = &model.hosts[record.host as usize];
    let (operation, kind, attributes) = engine::name(model, record.what);
    let is_http = attributes.first().is_some_and(|(key, _)| *key == "http.request.method");
    Span {
        trace_id,
        span_id: record.span_id,
        parent_span_id: record.parent_span_id,
        service: &model.services[host.service as usize].name,
        host: record.host,
        resource: &host.attributes,
        operation,
        kind,
        start_unix_ns: model.start_unix_ns + record.start_ns + host.skew_ns,
        duration_ns: record.end_ns - record.start_ns,
        failed: record.failed,
        attributes,
        http_status: is_http.then_some(if record.failed { 500 } else { 200 }),
        tracestate: model.tracestate.as_deref(),
    }
}
