//! From the spans of traces to rows of calls alike.

use super::{Column, Kept, Row, are_many, code};
use crate::compare::paths::{CostTable, FailureKind, NO_PATH, Path, each_path};
use crate::drill::calls::Calls;
use crate::drill::columns::{self, NO_CODE, Value};
use crate::normalize::{Forest, NO_PARENT, Need, Stretch};
use crate::span::{AttributeKey, AttributeValue, SpanFrame};
use hashbrown::HashMap;
use rayon::prelude::*;
use std::collections::BTreeSet;

/// An attribute's values while they are gathered.
struct Gathered {
    key: AttributeKey,
    known: HashMap<Value, u32, foldhash::fast::FixedState>,
    are_numbers: bool,
}

impl Gathered {
    /// Learns the values of the rows that are chosen.
    fn learn(&mut self, frame: &SpanFrame, is_chosen: &[bool]) {
        let mut seen = vec![false; frame.attributes.values.len()];
        let column = frame.attributes.get(self.key.scope, &self.key.key);
        for (row, value) in column.iter().flat_map(|column| column.iter()) {
            if !is_chosen.get(row as usize).is_some_and(|&is_chosen| is_chosen) || self.is_many() {
                continue;
            }
            if let AttributeValue::String(text) = value
                && let Some(seen) = seen.get_mut(text as usize)
                && std::mem::replace(seen, true)
            {
                continue;
            }
            if let Some(value) = columns::identity(frame, value) {
                self.are_numbers &= value.number().is_some();
                let fresh = code(self.known.len());
                self.known.entry(value).or_insert(fresh);
            }
        }
    }

    fn is_many(&self) -> bool {
        are_many(self.known.len(), self.are_numbers)
    }

    /// The codes of a frame's rows.
    fn codes(&self, frame: &SpanFrame, is_chosen: &[bool]) -> Vec<u32> {
        let mut codes = vec![NO_CODE; frame.spans.len()];
        let mut texts = vec![None; frame.attributes.values.len()];
        let find = |value| columns::identity(frame, value).and_then(|value| self.known.get(&value).copied());
        let column = frame.attributes.get(self.key.scope, &self.key.key);
        for (row, value) in column.iter().flat_map(|column| column.iter()) {
            if !is_chosen.get(row as usize).is_some_and(|&is_chosen| is_chosen) {
                continue;
            }
            let found = match value {
                AttributeValue::String(text) if (text as usize) < texts.len() => {
                    *texts[text as usize].get_or_insert_with(|| find(value))
                }
                _ => find(value),
            };
            codes[row as usize] = found.unwrap_or(NO_CODE);
        }
        codes
    }

    fn values(&self) -> Vec<Value> {
        let mut values = vec![Value::Bool(false); self.known.len()];
        for (value, &code) in &self.known {
            values[code as usize] = value.clone();
        }
        values
    }
}

/// The calls of `traces`, which ascend, told apart by the attributes `asked`, or by all that can tell them apart if none are named.
///
/// Cost: a walk over the traces, and three passes over the attributes.
#[must_use]
pub fn take(frame: &SpanFrame, forest: &Forest, table: &CostTable, traces: &[u32], asked: &[String]) -> Kept {
    let mut kept = Kept { asked: asked.to_vec(), offsets: vec![0], ..Kept::default() };
    kept.asked.sort_unstable();
    kept.asked.dedup();
    let attributes = forest.attributes(frame);
    let is_asked = |key: &AttributeKey| kept.knows(&key.key);
    let many = attributes.iter().filter(|(key, _)| is_asked(key) && columns::has_many(&attributes, &key.key));
    let mut many: BTreeSet<String> = many.map(|(key, _)| key.key.clone()).collect();
    let mut wanted = columns::telling(&attributes, &|key| asked.iter().any(|known| known == key));
    wanted.retain(is_asked);
    let mut gathered: Vec<Gathered> =
        wanted.into_iter().map(|key| Gathered { key, known: HashMap::default(), are_numbers: true }).collect();
    forest.each_stretch(traces, Need::All, |stretch, traces| {
        let is_chosen = chosen(stretch, stretch.frame(frame), traces);
        gathered.par_iter_mut().for_each(|own| own.learn(stretch.frame(frame), &is_chosen));
    });
    many.extend(gathered.iter().filter(|own| own.is_many()).map(|own| own.key.key.clone()));
    gathered.retain(|own| !many.contains(&own.key.key));
    kept.many = many;
    let mut codes: Vec<Vec<u32>> = gathered.iter().map(|_| Vec::new()).collect();
    let mut rows = Rows::new(table);
    forest.each_stretch(traces, Need::All, |stretch, traces| {
        let frame = stretch.frame(frame);
        let is_chosen = chosen(stretch, frame, traces);
        let sets = sets(&gathered, frame, &is_chosen);
        rows.first.clear();
        for &trace in traces {
            rows.trace(stretch.forest, stretch.local(trace), trace, &sets, &mut kept);
        }
        let first = &rows.first;
        gathered.par_iter().zip(&mut codes).for_each(|(own, codes)| {
            let of_rows = own.codes(frame, &is_chosen);
            codes.extend(first.iter().map(|&row| of_rows[row as usize]));
        });
    });
    let order = kept.by_path();
    let columns = gathered.into_par_iter().zip(codes);
    kept.columns =
        columns.filter_map(|(own, codes)| Column::new(own.key.clone(), &own.values(), codes, &order)).collect();
    kept
}

