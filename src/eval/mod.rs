//! How often the analysis is right: labelled incidents in, accuracy by set and kind of fault out.
//!
//! A case is a folder with spans and a `case.json`, the [`Label`]: what was broken, when, and between which windows it shows. [`CaseResult::score`]
//! analyses one case and scores the ranking, [`report`] sums the scores. Beside the analysis stand rules that need no thought
//! ([`naive`]): whoever changes the engine sees at once whether it earns its keep.
//!
//! ```text
//! CASES_DIR/<set>/<case>/spans.parquet      spans in any format that `ingest` reads: a file `spans.*` or a folder `spans`
//! CASES_DIR/<set>/<case>/case.json          {"fault_type": "cpu", "root_cause_services": ["cart"], "baseline": [0, 9], ...}
//! ```
//!
//! Accuracy at `k` is the share of a case's culprits among the first `k` places, divided by the most that could be there: with
//! `R` the culprits, `|first k and R| / min(k, |R|)`. `Avg@5` is the mean of the first five, `MRR` that of the reciprocal place of
//! the first culprit. These are the definitions of the papers that peers are measured by.

mod contribution;
pub mod naive;
mod scores;

pub use contribution::{Contributions, Stated};
pub use scores::{Calibration, Group, Report, SCHEMA_VERSION, Scores, report};

use crate::analysis::{Analysis, Prepared, RankedService, Suspect};
use crate::compare::Selection;
use crate::rank::Verdict;
use crate::simulate::Truth;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is known of a case: `case.json`. Keys not named here are ignored.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Label {
    /// Name of the set; the folder's name if it is empty.
    pub dataset: String,
    /// Name of the case; the folder's name if it is empty.
    pub case_id: String,
    /// System that the spans are from.
    pub system: String,
    /// Kind of fault; `none` for a control.
    pub fault_type: String,
    /// Services at fault; empty for a control, in which nothing was broken.
    pub root_cause_services: Vec<String>,
    /// Operations at fault, if the label is that exact; names as the spans have them.
    pub root_cause_operations: Vec<String>,
    /// When the fault began, nanoseconds since the Unix epoch.
    pub inject_time_unix_nano: Option<i64>,
    /// When all was well: start and end, the end not in it, nanoseconds since the Unix epoch; found from the data if absent.
    pub baseline: Option<[i64; 2]>,
    /// When the fault showed, in the same form; found from the data if absent.
    pub regression: Option<[i64; 2]>,
    /// `A`, or `B` for a case with a caveat.
    pub quality: String,
    /// Anything worth knowing.
    pub notes: String,
    /// What each cause truly added, if it is known, as of a simulation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truth: Option<Truth>,
}

impl Label {
    /// Whether nothing was broken.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.root_cause_services.is_empty()
    }

    /// The labelled windows in the words of the command line.
    #[must_use]
    pub fn windows(&self) -> crate::window::Options {
        let text = |window: Option<[i64; 2]>| window.map(|[start, end]| format!("{start}..{end}"));
        crate::window::Options { baseline: text(self.baseline), regression: text(self.regression) }
    }
}

/// A place in a ranking and why.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// Service.
    pub service: String,
    /// What happened to it.
    pub kind: String,
    /// Milliseconds per request that it adds.
    pub contribution_ms: f64,
    /// Why its first suspect is one; empty where nothing of it is certain.
    pub reason: String,
}

