//! Two windows of requests in, the change between them out, attributed exactly and with its uncertainty.
//!
//! [`paths`] sums what every trace spends on every call path. [`sums`] adds that up a window, and a block of traces for
//! resampling. [`mod@decompose`] splits the change of the mean, [`attribute`] says whose each part is, and [`compare()`] repeats both on
//! bootstrap replicates to learn how certain the parts are. All that is done in three [`views`] of the latency: of the mean, of typical
//! requests and of the slowest; the noise between stretches of the baseline sets the bar, and `apart` tells what one operation did from what
//! all did. [`edges`] says whose network it was, [`structure`] tells which calls are new, gone, more, fewer or no longer
//! answered.

mod apart;
pub mod attribute;
pub mod costs;
mod critical;
pub mod decompose;
pub mod edges;
pub mod factors;
mod failing;
pub mod gather;
pub mod kept;
mod kernel;
pub mod limits;
mod misses;
pub(crate) mod noise;
pub mod paths;
pub mod ratio;
pub mod shift;
pub mod structure;
pub mod sums;
mod unanswered;
pub mod views;

use crate::normalize::Forest;
use crate::stats;
use apart::Parts;
use attribute::{Attribution, tops};
use decompose::{Effects, Weights, at_weights, decompose, decompose_in};
use failing::Failing;
use noise::Noise;
use paths::{CostTable, Scope};
use rayon::prelude::*;
use shift::Shifts;
use std::sync::{Mutex, PoisonError};
use sums::{Blocks, MAX_BLOCKS, Side, Sums};
use unanswered::Input;
use views::{Caps, View};

/// Replicates of the bootstrap, a window: a standard error is then known to 1/sqrt(2 * 200) = 5 %.
const N_REPLICATES: u64 = 200;
/// With 950,000 paths a replicate took 0.5 µs a path on a core: beyond this many, replicates become fewer so that their cost does not grow,
const MANY_PATHS: usize = 100_000;
/// down to this many, which know a standard error to 10 %.
const FEWEST_REPLICATES: u64 = 50;

fn n_replicates(n_paths: usize) -> u64 {
    match n_paths {
        ..MANY_PATHS => N_REPLICATES,
        _ => (N_REPLICATES * MANY_PATHS as u64 / n_paths as u64).max(FEWEST_REPLICATES),
    }
}

/// Traces of the two windows, each in order of start.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Traces of the baseline, as indices of the forest.
    pub baseline: Vec<u32>,
    /// Traces of the regression.
    pub regression: Vec<u32>,
}

/// A value and its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Value on the data.
    pub value: f64,
    /// Standard error, with the noise between stretches of time.
    pub error: f64,
    /// The same at unchanged traffic: what tells a change from none. How often an operation is called scatters how much it adds, but says
    /// nothing of whether it became slower.
    pub null_error: f64,
    /// Degrees of freedom of the error: how many traces, or stretches, it was learnt from, less one.
    pub freedom: f64,
}

impl Default for Estimate {
    fn default() -> Self {
        Self::new(0.0, 0.0)
    }
}

impl Estimate {
    /// A value with one standard error, known well.
    #[must_use]
    pub fn new(value: f64, error: f64) -> Self {
        Self { value, error, null_error: error, freedom: f64::INFINITY }
    }

    /// 95 % interval.
    #[must_use]
    pub fn interval(self) -> [f64; 2] {
        let reach = stats::student_reach(self.freedom) * self.error;
        [self.value - reach, self.value + reach]
    }

    /// Value in standard errors at unchanged traffic; 0 where both are 0.
    #[must_use]
    pub fn z(self) -> f64 {
        if self.value == 0.0 { 0.0 } else { self.value / self.null_error.max(f64::MIN_POSITIVE) }
    }

    /// Chance of a value as far from zero where there is no change.
    #[must_use]
    pub fn p(self) -> f64 {
        stats::student_p(self.z(), self.freedom)
    }
}

