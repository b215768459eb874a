//! What an analysis says of a suspect: its contribution, its findings, whom it hurt, the ways to it, and traces to look at.

use super::{Degradation, Edge, Pair, excludes_zero};
use crate::analysis::attributes::{AttributeSearch, Carrier};
use crate::analysis::owners::Owner;
use crate::rank::Channel;
use crate::time::format_signed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A contribution to the change.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Contribution {
    /// Milliseconds per request.
    pub ms: f64,
    /// What of `ms` no request waits for, so that it is no part of the change of their mean: work in the background, and fragments whose
    /// caller is missing.
    #[serde(default)]
    pub background_ms: f64,
    /// `ms` as percent of `adjusted_change_ms`, the change of the mean at unchanged traffic. It says nothing where that change may as well be
    /// none or of the other sign; reports leave it out there.
    pub percent: f64,
    /// Interval of `ms`.
    pub interval_ms: [f64; 2],
    /// Change of the share of requests that fail because of it; failures of work in the background count as well.
    pub error_ratio: f64,
    /// What of `error_ratio` are failures of work in the background, a request: there may be more of them than requests, and no request fails by them.
    #[serde(default)]
    pub background_error_ratio: f64,
    /// Interval of `error_ratio`.
    pub error_ratio_interval: [f64; 2],
}

/// A smaller share of a contribution is not worth words.
const LEAST_SHARE: f64 = 0.05;

impl Contribution {
    /// `background_ms`, if that is worth words.
    #[must_use]
    pub fn told_background_ms(&self) -> Option<f64> {
        (self.background_ms.abs() >= LEAST_SHARE * self.ms.abs() && self.background_ms != 0.0)
            .then_some(self.background_ms)
    }

    /// `error_ratio` without failures of work in the background.
    #[must_use]
    pub fn front_error_ratio(&self) -> f64 {
        self.error_ratio - self.background_error_ratio
    }

    /// `background_error_ratio` in words, if that is worth some: failures, not requests.
    #[must_use]
    pub fn told_background_failures(&self) -> Option<String> {
        let behind = self.background_error_ratio;
        let is_told = behind != 0.0 && behind.abs() >= LEAST_SHARE * self.error_ratio.abs();
        let digits = if behind.abs() < 0.1 { 4 } else { 2 };
        is_told.then(|| format!("{} failures a request", format_signed(behind, digits)))
    }

    /// Whether most of the time is of work in the background.
    #[must_use]
    pub fn is_in_background(&self) -> bool {
        self.background_ms.abs() > 0.5 * self.ms.abs()
    }

    /// Whether most of the failures are of work in the background.
    #[must_use]
    pub fn fails_in_background(&self) -> bool {
        self.background_error_ratio.abs() > 0.5 * self.error_ratio.abs()
    }

    /// `percent`, where it says something: of a change that is told from none, in whose direction the contribution goes, and whose part
    /// it is with all its time. Of what takes time away it would be a share of what got better.
    #[must_use]
    pub fn told_percent(&self, degradation: &Degradation) -> Option<f64> {
        let is_part = self.ms > 0.0 && self.percent > 0.0 && self.told_background_ms().is_none();
        (is_part && excludes_zero(degradation.adjusted_interval_ms)).then_some(self.percent)
    }
}

/// What a service did in one channel.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Channel.
    pub channel: Channel,
    /// Milliseconds per request, or share of requests.
    pub change: f64,
    /// Interval of the change.
    pub interval: [f64; 2],
    /// False discovery rate at which it would be reported.
    pub q: f64,
    /// Whether it is large and certain enough to report.
    pub is_significant: bool,
    /// Its part of the score.
    pub score: f64,
}

/// A service's place.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RankedService {
    /// Place, from 1.
    pub rank: u32,
    /// Service.
    pub service: String,
    /// Whether it is known from its callers' spans only.
    pub is_inferred: bool,
    /// Whom to call, if known.
    #[serde(default)]
    pub owner: Option<Owner>,
    /// Sum over latency (the largest of its three views), errors and missing calls of severity times share.
    pub score: f64,
    /// Whether anything of it is large and certain enough to report.
    pub is_significant: bool,
    /// Share of bootstrap replicates in which it comes first.
    pub stability: f64,
    /// What it adds.
    pub contribution: Contribution,
    /// The same as `contribution.ms`.
    pub contribution_ms: f64,
    /// What happened to it, in a word or two, such as `slower`.
    pub kind: String,
    /// Channels in which it got worse.
    pub findings: Vec<Finding>,
    /// Its operations and edges with the largest part, by their place in `suspects` or by name.
    pub operations: Vec<String>,
}

