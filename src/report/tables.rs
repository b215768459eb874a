//! An analysis as tables for notebooks: one data frame a list of the document, its columns named with their units.
//!
//! | table | a row is | columns |
//! |---|---|---|
//! | `summary` | the analysis | verdict, summary, confidence, windows, means, change and interval |
//! | `decomposition` | a row of a view (`mean`, `typical`, `tail`) | what it is of, cause, contribution and interval |
//! | `services` | a ranked service | rank, score, kind, contribution, owner |
//! | `suspects` | a suspect | rank, what it is, contribution, per-call figures, impact, owner |
//! | `operations` | a service, operation or edge | own time, calls, what it adds in each view, chances |
//! | `edges` | a call between services | status, calls, errors, latency in both windows |
//! | `entries` | an entry operation | requests, latency and errors in both windows |
//! | `time` | a bucket of time | start, requests, percentiles, errors |
//! | `structure` | a change in what requests are made of | kind, ends, calls a visit, contribution |
//! | `teams`, `changes` | a team, a change somebody made | as in the document |
//!
//! Times are `Int64` nanoseconds since the Unix epoch, absent values null. Rows stand as in the document. `contribution_percent` is of the view's
//! change in `decomposition`, elsewhere of the change of the mean at unchanged traffic; null where that change may as well be none.

use crate::analysis::{
    Analysis, Contribution, Decomposition, Edge, Impact, Owner, Pair, RowCause, SeriesOf, excludes_zero,
};
use crate::error::Error;
use crate::topology::{ByWindow, CallStats};
use polars::prelude::{Column, DataFrame, NamedFrom, Series};
use serde::Serialize;

/// Names of the tables.
pub const NAMES: [&str; 11] = [
    "summary",
    "decomposition",
    "services",
    "suspects",
    "operations",
    "edges",
    "entries",
    "time",
    "structure",
    "teams",
    "changes",
];

/// The tables in the order of [`NAMES`].
///
/// # Errors
/// Only if polars refuses columns of one length.
pub fn tables(analysis: &Analysis) -> Result<Vec<(&'static str, DataFrame)>, Error> {
    let tables = [
        summary(analysis)?,
        decomposition(analysis)?,
        services(analysis)?,
        suspects(analysis)?,
        operations(analysis)?,
        edges(analysis)?,
        entries(analysis)?,
        time(analysis)?,
        structure(analysis)?,
        teams(analysis)?,
        changes(analysis)?,
    ];
    Ok(NAMES.into_iter().zip(tables).collect())
}

/// A table that grows by columns.
struct Table<'a, T> {
    rows: &'a [T],
    columns: Vec<Column>,
}

impl<'a, T> Table<'a, T> {
    fn new(rows: &'a [T]) -> Self {
        Self { rows, columns: Vec::new() }
    }