/// The change between two windows.
#[derive(Debug)]
pub struct Comparison {
    /// Sums of the baseline.
    pub baseline: Sums,
    /// Sums of the regression.
    pub regression: Sums,
    /// Effects a path on the mean latency of requests, nanoseconds.
    pub effects: Effects,
    /// The same of background work, per background request.
    pub background: Effects,
    /// Background requests per request, over both windows.
    pub background_rate: f64,
    /// Scope that the latency is about: requests, or background work if the data hold nothing but fragments.
    pub scope: Scope,
    /// Whose each effect is.
    pub attribution: Attribution,
    /// Latency effects of requests a row, nanoseconds per request.
    pub rows: Vec<Estimate>,
    /// Latency effects a subject, background work included, nanoseconds per request.
    pub subjects: Vec<Estimate>,
    /// Change of the share of failing requests a subject, background work included.
    pub failures: Vec<Estimate>,
    /// Latency effects a service, background work included, nanoseconds per request.
    pub services: Vec<Estimate>,
    /// Change of the share of failing requests a service.
    pub service_failures: Vec<Estimate>,
    /// Latency effects a service in each replicate.
    pub service_replicates: Vec<Vec<f64>>,
    /// Failure changes a service in each replicate.
    pub service_failure_replicates: Vec<Vec<f64>>,
    /// Change of the mean latency, nanoseconds.
    pub change_ns: Estimate,
    /// Its part from the traffic mix, nanoseconds.
    pub mix_ns: Estimate,
    /// Change of the mean latency apart from the traffic mix, nanoseconds.
    pub adjusted_ns: Estimate,
    /// The same with the error of a change between two runs of one system: its noise between stretches is its own, and as uncertain as that.
    pub between_runs: Estimate,
    /// Change of the share of failing requests.
    pub failure_change: Estimate,
    /// Its part from the traffic mix.
    pub failure_mix: Estimate,
    /// What subjects and services add to the mean beyond what all have in common.
    pub apart: Apart,
    /// By how much their usual calls became longer.
    pub shifts: Shifts,
    /// The change of typical requests, wild calls cut to the usual.
    pub typical: ViewChange,
    /// The change of the slowest requests of each entry.
    pub tail: ViewChange,
}

/// What parts add to the latency beyond what all have in common, nanoseconds per request; `None` of parts too small to be compared.
#[derive(Debug, Default)]
pub struct Apart {
    /// By subject.
    pub subjects: Vec<Option<Estimate>>,
    /// By service.
    pub services: Vec<Option<Estimate>>,
}

/// The change of the latency in one of the other [`views`].
#[derive(Debug, Default)]
pub struct ViewChange {
    /// Sums of the baseline and of the regression.
    pub sums: [Sums; 2],
    /// Effects a path, nanoseconds per request.
    pub effects: Effects,
    /// Effects a row, nanoseconds per request.
    pub rows: Vec<Estimate>,
    /// Effects a subject, background work included, nanoseconds per request.
    pub subjects: Vec<Estimate>,
    /// Effects a service, background work included, nanoseconds per request.
    pub services: Vec<Estimate>,
    /// The same in each replicate.
    pub service_replicates: Vec<Vec<f64>>,
    /// The part of the change from the traffic mix, nanoseconds.
    pub mix_ns: Estimate,
    /// Change apart from the traffic mix, nanoseconds.
    pub adjusted_ns: Estimate,
    /// The same with the error of a change between two runs of one system.
    pub between_runs: Estimate,
}

/// One evaluation of everything that carries an uncertainty, as flat vectors.
#[derive(Clone, Default)]
struct Replicate {
    rows: Vec<f64>,
    subjects: Vec<f64>,
    failures: Vec<f64>,
    services: Vec<f64>,
    service_failures: Vec<f64>,
    /// Change, its part from the mix, the rest, the change of the failing share and its part from the mix.
    totals: Vec<f64>,
}

/// Place of the change apart from the mix among the totals.
const ADJUSTED: usize = 2;

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
struct Evaluation<'a> {
    forest: &'a Forest,
    table: &'a CostTable,
    attribution: &'a Attribution,
    scope: Scope,
    background_rate: f64,
    /// Whether to look at failures too; they are the same in every view.
    with_failures: bool,
    /// Weights of requests and of background work on all the data.
    weights: [Weights; 2],
    /// Memory that no task uses at the moment.
    rooms: &'a Mutex<Vec<Room>>,
}

/// Memory for a replicate: to ask for it each time costs more than to fill it, where paths are many.
#[derive(Default)]
struct Room {
    /// Of the windows.
    sums: [Sums; 2],
    side: Side,
    effects: decompose::Room,
}

/// What a replicate takes of effects: nanoseconds a row, of the mix, and of the whole change.
struct Decomposed {
    rows: Vec<f64>,
    mix: f64,
    change: f64,
}

/// A view's estimates.
struct Evaluated {
    rows: Vec<Estimate>,
    subjects: Vec<Estimate>,
    failures: Vec<Estimate>,
    services: Vec<Estimate>,
    service_failures: Vec<Estimate>,
    totals: Vec<Estimate>,
    adjusted_between_runs: Estimate,
    service_replicates: Vec<Vec<f64>>,
    service_failure_replicates: Vec<Vec<f64>>,
    apart: Apart,
}

