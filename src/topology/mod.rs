//! The dependency graph: who calls whom, by service and by operation, with calls, errors and latency on every edge.
//!
//! Takes a [`Forest`] and the traces of two windows, or of none, and gives two [`petgraph`] graphs whose nodes and edges
//! say what they did in each window and whether they are new or gone. A call counts once: a client span and the server
//! span that answers it are one call, timed by the client. Peers that report no spans are nodes too.
//!
//! [`shape`] answers what the graph is like: entries, depth, cycles, callers. [`GraphDocument`] is the graph as data.

mod calls;
mod document;
pub mod shape;
mod stats;
pub mod sums;

pub use calls::End;
pub use document::{
    EdgeRow, GraphDocument, MAX_OPERATION_EDGES, OperationEdgeRow, OperationName, OperationRow, SCHEMA_VERSION,
    ServiceRow,
};
pub use stats::{CallStats, NodeStats};

use crate::normalize::Forest;
use crate::span::SpanKind;
use petgraph::graph::{DiGraph, NodeIndex};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// In which windows a node or an edge was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// In both.
    Both,
    /// In the regression only.
    New,
    /// In the baseline only.
    Gone,
}

/// Figures of each window, or of all traces where there are no windows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ByWindow<T> {
    /// Two windows are compared.
    Pair {
        /// Where it was seen.
        status: Status,
        /// In the baseline; absent if it is new.
        baseline: Option<T>,
        /// In the regression; absent if it is gone.
        regression: Option<T>,
    },
    /// There are no windows.
    All {
        /// In all traces.
        all: T,
    },
}

impl<T> ByWindow<T> {
    /// `None` if neither window has figures.
    fn pair(baseline: Option<T>, regression: Option<T>) -> Option<Self> {
        let status = match (&baseline, &regression) {
            (Some(_), Some(_)) => Status::Both,
            (None, Some(_)) => Status::New,
            (Some(_), None) => Status::Gone,
            (None, None) => return None,
        };
        Some(Self::Pair { status, baseline, regression })
    }

    /// Where it was seen; `None` without windows.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        match self {
            Self::Pair { status, .. } => Some(*status),
            Self::All { .. } => None,
        }
    }

    /// The figures there are, the baseline's first.
    pub fn figures(&self) -> impl Iterator<Item = &T> {
        let [first, second] = match self {
            Self::Pair { baseline, regression, .. } => [baseline.as_ref(), regression.as_ref()],
            Self::All { all } => [Some(all), None],
        };
        first.into_iter().chain(second)
    }

    /// The latest figures: the regression's, else the baseline's; all traces' without windows.
    #[must_use]
    pub fn latest(&self) -> Option<&T> {
        self.figures().last()
    }
}

/// A service in the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceNode {
    /// Its name.
    pub service: String,
    /// Whether only its callers' spans tell of it: a database, cache, queue or third party.
    pub is_inferred: bool,
    /// The calls that it answered.
    pub change: ByWindow<NodeStats>,
}

/// An operation in the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationNode {
    /// Its service.
    pub service: String,
    /// Its name, ids folded; empty for an inferred service, whose operations nobody saw.
    pub operation: String,
    /// Kind of its spans; a server's for an inferred service.
    pub kind: SpanKind,
    /// Whether its service is inferred.
    pub is_inferred: bool,
    /// Its spans.
    pub change: ByWindow<NodeStats>,
}

/// Who calls whom. Nodes are in order of their names, edges in order of their ends.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    /// An edge is a service that calls a service, with the calls as the caller saw them.
    pub services: DiGraph<ServiceNode, ByWindow<CallStats>>,
    /// An edge is an operation under which another ran, in the same service or not, with the latter's spans.
    pub operations: DiGraph<OperationNode, ByWindow<CallStats>>,
}

impl Topology {
    /// The service of this name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<NodeIndex> {
        self.services.node_indices().find(|&node| self.services[node].service == name)
    }
}

/// Builds the graph of two windows, given as indices of traces in `forest`.
///
/// Cost: a pass over the spans, and for nodes and edges of each level a counting sort and the search of three quantiles.
#[must_use]
pub fn topology(forest: &Forest, baseline: &[u32], regression: &[u32]) -> Topology {
    topology_with(forest, baseline, regression, None)
}

/// [`topology`] where the calls of the baseline's traces, whose spans were not kept, are added up already.
#[must_use]
pub fn topology_with(forest: &Forest, baseline: &[u32], regression: &[u32], kept: Option<&sums::Sums>) -> Topology {
    calls::build(forest, calls::Windows::Pair([baseline, regression]), kept)
}

/// Builds the graph of all traces, without windows. Costs as much as [`topology`].
#[must_use]
pub fn topology_of_all(forest: &Forest) -> Topology {
    calls::build(forest, calls::Windows::All, None)
}
