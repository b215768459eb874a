use super::CaseResult;
use super::contribution::{self, Contributions};
use super::naive::{INCLUSIVE_P95, SELF_TIME};
use crate::rank::Verdict;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the document; raised when a key changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;
/// Name of the analysis among the methods.
const SUSPECT: &str = "suspect";
/// Name of the ranking by lot, whose scores are expectations.
const RANDOM: &str = "random";
/// Lower ends of the classes of stated confidence.
const CONFIDENCE: [f64; 5] = [0.0, 0.5, 0.8, 0.95, 0.999];

/// Mean scores of a ranking over some incidents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scores {
    /// Share of culprits found in the first place.
    pub ac_1: f64,
    /// In the first three.
    pub ac_3: f64,
    /// In the first five.
    pub ac_5: f64,
    /// Mean of the first five.
    pub avg_5: f64,
    /// Mean reciprocal place of the first culprit.
    pub mrr: f64,
}

/// Cases of one set and kind of fault, or all.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// Set; empty for all.
    pub set: String,
    /// Kind of fault; empty for all.
    pub fault_type: String,
    /// Cases.
    pub n_cases: usize,
    /// Cases in which nothing was broken.
    pub n_controls: usize,
    /// Controls called a regression.
    pub n_false_alarms: usize,
    /// Scores of the analysis and of each naive rule over the incidents, by services.
    pub scores: BTreeMap<String, Scores>,
    /// Scores by operations over the incidents whose label names one.
    pub operations: Option<Scores>,
    /// Incidents whose label names an operation.
    pub n_with_operation: usize,
    /// Cases by verdict; `failed` where there is none.
    pub verdicts: BTreeMap<String, usize>,
    /// Incidents of quality A, and those of them called a regression.
    pub n_quality_a: usize,
    /// See `n_quality_a`.
    pub n_quality_a_regression: usize,
    /// How far stated contributions are from the truth, where labels say it.
    #[serde(default)]
    pub contributions: Option<Contributions>,
    /// Mean seconds a case.
    pub seconds_per_case: f64,
}

/// First places by stated confidence.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    /// Least confidence of the class.
    pub from: f64,
    /// Largest confidence of the class.
    pub to: f64,
    /// Incidents in it that were called a regression.
    pub n_cases: usize,
    /// Mean stated confidence.
    pub mean_confidence: f64,
    /// Share of them whose first place is a culprit.
    pub share_right: f64,
}

/// Accuracy over many cases.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Version of this document.
    pub schema_version: u32,
    /// By set and kind of fault.
    pub groups: Vec<Group>,
    /// Over all cases.
    pub overall: Group,
    /// Mean over the groups of incidents, so that large groups weigh no more than small ones.
    pub mean_over_groups: BTreeMap<String, Scores>,
    /// First places by stated confidence.
    pub calibration: Vec<Calibration>,
    /// Largest residual of a decomposition, milliseconds.
    pub largest_residual_ms: f64,
    /// Spans of all cases.
    pub n_spans: u64,
    /// Every case; the misses are those whose `place` is not 1.
    pub cases: Vec<CaseResult>,
}

impl Scores {
    /// Scores of one ranking.
    #[must_use]
    pub fn of(ranking: &[String], culprits: &[String]) -> Self {
        let accuracy = |k: usize| {
            let found = ranking.iter().take(k).filter(|name| culprits.contains(name)).count();
            found as f64 / k.min(culprits.len()).max(1) as f64
        };
        let place = super::first_place(ranking, culprits);
        Self::from_accuracy(accuracy, place.map_or(0.0, |place| 1.0 / place as f64))
    }

    /// What to expect of `n_services` in an order drawn by lot.
    #[must_use]
    pub fn by_lot(n_services: usize, n_culprits: usize) -> Self {
        let (n, r) = (n_services.max(n_culprits).max(1), n_culprits);
        let accuracy = |k: usize| {
            let k = k.min(n);
            (k * r) as f64 / n as f64 / k.min(r).max(1) as f64
        };
        // The first culprit stands at place p if those before it are all innocent.
        let (mut mrr, mut none_before) = (0.0, 1.0);
        for place in 1..=n {
            let hit = r as f64 / (n - place + 1) as f64;
            mrr += none_before * hit.min(1.0) / place as f64;
            none_before *= (1.0 - hit).max(0.0);
        }
        Self::from_accuracy(accuracy, mrr)
    }

    fn from_accuracy(accuracy: impl Fn(usize) -> f64, mrr: f64) -> Self {
        let avg_5 = (1..=5).map(&accuracy).sum::<f64>() / 5.0;
        Self { ac_1: accuracy(1), ac_3: accuracy(3), ac_5: accuracy(5), avg_5, mrr }
    }

