//! What changed near the onset: deploys, flags and the like, each credited or not by what its service did after it.

use super::change_list::ChangeEvent;
use super::evidence::Evidence;
use super::moved::{Move, Moved, moved};
use super::{Analysis, Carrier, Prepared, wording};
use crate::drill::presence::{Change as Came, VERSION};
use crate::drill::rollouts::Rollout;
use crate::time::{format_ns, format_rfc3339};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A change is held to act within this time; what moves later than that has nearer reasons, or none that a list tells.
const MAX_LAG_NS: i64 = 15 * 60 * 1_000_000_000;
/// Clocks of those who write changes down and of those who record spans differ by so much.
pub(super) const GRACE_NS: i64 = 5 * 1_000_000_000;

/// What moves later than this is said to.
const FAR_NS: i64 = 60 * 1_000_000_000;

/// Whether a change is held to have brought the regression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Credit {
    /// Its service's own contribution moved after it, or as little before it as clocks may differ.
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

impl Analysis {
    /// How many changes are not listed, in a sentence.
    #[must_use]
    pub fn told_changes_outside(&self) -> Option<String> {
        let n_outside = self.n_changes_outside;
        let lie = if n_outside == 1 { "change lies" } else { "changes lie" };
        (n_outside > 0).then(|| format!("{n_outside} {lie} more than 15 minutes outside the data"))
    }
}

