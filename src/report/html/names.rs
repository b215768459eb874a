//! Names from the data on the page: safe, isolated from the text around them, and short enough to be laid out.
//!
//! A name is anything that whoever wrote a span liked. Control and direction characters are shown as escapes, the rest is
//! text that maud escapes. A name that is longer than its place is cut in the middle, where operations of one service
//! differ least, and links to its full text in a list at the end of the page, which holds each long name once: a name of
//! 10,000 characters in a hundred places would make a page of a megabyte.

use crate::analysis::Analysis;
use crate::report::text::escape;
use maud::{Markup, html};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Characters of a name in running text and tables.
const MAX_NAME: usize = 72;
/// Characters of a sentence, beyond any that the analysis makes of names that fit.
const MAX_SENTENCE: usize = 1_600;
/// Characters of the full text of a name.
const MAX_FULL: usize = 20_000;
/// Names in the list of full names.
const MAX_FULL_NAMES: usize = 100;
/// Characters in the list of full names, all together: with the rest it stays far below 2 MB.
const MAX_FULL_TOTAL: usize = 300_000;

/// Long names met so far, and those that sentences of the analysis may hold.
#[derive(Debug, Default)]
pub(super) struct Names {
    full: RefCell<Full>,
    in_sentences: Vec<String>,
}

#[derive(Debug, Default)]
struct Full {
    /// Full text to its number; absent a number where the list was full.
    numbers: BTreeMap<String, Option<usize>>,
    n_characters: usize,
    n_listed: usize,
}

impl Names {
    /// Long names of an analysis, to be shortened where they stand in its sentences.
    pub(super) fn of(analysis: &Analysis) -> Self {
        let graph = &analysis.graph;
        let mut long: Vec<String> = graph.services.iter().map(|row| row.service.clone()).collect();
        long.extend(graph.operations.iter().map(|row| row.name.operation.clone()));
        for suspect in &analysis.suspects {
            long.push(suspect.service.clone());
            long.extend(suspect.operation.clone());
        }
        long.extend(analysis.entries.iter().map(|entry| entry.operation.clone()));
        for parts in [&analysis.errors.originates, &analysis.errors.propagates, &analysis.errors.swallowed] {
            long.extend(parts.iter().map(|part| part.operation.clone()));
        }
        for change in &analysis.structure {
            long.extend([&change.caller, &change.callee].into_iter().flatten().map(|name| name.operation.clone()));
        }
        long.retain(|name| is_longer(name, MAX_NAME));
        // The longest first: a name may be part of another.
        long.sort_by(|left, right| right.len().cmp(&left.len()).then_with(|| left.cmp(right)));
        long.dedup();
        Self { full: RefCell::default(), in_sentences: long }
    }

    /// A name that may be a link to its full text.
    pub(super) fn name(&self, name: &str) -> Markup {
        let short = shorten(name, MAX_NAME);
        let number = self.number(name);
        html! {
            @if name.trim().is_empty() { span.muted { "(no name)" } } @else { bdi { (breakable(&short)) } }
            @if let Some(number) = number {
                " " a.full href={ "#name-" (number) } aria-label={ "Full name " (number) } { "[" (number) "]" }
            }
        }
    }

    /// `service: operation`.
    pub(super) fn operation(&self, service: &str, operation: &str) -> Markup {
        html! {
            (self.name(service))
            @if !operation.is_empty() { span.muted { ": " } (self.name(operation)) }
        }
    }

    /// A sentence of the analysis, its long names cut.
    pub(super) fn sentence(&self, sentence: &str) -> Markup {
        html! { bdi dir="ltr" { (self.sentence_text(sentence)) } }
    }

    /// The same as plain text.
    pub(super) fn sentence_text(&self, sentence: &str) -> String {
        let mut text = sentence.to_owned();
        if is_longer(&text, MAX_NAME) {
            for name in &self.in_sentences {
                if text.contains(name.as_str()) {
                    text = text.replace(name.as_str(), &shorten(name, MAX_NAME));
                    self.number(name);
                }
            }
        }
        shorten(&text, MAX_SENTENCE)
    }

    /// The number of a long name in the list of full names, where it is to be told.
    fn number(&self, name: &str) -> Option<usize> {
        if !is_longer(name, MAX_NAME) {
            return None;
        }
        let mut full = self.full.borrow_mut();
        if let Some(&number) = full.numbers.get(name) {
            return number;
        }
        let n_characters = escape(name).chars().take(MAX_FULL).count();
        let has_room = full.n_listed < MAX_FULL_NAMES && full.n_characters + n_characters <= MAX_FULL_TOTAL;
        let number = has_room.then(|| full.n_listed + 1);
        if has_room {
            full.n_listed += 1;
            full.n_characters += n_characters;
        }
        full.numbers.insert(name.to_owned(), number);
        number
    }

    /// The list of full names; empty if all fit their places.
    pub(super) fn list(&self) -> Option<Markup> {
        let full = self.full.borrow();
        let mut listed: Vec<(usize, &String)> =
            full.numbers.iter().filter_map(|(name, number)| Some(((*number)?, name))).collect();
        listed.sort_unstable();
        let n_left_out = full.numbers.len() - listed.len();
        (!full.numbers.is_empty()).then(|| {
            html! {
                ol.names {
                    @for (number, name) in listed {
                        @let text = escape(name);
                        @let is_cut = text.chars().count() > MAX_FULL;
                        li id={ "name-" (number) } {
                            bdi { (text.chars().take(MAX_FULL).collect::<String>()) }
                            @if is_cut { span.muted { " … and more, in the JSON" } }
                        }
                    }
                }
                @if n_left_out > 0 {
                    p.muted { (n_left_out) " more long names are in the JSON only." }
                }
            }
        })
    }
}

/// A name that may go on in the next line after a separator, rather than anywhere.
fn breakable(name: &str) -> Markup {
    html! {
        @for part in name.split_inclusive(['/', '.', ':', '_', '-']) { (part) wbr; }
    }
}

fn is_longer(text: &str, n_characters: usize) -> bool {
    text.len() > n_characters && escape(text).chars().nth(n_characters).is_some()
}

/// `text` without characters that hide or turn others, cut in its middle to `n_characters`.
pub(super) fn shorten(text: &str, n_characters: usize) -> String {
    // Of a name of megabytes only its ends are looked at: an escape is at most ten characters for one.
    let safe = escape(text);
    let n_all = safe.chars().count();
    if n_all <= n_characters {
        return safe.into_owned();
    }
    let tail = n_characters / 3;
    let head = n_characters.saturating_sub(tail + 1);
    let mut short: String = safe.chars().take(head).collect();
    short.push('…');
    short.extend(safe.chars().skip(n_all - tail));
    short
}
