//! Spans become calls between services and between operations, and those become graphs.

use super::stats::{Call, CallStats, Calls, NodeStats};
use super::sums::{Group, GroupSums, Sums};
use super::{ByWindow, OperationNode, ServiceNode, Topology};
use crate::normalize::{Forest, NO_PARENT, Need, SpanFlags, Stretch};
use crate::span::SpanKind;
use hashbrown::HashMap;
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::BTreeMap;

/// Traces to look at, as indices of the forest.
#[derive(Clone, Copy, Debug)]
pub(super) enum Windows<'a> {
    /// Baseline and regression.
    Pair([&'a [u32]; 2]),
    /// All traces.
    All,
}

impl Windows<'_> {
    /// Calls `visit` for every span of every trace, with the trace's first span and what the span is as a call.
    fn for_each(self, forest: &Forest, mut visit: impl FnMut(&Forest, usize, usize, Call)) {
        // Of a trace that a profile tells of the calls are added up already.
        let mut each = |window, stretch: &Stretch<'_>, traces: &[u32]| {
            let forest = stretch.forest;
            for &trace in traces {
                let local = stretch.local(trace);
                let spans = forest.spans_of(local);
                for span in spans.clone() {
                    let call = Call {
                        window,
                        duration_ns: forest.end_ns[span] - forest.start_ns[span],
                        failed: forest.flags[span].has(SpanFlags::FAILED),
                        weight: forest.weight[local],
                    };
                    visit(forest, spans.start, span, call);
                }
            }
        };
        match self {
            Windows::Pair(windows) => {
                for (window, traces) in (0..).zip(windows) {
                    forest.each_stretch(traces, Need::Links, |stretch, traces| each(window, stretch, traces));
                }
            }
            Windows::All => {
                forest.each_stretch_of_all(Need::Links, |stretch, traces| each(0, stretch, traces));
            }
        }
    }

    fn by_window<T>(self, [first, second]: [Option<T>; 2]) -> Option<ByWindow<T>> {
        match self {
            Windows::Pair(_) => ByWindow::pair(first, second),
            Windows::All => first.map(|all| ByWindow::All { all }),
        }
    }
}

pub(super) fn build(forest: &Forest, windows: Windows, kept: Option<&Sums>) -> Topology {
    let (services, operations) = (|| services(forest, windows, kept), || operations(forest, windows, kept));
    let (services, operations) = forest.both(services, operations);
    Topology { services, operations }
}

/// An operation at the end of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// One of the forest's operations, by index.
    Operation(u32),
    /// The unknown one of an inferred service, by the service's index.
    Inferred(u32),
}

/// What a span is to a graph.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen<T> {
    /// A span of a node.
    Span(T),
    /// A call that a node answered.
    Call(T),
    /// A call from a node to another.
    Edge(T, T),
}

/// What `span` is to the graph of services.
pub(super) fn service_facts(forest: &Forest, first: usize, span: usize, mut see: impl FnMut(Seen<u32>)) {
    let service = service_of(forest, span);
    see(Seen::Span(service));
    let parent = parent_of(forest, first, span);
    if begins_work(forest, parent, span) {
        see(Seen::Call(service));
    }
    if let Some((caller, callee)) = service_call(forest, parent, span) {
        see(Seen::Edge(caller, callee));
        if forest.services[callee as usize].is_inferred {
            see(Seen::Call(callee));
        }
    }
}

/// What `span` is to the graph of operations.
pub(super) fn operation_facts(forest: &Forest, first: usize, span: usize, mut see: impl FnMut(Seen<End>)) {
    let operation = End::Operation(forest.operation[span]);
    see(Seen::Span(operation));
    see(Seen::Call(operation));
    let parent = parent_of(forest, first, span);
    if let Some(parent) = parent {
        see(Seen::Edge(End::Operation(forest.operation[parent]), operation));
    }
    if let Some((_, callee)) = service_call(forest, parent, span)
        && forest.services[callee as usize].is_inferred
    {
        see(Seen::Call(End::Inferred(callee)));
        see(Seen::Edge(operation, End::Inferred(callee)));
    }
}

/// Ends of edges by their index.
#[derive(Default)]
struct Edges {
    ends: Vec<(u32, u32)>,
    index: HashMap<(u32, u32), u32, foldhash::fast::FixedState>,
    calls: Calls,
    /// Calls of the first window that were added up already.
    kept: BTreeMap<u32, GroupSums>,
}

impl Edges {
    fn edge(&mut self, ends: (u32, u32)) -> u32 {
        let fresh = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        let edge = *self.index.entry(ends).or_insert(fresh);
        if edge == fresh {
            self.ends.push(ends);
        }
        edge
    }

    /// Adds a call from the first of `ends` to the second.
    fn push(&mut self, ends: (u32, u32), call: Call) {
        let edge = self.edge(ends);
        self.calls.push(edge, call);
    }

    fn keep(&mut self, ends: (u32, u32), sums: &GroupSums) {
        let edge = self.edge(ends);
        self.kept.entry(edge).or_default().absorb(sums);
    }

