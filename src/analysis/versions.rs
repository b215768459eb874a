//! Versions that came, as changes: those that the data show, the listed changes that brought each, and whether its calls carry what its
//! service adds.

use super::change_list::ChangeEvent;
use super::changes::{Credit, GRACE_NS, MAX_LAG_NS, is_incident};
use super::evidence::Evidence;
use super::{Analysis, Carrier, Prepared, ValueChange};
use crate::drill::presence::{Change as Came, VERSION};
use crate::drill::rollouts::Rollout;
use std::collections::BTreeMap;

/// With fewer of the traces, a version is beside others to compare it with.
const ALMOST_ALL: f64 = 0.9;

/// Versions that the calls of a service's suspects were told apart by: whether calls of any with them carry more than their number explains.
pub(super) type Carry = BTreeMap<(u32, String), bool>;

/// What was found of versions beside the document.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Those that came.
    pub(super) rollouts: Vec<Rollout>,
    /// Those that calls were told apart by.
    pub(super) carry: Carry,
}

/// A version that came.
pub(super) struct Version<'a> {
    pub(super) service: &'a str,
    pub(super) name: &'a str,
    pub(super) unix_ns: i64,
    replaces: Option<&'a str>,
    rollout: Option<&'a Rollout>,
    carries: Option<bool>,
}

impl Version<'_> {
    /// What it is and what it replaces.
    pub(super) fn title(&self) -> String {
        self.replaces.map_or_else(|| self.name.to_owned(), |old| format!("{old} -> {}", self.name))
    }

    /// As a change that needs no list.
    pub(super) fn event(&self) -> ChangeEvent {
        ChangeEvent {
            time_unix_ns: self.unix_ns,
            service: Some(self.service.to_owned()),
            kind: "version".to_owned(),
            title: self.title(),
            url: None,
            source: VERSION.to_owned(),
        }
    }

    /// What of the data speaks against it, if its service moved at this moment: that another version carries what the service adds, or
    /// that it ran beside an older one, and calls of neither carry more.
    pub(super) fn speaks_against(&self, analysis: &Analysis, moved_unix_ns: i64) -> Option<(Credit, String)> {
        let service = self.service;
        let own = || analysis.suspects.iter().filter(|suspect| suspect.service == service);
        let is_it = |key: &str, value: &str| key == VERSION && value == self.name;
        let names_it = |carrier: &Carrier| {
            let others = carrier.and.iter().chain(&carrier.also);
            is_it(&carrier.key, &carrier.value) || others.into_iter().any(|other| is_it(&other.key, &other.value))
        };
        if own().flat_map(|suspect| &suspect.attributes).any(names_it) {
            return None;
        }
        let mut carriers = own().filter_map(|suspect| suspect.attributes.first());
        if let Some(other) = carriers.find(|carrier| carrier.key == VERSION) {
            let reason = format!("the calls of {service} that carry it have {VERSION}={}", other.value);
            return Some((Credit::NotSupported, reason));
        }
        let share = self.rollout?.share_of_older(moved_unix_ns);
        if share >= ALMOST_ALL || self.carries == Some(true) {
            return None;
        }
        let told = format!("{:.0} % of the traces of {service} have it while older ones run too", 100.0 * share);
        Some(match self.carries {
            Some(_) => (
                Credit::NotSupported,
                format!("{told}, and what {service} adds is not theirs: calls with and without it take alike"),
            ),
            None => (
                Credit::Unknown,
                format!("{told}, and whether what {service} adds is theirs was not looked into or cannot be told"),
            ),
        })
    }
}

