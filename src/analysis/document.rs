//! The result of an analysis as a document: what every report shows and what `--format json` prints.
//!
//! Times are milliseconds (`_ms`) unless the name says nanoseconds; contributions are milliseconds per request, changes
//! of error ratios are shares of requests. Intervals are 95 %. Lists are sorted, keys stand in the order of the types.

mod suspects;

pub use suspects::{
    Beside, Contribution, EntryImpact, Exemplar, Finding, Hop, Impact, PropagationPath, RankedService, SpanExemplar,
    Suspect,
};

use super::attributes::ValueChange;
use super::changes::ChangeAccount;
use super::distributions::Distribution;
use super::explanation::EdgeAccount;
use super::operations::OperationAccount;
use super::owners::TeamShare;
use super::series::TimeSeries;
use super::traces::TracePair;
use crate::compare::attribute::Cause;
use crate::compare::structure::Kind;
use crate::diagnostics::{SetAside, SourceReport};
use crate::normalize::Repairs;
use crate::rank::Verdict;
use crate::window::{Onset, Timeline, WindowChoice};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the document; raised when a key changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// What changed between two windows, and what is to blame.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Analysis {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The answer in a word.
    pub verdict: Verdict,
    /// The answer in a sentence.
    pub summary: String,
    /// Share of bootstrap replicates that agree on the first service; 0 where there is none.
    pub confidence: f64,
    /// The windows compared.
    pub windows: Windows,
    /// Requests over time.
    #[serde(default)]
    pub time: Vec<TimeSeries>,
    /// How much worse requests got.
    pub degradation: Degradation,
    /// Where the change of the mean latency went, exactly.
    pub decomposition: Decomposition,
    /// The same of typical requests: what a trace spends on a call of a path counts at most as much as three of four calls of
    /// either window do.
    pub typical: Decomposition,
    /// The same of the slowest 5 % of each entry operation's requests.
    pub tail: Decomposition,
    /// The ways between services that take longer, those that changed most first: raw figures, and whom they were given to.
    pub network: Vec<EdgeAccount>,
    /// Entry operations, those that changed most first.
    pub entries: Vec<Entry>,
    /// Services, ranked; empty if only the traffic mix moved. Without a regression they are candidates, none certain enough to accuse.
    pub services: Vec<RankedService>,
    /// Operations and edges, ranked; empty unless there is a regression.
    pub suspects: Vec<Suspect>,
    /// Every service as a whole, operation and edge in both windows, those with the largest part first.
    #[serde(default)]
    pub operations: Vec<OperationAccount>,
    /// Operations and edges left out because others have a larger part.
    #[serde(default)]
    pub n_operations_left_out: u64,
    /// The change by team, the largest part first; empty if no owner is known.
    #[serde(default)]
    pub teams: Vec<TeamShare>,
    /// Changes that somebody made near the onset, by time, and whether the data support that they brought it.
    #[serde(default)]
    pub changes: Vec<ChangeAccount>,
    /// Changes that somebody wrote down and that are not listed, since they lie more than 15 minutes before or after the data.
    #[serde(default)]
    pub n_changes_outside: u64,
    /// How durations of entries and suspects are spread in both windows.
    #[serde(default)]
    pub distributions: Vec<Distribution>,
    /// Slow requests of the first suspects beside ordinary ones, span by span.
    #[serde(default)]
    pub traces: Vec<TracePair>,
    /// Versions, hosts, pods and the like that only one window has, whether or not they carry the change.
    pub new_values: Vec<ValueChange>,
    /// Where failures began, what passed them on, what survived them.
    pub errors: Errors,
    /// What changed in what requests are made of, the dearest first.
    pub structure: Vec<StructureChange>,
    /// Services and operations and the calls between them, in both windows.
    pub graph: crate::topology::GraphDocument,
    /// What was read, set aside, repaired and doubted.
    pub diagnostics: Diagnostics,
}

/// The windows compared.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Windows {
    /// When all was well.
    pub baseline: Window,
    /// What is to be explained.
    pub regression: Window,
    /// Who chose them.
    pub choice: WindowChoice,
    /// The choice in a sentence.
    pub description: String,
    /// What the question is narrowed to, as it was asked; empty if it is about all requests.
    pub only: Vec<String>,
    /// Changes for the worse that were found, by time; looked for unless both windows, or a data set for each, were
    /// given.
    pub onsets: Vec<Onset>,
    /// Requests, latency and errors over all the data that the windows were chosen in; absent if all requests start at
    /// one moment.
    pub timeline: Option<Timeline>,
    /// What makes them doubtful.
    pub warnings: Vec<String>,
}

