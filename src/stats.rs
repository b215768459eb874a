//! Statistics of change: quantiles, resampling weights, significance.

use statrs::distribution::{Beta, Binomial, ContinuousCDF, Discrete, DiscreteCDF, Normal, StudentsT};

/// Place in its distribution, from 0 to 1, that the median of `n` independent draws stays below with chance `sure`: the middle one of `n` places
/// is Beta distributed.
#[must_use]
pub fn place_of_median(n: usize, sure: f64) -> f64 {
    let half = f64::midpoint(n as f64, 1.0);
    Beta::new(half, half).map_or(0.5, |places| places.inverse_cdf(sure))
}

/// Quantile `q` of sorted values by linear interpolation (type 7, the default of numpy and R); `None` if there are none.
#[must_use]
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = q.clamp(0.0, 1.0) * last as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a position in a slice is small and not negative"
    )]
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (position - below as f64) * (sorted[above] - sorted[below]))
}

/// Quantile `q` of sorted values that stand for several each; `cumulative[i]` is how many the first `i + 1` stand for.
///
/// Where each stands for one, this is [`quantile`]; where each stands for a whole number, it is [`quantile`] of the values
/// repeated so often. `None` if there are no values.
#[must_use]
pub fn weighted_quantile(sorted: &[f64], cumulative: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().min(cumulative.len()).checked_sub(1)?;
    let position = q.clamp(0.0, 1.0) * (cumulative[last] - 1.0).max(0.0);
    let at = |position: f64| sorted[cumulative.partition_point(|&count| count <= position).min(last)];
    let below = at(position.floor());
    Some(below + position.fract() * (at(position.floor() + 1.0) - below))
}

/// Two-sided p-value of a standard normal `z`; 1 for NaN. Exact in the far tail, where `1 - cdf` would be 0.
#[must_use]
pub fn two_sided_p(z: f64) -> f64 {
    if z.is_nan() {
        return 1.0;
    }
    (2.0 * Normal::standard().sf(z.abs())).min(1.0)
}

/// Above so many degrees of freedom Student's distribution is the normal one.
const MANY: f64 = 1e4;

/// Two-sided p-value of `t` under Student's distribution with `freedom` degrees of freedom; 1 for NaN or where there is no freedom.
#[must_use]
pub fn student_p(t: f64, freedom: f64) -> f64 {
    if freedom >= MANY {
        return two_sided_p(t);
    }
    match StudentsT::new(0.0, 1.0, freedom) {
        Ok(student) if !t.is_nan() => (2.0 * student.sf(t.abs())).min(1.0),
        _ => 1.0,
    }
}

/// How many standard errors a 95 % interval reaches with `freedom` degrees of freedom.
#[must_use]
pub fn student_reach(freedom: f64) -> f64 {
    /// Two-sided 95 % quantile of the standard normal.
    const Z: f64 = 1.959_963_984_540_054;
    match StudentsT::new(0.0, 1.0, freedom) {
        Ok(student) if freedom < MANY => student.inverse_cdf(0.975),
        _ => Z,
    }
}

/// Variance of the difference `change` of two means as it is where there is none: of values of both samples taken together.
///
/// `variances` are those of the two means, `n` the sizes of the samples. For shares `p` and `q` it is `r (1 - r) (1/n + 1/m)` with the share `r` in
/// both samples together (score test), which also holds where one sample has no case at all and so no variance of its own.
#[must_use]
pub fn pooled_variance(change: f64, variances: [f64; 2], n: [f64; 2]) -> f64 {
    let all = n[0] + n[1];
    let within = (n[0] * n[0] * variances[0] + n[1] * n[1] * variances[1]) / all;
    let between = change * change * n[0] * n[1] / (all * all);
    (within + between) * (1.0 / n[0] + 1.0 / n[1])
}

/// Of so many cases the normal distribution tells well enough.
const MANY_CASES: f64 = 10.0;

/// How many standard errors the second of two counts of cases lies from what the sizes `n` of the samples let expect, exactly: of all cases each falls into
/// the second sample with its share of both (mid-p, two-sided, as normal deviate). Infinite where cases are so many that this needs no look.
#[must_use]
pub fn z_of_counts(counts: [f64; 2], n: [f64; 2]) -> f64 {
    let all = counts[0] + counts[1];
    let share = n[1] / (n[0] + n[1]);
    let sign = (counts[1] - share * all).signum();
    if all >= MANY_CASES {
        return sign * f64::INFINITY;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "fewer than ten")]
    let [second, all] = [counts[1], all].map(|count| count.round().max(0.0) as u64);
    let Ok(chances) = Binomial::new(share, all) else { return 0.0 };
    let here = chances.pmf(second) / 2.0;
    let above = chances.sf(second) + here;
    let p = (2.0 * above.min(1.0 - above)).clamp(1e-300, 1.0);
    sign * -Normal::standard().inverse_cdf(p / 2.0)
}

