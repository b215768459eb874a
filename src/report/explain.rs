//! The account of one suspect as text: why it is accused or not, by what cause, and the arithmetic of every call path.

use super::analysis::{evidence, hurts, signed};
use super::grid::{Cell, Grid, Kind};
use super::page::{Label, Page};
use super::text::{BOLD, count, counted, fit, percent};
use crate::analysis::{EdgeAccount, Explanation, Factor, Pair, PathAccount, Step, Term};
use crate::compare::attribute::Cause;
use crate::rank::Channel;
use crate::time::format_ms as ms;
use std::fmt::Write;

/// Paths shown with their arithmetic; the rest is summed in one line, and `--format json` has all.
const N_PATHS: usize = 20;
/// Edges shown.
const N_EDGES: usize = 10;
/// Failures shown of those that begin here, pass or are survived.
const N_ERRORS: usize = 5;
/// Columns of the title, on a line or more.
const MAX_TITLE: usize = 300;
/// Columns of the labels of products and of parts of edges.
const LABEL: usize = 14;
/// Columns in front of what is said of a path or an edge.
const INDENT: usize = 5;

/// The account for a terminal of so many columns, styled with ANSI sequences.
#[must_use]
pub fn text(explanation: &Explanation, columns: usize) -> String {
    let mut page = Page::new(columns);
    let about = &explanation.about;
    let title = match (&about.operation, &about.edge) {
        (Some(operation), _) => format!("{}: {operation}", about.service),
        (None, Some(edge)) => format!("{} -> {}", edge.caller, edge.callee),
        (None, None) => about.service.clone(),
    };
    let inferred = if about.is_inferred { " (no spans of its own)" } else { "" };
    page.painted(BOLD, 0, &fit(&format!("{title}{inferred}"), MAX_TITLE));
    page.prose(0, &explanation.summary);
    standing(&mut page, explanation);
    causes(&mut page, explanation);
    arithmetic(&mut page, explanation);
    edges(&mut page, explanation);
    errors(&mut page, explanation);
    if let Some(hurts) = hurts(&explanation.impact, Channel::Latency) {
        page.heading("Hurt");
        page.prose(2, &hurts);
    }
    if !explanation.suspects.is_empty() {
        page.heading("Evidence");
        for suspect in &explanation.suspects {
            evidence(&mut page, suspect);
        }
    }
    page.into_text()
}

fn standing(page: &mut Page, explanation: &Explanation) {
    page.heading(if explanation.is_accused { "Why it is accused" } else { "Why it is not accused" });
    for sentence in &explanation.standing {
        page.bullet(sentence);
    }
}

fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Slower => "own time",
        Cause::Network => "network",
        Cause::Peer => "answers",
        Cause::Calls => "calls",
        Cause::Retry => "retries",
        Cause::Failing => "calls after failures",
        Cause::Misses => "cache misses",
        Cause::CriticalPath => "critical path",
        Cause::LostParallelism => "parallelism",
    }
}

fn causes(page: &mut Page, explanation: &Explanation) {
    if explanation.causes.is_empty() {
        return;
    }
    page.heading("By cause (ms a request)");
    let mut grid = Grid::new(&[("", Kind::Name), ("", Kind::Number), ("", Kind::Text)]);
    for account in &explanation.causes {
        let name = account.cause.map_or("in the background", cause).to_owned();
        let name = match &account.callee {
            Some(callee) => format!("{name} of {}: {}", callee.service, callee.operation),
            None => name,
        };
        let interval = account
            .interval_ms
            .map_or_else(String::new, |[low, high]| format!("({} to {})", signed(low), signed(high)));
        grid.row(vec![Cell::text(name), Cell::text(signed(account.contribution_ms)), Cell::dim(interval)]);
    }
    grid.row(vec![Cell::text("sum"), Cell::text(signed(explanation.contribution.ms))]);
    grid.write(page, 2);
}

