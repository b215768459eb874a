//! The dependency graph as a table: who calls whom, how often, how fast and with how many failures.

use super::grid::{Cell, Grid, Kind};
use super::page::Page;
use super::text::{count, counted, percent};
use crate::report::graph::Level;
use crate::time::format_ns;
use crate::topology::{ByWindow, CallStats, GraphDocument, OperationName, Status};
use std::collections::BTreeSet;

/// The graph for a terminal of so many columns, styled with ANSI sequences; the baseline's figures first.
#[must_use]
pub fn text(document: &GraphDocument, level: Level, columns: usize) -> String {
    let mut page = Page::new(columns);
    let n_inferred = document.services.iter().filter(|row| row.is_inferred).count() as u64;
    let inferred =
        if n_inferred > 0 { format!(" ({} without spans of their own)", count(n_inferred)) } else { String::new() };
    let [services, edges] = [(document.services.len(), "service"), (document.service_edges.len(), "edge")]
        .map(|(number, noun)| counted(number as u64, noun));
    page.prose(0, &format!("{services}{inferred}, {edges} between them"));
    page.blank();
    let mut grid = Grid::new(&[
        ("caller", Kind::Name),
        ("callee", Kind::Name),
        ("", Kind::Text),
        ("calls", Kind::Number),
        ("errors", Kind::Number),
        ("p95", Kind::Number),
    ])
    .with_heading();
    match level {
        Level::Service => {
            for edge in &document.service_edges {
                grid.row(row(&edge.caller, &edge.callee, &edge.change));
            }
        }
        Level::Operation => {
            for edge in &document.operation_edges {
                grid.row(row(&operation(&edge.caller), &operation(&edge.callee), &edge.change));
            }
        }
    }
    grid.write(&mut page, 0);
    remarks(&mut page, document, level);
    page.into_text()
}

fn remarks(page: &mut Page, document: &GraphDocument, level: Level) {
    let named = |names: Vec<&str>| names.into_iter().map(name).collect::<Vec<_>>().join(", ");
    let touched: BTreeSet<&str> =
        document.service_edges.iter().flat_map(|edge| [edge.caller.as_str(), edge.callee.as_str()]).collect();
    let services = document.services.iter();
    let lone: Vec<&str> =
        services.clone().map(|row| row.service.as_str()).filter(|service| !touched.contains(service)).collect();
    let inferred: Vec<&str> = services.filter(|row| row.is_inferred).map(|row| row.service.as_str()).collect();
    page.blank();
    if !inferred.is_empty() {
        page.prose(0, &format!("Left no spans of their own: {}", named(inferred)));
    }
    if !lone.is_empty() {
        page.prose(0, &format!("Call no other service and are called by none: {}", named(lone)));
    }
    for cycle in &document.cycles {
        page.prose(0, &format!("Call each other in a circle: {}", named(cycle.iter().map(String::as_str).collect())));
    }
    if level == Level::Operation && document.n_operation_edges_left_out > 0 {
        let edges = counted(document.n_operation_edges_left_out, "edge");
        let operations = counted(document.n_operations_left_out, "operation");
        page.prose(0, &format!("Left out: {edges} with fewer calls, and {operations} that only they touch"));
    }
}

fn name(name: &str) -> String {
    if name.trim().is_empty() { "(no name)".to_owned() } else { name.to_owned() }
}

fn operation(of: &OperationName) -> String {
    format!("{}: {} ({})", name(&of.service), of.operation, of.kind.as_str().to_lowercase())
}

fn row(caller: &str, callee: &str, change: &ByWindow<CallStats>) -> Vec<Cell> {
    let figure = |text: fn(&CallStats) -> String| {
        let mut texts: Vec<String> = change.figures().map(text).collect();
        texts.dedup();
        texts.join(" -> ")
    };
    let status = match change.status() {
        Some(Status::New) => "new",
        Some(Status::Gone) => "gone",
        Some(Status::Both) | None => "",
    };
    vec![
        Cell::text(name(caller)),
        Cell::text(name(callee)),
        Cell::text(status),
        Cell::text(figure(|figures| count(figures.n_calls))),
        Cell::text(figure(|figures| percent(figures.error_ratio))),
        Cell::text(figure(|figures| format_ns(super::graph::from_ms(figures.p95_ms)))),
    ]
}
