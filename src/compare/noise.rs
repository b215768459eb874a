//! How far chance reaches beyond resampled traces: the noise between stretches of time, and how few cases an estimate rests on.
//!
//! Requests of one minute have much in common: load, a busy neighbour, a cold cache. Resampling single traces knows nothing of that and is
//! too sure of itself. So each window is also cut into a few stretches of consecutive traces, each is left out in turn, and
//! the series of what each stretch contributes gives the error of the whole (jackknife), with slow drift, which
//! neighbouring stretches share, counted by the series' low frequencies (the equal-weighted cosine estimator of Lazarus, Lewis,
//! Stock & Watson, "HAR inference", J. Business & Economic Statistics 36 (2018) 541). The larger error stands.

use super::Estimate;
use super::attribute::tops;
use super::estimate::{Evaluation, N_TOTALS, Replicate};
use super::paths::Scope;
use super::sums::{Blocks, Sums};
use super::views::View;
use crate::stats;
use rayon::prelude::*;
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// Stretches that a window is cut into: enough to see drift, few enough that each holds many traces.
pub(crate) const N_STRETCHES: usize = 16;

/// A tail's error as resampling a fixed set of slow requests knows it lacks how many there are. With excesses over the boundary that are
/// about exponential, as tails are, their mean equals their deviation and the variance is 1.95 times as large:
/// (s² + (1 - 0.05) m²) / s² with m = s.
const TAIL_INFLATION: f64 = 1.95;

/// Factor of a view's variances.
pub(super) fn of_view(view: View) -> f64 {
    match view {
        View::Mean | View::Typical => 1.0,
        View::Tail => TAIL_INFLATION,
    }
}

/// Windows of which one has more than so many times the requests of the other know each another share of what is rare.
const UNLIKE: f64 = 4.0;

/// Variance of a change, by the variances that both windows of so many requests bring. A window of few may have met no rare slow one and seem sure of
/// itself: what the other knows of a single request counts for it, too.
pub(super) fn of_change([before, after]: [f64; 2], [n_before, n_after]: [f64; 2]) -> f64 {
    let apart = before + after;
    if n_before.max(n_after) <= UNLIKE * n_before.min(n_after) || n_before.min(n_after) <= 0.0 {
        return apart;
    }
    apart.max(stats::pooled_variance(0.0, [before, after], [n_before, n_after]))
}

/// What each stretch of the baseline contributes to every estimate.
pub(super) struct Noise {
    /// Estimates without each stretch.
    rests: Vec<Replicate>,
}

impl Noise {
    /// Evaluates the baseline without each of its stretches; in it nothing is wrong, so its noise is what chance can do.
    /// `evaluate` counts each block as often as it is told to.
    pub(super) fn new(baseline: &Blocks, evaluate: impl Fn(&dyn Fn(usize) -> f64) -> Replicate + Sync) -> Self {
        let n_stretches = baseline.len().min(N_STRETCHES);
        let rests = (0..n_stretches)
            .into_par_iter()
            .map(|stretch| {
                let stretch_of = |block: usize| block * n_stretches / baseline.len().max(1);
                evaluate(&|block| f64::from(u8::from(stretch_of(block) != stretch)))
            })
            .collect();
        Self { rests }
    }

    /// By which factor the noise between stretches exceeds that of independent traces, whose variances in the baseline are
    /// `independent`; at least 1.
    ///
    /// Sixteen stretches tell little of one estimate, so each factor is drawn towards what is usual among all, unless it is that of a change
    /// `between_runs`: between runs all estimates may move together, by what no other tells.
    pub(super) fn inflation(
        &self,
        field: fn(&Replicate) -> &[f64],
        independent: &[f64],
        between_runs: bool,
    ) -> Vec<f64> {
        let values = |rest: &Replicate| field(rest).iter().map(|&without| self.pseudo(without)).collect();
        let stretches: Vec<Vec<f64>> = self.rests.iter().map(values).collect();
        if between_runs { inflation_own(independent, &stretches) } else { inflation(independent, &stretches) }
    }

