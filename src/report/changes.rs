//! What was changed near the onset, as text: those credited first.

use super::WIDTH;
use super::text::{BOLD, CAUTION, DIM, escape, fit, left, paint, wrap};
use crate::analysis::{Analysis, ChangeAccount, Credit};
use crate::time::format_rfc3339;

/// Changes shown.
const N_CHANGES: usize = 8;

/// The changes; nothing if there are none.
pub(super) fn lines(analysis: &Analysis) -> Vec<String> {
    if analysis.changes.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new(), paint(BOLD, "Changes")];
    let mut changes: Vec<&ChangeAccount> = analysis.changes.iter().collect();
    changes.sort_by_key(|change| change.credit);
    for change in changes.iter().take(N_CHANGES) {
        let (style, word) = match change.credit {
            Credit::Credited => (CAUTION.bold(), "credited"),
            Credit::NotSupported => (DIM, "not supported"),
            Credit::Unknown => (DIM, "unknown"),
        };
        let service = change.service.as_deref().map_or_else(String::new, |service| format!(" of {service}"));
        let what = format!("{}  {}{service}: {}", format_rfc3339(change.time_unix_ns), change.kind, change.title);
        lines.push(format!("  {} {}", paint(style, &left(word, 13)), fit(&what, WIDTH - 16)));
        lines.extend(
            wrap(&escape(&change.reason), WIDTH - 16).iter().map(|line| format!("{:16}{}", "", fit(line, WIDTH - 16))),
        );
    }
    let rest = changes.len().saturating_sub(N_CHANGES);
    if rest > 0 {
        lines.push(format!("  and {rest} more in the JSON"));
    }
    lines
}
