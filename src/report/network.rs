//! The ways between services that take longer, and whom they were given to: a section of an analysis as text.

use super::grid::{Cell, Grid, Kind};
use super::page::Page;
use crate::analysis::{Analysis, EdgePart, Pair};
use crate::compare::edges::Whose;
use crate::rank::Verdict;
use crate::time::format_ms as ms;

/// Ways shown.
const N_WAYS: usize = 6;

/// The ways that changed most, if one of them is a suspect; `--explain` has them all.
pub(super) fn ways(page: &mut Page, analysis: &Analysis) {
    let accused = analysis.suspects.iter().any(|suspect| suspect.edge.is_some());
    if analysis.verdict != Verdict::Regression || !accused {
        return;
    }
    let mut rows = Vec::new();
    for way in &analysis.network {
        let name = format!("{} -> {}", way.edge.caller, way.edge.callee);
        let risen = way.blamed.iter().filter(|part| part.whose != Whose::Nobody && part.typical_change_ms > 0.0);
        for part in risen {
            let per_call = match part.part.as_str() {
                "before" => way.before_ms,
                "after" => way.after_ms,
                _ => way.wait_ms,
            };
            rows.push(row(&name, part, per_call));
        }
    }
    if rows.is_empty() {
        return;
    }
    page.heading("Ways between services that take longer (before and after their answers, waits without one)");
    let mut grid =
        Grid::new(&[("", Kind::Name), ("", Kind::Text), ("ms a call", Kind::Number), ("given to", Kind::Name)]);
    for row in rows.into_iter().take(N_WAYS) {
        grid.row(row);
    }
    grid.write(page, 2);
}

fn row(name: &str, part: &EdgePart, per_call: Pair) -> Vec<Cell> {
    let given = match part.whose {
        Whose::Both => format!("both ends, {:.0} % the caller's", 100.0 * part.caller_share),
        Whose::Link => format!("{} (link)", part.service),
        Whose::Nobody | Whose::Caller | Whose::Callee => part.service.clone(),
    };
    let change = format!("{} -> {}", ms(per_call.baseline), ms(per_call.regression));
    vec![Cell::text(name), Cell::text(&part.part), Cell::text(change), Cell::text(given)]
}
