//! Which service and which operation or edge each effect belongs to.
//!
//! | effect of a path | goes to |
//! |---|---|
//! | slower by itself | its operation |
//! | longer gap between a client span and its answer | the edge, and of its two ends the one that explains its edges: see `compare::edges` |
//! | longer wait for a peer that left no span | the peer |
//! | more or fewer calls | the caller; a retry's or an answer's to the callee; those for what a cache lacks to the cache: see `misses`; what others' failures make of them to where these begin: see `failing` |
//! | slower or faster only because others of its calls are waited for | where the latter's effect goes; see `critical` |
//! | more often waited for | the callee, or the caller if the callee takes no longer than before: parallelism was lost; see `critical` |

use super::critical;
use super::decompose::Effects;
use super::edges::{self, EdgeGap};
use super::failing::{self, Failing};
use super::misses;
use super::paths::{FailureKind, NO_PATH, Path, Paths, Scope};
use super::renamed;
use super::sums::Sums;
use super::unanswered::{self, Input, Spread};
use crate::normalize::Operation;
use crate::span::SpanKind;
use hashbrown::HashMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a contribution is pinned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// An operation: service, code of the name. For an inferred service the name is its callers' client span's.
    Operation(u32, u32),
    /// The way between two services: caller, callee.
    Edge(u32, u32),
}

/// How a subject changed the latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Each call takes longer in the operation itself.
    Slower,
    /// Each call takes longer on its way: network, connection pool, queue, proxy.
    Network,
    /// Each call to a peer without spans takes longer.
    Peer,
    /// Calls are made more or less often, or by new or gone code.
    Calls,
    /// Failed tries are repeated.
    Retry,
    /// Callers that fail because it does make other calls less often, or more.
    Failing,
    /// A cache lacks what it is asked for more or less often, and calls are made for it.
    Misses,
    /// It is more or less often what the caller waits for.
    CriticalPath,
    /// Calls that ran side by side now run one after the other.
    LostParallelism,
}

/// A row of the decomposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// Subject, an index of [`Attribution::subjects`].
    pub subject: u32,
    /// How.
    pub cause: Cause,
    /// For [`Cause::Calls`], [`Cause::Misses`] and [`Cause::Failing`] the operation called, otherwise none.
    pub callee: Option<u32>,
}

/// Where each path's effects go.
#[derive(Debug, Default)]
pub struct Attribution {
    /// Everything that effects or failures are pinned on.
    pub subjects: Vec<Subject>,
    /// Service blamed for each subject.
    pub blamed: Vec<u32>,
    /// Rows of the decomposition.
    pub rows: Vec<RowKey>,
    /// For each path the rows of its self, before, wait, calls and critical-path effects; see [`Attribution::spread`] for those
    /// that several share.
    pub targets: Vec<[u32; 5]>,
    /// Of the ways that both their ends explain, the caller's row and share: path, effect in the order of `targets`.
    shared: Vec<Shared>,
    /// The ways between services, and whose their changes are; in order of caller and callee.
    pub edges: Vec<EdgeGap>,
    /// For each path the subject of failures, by [`FailureKind`].
    pub failure_subjects: Vec<[u32; FailureKind::ALL.len()]>,
    /// For each path whether it is the answer to its parent's call, not a call of its own.
    pub is_answer: Vec<bool>,
    /// For each path the top that it is below.
    top: Vec<u32>,
    /// For each top its share of the requests of its scope, in the mean of both windows.
    share: Vec<f64>,
    /// What of unanswered calls belongs elsewhere.
    spread: Spread,
    index: HashMap<(Subject, u32), u32, foldhash::fast::FixedState>,
    row_index: HashMap<RowKey, u32, foldhash::fast::FixedState>,
}

/// An effect of a path that two share: path, effect in the order of [`Attribution::targets`], the second's row and share.
type Shared = (u32, usize, [(u32, f64); 1]);

/// Positions of effects in [`Attribution::targets`].
pub(super) const WAIT: usize = 2;
pub(super) const CALLS: usize = 3;
pub(super) const CRITICAL: usize = 4;
/// Index of failures of calls that left no span.
const UNANSWERED: usize = FailureKind::Unanswered as usize;

/// A callee that takes up to this much longer than before did not become the critical path by itself.
pub(super) const UNCHANGED: f64 = 1.1;

