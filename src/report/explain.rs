//! The account of one suspect as text: why it is accused or not, by what cause, and the arithmetic of every call path.

use super::WIDTH;
use super::analysis::{Out, evidence, hurts, signed};
use super::text::{BOLD, DIM, count, counted, escape, fit, left, paint, percent, right, wrap};
use crate::analysis::{EdgeAccount, ErrorPart, Explanation, Factor, Pair, PathAccount, Step, Term};
use crate::compare::attribute::Cause;
use crate::time::format_ms as ms;
use std::fmt::Write;

/// Paths shown with their arithmetic; the rest is summed in one line, and `--format json` has all.
const N_PATHS: usize = 20;
/// Edges shown.
const N_EDGES: usize = 10;
/// Columns of names.
const NAME: usize = 46;
/// Columns of the labels of products and of parts of edges.
const LABEL: usize = 14;

/// The account for a terminal, at most [`WIDTH`] columns wide, styled with ANSI sequences.
#[must_use]
pub fn text(explanation: &Explanation) -> String {
    let mut out = Out::default();
    let about = &explanation.about;
    let title = match (&about.operation, &about.edge) {
        (Some(operation), _) => format!("{}: {operation}", about.service),
        (None, Some(edge)) => format!("{} -> {}", edge.caller, edge.callee),
        (None, None) => about.service.clone(),
    };
    let inferred = if about.is_inferred { " (no spans of its own)" } else { "" };
    out.line(&paint(BOLD, &fit(&format!("{title}{inferred}"), WIDTH)));
    for line in wrap(&escape(&explanation.summary), WIDTH) {
        out.line(&fit(&line, WIDTH));
    }
    standing(&mut out, explanation);
    causes(&mut out, explanation);
    arithmetic(&mut out, explanation);
    edges(&mut out, explanation);
    errors(&mut out, explanation);
    if let Some(hurts) = hurts(&explanation.impact) {
        out.heading("Hurt");
        plain(&mut out, 2, &hurts);
    }
    if !explanation.suspects.is_empty() {
        out.heading("Evidence");
        for suspect in &explanation.suspects {
            evidence(&mut out, suspect);
        }
    }
    out.0
}

fn standing(out: &mut Out, explanation: &Explanation) {
    out.heading(if explanation.is_accused { "Why it is accused" } else { "Why it is not accused" });
    for sentence in &explanation.standing {
        for (index, line) in wrap(&escape(sentence), WIDTH - 4).iter().enumerate() {
            out.line(&format!("  {} {}", if index == 0 { "-" } else { " " }, fit(line, WIDTH - 4)));
        }
    }
}

fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Slower => "own time",
        Cause::Network => "network",
        Cause::Peer => "answers",
        Cause::Calls => "calls",
        Cause::Retry => "retries",
        Cause::CriticalPath => "critical path",
        Cause::LostParallelism => "parallelism",
    }
}

