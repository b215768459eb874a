//! Two windows of requests in, the change between them out, attributed exactly and with its uncertainty.
//!
//! [`paths`] sums what every trace spends on every call path. [`sums`] adds that up a window, and a block of traces for
//! resampling. [`mod@decompose`] splits the change of the mean, [`attribute`] says whose each part is, and [`compare()`] repeats both on
//! bootstrap replicates to learn how certain the parts are. [`structure`] tells which calls are new, gone, more, fewer or no longer
//! answered.

pub mod attribute;
pub mod decompose;
pub mod edges;
pub mod factors;
pub mod limits;
pub mod paths;
pub mod ratio;
pub mod structure;
pub mod sums;
mod unanswered;

use crate::normalize::Forest;
use crate::stats;
use attribute::{Attribution, tops};
use decompose::{Effects, decompose};
use paths::{CostTable, Scope};
use rayon::prelude::*;
use sums::{Blocks, MAX_BLOCKS, Sums};

/// Replicates of the bootstrap: a standard error is then known to 1/sqrt(2 * 400) = 4 %; with the 200 for very many paths, to 5 %.
const N_REPLICATES: u64 = 400;
/// With 950,000 paths a replicate took 0.5 µs a path on a core: beyond this many, 400 of them would take many seconds.
const MANY_PATHS: usize = 100_000;

fn n_replicates(n_paths: usize) -> u64 {
    if n_paths > MANY_PATHS { N_REPLICATES / 2 } else { N_REPLICATES }
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
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Value on the data.
    pub value: f64,
    /// Standard deviation over bootstrap replicates.
    pub error: f64,
}

impl Estimate {
    /// 95 % interval.
    #[must_use]
    pub fn interval(self) -> [f64; 2] {
        /// Two-sided 95 % quantile of the standard normal.
        const Z: f64 = 1.959_963_984_540_054;
        [self.value - Z * self.error, self.value + Z * self.error]
    }

    /// Value in standard errors; 0 where both are 0.
    #[must_use]
    pub fn z(self) -> f64 {
        if self.value == 0.0 { 0.0 } else { self.value / self.error.max(f64::MIN_POSITIVE) }
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
    /// Change of the share of failing requests.
    pub failure_change: Estimate,
    /// Its part from the traffic mix.
    pub failure_mix: Estimate,
}

/// One evaluation of everything that carries an uncertainty, as flat vectors.
#[derive(Clone)]
struct Replicate {
    rows: Vec<f64>,
    subjects: Vec<f64>,
    failures: Vec<f64>,
    services: Vec<f64>,
    service_failures: Vec<f64>,
    totals: [f64; 5],
}

/// Sums and sums of squares of the replicates' deviations from the point estimates.
struct Moments {
    n: f64,
    point: Replicate,
    sum: Replicate,
    squares: Replicate,
}

impl Replicate {
    fn fields(&self) -> [&[f64]; 6] {
        [&self.rows, &self.subjects, &self.failures, &self.services, &self.service_failures, &self.totals]
    }

    fn fields_mut(&mut self) -> [&mut [f64]; 6] {
        [
            &mut self.rows,
            &mut self.subjects,
            &mut self.failures,
            &mut self.services,
            &mut self.service_failures,
            &mut self.totals,
        ]
    }
}

impl Moments {
    fn new(point: &Replicate) -> Self {
        let zeros = |values: &[f64]| vec![0.0; values.len()];
        let empty = || Replicate {
            rows: zeros(&point.rows),
            subjects: zeros(&point.subjects),
            failures: zeros(&point.failures),
            services: zeros(&point.services),
            service_failures: zeros(&point.service_failures),
            totals: [0.0; 5],
        };
        Self { n: 0.0, point: point.clone(), sum: empty(), squares: empty() }
    }

    fn add(&mut self, replicate: &Replicate) {
        self.n += 1.0;
        let fields = self.sum.fields_mut().into_iter().zip(self.squares.fields_mut());
        for ((sums, squares), (values, points)) in fields.zip(replicate.fields().into_iter().zip(self.point.fields())) {
            for (((sum, square), value), point) in sums.iter_mut().zip(squares).zip(values).zip(points) {
                *sum += value - point;
                *square += (value - point).powi(2);
            }
        }
    }

