//! Whose network: which end of an edge is to blame for a longer way between a client span and its answer.
//!
//! ```text
//! client span (caller)   |-------------------------------|
//! answer (callee)              |-----------------|
//!                        before                    after
//! ```
//!
//! The gap *before* the answer grows when the caller sends slowly or the callee takes requests in slowly (its queue, its pool of workers);
//! the gap *after* it when the callee sends slowly or the caller takes answers in slowly. A constant difference of the two
//! clocks drops out of the change. Each of these four ways of being slow shows on all edges of a service that it concerns. So
//! it is worth the sum of the rises a call on those edges times the share of them that rose by more than 30 % of the largest,
//! and each gap goes to the worthier of its two explanations. (A plain vertex cover would blame hubs.)
//!
//! Where both explain a gap equally well and both have other edges that rose, they share it. Where neither has, as on an edge that is the only one of both its ends, a rise after the answer is the
//! callee's. One before it is the callee's too if the callee's own work also became slower, as it does on a busy machine, or if its
//! answers take longer, which keeps its workers from the next request; otherwise the request was late when it arrived.

use super::paths::Paths;
use super::sums::Sums;
use crate::normalize::Forest;
use hashbrown::HashMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rises smaller than this share of the largest on a service's edges do not count as risen.
const SHARE_OF_LARGEST: f64 = 0.3;
/// Worths within this factor explain equally well.
const TIE: f64 = 1.25;
/// The callee's own work or its answers became slower if they rose by this share of the gap's rise.
const SLOWER: f64 = 0.1;

/// Wild calls are nearly all of a rise if usual calls rose by less than this share of it.
const WILD: f64 = 0.2;

/// Whose a longer gap is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// The gap did not grow.
    Nobody,
    /// The caller's: its other edges grew likewise, or nothing else explains it.
    Caller,
    /// The callee's: its other edges grew likewise, or nothing else explains it.
    Callee,
    /// Both ends have other edges that grew likewise: shared by how well each explains its edges.
    Both,
    /// The way between the two: no other edge of either end grew. Blamed on the end that the tie rules name.
    Link,
}

/// One part of an edge's gap, nanoseconds a call; wild calls cut to the usual, unless they are nearly all of its rise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gap {
    /// In the baseline.
    pub baseline_ns: f64,
    /// In the regression.
    pub regression_ns: f64,
    /// How well the caller being slow at this explains all its edges, and the callee all its own, nanoseconds.
    pub worths: [f64; 2],
    /// Of the edges of the caller and of the callee, how many rose by more than 30 % of the largest, and how many there are.
    pub risen: [[usize; 2]; 2],
    /// Whose the rise is.
    pub whose: Whose,
    /// Share of it that the caller is blamed for; the rest is the callee's.
    pub caller_share: f64,
}

impl Gap {
    /// How much longer it became, nanoseconds a call.
    #[must_use]
    pub fn rise_ns(&self) -> f64 {
        self.regression_ns - self.baseline_ns
    }

    /// Whether both ends explain it about equally well.
    #[must_use]
    pub fn is_tie(&self) -> bool {
        is_tie(self.worths)
    }
}

/// The way between two services in both windows, and whom its change is blamed on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EdgeGap {
    /// Service that asks.
    pub caller: u32,
    /// Service that answers.
    pub callee: u32,
    /// Calls on the blamed path, a window.
    pub n_calls: [f64; 2],
    /// Before the answer begins.
    pub before: Gap,
    /// After the answer.
    pub after: Gap,
    /// Waiting for a callee that left no span.
    pub wait: Gap,
}

type Edge = (u32, u32);

/// Totals of an edge in both windows, over all paths that take it.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    visits: [f64; 2],
    before_ns: [f64; 2],
    after_ns: [f64; 2],
    wait_ns: [f64; 2],
}

impl Totals {
    /// Nanoseconds a call in each window.
    fn per_call(&self, ns: [f64; 2]) -> [f64; 2] {
        [0, 1].map(|window: usize| ns[window] / self.visits[window])
    }

    fn rise(&self, ns: [f64; 2]) -> f64 {
        let [before, after] = self.per_call(ns);
        after - before
    }
}

/// Rises a call, nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Rise {
    before: f64,
    after: f64,
    wait: f64,
}

/// How well one way of being slow explains the edges that it concerns.
#[derive(Clone, Copy, Debug, Default)]
struct Worth {
    /// Sum of their rises, times `share`.
    sum: f64,
    share: f64,
    n_risen: usize,
    n_edges: usize,
}

