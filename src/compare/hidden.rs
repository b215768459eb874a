//! What calls took that nobody waited for, where a window has no others of their path.
//!
//! ```text
//! before    A |--| its call D |-|              now    A |-----------------|
//!           B |-----------|                             D |--------------|          D became slower. Nobody waited for A before, nor for
//!                                                     B |-----------|               what it calls, so that the baseline blames nothing on them.
//! ```
//!
//! Of such a path the costs of its hidden calls are taken, each over all of its own time, so that what became slower below is not taken for a caller
//! that waits otherwise. As often as a window does not say it, calls are taken to be waited for as in the other; where that adds up to more time
//! than the hidden call took, they ran side by side, and nothing is known of them.

use super::paths::{CostTable, NO_PATH, Paths};
use super::sums::Sums;
use super::views::Caps;
use rayon::prelude::*;

/// Parts that traces are counted in, each with sums of its own, which are added in one order.
const N_PARTS: usize = 4;
/// Calls below a hidden one that take so many times its own time run side by side.
const MOST_OF_CALL: f64 = 1.1;
/// Where fewer of a hidden caller's calls are waited for, those are the longest of several: the hidden ones say nothing of how long they are.
const ALMOST_ALL: f64 = 0.9;

/// Sums of the hidden calls of a window by path: visits, and nanoseconds of spans themselves, before answers and of waits.
pub(super) type HiddenSums = Vec<[f64; 4]>;

/// Sums of the hidden calls of a window, each trace by its weight and each cost at most as large as `caps` lets it.
pub(super) fn sums(table: &CostTable, traces: &[u32], weight: &[f64], caps: Option<&Caps>) -> HiddenSums {
    let sum = |traces: &[u32]| {
        let mut sums = vec![[0.0; 4]; table.paths.len()];
        for &trace in traces {
            let weight = weight[trace as usize];
            for cost in table.hidden.of(trace as usize) {
                let plain = || [cost.self_ns, cost.before_ns, cost.wait_ns].map(|ns| ns as f64);
                let [self_ns, before_ns, wait_ns] = caps.map_or_else(plain, |caps| caps.apply(&cost));
                let own = [f64::from(cost.n_visits), self_ns, before_ns, wait_ns];
                for (sum, own) in sums[cost.path as usize].iter_mut().zip(own) {
                    *sum += weight * own;
                }
            }
        }
        sums
    };
    let parts: Vec<HiddenSums> = traces.par_chunks(traces.len().div_ceil(N_PARTS).max(1)).map(sum).collect();
    let mut sums = vec![[0.0; 4]; table.paths.len()];
    for part in parts {
        for (sums, part) in sums.iter_mut().zip(part) {
            sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
    }
    sums
}

/// Rates of paths without visits in a window, by window and path; empty where there are none.
#[derive(Clone, Debug, Default)]
pub struct Hidden([Vec<HiddenRates>; 2]);

/// What hidden calls tell of a path in a window that does not tell it itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HiddenRates {
    /// Calls per visit of the parent.
    pub(super) kappa: Option<f64>,
    /// Share of them that is waited for.
    pub(super) q: Option<f64>,
    /// Nanoseconds a visit: of the span itself, before its answer, waiting, and of it and all below it.
    pub(super) ns: Option<[f64; 4]>,
}

impl Hidden {
    /// The rates beside `sums`, by the sums of hidden calls.
    pub(super) fn new(paths: &Paths, sums: [&Sums; 2], hidden: [&HiddenSums; 2]) -> Self {
        Self([0, 1].map(|window| of_window(paths, sums[window], sums[1 - window], hidden[window])))
    }

    /// Nanoseconds a hidden call of a path that a window has no others of: of the span itself, before its answer, waiting.
    pub(crate) fn own_ns(&self, window: usize, path: usize) -> Option<[f64; 3]> {
        self.of(window, path).ns.map(|[self_ns, before_ns, wait_ns, _]| [self_ns, before_ns, wait_ns])
    }

    /// Whether hidden calls tell how long those of a path take in a window.
    pub(super) fn tells(&self, window: usize, path: usize) -> bool {
        self.of(window, path).ns.is_some()
    }

    /// Those of a path in a window.
    pub(super) fn of(&self, window: usize, path: usize) -> HiddenRates {
        self.0[window].get(path).copied().unwrap_or_default()
    }
}

/// The rates of a window with the sums `own`, where the other window has `other`.
fn of_window(paths: &Paths, own: &Sums, other: &Sums, hidden: &HiddenSums) -> Vec<HiddenRates> {
    let is_unseen = |path: usize| own.n_visits[path] == 0.0 && other.n_visits[path] > 0.0 && hidden[path][0] > 0.0;
    if !(0..paths.len()).any(is_unseen) {
        return Vec::new();
    }
    let mut rates = vec![HiddenRates::default(); paths.len()];
    for (index, path) in paths.list.iter().enumerate() {
        let parent = path.parent as usize;
        let is_below = path.parent != NO_PATH && rates[parent].ns.is_some();
        let q = other.n_visits[index] / other.n_calls[index];
        if is_below {
            rates[index].kappa = Some(hidden[index][0] / hidden[parent][0]);
            rates[index].q = Some(q).filter(|q| q.is_finite());
        }
        if is_unseen(index) && (!is_below || q >= ALMOST_ALL) {
            let [n_visits, self_ns, before_ns, wait_ns] = hidden[index];
            rates[index].ns =
                Some([self_ns, before_ns, wait_ns, self_ns + before_ns + wait_ns].map(|ns| ns / n_visits));
        }
    }
    // What is below counts to what is above; callees come after their callers.
    let inclusive_ns = super::decompose::inclusive_ns(paths, other);
    for (index, path) in paths.list.iter().enumerate().rev() {
        let HiddenRates { kappa, q, ns } = rates[index];
        let ns = ns.map_or_else(|| inclusive_ns[index] / other.n_visits[index], |[.., inclusive_ns]| inclusive_ns);
        let below = kappa.unwrap_or(0.0) * q.unwrap_or(0.0) * ns;
        if path.parent != NO_PATH
            && below > 0.0
            && let Some([.., inclusive_ns]) = &mut rates[path.parent as usize].ns
        {
            *inclusive_ns += below;
        }
    }
    // Of calls side by side below a hidden one it is not known which it waited for: nothing is taken from there.
    for (index, path) in paths.list.iter().enumerate() {
        let is_top = path.parent == NO_PATH || own.n_visits[path.parent as usize] > 0.0;
        let is_below = !is_top && rates[path.parent as usize].ns.is_none();
        let call_ns = own.call_ns[index] / own.n_calls[index];
        if is_below || is_top && rates[index].ns.is_some_and(|[.., inclusive_ns]| inclusive_ns > MOST_OF_CALL * call_ns)
        {
            rates[index] = HiddenRates::default();
        }
    }
    rates
}
