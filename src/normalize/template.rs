//! Operation names with ids in them, folded into templates.

use super::DISTINCT_NAMES;
use crate::span::Dictionary;
use hashbrown::{HashMap, HashSet};

/// For each pair of service and operation the operation's code after folding; empty if no service needs it.
///
/// A service with more than [`DISTINCT_NAMES`] operations surely has ids in their names: there each path segment or word that
/// looks like an id becomes `{id}`. Cost: one pass over the distinct pairs.
pub(super) fn fold(
    services: &[u32],
    operations: &[u32],
    names: &mut Dictionary,
) -> (HashMap<(u32, u32), u32>, Vec<u32>) {
    let mut pairs = HashSet::<(u32, u32), foldhash::fast::FixedState>::default();
    let mut last = None;
    for pair in services.iter().copied().zip(operations.iter().copied()) {
        if last != Some(pair) {
            pairs.insert(pair);
            last = Some(pair);
        }
    }
    let mut pairs: Vec<_> = pairs.into_iter().collect();
    pairs.sort_unstable();
    let mut folded = HashMap::new();
    let mut folded_services = Vec::new();
    for group in pairs.chunk_by(|left, right| left.0 == right.0).filter(|group| group.len() > DISTINCT_NAMES) {
        for &(service, operation) in group {
            let template = template(names.get(operation));
            let code = names.intern(&template);
            if code != operation {
                folded.insert((service, operation), code);
            }
        }
        folded_services.push(group[0].0);
    }
    (folded, folded_services)
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
