//! The simulation itself: events in order of time, tasks that wait for them, pools with their queues.
//!
//! A request is a tree of tasks: *servers*, which work and call, and *calls*, which wait for an answer. A server takes a
//! worker of its host, a call a connection of its caller's host; where none is free it waits its turn. What is held in
//! memory is the requests in flight, never what is over: a request's spans leave when its last task ends.

use super::model::{ActiveFault, Model};
use super::random::{mix, uniform};
use crate::span::SpanKind;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

mod arrivals;
mod calls;
mod servers;

/// What draws are for; a key is drawn from once for each.
mod purpose {
    pub(in super::super) const GAP: u64 = 1;
    pub(in super::super) const ACCEPT: u64 = 2;
    pub(in super::super) const ENTRY: u64 = 3;
    pub(in super::super) const SAMPLE: u64 = 4;
    pub(in super::super) const TRACE: u64 = 5;
    pub(in super::super) const ROOT: u64 = 6;
    pub(in super::super) const HOST: u64 = 7;
    pub(in super::super) const WORK: u64 = 8;
    pub(in super::super) const FAIL: u64 = 9;
    pub(in super::super) const EARLY: u64 = 10;
    pub(in super::super) const HANG: u64 = 11;
    pub(in super::super) const MAKE: u64 = 12;
    pub(in super::super) const SPAN: u64 = 13;
    pub(in super::super) const OUT: u64 = 14;
    pub(in super::super) const BACK: u64 = 15;
    pub(in super::super) const LOSS: u64 = 16;
    pub(in super::super) const MISS: u64 = 17;
    pub(in super::super) const JITTER: u64 = 18;
    pub(in super::super) const DELIVER: u64 = 19;
    pub(in super::super) const LOST: u64 = 20;
    pub(in super::super) const BURST: u64 = 21;
    pub(in super::super) const FAULT: u64 = 32;
}

/// A packet that was lost is sent again after this, if the fault says nothing else: the least of TCP.
const RETRANSMIT_NS: i64 = 200_000_000;

/// A span as it was simulated; see [`super::Span`] for its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) span_id: u64,
    pub(super) parent_span_id: u64,
    pub(super) host: u32,
    /// Operation of a server span, edge of a client's.
    pub(super) what: What,
    pub(super) start_ns: i64,
    pub(super) end_ns: i64,
    pub(super) failed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Operation(u32),
    Edge(u32),
}

/// A request that is over.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) trace_id: u128,
    pub(super) start_ns: i64,
    /// Of its root span.
    pub(super) duration_ns: i64,
    pub(super) failed: bool,
    pub(super) sampled: bool,
    n_tasks: u32,
    pub(super) spans: Vec<Record>,
}

#[derive(Clone, Debug)]
struct Server {
    request: u32,
    key: u64,
    operation: u32,
    host: u32,
    /// Call that waits for it, with its generation.
    caller: Option<(u32, u32)>,
    /// Edge by which it was called, for the way back.
    edge: u32,
    span_id: u64,
    parent_span_id: u64,
    start_ns: i64,
    segment_ns: i64,
    step: u32,
    next_call: u32,
    pending: u32,
    failed: bool,
    returns_early: bool,
}

#[derive(Clone, Debug)]
struct Call {
    request: u32,
    /// Key of the server that makes it.
    base: u64,
    key: u64,
    edge: u32,
    parent: u32,
    host: u32,
    attempt: u32,
    repeat: u32,
    n_repeats: u32,
    retries: u32,
    span_id: u64,
    parent_span_id: u64,
    start_ns: i64,
    has_connection: bool,
    answer_failed: bool,
}

#[derive(Clone, Debug)]
enum Task {
    Free,
    Server(Server),
    Call(Call),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    Arrive,
    Worked,
    Answer,
    Timeout,
    Again,
}

type Event = (i64, u64, u32, u32, Happens);

#[derive(Clone, Debug, Default)]
struct Pool {
    busy: u32,
    waiting: VecDeque<(u32, u32)>,
}

/// Takes requests that are over, and spans as they are seen.
pub(super) type Done<'a> = dyn FnMut(&Request) + 'a;

/// A simulation at a moment.
#[derive(Clone, Debug)]
pub(super) struct Engine<'m> {
    model: &'m Model,
    /// Faults that are switched on, a bit each.
    enabled: u32,
    /// Whether spans are kept.
    pub(super) records: bool,
    now: i64,
    events: BinaryHeap<Reverse<Event>>,
    n_events: u64,
    tasks: Vec<Task>,
    generations: Vec<u32>,
    free_tasks: Vec<u32>,
    requests: Vec<Request>,
    free_requests: Vec<u32>,
    workers: Vec<Pool>,
    connections: Vec<Pool>,
    next_candidate: u64,
    next_arrival_ns: i64,
    peak_per_ns: f64,
}

