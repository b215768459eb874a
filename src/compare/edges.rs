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
//! Where both explain a gap equally well, as on an edge that is the only one of both its ends, a rise after the answer is the
//! callee's. One before it is the callee's too if the callee's own work also became slower, as it does on a busy machine;
//! otherwise the request was late when it arrived.

use super::paths::Paths;
use super::sums::Sums;
use crate::normalize::Forest;
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// Rises smaller than this share of the largest on a service's edges do not count as risen.
const SHARE_OF_LARGEST: f64 = 0.3;
/// Worths within this factor explain equally well.
pub const TIE: f64 = 1.25;
/// The callee's own work became slower if it rose by this share of the gap's rise.
const SLOWER: f64 = 0.1;

/// Services to blame for the parts of an edge, and how well each end explains them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EdgeBlame {
    /// For the gap before the answer.
    pub before: u32,
    /// For the gap after it.
    pub after: u32,
    /// For the wait where the callee left no span.
    pub wait: u32,
    /// What the decision rests on.
    pub worths: EdgeWorths,
}

/// What each end is worth as an explanation of its edges: the sum of their rises, nanoseconds a call, times the share of them that rose.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EdgeWorths {
    /// Requests leave the caller late.
    pub sends: f64,
    /// Requests wait before the callee begins with them.
    pub takes_in: f64,
    /// Answers leave the callee late.
    pub answers: f64,
    /// Answers wait before the caller goes on with them.
    pub hears: f64,
}

impl EdgeBlame {
    /// All to the callee: where nothing tells.
    pub(super) fn callee((_, callee): (u32, u32)) -> Self {
        Self { before: callee, after: callee, wait: callee, worths: EdgeWorths::default() }
    }
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
}

/// Decides for every edge that both windows have.
pub(super) fn blame(forest: &Forest, paths: &Paths, baseline: &Sums, regression: &Sums) -> BTreeMap<Edge, EdgeBlame> {
    let mut edges = BTreeMap::<Edge, Totals>::new();
    // Own time and visits of the operations that answer, a service and window.
    let mut work = vec![[[0.0; 2]; 2]; forest.services.len()];
    for (index, path) in paths.list.iter().enumerate() {
        let operation = forest.operations[path.operation as usize];
        let totals =
            operation.peer.filter(|&peer| peer != operation.service).map(|peer| edges.entry((operation.service, peer)));
        let totals = totals.map(std::collections::btree_map::Entry::or_default);
        for (window, sums) in [baseline, regression].into_iter().enumerate() {
            work[operation.service as usize][window][0] +=
                if operation.peer.is_none() { sums.self_ns[index] } else { 0.0 };
        }
        if let Some(totals) = totals {
            for (window, sums) in [baseline, regression].into_iter().enumerate() {
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
    let rises: Vec<(Edge, Rise)> = edges
        .into_iter()
        .filter(|(_, totals)| totals.visits.iter().all(|&visits| visits > 0.0))
        .map(|(edge, totals)| {
            let rise = |ns: [f64; 2]| ns[1] / totals.visits[1] - ns[0] / totals.visits[0];
            let [before, after, wait] = [totals.before_ns, totals.after_ns, totals.wait_ns].map(rise);
            (edge, Rise { before, after, wait })
        })
        .collect();
    let worths = Worths::new(&rises);
    rises
        .iter()
        .map(|&(edge @ (caller, callee), rise)| {
            let works_slower = {
                let [before, after] =
                    work[callee as usize].map(|[ns, calls]| if calls > 0.0 { ns / calls } else { 0.0 });
                after - before > SLOWER * rise.before
            };
            let [sends, takes_in] = [worths.sends(caller), worths.takes_in(callee)].map(|worth| worth.sum);
            let is_callers = if sends > TIE * takes_in { true } else { takes_in <= TIE * sends && !works_slower };
            let answers = worths.answers(callee).sum;
            let hears = worths.hears(caller).sum;
            // Time at a peer without spans is the peer's own as well as the way to it: the caller's network must show elsewhere too.
            let waits = worths.sends(caller);
            let is_network = waits.n_risen > 1 && waits.share > 0.5 && waits.sum > worths.takes_in(callee).sum;
            let to = |is_callers: bool| if is_callers { caller } else { callee };
            let blame = EdgeBlame {
                before: to(rise.before > 0.0 && is_callers),
                after: to(rise.after > 0.0 && hears > TIE * answers),
                wait: to(rise.wait > 0.0 && is_network),
                worths: EdgeWorths { sends, takes_in, answers, hears },
            };
            (edge, blame)
        })
        .collect()
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
            (group[0].0, Worth { sum: sum * share, share, n_risen })
        })
        .collect()
}
