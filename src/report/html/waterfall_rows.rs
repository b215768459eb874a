//! The steps from one figure of the baseline to that of the regression, for the mean, the tail and the error rate.

use super::Page;
use super::numbers::{amount, ms, percent_points, points, signed_ms};
use crate::analysis::{Analysis, Decomposition, DecompositionRow, OperationAccount, RowCause, excludes_zero};
use crate::compare::attribute::Cause;
use crate::report::analysis::end_of;
use maud::{Markup, html};

/// One step.
pub(super) struct Step {
    /// What is blamed.
    pub(super) name: Markup,
    /// The same as text that may be cut.
    pub(super) label: String,
    /// How.
    pub(super) cause: &'static str,
    pub(super) value: f64,
    pub(super) interval: Option<[f64; 2]>,
    /// What else the arithmetic says.
    pub(super) note: Option<String>,
}

/// A figure's way from baseline to regression: `baseline` and all steps sum to `regression`.
pub(super) struct Way {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// What is counted, such as `ms a request`.
    pub(super) unit: &'static str,
    pub(super) baseline: f64,
    pub(super) regression: f64,
    /// What a share is a share of.
    pub(super) whole: &'static str,
    /// Whether the change is told from none, so that shares of it say something.
    pub(super) is_certain: bool,
    pub(super) steps: Vec<Step>,
    pub(super) show: fn(f64) -> String,
    pub(super) show_signed: fn(f64) -> String,
}

impl Way {
    /// A total as text.
    pub(super) fn value(&self, value: f64) -> String {
        (self.show)(value)
    }

    /// A step as text, with its sign.
    pub(super) fn change(&self, value: f64) -> String {
        (self.show_signed)(value)
    }
}

/// The ways there are to show.
pub(super) fn ways(page: &Page<'_>) -> Vec<Way> {
    let (analysis, change) = (page.analysis, &page.analysis.degradation);
    let mut ways = vec![of_latency(
        page,
        "mean",
        "Mean latency",
        "of the change of the mean",
        &analysis.decomposition,
        change.interval_ms,
    )];
    // The intervals of the other views are those at unchanged traffic.
    if !analysis.typical.rows.is_empty() {
        let whole = "of the change of typical requests";
        ways.push(of_latency(
            page,
            "typical",
            "Typical requests",
            whole,
            &analysis.typical,
            change.typical_interval_ms,
        ));
    }
    // Fragments have no end-to-end latency, and so no tail.
    if analysis.tail.regression_mean_ms > 0.0 {
        let whole = "of the change of the slowest 5 %";
        ways.push(of_latency(page, "tail", "Slowest 5 %", whole, &analysis.tail, change.tail_interval_ms));
    }
    ways.push(of_failures(page));
    ways
}

fn of_latency(
    page: &Page<'_>,
    id: &'static str,
    title: &'static str,
    whole: &'static str,
    decomposition: &Decomposition,
    interval_ms: [f64; 2],
) -> Way {
    let mut steps: Vec<Step> = decomposition.rows.iter().map(|row| step(page, row, &decomposition.rows)).collect();
    steps.push(Step {
        name: html! { "residual" },
        label: "residual".to_owned(),
        cause: "rounding",
        value: decomposition.residual_ms,
        interval: None,
        note: None,
    });
    Way {
        id,
        title,
        unit: "ms a request",
        baseline: decomposition.baseline_mean_ms,
        regression: decomposition.regression_mean_ms,
        whole,
        is_certain: excludes_zero(interval_ms),
        steps,
        show: ms,
        show_signed: signed_ms,
    }
}

fn step(page: &Page<'_>, row: &DecompositionRow, rows: &[DecompositionRow]) -> Step {
    let names = &page.names;
    let service = row.service.as_deref();
    let (name, label) = match (service, &row.operation, &row.edge) {
        (Some(service), Some(operation), _) => {
            let callee = row.callee.as_ref();
            let name = html! {
                (names.operation(service, operation))
                @if let Some(callee) = callee {
                    span.muted { (link(row)) } (names.operation(&callee.service, &callee.operation))
                }
            };
            (name, format!("{service}: {operation}"))
        }
        (_, None, Some(edge)) => {
            let end = end_of(row, rows);
            let name = html! {
                (names.name(&edge.caller)) span.muted { " → " } (names.name(&edge.callee))
                @if let Some(end) = end { span.muted { " (" (names.name(end)) "'s)" } }
            };
            let end = end.map_or_else(String::new, |end| format!(" ({end}'s)"));
            (name, format!("{} to {}{end}", edge.caller, edge.callee))
        }
        (Some(service), None, None) => (names.name(service), service.to_owned()),
        _ => (html! { "other requests were made" }, "other requests were made".to_owned()),
    };
    let own = |account: &&OperationAccount| {
        Some(account.service.as_str()) == service && account.operation == row.operation && account.edge == row.edge
    };
    let note = page.analysis.operations.iter().find(own).map(|account| {
        let [before, after] = account
            .per_call_ms
            .where_any(account.calls_per_request)
            .map(|value| value.map_or_else(|| "–".to_owned(), ms));
        format!(
            "In all causes: a call of it {before} → {after} ms, {} → {} calls a request.",
            amount(account.calls_per_request.baseline),
            amount(account.calls_per_request.regression)
        )
    });
    Step { name, label, cause: cause(row), value: row.contribution_ms, interval: Some(row.interval_ms), note }
}

