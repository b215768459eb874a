//! The factors of every product of [`mod@super::decompose`], so that an account can write the arithmetic out.
//!
//! [`super::decompose::decompose`] gives the products only, because a bootstrap asks for them hundreds of times. Here are the numbers that were
//! multiplied, by path and window, and [`Factors::effects`] multiplies them again.

use super::decompose::{Window, rates};
use super::hidden::Hidden;
use super::paths::{NO_PATH, Paths, Scope};
use super::sums::Sums;

/// What the effects of one path are products of; pairs are baseline and regression.
///
/// Where a path has no visits in one window, that window's values are those of its hidden calls, or else the other's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Factors {
    /// Visits of the parent behind one request, both windows together; for the top of a request 1.
    pub parent_visits: f64,
    /// Visits of the path itself behind one request, both windows together.
    pub visits: f64,
    /// Share of all requests, for the top of a request; otherwise 0.
    pub share: [f64; 2],
    /// Calls per visit of the parent; 0 for the top of a request.
    pub kappa: [f64; 2],
    /// Share of those calls that are on the blamed path.
    pub q: [f64; 2],
    /// Nanoseconds a visit blamed on the span itself, or on the gap after its answer.
    pub self_ns: [f64; 2],
    /// Nanoseconds a visit of the gap before its answer.
    pub before_ns: [f64; 2],
    /// Nanoseconds a visit of waiting for a peer without spans, or before a retry.
    pub wait_ns: [f64; 2],
    /// Nanoseconds a visit blamed on it and on all below it.
    pub inclusive_ns: [f64; 2],
}

fn mean([before, after]: [f64; 2]) -> f64 {
    f64::midpoint(before, after)
}

fn change([before, after]: [f64; 2]) -> f64 {
    after - before
}

impl Factors {
    /// What one more or one less call a visit of the parent is worth, nanoseconds: time of a call times the share of calls waited for.
    #[must_use]
    pub fn call_worth_ns(&self) -> f64 {
        mean(self.q) * mean(self.inclusive_ns) + change(self.q) * change(self.inclusive_ns) / 12.0
    }

    /// What it is worth if all instead of none of the calls are on the blamed path, nanoseconds a visit of the parent.
    #[must_use]
    pub fn critical_worth_ns(&self) -> f64 {
        mean(self.kappa) * mean(self.inclusive_ns) + change(self.kappa) * change(self.inclusive_ns) / 12.0
    }

    /// The products, in the order of [`super::decompose::Effects::of`].
    #[must_use]
    pub fn effects(&self) -> [f64; 5] {
        [
            self.visits * change(self.self_ns),
            self.visits * change(self.before_ns),
            self.visits * change(self.wait_ns),
            self.parent_visits * change(self.kappa) * self.call_worth_ns(),
            self.parent_visits * change(self.q) * self.critical_worth_ns(),
        ]
    }
}

/// The factors of every path of `scope`, by path; those of other scopes, and all if a window has no request, are zero.
#[must_use]
pub fn factors(paths: &Paths, sums: [&Sums; 2], hidden: &Hidden, scope: Scope) -> Vec<Factors> {
    let mut result = vec![Factors::default(); paths.len()];
    let windows = sums.map(|sums| Window::new(paths, sums, scope, Vec::new()));
    if windows.iter().any(|window| window.n_tops <= 0.0) {
        return result;
    }
    for (index, path) in paths.list.iter().enumerate().filter(|(_, path)| path.scope == scope) {
        let [before, after] = rates(index, path.parent, Some(&windows), (sums, hidden));
        let mut own = Factors {
            parent_visits: 1.0,
            kappa: [before.kappa, after.kappa],
            q: [before.q, after.q],
            self_ns: [before.self_ns, after.self_ns],
            before_ns: [before.before_ns, after.before_ns],
            wait_ns: [before.wait_ns, after.wait_ns],
            inclusive_ns: [before.inclusive_ns, after.inclusive_ns],
            ..Factors::default()
        };
        if path.parent == NO_PATH {
            own.share = [0, 1].map(|window: usize| sums[window].n_visits[index] / windows[window].n_tops);
            own.visits = mean(own.share);
            // A top is called by nobody: neither calls nor the critical path are effects of it.
            own.kappa = [0.0; 2];
            own.q = [1.0; 2];
        } else {
            own.parent_visits = result[path.parent as usize].visits;
            own.visits = own.parent_visits * (mean(own.kappa) * mean(own.q) + change(own.kappa) * change(own.q) / 12.0);
        }
        result[index] = own;
    }
    result
}
