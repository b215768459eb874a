//! Attributes in the document: which values carry a suspect's contribution, and which are new or gone.

use super::build::NS_PER_MS;
use super::evidence::Evidence;
use super::versions::Carry;
use crate::drill::presence::{self, Change};
use crate::drill::{self, Condition, Drill, Measure, Of, Target};
use crate::rank::Channel;
use crate::span::AttributeScope;
use crate::time::format_rfc3339;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Suspects whose calls are told apart: those that people look at.
const MAX_DRILLED: usize = 10;

/// An attribute with its value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Attribute {
    /// Key.
    pub key: String,
    /// Value as text; a range such as `over 12 to 80` of a number that has many.
    pub value: String,
    /// Whose span has it.
    pub of: Of,
    /// Whether it is an attribute of the resource (process, host, pod) rather than of the span.
    pub is_resource: bool,
}

/// Calls that carry a suspect's contribution, told apart by an attribute.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Carrier {
    /// Key of the attribute.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Whose span has it.
    pub of: Of,
    /// Whether it is an attribute of the resource rather than of the span.
    pub is_resource: bool,
    /// A second attribute that the calls have in common.
    pub and: Option<Attribute>,
    /// Attributes that mean the same calls.
    pub also: Vec<Attribute>,
    /// Their part of the suspect's contribution, milliseconds per request; 0 for errors.
    pub contribution_ms: f64,
    /// Their part of the suspect's change of the share of failing requests; 0 for latency.
    pub contribution_error_ratio: f64,
    /// Their part as a share of the whole; above 1 where other calls took some back.
    pub share: f64,
    /// 95 % interval of `share`.
    pub share_interval: [f64; 2],
    /// Their share of the suspect's calls, whether or not a request waits for them.
    pub share_of_calls: super::Pair,
    /// Their number; a call and its answer are one.
    pub n_calls: [u64; 2],
    /// `share` over `share_of_calls` in the regression: 1 is even spread.
    pub lift: f64,
    /// False discovery rate of the claim that they carry more than even spread; none where all calls have the value.
    pub q: Option<f64>,
    /// Whether no call of the baseline has the value, although some would be expected to.
    pub only_in_regression: bool,
}

/// How a suspect's calls were looked into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttributeSearch {
    /// Attributes that have a value with enough calls to judge.
    pub n_keys: u64,
    /// Such values; the false discovery rates are corrected for their number.
    pub n_values: u64,
}

/// A value of a resource attribute that only one window has.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ValueChange {
    /// `new` or `gone`.
    pub change: Change,
    /// Service.
    pub service: String,
    /// Key of the attribute.
    pub key: String,
    /// Its value.
    pub value: String,
    /// For a new value, the value that the service lost at the same time, if it lost just one.
    pub replaces: Option<String>,
    /// Attributes of the service that came or went on the same spans, as `key=value`.
    pub also: Vec<String>,
    /// Spans with it, in the window that has it.
    pub n_spans: u64,
    /// Their share of the service's spans there.
    pub share_of_spans: f64,
    /// When it was first seen (new), or last (gone), RFC 3339.
    pub seen: String,
    /// The same, nanoseconds since the Unix epoch.
    pub seen_unix_ns: i64,
}

/// Looks into the suspects with the highest scores, given as (score, subject, channel); the results are by subject.
pub(super) fn drill(
    evidence: Evidence<'_>,
    scored: &[(f64, u32, Channel)],
    keys: Option<&[String]>,
) -> Vec<(u32, Drill)> {
    let Some(keys) = keys else { return Vec::new() };
    let mut chosen = scored.to_vec();
    chosen.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
    // What adds to the slowest requests and nothing to the mean has no part of the mean to be carried.
    let adds = |subject: u32| evidence.comparison.subjects[subject as usize].value > 0.0;
    chosen.retain(|&(_, subject, channel)| channel != Channel::TailLatency || adds(subject));
    chosen.truncate(MAX_DRILLED);
    let targets: Vec<Target> = chosen
        .iter()
        .map(|&(_, subject, channel)| Target {
            subject,
            measure: match channel {
                Channel::Latency | Channel::TypicalLatency | Channel::TailLatency => Measure::Latency,
                Channel::Errors => Measure::Failures,
                Channel::MissingCalls => Measure::MissingCalls,
            },
        })
        .collect();
    let drills = drill::drill(evidence.drill_input(), &targets, keys);
    targets.iter().map(|target| target.subject).zip(drills).collect()
}

