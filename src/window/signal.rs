//! Observations of requests become series over time: one value a bucket, comparable over the whole data.
//!
//! A change of the traffic mix must not look like a change of latency, so every observation is taken relative to what
//! is usual for its entry operation: time as the logarithm of its ratio to the median, failures and calls as the
//! difference from the mean. A bucket's value is the mean of these, weighted by how many there are. Buckets are equal
//! stretches of time; those in which no request starts (files are missing, nobody was there) are left out.

use super::{Data, Root};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Most buckets: places an onset within 1.5 percent of the data, fits a line of a terminal, and all pairs of them are
/// looked at.
const MAX_BUCKETS: usize = 70;
/// Buckets hold so many requests on average, so that chance does not drown what they tell,
const REQUESTS_A_BUCKET: usize = 4;
/// unless that would leave fewer buckets than this to tell a change by.
const FEW_BUCKETS: usize = 32;
/// A single observation counts as at most ten times, at least a tenth of what is usual, so that one wild request cannot
/// make a bucket.
const MAX_LOG: f64 = std::f64::consts::LN_10;
/// Time below this share of a typical request is too little to matter: ratios are taken of time plus this much.
const NEGLIGIBLE_SHARE: f64 = 0.02;
/// Entry operations with fewer observations than this share one median: of fewer, it is one of the extremes.
const FEW: usize = 5;

/// What a series is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// Duration of requests, of one entry operation or of all.
    Latency,
    /// Share of requests that fail, of one entry operation or of all.
    Errors,
    /// Time that requests wait for one service.
    SelfTime,
    /// Share of the requests through a service in which it fails.
    Failures,
    /// Spans of a service a request.
    Calls,
    /// Requests to one entry operation, as a share of all.
    Traffic,
}

impl SignalKind {
    /// Whether both more and less of it is for the worse; of the others only more.
    pub(super) fn is_two_sided(self) -> bool {
        matches!(self, Self::Calls | Self::Traffic)
    }

    /// Whether failures are counted.
    pub(super) fn is_failing(self) -> bool {
        matches!(self, Self::Errors | Self::Failures)
    }

    fn is_time(self) -> bool {
        matches!(self, Self::Latency | Self::SelfTime)
    }
}

/// What single requests say about one service.
#[derive(Clone, Debug)]
pub struct Signal {
    /// What is observed: [`SignalKind::SelfTime`] in nanoseconds, [`SignalKind::Failures`] as 0 or 1, or
    /// [`SignalKind::Calls`] as a number.
    pub kind: SignalKind,
    /// Service.
    pub name: String,
    /// Requests observed, as indices in [`Data::roots`], each once. For calls, requests without an observation made none; otherwise
    /// they say nothing.
    pub roots: Arc<[u32]>,
    /// What was observed of each.
    pub values: Values,
}

/// Numbers, as narrow as they may be.
#[derive(Clone, Debug)]
pub enum Values {
    /// Any.
    Numbers(Vec<f64>),
    /// Whole ones.
    Counts(Vec<u32>),
    /// 0 or 1.
    Flags(Vec<bool>),
}

impl Signal {
    /// Requests and what was observed of them.
    pub fn observations(&self) -> impl Iterator<Item = (u32, f64)> + '_ {
        let value = |place: usize| match &self.values {
            Values::Numbers(values) => values[place],
            Values::Counts(values) => f64::from(values[place]),
            Values::Flags(values) => f64::from(u8::from(values[place])),
        };
        self.roots.iter().enumerate().map(move |(place, &root)| (root, value(place)))
    }
}

/// Equal stretches of time from the first request's start to the last one's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    start: i128,
    width: i128,
    /// Buckets, those without a request included.
    pub(super) n_buckets: usize,
}

