//! How certain each part of a change is: everything is estimated again on resampled traces, and without each stretch of time.
//!
//! Each window is resampled by itself, so that variances add up; each replicate is decomposed twice, as it is and at unchanged traffic.

use super::apart::Parts;
use super::attribute::{Attribution, tops};
use super::decompose::{self, Weights, at_weights, decompose_in};
use super::hidden::Hidden;
use super::noise::{self, Noise, OfRequests, Support};
use super::paths::{CostTable, Scope};
use super::sums::{Blocks, Side, Sums};
use super::views::View;
use super::{Apart, Estimate};
use crate::normalize::Forest;
use crate::stats;
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Replicates of the bootstrap, a window: a standard error is then known to 1/sqrt(2 * 200) = 5 %.
const N_REPLICATES: u64 = 200;
/// With 950,000 paths a replicate took 0.5 µs a path on a core: beyond this many, replicates become fewer so that their cost does not grow,
const MANY_PATHS: usize = 100_000;
/// down to this many, which know a standard error to 10 %.
const FEWEST_REPLICATES: u64 = 50;

/// Replicates of so few paths take no memory worth a word: threads need not wait for each other after each,
const FEW_PATHS: usize = 10_000;
/// but after so many.
const MOST_EACH: usize = 25;

fn n_replicates(n_paths: usize) -> u64 {
    match n_paths {
        ..MANY_PATHS => N_REPLICATES,
        _ => (N_REPLICATES * MANY_PATHS as u64 / n_paths as u64).max(FEWEST_REPLICATES),
    }
}

/// One evaluation of everything that carries an uncertainty, as flat vectors.
#[derive(Clone, Default)]
pub(super) struct Replicate {
    pub(super) rows: Vec<f64>,
    pub(super) subjects: Vec<f64>,
    pub(super) failures: Vec<f64>,
    pub(super) services: Vec<f64>,
    pub(super) service_failures: Vec<f64>,
    /// Change, its part from the mix, the rest, the change of the failing share and its part from the mix.
    pub(super) totals: Vec<f64>,
}

/// Place of the change apart from the mix among the totals.
pub(super) const ADJUSTED: usize = 2;
/// Of the share of failing requests.
pub(super) const FAILURES: usize = 3;
pub(super) const N_TOTALS: usize = 5;

impl Replicate {
    fn fields(&self) -> [&[f64]; 6] {
        [&self.rows, &self.subjects, &self.failures, &self.services, &self.service_failures, &self.totals]
    }

    fn fields_mut(&mut self) -> [&mut Vec<f64>; 6] {
        [
            &mut self.rows,
            &mut self.subjects,
            &mut self.failures,
            &mut self.services,
            &mut self.service_failures,
            &mut self.totals,
        ]
    }

    fn zeros(like: &Self) -> Self {
        let mut zeros = like.clone();
        for field in zeros.fields_mut() {
            field.fill(0.0);
        }
        zeros
    }
}

/// Sums and sums of squares of the replicates' deviations from the point estimates.
struct Moments {
    n: f64,
    sum: Replicate,
    squares: Replicate,
}

impl Moments {
    fn new(point: &Replicate) -> Self {
        Self { n: 0.0, sum: Replicate::zeros(point), squares: Replicate::zeros(point) }
    }

    fn add(&mut self, replicate: &Replicate, point: &Replicate) {
        self.n += 1.0;
        let fields = self.sum.fields_mut().into_iter().zip(self.squares.fields_mut());
        for ((sums, squares), (values, points)) in fields.zip(replicate.fields().into_iter().zip(point.fields())) {
            for (((sum, square), value), point) in sums.iter_mut().zip(squares).zip(values).zip(points) {
                *sum += value - point;
                *square += (value - point).powi(2);
            }
        }
    }

    /// Variances over the replicates.
    fn variances(&self, field: fn(&Replicate) -> &[f64]) -> Vec<f64> {
        let moments = field(&self.sum).iter().zip(field(&self.squares));
        moments.map(|(sum, square)| ((square - sum * sum / self.n) / (self.n - 1.0)).max(0.0)).collect()
    }
}

