//! What changed in what requests are made of, the ways between services, and values that only one window has.

use super::names::shorten;
use super::numbers::{amount, arrow, clock, ms, percent, signed_ms};
use super::{Page, scrolled};
use crate::analysis::{StructureChange, ValueChange};
use crate::compare::structure::Kind;
use crate::drill::presence::Change;
use crate::report::text::counted;
use maud::{Markup, html};

/// Changes, ways and values shown.
const MAX_CHANGES: usize = 60;
const MAX_WAYS: usize = 30;
const MAX_VALUES: usize = 60;
const MAX_ALSO: usize = 4;
/// Ways whose gaps moved less, in ms a call, are not shown.
const MIN_GAP_MS: f64 = 0.05;

pub(super) fn section(page: &Page<'_>) -> Option<Markup> {
    let changes = &page.analysis.structure;
    let ways = ways(page, changes.is_empty());
    if changes.is_empty() && ways.is_none() {
        return None;
    }
    let n_more = changes.len().saturating_sub(MAX_CHANGES);
    let table = html! {
        table.data {
            caption.sr { "Calls that came, went or are made in another way" }
            thead {
                tr {
                    th scope="col" { "Change" } th scope="col" { "Calls" } th.number scope="col" { "Calls a visit" }
                    th.number scope="col" { "ms a request" } th.number.wide scope="col" { "Requests affected" }
                }
            }
            tbody { @for change in changes.iter().take(MAX_CHANGES) { (row(page, change)) } }
        }
    };
    Some(html! {
        @if !changes.is_empty() {
            p.lead { "Calls that came, went, are repeated, run one after the other or are given up, the dearest first." }
            (scrolled("Calls that came, went or are made in another way", &table))
            @if n_more > 0 { p.muted { (n_more) " more are in the JSON." } }
        }
        @if let Some(ways) = ways { (ways) }
    })
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::NewCall => "new call",
        Kind::GoneCall => "gone call",
        Kind::MoreCalls => "more calls",
        Kind::FewerCalls => "fewer calls",
        Kind::NPlusOne => "N+1",
        Kind::RetryStorm => "retry storm",
        Kind::LostParallelism => "less parallel",
        Kind::EarlyReturn => "early return",
        Kind::Silent => "silent",
        Kind::Unobserved => "spans missing",
        Kind::Timeouts => "timeouts",
    }
}

fn row(page: &Page<'_>, change: &StructureChange) -> Markup {
    let is_share = matches!(change.kind, Kind::Silent | Kind::Unobserved | Kind::Timeouts | Kind::LostParallelism);
    html! {
        tr {
            td { span.cause { (kind(change.kind)) } }
            th scope="row" { (page.names.sentence(&change.description)) }
            td.number { (arrow(change.calls_per_visit, if is_share { percent } else { amount })) }
            td.number { (signed_ms(change.contribution_ms)) }
            td.number.wide { (amount(change.requests_affected)) " " span.muted { (percent(change.share_affected)) } }
        }
    }
}

/// Ways between services whose gaps moved, and whom they were given to.
fn ways(page: &Page<'_>, is_alone: bool) -> Option<Markup> {
    let moved = page.analysis.network.iter().flat_map(|way| {
        let parts = way.blamed.iter().filter(|part| part.change_ms.abs() >= MIN_GAP_MS);
        parts.map(move |part| (way, part))
    });
    let moved: Vec<_> = moved.take(MAX_WAYS).collect();
    if moved.is_empty() {
        return None;
    }
    let n_moved = moved.len();
    let table = html! {
        table.data {
            caption.sr { "Ways between services that take longer or shorter, and whom that was given to" }
            thead {
                tr {
                    th scope="col" { "Way" } th scope="col" { "Part" } th.number scope="col" { "ms a call" }
                    th scope="col" { "Given to" } th.wide scope="col" { "Why" }
                }
            }
            tbody {
                @for (way, part) in moved {
                    @let figures = match part.part.as_str() { "before" => way.before_ms, "after" => way.after_ms, _ => way.wait_ms };
                    tr {
                        th scope="row" { (page.names.name(&way.edge.caller)) span.muted { " → " } (page.names.name(&way.edge.callee)) }
                        td { (if part.part == "wait" { "waiting for" } else { part.part.as_str() }) " the answer" }
                        td.number { (arrow(figures, ms)) }
                        td { (page.names.name(&part.service)) }
                        td.wide { (page.names.sentence(&part.reason)) }
                    }
                }
            }
        }
    };
    Some(html! {
        // Where nothing else is in the section it is no mere detail, on paper either.
        details class=(if is_alone { "plain printed" } else { "figures-of" }) {
            summary { "The ways between services: " (counted(n_moved as u64, "gap")) " between a caller's span and its callee's that moved (network, queue, pool or proxy)" }
            (scrolled("The ways between services", &table))
        }
    })
}

/// Versions, hosts, pods and the like that only one window has.
pub(super) fn values(page: &Page<'_>) -> Option<Markup> {
    let values = &page.analysis.new_values;
    if values.is_empty() {
        return None;
    }
    let table = html! {
        table.data {
            caption.sr { "Values that only one window has" }
            thead {
                tr {
                    th scope="col" { "" span.sr { "New or gone" } } th scope="col" { "Service" } th scope="col" { "Value" }
                    th.number scope="col" { "Of its spans" } th scope="col" { "Seen" }
                }
            }
            tbody { @for value in values.iter().take(MAX_VALUES) { (value_row(page, value)) } }
        }
    };
    let n_more = values.len().saturating_sub(MAX_VALUES);
    Some(html! {
        p.lead { "Versions, hosts, pods and the like that only one window has, whether or not they carry the change." }
        (scrolled("Values that only one window has", &table))
        @if n_more > 0 { p.muted { (n_more) " more are in the JSON." } }
    })
}

fn value_row(page: &Page<'_>, value: &ValueChange) -> Markup {
    let (word, when) = match value.change {
        Change::New => ("new", "from"),
        Change::Gone => ("gone", "until"),
    };
    html! {
        tr {
            td { span.tag { (word) } }
            td { (page.names.name(&value.service)) }
            th scope="row" {
                bdi.id { (shorten(&value.key, 60)) } "=" (page.names.name(&value.value))
                @if let Some(before) = &value.replaces { span.muted { " instead of " } (page.names.name(before)) }
                @if !value.also.is_empty() {
                    div.muted {
                        "with "
                        @for (index, also) in value.also.iter().take(MAX_ALSO).enumerate() {
                            @if index > 0 { ", " } (page.names.name(also))
                        }
                        @if value.also.len() > MAX_ALSO { " and " (value.also.len() - MAX_ALSO) " more" }
                    }
                }
            }
            td.number { (percent(value.share_of_spans)) }
            td.nowrap { (when) " " (clock(value.seen_unix_ns)) }
        }
    }
}
