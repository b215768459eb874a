//! A gate's verdict: as text, as Markdown for a pull request, as JUnit XML and SARIF, and as annotations of a GitHub build.

mod github;
mod junit;
mod markdown;
mod sarif;

pub use github::annotations;
pub use junit::junit;
pub use markdown::markdown;
pub use sarif::sarif;

use super::analysis::window;
use super::owners::call;
use super::page::{Label, Page};
use super::text::{ALERT, BOLD, CAUTION, CODE, DIM, counted, fit, paint};
use crate::analysis::Window;
use crate::gate::{Finding, Gate, State, Verdict};

/// Findings shown in full.
const N_FINDINGS: usize = 20;

/// Columns of labels.
const LABEL: usize = 9;

/// The gate for a terminal of so many columns, styled with ANSI sequences.
#[must_use]
pub fn text(gate: &Gate, columns: usize) -> String {
    let mut page = Page::new(columns);
    let style = match gate.verdict {
        Verdict::Passed => BOLD,
        Verdict::Failed => ALERT.bold(),
        Verdict::Inconclusive => CAUTION.bold(),
    };
    page.painted(style, 0, word(gate.verdict));
    page.prose(0, &gate.summary);
    page.blank();
    let moment = |text: &str| fit(text, 40).into_owned();
    window(&mut page, "Baseline", &gate.baseline, moment);
    window(&mut page, "Candidate", &gate.candidate, moment);
    if !gate.findings.is_empty() {
        page.heading("Findings");
    }
    for finding in gate.findings.iter().take(N_FINDINGS) {
        show(&mut page, finding);
    }
    let rest = gate.findings.len().saturating_sub(N_FINDINGS);
    if rest > 0 {
        page.prose(2, &format!("and {rest} more in `--format json`"));
    }
    page.heading("Rules");
    for (number, rule) in (1..).zip(&gate.rules) {
        let broken = if rule.n_broken > 0 { format!(", {} broken", rule.n_broken) } else { String::new() };
        let tested = format!("{}{broken}", counted(rule.n_tested, "test"));
        page.labelled(
            2,
            &Label::dim(&format!("{number:>2} {}", rule.level.word()), LABEL),
            &format!("{}: {tested}", rule.rule),
        );
    }
    for edge in &gate.forbidden {
        let found = match edge.n_broken {
            0 if edge.is_about_nothing => "no such service".to_owned(),
            0 => "not called".to_owned(),
            n_broken => format!("{n_broken} broken"),
        };
        let label = format!("{:>2} {}", "", edge.level.word());
        page.labelled(2, &Label::dim(&label, LABEL), &format!("{}: {found}", edge.rule));
    }
    for (label, sentences) in [("doubt", &gate.doubts), ("allowed", &gate.exceptions), ("data", &gate.warnings)] {
        for sentence in sentences {
            page.labelled(2, &Label::dim(label, LABEL), sentence);
        }
    }
    page.into_text()
}

fn show(page: &mut Page, finding: &Finding) {
    let (style, word) = match finding.state {
        State::Failed => (ALERT.bold(), "FAIL"),
        State::Warned => (CAUTION, "WARN"),
        State::Allowed => (DIM, "OK"),
    };
    page.labelled(2, &Label::new(style, word, 6), &finding.description);
    let indent = if page.is_narrow() { 4 } else { 8 };
    page.labelled(indent, &Label::dim("limit", LABEL), &finding.limit);
    // Chance has no part in what is forbidden.
    if finding.rule.is_some() {
        page.labelled(indent, &Label::dim("chance", LABEL), &chances(finding));
    }
    if let Some(reason) = &finding.allowed_because {
        page.labelled(indent, &Label::dim("allowed", LABEL), reason);
    }
    if let Some(owner) = &finding.owner {
        page.labelled(indent, &Label::dim("call", LABEL), &call(owner));
    }
    for (index, id) in finding.trace_ids.iter().enumerate() {
        let label = Label::dim(if index == 0 { "traces" } else { "" }, LABEL);
        page.pieces(indent, &label, &[paint(CODE, &fit(id, 64))]);
    }
}

fn chances(finding: &Finding) -> String {
    let alone = p(finding.p);
    let equals = if alone.starts_with('<') { "" } else { "= " };
    format!("p {equals}{alone}, {} for all tests together", p(finding.p_corrected))
}

/// Chances that are told; smaller ones have no digits left.
const LEAST_CHANCE: f64 = 1e-300;

fn p(chance: f64) -> String {
    if chance >= 0.001 {
        format!("{chance:.3}")
    } else if chance >= LEAST_CHANCE {
        format!("{chance:.1e}")
    } else {
        format!("< {LEAST_CHANCE:e}")
    }
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
