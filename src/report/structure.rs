//! Where requests began to fail, and what changed in what they are made of: two sections of an analysis as text.

use super::WIDTH;
use super::text::{BOLD, DIM, call, fit, left, paint, percent, right};
use crate::analysis::{Analysis, ErrorKind, Operation, StructureChange};
use crate::compare::structure::Kind;
use crate::time::format_ms as ms;

/// Origins of failures shown.
const N_ORIGINS: usize = 5;
/// Changes of structure shown.
const N_CHANGES: usize = 8;
/// Columns of who calls whom.
const NAME: usize = 44;
/// A smaller change of the share of failing requests is not shown.
const MIN_CHANGE: f64 = 0.001;

/// Origins of failures whose share of requests moved.
pub(super) fn errors(analysis: &Analysis) -> Vec<String> {
    let moved = analysis.errors.originates.iter().filter(|part| part.change.abs() >= MIN_CHANGE);
    let mut lines = Vec::new();
    for part in moved.take(N_ORIGINS) {
        let kind = match (part.kind, part.limit_ms) {
            (Some(ErrorKind::LeftNoSpan), _) => "left no span".to_owned(),
            (Some(ErrorKind::Timeout), Some(limit)) => format!("timeout {} ms", ms(limit)),
            (Some(ErrorKind::Timeout), None) => "timeout".to_owned(),
            (Some(ErrorKind::Fails) | None, _) => String::new(),
        };
        let change = format!("{} -> {}", percent(part.per_request.baseline), percent(part.per_request.regression));
        lines.push(format!(
            "  {} {} {}",
            left(&format!("{}: {}", part.service, part.operation), 60),
            left(&kind, 16),
            right(&change, 19)
        ));
        if let Some(seen) = &part.exception {
            let words = [seen.exception.as_deref(), seen.message.as_deref()];
            let words: Vec<&str> = words.into_iter().flatten().collect();
            lines.push(paint(DIM, &format!("      {}", fit(&words.join(": "), WIDTH - 6))));
        }
    }
    with_heading("Where failing requests began to fail (share of requests)", lines)
}

/// Changes of structure, the dearest first.
pub(super) fn changes(analysis: &Analysis) -> Vec<String> {
    let mut lines = Vec::new();
    for change in analysis.structure.iter().take(N_CHANGES) {
        let unit = |value: f64| match change.kind {
            Kind::Silent | Kind::Unobserved | Kind::Timeouts | Kind::LostParallelism => percent(value),
            _ => format!("{value:.2}"),
        };
        let rate = change.calls_per_visit;
        let cost = format!("{}{}", if change.contribution_ms > 0.0 { "+" } else { "" }, ms(change.contribution_ms));
        lines.push(format!(
            "  {} {} {} {} {}",
            left(kind(change.kind), 16),
            left(&name(change), NAME),
            right(&format!("{} -> {}", unit(rate.baseline), unit(rate.regression)), 16),
            right(&cost, 9),
            right(&percent(change.share_affected), 8)
        ));
    }
    if analysis.structure.len() > N_CHANGES {
        lines.push(format!("  and {} more", analysis.structure.len() - N_CHANGES));
    }
    if !lines.is_empty() {
        let columns = [right("calls a visit", 16), right("ms", 9), right("requests", 8)];
        lines.insert(0, paint(DIM, &format!("  {} {}", left("", 61), columns.join(" "))));
    }
    with_heading("Structure (what requests are made of)", lines)
}

fn with_heading(heading: &str, lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() {
        return lines;
    }
    let mut section = vec![String::new(), paint(BOLD, heading)];
    section.extend(lines);
    section
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::NewCall => "new call",
        Kind::GoneCall => "gone call",
        Kind::MoreCalls => "more calls",
        Kind::FewerCalls => "fewer calls",
        Kind::NPlusOne => "N+1",
        Kind::RetryStorm => "retry storm",
        Kind::LostParallelism => "less parallel",
        Kind::EarlyReturn => "early return",
        Kind::Silent => "silent",
        Kind::Unobserved => "spans missing",
        Kind::Timeouts => "timeouts",
    }
}

/// Who calls whom.
fn name(change: &StructureChange) -> String {
    let text = |operation: &Operation| format!("{}: {}", operation.service, operation.operation);
    match (&change.caller, &change.callee) {
        (Some(caller), Some(callee)) if change.kind == Kind::Timeouts => {
            format!("{} -> {}: {}", caller.service, callee.service, callee.operation)
        }
        (Some(caller), Some(callee)) => call(&text(caller), &text(callee), NAME),
        (Some(caller), None) => text(caller),
        (None, _) => change.service.clone(),
    }
}
