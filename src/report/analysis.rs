//! An analysis as text: the verdict, where the change went, the suspects with their evidence, and how far to trust it.

use super::text::{
    ALERT, BOLD, CAUTION, CODE, DIM, bar, call, count, counted, escape, fit, left, paint, percent, right, width, wrap,
};
use super::{WIDTH, attributes, network, structure};
use crate::analysis::{
    Analysis, Decomposition, DecompositionRow, EntryImpact, Impact, Pair, PropagationPath, RankedService, RowCause,
    Suspect, Window,
};
use crate::compare::attribute::Cause;
use crate::rank::{Channel, Verdict};
use crate::time::format_ms as ms;

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

/// The analysis for a terminal, at most [`WIDTH`] columns wide, styled with ANSI sequences.
#[must_use]
pub fn text(analysis: &Analysis) -> String {
    let mut out = Out::default();
    verdict(&mut out, analysis);
    windows(&mut out, analysis);
    decomposition(&mut out, analysis);
    suspects(&mut out, analysis);
    for line in super::owners::teams(analysis).into_iter().chain(super::changes::lines(analysis)) {
        out.line(&line);
    }
    entries(&mut out, analysis);
    let sections = [network::ways(analysis), structure::errors(analysis), structure::changes(analysis)];
    for line in sections.iter().flatten() {
        out.line(line);
    }
    value_changes(&mut out, analysis);
    quality(&mut out, analysis);
    out.0
}

#[derive(Default)]
pub(super) struct Out(pub(super) String);

impl Out {
    pub(super) fn line(&mut self, line: &str) {
        self.0.push_str(line.trim_end());
        self.0.push('\n');
    }

    pub(super) fn heading(&mut self, heading: &str) {
        self.line("");
        self.line(&paint(BOLD, heading));
    }

    /// Wrapped text, its first line after `label`, the others below it.
    pub(super) fn labelled(&mut self, indent: usize, label: &str, text: &str) {
        const LABEL: usize = 9;
        let room = WIDTH - indent - LABEL;
        for (index, line) in wrap(text, room).iter().enumerate() {
            let label = if index == 0 { left(label, LABEL) } else { " ".repeat(LABEL) };
            // A word without blanks may be longer than the room.
            self.line(&format!("{}{}{}", " ".repeat(indent), paint(DIM, &label), fit(line, room)));
        }
    }
}

pub(super) fn signed(value: f64) -> String {
    format!("{}{}", if value > 0.0 { "+" } else { "" }, ms(value))
}

fn verdict(out: &mut Out, analysis: &Analysis) {
    let (style, word) = match analysis.verdict {
        Verdict::Regression => (ALERT, "REGRESSION"),
        Verdict::TrafficMix => (CAUTION, "TRAFFIC MIX"),
        Verdict::NoSignificantChange => (BOLD, "NO SIGNIFICANT CHANGE"),
        Verdict::Inconclusive => (CAUTION, "INCONCLUSIVE"),
    };
    out.line(&paint(style.bold(), word));
    for line in wrap(&escape(&analysis.summary), WIDTH) {
        out.line(&fit(&line, WIDTH));
    }
}

/// An RFC 3339 moment cut to milliseconds.
fn moment(rfc3339: &str) -> String {
    let cut = rfc3339.split_once('.').filter(|(_, fraction)| fraction.len() > 4);
    let short = cut.and_then(|(seconds, fraction)| Some(format!("{seconds}.{}Z", fraction.get(..3)?)));
    fit(&escape(short.as_deref().unwrap_or(rfc3339)), 30).into_owned()
}

