//! An analysis as a section of a postmortem: Markdown that GitHub, GitLab, Confluence and Notion take as it is.
//!
//! Headings, lists, tables and one `mermaid` block, no HTML. What only people can say has its heading and nothing below it. Names pass
//! through [`plain`] or [`code`], so that none of them makes a link, a mention or a cell.

mod causes;
mod escape;
mod impact;

pub use escape::{code, code_in_table, plain};

use super::graph::{Level, mermaid};
use super::text::{count, count_of, counted, of_it, percent, residual};
use super::windows::{chance, signal};
use crate::analysis::{Analysis, ChangeAccount, Credit, Suspect, Window};
use crate::rank::Verdict;
use crate::time::{format_ms, format_rfc3339, format_signed, format_signed_ms};
use crate::topology::GraphDocument;
use std::collections::BTreeSet;

/// How a page is written.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Address of a trace in the user's own trace UI, with `{trace_id}` in it.
    pub trace_url: Option<String>,
}

/// Services drawn at most: what fits a page and what people take in.
const MAX_DRAWN: usize = 20;

/// The section, which begins with a heading of the second level.
#[must_use]
pub fn markdown(analysis: &Analysis, options: &Options) -> String {
    let mut page = Page::default();
    page.heading("Summary");
    page.paragraph(&plain(&analysis.summary));
    page.paragraph(&certainty(analysis));
    page.heading("Timeline");
    page.table(&["when (UTC)", "what"], &timeline(analysis));
    let n_left_out = analysis.changes.len().saturating_sub(MAX_CHANGES);
    if n_left_out > 0 {
        page.paragraph(&format!(
            "Left out, as farther from the regression's start: {}, all in the JSON.",
            counted(n_left_out as u64, "change")
        ));
    }
    if let Some(outside) = analysis.told_changes_outside() {
        page.paragraph(&format!("{outside}."));
    }
    page.heading("Impact");
    impact::write(&mut page, analysis);
    page.heading(if analysis.verdict == Verdict::Regression { "Contributing causes" } else { "What changed" });
    causes::write(&mut page, analysis);
    if let Some(graph) = affected(analysis) {
        page.heading("Affected part");
        page.paragraph(&format!("```mermaid\n{}```", mermaid(&graph, Level::Service)));
    }
    page.heading("Evidence");
    evidence(&mut page, analysis, options);
    page.heading("Method and limits");
    for line in method(analysis) {
        page.item(&line);
    }
    page.blank();
    for heading in ["What went well", "What went wrong", "Decisions", "Action items"] {
        page.heading(heading);
    }
    page.0
}

/// The text as it grows.
#[derive(Default)]
struct Page(String);

impl Page {
    fn heading(&mut self, heading: &str) {
        self.0 += &["## ", heading, "\n\n"].concat();
    }

    fn paragraph(&mut self, text: &str) {
        self.0 += &[text, "\n\n"].concat();
    }

    fn line(&mut self, text: &str) {
        self.0 += &[text, "\n"].concat();
    }

    fn item(&mut self, text: &str) {
        self.line(&format!("- {text}"));
    }

    fn blank(&mut self) {
        self.0.push('\n');
    }

    /// A table, if it has rows; cells are Markdown already.
    fn table(&mut self, columns: &[&str], rows: &[Vec<String>]) {
        if rows.is_empty() {
            return;
        }
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        self.0 += &line(&columns.iter().map(|&column| column.to_owned()).collect::<Vec<_>>());
        self.0 += &line(&vec!["---".to_owned(); columns.len()]);
        for row in rows {
            self.0 += &line(row);
        }
        self.0.push('\n');
    }
}

fn ms(value: f64) -> String {
    format!("{} ms", format_ms(value))
}

fn signed_ms(value: f64) -> String {
    format!("{} ms", format_signed_ms(value))
}

fn points(ratio: f64) -> String {
    format!("{} points", format_signed(100.0 * ratio, 1))
}

/// What a suspect is called.
fn name(suspect: &Suspect) -> String {
    match (&suspect.operation, &suspect.edge) {
        (Some(operation), _) => format!("{}: {operation}", suspect.service),
        (None, Some(edge)) => format!("{} -> {}", edge.caller, edge.callee),
        (None, None) => suspect.service.clone(),
    }
}

