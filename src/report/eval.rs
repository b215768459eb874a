//! Accuracy over labelled cases as text.

use super::WIDTH;
use super::text::{BOLD, DIM, counted, fit, left, paint, percent, right, wrap};
use crate::eval::{CaseResult, Group, Report, Scores};
use crate::time::format_ms as ms;

const NAME: usize = 30;
const CELL: usize = 9;
const METHOD: usize = 12;

/// The report for a terminal, at most [`WIDTH`] columns wide, styled with ANSI sequences.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut lines = Vec::new();
    table(&mut lines, report);
    methods(&mut lines, report);
    verdicts(&mut lines, report);
    calibration(&mut lines, report);
    contributions(&mut lines, report);
    misses(&mut lines, report);
    lines.push(String::new());
    lines.push(format!(
        "{} of {}, {:.2} s a case; largest residual of a decomposition {:.1e} ms",
        counted(report.cases.len() as u64, "case"),
        counted(report.n_spans, "span"),
        report.overall.seconds_per_case,
        report.largest_residual_ms
    ));
    let mut text = String::new();
    for line in lines {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn name(group: &Group) -> String {
    if group.set.is_empty() { "all".to_owned() } else { format!("{} {}", group.set, group.fault_type) }
}

fn columns(name: &str, cells: &[String]) -> String {
    let cells: String = cells.iter().map(|cell| right(cell, CELL)).collect();
    format!("  {}{cells}", left(name, NAME))
}

fn cells(n_cases: usize, scores: &Scores) -> Vec<String> {
    let values = [scores.ac_1, scores.ac_3, scores.ac_5, scores.avg_5, scores.mrr];
    [n_cases.to_string()].into_iter().chain(values.map(|value| format!("{value:.3}"))).collect()
}

fn heading(title: &str, columns_: &[&str]) -> String {
    let cells: Vec<String> = columns_.iter().map(|&cell| cell.to_owned()).collect();
    columns(title, &cells)
}

fn table(lines: &mut Vec<String>, report: &Report) {
    lines.push(paint(BOLD, "Accuracy of the first places, by services"));
    lines.push(paint(DIM, &heading("", &["cases", "AC@1", "AC@3", "AC@5", "Avg@5", "MRR", "s/case"])));
    for group in report.groups.iter().chain([&report.overall]) {
        if let Some(scores) = group.scores.get("suspect") {
            let mut cells = cells(group.n_cases - group.n_controls, scores);
            cells.push(format!("{:.2}", group.seconds_per_case));
            lines.push(columns(&name(group), &cells));
        }
    }
    if let Some(scores) = &report.overall.operations {
        lines.push(columns("all, by operations", &cells(report.overall.n_with_operation, scores)));
    }
}

fn methods(lines: &mut Vec<String>, report: &Report) {
    if report.mean_over_groups.is_empty() {
        return;
    }
    let n_groups = report.groups.iter().filter(|group| !group.scores.is_empty()).count();
    lines.push(String::new());
    lines.push(paint(BOLD, "Beside rules that need no thought, mean over the groups"));
    lines.push(paint(DIM, &heading("", &["groups", "AC@1", "AC@3", "AC@5", "Avg@5", "MRR"])));
    for (method, scores) in &report.mean_over_groups {
        lines.push(columns(&method.replace('_', " "), &cells(n_groups, scores)));
    }
    lines.push(String::new());
    lines.push(paint(BOLD, "The same by group, AC@1"));
    let named: Vec<String> = report.mean_over_groups.keys().map(|method| method.replace('_', " ")).collect();
    let row = |name: &str, cells: &[String]| {
        let cells: String = cells.iter().map(|cell| right(cell, METHOD)).collect();
        format!("  {}{cells}", left(name, NAME))
    };
    lines.push(paint(DIM, &row("", &named)));
    for group in report.groups.iter().filter(|group| !group.scores.is_empty()) {
        let scores: Vec<String> = group.scores.values().map(|scores| format!("{:.3}", scores.ac_1)).collect();
        lines.push(row(&name(group), &scores));
    }
}

fn verdicts(lines: &mut Vec<String>, report: &Report) {
    lines.push(String::new());
    lines.push(paint(BOLD, "Verdicts"));
    lines.push(paint(DIM, &heading("", &["regress.", "mix", "none", "inconcl.", "failed", "A", "A regr."])));
    for group in report.groups.iter().chain([&report.overall]) {
        let count = |verdict: &str| group.verdicts.get(verdict).copied().unwrap_or(0).to_string();
        let keys = ["regression", "traffic_mix", "no_significant_change", "inconclusive", "failed"];
        let mut cells: Vec<String> = keys.into_iter().map(count).collect();
        cells.extend([group.n_quality_a.to_string(), group.n_quality_a_regression.to_string()]);
        lines.push(columns(&name(group), &cells));
    }
    let overall = &report.overall;
    if overall.n_controls > 0 {
        lines.push(format!(
            "  False alarms: {} of {} ({})",
            overall.n_false_alarms,
            counted(overall.n_controls as u64, "control"),
            percent(overall.n_false_alarms as f64 / overall.n_controls as f64)
        ));
    }
}

fn calibration(lines: &mut Vec<String>, report: &Report) {
    lines.push(String::new());
    lines.push(paint(BOLD, "How often the first place is right, by its stated confidence"));
    lines.push(paint(DIM, &heading("confidence", &["cases", "stated", "right"])));
    for class in report.calibration.iter().filter(|class| class.n_cases > 0) {
        let cells =
            [class.n_cases.to_string(), format!("{:.3}", class.mean_confidence), format!("{:.3}", class.share_right)];
        lines.push(columns(&format!("{} to {}", class.from, class.to), &cells));
    }
}

fn contributions(lines: &mut Vec<String>, report: &Report) {
    if report.overall.contributions.is_none() {
        return;
    }
    lines.push(String::new());
    lines.push(paint(BOLD, "Stated contribution against the truth, ms a request"));
    lines.push(paint(DIM, &heading("", &["services", "truth", "error", "median", "rel.", "in 95 %", "named"])));
    for group in report.groups.iter().chain([&report.overall]) {
        if let Some(sum) = &group.contributions {
            let relative = sum.median_relative_error.map_or_else(|| "-".to_owned(), percent);
            let cells = [
                sum.n_services.to_string(),
                format!("{:.2}", sum.mean_true_ms),
                format!("{:.2}", sum.mean_absolute_error_ms),
                format!("{:.2}", sum.median_absolute_error_ms),
                relative,
                percent(sum.share_in_interval),
                percent(sum.n_ranked as f64 / sum.n_services as f64),
            ];
            lines.push(columns(&name(group), &cells));
        }
    }
}

fn misses(lines: &mut Vec<String>, report: &Report) {
    let is_alarm = |case: &CaseResult| case.is_control() && case.verdict == Some(crate::rank::Verdict::Regression);
    let missed =
        |case: &&CaseResult| case.error.is_some() || is_alarm(case) || (!case.is_control() && case.place != Some(1));
    let missed: Vec<&CaseResult> = report.cases.iter().filter(missed).collect();
    if missed.is_empty() {
        return;
    }
    lines.push(String::new());
    lines.push(paint(BOLD, "Misses and false alarms"));
    for case in missed {
        lines.push(fit(&format!("  {} / {}", case.set, case.case), WIDTH).into_owned());
        let mut say = |text: &str| {
            lines.extend(wrap(text, WIDTH - 6).iter().map(|line| format!("      {}", fit(line, WIDTH - 6))));
        };
        if let Some(error) = &case.error {
            say(&format!("failed: {error}"));
            continue;
        }
        let verdict = case.verdict.map_or("", crate::rank::Verdict::as_str);
        let place = case.place.map_or("is not ranked".to_owned(), |place| format!("is number {place}"));
        if case.is_control() {
            say(&format!("control, verdict {verdict}, confidence {}", percent(case.confidence)));
        } else {
            let culprits = case.culprits.join(", ");
            say(&format!("{culprits} {place}, verdict {verdict}, confidence {}", percent(case.confidence)));
        }
        for (rank, first) in (1..).zip(&case.first) {
            say(&format!(
                "{rank}. {} {}, {} ms: {}",
                first.service,
                first.kind,
                ms(first.contribution_ms),
                first.reason
            ));
        }
        if let Some(culprit) = case.culprit.as_ref().filter(|_| case.place.is_some_and(|place| place > 3)) {
            say(&format!(
                "culprit {} {}, {} ms: {}",
                culprit.service,
                culprit.kind,
                ms(culprit.contribution_ms),
                culprit.reason
            ));
        }
    }
}
