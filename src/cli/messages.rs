use crate::diagnostics::{MAX_EXAMPLES, SetAside, SetAsideReason, SourceReport};
use crate::error::Error;
use crate::report::text::{ALERT, BOLD, CAUTION, CODE, count, counted, escape, paint};
use std::fmt::Write;

/// `error: ...` and, after a blank line, `hint: ...`.
pub(super) fn error(error: &Error) -> String {
    let mut text = format!("{} {}\n", paint(ALERT.bold(), "error:"), escape(&error.to_string()));
    if let Some(hint) = error.hint() {
        // Writing to a `String` cannot fail.
        _ = writeln!(text, "\n{} {}", paint(CODE.bold(), "hint:"), escape(&hint));
    }
    text
}

/// One `warning: ...` line.
pub(super) fn warning(message: &str) -> String {
    format!("{} {}\n", paint(CAUTION.bold(), "warning:"), escape(message))
}

pub(super) fn note(message: &str) -> String {
    format!("{} {}\n", paint(BOLD, "note:"), escape(message))
}

/// What could not be read or used, of every file: a few examples of each kind, and the count of the rest.
pub(super) fn sources(sources: &[SourceReport]) -> String {
    let mut text = String::new();
    kind(&mut text, sources, &warning("{} more files could not be read"), |source| {
        let error = source.error.as_ref()?;
        let whole = if source.n_spans > 0 { " whole" } else { "" };
        Some(warning(&format!("`{}` could not be read{whole}: {error}", source.path)))
    });
    kind(&mut text, sources, &warning("{} more files hold records that could not be read"), skipped);
    kind(&mut text, sources, &warning("{} more files end in the middle of a record"), |source| {
        let message = format!("`{}` ends in the middle of a record; what stands before it was read", source.path);
        source.truncated.then(|| warning(&message))
    });
    text += &set_aside(sources);
    kind(&mut text, sources, &note("and so on for {} more files"), |source| {
        let notes: String = source.notes.iter().map(|text| note(&format!("`{}`: {text}", source.path))).collect();
        (!notes.is_empty()).then_some(notes)
    });
    text
}

/// Appends the first files of one kind of problem, and `rest` with how many more there are in place of `{}`.
fn kind(text: &mut String, sources: &[SourceReport], rest: &str, render: impl Fn(&SourceReport) -> Option<String>) {
    let all: Vec<String> = sources.iter().filter_map(render).collect();
    text.extend(all.iter().take(MAX_EXAMPLES).map(String::as_str));
    if let Some(n_more @ 1..) = all.len().checked_sub(MAX_EXAMPLES) {
        *text += &rest.replace("{}", &count(n_more as u64));
    }
}

fn skipped(source: &SourceReport) -> Option<String> {
    let n_records = source.n_skipped_records;
    if n_records == 0 {
        return None;
    }
    let mut text = warning(&format!("{} of `{}` could not be read", counted(n_records, "record"), source.path));
    for record in &source.skipped_records {
        _ = writeln!(text, "  {}: {}", record.place, escape(&record.reason));
    }
    if let Some(n_more @ 1..) = n_records.checked_sub(source.skipped_records.len() as u64) {
        _ = writeln!(text, "  and {} more", count(n_more));
    }
    Some(text)
}

fn set_aside(sources: &[SourceReport]) -> String {
    let mut all = SetAside::default();
    for source in sources {
        all.absorb(&source.set_aside);
    }
    // That is as the user asked.
    all.0.remove(&SetAsideReason::OutsideWindows);
    if all.total() == 0 {
        return String::new();
    }
    let reasons: Vec<String> =
        all.0.iter().map(|(reason, &n_spans)| format!("{} {}", count(n_spans), reason.describe())).collect();
    let n_spans: u64 = sources.iter().map(|source| source.n_spans).sum();
    let total = count(all.total());
    warning(&format!("{total} of {} set aside while they were read: {}", counted(n_spans, "span"), reasons.join(", ")))
}
