//! Versions that came while the data run.
//!
//! A version is a rollout where its service had traces before the version's first span and it is no chance that none of them shows the
//! version. Had it been there from the start, each of its `k` traces but the first would fall behind that span with the share `a / n` of
//! the service's traces up to the version's last one that do, so all of them would with the chance `(a / n)^(k - 1)`. That asks neither
//! when windows begin, which are a guess to some moments, nor that the version before it ends: a rare version that is there all the time
//! is none, a slow rollout is one from its first span on.
//!
//! A version that is away so long that neither what it has before nor what it has after makes that a chance comes again when it is back.

use super::presence::VERSION;
use crate::normalize::Stretch;
use crate::span::{AttributeScope, AttributeValue, SpanFrame};
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// Minus the logarithm of the chance that a version comes or goes by accident, from which on it is none: one in 20,000.
const MIN_SURPRISE: f64 = 10.0;
/// Parts of the data's time in which traces of a service are counted.
const N_BINS: usize = 1_000;
/// A version that is back more often comes and goes all the time, which is no change.
const MAX_RETURNS: usize = 2;

/// Versions beside another that are told apart by when they came, those that most traces have; the rest counts as old.
const MAX_OTHERS: usize = 64;

/// A version of a service that was not there from the start, or not all the time.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// Index of the service.
    pub service: u32,
    /// Value of `service.version`.
    pub version: String,
    /// The version that went, if just one was there before and it did go.
    pub replaces: Option<String>,
    /// Start of the first span with it, nanoseconds since the Unix epoch.
    pub first_unix_ns: i64,
    /// Traces that have it while it is there, the first and the last moments left out, in which it has yet to come or may have gone.
    pub n_traces: u64,
    /// All traces of the service in that time.
    pub n_traces_of_service: u64,
    /// When other versions that it ran beside came, and how many traces had each in that time.
    pub others: Vec<(i64, u64)>,
}

impl Rollout {
    /// Its share of the traces that ran beside it, those left out that have a version that came from `since_unix_ns` on.
    #[must_use]
    pub fn share_of_older(&self, since_unix_ns: i64) -> f64 {
        let younger = self.others.iter().filter(|&&(first_ns, _)| first_ns >= since_unix_ns.min(self.first_unix_ns));
        let n_younger: u64 = younger.map(|&(_, n_traces)| n_traces).sum();
        let n_beside = self.n_traces_of_service.saturating_sub(n_younger).max(self.n_traces);
        if n_beside == 0 { 1.0 } else { self.n_traces as f64 / n_beside as f64 }
    }
}

/// When a version is seen.
#[derive(Clone, Copy, Debug)]
struct Life {
    n_traces: u64,
    first_ns: i64,
    last_ns: i64,
    /// Parts of the data's time in which the first and the last of its traces are.
    bins: [usize; 2],
}

impl Life {
    const NONE: Self = Self { n_traces: 0, first_ns: i64::MAX, last_ns: i64::MIN, bins: [usize::MAX, 0] };

    fn absorb(&mut self, other: &Self) {
        self.n_traces += other.n_traces;
        self.first_ns = self.first_ns.min(other.first_ns);
        self.last_ns = self.last_ns.max(other.last_ns);
        self.bins = [self.bins[0].min(other.bins[0]), self.bins[1].max(other.bins[1])];
    }
}

/// When the versions of all services are seen, and of how many traces of theirs.
pub(super) struct Lives {
    start_ns: i64,
    end_ns: i64,
    /// Traces of each service by when they reach it.
    n_traces: BTreeMap<u32, Vec<u64>>,
    /// The same of each version, where there are any.
    versions: BTreeMap<(u32, String), BTreeMap<usize, Life>>,
}

impl Lives {
    /// None yet, of data whose traces start at these moments.
    pub(super) fn new(starts_ns: &[i64]) -> Self {
        let (start_ns, end_ns) =
            starts_ns.iter().fold((i64::MAX, i64::MIN), |(low, high), &at| (low.min(at), high.max(at)));
        Self { start_ns, end_ns, n_traces: BTreeMap::new(), versions: BTreeMap::new() }
    }

    fn bin(&self, at_ns: i64) -> usize {
        let into = |at_ns: i64| i128::from(at_ns) - i128::from(self.start_ns);
        let place = into(at_ns) * N_BINS as i128 / (into(self.end_ns) + 1).max(1);
        usize::try_from(place.max(0)).map_or(N_BINS - 1, |place| place.min(N_BINS - 1))
    }

