//! Documents of a Backstage catalogue: what components, APIs and resources are called in traces, who owns them, how groups are reached.
//!
//! A service goes by `metadata.name` and by any annotation or label whose key ends in `service-name`, `service.name` or
//! `otel-service`. Aliases that multiply and nesting without end are refused by the YAML reader's own budget.

use super::{Owners, Person, Rule, exact, team_name};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Deserialize)]
struct Entity {
    kind: String,
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    links: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    url: String,
    title: Option<String>,
    r#type: Option<String>,
}

#[derive(Default, Deserialize)]
struct Spec {
    owner: Option<String>,
    profile: Option<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    email: Option<String>,
    #[serde(rename = "displayName")]
    display_name: Option<String>,
}

/// Keys, or their part after a `/`, that give a service's name in traces.
const NAMES: [&str; 5] = ["service-name", "service.name", "service_name", "otel-service", "otel-service-name"];
/// Parts of keys and links that tell how somebody is reached.
const REACHED: [&str; 5] = ["pagerduty", "opsgenie", "slack", "teams", "oncall"];

/// Adds the rules of a file.
pub(super) fn read(path: &Path, text: &str, owners: &mut Owners) -> Result<(), String> {
    let entities: Vec<Entity> = serde_saphyr::from_multiple(text).map_err(|error| {
        let line = error.location().map_or(1, |location| location.line());
        let message = error.without_snippet().to_string();
        format!("line {line}: {}", message.lines().next().unwrap_or("no YAML"))
    })?;
    for entity in entities {
        let Metadata { name, annotations, labels, links } = &entity.metadata;
        let mut person = Person { contact: contact(annotations, links), runbook: runbook(links) };
        match entity.kind.to_lowercase().as_str() {
            "component" | "api" | "resource" | "system" => {
                let Some(owner) = &entity.spec.owner else { continue };
                let is_name = |key: &str| NAMES.contains(&key.rsplit('/').next().unwrap_or(key));
                let named = annotations.iter().chain(labels).filter(|(key, _)| is_name(key)).map(|(_, value)| value);
                let matchers = std::iter::once(name).chain(named).map(|name| exact(name)).collect::<Result<_, _>>()?;
                owners.rules.push(Rule {
                    pattern: name.clone(),
                    matchers,
                    team: Some(team_name(owner).to_owned()),
                    person,
                    place: path.display().to_string(),
                    is_expected: false,
                });
            }
            "group" | "user" => {
                if let Some(profile) = &entity.spec.profile {
                    let address = profile.email.clone().or_else(|| profile.display_name.clone());
                    person.contact = person.contact.or(address);
                }
                owners.introduce(name, person);
            }
            _ => {}
        }
    }
    Ok(())
}

/// What annotations say of being reached, else a link that does.
fn contact(annotations: &BTreeMap<String, String>, links: &[Link]) -> Option<String> {
    let kind = |text: &str| REACHED.into_iter().find(|kind| text.to_lowercase().contains(kind));
    let noted = annotations.iter().filter_map(|(key, value)| Some(format!("{} {value}", kind(key)?)));
    let noted: Vec<String> = noted.collect();
    if !noted.is_empty() {
        return Some(noted.join(", "));
    }
    links
        .iter()
        .find(|link| [&link.title, &link.r#type].into_iter().flatten().any(|text| kind(text).is_some()))
        .map(|link| link.url.clone())
}

fn runbook(links: &[Link]) -> Option<String> {
    let has = |link: &&Link, word: &str| {
        [&link.title, &link.r#type].into_iter().flatten().any(|text| text.to_lowercase().contains(word))
    };
    let found = ["runbook", "playbook", "doc"].into_iter().find_map(|word| links.iter().find(|link| has(link, word)));
    found.map(|link| link.url.clone())
}
