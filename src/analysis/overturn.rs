//! What would overturn a finding: everything in the data that speaks against it, in sentences with its numbers.
//!
//! Each check looks for one way in which a true-looking finding is false, and is silent where that way is closed: another service that resamples
//! put first, a few requests that carry it all, a stretch of the baseline that was as slow, another end of an edge that explains its gap nearly
//! as well, more load, clocks that were moved, kinds that were guessed, fragments.

use super::build::{NS_PER_MS, percent, ratio};
use super::evidence::{Evidence, Parts, Stake};
use super::rows::{BASELINE, REGRESSION};
use super::wording::{ms, signed_ms};
use crate::compare::attribute::{Cause, Subject};
use crate::compare::edges::Whose;
use crate::profile;
use crate::rank::{Channel, Ranking};
use crate::time::{format_ms, format_rfc3339};
use std::collections::BTreeMap;

/// A rival that comes first in fewer resamples than this is not worth a word: so often the first place is right in any case.
const MIN_RIVAL: f64 = 0.05;
/// The requests that carry most of a contribution are few if they are at most this share of those of their entry, or at most [`FEW`].
const FEW_SHARE: f64 = 0.05;
const FEW: f64 = 5.0;
/// How much of the contribution "most" is.
const MOST: f64 = 0.8;
/// A stretch of a window is one in so many parts of equally many requests.
const N_STRETCHES: usize = 10;
/// With fewer requests a stretch, one slow request makes a slow stretch.
const MIN_A_STRETCH: usize = 10;
/// Most of a contribution in so few stretches came and went within the regression.
const FEW_STRETCHES: usize = 3;
/// The slowest of ten stretches lies less than three standard deviations above their mean by chance (1.5 on average), so four are a stretch of its own.
const BEYOND_NOISE: f64 = 4.0;
/// A stretch of the baseline speaks against a finding if it rose by this share of it.
const UNSTEADY: f64 = 0.5;
/// How much more often requests must come for load to be an explanation.
const LOADED: f64 = 1.5;
/// A share of calls, or of a contribution, that rests on a repair or on little data and is worth a word.
const DOUBTFUL: f64 = 0.2;
/// Fewer requests of an entry in a window say little about it.
const FEW_OF_ENTRY: f64 = 30.0;
/// So few failing requests may have a reason of their own.
const FEW_FAILURES: usize = 10;
/// Calls have become rarer where this share of them is left: of more, the missing ones explain little.
const RARER: f64 = 0.9;
/// What adds more than so many times what requests now spend there is told.
const BEYOND_SPENT: f64 = 1.2;
/// A change of less than this share of the time before would also come of a slightly slower baseline.
const SMALL_CHANGE: f64 = 0.2;

/// What all suspects share.
#[derive(Debug, Default)]
pub(super) struct Grounds {
    calls: profile::Grounds,
    /// Requests a second in each window; 0 where there are too few to tell.
    requests_per_second: [f64; 2],
}

impl Grounds {
    /// One pass over the spans of both windows.
    pub(super) fn new(evidence: Evidence<'_>) -> Self {
        let Evidence { frame, forest, .. } = evidence;
        let mut calls = profile::Grounds::default();
        for window in [BASELINE, REGRESSION] {
            profile::add_grounds(frame, forest, evidence.traces(window), &mut calls);
        }
        for (&ends, kept) in evidence.kept.iter().flat_map(|kept| &kept.grounds) {
            calls.entry(ends).or_default().absorb(kept);
        }
        let requests_per_second = [BASELINE, REGRESSION].map(|window| {
            let traces = evidence.traces(window);
            let starts = traces.first().zip(traces.last());
            let length_ns = starts.map_or(0, |(&first, &last)| {
                forest.root_start_ns[last as usize].saturating_sub(forest.root_start_ns[first as usize])
            });
            let n_requests: f64 = traces.iter().map(|&trace| forest.weight[trace as usize]).sum();
            if traces.len() < MIN_A_STRETCH { 0.0 } else { ratio(n_requests, length_ns as f64 / 1e9) }
        });
        Self { calls, requests_per_second }
    }
}

/// A suspect and what is known of it.
#[derive(Clone, Copy)]
pub(super) struct Finding<'a> {
    pub(super) evidence: Evidence<'a>,
    pub(super) ranking: &'a Ranking,
    pub(super) grounds: &'a Grounds,
    pub(super) subject: u32,
    pub(super) parts: &'a Parts,
    pub(super) stake: &'a Stake,
    pub(super) channel: Channel,
    /// What of its contribution is of work in the background, nanoseconds a request.
    pub(super) background_ns: f64,
}