    fn text(mut self, name: &str, value: impl Fn(&'a T) -> Option<String>) -> Self {
        let values: Vec<Option<String>> = self.rows.iter().map(value).collect();
        self.columns.push(Column::from(Series::new(name.into(), values)));
        self
    }

    fn number(mut self, name: &str, value: impl Fn(&'a T) -> Option<f64>) -> Self {
        let values: Vec<Option<f64>> = self.rows.iter().map(value).collect();
        self.columns.push(Column::from(Series::new(name.into(), values)));
        self
    }

    fn integer(mut self, name: &str, value: impl Fn(&'a T) -> Option<i64>) -> Self {
        let values: Vec<Option<i64>> = self.rows.iter().map(value).collect();
        self.columns.push(Column::from(Series::new(name.into(), values)));
        self
    }

    fn flag(mut self, name: &str, value: impl Fn(&'a T) -> bool) -> Self {
        let values: Vec<bool> = self.rows.iter().map(value).collect();
        self.columns.push(Column::from(Series::new(name.into(), values)));
        self
    }

    fn pair(self, name: &str, value: impl Fn(&'a T) -> Pair) -> Self {
        self.number(&format!("{name}_baseline"), |row| Some(value(row).baseline))
            .number(&format!("{name}_regression"), |row| Some(value(row).regression))
    }

    fn interval(self, name: &str, value: impl Fn(&'a T) -> [f64; 2]) -> Self {
        self.number(&format!("{name}_low"), |row| Some(value(row)[0]))
            .number(&format!("{name}_high"), |row| Some(value(row)[1]))
    }

    fn edge(self, value: impl Fn(&'a T) -> Option<&'a Edge>) -> Self {
        self.text("caller", |row| value(row).map(|edge| edge.caller.clone()))
            .text("callee", |row| value(row).map(|edge| edge.callee.clone()))
    }

    fn contribution(self, analysis: &Analysis, value: impl Fn(&'a T) -> &'a Contribution) -> Self {
        let is_meant = excludes_zero(analysis.degradation.adjusted_interval_ms);
        self.number("contribution_ms", |row| Some(value(row).ms))
            .interval("contribution_ms", |row| value(row).interval_ms)
            .number("contribution_percent", |row| is_meant.then(|| value(row).percent))
            .number("error_ratio_change", |row| Some(value(row).error_ratio))
            .interval("error_ratio_change", |row| value(row).error_ratio_interval)
    }

    fn owner(self, value: impl Fn(&'a T) -> Option<&'a Owner>) -> Self {
        self.text("team", |row| value(row).map(|owner| owner.team.clone()))
            .text("contact", |row| value(row).and_then(|owner| owner.contact.clone()))
            .text("runbook", |row| value(row).and_then(|owner| owner.runbook.clone()))
    }

    fn frame(self) -> Result<DataFrame, Error> {
        Ok(DataFrame::new(self.rows.len(), self.columns)?)
    }
}

/// A unit variant as the document writes it.
fn word(value: &impl Serialize) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(str::to_owned)
}

fn summary(analysis: &Analysis) -> Result<DataFrame, Error> {
    let rows = std::slice::from_ref(analysis);
    Table::new(rows)
        .text("verdict", |row| word(&row.verdict))
        .text("summary", |row| Some(row.summary.clone()))
        .number("confidence", |row| Some(row.confidence))
        .integer("baseline_start_unix_ns", |row| Some(row.windows.baseline.start_unix_ns))
        .integer("baseline_end_unix_ns", |row| Some(row.windows.baseline.end_unix_ns))
        .integer("regression_start_unix_ns", |row| Some(row.windows.regression.start_unix_ns))
        .integer("regression_end_unix_ns", |row| Some(row.windows.regression.end_unix_ns))
        .pair("n_requests", |row| Pair {
            baseline: row.windows.baseline.n_requests,
            regression: row.windows.regression.n_requests,
        })
        .pair("mean_ms", |row| row.degradation.mean_ms)
        .pair("p50_ms", |row| row.degradation.p50_ms)
        .pair("p95_ms", |row| row.degradation.p95_ms)
        .pair("p99_ms", |row| row.degradation.p99_ms)
        .number("change_ms", |row| Some(row.degradation.change_ms))
        .interval("change_ms", |row| row.degradation.interval_ms)
        .pair("error_ratio", |row| row.degradation.error_ratio)
        .frame()
}

fn decomposition(analysis: &Analysis) -> Result<DataFrame, Error> {
    let view = |name: &'static str, view: &'_ Decomposition| -> Vec<_> {
        view.rows.iter().map(|row| (name, row.clone())).collect()
    };
    let rows =
        [view("mean", &analysis.decomposition), view("typical", &analysis.typical), view("tail", &analysis.tail)]
            .concat();
    let change = &analysis.degradation;
    let is_meant = |view: &str| {
        excludes_zero(match view {
            "typical" => change.typical_interval_ms,
            "tail" => change.tail_interval_ms,
            _ => change.interval_ms,
        })
    };
    Table::new(&rows)
        .text("view", |(view, _)| Some((*view).to_owned()))
        .text("cause", |(_, row)| match &row.cause {
            RowCause::TrafficMix => Some("traffic_mix".to_owned()),
            RowCause::Of(cause) => word(cause),
        })
        .text("service", |(_, row)| row.service.clone())
        .text("operation", |(_, row)| row.operation.clone())
        .edge(|(_, row)| row.edge.as_ref())
        .text("called_service", |(_, row)| row.callee.as_ref().map(|callee| callee.service.clone()))
        .text("called_operation", |(_, row)| row.callee.as_ref().map(|callee| callee.operation.clone()))
        .number("contribution_ms", |(_, row)| Some(row.contribution_ms))
        .interval("contribution_ms", |(_, row)| row.interval_ms)
        .number("contribution_percent", |(view, row)| is_meant(view).then_some(row.contribution_percent))
        .frame()
}

fn services(analysis: &Analysis) -> Result<DataFrame, Error> {
    Table::new(&analysis.services)
        .integer("rank", |row| Some(i64::from(row.rank)))
        .text("service", |row| Some(row.service.clone()))
        .flag("is_inferred", |row| row.is_inferred)
        .flag("is_significant", |row| row.is_significant)
        .number("score", |row| Some(row.score))
        .number("stability", |row| Some(row.stability))
        .text("kind", |row| Some(row.kind.clone()))
        .contribution(analysis, |row| &row.contribution)
        .owner(|row| row.owner.as_ref())
        .frame()
}

fn suspects(analysis: &Analysis) -> Result<DataFrame, Error> {
    Table::new(&analysis.suspects)
        .integer("rank", |row| Some(i64::from(row.rank)))
        .integer("service_rank", |row| Some(i64::from(row.service_rank)))
        .text("service", |row| Some(row.service.clone()))
        .text("operation", |row| row.operation.clone())
        .edge(|row| row.edge.as_ref())
        .text("kind", |row| Some(row.kind.clone()))
        .text("reason", |row| Some(row.reason.clone()))
        .number("score", |row| Some(row.score))
        .contribution(analysis, |row| &row.contribution)
        .pair("per_call_ms", |row| row.per_call_ms)
        .pair("calls_per_request", |row| row.calls_per_request)
        .number("n_requests_hurt", |row| Some(row.impact.n_requests_hurt))
        .number("n_requests_failed", |row| Some(row.impact.n_requests_failed))
        .number("added_seconds", |row| Some(row.impact.added_seconds))
        .text("added_to", |row| Impact::added_to(row.channel).strip_prefix(" to ").map(str::to_owned))
        .text("trace_id", |row| row.exemplars.first().map(|exemplar| exemplar.trace_id.clone()))
        .owner(|row| row.owner.as_ref())
        .frame()
}

fn operations(analysis: &Analysis) -> Result<DataFrame, Error> {
    Table::new(&analysis.operations)
        .text("service", |row| Some(row.service.clone()))
        .text("operation", |row| row.operation.clone())
        .edge(|row| row.edge.as_ref())
        .pair("own_ms", |row| row.own_ms)
        .pair("per_call_ms", |row| row.per_call_ms)
        .pair("calls_per_request", |row| row.calls_per_request)
        .interval("calls_per_request_change", |row| row.calls_per_request_interval)
        .contribution(analysis, |row| &row.contribution)
        .number("typical_ms", |row| Some(row.typical_ms))
        .interval("typical_ms", |row| row.typical_interval_ms)
        .number("tail_ms", |row| Some(row.tail_ms))
        .interval("tail_ms", |row| row.tail_interval_ms)
        .number("p_mean", |row| Some(row.p.mean))
        .number("p_typical", |row| Some(row.p.typical))
        .number("p_tail", |row| Some(row.p.tail))
        .number("p_errors", |row| Some(row.p.errors))
        .number("p_calls", |row| Some(row.p.calls))
        .frame()
}

/// Figures of one window of an edge.
fn calls(change: &ByWindow<CallStats>, is_baseline: bool) -> Option<&CallStats> {
    match change {
        ByWindow::Pair { baseline, regression, .. } => if is_baseline { baseline } else { regression }.as_ref(),
        ByWindow::All { all } => (!is_baseline).then_some(all),
    }
}

fn edges(analysis: &Analysis) -> Result<DataFrame, Error> {
    let mut table = Table::new(&analysis.graph.service_edges)
        .text("caller", |row| Some(row.caller.clone()))
        .text("callee", |row| Some(row.callee.clone()))
        .text("status", |row| row.change.status().as_ref().and_then(word));
    for (window, is_baseline) in [("baseline", true), ("regression", false)] {
        table = table
            .number(&format!("calls_{window}"), |row| calls(&row.change, is_baseline).map(|calls| calls.weighted_calls))
            .number(&format!("error_ratio_{window}"), |row| {
                calls(&row.change, is_baseline).map(|calls| calls.error_ratio)
            })
            .number(&format!("mean_ms_{window}"), |row| calls(&row.change, is_baseline).map(|calls| calls.mean_ms))
            .number(&format!("p95_ms_{window}"), |row| calls(&row.change, is_baseline).map(|calls| calls.p95_ms));
    }
    table.frame()
}

fn entries(analysis: &Analysis) -> Result<DataFrame, Error> {
    Table::new(&analysis.entries)
        .text("service", |row| Some(row.service.clone()))
        .text("operation", |row| Some(row.operation.clone()))
        .pair("n_requests", |row| row.n_requests)
        .pair("share", |row| row.share)
        .pair("mean_ms", |row| row.mean_ms)
        .pair("p95_ms", |row| row.p95_ms)
        .number("change_ms", |row| Some(row.change_ms))
        .interval("change_ms", |row| row.change_interval_ms)
        .pair("error_ratio", |row| row.error_ratio)
        .interval("error_ratio_change", |row| row.error_ratio_interval)
        .frame()
}

fn time(analysis: &Analysis) -> Result<DataFrame, Error> {
    let series = analysis.time.iter();
    let buckets: Vec<_> = series.flat_map(|series| (0..series.n_requests.len()).map(move |at| (series, at))).collect();
    Table::new(&buckets)
        .text("of", |(series, _)| {
            Some(
                match series.of {
                    SeriesOf::All => "all",
                    SeriesOf::Baseline => "baseline",
                    SeriesOf::Regression => "regression",
                }
                .to_owned(),
            )
        })
        .integer("start_unix_ns", |(series, at)| {
            let before_ns = series.width_ns.saturating_mul(i64::try_from(*at).unwrap_or(i64::MAX));
            Some(series.start_unix_ns.saturating_add(before_ns))
        })
        .integer("width_ns", |(series, _)| Some(series.width_ns))
        .number("n_requests", |(series, at)| Some(series.n_requests[*at]))
        .number("p50_ms", |(series, at)| series.p50_ms.get(*at).copied().flatten())
        .number("p95_ms", |(series, at)| series.p95_ms.get(*at).copied().flatten())
        .number("p99_ms", |(series, at)| series.p99_ms.get(*at).copied().flatten())
        .number("error_ratio", |(series, at)| series.error_ratio.get(*at).copied().flatten())
        .frame()
}

fn structure(analysis: &Analysis) -> Result<DataFrame, Error> {
    Table::new(&analysis.structure)
        .text("kind", |row| word(&row.kind))
        .text("service", |row| Some(row.service.clone()))
        .text("caller_service", |row| row.caller.as_ref().map(|caller| caller.service.clone()))
        .text("caller_operation", |row| row.caller.as_ref().map(|caller| caller.operation.clone()))
        .text("called_service", |row| row.callee.as_ref().map(|callee| callee.service.clone()))
        .text("called_operation", |row| row.callee.as_ref().map(|callee| callee.operation.clone()))
        .pair("calls_per_visit", |row| row.calls_per_visit)
        .interval("calls_per_visit_change", |row| row.interval)
        .number("contribution_ms", |row| Some(row.contribution_ms))
        .number("requests_affected", |row| Some(row.requests_affected))
        .text("description", |row| Some(row.description.clone()))
        .frame()
}

fn teams(analysis: &Analysis) -> Result<DataFrame, Error> {
    Table::new(&analysis.teams)
        .text("part", |row| Some(row.part.name().to_owned()))
        .text("team", |row| row.team.clone())
        .text("services", |row| Some(row.services.join(", ")))
        .contribution(analysis, |row| &row.contribution)
        .frame()
}

fn changes(analysis: &Analysis) -> Result<DataFrame, Error> {
    Table::new(&analysis.changes)
        .integer("time_unix_ns", |row| Some(row.time_unix_ns))
        .text("service", |row| row.service.clone())
        .text("kind", |row| Some(row.kind.clone()))
        .text("title", |row| Some(row.title.clone()))
        .text("url", |row| row.url.clone())
        .text("source", |row| Some(row.source.clone()))
        .text("credit", |row| word(&row.credit))
        .text("reason", |row| Some(row.reason.clone()))
        .frame()
}
