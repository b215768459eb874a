//! A contribution split over groups of calls, and whether the groups have more of it than their number explains.
//!
//! Every unit is given its part `y` of the contribution, so a group's part is a sum, and what even spread would give it is its share of
//! each path's calls. The difference, the *excess*, is tested. Its standard error is the one to which the Poisson bootstrap over blocks
//! of traces converges: with the influence of each block on a figure, which carries along the means that the figure is relative to, the
//! variance is the sum of their squares. No replicate is drawn, so the figures of ten thousand groups cost one pass.

use super::columns::NO_CODE;
use super::terms::Term;
use super::units::{Unit, Units};
use crate::stats;
use std::ops::RangeInclusive;

/// Fewest calls of the regression by which a value is judged: it has support.
const MIN_CALLS: u64 = 20;
/// Fewest blocks of traces that they come from: of fewer, a variance is a guess.
const MIN_BLOCKS: u32 = 8;
/// Values of one key that are judged, those with the most calls; the rest has too few to carry much.
const MAX_VALUES: usize = 64;
/// Calls of the baseline that a value would have if nothing had changed, from which on their absence is no chance: of so many, none has
/// probability e^-10.
const MIN_EXPECTED: f64 = 10.0;
/// A value on this share of the regression's calls is on all: there is nothing to compare it with.
const ALL: f64 = 0.999;

/// Smaller errors, as shares of the contribution, are rounding: so is an excess of that size, and one by the other says anything.
const ROUNDING: f64 = 1e-9;

/// A suspect's units with their parts of its contribution.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Units in the order of blocks.
    pub(super) units: Vec<Unit>,
    /// Part of each unit; signed so that their sum is positive.
    y: Vec<f64>,
    terms: Vec<TermSums>,
    n_blocks: usize,
    /// Sum of the parts.
    pub(super) total: f64,
    /// 1, or -1 if the contribution is negative.
    pub(super) sign: f64,
    /// Variance of `total` by block.
    influence: Vec<f64>,
    n_calls: [u64; 2],
}

/// Sums over the units of one effect.
#[derive(Clone, Copy, Debug, Default)]
struct TermSums {
    /// Weight in each window.
    n: [f64; 2],
    /// Measure in each window.
    x: [f64; 2],
    /// What a unit of weight counts in each window, with its sign.
    scale: [f64; 2],
    /// Part of the contribution.
    part: f64,
}

impl TermSums {
    /// What a unit of weight counts: by the number of requests, or such that the units sum to the effect.
    fn scale_of(&self, term: &Term) -> [f64; 2] {
        if let Some([before, after]) = term.per_call {
            return [-before, after];
        }
        let [before, after] = [0, 1].map(|window: usize| self.x[window] / self.n[window]);
        let change = after - before;
        // A mean that does not change leaves nothing to split, and one without a window to compare with is structure.
        if change.abs() > 1e-9 * before.abs().max(after.abs()) && term.effect.is_finite() {
            [-term.effect / change / self.n[0], term.effect / change / self.n[1]]
        } else {
            [0.0; 2]
        }
    }
}

/// A group's figures.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Group {
    pub(super) code: u32,
    /// Part of the contribution, signed like the contribution's size.
    pub(super) part: f64,
    pub(super) share: f64,
    pub(super) share_error: f64,
    /// Share of the units of each effect in both windows, in the mean by their parts of the contribution: what even spread would give it.
    pub(super) share_of_units: [f64; 2],
    /// The suspect's calls in it, and their share of all its calls.
    pub(super) n_calls: [u64; 2],
    pub(super) share_of_calls: [f64; 2],
    /// Part beyond what even spread would give.
    pub(super) excess: f64,
    /// Two-sided p-value of the excess; none where the group is all calls.
    pub(super) p: Option<f64>,
    pub(super) only_in_regression: bool,
}

impl Parts {
    /// Gives each unit its part; empty if nothing is left of the contribution.
    pub(super) fn new(units: Units) -> Self {
        let Units { terms, list, n_blocks } = units;
        let mut sums = vec![TermSums::default(); terms.len()];
        for unit in &list {
            let window = usize::from(unit.is_regression);
            let sums = &mut sums[unit.term as usize];
            sums.n[window] += unit.weight;
            sums.x[window] += unit.value;
        }
        for (sums, term) in sums.iter_mut().zip(&terms) {
            sums.scale = sums.scale_of(term);
        }
        Self::with_scales(list, sums, n_blocks, None)
    }