/// One window and what is in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// Start, RFC 3339.
    pub start: String,
    /// End, not in the window, RFC 3339.
    pub end: String,
    /// Start, nanoseconds since the Unix epoch.
    pub start_unix_ns: i64,
    /// End, nanoseconds since the Unix epoch.
    pub end_unix_ns: i64,
    /// Traces that start in it.
    pub n_traces: u64,
    /// Their spans.
    pub n_spans: u64,
    /// Requests in them by sampling weight, of which a trace may hold several; fragments where [`Degradation::of`] says so.
    pub n_requests: f64,
    /// Share of the calls between services of which one end left no span.
    #[serde(default)]
    pub missing_ratio: f64,
}

/// A value in both windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pair {
    /// In the baseline.
    pub baseline: f64,
    /// In the regression.
    pub regression: f64,
}

impl Pair {
    /// Both values, each only where there was any of the `n` that it is a figure of.
    #[must_use]
    pub fn where_any(self, n: Self) -> [Option<f64>; 2] {
        [(self.baseline, n.baseline), (self.regression, n.regression)].map(|(value, n)| (n > 0.0).then_some(value))
    }
}

/// How much worse requests got.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Degradation {
    /// `requests`, or `fragments` if the data hold no root and latencies are those of fragments.
    pub of: String,
    /// Mean latency.
    pub mean_ms: Pair,
    /// Median latency.
    pub p50_ms: Pair,
    /// 95th percentile of latency.
    pub p95_ms: Pair,
    /// 99th percentile of latency.
    pub p99_ms: Pair,
    /// Change of the mean.
    pub change_ms: f64,
    /// The same as percent of the baseline mean.
    pub change_percent: f64,
    /// Interval of the change.
    pub interval_ms: [f64; 2],
    /// Change of the mean apart from the traffic mix.
    pub adjusted_change_ms: f64,
    /// Interval of `adjusted_change_ms`.
    pub adjusted_interval_ms: [f64; 2],
    /// Change of typical requests apart from the traffic mix.
    pub typical_change_ms: f64,
    /// Its interval.
    pub typical_interval_ms: [f64; 2],
    /// Change of the slowest 5 % of each entry's requests.
    pub tail_change_ms: f64,
    /// Its interval.
    pub tail_interval_ms: [f64; 2],
    /// Chances of changes as large where there is none, apart from the traffic mix; of errors with it.
    pub p: EndToEndChances,
    /// Chances of changes as large between two runs of one system, by which the gate goes.
    #[serde(default)]
    pub between_runs: ChancesBetweenRuns,
    /// Smallest change worth reporting.
    pub floor_ms: f64,
    /// Share of requests that fail.
    pub error_ratio: Pair,
    /// Its change.
    pub error_ratio_change: f64,
    /// Interval of its change.
    pub error_ratio_interval: [f64; 2],
    /// The part of its change that comes from other requests being made.
    pub error_ratio_mix: f64,
    /// Its change apart from the traffic mix.
    #[serde(default)]
    pub adjusted_error_ratio_change: f64,
    /// Interval of `adjusted_error_ratio_change`.
    #[serde(default)]
    pub adjusted_error_ratio_interval: [f64; 2],
    /// The requests that succeed, where fewer fail than before and that may be why they take longer: then what takes longer must do so among
    /// them, too, and chances of time that is more are the larger of both.
    #[serde(default)]
    pub without_failures: Option<WithoutFailures>,
}

/// Requests that succeed, by their traces.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WithoutFailures {
    /// How many there are.
    pub n_traces: Pair,
    /// Mean latency of their requests.
    pub mean_ms: Pair,
    /// Change of the mean apart from the traffic mix.
    pub adjusted_change_ms: f64,
    /// Interval of `adjusted_change_ms`.
    pub adjusted_interval_ms: [f64; 2],
}

