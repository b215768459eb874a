//! Whether a part changed by more than all parts did.
//!
//! A busier machine makes every operation longer by about the same share, so that two runs of one build differ, and neither resampled
//! requests nor stretches of one run can know by how much. What an operation does beyond the others is free of that.
//!
//! Part `u` with own time `b_u` in the baseline changes by `v_u`, which is the share `r_u = v_u / b_u`. What the others have in common is
//! the mean `c_u` of their shares with weights `1 / (s_j^2 + t_u^2)`: `s_j` is the error of `r_j`, and `t_u` is by how much shares differ where
//! nothing but the machine changed (random effects, as in meta-analysis; by
//! the median, so that others that did change hardly count).
//! The part stands apart by `v_u - max(c_u, -2 e_u) b_u`, where `e_u` is the error of `c_u`; its own error comes from the same replicates, in which
//! what parts have in common cancels, and `t_u b_u`. What the others became faster by more than chance excuses nothing and accuses nobody.

use super::Estimate;
use super::estimate::Replicate;
use super::noise::{self, Noise};
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};

/// Parts compared with each other, those with the most time: their number squared is the cost.
pub(super) const MAX_PARTS: usize = 128;
/// With fewer others, what is common cannot be told from what is theirs.
const MIN_OTHERS: usize = 3;
/// Others differ by more than chance within a run if what they differ by is rarer than one time in ten.
const SURE: f64 = 0.9;
/// A share that is so many errors away from the common one is its part's own.
const OUTLIER: f64 = 3.0;

/// Shares by which parts changed, with what is known of their errors; all vectors are by part.
pub(super) struct Shares {
    pub(super) values: Vec<f64>,
    /// Whether it is the way between services: what makes a machine slow need not make the network slow, so they are compared apart.
    pub(super) are_edges: Vec<bool>,
    /// Degrees of freedom behind each.
    pub(super) freedom: Vec<f64>,
    /// Of each window, draws of the shares' deviations: replicates, or what each block of traces adds.
    pub(super) draws: [Vec<Vec<f64>>; 2],
    pub(super) are: Draws,
    /// Requests of each window.
    pub(super) n_traces: [f64; 2],
    /// What each stretch of the baseline says of the shares, up to a constant.
    pub(super) stretches: Vec<Vec<f64>>,
}

/// What draws are draws of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Draws {
    /// Each is a share as it might have been.
    Replicates,
    /// They add up to the share.
    Summands,
}

impl Shares {
    /// The shares themselves.
    pub(super) fn plain(&self) -> Vec<Estimate> {
        let sampling = self.sampling(noise::inflation, &|place, shares| shares[place]);
        let of = |place: usize| {
            let (variance, freedom) = sampling[place];
            Estimate { freedom, ..Estimate::new(self.values[place], variance.sqrt()) }
        };
        (0..self.values.len()).map(of).collect()
    }

    /// By how much each part stands apart, as a share; `None` where there are too few others.
    pub(super) fn apart(&self) -> Vec<Option<Estimate>> {
        let n_parts = self.values.len();
        let windows = self.draws.each_ref().map(|draws| self.variances(draws, &|place, shares| shares[place]));
        let variances: Vec<f64> = windows[0].iter().zip(&windows[1]).map(|(left, right)| left + right).collect();
        let others = |own: usize| {
            let is_other = |&place: &usize| place != own && self.are_edges[place] == self.are_edges[own];
            (0..n_parts).filter(is_other).map(|place| (place, self.values[place], variances[place])).collect::<Vec<_>>()
        };
        let commons: Vec<Option<Common>> =
            (0..n_parts).into_par_iter().map(|place| Common::new(&others(place), n_parts)).collect();
        let mean = |place: usize, shares: &[f64]| commons[place].as_ref().map_or(0.0, |common| common.mean(shares));
        let sampling = self.sampling(noise::inflation_apart, &|place, shares| shares[place] - mean(place, shares));
        let windows = self.draws.each_ref().map(|draws| self.variances(draws, &mean));
        let by_chance: Vec<f64> = windows[0].iter().zip(&windows[1]).map(|(left, right)| left + right).collect();
        let apart = |place: usize| {
            let Common { between, n_others, .. } = *commons[place].as_ref()?;
            let (common, (sampled, own)) = (mean(place, &self.values), sampling[place]);
            // Welch's and Satterthwaite's degrees of freedom of a sum of two variances.
            let all = sampled + between;
            let spread = sampled.powi(2) / own + between.powi(2) / (n_others as f64 - 1.0);
            let freedom = if spread > 0.0 { all.powi(2) / spread } else { own };
            let excused = common.max(-2.0 * by_chance[place].sqrt());
            Some(Estimate { freedom, ..Estimate::new(self.values[place] - excused, all.sqrt()) })
        };
        (0..n_parts).map(apart).collect()
    }