/// Which rows of a frame are spans of the traces.
fn chosen(stretch: &Stretch<'_>, frame: &SpanFrame, traces: &[u32]) -> Vec<bool> {
    let mut is_chosen = vec![false; frame.spans.len()];
    for &trace in traces {
        let spans = stretch.forest.spans_of(stretch.local(trace));
        stretch.forest.row[spans].iter().for_each(|&row| is_chosen[row as usize] = true);
    }
    is_chosen
}

/// A number for each row of a frame, the same for rows that have the same values of all attributes.
fn sets(gathered: &[Gathered], frame: &SpanFrame, is_chosen: &[bool]) -> Vec<u32> {
    let mut sets = vec![0_u32; frame.spans.len()];
    for some in gathered.chunks(rayon::current_num_threads().max(1)) {
        let codes: Vec<Vec<u32>> = some.par_iter().map(|own| own.codes(frame, is_chosen)).collect();
        for codes in codes {
            let mut known = HashMap::<(u32, u32), u32, foldhash::fast::FixedState>::default();
            for ((set, code_here), _) in sets.iter_mut().zip(codes).zip(is_chosen).filter(|&(_, &is_chosen)| is_chosen)
            {
                let fresh = code(known.len());
                *set = *known.entry((*set, code_here)).or_insert(fresh);
            }
        }
    }
    sets
}

/// Makes rows of traces.
struct Rows<'a> {
    table: &'a CostTable,
    calls: Calls,
    /// Own path of each span.
    path: Vec<u32>,
    /// What a span and all below it look like: a number for each look.
    shape: Vec<u32>,
    known: HashMap<Vec<u32>, u32, foldhash::fast::FixedState>,
    /// Row in the frame of the first call of each row.
    first: Vec<u32>,
}

impl<'a> Rows<'a> {
    fn new(table: &'a CostTable) -> Self {
        let (path, shape, first) = (Vec::new(), Vec::new(), Vec::new());
        Self { table, calls: Calls::default(), path, shape, known: HashMap::default(), first }
    }

    /// Appends the rows of trace `trace`, which `forest` knows as `local`.
    fn trace(&mut self, forest: &Forest, local: usize, trace: u32, sets: &[u32], kept: &mut Kept) {
        let Self { table, calls, path, shape, known, .. } = self;
        calls.load(forest, local, table, trace);
        let n_spans = calls.path.len();
        path.clear();
        path.resize(n_spans, NO_PATH);
        let find = |path: Path| Some(kept.paths.intern(path));
        each_path(forest, &calls.walker, local, find, |position, own, _| path[position] = own);
        // Children of each span, those that nobody waits for among them, by position.
        let mut children: Vec<Vec<u32>> = vec![Vec::new(); n_spans];
        let mut tops: Vec<u32> = Vec::new();
        for position in 0..n_spans {
            match children.get_mut(forest.parent[calls.first + position] as usize) {
                Some(children) => children.push(code(position)),
                None => tops.push(code(position)),
            }
        }
        let mut order = tops.clone();
        let mut next = 0;
        while next < order.len() {
            order.extend_from_slice(&children[order[next] as usize]);
            next += 1;
        }
        // From below, so that a span's children have their shapes.
        shape.clear();
        shape.resize(n_spans, 0);
        known.clear();
        for &position in order.iter().rev() {
            let position = position as usize;
            let set = sets[forest.row[calls.first + position] as usize];
            let mut look = vec![path[position], set, u32::from(calls.is_visited[position])];
            look.extend(children[position].iter().map(|&child| shape[child as usize]));
            let fresh = code(known.len());
            shape[position] = *known.entry(look).or_insert(fresh);
        }
        self.emit(forest, &tops, &children, kept);
        kept.offsets.push(kept.rows.len());
    }

    /// The rows of calls of one caller after the other, those of a caller before those of what it calls.
    fn emit(&mut self, forest: &Forest, tops: &[u32], children: &[Vec<u32>], kept: &mut Kept) {
        let Self { calls, path, shape, first, .. } = self;
        let begin = kept.rows.len();
        let mut stack: Vec<(Vec<u32>, u32)> = Vec::new();
        let groups = |positions: &mut dyn Iterator<Item = u32>, parent: u32, stack: &mut Vec<(Vec<u32>, u32)>| {
            let bottom = stack.len();
            let mut place = HashMap::<u32, usize, foldhash::fast::FixedState>::default();
            for position in positions {
                let at = *place.entry(shape[position as usize]).or_insert_with(|| {
                    stack.push((Vec::new(), parent));
                    stack.len() - 1
                });
                stack[at].0.push(position);
            }
            // The first is to be taken first.
            stack[bottom..].reverse();
        };
        groups(&mut tops.iter().copied(), NO_PARENT, &mut stack);
        while let Some((alike, parent)) = stack.pop() {
            let own = kept.rows.len();
            let one = alike[0] as usize;
            let mut row = Row {
                path: path[one],
                parent,
                n_calls: code(alike.len()),
                is_visited: calls.is_visited[one],
                time_ns: [0; 3],
            };
            let mut n_failed = [0_u32; FailureKind::ALL.len()];
            for &position in &alike {
                for (sum, part) in row.time_ns.iter_mut().zip(calls.time_ns[position as usize]) {
                    *sum = sum.saturating_add(part);
                }
                for (sum, part) in n_failed.iter_mut().zip(calls.n_failed[position as usize]) {
                    *sum += part;
                }
            }
            first.push(forest.row[calls.first + one]);
            kept.rows.push(row);
            let failed = FailureKind::ALL.into_iter().zip(n_failed).filter(|&(_, n_calls)| n_calls > 0);
            kept.failures.extend(failed.map(|(kind, n_calls)| (code(own), kind, n_calls)));
            let mut below = alike.iter().flat_map(|&position| children[position as usize].iter().copied());
            groups(&mut below, code(own - begin), &mut stack);
        }
    }
}
