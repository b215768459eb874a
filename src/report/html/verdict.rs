//! The answer: the verdict in one sentence with its certainty, and how much worse requests got; below, by entry.

use super::numbers::{amount, arrow, arrow_of, interval, ms, percent, points, signed_ms, signed_percent};
use super::{Page, scrolled};
use crate::analysis::{Analysis, Pair};
use crate::rank::Verdict;
use crate::report::text::count;
use maud::{Markup, html};

/// Entry operations shown.
const MAX_ENTRIES: usize = 60;

pub(super) fn header(page: &Page<'_>) -> Markup {
    let analysis = page.analysis;
    let (class, word) = match analysis.verdict {
        Verdict::Regression => ("worse", "Regression"),
        Verdict::TrafficMix => ("mix", "Traffic mix"),
        Verdict::NoSignificantChange => ("same", "No significant change"),
        Verdict::Inconclusive => ("mix", "Inconclusive"),
    };
    let sentence = page.names.sentence_text(&analysis.summary);
    // What is to blame stands out from how much worse it got.
    let cut = ["; the mean latency of ", ": the mean latency of "].iter().find_map(|mark| sentence.find(mark));
    let (answer, figures) = sentence.split_at(cut.unwrap_or(sentence.len()));
    html! {
        header.verdict {
            p class={ "word " (class) } { (word) }
            h1 { bdi dir="ltr" { (answer) @if !figures.is_empty() { span.rest { (figures) } } } }
            p.certainty { (certainty(page)) }
            @if !analysis.windows.only.is_empty() {
                p { strong { "Only " } bdi { (page.names.sentence(&analysis.windows.only.join(" and "))) } }
            }
            (figures_table(analysis))
        }
    }
}

fn certainty(page: &Page<'_>) -> Markup {
    let analysis = page.analysis;
    let degradation = &analysis.degradation;
    let first = analysis.services.first().filter(|_| analysis.confidence > 0.0);
    html! {
        strong { "Certainty: " }
        @if let Some(first) = first {
            (page.names.name(&first.service)) " comes first in " (percent(analysis.confidence)) " of resamples; "
        }
        "the mean changed by " (signed_ms(degradation.change_ms)) " ms (95 % interval "
        (signed_ms(degradation.interval_ms[0])) " to " (signed_ms(degradation.interval_ms[1])) " ms); "
        "with the same traffic it would have changed by " (signed_ms(degradation.adjusted_change_ms)) " ms. "
        @let n_doubts = analysis.windows.warnings.len() + analysis.diagnostics.warnings.len();
        @if n_doubts > 0 {
            a href="#quality" {
                (n_doubts) @if n_doubts == 1 { " thing limits" } @else { " things limit" } " how far to trust it"
            } "."
        }
    }
}

fn figures_table(analysis: &Analysis) -> Markup {
    let degradation = &analysis.degradation;
    let latencies: [(&str, Pair); 4] = [
        ("Mean", degradation.mean_ms),
        ("Median", degradation.p50_ms),
        ("p95", degradation.p95_ms),
        ("p99", degradation.p99_ms),
    ];
    let (windows, failing) = (&analysis.windows, degradation.failing());
    let change = |pair: Pair| pair.regression - pair.baseline;
    let relative = |pair: Pair| {
        let share = 100.0 * change(pair) / pair.baseline;
        if pair.baseline > 0.0 { signed_percent(share) } else { "–".to_owned() }
    };
    let table = html! {
        table.figures {
            caption { "Latency in ms, and the share of " (degradation.of) " that fail" }
            thead {
                tr {
                    td {}
                    @for (name, _) in latencies { th scope="col" { (name) } }
                    th scope="col" { "Failing" }
                    th.wide scope="col" { @if degradation.of == "fragments" { "Fragments" } @else { "Requests" } }
                }
            }
            tbody {
                tr {
                    th scope="row" { "Baseline" }
                    @for (_, pair) in latencies { td { (ms(pair.baseline)) } }
                    td { (failing[0]) }
                    td.wide { (amount(windows.baseline.n_requests)) }
                }
                tr {
                    th scope="row" { "Regression" }
                    @for (_, pair) in latencies { td { (ms(pair.regression)) } }
                    td { (failing[1]) }
                    td.wide { (amount(windows.regression.n_requests)) }
                }
                tr.change {
                    th scope="row" { "Change" }
                    @for (_, pair) in latencies {
                        td { (signed_ms(change(pair))) " " span.muted { (relative(pair)) } }
                    }
                    td { (points(degradation.error_ratio_change)) " " span.muted { "points" } }
                    td.wide { span.muted { "–" } }
                }
            }
        }
    };
    scrolled("How much worse requests got", &table)
}

/// Entry operations in both windows.
pub(super) fn entries(page: &Page<'_>) -> Option<Markup> {
    let entries = &page.analysis.entries;
    if entries.is_empty() {
        return None;
    }
    let table = html! {
        table.data {
            caption.sr { "Entry operations, baseline and regression" }
            thead {
                tr {
                    th scope="col" { "Entry operation" }
                    th.number scope="col" { "Requests" }
                    th.number.wide scope="col" { "Share" }
                    th.number scope="col" { "Mean, ms" }
                    th.number scope="col" { "p95, ms" }
                    th.number scope="col" { "Failing" }
                }
            }
            tbody {
                @for entry in entries.iter().take(MAX_ENTRIES) {
                    tr {
                        th scope="row" { (page.names.operation(&entry.service, &entry.operation)) }
                        td.number { (arrow(entry.n_requests, amount)) }
                        td.number.wide { (arrow(entry.share, percent)) }
                        td.number { (arrow_of(entry.mean_ms.where_any(entry.n_requests), ms)) }
                        td.number { (arrow_of(entry.p95_ms.where_any(entry.n_requests), ms)) }
                        td.number { (arrow_of(entry.error_ratio.where_any(entry.n_requests), percent)) }
                    }
                }
            }
        }
    };
    let n_more = entries.len().saturating_sub(MAX_ENTRIES);
    Some(html! {
        p.lead { "Where requests begin, those first whose latency moved the mean most." }
        (scrolled("Entry operations, baseline and regression", &table))
        @if n_more > 0 { p.muted { (count(n_more as u64)) " more are in the JSON." } }
    })
}

/// The size of a change in words, for those who read no bars.
pub(super) fn contribution_words(contribution: &crate::analysis::Contribution) -> String {
    let mut words = format!(
        "{} ms a request, 95 % interval {}",
        signed_ms(contribution.ms),
        interval(contribution.interval_ms, signed_ms)
    );
    if let Some(behind) = contribution.told_background_ms() {
        words = format!("{words}, {} ms of it in the background", signed_ms(behind));
    }
    if contribution.front_error_ratio().abs() >= 0.000_05 {
        words = format!(
            "{words}; {} points of failing requests, {}",
            points(contribution.front_error_ratio()),
            interval(contribution.error_ratio_interval, points)
        );
    }
    words
}
