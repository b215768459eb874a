//! What requests are made of: calls that are new, gone, more, fewer, repeated, no longer side by side or no longer answered.
//!
//! Takes the traces of two windows and the comparison of their latencies, and gives [`Change`]s, the dearest first. For every parent
//! operation and what it calls, the calls per visit are compared path by path, so that neither other requests nor another way to the
//! parent looks like a change of what the parent does: with `w_P` the mean share of the parent's visits that come by path `P`,
//!
//! ```text
//! R = sum_P w_P calls_P / visits_P          D = R of the regression - R of the baseline
//! ```
//!
//! and the variance of `R` comes from what whole traces leave of it, as [`super::ratio`] says. A parent that one window never visits
//! was not called, which is told of its own caller; so of calls that are missing below each other only the topmost is found.

mod kinds;
mod rates;

use super::attribute::tops;
use super::paths::CostTable;
use super::{Comparison, Estimate, Selection};
use crate::normalize::Forest;
use crate::stats;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Largest false discovery rate at which a change is listed, that of the ranking.
pub const MAX_Q: f64 = 0.01;
/// A change of calls per visit smaller than this share of them is none that anybody acts on.
const MIN_CHANGE: f64 = 0.05;
/// Nor one that fewer requests than this share of those to the parent show.
const MIN_AFFECTED: f64 = 0.005;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It is made, and was not in the baseline.
    NewCall,
    /// It is no longer made, by a parent that takes as long as before or longer.
    GoneCall,
    /// It is made more often a visit.
    MoreCalls,
    /// It is made less often a visit.
    FewerCalls,
    /// It is made many times a visit, one after the other, as where a loop asks for what one query gave.
    NPlusOne,
    /// Failed tries of it are repeated.
    RetryStorm,
    /// Calls that ran side by side run one after the other.
    LostParallelism,
    /// Requests end before it: the parent is faster, or fails, and leaves out what it did from here on.
    EarlyReturn,
    /// The callee's spans are missing where its callers fail, repeat or wait.
    Silent,
    /// The callee's spans are missing and its callers do as well as before: the spans were lost, not the service.
    Unobserved,
    /// Calls are given up at a time limit.
    Timeouts,
}

/// A change of calls that are waited for is one of calls if so much of it is there in all calls.
const MIN_MADE: f64 = 0.5;

/// A change of structure.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What became of it.
    pub kind: Kind,
    /// Service that is to be looked at: the caller, or the callee where it fails, is silent or too late.
    pub service: u32,
    /// Operation that calls, or for [`Kind::Silent`] and [`Kind::Unobserved`] none.
    pub operation: Option<u32>,
    /// Operation that is called, an index of [`Forest::operations`].
    pub callee: Option<u32>,
    /// Other calls of the same parent that share its fate.
    pub n_others: u32,
    /// Calls per visit of the parent; of [`Kind::Silent`] and [`Kind::Unobserved`] the answered share of calls, of
    /// [`Kind::LostParallelism`] the share of the calls' time that others hid, of [`Kind::Timeouts`] the share of calls given up.
    pub per_visit: [f64; 2],
    /// Change of `per_visit`.
    pub change: Estimate,
    /// False discovery rate at which it would be listed.
    pub q: f64,
    /// What it adds to a request on average, nanoseconds.
    pub contribution_ns: f64,
    /// Requests of the regression, by sampling weight, that it changed: at least so many differ from the baseline's.
    pub requests_affected: f64,
    /// The same as a share of the regression's requests.
    pub share_affected: f64,
    /// For [`Kind::Timeouts`] the limit, nanoseconds.
    pub limit_ns: Option<i64>,
}

/// Finds what changed; two passes over the cost table, and one over the spans of the baseline where calls are missing.
#[must_use]
pub fn changes(forest: &Forest, table: &CostTable, selection: &Selection, comparison: &Comparison) -> Vec<Change> {
    let input = Input { forest, table, selection, comparison };
    let rates = rates::Rates::new(input);
    let mut found = kinds::candidates(input, &rates);
    let p: Vec<f64> = found.iter().map(|candidate| candidate.p).collect();
    for (candidate, q) in found.iter_mut().zip(stats::false_discovery_rates(&p)) {
        candidate.change.q = q;
    }
    found.retain(|candidate| {
        let is_made = candidate.rate.is_none_or(|rate| is_made(&rates.list[rate]));
        candidate.change.q <= MAX_Q && is_large(&candidate.change) && is_made
    });
    let mut changes = kinds::settle(input, &rates, found);
    changes.retain(|change| change.share_affected >= MIN_AFFECTED || change.kind == Kind::LostParallelism);
    changes.sort_by(|left, right| {
        let key = |change: &Change| {
            let name = |index: u32| forest.sort_key(forest.operations[index as usize]);
            let service = forest.services[change.service as usize].name.as_str();
            (service, change.operation.map(name), change.callee.map(name), change.kind)
        };
        let cost = |change: &Change| change.contribution_ns.abs();
        cost(right)
            .total_cmp(&cost(left))
            .then(right.share_affected.total_cmp(&left.share_affected))
            .then_with(|| key(left).cmp(&key(right)))
    });
    changes
}

/// Whether calls are made more or less often wherever their caller is visited, and not only where it is waited for.
fn is_made(rate: &rates::Rate) -> bool {
    let change = |[before, after]: [f64; 2]| after - before;
    let part = change(rate.everywhere) / change(rate.per_visit);
    // Not a number where neither differs.
    part.is_nan() || part >= MIN_MADE
}

fn is_large(change: &Change) -> bool {
    let [before, after] = change.per_visit;
    (after - before).abs() >= MIN_CHANGE * before.max(after)
}

/// What changes are drawn from.
#[derive(Clone, Copy)]
struct Input<'a> {
    forest: &'a Forest,
    table: &'a CostTable,
    selection: &'a Selection,
    comparison: &'a Comparison,
}

impl Input<'_> {
    fn sums(&self) -> [&super::Sums; 2] {
        [&self.comparison.baseline, &self.comparison.regression]
    }

    fn traces(&self) -> [&[u32]; 2] {
        [&self.selection.baseline, &self.selection.regression]
    }

    /// Effects on requests and on background work, per request.
    fn effects_of(&self, path: usize) -> [f64; 5] {
        let (own, behind) = (self.comparison.effects.of(path), self.comparison.background.of(path));
        std::array::from_fn(|which| own[which] + self.comparison.background_rate * behind[which])
    }

    /// Weighted requests of the regression.
    fn n_requests(&self) -> f64 {
        tops(&self.table.paths, &self.comparison.regression, self.comparison.scope)
    }
}