    /// Adds the edges to `graph` in order of their ends; `nodes` is the node of each end, if it is in the graph.
    fn build<N>(self, windows: Windows, nodes: &[Option<NodeIndex>], graph: &mut DiGraph<N, ByWindow<CallStats>>) {
        let node = |end: u32| nodes.get(end as usize).copied().flatten();
        let mut figures = self.calls.by_group(self.ends.len());
        keep(&mut figures, &self.kept);
        let mut edges: Vec<_> = self
            .ends
            .iter()
            .zip(figures)
            .filter_map(|(&(caller, callee), figures)| {
                Some((node(caller)?, node(callee)?, windows.by_window(figures)?))
            })
            .collect();
        edges.sort_unstable_by_key(|&(caller, callee, _)| (caller, callee));
        for (caller, callee, change) in edges {
            graph.add_edge(caller, callee, change);
        }
    }
}

/// Spans a group and window, and the calls that each group answered.
#[derive(Default)]
struct Nodes {
    n_spans: Vec<[u64; 2]>,
    calls: Calls,
    /// Calls of the first window that were added up already.
    kept: BTreeMap<u32, GroupSums>,
}

/// Sets the figures of the first window where its calls were added up already.
fn keep(figures: &mut [[Option<CallStats>; 2]], kept: &BTreeMap<u32, GroupSums>) {
    for (&group, sums) in kept {
        if let (Some(figures), Some(stats)) = (figures.get_mut(group as usize), sums.stats()) {
            figures[0] = Some(stats);
        }
    }
}

impl Nodes {
    fn span(&mut self, group: u32, window: u32) {
        let group = group as usize;
        if self.n_spans.len() <= group {
            self.n_spans.resize(group + 1, [0; 2]);
        }
        self.n_spans[group][window as usize] += 1;
    }

    fn keep(&mut self, group: u32, sums: &GroupSums) {
        let index = group as usize;
        if self.n_spans.len() <= index {
            self.n_spans.resize(index + 1, [0; 2]);
        }
        self.n_spans[index][0] += sums.n_spans;
        self.kept.entry(group).or_default().absorb(sums);
    }

    /// Figures of each of `n_groups` groups; `None` for a group without calls.
    fn build(self, windows: Windows, n_groups: usize) -> Vec<Option<ByWindow<NodeStats>>> {
        let n_spans = |group: usize, window: usize| self.n_spans.get(group).map_or(0, |n_spans| n_spans[window]);
        let mut figures = self.calls.by_group(n_groups);
        keep(&mut figures, &self.kept);
        let node = |(group, figures): (usize, [Option<CallStats>; 2])| {
            let mut window = 0..;
            windows.by_window(figures.map(|calls| {
                let n_spans = n_spans(group, window.next().unwrap_or(0));
                calls.map(|calls| NodeStats { n_spans, calls })
            }))
        };
        figures.into_iter().enumerate().map(node).collect()
    }
}

fn services(forest: &Forest, windows: Windows, kept: Option<&Sums>) -> DiGraph<ServiceNode, ByWindow<CallStats>> {
    let (mut edges, mut nodes) = (Edges::default(), Nodes::default());
    windows.for_each(forest, |forest, first, span, call| {
        service_facts(forest, first, span, |seen| match seen {
            Seen::Span(service) => nodes.span(service, call.window),
            Seen::Call(service) => nodes.calls.push(service, call),
            Seen::Edge(caller, callee) => edges.push((caller, callee), call),
        });
    });
    for (&group, sums) in kept.iter().flat_map(|kept| &kept.groups) {
        match group {
            Group::Service(service) => nodes.keep(service, sums),
            Group::ServiceEdge(caller, callee) => edges.keep((caller, callee), sums),
            _ => {}
        }
    }
    let mut figures = nodes.build(windows, forest.services.len());
    let mut order: Vec<usize> = (0..forest.services.len()).collect();
    order.sort_unstable_by_key(|&service| &forest.services[service].name);
    let mut graph = DiGraph::new();
    let mut index = vec![None; forest.services.len()];
    for service in order {
        if let Some(change) = figures[service].take() {
            let known = &forest.services[service];
            let node = ServiceNode { service: known.name.clone(), is_inferred: known.is_inferred, change };
            index[service] = Some(graph.add_node(node));
        }
    }
    edges.build(windows, &index, &mut graph);
    graph
}

