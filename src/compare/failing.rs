//! Calls that are made, or not made, because others fail: they belong to where the failures begin.
//!
//! ```text
//! repeated     |-caller-[ A ✗ ]-wait-[ A ]-|            A failed because B below it did: B made the repeat necessary
//! cut short    |-caller-[ B ✗ ]✗                        C, which the caller calls after B, is no longer called
//! fallback     |-caller-[ B ✗ ][ D ]-|                  D is called in B's stead
//! ```
//!
//! With the share `f` of a path's visits that fail, and `k` calls of another per visit, `kappa = f k_failing + (1 - f) k_others`, and of its
//! change `D f (k_failing_bar - k_others_bar)` is there because more visits fail. That part, and all of what repeats failed tries, is shared
//! out as failures at the path or below it became more frequent by where they began; what begins in the caller itself, or in the callee whose
//! failed tries are repeated, stays where it is. A call after a failed one of its kind looks like a repeat also where the caller makes so many calls
//! in a row anyway: as far as first tries became as much rarer as repeats became more frequent, the two are one.

use super::Selection;
use super::attribute::{Attribution, CALLS, Cause, WAIT};
use super::paths::{CostTable, Failure, FailureKind, NO_PATH};
use super::unanswered::Input;
use hashbrown::HashSet;
use std::collections::BTreeMap;

/// Callers and repeated calls looked at, those with the largest changes; the rest is small, and each costs a pass over the paths.
const MAX_UNITS: usize = 64;
/// Fewer failures than this in both windows together do not say where they began: a share known from five has an error of a fifth.
const MIN_FAILURES: f64 = 5.0;

/// What failed in the traces of two windows, weighted; pairs are baseline and regression.
#[derive(Debug, Default)]
pub struct Failing {
    /// Failures by path and kind where they began, whether a request failed by them or survived.
    origins: BTreeMap<(u32, FailureKind), [f64; 2]>,
    /// Failing visits of each path.
    visits: BTreeMap<u32, [f64; 2]>,
    /// Calls of each path that failing visits of its parent made.
    calls: BTreeMap<u32, [f64; 2]>,
}

impl Failing {
    /// Counts those of the two windows.
    #[must_use]
    pub fn new(table: &CostTable, selection: &Selection, weight: &[f64]) -> Self {
        let mut result = Self::default();
        if table.failures.is_empty() && table.survived.is_empty() && table.failing_visits.is_empty() {
            return result;
        }
        // A bit for each window.
        let mut windows = vec![0_u8; weight.len()];
        for (bit, traces) in [(1, &selection.baseline), (2, &selection.regression)] {
            for &trace in traces {
                windows[trace as usize] |= bit;
            }
        }
        let add = |counts: &mut [f64; 2], trace: u32| {
            for (count, bit) in counts.iter_mut().zip([1, 2]) {
                *count += if windows[trace as usize] & bit == 0 { 0.0 } else { weight[trace as usize] };
            }
        };
        for &(trace, Failure { path, kind, .. }) in table.failures.iter().chain(&table.survived) {
            add(result.origins.entry((path, kind)).or_default(), trace);
        }
        for (list, counts) in [(&table.failing_visits, &mut result.visits), (&table.failing_calls, &mut result.calls)] {
            for &(trace, path) in list {
                add(counts.entry(path).or_default(), trace);
            }
        }
        result
    }
}

/// An effect of which parts go elsewhere.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) path: u32,
    /// In the order of [`Attribution::targets`].
    pub(super) which: usize,
    pub(super) cause: Cause,
    /// Subjects and their shares of it.
    pub(super) to: Vec<(u32, f64)>,
    /// A row and its share.
    pub(super) to_row: Option<(u32, f64)>,
}

/// Calls of one caller that other failures made more or fewer.
#[derive(Debug)]
struct Unit {
    /// The paths at or below which the failures are looked for.
    at: Vec<u32>,
    /// The service whose own failures stay where they are.
    own: u32,
    cause: Cause,
    /// Path, effect, and the part of it that goes by the failures.
    effects: Vec<(u32, usize, f64)>,
    change_ns: f64,
}