/// How far the answer can be trusted, and whom to call.
fn certainty(analysis: &Analysis) -> String {
    let whole = &analysis.degradation;
    let is_accused = analysis.verdict == Verdict::Regression;
    let first = analysis.services.first().filter(|_| analysis.confidence > 0.0);
    let place = first.map_or_else(String::new, |first| {
        let place = if is_accused { "is the first suspect" } else { "comes first, though it is not accused," };
        format!("{} {place} in {} of resamples of the traces; ", plain(&first.service), percent(analysis.confidence))
    });
    let owner = first.filter(|_| is_accused).and_then(|first| first.owner.as_ref());
    let owner = owner.map_or_else(String::new, |owner| format!(" Owner: {}.", plain(&super::owners::call(owner))));
    format!(
        "Certainty: {place}the mean changed by {} (95 % interval {} to {}); with the same traffic it would have changed by {}.{owner}",
        signed_ms(whole.change_ms),
        signed_ms(whole.interval_ms[0]),
        signed_ms(whole.interval_ms[1]),
        signed_ms(whole.adjusted_change_ms)
    )
}

fn timeline(analysis: &Analysis) -> Vec<Vec<String>> {
    let windows = &analysis.windows;
    let span = |window: &Window| format!("{}, {}", counted(window.n_traces, "trace"), counted(window.n_spans, "span"));
    let mut moments: Vec<(i64, u8, String)> = vec![
        (windows.baseline.start_unix_ns, 0, format!("baseline begins ({})", span(&windows.baseline))),
        (windows.baseline.end_unix_ns, 1, "baseline ends".to_owned()),
        (windows.regression.start_unix_ns, 3, format!("regression begins ({})", span(&windows.regression))),
        (windows.regression.end_unix_ns, 4, "regression ends".to_owned()),
    ];
    for onset in &windows.onsets {
        // What moved most clearly is where it is seen, not whose fault it is.
        let seen = onset.signals.first().map_or_else(String::new, signal);
        let analysed = if onset.is_analysed { ", which this is about" } else { "" };
        moments.push((onset.start_unix_ns, 2, format!("change, seen best in: {seen} ({}){analysed}", chance(onset))));
        let which = format!("the change of {} is over{analysed}", format_rfc3339(onset.start_unix_ns));
        moments.extend(onset.end_unix_ns.map(|end| (end, 5, which)));
    }
    for change in shown_changes(analysis) {
        let credit = match change.credit {
            Credit::Credited => "**credited**",
            Credit::NotSupported => "not supported",
            Credit::Unknown => "cannot be told",
        };
        let title = plain(&super::changes::told(change));
        let title = match change.url.as_deref().filter(|url| url.len() < 2_000 && super::html::is_web(url)) {
            Some(url) => format!("[{title}](<{}>)", url.replace('|', "%7C")),
            None => title,
        };
        moments.push((change.time_unix_ns, 6, format!("{title} ({credit}: {})", plain(&change.reason))));
    }
    moments.sort();
    let row =
        |(at, kind, what): (i64, u8, String)| vec![format_rfc3339(at), if kind == 6 { what } else { plain(&what) }];
    moments.into_iter().map(row).collect()
}

/// Changes in the timeline at most: code hosts take no more than 65,536 characters.
const MAX_CHANGES: usize = 30;

/// The changes that matter most: those credited, then those nearest to the regression's start.
fn shown_changes(analysis: &Analysis) -> Vec<&ChangeAccount> {
    let mut changes: Vec<&ChangeAccount> = analysis.changes.iter().collect();
    let start_ns = analysis.windows.regression.start_unix_ns;
    changes.sort_by_key(|change| (change.credit != Credit::Credited, change.time_unix_ns.abs_diff(start_ns)));
    changes.truncate(MAX_CHANGES);
    changes
}