fn causes(out: &mut Out, explanation: &Explanation) {
    if explanation.causes.is_empty() {
        return;
    }
    out.heading("By cause (ms a request)");
    for account in &explanation.causes {
        let name = account.cause.map_or("in the background", cause).to_owned();
        let name = match &account.callee {
            Some(callee) => format!("{name} of {}: {}", callee.service, callee.operation),
            None => name,
        };
        let interval = account
            .interval_ms
            .map_or_else(String::new, |[low, high]| format!("({} to {})", signed(low), signed(high)));
        out.line(&format!(
            "  {} {} {}",
            left(&name, NAME),
            right(&signed(account.contribution_ms), 10),
            paint(DIM, &interval)
        ));
    }
    out.line(&format!("  {} {}", left("sum", NAME), right(&signed(explanation.contribution.ms), 10)));
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

fn arithmetic(out: &mut Out, explanation: &Explanation) {
    let totals = &explanation.totals;
    out.heading("The arithmetic (ms a request)");
    let text = "A product is visits a request times what changed, after less before; for calls, and for the share of calls \
                that is on the blamed path, also times what one of them is worth.";
    plain(out, 2, &format!("Over {} requests. {text}", arrow(totals.n_requests, whole)));
    let shown = explanation.paths.len().min(N_PATHS);
    for (place, path) in (1..).zip(&explanation.paths[..shown]) {
        account(out, place, path);
    }
    let rest = &explanation.paths[shown..];
    if !rest.is_empty() {
        let sum: f64 = rest.iter().map(|path| path.contribution_ms).sum();
        out.line("");
        let more = counted(rest.len() as u64, "more path");
        out.line(&format!("  {more}: {} (all with `--format json`)", signed(sum)));
    }
    let sum: f64 = explanation.paths.iter().map(|path| path.contribution_ms).sum();
    out.line("");
    out.line(&format!("  The paths sum to {} ms a request.", number(sum)));
}

fn account(out: &mut Out, place: usize, path: &PathAccount) {
    const COLUMN: usize = 20;
    const VISITS: usize = 16;
    const STEP: usize = WIDTH - 5 - 2 * COLUMN - VISITS;
    out.line("");
    let background = if path.is_background { ", in the background" } else { "" };
    out.line(&paint(BOLD, &format!("  {place}. {} ms a request{background}", signed(path.contribution_ms))));
    let heads = [right("calls a visit", COLUMN), right("on blamed path", COLUMN), right("visits a request", VISITS)];
    out.line(&paint(DIM, &format!("     {}{}", left("", STEP), heads.concat())));
    for (depth, step) in path.steps.iter().enumerate() {
        let values = if depth == 0 { format!("share {}", arrow(step.share, number)) } else { String::new() };
        let columns = if depth == 0 {
            right(&values, 2 * COLUMN)
        } else {
            right(&arrow(step.calls_per_visit, number), COLUMN) + &right(&arrow(step.on_path_share, number), COLUMN)
        };
        out.line(&format!(
            "     {}{columns}{}",
            left(&step_name(step, depth), STEP),
            right(&number(step.visits_per_request), VISITS)
        ));
    }
    plain(out, 5, &figures(path));
    for term in &path.terms {
        labelled(out, cause(term.cause), &product(term, path.is_background));
    }
}

/// Wrapped text.
fn plain(out: &mut Out, indent: usize, text: &str) {
    for line in wrap(&escape(text), WIDTH - indent) {
        out.line(&format!("{}{}", " ".repeat(indent), fit(&line, WIDTH - indent)));
    }
}

/// Wrapped text below a path or an edge, its first line after a label.
fn labelled(out: &mut Out, label: &str, text: &str) {
    const INDENT: usize = 5;
    let room = WIDTH - INDENT - LABEL;
    for (index, line) in wrap(&escape(text), room).iter().enumerate() {
        let label = if index == 0 { left(label, LABEL) } else { " ".repeat(LABEL) };
        out.line(&format!("{}{}{}", " ".repeat(INDENT), paint(DIM, &label), fit(line, room)));
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

fn edges(out: &mut Out, explanation: &Explanation) {
    if explanation.edges.is_empty() {
        return;
    }
    out.heading("Edges: time between a client span and its answer, and to whom it was given");
    for account in explanation.edges.iter().take(N_EDGES) {
        edge(out, account);
    }
    let more = explanation.edges.len().saturating_sub(N_EDGES);
    if more > 0 {
        out.line(&format!("  and {} more", counted(more as u64, "edge")));
    }
}

fn edge(out: &mut Out, account: &EdgeAccount) {
    let name = format!("{} -> {}", account.edge.caller, account.edge.callee);
    let visits = right(&format!("{} calls", arrow(account.n_visits, whole)), 28);
    out.line(&format!("  {}{visits}", left(&name, WIDTH - 32)));
    for part in &account.blamed {
        let (what, pair) = match part.part.as_str() {
            "before" => ("before", account.before_ms),
            "after" => ("after", account.after_ms),
            _ => ("waiting", account.wait_ms),
        };
        let text = format!("{} ms a call, given to {}: {}", arrow(pair, ms), part.service, part.reason);
        labelled(out, what, &text);
    }
}

fn errors(out: &mut Out, explanation: &Explanation) {
    let errors = &explanation.errors;
    let lists = [("begin here", &errors.originates), ("pass", &errors.propagates), ("survived", &errors.swallowed)];
    if lists.iter().all(|(_, list)| list.is_empty()) {
        return;
    }
    out.heading("Failures (share of requests)");
    for (what, list) in lists {
        let mut parts: Vec<&ErrorPart> = list.iter().collect();
        parts.truncate(5);
        for (index, part) in parts.into_iter().enumerate() {
            let label = if index == 0 { what } else { "" };
            let share = format!("{} -> {}", percent(part.per_request.baseline), percent(part.per_request.regression));
            out.line(&format!(
                "  {} {} {}",
                paint(DIM, &left(label, 11)),
                left(&format!("{}: {}", part.service, part.operation), 58),
                right(&share, 24)
            ));
        }
        if list.len() > 5 {
            out.line(&format!("  {} and {} more", left("", 11), count((list.len() - 5) as u64)));
        }
    }
}
