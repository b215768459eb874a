//! The ways from the entries to a suspect: what changed at every step, and spans to open there.

use super::build::{NS_PER_MS, operation, ratio};
use super::document::{Hop, Pair, PropagationPath, SpanExemplar};
use super::evidence::{Evidence, Part, Parts, typical_extremes};
use super::rows::REGRESSION;
use crate::compare::attribute::tops;
use crate::compare::paths::Scope;
use crate::normalize::Stretch;
use crate::span::SpanId;
use std::cmp::Reverse;

/// Ways shown for a suspect.
const N_PATHS: usize = 3;

/// The ways to the suspect that carry most of its contribution, or most of the failures that began with `failing`; with spans of the traces
/// that its channel looks at.
pub(super) fn propagation(
    evidence: Evidence<'_>,
    parts: &Parts,
    failing: Option<u32>,
    is_looked_at: &dyn Fn(u32) -> bool,
) -> Vec<PropagationPath> {
    let effects = effects(evidence, parts);
    let mut ways: Vec<(u32, f64)> = match failing {
        Some(subject) => failure_paths(evidence, subject),
        None => effects.iter().map(|&(path, effect_ns)| (path, effect_ns.abs())).collect(),
    };
    ways.retain(|&(_, weight)| weight > 0.0);
    ways.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
    ways.truncate(N_PATHS);
    ways.into_iter()
        .map(|(path, _)| {
            let part = parts.of(path).copied().unwrap_or_default();
            let found = effects.binary_search_by_key(&path, |&(known, _)| known);
            let effect_ns = found.map_or(0.0, |place| effects[place].1);
            let entry = evidence.rows.entry(path);
            PropagationPath {
                hops: hops(evidence, path, &shown(evidence, path, part, failing, is_looked_at)),
                contribution_ms: effect_ns / NS_PER_MS,
                contribution_ms_per_entry_request: per_entry_request(evidence, entry, effect_ns) / NS_PER_MS,
            }
        })
        .collect()
}

/// What the suspect adds on each path that leads to it, in order of paths. A call and its answer are one way, which leads to the answer; what
/// is the suspect's on other paths says nothing of how it reached the entries, unless that is all there is.
fn effects(evidence: Evidence<'_>, parts: &Parts) -> Vec<(u32, f64)> {
    let leads = |part: &Part| part.is_own.contains(&true);
    let any = parts.0.iter().any(|(_, part)| leads(part) && part.effect_ns != 0.0);
    let own = parts.0.iter().filter(|(_, part)| leads(part) || !any);
    let mut effects: Vec<(u32, f64)> = own.map(|&(path, part)| (path, part.effect_ns)).collect();
    let paths = &evidence.table.paths;
    let has_time = |path: u32| parts.of(path).is_some_and(Part::has_time);
    for place in (0..effects.len()).rev() {
        let path = effects[place].0;
        if evidence.comparison.attribution.is_counted_above(paths, path, has_time) {
            let caller = paths.list[path as usize].parent;
            if let Ok(call) = effects.binary_search_by_key(&caller, |&(known, _)| known) {
                effects[place].1 += std::mem::take(&mut effects[call].1);
            }
        }
    }
    effects
}

/// An effect per request as one per request of the entry whose top is path `entry`: exact, for every effect on a path is a product
/// with the mean of the entry's shares in the two windows.
pub(super) fn per_entry_request(evidence: Evidence<'_>, entry: u32, effect_ns: f64) -> f64 {
    let comparison = evidence.comparison;
    let scope = evidence.table.paths.list[entry as usize].scope;
    let shares = [&comparison.baseline, &comparison.regression]
        .map(|sums| ratio(sums.n_visits[entry as usize], tops(&evidence.table.paths, sums, scope)));
    let rate =
        if scope == Scope::Background && comparison.scope == Scope::Request { comparison.background_rate } else { 1.0 };
    ratio(effect_ns, rate * f64::midpoint(shares[0], shares[1]))
}

fn failure_paths(evidence: Evidence<'_>, subject: u32) -> Vec<(u32, f64)> {
    (0_u32..)
        .zip(&evidence.comparison.attribution.failure_subjects)
        .map(|(path, subjects)| {
            let sides = subjects.iter().zip(&evidence.comparison.regression.n_failures);
            let own = sides.filter(|(owner, _)| **owner == subject).map(|(_, failures)| failures[path as usize]);
            (path, own.sum())
        })
        .collect()
}

