//! Whom to call: the owner of each suspect, and the change split by team.

use super::build::{NS_PER_MS, interval_ms};
use super::evidence::Evidence;
use super::resolve::nearest;
use super::suspects::Front;
use super::{Analysis, Contribution, suspects};
use crate::compare::Estimate;
use crate::normalize::Need;
use crate::owners::{Owners, called};
use crate::span::AttributeScope;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Resource attributes that carry a team, the one that counts first.
pub const OWNER_ATTRIBUTES: [&str; 6] = ["service.owner", "service.team", "team", "owner", "team.name", "owner.team"];
/// Rules and services of which a warning is given each; the rest is counted.
const MAX_WARNINGS: usize = 5;

/// Who answers for a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Owner {
    /// Team or person.
    pub team: String,
    /// How to reach them: a channel, an address, an on-call page.
    pub contact: Option<String>,
    /// What to do first.
    pub runbook: Option<String>,
    /// Where that is written: a file, or the resource attribute that says so.
    pub source: String,
}

/// Whose a part of the change is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// That of a team, or of services that no team owns.
    #[default]
    Services,
    /// Other requests were made.
    TrafficMix,
    /// Taken off again: what the parts hold of work that no request waits for, and rounding.
    Background,
}

impl Part {
    /// The part as documents name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::TrafficMix => "traffic_mix",
            Self::Background => "background",
        }
    }

    /// Whether the interval of its contribution says something.
    #[must_use]
    pub fn has_interval(self) -> bool {
        self != Self::Background
    }

    /// What the part is called where no team is named.
    #[must_use]
    pub fn unnamed(self) -> &'static str {
        match self {
            Self::Services => "nobody known",
            Self::TrafficMix => "traffic mix",
            Self::Background => "background work, taken off",
        }
    }
}

/// A team's part of the change; parts, what nobody owns and the traffic mix sum to the change of the mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TeamShare {
    /// Whose part it is.
    #[serde(default)]
    pub part: Part,
    /// Team; absent for what no team owns.
    pub team: Option<String>,
    /// Its services that take part, those with the largest part first.
    pub services: Vec<String>,
    /// What they add. Of the background that is taken off no interval is known: its bounds are its value.
    pub contribution: Contribution,
    /// What they add to the slowest 5 % of each entry's requests, milliseconds.
    #[serde(default)]
    pub tail_ms: f64,
    /// Interval of `tail_ms`.
    #[serde(default)]
    pub tail_interval_ms: [f64; 2],
}

/// Where owners are learnt from.
#[derive(Clone, Debug, Default)]
pub struct OwnerOptions {
    /// What files say.
    pub files: Owners,
    /// Resource attributes that carry a team, the one that counts first; [`OWNER_ATTRIBUTES`] if empty.
    pub attributes: Vec<String>,
}

impl OwnerOptions {
    /// The attributes that carry a team.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        if self.attributes.is_empty() {
            return OWNER_ATTRIBUTES.map(str::to_owned).to_vec();
        }
        self.attributes.clone()
    }
}

/// Names owners and splits the change by them; what is doubtful of them becomes warnings.
pub(super) fn add(analysis: &mut Analysis, evidence: Evidence<'_>, options: &OwnerOptions) {
    let (owners, mut warnings) = owners(evidence, options);
    warnings.extend(unknown(evidence, &options.attributes));
    warnings.extend(unused(evidence, &options.files));
    analysis.diagnostics.warnings.append(&mut warnings);
    let by_name: BTreeMap<&str, &Owner> = (evidence.forest.services.iter().zip(&owners))
        .filter_map(|(service, owner)| Some((service.name.as_str(), owner.as_ref()?)))
        .collect();
    for service in &mut analysis.services {
        service.owner = by_name.get(service.service.as_str()).map(|&owner| owner.clone());
    }
    for suspect in &mut analysis.suspects {
        suspect.owner = by_name.get(suspect.service.as_str()).map(|&owner| owner.clone());
    }
    if !by_name.is_empty() {
        analysis.teams = teams(evidence, &owners);
    }
}

