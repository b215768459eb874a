//! Change points of series over buckets: which stretch differs from the rest, and could chance do as well.
//!
//! The alternative to "nothing changed" is a stretch `first..end` of buckets with another mean than the rest (the
//! epidemic alternative of circular binary segmentation); with `end` the last bucket it is a step. All stretches are
//! looked at, and the share of a series' variance that the best one explains is its statistic: it needs no scale.
//! What chance reaches is learnt from the series themselves: they are cut in blocks, the blocks are shuffled, all series
//! alike, and the search repeated. That keeps the noise's own shape, its correlation over time within a block and the
//! correlation between series; the largest statistic over all series corrects for their number (Westfall & Young).
//! Stretches that explain more than half of a series are taken out of it before, as shuffles would else make changes of
//! their parts. (To take out less clear stretches takes noise for signal: quiet data had onsets three times too often.)
//!
//! A. Olshen et al., "Circular binary segmentation", Biostatistics 5 (2004), 557-572; P. Westfall, S. Young,
//! "Resampling-Based Multiple Testing" (1993); D. Freedman, D. Lane, J. Bus. Econ. Stat. 1 (1983), 292-298.

use crate::stats;
use rayon::prelude::*;
use std::ops::Range;

/// Shuffles: what is asked for is exceeded by three of them.
pub(super) const N_SHUFFLES: u64 = 299;
/// Fewest buckets of a stretch and of what it is compared with: two wild neighbours are no stretch.
pub(super) const MIN_BUCKETS: usize = 3;
/// And at least one in so many: on fault-free systems all but one of the stretches that shuffles took for a change were
/// bursts of 3 or 4 buckets of 96, since what comes in bursts is not undone by shuffling blocks.
const MIN_PART: usize = 16;
/// Fewest observations in a stretch, and before it: of so many, all above all of four others has odds of 1 in 70.
const MIN_OBSERVATIONS: f64 = 4.0;

/// A series: a value and a weight a bucket. Buckets of no weight say nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    pub(super) values: Vec<f64>,
    pub(super) weights: Vec<f64>,
    /// Whether less counts as a change, too.
    pub(super) is_two_sided: bool,
}

/// The stretch that explains most of a series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Best {
    pub(super) stretch: Range<usize>,
    /// Share of the variance that it explains.
    pub(super) explained: f64,
}

/// Weights and weighted values summed up to each bucket, the last ones repeated up to whole blocks of [`LANES`].
#[derive(Default)]
struct Prefix {
    n_buckets: usize,
    weights: Vec<f64>,
    sums: Vec<f64>,
    /// The least and the largest of each [`LANES`] sums.
    bounds: Vec<[f64; 2]>,
    variance: f64,
}

/// Weighted mean of values with their weights; 0 without weight.
fn mean(values: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (weight, sum) = values.fold((0.0, 0.0), |(weight, sum), (value, own)| (weight + own, sum + own * value));
    if weight > 0.0 { sum / weight } else { 0.0 }
}

/// Sums that are looked at together.
const LANES: usize = 8;

impl Prefix {
    fn new(values: impl Iterator<Item = (f64, f64)> + Clone) -> Self {
        Self::around(mean(values.clone()), values)
    }

    /// Of values whose mean is known.
    fn around(mean: f64, values: impl Iterator<Item = (f64, f64)>) -> Self {
        let mut prefix = Self::default();
        prefix.fill(mean, values);
        prefix
    }

    /// The same in memory that is there.
    fn fill(&mut self, mean: f64, values: impl Iterator<Item = (f64, f64)>) {
        let Self { n_buckets, weights, sums, bounds, variance } = self;
        weights.clear();
        sums.clear();
        bounds.clear();
        weights.push(0.0);
        sums.push(0.0);
        *variance = 0.0;
        let (mut weight, mut sum) = (0.0, 0.0);
        for (value, own) in values {
            weight += own;
            sum += own * (value - mean);
            *variance += own * (value - mean).powi(2);
            weights.push(weight);
            sums.push(sum);
        }
        *n_buckets = sums.len() - 1;
        weights.resize(weights.len().next_multiple_of(LANES), weight);
        sums.resize(sums.len().next_multiple_of(LANES), sum);
        bounds.extend(sums.as_chunks::<LANES>().0.iter().map(|sums| {
            sums.iter().fold([f64::INFINITY, f64::NEG_INFINITY], |[least, most], &sum| [least.min(sum), most.max(sum)])
        }));
    }

