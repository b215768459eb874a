//! The calls of each suspect, with what is measured of each.
//!
//! One walk over the traces that touch a suspect collects the units of all suspects, by the same rules by which their cost was found.

use super::calls::Calls;
use super::terms::{Alike, Counts, Term, What, places, terms};
use super::{Input, Of, Target};
use crate::compare::attribute::Subject;
use crate::compare::paths::NO_PATH;
use crate::normalize::{NO_PARENT, Need, Stretch};
use rayon::prelude::*;

/// No span.
pub(super) const NO_SPAN: u32 = u32::MAX;
/// Blocks of consecutive traces a window, which stand for independent draws; of 200 the standard error is known to 5 %.
const MAX_BLOCKS: usize = 200;
/// A call, or several alike.
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
    /// How many calls of the suspect it is, so that each of them is one unit's: 0 if others are.
    pub(super) n_calls: u32,
    /// Sampling weight, in sum over all that it is.
    pub(super) weight: f64,
    /// Measure times weight, in sum.
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
    counts: Counts,
}

/// Collects the units of every target, in one pass over the traces that touch any.
pub(super) fn collect(input: Input<'_>, targets: &[Target]) -> Vec<Units> {
    let alike = Alike::new(&input.table.paths);
    let mut result: Vec<Units> =
        targets.iter().map(|&target| Units { terms: terms(input, target, &alike), ..Units::default() }).collect();
    // Where each term's units are: at its own path, or at the caller's.
    let mut uses: Vec<(u32, Use)> = Vec::new();
    for (target, units) in result.iter().enumerate() {
        let places = places(input, targets[target], &units.terms, &alike);
        uses.extend(places.into_iter().map(|(path, term, counts)| (path, Use { target, term, counts })));
    }
    uses.sort_by_key(|&(path, of)| (path, of.target, of.term));
    let kept_paths = input.beside.map(|beside| beside.paths_in(input.table)).unwrap_or_default();
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
        input.each_stretch(all, Need::Links, |stretch, traces| {
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
                    || Collector::new(input, stretch, targets, &result, &uses, &kept_paths),
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

/// Walks traces.
struct Collector<'a> {
    input: Input<'a>,
    stretch: &'a Stretch<'a>,
    targets: &'a [Target],
    terms: Vec<&'a [Term]>,
    uses: &'a [(u32, Use)],
    /// For each path of calls that were kept its number.
    kept_paths: &'a [u32],
    calls: Calls,
}

impl<'a> Collector<'a> {
    fn new(
        input: Input<'a>,
        stretch: &'a Stretch<'a>,
        targets: &'a [Target],
        units: &'a [Units],
        uses: &'a [(u32, Use)],
        kept_paths: &'a [u32],
    ) -> Self {
        let terms = units.iter().map(|units| units.terms.as_slice()).collect();
        Self { input, stretch, targets, terms, uses, kept_paths, calls: Calls::default() }
    }

    fn uses_of(&self, path: u32) -> &'a [(u32, Use)] {
        let begin = self.uses.partition_point(|&(known, _)| known < path);
        let rest = &self.uses[begin..];
        &rest[..rest.partition_point(|&(known, _)| known == path)]
    }

    fn block(&mut self, traces: &[u32], is_regression: bool, block: u16) -> Vec<Vec<Unit>> {
        let mut units = vec![Vec::new(); self.terms.len()];
        for &trace in traces {
            let table = self.input.table;
            let mut costs = table.costs_of(trace as usize).calls().chain(table.hidden.of(trace as usize).calls());
            if !costs.any(|cost| !self.uses_of(cost.path).is_empty()) {
                continue;
            }
            let local = self.stretch.local(trace);
            match self.input.beside_of(trace) {
                Some(beside) => beside.load(local, self.kept_paths, &mut self.calls),
                None => self.calls.load(self.stretch.forest, local, self.input.table, trace),
            }
            let weight = self.input.forest.weight[trace as usize];
            for position in 0..self.calls.path.len() {
                let path = self.calls.path[position];
                if path == NO_PATH {
                    continue;
                }
                for &(_, Use { target, term, counts }) in self.uses_of(path) {
                    let found = &self.terms[target][term as usize];
                    let Some(value) = self.measure(position, found, counts) else { continue };
                    let is_call = counts != Counts::None && !self.is_answered(position, target);
                    if found.what == What::Counted && !is_call {
                        continue;
                    }
                    let count = self.calls.count[position];
                    units[target].push(Unit {
                        spans: self.spans(position, self.targets[target]),
                        trace,
                        term,
                        block,
                        is_regression,
                        n_calls: if is_call { count } else { 0 },
                        weight: weight * f64::from(count),
                        value: value * weight,
                    });
                }
            }
        }
        units
    }

    /// The measure of the unit at `position`, in sum over its calls; none if it is no unit of the term.
    fn measure(&self, position: usize, term: &Term, counts: Counts) -> Option<f64> {
        let calls = &self.calls;
        let of_visit = |value: f64| calls.is_visited[position].then_some(value);
        match term.what {
            What::Time(shares) => of_visit(
                calls.time_ns[position].iter().zip(shares).map(|(&time_ns, share)| share * time_ns as f64).sum(),
            ),
            What::Calls => {
                let children = calls.walker.children(position).iter().map(|&child| child as usize);
                let of_path = children.filter(|&child| calls.path[child] == term.path);
                of_visit(of_path.map(|child| f64::from(calls.count[child])).sum())
            }
            What::Visited => {
                // Calls of callers that nobody waits for are not on the blamed path whatever happens.
                let parent = self.stretch.forest.parent[calls.first + position];
                let is_asked = parent != NO_PARENT && calls.is_visited[parent as usize];
                let n_visited = if calls.is_visited[position] { calls.count[position] } else { 0 };
                is_asked.then(|| f64::from(n_visited))
            }
            What::Failed(side) => Some(f64::from(calls.n_failed[position][side])),
            What::Counted => (counts == Counts::All || !calls.is_visited[position]).then_some(0.0),
        }
    }

    /// Whether the call at `position` has an answer that is the target's, too, and counts for both.
    fn is_answered(&self, position: usize, target: usize) -> bool {
        let attribution = &self.input.comparison.attribution;
        let paths = self.calls.walker.children(position).iter().map(|&child| self.calls.path[child as usize]);
        paths.filter(|&path| path != NO_PATH).any(|path| {
            attribution.is_answer[path as usize] && attribution.has_time_on(self.targets[target].subject, path)
        })
    }

    /// The spans around the unit at `position` that may carry an attribute.
    fn spans(&self, position: usize, target: Target) -> [u32; 4] {
        let forest = self.stretch.forest;
        let service =
            |position: usize| forest.operations[forest.operation[self.calls.first + position] as usize].service;
        let span = |position: usize| u32::try_from(position).unwrap_or(NO_SPAN);
        let child_of = |service_asked: u32| {
            let children = self.calls.walker.children(position).iter().map(|&child| child as usize);
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
        let top = span(self.calls.top[position] as usize);
        if !spans.contains(&top) {
            spans[Of::Entry as usize] = top;
        }
        spans
    }

    /// The nearest span above that belongs to another service.
    fn caller(&self, position: usize) -> Option<usize> {
        let forest = self.stretch.forest;
        let service =
            |position: usize| forest.operations[forest.operation[self.calls.first + position] as usize].service;
        let mut above = position;
        while above != self.calls.top[position] as usize {
            let parent = forest.parent[self.calls.first + above];
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
}
