//! Calls per visit of every parent and child, standardised over the ways to the parent, with their variance.

use super::super::ratio::Presence;
use super::Input;
use crate::compare::Estimate;
use crate::compare::costs::PathCalls;
use crate::compare::paths::NO_PATH;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Whose visits a rate is per: those of an operation, or the calls to a service that reports spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    Visits(u32),
    CallsTo(u32),
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) family: Family,
    /// Operation called; for [`Family::CallsTo`] none: any answer.
    pub(super) callee: Option<u32>,
    pub(super) is_retry: bool,
}

/// A rate in both windows.
#[derive(Clone, Debug)]
pub(super) struct Rate {
    pub(super) key: Key,
    /// Paths of the callee.
    pub(super) paths: Vec<u32>,
    /// Calls per visit.
    pub(super) per_visit: [f64; 2],
    /// The same in all visits, waited for or not.
    pub(super) everywhere: [f64; 2],
    /// Change and its standard error.
    pub(super) change: Estimate,
    /// Traces that visit the parent, and that make the call.
    pub(super) presence: [Presence; 2],
}

/// All rates whose parent both windows visit, in order of their first path.
pub(super) struct Rates {
    pub(super) list: Vec<Rate>,
    /// For each path its rate and what a call of it counts, a window; `None` where the parent is not visited in both windows.
    own: Vec<Option<(u32, [f64; 2])>>,
    /// For each path the rates of calls from it, and what a visit takes off each, a window.
    below: Vec<Vec<(u32, [f64; 2])>>,
}

impl Rates {
    pub(super) fn new(input: Input<'_>) -> Self {
        let (forest, paths, sums) = (input.forest, &input.table.paths, input.sums());
        let is_visited = |path: usize| sums.iter().all(|sums| sums.n_visits[path] > 0.0);
        let families = |path: usize| {
            let index = paths.list[path].operation;
            let peer = forest.operations[index as usize].peer;
            let reports = peer.filter(|&peer| !forest.services[peer as usize].is_inferred);
            [Some(Family::Visits(index)), reports.map(Family::CallsTo)].into_iter().flatten()
        };
        // Visits of each family by the paths that both windows know.
        let mut n_visits = BTreeMap::<Family, [f64; 2]>::new();
        for path in (0..paths.len()).filter(|&path| is_visited(path)) {
            for family in families(path) {
                let total = n_visits.entry(family).or_default();
                (0..2).for_each(|window| total[window] += sums[window].n_visits[path]);
            }
        }
        let mut index = BTreeMap::<Key, u32>::new();
        let mut list: Vec<Rate> = Vec::new();
        let mut own = vec![None; paths.len()];
        let mut below = vec![Vec::new(); paths.len()];
        // Where each rate stands in `below` of a path.
        let mut place = BTreeMap::<(u32, u32), usize>::new();
        for (path, known) in paths.list.iter().enumerate() {
            let (known_parent, parent) = (known.parent, known.parent as usize);
            if known.parent == NO_PATH || !is_visited(parent) {
                continue;
            }
            let caller = forest.operations[paths.list[parent].operation as usize];
            let service = forest.operations[known.operation as usize].service;
            let is_answer = input.comparison.attribution.is_answer[path] && caller.peer == Some(service);
            let key = if is_answer {
                Key { family: Family::CallsTo(service), callee: None, is_retry: false }
            } else {
                let family = Family::Visits(paths.list[parent].operation);
                Key { family, callee: Some(known.operation), is_retry: known.is_retry }
            };
            let Some(total) = n_visits.get(&key.family) else { continue };
            let visits = [0, 1].map(|window: usize| sums[window].n_visits[parent]);
            let share = f64::midpoint(visits[0] / total[0], visits[1] / total[1]);
            let rate = *index.entry(key).or_insert_with(|| {
                let (per_visit, presence) = ([0.0; 2], [Presence::default(); 2]);
                let change = Estimate::default();
                list.push(Rate { key, paths: Vec::new(), per_visit, everywhere: [0.0; 2], change, presence });
                u32::try_from(list.len() - 1).unwrap_or(u32::MAX)
            });
            let counts = visits.map(|visits| share / visits);
            let mut takes = [0.0; 2];
            for window in 0..2 {
                let per_visit = sums[window].n_calls[path] / visits[window];
                let everywhere = &input.comparison.everywhere[window];
                list[rate as usize].per_visit[window] += share * per_visit;
                list[rate as usize].everywhere[window] += share * everywhere[path] / everywhere[parent];
                takes[window] = counts[window] * per_visit;
            }
            list[rate as usize].paths.push(u32::try_from(path).unwrap_or(u32::MAX));
            own[path] = Some((rate, counts));
            let known: &mut Vec<(u32, [f64; 2])> = &mut below[parent];
            let at = *place.entry((known_parent, rate)).or_insert_with(|| {
                known.push((rate, [0.0; 2]));
                known.len() - 1
            });
            (0..2).for_each(|window| known[at].1[window] += takes[window]);
        }
        let mut result = Self { list, own, below };
        result.estimate(input);
        result
    }

    /// Standard errors and presence, from what every trace leaves of the rates.
    fn estimate(&mut self, input: Input<'_>) {
        let traces = input.traces();
        let windows: Vec<(Vec<f64>, Vec<Presence>)> =
            [0, 1].into_par_iter().map(|window| self.rests(input, traces[window], window)).collect();
        let mut variances = vec![0.0; self.list.len()];
        for (window, (squares, presence)) in windows.into_iter().enumerate() {
            for (((variance, squares), presence), rate) in
                variances.iter_mut().zip(squares).zip(presence).zip(&mut self.list)
            {
                let n = presence.n_traces as f64;
                *variance += if n > 1.0 { n / (n - 1.0) * squares } else { 0.0 };
                rate.presence[window] = presence;
            }
        }
        for (rate, variance) in self.list.iter_mut().zip(variances) {
            let [before, after] = rate.per_visit;
            // Shares that sum to one leave a rest in the last digits.
            let value = if (after - before).abs() > 1e-9 * before.max(after) { after - before } else { 0.0 };
            rate.change = Estimate::new(value, variance.sqrt());
        }
    }

