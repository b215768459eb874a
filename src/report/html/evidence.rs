//! What a suspect opens to: why it is accused and what speaks against it, whom to call, whom it hurt, how it reached them,
//! which attribute values carry it, and the traces that show it.

use super::names::shorten;
use super::numbers::{amount, arrow, arrow_of, interval, ms, percent, points, signed_ms};
use super::suspects::label;
use super::verdict::contribution_words;
use super::{Page, links, scrolled};
use crate::analysis::{Carrier, Exemplar, Impact, OperationAccount, Owner, PropagationPath, Suspect};
use crate::drill::Of;
use crate::rank::Channel;
use crate::report::analysis::{told_ms, told_seconds};
use crate::report::text::{counted, of_it};
use maud::{Markup, html};

/// Ways shown of a suspect.
const MAX_PATHS: usize = 6;
/// Steps shown of a way: of a longer one the middle is left out.
const MAX_HOPS: usize = 16;
/// Entries shown.
const MAX_ENTRIES: usize = 10;
/// Attribute values shown, and others that mean the same calls.
const MAX_CARRIERS: usize = 12;
const MAX_ALSO: usize = 4;

pub(super) fn of(page: &Page<'_>, suspect: &Suspect) -> Markup {
    let is_shown = |pair: &&crate::analysis::TracePair| pair.suspect == suspect.rank;
    html! {
        dl.facts {
            dt { "Why" }
            dd { (page.names.sentence(&suspect.reason)) }
            dt { "What would overturn it" }
            dd {
                @if suspect.overturned_by.is_empty() { "Nothing in the data speaks against it." (would_overturn(page, suspect)) } @else {
                    ul.plain { @for sentence in &suspect.overturned_by { li { (page.names.sentence(sentence)) } } }
                }
            }
            @if let Some(accused) = accused_for(page, suspect) { dt { "Accused for" } dd { (accused) } }
            dt { "Contribution" }
            dd { (contribution_words(&suspect.contribution)) }
            dt { "A call of it" }
            dd {
                (arrow_of(suspect.per_call_ms.where_any(suspect.calls_per_request), ms)) " ms; " (arrow(suspect.calls_per_request, amount)) " calls a request"
            }
            @if let Some(owner) = &suspect.owner { dt { "Whom to call" } dd { (whom(owner)) } }
            @if suspect.impact.n_requests > 0.0 || suspect.impact.n_requests_hurt > 0.0 { dt { "Whom it hurt" } dd { (impact(page, suspect)) } }
        }
        @if !suspect.paths.is_empty() {
            h3 { "How it reached the entries" }
            @for path in suspect.paths.iter().take(MAX_PATHS) { (way(page, path, suspect.channel)) }
            @if suspect.paths.len() > MAX_PATHS { p.muted { (suspect.paths.len() - MAX_PATHS) " more ways are in the JSON." } }
        }
        (carriers(page, suspect))
        @if !suspect.exemplars.is_empty() {
            h3 { "Traces that show it" }
            (exemplars(page, &suspect.exemplars))
            @if page.analysis.traces.iter().any(|pair| is_shown(&pair)) {
                p { a href={ "#traces-" (suspect.rank) } { "Span by span beside an ordinary request" } }
            }
        }
    }
}

/// The requests that it is accused for, where those are not all, and what it adds to them.
fn accused_for(page: &Page<'_>, suspect: &Suspect) -> Option<String> {
    let is_own = |account: &&OperationAccount| {
        (&account.service, &account.operation, &account.edge) == (&suspect.service, &suspect.operation, &suspect.edge)
    };
    let own = page.analysis.operations.iter().find(is_own)?;
    let (which, ms, bounds) = match suspect.channel {
        Channel::TypicalLatency => ("typical requests", own.typical_ms, own.typical_interval_ms),
        Channel::TailLatency => ("the slowest 5 % of requests", own.tail_ms, own.tail_interval_ms),
        Channel::Errors if suspect.contribution.ms < 0.0 => {
            let own = &suspect.contribution;
            let bounds = interval(own.error_ratio_interval, points);
            return Some(format!("requests that fail: {} points, 95 % interval {bounds}", points(own.error_ratio)));
        }
        Channel::Latency | Channel::Errors | Channel::MissingCalls => return None,
    };
    Some(format!("{which}: {} ms for each of them, 95 % interval {}", signed_ms(ms), interval(bounds, signed_ms)))
}

