//! Versions, pods, hosts and images that only one window has, and versions that came while the data run.

use super::Input;
use super::columns::preference;
use super::rollouts::{Lives, Rollout};
use super::{Of, columns};
use crate::normalize::{Forest, Need, Stretch};
use crate::span::{AttributeKey, AttributeScope, AttributeValue, SpanFrame};
use hashbrown::HashMap;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Spans of a service that a value would have in the other window if nothing had changed, from which on their absence is no chance.
const MIN_EXPECTED: f64 = 10.0;
/// Values of one key and service listed as new, and as gone: where more come and go, coming and going is what they do.
const MAX_LISTED: usize = 5;

/// Key of a service's version.
pub const VERSION: &str = "service.version";

/// What came and went.
#[derive(Clone, Debug, Default)]
pub struct Present {
    /// Values that only one window has, by service; the largest shares first.
    pub values: Vec<Presence>,
    /// Versions that came, in whatever window, by service.
    pub rollouts: Vec<Rollout>,
}

/// Whether a value came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Only the regression has it.
    New,
    /// Only the baseline has it.
    Gone,
}

/// A value of a resource attribute that only one window has.
#[derive(Clone, Debug, PartialEq)]
pub struct Presence {
    /// Index of the service.
    pub service: u32,
    /// Key and value.
    pub key: String,
    /// Value as text.
    pub value: String,
    /// Which window has it.
    pub change: Change,
    /// Attributes of the service, keys and values, that came or went with it.
    pub also: Vec<(String, String)>,
    /// Spans of the service with it, in the window that has it.
    pub n_spans: u64,
    /// Their share of the service's spans there.
    pub share_of_spans: f64,
    /// For a new value its first span's start, for one that is gone its last one's, nanoseconds since the Unix epoch.
    pub seen_unix_ns: i64,
}

impl Presence {
    /// The value of `key` that came or went.
    #[must_use]
    pub fn names(&self, key: &str) -> Option<&str> {
        let also = self.also.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        std::iter::once((self.key.as_str(), self.value.as_str()))
            .chain(also)
            .find(|&(own, _)| own == key)
            .map(|(_, value)| value)
    }
}

/// Attributes that describe where code runs even where a source has no resources and puts them on spans.
const OF_RESOURCE: [&str; 9] = [
    VERSION,
    "version",
    "host.name",
    "hostname",
    "k8s.pod.name",
    "k8s.node.name",
    "service.instance.id",
    "container.id",
    "container.image.tag",
];

/// Spans that have a value, and the start of the last one, nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Number of spans.
    pub n_spans: u64,
    /// Start of the last.
    pub last_ns: i64,
}

/// Values counted, of data whose spans are not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Spans of each service, by index.
    pub n_spans: BTreeMap<u32, u64>,
    /// Spans by key, service and value.
    pub seen: BTreeMap<(AttributeScope, String), BTreeMap<(u32, String), Seen>>,
    /// Keys with too many values to go on with.
    pub many: BTreeSet<String>,
}

impl Kept {
    /// Counts the values in `traces`.
    #[must_use]
    pub fn of(frame: &SpanFrame, forest: &Forest, traces: &[u32]) -> Self {
        let mut kept = Self::default();
        let attributes = forest.attributes(frame);
        let told: Vec<AttributeKey> = columns::telling(&attributes, &|_| false).into_iter().filter(is_told).collect();
        for key in &told {
            kept.seen.insert((key.scope, key.key.clone()), BTreeMap::new());
        }
        forest.each_stretch(traces, Need::All, |stretch, traces| {
            kept.add(&told, stretch, stretch.frame(frame), traces);
        });
        let many = attributes.iter().filter(|(key, _)| is_told(key) && columns::has_many(&attributes, &key.key));
        kept.many = many.map(|(key, _)| key.key.clone()).collect();
        kept
    }

    fn add(&mut self, keys: &[AttributeKey], stretch: &Stretch<'_>, frame: &SpanFrame, traces: &[u32]) {
        let forest = stretch.forest;
        let mut service = vec![u32::MAX; frame.spans.len()];
        for span in traces.iter().flat_map(|&trace| forest.spans_of(stretch.local(trace))) {
            let own = forest.operations[forest.operation[span] as usize].service;
            service[forest.row[span] as usize] = own;
            *self.n_spans.entry(own).or_default() += 1;
        }
        for key in keys {
            let mut seen = HashMap::<(u32, u32), Seen, foldhash::fast::FixedState>::default();
            let column = frame.attributes.get(key.scope, &key.key);
            for (row, value) in column.iter().flat_map(|column| column.iter()) {
                let AttributeValue::String(code) = value else { continue };
                let Some(&own) = service.get(row as usize).filter(|&&own| own != u32::MAX) else { continue };
                let count = seen.entry((own, code)).or_insert(Seen { n_spans: 0, last_ns: i64::MIN });
                count.n_spans += 1;
                count.last_ns = count.last_ns.max(frame.spans.start_unix_ns[row as usize]);
            }
            let kept = self.seen.entry((key.scope, key.key.clone())).or_default();
            for ((own, code), seen) in seen.into_iter().collect::<BTreeMap<_, _>>() {
                let text = frame.attributes.values.get(code).to_owned();
                let known = kept.entry((own, text)).or_insert(Seen { n_spans: 0, last_ns: i64::MIN });
                known.n_spans += seen.n_spans;
                known.last_ns = known.last_ns.max(seen.last_ns);
            }
        }
    }

