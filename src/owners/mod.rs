//! Who owns a service, by files that people keep: texts in, rules out, and the rule that a service falls under.
//!
//! Three kinds of file are read: our own TOML ([`rules`]), documents of a Backstage catalogue ([`backstage`]) and lists like
//! CODEOWNERS ([`codeowners`]). Which one a file is, its name says, else its content. Of several files the first that has a rule
//! for a service counts; within a file its kind decides: in TOML the first rule that matches, in CODEOWNERS the last, in a
//! catalogue the component of that very name, or another entity where there is no such component. How to reach a team may stand in another file than what the team owns.

pub mod backstage;
pub mod codeowners;
pub mod rules;

use crate::error::Error;
use globset::{GlobBuilder, GlobMatcher};
use std::collections::BTreeMap;
use std::path::Path;

/// The commented example of our own file, which the manual prints.
pub const EXAMPLE: &str = include_str!("owners.toml");

/// What kind of file owners were read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Our own TOML.
    Toml,
    /// A Backstage catalogue.
    Backstage,
    /// A list like CODEOWNERS.
    Codeowners,
}

impl Kind {
    /// The kind as a noun.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Toml => "owners in TOML",
            Self::Backstage => "a Backstage catalogue",
            Self::Codeowners => "a list like CODEOWNERS",
        }
    }

    /// The kind of the file at `path`: by its name, else by its first line that says something.
    #[must_use]
    pub fn of(path: &Path, text: &str) -> Self {
        let lower = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().to_lowercase());
        let name = lower(path.file_name()).unwrap_or_default();
        match lower(path.extension()).as_deref() {
            Some("toml") => return Self::Toml,
            Some("yaml" | "yml") => return Self::Backstage,
            _ if name.contains("codeowners") => return Self::Codeowners,
            _ => {}
        }
        let is_said = |line: &&str| !line.is_empty() && !line.starts_with('#');
        let first = text.trim_start_matches('\u{feff}').lines().map(str::trim).find(is_said).unwrap_or("");
        if first.starts_with("---") || first.starts_with("apiVersion:") || first.starts_with("kind:") {
            Self::Backstage
        } else if ["[[service]]", "[[team]]"].contains(&first.split('#').next().unwrap_or("").trim()) {
            Self::Toml
        } else {
            Self::Codeowners
        }
    }
}

/// What a rule says of the services that it matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// How to reach them.
    pub contact: Option<String>,
    /// What to do first.
    pub runbook: Option<String>,
}

/// A line of a file.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The pattern or name as the file has it.
    pub pattern: String,
    /// What a service's name is held against.
    matchers: Vec<GlobMatcher>,
    /// The team; none where a list says that nobody owns it.
    pub team: Option<String>,
    /// What stands beside it.
    pub person: Person,
    /// Where it stands: file and line.
    pub place: String,
    /// Whether it is worth a warning if it matches no service: not in a catalogue, which lists all that a company has.
    pub is_expected: bool,
    /// Of a catalogue's rule, whether it is about a component: an API or a system of the same name may have another owner.
    is_component: Option<bool>,
}

impl Rule {
    /// Whether the rule is about this service.
    #[must_use]
    pub fn matches(&self, service: &str) -> bool {
        self.matchers.iter().any(|matcher| matcher.is_match(service))
    }
}

/// What files say of owners.
#[derive(Clone, Debug, Default)]
pub struct Owners {
    /// Rules, the one that counts first.
    pub rules: Vec<Rule>,
    /// How to reach teams, by name in lower case: see [`Owners::person`].
    pub people: BTreeMap<String, Person>,
    /// What each file was taken for and what of it was skipped, in sentences.
    pub notes: Vec<String>,
}