impl Attribution {
    /// Decides for every path.
    ///
    /// `typical` are the sums of both windows with wild calls cut to the usual: a few of them must not decide whose network it was.
    #[must_use]
    pub fn new(input: Input<'_>, typical: [&Sums; 2], failing: &Failing) -> Self {
        let Input { forest, paths, sums: [baseline, regression], .. } = input;
        let mut result =
            Self { edges: edges::blame(forest, paths, typical, [baseline, regression]), ..Self::default() };
        let lookups = misses::lookups(forest, paths, [baseline, regression]);
        for (index, path) in paths.list.iter().enumerate() {
            let operation = forest.operations[path.operation as usize];
            let own = Subject::Operation(operation.service, operation.name);
            let edge = operation.peer.map(|peer| (operation.service, peer));
            let at_peer = operation.peer.map_or(own, |peer| Subject::Operation(peer, operation.name));
            let gap = edge.and_then(|edge| result.edge(edge)).copied();

            // The row of a part of the way, and where the caller has a share of it, the caller's row.
            let [self_row, before_row, wait_row] = match edge {
                None => {
                    let row = result.row(own, operation.service, Cause::Slower, None);
                    [row, row, result.row_of(at_peer, Cause::Peer, None)]
                }
                Some((caller, callee)) => {
                    let subject = Subject::Edge(caller, callee);
                    let share = |part: fn(&EdgeGap) -> f64| gap.as_ref().map_or(0.0, part);
                    let shares = [
                        share(|gap| gap.after.caller_share),
                        share(|gap| gap.before.caller_share),
                        if path.is_retry { 0.0 } else { share(|gap| gap.wait.caller_share) },
                    ];
                    let mut rows = [0; 3];
                    for (part, &callers) in shares.iter().enumerate() {
                        let at_callee = |result: &mut Self| match part {
                            2 if path.is_retry => result.row_of(at_peer, Cause::Retry, None),
                            2 => result.row_of(at_peer, Cause::Peer, None),
                            _ => result.row(subject, callee, Cause::Network, None),
                        };
                        if callers < 1.0 {
                            rows[part] = at_callee(&mut result);
                        }
                        if callers > 0.0 {
                            let at_caller = result.row(subject, caller, Cause::Network, None);
                            if callers < 1.0 {
                                let path = u32::try_from(index).unwrap_or(u32::MAX);
                                result.shared.push((path, part, [(at_caller, callers)]));
                            } else {
                                rows[part] = at_caller;
                            }
                        }
                    }
                    rows
                }
            };
            let parent = (path.parent != NO_PATH).then(|| paths.list[path.parent as usize]);
            let parent_operation = parent.map_or(operation, |parent| forest.operations[parent.operation as usize]);
            let caller = Subject::Operation(parent_operation.service, parent_operation.name);
            let is_answer = is_outbound(parent_operation) && operation.service != parent_operation.service;
            let calls_row = if path.is_retry {
                result.row_of(at_peer, Cause::Retry, None)
            } else if is_answer {
                result.row_of(own, Cause::Calls, Some(path.operation))
            } else if let Some(lookup) = paths.list.get(lookups[index] as usize) {
                let lookup = forest.operations[lookup.operation as usize];
                let cache = Subject::Operation(lookup.peer.unwrap_or(lookup.service), lookup.name);
                result.row_of(cache, Cause::Misses, Some(path.operation))
            } else {
                result.row_of(caller, Cause::Calls, Some(path.operation))
            };
            let critical_row = if takes_no_longer(index, [baseline, regression]) && !is_answer {
                result.row_of(caller, Cause::LostParallelism, None)
            } else {
                result.row_of(at_peer, Cause::CriticalPath, None)
            };
            result.targets.push([self_row, before_row, wait_row, calls_row, critical_row]);
            let (of_itself, of_peer) = (result.subject(own, operation.service), result.subject_of(at_peer));
            result.failure_subjects.push([of_itself, of_peer, of_peer]);
            result.top.push(result.top_of(index, path.parent));
            result.is_answer.push(is_answer);
        }
        let windows = [baseline, regression];
        let n_tops = |scope| windows.map(|sums| tops(paths, sums, scope).max(f64::MIN_POSITIVE));
        let (requests, background_tops) = (n_tops(Scope::Request), n_tops(Scope::Background));
        let share = |(index, path): (usize, &Path)| {
            let n_tops = if path.scope == Scope::Request { requests } else { background_tops };
            f64::midpoint(baseline.n_visits[index] / n_tops[0], regression.n_visits[index] / n_tops[1])
        };
        result.share = paths.list.iter().enumerate().map(share).collect();
        result.share_out(input, failing);
        result
    }