fn operations(forest: &Forest, windows: Windows, kept: Option<&Sums>) -> DiGraph<OperationNode, ByWindow<CallStats>> {
    let names = OperationNames::of(forest);
    let (mut edges, mut nodes) = (Edges::default(), Nodes::default());
    windows.for_each(forest, |forest, first, span, call| {
        operation_facts(forest, first, span, |seen| match seen {
            Seen::Span(end) => names.end(end).into_iter().for_each(|node| nodes.span(node, call.window)),
            Seen::Call(end) => names.end(end).into_iter().for_each(|node| nodes.calls.push(node, call)),
            Seen::Edge(caller, callee) => {
                if let (Some(caller), Some(callee)) = (names.end(caller), names.end(callee)) {
                    edges.push((caller, callee), call);
                }
            }
        });
    });
    for (&group, sums) in kept.iter().flat_map(|kept| &kept.groups) {
        match group {
            Group::Operation(end) => names.end(end).into_iter().for_each(|node| nodes.keep(node, sums)),
            Group::OperationEdge(caller, callee) => {
                if let (Some(caller), Some(callee)) = (names.end(caller), names.end(callee)) {
                    edges.keep((caller, callee), sums);
                }
            }
            _ => {}
        }
    }
    let mut figures = nodes.build(windows, names.list.len());
    let mut graph = DiGraph::new();
    let mut index = vec![None; names.list.len()];
    // The names are sorted already.
    for (operation, &(service, name, kind)) in names.list.iter().enumerate() {
        if let Some(change) = figures[operation].take() {
            let is_inferred = name.is_none();
            let (service, operation_name) = (service.to_owned(), name.unwrap_or_default().to_owned());
            let node = OperationNode { service, operation: operation_name, kind, is_inferred, change };
            index[operation] = Some(graph.add_node(node));
        }
    }
    edges.build(windows, &index, &mut graph);
    graph
}

/// Operations by service, name and kind: those of the forest, which also differ by peer, merged; and one of unknown
/// name for each inferred service.
struct OperationNames<'a> {
    list: Vec<(&'a str, Option<&'a str>, SpanKind)>,
    /// Index in `list` of each operation of the forest.
    by_operation: Vec<u32>,
    /// Index in `list` of each inferred service.
    by_service: Vec<Option<u32>>,
}

impl OperationNames<'_> {
    /// Index in `list`; none for the unknown operation of a service that reports spans after all.
    fn end(&self, end: End) -> Option<u32> {
        match end {
            End::Operation(operation) => self.by_operation.get(operation as usize).copied(),
            End::Inferred(service) => self.by_service.get(service as usize).copied().flatten(),
        }
    }
}

impl<'a> OperationNames<'a> {
    fn of(forest: &'a Forest) -> Self {
        let named = |index: usize| {
            let operation = forest.operations[index];
            let service = forest.services[operation.service as usize].name.as_str();
            (service, Some(forest.operation_name(operation)), operation.kind)
        };
        let unnamed = |index: usize| {
            let service = &forest.services[index];
            service.is_inferred.then_some((service.name.as_str(), None, SpanKind::Server))
        };
        let mut list: Vec<_> =
            (0..forest.operations.len()).map(named).chain((0..forest.services.len()).filter_map(unnamed)).collect();
        list.sort_unstable();
        list.dedup();
        let find = |name| u32::try_from(list.partition_point(|known| *known < name)).unwrap_or(u32::MAX);
        Self {
            by_operation: (0..forest.operations.len()).map(|index| find(named(index))).collect(),
            by_service: (0..forest.services.len()).map(|index| unnamed(index).map(find)).collect(),
            list,
        }
    }
}

fn service_of(forest: &Forest, span: usize) -> u32 {
    forest.operations[forest.operation[span] as usize].service
}

/// Whom a client or producer span calls, if that is known.
fn peer_of(forest: &Forest, span: usize) -> Option<u32> {
    forest.operations[forest.operation[span] as usize].peer
}

fn parent_of(forest: &Forest, first: usize, span: usize) -> Option<usize> {
    let parent = forest.parent[span];
    (parent != NO_PARENT).then(|| first + parent as usize)
}

/// Whether `span` is where its service takes up work: no parent, one elsewhere, or one that calls its own service.
fn begins_work(forest: &Forest, parent: Option<usize>, span: usize) -> bool {
    let Some(parent) = parent else { return true };
    let answers = matches!(forest.kind(span), SpanKind::Server | SpanKind::Consumer);
    service_of(forest, parent) != service_of(forest, span) || answers && peer_of(forest, parent).is_some()
}

/// The call between services that `span` stands for, as (caller, callee).
///
/// That is a span that names its peer; and one below another service's span, unless it answers what that one calls.
/// A client span below one with the same peer is its inner half: the same call again.
///
/// ```text
/// client -> server                      one call, timed by the client
/// client -> client -> server            one call, timed by the outer client
/// internal -> server of elsewhere       one call, timed by the server
/// client, nothing below                 one call, to the peer
/// ```
fn service_call(forest: &Forest, parent: Option<usize>, span: usize) -> Option<(u32, u32)> {
    let service = service_of(forest, span);
    let caller = parent.map(|parent| (service_of(forest, parent), peer_of(forest, parent)));
    if let Some(peer) = peer_of(forest, span) {
        return (caller != Some((service, Some(peer)))).then_some((service, peer));
    }
    let (caller, peer) = caller?;
    (caller != service && peer != Some(service)).then_some((caller, service))
}
