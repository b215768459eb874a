//! What the numbers mean, in sentences.

use super::document::{
    Analysis, Degradation, Edge, ErrorPart, Finding, Operation, Pair, RankedService, RowCause, Suspect,
};
use crate::compare::attribute::Cause;
use crate::compare::edges::{Gap, Whose};
use crate::rank::{Channel, FLOOR_ERRORS, MAX_Q, MIN_REQUESTS, Verdict};
use crate::time::{format_ms, format_signed, format_signed_ms};
use crate::window::{AutomaticRule, WindowChoice};

/// A suspect's main effect.
pub(super) struct Main {
    pub(super) cause: Cause,
    pub(super) change_ms: f64,
    /// What is called, and the service that calls it.
    pub(super) callee: Option<Operation>,
    pub(super) asker: Option<String>,
    /// Whether no call of the baseline has time that is the suspect's.
    pub(super) is_new: bool,
}

pub(super) fn ms(value: f64) -> String {
    format!("{} ms", format_ms(value))
}

pub(super) fn signed_ms(value: f64) -> String {
    format!("{} ms", format_signed_ms(value))
}

pub(super) fn points(ratio: f64) -> String {
    format!("{} points", format_signed(ratio * 100.0, 1))
}

pub(super) fn subject(suspect: &Suspect) -> String {
    match (&suspect.operation, &suspect.edge) {
        (Some(operation), _) => operation.clone(),
        (None, Some(edge)) => format!("{} -> {}", edge.caller, edge.callee),
        (None, None) => String::new(),
    }
}

pub(super) fn channel(channel: Option<Channel>) -> &'static str {
    match channel {
        Some(Channel::Latency | Channel::TypicalLatency) => "slower",
        Some(Channel::TailLatency) => "slower tail",
        Some(Channel::Errors) => "errors",
        Some(Channel::MissingCalls) => "missing calls",
        None => "",
    }
}

pub(super) fn kind(channel: Channel, main: Option<&Main>) -> &'static str {
    match (channel, main.map(|main| main.cause)) {
        (Channel::Errors, _) | (_, Some(Cause::Failing)) => "errors",
        (Channel::MissingCalls, _) => "missing calls",
        (_, None | Some(Cause::Slower | Cause::Peer)) => "slower",
        (_, Some(Cause::Network)) => "network",
        (_, Some(Cause::Calls)) => "more calls",
        (_, Some(Cause::Retry)) => "retries",
        (_, Some(Cause::Misses)) => "cache misses",
        (_, Some(Cause::CriticalPath)) => "critical path",
        (_, Some(Cause::LostParallelism)) => "lost parallelism",
    }
}

/// Why it is suspected, told by the requests that the channel looks at.
pub(super) fn reason(suspect: &Suspect, channel: Channel, per_call_ms: Pair, main: Option<&Main>) -> String {
    let which = match channel {
        Channel::TypicalLatency => "in typical requests ",
        Channel::TailLatency => "in the slowest 5 % of requests ",
        Channel::Latency | Channel::Errors | Channel::MissingCalls => "",
    };
    format!("{which}{}", reason_of_these(suspect, channel, per_call_ms, main))
}