fn windows(out: &mut Out, analysis: &Analysis) {
    out.line("");
    let line = |name: &str, window: &Window| {
        format!(
            "{}  {} .. {}  {}, {}",
            paint(DIM, &left(name, 10)),
            moment(&window.start),
            moment(&window.end),
            counted(window.n_traces, "trace"),
            counted(window.n_spans, "span")
        )
    };
    out.line(&line("Baseline", &analysis.windows.baseline));
    out.line(&line("Regression", &analysis.windows.regression));
    for line in wrap(&escape(&analysis.windows.description), WIDTH - 12) {
        out.line(&format!("{:12}{}", "", fit(&line, WIDTH - 12)));
    }
    for line in super::windows::lines(&analysis.windows) {
        out.line(&line);
    }
    let degradation = &analysis.degradation;
    let pair = |name: &str, pair: Pair| format!("{name} {} -> {}", ms(pair.baseline), ms(pair.regression));
    out.line(&format!(
        "{}  {} ms (95 % interval of the change {} to {})",
        paint(DIM, "Latency   "),
        pair("mean", degradation.mean_ms),
        signed(degradation.interval_ms[0]),
        signed(degradation.interval_ms[1]),
    ));
    out.line(&format!(
        "{:12}{}, {}, {} ms",
        "",
        pair("p50", degradation.p50_ms),
        pair("p95", degradation.p95_ms),
        pair("p99", degradation.p99_ms)
    ));
    let means = |view: &Decomposition| Pair { baseline: view.baseline_mean_ms, regression: view.regression_mean_ms };
    // Fragments have no end-to-end latency, and so no tail.
    let tail = if analysis.tail.regression_mean_ms > 0.0 {
        format!(", {}", pair("mean of the slowest 5 %", means(&analysis.tail)))
    } else {
        String::new()
    };
    out.line(&format!("{:12}{}{tail} ms", "", pair("typical", means(&analysis.typical))));
    out.line(&format!(
        "{}  {} -> {} of {} fail",
        paint(DIM, "Errors    "),
        percent(degradation.error_ratio.baseline),
        percent(degradation.error_ratio.regression),
        fit(&degradation.of, 40)
    ));
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
            Cause::CriticalPath => "critical path",
            Cause::LostParallelism if row.contribution_ms < 0.0 => "more parallel",
            Cause::LostParallelism => "less parallel",
        },
    }
}

/// What a row is about, in about so many columns.
pub(super) fn name_of_row(row: &DecompositionRow, columns: usize) -> String {
    let service = row.service.as_deref().unwrap_or("other requests were made");
    match (&row.operation, &row.edge, &row.callee) {
        (Some(operation), _, Some(callee)) => {
            call(&format!("{service}: {operation}"), &format!("{}: {}", callee.service, callee.operation), columns)
        }
        (Some(operation), _, None) => format!("{service}: {operation}"),
        (None, Some(edge), _) => format!("{} -> {}", edge.caller, edge.callee),
        (None, None, _) => service.to_owned(),
    }
}

fn decomposition(out: &mut Out, analysis: &Analysis) {
    const NAME: usize = 53;
    const CAUSE: usize = 14;
    const VALUE: usize = 9;
    const BAR: usize = 12;
    let decomposition = &analysis.decomposition;
    out.heading("Where the change of the mean latency went (ms a request)");
    let largest = decomposition.rows.first().map_or(0.0, |row| row.contribution_ms.abs());
    let mut line = |name: &str, cause: &str, value: f64, with_bar: bool| {
        let has_share = decomposition.change_ms != 0.0 && decomposition.change_ms.abs() >= MIN_NET * largest;
        // Rounded first: adding zero leaves no minus before it.
        let share = (100.0 * value / decomposition.change_ms).round() + 0.0;
        let share = if has_share { format!("{share:.0} %") } else { String::new() };
        let bar = if with_bar && largest > 0.0 { bar(value.abs() / largest, BAR) } else { String::new() };
        out.line(&format!(
            "  {} {} {} {} {bar}",
            left(name, NAME),
            left(cause, CAUSE),
            right(&signed(value), VALUE),
            paint(DIM, &right(&share, 6)),
        ));
    };
    let shown = decomposition.rows.len().min(N_ROWS);
    for row in &decomposition.rows[..shown] {
        line(&name_of_row(row, NAME), cause_of_row(row), row.contribution_ms, true);
    }
    let rest = &decomposition.rows[shown..];
    if !rest.is_empty() {
        let sum: f64 = rest.iter().map(|row| row.contribution_ms).sum();
        line(&format!("{} smaller rows", count(rest.len() as u64)), "", sum, true);
    }
    line("change of the mean", "", decomposition.change_ms, false);
}