/// Decides for repeated calls, and for the calls of visits that fail.
pub(super) fn moved(input: Input<'_>, attribution: &Attribution, failing: &Failing) -> Vec<Moved> {
    let taken: HashSet<(u32, usize)> = attribution.spread().map(|(path, which, _)| (path, which)).collect();
    let mut moved = Vec::new();
    let mut units = repeats(input, failing);
    units.extend(cut_short(input, attribution, failing));
    units.retain(|unit| unit.change_ns != 0.0);
    // Stable: equals keep the order of the paths.
    units.sort_by(|left, right| right.change_ns.abs().total_cmp(&left.change_ns.abs()));
    for unit in units.iter().take(MAX_UNITS) {
        let shares = shares(input, attribution, failing, unit);
        for &(path, which, part) in unit.effects.iter().filter(|&&(path, which, _)| !taken.contains(&(path, which))) {
            let first = in_a_row(input, unit, path).filter(|_| which == CALLS);
            let rest = part * (1.0 - first.map_or(0.0, |(_, share)| share));
            let to = shares.iter().map(|&(subject, share)| (subject, rest * share)).collect::<Vec<_>>();
            let to_row = first.map(|(first, share)| (attribution.targets[first as usize][CALLS], share));
            if !to.is_empty() || to_row.is_some() {
                moved.push(Moved { path, which, cause: unit.cause, to, to_row });
            }
        }
    }
    moved
}

/// The first tries that a path repeats, if these became rarer where it became more frequent, and by which share of that.
fn in_a_row(input: Input<'_>, unit: &Unit, path: u32) -> Option<(u32, f64)> {
    let own = input.paths.list[path as usize];
    let first = unit.at.iter().copied().find(|&at| own.is_retry && !input.paths.list[at as usize].is_retry)?;
    let change = |path: u32| {
        let [before, after] = input.sums.map(|sums| sums.n_calls[path as usize] / sums.n_visits[own.parent as usize]);
        after - before
    };
    let share = -change(first) / change(path);
    (share > 0.0 && share.is_finite()).then_some((first, share.min(1.0)))
}

/// Repeats of failed tries.
fn repeats(input: Input<'_>, failing: &Failing) -> Vec<Unit> {
    if failing.origins.is_empty() {
        return Vec::new();
    }
    let paths = || (0..).zip(&input.paths.list).filter(|(_, path)| path.parent != NO_PATH);
    let repeats = paths().filter(|(_, path)| path.is_retry);
    let mut tries: BTreeMap<(u32, u32), Vec<u32>> =
        repeats.map(|(_, path)| ((path.parent, path.operation), Vec::new())).collect();
    if tries.is_empty() {
        return Vec::new();
    }
    for (index, path) in paths() {
        if let Some(own) = tries.get_mut(&(path.parent, path.operation)) {
            own.push(index);
        }
    }
    let unit = |((_, operation), at): ((u32, u32), Vec<u32>)| {
        let operation = input.forest.operations[operation as usize];
        let is_retry = |path: &&u32| input.paths.list[**path as usize].is_retry;
        let effects: Vec<(u32, usize, f64)> =
            at.iter().filter(is_retry).flat_map(|&path| [(path, WAIT, 1.0), (path, CALLS, 1.0)]).collect();
        let change_ns = effects.iter().map(|&(path, which, _)| input.effects_of(path as usize)[which]).sum();
        Unit { at, own: operation.peer.unwrap_or(operation.service), cause: Cause::Retry, effects, change_ns }
    };
    tries.into_iter().map(unit).collect()
}

