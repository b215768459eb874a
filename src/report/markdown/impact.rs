use super::{Page, ms, plain, points, signed_ms};
use crate::analysis::Analysis;

/// Entries listed.
const MAX_ENTRIES: usize = 10;

/// What requests felt, and whom the first suspect hurt.
pub(super) fn write(page: &mut Page, analysis: &Analysis) {
    let whole = &analysis.degradation;
    page.item(&format!(
        "Mean latency of {}: {} to {} ({}, 95 % interval {} to {}; {:+.0} %).",
        whole.of,
        ms(whole.mean_ms.baseline),
        ms(whole.mean_ms.regression),
        signed_ms(whole.change_ms),
        signed_ms(whole.interval_ms[0]),
        signed_ms(whole.interval_ms[1]),
        whole.change_percent
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
    page.blank();
    let Some(suspect) = analysis.suspects.first() else { return };
    let impact = &suspect.impact;
    page.paragraph(&format!(
        "The first suspect, {}, hurt {:.0} requests, of which {:.0} failed, and added {} s in all.",
        plain(&super::name(suspect)),
        impact.n_requests_hurt,
        impact.n_requests_failed,
        signed_seconds(impact.added_seconds)
    ));
    let rows: Vec<Vec<String>> = impact
        .entries
        .iter()
        .take(MAX_ENTRIES)
        .map(|entry| {
            vec![
                plain(&format!("{}: {}", entry.service, entry.operation)),
                format!("{:.0}", entry.n_requests_of_entry),
                format!("{:.0}", entry.n_requests_hurt),
                format!("{:.0}", entry.n_requests_failed),
                signed_ms(entry.contribution_ms),
                signed_seconds(entry.added_seconds),
            ]
        })
        .collect();
    page.table(&["entry", "requests", "hurt", "failed", "added to each", "added seconds"], &rows);
}

fn signed_seconds(seconds: f64) -> String {
    format!("{seconds:+.1}")
}