/// The suspects, the ways to them and their neighbours.
fn affected(analysis: &Analysis) -> Option<GraphDocument> {
    let mut kept: BTreeSet<&str> = BTreeSet::new();
    let suspects = || analysis.suspects.iter().take(5);
    kept.extend(suspects().map(|suspect| suspect.service.as_str()));
    kept.extend(
        suspects().filter_map(|suspect| suspect.edge.as_ref()).flat_map(|edge| [edge.caller.as_str(), &edge.callee]),
    );
    let hops = suspects().flat_map(|suspect| suspect.paths.iter().take(2)).flat_map(|path| &path.hops);
    kept.extend(hops.map(|hop| hop.service.as_str()));
    if kept.is_empty() {
        return None;
    }
    let graph = &analysis.graph;
    // Neighbours of the accused, the busiest first, while there is room.
    let accused: BTreeSet<&str> = suspects().map(|suspect| suspect.service.as_str()).collect();
    let mut edges: Vec<_> = graph.service_edges.iter().collect();
    edges.sort_by_key(|edge| std::cmp::Reverse(edge.change.latest().map_or(0, |calls| calls.n_calls)));
    for edge in edges {
        if kept.len() < MAX_DRAWN && (accused.contains(edge.caller.as_str()) || accused.contains(edge.callee.as_str()))
        {
            kept.extend([edge.caller.as_str(), edge.callee.as_str()]);
        }
    }
    let is_kept = |name: &String| kept.contains(name.as_str());
    Some(GraphDocument {
        schema_version: None,
        services: graph.services.iter().filter(|row| is_kept(&row.service)).cloned().collect(),
        operations: Vec::new(),
        service_edges: graph
            .service_edges
            .iter()
            .filter(|edge| is_kept(&edge.caller) && is_kept(&edge.callee))
            .cloned()
            .collect(),
        operation_edges: Vec::new(),
        cycles: Vec::new(),
        n_operations_left_out: 0,
        n_operation_edges_left_out: 0,
    })
}

fn evidence(page: &mut Page, analysis: &Analysis, options: &Options) {
    let trace = |id: &str| match &options.trace_url {
        Some(template) => format!("[{}](<{}>)", code_in_table(id), super::html::trace_address(template, id)),
        None => code_in_table(id),
    };
    let mut rows = Vec::new();
    for suspect in analysis.suspects.iter().take(5) {
        for exemplar in &suspect.exemplars {
            let beside = exemplar.beside.as_ref();
            rows.push(vec![
                plain(&name(suspect)),
                trace(&exemplar.trace_id),
                ms(exemplar.duration_ms),
                of_it(exemplar.suspect_ms, exemplar.duration_ms),
                beside.map_or_else(String::new, |beside| {
                    format!("{}, {}", trace(&beside.trace_id), ms(beside.duration_ms))
                }),
            ]);
        }
    }
    if rows.is_empty() {
        page.paragraph("No trace is singled out.");
    }
    page.table(&["suspect", "slow trace", "took", "spent there", "ordinary trace beside it"], &rows);
}

/// Four lines, whatever was found.
fn method(analysis: &Analysis) -> [String; 4] {
    let diagnostics = &analysis.diagnostics;
    let doubts: Vec<&String> = analysis.windows.warnings.iter().chain(&diagnostics.warnings).collect();
    let more = doubts.len().saturating_sub(3);
    let mut doubts: Vec<String> = doubts.into_iter().take(3).map(|doubt| plain(doubt)).collect();
    if more > 0 {
        doubts.push(format!("{more} more in the JSON"));
    }
    [
        format!(
            "Every instant of a request is blamed on the one span that its caller waited for; the change of the mean is split by call path into rows that sum to it (left over: {}).",
            residual(analysis.decomposition.residual_ms)
        ),
        "Intervals are 95 %, from a bootstrap over traces and the noise between stretches of the baseline; suspects stand out at a false discovery rate of 5 %.".to_owned(),
        format!(
            "{} read, {} analysed, {} set aside, {} not readable; windows: {}.",
            counted(diagnostics.n_spans_read, "span"),
            count(diagnostics.n_spans_analysed),
            count(diagnostics.set_aside.total()),
            counted(diagnostics.n_skipped_records, "record"),
            plain(&analysis.windows.description)
        ),
        if doubts.is_empty() { "Nothing in the data limits the answer beyond its intervals.".to_owned() } else { format!("Limits: {}.", doubts.join("; ")) },
    ]
}