impl Grid {
    /// The middle 98 % of the sorted starts set the length, so that one stray clock does not put all the rest into one
    /// bucket. `None` if all requests start at one moment.
    fn of(sorted: &[i64]) -> Option<Self> {
        let tail = sorted.len() / 100;
        let start = i128::from(*sorted.get(tail)?);
        let last = i128::from(sorted[sorted.len() - 1 - tail]);
        if sorted.first() == sorted.last() {
            return None;
        }
        let wanted = sorted.len().min((sorted.len() / REQUESTS_A_BUCKET).max(FEW_BUCKETS)).clamp(2, MAX_BUCKETS);
        let wanted = i128::try_from(wanted).unwrap_or(2);
        let width = round_length(((last - start) / wanted + 1).max(1));
        let first = start.div_euclid(width);
        let n_buckets = usize::try_from(last.div_euclid(width) - first + 1).unwrap_or(1);
        Some(Self { start: first * width, width, n_buckets })
    }

    pub(super) fn bucket_of(&self, moment_unix_ns: i64) -> usize {
        let bucket = (i128::from(moment_unix_ns) - self.start).div_euclid(self.width);
        usize::try_from(bucket.max(0)).unwrap_or(usize::MAX).min(self.n_buckets - 1)
    }

    /// Start of bucket `bucket`, nanoseconds since the Unix epoch.
    pub(super) fn start_of(&self, bucket: usize) -> i64 {
        let start = self.start + self.width * i128::try_from(bucket).unwrap_or(i128::MAX);
        i64::try_from(start).unwrap_or(if start < 0 { i64::MIN } else { i64::MAX })
    }

    pub(super) fn width_ns(&self) -> i64 {
        i64::try_from(self.width).unwrap_or(i64::MAX)
    }
}

/// Whole seconds from ten seconds on, whole milliseconds from ten milliseconds on, rounded up.
fn round_length(length_ns: i128) -> i128 {
    let unit = match length_ns {
        10_000_000_000.. => 1_000_000_000,
        10_000_000.. => 1_000_000,
        _ => 1,
    };
    (length_ns + unit - 1) / unit * unit
}

/// Requests in order of time, in buckets.
pub(super) struct Requests<'a> {
    data: Data<'a>,
    pub(super) grid: Grid,
    /// Indices of the roots by start; ties by all that is known of them, so that no sum depends on their order.
    order: Vec<u32>,
    /// Place of each root in `order`.
    place: Vec<u32>,
    /// Buckets that hold requests, as numbers of the grid.
    pub(super) buckets: Vec<usize>,
    /// Place in `buckets` of each request, in order of time.
    bucket: Vec<u32>,
    /// Nanoseconds that are too little to matter.
    negligible_ns: f64,
    /// Typical request, nanoseconds.
    pub(super) typical_ns: f64,
}

