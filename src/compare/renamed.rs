//! Calls under another name: what one window calls and the other does not, though it is the same work.
//!
//! ```text
//! renamed      page > getItem > B           page > getItemV2 > B
//! a new layer  page > B                     page > sidecar > B
//! instrumented page > call B                page > call B > B       the answer's span is what is new, not the work
//! ```
//!
//! By itself a call that is gone is that much less and a new one that much more, both the caller's doing, however little changed. So where a
//! visit of the caller makes the one as often as it made the other, and both are of one service or lead to the same operation, the effect of each is
//! shared out over the times that it is made of: equal ones cancel out, and what differs is left where it was spent. The time of an answer that
//! only one window shows goes where the caller's waiting for it went in the other.

use super::attribute::{Attribution, CALLS, WAIT};
use super::paths::{NO_PATH, Path};
use super::sums::Sums;
use super::unanswered::{Input, Shares};
use hashbrown::{HashMap, HashSet};

/// Calls a visit that differ by less than this share are as many.
const ALIKE: f64 = 0.25;
/// Pairs of one caller that are looked for; more names that come and go at once are not told apart.
const MAX_CALLS: usize = 32;
/// Calls a visit that are less than this share of those in the other window are none: some requests of the old version always come late.
const RARE: f64 = 0.05;
/// Likeness of calls that have nothing in common but an operation that both lead to.
const LEADS: u32 = 1;
/// Operations below two calls that are looked at for one that both lead to.
const MAX_BELOW: usize = 256;

/// A gone and a new path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pair {
    gone: u32,
    new: u32,
}

/// Of paths that one window lacks the rows, and shares, that the effect of their calls goes to.
pub(super) fn spread(input: Input<'_>, attribution: &Attribution) -> Vec<(u32, Shares)> {
    let taken: HashSet<u32> =
        attribution.spread().filter(|&(_, which, _)| which == CALLS).map(|(path, ..)| path).collect();
    let renames = Renames { input, below: Below::new(&input.paths.list) };
    let mut found: Vec<(u32, Shares)> = Vec::new();
    let mut paired = HashSet::<u32>::new();
    for (parent, children) in renames.below.parents() {
        if !input.sums.iter().all(|sums| sums.n_visits[parent as usize] > 0.0) {
            continue;
        }
        for pair in renames.pairs(children, children) {
            paired.extend([pair.gone, pair.new]);
            if taken.contains(&pair.gone) || taken.contains(&pair.new) {
                continue;
            }
            // The pair and all that is below it.
            let names = renames.names(pair);
            found.push((pair.gone, renames.times(attribution, pair.gone, 0, &names)));
            found.push((pair.new, renames.times(attribution, pair.new, 1, &HashMap::new())));
        }
    }
    for (index, path) in (0_u32..).zip(&input.paths.list) {
        let is_answer = attribution.is_answer[index as usize] && !taken.contains(&index) && !paired.contains(&index);
        if !is_answer {
            continue;
        }
        let [before, after] = renames.is_in(index);
        if before != after {
            let beside = renames.below.of(path.parent);
            // The caller's other answers tell what the silent ones hide; see `unanswered`.
            if beside.iter().all(|&other| other == index) {
                found.push((index, vec![(attribution.targets[path.parent as usize][WAIT], 1.0)]));
            }
        }
    }
    found.retain(|(_, shares)| !shares.is_empty());
    found
}

/// Children of each path.
struct Below {
    /// Parent, child; ascending.
    list: Vec<(u32, u32)>,
    children: Vec<u32>,
}

impl Below {
    fn new(paths: &[Path]) -> Self {
        let mut list: Vec<(u32, u32)> = (0..)
            .zip(paths)
            .filter(|(_, path)| path.parent != NO_PATH)
            .map(|(index, path)| (path.parent, index))
            .collect();
        list.sort_unstable();
        Self { children: list.iter().map(|&(_, child)| child).collect(), list }
    }

    fn of(&self, parent: u32) -> &[u32] {
        let first = self.list.partition_point(|&(known, _)| known < parent);
        let end = self.list.partition_point(|&(known, _)| known <= parent);
        &self.children[first..end]
    }

    /// Each path that calls others, with these.
    fn parents(&self) -> impl Iterator<Item = (u32, &[u32])> {
        let mut first = 0;
        self.list.chunk_by(|left, right| left.0 == right.0).map(move |chunk| {
            let children = &self.children[first..first + chunk.len()];
            first += chunk.len();
            (chunk[0].0, children)
        })
    }
}

struct Renames<'a> {
    input: Input<'a>,
    below: Below,
}

