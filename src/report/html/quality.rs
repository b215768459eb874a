//! How far to trust it: what was read and set aside, clocks, sampling, repairs and doubts; and how it was computed.

use super::names::shorten;
use super::numbers::{ms, signed_ms};
use super::{Page, scrolled};
use crate::analysis::Diagnostics;
use crate::diagnostics::SourceReport;
use crate::normalize::Repairs;
use crate::report::text::{count, counted, residual, total};
use crate::time::format_ns;
use maud::{Markup, html};

/// Files, skipped records, services and warnings shown.
const MAX_SOURCES: usize = 40;
const MAX_NOTES: usize = 3;
const MAX_WARNINGS: usize = 30;
const MAX_FOLDED: usize = 8;

pub(super) fn section(page: &Page<'_>) -> Markup {
    let analysis = page.analysis;
    let diagnostics = &analysis.diagnostics;
    let doubts: Vec<&String> = analysis.windows.warnings.iter().chain(&diagnostics.warnings).collect();
    let n_more = doubts.len().saturating_sub(MAX_WARNINGS);
    html! {
        @if doubts.is_empty() { p.lead { "Nothing in the data gives reason to doubt the answer." } } @else {
            h3 { "What limits the answer" }
            ul.doubts {
                @for doubt in doubts.iter().take(MAX_WARNINGS) { li { (page.names.sentence(doubt)) } }
                @if n_more > 0 { li.muted { (n_more) " more are in the JSON" } }
            }
        }
        h3 { "What was read" }
        (counts(page, diagnostics))
        (sources(page, &diagnostics.sources))
    }
}

