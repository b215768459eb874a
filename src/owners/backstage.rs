//! Documents of a Backstage catalogue: what components, APIs and resources are called in traces, who owns them, how groups are reached.
//!
//! A service goes by `metadata.name` and by any annotation or label whose key ends in `service-name`, `service.name` or
//! `otel-service`. Catalogues are written by many hands: what is null counts as absent, what has another form than it should is left out
//! and told in a note, and only text that is no YAML is an error. Aliases that multiply and nesting without end are refused by the YAML
//! reader's own budget.

use super::{Owners, Person, Rule, in_any_case};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Keys, or their part after a `/`, that give a service's name in traces.
const NAMES: [&str; 5] = ["service-name", "service.name", "service_name", "otel-service", "otel-service-name"];
/// Parts of keys and links that tell how somebody is reached.
const REACHED: [&str; 5] = ["pagerduty", "opsgenie", "slack", "teams", "oncall"];
/// Faults of a file that are told one by one.
const MAX_FAULTS: usize = 5;

/// A page that an entity links to.
struct Link {
    url: String,
    /// Its title and type.
    words: Vec<String>,
}

/// Adds the rules of a file.
pub(super) fn read(path: &Path, text: &str, owners: &mut Owners) -> Result<(), String> {
    // Texts that only look like numbers or truth values stay as they are written.
    let options = serde_saphyr::options! {
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        strict_booleans: true,
        null_as_string: true,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::AsString,
    };
    let documents = serde_saphyr::from_multiple_with_options::<Spanned<Value>>(text, options).map_err(|error| {
        let line = error.location().map_or(1, |location| location.line());
        let message = error.without_snippet().to_string();
        // What follows is advice to who calls the reader.
        let message = message.split(", set ").next().and_then(|message| message.lines().next());
        format!("line {line}: {}", message.unwrap_or("no YAML"))
    })?;
    let mut faults = Faults::default();
    let mut others = (0, BTreeSet::new());
    let teams = Teams::of(documents.iter().map(|document| &document.value));
    for (number, document) in (1..).zip(documents) {
        faults.place = format!("document {number} (line {})", document.referenced.line());
        let Value::Object(entity) = document.value else {
            faults.add("", &document.value, "an entity with `kind` and `metadata`");
            continue;
        };
        let Some(kind) = faults.needed(&entity, "", "kind", "a text such as `Component`") else { continue };
        match kind.to_lowercase().as_str() {
            "component" | "api" | "resource" | "system" => {
                let is_component = kind.eq_ignore_ascii_case("component");
                component((path, is_component), &entity, &teams, owners, &mut faults)?;
            }
            "group" | "user" => group(&entity, &teams, owners, &mut faults),
            _ => {
                others.0 += 1;
                others.1.insert(kind);
            }
        }
    }
    let path = path.display();
    let (n_others, kinds) = others;
    if n_others > 0 {
        let (noun, rest) =
            if n_others == 1 { ("document", "another kind was") } else { ("documents", "other kinds were") };
        let kinds: Vec<String> = kinds.into_iter().take(MAX_FAULTS).collect();
        owners.notes.push(format!("`{path}`: {n_others} {noun} of {rest} skipped ({})", kinds.join(", ")));
    }
    let n_more = faults.list.len().saturating_sub(MAX_FAULTS);
    owners.notes.extend(faults.list.into_iter().take(MAX_FAULTS).map(|fault| format!("`{path}`: {fault}")));
    if n_more > 0 {
        owners.notes.push(format!("`{path}`: {n_more} more such faults"));
    }
    Ok(())
}

/// Names of groups and users by namespace, in lower case: references do not tell upper from lower case.
struct Teams(BTreeMap<String, BTreeSet<String>>);

