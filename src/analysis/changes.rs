//! What changed near the onset: deploys, flags and the like, each credited or not by what its service did after it.

use super::change_list::ChangeEvent;
use super::evidence::{Evidence, Stake};
use super::{Analysis, Prepared, wording};
use crate::compare::paths::NO_PATH;
use crate::drill::presence::Change as Came;
use crate::rank::{Channel, Verdict};
use crate::time::{format_ns, format_rfc3339};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A step is told from noise where cutting the series at it saves this many noise variances in squares: some three and a half standard
/// errors.
const MIN_GAIN: f64 = 12.0;
/// Moments that save at most this many noise variances less than the best one may be the true one as well.
const NEARLY: f64 = 8.0;
/// Time on a service above this quantile of its entry's requests counts as if it stood there: a few wild requests are no step.
const CAP: f64 = 0.95;
/// A change is held to act within this time; what moves later than that has nearer reasons, or none that a list tells.
const MAX_LAG_NS: i64 = 15 * 60 * 1_000_000_000;
/// Clocks of those who write changes down and of those who record spans differ by so much.
const GRACE_NS: i64 = 5 * 1_000_000_000;

/// Whether a change is held to have brought the regression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Credit {
    /// Its service's own contribution moved after it.
    Credited,
    /// Near in time, but its service's own contribution did not move, or moved before it.
    NotSupported,
    /// The data cannot tell.
    Unknown,
}

/// A change and what the data say of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeAccount {
    /// When, RFC 3339.
    pub time: String,
    /// When, nanoseconds since the Unix epoch.
    pub time_unix_ns: i64,
    /// Service that was changed; absent if the change is about none in particular.
    pub service: Option<String>,
    /// Such as `deploy`, `flag`, `config`, `incident`; `version` for what `service.version` itself shows.
    pub kind: String,
    /// What it was, in its author's words.
    pub title: String,
    /// More of it.
    pub url: Option<String>,
    /// Where it was read: a file, or `service.version`.
    pub source: String,
    /// Whether it is held to have brought the regression.
    pub credit: Credit,
    /// Why, in a sentence with the numbers.
    pub reason: String,
}

/// Credits the changes of the lists, and the versions that the data themselves show.
///
/// A service must be accused by the comparison, and what requests spend on it (or, if it is accused of failures, how many fail by it) must
/// have moved once, clearly, at a time that the change explains: not before it, and not long after it. Of several changes of a service
/// that the moment fits, all are candidates. Everything else near in time is listed with the numbers that speak against it.
pub(super) fn add(analysis: &mut Analysis, prepared: &Prepared, evidence: Evidence<'_>, events: &[ChangeEvent]) {
    let versions = analysis.new_values.iter().filter(|value| value.change == Came::New && value.key == VERSION);
    let versions = versions.map(|value| ChangeEvent {
        time_unix_ns: value.seen_unix_ns,
        service: Some(value.service.clone()),
        kind: "version".to_owned(),
        title: match &value.replaces {
            Some(old) => format!("{old} -> {}", value.value),
            None => value.value.clone(),
        },
        url: None,
        source: VERSION.to_owned(),
    });
    let mut events: Vec<ChangeEvent> = events.iter().cloned().chain(versions).collect();
    events.sort_unstable();
    events.dedup();
    let mut moves: BTreeMap<String, Move> = BTreeMap::new();
    for service in events.iter().filter_map(|event| event.service.as_ref()) {
        if !moves.contains_key(service) {
            let own = moved(analysis, prepared, evidence, service);
            moves.insert(service.clone(), own);
        }
    }
    let account = |event: &ChangeEvent| {
        let (credit, reason) = judge(analysis, &moves, &events, event);
        ChangeAccount {
            time: format_rfc3339(event.time_unix_ns),
            time_unix_ns: event.time_unix_ns,
            service: event.service.clone(),
            kind: event.kind.clone(),
            title: event.title.clone(),
            url: event.url.clone(),
            source: event.source.clone(),
            credit,
            reason,
        }
    };
    analysis.changes = events.iter().map(account).collect();
}

const VERSION: &str = "service.version";

/// What became of a service over time.
enum Move {
    /// The data hold no span of it and nobody calls it.
    Unknown,
    /// It is not accused; what it adds, in words.
    Innocent(String),
    /// The data have no common axis of time.
    NoAxis,
    /// It is accused, but there is no one moment at which it moved.
    Unclear,
    /// It moved between these moments.
    At { earliest_unix_ns: i64, latest_unix_ns: i64, what: String },
}