fn counts(page: &Page<'_>, diagnostics: &Diagnostics) -> Markup {
    let repairs = &diagnostics.repairs;
    html! {
        dl.facts {
            dt { "Spans" }
            dd {
                (count(diagnostics.n_spans_read)) " read = " (count(diagnostics.n_spans_analysed)) " analysed + "
                (count(diagnostics.set_aside.total())) " set aside, of " (counted(diagnostics.n_traces, "trace"))
            }
            dt { "Set aside" }
            dd {
                @if diagnostics.set_aside.0.is_empty() { "none" } @else {
                    ul.plain {
                        @for (reason, n_spans) in &diagnostics.set_aside.0 { li { (count(*n_spans)) " " (reason.describe()) } }
                    }
                }
            }
            @if diagnostics.n_skipped_records > 0 {
                dt { "Not read" } dd { (counted(diagnostics.n_skipped_records, "record")) " could not be read as spans" }
            }
            dt { "Clocks" }
            dd { (clocks(repairs)) }
            dt { "Sampling" }
            dd { (sampling(repairs, diagnostics.n_traces)) }
            @let repaired = repaired(repairs);
            @if !repaired.is_empty() || !repairs.folded_services.is_empty() {
                dt { "Repaired" }
                dd {
                    ul.plain {
                        @for (n, what) in repaired { li { (count(n)) " " (what) } }
                        @if !repairs.folded_services.is_empty() {
                            li {
                                "operation names with ids in them folded into templates: "
                                @for (index, service) in repairs.folded_services.iter().take(MAX_FOLDED).enumerate() {
                                    @if index > 0 { ", " } (page.names.name(service))
                                }
                                @let n_more = repairs.folded_services.len().saturating_sub(MAX_FOLDED);
                                @if n_more > 0 { " and " (n_more) " more" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn clocks(repairs: &Repairs) -> Markup {
    let worst = repairs.skew.iter().map(|pair| pair.offset_ns.saturating_abs()).max();
    let n_calls = total(repairs.skew.iter().map(|pair| pair.n_calls));
    let n_corrected = total(repairs.skew.iter().map(|pair| pair.n_corrected));
    html! {
        @if let Some(worst) = worst {
            "clocks (or their rounding) differ between " (counted(repairs.skew.len() as u64, "pair")) " of hosts by up to " (format_ns(worst))
            "; " (count(n_corrected)) " of " (count(n_calls)) " calls between them were moved inside their callers"
        } @else { "no skew was seen" }
    }
}

fn sampling(repairs: &Repairs, n_traces: u64) -> Markup {
    html! {
        @if repairs.n_weighted_traces == 0 { "no trace says that it was sampled: each counts once" } @else {
            (count(repairs.n_weighted_traces)) " of " (counted(n_traces, "trace")) " carry a sampling weight, and count as many as they stand for"
            @if repairs.n_unweighted_traces > 0 { "; the weight of " (count(repairs.n_unweighted_traces)) " is unknown, these count once" }
        }
    }
}

fn repaired(repairs: &Repairs) -> Vec<(u64, &'static str)> {
    let all = [
        (repairs.n_duplicates, "spans read more than once"),
        (repairs.n_shared_ids, "server halves that share their client half's id"),
        (repairs.n_conflicting_ids, "spans with the id of another span"),
        (repairs.n_orphans, "spans whose parent is not in the data"),
        (repairs.n_cycles, "circles of parents cut"),
        (repairs.n_rootless_traces, "traces without a root"),
        (repairs.n_detached, "spans that outlive their parent or consume a message, taken as requests of their own"),
        (repairs.n_extended, "spans without a duration, given their children's end"),
        (repairs.n_inferred_kinds, "spans whose kind was inferred"),
    ];
    all.into_iter().filter(|(n, _)| *n > 0).collect()
}

fn sources(page: &Page<'_>, sources: &[SourceReport]) -> Markup {
    let table = html! {
        table.data {
            caption.sr { "Files read" }
            thead {
                tr { th scope="col" { "File" } th scope="col" { "Format" } th.number scope="col" { "Spans" } th.wide scope="col" { "Notes" } }
            }
            tbody {
                @for source in sources.iter().take(MAX_SOURCES) {
                    tr {
                        th scope="row" { bdi.id { (shorten(&source.path, 90)) } }
                        td { (shorten(&source.format, 60)) @if !source.compression.is_empty() { ", " (shorten(&source.compression, 20)) } }
                        td.number { (count(source.n_spans)) }
                        td.wide {
                            @if let Some(error) = &source.error { (page.names.sentence(error)) ". " }
                            @if source.truncated { "The last record is cut off. " }
                            @if source.n_skipped_records > 0 {
                                (counted(source.n_skipped_records, "record")) " skipped"
                                @if let Some(first) = source.skipped_records.first() {
                                    ", the first at " (first.place) ": " (page.names.sentence(&first.reason))
                                } ". "
                            }
                            @for note in source.notes.iter().take(MAX_NOTES) { (page.names.sentence(note)) ". " }
                        }
                    }
                }
            }
        }
    };
    let n_more = sources.len().saturating_sub(MAX_SOURCES);
    html! {
        @if !sources.is_empty() {
            details.plain {
                summary { (counted(sources.len() as u64, "file")) }
                (scrolled("Files read", &table))
                @if n_more > 0 { p.muted { (n_more) " more are in the JSON." } }
            }
        }
    }
}

/// How the numbers came about and what they cannot say.
pub(super) fn method(page: &Page<'_>) -> Markup {
    let analysis = page.analysis;
    html! {
        p {
            "Every instant of a request is given to one span: the one it waits for. What requests spend on each call path in the two windows "
            "is split into slower spans, longer ways, more or fewer calls, lost parallelism and other traffic, so that the parts sum to the "
            "change of the mean (" (signed_ms(analysis.decomposition.change_ms)) " ms; rounding leaves "
            (residual(analysis.decomposition.residual_ms)) ")."
        }
        p {
            "Intervals are 95 %, from resampled traces; certainty is the share of resamples in which the same service comes first. "
            "Many things are tested at once, so a suspect must hold at a false discovery rate and be larger than "
            (ms(analysis.degradation.floor_ms)) " ms, or matter for failures or the slowest requests."
        }
        p {
            "The windows are told apart by time or by what the user named: whatever else differs between them is part of the change. "
            "A service that leaves no spans is known only from its callers. What requests wait for outside of any span is given to the span around it. "
            "A contribution says what time went where, not why; a change is credited by when its own service moved, which is strong evidence, not proof."
        }
    }
}