    fn mean(scores: &[Self]) -> Self {
        let mean = |part: fn(&Self) -> f64| scores.iter().map(part).sum::<f64>() / scores.len().max(1) as f64;
        Self {
            ac_1: mean(|scores| scores.ac_1),
            ac_3: mean(|scores| scores.ac_3),
            ac_5: mean(|scores| scores.ac_5),
            avg_5: mean(|scores| scores.avg_5),
            mrr: mean(|scores| scores.mrr),
        }
    }
}

/// Sums the results of cases.
#[must_use]
pub fn report(mut cases: Vec<CaseResult>) -> Report {
    cases.sort_by(|left, right| {
        let key = |case: &CaseResult| (case.set.clone(), case.fault_type.clone(), case.case.clone());
        key(left).cmp(&key(right))
    });
    let groups: Vec<Group> = cases
        .chunk_by(|left, right| left.set == right.set && left.fault_type == right.fault_type)
        .map(|cases| Group {
            set: cases[0].set.clone(),
            fault_type: cases[0].fault_type.clone(),
            ..group(&cases.iter().collect::<Vec<_>>())
        })
        .collect();
    let mut by_method = BTreeMap::<String, Vec<Scores>>::new();
    for (method, scores) in groups.iter().flat_map(|group| &group.scores) {
        by_method.entry(method.clone()).or_default().push(*scores);
    }
    Report {
        schema_version: SCHEMA_VERSION,
        overall: group(&cases.iter().collect::<Vec<_>>()),
        groups,
        mean_over_groups: by_method.into_iter().map(|(method, scores)| (method, Scores::mean(&scores))).collect(),
        calibration: calibration(&cases),
        largest_residual_ms: cases.iter().map(|case| case.residual_ms.abs()).fold(0.0, f64::max),
        n_spans: cases.iter().map(|case| case.n_spans).sum(),
        cases,
    }
}

fn group(cases: &[&CaseResult]) -> Group {
    let incidents: Vec<&CaseResult> = cases.iter().copied().filter(|case| !case.is_control()).collect();
    let controls = || cases.iter().filter(|case| case.is_control());
    let is_alarm = |case: &CaseResult| case.verdict == Some(Verdict::Regression);
    let mut verdicts = BTreeMap::new();
    for case in cases {
        let verdict = case.verdict.map_or("failed", Verdict::as_str);
        *verdicts.entry(verdict.to_owned()).or_insert(0) += 1;
    }
    let mut scores = BTreeMap::new();
    if !incidents.is_empty() {
        let mean = |scores: &dyn Fn(&CaseResult) -> Scores| {
            Scores::mean(&incidents.iter().map(|case| scores(case)).collect::<Vec<_>>())
        };
        scores.insert(SUSPECT.to_owned(), mean(&|case| Scores::of(&case.ranking, &case.culprits)));
        scores.insert(RANDOM.to_owned(), mean(&|case| Scores::by_lot(case.n_services, case.culprits.len())));
        for rule in [INCLUSIVE_P95, SELF_TIME] {
            let of =
                |case: &CaseResult| Scores::of(case.naive.get(rule).map_or(&[][..], Vec::as_slice), &case.culprits);
            scores.insert(rule.to_owned(), mean(&of));
        }
    }
    let with_operation: Vec<Scores> = incidents
        .iter()
        .filter(|case| !case.culprit_operations.is_empty())
        .map(|case| Scores::of(&case.operations, &case.culprit_operations))
        .collect();
    let quality_a = || incidents.iter().filter(|case| case.quality == "A");
    Group {
        set: String::new(),
        fault_type: String::new(),
        n_cases: cases.len(),
        n_controls: controls().count(),
        n_false_alarms: controls().filter(|case| is_alarm(case)).count(),
        scores,
        n_with_operation: with_operation.len(),
        operations: (!with_operation.is_empty()).then(|| Scores::mean(&with_operation)),
        verdicts,
        n_quality_a: quality_a().count(),
        n_quality_a_regression: quality_a().filter(|case| is_alarm(case)).count(),
        contributions: contribution::sum(cases.iter().flat_map(|case| &case.contributions)),
        seconds_per_case: cases.iter().map(|case| case.seconds).sum::<f64>() / cases.len().max(1) as f64,
    }
}

fn calibration(cases: &[CaseResult]) -> Vec<Calibration> {
    let ends = CONFIDENCE[1..].iter().copied().chain([f64::INFINITY]);
    CONFIDENCE
        .into_iter()
        .zip(ends)
        .map(|(from, to)| {
            let own: Vec<&CaseResult> = cases
                .iter()
                .filter(|case| !case.is_control() && case.verdict == Some(Verdict::Regression))
                .filter(|case| (from..to).contains(&case.confidence))
                .collect();
            let mean = |value: fn(&CaseResult) -> f64| {
                own.iter().map(|case| value(case)).sum::<f64>() / own.len().max(1) as f64
            };
            Calibration {
                from,
                to: to.min(1.0),
                n_cases: own.len(),
                mean_confidence: mean(|case| case.confidence),
                share_right: mean(|case| f64::from(u8::from(case.place == Some(1)))),
            }
        })
        .collect()
}
