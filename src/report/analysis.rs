//! An analysis as text: the verdict, where the change went, the suspects with their evidence, and how far to trust it.

use super::grid::{Cell, Grid, Kind};
use super::page::{Label, Page};
use super::text::{
    ALERT, BOLD, CAUTION, CODE, DIM, count, count_of, counted, escape, fit, of_it, paint, percent, residual,
};
use super::{attributes, network, structure};
use crate::analysis::{
    Analysis, Decomposition, DecompositionRow, EntryImpact, Impact, Pair, PropagationPath, RankedService, RowCause,
    Suspect, Window, excludes_zero,
};
use crate::compare::attribute::Cause;
use crate::rank::{Channel, Verdict};
use crate::time::{format_ms as ms, format_signed_ms};

/// Rows of the decomposition shown; the rest is summed in one.
const N_ROWS: usize = 10;
/// Services shown with their evidence.
const N_SERVICES: usize = 5;
/// Suspects shown of a service.
const N_SUSPECTS: usize = 3;
/// Suspects shown of a service that is not the first: the rest is in `--explain`.
const N_LATER_SUSPECTS: usize = 1;
/// A row is told as a share of the change only where the change is at least this share of the largest row: what is left when
/// large rows cancel out is no measure for them.
const MIN_NET: f64 = 0.1;
/// Entry operations shown.
const N_ENTRIES: usize = 5;

/// Columns of the labels at the left of the head, and of those of a suspect.
pub(super) const CAPTION: usize = 12;
const LABEL: usize = 9;

/// The analysis for a terminal of so many columns, styled with ANSI sequences.
#[must_use]
pub fn text(analysis: &Analysis, columns: usize) -> String {
    let mut page = Page::new(columns);
    verdict(&mut page, analysis);
    windows(&mut page, analysis);
    decomposition(&mut page, analysis);
    suspects(&mut page, analysis);
    super::owners::teams(&mut page, analysis);
    super::changes::write(&mut page, analysis);
    entries(&mut page, analysis);
    network::ways(&mut page, analysis);
    structure::errors(&mut page, analysis);
    structure::changes(&mut page, analysis);
    attributes::write_changes(&mut page, &analysis.new_values);
    quality(&mut page, analysis);
    page.into_text()
}

pub(super) fn signed(value: f64) -> String {
    format_signed_ms(value)
}

fn verdict(page: &mut Page, analysis: &Analysis) {
    let (style, word) = match analysis.verdict {
        Verdict::Regression => (ALERT, "REGRESSION"),
        Verdict::TrafficMix => (CAUTION, "TRAFFIC MIX"),
        Verdict::NoSignificantChange => (BOLD, "NO SIGNIFICANT CHANGE"),
        Verdict::Inconclusive => (CAUTION, "INCONCLUSIVE"),
    };
    page.painted(style.bold(), 0, word);
    page.prose(0, &analysis.summary);
}

/// An RFC 3339 moment cut to milliseconds.
fn moment(rfc3339: &str) -> String {
    let cut = rfc3339.split_once('.').filter(|(_, fraction)| fraction.len() > 4);
    let short = cut.and_then(|(seconds, fraction)| Some(format!("{seconds}.{}Z", fraction.get(..3)?)));
    fit(&escape(short.as_deref().unwrap_or(rfc3339)), 30).into_owned()
}

/// Start, end and size of a window.
pub(super) fn window(page: &mut Page, name: &str, window: &Window, moment: fn(&str) -> String) {
    let pieces = [
        format!("{} .. {} ", moment(&window.start), moment(&window.end)),
        format!("{}, {}", counted(window.n_traces, "trace"), counted(window.n_spans, "span")),
    ];
    page.pieces(0, &Label::dim(name, CAPTION), &pieces);
}