/// One request to the suspect's main entry.
#[derive(Clone, Copy, Debug)]
struct Request {
    trace: u32,
    time_ns: f64,
    weight: f64,
}

impl Finding<'_> {
    /// Everything that speaks against it; empty if nothing in the data does.
    pub(super) fn overturned_by(&self) -> Vec<String> {
        let mut sentences: Vec<String> = self.rival().into_iter().collect();
        if self.channel == Channel::Errors {
            sentences.extend(self.few_failures());
            return sentences;
        }
        if let Some(chance) = self.chance() {
            // What else could be said of noise is noise.
            sentences.push(chance);
            return sentences;
        }
        sentences.extend(self.small_change());
        sentences.extend(self.rarer_calls());
        sentences.extend(self.concentration_and_stretches());
        sentences.extend(self.other_end());
        sentences.extend(self.load());
        sentences.extend(self.repairs());
        sentences.extend(self.background());
        sentences.extend(self.rare_entries());
        sentences.extend(self.only_caller());
        sentences
    }

    fn service(&self) -> u32 {
        self.evidence.comparison.attribution.blamed[self.subject as usize]
    }

    fn name(&self, service: u32) -> &str {
        &self.evidence.forest.services[service as usize].name
    }

    fn contribution_ns(&self) -> f64 {
        self.evidence.comparison.subjects[self.subject as usize].value
    }

    /// Another service that comes first in some resamples although this one does on the data.
    fn rival(&self) -> Option<String> {
        let first = self.ranking.services.first().filter(|first| first.service == self.service())?;
        let others = self.ranking.services.iter().filter(|other| other.service != first.service);
        let rival = others.max_by(|left, right| left.stability.total_cmp(&right.stability))?;
        let comparison = self.evidence.comparison;
        (rival.stability >= MIN_RIVAL).then(|| {
            format!(
                "{} comes first in {:.0} % of resamples: it adds {} a request, {} adds {}",
                self.name(rival.service),
                100.0 * rival.stability,
                signed_ms(comparison.services[rival.service as usize].value / NS_PER_MS),
                self.name(first.service),
                signed_ms(comparison.services[first.service as usize].value / NS_PER_MS),
            )
        })
    }

    fn few_failures(&self) -> Option<String> {
        let mut traces: Vec<u32> = self.evidence.failing(&[self.subject]).into_iter().map(|(trace, _)| trace).collect();
        traces.dedup();
        traces.retain(|trace| self.evidence.traces(REGRESSION).binary_search(trace).is_ok());
        let n_traces = traces.len();
        (n_traces < FEW_FAILURES).then(|| format!("it rests on {n_traces} failing requests"))
    }

    /// The service is beyond chance, this part of it alone is not.
    fn chance(&self) -> Option<String> {
        let [low, high] = self.evidence.comparison.subjects[self.subject as usize].interval().map(|ns| ns / NS_PER_MS);
        (low <= 0.0 && high >= 0.0 && self.channel == Channel::Latency).then(|| {
            format!(
                "by itself it cannot be told from chance: its interval is {} to {}",
                signed_ms(low),
                signed_ms(high)
            )
        })
    }

    /// A baseline that is a little slower would leave nothing of it.
    fn small_change(&self) -> Option<String> {
        let per_call = self.evidence.per_call(self.parts, self.channel);
        let change = per_call.regression - per_call.baseline;
        let is_time =
            self.main_cause().is_some_and(|cause| matches!(cause, Cause::Slower | Cause::Network | Cause::Peer));
        (is_time && change > 0.0 && change < SMALL_CHANGE * per_call.baseline).then(|| {
            format!(
                "a baseline in which it takes {} instead of {} a call, {:.0} % more, would leave nothing of it",
                ms(per_call.regression),
                ms(per_call.baseline),
                percent(change, per_call.baseline)
            )
        })
    }

    /// Calls that became rarer while each takes longer: what it adds is counted for as many as there are on average of both windows, which may be far
    /// more than there are now.
    fn rarer_calls(&self) -> Option<String> {
        let [(ms_before, calls_before), (ms_now, calls_now)] = self.evidence.per_request(self.parts);
        let adds_ms = self.contribution_ns() / NS_PER_MS;
        (calls_now < RARER * calls_before && adds_ms > BEYOND_SPENT * ms_now).then(|| {
            format!(
                "calls of it became rarer ({} a request instead of {}) while each takes longer: its {} are those of as many calls as both windows have on average, and what the missing calls take off is their caller's; requests now spend {} on it, {} before",
                format_ms(calls_now),
                format_ms(calls_before),
                signed_ms(adds_ms),
                ms(ms_now),
                ms(ms_before)
            )
        })
    }

    fn main_cause(&self) -> Option<Cause> {
        self.evidence.main_cause(self.subject, self.channel).map(|(cause, ..)| cause)
    }

    /// The entry with the largest part of the contribution, and all its requests in both windows with what they spend on the suspect.
    fn main_entry(&self) -> Option<(u32, [Vec<Request>; 2])> {
        let mut by_entry = BTreeMap::<u32, f64>::new();
        for &(path, part) in &self.parts.0 {
            *by_entry.entry(self.evidence.rows.entry(path)).or_default() += part.effect_ns;
        }
        let (&entry, _) = by_entry.iter().max_by(|left, right| left.1.total_cmp(right.1).then(right.0.cmp(left.0)))?;
        let requests = [BASELINE, REGRESSION].map(|window| {
            let mut spent = self.evidence.spent(self.stake, window);
            spent.retain(|spent| spent.entry == entry);
            self.evidence
                .rows
                .of(window, entry)
                .map(|row| {
                    let found = spent.binary_search_by_key(&row.trace, |spent| spent.trace);
                    let time_ns = found.map_or(0.0, |place| spent[place].time_ns as f64);
                    Request { trace: row.trace, time_ns, weight: self.evidence.forest.weight[row.trace as usize] }
                })
                .collect::<Vec<Request>>()
        });
        Some((entry, requests))
    }

    /// Few requests, or a short stretch of time, carry most of it; or the baseline had such a stretch, too.
    fn concentration_and_stretches(&self) -> Vec<String> {
        let Some((entry, [baseline, regression])) = self.main_entry() else { return Vec::new() };
        let [before, after] = [&baseline, &regression].map(|requests| mean(requests));
        let rise_ns = after - before;
        if rise_ns <= 0.0 {
            return Vec::new();
        }
        let entry = {
            let operation =
                self.evidence.forest.operations[self.evidence.table.paths.list[entry as usize].operation as usize];
            format!("{}: {}", self.name(operation.service), self.evidence.forest.operation_name(operation))
        };
        let mut sentences = Vec::new();
        let (n_carrying, left_ns) = carriers(&baseline, &regression);
        let n_requests = regression.iter().filter(|request| request.time_ns > 0.0).count() as f64;
        if n_carrying <= (FEW_SHARE * n_requests).max(FEW.min(n_requests / 3.0)) {
            sentences.push(format!(
                "{n_carrying:.0} of {n_requests:.0} requests to {entry} that pass it make up most of it: without the slowest ones of both windows {} of its {} there would be left",
                signed_ms(left_ns / NS_PER_MS),
                signed_ms(rise_ns / NS_PER_MS)
            ));
        }
        let [calm, slow] = [&baseline, &regression].map(|requests| stretches(requests));
        if let Some((first, carrying)) = few_stretches(&slow, before, spread(&calm)) {
            sentences.push(format!(
                "it came and went: {carrying} of {N_STRETCHES} equal parts of the regression's requests to {entry} make up most of it, the slowest from {}",
                self.second(first)
            ));
        }
        if let Some(&(first, worst)) = calm.iter().max_by(|left, right| left.1.total_cmp(&right.1))
            && worst - before >= UNSTEADY * rise_ns
        {
            sentences.push(format!(
                "the baseline is not steady: a tenth of its requests to {entry}, from {}, spends {} more on it than all, where the regression spends {} more",
                self.second(first),
                ms((worst - before) / NS_PER_MS),
                ms(rise_ns / NS_PER_MS)
            ));
        }
        sentences
    }

    /// The second in which a trace starts.
    fn second(&self, trace: u32) -> String {
        let start_ns = self.evidence.forest.root_start_ns[trace as usize];
        format_rfc3339(start_ns.saturating_sub(start_ns.rem_euclid(1_000_000_000)))
    }

    /// The other end of an edge that explains a rise nearly as well.
    fn other_end(&self) -> Vec<String> {
        let Subject::Edge(caller, callee) = self.evidence.comparison.attribution.subjects[self.subject as usize] else {
            return Vec::new();
        };
        let Some(edge) = self.evidence.comparison.attribution.edge((caller, callee)) else { return Vec::new() };
        // The part of the gap that weighs more is the one to doubt.
        let (part, gap) = if self.rises_before() { ("before", edge.before) } else { ("after", edge.after) };
        let blamed = if gap.caller_share > 0.5 { caller } else { callee };
        if blamed != self.service() {
            return Vec::new();
        }
        // Of a link its reason says so.
        if !gap.is_tie() || gap.whose == Whose::Link || gap.worths.iter().any(|&worth| worth <= 0.0) {
            return Vec::new();
        }
        let [callers, callees] = gap.risen;
        let (own, other, end) = if blamed == caller { (callers, callees, callee) } else { (callees, callers, caller) };
        vec![format!(
            "{} explains the longer way {part} the answers of {} -> {} about as well: {} of its {} edges got slower, of {} {} of {}",
            self.name(end),
            self.name(caller),
            self.name(callee),
            other[0],
            other[1],
            self.name(blamed),
            own[0],
            own[1]
        )]
    }

    /// Whether more of the rise lies before the answers than after them.
    fn rises_before(&self) -> bool {
        let effects = &self.evidence.comparison.effects;
        let own = |which: usize, effects: &[f64]| -> f64 {
            let parts = self.parts.0.iter().filter(|(_, part)| part.is_own[which]);
            parts.map(|&(path, _)| effects[path as usize]).sum()
        };
        own(1, &effects.before_ns) >= own(0, &effects.self_ns)
    }

    fn load(&self) -> Option<String> {
        let [before, after] = self.grounds.requests_per_second;
        let is_latency = matches!(self.channel, Channel::Latency | Channel::TypicalLatency | Channel::TailLatency);
        (before > 0.0 && after >= LOADED * before && is_latency).then(|| {
            format!(
                "requests come {:.1} times as often as in the baseline ({after:.1} a second, {before:.1} before): load alone may slow it",
                after / before
            )
        })
    }

    /// An edge's time rests on clocks that were moved, or on kinds that were inferred.
    fn repairs(&self) -> Vec<String> {
        let Subject::Edge(caller, callee) = self.evidence.comparison.attribution.subjects[self.subject as usize] else {
            return Vec::new();
        };
        let Some(calls) = self.grounds.calls.get(&(caller, callee)) else { return Vec::new() };
        let share = |count: u64| count as f64 / calls.count.max(1) as f64;
        let edge = format!("{} -> {}", self.name(caller), self.name(callee));
        let mut sentences = Vec::new();
        // A clock that is off by little against the rise cannot have made it.
        let per_call = self.evidence.per_call(self.parts, self.channel);
        let rise_ns = (per_call.regression - per_call.baseline) * NS_PER_MS;
        if share(calls.n_moved) >= DOUBTFUL && calls.moved_ns as f64 >= DOUBTFUL * rise_ns {
            sentences.push(format!(
                "{:.0} % of the calls of {edge} were moved by up to {} because clocks disagree: how its gap splits into before and after the answer, and so whose it is, rests on that",
                100.0 * share(calls.n_moved),
                ms(calls.moved_ns as f64 / NS_PER_MS)
            ));
        }
        if share(calls.n_inferred) >= DOUBTFUL {
            sentences.push(format!(
                "{:.0} % of the client spans of {edge} have no kind of their own: that their time is on the way was inferred",
                100.0 * share(calls.n_inferred)
            ));
        }
        sentences
    }

    fn background(&self) -> Option<String> {
        let comparison = self.evidence.comparison;
        let behind = self.background_ns;
        // What saves time has no share that could come from elsewhere.
        let has_share = self.contribution_ns() > 0.0 && behind > DOUBTFUL * self.contribution_ns();
        (comparison.background_rate > 0.0 && has_share).then(|| {
            format!(
                "{:.0} % of it comes from fragments whose caller is missing or from work that nobody waits for, not from whole requests",
                percent(behind, self.contribution_ns())
            )
        })
    }

    /// Entries that a window has too few requests of.
    fn rare_entries(&self) -> Option<String> {
        let comparison = self.evidence.comparison;
        let is_rare = |path: u32| {
            let entry = self.evidence.rows.entry(path) as usize;
            [&comparison.baseline, &comparison.regression].iter().any(|sums| sums.n_visits[entry] < FEW_OF_ENTRY)
        };
        let rare_ns: f64 = self.parts.0.iter().filter(|(path, _)| is_rare(*path)).map(|(_, part)| part.effect_ns).sum();
        (self.contribution_ns() > 0.0 && rare_ns > DOUBTFUL * self.contribution_ns()).then(|| {
            format!(
                "{:.0} % of it comes from entry operations with fewer than {FEW_OF_ENTRY:.0} requests in a window",
                percent(rare_ns, self.contribution_ns())
            )
        })
    }

    /// A peer without spans that one service alone calls may as well be that service's way of calling.
    fn only_caller(&self) -> Option<String> {
        let service = self.service();
        if !self.evidence.forest.services[service as usize].is_inferred {
            return None;
        }
        let mut callers = self.grounds.calls.keys().filter(|(_, callee)| *callee == service).map(|(caller, _)| *caller);
        let (caller, others) = (callers.next()?, callers.next());
        let (own, caller) = (self.name(service), self.name(caller));
        others.is_none().then(|| match self.main_cause() {
            Some(Cause::Misses) => format!(
                "{own} reports no spans and only {caller} calls it: new code there that makes little of its answers would look the same"
            ),
            _ => format!(
                "{own} reports no spans and only {caller} calls it: a slow client or connection pool there would look the same"
            ),
        })
    }
}