impl<'a> Requests<'a> {
    /// `None` if all requests start at one moment.
    pub(super) fn new(data: Data<'a>) -> Option<Self> {
        let roots = data.roots;
        let mut order: Vec<u32> = (0..u32::try_from(roots.len()).ok()?).collect();
        let weight = |root: u32| data.weights.get(root as usize).map_or(0, |weight| weight.to_bits());
        let key = |root: &Root| (root.start_unix_ns, root.duration_ns, root.is_error, root.entry);
        order.sort_by_key(|&root| (key(&roots[root as usize]), weight(root)));
        let starts: Vec<i64> = order.iter().map(|&root| roots[root as usize].start_unix_ns).collect();
        let grid = Grid::of(&starts)?;
        let mut place = vec![0; roots.len()];
        let (mut buckets, mut bucket) = (Vec::new(), Vec::with_capacity(roots.len()));
        for (at, &root) in (0_u32..).zip(&order) {
            place[root as usize] = at;
            let number = grid.bucket_of(roots[root as usize].start_unix_ns);
            if buckets.last() != Some(&number) {
                buckets.push(number);
            }
            bucket.push(u32::try_from(buckets.len() - 1).unwrap_or(u32::MAX));
        }
        let mut requests = Self { data, grid, order, place, buckets, bucket, negligible_ns: 0.0, typical_ns: 0.0 };
        let mut durations: Vec<f64> = roots.iter().map(|root| root.duration_ns as f64).collect();
        requests.typical_ns = median(&mut durations).max(1.0);
        requests.negligible_ns = NEGLIGIBLE_SHARE * requests.typical_ns;
        Some(requests)
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Start of the request at place `place` in time.
    pub(super) fn start_ns(&self, place: usize) -> i64 {
        self.root(place).start_unix_ns
    }

    /// Requests that start before `moment_unix_ns`.
    pub(super) fn n_before(&self, moment_unix_ns: i64) -> usize {
        self.order.partition_point(|&root| self.data.roots[root as usize].start_unix_ns < moment_unix_ns)
    }

    pub(super) fn root(&self, place: usize) -> &Root {
        &self.data.roots[self.order[place] as usize]
    }

    /// How many requests the one at place `place` stands for.
    pub(super) fn weight(&self, place: u32) -> f64 {
        self.data.weights.get(self.order[place as usize] as usize).copied().unwrap_or(1.0)
    }

    pub(super) fn bucket(&self, place: u32) -> usize {
        self.bucket[place as usize] as usize
    }

    /// Observations of a subject by place in time, relative to what is usual for their entry operations.
    pub(super) fn observe(&self, subject: &Subject) -> impl Iterator<Item = Observation> + use<'_> {
        let mut raw: Vec<(u32, f64)> = match subject.source {
            Source::Roots => (0..u32::try_from(self.len()).unwrap_or(u32::MAX))
                .filter(|&place| subject.kind == SignalKind::Traffic || subject.is_about(self.root(place as usize)))
                .map(|place| {
                    let root = self.root(place as usize);
                    let value = match subject.kind {
                        SignalKind::Latency => root.duration_ns as f64,
                        SignalKind::Traffic => f64::from(u8::from(subject.is_about(root))),
                        _ => f64::from(u8::from(root.is_error)),
                    };
                    (place, value)
                })
                .collect(),
            Source::Signal(signal) => self.data.signals[signal]
                .observations()
                .filter_map(|(root, value)| Some((*self.place.get(root as usize)?, value)))
                .collect(),
        };
        if subject.kind == SignalKind::Calls {
            self.fill_in_zeros(&mut raw);
        }
        raw.sort_by_key(|&(place, _)| place);
        let is_traffic = subject.kind == SignalKind::Traffic;
        // Shares of the traffic are of all of it.
        let entry = move |place: u32| if is_traffic { 0 } else { self.root(place as usize).entry };
        let usual = Usual::of(raw.iter().map(|&(place, value)| (entry(place), value)), subject.kind.is_time());
        let kind = subject.kind;
        raw.into_iter().map(move |(place, value)| {
            let usual = usual.get(entry(place));
            let (relative, excess) = match kind {
                SignalKind::Latency | SignalKind::SelfTime => {
                    let scale = usual + self.negligible_ns;
                    let log = ((value + self.negligible_ns) / scale).ln().clamp(-MAX_LOG, MAX_LOG);
                    (log, value.min(10.0 * scale) - usual)
                }
                SignalKind::Calls => {
                    let log = ((value + 0.5) / (usual + 0.5)).ln().clamp(-MAX_LOG, MAX_LOG);
                    (log, value.min(10.0 * (usual + 1.0)) - usual)
                }
                _ => (value - usual, value - usual),
            };
            Observation { place, value, usual, relative, excess }
        })
    }

    /// Requests to an entry operation that calls the service at all, and that did not this time.
    fn fill_in_zeros(&self, raw: &mut Vec<(u32, f64)>) {
        let n_entries = self.data.roots.iter().map(|root| root.entry as usize + 1).max().unwrap_or(0);
        let (mut is_called, mut is_present) = (vec![false; n_entries], vec![false; self.len()]);
        for &(place, _) in raw.iter() {
            is_called[self.root(place as usize).entry as usize] = true;
            is_present[place as usize] = true;
        }
        let places = 0..u32::try_from(self.len()).unwrap_or(u32::MAX);
        raw.extend(
            places
                .filter(|&place| !is_present[place as usize] && is_called[self.root(place as usize).entry as usize])
                .map(|place| (place, 0.0)),
        );
    }
}

/// One observation of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observation {
    /// Place of the request in time.
    pub(super) place: u32,
    /// As observed: nanoseconds, 0 or 1, calls.
    pub(super) value: f64,
    /// What is usual for its entry operation, in the same units.
    pub(super) usual: f64,
    /// Relative to what is usual: a logarithm for time and calls, a difference for the others.
    pub(super) relative: f64,
    /// Difference from what is usual in the units of `value`, wild values cut.
    pub(super) excess: f64,
}

