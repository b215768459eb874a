//! The suspects: services ranked, and the operations and ways between services to blame, in a table that sorts, filters
//! and opens.
//!
//! A suspect is a body of the table with two rows, its figures and its evidence, so that sorting moves both.

use super::names::shorten;
use super::numbers::{interval, percent, points, signed_ms, signed_percent};
use super::svg::{at, xy};
use super::{Page, evidence, scrolled};
use crate::analysis::{Analysis, Contribution, RankedService, Suspect};
use crate::rank::{Channel, Verdict};
use crate::report::text::count;
use maud::{Markup, html};

/// Suspects on the page, the first; the rest is in the JSON.
const MAX_SUSPECTS: usize = 100;
/// Services on the page.
const MAX_SERVICES: usize = 60;

pub(super) fn title(analysis: &Analysis) -> &'static str {
    match analysis.verdict {
        Verdict::Regression => "Suspects",
        _ => "Candidates, none certain enough to accuse",
    }
}

pub(super) fn section(page: &Page<'_>) -> Option<Markup> {
    let analysis = page.analysis;
    if analysis.services.is_empty() && analysis.suspects.is_empty() {
        return None;
    }
    let suspects: Vec<&Suspect> = analysis.suspects.iter().take(MAX_SUSPECTS).collect();
    let n_more = analysis.suspects.len() - suspects.len();
    Some(html! {
        @if !suspects.is_empty() {
            p.lead {
                "Operations, and ways between services, that got worse and are certain enough to accuse. Each opens to its evidence "
                "and to what speaks against it, and has the number of its service."
            }
            (tools(&suspects))
            (table(page, &suspects))
            @if n_more > 0 { p.muted { (count(n_more as u64)) " more are in the JSON." } }
        }
        @if !analysis.services.is_empty() {
            h3 { "Services, ranked" }
            (services(page))
        }
    })
}

/// Name of a suspect as one text.
pub(super) fn label(suspect: &Suspect) -> String {
    match (&suspect.operation, &suspect.edge) {
        (Some(operation), _) => format!("{}: {operation}", suspect.service),
        (None, Some(edge)) => format!("{} to {}", edge.caller, edge.callee),
        (None, None) => suspect.service.clone(),
    }
}

/// Name of a suspect.
pub(super) fn name(page: &Page<'_>, suspect: &Suspect) -> Markup {
    match (&suspect.operation, &suspect.edge) {
        (None, Some(edge)) => html! {
            (page.names.name(&edge.caller)) span.muted { " → " } (page.names.name(&edge.callee))
        },
        (operation, _) => page.names.operation(&suspect.service, operation.as_deref().unwrap_or("")),
    }
}

/// Filters, shown by the script that makes them work.
fn tools(suspects: &[&Suspect]) -> Markup {
    let mut kinds: Vec<&str> = suspects.iter().map(|suspect| suspect.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    html! {
        div.tools data-for="suspect-table" hidden {
            label { "Filter " input #suspect-filter type="search" autocomplete="off" spellcheck="false" placeholder="service, operation, team"; }
            label {
                "Kind "
                select #suspect-kind autocomplete="off" {
                    option value="" { "all" }
                    @for kind in kinds { option value=(kind) { (kind) } }
                }
            }
            button #suspect-all type="button" aria-pressed="false" { "Open all" }
            span #suspect-count role="status" { (suspects.len()) " shown" }
        }
    }
}

fn table(page: &Page<'_>, suspects: &[&Suspect]) -> Markup {
    let scale = Scale::of(suspects.iter().map(|suspect| &suspect.contribution));
    let has_owners = suspects.iter().any(|suspect| suspect.owner.is_some());
    let has_errors = suspects.iter().any(|suspect| suspect.contribution.front_error_ratio().abs() >= 0.000_05);
    let n_columns = 6 + usize::from(has_owners) + usize::from(has_errors);
    let table = html! {
        table.data.suspects #suspect-table {
            caption.sr { "Suspects. The head of a column sorts by it, the button of a row opens its evidence." }
            thead {
                tr {
                    th scope="col" data-sort="number" { "#" }
                    th scope="col" data-sort="text" { "Suspect" }
                    th.wide scope="col" data-sort="text" { "What happened" }
                    th.number scope="col" data-sort="number" { "ms a request" }
                    td.wide.forest-head { (axis(&scale)) }
                    th.number.wide scope="col" data-sort="number" { "of the change at unchanged traffic" }
                    @if has_errors { th.number.wide scope="col" data-sort="number" { "Points of errors" } }
                    @if has_owners { th.wide scope="col" data-sort="text" { "Whom to call" } }
                }
            }
            @for suspect in suspects {
                @let id = format!("suspect-{}", suspect.rank);
                @let own = &suspect.contribution;
                @let told = own.told_percent(&page.analysis.degradation);
                @let team = suspect.owner.as_ref().map_or("", |owner| owner.team.as_str());
                tbody id=(id) data-kind=(suspect.kind) data-words=(shorten(&format!("{} {} {team}", label(suspect), suspect.kind).to_lowercase(), 400)) {
                    tr.head {
                        td data-value=(format!("{}.{:04}", suspect.service_rank, suspect.rank)) {
                            button.open type="button" aria-expanded="true" aria-controls={ (id) "-evidence" }
                                aria-label={ "Evidence of suspect " (suspect.service_rank) ", " (shorten(&label(suspect), 80)) } {
                                span.rank { (suspect.service_rank) }
                            }
                        }
                        th scope="row" data-value=(shorten(&label(suspect), 200)) { (name(page, suspect)) div.narrow.muted { (suspect.kind) } }
                        td.wide data-value=(suspect.kind) { (suspect.kind) }
                        td.number data-value=(own.ms) { (signed_ms(own.ms)) }
                        td.wide.forest { (forest(&scale, own)) }
                        td.number.wide data-value=[told] { @if let Some(percent) = told { (signed_percent(percent)) } }
                        @if has_errors { td.number.wide data-value=(own.front_error_ratio()) { (points(own.front_error_ratio())) } }
                        @if has_owners { td.wide data-value=(shorten(team, 200)) { bdi { (shorten(team, 40)) } } }
                    }
                    tr.evidence id={ (id) "-evidence" } {
                        td colspan=(n_columns) { (evidence::of(page, suspect)) }
                    }
                }
            }
        }
    };
    scrolled("Suspects and their evidence", &table)
}