    /// Adds the spans of `traces`.
    pub(super) fn add(&mut self, stretch: &Stretch<'_>, frame: &SpanFrame, traces: &[u32]) {
        const NONE: u32 = u32::MAX;
        let forest = stretch.forest;
        let mut codes = vec![NONE; frame.spans.len()];
        for scope in [AttributeScope::Span, AttributeScope::Resource] {
            let column = frame.attributes.get(scope, VERSION);
            for (row, value) in column.iter().flat_map(|column| column.iter()) {
                if let (AttributeValue::String(code), Some(known)) = (value, codes.get_mut(row as usize)) {
                    *known = code;
                }
            }
        }
        // With the last trace that was counted; of a service also where that is in time.
        let mut services = HashMap::<u32, (u32, usize), foldhash::fast::FixedState>::default();
        let mut own = HashMap::<(u32, u32, usize), (Life, u32), foldhash::fast::FixedState>::default();
        for &trace in traces {
            for span in forest.spans_of(stretch.local(trace)) {
                let service = forest.operations[forest.operation[span] as usize].service;
                let row = forest.row[span] as usize;
                let start_ns = frame.spans.start_unix_ns[row];
                let counted = services.entry(service).or_insert((NONE, 0));
                if counted.0 != trace {
                    *counted = (trace, self.bin(start_ns));
                    self.n_traces.entry(service).or_insert_with(|| vec![0; N_BINS])[counted.1] += 1;
                }
                if codes[row] != NONE {
                    let bin = counted.1;
                    let (life, last) = own.entry((service, codes[row], bin)).or_insert((Life::NONE, NONE));
                    let n_traces = u64::from(*last != trace);
                    life.absorb(&Life { n_traces, first_ns: start_ns, last_ns: start_ns, bins: [bin; 2] });
                    *last = trace;
                }
            }
        }
        for ((service, code, bin), (life, _)) in own.into_iter().collect::<BTreeMap<_, _>>() {
            let version = frame.attributes.values.get(code).to_owned();
            self.versions.entry((service, version)).or_default().entry(bin).or_insert(Life::NONE).absorb(&life);
        }
    }

    /// The rollouts, by service and version.
    pub(super) fn rollouts(&self) -> Vec<Rollout> {
        let mut rollouts = Vec::new();
        for (&service, n_traces) in &self.n_traces {
            let service_of = Service::new(service, n_traces);
            let own = self.versions.range((service, String::new())..).take_while(|((other, _), _)| *other == service);
            let all: Vec<Version<'_>> =
                own.map(|((_, name), lives)| Version { name, lives, stays: service_of.stays(lives) }).collect();
            for version in &all {
                let first = version.stays.first().filter(|stay| service_of.has_come(stay));
                let coming = first.into_iter().chain(version.stays.iter().skip(1));
                rollouts.extend(coming.map(|stay| service_of.rollout(version, stay, &all)));
            }
        }
        rollouts
    }
}

/// A version with the stretches of time in which it is there.
struct Version<'a> {
    name: &'a str,
    lives: &'a BTreeMap<usize, Life>,
    stays: Vec<Life>,
}

impl Version<'_> {
    /// Traces that have it from the first of these parts of time to the last.
    fn n_traces(&self, [from, until]: [usize; 2]) -> u64 {
        if from > until { 0 } else { sum(self.lives.range(from..=until)).n_traces }
    }

    /// When it came each time that it was there in these parts of time, and how many traces had it then.
    fn beside(&self, [from, until]: [usize; 2]) -> Vec<(i64, u64)> {
        let during = |own: &Life| (own.first_ns, self.n_traces([own.bins[0].max(from), own.bins[1].min(until)]));
        self.stays.iter().map(during).filter(|&(_, n_traces)| n_traces > 0).collect()
    }
}

fn sum<'a>(lives: impl Iterator<Item = (&'a usize, &'a Life)>) -> Life {
    let mut sum = Life::NONE;
    lives.for_each(|(_, life)| sum.absorb(life));
    sum
}

/// The traces of a service over time.
struct Service {
    index: u32,
    /// How many there are before each part of the data's time, and in all.
    n_before: Vec<u64>,
}

