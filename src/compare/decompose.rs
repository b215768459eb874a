//! The change in mean latency, split exactly over call paths and causes.
//!
//! With a window's sums: `kappa` calls of path `c` per visit of its parent `P`, `q` the share of those on the blamed path, `s` the time
//! blamed on a visit itself, and `I` the time blamed on a visit and all below it, the mean latency is
//!
//! ```text
//! M = sum over tops r of share_r I_r,     I_p = s_p + sum over children c of kappa_c q_c I_c
//! ```
//!
//! and its change, with a bar for the mean of both windows and D for regression minus baseline,
//!
//! ```text
//! D M =  sum_r  D share_r (I_r_bar - M_bar)                              traffic mix
//!     +  sum_p  W_p D s_p                                                slower per visit
//!     +  sum_c  W_P D kappa_c (q_bar I_c_bar + D q_c D I_c / 12)         more, fewer, new calls
//!     +  sum_c  W_P D q_c (kappa_bar I_c_bar + D kappa_c D I_c / 12)     now on the critical path
//! W_top = share_bar,   W_c = W_P (kappa_bar q_bar + D kappa_c D q_c / 12)
//! ```
//!
//! Each product is split by its Shapley value, so neither the order of factors nor a remainder is left. Where a path has no
//! visits in one window it takes the values of its calls that nobody waited for ([`super::hidden`]), and without such calls the other window's, so
//! that its whole effect is structural.

use super::hidden::Hidden;
use super::paths::{NO_PATH, Paths, Scope};
use super::sums::{Sums, refill};

/// What each path did to the mean, nanoseconds per request; vectors are indexed by path.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// Slower by itself, or a longer gap after its answer.
    pub self_ns: Vec<f64>,
    /// A longer gap before its answer begins.
    pub before_ns: Vec<f64>,
    /// Longer waits for a peer without spans, or before a retry.
    pub wait_ns: Vec<f64>,
    /// More, fewer or new calls.
    pub calls_ns: Vec<f64>,
    /// More or less often waited for.
    pub critical_ns: Vec<f64>,
    /// Larger or smaller share of all requests; tops only.
    pub mix_ns: Vec<f64>,
    /// Mean of the baseline.
    pub baseline_mean_ns: f64,
    /// Mean of the regression.
    pub regression_mean_ns: f64,
    /// What the changes of each path's rates were multiplied by.
    pub weights: Weights,
}

/// How much of an effect a unit of change of each rate makes; vectors are indexed by path.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    /// Blamed visits behind one request, which times a visit are multiplied by.
    pub visits: Vec<f64>,
    /// Of a call more per visit of the parent, nanoseconds per request.
    pub calls_ns: Vec<f64>,
    /// Of a call that is on the blamed path, nanoseconds per request.
    pub critical_ns: Vec<f64>,
    /// Of a top's share of the requests, nanoseconds per request.
    pub mix_ns: Vec<f64>,
}

impl Effects {
    /// Makes all effects zero and forgets the weights.
    fn clear(&mut self, n_paths: usize) {
        let Self { self_ns, before_ns, wait_ns, calls_ns, critical_ns, mix_ns, weights, .. } = self;
        for effects in [self_ns, before_ns, wait_ns, calls_ns, critical_ns, mix_ns] {
            refill(effects, n_paths, 0.0);
        }
        weights.clear(0);
        (self.baseline_mean_ns, self.regression_mean_ns) = (0.0, 0.0);
    }

    /// A path's effects in the order of [`super::attribute::Attribution::targets`].
    #[must_use]
    pub fn of(&self, path: usize) -> [f64; 5] {
        [self.self_ns[path], self.before_ns[path], self.wait_ns[path], self.calls_ns[path], self.critical_ns[path]]
    }

    /// What the effects leave unexplained of the change of the mean: rounding only, nanoseconds.
    #[must_use]
    pub fn residual_ns(&self) -> f64 {
        let columns = [&self.self_ns, &self.before_ns, &self.wait_ns, &self.calls_ns, &self.critical_ns, &self.mix_ns];
        let explained: f64 = columns.into_iter().flatten().sum();
        self.regression_mean_ns - self.baseline_mean_ns - explained
    }
}

impl Weights {
    fn clear(&mut self, n_paths: usize) {
        let Self { visits, calls_ns, critical_ns, mix_ns } = self;
        for weights in [visits, calls_ns, critical_ns, mix_ns] {
            refill(weights, n_paths, 0.0);
        }
    }
}

/// Effects, and memory to compute them in: a bootstrap does so hundreds of times.
#[derive(Debug, Default)]
pub struct Room {
    effects: Effects,
    /// Of the two windows.
    inclusive_ns: [Vec<f64>; 2],
}

