//! Changes of structure in the document's words.

use super::build::{NS_PER_MS, pair, percent};
use super::document::{Operation, Pair, StructureChange, Suspect};
use super::evidence::Evidence;
use super::wording::Main;
use crate::compare::attribute::Cause;
use crate::compare::paths::FailureKind;
use crate::compare::structure::{self, Change, Kind};
use crate::rank::Channel;
use crate::time::format_ms;

/// Changes listed: beyond lies what nobody reads.
const MAX_CHANGES: usize = 200;

/// The changes of structure, the dearest first.
pub(super) fn changes(evidence: Evidence<'_>) -> Vec<StructureChange> {
    let found = structure::changes(evidence.forest, evidence.table, evidence.selection, evidence.comparison);
    found.iter().take(MAX_CHANGES).map(|change| document(evidence, change)).collect()
}

/// An operation by whom it asks, where it asks somebody: its own service says little of a call.
pub(super) fn asked(evidence: Evidence<'_>, index: u32) -> Operation {
    let forest = evidence.forest;
    let operation = forest.operations[index as usize];
    let service = operation.peer.unwrap_or(operation.service);
    Operation {
        service: forest.services[service as usize].name.clone(),
        operation: forest.operation_name(operation).to_owned(),
    }
}

fn document(evidence: Evidence<'_>, change: &Change) -> StructureChange {
    let forest = evidence.forest;
    let caller = |index: u32| {
        let operation = forest.operations[index as usize];
        Operation {
            service: forest.services[operation.service as usize].name.clone(),
            operation: forest.operation_name(operation).to_owned(),
        }
    };
    let service = &forest.services[change.service as usize];
    let callee = change.callee.map(|callee| asked(evidence, callee));
    let mut result = StructureChange {
        kind: change.kind,
        service: service.name.clone(),
        caller: match change.kind {
            Kind::Timeouts => change.callee.map(caller),
            _ => change.operation.map(caller),
        },
        callee,
        n_other_callees: change.n_others,
        calls_per_visit: pair(change.per_visit),
        change: change.change.value,
        interval: change.change.interval(),
        q: change.q,
        contribution_ms: change.contribution_ns / NS_PER_MS,
        contribution_percent: percent(change.contribution_ns, evidence.comparison.adjusted_ns.value),
        requests_affected: change.requests_affected,
        share_affected: change.share_affected,
        limit_ms: change.limit_ns.map(|limit| limit as f64 / NS_PER_MS),
        description: String::new(),
    };
    result.description = describe(&result);
    result
}

/// Calls a visit, to two digits behind the point where there are few.
fn calls(value: f64) -> String {
    if value >= 10.0 { format!("{value:.1}") } else { format!("{value:.2}") }
}

fn share(value: f64) -> String {
    format!("{:.0} %", value * 100.0)
}

/// The change in a sentence.
fn describe(change: &StructureChange) -> String {
    let name = |operation: &Option<Operation>| {
        operation.as_ref().map_or_else(String::new, |known| format!("{}: {}", known.service, known.operation))
    };
    let (caller, callee) = (name(&change.caller), name(&change.callee));
    let Pair { baseline, regression } = change.calls_per_visit;
    let (before, after) = (calls(baseline), calls(regression));
    let (share_before, share_after) = (share(baseline), share(regression));
    let service = &change.service;
    match change.kind {
        Kind::NewCall => format!("{caller} calls {callee}, which it did not before: {after} calls a visit"),
        Kind::GoneCall => format!("{caller} no longer calls {callee}, which it did {before} times a visit"),
        Kind::MoreCalls => format!("{caller} calls {callee} {after} times a visit instead of {before}"),
        Kind::FewerCalls => format!("{caller} calls {callee} only {after} times a visit instead of {before}"),
        Kind::NPlusOne => {
            format!("{caller} calls {callee} {after} times a visit, one after the other, instead of {before} times")
        }
        Kind::RetryStorm => {
            format!("{caller} repeats failed calls of {callee} {after} times a visit instead of {before}")
        }
        Kind::LostParallelism => format!(
            "{caller} does one after the other what it did side by side: {share_after} of its calls' time is hidden behind other calls instead of {share_before}"
        ),
        Kind::EarlyReturn => {
            let others = match change.n_other_callees {
                0 => String::new(),
                1 => " and one call after it".to_owned(),
                n_others => format!(" and {n_others} calls after it"),
            };
            format!(
                "{caller} ends before it calls {callee}{others}: it calls it {after} times a visit instead of {before}"
            )
        }
        Kind::Silent => format!(
            "{service} leaves a span in {share_after} of the calls to it instead of {share_before}, and its callers suffer"
        ),
        Kind::Unobserved => format!(
            "{service} leaves a span in {share_after} of the calls to it instead of {share_before}, and its callers do as well as before: its spans are missing, not the service"
        ),
        Kind::Timeouts => {
            let limit = change.limit_ms.map_or_else(
                || "while it goes on".to_owned(),
                |limit| format!("at a limit of {} ms", format_ms(limit)),
            );
            format!("{caller} gives up {share_after} of its calls to {service} {limit}, instead of {share_before}")
        }
    }
}

