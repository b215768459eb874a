//! What a profile holds, in a few lines.

use super::text::escape;
use crate::profile::{FORMAT_VERSION, Profile};
use crate::time::format_rfc3339;
use std::fmt::Write as _;

/// A few lines about the profile in the file `name`.
#[must_use]
pub fn text(name: &str, profile: &Profile) -> String {
    let mut out = String::new();
    let window = profile.window();
    let (start, end) = (format_rfc3339(window.start_unix_ns), format_rfc3339(window.end_unix_ns));
    let sample = if profile.below == u64::MAX {
        "all kept".to_owned()
    } else {
        let n_kept = profile.traces.len();
        format!("a sample of {n_kept}, standard error of the mean latency {:.2} %", 100.0 * profile.sampling_error())
    };
    let n_reporting = profile.services.iter().filter(|service| !service.is_inferred).count();
    // Writing to a `String` cannot fail.
    let _ = writeln!(out, "{}: profile, format version {FORMAT_VERSION}", escape(name));
    let _ = writeln!(out, "  window   {start} to {end}");
    let _ = writeln!(out, "  traces   {} ({sample})", profile.n_traces());
    let _ = writeln!(out, "  spans    {}", profile.n_spans());
    let _ = writeln!(
        out,
        "  names    {n_reporting} services and {} inferred ones, {} operations, {} call paths",
        profile.services.len() - n_reporting,
        profile.operations.len(),
        profile.table.paths.len()
    );
    if !profile.about.only.is_empty() {
        let _ = writeln!(out, "  only     {}", escape(&profile.about.only.join(", ")));
    }
    for source in &profile.about.sources {
        let _ = writeln!(out, "  from     {} ({} spans)", escape(&source.path), source.n_spans);
    }
    out
}
