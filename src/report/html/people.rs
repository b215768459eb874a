//! Whom to call, and what somebody changed: the change by team, and deploys, flags and the like with what the data say of
//! each.

use super::names::shorten;
use super::numbers::{clock, day, interval, points, signed_ms, signed_percent};
use super::svg::at;
use super::{Page, links, scrolled};
use crate::analysis::{ChangeAccount, Credit, Owner, TeamShare};
use crate::report::text::count;
use maud::{Markup, html};

/// Teams, services of a team, and changes shown.
const MAX_TEAMS: usize = 60;
const MAX_SERVICES: usize = 6;
const MAX_CHANGES: usize = 100;

/// The change by team.
pub(super) fn teams(page: &Page<'_>) -> Option<Markup> {
    let teams = &page.analysis.teams;
    if teams.is_empty() {
        return None;
    }
    let largest = teams.iter().map(|team| team.contribution.ms.abs()).fold(0.0, f64::max);
    let table = html! {
        table.data.teams {
            caption.sr { "The change by team" }
            thead {
                tr {
                    th scope="col" { "Team" } th.number scope="col" { "ms a request" } td.bar-cell.wide {}
                    th.number.wide scope="col" { "95 % interval" } th.number.wide scope="col" { "of the change at unchanged traffic" }
                    th.number.wide scope="col" { "Points of errors" }
                    th scope="col" { "Services" }
                }
            }
            tbody {
                @for team in teams.iter().take(MAX_TEAMS) { (team_row(page, team, largest)) }
                (sum_row("Change of the mean", page.analysis.degradation.change_ms, "all of these together"))
            }
        }
    };
    let n_more = teams.len().saturating_sub(MAX_TEAMS);
    Some(html! {
        p.lead { "The change of the mean by who answers for the services that brought it." }
        (scrolled("The change by team", &table))
        @if n_more > 0 { p.muted { (count(n_more as u64)) " more are in the JSON." } }
    })
}

/// A row that is nobody's.
fn sum_row(name: &str, ms: f64, what: &str) -> Markup {
    html! {
        tr.muted {
            th scope="row" { (name) }
            td.number { (signed_ms(ms)) }
            td.wide {} td.wide {}
            td.wide {} td.wide {}
            td { (what) }
        }
    }
}

fn team_row(page: &Page<'_>, team: &TeamShare, largest: f64) -> Markup {
    let own = &team.contribution;
    let n_more = team.services.len().saturating_sub(MAX_SERVICES);
    html! {
        tr {
            th scope="row" {
                @if let Some(name) = &team.team { bdi { (shorten(name, 60)) } } @else { span.muted { (team.part.unnamed()) } }
                @if let Some(owner) = owner(page, team) { div.contact { (contact(owner)) } }
            }
            td.number { (signed_ms(own.ms)) }
            td.bar-cell.wide {
                svg.bars width="100%" height="16" aria-hidden="true" {
                    @if largest > 0.0 {
                        rect class=(if own.ms < 0.0 { "better" } else { "worse" }) x="0" y="3" height="10" width=(at(own.ms.abs() / largest)) {}
                    }
                }
            }
            td.number.wide { @if team.part.has_interval() { (interval(own.interval_ms, signed_ms)) } }
            td.number.wide { @if let Some(percent) = own.told_percent(&page.analysis.degradation) { (signed_percent(percent)) } }
            td.number.wide { (points(own.front_error_ratio())) }
            td {
                @for (index, service) in team.services.iter().take(MAX_SERVICES).enumerate() {
                    @if index > 0 { ", " } (page.names.name(service))
                }
                @if n_more > 0 { span.muted { " and " (n_more) " more" } }
            }
        }
    }
}

/// How a team is reached, from the services and suspects that it owns.
fn owner<'a>(page: &'a Page<'_>, team: &TeamShare) -> Option<&'a Owner> {
    let name = team.team.as_ref()?;
    let services = page.analysis.services.iter().filter_map(|service| service.owner.as_ref());
    let mut owners = services.chain(page.analysis.suspects.iter().filter_map(|suspect| suspect.owner.as_ref()));
    owners.find(|owner| owner.team == *name && (owner.contact.is_some() || owner.runbook.is_some()))
}

fn contact(owner: &Owner) -> Markup {
    html! {
        @if let Some(contact) = &owner.contact { (links::text_or_link(contact)) }
        @if let Some(runbook) = &owner.runbook { div { span.muted { "runbook " } (links::text_or_link(runbook)) } }
    }
}

/// Changes that somebody made, and whether the data support that they brought it.
pub(super) fn changes(page: &Page<'_>) -> Option<Markup> {
    let changes = &page.analysis.changes;
    let outside = page.analysis.told_changes_outside();
    if changes.is_empty() && outside.is_none() {
        return None;
    }
    let n_credited = changes.iter().filter(|change| change.credit == Credit::Credited).count();
    let table = html! {
        table.data {
            caption.sr { "Changes near the onset, by time" }
            thead {
                tr {
                    th scope="col" { "#" } th scope="col" { "When" } th scope="col" { "What" } th scope="col" { "Service" }
                    th scope="col" { "Credited" } th scope="col" { "Why" }
                }
            }
            tbody {
                @for (index, change) in changes.iter().enumerate().take(MAX_CHANGES) { (change_row(page, index + 1, change)) }
            }
        }
    };
    let n_more = changes.len().saturating_sub(MAX_CHANGES);
    Some(html! {
        p.lead {
            @if !changes.is_empty() { (n_credited) " of " (changes.len()) " credited. " }
            "A change is credited only if its own service's contribution moved after it, "
            "give or take the 5 s by which clocks may differ; being near in time is not enough."
        }
        @if !changes.is_empty() { (scrolled("Changes near the onset", &table)) }
        @if n_more > 0 { p.muted { (count(n_more as u64)) " more are in the JSON." } }
        @if let Some(outside) = outside { p.muted { (outside) "." } }
    })
}

fn change_row(page: &Page<'_>, number: usize, change: &ChangeAccount) -> Markup {
    let (class, word) = match change.credit {
        Credit::Credited => ("tag credited", "credited"),
        Credit::NotSupported => ("tag", "not supported"),
        Credit::Unknown => ("tag", "cannot tell"),
    };
    html! {
        tr id={ "change-" (number) } {
            td { (number) }
            td.nowrap { (clock(change.time_unix_ns)) div.muted { (day(change.time_unix_ns)) } }
            th scope="row" {
                span.cause { bdi { (shorten(&change.kind, 30)) } } " "
                (links::titled(&html! { bdi { (shorten(&change.title, 160)) } }, change.url.as_deref()))
                div.muted { "from " bdi { (shorten(&change.source, 60)) } }
            }
            td { @if let Some(service) = &change.service { (page.names.name(service)) } @else { span.muted { "none in particular" } } }
            td { span class=(class) { (word) } }
            td { (page.names.sentence(&change.reason)) }
        }
    }
}