impl Renames<'_> {
    fn path(&self, index: u32) -> Path {
        self.input.paths.list[index as usize]
    }

    /// Calls a visit of the caller in each window, none where there is no such visit.
    fn rates(&self, path: u32) -> [f64; 2] {
        let parent = self.path(path).parent as usize;
        let rate = |sums: &Sums| sums.n_calls[path as usize] / sums.n_visits[parent];
        self.input.sums.map(|sums| Some(rate(sums)).filter(|rate| rate.is_finite()).unwrap_or(0.0))
    }

    /// Calls a visit of the caller in the window that has more of them.
    fn kappa(&self, path: u32) -> f64 {
        let [before, after] = self.rates(path);
        before.max(after)
    }

    /// Whether each window has calls of a path worth the name.
    fn is_in(&self, path: u32) -> [bool; 2] {
        let most = self.kappa(path);
        self.rates(path).map(|rate| rate > RARE * most)
    }

    /// What is gone of `before` beside what is new of `after` in its stead.
    fn pairs(&self, before: &[u32], after: &[u32]) -> Vec<Pair> {
        let of = |paths: &[u32], is_in: [bool; 2]| -> Vec<u32> {
            let own = paths.iter().copied().filter(|&path| self.is_in(path) == is_in && !self.path(path).is_retry);
            own.take(MAX_CALLS + 1).collect()
        };
        let (gone, new) = (of(before, [true, false]), of(after, [false, true]));
        if gone.is_empty() || new.is_empty() || gone.len().max(new.len()) > MAX_CALLS {
            return Vec::new();
        }
        let mut likenesses: Vec<(u32, f64, Pair)> = Vec::new();
        for &gone in &gone {
            for &new in &new {
                let kappas = [gone, new].map(|path| self.kappa(path));
                let apart = (kappas[0] - kappas[1]).abs() / kappas[0].max(kappas[1]);
                let likeness = self.likeness(gone, new);
                if apart <= ALIKE && likeness > 0 {
                    likenesses.push((likeness, apart, Pair { gone, new }));
                }
            }
        }
        // The likest first; among equals, the order of the paths, which is that of their names.
        likenesses.sort_by(|left, right| right.0.cmp(&left.0).then(left.1.total_cmp(&right.1)));
        let mut pairs: Vec<Pair> = Vec::new();
        for (.., pair) in likenesses {
            if pairs.iter().all(|known| known.gone != pair.gone && known.new != pair.new) {
                pairs.push(pair);
            }
        }
        pairs
    }

    /// How much speaks for one being the other: more than [`LEADS`] if both are of one service and kind; 0 if nothing does.
    fn likeness(&self, gone: u32, new: u32) -> u32 {
        let [left, right] = [gone, new].map(|path| self.input.forest.operations[self.path(path).operation as usize]);
        let leads_to = |path: u32| -> HashSet<u32> {
            self.subtree(path, MAX_BELOW).into_iter().skip(1).map(|below| self.path(below).operation).collect()
        };
        let leads = u32::from(!leads_to(gone).is_disjoint(&leads_to(new)));
        match ((left.service, left.kind) == (right.service, right.kind), left.peer == right.peer) {
            (true, true) => 2 * LEADS + 1 + leads,
            (true, false) => LEADS * leads + leads,
            (false, _) => leads,
        }
    }

    /// A path and what is below it, the nearest first; no more than about `most`.
    fn subtree(&self, path: u32, most: usize) -> Vec<u32> {
        let mut subtree = vec![path];
        let mut next = 0;
        while let Some(&path) = subtree.get(next).filter(|_| subtree.len() < most) {
            subtree.extend_from_slice(self.below.of(path));
            next += 1;
        }
        subtree
    }

    /// The new name of each path that is gone with a pair.
    fn names(&self, pair: Pair) -> HashMap<u32, u32> {
        let is_alike = self.likeness(pair.gone, pair.new) > LEADS;
        let mut names: HashMap<u32, u32> = is_alike.then_some((pair.gone, pair.new)).into_iter().collect();
        let mut stack = vec![pair];
        while let Some(pair) = stack.pop() {
            let [gone, new] = [pair.gone, pair.new].map(|path| self.below.of(path));
            let is_same = |left: u32, right: u32| {
                let (left, right) = (self.path(left), self.path(right));
                (left.operation, left.is_retry) == (right.operation, right.is_retry)
            };
            let same = gone.iter().filter_map(|&gone| {
                let new = new.iter().copied().find(|&new| is_same(gone, new))?;
                Some(Pair { gone, new })
            });
            let same: Vec<Pair> = same.collect();
            let rest = |paths: &[u32], is_new: bool| -> Vec<u32> {
                let is_known = |path: u32| same.iter().any(|pair| path == if is_new { pair.new } else { pair.gone });
                paths.iter().copied().filter(|&path| !is_known(path)).collect()
            };
            let mut renamed = self.pairs(&rest(gone, false), &rest(new, true));
            // Further down only what is of one service takes the other's name.
            renamed.retain(|pair| self.likeness(pair.gone, pair.new) > LEADS);
            for pair in same.into_iter().chain(renamed) {
                names.insert(pair.gone, pair.new);
                stack.push(pair);
            }
        }
        names
    }

    /// The rows that the time of a call in a window is spent on, and their shares of it, those of paths in `names` under their new name.
    fn times(&self, attribution: &Attribution, path: u32, window: usize, names: &HashMap<u32, u32>) -> Shares {
        let sums = self.input.sums[window];
        let mut times: HashMap<u32, f64> = HashMap::new();
        let mut rows: Vec<u32> = Vec::new();
        for below in self.subtree(path, usize::MAX) {
            let index = below as usize;
            let targets = attribution.targets[names.get(&below).copied().unwrap_or(below) as usize];
            for (row, ns) in targets.into_iter().zip([sums.self_ns[index], sums.before_ns[index], sums.wait_ns[index]])
            {
                let time = times.entry(row).or_insert_with(|| {
                    rows.push(row);
                    0.0
                });
                *time += ns;
            }
        }
        let total: f64 = rows.iter().map(|row| times[row]).sum();
        let share = |row: u32| Some((row, times[&row] / total)).filter(|&(_, share)| share.is_finite() && share != 0.0);
        rows.into_iter().filter_map(share).collect()
    }
}
