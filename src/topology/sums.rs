//! Calls of a dependency graph added up, for data whose spans are not kept.
//!
//! A group is a node or an edge of either level. Its calls are a histogram of durations: exact as long as they are few, above that with
//! durations rounded to eight significant bits, so that a quantile is right to 0.4 %, and an exact sum. Histograms add up
//! to the same whatever the order.

use super::calls::{End, Seen, operation_facts, service_facts};
use super::stats::{CallStats, figures_of};
use crate::normalize::{Forest, Need, SpanFlags};
use std::collections::BTreeMap;

/// So many calls of a group are kept to the nanosecond.
pub const EXACT_CALLS: u64 = 4_096;
/// So many calls of a group wait to be added up.
const MAX_WAITING: usize = 1 << 14;
/// Significant bits of a duration beyond that.
const BITS: u32 = 8;

/// What of the graph calls are added up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// A service, by index.
    Service(u32),
    /// Calls between two services.
    ServiceEdge(u32, u32),
    /// An operation, or an inferred service's unknown one.
    Operation(End),
    /// Calls between two operations.
    OperationEdge(End, End),
}

/// Calls alike: duration, bits of the weight, whether they failed.
type Alike = (i64, u64, bool);

/// Calls and spans of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupSums {
    /// Spans of a node.
    pub n_spans: u64,
    /// Number of calls by duration in nanoseconds, weight and failure.
    pub calls: BTreeMap<Alike, u64>,
    /// Sum of durations by weight and failure, nanoseconds.
    pub sums_ns: BTreeMap<(u64, bool), i128>,
    /// Whether durations are rounded.
    pub is_rounded: bool,
}

impl GroupSums {
    /// Number of calls.
    #[must_use]
    pub fn n_calls(&self) -> u64 {
        self.calls.values().sum()
    }

    /// Adds calls, and leaves none.
    fn take(&mut self, calls: &mut Vec<Alike>) {
        self.is_rounded |= calls.len() as u64 > EXACT_CALLS;
        for (duration_ns, weight, failed) in calls.drain(..) {
            *self.sums_ns.entry((weight, failed)).or_default() += i128::from(duration_ns);
            let duration_ns = if self.is_rounded { rounded(duration_ns) } else { duration_ns };
            *self.calls.entry((duration_ns, weight, failed)).or_default() += 1;
        }
        self.settle();
    }

    fn settle(&mut self) {
        if !self.is_rounded && self.n_calls() > EXACT_CALLS {
            self.is_rounded = true;
            for ((duration_ns, weight, failed), count) in std::mem::take(&mut self.calls) {
                *self.calls.entry((rounded(duration_ns), weight, failed)).or_default() += count;
            }
        }
    }

    /// Adds the calls of others.
    pub fn absorb(&mut self, other: &Self) {
        self.n_spans = self.n_spans.saturating_add(other.n_spans);
        for (&key, &sum_ns) in &other.sums_ns {
            let sum = self.sums_ns.entry(key).or_default();
            *sum = sum.saturating_add(sum_ns);
        }
        self.is_rounded |= other.is_rounded;
        let round = self.is_rounded;
        let own = std::mem::take(&mut self.calls);
        for ((duration_ns, weight, failed), count) in own.into_iter().chain(other.calls.clone()) {
            let duration_ns = if round { rounded(duration_ns) } else { duration_ns };
            let known = self.calls.entry((duration_ns, weight, failed)).or_default();
            *known = known.saturating_add(count);
        }
        self.settle();
    }

    /// The figures of the calls; none without a call.
    pub(super) fn stats(&self) -> Option<CallStats> {
        let mut stats = figures_of(&self.calls)?;
        if self.is_rounded {
            // An empty sum of floats is -0.
            let sum_ns: f64 =
                0.0 + self.sums_ns.iter().map(|(&(weight, _), &sum)| f64::from_bits(weight) * sum as f64).sum::<f64>();
            stats.mean_ms = sum_ns / stats.weighted_calls / 1e6;
        }
        Some(stats)
    }
}

/// The nearest duration with few significant bits.
fn rounded(duration_ns: i64) -> i64 {
    let size = duration_ns.unsigned_abs();
    let shift = (u64::BITS - size.leading_zeros()).saturating_sub(BITS);
    if shift == 0 {
        return duration_ns;
    }
    // The middle of what has the same leading bits, itself with these bits.
    let middle = (size >> shift << shift) | 1 << (shift - 1);
    i64::try_from(middle).unwrap_or(i64::MAX).saturating_mul(duration_ns.signum())
}

/// The sums of a graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// By group; services and operations are those of the forest.
    pub groups: BTreeMap<Group, GroupSums>,
}