    /// Finds the effects of which parts belong elsewhere than where they are measured.
    fn share_out(&mut self, input: Input<'_>, failing: &Failing) {
        self.spread = unanswered::spread(input, self);
        for (path, shares) in renamed::spread(input, self) {
            self.spread.effects.push((path, CALLS, self.spread.rows.len()));
            self.spread.rows.push(shares);
        }
        for moved in failing::moved(input, self, failing) {
            let callee = (moved.cause == Cause::Failing).then(|| input.paths.list[moved.path as usize].operation);
            let row = |(subject, share): (u32, f64)| {
                let (key, blamed) = (self.subjects[subject as usize], self.blamed[subject as usize]);
                (self.row(key, blamed, moved.cause, callee), share)
            };
            let shares = moved.to.into_iter().map(row).chain(moved.to_row).collect();
            self.spread.effects.push((moved.path, moved.which, self.spread.rows.len()));
            self.spread.rows.push(shares);
        }
        self.spread.effects.sort_unstable();
        for (path, which, shares) in critical::spread(input, self) {
            self.spread.effects.push((path, which, self.spread.rows.len()));
            self.spread.rows.push(shares);
        }
        self.spread.effects.sort_unstable();
    }

    /// The path of the top of the request that a path is in.
    #[must_use]
    pub fn top(&self, path: u32) -> u32 {
        self.top[path as usize]
    }

    fn top_of(&self, path: usize, parent: u32) -> u32 {
        if parent == NO_PATH { u32::try_from(path).unwrap_or(u32::MAX) } else { self.top[parent as usize] }
    }

    fn subject(&mut self, subject: Subject, blamed: u32) -> u32 {
        let fresh = u32::try_from(self.subjects.len()).unwrap_or(u32::MAX);
        let index = *self.index.entry((subject, blamed)).or_insert(fresh);
        if index == fresh {
            self.subjects.push(subject);
            self.blamed.push(blamed);
        }
        index
    }

    /// A subject that its own service is blamed for.
    fn subject_of(&mut self, subject: Subject) -> u32 {
        let (Subject::Operation(service, _) | Subject::Edge(_, service)) = subject;
        self.subject(subject, service)
    }

    fn row(&mut self, subject: Subject, blamed: u32, cause: Cause, callee: Option<u32>) -> u32 {
        let key = RowKey { subject: self.subject(subject, blamed), cause, callee };
        let fresh = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        let index = *self.row_index.entry(key).or_insert(fresh);
        if index == fresh {
            self.rows.push(key);
        }
        index
    }

    fn row_of(&mut self, subject: Subject, cause: Cause, callee: Option<u32>) -> u32 {
        let (Subject::Operation(service, _) | Subject::Edge(_, service)) = subject;
        self.row(subject, service, cause, callee)
    }

    /// The way between two services, if both windows have it.
    #[must_use]
    pub fn edge(&self, (caller, callee): (u32, u32)) -> Option<&EdgeGap> {
        let index = self.edges.binary_search_by_key(&(caller, callee), |edge| (edge.caller, edge.callee)).ok()?;
        Some(&self.edges[index])
    }

    /// Effects of all paths summed a row.
    #[must_use]
    pub fn rows_ns(&self, effects: &Effects) -> Vec<f64> {
        let mut rows = vec![0.0; self.rows.len()];
        for (path, targets) in self.targets.iter().enumerate() {
            for (&row, value) in targets.iter().zip(effects.of(path)) {
                rows[row as usize] += value;
            }
        }
        for (path, which, shares) in self.spread() {
            let value = effects.of(path as usize)[which];
            for &(row, share) in shares {
                rows[row as usize] += share * value;
                rows[self.targets[path as usize][which] as usize] -= share * value;
            }
        }
        rows
    }

    /// Whether a subject is the way between two services.
    #[must_use]
    pub fn is_edge(&self, subject: usize) -> bool {
        matches!(self.subjects[subject], Subject::Edge(..))
    }