    /// Variance of a linear `value` of the shares, a part, with the noise between stretches, which is told by `inflation`, and its degrees of
    /// freedom.
    fn sampling(
        &self,
        inflation: fn(&[f64], &[Vec<f64>]) -> Vec<f64>,
        value: &(dyn Fn(usize, &[f64]) -> f64 + Sync),
    ) -> Vec<(f64, f64)> {
        let [baseline, regression] = self.draws.each_ref().map(|draws| self.variances(draws, value));
        let of_stretch = |stretch: &Vec<f64>| (0..baseline.len()).map(|place| value(place, stretch)).collect();
        let stretches: Vec<Vec<f64>> = self.stretches.iter().map(of_stretch).collect();
        let factors = self.by_kind(&baseline, &stretches, inflation);
        let variances =
            baseline.iter().zip(&regression).map(|(&left, &right)| noise::of_change([left, right], self.n_traces));
        let freedom = |factor: f64, own: f64| noise::freedom(factor, own, stretches.len());
        let parts = factors.into_iter().zip(variances).zip(&self.freedom);
        parts.map(|((factor, variance), &own)| (factor * variance, freedom(factor, own))).collect()
    }

    /// Factors of operations by what is usual among operations, and of edges among edges: what wanders in services is still on their ways.
    fn by_kind(
        &self,
        independent: &[f64],
        stretches: &[Vec<f64>],
        inflation: fn(&[f64], &[Vec<f64>]) -> Vec<f64>,
    ) -> Vec<f64> {
        let mut factors = vec![1.0; independent.len()];
        for is_edge in [false, true] {
            let places: Vec<usize> = (0..independent.len()).filter(|&place| self.are_edges[place] == is_edge).collect();
            let own = |values: &[f64]| places.iter().map(|&place| values[place]).collect::<Vec<f64>>();
            let own_stretches: Vec<Vec<f64>> = stretches.iter().map(|stretch| own(stretch)).collect();
            for (&place, factor) in places.iter().zip(inflation(&own(independent), &own_stretches)) {
                factors[place] = factor;
            }
        }
        factors
    }

    fn variances(&self, draws: &[Vec<f64>], value: &(dyn Fn(usize, &[f64]) -> f64 + Sync)) -> Vec<f64> {
        let n = draws.len() as f64;
        let scale = match self.are {
            Draws::Replicates => 1.0,
            // The variance of a sum of n.
            Draws::Summands => n,
        };
        let variance = |place: usize| {
            let (mut sum, mut squares) = (0.0, 0.0);
            for shares in draws {
                let value = value(place, shares);
                sum += value;
                squares += value * value;
            }
            if n > 1.0 { scale * ((squares - sum * sum / n) / (n - 1.0)).max(0.0) } else { 0.0 }
        };
        (0..self.values.len()).into_par_iter().map(variance).collect()
    }
}

/// The parts with the most time of their own, in order of their indices.
pub(super) fn largest(own_ns: &[f64]) -> Vec<usize> {
    let mut parts: Vec<usize> =
        (0..own_ns.len()).filter(|&part| own_ns[part] > 0.0 && own_ns[part].is_finite()).collect();
    parts.sort_by(|&left, &right| own_ns[right].total_cmp(&own_ns[left]).then(left.cmp(&right)));
    parts.truncate(MAX_PARTS);
    parts.sort_unstable();
    parts
}

/// Parts of one kind, subjects or services, in the replicates of the mean.
pub(super) struct Parts {
    field: fn(&Replicate) -> &[f64],
    /// Index of each part and its own time in the baseline.
    members: Vec<(usize, f64)>,
    are_edges: Vec<bool>,
    replicates: [Vec<Vec<f64>>; 2],
}

impl Parts {
    /// Those with the most of `own_ns`, their own time in the baseline.
    pub(super) fn new(field: fn(&Replicate) -> &[f64], own_ns: &[f64], is_edge: impl Fn(usize) -> bool) -> Self {
        let members: Vec<(usize, f64)> = largest(own_ns).into_iter().map(|part| (part, own_ns[part])).collect();
        let are_edges = members.iter().map(|&(part, _)| is_edge(part)).collect();
        Self { field, members, are_edges, replicates: [Vec::new(), Vec::new()] }
    }

