//! An analysis as Markdown for a postmortem, and what every Markdown needs.

mod escape;

pub use escape::{cell, code, mermaid, plain};