/// The owner of each service, by its index: what a file says, else the commonest value of the first attribute that it has.
fn owners(evidence: Evidence<'_>, options: &OwnerOptions) -> (Vec<Option<Owner>>, Vec<String>) {
    let mut values = values(evidence, &options.keys());
    let spelled = Spelling::of(&options.files, &mut values);
    let (mut several, mut otherwise) = (Vec::new(), Vec::new());
    let owners = (evidence.forest.services.iter().zip(values))
        .map(|(service, values)| {
            let mut by_count: Vec<(&String, &u64)> = values.iter().flat_map(|(_, counts)| counts).collect();
            by_count.sort_by_key(|&(_, &count)| std::cmp::Reverse(count));
            let key = values.as_ref().map(|(key, _)| key.as_str()).unwrap_or_default();
            let said = by_count.first().map(|&(value, _)| value.clone());
            if let [(first, most), .., (_, _)] = by_count.as_slice() {
                let total: u64 = by_count.iter().map(|&(_, &count)| count).sum();
                several.push(format!(
                    "spans of `{}` name {} owners in `{key}`; `{first}`, which {most} of {total} name, was taken",
                    service.name,
                    by_count.len()
                ));
            }
            if let Some((rule, person)) = options.files.of(&service.name) {
                let team = rule.team.as_ref().map(|team| spelled.name(team));
                if let Some(said) = said.filter(|said| team.as_ref() != Some(said)) {
                    let team = team.as_deref().unwrap_or("nobody");
                    otherwise.push(format!(
                        "`{}` is owned by `{team}` by {} and by `{said}` by its `{key}`; the file counts",
                        service.name, rule.place
                    ));
                }
                return team.map(|team| Owner {
                    team,
                    contact: person.contact,
                    runbook: person.runbook,
                    source: rule.place.clone(),
                });
            }
            let team = said?;
            let person = options.files.person(&team);
            let source = format!("resource attribute `{key}`");
            Some(Owner { team, contact: person.contact, runbook: person.runbook, source })
        })
        .collect();
    let mut warnings = limited(several, "services name several owners");
    warnings.extend(limited(otherwise, "services are owned by others than their attribute says"));
    (owners, warnings)
}

/// How teams are written: names that differ in upper and lower case alone are one team, whoever writes them.
struct Spelling(BTreeMap<String, String>);

impl Spelling {
    /// The first spelling in order of each team that files or values name; the values become names so spelled.
    fn of(files: &Owners, values: &mut [Option<(String, BTreeMap<String, u64>)>]) -> Self {
        let mut spelling = Self(BTreeMap::new());
        for team in files.rules.iter().filter_map(|rule| rule.team.as_ref()) {
            spelling.learn(team);
        }
        let of_files: BTreeSet<String> = spelling.0.keys().cloned().collect();
        for (_, counts) in values.iter_mut().flatten() {
            let mut teams = BTreeMap::new();
            for (value, count) in std::mem::take(counts) {
                let team = called(&value, |name| of_files.contains(name));
                spelling.learn(&team);
                *teams.entry(team).or_default() += count;
            }
            *counts = teams;
        }
        for (_, counts) in values.iter_mut().flatten() {
            let mut spelled = BTreeMap::new();
            for (team, count) in std::mem::take(counts) {
                *spelled.entry(spelling.name(&team)).or_default() += count;
            }
            *counts = spelled;
        }
        spelling
    }

    fn learn(&mut self, team: &str) {
        let known = self.0.entry(team.to_lowercase()).or_insert_with(|| team.to_owned());
        if team < known.as_str() {
            team.clone_into(known);
        }
    }

    fn name(&self, team: &str) -> String {
        self.0.get(&team.to_lowercase()).map_or_else(|| team.to_owned(), String::clone)
    }
}

