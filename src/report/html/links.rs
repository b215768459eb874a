//! Links out of the page: to the user's own trace UI, to a contact, a runbook, a change. Nothing is followed by itself.

use super::Page;
use super::names::shorten;
use maud::{Markup, html};
use std::fmt::Write as _;

/// What in a template stands for the trace's id.
const PLACE: &str = "{trace_id}";

/// Whether `template` can be made an address of a trace.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with the template.
pub fn check_trace_url(template: &str) -> Result<(), &'static str> {
    if !is_web(template) {
        return Err("is no address: it must begin with `https://` or `http://`");
    }
    if !template.contains(PLACE) {
        return Err("does not hold `{trace_id}`, the place of the trace's id");
    }
    let host = template.split_once("://").map_or("", |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or("");
    if host.is_empty() || host.contains(PLACE) {
        return Err("does not name a host");
    }
    Ok(())
}

/// Whether an address is `http` or `https`, and has nothing that a browser would drop from it or end it at.
#[must_use]
pub fn is_web(address: &str) -> bool {
    let lower = address.get(..8.min(address.len())).unwrap_or("").to_ascii_lowercase();
    (lower.starts_with("https://") || lower.starts_with("http://"))
        && !address.chars().any(|c| c.is_control() || c.is_whitespace() || "\"<>\\^`".contains(c))
}

/// All but letters, digits, `-`, `.`, `_` and `~` as `%xx`.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The address of a trace, its id percent-encoded.
#[must_use]
pub fn trace_address(template: &str, id: &str) -> String {
    template.replace(PLACE, &percent_encode(id))
}

impl Page<'_> {
    /// A trace's id, linked to the user's trace UI if there is one.
    pub(super) fn trace_id(&self, id: &str) -> Markup {
        let template = self.options.trace_url.as_deref().filter(|template| check_trace_url(template).is_ok());
        let shown = html! { bdi.id { (shorten(id, 40)) } };
        match template {
            Some(template) => outward(&trace_address(template, id), &shown),
            None => shown,
        }
    }
}

/// A text from the user's files, a link where it is a web or mail address.
pub(super) fn text_or_link(text: &str) -> Markup {
    const MAX: usize = 80;
    let shown = html! { bdi { (shorten(text, MAX)) } };
    let mail = text.strip_prefix("mailto:").unwrap_or(text);
    let is_mail = mail.len() < 255
        && mail.split_once('@').is_some_and(|(user, host)| {
            let is_plain =
                |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || ".-_+".contains(c));
            is_plain(user) && is_plain(host) && host.contains('.')
        });
    if text.len() < 2_000 && is_web(text) {
        outward(text, &shown)
    } else if is_mail {
        html! { a href={ "mailto:" (mail) } { (shown) } }
    } else {
        shown
    }
}

/// A link with a text of its own, or the text alone where the address is none.
pub(super) fn titled(text: &Markup, address: Option<&str>) -> Markup {
    match address.filter(|address| address.len() < 2_000 && is_web(address)) {
        Some(address) => outward(address, text),
        None => text.clone(),
    }
}

fn outward(address: &str, shown: &Markup) -> Markup {
    html! { a href=(address) target="_blank" rel="noopener noreferrer" { (shown) } }
}