fn reason_of_these(suspect: &Suspect, channel: Channel, per_call_ms: Pair, main: Option<&Main>) -> String {
    let name = subject(suspect);
    let (before, after) = (ms(per_call_ms.baseline), ms(per_call_ms.regression));
    if channel == Channel::Errors && suspect.contribution.fails_in_background() {
        return format!(
            "{} of work in the background, which no request waits for, begin with {name}",
            suspect.contribution.told_background_failures().unwrap_or_default()
        );
    }
    if channel == Channel::Errors {
        return format!("{} of requests fail beginning with {name}", points(suspect.contribution.front_error_ratio()));
    }
    let Some(main) = main else {
        return format!("{name} adds {} a request", signed_ms(suspect.contribution.ms));
    };
    let callee =
        main.callee.as_ref().map_or_else(String::new, |callee| format!("{}: {}", callee.service, callee.operation));
    if matches!(main.cause, Cause::Slower | Cause::Peer | Cause::Network) && main.is_new {
        return format!(
            "{name}, which is new, takes {after} a call: {} a request beside what it replaces",
            signed_ms(main.change_ms)
        );
    }
    match main.cause {
        Cause::Slower => format!("{name} itself takes {after} a call instead of {before}"),
        Cause::Peer => format!("{name} waits {after} a call for its answer instead of {before}"),
        Cause::Network => format!("a call of {name} spends {after} on its way instead of {before}"),
        Cause::Calls if main.change_ms < 0.0 => {
            format!("{name} calls {callee} less often, {} a request", signed_ms(main.change_ms))
        }
        Cause::Calls => format!("{name} calls {callee} more often, {} a request", signed_ms(main.change_ms)),
        Cause::Retry => {
            format!("calls that fail because of {name} are repeated, {} a request", signed_ms(main.change_ms))
        }
        Cause::Failing => {
            let often = if main.change_ms < 0.0 { "less" } else { "more" };
            format!("{name} fails and {callee} is called {often} often for it, {} a request", signed_ms(main.change_ms))
        }
        Cause::Misses => {
            let lookups = format!("lookups of {}: {name}", suspect.service);
            format!("more {lookups} miss and lead to {callee}, {} a request", signed_ms(main.change_ms))
        }
        Cause::CriticalPath => {
            format!(
                "its caller waits for {}: {name} where it did not before, {} a request",
                suspect.service,
                signed_ms(main.change_ms)
            )
        }
        Cause::LostParallelism => {
            format!("{name} does one after the other what it did side by side, {} a request", signed_ms(main.change_ms))
        }
    }
}

/// Why a slower way is given to one of its ends: what the other ways of both ends did.
pub(super) fn whose(gap: &Gap, edge: Option<&Edge>) -> String {
    let Some(Edge { caller, callee }) = edge else { return String::new() };
    let [[callers, of_callers], [callees, of_callees]] = gap.risen;
    let others = |risen: usize, all: usize, name: &str| match (risen.saturating_sub(1), all.saturating_sub(1)) {
        (_, 0) => format!("{name} has no other to compare"),
        (0, 1) => format!("the only other of {name} did not get slower"),
        (_, 1) => format!("the only other of {name} got slower likewise"),
        (risen, all) => format!("{risen} of {all} others of {name} got slower likewise"),
    };
    let others = format!("{}, {}", others(callers, of_callers, caller), others(callees, of_callees, callee));
    match gap.whose {
        Whose::Link if of_callers + of_callees == 2 => {
            "; neither end has another way to compare: the link itself or either of them".to_owned()
        }
        Whose::Link => format!("; no other way of either end got slower ({others}): the link itself"),
        Whose::Both => format!("; both ends share it ({others})"),
        Whose::Nobody | Whose::Caller | Whose::Callee => format!(" ({others})"),
    }
}

/// The answer in a sentence that a tired person understands.
pub(super) fn summary(analysis: &Analysis, doubts: &[String]) -> String {
    let answer = answer(analysis, doubts);
    let has_recovered = matches!(analysis.windows.choice, WindowChoice::Automatic(AutomaticRule::Recovery { .. }));
    if has_recovered && analysis.verdict == Verdict::Regression {
        // The data cannot tell an incident that ended from an improvement.
        let until = &analysis.windows.regression.end;
        return format!(
            "Until {until} it was worse than since, be it an incident that ended or an improvement: {answer}"
        );
    }
    answer
}

