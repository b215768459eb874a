//! A gate's verdict: as text, as Markdown for a pull request, as JUnit XML and SARIF, and as annotations of a GitHub build.

mod github;
mod junit;
mod markdown;
mod sarif;

pub use github::annotations;
pub use junit::junit;
pub use markdown::markdown;
pub use sarif::sarif;

use super::WIDTH;
use super::analysis::Out;
use super::owners::call;
use super::text::{ALERT, BOLD, CAUTION, CODE, DIM, counted, escape, fit, left, paint, wrap};
use crate::analysis::Window;
use crate::gate::policy::Level;
use crate::gate::{Finding, Gate, State, Verdict};

/// Findings shown in full.
const N_FINDINGS: usize = 20;

/// The gate for a terminal, at most [`WIDTH`] columns wide, styled with ANSI sequences.
#[must_use]
pub fn text(gate: &Gate) -> String {
    let mut out = Out::default();
    let style = match gate.verdict {
        Verdict::Passed => BOLD,
        Verdict::Failed => ALERT.bold(),
        Verdict::Inconclusive => CAUTION.bold(),
    };
    out.line(&paint(style, word(gate.verdict)));
    for line in wrap(&escape(&gate.summary), WIDTH) {
        out.line(&fit(&line, WIDTH));
    }
    out.line("");
    for (name, window) in [("Baseline", &gate.baseline), ("Candidate", &gate.candidate)] {
        out.line(&format!("{}  {}", paint(DIM, &left(name, 10)), window_line(window)));
    }
    if !gate.findings.is_empty() {
        out.heading("Findings");
    }
    for finding in gate.findings.iter().take(N_FINDINGS) {
        show(&mut out, finding);
    }
    let rest = gate.findings.len().saturating_sub(N_FINDINGS);
    if rest > 0 {
        out.line(&format!("  and {rest} more in `--format json`"));
    }
    out.heading("Rules");
    for (number, rule) in (1..).zip(&gate.rules) {
        let broken = if rule.n_broken > 0 { format!(", {} broken", rule.n_broken) } else { String::new() };
        let tested = format!("{}{broken}", counted(rule.n_tested, "test"));
        let level = match rule.level {
            Level::Fail => "fail",
            Level::Warn => "warn",
        };
        out.labelled(2, &format!("{number:>2} {level}"), &format!("{}: {tested}", escape(&rule.rule)));
    }
    for (label, sentences) in [("doubt", &gate.doubts), ("allowed", &gate.exceptions), ("data", &gate.warnings)] {
        for sentence in sentences {
            out.labelled(2, label, &escape(sentence));
        }
    }
    out.0
}

fn show(out: &mut Out, finding: &Finding) {
    let (style, word) = match finding.state {
        State::Failed => (ALERT.bold(), "FAIL"),
        State::Warned => (CAUTION, "WARN"),
        State::Allowed => (DIM, "OK"),
    };
    let lines = wrap(&escape(&finding.description), WIDTH - 8);
    for (index, line) in lines.iter().enumerate() {
        let label = if index == 0 { word } else { "" };
        out.line(&format!("  {}{}", paint(style, &left(label, 6)), fit(line, WIDTH - 8)));
    }
    out.labelled(8, "limit", &escape(&finding.limit));
    if finding.p_corrected > 0.0 {
        out.labelled(8, "chance", &chances(finding));
    }
    if let Some(reason) = &finding.allowed_because {
        out.labelled(8, "allowed", &escape(reason));
    }
    if let Some(owner) = &finding.owner {
        out.labelled(8, "call", &escape(&call(owner)));
    }
    for (index, id) in finding.trace_ids.iter().enumerate() {
        let label = paint(DIM, &left(if index == 0 { "traces" } else { "" }, 9));
        out.line(&format!("        {label}{}", paint(CODE, &fit(id, 64))));
    }
}

fn chances(finding: &Finding) -> String {
    format!("p = {}, {} for all tests together", p(finding.p), p(finding.p_corrected))
}

fn p(chance: f64) -> String {
    if chance >= 0.001 { format!("{chance:.3}") } else { format!("{chance:.1e}") }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "PASSED",
        Verdict::Failed => "FAILED",
        Verdict::Inconclusive => "INCONCLUSIVE",
    }
}

fn window_line(window: &Window) -> String {
    format!(
        "{} .. {}  {}, {}",
        window.start,
        window.end,
        counted(window.n_traces, "trace"),
        counted(window.n_spans, "span")
    )
}