/// Everything that evaluating one view on sums needs.
pub(super) struct Evaluation<'a> {
    pub(super) forest: &'a Forest,
    pub(super) table: &'a CostTable,
    pub(super) attribution: &'a Attribution,
    pub(super) scope: Scope,
    pub(super) background_rate: f64,
    /// Whether to look at failures too; they are the same in every view.
    pub(super) with_failures: bool,
    /// Weights of requests and of background work on all the data.
    pub(super) weights: [&'a Weights; 2],
    /// Rates of paths that a window has only hidden calls of.
    pub(super) hidden: &'a Hidden,
    /// Memory that no task uses at the moment.
    pub(super) rooms: &'a Mutex<Vec<Room>>,
}

/// Memory for a replicate: to ask for it each time costs more than to fill it, where paths are many.
#[derive(Default)]
pub(super) struct Room {
    /// Of the windows.
    pub(super) sums: [Sums; 2],
    pub(super) side: Side,
    pub(super) effects: decompose::Room,
}

/// What a replicate takes of effects: nanoseconds a row, of the mix, and of the whole change.
struct Decomposed {
    rows: Vec<f64>,
    mix: f64,
    change: f64,
}

/// A view's estimates.
pub(super) struct Evaluated {
    pub(super) rows: Vec<Estimate>,
    pub(super) subjects: Vec<Estimate>,
    pub(super) failures: Vec<Estimate>,
    pub(super) services: Vec<Estimate>,
    pub(super) service_failures: Vec<Estimate>,
    pub(super) totals: Vec<Estimate>,
    pub(super) adjusted_between_runs: Estimate,
    pub(super) service_replicates: Vec<Vec<f64>>,
    pub(super) service_failure_replicates: Vec<Vec<f64>>,
    pub(super) apart: Apart,
}

/// What resampling a view gave.
struct Resampled {
    point: Replicate,
    /// Of each window, as it is and at unchanged traffic.
    moments: [Moments; 2],
    null_moments: [Moments; 2],
    noise: Noise,
    support: Support,
    view: View,
    /// Requests of each window.
    n_traces: [f64; 2],
}

/// A field of [`Replicate`].
type Field = fn(&Replicate) -> &[f64];

impl Resampled {
    /// Estimates with `support` degrees of freedom each.
    fn estimates(&self, field: Field, support: &[f64], between_runs: bool) -> Vec<Estimate> {
        let [of_baseline, of_regression] = self.moments.each_ref().map(|moments| moments.variances(field));
        let [null_baseline, null_regression] = self.null_moments.each_ref().map(|moments| moments.variances(field));
        let inflation = self.noise.inflation(field, &null_baseline, between_runs);
        field(&self.point)
            .iter()
            .zip(support)
            .enumerate()
            .map(|(index, (&value, &freedom))| {
                let factor = inflation[index] * noise::of_view(self.view);
                let of = |baseline: &[f64], regression: &[f64]| {
                    let variances = [baseline[index], regression[index]];
                    (factor * noise::of_change(variances, self.n_traces)).sqrt()
                };
                let error = of(&of_baseline, &of_regression);
                // Which paths the slowest requests take is not traffic but what made them the slowest: there no weight is given.
                let null_error = match self.view {
                    View::Mean | View::Typical => of(&null_baseline, &null_regression),
                    View::Tail => error,
                };
                let freedom = if between_runs { self.noise.freedom(inflation[index], freedom) } else { freedom };
                Estimate { value, error, null_error, freedom }
            })
            .collect()
    }

    /// Estimates of shares of failing requests, counted out of so many. Failures are rare, so that a window with none seems to have no variance:
    /// both together tell it.
    fn failures(&self, field: Field, support: &[f64], of_requests: &[OfRequests]) -> Vec<Estimate> {
        let variances = self.null_moments.each_ref().map(|moments| moments.variances(field));
        let inflation = self.noise.inflation(field, &variances[0], false);
        let mut estimates = self.estimates(field, support, false);
        for (index, (estimate, &OfRequests { n, n_failing })) in estimates.iter_mut().zip(of_requests).enumerate() {
            let variances = [0, 1].map(|window: usize| variances[window][index]);
            estimate.null_error = (inflation[index] * stats::pooled_variance(estimate.value, variances, n)).sqrt();
            // Few are not spread as a normal variable is.
            let z = stats::z_of_counts(n_failing, n);
            if z * estimate.value > 0.0 {
                estimate.null_error = estimate.null_error.max(estimate.value / z);
            }
            estimate.error = estimate.error.max(estimate.null_error);
        }
        estimates
    }
}

