//! What a dependency graph is like: where requests enter, how deep it is, what calls in circles, who depends on whom.

use petgraph::Direction::{Incoming, Outgoing};
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Dfs, IntoNeighbors, Reversed, Visitable};

/// Nodes that nobody else calls, in node order.
#[must_use]
pub fn entries<N, E>(graph: &DiGraph<N, E>) -> Vec<NodeIndex> {
    graph.node_indices().filter(|&node| graph.neighbors_directed(node, Incoming).all(|caller| caller == node)).collect()
}

/// Groups of two or more nodes that all reach each other: cyclic dependencies. Sorted within and among each other.
#[must_use]
pub fn cycles<N, E>(graph: &DiGraph<N, E>) -> Vec<Vec<NodeIndex>> {
    let mut cycles: Vec<_> = kosaraju_scc(graph).into_iter().filter(|component| component.len() > 1).collect();
    for cycle in &mut cycles {
        cycle.sort_unstable();
    }
    cycles.sort_unstable();
    cycles
}

/// Calls on the longest way from an entry to each node, by node index; a cycle counts as one node.
///
/// Linear in nodes and edges.
#[must_use]
pub fn depths<N, E>(graph: &DiGraph<N, E>) -> Vec<u32> {
    // Callees come before their callers, so reversed, every component is final when its callees are reached.
    let components = kosaraju_scc(graph);
    let mut component_of = vec![0; graph.node_count()];
    for (index, component) in components.iter().enumerate() {
        for node in component {
            component_of[node.index()] = index;
        }
    }
    let mut depth = vec![0_u32; components.len()];
    for (index, component) in components.iter().enumerate().rev() {
        for callee in component.iter().flat_map(|&node| graph.neighbors_directed(node, Outgoing)) {
            let below = component_of[callee.index()];
            if below != index {
                depth[below] = depth[below].max(depth[index] + 1);
            }
        }
    }
    component_of.into_iter().map(|component| depth[component]).collect()
}

/// All nodes that call `node`, directly or through others, in node order; itself only as part of a cycle.
#[must_use]
pub fn callers<N, E>(graph: &DiGraph<N, E>, node: NodeIndex) -> Vec<NodeIndex> {
    reached(Reversed(graph), graph.neighbors_directed(node, Incoming))
}

/// All nodes that `node` calls, directly or through others, in node order; itself only as part of a cycle.
#[must_use]
pub fn callees<N, E>(graph: &DiGraph<N, E>, node: NodeIndex) -> Vec<NodeIndex> {
    reached(graph, graph.neighbors_directed(node, Outgoing))
}

fn reached<G>(graph: G, from: impl Iterator<Item = NodeIndex>) -> Vec<NodeIndex>
where
    G: Visitable<NodeId = NodeIndex> + IntoNeighbors,
{
    let mut search = Dfs::from_parts(from.collect(), graph.visit_map());
    let mut all: Vec<NodeIndex> = std::iter::from_fn(|| search.next(graph)).collect();
    all.sort_unstable();
    all
}