impl Teams {
    /// Those that are defined and those that own something.
    fn of<'a>(documents: impl Iterator<Item = &'a Value>) -> Self {
        let mut teams = Self(BTreeMap::new());
        for entity in documents.filter_map(Value::as_object) {
            let kind = entity.get("kind").and_then(Value::as_str).unwrap_or_default().to_lowercase();
            let own = namespace(entity);
            let (namespace, name) = match kind.as_str() {
                "group" | "user" => (own, entity.get("metadata").and_then(|metadata| text(metadata.get("name")?))),
                _ => match entity.get("spec").and_then(|spec| text(spec.get("owner")?)) {
                    Some(owner) => reference(&owner, &own),
                    None => continue,
                },
            };
            teams.0.entry(name.unwrap_or_default().to_lowercase()).or_default().insert(namespace);
        }
        teams
    }

    /// What a team is called: by its name alone, as other files do, unless several namespaces have one of that name.
    fn called(&self, (namespace, name): (String, Option<String>)) -> String {
        let name = name.unwrap_or_default().to_lowercase();
        if self.0.get(&name).is_some_and(|namespaces| namespaces.len() > 1) {
            return format!("{namespace}/{name}");
        }
        name
    }
}

/// The namespace of an entity.
fn namespace(entity: &Map<String, Value>) -> String {
    let own = entity.get("metadata").and_then(|metadata| text(metadata.get("namespace")?));
    own.filter(|own| !own.is_empty()).map_or_else(|| "default".to_owned(), |own| own.to_lowercase())
}

/// Namespace and name of `group:default/payments`, whose kind and namespace may be left out.
fn reference(owner: &str, own_namespace: &str) -> (String, Option<String>) {
    let (_, path) = owner.split_once(':').unwrap_or(("", owner));
    match path.rsplit_once('/') {
        Some((namespace, name)) => (namespace.to_lowercase(), Some(name.to_owned())),
        None => (own_namespace.to_owned(), Some(path.to_owned())),
    }
}

/// Adds the rule of something that is owned.
fn component(
    (path, is_component): (&Path, bool),
    entity: &Map<String, Value>,
    teams: &Teams,
    owners: &mut Owners,
    faults: &mut Faults,
) -> Result<(), String> {
    let Some(About { name, names, person }) = About::of(entity, faults) else { return Ok(()) };
    let spec = faults.map(entity, "", "spec");
    let expected = "a text such as `group:default/payments`";
    let Some(owner) = faults.needed(&spec, "spec.", "owner", expected) else { return Ok(()) };
    let matchers = std::iter::once(&name).chain(&names).map(|name| in_any_case(name)).collect::<Result<_, _>>()?;
    owners.rules.push(Rule {
        pattern: name,
        matchers,
        team: Some(teams.called(reference(&owner, &namespace(entity)))),
        person,
        place: path.display().to_string(),
        is_expected: false,
        is_component: Some(is_component),
    });
    Ok(())
}

/// Introduces a group or a user.
fn group(entity: &Map<String, Value>, teams: &Teams, owners: &mut Owners, faults: &mut Faults) {
    let Some(About { name, mut person, .. }) = About::of(entity, faults) else { return };
    let spec = faults.map(entity, "", "spec");
    let profile = faults.map(&spec, "spec.", "profile");
    let address = ["email", "displayName"].into_iter().find_map(|key| faults.text(&profile, "spec.profile.", key));
    person.contact = person.contact.or(address);
    owners.introduce(&teams.called((namespace(entity), Some(name))), person);
}

/// What the metadata of an entity tell.
struct About {
    name: String,
    /// Other names in traces.
    names: Vec<String>,
    person: Person,
}

impl About {
    fn of(entity: &Map<String, Value>, faults: &mut Faults) -> Option<Self> {
        let metadata = faults.map(entity, "", "metadata");
        let name = faults.needed(&metadata, "metadata.", "name", "a text")?;
        let annotations = faults.texts(&metadata, "annotations");
        let labels = faults.texts(&metadata, "labels");
        let links = links(&metadata, faults);
        let is_name = |key: &str| NAMES.contains(&key.rsplit('/').next().unwrap_or(key));
        let named = annotations.iter().chain(&labels).filter(|(key, _)| is_name(key));
        let names = named.map(|(_, value)| value.clone()).collect();
        let person = Person { contact: contact(&annotations, &links), runbook: runbook(&links) };
        Some(Self { name, names, person })
    }
}