    fn shares(&self, replicate: &Replicate) -> Vec<f64> {
        let values = (self.field)(replicate);
        self.members.iter().map(|&(part, own)| values[part] / own).collect()
    }

    /// Adds replicates of the two windows; `point` is on all the data.
    pub(super) fn add(&mut self, replicates: &[Replicate; 2], point: &Replicate) {
        let points = self.shares(point);
        for (window, replicate) in replicates.iter().enumerate() {
            let shares = self.shares(replicate).into_iter().zip(&points);
            self.replicates[window].push(shares.map(|(share, point)| share - point).collect());
        }
    }

    /// By how much each part stands apart, in its own unit; `None` of those not compared.
    pub(super) fn apart(
        self,
        point: &Replicate,
        noise: &Noise,
        freedom: &[f64],
        n_traces: [f64; 2],
    ) -> Vec<Option<Estimate>> {
        let mut result = vec![None; (self.field)(point).len()];
        let shares = Shares {
            values: self.shares(point),
            are_edges: self.are_edges.clone(),
            freedom: self.members.iter().map(|&(part, _)| freedom[part]).collect(),
            stretches: noise.stretches(|rest| self.shares(rest)),
            draws: self.replicates,
            are: Draws::Replicates,
            n_traces,
        };
        for (&(part, own), apart) in self.members.iter().zip(shares.apart()) {
            result[part] = apart.map(|apart| Estimate {
                freedom: apart.freedom,
                ..Estimate::new(own * apart.value, own * apart.error)
            });
        }
        result
    }
}

/// What the others of a part have in common.
#[derive(Debug)]
struct Common {
    /// Weights of the others, which sum to 1; 0 of the part itself and of outliers.
    weights: Vec<f64>,
    /// Variance between shares that chance within a run does not explain.
    between: f64,
    n_others: usize,
}

impl Common {
    /// Of others with their places, shares and variances; `None` of too few.
    fn new(others: &[(usize, f64, f64)], n_parts: usize) -> Option<Self> {
        if others.len() < MIN_OTHERS {
            return None;
        }
        let shares: Vec<(f64, f64)> = others.iter().map(|&(_, share, variance)| (share, variance)).collect();
        let between = between(&shares);
        let middle = middle(&shares, between);
        let mut weights = vec![0.0; n_parts];
        for &(place, share, variance) in others {
            let variance = variance + between;
            if (share - middle).powi(2) <= OUTLIER.powi(2) * variance {
                // Shares that never vary, as of made-up data, all count alike.
                weights[place] = 1.0 / variance.max(TINY);
            }
        }
        let all: f64 = weights.iter().sum();
        for weight in &mut weights {
            *weight /= all;
        }
        Some(Self { weights, between, n_others: others.len() })
    }

    fn mean(&self, shares: &[f64]) -> f64 {
        self.weights.iter().zip(shares).map(|(weight, share)| weight * share).sum()
    }
}

/// Least variance of a share: a part in a billion squared.
const TINY: f64 = 1e-18;

/// Weighted median of shares, each with its variance.
fn middle(shares: &[(f64, f64)], between: f64) -> f64 {
    let mut weighted: Vec<(f64, f64)> =
        shares.iter().map(|&(share, variance)| (share, 1.0 / (variance + between).max(TINY))).collect();
    weighted.sort_by(|left, right| left.0.total_cmp(&right.0));
    let half = weighted.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut below = 0.0;
    let reaches = |&&(_, weight): &&(f64, f64)| {
        below += weight;
        below >= half
    };
    weighted.iter().find(reaches).map_or(0.0, |&(share, _)| share)
}

/// The least variance between shares with which the middle one of their squared deviations is no rarity: a few differ by chance.
fn between(shares: &[(f64, f64)]) -> f64 {
    let most = most_of_median(shares.len());
    let is_enough = |between: f64| {
        let middle = middle(shares, between);
        let mut squares: Vec<f64> =
            shares.iter().map(|&(share, variance)| (share - middle).powi(2) / (variance + between).max(TINY)).collect();
        squares.sort_by(f64::total_cmp);
        crate::stats::quantile(&squares, 0.5).is_none_or(|median| median <= most)
    };
    if is_enough(0.0) {
        return 0.0;
    }
    let extent = shares.iter().fold(0.0_f64, |extent, (share, _)| extent.max(share.abs()));
    let (mut low, mut high) = (0.0, (4.0 * extent * extent / most).max(TINY));
    for _ in 0..40 {
        let half = f64::midpoint(low, high);
        if is_enough(half) { high = half } else { low = half }
    }
    high
}