/// Traces of the regression that show the suspect on this path: the slow ones, or those that fail.
fn shown(
    evidence: Evidence<'_>,
    path: u32,
    part: Part,
    failing: Option<u32>,
    is_looked_at: &dyn Fn(u32) -> bool,
) -> Vec<u32> {
    let chosen: Vec<(i64, u32)> = if let Some(subject) = failing {
        let own = evidence.failing(&[subject]).into_iter().filter(|&(_, failed)| failed == path);
        let mut traces: Vec<u32> = own.map(|(trace, _)| trace).collect();
        traces.dedup();
        traces.retain(|trace| evidence.traces(REGRESSION).binary_search(trace).is_ok());
        traces.into_iter().map(|trace| (0, trace)).collect()
    } else {
        let mut slow: Vec<(i64, u32)> = evidence
            .rows
            .of(REGRESSION, path)
            .filter(|row| is_looked_at(row.trace))
            .map(|row| {
                let cost = row.cost(evidence.table);
                let [own, before, wait] = [0, 1, 2].map(|which: usize| i64::from(part.is_own[which]));
                let spent_ns =
                    (own * cost.self_ns).saturating_add(before * cost.before_ns).saturating_add(wait * cost.wait_ns);
                (if part.is_own[3] || part.is_own[4] { cost.call_ns } else { spent_ns }, row.trace)
            })
            .collect();
        slow.sort_unstable_by_key(|&(time_ns, trace)| (Reverse(time_ns), trace));
        slow
    };
    typical_extremes(&chosen, failing.is_some()).iter().map(|&(_, trace)| trace).collect()
}

/// The steps down to `path`, with the spans of `traces` there.
fn hops(evidence: Evidence<'_>, path: u32, traces: &[u32]) -> Vec<Hop> {
    let paths = &evidence.table.paths;
    let chain = paths.from_top(path);
    let chains: Vec<Vec<SpanExemplar>> = traces.iter().filter_map(|&trace| spans_on(evidence, trace, &chain)).collect();
    let sums = [&evidence.comparison.baseline, &evidence.comparison.regression];
    let mut hops: Vec<Hop> = Vec::with_capacity(chain.len());
    for (step, &path) in chain.iter().enumerate() {
        let index = path as usize;
        let name = operation(evidence, paths.list[index].operation);
        if hops.last().is_some_and(|hop| (&hop.service, &hop.operation) == (&name.service, &name.operation)) {
            continue;
        }
        let [before, after] = sums.map(|sums| {
            let n_requests = tops(paths, sums, paths.list[index].scope);
            let duration_ms = ratio(sums.call_ns[index], sums.n_calls[index]) / NS_PER_MS;
            (duration_ms, ratio(sums.n_calls[index], n_requests))
        });
        hops.push(Hop {
            service: name.service,
            operation: name.operation,
            duration_ms: Pair { baseline: before.0, regression: after.0 },
            calls_per_request: Pair { baseline: before.1, regression: after.1 },
            exemplars: chains.iter().map(|spans| spans[step].clone()).collect(),
        });
    }
    hops
}

fn span_exemplar(evidence: Evidence<'_>, stretch: &Stretch<'_>, trace: u32, span: usize) -> SpanExemplar {
    let (frame, forest) = (stretch.frame(evidence.frame), stretch.forest);
    let id = SpanId::new(frame.spans.span_id[forest.row[span] as usize]);
    SpanExemplar {
        trace_id: evidence.trace_id(trace),
        span_id: id.map(|id| frame.span_ids.text(id)).unwrap_or_default(),
        duration_ms: (forest.end_ns[span] - forest.start_ns[span]) as f64 / NS_PER_MS,
    }
}

/// The spans of a trace along a call path: those above and with the longest span that was called this way.
fn spans_on(evidence: Evidence<'_>, trace: u32, chain: &[u32]) -> Option<Vec<SpanExemplar>> {
    let on = |stretch: &Stretch<'_>| {
        let spans = spans_in(evidence, stretch, trace, chain)?;
        Some(spans.into_iter().map(|span| span_exemplar(evidence, stretch, trace, span)).collect())
    };
    evidence.forest.with_stretch(trace, on).flatten()
}

fn spans_in(evidence: Evidence<'_>, stretch: &Stretch<'_>, trace: u32, chain: &[u32]) -> Option<Vec<usize>> {
    let (forest, paths) = (stretch.forest, &evidence.table.paths.list);
    let spans = forest.spans_of(stretch.local(trace));
    let above = |span: usize| {
        let mut upwards = Vec::with_capacity(chain.len());
        let mut span = span;
        for &path in chain.iter().rev() {
            if forest.operation[span] != paths[path as usize].operation {
                return None;
            }
            upwards.push(span);
            if upwards.len() < chain.len() {
                if forest.is_top(span) {
                    return None;
                }
                span = spans.start + forest.parent[span] as usize;
            }
        }
        upwards.reverse();
        forest.is_top(span).then_some(upwards)
    };
    let leaf = paths[*chain.last()? as usize].operation;
    let candidates = spans.clone().filter(|&span| forest.operation[span] == leaf);
    candidates.filter_map(above).max_by_key(|upwards| {
        let span = upwards.last().copied().unwrap_or_default();
        (forest.end_ns[span] - forest.start_ns[span], Reverse(span))
    })
}
