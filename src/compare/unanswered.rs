//! Calls that left no span: whose is what they did, told by the calls that were answered.
//!
//! A service that reports spans may have left none in some calls: sampling, lost batches, a request that never arrived. The caller's span
//! says how long such a call took and whether it failed, not why. Where other calls of the same operation were answered in both
//! windows, they say what happens below it:
//!
//! ```text
//! answered      |-client-[ gap |-server-[ slow callee of its own ]-| gap ]-|     rose by 100 ms: 90 below, 10 on the way
//! unanswered    |-client-------------------------------------------------|       rose by  90 ms: shared 90 : 10, too
//! ```
//!
//! So a change of the unanswered calls is shared as that of the answered ones was, by as much as those changed a call; the rest stays
//! with the callee. A service that fell silent where it is at fault has no answered calls to speak for it, and keeps all.

use super::attribute::{Attribution, CALLS, WAIT, is_outbound, tops};
use super::decompose::Effects;
use super::hidden::Hidden;
use super::paths::{FailureKind, NO_PATH, Paths, Scope};
use super::sums::Sums;
use crate::normalize::Forest;
use std::collections::BTreeMap;

/// Fewer answered calls than this in a window say little of the others: the mean of five knows a spread to a half.
const MIN_ANSWERED: f64 = 5.0;
/// Operations looked at, those with the largest changes; the rest is small, and each costs a pass over the paths.
const MAX_OPERATIONS: usize = 64;

/// Parts of an effect that belong to other rows, as shares of it; what they leave stays where it is.
pub(super) type Shares = Vec<(u32, f64)>;

/// What of the unanswered calls of client operations goes to others.
#[derive(Debug, Default)]
pub(super) struct Spread {
    /// Shares by row.
    pub(super) rows: Vec<Shares>,
    /// Path, effect in the order of [`Attribution::targets`], index in `rows`; ascending.
    pub(super) effects: Vec<(u32, usize, usize)>,
    /// Shares by subject of failures, a window.
    pub(super) failures: Vec<[Shares; 2]>,
    /// Path, index in `failures`; ascending.
    pub(super) failing: Vec<(u32, usize)>,
}