fn suspects(out: &mut Out, analysis: &Analysis) {
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
    out.heading(if analysis.verdict == Verdict::Regression {
        "Suspects"
    } else {
        "Candidates, none certain enough to accuse"
    });
    for (index, service) in shown.into_iter().enumerate() {
        let (label, facts) = facts(service);
        let rank = format!("{:>2}. ", service.rank);
        let inferred = if service.is_inferred { " (no spans of its own)" } else { "" };
        let kind = format!("{inferred}  {}", fit(&service.kind, 40));
        let name = fit(&service.service, WIDTH.saturating_sub(width(&kind) + rank.len()));
        out.line(&format!("{rank}{}{kind}", paint(BOLD, &name)));
        out.labelled(4, label, &facts);
        if let Some(owner) = &service.owner {
            out.labelled(4, "call", &escape(&super::owners::call(owner)));
        }
        let own = analysis.suspects.iter().filter(|suspect| suspect.service == service.service);
        let n_shown = if index == 0 { N_SUSPECTS } else { N_LATER_SUSPECTS };
        for suspect in own.clone().take(n_shown) {
            evidence(out, suspect);
        }
        let n_more = own.count().saturating_sub(n_shown);
        if n_more > 0 {
            out.labelled(4, "more", &format!("{} in `--explain`", counted(n_more as u64, "smaller part")));
        }
    }
    let rest = analysis.services.iter().filter(|service| service.is_significant).count().saturating_sub(N_SERVICES);
    if rest > 0 && analysis.verdict == Verdict::Regression {
        out.line(&format!("    and {} more in `--format json`", counted(rest as u64, "service")));
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
    if contribution.error_ratio.abs() >= 0.000_5 {
        facts.push(format!("{:+.1} points of errors", contribution.error_ratio * 100.0));
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

pub(super) fn evidence(out: &mut Out, suspect: &Suspect) {
    out.labelled(4, "because", &escape(&suspect.reason));
    if let Some(path) = suspect.paths.first() {
        out.labelled(4, "path", &hops(path));
    }
    // Calls that are left out take nobody's time: their reason tells how often that is.
    let does_less = ["missing calls", "early return", "gone call", "fewer calls"].contains(&suspect.kind.as_str());
    if let Some(hurts) = hurts(&suspect.impact).filter(|_| !does_less) {
        out.labelled(4, "hurts", &hurts);
    }
    for (index, carrier) in attributes::carriers(suspect).iter().enumerate() {
        out.labelled(4, if index == 0 { "where" } else { "" }, carrier);
    }
    for (index, exemplar) in suspect.exemplars.iter().enumerate() {
        let label = if index == 0 { "traces" } else { "" };
        let id = paint(CODE, &fit(&exemplar.trace_id, 40));
        out.line(&format!(
            "    {}{id}  {} ms, {}",
            paint(DIM, &left(label, 9)),
            ms(exemplar.duration_ms),
            // What runs beside the request, behind it or in other fragments of the trace comes on top.
            if exemplar.suspect_ms > exemplar.duration_ms {
                format!("{} ms here in all its fragments", ms(exemplar.suspect_ms))
            } else {
                format!("{} of it here", ms(exemplar.suspect_ms))
            }
        ));
    }
    if let Some(beside) = suspect.exemplars.first().and_then(|exemplar| exemplar.beside.as_ref()) {
        let calls = match beside.n_calls_apart {
            0 => "the same calls".to_owned(),
            n_calls => format!("{} more or fewer", counted(n_calls, "call")),
        };
        let id = paint(CODE, &fit(&beside.trace_id, 40));
        let label = paint(DIM, &left("beside", 9));
        out.line(&format!("    {label}{id}  {} ms before, {calls}", ms(beside.duration_ms)));
    }
    for (index, sentence) in suspect.overturned_by.iter().enumerate() {
        out.labelled(4, if index == 0 { "but" } else { "and" }, &escape(sentence));
    }
}

/// Whom a suspect hurt: requests and entries, those with most requests hurt first.
pub(super) fn hurts(impact: &Impact) -> Option<String> {
    const SHOWN: usize = 3;
    let part = |entry: &EntryImpact| {
        let background = if entry.is_background { " in the background" } else { "" };
        let name = format!("{}: {}", escape(&entry.service), escape(&entry.operation));
        let counts = format!("{:.0} of {:.0}{background}", entry.n_requests_hurt, entry.n_requests_of_entry);
        let passing = if entry.n_requests < 0.995 * entry.n_requests_of_entry {
            format!(" ({:.0} pass it)", entry.n_requests)
        } else {
            String::new()
        };
        let has_failed = entry.n_requests_failed > 0.0;
        let failed = if has_failed { format!(", {:.0} failed", entry.n_requests_failed) } else { String::new() };
        // A request that fails early is no faster for it.
        let shows_time = entry.contribution_ms >= 0.01 || (entry.contribution_ms <= -0.01 && !has_failed);
        let added = if shows_time { format!(", {} ms each", signed(entry.contribution_ms)) } else { String::new() };
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
    if impact.added_seconds >= 0.1 {
        parts.push(format!("{} s in all", signed(impact.added_seconds)));
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
    escape(&names.join(" > ")).into_owned()
}

fn entries(out: &mut Out, analysis: &Analysis) {
    if analysis.entries.is_empty() {
        return;
    }
    out.heading("Entry operations");
    out.line(&paint(
        DIM,
        &format!("  {} {} {} {}", left("", 44), right("requests", 17), right("mean ms", 17), right("p95 ms", 17)),
    ));
    let arrow = |pair: Pair, show: fn(f64) -> String| format!("{} -> {}", show(pair.baseline), show(pair.regression));
    for entry in analysis.entries.iter().take(N_ENTRIES) {
        out.line(&format!(
            "  {} {} {} {}",
            left(&format!("{}: {}", entry.service, entry.operation), 44),
            right(&arrow(entry.n_requests, |n| format!("{n:.0}")), 17),
            right(&arrow(entry.mean_ms, ms), 17),
            right(&arrow(entry.p95_ms, ms), 17),
        ));
    }
    if analysis.entries.len() > N_ENTRIES {
        out.line(&format!("  and {} more", count((analysis.entries.len() - N_ENTRIES) as u64)));
    }
}

fn value_changes(out: &mut Out, analysis: &Analysis) {
    let (lines, n_more) = attributes::value_changes(&analysis.new_values);
    if lines.is_empty() {
        return;
    }
    out.heading("New and gone values of attributes");
    for [word, what, when] in lines {
        out.line(&format!("  {} {} {}", left(&word, 5), left(&what, 56), right(&when, 33)));
    }
    if n_more > 0 {
        out.line(&format!("  and {n_more} more"));
    }
}

fn quality(out: &mut Out, analysis: &Analysis) {
    let diagnostics = &analysis.diagnostics;
    out.heading("Data");
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
    let mut lines = vec![sum];
    if diagnostics.n_skipped_records > 0 {
        lines.push(format!("{} could not be read", counted(diagnostics.n_skipped_records, "record")));
    }
    lines.extend(analysis.windows.warnings.iter().cloned());
    lines.extend(diagnostics.warnings.iter().cloned());
    for line in lines {
        for (index, line) in wrap(&escape(&line), WIDTH - 4).iter().enumerate() {
            out.line(&format!("  {} {}", if index == 0 { "-" } else { " " }, fit(line, WIDTH - 4)));
        }
    }
    out.line(&paint(
        DIM,
        &format!(
            "  The rows above leave {:.1e} ms of the change unexplained.",
            analysis.decomposition.residual_ms.abs()
        ),
    ));
}