    /// The same for some of the units, with means of their own; they keep what each counts.
    pub(super) fn of(&self, keep: impl Fn(usize) -> bool) -> Self {
        let units: Vec<Unit> =
            self.units.iter().enumerate().filter(|&(index, _)| keep(index)).map(|(_, &unit)| unit).collect();
        let mut sums: Vec<TermSums> = self
            .terms
            .iter()
            .map(|term| TermSums { scale: term.scale.map(|scale| scale * self.sign), ..TermSums::default() })
            .collect();
        for unit in &units {
            let window = usize::from(unit.is_regression);
            let sums = &mut sums[unit.term as usize];
            sums.n[window] += unit.weight;
            sums.x[window] += unit.value;
        }
        // Where the group's share of calls changed, its baseline counts as if it had not.
        for sums in &mut sums {
            if sums.n[0] > 0.0 {
                sums.scale[0] = -sums.scale[1] * sums.n[1] / sums.n[0];
            }
        }
        Self::with_scales(units, sums, self.n_blocks, Some(self.sign))
    }

    fn with_scales(units: Vec<Unit>, mut terms: Vec<TermSums>, n_blocks: usize, sign: Option<f64>) -> Self {
        let before = |term: &TermSums| if term.n[0] > 0.0 { term.x[0] / term.n[0] } else { 0.0 };
        for term in &mut terms {
            term.part = term.scale[1] * (term.x[1] - term.n[1] * before(term));
        }
        let total: f64 = terms.iter().map(|term| term.part).sum();
        let sign = sign.unwrap_or(if total < 0.0 { -1.0 } else { 1.0 });
        for term in &mut terms {
            term.part *= sign;
            term.scale = term.scale.map(|scale| scale * sign);
        }
        let mut n_calls = [0; 2];
        let mut influence = vec![0.0; n_blocks];
        let y: Vec<f64> = units
            .iter()
            .map(|unit| {
                let window = usize::from(unit.is_regression);
                let term = &terms[unit.term as usize];
                let y = term.scale[window] * (unit.value - unit.weight * before(term));
                n_calls[window] += u64::from(unit.n_calls);
                let expected = if unit.is_regression { term.part * unit.weight / term.n[1] } else { 0.0 };
                influence[unit.block as usize] += y - expected;
                y
            })
            .collect();
        Self { units, y, terms, n_blocks, total: total * sign, sign, influence, n_calls }
    }

    /// Which units are calls of these traces.
    pub(super) fn units_of(&self, traces: RangeInclusive<u32>) -> impl Iterator<Item = usize> {
        let n_baseline = self.units.partition_point(|unit| !unit.is_regression);
        let within = |begin: usize, end: usize| {
            let own = &self.units[begin..end];
            let from = own.partition_point(|unit| unit.trace < *traces.start());
            let until = own.partition_point(|unit| unit.trace <= *traces.end());
            begin + from..begin + until
        };
        within(0, n_baseline).chain(within(n_baseline, self.units.len()))
    }

    /// Whether there is something to split.
    pub(super) fn is_empty(&self) -> bool {
        self.total <= 0.0 || !self.total.is_finite()
    }

    /// The figures of the groups that `codes` makes of the units, those with support; a unit without code is in none.
    pub(super) fn groups(&self, codes: &[u32]) -> Vec<Group> {
        let mut groups = self.supported(codes);
        if groups.is_empty() || self.is_empty() {
            return Vec::new();
        }
        let highest = groups.iter().map(|group| group.code).max().unwrap_or(0) as usize;
        let mut place = vec![usize::MAX; highest + 1];
        for (index, group) in groups.iter().enumerate() {
            place[group.code as usize] = index;
        }
        let find = |code: u32| place.get(code as usize).copied().filter(|&place| place != usize::MAX);
        let (n_groups, n_terms) = (groups.len(), self.terms.len());
        // Weight and part of each group in each window, by term.
        let mut cells = vec![Cell::default(); n_groups * n_terms];
        for ((unit, &y), &code) in self.units.iter().zip(&self.y).zip(codes) {
            if let Some(group) = find(code) {
                let cell = &mut cells[group * n_terms + unit.term as usize];
                let window = usize::from(unit.is_regression);
                cell.n[window] += unit.weight;
                cell.part[window] += y;
            }
        }
        let weight: f64 = self.terms.iter().map(|term| term.part.abs()).sum();
        for (group, cells) in groups.iter_mut().zip(cells.chunks(n_terms.max(1))) {
            for (term, cell) in self.terms.iter().zip(cells) {
                let pi = cell.shares(term);
                group.part += cell.part[0] + cell.part[1];
                group.excess += cell.part[0] + cell.part[1] - pi[1] * term.part;
                for (share, pi) in group.share_of_units.iter_mut().zip(pi) {
                    *share += if weight > 0.0 { pi * term.part.abs() / weight } else { 0.0 };
                }
            }
            group.share = group.part / self.total;
            group.share_of_calls =
                [0, 1].map(|window: usize| group.n_calls[window] as f64 / self.n_calls[window].max(1) as f64);
            let expected = group.share_of_calls[1] * self.n_calls[0] as f64;
            group.only_in_regression = group.n_calls[0] == 0 && expected >= MIN_EXPECTED;
        }
        self.errors(codes, find, &cells, &mut groups);
        groups
    }