    fn total(&self) -> f64 {
        self.weights[self.n_buckets]
    }

    /// No less than what any stretch explains that begins in block `first` and ends in block `end`.
    fn most(&self, first: usize, end: usize, is_two_sided: bool) -> f64 {
        let ([low, high], [end_low, end_high]) = (self.bounds[first], self.bounds[end]);
        let up = end_high - low;
        let gain = if is_two_sided { up.max(high - end_low) } else { up }.max(0.0);
        let of_block = |block: usize| [self.weights[block * LANES], self.weights[(block + 1) * LANES - 1]];
        let ([begin, begin_last], [finish, finish_last]) = (of_block(first), of_block(end));
        // What is below is least at the least or at the largest weight inside; of fewer observations none counts.
        let total = self.total();
        let under = |inside: f64| {
            let inside = inside.clamp(MIN_OBSERVATIONS, total - MIN_OBSERVATIONS);
            inside * (total - inside)
        };
        gain * gain * total / under(finish - begin_last).min(under(finish_last - begin)) / self.variance * (1.0 + 1e-9)
    }

    /// Whether a stretch with so much weight inside, and so much in it above the mean, may explain more than `known`, without a division.
    fn may_explain(&self, gain: f64, inside: f64, known: f64) -> bool {
        let total = self.total();
        gain * gain * total >= known * (1.0 - 1e-9) * self.variance * (inside * (total - inside))
    }

    /// Whether a stretch to `end` from anywhere in block `first` may explain more than `known`: nearly none does, and to see that takes no
    /// branch for each.
    fn is_any_more(&self, first: usize, end: usize, is_two_sided: bool, known: f64) -> bool {
        let (end_weight, end_sum) = (self.weights[end], self.sums[end]);
        let firsts = self.weights.as_chunks::<LANES>().0[first].iter().zip(&self.sums.as_chunks::<LANES>().0[first]);
        let is_any = |gain: fn(f64) -> f64| {
            firsts.fold(false, |any, (weight, sum)| {
                any | self.may_explain(gain(end_sum - sum), end_weight - weight, known)
            })
        };
        if is_two_sided { is_any(|gain| gain) } else { is_any(|gain| gain.max(0.0)) }
    }

    /// Share of the variance that another mean in `first..end` explains; 0 if it is a change that does not count.
    fn explained(&self, first: usize, end: usize, is_two_sided: bool) -> f64 {
        let inside = self.weights[end] - self.weights[first];
        let outside = self.total() - inside;
        let sum = self.sums[end] - self.sums[first];
        if inside < MIN_OBSERVATIONS || outside < MIN_OBSERVATIONS || (sum <= 0.0 && !is_two_sided) {
            return 0.0;
        }
        sum * sum * self.total() / (inside * outside) / self.variance
    }
}

/// Calls `look` for every stretch of `n` buckets that may be one: it and each of the rests around it, if there is one,
/// are long enough.
fn each_stretch(n: usize, mut look: impl FnMut(usize, usize)) {
    let least = shortest(n);
    for first in (0..n).filter(|&first| first == 0 || first >= least) {
        for end in (first + least..(n + 1).saturating_sub(least)).chain((first > 0 && first + least <= n).then_some(n))
        {
            look(first, end);
        }
    }
}

/// Buckets of a stretch at least, and of what is left before and after it.
fn shortest(n: usize) -> usize {
    MIN_BUCKETS.max(n / MIN_PART)
}