/// The stretch of milliseconds that intervals are drawn in.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of<'a>(contributions: impl Iterator<Item = &'a Contribution>) -> Self {
        let bounds = contributions.flat_map(|own| own.interval_ms).filter(|bound| bound.is_finite());
        let (low, high) = bounds.fold((0.0_f64, 0.0_f64), |(low, high), bound| (low.min(bound), high.max(bound)));
        let margin = 0.04 * (high - low).max(1e-9);
        Self { low: low - margin, high: high + margin }
    }

    fn place(&self, value: f64) -> String {
        at(((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0))
    }
}

fn axis(scale: &Scale) -> Markup {
    html! {
        svg width="100%" height="16" role="img" aria-label="95 % intervals on one scale, with a line at zero" {
            text.tick x=(scale.place(0.0)) y="12" text-anchor="middle" { "0" }
        }
    }
}

/// A contribution with its interval as a line and a dot.
fn forest(scale: &Scale, own: &Contribution) -> Markup {
    let [from, until] = own.interval_ms.map(|bound| scale.place(bound));
    html! {
        svg width="100%" height="20" role="img" aria-label={ "95 % interval " (interval(own.interval_ms, signed_ms)) } {
            line.zero x1=(scale.place(0.0)) x2=(scale.place(0.0)) y1="0" y2="20" {}
            line class=(if own.ms < 0.0 { "interval better" } else { "interval worse" }) x1=(from) x2=(until) y1="10" y2="10" {}
            circle class=(if own.ms < 0.0 { "dot better" } else { "dot worse" }) cx=(scale.place(own.ms)) cy=(xy(10.0)) r="4" {}
        }
    }
}

fn services(page: &Page<'_>) -> Markup {
    let services = &page.analysis.services;
    let has_owners = services.iter().any(|service| service.owner.is_some());
    let table = html! {
        table.data {
            caption.sr { "Services ranked by how much worse they got" }
            thead {
                tr {
                    th scope="col" { "#" } th scope="col" { "Service" } th.wide scope="col" { "What happened" }
                    th.number scope="col" { "ms a request" } th.number.wide scope="col" { "95 % interval" }
                    th.number.wide scope="col" { "Points of errors" }
                    th.wide scope="col" { "Certain in" }
                    th.number.wide scope="col" { "First in resamples" }
                    @if has_owners { th.wide scope="col" { "Whom to call" } }
                }
            }
            tbody {
                @for service in services.iter().take(MAX_SERVICES) {
                    tr class=(if service.is_significant { "" } else { "muted" }) {
                        td { (service.rank) }
                        th scope="row" {
                            (page.names.name(&service.service))
                            @if service.is_inferred { " " span.tag { "no spans of its own" } }
                            div.narrow.muted { (service.kind) }
                        }
                        td.wide { (service.kind) }
                        td.number { (signed_ms(service.contribution.ms)) }
                        td.number.wide { (interval(service.contribution.interval_ms, signed_ms)) }
                        td.number.wide { (points(service.contribution.front_error_ratio())) }
                        td.wide { (channels(service)) }
                        td.number.wide { (percent(service.stability)) }
                        @if has_owners {
                            td.wide { @if let Some(owner) = &service.owner { bdi { (shorten(&owner.team, 40)) } } }
                        }
                    }
                }
            }
        }
    };
    let n_more = services.len().saturating_sub(MAX_SERVICES);
    html! {
        (scrolled("Services, ranked", &table))
        @if n_more > 0 { p.muted { (count(n_more as u64)) " more are in the JSON." } }
    }
}

fn channels(service: &RankedService) -> String {
    let word = |channel: Channel| match channel {
        Channel::Latency => "mean",
        Channel::TypicalLatency => "typical",
        Channel::TailLatency => "tail",
        Channel::Errors => "errors",
        Channel::MissingCalls => "missing calls",
    };
    let certain = service.findings.iter().filter(|finding| finding.is_significant);
    let words: Vec<&str> = certain.map(|finding| word(finding.channel)).collect();
    if words.is_empty() { "–".to_owned() } else { words.join(", ") }
}
