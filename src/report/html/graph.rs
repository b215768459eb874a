//! The dependency graph of both windows laid over each other, and the same as tables.

use super::graph_data::{self, Edge, GraphData, LEAST_FAILURES, MAX_NODES, Node};
use super::numbers::{points, signed_ms};
use super::{Page, data, scrolled};
use crate::report::text::{count, counted};
use maud::{Markup, html};

/// The box of a service in the legend.
const BOX: &str = "M4 2H26V14H4Z";
/// Calls in the table.
const MAX_EDGES: usize = 300;

pub(super) fn section(page: &Page<'_>) -> Option<Markup> {
    let graph = graph_data::of(page);
    if graph.nodes.is_empty() {
        return None;
    }
    let n_all = page.analysis.graph.services.len();
    Some(html! {
        p.lead {
            "Who calls whom in both windows at once. Boxes and lines are the larger the more traffic they carry, and the stronger in "
            "colour the more they add to a request, where that is told from none; a number marks a suspect. "
            (counted(n_all as u64, "service")) ", " (counted(page.analysis.graph.service_edges.len() as u64, "way")) " between them."
        }
        div.tools #graph-tools hidden {
            label { "Find " input #graph-search type="search" autocomplete="off" spellcheck="false" placeholder="service"; }
            span.buttons {
                button #graph-in type="button" aria-label="Zoom in" { "+" }
                button #graph-out type="button" aria-label="Zoom out" { "−" }
                button #graph-fit type="button" { "Fit" }
            }
            label { input #graph-unchanged type="checkbox" autocomplete="off"; " Show all services" }
            span #graph-status role="status" {}
        }
        (legend())
        div #graph-view.graph hidden {
            div.canvas {
                svg #graph-svg width="100%" height="100%" role="group" aria-label="Dependency graph: arrow keys go from service to service, Enter shows figures" {}
            }
            div #graph-facts.facts-panel aria-live="polite" {
                p.muted { "Choose a service for its figures." }
                p.muted {
                    "Drag to move, hold Ctrl and turn the wheel to zoom. With the keyboard: arrows go from service to service, "
                    "Enter chooses, Shift and arrows move, + and − zoom, 0 fits."
                }
            }
        }
        p #graph-without.muted { "The picture needs scripts; the tables below say the same." }
        (data("graph-data", &graph))
        details.figures-of {
            summary { "The graph as tables" }
            (scrolled("Services", &services(&graph)))
            (scrolled("Calls between services", &calls(&graph)))
            @if n_all > MAX_NODES { p.muted { (count((n_all - MAX_NODES) as u64)) " less busy services are in the JSON." } }
        }
    })
}

fn legend() -> Markup {
    let key = |class: &str, path: &str, name: &str| {
        html! { li { svg class={ "key node " (class) } aria-hidden="true" width="30" height="16" { path.shape d=(path) {} } (name) } }
    };
    html! {
        ul.legend.of-graph aria-label="Legend" {
            (key("worse-3", BOX, "adds most"))
            (key("worse-1", BOX, "adds some"))
            (key("better-2", BOX, "takes away"))
            (key("level", BOX, "as before"))
            (key("inferred level", "M2 8L8 2H22L28 8L22 14H8Z", "no spans of its own"))
            li {
                svg.key.node.new aria-hidden="true" width="30" height="16" { path.outer d=(BOX) {} path.shape d=(BOX) {} }
                "new"
            }
            (key("gone", BOX, "gone"))
            li { span.rank { "1" } " suspect" }
            li { "▸ entry" }
        }
    }
}

fn services(graph: &GraphData) -> Markup {
    let has_failures = graph.nodes.iter().any(|node| node.adds_failures.abs() >= LEAST_FAILURES);
    let row = |node: &Node| {
        html! {
            tr {
                th scope="row" { bdi { (node.name) } @if node.status != "both" { " " span.tag { (node.status) } } }
                td.number { (signed_ms(node.adds_ms)) }
                @if has_failures { td.number { (points(node.adds_failures)) } }
                @for figure in node.figures.iter().take(5) {
                    td.number { (figure[1]) " → " (figure[2]) }
                }
            }
        }
    };
    html! {
        table.data {
            caption { "Services, baseline and regression" }
            thead {
                tr {
                    th scope="col" { "Service" } th.number scope="col" { "Adds, ms" }
                    @if has_failures { th.number scope="col" { "Adds, points of errors" } }
                    th.number scope="col" { "Calls a request" }
                    th.number scope="col" { "Mean, ms" } th.number scope="col" { "Median, ms" } th.number scope="col" { "p95, ms" }
                    th.number scope="col" { "Failing" }
                }
            }
            tbody { @for node in &graph.nodes { (row(node)) } }
        }
    }
}

fn calls(graph: &GraphData) -> Markup {
    let row = |edge: &Edge| {
        html! {
            tr {
                th scope="row" { bdi { (graph.nodes[edge.from].name) } " → " bdi { (graph.nodes[edge.to].name) } @if edge.status != "both" { " " span.tag { (edge.status) } } }
                td.number { (signed_ms(edge.adds_ms)) }
                td { (edge.figures) }
            }
        }
    };
    let n_more = graph.edges.len().saturating_sub(MAX_EDGES);
    html! {
        table.data {
            caption { "Calls between services" @if n_more > 0 { ", without " (n_more) " that are in the JSON" } }
            thead { tr { th scope="col" { "Calls" } th.number scope="col" { "Adds, ms" } th scope="col" { "Baseline to regression" } } }
            tbody { @for edge in graph.edges.iter().take(MAX_EDGES) { (row(edge)) } }
        }
    }
}