/// How many spans of each service have each value of the first attribute that any has.
fn values(evidence: Evidence<'_>, keys: &[String]) -> Vec<Option<(String, BTreeMap<String, u64>)>> {
    let forest = evidence.forest;
    let mut found = vec![None; forest.services.len()];
    let known = forest.attributes(evidence.frame);
    let is_known = |key: &String| known.iter().any(|(own, _)| own.scope == AttributeScope::Resource && own.key == *key);
    let keys: Vec<&String> = keys.iter().filter(|key| is_known(key)).collect();
    if keys.is_empty() {
        return found;
    }
    let mut of_keys = vec![vec![BTreeMap::<String, u64>::new(); forest.services.len()]; keys.len()];
    forest.each_stretch_of_all(Need::All, |stretch, _| {
        let (forest, frame) = (stretch.forest, stretch.frame(evidence.frame));
        let mut service = vec![u32::MAX; frame.spans.len()];
        for (span, &row) in forest.row.iter().enumerate() {
            service[row as usize] = forest.operations[forest.operation[span] as usize].service;
        }
        for (key, counts) in keys.iter().zip(&mut of_keys) {
            let column = frame.attributes.get(AttributeScope::Resource, key);
            for (row, value) in column.iter().flat_map(|column| column.iter()) {
                let own = service.get(row as usize).and_then(|&own| counts.get_mut(own as usize));
                let Some(own) = own else { continue };
                let text = frame.attributes.text(value);
                match own.get_mut(text.as_ref()) {
                    Some(count) => *count += 1,
                    None if text.trim().is_empty() => {}
                    None => _ = own.insert(text.into_owned(), 1),
                }
            }
        }
    });
    for (key, counts) in keys.into_iter().zip(of_keys) {
        for (found, counts) in found.iter_mut().zip(counts) {
            if found.is_none() && !counts.is_empty() {
                *found = Some((key.clone(), counts));
            }
        }
    }
    found
}

/// Attributes that were named to carry teams and that no span has, with those that they may mean.
fn unknown(evidence: Evidence<'_>, named: &[String]) -> Vec<String> {
    let known = evidence.forest.attributes(evidence.frame);
    let of_resource = known.iter().filter(|(key, _)| key.scope == AttributeScope::Resource);
    let known: Vec<String> = of_resource.map(|(key, _)| key.key.clone()).collect();
    let warning = |key: &String| {
        let near: Vec<String> = nearest(key, known.clone()).iter().take(3).map(|key| format!("`{key}`")).collect();
        let near = if near.is_empty() { String::new() } else { format!("; near it are {}", near.join(", ")) };
        format!("no span has a resource attribute `{key}`, so it names no owner{near}")
    };
    named.iter().filter(|key| !known.contains(key)).map(warning).collect()
}

/// Rules that match no service, with the services that they may mean.
fn unused(evidence: Evidence<'_>, files: &Owners) -> Vec<String> {
    let services = &evidence.forest.services;
    let names = || services.iter().map(|service| service.name.clone()).collect();
    let unused =
        files.rules.iter().filter(|rule| rule.is_expected && !services.iter().any(|own| rule.matches(&own.name)));
    let warnings = unused.map(|rule| {
        let near: Vec<String> =
            nearest(&rule.pattern, names()).iter().take(3).map(|name| format!("`{name}`")).collect();
        format!("`{}` of {} matches no service; near it are {}", rule.pattern, rule.place, near.join(", "))
    });
    let warnings: Vec<String> = warnings.collect();
    let is_any = files.rules.iter().any(|rule| services.iter().any(|own| rule.matches(&own.name)));
    if warnings.is_empty() && !files.rules.is_empty() && !is_any {
        return vec!["no rule of the owners' files matches a service, so that they name nobody".to_owned()];
    }
    limited(warnings, "rules of owners match no service")
}

fn limited(mut warnings: Vec<String>, rest: &str) -> Vec<String> {
    let n_more = warnings.len().saturating_sub(MAX_WARNINGS);
    warnings.truncate(MAX_WARNINGS);
    if n_more > 0 {
        warnings.push(format!("{n_more} more {rest}"));
    }
    warnings
}