impl Service {
    fn new(index: u32, n_traces: &[u64]) -> Self {
        let mut n_before = vec![0];
        n_before.extend(n_traces.iter().scan(0, |sum, n_traces| {
            *sum += n_traces;
            Some(*sum)
        }));
        Self { index, n_before }
    }

    /// Traces from the first of these parts of time to the last, with both.
    fn count(&self, [from, until]: [usize; 2]) -> u64 {
        self.n_before[(until + 1).min(N_BINS)].saturating_sub(self.n_before[from.min(N_BINS)])
    }

    /// The stretches of time in which a version is there: one, unless it was away in between and that is no chance.
    fn stays(&self, lives: &BTreeMap<usize, Life>) -> Vec<Life> {
        let whole = sum(lives.iter());
        // There are as many gaps to choose from as there are traces.
        let least = MIN_SURPRISE + (whole.n_traces as f64).ln();
        let mut returns = Vec::new();
        let (mut n_before, mut last) = (0, whole.bins[0]);
        for (&bin, life) in lives {
            let n_away = if bin > last + 1 { self.count([last + 1, bin - 1]) } else { 0 };
            let before = surprise(n_before, self.count([whole.bins[0], last]), n_away);
            let after = surprise(whole.n_traces - n_before, self.count([bin, whole.bins[1]]), n_away);
            if n_away > 0 && before.min(after) >= least {
                returns.push(bin);
            }
            (n_before, last) = (n_before + life.n_traces, bin);
        }
        if returns.len() > MAX_RETURNS {
            return vec![whole];
        }
        let starts = std::iter::once(0).chain(returns.iter().copied());
        let ends = returns.iter().copied().chain([N_BINS]);
        starts.zip(ends).map(|(start, end)| sum(lives.range(start..end))).collect()
    }

    /// Whether a version that is not seen before its stay would be if it had been there.
    fn has_come(&self, stay: &Life) -> bool {
        surprise(stay.n_traces, self.count(stay.bins), self.n_before[stay.bins[0]]) >= MIN_SURPRISE
    }

    /// Whether a version that is not seen from its stay up to here would be if it were still there.
    fn has_gone(&self, stay: &Life, until: usize) -> bool {
        let n_away = self.count([stay.bins[1] + 1, until]);
        surprise(stay.n_traces, self.count(stay.bins), n_away) >= MIN_SURPRISE
    }

    fn rollout(&self, version: &Version<'_>, stay: &Life, all: &[Version<'_>]) -> Rollout {
        let others = || all.iter().filter(|other| other.name != version.name);
        // Versions that are there just before, and whether each goes then.
        let before = |other: &Version<'_>| {
            let place = other.stays.iter().rposition(|known| known.first_ns < stay.first_ns)?;
            let known = &other.stays[place];
            let was_there = known.last_ns >= stay.first_ns || !self.has_gone(known, stay.bins[0]);
            let goes = place + 1 < other.stays.len() || self.has_gone(known, N_BINS - 1);
            was_there.then(|| goes.then(|| other.name.to_owned()))
        };
        let mut before = others().filter_map(before);
        let replaces = match (before.next(), before.next()) {
            (Some(old), None) => old,
            _ => None,
        };
        // What is at its edges may have been there just before it came, or after it went.
        let inside = [stay.bins[0] + 1, stay.bins[1].saturating_sub(1)];
        let mut beside: Vec<(i64, u64)> = others().flat_map(|other| other.beside(inside)).collect();
        beside.sort_unstable_by_key(|&(first_ns, n_traces)| (std::cmp::Reverse(n_traces), first_ns));
        beside.truncate(MAX_OTHERS);
        Rollout {
            service: self.index,
            version: version.name.to_owned(),
            replaces,
            first_unix_ns: stay.first_ns,
            n_traces: version.n_traces(inside),
            n_traces_of_service: self.count(inside),
            others: beside,
        }
    }
}

/// Minus the logarithm of the chance that `n_traces` traces, one of which lies where it does, are all among the `n_there` of their service
/// and none among the `n_away` beside them, if they are spread evenly.
fn surprise(n_traces: u64, n_there: u64, n_away: u64) -> f64 {
    let share = (n_there + n_away).max(1) as f64 / n_there.max(1) as f64;
    n_traces.saturating_sub(1) as f64 * share.ln()
}
