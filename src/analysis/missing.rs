//! Spans that are lost: where one end of a call leaves none, its time shows at the other end, and nothing got slower. And names that a profile
//! folded otherwise than the spans beside it.

use super::build::ratio;
use super::document::Analysis;
use super::evidence::Evidence;
use super::rows::{BASELINE, REGRESSION};
use crate::compare::paths::{NO_PATH, Scope};
use crate::compare::structure::Kind;
use crate::normalize::{Need, SpanFlags};
use crate::span::SpanKind;

/// A share of calls with one end that differs by this much between windows moves as much of what calls take.
const MUCH: f64 = 0.02;
/// Where much is missing in both, by chance and traffic the share differs by less than this factor.
const TIMES: f64 = 2.0;

/// Of each window the share of calls between services of which one end left no span: that of the callee, although it reports others,
/// or that of the caller, so that the callee's has no parent.
pub(super) fn ratios(evidence: Evidence<'_>) -> [f64; 2] {
    let (forest, paths) = (evidence.forest, &evidence.table.paths.list);
    let windows = [(BASELINE, &evidence.comparison.baseline), (REGRESSION, &evidence.comparison.regression)];
    windows.map(|(window, sums)| {
        let (mut asked, mut answered, mut fragments) = (0.0, 0.0, 0.0);
        for (index, path) in paths.iter().enumerate() {
            let operation = forest.operations[path.operation as usize];
            let reports = |peer: u32| !forest.services[peer as usize].is_inferred;
            if operation.kind == SpanKind::Client && operation.peer.is_some_and(reports) {
                asked += sums.n_visits[index];
            }
            if path.parent == NO_PATH {
                let is_answer = path.scope == Scope::Background && operation.kind == SpanKind::Server;
                fragments += if is_answer { sums.n_visits[index] } else { 0.0 };
            } else {
                let caller = forest.operations[paths[path.parent as usize].operation as usize];
                let is_answer = caller.kind == SpanKind::Client && caller.peer == Some(operation.service);
                answered += if is_answer { sums.n_calls[index] } else { 0.0 };
            }
        }
        // What nobody waits for begins without a caller, too: what names one that is not there has to be counted.
        let orphans = if fragments > 0.0 { orphans(evidence, window).min(fragments) } else { 0.0 };
        ratio((asked - answered).max(0.0) + orphans, asked + orphans)
    })
}

/// Server spans that name a parent which is not in the data; of a profile all spans that do.
fn orphans(evidence: Evidence<'_>, window: usize) -> f64 {
    if let Some(kept) = evidence.kept.filter(|_| window == BASELINE) {
        return kept.about.repairs.n_orphans as f64;
    }
    let mut sum = 0.0;
    evidence.forest.each_stretch(evidence.traces(window), Need::Links, |stretch, traces| {
        let forest = stretch.forest;
        let is_orphan =
            |&span: &usize| forest.flags[span].has(SpanFlags::ORPHAN) && forest.kind(span) == SpanKind::Server;
        for &trace in traces {
            let n_orphans = forest.spans_of(stretch.local(trace)).filter(is_orphan).count();
            sum += evidence.forest.weight[trace as usize] * n_orphans as f64;
        }
    });
    sum
}

/// Why what is told of parts may come of how spans were kept and not of what ran; nothing if it does not.
pub(crate) fn untold(analysis: &Analysis) -> Option<String> {
    lost(analysis).or_else(|| folded_apart(analysis))
}

/// That operations have other names in a profile than in the spans beside it.
fn folded_apart(analysis: &Analysis) -> Option<String> {
    let services = &analysis.diagnostics.repairs.folded_apart;
    (!services.is_empty()).then(|| {
        format!(
            "operation names of {} hold ids, and are folded into templates in the profile alone or beside it alone, so that the same operation has other names: make the profile from more or fewer spans, or give spans instead of it",
            services.join(", ")
        )
    })
}

/// That spans are lost in one of the windows, if so many are that parts cannot be told; not where callees fell silent because they fail.
fn lost(analysis: &Analysis) -> Option<String> {
    let [before, after] = [&analysis.windows.baseline, &analysis.windows.regression].map(|window| window.missing_ratio);
    let suffers = |kind: Kind| matches!(kind, Kind::Silent | Kind::Timeouts);
    let (less, more) = (before.min(after), before.max(after));
    if more - less < MUCH || more < TIMES * less || analysis.structure.iter().any(|change| suffers(change.kind)) {
        return None;
    }
    Some(format!(
        "spans are lost: of {:.1} % of the calls between services one end left none, of {:.1} % in the baseline, which by itself moves time between caller and callee",
        100.0 * after,
        100.0 * before
    ))
}