/// The largest share explained, and where, the first such stretch.
fn best(prefix: &Prefix, is_two_sided: bool) -> Best {
    let n = prefix.n_buckets;
    let mut best = Best { stretch: 0..0, explained: 0.0 };
    // What is left of a constant after rounding, or too few observations for any stretch.
    if prefix.variance <= 1e-18 * prefix.total() || prefix.total() < 2.0 * MIN_OBSERVATIONS {
        return best;
    }
    let mut look = |first: usize, end: usize| {
        let (inside, sum) = (prefix.weights[end] - prefix.weights[first], prefix.sums[end] - prefix.sums[first]);
        if !prefix.may_explain(sum, inside, best.explained) {
            return best.explained;
        }
        let explained = prefix.explained(first, end, is_two_sided);
        let is_first = || explained > 0.0 && (first, end) < (best.stretch.start, best.stretch.end);
        if explained > best.explained || explained.to_bits() == best.explained.to_bits() && is_first() {
            best = Best { stretch: first..end, explained };
        }
        best.explained
    };
    let least = shortest(n);
    let mut known = 0.0;
    for first in least..(n + 1).saturating_sub(least) {
        known = look(first, n);
        // More at the beginning is less from there on.
        if !is_two_sided {
            known = look(0, first);
        }
    }
    let ends = 2 * least..(n + 1).saturating_sub(least);
    let mut look_in = |first_block: usize, end_block: usize, mut known: f64| {
        let block = |block: usize, within: Range<usize>| {
            let start = (block * LANES).max(within.start);
            start..((block + 1) * LANES).min(within.end).max(start)
        };
        for end in block(end_block, ends.clone()) {
            if prefix.is_any_more(first_block, end, is_two_sided, known) {
                for first in block(first_block, least..end + 1 - least) {
                    known = look(first, end);
                }
            }
        }
        known
    };
    let (first_blocks, end_blocks) = (least / LANES.., ends.start / LANES..ends.end.div_ceil(LANES));
    // From the least sum to the largest is a good guess: of nearly all other pairs of blocks it is then seen at once that no stretch explains more.
    let extreme = |is_better: fn([f64; 2], [f64; 2]) -> bool| {
        let blocks = first_blocks.start..end_blocks.end;
        blocks.reduce(|best, block| if is_better(prefix.bounds[block], prefix.bounds[best]) { block } else { best })
    };
    let lowest = extreme(|[low, _], [best, _]| low < best);
    let highest = extreme(|[_, high], [_, best]| high > best);
    if let (Some(lowest), Some(highest)) = (lowest, highest)
        && (lowest <= highest || is_two_sided)
    {
        known = look_in(lowest.min(highest), lowest.max(highest), known);
    }
    for end_block in end_blocks {
        for first_block in first_blocks.start..=end_block {
            if prefix.most(first_block, end_block, is_two_sided) >= known {
                known = look_in(first_block, end_block, known);
            }
        }
    }
    best
}

impl Series {
    fn prefix(&self, buckets: &Range<usize>) -> Prefix {
        Prefix::new(buckets.clone().map(|bucket| (self.values[bucket], self.weights[bucket])))
    }

    /// The best stretch within `buckets`.
    pub(super) fn best(&self, buckets: &Range<usize>) -> Best {
        let mut best = best(&self.prefix(buckets), self.is_two_sided);
        best.stretch = best.stretch.start + buckets.start..best.stretch.end + buckets.start;
        best
    }

    /// Weighted mean over `buckets`; 0 without weight.
    pub(super) fn mean(&self, buckets: impl Iterator<Item = usize>) -> f64 {
        mean(buckets.map(|bucket| (self.values[bucket], self.weights[bucket])))
    }

    /// The values of `buckets` minus the means within `stretch` and outside it.
    fn residuals(&self, buckets: &Range<usize>, stretch: &Range<usize>) -> Vec<f64> {
        let inside = self.mean(buckets.clone().filter(|bucket| stretch.contains(bucket)));
        let outside = self.mean(buckets.clone().filter(|bucket| !stretch.contains(bucket)));
        let fitted = |bucket: usize| if stretch.contains(&bucket) { inside } else { outside };
        buckets.clone().map(|bucket| self.values[bucket] - fitted(bucket)).collect()
    }

    /// Whether a straight line over time explains the values within `buckets` as well as another mean in `stretch`.
    pub(super) fn is_drift(&self, buckets: &Range<usize>, stretch: &Range<usize>) -> bool {
        let time = |bucket: usize| bucket as f64;
        let mean_value = self.mean(buckets.clone());
        let all = || buckets.clone().map(|bucket| (self.weights[bucket], time(bucket), self.values[bucket]));
        let weight: f64 = all().map(|(weight, ..)| weight).sum();
        let mean_time = all().map(|(weight, time, _)| weight * time).sum::<f64>() / weight.max(1e-300);
        let (mut over, mut under, mut variance) = (0.0, 0.0, 0.0);
        for (weight, time, value) in all() {
            over += weight * (time - mean_time) * (value - mean_value);
            under += weight * (time - mean_time).powi(2);
            variance += weight * (value - mean_value).powi(2);
        }
        let line = if under > 0.0 { over * over / under } else { 0.0 };
        let step = self.prefix(buckets).explained(stretch.start - buckets.start, stretch.end - buckets.start, true);
        line >= step * variance
    }
}

