//! The full account of one suspect as a document.
//!
//! As in [`super::document`], times are milliseconds, contributions milliseconds per request, intervals 95 %. Whatever a reader needs to
//! repeat the arithmetic with a calculator is in it.

use super::document::{Contribution, Edge, Errors, Finding, Impact, Operation, Pair, Suspect};
use crate::compare::attribute::Cause;
use crate::compare::edges::Whose;
use crate::rank::{Channel, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the document; raised when a key changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything that is known of one service, operation or edge, accused or not.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What it is about.
    pub about: About,
    /// The analysis' answer in a word.
    pub verdict: Verdict,
    /// The account in a sentence.
    pub summary: String,
    /// Whether any suspect of the analysis is part of it.
    pub is_accused: bool,
    /// Place of its service among the services, from 1; absent if that got worse in no channel.
    pub service_rank: Option<u32>,
    /// Why it is accused or why not, a sentence a channel.
    pub standing: Vec<String>,
    /// What it adds.
    pub contribution: Contribution,
    /// How its service did in every channel in which it was tested or got better.
    pub channels: Vec<ChannelAccount>,
    /// The contribution by cause; sums to `contribution.ms`.
    pub causes: Vec<CauseAccount>,
    /// Requests and means that the arithmetic starts from.
    pub totals: Totals,
    /// Every call path on which it has effects, those with the largest first; their contributions sum to `contribution.ms`.
    pub paths: Vec<PathAccount>,
    /// The edges of the service, or the edge, and to whom their gaps were given.
    pub edges: Vec<EdgeAccount>,
    /// Its part in failures.
    pub errors: Errors,
    /// Whom it hurt, by its mean latency and by failures that began with it.
    pub impact: Impact,
    /// The suspects of the analysis that are part of it, with all their evidence.
    pub suspects: Vec<Suspect>,
}

/// What an account is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct About {
    /// The service; for an edge the one that is asked.
    pub service: String,
    /// The operation, if it is about one.
    pub operation: Option<String>,
    /// The edge, if it is about one.
    pub edge: Option<Edge>,
    /// Whether the service is known from its callers' spans only.
    pub is_inferred: bool,
}

/// How a service did in one channel.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ChannelAccount {
    /// Channel.
    pub channel: Channel,
    /// Milliseconds per request, or share of requests; above zero is worse.
    pub change: f64,
    /// Interval of the change.
    pub interval: [f64; 2],
    /// False discovery rate at which it would be reported; absent where the service got no worse and was not ranked.
    pub q: Option<f64>,
    /// Smallest change worth reporting.
    pub floor: f64,
    /// Whether it is large and certain enough to accuse the service.
    pub is_significant: bool,
}

/// What one cause adds.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CauseAccount {
    /// How; absent for what fragments and work that nobody waits for add by any cause.
    pub cause: Option<Cause>,
    /// For `calls`, what is called, under the name of the service that is asked.
    pub callee: Option<Operation>,
    /// Milliseconds per request.
    pub contribution_ms: f64,
    /// Interval; absent where it is not known apart.
    pub interval_ms: Option<[f64; 2]>,
}

/// What the arithmetic starts from.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Requests in each window, by sampling weight.
    pub n_requests: Pair,
    /// Mean latency.
    pub mean_ms: Pair,
    /// Fragments and work that nobody waits for, per request.
    pub background_per_request: f64,
}

/// One call path, from the entry operation down to where effects are.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PathAccount {
    /// Every step, the entry first.
    pub steps: Vec<Step>,
    /// Whether it lies in a fragment or in work that nobody waits for.
    pub is_background: bool,
    /// Calls, by sampling weight, whether or not anybody waited for them.
    pub n_calls: Pair,
    /// Calls that were on the blamed path.
    pub n_visits: Pair,
    /// Mean duration of a call.
    pub duration_ms: Pair,
    /// Time a visit blamed on the span itself; for a client span the gap after its answer.
    pub self_ms: Pair,
    /// For a client span, the gap a visit before its answer begins.
    pub before_ms: Pair,
    /// Time a visit blamed on a peer without spans, or on waiting before a retry.
    pub wait_ms: Pair,
    /// Time a visit blamed on it and all below it.
    pub inclusive_ms: Pair,
    /// Failing requests that began to fail here.
    pub n_failures: Pair,
    /// The products that are the suspect's; they sum to `contribution_ms`.
    pub terms: Vec<Term>,
    /// What the suspect adds on this path.
    pub contribution_ms: f64,
}