    /// The values with their standard errors over the replicates.
    fn estimates(&self, values: &[f64], field: fn(&Replicate) -> &[f64]) -> Vec<Estimate> {
        let moments = field(&self.sum).iter().zip(field(&self.squares));
        values
            .iter()
            .zip(moments)
            .map(|(&value, (sum, square))| {
                let variance = (square - sum * sum / self.n) / (self.n - 1.0);
                Estimate { value, error: variance.max(0.0).sqrt() }
            })
            .collect()
    }
}

/// Compares the windows; cost is one pass over the cost table and 400 over the sums of blocks.
#[must_use]
pub fn compare(forest: &Forest, table: &CostTable, selection: &Selection) -> Comparison {
    let n_paths = table.paths.len();
    let blocks = [&selection.baseline, &selection.regression]
        .map(|traces| Blocks::new(table, traces, &forest.weight, MAX_BLOCKS));
    let [baseline, regression] = blocks.each_ref().map(|blocks| blocks.sum(n_paths, |_| 1.0));

    let n_tops = |scope| [&baseline, &regression].map(|sums| tops(&table.paths, sums, scope));
    let has_requests = n_tops(Scope::Request).iter().all(|&n_tops| n_tops > 0.0);
    let scope = if has_requests { Scope::Request } else { Scope::Background };
    let background_rate = if has_requests {
        let [background, requests] = [Scope::Background, Scope::Request].map(|scope| n_tops(scope).iter().sum::<f64>());
        background / requests
    } else {
        0.0
    };
    let effects = decompose(&table.paths, &baseline, &regression, scope);
    let background = decompose(&table.paths, &baseline, &regression, Scope::Background);
    let attribution = Attribution::new(
        forest,
        &table.paths,
        [&baseline, &regression],
        &effects,
        (&background, background_rate),
        scope,
    );
    let evaluate = |baseline: &Sums, regression: &Sums| {
        replicate(forest, table, &attribution, [baseline, regression], scope, background_rate)
    };
    let point = evaluate(&baseline, &regression);

    let mut moments = Moments::new(&point);
    let (mut service_replicates, mut service_failure_replicates) = (Vec::new(), Vec::new());
    let numbers: Vec<u64> = (0..n_replicates(n_paths)).collect();
    // A few at a time, so that memory holds few; their order, and so every sum, is that of their numbers.
    for some in numbers.chunks(2 * rayon::current_num_threads()) {
        let replicates: Vec<Replicate> = some
            .par_iter()
            .map(|&replicate| {
                let resampled = |stream: usize| {
                    blocks[stream].sum(n_paths, |block| stats::poisson_weight(stream as u64, replicate, block as u64))
                };
                evaluate(&resampled(0), &resampled(1))
            })
            .collect();
        for replicate in replicates {
            moments.add(&replicate);
            service_replicates.push(replicate.services);
            service_failure_replicates.push(replicate.service_failures);
        }
    }
    let estimates = |field: fn(&Replicate) -> &[f64]| moments.estimates(field(&point), field);
    let totals = estimates(|replicate| &replicate.totals);
    Comparison {
        rows: estimates(|replicate| &replicate.rows),
        subjects: estimates(|replicate| &replicate.subjects),
        failures: estimates(|replicate| &replicate.failures),
        services: estimates(|replicate| &replicate.services),
        service_failures: estimates(|replicate| &replicate.service_failures),
        change_ns: totals[0],
        mix_ns: totals[1],
        adjusted_ns: totals[2],
        failure_change: totals[3],
        failure_mix: totals[4],
        service_replicates,
        service_failure_replicates,
        baseline,
        regression,
        effects,
        background,
        background_rate,
        scope,
        attribution,
    }
}

fn replicate(
    forest: &Forest,
    table: &CostTable,
    attribution: &Attribution,
    [baseline, regression]: [&Sums; 2],
    scope: Scope,
    background_rate: f64,
) -> Replicate {
    let effects = decompose(&table.paths, baseline, regression, scope);
    let rows = attribution.rows_ns(&effects);
    let (mut failures, failure_mix) = attribution.failure_changes(&table.paths, [baseline, regression], scope);
    let failure_change = failures.iter().fold(failure_mix, |sum, failure| sum + failure);
    let mut subjects = vec![0.0; attribution.subjects.len()];
    let mut add = |rows: &[f64], rate: f64| {
        for (key, value) in attribution.rows.iter().zip(rows) {
            subjects[key.subject as usize] += rate * value;
        }
    };
    add(&rows, 1.0);
    if background_rate > 0.0 {
        let background = decompose(&table.paths, baseline, regression, Scope::Background);
        add(&attribution.rows_ns(&background), background_rate);
        let (changes, _) = attribution.failure_changes(&table.paths, [baseline, regression], Scope::Background);
        for (failure, change) in failures.iter_mut().zip(changes) {
            *failure += background_rate * change;
        }
    }
    let by_service = |values: &[f64]| {
        let mut services = vec![0.0; forest.services.len()];
        for (&service, value) in attribution.blamed.iter().zip(values) {
            services[service as usize] += value;
        }
        services
    };
    let change = effects.regression_mean_ns - effects.baseline_mean_ns;
    let mix = effects.mix_ns.iter().sum();
    Replicate {
        services: by_service(&subjects),
        service_failures: by_service(&failures),
        totals: [change, mix, change - mix, failure_change, failure_mix],
        rows,
        subjects,
        failures,
    }
}
