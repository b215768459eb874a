use super::super::markdown::{code, plain};
use super::{Finding, Gate, State, call, p, window_line};
use crate::gate::Verdict;

/// By this a bot finds its comment again.
const MARKER: &str = "<!-- suspect gate -->";
/// Findings in the table; a comment is at most 65,536 characters.
const N_FINDINGS: usize = 30;

/// The gate as a comment on a pull request, and as a step's summary: GitHub's and GitLab's Markdown.
#[must_use]
pub fn markdown(gate: &Gate) -> String {
    let word = match gate.verdict {
        Verdict::Passed => "✅ suspect gate: passed",
        Verdict::Failed => "❌ suspect gate: failed",
        Verdict::Inconclusive => "❔ suspect gate: inconclusive",
    };
    let mut lines = vec![MARKER.to_owned(), format!("### {word}"), String::new(), plain(&gate.summary), String::new()];
    if !gate.findings.is_empty() {
        lines.push("| | what | measure | change | 95 % interval | was | chance | call |".to_owned());
        lines.push("|---|---|---|--:|--:|--:|--:|---|".to_owned());
        lines.extend(gate.findings.iter().take(N_FINDINGS).map(row));
        lines.push(String::new());
        let rest = gate.findings.len().saturating_sub(N_FINDINGS);
        if rest > 0 {
            lines.push(format!("and {rest} more\n"));
        }
    }
    for sentence in gate.doubts.iter().chain(&gate.exceptions) {
        lines.push(format!("- {}", plain(sentence)));
    }
    let mut known = std::collections::BTreeSet::new();
    let traces: Vec<String> = gate
        .findings
        .iter()
        .filter(|finding| finding.state != State::Allowed && !finding.trace_ids.is_empty())
        .filter(|finding| known.insert(&finding.name))
        .take(5)
        .map(|finding| {
            let ids: Vec<String> = finding.trace_ids.iter().map(|id| code(id)).collect();
            format!("- {}: {}", plain(&finding.name), ids.join(", "))
        })
        .collect();
    lines.extend([String::new(), "<details><summary>Rules, traces and data</summary>".to_owned(), String::new()]);
    lines.push("| | rule | tested | broken |\n|---|---|--:|--:|".to_owned());
    lines.extend(
        (1..).zip(&gate.rules).map(|(number, rule)| {
            format!("| {number} | {} | {} | {} |", plain(&rule.rule), rule.n_tested, rule.n_broken)
        }),
    );
    lines.extend(gate.forbidden.iter().map(|edge| {
        let tested = if edge.is_about_nothing { "no such service" } else { "" };
        format!("| | {} | {tested} | {} |", plain(&edge.rule), edge.n_broken)
    }));
    lines.push(String::new());
    lines.extend(traces);
    lines.extend([
        format!("- baseline: {}", plain(&window_line(&gate.baseline))),
        format!("- candidate: {}", plain(&window_line(&gate.candidate))),
    ]);
    lines.extend(gate.warnings.iter().map(|warning| format!("- {}", plain(warning))));
    lines.extend([
        format!(
            "- a finding exceeds its limit, its 95 % interval excludes zero, and its chance corrected for all tests of its level (Holm) is at most {}",
            gate.false_alarm_rate
        ),
        String::new(),
        "</details>".to_owned(),
    ]);
    lines.join("\n") + "\n"
}

fn row(finding: &Finding) -> String {
    let state = match finding.state {
        State::Failed => "❌ fail",
        State::Warned => "⚠️ warn",
        State::Allowed => "✔️ allowed",
    };
    let figure = |value: f64| crate::time::format_ms(value);
    let ([low, high], percent) = finding.signed();
    let (change, interval) = if finding.rule.is_some() {
        let percent = percent.map_or_else(String::new, |percent| format!(" ({percent:+.1} %)"));
        let change = format!("{}{} {}{percent}", finding.measure.sign(), figure(finding.change), finding.unit);
        (change, format!("{} to {}", figure(low), figure(high)))
    } else {
        // It must not be, whatever it was before.
        (format!("{} {}", figure(finding.baseline + finding.change), finding.unit), String::new())
    };
    let mut owner = finding.owner.as_ref().map_or_else(String::new, call);
    if let Some(reason) = &finding.allowed_because {
        owner = format!("{owner}{}{reason}", if owner.is_empty() { "" } else { "; " });
    }
    format!(
        "| {state} | {} | {} | {change} | {interval} | {} | {} | {} |",
        plain(&finding.name),
        finding.word().replace('_', " "),
        figure(finding.baseline),
        finding.rule.map_or_else(String::new, |_| p(finding.p_corrected)),
        plain(&owner)
    )
}