/// A bijection of `0..n` that moves whole blocks, the same on every run; `round` tells shuffles apart.
fn shuffled_blocks(n: usize, stream: u64, round: u64) -> Vec<usize> {
    // n^(1/3) is the rate that minimises the error of a block bootstrap's variance (Hall, Horowitz & Jing, 1995).
    let length = integer_root(n).max(1);
    let draw = |step: u64, below: usize| {
        let below = u64::try_from(below.max(1)).unwrap_or(1);
        usize::try_from(stats::random(stream, round, step) % below).unwrap_or(0)
    };
    // Blocks begin at a random place, so that not always the same neighbours are kept together.
    let offset = draw(0, length);
    let mut blocks: Vec<Range<usize>> = Vec::new();
    let mut begin = 0;
    while begin < n {
        let end = if begin == 0 && offset > 0 { offset } else { begin + length }.min(n);
        blocks.push(begin..end);
        begin = end;
    }
    for last in (1..blocks.len()).rev() {
        let other = draw(last as u64, last + 1);
        blocks.swap(last, other);
    }
    blocks.into_iter().flatten().collect()
}

/// The largest whole number whose cube is at most `n`.
fn integer_root(n: usize) -> usize {
    (1..=n).take_while(|root| root.saturating_pow(3) <= n).last().unwrap_or(0)
}

/// What chance does: for each series the p-value of its best stretch, corrected for the number of series.
pub(super) struct Significance {
    /// Standard deviations by which it exceeds what chance does on average, a series.
    pub(super) excess: Vec<f64>,
    /// p-value a series.
    pub(super) p_value: Vec<f64>,
}

/// Stretches taken out of a series before it is shuffled, at most.
const MAX_STRETCHES: i32 = 3;

/// The values of a series within `buckets` without the stretches that are clearly none of its noise: one that halves
/// its variance, two that leave a quarter of it, three that leave an eighth. Of 30 and more buckets of noise, one series
/// in thousands has such.
fn noise(series: &Series, buckets: &Range<usize>) -> Vec<f64> {
    let mut left = Series {
        values: series.values[buckets.clone()].to_vec(),
        weights: series.weights[buckets.clone()].to_vec(),
        is_two_sided: series.is_two_sided,
    };
    let all = 0..buckets.len();
    let variance = left.prefix(&all).variance;
    let mut noise = left.values.clone();
    for n_stretches in 1..=MAX_STRETCHES {
        let stretch = left.best(&all).stretch;
        if stretch.is_empty() {
            break;
        }
        left.values = left.residuals(&all, &stretch);
        if left.prefix(&all).variance <= variance * 0.5_f64.powi(n_stretches) {
            noise.clone_from(&left.values);
        }
    }
    noise
}

/// Shuffles after which it may be clear that nothing is there, and the p-value that says so.
const FEW_SHUFFLES: u64 = 99;
const HOPELESS: f64 = 0.2;

/// Tests the best stretches of all series within `buckets`; if after a few shuffles none of `asked` could be one, there are no more.
pub(super) fn significance(
    series: &[Series],
    buckets: &Range<usize>,
    best_of: &[Best],
    asked: &[usize],
) -> Significance {
    let noise: Vec<Vec<f64>> = series.par_iter().map(|series| noise(series, buckets)).collect();
    let mut chance = shuffles(series, &noise, buckets, 0..FEW_SHUFFLES);
    let result = judged(&chance, best_of);
    if asked.iter().all(|&index| result.p_value[index] > HOPELESS) {
        return result;
    }
    chance.extend(shuffles(series, &noise, buckets, FEW_SHUFFLES..N_SHUFFLES));
    judged(&chance, best_of)
}

