//! How far what the analysis says of a service is from what the service's faults truly add.

use crate::analysis::Analysis;
use crate::simulate::Truth;
use crate::stats::quantile;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Below this a relative error says nothing: the analysis itself reports no less.
const LEAST_MS: f64 = 0.1;

/// What a service at fault is said to add, and what it truly adds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stated {
    /// Service at fault.
    pub service: String,
    /// What its faults truly add, milliseconds a request.
    pub true_ms: f64,
    /// Standard error of `true_ms`.
    pub standard_error_ms: f64,
    /// What the analysis says that it adds to requests, without work in the background; 0 if it does not rank the service.
    pub stated_ms: f64,
    /// Its 95 % interval; absent if it does not rank the service.
    pub interval_ms: Option<[f64; 2]>,
    /// Whether the interval holds the truth.
    pub is_in_interval: bool,
    /// Share of requests that truly fail because of it.
    pub true_error_ratio: f64,
    /// The same as the analysis says it.
    pub stated_error_ratio: f64,
}

/// Stated contributions against the truth, over the services at fault of some cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Contributions {
    /// Services at fault whose true contribution is known.
    pub n_services: usize,
    /// Those of them that are ranked at all.
    pub n_ranked: usize,
    /// Mean of the true contributions, milliseconds a request.
    pub mean_true_ms: f64,
    /// Mean distance of stated and true, milliseconds a request.
    pub mean_absolute_error_ms: f64,
    /// Its median.
    pub median_absolute_error_ms: f64,
    /// Median distance as a share of the truth, where that is at least 0.1 ms.
    pub median_relative_error: Option<f64>,
    /// Mean distance of the shares of failing requests.
    pub mean_absolute_error_ratio: f64,
    /// Share of them whose 95 % interval holds the truth.
    pub share_in_interval: f64,
}

/// Puts each service at fault beside what is said of it.
pub(super) fn stated(truth: &Truth, analysis: &Analysis) -> Vec<Stated> {
    let one = |known: &crate::simulate::ServiceTruth| {
        let ranked = analysis.services.iter().find(|ranked| ranked.service == known.service);
        // The truth is that of requests.
        let behind_ms = ranked.map_or(0.0, |ranked| ranked.contribution.background_ms);
        let interval_ms = ranked.map(|ranked| ranked.contribution.interval_ms.map(|bound| bound - behind_ms));
        Stated {
            service: known.service.clone(),
            true_ms: known.added.ms,
            standard_error_ms: known.added.standard_error_ms,
            stated_ms: ranked.map_or(0.0, |ranked| ranked.contribution.ms - behind_ms),
            interval_ms,
            is_in_interval: interval_ms.is_some_and(|[low, high]| (low..=high).contains(&known.added.ms)),
            true_error_ratio: known.added.error_ratio,
            stated_error_ratio: ranked.map_or(0.0, |ranked| ranked.contribution.error_ratio),
        }
    };
    truth.services.iter().map(one).collect()
}

/// Sums over services; absent if there is none.
pub(super) fn sum<'a>(all: impl Iterator<Item = &'a Stated>) -> Option<Contributions> {
    let all: Vec<&Stated> = all.collect();
    if all.is_empty() {
        return None;
    }
    let n = all.len() as f64;
    let sorted = |mut values: Vec<f64>| {
        values.sort_unstable_by(f64::total_cmp);
        values
    };
    let error_ms = |stated: &Stated| (stated.stated_ms - stated.true_ms).abs();
    let errors_ms = sorted(all.iter().map(|stated| error_ms(stated)).collect());
    let large = all.iter().filter(|stated| stated.true_ms.abs() >= LEAST_MS);
    let relative = sorted(large.map(|stated| error_ms(stated) / stated.true_ms.abs()).collect());
    Some(Contributions {
        n_services: all.len(),
        n_ranked: all.iter().filter(|stated| stated.interval_ms.is_some()).count(),
        mean_true_ms: all.iter().map(|stated| stated.true_ms).sum::<f64>() / n,
        mean_absolute_error_ms: errors_ms.iter().sum::<f64>() / n,
        median_absolute_error_ms: quantile(&errors_ms, 0.5).unwrap_or_default(),
        median_relative_error: quantile(&relative, 0.5),
        mean_absolute_error_ratio: all
            .iter()
            .map(|stated| (stated.stated_error_ratio - stated.true_error_ratio).abs())
            .sum::<f64>()
            / n,
        share_in_interval: all.iter().filter(|stated| stated.is_in_interval).count() as f64 / n,
    })
}