fn windows(page: &mut Page, analysis: &Analysis) {
    page.blank();
    window(page, "Baseline", &analysis.windows.baseline, moment);
    window(page, "Regression", &analysis.windows.regression, moment);
    page.labelled(0, &Label::dim("", CAPTION), &analysis.windows.description);
    super::windows::write(page, &analysis.windows);
    let degradation = &analysis.degradation;
    let pair = |name: &str, pair: Pair| format!("{name} {} -> {}", ms(pair.baseline), ms(pair.regression));
    let [low, high] = degradation.interval_ms.map(signed);
    let mean =
        [format!("{} ms", pair("mean", degradation.mean_ms)), format!("(95 % interval of the change {low} to {high})")];
    page.pieces(0, &Label::dim("Latency", CAPTION), &mean);
    let quantiles = [
        format!("{},", pair("p50", degradation.p50_ms)),
        format!("{},", pair("p95", degradation.p95_ms)),
        format!("{} ms", pair("p99", degradation.p99_ms)),
    ];
    page.pieces(0, &Label::dim("", CAPTION), &quantiles);
    let means = |view: &Decomposition| Pair { baseline: view.baseline_mean_ms, regression: view.regression_mean_ms };
    let typical = pair("typical", means(&analysis.typical));
    // Fragments have no end-to-end latency, and so no tail.
    let views = if analysis.tail.regression_mean_ms > 0.0 {
        vec![format!("{typical},"), format!("{} ms", pair("mean of each entry's slowest 5 %", means(&analysis.tail)))]
    } else {
        vec![format!("{typical} ms")]
    };
    page.pieces(0, &Label::dim("", CAPTION), &views);
    let failing = degradation.failing();
    let errors = format!("{} -> {} of {} fail", failing[0], failing[1], degradation.of);
    page.labelled(0, &Label::dim("Errors", CAPTION), &errors);
}

/// How a row changed the latency, in a word or two.
pub(super) fn cause_of_row(row: &DecompositionRow) -> &'static str {
    match row.cause {
        RowCause::TrafficMix => "traffic mix",
        RowCause::Of(cause) => match cause {
            Cause::Slower if row.contribution_ms < 0.0 => "faster",
            Cause::Slower => "slower",
            Cause::Network => "network",
            Cause::Peer if row.contribution_ms < 0.0 => "answers faster",
            Cause::Peer => "answers slower",
            Cause::Calls if row.contribution_ms < 0.0 => "fewer calls",
            Cause::Calls => "more calls",
            Cause::Retry => "retries",
            Cause::Failing if row.contribution_ms < 0.0 => "cut by failures",
            Cause::Failing => "after failures",
            Cause::Misses if row.contribution_ms < 0.0 => "fewer misses",
            Cause::Misses => "cache misses",
            Cause::CriticalPath => "critical path",
            Cause::LostParallelism if row.contribution_ms < 0.0 => "more parallel",
            Cause::LostParallelism => "less parallel",
        },
    }
}

/// Whose part of the way between two services a row is, where another row is the other end's.
pub(super) fn end_of<'a>(row: &'a DecompositionRow, rows: &[DecompositionRow]) -> Option<&'a str> {
    let own = row.service.as_deref().filter(|_| row.edge.is_some())?;
    rows.iter().any(|other| other.edge == row.edge && other.service.as_deref() != Some(own)).then_some(own)
}

/// What a row is about, one of `rows`.
pub(super) fn name_of_row(row: &DecompositionRow, rows: &[DecompositionRow]) -> Cell {
    let service = row.service.as_deref().unwrap_or("other requests were made");
    match (&row.operation, &row.edge, &row.callee) {
        (Some(operation), _, Some(callee)) if row.cause == RowCause::Of(Cause::Failing) => {
            Cell::Call(format!("{service}: {operation} fails"), format!("{}: {}", callee.service, callee.operation))
        }
        (Some(operation), _, Some(callee)) => {
            Cell::Call(format!("{service}: {operation}"), format!("{}: {}", callee.service, callee.operation))
        }
        (Some(operation), _, None) => Cell::text(format!("{service}: {operation}")),
        (None, Some(edge), _) => {
            let end = end_of(row, rows).map_or_else(String::new, |end| format!(" ({end}'s)"));
            Cell::text(format!("{} -> {}{end}", edge.caller, edge.callee))
        }
        (None, None, _) => Cell::text(service),
    }
}