/// One case, analysed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CaseResult {
    /// Name of the set.
    pub set: String,
    /// Name of the case.
    pub case: String,
    /// Kind of fault.
    pub fault_type: String,
    /// Quality of the label.
    pub quality: String,
    /// Services at fault.
    pub culprits: Vec<String>,
    /// Operations at fault, if labelled.
    pub culprit_operations: Vec<String>,
    /// Verdict; absent if the analysis failed.
    pub verdict: Option<Verdict>,
    /// Stated confidence in the first place.
    pub confidence: f64,
    /// Services, best first.
    pub ranking: Vec<String>,
    /// Place of the first culprit, from 1; absent if it is not ranked.
    pub place: Option<usize>,
    /// Place of the first culprit operation among the suspects, from 1.
    pub operation_place: Option<usize>,
    /// Operations of the suspects, best first.
    pub operations: Vec<String>,
    /// The first three places and why.
    pub first: Vec<Place>,
    /// What the analysis says of the culprit that is not first.
    pub culprit: Option<Place>,
    /// What the decomposition leaves unexplained, milliseconds.
    pub residual_ms: f64,
    /// Rankings of the rules of [`naive`].
    pub naive: BTreeMap<String, Vec<String>>,
    /// Number of services that could be named, for the random ranking.
    pub n_services: usize,
    /// Spans read.
    pub n_spans: u64,
    /// Wall-clock seconds of reading and analysis.
    pub seconds: f64,
    /// What each service at fault is said to add beside what it truly adds, if the label says.
    #[serde(default)]
    pub contributions: Vec<Stated>,
    /// Why there is no result.
    pub error: Option<String>,
}

impl CaseResult {
    /// A case of which nothing is known but its label.
    #[must_use]
    pub fn new(set: &str, case: &str, label: &Label) -> Self {
        let named = |name: &str, folder: &str| if name.is_empty() { folder } else { name }.to_owned();
        Self {
            set: set.to_owned(),
            case: named(&label.case_id, case),
            fault_type: named(&label.fault_type, "unknown"),
            quality: label.quality.clone(),
            culprits: label.root_cause_services.clone(),
            culprit_operations: label.root_cause_operations.clone(),
            verdict: None,
            confidence: 0.0,
            ranking: Vec::new(),
            place: None,
            operation_place: None,
            operations: Vec::new(),
            first: Vec::new(),
            culprit: None,
            residual_ms: 0.0,
            naive: BTreeMap::new(),
            n_services: 0,
            n_spans: 0,
            seconds: 0.0,
            contributions: Vec::new(),
            error: None,
        }
    }

    /// Whether nothing was broken.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.culprits.is_empty()
    }

    /// Fills in what the analysis found.
    pub fn score(&mut self, label: &Label, prepared: &Prepared, selection: &Selection, analysis: &Analysis) {
        self.contributions = label.truth.as_ref().map_or_else(Vec::new, |truth| contribution::stated(truth, analysis));
        let place = |ranked: &RankedService| Place {
            service: ranked.service.clone(),
            kind: ranked.kind.clone(),
            contribution_ms: ranked.contribution.ms,
            reason: reason(&ranked.service, &analysis.suspects),
        };
        self.verdict = Some(analysis.verdict);
        self.confidence = analysis.confidence;
        self.ranking = analysis.services.iter().map(|ranked| ranked.service.clone()).collect();
        self.place = first_place(&self.ranking, &self.culprits);
        self.operations = analysis.suspects.iter().filter_map(|suspect| suspect.operation.clone()).collect();
        self.operations.dedup();
        self.operation_place = first_place(&self.operations, &self.culprit_operations);
        self.first = analysis.services.iter().take(3).map(place).collect();
        self.culprit = analysis.services.iter().find(|ranked| self.culprits.contains(&ranked.service)).map(place);
        self.residual_ms = analysis.decomposition.residual_ms;
        self.n_services = prepared.forest.services.len();
        self.n_spans = prepared.forest.n_spans() as u64;
        if !self.is_control() {
            self.naive = naive::rankings(&prepared.forest, selection);
        }
    }
}

fn reason(service: &str, suspects: &[Suspect]) -> String {
    suspects
        .iter()
        .find(|suspect| suspect.service == service)
        .map_or_else(String::new, |suspect| suspect.reason.clone())
}

/// Place, from 1, of the first of `wanted`.
fn first_place(ranking: &[String], wanted: &[String]) -> Option<usize> {
    ranking.iter().position(|name| wanted.contains(name)).map(|index| index + 1)
}