    /// [`freedom`] with such a factor.
    pub(super) fn freedom(&self, factor: f64, own: f64) -> f64 {
        freedom(factor, own, self.rests.len())
    }

    /// What a stretch says of a value that is `without` if the stretch is left out, up to a constant: n - 1 times what that changes.
    fn pseudo(&self, without: f64) -> f64 {
        -(self.rests.len() as f64 - 1.0) * without
    }

    /// What each stretch says of some values, up to a constant.
    pub(super) fn stretches(&self, values: impl Fn(&Replicate) -> Vec<f64>) -> Vec<Vec<f64>> {
        self.rests.iter().map(|rest| values(rest).into_iter().map(|without| self.pseudo(without)).collect()).collect()
    }
}

/// [`Noise::inflation`] of values of which each of `stretches` says so much, up to a constant.
pub(super) fn inflation(independent: &[f64], stretches: &[Vec<f64>]) -> Vec<f64> {
    let ratios = ratios(independent, stretches);
    drawn(&ratios, usual(&ratios), stretches.len(), USUAL_FREEDOM)
}

/// An error that also counts the noise between stretches of time, each of which says so much, up to a constant, of what the baseline's
/// independent requests know with variance `independent`.
pub(crate) fn between_runs(estimate: Estimate, independent: f64, stretches: &[f64]) -> Estimate {
    let stretches: Vec<Vec<f64>> = stretches.iter().map(|&stretch| vec![stretch]).collect();
    let factor = inflation_own(&[independent], &stretches)[0];
    let freedom = freedom(factor, estimate.freedom, stretches.len());
    Estimate { freedom, ..Estimate::new(estimate.value, factor.sqrt() * estimate.error) }
}

/// The same of values each of which has noise of its own kind, such as the mean latency and the share of failures.
fn inflation_own(independent: &[f64], stretches: &[Vec<f64>]) -> Vec<f64> {
    ratios(independent, stretches).into_iter().map(|ratio| ratio.unwrap_or(1.0).max(1.0)).collect()
}

/// [`inflation`] of values that are free of what all have in common. Most noise between stretches comes to all alike, so that little is left: it
/// counts only where chance would hardly show as much, as where each has a cache or a collector of its own.
pub(super) fn inflation_apart(independent: &[f64], stretches: &[Vec<f64>]) -> Vec<f64> {
    let ratios = ratios(independent, stretches);
    let n_known = ratios.iter().flatten().count();
    let freedom = n_cosines(stretches.len()) as f64;
    // The middle one's place among all chances, nineteen times in twenty at most, and the ratio there.
    let place = stats::place_of_median(n_known, SURE);
    let by_chance = ChiSquared::new(freedom).map_or(1.0, |chances| chances.inverse_cdf(place) / freedom);
    let usual = usual(&ratios);
    drawn(&ratios, if usual > by_chance { usual } else { usual / by_chance.max(1.0) }, stretches.len(), APART_FREEDOM)
}

/// Ratios of the long-run variance to the independent one; `None` where there is none, or where stretches are too few to tell.
fn ratios(independent: &[f64], stretches: &[Vec<f64>]) -> Vec<Option<f64>> {
    let n_stretches = stretches.len();
    let ratio = |(index, &independent): (usize, &f64)| {
        let series: Vec<f64> = stretches.iter().map(|stretch| stretch[index]).collect();
        (independent > 0.0 && n_cosines(n_stretches) >= 2)
            .then(|| long_run_variance(&series) / n_stretches as f64 / independent)
    };
    independent.iter().enumerate().map(ratio).collect()
}

/// Degrees of freedom of an error whose variance is `factor` times that which is known with `freedom`: the part of it that is noise between
/// stretches was learnt from few of them.
pub(super) fn freedom(factor: f64, freedom: f64, n_stretches: usize) -> f64 {
    let of_noise = 1.0 - 1.0 / factor.max(1.0);
    1.0 / (1.0 / freedom + of_noise / n_cosines(n_stretches).max(1) as f64)
}

