//! What changed near the onset: deploys, flags and the like, each credited or not by what its service did after it.

use super::change_list::ChangeEvent;
use super::evidence::Evidence;
use super::moved::{Move, Moved, moved};
use super::versions::{Found, Version, brought_by, versions};
use super::{Analysis, Prepared, wording};
use crate::drill::presence::VERSION;
use crate::time::{format_ns, format_rfc3339};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A change is held to act within this time; what moves later than that has nearer reasons, or none that a list tells.
pub(super) const MAX_LAG_NS: i64 = 15 * 60 * 1_000_000_000;
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

/// A change with the version that it is, or that it brought.
struct Change<'a> {
    event: ChangeEvent,
    version: Option<&'a Version<'a>>,
}

impl Change<'_> {
    fn is_version(&self) -> bool {
        self.event.source == VERSION
    }

    /// Whether both are one change: a version and what brought it.
    fn is_one_with(&self, other: &Self) -> bool {
        let is_version = || self.version.zip(other.version).is_some_and(|(own, other)| std::ptr::eq(own, other));
        std::ptr::eq(self, other) || is_version()
    }

    /// When it acts on what moved until then: what brings a version does when the version takes its first call, or before that if its
    /// service moved before.
    fn acts_unix_ns(&self, latest_unix_ns: i64) -> i64 {
        let version_ns = self.version.map(|version| version.unix_ns).filter(|&at| at <= latest_unix_ns);
        version_ns.unwrap_or(self.event.time_unix_ns)
    }
}