/// Credits the changes of the lists, and the versions that the data themselves show.
///
/// A service must be accused by the comparison, and what requests spend on it (or, if it is accused of failures, how many fail by it) must
/// have moved once, clearly, at a time that the change explains: not before it, but for what clocks may differ, and not long after it. Of
/// several changes of a service that the moment fits, all are candidates. Everything else near in time is listed with the numbers that
/// speak against it; what lies far outside the data is counted.
pub(super) fn add(
    analysis: &mut Analysis,
    prepared: &Prepared,
    evidence: Evidence<'_>,
    rollouts: &[Rollout],
    events: &[ChangeEvent],
) {
    let near = near(analysis, prepared);
    let is_near = |event: &&ChangeEvent| near.iter().any(|&[from, until]| (from..=until).contains(&event.time_unix_ns));
    let listed = events.iter().filter(is_near).cloned();
    analysis.n_changes_outside = (events.len() - listed.clone().count()) as u64;
    let mut events: Vec<ChangeEvent> = listed.chain(versions(analysis, prepared, evidence, rollouts)).collect();
    events.sort_unstable();
    events.dedup();
    let mut moves: BTreeMap<String, Move> = BTreeMap::new();
    for service in events.iter().filter_map(|event| event.service.as_ref()) {
        if !moves.contains_key(service) {
            let own = moved(analysis, prepared, evidence, service);
            moves.insert(service.clone(), own);
        }
    }
    let shares = shares(analysis, evidence, rollouts);
    let account = |event: &ChangeEvent| {
        let (credit, reason) = judge(analysis, &moves, &shares, &events, event);
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

/// What the data reach over, and a window that lies elsewhere, with the time before within which a change may have brought what they
/// show, and as much after.
fn near(analysis: &Analysis, prepared: &Prepared) -> Vec<[i64; 2]> {
    let windows = [&analysis.windows.baseline, &analysis.windows.regression];
    let mut spans: Vec<[i64; 2]> = windows.iter().map(|window| [window.start_unix_ns, window.end_unix_ns]).collect();
    if !prepared.has_sides() {
        let starts = &prepared.forest.root_start_ns;
        spans.extend(starts.iter().min().zip(starts.iter().max()).map(|(&first, &last)| [first, last]));
    }
    spans.into_iter().map(|[from, until]| [from.saturating_sub(MAX_LAG_NS), until.saturating_add(MAX_LAG_NS)]).collect()
}

/// Versions that came while the data run and, where windows are told apart by something else than time, those that only the regression has.
fn versions(
    analysis: &Analysis,
    prepared: &Prepared,
    evidence: Evidence<'_>,
    rollouts: &[Rollout],
) -> Vec<ChangeEvent> {
    let event = |at_unix_ns: i64, service: &str, version: &str, replaces: Option<&str>| ChangeEvent {
        time_unix_ns: at_unix_ns,
        service: Some(service.to_owned()),
        kind: "version".to_owned(),
        title: replaces.map_or_else(|| version.to_owned(), |old| format!("{old} -> {version}")),
        url: None,
        source: VERSION.to_owned(),
    };
    // On two axes of time no version comes after another; and where the baseline is what follows, what it lacks is what went.
    let is_after = analysis.windows.regression.start_unix_ns >= analysis.windows.baseline.start_unix_ns;
    let rollouts = if prepared.has_sides() { &[] } else { rollouts };
    let service = |rollout: &Rollout| &evidence.forest.services[rollout.service as usize].name;
    let mut versions: Vec<ChangeEvent> = rollouts
        .iter()
        .map(|rollout| event(rollout.first_unix_ns, service(rollout), &rollout.version, rollout.replaces.as_deref()))
        .collect();
    let is_new = |value: &&super::ValueChange| {
        let is_known = |rollout: &Rollout| *service(rollout) == value.service && rollout.version == value.value;
        value.change == Came::New && value.key == VERSION && !rollouts.iter().any(is_known)
    };
    let new = analysis.new_values.iter().filter(|_| prepared.has_sides() || is_after).filter(is_new);
    versions.extend(new.map(|new| event(new.seen_unix_ns, &new.service, &new.value, new.replaces.as_deref())));
    versions
}

/// Share of each service's traces that have a version that came: since it did, or in the regression.
fn shares<'a>(
    analysis: &'a Analysis,
    evidence: Evidence<'a>,
    rollouts: &'a [Rollout],
) -> BTreeMap<(&'a str, &'a str), f64> {
    let new = analysis.new_values.iter().filter(|new| new.change == Came::New && new.key == VERSION);
    let new = new.map(|new| ((new.service.as_str(), new.value.as_str()), new.share_of_spans));
    let name = |rollout: &Rollout| evidence.forest.services[rollout.service as usize].name.as_str();
    new.chain(rollouts.iter().map(|rollout| ((name(rollout), rollout.version.as_str()), rollout.share))).collect()
}

/// With fewer of the traces, a version is beside others to compare it with.
const ALMOST_ALL: f64 = 0.9;

/// For a version that came, what of the data speaks against it: that another version carries what its service adds, or that it came beside
/// another, and calls of neither carry more.
fn carried_otherwise(
    analysis: &Analysis,
    shares: &BTreeMap<(&str, &str), f64>,
    service: &str,
    event: &ChangeEvent,
) -> Option<String> {
    let new = event.title.rsplit(" -> ").next().filter(|_| event.source == VERSION)?;
    let own = || analysis.suspects.iter().filter(|suspect| suspect.service == service);
    let mut carriers = own().filter_map(|suspect| suspect.attributes.first());
    if let Some(other) = carriers.find(|carrier| carrier.key == VERSION && carrier.value != new) {
        return Some(format!("the calls of {service} that carry it have {VERSION}={}", other.value));
    }
    let share = shares.get(&(service, new)).copied().filter(|&share| share < ALMOST_ALL)?;
    let is_new = |key: &str, value: &str| key == VERSION && value == new;
    let names_it = |carrier: &Carrier| {
        let others = carrier.and.iter().chain(&carrier.also);
        is_new(&carrier.key, &carrier.value) || others.into_iter().any(|other| is_new(&other.key, &other.value))
    };
    let was_asked = own().any(|suspect| suspect.attribute_search.is_some_and(|search| search.n_values > 0));
    let is_told = own().flat_map(|suspect| &suspect.attributes).any(names_it);
    (was_asked && !is_told).then(|| {
        format!(
            "{:.0} % of the traces of {service} have it since it came, and what {service} adds is not theirs: calls with and without it take alike",
            100.0 * share
        )
    })
}

/// What somebody wrote down about the trouble is no cause of it.
fn is_incident(event: &ChangeEvent) -> bool {
    ["incident", "alert", "page", "outage"].iter().any(|kind| event.kind.eq_ignore_ascii_case(kind))
}

/// By how much a change may be dated after what it brought: clocks of spans were compared, where it is the spans that tell.
fn grace_ns(analysis: &Analysis, event: &ChangeEvent) -> i64 {
    if event.source != VERSION {
        return GRACE_NS;
    }
    let skew = &analysis.diagnostics.repairs.skew;
    skew.iter().map(|pair| pair.offset_ns.saturating_abs()).max().unwrap_or(0).min(GRACE_NS)
}

/// Clocks differ by far more than what is cut off.
fn to_millisecond(unix_ns: i64) -> i64 {
    unix_ns.saturating_sub(unix_ns.rem_euclid(1_000_000))
}

fn judge(
    analysis: &Analysis,
    moves: &BTreeMap<String, Move>,
    shares: &BTreeMap<(&str, &str), f64>,
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
                "{service} is a suspect, but baseline and regression do not follow each other in one stretch of time, in which to see when it moved"
            ),
        ),
        Move::Unclear => {
            (Credit::Unknown, format!("{service} is a suspect, but there is no one moment at which it moved"))
        }
        Move::At { earliest_unix_ns, latest_unix_ns, what } => {
            if is_incident(event) {
                return (
                    Credit::NotSupported,
                    format!("what is listed as {} tells of trouble and brings none", event.kind),
                );
            }
            if let Some(reason) = carried_otherwise(analysis, shares, service, event) {
                return (Credit::NotSupported, reason);
            }
            let moved = match what {
                Moved::Time => "the time that requests spend on it",
                Moved::Failures => "the share of requests that fail by it",
                Moved::MissingCalls => "the share of requests that lack its calls",
            };
            let when = format!(
                "{moved} rose between {} and {}",
                format_rfc3339(to_millisecond(*earliest_unix_ns)),
                format_rfc3339(to_millisecond(*latest_unix_ns))
            );
            let late_ns = at.saturating_sub(*latest_unix_ns);
            let grace_ns = grace_ns(analysis, event);
            if late_ns > grace_ns {
                return (Credit::NotSupported, format!("it came {} too late: {when}", format_ns(late_ns)));
            }
            let lag_ns = earliest_unix_ns.saturating_sub(at);
            if lag_ns > MAX_LAG_NS {
                return (Credit::NotSupported, format!("nothing moved for {} after it: {when}", format_ns(lag_ns)));
            }
            // The latest change before the step, and all that lie within its uncertainty, explain it alike.
            let fits = |other: &&ChangeEvent| {
                other.service.as_ref() == Some(service)
                    && !is_incident(other)
                    && other.time_unix_ns <= latest_unix_ns.saturating_add(GRACE_NS)
                    && earliest_unix_ns.saturating_sub(other.time_unix_ns) <= MAX_LAG_NS
            };
            // One that is dated after the step by what clocks may differ is the nearest only where there is none before it.
            let times = || events.iter().filter(fits).map(|other| other.time_unix_ns);
            let latest = times().filter(|time| time <= latest_unix_ns).max().or_else(|| times().min()).unwrap_or(at);
            if at < latest.min(earliest_unix_ns.saturating_sub(GRACE_NS)) {
                let nearer = format_ns(latest.saturating_sub(at));
                return (
                    Credit::NotSupported,
                    format!("nothing moved until another change of {service} {nearer} later: {when}"),
                );
            }
            let n_others = events
                .iter()
                .filter(fits)
                .filter(|other| other.time_unix_ns >= latest.min(earliest_unix_ns.saturating_sub(GRACE_NS)))
                .count()
                .saturating_sub(1);
            let late = if late_ns > 0 {
                let (late, grace) = (format_ns(late_ns), format_ns(grace_ns));
                format!("; it is dated {late} after that, within the {grace} by which clocks may differ")
            } else if lag_ns > FAR_NS {
                format!(", {} after it", format_ns(lag_ns))
            } else {
                String::new()
            };
            let others = match n_others {
                0 => String::new(),
                1 => "; 1 other change of it fits as well".to_owned(),
                _ => format!("; {n_others} other changes of it fit as well"),
            };
            let ranked = analysis.services.iter().find(|ranked| &ranked.service == service);
            let adds = ranked.map_or_else(String::new, |ranked| match what {
                Moved::Time => format!("{service} adds {} a request, and ", wording::signed_ms(ranked.contribution.ms)),
                Moved::Failures => format!(
                    "{service} adds {} of failing requests, and ",
                    wording::points(ranked.contribution.error_ratio)
                ),
                Moved::MissingCalls => format!("{service} leaves out calls, and "),
            });
            (Credit::Credited, format!("{adds}{when}{late}{others}"))
        }
    }
}