/// What more data would have to show, where those at hand show nothing against it: its interval at zero, another service first.
fn would_overturn(page: &Page<'_>, suspect: &Suspect) -> Markup {
    let contribution = &suspect.contribution;
    let is_certain = |bounds: [f64; 2]| bounds[0] > 0.0 || bounds[1] < 0.0;
    let of_errors = (is_certain(contribution.error_ratio_interval) && !contribution.fails_in_background())
        .then(|| format!("{} points of failing requests", interval(contribution.error_ratio_interval, points)));
    let of_latency = is_certain(contribution.interval_ms)
        .then(|| format!("{} ms a request", interval(contribution.interval_ms, signed_ms)));
    let is_by_errors = ["errors", "timeouts", "silent"].contains(&suspect.kind.as_str());
    let own = if is_by_errors { of_errors.or(of_latency) } else { of_latency.or(of_errors) };
    let first = page.analysis.services.first().filter(|first| first.service == suspect.service);
    html! {
        @if own.is_some() || first.is_some() { " It would fall if more data " }
        @if let Some(own) = &own { "brought the interval of its contribution, now " (own) ", to zero" }
        @if own.is_some() && first.is_some() { ", or " }
        @if let Some(first) = first {
            "put another service first: " (page.names.name(&first.service)) " is first in " (percent(first.stability)) " of resamples"
        }
        @if own.is_some() || first.is_some() { "." }
    }
}

/// An owner with the ways to reach them.
pub(super) fn whom(owner: &Owner) -> Markup {
    html! {
        strong { bdi { (shorten(&owner.team, 80)) } }
        @if let Some(contact) = &owner.contact { ", " (links::text_or_link(contact)) }
        @if let Some(runbook) = &owner.runbook { "; runbook " (links::text_or_link(runbook)) }
        span.muted { " (from " bdi { (shorten(&owner.source, 60)) } ")" }
    }
}

fn impact(page: &Page<'_>, suspect: &Suspect) -> Markup {
    let impact = &suspect.impact;
    html! {
        p {
            (amount(impact.n_requests_hurt)) " of " (amount(impact.n_requests)) " requests that pass it"
            @if impact.n_requests_failed > 0.0 { ", " (amount(impact.n_requests_failed)) " of them by failing because of it" }
            @if let Some(seconds) = told_seconds(impact) {
                "; " (signed_ms(seconds)) " s in all" (Impact::added_to(suspect.channel))
            }
            "."
        }
        ul.plain {
            @for entry in impact.entries.iter().take(MAX_ENTRIES) {
                li {
                    (page.names.operation(&entry.service, &entry.operation)) ": "
                    (amount(entry.n_requests_hurt)) " of " (amount(entry.n_requests_of_entry))
                    span.muted {
                        @if entry.n_requests_failed > 0.0 { ", " (amount(entry.n_requests_failed)) " of them by failing" }
                        @if let Some(ms) = told_ms(entry) {
                            ", on average of all " (signed_ms(ms)) " ms"
                            @if suspect.channel == Channel::TailLatency { " in the slowest 5 %" }
                        }
                        @if entry.is_background { ", in the background" }
                    }
                }
            }
            @if impact.entries.len() > MAX_ENTRIES { li.muted { (impact.entries.len() - MAX_ENTRIES) " more entry operations" } }
        }
    }
}

fn way(page: &Page<'_>, path: &PropagationPath, channel: Channel) -> Markup {
    let n_hops = path.hops.len();
    let is_kept = |index: usize| n_hops <= MAX_HOPS || index < MAX_HOPS / 2 || index + MAX_HOPS / 2 >= n_hops;
    html! {
        div.way {
            p {
                strong { (signed_ms(path.contribution_ms)) " ms a request" }
                @if channel == Channel::TailLatency { " of the slowest 5 %" }
                span.muted { ", " (signed_ms(path.contribution_ms_per_entry_request)) " ms a request to this entry" }
            }
            ol.hops {
                @for (index, hop) in path.hops.iter().enumerate() {
                    @if is_kept(index) {
                        li {
                            (page.names.operation(&hop.service, &hop.operation))
                            span.muted { " " (arrow_of(hop.duration_ms.where_any(hop.calls_per_request), ms)) " ms a call, " (arrow(hop.calls_per_request, amount)) " calls a request" }
                        }
                    } @else if index == MAX_HOPS / 2 {
                        li.muted { (n_hops - MAX_HOPS) " steps left out" }
                    }
                }
            }
        }
    }
}