/// What is usual for each entry operation: the median, or the mean of what is 0 or 1 or a number of calls.
struct Usual {
    /// By entry, ascending.
    by_entry: Vec<(u32, f64)>,
    /// For entries with few observations.
    rest: f64,
}

impl Usual {
    fn of(values: impl Iterator<Item = (u32, f64)> + Clone, by_median: bool) -> Self {
        let n_entries = values.clone().map(|(entry, _)| entry as usize + 1).max().unwrap_or(0);
        let mut n_values = vec![0_usize; n_entries];
        values.clone().for_each(|(entry, _)| n_values[entry as usize] += 1);
        let mut by_entry: Vec<Vec<f64>> = n_values.iter().map(|&n_values| Vec::with_capacity(n_values)).collect();
        values.for_each(|(entry, value)| by_entry[entry as usize].push(value));
        // Means are of whole numbers, whose sums do not depend on their order.
        let center = |values: &mut [f64]| {
            if by_median { median(values) } else { values.iter().sum::<f64>() / values.len() as f64 }
        };
        let mut rest = Vec::new();
        let mut centers = Vec::new();
        for (entry, mut own) in (0..).zip(by_entry).filter(|(_, own)| !own.is_empty()) {
            if own.len() < FEW {
                rest.extend(own);
            } else {
                centers.push((entry, center(&mut own)));
            }
        }
        Self { by_entry: centers, rest: if rest.is_empty() { 0.0 } else { center(&mut rest) } }
    }

    fn get(&self, entry: u32) -> f64 {
        self.by_entry.binary_search_by_key(&entry, |&(known, _)| known).map_or(self.rest, |at| self.by_entry[at].1)
    }
}

/// Where a subject's observations come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Roots,
    /// Index in [`Data::signals`].
    Signal(usize),
}

/// What one series is about.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) kind: SignalKind,
    pub(super) source: Source,
    /// The entry operation that it is about, if not all.
    pub(super) entry: Option<u32>,
    pub(super) name: String,
}

impl Subject {
    fn is_about(&self, root: &Root) -> bool {
        self.entry.is_none_or(|entry| entry == root.entry)
    }

    /// All subjects of the data: requests as a whole, the busiest entry operations, the services.
    pub(super) fn all(data: Data) -> Vec<Self> {
        /// Entry operations with series of their own: more would cost the others their power.
        const MAX_ENTRIES: usize = 16;
        let of_roots = |kind, entry: Option<u32>| Self {
            kind,
            source: Source::Roots,
            entry,
            name: entry.and_then(|entry| data.entries.get(entry as usize)).cloned().unwrap_or_default(),
        };
        let mut counts: Vec<(usize, u32)> = Vec::new();
        for root in data.roots {
            let entry = root.entry as usize;
            if counts.len() <= entry {
                counts.extend((counts.len()..=entry).map(|entry| (0, u32::try_from(entry).unwrap_or(u32::MAX))));
            }
            counts[entry].0 += 1;
        }
        // The rest is too rare for a series of its own.
        counts.retain(|&(n_requests, _)| n_requests * 50 >= data.roots.len() && n_requests >= FEW);
        counts.sort_by(|left, right| right.0.cmp(&left.0).then(left.1.cmp(&right.1)));
        counts.truncate(MAX_ENTRIES);
        let mut subjects = vec![of_roots(SignalKind::Latency, None), of_roots(SignalKind::Errors, None)];
        if counts.len() > 1 {
            for &(_, entry) in &counts {
                for kind in [SignalKind::Latency, SignalKind::Errors, SignalKind::Traffic] {
                    subjects.push(of_roots(kind, Some(entry)));
                }
            }
        }
        subjects.extend(data.signals.iter().enumerate().map(|(index, signal)| Self {
            kind: signal.kind,
            source: Source::Signal(index),
            entry: None,
            name: signal.name.clone(),
        }));
        subjects
    }
}

fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}
