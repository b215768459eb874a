//! What proves a suspect: its part of every path, numbers per call, what requests spend on it, and traces.
//!
//! The ways to it from the entries are in `hops`, the requests that it hurts in `impact`.

use super::build::{NS_PER_MS, ratio};
use super::document::{Beside, Exemplar, Pair};
use super::rows::{PathRows, REGRESSION};
use super::shapes::{Nearest, Shapes, beside};
use super::unfailing::Unfailing;
use crate::compare::attribute::{Attribution, Cause, tops};
use crate::compare::paths::{CostTable, Failure, FailureKind, NO_PATH};
use crate::compare::sums::Sums;
use crate::compare::{Comparison, Estimate, Selection};
use crate::drill;
use crate::normalize::Forest;
use crate::profile;
use crate::rank::Channel;
use crate::span::SpanFrame;
use rayon::prelude::*;
use std::cmp::Reverse;

/// Traces shown for a suspect: enough to see a pattern, few enough to open.
const N_EXEMPLARS: usize = 3;

/// The first of `sorted`, but for the most extreme twentieth: those may have a reason of their own. Failures have no extremes.
pub(super) fn typical_extremes(sorted: &[(i64, u32)], with_extremes: bool) -> &[(i64, u32)] {
    let n_extremes = (sorted.len() / 20).min(sorted.len().saturating_sub(N_EXEMPLARS));
    let first = if with_extremes { 0 } else { n_extremes };
    &sorted[first..(first + N_EXEMPLARS).min(sorted.len())]
}

/// Everything that evidence is drawn from.
#[derive(Clone, Copy)]
pub(super) struct Evidence<'a> {
    pub(super) frame: &'a SpanFrame,
    pub(super) forest: &'a Forest,
    pub(super) table: &'a CostTable,
    pub(super) selection: &'a Selection,
    pub(super) comparison: &'a Comparison,
    pub(super) rows: &'a PathRows,
    pub(super) shapes: &'a Shapes,
    /// Requests that succeed, where fewer fail and that may be why they take longer.
    pub(super) unfailing: Option<&'a Unfailing>,
    /// What a profile tells of the baseline.
    pub(super) kept: Option<&'a profile::Baseline>,
}

/// A suspect's part of one path.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part {
    pub(super) effect_ns: f64,
    /// Which of the effects in the order of [`Attribution::targets`] are the suspect's.
    pub(super) is_own: [bool; 5],
    /// What calls made more or less often, and the critical path, have of `effect_ns`; without others' calls that the suspect's failures
    /// cut short or that lead to it.
    pub(super) calls_ns: f64,
}

/// All below a call counts as the suspect's time where the call being made, or waited for, is at least this share of what the suspect
/// did. Elsewhere the call's time is none of its doing.
const MIN_CALLS_SHARE: f64 = 0.05;

impl Part {
    /// Whether time on the path is the suspect's.
    pub(super) fn has_time(&self) -> bool {
        self.is_own[..3].contains(&true)
    }
}

/// A suspect's parts, in order of paths.
pub(super) struct Parts(pub(super) Vec<(u32, Part)>);

impl Parts {
    /// The part of a path.
    pub(super) fn of(&self, path: u32) -> Option<&Part> {
        let place = self.0.binary_search_by_key(&path, |&(known, _)| known).ok()?;
        Some(&self.0[place].1)
    }

    /// Paths of calls that the suspect makes less often, in order.
    pub(super) fn lost(&self) -> Vec<u32> {
        let is_lost = |part: &Part| part.is_own[3] && part.calls_ns < 0.0;
        self.0.iter().filter(|(_, part)| is_lost(part)).map(|&(path, _)| path).collect()
    }
}

/// What a suspect costs a request: the times that are its own, and all below the calls that it makes.
pub(super) struct Stake {
    /// Paths with whether their self, before and wait times are the suspect's, in order of paths.
    times: Vec<(u32, [bool; 3])>,
    /// Paths by which a request passes the suspect.
    passes: Vec<u32>,
}

/// What one request spends on a suspect. A trace with several requests of one entry counts as one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    /// Path of the top of the request.
    pub(super) entry: u32,
    pub(super) trace: u32,
    pub(super) time_ns: i64,
}

impl Stake {
    /// Whether the part `which` (itself, before its answer, waiting) of the time on a path is the suspect's.
    pub(super) fn owns(&self, path: u32, which: usize) -> bool {
        let found = self.times.binary_search_by_key(&path, |&(known, _)| known);
        found.is_ok_and(|place| self.times[place].1[which])
    }
}