/// The edges in one view of both windows.
struct View {
    edges: BTreeMap<Edge, Totals>,
    worths: Worths,
    /// Own time and calls of the operations that answer, a service and window.
    work: Vec<[[f64; 2]; 2]>,
    /// Durations and number of the answers, a service and window.
    answers: Vec<[[f64; 2]; 2]>,
}

impl View {
    fn new(forest: &Forest, paths: &Paths, windows: [&Sums; 2]) -> Self {
        let mut edges = BTreeMap::<Edge, Totals>::new();
        let mut work = vec![[[0.0; 2]; 2]; forest.services.len()];
        let mut answers = work.clone();
        for (index, path) in paths.list.iter().enumerate() {
            let operation = forest.operations[path.operation as usize];
            let asked = paths.list.get(path.parent as usize).map(|parent| forest.operations[parent.operation as usize]);
            if asked.is_some_and(|asked| asked.peer == Some(operation.service)) {
                for (answers, sums) in answers[operation.service as usize].iter_mut().zip(windows) {
                    answers[0] += sums.call_ns[index];
                    answers[1] += sums.n_calls[index];
                }
            }
            let totals = operation
                .peer
                .filter(|&peer| peer != operation.service)
                .map(|peer| edges.entry((operation.service, peer)));
            let totals = totals.map(std::collections::btree_map::Entry::or_default);
            for (window, sums) in windows.into_iter().enumerate() {
                work[operation.service as usize][window][0] +=
                    if operation.peer.is_none() { sums.self_ns[index] } else { 0.0 };
            }
            if let Some(totals) = totals {
                for (window, sums) in windows.into_iter().enumerate() {
                    totals.visits[window] += sums.n_visits[index];
                    totals.before_ns[window] += sums.before_ns[index];
                    totals.after_ns[window] += sums.self_ns[index];
                    totals.wait_ns[window] += sums.wait_ns[index];
                    if let Some(peer) = operation.peer {
                        work[peer as usize][window][1] += sums.n_visits[index];
                    }
                }
            }
        }
        edges.retain(|_, totals| totals.visits.iter().all(|&visits| visits > 0.0));
        let rises: Vec<(Edge, Rise)> = edges
            .iter()
            .map(|(&edge, totals)| {
                let [before, after, wait] =
                    [totals.before_ns, totals.after_ns, totals.wait_ns].map(|ns| totals.rise(ns));
                (edge, Rise { before, after, wait })
            })
            .collect();
        Self { worths: Worths::new(&rises), edges, work, answers }
    }

    /// Whether the callee's own work became slower, or its answers keep it longer, beside a rise of so much a call.
    fn works_slower(&self, callee: u32, rise_ns: f64) -> bool {
        [&self.work, &self.answers].into_iter().any(|of| {
            let [before, after] = of[callee as usize].map(|[ns, calls]| if calls > 0.0 { ns / calls } else { 0.0 });
            after - before > SLOWER * rise_ns
        })
    }
}

/// Decides for every edge that both windows have; in order of caller and callee.
///
/// `typical` are the sums with wild calls cut to the usual: a few of them must not decide. Where they are nearly all of the rise, as when packets
/// get lost, and more than double the way, only `all` can.
pub(super) fn blame(forest: &Forest, paths: &Paths, typical: [&Sums; 2], all: [&Sums; 2]) -> Vec<EdgeGap> {
    let [typical, all] = [typical, all].map(|windows| View::new(forest, paths, windows));
    typical
        .edges
        .iter()
        .map(|(&(caller, callee), usual)| {
            let every = all.edges.get(&(caller, callee)).unwrap_or(usual);
            let chosen = |ns: fn(&Totals) -> [f64; 2]| {
                let [before, after] = every.per_call(ns(every));
                let is_wild = after > 2.0 * before && usual.rise(ns(usual)) < WILD * (after - before);
                if is_wild { (&all, [before, after]) } else { (&typical, usual.per_call(ns(usual))) }
            };
            let gap = |[baseline_ns, regression_ns]: [f64; 2], worths: [Worth; 2], tie_is_callers: bool| {
                let (whose, caller_share) = whose(regression_ns - baseline_ns, worths, tie_is_callers);
                let risen = worths.map(|worth| [worth.n_risen, worth.n_edges]);
                let worths = worths.map(|worth| worth.sum);
                Gap { baseline_ns, regression_ns, worths, risen, whose, caller_share }
            };
            let (view, per_call) = chosen(|totals| totals.wait_ns);
            let [sends, takes_in] = [view.worths.sends(caller), view.worths.takes_in(callee)];
            // Time at a peer without spans is the peer's own as well as the way to it: the caller's network must show elsewhere too.
            let is_network = sends.n_risen > 1 && sends.share > 0.5 && sends.sum > takes_in.sum;
            let mut wait = gap(per_call, [sends, takes_in], false);
            if wait.whose != Whose::Nobody {
                wait.whose = if is_network { Whose::Caller } else { Whose::Callee };
                wait.caller_share = f64::from(u8::from(is_network));
            }
            let (view, per_call) = chosen(|totals| totals.before_ns);
            let works_slower = view.works_slower(callee, per_call[1] - per_call[0]);
            let before = gap(per_call, [view.worths.sends(caller), view.worths.takes_in(callee)], !works_slower);
            let (view, per_call) = chosen(|totals| totals.after_ns);
            let after = gap(per_call, [view.worths.hears(caller), view.worths.answers(callee)], false);
            EdgeGap { caller, callee, n_calls: usual.visits, before, after, wait }
        })
        .collect()
}