fn mean(requests: &[Request]) -> f64 {
    let sum: f64 = requests.iter().map(|request| request.weight * request.time_ns).sum();
    ratio(sum, requests.iter().map(|request| request.weight).sum())
}

/// How many of the regression's slowest requests carry [`MOST`] of the rise of the mean, and what rise is left without them.
///
/// The rise is the area between the two windows' times, each sorted; so the slowest of both are set against each other, and a long tail that both
/// have carries nothing.
fn carriers(baseline: &[Request], regression: &[Request]) -> (f64, f64) {
    let sorted = |requests: &[Request]| -> Vec<(f64, f64)> {
        let total: f64 = requests.iter().map(|request| request.weight).sum();
        let mut sorted: Vec<(f64, f64)> =
            requests.iter().map(|request| (request.time_ns, ratio(request.weight, total))).collect();
        sorted.sort_by(|left, right| right.0.total_cmp(&left.0).then(right.1.total_cmp(&left.1)));
        sorted
    };
    let (before, after) = (sorted(baseline), sorted(regression));
    let rise = mean(regression) - mean(baseline);
    let (mut carried, mut place, mut used) = (0.0, 0, 0.0);
    for (n_requests, &(time_ns, share)) in after.iter().enumerate() {
        let mut open = share;
        carried += share * time_ns;
        while open > 0.0
            && let Some(&(before_ns, width)) = before.get(place)
        {
            let step = open.min(width - used);
            carried -= step * before_ns;
            open -= step;
            used += step;
            if used >= width - 1e-15 {
                place += 1;
                used = 0.0;
            }
        }
        if carried >= MOST * rise {
            return ((n_requests + 1) as f64, rise - carried);
        }
    }
    (after.len() as f64, 0.0)
}

