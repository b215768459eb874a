//! Whom a suspect hurt: which entry operations, how many of their requests, and by how much.
//!
//! A request is hurt if its failure began with the suspect, or if it did not fail so and spends more time on the suspect than 95 % of the
//! baseline's requests of the same entry that pass it. Some do in any case, so of both only those beyond the baseline's own share count:
//! those that failed are among those hurt. Where calls are missing, it is one that makes none of them, or less time than 5 % of them.

use super::build::{NS_PER_MS, operation, ratio};
use super::document::{EntryImpact, Impact};
use super::evidence::{Evidence, Parts, Spent, Stake};
use super::hops::per_entry_request;
use super::rows::{BASELINE, REGRESSION};
use crate::compare::paths::Scope;
use crate::compare::views::TAIL_SHARE;
use crate::rank::Channel;
use crate::stats::weighted_quantile;

/// Which baseline requests a request must exceed to be unusual.
const UNUSUAL: f64 = 0.95;
/// An entry's part of the contribution below this share of the largest is not listed if none of its requests is hurt.
const MIN_SHARE: f64 = 0.001;

/// A request that passes the suspect.
#[derive(Clone, Copy, Debug)]
struct Passing {
    entry: u32,
    time_ns: i64,
    weight: f64,
    has_failed: bool,
    /// Whether it makes none of the calls that the suspect makes less often.
    lacks_calls: bool,
}

/// Counts the requests that the subjects hurt in their channel.
pub(super) fn impact(
    evidence: Evidence<'_>,
    subjects: &[u32],
    parts: &Parts,
    stake: &Stake,
    channel: Channel,
) -> Impact {
    let lost = if channel == Channel::MissingCalls { parts.lost() } else { Vec::new() };
    let windows = [BASELINE, REGRESSION].map(|window| passing(evidence, subjects, stake, &lost, window));
    let mut entries: Vec<u32> = windows.iter().flatten().map(|request| request.entry).collect();
    entries.sort_unstable();
    entries.dedup();
    let mut effects_ns = vec![0.0; entries.len()];
    for &(path, part) in &parts.0 {
        if let Ok(place) = entries.binary_search(&evidence.rows.entry(path)) {
            effects_ns[place] += part.effect_ns;
        }
    }
    let mut listed: Vec<EntryImpact> = entries
        .iter()
        .zip(effects_ns)
        .map(|(&entry, effect_ns)| {
            let own = windows.each_ref().map(|requests| {
                let first = requests.partition_point(|request| request.entry < entry);
                &requests[first..first + requests[first..].partition_point(|request| request.entry == entry)]
            });
            entry_impact(evidence, entry, effect_ns, own, channel)
        })
        .collect();
    let largest = listed.iter().map(|entry| entry.added_seconds.abs()).fold(0.0, f64::max);
    listed.retain(|entry| entry.n_requests_hurt > 0.0 || entry.added_seconds.abs() > MIN_SHARE * largest);
    listed.sort_by(|left, right| {
        let name = |entry: &EntryImpact| (entry.service.clone(), entry.operation.clone(), entry.is_background);
        right
            .n_requests_hurt
            .total_cmp(&left.n_requests_hurt)
            .then(right.added_seconds.total_cmp(&left.added_seconds))
            .then_with(|| name(left).cmp(&name(right)))
    });
    let sum = |value: fn(&EntryImpact) -> f64| listed.iter().fold(0.0, |sum, entry| sum + value(entry));
    Impact {
        n_requests: sum(|entry| entry.n_requests),
        n_requests_hurt: sum(|entry| entry.n_requests_hurt),
        n_requests_failed: sum(|entry| entry.n_requests_failed),
        added_seconds: sum(|entry| entry.added_seconds),
        entries: listed,
    }
}