    /// Sums of squares of what traces of a window leave of each rate, and in how many of them it is.
    fn rests(&self, input: Input<'_>, traces: &[u32], window: usize) -> (Vec<f64>, Vec<Presence>) {
        let n_rates = self.list.len();
        let (mut squares, mut presence) = (vec![0.0; n_rates], vec![Presence::default(); n_rates]);
        let (mut rest, mut n_calls, mut touched) = (vec![0.0; n_rates], vec![0_u32; n_rates], Vec::new());
        let mut is_touched = vec![false; n_rates];
        for &trace in traces {
            for calls in input.table.costs_of(trace as usize).calls() {
                self.of_calls(calls, window, &mut |rate, value, calls| {
                    let rate = rate as usize;
                    if !std::mem::replace(&mut is_touched[rate], true) {
                        touched.push(rate);
                    }
                    rest[rate] += value;
                    n_calls[rate] = n_calls[rate].saturating_add(calls);
                });
            }
            let weight = input.forest.weight[trace as usize];
            for rate in touched.drain(..) {
                presence[rate].n_traces += 1;
                presence[rate].n_with += u64::from(n_calls[rate] > 0);
                squares[rate] += (weight * rest[rate]).powi(2);
                (rest[rate], n_calls[rate], is_touched[rate]) = (0.0, 0, false);
            }
        }
        (squares, presence)
    }

    /// What a trace's calls of a path add to rates in a window: rate, value and calls.
    fn of_calls(&self, cost: PathCalls, window: usize, add: &mut impl FnMut(u32, f64, u32)) {
        let path = cost.path as usize;
        if let Some((rate, counts)) = self.own[path] {
            add(rate, counts[window] * f64::from(cost.n_calls), cost.n_calls);
        }
        if cost.n_visits > 0 {
            for &(rate, takes) in &self.below[path] {
                add(rate, -takes[window] * f64::from(cost.n_visits), 0);
            }
        }
    }

    /// For each of `chosen` the weighted requests of the regression that differ: the largest difference between the two windows' shares of
    /// traces with at most so many calls a visit, in the direction of the change, of the traces that visit the parent.
    ///
    /// One pass over the cost table; what traces do is counted by calls and visits, of which there are few different pairs.
    pub(super) fn affected(&self, input: Input<'_>, chosen: &[usize]) -> Vec<f64> {
        let mut slot = vec![None; self.list.len()];
        for (index, &rate) in chosen.iter().enumerate() {
            slot[rate] = Some(index);
        }
        let mut counts = vec![[Counts::new(), Counts::new()]; chosen.len()];
        let mut own = vec![(0_u64, 0_u64); chosen.len()];
        let mut touched = Vec::new();
        for (window, traces) in input.traces().into_iter().enumerate() {
            for &trace in traces {
                for cost in input.table.costs_of(trace as usize).calls() {
                    let path = cost.path as usize;
                    let called = self.own[path].and_then(|(rate, _)| slot[rate as usize]);
                    let visited = self.below[path].iter().filter_map(|&(rate, _)| slot[rate as usize]);
                    for (slot, calls, visits) in (called.into_iter().map(|slot| (slot, cost.n_calls, 0)))
                        .chain(visited.map(|slot| (slot, 0, cost.n_visits)))
                    {
                        if own[slot] == (0, 0) {
                            touched.push(slot);
                        }
                        own[slot].0 += u64::from(calls);
                        own[slot].1 += u64::from(visits);
                    }
                }
                let weight = input.forest.weight[trace as usize];
                for slot in touched.drain(..) {
                    let key = std::mem::take(&mut own[slot]);
                    if key.1 > 0 {
                        *counts[slot][window].entry(key).or_default() += weight;
                    }
                }
            }
        }
        let sign = |rate: usize| self.list[rate].change.value.signum();
        chosen.iter().zip(&counts).map(|(&rate, counts)| most_different(counts, sign(rate))).collect()
    }
}

/// Weighted traces by their calls and visits.
type Counts = BTreeMap<(u64, u64), f64>;

fn most_different(counts: &[Counts; 2], sign: f64) -> f64 {
    let totals = counts.each_ref().map(|counts| counts.values().sum::<f64>());
    if totals.iter().any(|&total| total <= 0.0) {
        return 0.0;
    }
    // Calls a visit, and what share of each window's traces has so many; equal ratios may come of several pairs.
    let mut steps: Vec<(f64, [f64; 2])> = Vec::new();
    for (window, counts) in counts.iter().enumerate() {
        steps.extend(counts.iter().map(|(&(calls, visits), weight)| {
            let mut share = [0.0; 2];
            share[window] = weight / totals[window];
            (calls as f64 / visits as f64, share)
        }));
    }
    steps.sort_by(|left, right| left.0.total_cmp(&right.0));
    let (mut below, mut largest) = ([0.0; 2], 0.0_f64);
    for same in steps.chunk_by(|left, right| left.0.total_cmp(&right.0).is_eq()) {
        for (_, share) in same {
            (0..2).for_each(|window| below[window] += share[window]);
        }
        largest = largest.max(sign * (below[0] - below[1]));
    }
    largest * totals[1]
}
