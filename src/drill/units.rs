//! The calls of each suspect, with what is measured of each.
//!
//! One walk over the traces that touch a suspect collects the units of all suspects, by the same rules by which their cost was found.

use super::terms::{Alike, Term, What, terms};
use super::{Input, Of, Target};
use crate::blame::{BlameKind, BlameSink, Walker};
use crate::compare::attribute::Subject;
use crate::compare::paths::{FailureKind, NO_PATH};
use crate::normalize::{NO_PARENT, Need, SpanFlags, Stretch};
use rayon::prelude::*;

/// No span.
pub(super) const NO_SPAN: u32 = u32::MAX;
/// Blocks of consecutive traces a window, which stand for independent draws; of 200 the standard error is known to 5 %.
const MAX_BLOCKS: usize = 200;
/// One call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit {
    /// Spans that may carry an attribute, by [`Of`], as positions in the trace, or [`NO_SPAN`].
    pub(super) spans: [u32; 4],
    /// The trace.
    pub(super) trace: u32,
    pub(super) term: u16,
    /// Blocks of the baseline come first.
    pub(super) block: u16,
    pub(super) is_regression: bool,
    /// Sampling weight.
    pub(super) weight: f64,
    /// Measure times weight.
    pub(super) value: f64,
}

/// The units of one suspect, in the order of blocks.
#[derive(Debug, Default)]
pub(super) struct Units {
    pub(super) terms: Vec<Term>,
    pub(super) list: Vec<Unit>,
    pub(super) n_blocks: usize,
}

/// A term of a target that is measured on visits or calls of a path.
#[derive(Clone, Copy, Debug)]
struct Use {
    target: usize,
    term: u16,
}

/// Collects the units of every target, in one pass over the traces that touch any.
pub(super) fn collect(input: Input<'_>, targets: &[Target]) -> Vec<Units> {
    let alike = Alike::new(&input.table.paths);
    let mut result: Vec<Units> =
        targets.iter().map(|&target| Units { terms: terms(input, target, &alike), ..Units::default() }).collect();
    // Where each term's units are: at its own path, or at the caller's.
    let mut uses: Vec<(u32, Use)> = Vec::new();
    for (target, units) in result.iter().enumerate() {
        for (term, found) in (0_u16..).zip(&units.terms) {
            let paths = match found.what {
                What::Calls => vec![input.table.paths.list[found.path as usize].parent],
                What::Failed(_) => alike.of(found.path),
                _ => vec![found.path],
            };
            let own = paths.into_iter().filter(|&path| path != NO_PATH);
            uses.extend(own.map(|path| (path, Use { target, term })));
        }
    }
    uses.sort_by_key(|&(path, of)| (path, of.target, of.term));
    let windows = [&input.selection.baseline, &input.selection.regression];
    let n_blocks = windows.map(|traces| traces.len().min(MAX_BLOCKS));
    let mut found: Vec<Vec<Vec<Unit>>> = Vec::new();
    for (window, all) in windows.into_iter().enumerate() {
        // Of which block each trace is.
        let bound = |block: usize| block * all.len() / n_blocks[window].max(1);
        let mut blocks = vec![0_u16; all.len()];
        for block in 0..n_blocks[window] {
            let place = block + if window == 0 { 0 } else { n_blocks[0] };
            blocks[bound(block)..bound(block + 1)].fill(u16::try_from(place).unwrap_or(0));
        }
        let mut rest = blocks.as_slice();
        input.forest.each_stretch(all, Need::Links, |stretch, traces| {
            let (own, after) = rest.split_at(traces.len());
            rest = after;
            let jobs: Vec<(&[u32], u16)> = own
                .chunk_by(|left, right| left == right)
                .scan(traces, |traces, blocks| {
                    let (own, rest) = traces.split_at(blocks.len());
                    *traces = rest;
                    Some((own, blocks[0]))
                })
                .collect();
            let parts: Vec<Vec<Vec<Unit>>> = jobs
                .par_iter()
                .map_init(
                    || Collector::new(input, stretch, targets, &result, &uses),
                    |collector, &(traces, block)| collector.block(traces, window == 1, block),
                )
                .collect();
            found.extend(parts);
        });
    }
    for part in found {
        for (units, part) in result.iter_mut().zip(part) {
            units.list.extend(part);
        }
    }
    for units in &mut result {
        units.n_blocks = n_blocks[0] + n_blocks[1];
    }
    result
}