/// What the median of `n` squares of standard normals exceeds one time in ten.
fn most_of_median(n: usize) -> f64 {
    let place = crate::stats::place_of_median(n, SURE);
    Normal::standard().inverse_cdf(f64::midpoint(1.0, place)).powi(2)
}

#[cfg(test)]
mod tests {
    use super::{Draws, Shares, between, middle, most_of_median};

    /// Shares that are known to a hundredth: of 64 summands a window, each part's are independent of the others'.
    fn shares(values: &[f64]) -> Shares {
        let summand = |draw: u64, part: usize| {
            let is_up = crate::stats::random(7, draw, part as u64).is_multiple_of(2);
            0.01 / (2.0_f64 * 64.0).sqrt() * if is_up { 1.0 } else { -1.0 }
        };
        let draws = |window: u64| {
            (0..64).map(|draw| (0..values.len()).map(|part| summand(64 * window + draw, part)).collect()).collect()
        };
        Shares {
            values: values.to_vec(),
            are_edges: vec![false; values.len()],
            freedom: vec![1e6; values.len()],
            draws: [draws(0), draws(1)],
            are: Draws::Summands,
            n_traces: [1.0; 2],
            stretches: Vec::new(),
        }
    }

    #[test]
    fn a_part_stands_apart_by_what_it_did_beyond_the_others_but_a_faster_machine_accuses_nobody() {
        let apart = |values: &[f64]| {
            shares(values).apart().into_iter().map(|apart| apart.expect("enough others")).collect::<Vec<_>>()
        };
        let slower = apart(&[0.04, 0.04, 0.04, 0.14, 0.04, 0.04]);
        assert!((slower[3].value - 0.1).abs() < 1e-12 && slower[3].z() > 8.0, "{:?}", slower[3]);
        assert!(slower[0].value.abs() < 1e-12, "{:?}", slower[0]);
        // The part's own error, and that of the mean of five others.
        assert!((slower[3].error / (0.01 * (1.0_f64 + 1.0 / 5.0).sqrt()) - 1.0).abs() < 0.15, "{:?}", slower[3]);
        // Only by what the mean of the five others is uncertain by.
        let faster = apart(&[-0.05, -0.05, -0.05, 0.0, -0.05, -0.05]);
        assert!((faster[3].value / (0.02 / 5.0_f64.sqrt()) - 1.0).abs() < 0.15, "{:?}", faster[3]);
        let slightly = apart(&[-0.002, -0.002, -0.002, 0.0, -0.002, -0.002]);
        assert!((slightly[3].value - 0.002).abs() < 1e-12, "{:?}", slightly[3]);
        // Where parts differ widely, one more that does is nothing.
        let wide = apart(&[-0.2, 0.3, 0.1, 0.25, -0.3, 0.0]);
        assert!(wide[3].z() < 2.0, "{:?}", wide[3]);
        assert_eq!(shares(&[0.1, 0.0, 0.0]).apart(), [None; 3]);
        assert!((shares(&[0.1]).plain()[0].error - 0.01).abs() < 1e-3);
    }

    #[test]
    fn the_middle_share_is_that_of_half_the_weight() {
        assert!((middle(&[(0.3, 0.01), (0.1, 0.01), (0.2, 0.01)], 0.0) - 0.2).abs() < 1e-12);
        // The precise one outweighs the others.
        assert!((middle(&[(0.3, 0.001), (0.1, 0.01), (0.2, 0.01)], 0.0) - 0.3).abs() < 1e-12);
    }

    #[test]
    fn shares_that_differ_by_more_than_their_errors_have_a_variance_between_them() {
        assert!(between(&[(0.01, 1e-4), (-0.01, 1e-4), (0.0, 1e-4), (0.005, 1e-4)]).abs() < 1e-12);
        // Without errors: squares of the deviations from the middle share 0 are 1, 0, 1, 4 and 4, whose median is 1.
        let wide = between(&[(-1.0, 0.0), (0.0, 0.0), (1.0, 0.0), (-2.0, 0.0), (2.0, 0.0)]);
        assert!((wide - 1.0 / most_of_median(5)).abs() < 1e-6, "{wide}");
    }

    #[test]
    fn the_bound_of_a_median_is_that_of_scipy() {
        // chi2(1).ppf(beta((n + 1) / 2, (n + 1) / 2).ppf(0.9)) by scipy 1.16.
        for (n, expected) in [(3, 1.673_427_288_045_693_3), (7, 1.173_896_549_908_363), (101, 0.605_057_935_126_335)] {
            assert!((most_of_median(n) - expected).abs() < 1e-9, "{n}: {}", most_of_median(n));
        }
    }
}