fn condition(page: &Page<'_>, key: &str, value: &str, of: Of) -> Markup {
    let of = match of {
        Of::Suspect => "",
        Of::Caller => " of its caller",
        Of::Callee => " of the callee",
        Of::Entry => " of the request",
    };
    html! { bdi.id { (shorten(key, 60)) } "=" (page.names.name(value)) span.muted { (of) } }
}

fn carriers(page: &Page<'_>, suspect: &Suspect) -> Markup {
    let Some(search) = suspect.attribute_search.filter(|search| search.n_values > 0) else { return html! {} };
    let carriers = &suspect.attributes;
    if carriers.is_empty() {
        return html! {
            h3 { "Attributes that carry it" }
            p { "No value with enough calls (" (counted(search.n_values, "value")) " of " (counted(search.n_keys, "attribute")) ") tells them apart: it is everywhere alike." }
        };
    }
    let is_errors = carriers.iter().any(|carrier| carrier.contribution_error_ratio != 0.0);
    let table = html! {
        table.data {
            caption.sr { "Attribute values whose calls carry the contribution" }
            thead {
                tr {
                    th scope="col" { "Calls with" } th.number scope="col" { "carry of it" }
                    th.number scope="col" { "95 % interval" }
                    th.number scope="col" { "of its calls" } th.number scope="col" { "Lift" }
                    th.number scope="col" { @if is_errors { "Points of errors" } @else { "ms a request" } }
                }
            }
            tbody { @for carrier in carriers.iter().take(MAX_CARRIERS) { (carrier_row(page, carrier, is_errors)) } }
        }
    };
    let region = format!("Attributes that carry suspect {}, {}", suspect.service_rank, shorten(&label(suspect), 80));
    html! {
        h3 { "Attributes that carry it" }
        (scrolled(&region, &table))
        p.muted { (counted(search.n_values, "value")) " of " (counted(search.n_keys, "attribute")) " were tried; a lift of 1 is even spread." }
    }
}

fn carrier_row(page: &Page<'_>, carrier: &Carrier, is_errors: bool) -> Markup {
    html! {
        tr {
            th scope="row" {
                (condition(page, &carrier.key, &carrier.value, carrier.of))
                @if let Some(and) = &carrier.and { " and " (condition(page, &and.key, &and.value, and.of)) }
                @if carrier.only_in_regression || carrier.q.is_none() { " " span.tag { "new" } }
                @if !carrier.also.is_empty() {
                    div.muted {
                        "the same calls: "
                        @for (index, also) in carrier.also.iter().take(MAX_ALSO).enumerate() {
                            @if index > 0 { ", " } (condition(page, &also.key, &also.value, also.of))
                        }
                        @if carrier.also.len() > MAX_ALSO { " and " (carrier.also.len() - MAX_ALSO) " more" }
                    }
                }
            }
            td.number { (percent(carrier.share)) }
            td.number { (interval(carrier.share_interval, percent)) }
            td.number { (percent(carrier.share_of_calls.regression)) }
            td.number { (amount(carrier.lift)) }
            td.number {
                @if is_errors { (points(carrier.contribution_error_ratio)) } @else { (signed_ms(carrier.contribution_ms)) }
            }
        }
    }
}

fn exemplars(page: &Page<'_>, exemplars: &[Exemplar]) -> Markup {
    html! {
        ul.plain {
            @for exemplar in exemplars {
                li {
                    (page.trace_id(&exemplar.trace_id)) " " (ms(exemplar.duration_ms)) " ms, " (of_it(exemplar.suspect_ms, exemplar.duration_ms))
                    @if let Some(beside) = &exemplar.beside {
                        span.muted { "; beside " } (page.trace_id(&beside.trace_id)) " " (ms(beside.duration_ms)) " ms"
                        span.muted {
                            @if beside.n_calls_apart == 0 { ", the same calls" }
                            @else { ", " (beside.n_calls_apart) " calls more or fewer" }
                        }
                    }
                }
            }
        }
    }
}