    /// Standard errors and p-values, from the influence of each block.
    fn errors(&self, codes: &[u32], find: impl Fn(u32) -> Option<usize>, cells: &[Cell], groups: &mut [Group]) {
        let (n_groups, n_terms) = (groups.len(), self.terms.len());
        let mut squares = vec![[0.0; 2]; n_groups];
        // How many blocks of the regression have the group, and the last that has.
        let mut n_blocks = vec![(0_u32, usize::MAX); n_groups];
        let mut own = vec![[0.0; 2]; n_groups];
        let mut all = vec![[0.0; 2]; n_terms];
        let mut begin = 0;
        for block in 0..self.n_blocks {
            let end = begin + self.units[begin..].partition_point(|unit| unit.block as usize <= block);
            if begin == end {
                continue;
            }
            let is_regression = self.units[begin].is_regression;
            let window = usize::from(is_regression);
            own.fill([0.0; 2]);
            all.fill([0.0; 2]);
            let units = self.units[begin..end].iter().zip(&self.y[begin..end]).zip(&codes[begin..end]);
            for ((unit, &y), &code) in units {
                let term = unit.term as usize;
                all[term][0] += unit.weight;
                all[term][1] += y;
                if let Some(group) = find(code) {
                    let part = self.terms[term].part;
                    let even = if is_regression { part * unit.weight / self.terms[term].n[1] } else { 0.0 };
                    own[group][0] += y;
                    own[group][1] += even;
                    if is_regression && part != 0.0 && n_blocks[group].1 != block {
                        n_blocks[group] = (n_blocks[group].0 + 1, block);
                    }
                }
            }
            for (index, group) in groups.iter().enumerate() {
                // On the part and on the excess.
                let (mut of_part, mut of_excess) = (own[index][0], own[index][0] - own[index][1]);
                for (term, (&[weight, y], cell)) in
                    self.terms.iter().zip(all.iter().zip(&cells[index * n_terms..(index + 1) * n_terms]))
                {
                    if weight == 0.0 {
                        continue;
                    }
                    let pi = cell.shares(term);
                    let mean = cell.part[window] / term.n[window];
                    of_part -= weight * mean;
                    if is_regression {
                        let expected = term.part / term.n[1];
                        of_excess -= pi[1] * (y - weight * expected) + weight * (mean - pi[1] * expected);
                    } else {
                        of_part += (pi[1] - pi[0]) * y;
                        of_excess -= pi[0] * y + weight * mean;
                    }
                }
                let of_share = (of_part - group.share * self.influence[block]) / self.total;
                squares[index][0] += of_share * of_share;
                squares[index][1] += of_excess * of_excess;
            }
            begin = end;
        }
        for ((group, squares), (n_blocks, _)) in groups.iter_mut().zip(squares).zip(n_blocks) {
            // The mean of few blocks is fitted to them.
            let few = f64::from(n_blocks) / f64::from(n_blocks.max(2) - 1);
            group.share_error = (few * squares[0]).sqrt();
            let error = (few * squares[1]).sqrt();
            if group.share_of_units[1] < ALL && n_blocks >= MIN_BLOCKS {
                group.p =
                    Some(stats::student_p(group.excess / error.max(ROUNDING * self.total), f64::from(n_blocks - 1)));
            }
        }
    }

    /// Codes with enough calls in the regression, those with the most.
    fn supported(&self, codes: &[u32]) -> Vec<Group> {
        let highest = codes.iter().filter(|&&code| code != NO_CODE).max().map_or(0, |&code| code as usize + 1);
        let mut counts = vec![[0_u64; 2]; highest];
        for (unit, &code) in self.units.iter().zip(codes) {
            if code != NO_CODE {
                counts[code as usize][usize::from(unit.is_regression)] += u64::from(unit.n_calls);
            }
        }
        let mut groups: Vec<Group> = (0_u32..)
            .zip(counts)
            .filter(|(_, n_calls)| n_calls[1] >= MIN_CALLS)
            .map(|(code, n_calls)| Group { code, n_calls, ..Group::default() })
            .collect();
        if groups.len() > MAX_VALUES {
            let mut least: Vec<u64> = groups.iter().map(|group| group.n_calls[1]).collect();
            least.sort_unstable_by(|left, right| right.cmp(left));
            // All or none of those with equally many, so that the order of codes does not matter.
            let least = least[MAX_VALUES];
            groups.retain(|group| group.n_calls[1] > least);
        }
        groups
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    n: [f64; 2],
    part: [f64; 2],
}

impl Cell {
    /// Share of the term's units in each window.
    fn shares(&self, term: &TermSums) -> [f64; 2] {
        [0, 1].map(|window: usize| if term.n[window] > 0.0 { self.n[window] / term.n[window] } else { 0.0 })
    }
}
