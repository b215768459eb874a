//! Two windows of requests in, the change between them out, attributed exactly and with its uncertainty.
//!
//! [`paths`] sums what every trace spends on every call path. [`sums`] adds that up a window, and a block of traces for
//! resampling. [`decompose`] splits the change of the mean, [`attribute`] says whose each part is, and [`compare`] repeats both on
//! bootstrap replicates to learn how certain the parts are.

pub mod attribute;
pub mod decompose;
pub mod paths;
pub mod sums;

use crate::normalize::Forest;
use crate::stats;
use attribute::{Attribution, tops};
use decompose::{Effects, decompose};
use paths::{CostTable, Scope};
use rayon::prelude::*;
use sums::{Blocks, MAX_BLOCKS, Sums};

/// Replicates of the bootstrap: a standard error is then known to 1/sqrt(2 * 400) = 4 %.
pub const N_REPLICATES: u64 = 400;

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
}

/// One evaluation of everything that carries an uncertainty, as flat vectors.
struct Replicate {
    rows: Vec<f64>,
    subjects: Vec<f64>,
    failures: Vec<f64>,
    services: Vec<f64>,
    service_failures: Vec<f64>,
    totals: [f64; 4],
}

/// Compares the windows; cost is one pass over the cost table and [`N_REPLICATES`] over the sums of blocks.
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
    let attribution = Attribution::new(forest, &table.paths, &baseline, &regression);
    let evaluate = |baseline: &Sums, regression: &Sums| {
        replicate(forest, table, &attribution, [baseline, regression], scope, background_rate)
    };
    let point = evaluate(&baseline, &regression);

    let replicates: Vec<Replicate> = (0..N_REPLICATES)
        .into_par_iter()
        .map(|replicate| {
            let resampled = |stream: usize| {
                blocks[stream].sum(n_paths, |block| stats::poisson_weight(stream as u64, replicate, block as u64))
            };
            evaluate(&resampled(0), &resampled(1))
        })
        .collect();
    let estimates = |field: fn(&Replicate) -> &[f64]| -> Vec<Estimate> {
        field(&point)
            .iter()
            .enumerate()
            .map(|(index, &value)| {
                let values: Vec<f64> = replicates.iter().map(|replicate| field(replicate)[index]).collect();
                Estimate { value, error: stats::standard_deviation(&values) }
            })
            .collect()
    };
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
        service_replicates: replicates.iter().map(|replicate| replicate.services.clone()).collect(),
        service_failure_replicates: replicates.iter().map(|replicate| replicate.service_failures.clone()).collect(),
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
    let mut failures = attribution.failure_changes(&table.paths, baseline, regression, scope);
    let failure_change = failures.iter().fold(0.0, |sum, failure| sum + failure);
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
        let changes = attribution.failure_changes(&table.paths, baseline, regression, Scope::Background);
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
        totals: [change, mix, change - mix, failure_change],
        rows,
        subjects,
        failures,
    }
}
