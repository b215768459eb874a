//! A strict reader of the HTML that the report writes: every tag closed in order, every attribute quoted and given once.

use std::collections::BTreeMap;

/// Elements that have no end tag.
const VOID: [&str; 5] = ["meta", "link", "input", "br", "wbr"];

/// A start tag or a text, in order, with the elements around it.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// Name and attributes, values with their entities resolved.
    Start(String, BTreeMap<String, String>),
    /// Text with its entities resolved; of scripts and styles as it stands.
    Text(String),
    /// Name.
    End(String),
}

/// The page in pieces.
#[track_caller]
pub(super) fn parse(page: &str) -> Vec<Piece> {
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("a doctype");
    let mut pieces = Vec::new();
    let mut open: Vec<String> = Vec::new();
    while !rest.is_empty() {
        if let Some(raw) = open.last().filter(|name| ["script", "style"].contains(&name.as_str())) {
            let end = rest.find(&format!("</{raw}>")).expect("an end of a script or style");
            assert!(!rest[..end].to_ascii_lowercase().contains(&format!("</{raw}")), "ends elsewhere in a browser");
            assert!(!rest[..end].contains("<!--"), "a browser reads on to the next script");
            pieces.push(Piece::Text(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            let end = rest.find('<').unwrap_or(rest.len());
            if end > 0 {
                pieces.push(Piece::Text(resolve(&rest[..end])));
            }
            rest = &rest[end..];
        }
        if let Some(after) = rest.strip_prefix("</") {
            let (name, after) = after.split_once('>').expect("an end of an end tag");
            assert_eq!(open.pop().as_deref(), Some(name), "at {}", &after[..after.len().min(80)]);
            pieces.push(Piece::End(name.to_owned()));
            rest = after;
        } else if let Some(after) = rest.strip_prefix('<') {
            let (name, attributes, after) = start(after);
            if !VOID.contains(&name.as_str()) {
                open.push(name.clone());
            }
            pieces.push(Piece::Start(name, attributes));
            rest = after;
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    pieces
}

/// The rest of a start tag: name, attributes, what follows.
#[track_caller]
fn start(text: &str) -> (String, BTreeMap<String, String>, &str) {
    let end = text.find([' ', '>']).expect("an end of a name");
    let name = &text[..end];
    assert!(!name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric()), "a tag `{name}`");
    let (mut rest, mut attributes) = (&text[end..], BTreeMap::new());
    loop {
        if let Some(after) = rest.strip_prefix('>') {
            return (name.to_owned(), attributes, after);
        }
        rest = rest.strip_prefix(' ').expect("a blank before an attribute");
        let end = rest.find([' ', '>', '=']).expect("an end of an attribute");
        let key = &rest[..end];
        assert!(key.chars().all(|c| c.is_ascii_alphanumeric() || "-:".contains(c)), "an attribute `{key}`");
        rest = &rest[end..];
        let mut value = "";
        if let Some(after) = rest.strip_prefix("=\"") {
            (value, rest) = after.split_once('"').expect("an end of a value");
        }
        assert!(!value.contains('<'), "a tag in a value: {value}");
        let before = attributes.insert(key.to_owned(), resolve(value));
        assert!(before.is_none(), "`{key}` twice in `{name}`");
    }
}

#[track_caller]
fn resolve(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    for (place, _) in text.match_indices('&') {
        assert!(pairs.iter().any(|(entity, _)| text[place..].starts_with(entity)), "a bare `&`");
    }
    pairs.iter().fold(text.to_owned(), |text, (entity, own)| text.replace(entity, own))
}