fn decomposition(page: &mut Page, analysis: &Analysis) {
    let decomposition = &analysis.decomposition;
    let largest = decomposition.rows.first().map_or(0.0, |row| row.contribution_ms.abs());
    let is_whole = decomposition.change_ms != 0.0 && decomposition.change_ms.abs() >= MIN_NET * largest;
    let has_share = is_whole && excludes_zero(analysis.degradation.interval_ms);
    let unit = if has_share { "ms a request, % of the change of the mean" } else { "ms a request" };
    page.heading(&format!("Where the change of the mean latency went ({unit})"));
    let mut grid =
        Grid::new(&[("", Kind::Name), ("", Kind::Text), ("", Kind::Number), ("", Kind::Number), ("", Kind::Bar)]);
    let mut line = |name: Cell, cause: &str, value: f64, with_bar: bool| {
        let has_share = has_share && value / decomposition.change_ms > 0.0;
        // Rounded first: adding zero leaves no minus before it.
        let share = (100.0 * value / decomposition.change_ms).round() + 0.0;
        let share = if has_share { format!("{share:.0} %") } else { String::new() };
        let bar = if with_bar && largest > 0.0 { value.abs() / largest } else { 0.0 };
        grid.row(vec![name, Cell::text(cause), Cell::text(signed(value)), Cell::dim(share), Cell::Bar(bar)]);
    };
    let shown = decomposition.rows.len().min(N_ROWS);
    for row in &decomposition.rows[..shown] {
        line(name_of_row(row, &decomposition.rows), cause_of_row(row), row.contribution_ms, true);
    }
    let rest = &decomposition.rows[shown..];
    if !rest.is_empty() {
        let sum: f64 = rest.iter().map(|row| row.contribution_ms).sum();
        line(Cell::text(counted(rest.len() as u64, "smaller row")), "", sum, true);
    }
    line(Cell::text("change of the mean"), "", decomposition.change_ms, false);
    grid.write(page, 2);
}

fn suspects(page: &mut Page, analysis: &Analysis) {
    let shown: Vec<&RankedService> = match analysis.verdict {
        Verdict::Regression => {
            analysis.services.iter().filter(|service| service.is_significant).take(N_SERVICES).collect()
        }
        Verdict::Inconclusive => analysis.services.iter().take(N_SUSPECTS).collect(),
        _ => return,
    };
    if shown.is_empty() {
        return;
    }
    page.heading(if analysis.verdict == Verdict::Regression {
        "Suspects"
    } else {
        "Candidates, none certain enough to accuse"
    });
    for (index, service) in shown.into_iter().enumerate() {
        let (label, facts) = facts(service);
        // Room for three lines of it at most.
        let name = fit(&service.service, 3 * (page.width() - 4) - 8).into_owned();
        let mut pieces = vec![paint(BOLD, &name)];
        if service.is_inferred {
            pieces.push("(no spans of its own)".to_owned());
        }
        pieces.push(format!(" {}", fit(&service.kind, 40)));
        page.hanging(&format!("{:>2}. ", service.rank), 4, &pieces);
        page.labelled(4, &Label::dim(label, LABEL), &facts);
        if let Some(owner) = &service.owner {
            page.labelled(4, &Label::dim("call", LABEL), &super::owners::call(owner));
        }
        let own = analysis.suspects.iter().filter(|suspect| suspect.service == service.service);
        let n_shown = if index == 0 { N_SUSPECTS } else { N_LATER_SUSPECTS };
        for suspect in own.clone().take(n_shown) {
            evidence(page, suspect);
        }
        let n_more = own.count().saturating_sub(n_shown);
        if n_more > 0 {
            let more = format!("{} in `--explain`", counted(n_more as u64, "smaller part"));
            page.labelled(4, &Label::dim("more", LABEL), &more);
        }
    }
    let rest = analysis.services.iter().filter(|service| service.is_significant).count().saturating_sub(N_SERVICES);
    if rest > 0 && analysis.verdict == Verdict::Regression {
        page.prose(4, &format!("and {} more in `--format json`", counted(rest as u64, "service")));
    }
}