impl Degradation {
    /// The share of requests that fail in each window, as every report tells it: with one digit after the point, two below a percent.
    #[must_use]
    pub fn failing(&self) -> [String; 2] {
        let Pair { baseline, regression } = self.error_ratio;
        [baseline, regression].map(|ratio| match 100.0 * ratio {
            0.0 => "0 %".to_owned(),
            ..0.01 => "<0.01 %".to_owned(),
            value @ ..0.995 => format!("{value:.2} %"),
            // Not all is never told as all.
            99.95..100.0 => ">99.9 %".to_owned(),
            100.0 => "100 %".to_owned(),
            value => format!("{value:.1} %"),
        })
    }
}

/// Chances, two-sided, of end-to-end changes as large as those found where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndToEndChances {
    /// Of the change of the mean.
    pub mean: f64,
    /// Of the change of typical requests; 1 where they were not compared.
    pub typical: f64,
    /// Of the change of the slowest requests; 1 where they were not compared.
    pub tail: f64,
    /// Of the change of the share of requests that fail.
    pub errors: f64,
}

/// Chances, two-sided, of end-to-end changes as large as those found between two runs of a system that is the same: what one run tells of the noise
/// between stretches of time is counted as no better known than its few stretches tell it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChancesBetweenRuns {
    /// Of the change of the mean.
    pub mean: f64,
    /// Of the change of typical requests.
    pub typical: f64,
    /// Of the change of the share of requests that fail, apart from the traffic mix.
    #[serde(default = "nothing")]
    pub errors: f64,
}

fn nothing() -> f64 {
    1.0
}

impl Default for ChancesBetweenRuns {
    /// Of documents that do not tell them: nothing is known.
    fn default() -> Self {
        Self { mean: 1.0, typical: 1.0, errors: 1.0 }
    }
}

/// Where the change of the mean latency went: the rows and the residual sum to the change.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Decomposition {
    /// Mean latency before.
    pub baseline_mean_ms: f64,
    /// Mean latency after.
    pub regression_mean_ms: f64,
    /// Its change.
    pub change_ms: f64,
    /// Rows, the largest first.
    pub rows: Vec<DecompositionRow>,
    /// What the rows leave unexplained: rounding.
    pub residual_ms: f64,
}

/// Why a row of the decomposition is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowCause {
    /// Other requests were made: nobody's fault.
    TrafficMix,
    /// See [`Cause`].
    #[serde(untagged)]
    Of(Cause),
}

/// Whether an interval of a change leaves no change out, so that a share of the change says something.
#[must_use]
pub fn excludes_zero([low, high]: [f64; 2]) -> bool {
    low > 0.0 || high < 0.0
}

/// One row of the decomposition.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DecompositionRow {
    /// How it changed the latency.
    pub cause: RowCause,
    /// Service blamed; absent for the traffic mix.
    pub service: Option<String>,
    /// Operation blamed, if it is one.
    pub operation: Option<String>,
    /// Edge blamed, if it is one.
    pub edge: Option<Edge>,
    /// For `calls`, what is called, under the name of the service that is asked.
    pub callee: Option<Operation>,
    /// Milliseconds per request.
    pub contribution_ms: f64,
    /// As percent of `change_ms` of the decomposition, the traffic mix and all. It says nothing where that change may as well be none or of
    /// the other sign; reports leave it out there.
    pub contribution_percent: f64,
    /// Interval of the contribution.
    pub interval_ms: [f64; 2],
}

/// Service and operation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Operation {
    /// Service.
    pub service: String,
    /// Operation.
    pub operation: String,
}

/// The way between two services.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Edge {
    /// Who asks.
    pub caller: String,
    /// Who answers.
    pub callee: String,
}

/// An entry operation: where requests begin.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Service.
    pub service: String,
    /// Operation.
    pub operation: String,
    /// Requests in each window, by sampling weight.
    pub n_requests: Pair,
    /// Share of all requests.
    pub share: Pair,
    /// Mean latency.
    pub mean_ms: Pair,
    /// 95th percentile of latency.
    pub p95_ms: Pair,
    /// Change of its mean latency.
    pub change_ms: f64,
    /// Interval of the change (Welch's).
    pub change_interval_ms: [f64; 2],
    /// Share of its requests that fail.
    pub error_ratio: Pair,
    /// Interval of its change.
    pub error_ratio_interval: [f64; 2],
    /// Chances of changes of its mean and its failures as large as these where there is none.
    pub p: EndToEndChances,
}

