//! Where failures began, what passed them on and what survived them.

use super::numbers::{amount, arrow, arrow_of, interval, ms, percent, points};
use super::{Page, scrolled};
use crate::analysis::{EntryFailures, ErrorKind, ErrorPart, Pair};
use maud::{Markup, html};

/// Parts shown of each list.
const MAX_PARTS: usize = 25;
/// Entries shown of a part.
const MAX_ENTRIES: usize = 4;
/// A smaller change of the share of failing requests is not shown.
const MIN_CHANGE: f64 = 0.000_5;

pub(super) fn section(page: &Page<'_>) -> Option<Markup> {
    let errors = &page.analysis.errors;
    let moved = |parts: &'_ [ErrorPart]| {
        parts.iter().filter(|part| part.change.abs() >= MIN_CHANGE).cloned().collect::<Vec<_>>()
    };
    let lists = [
        ("Where they began", moved(&errors.originates)),
        ("What passed them on", moved(&errors.propagates)),
        ("What survived them", moved(&errors.swallowed)),
    ];
    if lists.iter().all(|(_, parts)| parts.is_empty()) {
        return None;
    }
    Some(html! {
        p.lead { "Failures per request where their number moved: who began to fail, who failed because of it, and who coped." }
        @for (title, parts) in &lists {
            @if !parts.is_empty() {
                h3 { (title) }
                (scrolled(title, &table(page, title, parts)))
                @if parts.len() > MAX_PARTS { p.muted { (parts.len() - MAX_PARTS) " more are in the JSON." } }
            }
        }
    })
}

fn table(page: &Page<'_>, title: &str, parts: &[ErrorPart]) -> Markup {
    html! {
        table.data {
            caption.sr { (title) }
            thead {
                tr {
                    th scope="col" { "Operation" } th.number scope="col" { "Failures a request" }
                    th.number scope="col" { "Change, points" } th.number.wide scope="col" { "95 % interval" }
                    th.number.wide scope="col" { "Failures" } th scope="col" { "What they say" }
                }
            }
            tbody { @for part in parts.iter().take(MAX_PARTS) { (row(page, part)) } }
        }
    }
}

/// Requests to the entry of these failures; of work in the background, which is no entry, they are not told.
fn requests(page: &Page<'_>, own: &EntryFailures) -> Pair {
    let is_own = |(service, operation): (&String, &String)| (service, operation) == (&own.service, &own.operation);
    let entry = page.analysis.entries.iter().find(|entry| is_own((&entry.service, &entry.operation)));
    entry.map_or(Pair { baseline: 1.0, regression: 1.0 }, |entry| entry.n_requests)
}

fn row(page: &Page<'_>, part: &ErrorPart) -> Markup {
    let n_more = part.entries.len().saturating_sub(MAX_ENTRIES);
    html! {
        tr {
            th scope="row" {
                (page.names.operation(&part.service, &part.operation))
                @match (part.kind, part.limit_ms) {
                    (Some(ErrorKind::LeftNoSpan), _) => { " " span.tag { "left no span" } }
                    (Some(ErrorKind::Timeout), Some(limit)) => { " " span.tag { "timeout " (ms(limit)) " ms" } }
                    (Some(ErrorKind::Timeout), None) => { " " span.tag { "timeout" } }
                    _ => {}
                }
                @if !part.entries.is_empty() {
                    div.muted {
                        "in requests to "
                        @for (index, entry) in part.entries.iter().take(MAX_ENTRIES).enumerate() {
                            @if index > 0 { ", " }
                            (page.names.operation(&entry.service, &entry.operation)) " (" (arrow_of(entry.per_request.where_any(requests(page, entry)), percent)) ")"
                        }
                        @if n_more > 0 { " and " (n_more) " more" }
                    }
                }
            }
            td.number { (arrow(part.per_request, percent)) }
            td.number { (points(part.change)) }
            td.number.wide { (interval(part.interval, points)) }
            td.number.wide { (arrow(part.n_failures, amount)) }
            td {
                @if let Some(seen) = &part.exception {
                    @if let Some(exception) = &seen.exception { span.id { (page.names.name(exception)) } }
                    @if let Some(message) = &seen.message { div.muted { (page.names.name(message)) } }
                } @else { span.muted { "–" } }
            }
        }
    }
}