/// What a service costs, and where that is not why it stands here, what it is accused of.
fn facts(service: &RankedService) -> (&'static str, String) {
    let contribution = &service.contribution;
    let mut facts = vec![format!(
        "{} ms a request ({} to {})",
        signed(contribution.ms),
        signed(contribution.interval_ms[0]),
        signed(contribution.interval_ms[1])
    )];
    if let Some(behind) = contribution.told_background_ms() {
        facts.push(format!("{} of it in the background", signed(behind)));
    }
    if contribution.error_ratio.abs() >= 0.000_5 {
        let front = contribution.front_error_ratio();
        if front.abs() >= 0.000_5 {
            facts.push(format!("{:+.1} points of errors", front * 100.0));
        }
        facts.extend(contribution.told_background_failures().map(|behind| format!("{behind} in the background")));
    }
    facts.push(format!("first in {} of resamples", percent(service.stability)));
    let adds = contribution.ms > 0.0;
    let mut text = facts.join(", ");
    if let Some(finding) = service.findings.iter().find(|finding| finding.is_significant).filter(|_| !adds) {
        let accused = match finding.channel {
            Channel::Errors => "requests that fail".to_owned(),
            Channel::MissingCalls => "calls that it no longer makes".to_owned(),
            Channel::Latency => {
                format!("a part of it that got slower beyond doubt, {} ms a request", signed(finding.change))
            }
            Channel::TypicalLatency => {
                format!("typical calls that take longer, {} ms a request", signed(finding.change))
            }
            Channel::TailLatency => {
                format!("the slowest requests, which take {} ms longer for it", ms(finding.change))
            }
        };
        text = format!("{text}; accused for {accused}");
    }
    (if adds { "adds" } else { "changes" }, text)
}

pub(super) fn evidence(page: &mut Page, suspect: &Suspect) {
    let labelled = |page: &mut Page, label: &str, text: &str| page.labelled(4, &Label::dim(label, LABEL), text);
    labelled(page, "because", &suspect.reason);
    if let Some(path) = suspect.paths.first() {
        labelled(page, "path", &hops(path));
    }
    // Calls that are left out take nobody's time: their reason tells how often that is.
    let does_less = ["missing calls", "early return", "gone call", "fewer calls"].contains(&suspect.kind.as_str());
    if let Some(hurts) = hurts(&suspect.impact, suspect.channel).filter(|_| !does_less) {
        labelled(page, "hurts", &hurts);
    }
    for (index, carrier) in attributes::carriers(suspect).iter().enumerate() {
        labelled(page, if index == 0 { "where" } else { "" }, carrier);
    }
    for (index, exemplar) in suspect.exemplars.iter().enumerate() {
        let facts = format!("{} ms, {}", ms(exemplar.duration_ms), of_it(exemplar.suspect_ms, exemplar.duration_ms));
        trace(page, if index == 0 { "traces" } else { "" }, &exemplar.trace_id, &facts);
    }
    if let Some(beside) = suspect.exemplars.first().and_then(|exemplar| exemplar.beside.as_ref()) {
        let calls = match beside.n_calls_apart {
            0 => "the same calls".to_owned(),
            n_calls => format!("{} more or fewer", counted(n_calls, "call")),
        };
        let facts = format!("{} ms before, {calls}", ms(beside.duration_ms));
        trace(page, "beside", &beside.trace_id, &facts);
    }
    for (index, sentence) in suspect.overturned_by.iter().enumerate() {
        labelled(page, if index == 0 { "but" } else { "and" }, sentence);
    }
}

/// A trace's id, to be copied, and facts.
fn trace(page: &mut Page, label: &str, id: &str, facts: &str) {
    let pieces = [paint(CODE, &fit(id, 40)), format!(" {facts}")];
    page.pieces(4, &Label::dim(label, LABEL), &pieces);
}

/// What a suspect adds to a request of an entry, milliseconds: where it makes requests fail, these are no faster for failing early.
pub(super) fn told_ms(entry: &EntryImpact) -> Option<f64> {
    (entry.contribution_ms > 0.0 || entry.n_requests_failed < 0.5).then_some(entry.contribution_ms)
}

/// The same of all requests together, seconds.
pub(super) fn told_seconds(impact: &Impact) -> Option<f64> {
    (impact.added_seconds > 0.0 || impact.n_requests_failed < 0.5).then_some(impact.added_seconds)
}