/// The kind in a word or two.
pub(super) fn label(kind: Kind) -> &'static str {
    match kind {
        Kind::NewCall => "new call",
        Kind::GoneCall => "gone call",
        Kind::MoreCalls => "more calls",
        Kind::FewerCalls => "fewer calls",
        Kind::NPlusOne => "N+1",
        Kind::RetryStorm => "retry storm",
        Kind::LostParallelism => "lost parallelism",
        Kind::EarlyReturn => "early return",
        Kind::Silent => "silent",
        Kind::Unobserved => "spans missing",
        Kind::Timeouts => "timeouts",
    }
}

/// Names a suspect by the change of structure that makes it one, if there is such a change.
pub(super) fn refine(
    suspect: &mut Suspect,
    changes: &[StructureChange],
    channel: Channel,
    main: Option<&Main>,
    failures: FailureKind,
) {
    let is_of = |change: &&StructureChange| {
        let is_caller = change.service == suspect.service
            && change.caller.as_ref().is_some_and(|caller| Some(&caller.operation) == suspect.operation.as_ref());
        let is_service = change.service == suspect.service;
        match (channel, change.kind) {
            (Channel::MissingCalls, Kind::EarlyReturn | Kind::GoneCall | Kind::FewerCalls) => is_caller,
            (Channel::Errors, Kind::Silent) => is_service && failures == FailureKind::Unanswered,
            (Channel::Errors, Kind::Timeouts) => is_service && failures == FailureKind::TimedOut,
            (Channel::Latency | Channel::TypicalLatency | Channel::TailLatency, kind) => {
                match (main.map(|main| main.cause), kind) {
                    (Some(Cause::Calls), Kind::NewCall | Kind::MoreCalls | Kind::NPlusOne) => {
                        is_caller && change.callee.as_ref() == main.and_then(|main| main.callee.as_ref())
                    }
                    (Some(Cause::Misses), Kind::MoreCalls | Kind::NPlusOne) => main.is_some_and(|main| {
                        main.asker.as_ref() == Some(&change.service) && main.callee == change.callee
                    }),
                    (Some(Cause::LostParallelism), Kind::LostParallelism) => is_caller,
                    (Some(Cause::Retry), Kind::RetryStorm) | (Some(Cause::Peer), Kind::Silent | Kind::Timeouts) => {
                        is_service
                    }
                    _ => false,
                }
            }
            _ => false,
        }
    };
    // The dearest comes first.
    if let Some(change) = changes.iter().find(is_of) {
        let are_misses = matches!(change.kind, Kind::MoreCalls | Kind::NPlusOne)
            && main.is_some_and(|main| main.cause == Cause::Misses);
        if !are_misses {
            label(change.kind).clone_into(&mut suspect.kind);
        }
        suspect.reason = if channel == Channel::Errors || are_misses {
            format!("{}; {}", suspect.reason, change.description)
        } else {
            change.description.clone()
        };
    } else if channel == Channel::Errors && failures == FailureKind::TimedOut {
        "timeouts".clone_into(&mut suspect.kind);
    }
}
