//! Clock skew between hosts, estimated from calls and taken out where it makes children fall outside their parents.
//!
//! ```text
//! parent (host A)   |-------------------|
//! child  (host B)             |-------------|      B's clock is ahead by d
//! offset d = ((child start - parent start) - (parent end - child end)) / 2, the median over all calls from A to B
//! ```

use super::{Forest, link::NO_PARENT};
use crate::span::SpanKind;
use hashbrown::HashMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A pair of hosts whose clocks disagree, and what was done about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkewedPair {
    /// Host code of the callers.
    #[serde(skip)]
    pub parent_host: u32,
    /// Host code of the callees.
    #[serde(skip)]
    pub child_host: u32,
    /// How far the callees' clock is ahead, nanoseconds.
    pub offset_ns: i64,
    /// Calls seen between the two.
    pub n_calls: u64,
    /// Calls that were moved.
    pub n_corrected: u64,
}

/// Rounding of source timestamps to microseconds puts a child outside its parent by up to this much with perfect clocks.
const ROUNDING_NS: i64 = 2_000;

/// Host codes of caller and callee.
pub(super) type Pair = (u32, u32);
type Map<V> = HashMap<Pair, V, foldhash::fast::FixedState>;

/// What is learnt of clocks, from all traces.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// Calls whose child falls outside its parent.
    outside: Map<u64>,
    /// Offsets of the calls of these pairs.
    offsets: Map<Vec<i64>>,
}

impl Clocks {
    /// Looks for pairs whose clocks disagree; `host` holds a host code a frame row.
    pub(super) fn add_outside(&mut self, forest: &Forest, host: &[u32]) {
        for_each_call(forest, host, |pair, call| {
            if call.is_outside() {
                *self.outside.entry(pair).or_default() += 1;
            }
        });
    }

    /// Whether any pair's clocks may disagree.
    pub(super) fn is_in_doubt(&self) -> bool {
        !self.outside.is_empty()
    }

    /// Adds the offsets of the calls of such pairs, once these are known of all traces.
    pub(super) fn add_offsets(&mut self, forest: &Forest, host: &[u32]) {
        for_each_call(forest, host, |pair, call| {
            if self.outside.contains_key(&pair) && call.fits() {
                self.offsets.entry(pair).or_default().push(call.offset_ns());
            }
        });
    }

    /// By how much the clocks of each pair disagree.
    pub(super) fn pairs(self) -> Vec<SkewedPair> {
        let pair = |((parent_host, child_host), mut offsets): (Pair, Vec<i64>)| {
            let n_calls = offsets.len() as u64;
            let middle = offsets.len() / 2;
            let (_, &mut offset_ns, _) = offsets.select_nth_unstable(middle);
            SkewedPair { parent_host, child_host, offset_ns, n_calls, n_corrected: 0 }
        };
        let mut pairs: Vec<SkewedPair> =
            self.offsets.into_iter().map(pair).filter(|pair| pair.offset_ns.abs() > ROUNDING_NS).collect();
        pairs.sort_unstable_by_key(|pair| (pair.parent_host, pair.child_host));
        pairs
    }
}

/// Corrects `forest` in place and counts that in `pairs`, which are in order of their hosts.
pub(super) fn correct(forest: &mut Forest, host: &[u32], pairs: &mut [SkewedPair]) {
    if pairs.is_empty() {
        return;
    }
    let index: Map<usize> =
        pairs.iter().enumerate().map(|(index, pair)| ((pair.parent_host, pair.child_host), index)).collect();
    shift(forest, host, &index, pairs);
}

/// The pairs of which calls were moved.
pub(super) fn corrected(mut pairs: Vec<SkewedPair>) -> Vec<SkewedPair> {
    pairs.retain(|pair| pair.n_corrected > 0);
    // By what is shown: the codes of hosts depend on the order in which they were read.
    pairs.sort_unstable_by_key(|pair| (std::cmp::Reverse(pair.n_corrected), pair.n_calls, pair.offset_ns));
    pairs
}

/// Times of a call's two ends, each by its own host's clock.
#[derive(Clone, Copy)]
struct Call {
    parent_start: i64,
    parent_end: i64,
    start: i64,
    end: i64,
}