fn usual(ratios: &[Option<f64>]) -> f64 {
    let mut known: Vec<f64> = ratios.iter().flatten().copied().collect();
    known.sort_unstable_by(f64::total_cmp);
    stats::quantile(&known, 0.5).unwrap_or(1.0)
}

/// Ratios drawn towards the usual one, which counts as much as `freedom` degrees of freedom of one's own; at least 1.
fn drawn(ratios: &[Option<f64>], usual: f64, n_stretches: usize, freedom: f64) -> Vec<f64> {
    let own_freedom = n_cosines(n_stretches) as f64;
    let own_weight = own_freedom / (own_freedom + freedom);
    ratios.iter().map(|ratio| ratio.map_or(1.0, |own| own_weight * own + (1.0 - own_weight) * usual).max(1.0)).collect()
}

/// As many as there are of one's own: a change by itself has noise of its own as well as what all have.
const USUAL_FREEDOM: f64 = 8.0;
/// What stands apart has little of its own.
const APART_FREEDOM: f64 = 24.0;
/// How rarely what is usual is more than it is by chance, for it to count.
const SURE: f64 = 0.95;

fn n_cosines(n: usize) -> usize {
    n / 2
}

/// Variance of the series' mean times its length, with what neighbours have in common.
fn long_run_variance(series: &[f64]) -> f64 {
    let n = series.len() as f64;
    let n_cosines = n_cosines(series.len());
    let energy: f64 = (1..=n_cosines)
        .map(|frequency| {
            let angle = |index: usize| std::f64::consts::PI * frequency as f64 * (index as f64 + 0.5) / n;
            let weight: f64 = series.iter().enumerate().map(|(index, value)| value * angle(index).cos()).sum();
            weight * weight * 2.0 / n
        })
        .sum();
    energy / n_cosines.max(1) as f64
}

/// Degrees of freedom that the traces behind each estimate leave: blocks with any of its calls in the window that has fewer, less one; where
/// one window has none, in the other.
pub(super) struct Support {
    pub(super) rows: Vec<f64>,
    pub(super) subjects: Vec<f64>,
    pub(super) failures: Vec<f64>,
    pub(super) services: Vec<f64>,
    pub(super) service_failures: Vec<f64>,
    pub(super) totals: Vec<f64>,
    pub(super) failing: Concerned,
}

/// What failures are counted out of, and how many there are.
#[derive(Default)]
pub(super) struct Concerned {
    pub(super) subjects: Vec<OfRequests>,
    pub(super) services: Vec<OfRequests>,
    pub(super) totals: Vec<OfRequests>,
}

/// Of a unit, a window.
#[derive(Clone, Copy)]
pub(super) struct OfRequests {
    /// Requests of the entries in which any failure begins with the unit.
    pub(super) n: [f64; 2],
    /// Failing requests that begin to fail with it.
    pub(super) n_failing: [f64; 2],
}