/// What a part has to do with the calls that its row is about: those cut or made by its failures are others'.
fn link(row: &DecompositionRow) -> &'static str {
    if row.cause == RowCause::Of(Cause::Failing) { " fails and moves " } else { " calls " }
}

pub(super) fn cause(row: &DecompositionRow) -> &'static str {
    let less = row.contribution_ms < 0.0;
    match row.cause {
        RowCause::TrafficMix => "traffic mix",
        RowCause::Of(cause) => match cause {
            Cause::Slower if less => "faster",
            Cause::Slower => "slower",
            Cause::Network => "network",
            Cause::Peer if less => "answers faster",
            Cause::Peer => "answers slower",
            Cause::Calls if less => "fewer calls",
            Cause::Calls => "more calls",
            Cause::Retry => "retries",
            Cause::Failing if less => "cut by failures",
            Cause::Failing => "after failures",
            Cause::Misses if less => "fewer misses",
            Cause::Misses => "cache misses",
            Cause::CriticalPath => "critical path",
            Cause::LostParallelism if less => "more parallel",
            Cause::LostParallelism => "less parallel",
        },
    }
}

/// The same for the share of requests that fail: by where failures began.
fn of_failures(page: &Page<'_>) -> Way {
    let analysis = page.analysis;
    let degradation = &analysis.degradation;
    let mut steps = origins(page, analysis);
    let plain = |name: &'static str, cause: &'static str, value: f64| Step {
        name: html! { (name) },
        label: name.to_owned(),
        cause,
        value,
        interval: None,
        note: None,
    };
    if degradation.error_ratio_mix != 0.0 {
        steps.push(plain("other requests were made", "traffic mix", degradation.error_ratio_mix));
    }
    steps.sort_by(|left, right| right.value.abs().total_cmp(&left.value.abs()));
    let change = degradation.error_ratio.regression - degradation.error_ratio.baseline;
    let rest = change - steps.iter().map(|step| step.value).sum::<f64>();
    steps.push(plain("residual", "pinned on nobody", rest));
    Way {
        id: "errors",
        title: "Failing requests",
        unit: "points",
        baseline: degradation.error_ratio.baseline,
        regression: degradation.error_ratio.regression,
        whole: "of the change of the failing share",
        is_certain: excludes_zero(degradation.error_ratio_interval),
        steps,
        show: percent_points,
        show_signed: points,
    }
}

fn origins(page: &Page<'_>, analysis: &Analysis) -> Vec<Step> {
    let names = &page.names;
    let step = |service: &str,
                operation: Option<&str>,
                edge: Option<&crate::analysis::Edge>,
                own: &crate::analysis::Contribution| {
        let name = match edge {
            Some(edge) => html! { (names.name(&edge.caller)) span.muted { " → " } (names.name(&edge.callee)) },
            None => names.operation(service, operation.unwrap_or("")),
        };
        let label = match edge {
            Some(edge) => format!("{} to {}", edge.caller, edge.callee),
            None => format!("{service}: {}", operation.unwrap_or("")),
        };
        // No request fails by what fails in the background.
        let value = own.front_error_ratio();
        let interval = (own.background_error_ratio == 0.0).then_some(own.error_ratio_interval);
        let cause = if value < 0.0 { "fails less" } else { "fails" };
        Step { name, label, cause, value, interval, note: None }
    };
    if analysis.operations.is_empty() {
        let moved = analysis.suspects.iter().filter(|suspect| suspect.contribution.front_error_ratio() != 0.0);
        return moved
            .map(|own| step(&own.service, own.operation.as_deref(), own.edge.as_ref(), &own.contribution))
            .collect();
    }
    // A service as a whole is the sum of its parts.
    let parts = analysis.operations.iter().filter(|account| account.operation.is_some() || account.edge.is_some());
    let moved = parts.filter(|account| account.contribution.front_error_ratio() != 0.0);
    moved.map(|own| step(&own.service, own.operation.as_deref(), own.edge.as_ref(), &own.contribution)).collect()
}
