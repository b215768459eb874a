//! What was changed near the onset, as text: those credited first.

use super::page::{Label, Page};
use super::text::{CAUTION, DIM};
use crate::analysis::{Analysis, ChangeAccount, Credit};
use crate::time::format_rfc3339;

/// Changes shown.
const N_CHANGES: usize = 8;
/// Columns of the word about a change.
const LABEL: usize = 14;

/// What was changed: kind, service and title.
pub(super) fn told(change: &ChangeAccount) -> String {
    let service = change.service.as_deref().map_or_else(String::new, |service| format!(" of {service}"));
    let title = if change.title.is_empty() { String::new() } else { format!(": {}", change.title) };
    format!("{}{service}{title}", change.kind)
}

/// The changes; nothing if there are none.
pub(super) fn write(page: &mut Page, analysis: &Analysis) {
    let outside = analysis.told_changes_outside();
    if analysis.changes.is_empty() && outside.is_none() {
        return;
    }
    page.heading("Changes");
    let mut changes: Vec<&ChangeAccount> = analysis.changes.iter().collect();
    changes.sort_by_key(|change| change.credit);
    for change in changes.iter().take(N_CHANGES) {
        let (style, word) = match change.credit {
            Credit::Credited => (CAUTION.bold(), "credited"),
            Credit::NotSupported => (DIM, "not supported"),
            Credit::Unknown => (DIM, "unknown"),
        };
        let what = format!("{}, {}", format_rfc3339(change.time_unix_ns), told(change));
        page.labelled(2, &Label::new(style, word, LABEL), &what);
        page.labelled(2, &Label::new(style, "", LABEL), &change.reason);
    }
    let rest = changes.len().saturating_sub(N_CHANGES);
    if rest > 0 {
        page.prose(2, &format!("and {rest} more in the JSON"));
    }
    if let Some(outside) = outside {
        page.prose(2, &outside);
    }
}