fn attribute(condition: &Condition) -> Attribute {
    Attribute {
        key: condition.key.clone(),
        value: condition.value.clone(),
        of: condition.of,
        is_resource: condition.scope == AttributeScope::Resource,
    }
}

/// What was found of a subject, in the document's words.
pub(super) fn carriers(
    drills: &[(u32, Drill)],
    subject: u32,
    channel: Channel,
) -> (Vec<Carrier>, Option<AttributeSearch>) {
    let Some((_, drill)) = drills.iter().find(|(known, _)| *known == subject) else { return (Vec::new(), None) };
    let carrier = |carrier: &drill::Carrier| -> Option<Carrier> {
        let Attribute { key, value, of, is_resource } = attribute(carrier.conditions.first()?);
        let is_errors = channel == Channel::Errors;
        let [baseline, regression] = carrier.share_of_calls;
        Some(Carrier {
            key,
            value,
            of,
            is_resource,
            and: carrier.conditions.get(1).map(attribute),
            also: carrier.also.iter().map(attribute).collect(),
            contribution_ms: if is_errors { 0.0 } else { carrier.contribution / NS_PER_MS },
            contribution_error_ratio: if is_errors { carrier.contribution } else { 0.0 },
            share: carrier.share,
            share_interval: carrier.interval,
            share_of_calls: super::Pair { baseline, regression },
            n_calls: carrier.n_calls,
            lift: super::build::ratio(carrier.share, regression),
            q: carrier.q,
            only_in_regression: carrier.only_in_regression,
        })
    };
    let search = AttributeSearch { n_keys: drill.n_keys as u64, n_values: drill.n_values as u64 };
    (drill.carriers.iter().filter_map(carrier).collect(), Some(search))
}

/// The versions that the calls of suspects were told apart by.
pub(super) fn versions(evidence: Evidence<'_>, drills: &[(u32, Drill)]) -> Carry {
    let mut versions = Carry::new();
    for (subject, drill) in drills {
        let service = evidence.comparison.attribution.blamed[*subject as usize];
        for (version, carries) in &drill.versions {
            *versions.entry((service, version.clone())).or_insert(false) |= *carries;
        }
    }
    versions
}

/// Values that only one window has, of those that were found.
pub(super) fn value_changes(evidence: Evidence<'_>, found: &[presence::Presence]) -> Vec<ValueChange> {
    let replaces = |new: &presence::Presence| {
        let of_key = |change: Change| {
            let of_key = move |other: &&presence::Presence| {
                other.change == change && other.service == new.service && other.names(&new.key).is_some()
            };
            found.iter().filter(of_key)
        };
        let is_one = of_key(Change::New).count() == 1 && of_key(Change::Gone).count() == 1;
        if is_one { of_key(Change::Gone).next()?.names(&new.key).map(str::to_owned) } else { None }
    };
    found
        .iter()
        .map(|presence| ValueChange {
            change: presence.change,
            service: evidence.forest.services[presence.service as usize].name.clone(),
            key: presence.key.clone(),
            value: presence.value.clone(),
            replaces: if presence.change == Change::New { replaces(presence) } else { None },
            also: presence.also.iter().map(|(key, value)| format!("{key}={value}")).collect(),
            n_spans: presence.n_spans,
            share_of_spans: presence.share_of_spans,
            seen: format_rfc3339(presence.seen_unix_ns),
            seen_unix_ns: presence.seen_unix_ns,
        })
        .collect()
}
