//! Markdown whose names come from data: whatever they are, they stay text.

use pulldown_cmark::{Event, Options, Parser, Tag};

/// Parsed as GitHub does, the text holds no HTML but lines that begin with one of `known`, and no link or image.
#[track_caller]
pub(crate) fn assert_names_make_nothing(markdown: &str, known: &[&str]) {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_FOOTNOTES | Options::ENABLE_GFM;
    for event in Parser::new_ext(markdown, options) {
        match event {
            Event::Html(html) | Event::InlineHtml(html) => {
                let is_ours = known.iter().any(|known| html.trim_start().starts_with(known)) || html.trim().is_empty();
                assert!(is_ours, "HTML: {html}");
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => panic!("a link to {dest_url}"),
            Event::Text(text) | Event::Code(text) => {
                assert!(!text.chars().any(char::is_control), "control characters: {text}");
            }
            _ => {}
        }
    }
}