/// The chance that any stretch with the share `width` of what could be cases holds `k` of all cases or more, where these come by chance.
///
/// J. Naus, "Approximations for distributions of scan statistics", J. American Statistical Association 77 (1982) 177.
#[must_use]
pub fn scan_p(k: f64, all: f64, width: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of requests")]
    let [n, all_cases] = [k, all].map(|count| count.round().max(0.0) as u64);
    if n < 2 || width >= 1.0 {
        return 1.0;
    }
    let Ok(chances) = Binomial::new(width, all_cases) else { return 1.0 };
    let (here, beyond) = (chances.pmf(n), chances.sf(n));
    // With more than all positions there are, few are left that do not overlap.
    let positions = (k / width - all - 1.0).max(0.0);
    (positions * here + 2.0 * (here + beyond)).min(1.0)
}

/// Benjamini-Hochberg adjusted p-values, in the order given: the false discovery rate at which each would be reported.
///
/// Benjamini & Hochberg, J. R. Stat. Soc. B 57 (1995) 289.
#[must_use]
pub fn false_discovery_rates(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&left, &right| p[right].total_cmp(&p[left]).then(left.cmp(&right)));
    let mut q = vec![1.0; p.len()];
    let mut least = 1.0_f64;
    for (step, &index) in order.iter().enumerate() {
        let rank = (p.len() - step) as f64;
        least = least.min(p[index] * p.len() as f64 / rank);
        q[index] = least;
    }
    q
}

/// How often block `block` counts in bootstrap replicate `replicate`: Poisson with mean 1, the same on every run.
///
/// Poisson weights resample independent units without fixing their number (Chamandy et al., "Estimating uncertainty
/// for massive data streams", 2012). `stream` separates independent uses, such as the two windows.
#[must_use]
pub fn poisson_weight(stream: u64, replicate: u64, block: u64) -> f64 {
    /// Cumulative probabilities of 0 to 8 events with mean 1; beyond lie 1.1e-6.
    const CUMULATIVE: [f64; 9] = [
        0.367_879_441_171_442_33,
        0.735_758_882_342_884_7,
        0.919_698_602_928_605_8,
        0.981_011_843_123_846_2,
        0.996_340_153_172_656_3,
        0.999_405_815_182_418_3,
        0.999_916_758_850_711_9,
        0.999_989_750_803_325_3,
        0.999_998_874_797_402_,
    ];
    let key = random(stream, replicate, block);
    // 53 random bits as a number in [0, 1).
    let uniform = (key >> 11) as f64 / (1_u64 << 53) as f64;
    CUMULATIVE.iter().take_while(|&&bound| uniform >= bound).count() as f64
}

/// 64 random bits, the same on every run; `stream` and `round` separate independent uses.
#[must_use]
pub fn random(stream: u64, round: u64, step: u64) -> u64 {
    mix(mix(mix(stream ^ 0x9e37_79b9_7f4a_7c15).wrapping_add(round)).wrapping_add(step))
}

