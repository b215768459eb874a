//! The dependency graph as Graphviz DOT and as Mermaid.
//!
//! Nodes have generated ids, and names stand in quoted labels only, so no name can end a string, open a tag or pass for a
//! keyword. A cylinder is a service that only its callers tell of. What is new is drawn thick, what is gone dashed.

use super::text::{count, counted, escape, fit, percent, total};
use crate::time::format_ns;
use crate::topology::{ByWindow, CallStats, GraphDocument, Status};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// What a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A service.
    Service,
    /// An operation, drawn within its service.
    Operation,
}

/// Columns of a name in a drawing.
const NAME: usize = 60;

/// Mermaid refuses to draw more edges, or a longer text, than this unless its page is configured to.
const MERMAID_EDGES: usize = 500;
const MERMAID_CHARS: usize = 50_000;

/// Renders the graph in the DOT language of Graphviz.
#[must_use]
pub fn dot(document: &GraphDocument, level: Level) -> String {
    let drawing = Drawing::of(document, level);
    let mut text = "digraph suspect {\n".to_owned();
    for note in &drawing.notes {
        _ = writeln!(text, "  // {note}");
    }
    text +=
        "  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\", fontsize=10];\n";
    drawing.nodes_by_group(|group, nodes| {
        if let Some((index, name)) = group {
            _ = writeln!(text, "  subgraph cluster_{index} {{\n    label=\"{}\";", dot_text(name));
        }
        for (index, node) in nodes {
            let shape = if node.is_inferred { ", shape=cylinder" } else { "" };
            let label = dot_label(std::iter::once(node.label.as_str()).chain(status_word(node.status)));
            let indent = if group.is_some() { "    " } else { "  " };
            _ = writeln!(text, "{indent}n{index} [label=\"{label}\"{shape}{}];", dot_style(node.status));
        }
        if group.is_some() {
            text += "  }\n";
        }
    });
    for edge in &drawing.edges {
        let label = dot_label(edge.lines.iter().map(String::as_str));
        let [above, below] = edge.ends;
        _ = writeln!(text, "  n{above} -> n{below} [label=\"{label}\"{}];", dot_style(edge.status));
    }
    text += "}\n";
    text
}

/// Renders the graph as a Mermaid flowchart: as many of the busiest edges as Mermaid draws.
#[must_use]
pub fn mermaid(document: &GraphDocument, level: Level) -> String {
    let mut n_edges = MERMAID_EDGES;
    loop {
        let mut drawing = Drawing::of(document, level);
        drawing.keep_busiest(n_edges);
        let text = flowchart(&drawing);
        // There are at least as many bytes as Mermaid counts characters.
        if text.len() <= MERMAID_CHARS || n_edges == 0 {
            return text;
        }
        n_edges = n_edges * 3 / 4;
    }
}

fn flowchart(drawing: &Drawing) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for note in &drawing.notes {
        // Even in a comment Mermaid obeys what looks like a directive, and a name may.
        _ = writeln!(text, "  %% {}", mermaid_text(note));
    }
    drawing.nodes_by_group(|group, nodes| {
        if let Some((index, name)) = group {
            _ = writeln!(text, "  subgraph s{index}[\"{}\"]", mermaid_text(name));
        }
        for (index, node) in nodes {
            let (open, close) = if node.is_inferred { ("[(", ")]") } else { ("[", "]") };
            let label = mermaid_label(std::iter::once(node.label.as_str()).chain(status_word(node.status)));
            let indent = if group.is_some() { "    " } else { "  " };
            _ = writeln!(text, "{indent}n{index}{open}\"{label}\"{close}");
        }
        if group.is_some() {
            text += "  end\n";
        }
    });
    for edge in &drawing.edges {
        let arrow = match edge.status {
            Some(Status::New) => "==>",
            Some(Status::Gone) => "-.->",
            _ => "-->",
        };
        let label = mermaid_label(edge.lines.iter().map(String::as_str));
        let [above, below] = edge.ends;
        _ = writeln!(text, "  n{above} {arrow}|\"{label}\"| n{below}");
    }
    text
}