impl Call {
    fn is_outside(self) -> bool {
        self.fits()
            && (self.start < self.parent_start.saturating_sub(ROUNDING_NS)
                || self.end > self.parent_end.saturating_add(ROUNDING_NS))
    }

    /// Whether the child could lie inside its parent at all; one that takes longer was not waited for.
    fn fits(self) -> bool {
        self.end.saturating_sub(self.start) <= self.parent_end.saturating_sub(self.parent_start)
    }

    /// The nearest to `offset_ns` that puts the child inside its parent.
    ///
    /// Some SDKs cut starts to a millisecond, so one host's clock may be off by a different amount in every process and
    /// span; the usual offset would then throw a child out at the other side.
    fn within(self, offset_ns: i64) -> i64 {
        let (least, most) = (self.end.saturating_sub(self.parent_end), self.start.saturating_sub(self.parent_start));
        offset_ns.max(least).min(most)
    }

    fn offset_ns(self) -> i64 {
        self.start.saturating_sub(self.parent_start).saturating_sub(self.parent_end.saturating_sub(self.end)) / 2
    }
}

/// The call whose child is span `child` of the trace at `first`, if its two ends ran on different known hosts.
fn call(forest: &Forest, host: &[u32], first: usize, child: usize) -> Option<(Pair, Call)> {
    let parent = forest.parent[child];
    if parent == NO_PARENT {
        return None;
    }
    let parent = first + parent as usize;
    let pair = (host[forest.row[parent] as usize], host[forest.row[child] as usize]);
    let is_call = forest.kind(child) == SpanKind::Server || forest.kind(parent) == SpanKind::Client;
    if pair.0 == pair.1 || pair.0 == super::attributes::NONE || pair.1 == super::attributes::NONE || !is_call {
        return None;
    }
    let times = Call {
        parent_start: forest.start_ns[parent],
        parent_end: forest.end_ns[parent],
        start: forest.start_ns[child],
        end: forest.end_ns[child],
    };
    Some((pair, times))
}

fn for_each_call(forest: &Forest, host: &[u32], mut visit: impl FnMut(Pair, Call)) {
    for trace in 0..forest.n_traces() {
        let spans = forest.spans_of(trace);
        for child in spans.clone() {
            if let Some((pair, call)) = call(forest, host, spans.start, child) {
                visit(pair, call);
            }
        }
    }
}

/// Moves each child that falls outside its parent, and all below it, by its pair's offset.
fn shift(forest: &mut Forest, host: &[u32], index: &Map<usize>, pairs: &mut [SkewedPair]) {
    let mut own = Vec::new();
    let mut total = Vec::new();
    let mut chain = Vec::new();
    for trace in 0..forest.n_traces() {
        let spans = forest.spans_of(trace);
        own.clear();
        for child in spans.clone() {
            let offset = call(forest, host, spans.start, child)
                .filter(|(_, call)| call.is_outside())
                .and_then(|(pair, call)| Some((*index.get(&pair)?, call)))
                .map_or(0, |(pair, call)| {
                    pairs[pair].n_corrected += 1;
                    call.within(pairs[pair].offset_ns)
                });
            own.push(offset);
        }
        if own.iter().all(|&offset| offset == 0) {
            continue;
        }
        // A span moves by its own offset and by those of all above it.
        total.clear();
        total.resize(own.len(), None::<i64>);
        for position in 0..own.len() {
            let mut at = position;
            while total[at].is_none() {
                chain.push(at);
                match forest.parent[spans.start + at] {
                    NO_PARENT => break,
                    parent => at = parent as usize,
                }
            }
            let mut sum = total[at].unwrap_or(0);
            while let Some(member) = chain.pop() {
                sum = sum.saturating_add(own[member]);
                total[member] = Some(sum);
            }
        }
        for (position, offset) in total.iter().enumerate() {
            let span = spans.start + position;
            let offset = offset.unwrap_or(0);
            forest.start_ns[span] = forest.start_ns[span].saturating_sub(offset);
            forest.end_ns[span] = forest.end_ns[span].saturating_sub(offset);
        }
    }
}
