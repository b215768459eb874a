//! What a suspect's contribution is made of: effects, each the change of a mean over *units*.
//!
//! Time a visit, calls made a visit of the caller, visits a call, failures a call.

use super::{Input, Measure, Target};
use crate::compare::attribute::tops;
use crate::compare::paths::{FailureKind, NO_PATH, Path, Paths, Scope};
use std::collections::BTreeMap;

/// Effects of a suspect that are split: the largest, until this share of all is reached,
const COVERED: f64 = 0.98;
/// or so many.
const MAX_TERMS: usize = 16;

/// What is measured of a unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum What {
    /// Own, before and waiting time of a visit, the suspect's share of each.
    Time([f64; 3]),
    /// Calls of the path from a visit of its parent.
    Calls,
    /// Whether a call is on the blamed path.
    Visited,
    /// Whether a failure of this kind, a number of [`FailureKind`], began with a call.
    Failed(usize),
    /// Nothing: the calls that no other term has a unit of are counted.
    Counted,
}

/// One effect of a suspect on one path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    pub(super) path: u32,
    pub(super) what: What,
    /// Its part of the contribution.
    pub(super) effect: f64,
    /// For failures what one counts in each window.
    pub(super) per_call: Option<[f64; 2]>,
}

/// Paths that differ only in which calls on the way repeat failed ones.
pub(super) struct Alike {
    /// For each path the one without repetitions.
    plain: Vec<u32>,
}

impl Alike {
    pub(super) fn new(paths: &Paths) -> Self {
        let mut plain: Vec<u32> = Vec::with_capacity(paths.len());
        for (index, path) in (0_u32..).zip(&paths.list) {
            let parent = if path.parent == NO_PATH { NO_PATH } else { plain[path.parent as usize] };
            plain.push(paths.find(&Path { parent, is_retry: false, ..*path }).unwrap_or(index));
        }
        Self { plain }
    }

    /// The paths whose plain one is `path`.
    pub(super) fn of(&self, path: u32) -> Vec<u32> {
        (0_u32..).zip(&self.plain).filter(|&(_, &plain)| plain == path).map(|(path, _)| path).collect()
    }
}

/// Which units at a path are calls of the suspect, so that each call is one unit's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    /// None: another term counts them.
    None,
    /// Those that nobody waits for.
    Hidden,
    /// All.
    All,
}

/// Where the units of a target's `terms` are, by path, with the term and what of them counts as calls of the target. The last of the terms
/// counts calls only.
pub(super) fn places(input: Input<'_>, target: Target, terms: &[Term], alike: &Alike) -> Vec<(u32, u16, Counts)> {
    let paths = &input.table.paths;
    let own = input.comparison.attribution.paths_of(target.subject);
    let mut is_left: Vec<Counts> = own.iter().map(|_| Counts::All).collect();
    let mut places = Vec::new();
    for (term, found) in (0_u16..).zip(terms) {
        let at = match found.what {
            What::Calls => vec![paths.list[found.path as usize].parent],
            What::Failed(_) => alike.of(found.path),
            What::Counted => {
                let left = own.iter().zip(&is_left).filter(|&(_, &left)| left != Counts::None);
                places.extend(left.map(|(&path, &left)| (path, term, left)));
                continue;
            }
            What::Time(_) | What::Visited => vec![found.path],
        };
        for path in at.into_iter().filter(|&path| path != NO_PATH) {
            let left = own.binary_search(&path).ok().map(|place| &mut is_left[place]);
            let counts = match (found.what, left) {
                (What::Time(_), Some(left @ Counts::All)) => {
                    *left = Counts::Hidden;
                    Counts::All
                }
                (What::Failed(_), Some(left @ Counts::All)) => {
                    *left = Counts::None;
                    Counts::All
                }
                _ => Counts::None,
            };
            places.push((path, term, counts));
        }
    }
    places
}

/// The effects that make up a target's contribution, the largest first, and last the term that counts its other calls.
pub(super) fn terms(input: Input<'_>, target: Target, alike: &Alike) -> Vec<Term> {
    let mut terms = match target.measure {
        Measure::Failures => failures(input, target.subject, alike),
        Measure::Latency => latency(input, target.subject, false),
        Measure::MissingCalls => latency(input, target.subject, true),
    };
    terms.retain(|term| term.effect != 0.0 && term.effect.is_finite());
    terms.sort_by(|left, right| right.effect.abs().total_cmp(&left.effect.abs()).then(left.path.cmp(&right.path)));
    let total: f64 = terms.iter().map(|term| term.effect.abs()).sum();
    let mut covered = 0.0;
    let n_terms = terms.iter().take_while(|term| {
        let before = covered;
        covered += term.effect.abs();
        before < COVERED * total
    });
    let n_terms = n_terms.count().min(MAX_TERMS);
    terms.truncate(n_terms);
    terms.push(Term { path: NO_PATH, what: What::Counted, effect: 0.0, per_call: None });
    terms
}