    /// Adds the counts of other data with the same numbers for services.
    pub fn absorb(&mut self, other: &Self) {
        for (&service, &n_spans) in &other.n_spans {
            *self.n_spans.entry(service).or_default() += n_spans;
        }
        for (key, values) in &other.seen {
            let own = self.seen.entry(key.clone()).or_default();
            for (value, seen) in values {
                let known = own.entry(value.clone()).or_insert(Seen { n_spans: 0, last_ns: i64::MIN });
                known.n_spans = known.n_spans.saturating_add(seen.n_spans);
                known.last_ns = known.last_ns.max(seen.last_ns);
            }
        }
        self.many.extend(other.many.iter().cloned());
    }

    /// The same with other numbers for services.
    #[must_use]
    pub fn renumbered(&self, services: &[u32]) -> Self {
        let mut result = Self { many: self.many.clone(), ..Self::default() };
        for (&service, &n_spans) in &self.n_spans {
            *result.n_spans.entry(services[service as usize]).or_default() += n_spans;
        }
        for (key, values) in &self.seen {
            let own = result.seen.entry(key.clone()).or_default();
            for ((service, value), seen) in values {
                own.insert((services[*service as usize], value.clone()), *seen);
            }
        }
        result
    }
}

/// Whether a key says where code runs.
fn is_told(key: &AttributeKey) -> bool {
    key.scope == AttributeScope::Resource || OF_RESOURCE.contains(&key.key.as_str())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Count {
    n_spans: [u64; 2],
    first_ns: i64,
    last_ns: i64,
}

impl Count {
    const NONE: Self = Self { n_spans: [0; 2], first_ns: i64::MAX, last_ns: i64::MIN };

    fn absorb(&mut self, other: &Self) {
        self.n_spans = [0, 1].map(|side: usize| self.n_spans[side] + other.n_spans[side]);
        self.first_ns = self.first_ns.min(other.first_ns);
        self.last_ns = self.last_ns.max(other.last_ns);
    }
}

/// Spans of a key by service and value.
type Counts = BTreeMap<(u32, String), Count>;

/// Window of each trace: 0 for neither, 1 for the baseline, 2 for the regression.
fn side_of(input: Input<'_>) -> Vec<u8> {
    let mut side = vec![0_u8; input.forest.n_traces()];
    for (which, traces) in [(1, &input.selection.baseline), (2, &input.selection.regression)] {
        for &trace in traces {
            side[trace as usize] = which;
        }
    }
    side
}

/// Window and service of each row of a stretch; [`u32::MAX`] of a row that is no span of the forest.
struct Rows<'a> {
    frame: &'a SpanFrame,
    window: Vec<u8>,
    service: Vec<u32>,
}

impl<'a> Rows<'a> {
    /// The rows of `traces`, which are counted in `totals`.
    fn new(
        stretch: &Stretch<'_>,
        frame: &'a SpanFrame,
        traces: &[u32],
        side_of: &[u8],
        totals: &mut [[u64; 2]],
    ) -> Self {
        let forest = stretch.forest;
        let (mut window, mut service) = (vec![0; frame.spans.len()], vec![u32::MAX; frame.spans.len()]);
        for &trace in traces {
            for span in forest.spans_of(stretch.local(trace)) {
                let own = forest.operations[forest.operation[span] as usize].service;
                let row = forest.row[span] as usize;
                (window[row], service[row]) = (side_of[trace as usize], own);
                if let Some(side) = window[row].checked_sub(1) {
                    totals[own as usize][usize::from(side)] += 1;
                }
            }
        }
        Self { frame, window, service }
    }

    /// Adds the values of a key.
    fn count(&self, key: &AttributeKey, counts: &mut Counts) {
        let mut own = HashMap::<(u32, u32), Count, foldhash::fast::FixedState>::default();
        let column = self.frame.attributes.get(key.scope, &key.key);
        for (row, value) in column.iter().flat_map(|column| column.iter()) {
            let AttributeValue::String(code) = value else { continue };
            let row = row as usize;
            if self.service.get(row).is_none_or(|&service| service == u32::MAX) {
                continue;
            }
            let start = self.frame.spans.start_unix_ns[row];
            let count = own.entry((self.service[row], code)).or_insert(Count::NONE);
            if let Some(side) = self.window[row].checked_sub(1) {
                count.n_spans[usize::from(side)] += 1;
            }
            // In a gap between the windows it may begin or end, too.
            if self.window[row] != 1 {
                count.first_ns = count.first_ns.min(start);
            }
            if self.window[row] != 2 {
                count.last_ns = count.last_ns.max(start);
            }
        }
        for ((service, code), count) in own.into_iter().collect::<BTreeMap<_, _>>() {
            let text = self.frame.attributes.values.get(code).to_owned();
            counts.entry((service, text)).or_insert(Count::NONE).absorb(&count);
        }
    }
}

