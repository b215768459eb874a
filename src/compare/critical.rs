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
//! Calls that are only made in the visits that are waited for are no more calls: see [`super::waited`].
//!
//! What remains is a caller that waits otherwise for calls that take as long as before.
//!
//! Of calls side by side the longest are waited for, so that those on the blamed path are longer than calls of their kind are. If more or
//! fewer of them are waited for, those that are become shorter or longer by that alone: nothing below got faster or slower. With the share
//! `s = I_c / C_c` of a visit's time in that of all calls of a path `c`, that part of the change of a visit's time `x` below it is
//! `(x / s)_bar D s`, and goes where the path's own effect goes: to be waited for more often is worth what it adds to the request. Of the longest
//! half as many take at most twice as long, so that `s` counts as changed by no more than the inverse of the share `q` that is waited for: if as many are as
//! before, those that are did become longer.

use super::attribute::{Attribution, CALLS, CRITICAL, UNCHANGED, calls_ns};
use super::factors::{Factors, factors};
use super::paths::{NO_PATH, Scope};
use super::unanswered::{Input, Shares};
use super::waited;
use hashbrown::{HashMap, HashSet};

/// Effects below this share of the mean latency stay where they are.
const SMALL: f64 = 1e-3;
/// Parts of what made a call longer that are kept; the rest is small.
const MAX_PARTS: usize = 32;
/// Smaller shares of it are left to the others.
const MIN_PART: f64 = 0.05;
/// Paths above one that are looked at, the nearest: what is waited for rarely changes at more levels at once.
const MAX_ABOVE: usize = 16;

/// Of each path and effect that goes elsewhere, the rows and shares.
pub(super) fn spread(input: Input<'_>, attribution: &Attribution) -> Vec<(u32, usize, Shares)> {
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
    let factors =
        [Scope::Request, Scope::Background].map(|scope| factors(input.paths, input.sums, input.hidden, scope));
    let mut by_calls = waited::chosen(input, &factors);
    for (path, which, _) in attribution.spread() {
        if which == CALLS {
            by_calls[path as usize] = 0.0;
        }
    }
    let called = waited::causes(input, attribution, &by_calls, small);
    for (share, _) in by_calls.iter_mut().zip(&called).filter(|(_, causes)| !causes.is_empty()) {
        *share = 0.0;
    }
    let chosen = chosen(input, attribution, &factors, &is_large, &by_calls);
    // What each adds with what goes with it, which never turns it around.
    let mut worth = critical.clone();
    for part in &chosen {
        worth[part.by] += part.share * input.effects_of(part.path)[part.which];
    }
    for (worth, own) in worth.iter_mut().zip(&critical) {
        *worth = if *worth * own > 0.0 { *worth } else { 0.0 };
    }
    for path in (0..n_paths).filter(|&path| is_large(path)) {
        shares[path].clone_from(&causes[path]);
    }
    // What is waited for in one window alone hides by all that it adds, what made it longer included.
    let laid_bare = |path: usize| {
        let own = &factors[usize::from(input.paths.list[path].scope == Scope::Background)][path];
        let is_hidden = [0, 1].into_iter().any(|window| input.hidden.tells(window, path));
        if is_hidden { own.visits * (own.inclusive_ns[1] - own.inclusive_ns[0]) } else { 0.0 }
    };
    let mut children: Vec<(u32, usize)> = (0..n_paths)
        .filter(|&path| critical[path] != 0.0)
        .map(|path| (input.paths.list[path].parent, path))
        .filter(|&(parent, _)| parent != NO_PATH)
        .collect();
    children.sort_unstable();
    for siblings in children.chunk_by(|left, right| left.0 == right.0) {
        let siblings: Vec<usize> = siblings.iter().map(|&(_, path)| path).collect();
        let Some((changed, hidden)) = sides(&siblings, &worth, &grown) else { continue };
        let sum = |paths: &[usize]| paths.iter().map(|&path| worth[path].abs()).sum::<f64>();
        let (by, of) = (sum(&changed), sum(&hidden));
        let part = ((by + changed.iter().map(|&path| laid_bare(path).abs()).sum::<f64>()) / of).min(1.0);
        for path in hidden.into_iter().filter(|&path| is_large(path)) {
            shares[path] = changed
                .iter()
                .flat_map(|&other| {
                    let part = part * worth[other].abs() / by;
                    let itself = [(attribution.targets[other][CRITICAL], 1.0)];
                    let to = if causes[other].is_empty() { itself.to_vec() } else { causes[other].clone() };
                    to.into_iter().map(move |(row, share)| (row, part * share))
                })
                .collect();
        }
    }
    let mut found: Vec<(u32, usize, Shares)> = Vec::new();
    for part in &chosen {
        let to = &shares[part.by];
        let left = 1.0 - to.iter().map(|(_, share)| share).sum::<f64>();
        let rest = [(attribution.targets[part.by][CRITICAL], left)];
        let path = u32::try_from(part.path).unwrap_or(u32::MAX);
        if found.last().is_none_or(|&(last, which, _)| (last, which) != (path, part.which)) {
            found.push((path, part.which, Shares::new()));
        }
        if let Some((.., all)) = found.last_mut() {
            for &(row, share) in to.iter().chain(&rest) {
                add(all, row, part.share * share);
            }
        }
    }
    for (which, shares) in [(CALLS, called), (CRITICAL, shares)] {
        found.extend((0..).zip(shares).filter(|(_, shares)| !shares.is_empty()).map(|(path, to)| (path, which, to)));
    }
    found
}

