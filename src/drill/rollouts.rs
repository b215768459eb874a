//! Versions that came while the data run.
//!
//! A version is a rollout where its service had traces before the version's first span and it is no chance that none of them shows the
//! version. Had it been there from the start, each of its `k` traces but the first would fall behind that span with the share `a / n` of
//! the service's traces that do, so all of them would with the chance `(a / n)^(k - 1)`. That asks neither when windows begin, which are
//! a guess to some moments, nor that the version before it ends: a rare version that is there all the time is none, a slow rollout is one
//! from its first span on.

use super::presence::VERSION;
use crate::normalize::Stretch;
use crate::span::{AttributeScope, AttributeValue, SpanFrame};
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// Minus the logarithm of the chance that a version comes or goes by accident, from which on it is none: one in 20,000.
const MIN_SURPRISE: f64 = 10.0;
/// Parts of the data's time in which traces of a service are counted.
const N_BINS: usize = 1_000;

/// A version of a service that was not there from the start.
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
    /// Share of the service's traces that have it, from that span on.
    pub share: f64,
}

/// When a version is seen.
#[derive(Clone, Copy, Debug)]
struct Life {
    n_traces: u64,
    first_ns: i64,
    last_ns: i64,
}

impl Life {
    const NONE: Self = Self { n_traces: 0, first_ns: i64::MAX, last_ns: i64::MIN };
}

/// When the versions of all services are seen, and of how many traces of theirs.
pub(super) struct Lives {
    start_ns: i64,
    end_ns: i64,
    /// Traces of each service by when they reach it.
    n_traces: BTreeMap<u32, Vec<u64>>,
    versions: BTreeMap<(u32, String), Life>,
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
        // With the last trace that was counted.
        let mut services = HashMap::<u32, u32, foldhash::fast::FixedState>::default();
        let mut own = HashMap::<(u32, u32), (Life, u32), foldhash::fast::FixedState>::default();
        for &trace in traces {
            for span in forest.spans_of(stretch.local(trace)) {
                let service = forest.operations[forest.operation[span] as usize].service;
                let row = forest.row[span] as usize;
                let start_ns = frame.spans.start_unix_ns[row];
                if services.insert(service, trace) != Some(trace) {
                    let bin = self.bin(start_ns);
                    self.n_traces.entry(service).or_insert_with(|| vec![0; N_BINS])[bin] += 1;
                }
                if codes[row] != NONE {
                    let (life, last) = own.entry((service, codes[row])).or_insert((Life::NONE, NONE));
                    life.n_traces += u64::from(*last != trace);
                    life.first_ns = life.first_ns.min(start_ns);
                    life.last_ns = life.last_ns.max(start_ns);
                    *last = trace;
                }
            }
        }
        for ((service, code), (life, _)) in own.into_iter().collect::<BTreeMap<_, _>>() {
            let version = frame.attributes.values.get(code).to_owned();
            let known = self.versions.entry((service, version)).or_insert(Life::NONE);
            known.n_traces += life.n_traces;
            known.first_ns = known.first_ns.min(life.first_ns);
            known.last_ns = known.last_ns.max(life.last_ns);
        }
    }

    /// The rollouts, by service and version.
    pub(super) fn rollouts(&self) -> Vec<Rollout> {
        let came = self.versions.iter().filter(|&((service, _), life)| self.has_come(*service, life));
        let rollout = |(&(service, ref version), life): (&(u32, String), &Life)| {
            let before =
                self.versions.iter().filter(|&((other, _), known)| *other == service && known.first_ns < life.first_ns);
            let mut before = before.map(|((_, old), known)| (old, known));
            let replaces = match (before.next(), before.next()) {
                (Some((old, known)), None) if self.has_gone(service, known) => Some(old.clone()),
                _ => None,
            };
            let n_since: u64 = self.n_traces[&service][self.bin(life.first_ns)..].iter().sum();
            let share = (life.n_traces as f64 / n_since.max(1) as f64).min(1.0);
            Rollout { service, version: version.clone(), replaces, first_unix_ns: life.first_ns, share }
        };
        came.map(rollout).collect()
    }

    fn has_come(&self, service: u32, life: &Life) -> bool {
        let (earlier, later) = self.n_traces[&service].split_at(self.bin(life.first_ns));
        is_no_chance(life, later.iter().sum(), earlier.iter().sum())
    }

    fn has_gone(&self, service: u32, life: &Life) -> bool {
        let (earlier, later) = self.n_traces[&service].split_at(self.bin(life.last_ns) + 1);
        is_no_chance(life, earlier.iter().sum(), later.iter().sum())
    }
}

/// Whether a version that is seen on one side only, among `n_there` traces of its service, would be seen among the `n_elsewhere` on the
/// other if it were spread evenly.
fn is_no_chance(life: &Life, n_there: u64, n_elsewhere: u64) -> bool {
    let share = (n_there + n_elsewhere).max(1) as f64 / n_there.max(1) as f64;
    life.n_traces.saturating_sub(1) as f64 * share.ln() >= MIN_SURPRISE
}
