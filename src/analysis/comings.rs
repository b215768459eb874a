//! Requests that no longer come, or come to other entries than before: what keeps them away leaves no traces, and what has no counterpart
//! cannot be compared. And spans that are lost, by which parts cannot be told.

use super::document::{Analysis, Entry, Pair};
use super::missing;
use crate::rank::{MIN_REQUESTS, Verdict};

/// An entry is hardly asked any more at this share of its requests among all, and of its requests a second where the windows are times.
const HARDLY: f64 = 0.2;
/// So many requests must be missed for that.
const MISSED: f64 = 10.0;
/// Entries that had this share of the baseline's requests and are hardly asked any more leave nothing certain but a regression.
const MUCH: f64 = 0.1;
/// Where less than this share of a window's requests is to entries that both have, most cannot be compared.
const COMMON: f64 = 0.5;
/// Entries named.
const MAX_NAMED: usize = 3;

/// Tells of them, and takes back a verdict that they make uncertain.
pub(super) fn doubt(analysis: &mut Analysis, has_sides: bool) -> Vec<String> {
    let lost = missing::untold(analysis);
    let whole = &analysis.degradation;
    // How long requests take as a whole, and whether they fail, does not hang on the spans below them.
    let is_worse =
        [whole.interval_ms, whole.typical_interval_ms, whole.tail_interval_ms, whole.adjusted_error_ratio_interval]
            .iter()
            .any(|[low, _]| *low > 0.0);
    if lost.is_some() && analysis.verdict == Verdict::Regression && !is_worse {
        analysis.verdict = Verdict::Inconclusive;
    }
    let comings =
        [stopped(analysis, has_sides), incomparable(analysis)].into_iter().flatten().map(|(text, is_grave)| {
            if is_grave && matches!(analysis.verdict, Verdict::TrafficMix | Verdict::NoSignificantChange) {
                analysis.verdict = Verdict::Inconclusive;
            }
            text
        });
    let doubts: Vec<String> = comings.collect();
    doubts.into_iter().chain(lost).collect()
}

/// Entries that are hardly asked any more, the one with most requests first, and whether they were many.
fn stopped(analysis: &Analysis, has_sides: bool) -> Option<(String, bool)> {
    let windows = [&analysis.windows.baseline, &analysis.windows.regression];
    let requests = windows.map(|window| window.n_requests);
    let seconds = windows.map(|window| window.end_unix_ns.saturating_sub(window.start_unix_ns) as f64 / 1e9);
    // A window may reach beyond the data, and data sets be of any load; and others may come more often than before.
    let extents = if has_sides { vec![requests] } else { vec![requests, seconds] };
    let has_stopped = |entry: &&Entry| {
        let Pair { baseline, regression } = entry.n_requests;
        baseline >= MIN_REQUESTS
            && extents.iter().all(|[before, after]| {
                let expected = baseline / before * after;
                regression <= HARDLY * expected && expected - regression >= MISSED
            })
    };
    let mut stopped: Vec<&Entry> = analysis.entries.iter().filter(has_stopped).collect();
    stopped.sort_by(|left, right| right.n_requests.baseline.total_cmp(&left.n_requests.baseline));
    let names: Vec<String> = stopped
        .iter()
        .take(MAX_NAMED)
        .map(|entry| {
            // The sum of none is a negative zero.
            let [baseline, regression] = [entry.n_requests.baseline, entry.n_requests.regression].map(|n| n + 0.0);
            format!("{}: {} ({baseline:.0} -> {regression:.0} requests)", entry.service, entry.operation)
        })
        .collect();
    let share: f64 = stopped.iter().map(|entry| entry.share.baseline).sum();
    let more = stopped.len().saturating_sub(MAX_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let text = format!(
        "requests hardly come any more to {}{more}: what keeps them from coming leaves no traces, so look before the entry too",
        names.join(", ")
    );
    (!stopped.is_empty()).then_some((text, share >= MUCH))
}

/// Whether most requests of a window are to entries that the other does not have.
fn incomparable(analysis: &Analysis) -> Option<(String, bool)> {
    let common = |share: fn(Pair) -> f64| -> f64 {
        let both =
            analysis.entries.iter().filter(|entry| entry.n_requests.baseline.min(entry.n_requests.regression) > 0.0);
        both.map(|entry| share(entry.share)).sum()
    };
    let shares = [common(|share| share.baseline), common(|share| share.regression)];
    let (window, share) = if shares[0] <= shares[1] { ("baseline", shares[0]) } else { ("regression", shares[1]) };
    let (which, others) =
        if share > 0.0 { (format!("only {:.1} %", 100.0 * share), "the others") } else { ("none".to_owned(), "they") };
    let text = format!(
        "{which} of the {window}'s requests are to entry operations that both windows have: {others} have nothing to be compared with"
    );
    (share < COMMON && !analysis.entries.is_empty()).then_some((text, true))
}
