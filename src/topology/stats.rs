//! Calls by group and window: polars brings each group's calls together, and each group is then sorted and measured.

use crate::error::Error;
use crate::stats::weighted_quantile;
use polars::prelude::{Column, DataFrame, IntoLazy, NamedFrom, Series, col, len};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Calls of one edge or node in one window. Ratios and latencies are of requests, so a sampled call counts as often as
/// its trace's weight says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallStats {
    /// Calls in the data.
    pub n_calls: u64,
    /// How many calls these stand for under sampling; equal to `n_calls` without sampling.
    pub weighted_calls: f64,
    /// Failed calls in the data.
    pub n_errors: u64,
    /// Share of calls that failed.
    pub error_ratio: f64,
    /// Mean latency, milliseconds.
    pub mean_ms: f64,
    /// Median latency, milliseconds.
    pub p50_ms: f64,
    /// 95th percentile of the latency, milliseconds.
    pub p95_ms: f64,
    /// 99th percentile of the latency, milliseconds.
    pub p99_ms: f64,
}

/// Spans of one service or operation in one window, and the calls that it answered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeStats {
    /// Its spans; 0 for an inferred service.
    pub n_spans: u64,
    /// Calls that it answered: spans that a caller elsewhere waits for or that begin a request. All spans of an operation.
    #[serde(flatten)]
    pub calls: CallStats,
}

const GROUP: &str = "group";
const DURATION_NS: &str = "duration_ns";
const FAILED: &str = "failed";
const WEIGHT: &str = "weight";
const N_CALLS: &str = "n_calls";
const N_ERRORS: &str = "n_errors";

/// One call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// 0 for the first window, 1 for the second.
    pub(super) window: u32,
    pub(super) duration_ns: i64,
    pub(super) failed: bool,
    /// How many calls it stands for.
    pub(super) weight: f64,
}

/// Calls as columns.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Twice the group, and one more in the second window.
    group: Vec<u32>,
    duration_ns: Vec<i64>,
    failed: Vec<bool>,
    weight: Vec<f64>,
}

impl Calls {
    pub(super) fn push(&mut self, group: u32, call: Call) {
        self.group.push(2 * group + call.window);
        self.duration_ns.push(call.duration_ns);
        self.failed.push(call.failed);
        self.weight.push(call.weight);
    }

    /// Figures of each of `n_groups` groups in each window; `None` where there was no call.
    pub(super) fn by_group(self, n_groups: usize) -> Result<Vec<[Option<CallStats>; 2]>, Error> {
        let columns = vec![
            Column::from(Series::new(GROUP.into(), self.group)),
            Column::from(Series::new(DURATION_NS.into(), self.duration_ns)),
            Column::from(Series::new(FAILED.into(), self.failed)),
            Column::from(Series::new(WEIGHT.into(), self.weight)),
        ];
        let height = columns.first().map_or(0, Column::len);
        let groups = DataFrame::new(height, columns)?
            .lazy()
            .group_by([col(GROUP)])
            .agg([len().alias(N_CALLS), col(FAILED).sum().alias(N_ERRORS), col(DURATION_NS), col(FAILED), col(WEIGHT)])
            .collect()?;
        let mut figures = vec![[None; 2]; n_groups];
        for (group, stats) in measure(&groups)? {
            if let Some(slot) = figures.get_mut(group as usize / 2) {
                slot[group as usize % 2] = Some(stats);
            }
        }
        Ok(figures)
    }
}

/// Figures a row of the grouped frame. The order of rows, and of calls within one, does not matter.
fn measure(groups: &DataFrame) -> Result<Vec<(u32, CallStats)>, Error> {
    let group = groups.column(GROUP)?.u32()?;
    let (n_calls, n_errors) = (groups.column(N_CALLS)?.u32()?, groups.column(N_ERRORS)?.u32()?);
    let duration_ns = groups.column(DURATION_NS)?.list()?;
    let (failed, weight) = (groups.column(FAILED)?.list()?, groups.column(WEIGHT)?.list()?);
    let row = |row: usize| -> Result<Option<(u32, CallStats)>, Error> {
        let lists = [duration_ns, failed, weight].map(|lists| lists.get_as_series(row));
        let (Some(group), [Some(duration_ns), Some(failed), Some(weight)]) = (group.get(row), lists) else {
            return Ok(None);
        };
        let calls = duration_ns.i64()?.iter().zip(weight.f64()?.iter()).zip(failed.bool()?.iter());
        let mut calls: Vec<(i64, f64, bool)> = calls
            .map(|((duration_ns, weight), failed)| {
                (duration_ns.unwrap_or(0), weight.unwrap_or(1.0), failed.unwrap_or(false))
            })
            .collect();
        // Over all fields, so that sums do not depend on the order in which the calls were read.
        calls.sort_unstable_by(|left, right| {
            left.0.cmp(&right.0).then(left.1.total_cmp(&right.1)).then(left.2.cmp(&right.2))
        });
        let counts = [n_calls, n_errors].map(|column| u64::from(column.get(row).unwrap_or(0)));
        Ok(Some((group, figures(&calls, counts))))
    };
    let rows: Result<Vec<_>, Error> = (0..groups.height()).into_par_iter().map(row).collect();
    Ok(rows?.into_iter().flatten().collect())
}

/// Figures of a histogram of calls by duration, bits of the weight, and failure; none of no call.
pub(super) fn figures_of(calls: &BTreeMap<(i64, u64, bool), u64>) -> Option<CallStats> {
    let mut list = Vec::new();
    for (&(duration_ns, weight, failed), &count) in calls {
        let call = (duration_ns, f64::from_bits(weight), failed);
        list.extend(std::iter::repeat_n(call, usize::try_from(count).unwrap_or(usize::MAX)));
    }
    let n_errors = list.iter().filter(|&&(.., failed)| failed).count();
    let by_all = |left: &(i64, f64, bool), right: &(i64, f64, bool)| {
        left.0.cmp(&right.0).then(left.1.total_cmp(&right.1)).then(left.2.cmp(&right.2))
    };
    list.sort_unstable_by(by_all);
    (!list.is_empty()).then(|| figures(&list, [list.len() as u64, n_errors as u64]))
}

/// Figures of calls sorted by duration: (nanoseconds, weight, failed).
fn figures(calls: &[(i64, f64, bool)], [n_calls, n_errors]: [u64; 2]) -> CallStats {
    let values: Vec<f64> = calls.iter().map(|&(duration_ns, ..)| duration_ns as f64).collect();
    let mut total = 0.0;
    let cumulative: Vec<f64> = calls
        .iter()
        .map(|&(_, weight, _)| {
            total += weight;
            total
        })
        .collect();
    // An empty sum of floats is -0.
    let failed: f64 = 0.0 + calls.iter().filter(|&&(_, _, failed)| failed).map(|&(_, weight, _)| weight).sum::<f64>();
    let sum: f64 = calls.iter().zip(&values).map(|(&(_, weight, _), value)| weight * value).sum();
    let quantile_ms = |q| weighted_quantile(&values, &cumulative, q).unwrap_or(0.0) / 1e6;
    CallStats {
        n_calls,
        weighted_calls: total,
        n_errors,
        error_ratio: failed / total,
        mean_ms: sum / total / 1e6,
        p50_ms: quantile_ms(0.5),
        p95_ms: quantile_ms(0.95),
        p99_ms: quantile_ms(0.99),
    }
}