fn is_tie([caller, callee]: [f64; 2]) -> bool {
    caller <= TIE * callee && callee <= TIE * caller
}

/// Whose a gap's rise is, and the caller's share of it.
fn whose(rise_ns: f64, [caller, callee]: [Worth; 2], tie_is_callers: bool) -> (Whose, f64) {
    if rise_ns <= 0.0 {
        return (Whose::Nobody, 0.0);
    }
    // No other edge of either end rose, so that nothing but the callee's own work speaks for an end: the way between them may be slow.
    let is_alone = |worth: Worth| worth.n_risen == 1;
    let is_tie = is_tie([caller.sum, callee.sum]);
    if is_tie && caller.n_risen > 1 && callee.n_risen > 1 {
        return (Whose::Both, caller.sum / (caller.sum + callee.sum));
    }
    let is_callers = if is_tie { tie_is_callers } else { caller.sum > callee.sum };
    let whose = match is_callers {
        // An edge that is the only one of both its ends: the rules for ties have looked at the callee.
        false if caller.n_edges == 1 && callee.n_edges == 1 => Whose::Callee,
        _ if is_alone(caller) && is_alone(callee) => Whose::Link,
        true => Whose::Caller,
        false => Whose::Callee,
    };
    (whose, f64::from(u8::from(is_callers)))
}

/// Worths of all services, by way of being slow.
struct Worths([HashMap<u32, Worth, foldhash::fast::FixedState>; 4]);

impl Worths {
    fn new(rises: &[(Edge, Rise)]) -> Self {
        // A wait for a peer without spans begins with sending the request and taking it in.
        let before = |rise: &Rise| rise.before + rise.wait;
        let after = |rise: &Rise| rise.after;
        let caller = |edge: Edge| edge.0;
        let callee = |edge: Edge| edge.1;
        Self([
            worths(rises, caller, before),
            worths(rises, callee, before),
            worths(rises, callee, after),
            worths(rises, caller, after),
        ])
    }

    fn get(&self, way: usize, service: u32) -> Worth {
        self.0[way].get(&service).copied().unwrap_or_default()
    }

    /// Requests leave the service late.
    fn sends(&self, service: u32) -> Worth {
        self.get(0, service)
    }

    /// Requests wait before the service begins with them.
    fn takes_in(&self, service: u32) -> Worth {
        self.get(1, service)
    }

    /// Answers leave the service late.
    fn answers(&self, service: u32) -> Worth {
        self.get(2, service)
    }

    /// Answers wait before the service goes on with them.
    fn hears(&self, service: u32) -> Worth {
        self.get(3, service)
    }
}

fn worths(
    rises: &[(Edge, Rise)],
    end: fn(Edge) -> u32,
    part: fn(&Rise) -> f64,
) -> HashMap<u32, Worth, foldhash::fast::FixedState> {
    let mut own: Vec<(u32, f64)> = rises.iter().map(|(edge, rise)| (end(*edge), part(rise))).collect();
    own.sort_unstable_by(|left, right| left.0.cmp(&right.0).then(left.1.total_cmp(&right.1)));
    own.chunk_by(|left, right| left.0 == right.0)
        .map(|group| {
            let largest = group.iter().map(|&(_, rise)| rise).fold(0.0, f64::max);
            let n_risen = group.iter().filter(|&&(_, rise)| rise > SHARE_OF_LARGEST * largest).count();
            let share = n_risen as f64 / group.len() as f64;
            let sum: f64 = group.iter().map(|&(_, rise)| rise.max(0.0)).sum();
            (group[0].0, Worth { sum: sum * share, share, n_risen, n_edges: group.len() })
        })
        .collect()
}