/// Compares the windows; cost is a few passes over the cost table and, for each view, 400 sums of blocks, each decomposed twice: as it is
/// and at unchanged traffic.
#[must_use]
pub fn compare(forest: &Forest, table: &CostTable, selection: &Selection) -> Comparison {
    let n_paths = table.paths.len();
    let windows = [selection.baseline.as_slice(), &selection.regression];
    let caps = Caps::new(table, windows, &forest.weight);
    let tail_weights = views::tail_weights(forest, windows);
    let blocks = |view: View| {
        let (weights, caps) = match view {
            View::Mean => (&forest.weight, None),
            View::Typical => (&forest.weight, Some(&caps)),
            View::Tail => (&tail_weights, None),
        };
        windows.map(|traces| Blocks::new(table, traces, weights, caps, MAX_BLOCKS))
    };
    let sum = |blocks: &[Blocks; 2]| blocks.each_ref().map(|blocks| blocks.sum(n_paths, |_| 1.0));
    let (mean_blocks, typical_blocks, tail_blocks) = (blocks(View::Mean), blocks(View::Typical), blocks(View::Tail));
    let [baseline, regression] = sum(&mean_blocks);
    let typical_sums = sum(&typical_blocks);
    let tail_sums = sum(&tail_blocks);

    let (scope, background_rate) = scope(table, [&baseline, &regression]);
    let effects = decompose(&table.paths, &baseline, &regression, scope);
    let background = decompose(&table.paths, &baseline, &regression, Scope::Background);
    let input = Input {
        forest,
        paths: &table.paths,
        sums: [&baseline, &regression],
        effects: &effects,
        background: (&background, background_rate),
        scope,
    };
    let attribution = Attribution::new(input, typical_sums.each_ref(), &Failing::new(table, selection, &forest.weight));
    let rooms = Mutex::default();
    let evaluation = |view: View, sums: &[Sums; 2], effects: &Effects| {
        let background = decompose(&table.paths, &sums[0], &sums[1], Scope::Background);
        let weights = [effects.weights.clone(), background.weights];
        let with_failures = view == View::Mean;
        Evaluation {
            forest,
            table,
            attribution: &attribution,
            scope,
            background_rate,
            with_failures,
            weights,
            rooms: &rooms,
        }
    };
    let view_change = |blocks: &[Blocks; 2], sums: [Sums; 2], view: View| {
        let effects = decompose(&table.paths, &sums[0], &sums[1], scope);
        let evaluated = evaluation(view, &sums, &effects).estimate(blocks, view);
        ViewChange {
            effects,
            rows: evaluated.rows,
            subjects: evaluated.subjects,
            services: evaluated.services,
            service_replicates: evaluated.service_replicates,
            mix_ns: evaluated.totals[1],
            adjusted_ns: evaluated.totals[ADJUSTED],
            between_runs: evaluated.adjusted_between_runs,
            sums,
        }
    };
    // Each has stretches that one core alone works on.
    let sums = [baseline, regression];
    let ((mean, [typical, tail]), shifts) = rayon::join(
        || {
            rayon::join(
                || evaluation(View::Mean, &sums, &effects).estimate(&mean_blocks, View::Mean),
                || {
                    let typical = view_change(&typical_blocks, typical_sums, View::Typical);
                    [typical, view_change(&tail_blocks, tail_sums, View::Tail)]
                },
            )
        },
        || shift::shifts(forest, table, &attribution, &sums[0], selection),
    );
    let [baseline, regression] = sums;
    Comparison {
        effects,
        background,
        rows: mean.rows,
        subjects: mean.subjects,
        failures: mean.failures,
        services: mean.services,
        service_failures: mean.service_failures,
        change_ns: mean.totals[0],
        mix_ns: mean.totals[1],
        adjusted_ns: mean.totals[ADJUSTED],
        between_runs: mean.adjusted_between_runs,
        failure_change: mean.totals[3],
        failure_mix: mean.totals[4],
        service_replicates: mean.service_replicates,
        service_failure_replicates: mean.service_failure_replicates,
        apart: mean.apart,
        shifts,
        baseline,
        regression,
        background_rate,
        scope,
        attribution,
        typical,
        tail,
    }
}

/// What is compared, requests where both windows have any, and how much work in the background there is for each.
fn scope(table: &CostTable, windows: [&Sums; 2]) -> (Scope, f64) {
    let n_tops = |scope| windows.map(|sums| tops(&table.paths, sums, scope));
    let [background, requests] = [Scope::Background, Scope::Request].map(n_tops);
    if requests.iter().all(|&n_requests| n_requests > 0.0) {
        (Scope::Request, background.iter().sum::<f64>() / requests.iter().sum::<f64>())
    } else {
        (Scope::Background, 0.0)
    }
}