/// The finaliser of splitmix64 (Steele, Lea & Flood, OOPSLA 2014): a bijection whose output bits all depend on all input bits.
fn mix(mut key: u64) -> u64 {
    key = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    key = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    key = (key ^ (key >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ (key >> 31)
}

#[cfg(test)]
mod tests {
    use super::{
        false_discovery_rates, poisson_weight, pooled_variance, quantile, scan_p, student_p, two_sided_p,
        weighted_quantile, z_of_counts,
    };

    fn assert_close(actual: f64, expected: f64) {
        assert!((actual - expected).abs() <= 1e-12 * expected.abs().max(1e-300), "{actual} is not {expected}");
    }

    #[test]
    fn few_cases_are_judged_exactly_and_many_are_left_to_the_normal_distribution() {
        // By scipy 1.16: norm.ppf of the mid-p of binom(all, share).
        for (counts, n, expected) in [
            ([0.0, 1.0], [900.0, 71.0], 1.792_077_863_178_515_3),
            ([1.0, 3.0], [100.0, 50.0], 1.540_425_005_300_474_2),
            ([4.0, 0.0], [100.0, 300.0], -2.885_634_912_426_757_3),
        ] {
            let z = z_of_counts(counts, n);
            assert!((z - expected).abs() < 1e-6, "{z} is not {expected}");
        }
        assert!(z_of_counts([2.0, 12.0], [100.0, 100.0]).is_infinite());
    }

    #[test]
    fn cases_near_each_other_are_as_rare_as_naus_says() {
        // (k / w - n - 1) binom.pmf(k, n, w) + 2 (binom.pmf(k, n, w) + binom.sf(k, n, w)) by scipy 1.16.
        for (k, all, width, expected) in [
            (2.0, 2.0, 0.05, 0.0975),
            (3.0, 4.0, 0.024, 0.006_584_868_864),
            (30.0, 40.0, 0.2, 1.086_481_694_267_501_2e-11),
        ] {
            let p = scan_p(k, all, width);
            assert!((p / expected - 1.0).abs() < 1e-6, "{p} is not {expected}");
        }
        assert_eq!(scan_p(1.0, 1.0, 0.01).to_bits(), 1.0_f64.to_bits());
    }

    #[test]
    fn quantiles_agree_with_numpy() {
        // np.quantile([1, 2, 4, 8], [0, .25, .5, .95, 1])
        for (q, expected) in [(0.0, 1.0), (0.25, 1.75), (0.5, 3.0), (0.95, 7.4), (1.0, 8.0)] {
            assert_close(quantile(&[1.0, 2.0, 4.0, 8.0], q).unwrap_or(f64::NAN), expected);
        }
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn a_weighted_quantile_is_that_of_the_values_repeated() {
        let repeated = [1.0, 2.0, 2.0, 2.0, 4.0, 4.0, 8.0];
        for q in [0.0, 0.1, 0.25, 0.5, 0.77, 0.95, 1.0] {
            let expected = quantile(&repeated, q).unwrap_or(f64::NAN);
            let actual = weighted_quantile(&[1.0, 2.0, 4.0, 8.0], &[1.0, 4.0, 6.0, 7.0], q).unwrap_or(f64::NAN);
            assert_close(actual, expected);
        }
        assert_eq!(weighted_quantile(&[], &[], 0.5), None);
        assert_eq!(weighted_quantile(&[3.0], &[2.5], 0.95), Some(3.0));
    }

    #[test]
    fn pooled_shares_have_the_variance_of_the_score_test() {
        let of = |k: [f64; 2], n: [f64; 2]| {
            let p = [k[0] / n[0], k[1] / n[1]];
            let own = [0, 1].map(|side: usize| p[side] * (1.0 - p[side]) / n[side]);
            pooled_variance(p[1] - p[0], own, n)
        };
        for (k, n) in
            [([0.0, 12.0], [3_247.0, 1_152.0]), ([0.0, 120.0], [100.0, 10_000.0]), ([20.0, 0.0], [20.0, 20.0])]
        {
            let r = (k[0] + k[1]) / (n[0] + n[1]);
            let expected = r * (1.0 - r) * (1.0 / n[0] + 1.0 / n[1]);
            assert!((of(k, n) - expected).abs() < 1e-12 * expected, "{k:?} of {n:?}");
        }
    }

    #[test]
    fn p_values_agree_with_scipy_far_into_the_tail() {
        // 2 * scipy.stats.norm.sf([1.96, 9, 20])
        for (z, expected) in
            [(1.96, 0.049_995_790_296_440_87), (9.0, 2.257_176_811_907_681_6e-19), (20.0, 5.507_248_237_212_467e-89)]
        {
            assert!((two_sided_p(z) / expected - 1.0).abs() < 1e-9, "{} is not {expected}", two_sided_p(z));
        }
        assert_close(two_sided_p(f64::NAN), 1.0);
        assert_close(two_sided_p(-1.96), two_sided_p(1.96));
    }

    #[test]
    fn t_p_values_agree_with_scipy() {
        // 2 * scipy.stats.t.sf(t, freedom)
        for (t, freedom, expected) in [
            (2.0, 7.0, 0.085_619_328_562_976_05),
            (-5.0, 19.0, 7.949_974_998_417_639e-5),
            (40.0, 199.0, 4.339_458_566_929_119e-97),
        ] {
            assert!((student_p(t, freedom) / expected - 1.0).abs() < 1e-9, "{}", student_p(t, freedom));
        }
        assert_close(student_p(f64::NAN, 9.0), 1.0);
        assert_close(student_p(1.0, 0.0), 1.0);
    }

    #[test]
    fn false_discovery_rates_agree_with_scipy() {
        // scipy.stats.false_discovery_control([.01, .04, .03, .5])
        let q = false_discovery_rates(&[0.01, 0.04, 0.03, 0.5]);
        for (actual, expected) in q.iter().zip([0.04, 0.053_333_333_333_333_33, 0.053_333_333_333_333_33, 0.5]) {
            assert_close(*actual, expected);
        }
    }

    #[test]
    fn poisson_weights_have_mean_and_variance_one() {
        let weights: Vec<f64> = (0..200_000).map(|block| poisson_weight(1, block % 200, block / 200)).collect();
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        let variance = weights.iter().map(|weight| (weight - mean).powi(2)).sum::<f64>() / weights.len() as f64;
        assert!((mean - 1.0).abs() < 0.01, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.02, "variance {variance}");
    }
}
