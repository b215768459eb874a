//! Operation names with ids in them, folded into templates.

use super::DISTINCT_NAMES;
use crate::span::Dictionary;
use hashbrown::{HashMap, HashSet};

/// The names of each service, until there are so many that there must be ids in them.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Codes by the service's code.
    known: HashMap<u32, HashSet<u32, foldhash::fast::FixedState>, foldhash::fast::FixedState>,
    folded: HashSet<u32, foldhash::fast::FixedState>,
    /// The template of each code of a service whose names are folded.
    templates: HashMap<u32, u32, foldhash::fast::FixedState>,
}

impl Names {
    /// Adds the names of spans.
    pub(super) fn add(&mut self, services: &[u32], operations: &[u32]) {
        let mut last = None;
        for pair in services.iter().copied().zip(operations.iter().copied()) {
            if last == Some(pair) || self.folded.contains(&pair.0) {
                continue;
            }
            last = Some(pair);
            let known = self.known.entry(pair.0).or_default();
            known.insert(pair.1);
            if known.len() > DISTINCT_NAMES {
                self.folded.insert(pair.0);
                self.known.remove(&pair.0);
            }
        }
    }

    /// Codes of the services whose names are folded, in no order.
    pub(super) fn folded(&self) -> impl Iterator<Item = u32> {
        self.folded.iter().copied()
    }

    /// The code of an operation's name, folded if there are ids in the names of its service: there each path segment or word that
    /// looks like an id becomes `{id}`.
    pub(super) fn fold(&mut self, service: u32, operation: u32, names: &mut Dictionary) -> u32 {
        if self.folded.is_empty() || !self.folded.contains(&service) {
            return operation;
        }
        *self.templates.entry(operation).or_insert_with(|| {
            let template = template(names.get(operation));
            names.intern(&template)
        })
    }
}

/// `name` with every part that looks like an id replaced by `{id}`.
pub(super) fn template(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while !rest.is_empty() {
        let end = rest.find(is_boundary).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        out.push_str(if is_id(word) { "{id}" } else { word });
        let mut boundary = tail.chars();
        if let Some(character) = boundary.next() {
            out.push(character);
        }
        rest = boundary.as_str();
    }
    out
}

fn is_boundary(character: char) -> bool {
    matches!(character, '/' | ' ' | '?' | '&' | '=' | ',' | ';' | '(' | ')' | '\'' | '"' | ':' | '#' | '.')
}

/// A number, a UUID, or a hex or mixed token with at least one digit in every three characters.
fn is_id(word: &str) -> bool {
    let n_digits = word.bytes().filter(u8::is_ascii_digit).count();
    let all = |test: fn(&u8) -> bool| word.bytes().all(|byte| test(&byte));
    if n_digits == 0 {
        return false;
    }
    let is_version = word.len() <= 3 && word.starts_with(['v', 'V']);
    n_digits == word.len()
        || (word.len() >= 8 && all(|byte| byte.is_ascii_hexdigit() || *byte == b'-'))
        || (!is_version
            && word.len() >= 6
            && n_digits * 3 >= word.len()
            && all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)))
}

#[cfg(test)]
mod tests {
    use super::template;

    #[test]
    fn ids_become_placeholders_and_words_stay() {
        assert_eq!(template("GET /user/8231/orders"), "GET /user/{id}/orders");
        assert_eq!(template("GET /v2/item/3f2504e0-4f89-11d3-9a0c-0305e82c3301"), "GET /v2/item/{id}");
        assert_eq!(template("HTTP POST /api/v1/cart"), "HTTP POST /api/v1/cart");
        assert_eq!(template("/order/A1B2C3D4?x=77"), "/order/{id}?x={id}");
        assert_eq!(template(""), "");
    }
}
