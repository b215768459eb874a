//! Two windows of requests in, the change between them out, attributed exactly and with its uncertainty.
//!
//! [`paths`] sums what every trace spends on every call path, [`hidden`] what calls took that nobody waited for. [`sums`] adds that up a window, and a block of traces for
//! resampling. [`mod@decompose`] splits the change of the mean, [`attribute`] says whose each part is, and `estimate` repeats both on
//! bootstrap replicates to learn how certain the parts are. All that is done in three [`views`] of the latency: of the mean, of typical
//! requests and of the slowest; the noise between stretches of the baseline sets the bar, and `apart` tells what one operation did from what
//! all did. `critical`, `failing`, `misses`, `renamed` and `unanswered` tell which effects belong elsewhere than where they are measured,
//! [`edges`] says whose network it was, [`structure`] tells which calls are new, gone, more, fewer or no longer
//! answered.

mod apart;
pub mod attribute;
pub mod costs;
mod critical;
pub mod decompose;
pub mod edges;
mod estimate;
pub mod factors;
mod failing;
pub mod gather;
pub mod hidden;
pub mod kept;
mod kernel;
pub mod limits;
mod misses;
pub(crate) mod noise;
pub mod paths;
pub mod ratio;
mod renamed;
pub mod shift;
pub mod structure;
pub mod sums;
mod unanswered;
pub mod views;
mod waited;

use crate::normalize::Forest;
use crate::stats;
use attribute::{Attribution, tops};
use decompose::{Effects, Weights, decompose};
use estimate::{ADJUSTED, Evaluation, FAILURES};
use factors::Factors;
use failing::Failing;
use hidden::Hidden;
use paths::{CostTable, Scope};
use shift::Shifts;
use std::sync::Mutex;
use sums::{Blocks, MAX_BLOCKS, Sums};
use unanswered::Input;
use views::{View, Views};

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

    /// Value in standard errors at unchanged traffic; 0 where both are 0. Where there is no change the two errors are the same but for what is small
    /// of second order; so that a value whose interval excludes zero is never called chance, the smaller counts.
    #[must_use]
    pub fn z(self) -> f64 {
        if self.value == 0.0 { 0.0 } else { self.value / self.null_error.min(self.error).max(f64::MIN_POSITIVE) }
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
    /// Traces of the baseline and of the regression.
    pub n_traces: [usize; 2],
    /// Sums of the baseline.
    pub baseline: Sums,
    /// Sums of the regression.
    pub regression: Sums,
    /// Visits of each path, waited for or not, in both windows.
    pub everywhere: [Vec<f64>; 2],
    /// Rates of paths that a window has only hidden calls of.
    pub hidden: Hidden,
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

impl Comparison {
    /// The factors of the effects of every path of `scope`.
    #[must_use]
    pub fn factors(&self, table: &CostTable, scope: Scope) -> Vec<Factors> {
        factors::factors(&table.paths, [&self.baseline, &self.regression], &self.hidden, scope)
    }

    /// Change of the share of requests that fail because of each subject, without failures of work in the background.
    #[must_use]
    pub fn front_failures(&self, table: &CostTable) -> Vec<f64> {
        self.attribution.failure_changes(&table.paths, [&self.baseline, &self.regression], self.scope).0
    }
}

/// Compares the windows; cost is a few passes over the cost table and, for each view, 400 sums of blocks, each decomposed twice: as it is
/// and at unchanged traffic.
#[must_use]
pub fn compare(forest: &Forest, table: &CostTable, selection: &Selection) -> Comparison {
    let n_paths = table.paths.len();
    let windows = [selection.baseline.as_slice(), &selection.regression];
    let views = Views::new(forest, table, windows);
    let blocks = |view: View| views.blocks(view, MAX_BLOCKS);
    let sum = |blocks: &[Blocks; 2]| blocks.each_ref().map(|blocks| blocks.sum(n_paths, |_| 1.0));
    let (mean_blocks, typical_blocks, tail_blocks) = (blocks(View::Mean), blocks(View::Typical), blocks(View::Tail));
    let [[baseline, regression], typical_sums, tail_sums] = [&mean_blocks, &typical_blocks, &tail_blocks].map(sum);

    let (scope, background_rate) = scope(table, [&baseline, &regression]);
    let sums = [&baseline, &regression];
    let unseen = views.hidden(View::Mean);
    let everywhere = [0, 1].map(|window: usize| waited::everywhere(sums[window], &unseen[window]));
    let hidden = Hidden::new(&table.paths, sums, unseen.each_ref());
    let effects = decompose(&table.paths, sums, &hidden, scope);
    let background = decompose(&table.paths, sums, &hidden, Scope::Background);
    let input = Input {
        forest,
        paths: &table.paths,
        sums,
        hidden: &hidden,
        everywhere: everywhere.each_ref().map(Vec::as_slice),
        effects: &effects,
        background: (&background, background_rate),
        scope,
    };
    let attribution = Attribution::new(input, typical_sums.each_ref(), &Failing::new(table, selection, &forest.weight));
    let rooms = Mutex::default();
    let estimate = |blocks: &[Blocks; 2], view: View, hidden: &Hidden, weights: [&Weights; 2]| {
        let evaluation = Evaluation {
            forest,
            table,
            attribution: &attribution,
            scope,
            background_rate,
            with_failures: view == View::Mean,
            weights,
            hidden,
            rooms: &rooms,
        };
        evaluation.estimate(blocks, view)
    };
    let view_change = |blocks: &[Blocks; 2], sums: [Sums; 2], view: View| {
        let hidden = Hidden::new(&table.paths, sums.each_ref(), views.hidden(view).each_ref());
        let [effects, background] =
            [scope, Scope::Background].map(|scope| decompose(&table.paths, sums.each_ref(), &hidden, scope));
        let evaluated = estimate(blocks, view, &hidden, [&effects.weights, &background.weights]);
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
    let ((mean, [typical, tail]), shifts) = rayon::join(
        || {
            rayon::join(
                || estimate(&mean_blocks, View::Mean, &hidden, [&effects.weights, &background.weights]),
                || {
                    let typical = view_change(&typical_blocks, typical_sums, View::Typical);
                    [typical, view_change(&tail_blocks, tail_sums, View::Tail)]
                },
            )
        },
        || shift::shifts(forest, table, &attribution, &baseline, selection),
    );
    Comparison {
        n_traces: [selection.baseline.len(), selection.regression.len()],
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
        failure_change: mean.totals[FAILURES],
        failure_mix: mean.totals[4],
        service_replicates: mean.service_replicates,
        service_failure_replicates: mean.service_failure_replicates,
        apart: mean.apart,
        shifts,
        baseline,
        regression,
        everywhere,
        hidden,
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
