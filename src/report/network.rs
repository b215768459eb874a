//! The ways between services that take longer, and whom they were given to: a section of an analysis as text.

use super::text::{BOLD, DIM, left, paint, right};
use crate::analysis::{Analysis, EdgePart, Pair};
use crate::compare::edges::Whose;
use crate::rank::Verdict;
use crate::time::format_ms as ms;

/// Ways shown.
const N_WAYS: usize = 6;

/// The ways that changed most, if one of them is a suspect; `--explain` has them all.
pub(super) fn ways(analysis: &Analysis) -> Vec<String> {
    let accused = analysis.suspects.iter().any(|suspect| suspect.edge.is_some());
    if analysis.verdict != Verdict::Regression || !accused {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for way in &analysis.network {
        let name = format!("{} -> {}", way.edge.caller, way.edge.callee);
        let risen = way.blamed.iter().filter(|part| part.whose != Whose::Nobody && part.typical_change_ms > 0.0);
        for part in risen {
            let per_call = match part.part.as_str() {
                "before" => way.before_ms,
                "after" => way.after_ms,
                _ => way.wait_ms,
            };
            lines.push(line(&name, part, per_call));
        }
    }
    lines.truncate(N_WAYS);
    if !lines.is_empty() {
        let head = format!("  {} {} {}  given to", left("", 44), left("", 6), right("ms a call", 17));
        let title =
            paint(BOLD, "Ways between services that take longer (before and after their answers, waits without one)");
        lines.splice(0..0, [String::new(), title, paint(DIM, &head)]);
    }
    lines
}

fn line(name: &str, part: &EdgePart, per_call: Pair) -> String {
    let given = match part.whose {
        Whose::Both => format!("both ends, {:.0} % the caller's", 100.0 * part.caller_share),
        Whose::Link => format!("{} (link)", part.service),
        Whose::Nobody | Whose::Caller | Whose::Callee => part.service.clone(),
    };
    let change = format!("{} -> {}", ms(per_call.baseline), ms(per_call.regression));
    format!("  {} {} {}  {}", left(name, 44), left(&part.part, 6), right(&change, 17), left(&given, 28))
}
