//! Edges that must not be: which of them are, and which of them could not be, as no service has such a name.

use super::policy::{Forbidden, Measure, Names, Of, Policy};
use super::units::{edge_name, owner, told};
use super::{Finding, ForbiddenAccount, state};
use crate::analysis::{Analysis, Edge, nearest};
use crate::topology::ByWindow;
use std::collections::BTreeSet;

/// A forbidden edge with those of the candidate that are it.
pub(super) struct Judged {
    pub(super) account: ForbiddenAccount,
    pub(super) findings: Vec<Finding>,
    /// That it is about nothing, with the names that it may mean.
    pub(super) about_nothing: Option<String>,
}

/// All forbidden edges, in the order of the policy.
///
/// # Errors
/// What is wrong with a name.
pub(super) fn judge(analysis: &Analysis, policy: &Policy) -> Result<Vec<Judged>, String> {
    policy.forbidden.iter().map(|forbidden| judge_one(analysis, forbidden)).collect()
}

fn judge_one(analysis: &Analysis, forbidden: &Forbidden) -> Result<Judged, String> {
    let findings = findings(analysis, forbidden)?;
    let about_nothing = if findings.is_empty() { about_nothing(analysis, forbidden)? } else { None };
    let account = ForbiddenAccount {
        level: forbidden.level,
        rule: forbidden.describe(),
        is_about_nothing: about_nothing.is_some(),
        n_broken: findings.len() as u64,
    };
    Ok(Judged { account, findings, about_nothing })
}

fn findings(analysis: &Analysis, forbidden: &Forbidden) -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    let names = Names::new(&forbidden.edge)?;
    for edge in &analysis.graph.service_edges {
        let name = edge_name(&edge.caller, &edge.callee);
        let ByWindow::Pair { baseline, regression: Some(calls), .. } = &edge.change else { continue };
        if !names.are(&name) {
            continue;
        }
        let n_requests = &analysis.windows;
        let per = |calls: f64, requests: f64| if requests > 0.0 { calls / requests } else { 0.0 };
        let before = per(baseline.map_or(0.0, |calls| calls.weighted_calls), n_requests.baseline.n_requests);
        let after = per(calls.weighted_calls, n_requests.regression.n_requests);
        let times = if calls.n_calls == 1 { "once".to_owned() } else { format!("{} times", calls.n_calls) };
        findings.push(Finding {
            state: state(forbidden.level),
            rule: None,
            limit: forbidden.describe(),
            of: Of::Edge,
            description: format!("{name} is forbidden, and called {times}"),
            name,
            service: Some(edge.caller.clone()),
            operation: None,
            edge: Some(Edge { caller: edge.caller.clone(), callee: edge.callee.clone() }),
            is_in_background: false,
            measure: Measure::Calls,
            unit: Measure::Calls.unit().to_owned(),
            baseline: before,
            change: after - before,
            interval: [after - before; 2],
            change_percent: (before > 0.0).then(|| 100.0 * (after - before) / before),
            p: 0.0,
            p_corrected: 0.0,
            owner: owner(analysis, &edge.caller).cloned(),
            trace_ids: Vec::new(),
            allowed_because: None,
        });
    }
    Ok(findings)
}

/// That an edge has an end by whose name there is no service.
fn about_nothing(analysis: &Analysis, forbidden: &Forbidden) -> Result<Option<String>, String> {
    let edges = &analysis.graph.service_edges;
    let names = Names::new(&forbidden.edge)?;
    // An arrow may be part of a name.
    if edges.iter().any(|edge| names.are(&edge_name(&edge.caller, &edge.callee))) {
        return Ok(None);
    }
    let ends = edges.iter().flat_map(|edge| [&edge.caller, &edge.callee]);
    let services: BTreeSet<&String> = ends.chain(analysis.services.iter().map(|ranked| &ranked.service)).collect();
    for end in forbidden.ends() {
        let names = Names::new(end)?;
        if services.iter().any(|service| names.are(told(service))) {
            continue;
        }
        let near = nearest(end, services.iter().map(|service| told(service).to_owned()).collect());
        let near: Vec<String> = near.iter().take(3).map(|name| format!("`{name}`")).collect();
        let near = match near.as_slice() {
            [] => "the data know no service".to_owned(),
            near => format!("near it are {}", near.join(", ")),
        };
        let rule = forbidden.describe();
        return Ok(Some(format!("rule `{rule}` is about nothing in the data: no service is `{end}`; {near}")));
    }
    Ok(None)
}
