//! Our own TOML: `[[service]]` and `[[team]]`, as in [`super::EXAMPLE`]. An unknown key is an error that names the known ones.

use super::{Owners, Person, Rule, glob, place};
use serde::Deserialize;
use std::path::Path;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    service: Vec<Service>,
    #[serde(default)]
    team: Vec<Team>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    r#match: Spanned<Patterns>,
    team: String,
    contact: Option<String>,
    runbook: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a name, a glob, or a list of them")]
enum Patterns {
    One(String),
    Some(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Team {
    name: String,
    contact: Option<String>,
    runbook: Option<String>,
}

/// Adds the rules of a file.
pub(super) fn read(path: &Path, text: &str, owners: &mut Owners) -> Result<(), String> {
    let line_of = |at: usize| 1 + text.as_bytes().iter().take(at).filter(|&&byte| byte == b'\n').count();
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(span.start));
        format!("line {line}: {}", error.message().replace('\n', ", "))
    })?;
    for service in file.service {
        let line = line_of(service.r#match.span().start);
        let patterns = match service.r#match.into_inner() {
            Patterns::One(pattern) => vec![pattern],
            Patterns::Some(patterns) => patterns,
        };
        if service.team.trim().is_empty() {
            return Err(format!("line {line}: `team` is empty, expected the name of the team that owns it"));
        }
        let person = Person { contact: service.contact, runbook: service.runbook };
        for pattern in patterns {
            let matcher = glob(&pattern).map_err(|fault| format!("line {line}: {fault}"))?;
            owners.rules.push(Rule {
                pattern,
                matchers: vec![matcher],
                team: Some(service.team.clone()),
                person: person.clone(),
                place: place(path, line),
                is_expected: true,
                is_component: None,
            });
        }
    }
    for team in file.team {
        owners.introduce(&team.name, Person { contact: team.contact, runbook: team.runbook });
    }
    Ok(())
}
