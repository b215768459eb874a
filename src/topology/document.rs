use super::shape::{cycles, depths, entries};
use super::{ByWindow, CallStats, NodeStats, OperationNode, Topology};
use crate::span::SpanKind;
use petgraph::graph::{DiGraph, EdgeIndex, NodeIndex};
use petgraph::visit::EdgeRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;

/// Version of the JSON form of [`GraphDocument`]; rises when a key changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// Edges between operations that a document holds at most, the busiest: more than anybody looks at, and a few megabytes
/// of JSON. The largest of the public systems at hand has under 1,000; names with ids in them make millions.
pub const MAX_OPERATION_EDGES: usize = 5_000;

/// The dependency graph as data. Lists are sorted by name, so the same input gives the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GraphDocument {
    /// [`SCHEMA_VERSION`] where the graph is a document of its own; absent where it is part of another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<u32>,
    /// Services, those that only their callers tell of included.
    pub services: Vec<ServiceRow>,
    /// Operations: those of the edges that are kept.
    pub operations: Vec<OperationRow>,
    /// Which service calls which.
    pub service_edges: Vec<EdgeRow>,
    /// Under which operation which operation ran; at most [`MAX_OPERATION_EDGES`].
    pub operation_edges: Vec<OperationEdgeRow>,
    /// Groups of services that all call each other, directly or through others.
    pub cycles: Vec<Vec<String>>,
    /// Operations left out because none of their edges is kept.
    pub n_operations_left_out: u64,
    /// Operation edges left out because others are busier.
    pub n_operation_edges_left_out: u64,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceRow {
    /// Its name.
    pub service: String,
    /// Whether only its callers' spans tell of it.
    pub is_inferred: bool,
    /// Whether no other service calls it.
    pub is_entry: bool,
    /// Calls on the longest way to it from an entry; a cycle counts as one service.
    pub depth: u32,
    /// The calls that it answered.
    #[serde(flatten)]
    pub change: ByWindow<NodeStats>,
}

/// What identifies an operation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct OperationName {
    /// Its service.
    pub service: String,
    /// Its name; empty for an inferred service.
    pub operation: String,
    /// Kind of its spans.
    pub kind: SpanKind,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OperationRow {
    /// What identifies it.
    #[serde(flatten)]
    pub name: OperationName,
    /// Whether only its callers' spans tell of its service.
    pub is_inferred: bool,
    /// Whether no other operation is above it.
    pub is_entry: bool,
    /// Edges on the longest way to it from an entry; a cycle counts as one operation.
    pub depth: u32,
    /// Its spans.
    #[serde(flatten)]
    pub change: ByWindow<NodeStats>,
}

/// An edge between services: the calls as the caller saw them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EdgeRow {
    /// Service that calls.
    pub caller: String,
    /// Service that is called.
    pub callee: String,
    /// The calls.
    #[serde(flatten)]
    pub change: ByWindow<CallStats>,
}

/// An edge between operations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OperationEdgeRow {
    /// Operation above.
    pub caller: OperationName,
    /// Operation below.
    pub callee: OperationName,
    /// The spans of the operation below; of the caller where the callee is inferred.
    #[serde(flatten)]
    pub change: ByWindow<CallStats>,
}

impl Topology {
    /// The graph as data, to be part of another document; see [`GraphDocument::standalone`].
    #[must_use]
    pub fn document(&self) -> GraphDocument {
        let name = |node: &NodeIndex| self.services[*node].service.clone();
        let kept = busiest(&self.operations, MAX_OPERATION_EDGES);
        let operations = self.operation_rows(&kept);
        GraphDocument {
            schema_version: None,
            services: self.service_rows(),
            service_edges: self
                .services
                .edge_references()
                .map(|edge| EdgeRow {
                    caller: name(&edge.source()),
                    callee: name(&edge.target()),
                    change: *edge.weight(),
                })
                .collect(),
            operation_edges: kept.iter().filter_map(|&edge| self.operation_edge(edge)).collect(),
            cycles: cycles(&self.services).iter().map(|cycle| cycle.iter().map(name).collect()).collect(),
            n_operations_left_out: (self.operations.node_count() - operations.len()) as u64,
            n_operation_edges_left_out: (self.operations.edge_count() - kept.len()) as u64,
            operations,
        }
    }

    fn service_rows(&self) -> Vec<ServiceRow> {
        let facts = Facts::of(&self.services);
        let row = |node: NodeIndex| {
            let known = &self.services[node];
            ServiceRow {
                service: known.service.clone(),
                is_inferred: known.is_inferred,
                is_entry: facts.is_entry[node.index()],
                depth: facts.depth[node.index()],
                change: known.change,
            }
        };
        self.services.node_indices().map(row).collect()
    }

    fn operation_rows(&self, kept: &[EdgeIndex]) -> Vec<OperationRow> {
        let facts = Facts::of(&self.operations);
        let mut touched = vec![kept.len() == self.operations.edge_count(); self.operations.node_count()];
        for (above, below) in kept.iter().filter_map(|&edge| self.operations.edge_endpoints(edge)) {
            touched[above.index()] = true;
            touched[below.index()] = true;
        }
        let row = |node: NodeIndex| {
            let known = &self.operations[node];
            OperationRow {
                name: operation_name(known),
                is_inferred: known.is_inferred,
                is_entry: facts.is_entry[node.index()],
                depth: facts.depth[node.index()],
                change: known.change,
            }
        };
        self.operations.node_indices().filter(|node| touched[node.index()]).map(row).collect()
    }

    fn operation_edge(&self, edge: EdgeIndex) -> Option<OperationEdgeRow> {
        let (above, below) = self.operations.edge_endpoints(edge)?;
        Some(OperationEdgeRow {
            caller: operation_name(&self.operations[above]),
            callee: operation_name(&self.operations[below]),
            change: *self.operations.edge_weight(edge)?,
        })
    }
}

impl GraphDocument {
    /// The document with a schema version, to stand alone.
    #[must_use]
    pub fn standalone(self) -> Self {
        Self { schema_version: Some(SCHEMA_VERSION), ..self }
    }
}

fn operation_name(node: &OperationNode) -> OperationName {
    OperationName { service: node.service.clone(), operation: node.operation.clone(), kind: node.kind }
}

/// The `limit` edges with the most calls, in the graph's order.
fn busiest<N>(graph: &DiGraph<N, ByWindow<CallStats>>, limit: usize) -> Vec<EdgeIndex> {
    let n_calls = |edge: EdgeIndex| -> u64 {
        graph.edge_weight(edge).map_or(0, |change| change.figures().map(|figures| figures.n_calls).sum())
    };
    let mut edges: Vec<EdgeIndex> = graph.edge_indices().collect();
    if edges.len() > limit {
        edges.sort_by_key(|&edge| (Reverse(n_calls(edge)), edge));
        edges.truncate(limit);
        edges.sort_unstable();
    }
    edges
}

/// Facts of each node that follow from the whole graph.
struct Facts {
    is_entry: Vec<bool>,
    depth: Vec<u32>,
}

impl Facts {
    fn of<N, E>(graph: &DiGraph<N, E>) -> Self {
        let mut is_entry = vec![false; graph.node_count()];
        for node in entries(graph) {
            is_entry[node.index()] = true;
        }
        Self { is_entry, depth: depths(graph) }
    }
}