    /// Subjects that a path's own, before and waiting time are blamed on.
    fn of_times(&self, path: usize) -> [usize; 3] {
        [0, 1, 2].map(|part: usize| self.rows[self.targets[path][part] as usize].subject as usize)
    }

    /// Nanoseconds blamed on every subject, and on each of `n_services`.
    #[must_use]
    pub fn own_times(&self, sums: &Sums, n_services: usize) -> [Vec<f64>; 2] {
        let mut times = [vec![0.0; self.subjects.len()], vec![0.0; n_services]];
        for path in 0..self.targets.len() {
            let parts = [sums.self_ns[path], sums.before_ns[path], sums.wait_ns[path]];
            for (part_ns, subject) in parts.into_iter().zip(self.of_times(path)) {
                times[0][subject] += part_ns;
                times[1][self.blamed[subject] as usize] += part_ns;
            }
        }
        times
    }

    /// Calls on the blamed path that these times are of: of every subject, and of each of `n_services` those from outside it.
    #[must_use]
    pub fn own_calls(&self, paths: &Paths, sums: &Sums, n_services: usize) -> [Vec<f64>; 2] {
        let mut calls = [vec![0.0; self.subjects.len()], vec![0.0; n_services]];
        for (path, &n_visits) in sums.n_visits.iter().enumerate() {
            let own = self.of_times(path);
            let caller = paths.list[path].parent;
            let above = if caller == NO_PATH { Vec::new() } else { self.of_times(caller as usize).to_vec() };
            let service = |subject: &usize| self.blamed[*subject] as usize;
            for (part, subject) in own.iter().enumerate() {
                // The answer to a call is not another call.
                let is_counted = own[..part].contains(subject) || (self.is_answer[path] && above.contains(subject));
                calls[0][*subject] += if is_counted { 0.0 } else { n_visits };
                let mut known = own[..part].iter().chain(&above).map(service);
                let is_counted = known.any(|known| known == service(subject));
                calls[1][service(subject)] += if is_counted { 0.0 } else { n_visits };
            }
        }
        calls
    }

    /// Whether time on a path is a subject's.
    #[must_use]
    pub fn has_time_on(&self, subject: u32, path: u32) -> bool {
        let is_own = |row: u32| self.rows[row as usize].subject == subject;
        let first = self.shared.partition_point(|&(known, ..)| known < path);
        let shared = self.shared[first..].iter().take_while(|&&(known, ..)| known == path);
        self.targets[path as usize][..3].iter().any(|&row| is_own(row))
            || shared.into_iter().any(|(.., shares)| is_own(shares[0].0))
    }

    /// Paths with such time, in order.
    #[must_use]
    pub fn paths_of(&self, subject: u32) -> Vec<u32> {
        (0_u32..).zip(&self.targets).map(|(path, _)| path).filter(|&path| self.has_time_on(subject, path)).collect()
    }

    /// Whether a path is the answer to a call whose time is a subject's as its own is, by `owns`: it is then no call besides.
    #[must_use]
    pub fn is_counted_above(&self, paths: &Paths, path: u32, owns: impl Fn(u32) -> bool) -> bool {
        self.is_answer[path as usize] && owns(paths.list[path as usize].parent)
    }

    /// Effects of which a share goes to other rows than their target: path, effect in the order of `targets`, rows and shares.
    pub fn spread(&self) -> impl Iterator<Item = (u32, usize, &[(u32, f64)])> {
        let of_unanswered =
            self.spread.effects.iter().map(|&(path, which, index)| (path, which, self.spread.rows[index].as_slice()));
        self.shared.iter().map(|(path, which, shares)| (*path, *which, shares.as_slice())).chain(of_unanswered)
    }

    /// Rows that effects of a path go to, where they are measured.
    pub fn rows_of(&self, path: u32) -> impl Iterator<Item = u32> {
        let first = self.shared.partition_point(|&(known, ..)| known < path);
        let shared = self.shared[first..].iter().take_while(move |&&(known, ..)| known == path);
        self.targets[path as usize].iter().copied().chain(shared.map(|(.., shares)| shares[0].0))
    }

