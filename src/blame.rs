//! The blame walk: gives every instant of a request to exactly one of its spans.
//!
//! ```text
//! root   |-------------------------------------------|
//! A         |--------|      |-----------|
//! B             |--------------|            (beside the first call of A, before the second)
//! blame  rrrrrrrBBBBBBBBBBBBAAAAAAAAAAAAArrrrrrrrrrrrr
//! ```
//!
//! From the end of a span backwards, the time belongs to the child that ended last before it, and to the span itself where no child
//! runs. Integer nanoseconds are cut, never rounded, so the segments of a request sum to its duration exactly.
//!
//! A sibling that still runs when the next one begins did not hold that one up: if most of its time lies beside it, nobody waited for it, and
//! the head before belongs to the span itself, as in `jaeger-ui` and CRISP. If less does, they ran one after the other by clocks that
//! are a little off, and the head stays with it: those would drop all of its time. (To leave every head with its call lets one
//! that starts 10 µs before the call beside it count as waited for, with next to no time: what the other call adds was then
//! told three times too large. On 98 labelled cases of three public systems, whose calls are mostly sequential, it gave every culprit the
//! same place and every case the same verdict.)
//!
//! A retry begins when the try before it has failed: the wait between the two is charged to the retry.

use crate::normalize::{Forest, NO_PARENT, SpanFlags};
use crate::span::SpanKind;

/// Why an instant belongs to a span.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum BlameKind {
    /// The span worked, or waited for nothing that left a span.
    Own,
    /// A client span ran and the span that answers it did not: network, connection pool, queue, proxy.
    Gap,
    /// A client span waited for a peer that left no span.
    Peer,
    /// A caller waited before it tried again.
    Backoff,
}

impl BlameKind {
    /// Which part of a span's cost it is: 0 the span itself, or the gap after its answer; 1 the gap before its answer, where it `begins`
    /// with the span; 2 waiting for a peer that left no span, or before a retry.
    #[must_use]
    pub fn part(self, begins: bool) -> usize {
        match self {
            Self::Gap if begins => 1,
            Self::Own | Self::Gap => 0,
            Self::Peer | Self::Backoff => 2,
        }
    }
}

/// What a walk tells of a request; `Node` is the sink's own name for a call path.
pub trait BlameSink {
    /// Name of a call path.
    type Node: Copy;

    /// Span `span` is called at `parent` (`None` for the top of a request), whether or not anybody waited for it.
    fn call(&mut self, parent: Option<Self::Node>, span: usize, is_retry: bool) -> Self::Node;

    /// Span `span` is on the blamed path.
    fn visit(&mut self, node: Self::Node, span: usize);

    /// Span `span`, which was called, is not on the blamed path: others ran as long as it did. [`Walker::walk_hidden`] goes on from here.
    fn hide(&mut self, _node: Self::Node, _span: usize) {}

    /// The instants `start_ns..end_ns` belong to span `span`; never empty.
    fn blame(&mut self, node: Self::Node, span: usize, kind: BlameKind, start_ns: i64, end_ns: i64);
}

/// Buffers of the walk, reused from trace to trace.
#[derive(Debug, Default)]
pub struct Walker {
    /// Children that are waited for: those of position `p` are `children[starts[p]..starts[p + 1]]`, latest end first.
    starts: Vec<u32>,
    children: Vec<u32>,
    /// For each position the failed try that it repeats, or [`NO_PARENT`].
    repeats: Vec<u32>,
    /// Whether anything at all is below a position, waited for or not.
    has_child: Vec<bool>,
    by_operation: Vec<u32>,
}

impl Walker {
    /// Prepares the walk of trace `trace`.
    pub fn load(&mut self, forest: &Forest, trace: usize) {
        let spans = forest.spans_of(trace);
        let first = spans.start;
        let n_spans = spans.len();
        self.starts.clear();
        self.starts.resize(n_spans + 1, 0);
        self.has_child.clear();
        self.has_child.resize(n_spans, false);
        let mut any_failed = false;
        for span in spans.clone() {
            any_failed |= forest.flags[span].has(SpanFlags::FAILED);
            if forest.parent[span] != NO_PARENT {
                self.has_child[forest.parent[span] as usize] = true;
            }
            if !forest.is_top(span) {
                self.starts[forest.parent[span] as usize + 1] += 1;
            }
        }
        for position in 0..n_spans {
            self.starts[position + 1] += self.starts[position];
        }
        self.children.clear();
        self.children.resize(self.starts[n_spans] as usize, 0);
        // Filled from the back, which leaves `starts[p]` where the children of `p` begin.
        for span in spans.clone().filter(|&span| !forest.is_top(span)) {
            let slot = &mut self.starts[forest.parent[span] as usize + 1];
            *slot -= 1;
            self.children[*slot as usize] = position(span - first);
        }
        self.starts.remove(0);
        self.starts.push(position(self.children.len()));
        for parent in 0..n_spans {
            let range = self.starts[parent] as usize..self.starts[parent + 1] as usize;
            self.children[range].sort_unstable_by_key(|&child| {
                let span = first + child as usize;
                (std::cmp::Reverse(forest.end_ns[span]), std::cmp::Reverse(forest.start_ns[span]), child)
            });
        }
        self.repeats.clear();
        self.repeats.resize(n_spans, NO_PARENT);
        if any_failed {
            self.find_retries(forest, first);
        }
    }

