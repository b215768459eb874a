//! What a profile holds, in a few lines.

use super::page::{Label, Page};
use crate::drill::kept::Kept;
use crate::profile::{FORMAT_VERSION, Profile};
use crate::time::format_rfc3339;
use std::fmt::Write as _;

/// What tells calls apart.
fn calls(calls: &Kept) -> String {
    let mut keys: Vec<&str> = calls.columns.iter().map(|column| column.key.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut text = if keys.is_empty() {
        "no attribute that tells them apart".to_owned()
    } else {
        format!("told apart by {}", keys.join(", "))
    };
    if !calls.many.is_empty() {
        let many: Vec<&str> = calls.many.iter().map(String::as_str).collect();
        let _ = write!(text, "; too many values of {}", many.join(", "));
    }
    text
}

/// A few lines about the profile in the file `name`, for a terminal of so many columns.
#[must_use]
pub fn text(name: &str, profile: &Profile, columns: usize) -> String {
    let mut page = Page::new(columns);
    let window = profile.window();
    let (start, end) = (format_rfc3339(window.start_unix_ns), format_rfc3339(window.end_unix_ns));
    let sample = if profile.below == u64::MAX {
        "all kept".to_owned()
    } else {
        let n_kept = profile.traces.len();
        let error =
            profile.sampling_error().map_or_else(|| "unknown".to_owned(), |error| format!("{:.2} %", 100.0 * error));
        format!("a sample of {n_kept}, standard error of the mean latency {error}")
    };
    let n_reporting = profile.services.iter().filter(|service| !service.is_inferred).count();
    page.prose(0, &format!("{name}: profile, format version {FORMAT_VERSION}"));
    let mut row = |label: &str, text: &str| page.labelled(2, &Label::dim(label, 9), text);
    row("window", &format!("{start} to {end}"));
    row("traces", &format!("{} ({sample})", profile.n_traces()));
    row("spans", &profile.n_spans().to_string());
    row(
        "names",
        &format!(
            "{n_reporting} services and {} inferred ones, {} operations, {} call paths",
            profile.services.len() - n_reporting,
            profile.operations.len(),
            profile.table.paths.len()
        ),
    );
    row("calls", &profile.calls.as_ref().map_or_else(|| "not told apart by attributes".to_owned(), calls));
    if !profile.about.only.is_empty() {
        row("only", &profile.about.only.join(", "));
    }
    for source in &profile.about.sources {
        row("from", &format!("{} ({} spans)", source.path, source.n_spans));
    }
    page.into_text()
}