/// Versions that came while the data run and, where windows are told apart by something else than time, those that only the regression
/// has; by service, in order of time.
pub(super) fn versions<'a>(
    analysis: &'a Analysis,
    prepared: &Prepared,
    evidence: Evidence<'a>,
    found: &'a Found,
) -> Vec<Version<'a>> {
    // On two axes of time no version comes after another; and where the baseline is what follows, what it lacks is what went.
    let is_after = analysis.windows.regression.start_unix_ns >= analysis.windows.baseline.start_unix_ns;
    let rollouts = if prepared.has_sides() { &[] } else { found.rollouts.as_slice() };
    let name = |rollout: &Rollout| evidence.forest.services[rollout.service as usize].name.as_str();
    let mut versions: Vec<Version<'a>> = rollouts
        .iter()
        .map(|rollout| Version {
            service: name(rollout),
            name: &rollout.version,
            unix_ns: rollout.first_unix_ns,
            replaces: rollout.replaces.as_deref(),
            rollout: Some(rollout),
            carries: found.carry.get(&(rollout.service, rollout.version.clone())).copied(),
        })
        .collect();
    let is_new = |value: &&ValueChange| {
        let is_known = |rollout: &Rollout| name(rollout) == value.service && rollout.version == value.value;
        value.change == Came::New && value.key == VERSION && !rollouts.iter().any(is_known)
    };
    let new = analysis.new_values.iter().filter(|_| prepared.has_sides() || is_after).filter(is_new);
    versions.extend(new.map(|new| Version {
        service: &new.service,
        name: &new.value,
        unix_ns: new.seen_unix_ns,
        replaces: new.replaces.as_deref(),
        rollout: None,
        carries: None,
    }));
    versions.sort_by_key(|version| (version.service, version.unix_ns, version.name));
    versions
}

/// The version that each listed change brought, by place, if it brought one.
///
/// Lists tell when somebody set out to bring a version, spans when the first call met it. Of the changes of its service before that, it
/// was those that name it; where none does, the latest of a kind that brings versions, unless that names or brought another one.
pub(super) fn brought_by(events: &[ChangeEvent], versions: &[Version<'_>]) -> Vec<Option<usize>> {
    let mut brought = vec![None; events.len()];
    let is_near = |event: &ChangeEvent, version: &Version<'_>| {
        let near = version.unix_ns.saturating_sub(MAX_LAG_NS)..=version.unix_ns.saturating_add(GRACE_NS);
        event.source != VERSION
            && event.service.as_deref() == Some(version.service)
            && near.contains(&event.time_unix_ns)
            && !is_incident(event)
    };
    for (place, version) in versions.iter().enumerate() {
        for (event, brought) in events.iter().zip(&mut brought) {
            if brought.is_none() && is_near(event, version) && names(&event.title, version.name) {
                *brought = Some(place);
            }
        }
    }
    for (place, version) in versions.iter().enumerate() {
        if brought.contains(&Some(place)) {
            continue;
        }
        let others = || versions.iter().filter(|other| other.service == version.service);
        let before = others().filter(|other| other.unix_ns < version.unix_ns).map(|other| other.unix_ns).max();
        let fits = |event: &ChangeEvent| {
            is_near(event, version)
                && brings_versions(&event.kind)
                && before.is_none_or(|before| event.time_unix_ns > before)
                && !others().any(|other| names(&event.title, other.name))
        };
        let free: Vec<usize> =
            (0..events.len()).filter(|&index| brought[index].is_none() && fits(&events[index])).collect();
        let times = || free.iter().map(|&index| events[index].time_unix_ns);
        // One that is dated after the version by what clocks may differ, only where there is none before it.
        let nearest = times().filter(|&time| time <= version.unix_ns).max().or_else(|| times().min());
        for &index in free.iter().filter(|&&index| Some(events[index].time_unix_ns) == nearest) {
            brought[index] = Some(place);
        }
    }
    brought
}

/// Whether changes of a kind put code into service; those without one may.
fn brings_versions(kind: &str) -> bool {
    let kind = kind.to_lowercase();
    kind == "change" || ["deploy", "release", "roll", "upgrade", "version"].iter().any(|stem| kind.contains(stem))
}

/// Whether a version stands in a text as a word: `2.0` does in `pay v2.0 (fix)` and not in `2.0.1`.
fn names(text: &str, version: &str) -> bool {
    let version =
        version.strip_prefix('v').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(version);
    let is_part = |c: char| c.is_alphanumeric() || c == '.';
    let is_word = |at: usize| {
        let before = text[..at].trim_end_matches(['v', 'V']).chars().next_back();
        let mut after = text[at + version.len()..].chars();
        let next = after.next().filter(|&c| is_part(c));
        let goes_on = next.is_some_and(|c| c != '.' || after.next().is_some_and(char::is_alphanumeric));
        !before.is_some_and(is_part) && !goes_on
    };
    version.len() > 1 && text.match_indices(version).any(|(at, _)| is_word(at))
}
