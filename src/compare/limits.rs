//! Time limits: at what duration the calls of an operation are given up.
//!
//! Takes the client and server spans that failed or were *cut*: their callee ran on. Where many of these last equally long and hardly
//! any good call lasts longer, that duration is a limit: the caller's own, or one further up that ended the work of all below.
//!
//! ```text
//! good calls       . .:::.:. .
//! failed or cut       .              |||||||     1,000 ms and a little: much piles up where nothing gets by
//! ```
//!
//! Calls that fail at once pile up, too, but good calls last longer than they. Limits are looked for in all data, not in a window: the
//! fault may be that they are reached now.

use crate::normalize::{Forest, NO_PARENT, Need, SpanFlags};
use crate::span::SpanKind;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// A pile-up spans this share of the limit at most: timers fire late, and the span ends after the timer.
const BAND_SHARE: f64 = 0.02;
/// And at least this much, up to a tenth of the limit: timers of a busy process are a few milliseconds late at any limit.
const BAND_NS: i64 = 5_000_000;
/// A shorter limit than this is none that people set; calls refused at once end within it.
const MIN_LIMIT_NS: i64 = 10_000_000;
/// Calls that must pile up at a limit; three at a round one, where chance would rarely put them.
const MIN_CALLS: usize = 5;
const MIN_ROUND_CALLS: usize = 3;
/// Share of good calls that may last as long or longer.
const MAX_LONGER: f64 = 0.01;
/// With fewer good calls than this, they say little of how long ordinary work takes.
const MIN_GOOD: u64 = 10;
/// A limit that is no round number lies this far above all other good calls: else the calls fail at the end of ordinary work.
const FAR: i64 = 2;
/// Leading digits of the limits that people set, in any power of ten of a millisecond, and multiples of a minute's quarter.
const ROUND: [i64; 6] = [10, 15, 20, 25, 30, 50];
const ROUND_MS: [i64; 5] = [45_000, 60_000, 90_000, 120_000, 600_000];

/// The limits found, by operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Shortest and longest duration of the pile-up, nanoseconds.
    bands: BTreeMap<u32, (i64, i64)>,
}

/// The densest pile-up of an operation's lost calls, and the good calls beside it.
#[derive(Clone, Debug)]
struct Pile {
    /// Shortest and longest duration.
    band: (i64, i64),
    /// Lost calls that last as long, those of them within [`BAND_SHARE`], and those that are not far shorter.
    n_calls: usize,
    n_tight: usize,
    n_near: usize,
    /// Good calls, those that last as long, and those that are not far shorter.
    n_good: u64,
    n_longer: u64,
    n_near_good: u64,
}

impl Limits {
    /// Looks for the limits of all operations of `forest`; a pass over the spans.
    #[must_use]
    pub fn learn(forest: &Forest) -> Self {
        let mut lost = BTreeMap::<u32, Vec<i64>>::new();
        let add_lost = |lost: &mut BTreeMap<u32, Vec<i64>>, forest: &Forest, span: usize, is_lost: bool| {
            if is_lost {
                lost.entry(forest.operation[span]).or_default().push(duration_ns(forest, span));
            }
        };
        each_call(forest, BTreeMap::new, add_lost, |part| {
            for (operation, mut part) in part {
                lost.entry(operation).or_default().append(&mut part);
            }
        });
        lost.retain(|_, lost| lost.len() >= MIN_ROUND_CALLS);
        let mut piles: BTreeMap<u32, Pile> =
            lost.into_iter().filter_map(|(operation, lost)| Some((operation, Pile::densest(lost)?))).collect();
        if piles.is_empty() {
            return Self::default();
        }
        let add_good = |piles: &mut BTreeMap<u32, Pile>, forest: &Forest, span: usize, is_lost: bool| {
            if !is_lost && let Some(pile) = piles.get_mut(&forest.operation[span]) {
                pile.add_good(duration_ns(forest, span));
            }
        };
        let none_good = piles.clone();
        each_call(
            forest,
            || none_good.clone(),
            add_good,
            |part| {
                for (pile, part) in piles.values_mut().zip(part.into_values()) {
                    pile.n_good += part.n_good;
                    pile.n_longer += part.n_longer;
                    pile.n_near_good += part.n_near_good;
                }
            },
        );
        let bands =
            piles.into_iter().filter(|(_, pile)| pile.is_limit()).map(|(operation, pile)| (operation, pile.band));
        Self { bands: bands.collect() }
    }

    /// The pile-ups by operation: shortest and longest duration, nanoseconds.
    #[must_use]
    pub fn bands(&self) -> &BTreeMap<u32, (i64, i64)> {
        &self.bands
    }

    /// Takes over the limits that were found in other data, of operations that have none here.
    pub fn absorb(&mut self, bands: impl IntoIterator<Item = (u32, (i64, i64))>) {
        for (operation, band) in bands {
            self.bands.entry(operation).or_insert(band);
        }
    }

    /// The limit of operation `operation`, nanoseconds: a round one if the pile-up begins a little after it.
    #[must_use]
    pub fn of(&self, operation: u32) -> Option<i64> {
        self.bands.get(&operation).map(|&(shortest, _)| round_below(shortest).unwrap_or(shortest))
    }