/// Per-visit values of one path in one window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rates {
    pub(super) kappa: f64,
    pub(super) q: f64,
    pub(super) self_ns: f64,
    pub(super) before_ns: f64,
    pub(super) wait_ns: f64,
    pub(super) inclusive_ns: f64,
}

/// One window's rates, `None` where it has no visits to take them from.
pub(super) struct Window {
    /// Requests of the scope.
    pub(super) n_tops: f64,
    mean_ns: f64,
    inclusive_ns: Vec<f64>,
}

impl Window {
    /// `inclusive_ns` is memory to use.
    pub(super) fn new(paths: &Paths, sums: &Sums, scope: Scope, mut inclusive_ns: Vec<f64>) -> Self {
        inclusive_ns_in(&mut inclusive_ns, paths, sums);
        let (mut n_tops, mut total_ns) = (0.0, 0.0);
        for (index, path) in paths.list.iter().enumerate().rev() {
            if path.parent == NO_PATH && path.scope == scope {
                n_tops += sums.n_visits[index];
                total_ns += inclusive_ns[index];
            }
        }
        Self { n_tops, mean_ns: if n_tops > 0.0 { total_ns / n_tops } else { 0.0 }, inclusive_ns }
    }
}

/// Nanoseconds blamed on each path and all below it.
pub(super) fn inclusive_ns(paths: &Paths, sums: &Sums) -> Vec<f64> {
    let mut result = Vec::new();
    inclusive_ns_in(&mut result, paths, sums);
    result
}

/// The same in memory that is there.
fn inclusive_ns_in(result: &mut Vec<f64>, paths: &Paths, sums: &Sums) {
    let own = |path: usize| sums.self_ns[path] + sums.before_ns[path] + sums.wait_ns[path];
    result.clear();
    result.extend((0..paths.len()).map(own));
    for (index, path) in paths.list.iter().enumerate().rev().filter(|(_, path)| path.parent != NO_PATH) {
        result[path.parent as usize] += result[index];
    }
}

/// Splits the change of the mean latency of `scope`'s requests between two windows.
///
/// If either window has no such request, all effects and both means are zero.
#[must_use]
pub fn decompose(paths: &Paths, sums: [&Sums; 2], hidden: &Hidden, scope: Scope) -> Effects {
    let mut room = Room::default();
    decompose_in(&mut room, paths, sums, hidden, scope);
    room.effects
}

/// The same in `room`.
pub fn decompose_in<'a>(
    room: &'a mut Room,
    paths: &Paths,
    sums: [&Sums; 2],
    hidden: &Hidden,
    scope: Scope,
) -> &'a Effects {
    let Room { effects, inclusive_ns } = room;
    effects.clear(paths.len());
    let [before, after] = std::mem::take(inclusive_ns);
    let windows = [Window::new(paths, sums[0], scope, before), Window::new(paths, sums[1], scope, after)];
    if !windows.iter().any(|window| window.n_tops <= 0.0) {
        fill(effects, paths, &windows, (sums, hidden), scope);
    }
    *inclusive_ns = windows.map(|window| window.inclusive_ns);
    effects
}

fn fill(
    effects: &mut Effects,
    paths: &Paths,
    windows: &[Window; 2],
    (sums, hidden): ([&Sums; 2], &Hidden),
    scope: Scope,
) {
    effects.baseline_mean_ns = windows[0].mean_ns;
    effects.regression_mean_ns = windows[1].mean_ns;
    let mean_bar = f64::midpoint(windows[0].mean_ns, windows[1].mean_ns);
    let mut weights = std::mem::take(&mut effects.weights);
    weights.clear(paths.len());
    for (index, path) in paths.list.iter().enumerate().filter(|(_, path)| path.scope == scope) {
        let [before, after] = rates(index, path.parent, Some(windows), (sums, hidden));
        let inclusive =
            (f64::midpoint(before.inclusive_ns, after.inclusive_ns), after.inclusive_ns - before.inclusive_ns);
        if path.parent == NO_PATH {
            let share = shares(index, windows.each_ref().map(|window| window.n_tops), sums);
            weights.mix_ns[index] = inclusive.0 - mean_bar;
            weights.visits[index] = f64::midpoint(share[0], share[1]);
        } else {
            let kappa = (f64::midpoint(before.kappa, after.kappa), after.kappa - before.kappa);
            let q = (f64::midpoint(before.q, after.q), after.q - before.q);
            let parent_visits = weights.visits[path.parent as usize];
            weights.calls_ns[index] = parent_visits * (q.0 * inclusive.0 + q.1 * inclusive.1 / 12.0);
            weights.critical_ns[index] = parent_visits * (kappa.0 * inclusive.0 + kappa.1 * inclusive.1 / 12.0);
            weights.visits[index] = parent_visits * (kappa.0 * q.0 + kappa.1 * q.1 / 12.0);
        }
    }
    weigh(paths, &weights, (sums, hidden), scope, effects);
    effects.weights = weights;
}

