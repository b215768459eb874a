use super::{Finding, Gate, State};
use crate::gate::{ForbiddenAccount, RuleAccount, Verdict};
use crate::report::text::escape;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// The gate as JUnit XML: a suite a rule, a case a thing that broke it, and one case that passed for the others,
/// or was skipped if there is nothing to test.
#[must_use]
pub fn junit(gate: &Gate) -> String {
    let mut report = Report::new("suspect gate");
    for (number, rule) in (1_u32..).zip(&gate.rules) {
        let own = || gate.findings.iter().filter(|finding| finding.rule == Some(number));
        report.add_test_suite(suite(rule, own()));
    }
    let mut others = TestSuite::new("edges that must not be, and certainty");
    let forbidden: Vec<&Finding> = gate.findings.iter().filter(|finding| finding.rule.is_none()).collect();
    others.add_test_cases(forbidden.iter().map(|finding| case(finding)));
    others.add_test_cases(gate.forbidden.iter().filter(|edge| edge.n_broken == 0).map(kept));
    let mut certainty = TestCase::new("the data suffice to tell", TestCaseStatus::success());
    certainty.set_classname("suspect.gate");
    if !gate.doubts.is_empty() {
        certainty.status = match gate.verdict {
            Verdict::Failed if gate.findings.iter().all(|finding| finding.state != State::Failed) => {
                TestCaseStatus::non_success(NonSuccessKind::Failure)
            }
            Verdict::Inconclusive => TestCaseStatus::non_success(NonSuccessKind::Error),
            Verdict::Passed | Verdict::Failed => TestCaseStatus::skipped(),
        };
        certainty.status.set_message(gate.doubts.join("; "));
    }
    others.add_test_case(certainty);
    report.add_test_suite(others);
    // Writing to memory does not fail, and names are cleaned of what XML has no place for.
    let mut xml = report.to_string().unwrap_or_default();
    // But for these two, which no XML may hold.
    xml = xml.replace(['\u{FFFE}', '\u{FFFF}'], "\u{FFFD}");
    // The schema that most readers follow (Jenkins' `junit-10.xsd`) knows no such attribute of the whole.
    if let Some(start) = xml.find(" skipped=\"")
        && let Some(end) = xml[start..].find("\" ")
    {
        xml.replace_range(start..=start + end, "");
    }
    if !xml.ends_with('\n') {
        xml.push('\n');
    }
    xml
}

fn suite<'a>(rule: &RuleAccount, findings: impl Iterator<Item = &'a Finding>) -> TestSuite {
    let mut suite = TestSuite::new(rule.rule.as_str());
    suite.add_test_cases(findings.map(case));
    let n_fine = rule.n_tested.saturating_sub(rule.n_broken);
    if rule.n_tested == 0 && rule.n_broken == 0 {
        let mut status = TestCaseStatus::skipped();
        status.set_message("nothing in the data could break the rule");
        let mut nothing = TestCase::new("nothing to test", status);
        nothing.set_classname("suspect.gate");
        suite.add_test_case(nothing);
    } else if n_fine > 0 {
        let name = match (rule.n_broken, n_fine) {
            (0, 1) => "the only one".to_owned(),
            (0, _) => format!("all {n_fine}"),
            (_, 1) => format!("1 other of {}", rule.n_tested),
            _ => format!("{n_fine} others of {}", rule.n_tested),
        };
        let mut fine = TestCase::new(name, TestCaseStatus::success());
        fine.set_classname("suspect.gate");
        suite.add_test_case(fine);
    }
    suite
}

/// A forbidden edge that is not there.
fn kept(edge: &ForbiddenAccount) -> TestCase {
    let mut status = TestCaseStatus::success();
    if edge.is_about_nothing {
        status = TestCaseStatus::skipped();
        status.set_message("no such service is in the data");
    }
    let mut case = TestCase::new(escape(&edge.rule).into_owned(), status);
    case.set_classname("suspect.gate");
    case
}

fn case(finding: &Finding) -> TestCase {
    let mut status = match finding.state {
        State::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        // JUnit knows no warning; a skipped case is shown and fails nothing.
        State::Warned | State::Allowed => TestCaseStatus::skipped(),
    };
    let allowed = finding.allowed_because.as_ref().map_or_else(String::new, |reason| format!("; allowed: {reason}"));
    status.set_message(escape(&format!("{}{allowed}", finding.description)).into_owned());
    if finding.state == State::Failed {
        status.set_type(finding.word());
        let mut lines = vec![finding.description.clone(), format!("limit: {}", finding.limit)];
        lines.extend(finding.owner.iter().map(|owner| format!("call: {}", super::call(owner))));
        lines.extend(finding.trace_ids.iter().map(|id| format!("trace: {id}")));
        // What XML cannot hold would be lost, and what turns text around be obeyed.
        let lines: Vec<_> = lines.iter().map(|line| escape(line)).collect();
        status.set_description(lines.join("\n"));
    }
    let mut case = TestCase::new(escape(&format!("{}: {}", finding.name, finding.word())).into_owned(), status);
    case.set_classname(escape(finding.service.as_deref().unwrap_or("suspect.gate")).into_owned());
    case
}