fn answer(analysis: &Analysis, doubts: &[String]) -> String {
    let degradation = &analysis.degradation;
    let mean = degradation.mean_ms;
    let change = format!(
        "the mean latency of {} went from {} to {} ({}, {} %)",
        degradation.of,
        ms(mean.baseline),
        ms(mean.regression),
        signed_ms(degradation.change_ms),
        format_signed(degradation.change_percent, 0)
    );
    let [before, after] = degradation.failing();
    let errors = format!("their error share from {before} to {after}");
    match analysis.verdict {
        Verdict::Regression => {
            let culprit = match (analysis.services.first(), analysis.suspects.first()) {
                (Some(service), Some(suspect)) => culprit(&service.service, suspect, analysis),
                _ => "something got worse".to_owned(),
            };
            format!("{culprit}; {change}, {errors}{}.", with_the_same(degradation))
        }
        Verdict::TrafficMix => format!(
            "No service got worse: {change} because other requests were made, {errors}; with the same requests it would have changed by {}.",
            signed_ms(degradation.adjusted_change_ms)
        ),
        Verdict::NoSignificantChange if degradation.adjusted_interval_ms[1] < 0.0 => format!(
            "Nothing got worse that can be told from chance, and {} got faster: {change}, {errors}{}.",
            degradation.of,
            with_the_same(degradation)
        ),
        Verdict::NoSignificantChange => {
            format!(
                "Nothing got worse that can be told from chance: {change}, {errors}{}.",
                but_for_failures(degradation)
            )
        }
        // Not for want of certainty about what did come.
        Verdict::Inconclusive if !doubts.is_empty() => {
            format!("The data cannot tell: {}; {change}, {errors}.", doubts.join("; "))
        }
        Verdict::Inconclusive => {
            format!(
                "The data cannot tell: {change} (95 % interval {} to {}), {errors}, and no part of that can be told from chance.",
                signed_ms(degradation.interval_ms[0]),
                signed_ms(degradation.interval_ms[1])
            )
        }
    }
}

/// That requests take longer only because fewer are ended early by a failure.
fn but_for_failures(degradation: &Degradation) -> String {
    match degradation.without_failures {
        Some(without) if degradation.adjusted_interval_ms[0] > 0.0 => format!(
            ": fewer are ended early by a failure, and those that succeed took {} and take {}",
            ms(without.mean_ms.baseline),
            ms(without.mean_ms.regression)
        ),
        _ => String::new(),
    }
}

/// How the mean latency changed but for the mix of requests, where the mix is most of its change.
fn with_the_same(degradation: &Degradation) -> String {
    let (change, adjusted) = (degradation.change_ms, degradation.adjusted_change_ms);
    if (change - adjusted).abs() <= change.abs() / 2.0 {
        return String::new();
    }
    format!("; with the same mix of {} the latency would have changed by {}", degradation.of, signed_ms(adjusted))
}

/// What kind of part a suspect of this kind is, where its service's others may be of another.
fn cause_of(kind: &str) -> Option<Cause> {
    match kind {
        "network" | "slow link" => Some(Cause::Network),
        "more calls" | "new call" | "N+1" => Some(Cause::Calls),
        "retries" | "retry storm" => Some(Cause::Retry),
        _ => None,
    }
}

/// What a service adds to the mean by one cause.
fn by_cause_ms(analysis: &Analysis, service: &str, cause: Cause) -> f64 {
    let rows = analysis.decomposition.rows.iter();
    let own = rows.filter(|row| row.service.as_deref() == Some(service) && row.cause == RowCause::Of(cause));
    own.map(|row| row.contribution_ms).sum()
}

/// A smaller share of what a service adds is all but none.
const LEAST_FRONT: f64 = 0.05;