/// What is not as it should be, with where it stands.
#[derive(Default)]
struct Faults {
    /// The document that is read.
    place: String,
    list: Vec<String>,
}

impl Faults {
    fn add(&mut self, key: &str, value: &Value, expected: &str) {
        let is = match value {
            Value::Null => "null",
            Value::Array(_) => "a list",
            Value::Object(_) => "a mapping",
            Value::String(_) | Value::Number(_) | Value::Bool(_) => "a single value",
        };
        let key = if key.is_empty() { String::new() } else { format!(": `{key}`") };
        self.list.push(format!("{}{key} is {is} and was skipped, expected {expected}", self.place));
    }

    /// The text at `key`, if there is one.
    fn text(&mut self, map: &Map<String, Value>, within: &str, key: &str) -> Option<String> {
        let value = map.get(key).filter(|value| !value.is_null())?;
        let text = text(value);
        if text.is_none() {
            self.add(&format!("{within}{key}"), value, "a text");
        }
        text
    }

    /// The same of a text without which a document says nothing.
    fn needed(&mut self, map: &Map<String, Value>, within: &str, key: &str, expected: &str) -> Option<String> {
        let value = map.get(key).filter(|value| !value.is_null());
        let text = value.and_then(text);
        if text.is_none() {
            let is = if value.is_some() { "is no text" } else { "is missing" };
            self.list.push(format!("{} was skipped: `{within}{key}` {is}, expected {expected}", self.place));
        }
        text
    }

    /// The mapping at `key`; empty if there is none.
    fn map(&mut self, map: &Map<String, Value>, within: &str, key: &str) -> Map<String, Value> {
        match map.get(key) {
            Some(Value::Object(own)) => own.clone(),
            None | Some(Value::Null) => Map::new(),
            Some(other) => {
                self.add(&format!("{within}{key}"), other, "a mapping");
                Map::new()
            }
        }
    }

    /// The texts of the mapping at `key` of the metadata.
    fn texts(&mut self, metadata: &Map<String, Value>, key: &str) -> BTreeMap<String, String> {
        let own = self.map(metadata, "metadata.", key);
        let within = format!("metadata.{key}.");
        own.keys().filter_map(|key| Some((key.clone(), self.text(&own, &within, key)?))).collect()
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn links(metadata: &Map<String, Value>, faults: &mut Faults) -> Vec<Link> {
    let list = match metadata.get("links") {
        Some(Value::Array(list)) => list.as_slice(),
        None | Some(Value::Null) => &[],
        Some(other) => {
            faults.add("metadata.links", other, "a list");
            &[]
        }
    };
    let mut links = Vec::new();
    for (index, link) in list.iter().enumerate() {
        let place = format!("metadata.links[{index}]");
        let Value::Object(link) = link else {
            faults.add(&place, link, "a mapping with `url`");
            continue;
        };
        let within = format!("{place}.");
        match faults.text(link, &within, "url") {
            Some(url) => {
                let words = ["title", "type"].into_iter().filter_map(|key| faults.text(link, &within, key)).collect();
                links.push(Link { url, words });
            }
            None => faults.list.push(format!("{}: `{place}` has no `url` and was skipped", faults.place)),
        }
    }
    links
}

/// What annotations say of being reached, else a link that does.
fn contact(annotations: &BTreeMap<String, String>, links: &[Link]) -> Option<String> {
    let kind = |text: &str| REACHED.into_iter().find(|kind| text.to_lowercase().contains(kind));
    let noted = annotations.iter().filter_map(|(key, value)| Some(format!("{} {value}", kind(key)?)));
    let noted: Vec<String> = noted.collect();
    if !noted.is_empty() {
        return Some(noted.join(", "));
    }
    links.iter().find(|link| link.words.iter().any(|text| kind(text).is_some())).map(|link| link.url.clone())
}

fn runbook(links: &[Link]) -> Option<String> {
    let has = |link: &&Link, word: &str| link.words.iter().any(|text| text.to_lowercase().contains(word));
    let found = ["runbook", "playbook", "doc"].into_iter().find_map(|word| links.iter().find(|link| has(link, word)));
    found.map(|link| link.url.clone())
}