struct Node {
    label: String,
    is_inferred: bool,
    status: Option<Status>,
    /// Index of the service around it, if nodes are operations.
    group: Option<usize>,
    is_left_out: bool,
}

struct Edge {
    /// Indices of nodes, the caller first.
    ends: [usize; 2],
    lines: Vec<String>,
    status: Option<Status>,
    n_calls: u64,
}

#[derive(Default)]
struct Drawing {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    groups: Vec<String>,
    notes: Vec<String>,
}

impl Drawing {
    fn of(document: &GraphDocument, level: Level) -> Self {
        match level {
            Level::Service => Self::services(document),
            Level::Operation => Self::operations(document),
        }
    }

    fn services(document: &GraphDocument) -> Self {
        let mut drawing = Self::default();
        let mut index = BTreeMap::new();
        for row in &document.services {
            index.insert(row.service.as_str(), drawing.nodes.len());
            let label = named(&row.service);
            let status = row.change.status();
            drawing.nodes.push(Node { label, is_inferred: row.is_inferred, status, group: None, is_left_out: false });
        }
        for row in &document.service_edges {
            let ends = [&row.caller, &row.callee].map(|name| index.get(name.as_str()).copied());
            drawing.edges.extend(Edge::new(ends, &row.change));
        }
        for cycle in &document.cycles {
            let names: Vec<String> = cycle.iter().map(|name| named(name)).collect();
            drawing.notes.push(format!("these call each other in a circle: {}", names.join(", ")));
        }
        drawing
    }

    fn operations(document: &GraphDocument) -> Self {
        let mut drawing = Self::default();
        let mut index = BTreeMap::new();
        let mut service = None;
        for row in &document.operations {
            if service != Some(&row.name.service) {
                service = Some(&row.name.service);
                drawing.groups.push(named(&row.name.service));
            }
            index.insert(&row.name, drawing.nodes.len());
            let label = if row.is_inferred { named(&row.name.service) } else { operation_label(&row.name) };
            // An inferred service has no operations to draw within it.
            let group = if row.is_inferred { None } else { Some(drawing.groups.len() - 1) };
            let status = row.change.status();
            drawing.nodes.push(Node { label, is_inferred: row.is_inferred, status, group, is_left_out: false });
        }
        for row in &document.operation_edges {
            let ends = [&row.caller, &row.callee].map(|name| index.get(name).copied());
            drawing.edges.extend(Edge::new(ends, &row.change));
        }
        if document.n_operation_edges_left_out > 0 {
            let [edges, nodes] =
                [(document.n_operation_edges_left_out, "edge"), (document.n_operations_left_out, "operation")]
                    .map(|(number, noun)| counted(number, noun));
            drawing.notes.push(format!("left out: {edges} with fewer calls, and {nodes} that only they touch"));
        }
        drawing
    }

    /// Keeps the `limit` edges with the most calls and the nodes that they touch, and notes how many went.
    fn keep_busiest(&mut self, limit: usize) {
        let n_more = self.edges.len().saturating_sub(limit);
        if n_more == 0 && self.nodes.len() <= 2 * limit {
            return;
        }
        self.edges.sort_by_key(|edge| std::cmp::Reverse(edge.n_calls));
        self.edges.truncate(limit);
        self.edges.sort_by_key(|edge| edge.ends);
        let touched: BTreeSet<usize> = self.edges.iter().flat_map(|edge| edge.ends).collect();
        for (index, node) in self.nodes.iter_mut().enumerate() {
            node.is_left_out = !touched.contains(&index);
        }
        let n_nodes = self.nodes.len() - touched.len();
        let [edges, nodes] = [(n_more, "edge"), (n_nodes, "node")].map(|(number, noun)| counted(number as u64, noun));
        self.notes.push(format!("left out: {edges} with fewer calls, and {nodes} that none of the others touches"));
    }

