//! Results as text for people and as JSON for programs.
//!
//! A report reads only the document it shows and writes only to memory; [`crate::cli`] puts it on a terminal or into a
//! file. Terminal text is as wide as its reader asks, [`WIDTH`] by default and never less than [`MIN_WIDTH`], styled with
//! ANSI sequences that the command line strips where they are not wanted, and says the same without them and in any
//! width. Names from the data pass through [`text::escape`].

pub mod analysis;
mod attributes;
mod changes;
pub mod eval;
pub mod explain;
pub mod gate;
pub mod graph;
pub mod graph_text;
mod grid;
pub mod html;
pub mod inspect;
pub mod markdown;
mod network;
mod owners;
mod page;
pub mod profile;
pub mod schema;
mod structure;
pub mod tables;
pub mod text;
pub mod trace;
mod windows;

/// Columns of terminal reports where nobody asks for others: fits two side by side on a wide screen, a ticket and an e-mail.
pub const WIDTH: usize = 100;
/// The least columns of terminal reports: a narrow split of a screen, a telephone.
pub const MIN_WIDTH: usize = 40;

/// A result as indented JSON with the keys in the order of its type, and a final line break.
pub fn json(document: &impl serde::Serialize) -> String {
    // Our documents have string keys and no failing `Serialize`, the only ways this can fail.
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}