/// An operation's or edge's place.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Suspect {
    /// Place among the suspects, from 1.
    pub rank: u32,
    /// Place of its service among the services: the number that reports give it and that `--explain` takes.
    #[serde(default)]
    pub service_rank: u32,
    /// Service blamed.
    pub service: String,
    /// Operation blamed, if it is one.
    pub operation: Option<String>,
    /// Edge blamed, if it is one.
    pub edge: Option<Edge>,
    /// Whom to call, if known.
    #[serde(default)]
    pub owner: Option<Owner>,
    /// Its share of its service's score.
    pub score: f64,
    /// What it is accused for: of the channels in which it got worse the one that weighs most. For `tail_latency` paths and impact are about
    /// the slowest 5 % of each entry's requests.
    #[serde(default)]
    pub channel: Channel,
    /// What it adds to the mean of all requests.
    pub contribution: Contribution,
    /// The same as `contribution.ms`.
    pub contribution_ms: f64,
    /// What happened to it, in a word or two.
    pub kind: String,
    /// Why it is suspected, in a sentence.
    pub reason: String,
    /// Mean time blamed on it per call that a request waits for.
    pub per_call_ms: Pair,
    /// Calls of it per request, whether or not a request waits for them.
    pub calls_per_request: Pair,
    /// The ways from an entry operation to it that carry most of its contribution.
    pub paths: Vec<PropagationPath>,
    /// Traces of the regression that show it.
    pub exemplars: Vec<Exemplar>,
    /// Traces of the baseline to set beside them, each once: those of `exemplars[].beside`.
    pub baseline_trace_ids: Vec<String>,
    /// Attribute values whose calls carry its contribution, the most telling first; empty if it is spread evenly.
    pub attributes: Vec<Carrier>,
    /// How many attributes and values were tried; none for suspects far down the list.
    pub attribute_search: Option<AttributeSearch>,
    /// Which entry operations it hurt, and how many of their requests.
    pub impact: Impact,
    /// What in the data speaks against it, in sentences; empty if nothing does.
    pub overturned_by: Vec<String>,
}

/// A way from an entry operation to a suspect.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PropagationPath {
    /// From the entry down to the suspect; a caller and a callee of one name are one hop.
    pub hops: Vec<Hop>,
    /// What the suspect adds on this way, milliseconds per request that its channel is about.
    pub contribution_ms: f64,
    /// The same for a request to this entry operation.
    pub contribution_ms_per_entry_request: f64,
}

/// One step of the way to a suspect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hop {
    /// Service.
    pub service: String,
    /// Operation.
    pub operation: String,
    /// Mean duration of a call on this way, with all that it waits for.
    pub duration_ms: Pair,
    /// Calls on this way per request.
    pub calls_per_request: Pair,
    /// Calls on this way in the regression that show the suspect; the same traces at every hop.
    pub exemplars: Vec<SpanExemplar>,
}

/// A span that shows a suspect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SpanExemplar {
    /// Trace id as the source has it.
    pub trace_id: String,
    /// Span id as the source has it.
    pub span_id: String,
    /// How long the span took.
    pub duration_ms: f64,
}

/// Whom a suspect hurt, and how much.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Impact {
    /// Requests of the regression that pass the suspect, by sampling weight.
    pub n_requests: f64,
    /// Those that it hurt: see [`EntryImpact::n_requests_hurt`].
    pub n_requests_hurt: f64,
    /// Those of the hurt ones that failed: see [`EntryImpact::n_requests_failed`].
    pub n_requests_failed: f64,
    /// What it added to all requests of the regression together, in seconds; of a suspect of the tail (`channel` is `tail_latency`) what it
    /// added to the slowest 5 % of each entry's requests together.
    pub added_seconds: f64,
    /// By entry operation, those with most requests hurt first.
    pub entries: Vec<EntryImpact>,
}

impl Impact {
    /// To which requests the added seconds of a suspect in `channel` came, where that is not to all.
    #[must_use]
    pub fn added_to(channel: Channel) -> &'static str {
        if channel == Channel::TailLatency { " to the slowest 5 %" } else { "" }
    }
}

/// What a suspect did to the requests of one entry operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EntryImpact {
    /// Service.
    pub service: String,
    /// Operation.
    pub operation: String,
    /// Whether it begins fragments or work that nobody waits for, rather than requests.
    pub is_background: bool,
    /// Requests of the regression to this entry, by sampling weight.
    pub n_requests_of_entry: f64,
    /// Those of them that pass the suspect.
    pub n_requests: f64,
    /// Those that it hurt: `n_requests_failed`, and how many more of the others than by the baseline's share spend more time on it than
    /// 95 % of the baseline's requests of this entry that pass it (where its calls are missing: less than 5 % of them).
    pub n_requests_hurt: f64,
    /// How many more of those that pass the suspect than by the baseline's share fail beginning with it; all of them count as hurt.
    pub n_requests_failed: f64,
    /// What the suspect adds to a request of this entry, milliseconds; over all entries and their shares it sums to the contribution. Of a
    /// suspect of the tail it is to the slowest 5 % of them, and sums to that of the tail.
    pub contribution_ms: f64,
    /// The same times those requests in the regression, in seconds.
    pub added_seconds: f64,
}

/// A trace that shows a suspect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exemplar {
    /// Trace id as the source has it.
    pub trace_id: String,
    /// How long its first request took.
    pub duration_ms: f64,
    /// How much of it is the suspect's.
    pub suspect_ms: f64,
    /// The baseline's trace most like it, if its entry was called there.
    pub beside: Option<Beside>,
}

/// The trace of the baseline that is most like an exemplar: of its entry, with the fewest calls more or less, then nearest to
/// the median duration there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Beside {
    /// Trace id as the source has it.
    pub trace_id: String,
    /// How long its first request took.
    pub duration_ms: f64,
    /// Calls that one of the two makes and the other does not, by call path.
    pub n_calls_apart: u64,
}
