use super::super::analysis::{cause_of_row, name_of_row};
use super::{Page, ms, percent, plain, points, signed_ms};
use crate::analysis::{Analysis, RankedService, Suspect};
use crate::rank::Verdict;

/// Rows of the decomposition listed; the rest is summed in one.
const MAX_ROWS: usize = 10;
/// Services told.
const MAX_SERVICES: usize = 5;

/// Each accused service with its parts, then where the change went, by team and in what requests are made of.
pub(super) fn write(page: &mut Page, analysis: &Analysis) {
    if analysis.verdict == Verdict::Regression {
        let accused = analysis.services.iter().filter(|service| service.is_significant);
        for (number, service) in (1..).zip(accused.take(MAX_SERVICES)) {
            page.line(&format!("{number}. {}", told(service)));
            let own = analysis.suspects.iter().filter(|suspect| suspect.service == service.service);
            for suspect in own.take(3) {
                page.line(&format!("   - {}", part(suspect)));
            }
        }
        page.blank();
    }
    page.paragraph("Where the change of the mean latency went:");
    let decomposition = &analysis.decomposition;
    let mut rows: Vec<Vec<String>> = decomposition
        .rows
        .iter()
        .take(MAX_ROWS)
        .map(|row| {
            vec![
                plain(&name_of_row(row, &decomposition.rows).fitted(80)),
                cause_of_row(row).to_owned(),
                signed_ms(row.contribution_ms),
                format!("{} to {}", signed_ms(row.interval_ms[0]), signed_ms(row.interval_ms[1])),
            ]
        })
        .collect();
    let rest = decomposition.rows.iter().skip(MAX_ROWS);
    if rest.len() > 0 {
        let (count, sum) = (rest.len(), rest.map(|row| row.contribution_ms).sum::<f64>());
        rows.push(vec![format!("{count} smaller rows"), String::new(), signed_ms(sum), String::new()]);
    }
    rows.push(vec!["change of the mean".to_owned(), String::new(), signed_ms(decomposition.change_ms), String::new()]);
    page.table(&["part", "how", "adds to a request", "95 % interval"], &rows);
    let teams: Vec<Vec<String>> = analysis
        .teams
        .iter()
        .map(|team| {
            vec![
                team.team.as_deref().map_or_else(|| team.part.unnamed().to_owned(), plain),
                signed_ms(team.contribution.ms),
                if team.part.has_interval() {
                    let [low, high] = team.contribution.interval_ms.map(signed_ms);
                    format!("{low} to {high}")
                } else {
                    String::new()
                },
                points(team.contribution.front_error_ratio()),
                plain(&team.services.join(", ")),
            ]
        })
        .collect();
    page.table(&["team", "adds to a request", "95 % interval", "failing requests", "services"], &teams);
    for change in analysis.structure.iter().take(5) {
        page.item(&plain(&change.description));
    }
    if !analysis.structure.is_empty() {
        page.blank();
    }
}

fn told(service: &RankedService) -> String {
    let contribution = &service.contribution;
    let errors = if contribution.error_ratio.abs() >= 0.000_5 {
        let behind = contribution.told_background_failures();
        let front = contribution.front_error_ratio();
        let front =
            if front.abs() >= 0.000_5 { format!(", {} of failing requests", points(front)) } else { String::new() };
        behind.map_or(front.clone(), |behind| format!("{front}, {behind} in the background"))
    } else {
        String::new()
    };
    let owner = service
        .owner
        .as_ref()
        .map_or_else(String::new, |owner| format!("; owner: {}", plain(&crate::report::owners::call(owner))));
    let behind = contribution.told_background_ms();
    let background =
        behind.map_or_else(String::new, |behind| format!(", {} of it in the background", signed_ms(behind)));
    format!(
        "**{}**: {}, {} a request (95 % interval {} to {}){background}{errors}, first in {} of resamples{owner}",
        plain(&service.service),
        service.kind,
        signed_ms(contribution.ms),
        signed_ms(contribution.interval_ms[0]),
        signed_ms(contribution.interval_ms[1]),
        percent(service.stability)
    )
}

fn part(suspect: &Suspect) -> String {
    let mut parts = vec![format!("{} ({}): {}", plain(&super::name(suspect)), suspect.kind, plain(&suspect.reason))];
    let carrier = suspect.attributes.first();
    parts.extend(
        carrier.map(|carrier| format!("carried by {}", plain(&format!("{} = {}", carrier.key, carrier.value)))),
    );
    parts.extend(suspect.overturned_by.iter().take(2).map(|doubt| format!("but {}", plain(doubt))));
    let per_call = suspect.per_call_ms;
    if per_call.baseline > 0.0 {
        parts.push(format!("on average {} a call, then {}", ms(per_call.baseline), ms(per_call.regression)));
    }
    parts.join("; ")
}