impl Concerned {
    fn new(evaluation: &Evaluation<'_>, blocks: &[Blocks; 2], windows: [&Sums; 2]) -> Self {
        let (attribution, paths) = (evaluation.attribution, &evaluation.table.paths);
        // Sampled requests count for more than they are.
        let seen = [0, 1].map(|window: usize| {
            let weighted: f64 =
                [Scope::Request, Scope::Background].map(|scope| tops(paths, windows[window], scope)).iter().sum();
            (blocks[window].n_traces() as f64 / weighted.max(f64::MIN_POSITIVE)).min(1.0)
        });
        let n_subjects = attribution.subjects.len();
        let mut n_failing = vec![[0.0; 2]; n_subjects];
        let mut begun: Vec<(u32, u32)> = Vec::new();
        for (own, index) in (0_u32..).zip(0..paths.len()) {
            for (kind, &subject) in attribution.failure_subjects[index].iter().enumerate() {
                if windows.iter().any(|sums| sums.n_failures[kind][index] > 0.0) {
                    let others = [0, 1].map(|window| attribution.failure_shares(own, window));
                    for (window, shares) in others.into_iter().enumerate() {
                        let n = seen[window] * windows[window].n_failures[kind][index];
                        n_failing[subject as usize][window] += n;
                        for &(other, share) in shares {
                            n_failing[other as usize][window] += share * n;
                            n_failing[subject as usize][window] -= share * n;
                        }
                    }
                    let others = others.into_iter().flatten().map(|&(subject, _)| subject);
                    begun.extend(others.chain([subject]).map(|subject| (subject, attribution.top(own))));
                }
            }
        }
        let sum = |begun: &mut Vec<(u32, u32)>, n_units: usize| {
            begun.sort_unstable();
            begun.dedup();
            // Where none begins, any number will do: there is nothing to count.
            let mut sums = vec![OfRequests { n: [1.0; 2], n_failing: [0.0; 2] }; n_units];
            for tops in begun.chunk_by(|left, right| left.0 == right.0) {
                sums[tops[0].0 as usize].n = [0, 1].map(|window: usize| {
                    let visits: f64 = tops.iter().map(|&(_, top)| windows[window].n_visits[top as usize]).sum();
                    (seen[window] * visits).max(1.0)
                });
            }
            sums
        };
        let mut subjects = sum(&mut begun, n_subjects);
        for (subject, _) in &mut begun {
            *subject = attribution.blamed[*subject as usize];
        }
        let mut services = sum(&mut begun, evaluation.forest.services.len());
        let mut all =
            OfRequests { n: blocks.each_ref().map(|blocks| (blocks.n_traces() as f64).max(1.0)), n_failing: [0.0; 2] };
        for (subject, own) in n_failing.into_iter().enumerate() {
            for unit in [&mut subjects[subject], &mut services[attribution.blamed[subject] as usize], &mut all] {
                unit.n_failing.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
            }
        }
        Self { subjects, services, totals: vec![all; N_TOTALS] }
    }
}