/// What the best stretch of each series explains in each of these shuffles of its noise.
fn shuffles(series: &[Series], noise: &[Vec<f64>], buckets: &Range<usize>, rounds: Range<u64>) -> Vec<Vec<f64>> {
    let mean_of = |(series, noise): (&Series, &Vec<f64>)| {
        mean(noise.iter().copied().zip(series.weights[buckets.clone()].iter().copied()))
    };
    let means: Vec<f64> = series.iter().zip(noise).map(mean_of).collect();
    rounds
        .into_par_iter()
        .map_init(Prefix::default, |prefix, round| {
            let places = shuffled_blocks(buckets.len(), 0, round);
            series
                .iter()
                .zip(noise)
                .zip(&means)
                .map(|((series, noise), &mean)| {
                    let shuffled = places.iter().map(|&place| (noise[place], series.weights[buckets.start + place]));
                    prefix.fill(mean, shuffled);
                    best(prefix, series.is_two_sided).explained
                })
                .collect()
        })
        .collect()
}

/// The best stretches, judged by what chance does in shuffles.
fn judged(chance: &[Vec<f64>], best_of: &[Best]) -> Significance {
    let n_rounds = chance.len() as f64;
    let scales: Vec<(f64, f64)> = (0..best_of.len())
        .map(|index| {
            let mean = chance.iter().map(|round| logit(round[index])).sum::<f64>() / n_rounds;
            let variance = chance.iter().map(|round| (logit(round[index]) - mean).powi(2)).sum::<f64>() / n_rounds;
            (mean, variance.sqrt().max(MIN_SPREAD))
        })
        .collect();
    let standard = |index: usize, explained: f64| {
        let (mean, spread) = scales[index];
        (logit(explained) - mean) / spread
    };
    let mut largest: Vec<f64> = chance
        .iter()
        .map(|round| {
            let each = round.iter().enumerate().map(|(index, &explained)| standard(index, explained));
            each.fold(f64::NEG_INFINITY, f64::max)
        })
        .collect();
    largest.sort_by(f64::total_cmp);
    let excess: Vec<f64> = best_of.iter().enumerate().map(|(index, best)| standard(index, best.explained)).collect();
    let p_value = excess.iter().map(|&excess| tail(&largest, excess)).collect();
    Significance { excess, p_value }
}

/// Share of chance's largest statistics that reach `excess`; beyond them all, the tail of the Gumbel distribution of the
/// same mean and spread, to which the largest of many tends.
fn tail(sorted: &[f64], excess: f64) -> f64 {
    const EULER: f64 = 0.577_215_664_901_532_9;
    let n = sorted.len() as f64;
    let n_as_good = sorted.len() - sorted.partition_point(|&chance| chance < excess);
    let counted = (n_as_good as f64 + 1.0) / (n + 1.0);
    if n_as_good > 0 {
        return counted;
    }
    let mean = sorted.iter().sum::<f64>() / n;
    let variance = sorted.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
    let scale = variance.sqrt().max(MIN_SPREAD) * 6.0_f64.sqrt() / std::f64::consts::PI;
    let exceeds = -(-(excess - mean + EULER * scale) / scale).exp();
    (-exceeds.exp_m1()).min(counted)
}

/// Least spread of the statistic under chance: a series of which shuffles hardly differ knows little about chance.
const MIN_SPREAD: f64 = 0.1;

/// Log odds, which spread a share near 0 and 1 alike.
fn logit(share: f64) -> f64 {
    let share = share.clamp(1e-3, 1.0 - 1e-6);
    (share / (1.0 - share)).ln()
}

/// The stretch that explains most of all these series together, and how often resampling puts its ends near there.
pub(super) struct Joint {
    pub(super) stretch: Range<usize>,
    /// First bucket of the stretch in each resample, ascending.
    pub(super) firsts: Vec<usize>,
}

/// Resamples of the place of an onset: a share is then known to 3 %.
const N_RESAMPLES: u64 = 200;