impl<'a> Evidence<'a> {
    fn attribution(&self) -> &'a Attribution {
        &self.comparison.attribution
    }

    pub(super) fn drill_input(&self) -> drill::Input<'a> {
        let Self { frame, forest, table, selection, comparison, kept, .. } = *self;
        let beside = kept.and_then(|kept| kept.calls.as_ref());
        let kept = kept.map(|kept| &kept.values);
        drill::Input { frame, forest, table, selection, comparison, kept, beside }
    }

    /// The paths on which any of `subjects` has effects on the mean.
    pub(super) fn parts(&self, subjects: &[u32]) -> Parts {
        self.parts_in(subjects, Channel::Latency)
    }

    /// What the part `which` of a path adds to the requests that a channel looks at: the slowest, or all.
    fn effect_ns(&self, path: usize, which: usize, channel: Channel) -> f64 {
        let comparison = self.comparison;
        match channel {
            Channel::TailLatency => comparison.tail.effects.of(path)[which],
            _ => {
                comparison.effects.of(path)[which] + comparison.background_rate * comparison.background.of(path)[which]
            }
        }
    }

    /// The same on the requests that a channel looks at.
    pub(super) fn parts_in(&self, subjects: &[u32], channel: Channel) -> Parts {
        let mut is_subject = vec![false; self.attribution().subjects.len()];
        for &subject in subjects {
            is_subject[subject as usize] = true;
        }
        let mut parts = Vec::new();
        for (index, targets) in self.attribution().targets.iter().enumerate() {
            let mut part = Part::default();
            for (which, &row) in targets.iter().enumerate() {
                if is_subject[self.attribution().rows[row as usize].subject as usize] {
                    let effect_ns = self.effect_ns(index, which, channel);
                    part.effect_ns += effect_ns;
                    part.calls_ns += if which < 3 { 0.0 } else { effect_ns };
                    part.is_own[which] = true;
                }
            }
            if part.is_own.contains(&true) {
                parts.push((u32::try_from(index).unwrap_or(u32::MAX), part));
            }
        }
        let leads_there = self.leading_to(&parts);
        // What unanswered calls did is partly that of others, who were seen to do it in answered ones.
        for (path, which, shares) in self.attribution().spread() {
            let index = path as usize;
            let value = self.effect_ns(index, which, channel);
            let target = self.attribution().targets[index][which];
            let moved = shares.iter().flat_map(|&(row, share)| [(row, share), (target, -share)]);
            let own = moved.filter(|&(row, _)| is_subject[self.attribution().rows[row as usize].subject as usize]);
            let (mut effect_ns, mut calls_ns, mut is_way) = (0.0, 0.0, which < 2);
            for (row, share) in own {
                let own_ns = share * value;
                effect_ns += own_ns;
                // Calls that its failures cut short are others': those that are still made take none of its time. Nor is one made for
                // failures that begin below it.
                let is_others = self.attribution().rows[row as usize].cause == Cause::Failing
                    && (own_ns < 0.0 || leads_there[index]);
                calls_ns += if which < 3 || is_others { 0.0 } else { own_ns };
                let subject =
                    |row: u32| self.attribution().subjects[self.attribution().rows[row as usize].subject as usize];
                is_way &= subject(row) == subject(target);
            }
            if effect_ns != 0.0 {
                // A way that both its ends explain is measured where it is; what stands for unanswered calls, or shows only which calls are
                // waited for, is not.
                let mut part = Part { effect_ns, calls_ns, ..Part::default() };
                part.is_own[which] = is_way;
                parts.push((path, part));
            }
        }
        parts.sort_by_key(|&(path, _)| path);
        parts.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1.effect_ns += next.1.effect_ns;
                kept.1.calls_ns += next.1.calls_ns;
                kept.1.is_own = std::array::from_fn(|which| kept.1.is_own[which] || next.1.is_own[which]);
            }
            same
        });
        Parts(parts)
    }

    /// For each path whether a call on it may lead to the suspect: whether time on it, or on one below it, is the suspect's.
    fn leading_to(&self, parts: &[(u32, Part)]) -> Vec<bool> {
        let paths = &self.table.paths.list;
        let mut leads = vec![false; paths.len()];
        for &(path, _) in parts.iter().filter(|(_, part)| part.has_time()) {
            let mut above = path;
            while above != NO_PATH && !leads[above as usize] {
                leads[above as usize] = true;
                above = paths[above as usize].parent;
            }
        }
        leads
    }

    /// Rows and sums of the view of the latency that a channel looks at.
    fn view(&self, channel: Channel) -> (&'a [Estimate], [&'a Sums; 2]) {
        let Comparison { rows, baseline, regression, typical, tail, .. } = self.comparison;
        match channel {
            Channel::Latency | Channel::Errors | Channel::MissingCalls => (rows, [baseline, regression]),
            Channel::TypicalLatency => (&typical.rows, typical.sums.each_ref()),
            Channel::TailLatency => (&tail.rows, tail.sums.each_ref()),
        }
    }

    /// Time blamed on the suspect, and its calls that a request waits for, in each window as a channel sees it.
    fn used(&self, parts: &Parts, channel: Channel) -> [(f64, f64); 2] {
        let has_time = |path: u32| parts.of(path).is_some_and(Part::has_time);
        self.view(channel).1.map(|sums| {
            let (mut time_ns, mut n_calls) = (0.0, 0.0);
            for &(path, part) in &parts.0 {
                if part.has_time() && !self.attribution().is_counted_above(&self.table.paths, path, has_time) {
                    n_calls += sums.n_visits[path as usize];
                }
                let path = path as usize;
                time_ns += if part.is_own[0] { sums.self_ns[path] } else { 0.0 };
                time_ns += if part.is_own[1] { sums.before_ns[path] } else { 0.0 };
                time_ns += if part.is_own[2] { sums.wait_ns[path] } else { 0.0 };
            }
            (time_ns, n_calls)
        })
    }

    /// Mean time blamed on the suspect per call that a request waits for, as a channel sees it.
    pub(super) fn per_call(&self, parts: &Parts, channel: Channel) -> Pair {
        let used = self.used(parts, channel);
        let [baseline, regression] = [0, 1].map(|window: usize| {
            let (time_ns, n_calls) = used[window];
            let time_ns = if n_calls == 0.0 { self.hidden_per_call(parts, window) } else { time_ns / n_calls };
            time_ns / NS_PER_MS
        });
        Pair { baseline, regression }
    }

    /// The same of calls that no request waits for, in a window that has no others: nanoseconds.
    fn hidden_per_call(&self, parts: &Parts, window: usize) -> f64 {
        let Comparison { baseline, regression, hidden, .. } = self.comparison;
        let other = [regression, baseline][window];
        let has_time = |path: u32| parts.of(path).is_some_and(Part::has_time);
        let (mut time_ns, mut n_calls) = (0.0, 0.0);
        for &(path, part) in parts.0.iter().filter(|(_, part)| part.has_time()) {
            if let Some(own) = hidden.own_ns(window, path as usize) {
                let n_visits = other.n_visits[path as usize];
                let is_counted_above = self.attribution().is_counted_above(&self.table.paths, path, has_time);
                n_calls += if is_counted_above { 0.0 } else { n_visits };
                time_ns += (0..3).filter(|&which| part.is_own[which]).map(|which| n_visits * own[which]).sum::<f64>();
            }
        }
        ratio(time_ns, n_calls)
    }

    /// Milliseconds and calls of the suspect that a mean request waits for.
    pub(super) fn per_request(&self, parts: &Parts) -> [(f64, f64); 2] {
        let Comparison { baseline, regression, scope, .. } = self.comparison;
        let n_requests = [baseline, regression].map(|sums| tops(&self.table.paths, sums, *scope));
        let used = self.used(parts, Channel::Latency);
        [0, 1].map(|window| {
            let ((time_ns, n_calls), n) = (used[window], n_requests[window]);
            (ratio(time_ns / NS_PER_MS, n), ratio(n_calls, n))
        })
    }

    /// Whether the baseline has none of the calls whose time is the suspect's.
    pub(super) fn is_new(&self, parts: &Parts) -> bool {
        let mut own = parts.0.iter().filter(|(_, part)| part.has_time());
        own.all(|&(path, _)| self.comparison.everywhere[0][path as usize] == 0.0)
    }

    /// What the suspect costs each request.
    pub(super) fn stake(&self, parts: &Parts) -> Stake {
        let paths = &self.table.paths.list;
        let least_ns = MIN_CALLS_SHARE * parts.0.iter().map(|(_, part)| part.effect_ns.abs()).sum::<f64>();
        let mut is_below = vec![false; paths.len()];
        let mut own = parts.0.iter().peekable();
        let (mut times, mut passes) = (Vec::new(), Vec::new());
        for (index, path) in (0_u32..).zip(paths) {
            let part = own.next_if(|&&(known, _)| known == index).map_or_else(Part::default, |&(_, part)| part);
            let calls = part.calls_ns != 0.0 && part.calls_ns.abs() >= least_ns;
            is_below[index as usize] = calls || is_below.get(path.parent as usize).is_some_and(|&below| below);
            let owned = [0, 1, 2].map(|which: usize| part.is_own[which] || is_below[index as usize]);
            if owned.contains(&true) {
                times.push((index, owned));
            }
            if part.has_time() {
                passes.push(index);
            } else if calls && path.parent != NO_PATH {
                passes.push(path.parent);
            }
        }
        passes.sort_unstable();
        passes.dedup();
        Stake { times, passes }
    }

    /// What every request of a window that passes the suspect spends on it, by entry and trace.
    pub(super) fn spent(&self, stake: &Stake, window: usize) -> Vec<Spent> {
        let of_path = |&(path, owned): &(u32, [bool; 3])| {
            let entry = self.rows.entry(path);
            let [own, before, wait] = owned.map(i64::from);
            self.rows.of(window, path).map(move |row| {
                let cost = row.cost(self.table);
                let time_ns =
                    (own * cost.self_ns).saturating_add(before * cost.before_ns).saturating_add(wait * cost.wait_ns);
                Spent { entry, trace: row.trace, time_ns }
            })
        };
        let mut spent: Vec<Spent> = stake.times.par_iter().flat_map_iter(of_path).collect();
        for &path in &stake.passes {
            let entry = self.rows.entry(path);
            spent.extend(self.rows.of(window, path).map(|row| Spent { entry, trace: row.trace, time_ns: 0 }));
        }
        spent.par_sort_unstable_by_key(|spent| (spent.entry, spent.trace));
        spent.dedup_by(|next, kept| {
            let same = (next.entry, next.trace) == (kept.entry, kept.trace);
            kept.time_ns = if same { kept.time_ns.saturating_add(next.time_ns) } else { kept.time_ns };
            same
        });
        spent
    }

    /// Traces of a window, in order of start.
    pub(super) fn traces(&self, window: usize) -> &'a [u32] {
        if window == REGRESSION { &self.selection.regression } else { &self.selection.baseline }
    }

    /// Whether a trace makes any call of `paths`, which are in order.
    pub(super) fn makes(&self, trace: u32, paths: &[u32]) -> bool {
        let mut calls = self.table.costs_of(trace as usize).calls();
        calls.any(|calls| calls.n_calls > 0 && paths.binary_search(&calls.path).is_ok())
    }

    /// Traces of the regression that show the suspect best among those that its channel looks at, and what requests spend on it there, each
    /// with the baseline's trace to set beside it.
    pub(super) fn shown(
        &self,
        subject: u32,
        (parts, stake): (&Parts, &Stake),
        channel: Channel,
        is_looked_at: &(dyn Fn(u32) -> bool + Sync),
    ) -> Vec<(u32, i64, Option<Nearest>)> {
        let failing = self.failing(&[subject]);
        let by_failures = channel == Channel::Errors;
        let mut spent = self.spent(stake, REGRESSION);
        spent.retain(|spent| {
            self.table.paths.list[spent.entry as usize].scope == self.comparison.scope && is_looked_at(spent.trace)
        });
        spent.sort_by_key(|spent| spent.trace);
        spent.dedup_by(|next, kept| {
            let same = next.trace == kept.trace;
            kept.time_ns = if same { kept.time_ns.saturating_add(next.time_ns) } else { kept.time_ns };
            same
        });
        let mut shown: Vec<(i64, u32)> = if by_failures {
            let time_ns = |trace: u32| {
                let found = spent.binary_search_by_key(&trace, |spent| spent.trace);
                found.map_or(0, |place| spent[place].time_ns)
            };
            let mut traces: Vec<u32> = failing.iter().map(|&(trace, _)| trace).collect();
            traces.dedup();
            traces.retain(|trace| self.traces(REGRESSION).binary_search(trace).is_ok());
            traces.into_iter().map(|trace| (time_ns(trace), trace)).collect()
        } else {
            spent.iter().map(|spent| (spent.time_ns, spent.trace)).collect()
        };
        if channel == Channel::MissingCalls {
            // What is missing shows where least is left, beside a request that makes the calls.
            let lost = parts.lost();
            let whole = self.shapes.usual(|trace| self.makes(trace, &lost));
            let usual = |trace: u32| beside(self.forest, self.table, trace, &whole);
            let has_lost = |&(_, trace): &(i64, u32)| !self.makes(trace, &lost) && usual(trace).is_some();
            if shown.iter().any(has_lost) {
                shown.retain(has_lost);
                shown.sort_unstable();
                let chosen = typical_extremes(&shown, false).iter();
                return chosen.map(|&(time_ns, trace)| (trace, time_ns, usual(trace))).collect();
            }
            shown.sort_unstable();
        } else {
            shown.retain(|&(time_ns, _)| by_failures || time_ns > 0);
            shown.sort_unstable_by_key(|&(time_ns, trace)| (Reverse(time_ns), trace));
        }
        let chosen = typical_extremes(&shown, by_failures);
        let nearest = |trace: u32| self.shapes.nearest(self.forest, self.table, trace);
        chosen.iter().map(|&(time_ns, trace)| (trace, time_ns, nearest(trace))).collect()
    }

    /// The same in the document's words, and the ids of the baseline's traces, each once.
    pub(super) fn exemplars(&self, shown: &[(u32, i64, Option<Nearest>)]) -> (Vec<Exemplar>, Vec<String>) {
        let exemplars: Vec<Exemplar> = shown
            .iter()
            .map(|&(trace, time_ns, nearest)| Exemplar {
                trace_id: self.trace_id(trace),
                duration_ms: self.duration_ns(trace) as f64 / NS_PER_MS,
                suspect_ms: time_ns as f64 / NS_PER_MS,
                beside: nearest.map(|nearest| Beside {
                    trace_id: self.trace_id(nearest.trace),
                    duration_ms: self.duration_ns(nearest.trace) as f64 / NS_PER_MS,
                    n_calls_apart: nearest.n_calls_apart,
                }),
            })
            .collect();
        let mut baseline: Vec<String> =
            exemplars.iter().filter_map(|exemplar| Some(exemplar.beside.as_ref()?.trace_id.clone())).collect();
        baseline.sort_unstable();
        baseline.dedup();
        (exemplars, baseline)
    }

    /// Failures that began with one of the subjects: trace and path, in order of traces. A failure that is shared counts for those who have
    /// most of it.
    pub(super) fn failing(&self, subjects: &[u32]) -> Vec<(u32, u32)> {
        let is_own = |trace: u32, failure: &Failure| {
            let window = usize::from(self.traces(REGRESSION).binary_search(&trace).is_ok());
            self.failure_share(subjects, failure.path, failure.kind, window) >= 0.5
        };
        let own = self.table.failures.iter().filter(|(trace, failure)| is_own(*trace, failure));
        own.map(|&(trace, failure)| (trace, failure.path)).collect()
    }

    /// How much of a path's failures of one kind is the subjects'.
    pub(super) fn failure_share(&self, subjects: &[u32], path: u32, kind: FailureKind, window: usize) -> f64 {
        let attribution = self.attribution();
        let owner = attribution.failure_subjects[path as usize][kind as usize];
        let is_owner = f64::from(u8::from(subjects.contains(&owner)));
        if kind != FailureKind::Unanswered {
            return is_owner;
        }
        let shares = attribution.failure_shares(path, window).iter();
        shares.fold(is_owner, |sum, &(subject, share)| {
            sum + share * (f64::from(u8::from(subjects.contains(&subject))) - is_owner)
        })
    }

    pub(super) fn duration_ns(&self, trace: u32) -> i64 {
        self.forest.first_top(trace as usize).map_or(0, |top| self.forest.end_ns[top] - self.forest.start_ns[top])
    }

    pub(super) fn trace_id(&self, trace: u32) -> String {
        self.frame.traces.text(self.forest.trace[trace as usize])
    }

    /// The call that a subject makes less often than before and that saves most time by it.
    pub(super) fn missing_call(&self, subject: u32) -> Option<(Cause, f64, Option<u32>)> {
        let rows = self.attribution().rows.iter().zip(&self.comparison.rows);
        rows.filter(|(key, row)| key.subject == subject && key.cause == Cause::Calls && row.value < 0.0)
            .map(|(key, row)| (key.cause, row.value, key.callee))
            .min_by(|left, right| left.1.total_cmp(&right.1))
    }

    /// What happened to a subject in the view of a channel: the cause of its largest effect for the worse.
    pub(super) fn main_cause(&self, subject: u32, channel: Channel) -> Option<(Cause, f64, Option<u32>)> {
        let rows = self.attribution().rows.iter().zip(self.view(channel).0);
        rows.filter(|(key, row)| key.subject == subject && row.value != 0.0)
            .map(|(key, row)| (key.cause, row.value, key.callee))
            .max_by(|left, right| left.1.total_cmp(&right.1).then(right.0.cmp(&left.0)))
    }
}