impl Evaluation<'_> {
    /// Point estimates, with what resampled traces and the stretches of time say of their errors.
    fn estimate(&self, blocks: &[Blocks; 2], view: View) -> Evaluated {
        let n_paths = self.table.paths.len();
        let [baseline, regression] = blocks.each_ref().map(|blocks| blocks.sum(n_paths, |_| 1.0));
        let of_both =
            |at_weights| self.with_room(|room| self.replicate(&mut room.effects, [&baseline, &regression], at_weights));
        let (point, null_point) = (of_both(false), of_both(true));
        // Of each window, as it is and at unchanged traffic.
        let new = |point| [Moments::new(point), Moments::new(point)];
        let (mut moments, mut null_moments) = (new(&point), new(&null_point));
        let (mut service_replicates, mut service_failure_replicates) = (Vec::new(), Vec::new());
        let mut parts = (view == View::Mean).then(|| {
            let requests = tops(&self.table.paths, &baseline, self.scope);
            let own = self.attribution.own_times(&baseline, self.forest.services.len());
            let [subjects, services] = own.map(|times| times.iter().map(|ns| ns / requests).collect::<Vec<f64>>());
            [
                Parts::new(|replicate| &replicate.subjects, &subjects, |subject| self.attribution.is_edge(subject)),
                Parts::new(|replicate| &replicate.services, &services, |_| false),
            ]
        });
        let numbers: Vec<u64> = (0..n_replicates(n_paths)).collect();
        // A few at a time, so that memory holds few; their order, and so every sum, is that of their numbers.
        for some in numbers.chunks(rayon::current_num_threads()) {
            let replicates: Vec<[[Replicate; 2]; 2]> = some
                .par_iter()
                .map(|&replicate| {
                    self.with_room(|Room { sums, side, effects }| {
                        for (stream, (sums, blocks)) in (0_u64..).zip(sums.iter_mut().zip(blocks)) {
                            let weight = |block| stats::poisson_weight(stream, replicate, block as u64);
                            blocks.sum_in(sums, side, n_paths, weight);
                        }
                        let [of_baseline, of_regression] = &*sums;
                        // The windows are independent: resampled one at a time, their variances add up and can be told apart.
                        [false, true].map(|at_weights| {
                            [[of_baseline, &regression], [&baseline, of_regression]]
                                .map(|sums| self.replicate(effects, sums, at_weights))
                        })
                    })
                })
                .collect();
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
                let both = |field: fn(&Replicate) -> &[f64]| {
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
        let support = noise::Support::new(self, blocks);
        let estimates = |field: fn(&Replicate) -> &[f64], support: &[f64], between_runs: bool| -> Vec<Estimate> {
            let [of_baseline, of_regression] = moments.each_ref().map(|moments| moments.variances(field));
            let [null_baseline, null_regression] = null_moments.each_ref().map(|moments| moments.variances(field));
            let inflation = noise.inflation(field, &null_baseline, between_runs);
            field(&point)
                .iter()
                .zip(support)
                .enumerate()
                .map(|(index, (&value, &freedom))| {
                    let factor = inflation[index] * noise::of_view(view);
                    let error = (factor * (of_baseline[index] + of_regression[index])).sqrt();
                    // Which paths the slowest requests take is not traffic but what made them the slowest: there no weight is given.
                    let null_error = match view {
                        View::Mean | View::Typical => (factor * (null_baseline[index] + null_regression[index])).sqrt(),
                        View::Tail => error,
                    };
                    let freedom = if between_runs { noise.freedom(inflation[index], freedom) } else { freedom };
                    Estimate { value, error, null_error, freedom }
                })
                .collect()
        };
        let apart = parts.map_or_else(Apart::default, |[subjects, services]| Apart {
            subjects: subjects.apart(&point, &noise, &support.subjects),
            services: services.apart(&point, &noise, &support.services),
        });
        Evaluated {
            apart,
            rows: estimates(|replicate| &replicate.rows, &support.rows, false),
            subjects: estimates(|replicate| &replicate.subjects, &support.subjects, false),
            failures: estimates(|replicate| &replicate.failures, &support.failures, false),
            services: estimates(|replicate| &replicate.services, &support.services, false),
            service_failures: estimates(|replicate| &replicate.service_failures, &support.service_failures, false),
            totals: estimates(|replicate| &replicate.totals, &support.totals, false),
            adjusted_between_runs: estimates(|replicate| &replicate.totals, &support.totals, true)[ADJUSTED],
            service_replicates,
            service_failure_replicates,
        }
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
                let weights = &self.weights[usize::from(scope != self.scope)];
                self::at_weights(room, paths, weights, windows, scope)
            } else {
                decompose_in(room, paths, windows, scope)
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