/// Failures by their part.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Errors {
    /// Where failing requests began to fail.
    pub originates: Vec<ErrorPart>,
    /// What passed failures on.
    pub propagates: Vec<ErrorPart>,
    /// What failed in requests that succeeded.
    pub swallowed: Vec<ErrorPart>,
}

/// How failures began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The operation failed by itself.
    Fails,
    /// Calls to it failed, and it left no span of them.
    LeftNoSpan,
    /// Time ran out while others waited for it.
    Timeout,
}

/// An operation's part in failures.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ErrorPart {
    /// Service.
    pub service: String,
    /// Operation; for a service that left no span, the call to it.
    pub operation: String,
    /// How they began; in `originates` only.
    pub kind: Option<ErrorKind>,
    /// Failures per request.
    pub per_request: Pair,
    /// Its change.
    pub change: f64,
    /// Interval of the change; its variance is that between traces.
    pub interval: [f64; 2],
    /// False discovery rate at which the change would be reported, over all parts of all three lists.
    pub q: f64,
    /// Failures, by sampling weight; where calls left no span, shared as those of answered calls are.
    pub n_failures: Pair,
    /// Time limit at which they were given up, where one is known.
    pub limit_ms: Option<f64>,
    /// What the failing spans say of themselves most often.
    pub exception: Option<ExceptionSeen>,
    /// Entry operations whose requests hold these failures, those that changed most first; at most 10.
    pub entries: Vec<EntryFailures>,
}

/// An exception, or what a span gave as its error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExceptionSeen {
    /// Its type: `exception.type`, else `error.type`.
    pub exception: Option<String>,
    /// Its commonest message: `exception.message`, else the status message.
    pub message: Option<String>,
    /// Failing spans with this type.
    pub n_failures: Pair,
}

/// Failures of a part in the requests to one entry operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EntryFailures {
    /// Service of the entry.
    pub service: String,
    /// Operation of the entry.
    pub operation: String,
    /// Failures, by sampling weight.
    pub n_failures: Pair,
    /// The same per request to this entry.
    pub per_request: Pair,
}

/// A change in what requests are made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StructureChange {
    /// What became of a call.
    pub kind: Kind,
    /// Service to look at: the caller, or the callee where it fails, falls silent or takes too long.
    pub service: String,
    /// Who calls; absent for `silent` and `unobserved`, which are about all callers.
    pub caller: Option<Operation>,
    /// What is called, under the name of the service that is asked.
    pub callee: Option<Operation>,
    /// For `early_return` how many more calls of the caller are left out.
    pub n_other_callees: u32,
    /// Calls per visit of the caller. For `silent` and `unobserved` the share of calls that left a span of the callee, for `timeouts`
    /// the share of calls given up, for `lost_parallelism` the share of the calls' time that ran hidden behind other calls.
    pub calls_per_visit: Pair,
    /// Its change.
    pub change: f64,
    /// Interval of the change.
    pub interval: [f64; 2],
    /// False discovery rate at which it is listed.
    pub q: f64,
    /// What it adds to a request on average, milliseconds; negative where it saves time.
    pub contribution_ms: f64,
    /// The same as percent of `adjusted_change_ms`, the change of the mean at unchanged traffic.
    pub contribution_percent: f64,
    /// Requests of the regression, by sampling weight, that differ by it from the baseline's, at least.
    pub requests_affected: f64,
    /// The same as a share of the regression's requests.
    pub share_affected: f64,
    /// For `timeouts` the limit, where one is known.
    pub limit_ms: Option<f64>,
    /// The change in a sentence.
    pub description: String,
}

/// What was read, set aside, repaired and doubted.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Diagnostics {
    /// Spans read: those analysed and those set aside.
    pub n_spans_read: u64,
    /// Spans of traces in either window.
    pub n_spans_analysed: u64,
    /// Spans that took no part, by reason.
    pub set_aside: SetAside,
    /// Records that could not be read as spans.
    pub n_skipped_records: u64,
    /// Traces read.
    pub n_traces: u64,
    /// Traces of the regression that the baseline has, too: the same id, start and end. Only where each has data of its own.
    #[serde(default)]
    pub n_traces_on_both_sides: u64,
    /// What normalisation repaired.
    pub repairs: Repairs,
    /// What limits the answer, in sentences.
    pub warnings: Vec<String>,
    /// A report a file.
    pub sources: Vec<SourceReport>,
}