/// Places the change that `series` have in common within `buckets`, near what `lead` found.
pub(super) fn joint(series: &[&Series], buckets: &Range<usize>, lead: &Range<usize>) -> Joint {
    let at_start = lead.start == buckets.start;
    let prefixes: Vec<(Prefix, bool)> =
        series.iter().map(|series| (series.prefix(buckets), series.is_two_sided)).collect();
    let stretch = joint_best(&prefixes, at_start)
        .map_or(lead.clone(), |stretch| stretch.start + buckets.start..stretch.end + buckets.start);
    let parts: Vec<(Vec<f64>, Vec<f64>)> = series
        .iter()
        .map(|series| {
            let residuals = series.residuals(buckets, &stretch);
            let fitted = buckets.clone().zip(&residuals).map(|(bucket, residual)| series.values[bucket] - residual);
            (fitted.collect(), residuals)
        })
        .collect();
    let mut firsts: Vec<usize> = (0..N_RESAMPLES)
        .into_par_iter()
        .map(|round| {
            let places = shuffled_blocks(buckets.len(), 1, round);
            let prefixes: Vec<(Prefix, bool)> = series
                .iter()
                .zip(&parts)
                .map(|(series, (fitted, residuals))| {
                    let resampled = places.iter().enumerate().map(|(bucket, &place)| {
                        // A bucket of few observations must not lend its noise to one of many as if it were sure of it.
                        let (own, other) =
                            (series.weights[buckets.start + bucket], series.weights[buckets.start + place]);
                        let scale = if own > 0.0 { (other / own).sqrt().min(1.0) } else { 0.0 };
                        (fitted[bucket] + scale * residuals[place], own)
                    });
                    (Prefix::new(resampled.collect::<Vec<_>>().into_iter()), series.is_two_sided)
                })
                .collect();
            joint_best(&prefixes, at_start).map_or(stretch.start, |stretch| stretch.start + buckets.start)
        })
        .collect();
    firsts.sort_unstable();
    Joint { stretch, firsts }
}

/// A stretch that ends before the data do has one more bound than a step, and must explain more for it: by the Bayesian
/// information criterion log n times the noise.
///
/// Only stretches at the start of the data are looked at, or only others: what begins as the data do has no onset.
fn joint_best(prefixes: &[(Prefix, bool)], at_start: bool) -> Option<Range<usize>> {
    let n = prefixes.first()?.0.n_buckets;
    let usable: Vec<&(Prefix, bool)> =
        prefixes.iter().filter(|(prefix, _)| prefix.variance > 1e-18 * prefix.total()).collect();
    // Each series in units of the noise that its own best stretch leaves.
    let scales: Vec<f64> = usable
        .iter()
        .map(|(prefix, is_two_sided)| 1.0 / (1.0 - best(prefix, *is_two_sided).explained).max(MIN_NOISE))
        .collect();
    let penalty = (n as f64).ln() / n as f64 * usable.len() as f64;
    let mut found: Option<(f64, Range<usize>)> = None;
    each_stretch(n, |first, end| {
        if (first == 0) != at_start {
            return;
        }
        let mut gain = if first > 0 && end < n { -penalty } else { 0.0 };
        for ((prefix, is_two_sided), scale) in usable.iter().zip(&scales) {
            gain += scale * prefix.explained(first, end, *is_two_sided);
        }
        if found.as_ref().is_none_or(|(most, _)| gain > *most) {
            found = Some((gain, first..end));
        }
    });
    found.map(|(_, stretch)| stretch)
}

/// Noise of a series that has next to none counts as a hundredth of its variance, lest it outvote all others.
const MIN_NOISE: f64 = 0.01;

#[cfg(test)]
mod tests {
    use super::{Best, Prefix, best, each_stretch};
    use crate::stats;

    #[test]
    fn the_best_stretch_is_the_best_of_all_looked_at_one_by_one() {
        let mut n_found = 0;
        for round in 0..600 {
            let n = usize::try_from(3 + stats::random(7, round, 0) % 130).expect("small");
            let random = |stream: u64, bucket: usize| stats::random(stream, round, bucket as u64) % 1000;
            let values: Vec<(f64, f64)> = (0..n)
                .map(|bucket| {
                    let shift = if round % 3 == 0 && bucket > n / 2 { 400.0 } else { 0.0 };
                    let weight = if random(2, bucket) % 5 == 0 { 0.0 } else { (random(3, bucket) % 40) as f64 };
                    (random(1, bucket) as f64 + shift, weight)
                })
                .collect();
            let prefix = Prefix::new(values.into_iter());
            for is_two_sided in [false, true] {
                let mut expected = Best { stretch: 0..0, explained: 0.0 };
                each_stretch(n, |first, end| {
                    let explained = prefix.explained(first, end, is_two_sided);
                    if explained > expected.explained && !(is_two_sided && first == 0) {
                        expected = Best { stretch: first..end, explained };
                    }
                });
                n_found += usize::from(expected.explained > 0.0);
                assert_eq!(best(&prefix, is_two_sided), expected, "{round} {is_two_sided}");
            }
        }
        assert!(n_found > 1000, "{n_found}");
    }
}
