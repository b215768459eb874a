//! Accuracy over labelled cases as text.

use super::grid::{Cell, Grid, Kind};
use super::page::Page;
use super::text::{counted, fit, percent};
use crate::eval::{CaseResult, Group, Report, Scores};
use crate::time::format_ms as ms;

/// Columns of the name of a case, on a line or more.
const MAX_NAME: usize = 200;

/// The report for a terminal of so many columns, styled with ANSI sequences.
#[must_use]
pub fn text(report: &Report, columns: usize) -> String {
    let mut page = Page::new(columns);
    table(&mut page, report);
    methods(&mut page, report);
    verdicts(&mut page, report);
    calibration(&mut page, report);
    contributions(&mut page, report);
    misses(&mut page, report);
    page.blank();
    page.prose(
        0,
        &format!(
            "{} of {}, {:.2} s a case; largest residual of a decomposition {:.1e} ms",
            counted(report.cases.len() as u64, "case"),
            counted(report.n_spans, "span"),
            report.overall.seconds_per_case,
            report.largest_residual_ms
        ),
    );
    // The first heading needs no empty line before it.
    page.into_text().trim_start_matches('\n').to_owned()
}

fn name(group: &Group) -> String {
    if group.set.is_empty() { "all".to_owned() } else { format!("{} {}", group.set, group.fault_type) }
}

/// A table with a name in front of these columns of numbers.
fn grid<'a>(name: &'a str, heads: impl IntoIterator<Item = &'a str>) -> Grid {
    let numbers = heads.into_iter().map(|head| (head, Kind::Number));
    Grid::new(&[(name, Kind::Name)].into_iter().chain(numbers).collect::<Vec<_>>())
}

fn add(grid: &mut Grid, name: String, cells: Vec<String>) {
    grid.row([name].into_iter().chain(cells).map(Cell::Text).collect());
}

fn cells(n_cases: usize, scores: &Scores) -> Vec<String> {
    let values = [scores.ac_1, scores.ac_3, scores.ac_5, scores.avg_5, scores.mrr];
    [n_cases.to_string()].into_iter().chain(values.map(|value| format!("{value:.3}"))).collect()
}

fn table(page: &mut Page, report: &Report) {
    page.heading("Accuracy of the first places, by services");
    let mut grid = grid("", ["cases", "AC@1", "AC@3", "AC@5", "Avg@5", "MRR", "s/case"]);
    for group in report.groups.iter().chain([&report.overall]) {
        if let Some(scores) = group.scores.get("suspect") {
            let mut cells = cells(group.n_cases - group.n_controls, scores);
            cells.push(format!("{:.2}", group.seconds_per_case));
            add(&mut grid, name(group), cells);
        }
    }
    if let Some(scores) = &report.overall.operations {
        add(&mut grid, "all, by operations".to_owned(), cells(report.overall.n_with_operation, scores));
    }
    grid.write(page, 2);
}

fn methods(page: &mut Page, report: &Report) {
    if report.mean_over_groups.is_empty() {
        return;
    }
    let n_groups = report.groups.iter().filter(|group| !group.scores.is_empty()).count();
    page.heading("Beside rules that need no thought, mean over the groups");
    let mut means = grid("", ["groups", "AC@1", "AC@3", "AC@5", "Avg@5", "MRR"]);
    for (method, scores) in &report.mean_over_groups {
        add(&mut means, method.replace('_', " "), cells(n_groups, scores));
    }
    means.write(page, 2);
    page.heading("The same by group, AC@1");
    let named: Vec<String> = report.mean_over_groups.keys().map(|method| method.replace('_', " ")).collect();
    let mut by_group = grid("", named.iter().map(String::as_str));
    for group in report.groups.iter().filter(|group| !group.scores.is_empty()) {
        add(&mut by_group, name(group), group.scores.values().map(|scores| format!("{:.3}", scores.ac_1)).collect());
    }
    by_group.write(page, 2);
}

fn verdicts(page: &mut Page, report: &Report) {
    page.heading("Verdicts");
    let mut grid = grid("", ["regress.", "mix", "none", "inconcl.", "failed", "A", "A regr."]);
    for group in report.groups.iter().chain([&report.overall]) {
        let count = |verdict: &str| group.verdicts.get(verdict).copied().unwrap_or(0).to_string();
        let keys = ["regression", "traffic_mix", "no_significant_change", "inconclusive", "failed"];
        let mut cells: Vec<String> = keys.into_iter().map(count).collect();
        cells.extend([group.n_quality_a.to_string(), group.n_quality_a_regression.to_string()]);
        add(&mut grid, name(group), cells);
    }
    grid.write(page, 2);
    let overall = &report.overall;
    if overall.n_controls > 0 {
        let alarms = format!(
            "False alarms: {} of {} ({})",
            overall.n_false_alarms,
            counted(overall.n_controls as u64, "control"),
            percent(overall.n_false_alarms as f64 / overall.n_controls as f64)
        );
        page.prose(2, &alarms);
    }
}

fn calibration(page: &mut Page, report: &Report) {
    page.heading("How often the first place is right, by its stated confidence");
    let mut grid = grid("confidence", ["cases", "stated", "right"]);
    for class in report.calibration.iter().filter(|class| class.n_cases > 0) {
        let cells =
            [class.n_cases.to_string(), format!("{:.3}", class.mean_confidence), format!("{:.3}", class.share_right)];
        add(&mut grid, format!("{} to {}", class.from, class.to), cells.into());
    }
    grid.write(page, 2);
}

fn contributions(page: &mut Page, report: &Report) {
    if report.overall.contributions.is_none() {
        return;
    }
    page.heading("Stated contribution against the truth, ms a request");
    let mut grid = grid("", ["services", "truth", "error", "median", "rel.", "in 95 %", "named"]);
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
            add(&mut grid, name(group), cells.into());
        }
    }
    grid.write(page, 2);
}

fn misses(page: &mut Page, report: &Report) {
    let is_alarm = |case: &CaseResult| case.is_control() && case.verdict == Some(crate::rank::Verdict::Regression);
    let missed =
        |case: &&CaseResult| case.error.is_some() || is_alarm(case) || (!case.is_control() && case.place != Some(1));
    let missed: Vec<&CaseResult> = report.cases.iter().filter(missed).collect();
    if missed.is_empty() {
        return;
    }
    page.heading("Misses and false alarms");
    for case in missed {
        page.prose(2, &fit(&format!("{} / {}", case.set, case.case), MAX_NAME));
        let mut say = |text: &str| page.prose(6, text);
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
