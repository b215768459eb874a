//! A list like CODEOWNERS: a pattern, then owners; the last pattern that matches counts, and one without owners frees what it matches.
//!
//! Paths say where code lies, not what its service is called; a service's name is held against the whole pattern and against its last
//! component, wildcards at its end left out: `/services/payments/**` is about `payments`. A `[Section] @owner` line, as GitLab has
//! them, gives owners to the patterns after it that name none.

use super::{Owners, Person, Rule, glob, place, team_name};
use std::path::Path;

/// Adds the rules of a file, the last first.
pub(super) fn read(path: &Path, text: &str, owners: &mut Owners) -> Result<(), String> {
    let mut rules = Vec::new();
    let mut of_section: Vec<String> = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let fault = |fault: &str| format!("line {line}: {fault}");
        if let Some(section) = section(text) {
            of_section = words(section).into_iter().filter(|word| is_owner(word)).collect();
            continue;
        }
        let mut words = words(text).into_iter();
        let Some(pattern) = words.next() else { continue };
        if pattern.starts_with('!') {
            return Err(fault("a pattern cannot be negated in CODEOWNERS; leave out its owners instead"));
        }
        let mut named: Vec<String> = words.collect();
        if let Some(word) = named.iter().find(|word| !is_owner(word)) {
            return Err(fault(&format!("`{word}` is no owner; write `@user`, `@org/team` or an address")));
        }
        if named.is_empty() {
            named.clone_from(&of_section);
        }
        let path_pattern = pattern.trim_matches('/');
        let mut parts: Vec<&str> = path_pattern.split('/').collect();
        while parts.len() > 1 && parts.last().is_some_and(|part| part.chars().all(|c| c == '*')) {
            parts.pop();
        }
        let mut matchers = vec![glob(path_pattern).map_err(|error| fault(&error))?];
        matchers.push(glob(parts.last().unwrap_or(&"")).map_err(|error| fault(&error))?);
        if parts.len() < path_pattern.split('/').count() {
            // All below a folder is not every service.
            matchers.remove(0);
        }
        rules.push(Rule {
            matchers,
            team: named.first().map(|owner| team_name(owner).to_owned()),
            person: Person { contact: (!named.is_empty()).then(|| named.join(", ")), runbook: None },
            place: place(path, line),
            // Most of a repository is no service.
            is_expected: false,
            is_component: None,
            pattern,
        });
    }
    owners.rules.extend(rules.into_iter().rev());
    Ok(())
}

fn is_owner(word: &str) -> bool {
    word.len() > 1 && word.contains('@')
}

/// What stands after `[Section]`, `^[Section]` or `[Section][2]`.
fn section(line: &str) -> Option<&str> {
    let line = line.trim().trim_start_matches('^');
    let rest = line.strip_prefix('[')?.split_once(']')?.1;
    Some(rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(rest, |(_, rest)| rest))
}

/// Words up to a comment; a backslash takes the blank or `#` after it into the word, and stays before anything else.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut is_inside = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next_if(|&next| next == ' ' || next == '#') } else { None };
        if escaped.is_none() && c.is_whitespace() {
            is_inside = false;
            continue;
        }
        if escaped.is_none() && c == '#' && !is_inside {
            break;
        }
        if !is_inside {
            words.push(String::new());
            is_inside = true;
        }
        if let Some(word) = words.last_mut() {
            word.push(escaped.unwrap_or(c));
        }
    }
    words
}