    /// Calls `write` for each run of nodes in one group, with the group's index and name and the nodes with theirs.
    fn nodes_by_group<'a>(&'a self, mut write: impl FnMut(Option<(usize, &'a str)>, Vec<(usize, &'a Node)>)) {
        let numbered: Vec<(usize, &Node)> =
            self.nodes.iter().enumerate().filter(|(_, node)| !node.is_left_out).collect();
        for nodes in numbered.chunk_by(|left, right| left.1.group == right.1.group) {
            let group = nodes.first().and_then(|(_, node)| node.group);
            write(group.map(|index| (index, self.groups[index].as_str())), nodes.to_vec());
        }
    }
}

impl Edge {
    fn new([above, below]: [Option<usize>; 2], change: &ByWindow<CallStats>) -> Option<Self> {
        let mut lines: Vec<String> = status_word(change.status()).map(ToOwned::to_owned).into_iter().collect();
        let figure = |text: fn(&CallStats) -> String| {
            let mut texts: Vec<String> = change.figures().map(text).collect();
            texts.dedup();
            texts.join(" → ")
        };
        let latest = change.latest().map_or(0, |figures| figures.n_calls);
        lines.push(format!("{} call{}", figure(|figures| count(figures.n_calls)), if latest == 1 { "" } else { "s" }));
        if change.figures().any(|figures| figures.n_errors > 0) {
            lines.push(format!("errors {}", figure(|figures| percent(figures.error_ratio))));
        }
        lines.push(format!("p95 {}", figure(|figures| format_ns(from_ms(figures.p95_ms)))));
        let n_calls = total(change.figures().map(|figures| figures.n_calls));
        Some(Self { ends: [above?, below?], lines, status: change.status(), n_calls })
    }
}

fn named(name: &str) -> String {
    if name.trim().is_empty() { "(no name)".to_owned() } else { fit(name, NAME).into_owned() }
}

fn operation_label(name: &crate::topology::OperationName) -> String {
    format!("{} ({})", named(&name.operation), name.kind.as_str().to_lowercase())
}

fn status_word(status: Option<Status>) -> Option<&'static str> {
    match status? {
        Status::New => Some("new"),
        Status::Gone => Some("gone"),
        Status::Both => None,
    }
}

fn dot_style(status: Option<Status>) -> &'static str {
    match status {
        Some(Status::New) => ", style=bold, color=\"#0072b2\"",
        Some(Status::Gone) => ", style=dashed, color=\"#999999\"",
        Some(Status::Both) | None => "",
    }
}

fn dot_label<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.map(dot_text).collect::<Vec<_>>().join("\\n")
}

/// `text` for a quoted label: Graphviz reads backslash sequences and HTML entities there.
fn dot_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in escape(text).chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("&quot;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            _ => out.push(c),
        }
    }
    out
}

fn mermaid_label<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.map(mermaid_text).collect::<Vec<_>>().join("<br/>")
}

/// `text` for a quoted label: Mermaid reads HTML, Markdown and its own syntax there, but no numbered entity as any of these.
fn mermaid_text(text: &str) -> String {
    let text = escape(text);
    let mut out = String::with_capacity(text.len());
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let within_word = [before, rest.peek().copied()].iter().all(|c| c.is_some_and(char::is_alphanumeric));
        let is_plain = match c {
            '/' | ' ' | ':' | ',' => true,
            '-' | '.' | '_' => within_word,
            _ => !c.is_ascii_punctuation(),
        };
        if is_plain {
            out.push(c);
        } else {
            _ = write!(out, "#{};", u32::from(c));
        }
        before = Some(c);
    }
    out
}

#[expect(clippy::cast_possible_truncation, reason = "a duration in milliseconds came from 64-bit nanoseconds")]
pub(super) fn from_ms(duration_ms: f64) -> i64 {
    (duration_ms * 1e6).round() as i64
}