/// A part of an effect that only shows which calls are waited for.
#[derive(Clone, Copy, Debug)]
struct Chosen {
    path: usize,
    /// The effect, in the order of [`Attribution::targets`].
    which: usize,
    /// The path, above it or itself, that is waited for more or less often.
    by: usize,
    /// Of the effect.
    share: f64,
}

/// The parts of effects that come from which calls are waited for, of those paths `is_large`; by path and effect. Of the calls of a path that is the
/// share `by_calls`.
fn chosen(
    input: Input<'_>,
    attribution: &Attribution,
    factors: &[Vec<Factors>; 2],
    is_large: &impl Fn(usize) -> bool,
    by_calls: &[f64],
) -> Vec<Chosen> {
    let n_paths = input.paths.len();
    let of = |path: usize| &factors[usize::from(input.paths.list[path].scope == Scope::Background)][path];
    // Time of a visit in that of all calls, both windows.
    let selection = |path: usize| {
        let calls = calls_ns(path, input.sums);
        let share = [0, 1].map(|window: usize| of(path).inclusive_ns[window] / calls[window]);
        let is_hidden = [0, 1].map(|window| input.hidden.tells(window, path));
        let has_visits = |window: usize| input.sums[window].n_visits[path] > 0.0 || is_hidden[window];
        let is_known = [0, 1].into_iter().all(has_visits) && share.iter().all(|s| s.is_finite() && *s > 0.0);
        // What tells of hidden calls tells of all.
        let [before, after] = [0, 1].map(|window: usize| if is_hidden[window] { 1.0 } else { of(path).q[window] });
        let most = before / after;
        let factor = (share[1] / share[0]).clamp(most.min(1.0), most.max(1.0));
        is_known.then(|| [share[0], share[0] * factor])
    };
    let elsewhere: HashSet<(u32, usize)> = attribution.spread().map(|(path, which, _)| (path, which)).collect();
    // The nearest path that counts, itself or above; and its selection.
    let mut nearest: Vec<Option<usize>> = vec![None; n_paths];
    let mut selections: HashMap<usize, [f64; 2]> = HashMap::new();
    let mut found = Vec::new();
    for path in 0..n_paths {
        let above = |path: usize| Some(input.paths.list[path].parent).filter(|&parent| parent != NO_PATH);
        nearest[path] = above(path).and_then(|parent| nearest[parent as usize]);
        if is_large(path)
            && let Some(selection) = selection(path)
        {
            selections.insert(path, selection);
            nearest[path] = Some(path);
        }
        let caller = above(path).and_then(|parent| nearest[parent as usize]);
        let own = of(path);
        for (which, time) in [own.self_ns, own.before_ns, own.wait_ns].into_iter().enumerate() {
            let change = time[1] - time[0];
            let place = (u32::try_from(path).unwrap_or(u32::MAX), which);
            if change == 0.0 || elsewhere.contains(&place) {
                continue;
            }
            let first = found.len();
            let mut next = nearest[path];
            for _ in 0..MAX_ABOVE {
                let Some(by) = next else { break };
                let [before, after] = selections[&by];
                let share = f64::midpoint(time[0] / before, time[1] / after) * (after - before) / change;
                if share > 0.0 && share.is_finite() {
                    found.push(Chosen { path, which, by, share });
                }
                next = above(by).and_then(|parent| nearest[parent as usize]);
            }
            // No more than there is.
            let sum: f64 = found[first..].iter().map(|part| part.share).sum();
            for part in &mut found[first..] {
                part.share /= sum.max(1.0);
            }
        }
        if let Some(by) = caller.filter(|_| by_calls[path] > 0.0) {
            found.push(Chosen { path, which: CALLS, by, share: by_calls[path] });
        }
    }
    found
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
pub(super) fn has_changed(input: Input<'_>, path: usize, effect: f64) -> bool {
    let [before, after] = calls_ns(path, input.sums);
    if effect > 0.0 { after > before * UNCHANGED } else { before > after * UNCHANGED }
}

/// Keeps the largest parts of many.
pub(super) fn prune(parts: &mut Shares) {
    if parts.len() > 2 * MAX_PARTS {
        parts.sort_by(|left, right| right.1.abs().total_cmp(&left.1.abs()).then(left.0.cmp(&right.0)));
        parts.truncate(MAX_PARTS);
    }
}

pub(super) fn add(parts: &mut Shares, row: u32, value: f64) {
    if value == 0.0 {
        return;
    }
    match parts.iter_mut().find(|(known, _)| *known == row) {
        Some((_, sum)) => *sum += value,
        None => parts.push((row, value)),
    }
}

/// The parts of a sign as shares that sum to 1; empty if the others outweigh them.
pub(super) fn shares_of(parts: &Shares, sign: f64) -> Shares {
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
