//! What proves a suspect: the ways to it from the entries, numbers per call, and traces.

use super::document::{Exemplar, Operation, Pair, PropagationPath};
use crate::compare::attribute::{Attribution, Cause, tops};
use crate::compare::paths::{CostTable, PathCost};
use crate::compare::{Comparison, Selection};
use crate::drill;
use crate::normalize::Forest;
use crate::span::SpanFrame;
use hashbrown::HashMap;

/// Traces shown for a suspect: enough to see a pattern, few enough to open.
const N_EXEMPLARS: usize = 3;
/// Ways shown for a suspect.
const N_PATHS: usize = 3;

/// Everything that evidence is drawn from.
#[derive(Clone, Copy)]
pub(super) struct Evidence<'a> {
    pub(super) frame: &'a SpanFrame,
    pub(super) forest: &'a Forest,
    pub(super) table: &'a CostTable,
    pub(super) selection: &'a Selection,
    pub(super) comparison: &'a Comparison,
}

/// A suspect's part of one path.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    effect_ns: f64,
    /// Which of the effects in the order of [`Attribution::targets`] are the suspect's.
    is_own: [bool; 5],
}

/// A suspect's parts by path.
pub(super) struct Parts(HashMap<u32, Part, foldhash::fast::FixedState>);

/// Whether a path's self, before and wait times are the suspect's, by path.
type Owned = Vec<[bool; 3]>;

