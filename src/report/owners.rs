//! Whom to call, as text: a line a suspect, and the change by team.

use super::analysis::signed;
use super::grid::{Cell, Grid, Kind};
use super::page::Page;
use crate::analysis::{Analysis, Owner, TeamShare};

/// Teams shown.
const N_TEAMS: usize = 8;

/// Team, contact and runbook in a line, as they are: to be escaped for where they go.
pub(super) fn call(owner: &Owner) -> String {
    let more = [("", &owner.contact), ("runbook ", &owner.runbook)];
    let more: String =
        more.into_iter().filter_map(|(name, text)| Some(format!(", {name}{}", text.as_deref()?))).collect();
    format!("{}{more}", owner.team)
}

/// The change by team; nothing if no owner is known.
pub(super) fn teams(page: &mut Page, analysis: &Analysis) {
    if analysis.teams.is_empty() {
        return;
    }
    page.heading(&format!("By team ({} ms of the mean latency in all)", signed(analysis.degradation.change_ms)));
    let mut grid =
        Grid::new(&[("", Kind::Name), ("", Kind::Number), ("", Kind::Text), ("", Kind::Text), ("", Kind::Prose)]);
    let shown = analysis.teams.len().min(N_TEAMS);
    for share in &analysis.teams[..shown] {
        let contribution = &share.contribution;
        let [low, high] = contribution.interval_ms.map(signed);
        let interval = if share.part.has_interval() { format!("({low} to {high})") } else { String::new() };
        let errors = if contribution.front_error_ratio().abs() >= 0.000_5 {
            format!("{:+.1} points of errors", contribution.front_error_ratio() * 100.0)
        } else {
            String::new()
        };
        grid.row(vec![
            Cell::text(name(share)),
            Cell::text(signed(contribution.ms)),
            Cell::dim(interval),
            Cell::text(errors),
            Cell::text(share.services.join(", ")),
        ]);
    }
    let rest = &analysis.teams[shown..];
    if !rest.is_empty() {
        let sum: f64 = rest.iter().map(|share| share.contribution.ms).sum();
        grid.row(vec![Cell::text(format!("{} more", rest.len())), Cell::text(signed(sum))]);
    }
    grid.write(page, 2);
}

fn name(share: &TeamShare) -> String {
    share.team.clone().unwrap_or_else(|| format!("({})", share.part.unnamed()))
}