    /// Rows that effects of a path go to, also where these are no measure of them.
    pub fn all_rows_of(&self, path: u32) -> impl Iterator<Item = u32> {
        let first = self.spread.effects.partition_point(|&(known, ..)| known < path);
        let spread = self.spread.effects[first..].iter().take_while(move |&&(known, ..)| known == path);
        self.rows_of(path).chain(spread.flat_map(|&(.., index)| self.spread.rows[index].iter().map(|&(row, _)| row)))
    }

    /// For a path whose calls left no span, the subjects to which a share of its failures in a window goes.
    #[must_use]
    pub fn failure_shares(&self, path: u32, window: usize) -> &[(u32, f64)] {
        match self.spread.failing.binary_search_by_key(&path, |&(known, _)| known) {
            Ok(found) => &self.spread.failures[self.spread.failing[found].1][window],
            Err(_) => &[],
        }
    }

    /// Change of the failing share of `scope`'s requests, a subject where they began to fail; and apart, what of it is traffic mix.
    ///
    /// As with the latency, an entry operation that is called more often brings its failures with it, which is nobody's fault; so are
    /// those of an entry that only one window has. With `f_r` the failing share of entry `r` and a bar for the mean of both windows,
    /// `D f = sum_r share_r_bar D f_r + sum_r D share_r f_r_bar`. The shares are those of the data also where `windows` are resampled:
    /// how often an entry is called says nothing of whether it fails more.
    #[must_use]
    pub fn failure_changes(&self, paths: &Paths, windows: [&Sums; 2], scope: Scope) -> (Vec<f64>, f64) {
        let mut changes = vec![0.0; self.subjects.len()];
        let n_tops = windows.map(|sums| tops(paths, sums, scope));
        if n_tops.iter().any(|&n_tops| n_tops <= 0.0) {
            return (changes, 0.0);
        }
        let mut total = 0.0;
        // What a failure counts on a path, a window: its entry's share over its requests.
        let weight = |path: usize| {
            let visits = windows.map(|sums| sums.n_visits[self.top[path] as usize]);
            if visits.iter().any(|&visits| visits <= 0.0) {
                return [0.0; 2];
            }
            let share = self.share[self.top[path] as usize];
            [-share / visits[0], share / visits[1]]
        };
        for (index, _) in paths.list.iter().enumerate().filter(|(_, path)| path.scope == scope) {
            for (side, &subject) in self.failure_subjects[index].iter().enumerate() {
                let counts = windows.map(|sums| sums.n_failures[side][index]);
                if counts.iter().all(|&count| count == 0.0) {
                    continue;
                }
                total += counts[1] / n_tops[1] - counts[0] / n_tops[0];
                let weight = weight(index);
                changes[subject as usize] += weight[0] * counts[0] + weight[1] * counts[1];
            }
        }
        for &(path, index) in &self.spread.failing {
            let path = path as usize;
            if paths.list[path].scope != scope {
                continue;
            }
            let weights = weight(path).into_iter().zip(windows);
            for ((weight, sums), shares) in weights.zip(&self.spread.failures[index]) {
                let value = weight * sums.n_failures[UNANSWERED][path];
                for &(subject, share) in shares {
                    changes[subject as usize] += share * value;
                    changes[self.failure_subjects[path][UNANSWERED] as usize] -= share * value;
                }
            }
        }
        let by_subjects: f64 = changes.iter().sum();
        (changes, total - by_subjects)
    }
}

/// Weighted number of requests of a scope.
#[must_use]
pub fn tops(paths: &Paths, sums: &Sums, scope: Scope) -> f64 {
    let is_top = |path: &super::paths::Path| path.parent == NO_PATH && path.scope == scope;
    paths.list.iter().zip(&sums.n_visits).filter(|(path, _)| is_top(path)).map(|(_, visits)| visits).sum()
}

/// Whether an operation asks another service.
#[must_use]
pub fn is_outbound(operation: Operation) -> bool {
    matches!(operation.kind, SpanKind::Client | SpanKind::Producer)
}

/// How long a call of the path takes on average, on the way or hidden, in two windows; not a number where there is none.
pub(super) fn calls_ns(path: usize, windows: [&Sums; 2]) -> [f64; 2] {
    windows.map(|sums| sums.call_ns[path] / sums.n_calls[path])
}

fn takes_no_longer(path: usize, windows: [&Sums; 2]) -> bool {
    let [before, after] = calls_ns(path, windows);
    before.is_finite() && after.is_finite() && after <= before * UNCHANGED && before <= after * UNCHANGED
}