/// The effects with the weights of other sums: what both windows say of the rates, at unchanged traffic.
///
/// How often a path is taken says nothing of whether it became slower, but scatters its effect as resampling draws few or many of its
/// calls. Where it is asked whether there is a change at all, the weights are therefore those of all the data. The means stay zero.
#[must_use]
pub fn at_weights<'a>(
    room: &'a mut Room,
    paths: &Paths,
    weights: &Weights,
    (sums, hidden): ([&Sums; 2], &Hidden),
    scope: Scope,
) -> &'a Effects {
    room.effects.clear(paths.len());
    if !weights.visits.is_empty() {
        weigh(paths, weights, (sums, hidden), scope, &mut room.effects);
    }
    &room.effects
}

/// Fills in weights times changes of rates.
fn weigh(paths: &Paths, weights: &Weights, (sums, hidden): ([&Sums; 2], &Hidden), scope: Scope, effects: &mut Effects) {
    let n_tops = sums.map(|sums| super::attribute::tops(paths, sums, scope));
    if n_tops.iter().any(|&n_tops| n_tops <= 0.0) {
        return;
    }
    for (index, path) in paths.list.iter().enumerate().filter(|(_, path)| path.scope == scope) {
        let [before, after] = rates(index, path.parent, None, (sums, hidden));
        if path.parent == NO_PATH {
            let share = shares(index, n_tops, sums);
            effects.mix_ns[index] = weights.mix_ns[index] * (share[1] - share[0]);
        } else {
            effects.calls_ns[index] = weights.calls_ns[index] * (after.kappa - before.kappa);
            effects.critical_ns[index] = weights.critical_ns[index] * (after.q - before.q);
        }
        let visits = weights.visits[index];
        effects.self_ns[index] = visits * (after.self_ns - before.self_ns);
        effects.before_ns[index] = visits * (after.before_ns - before.before_ns);
        effects.wait_ns[index] = visits * (after.wait_ns - before.wait_ns);
    }
}

/// A top's share of the requests in both windows.
fn shares(top: usize, n_tops: [f64; 2], sums: [&Sums; 2]) -> [f64; 2] {
    [0, 1].map(|window: usize| sums[window].n_visits[top] / n_tops[window])
}

/// Rates of a path in both windows, each taking that of hidden calls, or else the other's, where it has nothing to divide by; inclusive times only
/// if `windows` are given.
pub(super) fn rates(
    index: usize,
    parent: u32,
    windows: Option<&[Window; 2]>,
    (sums, hidden): ([&Sums; 2], &Hidden),
) -> [Rates; 2] {
    let ratio = |over: f64, under: f64| (under > 0.0).then(|| over / under);
    let unseen = [0, 1].map(|window| hidden.of(window, index));
    let both = |value: &dyn Fn(usize) -> Option<f64>| {
        let [before, after] = [value(0), value(1)];
        [before.or(after).unwrap_or(0.0), after.or(before).unwrap_or(0.0)]
    };
    let per_visit = |place: usize, total: &dyn Fn(usize) -> f64| {
        both(&|window| {
            ratio(total(window), sums[window].n_visits[index]).or(unseen[window].ns.map(|parts| parts[place]))
        })
    };
    let kappa = both(&|window| {
        let parent_visits = if parent == NO_PATH { 0.0 } else { sums[window].n_visits[parent as usize] };
        ratio(sums[window].n_calls[index], parent_visits).or(unseen[window].kappa)
    });
    let q = both(&|window| ratio(sums[window].n_visits[index], sums[window].n_calls[index]).or(unseen[window].q));
    let self_ns = per_visit(0, &|window| sums[window].self_ns[index]);
    let before_ns = per_visit(1, &|window| sums[window].before_ns[index]);
    let wait_ns = per_visit(2, &|window| sums[window].wait_ns[index]);
    let inclusive_ns = windows.map_or([0.0; 2], |windows| per_visit(3, &|window| windows[window].inclusive_ns[index]));
    [0, 1].map(|window: usize| Rates {
        kappa: kappa[window],
        q: q[window],
        self_ns: self_ns[window],
        before_ns: before_ns[window],
        wait_ns: wait_ns[window],
        inclusive_ns: inclusive_ns[window],
    })
}