/// Calls that visits make more or less often because they fail.
fn cut_short(input: Input<'_>, attribution: &Attribution, failing: &Failing) -> Vec<Unit> {
    let mut units = BTreeMap::<u32, Unit>::new();
    for (index, path) in input.paths.list.iter().enumerate() {
        let Some(&failed) = failing.visits.get(&path.parent) else { continue };
        if path.is_retry || attribution.is_answer[index] {
            continue;
        }
        let own = u32::try_from(index).unwrap_or(NO_PATH);
        let failed_calls = failing.calls.get(&own).copied().unwrap_or_default();
        let windows = [0, 1].map(|window: usize| {
            let sums = input.sums[window];
            (sums.n_visits[path.parent as usize], failed[window], sums.n_calls[index], failed_calls[window])
        });
        let part = part_by_failing(windows);
        if part == 0.0 {
            continue;
        }
        let caller = input.forest.operations[input.paths.list[path.parent as usize].operation as usize];
        let unit = units.entry(path.parent).or_insert_with(|| Unit {
            at: vec![path.parent],
            own: caller.service,
            cause: Cause::Failing,
            effects: Vec::new(),
            change_ns: 0.0,
        });
        unit.effects.push((own, CALLS, part));
        unit.change_ns += (part * input.effects_of(index)[CALLS]).abs();
    }
    units.into_values().collect()
}

/// Of the change of calls a visit the part that is there because more or fewer visits fail; by window visits, failing ones, calls, and
/// those of failing visits.
fn part_by_failing(windows: [(f64, f64, f64, f64); 2]) -> f64 {
    let rate = |over: f64, under: f64| (under > 0.0).then(|| over / under);
    let both = |values: [Option<f64>; 2]| [values[0].or(values[1]), values[1].or(values[0])].map(|k| k.unwrap_or(0.0));
    let f = windows.map(|(visits, failed, ..)| rate(failed, visits));
    let kappa = windows.map(|(visits, _, calls, _)| rate(calls, visits));
    let ([Some(f_before), Some(f_after)], [Some(before), Some(after)]) = (f, kappa) else { return 0.0 };
    let of_failing = both(windows.map(|(_, failed, _, calls)| rate(calls, failed)));
    let of_others = both(windows.map(|(visits, failed, calls, of_failed)| rate(calls - of_failed, visits - failed)));
    let by_failing = (f_after - f_before) * (of_failing[0] + of_failing[1] - of_others[0] - of_others[1]) / 2.0;
    let part = by_failing / (after - before);
    if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 }
}

/// The subjects other than the unit's own that failures at it or below began with, and the share of each in their change.
fn shares(input: Input<'_>, attribution: &Attribution, failing: &Failing, unit: &Unit) -> Vec<(u32, f64)> {
    let is_below = input.below(&unit.at);
    // Visits of what calls the unit's paths, or of the caller itself: what failures are counted against.
    let first = unit.at[0];
    let of = if unit.cause == Cause::Retry { input.paths.list[first as usize].parent } else { first };
    let visits = input.sums.map(|sums| sums.n_visits[of as usize]);
    if visits.contains(&0.0) {
        return Vec::new();
    }
    let mut changes = BTreeMap::<u32, f64>::new();
    let mut n_failures = 0.0;
    for (&(path, kind), counts) in failing.origins.iter().filter(|((path, _), _)| is_below[*path as usize]) {
        let subject = attribution.failure_subjects[path as usize][kind as usize];
        *changes.entry(subject).or_default() += counts[1] / visits[1] - counts[0] / visits[0];
        n_failures += counts[0] + counts[1];
    }
    let total: f64 = changes.values().sum();
    let same_way = |change: f64| (change * total.signum()).max(0.0);
    let of: f64 = changes.values().map(|&change| same_way(change)).sum();
    if n_failures < MIN_FAILURES || of <= 0.0 {
        return Vec::new();
    }
    let is_own = |subject: u32| attribution.blamed[subject as usize] == unit.own;
    changes
        .into_iter()
        .map(|(subject, change)| (subject, same_way(change) / of))
        .filter(|&(subject, share)| share > 0.0 && !is_own(subject))
        .collect()
}