/// Sums over the services of each team, in the estimates and in each replicate, so that services that move together count together.
fn teams(evidence: Evidence<'_>, owners: &[Option<Owner>]) -> Vec<TeamShare> {
    let comparison = evidence.comparison;
    let mut services_of: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
    for (index, owner) in owners.iter().enumerate() {
        services_of.entry(owner.as_ref().map(|owner| owner.team.as_str())).or_default().push(index);
    }
    let [_, fronts] = suspects::fronts(evidence);
    let share = |part: Part, latency: Estimate, failures: Estimate, tail: Estimate, front: Front| TeamShare {
        part,
        team: None,
        services: Vec::new(),
        contribution: suspects::contribution(evidence, latency, failures, front),
        tail_ms: tail.value / NS_PER_MS,
        tail_interval_ms: interval_ms(tail),
    };
    let mut shares: Vec<TeamShare> = services_of
        .into_iter()
        .map(|(team, mut own)| {
            let latency = sum(&own, &comparison.services, &comparison.service_replicates);
            let failures = sum(&own, &comparison.service_failures, &comparison.service_failure_replicates);
            let tail = sum(&own, &comparison.tail.services, &comparison.tail.service_replicates);
            let value = |service: usize| comparison.services[service].value;
            let failed = |service: usize| comparison.service_failures[service].value;
            own.retain(|&service| value(service) != 0.0 || failed(service) != 0.0);
            own.sort_by(|&left, &right| {
                let name = |service: usize| &evidence.forest.services[service].name;
                (value(right).abs().total_cmp(&value(left).abs())).then_with(|| name(left).cmp(name(right)))
            });
            let front: Front = own.iter().map(|&service| fronts[service]).sum();
            let share = share(Part::Services, latency, failures, tail, front);
            let services = own.into_iter().map(|service| evidence.forest.services[service].name.clone()).collect();
            TeamShare { team: team.map(str::to_owned), services, ..share }
        })
        .collect();
    let (mix, failure_mix) = (comparison.mix_ns, comparison.failure_mix);
    shares.push(share(
        Part::TrafficMix,
        mix,
        failure_mix,
        comparison.tail.mix_ns,
        Front { ns: mix.value, error_ratio: failure_mix.value },
    ));
    let told = |value: fn(&Contribution) -> f64| shares.iter().map(|share| value(&share.contribution)).sum::<f64>();
    let rest_ms = comparison.change_ns.value / NS_PER_MS - told(|contribution| contribution.ms);
    let rest_failures = comparison.failure_change.value - told(|contribution| contribution.error_ratio);
    let tail = &comparison.tail.effects;
    let rest_tail_ms = (tail.regression_mean_ns - tail.baseline_mean_ns) / NS_PER_MS
        - shares.iter().map(|share| share.tail_ms).sum::<f64>();
    // Below a picosecond and a billionth it is rounding.
    if [rest_ms, rest_failures, rest_tail_ms].iter().any(|rest| rest.abs() > 1e-9) {
        let rest = |value: f64| Estimate::new(value, 0.0);
        let rest_ns = rest_ms * NS_PER_MS;
        shares.push(share(
            Part::Background,
            rest(rest_ns),
            rest(rest_failures),
            rest(rest_tail_ms * NS_PER_MS),
            Front { ns: rest_ns, error_ratio: rest_failures },
        ));
    }
    shares.sort_by(|left, right| {
        let size = |share: &TeamShare| share.contribution.ms.abs();
        let name = |share: &TeamShare| (share.part, share.team.is_none(), share.team.clone());
        size(right).total_cmp(&size(left)).then_with(|| name(left).cmp(&name(right)))
    });
    shares
}

/// Sum of services' estimates. Its error is that of the sums in the replicates, widened as those of its services are for the noise
/// between stretches of time.
fn sum(own: &[usize], estimates: &[Estimate], replicates: &[Vec<f64>]) -> Estimate {
    let variance = |values: &dyn Fn(&Vec<f64>) -> f64| {
        let n = replicates.len() as f64;
        let mean = replicates.iter().map(values).sum::<f64>() / n.max(1.0);
        replicates.iter().map(|replicate| (values(replicate) - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0)
    };
    let together = variance(&|replicate| own.iter().map(|&service| replicate[service]).sum());
    let apart: f64 = own.iter().map(|&service| variance(&|replicate| replicate[service])).sum();
    let told: f64 = own.iter().map(|&service| estimates[service].error.powi(2)).sum();
    let widening = if apart > 0.0 { told / apart } else { 1.0 };
    let value = own.iter().map(|&service| estimates[service].value).sum();
    // By variance: a service of which little is known, but which hardly errs, tells little of the sum. Services may move as one, so
    // that all together know no more than each.
    let of_freedom = |&service: &usize| estimates[service].error.powi(2) / estimates[service].freedom;
    let uncertain: f64 = own.iter().map(of_freedom).sum();
    let freedom = if uncertain > 0.0 { told / uncertain } else { f64::INFINITY };
    Estimate { freedom, ..Estimate::new(value, (together * widening).sqrt()) }
}
