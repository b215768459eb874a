//! An analysis as one HTML page for somebody who was not there.
//!
//! The page is one file that asks for nothing: its policy allows only the stylesheet and the scripts in it, told by their
//! hashes, and no connection. It is complete without scripts, but for the picture of the dependency graph; they sort,
//! filter, open and lay out what stands in it. Charts are SVG made here, the graph is laid out by dagre (vendored, MIT).
//!
//! A module a section, each a function from the document to its markup, `None` where there is nothing to show. The same
//! document gives the same bytes.

mod align;
mod distributions;
mod evidence;
mod failures;
mod graph;
mod graph_data;
mod links;
mod moments;
mod names;
mod numbers;
mod over_time;
mod people;
mod quality;
mod structure;
mod suspects;
mod svg;
mod traces;
mod verdict;
mod waterfall;
mod waterfall_rows;

pub use links::{check_trace_url, is_web, trace_address};

use crate::analysis::Analysis;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use names::Names;
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const GRAPH_SCRIPT: &str = include_str!("graph.js");
const DAGRE: &str = include_str!("vendor/dagre.min.js");

/// What of the page the user decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Address of a trace in the user's own trace UI, with `{trace_id}` in it; see [`check_trace_url`].
    pub trace_url: Option<String>,
}

/// What every section is made from.
pub(super) struct Page<'a> {
    analysis: &'a Analysis,
    options: &'a Options,
    names: Names,
}

struct Section {
    id: &'static str,
    title: &'static str,
    content: Markup,
}

/// The page, whole.
#[must_use]
pub fn page(analysis: &Analysis, options: &Options) -> String {
    let page = Page { analysis, options, names: Names::of(analysis) };
    let header = verdict::header(&page);
    let sections = sections(&page);
    let title = format!("{} · suspect", names::shorten(&page.names.sentence_text(&analysis.summary), 90));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "suspect " (env!("CARGO_PKG_VERSION")) };
                title { (title) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the report" }
                div.page {
                    (contents(&sections))
                    main #main tabindex="-1" {
                        (header)
                        @for section in &sections {
                            section id=(section.id) aria-labelledby={ (section.id) "-title" } {
                                h2 id={ (section.id) "-title" } { (section.title) }
                                (section.content)
                            }
                        }
                    }
                }
                (footer())
                @for script in [DAGRE, SCRIPT, GRAPH_SCRIPT] {
                    script { (PreEscaped(script)) }
                }
            }
        }
    };
    page.into_string()
}

fn sections(page: &Page<'_>) -> Vec<Section> {
    let mut sections: Vec<Section> = [
        ("time", "Over time", over_time::section(page)),
        ("change", "Where the change went", Some(waterfall::section(page))),
        ("suspects", suspects::title(page.analysis), suspects::section(page)),
        ("teams", "Who to call", people::teams(page)),
        ("changes", "What changed around it", people::changes(page)),
        ("graph", "Dependency graph", graph::section(page)),
        ("traces", "Slow requests beside ordinary ones", traces::section(page)),
        ("distributions", "How latencies are spread", distributions::section(page)),
        ("entries", "Entry operations", verdict::entries(page)),
        ("failures", "Failures", failures::section(page)),
        ("structure", "What requests are made of", structure::section(page)),
        ("values", "New and gone values", structure::values(page)),
        ("quality", "How far to trust it", Some(quality::section(page))),
        ("method", "Method and limits", Some(quality::method(page))),
    ]
    .into_iter()
    .filter_map(|(id, title, content)| Some(Section { id, title, content: content? }))
    .collect();
    // Last, when all long names have been met.
    sections.extend(page.names.list().map(|content| Section { id: "names", title: "Full names", content }));
    sections
}

fn contents(sections: &[Section]) -> Markup {
    html! {
        nav.contents aria-label="Contents" {
            p.brand { "suspect" }
            ol {
                @for section in sections {
                    li { a href={ "#" (section.id) } { (section.title) } }
                }
            }
        }
    }
}

fn footer() -> Markup {
    html! {
        footer {
            p {
                "Made by suspect " (env!("CARGO_PKG_VERSION"))
                ". This file asks nothing of the network."
            }
            details.plain {
                summary { "Graph layout by @dagrejs/dagre, MIT licence" }
                pre.licence tabindex="0" aria-label="Licence of dagre" { (include_str!("vendor/LICENSE")) }
            }
        }
    }
}

/// Nothing may be fetched, sent, framed or run but the style and the scripts of the page itself.
fn policy() -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())));
    let scripts = [DAGRE, SCRIPT, GRAPH_SCRIPT].map(hash).join(" ");
    format!(
        "default-src 'none'; style-src {}; script-src {scripts}; img-src data:; base-uri 'none'; form-action 'none'",
        hash(STYLE)
    )
}

/// Data for a script of the page: JSON in which nothing can end the element that holds it.
fn data(id: &str, value: &impl serde::Serialize) -> Markup {
    // Our data have string keys and no failing `Serialize`, the only ways this can fail.
    let json = serde_json::to_string(value).unwrap_or_default().replace('<', "\\u003c");
    html! { script type="application/json" id=(id) { (PreEscaped(json)) } }
}

/// A table wider than the screen scrolls in a region of its own that the keyboard reaches.
fn scrolled(label: &str, table: &Markup) -> Markup {
    html! { div.scroll role="region" aria-label=(label) tabindex="0" { (table) } }
}
