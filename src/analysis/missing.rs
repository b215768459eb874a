//! Spans that are lost: where one end of a call leaves none, its time shows at the other end, and nothing got slower. And names that a profile
//! folded otherwise than the spans beside it.

use super::build::ratio;
use super::document::Analysis;
use super::evidence::Evidence;
use super::rows::{BASELINE, REGRESSION};
use crate::compare::attribute::is_outbound;
use crate::compare::paths::{NO_PATH, Scope};
use crate::compare::structure::Kind;
use crate::normalize::{Need, SpanFlags};
use crate::span::SpanKind;

/// A share of calls with one end that differs by this much between windows moves as much of what calls take; of less than half of that it is
/// seen at once that it does not.
const MUCH: f64 = 0.02;
/// Where much is missing in both, by chance and traffic the share differs by less than this factor.
const TIMES: f64 = 2.0;

/// Of each window the share of calls between services of which one end left no span: that of the callee, although it reports others,
/// or that of the caller, so that the callee's has no parent.
pub(super) fn ratios(evidence: Evidence<'_>) -> [f64; 2] {
    let (forest, paths) = (evidence.forest, &evidence.table.paths.list);
    let counts = [&evidence.comparison.baseline, &evidence.comparison.regression].map(|sums| {
        let (mut asked, mut answered, mut fragments) = (0.0, 0.0, 0.0);
        for (index, path) in paths.iter().enumerate() {
            let operation = forest.operations[path.operation as usize];
            let reports = |peer: u32| !forest.services[peer as usize].is_inferred;
            if is_outbound(operation) && operation.kind == SpanKind::Client && operation.peer.is_some_and(reports) {
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
        (asked, (asked - answered).max(0.0), fragments)
    });
    // What nobody waits for begins without a caller, too: what names one that is not there has to be counted.
    let most = counts.map(|(asked, unanswered, fragments)| ratio(unanswered + fragments, asked + fragments));
    let least = counts.map(|(asked, unanswered, fragments)| ratio(unanswered, asked + fragments));
    let may_differ = most[REGRESSION] - least[BASELINE] >= MUCH || most[BASELINE] - least[REGRESSION] >= MUCH;
    if !may_differ {
        return counts.map(|(asked, unanswered, _)| ratio(unanswered, asked));
    }
    [BASELINE, REGRESSION].map(|window| {
        let (asked, unanswered, fragments) = counts[window];
        let mut orphans = 0.0;
        forest.each_stretch(evidence.traces(window), Need::Links, |stretch, traces| {
            for &trace in traces {
                let spans = stretch.forest.spans_of(stretch.local(trace));
                let forest = stretch.forest;
                let is_orphan =
                    |&span: &usize| forest.flags[span].has(SpanFlags::ORPHAN) && forest.kind(span) == SpanKind::Server;
                let n_orphans = spans.filter(is_orphan).count();
                orphans += evidence.forest.weight[trace as usize] * n_orphans as f64;
            }
        });
        // A profile knows how many there were of all its traces.
        let kept = evidence.kept.filter(|_| window == BASELINE);
        let orphans = kept.map_or(orphans, |kept| kept.about.repairs.n_orphans as f64).min(fragments);
        ratio(unanswered + orphans, asked + orphans)
    })
}

/// Why what is told of parts may come of how spans were kept and not of what ran; nothing if it does not.
pub(crate) fn untold(analysis: &Analysis) -> Option<String> {
    lost(analysis).or_else(|| folded_apart(analysis))
}

/// That operations have other names in a profile than in the spans beside it.
pub(super) fn folded_apart(analysis: &Analysis) -> Option<String> {
    let services = &analysis.diagnostics.repairs.folded_apart;
    (!services.is_empty()).then(|| {
        format!(
            "operation names of {} hold ids, and are folded into templates in the profile alone or beside it alone, so that the same operation has other names: make the profile from more or fewer spans, or give spans instead of it",
            services.join(", ")
        )
    })
}

/// That spans are lost in one of the windows, if so many are that parts cannot be told; not where callees fell silent because they fail.
pub(super) fn lost(analysis: &Analysis) -> Option<String> {
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
