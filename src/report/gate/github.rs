use super::{Gate, State};
use crate::gate::Verdict;
use crate::report::text::escape;

/// GitHub shows ten annotations a step; one is the verdict.
const N_ANNOTATIONS: usize = 9;

/// What a GitHub build prints to show findings at the run: an error or a warning each, the verdict first.
#[must_use]
pub fn annotations(gate: &Gate) -> String {
    let mut lines = String::new();
    let mut line = |command: &str, title: &str, message: &str| {
        let (title, message) = (property(title), data(message));
        lines.extend(["::", command, " title=", &title, "::", &message, "\n"]);
    };
    let (command, title) = match gate.verdict {
        Verdict::Passed => ("notice", "suspect gate passed"),
        Verdict::Failed => ("error", "suspect gate failed"),
        Verdict::Inconclusive => ("warning", "suspect gate is inconclusive"),
    };
    line(command, title, &gate.summary);
    for finding in gate.findings.iter().filter(|finding| finding.state != State::Allowed).take(N_ANNOTATIONS) {
        let command = if finding.state == State::Failed { "error" } else { "warning" };
        line(command, &finding.name, &finding.description);
    }
    lines
}

/// The message of a command: one line, whatever is in it.
fn data(text: &str) -> String {
    shortened(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a command, which ends at a comma or colon.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// GitHub cuts what is longer than 4 KB; control characters would be shown by the log.
fn shortened(text: &str) -> String {
    let safe = escape(text);
    let short: String = safe.chars().take(1_000).collect();
    if short.len() < safe.len() { format!("{short}…") } else { short }
}