fn culprit(service: &str, suspect: &Suspect, analysis: &Analysis) -> String {
    let name = subject(suspect);
    let contribution = &suspect.contribution;
    match suspect.kind.as_str() {
        "errors" if contribution.fails_in_background() => format!(
            "{service} fails in the background, which no request waits for: {} because of {name}",
            contribution.told_background_failures().unwrap_or_default()
        ),
        "errors" => {
            format!(
                "{service} fails: {} of all requests fail because of {name}",
                points(contribution.front_error_ratio())
            )
        }
        "timeouts" | "silent" if contribution.error_ratio >= FLOOR_ERRORS => format!(
            "{service} {}: {} of all requests fail because of {name}",
            if suspect.kind == "silent" { "does not answer" } else { "answers too late" },
            points(contribution.front_error_ratio())
        ),
        "missing calls" | "early return" | "gone call" | "fewer calls" => {
            format!("{service} does less than before: {}", suspect.reason)
        }
        kind => {
            let ranked = analysis.services.iter().find(|ranked| ranked.service == service);
            let whole = ranked.map_or(contribution.ms, |ranked| ranked.contribution.ms);
            let behind = ranked.map_or(contribution, |ranked| &ranked.contribution).told_background_ms();
            // A sentence about one cause tells what that adds, and what the service does in all beside it.
            let front = whole - behind.unwrap_or(0.0);
            let part = cause_of(kind).map(|cause| by_cause_ms(analysis, service, cause));
            let part = part.filter(|part| (part - front).abs() > LEAST_FRONT * front.abs());
            let kind = if part.is_some_and(|part| part < front / 2.0) { "mixed" } else { kind };
            let in_all = part.map_or_else(String::new, |_| format!(" ({service} adds {} in all)", ms(whole)));
            let total = match behind {
                _ if let Some(part) = part.filter(|_| kind != "mixed") => ms(part),
                None => ms(whole),
                Some(behind) if whole - behind > LEAST_FRONT * whole => {
                    format!("{}, and {} of work in the background,", ms(whole - behind), ms(behind))
                }
                Some(behind) => format!("{} of work in the background", ms(behind)),
            };
            match kind {
                "network" | "slow link" | "more calls" | "new call" | "N+1" | "retries" | "retry storm"
                    if whole <= 0.0 =>
                {
                    format!("a part of {service} got worse: {}", suspect.reason)
                }
                "network" | "slow link" if let Some((edge, whole)) = shared(suspect, whole, analysis) => format!(
                    "calls from {} to {} spend {} more on their way (network, queue or connection pool) in a request on average, which either end may be to blame for",
                    edge.caller,
                    edge.callee,
                    ms(whole)
                ),
                "slow link" if let Some(edge) = &suspect.edge => format!(
                    "calls from {} to {} spend {total} more on their way (network, queue or connection pool) in a request on average, which the link itself or {service} may be to blame for{in_all}",
                    edge.caller, edge.callee
                ),
                "network" | "slow link" => format!(
                    "calls to and from {service} spend {total} more on their way (network, queue or connection pool) in a request on average, most of all {name}{in_all}"
                ),
                "more calls" | "new call" | "N+1" => format!(
                    "{service} makes more calls than before, which adds {total} to a request on average, most of all {name}{in_all}"
                ),
                "retries" | "retry storm" => format!(
                    "failing calls to {service} are repeated, which adds {total} to a request on average, most of all {name}{in_all}"
                ),
                _ => match ranked.and_then(surest) {
                    Some(finding) if finding.channel == Channel::TypicalLatency => {
                        format!("{service} adds {} to a typical request, most of all in {name}", ms(finding.change))
                    }
                    Some(finding) if finding.channel == Channel::TailLatency => {
                        format!("{service} adds {} to the slowest requests, most of all in {name}", ms(finding.change))
                    }
                    // One part got slower beyond doubt while the rest may have done anything.
                    _ if contribution.interval_ms[0] > 0.0
                        && suspect.edge.is_none()
                        && behind.is_none()
                        && ranked.is_some_and(|ranked| ranked.contribution.interval_ms[0] <= 0.0) =>
                    {
                        format!("{service} adds {} to a request on average in {name}", ms(contribution.ms))
                    }
                    // Or while the rest got faster.
                    _ if ranked.is_some_and(|ranked| ranked.contribution.ms <= 0.0) => {
                        format!("a part of {service} got slower: {}", suspect.reason)
                    }
                    _ => {
                        let place = suspect.edge.as_ref().map_or(format!("in {name}"), |edge| {
                            format!("on the way from {} to {}", edge.caller, edge.callee)
                        });
                        format!("{service} adds {total} to a request on average, most of all {place}")
                    }
                },
            }
        }
    }
}

/// The way that a service shares with its other end, if that is nearly all of the `whole` that it is accused of, and what both have of it.
fn shared<'a>(suspect: &'a Suspect, whole: f64, analysis: &Analysis) -> Option<(&'a Edge, f64)> {
    let edge = suspect.edge.as_ref()?;
    let is_half = |other: &&Suspect| other.edge.as_ref() == Some(edge) && other.service != suspect.service;
    let other = analysis.suspects.iter().find(is_half)?.contribution.ms;
    let own = suspect.contribution.ms;
    (own >= MOST * whole && other > 0.0).then_some((edge, own + other))
}

/// A part that is nearly the whole has this share of it.
const MOST: f64 = 0.8;