impl<'a> Evidence<'a> {
    fn attribution(&self) -> &'a Attribution {
        &self.comparison.attribution
    }

    pub(super) fn drill_input(&self) -> drill::Input<'a> {
        let Self { frame, forest, table, selection, comparison } = *self;
        drill::Input { frame, forest, table, selection, comparison }
    }

    /// The paths on which `subject` has effects.
    pub(super) fn parts(&self, subject: u32) -> Parts {
        let mut parts = HashMap::default();
        let (effects, background) = (&self.comparison.effects, &self.comparison.background);
        for (index, targets) in self.attribution().targets.iter().enumerate() {
            let path = u32::try_from(index).unwrap_or(u32::MAX);
            let (values, behind) = (effects.of(index), background.of(index));
            for (which, &row) in targets.iter().enumerate() {
                if self.attribution().rows[row as usize].subject == subject {
                    let part: &mut Part = parts.entry(path).or_default();
                    part.effect_ns += values[which] + self.comparison.background_rate * behind[which];
                    part.is_own[which] = true;
                }
            }
        }
        // What unanswered calls did is partly that of others, who were seen to do it in answered ones.
        for (path, which, shares) in self.attribution().spread() {
            let rows = &self.attribution().rows;
            let index = path as usize;
            let value = effects.of(index)[which] + self.comparison.background_rate * background.of(index)[which];
            let target = self.attribution().targets[index][which];
            for &(row, share) in shares {
                for (row, part) in [(row, share), (target, -share)] {
                    if rows[row as usize].subject == subject {
                        parts.entry(path).or_default().effect_ns += part * value;
                    }
                }
            }
        }
        Parts(parts)
    }

    /// The ways to the suspect that carry most of its contribution, or most of its failures.
    pub(super) fn propagation(&self, parts: &Parts, by_failures: Option<u32>) -> Vec<PropagationPath> {
        let mut ways: Vec<(u32, f64)> = match by_failures {
            Some(subject) => self.failure_paths(subject),
            None => parts.0.iter().map(|(&path, part)| (path, part.effect_ns.abs())).collect(),
        };
        ways.retain(|&(_, weight)| weight > 0.0);
        ways.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
        ways.truncate(N_PATHS);
        ways.into_iter()
            .map(|(path, _)| {
                let chain = self.table.paths.from_top(path);
                let effect_ns = parts.0.get(&path).map_or(0.0, |part| part.effect_ns);
                let entry = chain[0] as usize;
                let sums = [&self.comparison.baseline, &self.comparison.regression];
                let requests: f64 = sums.iter().map(|sums| tops(&self.table.paths, sums, self.comparison.scope)).sum();
                let own: f64 = sums.iter().map(|sums| sums.n_visits[entry]).sum();
                let mut hops: Vec<Operation> = chain.iter().map(|&path| self.hop(path)).collect();
                hops.dedup();
                PropagationPath {
                    hops,
                    contribution_ms: effect_ns / 1e6,
                    contribution_ms_per_entry_request: if own > 0.0 { effect_ns / 1e6 * requests / own } else { 0.0 },
                }
            })
            .collect()
    }

    fn failure_paths(&self, subject: u32) -> Vec<(u32, f64)> {
        let attribution = self.attribution();
        (0_u32..)
            .zip(&attribution.failure_subjects)
            .flat_map(|(path, subjects)| subjects.iter().enumerate().map(move |(side, &owner)| (path, side, owner)))
            .filter(|&(_, _, owner)| owner == subject)
            .map(|(path, side, _)| (path, self.comparison.regression.n_failures[side][path as usize]))
            .collect()
    }

    fn hop(&self, path: u32) -> Operation {
        let operation = self.forest.operations[self.table.paths.list[path as usize].operation as usize];
        Operation {
            service: self.forest.services[operation.service as usize].name.clone(),
            operation: self.forest.operation_name(operation).to_owned(),
        }
    }

    /// Mean time blamed on the suspect per call, and its calls per request.
    pub(super) fn per_call(&self, parts: &Parts) -> (Pair, Pair) {
        let mut paths: Vec<(u32, Part)> = parts.0.iter().map(|(&path, &part)| (path, part)).collect();
        paths.sort_unstable_by_key(|&(path, _)| path);
        let [baseline, regression] = [&self.comparison.baseline, &self.comparison.regression].map(|sums| {
            let (mut time_ns, mut n_visits) = (0.0, 0.0);
            for &(path, part) in &paths {
                let path = path as usize;
                if part.is_own[..3].contains(&true) {
                    n_visits += sums.n_visits[path];
                }
                time_ns += if part.is_own[0] { sums.self_ns[path] } else { 0.0 };
                time_ns += if part.is_own[1] { sums.before_ns[path] } else { 0.0 };
                time_ns += if part.is_own[2] { sums.wait_ns[path] } else { 0.0 };
            }
            let requests = tops(&self.table.paths, sums, self.comparison.scope);
            let ratio = |over: f64, under: f64| if under > 0.0 { over / under } else { 0.0 };
            (ratio(time_ns / 1e6, n_visits), ratio(n_visits, requests))
        });
        (
            Pair { baseline: baseline.0, regression: regression.0 },
            Pair { baseline: baseline.1, regression: regression.1 },
        )
    }

    /// The times that are the suspect's: its own, and all below the calls that it makes.
    fn owned(&self, parts: &Parts) -> Owned {
        let paths = &self.table.paths.list;
        let mut is_below = vec![false; paths.len()];
        let mut owned = vec![[false; 3]; paths.len()];
        for (index, path) in paths.iter().enumerate() {
            let part = u32::try_from(index).ok().and_then(|path| parts.0.get(&path)).copied().unwrap_or_default();
            is_below[index] =
                part.is_own[3] || part.is_own[4] || is_below.get(path.parent as usize).is_some_and(|&below| below);
            if path.scope == self.comparison.scope {
                owned[index] = [0, 1, 2].map(|which: usize| part.is_own[which] || is_below[index]);
            }
        }
        owned
    }

    /// Traces of the regression that show the suspect best, and of the baseline to set beside them.
    pub(super) fn exemplars(&self, subject: u32, parts: &Parts, by_failures: bool) -> (Vec<Exemplar>, Vec<String>) {
        let failing = self.failing(subject);
        let owned = self.owned(parts);
        let time_ns = |trace: u32| -> i64 {
            let own = |cost: &PathCost| {
                let [own, before, wait] = owned[cost.path as usize].map(i64::from);
                (own * cost.self_ns).saturating_add(before * cost.before_ns).saturating_add(wait * cost.wait_ns)
            };
            self.table.costs_of(trace as usize).iter().map(own).fold(0, i64::saturating_add)
        };
        let shows = |trace: &u32| !by_failures || failing.binary_search(trace).is_ok();
        let mut shown: Vec<(i64, u32)> = self
            .selection
            .regression
            .iter()
            .filter(|trace| shows(trace))
            .map(|&trace| (time_ns(trace), trace))
            .collect();
        shown.retain(|&(time_ns, _)| by_failures || time_ns > 0);
        shown.sort_unstable_by_key(|&(time_ns, trace)| (std::cmp::Reverse(time_ns), trace));
        // The very slowest few may have a reason of their own: begin with the 95th percentile and keep to the slow side.
        let skip = if by_failures { 0 } else { (shown.len() / 20).min(shown.len().saturating_sub(N_EXEMPLARS)) };
        let chosen: Vec<(i64, u32)> = shown.into_iter().skip(skip).take(N_EXEMPLARS).collect();
        let baseline =
            chosen.iter().filter_map(|&(_, trace)| self.counterpart(trace)).map(|trace| self.trace_id(trace));
        let mut baseline: Vec<String> = baseline.collect();
        baseline.sort_unstable();
        baseline.dedup();
        let exemplars = chosen
            .iter()
            .map(|&(time_ns, trace)| Exemplar {
                trace_id: self.trace_id(trace),
                duration_ms: self.duration_ns(trace) as f64 / 1e6,
                suspect_ms: time_ns as f64 / 1e6,
            })
            .collect();
        (exemplars, baseline)
    }

    /// Traces whose failure began with the subject, ascending.
    fn failing(&self, subject: u32) -> Vec<u32> {
        let owner = |failure: &crate::compare::paths::Failure| {
            self.attribution().failure_subjects[failure.path as usize][failure.kind as usize]
        };
        self.table.failures.iter().filter(|(_, failure)| owner(failure) == subject).map(|&(trace, _)| trace).collect()
    }

    /// The baseline trace through the same entry whose duration is the median.
    fn counterpart(&self, trace: u32) -> Option<u32> {
        let entry = self.entry(trace)?;
        let mut peers: Vec<(i64, u32)> = self
            .selection
            .baseline
            .iter()
            .filter(|&&other| self.entry(other) == Some(entry))
            .map(|&other| (self.duration_ns(other), other))
            .collect();
        peers.sort_unstable();
        peers.get(peers.len() / 2).map(|&(_, trace)| trace)
    }

    /// Path of the top of the trace's first request.
    fn entry(&self, trace: u32) -> Option<u32> {
        self.forest.first_top(trace as usize).map(|top| self.forest.operation[top])
    }

    pub(super) fn duration_ns(&self, trace: u32) -> i64 {
        self.forest.first_top(trace as usize).map_or(0, |top| self.forest.end_ns[top] - self.forest.start_ns[top])
    }

    fn trace_id(&self, trace: u32) -> String {
        self.frame.traces.text(self.forest.trace[trace as usize])
    }

    /// The call that a subject makes less often than before and that saves most time by it.
    pub(super) fn missing_call(&self, subject: u32) -> Option<(Cause, f64, Option<u32>)> {
        let rows = self.attribution().rows.iter().zip(&self.comparison.rows);
        rows.filter(|(key, row)| key.subject == subject && key.cause == Cause::Calls && row.value < 0.0)
            .map(|(key, row)| (key.cause, row.value, key.callee))
            .min_by(|left, right| left.1.total_cmp(&right.1))
    }

    /// What happened to a subject: the cause of its largest effect for the worse.
    pub(super) fn main_cause(&self, subject: u32) -> Option<(Cause, f64, Option<u32>)> {
        let rows = self.attribution().rows.iter().zip(&self.comparison.rows);
        rows.filter(|(key, row)| key.subject == subject && row.value != 0.0)
            .map(|(key, row)| (key.cause, row.value, key.callee))
            .max_by(|left, right| left.1.total_cmp(&right.1).then(right.0.cmp(&left.0)))
    }
}
