//! Where requests began to fail, and what changed in what they are made of: two sections of an analysis as text.

use super::analysis::signed;
use super::grid::{Cell, Grid, Kind as Column};
use super::page::Page;
use super::text::{fit, percent};
use crate::analysis::{Analysis, ErrorKind, Operation, StructureChange};
use crate::compare::structure::Kind;
use crate::time::format_ms as ms;

/// Origins of failures shown.
const N_ORIGINS: usize = 5;
/// Changes of structure shown.
const N_CHANGES: usize = 8;
/// Columns of what an exception says: a stack trace is no summary.
const MAX_MESSAGE: usize = 300;
/// A smaller change of the share of failing requests is not shown.
const MIN_CHANGE: f64 = 0.001;

/// Origins of failures whose share of requests moved.
pub(super) fn errors(page: &mut Page, analysis: &Analysis) {
    let moved = analysis.errors.originates.iter().filter(|part| part.change.abs() >= MIN_CHANGE);
    let moved: Vec<_> = moved.take(N_ORIGINS).collect();
    if moved.is_empty() {
        return;
    }
    page.heading("Where failing requests began to fail (share of requests)");
    let mut grid = Grid::new(&[("", Column::Name), ("", Column::Text), ("", Column::Number)]);
    for part in moved {
        let kind = match (part.kind, part.limit_ms) {
            (Some(ErrorKind::LeftNoSpan), _) => "left no span".to_owned(),
            (Some(ErrorKind::Timeout), Some(limit)) => format!("timeout {} ms", ms(limit)),
            (Some(ErrorKind::Timeout), None) => "timeout".to_owned(),
            (Some(ErrorKind::Fails) | None, _) => String::new(),
        };
        let change = format!("{} -> {}", percent(part.per_request.baseline), percent(part.per_request.regression));
        let exception = part.exception.as_ref().map_or_else(String::new, |seen| {
            let words = [seen.exception.as_deref(), seen.message.as_deref()];
            fit(&words.into_iter().flatten().collect::<Vec<_>>().join(": "), MAX_MESSAGE).into_owned()
        });
        let name = format!("{}: {}", part.service, part.operation);
        grid.noted_row(vec![Cell::text(name), Cell::text(kind), Cell::text(change)], &exception);
    }
    grid.write(page, 2);
}

/// Changes of structure, the dearest first.
pub(super) fn changes(page: &mut Page, analysis: &Analysis) {
    if analysis.structure.is_empty() {
        return;
    }
    page.heading("Structure (what requests are made of)");
    let mut grid = Grid::new(&[
        ("", Column::Text),
        ("", Column::Name),
        ("calls a visit", Column::Number),
        ("ms", Column::Number),
        ("requests", Column::Number),
    ]);
    for change in analysis.structure.iter().take(N_CHANGES) {
        let unit = |value: f64| match change.kind {
            Kind::Silent | Kind::Unobserved | Kind::Timeouts | Kind::LostParallelism => percent(value),
            _ => format!("{value:.2}"),
        };
        let rate = change.calls_per_visit;
        grid.row(vec![
            Cell::text(kind(change.kind)),
            name(change),
            Cell::text(format!("{} -> {}", unit(rate.baseline), unit(rate.regression))),
            Cell::text(signed(change.contribution_ms)),
            Cell::text(percent(change.share_affected)),
        ]);
    }
    grid.write(page, 2);
    if analysis.structure.len() > N_CHANGES {
        page.prose(2, &format!("and {} more", analysis.structure.len() - N_CHANGES));
    }
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
fn name(change: &StructureChange) -> Cell {
    let text = |operation: &Operation| format!("{}: {}", operation.service, operation.operation);
    match (&change.caller, &change.callee) {
        (Some(caller), Some(callee)) if change.kind == Kind::Timeouts => {
            Cell::text(format!("{} -> {}", caller.service, text(callee)))
        }
        (Some(caller), Some(callee)) => Cell::Call(text(caller), text(callee)),
        (Some(caller), None) => Cell::text(text(caller)),
        (None, _) => Cell::text(&change.service),
    }
}