/// What the decision draws on.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// Operations and services.
    pub forest: &'a Forest,
    /// All call paths.
    pub paths: &'a Paths,
    /// Sums of both windows.
    pub sums: [&'a Sums; 2],
    /// Visits of each path, waited for or not, in both windows.
    pub everywhere: [&'a [f64]; 2],
    /// Rates of paths that a window has only hidden calls of.
    pub hidden: &'a Hidden,
    /// Effects on requests.
    pub effects: &'a Effects,
    /// Effects on background work, and how much of it there is a request.
    pub background: (&'a Effects, f64),
    /// What the latency is about.
    pub scope: Scope,
}

/// A client operation whose callee reports spans: its paths and the answers below them.
#[derive(Debug, Default)]
struct Asked {
    paths: Vec<u32>,
    answers: Vec<u32>,
    /// Change that the unanswered calls brought, nanoseconds per request.
    change_ns: f64,
    /// Failing requests that began to fail with an unanswered call, a window.
    n_failures: [f64; 2],
}

impl Asked {
    fn n_failing(&self) -> f64 {
        self.n_failures[0] + self.n_failures[1]
    }
}

impl Input<'_> {
    pub(super) fn effects_of(&self, path: usize) -> [f64; 5] {
        let (behind, rate) = self.background;
        let (own, behind) = (self.effects.of(path), behind.of(path));
        std::array::from_fn(|which| own[which] + rate * behind[which])
    }

    /// Client operations whose callee reports spans, by index.
    fn asked(&self) -> BTreeMap<u32, Asked> {
        let mut asked = BTreeMap::<u32, Asked>::new();
        for (index, path) in (0_u32..).zip(&self.paths.list) {
            let operation = self.forest.operations[path.operation as usize];
            let reports = |peer: u32| !self.forest.services[peer as usize].is_inferred;
            if is_outbound(operation) && operation.peer.is_some_and(reports) && !path.is_retry {
                let own = asked.entry(path.operation).or_default();
                own.paths.push(index);
                own.change_ns += self.effects_of(index as usize)[WAIT];
                for (count, sums) in own.n_failures.iter_mut().zip(self.sums) {
                    *count += sums.n_failures[FailureKind::Unanswered as usize][index as usize];
                }
            }
            if path.parent == NO_PATH {
                continue;
            }
            let caller = self.paths.list[path.parent as usize];
            if !caller.is_retry && self.forest.operations[caller.operation as usize].peer == Some(operation.service) {
                let own = asked.entry(caller.operation).or_default();
                own.answers.push(index);
                own.change_ns += self.effects_of(index as usize)[CALLS];
            }
        }
        asked
    }

    /// Visits a window.
    fn visits(&self, paths: &[u32]) -> [f64; 2] {
        self.sums.map(|sums| paths.iter().map(|&path| sums.n_visits[path as usize]).sum())
    }

    /// Whether each path is one of `tops` or below one.
    pub(super) fn below(&self, tops: &[u32]) -> Vec<bool> {
        let mut is_below = vec![false; self.paths.len()];
        for &path in tops {
            is_below[path as usize] = true;
        }
        for (index, path) in self.paths.list.iter().enumerate() {
            is_below[index] = is_below[index] || is_below.get(path.parent as usize).is_some_and(|&below| below);
        }
        is_below
    }
}

/// Decides for every client operation with unanswered calls.
pub(super) fn spread(input: Input<'_>, attribution: &Attribution) -> Spread {
    let mut result = Spread::default();
    let mut asked: Vec<(u32, Asked)> = input.asked().into_iter().collect();
    // Stable: equals keep the order of the operations' first paths, which is that of their names.
    asked.sort_by_key(|(_, asked)| asked.paths.first().or(asked.answers.first()).copied());
    asked.sort_by(|left, right| right.1.n_failing().total_cmp(&left.1.n_failing()));
    for (_, asked) in asked.iter().take(MAX_OPERATIONS) {
        failures(input, attribution, asked, &mut result);
    }
    result.failing.sort_unstable();
    let requests = input.sums.map(|sums| tops(input.paths, sums, input.scope));
    if requests.contains(&0.0) {
        return result;
    }
    asked.sort_by_key(|(_, asked)| asked.paths.first().or(asked.answers.first()).copied());
    asked.sort_by(|left, right| right.1.change_ns.abs().total_cmp(&left.1.change_ns.abs()));
    for (_, asked) in asked.iter().take(MAX_OPERATIONS).filter(|(_, asked)| asked.change_ns != 0.0) {
        let shares = latency(input, attribution, asked, requests);
        if shares.is_empty() {
            continue;
        }
        let index = result.rows.len();
        result.rows.push(shares);
        result.effects.extend(asked.paths.iter().map(|&path| (path, WAIT, index)));
        result.effects.extend(asked.answers.iter().map(|&path| (path, CALLS, index)));
    }
    result.effects.sort_unstable();
    result
}

/// How the change of the unanswered calls is shared out.
fn latency(input: Input<'_>, attribution: &Attribution, asked: &Asked, requests: [f64; 2]) -> Shares {
    let answered = input.visits(&asked.answers);
    let all = input.visits(&asked.paths);
    if answered.iter().any(|&answered| answered < MIN_ANSWERED) {
        return Shares::new();
    }
    // What the answered calls did: their gaps, and all below them.
    let is_below = input.below(&asked.answers);
    let mut by_row = BTreeMap::<u32, f64>::new();
    let mut add = |path: usize, which: usize, value: f64| {
        *by_row.entry(attribution.targets[path][which]).or_default() += value;
    };
    for &path in &asked.paths {
        let values = input.effects_of(path as usize);
        (0..WAIT).for_each(|which| add(path as usize, which, values[which]));
    }
    for path in (0..input.paths.len()).filter(|&path| is_below[path]) {
        let is_answer = u32::try_from(path).is_ok_and(|path| asked.answers.binary_search(&path).is_ok());
        let values = input.effects_of(path);
        for (which, value) in values.into_iter().enumerate().filter(|&(which, _)| !(is_answer && which == CALLS)) {
            add(path, which, value);
        }
    }
    let total: f64 = by_row.values().sum();
    let per_request = |visits: [f64; 2]| f64::midpoint(visits[0] / requests[0], visits[1] / requests[1]);
    let n_answered = per_request(answered);
    let n_unanswered = per_request(all) - n_answered;
    // The part that the answered calls vouch for: their change a call over that of the unanswered.
    let part = (total / n_answered) / (asked.change_ns / n_unanswered);
    if n_unanswered <= 0.0 || part.is_nan() || part <= 0.0 {
        return Shares::new();
    }
    let same_way = |value: f64| (value * asked.change_ns.signum()).max(0.0);
    let of: f64 = by_row.values().map(|&value| same_way(value)).sum();
    by_row
        .into_iter()
        .map(|(row, value)| (row, part.min(1.0) * same_way(value) / of))
        .filter(|&(_, share)| share > 0.0)
        .collect()
}

/// How failing unanswered calls are shared out: as the failures of requests in which the call was answered.
fn failures(input: Input<'_>, attribution: &Attribution, asked: &Asked, result: &mut Spread) {
    let n_failing = asked.n_failures;
    let answered = input.visits(&asked.answers);
    let all = input.visits(&asked.paths);
    let is_none = |counts: [f64; 2]| counts.iter().all(|&count| count == 0.0);
    if is_none(n_failing) || is_none(answered) {
        return;
    }
    let is_below = input.below(&asked.answers);
    let shares = [0, 1].map(|window: usize| {
        if n_failing[window] == 0.0 || answered[window] < MIN_ANSWERED {
            return Shares::new();
        }
        let mut by_subject = BTreeMap::<u32, f64>::new();
        for path in (0..input.paths.len()).filter(|&path| is_below[path]) {
            for (side, &subject) in attribution.failure_subjects[path].iter().enumerate() {
                let count = input.sums[window].n_failures[side][path];
                if count > 0.0 {
                    *by_subject.entry(subject).or_default() += count;
                }
            }
        }
        let total: f64 = by_subject.values().sum();
        let n_unanswered = all[window] - answered[window];
        let part = (total / answered[window]) / (n_failing[window] / n_unanswered);
        if n_unanswered <= 0.0 || part.is_nan() || part <= 0.0 {
            return Shares::new();
        }
        by_subject.into_iter().map(|(subject, count)| (subject, part.min(1.0) * count / total)).collect()
    });
    if shares.iter().all(Vec::is_empty) {
        return;
    }
    let index = result.failures.len();
    result.failures.push(shares);
    result.failing.extend(asked.paths.iter().map(|&path| (path, index)));
}