/// Whom a suspect hurt: requests and entries, those with most requests hurt first.
pub(super) fn hurts(impact: &Impact, channel: Channel) -> Option<String> {
    const SHOWN: usize = 3;
    let which = if channel == Channel::TailLatency { " in the slowest 5 %" } else { "" };
    let part = |entry: &EntryImpact| {
        let background = if entry.is_background { " in the background" } else { "" };
        let name = format!("{}: {}", entry.service, entry.operation);
        let counts =
            format!("{} of {}{background}", count_of(entry.n_requests_hurt), count_of(entry.n_requests_of_entry));
        let passing = if entry.n_requests < 0.995 * entry.n_requests_of_entry {
            format!(" ({} pass it)", count_of(entry.n_requests))
        } else {
            String::new()
        };
        let failed = if entry.n_requests_failed >= 0.5 {
            format!(", {} of them by failing", count_of(entry.n_requests_failed))
        } else {
            String::new()
        };
        let told = told_ms(entry).filter(|ms| ms.abs() >= 0.01);
        let added = told.map_or_else(String::new, |ms| format!(", on average of all {} ms{which}", signed(ms)));
        format!("{counts} to {name}{passing}{failed}{added}")
    };
    let mut parts: Vec<String> = impact.entries.iter().take(SHOWN).map(part).collect();
    if parts.is_empty() {
        return None;
    }
    let more = impact.entries.len().saturating_sub(SHOWN);
    if more > 0 {
        parts.push(format!("{} more", counted(more as u64, "entry operation")));
    }
    if let Some(seconds) = told_seconds(impact).filter(|seconds| seconds.abs() >= 0.1) {
        parts.push(format!("{} s in all{}", signed(seconds), Impact::added_to(channel)));
    }
    Some(format!("requests: {}", parts.join("; ")))
}

/// Services on the way, with the entry's and the last one's operation; the middle of a long way is left out.
fn hops(path: &PropagationPath) -> String {
    let mut names: Vec<String> = Vec::new();
    for (index, hop) in path.hops.iter().enumerate() {
        let is_end = index == 0 || index + 1 == path.hops.len();
        let same = index > 0 && path.hops[index - 1].service == hop.service;
        if is_end {
            names.push(format!("{}: {}", hop.service, hop.operation));
        } else if !same {
            names.push(hop.service.clone());
        }
    }
    if names.len() > 8 {
        let skipped = names.len() - 6;
        names.splice(3..3 + skipped, [format!("({skipped} more)")]);
    }
    names.join(" > ")
}

fn entries(page: &mut Page, analysis: &Analysis) {
    if analysis.entries.is_empty() {
        return;
    }
    page.heading("Entry operations");
    let arrow = |values: [Option<f64>; 2], show: fn(f64) -> String| {
        let [before, after] = values.map(|value| value.map_or_else(|| "-".to_owned(), show));
        format!("{before} -> {after}")
    };
    let mut grid =
        Grid::new(&[("", Kind::Name), ("requests", Kind::Number), ("mean ms", Kind::Number), ("p95 ms", Kind::Number)]);
    for entry in analysis.entries.iter().take(N_ENTRIES) {
        let cells = [
            format!("{}: {}", entry.service, entry.operation),
            format!("{} -> {}", count_of(entry.n_requests.baseline), count_of(entry.n_requests.regression)),
            arrow(entry.mean_ms.where_any(entry.n_requests), ms),
            arrow(entry.p95_ms.where_any(entry.n_requests), ms),
        ];
        grid.row(cells.map(Cell::Text).into());
    }
    grid.write(page, 2);
    if analysis.entries.len() > N_ENTRIES {
        page.prose(2, &format!("and {} more", count((analysis.entries.len() - N_ENTRIES) as u64)));
    }
}

fn quality(page: &mut Page, analysis: &Analysis) {
    let diagnostics = &analysis.diagnostics;
    page.heading("Data");
    let mut sum = format!(
        "{} read = {} analysed + {} set aside",
        counted(diagnostics.n_spans_read, "span"),
        count(diagnostics.n_spans_analysed),
        count(diagnostics.set_aside.total())
    );
    let reasons: Vec<String> = diagnostics
        .set_aside
        .0
        .iter()
        .map(|(reason, n_spans)| format!("{} {}", count(*n_spans), reason.describe()))
        .collect();
    if !reasons.is_empty() {
        sum = format!("{sum} ({})", reasons.join(", "));
    }
    page.bullet(&sum);
    if diagnostics.n_skipped_records > 0 {
        page.bullet(&format!("{} could not be read", counted(diagnostics.n_skipped_records, "record")));
    }
    for warning in analysis.windows.warnings.iter().chain(&diagnostics.warnings) {
        page.bullet(warning);
    }
    let residual = residual(analysis.decomposition.residual_ms);
    page.painted(DIM, 2, &format!("The rows above leave {residual} of the change unexplained."));
}