fn moved(analysis: &Analysis, prepared: &Prepared, evidence: Evidence<'_>, service: &str) -> Move {
    let forest = evidence.forest;
    let Some(index) = forest.services.iter().position(|known| known.name == service) else { return Move::Unknown };
    let ranked = analysis.services.iter().find(|ranked| ranked.service == service && ranked.is_significant);
    let Some(ranked) = ranked.filter(|_| analysis.verdict == Verdict::Regression) else {
        let own = evidence.comparison.services[index];
        let ms = |ns: f64| wording::signed_ms(ns / super::build::NS_PER_MS);
        let [low, high] = own.interval();
        return Move::Innocent(format!(
            "what {service} adds to a request moved by {} ({} to {}), which does not stand out from chance",
            ms(own.value),
            ms(low),
            ms(high)
        ));
    };
    if prepared.has_sides() {
        return Move::NoAxis;
    }
    let by_failures = ranked.findings.iter().find(|finding| finding.is_significant).map(|finding| finding.channel)
        == Some(Channel::Errors);
    let blamed = &evidence.comparison.attribution.blamed;
    let subjects: Vec<u32> =
        (0_u32..).zip(blamed).filter(|&(_, &own)| own as usize == index).map(|(subject, _)| subject).collect();
    let windows = &analysis.windows;
    // What comes after the regression is a recovery, which is no rise.
    let range = windows.baseline.start_unix_ns..windows.regression.end_unix_ns;
    let traces: Vec<u32> = prepared
        .traces(true)
        .into_iter()
        .filter(|&trace| range.contains(&forest.root_start_ns[trace as usize]))
        .collect();
    let series = series(&traces, evidence, &subjects, by_failures);
    match step(&series) {
        None => Move::Unclear,
        Some([earliest_unix_ns, latest_unix_ns]) => {
            let what = if by_failures { "requests that fail by it" } else { "the time that requests spend on it" };
            Move::At { earliest_unix_ns, latest_unix_ns, what: what.to_owned() }
        }
    }
}

/// What each request of an entry to which the service matters spends on it, less the entry's mean; in order of start.
fn series(traces: &[u32], evidence: Evidence<'_>, subjects: &[u32], by_failures: bool) -> Vec<(i64, f64)> {
    let (forest, table) = (evidence.forest, evidence.table);
    let stake: Stake = evidence.stake(&evidence.parts(subjects));
    let failing: Vec<u32> = evidence.failing(subjects).into_iter().map(|(trace, _)| trace).collect();
    let mut by_entry: BTreeMap<u32, Vec<(i64, f64)>> = BTreeMap::new();
    for &trace in traces {
        let costs = table.costs_of(trace as usize);
        let tops = costs.clone().map(|cost| cost.path).filter(|&path| {
            let path = table.paths.list[path as usize];
            path.parent == NO_PATH && path.scope == evidence.comparison.scope
        });
        let Some(entry) = tops.min() else { continue };
        let time_ns: f64 = costs
            .map(|cost| {
                let parts = [cost.self_ns, cost.before_ns, cost.wait_ns];
                (0..3).filter(|&part| stake.owns(cost.path, part)).map(|part| parts[part] as f64).sum::<f64>()
            })
            .sum();
        let value = if by_failures { f64::from(u8::from(failing.binary_search(&trace).is_ok())) } else { time_ns };
        by_entry.entry(entry).or_default().push((forest.root_start_ns[trace as usize], value));
    }
    let mut all = Vec::new();
    for (_, mut own) in by_entry {
        if own.iter().all(|&(_, value)| value == 0.0) {
            continue;
        }
        if !by_failures {
            let mut values: Vec<f64> = own.iter().map(|&(_, value)| value).collect();
            values.sort_unstable_by(f64::total_cmp);
            let cap = crate::stats::quantile(&values, CAP).unwrap_or(f64::INFINITY);
            for (_, value) in &mut own {
                *value = value.min(cap);
            }
        }
        let mean = own.iter().map(|&(_, value)| value).sum::<f64>() / own.len() as f64;
        all.extend(own.into_iter().map(|(at, value)| (at, value - mean)));
    }
    all.sort_by(|left, right| left.0.cmp(&right.0).then(left.1.total_cmp(&right.1)));
    all
}