/// A number with five digits that count, for sums on a calculator.
fn number(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        10_000.0.. => 0,
        1_000.0.. => 1,
        100.0.. => 2,
        10.0.. => 3,
        1.0.. => 4,
        0.1.. => 5,
        0.01.. => 6,
        // Zero is written as `0`, as trailing zeros go.
        _ => 7,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn arrow(pair: Pair, show: fn(f64) -> String) -> String {
    let [before, after] = [show(pair.baseline), show(pair.regression)];
    if before == after { before } else { format!("{before} -> {after}") }
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}

fn arithmetic(page: &mut Page, explanation: &Explanation) {
    let totals = &explanation.totals;
    page.heading("The arithmetic (ms a request)");
    let text = "A product is visits a request times what changed, after less before; for calls, and for the share of calls \
                that is on the blamed path, also times what one of them is worth.";
    page.prose(2, &format!("Over {} requests. {text}", arrow(totals.n_requests, whole)));
    let shown = explanation.paths.len().min(N_PATHS);
    for (place, path) in (1..).zip(&explanation.paths[..shown]) {
        account(page, place, path);
    }
    let rest = &explanation.paths[shown..];
    if !rest.is_empty() {
        let sum: f64 = rest.iter().map(|path| path.contribution_ms).sum();
        page.blank();
        let more = counted(rest.len() as u64, "more path");
        page.prose(2, &format!("{more}: {} (all with `--format json`)", signed(sum)));
    }
    let sum: f64 = explanation.paths.iter().map(|path| path.contribution_ms).sum();
    page.blank();
    page.prose(2, &format!("The paths sum to {} ms a request.", number(sum)));
}

fn account(page: &mut Page, place: usize, path: &PathAccount) {
    page.blank();
    let background = if path.is_background { ", in the background" } else { "" };
    page.painted(BOLD, 2, &format!("{place}. {} ms a request{background}", signed(path.contribution_ms)));
    let mut grid = Grid::new(&[
        ("", Kind::Name),
        ("calls a visit", Kind::Number),
        ("on blamed path", Kind::Number),
        ("visits a request", Kind::Number),
    ]);
    for (depth, step) in path.steps.iter().enumerate() {
        let [calls, on_path] = if depth == 0 {
            [String::new(), format!("share {}", arrow(step.share, number))]
        } else {
            [arrow(step.calls_per_visit, number), arrow(step.on_path_share, number)]
        };
        grid.row([step_name(step, depth), calls, on_path, number(step.visits_per_request)].map(Cell::Text).into());
    }
    grid.write(page, INDENT);
    page.prose(INDENT, &figures(path));
    for term in &path.terms {
        let label = Label::dim(cause(term.cause), LABEL);
        page.labelled(INDENT, &label, &product(term, path.is_background));
    }
}

fn step_name(step: &Step, depth: usize) -> String {
    let indent = "  ".repeat(depth.min(8));
    let peer = step.peer.as_ref().map_or_else(String::new, |peer| format!(" -> {peer}"));
    let retry = if step.is_retry { " (again)" } else { "" };
    format!("{indent}{}: {}{peer}{retry}", step.service, step.operation)
}

/// Numbers of both windows, as they were summed.
fn figures(path: &PathAccount) -> String {
    // The time of a span that waits for an answer is what lies around the answer.
    let is_client = path.steps.last().is_some_and(|step| step.peer.is_some());
    let mut text = format!(
        "{} calls of {} ms, {} of them on the blamed path; a visit spends {} ms {}",
        arrow(path.n_calls, whole),
        arrow(path.duration_ms, ms),
        arrow(path.n_visits, whole),
        arrow(path.self_ms, ms),
        if is_client { "after its answer" } else { "by itself" }
    );
    let mut add = |pair: Pair, what: &str| {
        if pair != Pair::default() {
            // Writing to a `String` cannot fail.
            _ = write!(text, ", {} ms {what}", arrow(pair, ms));
        }
    };
    add(path.before_ms, "before its answer");
    add(path.wait_ms, "waiting");
    add(path.inclusive_ms, "with all below");
    if path.n_failures != Pair::default() {
        _ = write!(text, "; {} requests began to fail here", arrow(path.n_failures, whole));
    }
    text
}

fn product(term: &Term, is_background: bool) -> String {
    let values = format!("({} - {})", number(term.values.regression), number(term.values.baseline));
    let rate = if is_background { format!(" x {} background a request", number(term.rate)) } else { String::new() };
    let part =
        if term.part < 1.0 { format!(" x {} of it, as answered calls tell", number(term.part)) } else { String::new() };
    let visits = number(term.visits);
    let result = format!("{rate}{part} = {} ms", number(term.contribution_ms));
    match term.factor {
        Factor::SelfTime => format!("{visits} visits x {values} ms{result}"),
        Factor::BeforeTime => format!("{visits} visits x {values} ms before the answer{result}"),
        Factor::WaitTime => format!("{visits} visits x {values} ms of waiting{result}"),
        Factor::Calls => format!("{visits} visits above x {values} calls x {} ms{result}", number(term.worth_ms)),
        Factor::OnPath => {
            format!("{visits} visits above x {values} on the blamed path x {} ms{result}", number(term.worth_ms))
        }
    }
}

fn edges(page: &mut Page, explanation: &Explanation) {
    if explanation.edges.is_empty() {
        return;
    }
    page.heading("Edges: time between a client span and its answer, and to whom it was given");
    for account in explanation.edges.iter().take(N_EDGES) {
        edge(page, account);
    }
    let more = explanation.edges.len().saturating_sub(N_EDGES);
    if more > 0 {
        page.prose(2, &format!("and {} more", counted(more as u64, "edge")));
    }
}

fn edge(page: &mut Page, account: &EdgeAccount) {
    let name = format!("{} -> {}", account.edge.caller, account.edge.callee);
    let visits = format!("{} calls", arrow(account.n_visits, whole));
    let mut grid = Grid::new(&[("", Kind::Name), ("", Kind::Number)]);
    grid.row([name, visits].map(Cell::Text).into());
    grid.write(page, 2);
    for part in &account.blamed {
        let (what, pair) = match part.part.as_str() {
            "before" => ("before", account.before_ms),
            "after" => ("after", account.after_ms),
            _ => ("waiting", account.wait_ms),
        };
        let text = format!("{} ms a call, given to {}: {}", arrow(pair, ms), part.service, part.reason);
        page.labelled(INDENT, &Label::dim(what, LABEL), &text);
    }
}

fn errors(page: &mut Page, explanation: &Explanation) {
    let errors = &explanation.errors;
    let lists = [("begin here", &errors.originates), ("pass", &errors.propagates), ("survived", &errors.swallowed)];
    if lists.iter().all(|(_, list)| list.is_empty()) {
        return;
    }
    page.heading("Failures (share of requests)");
    let mut grid = Grid::new(&[("", Kind::Text), ("", Kind::Name), ("", Kind::Number)]);
    for (what, list) in lists {
        for (index, part) in list.iter().take(N_ERRORS).enumerate() {
            let share = format!("{} -> {}", percent(part.per_request.baseline), percent(part.per_request.regression));
            grid.row(vec![
                // On a narrow page each stands alone.
                Cell::dim(if index == 0 || page.is_narrow() { what } else { "" }),
                Cell::text(format!("{}: {}", part.service, part.operation)),
                Cell::text(share),
            ]);
        }
        if let Some(n_more @ 1..) = list.len().checked_sub(N_ERRORS) {
            grid.row(vec![Cell::dim(""), Cell::text(format!("and {} more", count(n_more as u64)))]);
        }
    }
    grid.write(page, 2);
}