/// [`N_STRETCHES`] stretches of equally many requests in order of time: first trace and mean time. Empty if there are too few requests.
fn stretches(requests: &[Request]) -> Vec<(u32, f64)> {
    if requests.len() < N_STRETCHES * MIN_A_STRETCH {
        return Vec::new();
    }
    let bound = |stretch: usize| stretch * requests.len() / N_STRETCHES;
    (0..N_STRETCHES)
        .map(|stretch| {
            let own = &requests[bound(stretch)..bound(stretch + 1)];
            (own[0].trace, mean(own))
        })
        .collect()
}

/// Standard deviation of the stretches' mean times; 0 if there are none.
fn spread(stretches: &[(u32, f64)]) -> f64 {
    let mean = ratio(stretches.iter().map(|(_, time_ns)| time_ns).sum(), stretches.len() as f64);
    let squares = stretches.iter().map(|(_, time_ns)| (time_ns - mean).powi(2)).sum();
    ratio(squares, stretches.len() as f64 - 1.0).sqrt()
}

/// The slowest stretch's first trace and how many stretches carry [`MOST`] of the rise above `before_ns`, if they are few; `noise_ns` is how much
/// stretches of the baseline differ.
fn few_stretches(stretches: &[(u32, f64)], before_ns: f64, noise_ns: f64) -> Option<(u32, usize)> {
    let mut rises: Vec<(f64, u32)> = stretches.iter().map(|&(trace, mean_ns)| (mean_ns - before_ns, trace)).collect();
    rises.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
    if rises.first().is_none_or(|&(rise, _)| rise < BEYOND_NOISE * noise_ns) {
        return None;
    }
    let total: f64 = rises.iter().map(|(rise, _)| rise).sum();
    let mut carried = 0.0;
    for (place, &(rise, _)) in rises.iter().enumerate().take(FEW_STRETCHES) {
        carried += rise;
        if carried >= MOST * total {
            return Some((rises[0].1, place + 1));
        }
    }
    None
}