/// Between which moments the series rose: the cut into two parts that leaves least variance, and all cuts that are nearly as good.
///
/// Least squares for one step (Hinkley, "Inference about the change-point in a sequence of random variables", Biometrika 57 (1970) 1).
fn step(series: &[(i64, f64)]) -> Option<[i64; 2]> {
    const FEWEST: usize = 5;
    let n = series.len();
    if n < 2 * FEWEST {
        return None;
    }
    let total: f64 = series.iter().map(|&(_, value)| value).sum();
    let squares: f64 = series.iter().map(|&(_, value)| value * value).sum();
    // Gain of a cut before element `k`, rises only.
    let mut gains = vec![f64::NEG_INFINITY; n];
    let mut left = 0.0;
    for k in 1..n {
        left += series[k - 1].1;
        let (before, after) = (left / k as f64, (total - left) / (n - k) as f64);
        if (FEWEST..=n - FEWEST).contains(&k) && after > before {
            gains[k] = left * before + (total - left) * after - total * total / n as f64;
        }
    }
    let best = gains.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let noise = ((squares - total * total / n as f64 - best) / (n as f64 - 2.0)).max(f64::MIN_POSITIVE);
    if best < MIN_GAIN * noise {
        return None;
    }
    let near = |k: &usize| gains[*k] >= best - NEARLY * noise;
    let first = (1..n).find(near)?;
    let last = (1..n).rev().find(near)?;
    // The change lies after the last request before the cut.
    Some([series[first - 1].0, series[last].0])
}

fn judge(
    analysis: &Analysis,
    moves: &BTreeMap<String, Move>,
    events: &[ChangeEvent],
    event: &ChangeEvent,
) -> (Credit, String) {
    let Some(service) = &event.service else {
        return (Credit::Unknown, "it names no service, so nothing can speak for or against it".to_owned());
    };
    let at = event.time_unix_ns;
    match &moves[service] {
        Move::Unknown => (Credit::Unknown, format!("the data hold nothing of {service}")),
        Move::Innocent(words) => (Credit::NotSupported, words.clone()),
        Move::NoAxis => (
            Credit::Unknown,
            format!(
                "{service} is a suspect, but baseline and regression share no axis of time on which to see when it moved"
            ),
        ),
        Move::Unclear => {
            (Credit::Unknown, format!("{service} is a suspect, but there is no one moment at which it moved"))
        }
        Move::At { earliest_unix_ns, latest_unix_ns, what } => {
            let when = format!(
                "{what} rose between {} and {}",
                format_rfc3339(*earliest_unix_ns),
                format_rfc3339(*latest_unix_ns)
            );
            if at > latest_unix_ns.saturating_add(GRACE_NS) {
                let late = format_ns(at.saturating_sub(*latest_unix_ns));
                return (Credit::NotSupported, format!("it came {late} too late: {when}"));
            }
            let lag_ns = earliest_unix_ns.saturating_sub(at);
            if lag_ns > MAX_LAG_NS {
                return (Credit::NotSupported, format!("nothing moved for {} after it: {when}", format_ns(lag_ns)));
            }
            // The latest change before the step, and all that lie within its uncertainty, explain it alike.
            let fits = |other: &&ChangeEvent| {
                other.service.as_ref() == Some(service)
                    && other.time_unix_ns <= latest_unix_ns.saturating_add(GRACE_NS)
                    && earliest_unix_ns.saturating_sub(other.time_unix_ns) <= MAX_LAG_NS
            };
            let latest = events.iter().filter(fits).map(|other| other.time_unix_ns).max().unwrap_or(at);
            if at < latest.min(earliest_unix_ns.saturating_sub(GRACE_NS)) {
                let nearer = format_ns(latest.saturating_sub(at));
                return (
                    Credit::NotSupported,
                    format!("nothing moved until another change of {service} {nearer} later: {when}"),
                );
            }
            let n_alike = events
                .iter()
                .filter(fits)
                .filter(|other| other.time_unix_ns >= latest.min(earliest_unix_ns.saturating_sub(GRACE_NS)))
                .count();
            let alike = if n_alike > 1 { format!("; {n_alike} changes of it fit as well") } else { String::new() };
            let ranked = analysis.services.iter().find(|ranked| &ranked.service == service);
            let adds = ranked.map_or_else(String::new, |ranked| {
                format!("{service} adds {} a request, and ", wording::signed_ms(ranked.contribution.ms))
            });
            (Credit::Credited, format!("{adds}{when}{alike}"))
        }
    }
}