/// Requests of a window that pass the suspect, by entry.
fn passing(evidence: Evidence<'_>, subjects: &[u32], stake: &Stake, lost: &[u32], window: usize) -> Vec<Passing> {
    let mut failing: Vec<(u32, u32)> = evidence
        .failing(subjects)
        .into_iter()
        .filter(|(trace, _)| evidence.traces(window).binary_search(trace).is_ok())
        .map(|(trace, path)| (evidence.rows.entry(path), trace))
        .collect();
    failing.sort_unstable();
    failing.dedup();
    let mut spent = evidence.spent(stake, window);
    // A failure may begin at a call that nobody waited for.
    let known = |&(entry, trace): &(u32, u32)| {
        spent.binary_search_by_key(&(entry, trace), |spent| (spent.entry, spent.trace)).is_ok()
    };
    let only_failing: Vec<(u32, u32)> = failing.iter().copied().filter(|request| !known(request)).collect();
    spent.extend(only_failing.into_iter().map(|(entry, trace)| Spent { entry, trace, time_ns: 0 }));
    spent.sort_unstable_by_key(|spent| (spent.entry, spent.trace));
    spent
        .into_iter()
        .map(|Spent { entry, trace, time_ns }| Passing {
            entry,
            time_ns,
            weight: evidence.forest.weight[trace as usize],
            has_failed: failing.binary_search(&(entry, trace)).is_ok(),
            lacks_calls: !lost.is_empty() && !evidence.makes(trace, lost),
        })
        .collect()
}

/// The time beyond which a request is unusual, from the baseline's requests; `None` if there are none.
fn limit_ns(baseline: &[Passing], channel: Channel) -> Option<f64> {
    let mut sorted: Vec<(i64, f64)> = baseline.iter().map(|request| (request.time_ns, request.weight)).collect();
    sorted.sort_by(|left, right| left.0.cmp(&right.0).then(left.1.total_cmp(&right.1)));
    let mut count = 0.0;
    let cumulative: Vec<f64> = sorted
        .iter()
        .map(|&(_, weight)| {
            count += weight;
            count
        })
        .collect();
    let times: Vec<f64> = sorted.iter().map(|&(time_ns, _)| time_ns as f64).collect();
    weighted_quantile(&times, &cumulative, if channel == Channel::MissingCalls { 1.0 - UNUSUAL } else { UNUSUAL })
}

fn entry_impact(
    evidence: Evidence<'_>,
    entry: u32,
    effect_ns: f64,
    [baseline, regression]: [&[Passing]; 2],
    channel: Channel,
) -> EntryImpact {
    let limit_ns = limit_ns(baseline, channel);
    let is_unusual = |request: &Passing| {
        let time_ns = request.time_ns as f64;
        match (limit_ns, channel) {
            (Some(limit_ns), Channel::MissingCalls) => request.lacks_calls || time_ns < limit_ns,
            (Some(limit_ns), _) => time_ns > limit_ns,
            // Nothing of the kind was there before.
            (None, _) => time_ns > 0.0,
        }
    };
    let n_requests = weight(regression, |_| true);
    let n_failed = beyond([baseline, regression], |_| true, |request| request.has_failed);
    let n_slow = beyond([baseline, regression], |request| !request.has_failed, is_unusual);
    let name = operation(evidence, evidence.table.paths.list[entry as usize].operation);
    let n_requests_of_entry = evidence.comparison.regression.n_visits[entry as usize];
    let share = if channel == Channel::TailLatency { TAIL_SHARE } else { 1.0 };
    let contribution_ms = per_entry_request(evidence, entry, effect_ns) / NS_PER_MS;
    EntryImpact {
        service: name.service,
        operation: name.operation,
        is_background: evidence.table.paths.list[entry as usize].scope == Scope::Background,
        n_requests_of_entry,
        n_requests,
        n_requests_hurt: n_failed + n_slow,
        n_requests_failed: n_failed,
        contribution_ms,
        added_seconds: contribution_ms * share * n_requests_of_entry / 1e3,
    }
}

/// How many requests there are of which `is_one` says so.
fn weight(requests: &[Passing], is_one: impl Fn(&Passing) -> bool) -> f64 {
    requests.iter().filter(|request| is_one(request)).fold(0.0, |sum, request| sum + request.weight)
}

/// How many of the regression's requests `among` those looked at `are` so beyond the share that are in the baseline.
fn beyond(windows: [&[Passing]; 2], among: impl Fn(&Passing) -> bool, are: impl Fn(&Passing) -> bool) -> f64 {
    let [(n_before, before), (n_after, after)] =
        windows.map(|requests| (weight(requests, &among), weight(requests, |request| among(request) && are(request))));
    (after - n_after * ratio(before, n_before)).max(0.0)
}