/// Effects on the latency; only those of calls that are no longer made if `is_missing`.
fn latency(input: Input<'_>, subject: u32, is_missing: bool) -> Vec<Term> {
    let comparison = input.comparison;
    let attribution = &comparison.attribution;
    let is_own = |row: u32| attribution.rows[row as usize].subject == subject;
    // The subject's share of each path's effects.
    let mut shares = BTreeMap::<u32, [f64; 5]>::new();
    for (path, targets) in (0_u32..).zip(&attribution.targets) {
        if targets.iter().any(|&row| is_own(row)) {
            shares.insert(path, targets.map(|row| if is_own(row) { 1.0 } else { 0.0 }));
        }
    }
    for (path, which, others) in attribution.spread() {
        let target = attribution.targets[path as usize][which];
        for &(row, share) in others {
            for (row, share) in [(row, share), (target, -share)] {
                if is_own(row) {
                    shares.entry(path).or_default()[which] += share;
                }
            }
        }
    }
    let mut terms = Vec::new();
    for (path, shares) in shares {
        let index = path as usize;
        let (effects, behind) = (comparison.effects.of(index), comparison.background.of(index));
        let effect = |which: usize| shares[which] * (effects[which] + comparison.background_rate * behind[which]);
        let mut add = |what, effect| terms.push(Term { path, what, effect, per_call: None });
        if is_missing {
            add(What::Calls, effect(3).min(0.0));
        } else {
            add(What::Time([shares[0], shares[1], shares[2]]), effect(0) + effect(1) + effect(2));
            add(What::Calls, effect(3));
            add(What::Visited, effect(4));
        }
    }
    terms
}

/// Effects on the share of failing requests.
///
/// A failure counts by its entry's share of the requests and the entry's requests in its window, so that requests which are
/// made more often bring no failures. Repeated calls are calls like those that they repeat: whom they fail is told apart among all.
fn failures(input: Input<'_>, subject: u32, alike: &Alike) -> Vec<Term> {
    let comparison = input.comparison;
    let attribution = &comparison.attribution;
    let paths = &input.table.paths;
    let windows = [&comparison.baseline, &comparison.regression];
    let n_tops = [Scope::Request, Scope::Background].map(|scope| windows.map(|sums| tops(paths, sums, scope)));
    let mut entry: Vec<u32> = Vec::with_capacity(paths.len());
    let mut terms = BTreeMap::<(u32, usize), Term>::new();
    for (index, (path, subjects)) in paths.list.iter().zip(&attribution.failure_subjects).enumerate() {
        let own = u32::try_from(index).unwrap_or(NO_PATH);
        entry.push(if path.parent == NO_PATH { own } else { entry[path.parent as usize] });
        for (kind, &blamed) in subjects.iter().enumerate() {
            let counts = windows.map(|sums| sums.n_failures[kind][index]);
            let shares = [0, 1].map(|window: usize| {
                let others: &[(u32, f64)] = if kind == FailureKind::Unanswered as usize {
                    attribution.failure_shares(own, window)
                } else {
                    &[]
                };
                let given: f64 = others.iter().map(|(_, share)| share).sum();
                let taken: f64 = others.iter().filter(|(other, _)| *other == subject).map(|(_, share)| share).sum();
                taken + if blamed == subject { 1.0 - given } else { 0.0 }
            });
            if [counts, shares].iter().any(|values| values.iter().all(|&value| value == 0.0)) {
                continue;
            }
            let visits = windows.map(|sums| sums.n_visits[entry[index] as usize]);
            let n_tops = n_tops[usize::from(path.scope == Scope::Background)];
            if visits.iter().chain(&n_tops).any(|&count| count <= 0.0) {
                continue;
            }
            let rate = if path.scope == comparison.scope { 1.0 } else { comparison.background_rate };
            let share = rate * f64::midpoint(visits[0] / n_tops[0], visits[1] / n_tops[1]);
            let per_call = [0, 1].map(|window: usize| share * shares[window] / visits[window]);
            let plain = alike.plain[index];
            let fresh = Term { path: plain, what: What::Failed(kind), effect: 0.0, per_call: Some(per_call) };
            let term = terms.entry((plain, kind)).or_insert(fresh);
            term.effect += per_call[1] * counts[1] - per_call[0] * counts[0];
        }
    }
    terms.into_values().collect()
}
