//! Whose it is that a call became what its caller waits for.
//!
//! ```text
//! before    A |------|                 now    A |----------------|      A and all below it are waited for as they were not,
//!           B |-----------|                   B |-----------|           and B, which did nothing, is waited for no longer
//! ```
//!
//! By itself each of the two effects is larger than what the caller lost, and neither says what made A longer. So
//! - where of calls side by side one became longer by more than those that it hides changed, what these no longer add is counted to it; and
//!   where one became shorter, so is what it lays bare;
//! - where a call is waited for because it became longer, the effect goes to what made it longer, itself or below it, in
//!   proportion.
//!
//! What remains is a caller that waits otherwise for calls that take as long as before.

use super::attribute::{Attribution, UNCHANGED, calls_ns};
use super::paths::NO_PATH;
use super::unanswered::{Input, Shares};

/// Effects below this share of the mean latency stay where they are.
const SMALL: f64 = 1e-3;
/// Parts of what made a call longer that are kept; the rest is small.
const MAX_PARTS: usize = 32;
/// Smaller shares of it are left to the others.
const MIN_PART: f64 = 0.05;
/// Positions in [`Attribution::targets`].
const CALLS: usize = 3;
/// The position of the effects that are shared out here.
pub(super) const CRITICAL: usize = 4;

/// Of each path whose effect goes elsewhere, the rows and shares; ascending.
pub(super) fn spread(input: Input<'_>, attribution: &Attribution) -> Vec<(u32, Shares)> {
    let n_paths = input.paths.len();
    let (behind, rate) = input.background;
    let small = SMALL * (input.effects.baseline_mean_ns + rate * behind.baseline_mean_ns);
    let critical: Vec<f64> = (0..n_paths).map(|path| input.effects_of(path)[CRITICAL]).collect();
    let grown = |path: usize| {
        let [before, after] = calls_ns(path, input.sums);
        // Not a number where a window has no call.
        Some(after - before).filter(|grown| grown.is_finite()).unwrap_or(0.0)
    };
    let grown: Vec<f64> = (0..n_paths).map(grown).collect();
    let causes = causes(input, attribution, &critical);
    let mut shares: Vec<Shares> = vec![Shares::new(); n_paths];
    let is_large = |path: usize| critical[path].abs() > small;
    for path in (0..n_paths).filter(|&path| is_large(path)) {
        shares[path].clone_from(&causes[path]);
    }
    let mut children: Vec<(u32, usize)> = (0..n_paths)
        .filter(|&path| critical[path] != 0.0)
        .map(|path| (input.paths.list[path].parent, path))
        .filter(|&(parent, _)| parent != NO_PATH)
        .collect();
    children.sort_unstable();
    for siblings in children.chunk_by(|left, right| left.0 == right.0) {
        let siblings: Vec<usize> = siblings.iter().map(|&(_, path)| path).collect();
        let Some((changed, hidden)) = sides(&siblings, &critical, &grown) else { continue };
        let sum = |paths: &[usize]| paths.iter().map(|&path| critical[path].abs()).sum::<f64>();
        let (by, of) = (sum(&changed), sum(&hidden));
        let part = (by / of).min(1.0);
        for path in hidden.into_iter().filter(|&path| is_large(path)) {
            shares[path] = changed
                .iter()
                .flat_map(|&other| {
                    let part = part * critical[other].abs() / by;
                    let itself = [(attribution.targets[other][CRITICAL], 1.0)];
                    let to = if causes[other].is_empty() { itself.to_vec() } else { causes[other].clone() };
                    to.into_iter().map(move |(row, share)| (row, part * share))
                })
                .collect();
        }
    }
    (0..).zip(shares).filter(|(_, shares)| !shares.is_empty()).collect()
}

/// Of calls side by side those that changed, and those that did not but are hidden or laid bare by them.
fn sides(siblings: &[usize], critical: &[f64], grown: &[f64]) -> Option<(Vec<usize>, Vec<usize>)> {
    for sign in [1.0, -1.0] {
        let is_of = |path: usize, sign: f64| sign * critical[path] > 0.0;
        let most =
            siblings.iter().filter(|&&path| is_of(path, -sign)).map(|&path| grown[path].abs()).fold(0.0, f64::max);
        let has_changed = |path: usize| is_of(path, sign) && sign * grown[path] > most;
        let changed: Vec<usize> = siblings.iter().copied().filter(|&path| has_changed(path)).collect();
        let others: Vec<usize> = siblings.iter().copied().filter(|&path| is_of(path, -sign)).collect();
        if !changed.is_empty() && !others.is_empty() {
            return Some((changed, others));
        }
    }
    None
}

/// Of each path that became longer, or shorter, the rows that made it so and their shares; empty for others.
fn causes(input: Input<'_>, attribution: &Attribution, critical: &[f64]) -> Vec<Shares> {
    let n_paths = input.paths.len();
    let mut causes = vec![Shares::new(); n_paths];
    // What made a visit longer, by row.
    let mut parts = vec![Shares::new(); n_paths];
    for path in (0..n_paths).rev() {
        let effects = input.effects_of(path);
        let targets = attribution.targets[path];
        let mut own = std::mem::take(&mut parts[path]);
        for which in 0..CALLS {
            add(&mut own, targets[which], effects[which]);
        }
        if critical[path] != 0.0 && has_changed(input, path, critical[path]) {
            causes[path] = shares_of(&own, critical[path].signum());
        }
        let parent = input.paths.list[path].parent;
        if parent == NO_PATH {
            continue;
        }
        let above = &mut parts[parent as usize];
        for (row, value) in own {
            add(above, row, value);
        }
        add(above, targets[CALLS], effects[CALLS]);
        if causes[path].is_empty() {
            add(above, targets[CRITICAL], critical[path]);
        } else {
            for &(row, share) in &causes[path] {
                add(above, row, share * critical[path]);
            }
        }
        prune(above);
    }
    causes
}

/// Whether calls became clearly longer, for an effect above zero, or shorter.
fn has_changed(input: Input<'_>, path: usize, effect: f64) -> bool {
    let [before, after] = calls_ns(path, input.sums);
    if effect > 0.0 { after > before * UNCHANGED } else { before > after * UNCHANGED }
}

/// Keeps the largest parts of many.
fn prune(parts: &mut Shares) {
    if parts.len() > 2 * MAX_PARTS {
        parts.sort_by(|left, right| right.1.abs().total_cmp(&left.1.abs()).then(left.0.cmp(&right.0)));
        parts.truncate(MAX_PARTS);
    }
}

fn add(parts: &mut Shares, row: u32, value: f64) {
    if value == 0.0 {
        return;
    }
    match parts.iter_mut().find(|(known, _)| *known == row) {
        Some((_, sum)) => *sum += value,
        None => parts.push((row, value)),
    }
}

/// The parts of a sign as shares that sum to 1; empty if the others outweigh them.
fn shares_of(parts: &Shares, sign: f64) -> Shares {
    let all: f64 = parts.iter().map(|&(_, value)| sign * value).sum();
    let same: f64 = parts.iter().map(|&(_, value)| (sign * value).max(0.0)).sum();
    if all <= 0.0 {
        return Shares::new();
    }
    let mut shares: Shares = parts
        .iter()
        .map(|&(row, value)| (row, (sign * value).max(0.0) / same))
        .filter(|&(_, share)| share > MIN_PART)
        .collect();
    let kept: f64 = shares.iter().map(|(_, share)| share).sum();
    for (_, share) in &mut shares {
        *share /= kept;
    }
    shares.sort_unstable_by_key(|&(row, _)| row);
    shares
}