/// What is new or gone.
#[must_use]
pub fn presence(input: Input<'_>) -> Present {
    let forest = input.forest;
    let attributes = forest.attributes(input.frame);
    let mut totals = vec![[0_u64; 2]; forest.services.len()];
    for (&service, n_spans) in input.kept.iter().flat_map(|kept| &kept.n_spans) {
        totals[service as usize][0] += n_spans;
    }
    let is_wanted = |key: &AttributeKey| is_told(key) && input.kept.is_none_or(|kept| !kept.many.contains(&key.key));
    let mut keys = columns::telling(&attributes, &|_| false);
    keys.retain(is_wanted);
    let n_own = keys.len();
    // What only the baseline has is gone.
    for (scope, key) in input.kept.iter().flat_map(|kept| kept.seen.keys()) {
        let key = AttributeKey { scope: *scope, key: key.clone() };
        if !keys.contains(&key) && is_wanted(&key) && !columns::has_many(&attributes, &key.key) {
            keys.push(key);
        }
    }
    let mut counts: Vec<Counts> = keys.iter().map(|_| Counts::default()).collect();
    let is_in = side_of(input);
    let mut lives = Lives::new(&forest.root_start_ns);
    let has_versions = keys[..n_own].iter().any(|key| key.key == VERSION);
    forest.each_stretch_of_all(Need::All, |stretch, traces| {
        // Before the rows, so that what both keep a row is not in memory at once.
        if has_versions {
            lives.add(stretch, stretch.frame(input.frame), traces);
        }
        let rows = Rows::new(stretch, stretch.frame(input.frame), traces, &is_in, &mut totals);
        keys[..n_own].par_iter().zip(&mut counts).for_each(|(key, counts)| rows.count(key, counts));
    });
    let mut found: Vec<Presence> = keys
        .par_iter()
        .zip(counts)
        .flat_map_iter(|(key, mut counts)| {
            let kept = input.kept.and_then(|kept| kept.seen.get(&(key.scope, key.key.clone())));
            for ((service, value), seen) in kept.into_iter().flatten() {
                let count = counts.entry((*service, value.clone())).or_insert(Count::NONE);
                count.n_spans[0] += seen.n_spans;
                count.last_ns = count.last_ns.max(seen.last_ns);
            }
            listed(key, counts, &totals)
        })
        .collect();
    found.sort_by(|left, right| {
        let same = |presence: &Presence| (presence.service, presence.change, presence.n_spans, presence.seen_unix_ns);
        let name = |presence: &Presence| {
            (preference(&presence.key, Of::Suspect), presence.key.clone(), presence.value.clone())
        };
        same(left).cmp(&same(right)).then_with(|| name(left).cmp(&name(right)))
    });
    // What came at the same moment on as many spans is one thing with several names.
    found.dedup_by(|next, kept| {
        let same = |presence: &Presence| (presence.service, presence.change, presence.n_spans, presence.seen_unix_ns);
        let is_same = same(next) == same(kept);
        if is_same {
            kept.also.push((std::mem::take(&mut next.key), std::mem::take(&mut next.value)));
        }
        is_same
    });
    found.sort_by(|left, right| {
        let name = |presence: &Presence| {
            (&forest.services[presence.service as usize].name, presence.key.clone(), presence.value.clone())
        };
        (left.change.cmp(&right.change))
            .then(right.share_of_spans.total_cmp(&left.share_of_spans))
            .then_with(|| name(left).cmp(&name(right)))
    });
    Present { values: found, rollouts: lives.rollouts() }
}

/// The values of one key that only one window has, a few a service.
fn listed(key: &AttributeKey, counts: Counts, totals: &[[u64; 2]]) -> Vec<Presence> {
    let mut list: Vec<Presence> = Vec::new();
    for ((service, value), count) in counts {
        let total = totals[service as usize];
        let share = |side: usize| count.n_spans[side] as f64 / total[side].max(1) as f64;
        let is_only =
            |side: usize| count.n_spans[1 - side] == 0 && share(side) * total[1 - side] as f64 >= MIN_EXPECTED;
        let (change, side, seen_unix_ns) = match (is_only(0), is_only(1)) {
            (_, true) => (Change::New, 1, count.first_ns),
            (true, false) => (Change::Gone, 0, count.last_ns),
            _ => continue,
        };
        list.push(Presence {
            service,
            key: key.key.clone(),
            value,
            change,
            also: Vec::new(),
            n_spans: count.n_spans[side],
            share_of_spans: share(side),
            seen_unix_ns,
        });
    }
    list.sort_by(|left, right| {
        (left.service, left.change, std::cmp::Reverse(left.n_spans), &left.value).cmp(&(
            right.service,
            right.change,
            std::cmp::Reverse(right.n_spans),
            &right.value,
        ))
    });
    let mut kept = Vec::new();
    for same in list.chunk_by(|left, right| (left.service, left.change) == (right.service, right.change)) {
        kept.extend(same.iter().take(MAX_LISTED).cloned());
    }
    kept
}