    /// Children of the span at `parent` that are waited for, latest end first, as positions in the trace.
    #[must_use]
    pub fn children(&self, parent: usize) -> &[u32] {
        &self.children[self.starts[parent] as usize..self.starts[parent + 1] as usize]
    }

    /// Whether the span at `position` repeats a failed try of the same call.
    #[must_use]
    pub fn is_retry(&self, position: usize) -> bool {
        self.repeats[position] != NO_PARENT
    }

    /// Whether any span names the one at `position` as its parent.
    #[must_use]
    pub fn has_child(&self, position: usize) -> bool {
        self.has_child[position]
    }

    /// A call repeats the one before it of the same operation and peer if that one had failed when it began.
    fn find_retries(&mut self, forest: &Forest, first: usize) {
        for parent in 0..self.starts.len() - 1 {
            let range = self.starts[parent] as usize..self.starts[parent + 1] as usize;
            let at = |child: u32| first + child as usize;
            if range.len() < 2
                || !self.children[range.clone()].iter().any(|&child| forest.flags[at(child)].has(SpanFlags::FAILED))
            {
                continue;
            }
            self.by_operation.clear();
            self.by_operation.extend_from_slice(&self.children[range]);
            self.by_operation.retain(|&child| forest.kind(at(child)) != SpanKind::Internal);
            self.by_operation
                .sort_unstable_by_key(|&child| (forest.operation[at(child)], forest.start_ns[at(child)], child));
            for pair in self.by_operation.windows(2) {
                let (before, after) = (at(pair[0]), at(pair[1]));
                if forest.operation[before] == forest.operation[after]
                    && forest.flags[before].has(SpanFlags::FAILED)
                    && forest.end_ns[before] <= forest.start_ns[after]
                {
                    self.repeats[pair[1] as usize] = pair[0];
                }
            }
        }
    }

    /// Walks the request that begins with span `top` of the loaded trace, whose first span is `first`.
    pub fn walk<S: BlameSink>(&self, forest: &Forest, first: usize, top: usize, sink: &mut S) {
        let root = sink.call(None, top, false);
        self.descend::<false, S>(forest, first, (root, top), sink);
    }

    /// Walks the call of `span` at `node`, which nobody waited for, and all calls below it, each over all of its own time: what it spends is
    /// blamed on it as if its caller had waited for nothing else. Every span below is visited.
    pub fn walk_hidden<S: BlameSink>(
        &self,
        forest: &Forest,
        first: usize,
        (node, span): (S::Node, usize),
        sink: &mut S,
    ) {
        self.descend::<true, S>(forest, first, (node, span), sink);
    }

    /// `WHOLE`: calls are not cut to the time in which their caller waits for them.
    fn descend<const WHOLE: bool, S: BlameSink>(
        &self,
        forest: &Forest,
        first: usize,
        (root, top): (S::Node, usize),
        sink: &mut S,
    ) {
        // A stack of its own: traces can be deeper than the thread's.
        let mut stack = vec![(top, root, forest.start_ns[top], forest.end_ns[top])];
        while let Some((span, node, low, high)) = stack.pop() {
            sink.visit(node, span);
            let own = self.own_kind(forest, first, span);
            let mut now = high;
            let mut retry: Option<(S::Node, usize, u32)> = None;
            // Whether the time left ends where a sibling begins.
            let mut is_cut = false;
            for &child in self.children(span - first) {
                let child_span = first + child as usize;
                let repeats = self.repeats[child as usize];
                let child_node = sink.call(Some(node), child_span, repeats != NO_PARENT);
                let (child_start, child_end) = (forest.start_ns[child_span], forest.end_ns[child_span]);
                let end = child_end.min(now);
                if WHOLE {
                    stack.push((child_span, child_node, child_start, child_end));
                }
                let is_beside = is_cut && runs_beside(child_start.max(low), child_end.min(high), now);
                if child_start >= now || end < low || is_beside {
                    if !WHOLE {
                        sink.hide(child_node, child_span);
                    }
                    continue;
                }
                if end < now {
                    match retry {
                        Some((node, span, failed)) if failed == child => {
                            sink.blame(node, span, BlameKind::Backoff, end, now);
                        }
                        _ => sink.blame(node, span, own, end, now),
                    }
                }
                let start = child_start.max(low);
                if !WHOLE {
                    stack.push((child_span, child_node, start, end));
                }
                now = start;
                is_cut = true;
                retry = (repeats != NO_PARENT).then_some((child_node, child_span, repeats));
            }
            if low < now {
                sink.blame(node, span, own, low, now);
            }
        }
    }

    /// What the time of `span` outside its children is.
    fn own_kind(&self, forest: &Forest, first: usize, span: usize) -> BlameKind {
        match forest.operations[forest.operation[span] as usize].peer {
            None => BlameKind::Own,
            Some(peer) if forest.services[peer as usize].is_inferred || !self.has_child(span - first) => {
                BlameKind::Peer
            }
            Some(_) => BlameKind::Gap,
        }
    }
}

/// Whether a call of `start..end` ran for most of its time beside a sibling that began at `next`.
fn runs_beside(start: i64, end: i64, next: i64) -> bool {
    end > next && next.saturating_sub(start) < end.saturating_sub(next)
}

fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
