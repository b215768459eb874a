//! Which calls a suspect's contribution comes from: those of one host, version, region, tenant or request parameter.
//!
//! Enter a comparison and the suspects to look into; leave for each the attribute values that *carry* its contribution: whose calls
//! have a larger part of it than their number explains. `terms` are the effects that make up a contribution, `units` the calls that they
//! are means of; `split` gives every call its part, so that the parts sum to the contribution, adds them up by value and says how
//! certain it is that they are not spread evenly; `search` keeps the values that explain most with the fewest calls, alone or in
//! pairs. [`presence`] lists what is new or gone whether it carries anything or not,
//! [`rollouts`] the versions that came.
//!
//! With the mean `x` of a measure over the calls of a path, `pi` the share of calls that have a value, and 0 and 1 for baseline and
//! regression, the change of the mean splits by mix and rate into one row a value that sum to it exactly:
//!
//! ```text
//! x1 - x0 = sum over values v of  pi1_v (x1_v - x0) - pi0_v (x0_v - x0)
//! ```
//!
//! That is the Shapley split of each `pi_v x_v`, its mix part measured against the baseline's mean: calls that move between values
//! of equal speed change nothing, and a value that did not exist before answers for all that its calls take beyond
//! what calls took. Even spread would give a value `pi1_v (x1 - x0)`; what it has beyond that is tested.

mod calls;
mod columns;
pub mod kept;
pub mod presence;
pub mod rollouts;
mod search;
mod split;
mod terms;
mod units;

use crate::compare::paths::CostTable;
use crate::compare::{Comparison, Selection};
use crate::normalize::{Forest, Need, Stretch};
use crate::span::{AttributeScope, SpanFrame};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use columns::{NO_CODE, Value};
pub use search::drill;

/// What is looked into.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The spans and their attributes.
    pub frame: &'a SpanFrame,
    /// The same, linked.
    pub forest: &'a Forest,
    /// What each trace spends where.
    pub table: &'a CostTable,
    /// The traces of both windows.
    pub selection: &'a Selection,
    /// What changed between them.
    pub comparison: &'a Comparison,
    /// Values of the baseline's spans, counted, if the spans themselves were not kept.
    pub kept: Option<&'a presence::Kept>,
    /// Its calls with their attributes.
    pub beside: Option<&'a kept::Beside>,
}

impl Input<'_> {
    /// [`Forest::each_stretch`], but that traces whose spans were not kept come first, as a stretch of calls.
    fn each_stretch(&self, traces: &[u32], need: Need, mut visit: impl FnMut(&Stretch<'_>, &[u32])) {
        if let Some(beside) = self.beside {
            let kept: Vec<u32> =
                traces.iter().copied().filter(|&trace| self.forest.is_summed(trace as usize)).collect();
            if !kept.is_empty() {
                visit(&beside.stretch(), &kept);
            }
        }
        self.forest.each_stretch(traces, need, visit);
    }

    /// Where the calls of a trace are whose spans were not kept.
    fn beside_of(&self, trace: u32) -> Option<&kept::Beside> {
        self.beside.filter(|_| self.forest.is_summed(trace as usize))
    }
}

/// Which of a suspect's contributions is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// What it adds to the mean latency, nanoseconds per request.
    Latency,
    /// What it adds to the share of failing requests.
    Failures,
    /// The latency of calls that it makes no longer, nanoseconds per request, negative.
    MissingCalls,
}

/// A suspect to look into.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Index in [`crate::compare::attribute::Attribution::subjects`].
    pub subject: u32,
    /// What of it.
    pub measure: Measure,
}

/// Whose span has an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// The suspect's own span, or one around it in its service.
    Suspect,
    /// The span that calls the suspect.
    Caller,
    /// For a suspect that is the way between two services, the span that answers.
    Callee,
    /// The span with which the request begins.
    Entry,
}

impl Of {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Suspect, Self::Caller, Self::Callee, Self::Entry];
}

/// An attribute and one of its values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    /// Key.
    pub key: String,
    /// Value as text; a range such as `12 to 80` for a number that has many.
    pub value: String,
    /// Whose span has it.
    pub of: Of,
    /// Whether it is an attribute of the span or of its resource.
    pub scope: AttributeScope,
}

/// Calls that carry a contribution, and how much of it.
#[derive(Clone, Debug)]
pub struct Carrier {
    /// What the calls have in common: one value, or two.
    pub conditions: Vec<Condition>,
    /// Values that the same calls have, all but one in fifty; the same calls of the regression where the baseline has none with one of them.
    pub also: Vec<Condition>,
    /// Their part of the contribution, in its unit.
    pub contribution: f64,
    /// The same as a share of the contribution; above 1 where other calls took some back.
    pub share: f64,
    /// 95 % interval of `share`.
    pub interval: [f64; 2],
    /// Their share of the suspect's calls in both windows.
    pub share_of_calls: [f64; 2],
    /// Their number in both windows, whether or not a request waits for them; a call with its answer is one.
    pub n_calls: [u64; 2],
    /// False discovery rate of the claim that they have more than their number explains; none where all calls have the value.
    pub q: Option<f64>,
    /// Whether no call of the baseline has the value although it would be expected to.
    pub only_in_regression: bool,
}

/// What was found about one suspect.
#[derive(Clone, Debug, Default)]
pub struct Drill {
    /// What carries the contribution, the most telling first; empty if no value tells calls apart.
    pub carriers: Vec<Carrier>,
    /// Attributes tried.
    pub n_keys: usize,
    /// Values tried: what the false discovery rates are corrected for.
    pub n_values: usize,
    /// Versions of the suspect's own spans among them, and whether calls with each carry more than their number explains.
    pub versions: Vec<(String, bool)>,
}
