use super::{Page, count_of, ms, plain, points, signed_ms};
use crate::analysis::{Analysis, Degradation, Entry, Impact, RankedService, Suspect};
use crate::rank::Channel;
use crate::time::format_signed;

/// Entries listed.
const MAX_ENTRIES: usize = 10;

/// What requests felt, all of them and by entry; then what of it is the first suspect's.
pub(super) fn write(page: &mut Page, analysis: &Analysis) {
    whole(page, analysis);
    entries(page, analysis);
    let first = analysis.services.first();
    let own = first.and_then(|first| analysis.suspects.iter().find(|suspect| suspect.service == first.service));
    if let Some((first, suspect)) = first.zip(own) {
        part(page, first, suspect);
    }
}

fn whole(page: &mut Page, analysis: &Analysis) {
    let whole = &analysis.degradation;
    let n_requests: f64 = analysis.entries.iter().map(|entry| entry.n_requests.regression).sum();
    page.item(&format!(
        "Mean latency of {}: {} to {} ({}, 95 % interval {} to {}; {} %).",
        whole.of,
        ms(whole.mean_ms.baseline),
        ms(whole.mean_ms.regression),
        signed_ms(whole.change_ms),
        signed_ms(whole.interval_ms[0]),
        signed_ms(whole.interval_ms[1]),
        format_signed(whole.change_percent, 0)
    ));
    page.item(&format!(
        "Percentiles: p50 {} to {}, p95 {} to {}, p99 {} to {}.",
        ms(whole.p50_ms.baseline),
        ms(whole.p50_ms.regression),
        ms(whole.p95_ms.baseline),
        ms(whole.p95_ms.regression),
        ms(whole.p99_ms.baseline),
        ms(whole.p99_ms.regression)
    ));
    page.item(&format!(
        "Failing {}: {:.2} % to {:.2} % ({}, 95 % interval {} to {}).",
        whole.of,
        100.0 * whole.error_ratio.baseline,
        100.0 * whole.error_ratio.regression,
        points(whole.error_ratio_change),
        points(whole.error_ratio_interval[0]),
        points(whole.error_ratio_interval[1])
    ));
    page.item(&in_all(whole, n_requests));
    page.blank();
}

/// The change of a request times the requests that there were.
fn in_all(whole: &Degradation, n_requests: f64) -> String {
    let seconds = |change_ms: f64| signed_seconds(change_ms * n_requests / 1e3);
    let failing = |change: f64| format_signed(change * n_requests, 0);
    format!(
        "In all, over {} of the regression: {} s of latency (95 % interval {} to {}), {} failing {} beyond the baseline's share (95 % interval {} to {}).",
        counted(n_requests, &whole.of),
        seconds(whole.change_ms),
        seconds(whole.interval_ms[0]),
        seconds(whole.interval_ms[1]),
        failing(whole.error_ratio_change),
        whole.of,
        failing(whole.error_ratio_interval[0]),
        failing(whole.error_ratio_interval[1])
    )
}

/// The entry operations that changed.
fn entries(page: &mut Page, analysis: &Analysis) {
    let is_in_both = |entry: &&Entry| entry.n_requests.baseline > 0.0 && entry.n_requests.regression > 0.0;
    let has_changed = |entry: &&Entry| is_beyond(entry.change_interval_ms) || is_beyond(entry.error_ratio_interval);
    let n_compared = analysis.entries.iter().filter(is_in_both).count();
    let changed: Vec<&Entry> = analysis.entries.iter().filter(is_in_both).filter(has_changed).collect();
    let n_apart = analysis.entries.len() - n_compared;
    page.paragraph(&format!(
        "Entry operations that changed, with a 95 % interval of latency or failures on one side of zero: {} of {n_compared}{}{}.",
        changed.len(),
        if changed.len() > MAX_ENTRIES {
            format!(", the first {MAX_ENTRIES} here and all in the JSON")
        } else {
            String::new()
        },
        if n_apart > 0 { format!("; {n_apart} more had requests in one window only") } else { String::new() }
    ));
    let rows: Vec<Vec<String>> = changed
        .iter()
        .take(MAX_ENTRIES)
        .map(|entry| {
            let (change_ms, failing) = (entry.change_interval_ms, entry.error_ratio_interval);
            let failing_change = entry.error_ratio.regression - entry.error_ratio.baseline;
            vec![
                plain(&format!("{}: {}", entry.service, entry.operation)),
                count_of(entry.n_requests.regression),
                format!("{} to {}", ms(entry.mean_ms.baseline), ms(entry.mean_ms.regression)),
                signed_ms(entry.change_ms),
                format!("{} to {}", signed_ms(change_ms[0]), signed_ms(change_ms[1])),
                points(failing_change),
                format!("{} to {}", points(failing[0]), points(failing[1])),
            ]
        })
        .collect();
    page.table(
        &["entry", "requests", "mean latency", "change", "95 % interval", "change of failing", "95 % interval"],
        &rows,
    );
}

/// Whether an interval of a change lies on one side of none.
fn is_beyond([low, high]: [f64; 2]) -> bool {
    low > 0.0 || high < 0.0
}

/// What of it is of the service that comes first, and of its first suspect.
fn part(page: &mut Page, first: &RankedService, suspect: &Suspect) {
    let impact = &suspect.impact;
    page.paragraph(&format!(
        "Of this, {}, which comes first, adds {} to a request on average and {} of failing requests. Its first suspect, {}, hurt {}, {} of them by failing because of it, and adds {} s in all{}.",
        plain(&first.service),
        signed_ms(first.contribution.ms),
        points(first.contribution.front_error_ratio()),
        plain(&super::name(suspect)),
        counted(impact.n_requests_hurt, "requests"),
        count_of(impact.n_requests_failed),
        signed_seconds(impact.added_seconds),
        Impact::added_to(suspect.channel)
    ));
    let rows: Vec<Vec<String>> = impact
        .entries
        .iter()
        .take(MAX_ENTRIES)
        .map(|entry| {
            vec![
                plain(&format!("{}: {}", entry.service, entry.operation)),
                count_of(entry.n_requests_of_entry),
                count_of(entry.n_requests_hurt),
                count_of(entry.n_requests_failed),
                signed_ms(entry.contribution_ms),
                signed_seconds(entry.added_seconds),
            ]
        })
        .collect();
    let added = if suspect.channel == Channel::TailLatency {
        "added on average of the slowest 5 %"
    } else {
        "added on average of all"
    };
    let seconds = format!("added seconds{}", Impact::added_to(suspect.channel));
    page.table(&["entry", "requests", "hurt by it", "of them by failing", added, &seconds], &rows);
}

/// A number of what has an s in the plural.
fn counted(number: f64, plural: &str) -> String {
    let count = count_of(number);
    let noun = if count == "1" { plural.trim_end_matches('s') } else { plural };
    format!("{count} {noun}")
}

fn signed_seconds(seconds: f64) -> String {
    format_signed(seconds, 1)
}