/// What a service is accused of: what the mean tells if it tells anything, else the first that does.
fn surest(service: &RankedService) -> Option<&Finding> {
    let mut told = service.findings.iter().filter(|finding| finding.is_significant);
    told.clone().find(|finding| finding.channel == Channel::Latency).or_else(|| told.next())
}

/// Failures told that requests survive.
const MAX_SURVIVED: usize = 3;

/// Failures that became more and fail no request, which no other figure counts.
fn survived(analysis: &Analysis) -> Vec<String> {
    let more = |part: &&ErrorPart| part.q <= MAX_Q && part.change >= FLOOR_ERRORS && part.interval[0] > 0.0;
    let parts = analysis.errors.swallowed.iter().filter(more).take(MAX_SURVIVED);
    let told = parts.map(|part| {
        format!(
            "{}: {} fails {} times a request, {} before, which requests survive: trouble that their figures hide",
            part.service,
            part.operation,
            format_ms(part.per_request.regression),
            format_ms(part.per_request.baseline)
        )
    });
    told.collect()
}

/// What limits the answer.
pub(super) fn warnings(analysis: &Analysis) -> Vec<String> {
    let diagnostics = &analysis.diagnostics;
    let repairs = &diagnostics.repairs;
    let n_spans = diagnostics.n_spans_analysed.max(1) as f64;
    let share = |count: u64| format!("{:.1} %", count as f64 / n_spans * 100.0);
    let mut warnings = survived(analysis);
    let mut warn = |condition: bool, text: String| {
        if condition {
            warnings.push(text);
        }
    };
    let few = [&analysis.windows.baseline, &analysis.windows.regression]
        .iter()
        .any(|window| (window.n_traces as f64) < MIN_REQUESTS);
    warn(few, format!("a window holds fewer than {MIN_REQUESTS} requests: only large changes can be told from chance"));
    let (n_on_both, n_traces) = (diagnostics.n_traces_on_both_sides, analysis.windows.regression.n_traces);
    warn(
        n_on_both > 0,
        format!(
            "{n_on_both} of the regression's {n_traces} traces are in the baseline's data, too: of these nothing can differ"
        ),
    );
    warn(
        repairs.n_orphans > 0,
        format!(
            "{} spans ({}) name a parent that is not in the data: they count for their own operations, not for end-to-end latency",
            repairs.n_orphans,
            share(repairs.n_orphans)
        ),
    );
    warn(
        analysis.degradation.of == "fragments",
        "no root span in one of the windows: latencies are those of fragments, not of whole requests".to_owned(),
    );
    warn(repairs.n_cycles > 0, format!("{} cycles of parents were cut", repairs.n_cycles));
    warn(
        repairs.n_conflicting_ids > 0,
        format!("{} spans have an id that another span of their trace also has", repairs.n_conflicting_ids),
    );
    let largest = repairs.skew.iter().map(|pair| pair.offset_ns.abs()).max().unwrap_or(0);
    let sum = |count: fn(&crate::normalize::SkewedPair) -> u64| repairs.skew.iter().map(count).sum::<u64>();
    warn(
        !repairs.skew.is_empty(),
        format!(
            "clocks (or their rounding) differ between {} {} of hosts (of services, where spans name no host), by up to {}: {} of {} calls between them fell outside their caller and were moved",
            repairs.skew.len(),
            if repairs.skew.len() == 1 { "pair" } else { "pairs" },
            ms(largest as f64 / 1e6),
            sum(|pair| pair.n_corrected),
            sum(|pair| pair.n_calls)
        ),
    );
    warn(
        repairs.n_extended > 0,
        format!("{} spans have no duration: they were taken to last until their children end", repairs.n_extended),
    );
    warn(
        repairs.n_inferred_kinds > 0,
        format!("{} spans have no kind: it was inferred from service boundaries", repairs.n_inferred_kinds),
    );
    warn(
        !repairs.folded_services.is_empty(),
        format!("operation names hold ids and were folded into templates in {}", repairs.folded_services.join(", ")),
    );
    warn(
        repairs.n_weighted_traces > 0 && repairs.n_unweighted_traces > 0,
        format!(
            "{} traces carry a sampling weight and {} do not: those count once, which may be wrong",
            repairs.n_weighted_traces, repairs.n_unweighted_traces
        ),
    );
    warnings
}