impl<'m> Engine<'m> {
    pub(super) fn new(model: &'m Model) -> Self {
        let arrivals = &model.arrivals;
        let peak = (1.0 + arrivals.diurnal_ratio) * arrivals.burst_factor.max(1.0);
        let mut engine = Self {
            model,
            enabled: u32::MAX,
            records: true,
            now: 0,
            events: BinaryHeap::new(),
            n_events: 0,
            tasks: Vec::new(),
            generations: Vec::new(),
            free_tasks: Vec::new(),
            requests: Vec::new(),
            free_requests: Vec::new(),
            workers: vec![Pool::default(); model.hosts.len()],
            connections: vec![Pool::default(); model.n_pools],
            next_candidate: 0,
            next_arrival_ns: 0,
            peak_per_ns: model.requests_per_ns * peak,
        };
        engine.next_arrival_ns = engine.gap_ns();
        engine
    }

    /// The same moment with only these faults.
    pub(super) fn with_faults(&self, enabled: u32) -> Self {
        Self { enabled, records: false, ..self.clone() }
    }

    /// Runs all that happens before `until_ns`; with `None`, until no more requests arrive and the last has ended.
    pub(super) fn run(&mut self, until_ns: Option<i64>, done: &mut Done<'_>) {
        let limit_ns = until_ns.unwrap_or(i64::MAX);
        loop {
            let arrival_ns =
                if self.next_arrival_ns < self.model.duration_ns { self.next_arrival_ns } else { i64::MAX };
            let event_ns = self.events.peek().map_or(i64::MAX, |Reverse(event)| event.0);
            if arrival_ns.min(event_ns) >= limit_ns {
                return;
            }
            if arrival_ns <= event_ns {
                self.now = arrival_ns;
                self.candidate();
                continue;
            }
            let Some(Reverse((at, _, task, generation, happens))) = self.events.pop() else { return };
            self.now = at;
            if self.generations[task as usize] != generation {
                continue;
            }
            match happens {
                Happens::Arrive => self.arrive(task),
                Happens::Worked => self.worked(task, done),
                Happens::Answer => {
                    let failed = matches!(&self.tasks[task as usize], Task::Call(call) if call.answer_failed);
                    self.end_attempt(task, failed, done);
                }
                Happens::Timeout => self.end_attempt(task, true, done),
                Happens::Again => self.attempt(task),
            }
        }
    }

    fn spawn(&mut self, task: Task, request: u32) -> u32 {
        self.requests[request as usize].n_tasks += 1;
        if let Some(slot) = self.free_tasks.pop() {
            self.tasks[slot as usize] = task;
            return slot;
        }
        self.tasks.push(task);
        self.generations.push(0);
        u32::try_from(self.tasks.len() - 1).unwrap_or(u32::MAX)
    }

    fn end(&mut self, task: u32, request: u32, done: &mut Done<'_>) {
        self.tasks[task as usize] = Task::Free;
        self.generations[task as usize] = self.generations[task as usize].wrapping_add(1);
        self.free_tasks.push(task);
        let ended = &mut self.requests[request as usize];
        ended.n_tasks -= 1;
        if ended.n_tasks == 0 {
            done(ended);
            self.free_requests.push(request);
        }
    }

    fn at(&mut self, delay_ns: i64, task: u32, happens: Happens) {
        self.n_events += 1;
        let at = self.now.saturating_add(delay_ns.max(0));
        self.events.push(Reverse((at, self.n_events, task, self.generations[task as usize], happens)));
    }

    fn record(&mut self, request: u32, record: Record) {
        let request = &mut self.requests[request as usize];
        if self.records && request.sampled {
            request.spans.push(record);
        }
    }

    /// Faults of a list that are on now, with their places.
    fn active<'a>(&'a self, faults: &'a [u32]) -> impl Iterator<Item = (u32, &'m ActiveFault)> + 'a {
        faults.iter().filter_map(move |&index| {
            let fault = &self.model.faults[index as usize];
            self.is_on(index, fault).then_some((index, fault))
        })
    }

    fn is_on(&self, index: u32, fault: &ActiveFault) -> bool {
        self.enabled >> index & 1 == 1 && (fault.start_ns..fault.end_ns).contains(&self.now)
    }
}

/// Whether a span is lost on its way to the file.
pub(super) fn is_lost(model: &Model, record: &Record) -> bool {
    model.services[model.hosts[record.host as usize].service as usize].is_lost
        || (model.lost_ratio > 0.0 && uniform(mix(record.span_id, purpose::LOST)) < model.lost_ratio)
}

/// Name and kind of a span.
pub(super) fn name(model: &Model, what: What) -> (&str, SpanKind, &[(&'static str, String)]) {
    match what {
        What::Operation(operation) => {
            let operation = &model.operations[operation as usize];
            (&operation.name, operation.kind, &operation.attributes)
        }
        What::Edge(edge) => {
            let edge = &model.edges[edge as usize];
            (&model.operations[edge.callee as usize].name, edge.kind, &edge.attributes)
        }
    }
}
