//! Why a suspect is accused or not, in sentences made of the account's own numbers.

use super::document::Analysis;
use super::explanation::{About, ChannelAccount, Explanation};
use super::suspects::MIN_SHARE;
use super::wording::{ms, points, signed_ms};
use crate::compare::edges::{Gap, Whose};
use crate::rank::{Channel, MAX_Q, Verdict};

/// What the account is about, as people write it.
pub(super) fn title(about: &About) -> String {
    match (&about.operation, &about.edge) {
        (Some(operation), _) => format!("{}: {operation}", about.service),
        (None, Some(edge)) => format!("{} -> {}", edge.caller, edge.callee),
        (None, None) => about.service.clone(),
    }
}

/// A false discovery rate with the digits that count.
fn rate(q: f64) -> String {
    match q {
        0.001.. => format!("{q:.3}"),
        1e-12.. => format!("{q:.0e}"),
        _ => "below 1e-12".to_owned(),
    }
}

/// The account in a sentence.
pub(super) fn account(explanation: &Explanation, analysis: &Analysis) -> String {
    let contribution = &explanation.contribution;
    let degradation = &analysis.degradation;
    let failures = if contribution.error_ratio.abs() >= 0.000_5 {
        format!(", and {} of requests fail because of it", points(contribution.error_ratio))
    } else {
        String::new()
    };
    let accused = match (explanation.is_accused, explanation.service_rank) {
        (true, Some(rank)) if explanation.about.operation.is_none() && explanation.about.edge.is_none() => {
            format!("it is suspect {rank}")
        }
        (true, _) => "it is accused".to_owned(),
        (false, _) => "it is not accused".to_owned(),
    };
    format!(
        "{} adds {} a request (95 % interval {} to {}), where the mean of {} changed by {} ({} with the same mix of requests){failures}; {accused}.",
        title(&explanation.about),
        signed_ms(contribution.ms),
        signed_ms(contribution.interval_ms[0]),
        signed_ms(contribution.interval_ms[1]),
        degradation.of,
        signed_ms(degradation.change_ms),
        signed_ms(degradation.adjusted_change_ms),
    )
}

/// Why it is accused or not: the verdict, every channel of its service, its part of its service.
pub(super) fn standing(explanation: &Explanation, analysis: &Analysis) -> Vec<String> {
    let mut sentences = Vec::new();
    match analysis.verdict {
        Verdict::Regression => {}
        Verdict::TrafficMix => sentences.push("nobody is accused: the mean moved with the mix of requests".to_owned()),
        Verdict::NoSignificantChange => {
            sentences.push("nobody is accused: no service's part can be told from chance".to_owned());
        }
        Verdict::Inconclusive => sentences.push("nobody is accused: the data cannot tell".to_owned()),
    }
    // The service that is blamed for an edge may be either end.
    let whose = match &explanation.about.edge {
        Some(edge) => explanation.suspects.first().map_or(edge.callee.as_str(), |suspect| suspect.service.as_str()),
        None => explanation.about.service.as_str(),
    };
    let was_accused = explanation.channels.iter().any(|channel| channel.is_significant);
    for channel in &explanation.channels {
        sentences.push(format!("{}: {}", name(channel.channel), channel_sentence(whose, channel)));
    }
    if was_accused && !explanation.is_accused && analysis.verdict == Verdict::Regression {
        let what = title(&explanation.about);
        sentences.push(format!(
            "{whose} is accused, {what} is not: it carries less than {:.0} % of what {whose} did",
            100.0 * MIN_SHARE
        ));
    }
    sentences
}

fn name(channel: Channel) -> &'static str {
    match channel {
        Channel::Latency => "mean latency",
        Channel::TypicalLatency => "typical latency",
        Channel::TailLatency => "tail latency",
        Channel::Errors => "errors",
        Channel::MissingCalls => "missing calls",
    }
}

fn channel_sentence(service: &str, account: &ChannelAccount) -> String {
    let is_errors = account.channel == Channel::Errors;
    let show = |value: f64| if is_errors { points(value) } else { signed_ms(value) };
    let interval = format!("({} to {})", show(account.interval[0]), show(account.interval[1]));
    let change = show(account.change);
    let sentence = match account.channel {
        Channel::Errors => format!("{change} of requests fail beginning with {service} {interval}"),
        Channel::MissingCalls => format!("{service} leaves out calls that took {change} a request {interval}"),
        Channel::Latency => format!("{service} adds {change} a request {interval}"),
        Channel::TypicalLatency => {
            format!("{service} adds {change} a request {interval} where wild calls count as usual ones")
        }
        Channel::TailLatency => {
            format!("{service} adds {change} to a request of the slowest 5 % {interval}")
        }
    };
    let floor = if is_errors { format!("{:.1} points", 100.0 * account.floor) } else { ms(account.floor) };
    let mut doubts = Vec::new();
    if account.change <= 0.0 {
        doubts.push("which is no worse than before".to_owned());
    } else if account.change < account.floor {
        doubts.push(format!("less than the {floor} that are worth reporting"));
    }
    match account.q {
        Some(q) if q > MAX_Q => {
            doubts.push(format!("not to be told from chance (q = {}, at most {MAX_Q} would do)", rate(q)));
        }
        Some(q) if account.is_significant => {
            return format!("{sentence}: more than the {floor} worth reporting and than chance (q = {})", rate(q));
        }
        _ => {}
    }
    if doubts.is_empty() {
        doubts.push("which counts for little where requests got faster on the whole".to_owned());
    }
    format!("{sentence}: {}", doubts.join(", "))
}

/// Why a part of an edge's time was given to one of its ends, or to both.
pub(super) fn edge_reason(part: &str, (caller, callee): (&str, &str), gap: &Gap) -> String {
    let is_callers = gap.caller_share > 0.5;
    let blamed = if is_callers { caller } else { callee };
    let [caller_worth, callee_worth] = gap.worths.map(|worth| ms(worth / 1e6));
    let worths = format!("{caller_worth} of {caller} against {callee_worth} of {callee}");
    let why = || match (part, is_callers) {
        _ if !gap.is_tie() => format!("the edges of {blamed} that rose explain it better"),
        ("before", true) => format!("{callee}'s own work is no slower, so requests were late when they arrived"),
        ("before", false) => format!("{callee}'s own work became slower too"),
        ("wait", true) => format!("{caller} waits longer for its other callees too"),
        _ => format!("such a tie is {blamed}'s"),
    };
    match gap.whose {
        Whose::Nobody => format!("it did not rise in typical calls: it stays with {blamed}"),
        Whose::Both => format!(
            "the edges of both ends rose alike ({worths} a call), so they share it: {:.0} % is {caller}'s",
            100.0 * gap.caller_share
        ),
        Whose::Link => format!(
            "no other edge of either end rose ({worths} a call): the way between them is slow, which counts for {blamed} because {}",
            why()
        ),
        Whose::Caller | Whose::Callee if gap.is_tie() => {
            format!("the edges of both ends rose alike ({worths} a call), and {}", why())
        }
        _ if is_callers == (gap.worths[0] > gap.worths[1]) => {
            format!("the edges of {blamed} that rose explain it better ({worths} a call)")
        }
        _ if part == "wait" => format!(
            "{callee} left no span: its time is its own unless the other edges of {caller} rose as well ({worths} a call)"
        ),
        _ => format!("the other end's edges rose more ({worths} a call), but not for this reason"),
    }
}