/// Credits the changes of the lists, and the versions that the data themselves show.
///
/// A service must be accused by the comparison, and what requests spend on it (or, if it is accused of failures, how many fail by it) must
/// have moved clearly, at a time that the change explains: not before it, but for what clocks may differ, and not long after it. Of
/// several changes of a service that the moment fits, all are candidates; a listed change and the version that it brought are one.
/// Everything else near in time is listed with the numbers that speak against it; what lies far outside the data is counted.
pub(super) fn add(
    analysis: &mut Analysis,
    prepared: &Prepared,
    evidence: Evidence<'_>,
    found: &Found,
    events: &[ChangeEvent],
) {
    let near = near(analysis, prepared);
    let is_near = |event: &&ChangeEvent| near.iter().any(|&[from, until]| (from..=until).contains(&event.time_unix_ns));
    let mut listed: Vec<ChangeEvent> = events.iter().filter(is_near).cloned().collect();
    analysis.n_changes_outside = (events.len() - listed.len()) as u64;
    listed.sort_unstable();
    listed.dedup();
    let versions = versions(analysis, prepared, evidence, found);
    let brought = brought_by(&listed, &versions);
    let listed = listed.into_iter().zip(brought);
    let listed = listed.map(|(event, brought)| Change { event, version: brought.map(|place| &versions[place]) });
    let own = versions.iter().map(|version| Change { event: version.event(), version: Some(version) });
    let mut changes: Vec<Change<'_>> = listed.chain(own).collect();
    changes.sort_by(|left, right| left.event.cmp(&right.event));
    let mut moves: BTreeMap<String, Move> = BTreeMap::new();
    for service in changes.iter().filter_map(|change| change.event.service.as_ref()) {
        if !moves.contains_key(service) {
            let own = moved(analysis, prepared, evidence, service);
            moves.insert(service.clone(), own);
        }
    }
    let account = |change: &Change<'_>| {
        let (credit, reason) = judge(analysis, &moves, &changes, change);
        let event = &change.event;
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
    analysis.changes = changes.iter().map(account).collect();
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

/// What somebody wrote down about the trouble is no cause of it: kinds such as `Incidents`, `alert_fired` and `pagerduty`.
pub(super) fn is_incident(event: &ChangeEvent) -> bool {
    const STEMS: [&str; 6] = ["incident", "alert", "alarm", "outage", "pager", "opsgenie"];
    let kind = event.kind.to_lowercase();
    let mut words = kind.split(|c: char| !c.is_alphanumeric());
    words.any(|word| STEMS.iter().any(|stem| word.starts_with(stem)) || ["page", "pages", "paged"].contains(&word))
}

/// By how much a change may be dated after what it brought: clocks of spans were compared, where it is the spans that tell.
fn grace_ns(analysis: &Analysis, change: &Change<'_>) -> i64 {
    if !change.is_version() {
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
    changes: &[Change<'_>],
    change: &Change<'_>,
) -> (Credit, String) {
    let event = &change.event;
    let Some(service) = &event.service else {
        return (Credit::Unknown, "it names no service, so nothing can speak for or against it".to_owned());
    };
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
        Move::At { .. } if is_incident(event) => {
            (Credit::NotSupported, format!("what is listed as {} tells of trouble and brings none", event.kind))
        }
        Move::At { steps, what } => {
            let mut found = steps.iter().map(|&step| {
                let held = held_against(analysis, changes, change, step, *what);
                let version = change.version.filter(|_| held.0 == Credit::Credited);
                version.and_then(|version| version.speaks_against(analysis, step[0])).unwrap_or(held)
            });
            // The largest step is the first.
            let (credit, reason) = found.next().unwrap_or((Credit::Unknown, String::new()));
            if credit == Credit::Credited {
                return (credit, reason);
            }
            let part = found.find(|(credit, _)| *credit == Credit::Credited);
            part.map_or((credit, reason), |(credit, reason)| (credit, format!("a part of it: {reason}")))
        }
    }
}

/// Whether a change explains that its service moved between these two moments.
fn held_against(
    analysis: &Analysis,
    changes: &[Change<'_>],
    change: &Change<'_>,
    [earliest_unix_ns, latest_unix_ns]: [i64; 2],
    what: Moved,
) -> (Credit, String) {
    let service = change.event.service.as_deref().unwrap_or_default();
    let moved = match what {
        Moved::Time => "the time that requests spend on it",
        Moved::Failures => "the share of requests that fail by it",
        Moved::MissingCalls => "the share of requests that lack its calls",
    };
    let when = format!(
        "{moved} rose between {} and {}",
        format_rfc3339(to_millisecond(earliest_unix_ns)),
        format_rfc3339(to_millisecond(latest_unix_ns))
    );
    let late_ns = change.event.time_unix_ns.saturating_sub(latest_unix_ns);
    let grace = grace_ns(analysis, change);
    if late_ns > grace {
        return (Credit::NotSupported, format!("it came {} too late: {when}", format_ns(late_ns)));
    }
    let acts = |change: &Change<'_>| change.acts_unix_ns(latest_unix_ns);
    let at = acts(change);
    let lag_ns = earliest_unix_ns.saturating_sub(at);
    if lag_ns > MAX_LAG_NS {
        return (Credit::NotSupported, format!("nothing moved for {} after it: {when}", format_ns(lag_ns)));
    }
    // The latest change before the step, and all that lie within its uncertainty, explain it alike.
    let fits = |other: &&Change<'_>| {
        other.event.service.as_deref() == Some(service)
            && !is_incident(&other.event)
            && acts(other) <= latest_unix_ns.saturating_add(grace_ns(analysis, other))
            && earliest_unix_ns.saturating_sub(acts(other)) <= MAX_LAG_NS
    };
    // One that is dated after the step by what clocks may differ is the nearest only where there is none before it.
    let times = || changes.iter().filter(fits).map(acts);
    let latest = times().filter(|&time| time <= latest_unix_ns).max().or_else(|| times().min()).unwrap_or(at);
    let nearest = latest.min(earliest_unix_ns.saturating_sub(GRACE_NS));
    if at < nearest {
        let nearer = format_ns(latest.saturating_sub(at));
        let reason = format!("what moved did so with another change of {service} {nearer} later: {when}");
        return (Credit::NotSupported, reason);
    }
    let is_other = |other: &&Change<'_>| acts(other) >= nearest && !other.is_one_with(change);
    let n_others = changes.iter().filter(fits).filter(is_other).count();
    let others = match n_others {
        0 => String::new(),
        1 => "; 1 other change of it fits as well".to_owned(),
        _ => format!("; {n_others} other changes of it fit as well"),
    };
    let ranked = analysis.services.iter().find(|ranked| ranked.service == service);
    let adds = ranked.map_or_else(String::new, |ranked| match what {
        Moved::Time => format!("{service} adds {} a request, and ", wording::signed_ms(ranked.contribution.ms)),
        Moved::Failures => {
            format!("{service} adds {} of failing requests, and ", wording::points(ranked.contribution.error_ratio))
        }
        Moved::MissingCalls => format!("{service} leaves out calls, and "),
    });
    let after = after(change, late_ns, lag_ns, grace);
    (Credit::Credited, format!("{adds}{when}{after}{others}"))
}

/// How a change that is credited lies to what it brought, where that needs a word.
fn after(change: &Change<'_>, late_ns: i64, lag_ns: i64, grace_ns: i64) -> String {
    let brought = change.version.filter(|_| !change.is_version()).map_or_else(String::new, |version| {
        let later_ns = version.unix_ns.saturating_sub(change.event.time_unix_ns);
        let later = if later_ns > 0 { format!(" {} later", format_ns(later_ns)) } else { String::new() };
        format!("; its version {} came{later}", version.title())
    });
    if late_ns > 0 {
        let (late, grace) = (format_ns(late_ns), format_ns(grace_ns));
        format!("; it is dated {late} after that, within the {grace} by which clocks may differ{brought}")
    } else if lag_ns > FAR_NS {
        format!(", {} after it{brought}", format_ns(lag_ns))
    } else {
        brought
    }
}