/// One step of a path. A window without visits takes the other's values.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Service.
    pub service: String,
    /// Operation.
    pub operation: String,
    /// The service that it calls, if it calls one.
    pub peer: Option<String>,
    /// Whether it repeats a failed try.
    pub is_retry: bool,
    /// For the entry its share of all requests, below it 0.
    pub share: Pair,
    /// Below the entry calls per visit of the step above, kappa; for the entry 0.
    pub calls_per_visit: Pair,
    /// Share of those calls that are on the blamed path, q.
    pub on_path_share: Pair,
    /// Visits behind one request, both windows together: for the entry the mean of its shares, below it the visits of the step above times
    /// (mean kappa times mean q, plus a twelfth of the product of their changes).
    pub visits_per_request: f64,
}

/// What a term is a product of besides visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Factor {
    /// Time of the span itself, or the gap after its answer; a visit.
    SelfTime,
    /// The gap before its answer; a visit.
    BeforeTime,
    /// Waiting for a peer without spans or before a retry; a visit.
    WaitTime,
    /// Calls per visit of the step above.
    Calls,
    /// Share of calls that are on the blamed path.
    OnPath,
}

/// One product: `visits * (values.regression - values.baseline) * worth_ms * rate * part` is `contribution_ms`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Term {
    /// How it changed the latency.
    pub cause: Cause,
    /// What changed.
    pub factor: Factor,
    /// Visits behind one request: of this step for times, of the step above for calls.
    pub visits: f64,
    /// What changed, in both windows: milliseconds, calls or a share.
    pub values: Pair,
    /// What one more of it is worth; 1 for milliseconds. For calls it is mean q times mean inclusive time, for the share on the blamed path
    /// mean kappa times mean inclusive time, each plus a twelfth of the product of the changes.
    pub worth_ms: f64,
    /// Background requests per request for paths in the background, otherwise 1.
    pub rate: f64,
    /// How much of it is the suspect's: less than 1 where calls that left no span of their callee are told by those that did.
    pub part: f64,
    /// Milliseconds per request.
    pub contribution_ms: f64,
}

/// The way between two services and to whom its time was given.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EdgeAccount {
    /// The two.
    pub edge: Edge,
    /// Calls on the blamed path.
    pub n_visits: Pair,
    /// Gap a call before the answer begins: the request is sent, travels, and waits to be taken in.
    pub before_ms: Pair,
    /// Gap a call after the answer has ended.
    pub after_ms: Pair,
    /// Wait a call where the callee left no span.
    pub wait_ms: Pair,
    /// Who is blamed for each of the three parts, and why.
    pub blamed: Vec<EdgePart>,
}

/// Whom a part of an edge's time was given to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EdgePart {
    /// `before`, `after` or `wait`.
    pub part: String,
    /// Change a call.
    pub change_ms: f64,
    /// The same with wild calls cut to the usual, which the decision goes by.
    pub typical_change_ms: f64,
    /// Whose the rise is.
    pub whose: Whose,
    /// Service blamed, for the larger share if both are.
    pub service: String,
    /// Share that the caller is blamed for.
    pub caller_share: f64,
    /// How well the caller explains its edges' changes of this part: milliseconds a call over its edges that rose, times their share.
    pub caller_worth_ms: f64,
    /// The same of the callee.
    pub callee_worth_ms: f64,
    /// Why, in a sentence.
    pub reason: String,
}

impl ChannelAccount {
    pub(super) fn of(finding: &Finding, floor: f64) -> Self {
        Self {
            channel: finding.channel,
            change: finding.change,
            interval: finding.interval,
            q: Some(finding.q),
            floor,
            is_significant: finding.is_significant,
        }
    }
}