impl Support {
    pub(super) fn new(evaluation: &Evaluation<'_>, blocks: &[Blocks; 2], windows: [&Sums; 2]) -> Self {
        let attribution = evaluation.attribution;
        let n_services = evaluation.forest.services.len();
        let mut rows = [vec![0_u32; attribution.rows.len()], vec![0; attribution.rows.len()]];
        let mut subjects = [vec![0_u32; attribution.subjects.len()], vec![0; attribution.subjects.len()]];
        let mut services = [vec![0_u32; n_services], vec![0; n_services]];
        for (window, blocks) in blocks.iter().enumerate() {
            // The last block that was counted, from 1.
            let mut seen =
                [vec![0_u32; attribution.rows.len()], vec![0; attribution.subjects.len()], vec![0; n_services]];
            let mut count = |kind: usize, index: usize, mark: u32, counts: &mut Vec<u32>| {
                if seen[kind][index] != mark {
                    seen[kind][index] = mark;
                    counts[index] += 1;
                }
            };
            for (mark, block) in (1..).zip(0..blocks.len()) {
                for path in blocks.paths_of(block) {
                    for row in attribution.rows_of(path) {
                        let subject = attribution.rows[row as usize].subject as usize;
                        count(0, row as usize, mark, &mut rows[window]);
                        count(1, subject, mark, &mut subjects[window]);
                        count(2, attribution.blamed[subject] as usize, mark, &mut services[window]);
                    }
                }
            }
        }
        let freedom = |[before, after]: [Vec<u32>; 2]| -> Vec<f64> {
            let of = |(&before, &after): (&u32, &u32)| {
                let fewer = if before.min(after) == 0 { before.max(after) } else { before.min(after) };
                f64::from(fewer.saturating_sub(1).max(1))
            };
            before.iter().zip(&after).map(of).collect()
        };
        let all = blocks.each_ref().map(Blocks::len);
        let whole = all[0].min(all[1]).saturating_sub(1).max(1) as f64;
        let failures = if evaluation.with_failures { attribution.subjects.len() } else { 0 };
        Self {
            rows: freedom(rows),
            subjects: freedom(subjects),
            services: freedom(services),
            // Failures are counted out of all requests.
            failures: vec![whole; failures],
            service_failures: vec![whole; if failures > 0 { n_services } else { 0 }],
            totals: vec![whole; N_TOTALS],
            failing: if failures > 0 { Concerned::new(evaluation, blocks, windows) } else { Concerned::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Estimate, between_runs, freedom, long_run_variance, of_change};

    #[test]
    fn few_requests_are_no_surer_of_themselves_than_many_others_like_them() {
        // Twenty times as many requests with 25 times the variance a request: what the few know of themselves counts for nothing.
        let (few, many) = (1.0 / 300.0, 25.0 / 6_000.0);
        let own = (25.0 * 6_000.0 + 300.0) / 6_300.0;
        let expected = own * (1.0 / 300.0 + 1.0 / 6_000.0);
        assert!((of_change([few, many], [300.0, 6_000.0]) / expected - 1.0).abs() < 1e-12);
        // The many are no less sure of themselves for the few, and windows of like size are each their own.
        assert!(
            (of_change([25.0 / 300.0, 1.0 / 6_000.0], [300.0, 6_000.0]) - (25.0 / 300.0 + 1.0 / 6_000.0)).abs() < 1e-12
        );
        assert!((of_change([few, many], [300.0, 1_200.0]) - few - many).abs() < 1e-15);
    }

    #[test]
    fn an_error_that_is_mostly_noise_between_stretches_is_known_as_well_as_that() {
        assert!((freedom(1.0, 255.0, 16) - 255.0).abs() < 1e-9);
        assert!((freedom(1e9, 255.0, 16) - 1.0 / (1.0 / 255.0 + 1.0 / 8.0)).abs() < 1e-6);
        // Half of it.
        assert!((freedom(2.0, f64::INFINITY, 16) - 16.0).abs() < 1e-9);
        assert!(freedom(1.0, f64::INFINITY, 16).is_infinite());
    }

    #[test]
    fn noise_between_stretches_widens_an_error_and_even_ones_leave_it() {
        let estimate = Estimate { freedom: 1e9, ..Estimate::new(1.0, 0.5) };
        let even: Vec<f64> = (0..16).map(|stretch| if stretch % 2 == 0 { 0.1 } else { -0.1 }).collect();
        let same = between_runs(estimate, 0.01, &even);
        assert!((same.error - 0.5).abs() < 1e-12 && same.freedom > 1e6, "{same:?}");
        // A slow wave with amplitude 1: its variance is all in the second cosine of eight.
        let wave = |stretch: i32| (std::f64::consts::TAU * (f64::from(stretch) + 0.5) / 16.0).cos();
        let wide = between_runs(estimate, 0.01, &(0..16).map(wave).collect::<Vec<_>>());
        assert!((wide.error - 0.5 * (8.0 / 8.0 / 16.0 / 0.01_f64).sqrt()).abs() < 1e-9, "{wide:?}");
        assert!(wide.freedom < 12.0, "{wide:?}");
        // Of too few nothing is known.
        assert!((between_runs(estimate, 0.01, &[1.0]).error - 0.5).abs() < 1e-12);
    }

    #[test]
    fn the_long_run_variance_of_a_series_is_that_of_its_low_cosines() {
        // By numpy: n = 4, x = [1, 2, 4, 8], mean of (sqrt(2/n) sum x_i cos(pi j (i + .5) / n))^2 over j = 1, 2.
        let expected = 14.202_349_378_327_245;
        assert!(
            (long_run_variance(&[1.0, 2.0, 4.0, 8.0]) - expected).abs() < 1e-9,
            "{}",
            long_run_variance(&[1.0, 2.0, 4.0, 8.0])
        );
    }
}