impl Evaluation<'_> {
    /// Point estimates, with what resampled traces and the stretches of time say of their errors.
    pub(super) fn estimate(&self, blocks: &[Blocks; 2], view: View) -> Evaluated {
        let n_paths = self.table.paths.len();
        let [baseline, regression] = blocks.each_ref().map(|blocks| blocks.sum(n_paths, |_| 1.0));
        let of_both =
            |at_weights| self.with_room(|room| self.replicate(&mut room.effects, [&baseline, &regression], at_weights));
        let (point, null_point) = (of_both(false), of_both(true));
        let new = |point| [Moments::new(point), Moments::new(point)];
        let (mut moments, mut null_moments) = (new(&point), new(&null_point));
        let (mut service_replicates, mut service_failure_replicates) = (Vec::new(), Vec::new());
        let mut parts = (view == View::Mean).then(|| self.parts(&baseline));
        let numbers: Vec<u64> = (0..n_replicates(n_paths)).collect();
        // A few at a time, so that memory holds few; their order, and so every sum, is that of their numbers.
        let n_at_once = rayon::current_num_threads() * (1 + FEW_PATHS / n_paths.max(1)).min(MOST_EACH);
        for some in numbers.chunks(n_at_once) {
            let of = |&replicate: &u64| self.replicates(replicate, blocks, [&baseline, &regression]);
            let replicates: Vec<[[Replicate; 2]; 2]> = some.par_iter().map(of).collect();
            for [replicates, null_replicates] in replicates {
                for (moments, replicate) in moments.iter_mut().zip(&replicates) {
                    moments.add(replicate, &point);
                }
                for (moments, replicate) in null_moments.iter_mut().zip(&null_replicates) {
                    moments.add(replicate, &null_point);
                }
                for parts in parts.iter_mut().flatten() {
                    parts.add(&null_replicates, &null_point);
                }
                let both = |field: Field| {
                    let pairs = field(&replicates[0]).iter().zip(field(&replicates[1])).zip(field(&point));
                    pairs.map(|((left, right), point)| left + right - point).collect::<Vec<f64>>()
                };
                service_replicates.push(both(|replicate| &replicate.services));
                service_failure_replicates.push(both(|replicate| &replicate.service_failures));
            }
        }
        let noise = Noise::new(&blocks[0], |weight| {
            self.with_room(|Room { sums: [rest, _], side, effects }| {
                blocks[0].sum_in(rest, side, n_paths, weight);
                self.replicate(effects, [rest, &regression], true)
            })
        });
        let support = Support::new(self, blocks, [&baseline, &regression]);
        let n_traces = blocks.each_ref().map(|blocks| blocks.n_traces() as f64);
        let of = Resampled { point, moments, null_moments, noise, support, view, n_traces };
        let Support { rows, subjects, failures, services, service_failures, totals, failing } = &of.support;
        let mut all = of.estimates(|replicate| &replicate.totals, totals, false);
        all[FAILURES] = of.failures(|replicate| &replicate.totals, totals, &failing.totals)[FAILURES];
        Evaluated {
            apart: parts.map_or_else(Apart::default, |[of_subjects, of_services]| Apart {
                subjects: of_subjects.apart(&of.point, &of.noise, subjects, n_traces),
                services: of_services.apart(&of.point, &of.noise, services, n_traces),
            }),
            rows: of.estimates(|replicate| &replicate.rows, rows, false),
            subjects: of.estimates(|replicate| &replicate.subjects, subjects, false),
            failures: of.failures(|replicate| &replicate.failures, failures, &failing.subjects),
            services: of.estimates(|replicate| &replicate.services, services, false),
            service_failures: of.failures(|replicate| &replicate.service_failures, service_failures, &failing.services),
            totals: all,
            adjusted_between_runs: of.estimates(|replicate| &replicate.totals, totals, true)[ADJUSTED],
            service_replicates,
            service_failure_replicates,
        }
    }

    /// What tells the changes of subjects and services apart from what all have in common.
    fn parts(&self, baseline: &Sums) -> [Parts; 2] {
        let requests = tops(&self.table.paths, baseline, self.scope);
        let own = self.attribution.own_times(baseline, self.forest.services.len());
        let [subjects, services] = own.map(|times| times.iter().map(|ns| ns / requests).collect::<Vec<f64>>());
        [
            Parts::new(|replicate| &replicate.subjects, &subjects, |subject| self.attribution.is_edge(subject)),
            Parts::new(|replicate| &replicate.services, &services, |_| false),
        ]
    }

    /// Everything estimated with the baseline resampled, and with the regression: as they are, and at unchanged traffic. The windows are independent:
    /// resampled one at a time, their variances add up and can be told apart.
    fn replicates(&self, replicate: u64, blocks: &[Blocks; 2], data: [&Sums; 2]) -> [[Replicate; 2]; 2] {
        self.with_room(|Room { sums, side, effects }| {
            for (stream, (sums, blocks)) in (0_u64..).zip(sums.iter_mut().zip(blocks)) {
                let weight = |block| stats::poisson_weight(stream, replicate, block as u64);
                blocks.sum_in(sums, side, self.table.paths.len(), weight);
            }
            let [of_baseline, of_regression] = &*sums;
            [false, true].map(|at_weights| {
                [[of_baseline, data[1]], [data[0], of_regression]].map(|sums| self.replicate(effects, sums, at_weights))
            })
        })
    }

    /// Calls `job` with memory that no other task uses.
    fn with_room<T>(&self, job: impl FnOnce(&mut Room) -> T) -> T {
        let rooms = || self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let mut room = rooms().pop().unwrap_or_default();
        let result = job(&mut room);
        rooms().push(room);
        result
    }

    /// Everything that is estimated, on these sums; with the weights of all the data if `at_weights`.
    fn replicate(&self, room: &mut decompose::Room, windows: [&Sums; 2], at_weights: bool) -> Replicate {
        let (paths, attribution) = (&self.table.paths, self.attribution);
        let decomposed = |room: &mut decompose::Room, scope: Scope| -> Decomposed {
            let effects = if at_weights {
                let weights = self.weights[usize::from(scope != self.scope)];
                self::at_weights(room, paths, weights, (windows, self.hidden), scope)
            } else {
                decompose_in(room, paths, windows, self.hidden, scope)
            };
            // The residual has no means to go by at other weights, where it is what the effects sum to.
            let change =
                if at_weights { -effects.residual_ns() } else { effects.regression_mean_ns - effects.baseline_mean_ns };
            Decomposed { rows: attribution.rows_ns(effects), mix: effects.mix_ns.iter().sum(), change }
        };
        let Decomposed { rows, mix, change } = decomposed(room, self.scope);
        let has_background = self.background_rate > 0.0;
        let mut subjects = vec![0.0; attribution.subjects.len()];
        let mut add = |rows: &[f64], rate: f64| {
            for (key, value) in attribution.rows.iter().zip(rows) {
                subjects[key.subject as usize] += rate * value;
            }
        };
        add(&rows, 1.0);
        if has_background {
            add(&decomposed(room, Scope::Background).rows, self.background_rate);
        }
        let mut failures = Vec::new();
        let (mut failure_change, mut failure_mix) = (0.0, 0.0);
        if self.with_failures {
            (failures, failure_mix) = attribution.failure_changes(paths, windows, self.scope);
            failure_change = failures.iter().fold(failure_mix, |sum, failure| sum + failure);
            if has_background {
                let (changes, _) = attribution.failure_changes(paths, windows, Scope::Background);
                for (failure, change) in failures.iter_mut().zip(changes) {
                    *failure += self.background_rate * change;
                }
            }
        }
        let by_service = |values: &[f64]| {
            let mut services = vec![0.0; if values.is_empty() { 0 } else { self.forest.services.len() }];
            for (&service, value) in attribution.blamed.iter().zip(values) {
                services[service as usize] += value;
            }
            services
        };
        Replicate {
            services: by_service(&subjects),
            service_failures: by_service(&failures),
            totals: vec![change, mix, change - mix, failure_change, failure_mix],
            rows,
            subjects,
            failures,
        }
    }
}
