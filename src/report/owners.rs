//! Whom to call, as text: a line a suspect, and the change by team.

use super::WIDTH;
use super::analysis::signed;
use super::text::{BOLD, DIM, fit, left, paint, right};
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
pub(super) fn teams(analysis: &Analysis) -> Vec<String> {
    const NAME: usize = 28;
    const VALUE: usize = 9;
    const INTERVAL: usize = 22;
    if analysis.teams.is_empty() {
        return Vec::new();
    }
    let change_ms = analysis.degradation.change_ms;
    let name = |share: &TeamShare| share.team.clone().unwrap_or_else(|| format!("({})", share.part.unnamed()));
    let heading = format!("By team ({} ms of the mean latency in all)", signed(change_ms));
    let mut lines = vec![String::new(), paint(BOLD, &heading)];
    let shown = analysis.teams.len().min(N_TEAMS);
    for share in &analysis.teams[..shown] {
        let contribution = &share.contribution;
        let [low, high] = contribution.interval_ms;
        let errors = if contribution.error_ratio.abs() >= 0.000_5 {
            format!("{:+.1} points of errors  ", contribution.error_ratio * 100.0)
        } else {
            String::new()
        };
        let start = format!(
            "  {} {} {}  ",
            left(&name(share), NAME),
            right(&signed(contribution.ms), VALUE),
            paint(DIM, &left(&format!("({} to {})", signed(low), signed(high)), INTERVAL)),
        );
        let room = WIDTH.saturating_sub(2 + NAME + 1 + VALUE + 1 + INTERVAL + 2);
        lines.push(format!("{start}{}", fit(&format!("{errors}{}", share.services.join(", ")), room)));
    }
    let rest = &analysis.teams[shown..];
    if !rest.is_empty() {
        let sum: f64 = rest.iter().map(|share| share.contribution.ms).sum();
        lines.push(format!("  {} {}", left(&format!("{} more", rest.len()), NAME), right(&signed(sum), VALUE)));
    }
    lines
}