impl Owners {
    /// Adds what the file at `path` says.
    ///
    /// # Errors
    /// [`Error::Format`] with file, line and what would be right.
    pub fn add(&mut self, path: &Path, text: &str) -> Result<(), Error> {
        let kind = Kind::of(path, text);
        let text = text.trim_start_matches('\u{feff}');
        let n_before = self.rules.len();
        match kind {
            Kind::Toml => rules::read(path, text, self),
            Kind::Backstage => backstage::read(path, text, self),
            Kind::Codeowners => codeowners::read(path, text, self),
        }
        .map_err(|reason| Error::Format { path: path.to_owned(), reason })?;
        let n_rules = self.rules.len() - n_before;
        self.notes.push(format!(
            "`{}` was read as {}: {}",
            path.display(),
            kind.describe(),
            if n_rules == 1 { "1 rule".to_owned() } else { format!("{n_rules} rules") }
        ));
        Ok(())
    }

    /// The rule that says who owns this service, and how they are reached.
    #[must_use]
    pub fn of(&self, service: &str) -> Option<(&Rule, Person)> {
        let mut rules = self.rules.iter().filter(|rule| rule.matches(service));
        let first = rules.next()?;
        let component =
            if first.is_component == Some(false) { rules.find(|rule| rule.is_component == Some(true)) } else { None };
        let rule = component.unwrap_or(first);
        let team = rule.team.as_ref().map(|team| self.person(team)).unwrap_or_default();
        let person = Person {
            contact: rule.person.contact.clone().or(team.contact),
            runbook: rule.person.runbook.clone().or(team.runbook),
        };
        Some((rule, person))
    }

    /// How a team is reached, however its name is written: a catalogue does not tell upper from lower case.
    #[must_use]
    pub fn person(&self, team: &str) -> Person {
        self.people.get(&team.to_lowercase()).cloned().unwrap_or_default()
    }

    /// Keeps what is first said of a team.
    fn introduce(&mut self, team: &str, person: Person) {
        let known = self.people.entry(team.to_lowercase()).or_default();
        known.contact = known.contact.take().or(person.contact);
        known.runbook = known.runbook.take().or(person.runbook);
    }
}

/// A glob over a service's whole name: `*`, `?`, `[ab]`, `{a,b}`.
fn glob(pattern: &str) -> Result<GlobMatcher, String> {
    built(pattern, GlobBuilder::new(pattern).backslash_escape(true))
}

fn built(pattern: &str, glob: &GlobBuilder<'_>) -> Result<GlobMatcher, String> {
    let glob = glob.build();
    glob.map(|glob| glob.compile_matcher()).map_err(|error| format!("`{pattern}` is no pattern: {}", error.kind()))
}

/// A matcher of this very name, in upper or lower case.
fn in_any_case(name: &str) -> Result<GlobMatcher, String> {
    built(name, GlobBuilder::new(&globset::escape(name)).case_insensitive(true))
}

fn place(path: &Path, line: usize) -> String {
    format!("{} line {line}", path.display())
}

/// What a team is called that an attribute names, be it by a reference such as `group:default/payments` or `@org/payments`; `is_known` tells
/// names in lower case that files have.
#[must_use]
pub fn called(reference: &str, is_known: impl Fn(&str) -> bool) -> String {
    let reference = reference.trim();
    let lower = reference.to_ascii_lowercase();
    let kind = ["group:", "user:"].into_iter().find(|kind| lower.starts_with(kind));
    let path = &reference[kind.map_or(0, str::len)..];
    if is_known(&path.to_lowercase()) || (kind.is_none() && !path.starts_with('@')) {
        return path.to_owned();
    }
    let name = team_name(path);
    let is_elsewhere = kind.is_some() && path.contains('/') && !lower.contains(":default/");
    if is_elsewhere && !is_known(&name.to_lowercase()) { path.to_owned() } else { name.to_owned() }
}

/// The last part of `group:default/payments`, `@org/payments` or `@payments`, so that all files call a team the same.
fn team_name(reference: &str) -> &str {
    let name = reference.rsplit('/').next().unwrap_or(reference);
    let name = name.rsplit(':').next().unwrap_or(name);
    name.trim_start_matches('@')
}