/// Walks traces; buffers are by position in the trace.
struct Collector<'a> {
    input: Input<'a>,
    stretch: &'a Stretch<'a>,
    targets: &'a [Target],
    terms: Vec<&'a [Term]>,
    uses: &'a [(u32, Use)],
    walker: Walker,
    first: usize,
    path: Vec<u32>,
    top: Vec<u32>,
    is_visited: Vec<bool>,
    /// Own, before and waiting time.
    time_ns: Vec<[i64; 3]>,
    /// Whether a failure began here: with the span, with its peer.
    has_failed: Vec<[bool; FailureKind::ALL.len()]>,
}

impl<'a> Collector<'a> {
    fn new(
        input: Input<'a>,
        stretch: &'a Stretch<'a>,
        targets: &'a [Target],
        units: &'a [Units],
        uses: &'a [(u32, Use)],
    ) -> Self {
        Self {
            input,
            stretch,
            targets,
            terms: units.iter().map(|units| units.terms.as_slice()).collect(),
            uses,
            walker: Walker::default(),
            first: 0,
            path: Vec::new(),
            top: Vec::new(),
            is_visited: Vec::new(),
            time_ns: Vec::new(),
            has_failed: Vec::new(),
        }
    }

    fn uses_of(&self, path: u32) -> &'a [(u32, Use)] {
        let begin = self.uses.partition_point(|&(known, _)| known < path);
        let rest = &self.uses[begin..];
        &rest[..rest.partition_point(|&(known, _)| known == path)]
    }

    fn block(&mut self, traces: &[u32], is_regression: bool, block: u16) -> Vec<Vec<Unit>> {
        let mut units = vec![Vec::new(); self.terms.len()];
        for &trace in traces {
            let mut costs = self.input.table.costs_of(trace as usize).calls();
            if !costs.any(|cost| !self.uses_of(cost.path).is_empty()) {
                continue;
            }
            self.load(trace);
            let weight = self.input.forest.weight[trace as usize];
            for position in 0..self.path.len() {
                let path = self.path[position];
                if path == NO_PATH {
                    continue;
                }
                for &(_, Use { target, term }) in self.uses_of(path) {
                    let Some(value) = self.measure(position, &self.terms[target][term as usize]) else { continue };
                    units[target].push(Unit {
                        spans: self.spans(position, self.targets[target]),
                        trace,
                        term,
                        block,
                        is_regression,
                        weight,
                        value: value * weight,
                    });
                }
            }
        }
        units
    }

    /// The measure of the unit at `position`; none if it is no unit of the term.
    fn measure(&self, position: usize, term: &Term) -> Option<f64> {
        let of_visit = |value: f64| self.is_visited[position].then_some(value);
        match term.what {
            What::Time(shares) => of_visit(
                self.time_ns[position].iter().zip(shares).map(|(&time_ns, share)| share * time_ns as f64).sum(),
            ),
            What::Calls => {
                let children = self.walker.children(position).iter();
                of_visit(children.filter(|&&child| self.path[child as usize] == term.path).count() as f64)
            }
            What::Visited => {
                // Calls of callers that nobody waits for are not on the blamed path whatever happens.
                let parent = self.stretch.forest.parent[self.first + position];
                let is_asked = parent != NO_PARENT && self.is_visited[parent as usize];
                is_asked.then(|| f64::from(u8::from(self.is_visited[position])))
            }
            What::Failed(side) => Some(f64::from(u8::from(self.has_failed[position][side]))),
        }
    }

    /// The spans around the unit at `position` that may carry an attribute.
    fn spans(&self, position: usize, target: Target) -> [u32; 4] {
        let forest = self.stretch.forest;
        let service = |position: usize| forest.operations[forest.operation[self.first + position] as usize].service;
        let span = |position: usize| u32::try_from(position).unwrap_or(NO_SPAN);
        let child_of = |service_asked: u32| {
            let children = self.walker.children(position).iter().map(|&child| child as usize);
            children.filter(|&child| service(child) == service_asked).min().map_or(NO_SPAN, span)
        };
        let mut spans = [NO_SPAN; 4];
        match self.input.comparison.attribution.subjects[target.subject as usize] {
            Subject::Operation(own, _) if service(position) == own => {
                spans[Of::Suspect as usize] = span(position);
                spans[Of::Caller as usize] = self.caller(position).map_or(NO_SPAN, span);
            }
            Subject::Operation(own, _) => {
                spans[Of::Suspect as usize] = child_of(own);
                spans[Of::Caller as usize] = span(position);
            }
            Subject::Edge(_, callee) => {
                spans[Of::Caller as usize] = span(position);
                spans[Of::Callee as usize] = child_of(callee);
            }
        }
        let top = span(self.top[position] as usize);
        if !spans.contains(&top) {
            spans[Of::Entry as usize] = top;
        }
        spans
    }

    /// The nearest span above that belongs to another service.
    fn caller(&self, position: usize) -> Option<usize> {
        let forest = self.stretch.forest;
        let service = |position: usize| forest.operations[forest.operation[self.first + position] as usize].service;
        let mut above = position;
        while above != self.top[position] as usize {
            let parent = forest.parent[self.first + above];
            if parent == NO_PARENT {
                return None;
            }
            above = parent as usize;
            if service(above) != service(position) {
                return Some(above);
            }
        }
        None
    }

    /// Finds the path, visits, times and failures of every span of a trace.
    fn load(&mut self, trace: u32) {
        let (forest, table, local) = (self.stretch.forest, self.input.table, self.stretch.local(trace));
        let spans = forest.spans_of(local);
        let n_spans = spans.len();
        self.first = spans.start;
        for (buffer, empty) in [(&mut self.path, NO_PATH), (&mut self.top, 0)] {
            buffer.clear();
            buffer.resize(n_spans, empty);
        }
        self.is_visited.clear();
        self.is_visited.resize(n_spans, false);
        self.time_ns.clear();
        self.time_ns.resize(n_spans, [0; 3]);
        self.has_failed.clear();
        self.has_failed.resize(n_spans, [false; FailureKind::ALL.len()]);
        let mut walker = std::mem::take(&mut self.walker);
        walker.load(forest, local);
        table.paths_of_spans(forest, &walker, local, |position, path, top| {
            self.path[position] = path;
            self.top[position] = u32::try_from(top).unwrap_or(0);
        });
        for top in spans.filter(|&span| forest.is_top(span)) {
            walker.walk(forest, self.first, top, self);
        }
        self.walker = walker;
        let begin = table.failures.partition_point(|&(known, _)| known < trace);
        for (_, failure) in table.failures[begin..].iter().take_while(|&&(known, _)| known == trace) {
            let failed = |position: usize| forest.flags[self.first + position].has(SpanFlags::FAILED);
            let is_on_path = |position: &usize| self.path.get(*position) == Some(&failure.path);
            // The span that failed, or the one that it waited for in vain.
            let origin = Some(failure.span as usize).filter(is_on_path).or_else(|| {
                let key = |&position: &usize| (failed(position), forest.end_ns[self.first + position], position);
                (0..n_spans).filter(is_on_path).max_by_key(key)
            });
            if let Some(origin) = origin {
                self.has_failed[origin][failure.kind as usize] = true;
            }
        }
    }
}

impl BlameSink for Collector<'_> {
    type Node = ();

    fn call(&mut self, _parent: Option<()>, _span: usize, _is_retry: bool) {}

    fn visit(&mut self, _node: (), span: usize) {
        self.is_visited[span - self.first] = true;
    }

    fn blame(&mut self, _node: (), span: usize, kind: BlameKind, start_ns: i64, end_ns: i64) {
        let which = kind.part(start_ns == self.stretch.forest.start_ns[span]);
        let time_ns = &mut self.time_ns[span - self.first][which];
        *time_ns = time_ns.saturating_add(end_ns - start_ns);
    }
}