impl Sums {
    /// Adds up the calls in `traces` of `forest`.
    #[must_use]
    pub fn of(forest: &Forest, traces: &[u32]) -> Self {
        // Calls of a group wait until they are many: maps are slow to fill.
        let mut groups: hashbrown::HashMap<Group, (GroupSums, Vec<Alike>), foldhash::fast::FixedState> =
            hashbrown::HashMap::default();
        let mut each = |forest: &Forest, trace: usize| {
            let spans = forest.spans_of(trace);
            let weight = forest.weight[trace].to_bits();
            for span in spans.clone() {
                let duration_ns = forest.end_ns[span] - forest.start_ns[span];
                let call = (duration_ns, weight, forest.flags[span].has(SpanFlags::FAILED));
                let mut see = |group: Group, is_call: bool| {
                    let (sums, waiting) = groups.entry(group).or_default();
                    if !is_call {
                        sums.n_spans += 1;
                        return;
                    }
                    waiting.push(call);
                    if waiting.len() == MAX_WAITING {
                        sums.take(waiting);
                    }
                };
                service_facts(forest, spans.start, span, |seen| match seen {
                    Seen::Span(service) => see(Group::Service(service), false),
                    Seen::Call(service) => see(Group::Service(service), true),
                    Seen::Edge(caller, callee) => see(Group::ServiceEdge(caller, callee), true),
                });
                operation_facts(forest, spans.start, span, |seen| match seen {
                    Seen::Span(operation) => see(Group::Operation(operation), false),
                    Seen::Call(operation) => see(Group::Operation(operation), true),
                    Seen::Edge(caller, callee) => see(Group::OperationEdge(caller, callee), true),
                });
            }
        };
        forest.each_stretch(traces, Need::Links, |stretch, traces| {
            for &trace in traces {
                each(stretch.forest, stretch.local(trace));
            }
        });
        let group = |(group, (mut sums, mut waiting)): (Group, (GroupSums, Vec<Alike>))| {
            sums.take(&mut waiting);
            (group, sums)
        };
        Self { groups: groups.into_iter().map(group).collect() }
    }

    /// The same with other numbers for services and operations; groups that become one add up.
    #[must_use]
    pub fn renumbered(&self, services: &[u32], operations: &[u32]) -> Self {
        let service = |index: u32| services[index as usize];
        let end = |end: End| match end {
            End::Operation(index) => End::Operation(operations[index as usize]),
            End::Inferred(index) => End::Inferred(service(index)),
        };
        let mut result = Self::default();
        for (&group, sums) in &self.groups {
            let group = match group {
                Group::Service(index) => Group::Service(service(index)),
                Group::ServiceEdge(caller, callee) => Group::ServiceEdge(service(caller), service(callee)),
                Group::Operation(own) => Group::Operation(end(own)),
                Group::OperationEdge(caller, callee) => Group::OperationEdge(end(caller), end(callee)),
            };
            result.groups.entry(group).or_default().absorb(sums);
        }
        result
    }

    /// Adds the sums of other data.
    pub fn absorb(&mut self, other: &Self) {
        for (&group, sums) in &other.groups {
            self.groups.entry(group).or_default().absorb(sums);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Alike, EXACT_CALLS, GroupSums, rounded};

    #[test]
    fn a_rounded_duration_is_right_to_four_in_a_thousand_and_rounds_to_itself() {
        for duration_ns in [0, 1, 255, 256, 1_000, 123_456_789, i64::MAX, -5_000_000_123] {
            let near = rounded(duration_ns);
            assert!((near - duration_ns).unsigned_abs() as f64 <= 0.004 * duration_ns.unsigned_abs() as f64);
            assert_eq!(rounded(near), near);
        }
    }

    #[test]
    fn calls_that_come_in_parts_add_up_as_those_that_come_at_once() {
        let call = |place: u64| -> Alike {
            let random = crate::stats::random(3, place, 0);
            let weight = if random.is_multiple_of(3) { 2.5_f64 } else { 1.0 };
            (i64::try_from(random >> 30).expect("it fits"), weight.to_bits(), random.is_multiple_of(7))
        };
        for n_calls in [0, 1, EXACT_CALLS, EXACT_CALLS + 1, 3 * EXACT_CALLS] {
            let of_parts = |size: u64| {
                let mut sums = GroupSums::default();
                for part in (0..n_calls).collect::<Vec<u64>>().chunks(usize::try_from(size).expect("it fits")) {
                    sums.take(&mut part.iter().map(|&place| call(place)).collect());
                }
                sums
            };
            let whole = of_parts(n_calls.max(1));
            assert_eq!((whole.n_calls(), whole.is_rounded), (n_calls, n_calls > EXACT_CALLS));
            for size in [1, 1_000, EXACT_CALLS] {
                assert!(of_parts(size) == whole, "{n_calls} calls in parts of {size}");
            }
        }
    }
}
