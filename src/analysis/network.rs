//! The ways between services: how long calls spend on them in both windows, and to whom their changes were given and why.

use super::build::{NS_PER_MS, pair, ratio};
use super::document::{Edge, Pair};
use super::evidence::Evidence;
use super::explanation::{EdgeAccount, EdgePart};
use super::standing;
use crate::compare::attribute::Subject;
use crate::compare::edges::{EdgeGap, Gap, Whose};
use std::collections::BTreeMap;

/// Sums a window: calls, and nanoseconds before, after and instead of their answers.
type Totals = [[f64; 2]; 4];

/// The edges that `is_asked` wants, those that changed most first.
pub(super) fn accounts(evidence: Evidence<'_>, is_asked: impl Fn(&EdgeGap) -> bool) -> Vec<EdgeAccount> {
    let comparison = evidence.comparison;
    let mut totals = BTreeMap::<(u32, u32), Totals>::new();
    for (index, path) in evidence.table.paths.list.iter().enumerate() {
        let operation = evidence.forest.operations[path.operation as usize];
        let Some(peer) = operation.peer else { continue };
        let totals = totals.entry((operation.service, peer)).or_default();
        for (window, sums) in [&comparison.baseline, &comparison.regression].into_iter().enumerate() {
            let values = [&sums.n_visits, &sums.before_ns, &sums.self_ns, &sums.wait_ns];
            for (total, values) in totals.iter_mut().zip(values) {
                total[window] += values[index];
            }
        }
    }
    let mut accounts: Vec<EdgeAccount> = comparison
        .attribution
        .edges
        .iter()
        .filter(|gap| is_asked(gap))
        .filter_map(|gap| Some(account(evidence, gap, totals.get(&(gap.caller, gap.callee))?)))
        .collect();
    let size = |account: &EdgeAccount| {
        account.blamed.iter().map(|part| part.change_ms.abs()).sum::<f64>() * account.n_visits.regression
    };
    accounts.sort_by(|left, right| size(right).total_cmp(&size(left)).then_with(|| left.edge.cmp(&right.edge)));
    accounts
}

/// Whether any part of the way takes longer in typical calls.
pub(super) fn has_risen(edge: &EdgeGap) -> bool {
    [edge.before, edge.after, edge.wait].iter().any(|gap| gap.whose != Whose::Nobody)
}

/// The part of a suspected edge that adds most, if the subject is an edge that both windows have.
pub(super) fn main_gap(evidence: Evidence<'_>, subject: u32) -> Option<Gap> {
    let attribution = &evidence.comparison.attribution;
    let Subject::Edge(caller, callee) = attribution.subjects[subject as usize] else { return None };
    let edge = attribution.edge((caller, callee))?;
    let risen = [edge.before, edge.after, edge.wait].into_iter().filter(|gap| gap.whose != Whose::Nobody);
    risen.max_by(|left, right| left.rise_ns().total_cmp(&right.rise_ns()))
}

fn account(evidence: Evidence<'_>, edge: &EdgeGap, [visits, before, after, wait]: &Totals) -> EdgeAccount {
    let name = |service: u32| evidence.forest.services[service as usize].name.clone();
    let per_call = |ns: &[f64; 2]| pair([0, 1].map(|window: usize| ratio(ns[window], visits[window]) / NS_PER_MS));
    let part = |part: &str, per_call: Pair, gap: &Gap| {
        let [caller_worth_ms, callee_worth_ms] = gap.worths.map(|worth| worth / NS_PER_MS);
        EdgePart {
            part: part.to_owned(),
            change_ms: per_call.regression - per_call.baseline,
            typical_change_ms: gap.rise_ns() / NS_PER_MS,
            whose: gap.whose,
            service: name(if gap.caller_share > 0.5 { edge.caller } else { edge.callee }),
            caller_share: gap.caller_share,
            caller_worth_ms,
            callee_worth_ms,
            reason: standing::edge_reason(part, (&name(edge.caller), &name(edge.callee)), gap),
        }
    };
    let (before_ms, after_ms, wait_ms) = (per_call(before), per_call(after), per_call(wait));
    let mut blamed = vec![
        part("before", before_ms, &edge.before),
        part("after", after_ms, &edge.after),
        part("wait", wait_ms, &edge.wait),
    ];
    blamed.retain(|part| part.change_ms != 0.0);
    EdgeAccount {
        edge: Edge { caller: name(edge.caller), callee: name(edge.callee) },
        n_visits: pair(*visits),
        before_ms,
        after_ms,
        wait_ms,
        blamed,
    }
}