    /// Whether a call that took `duration_ns` was given up at the limit.
    #[must_use]
    pub fn is_at(&self, operation: u32, duration_ns: i64) -> bool {
        self.bands
            .get(&operation)
            .is_some_and(|&(shortest, longest)| (shortest..=longest.max(band_end(shortest))).contains(&duration_ns))
    }
}

impl Pile {
    /// The densest band of lost calls.
    fn densest(mut lost: Vec<i64>) -> Option<Self> {
        lost.retain(|&duration| duration >= MIN_LIMIT_NS);
        lost.sort_unstable();
        let n_until = |first: usize, end: i64| lost.partition_point(|&duration| duration <= end) - first;
        let n_in_band = |first: usize| n_until(first, band_end(lost[first]));
        // Of equally dense ones the longest.
        let first = (0..lost.len()).max_by_key(|&first| (n_in_band(first), first))?;
        let (shortest, end) = (lost[first], first + n_in_band(first));
        let n_tight = (first..end).map(|first| n_until(first, lost[first].saturating_add(share_of(lost[first])))).max();
        // Lost calls that spread over all durations are no pile-up.
        let n_near = lost.len() - lost.partition_point(|&duration| duration < shortest / 2);
        let band = (shortest, lost[end - 1]);
        Some(Self {
            band,
            n_calls: end - first,
            n_tight: n_tight.unwrap_or(0),
            n_near,
            n_good: 0,
            n_longer: 0,
            n_near_good: 0,
        })
    }

    fn add_good(&mut self, duration_ns: i64) {
        self.n_good += 1;
        self.n_longer += u64::from(duration_ns >= self.band.0);
        self.n_near_good += u64::from(duration_ns >= self.band.0 / FAR);
    }

    fn is_limit(&self) -> bool {
        let is_round = round_below(self.band.0).is_some();
        let enough = if is_round { MIN_ROUND_CALLS } else { MIN_CALLS };
        let are_few = |n_longer: u64| n_longer as f64 <= MAX_LONGER * self.n_good as f64;
        let is_clear = if self.n_good < MIN_GOOD {
            // With next to no good call to be longer than, only a round number tells a limit from a refusal, and only how closely calls end
            // after it tells it from work that takes about as long: half of all durations are a little more than some round number.
            is_round && self.n_tight >= MIN_CALLS && self.n_tight * 2 >= self.n_near
        } else {
            is_round || are_few(self.n_near_good)
        };
        self.n_calls >= enough && self.n_calls * 2 >= self.n_near && are_few(self.n_longer) && is_clear
    }
}

fn duration_ns(forest: &Forest, span: usize) -> i64 {
    forest.end_ns[span].saturating_sub(forest.start_ns[span])
}

fn band_end(shortest: i64) -> i64 {
    shortest.saturating_add(share_of(shortest).max(BAND_NS.min(shortest / 10)))
}

/// [`BAND_SHARE`] of a duration.
fn share_of(duration_ns: i64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a share of a 64-bit duration fits")]
    let share = (duration_ns as f64 * BAND_SHARE) as i64;
    share
}

/// The round number of milliseconds that `duration_ns` begins a band after, in nanoseconds.
fn round_below(duration_ns: i64) -> Option<i64> {
    const NS_PER_MS: i64 = 1_000_000;
    let powers = (0..7).map(|power| 10_i64.pow(power));
    let candidates = powers.flat_map(|power| ROUND.map(|lead| lead * power)).chain(ROUND_MS);
    candidates
        .map(|ms| ms * NS_PER_MS)
        // A clock may count a little short.
        .filter(|&round| round - NS_PER_MS <= duration_ns && duration_ns <= band_end(round))
        .min_by_key(|&round| (duration_ns - round).abs())
}

/// Gives `visit` every span that asks or answers, with its forest and whether it failed or was given up before its callee was done, to add to
/// what is `new` for some traces; `take` is given that of all traces, in their order.
fn each_call<T: Send>(
    forest: &Forest,
    new: impl Fn() -> T + Sync,
    visit: impl Fn(&mut T, &Forest, usize, bool) + Sync,
    mut take: impl FnMut(T),
) {
    forest.each_stretch_of_all(Need::Links, |stretch, traces| {
        let forest = stretch.forest;
        let visit_some = |traces: &[u32]| {
            let mut result = new();
            // Latest end of what is below each span of the trace.
            let mut below_ns: Vec<i64> = Vec::new();
            for &trace in traces {
                let spans = forest.spans_of(stretch.local(trace));
                below_ns.clear();
                below_ns.resize(spans.len(), i64::MIN);
                for span in spans.clone().filter(|&span| forest.parent[span] != NO_PARENT) {
                    let latest = &mut below_ns[forest.parent[span] as usize];
                    *latest = (*latest).max(forest.end_ns[span]);
                }
                for span in spans.clone() {
                    let kind = forest.kind(span);
                    if matches!(kind, SpanKind::Client | SpanKind::Server) {
                        let is_cut = kind == SpanKind::Client && below_ns[span - spans.start] > forest.end_ns[span];
                        visit(&mut result, forest, span, is_cut || forest.flags[span].has(SpanFlags::FAILED));
                    }
                }
            }
            result
        };
        let chunk = traces.len().div_ceil(rayon::current_num_threads() * 4).max(64);
        let parts: Vec<T> = traces.par_chunks(chunk).map(visit_some).collect();
        parts.into_iter().for_each(&mut take);
    });
}
